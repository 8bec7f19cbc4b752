package agent

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"nomadctld/internal/nomadsim/jobspec"
)

// LogQuery is a request for a log.
type LogQuery struct {
	Task, Stream  string
	Follow, Plain bool
	Offset        int64 // from the start of the first file or, with FromEnd, the last; negative: from its end
	FromEnd       bool
}

// logReader reads a log across all of its files.
type logReader struct {
	ctx             context.Context
	dir             *AllocDir
	q               *LogQuery
	out             *framer
	pollTicker      *time.Ticker // check for new data
	flushTicker     *time.Ticker // send the data that was read so far
	heartbeatTicker *time.Ticker
}

// NewLogReader returns a reader that writes to w, and calls flush after each frame.
func NewLogReader(ctx context.Context, d *AllocDir, q *LogQuery, w io.Writer, flush func() error) *logReader {
	return &logReader{
		ctx: ctx, dir: d, q: q, out: &framer{w: w, flushOutput: flush, plain: q.Plain},
		pollTicker: time.NewTicker(50 * time.Millisecond), flushTicker: time.NewTicker(200 * time.Millisecond),
		heartbeatTicker: time.NewTicker(time.Second),
	}
}

// logPart is one file of a log.
type logPart struct {
	index int
	size  int64
}

// Read sends the log up to its end. If the log is followed, it continues until the client disconnects.
func (r *logReader) Read() error {
	defer r.pollTicker.Stop()
	defer r.flushTicker.Stop()
	defer r.heartbeatTicker.Stop()
	next, offset := 0, r.q.Offset
	if r.q.FromEnd {
		next = math.MaxInt
	}
	last := math.MaxInt
	for {
		parts, err := r.parts()
		if err != nil {
			return err
		}
		if !r.q.Follow && last == math.MaxInt {
			last = parts[len(parts)-1].index
		}
		part, from := startPart(parts, next, offset)
		if part > last {
			return r.out.finish()
		}
		err = r.readPart(part, from, part == last)
		if errors.Is(err, fs.ErrNotExist) {
			continue // rotated away
		}
		if err != nil || r.ctx.Err() != nil {
			return err
		}
		if part == last {
			return r.out.finish()
		}
		next, offset = part+1, 0
	}
}

// parts returns the files of the log in order. There is at least one.
func (r *logReader) parts() (parts []logPart, err error) {
	entries, err := os.ReadDir(filepath.Join(r.dir.path, logDir))
	if err != nil {
		return nil, fmt.Errorf("failed to list entries: %w", err)
	}
	for _, e := range entries {
		number, isLog := strings.CutPrefix(e.Name(), r.q.Task+"."+r.q.Stream+".")
		index, err := strconv.Atoi(number)
		if !isLog || err != nil {
			continue
		}
		if info, err := e.Info(); err == nil {
			parts = append(parts, logPart{index, info.Size()})
		}
	}
	if len(parts) == 0 {
		return nil, jobspec.NotFound(fmt.Sprintf("log entry for task %q and log type %q not found", r.q.Task, r.q.Stream))
	}
	slices.SortFunc(parts, func(a, b logPart) int { return cmp.Compare(a.index, b.index) })
	return parts, nil
}

// startPart returns the part and the position at which a read starts. offset counts from the start of the first part
// that has this index or a higher one, or of the last part if there is none. A negative offset counts back from the end
// of that part, into earlier parts if necessary.
func startPart(parts []logPart, index int, offset int64) (part int, from int64) {
	i := slices.IndexFunc(parts, func(p logPart) bool { return p.index >= index })
	if i < 0 {
		i = len(parts) - 1
	}
	for offset < 0 && parts[i].size+offset < 0 && i > 0 {
		offset += parts[i].size
		i--
	}
	if offset < 0 {
		return parts[i].index, max(parts[i].size+offset, 0)
	}
	for offset > parts[i].size && i < len(parts)-1 {
		offset -= parts[i].size
		i++
	}
	return parts[i].index, min(offset, parts[i].size)
}

// readPart sends one file, starting at an offset. At the end of the file it returns if the file is the last to read,
// if a later file exists, or if the file was deleted.
func (r *logReader) readPart(index int, offset int64, last bool) error {
	name := fmt.Sprintf("%s/%s.%s.%d", logDir, r.q.Task, r.q.Stream, index)
	path := filepath.Join(r.dir.path, name)
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := f.Seek(offset, io.SeekStart); err != nil {
		return err
	}
	buf := make([]byte, maxFrameSize)
	complete := false // no more data will be written to the file
	for {
		n, err := f.Read(buf)
		if err != nil && err != io.EOF {
			return err
		}
		offset += int64(n)
		if n > 0 {
			if err := r.out.add(name, "", buf[:n], offset); err != nil {
				return err
			}
			continue
		}
		if last || complete {
			return nil
		}
		if complete = r.hasLaterPart(index); complete {
			continue // read the data written before the next file was started
		}
		if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
			return r.out.add(name, "file deleted", nil, offset)
		}
		if err := r.wait(); err != nil || r.ctx.Err() != nil {
			return err
		}
	}
}

func (r *logReader) hasLaterPart(index int) bool {
	parts, err := r.parts()
	return err == nil && parts[len(parts)-1].index > index
}

// wait waits for the next ticker and sends a frame if one is due.
func (r *logReader) wait() error {
	select {
	case <-r.pollTicker.C:
		return nil
	case <-r.flushTicker.C:
		return r.out.flush()
	case <-r.heartbeatTicker.C:
		return r.out.heartbeat()
	case <-r.ctx.Done():
		return nil
	}
}
