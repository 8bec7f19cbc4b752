// Package mask hides the values in job definitions and container descriptions that look like secrets. It owns the rules
// for what looks like one. It does not decide who may see them. A definition that it has masked must not be registered
// or saved.
package mask

import (
	"bytes"
	"encoding/json"
	"errors"
	"regexp"
	"slices"
	"strings"
)

// Hidden replaces a value.
const Hidden = "***"

// JSON returns a job definition, or the description of a container as docker inspect prints it, with its secrets
// hidden. hidden reports whether there are any. Everything else, the order of the fields included, is unchanged. Errors
// do not quote the text.
func JSON(text json.RawMessage) (masked json.RawMessage, hidden bool, err error) {
	if !json.Valid(text) {
		return nil, false, errors.New("cannot hide secrets: not valid JSON")
	}
	r := &rewriter{decoder: json.NewDecoder(bytes.NewReader(text))}
	r.decoder.UseNumber()
	if _, err := r.value(field{}); err != nil {
		return nil, false, errors.New("cannot hide secrets: cannot read the JSON")
	}
	return r.out.Bytes(), r.hidden, nil
}

// A section is a part of a definition. It decides which rule applies to the strings in it.
type section int

const (
	elsewhere section = iota // hidden if the name is that of a secret or the value looks like one
	pairs                    // environment, meta, headers: shown only if the name and the value are harmless
	template                 // shown line by line
	registry                 // docker's auth block: hidden, except for the address
	payload                  // of a dispatch: hidden
)

// sectionOf returns the section of the content of a field with this name. outer is the section that the field is in;
// the content stays in it if the name has no section of its own.
func sectionOf(name string, outer section) section {
	switch name {
	case "Env", "env", "Meta", "GetterOptions", "GetterHeaders", "Header", "Headers", "environment":
		return pairs
	case "EmbeddedTmpl":
		return template
	case "auth", "Auth":
		return registry
	case "Payload":
		return payload
	}
	return outer
}

// A field is the position of a value.
type field struct {
	name     string // of the innermost object key
	section  section
	isSecret bool   // the name, or that of an outer object or list, is the name of a secret
	previous string // the string before it in a list
}

// inner returns the position of a field of an object.
func (f field) inner(name string) field {
	in := field{name: name, section: f.section, isSecret: f.isSecret}
	if in.section == elsewhere { // in other sections, a field may have any name
		in.section = sectionOf(name, elsewhere)
	}
	if in.section != registry && !isSecretBlocks(f.name, name) {
		in.isSecret = in.isSecret || isSecretName(name)
	}
	return in
}

// isSecretBlocks reports whether a field contains the secret blocks of a task. They name secrets, but contain none.
func isSecretBlocks(outer, name string) bool { return outer == "Tasks" && name == "Secrets" }

// mask returns the string at a position, masked if necessary. A number or a boolean is masked like its text.
func (f field) mask(value string) string {
	switch f.section {
	case payload:
		if !slices.Contains([]string{"", "optional", "required", "forbidden"}, value) { // of a parameterized job
			return Hidden
		}
		return value
	case registry:
		if value == "" || f.name == "server_address" && !f.isSecret {
			return value
		}
		return Hidden
	case template:
		if f.isSecret {
			return Hidden
		}
		return maskText(value, templateText)
	case pairs:
		return f.maskPair(value)
	}
	// A boolean is not a secret, even if its name contains Key, such as the ErrMissingKey of a template.
	mayBeSecret := value != "" && value != "true" && value != "false"
	if mayBeSecret && (f.isSecret || isSecretFlag(f.previous)) && !isReference(f.name, value) {
		return Hidden
	}
	return maskText(value, plainText)
}

var namePattern = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_.-]*$`)

// maskPair masks the value of a pair. A container has its environment as a list of K=V.
func (f field) maskPair(value string) string {
	name, own, ok := strings.Cut(value, "=")
	if ok && (f.name == "Env" || f.name == "env") && namePattern.MatchString(name) {
		return name + "=" + field{name: name, section: pairs}.maskPair(own)
	}
	if f.isSecret && !isReference(f.name, value) && value != "" || !isHarmless(f.name, value) {
		return Hidden
	}
	return value
}

var (
	wordPattern    = regexp.MustCompile(`[A-Za-z_]+`)
	indexPattern   = regexp.MustCompile(`\[[0-9]+\]$`)
	lastKeyPattern = regexp.MustCompile(`\[([^\[\]]*)\][^\[\]]*$`)
)

// Change masks a value of a changed field. path is that of backends.Change, such as web > task web > Env[MODE]. It
// contains untrusted names, so each word in it that is the name of a section counts.
func Change(path, value string) string {
	f := field{name: path[strings.LastIndexAny(path, " .")+1:]}
	for _, word := range wordPattern.FindAllString(path, -1) {
		f.section = max(f.section, sectionOf(word, f.section))
	}
	isElement := indexPattern.MatchString(path)
	if key := lastKeyPattern.FindStringSubmatch(path); key != nil && !isElement {
		f.name = key[1]
	}
	f.isSecret = isSecretName(f.name) || hasSecretKey(path)
	if f.section == elsewhere && isElement { // an argument; the flag before it is not known
		f.section = pairs
	}
	return f.mask(value)
}

// hasSecretKey reports whether a path contains the name of a secret in the configuration of the driver. Only that part
// of a definition has nested objects with arbitrary names.
func hasSecretKey(path string) bool {
	_, keys, _ := strings.Cut(path, "Config")
	return slices.ContainsFunc(strings.FieldsFunc(keys, func(c rune) bool { return strings.ContainsRune("[].> ", c) }),
		func(key string) bool { return sectionOf(key, elsewhere) != registry && isSecretName(key) })
}
