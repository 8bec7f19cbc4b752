package cli

import (
	"os"
	"reflect"
	"syscall"
	"testing"
	"testing/synctest"
)

// TestHandleStop_SecondSignal sends both signals before the first one is handled.
func TestHandleStop_SecondSignal(t *testing.T) {
	signals := make(chan os.Signal, 2)
	signals <- syscall.SIGTERM
	signals <- os.Interrupt
	var got []any
	handleStop(signals, func(s os.Signal) { got = append(got, s) }, func(code int) { got = append(got, code) })
	if want := []any{syscall.SIGTERM, 130}; !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestHandleStop_OneSignal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		signals := make(chan os.Signal, 2)
		stopped, exited := 0, 0
		go handleStop(signals, func(os.Signal) { stopped++ }, func(int) { exited++ })
		signals <- syscall.SIGTERM
		synctest.Wait()
		if stopped != 1 || exited != 0 {
			t.Errorf("after one signal: stopped %d times, exited %d times, want 1 and 0", stopped, exited)
		}
		signals <- syscall.SIGTERM
		synctest.Wait()
		if stopped != 1 || exited != 1 {
			t.Errorf("after two signals: stopped %d times, exited %d times, want 1 and 1", stopped, exited)
		}
	})
}

func TestNotifyStop_BuffersTwo(t *testing.T) {
	if n := cap(notifyStop()); n < 2 {
		t.Errorf("the channel has room for %d signals, want 2", n)
	}
}
