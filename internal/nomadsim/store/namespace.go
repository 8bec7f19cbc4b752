package store

import "crypto/sha256"

// Namespace is the stored record of a namespace.
type Namespace struct {
	Name, Description, Quota                                                     string
	Capabilities, NodePoolConfiguration, VaultConfiguration, ConsulConfiguration *struct{}
	Meta, RequiredExtraClaims, OptionalExtraClaims                               map[string]string
	Hash                                                                         []byte
	CreateIndex, ModifyIndex                                                     uint64
}

func (n *Namespace) key() key { return key{id: n.Name} }

// AddNamespace adds a namespace, unless it exists.
func (st *State) AddNamespace(name, description string) {
	if st.HasNamespace(name) {
		return
	}
	hash := sha256.Sum256([]byte(name + description))
	n := &Namespace{Name: name, Description: description, Hash: hash[:], CreateIndex: st.NextIndex(TableNamespaces)}
	n.ModifyIndex = n.CreateIndex
	st.Namespaces = put(st.Namespaces, n, byName)
}

// HasNamespace reports whether a namespace exists.
func (st *State) HasNamespace(name string) bool {
	_, found := find(st.Namespaces, key{id: name}, byName)
	return found
}
