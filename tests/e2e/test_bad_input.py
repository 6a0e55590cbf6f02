"""What is too much or wrong gets a clear answer; nothing crashes or grows, others are served on."""

import resource
import socket
import threading
import time

import harness
import mail
import wire

MANY = 10000
NOTHING = 100 << 20


def tree_pss(server):
    total = 0
    for pid in server.pids():
        try:
            with open(f"/proc/{pid}/smaps_rollup") as rollup:
                total += next(int(line.split()[1]) for line in rollup if line.startswith("Pss:"))
        except (OSError, StopIteration):
            continue
    return total * 1024


@harness.mailkeep_only
class BadInput(harness.ServerCase):
    accounts = 4

    def setUp(self):
        self.pss_before = tree_pss(self.server)
        self.rooms_before = set(self.server.rooms("gate"))

    def tearDown(self):
        self.assert_serving()
        self.assertTrue(self.rooms_before <= set(self.server.rooms("gate")), "no gate died of it")
        if "asan" not in harness.PROGRAM:
            self.assertLess(tree_pss(self.server) - self.pss_before, 96 << 20, "memory did not grow")

    def assert_serving(self):
        with wire.Smtp(self.server.smtp) as client:
            client.ehlo()
            self.assertEqual(client.deliver(b"a@client.example", [b"user1@localhost"], mail.message("still-serving"))[0], 250)
        with wire.Imap(self.server.imap) as client:
            client.login("user1@localhost").command(b"SELECT INBOX")
            client.command(b"STORE 1:* +FLAGS (\\Deleted)")
            client.command(b"EXPUNGE")

    def deliver(self, message, user=b"user2@localhost"):
        with wire.Smtp(self.server.smtp, seconds=60) as client:
            client.ehlo()
            return client.deliver(b"a@client.example", [user], message)

    def assert_whole_or_refused(self, message, marker):
        """250 and readable by IMAP to the last part, or a clear 5xx."""
        code, lines = self.deliver(message)
        if code != 250:
            self.assertEqual(code // 100, 5, lines)
            self.assertRegex(lines[-1], rb"^5\.\d+\.\d+ \w")
            return
        with wire.Imap(self.server.imap, seconds=60) as client:
            client.login("user2@localhost").command(b"SELECT INBOX")
            found = client.command(b'SEARCH HEADER SUBJECT "' + marker + b'"')
            number = next(r for r in found if b"SEARCH" in r.line).line.split()[-1]
            answers = client.command(b"FETCH " + number + b" (RFC822.SIZE ENVELOPE BODYSTRUCTURE BODY.PEEK[])")
            fields = next(f for f in map(wire.fetch_fields, answers) if f)
            self.assertTrue(fields[b"BODY[]"].endswith(message))

    def test_ten_thousand_header_lines(self):
        extra = "".join(f"X-Line-{n}: value {n}\r\n" for n in range(MANY))
        self.assert_whole_or_refused(mail.message("many-headers", extra=extra), b"many-headers")

    def test_one_header_of_ten_thousand_lines(self):
        extra = "X-Folded: a\r\n" + " b\r\n" * MANY
        self.assert_whole_or_refused(mail.message("folded-header", extra=extra), b"folded-header")

    def test_ten_thousand_parts(self):
        extra = 'MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary="b"\r\n'
        body = "--b\r\n\r\npart\r\n" * MANY + "--b--\r\n"
        self.assert_whole_or_refused(mail.message("many-parts", body, extra=extra), b"many-parts")

    def test_ten_thousand_levels(self):
        body = "".join(f'Content-Type: multipart/mixed; boundary="b{n}"\r\n\r\n--b{n}\r\n' for n in range(MANY))
        extra = 'MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary="b"\r\n'
        self.assert_whole_or_refused(mail.message("many-levels", "--b\r\n" + body, extra=extra), b"many-levels")

    def test_ten_thousand_addresses(self):
        to = ",\r\n ".join(f"user{n}@client.example" for n in range(MANY))
        self.assert_whole_or_refused(mail.message("many-addresses", to=to), b"many-addresses")

    def test_wrong_commands_are_answered_and_counted(self):
        with wire.Smtp(self.server.smtp) as client:
            codes = []
            try:
                for n in range(500):
                    codes.append(client.command(b"WRONG %d" % n)[0])
            except (EOFError, ConnectionError):
                pass
        self.assertEqual(codes[0] // 100, 5)
        self.assertLess(len(codes), 500, "a session of nothing but errors is ended")
        self.assertIn(codes[-1] // 100, (4, 5))

    def test_wrong_imap_commands(self):
        with wire.Imap(self.server.imap) as client:
            lines = []
            try:
                for n in range(500):
                    client.send(b"w%d WRONG\r\n" % n)
                    lines.append(client.response().line)
            except (EOFError, ConnectionError):
                pass
        self.assertTrue(lines[0].startswith(b"w0 BAD"), lines[0])
        self.assertLess(len(lines), 500)

    def test_too_long_smtp_line(self):
        with wire.Smtp(self.server.smtp) as client:
            client.ehlo()
            client.send(b"NOOP " + b"x" * 5000 + b"\r\n")
            self.assertEqual(client.reply()[0], 500)
            self.assertEqual(client.command(b"NOOP")[0], 250)

    def test_much_too_long_smtp_line(self):
        with wire.Smtp(self.server.smtp) as client:
            client.ehlo()
            try:
                client.send(b"NOOP " + b"x" * 1000000 + b"\r\n")
            except ConnectionError:
                pass  # ended while we still send: as good
            try:
                self.assertIn(client.reply()[0], (500, 421))
            except ConnectionError:
                pass

    def test_too_long_imap_line(self):
        with wire.Imap(self.server.imap) as client:
            try:
                client.send(b"a LOGIN " + b"x" * 4000000 + b"\r\n")
            except (ConnectionError, TimeoutError):
                pass
            try:
                answer = client.response().line
                self.assertTrue(answer.startswith((b"a BAD", b"* BYE", b"* BAD")), answer)
            except ConnectionError:
                pass  # a reset may overtake the answer while we still send

    def flood(self, address, opening, octets, total=NOTHING):
        """Sends until told off or done; what came back, and how much was taken."""
        sent, back = 0, b""
        with socket.create_connection(address, 30) as client:
            client.recv(1000)
            for line in opening:
                client.sendall(line)
                back = client.recv(4000)
            client.settimeout(10)
            chunk = octets * (65536 // len(octets))
            try:
                while sent < total:
                    client.sendall(chunk)
                    sent += len(chunk)
            except (ConnectionError, TimeoutError):
                pass
            try:
                back = client.recv(4000)
            except (ConnectionError, TimeoutError):
                back = b""
        return back, sent

    def test_hundred_megabytes_of_command(self):
        for address in (self.server.smtp, self.server.imap):
            back, sent = self.flood(address, [], b"x")
            self.assertTrue(sent < NOTHING or back[:1] in b"45*" or b"BAD" in back, (sent, back))

    def test_hundred_megabytes_of_empty_lines_as_commands(self):
        self.flood(self.server.smtp, [], b"\r\n")
        self.flood(self.server.imap, [], b"\r\n")

    def test_hundred_megabytes_of_empty_lines_as_message(self):
        opening = [b"EHLO x.example\r\n", b"MAIL FROM:<>\r\n", b"RCPT TO:<user3@localhost>\r\n", b"DATA\r\n"]
        self.flood(self.server.smtp, opening, b"\r\n")
        self.assertEqual(mail.look(self.server, "user3@localhost"), [], "a message without its end is none")

    def test_hundred_megabytes_without_line_end_as_message(self):
        opening = [b"EHLO x.example\r\n", b"MAIL FROM:<>\r\n", b"RCPT TO:<user3@localhost>\r\n", b"DATA\r\n"]
        self.flood(self.server.smtp, opening, b"x")
        self.assertEqual(mail.look(self.server, "user3@localhost"), [])

    def test_announced_sizes_are_refused(self):
        with wire.Smtp(self.server.smtp) as client:
            client.ehlo()
            code, lines = client.command(b"MAIL FROM:<> SIZE=99999999999")
            self.assertEqual(code, 552, lines)
            self.assertEqual(client.command(b"MAIL FROM:<> SIZE=99999999999999999999999")[0] // 100, 5)

    def test_huge_literals_are_refused(self):
        for literal in (b"{4294967296}", b"{99999999999999999999}", b"{104857600+}"):
            with self.subTest(literal), wire.Imap(self.server.imap) as client:
                client.send(b"a LOGIN " + literal + b"\r\n")
                self.assertTrue(client.response().line.startswith((b"a BAD", b"a NO", b"* BYE", b"* BAD")))
        with wire.Imap(self.server.imap) as client:
            client.login("user1@localhost")
            client.send(b"a APPEND INBOX {999999999999}\r\n")
            self.assertRegex(client.response().line, rb"^a (BAD|NO)")
            client.command(b"NOOP")

    def test_deep_search_is_refused(self):
        with wire.Imap(self.server.imap) as client:
            client.login("user1@localhost").command(b"SELECT INBOX")
            for key in (b"NOT " * MANY + b"ALL", b"(" * MANY + b"ALL" + b")" * MANY, b"OR ALL " * MANY + b"ALL"):
                client.send(b"a SEARCH " + key + b"\r\n")
                answer = client.response().line
                while not answer.startswith((b"a ", b"* BYE")):
                    answer = client.response().line
                if answer.startswith(b"* BYE"):
                    break

    def test_slow_senders_hold_nobody_up(self):
        stop = threading.Event()

        def drip():
            with socket.create_connection(self.server.smtp, 10) as client:
                for byte in b"EHLO slow.client.example and on it goes":
                    if stop.wait(0.1):
                        break
                    client.send(bytes([byte]))

        threads = [threading.Thread(target=drip) for _ in range(50)]
        for thread in threads:
            thread.start()
        try:
            began = time.monotonic()
            for n in range(10):
                self.assertEqual(self.deliver(mail.message(f"beside-slow-{n}"))[0], 250)
            self.assertLess(time.monotonic() - began, 10)
        finally:
            stop.set()
            for thread in threads:
                thread.join()

    def test_five_thousand_silent_connections(self):
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        wanted = 5000
        if hard < wanted + 200:
            self.skipTest(f"only {hard} open files are allowed here")
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        silent, refused = [], 0
        try:
            for _ in range(wanted):
                try:
                    silent.append(socket.create_connection(self.server.smtp, 5))
                except OSError:
                    refused += 1
            # Those of other services are served on; a newcomer is served or politely put off.
            with wire.Imap(self.server.imap) as client:
                client.login("user1@localhost").command(b"SELECT INBOX")
            try:
                with wire.Smtp(self.server.smtp, greet=False, seconds=30) as client:
                    self.assertIn(client.reply()[0], (220, 421))
            except (ConnectionError, EOFError) as error:
                self.fail(f"no word for a newcomer beside {len(silent)} silent ones: {error!r}")
        finally:
            for client in silent:
                client.close()
        self.assertTrue(harness.wait_for(self.served_again, 20))

    def served_again(self):
        try:
            return self.deliver(mail.message("after-the-silence"))[0] == 250
        except (AssertionError, OSError, EOFError):
            return False


