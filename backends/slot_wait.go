package backends

import "context"

// SlotWait describes a request that waits for one of a cluster's slots for programs or logs.
type SlotWait struct {
	Position int // 1: it is the next to get a slot
	Waiting  int // requests that wait, with this one
}

type slotWaitKey struct{}

// WithSlotWait returns a context whose requests call report once if they have waited a second for a slot. They
// call report in a goroutine of its own.
func WithSlotWait(ctx context.Context, report func(SlotWait)) context.Context {
	return context.WithValue(ctx, slotWaitKey{}, report)
}

// ReportSlotWait calls the function from WithSlotWait, if there is one.
func ReportSlotWait(ctx context.Context, w SlotWait) {
	if report, ok := ctx.Value(slotWaitKey{}).(func(SlotWait)); ok {
		report(w)
	}
}
