"""Routes by attempts, and a report in the thread of what it is about, as a mail program sees it."""

import imaplib
import unittest

import dns_server
import harness
import smtp_sink
import test_queue
from harness import peers

ROUTES = """
  patience: {{to: [tired.test], min_attempts: 3, transport: smart}}
  direct: {{to: [tired.test], transport: near}}
resolver: {{mode: forward, validate: false, servers: ["{dns}"]}}
"""


@harness.mailkeep_only
class Attempts(test_queue.QueueCase):
    sinks = ("smart",)
    queue = test_queue.QUEUE.replace("first_retry: 2s", "first_retry: 1s")

    @classmethod
    def setUpClass(cls):
        nobody = harness.own_ip()  # where no server listens
        cls.dns = dns_server.DnsServer(f"tired.test MX 10 mx.tired.test\nmx.tired.test A {nobody}\n",
                                       address=nobody).start()
        cls.addClassCleanup(cls.dns.stop)
        port = smtp_sink.free_port(nobody)
        cls.queue = cls.queue + f"  near: {{kind: direct, port: {port}}}\n"
        cls.extra = ROUTES.format(dns=f"{cls.dns.address}:{cls.dns.port}")
        super().setUpClass()

    def test_three_direct_attempts_fail_and_the_fourth_goes_by_the_smarthost(self):
        message_id = self.submit("you@tired.test")
        done, = self.wait_retired(message_id, seconds=60)
        self.assertEqual((done["state"], done["attempts"]), ("delivered", 4))
        history = self.json("retired", "show", done["id"])["entry"]["history"]
        self.assertEqual([(a["transport"], a["outcome"]) for a in history],
                         [("near", "deferred")] * 3 + [("smart", "delivered")])
        self.assertIn("patience", history[3]["route"])
        message, = [m for m in self.sink["smart"].messages if message_id.encode() in m["data"]]
        self.assertEqual(len(message["recipients"]), 1)


@harness.mailkeep_only
class Thread(test_queue.QueueCase):
    sinks = ("strict",)

    def test_a_peer_threads_the_report_with_the_original(self):
        """Dovecot's THREAD=REFERENCES, given what the sender's mailboxes hold, and a reply further down."""
        harness.need_peers(self)
        self.sink["strict"].answers["RCPT"] = ["550 5.1.1 no such user"]
        first = self.submit("user2@localhost", subject="plans")
        self.wait_retired(first)
        reply = self.submit("you@strict.test", subject="Re: plans", extra=f"In-Reply-To: {first}\r\nReferences: {first}\r\n")
        report, = self.reports(reply)
        with peers.Dovecot(harness.own_ip()) as dovecot:
            client = imaplib.IMAP4(dovecot.ip, dovecot.imap_port)
            client.login("me", "mailkeep")
            other = "From: a@b.test\r\nSubject: else\r\nMessage-ID: <else@b.test>\r\n\r\nx\r\n"
            sent = (f"From: user1@localhost\r\nSubject: Re: plans\r\nMessage-ID: {reply}\r\nReferences: {first}\r\n"
                    "\r\nHello.\r\n")
            start = f"From: user1@localhost\r\nSubject: plans\r\nMessage-ID: {first}\r\n\r\nHello.\r\n"
            for message in (start, other, sent, report.as_bytes()):
                text = message if isinstance(message, bytes) else message.encode()
                self.assertEqual(client.append("INBOX", None, None, text)[0], "OK")
            client.select()
            threads = client.thread("REFERENCES", "UTF-8", "ALL")[1][0]
            client.logout()
        self.assertEqual(threads, b"(1 3 4)(2)")


if __name__ == "__main__":
    unittest.main()
