package console

import "testing"

func TestTerminal_Resize(t *testing.T) {
	terminal := NewTerminal("xterm", 80, 24)
	select {
	case <-terminal.Resized():
		t.Error("a new terminal reports a change")
	default:
	}
	terminal.Resize(100, 30)
	terminal.Resize(120, 40) // nobody has received the first change yet
	<-terminal.Resized()
	if width, height := terminal.Size(); width != 120 || height != 40 {
		t.Errorf("got %dx%d, want 120x40", width, height)
	}
	select {
	case <-terminal.Resized():
		t.Error("two changes before the first receive are reported twice")
	default:
	}
}

func TestTerminal_BadModes(t *testing.T) {
	if NewTerminal("xterm", 80, 24).SetModes("\x03\x00") == nil {
		t.Error("truncated modes were accepted")
	}
}
