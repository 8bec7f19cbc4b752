package config

import (
	"bytes"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"unicode/utf8"
)

// A loader holds what the sections of one file need of each other.
type loader struct {
	*report
	commands      []string // the built-in ones
	cfg           *Config
	env           environment
	nomadBinaryAt int                 // offset of general.nomadbinary in the file
	keyOwners     map[string]keyOwner // by public key
}

// Load reads the file at path and every file it refers to. The Config is nil when a fault is an error; warnings come
// with a Config. Faults are sorted by line. commands are the names of the built-in commands, to tell which alias
// shadows one. Load keeps nothing between calls.
func Load(path string, commands []string) (cfg *Config, faults []Diagnostic) {
	return load(path, commands, currentEnvironment())
}

func load(path string, commands []string, m environment) (cfg *Config, faults []Diagnostic) {
	r := &report{file: path}
	// The TOML parser in use is declared unstable by its authors: a panic in it, at a reload, must read as a refused
	// file instead of ending everybody's sessions.
	defer func() {
		if e := recover(); e != nil {
			r.errorf(-1, "report this as a bug of nomadctld", "the file cannot be read: internal error: %v", e)
			cfg, faults = nil, r.sorted()
		}
	}()
	if src, info, ok := r.text(path); ok {
		r.setSource(src)
		l := &loader{report: r, commands: commands, cfg: &Config{Path: path}, env: m, keyOwners: map[string]keyOwner{}}
		l.checkConfigAccess(path, info)
		if root := r.parse(); root != nil {
			l.load(&table{r: r, node: root})
			cfg = l.cfg
		}
	}
	if slices.ContainsFunc(r.diagnostics, func(f Diagnostic) bool { return !f.Warning }) {
		cfg = nil
	}
	return cfg, r.sorted()
}

// text returns the text of the config file, without a byte order mark.
func (r *report) text(path string) ([]byte, fs.FileInfo, bool) {
	src, info, err := readFile(path)
	if err != nil {
		r.errorf(-1, err.hint, "the config file %s", err.reason)
		return nil, nil, false
	}
	src = bytes.TrimPrefix(src, []byte("\uFEFF")) // Windows editors write one
	if !utf8.Valid(src) {
		r.setSource(src)
		at := 0
		for at < len(src) {
			c, size := utf8.DecodeRune(src[at:])
			if c == utf8.RuneError && size == 1 {
				break
			}
			at += size
		}
		r.errorf(at, "save the file as UTF-8", "byte 0x%02x is not UTF-8 text", src[at])
		return nil, nil, false
	}
	return src, info, true
}

// load fills the Config; later sections look at what earlier ones found.
func (l *loader) load(t *table) {
	if len(t.node.children) == 0 {
		l.errorf(-1, "copy the example configuration from the README", "the config file holds no settings")
		return
	}
	c := l.cfg
	c.General = l.general(t.sub("general"))
	c.Aliases = l.aliases(t.sub("alias"))
	c.Tiers = l.tiers(t.sub("nomad"))
	c.Groups = l.groups(t.sub("prefix"))
	c.Auth = l.auth(t.sub("auth"))
	c.Users = l.users(t.sub("users"))
	c.Docker = l.docker(t.sub("docker"))
	c.Audit = l.audit(t.sub("audit"))
	c.Limits = l.limits(t.sub("limits"))
	c.Metrics = l.metrics(t.sub("metrics"))
	c.Raw = l.raw(t.sub("raw"))
	t.reportUnknownKeys()
	slices.SortFunc(c.Tiers, func(a, b Tier) int { return strings.Compare(a.Name, b.Name) })
	slices.SortFunc(c.Users, func(a, b User) int { return strings.Compare(a.Name, b.Name) })
}

// warnCase warns about a name that the original, which lower-cased every key, knew in another spelling.
func (l *loader) warnCase(n *node, use string) {
	if low := strings.ToLower(n.name); low != n.name {
		l.warnf(n.key, fmt.Sprintf("write %s to %s", quote(low), use),
			"%s is taken as written, but the original nomadctld read it as %s", n.path(), quote(low))
	}
}
