package mask

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// rewriter copies valid JSON and masks its values. It keeps the order of fields and the digits of numbers.
type rewriter struct {
	decoder *json.Decoder
	out     bytes.Buffer
	hidden  bool
}

// value copies the next value. It returns the value if it is a string, not masked.
func (r *rewriter) value(f field) (text string, err error) {
	token, err := r.decoder.Token()
	if err != nil {
		return "", err
	}
	switch v := token.(type) {
	case json.Delim:
		if v == '{' {
			return "", r.object(f)
		}
		return "", r.list(f)
	case string:
		masked := f.mask(v)
		r.hidden = r.hidden || masked != v
		return v, r.write(masked)
	case nil:
		return "", r.write(v)
	default: // a json.Number or a bool
		if text := fmt.Sprint(v); f.mask(text) != text {
			r.hidden = true
			return "", r.write(Hidden)
		}
		return "", r.write(v)
	}
}

// object copies the rest of an object.
func (r *rewriter) object(f field) error {
	r.out.WriteByte('{')
	for first := true; r.decoder.More(); first = false {
		token, err := r.decoder.Token()
		if err != nil {
			return err
		}
		name, _ := token.(string)
		if !first {
			r.out.WriteByte(',')
		}
		if err := r.write(name); err != nil {
			return err
		}
		r.out.WriteByte(':')
		if _, err := r.value(f.inner(name)); err != nil {
			return err
		}
	}
	_, err := r.decoder.Token()
	r.out.WriteByte('}')
	return err
}

// list copies the rest of a list.
func (r *rewriter) list(f field) (err error) {
	r.out.WriteByte('[')
	f.previous = ""
	for first := true; r.decoder.More(); first = false {
		if !first {
			r.out.WriteByte(',')
		}
		if f.previous, err = r.value(f); err != nil {
			return err
		}
	}
	_, err = r.decoder.Token()
	r.out.WriteByte(']')
	return err
}

// write writes a string, number, boolean or null.
func (r *rewriter) write(v any) error {
	e := json.NewEncoder(&r.out)
	e.SetEscapeHTML(false)
	err := e.Encode(v)
	r.out.Truncate(max(0, r.out.Len()-1)) // without the newline
	return err
}
