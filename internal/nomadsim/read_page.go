package nomadsim

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/hashicorp/go-bexpr"
)

// paging defines the pages of a list: the token of a row, and how a row compares to a token.
type paging struct {
	token   func(k key) string
	compare func(k key, token string) int
}

var (
	pagesByName = paging{
		token:   func(k key) string { return k.namespace + "." + k.id },
		compare: func(k key, token string) int { return cmp.Compare(k.namespace+"."+k.id, token) },
	}
	pagesByID = paging{
		token:   func(k key) string { return k.id },
		compare: func(k key, token string) int { return cmp.Compare(k.id, token) },
	}
	pagesByCreation = paging{
		token: func(k key) string { return fmt.Sprintf("%d.%s", k.created, k.id) },
		compare: func(k key, token string) int {
			index, id, _ := strings.Cut(token, ".")
			created, err := strconv.Atoi(index)
			if err != nil {
				return cmp.Compare(fmt.Sprintf("%d.%s", k.created, k.id), token)
			}
			return cmp.Or(cmp.Compare(k.created, uint64(created)), cmp.Compare(k.id, id))
		},
	}
)

// page returns one page of the rows in the query's namespace that match the filter and that the token may read. It
// also sets the token of the next page. As in Nomad, the filter is applied before the ACL.
func page[T row, S any](
	q *query, rows []T, order paging, visible func(namespace string) bool, stub func(T) S,
) ([]S, error) {
	var filter *bexpr.Evaluator
	if q.filter != "" {
		var err error
		if filter, err = bexpr.CreateEvaluator(q.filter); err != nil {
			return nil, httpError{400, "failed to create result paginator: failed to read filter expression: " + err.Error()}
		}
	}
	each := slices.Values(rows)
	if q.reverse {
		each = func(yield func(T) bool) {
			for _, r := range slices.Backward(rows) {
				if !yield(r) {
					return
				}
			}
		}
	}
	out, reached := []S{}, q.nextToken == ""
	q.nextPage = ""
	for r := range each {
		k := r.key()
		if k.namespace != "" && q.namespace != "*" && q.namespace != k.namespace {
			continue
		}
		if !reached {
			if side := order.compare(k, q.nextToken); (side < 0 && !q.reverse) || (side > 0 && q.reverse) {
				continue
			}
		}
		if filter != nil {
			fits, err := filter.Evaluate(r)
			if err != nil {
				return nil, httpError{400, "failed to read result page: " + err.Error()}
			}
			if !fits {
				continue
			}
		}
		if !visible(k.namespace) {
			continue
		}
		reached = true
		if q.perPage > 0 && len(out) == q.perPage {
			q.nextPage = order.token(k)
			break
		}
		out = append(out, stub(r))
	}
	return out, nil
}

// visibleNamespaces returns a function that reports which namespaces a list may include. It returns an error if the
// token does not have the capability in the requested namespace or, for "*", in any namespace.
func (c *Cluster) visibleNamespaces(q *query, capability string) (func(namespace string) bool, error) {
	rights := q.token.rights
	if !rights.allows(q.namespace, capability) {
		return nil, errDenied
	}
	allowed := make(map[string]bool)
	for _, n := range c.namespaces {
		allowed[n.Name] = rights.allows(n.Name, capability)
	}
	return func(namespace string) bool { return allowed[namespace] }, nil
}
