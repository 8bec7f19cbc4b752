package router

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"nomadctld/acl"
	"nomadctld/backends"
	"nomadctld/internal/cmdline"
)

// accessUse is what a running command or operation uses of its user's access. A nil accessUse is not tracked.
type accessUse struct {
	running *Running
	granted rules   // under which the access was granted
	session Session // of the user
	stop    func(error)
	// started is when an operation started. check judges the login as of this time, because its certificate may expire
	// while the operation runs. Zero: not an operation.
	started time.Time

	uses []use // guarded by Running.mu
}

// use is a right that a command uses: on one job, or else on a scope.
type use struct {
	right string
	job   *backends.JobRef
	scope acl.Scope
}

// onScope records that a right on a scope is used. It returns an error if the latest configuration does not grant it.
func (a *accessUse) onScope(right string, scope acl.Scope) error {
	return a.add(use{right: right, scope: scope})
}

// onJob records that a right on a job is used. It returns an error if the latest configuration does not grant it.
func (a *accessUse) onJob(right string, job backends.JobRef) error {
	return a.add(use{right: right, job: &job})
}

func (a *accessUse) add(u use) error {
	if a == nil {
		return nil
	}
	a.running.mu.Lock()
	a.uses = append(a.uses, u)
	a.running.mu.Unlock()
	return a.recheck()
}

// recheck returns an error if the latest configuration does not grant the access.
func (a *accessUse) recheck() error {
	if a == nil {
		return nil
	}
	a.running.mu.Lock()
	defer a.running.mu.Unlock()
	if latest := a.running.rules; latest.users != nil && latest.users != a.granted.users {
		return a.check(latest)
	}
	return nil
}

// release stops tracking.
func (a *accessUse) release() {
	if a == nil {
		return
	}
	a.running.mu.Lock()
	defer a.running.mu.Unlock()
	delete(a.running.tracked, a)
}

// forOperation returns a copy for an operation that the command starts. stop is called if the access is lost.
func (a *accessUse) forOperation(stop func(error)) *accessUse {
	if a == nil {
		return nil
	}
	operation := a.running.track(a.granted, a.session, stop)
	a.running.mu.Lock()
	defer a.running.mu.Unlock()
	operation.started = time.Now()
	operation.uses = slices.Clone(a.uses)
	return operation
}

// check returns an error if the rules do not grant the access. The caller holds Running.mu.
func (a *accessUse) check(now rules) error {
	at := a.started
	if at.IsZero() {
		at = time.Now()
	}
	login, err := a.session.login(now.users, at)
	if err != nil {
		return err
	}
	if login.Command != nil && !sameWords(*login.Command, a.session.Line) {
		return errors.New("your login is now restricted to a different command; ask the gateway's operator")
	}
	for _, u := range a.uses {
		scope := login.User.Scope(u.right, now.tiers)
		if u.job != nil {
			if !scope.Owns(*u.job) {
				return fmt.Errorf("you no longer have the %s right on %s; ask the gateway's operator", u.right, u.job.ID)
			}
			if err := a.checkCluster(now, u.job.Tier); err != nil {
				return err
			}
			continue
		}
		if !scope.Covers(u.scope) {
			return fmt.Errorf("you no longer have the %s right on all the jobs that this command shows; run it again", u.right)
		}
		for _, tier := range u.scope.Tiers() {
			if err := a.checkCluster(now, tier); err != nil {
				return err
			}
		}
	}
	return nil
}

// sameWords reports whether two command lines are the same.
func sameWords(a, b string) bool {
	x, errX := cmdline.Split(a)
	y, errY := cmdline.Split(b)
	return errX == nil && errY == nil && slices.Equal(x, y)
}

// checkCluster returns an error if a tier has become another cluster.
func (a *accessUse) checkCluster(now rules, tier string) error {
	if a.granted.cluster(tier) != now.cluster(tier) {
		return fmt.Errorf("tier %s has another address now; run the command again", tier)
	}
	return nil
}
