package store

import (
	"cmp"
	"fmt"
	"reflect"
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
	PagesByName = paging{
		token:   func(k key) string { return k.namespace + "." + k.id },
		compare: func(k key, token string) int { return cmp.Compare(k.namespace+"."+k.id, token) },
	}
	PagesByID = paging{
		token:   func(k key) string { return k.id },
		compare: func(k key, token string) int { return cmp.Compare(k.id, token) },
	}
	PagesByCreation = paging{
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

// PageRequest selects one page of a list.
type PageRequest struct {
	Namespace string // "*" means all
	Filter    string
	NextToken string // start of the page; "" means the first page
	PerPage   int    // 0 means all rows
	Reverse   bool
}

// Page returns the requested rows that are visible, and the token of the next page. As in Nomad, the filter is applied
// before the ACL.
func Page[T Row, S any](
	q PageRequest, rows []T, order paging, visible func(namespace string) bool, stub func(T) S,
) (out []S, next string, err error) {
	var filter *bexpr.Evaluator
	if q.Filter != "" {
		if filter, err = bexpr.CreateEvaluator(q.Filter, bexpr.WithHookFn(filterableField)); err != nil {
			return nil, "",
				jobspec.BadRequest("failed to create result paginator: failed to read filter expression: " + err.Error())
		}
	}
	each := slices.Values(rows)
	if q.Reverse {
		each = func(yield func(T) bool) {
			for _, r := range slices.Backward(rows) {
				if !yield(r) {
					return
				}
			}
		}
	}
	out = []S{}
	reached := q.NextToken == ""
	for r := range each {
		k := r.key()
		if k.namespace != "" && q.Namespace != "*" && q.Namespace != k.namespace {
			continue
		}
		if !reached {
			if side := order.compare(k, q.NextToken); (side < 0 && !q.Reverse) || (side > 0 && q.Reverse) {
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
		if q.PerPage > 0 && len(out) == q.PerPage {
			return out, order.token(k), nil
		}
		out = append(out, stub(r))
	}
	return out, "", nil
}

// filterable returns the record that filter expressions refer to. For a job, that is its embedded Registration, because
// expressions do not find the fields of embedded structs.
func filterable(r Row) any {
	if j, isJob := r.(*Job); isJob {
		return &j.Registration
	}
	return r
}

// filterableField is filterable for the value of a field.
func filterableField(v reflect.Value) reflect.Value {
	if v.Type() == reflect.TypeFor[*Job]() && !v.IsNil() {
		return v.Elem().FieldByName("Registration")
	}
	return v
}
