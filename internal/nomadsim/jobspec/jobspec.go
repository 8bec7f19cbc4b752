// Package jobspec contains the pure part of the simulated Nomad: it parses job definitions, fills in Nomad's defaults,
// compares versions and renders them as JSON. It also has the types with which tests describe jobs and their state. It
// has no locks, clocks or goroutines.
package jobspec

// object is a JSON object without a type of its own.
type object = map[string]any

const mib = 1 << 20
