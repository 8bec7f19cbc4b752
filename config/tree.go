package config

import (
	"regexp"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2/unstable"
)

// A node is a value or a table of the file, with its position.
type node struct {
	parent    *node
	name      string // its key
	key, at   int    // offsets of key and value
	kind      unstable.Kind
	text      string           // of a scalar, decoded
	items     []*node          // of an Array
	children  []*node          // of a Table, in the order of the file
	byKey     map[string]*node // children by lowercase key, because the original ignored the case of keys
	tableKind tableKind        // of a Table
}

// A tableKind is the syntax that created a table. TOML allows only some kinds to be continued elsewhere in the file.
type tableKind int

const (
	implicitTable tableKind = iota // by the header of a deeper table: [a.b] creates a
	headerTable                    // by its own header: [a]
	dottedTable                    // by a dotted key: a.b = 1 creates a
	inlineTable                    // by a value: a = {b = 1}
)

var bareKeyPattern = regexp.MustCompile(`^[A-Za-z0-9_-]+$`)

// path returns the name of the node in TOML, such as nomad.production.url.
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

// get returns the child with a key, whose case it ignores, or nil.
func (n *node) get(key string) *node { return n.byKey[strings.ToLower(key)] }

// add adds child to parent. If the key is already used, it reports that and keeps child out of the tree, so that
// nothing in child is reported twice.
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
	hint, as := "remove one of them", ""
	if again.kind == unstable.Table {
		hint = "merge them into one table"
	}
	if old.name != again.name {
		as = " as " + old.path()
		hint += " (the case of names is ignored)"
	}
	r.errorf(again.key, hint, "%s is already defined on line %d%s", again.path(), r.line(old.key), as)
}

// A keyPart is one part of a dotted key.
type keyPart struct {
	name string
	at   int
}

// keyOf returns the key of an expression whose offsets are relative to base, and the offset after the key.
func keyOf(e *unstable.Node, base int) (key []keyPart, end int) {
	for it := e.Key(); it.Next(); {
		raw := it.Node().Raw
		key = append(key, keyPart{string(it.Node().Data), base + int(raw.Offset)})
		end = base + int(raw.Offset+raw.Length)
	}
	return key, end
}

// findOrAddTable returns the table p of parent, and creates it if needed. If TOML does not allow the existing table to
// be continued, it reports that and returns a table outside of the tree.
func (r *report) findOrAddTable(parent *node, p keyPart, kind tableKind) *node {
	child := &node{name: p.name, key: p.at, at: p.at, kind: unstable.Table, tableKind: kind}
	old := parent.get(p.name)
	if old == nil || old.kind != unstable.Table || old.tableKind == inlineTable ||
		kind == headerTable && old.tableKind != implicitTable || kind == dottedTable && old.tableKind != dottedTable {
		r.add(parent, child)
		return child
	}
	if old.name != p.name {
		r.errorf(p.at, "use "+strings.ToLower(p.name)+" everywhere",
			"%s is spelled %s on line %d", quote(p.name), quote(old.name), r.line(old.key))
	}
	if kind == headerTable {
		old.tableKind, old.key, old.at = headerTable, p.at, p.at
	}
	return old
}

// openTable returns the table of a header.
func (r *report) openTable(root *node, e *unstable.Node, base int) *node {
	key, _ := keyOf(e, base)
	last := len(key) - 1
	if e.Kind == unstable.ArrayTable {
		n := &node{parent: root, name: key[last].name, key: key[last].at, at: key[last].at, kind: unstable.Table}
		r.errorf(key[0].at, "use single brackets", "[[%s]] is a list of tables, which is not supported here", n.path())
		return n
	}
	for _, p := range key[:last] {
		root = r.findOrAddTable(root, p, implicitTable)
	}
	return r.findOrAddTable(root, key[last], headerTable)
}

// setKey adds the key and value of a line to t.
func (r *report) setKey(t *node, e *unstable.Node, base int) {
	key, at := keyOf(e, base)
	for r.src[at] == ' ' || r.src[at] == '\t' || r.src[at] == '=' {
		at++
	}
	last := len(key) - 1
	for _, p := range key[:last] {
		t = r.findOrAddTable(t, p, dottedTable)
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
			if it.Node().Kind != unstable.Array { // the parser does not report the offset of a list
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
