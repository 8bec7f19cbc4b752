package sshd

import (
	"slices"
	"strings"

	gossh "golang.org/x/crypto/ssh"
	"golang.org/x/sys/cpu"
)

// The algorithms that the gateway offers, best first: no NIST curves, and only encrypt-then-MAC. AEAD ciphers need no
// MAC.
var (
	keyExchanges = []string{
		gossh.KeyExchangeMLKEM768X25519, gossh.KeyExchangeCurve25519,
		gossh.KeyExchangeDH16SHA512, gossh.KeyExchangeDHGEXSHA256, gossh.KeyExchangeDH14SHA256,
	}
	macs       = []string{gossh.HMACSHA256ETM, gossh.HMACSHA512ETM}
	gcmCiphers = []string{gossh.CipherAES128GCM, gossh.CipherAES256GCM}
)

// offeredCiphers returns the ciphers to offer to a client, fast ones first. The client's preference decides, and
// OpenSSH prefers ChaCha20 and AES-CTR to AES-GCM. On processors with AES instructions both are two to three times
// slower. So OpenSSH is offered only AES-GCM if it supports that.
func offeredCiphers(supported []string, client string, init *kexInit) []string {
	if !hasAES() {
		return supported
	}
	if strings.HasPrefix(client, "SSH-2.0-OpenSSH_") && init != nil &&
		hasAny(init.in, gcmCiphers) && hasAny(init.out, gcmCiphers) {
		return gcmCiphers
	}
	isGCM := func(c string) bool { return slices.Contains(gcmCiphers, c) }
	return slices.Concat(gcmCiphers, slices.DeleteFunc(slices.Clone(supported), isGCM))
}

func hasAny(names, wanted []string) bool {
	return slices.ContainsFunc(names, func(name string) bool { return slices.Contains(wanted, name) })
}

// hasAES reports whether the processor has AES instructions.
func hasAES() bool {
	return cpu.X86.HasAES && cpu.X86.HasPCLMULQDQ || cpu.ARM64.HasAES && cpu.ARM64.HasPMULL || cpu.S390X.HasAESGCM
}
