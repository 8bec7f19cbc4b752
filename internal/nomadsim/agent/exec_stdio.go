package agent

import (
	"errors"
	"os"

	"github.com/creack/pty"
)

// copyStdin forwards the client's frames to the program. Without a terminal, it returns when stdin is closed or no
// longer read. With a terminal, or if the client has disconnected or the driver ignores EOF, it returns when the
// program has exited.
func (x *execProcess) copyStdin(stdin *os.File, terminal bool) {
	var done <-chan struct{}
	if terminal {
		done = x.exited
	}
	input := x.Frames()
	for {
		select {
		case in, ok := <-input:
			switch {
			case !ok:
				input, done = nil, x.exited // stdin stays open: see execStream.Send
			case in.Stdin != nil:
				_, err := stdin.Write(in.Stdin.Data)
				closes := in.Stdin.Close
				if closes && x.ignoresEOF {
					closes, input, done = false, nil, x.exited
				}
				if closes {
					stdin.Close()
				}
				if !terminal && (err != nil || closes) {
					return
				}
			case in.Size != nil && terminal:
				pty.Setsize(stdin, &pty.Winsize{Rows: in.Size.Height, Cols: in.Size.Width})
			}
		case <-done:
			return
		case <-x.ctx.Done():
			return
		}
	}
}

// copyOutput sends the output of the program, and kills the program if the client has disconnected.
func (x *execProcess) copyOutput(r *os.File, frame func(*Stream) ExecOutput) {
	buf := make([]byte, 4096)
	for {
		n, err := r.Read(buf)
		if n > 0 && x.Send(frame(&Stream{Data: buf[:n]})) != nil {
			x.kill()
			return
		}
		if err != nil {
			if !errors.Is(err, os.ErrClosed) {
				x.Send(frame(&Stream{Close: true}))
			}
			return
		}
	}
}
