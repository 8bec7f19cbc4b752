package sshd

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	gossh "golang.org/x/crypto/ssh"

	"nomadctld/acl"
	"nomadctld/internal/audit"
	"nomadctld/internal/testenv/keygentest"
	"nomadctld/router"
)

// certServer returns a change of a server that trusts the CA in the directory for ann. w gets its records.
func certServer(dir keygentest.Dir, w *recorder) func(*Server) {
	return func(s *Server) {
		ann := acl.Account{User: acl.User{Login: "ann", Groups: []acl.Group{{}}}, Certificates: true}
		s.Settings.Users = acl.NewDirectory(acl.Rules{
			CAs: []gossh.PublicKey{dir.Public("ca")}, Accounts: []acl.Account{ann, newAccount("bob", dir.Public("bob"))},
		})
		s.Log, s.Record = slog.New(slog.NewTextHandler(w, nil)), w.record
	}
}

func newCertDir(t *testing.T) keygentest.Dir {
	t.Helper()
	dir := keygentest.New(t)
	dir.NewKeys("ca", "ann", "bob", "evil")
	return dir
}

func TestCertificate_Login(t *testing.T) {
	t.Parallel()
	dir, w := newCertDir(t), &recorder{}
	dir.Sign("ca", "ann", "cert", "-z", "5", "-n", "ann,oncall")
	var session router.Session
	s := startServerWith(t, Limits{}, func(_ context.Context, req *router.Request) error {
		session = req.Session
		return nil
	}, certServer(dir, w))
	client, err := s.dial(t, "ann", dir.CertSigner("ann", "cert"))
	if err != nil {
		t.Fatal(err)
	}
	runLine(t, client, "x")
	client.Close()
	key := dir.Public("cert").(*gossh.Certificate)
	want := audit.Certificate{
		Serial: 5, KeyID: "id-cert", CA: gossh.FingerprintSHA256(dir.Public("ca")), Principals: []string{"ann", "oncall"},
	}
	check := func(name, fingerprint string, got *audit.Certificate) {
		if got == nil || got.Serial != want.Serial || got.KeyID != want.KeyID || got.CA != want.CA ||
			strings.Join(got.Principals, " ") != "ann oncall" || fingerprint != gossh.FingerprintSHA256(key.Key) {
			t.Errorf("%s: got the key %s and %+v, want %+v", name, fingerprint, got, want)
		}
	}
	check("session", session.Fingerprint, session.Certificate)
	if session.Login != "ann" || session.Key != string(key.Marshal()) {
		t.Errorf("got the session %+v", session)
	}
	eventually(t, "the disconnect is recorded", func() bool { return len(w.eventsOf(audit.Disconnect)) == 1 })
	for _, kind := range []audit.Kind{audit.Login, audit.Disconnect} {
		e := w.eventsOf(kind)[0]
		check(string(kind), e.Key, e.Certificate)
	}
}

// TestCertificate_Refused checks that the reason of a refusal is in the log and in the audit log, and that the client
// learns nothing.
func TestCertificate_Refused(t *testing.T) {
	t.Parallel()
	dir := newCertDir(t)
	dir.Sign("ca", "ann", "expired", "-V", "20200101:20210101", "-z", "7")
	dir.Sign("evil", "ann", "wrongca")
	dir.Sign("ca", "bob", "bobcert", "-n", "bob")
	for _, tc := range []struct {
		name, login string
		key         gossh.Signer
		want        string
		certificate bool
	}{
		{"expired", "ann", dir.CertSigner("ann", "expired"), "the certificate expired at 2021-01-01T00:00:00Z", true},
		{"wrong CA", "ann", dir.CertSigner("ann", "wrongca"), "the certificate is signed by an unknown CA, SHA256:", true},
		{"no certificates", "bob", dir.CertSigner("bob", "bobcert"), "(cert = true)", true},
		{"unknown key", "bob", dir.Signer("evil"), "no such user with that key: SHA256:", false},
		{"unknown user", "zoe", dir.Signer("evil"), "no such user with that key: SHA256:", false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := &recorder{}
			s := startServerWith(t, Limits{}, whoHandler, certServer(dir, w))
			_, err := s.dial(t, tc.login, tc.key)
			const clientText = "ssh: handshake failed: ssh: unable to authenticate, attempted methods [none publickey], " +
				"no supported methods remain"
			if err == nil || err.Error() != clientText {
				t.Fatalf("the client got %v, want %s", err, clientText)
			}
			eventually(t, "the event is recorded", func() bool { return len(w.eventsOf(audit.LoginRefused)) == 1 })
			e := w.eventsOf(audit.LoginRefused)[0]
			if !strings.Contains(e.Error, tc.want) || (e.Certificate != nil) != tc.certificate ||
				!strings.Contains(w.text(), tc.want) || strings.Contains(w.text(), "key_id=id-") != tc.certificate {
				t.Errorf("got the event %+v and the log %s, want %q", e, w.text(), tc.want)
			}
		})
	}
}

// TestCertificate_ReasonOfBestAttempt checks the reason for a client that offers several keys: the certificate's, not
// that of the unknown keys.
func TestCertificate_ReasonOfBestAttempt(t *testing.T) {
	t.Parallel()
	dir, w := newCertDir(t), &recorder{}
	dir.Sign("ca", "ann", "expired", "-V", "20200101:20210101")
	s := startServerWith(t, Limits{}, whoHandler, certServer(dir, w))
	if _, err := s.dial(t, "ann", dir.Signer("evil"), dir.CertSigner("ann", "expired"), dir.Signer("ann")); err == nil {
		t.Fatal("login succeeded")
	}
	eventually(t, "the event is recorded", func() bool { return len(w.eventsOf(audit.LoginRefused)) == 1 })
	e := w.eventsOf(audit.LoginRefused)[0]
	ann, evil := gossh.FingerprintSHA256(dir.Public("ann")), gossh.FingerprintSHA256(dir.Public("evil"))
	want := "login failed: the certificate expired at 2021-01-01T00:00:00Z: " + ann + "; no such user with that key: " +
		evil + ", " + ann
	if e.Error != want || e.Certificate == nil || e.Certificate.KeyID != "id-expired" {
		t.Errorf("got  %s, %+v\nwant %s", e.Error, e.Certificate, want)
	}
}

// wrongSigner presents a certificate, and signs with another key.
type wrongSigner struct {
	cert gossh.PublicKey
	gossh.Signer
}

func (w wrongSigner) PublicKey() gossh.PublicKey { return w.cert }

// TestCertificate_StolenPublicPart checks that a certificate without its private key logs nobody in.
func TestCertificate_StolenPublicPart(t *testing.T) {
	t.Parallel()
	dir, w := newCertDir(t), &recorder{}
	dir.Sign("ca", "ann", "cert")
	s := startServerWith(t, Limits{}, whoHandler, certServer(dir, w))
	_, err := s.dial(t, "ann", wrongSigner{dir.Public("cert"), dir.Signer("evil")}, dir.Signer("bob"))
	if err == nil {
		t.Fatal("login succeeded")
	}
	eventually(t, "the event is recorded", func() bool { return len(w.eventsOf(audit.LoginRefused)) == 1 })
	if e := w.eventsOf(audit.LoginRefused)[0]; !strings.Contains(e.Error, "forged signature") || e.Certificate == nil {
		t.Errorf("got %+v", e)
	}
}

// TestCertificate_Permits checks that a terminal and forwarding are refused without their extensions, with the reason.
func TestCertificate_Permits(t *testing.T) {
	t.Parallel()
	dir, w := newCertDir(t), &recorder{}
	dir.Sign("ca", "ann", "all")
	dir.Sign("ca", "ann", "none", "-O", "clear")
	s := startServerWith(t, Limits{}, whoHandler, certServer(dir, w))
	for _, tc := range []struct {
		cert, terminal, forwarding string
	}{
		{"all", "", noForwarding},
		{
			"none", "nomadctld: no terminal: your certificate does not permit terminals (it has no permit-pty extension)\r\n",
			"your certificate does not permit port forwarding (it has no permit-port-forwarding extension)",
		},
	} {
		client, err := s.dial(t, "ann", dir.CertSigner("ann", tc.cert))
		if err != nil {
			t.Fatal(err)
		}
		session, err := client.NewSession()
		if err != nil {
			t.Fatal(err)
		}
		var out, errs bytes.Buffer
		session.Stdout, session.Stderr = &out, &errs
		if err := session.RequestPty("xterm", 24, 80, nil); (err != nil) != (tc.terminal != "") {
			t.Errorf("%s: the terminal: got %v", tc.cert, err)
		}
		if err := session.Run("x"); err != nil || strings.TrimSpace(out.String()) != "ann x" || errs.String() != tc.terminal {
			t.Errorf("%s: got %q, %q, %v, want %q", tc.cert, out.String(), errs.String(), err, tc.terminal)
		}
		_, err = client.Dial("tcp", "127.0.0.1:22")
		var refused *gossh.OpenChannelError
		if !errors.As(err, &refused) || refused.Message != tc.forwarding {
			t.Errorf("%s: forwarding: got %v, want %q", tc.cert, err, tc.forwarding)
		}
	}
}

// newMinuteCert writes the certificate cert, which is valid in the first minute of simulated time.
func newMinuteCert(t *testing.T) keygentest.Dir {
	t.Helper()
	dir := newCertDir(t)
	dir.Sign("ca", "ann", "cert", "-V", "19991231000000:20000101000100")
	return dir
}

// startSimulatedCA starts a server in a synctest bubble that trusts the CA in the directory.
func startSimulatedCA(
	t *testing.T, dir keygentest.Dir, w *recorder, handler router.Handler, change func(*Server),
) *testServer {
	t.Helper()
	l := newMemoryListener()
	return serveOn(t, l, l.dial, Limits{}, handler, func(s *Server) { certServer(dir, w)(s); change(s) })
}

// untilEnded is a command that runs until its context ends, and returns the cause.
func untilEnded(ctx context.Context, _ *router.Request) error {
	<-ctx.Done()
	return context.Cause(ctx)
}

// runFor starts a command that does not finish by itself, and calls then. It returns the stderr of the command and how
// long it ran.
func runFor(t *testing.T, client *gossh.Client, then func()) (stderr string, ran time.Duration) {
	t.Helper()
	session, err := client.NewSession()
	if err != nil {
		t.Fatal(err)
	}
	var errs bytes.Buffer
	session.Stderr = &errs
	start := time.Now()
	if err := session.Start("x"); err != nil {
		t.Fatal(err)
	}
	synctest.Wait()
	then()
	if err := session.Wait(); err == nil {
		t.Error("the command succeeded")
	}
	return errs.String(), time.Since(start)
}

func TestCertificate_ExpiryClosesSession(t *testing.T) {
	dir := newMinuteCert(t)
	synctest.Test(t, func(t *testing.T) {
		w := &recorder{}
		s := startSimulatedCA(t, dir, w, untilEnded, func(*Server) {})
		client, err := s.dial(t, "ann", dir.CertSigner("ann", "cert"))
		if err != nil {
			t.Fatal(err)
		}
		stderr, ran := runFor(t, client, func() {})
		const want = "nomadctld: your login is no longer accepted: the certificate expired at 2000-01-01T00:01:00Z\n"
		if stderr != want || ran < 55*time.Second || ran > time.Minute+time.Second {
			t.Errorf("got %q after %s, want %q after a minute", stderr, ran, want)
		}
		client.Wait() // the gateway closes the connection
		if !strings.Contains(w.text(), `msg="login no longer accepted" user=ann`) {
			t.Errorf("got the log %s", w.text())
		}
		if _, err := s.dial(t, "ann", dir.CertSigner("ann", "cert")); err == nil {
			t.Error("a login after the expiry succeeded")
		}
	})
}

// TestCertificate_ExpiryClosesIdleConnection: without a running command, the connection is closed at once.
func TestCertificate_ExpiryClosesIdleConnection(t *testing.T) {
	dir := newMinuteCert(t)
	synctest.Test(t, func(t *testing.T) {
		s := startSimulatedCA(t, dir, &recorder{}, whoHandler, func(*Server) {})
		client, err := s.dial(t, "ann", dir.CertSigner("ann", "cert"))
		if err != nil {
			t.Fatal(err)
		}
		runLine(t, client, "x")
		start := time.Now()
		client.Wait()
		if open := time.Since(start); open > time.Minute+time.Second {
			t.Errorf("the connection was open for %s", open)
		}
	})
}

// TestCertificate_ClockJumps checks that the gateway notices within a minute that its clock was set beyond the end of a
// certificate. Timers do not follow the clock.
func TestCertificate_ClockJumps(t *testing.T) {
	dir := newCertDir(t)
	dir.Sign("ca", "ann", "cert", "-V", "19991231000000:20000201000000")
	synctest.Test(t, func(t *testing.T) {
		jump := make(chan struct{})
		clock := func() time.Time {
			select {
			case <-jump:
				return time.Now().AddDate(0, 2, 0)
			default:
				return time.Now()
			}
		}
		s := startSimulatedCA(t, dir, &recorder{}, untilEnded, func(s *Server) { s.now = clock })
		client, err := s.dial(t, "ann", dir.CertSigner("ann", "cert"))
		if err != nil {
			t.Fatal(err)
		}
		stderr, ran := runFor(t, client, func() { close(jump) })
		if !strings.Contains(stderr, "the certificate expired at 2000-02-01T00:00:00Z") || ran > time.Minute {
			t.Errorf("got %q after %s", stderr, ran)
		}
	})
}

// TestKey_WithoutExpiry checks that a key without an expiry does not close a session.
func TestKey_WithoutExpiry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := startSimulated(t, Limits{}, func(ctx context.Context, _ *router.Request) error {
			select {
			case <-ctx.Done():
				return context.Cause(ctx)
			case <-time.After(5 * time.Hour):
				return nil
			}
		})
		runLine(t, s.annsClient(t), "x")
	})
}
