package tasklog

import (
	"cmp"
	"container/list"
	"context"
	"slices"
	"time"

	"nomadctld/backends"
	"nomadctld/internal/console"
	"nomadctld/internal/phrase"
)

// history buffers lines until all existing lines have been read. Then it writes them: sorted by time if several logs
// are followed, or only the last selected lines of each task with their context. Its memory is bounded. Printer.mu
// guards it.
//
// Each task has a list of its lines. If the last lines are wanted, a selected line that is too old is dropped, together
// with the lines around it that are not the context of another selected line. The order of stdout and stderr is not
// known in Nomad's files. So the last lines of each output are buffered. dropUnordered decides how many lines of each
// output are printed.
type history struct {
	byTime  bool
	maxSize int
	waiting map[*taskLog]bool // logs whose existing lines have not been read completely
	release func()            // called when the history is empty

	tasks   map[*taskLog]*taskHistory
	order   []*taskLog // the keys of the map tasks, as they were added
	added   int        // lines so far
	size    int        // of the lines, with lineOverhead for each
	dropped int        // selected lines that were dropped because newer ones were added
	isFull  bool       // selected lines were dropped because of maxSize

	progress   *console.ProgressLine // nil: do not print the progress of the search
	reportedAt time.Time             // when the progress was printed last, or the first chunk was read
	searched   int                   // bytes
}

// taskHistory has the buffered lines of one task.
type taskHistory struct {
	lines     list.List          // of *bufferedLine
	unordered [2][]*list.Element // the selected lines of each output whose order is not known, oldest first
	ordered   []*list.Element    // the other selected lines, oldest first; newer than all of unordered
}

type bufferedLine struct {
	line
	task       *taskLog
	isSelected bool
	position   int       // in the order of arrival
	sortTime   time.Time // the latest time of this and all earlier lines of the task, if lines are sorted by time
}

const (
	maxHistory        = 4 << 20   // limits the lines in memory, in bytes
	minHistory        = 128 << 10 // the same, if memory for maxHistory cannot be reserved in sortMemoryTimeout
	sortMemoryTimeout = time.Second
)

// add buffers a line. If it does not fit, older lines are dropped or, without Filter.Last, all lines are written.
func (h *history) add(t *taskLog, l line, isSelected bool) error {
	th := h.tasks[t]
	if th == nil {
		th = new(taskHistory)
		h.tasks[t] = th
		h.order = append(h.order, t)
	}
	h.added++
	h.size += len(l.text) + lineOverhead
	e := th.lines.PushBack(&bufferedLine{line: l.clone(), task: t, isSelected: isSelected, position: h.added})
	if t.Filter.Last == 0 {
		if h.size > h.maxSize {
			return t.writeHistory()
		}
		return nil
	}
	if isSelected {
		selected := &th.ordered
		if l.unordered {
			selected = &th.unordered[backends.LogChunk{Stderr: l.stderr}.OutputIndex()]
		}
		if *selected = append(*selected, e); len(*selected) > t.Filter.Last {
			h.dropped++
			h.dropOldest(th, selected)
		}
		if !l.unordered {
			h.dropUnordered(th, t.Filter.Last)
		}
	}
	for h.size > h.maxSize {
		h.isFull = true
		h.dropAny()
	}
	return nil
}

// dropUnordered drops the lines without a known order that are not among the last lines of the task.
func (h *history) dropUnordered(th *taskHistory, last int) {
	available := [2]int{len(th.unordered[0]), len(th.unordered[1])}
	for i, n := range backends.ShareLines(last-len(th.ordered), available) {
		for range available[i] - n {
			h.dropped++
			h.dropOldest(th, &th.unordered[i])
		}
	}
}

// dropAny drops the oldest selected line of all tasks or, if there is none, all lines.
func (h *history) dropAny() {
	var oldest *[]*list.Element
	var of *taskHistory
	for _, t := range h.order {
		th := h.tasks[t]
		for _, s := range []*[]*list.Element{&th.unordered[0], &th.unordered[1], &th.ordered} {
			if len(*s) > 0 && (oldest == nil || position((*s)[0]) < position((*oldest)[0])) {
				oldest, of = s, th
			}
		}
	}
	if oldest == nil {
		clear(h.tasks)
		h.order, h.size = nil, 0
		return
	}
	h.dropOldest(of, oldest)
}

func position(e *list.Element) int { return e.Value.(*bufferedLine).position }

// dropOldest drops the oldest selected line of an output.
func (h *history) dropOldest(th *taskHistory, selected *[]*list.Element) {
	e := (*selected)[0]
	*selected = (*selected)[1:]
	e.Value.(*bufferedLine).isSelected = false
	filter := &e.Value.(*bufferedLine).task.Filter
	// The lines between two selected lines are the context of one or both, so the search is short.
	isContext := func(n int, before, after *list.Element) bool {
		return before != nil && n <= before.Value.(*bufferedLine).number+filter.After ||
			after != nil && n >= after.Value.(*bufferedLine).number-filter.Before
	}
	before, after := e.Prev(), e.Next()
	for before != nil && !before.Value.(*bufferedLine).isSelected {
		before = before.Prev()
	}
	for after != nil && !after.Value.(*bufferedLine).isSelected {
		after = after.Next()
	}
	first := th.lines.Front()
	if before != nil {
		first = before.Next()
	}
	for at := first; at != after; {
		next := at.Next()
		b := at.Value.(*bufferedLine)
		if !isContext(b.number, before, after) {
			h.size -= len(b.text) + lineOverhead
			th.lines.Remove(at)
		}
		at = next
	}
}

var endOfTime = time.Unix(1<<40, 0)

// startHistory makes the printer buffer lines. If it cannot reserve memory for maxHistory, it returns an error if
// Filter.Last is set. Otherwise fewer lines are sorted by time.
func (v View) startHistory(ctx context.Context, byTime bool) error {
	h := &history{
		byTime: byTime, maxSize: maxHistory, release: func() {},
		waiting: map[*taskLog]bool{}, tasks: map[*taskLog]*taskHistory{},
	}
	if v.AcquireMemory != nil {
		isOptional := v.Printer.Filter.Last == 0
		if isOptional {
			var cancel context.CancelFunc
			ctx, cancel = context.WithTimeout(ctx, sortMemoryTimeout)
			defer cancel()
		}
		release, err := v.AcquireMemory(ctx)
		switch {
		case err == nil:
			h.release = release
		case isOptional:
			h.maxSize = minHistory
		default:
			return err
		}
	}
	if v.Printer.Console.Terminal != nil && v.Printer.Filter.Last > 0 {
		h.progress = v.Printer.Console.NewProgressLine()
	}
	v.Printer.mu.Lock()
	defer v.Printer.mu.Unlock()
	v.Printer.history = h
	return nil
}

// progressInterval is the interval at which the progress of a search is printed.
const progressInterval = time.Second

// reportProgress prints how much of the logs has been searched.
func (h *history) reportProgress(size int) {
	h.searched += size
	switch {
	case h.progress == nil:
	case h.reportedAt.IsZero():
		h.reportedAt = time.Now()
	case time.Since(h.reportedAt) >= progressInterval:
		h.reportedAt = time.Now()
		h.progress.Transientf("searching: %.1f MB read", float64(h.searched)/1e6)
	}
}

// clearProgress removes the progress from the terminal.
func (h *history) clearProgress() {
	if h != nil && h.progress != nil {
		h.progress.Clear()
	}
}

// delayHistory makes the printer buffer lines until caughtUp is called for this log, too.
func (t *taskLog) delayHistory() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.history != nil {
		t.history.waiting[t] = true
		t.lastChunk = time.Now()
	}
}

// caughtUp reports that all existing lines of this log have been read. After the last of these logs it writes the
// buffered lines.
func (t *taskLog) caughtUp() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.history == nil {
		return nil
	}
	delete(t.history.waiting, t)
	if len(t.history.waiting) > 0 {
		return nil
	}
	return t.writeHistory()
}

// expire writes the buffered lines if none of the logs that the printer waits for has had a chunk for historyTimeout.
func (p *Printer) expire() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.history == nil {
		return nil
	}
	for t := range p.history.waiting {
		if time.Since(t.lastChunk) < historyTimeout {
			return nil
		}
	}
	return p.writeHistory()
}

// historyTimeout is how long the printer waits without a chunk of the logs that have not caught up.
const historyTimeout = 3 * time.Second

// endHistory writes the buffered lines, if any.
func (p *Printer) endHistory() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.writeHistory()
}

// writeHistory writes the buffered lines. From then on lines are written at once. The caller holds mu.
func (p *Printer) writeHistory() error {
	h := p.history
	if h == nil {
		return nil
	}
	h.clearProgress()
	p.history = nil
	defer h.release()
	if p.Filter.Last > 0 {
		for _, t := range h.order {
			h.dropUnordered(h.tasks[t], p.Filter.Last)
		}
	}
	switch {
	case h.isFull:
		p.isTruncated = true
		p.noteLocked("only the newest lines are shown: the others do not fit into memory " +
			"(use a smaller -n, or -n all, which drops none)")
	case h.dropped > 0 && p.Filter.NoteOlder:
		p.noteLocked("%s not shown (for all: -n all)", phrase.Count(h.dropped, "older matching line"))
	}
	for _, b := range h.sorted() {
		if err := b.task.write(b.line); err != nil {
			return err
		}
	}
	return nil
}

// dropHistory drops the buffered lines, if any.
func (p *Printer) dropHistory() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.history != nil {
		p.history.clearProgress()
		p.history.release()
		p.history = nil
	}
}

// sorted returns the lines in the order in which they are written. The lines of a task keep their order.
func (h *history) sorted() []*bufferedLine {
	var all []*bufferedLine
	for _, t := range h.order {
		var latest time.Time
		for e := h.tasks[t].lines.Front(); e != nil; e = e.Next() {
			b := e.Value.(*bufferedLine)
			if h.byTime && b.time.After(latest) {
				latest = b.time
			}
			all = append(all, b)
			b.sortTime = latest
		}
		if h.byTime && latest.IsZero() { // logs without times come last, and not between those with times
			for e := h.tasks[t].lines.Front(); e != nil; e = e.Next() {
				e.Value.(*bufferedLine).sortTime = endOfTime
			}
		}
	}
	slices.SortStableFunc(all, func(a, b *bufferedLine) int {
		if c := a.sortTime.Compare(b.sortTime); c != 0 {
			return c
		}
		if h.byTime {
			return 0
		}
		return cmp.Compare(a.position, b.position)
	})
	return all
}
