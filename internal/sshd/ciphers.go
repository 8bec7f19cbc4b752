package sshd

import (
	"errors"
	"net"
	"slices"
	"strings"
	"time"

	gossh "golang.org/x/crypto/ssh"
	"golang.org/x/sys/cpu"
)

// pickyFor is how long it is remembered that a client wants none of the fast ciphers, and mostPicky of how many.
const (
	pickyFor  = time.Hour
	mostPicky = 1000
)

// ciphers returns what a client is offered. One that knew none of it gets all at its next attempt.
func (s *Server) ciphers(c *connection) []string {
	all := gossh.SupportedAlgorithms().Ciphers
	s.mu.Lock()
	since, picky := s.picky[address(c)]
	s.mu.Unlock()
	if picky && time.Since(since) < pickyFor {
		return all
	}
	return offer(all, c.version())
}

// offer returns those of the supported ciphers that are offered to a client, the fast ones first. It is the client that
// chooses, and OpenSSH, which can do AES-GCM, would choose ChaCha20 or AES-CTR wherever they are offered. Where the
// processor has AES built in these take two to three times as long.
func offer(supported []string, client string) []string {
	gcm := []string{gossh.CipherAES128GCM, gossh.CipherAES256GCM}
	if !hasAES() {
		return supported
	}
	if strings.HasPrefix(client, "SSH-2.0-OpenSSH_") {
		return gcm
	}
	return slices.Concat(gcm, slices.DeleteFunc(slices.Clone(supported), func(c string) bool { return slices.Contains(gcm, c) }))
}

func hasAES() bool {
	return cpu.X86.HasAES && cpu.X86.HasPCLMULQDQ || cpu.ARM64.HasAES && cpu.ARM64.HasPMULL || cpu.S390X.HasAESGCM
}

// failed is called when a handshake has failed.
func (s *Server) failed(conn net.Conn, err error) {
	var none *gossh.AlgorithmNegotiationError
	if !errors.As(err, &none) || !strings.Contains(none.What, "cipher") {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.picky == nil || len(s.picky) >= mostPicky {
		s.picky = map[string]time.Time{}
	}
	s.picky[address(conn)] = time.Now()
}
