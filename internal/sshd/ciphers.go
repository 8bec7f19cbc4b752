package sshd

import (
	"slices"
	"strings"

	gossh "golang.org/x/crypto/ssh"
	"golang.org/x/sys/cpu"
)

// The algorithms that clients are offered, best first: key exchanges without the curves of NIST, and MACs of what is
// encrypted, never of what is to be encrypted. Ciphers that authenticate themselves need none.
var (
	keyExchanges = []string{
		gossh.KeyExchangeMLKEM768X25519, gossh.KeyExchangeCurve25519,
		gossh.KeyExchangeDH16SHA512, gossh.KeyExchangeDHGEXSHA256, gossh.KeyExchangeDH14SHA256,
	}
	macs       = []string{gossh.HMACSHA256ETM, gossh.HMACSHA512ETM}
	gcmCiphers = []string{gossh.CipherAES128GCM, gossh.CipherAES256GCM}
)

// offeredCiphers returns those of the supported ciphers that are offered to a client, the fast ones first. It is the client that
// chooses, and OpenSSH, which can do AES-GCM, would choose ChaCha20 or AES-CTR wherever they are offered. Where the
// processor has AES built in these take two to three times as long. So OpenSSH gets nothing but AES-GCM, as long as it has
// said that it can do that.
func offeredCiphers(supported []string, client string, init *kexInit) []string {
	if !hasAES() {
		return supported
	}
	if strings.HasPrefix(client, "SSH-2.0-OpenSSH_") && init != nil && hasAny(init.in, gcmCiphers) && hasAny(init.out, gcmCiphers) {
		return gcmCiphers
	}
	return slices.Concat(gcmCiphers, slices.DeleteFunc(slices.Clone(supported), func(c string) bool { return slices.Contains(gcmCiphers, c) }))
}

func hasAny(names, wanted []string) bool {
	return slices.ContainsFunc(names, func(name string) bool { return slices.Contains(wanted, name) })
}

func hasAES() bool {
	return cpu.X86.HasAES && cpu.X86.HasPCLMULQDQ || cpu.ARM64.HasAES && cpu.ARM64.HasPMULL || cpu.S390X.HasAESGCM
}
