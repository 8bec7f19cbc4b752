package mask

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// Configs has the values in the driver configurations of a job definition, by their paths in backends.Change.
type Configs map[string]configValue

type configValue struct {
	original, masked string
	ambiguous        bool // several values have this path, because names are untrusted
}

// ReadConfigs reads the driver configurations of a definition. It returns none if it cannot read the definition.
func ReadConfigs(definition json.RawMessage) Configs {
	var job struct {
		TaskGroups []struct {
			Name  string
			Tasks []struct {
				Name   string
				Config map[string]any
			}
		}
	}
	decoder := json.NewDecoder(bytes.NewReader(definition))
	decoder.UseNumber()
	if decoder.Decode(&job) != nil {
		return nil
	}
	c := Configs{}
	for _, g := range job.TaskGroups {
		for _, t := range g.Tasks {
			for name, value := range t.Config {
				c.add(g.Name+" > task "+t.Name+" > Config > "+name, value, field{name: "Config"}.inner(name))
			}
		}
	}
	return c
}

// add adds a value, or the values in it. It masks them as the function JSON does.
func (c Configs) add(path string, value any, f field) {
	switch v := value.(type) {
	case nil:
	case map[string]any:
		for name, inner := range v {
			c.add(path+"["+name+"]", inner, f.inner(name))
		}
	case []any:
		f.previous = ""
		for i, element := range v {
			c.add(fmt.Sprintf("%s[%d]", path, i), element, f)
			f.previous, _ = element.(string)
		}
	default:
		text := fmt.Sprint(v)
		_, ambiguous := c[path]
		c[path] = configValue{original: text, masked: f.mask(text), ambiguous: ambiguous}
	}
}

// Change masks a value of a changed field as the function JSON does, if the definition contains it. It masks any other
// value as the function Change does, which does not know the flag before an argument.
func (c Configs) Change(path, value string) string {
	if found := c[path]; found.original == value && value != "" && !found.ambiguous {
		return found.masked
	}
	return Change(path, value)
}
