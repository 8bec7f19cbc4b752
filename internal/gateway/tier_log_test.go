package gateway

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"nomadctld/backends/nomad"
)

// TestTierLog_EachChangeOnce observes many reads. Some of them finish late.
func TestTierLog_EachChangeOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		withoutTime := func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey {
				return slog.Attr{}
			}
			return a
		}
		log := newTierLog(slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{ReplaceAttr: withoutTime})))
		production := log.observer("production", "https://p:4646")
		quality := log.observer("quality", "https://q:4646")
		refused := errors.New("no response: connection refused")
		late := time.Now()
		production(nomad.TierUp, time.Now(), nil)
		for range 3 {
			time.Sleep(time.Second)
			production(nomad.TierDown, time.Now(), refused)
			quality(nomad.TierUp, time.Now(), nil)
		}
		production(nomad.TierUp, late, nil) // its read started before the tier was down
		time.Sleep(time.Minute)
		late = time.Now()
		time.Sleep(time.Second)
		for range 2 {
			production(nomad.TierUp, time.Now(), nil)
			production(nomad.TierDown, late, refused)
			quality(nomad.TierTokenMissing, time.Now(), errors.New("no such file"))
		}
		quality(nomad.TierTokenRefused, time.Now(), errors.New("403"))
		time.Sleep(time.Second)
		quality(nomad.TierUp, time.Now(), nil)
		const want = `level=WARN msg="tier is down" tier=production url=https://p:4646 error="no response: connection refused"
level=INFO msg="tier is back" tier=production url=https://p:4646 was=down for=1m3s
level=WARN msg="the token file of a tier cannot be read" tier=quality url=https://q:4646 error="no such file"
level=WARN msg="tier refuses the gateway's token" tier=quality url=https://q:4646 error=403
level=INFO msg="tier is back" tier=quality url=https://q:4646 was="token refused" for=1s
`
		if out.String() != want {
			t.Errorf("got\n%s\nwant\n%s", strings.TrimSpace(out.String()), want)
		}
	})
}
