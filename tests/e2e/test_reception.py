"""What is checked about mail that comes in, what the stored header says of it, and what becomes of it."""

import json
import re
import smtplib
import subprocess
import tempfile

import dns_server
import harness
import mail
import pathlib

KEYS = ("secure.test", "plain.test", "strict.test", "list.test")

TABLE = """
secure.test TXT "v=spf1 ip4:127.0.0.0/8 -all"
_dmarc.secure.test TXT "v=DMARC1; p=reject"
insecure plain.test
plain.test TXT "v=spf1 ip4:127.0.0.0/8 -all"
_dmarc.plain.test TXT "v=DMARC1; p=none"
strict.test TXT "v=spf1 -all exp=why.%{d}"
why.strict.test TXT "%{i} is not ours"
_dmarc.strict.test TXT "v=DMARC1; p=reject; sp=quarantine"
soft.test TXT "v=spf1 ~all"
_dmarc.soft.test TXT "v=DMARC1; p=quarantine"
hard.test TXT "v=spf1 -all"
broken.test TXT "v=spf1 include:broken.test -all"
forged.test TXT !bogus
forged.test TXT "v=spf1 ip4:127.0.0.0/8 -all"
insecure down.test
_dmarc.down.test TXT !servfail
down.test TXT !servfail
silent.test TXT !stall
_dmarc.silent.test TXT !stall
list.test TXT "v=spf1 ip4:127.0.0.0/8 -all"
helo.test A 127.0.0.1
helo.test TXT "v=spf1 a -all"
2.0.0.127.bl.test A 127.0.0.2
2.0.0.127.dead.test A 127.0.0.2
1.0.0.127.dead.test A 127.0.0.2
TEST.dbl.test A 127.0.0.2
evil.test.dbl.test A 127.0.0.4
evil.test.dbl.test TXT "known for it"
"""

CONFIG = """
resolver: {{mode: forward, servers: ["{dns}"], anchor: "{anchor}", timeout: 3s}}
reception:
  timeout: 4s
  domain_lists: [dbl.test]
  {more}
"""

ACCOUNT = """
    exceptions:
      family: {kind: forward, domains: [list.test], mailbox: Lists/Family}
"""


def strings(text):
    return " ".join(f'"{text[i:i + 255]}"' for i in range(0, len(text), 255))


@harness.mailkeep_only
class Reception(harness.ServerCase):
    accounts = 2
    more = "spf_fail: refuse\n  listed: junk"

    @classmethod
    def setUpClass(cls):
        cls.temporary = tempfile.TemporaryDirectory(prefix="mailkeep-reception-")
        cls.addClassCleanup(cls.temporary.cleanup)
        cls.folder = pathlib.Path(cls.temporary.name)
        table = TABLE
        for domain in KEYS:
            made = json.loads(cls.mailkeep("dkim", "genkey", "--type", "ed25519", "--json"))
            (cls.folder / domain).write_text(made["private_key"])
            table += f"k._domainkey.{domain} TXT {strings(made['record'])}\n"
        cls.dns = dns_server.DnsServer(table).start()
        cls.addClassCleanup(cls.dns.stop)
        anchor = cls.folder / "anchor"
        anchor.write_text(cls.dns.anchor)
        super().setUpClass()
        cls.server.stop()
        config = cls.server.data / "config" / "mailkeep.yaml"
        text = re.sub(r"(?m)^resolver:.*\n(?:[ \t]+.*\n)*", "", config.read_text())
        config.write_text(text + CONFIG.format(dns=f"{cls.dns.address}:{cls.dns.port}", anchor=anchor, more=cls.more))
        domains = cls.server.data / "config" / "domains.yaml"
        domains.write_text(re.sub(r"(?m)^(  user1:\n)", r"\1" + ACCOUNT.lstrip("\n"), domains.read_text()))
        cls.server.start()

    @staticmethod
    def mailkeep(*words, text=None):
        done = subprocess.run([harness.PROGRAM, *map(str, words)], input=text, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, timeout=60)
        if done.returncode != 0:
            raise AssertionError(f"{words} gave {done.returncode}: {done.stdout} {done.stderr}")
        return done.stdout.decode()

    # --- steps ---

    def message(self, header_from, subject, extra="", body="Hello.\r\n"):
        return (f"From: {header_from}\r\nTo: me@localhost\r\nSubject: {subject}\r\n"
                f"Date: Mon, 30 Nov 2026 10:00:00 +0000\r\nMessage-ID: <{subject}@client.test>\r\n{extra}\r\n{body}")

    def sign(self, domain, message):
        return self.mailkeep("dkim", "sign", "--domain", domain, "--selector", "k", "--key", self.folder / domain,
                             "--message", text=message.encode()).encode()

    def send(self, envelope_from, message, to=("me@localhost",), helo="helo.test"):
        """(code, text) of the answer to the message; 250 when it was taken."""
        if isinstance(message, str):
            message = message.encode()
        with smtplib.SMTP(*self.server.smtp, local_hostname=helo, timeout=60) as client:
            client.ehlo_or_helo_if_needed()
            self.assertEqual(client.mail(envelope_from)[0], 250)
            for recipient in to:
                self.assertEqual(client.rcpt(recipient)[0], 250)
            return client.data(message)

    def accept(self, envelope_from, message, **options):
        code, text = self.send(envelope_from, message, **options)
        self.assertEqual(code, 250, text)

    def refuse(self, envelope_from, message, code, *words, **options):
        answer, text = self.send(envelope_from, message, **options)
        self.assertEqual(answer, code, text)
        for word in words:
            self.assertIn(word.encode(), text)

    def header(self, subject, user="me", mailbox=b"INBOX"):
        whole, = mail.arrived(self.server, user, subject.encode()) if mailbox == b"INBOX" else [
            m for m in mail.look(self.server, user, mailbox) if subject.encode() in m]
        text = whole.split(b"\r\n\r\n", 1)[0].decode()
        return [re.sub(r"\r\n(?=[ \t])", "", field) for field in re.split(r"\r\n(?![ \t])", text)]

    def results(self, subject, **where):
        """{method: rest} of our Authentication-Results."""
        fields = [f for f in self.header(subject, **where) if f.startswith("Authentication-Results: ")]
        self.assertEqual(len(fields), 1, fields)
        name, *parts = re.split(r";\s*", fields[0].removeprefix("Authentication-Results: "))
        self.assertEqual(name.strip(), "localhost")
        return {part.split("=")[0]: part.split("=", 1)[1] for part in parts}

    def explain(self, account, *words):
        return json.loads(self.mailkeep("message", "explain", "--config", self.server.data / "config", "--json",
                                        account, *words))

    # --- aligned, secure and insecure ---

    def test_a_secure_domain_that_signs(self):
        self.accept("ada@secure.test", self.sign("secure.test", self.message("Ada <ada@secure.test>", "secure-one")))
        found = self.results("secure-one")
        self.assertRegex(found["spf"], r"^pass \(.*dnssec secure\) .*smtp.mailfrom=secure.test")
        self.assertRegex(found["dkim"], r"^pass \(.*dnssec secure\) .*header.d=secure.test")
        self.assertRegex(found["dmarc"], r"^pass \(.*dnssec secure\) .*header.from=secure.test")
        header = self.header("secure-one")
        names = [field.split(":")[0] for field in header]
        self.assertEqual(names[:5], ["Return-Path", "Delivered-To", "Authentication-Results", "Received-SPF", "Received"])
        self.assertEqual(names[5], "DKIM-Signature")
        self.assertRegex(header[3], r"^Received-SPF: pass \(.*\)\s.*client-ip=127\.0\.0\.1;")
        self.assertRegex(header[4], r"^Received: from helo\.test \(.*\[127\.0\.0\.1\]")
        self.assertIn("dnssec", header[4])

    def test_an_insecure_domain_that_signs(self):
        self.accept("ada@plain.test", self.sign("plain.test", self.message("ada@plain.test", "plain-one")))
        found = self.results("plain-one")
        for method in ("spf", "dkim", "dmarc"):
            self.assertRegex(found[method], r"^pass \(.*dnssec insecure\)")

    def test_the_null_sender_is_checked_by_its_helo(self):
        self.accept("", self.message("x@plain.test", "null-one"))
        found = self.results("null-one")
        self.assertRegex(found["spf"], r"^pass .*smtp.helo=helo.test")

    # --- not aligned, forged ---

    def test_what_a_strict_domain_did_not_send_is_refused(self):
        self.refuse("ada@secure.test", self.message("boss@strict.test", "strict-one"), 550, "5.7.", "strict.test",
                    "DMARC")
        for subject in ("strict-one",):
            self.assertEqual([m for m in mail.look(self.server, "me") if subject.encode() in m], [])

    def test_a_changed_body_is_refused(self):
        signed = self.sign("strict.test", self.message("boss@strict.test", "strict-changed"))
        self.refuse("ada@secure.test", signed.replace(b"Hello.", b"Hullo."), 550, "DMARC")
        self.accept("ada@secure.test", signed)
        self.assertRegex(self.results("strict-changed")["dmarc"], "^pass")

    def test_quarantine_puts_it_with_the_junk(self):
        self.accept("ada@secure.test", self.message("x@soft.test", "soft-one"))
        found = self.results("soft-one", mailbox=b"Junk")
        self.assertRegex(found["dmarc"], "^fail")
        verdict = self.explain("me", "--mailbox", "Junk", "--message-id", "<soft-one@client.test>")["verdict"]
        self.assertEqual(verdict["decision"], "quarantine")
        self.assertTrue(any("soft.test" in reason for reason in verdict["reasons"]), verdict["reasons"])
        self.accept("ada@secure.test", self.message("x@sub.strict.test", "soft-sub"))
        self.results("soft-sub", mailbox=b"Junk")

    def test_a_hard_failure_of_spf_is_refused_with_the_domains_words(self):
        self.refuse("ada@hard.test", self.message("ada@hard.test", "hard-one"), 550, "5.7.23", "hard.test")
        # unless DMARC passes
        self.accept("ada@hard.test", self.sign("secure.test", self.message("ada@secure.test", "hard-two")))
        self.assertRegex(self.results("hard-two")["spf"], "^fail")
        # The other domain's explanation is given as its own.
        self.refuse("ada@strict.test", self.message("ada@hard.test", "hard-three"), 550, "127.0.0.1 is not ours")

    def test_two_authors_and_none_get_no_pass(self):
        two = self.message("ada@secure.test", "two-froms", extra="From: eve@secure.test\r\n")
        self.refuse("ada@secure.test", two, 550, "more than one From field")
        none = self.message("ada@secure.test", "no-from").replace("From: ada@secure.test\r\n", "")
        self.accept("ada@secure.test", none)
        self.assertNotIn("pass", self.results("no-from").get("dmarc", ""))

    # --- forged fields ---

    def test_our_name_in_authentication_results_is_taken_out(self):
        forged = ("Authentication-Results: localhost; dmarc=pass header.from=bank.test\r\n"
                  "Authentication-Results: LOCALHOST 1; spf=pass\r\n"
                  "Authentication-Results: other.test; spf=pass\r\n"
                  "AUTHENTICATION-RESULTS: (c) localhost;\r\n\tdkim=pass\r\n")
        self.accept("ada@plain.test", self.message("ada@plain.test", "forged-one", extra=forged))
        fields = [f for f in self.header("forged-one") if f.lower().startswith("authentication-results:")]
        self.assertEqual(len(fields), 2, fields)
        self.assertIn("other.test; spf=pass", fields[1])
        self.assertNotIn("bank.test", "".join(self.header("forged-one")))

    def test_a_first_line_that_is_folded_becomes_body(self):
        self.accept("ada@plain.test", "\tfor <boss@bank.test>\r\nFrom: ada@plain.test\r\n\r\nfolded-one\r\n")
        whole, = mail.arrived(self.server, "me", b"folded-one")
        head, body = whole.split(b"\r\n\r\n", 1)
        self.assertNotIn(b"bank.test", head)
        self.assertTrue(body.startswith(b"\tfor <boss"))

    # --- what cannot be known ---

    def test_errors_are_told_apart(self):
        self.accept("ada@broken.test", self.message("ada@plain.test", "broken-one"))
        self.assertRegex(self.results("broken-one")["spf"], "^permerror")
        self.accept("ada@forged.test", self.message("ada@plain.test", "bogus-one"))
        self.assertRegex(self.results("bogus-one")["spf"], r"^temperror \(.*dnssec bogus\)")
        verdict = self.explain("me", "--message-id", "bogus-one@client.test")["verdict"]
        spf, = [c for c in verdict["checks"] if c["method"] == "spf"]
        self.assertEqual(spf["dnssec"], "bogus")
        self.assertTrue(any(lookup["dnssec"] == "bogus" and lookup["extended_error"].startswith("6 ")
                            for lookup in spf["lookups"]), spf)
        self.accept("ada@down.test", self.message("ada@down.test", "down-one"))
        found = self.results("down-one")
        self.assertRegex(found["spf"], "^temperror")
        self.assertRegex(found["dmarc"], "^temperror")

    def test_silence_costs_no_more_than_its_time(self):
        self.accept("ada@silent.test", self.message("ada@silent.test", "silent-one"))
        self.assertRegex(self.results("silent-one")["dmarc"], "^temperror")

    # --- lists ---

    def test_a_listed_domain_is_put_with_the_junk(self):
        self.accept("ada@evil.test", self.message("ada@plain.test", "evil-one"))
        verdict = self.explain("me", "--mailbox", "Junk", "--message-id", "evil-one@client.test")["verdict"]
        listed = [c for c in verdict["checks"] if c["result"] == "listed"]
        self.assertTrue(listed and "known for it" in listed[0]["why"], verdict)

    # --- exceptions ---

    def test_an_exception_is_the_accounts_own(self):
        """user1 expects mail by list.test, in a mailbox for it; me does not, but gets it, as junk."""
        message = self.sign("list.test", self.message("boss@strict.test", "list-one"))
        self.refuse("owner@list.test", message, 550, "DMARC")
        self.accept("owner@list.test", message, to=("user1@localhost",))
        self.header("list-one", user="user1", mailbox=b"Lists/Family")
        verdict = self.explain("user1", "--mailbox", "Lists/Family")["verdict"]
        self.assertEqual(verdict["decision"], "accept")
        self.assertTrue(any("family" in reason for reason in verdict["reasons"]), verdict)
        message = self.sign("list.test", self.message("boss@strict.test", "list-two"))
        self.accept("owner@list.test", message, to=("user1@localhost", "me@localhost"))
        self.header("list-two", user="user1", mailbox=b"Lists/Family")
        self.header("list-two", mailbox=b"Junk")

    # --- limits ---

    def test_a_header_has_a_limit(self):
        code, text = self.send("ada@plain.test", "From: a@plain.test\r\n" + "X: y\r\n" * 200000 + "\r\nx\r\n")
        self.assertEqual(code, 552, text)
        self.assertIn(b"header is larger", text)
        long = self.message("ada@plain.test", "long-header", extra="X-Long: " + "abcdefg \r\n\t" * 50000 + "z\r\n")
        self.accept("ada@plain.test", long)
        self.assertEqual(len(mail.arrived(self.server, "me", b"long-header")), 1)

    def test_a_thousand_signatures_are_no_work(self):
        field = "DKIM-Signature: v=1; a=rsa-sha256; d=plain.test; s=k; h=from; bh=AAAA; b=AAAA\r\n"
        self.accept("ada@plain.test", self.message("ada@plain.test", "thousand", extra=field * 1000))
        self.assertLess(len([f for f in self.dns.queries if "_domainkey" in str(f)]), 200)

    # --- explaining ---

    def test_explanations_for_people(self):
        self.accept("ada@secure.test", self.sign("secure.test", self.message("ada@secure.test", "explained")))
        mail.arrived(self.server, "me", b"explained")
        text = self.mailkeep("message", "explain", "--config", self.server.data / "config", "me", "--message-id",
                             "<explained@client.test>")
        self.assertRegex(text, r"^Inbox, UID \d+: explained\n")
        self.assertIn("\naccepted\n", text)
        self.assertIn("looked up _dmarc.secure.test TXT: 1 record, secure", text)
        for words, complaint in ((["nobody"], "no such account"), (["me", "9999999"], "no message with this UID"),
                                 (["me", "x"], "no UID"), (["me", "--mailbox", "Nope"], "no such mailbox"),
                                 (["me", "--message-id", "a@b"], "Message-ID")):
            code, said = self.run_tool(harness.PROGRAM, "message", "explain", "--config",
                                       self.server.data / "config", *words, check=False)
            self.assertIn(code, (1, 2))
            self.assertIn(complaint, said)


if __name__ == "__main__":
    import unittest
    unittest.main()
