package backends

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Release identifies the contents of a job definition. Definitions whose releases have the same ID run the
// same tasks. The ID does not include counts, because scaling changes only them.
type Release struct {
	ID     string
	Groups []ReleaseGroup // by name
}

// ReleaseGroup is the count and the scaling block of a group. Only the scaling block is part of the release's ID.
type ReleaseGroup struct {
	Name    string
	Count   int
	Scaling string // the scaling block, as JSON; empty: none
	Range   *CountRange
}

// Equal reports whether two releases are equal, including their counts.
func (r Release) Equal(other Release) bool {
	return r.ID == other.ID && slices.EqualFunc(r.Groups, other.Groups, func(a, b ReleaseGroup) bool {
		return a.Name == b.Name && a.Count == b.Count
	})
}

// Group returns the group with this name, and whether it exists.
func (r Release) Group(name string) (ReleaseGroup, bool) {
	for _, g := range r.Groups {
		if g.Name == name {
			return g, true
		}
	}
	return ReleaseGroup{}, false
}

// NonReleaseFields contains the fields of a job that do not belong to its release: those that Nomad sets, Stop and
// VersionTag.
var NonReleaseFields = map[string]bool{
	"CreateIndex": true, "ModifyIndex": true, "JobModifyIndex": true, "Version": true, "Status": true,
	"StatusDescription": true, "SubmitTime": true, "Stable": true, "NomadTokenID": true, "VersionTag": true, "Stop": true,
}

// ReleaseOf returns the release of a definition. It ignores empty fields and NonReleaseFields.
func ReleaseOf(definition json.RawMessage) (r Release, err error) {
	d := json.NewDecoder(bytes.NewReader(definition))
	d.UseNumber()
	var job map[string]any
	if err := d.Decode(&job); err != nil {
		return r, fmt.Errorf("cannot read the definition: %w", err)
	}
	if job == nil {
		return r, errors.New("cannot read the definition: it is null")
	}
	for field := range NonReleaseFields {
		delete(job, field)
	}
	groups, _ := job["TaskGroups"].([]any)
	for _, group := range groups {
		g, _ := group.(map[string]any)
		if g == nil {
			return r, errors.New("cannot read the definition: a group is not an object")
		}
		var one ReleaseGroup
		one.Name, _ = g["Name"].(string)
		if count, ok := g["Count"].(json.Number); ok {
			n, err := count.Int64()
			if err != nil {
				return r, fmt.Errorf("cannot read the definition: count of group %s: %w", one.Name, err)
			}
			one.Count = int(n)
		}
		delete(g, "Count")
		if policy, _ := g["Scaling"].(map[string]any); policy != nil {
			for _, field := range []string{"ID", "CreateIndex", "ModifyIndex", "Target"} {
				delete(policy, field)
			}
			one.Range = rangeOf(policy)
			text, err := json.Marshal(prune(policy))
			if err != nil {
				return r, err
			}
			one.Scaling = string(text)
		}
		r.Groups = append(r.Groups, one)
	}
	slices.SortFunc(r.Groups, func(a, b ReleaseGroup) int { return strings.Compare(a.Name, b.Name) })
	text, err := json.Marshal(prune(job))
	if err != nil {
		return r, err
	}
	sum := sha256.Sum256(text)
	r.ID = hex.EncodeToString(sum[:])
	return r, nil
}

// rangeOf returns the count range of a scaling policy.
func rangeOf(policy map[string]any) *CountRange {
	var s CountRange
	for field, p := range map[string]*int{"Min": &s.Min, "Max": &s.Max} {
		if n, ok := policy[field].(json.Number); ok {
			i, _ := n.Int64()
			*p = int(i)
		}
	}
	return &s
}

// WithCounts returns the definition with the given counts, by group. It changes nothing else.
func WithCounts(definition json.RawMessage, counts map[string]int) (json.RawMessage, error) {
	return withField(definition, "Count", func(group string) (any, bool) {
		count, ok := counts[group]
		return count, ok
	})
}

// reschedulePolicy is a group's reschedule policy as Nomad stores it.
type reschedulePolicy struct {
	Attempts        int
	Interval, Delay time.Duration
	DelayFunction   string
	MaxDelay        time.Duration
	Unlimited       bool
}

// rescheduleOnce is a reschedule policy that lets Nomad replace a failed allocation once. The interval does not matter,
// because the policy is removed again.
var rescheduleOnce = reschedulePolicy{
	Attempts: 1, Interval: time.Hour, Delay: 5 * time.Second, DelayFunction: "constant",
}

// WithRescheduling returns the definition with a policy that lets Nomad replace a failed allocation once, in the given
// groups. It changes nothing else.
func WithRescheduling(definition json.RawMessage, groups map[string]bool) (json.RawMessage, error) {
	return withField(definition, "ReschedulePolicy", func(group string) (any, bool) {
		return rescheduleOnce, groups[group]
	})
}

// IsRescheduleVariant reports whether the definition is the result of WithRescheduling on original, for one or more
// groups.
func IsRescheduleVariant(definition, original json.RawMessage) bool {
	var job struct {
		TaskGroups []struct {
			Name             string
			ReschedulePolicy reschedulePolicy
		}
	}
	if json.Unmarshal(definition, &job) != nil {
		return false
	}
	groups := map[string]bool{}
	for _, g := range job.TaskGroups {
		if g.ReschedulePolicy == rescheduleOnce {
			groups[g.Name] = true
		}
	}
	if len(groups) == 0 {
		return false
	}
	expected, err := WithRescheduling(original, groups)
	if err != nil {
		return false
	}
	is, err := ReleaseOf(definition)
	want, err2 := ReleaseOf(expected)
	return err == nil && err2 == nil && is.Equal(want)
}

// withField returns the definition with a field of some groups replaced. value returns false for the other groups.
func withField(
	definition json.RawMessage, field string, value func(group string) (any, bool),
) (json.RawMessage, error) {
	var job map[string]json.RawMessage
	var groups []map[string]json.RawMessage
	if err := json.Unmarshal(definition, &job); err != nil {
		return nil, fmt.Errorf("cannot read the definition: %w", err)
	}
	if err := json.Unmarshal(job["TaskGroups"], &groups); err != nil {
		return nil, fmt.Errorf("cannot read the definition: %w", err)
	}
	for _, group := range groups {
		var name string
		if err := json.Unmarshal(group["Name"], &name); err != nil {
			return nil, fmt.Errorf("cannot read the definition: %w", err)
		}
		if v, ok := value(name); ok {
			text, err := json.Marshal(v)
			if err != nil {
				return nil, err
			}
			group[field] = text
		}
	}
	text, err := json.Marshal(groups)
	if err != nil {
		return nil, err
	}
	job["TaskGroups"] = text
	return json.Marshal(job)
}

// prune removes empty values, because Nomad does not distinguish an empty list from a missing one.
func prune(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for key, value := range v {
			if pruned := prune(value); pruned == nil {
				delete(v, key)
			} else {
				v[key] = pruned
			}
		}
		if len(v) == 0 {
			return nil
		}
	case []any:
		for i := range v {
			v[i] = prune(v[i])
		}
		if len(v) == 0 {
			return nil
		}
	case string:
		if v == "" {
			return nil
		}
	}
	return v
}
