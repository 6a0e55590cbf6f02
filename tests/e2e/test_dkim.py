#!/usr/bin/env python3
"""DKIM and ARC by `mailkeep dkim` and `mailkeep arc`, compared with dkimpy, OpenDKIM and Mail::DKIM.

Random messages (odd blanks, folds, repeated fields, empty bodies, trailing blank lines, long lines, 8-bit text) are
signed by each and verified by each; then a byte of each is changed, and all must still say the same. DKIM_MESSAGES
says how many; `make dkim-cross` takes thousands.
"""

import json
import os
import pathlib
import random
import re
import shutil
import subprocess
import tempfile
import unittest

import dns_server
import harness

HERE = pathlib.Path(__file__).resolve().parent
MESSAGES = int(os.environ.get("DKIM_MESSAGES", "48"))
SEED = int(os.environ.get("DKIM_SEED", "1"))
CANONS = [(header, body) for header in ("relaxed", "simple") for body in ("relaxed", "simple")]
DOMAIN = "example.com"
SELECTORS = {"rsa": "rsa-sha256", "ed": "ed25519-sha256"}
# Debian's Python, whose modules the peers are.
PYTHON = "/usr/bin/python3"

WORDS = ["engine", "of", "analysis", "a", "the", "Weaves", "x" * 40, "=20", "grüße", "--", ".", "..", "~", "b=", ";", ":"]
BLANKS = [" "] * 8 + ["  ", "\t", " \t ", "   "]


class Messages:
    """Random messages, the same for the same seed."""

    def __init__(self, seed):
        self.random = random.Random(seed)

    def text(self, n):
        pick = self.random.choice
        return "".join(pick(WORDS) + pick(BLANKS) for _ in range(n))

    def value(self):
        pick = self.random.choice
        value = pick(["", " ", "  ", "\t"]) + self.text(self.random.randrange(8))
        for _ in range(self.random.randrange(3)):
            value += "\r\n" + pick([" ", "\t", "  \t"]) + self.text(1 + self.random.randrange(4))
        return value

    def case(self, name):
        return self.random.choice([name, name, name.lower(), name.upper()])

    def header(self):
        fields = [self.case("From") + ": Ada <ada@example.com>"]
        names = ["To", "Cc", "Subject", "Date", "Message-ID", "Received", "X-Odd", "List-Id", "Content-Type", "Reply-To"]
        for _ in range(self.random.randrange(14)):
            name = self.random.choice(names)
            fields.append(f"{self.case(name)}:{self.value()}")
        self.random.shuffle(fields)
        return "".join(field + "\r\n" for field in fields)

    def line(self):
        kind = self.random.randrange(10)
        if kind < 2:
            return ""
        if kind == 2:
            return self.random.choice([" ", "\t", "  \t "])
        if kind == 3:
            return self.text(self.random.randrange(60, 200))
        return self.text(self.random.randrange(12)) + self.random.choice(["", "", " ", "\t\t"])

    def body(self):
        kind = self.random.randrange(8)
        if kind == 0:
            return ""
        if kind == 1:
            return "\r\n" * self.random.randrange(1, 6)
        if kind == 2:
            return " \r\n\t\r\n" * self.random.randrange(1, 4)
        lines = "".join(self.line() + "\r\n" for _ in range(self.random.randrange(1, 30)))
        return lines + "\r\n" * self.random.choice([0, 0, 1, 5])

    def message(self):
        return (self.header() + "\r\n" + self.body()).encode()

    def change(self, message):
        """One byte put in, taken out or changed; line ends stay line ends."""
        while True:
            at = self.random.randrange(len(message))
            kind = self.random.randrange(3)
            byte = self.random.choice(b" \tax:;=")
            changed = message[:at] + (b"" if kind == 0 else bytes([byte])) + message[at + (kind != 1):]
            if changed != message and changed.count(b"\r\n") == message.count(b"\r\n"):
                return changed


def peer(job):
    done = subprocess.run([PYTHON, str(HERE / "dkim_peers.py")], input=json.dumps(job).encode(), stdout=subprocess.PIPE,
                          timeout=1000)
    return json.loads(done.stdout) if done.returncode == 0 else None


def has_peer(name):
    return os.path.exists(PYTHON) and peer({"peer": name, "do": "verify", "files": []}) is not None


def has_perl():
    return shutil.which("perl") is not None and \
        subprocess.run(["perl", str(HERE / "dkim_peer.pl"), "/dev/null", "verify"]).returncode == 0


def refused_by_dkimpy(message, passed):
    """It looks at no message with a line in its header that is no field, and takes no blank before the colon; we
    pass over such lines, as mail programs do, and over the blank (RFC 5322 section 4.5.8)."""
    header = message.partition(b"\r\n\r\n")[0]
    lines = re.split(rb"\r\n(?![ \t])", header)
    return not passed and any(not re.match(rb"[!-9;-~]+:", line) for line in lines)


@unittest.skipIf(harness.is_peer(), "about mailkeep's own commands")
class Base(unittest.TestCase):
    """Keys, their records in a DNS of our own, and a folder for each step."""

    @classmethod
    def setUpClass(cls):
        cls.temporary = tempfile.TemporaryDirectory(prefix="mailkeep-dkim-")
        cls.folder = pathlib.Path(cls.temporary.name)
        cls.records = {}
        for selector, kind in (("rsa", "rsa-2048"), ("ed", "ed25519")):
            made = json.loads(cls.mailkeep("dkim", "genkey", "--type", kind, "--json")[1])
            cls.key(selector).write_text(made["private_key"])
            cls.records[f"{selector}._domainkey.{DOMAIN}"] = made["record"]
        table = "".join(f"{name} TXT {cls.strings(text)}\n" for name, text in cls.records.items())
        cls.server = dns_server.DnsServer(table + cls.more_records()).start()
        (cls.folder / "anchor").write_text(cls.server.anchor)
        cls.record_file = cls.folder / "records"
        cls.record_file.write_text("".join(f"{name} {text}\n" for name, text in cls.records.items()))

    @classmethod
    def tearDownClass(cls):
        cls.server.stop()
        cls.temporary.cleanup()

    @classmethod
    def more_records(cls):
        return ""

    @classmethod
    def key(cls, selector):
        return cls.folder / f"{selector}.pem"

    @staticmethod
    def strings(text):
        return " ".join(f'"{text[i:i + 255]}"' for i in range(0, len(text), 255))

    @staticmethod
    def mailkeep(*words, **options):
        done = subprocess.run([harness.PROGRAM, *map(str, words)], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              timeout=600, **options)
        return done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace")

    @classmethod
    def resolver(cls):
        return ["--resolver", f"{cls.server.address}:{cls.server.port}", "--anchor", cls.folder / "anchor"]

    def step(self, name):
        folder = self.folder / self._testMethodName / name
        folder.mkdir(parents=True)
        return folder

    def write(self, folder, messages):
        paths = []
        for number, message in enumerate(messages):
            paths.append(folder / f"{number:05}.eml")
            paths[-1].write_bytes(message)
        return paths

    def sign(self, paths, canon, output, selectors=("rsa", "ed")):
        code, _, err = self.mailkeep("dkim", "sign", "--domain", DOMAIN, "--selector", ",".join(selectors), "--key",
                                     ",".join(str(self.key(s)) for s in selectors), "--canon", "/".join(canon),
                                     "--output", output, *paths)
        self.assertEqual((code, err), (0, ""))

    def verify(self, paths):
        """[[selector, passed], ...] of each file, as the peers answer."""
        code, out, err = self.mailkeep("dkim", "verify", "--json", *self.resolver(), *paths)
        self.assertEqual(err, "")
        self.assertIn(code, (0, 1))
        return [[[s.get("selector", "?"), s["result"] == "pass"] for s in message["signatures"]]
                for message in json.loads(out)["messages"]]

    def arc(self, paths):
        _, out, err = self.mailkeep("arc", "verify", "--json", *self.resolver(), *paths)
        self.assertEqual(err, "")
        return [message["result"] for message in json.loads(out)["messages"]]

    def job(self, name, do, paths, **more):
        answers = peer({"peer": name, "do": do, "files": [str(p) for p in paths], "records": self.records,
                        "domain": DOMAIN, **more})
        self.assertIsNotNone(answers)
        return answers

    def perl(self, what, *words):
        done = subprocess.run(["perl", str(HERE / "dkim_peer.pl"), str(self.record_file), what, *map(str, words)],
                              stdout=subprocess.PIPE, timeout=1000, check=True)
        return done.stdout.decode(errors="replace").splitlines()

    def perl_verify(self, paths):
        """Only RSA: Debian's Mail::DKIM knows no Ed25519."""
        answers = []
        for line in self.perl("verify", *paths):
            words = line.split()
            answers.append([[selector, result == "pass"] for selector, result in zip(words[::2], words[1::2])])
        return answers

    def assert_pass(self, paths, answers, selectors):
        for path, answer in zip(paths, answers):
            if sorted(answer) != sorted([s, True] for s in selectors):
                self.fail(f"{path.name}: {answer}\n{path.read_bytes()!r}")


class Cross(Base):
    """With other programs, both ways."""

    def signed_by_us(self):
        """Messages signed under every pair of canonicalizations, in turn."""
        messages = Messages(SEED)
        plain = self.write(self.step("plain"), [messages.message() for _ in range(MESSAGES)])
        signed = self.step("signed")
        for number, canon in enumerate(CANONS):
            self.sign(plain[number::len(CANONS)], canon, signed)
        return [signed / path.name for path in plain]

    def test_we_verify_what_we_sign(self):
        paths = self.signed_by_us()
        self.assert_pass(paths, self.verify(paths), ["rsa", "ed"])

    @unittest.skipUnless(has_peer("dkimpy"), "python3-dkim is not installed")
    def test_dkimpy_verifies_what_we_sign(self):
        paths = self.signed_by_us()
        self.assert_pass(paths, self.job("dkimpy", "verify", paths), ["rsa", "ed"])

    @unittest.skipUnless(has_peer("opendkim"), "libopendkim is not installed")
    def test_opendkim_verifies_what_we_sign(self):
        paths = self.signed_by_us()
        self.assert_pass(paths, self.job("opendkim", "verify", paths), ["rsa", "ed"])

    @unittest.skipUnless(has_perl(), "Mail::DKIM is not installed")
    def test_mail_dkim_verifies_what_we_sign(self):
        paths = self.signed_by_us()
        answers = [[pair for pair in answer if pair[0] == "rsa"] for answer in self.perl_verify(paths)]
        self.assert_pass(paths, answers, ["rsa"])

    def peer_signs(self, name, selector):
        messages = Messages(SEED + 1)
        plain = self.write(self.step("plain"), [messages.message() for _ in range(MESSAGES)])
        signed = self.step("signed")
        answers = self.job(name, "sign", plain, selector=selector, key=str(self.key(selector)),
                           algorithm=SELECTORS[selector], output=str(signed),
                           canon=[CANONS[number % len(CANONS)] for number in range(MESSAGES)])
        self.assertEqual([answer for answer in answers if answer is not True], [])
        paths = [signed / path.name for path in plain]
        self.assert_pass(paths, self.verify(paths), [selector])

    @unittest.skipUnless(has_peer("dkimpy"), "python3-dkim is not installed")
    def test_we_verify_what_dkimpy_signs(self):
        self.peer_signs("dkimpy", "rsa")

    @unittest.skipUnless(has_peer("dkimpy"), "python3-dkim is not installed")
    def test_we_verify_what_dkimpy_signs_with_ed25519(self):
        self.peer_signs("dkimpy", "ed")

    @unittest.skipUnless(has_peer("opendkim"), "libopendkim is not installed")
    def test_we_verify_what_opendkim_signs(self):
        self.peer_signs("opendkim", "rsa")

    @unittest.skipUnless(has_peer("opendkim"), "libopendkim is not installed")
    def test_we_verify_what_opendkim_signs_with_ed25519(self):
        self.peer_signs("opendkim", "ed")

    @unittest.skipUnless(has_perl(), "Mail::DKIM is not installed")
    def test_we_verify_what_mail_dkim_signs(self):
        messages = Messages(SEED + 2)
        plain = self.write(self.step("plain"), [messages.message() for _ in range(MESSAGES)])
        signed = self.step("signed")
        for number, canon in enumerate(CANONS):
            lines = self.perl("sign", DOMAIN, "rsa", self.key("rsa"), signed, "/".join(canon),
                              *plain[number::len(CANONS)])
            self.assertEqual(set(lines), {"ok"})
        paths = [signed / path.name for path in plain]
        self.assert_pass(paths, self.verify(paths), ["rsa"])

    def changed(self):
        messages = Messages(SEED + 3)
        paths = self.signed_by_us()
        return self.write(self.step("changed"), [messages.change(path.read_bytes()) for path in paths])

    def compare(self, paths, ours, theirs, explains=lambda *_: False):
        """A signature that cannot be read at all is left out: each names it otherwise."""
        n_same, n_explained, differences = 0, 0, []
        for path, own, other in zip(paths, ours, theirs):
            for selector, passed in other:
                if [selector, passed] in own or not any(selector == s for s, _ in own):
                    n_same += 1
                elif explains(path.read_bytes(), passed):
                    n_explained += 1
                else:
                    differences.append(f"{path.name} {selector}: we say {own}, they {other}\n{path.read_bytes()!r}")
        print(f"# {n_same} results compared, {n_explained} differ for a reason that is known")
        if differences:
            self.fail(f"{len(differences)} differ:\n" + "\n".join(differences[:5]))

    @unittest.skipUnless(has_peer("dkimpy"), "python3-dkim is not installed")
    def test_dkimpy_and_we_judge_changed_messages_alike(self):
        paths = self.changed()
        self.compare(paths, self.verify(paths), self.job("dkimpy", "verify", paths), refused_by_dkimpy)

    @unittest.skipUnless(has_peer("opendkim"), "libopendkim is not installed")
    def test_opendkim_and_we_judge_changed_messages_alike(self):
        paths = self.changed()
        self.compare(paths, self.verify(paths), self.job("opendkim", "verify", paths))

    @unittest.skipUnless(has_perl(), "Mail::DKIM is not installed")
    def test_mail_dkim_and_we_judge_changed_messages_alike(self):
        paths = self.changed()
        theirs = [[pair for pair in answer if pair[0] == "rsa"] for answer in self.perl_verify(paths)]
        self.compare(paths, self.verify(paths), theirs)


class Chains(Base):
    """ARC with other programs, both ways. They know RSA only."""
    SRV_ID = "mx.example.org"

    def messages(self):
        found = f"Authentication-Results: {self.SRV_ID}; arc=none; spf=pass smtp.mailfrom=example.com\r\n".encode()
        messages = Messages(SEED + 4)
        return self.write(self.step("plain"), [found + messages.message() for _ in range(max(8, MESSAGES // 4))])

    def seal(self, paths, name, cv=None):
        output = self.step(name)
        state = ["--cv", cv] if cv else self.resolver()
        code, _, err = self.mailkeep("arc", "seal", "--domain", DOMAIN, "--selector", "rsa", "--key", self.key("rsa"),
                                     "--results", f"{self.SRV_ID}; arc=none; spf=pass smtp.mailfrom=example.com",
                                     "--output", output, *state, *paths)
        self.assertEqual((code, err), (0, ""))
        return [output / path.name for path in paths]

    def say_pass(self, paths):
        """The others take the state of the chain from an Authentication-Results field at the top, which nobody
        signs."""
        found = f"Authentication-Results: {self.SRV_ID}; arc=pass; spf=pass smtp.mailfrom=example.com\r\n".encode()
        for path in paths:
            path.write_bytes(found + re.sub(rb"(?m)^Authentication-Results:.*\r\n", b"", path.read_bytes()))

    def seal_by_dkimpy(self, paths, name):
        output = self.step(name)
        answers = self.job("dkimpy", "arc-sign", paths, selector="rsa", key=str(self.key("rsa")), srv_id=self.SRV_ID,
                           algorithm="rsa-sha256", output=str(output))
        self.assertEqual([answer for answer in answers if answer is not True], [])
        return [output / path.name for path in paths]

    def seal_by_perl(self, paths, name):
        output = self.step(name)
        lines = self.perl("arc-sign", DOMAIN, "rsa", self.key("rsa"), output, self.SRV_ID, *paths)
        self.assertEqual(set(lines), {"ok"})
        return [output / path.name for path in paths]

    def assert_all(self, paths, answers, expected):
        for path, answer in zip(paths, answers):
            if answer != expected:
                self.fail(f"{path.name}: {answer}\n{path.read_bytes()!r}")

    @unittest.skipUnless(has_peer("dkimpy"), "python3-dkim is not installed")
    def test_dkimpy_verifies_what_we_seal(self):
        paths = self.seal(self.messages(), "one", "none")
        self.assert_all(paths, [answer[0] for answer in self.job("dkimpy", "arc-verify", paths)], "pass")
        paths = self.seal(self.seal(paths, "two"), "three")
        self.assert_all(paths, self.arc(paths), "pass")
        self.assert_all(paths, [answer[0] for answer in self.job("dkimpy", "arc-verify", paths)], "pass")

    @unittest.skipUnless(has_peer("dkimpy"), "python3-dkim is not installed")
    def test_we_verify_what_dkimpy_seals(self):
        paths = self.seal_by_dkimpy(self.messages(), "one")
        self.assert_all(paths, self.arc(paths), "pass")
        paths = self.seal(paths, "two")
        self.say_pass(paths)
        paths = self.seal_by_dkimpy(paths, "three")
        self.assert_all(paths, self.arc(paths), "pass")

    @unittest.skipUnless(has_perl(), "Mail::DKIM is not installed")
    def test_mail_dkim_and_we_verify_each_other(self):
        paths = self.seal(self.messages(), "one", "none")
        self.assert_all(paths, self.perl("arc-verify", *paths), "pass")
        self.say_pass(paths)
        paths = self.seal_by_perl(paths, "two")
        self.assert_all(paths, self.arc(paths), "pass")
        paths = self.seal(paths, "three")
        self.assert_all(paths, self.perl("arc-verify", *paths), "pass")

    @unittest.skipUnless(has_peer("dkimpy") and has_perl(), "dkimpy or Mail::DKIM is not installed")
    def test_all_judge_changed_chains_alike(self):
        messages = Messages(SEED + 5)
        paths = self.seal(self.seal(self.messages(), "one", "none"), "two")
        paths = self.write(self.step("changed"), [messages.change(path.read_bytes()) for path in paths])
        ours = self.arc(paths)
        differences, n_explained = [], 0
        for name, theirs in (("dkimpy", [answer[0] if isinstance(answer, list) else "fail" for answer in
                                         self.job("dkimpy", "arc-verify", paths)]),
                             ("Mail::DKIM", self.perl("arc-verify", *paths))):
            for path, own, other in zip(paths, ours, theirs):
                if (own == "pass") == (other == "pass"):
                    continue
                if name == "dkimpy" and refused_by_dkimpy(path.read_bytes(), other == "pass"):
                    n_explained += 1
                else:
                    differences.append(f"{path.name}: we say {own}, {name} {other}\n{path.read_bytes()!r}")
        print(f"# {2 * len(paths)} chains compared, {n_explained} differ for a reason that is known")
        if differences:
            self.fail(f"{len(differences)} differ:\n" + "\n".join(differences[:5]))


class Commands(Base):
    """What the commands say, and what they say to bad input."""
    PLAIN = b"From: Ada <ada@example.com>\r\nTo: x@example.org\r\nSubject: engines\r\n\r\nFirst line\r\n"

    @classmethod
    def more_records(cls):
        rsa = cls.records[f"rsa._domainkey.{DOMAIN}"]
        public = rsa.split("p=")[1]
        return f"""
insecure plain.test
rsa._domainkey.plain.test TXT {cls.strings(rsa)}
bogus._domainkey.{DOMAIN} TXT {cls.strings(rsa)}
bogus._domainkey.{DOMAIN} TXT !bogus
down._domainkey.{DOMAIN} TXT !servfail
no._domainkey.{DOMAIN} TXT !refused
revoked._domainkey.{DOMAIN} TXT "v=DKIM1; p="
spf._domainkey.{DOMAIN} TXT "v=spf1 -all"
test._domainkey.{DOMAIN} TXT {cls.strings("v=DKIM1; t=y:s; n=a note; p=" + public)}
weak._domainkey.{DOMAIN} TXT "k=rsa; p=MFwwDQYJKoZIhvcNAQEBBQADSwAwSAJBAIWmlgix/84GJ+dfgjm7LTc9EPdfkftlgiPpCq4/kbDAZmU0VvYKDljjleJ1dfvS+CGy9U/kk1tG3EeEvb82xAcCAwEAAQ=="
huge._domainkey.{DOMAIN} TXT {cls.strings("v=DKIM1; n=" + "x" * 60000 + "; p=" + public)}
two._domainkey.{DOMAIN} TXT {cls.strings(rsa)}
two._domainkey.{DOMAIN} TXT "v=spf1 -all"
"""

    def signed(self, selector="rsa", domain=DOMAIN, message=None, key="rsa", *options):
        code, out, err = self.mailkeep("dkim", "sign", "--domain", domain, "--selector", selector, "--key",
                                       self.key(key), "--message", *options, input=message or self.PLAIN)
        self.assertEqual((code, err), (0, ""))
        return out.encode()

    def run_verify(self, message, *options):
        code, out, err = self.mailkeep("dkim", "verify", *self.resolver(), *options, input=message)
        self.assertEqual(err, "")
        return code, out

    def test_the_result_stands_first(self):
        cases = [
            (self.PLAIN, 1, "none: not signed\n", []),
            (self.signed(), 0, "pass: 1 signature, 1 passes\n", [
                "pass: by example.com, selector rsa, rsa-sha256 with 2048 bits, key secure\n",
                "\nrsa._domainkey.example.com TXT: 1 record, secure\n"]),
            (self.signed(domain="plain.test"), 0, "pass: 1 sig", ["key insecure\n", "TXT: 1 record, insecure\n"]),
            (self.signed("ed", key="ed"), 0, "pass: 1 sig", ["ed25519-sha256 with 256 bits, key secure"]),
            (self.signed() + b"more", 1, "fail: 1 signature, 0 pass\n",
             ["; the signature is for another body: it was changed\n"]),
            (self.signed().replace(b"engines", b"Engines"), 1, "fail: 1 sig",
             ["the signature does not fit its key: what it signs was changed, or another key made it\n"]),
            (self.signed("bogus"), 1, "temperror: 1 sig",
             ["key bogus; the signature has a key that could not be looked up: ", "extended error 6 DNSSEC Bogus"]),
            (self.signed("down"), 1, "temperror: 1 sig", ["server answered SERVFAIL"]),
            (self.signed("no"), 1, "temperror: 1 sig", ["server answered REFUSED"]),
            (self.signed("none"), 1, "permerror: 1 sig", ["has no key in the DNS\n", "no such name, secure\n"]),
            (self.signed("revoked"), 1, "permerror: 1 sig", ["has a key that was revoked"]),
            (self.signed("spf"), 1, "permerror: 1 sig", ["has a key record that is none: unknown version"]),
            (self.signed("huge"), 1, "permerror: 1 sig", ["has a key record that is none: too long"]),
            (self.signed("weak"), 1, "policy: 1 sig", ["with 512 bits", "has a key that is RSA below 1024 bits"]),
            (self.signed("two"), 0, "pass: 1 sig", ["TXT: 2 records, secure"]),
            (self.signed("test"), 0, "pass: 1 sig", [" (the domain is testing: only a pass means anything)"]),
            (self.signed().replace(b"v=1; a=", b"v=2; a="), 1, "neutral: 1 sig",
             ["neutral: the signature cannot be read: unknown version"]),
            (self.signed().replace(b"a=rsa-sha256", b"a=rsa-sha1"), 1, "neutral: 1 sig",
             ["bh= is no hash of its algorithm"]),
            (self.signed(message=self.signed()), 0, "pass: 2 signatures, 2 pass\n", []),
            (b"From: eve@evil.example\r\n" + self.signed(), 1, "fail: 1 sig",
             ["the message has 2 From fields: DMARC takes none but one\n"]),
            (b"", 1, "none: not signed\n", ["the message has 0 From fields"]),
        ]
        for number, (message, code, first, further) in enumerate(cases):
            with self.subTest(f"{number}: {first}"):
                got, out = self.run_verify(message)
                self.assertTrue(out.startswith(first), out)
                for text in further:
                    self.assertIn(text, out)
                self.assertEqual(got, code)

    def test_times_are_judged_by_at(self):
        message = self.signed("rsa", DOMAIN, None, "rsa", "--expire", "7d", "--at", "1700000000")
        for at, first in ((1700000000, "pass"), (1700600000, "pass"), (1700700000, "policy"), (1600000000, "policy")):
            code, out = self.run_verify(message, "--at", str(at))
            self.assertEqual(out.split(":")[0], first, out)
        self.assertIn("has expired", self.run_verify(message)[1])

    def test_identities_are_cleaned_before_they_are_shown(self):
        message = self.signed("rsa", DOMAIN, None, "rsa", "--identity", "j\u009bö@mail.example.com")
        out = self.run_verify(message)[1]
        self.assertIn("identity j\ufffdö@mail.example.com", out)

    def test_files_of_this_system_are_read_as_mail(self):
        signed = self.signed()
        unix = signed.replace(b"\r\n", b"\n")
        self.assertEqual(self.run_verify(unix)[0], 0)
        folder = self.step("files")
        paths = self.write(folder, [signed, unix, unix + b"more\n"])
        code, out, _ = self.mailkeep("dkim", "verify", *self.resolver(), *paths)
        self.assertEqual(code, 1)
        self.assertEqual(re.findall(r"(?m)^(\w+): (/.*?): ", out),
                         [("pass", str(paths[0])), ("pass", str(paths[1])), ("fail", str(paths[2]))])
        output = self.step("out")
        self.sign([paths[1]], ("simple", "simple"), output)
        self.assertNotIn(b"\r", (output / paths[1].name).read_bytes())
        self.assertTrue((output / paths[1].name).read_bytes().endswith(unix))
        self.assertEqual(self.verify([output / paths[1].name])[0][:2], [["rsa", True], ["ed", True]])

    def test_json_has_all_of_it(self):
        code, out, _ = self.mailkeep("dkim", "verify", "--json", *self.resolver(),
                                     input=self.signed("rsa", DOMAIN, None, "rsa", "--identity", "@example.com"))
        answer = json.loads(out)
        self.assertEqual((code, answer["ok"]), (0, True))
        message, = answer["messages"]
        self.assertEqual({k: message[k] for k in ("file", "result", "found", "from_fields")},
                         {"file": "-", "result": "pass", "found": 1, "from_fields": 1})
        signature, = message["signatures"]
        self.assertEqual({k: signature[k] for k in ("result", "why", "security", "testing", "domain", "selector",
                                                    "identity", "algorithm", "key_bits")},
                         {"result": "pass", "why": "", "security": "secure", "testing": False, "domain": DOMAIN,
                          "selector": "rsa", "identity": "@example.com", "algorithm": "rsa-sha256", "key_bits": 2048})
        self.assertEqual(len(signature["b"]), 8)
        self.assertEqual(signature["headers"][:2], ["From", "From"])
        self.assertEqual(signature["lookups"], [{"name": "rsa._domainkey.example.com", "type": "TXT",
                                                 "outcome": "found", "security": "secure", "records": 1}])

    def test_keys_are_made_and_their_records_printed(self):
        for kind, word, bits in (("rsa-2048", "rsa", 2048), ("ed25519", "ed25519", 256), (None, "rsa", 2048)):
            options = ["--type", kind] if kind else []
            code, out, err = self.mailkeep("dkim", "genkey", *options, "--selector", "s", "--domain", "example.org")
            self.assertEqual((code, err), (0, ""))
            self.assertTrue(out.startswith("-----BEGIN PRIVATE KEY-----\n"))
            zone = out.splitlines()[-1]
            self.assertTrue(zone.startswith(f's._domainkey.example.org. TXT "v=DKIM1; k={word}; p='), zone)
            self.assertTrue(all(len(part) <= 255 for part in re.findall(r'"(.*?)"', zone)))
            private = self.folder / "made.pem"
            private.write_text(out)
            code, text, _ = self.mailkeep("dkim", "txt", private, "--selector", "s", "--domain", "example.org")
            self.assertEqual((code, text.splitlines()[1]), (0, zone))
            self.assertEqual(text.splitlines()[0], "".join(re.findall(r'"(.*?)"', zone)))
            public = subprocess.run(["openssl", "pkey", "-in", private, "-pubout"], stdout=subprocess.PIPE, check=True)
            code, same, _ = self.mailkeep("dkim", "txt", "--json", input=public.stdout)
            answer = json.loads(same)
            self.assertEqual((code, answer["record"], answer["bits"]), (0, text.splitlines()[0], bits))

    def test_records_are_explained(self):
        for selector, code, first, further in [
                ("rsa", 0, "pass: rsa._domainkey.example.com: the key can be used (DNSSEC: secure)\n",
                 ["rsa key of 2048 bits\n", '\nTXT "v=DKIM1; k=rsa; p=']),
                ("test", 0, "pass: ", ["the domain is testing (t=y), for no subdomain in i= (t=s)", "notes: a note"]),
                ("two", 0, "pass: ", ["there are several records"]),
                ("weak", 1, "policy: ", ["the key is RSA below 1024 bits", "rsa key of 512 bits"]),
                ("revoked", 1, "permerror: ", ["the key was revoked"]),
                ("spf", 1, "permerror: ", ["unknown version", 'TXT "v=spf1 -all"']),
                ("huge", 1, "permerror: ", ["too long"]),
                ("none", 1, "permerror: ", ["there is no such record (DNSSEC: secure)"]),
                ("bogus", 1, "temperror: ", ["(DNSSEC: bogus)"]),
                ("down", 1, "temperror: ", ["server answered SERVFAIL"])]:
            with self.subTest(selector):
                got, out, err = self.mailkeep("dkim", "lookup", selector, DOMAIN, *self.resolver())
                self.assertEqual((got, err), (code, ""))
                self.assertTrue(out.startswith(first), out)
                for text in further:
                    self.assertIn(text, out)
                answer = json.loads(self.mailkeep("dkim", "lookup", selector, DOMAIN, "--json", *self.resolver())[1])
                self.assertEqual((answer["ok"], answer["result"]), (code == 0, first.split(":")[0]))

    def test_chains_are_told_in_words(self):
        seal = ["arc", "seal", "--domain", DOMAIN, "--selector", "ed", "--key", self.key("ed"), "--message", "--results",
                "mx.example.org; arc=none; spf=pass"]
        once = self.mailkeep(*seal, "--cv", "none", input=self.PLAIN)[1].encode()
        changed = once.replace(b"Subject: ", b"Subject: [list] ")
        twice = self.mailkeep(*seal, "--cv", "pass", input=changed)[1].encode()
        broken = twice.replace(b"First", b"Last")
        marked = self.mailkeep(*seal, *self.resolver(), input=broken)[1].encode()
        self.assertIn(b"cv=fail;", marked)
        self.assertEqual(self.mailkeep(*seal, *self.resolver(), input=marked), (0, marked.decode(), ""))
        for message, code, first, further in [
                (self.PLAIN, 1, "none: there is no chain\n", []),
                (once, 0, "pass: 1 set\n", ["the message is as it was when it was sealed first\n",
                                           "set 1: sealed by example.com, selector ed, key secure: pass\n",
                                           "  said: mx.example.org; arc=none; spf=pass\n"]),
                (twice, 0, "pass: 2 sets\n", ["the message was changed before set 2\n", "set 2: sealed by",
                                             "message signature by example.com, selector ed, key secure: fail: it does"]),
                (broken, 1, "fail: the chain has a message signature of instance 2 that is for another body", []),
                (marked, 1, "fail: the chain was marked as failed by its last sealer\n", []),
                (once.replace(b"ARC-Seal:", b"X:"), 1, "fail: the chain lacks the seal of an instance\n", [])]:
            with self.subTest(first):
                got, out, err = self.mailkeep("arc", "verify", *self.resolver(), input=message)
                self.assertEqual((got, err), (code, ""))
                self.assertTrue(out.startswith(first), out)
                for text in further:
                    self.assertIn(text, out)
        answer = json.loads(self.mailkeep("arc", "verify", "--json", *self.resolver(), input=twice)[1])
        chain, = answer["messages"]
        self.assertEqual((chain["result"], chain["oldest_pass"], len(chain["sets"])), ("pass", 2, 2))
        self.assertEqual(chain["sets"][0]["results"], "mx.example.org; arc=none; spf=pass")

    def test_mistakes_are_explained(self):
        key = self.key("rsa")
        good = ["dkim", "sign", "--domain", DOMAIN, "--selector", "s", "--key", key]
        for words, sentence in [
                (["dkim", "sign", "--selector", "s", "--key", key], "--domain must be given"),
                (["dkim", "sign", "--domain", DOMAIN, "--key", key], "--selector must be given"),
                (["dkim", "sign", "--domain", DOMAIN, "--selector", "s"], "--key must be given"),
                (["dkim", "sign", "--domain", DOMAIN, "--selector", "a,b", "--key", key], "needs a --key of its own"),
                (["dkim", "sign", "--domain", DOMAIN, "--selector", "s", "--key", "/nonexistent"], "cannot be read"),
                (["dkim", "sign", "--domain", DOMAIN, "--selector", "s", "--key", "/dev/null"], "key"),
                (["dkim", "sign", "--domain", "com", "--selector", "s", "--key", key], "the domain to sign for is none"),
                ([*good, "--canon", "nofws"], "--canon is HEADER/BODY"),
                ([*good, "--expire", "soon"], "--expire is a time"),
                ([*good, "--at", "now"], "--at is a number"),
                ([*good, "--identity", "ada@example.org"], "the identity is not of the domain"),
                ([*good, "--headers", "To:Subject"], "From must be signed"),
                ([*good, "--headers", "From:a b"], "a value that no signature can have"),
                ([*good, "/nonexistent"], "`/nonexistent` cannot be read"),
                ([*good, "--output", "/nonexistent"], "cannot be written"),
                (["dkim", "genkey", "--type", "dsa"], "is not a type of key"),
                (["dkim", "genkey", "--domain", "com"], "is not a domain"),
                (["dkim", "txt", "/dev/null"], ""),
                (["dkim", "lookup", "a b", "example.com"], "are not a selector and a domain"),
                (["dkim", "verify", "--resolver", "nonsense"], "--resolver is an IP address"),
                (["dkim", "verify", "/nonexistent", *self.resolver()], "cannot be read"),
                (["arc", "seal", "--domain", DOMAIN, "--selector", "s", "--key", key], "--results must be given"),
                (["arc", "seal", "--domain", DOMAIN, "--selector", "s", "--key", key, "--results", "x", "--cv", "maybe"],
                 "--cv is none, pass or fail"),
                (["arc", "seal", "--domain", DOMAIN, "--selector", "s,t", "--key", f"{key},{key}", "--results", "x"],
                 "sealed with one key")]:
            with self.subTest(" ".join(map(str, words))):
                code, out, err = self.mailkeep(*words, input=self.PLAIN)
                self.assertEqual((code, out), (1, ""))
                self.assertIn(sentence, err)
        code, _, err = self.mailkeep(*good, input=b"To: x\r\n\r\n")
        self.assertEqual(code, 1)
        self.assertIn("has not exactly one From field", err)

    def test_bad_messages_end_in_a_result(self):
        signature = self.signed().split(b"From:")[0]
        for name, message in [
                ("1,000 signatures", signature * 1000 + self.PLAIN),
                ("a header of 1 MB", b"X: " + b"y " * 500000 + b"\r\n" + self.signed()),
                ("20,000 fields", b"X: y\r\n" * 20000 + self.signed()),
                ("no colon", b"nothing\r\n\x00\r\n" + self.signed()),
                ("a header alone", signature + b"From: x"),
                ("NULs", self.signed(message=self.PLAIN + b"\x00" * 1000)),
                ("nothing but line ends", b"\r\n" * 100000),
                ("1,000 names", signature.replace(b"h=From", b"h=" + b"From:" * 1000 + b"From") + self.PLAIN),
                ("b= of garbage", re.sub(rb"\tb=.*", b"\tb=" + b"\xff" * 5000, signature, flags=re.S) + b"\r\n" + self.PLAIN),
                ("1,000 sets", b"ARC-Seal: i=1; a=rsa-sha256; cv=none; d=a.b; s=c; b=AAAA\r\n" * 1000 + self.PLAIN)]:
            for command in ("dkim", "arc"):
                with self.subTest(f"{command}: {name}"):
                    code, out, err = self.mailkeep(command, "verify", *self.resolver(), input=message)
                    self.assertIn(code, (0, 1))
                    self.assertEqual(err, "")
                    self.assertRegex(out, r"^(none|pass|fail|policy|neutral|permerror): ")


if __name__ == "__main__":
    unittest.main()
