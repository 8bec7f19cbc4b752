package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"

	"github.com/hashicorp/nomad/api"
	"github.com/rogpeppe/go-internal/testscript"

	"nomadctld/internal/testenv/nomadtest"
)

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
