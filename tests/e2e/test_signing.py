"""DKIM keys of our own domains from making to rotation, and that all that leaves is signed with them."""

import email
import json
import re
import smtplib
import subprocess
import tempfile
import pathlib
import unittest

import dns_server
import harness
import mail
import smtp_sink
import test_queue

RESOLVER = """
resolver: {{mode: forward, servers: ["{dns}"], anchor: "{anchor}", timeout: 3s}}
"""


def run(*words):
    done = subprocess.run([harness.PROGRAM, *map(str, words)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60)
    return done.returncode, done.stdout.decode(), done.stderr.decode()


@harness.mailkeep_only
class Signing(test_queue.QueueCase):
    accounts = 2
    sinks = ("out",)

    @classmethod
    def setUpClass(cls):
        temporary = tempfile.TemporaryDirectory(prefix="mailkeep-signing-")
        cls.addClassCleanup(temporary.cleanup)
        cls.folder = pathlib.Path(temporary.name)
        cls.dns = dns_server.DnsServer("our.test TXT \"v=spf1 -all\"\n").start()
        cls.addClassCleanup(cls.dns.stop)
        (cls.folder / "anchor").write_text(cls.dns.anchor)
        cls.extra = RESOLVER.format(dns=f"{cls.dns.address}:{cls.dns.port}", anchor=cls.folder / "anchor")
        super().setUpClass()
        cls.server.stop()
        config = cls.server.data / "config"
        path = config / "mailkeep.yaml"
        path.write_text(re.sub(r"(?m)^hostname: .*$", "hostname: mx.our.test", path.read_text()))
        for words in (["domain", "add", "our.test"], ["address", "add", "user1", "user1@our.test"]):
            code, out, err = run(*words, "--config", config)
            assert code == 0, out + err
        cls.server.start()

    # --- steps ---

    def dkim(self, *words, code=0):
        found, out, err = run("dkim", *words, "--config", self.server.data / "config")
        self.assertEqual(found, code, out + err)
        return out + err

    def lookups(self):
        return ["--resolver", f"{self.dns.address}:{self.dns.port}", "--anchor", self.folder / "anchor"]

    def publish(self, text):
        """The lines of a zone file that a command printed, put into the DNS."""
        text = re.sub(r"\(([^)]*)\)", lambda m: " ".join(m.group(1).split()), text)
        lines = re.findall(r"(?m)^(\S+)\. IN TXT (.*)$", text)
        for name, data in lines:
            self.dns.add(f"{name} TXT {data}")
        return [name for name, _ in lines]

    def keys(self):
        return {k["selector"]: k for k in json.loads(self.dkim("key", "list", "--json"))["keys"]}

    def sent(self, subject, extra="", body="Hello.\r\n", to="you@out.test", **options):
        """What the sink got."""
        message_id = self.submit(to, sender="user1@our.test", subject=subject, extra=extra, **options)
        self.wait_retired(message_id)
        message, = [m for m in self.sink["out"].messages if message_id.encode() in m["data"]]
        return message["data"]

    def verify(self, data):
        path = self.folder / "message.eml"
        path.write_bytes(data)
        _, out, err = run("dkim", "verify", "--json", *self.lookups(), path)
        self.assertEqual(err, "")
        found, = json.loads(out)["messages"]
        return {s["selector"]: (s["result"], s["domain"], s["security"]) for s in found["signatures"]}

    # --- the tests ---

    def test_a_life_of_keys(self):
        self.assertEqual(self.verify(self.sent("unsigned")), {})
        # A key is made, published, used.
        printed = self.dkim("key", "add", "our.test", "first", "--type", "ed25519")
        self.assertIn("first._domainkey.our.test. IN TXT", printed)
        self.assertFalse(self.keys()["first"]["sign"])
        self.assertEqual(self.verify(self.sent("not yet")), {})
        complaint = self.dkim("key", "sign", "our.test", "first", *self.lookups(), code=1)
        self.assertIn("there is no such record", complaint)
        self.assertIn("dkim key record", complaint)
        self.assertIn("; missing", self.dkim("key", "record", "our.test", "--check", *self.lookups(), code=1))
        self.assertEqual(self.publish(printed), ["first._domainkey.our.test"])
        self.assertIn("; published", self.dkim("key", "record", "our.test", "--check", *self.lookups()))
        self.dkim("key", "sign", "our.test", "first", *self.lookups())
        self.assertEqual(self.verify(self.sent("one")), {"first": ("pass", "our.test", "secure")})
        # A second one beside it, of the other kind.
        self.publish(self.dkim("key", "add", "our.test", "second"))
        self.dkim("key", "sign", "our.test", "second", "--running")
        both = self.verify(self.sent("two"))
        self.assertEqual({s: r[0] for s, r in both.items()}, {"first": "pass", "second": "pass"})
        # The same selector is not taken twice.
        self.assertIn("new selector", self.dkim("key", "add", "our.test", "first", code=1))
        # Rotation: made, published, switched.
        printed = self.dkim("rotate", "our.test")
        names = re.findall(r"(?m)^(\S+)\._domainkey\.our\.test\. IN TXT", printed)
        self.assertEqual(len(names), 2, printed)
        self.assertEqual(set(self.verify(self.sent("three"))), {"first", "second"})
        self.assertIn("no such record", self.dkim("rotate", "our.test", *self.lookups(), code=1))
        self.assertEqual(len(self.keys()), 4)
        self.publish(printed)
        self.assertIn("signed with the new keys", self.dkim("rotate", "our.test", *self.lookups()))
        new = self.verify(self.sent("four"))
        self.assertEqual({s: r[0] for s, r in new.items()}, {names[0]: "pass", names[1]: "pass"})
        # The old ones go; not the last that signs.
        for selector in ("first", "second", names[0]):
            self.dkim("key", "rm", "our.test", selector)
        self.assertIn("only key", self.dkim("key", "rm", "our.test", names[1], code=1))
        self.assertEqual(set(self.keys()), {names[1]})
        self.assertEqual(set(self.verify(self.sent("five"))), {names[1]})
        self.server.stop()
        # Without a server the same.
        self.assertEqual(set(self.keys()), {names[1]})
        printed = self.dkim("key", "add", "our.test", "offline", "--type", "ed25519")
        self.publish(printed)
        self.dkim("key", "sign", "our.test", "offline", *self.lookups())
        self.server.start()
        self.assertEqual(set(self.verify(self.sent("six"))), {names[1], "offline"})
        # Settings of a key.
        self.dkim("key", "rm", "our.test", names[1])
        self.settings("canonicalization: simple/simple, expiry: 7d, headers: [From, Subject], oversign: false")
        data = self.sent("seven", extra="X-More: yes\r\n")
        signature = email.message_from_bytes(data)["DKIM-Signature"]
        tags = dict(re.findall(r"(\w+)=([^;]*)", re.sub(r"\s", "", signature)))
        self.assertEqual((tags["c"], tags["h"].lower()), ("simple/simple", "from:subject"))
        self.assertEqual(int(tags["x"]) - int(tags["t"]), 7 * 86400)
        self.assertEqual(self.verify(data)["offline"][0], "pass")
        # A key that the vault lost: told, and mail leaves all the same.
        self.settings("")
        self.bounce_is_signed()
        self.body_of_every_kind_is_signed()

    def settings(self, more):
        path = self.server.data / "config" / "domains.yaml"
        text, n = re.subn(r"(?m)^(\s*)offline:.*\n(?:\1\s+.*\n)*",
                          lambda m: f"{m.group(1)}offline: {{sign: true{', ' + more if more else ''}}}\n",
                          path.read_text())
        self.assertEqual(n, 1, text)
        path.write_text(text)
        self.assertEqual(run("config", "reload", "--config", self.server.data / "config")[0], 0)

    def bounce_is_signed(self):
        self.sink["out"].answers["RCPT"] = ["550 5.1.1 no such user"]
        message_id = self.submit("nobody@out.test", sender="user1@our.test", subject="bounced")
        self.wait_retired(message_id)
        del self.sink["out"].answers["RCPT"]
        report, = self.reports(message_id)
        whole, = [m for m in mail.look(self.server, "user1") if b"bounced" in m and b"DKIM-Signature" in m]
        signed = whole[whole.index(b"DKIM-Signature"):]
        self.assertEqual(self.verify(signed)["offline"][0], "pass")

    def body_of_every_kind_is_signed(self):
        for subject, body in (("empty", ""), ("large", "0123456789abcdef\r\n" * 100000),
                              ("dots", ".\r\n..\r\n.x\r\n"), ("blank", "\r\n\r\n \r\n\t\r\n\r\n")):
            data = self.send_raw(subject, body)
            self.assertEqual(self.verify(data)["offline"][0], "pass", subject)

    def send_raw(self, subject, body, extra="Bcc: secret@out.test\r\n"):
        with smtplib.SMTP(*self.server.submission) as client:
            client.ehlo()
            client.login("user1@localhost", harness.PASSWORD)
            client.sendmail("user1@our.test", ["you@out.test"],
                            f"From: user1@our.test\r\nSubject: {subject}\r\nMessage-ID: <{subject}.raw@localhost>\r\n"
                            f"{extra}\r\n{body}")
        self.wait_retired(f"<{subject}.raw@localhost>")
        message, = [m for m in self.sink["out"].messages if f"<{subject}.raw@".encode() in m["data"]]
        self.assertNotIn(b"secret@", message["data"])
        return message["data"]

    def test_complaints(self):
        self.assertIn("no domain `nowhere.test`", self.dkim("key", "add", "nowhere.test", "x", code=1))
        self.assertIn("is no selector", self.dkim("key", "add", "our.test", "Not.One", code=1))
        self.assertIn("not a type of key", self.dkim("key", "add", "our.test", "dsa", "--type", "dsa", code=1))
        self.assertIn("cannot be read", self.dkim("key", "add", "our.test", "y", "--import", "/nowhere", code=1))
        bad = self.folder / "bad.pem"
        bad.write_text("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n")
        self.assertIn("could not be imported", self.dkim("key", "add", "our.test", "z", "--import", bad, code=1))
        self.assertIn("has no key `w`", self.dkim("key", "rm", "our.test", "w", code=1))
        self.assertNotIn("z", self.keys())


if __name__ == "__main__":
    unittest.main()
