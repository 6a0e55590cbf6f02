#!/usr/bin/env python3
"""Lookups: `mailkeep dns lookup` against a small signing DNS server, compared with BIND's delv."""

import concurrent.futures
import json
import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import time
import unittest

import dns_server
import harness

LONG = "x" * 250
TABLE = f"""
example.com MX 10 mx.example.com
example.com MX 20 mx2.example.com
example.com TXT "v=spf1 -all" "and more"
example.com CAA 0 issue "ca.example"
null.example.com MX 0 .
ttl 60 mx.example.com A 192.0.2.1
mx.example.com AAAA 2001:db8::1
_25._tcp.mx.example.com TLSA 3 1 1 0a0b0c
_submission._tcp.example.com SRV 0 1 587 mail.example.com
1.2.0.192.in-addr.arpa PTR mx.example.com
www.example.com CNAME mx.example.com
deep.example.com CNAME www.example.com
dangling.example.com CNAME nowhere.example.com
toinsecure.example.com CNAME host.plain.test
around.example.com CNAME about.example.com
about.example.com CNAME around.example.com
insecure plain.test
host.plain.test A 192.0.2.2
tosecure.plain.test CNAME mx.example.com
bad.example.com A 192.0.2.3
bad.example.com A !bogus
old.example.com A 192.0.2.3
old.example.com A !expired
stripped.example.com A 192.0.2.3
stripped.example.com A !unsigned
tobad.example.com CNAME bad.example.com
slow.example.com * !stall
ede.example.com A !ede 18 not for you
forged.example.com A !ede 7 too old
fail.example.com * !servfail
refused.example.com * !refused
big.example.com A 192.0.2.9
big.example.com A !truncate
garbage.example.com A !garbage
short.example.com A !short
id.example.com A !wrongid
question.example.com A !wrongquestion
loop.example.com A !loop
xn--bcher-kva.example A 192.0.2.8
""" + "".join(f'huge.example.com TXT "{i:03}{LONG}"\n' for i in range(200)) \
    + "".join(f"many.example.com A 10.0.{i // 250}.{i % 250 + 1}\n" for i in range(900)) \
    + "".join(f"toomany.example.com A 10.1.{i // 250}.{i % 250 + 1}\n" for i in range(1100))

# type, name, first word, beginning of the rest of the first line, lines further down
ANSWERS = [
    ("MX", "example.com", "secure", "2 MX records for", ["MX 10 mx.example.com.", "MX 20 mx2.example.com."]),
    ("mx", "Example.COM.", "secure", "2 MX records", []),
    ("MX", "null.example.com", "secure", "1 MX record", ["MX 0 ."]),
    ("TXT", "example.com", "secure", "1 TXT record", ['TXT "v=spf1 -all" "and more"']),
    ("NS", ".", "secure", "1 NS record", ["NS ns.invalid."]),
    ("CAA", "example.com", "secure", "1 CAA record", ['CAA 0 issue "ca.example"']),
    ("A", "mx.example.com", "secure", "1 A record for", ["A 192.0.2.1"]),
    ("AAAA", "mx.example.com", "secure", "1 AAAA record", ["AAAA 2001:db8::1"]),
    ("TLSA", "_25._tcp.mx.example.com", "secure", "1 TLSA record", ["TLSA 3 1 1 0a0b0c"]),
    ("SRV", "_submission._tcp.example.com", "secure", "1 SRV record", ["SRV 0 1 587 mail.example.com."]),
    ("PTR", "1.2.0.192.in-addr.arpa", "secure", "1 PTR record", ["PTR mx.example.com."]),
    ("A", "bücher.example", "secure", "1 A record", ["A 192.0.2.8"]),
    ("CNAME", "www.example.com", "secure", "1 CNAME record", ["CNAME mx.example.com."]),
    ("A", "deep.example.com", "secure", "1 A record",
     ["deep.example.com is an alias of www.example.com (secure, for", "mx.example.com itself: secure", "A 192.0.2.1"]),
    ("A", "host.plain.test", "insecure", "1 A record", ["A 192.0.2.2"]),
    ("A", "toinsecure.example.com", "insecure", "1 A record",
     ["toinsecure.example.com is an alias of host.plain.test (secure,", "host.plain.test itself: insecure"]),
    ("A", "tosecure.plain.test", "insecure", "1 A record",
     ["tosecure.plain.test is an alias of mx.example.com (insecure,", "mx.example.com itself: secure"]),
    ("A", "big.example.com", "secure", "1 A record", ["A 192.0.2.9"]),
    ("TXT", "huge.example.com", "secure", "200 TXT records", ['TXT "199xxx']),
    ("A", "many.example.com", "secure", "900 A records", []),
    ("AAAA", "example.com", "secure", "the name has no AAAA record (NODATA), proven", []),
    ("A", "_tcp.mx.example.com", "secure", "the name has no A record (NODATA), proven", []),
    ("AAAA", "www.example.com", "secure", "1 AAAA record", []),
    ("TXT", "www.example.com", "secure", "the name has no TXT record (NODATA), proven", []),
    ("A", "nowhere.example.com", "secure", "there is no such name (NXDOMAIN), proven", []),
    ("A", "dangling.example.com", "secure", "there is no such name (NXDOMAIN), proven", ["dangling.example.com is an"]),
    ("A", "none.plain.test", "insecure", "there is no such name (NXDOMAIN), not proven", []),
    ("AAAA", "host.plain.test", "insecure", "the name has no AAAA record (NODATA), not proven", []),
]
FAILURES = [
    ("A", "bad.example.com", "bogus", "failed (authentication)", "extended error 6 (DNSSEC Bogus)"),
    ("A", "tobad.example.com", "bogus", "failed (authentication)", "extended error 6"),
    ("A", "old.example.com", "bogus", "failed (authentication)", "extended error 7 (Signature Expired)"),
    ("A", "stripped.example.com", "bogus", "failed (authentication)", "extended error 10 (RRSIGs Missing)"),
    ("A", "ede.example.com", "insecure", "failed (temporary)", "extended error 18 (Prohibited): not for you"),
    ("A", "fail.example.com", "insecure", "failed (temporary): server answered SERVFAIL", ""),
    ("A", "refused.example.com", "insecure", "failed (other): server answered REFUSED", ""),
    ("A", "around.example.com", "insecure", "failed (other): aliases (CNAME) go on and on or in a circle", ""),
    ("A", "loop.example.com", "insecure", "failed (temporary)", ""),
    ("A", "toomany.example.com", "insecure", "failed (other)", ""),
]
# What only a timeout ends.
LIES = ["slow.example.com", "garbage.example.com", "short.example.com", "id.example.com", "question.example.com"]


@unittest.skipIf(harness.is_peer(), "about mailkeep's own command")
class Lookup(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory(prefix="mailkeep-dns-")
        cls.server = dns_server.DnsServer(TABLE).start()
        cls.anchor = pathlib.Path(cls.folder.name) / "anchor"
        cls.anchor.write_text(cls.server.anchor)

    @classmethod
    def tearDownClass(cls):
        cls.server.stop()
        cls.folder.cleanup()

    def run_lookup(self, kind, name, *options, resolver=None, anchor=True):
        resolver = resolver or f"{self.server.address}:{self.server.port}"
        words = [harness.PROGRAM, "dns", "lookup", kind, name, "--resolver", resolver, *options]
        words += ["--anchor", str(self.anchor)] if anchor else []
        done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60)
        return done.returncode, done.stdout.decode(), done.stderr.decode()

    def test_answers_are_validated_and_shown(self):
        for kind, name, word, begins, further in ANSWERS:
            with self.subTest(f"{kind} {name}"):
                code, out, err = self.run_lookup(kind, name)
                self.assertEqual((code, err), (0, ""))
                self.assertTrue(out.startswith(f"{word}: {begins}"), out[:200])
                for line in further:
                    self.assertIn("\n" + line, out)

    def test_failures_say_what_to_make_of_them(self):
        for kind, name, word, begins, further in FAILURES:
            with self.subTest(f"{kind} {name}"):
                code, out, _ = self.run_lookup(kind, name)
                self.assertEqual(code, 1)
                self.assertTrue(out.startswith(f"{word}: {begins}"), out[:200])
                self.assertIn(further, out)
                self.assertNotIn("192.0.2.3", out)

    def test_the_least_ttl_counts(self):
        document = json.loads(self.run_lookup("A", "deep.example.com", "--json")[1])
        self.assertEqual(document["ttl"], 60)

    def test_json_has_all_of_it(self):
        document = json.loads(self.run_lookup("A", "tosecure.plain.test", "--json")[1])
        self.assertEqual(
            {key: document[key] for key in ("ok", "name", "type", "security", "final_security", "outcome",
                                            "denial_proven", "canonical_name")},
            {"ok": True, "name": "tosecure.plain.test", "type": "A", "security": "insecure", "final_security": "secure",
             "outcome": "found", "denial_proven": False, "canonical_name": "mx.example.com"})
        self.assertEqual(document["chain"][0]["security"], "insecure")
        self.assertEqual(document["records"][0]["address"], "192.0.2.1")
        code, out, _ = self.run_lookup("A", "ede.example.com", "--json")
        document = json.loads(out)
        self.assertEqual(code, 1)
        self.assertEqual((document["ok"], document["failure"], document["rcode"]), (False, "temporary", "SERVFAIL"))
        self.assertEqual(document["extended_error"], {"code": 18, "name": "Prohibited", "text": "not for you"})

    def test_trust_believes_the_ad_bit(self):
        for kind, name, word, begins, _ in ANSWERS:
            if "tosecure" in name:
                continue  # the server's AD bit speaks of all of it: the step's own status is unknown
            with self.subTest(f"{kind} {name}"):
                code, out, _ = self.run_lookup(kind, name, "--trust", anchor=False)
                self.assertEqual(code, 0)
                self.assertTrue(out.startswith(f"{word}: {begins}"), out[:200])
        self.assertTrue(self.run_lookup("A", "bad.example.com", "--trust")[1].startswith("insecure: 1 A record"))
        with dns_server.DnsServer(TABLE, authentic=False) as silent:
            out = self.run_lookup("MX", "example.com", "--trust", resolver=f"{silent.address}:{silent.port}")[1]
            self.assertTrue(out.startswith("insecure: 2 MX records"), out)

    def test_trust_believes_what_a_resolver_says_of_failures(self):
        code, out, _ = self.run_lookup("A", "forged.example.com", "--trust")
        self.assertEqual(code, 1)
        self.assertTrue(out.startswith("bogus: failed (authentication): server answered SERVFAIL"), out)
        self.assertIn("extended error 7 (Signature Expired): too old", out)
        self.assertTrue(self.run_lookup("A", "ede.example.com", "--trust")[1].startswith("insecure: failed (temporary)"))
        self.assertTrue(self.run_lookup("A", "forged.example.com")[1].startswith("insecure: failed (temporary)"))

    def test_another_anchor_makes_everything_bogus(self):
        with dns_server.DnsServer(TABLE) as other:
            out = self.run_lookup("MX", "example.com", resolver=f"{other.address}:{other.port}")[1]
        self.assertTrue(out.startswith("bogus: failed (authentication)"), out)

    def test_ipv6_servers_are_asked(self):
        try:
            server = dns_server.DnsServer(TABLE, address="::1")
        except (RuntimeError, OSError):
            self.skipTest("no IPv6 here")
        with server:
            self.anchor6 = pathlib.Path(self.folder.name) / "anchor6"
            self.anchor6.write_text(server.anchor)
            code, out, _ = self.run_lookup("A", "mx.example.com", "--anchor", str(self.anchor6), anchor=False,
                                           resolver=f"[::1]:{server.port}")
        self.assertEqual((code, out.splitlines()[-1]), (0, "A 192.0.2.1"))

    def test_lies_and_silence_end_in_a_temporary_failure_in_time(self):
        cases = [(name, options) for name in LIES for options in ((), ("--trust",))]

        def one(case):
            began = time.monotonic()
            return case, self.run_lookup("A", case[0], "--timeout", "4", *case[1]), time.monotonic() - began
        with concurrent.futures.ThreadPoolExecutor(len(cases)) as pool:
            for case, (code, out, _), spent in pool.map(one, cases):
                with self.subTest(str(case)):
                    self.assertEqual(code, 1)
                    self.assertTrue(out.startswith("insecure: failed (temporary)"), out)
                    self.assertLess(spent, 8)

    def test_a_dead_server_fails_in_time(self):
        for options in ((), ("--trust",)):
            began = time.monotonic()
            code, out, _ = self.run_lookup("A", "example.com", "--timeout", "5", *options, resolver="127.0.0.1:9")
            self.assertEqual(code, 1)
            self.assertTrue(out.startswith("insecure: failed (temporary)"), out)
            self.assertLess(time.monotonic() - began, 7)

    @unittest.skipUnless(os.geteuid() == 0 and shutil.which("unshare"), "needs root and unshare")
    def test_without_a_network_recursion_fails_fast(self):
        began = time.monotonic()
        done = subprocess.run(["unshare", "-n", harness.PROGRAM, "dns", "lookup", "A", "example.com"],
                              stdout=subprocess.PIPE, timeout=60)
        self.assertEqual(done.returncode, 1)
        self.assertTrue(done.stdout.startswith(b"insecure: failed (temporary)"), done.stdout)
        self.assertLess(time.monotonic() - began, 3)

    def test_mistakes_are_explained(self):
        for words, sentence in [
                (("SOA", "example.com"), "not a type of records"),
                (("A", "a..b"), "not a domain name"),
                (("A", "a b"), "not a domain name"),
                (("A", "example.com", "--resolver", "nonsense"), "--resolver is an IP address"),
                (("A", "example.com", "--anchor", "/nonexistent"), "trust anchor cannot be read"),
                (("A", "example.com", "--anchor", "/dev/null"), "trust anchor"),
                (("A", "example.com", "--hints", "/nonexistent"), "root hints cannot be read"),
                (("A", "example.com", "--timeout", "0"), "--timeout is a number"),
                (("A", "example.com", "--timeout", "soon"), "--timeout is a number"),
                (("A", "example.com", "--trust"), "--trust needs a --resolver")]:
            with self.subTest(" ".join(words)):
                done = subprocess.run([harness.PROGRAM, "dns", "lookup", *words], stdout=subprocess.PIPE,
                                      stderr=subprocess.PIPE, timeout=60)
                self.assertEqual(done.returncode, 1)
                self.assertIn(sentence, done.stderr.decode())
                self.assertEqual(done.stdout, b"")

    @unittest.skipUnless(shutil.which("delv"), "delv is not installed")
    def test_delv_judges_alike(self):
        key = pathlib.Path(self.folder.name) / "delv.key"
        key.write_text('trust-anchors { . static-key 257 3 13 "%s"; };\n' % self.server.anchor.split()[-1])
        cases = [(kind, name, word, out) for kind, name, word, out, _ in ANSWERS + FAILURES
                 if name.isascii() and not re.search(r"huge|many|loop|around|ede|fail|refused|tosecure", name)]
        for kind, name, word, begins in cases:
            with self.subTest(f"{kind} {name}"):
                done = subprocess.run(["delv", f"@{self.server.address}", "-p", str(self.server.port), "-a", str(key),
                                       kind, name], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60)
                said = done.stdout.decode()
                if word == "secure":
                    self.assertIn("fully validated", said)
                    self.assertNotIn("unsigned answer", said)
                elif word == "insecure":
                    self.assertIn("unsigned answer", said.replace("negative response, unsigned", "unsigned"))
                else:
                    self.assertIn("resolution failed", said)


@unittest.skipIf(harness.is_peer(), "about mailkeep's own rooms")
class Room(unittest.TestCase):
    """The resolver of a running server: the config's group, and its reload."""

    def test_a_new_config_counts_at_once_and_a_bad_one_is_refused(self):
        with dns_server.DnsServer(TABLE) as dns:
            server = harness.Server()
            try:
                server.start()
                self.assertEqual(len(server.rooms("resolver")), 1)
                first = server.rooms("resolver")[0]
                config = server.data / "config" / "mailkeep.yaml"
                before = config.read_text()
                self.assertIn("resolver:\n  timeout: 3s\n", before)
                self._reload(server, before.replace("timeout: 3s", "timeout: 3s\n  mode: forward"), 1)
                self.assertEqual(server.rooms("resolver"), [first])
                servers = f'timeout: 3s\n  mode: forward\n  servers: ["{dns.address}:{dns.port}"]\n  validate: false'
                self._reload(server, before.replace("timeout: 3s", servers), 0)
                self.assertTrue(harness.wait_for(lambda: server.rooms("resolver") not in ([], [first])))
                self.assertIn("the resolver begins anew", server.log())
                second = server.rooms("resolver")
                self._reload(server, before.replace("timeout: 3s", servers) + "# the same\n", 0)
                time.sleep(0.5)
                self.assertEqual(server.rooms("resolver"), second)
                self.assertEqual(server.stop(), 0)
            finally:
                server.stop()
                server.remove() if hasattr(server, "remove") else shutil.rmtree(server.folder, ignore_errors=True)

    def test_the_running_server_is_asked_and_busy_with_one_hears_others(self):
        with dns_server.DnsServer(TABLE) as dns:
            server = harness.Server()
            try:
                server.start()
                config = server.data / "config" / "mailkeep.yaml"
                settings = f'timeout: 3s\n  mode: forward\n  servers: ["{dns.address}:{dns.port}"]\n  validate: false'
                self._reload(server, config.read_text().replace("timeout: 3s", settings), 0)
                with concurrent.futures.ThreadPoolExecutor() as pool:
                    slow = pool.submit(self._look, server, "A", "slow.example.com")
                    self.assertTrue(harness.wait_for(lambda: any(name.startswith("slow") for name, *_ in dns.queries)))
                    code, out = self._look(server, "TXT", "huge.example.com")
                    self.assertEqual((code, out.splitlines()[0].split(" for ")[0]), (0, "insecure: 200 TXT records"))
                    n = len(dns.queries)
                    self.assertEqual(self._look(server, "TXT", "huge.example.com")[0], 0)
                    self.assertFalse([q for q in dns.queries[n:] if not q[0].startswith("slow")], "not from the cache")
                    self.assertFalse(slow.done())
                    self.assertEqual(slow.result()[0], 1)
                self.assertIn("has no place beside --running", self._look(server, "A", "a.b", "--trust")[1])
                server.stop()
                self.assertIn("no server is running", self._look(server, "A", "a.example")[1])
            finally:
                server.stop()
                server.remove()

    @staticmethod
    def _look(server, *words):
        done = subprocess.run([harness.PROGRAM, "dns", "lookup", *words, "--running", "--config",
                               str(server.data / "config")], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60)
        return done.returncode, done.stdout.decode()

    def _reload(self, server, text, expected):
        (server.data / "config" / "mailkeep.yaml").write_text(text)
        done = subprocess.run([harness.PROGRAM, "config", "reload", "--config", str(server.data / "config")],
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60)
        self.assertEqual(done.returncode, expected, done.stdout.decode())


if __name__ == "__main__":
    unittest.main()
