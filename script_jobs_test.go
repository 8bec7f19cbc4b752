package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/nomad/api"
	"github.com/rogpeppe/go-internal/testscript"

	"nomadctld/internal/nomadtest"
)

// scriptJobs are the kinds of jobs that a script can have for itself.
var scriptJobs = map[string]func(id, mode string) *api.Job{
	"scalable":      nomadtest.Scalable,
	"canary":        nomadtest.Canary,
	"periodic":      func(id, _ string) *api.Job { return nomadtest.Periodic(id) },
	"parameterized": func(id, _ string) *api.Job { return nomadtest.Parameterized(id) },

	// Three allocations.
	"three": threeAllocations,
	// A group "web" of two tasks, web and side, and a group "db", both without limits to their counts.
	"groups": func(id, mode string) *api.Job {
		job := nomadtest.Canary(id, mode)
		web := job.TaskGroups[0]
		web.Update.Canary = new(0)
		setSleep(web.Tasks[0])
		side := *web.Tasks[0]
		side.Name = "side"
		db := *web
		db.Name = new("db")
		db.Tasks = []*api.Task{web.Tasks[0]}
		web.Tasks = []*api.Task{web.Tasks[0], &side}
		job.TaskGroups = append(job.TaskGroups, &db)
		return job
	},
	// A service of one allocation that is unknown for an hour when its node disconnects, and is not replaced.
	"disconnect": func(id, mode string) *api.Job {
		job := nomadtest.Scalable(id, mode)
		job.TaskGroups[0].Scaling = nil
		job.TaskGroups[0].Disconnect = &api.DisconnectStrategy{LostAfter: new(time.Hour), Replace: new(false)}
		return job
	},
	// Two allocations that are unknown for an hour when their nodes disconnect, and are not replaced.
	"disconnect-two": func(id, mode string) *api.Job {
		job := nomadtest.Scalable(id, mode)
		g := job.TaskGroups[0]
		g.Count, g.Scaling, g.Disconnect = new(2), nil, &api.DisconnectStrategy{LostAfter: new(time.Hour), Replace: new(false)}
		setSleep(g.Tasks[0])
		return job
	},
	// Two allocations that are not restarted and not rescheduled when they fail.
	"given-up": func(id, mode string) *api.Job {
		return withoutRestarts(id, mode, &api.ReschedulePolicy{Attempts: new(0), Unlimited: new(false)})
	},
	// A batch job of three allocations: the first one fails and is not rescheduled, the others complete.
	"partly-failed": func(id, mode string) *api.Job {
		job := withoutRestarts(id, mode, &api.ReschedulePolicy{Attempts: new(0), Unlimited: new(false)})
		job.Type = new("batch")
		g := job.TaskGroups[0]
		g.Count, g.Update = new(3), nil
		g.Tasks[0].Config = map[string]any{"command": "/bin/sh", "args": []string{"-c", `test "$NOMAD_ALLOC_INDEX" != 0`}}
		return job
	},
	// Two allocations that are not restarted, and rescheduled an hour after they fail.
	"rescheduled": func(id, mode string) *api.Job {
		return withoutRestarts(id, mode, &api.ReschedulePolicy{
			Unlimited: new(true), Delay: new(time.Hour), DelayFunction: new("constant"), MaxDelay: new(time.Hour),
		})
	},
	// A service that only a node in the datacenter MODE, such as dc9, could run. It is settled at once.
	"elsewhere": func(id, mode string) *api.Job {
		job := nomadtest.Scalable(id, "a")
		job.Datacenters = []string{mode}
		return job
	},
	// A system job.
	"system": func(id, mode string) *api.Job {
		job := nomadtest.Scalable(id, mode)
		job.Type = new("system")
		g := job.TaskGroups[0]
		g.Count, g.Scaling, g.Update, g.ReschedulePolicy = nil, nil, nil, nil
		setSleep(g.Tasks[0])
		return job
	},
	// Two tasks: loud writes a line, and the job disables the logs of quiet. With the mode alone there is only quiet.
	"quiet": func(id, mode string) *api.Job {
		job := nomadtest.Scalable(id, "a")
		quiet := job.TaskGroups[0].Tasks[0]
		quiet.Config = map[string]any{"command": "/bin/sh", "args": []string{"-c", "echo heard; exec sleep 3600"}}
		loud := *quiet
		quiet.Name, loud.Name = "quiet", "loud"
		quiet.LogConfig = &api.LogConfig{Disabled: new(true), MaxFiles: new(1), MaxFileSizeMB: new(1)}
		if mode != "alone" {
			job.TaskGroups[0].Tasks = append(job.TaskGroups[0].Tasks, &loud)
		}
		return job
	},
	// A periodic job whose launches go on.
	"busy": func(id, _ string) *api.Job {
		job := nomadtest.Periodic(id)
		setSleep(job.TaskGroups[0].Tasks[0])
		return job
	},
	// A parameterized job that says how it takes payloads: mode is optional, required or forbidden. Nothing is required.
	"payload": func(id, mode string) *api.Job {
		job := nomadtest.Parameterized(id)
		job.ParameterizedJob.MetaRequired, job.ParameterizedJob.MetaOptional = nil, []string{"color", "dispatched_by"}
		job.ParameterizedJob.Payload = mode
		return job
	},
}

func threeAllocations(id, mode string) *api.Job {
	job := nomadtest.Scalable(id, mode)
	job.TaskGroups[0].Count = new(3)
	setSleep(job.TaskGroups[0].Tasks[0])
	return job
}

// withoutRestarts returns a service of two allocations without limits to their count, which are not restarted where they are.
func withoutRestarts(id, mode string, reschedule *api.ReschedulePolicy) *api.Job {
	job := threeAllocations(id, mode)
	g := job.TaskGroups[0]
	g.Count, g.Scaling, g.ReschedulePolicy = new(2), nil, reschedule
	g.RestartPolicy = &api.RestartPolicy{Attempts: new(0), Mode: new("fail")}
	return job
}

func setSleep(t *api.Task) {
	t.Config = map[string]any{"command": "/bin/sleep", "args": []string{"3600"}}
}

// registerJob is job KIND ID [MODE]: it registers a job, or a new version of it, with the script's cluster and waits
// until it is as far as it gets by itself: deployed, waiting for promotion, ended. At the script's end it is purged with
// its children. One cluster serves all scripts, so the ID is the script's own.
func registerJob(ts *testscript.TestScript, _ bool, args []string) {
	kind, ok := scriptJobs[args[0]]
	if !ok {
		ts.Fatalf("no kind %s of jobs (there are %s)", args[0], strings.Join(slices.Sorted(maps.Keys(scriptJobs)), ", "))
	}
	id, mode := args[1], "a"
	if len(args) > 2 {
		mode = args[2]
	}
	client := clusterClient(ts)
	ts.Defer(func() { purge(ts, client, id) })
	_, _, err := client.Jobs().Register(kind(id, mode), nil)
	ts.Check(err)
	poll(ts, id+" is settled", func() error { return checkSettled(client, id) })
}

func clusterClient(ts *testscript.TestScript) *api.Client {
	client, err := api.NewClient(&api.Config{Address: ts.Getenv("NOMAD"), SecretID: nomadtest.Token})
	ts.Check(err)
	return client
}

// checkSettled returns what a job still lacks.
func checkSettled(client *api.Client, id string) error {
	job, _, err := client.Jobs().Info(id, nil)
	if err != nil || job.IsPeriodic() || job.IsParameterized() {
		return err
	}
	allocations, _, err := client.Jobs().Allocations(id, true, nil)
	if err != nil {
		return err
	}
	if *job.Type == "batch" {
		running := func(a *api.AllocationListStub) bool {
			return a.ClientStatus != "complete" && a.ClientStatus != "failed"
		}
		if len(allocations) == 0 || slices.ContainsFunc(allocations, running) {
			return fmt.Errorf("it has not ended: %d allocations", len(allocations))
		}
		return nil
	}
	if *job.Type == "system" {
		for _, a := range allocations {
			if a.DesiredStatus == "run" && a.ClientStatus == "running" && a.JobVersion == *job.Version {
				return nil
			}
		}
		return fmt.Errorf("of its %d allocations none runs", len(allocations))
	}
	d, _, err := client.Jobs().LatestDeployment(id, nil)
	if err != nil {
		return err
	}
	evaluations, _, err := client.Jobs().Evaluations(id, nil)
	if err != nil {
		return err
	}
	blocked := func(e *api.Evaluation) bool { return e.Status == "blocked" }
	switch {
	case slices.ContainsFunc(evaluations, blocked):
		return nil
	case d == nil || d.JobVersion != *job.Version:
		return fmt.Errorf("version %d has no deployment", *job.Version)
	case d.Status == "successful" || d.Status == "failed":
	case d.Status == "running" && waitsForPromotion(d.TaskGroups["web"]):
	default:
		return fmt.Errorf("its deployment is %s", d.Status)
	}
	for _, a := range allocations {
		if (a.DesiredStatus == "run") != (a.ClientStatus == "running") && a.ClientStatus != "complete" && a.ClientStatus != "failed" {
			return fmt.Errorf("allocation %s is %s", a.ID, a.ClientStatus)
		}
	}
	return nil
}

func waitsForPromotion(g *api.DeploymentState) bool {
	return g.DesiredCanaries > 0 && !g.Promoted && g.HealthyAllocs >= g.DesiredCanaries
}

// garbageCollect is gc JOB...: it waits until jobs are dead, with all of their allocations, and lets the cluster
// garbage-collect them with their versions, as when their time has come. A job with a tagged version is an error. A real
// Nomad would collect the jobs of all scripts, so the jobs are purged there instead. ! gc JOB... looks once at each job,
// which has to be one that Nomad would not collect.
func garbageCollect(ts *testscript.TestScript, neg bool, args []string) {
	client := clusterClient(ts)
	defer client.Close()
	simulated := ts.Value("cluster").(nomadtest.Cluster).Sim
	collect := func(id string) error {
		if simulated != nil {
			return simulated.Collect("default", id)
		}
		if err := checkCollectable(client, id); err != nil {
			return err
		}
		_, _, err := client.Jobs().Deregister(id, true, nil)
		return err
	}
	for _, id := range args {
		if !neg {
			poll(ts, id+" is garbage-collected", func() error { return collect(id) })
		} else if collect(id) == nil {
			ts.Fatalf("%s was garbage-collected", id)
		}
	}
}

// checkCollectable returns why Nomad would not garbage-collect a job.
func checkCollectable(client *api.Client, id string) error {
	versions, _, _, err := client.Jobs().Versions(id, false, nil)
	if err != nil {
		return err
	}
	for _, v := range versions {
		if v.VersionTag != nil {
			return fmt.Errorf("version %d is tagged %s", *v.Version, v.VersionTag.Name)
		}
	}
	if j := versions[0]; *j.Status != "dead" || !*j.Stop && *j.Type != "batch" && *j.Type != "sysbatch" {
		return fmt.Errorf("it is %s, and stopped: %v", *j.Status, *j.Stop)
	}
	allocations, _, err := client.Jobs().Allocations(id, true, nil)
	if err != nil {
		return err
	}
	for _, a := range allocations {
		if a.ClientStatus == "running" || a.ClientStatus == "pending" {
			return fmt.Errorf("allocation %s is %s", a.ID, a.ClientStatus)
		}
	}
	return nil
}

func purge(ts *testscript.TestScript, client *api.Client, id string) {
	defer client.Close()
	all, _, err := client.Jobs().PrefixList(id)
	if err != nil {
		ts.Logf("purge %s: %v", id, err)
	}
	for _, job := range all {
		if job.ID != id && !strings.HasPrefix(job.ID, id+"/") {
			continue
		}
		if _, _, err := client.Jobs().Deregister(job.ID, true, nil); err != nil {
			ts.Logf("purge %s: %v", job.ID, err)
		}
	}
}

// allocation is alloc NAME JOB [GROUP]: it waits until an allocation runs and makes its ID the value of $NAME. Of several
// it is the one that comes first by its name.
func allocation(ts *testscript.TestScript, _ bool, args []string) {
	client := clusterClient(ts)
	defer client.Close()
	poll(ts, args[1]+" has an allocation that runs", func() error {
		all, _, err := client.Jobs().Allocations(args[1], true, nil)
		if err != nil {
			return err
		}
		slices.SortFunc(all, func(a, b *api.AllocationListStub) int { return strings.Compare(a.Name, b.Name) })
		for _, a := range all {
			if a.DesiredStatus == "run" && a.ClientStatus == "running" && (len(args) < 3 || a.TaskGroup == args[2]) {
				ts.Setenv(args[0], a.ID)
				return nil
			}
		}
		return fmt.Errorf("of %d none does", len(all))
	})
}

// makeToken is token FILE [node] NAMESPACE=CAPABILITY,...: it makes a token of the cluster that has these capabilities in
// each namespace, * for those that are not named, and may read nodes if that is said, and writes its secret to $WORK/FILE.
func makeToken(ts *testscript.TestScript, _ bool, args []string) {
	rights, nodes := map[string][]string{}, false
	for _, arg := range args[1:] {
		namespace, capabilities, granted := strings.Cut(arg, "=")
		if nodes = nodes || arg == "node"; granted {
			rights[namespace] = strings.Split(capabilities, ",")
		}
	}
	secret, err := ts.Value("cluster").(nomadtest.Cluster).NewToken(rights, nodes, ts.Name()+" "+args[0])
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(secret+"\n"), 0o600))
}

// pollTimeout is how long scripts wait for what a cluster does by itself.
const pollTimeout = 60 * time.Second

func poll(ts *testscript.TestScript, what string, missing func() error) {
	for end := time.Now().Add(pollTimeout); ; time.Sleep(100 * time.Millisecond) {
		err := missing()
		if err == nil {
			return
		}
		if time.Now().After(end) {
			ts.Fatalf("waited in vain until %s: %v", what, err)
		}
	}
}

// until is until COMMAND ARG...: it runs a program again and again until it succeeds, for what takes its time.
func until(ts *testscript.TestScript, _ bool, args []string) {
	poll(ts, strings.Join(args, " ")+" succeeds", func() error { return ts.Exec(args[0], args[1:]...) })
}

// keepsRunning is goeson OUT ERR COMMAND ARG...: it runs a program until the regular expressions match what it has written to
// stdout and to stderr, sees that it goes on for two seconds, and ends it. What it wrote is in went.out and went.err.
func keepsRunning(ts *testscript.TestScript, _ bool, args []string) {
	var written [2]*os.File
	for i, name := range []string{"went.out", "went.err"} {
		file, err := os.Create(ts.MkAbs(name))
		ts.Check(err)
		defer file.Close()
		written[i] = file
	}
	cmd := exec.Command(args[2], args[3:]...)
	cmd.Stdout, cmd.Stderr, cmd.Dir = written[0], written[1], ts.MkAbs(".")
	for _, name := range []string{"PATH", "HOME", "SSH", "WORK"} {
		cmd.Env = append(cmd.Env, name+"="+ts.Getenv(name))
	}
	ts.Check(cmd.Start())
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	defer cmd.Process.Kill()
	poll(ts, "it has written "+args[0]+" and "+args[1], func() error {
		select {
		case err := <-ended:
			ts.Fatalf("it ended, %v: %s", err, ts.ReadFile("went.err"))
		default:
		}
		for i, file := range written {
			if text := ts.ReadFile(filepath.Base(file.Name())); !regexp.MustCompile(args[i]).MatchString(text) {
				return fmt.Errorf("so far %q", text)
			}
		}
		return nil
	})
	select {
	case err := <-ended:
		ts.Fatalf("it ended, %v: %s", err, ts.ReadFile("went.err"))
	case <-time.After(2 * time.Second):
	}
}

// sameJob is same FILE FILE: two definitions of a job that ask for the same, apart from whether it is stopped.
func sameJob(ts *testscript.TestScript, neg bool, args []string) {
	a, b := canonicalJob(ts, args[0]), canonicalJob(ts, args[1])
	if (a == b) == neg {
		ts.Fatalf("that they are the same is %v:\n%s\n%s", !neg, a, b)
	}
}

// canonicalJob returns a definition without what Nomad writes itself; the ID of a scaling policy is another one after a stop.
func canonicalJob(ts *testscript.TestScript, file string) string {
	var job map[string]any
	ts.Check(json.Unmarshal([]byte(ts.ReadFile(file)), &job))
	if inner, ok := job["Job"].(map[string]any); ok {
		job = inner
	}
	for _, field := range strings.Fields("CreateIndex ModifyIndex JobModifyIndex Version Status StatusDescription Stable SubmitTime NomadTokenID Stop") {
		delete(job, field)
	}
	groups, _ := job["TaskGroups"].([]any)
	for _, g := range groups {
		if policy, ok := g.(map[string]any)["Scaling"].(map[string]any); ok {
			for _, field := range strings.Fields("ID CreateIndex ModifyIndex") {
				delete(policy, field)
			}
		}
	}
	text, err := json.Marshal(job)
	ts.Check(err)
	if job["ID"] == nil || len(groups) == 0 {
		ts.Fatalf("%s holds no definition: %s", file, text)
	}
	return string(text)
}

// request is api METHOD PATH [BODY]: it asks the cluster for something as somebody else than the gateway would.
func request(ts *testscript.TestScript, _ bool, args []string) {
	body := ""
	if len(args) > 2 {
		body = args[2]
	}
	req, err := http.NewRequest(args[0], ts.Getenv("NOMAD")+args[1], strings.NewReader(body))
	ts.Check(err)
	req.Header.Set("X-Nomad-Token", nomadtest.Token)
	answer, err := http.DefaultClient.Do(req)
	ts.Check(err)
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	ts.Check(err)
	if answer.StatusCode != http.StatusOK {
		ts.Fatalf("%s %s: %s: %s", args[0], args[1], answer.Status, text)
	}
	fmt.Fprintf(ts.Stdout(), "%s\n", text)
}

// upstream starts a server in the place of a cluster and sets UPSTREAM to its address. It answers with the token of the
// request and the path; for /v1/redirect it sends the client to itself under another name.
func upstream(ts *testscript.TestScript, _ bool, _ []string) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/v1/redirect" {
			_, port, _ := net.SplitHostPort(r.Host)
			http.Redirect(w, r, "http://localhost:"+port+"/v1/other", http.StatusTemporaryRedirect)
			return
		}
		fmt.Fprintf(w, "token: %s path: %s\n", r.Header.Get("X-Nomad-Token"), r.URL.Path)
	}))
	ts.Defer(server.Close)
	ts.Setenv("UPSTREAM", server.URL)
}

// viaSocket is viasocket PATH: a program that asks as nomad does, through the socket of NOMAD_ADDR.
func viaSocket() {
	socket, _ := strings.CutPrefix(os.Getenv("NOMAD_ADDR"), "unix://")
	client := &http.Client{Transport: &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) {
		return net.Dial("unix", socket)
	}}}
	response, err := client.Get("http://127.0.0.1" + os.Args[1])
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	io.Copy(os.Stdout, response.Body)
}
