package sim

import (
	"errors"
	"os"

	"github.com/creack/pty"
)

// copyStdin forwards the client's frames to the program. Without a terminal, it returns when stdin is closed or no
// longer read. With a terminal, it returns when the program has exited.
func (x *execProcess) copyStdin(stdin *os.File, terminal bool) {
	var over <-chan struct{}
	if terminal {
		over = x.exited
	}
	input := x.input
	for {
		select {
		case in, ok := <-input:
			switch {
			case !ok:
				input, over = nil, x.exited // stdin stays open, see send
			case in.Stdin != nil:
				_, err := stdin.Write(in.Stdin.Data)
				ends := in.Stdin.Close
				if ends && x.ignoresEOF {
					ends, input, over = false, nil, x.exited
				}
				if ends {
					stdin.Close()
				}
				if !terminal && (err != nil || ends) {
					return
				}
			case in.Size != nil && terminal:
				pty.Setsize(stdin, &pty.Winsize{Rows: in.Size.Height, Cols: in.Size.Width})
			}
		case <-over:
			return
		case <-x.ctx.Done():
			return
		}
	}
}

// copyOutput sends the output of the program, and kills the program if the client has disconnected.
func (x *execProcess) copyOutput(r *os.File, frame func(*stream) execOutput) {
	buf := make([]byte, 4096)
	for {
		n, err := r.Read(buf)
		if n > 0 && x.send(frame(&stream{Data: buf[:n]})) != nil {
			x.kill()
			return
		}
		if err != nil {
			if !errors.Is(err, os.ErrClosed) {
				x.send(frame(&stream{Close: true}))
			}
			return
		}
	}
}
