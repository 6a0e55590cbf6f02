#!/usr/bin/env python3
"""`mailkeep dane`, `mtasts` and `tlsrpt` against a signing DNS server, mail servers and a policy host of the test's
own: what each finds, what it would do with a message, and what it says about why.
"""

import hashlib
import json
import pathlib
import shutil
import ssl
import subprocess
import tempfile
import unittest

import dns_server
import harness
import https_sink
import smtp_sink

SECONDS = 60
OTHER = "00" * 32


def openssl(*arguments, data=None):
    return subprocess.run(["openssl", *map(str, arguments)], input=data, check=True, capture_output=True).stdout


def key_of(certificate):
    """The SubjectPublicKeyInfo in DER."""
    return openssl("pkey", "-pubin", "-outform", "DER", data=openssl("x509", "-in", certificate, "-pubkey", "-noout"))


def tlsa(certificate, usage=3, selector=1, matching=1):
    der = key_of(certificate) if selector else openssl("x509", "-in", certificate, "-outform", "DER")
    data = {0: bytes.hex, 1: lambda d: hashlib.sha256(d).hexdigest(), 2: lambda d: hashlib.sha512(d).hexdigest()}[matching](der)
    return f"{usage} {selector} {matching} {data}"


@unittest.skipIf(harness.is_peer(), "about mailkeep's own commands")
class CommandCase(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = pathlib.Path(tempfile.mkdtemp(prefix="mailkeep-dane-"))
        cls.addClassCleanup(shutil.rmtree, cls.folder, True)
        cls.authority = smtp_sink.Authority(cls.folder)
        cls.other = smtp_sink.Authority(cls.folder, "other")
        cls.good, _ = cls.authority.context("mx", "DNS:mx.good.test,DNS:mx.plain.example")
        cls.certificate = cls.folder / "mx.pem"

    def run_command(self, *words, status=0):
        done = subprocess.run([harness.PROGRAM, *map(str, words)], capture_output=True, timeout=SECONDS)
        self.assertEqual(done.returncode, status, done.stdout.decode() + done.stderr.decode())
        return done.stdout.decode(), done.stderr.decode()


class Record(CommandCase):
    def test_records_are_those_of_openssl(self):
        for usage in range(4):
            certificate = self.authority.certificate if usage in (0, 2) else self.certificate
            chain = self.folder / "chain.pem"
            chain.write_text(self.certificate.read_text() + self.authority.certificate.read_text())
            for selector in range(2):
                for matching in range(3):
                    out, _ = self.run_command("dane", "record", "--usage", usage, "--selector", selector, "--matching",
                                              matching, chain)
                    self.assertEqual(out.strip(), tlsa(certificate, usage, selector, matching))

    def test_defaults_hosts_and_json(self):
        out, _ = self.run_command("dane", "record", self.certificate)
        self.assertEqual(out.strip(), tlsa(self.certificate))
        out, _ = self.run_command("dane", "record", self.certificate, "--host", "MX.Example.org", "--port", 2525)
        self.assertEqual(out.strip(), f"_2525._tcp.mx.example.org. IN TLSA {tlsa(self.certificate)}")
        out, _ = self.run_command("dane", "record", self.certificate, "--json")
        got = json.loads(out)
        self.assertEqual((got["ok"], got["record"], got["usage"]), (True, tlsa(self.certificate), 3))
        key = self.folder / "public.pem"
        key.write_bytes(openssl("x509", "-in", self.certificate, "-pubkey", "-noout"))
        out, _ = self.run_command("dane", "record", key)
        self.assertEqual(out.strip(), tlsa(self.certificate))

    def test_bad_input(self):
        empty = self.folder / "empty"
        empty.write_text("")
        for words, said in (((empty,), "no certificate"), ((self.folder / "none",), "cannot be read"),
                            ((self.folder / "mx.key",), "no certificate or public key"),
                            ((self.certificate, "--usage", 4), "--usage is"), ((self.certificate, "--matching", "x"), "--matching"),
                            ((self.certificate, "--host", "a..b"), "not the name of a host"),
                            ((self.certificate, "--port", 0), "--port is")):
            with self.subTest(words=words):
                _, error = self.run_command("dane", "record", *words, status=1)
                self.assertIn(said, error)


class NetworkCase(CommandCase):
    def setUp(self):
        self.ip = harness.own_ip()
        self.port = smtp_sink.free_port(self.ip)
        self.table, self.sinks = [], {}

    def sink(self, ip=None, **options):
        sink = smtp_sink.Sink(ip or self.ip, self.port, **{"tls": self.good, **options}).start()
        self.addCleanup(sink.stop)
        return sink

    def facts(self, text):
        self.table.append(text.format(ip=self.ip, port=self.port, good=tlsa(self.certificate), other=f"3 1 1 {OTHER}",
                                      authority=tlsa(self.authority.certificate, 2, 0)))

    def ask(self, *words, status=0, ca=None, arguments=()):
        server = dns_server.DnsServer("\n".join(self.table)).start()
        self.addCleanup(server.stop)
        anchor = self.folder / f"anchor-{server.port}"
        anchor.write_text(server.anchor)
        common = ["--resolver", f"{server.address}:{server.port}", "--anchor", anchor, "--timeout", 20]
        if words[0] != "tlsrpt":
            common += ["--ca", ca or self.authority.certificate]
        out, error = self.run_command(*words, *common, *arguments, status=status)
        self.asked = [(name, kind) for name, kind, _ in server.queries]
        return out if out else error

    def first(self, out):
        return out.split(":")[0]


GOOD = """
good.test MX 10 mx.good.test
mx.good.test A {ip}
"""


class Dial(NetworkCase):
    def dial(self, status=0, *, starttls=True, host="mx.good.test", **options):
        words = ["--starttls", "smtp"] if starttls else []
        return self.ask("dane", "dial", f"{host}:{self.port}", *words, status=status, **options)

    def test_a_certificate_that_fits(self):
        self.sink()
        self.facts(GOOD + "_{port}._tcp.mx.good.test TLSA {good}\n_{port}._tcp.mx.good.test TLSA {other}\n"
                   "_{port}._tcp.mx.good.test TLSA 1 1 1 " + OTHER)
        out = self.dial()
        self.assertEqual(self.first(out), "verified")
        self.assertIn(f"TLSA {tlsa(self.certificate)} matched the server's certificate\n", out)
        self.assertIn(f"TLSA 3 1 1 {OTHER} differs: ", out)
        self.assertIn(f"TLSA 1 1 1 {OTHER} unusable: ", out)
        self.assertIn("names mx.good.test mx.plain.example\n", out)
        self.assertIn("DANE: 2 of 3 usable", out)
        self.assertRegex(out, r"TLS: TLSv1\.3 ")

    def test_json(self):
        self.sink()
        self.facts(GOOD + "_{port}._tcp.mx.good.test TLSA {good}")
        got = json.loads(self.dial(arguments=["--json"]))
        self.assertEqual((got["ok"], got["result"], got["dane"]["state"]), (True, "verified", "usable"))
        self.assertEqual(got["dane"]["base_domain"], "mx.good.test")
        self.assertEqual(got["dane"]["records"][0]["verdict"], "matched")
        self.assertEqual([answer["security"] for answer in got["dane"]["answers"]], ["secure"] * 3)
        self.assertTrue(got["session"]["dane"]["good"])
        self.assertEqual(got["session"]["certificates"][0]["key_sha256"], tlsa(self.certificate).split()[3])

    def test_one_that_does_not(self):
        self.sink()
        self.facts(GOOD + "_{port}._tcp.mx.good.test TLSA {other}")
        out = self.dial(status=1)
        self.assertEqual(self.first(out), "mismatch")
        self.assertIn("differs: it is of no certificate that the server sent", out)

    def test_an_authority_that_the_server_does_not_send(self):
        self.sink()
        self.facts(GOOD + "_{port}._tcp.mx.good.test TLSA {authority}")
        self.assertEqual(self.first(self.dial(status=1)), "mismatch")

    def test_no_records_unusable_ones_and_unsigned_hosts(self):
        self.sink()
        self.facts(GOOD)
        self.assertEqual(self.first(self.dial()), "none")
        self.facts(f"_{self.port}._tcp.mx.good.test TLSA 1 1 1 {OTHER}")
        self.assertEqual(self.first(self.dial()), "unusable")
        self.facts("insecure plain.test\nmx.plain.test A {ip}\n_{port}._tcp.mx.plain.test TLSA !servfail")
        self.assertEqual(self.first(self.dial(host="mx.plain.test")), "none")
        self.assertFalse([query for query in self.asked if query[1] == "TLSA"])

    def test_forged_records(self):
        self.sink()
        self.facts(GOOD + "_{port}._tcp.mx.good.test TLSA {good}\n_{port}._tcp.mx.good.test TLSA !bogus")
        out = self.dial(status=1)
        self.assertEqual(self.first(out), "failed")
        self.assertIn("(bogus)", out)

    def test_servers_that_do_not_do_tls(self):
        self.facts(GOOD + "_{port}._tcp.mx.good.test TLSA {good}")
        self.assertEqual(self.first(self.dial(status=1)), "failed")  # nobody there
        sink = self.sink(tls=None)
        self.assertIn("no TLS with mx.good.test", self.dial(status=1))
        self.assertTrue(any("STARTTLS" in str(command).upper() for command in sink.commands))  # asked for all the same

    def test_tls_from_the_first_byte(self):
        server = https_sink.Server(self.ip, self.good, https_sink.saying(https_sink.answer()))
        self.addCleanup(server.stop)
        self.port = server.port
        self.facts(GOOD + "_{port}._tcp.mx.good.test TLSA {good}")
        self.assertEqual(self.first(self.dial(starttls=False)), "verified")
        self.assertEqual(server.names, ["mx.good.test"])
        self.assertEqual(self.first(self.dial(starttls=False, host=self.ip)), "none")

    def test_words_that_are_not_understood(self):
        for words in (("mx.good.test",), ("mx.good.test:0",), ("mx.good.test:99999",), (":25",), ("a..b:25",),
                      ("mx.good.test:25", "--starttls", "imap")):
            with self.subTest(words=words):
                self.run_command("dane", "dial", *words, status=1)


class DialMx(NetworkCase):
    def setUp(self):
        super().setUp()
        self.policies = {}

    def policy(self, domain, mode, mx="mx.plain.example", context=None, body=None):
        """A policy host with a certificate of the authority, unless the test says otherwise."""
        text = body or f"version: STSv1\nmode: {mode}\nmx: {mx}\nmax_age: 1000\n"
        context = context or self.authority.context(f"sts-{domain}", f"DNS:mta-sts.{domain}")[0]
        server = https_sink.Server(harness.own_ip(), context, https_sink.saying(https_sink.answer(text.encode())))
        self.addCleanup(server.stop)
        self.https_port = server.port
        self.facts(f'_mta-sts.{domain} TXT "v=STSv1; id=1;"\nmta-sts.{domain} A {server.ip}')
        return server

    def dial(self, domain="good.test", status=0, *arguments):
        more = ["--https-port", self.https_port] if hasattr(self, "https_port") else []
        return self.ask("dane", "dialmx", domain, "--port", self.port, status=status, arguments=[*more, *arguments])

    def expect(self, word, domain="good.test", *arguments):
        out = self.dial(domain, 1 if word in ("deferred", "failed") else 0, *arguments)
        self.assertEqual(self.first(out), word, out)
        return out

    PLAIN = "insecure plain.example\nplain.example MX 10 mx.plain.example\nmx.plain.example A {ip}\n"
    TLSA = "_{port}._tcp.mx.good.test TLSA {good}\n"

    def test_dane(self):
        self.sink(extensions=["REQUIRETLS"])
        self.facts(GOOD + self.TLSA)
        out = self.expect("verified")
        self.assertIn(f"would go to mx.good.test [{self.ip}] over TLSv1.3, verified by TLSA records (DANE)", out)
        self.assertIn("the MX records of good.test are secure", out)
        self.assertIn("decision: TLSA records (DANE) demand TLS", out)
        self.expect("verified", "good.test", "--requiretls")

    def test_opportunistic(self):
        self.facts(self.PLAIN)
        self.sink()
        self.assertIn("not verified, since nothing demands it", self.expect("encrypted", "plain.example"))
        self.expect("failed", "plain.example", "--requiretls")

    def test_clear(self):
        self.facts(self.PLAIN)
        self.sink(tls=None)
        self.expect("clear", "plain.example")

    def test_a_broken_handshake_is_clear_where_it_may_be(self):
        self.facts(self.PLAIN + GOOD + self.TLSA)
        sink = self.sink()
        sink.handshake = "garbage"
        self.expect("clear", "plain.example")
        self.expect("deferred")
        self.expect("clear", "good.test", "--tls-optional")

    def test_dane_mismatch_is_deferred_and_the_next_host_tried(self):
        second = harness.own_ip()
        self.facts(GOOD + "good.test MX 20 mx2.good.test\nmx2.good.test A " + second + "\n"
                   "_{port}._tcp.mx.good.test TLSA {other}\n_{port}._tcp.mx2.good.test TLSA {good}\n")
        self.sink()
        self.expect("deferred")
        self.sink(ip=second)
        out = self.expect("verified")
        self.assertIn("mx.good.test (preference 10): deferred", out)
        self.assertIn("mx2.good.test (preference 20): verified", out)
        self.expect("encrypted", "good.test", "--tls-optional")

    def test_forged_records_close_the_host(self):
        self.facts(GOOD + self.TLSA + "_{port}._tcp.mx.good.test TLSA !expired\n")
        sink = self.sink()
        out = self.expect("deferred")
        self.assertIn("extended error 7 (Signature Expired)", out)
        self.assertEqual(sink.connections, 0)
        self.expect("encrypted", "good.test", "--tls-optional")

    def test_an_enforced_policy(self):
        self.facts(self.PLAIN)
        self.policy("plain.example", "enforce")
        self.sink(extensions=["REQUIRETLS"])
        out = self.expect("verified", "plain.example")
        self.assertIn("verified by authorities", out)
        self.assertIn("policy: mode: enforce", out)
        self.expect("verified", "plain.example", "--requiretls")

    def test_an_enforced_policy_and_a_wrong_certificate(self):
        self.facts(self.PLAIN)
        self.policy("plain.example", "enforce")
        self.sink(tls=self.other.context("foreign", "DNS:mx.plain.example")[0])
        self.assertIn("by authorities: not verified", self.expect("deferred", "plain.example"))

    def test_an_enforced_policy_that_names_another_host(self):
        self.facts(self.PLAIN)
        self.policy("plain.example", "enforce", "mx.elsewhere.example")
        sink = self.sink()
        self.assertIn("does not name this host", self.expect("deferred", "plain.example"))
        self.assertEqual(sink.connections, 0)
        self.expect("encrypted", "plain.example", "--tls-optional")

    def test_testing_none_and_policies_that_cannot_be_had(self):
        self.facts(self.PLAIN)
        self.sink(tls=None)
        for mode in ("testing", "none"):
            self.table.clear()
            self.facts(self.PLAIN)
            self.policy("plain.example", mode)
            self.expect("clear", "plain.example")
        self.table.clear()
        self.facts(self.PLAIN)
        self.policy("plain.example", "enforce", context=self.other.context("sts-foreign", "DNS:mta-sts.plain.example")[0])
        self.assertIn("certificate not verified", self.expect("clear", "plain.example"))

    def test_both_must_hold(self):
        self.facts(GOOD + self.TLSA)
        self.policy("good.test", "enforce", "mx.good.test")
        self.sink()
        self.assertIn("verified by TLSA records (DANE) and by authorities", self.expect("verified"))
        self.table.clear()
        self.facts(GOOD + "_{port}._tcp.mx.good.test TLSA {other}\n")
        self.policy("good.test", "enforce", "mx.good.test")
        self.expect("deferred")

    def test_domains_without_a_way(self):
        self.facts("null.test MX 0 .\nfails.test MX !servfail\nbogus.test MX 10 mx.good.test\nbogus.test MX !bogus\n" + GOOD)
        self.expect("failed", "null.test")
        self.expect("failed", "none.test")
        self.expect("deferred", "fails.test")
        self.expect("deferred", "bogus.test")
        self.expect("failed", "a..b")
        self.expect("deferred")  # nobody there

    def test_json_and_all(self):
        second = harness.own_ip()
        self.facts(GOOD + self.TLSA + f"good.test MX 20 mx2.good.test\nmx2.good.test A {second}\n")
        self.sink(), self.sink(ip=second)
        got = json.loads(self.dial("good.test", 0, "--json"))
        self.assertEqual((got["ok"], got["result"], len(got["hosts"])), (True, "verified", 1))
        got = json.loads(self.dial("good.test", 0, "--json", "--all"))
        self.assertEqual([(host["host"], host["result"]) for host in got["hosts"]],
                         [("mx.good.test", "verified"), ("mx2.good.test", "encrypted")])
        host = got["hosts"][0]
        self.assertEqual(host["decision"]["dane_required"], True)
        self.assertEqual(host["dane"]["names"], ["mx.good.test", "good.test"])
        self.assertEqual(host["session"]["progress"], "done")
        self.assertEqual(got["mx"]["security"], "secure")
        self.assertEqual(got["mta_sts"]["announcement"], "absent")


class Lookup(NetworkCase):
    def mtasts(self, word, domain, status=0, *arguments):
        out = self.ask("mtasts", "lookup", domain, status=status, arguments=arguments)
        self.assertEqual(self.first(out), word, out)
        return out

    def test_policies(self):
        context, _ = self.authority.context("sts", "DNS:mta-sts.good.test")
        body = b"version: STSv1\nmode: enforce\nmx: mx.good.test\nx-odd: \xc3\xa9\nmax_age: 5\n"
        server = https_sink.Server(self.ip, context, https_sink.saying(https_sink.answer(body)))
        self.addCleanup(server.stop)
        self.facts(GOOD + 'good.test MX 20 other.test\n_mta-sts.good.test TXT "v=STSv1; id=abc;"\nmta-sts.good.test A {ip}')
        out = self.mtasts("enforce", "good.test", 0, "--port", server.port)
        self.assertIn("MX mx.good.test: named by the policy", out)
        self.assertIn("MX other.test: not named by the policy", out)
        self.assertIn("policy: x-odd: \u00e9", out)
        got = json.loads(self.ask("mtasts", "lookup", "good.test", arguments=["--port", server.port, "--json"]))
        self.assertEqual((got["result"], got["mta_sts"]["id"]), ("enforce", "abc"))
        self.assertEqual(got["mta_sts"]["policy"], {"id": "abc", "mode": "enforce", "max_age": 5, "mx": ["mx.good.test"]})
        self.assertEqual(got["mta_sts"]["fetch"]["result"], "success")
        self.assertEqual(got["hosts"][1], {"host": "other.test", "named": False})

    def test_what_there_is_none_of(self):
        self.facts(GOOD + '_mta-sts.nohost.test TXT "v=STSv1; id=1;"\n_mta-sts.fails.test TXT !servfail\n'
                   '_mta-sts.two.test TXT "v=STSv1; id=1;"\n_mta-sts.two.test TXT "v=STSv1; id=2;"\n')
        self.mtasts("absent", "good.test")
        self.mtasts("absent", "two.test")
        self.mtasts("invalid", "nohost.test", 1)
        self.mtasts("unknown", "fails.test", 1)
        self.mtasts("absent", "[192.0.2.1]")

    def test_tlsrpt(self):
        self.facts('_smtp._tls.good.test TXT "v=TLSRPTv1; rua=mailto:tls@good.test,https://r.test/x"\n'
                   '_smtp._tls.fails.test TXT !servfail\n_smtp._tls.bad.test TXT "v=TLSRPTv1; rua=x"\n')
        out = self.ask("tlsrpt", "lookup", "good.test")
        self.assertEqual(self.first(out), "found")
        self.assertIn("rua mailto tls@good.test\n  rua https https://r.test/x\n", out)
        got = json.loads(self.ask("tlsrpt", "lookup", "good.test", arguments=["--json"]))
        self.assertEqual([uri["kind"] for uri in got["rua"]], ["mailto", "https"])
        self.assertEqual(self.first(self.ask("tlsrpt", "lookup", "bad.test")), "absent")
        self.assertEqual(self.first(self.ask("tlsrpt", "lookup", "none.test")), "absent")
        self.assertEqual(self.first(self.ask("tlsrpt", "lookup", "fails.test", status=1)), "unknown")


if __name__ == "__main__":
    unittest.main()
