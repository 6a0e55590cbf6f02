"""Only CRLF.CRLF ends a message, and only what came through TLS is answered in TLS."""

import time

import harness
import mail
import wire

SMUGGLED = b"MAIL FROM:<evil@client.example>\r\nRCPT TO:<user1@localhost>\r\nDATA\r\nSubject: smuggled\r\n\r\nboo\r\n.\r\n"

# Between the honest text and the smuggled commands.
FALSE_ENDS = {
    "LF.LF": b"\n.\n", "CR.CR": b"\r.\r", "LF.CRLF": b"\n.\r\n", "CRLF.LF": b"\r\n.\n", "CR.CRLF": b"\r.\r\n",
    "CRLF.CR": b"\r\n.\r", "LF.CR": b"\n.\r", "CR.LF": b"\r.\n",
    "CRLF.CRCRLF": b"\r\n.\r\r\n", "CRLF NUL.CRLF": b"\r\n\0.\r\n", "CRLF.NUL CRLF": b"\r\n.\0\r\n",
    "CRLF NUL CRLF.LF": b"\r\n\0\r\n.\n",
}

UNCLEAN = {"bare CR": b"a\rb", "bare LF": b"a\nb", "NUL": b"a\0b", "LF at the end": b"a\n", "CR at the end": b"a\r"}


@harness.mailkeep_only
class Smuggling(harness.ServerCase):
    accounts = 2

    def stored(self):
        return mail.look(self.server, "user1@localhost")

    def open_message(self):
        client = wire.Smtp(self.server.smtp)
        client.ehlo()
        client.envelope(b"a@client.example", [b"user1@localhost"])
        client.command(b"DATA", 354)
        return client

    def replies(self, client):
        """Codes of everything that comes until QUIT's 221 or the end of the connection."""
        codes = []
        try:
            while not codes or codes[-1] != 221:
                codes.append(client.reply()[0])
        except (EOFError, ConnectionError):
            pass
        return codes

    def test_no_false_end_starts_a_second_message(self):
        for name, end in FALSE_ENDS.items():
            with self.subTest(name), self.open_message() as client:
                before = len(self.stored())
                client.send(b"Subject: honest\r\n\r\ntext" + end + SMUGGLED + b"QUIT\r\n")
                codes = self.replies(client)
                self.assertEqual(codes[0] // 100, 5, codes)
                self.assertNotIn(354, codes)
                self.assertNotIn(250, codes)
                self.assertEqual(len(self.stored()), before)

    def test_unclean_line_ends_are_refused(self):
        for name, octets in UNCLEAN.items():
            with self.subTest(name), self.open_message() as client:
                before = len(self.stored())
                client.send(b"Subject: unclean\r\n\r\n" + octets + b"\r\n.\r\nQUIT\r\n")
                codes = self.replies(client)
                self.assertEqual((codes[0] // 100, len(self.stored())), (5, before), codes)

    def test_unclean_bytes_in_chunks_make_no_second_message(self):
        for name, end in FALSE_ENDS.items():
            with self.subTest(name), wire.Smtp(self.server.smtp) as client:
                client.ehlo()
                before = len(self.stored())
                client.envelope(b"a@client.example", [b"user1@localhost"])
                content = b"Subject: chunk\r\n\r\ntext" + end + SMUGGLED
                client.send(b"BDAT %d LAST\r\n" % len(content) + content + b"QUIT\r\n")
                codes = self.replies(client)
                self.assertNotIn(354, codes)
                self.assertLessEqual(len(self.stored()), before + 1)
                self.assertFalse(any(whole.partition(b"\r\n\r\n")[0].endswith(b"Subject: smuggled")
                                     for whole in self.stored()))

    def test_dots_at_every_split(self):
        text = b"Subject: split-dots\r\n\r\n.\r\n..\r\n.a\r\n...\r\nend."
        sent = (b"\r\n" + text).replace(b"\r\n.", b"\r\n..")[2:] + b"\r\n.\r\n"
        for at in range(20, len(sent) + 1):
            with self.open_message() as client:
                client.send(sent[:at])
                time.sleep(0.002)
                client.send(sent[at:])
                self.assertEqual(client.reply()[0], 250, at)
        wholes = [whole for whole in self.stored() if b"split-dots" in whole]
        self.assertEqual(len(wholes), len(sent) - 19)
        for whole in wholes:
            self.assertTrue(whole.endswith(text + b"\r\n"))

    def test_bare_line_ends_do_not_end_commands(self):
        for octets in (b"NOOP\nNOOP\r\n", b"NOOP\rNOOP\r\n", b"NO\0OP\r\n", b"MAIL FROM:<a@client.example>\nRCPT TO:<me@localhost>\r\n"):
            with wire.Smtp(self.server.smtp) as client:
                client.ehlo()
                client.send(octets + b"QUIT\r\n")
                codes = self.replies(client)
                self.assertEqual(codes[0] // 100, 5, (octets, codes))
                self.assertNotIn(250, codes, octets)


class PlaintextBeforeTls(harness.ServerCase):
    def test_smtp_drops_what_was_pipelined_behind_starttls(self):
        with wire.Smtp(self.server.smtp) as client:
            client.ehlo()
            client.send(b"STARTTLS\r\nMAIL FROM:<evil@client.example>\r\nRCPT TO:<me@localhost>\r\n")
            code, lines = client.reply()
            if code != 220:
                self.assertEqual(code // 100, 5, lines)
                return
            client.starttls()
            client.ehlo()
            code, lines = client.command(b"RCPT TO:<me@localhost>")
            self.assertEqual(code, 503, lines)
            client.command(b"QUIT", 221)

    def test_smtp_forgets_the_session_before_tls(self):
        with wire.Smtp(self.server.smtp) as client:
            client.ehlo()
            client.command(b"MAIL FROM:<a@client.example>", 250)
            code, _ = client.command(b"STARTTLS")
            if code == 220:
                client.starttls()
                self.assertEqual(client.command(b"RCPT TO:<me@localhost>")[0], 503)
                self.assertFalse(any(b"STARTTLS" in line.upper() for line in client.ehlo()))

    def test_imap_drops_what_was_pipelined_behind_starttls(self):
        with wire.Imap(self.server.imap) as client:
            client.send(b"a STARTTLS\r\nb NOOP\r\nc LOGIN me@localhost mailkeep\r\n")
            answer = client.response().line
            if not answer.startswith(b"a OK"):
                self.assertTrue(answer.startswith(b"a "), answer)
                return
            try:
                client.starttls()
            except OSError:
                return  # ended instead: as good
            client.send(b"d SELECT INBOX\r\n")
            answer = client.response().line
            self.assertRegex(answer, rb"^d (BAD|NO)")

    def test_imap_literal_behind_starttls_is_dropped(self):
        with wire.Imap(self.server.imap) as client:
            client.send(b"a STARTTLS\r\nb LOGIN {2+}\r\nme {8+}\r\nmailkeep\r\n")
            if client.response().line.startswith(b"a OK"):
                try:
                    client.starttls()
                except OSError:
                    return  # ended instead: as good
                client.send(b"d NOOP\r\n")
                self.assertTrue(client.response().line.startswith(b"d OK"))
