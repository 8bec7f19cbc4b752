package mask

import (
	"regexp"
	"slices"
	"strings"
	"unicode"
)

// secretParts are parts of names of secrets, without separators.
var secretParts = []string{
	"password", "passwd", "passphrase", "secret", "token", "apikey", "credential", "privatekey", "accesskey",
	"authorization", "connectionstring", "connstr", "webhook",
}

// secretWords are words of names of secrets. Words that end in one of secretSuffixes count too, such as dbpw.
var (
	secretWords = []string{
		"pass", "pw", "pwd", "key", "keys", "auth", "cred", "creds", "private", "pin", "otp", "totp", "salt", "jwt", "bearer",
		"dsn", "sas", "pat", "cookie", "cookies", "session", "license", "signature", "sig", "hmac", "psk", "sid", "seed",
	}
	secretSuffixes = []string{"pw", "pwd", "pass", "key"}
)

// publicNames look like names of secrets, but are not.
var publicNames = []string{"NomadTokenID", "SandboxKey", "SecretsMB"}

// isSecretName reports whether a value with this name is probably a secret.
func isSecretName(name string) bool {
	if slices.Contains(publicNames, name) {
		return false
	}
	words := wordsOf(name)
	joined := strings.Join(words, "")
	if slices.ContainsFunc(secretParts, func(part string) bool { return strings.Contains(joined, part) }) {
		return true
	}
	return slices.ContainsFunc(words, func(word string) bool {
		return slices.Contains(secretWords, word) ||
			slices.ContainsFunc(secretSuffixes, func(suffix string) bool { return strings.HasSuffix(word, suffix) })
	})
}

// wordsOf splits a name such as dbPassword, DB_PASSWORD or db-password into words in lowercase.
func wordsOf(name string) []string {
	var b strings.Builder
	var before rune
	for _, c := range name {
		if unicode.IsUpper(c) && unicode.IsLower(before) {
			b.WriteByte(' ')
		}
		if !unicode.IsLetter(c) {
			c = ' '
		}
		b.WriteRune(unicode.ToLower(c))
		before = c
	}
	return strings.Fields(b.String())
}

// isSecretFlag reports whether an argument is a flag whose value, the next argument, is probably a secret.
func isSecretFlag(argument string) bool {
	name := strings.TrimLeft(argument, "-")
	return name != argument && namePattern.MatchString(name) && isSecretName(name)
}

// nomadNames are variables that Nomad sets and that are not secrets.
var nomadNames = regexp.MustCompile(`^NOMAD_(?:(?:ALLOC|SHORT_ALLOC|TASK|GROUP|JOB|PARENT|DC|REGION|NAMESPACE|CPU|MEMORY|` +
	`PORT|HOST_PORT|ADDR|HOST_ADDR|IP|HOST_IP|SECRETS|ALLOC_DIR)(?:_[A-Za-z0-9_]+)?)$`)

// isHarmless reports whether a pair is certainly not a secret: neither the name nor the value looks like one, and the
// value consists of short words and numbers, such as debug, 30s, eu-west-1 or redis.service.consul:6379.
func isHarmless(name, value string) bool {
	switch {
	case value == "", isReference(name, value):
		return true
	case nomadNames.MatchString(name):
		return true
	case isSecretName(name), exposes(value):
		return false
	case pathPattern.MatchString(value):
		return !hasRandomWord(value)
	}
	rest := withoutReferences(value)
	return harmlessPattern.MatchString(rest) && !isSecretName(rest) && !hasRandomWord(rest)
}

// harmlessPattern matches values of usual settings. Other characters are frequent in passwords.
var harmlessPattern = regexp.MustCompile(`^[A-Za-z0-9 _./:,=@*+-]{0,256}$`)

var alphanumeric = regexp.MustCompile(`[A-Za-z0-9]+`)

// hasRandomWord reports whether a text has a word that could be a password or a key. Such a word is very long, changes
// its case often, or mixes letters and digits, unless it is as short as utf8 or amd64.
func hasRandomWord(text string) bool {
	const (
		maxMixed   = 5
		maxLetters = 20
		maxDigits  = 10
		maxHumps   = 3 // as in someCamelCaseName
	)
	for _, word := range alphanumeric.FindAllString(text, -1) {
		letters, digits, humps := 0, 0, 0
		var before rune
		for _, c := range word {
			switch {
			case unicode.IsDigit(c):
				digits++
			default:
				letters++
				if unicode.IsUpper(c) && unicode.IsLower(before) {
					humps++
				}
			}
			before = c
		}
		if letters > maxLetters || digits > maxDigits || humps > maxHumps ||
			letters > 0 && digits > 0 && len(word) > maxMixed && !isQuantity(word) {
			return true
		}
	}
	return false
}

var quantityPattern = regexp.MustCompile(`^[0-9]+(ns|us|ms|s|m|h|d|[KMGT]i?B?|[kmgt]b?|MHz|mhz)$`)

// isQuantity reports whether a word is a number with a unit, such as 300000ms.
func isQuantity(word string) bool { return quantityPattern.MatchString(word) }
