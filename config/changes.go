package config

import (
	"crypto/sha256"
	"io/fs"
	"maps"
	"slices"
)

// Source is what a Config was loaded from.
type Source struct {
	config string // path of the config file
	tree   *node
	files  map[string]fileDigest // every file that was read, or would be read if it existed, by path
}

// fileDigest is the SHA-256 digest of a file's content. The digest of a file that cannot be read is zero.
type fileDigest [sha256.Size]byte

// read is readFile, and records the file.
func (r *report) read(name string) ([]byte, fs.FileInfo, *problem) {
	data, info, p := readFile(name)
	if p == nil {
		r.recordFile(name, sha256.Sum256(data))
	} else {
		r.recordFile(name, fileDigest{})
	}
	return data, info, p
}

// recordMissing records a file that is not read because it does not exist, and would be read if it did.
func (r *report) recordMissing(name string) { r.recordFile(name, fileDigest{}) }

func (r *report) recordFile(name string, digest fileDigest) {
	if r.files == nil {
		r.files = map[string]fileDigest{}
	}
	r.files[name] = digest
}

// Files returns the paths of the config file and of every file that it names, sorted. Some may not exist.
func (s Source) Files() []string { return slices.Sorted(maps.Keys(s.files)) }

// Changes lists how the settings and files differ from those of an earlier Source, such as "users.ann removed",
// "prefix.team1.commands changed" and "file /etc/nomadctld/token changed". It contains names but no values, one
// printable line each. Settings are first, sorted by name, then files.
func (s Source) Changes(earlier Source) []string {
	if earlier.tree == nil || s.tree == nil { // not loaded from a file
		return nil
	}
	changes := treeChanges(earlier.tree, s.tree)
	for _, path := range s.Files() {
		if old, ok := earlier.files[path]; ok && old != s.files[path] && path != s.config {
			changes = append(changes, "file "+printable(path)+" changed")
		}
	}
	return changes
}

// treeChanges lists the differences between two tables.
func treeChanges(old, now *node) (changes []string) {
	names := map[string]bool{}
	for _, table := range []*node{old, now} {
		for name := range table.byKey {
			names[name] = true
		}
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		before, after := old.byKey[name], now.byKey[name]
		switch {
		case before == nil:
			changes = append(changes, after.path()+" added")
		case after == nil:
			changes = append(changes, before.path()+" removed")
		case before.byKey != nil && after.byKey != nil:
			changes = append(changes, treeChanges(before, after)...)
		case !before.equal(after):
			changes = append(changes, after.path()+" changed")
		}
	}
	return changes
}

// equal reports whether two nodes have the same value.
func (n *node) equal(other *node) bool {
	return n.kind == other.kind && n.text == other.text &&
		slices.EqualFunc(n.items, other.items, (*node).equal) &&
		maps.EqualFunc(n.byKey, other.byKey, (*node).equal)
}
