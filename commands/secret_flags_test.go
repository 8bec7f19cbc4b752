package commands

import (
	"regexp"
	"testing"

	"github.com/spf13/pflag"

	"nomadctld/router"
)

// TestFlags_KeyValuesAreSecret checks that no flag with KEY=VALUE writes secrets to the audit log.
func TestFlags_KeyValuesAreSecret(t *testing.T) {
	pair := regexp.MustCompile("`[A-Z]+=[A-Z]+`")
	found := 0
	for _, spec := range router.Specs() {
		spec.FlagSet(new(router.Request)).VisitAll(func(f *pflag.Flag) {
			if !pair.MatchString(f.Usage) {
				return
			}
			if found++; len(f.Annotations) == 0 {
				t.Errorf("%s --%s takes KEY=VALUE: call router.MarkSecret", spec.Name, f.Name)
			}
		})
	}
	if found < 2 {
		t.Errorf("found %d flags with KEY=VALUE, want those of exec and dispatch", found)
	}
}
