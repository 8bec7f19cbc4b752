//go:build !linux

package nomadcli

import (
	"context"
	"errors"
	"io"
)

func (b Binary) run(context.Context, Cluster, []string, io.Reader, io.Writer, io.Writer, *Terminal) (int, error) {
	return -1, errors.New("the gateway runs the nomad binary on Linux only")
}
