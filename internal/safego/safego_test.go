package safego

import (
	"errors"
	"strings"
	"testing"
)

func TestProtect(t *testing.T) {
	down := errors.New("down")
	if err := Protect(func() error { return down }); err != down {
		t.Errorf("got %v, want the error", err)
	}
	if err := Protect(func() error { return nil }); err != nil {
		t.Errorf("got %v", err)
	}
	err := Protect(func() error { panic("a secret") })
	var caught *PanicError
	if !errors.As(err, &caught) {
		t.Fatalf("got %v, want a PanicError", err)
	}
	if err.Error() != "internal error" {
		t.Errorf("users see %q", err)
	}
	if text := caught.String(); !strings.HasPrefix(text, "a secret\n") || !strings.Contains(text, "TestProtect") {
		t.Errorf("the operator sees %q, want the value and the stack", text)
	}
}
