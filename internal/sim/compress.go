package sim

import (
	"compress/gzip"
	"io"
	"net/http"
	"strings"
	"sync"
)

// Not Nomad's default level: a test should not spend its time in the compressor. The pool is for the many small
// answers, to which a new compressor costs more than the compression.
var compressors = sync.Pool{New: func() any {
	z, _ := gzip.NewWriterLevel(io.Discard, gzip.BestSpeed)
	return z
}}

// compress returns a writer that compresses when the client asks for gzip, by the rules of Nomad: whatever the
// size and the status, and never what is to be upgraded to a websocket. finish ends the answer.
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

// Flush sends what was written so far, which streams need.
func (w zipWriter) Flush() {
	w.z.Flush()
	http.NewResponseController(w.ResponseWriter).Flush()
}

func (w zipWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
