package console

import (
	"errors"
	"testing"
)

func TestSignals_InterruptUntilClaimed(t *testing.T) {
	var causes []error
	s := NewSignals(func(err error) { causes = append(causes, err) })
	for signal, code := range map[string]int{"HUP": 129, "INT": 130, "QUIT": 131, "KILL": 137, "TERM": 143} {
		causes = nil
		if !s.Deliver(signal) || len(causes) != 1 {
			t.Errorf("%s: got the causes %v, want one", signal, causes)
			continue
		}
		var interrupt *InterruptError
		if !errors.As(causes[0], &interrupt) || interrupt.SessionExitCode() != code || !errors.Is(causes[0], ErrInterrupted) {
			t.Errorf("%s: got %#v, want ErrInterrupted with code %d", signal, causes[0], code)
		}
	}
	causes = nil
	if !s.Deliver("USR1") || len(causes) > 0 || len(s.channel) != 1 {
		t.Errorf("USR1: got the causes %v and %d signals, want 0 and 1", causes, len(s.channel))
	}
	s.claim()
	if !s.Deliver("TERM") || len(causes) > 0 || len(s.channel) != 2 {
		t.Errorf("TERM for a program: got the causes %v and %d signals, want 0 and 2", causes, len(s.channel))
	}
}

func TestSignals_UnreadAreLimited(t *testing.T) {
	s := NewSignals(func(error) {})
	for delivered := range cap(s.channel) {
		if !s.Deliver("USR1") {
			t.Fatalf("only %d signals were delivered", delivered)
		}
	}
	if s.Deliver("USR1") {
		t.Error("a signal more than the channel holds was delivered")
	}
}
