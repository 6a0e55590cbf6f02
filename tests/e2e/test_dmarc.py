#!/usr/bin/env python3
"""DMARC, iprev and block lists: the commands against a small DNS server; DMARC beside mailauth (npm) and
the text of RFC 9989 written down a second time; Authentication-Results beside Debian's python3-authres."""

import collections
import json
import os
import pathlib
import random
import subprocess
import tempfile
import unittest

import dmarc_worlds
import dns_server
import harness
import npm

TRY = pathlib.Path(harness.PROGRAM).parent / "src" / "mailauth" / "mailauth_try"
WORLDS = int(os.environ.get("DMARC_WORLDS", "4000"))
SEED = int(os.environ.get("DMARC_SEED", "1"))

TABLE = """
_dmarc.example.com TXT "v=DMARC1; p=reject; sp=quarantine; np=none; x; rua=mailto:a@example.com,mailto:b@reports.test!10m"
example.com._report._dmarc.reports.test TXT "v=DMARC1; rua=mailto:c@reports.test"
mail.example.com A 192.0.2.1
insecure plain.test
_dmarc.plain.test TXT "v=DMARC1; p=none; t=y; rua=mailto:a@nobody.test"
_dmarc.xn--bcher-kva.example TXT "v=DMARC1; p=quarantine; adkim=s"
_dmarc.wrong.test TXT "v=DMARC1; p=refuse"
_dmarc.two.test TXT "v=DMARC1; p=reject"
_dmarc.two.test TXT "v=DMARC1; p=none"
_dmarc.down.test TXT !servfail
_dmarc.forged.test TXT "v=DMARC1; p=reject"
_dmarc.forged.test TXT !bogus
1.2.0.192.in-addr.arpa PTR mail.example.com
2.2.0.192.in-addr.arpa PTR other.example.com
3.2.0.192.in-addr.arpa PTR !servfail
2.0.0.127.bl.test A 127.0.0.2
9.2.0.192.bl.test A 127.0.0.4
9.2.0.192.bl.test TXT "spam, see https://bl.test/9"
8.2.0.192.bl.test A 127.255.255.254
test.bl.test A 127.0.0.2
bad.example.bl.test A 127.0.0.2
9.2.0.192.all.test A 127.0.0.2
2.0.0.127.all.test A 127.0.0.2
1.0.0.127.all.test A 127.0.0.2
9.2.0.192.parked.test A 198.51.100.1
"""

# words, what the first line begins with, lines further down
COMMANDS = [
    (["dmarc", "lookup", "mail.example.com"], "found (DNSSEC: secure): a DMARC record applies",
     ["organizational domain: example.com", "record of example.com (organization): v=DMARC1; p=reject; sp=quarantine",
      "policy for what does not pass: quarantine, by tag sp", "  passed over: x: a tag without '='",
      "aggregate reports to mailto:a@example.com: internal", "aggregate reports to mailto:b@reports.test: overridden "
      "(DNSSEC: secure): the destination names other addresses of its own: <c@reports.test>",
      "  mail.example.com exists in the DNS"]),
    (["dmarc", "lookup", "gone.example.com"], "found", ["policy for what does not pass: none, by tag np"]),
    (["dmarc", "lookup", "mail.example.com", "--discovery", "psl"], "found",
     ["  the organizational domain of mail.example.com is example.com: by the public suffix list"]),
    (["dmarc", "lookup", "plain.test"], "found (DNSSEC: insecure)",
     ["aggregate reports to mailto:a@nobody.test: refused", "  t=y: for testing, apply policies one level lower"]),
    (["dmarc", "lookup", "bücher.example"], "found (DNSSEC: secure)", ["record of xn--bcher-kva.example (author): "]),
    (["dmarc", "lookup", "wrong.test"], "permerror (DNSSEC: secure): the DMARC record has no valid policy", []),
    (["dmarc", "lookup", "two.test"], "none (DNSSEC: secure)", ["  two.test has 2 DMARC records: none of them counts (secure)"]),
    (["dmarc", "lookup", "down.test"], "temperror (DNSSEC: insecure): the lookup of _dmarc.down.test failed (temporary)", []),
    (["dmarc", "lookup", "forged.test"], "temperror (DNSSEC: bogus): the lookup of _dmarc.forged.test failed (authentication)", []),
    (["dmarc", "parse", "v=DMARC1; p=none"], "valid: v=DMARC1; p=none", []),
    (["dmarc", "parse", "v=DMARC1; p=none; t=x"], "defective: v=DMARC1; p=none", ["  passed over: t: not y or n"]),
    (["dmarc", "parse", "v=spf1"], "none: not a DMARC record", []),
    (["iprev", "192.0.2.1"], "pass mail.example.com (DNSSEC: reverse secure, forward secure)", []),
    (["iprev", "192.0.2.2"], "fail (DNSSEC: reverse secure, forward secure)", []),
    (["iprev", "192.0.2.3"], "temperror (DNSSEC: reverse insecure, forward none)", []),
    (["iprev", "2001:db8::1"], "permerror (DNSSEC: reverse secure, forward none)", ["the address has no name"]),
    (["dnsbl", "check", "bl.test", "192.0.2.9"], "listed (DNSSEC: secure)",
     ["the list explains: spam, see https://bl.test/9", "  the list is healthy"]),
    (["dnsbl", "check", "bl.test", "192.0.2.1"], "not-listed (DNSSEC: secure)", []),
    (["dnsbl", "check", "bl.test", "192.0.2.8"], "refused", ["the list does not answer queries by a public resolver"]),
    (["dnsbl", "check", "bl.test", "bad.example"], "listed", []),
    (["dnsbl", "check", "bl.test", "2001:db8::1"], "not-listed", []),
    (["dnsbl", "check", "all.test", "192.0.2.9"], "broken", ["it is listed, but the list is defective"]),
    (["dnsbl", "check", "parked.test", "192.0.2.9"], "broken", []),
    (["dnsbl", "health", "bl.test"], "healthy (ipv4, DNSSEC: secure): its test entries are as they must be",
     ["healthy (domain, DNSSEC: secure): ", "defective (ipv6, DNSSEC: secure): "]),
    (["dnsbl", "health", "all.test", "--kind", "ipv4"], "defective (ipv4, DNSSEC: secure): it lists 127.0.0.1", []),
]

# From, options, what the first line begins with, lines further down
MESSAGES = [
    ("Ada <ada@example.com>", ["--dkim", "example.com=pass"], "pass (DNSSEC: secure)",
     ["DKIM passes for an aligned domain", " header.from=example.com policy.dmarc=none"]),
    ("ada@mail.example.com", ["--spf", "evil.test=pass", "--dkim", "evil.test=pass", "--dkim", "x.test=fail"],
     "fail (DNSSEC: secure)", ["policy: quarantine, by tag sp of example.com",
                               "  dkim=fail for x.test: alignment no, it did not pass"]),
    ("a@plain.test", ["--ip", "192.0.2.1", "--receiver", "mx.example"], "fail (DNSSEC: insecure)",
     ["iprev: pass", "Authentication-Results: mx.example;\r\n iprev=pass (dnssec secure)"]),
    ("a@two.test", [], "none (DNSSEC: secure)", []),
    ("a@down.test", ["--dkim", "down.test=pass"], "temperror", []),
    ("a@wrong.test", [], "permerror", []),
    ("a@example.com, b@plain.test", ["--dkim", "example.com=pass"], "permerror (DNSSEC: insecure)",
     ["From has addresses of different domains", "policy: reject, by tag p of example.com"]),
    ('"ceo@bank.test" <a@plain.test>', [], "fail", ["the display name shows an address of bank.test"]),
    ("a@bücher.example", ["--dkim", "m.xn--bcher-kva.example=pass"], "fail", []),
    ("a@example.com", ["--spf", "mx.example.com=pass", "--helo", "mx.example.com", "--mail-from", ""], "pass",
     ["spf=pass smtp.helo=mx.example.com"]),
    ("a@example.com", ["--spf", "b.example.com=pass", "--helo", "mx.test", "--mail-from", "x@b.example.com"], "pass",
     ["spf=pass smtp.mailfrom=b.example.com"]),
]

MISTAKES = [
    (["dmarc", "lookup", "a..example"], "is not a domain name"),
    (["dmarc", "lookup", "a.example", "--discovery", "x"], "--discovery is treewalk or psl"),
    (["dmarc", "verify", "--spf", "example.com"], "--spf is a domain and a result"),
    (["dmarc", "verify", "--dkim", "example.com=good"], "--dkim is a domain and a result"),
    (["dmarc", "verify", "--ip", "x"], "is not an IP address"),
    (["dmarc", "verify", "/nonexistent/message"], "the message cannot be read"),
    (["iprev", "example.com"], "is not an IP address"),
    (["dnsbl", "check", "bl..test", "192.0.2.1"], "is not a domain name"),
    (["dnsbl", "check", "bl.test", "a..b"], "is not a domain name"),
    (["dnsbl", "health", "bl.test", "--kind", "x"], "--kind is ipv4, ipv6 or domain"),
]


def run(words, message=b""):
    done = subprocess.run([harness.PROGRAM, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, input=message, timeout=60)
    return done.returncode, done.stdout.decode(), done.stderr.decode()


@unittest.skipIf(harness.is_peer(), "about mailkeep's own commands")
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

    def check(self, words, begins, lines, message=b""):
        options = [] if words[1] == "parse" else self.options
        code, out, err = run([*words, *options], message)
        self.assertEqual((code, err), (0, ""))
        self.assertTrue(out.startswith(begins), out)
        for line in lines:
            self.assertIn(line, out)
        code, out, err = run([*words, *options, "--json"], message)
        self.assertEqual((code, err), (0, ""))
        document = json.loads(out)
        self.assertTrue(document["ok"])
        self.assertEqual(document["result"], begins.split(" ")[0].rstrip(":"))

    def test_commands_explain_what_they_found(self):
        for words, begins, lines in COMMANDS:
            with self.subTest(" ".join(words)):
                self.check(words, begins, lines)

    def test_messages_are_verified(self):
        for author, options, begins, lines in MESSAGES:
            with self.subTest(author):
                message = f"Subject: x\r\nFrom: {author}\r\n\r\nFrom: body@example.net\r\n".encode()
                self.check(["dmarc", "verify", *options], begins, lines, message)

    def test_a_message_may_be_a_file(self):
        path = pathlib.Path(self.folder.name) / "message"
        path.write_text("From: a@example.com\n\nbody\n")
        self.check(["dmarc", "verify", str(path)], "fail", [])

    def test_mistakes_are_explained(self):
        for words, sentence in MISTAKES:
            with self.subTest(" ".join(words)):
                code, out, err = run(words)
                self.assertEqual((code, out), (1, ""))
                self.assertIn(sentence, err)
                code, out, err = run([*words, "--json"])
                self.assertFalse(json.loads(out)["ok"])

    def test_json_has_all_of_it(self):
        message = b'From: "ceo@bank.test" <a@mail.example.com>\r\n\r\n'
        document = json.loads(run(["dmarc", "verify", "--dkim", "example.com=pass", "--json", *self.options], message)[1])
        self.assertEqual(document["author"], {"kind": "found", "why": "the message has one author domain",
                                              "domains": ["mail.example.com"], "domain": "mail.example.com",
                                              "name_domain": "bank.test"})
        self.assertEqual(document["alignments"], [{"mechanism": "dkim", "domain": "example.com", "result": "pass",
                                                   "aligned": "relaxed", "why": "the same organizational domain"}])
        self.assertEqual((document["found"]["domain"], document["found"]["place"], document["found"]["record"]["sp"]),
                         ("example.com", "organization", "quarantine"))
        self.assertEqual({lookup["security"] for lookup in document["lookups"]}, {"secure"})


def ask(commands):
    """The answers of mailauth_try, a line each."""
    done = subprocess.run([TRY], stdout=subprocess.PIPE, input="".join(line + "\n" for line in commands).encode(),
                          check=True, timeout=300)
    return done.stdout.decode().splitlines()


@unittest.skipIf(harness.is_peer(), "about mailkeep's own code")
class Beside(unittest.TestCase):
    """Thousands of random messages and records, and what others say of them."""

    def test_the_text_of_the_rfc_says_the_same(self):
        worlds = [dmarc_worlds.World(f"{SEED} {number}") for number in range(WORLDS)]
        answers = ask(line for world in worlds for line in world.commands("treewalk"))
        self.assertEqual(len(answers), len(worlds))
        counts = collections.Counter()
        for world, answer in zip(worlds, answers):
            expected = dmarc_worlds.evaluate_by_walk(world)
            ours = tuple(answer.split(" ")[:5])
            counts[ours[0]] += 1
            with self.subTest(f"{list(world.commands('treewalk'))}"):
                self.assertEqual(ours, expected)
        self.assertEqual(set(counts), {"pass", "fail", "none", "temperror", "permerror"})
        print(f"# compared {len(worlds)} messages: {dict(counts)}")

    def test_mailauth_says_the_same(self):
        """By public suffixes. It is not asked about what it does otherwise: authors that are public suffixes, several
        records at the author domain (RFC 7489 section 6.6.3 ends there, it goes on), strict alignment (subdomains pass)."""
        try:
            modules = npm.ensure()
        except npm.Unavailable as why:
            self.skipTest(why)
        worlds = [dmarc_worlds.World(f"plain {SEED} {number}", plain=True) for number in range(WORLDS)]
        worlds = [world for world in worlds if world.author not in SUFFIXES
                  and "v=DMARC1" not in "".join(world.txt.get(world.author, [])[1:])]
        question = [{"from": "a@" + world.author, "txt": world.txt,
                     "spf": [name for name, result in world.spf if result == "pass"],
                     "dkim": [name for name, result in world.dkim if result == "pass"]} for world in worlds]
        done = subprocess.run(["node", str(harness.TOP / "tests/e2e/node/dmarc.js"), str(modules / "mailauth/lib/dmarc")],
                              stdout=subprocess.PIPE, input=json.dumps(question).encode(), timeout=300, check=True)
        answers = ask(line for world in worlds for line in world.commands("psl"))
        counts = collections.Counter()
        for world, answer, other in zip(worlds, answers, json.loads(done.stdout), strict=True):
            result, policy = answer.split(" ")[:2]
            counts[result] += 1
            with self.subTest(f"{list(world.commands('psl'))}: mailauth says {other}"):
                theirs = (other["result"], other["policy"].strip() if other["result"] == "fail" else "none")
                self.assertEqual((result, policy), theirs)
        self.assertEqual(set(counts), {"pass", "fail", "none"})
        print(f"# compared {len(worlds)} messages: {dict(counts)}")

    def test_authres_reads_what_we_write_and_we_what_it_writes(self):
        """It wants fields unfolded, knows a quoted value as a result's last one only and no quoted pairs in it."""
        rng = random.Random(SEED)
        gentle = [random_header(rng, gentle=True) for _ in range(1000)]
        wild = [random_header(rng, gentle=False) for _ in range(1000)]
        ours = [bytes.fromhex(line).decode() for line in ask(line for header in gentle for line in print_commands(header))]
        question = {"read": [field.replace("\r\n", "") for field in ours], "write": wild}
        done = subprocess.run(["/usr/bin/python3", str(harness.TOP / "tests/e2e/authres_oracle.py")], stdout=subprocess.PIPE,
                              input=json.dumps(question).encode(), timeout=300)
        if done.returncode == 77:
            self.skipTest("python3-authres is not installed")
        answer = json.loads(done.stdout)
        for header, field, found in zip(gentle, ours, answer["read"], strict=True):
            with self.subTest(field):
                self.assertEqual(found, header)
        for header, field, line in zip(wild, answer["write"],
                                       ask("parse " + hexed(field.split(":", 1)[1]) for field in answer["write"]), strict=True):
            with self.subTest(field):
                self.assertEqual(line, parsed_line(header))
        print(f"# compared {len(gentle)} and {len(wild)} fields")


# As authors they have no organizational domain, which mailauth cannot do without.
SUFFIXES = ("com", "example", "uk", "co.uk", "io", "github.io")


def hexed(text):
    return text.encode().hex() or "-"


PLAIN = ["example.com", "a.b-c.example", "192.0.2.1", "@example.com", "user@example.com", "first.last@mail.example.com"]
QUOTED = ["2001:db8::1", "two words", "semi;colon", "x=y", "(paren", "a/b+c=="]
ESCAPED = ['quo"te', "back\\slash", 'two "words"']
REASONS = ["", "", "good", "no key", "a;b (c)"]


def random_header(rng, gentle):
    """In the form of authres_oracle.py. gentle: as it can read, too."""
    results = []
    for _ in range(rng.randint(1, 4)):
        names = rng.sample(["d", "i", "b", "from"], rng.randint(0, 3))
        values = [rng.choice(PLAIN if gentle else PLAIN + QUOTED + ESCAPED) for _ in names]
        if gentle and values:
            values[-1] = rng.choice(PLAIN + QUOTED)
        results.append({"method": rng.choice(["x-test", "dkim-x", "foo"]), "result": rng.choice(["pass", "fail", "none", "temperror"]),
                        "reason": rng.choice(REASONS if gentle else REASONS + ESCAPED),
                        "properties": [["header", name, value] for name, value in zip(names, values)]})
    return {"id": rng.choice(["example.org", "mx.example.net", "mx-1"]), "results": results}


def print_commands(header):
    yield "id " + hexed(header["id"])
    for result in header["results"]:
        yield f"result {result['method']} {result['result']} {hexed('dnssec secure')} {hexed(result['reason'])}"
        for ptype, name, value in result["properties"]:
            yield f"property {ptype} {name} {'mailbox' if '@' in value else 'value'} {hexed(value)}"
    yield "print"


def parsed_line(header):
    line = hexed(header["id"]) + " 0"
    for result in header["results"]:
        line += f"; {result['method']} {result['result']} {hexed(result['reason'])}"
        for ptype, name, value in result["properties"]:
            line += f" {ptype}.{name}={hexed(value)}"
    return line


if __name__ == "__main__":
    unittest.main()
