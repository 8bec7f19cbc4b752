package store

import (
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
)

// UUIDDigits returns the hex digits of an ID or, unless whole is set, of an ID prefix. Its errors are those of
// Nomad's state store.
func UUIDDigits(id string, whole bool) (string, error) {
	if whole && len(id) != 36 {
		return "", fmt.Errorf("UUID must be 36 characters")
	}
	if len(id) > 36 {
		return "", fmt.Errorf("Invalid UUID length. UUID have 36 characters; got %d", len(id))
	}
	if n := strings.Count(id, "-"); n > 4 {
		return "", fmt.Errorf(`UUID should have maximum of 4 "-"; got %d`, n)
	}
	d := strings.ReplaceAll(id, "-", "")
	if len(d)%2 != 0 {
		return "", fmt.Errorf("Input (without hyphens) must be even length")
	}
	if _, err := hex.DecodeString(d); err != nil {
		return "", fmt.Errorf("Invalid UUID: %v", err)
	}
	return strings.ToLower(d), nil
}

// RowsWithIDPrefix returns the rows whose ID starts with the digits of prefix, ordered by ID.
func RowsWithIDPrefix[T Row](rows []T, prefix string) ([]T, error) {
	want, err := UUIDDigits(prefix, false)
	if err != nil {
		return nil, err
	}
	var found []T
	for _, r := range rows {
		if strings.HasPrefix(strings.ReplaceAll(r.key().id, "-", ""), want) {
			found = append(found, r)
		}
	}
	slices.SortFunc(found, func(a, b T) int { return strings.Compare(a.key().id, b.key().id) })
	return found, nil
}
