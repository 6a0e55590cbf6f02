#!/usr/bin/env python3
"""SPF: the commands against a small DNS server, and thousands of random senders beside pyspf."""

import collections
import concurrent.futures
import json
import os
import pathlib
import subprocess
import tempfile
import unittest

import dns_server
import harness
import spf_worlds

TABLE = """
a.example TXT "v=spf1 include:b.example -all exp=e.a.example"
b.example TXT "v=spf1 mx ?all"
b.example MX 10 m.b.example
m.b.example A 192.0.2.1
e.a.example TXT "%{i} is not ours"
insecure plain.test
h.plain.test TXT "v=spf1 a -all"
h.plain.test A 192.0.2.1
wrong.example TXT "v=spf1 a:192.0.2.1 -all"
two.example TXT "v=spf1 -all"
two.example TXT "v=spf1 +all"
down.example TXT !servfail
forged.example TXT "v=spf1 +all"
forged.example TXT !bogus
many.example TXT "v=spf1 mx -all"
xn--bcher-kva.example TXT "v=spf1 a:%{o} -all"
xn--bcher-kva.example A 192.0.2.1
""" + "".join(f"many.example MX {i} m{i}.many.example\nm{i}.many.example A 192.0.2.{i + 1}\n" for i in range(11))

# IP, HELO, MAILFROM, what the first line begins with, what stands further down
CHECKS = [
    ("192.0.2.1", "h.plain.test", "u@a.example", "pass (mailfrom of a.example, DNSSEC: secure)",
     ["a.example lets 192.0.2.1 send: mx in the record of b.example, by include:b.example of a.example",
      "m.b.example A: 1 record, secure", "pass (helo of h.plain.test, DNSSEC: insecure)",
      "Received-SPF: pass (mx.example.net: a.example lets 192.0.2.1"]),
    ("192.0.2.9", "h.plain.test", "<u@a.example>", "fail (mailfrom of a.example, DNSSEC: secure)",
     ["the domain explains: 192.0.2.9 is not ours", "in the record of a.example: -all"]),
    ("::ffff:192.0.2.1", "h.plain.test", "", "pass (mailfrom of h.plain.test, DNSSEC: insecure)", ['envelope-from="<>"']),
    ("192.0.2.1", "single", "<>", "none (mailfrom of single, DNSSEC: none)", ["the HELO name is not a full domain name"]),
    ("192.0.2.1", "x", "u@b.example", "pass (mailfrom of b.example", ["none (helo of x, DNSSEC: none)"]),
    ("192.0.2.1", "x", "u@nowhere.example", "none (mailfrom of nowhere.example, DNSSEC: secure)",
     ["nowhere.example does not exist"]),
    ("192.0.2.1", "x", "u@down.example", "temperror (mailfrom of down.example", ["SERVFAIL"]),
    ("192.0.2.1", "x", "u@forged.example", "temperror (mailfrom of forged.example, DNSSEC: bogus)", []),
    ("192.0.2.1", "x", "u@wrong.example", "permerror (mailfrom of wrong.example, DNSSEC: secure)",
     ["the record of wrong.example has `192.0.2.1`"]),
    ("192.0.2.1", "x", "u@two.example", "permerror", ["more than one SPF record"]),
    ("192.0.2.1", "x", "u@many.example", "permerror", ["more than 10 mail hosts"]),
    ("192.0.2.1", "x", "u@bücher.example", "pass (mailfrom of xn--bcher-kva.example, DNSSEC: secure)", []),
    ("192.0.2.1", "x", '"a b"@b.example', "pass (mailfrom of b.example", [r'envelope-from="\"a b\"@b.example"']),
    ("192.0.2.1", "x\r\nX: y", "u@b.example", "pass (mailfrom of b.example", ['helo="x??X: y"']),
]

LOOKUPS = [
    ("b.example", 0, "found (DNSSEC: secure): the record of b.example", ["v=spf1 mx ?all", "?all: neutral for every client"], ""),
    ("m.b.example", 0, "none (DNSSEC: secure): m.b.example has no SPF record", [], ""),
    ("nowhere.example", 0, "none (DNSSEC: secure): nowhere.example does not exist", [], ""),
    ("wrong.example", 1, "permerror (DNSSEC: secure)", [], "use ip4 or ip6 for addresses"),
    ("two.example", 1, "permerror (DNSSEC: secure)", [], "two.example has more than one SPF record"),
    ("down.example", 1, "temperror (DNSSEC: insecure)", [], "could not be looked up: "),
    ("forged.example", 1, "temperror (DNSSEC: bogus)", [], "could not be looked up: "),
    ("a..example", 1, "", [], "`a..example` is not a domain name"),
]


def run(*words):
    done = subprocess.run([harness.PROGRAM, "spf", *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60)
    return done.returncode, done.stdout.decode(), done.stderr.decode()


@unittest.skipIf(harness.is_peer(), "about mailkeep's own command")
class Commands(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.server = dns_server.DnsServer(TABLE).start()
        anchor = pathlib.Path(cls.folder.name) / "anchor"
        anchor.write_text(cls.server.anchor)
        cls.options = ["--resolver", f"{cls.server.address}:{cls.server.port}", "--anchor", str(anchor)]

    @classmethod
    def tearDownClass(cls):
        cls.server.stop()
        cls.folder.cleanup()

    def test_checks_are_explained(self):
        for ip, helo, mailfrom, begins, further in CHECKS:
            with self.subTest(f"{ip} {helo!r} {mailfrom}"):
                code, out, err = run("check", ip, helo, mailfrom, "--receiver", "mx.example.net", *self.options)
                self.assertEqual((code, err), (0, ""))
                self.assertTrue(out.startswith(begins), out[:300])
                for text in further:
                    self.assertIn(text, out)

    def test_json_has_all_of_it(self):
        document = json.loads(run("check", "192.0.2.1", "h.plain.test", "u@a.example", "--json", *self.options)[1])
        self.assertEqual({key: document[key] for key in ("ok", "result", "identity", "domain", "security", "mechanism",
                                                         "matched_in", "property", "lookup_terms", "void_terms")},
                         {"ok": True, "result": "pass", "identity": "mailfrom", "domain": "a.example", "security": "secure",
                          "mechanism": "mx", "matched_in": "b.example", "property": "smtp.mailfrom", "lookup_terms": 2,
                          "void_terms": 0})
        self.assertEqual(document["path"], [{"domain": "a.example", "directive": "include:b.example"},
                                            {"domain": "b.example", "directive": "mx"}])
        self.assertEqual([(lookup["name"], lookup["type"], lookup["security"]) for lookup in document["lookups"]],
                         [("a.example", "TXT", "secure"), ("b.example", "TXT", "secure"), ("b.example", "MX", "secure"),
                          ("m.b.example", "A", "secure")])
        self.assertEqual((document["helo"]["result"], document["helo"]["security"]), ("pass", "insecure"))
        self.assertTrue(document["received_spf"].startswith("Received-SPF: pass (") and document["received_spf"].endswith("\r\n"))

    def test_records_are_looked_up(self):
        for domain, expected, begins, lines, error in LOOKUPS:
            with self.subTest(domain):
                code, out, err = run("lookup", domain, *self.options)
                self.assertEqual(code, expected)
                self.assertTrue(out.startswith(begins), out)
                for line in lines:
                    self.assertIn("\n" + line + "\n", out)
                self.assertIn(error, err)
                document = json.loads(run("lookup", domain, "--json", *self.options)[1])
                self.assertEqual(document["ok"], expected == 0)

    def test_records_are_parsed(self):
        code, out, err = run("parse", "V=spf1  +A/24 include:x.example ip4:192.0.2.1/24 ra=x ?ALL")
        self.assertEqual((code, err), (0, ""))
        self.assertEqual(out.splitlines()[0], "v=spf1 a/24 include:x.example ip4:192.0.2.1/24 ra=x ?all")
        self.assertIn("advice: ip4:192.0.2.1/24: ", out)
        document = json.loads(run("parse", "v=spf1 mx -all", "--json")[1])
        self.assertEqual((document["record"], [term["mechanism"] for term in document["terms"]]), ("v=spf1 mx -all", ["mx", "all"]))

    def test_mistakes_have_a_place_and_a_way_out(self):
        for record, line, marks, mend in [
                ("v=spf1 a:192.0.2.1 -all", "  v=spf1 a:192.0.2.1 -all", "           ^^^^^^^^^", "use ip4 or ip6 for addresses"),
                ("v=spf1 moo -all", "  v=spf1 moo -all", "         ^^^", "mechanisms are all, include"),
                ("v=spf1 bücher", "  v=spf1 b??cher", "          ^", "A-labels"),
                ("v=spf1 include -all", "  v=spf1 include -all", "         ^^^^^^^", "include:example.com"),
                ("spf1", "  spf1", "  ^^^^", "begin the record with v=spf1"),
                ("", "  ", "  ^", "begin the record with v=spf1"),
                ("v=spf1 " + "a " * 5000, "...", "^", "divide it")]:
            with self.subTest(record[:30]):
                code, out, err = run("parse", record)
                self.assertEqual((code, out), (1, ""))
                self.assertIn(line, err)
                self.assertIn("\n" + marks if marks != "^" else marks, err)
                self.assertIn(mend, err)
                document = json.loads(run("parse", record, "--json")[1])
                self.assertFalse(document["ok"])
                self.assertIn(mend, document["mend"])

    def test_arguments_that_are_none(self):
        for words, sentence in [(("check", "192.0.2", "h.example", "u@a.example"), "IP is an address such as"),
                                (("check", "192.0.2.1", "h", "u@a.example", "--timeout", "0"), "--timeout is a number"),
                                (("lookup", "a.example", "--resolver", "x"), "--resolver is an IP address")]:
            code, out, err = run(*words)
            self.assertEqual((code, out), (1, ""))
            self.assertIn(sentence, err)
        self.assertEqual(run("check", "192.0.2.1", "h.example")[0], 2)


# Where pyspf says something else: its peculiarity (spf_oracle.py), and what RFC 7208 has to say on it.
DIFFERENCES = {
    "void": "4.6.4 counts terms; docs/decisions/spf-void-terms.md",
    "lookups": "4.6.4: a redirect counts when it is evaluated",
    "mx": "5.4: if any address matches, the mechanism matches",
    "ptr": "5.5, 7.3: after an error of the DNS ptr does not match, %{p} is \"unknown\"",
    "p": "4.6.4: the lookup of %{p} is included in the limit",
    "percent": "7.1: %% may stand before anything",
    "modifiers": "6, 12: an unknown modifier is any macro-string, and is ignored however often it appears",
    "self": "4.6: what is checked before anything is evaluated is the syntax",
    "macros": "7.1, 7.3: a macro ends in }, its number is not zero",
    "labels": "7.3: successive labels are removed",
    "circle": "RFC 1034 section 3.6.2: loops of aliases are an error, so temperror (section 5)",
}
WORLDS = int(os.environ.get("SPF_WORLDS", "300"))
SENDERS = 10
SEED = int(os.environ.get("SPF_SEED", "1"))


class FastZone(dns_server.DnsServer):
    """With a set of all names that exist: there are thousands."""

    def __init__(self, table):
        super().__init__(table)
        names = {owner[at:] for owner, _ in self.zone.records for at in range(len(owner) + 1)}
        self.zone.exists = lambda name: name in names


@unittest.skipIf(harness.is_peer(), "about mailkeep's own command")
class Beside(unittest.TestCase):
    def test_pyspf_says_the_same(self):
        if subprocess.run(["/usr/bin/python3", "-c", "import spf"], stderr=subprocess.DEVNULL).returncode != 0:
            self.skipTest("python3-spf is not installed")
        worlds = [spf_worlds.World(number, SEED) for number in range(WORLDS)]
        senders = [world.sender() for world in worlds for _ in range(SENDERS)]
        with FastZone(spf_worlds.table(worlds)) as server:
            options = ("--trust", "--resolver", f"{server.address}:{server.port}")
            with concurrent.futures.ThreadPoolExecutor(2) as pool:
                results = list(pool.map(lambda sender: run("check", *sender, *options)[1].split(" ")[0], senders))
        question = {"records": [record for world in worlds for record in world.records],
                    "cases": [[*sender, result] for sender, result in zip(senders, results)]}
        done = subprocess.run(["/usr/bin/python3", str(harness.TOP / "tests/e2e/spf_oracle.py")], stdout=subprocess.PIPE,
                              input=json.dumps(question).encode(), timeout=900, check=True)
        counts = collections.Counter()
        for sender, result, answer in zip(senders, results, json.loads(done.stdout)):
            with self.subTest(f"{sender}: {result}, pyspf {answer['result']} ({answer['text']})"):
                self.assertIsNotNone(answer["reasons"])
                self.assertLessEqual(set(answer["reasons"]), set(DIFFERENCES))
            counts["unexplained" if answer["reasons"] is None else " and ".join(answer["reasons"]) or "the same"] += 1
        spread = collections.Counter(results)
        self.assertEqual(len(spread), 7, spread)
        print(f"# compared {len(senders)} senders: " + ", ".join(f"{n} {what}" for what, n in counts.most_common())
              + "; " + ", ".join(f"{n} {what}" for what, n in spread.most_common()))


if __name__ == "__main__":
    unittest.main()
