"""What was answered 250 on submission arrives, whatever is killed: queue, courier, account rooms, gates or the
whole house, at random moments under load. Afterwards each such recipient has the message once. Only a courier
that ends (alone or with the house) between a remote server's 250 and its answer to the queue doubles a delivery;
these are counted. Local recipients have it once, and a failure is reported to the sender once.

KILL_ROUNDS sets the number of rounds (5), KILL_SEED the random choices.
"""

import collections
import imaplib
import json
import os
import random
import re
import signal
import smtplib
import subprocess
import threading
import time

import harness
import smtp_sink
import test_queue

ROUNDS = int(os.environ.get("KILL_ROUNDS", "5"))
SEED = int(os.environ.get("KILL_SEED", "0")) or random.SystemRandom().randrange(1, 1 << 32)
SENDERS = 8
ACCOUNTS = 8
ROOMS = ("queue", "courier", "account", "gate", "queue", "courier", "vault", "resolver", "steward")
QUEUE = """
queue:
  first_retry: 1s
  max_attempts: 20
  max_retry: 4s
  delay_notice: 0s
limits:
  sent_per_day: 10000000
  first_time_recipients_per_day: 10000000
transports:
"""


class Sink(smtp_sink.Sink):
    """Refuses recipients that begin with `bad`, takes a moment for each message, and counts."""

    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        self.taken = collections.Counter()

    def start(self):
        smtp_sink.Session.command, self.plain = self._command(smtp_sink.Session.command), smtp_sink.Session.command
        return super().start()

    def stop(self):
        smtp_sink.Session.command = self.plain
        super().stop()

    def _command(self, plain):
        sink = self

        def command(session, verb, line, answered):
            if session.sink is sink and verb == "RCPT" and "<bad" in line:
                session.say("550 5.1.1 no such user")
                return True
            return plain(session, verb, line, answered)
        return command

    def next_answer(self, verb):
        if verb == "END":
            time.sleep(random.random() * 0.03)
        return super().next_answer(verb)

    def count(self):
        with self.lock:
            messages, self.messages = self.messages, []
        for message in messages:
            key = re.search(rb"Subject: kill-(.*?)\.\r\n", message["data"]).group(1).decode()
            size, ends_well = _whole(message["data"])
            assert ends_well, f"{key}: a message of {size} bytes is not whole"
            for recipient in message["recipients"]:
                self.taken[key, re.search("<(.*?)>", recipient).group(1)] += 1


def _whole(data):
    body = data.split(b"\r\n\r\n", 1)[1]
    length = int(body.split(b"\r\n", 1)[0])
    return length, len(body) == length


def letter(sender, recipients, key, size):
    body = b"%08d\r\n" % size
    while len(body) < size:
        body += b"a line of a message that must arrive whole and once\r\n"[:max(2, size - len(body))]
    body = body[:size - 2] + b"\r\n"
    return (f"From: {sender}\r\nTo: {', '.join(recipients)}\r\nSubject: kill-{key}.\r\nMessage-ID: <{key}@kill.test>\r\n"
            "\r\n").encode() + body


class Ledger:
    def __init__(self):
        self.lock = threading.Lock()
        self.acknowledged, self.perhaps, self.refused = {}, {}, {}  # key: (sender, recipients)

    def note(self, fate, key, sender, recipients):
        with self.lock:
            getattr(self, fate)[key] = (sender, recipients)


class Sender(threading.Thread):
    def __init__(self, server, ledger, number, label, seed, stop):
        super().__init__()
        self.server, self.ledger, self.label, self.stopped = server, ledger, label, stop
        self.user, self.random, self.client = f"user{number + 1}@localhost", random.Random(seed), None

    def run(self):
        number = 0
        while not self.stopped.is_set():
            key, number = f"{self.label}-{number}", number + 1
            recipients = [f"r{self.random.randrange(50)}.{i}@near.test" for i in range(self.random.randrange(1, 3))]
            if self.random.random() < 0.3:
                recipients.append(f"user{1 + self.random.randrange(ACCOUNTS)}@localhost")
            if self.random.random() < 0.1:
                recipients.append(f"bad{key}@near.test")
            fate = self.send(recipients, letter(self.user, recipients, key, int(300 * 1500 ** self.random.random())))
            self.ledger.note(fate, key, self.user, recipients)
            if fate != "acknowledged":
                self.client = None
                self.stopped.wait(0.05)

    def send(self, recipients, message):
        ended = False
        try:
            if self.client is None:
                self.client = smtplib.SMTP(*self.server.submission, timeout=20)
                self.client.login(self.user, harness.PASSWORD)
            self.client.mail(self.user)
            for recipient in recipients:
                if self.client.rcpt(recipient)[0] != 250:
                    self.client.rset()
                    return "refused"
            self.client.putcmd("data")
            if self.client.getreply()[0] != 354:
                return "refused"
            self.client.send(re.sub(rb"(?m)^\.", b"..", message))
            ended = True
            self.client.send(b".\r\n")
            return "acknowledged" if self.client.getreply()[0] == 250 else "refused"
        except (OSError, smtplib.SMTPException, ValueError):
            return "perhaps" if ended else "refused"


@harness.mailkeep_only
class KillRounds(harness.ServerCase):
    accounts = ACCOUNTS

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.server.stop()
        cls.sink = Sink(harness.own_ip(), extensions=["PIPELINING", "8BITMIME", "ENHANCEDSTATUSCODES", "SIZE 50000000"])
        cls.sink.start()
        cls.addClassCleanup(cls.sink.stop)
        test_queue.configure(cls.server, {"near": (cls.sink.ip, cls.sink.port)}, queue=QUEUE)
        cls.server.start()

    def test_nothing_acknowledged_is_lost(self):
        ledger, chance, kills = Ledger(), random.Random(SEED), collections.Counter()
        self.couriers = collections.Counter()  # that were killed, by round
        for number in range(ROUNDS):
            stop = threading.Event()
            senders = [Sender(self.server, ledger, n, f"{number}-{n}", chance.random(), stop) for n in range(SENDERS)]
            for sender in senders:
                sender.start()
            try:
                before = kills["courier"] + kills["supervisor"]
                self.round(chance, kills)
                self.couriers[number] = kills["courier"] + kills["supervisor"] - before
            finally:
                stop.set()
                for sender in senders:
                    sender.join()
            if number % 10 == 9 or number == ROUNDS - 1:
                self.settle(f"round {number}, seed {SEED}")
                self.sink.count()
        often, refused = self.compare(ledger)
        remote = sum(1 for _, recipients in ledger.acknowledged.values() for r in recipients if r.startswith("r"))
        print(f"# {ROUNDS} rounds, seed {SEED}, kills {dict(kills)}: {len(ledger.acknowledged)} acknowledged "
              f"({remote} remote recipients), {len(ledger.perhaps)} without an answer, {refused} "
              f"queued and refused, {often[2]} delivered twice and {sum(often.values()) - often[2]} more often "
              f"where couriers were killed between the remote 250 and their answers", flush=True)
        self.assertGreater(len(ledger.acknowledged), ROUNDS * 5)

    def round(self, chance, kills):
        """One to three kills at random moments; one time in eight the supervisor, and with it all."""
        time.sleep(0.2 + chance.random() * 0.6)
        if chance.random() < 1 / 8:
            kills["supervisor"] += 1
            _kill(self.server.process.pid)
            self.server.stop()
            self.server.start()
            return
        for _ in range(chance.randrange(1, 4)):
            room = chance.choice(ROOMS)
            victims = self.server.rooms(room)
            if victims:
                kills[room] += 1
                _kill(chance.choice(victims))
            time.sleep(chance.random() * 0.3)

    def settle(self, when):
        config = str(self.server.data / "config")

        def waiting():
            done = subprocess.run([harness.PROGRAM, "queue", "list", "--json", "--config", config], capture_output=True,
                                  text=True, timeout=60)
            return json.loads(done.stdout)["entries"] if done.returncode == 0 else ["?"]

        self.assertTrue(harness.wait_for(lambda: not waiting(), 90, every=0.5), f"{when}: still queued: {waiting()[:3]}")
        time.sleep(2)  # reports

    def inbox(self, user):
        """How often each message, and each report about one, is in the Inbox."""
        mail, reports = collections.Counter(), collections.Counter()
        with imaplib.IMAP4(*self.server.imap) as client:
            client.login(f"{user}@localhost", harness.PASSWORD)
            client.select()
            for part in client.fetch("1:*", "(BODY.PEEK[HEADER.FIELDS (SUBJECT REFERENCES RETURN-PATH)])")[1]:
                if not isinstance(part, tuple):
                    continue
                own = re.search(rb"Subject: kill-(.*?)\.\r\n", part[1])
                about = re.search(rb"References:.*<(.*?)@kill.test>", part[1])
                if about and b"Return-Path: <>" in part[1]:
                    reports[about.group(1).decode()] += 1
                elif own:
                    mail[own.group(1).decode()] += 1
        return mail, reports

    def story(self, key):
        """What the log says of a message, and of the rooms that ended meanwhile."""
        lines = self.server.log().splitlines()
        about = next((i for i, line in enumerate(lines) if f"<{key}@kill.test>" in line and "msg=queued" in line), None)
        if about is None:
            return f"{key} was never queued"
        entry, n = (int(re.search(rf"{name}=(\d+)", lines[about])[1]) for name in ("entry", "rcpts"))
        wanted = re.compile(rf"message={entry - 1}\b|entry=(?:{'|'.join(str(entry + i) for i in range(n))})\b"
                            r"|room ended|msg=ready|queue opened")
        ends = max(i for i, line in enumerate(lines) if wanted.search(line) and "message=" in line)
        return "\n".join(line[:300] for line in lines[about:ends + 1] if wanted.search(line))

    def compare(self, ledger):
        boxes = {f"user{n}@localhost": self.inbox(f"user{n}") for n in range(1, ACCOUNTS + 1)}
        often = collections.Counter()  # recipients of more than one delivery, by the number of them
        for key, (sender, recipients) in ledger.acknowledged.items():
            bad = [r for r in recipients if r.startswith("bad")]
            self.assertEqual(boxes[sender][1][key], len(bad), f"seed {SEED}: reports about {key} to {sender}")
            for recipient in recipients:
                if recipient.endswith("@localhost"):
                    self.assertEqual(boxes[recipient][0][key], 1, f"seed {SEED}: {key} for {recipient}")
                elif not bad or recipient not in bad:
                    n = self.sink.taken[key, recipient]
                    number = int(key.split("-")[0])
                    most = 1 + sum(self.couriers[i] for i in range(number, number + 3))
                    if not 1 <= n <= most:
                        self.fail(f"seed {SEED}: {key} for {recipient} {n} times, at most {most}\n{self.story(key)}")
                    if n > 1:
                        often[n] += 1
        # One that was refused for the time being may be queued all the same: the queue was killed between its
        # commit and its answer, and did not come back in time. Its sender sends it again.
        refused = {key for key, _ in self.sink.taken} & set(ledger.refused)
        return often, len(refused)


def _kill(pid):
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
