package router

import (
	"errors"

	"nomadctld/backends"
)

// addTier adds the name of the tier to err, or to each of the errors that were joined in it.
func addTier(tier string, err error) error {
	if err == nil {
		return nil
	}
	var all []error
	for _, single := range splitErrors(err) {
		all = append(all, &backends.TierError{Tier: tier, Err: single})
	}
	if len(all) == 1 {
		return all[0]
	}
	return errors.Join(all...)
}

// splitErrors returns the errors that were joined in err. A message that wraps several errors counts as one.
func splitErrors(err error) []error {
	if err == nil {
		return nil
	}
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok || err.Error() != errors.Join(joined.Unwrap()...).Error() {
		return []error{err}
	}
	var all []error
	for _, single := range joined.Unwrap() {
		all = append(all, splitErrors(single)...)
	}
	return all
}

// flattenErrors joins errors, including those that are joined in one of them. It returns nil if there are none.
func flattenErrors(errs []error) error {
	joined := errors.Join(errs...)
	if joined == nil {
		return nil
	}
	return errors.Join(splitErrors(joined)...)
}

// onlyNamespaceErrors reports whether err has only errors about namespaces that the gateway's token may not read. Jobs
// in them cannot be used anyway, so they do not make a selector ambiguous.
func onlyNamespaceErrors(err error) bool {
	for _, single := range splitErrors(err) {
		if _, ok := errors.AsType[*backends.NamespaceError](single); !ok {
			return false
		}
	}
	return true
}
