"""What our own domains publish: records and policies from the config, TLSA records from the keys in use, and that these
fit what the server shows.
"""

import json
import pathlib
import re
import subprocess
import tempfile

import dns_server
import harness
import smtp_sink
import test_dane

DOMAINS = """
domains:
  localhost: {}
  example.org:
    mta_sts: {mode: enforce, mx: [mx.our.test, "*.example.org"]}
    tls_reports: [tls@example.org, "https://reports.example/in"]
    dmarc: {policy: reject, reports: [dmarc@example.org, dmarc@elsewhere.example]}
  plain.example: {}
"""
POLICY = "version: STSv1\r\nmode: enforce\r\nmx: mx.our.test\r\nmx: *.example.org\r\nmax_age: 2419200\r\n"


@harness.mailkeep_only
class Published(harness.ServerCase):
    accounts = 1

    @classmethod
    def setUpClass(cls):
        temporary = tempfile.TemporaryDirectory(prefix="mailkeep-published-")
        cls.addClassCleanup(temporary.cleanup)
        cls.folder = pathlib.Path(temporary.name)
        authority = smtp_sink.Authority(cls.folder)
        authority.context("next", "DNS:mx.our.test")
        cls.next = cls.folder / "next.pem"
        super().setUpClass()
        cls.server.stop()
        cls.config = cls.server.data / "config"
        path = cls.config / "mailkeep.yaml"
        text = re.sub(r"(?m)^hostname: .*$", "hostname: mx.our.test", path.read_text())
        path.write_text(re.sub(r"(?m)^(\s+)tls:\n(\s+)", rf"\1tls:\n\2next_keys: [{cls.next}]\n\2", text, count=1))
        path = cls.config / "domains.yaml"
        path.write_text(re.sub(r"(?ms)^domains:.*?(?=^\w)", DOMAINS.lstrip(), path.read_text()))
        cls.server.start()

    def say(self, *words, status=0, config=True):
        more = ["--config", str(self.config)] if config else []
        done = subprocess.run([harness.PROGRAM, *words, *more], capture_output=True, timeout=60)
        self.assertEqual(done.returncode, status, done.stdout.decode() + done.stderr.decode())
        return done.stdout.decode() if status == 0 else done.stderr.decode()

    # --- records of the config ---

    def test_mta_sts(self):
        record = self.say("mtasts", "record", "example.org")
        self.assertRegex(record, r'^_mta-sts\.example\.org\. IN TXT "v=STSv1; id=[0-9a-f]{16};"\n$')
        self.assertEqual(self.say("mtasts", "policy", "example.org"), POLICY)
        got = json.loads(self.say("mtasts", "policy", "example.org", "--json"))
        self.assertEqual((got["url"], got["policy"]), ("https://mta-sts.example.org/.well-known/mta-sts.txt", POLICY))

    def test_reports(self):
        self.assertEqual(self.say("tlsrpt", "record", "example.org"),
                         '_smtp._tls.example.org. IN TXT "v=TLSRPTv1; rua=mailto:tls@example.org,'
                         'https://reports.example/in"\n')
        self.assertEqual(self.say("dmarc", "record", "example.org"),
                         '_dmarc.example.org. IN TXT "v=DMARC1; p=reject; rua=mailto:dmarc@example.org,'
                         'mailto:dmarc@elsewhere.example"\n'
                         'example.org._report._dmarc.elsewhere.example. IN TXT "v=DMARC1;"\n')
        got = json.loads(self.say("dmarc", "record", "example.org", "--json"))
        self.assertEqual((got["owner"], got["type"]), ("_dmarc.example.org.", "TXT"))
        self.assertTrue(got["text"].startswith("v=DMARC1; p=reject;"))

    def test_what_is_not_there(self):
        for words, field in ((("mtasts", "record"), "mta_sts.mode"), (("mtasts", "policy"), "mta_sts.mode"),
                             (("tlsrpt", "record"), "tls_reports"), (("dmarc", "record"), "dmarc.policy")):
            with self.subTest(words):
                self.assertIn(field, self.say(*words, "plain.example", status=1))
                self.assertIn("there is no domain `else.example`", self.say(*words, "else.example", status=1))
                self.assertIn("--json", self.say("help", *words, config=False))

    # --- records of the keys ---

    def served(self):
        """The certificate that the server shows, in a file."""
        path = self.folder / "served.pem"
        done = subprocess.run(["openssl", "s_client", "-connect", "%s:%d" % self.server.smtp, "-starttls", "smtp", "-servername",
                               "mx.our.test"], input=b"", capture_output=True, timeout=60)
        path.write_bytes(re.search(rb"-----BEGIN CERTIFICATE.*?END CERTIFICATE-----\n", done.stdout, re.S).group(0))
        return path

    def test_keys_in_use_and_next(self):
        in_use, following = test_dane.tlsa(self.served()), test_dane.tlsa(self.next)
        self.assertEqual(self.say("dane", "record"),
                         f"_25._tcp.mx.our.test. IN TLSA {in_use} ; in use\n"
                         f"_25._tcp.mx.our.test. IN TLSA {following} ; next: {self.next}\n")
        got = json.loads(self.say("dane", "record", "--json", "--matching", "2"))
        self.assertEqual([(r["owner"], r["record"], r["key"]) for r in got["records"]],
                         [("_25._tcp.mx.our.test.", test_dane.tlsa(self.served(), matching=2), "in use"),
                          ("_25._tcp.mx.our.test.", test_dane.tlsa(self.next, matching=2), "next")])

    def test_what_is_served_fits_what_is_published(self):
        ip, port = self.server.smtp
        facts = f"mx.our.test A {ip}\n" + "".join(
            f"_{port}._tcp.mx.our.test TLSA {line.split(' IN TLSA ')[1].split(' ;')[0]}\n"
            for line in self.say("dane", "record").splitlines())
        dns = dns_server.DnsServer(facts).start()
        self.addCleanup(dns.stop)
        anchor = self.folder / "anchor"
        anchor.write_text(dns.anchor)
        out = self.say("dane", "dial", f"mx.our.test:{port}", "--starttls", "smtp", "--resolver", f"{dns.address}:{dns.port}",
                       "--anchor", str(anchor), config=False)
        self.assertTrue(out.startswith("verified: "), out)

    def test_errors(self):
        self.assertIn("--host goes with a FILE", self.say("dane", "record", "--host", "mx.our.test", status=1))
        self.assertIn("--usage is a number", self.say("dane", "record", "--usage", "9", status=1))
        self.server.stop()
        try:
            self.assertIn("no server is running", self.say("dane", "record", status=1))
        finally:
            self.server.start()
