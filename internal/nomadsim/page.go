package nomadsim

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/hashicorp/go-bexpr"

	"nomadctld/internal/nomadsim/jobspec"
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

// pageRequest selects one page of a list.
type pageRequest struct {
	namespace string // "*" means all
	filter    string
	nextToken string // start of the page; "" means the first page
	perPage   int    // 0 means all rows
	reverse   bool
}

// page returns the requested rows that are visible, and the token of the next page. As in Nomad, the filter is applied
// before the ACL.
func page[T row, S any](
	q pageRequest, rows []T, order paging, visible func(namespace string) bool, stub func(T) S,
) (out []S, next string, err error) {
	var filter *bexpr.Evaluator
	if q.filter != "" {
		if filter, err = bexpr.CreateEvaluator(q.filter); err != nil {
			return nil, "", jobspec.BadRequest("failed to create result paginator: failed to read filter expression: " + err.Error())
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
	out = []S{}
	reached := q.nextToken == ""
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
			fits, err := filter.Evaluate(filterable(r))
			if err != nil {
				return nil, "", jobspec.BadRequest("failed to read result page: " + err.Error())
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
			return out, order.token(k), nil
		}
		out = append(out, stub(r))
	}
	return out, "", nil
}

// filterable returns the record whose fields filter expressions name.
func filterable(r row) any {
	if j, isJob := r.(*job); isJob {
		return &j.Registration // the names of embedded fields are not looked up
	}
	return r
}
