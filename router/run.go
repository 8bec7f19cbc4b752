package router

import (
	"bytes"
	"context"
	"io"
)

func run(ctx context.Context, req *Request) error { return req.Command.Run(ctx, req) }

// interruptible ends at Ctrl-C what comes after it, and returns the cause when that fails because its context has
// ended.
func interruptible(next Handler) Handler {
	return func(ctx context.Context, req *Request) error {
		if req.Terminal != nil {
			var cancel context.CancelCauseFunc
			ctx, cancel = context.WithCancelCause(ctx)
			defer cancel(nil)
			go watchKeys(req.Stdin, cancel)
		}
		err := next(ctx, req)
		if err != nil && ctx.Err() != nil {
			return context.Cause(ctx)
		}
		return err
	}
}

// watchKeys ends the command at Ctrl-C. With a terminal the client sends keys, not signals, and no command so far
// reads them.
func watchKeys(keys io.Reader, cancel context.CancelCauseFunc) {
	buf := make([]byte, 256)
	for {
		n, err := keys.Read(buf)
		if bytes.IndexByte(buf[:n], 3) >= 0 {
			cancel(ErrInterrupted)
			return
		}
		if err != nil {
			return
		}
	}
}
