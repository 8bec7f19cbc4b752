package config

import (
	"regexp"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2/unstable"
)

// A node is a value or a table of the file, and where it stands.
type node struct {
	parent    *node
	name      string // its key
	key, at   int    // offsets of key and value
	kind      unstable.Kind
	text      string           // of a scalar, decoded
	items     []*node          // of an Array
	children  []*node          // of a Table: what is in it, as in the file
	byKey     map[string]*node // the same by key in lower case, which is how the original read keys
	tableKind tableKind
}

// tableKind says what made a table, because TOML lets only some be continued elsewhere in the file.
type tableKind int

const (
	implicitTable tableKind = iota // a deeper header: a by [a.b]
	headerTable                    // its own header
	dottedTable                    // a dotted key: a by a.b = 1
	inlineTable                    // a value: a = {b = 1}
)

var bareKeyPattern = regexp.MustCompile(`^[A-Za-z0-9_-]+$`)

// path names the node as the file would, such as nomad.production.url.
func (n *node) path() string {
	var names []string
	for ; n.parent != nil; n = n.parent {
		name := n.name
		if !bareKeyPattern.MatchString(name) || len(name) > 60 {
			name = quote(name)
		}
		names = append(names, name)
	}
	slices.Reverse(names)
	return strings.Join(names, ".")
}

// get returns what t holds under a key, whatever its case; nil when nothing.
func (n *node) get(key string) *node { return n.byKey[strings.ToLower(key)] }

// add puts child under parent, unless its key is taken: then that is reported and child stays outside of the tree, so
// that nothing in it is reported twice.
func (r *report) add(parent, child *node) {
	child.parent = parent
	if old := parent.get(child.name); old != nil {
		r.duplicateKey(old, child)
		return
	}
	if parent.byKey == nil {
		parent.byKey = map[string]*node{}
	}
	parent.byKey[strings.ToLower(child.name)] = child
	parent.children = append(parent.children, child)
}

func (r *report) duplicateKey(old, again *node) {
	mend, as := "keep one of the two", ""
	if again.kind == unstable.Table {
		mend = "put both into one table"
	}
	if old.name != again.name {
		as = ", as " + old.path()
		mend += ": names that differ only in case are one name"
	}
	r.errorf(again.key, mend, "%s is already there on line %d%s", again.path(), r.line(old.key), as)
}

// A part is one part of a dotted key.
type keyPart struct {
	name string
	at   int
}

// keyOf returns the key of an expression whose offsets count from base, and the offset behind it.
func keyOf(e *unstable.Node, base int) (key []keyPart, end int) {
	for it := e.Key(); it.Next(); {
		raw := it.Node().Raw
		key = append(key, keyPart{string(it.Node().Data), base + int(raw.Offset)})
		end = base + int(raw.Offset+raw.Length)
	}
	return key, end
}

// table returns the table that p names in parent, made if need be. Where TOML forbids to go on with the one that is
// there, that is reported and the table stays outside of the tree.
func (r *report) table(parent *node, p keyPart, by tableKind) *node {
	child := &node{name: p.name, key: p.at, at: p.at, kind: unstable.Table, tableKind: by}
	old := parent.get(p.name)
	if old == nil || old.kind != unstable.Table || old.tableKind == inlineTable ||
		by == headerTable && old.tableKind != implicitTable || by == dottedTable && old.tableKind != dottedTable {
		r.add(parent, child)
		return child
	}
	if old.name != p.name {
		r.errorf(p.at, "write both in lower case", "%s is spelled %s on line %d", quote(p.name), quote(old.name), r.line(old.key))
	}
	if by == headerTable {
		old.tableKind, old.key, old.at = headerTable, p.at, p.at
	}
	return old
}

// openTable returns the table that a header opens.
func (r *report) openTable(root *node, e *unstable.Node, base int) *node {
	key, _ := keyOf(e, base)
	last := len(key) - 1
	if e.Kind == unstable.ArrayTable {
		n := &node{parent: root, name: key[last].name, key: key[last].at, at: key[last].at, kind: unstable.Table}
		r.errorf(key[0].at, "write the name in single brackets", "[[%s]] is a list of tables, and nothing here is one", n.path())
		return n
	}
	for _, p := range key[:last] {
		root = r.table(root, p, implicitTable)
	}
	return r.table(root, key[last], headerTable)
}

// setKey puts what a line key = value says into t.
func (r *report) setKey(t *node, e *unstable.Node, base int) {
	key, at := keyOf(e, base)
	for r.src[at] == ' ' || r.src[at] == '\t' || r.src[at] == '=' {
		at++
	}
	last := len(key) - 1
	for _, p := range key[:last] {
		t = r.table(t, p, dottedTable)
	}
	n := &node{parent: t, name: key[last].name, key: key[last].at, at: at}
	r.setValue(n, e.Value(), base)
	r.add(t, n)
}

func (r *report) setValue(n *node, v *unstable.Node, base int) {
	n.kind = v.Kind
	switch v.Kind {
	case unstable.Array:
		for it := v.Children(); it.Next(); {
			item := &node{parent: n, at: n.at}
			if it.Node().Kind != unstable.Array { // the parser does not say where a list begins
				item.at = base + int(it.Node().Raw.Offset)
			}
			r.setValue(item, it.Node(), base)
			n.items = append(n.items, item)
		}
	case unstable.InlineTable:
		n.kind, n.tableKind = unstable.Table, inlineTable
		for it := v.Children(); it.Next(); {
			r.setKey(n, it.Node(), base)
		}
	default:
		n.text = string(v.Data)
	}
}
