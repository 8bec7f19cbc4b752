package wire

import (
	"compress/gzip"
	"io"
	"net/http"
	"strings"
	"sync"
)

// compressors is a pool, because creating a compressor costs more than compressing a small response. The level is not
// Nomad's default but the fastest one, to save time in tests.
var compressors = sync.Pool{New: func() any {
	z, _ := gzip.NewWriterLevel(io.Discard, gzip.BestSpeed)
	return z
}}

// compress returns a writer that compresses if the client accepts gzip. As in Nomad, that applies to responses of any
// size and status, but not to websocket upgrades. finish ends the response.
func compress(w http.ResponseWriter, r *http.Request) (zipped http.ResponseWriter, finish func()) {
	w.Header().Add("Vary", "Accept-Encoding")
	asked := false
	for enc := range strings.SplitSeq(r.Header.Get("Accept-Encoding"), ",") {
		asked = asked || strings.TrimSpace(enc) == "gzip"
	}
	if !asked || r.Header.Get("Upgrade") != "" {
		return w, func() {}
	}
	w.Header().Set("Content-Encoding", "gzip")
	z := compressors.Get().(*gzip.Writer)
	z.Reset(w)
	return zipWriter{w, z}, func() {
		z.Close()
		compressors.Put(z)
	}
}

type zipWriter struct {
	http.ResponseWriter
	z *gzip.Writer
}

func (w zipWriter) Write(p []byte) (int, error) { return w.z.Write(p) }

// Flush sends the buffered output, which streams need.
func (w zipWriter) Flush() {
	w.z.Flush()
	http.NewResponseController(w.ResponseWriter).Flush()
}

func (w zipWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
