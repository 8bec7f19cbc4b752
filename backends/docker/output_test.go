package docker

import (
	"bytes"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"testing"
	"testing/synctest"
	"time"
)

// pieces is read piece by piece.
type pieces struct {
	count, size int
}

func (p *pieces) Read(b []byte) (int, error) {
	if p.count == 0 {
		return 0, io.EOF
	}
	p.count--
	return min(p.size, len(b)), nil
}

func TestABusyStreamIsLetPileUp(t *testing.T) {
	for name, c := range map[string]struct {
		pieces
		conn net.Conn
		want time.Duration
	}{
		"busy, taken as it comes":  {pieces{64 + 1, gatherAfter}, nil, 64 * gatherTime}, // the first is read with the small buffer
		"busy, and piles up":       {pieces{64, 128 << 10}, nil, 0},
		"lines":                    {pieces{1000, 100}, nil, 100_000 / gatherAfter * gatherTime},
		"the records of TLS":       {pieces{64, 16 << 10}, &tls.Conn{}, 0},
		"an answer that was short": {pieces{1, 100 << 10}, nil, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var got bytes.Buffer
				o := newOutput(&got, nil, true)
				o.wire = &wire{Conn: c.conn}
				o.wire.status.Store(http.StatusOK)
				begin := time.Now()
				read, err := o.ReadFrom(&c.pieces)
				if took := time.Since(begin); err != nil || int64(got.Len()) != read || took != c.want {
					t.Errorf("%d bytes of %d, %v, in %s, want %s", got.Len(), read, err, took, c.want)
				}
			})
		})
	}
}
