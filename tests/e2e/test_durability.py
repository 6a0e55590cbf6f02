"""Acknowledged is durable: rooms are killed at random moments under 20 parallel deliveries; afterwards
every message that got its 250 is there once and whole, and nothing is there that was never sent whole.

KILL_ROUNDS sets the number of rounds (5; `make kill-rounds` 200), KILL_SEED the random choices.
"""

import os
import random
import re
import signal
import threading
import time

import harness
import mail
import wire

ROUNDS = int(os.environ.get("KILL_ROUNDS", "5"))
SEED = int(os.environ.get("KILL_SEED", "0")) or random.SystemRandom().randrange(1, 1 << 32)
SENDERS = 20
ACCOUNTS = 20
ROOMS = ("gate", "account", "vault", "steward", "resolver", "queue", "courier", "web")


class Ledger:
    """What became of each message. Guarded by its lock."""

    def __init__(self):
        self.lock = threading.Lock()
        self.acknowledged, self.perhaps, self.messages = set(), set(), {}

    def note(self, key, fate, message):
        with self.lock:
            if fate == "acknowledged":
                self.acknowledged.add(key)
            if fate == "perhaps":
                self.perhaps.add(key)
            if fate != "refused":
                self.messages[key] = (len(message), mail.digest(message))


class Sender(threading.Thread):
    def __init__(self, server, ledger, name, seed, stop):
        super().__init__()
        self.server, self.ledger, self.label, self.stop = server, ledger, name, stop
        self.random = random.Random(seed)

    def run(self):
        number = 0
        while not self.stop.is_set():
            key = f"{self.label}-{number}"
            number += 1
            size = int(1000 * 300 ** self.random.random())
            message = mail.sized(f"kill-{key}.", size, seed=hash(key))
            user = f"user{1 + self.random.randrange(ACCOUNTS)}@localhost".encode()
            by_append = self.random.random() < 0.15
            fate = (self.append if by_append else self.send)(user, message)
            self.ledger.note(key, fate, message)
            if fate != "acknowledged":
                self.stop.wait(0.02)

    def send(self, user, message):
        ended = False
        try:
            with wire.Smtp(self.server.smtp, seconds=15) as client:
                client.ehlo()
                client.envelope(b"a@client.example", [user])
                client.command(b"DATA", 354)
                client.send(message)
                ended = True
                client.send(b".\r\n")
                return "acknowledged" if client.reply()[0] == 250 else "refused"
        except (OSError, EOFError, AssertionError, ValueError):
            return "perhaps" if ended else "refused"

    def append(self, user, message):
        ended = False
        try:
            with wire.Imap(self.server.imap, seconds=15) as client:
                client.login(user.decode())
                client.send(b"a APPEND INBOX {%d}\r\n" % len(message))
                while not (answer := client.response().line).startswith(b"+"):
                    if answer.startswith(b"a "):
                        return "refused"
                client.send(message)
                ended = True
                client.send(b"\r\n")
                while not (answer := client.response().line).startswith(b"a "):
                    pass
                return "acknowledged" if answer.startswith(b"a OK") else "refused"
        except (OSError, EOFError, AssertionError, ValueError):
            return "perhaps" if ended else "refused"


@harness.mailkeep_only
class KillRounds(harness.ServerCase):
    accounts = ACCOUNTS

    def test_nothing_acknowledged_is_lost(self):
        ledger, chance, kills = Ledger(), random.Random(SEED), 0
        for number in range(ROUNDS):
            stop = threading.Event()
            senders = [Sender(self.server, ledger, f"{number}-{n}", chance.random(), stop) for n in range(SENDERS)]
            for sender in senders:
                sender.start()
            try:
                kills += self.round(chance)
            finally:  # a house that does not come up again must not leave the senders running
                stop.set()
                for sender in senders:
                    sender.join()
            if number % 10 == 9 or number == ROUNDS - 1:
                self.settle()
                self.compare(ledger, f"round {number}, seed {SEED}")
        print(f"# {ROUNDS} rounds, {kills} kills, seed {SEED}: {len(ledger.acknowledged)} acknowledged, "
              f"{len(ledger.perhaps)} without an answer", flush=True)
        self.assertGreater(len(ledger.acknowledged), ROUNDS * 5)

    def round(self, chance):
        """One to three kills at random moments; one time in six of the whole house."""
        time.sleep(0.2 + chance.random() * 0.6)
        if chance.random() < 1 / 6:
            tree = self.server.pids()
            for pid in tree:
                _kill(pid)
            self.server.stop()
            self.server.start()
            return len(tree)
        n = 0
        for _ in range(chance.randrange(1, 4)):
            victims = self.server.rooms(chance.choice(ROOMS[:2] if chance.random() < 0.7 else ROOMS))
            if victims:
                _kill(chance.choice(victims))
                n += 1
            time.sleep(chance.random() * 0.3)
        return n

    def settle(self):
        def serves():
            try:
                mail.look(self.server, "user1@localhost")
                with wire.Smtp(self.server.smtp, seconds=5) as client:
                    client.ehlo()
                    client.envelope(b"a@client.example", [b"user1@localhost"])
                    return True
            except (OSError, EOFError, AssertionError, ValueError):
                return False

        self.assertTrue(harness.wait_for(serves, 60, every=0.3), "the house serves again after the kills")

    def compare(self, ledger, when):
        seen = {}
        for n in range(1, ACCOUNTS + 1):
            for whole in mail.look(self.server, f"user{n}@localhost"):
                key = re.search(rb"Subject: kill-(.*?)\.\r\n", whole).group(1).decode()
                self.assertIn(key, ledger.messages, f"{when}: a message that was never sent whole")
                size, digest = ledger.messages[key]
                self.assertEqual(mail.digest(whole[-size:]), digest, f"{when}: {key} is not whole")
                seen[key] = seen.get(key, 0) + 1
        lost = ledger.acknowledged - set(seen)
        self.assertEqual(sorted(lost)[:5], [], f"{when}: {len(lost)} acknowledged messages are lost")
        twice = [key for key, count in seen.items() if count != 1]
        self.assertEqual(twice[:5], [], f"{when}: stored more than once")
        unknown = set(seen) - ledger.acknowledged - ledger.perhaps
        self.assertEqual(sorted(unknown)[:5], [], f"{when}: refused and stored all the same")


def _kill(pid):
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
