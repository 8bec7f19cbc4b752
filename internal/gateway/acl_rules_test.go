package gateway

import (
	"maps"
	"slices"
	"testing"

	"nomadctld/acl"
	"nomadctld/config"
	"nomadctld/router"
)

func TestACLRequire_Expands(t *testing.T) {
	t.Parallel()
	all := slices.Sorted(maps.Keys(router.Rights()))
	for _, tc := range []struct {
		require map[string][]string
		rights  []string // with the factor cert
		both    []string // with both factors
	}{
		{nil, nil, nil},
		{map[string][]string{"": {"cert"}}, all, nil},
		{map[string][]string{"stop": {"cert"}}, []string{"stop"}, nil},
		{map[string][]string{"@operate": {"cert"}}, router.ExpandGrants([]string{"@operate"}), nil},
		{map[string][]string{"@admin": {"cert"}, "raw": {"sk"}}, router.ExpandGrants([]string{"@admin"}), []string{"raw"}},
		{map[string][]string{"stop": {"sk", "cert", "sk"}}, []string{"stop"}, []string{"stop"}},
	} {
		var rights, both []string
		for right, factors := range aclRequire(tc.require) {
			if slices.Contains(factors, acl.FactorCertificate) {
				rights = append(rights, right)
			}
			if len(factors) == 2 {
				both = append(both, right)
			}
		}
		slices.Sort(rights)
		if !slices.Equal(rights, tc.rights) || !slices.Equal(both, tc.both) {
			t.Errorf("%v: got %q and %q, want %q and %q", tc.require, rights, both, tc.rights, tc.both)
		}
	}
}

// TestCheckRequire expects an error for names that no right stands for. They would restrict nothing.
func TestCheckRequire(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"": "", "stop": "", "@read": "", "exec-user": "", "purge": "", "raw": "",
		"whoami": "prefix.team1.require: whoami needs no right, so every user may run it and nothing can be required for it",
	} {
		err := checkRequire(map[string]config.Group{"team1": {Require: map[string][]string{name: {"cert"}}}})
		if err == nil && want != "" || err != nil && err.Error() != want {
			t.Errorf("%q: got %v, want %q", name, err, want)
		}
	}
}
