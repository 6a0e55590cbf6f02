"""kill -9 of each room under traffic: sessions elsewhere go on, the room comes back, nothing is lost."""

import os
import signal
import smtplib
import threading
import time

import harness
import mail
import wire

ROOMS = ("gate", "account", "vault", "steward", "queue", "courier", "resolver", "web")


class Traffic:
    """Deliveries to user1 in a thread, with what was acknowledged."""

    def __init__(self, server, user=b"user1@localhost"):
        self.server, self.user, self.name = server, user, time.monotonic_ns()
        self.acknowledged, self.failed, self.running = [], 0, True
        self.thread = threading.Thread(target=self.run)

    def run(self):
        n = 0
        while self.running:
            subject = f"traffic-{self.name}-{n}"
            n += 1
            try:
                with wire.Smtp(self.server.smtp, seconds=10) as client:
                    client.ehlo()
                    if client.deliver(b"a@client.example", [self.user], mail.message(subject))[0] == 250:
                        self.acknowledged.append(subject)
            except (OSError, EOFError, AssertionError):
                self.failed += 1
                time.sleep(0.05)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.running = False
        self.thread.join()


@harness.mailkeep_only
class Kill(harness.ServerCase):
    accounts = 3

    def pids_of(self, room):
        if room == "account":
            mail.look(self.server, "user1@localhost")
        return self.server.rooms(room)

    def kill_under_traffic(self, room):
        victims = self.pids_of(room)
        self.assertTrue(victims, f"{room} runs: {self.describe()}")
        with Traffic(self.server) as traffic:
            self.assertTrue(harness.wait_for(lambda: len(traffic.acknowledged) >= 5))
            for pid in victims:
                os.kill(pid, signal.SIGKILL)
            back = harness.wait_for(lambda: set(self.pids_of_quietly(room)) - set(victims), 15)
            self.assertTrue(back, f"{room} came back: {self.describe()}")
            before = len(traffic.acknowledged)
            self.assertTrue(harness.wait_for(lambda: len(traffic.acknowledged) >= before + 5), "mail flows again")
        wholes = [w.partition(b"\r\n\r\n")[0] for w in mail.look(self.server, "user1@localhost")]
        for subject in traffic.acknowledged:
            self.assertEqual(sum(f"Subject: {subject}\r\n".encode() in whole for whole in wholes), 1, subject)

    def pids_of_quietly(self, room):
        try:
            return self.pids_of(room)
        except (OSError, EOFError, AssertionError):
            return []

    def describe(self):
        found = []
        for pid in self.server.pids():
            try:
                with open(f"/proc/{pid}/comm") as comm:
                    found.append(f"{pid}:{comm.read().strip()}")
            except OSError:
                pass
        return " ".join(found)

    def test_sessions_elsewhere_go_on_when_an_account_room_dies(self):
        with wire.Imap(self.server.imap) as other:
            other.login("user2@localhost").command(b"SELECT INBOX")
            mine = set(self.server.rooms("account"))
            with wire.Imap(self.server.imap) as doomed:
                doomed.login("user3@localhost").command(b"SELECT INBOX")
                for pid in set(self.server.rooms("account")) - mine:
                    os.kill(pid, signal.SIGKILL)
                self.assertTrue(doomed.closed())
            other.command(b"NOOP")
            other.command(b"APPEND INBOX %b", mail.message("goes-on"))
        # The account has a room again at once; what another test sent it may be there.
        self.assertNotIn(b"goes-on", b"".join(mail.look(self.server, "user3@localhost")))

    def test_a_room_may_end_while_it_waits_for_another(self):
        """An account room asks for the queue while that is down, and is killed: the supervisor goes on."""
        for _ in range(7):  # each time the queue's pause before its next start doubles
            self.assertTrue(harness.wait_for(lambda: self.server.rooms("queue")))
            for pid in self.server.rooms("queue"):
                os.kill(pid, signal.SIGKILL)
            harness.wait_for(lambda: not self.server.rooms("queue"), 2, every=0.005)
        mine = set(self.server.rooms("account"))

        def submit():
            try:
                with smtplib.SMTP(*self.server.submission, timeout=20) as client:
                    client.login("user2@localhost", harness.PASSWORD)
                    client.sendmail("user2@localhost", ["user3@localhost"], mail.message("waits", sender="user2@localhost"))
            except (OSError, smtplib.SMTPException):
                pass  # its room was killed

        sender = threading.Thread(target=submit)
        sender.start()
        self.assertTrue(harness.wait_for(lambda: set(self.server.rooms("account")) - mine, 10, every=0.01))
        time.sleep(0.3)  # it has asked by now
        for pid in set(self.server.rooms("account")) - mine:
            os.kill(pid, signal.SIGKILL)
        sender.join()
        self.assertTrue(harness.wait_for(lambda: self.server.rooms("queue"), 20), "the queue came back")
        self.assertIsNone(self.server.process.poll(), "the supervisor lives")
        mail.look(self.server, "user2@localhost")

    def test_the_house_ends_with_its_supervisor(self):
        server = harness.Server(accounts=1).start()
        try:
            tree = server.pids()
            os.kill(tree[0], signal.SIGKILL)
            gone = harness.wait_for(lambda: not any(_running(pid) for pid in tree[1:]), 10)
            self.assertTrue(gone, "no room outlives the supervisor")
        finally:
            server.stop()
            server.remove()


def _running(pid):
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def _case(room):
    def test(self):
        self.kill_under_traffic(room)
    return test


for _room in ROOMS:
    setattr(Kill, f"test_kill_{_room}", _case(_room))

