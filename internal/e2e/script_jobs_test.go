package e2e

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

	"nomadctld/internal/testenv"
	"nomadctld/internal/testenv/nomadtest"
)

// scriptJobs are the kinds of jobs that a script can register.
var scriptJobs = map[string]func(id, mode string) *api.Job{
	"scalable":      nomadtest.Scalable,
	"canary":        nomadtest.Canary,
	"periodic":      func(id, _ string) *api.Job { return nomadtest.Periodic(id) },
	"parameterized": func(id, _ string) *api.Job { return nomadtest.Parameterized(id) },

	// Three allocations.
	"three": nomadtest.ThreeAllocations,
	// A group "web" with the tasks web and side, and a group "db". Their counts have no limits.
	"groups": func(id, mode string) *api.Job {
		job := nomadtest.Canary(id, mode)
		web := job.TaskGroups[0]
		web.Update.Canary = new(0)
		nomadtest.SetSleep(web.Tasks[0])
		side := *web.Tasks[0]
		side.Name = "side"
		db := *web
		db.Name = new("db")
		db.Tasks = []*api.Task{web.Tasks[0]}
		web.Tasks = []*api.Task{web.Tasks[0], &side}
		job.TaskGroups = append(job.TaskGroups, &db)
		return job
	},
	// A service with one allocation. If its node disconnects, the allocation is unknown for an hour and not replaced.
	"disconnect": func(id, mode string) *api.Job {
		job := nomadtest.Scalable(id, mode)
		job.TaskGroups[0].Scaling = nil
		job.TaskGroups[0].Disconnect = &api.DisconnectStrategy{LostAfter: new(time.Hour), Replace: new(false)}
		return job
	},
	// The same with two allocations.
	"disconnect-two": func(id, mode string) *api.Job {
		job := nomadtest.Scalable(id, mode)
		g := job.TaskGroups[0]
		g.Count, g.Scaling, g.Disconnect = new(2), nil, &api.DisconnectStrategy{
			LostAfter: new(time.Hour),
			Replace:   new(false),
		}
		nomadtest.SetSleep(g.Tasks[0])
		return job
	},
	// Two allocations that are not restarted and not rescheduled if they fail.
	"given-up": func(id, mode string) *api.Job {
		return withoutRestarts(id, mode, &api.ReschedulePolicy{Attempts: new(0), Unlimited: new(false)})
	},
	// A batch job with three allocations. The first one fails and is not rescheduled. The others complete.
	"partly-failed": func(id, mode string) *api.Job {
		job := withoutRestarts(id, mode, &api.ReschedulePolicy{Attempts: new(0), Unlimited: new(false)})
		job.Type = new("batch")
		g := job.TaskGroups[0]
		g.Count, g.Update = new(3), nil
		g.Tasks[0].Config = map[string]any{"command": "/bin/sh", "args": []string{"-c", `test "$NOMAD_ALLOC_INDEX" != 0`}}
		return job
	},
	// Two allocations that are not restarted, but rescheduled an hour after they fail.
	"rescheduled": func(id, mode string) *api.Job {
		return withoutRestarts(id, mode, &api.ReschedulePolicy{
			Unlimited: new(true), Delay: new(time.Hour), DelayFunction: new("constant"), MaxDelay: new(time.Hour),
		})
	},
	// A service that can run only in the datacenter MODE, such as dc9.
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
		nomadtest.SetSleep(g.Tasks[0])
		return job
	},
	// Two tasks. loud writes a line. The job disables the logs of quiet. With the mode "alone", there is only quiet.
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
	// A periodic job whose child jobs do not finish.
	"busy": func(id, _ string) *api.Job {
		job := nomadtest.Periodic(id)
		nomadtest.SetSleep(job.TaskGroups[0].Tasks[0])
		return job
	},
	// A parameterized job without required metadata. The mode is that of its payload: optional, required or forbidden.
	"payload": func(id, mode string) *api.Job {
		job := nomadtest.Parameterized(id)
		job.ParameterizedJob.MetaRequired, job.ParameterizedJob.MetaOptional = nil, []string{"color", "dispatched_by"}
		job.ParameterizedJob.Payload = mode
		return job
	},
}

// withoutRestarts returns a service with two allocations that are not restarted in place. Their count has no limits.
func withoutRestarts(id, mode string, reschedule *api.ReschedulePolicy) *api.Job {
	job := nomadtest.ThreeAllocations(id, mode)
	g := job.TaskGroups[0]
	g.Count, g.Scaling, g.ReschedulePolicy = new(2), nil, reschedule
	g.RestartPolicy = &api.RestartPolicy{Attempts: new(0), Mode: new("fail")}
	return job
}

// registerJob implements the script command job.
func registerJob(ts *testscript.TestScript, _ bool, args []string) {
	kind, ok := scriptJobs[args[0]]
	if !ok {
		ts.Fatalf("unknown kind of job %s (known: %s)", args[0], strings.Join(slices.Sorted(maps.Keys(scriptJobs)), ", "))
	}
	id, mode := args[1], "a"
	if len(args) > 2 {
		mode = args[2]
	}
	client := clusterClient(ts)
	ts.Defer(func() { purge(ts, client, id) })
	_, _, err := client.Jobs().Register(kind(id, mode), nil)
	ts.Check(err)
	poll(ts, id+" is settled", func() error { return nomadtest.CheckSettled(client, id) })
}

func clusterClient(ts *testscript.TestScript) *api.Client {
	client, err := api.NewClient(&api.Config{Address: ts.Getenv("NOMAD"), SecretID: nomadtest.Token})
	ts.Check(err)
	return client
}

// garbageCollect implements the script command gc.
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

// checkCollectable returns an error if Nomad would not garbage-collect a job.
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
		return fmt.Errorf("its status is %s, stopped: %v", *j.Status, *j.Stop)
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

// allocation implements the script command alloc.
func allocation(ts *testscript.TestScript, _ bool, args []string) {
	client := clusterClient(ts)
	defer client.Close()
	poll(ts, args[1]+" has a running allocation", func() error {
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
		return fmt.Errorf("none of %d is running", len(all))
	})
}

// makeToken implements the script command token.
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

// pollTimeout is the time that scripts wait for a state of the cluster.
const pollTimeout = 60 * time.Second

func poll(ts *testscript.TestScript, state string, check func() error) {
	for end := time.Now().Add(pollTimeout); ; time.Sleep(100 * time.Millisecond) {
		err := check()
		if err == nil {
			return
		}
		if time.Now().After(end) {
			ts.Fatalf("timed out waiting until %s: %v", state, err)
		}
	}
}

// until implements the script command until.
func until(ts *testscript.TestScript, _ bool, args []string) {
	poll(ts, strings.Join(args, " ")+" succeeds", func() error { return ts.Exec(args[0], args[1:]...) })
}

// answerPrompt implements the script command prompt.
func answerPrompt(ts *testscript.TestScript, _ bool, args []string) {
	pattern := regexp.MustCompile(args[0])
	cmd := scriptProgram(ts, args[2:])
	var stdout, stderr testenv.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	stdin, err := cmd.StdinPipe()
	ts.Check(err)
	ts.Check(cmd.Start())
	exited := make(chan struct{})
	go func() { cmd.Wait(); close(exited) }()
	defer cmd.Process.Kill()
	poll(ts, "it prints "+args[0], func() error {
		select {
		case <-exited:
			ts.Fatalf("it exited: %s%s", stdout.String(), stderr.String())
		default:
		}
		if !pattern.MatchString(stdout.String()) {
			return fmt.Errorf("so far %q", stdout.String())
		}
		return nil
	})
	_, err = io.WriteString(stdin, args[1])
	ts.Check(err)
	<-exited
	fmt.Fprintf(ts.Stdout(), "%scode=%d\n", stdout.String(), cmd.ProcessState.ExitCode())
	io.WriteString(ts.Stderr(), stderr.String())
}

// scriptProgram returns a program that runs in the directory of a script and with its environment.
func scriptProgram(ts *testscript.TestScript, args []string) *exec.Cmd {
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Dir = ts.MkAbs(".")
	for _, name := range []string{"PATH", "HOME", "SSH", "WORK"} {
		cmd.Env = append(cmd.Env, name+"="+ts.Getenv(name))
	}
	return cmd
}

// keepsRunning implements the script command keepsrunning.
func keepsRunning(ts *testscript.TestScript, _ bool, args []string) {
	var written [2]*os.File
	for i, name := range []string{"running.out", "running.err"} {
		file, err := os.Create(ts.MkAbs(name))
		ts.Check(err)
		defer file.Close()
		written[i] = file
	}
	cmd := scriptProgram(ts, args[2:])
	cmd.Stdout, cmd.Stderr = written[0], written[1]
	ts.Check(cmd.Start())
	exited := make(chan error, 1)
	go func() { exited <- cmd.Wait() }()
	defer cmd.Process.Kill()
	poll(ts, "it prints "+args[0]+" and "+args[1], func() error {
		select {
		case err := <-exited:
			ts.Fatalf("it exited, %v: %s", err, ts.ReadFile("running.err"))
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
	case err := <-exited:
		ts.Fatalf("it exited, %v: %s", err, ts.ReadFile("running.err"))
	case <-time.After(2 * time.Second):
	}
}

// sameJob implements the script command samejob.
func sameJob(ts *testscript.TestScript, neg bool, args []string) {
	a, b := canonicalJob(ts, args[0]), canonicalJob(ts, args[1])
	if (a == b) == neg {
		ts.Fatalf("equal: %v\n%s\n%s", a == b, a, b)
	}
}

// canonicalJob returns a job definition without the fields that Nomad sets, such as the ID of a scaling policy.
func canonicalJob(ts *testscript.TestScript, file string) string {
	var job map[string]any
	ts.Check(json.Unmarshal([]byte(ts.ReadFile(file)), &job))
	if inner, ok := job["Job"].(map[string]any); ok {
		job = inner
	}
	for _, field := range strings.Fields("CreateIndex ModifyIndex JobModifyIndex Version Status StatusDescription " +
		"Stable SubmitTime NomadTokenID Stop") {
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
		ts.Fatalf("%s contains no job definition: %s", file, text)
	}
	return string(text)
}

// request implements the script command api.
func request(ts *testscript.TestScript, _ bool, args []string) {
	body := ""
	if len(args) > 2 {
		body = args[2]
	}
	req, err := http.NewRequest(args[0], ts.Getenv("NOMAD")+args[1], strings.NewReader(body))
	ts.Check(err)
	req.Header.Set("X-Nomad-Token", nomadtest.Token)
	response, err := http.DefaultClient.Do(req)
	ts.Check(err)
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	ts.Check(err)
	if response.StatusCode != http.StatusOK {
		ts.Fatalf("%s %s: %s: %s", args[0], args[1], response.Status, text)
	}
	fmt.Fprintf(ts.Stdout(), "%s\n", text)
}

// startFakeCluster implements the script command fakecluster.
func startFakeCluster(ts *testscript.TestScript, _ bool, _ []string) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/v1/redirect" {
			_, port, _ := net.SplitHostPort(r.Host)
			http.Redirect(w, r, "http://localhost:"+port+"/v1/other", http.StatusTemporaryRedirect)
			return
		}
		fmt.Fprintf(w, "token: %s path: %s\n", r.Header.Get("X-Nomad-Token"), r.URL.Path)
	}))
	ts.Defer(server.Close)
	ts.Setenv("FAKECLUSTER", server.URL)
}

// viaSocket is viasocket PATH: a program that sends a request to the socket in NOMAD_ADDR, as nomad does.
func viaSocket() {
	socket, _ := strings.CutPrefix(os.Getenv("NOMAD_ADDR"), "unix://")
	client := &http.Client{Transport: &http.Transport{DialContext: func(context.Context, string, string) (net.Conn,
		error,
	) {
		return net.Dial("unix", socket)
	}}}
	response, err := client.Get("http://127.0.0.1" + os.Args[1])
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	io.Copy(os.Stdout, response.Body)
}
