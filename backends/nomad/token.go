package nomad

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
)

// ReadToken returns the token in the file, without surrounding white space, or "" if file is empty. Its error does not
// contain the file's name, because users see it.
func ReadToken(file string) (string, error) {
	if file == "" {
		return "", nil
	}
	b, err := os.ReadFile(file)
	if err != nil {
		var path *fs.PathError
		if errors.As(err, &path) {
			err = path.Err
		}
		return "", fmt.Errorf("%w: %w", errTokenFile, err)
	}
	return strings.TrimSpace(string(b)), nil
}
