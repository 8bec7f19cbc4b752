package commands

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/dustin/go-humanize"
	"github.com/spf13/pflag"

	"nomadctld/backends"
	"nomadctld/internal/phrase"
	"nomadctld/router"
)

func init() { router.Register(func() router.Command { return new(dispatch) }) }

type dispatch struct {
	meta      []string
	noPayload bool
}

const (
	callerMeta = "dispatched_by" // the meta key for the user's login
	maxPayload = 16 << 10        // in bytes: Nomad's own limit
)

func (d *dispatch) Spec() router.Spec {
	return router.Spec{
		Name:          "dispatch",
		Args:          "JOB",
		Short:         "Run a parameterized job",
		Group:         router.GroupChange,
		Rank:          7,
		Target:        router.TargetJob,
		RightSet:      router.Operate,
		WantsTerminal: true, // so that the command does not wait for a payload from the keyboard
		Long: `
Dispatch a parameterized job and print the ID of the child job. The command does
not wait until the child job is finished (see: tail).

The payload, at most 16 KiB, is read from stdin until EOF. Nothing is read if the
job forbids a payload, or on a terminal (ssh -t). If the job accepts a payload and
you have none, use --no-payload or ssh -n. Otherwise, dispatch waits for EOF.

If the job accepts the meta key ` + callerMeta + `, the gateway sets it to your login.`,
		Examples: []router.Example{
			{Line: "dispatch -m file=x.csv p-team1-import", Comment: "with stdin as the payload"},
			{Line: "dispatch -m file=x.csv --no-payload p-team1-import", Comment: "without a payload"},
		},
		Flags: func(f *pflag.FlagSet) {
			f.StringArrayVarP(&d.meta, "meta", "m", nil, "`KEY=VALUE` set a meta key of the child job; may be repeated")
			router.MarkSecret(f, "meta")
			f.BoolVar(&d.noPayload, "no-payload", false, "do not read stdin")
		},
	}
}

func (d *dispatch) Run(ctx context.Context, req *router.Request) error {
	meta, err := parseMeta(d.meta)
	if err != nil {
		return router.Exit(2, fmt.Errorf("dispatch: %w", err))
	}
	job, err := currentJob(ctx, req)
	switch {
	case err != nil:
		return err
	case !job.Parameterized:
		return fmt.Errorf("%s is not a parameterized job: its type is %s, its status %s (see: batch)",
			job.ID, job.Type, job.Status)
	case job.Stopped:
		return fmt.Errorf("%s is stopped (see: start %s)", job.ID, job.ID)
	}
	if err := fillMeta(job, meta, req.User.Login); err != nil {
		return router.Exit(2, err)
	}
	payload, err := d.readPayload(ctx, req, job)
	if err != nil {
		return err
	}
	result, err := req.Access.Writer.Dispatch(ctx, job.Job, meta, payload)
	if err != nil {
		return phrase.JobError(job.Job, err)
	}
	return printResult(req, "%s", result.ChildID)
}

// parseMeta parses KEY=VALUE pairs.
func parseMeta(pairs []string) (map[string]string, error) {
	meta := map[string]string{}
	for _, pair := range pairs {
		key, value, ok := strings.Cut(pair, "=")
		if _, twice := meta[key]; !ok || key == "" {
			return nil, fmt.Errorf("--meta takes KEY=VALUE, not %q", pair)
		} else if twice {
			return nil, fmt.Errorf("--meta %s is given twice", key)
		}
		meta[key] = value
	}
	return meta, nil
}

// fillMeta checks meta against the job's required and optional keys, and adds the user's login if the job has a key
// for it.
func fillMeta(job backends.JobDetail, meta map[string]string, login string) error {
	required, optional := job.Schedule.MetaRequired, job.Schedule.MetaOptional
	if slices.Contains(required, callerMeta) || slices.Contains(optional, callerMeta) {
		if _, ok := meta[callerMeta]; ok {
			return fmt.Errorf("leave out the meta key %s: the gateway sets it to your login", callerMeta)
		}
		meta[callerMeta] = login
	}
	var unknown, missing []string
	for key := range meta {
		if !slices.Contains(required, key) && !slices.Contains(optional, key) {
			unknown = append(unknown, key)
		}
	}
	for _, key := range required {
		if _, ok := meta[key]; !ok {
			missing = append(missing, key)
		}
	}
	slices.Sort(unknown)
	keys := fmt.Sprintf("required: %s; optional: %s", phrase.List(required), phrase.List(optional))
	switch {
	case len(missing) > 0:
		return fmt.Errorf("%s needs -m %s=VALUE (%s)", job.ID, strings.Join(missing, "=VALUE -m "), keys)
	case len(unknown) > 0:
		return fmt.Errorf("%s does not accept the meta keys %s (%s)", job.ID, strings.Join(unknown, ", "), keys)
	}
	return nil
}

// readPayload reads the payload from standard input if the job accepts one.
func (d *dispatch) readPayload(ctx context.Context, req *router.Request, job backends.JobDetail) ([]byte, error) {
	if job.Schedule.Payload == "forbidden" || d.noPayload || req.Console.Terminal != nil {
		if job.Schedule.Payload == "required" {
			return nil, router.Exit(2, fmt.Errorf(
				"%s requires a payload: send it on standard input, without ssh -t and --no-payload", job.ID))
		}
		return nil, nil
	}
	type read struct {
		payload []byte
		err     error
	}
	done := make(chan read, 1)
	go func() { // a client may neither send anything nor close its input
		payload, err := io.ReadAll(io.LimitReader(req.Console.Stdin, maxPayload+1))
		done <- read{payload, err}
	}()
	select {
	case r := <-done:
		switch {
		case r.err != nil:
			return nil, fmt.Errorf("reading the payload: %w", r.err)
		case len(r.payload) > maxPayload:
			return nil, fmt.Errorf("the payload is larger than Nomad's limit of %s", humanize.IBytes(maxPayload))
		case len(r.payload) == 0 && job.Schedule.Payload == "required":
			return nil, router.Exit(2, errors.New(job.ID+" requires a payload, but standard input is empty"))
		}
		return r.payload, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}
