package nomadsim

import (
	"nomadctld/internal/nomadsim/jobspec"

	"nomadctld/internal/nomadsim/store"
)

// visibleNamespaces returns a function that reports which namespaces a list may include. It returns an error if the
// token does not have the capability in the requested namespace or, for "*", in any namespace.
func visibleNamespaces(st *store.State, q *query, capability string) (func(namespace string) bool, error) {
	rights := q.token.rights
	if !rights.allows(q.namespace, capability) {
		return nil, jobspec.ErrDenied
	}
	allowed := make(map[string]bool)
	for _, n := range st.Namespaces {
		allowed[n.Name] = rights.allows(n.Name, capability)
	}
	return func(namespace string) bool { return allowed[namespace] }, nil
}
