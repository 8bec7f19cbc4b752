package router

import (
	"errors"
	"fmt"
	"testing"

	"nomadctld/backends"
)

func TestAddTier(t *testing.T) {
	a, b := errors.New("a"), errors.New("b")
	for name, tc := range map[string]struct {
		err  error
		want string
	}{
		"one":     {a, "tier x: a"},
		"joined":  {errors.Join(a, b), "tier x: a\ntier x: b"},
		"nested":  {errors.Join(a, errors.Join(b, a)), "tier x: a\ntier x: b\ntier x: a"},
		"wrapped": {fmt.Errorf("%w (%w)", a, b), "tier x: a (b)"},
	} {
		err := addTier("x", tc.err)
		var tier *backends.TierError
		if err.Error() != tc.want || !errors.As(err, &tier) || !errors.Is(err, a) {
			t.Errorf("%s: got %q, want %q", name, err, tc.want)
		}
	}
	if err := addTier("x", nil); err != nil {
		t.Errorf("without an error: got %v", err)
	}
}

func TestOnlyNamespaceErrors(t *testing.T) {
	forbidden := &backends.NamespaceError{Namespace: "eu", Err: backends.ErrForbidden}
	for name, tc := range map[string]struct {
		err  error
		want bool
	}{
		"none":             {nil, true},
		"one":              {forbidden, true},
		"of a tier":        {addTier("x", forbidden), true},
		"two":              {errors.Join(forbidden, addTier("x", forbidden)), true},
		"with another":     {errors.Join(forbidden, backends.ErrUnreachable), false},
		"another, wrapped": {addTier("x", backends.ErrUnreachable), false},
	} {
		if got := onlyNamespaceErrors(tc.err); got != tc.want {
			t.Errorf("%s: got %v, want %v", name, got, tc.want)
		}
	}
	if err := flattenErrors([]error{nil, nil}); err != nil {
		t.Errorf("got %v, want none", err)
	}
}
