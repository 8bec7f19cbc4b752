package backends

// CheckDefinition is a service check that Nomad itself runs, as a version of a job defines it.
type CheckDefinition struct {
	Service, Name string
	Task          string // of the service; empty: a service of the group
	Type          string // http or tcp
	Protocol      string // http or https; empty: a TCP check
	Method        string // GET by default; empty: a TCP check
	Path          string // not interpolated; empty: a TCP check
	Hidden        bool   // Path looks like a secret and is hidden
	Port          string // a label or a number; empty: none
}
