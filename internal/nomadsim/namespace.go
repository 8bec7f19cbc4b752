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

// AddNamespace adds a namespace, unless it exists. AddJob adds the namespace of its job.
func (c *Cluster) AddNamespace(name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.addNamespace(name, "")
}

func (c *Cluster) addNamespace(name, description string) {
	if _, found := find(c.namespaces, key{id: name}, byName); found {
		return
	}
	hash := sha256.Sum256([]byte(name + description))
	n := &namespace{Name: name, Description: description, Hash: hash[:], CreateIndex: c.nextIndex(tableNamespaces)}
	n.ModifyIndex = n.CreateIndex
	c.namespaces = put(c.namespaces, n, byName)
}
