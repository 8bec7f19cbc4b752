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

// Log implements backends.Runtime. It reads the log of the task's newest container.
func (d *Docker) Log(
	ctx context.Context, in backends.TaskRef, q backends.LogQuery, each func(backends.LogChunk) error,
) error {
	l := &logReader{docker: d, ref: in, query: q, send: each}
	if err := l.waitForContainer(ctx); err != nil {
		return err
	}
	driver := l.container.HostConfig.LogConfig.Type
	l.resume.mayRepeat = q.Follow && (driver == "json-file" || driver == "local")
	if !q.Stdout && !q.Stderr {
		return nil
	}
	return l.read(ctx)
}

// logReader reads the log of one container.
type logReader struct {
	docker    *Docker
	ref       backends.TaskRef
	query     backends.LogQuery
	send      func(backends.LogChunk) error
	api       *apiClient
	container container

	newest      time.Time    // time of the newest entry when the log was opened; zero: no entry
	from        [2]time.Time // time of the first counted entry of each output
	skip        lineSkipper  // skips lines from there
	stored      storedLog
	resume      resumePoint
	caughtUp    bool // the caller was informed that it has all old entries
	callbackErr error
}

// waitForContainer finds the container. If query.AfterContainer is set, it waits for the container that follows it.
func (l *logReader) waitForContainer(ctx context.Context) error {
	for start := time.Now(); ; {
		err := l.findContainer(ctx)
		if err == nil && (l.container.ID == l.query.AfterContainer ||
			l.query.Follow && l.container.State.StartedAt.IsZero()) {
			err = kindErrorf(backends.ErrNoLog, "task %s has no log yet: its container has not been started",
				displayName(l.ref.Task))
		}
		if err == nil || l.query.AfterContainer == "" || !errors.Is(err, backends.ErrNoLog) {
			return err
		}
		l.container = container{}
		pause := containerPollInterval
		if time.Since(start) > time.Minute {
			pause = maxContainerPollInterval
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// findContainer finds the container. If it is already known, its state is updated.
func (l *logReader) findContainer(ctx context.Context) error {
	err := l.docker.withClient(ctx, l.ref.Node, func(ctx context.Context, api *apiClient) error {
		c, err := api.newestContainer(ctx, l.ref)
		if err != nil {
			return err
		}
		if l.container.ID != "" && c.ID != l.container.ID {
			return kindErrorf(backends.ErrNoLog, "the log of task %s was deleted: its container was replaced",
				displayName(l.ref.Task))
		}
		l.api, l.container = api, c
		return nil
	})
	if errors.Is(err, ErrNoContainer) {
		return &kindError{err, backends.ErrNoLog}
	}
	return err
}

const (
	containerPollInterval    = 200 * time.Millisecond // a container may run only for an instant
	maxContainerPollInterval = time.Second
	maxLogRetryInterval      = 2 * time.Second
)

// read reads the log. First it finds out how many lines to skip and when the newest entry was written. Then each
// round of the loop fetches the log. A followed log that is interrupted is resumed where it was, for at most
// timeouts.logRetry without progress. When the container has exited, one more request without follow fetches the last
// output.
func (l *logReader) read(ctx context.Context) error {
	wanted := logRequest{
		stdout: l.query.Stdout, stderr: l.query.Stderr, follow: l.query.Follow,
		times: l.query.Timestamps || l.query.PreferTimes || l.query.Follow, since: l.query.Since, tail: -1,
	}
	var err error
	switch {
	case l.query.Lines > 0 && l.query.Lines <= maxTailLines:
		err = l.countTail(ctx, &wanted)
	case l.query.OnRetained != nil && l.query.Lines != 0 && l.query.AfterContainer == "" &&
		(l.query.ScanAll || l.rotates()):
		err = l.scanAll(ctx)
	case l.query.Follow:
		err = l.findNewest(ctx)
	}
	var retainedErr *retainedError
	switch {
	case errors.As(err, &retainedErr):
		return retainedErr.error
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
	pause, until := l.docker.timeouts.firstLogRetry, time.Time{}
	for {
		before, start := l.resume.bytes, time.Now()
		err := l.fetch(ctx, wanted, l.deliver)
		switch {
		case l.callbackErr != nil:
			return l.callbackErr
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case err == nil && !wanted.follow,
			l.query.Follow && !wanted.follow && errors.Is(err, backends.ErrNoLog): // the container was removed
			return l.reportCaughtUp()
		case !l.query.Follow, err != nil && !interrupted(err):
			return l.explain(ctx, err)
		}
		if l.resume.bytes > before || until.IsZero() || time.Since(start) > maxLogRetryInterval {
			pause, until = l.docker.timeouts.firstLogRetry, time.Now().Add(l.docker.timeouts.logRetry)
		}
		findErr := l.findContainer(ctx)
		switch {
		case err == nil && errors.Is(findErr, backends.ErrNoLog):
			return l.reportCaughtUp()
		case err == nil && findErr == nil && !l.container.State.Running:
			// The daemon may end the stream before it has read the last output of the container.
			wanted = l.remaining(wanted)
			wanted.follow = false
			continue
		case findErr != nil && !errors.Is(findErr, ErrUnreachable), time.Now().After(until):
			switch {
			case findErr != nil:
				return findErr
			case err == nil:
				err = daemonError("keeps closing the log of a running container")
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

// deliver sends the part of a chunk that the caller wants and does not have yet.
func (l *logReader) deliver(p backends.LogChunk, _ bool) error {
	wanted := p.Stderr && l.query.Stderr || !p.Stderr && l.query.Stdout
	if wanted && (p.Time.IsZero() || !p.Time.Before(l.from[p.OutputIndex()])) {
		var lost bool
		if p, lost = l.resume.takeUnseen(p); lost {
			if l.callbackErr = l.send(backends.LogChunk{Stderr: p.Stderr, Lost: true}); l.callbackErr != nil {
				return l.callbackErr
			}
		}
		p.Data = l.skip.rest(p)
		if len(p.Data) > 0 {
			l.callbackErr = l.send(p)
		}
	}
	if l.callbackErr != nil || p.Time.Before(l.newest) {
		return l.callbackErr
	}
	return l.reportCaughtUp()
}

// reportCaughtUp informs the caller, once, that it has all entries that existed when the log was opened.
func (l *logReader) reportCaughtUp() error {
	if l.query.Follow && !l.caughtUp {
		l.caughtUp = true
		l.callbackErr = l.send(backends.LogChunk{CaughtUp: true, Container: l.container.ID})
	}
	return l.callbackErr
}

// remaining returns the request for the rest of the log after an interruption.
func (l *logReader) remaining(r logRequest) logRequest {
	switch from := l.resume.resumeFrom(); {
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

// interrupted reports whether a retry may help. It does not if the daemon itself reported the error.
func interrupted(err error) bool {
	var known daemonError
	return !errors.As(err, &known) && !hasAnyStatus(err) && !errors.Is(err, backends.ErrNoLog)
}

// explain returns err as an error for users.
func (l *logReader) explain(ctx context.Context, err error) error {
	return explain(ctx, l.ref.Node, err)
}

// logRequest is a request for a log.
type logRequest struct {
	stdout, stderr, follow, times bool
	since                         time.Time
	tail                          int // entries of both outputs; negative: all
}

// query returns the query string of the request.
func (r logRequest) query() string {
	v := url.Values{"tail": {"all"}}
	for name, set := range map[string]bool{
		"stdout": r.stdout, "stderr": r.stderr, "follow": r.follow, "timestamps": r.times,
	} {
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

// fetch calls f with the log. Only the headers of the response have a time limit.
func (l *logReader) fetch(ctx context.Context, r logRequest, f func(backends.LogChunk, bool) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	timeout := time.AfterFunc(l.docker.timeouts.response, func() { cancel(errNoResponse) })
	response, err := l.api.request(ctx, http.MethodGet, "/containers/"+l.container.ID+"/logs?"+r.query())
	if !timeout.Stop() && errors.Is(context.Cause(ctx), errNoResponse) {
		return errNoResponse
	}
	if err != nil {
		return l.explainNoLog(err)
	}
	defer response.Body.Close()
	return newEntryReader(response.Body, l.container.Config.Tty, r.times).each(f)
}

// explainNoLog translates the responses that mean that the container has no log.
func (l *logReader) explainNoLog(err error) error {
	switch {
	case hasStatus(err, http.StatusNotFound), hasStatus(err, http.StatusConflict): // removed, or being removed
		return kindErrorf(backends.ErrNoLog, "the log of task %s was deleted: its container was removed",
			displayName(l.ref.Task))
	case hasAnyStatus(err) && strings.Contains(err.Error(), "does not support reading"):
		return kindErrorf(backends.ErrLogNotStored,
			"the log of task %s cannot be read: log driver %s does not support reading",
			displayName(l.ref.Task), displayName(l.container.HostConfig.LogConfig.Type))
	}
	return err
}
