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
	l := &logReader{docker: d, ref: in, query: q, send: each}
	if err := l.waitForContainer(ctx); err != nil {
		return err
	}
	l.resume.mayRepeat = q.Follow && (l.container.HostConfig.LogConfig.Type == "json-file" || l.container.HostConfig.LogConfig.Type == "local")
	if !q.Stdout && !q.Stderr {
		return nil
	}
	return l.read(ctx)
}

// logReader is one reading of a container's log.
type logReader struct {
	docker    *Docker
	ref       backends.TaskRef
	query     backends.LogQuery
	send      func(backends.LogChunk) error
	api       *apiClient
	container container

	newest      time.Time    // of what there was when the log was asked for; zero: nothing
	from        [2]time.Time // of the first entry of each output that was counted
	skip        [2]int       // lines of each output from there on that are not wanted
	stored      storedLog
	resume      resumePoint
	caughtUp    bool // the caller knows that it has all that there was
	callbackErr error
}

// waitForContainer finds the container, and waits for it if it is to be another one than query.After.
func (l *logReader) waitForContainer(ctx context.Context) error {
	for begun := time.Now(); ; {
		err := l.findContainer(ctx)
		if err == nil && (l.container.ID == l.query.AfterContainer || l.query.Follow && l.container.State.StartedAt.IsZero()) {
			err = userErrorf("%w of task %s yet: its container has not been started", backends.ErrNoLog, displayName(l.ref.Task))
		}
		if err == nil || l.query.AfterContainer == "" || !errors.Is(err, backends.ErrNoLog) {
			return err
		}
		l.container = container{}
		pause := containerPollInterval
		if time.Since(begun) > time.Minute {
			pause = maxContainerPollInterval
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// findContainer finds the container, and then, when it is known, asks how it is.
func (l *logReader) findContainer(ctx context.Context) error {
	err := l.docker.withClient(ctx, l.ref.Node, func(ctx context.Context, s *apiClient) error {
		is, err := s.newestContainer(ctx, l.ref)
		if err != nil {
			return err
		}
		if l.container.ID != "" && is.ID != l.container.ID {
			return userErrorf("%w of task %s any more: its container was replaced", backends.ErrNoLog, displayName(l.ref.Task))
		}
		l.api, l.container = s, is
		return nil
	})
	if errors.Is(err, ErrNoContainer) {
		return &wrappedKind{err, backends.ErrNoLog}
	}
	return err
}

const (
	containerPollInterval    = 200 * time.Millisecond // between questions for a container that is to come: it may live for an instant
	maxContainerPollInterval = time.Second
	logRetryInterval         = 100 * time.Millisecond
	maxLogRetryInterval      = 2 * time.Second
)

// read reads the log, and if it is followed goes on where it was interrupted.
func (l *logReader) read(ctx context.Context) error {
	wanted := logRequest{
		stdout: l.query.Stdout, stderr: l.query.Stderr, follow: l.query.Follow,
		times: l.query.Timestamps || l.query.Follow, since: l.query.Since, tail: -1,
	}
	var err error
	switch {
	case l.query.Lines > 0 && l.query.Lines <= maxEntries:
		err = l.countTail(ctx, &wanted)
	case l.query.OnRetained != nil && l.query.Lines != 0 && l.query.AfterContainer == "" && (l.query.ScanAll || l.rotates()):
		err = l.scanAll(ctx)
	case l.query.Follow:
		err = l.findNewest(ctx)
	}
	var refused *olderError
	switch {
	case errors.As(err, &refused):
		return refused.error
	case err != nil:
		return l.explain(ctx, err)
	}
	if l.query.Lines == 0 {
		wanted.tail = 0
	}
	if l.newest.IsZero() || l.query.Lines == 0 || l.newest.Before(wanted.since) {
		if err := l.reportCaughtUp(); err != nil {
			return err
		}
	}
	pause, until := logRetryInterval, time.Time{}
	for {
		before, begun := l.resume.bytes, time.Now()
		err := l.fetch(ctx, wanted, l.deliver)
		switch {
		case l.callbackErr != nil:
			return l.callbackErr
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case err == nil && !wanted.follow, l.query.Follow && !wanted.follow && errors.Is(err, backends.ErrNoLog): // it was removed
			return l.reportCaughtUp()
		case !l.query.Follow, err != nil && !interrupted(err):
			return l.explain(ctx, err)
		}
		if l.resume.bytes > before || until.IsZero() || time.Since(begun) > maxLogRetryInterval {
			pause, until = logRetryInterval, time.Now().Add(l.docker.logRetryTimeout)
		}
		found := l.findContainer(ctx)
		switch {
		case err == nil && errors.Is(found, backends.ErrNoLog):
			return l.reportCaughtUp()
		case err == nil && found == nil && !l.container.State.Running:
			// The daemon may end the stream before it has read the last that the container wrote.
			wanted = l.remaining(wanted)
			wanted.follow = false
			continue
		case found != nil && !errors.Is(found, ErrUnreachable), time.Now().After(until):
			switch {
			case found != nil:
				return found
			case err == nil:
				err = daemonError("ends the log of a container that runs, again and again")
			}
			return l.explain(ctx, err)
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		pause = min(2*pause, maxLogRetryInterval)
		wanted = l.remaining(wanted)
	}
}

// deliver passes on what of a piece is wanted and not known yet.
func (l *logReader) deliver(p backends.LogChunk, _ bool) error {
	if (p.Stderr && l.query.Stderr || !p.Stderr && l.query.Stdout) && (p.Time.IsZero() || !p.Time.Before(l.from[p.Output()])) {
		var gone bool
		if p, gone = l.resume.unseen(p); gone {
			if l.callbackErr = l.send(backends.LogChunk{Stderr: p.Stderr, Lost: true}); l.callbackErr != nil {
				return l.callbackErr
			}
		}
		if most := &l.skip[p.Output()]; *most > 0 {
			*most -= dropLines(&p, *most)
		}
		if len(p.Data) > 0 {
			l.callbackErr = l.send(p)
		}
	}
	if l.callbackErr != nil || p.Time.Before(l.newest) {
		return l.callbackErr
	}
	return l.reportCaughtUp()
}

// reportCaughtUp says, once, that what there was has been passed on.
func (l *logReader) reportCaughtUp() error {
	if l.query.Follow && !l.caughtUp {
		l.caughtUp = true
		l.callbackErr = l.send(backends.LogChunk{CaughtUp: true, Container: l.container.ID})
	}
	return l.callbackErr
}

// remaining is what is asked for after an interruption.
func (l *logReader) remaining(r logRequest) logRequest {
	switch from := l.resume.resume(); {
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
	var known daemonError
	return !errors.As(err, &known) && !hasAnyStatus(err) && !errors.Is(err, backends.ErrNoLog)
}

// explain puts an error of the source in words.
func (l *logReader) explain(ctx context.Context, err error) error {
	return explain(ctx, l.ref.Node, err)
}

// logRequest is what is asked of the daemon.
type logRequest struct {
	stdout, stderr, follow, times bool
	since                         time.Time
	tail                          int // entries of both streams; negative: all
}

func (r logRequest) query() string {
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
func (l *logReader) fetch(ctx context.Context, r logRequest, f func(backends.LogChunk, bool) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	late := time.AfterFunc(l.docker.responseTimeout, func() { cancel(errNoResponse) })
	answer, err := l.api.request(ctx, http.MethodGet, "/containers/"+l.container.ID+"/logs?"+r.query())
	if !late.Stop() && errors.Is(context.Cause(ctx), errNoResponse) {
		return errNoResponse
	}
	if err != nil {
		return l.explainNoLog(err)
	}
	defer answer.Body.Close()
	return newEntryReader(answer.Body, l.container.Config.Tty, r.times).each(f)
}

// explainNoLog recognizes the answers that there is no log.
func (l *logReader) explainNoLog(err error) error {
	switch {
	case hasStatus(err, http.StatusNotFound), hasStatus(err, http.StatusConflict): // removed, or about to be
		return userErrorf("%w of task %s any more: its container is gone", backends.ErrNoLog, displayName(l.ref.Task))
	case hasAnyStatus(err) && strings.Contains(err.Error(), "does not support reading"):
		return userErrorf("%w of task %s: its log driver %s does not keep one", backends.ErrLogNotKept, displayName(l.ref.Task), displayName(l.container.HostConfig.LogConfig.Type))
	}
	return err
}
