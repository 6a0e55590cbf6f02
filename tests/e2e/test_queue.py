"""The queue end to end: delivery, retries, reports that thread, and everything an administrator may do to it.
Remote servers are smtp_sink; routes lead each test's domain to one."""

import email
import email.policy
import imaplib
import json
import pathlib
import re
import smtplib
import subprocess
import time

import harness
import smtp_sink

QUEUE = """
queue:
  first_retry: 2s
  max_attempts: 4
  delay_notice: 1s
  max_connections: 20
limits:
  sent_per_day: 1000000
  first_time_recipients_per_day: 1000000
transports:
  refuse: {kind: fail, code: 554, message: "5.7.1 not by this way"}
  later: {kind: fail, code: 451, message: "4.7.1 not now"}
"""


def configure(server, sinks, extra="", queue=QUEUE):
    """Adds transports and routes by domain to the configuration that localserve makes."""
    path = server.data / "config" / "mailkeep.yaml"
    text = path.read_text()
    limits = re.search(r"(?ms)^limits:\n(?:[ \t]+.*\n)*", text)
    if limits:  # one group of each name
        text = text.replace(limits.group(0), "")
        own = [line for line in limits.group(0).splitlines()[1:] if not re.search("sent_per_day|first_time", line)]
        queue = queue.replace("limits:\n", "limits:\n" + "".join(line + "\n" for line in own))
    if "\nresolver:" in extra:
        text = re.sub(r"(?m)^resolver:.*\n(?:[ \t]+.*\n)*", "", text)
    text += queue
    for name, (ip, port) in sinks.items():
        text += f"  {name}: {{kind: smtp, host: \"{ip}\", port: {port}, tls: none}}\n"
    text += "routes:\n" + "".join(f"  {name}: {{to: [{name}.test], transport: {name}}}\n" for name in sinks)
    path.write_text(text + extra)


class QueueCase(harness.ServerCase):
    accounts = 3
    sinks = ()
    extra = ""
    queue = QUEUE

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.server.stop()
        cls.sink, addresses = {}, {}
        for name in cls.sinks:
            sink = smtp_sink.Sink(harness.own_ip(), extensions=["PIPELINING", "8BITMIME", "ENHANCEDSTATUSCODES"])
            cls.sink[name] = sink.start()
            cls.addClassCleanup(sink.stop)
            addresses[name] = (sink.ip, sink.port)
        ip = harness.own_ip()
        addresses["dead"] = (ip, smtp_sink.free_port(ip))
        configure(cls.server, addresses, cls.extra, cls.queue)
        cls.server.start()

    def submit(self, *recipients, sender="user1@localhost", subject="a letter", extra="", options=(), rcpt=(), body="Hello.\r\n"):
        """Gives the Message-ID."""
        message_id = f"<{time.monotonic_ns()}@e2e.test>"
        client = smtplib.SMTP(*self.server.submission, timeout=30)
        client.ehlo()
        client.login(sender.split("@", 1)[0] + "@localhost", harness.PASSWORD)
        client.sendmail(sender, list(recipients), (
            f"From: {sender}\r\nTo: {', '.join(recipients)}\r\nSubject: {subject}\r\nMessage-ID: {message_id}\r\n"
            f"{extra}\r\n{body}").encode(), mail_options=list(options), rcpt_options=list(rcpt))
        client.quit()
        return message_id

    def cli(self, *words, check=True):
        done = subprocess.run([harness.PROGRAM, "queue", *map(str, words), "--config", str(self.server.data / "config")],
                              capture_output=True, text=True, timeout=60)
        if check and done.returncode != 0:
            self.fail(f"queue {' '.join(map(str, words))}: {done.stdout}{done.stderr}")
        return done.stdout if check else done

    def json(self, *words):
        return json.loads(self.cli(*words, "--json"))

    def entries(self, *words):
        return self.json("list", *words)["entries"]

    def retired(self, *words):
        return self.json("retired", "list", *words)["entries"]

    def of(self, message_id, entries):
        return [entry for entry in entries if entry["message_id"] == message_id]

    def wait(self, condition, what, seconds=20):
        value = harness.wait_for(condition, seconds)
        self.assertTrue(value, what)
        return value

    def wait_retired(self, message_id, n=1, seconds=20):
        def enough():
            found = self.of(message_id, self.retired())
            return found if len(found) >= n else None
        return self.wait(enough, f"{message_id} is not done: {self.entries()}", seconds)

    def inbox(self, user="user1"):
        client = imaplib.IMAP4(*self.server.imap)
        try:
            client.login(f"{user}@localhost", harness.PASSWORD)
            client.select()
            ids = client.search(None, "ALL")[1][0].split()
            return [email.message_from_bytes(client.fetch(i, "(BODY.PEEK[])")[1][0][1], policy=email.policy.default)
                    for i in ids]
        finally:
            client.logout()

    def reports(self, message_id, user="user1", n=1):
        def enough():
            found = [m for m in self.inbox(user) if message_id in (m["References"] or "") and m["Return-Path"] == "<>"]
            return found if len(found) >= n else None
        found = self.wait(enough, f"no report about {message_id}")
        self.assertEqual(len(found), n)
        return found

    def status(self, report):
        """The fields for programs: of the message, then of each recipient."""
        self.assertEqual(report.get_content_type(), "multipart/report")
        part = next(p for p in report.walk() if p.get_content_type() == "message/delivery-status")
        return part.get_payload()


@harness.mailkeep_only
class Delivery(QueueCase):
    sinks = ("near", "busy", "moody", "picky", "many")

    def test_delivered_once_with_its_id(self):
        message_id = self.submit("you@near.test", "two@near.test", "three@near.test")
        done = self.wait_retired(message_id, 3)
        self.assertEqual({entry["state"] for entry in done}, {"delivered"})
        message, = [m for m in self.sink["near"].messages if message_id.encode() in m["data"]]
        self.assertEqual(sorted(re.findall("<(.*?)>", to)[0] for to in message["recipients"]),
                         ["three@near.test", "two@near.test", "you@near.test"])
        self.assertIn(b"\r\nHello.\r\n", message["data"])
        self.assertEqual(self.of(message_id, self.entries()), [])
        entry = self.json("retired", "show", done[0]["id"])["entry"]
        attempt, = entry["history"]
        self.assertEqual((attempt["outcome"], attempt["transport"], attempt["code"]), ("delivered", "near", 250))
        self.assertEqual(attempt["remote_address"], self.sink["near"].ip)

    def test_local_and_remote_of_one_message(self):
        message_id = self.submit("user2@localhost", "user3@localhost", "you@near.test")
        self.wait_retired(message_id, 3)
        for user in ("user2", "user3"):
            found, = [m for m in self.inbox(user) if m["Message-ID"] == message_id]
            self.assertEqual(found["Return-Path"], "<user1@localhost>")
            self.assertEqual(found["Delivered-To"], f"{user}@localhost")
            self.assertEqual(len(found.get_all("Received")), 1)

    def test_retried_and_then_delivered(self):
        sink = self.sink["moody"]
        sink.answers["RCPT"] = ["450 4.2.0 try later", "451 4.3.0 not yet"]
        message_id = self.submit("you@moody.test", rcpt=())
        first = self.wait(lambda: [e for e in self.of(message_id, self.entries()) if e["attempts"] == 1], "no attempt")
        self.assertEqual(first[0]["last_result"][:4], "450 ")
        self.assertAlmostEqual(first[0]["next_ms"] - first[0]["last_ms"], 2000, delta=50)
        done, = self.wait_retired(message_id)
        self.assertEqual((done["state"], done["attempts"]), ("delivered", 3))
        history = self.json("retired", "show", done["id"])["entry"]["history"]
        self.assertEqual([a["outcome"] for a in history], ["deferred", "deferred", "delivered"])
        # Pauses of 2 and 4 seconds, kept to some hundredths.
        self.assertAlmostEqual(history[1]["started_ms"] - history[0]["ended_ms"], 2000, delta=200)
        self.assertAlmostEqual(history[2]["started_ms"] - history[1]["ended_ms"], 4000, delta=250)
        text = self.cli("retired", "show", done["id"])
        self.assertIn("450 4.2.0 try later", text)

    def test_recipients_have_outcomes_of_their_own(self):
        sink = self.sink["picky"]
        sink.answers["RCPT"] = ["250 ok", "550 5.1.1 no such user", "250 ok"]
        message_id = self.submit("a@picky.test", "b@picky.test", "c@picky.test", subject="three of them")
        done = {entry["recipient"]: entry["state"] for entry in self.wait_retired(message_id, 3)}
        self.assertEqual(done, {"a@picky.test": "delivered", "b@picky.test": "failed", "c@picky.test": "delivered"})
        report, = self.reports(message_id)
        message, rcpt = self.status(report)
        self.assertEqual(rcpt["Final-Recipient"], "rfc822; b@picky.test")
        self.assertEqual((rcpt["Action"], rcpt["Status"]), ("failed", "5.1.1"))
        self.assertIn("550 5.1.1 no such user", rcpt["Diagnostic-Code"])
        self.assertIn(sink.ip, rcpt["Remote-MTA"])
        self.assertEqual(report["In-Reply-To"], message_id)
        self.assertEqual(report["Auto-Submitted"], "auto-replied")
        # The address is on the list of this account from now on; another account's is not.
        again = self.submit("b@picky.test")
        failed, = self.wait_retired(again)
        self.assertEqual(failed["state"], "failed")
        self.assertIn("suppression list", failed["last_result"])
        self.assertEqual(len(self.reports(again)), 1)
        other = self.submit("b@picky.test", sender="user2@localhost")
        self.assertEqual(self.wait_retired(other)[0]["state"], "delivered")
        listed, = [s for s in self.json("suppress", "list", "--account", "user1")["suppressions"]
                   if s["address"] == "b@picky.test"]
        self.assertEqual((listed["manual"], listed["reason"]), (False, "550 5.1.1 no such user"))
        self.cli("suppress", "rm", "user1", "B+tag@picky.test")
        third = self.submit("b@picky.test")
        self.assertEqual(self.wait_retired(third)[0]["state"], "delivered")

    def test_unreachable_is_told_late_and_then_given_up(self):
        message_id = self.submit("you@dead.test", subject="patience")
        done, = self.wait_retired(message_id, seconds=60)
        self.assertEqual((done["state"], done["attempts"]), ("failed", 4))
        reports = self.reports(message_id, n=2)
        actions = [self.status(report)[1]["Action"] for report in reports]
        self.assertEqual(sorted(actions), ["delayed", "failed"])
        delayed = self.status(reports[actions.index("delayed")])[1]
        history = self.json("retired", "show", done["id"])["entry"]["history"]
        # What the delay promised is what happened.
        promised = email.utils.parsedate_to_datetime(delayed["Will-Retry-Until"]).timestamp()
        self.assertAlmostEqual(promised, history[3]["started_ms"] / 1000, delta=2)
        self.assertTrue(all(a["why"] for a in history))

    def test_failing_transports_answer_at_once(self):
        message_id = self.submit("you@near.test", subject="by a way that fails")
        self.wait_retired(message_id)
        self.cli("holdrules", "add", "--recipient-domain", "near.test")
        try:
            message_id = self.submit("you@near.test", "two@near.test")
            ids = [e["id"] for e in self.wait(lambda: self.of(message_id, self.entries()), "not held")]
            self.cli("transport", "refuse", *ids)
            self.cli("unhold", *ids)
            done = self.wait_retired(message_id, 2)
            self.assertEqual({(e["state"], e["last_result"]) for e in done}, {("failed", "554 5.7.1 not by this way")})
            self.assertEqual(self.status(self.reports(message_id)[0])[1]["Status"], "5.7.1")
        finally:
            for rule in self.json("holdrules", "list")["rules"]:
                self.cli("holdrules", "rm", rule["id"])

    def test_no_such_user_here(self):
        message_id = self.submit("user2@localhost", "you@near.test")
        self.wait_retired(message_id, 2)
        self.assertEqual([m for m in self.inbox("user1") if message_id in (m["References"] or "")], [])

    def test_null_sender_is_told_nothing(self):
        self.sink["busy"].answers["RCPT"] = ["550 5.1.1 no"]
        before = len(self.inbox("user1"))
        client = smtplib.SMTP(*self.server.submission, timeout=30)
        client.login("user1@localhost", harness.PASSWORD)
        client.sendmail("", ["nobody@busy.test"], b"From: user1@localhost\r\nMessage-ID: <null@e2e.test>\r\n\r\nx\r\n")
        client.quit()
        self.assertEqual(self.wait_retired("<null@e2e.test>")[0]["state"], "failed")
        time.sleep(0.5)
        self.assertEqual(len(self.inbox("user1")), before)

    def test_notify_is_obeyed(self):
        cases = [("NEVER", 0), ("SUCCESS", 1), ("FAILURE", 0), ("SUCCESS,FAILURE,DELAY", 1)]
        for notify, n in cases:
            message_id = self.submit("you@near.test", options=["ENVID=env+2Bid", "RET=HDRS"], rcpt=[f"NOTIFY={notify}"])
            self.wait_retired(message_id)
            time.sleep(0.3)
            found = [m for m in self.inbox() if message_id in (m["References"] or "")]
            self.assertEqual(len(found), n, notify)
            if n:
                message, rcpt = self.status(found[0])
                self.assertEqual(rcpt["Action"], "relayed")  # this sink does no DSN
                self.assertEqual(message["Original-Envelope-Id"], "env+id")
        message_id = self.submit("user2@localhost", rcpt=["NOTIFY=SUCCESS", "ORCPT=rfc822;first@elsewhere.test"])
        report, = self.reports(message_id)
        rcpt = self.status(report)[1]
        self.assertEqual(rcpt["Action"], "delivered")
        self.assertEqual(rcpt["Original-Recipient"], "rfc822; first@elsewhere.test")
        # RET=FULL returns all of a failed one, HDRS the header.
        for ret, whole in (("FULL", True), ("HDRS", False)):
            self.sink["busy"].answers["RCPT"] = ["550 5.7.0 no"]
            message_id = self.submit(f"ret{ret}@busy.test", options=[f"RET={ret}"], body="the secret body\r\n")
            report, = self.reports(message_id)
            self.assertEqual("the secret body" in report.as_string(), whole)

    def test_large_messages(self):
        body = "".join(f"line {i} of a message that is larger than what the database keeps\r\n" for i in range(20000))
        message_id = self.submit("you@many.test", "user3@localhost", body=body)
        self.wait_retired(message_id, 2, 30)
        message, = [m for m in self.sink["many"].messages if message_id.encode() in m["data"]]
        self.assertTrue(message["data"].endswith(body.encode()))
        self.assertEqual([p for p in (self.server.data / "data" / "queue" / "msg").rglob("*")
                          if p.is_file() and p.name.isdigit()], [])


@harness.mailkeep_only
class Administration(QueueCase):
    sinks = ("held", "other")
    extra = "  second: {to: [second.test], transport: other}\n"

    def setUp(self):
        self.cli("holdrules", "add", "--recipient-domain", "held.test")

    def tearDown(self):
        for rule in self.json("holdrules", "list")["rules"]:
            self.cli("holdrules", "rm", rule["id"])
        self.cli("drop", "--all")

    def queued(self, *recipients, **options):
        message_id = self.submit(*recipients, **options)
        return message_id, self.wait(lambda: self.of(message_id, self.entries()), "not queued")

    def test_lists_filters_and_sorting(self):
        ids = []
        for sender, recipient in (("user1", "a"), ("user2", "b"), ("user2", "c"), ("user3", "d")):
            _, (entry,) = self.queued(f"{recipient}@held.test", sender=f"{sender}@localhost")
            ids.append(entry["id"])
        def listed(*words):
            return [entry["id"] for entry in self.entries(*words)]
        self.assertEqual(listed("--sort", "submitted"), ids)
        self.assertEqual(listed("--sort", "-submitted"), ids[::-1])
        self.assertEqual(listed("--sort", "submitted", "--limit", "2"), ids[:2])
        self.assertEqual(listed("--account", "user2", "--sort", "submitted"), ids[1:3])
        self.assertEqual(listed("--account", "user2", "--to", "C@held"), ids[2:3])
        self.assertEqual(listed("--from", "user1@", "--to", "b@"), [])  # ANDed
        self.assertEqual(listed("--hold", "no"), [])
        self.assertEqual(listed("--older", "1h"), [])
        self.assertEqual(sorted(listed("--newer", "1h")), ids)
        self.assertEqual(listed(ids[3], ids[0]), [ids[0], ids[3]])
        self.assertEqual(listed(ids[3], "--account", "user1"), [])
        text = self.cli("list")
        self.assertIn("held", text)
        self.assertIn("a@held.test", text)
        self.assertEqual(self.cli("list", "--to", "nobody"), "nothing matches\n")
        for words in (("list", "x"), ("list", "--older", "soon"), ("list", "--sort", "size"), ("hold",), ("drop",),
                      ("schedule", "tomorrow", "1"), ("transport", "nowhere", "1"), ("requiretls", "maybe", "1"),
                      ("show", "999999"), ("list", "--hold", "perhaps"), ("holdrules", "add"), ("show", "first")):
            self.assertNotEqual(self.cli(*words, check=False).returncode, 0, words)

    def test_hold_unhold_and_history(self):
        message_id, (entry,) = self.queued("x@held.test")
        self.assertEqual(entry["state"], "held")
        time.sleep(0.5)
        self.assertEqual([m for m in self.sink["held"].messages if message_id.encode() in m["data"]], [])
        self.assertIn("1 entry", self.cli("unhold", entry["id"]))
        self.wait_retired(message_id)
        self.assertEqual(len([m for m in self.sink["held"].messages if message_id.encode() in m["data"]]), 1)

    def test_hold_rules_are_anded_and_hold_what_is_there(self):
        self.cli("holdrules", "rm", self.json("holdrules", "list")["rules"][0]["id"])
        done = self.json("holdrules", "add", "--account", "user2", "--recipient-domain", "held.test")
        self.assertEqual(done["held"], 0)
        free = self.submit("x@held.test", sender="user1@localhost")
        self.wait_retired(free)
        held, (entry,) = self.queued("x@held.test", sender="user2@localhost")
        self.assertTrue(entry["hold"])
        other = self.submit("x@other.test", sender="user2@localhost")
        self.wait_retired(other)
        # A rule that comes later holds what waits already.
        waiting, (entry,) = self.queued("x@dead.test")
        self.assertEqual(self.json("holdrules", "add", "--recipient-domain", "dead.test")["held"], 1)
        self.assertTrue(self.entries(entry["id"])[0]["hold"])
        self.assertIn("user2", self.cli("holdrules", "list"))

    def test_schedule(self):
        # The only one to this address: of several due at a dead destination, one is tried for all.
        message_id, (entry,) = self.queued("scheduled@dead.test")
        self.wait(lambda: self.entries(entry["id"])[0]["attempts"] >= 1, "not tried")
        self.cli("schedule", "1h", entry["id"])
        now = time.time() * 1000
        self.assertAlmostEqual(self.entries(entry["id"])[0]["next_ms"], now + 3600000, delta=5000)
        before = self.entries(entry["id"])[0]["next_ms"]
        self.cli("schedule", "+30m", entry["id"])
        self.assertEqual(self.entries(entry["id"])[0]["next_ms"], before + 1800000)
        attempts = self.entries(entry["id"])[0]["attempts"]
        self.cli("schedule", "now", "--to", "scheduled@dead")
        self.wait(lambda: self.entries(entry["id"])[0]["attempts"] > attempts, "not tried at once")
        history = self.json("show", entry["id"])["entry"]["history"]
        self.assertNotIn("not tried", history[-1]["why"])

    def test_transport_and_requiretls(self):
        message_id, (entry,) = self.queued("x@held.test")
        self.cli("transport", "other", entry["id"])
        self.assertEqual(self.entries(entry["id"])[0]["transport"], "other")
        self.assertEqual(len(self.entries("--via", "other")), 1)
        self.cli("requiretls", "no", entry["id"])
        self.assertEqual(self.entries(entry["id"])[0]["require_tls"], "no")
        self.cli("unhold", entry["id"])
        self.wait_retired(message_id)
        self.assertEqual(len([m for m in self.sink["other"].messages if message_id.encode() in m["data"]]), 1)

    def test_fail_tells_and_drop_does_not(self):
        message_id, (entry,) = self.queued("x@held.test")
        self.cli("fail", entry["id"])
        report, = self.reports(message_id)
        self.assertIn("administrator", report.as_string())
        self.assertEqual(self.wait_retired(message_id)[0]["state"], "failed")
        message_id, (entry,) = self.queued("x@held.test")
        self.assertIn("nobody is told", self.cli("drop", "--to", "x@held.test"))
        self.assertEqual(self.wait_retired(message_id)[0]["state"], "dropped")
        time.sleep(0.3)
        self.assertEqual([m for m in self.inbox() if message_id in (m["References"] or "")], [])

    def test_dump(self):
        body = "".join(f"{i} and so on\r\n" for i in range(60000))
        message_id, (entry,) = self.queued("x@held.test", body=body)
        done = subprocess.run([harness.PROGRAM, "queue", "dump", str(entry["id"]), "--config",
                               str(self.server.data / "config")], capture_output=True, timeout=60)
        self.assertEqual(done.returncode, 0)
        self.assertTrue(done.stdout.endswith(body.encode()))
        self.assertIn(message_id.encode(), done.stdout)
        self.assertTrue(done.stdout.startswith(b"Received: "))

    def test_suppression_by_hand(self):
        self.cli("suppress", "add", "user3", "No.Body+tag@other.test", "--reason", "asked for it")
        self.assertNotEqual(self.cli("suppress", "add", "user3", "nobody@other.test", check=False).returncode, 0)
        message_id = self.submit("nobody-x@other.test", sender="user3@localhost")
        self.assertEqual(self.wait_retired(message_id)[0]["state"], "failed")
        self.assertIn("asked for it", self.cli("suppress", "list"))
        self.cli("suppress", "rm", "user3", "nobody@other.test")

    def test_future_release(self):
        message_id, (entry,) = self.queued("x@other.test", options=["HOLDFOR=3"])
        self.assertEqual((entry["state"], entry["attempts"]), ("waiting", 0))
        self.assertGreater(entry["next_ms"], time.time() * 1000 + 1000)
        done, = self.wait_retired(message_id)
        attempt, = self.json("retired", "show", done["id"])["entry"]["history"]
        self.assertAlmostEqual(attempt["started_ms"], entry["next_ms"], delta=200)

    def test_deliver_by(self):
        returned = self.submit("x@dead.test", options=["BY=3;R"])
        told = self.submit("y@dead.test", options=["BY=3;N"], rcpt=["NOTIFY=DELAY"])
        done, = self.wait_retired(returned)
        self.assertEqual(done["state"], "failed")
        report = next(r for r in self.reports(returned, n=len([
            m for m in self.inbox() if returned in (m["References"] or "")]) or 1)
            if self.status(r)[1]["Action"] == "failed")
        self.assertEqual(self.status(report)[1]["Status"], "5.4.7")
        self.wait(lambda: any(self.status(m)[1]["Action"] == "delayed" for m in self.inbox()
                              if told in (m["References"] or "")), "no notice of the delay")

    def test_priorities_order_a_lane(self):
        ids = {}
        for priority in (-4, 0, 6):
            message_id, (entry,) = self.queued("x@held.test", options=[f"MT-PRIORITY={priority}"])
            ids[priority] = message_id
        self.cli("unhold", "--hold", "yes")
        for message_id in ids.values():
            self.wait_retired(message_id)


@harness.mailkeep_only
class Restart(QueueCase):
    sinks = ("slow",)

    def test_what_waits_survives_a_restart(self):
        self.cli("holdrules", "add", "--all")
        ids = [self.submit(f"r{i}@slow.test", body="x" * (400000 if i % 3 == 0 else 100) + "\r\n") for i in range(6)]
        self.assertEqual(len(self.entries()), 6)
        self.server.stop()
        self.server.start()
        self.assertEqual(len(self.entries("--hold", "yes")), 6)
        again = self.submit("new@slow.test")
        self.assertEqual(len(self.entries("--hold", "yes")), 7)  # the rule, too
        rule, = self.json("holdrules", "list")["rules"]
        self.cli("holdrules", "rm", rule["id"])
        self.cli("unhold", "--all")
        for message_id in [*ids, again]:
            self.wait_retired(message_id)
            self.assertEqual(len([m for m in self.sink["slow"].messages if message_id.encode() in m["data"]]), 1)

    def test_reload_changes_the_way(self):
        self.cli("holdrules", "add", "--all")
        message_id = self.submit("x@slow.test")
        path = self.server.data / "config" / "mailkeep.yaml"
        text = path.read_text()
        path.write_text(text.replace("  slow: {to: [slow.test], transport: slow}", "  slow: {to: [slow.test], transport: refuse}"))
        try:
            subprocess.run([harness.PROGRAM, "config", "reload", "--config", str(self.server.data / "config")], check=True,
                           capture_output=True, timeout=60)
            self.cli("unhold", "--all")
            self.assertEqual(self.wait_retired(message_id)[0]["state"], "failed")
        finally:
            path.write_text(text)
            subprocess.run([harness.PROGRAM, "config", "reload", "--config", str(self.server.data / "config")], check=True,
                           capture_output=True, timeout=60)
            for rule in self.json("holdrules", "list")["rules"]:
                self.cli("holdrules", "rm", rule["id"])
