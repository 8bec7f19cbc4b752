package e2e

import (
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"nomadctld/internal/testenv"
	"nomadctld/internal/testenv/gatewaytest"
	"nomadctld/internal/testenv/keygentest"
)

// clients are programs that log in, each with a script that runs whoami. The scripts get $DIR, a directory with the key
// ann and its certificate ann-cert.pub, and $HOST, $PORT, $KNOWN_HOSTS and $FINGERPRINT of the gateway.
var clients = []struct {
	name, program, pkg string
	key, cert          string // cert is empty if the client does not support certificates
}{
	{
		"OpenSSH", "ssh", "openssh-client",
		`ssh $OPTIONS -o CertificateFile=none -i $DIR/ann ann@$HOST whoami`,
		`ssh $OPTIONS -o CertificateFile=$DIR/cert.pub -i $DIR/ann ann@$HOST whoami`,
	},
	{
		"Dropbear", "dbclient", "dropbear-bin",
		`dropbearconvert openssh dropbear $DIR/ann $DIR/ann.dropbear 2>/dev/null
		dbclient -y -y -i $DIR/ann.dropbear -p $PORT ann@$HOST whoami`,
		"",
	},
	{
		"PuTTY", "plink", "putty-tools",
		`puttygen $DIR/ann -O private -o $DIR/ann.ppk
		plink -batch -no-antispoof -hostkey $FINGERPRINT -i $DIR/ann.ppk -P $PORT ann@$HOST whoami`,
		`puttygen $DIR/ann --certificate $DIR/cert.pub -O private -o $DIR/cert.ppk
		plink -batch -no-antispoof -hostkey $FINGERPRINT -i $DIR/cert.ppk -P $PORT ann@$HOST whoami`,
	},
	{
		"Paramiko", "/usr/bin/python3", "python3-paramiko",
		"exec /usr/bin/python3 -W ignore -c '" + paramikoScript + "' $DIR/ann",
		"exec /usr/bin/python3 -W ignore -c '" + paramikoScript + "' $DIR/ann $DIR/cert.pub",
	},
	{
		"AsyncSSH", "/usr/bin/python3", "python3-asyncssh",
		"exec /usr/bin/python3 -W ignore -c '" + asyncSSHScript + "' $DIR/ann",
		"exec /usr/bin/python3 -W ignore -c '" + asyncSSHScript + "' $DIR/ann $DIR/cert.pub",
	},
}

const paramikoScript = `
import os, sys, paramiko
key = paramiko.Ed25519Key.from_private_key_file(sys.argv[1])
if len(sys.argv) > 2:
    key.load_certificate(sys.argv[2])
client = paramiko.SSHClient()
client.load_host_keys(os.environ["KNOWN_HOSTS"])
client.connect(os.environ["HOST"], int(os.environ["PORT"]), "ann", pkey=key, look_for_keys=False, allow_agent=False)
_, out, err = client.exec_command("whoami")
sys.stdout.write(out.read().decode())
sys.stderr.write(err.read().decode())
sys.exit(out.channel.recv_exit_status())
`

const asyncSSHScript = `
import asyncio, os, sys, asyncssh
async def main():
    async with asyncssh.connect(os.environ["HOST"], int(os.environ["PORT"]), username="ann", config=None,
            client_keys=[tuple(sys.argv[1:]) if len(sys.argv) > 2 else sys.argv[1]],
            known_hosts=os.environ["KNOWN_HOSTS"]) as conn:
        result = await conn.run("whoami")
        sys.stdout.write(result.stdout)
        sys.stderr.write(result.stderr)
        sys.exit(result.exit_status)
asyncio.run(main())
`

// TestClients_LogIn logs in with a key and, if the client supports certificates, with a certificate.
func TestClients_LogIn(t *testing.T) {
	t.Parallel()
	dir := keygentest.New(t)
	dir.NewKeys("ca", "ann")
	dir.Sign("ca", "ann", "cert", "-z", "5")
	g := gatewaytest.New(t, "http://127.0.0.1:1", `
auth.userca = "`+dir.Path+`/ca.pub"
`)
	text := regexp.MustCompile(`(?m)^users\.ann = .*$`).ReplaceAllString(testenv.ReadFile(t, g.ConfigFile()),
		`users.ann = { prefix = ["team1"], cert = true, key = "`+dir.Line("ann")+`" }`)
	g.WriteConfig(t, text)
	g.Serve(t)
	host, port, _ := strings.Cut(g.Address, ":")
	knownHosts := g.Dir.Path("known_hosts")
	fingerprint := strings.Fields(dir.Run("-lf", g.Dir.Path("hostkey.pub")))[1]
	run := func(t *testing.T, script string) string {
		t.Helper()
		cmd := exec.Command("sh", "-euc", script)
		cmd.Env = append(os.Environ(), "HOME="+t.TempDir(), "DIR="+dir.Path, "HOST="+host, "PORT="+port,
			"KNOWN_HOSTS="+knownHosts, "FINGERPRINT="+fingerprint,
			"OPTIONS=-F none -p "+port+" -o UserKnownHostsFile="+knownHosts+" -o IdentitiesOnly=yes -o IdentityAgent=none")
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Errorf("%v\n%s\n%s", err, script, out)
		}
		return string(out)
	}
	const certificate = "\ncertificate id-cert, serial 5, "
	for _, client := range clients {
		t.Run(client.name, func(t *testing.T) {
			if _, err := exec.LookPath(client.program); err != nil {
				t.Skipf("no %s: apt-get install %s", client.program, client.pkg)
			}
			if module, ok := strings.CutPrefix(client.pkg, "python3-"); ok {
				if err := exec.Command(client.program, "-W", "ignore", "-c", "import "+module).Run(); err != nil {
					t.Skipf("no Python module %s: apt-get install %s", module, client.pkg)
				}
			}
			if out := run(t, client.key); !strings.Contains(out, "ann (ann)\n") || strings.Contains(out, certificate) {
				t.Errorf("with the key: got\n%s", out)
			}
			if client.cert != "" {
				if out := run(t, client.cert); !strings.Contains(out, "ann (ann)\n") || !strings.Contains(out, certificate) {
					t.Errorf("with the certificate: got\n%s", out)
				}
			}
		})
	}
}
