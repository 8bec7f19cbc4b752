package nomadsim

import "crypto/sha256"

// namespace is the stored record of a namespace.
type namespace struct {
	Name, Description, Quota                                                     string
	Capabilities, NodePoolConfiguration, VaultConfiguration, ConsulConfiguration *struct{}
	Meta, RequiredExtraClaims, OptionalExtraClaims                               map[string]string
	Hash                                                                         []byte
	CreateIndex, ModifyIndex                                                     uint64
}

func (n *namespace) key() key { return key{id: n.Name} }

func (st *state) addNamespace(name, description string) {
	if st.hasNamespace(name) {
		return
	}
	hash := sha256.Sum256([]byte(name + description))
	n := &namespace{Name: name, Description: description, Hash: hash[:], CreateIndex: st.nextIndex(tableNamespaces)}
	n.ModifyIndex = n.CreateIndex
	st.namespaces = put(st.namespaces, n, byName)
}

// hasNamespace reports whether a namespace exists.
func (st *state) hasNamespace(name string) bool {
	_, found := find(st.namespaces, key{id: name}, byName)
	return found
}
