package config

import (
	"bytes"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"
)

// A loader has the state that the sections of one file share.
type loader struct {
	*report
	commands      []string // the built-in commands
	cfg           *Config
	env           environment
	nomadBinaryAt int                 // offset of general.nomadbinary
	keyOwners     map[string]keyOwner // by public key
	requireCert   []value             // the settings that require a certificate
}

// Load reads the file at path and every file that it names. The Config is nil if any diagnostic is an error.
// Diagnostics are sorted by line. commands are the names of the built-in commands, which groups can name and aliases
// cannot replace. Load keeps no state between calls.
func Load(path string, commands []string) (cfg *Config, diagnostics []Diagnostic) {
	return load(path, commands, currentEnvironment())
}

// LoadFiles is Load. It also returns the paths of the files that it has read or tried to read, sorted. If one of them
// changes, Load may return a different result.
func LoadFiles(path string, commands []string) (cfg *Config, diagnostics []Diagnostic, files []string) {
	r := &report{file: path}
	cfg, diagnostics = r.load(path, commands, currentEnvironment())
	return cfg, diagnostics, slices.Sorted(maps.Keys(r.files))
}

func load(path string, commands []string, env environment) (cfg *Config, diagnostics []Diagnostic) {
	return (&report{file: path}).load(path, commands, env)
}

func (r *report) load(path string, commands []string, env environment) (cfg *Config, diagnostics []Diagnostic) {
	// The authors of the TOML parser declare its API unstable. If it panics, the file is refused, and the process does
	// not crash.
	defer func() {
		if e := recover(); e != nil {
			r.errorf(-1, "report this as a bug in nomadctld", "internal error while reading the file: %v", e)
			cfg, diagnostics = nil, r.sorted()
		}
	}()
	if src, info, ok := r.readConfig(path); ok {
		r.setSource(src)
		l := &loader{
			report: r, commands: commands, cfg: &Config{Path: path}, env: env, keyOwners: map[string]keyOwner{},
		}
		l.checkConfigAccess(path, info)
		if root := r.parse(); root != nil {
			l.load(&table{r: r, node: root})
			cfg = l.cfg
			cfg.Source = Source{path, root, r.files}
		}
	}
	if slices.ContainsFunc(r.diagnostics, func(d Diagnostic) bool { return !d.Warning }) {
		cfg = nil
	}
	return cfg, r.sorted()
}

// readConfig returns the text of the config file, without a byte order mark.
func (r *report) readConfig(path string) ([]byte, fs.FileInfo, bool) {
	src, info, p := r.read(path)
	if p != nil {
		r.errorf(-1, p.hint, "the config file %s", p.reason)
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
		r.errorf(at, "save the file as UTF-8", "byte 0x%02x is not valid UTF-8", src[at])
		return nil, nil, false
	}
	return src, info, true
}

// load fills the Config. The order matters: users need the groups and [auth], and [raw] needs [general].
func (l *loader) load(t *table) {
	if len(t.node.children) == 0 {
		l.errorf(-1, "copy the example from the README", "the config file contains no settings")
		return
	}
	c := l.cfg
	c.General = l.general(t.sub("general"))
	c.Aliases = l.aliases(t.sub("alias"))
	c.Tiers = l.tiers(t.sub("nomad"))
	c.Groups = l.groups(t.sub("prefix"))
	c.Auth = l.auth(t.sub("auth"))
	c.Users = l.users(t.sub("users"))
	l.checkRequire()
	c.Docker = l.docker(t.sub("docker"))
	c.Audit = l.audit(t.sub("audit"))
	c.Limits = l.limits(t.sub("limits"))
	c.Metrics = l.metrics(t.sub("metrics"))
	c.Raw = l.raw(t.sub("raw"))
	t.reportUnknownKeys()
	slices.SortFunc(c.Tiers, func(a, b Tier) int { return strings.Compare(a.Name, b.Name) })
	slices.SortFunc(c.Users, func(a, b User) int { return strings.Compare(a.Name, b.Name) })
}

// warnCase warns of a name with uppercase letters. The original changed every key to lowercase.
func (l *loader) warnCase(n *node, noun string) {
	if lower := strings.ToLower(n.name); lower != n.name {
		l.warnf(n.key, "write "+quote(lower)+" to keep that "+noun,
			"%s is case-sensitive, but the original nomadctld read it as %s", n.path(), quote(lower))
	}
}
