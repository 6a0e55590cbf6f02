"""Users submit mail: every way to log in, who may send as whom, how much, what happens to the header."""

import base64
import collections
import contextlib
import email.utils
import hashlib
import hmac
import imaplib
import json
import os
import pathlib
import pwd
import re
import signal
import smtplib
import socket
import ssl
import stat
import subprocess
import threading
import time
import unittest

import harness
import mail
import npm
import wire

MECHANISMS = ["SCRAM-SHA-256-PLUS", "SCRAM-SHA-256", "SCRAM-SHA-1-PLUS", "SCRAM-SHA-1", "CRAM-MD5", "PLAIN", "LOGIN"]
DOMAINS = """
aliases:
  team@own.test: {members: [user1@localhost, user2@localhost], allow_from: true}
  quiet@own.test: {members: [user1@localhost]}
"""


def reload(server):
    done = subprocess.run([harness.PROGRAM, "config", "reload", "--config", str(server.data / "config")],
                          capture_output=True, text=True, timeout=60)
    if done.returncode != 0:
        raise AssertionError(done.stdout + done.stderr)


def edit(server, name, change):
    path = server.data / "config" / name
    text = path.read_text()
    changed = change(text)
    assert changed != text, "the edit found nothing to change"
    path.write_text(changed)


def make_key(folder, name):
    """A key with a certificate that nobody vouches for, and the key's fingerprint."""
    key, certificate = folder / f"{name}.key", folder / f"{name}.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                    "-keyout", key, "-out", certificate, "-subj", f"/CN={name}", "-days", "2"],
                   check=True, capture_output=True)
    public = subprocess.run(["openssl", "x509", "-in", certificate, "-pubkey", "-noout"], check=True,
                            capture_output=True).stdout
    der = subprocess.run(["openssl", "pkey", "-pubin", "-outform", "DER"], input=public, check=True,
                         capture_output=True).stdout
    return key, certificate, mail.digest(der)


def plain(user, password=harness.PASSWORD, authzid=""):
    return base64.b64encode(f"{authzid}\0{user}\0{password}".encode())


def submit(server, user, tls=True):
    """A raw connection that is logged in."""
    client = wire.Smtp(server.submissions if tls else server.submission, tls=tls)
    client.ehlo()
    client.command(b"AUTH PLAIN " + plain(user), 235)
    return client


def letter(sender, to="me@localhost", subject="letter", extra=""):
    return f"From: {sender}\r\nTo: {to}\r\nSubject: {subject}\r\n{extra}\r\nHello.\r\n".encode()


@harness.mailkeep_only
class Submission(harness.ServerCase):
    accounts = 6

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        folder = cls.server.folder
        cls.key, cls.certificate, fingerprint = make_key(folder, "known")
        cls.other_key, cls.other_certificate, _ = make_key(folder, "unknown")
        me = pwd.getpwuid(os.getuid()).pw_name

        def change(text):
            text = text.replace("  localhost:\n", "  localhost:\n  own.test:\n", 1)
            text = text.replace("[user1@localhost]", "[user1@localhost, one@own.test]")
            text = text.replace("[user3@localhost]", "[user3@localhost]\n    sent_per_day: 3\n"
                                "    first_time_recipients_per_day: 2")
            text = text.replace("[user4@localhost]", "[user4@localhost]\n    client_keys: [\"sha256:"
                                f"{fingerprint}\"]\n    unix_users: [{me}]")
            return text + DOMAINS
        edit(cls.server, "domains.yaml", change)
        reload(cls.server)
        # The gates ask for certificates, and the vault knows the Unix user, a moment later.
        harness.wait_for(lambda: "EXTERNAL" in cls.mechanisms(cls.certificate, cls.key))
        harness.wait_for((cls.server.data / "data" / "submit.sock").exists)

    @classmethod
    def context(cls, certificate=None, key=None):
        context = wire.tls_context()
        if certificate:
            context.load_cert_chain(certificate, key)
        return context

    @classmethod
    def mechanisms(cls, certificate=None, key=None):
        try:
            with smtplib.SMTP_SSL(*cls.server.submissions, context=cls.context(certificate, key)) as client:
                client.ehlo()
                return client.esmtp_features["auth"].split()
        except (OSError, smtplib.SMTPException):
            return []

    def need_queue(self):
        with submit(self.server, "user2@localhost") as client:
            code, lines = client.deliver(b"user2@localhost", [b"user2@localhost"], letter("user2@localhost"))
        if code == 451:
            self.skipTest("the queue does not take mail yet")
        self.assertEqual(code, 250, lines)

    def queue(self, *words):
        done = subprocess.run([harness.PROGRAM, "queue", *words, "--json", "--config",
                               str(self.server.data / "config")], capture_output=True, text=True, timeout=60)
        if "there is no command" in done.stderr:
            self.skipTest("there are no queue commands yet")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return json.loads(done.stdout)

    # what is announced

    def test_extensions(self):
        with wire.Smtp(self.server.submission) as client:
            before = client.ehlo()
            self.assertIn(b"STARTTLS", before)
            client.command(b"STARTTLS", 220)
            client.starttls()
            client.command(b"MAIL FROM:<user1@localhost>", 503)  # EHLO is forgotten
            within = client.ehlo()
            self.assertNotIn(b"STARTTLS", within)
            offered = next(line for line in within if line.startswith(b"AUTH ")).decode().split()[1:]
            self.assertEqual(offered, MECHANISMS)
            client.command(b"MAIL FROM:<user1@localhost>", 530)
            client.command(b"AUTH PLAIN " + plain("user1@localhost"), 235)
            client.command(b"MAIL FROM:<user1@localhost>", 250)  # no further EHLO is needed
            after = client.ehlo()
            self.assertFalse([line for line in after if line.startswith(b"AUTH")])
            for name in (b"DSN", b"REQUIRETLS", b"DELIVERBY", b"MT-PRIORITY", b"SMTPUTF8", b"CHUNKING", b"BINARYMIME",
                         b"PIPELINING", b"8BITMIME"):
                self.assertIn(name, after)
            self.assertTrue([line for line in after if line.startswith(b"FUTURERELEASE ")])
            client.command(b"AUTH PLAIN " + plain("user1@localhost"), 503)
            client.command(b"STARTTLS", 503)
            client.command(b"QUIT", 221)

    def test_plus_only_where_tls_is(self):
        with wire.Smtp(self.server.submission) as client:
            offered = next(line for line in client.ehlo() if line.startswith(b"AUTH ")).decode().split()[1:]
            self.assertEqual(offered, [name for name in MECHANISMS if not name.endswith("PLUS")])
            client.command(b"AUTH SCRAM-SHA-256-PLUS", 504)
            client.command(b"AUTH EXTERNAL =", 504)

    def test_starttls_injection(self):
        """What is sent in clear behind STARTTLS is neither run nor answered."""
        for pipelined in (b"EHLO evil\r\n", b"EHLO evil\r\nAUTH PLAIN " + plain("user1@localhost") + b"\r\n"):
            with wire.Smtp(self.server.submission, seconds=3) as client:
                client.ehlo()
                client.send(b"STARTTLS\r\n" + pipelined)
                client.expect(220)
                with contextlib.suppress(ssl.SSLError, OSError, EOFError):  # or the handshake failed: as good
                    client.starttls()
                    client.command(b"MAIL FROM:<user1@localhost>", 503)

    # logging in

    def gsasl(self, protocol, mechanism, *more, user="user1@localhost", password=harness.PASSWORD):
        self.need("gsasl")
        where = self.server.submission if protocol == "smtp" else self.server.imap
        who = ["-a", user, "-p", password] if mechanism != "EXTERNAL" else []
        binding = ["--no-cb"] if mechanism.startswith("SCRAM") and not mechanism.endswith("PLUS") else []
        return self.run_tool("gsasl", f"--{protocol}", "-m", mechanism, *who, "--x509-ca-file=", *binding, "--starttls",
                             *more, "--connect=%s:%d" % where, check=False)

    def test_every_mechanism_by_gsasl(self):
        for protocol in ("smtp", "imap"):
            for mechanism in MECHANISMS:
                with self.subTest(protocol=protocol, mechanism=mechanism):
                    code, said = self.gsasl(protocol, mechanism)
                    self.assertEqual(code, 0, said)

    def test_plus_in_tls_1_2_by_gsasl(self):
        for protocol in ("smtp", "imap"):
            code, said = self.gsasl(protocol, "SCRAM-SHA-256-PLUS", "--priority=NORMAL:-VERS-TLS1.3")
            self.assertEqual(code, 0, said)

    def bind_end_point(self, certificate):
        """SCRAM-SHA-256-PLUS by hand, bound to the server's certificate (RFC 5929 section 4)."""
        def mac(key, text):
            return hmac.new(key, text, hashlib.sha256).digest()
        with wire.Smtp(self.server.submissions, tls=True) as client:
            shown = client.socket.getpeercert(binary_form=True)
            header, bare = b"p=tls-server-end-point,,", b"n=user1@localhost,r=abcdef"
            client.ehlo()
            _, lines = client.command(b"AUTH SCRAM-SHA-256-PLUS " + base64.b64encode(header + bare), 334)
            first = base64.b64decode(lines[0])
            nonce, salt, rounds = (part[2:] for part in first.split(b","))
            binding = header + hashlib.sha256(certificate or shown).digest()
            final = b"c=" + base64.b64encode(binding) + b",r=" + nonce
            salted = hashlib.pbkdf2_hmac("sha256", harness.PASSWORD.encode(), base64.b64decode(salt), int(rounds))
            key, text = mac(salted, b"Client Key"), b",".join((bare, first, final))
            proof = bytes(a ^ b for a, b in zip(key, mac(hashlib.sha256(key).digest(), text)))
            code, lines = client.command(base64.b64encode(final + b",p=" + base64.b64encode(proof)))
            if code == 334:
                signature = mac(mac(salted, b"Server Key"), text)
                self.assertEqual(base64.b64decode(lines[0]), b"v=" + base64.b64encode(signature))
                code, _ = client.command(b"")
            return code

    def test_the_certificate_binds_a_login(self):
        self.assertEqual(self.bind_end_point(None), 235)
        self.assertEqual(self.bind_end_point(b"the certificate of somebody between"), 535)

    def test_wrong_passwords_by_gsasl(self):
        for protocol in ("smtp", "imap"):
            for mechanism in MECHANISMS:
                with self.subTest(protocol=protocol, mechanism=mechanism):
                    self.assertNotEqual(self.gsasl(protocol, mechanism, password="wrong")[0], 0)

    def test_a_stripped_plus_is_noticed(self):
        """A client that could bind, but was not shown -PLUS, says so, and is refused (RFC 5802 section 6)."""
        self.need("gsasl")
        for protocol, where in (("smtp", self.server.submission), ("imap", self.server.imap)):
            code, said = self.run_tool("gsasl", f"--{protocol}", "-m", "SCRAM-SHA-256", "-a", "user1@localhost", "-p",
                                       harness.PASSWORD, "--x509-ca-file=", "--starttls",
                                       "--connect=%s:%d" % where, check=False)
            self.assertNotEqual(code, 0, said)

    def test_login_names(self):
        for user in ("user1@localhost", "user1", "one@own.test", "ONE@Own.Test"):
            with submit(self.server, user) as client:
                client.command(b"QUIT", 221)
        for user in ("team@own.test", "anything@localhost", "one+tag@own.test", "", "user1@", "nobody"):
            with wire.Smtp(self.server.submissions, tls=True) as client:
                client.ehlo()
                code, _ = client.command(b"AUTH PLAIN " + plain(user))
                self.assertIn(code, (535, 501), user)

    def test_refusals_do_not_tell_accounts(self):
        """The same words for a wrong password and for nobody, by every mechanism that shows its words."""
        def answers(user):
            said = []
            with wire.Smtp(self.server.submissions, tls=True) as client:
                client.ehlo()
                said.append(client.command(b"AUTH PLAIN " + plain(user, "wrong")))
                client.command(b"AUTH CRAM-MD5", 334)
                said.append(client.command(base64.b64encode(f"{user} {'0' * 32}".encode())))
            with wire.Smtp(self.server.submissions, tls=True) as client:
                client.ehlo()
                first = base64.b64encode(f"n,,n={user},r=abcdefgh".encode())
                _, lines = client.command(b"AUTH SCRAM-SHA-256 " + first, 334)
                fields = base64.b64decode(lines[0]).split(b",")
                said.append([fields[2], len(fields[1])])
                final = base64.b64encode(b"c=biws," + fields[0] + b",p=" + base64.b64encode(b"x" * 32))
                said.append(client.command(final))
                client.command(b"AUTH LOGIN", 334)
                client.command(base64.b64encode(user.encode()), 334)
                said.append(client.command(base64.b64encode(b"wrong")))
            return said
        self.assertEqual(answers("user1@localhost"), answers("nobody-here@localhost"))

    def test_salts_of_nobody_are_stable(self):
        def salt(user):
            with wire.Smtp(self.server.submissions, tls=True) as client:
                client.ehlo()
                _, lines = client.command(b"AUTH SCRAM-SHA-1 " + base64.b64encode(f"n,,n={user},r=x".encode()), 334)
                return base64.b64decode(lines[0]).split(b",")[1]
        self.assertEqual(salt("nobody-here@localhost"), salt("nobody-here@localhost"))
        self.assertNotEqual(salt("nobody-here@localhost"), salt("nobody-else@localhost"))
        self.assertEqual(salt("user1@localhost"), salt("user1@localhost"))

    def test_wrong_exchanges(self):
        with wire.Smtp(self.server.submissions, tls=True) as client:
            client.ehlo()
            for line, code in ((b"AUTH", 501), (b"AUTH NTLM", 504), (b"AUTH PLAIN !", 501), (b"AUTH PLAIN =", 501)):
                client.command(line, code)
            client.command(b"AUTH PLAIN", 334)
            client.command(b"*", 501)
            client.command(b"AUTH PLAIN", 334)
            client.command(b"x" * 13000, 500)
            self.assertTrue(client.closed())
        with wire.Smtp(self.server.submissions, tls=True) as client:
            client.ehlo()
            for _ in range(3):
                client.command(b"AUTH PLAIN " + plain("user1@localhost", "wrong"), 535)
            client.expect(421)
            self.assertTrue(client.closed())
        with wire.Smtp(self.server.submissions, tls=True) as client:
            client.ehlo()  # nobody acts for others
            client.command(b"AUTH PLAIN " + plain("user1@localhost", authzid="user2@localhost"), 535)

    # EXTERNAL

    def external(self, certificate, key, name="="):
        with smtplib.SMTP_SSL(*self.server.submissions, context=self.context(certificate, key)) as client:
            client.ehlo()
            return client.docmd("AUTH", f"EXTERNAL {name}")[0]

    def test_external(self):
        self.assertIn("EXTERNAL", self.mechanisms(self.certificate, self.key))
        self.assertNotIn("EXTERNAL", self.mechanisms())
        named = base64.b64encode(b"user4@localhost").decode()
        other = base64.b64encode(b"user1@localhost").decode()
        nobody = base64.b64encode(b"nobody@localhost").decode()
        self.assertEqual(self.external(self.certificate, self.key), 235)
        self.assertEqual(self.external(self.certificate, self.key, named), 235)
        self.assertEqual(self.external(self.certificate, self.key, other), 535)
        self.assertEqual(self.external(self.certificate, self.key, nobody), 535)
        self.assertEqual(self.external(self.other_certificate, self.other_key), 535)
        self.assertEqual(self.external(self.other_certificate, self.other_key, named), 535)

    def test_external_of_imap(self):
        with imaplib.IMAP4_SSL(*self.server.imaps, ssl_context=self.context(self.certificate, self.key)) as client:
            self.assertIn("AUTH=EXTERNAL", client.capabilities)
            self.assertEqual(client.authenticate("EXTERNAL", lambda _: b"")[0], "OK")
            self.assertEqual(client.select()[0], "OK")
        with imaplib.IMAP4_SSL(*self.server.imaps, ssl_context=self.context(self.other_certificate,
                                                                            self.other_key)) as client:
            with self.assertRaises(imaplib.IMAP4.error):
                client.authenticate("EXTERNAL", lambda _: b"")
        with imaplib.IMAP4_SSL(*self.server.imaps, ssl_context=self.context()) as client:
            self.assertNotIn("AUTH=EXTERNAL", client.capabilities)

    def test_external_by_gsasl(self):
        more = [f"--x509-cert-file={self.certificate}", f"--x509-key-file={self.key}", "-z", "user4@localhost"]
        for protocol in ("smtp", "imap"):
            code, said = self.gsasl(protocol, "EXTERNAL", *more)
            self.assertEqual(code, 0, said)

    def test_a_tls_session_that_is_resumed_keeps_its_key(self):
        context = self.context(self.certificate, self.key)
        session = None
        for _ in range(3):
            with socket.create_connection(self.server.submissions, 20) as raw:
                with context.wrap_socket(raw, session=session) as tls:
                    stream = tls.makefile("rwb")
                    stream.readline()
                    stream.write(b"EHLO x\r\n")
                    stream.flush()
                    while stream.readline()[3:4] == b"-":
                        pass
                    stream.write(b"AUTH EXTERNAL =\r\n")
                    stream.flush()
                    self.assertTrue(stream.readline().startswith(b"235"))
                    session = tls.session

    # the local socket

    def local(self):
        raw = socket.socket(socket.AF_UNIX)
        raw.settimeout(20)
        raw.connect(str(self.server.data / "data" / "submit.sock"))
        client = wire.Smtp.__new__(wire.Smtp)
        client.socket, client.buffer = raw, b""
        return client

    def test_the_local_socket_knows_its_user(self):
        with self.local() as client:
            client.expect(220)
            client.command(b"MAIL FROM:<user4@localhost>", 503)
            self.assertIn(b"DSN", client.ehlo())
            client.command(b"MAIL FROM:<user1@localhost>", 550)
            client.command(b"MAIL FROM:<user4@localhost>", 250)
            client.command(b"QUIT", 221)

    def test_sockets_have_their_modes(self):
        data = self.server.data / "data"
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in data.iterdir() if path.is_socket()}
        self.assertEqual(modes.pop("submit.sock"), 0o666)
        self.assertEqual(set(modes.values()), {0o600})

    def test_the_local_socket_refuses_others(self):
        harness.need_root(self, "becomes another Unix user")
        script = ("import os, socket, sys; os.setgid(65534); os.setuid(65534); s = socket.socket(socket.AF_UNIX); "
                  "s.connect(sys.argv[1]); print(s.recv(1000).decode())")
        os.chmod(self.server.folder, 0o711)
        os.chmod(self.server.data, 0o711)
        said = self.run_tool("/usr/bin/python3", "-c", script, self.server.data / "data" / "submit.sock")
        self.assertTrue(said.startswith("554 5.7.1 "), said)

    # who may send as whom

    def test_envelope_senders(self):
        with submit(self.server, "user1@localhost") as client:
            for address, code in ((b"user1@localhost", 250), (b"user1+tag@localhost", 250), (b"one@own.test", 250),
                                  (b"ONE@OWN.TEST", 250), (b"team@own.test", 250), (b"", 250),
                                  (b"quiet@own.test", 550), (b"user2@localhost", 550), (b"me@localhost", 550),
                                  (b"nobody@localhost", 550), (b"nobody@own.test", 550), (b"a@example.com", 550),
                                  (b"user1@[127.0.0.1]", 550)):
                with self.subTest(address=address):
                    client.command(b"MAIL FROM:<" + address + b">", code)
                    client.command(b"RSET", 250)
        with submit(self.server, "me") as client:  # its catchall
            client.command(b"MAIL FROM:<whoever@localhost>", 250)

    def test_authors(self):
        good = ["user1@localhost", "User <one@own.test>", "team@own.test", "user1@localhost, one@own.test",
                "user1@localhost\r\nSender: team@own.test", "\"user1\"@localhost", "=?utf-8?q?=C3=A9?= <user1@localhost>"]
        bad = ["user2@localhost", "a@example.com", "quiet@own.test", "user1@localhost, user2@localhost",
               "user2@localhost\r\nSender: user1@localhost", "user1@localhost\r\nSender: user2@localhost",
               "user1@localhost <user2@localhost>", "user2@localhost (user1@localhost)"]
        broken = ["", "nothing", "<>", "user1@localhost\r\nFrom: user1@localhost", "g: user1@localhost;"]
        with submit(self.server, "user1@localhost") as client:
            for froms, codes in ((good, (250, 451)), (bad, (550,)), (broken, (554,))):
                for author in froms:
                    with self.subTest(author=author):
                        code, lines = client.deliver(b"user1@localhost", [b"user1@localhost"], letter(author))
                        self.assertIn(code, codes, lines)
            code, lines = client.deliver(b"user1@localhost", [b"user1@localhost"], b"no header\r\n\r\nx\r\n")
            self.assertEqual((code, lines[0][:6]), (554, b"5.6.0 "))
            code, lines = client.deliver(b"", [b"user1@localhost"], letter("a@example.com"))
            self.assertEqual(code, 550)

    def test_recipients(self):
        with submit(self.server, "user1@localhost") as client:
            client.command(b"MAIL FROM:<user1@localhost>", 250)
            for address, code in ((b"two@own.test", 550), (b"one@own.test", 250), (b"team@own.test", 250),
                                  (b"x@example.com", 250), (b"anything@localhost", 250), (b"x@[192.0.2.1]", 250),
                                  (b"Postmaster", 250), (b"", 501), (b"x", 501)):
                with self.subTest(address=address):
                    client.command(b"RCPT TO:<" + address + b">", code)

    def test_many_long_recipients_are_put_off(self):
        """What does not fit into one request to the queue is left for the next transaction."""
        with submit(self.server, "user1@localhost") as client:
            client.command(b"MAIL FROM:<user1@localhost>", 250)
            codes = [client.command(b"RCPT TO:<%s%d@%s.example> ORCPT=rfc822;%s" % (b"x" * 60, n, b"y" * 60, b"z" * 400))
                     for n in range(300)]
        self.assertEqual({code for code, _ in codes}, {250, 452})
        self.assertGreaterEqual([code for code, _ in codes].count(250), 100)  # RFC 5321 section 4.5.3.1.8

    def test_a_repeated_recipient_gets_one_copy(self):
        """However often it is named: what is counted is what goes out."""
        self.need_queue()
        with submit(self.server, "user1@localhost") as client:
            to = [b"user2@localhost", b"user2@LocalHost", b"user5@localhost"] + [b"user2@localhost"] * 50
            client.envelope(b"user1@localhost", to)
            client.command(b"DATA", 354)
            client.send(letter("user1@localhost", subject="repeated") + b".\r\n")
            client.expect(250)
            client.envelope(b"user1@localhost", [b"user2@localhost"])  # another transaction, another copy
            client.command(b"DATA", 354)
            client.send(letter("user1@localhost", subject="once more") + b".\r\n")
            client.expect(250)
        mail.arrived(self.server, "user2@localhost", b"Subject: once more")
        for user in ("user2@localhost", "user5@localhost"):
            self.assertEqual(len(mail.arrived(self.server, user, b"Subject: repeated")), 1)

    def test_no_password_in_the_log(self):
        """A line that is refused is logged, but for what may be a password."""
        secret = base64.b64encode(b"\0user1@localhost\0not-for-the-log")
        before = self.server.log().count('line="AUTH PLAIN"')
        with submit(self.server, "user1@localhost") as client:
            client.command(b"AUTH PLAIN " + secret, 503)
            client.command(b"AUTH LOGIN", 503)
            client.command(base64.b64encode(b"not-for-the-log"), 500)
        with wire.Smtp(self.server.smtp) as client:
            client.ehlo()
            client.command(b"AUTH PLAIN " + secret, 503)
        self.assertTrue(harness.wait_for(lambda: self.server.log().count('line="AUTH PLAIN"') >= before + 2))
        self.assertNotIn(secret.decode(), self.server.log())
        self.assertNotIn(base64.b64encode(b"not-for-the-log").decode(), self.server.log())

    # limits

    def test_limits(self):
        self.need_queue()
        with submit(self.server, "user3@localhost") as client:
            def send(*to):
                code, lines = client.deliver(b"user3@localhost", list(to), letter("user3@localhost"))
                return code, lines[0].decode()
            self.assertEqual(send(b"me@localhost", b"user1@localhost")[0], 250)
            code, text = send(b"user2@localhost")
            self.assertEqual(code, 451)
            self.assertRegex(text, "4.7.1 .*at most 2 recipients that it never wrote to before in 24 hours")
            self.assertEqual(send(b"me@localhost")[0], 250)
            code, text = send(b"me@localhost")
            self.assertEqual(code, 451)
            self.assertRegex(text, "4.7.1 .*at most 3 recipients in 24 hours and has sent to 3")
        with self.assertRaises(AssertionError):  # another session, another way in: the same count
            with submit(self.server, "user3@localhost", tls=False) as client:
                client.envelope(b"user3@localhost", [b"me@localhost"])
                self.assertEqual(client.deliver(b"user3@localhost", [b"me@localhost"], letter("user3@localhost"))[0], 250)

    # the header

    def test_the_header_is_completed(self):
        self.need_queue()
        with submit(self.server, "user1@localhost") as client:
            code, lines = client.deliver(b"user1@localhost", [b"user2@localhost"], letter(
                "user1@localhost", "user2@localhost", "completed", "Bcc: secret@example.com\r\nReturn-Path: <x@y>\r\n"))
            self.assertEqual(code, 250, lines)
        [whole] = mail.arrived(self.server, "user2@localhost", b"Subject: completed")
        parsed = mail.parsed(whole)
        self.assertTrue(parsed["Message-ID"].endswith("@localhost>"))
        self.assertLess(abs(email.utils.parsedate_to_datetime(parsed["Date"]).timestamp() - time.time()), 120)
        self.assertIsNone(parsed["Bcc"])
        self.assertNotIn(b"x@y", whole)
        self.assertNotIn(self.server.ip.encode(), whole)
        self.assertNotIn(b"client.example", whole)
        self.assertNotIn(b"127.0.0.1", whole)
        self.assertIn("with ESMTPSA", parsed.get_all("Received")[-1])
        self.assertTrue(whole.endswith(b"\r\n\r\nHello.\r\n"))

    def test_a_whole_message_stays_as_it_came(self):
        self.need_queue()
        message = mail.sized("as-it-came", 1_500_000).replace(b"<s@client.example>", b"<user1@localhost>")
        with submit(self.server, "user1@localhost") as client:
            code, lines = client.deliver(b"user1@localhost", [b"user2@localhost"], message)
            self.assertEqual(code, 250, lines)
        [whole] = mail.arrived(self.server, "user2@localhost", b"Subject: as-it-came")
        self.assertTrue(whole.endswith(message))

    def test_chunks(self):
        self.need_queue()
        message = letter("user1@localhost", subject="chunked")
        with submit(self.server, "user1@localhost") as client:
            client.envelope(b"user1@localhost", [b"user2@localhost"], b" BODY=BINARYMIME")
            client.send(b"BDAT 10\r\n" + message[:10])
            client.expect(250)
            client.send(b"BDAT %d LAST\r\n" % (len(message) - 10) + message[10:])
            client.expect(250)
        self.assertEqual(len(mail.arrived(self.server, "user2@localhost", b"Subject: chunked")), 1)

    # what arrives in the queue

    def test_parameters_arrive_in_the_queue(self):
        self.need_queue()
        with submit(self.server, "user1@localhost") as client:
            client.command(b"MAIL FROM:<user1@localhost> RET=HDRS ENVID=q+2B1 HOLDFOR=3600 MT-PRIORITY=3 REQUIRETLS "
                           b"BY=7200;R", 250)
            client.command(b"RCPT TO:<later@held.example> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;O@held.example", 250)
            client.command(b"DATA", 354)
            client.send(letter("user1@localhost", subject="held") + b".\r\n")
            client.expect(250)
        found = [entry for entry in self.queue("list")["entries"] if entry["recipient"] == "later@held.example"]
        self.assertEqual(len(found), 1)
        entry = found[0]
        self.assertEqual((entry["subject"], entry["account"], entry["envid"]), ("held", "user1", "q+1"))
        self.assertGreater(entry["next_ms"], (time.time() + 3000) * 1000)
        dumped = subprocess.run([harness.PROGRAM, "queue", "dump", str(entry["id"]), "--config",
                                 str(self.server.data / "config")], capture_output=True, timeout=60).stdout
        self.assertTrue(dumped.startswith(b"Received: by localhost with ESMTPSA"), dumped)
        self.assertTrue(dumped.endswith(letter("user1@localhost", subject="held")))

    def test_a_report_is_recognised(self):
        self.need_queue()
        with submit(self.server, "user5@localhost") as client:
            code, lines = client.deliver(b"user5@localhost", [b"user1@localhost"], letter(
                "user5@localhost", extra="Message-ID: <reported@localhost>\r\n"))
            self.assertEqual(code, 250, lines)
        report = ("From: postmaster@mx.example.com\r\nTo: user5@localhost\r\nSubject: failed\r\n"
                  "MIME-Version: 1.0\r\nContent-Type: multipart/report; report-type=delivery-status; boundary=b\r\n"
                  "In-Reply-To: <reported@localhost>\r\n\r\n--b\r\n\r\nIt failed.\r\n--b\r\n"
                  "Content-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; mx.example.com\r\n\r\n"
                  "Final-Recipient: rfc822; user1@localhost\r\nAction: failed\r\nStatus: 5.1.1\r\n\r\n"
                  "--b--\r\n").encode()
        with wire.Smtp(self.server.smtp) as client:
            client.ehlo()
            for message in (report, letter("a@example.com", subject="no report"), b"\r\n", report[:report.index(b"It failed")]):
                code, lines = client.deliver(b"", [b"user5@localhost"], message)
                self.assertEqual(code, 250, lines)
            client.deliver(b"a@example.com", [b"user5@localhost"], report)  # not from the null sender

        def told():
            return [line for line in self.server.log().splitlines() if 'msg="delivery report"' in line]
        self.assertTrue(harness.wait_for(told))
        time.sleep(0.5)
        self.assertEqual(len(told()), 1)
        self.assertIn("about=reported@localhost", told()[0])
        self.assertIn("action=failed", told()[0])

    def test_rooms_that_are_killed_lose_nothing(self):
        """What was answered 250 arrives, and once, whatever room ends meanwhile."""
        self.need_queue()
        acknowledged, over = [], threading.Event()

        def send(worker):
            n = 0
            while not over.is_set():
                with contextlib.suppress(OSError, EOFError, AssertionError), submit(self.server, "user1") as client:
                    while not over.is_set():
                        n += 1
                        name = b"<kill.%d.%d@x>" % (worker, n)
                        code, _ = client.deliver(b"user1@localhost", [b"user6@localhost"], letter(
                            "user1@localhost", subject="kill", extra=f"Message-ID: {name.decode()}\r\n"))
                        if code == 250:
                            acknowledged.append(name)
        workers = [threading.Thread(target=send, args=(worker,)) for worker in range(3)]
        for worker in workers:
            worker.start()
        for room in ("queue", "account", "queue", "vault", "account", "queue"):
            time.sleep(0.7)
            for pid in self.server.rooms(room):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        time.sleep(0.7)
        over.set()
        for worker in workers:
            worker.join()
        self.assertGreater(len(acknowledged), 10)
        wanted, found = set(acknowledged), collections.Counter()

        def all_there():
            found.clear()
            found.update(re.search(rb"<kill[.0-9]+@x>", whole).group() for whole in
                         mail.look(self.server, "user6@localhost") if b"Subject: kill" in whole)
            return wanted <= set(found)
        self.assertTrue(harness.wait_for(all_there, 60, every=1), wanted - set(found))
        self.assertEqual([name for name in wanted if found[name] > 1], [])

    # programs

    def test_swaks(self):
        self.need("swaks")
        for mechanism, tls in (("PLAIN", "-tls"), ("LOGIN", "-tlsc"), ("CRAM-MD5", "-tls")):
            where = self.server.submissions if tls == "-tlsc" else self.server.submission
            code, said = self.run_tool("swaks", "-s", where[0], "-p", where[1], tls, "-a", mechanism, "-au",
                                       "user1@localhost", "-ap", harness.PASSWORD, "-f", "user1@localhost", "-t",
                                       "user2@localhost", "--pipeline", "--h-Subject", f"swaks {mechanism}", check=False)
            self.assertIn("235 2.7.0", said)
            if "451 4.3.0" not in said:
                self.assertEqual(code, 0, said)
        code, said = self.run_tool("swaks", "-s", where[0], "-p", self.server.submission[1], "-tls", "-a", "PLAIN", "-au",
                                   "user1@localhost", "-ap", "wrong", "-f", "user1@localhost", "-t", "user2@localhost",
                                   check=False)
        self.assertEqual(code, 28, said)

    def test_smtplib(self):
        self.need_queue()
        with smtplib.SMTP(*self.server.submission) as client:
            client.starttls(context=wire.tls_context())
            client.login("user1@localhost", harness.PASSWORD)
            self.assertEqual(client.sendmail("user1@localhost", ["user2@localhost", "user5@localhost"],
                                             letter("user1@localhost", subject="by smtplib")), {})
            with self.assertRaises(smtplib.SMTPSenderRefused):
                client.sendmail("user2@localhost", ["user1@localhost"], letter("user2@localhost"))
        for user in ("user2@localhost", "user5@localhost"):
            self.assertEqual(len(mail.arrived(self.server, user, b"Subject: by smtplib")), 1)

    def test_curl(self):
        self.need("curl")
        self.need_queue()
        path = self.server.folder / "curl-submission.eml"
        path.write_bytes(letter("user1@localhost", subject="by curl"))
        for url in ("smtp://%s:%d" % self.server.submission, "smtps://%s:%d" % self.server.submissions):
            self.run_tool("curl", "-sS", "-k", "--ssl-reqd", "-u", f"user1@localhost:{harness.PASSWORD}", url,
                          "--mail-from", "user1@localhost", "--mail-rcpt", "user2@localhost", "-T", path)
        self.assertEqual(len(mail.arrived(self.server, "user2@localhost", b"Subject: by curl", n=2)), 2)

    def test_msmtp(self):
        self.need("msmtp")
        self.need_queue()
        for mechanism in ("plain", "login", "cram-md5", "scram-sha-1", "scram-sha-256"):
            self.run_tool("msmtp", "--file=/dev/null", f"--host={self.server.submission[0]}",
                          f"--port={self.server.submission[1]}", "--tls=on", "--tls-certcheck=off",
                          f"--auth={mechanism}", "--user=user1@localhost", f"--passwordeval=echo {harness.PASSWORD}",
                          "--from=user1@localhost", "user2@localhost",
                          text=f"From: user1@localhost\nSubject: by msmtp {mechanism}\n\nHello.\n")
        self.assertEqual(len(mail.arrived(self.server, "user2@localhost", b"Subject: by msmtp", n=5)), 5)

    def test_mutt(self):
        self.need("mutt", "script")
        self.need_queue()
        home = self.server.folder / "mutt-submission"
        home.mkdir()
        (home / "rc").write_text(
            f"set from=user1@localhost realname=U use_from=yes envelope_from_address=user1@localhost\n"
            f"set smtp_url=\"smtp://user1%40localhost@{self.server.submission[0]}:{self.server.submission[1]}/\"\n"
            f"set smtp_pass={harness.PASSWORD} ssl_force_tls=yes ssl_verify_host=no certificate_file={home}/certs\n"
            # This mutt picks -PLUS by itself and then has no tls-exporter binding to give to libgsasl.
            f"set smtp_authenticators=scram-sha-256 copy=no record= folder={home} spoolfile={home}/spool\n")
        certificate = ssl.get_server_certificate(self.server.submissions)
        (home / "certs").write_text(certificate)
        self.run_tool("mutt", "-F", home / "rc", "-s", "by mutt", "--", "user2@localhost", text="Hello.\n",
                      env={**os.environ, "HOME": str(home), "TERM": "dumb"})
        self.assertEqual(len(mail.arrived(self.server, "user2@localhost", b"Subject: by mutt")), 1)

    def test_nodemailer(self):
        """What graphical mail programs send: alternatives, an attachment, names beyond ASCII, over both kinds of TLS."""
        self.need_queue()
        try:
            modules = npm.ensure()
        except npm.Unavailable as why:
            self.skipTest(str(why))
        for secure, (ip, port) in (("tls", self.server.submissions), ("starttls", self.server.submission)):
            output = self.run_tool("node", modules.parent / "submit.js", ip, port, "user1@localhost", harness.PASSWORD,
                                   secure, "user2@localhost", f"nodemailer {secure}")
            self.assertIn("Message accepted", output)
            whole, = mail.arrived(self.server, "user2@localhost", f"Subject: nodemailer {secure}".encode())
            message = mail.parsed(whole)
            self.assertEqual(message["From"].addresses[0].display_name, "Gr\u00fc\u00dfe & K\u00fcsse")
            self.assertEqual(message.get_body(("plain",)).get_content().replace("\r\n", "\n").rstrip("\n"),
                             "Gr\u00fc\u00dfe\n.dot")
            attachment, = message.iter_attachments()
            self.assertEqual((attachment.get_filename(), attachment.get_content()), ("na\u00efve.bin", b"\0\1\2\xff"))


@harness.mailkeep_only
class Limiter(harness.ServerCase):
    """Failures are counted in one place, whatever the protocol."""

    accounts = 1

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.server.stop()
        edit(cls.server, "mailkeep.yaml", lambda text: text.replace(
            "rate_limits_on_loopback: false", "rate_limits_on_loopback: true\n"
            "  failed_logins_per_minute: {per_ip: 4, per_subnet: 100, per_network: 100}"))
        cls.server.start()

    def setUp(self):
        super().setUp()
        self.server.stop()  # a new limiter
        self.server.start()

    def login(self, protocol, password):
        if protocol == "imap":
            with imaplib.IMAP4(*self.server.imap) as client:
                try:
                    return client.login("user1@localhost", password)[0] == "OK"
                except imaplib.IMAP4.error:
                    return False
        with wire.Smtp(self.server.submission) as client:
            client.ehlo()
            return client.command(b"AUTH PLAIN " + plain("user1@localhost", password))[0] == 235

    def test_guesses_at_once_are_no_more_than_one_by_one(self):
        """A try counts from before the vault is asked, not from its answer."""
        def guess(n):
            with contextlib.suppress(OSError, EOFError):
                self.login("imap" if n % 2 else "smtp", f"wrong{n}")
        while time.time() % 60 > 50:  # all in one of the limiter's minutes
            time.sleep(1)
        before = self.server.log().count('msg="login failed"')
        threads = [threading.Thread(target=guess, args=(n,)) for n in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(self.server.log().count('msg="login failed"') - before, 4)

    def test_one_limiter_for_all(self):
        self.assertTrue(self.login("imap", harness.PASSWORD))
        self.assertTrue(self.login("smtp", harness.PASSWORD))
        for protocol in ("imap", "smtp", "imap", "smtp"):
            self.assertFalse(self.login(protocol, "wrong"))
        self.assertFalse(self.login("imap", harness.PASSWORD))
        self.assertFalse(self.login("smtp", harness.PASSWORD))


if __name__ == "__main__":
    unittest.main()
