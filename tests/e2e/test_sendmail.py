"""mailkeep sendmail: programs hand mail over, it goes to a submission server or is kept."""

import email
import email.policy
import os
import pathlib
import pwd
import shutil
import socket
import ssl
import stat
import subprocess
import tempfile
import unittest

import harness
import mail
import smtp_sink
from harness import peers
import test_submission as submission

EX_USAGE, EX_DATAERR, EX_NOUSER, EX_UNAVAILABLE, EX_TEMPFAIL, EX_NOPERM, EX_CONFIG = 64, 65, 67, 69, 75, 77, 78
LETTER = b"From: ada@example.org\nTo: bob@example.net\nSubject: hello\n\nHello.\n"
MECHANISMS = ["PLAIN", "LOGIN", "CRAM-MD5", "SCRAM-SHA-1", "SCRAM-SHA-256"]


class GsaslSession(smtp_sink.Session):
    """AUTH by libgsasl's server: an implementation that knows nothing of ours."""

    # lines that it prints behind the mechanism's name: the last one comes only when the login is good
    OUTPUTS = {"PLAIN": 2, "LOGIN": 3, "CRAM-MD5": 2, "SCRAM-SHA-1": 3, "SCRAM-SHA-256": 3}

    def auth(self, argument):
        mechanism, _, initial = argument.partition(" ")
        server = subprocess.Popen(
            ["gsasl", "--server", "--mechanism", mechanism, "--authentication-id", smtp_sink.USER, "--password",
             smtp_sink.PASSWORD, "--service", "smtp", "--hostname", "sink.example", "--quiet"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, bufsize=0)
        good = self.relay(server, mechanism, initial)
        server.kill()
        server.communicate()
        self.user = smtp_sink.USER if good else None
        self.say("235 2.7.0 welcome" if good else "535 5.7.8 wrong")

    def relay(self, server, mechanism, response):
        """Its challenges to the client, the client's responses to it."""
        server.stdout.readline()
        for n in range(self.OUTPUTS[mechanism]):
            output = server.stdout.readline()
            if not output:
                return False
            challenge, last = output.strip().decode(), n == self.OUTPUTS[mechanism] - 1
            if challenge or not (last or response):
                self.say("334 " + challenge)
                response = self.line().decode()
            if not last:
                server.stdin.write(response.encode() + b"\n")
                response = ""
        return True


class GsaslSink(smtp_sink.Sink):
    def _serve(self, connection, number):
        original, smtp_sink.Session = smtp_sink.Session, GsaslSession
        try:
            super()._serve(connection, number)
        finally:
            smtp_sink.Session = original


class Case(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="mailkeep-sendmail-"))
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        self.ip = harness.own_ip()

    def config(self, **fields):
        """The user's own file."""
        path = self.folder / ".config" / "mailkeep" / "sendmail.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(f"{name}: {value}\n" for name, value in fields.items()))
        path.chmod(0o600)
        return path

    def sendmail(self, *words, text=LETTER, program=None):
        environment = {**os.environ, "HOME": str(self.folder), "TMPDIR": str(self.folder)}
        return subprocess.run([*(program or [harness.PROGRAM, "sendmail"]), *words], input=text,
                              capture_output=True, env=environment, timeout=60)

    def assert_exit(self, done, code):
        self.assertEqual(done.returncode, code, done.stderr.decode(errors="replace")[-2000:])

    def kept(self):
        """[(message, explanation)]"""
        place = self.folder / "dead-letters"
        files = sorted(place.glob("*.eml")) if place.exists() else []
        return [(path.read_bytes(), path.with_suffix(".txt").read_text()) for path in files]


class ToSink(Case):
    def sink(self, kind=smtp_sink.Sink, **options):
        made = kind(self.ip, extensions=["PIPELINING", "SIZE 20000000", "8BITMIME"], **options).start()
        self.addCleanup(made.stop)
        self.addCleanup(lambda: self.assertEqual(made.failures, []))
        return made

    def plain_sink(self, **options):
        """On loopback without TLS, with a login."""
        made = self.sink(mechanisms=MECHANISMS, **options)
        self.config(host=self.ip, port=made.port, tls="none", user=smtp_sink.USER, password=f'"{smtp_sink.PASSWORD}"',
                    domain="example.org")
        return made

    def tls_sink(self, names=None, **options):
        authority = smtp_sink.Authority(self.folder)
        context, end_point = authority.context("mx", names or f"IP:{self.ip}")
        made = self.sink(tls=context, end_point=end_point, mechanisms=MECHANISMS, **options)
        self.config(host=self.ip, port=made.port, tls="implicit" if made.implicit else "starttls", ca=authority.certificate,
                    user=smtp_sink.USER, password=f'"{smtp_sink.PASSWORD}"')
        return made

    # --- TLS and logging in ---

    def test_starttls_and_the_strongest_mechanism(self):
        sink = self.tls_sink()
        self.assert_exit(self.sendmail("-f", "ada@example.org", "bob@example.net"), 0)
        message, = sink.messages
        self.assertTrue(message["tls"])
        self.assertEqual(message["user"], smtp_sink.USER)
        self.assertTrue(any(line.startswith("AUTH SCRAM-SHA-256 ") for _, line in sink.commands))
        self.assertEqual(message["recipients"], ["TO:<bob@example.net>"])
        self.assertTrue(message["sender"].startswith("FROM:<ada@example.org> SIZE="))
        self.assertEqual(self.kept(), [])

    def test_tls_from_the_start(self):
        sink = self.tls_sink(implicit=True)
        self.assert_exit(self.sendmail("bob@example.net"), 0)
        self.assertTrue(sink.messages[0]["tls"])

    def test_nothing_is_said_to_a_server_with_a_bad_certificate(self):
        for names in ("DNS:other.example", "IP:127.1.2.3"):
            sink = self.tls_sink(names)
            self.assert_exit(self.sendmail("bob@example.net"), EX_NOPERM)
            self.assertEqual(sink.messages, [])
            self.assertFalse(any(line.startswith(("AUTH", "MAIL")) for _, line in sink.commands))
        self.assertEqual(len(self.kept()), 2)

    def test_an_authority_that_is_not_known(self):
        sink = self.tls_sink()
        text = self.config().parent / "sendmail.yaml"
        text.write_text(f"host: {self.ip}\nport: {sink.port}\ntls: starttls\n")
        self.assert_exit(self.sendmail("bob@example.net"), EX_NOPERM)
        self.assertEqual(sink.messages, [])

    def test_a_server_without_starttls_gets_nothing(self):
        sink = self.plain_sink()
        self.config(host=self.ip, port=sink.port, tls="starttls", user=smtp_sink.USER, password='"x y"')
        done = self.sendmail("bob@example.net")
        self.assertIn(done.returncode, (EX_UNAVAILABLE, EX_NOPERM))
        self.assertFalse(any(line.startswith("AUTH") for _, line in sink.commands))

    def test_every_mechanism(self):
        for mechanism in MECHANISMS:
            with self.subTest(mechanism):
                sink = self.tls_sink()
                path = self.folder / ".config/mailkeep/sendmail.yaml"
                path.write_text(path.read_text() + f"mechanisms: [{mechanism}]\n")
                self.assert_exit(self.sendmail("bob@example.net"), 0)
                self.assertTrue(any(line.startswith(f"AUTH {mechanism}") for _, line in sink.commands))
                self.assertEqual(sink.messages[0]["user"], smtp_sink.USER)

    @unittest.skipUnless(shutil.which("gsasl"), "libgsasl's gsasl is not installed")
    def test_every_mechanism_against_libgsasl(self):
        for mechanism in MECHANISMS:
            with self.subTest(mechanism):
                sink = self.sink(GsaslSink, mechanisms=[mechanism])
                self.config(host=self.ip, port=sink.port, tls="none", user=smtp_sink.USER,
                            password=f'"{smtp_sink.PASSWORD}"')
                self.assert_exit(self.sendmail("bob@example.net"), 0)
                self.assertEqual(sink.messages[0]["user"], smtp_sink.USER)

    @unittest.skipUnless(shutil.which("gsasl"), "libgsasl's gsasl is not installed")
    def test_a_wrong_password_against_libgsasl(self):
        for mechanism in MECHANISMS:
            with self.subTest(mechanism):
                sink = self.sink(GsaslSink, mechanisms=[mechanism])
                self.config(host=self.ip, port=sink.port, tls="none", user=smtp_sink.USER, password="wrong")
                self.assert_exit(self.sendmail("bob@example.net"), EX_NOPERM)
                self.assertEqual(sink.messages, [])

    def test_a_wrong_password_keeps_the_mail(self):
        sink = self.tls_sink()
        path = self.folder / ".config/mailkeep/sendmail.yaml"
        path.write_text(path.read_text().replace(smtp_sink.PASSWORD, "wrong"))
        done = self.sendmail("-f", "ada@example.org", "bob@example.net")
        self.assert_exit(done, EX_NOPERM)
        (message, why), = self.kept()
        self.assertIn(b"\r\nHello.\r\n", message)
        self.assertIn("login", why)
        self.assertIn("mailkeep sendmail -i -f 'ada@example.org' -- 'bob@example.net'", why)
        self.assertIn(str(self.folder / "dead-letters"), done.stderr.decode())
        self.assertEqual(sink.messages, [])

    def test_the_password_may_be_in_a_file(self):
        sink = self.plain_sink()
        secret = self.folder / "secret"
        secret.write_text(smtp_sink.PASSWORD + "\nnot this\n")
        self.config(host=self.ip, port=sink.port, tls="none", user=smtp_sink.USER, password_file=secret)
        self.assert_exit(self.sendmail("bob@example.net"), 0)

    # --- messages ---

    def sent(self, text, *words, sink=None):
        sink = sink or self.plain_sink()
        self.assert_exit(self.sendmail(*words, text=text), 0)
        return sink.messages[-1]

    def test_what_is_missing_is_added(self):
        data = self.sent(b"Subject: x\n\nHello.\n", "-f", "ada@example.org", "-F", "Ada L\u00f6velace",
                         "bob@example.net")["data"]
        message = email.message_from_bytes(data, policy=email.policy.default)
        self.assertEqual(str(message["From"]), "Ada L\u00f6velace <ada@example.org>")
        self.assertRegex(message["Message-ID"], r"^<[0-9a-f]{24}@example\.org>$")
        self.assertIsNotNone(message["Date"].datetime)
        self.assertEqual(message["Subject"], "x")

    def test_what_is_there_is_kept(self):
        text = (b"From: ada@example.org\nDate: Sun, 22 Nov 2026 21:00:00 +0000\nMessage-ID: <1@x>\nX-Odd:   a   b\n"
                b"Subject: folded\n  line\n\nHello.\n")
        self.assertEqual(self.sent(text, "bob@example.net")["data"], text.replace(b"\n", b"\r\n"))

    def test_recipients_of_the_header(self):
        text = (b"From: ada@example.org\nTo: Bob <bob@example.net>, team: a@x.example, b@x.example;\nCc: bob@example.net\n"
                b"Bcc: secret@example.net,\n quiet@example.net\nReturn-Path: <x@y>\nSubject: x\n\nHello.\n")
        message = self.sent(text, "-t", "more@example.net")
        self.assertEqual(sorted(message["recipients"]), sorted(
            f"TO:<{a}>" for a in ("more@example.net", "bob@example.net", "a@x.example", "b@x.example",
                                  "secret@example.net", "quiet@example.net")))
        self.assertNotIn(b"secret", message["data"])
        self.assertNotIn(b"quiet", message["data"])
        self.assertNotIn(b"Return-Path", message["data"])
        self.assertIn(b"\r\nCc: bob@example.net\r\n", message["data"])

    def test_resent_mail_goes_to_whom_it_is_resent(self):
        text = b"Resent-To: new@example.net\nResent-Bcc: n2@example.net\nFrom: a@b.example\nTo: old@example.net\n\nHello.\n"
        message = self.sent(text, "-t")
        self.assertEqual(sorted(message["recipients"]), ["TO:<n2@example.net>", "TO:<new@example.net>"])
        self.assertNotIn(b"n2@", message["data"])

    def test_mail_of_cron(self):
        text = b"From: root (Cron Daemon)\nTo: root\nSubject: Cron <root@host> job\nContent-Type: text/plain\n\nout\n"
        sink = self.plain_sink()
        self.assert_exit(self.sendmail("-FCronDaemon", "-i", "-odi", "-oem", "-oi", "-t", "-f", "root", text=text), 0)
        message = sink.messages[0]
        self.assertEqual(message["recipients"], ["TO:<root@example.org>"])
        self.assertTrue(message["sender"].startswith("FROM:<root@example.org>"))
        self.assertIn(b"root@example.org", email.message_from_bytes(message["data"])["From"].encode())

    def test_names_without_a_domain_may_have_a_recipient(self):
        sink = self.plain_sink()
        path = self.folder / ".config/mailkeep/sendmail.yaml"
        path.write_text(path.read_text() + "default_recipient: admin@example.net\nsender: host@example.org\n")
        self.assert_exit(self.sendmail("root", "cron", "else@example.net"), 0)
        self.assertEqual(sink.messages[0]["recipients"], ["TO:<admin@example.net>", "TO:<else@example.net>"])
        self.assertTrue(sink.messages[0]["sender"].startswith("FROM:<host@example.org>"))

    def test_a_dot_ends_the_message_or_not(self):
        text = b"Subject: x\n\none\n.\ntwo\n..three\n"
        self.assertTrue(self.sent(text, "b@example.net")["data"].endswith(b"\r\n\r\none\r\n"))
        for option in ("-i", "-oi", "-ti"):
            data = self.sent(text, option, "b@example.net")["data"]
            self.assertTrue(data.endswith(b"one\r\n.\r\ntwo\r\n..three\r\n"), option)

    def test_text_without_a_header(self):
        for text in (b"just text\nmore\n", b"no colon here: or is there\nx\n", b"just text\nmore"):
            data = self.sent(text, "bob@example.net")["data"]
            self.assertTrue(data.endswith(b"\r\n\r\n" + text.rstrip(b"\n").replace(b"\n", b"\r\n") + b"\r\n"), data)

    def test_the_line_of_a_mailbox_file_is_dropped(self):
        data = self.sent(b"From ada Sun Nov 22 21:00:00 2026\n" + LETTER, "bob@example.net")["data"]
        self.assertTrue(data.startswith(b"From: ada@example.org\r\n"))

    def test_names_beyond_ascii_are_encoded(self):
        for text, subject in (("Subject: Gr\u00fc\u00dfe\n", "Gr\u00fc\u00dfe"), ("Subject: " + "\u4f60\u597d" * 40 + "\n",
                                                                             "\u4f60\u597d" * 40)):
            data = self.sent(text.encode() + "To: J\u00fcrgen <j@example.net>\n\n\u00fc\n".encode(), "-t")["data"]
            header = data.split(b"\r\n\r\n")[0]
            header.decode("ascii")
            message = email.message_from_bytes(data, policy=email.policy.default)
            self.assertEqual(message["Subject"].replace(" ", ""), subject)
            self.assertEqual(message["To"].addresses[0].display_name, "J\u00fcrgen")
        data = self.sent(b"Subject: Gr\xfc\xdfe\n\n\xfc\n", "bob@example.net")["data"]
        self.assertEqual(email.message_from_bytes(data, policy=email.policy.default)["Subject"], "Gr\u00fc\u00dfe")
        self.assertTrue(data.endswith(b"\xfc\r\n"))

    def test_a_large_message_comes_whole(self):
        body = b"".join(b"%d %s\n" % (i, b"x" * (i % 200)) + (b".\n..\n" if i % 100 == 0 else b"") for i in range(60000))
        data = self.sent(b"Subject: large\n\n" + body, "-i", "bob@example.net")["data"]
        self.assertEqual(data.split(b"\r\n\r\n", 1)[1], body.replace(b"\n", b"\r\n"))

    def test_parameters_of_notifications(self):
        sink = self.plain_sink()
        sink.extensions.append("DSN")
        self.assert_exit(self.sendmail("-N", "success,delay", "-R", "hdrs", "-V", "id 1+", "bob@example.net"), 0)
        self.assertIn(" RET=HDRS ENVID=id+201+2B", sink.messages[0]["sender"])
        self.assertEqual(sink.messages[0]["recipients"], ["TO:<bob@example.net> NOTIFY=SUCCESS,DELAY"])

    # --- failures ---

    def test_a_recipient_that_is_refused(self):
        sink = self.plain_sink()
        sink.answers["RCPT"] = ["250 ok", "550 5.1.1 no such user", "250 ok"]
        done = self.sendmail("-f", "ada@example.org", "a@x.example", "b'c@x.example", "d@x.example")
        self.assert_exit(done, EX_NOUSER)
        self.assertEqual(len(sink.messages), 1)
        (_, why), = self.kept()
        self.assertIn("no such user", why)
        self.assertIn("-- 'b'\\''c@x.example' <", why)
        again = why[why.index("mailkeep sendmail") + len("mailkeep sendmail"):].split("<")[0]
        path = next((self.folder / "dead-letters").glob("*.eml"))
        done = subprocess.run(["sh", "-c", f"'{harness.PROGRAM}' sendmail {again} < '{path}'"], capture_output=True,
                              env={**os.environ, "HOME": str(self.folder)}, timeout=60)
        self.assert_exit(done, 0)
        self.assertEqual(sink.messages[1]["recipients"], ["TO:<b'c@x.example>"])
        self.assertEqual(sink.messages[1]["data"], sink.messages[0]["data"])

    def test_refusals_of_all_kinds(self):
        for verb, answer, code in (("GREETING", "554 5.3.2 closed", EX_UNAVAILABLE),
                                   ("GREETING", "421 4.3.2 later", EX_TEMPFAIL),
                                   ("MAIL", "451 4.3.0 later", EX_TEMPFAIL), ("MAIL", "550 5.7.1 no", EX_UNAVAILABLE),
                                   ("RCPT", "450 4.2.0 later", EX_TEMPFAIL), ("DATA", "451 4.3.0 x", EX_TEMPFAIL),
                                   ("END", "554 5.7.1 spam", EX_UNAVAILABLE), ("END", "421 4.3.2 x", EX_TEMPFAIL)):
            with self.subTest(verb + " " + answer):
                shutil.rmtree(self.folder / "dead-letters", ignore_errors=True)
                sink = self.plain_sink()
                sink.answers[verb] = [answer]
                self.assert_exit(self.sendmail("bob@example.net"), code)
                self.assertFalse(any(message["recipients"] for message in sink.messages))
                (message, why), = self.kept()
                self.assertIn(answer, why)
                self.assertIn(b"Hello.", message)

    def test_a_line_that_breaks_at_any_place(self):
        sink = self.plain_sink()
        self.assert_exit(self.sendmail("bob@example.net"), 0)
        for n in range(0, 600, 23):
            sink.drop_after = n
            before = len(sink.messages)
            done = self.sendmail("bob@example.net")
            self.assertIn(done.returncode, (0, EX_TEMPFAIL, EX_NOPERM), n)
            if done.returncode == 0:
                self.assertEqual(len(sink.messages), before + 1, n)
        self.assertTrue(all(b"Hello." in message for message, _ in self.kept()))

    def test_nobody_listens(self):
        self.config(host=self.ip, port=smtp_sink.free_port(self.ip), tls="none")
        self.assert_exit(self.sendmail("bob@example.net"), EX_TEMPFAIL)
        self.assertEqual(len(self.kept()), 1)

    def test_plaintext_is_for_loopback_only(self):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            try:
                probe.connect(("192.0.2.1", 9))
            except OSError:
                self.skipTest("no network interface but loopback")
            address = probe.getsockname()[0]
        if address.startswith("127."):
            self.skipTest("no network interface but loopback")
        sink = smtp_sink.Sink(address, mechanisms=["PLAIN"]).start()
        self.addCleanup(sink.stop)
        self.config(host=address, port=sink.port, tls="none", user="ada", password="x")
        self.assert_exit(self.sendmail("bob@example.net"), EX_CONFIG)
        self.assertEqual(sink.commands, [])

    def test_messages_that_cannot_be_sent_are_kept_as_they_came(self):
        sink = self.plain_sink()
        for text in (b"Subject: x\n\na\0b\n", b"Subject: x\n\na\rb\n", b"Subject: a\rb\n\nx\n", b"Subject: x\n\na\r"):
            with self.subTest(text):
                shutil.rmtree(self.folder / "dead-letters", ignore_errors=True)
                self.assert_exit(self.sendmail("bob@example.net", text=text), EX_DATAERR)
                (message, _), = self.kept()
                body = text.split(b"\n\n", 1)[1].replace(b"\n", b"\r\n")
                self.assertTrue(message.rstrip(b"\r\n").endswith(body.rstrip(b"\r\n")), message)
        self.assertEqual(sink.messages, [])

    def test_no_recipients_in_the_header(self):
        self.plain_sink()
        self.assert_exit(self.sendmail("-t", text=b"Subject: x\n\nHello.\n"), EX_USAGE)
        self.assertEqual(len(self.kept()), 1)

    def test_kept_mail_is_for_its_user_only(self):
        self.config(host=self.ip, port=1, tls="none")
        self.sendmail("bob@example.net")
        place = self.folder / "dead-letters"
        self.assertEqual(stat.S_IMODE(place.stat().st_mode), 0o700)
        self.assertTrue(all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in place.iterdir()))

    def test_a_directory_of_ones_own_for_kept_mail(self):
        place = self.folder / "kept" / "here"
        self.config(host=self.ip, port=1, tls="none", keep=place)
        self.sendmail("bob@example.net")
        self.assertEqual(len(list(place.glob("*.eml"))), 1)

    # --- options and configuration ---

    def test_options_that_are_refused(self):
        for words, part in ((["-bs"], "-bs"), (["-bp"], "queue list"), (["-bd"], "serve"), (["-z"], "-z"),
                            (["-N", "sometimes", "a@b"], "-N"), (["-N", "never,delay", "a@b"], "never"),
                            (["-R", "some", "a@b"], "-R"), (["-f"], "-f"), (["--nothing"], "--nothing"), ([], "-t")):
            with self.subTest(words):
                done = self.sendmail(*words)
                self.assert_exit(done, EX_USAGE)
                self.assertIn(part, done.stderr.decode())
                self.assertEqual(self.kept(), [])

    def test_options_that_change_nothing(self):
        sink = self.plain_sink()
        self.assert_exit(self.sendmail("-Am", "-B8BITMIME", "-C", "/nonexistent", "-G", "-h", "3", "-L", "tag", "-m", "-n",
                                       "-O", "DeliveryMode=b", "-odb", "-om", "-p", "ESMTP", "-U", "-X", "/dev/null", "-bm",
                                       "--", "bob@example.net"), 0)
        self.assertEqual(len(sink.messages), 1)

    def test_what_needs_no_message(self):
        for words in (["-bi"], ["-q"], ["-q15m"], ["--help"]):
            self.assert_exit(self.sendmail(*words, text=b""), 0)

    def test_recipients_behind_two_dashes(self):
        sink = self.plain_sink()
        self.assert_exit(self.sendmail("--", "-odd@example.net"), 0)
        self.assertEqual(sink.messages[0]["recipients"], ["TO:<-odd@example.net>"])

    def test_a_link_named_sendmail(self):
        sink = self.plain_sink()
        link = self.folder / "sendmail"
        link.symlink_to(harness.PROGRAM)
        self.assert_exit(self.sendmail("-t", program=[str(link)]), 0)
        self.assertEqual(len(sink.messages), 1)

    def test_errors_of_the_configuration(self):
        for fields, part in (({"hosts": "x"}, "did you mean host"), ({"host": self.ip, "port": 70000}, "70000"),
                             ({"host": self.ip, "tls": "maybe"}, "maybe"), ({"host": self.ip, "user": "x"}, "password"),
                             ({"host": self.ip, "mechanisms": "[NTLM]"}, "NTLM"), ({"user": "x", "password": "y"}, "host"),
                             ({"host": self.ip, "user": "x", "password_file": "/nonexistent"}, "/nonexistent"),
                             ({"host": self.ip, "ca": "/nonexistent"}, "/nonexistent"), ({"host": "[1, 2]"}, "host")):
            with self.subTest(fields):
                shutil.rmtree(self.folder / "dead-letters", ignore_errors=True)
                if "ca" in fields:
                    fields = {**fields, "port": self.sink().port}
                self.config(**fields)
                done = self.sendmail("bob@example.net")
                self.assert_exit(done, EX_CONFIG)
                self.assertIn(part, done.stderr.decode())
                self.assertEqual(len(self.kept()), 1)

    def test_a_password_that_others_can_read(self):
        self.config(host=self.ip, user="x", password="y").chmod(0o644)
        done = self.sendmail("bob@example.net")
        self.assert_exit(done, EX_CONFIG)
        self.assertIn("others can read", done.stderr.decode())

    def test_another_file(self):
        sink = self.plain_sink()
        other = self.folder / "other.yaml"
        shutil.copy2(self.config(host=self.ip, port=sink.port, tls="none"), other)
        self.config(host=self.ip, port=1, tls="none")
        self.assert_exit(self.sendmail("--config", str(other), "bob@example.net"), 0)
        self.assert_exit(self.sendmail(f"--config={other}", "bob@example.net"), 0)


AUTH_SERVICE = """
auth_mechanisms = plain login cram-md5 scram-sha-1 scram-sha-256
service auth {{
  inet_listener {{
    address = {ip}
    port = 10026
  }}
}}
"""
WITH_LOGIN = """
smtpd_tls_security_level = may
smtpd_tls_chain_files = {{etc}}/cert.pem
smtpd_tls_auth_only = yes
smtpd_tls_received_header = yes
smtpd_sasl_auth_enable = yes
smtpd_sasl_type = dovecot
smtpd_sasl_path = inet:{ip}:10026
smtpd_recipient_restrictions = permit_sasl_authenticated, reject
smtpd_relay_restrictions = permit_sasl_authenticated, reject
"""


class ToPostfix(Case):
    """Debian's Postfix, with Dovecot's SASL: nothing of ours on the other side."""

    def setUp(self):
        super().setUp()
        try:
            peers.private_root.ensure()
        except peers.private_root.Unavailable as reason:
            self.skipTest(str(reason))
        authority = smtp_sink.Authority(self.folder)
        certificate, key = authority.issue("postfix", f"IP:{self.ip}")
        chain = self.folder / "chain.pem"
        chain.write_text(key.read_text() + certificate.read_text())
        dovecot = peers.Dovecot(self.ip, extra=AUTH_SERVICE.format(ip=self.ip))
        self.addCleanup(dovecot.stop)
        dovecot.start()
        self.postfix = peers.Postfix(self.ip, f"lmtp:inet:{self.ip}:10024", extra=WITH_LOGIN.format(ip=self.ip),
                                     certificate=chain)
        self.addCleanup(self.postfix.stop)
        self.postfix.start()
        self.ca = authority.certificate

    def test_every_mechanism(self):
        for mechanism in [*MECHANISMS, None]:
            with self.subTest(mechanism):
                words = {"mechanisms": f"[{mechanism}]"} if mechanism else {}
                self.config(host=self.ip, port=self.postfix.port, tls="starttls", user="ada@localhost", ca=self.ca,
                            password=peers.PASSWORD, **words)
                self.assert_exit(self.sendmail("-f", f"ada+{mechanism}@localhost", "bob@localhost"), 0)
                self.assertIn(f"sasl_method={mechanism or 'SCRAM-SHA-256'}, sasl_username=ada", self.postfix.log())
        self.assertTrue(harness.wait_for(lambda: self.postfix.log().count("status=sent") == len(MECHANISMS) + 1))

    def test_a_wrong_password(self):
        for mechanism in ("PLAIN", "SCRAM-SHA-256"):
            with self.subTest(mechanism):
                self.config(host=self.ip, port=self.postfix.port, tls="starttls", user="ada@localhost", ca=self.ca,
                            password="wrong", mechanisms=f"[{mechanism}]")
                # Dovecot answers guesses late, and then Postfix may lose patience (454)
                self.assertIn(self.sendmail("bob@localhost").returncode, (EX_NOPERM, EX_TEMPFAIL))
        self.assertNotIn("status=sent", self.postfix.log())


@harness.mailkeep_only
class ToMailkeep(harness.ServerCase, Case):
    """Against our own server: by socket without a password, and by every mechanism."""

    accounts = 2

    @classmethod
    def setUpClass(cls):
        # The certificate of localserve is for localhost.
        cls.server = harness.Server(accounts=cls.accounts, ip="127.0.0.1").start()
        me = pwd.getpwuid(os.getuid()).pw_name
        submission.edit(cls.server, "domains.yaml", lambda text: text.replace(
            "[user1@localhost]", f"[user1@localhost]\n    unix_users: [{me}]"))
        submission.reload(cls.server)
        cls.socket = cls.server.data / "data" / "submit.sock"
        if not harness.wait_for(cls.socket.exists):
            raise AssertionError("there is no submit.sock")
        pem = ssl.get_server_certificate(cls.server.submissions)
        cls.certificate = cls.server.folder / "server.pem"
        cls.certificate.write_text(pem)

    def letter(self, subject):
        return f"From: user1@localhost\nSubject: {subject}\n\nHello.\n".encode()

    def arrived(self, subject):
        def look():
            return [text for text in mail.look(self.server, "user2@localhost") if subject.encode() in text]
        return harness.wait_for(look, 20)

    def test_by_the_socket_without_a_password(self):
        self.config(socket=self.socket, sender="user1@localhost")
        self.assert_exit(self.sendmail("user2@localhost", text=self.letter("by-socket")), 0)
        self.assertEqual(len(self.arrived("by-socket")), 1)

    def clientkey(self, *words):
        return subprocess.run([harness.PROGRAM, "account", "clientkey", *map(str, words), "--config",
                               str(self.server.data / "config")], capture_output=True, text=True, timeout=60)

    def test_by_the_key_of_a_certificate(self):
        """No password at all: the key is registered by the command, and mail goes until it is taken away."""
        key, certificate, fingerprint = submission.make_key(self.folder, "laptop")
        address = self.server.submissions

        def send(subject, **fields):
            self.config(host="localhost", port=address[1], tls="implicit", ca=self.certificate, **fields)
            return self.sendmail("-v", "-f", "user1@localhost", "user2@localhost", text=self.letter(subject))

        fields = {"certificate": certificate, "certificate_key": key}
        self.assertNotEqual(send("not-yet", **fields).returncode, 0)
        done = self.clientkey("add", "user1", certificate)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn(fingerprint, self.clientkey("list").stdout)
        self.assertTrue(harness.wait_for(lambda: send("by-key", **fields).returncode == 0))
        done = send("by-key-again", **fields)
        self.assert_exit(done, 0)
        self.assertIn("with EXTERNAL\n", done.stderr.decode())
        self.assertTrue(self.arrived("by-key-again"))
        both = self.folder / "both.pem"
        both.write_text(key.read_text() + certificate.read_text())
        self.assert_exit(send("in-one-file", certificate=both), 0)
        other = submission.make_key(self.folder, "other")
        done = send("wrong-key", certificate=certificate, certificate_key=other[0])
        self.assert_exit(done, EX_CONFIG)
        self.assertIn("the private key is not that of the certificate", done.stderr.decode())
        self.assertNotEqual(send("unknown", certificate=other[1], certificate_key=other[0]).returncode, 0)
        done = self.clientkey("rm", "user1", f"SHA256:{fingerprint.upper()}")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertTrue(harness.wait_for(lambda: send("no-more", **fields).returncode != 0))

    def test_the_socket_lets_nobody_send_as_another(self):
        self.config(socket=self.socket)
        self.assertNotEqual(self.sendmail("-f", "user2@localhost", "user2@localhost").returncode, 0)
        self.assertEqual(len(self.kept()), 1)

    def test_every_mechanism(self):
        for mechanism in submission.MECHANISMS:
            for tls in ("implicit", "starttls"):
                with self.subTest(mechanism, tls=tls):
                    subject = f"by-{mechanism.lower()}-{tls}"
                    address = self.server.submissions if tls == "implicit" else self.server.submission
                    self.config(host="localhost", port=address[1], tls=tls, user="user1@localhost",
                                password=harness.PASSWORD, mechanisms=f"[{mechanism}]", ca=self.certificate)
                    done = self.sendmail("-v", "-f", "user1@localhost", "user2@localhost", text=self.letter(subject))
                    self.assert_exit(done, 0)
                    self.assertIn(f"with {mechanism}\n", done.stderr.decode())
                    self.assertEqual(len(self.arrived(subject)), 1)


if __name__ == "__main__":
    unittest.main()
