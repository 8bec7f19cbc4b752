package docker

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"testing"
	"testing/synctest"
	"time"
)

// pieces is read piece by piece, each of which takes a time to come.
type pieces struct {
	count, size int
	every       time.Duration
}

func (p *pieces) Read(b []byte) (int, error) {
	if p.count == 0 {
		return 0, io.EOF
	}
	p.count--
	time.Sleep(p.every)
	return min(p.size, len(b)), nil
}

// sink takes what is written to it.
type sink struct{ net.Conn }

func (sink) Write(p []byte) (int, error) { return len(p), nil }

func TestABusyStreamIsLetGather(t *testing.T) {
	const each = 100 * time.Microsecond
	for name, c := range map[string]struct {
		pieces
		conn net.Conn
		ask  bool          // the program something before it begins
		want time.Duration // what is waited beyond what the pieces take
	}{
		"busy":                  {pieces{64, 4 << 10, each}, sink{}, false, 4 * gatherTime},
		"has gathered":          {pieces{64, 32 << 10, each}, sink{}, false, 0},
		"what is shown at once": {pieces{15, 4 << 10, each}, sink{}, false, 0},
		"an answer":             {pieces{64, 4 << 10, each}, sink{}, true, 0},
		"the records of TLS":    {pieces{64, 8 << 10, each}, &tls.Conn{}, false, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var got bytes.Buffer
				o := newOutput(&got, nil, true)
				o.wire = &wire{Conn: c.conn}
				o.wire.status.Store(http.StatusOK)
				if c.ask {
					o.wire.Write([]byte("question"))
				}
				begin, pieces := time.Now(), time.Duration(c.count)*c.every
				read, err := o.ReadFrom(&c.pieces)
				if waited := time.Since(begin) - pieces; err != nil || int64(got.Len()) != read || waited != c.want {
					t.Errorf("%d bytes of %d, %v, waited %s, want %s", got.Len(), read, err, waited, c.want)
				}
			})
		})
	}
}

// program writes size bytes, rate of them a second, and waits while there are limit of them that nobody has read.
type program struct {
	size, rate, limit int
	unread            int
	since             time.Time
}

func (p *program) Read(b []byte) (int, error) {
	if p.size == 0 {
		return 0, io.EOF
	}
	const least = 4 << 10
	if p.come(); p.unread < least {
		time.Sleep(time.Second * time.Duration(least) / time.Duration(p.rate))
		p.come()
	}
	n := min(p.unread, p.size, len(b))
	p.unread, p.size = p.unread-n, p.size-n
	return n, nil
}

func (p *program) come() {
	now := time.Now()
	p.unread = min(p.limit, p.unread+int(now.Sub(p.since).Seconds()*float64(p.rate)))
	p.since = now
}

func TestAFastProgramDoesNotWaitForWhatGathers(t *testing.T) {
	for _, rate := range []int{20e6, 100e6, 300e6, 1e9} {
		t.Run(fmt.Sprintf("%d MB a second", rate/1e6), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := newOutput(io.Discard, nil, true)
				o.wire = &wire{}
				o.wire.status.Store(http.StatusOK)
				begin := time.Now()
				size := rate
				read, err := o.ReadFrom(&program{size: size, rate: rate, limit: 1e6, since: begin})
				if took := time.Since(begin); read != int64(size) || err != nil || took > time.Second*105/100 {
					t.Errorf("%d bytes, %v, took %s, the program needs 1s", read, err, took)
				}
			})
		})
	}
}
