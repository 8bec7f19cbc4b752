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

// slowReader returns a number of chunks, one every interval.
type slowReader struct {
	count, size int
	every       time.Duration
}

func (p *slowReader) Read(b []byte) (int, error) {
	if p.count == 0 {
		return 0, io.EOF
	}
	p.count--
	time.Sleep(p.every)
	return min(p.size, len(b)), nil
}

// sinkConn discards what is written to it.
type sinkConn struct{ net.Conn }

func (sinkConn) Write(p []byte) (int, error) { return len(p), nil }

func TestReadDelay_BusyStream(t *testing.T) {
	const each = 100 * time.Microsecond
	for name, c := range map[string]struct {
		slowReader
		conn net.Conn
		ask  bool          // send something to the program first
		want time.Duration // additional to the time of the chunks
	}{
		"busy":          {slowReader{64, 4 << 10, each}, sinkConn{}, false, 4 * maxReadDelay},
		"large reads":   {slowReader{64, 32 << 10, each}, sinkConn{}, false, 0},
		"little output": {slowReader{15, 4 << 10, each}, sinkConn{}, false, 0},
		"reply":         {slowReader{64, 4 << 10, each}, sinkConn{}, true, 0},
		"TLS records":   {slowReader{64, 8 << 10, each}, &tls.Conn{}, false, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var got bytes.Buffer
				o := newOutputReceiver(&got, nil, true)
				o.conn = &streamConn{Conn: c.conn}
				o.conn.status.Store(http.StatusOK)
				if c.ask {
					o.conn.Write([]byte("input"))
				}
				start, chunkTime := time.Now(), time.Duration(c.count)*c.every
				read, err := o.ReadFrom(&c.slowReader)
				if waited := time.Since(start) - chunkTime; err != nil || int64(got.Len()) != read || waited != c.want {
					t.Errorf("%d bytes of %d, %v, waited %s, want %s", got.Len(), read, err, waited, c.want)
				}
			})
		})
	}
}

// simulatedProgram writes size bytes at rate bytes per second. It blocks while limit bytes are unread.
type simulatedProgram struct {
	size, rate, limit int
	unread            int
	since             time.Time
}

func (p *simulatedProgram) Read(b []byte) (int, error) {
	if p.size == 0 {
		return 0, io.EOF
	}
	const minRead = 4 << 10
	if p.produce(); p.unread < minRead {
		time.Sleep(time.Second * time.Duration(minRead) / time.Duration(p.rate))
		p.produce()
	}
	n := min(p.unread, p.size, len(b))
	p.unread, p.size = p.unread-n, p.size-n
	return n, nil
}

func (p *simulatedProgram) produce() {
	now := time.Now()
	p.unread = min(p.limit, p.unread+int(now.Sub(p.since).Seconds()*float64(p.rate)))
	p.since = now
}

func TestReadDelay_FastProgram(t *testing.T) {
	for _, rate := range []int{20e6, 100e6, 300e6, 1e9} {
		t.Run(fmt.Sprintf("%d MB/s", rate/1e6), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := newOutputReceiver(io.Discard, nil, true)
				o.conn = &streamConn{}
				o.conn.status.Store(http.StatusOK)
				start := time.Now()
				size := rate
				read, err := o.ReadFrom(&simulatedProgram{size: size, rate: rate, limit: 1e6, since: start})
				if took := time.Since(start); read != int64(size) || err != nil || took > time.Second*105/100 {
					t.Errorf("%d bytes, %v, took %s, the program needs 1s", read, err, took)
				}
			})
		})
	}
}
