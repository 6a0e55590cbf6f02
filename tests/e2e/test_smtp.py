"""Mail comes in: the clients that people use, in clear and with STARTTLS, and what they rely on."""

import smtplib
import ssl

import harness
import mail
import wire


class Delivery(harness.ServerCase):
    accounts = 12

    def assert_arrived(self, user, marker, n=1):
        found = mail.arrived(self.server, user, marker.encode(), n)
        self.assertEqual(len(found), n, f"{marker!r} of {user}")
        return found

    def url(self):
        return f"smtp://{self.server.smtp[0]}:{self.server.smtp[1]}"

    def file(self, message):
        path = self.server.folder / "message.eml"
        path.write_bytes(message)
        return path

    def swaks(self, user, subject, *more):
        self.need("swaks")
        return self.run_tool("swaks", "--server", self.server.smtp[0], "--port", self.server.smtp[1],
                             "--helo", "client.example", "--from", "a@client.example", "--to", user,
                             "--header", f"Subject: {subject}", "--body", "From swaks.", *more)

    def test_swaks_in_clear(self):
        self.swaks("user1@localhost", "swaks-clear")
        self.assert_arrived("user1@localhost", "swaks-clear")

    def test_swaks_with_starttls(self):
        self.assertIn("TLS started", self.swaks("user1@localhost", "swaks-tls", "--tls"))
        self.assert_arrived("user1@localhost", "swaks-tls")

    def test_swaks_pipelined_with_attachment(self):
        attachment = self.server.folder / "attachment.bin"
        attachment.write_bytes(bytes(range(256)) * 400)
        self.swaks("user1@localhost", "swaks-attachment", "--tls", "--pipeline", "--attach", f"@{attachment}")
        whole, = self.assert_arrived("user1@localhost", "swaks-attachment")
        parts = [part for part in mail.parsed(whole).walk() if part.get_content_disposition() == "attachment"]
        self.assertEqual(parts[0].get_payload(decode=True), bytes(range(256)) * 400)

    def test_curl_in_clear(self):
        self.need("curl")
        self.run_tool("curl", "-sS", self.url() + "/client.example", "--mail-from", "a@client.example", "--mail-rcpt",
                      "user2@localhost", "-T", self.file(mail.message("curl-clear")))
        self.assert_arrived("user2@localhost", "curl-clear")

    def test_curl_with_starttls(self):
        self.need("curl")
        self.run_tool("curl", "-sS", "-k", "--ssl-reqd", self.url() + "/client.example", "--mail-from", "a@client.example",
                      "--mail-rcpt", "user2@localhost", "--mail-rcpt", "user3@localhost", "-T",
                      self.file(mail.message("curl-tls")))
        self.assert_arrived("user2@localhost", "curl-tls")
        self.assert_arrived("user3@localhost", "curl-tls")

    def test_smtplib_sends_several_in_one_session(self):
        with smtplib.SMTP(*self.server.smtp, local_hostname="client.example") as client:
            client.starttls(context=wire.tls_context())
            for number in range(5):
                refused = client.sendmail("a@client.example", ["user4@localhost"],
                                          mail.message(f"smtplib-{number}-of-five"))
                self.assertEqual(refused, {})
            self.assertEqual(client.noop()[0], 250)
        self.assert_arrived("user4@localhost", "-of-five", 5)

    def test_smtplib_eight_bit_and_smtputf8(self):
        with smtplib.SMTP(*self.server.smtp, local_hostname="client.example") as client:
            client.ehlo()
            self.assertTrue(client.has_extn("8bitmime"))
            self.assertTrue(client.has_extn("smtputf8"))
            client.sendmail("jörg@client.example", ["user5@localhost"],
                            mail.message("utf8-grüße", "Schöne Grüße\r\n"),
                            mail_options=["SMTPUTF8", "BODY=8BITMIME"])
        self.assert_arrived("user5@localhost", "Subject: utf8-grüße")

    def test_body_comes_back_unchanged(self):
        body = "".join(f".{'.' * (n % 3)}line {n} \t\r\n" for n in range(300)) + "\r\n\r\n.\x01\x7f end\r\n"
        message = mail.message("unchanged-body", body)
        with wire.Smtp(self.server.smtp) as client:
            client.ehlo()
            self.assertEqual(client.deliver(b"a@client.example", [b"user6@localhost"], message)[0], 250)
        whole, = self.assert_arrived("user6@localhost", "unchanged-body")
        self.assertTrue(whole.endswith(message), "the message is there byte for byte behind the trace lines")

    def test_trace_headers(self):
        with wire.Smtp(self.server.smtp) as client:
            client.ehlo()
            client.deliver(b"trace@client.example", [b"user6@localhost"], mail.message("trace-lines"))
        whole, = self.assert_arrived("user6@localhost", "trace-lines")
        head = mail.parsed(whole)
        self.assertIn("trace@client.example", head["Return-Path"])
        self.assertIn("client.example", head["Received"])
        self.assertIn("MTP", head["Received"])

    def test_no_eight_bit_loss_and_long_lines(self):
        body = ("ä" * 400 + "\r\n") * 3 + "x" * 990 + "\r\n"
        message = mail.message("long-lines", body)
        with wire.Smtp(self.server.smtp) as client:
            client.ehlo()
            self.assertEqual(client.deliver(b"a@client.example", [b"user6@localhost"], message)[0], 250)
        whole, = self.assert_arrived("user6@localhost", "long-lines")
        self.assertTrue(whole.endswith(message))

    @harness.mailkeep_only
    def test_chunking(self):
        message = mail.message("by-chunks", "first\r\n.\r\n..second\r\n")
        with wire.Smtp(self.server.smtp) as client:
            self.assertTrue(any(line.upper().startswith(b"CHUNKING") for line in client.ehlo()))
            client.envelope(b"a@client.example", [b"user7@localhost"])
            half = len(message) // 2
            client.send(b"BDAT %d\r\n" % half + message[:half] + b"BDAT %d LAST\r\n" % (len(message) - half)
                        + message[half:])
            self.assertEqual(client.reply()[0], 250)
            self.assertEqual(client.reply()[0], 250)
        whole, = self.assert_arrived("user7@localhost", "by-chunks")
        self.assertTrue(whole.endswith(message))

    @harness.mailkeep_only
    def test_never_relays(self):
        with wire.Smtp(self.server.smtp) as client:
            client.ehlo()
            client.command(b"MAIL FROM:<a@client.example>", 250)
            for address in (b"x@elsewhere.example", b"x%elsewhere.example@localhost.example", b"x@[192.0.2.1]",
                            b"@localhost:x@elsewhere.example"):
                code, lines = client.command(b"RCPT TO:<" + address + b">")
                self.assertIn(code, (550, 551, 553, 554, 501, 555), (address, lines))

    @harness.mailkeep_only
    def test_catchall_and_tags(self):
        with wire.Smtp(self.server.smtp) as client:
            client.ehlo()
            for address in (b"whoever@localhost", b"user8+tag@localhost", b"USER8@LOCALHOST", b"Postmaster"):
                code, lines = client.deliver(b"a@client.example", [address], mail.message("for-" + address.decode()))
                self.assertEqual(code, 250, (address, lines))
        self.assert_arrived("me@localhost", "Subject: for-whoever")
        self.assert_arrived("user8@localhost", "Subject: for-user8+tag")
        self.assert_arrived("user8@localhost", "Subject: for-USER8")
        self.assert_arrived("me@localhost", "Subject: for-Postmaster")

    def test_null_sender(self):
        with wire.Smtp(self.server.smtp) as client:
            client.ehlo()
            self.assertEqual(client.deliver(b"", [b"user9@localhost"], mail.message("null-sender"))[0], 250)
        whole, = self.assert_arrived("user9@localhost", "null-sender")
        self.assertIn(b"Return-Path: <>", whole)

    def test_tls_versions(self):
        for version, good in ((ssl.TLSVersion.TLSv1_2, True), (ssl.TLSVersion.TLSv1_3, True)):
            context = wire.tls_context()
            context.minimum_version = context.maximum_version = version
            with smtplib.SMTP(*self.server.smtp, local_hostname="client.example") as client:
                client.starttls(context=context)
                self.assertEqual(client.sock.version() is not None, good)

    @harness.mailkeep_only
    def test_tls_1_1_is_refused(self):
        self.need("openssl")
        code, output = self.run_tool(
            "openssl", "s_client", "-starttls", "smtp", "-connect", "%s:%d" % self.server.smtp, "-tls1_1", "-cipher",
            "DEFAULT@SECLEVEL=0", check=False)
        self.assertIn("Cipher is (NONE)", output)
