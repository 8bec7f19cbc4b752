package config

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/pelletier/go-toml/v2/unstable"
)

// A table reads the values of one table of the file, key by key. An absent key, or one with a value of the wrong type,
// reads as empty. A wrong type is reported. Finally, reportUnknownKeys reports the keys that were not read.
type table struct {
	r     *report
	node  *node // nil: the file does not have the table
	name  string
	known []string // the keys that were read
}

// A value is a string of the file.
type value struct {
	name  string // the path of its key, for messages
	text  string
	at    int  // its offset; if it is absent, that of the table
	given bool // the key is in the file
	ok    bool // the key is in the file and has the right type
}

// A list contains the strings of a TOML array, or one string if the key accepts both.
type list struct {
	value // the list as a whole; it has a text only if it is a single string
	items []value
}

// empty reports whether the list is absent or has no items. It is false if the list was already reported as wrong.
func (l list) empty() bool { return len(l.items) == 0 && (!l.given || l.ok) }

// emptyText describes an empty list: missing or empty.
func (l list) emptyText() string {
	if l.given {
		return "empty"
	}
	return "missing"
}

// find returns the node of a key, or nil.
func (t *table) find(key string) *node {
	if t.node == nil {
		return nil
	}
	return t.node.get(key)
}

// declare marks key as a valid key of the table, and returns its node or nil. It reports a key that is not lowercase.
func (t *table) declare(key string) *node {
	t.known = append(t.known, key)
	n := t.find(key)
	if n != nil && n.name != key {
		t.r.errorf(n.key, "write "+key, "%s is not lowercase", n.path())
	}
	return n
}

// at returns the offset of the table, or -1 if the file does not have it.
func (t *table) at() int {
	if t.node == nil {
		return -1
	}
	return t.node.key
}

// missingValue returns the value of an absent key.
func (t *table) missingValue(key string) value {
	v := value{name: key, at: t.at()}
	if t.name != "" {
		v.name = t.name + "." + key
	}
	return v
}

// hasKind reports whether n is of the kind, and adds an error if not. example is the line to write instead.
func (t *table) hasKind(n *node, kind unstable.Kind, name, example string) bool {
	if n.kind != kind {
		t.r.errorf(n.at, "write "+example, "%s is %s, not %s", name, kindNames[n.kind], kindNames[kind])
	}
	return n.kind == kind
}

var kindNames = map[unstable.Kind]string{
	unstable.String: "a string", unstable.Integer: "a whole number", unstable.Float: "a decimal number",
	unstable.Bool: "a boolean (true or false)", unstable.Array: "a list", unstable.Table: "a table",
	unstable.DateTime: "a date", unstable.LocalDate: "a date", unstable.LocalDateTime: "a date",
	unstable.LocalTime: "a time",
}

// text reads a string. example is the line to write instead of another type.
func (t *table) text(key, example string) value {
	n := t.declare(key)
	if n == nil {
		return t.missingValue(key)
	}
	v := value{name: n.path(), text: n.text, at: n.at, given: true}
	v.ok = t.hasKind(n, unstable.String, v.name, example)
	return v
}

// textOrNumber is text, but also accepts a whole number.
func (t *table) textOrNumber(key, example string) value {
	if n := t.find(key); n == nil || n.kind != unstable.Integer {
		return t.text(key, example)
	}
	n := t.declare(key)
	return value{name: n.path(), text: n.text, at: n.at, given: true, ok: true}
}

// texts reads a list of strings. It reports items of another type and drops them.
func (t *table) texts(key, example string) list {
	n := t.declare(key)
	if n == nil {
		return list{value: t.missingValue(key)}
	}
	return t.textsOf(n, example)
}

// textsOf is texts for the node of a key.
func (t *table) textsOf(n *node, example string) list {
	l := list{value: value{name: n.path(), at: n.at, given: true}}
	l.ok = t.hasKind(n, unstable.Array, l.name, example)
	for i, item := range n.items {
		v := value{name: fmt.Sprintf("item %d of %s", i+1, l.name), text: item.text, at: item.at, given: true}
		if t.hasKind(item, unstable.String, v.name, example) {
			v.ok = true
			l.items = append(l.items, v)
		} else {
			l.ok = false
		}
	}
	return l
}

// textOrTexts is texts, but also accepts a string instead of a list of one.
func (t *table) textOrTexts(key, example string) list {
	if n := t.find(key); n == nil || n.kind != unstable.String {
		return t.texts(key, example)
	}
	v := t.text(key, example)
	return list{value: v, items: []value{v}}
}

// maxNumber is the greatest whole number of a setting.
const maxNumber = 1 << 30

// number returns a whole number above zero, or the default if the key is absent or wrong.
func (t *table) number(key string, defaultValue int) int {
	example := fmt.Sprintf("%s = %d", key, defaultValue)
	n := t.declare(key)
	if n == nil || !t.hasKind(n, unstable.Integer, n.path(), example) {
		return defaultValue
	}
	i, err := strconv.ParseInt(n.text, 0, strconv.IntSize)
	if err != nil || i < 1 || i > maxNumber {
		t.r.errorf(n.at, "write a number such as "+example, "%s is not between 1 and %d: %s", n.path(), maxNumber, n.text)
		return defaultValue
	}
	return int(i)
}

// boolean reads true or false. An absent key is false.
func (t *table) boolean(key string) bool {
	n := t.declare(key)
	return n != nil && t.hasKind(n, unstable.Bool, n.path(), key+" = true") && n.text == "true"
}

// sub returns the table of a key. If the file does not have it, the table is empty.
func (t *table) sub(key string) *table {
	s := &table{r: t.r, name: t.missingValue(key).name}
	if n := t.declare(key); n != nil && t.hasKind(n, unstable.Table, n.path(), "["+s.name+"]") {
		s.node = n
	}
	return s
}

// subtables returns the tables of a table whose keys are names, in the order of the file.
func (t *table) subtables() []*table {
	var all []*table
	if t.node == nil {
		return nil
	}
	for _, n := range t.node.children {
		if t.hasKind(n, unstable.Table, n.path(), "["+t.name+".NAME] before it, with a name of your choice") {
			all = append(all, &table{r: t.r, node: n, name: n.path()})
		}
	}
	return all
}

// reportUnknownKeys reports the keys that were not declared.
func (t *table) reportUnknownKeys() {
	if t.node == nil {
		return
	}
	known := map[string]bool{}
	for _, key := range t.known {
		known[key] = true
	}
	for _, n := range t.node.children {
		if kind := "key"; !known[strings.ToLower(n.name)] {
			if n.kind == unstable.Table {
				kind = "table"
			}
			t.r.errorf(n.key, didYouMean(n.name, t.known), "unknown %s %s", kind, n.path())
		}
	}
}
