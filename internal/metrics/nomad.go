package metrics

import (
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// NomadRequest counts a request to a tier. kind is one of the client's kinds of connections, and code is 2xx to 5xx,
// canceled or error.
func (r *Recorder) NomadRequest(tier, kind, code string, took time.Duration) {
	if r == nil {
		return
	}
	r.nomadRequests.WithLabelValues(tier, kind, code).Inc()
	r.nomadRequestDuration.WithLabelValues(tier, kind).Observe(took.Seconds())
}

// Slots are the connections of one kind that the gateway may have to a tier. Tiers of the same cluster share them.
type Slots struct {
	Tier     string
	Kind     string // a few fixed names, such as read and program
	Capacity int
	Used     int
	Waiting  int // requests that wait for a slot
}

// CountSlots sets the function that returns the slots of all tiers.
func (r *Recorder) CountSlots(count func() []Slots) {
	if r != nil {
		r.slots.count.Store(&count)
	}
}

// slotCollector exposes the slots.
type slotCollector struct {
	count atomic.Pointer[func() []Slots]
}

var (
	slotLabels   = []string{"tier", "kind"}
	capacityDesc = prometheus.NewDesc(namespace+"_nomad_slots",
		"Connections that the gateway may have to a tier. Tiers of the same cluster share them.", slotLabels, nil)
	usedDesc = prometheus.NewDesc(namespace+"_nomad_slots_used", "Connections to a tier that are in use.",
		slotLabels, nil)
	waitingDesc = prometheus.NewDesc(namespace+"_nomad_slots_waiting",
		"Requests that wait for a connection to a tier.", slotLabels, nil)
)

func (c *slotCollector) Describe(descs chan<- *prometheus.Desc) {
	descs <- capacityDesc
	descs <- usedDesc
	descs <- waitingDesc
}

func (c *slotCollector) Collect(series chan<- prometheus.Metric) {
	count := c.count.Load()
	if count == nil {
		return
	}
	for _, s := range (*count)() {
		for desc, n := range map[*prometheus.Desc]int{capacityDesc: s.Capacity, usedDesc: s.Used, waitingDesc: s.Waiting} {
			series <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, float64(n), s.Tier, s.Kind)
		}
	}
}
