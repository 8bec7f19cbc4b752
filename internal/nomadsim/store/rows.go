package store

import (
	"cmp"
	"slices"
	"time"
)

// object is a JSON object without a type of its own.
type object = map[string]any

// key identifies and orders rows.
type key struct {
	namespace, id string
	created       uint64
}

// Row is a record that can be listed. The fields to which filters refer have Nomad's names.
type Row interface{ key() key }

// byName is the order of Nomad's job table.
func byName(a, b key) int {
	return cmp.Or(cmp.Compare(a.namespace, b.namespace), cmp.Compare(a.id, b.id))
}

// byCreation is the order of allocations, evaluations and deployments. Those of one plan have the same index.
func byCreation(a, b key) int {
	return cmp.Or(cmp.Compare(a.created, b.created), cmp.Compare(a.id, b.id))
}

// put inserts r into ordered rows, or replaces the row with the same key.
func put[T Row](rows []T, r T, order func(a, b key) int) []T {
	i, found := find(rows, r.key(), order)
	if found {
		rows[i] = r
		return rows
	}
	return slices.Insert(rows, i, r)
}

// find returns the index of k in ordered rows, and whether it was found.
func find[T Row](rows []T, k key, order func(a, b key) int) (int, bool) {
	return slices.BinarySearchFunc(rows, k, func(r T, k key) int { return order(r.key(), k) })
}

// drop removes the row with the key of r from ordered rows.
func drop[T Row](rows []T, r T, order func(a, b key) int) []T {
	if i, found := find(rows, r.key(), order); found {
		return slices.Delete(rows, i, i+1)
	}
	return rows
}

// Stamp returns a time in Nomad's format, or nil for the zero time.
func Stamp(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}
