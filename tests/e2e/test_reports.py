"""Reports to other domains: mail comes in and goes out, is counted, and who asks for it is told, once."""

import email
import email.policy
import gzip
import json
import os
import pathlib
import re
import shutil
import signal
import smtplib
import subprocess
import tempfile
import time
import unittest
import xml.etree.ElementTree as ElementTree

import dns_server
import harness
import smtp_sink
import test_queue

SCHEMA = pathlib.Path(__file__).with_name("dmarc_rfc7489.xsd")
N_CRASH = 40

TABLE = """
insecure secure.test
secure.test TXT "v=spf1 ip4:127.0.0.0/8 -all"
_dmarc.secure.test TXT "v=DMARC1; p=none; sp=reject; rua=mailto:dmarc@owner.test,mailto:evil@nowhere.test"
secure.test._report._dmarc.owner.test TXT "v=DMARC1"
insecure strict.test
strict.test TXT "v=spf1 -all"
_dmarc.strict.test TXT "v=DMARC1; p=reject; pct=100; fo=1; rua=mailto:strict@strict.test"
insecure small.test
small.test TXT "v=spf1 ip4:127.0.0.0/8 -all"
_dmarc.small.test TXT "v=DMARC1; p=none; rua=mailto:dmarc@small.test!10"
insecure quiet.test
quiet.test TXT "v=spf1 ip4:127.0.0.0/8 -all"
_dmarc.quiet.test TXT "v=DMARC1; p=reject"
insecure looping.test
looping.test TXT "v=spf1 ip4:127.0.0.0/8 -all"
_dmarc.looping.test TXT "v=DMARC1; p=none; rua=mailto:dmarc@looping.test"
insecure vanishing.test
vanishing.test TXT "v=spf1 ip4:127.0.0.0/8 -all"
_dmarc.vanishing.test TXT "v=DMARC1; p=none; rua=mailto:dmarc@vanishing.test"
insecure suppressed.test
suppressed.test TXT "v=spf1 ip4:127.0.0.0/8 -all"
_dmarc.suppressed.test TXT "v=DMARC1; p=none; rua=mailto:dmarc@suppressed.test"
insecure target.test
target.test MX 10 mx.target.test
mx.target.test A {sink}
_smtp._tls.target.test TXT "v=TLSRPTv1; rua=mailto:tls@owner.test,https://mta.owner.test/take"
mta.owner.test A {nobody}
insecure untold.test
untold.test MX 10 mx.untold.test
mx.untold.test A {sink}
insecure ours.test
ours.test TXT "v=spf1 ip4:127.0.0.0/8 -all"
_dmarc.ours.test TXT "v=DMARC1; p=none; rua=mailto:user1@ours.test"
helo.test A 127.0.0.1
"""

CONFIG = """
reports:
  address: reports@reporter.test
  organization: Reporters & Sons
  suppress: [suppressed.test]
resolver: {{mode: forward, validate: false, servers: ["{dns}"]}}
"""


def command(server, *words, check=True):
    done = subprocess.run([harness.PROGRAM, *map(str, words), "--config", str(server.data / "config")],
                          capture_output=True, text=True, timeout=90)
    if check and done.returncode != 0:
        raise AssertionError(f"{words} gave {done.returncode}: {done.stdout}{done.stderr}")
    return done.stdout


class ReportsCase(test_queue.QueueCase):
    sinks = ("owner", "strict", "small", "looping", "vanishing", "suppressed", "nowhere", "crash")
    table = TABLE

    @classmethod
    def setUpClass(cls):
        cls.mx = smtp_sink.Sink(harness.own_ip()).start()
        cls.addClassCleanup(cls.mx.stop)
        cls.dns = dns_server.DnsServer(cls.table.format(sink=cls.mx.ip, nobody=harness.own_ip())).start()
        cls.addClassCleanup(cls.dns.stop)
        cls.queue = test_queue.QUEUE + f"  near: {{kind: direct, port: {cls.mx.port}}}\n"
        cls.extra = ("  near1: {to: [target.test, untold.test], transport: near}\n"
                     + CONFIG.format(dns=f"{cls.dns.address}:{cls.dns.port}"))
        super().setUpClass()

    # --- steps ---

    def receive(self, domain, subject="a letter", extra="", code=250):
        message = (f"From: someone@{domain}\r\nTo: me@localhost\r\nSubject: {subject}\r\n"
                   f"Date: Mon, 30 Nov 2026 10:00:00 +0000\r\nMessage-ID: <{time.monotonic_ns()}@{domain}>\r\n"
                   f"{extra}\r\nHello.\r\n")
        with smtplib.SMTP(*self.server.smtp, local_hostname="helo.test", timeout=60) as client:
            client.ehlo()
            client.mail(f"someone@{domain}")
            client.rcpt("me@localhost")
            answer = client.data(message.encode())
        self.assertEqual(answer[0], code, answer)

    def topics(self, kind, *words):
        return json.loads(command(self.server, kind, "show", *words, "--json"))["topics"]

    def topic(self, kind, domain):
        found = self.topics(kind, domain)
        return found[0] if found else None

    def counted(self, kind, domain, n):
        """The rows, when they are n together."""
        def enough():
            topic = self.topic(kind, domain)
            return topic if topic and sum(row["count"] for row in topic["rows"]) == n else None
        return self.wait(enough, f"{kind} of {domain} does not come to {n}: {self.topics(kind, domain)}")

    def close_the_day(self):
        command(self.server, "reports", "send")

    def done(self, kind, domain):
        def ended():
            topic = self.topic(kind, domain)
            return topic if topic and topic["state"] == "done" else None
        return self.wait(ended, f"{kind} of {domain} is not done: {self.topics(kind, domain)}", 30)

    def arrived(self, sink, address, n=1):
        def enough():
            found = [m for m in self.sink[sink].messages if self.recipient(m) == address]
            return found if len(found) >= n else None
        return self.wait(enough, f"nothing for {address}: {self.entries()}", 30)

    @staticmethod
    def recipient(message):
        return re.sub(r".*<(.*)>.*", r"\1", message["recipients"][0])

    @staticmethod
    def parse(message):
        return email.message_from_bytes(message["data"], policy=email.policy.default)

    def document(self, mail, content_type):
        part, = [p for p in mail.walk() if p.get_content_type() == content_type]
        return part.get_filename(), gzip.decompress(part.get_payload(decode=True))

    def validate(self, xml):
        if not shutil.which("xmllint"):
            return
        with tempfile.NamedTemporaryFile() as file:
            file.write(xml)
            file.flush()
            self.run_tool("xmllint", "--noout", "--nonet", "--schema", SCHEMA, file.name)


@harness.mailkeep_only
class Dmarc(ReportsCase):
    def test_messages_are_counted_and_the_owner_is_told(self):
        for _ in range(3):
            self.receive("secure.test")
        self.receive("quiet.test")
        self.receive("strict.test", code=550)
        self.receive("small.test")
        self.receive("suppressed.test")
        self.receive("vanishing.test")
        self.receive("looping.test", subject="Report Domain: localhost Submitter: looping.test Report-ID: <1@looping.test>")
        row, = self.counted("dmarc", "secure.test", 3)["rows"]
        self.assertEqual((row["disposition"], row["spf_aligned"], row["dkim_aligned"], row["header_from"]),
                         ("pass", True, False, "secure.test"))
        row, = self.counted("dmarc", "strict.test", 1)["rows"]
        self.assertEqual((row["disposition"], row["spf_aligned"]), ("reject", False))
        for domain in ("small.test", "suppressed.test", "vanishing.test", "looping.test"):
            self.counted("dmarc", domain, 1)
        self.assertEqual(self.topics("dmarc", "quiet.test"), [])
        text = command(self.server, "dmarc", "show", "secure.test")
        self.assertIn("3 messages from 127.", text)
        self.assertIn("counting", text)
        # The record as it is when the report is due counts.
        self.forget("_dmarc.vanishing.test")
        self.close_the_day()

        topic = self.done("dmarc", "secure.test")
        self.assertEqual([(d["state"], d["uri"]) for d in topic["dispatches"]],
                         [("sent", "mailto:dmarc@owner.test"), ("not sent", "mailto:evil@nowhere.test")])
        self.assertIn("does not allow", topic["dispatches"][1]["why"])
        message, = self.arrived("owner", "dmarc@owner.test")
        self.check_report(message, "secure.test", topic["dispatches"][0]["report_id"], [(3, "none", "fail", "pass")],
                          {"p": "none", "sp": "reject"})
        message, = self.arrived("strict", "strict@strict.test")
        self.check_report(message, "strict.test", None, [(1, "reject", "fail", "fail")], {"p": "reject", "fo": "1"})
        self.assertIn("larger", self.done("dmarc", "small.test")["dispatches"][0]["why"])
        self.assertIn("suppress", self.done("dmarc", "suppressed.test")["why"])
        self.assertIn("report mail", self.done("dmarc", "looping.test")["why"])
        vanished = self.done("dmarc", "vanishing.test")
        self.assertEqual(vanished["dispatches"], [])
        self.assertIn("no DMARC record", vanished["why"])
        for sink in ("small", "suppressed", "looping", "vanishing", "nowhere"):
            self.assertEqual(self.sink[sink].messages, [], sink)
        # Once told is told.
        self.close_the_day()
        time.sleep(1.5)
        self.assertEqual(len(self.arrived("owner", "dmarc@owner.test")), 1)
        self.assertEqual(self.topics("dmarc", "--day", "2001-01-01"), [])
        self.assertGreaterEqual(len(self.topics("dmarc", "--day", "today")), 6)

    def forget(self, name):
        """Takes a record out of the DNS, and the caches' memory of it."""
        labels = dns_server.labels_of(name)
        self.dns.zone.records.pop((labels, dns_server.TYPES["TXT"]), None)
        for room in ("resolver", "courier"):
            for pid in self.server.rooms(room):
                os.kill(pid, signal.SIGKILL)
        self.wait(lambda: self.server.rooms("resolver") and self.server.rooms("courier"), "rooms do not come back")

    def check_report(self, message, domain, report_id, rows, policy):
        mail = self.parse(message)
        subject = re.fullmatch(r"Report Domain: (\S+) Submitter: (\S+) Report-ID: <(\S+)>", mail["Subject"])
        self.assertTrue(subject, mail["Subject"])
        self.assertEqual(subject.group(1, 2), (domain, "reporter.test"))
        if report_id:
            self.assertEqual(subject.group(3), report_id)
        self.assertEqual(mail["From"].addresses[0].addr_spec, "reports@reporter.test")
        self.assertEqual(mail["From"].addresses[0].display_name, "Reporters & Sons")
        self.assertIn("reports@reporter.test", str(message["sender"]))
        name, xml = self.document(mail, "application/gzip")
        self.assertRegex(name, rf"^reporter\.test!{domain}!\d+!\d+\.xml\.gz$")
        self.validate(xml)
        root = ElementTree.fromstring(xml)
        self.assertEqual(root.findtext("report_metadata/report_id"), subject.group(3))
        self.assertEqual(root.findtext("report_metadata/org_name"), "Reporters & Sons")
        begin, end = (int(root.findtext(f"report_metadata/date_range/{part}")) for part in ("begin", "end"))
        self.assertEqual(begin % 86400, 0)
        self.assertGreaterEqual(end, begin)
        published = {child.tag: child.text for child in root.find("policy_published")}
        self.assertEqual(published["domain"], domain)
        for tag, value in policy.items():
            self.assertEqual(published[tag], value)
        found = [(int(r.findtext("row/count")), *(r.findtext(f"row/policy_evaluated/{tag}")
                                                  for tag in ("disposition", "dkim", "spf"))) for r in root.iter("record")]
        self.assertEqual(found, rows)
        record = next(root.iter("record"))
        self.assertRegex(record.findtext("row/source_ip"), r"^127\.")
        self.assertEqual(record.findtext("identifiers/header_from"), domain)
        self.assertEqual(record.findtext("auth_results/spf/domain"), domain)


@harness.mailkeep_only
class Own(ReportsCase):
    def test_a_report_about_a_domain_of_our_own_stays_in_the_house(self):
        command(self.server, "domain", "add", "ours.test")
        command(self.server, "address", "add", "user1", "user1@ours.test")
        self.receive("ours.test")
        self.counted("dmarc", "ours.test", 1)
        self.close_the_day()
        self.done("dmarc", "ours.test")
        found, = self.wait(lambda: [m for m in self.inbox() if "Report Domain: ours.test" in (m["Subject"] or "")],
                           f"no report: {self.entries()}")
        _, xml = self.document(found, "application/gzip")
        self.validate(xml)
        self.assertEqual(ElementTree.fromstring(xml).findtext("policy_published/domain"), "ours.test")


@harness.mailkeep_only
class Tls(ReportsCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        command(cls.server, "domain", "add", "reporter.test")
        text = command(cls.server, "dkim", "key", "add", "reporter.test", "s1", "--type", "ed25519")
        text = re.sub(r"\(([^)]*)\)", lambda m: " ".join(m.group(1).split()), text)
        name, data = re.search(r"(?m)^(\S+)\. IN TXT (.*)$", text).groups()
        cls.dns.add(f"{name} TXT {data}")
        command(cls.server, "dkim", "key", "sign", "reporter.test", "s1", "--running")

    def check_signature(self, message):
        signature = re.sub(r"\s", "", self.parse(message)["DKIM-Signature"])
        signed = re.search(r"h=([^;]*)", signature).group(1).lower().split(":")
        self.assertIn("d=reporter.test", signature)
        for name in ("from", "tls-report-domain", "tls-report-submitter", "tls-required"):
            self.assertIn(name, signed)
        with tempfile.TemporaryDirectory() as folder:
            path, anchor = pathlib.Path(folder) / "message.eml", pathlib.Path(folder) / "anchor"
            path.write_bytes(message["data"])
            anchor.write_text(self.dns.anchor)
            done = subprocess.run([harness.PROGRAM, "dkim", "verify", "--json", "--anchor", anchor, "--resolver",
                                   f"{self.dns.address}:{self.dns.port}", path], capture_output=True, timeout=60)
        self.assertEqual(json.loads(done.stdout)["messages"][0]["signatures"][0]["result"], "pass", done.stdout)

    def test_sessions_are_counted_and_the_domain_is_told(self):
        self.wait_retired(self.submit("you@target.test"))
        self.wait_retired(self.submit("you@target.test"))  # by the same session
        self.wait_retired(self.submit("you@untold.test"))
        self.wait_retired(self.submit("you@crash.test"))  # by a smarthost: not the domain's own server
        row, = self.counted("tlsrpt", "target.test", 1)["rows"]
        self.assertEqual((row["policy"], row["policy_domain"], row["result"], row["host"]),
                         ("no-policy-found", "target.test", "starttls-not-supported", "mx.target.test"))
        self.counted("tlsrpt", "untold.test", 1)
        self.assertIn("starttls-not-supported", command(self.server, "tlsrpt", "show", "target.test"))
        self.close_the_day()

        message, = self.arrived("owner", "tls@owner.test")
        self.check_signature(message)
        mail = self.parse(message)
        self.assertEqual((mail["TLS-Report-Domain"], mail["TLS-Report-Submitter"], mail["TLS-Required"]),
                         ("target.test", "reporter.test", "No"))
        self.assertEqual((mail.get_content_type(), mail.get_param("report-type")), ("multipart/report", "tlsrpt"))
        self.assertRegex(mail["Subject"], r"^Report Domain: target\.test Submitter: reporter\.test Report-ID: <\S+@reporter\.test>$")
        name, text = self.document(mail, "application/tlsrpt+gzip")
        self.assertRegex(name, r"^reporter\.test!target\.test!\d+!\d+\.json\.gz$")
        report = json.loads(text)
        self.assertEqual(report["organization-name"], "Reporters & Sons")
        self.assertEqual(report["contact-info"], "reports@reporter.test")
        self.assertIn(report["report-id"], mail["Subject"])
        policy, = report["policies"]
        self.assertEqual(policy["policy"]["policy-type"], "no-policy-found")
        self.assertEqual(policy["policy"]["policy-domain"], "target.test")
        self.assertEqual(policy["summary"], {"total-successful-session-count": 0, "total-failure-session-count": 1})
        failure, = policy["failure-details"]
        self.assertEqual((failure["result-type"], failure["failed-session-count"], failure["receiving-mx-hostname"],
                          failure["receiving-ip"]), ("starttls-not-supported", 1, "mx.target.test", self.mx.ip))
        # By HTTPS nobody answers: it is tried again.
        def states():
            topic = self.topic("tlsrpt", "target.test")
            found = {d["uri"].split(":")[0]: d for d in topic["dispatches"]}
            return found if len(found) == 2 and found["https"]["tries"] > 0 and found["https"]["why"] else None
        found = self.wait(states, f"{self.topics('tlsrpt', 'target.test')}")
        self.assertEqual((found["mailto"]["state"], found["https"]["state"]), ("sent", "waiting"))
        self.assertGreater(found["https"]["next"], found["https"]["begun"])
        untold = self.done("tlsrpt", "untold.test")
        self.assertEqual(untold["dispatches"], [])
        self.assertTrue(untold["why"])
        # Nothing is told about the delivery of reports.
        time.sleep(1.5)
        self.assertEqual({t["domain"] for t in self.topics("tlsrpt")}, {"target.test", "untold.test"})


@harness.mailkeep_only
class Off(ReportsCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.server.stop()
        path = cls.server.data / "config" / "mailkeep.yaml"
        path.write_text(path.read_text().replace("reports:\n", "reports:\n  dmarc: false\n  tls: false\n"))
        cls.server.start()

    def test_nothing_is_counted_where_reports_are_turned_off(self):
        self.receive("secure.test")
        self.wait_retired(self.submit("you@target.test"))
        time.sleep(2.5)
        self.assertEqual(self.topics("dmarc") + self.topics("tlsrpt"), [])
        self.assertIn("nothing was counted", command(self.server, "dmarc", "show"))
        self.assertIn("no policies are kept", command(self.server, "mtasts", "list"))
        self.assertIn("no policy", self.failing("mtasts", "forget", "example.org"))
        self.assertIn("no domain", self.failing("mtasts", "list", "a..b"))
        self.assertIn("wanted", self.failing("dmarc", "show", "--day", "soon"))

    def failing(self, *words):
        done = subprocess.run([harness.PROGRAM, *words, "--config", str(self.server.data / "config")],
                              capture_output=True, text=True, timeout=60)
        self.assertNotEqual(done.returncode, 0, done.stdout)
        return done.stderr


@harness.mailkeep_only
class Crash(ReportsCase):
    table = TABLE + "".join(
        f"insecure d{i}.crash.test\nd{i}.crash.test TXT \"v=spf1 ip4:127.0.0.0/8 -all\"\n"
        f"_dmarc.d{i}.crash.test TXT \"v=DMARC1; p=none; rua=mailto:r{i}@crash.test\"\n"
        f"d{i}.crash.test._report._dmarc.crash.test TXT \"v=DMARC1\"\n" for i in range(N_CRASH))

    def kill(self, room):
        for pid in self.server.rooms(room):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass

    def all_topics(self):
        try:
            return [t for t in self.topics("dmarc") if t["domain"].endswith("crash.test")]
        except AssertionError:
            return []  # the steward is just starting

    def test_each_report_is_sent_once_however_often_rooms_are_killed(self):
        for i in range(N_CRASH):
            self.receive(f"d{i}.crash.test")
            if i % 8 == 3:
                self.kill("steward")  # what it had counted stays, what was on its way comes again
        self.wait(lambda: len(self.all_topics()) == N_CRASH, f"not all is counted: {len(self.all_topics())}", 60)
        for i in range(N_CRASH):
            self.counted("dmarc", f"d{i}.crash.test", 1)
        self.close_the_day()
        for n_kill in range(6):  # each pause before a new start is longer
            time.sleep(0.02 + 0.03 * n_kill)
            self.kill("queue" if n_kill == 4 else "steward")
            self.wait(lambda: self.server.rooms("steward"), "no steward", 60)
        # A question to the DNS that is lost on a busy machine costs a second try, half a minute later and more.
        if not harness.wait_for(lambda: self.all_topics() and all(t["state"] == "done" for t in self.all_topics()), 240):
            self.fail(f"not all is done: {[t for t in self.all_topics() if t['state'] != 'done'][:3]}")
        topics = self.all_topics()
        self.assertEqual({t["state"] for t in topics}, {"done"}, topics)
        self.assertEqual({d["state"] for t in topics for d in t["dispatches"]}, {"sent"})
        wanted = sorted(f"r{i}@crash.test" for i in range(N_CRASH))
        self.wait(lambda: len(self.sink["crash"].messages) >= N_CRASH, "not all have come", 60)
        time.sleep(3)
        entries = self.retired() + self.entries()
        ids = [e["message_id"] for e in entries if e["account"] == "(reports)"]
        self.assertEqual(len(ids), len(set(ids)), "a report was queued twice")
        self.assertEqual(sorted(e["recipient"] for e in entries if e["account"] == "(reports)"), wanted)
        self.assertEqual(sorted(set(self.recipient(m) for m in self.sink["crash"].messages)), wanted)


if __name__ == "__main__":
    unittest.main()
