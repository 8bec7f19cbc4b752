package docker

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"nomadctld/backends"
)

// Log implements backends.Runtime. The log is that of the task's newest container.
func (d *Docker) Log(ctx context.Context, in backends.TaskRef, q backends.LogQuery, each func(backends.LogChunk) error) error {
	l := &log{docker: d, place: in, query: q, each: each}
	if err := l.await(ctx); err != nil {
		return err
	}
	l.done.repeats = q.Follow && (l.at.HostConfig.LogConfig.Type == "json-file" || l.at.HostConfig.LogConfig.Type == "local")
	if !q.Stdout && !q.Stderr {
		return nil
	}
	return l.read(ctx)
}

// log is one reading of a container's log.
type log struct {
	docker  *Docker
	place   backends.TaskRef
	query   backends.LogQuery
	each    func(backends.LogChunk) error
	speaker *speaker
	at      described

	newest  time.Time    // of what there was when the log was asked for; zero: nothing
	from    [2]time.Time // of the first entry of each output that was counted
	skip    [2]int       // lines of each output from there on that are not wanted
	held    held
	done    delivered
	live    bool // the caller knows that it has all that there was
	refused error
}

// await finds the container, and waits for it if it is to be another one than query.After.
func (l *log) await(ctx context.Context) error {
	for begun := time.Now(); ; {
		err := l.find(ctx)
		if err == nil && (l.at.ID == l.query.AfterContainer || l.query.Follow && l.at.State.StartedAt.IsZero()) {
			err = sayf("%w of task %s yet: its container has not been started", backends.ErrNoLog, shown(l.place.Task))
		}
		if err == nil || l.query.AfterContainer == "" || !errors.Is(err, backends.ErrNoLog) {
			return err
		}
		l.at = described{}
		pause := nextSoon
		if time.Since(begun) > time.Minute {
			pause = nextLate
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// find finds the container, and then, when it is known, asks how it is.
func (l *log) find(ctx context.Context) error {
	err := l.docker.ask(ctx, l.place.Node, func(ctx context.Context, s *speaker) error {
		is, err := s.describe(ctx, l.place)
		if err != nil {
			return err
		}
		if l.at.ID != "" && is.ID != l.at.ID {
			return sayf("%w of task %s any more: its container was replaced", backends.ErrNoLog, shown(l.place.Task))
		}
		l.speaker, l.at = s, is
		return nil
	})
	if errors.Is(err, ErrNoContainer) {
		return &kind{err, backends.ErrNoLog}
	}
	return err
}

const (
	nextSoon   = 200 * time.Millisecond // between questions for a container that is to come: it may live for an instant
	nextLate   = time.Second
	againPause = 100 * time.Millisecond
	againLater = 2 * time.Second
)

// read reads the log, and if it is followed goes on where it was interrupted.
func (l *log) read(ctx context.Context) error {
	wanted := request{
		stdout: l.query.Stdout, stderr: l.query.Stderr, follow: l.query.Follow,
		times: l.query.Timestamps || l.query.Follow, since: l.query.Since, tail: -1,
	}
	var err error
	switch {
	case l.query.Lines > 0 && l.query.Lines <= mostEntries:
		err = l.measure(ctx, &wanted)
	case l.query.OnRetained != nil && l.query.Lines != 0 && l.query.AfterContainer == "" && (l.query.ScanAll || l.mayBeCut()):
		err = l.survey(ctx)
	case l.query.Follow:
		err = l.last(ctx)
	}
	var refused *olderError
	switch {
	case errors.As(err, &refused):
		return refused.error
	case err != nil:
		return l.failed(ctx, err)
	}
	if l.query.Lines == 0 {
		wanted.tail = 0
	}
	if l.newest.IsZero() || l.query.Lines == 0 || l.newest.Before(wanted.since) {
		if err := l.passed(); err != nil {
			return err
		}
	}
	pause, until := againPause, time.Time{}
	for {
		before, begun := l.done.count, time.Now()
		err := l.fetch(ctx, wanted, l.pass)
		switch {
		case l.refused != nil:
			return l.refused
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case err == nil && !wanted.follow, l.query.Follow && !wanted.follow && errors.Is(err, backends.ErrNoLog): // it was removed
			return l.passed()
		case !l.query.Follow, err != nil && !interrupted(err):
			return l.failed(ctx, err)
		}
		if l.done.count > before || until.IsZero() || time.Since(begun) > againLater {
			pause, until = againPause, time.Now().Add(l.docker.patience)
		}
		found := l.find(ctx)
		switch {
		case err == nil && errors.Is(found, backends.ErrNoLog):
			return l.passed()
		case err == nil && found == nil && !l.at.State.Running:
			// The daemon may end the stream before it has read the last that the container wrote.
			wanted = l.rest(wanted)
			wanted.follow = false
			continue
		case found != nil && !errors.Is(found, ErrUnreachable), time.Now().After(until):
			switch {
			case found != nil:
				return found
			case err == nil:
				err = fault("ends the log of a container that runs, again and again")
			}
			return l.failed(ctx, err)
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		pause = min(2*pause, againLater)
		wanted = l.rest(wanted)
	}
}

// pass passes on what of a piece is wanted and not known yet.
func (l *log) pass(p backends.LogChunk, _ bool) error {
	if (p.Stderr && l.query.Stderr || !p.Stderr && l.query.Stdout) && (p.Time.IsZero() || !p.Time.Before(l.from[p.Output()])) {
		var gone bool
		if p, gone = l.done.news(p); gone {
			if l.refused = l.each(backends.LogChunk{Stderr: p.Stderr, Lost: true}); l.refused != nil {
				return l.refused
			}
		}
		if most := &l.skip[p.Output()]; *most > 0 {
			*most -= dropLines(&p, *most)
		}
		if len(p.Data) > 0 {
			l.refused = l.each(p)
		}
	}
	if l.refused != nil || p.Time.Before(l.newest) {
		return l.refused
	}
	return l.passed()
}

// passed says, once, that what there was has been passed on.
func (l *log) passed() error {
	if l.query.Follow && !l.live {
		l.live = true
		l.refused = l.each(backends.LogChunk{CaughtUp: true, Container: l.at.ID})
	}
	return l.refused
}

// rest is what is asked for after an interruption.
func (l *log) rest(r request) request {
	switch from := l.done.resume(); {
	case !from.IsZero():
		r.tail, r.since = -1, from
	case l.query.Lines == 0:
		r.tail = -1
		if !l.newest.IsZero() && !l.newest.Before(r.since) {
			r.since = l.newest.Add(1)
		}
	}
	return r
}

// interrupted reports whether the source may go on after err. What it says itself is final.
func interrupted(err error) bool {
	var known fault
	return !errors.As(err, &known) && !hasAnyStatus(err) && !errors.Is(err, backends.ErrNoLog)
}

// failed puts an error of the source in words.
func (l *log) failed(ctx context.Context, err error) error {
	return explain(ctx, l.place.Node, err)
}

// request is what is asked of the daemon.
type request struct {
	stdout, stderr, follow, times bool
	since                         time.Time
	tail                          int // entries of both streams; negative: all
}

func (r request) query() string {
	v := url.Values{"tail": {"all"}}
	for name, set := range map[string]bool{"stdout": r.stdout, "stderr": r.stderr, "follow": r.follow, "timestamps": r.times} {
		if set {
			v.Set(name, "1")
		}
	}
	if !r.since.IsZero() {
		v.Set("since", fmt.Sprintf("%d.%09d", r.since.Unix(), r.since.Nanosecond()))
	}
	if r.tail >= 0 {
		v.Set("tail", strconv.Itoa(r.tail))
	}
	return v.Encode()
}

// fetch calls f with what the daemon answers. Only the beginning of the answer has to come in time.
func (l *log) fetch(ctx context.Context, r request, f func(backends.LogChunk, bool) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	late := time.AfterFunc(l.docker.answer, func() { cancel(errTooLate) })
	answer, err := l.speaker.request(ctx, http.MethodGet, "/containers/"+l.at.ID+"/logs?"+r.query())
	if !late.Stop() && errors.Is(context.Cause(ctx), errTooLate) {
		return errTooLate
	}
	if err != nil {
		return l.noLog(err)
	}
	defer answer.Body.Close()
	return newEntries(answer.Body, l.at.Config.Tty, r.times).each(f)
}

// noLog recognizes the answers that there is no log.
func (l *log) noLog(err error) error {
	switch {
	case hasStatus(err, http.StatusNotFound), hasStatus(err, http.StatusConflict): // removed, or about to be
		return sayf("%w of task %s any more: its container is gone", backends.ErrNoLog, shown(l.place.Task))
	case hasAnyStatus(err) && strings.Contains(err.Error(), "does not support reading"):
		return sayf("%w of task %s: its log driver %s does not keep one", backends.ErrLogNotKept, shown(l.place.Task), shown(l.at.HostConfig.LogConfig.Type))
	}
	return err
}
