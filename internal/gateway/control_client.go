package gateway

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"
)

// Control sends a request to the gateway that listens on the control socket at path, and returns the lines of the
// result. The error of a command that failed has several lines.
func Control(path string, request ControlRequest) (lines []string, err error) {
	conn, err := net.DialTimeout("unix", path, controlTimeout)
	if err != nil {
		if op := (*net.OpError)(nil); errors.As(err, &op) {
			err = op.Err
		}
		return nil, fmt.Errorf("cannot connect to the gateway at %s: %w; is it running, and with this general.control?",
			path, err)
	}
	defer conn.Close()
	conn.SetWriteDeadline(time.Now().Add(controlTimeout))
	if err := json.NewEncoder(conn).Encode(request); err != nil {
		return nil, err
	}
	var response controlResponse
	if err := json.NewDecoder(io.LimitReader(conn, maxControlMessage)).Decode(&response); err != nil {
		return nil, errors.New("the gateway closed the connection without a response; see its log")
	}
	if len(response.Error) > 0 {
		return nil, errors.New(strings.Join(response.Error, "\n"))
	}
	return response.Lines, nil
}
