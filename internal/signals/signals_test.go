package signals

import "testing"

func TestSignals_Lists(t *testing.T) {
	for name, want := range map[string]bool{
		"TERM": true, "WINCH": true, "XFSZ": true, "SIGTERM": false, "term": false, "0": false, "": false, "NONSENSE": false,
	} {
		if got := FromClient(name); got != want {
			t.Errorf("%q: got %v, want %v", name, got, want)
		}
	}
	for name, number := range interrupts {
		if Interrupt(name) != number || !FromClient(name) {
			t.Errorf("%s interrupts, but no client may send it", name)
		}
	}
	if Interrupt("USR1") != 0 {
		t.Error("USR1 interrupts")
	}
}
