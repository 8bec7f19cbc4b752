package jobspec

import (
	"cmp"
	"slices"
	"time"
)

// Service is a service of a group or a task.
type Service struct {
	Name     string
	Provider string // "nomad" (default) or "consul", whose checks Nomad does not run
	Port     string // a label or a number
	Address  string
	Tags     []string
	Checks   []Check
}

// Check is a check of a service. It passes on running allocations, unless they list it in FailingChecks.
type Check struct {
	Name              string
	Type              string // "tcp" (default) or "http"
	Path, Port        string
	OnUpdate          string        // "require_healthy" (default), or "ignore" if deployments do not wait for it
	Interval, Timeout time.Duration // default 10 s and 2 s
}

func services(j *Registration, task string, all []Service) (rows []object) {
	for _, s := range all {
		var checks []object
		for _, c := range s.Checks {
			checks = append(checks, c.detail(task))
		}
		rows = append(rows, object{
			"Name": s.Name, "Provider": cmp.Or(s.Provider, "nomad"), "PortLabel": s.Port, "Address": s.Address, "Tags": s.Tags,
			"TaskName": task, "Namespace": j.Namespace, "AddressMode": "auto", "Checks": checks, "Cluster": "default",
			"EnableTagOverride": false, "Kind": "", "OnUpdate": "require_healthy",
			"CanaryMeta": nil, "CanaryTags": nil, "Connect": nil, "Identity": nil, "Meta": nil, "TaggedAddresses": nil,
			"Weights": nil,
		})
	}
	return rows
}

// impliedConstraints returns the constraints that Nomad adds to a group with Nomad services.
func (g Group) impliedConstraints() []Constraint {
	all := g.Services
	for _, t := range g.Tasks {
		all = slices.Concat(all, t.Services)
	}
	if !slices.ContainsFunc(all, Service.IsNomadService) {
		return nil
	}
	return []Constraint{{"${attr.nomad.service_discovery}", "=", "true"}, {"${attr.nomad.version}", "semver", ">= 1.4.0"}}
}

// IsNomadService reports whether the service is registered in Nomad itself.
func (s Service) IsNomadService() bool { return cmp.Or(s.Provider, "nomad") == "nomad" }

func (c Check) detail(task string) object {
	return object{
		"Name": c.Name, "Type": cmp.Or(c.Type, "tcp"), "Path": c.Path, "PortLabel": c.Port,
		"OnUpdate": cmp.Or(c.OnUpdate, "require_healthy"), "TaskName": task,
		"Interval": cmp.Or(c.Interval, 10*time.Second), "Timeout": cmp.Or(c.Timeout, 2*time.Second),
		"AddressMode": "", "Body": "", "Command": "", "Expose": false, "FailuresBeforeCritical": 0,
		"FailuresBeforeWarning": 0, "GRPCService": "", "GRPCUseTLS": false, "InitialStatus": "", "Method": "", "Notes": "",
		"Protocol": "", "SuccessBeforePassing": 0, "TLSServerName": "", "TLSSkipVerify": false,
		"Args": nil, "CheckRestart": nil, "Header": nil,
	}
}

// CheckFailure is the result of a failing check.
type CheckFailure struct {
	StatusCode int // of an HTTP check that got a response
	Output     string
}
