package config_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"nomadctld/config"
	"nomadctld/internal/testenv/keygentest"
)

// TestLoad_FileReplacedByRename loads a configuration while its keys file is replaced again and again. Each load has
// all keys of one version of the file. The versions are larger than one read.
func TestLoad_FileReplacedByRename(t *testing.T) {
	keys := keygentest.New(t)
	keys.NewKeys("a", "b")
	inFixture(t)
	write(t, "nomadctld.toml", []byte(validConfig+"keysfile = \"keys\"\n"))
	const lines = 500
	versions := [][]byte{
		[]byte(strings.Repeat("no-pty "+keys.Line("a")+"\n", lines)),
		[]byte(strings.Repeat("restrict "+keys.Line("b")+"\n", 2*lines)),
	}
	replace := func(i int) {
		write(t, "keys.new", versions[i%2])
		if err := os.Rename("keys.new", "keys"); err != nil {
			t.Error(err)
		}
	}
	replace(0)
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for i := 1; ; i++ {
			select {
			case <-stop:
				return
			default:
				replace(i)
			}
		}
	}()
	defer func() {
		close(stop)
		<-done
	}()
	for range 30 {
		cfg, diagnostics := config.Load("nomadctld.toml", commands)
		if cfg == nil {
			t.Fatal(formatDiagnostics(diagnostics))
		}
		listed := cfg.Users[0].Keys[1:] // without the key of validConfig
		kinds := map[string]bool{}
		for _, key := range listed {
			kinds[fmt.Sprint(key.NoForwarding)] = true
		}
		if n := len(listed); n != lines && n != 2*lines || len(kinds) != 1 {
			t.Fatalf("got %d keys of %d versions", n, len(kinds))
		}
	}
}
