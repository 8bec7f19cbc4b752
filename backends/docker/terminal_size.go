package docker

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"nomadctld/backends"
)

const (
	resizeSoon  = 5 * time.Millisecond // the process may not be there yet
	resizeLater = 200 * time.Millisecond
	resizeTries = 40
)

// follow gives the terminal at path the size of the user's until ctx ends.
func (s *speaker) follow(ctx context.Context, path string, terminal backends.Terminal) {
	changed := terminal.Resized()
	for {
		s.fit(ctx, path, terminal)
		select {
		case _, more := <-changed:
			if !more {
				return
			}
		case <-ctx.Done():
			return
		}
	}
}

func (s *speaker) fit(ctx context.Context, path string, terminal backends.Terminal) {
	pause := resizeSoon
	for range resizeTries {
		columns, rows := terminal.Size()
		if columns <= 0 || rows <= 0 {
			return
		}
		answer, err := s.request(ctx, http.MethodPost, path+"?h="+strconv.Itoa(rows)+"&w="+strconv.Itoa(columns))
		if err == nil {
			answer.Body.Close()
			return
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return
		}
		pause = min(2*pause, resizeLater)
	}
}
