package router

import (
	"errors"

	"nomadctld/acl"
	"nomadctld/backends"
	"nomadctld/internal/safego"
)

// errNotOwned is returned for jobs outside the scope. It is a safety net: commands pass only jobs that authorize
// found, so users do not see it.
var errNotOwned = errors.New("not in the user's scope")

// guard calls f with the client of the job's tier if the scope owns the job. Every read and every change of one job
// goes through it. A panic of f becomes an error. Errors of the cluster name the tier.
func guard[Client, T any](owned acl.Scope, clientOf func(tier string) Client, job backends.JobRef,
	f func(Client) (T, error),
) (result T, err error) {
	if !owned.Owns(job) {
		return result, errNotOwned
	}
	err = safego.Protect(func() (err error) {
		result, err = f(clientOf(job.Tier))
		return err
	})
	return result, addTier(job.Tier, err)
}

// guardError is guard for a call that returns only an error.
func guardError[Client any](owned acl.Scope, clientOf func(tier string) Client, job backends.JobRef,
	f func(Client) error,
) error {
	_, err := guard(owned, clientOf, job, func(c Client) (struct{}, error) { return struct{}{}, f(c) })
	return err
}
