package nomad

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/hashicorp/nomad/api"

	"nomadctld/backends"
)

const (
	// frameTimeout is how long a log may send nothing. Nomad sends an empty frame each second.
	frameTimeout = 15 * time.Second

	frameSize = 64 << 10 // Nomad's limit for the data of a frame
	maxFrame  = 4 * frameSize
)

// logPos is a place in a log: Nomad keeps a log as files, numbered in their order, of which it deletes the oldest.
type logPos struct {
	file   int
	offset int64
}

func (p logPos) before(o logPos) bool {
	return p.file < o.file || p.file == o.file && p.offset < o.offset
}

// frameReader are what Nomad sends of one of the two logs of a task, from some place on.
type frameReader struct {
	body     io.ReadCloser
	limit    *io.LimitedReader
	dec      *json.Decoder
	cancel   context.CancelFunc
	timer    *time.Timer
	timedOut atomic.Bool

	onIdle    func() error // called for a frame without data; may be nil
	pos       logPos       // of what has been read
	started   bool         // whether anything has
	truncated bool         // the file has been emptied since anything was
}

// openLog asks for a log: from back bytes before its end on; all of it with a negative number. Without follow it ends where
// the log ends.
//
// A frame's own offset is of little use: frames are joined, and it stays that of the first piece. But the first frame's is
// exact when back is at least a frame: its file has that much, or will not grow any more, so that nothing is joined. From
// there on bytes are counted.
func (c *Client) openLog(ctx context.Context, client *api.Client, in backends.TaskRef, kind string, follow bool, back int64) (*frameReader, error) {
	q, err := c.query(ctx, in.Allocation.Namespace)
	if err != nil {
		return nil, err
	}
	origin := "end"
	if back < 0 {
		origin, back = "start", 0
	}
	q.Params = map[string]string{
		"task": in.Task, "type": kind, "follow": strconv.FormatBool(follow), "origin": origin, "offset": strconv.FormatInt(back, 10),
	}
	ctx, cancel := context.WithCancel(ctx)
	f := &frameReader{cancel: cancel}
	f.timer = time.AfterFunc(frameTimeout, func() {
		f.timedOut.Store(true)
		cancel()
	})
	f.body, err = client.Raw().Response("/v1/client/fs/logs/"+in.Allocation.ID, q.WithContext(ctx))
	f.timer.Stop()
	if err != nil {
		cancel()
		return nil, f.readError(err)
	}
	f.limit = &io.LimitedReader{R: f.body}
	f.dec = json.NewDecoder(f.limit)
	return f, nil
}

// errFrameTimeout is a connection over which nothing comes.
var errFrameTimeout = fmt.Errorf("nothing has come for %s", frameTimeout)

func (f *frameReader) readError(err error) error {
	if f.timedOut.Load() {
		return errFrameTimeout
	}
	return err
}

func (f *frameReader) close() {
	f.timer.Stop()
	f.cancel()
	f.body.Close()
}

// next returns the next data and where it begins. io.EOF: Nomad has ended the log in good order.
func (f *frameReader) next() ([]byte, logPos, error) {
	for {
		var frame api.StreamFrame
		f.limit.N = maxFrame
		f.timer.Reset(frameTimeout)
		err := f.dec.Decode(&frame)
		f.timer.Stop()
		if err != nil {
			return nil, logPos{}, f.readError(err)
		}
		if frame.FileEvent == "file truncated" {
			f.pos.offset, f.truncated = 0, true
		}
		if len(frame.Data) == 0 {
			if f.onIdle != nil {
				if err := f.onIdle(); err != nil {
					return nil, logPos{}, err
				}
			}
			continue
		}
		number, err := strconv.Atoi(frame.File[strings.LastIndexByte(frame.File, '.')+1:])
		if err != nil {
			return nil, logPos{}, fmt.Errorf("Nomad's log file %q has no number", frame.File)
		}
		switch {
		case !f.started:
			f.pos = logPos{number, max(0, frame.Offset-int64(len(frame.Data)))}
		case number != f.pos.file:
			f.pos = logPos{number, 0}
		}
		f.started = true
		begin := f.pos
		f.pos.offset += int64(len(frame.Data))
		return frame.Data, begin, nil
	}
}

// errTaskNotStarted is of a task that has no log yet.
var errTaskNotStarted = errors.New("the task has not started")

// logError returns in words for a user why there is no log, and whether there may be one later.
func logError(err error) (reason error, later bool) {
	text := strings.ToLower(err.Error())
	var answer api.UnexpectedResponseError
	isAnswer := errors.As(err, &answer) && answer.HasStatusCode()
	switch {
	case !isAnswer:
		return streamError(err, "begun"), true
	case strings.Contains(text, "permission denied"), answer.StatusCode() == http.StatusForbidden:
		return fmt.Errorf("%w by Nomad: this needs the capability read-logs", backends.ErrForbidden), false
	case strings.Contains(text, "not started yet"):
		return fmt.Errorf("%w: %w", backends.ErrNoLog, errTaskNotStarted), true
	case strings.Contains(text, "log entry for task"), strings.Contains(text, "failed to list entries"):
		return backends.ErrNoLog, true
	case strings.Contains(text, strings.ToLower(noPathToNode)): // a 404 as well, and the log may be on the node
		return fmt.Errorf("%w from the allocation's node", backends.ErrUnreachable), true
	case answer.StatusCode() == http.StatusNotFound, strings.Contains(text, "unknown allocation"):
		return fmt.Errorf("%w any more", backends.ErrNoLog), true
	case answer.StatusCode() == http.StatusBadRequest:
		return explain(err), false
	}
	return streamError(err, "begun"), true
}
