package docker

import (
	"bytes"
	"errors"
	"io"
	"testing"
)

func TestFrames_BadFrameKeepsEarlierOutput(t *testing.T) {
	var stdout, stderr bytes.Buffer
	f := &demuxer{outputs: [2]io.Writer{&stdout, &stderr}}
	err := f.demux([]byte("\x02\x00\x00\x00\x00\x00\x00\x03err\x01\x00\x00\x00\x00\x00\x00\x03out" + "HTTP/1.1 500"))
	if !errors.Is(err, errFrame) || stdout.String() != "out" || stderr.String() != "err" {
		t.Errorf("stdout %q, stderr %q, %v", &stdout, &stderr, err)
	}
}
