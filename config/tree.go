package config

import (
	"regexp"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2/unstable"
)

// A node is a value or a table of the file, and where it stands.
type node struct {
	parent  *node
	name    string // its key
	key, at int    // offsets of key and value
	kind    unstable.Kind
	text    string           // of a scalar, decoded
	items   []*node          // of an Array
	order   []*node          // of a Table: what is in it, as in the file
	fields  map[string]*node // the same by key in lower case, which is how the original read keys
	made    origin
}

// origin says what made a table, because TOML lets only some be continued elsewhere in the file.
type origin int

const (
	implied origin = iota // a deeper header: a by [a.b]
	headed                // its own header
	dotted                // a dotted key: a by a.b = 1
	written               // a value: a = {b = 1}
)

var bareKey = regexp.MustCompile(`^[A-Za-z0-9_-]+$`)

// path names the node as the file would, such as nomad.production.url.
func (n *node) path() string {
	var names []string
	for ; n.parent != nil; n = n.parent {
		name := n.name
		if !bareKey.MatchString(name) || len(name) > 60 {
			name = quote(name)
		}
		names = append(names, name)
	}
	slices.Reverse(names)
	return strings.Join(names, ".")
}

// get returns what t holds under a key, whatever its case; nil when nothing.
func (n *node) get(key string) *node { return n.fields[strings.ToLower(key)] }

// add puts child under parent, unless its key is taken: then that is reported and child stays outside of the tree, so
// that nothing in it is reported twice.
func (r *report) add(parent, child *node) {
	child.parent = parent
	if old := parent.get(child.name); old != nil {
		r.twice(old, child)
		return
	}
	if parent.fields == nil {
		parent.fields = map[string]*node{}
	}
	parent.fields[strings.ToLower(child.name)] = child
	parent.order = append(parent.order, child)
}

func (r *report) twice(old, again *node) {
	mend, as := "keep one of the two", ""
	if again.kind == unstable.Table {
		mend = "put both into one table"
	}
	if old.name != again.name {
		as = ", as " + old.path()
		mend += ": names that differ only in case are one name"
	}
	r.fault(again.key, mend, "%s is already there on line %d%s", again.path(), r.line(old.key), as)
}

// A part is one part of a dotted key.
type part struct {
	name string
	at   int
}

// keyOf returns the key of an expression whose offsets count from base, and the offset behind it.
func keyOf(e *unstable.Node, base int) (key []part, end int) {
	for it := e.Key(); it.Next(); {
		raw := it.Node().Raw
		key = append(key, part{string(it.Node().Data), base + int(raw.Offset)})
		end = base + int(raw.Offset+raw.Length)
	}
	return key, end
}

// table returns the table that p names in parent, made if need be. Where TOML forbids to go on with the one that is
// there, that is reported and the table stays outside of the tree.
func (r *report) table(parent *node, p part, by origin) *node {
	child := &node{name: p.name, key: p.at, at: p.at, kind: unstable.Table, made: by}
	old := parent.get(p.name)
	if old == nil || old.kind != unstable.Table || old.made == written ||
		by == headed && old.made != implied || by == dotted && old.made != dotted {
		r.add(parent, child)
		return child
	}
	if old.name != p.name {
		r.fault(p.at, "write both in lower case", "%s is spelled %s on line %d", quote(p.name), quote(old.name), r.line(old.key))
	}
	if by == headed {
		old.made, old.key, old.at = headed, p.at, p.at
	}
	return old
}

// open returns the table that a header opens.
func (r *report) open(root *node, e *unstable.Node, base int) *node {
	key, _ := keyOf(e, base)
	last := len(key) - 1
	if e.Kind == unstable.ArrayTable {
		n := &node{parent: root, name: key[last].name, key: key[last].at, at: key[last].at, kind: unstable.Table}
		r.fault(key[0].at, "write the name in single brackets", "[[%s]] is a list of tables, and nothing here is one", n.path())
		return n
	}
	for _, p := range key[:last] {
		root = r.table(root, p, implied)
	}
	return r.table(root, key[last], headed)
}

// set puts what a line key = value says into t.
func (r *report) set(t *node, e *unstable.Node, base int) {
	key, at := keyOf(e, base)
	for r.src[at] == ' ' || r.src[at] == '\t' || r.src[at] == '=' {
		at++
	}
	last := len(key) - 1
	for _, p := range key[:last] {
		t = r.table(t, p, dotted)
	}
	n := &node{parent: t, name: key[last].name, key: key[last].at, at: at}
	r.fill(n, e.Value(), base)
	r.add(t, n)
}

func (r *report) fill(n *node, v *unstable.Node, base int) {
	n.kind = v.Kind
	switch v.Kind {
	case unstable.Array:
		for it := v.Children(); it.Next(); {
			item := &node{parent: n, at: n.at}
			if it.Node().Kind != unstable.Array { // the parser does not say where a list begins
				item.at = base + int(it.Node().Raw.Offset)
			}
			r.fill(item, it.Node(), base)
			n.items = append(n.items, item)
		}
	case unstable.InlineTable:
		n.kind, n.made = unstable.Table, written
		for it := v.Children(); it.Next(); {
			r.set(n, it.Node(), base)
		}
	default:
		n.text = string(v.Data)
	}
}
