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
	// frameTimeout limits the time between frames. Nomad sends an empty frame every second.
	frameTimeout = 15 * time.Second

	frameSize = 64 << 10 // Nomad's limit for the data of a frame
	maxFrame  = 4 * frameSize
)

// logPos is a position in a log. Nomad stores a log as a sequence of numbered files and deletes the oldest ones.
type logPos struct {
	file   int // -1: the start of the log
	offset int64
}

// before reports whether p is before o.
func (p logPos) before(o logPos) bool {
	return p.file < o.file || p.file == o.file && p.offset < o.offset
}

// frameReader reads the frames of stdout or stderr of a task from Nomad, starting at some position.
type frameReader struct {
	body     io.ReadCloser
	limit    *io.LimitedReader
	dec      *json.Decoder
	cancel   context.CancelFunc
	timer    *time.Timer
	timedOut atomic.Bool

	onIdle    func() error // called for a frame without data; may be nil
	pos       logPos       // after the data read so far
	started   bool         // data has been read
	truncated bool         // the file was truncated after data had been read
}

// openLog opens a log at lookback bytes before its end, or at its start if lookback is negative. Without follow, the
// frames end where the log ends.
//
// The offset of a frame is unreliable: Nomad may join frames, and then reports the offset of the first part. The
// offset of the very first frame is exact if lookback is at least frameSize: the frame is then either full or ends at
// the end of a finished file, so Nomad joins nothing to it. After it, frameReader counts bytes.
func (c *Client) openLog(
	ctx context.Context, client *api.Client, in backends.TaskRef, output string, follow bool, lookback int64,
) (*frameReader, error) {
	q, err := c.queryOptions(ctx, in.Allocation.Namespace)
	if err != nil {
		return nil, err
	}
	origin := "end"
	if lookback < 0 {
		origin, lookback = "start", 0
	}
	q.Params = map[string]string{
		"task": in.Task, "type": output, "follow": strconv.FormatBool(follow), "origin": origin,
		"offset": strconv.FormatInt(lookback, 10),
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

// errFrameTimeout reports a connection without data for frameTimeout.
var errFrameTimeout = fmt.Errorf("no data received for %s", frameTimeout)

// readError returns err, or errFrameTimeout if the timer has closed the connection.
func (f *frameReader) readError(err error) error {
	if f.timedOut.Load() {
		return errFrameTimeout
	}
	return err
}

// close closes the connection.
func (f *frameReader) close() {
	f.timer.Stop()
	f.cancel()
	f.body.Close()
}

// next returns the next data and its position. io.EOF: Nomad has closed the log normally.
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
			return nil, logPos{}, fmt.Errorf("the name of the log file %q does not end with a number", frame.File)
		}
		switch {
		case !f.started:
			f.pos = logPos{number, max(0, frame.Offset-int64(len(frame.Data)))}
		case number != f.pos.file:
			f.pos = logPos{number, 0}
		}
		f.started = true
		start := f.pos
		f.pos.offset += int64(len(frame.Data))
		return frame.Data, start, nil
	}
}

// errTaskNotStarted reports a task that has no log yet.
var errTaskNotStarted = errors.New("the task has not started")

// logError explains to a user why a log cannot be read, and reports whether a retry may succeed.
func logError(err error) (reason error, mayRetry bool) {
	text := strings.ToLower(err.Error())
	var response api.UnexpectedResponseError
	isResponse := errors.As(err, &response) && response.HasStatusCode()
	switch {
	case !isResponse:
		return streamError(err, false), true
	case strings.Contains(text, "permission denied"), response.StatusCode() == http.StatusForbidden:
		return fmt.Errorf("%w: it lacks the capability read-logs", backends.ErrForbidden), false
	case strings.Contains(text, "not started yet"):
		return fmt.Errorf("%w: %w", backends.ErrNoLog, errTaskNotStarted), true
	case strings.Contains(text, "log entry for task"), strings.Contains(text, "failed to list entries"):
		return backends.ErrNoLog, true
	case strings.Contains(text, strings.ToLower(noPathToNode)): // also a 404, but the node may have the log
		return errNodeUnreachable, true
	case response.StatusCode() == http.StatusNotFound, strings.Contains(text, "unknown allocation"):
		return fmt.Errorf("%w: Nomad has deleted it", backends.ErrNoLog), true
	case response.StatusCode() == http.StatusBadRequest:
		return explain(err), false
	}
	return streamError(err, false), true
}
