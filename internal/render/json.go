package render

import (
	"io"

	"nomadctld/internal/escape"
)

// JSON writes v as indented JSON with a newline at the end, in a single write. A terminal cannot interpret anything
// in it.
func JSON(w io.Writer, v any) error {
	b, err := escape.JSON(v, "  ")
	if err != nil {
		return err
	}
	_, err = w.Write(append(b, '\n'))
	return err
}
