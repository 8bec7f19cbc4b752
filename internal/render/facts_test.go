package render

import (
	"strings"
	"testing"
)

func TestFacts(t *testing.T) {
	facts := []Fact{{"ID", "a\x1b"}, {"Status", "failed"}, {"Description", "one two three four"}}
	for style, want := range map[Style]string{
		{}:          "ID          = a\\x1b\nStatus      = failed\nDescription = one two three four\n",
		{Width: 25}: "ID          = a\\x1b\nStatus      = failed\nDescription = one two\n              three four\n",
		{Width: 80, Color: true}: "ID          = a\\x1b\nStatus      = " + string(Bad) + "failed\x1b[0m\n" +
			"Description = one two three four\n",
	} {
		var b strings.Builder
		Facts(&b, facts, style)
		if b.String() != want {
			t.Errorf("%+v: got\n%swant\n%s", style, b.String(), want)
		}
	}
}
