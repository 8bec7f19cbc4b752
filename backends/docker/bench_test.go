package docker

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"testing"

	"nomadctld/internal/testenv/dockertest"

	"nomadctld/backends"
)

// zeroReader is an endless input.
type zeroReader struct{}

func (zeroReader) Read(p []byte) (int, error) { return len(p), nil }

// BenchmarkThroughput compares the throughput of Exec and of the docker command.
func BenchmarkThroughput(b *testing.B) {
	host := dockertest.Daemon(b)
	d, err := Open(Settings{Host: host})
	if err != nil {
		b.Fatal(err)
	}
	in, id := startTask(b, "sleep", "600")
	const size = 512 << 20
	out := []string{"dd", "if=/dev/zero", "bs=1M", fmt.Sprintf("count=%d", size>>20)}
	into := []string{"sh", "-c", "cat >/dev/null"}
	for name, argv := range map[string][]string{"out": out, "in": into} {
		b.Run(name+"/exec", func(b *testing.B) {
			b.SetBytes(size)
			for b.Loop() {
				p := backends.Program{Argv: argv, Session: newAllocation(), Stderr: io.Discard}
				reader, writer, _ := os.Pipe()
				done := make(chan int64)
				if name == "out" {
					p.Stdout = writer
					go func() { n, _ := io.Copy(discardWriter{}, reader); done <- n }()
				} else {
					p.Stdout, p.Stdin = io.Discard, reader
					go func() {
						n, _ := io.Copy(writer, io.LimitReader(zeroReader{}, size))
						writer.Close()
						done <- n
					}()
				}
				code, err := d.Exec(b.Context(), in, p)
				writer.Close()
				if n := <-done; code != 0 || err != nil || n != size {
					b.Fatal(code, err, n)
				}
				reader.Close()
			}
		})
		b.Run(name+"/docker", func(b *testing.B) {
			b.SetBytes(size)
			for b.Loop() {
				reader, writer, _ := os.Pipe()
				done := make(chan int64)
				command := exec.Command("docker", append([]string{"exec", "-i", id}, argv...)...)
				if name == "out" {
					command.Stdout = writer
					go func() { n, _ := io.Copy(discardWriter{}, reader); done <- n }()
				} else {
					command.Stdin = reader
					go func() {
						n, _ := io.Copy(writer, io.LimitReader(zeroReader{}, size))
						writer.Close()
						done <- n
					}()
				}
				err := command.Run()
				writer.Close()
				if n := <-done; err != nil || n != size {
					b.Fatal(err, n)
				}
				reader.Close()
			}
		})
	}
}

// discardWriter is io.Discard without ReadFrom, so that both sides are read in the same way.
type discardWriter struct{}

func (discardWriter) Write(p []byte) (int, error) { return len(p), nil }

// BenchmarkTrue compares the duration of a program that does nothing.
func BenchmarkTrue(b *testing.B) {
	host := dockertest.Daemon(b)
	d, err := Open(Settings{Host: host})
	if err != nil {
		b.Fatal(err)
	}
	in, id := startTask(b, "sleep", "600")
	b.Run("exec", func(b *testing.B) {
		for b.Loop() {
			p := backends.Program{
				Argv: []string{"true"}, Stdout: io.Discard, Stderr: io.Discard,
				Session: newAllocation(),
			}
			if code, err := d.Exec(b.Context(), in, p); code != 0 || err != nil {
				b.Fatal(code, err)
			}
		}
	})
	b.Run("docker", func(b *testing.B) {
		for b.Loop() {
			if err := exec.Command("docker", "exec", id, "true").Run(); err != nil {
				b.Fatal(err)
			}
		}
	})
}
