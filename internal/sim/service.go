package sim

import (
	"cmp"
	"slices"
	"time"
)

// Service is what others find a group or a task by.
type Service struct {
	Name     string
	Provider string // "nomad" when empty; also "consul", whose checks Nomad knows nothing of
	Port     string // a label or a number
	Address  string
	Tags     []string
	Checks   []Check
}

// Check is one check of a service. It passes on a running allocation unless that says otherwise.
type Check struct {
	Name              string
	Type              string // "tcp" when empty; also "http"
	Path, Port        string
	OnUpdate          string        // "require_healthy" when empty; "ignore": a deployment does not wait for it
	Interval, Timeout time.Duration // 10 s and 2 s when zero
}

func services(j *job, task string, all []Service) (rows []object) {
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

// impliedConstraints is what Nomad asks of a node beside what the group does, for the services that Nomad keeps itself.
func (g Group) impliedConstraints() []Constraint {
	all := g.Services
	for _, t := range g.Tasks {
		all = slices.Concat(all, t.Services)
	}
	if !slices.ContainsFunc(all, Service.isNomadService) {
		return nil
	}
	return []Constraint{{"${attr.nomad.service_discovery}", "=", "true"}, {"${attr.nomad.version}", "semver", ">= 1.4.0"}}
}

// isNomadService reports whether Nomad keeps the service and its checks itself.
func (s Service) isNomadService() bool { return cmp.Or(s.Provider, "nomad") == "nomad" }

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
