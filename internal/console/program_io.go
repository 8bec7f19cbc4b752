package console

import (
	"io"
	"sync"
)

// ProgramIO returns the streams that connect a program to the session: the user's input, the client's signals, and
// the output. Until the program first reads or writes, Ctrl-C and signals still interrupt the command. After that
// they go to the program, so input typed in response to the program's output reaches the program.
func (c *Console) ProgramIO() (stdin io.Reader, signals <-chan string, out ByteOutput) {
	claim := sync.OnceFunc(func() {
		c.Signals.claim()
		if keys, ok := c.Stdin.(*terminalInput); ok {
			keys.claim()
		}
	})
	out = ByteOutput{claimingWriter{c.ByteOutput.Stdout, claim}, claimingWriter{c.ByteOutput.Stderr, claim}}
	return claimingReader{c.Stdin, claim}, c.Signals.channel, out
}

// IgnoreInput declares that the command does not read what the user types. Ctrl-C then works regardless of how much
// unread input precedes it.
func (c *Console) IgnoreInput() {
	if keys, ok := c.Stdin.(*terminalInput); ok {
		keys.allowLoss()
	}
}

// claimingReader calls claim before each read.
type claimingReader struct {
	io.Reader
	claim func()
}

func (t claimingReader) Read(p []byte) (int, error) {
	t.claim()
	return t.Reader.Read(p)
}

// claimingWriter calls claim before each write.
type claimingWriter struct {
	io.Writer
	claim func()
}

func (t claimingWriter) Write(p []byte) (int, error) {
	t.claim()
	return t.Writer.Write(p)
}
