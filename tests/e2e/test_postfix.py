"""Debian's Postfix hands over a thousand messages of 1 KB to 1 MB by STARTTLS; IMAP gives every byte back."""

import random
import re
import threading

import harness
import mail
from harness import peers
import wire

MESSAGES = 1000
FEEDERS = 4


class FromPostfix(harness.ServerCase):
    accounts = 4

    def test_thousand_messages_by_starttls(self):
        harness.need_peers(self)
        ip = harness.own_ip()
        chance = random.Random(1)
        sizes = [int(1024 * 1024 ** chance.random()) for _ in range(MESSAGES - 2)] + [1024, 1 << 20]
        where = f"smtp:[{self.server.smtp[0]}]:{self.server.smtp[1]}"
        with peers.Postfix(ip, where, tls="encrypt") as postfix:
            digests = self.feed(postfix, sizes)
            empty = harness.wait_for(lambda: postfix.queued() == 0, 180, every=0.2)
            self.assertTrue(empty, f"still queued: {postfix.queued()}\n{postfix.log()[-3000:]}")
            log = postfix.log()
        self.assertIn("TLS connection established", log)
        self.assertEqual(log.count("status=sent"), MESSAGES, log[-2000:])
        self.compare(sizes, digests)

    def feed(self, postfix, sizes):
        digests = {}

        def feeder(mine):
            with wire.Smtp((postfix.ip, postfix.port), seconds=60) as client:
                client.ehlo()
                for n in mine:
                    message = mail.sized(f"postfix-{n}.", sizes[n], seed=n)
                    digests[n] = mail.digest(message)
                    code, lines = client.deliver(b"a@client.example", [b"user%d@localhost" % (n % 4 + 1)], message)
                    assert code == 250, lines

        threads = [threading.Thread(target=feeder, args=(range(f, len(sizes), FEEDERS),)) for f in range(FEEDERS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(len(digests), len(sizes))
        return digests

    def compare(self, sizes, digests):
        seen = set()
        for user in range(1, 5):
            for whole in mail.look(self.server, f"user{user}@localhost"):
                n = int(re.search(rb"Subject: postfix-(\d+)\.\r\n", whole).group(1))
                self.assertNotIn(n, seen)
                seen.add(n)
                self.assertEqual(mail.digest(whole[-sizes[n]:]), digests[n], f"message {n} of {sizes[n]} bytes")
        self.assertEqual(len(seen), len(sizes))
