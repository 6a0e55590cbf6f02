"""What becomes of mail: a message to every domain of delivery_cases.py, all at once, through a mailkeep as it is run in
earnest, and then its end, in words and figures, what the server saw, and what went over the cable in clear.

Postfix sends to the same domains; where it decides otherwise, the table says why.
"""

import collections
import concurrent.futures
import json
import re
import smtplib
import time

import lab
from delivery_cases import TABLES, World
from harness import PASSWORD, wait_for
from mailkeep import unverified

PARALLEL = 6
SECONDS = 300
ALONE = """
queue: {first_retry: 1h, max_connections: 1000}
limits: {sent_per_day: unlimited, first_time_recipients_per_day: unlimited}
"""
ONCE = "minimal_backoff_time = 600s\nmaximal_backoff_time = 600s\nqueue_run_delay = 600s"
VERDICTS = {"dane": "verified", "mta-sts": "verified", "dane and mta-sts": "verified", "authorities": "verified",
            "unverified": "encrypted", "clear": "clear", "deferred": "refused", "failed": "refused"}


def message(sender, recipient, text, *fields):
    return (f"From: <{sender}>\r\nTo: <{recipient}>\r\nSubject: {text}\r\n" + "".join(f"{field}\r\n" for field in fields)
            + f"\r\nThe words are: {text}.\r\n")


class Delivery(lab.LabCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.world, cls.one, cls.began = World(cls.lab), cls.lab.mailkeep("one", settings=ALONE), time.monotonic()
        cls.cases, postfix = cls.world.cases, cls.lab.postfix(ONCE)
        with cls.lab.capture("one") as cls.seen:
            cls.send()
            cls.send_by_postfix(postfix)
            ended = wait_for(cls.ended, SECONDS, 1)
            cls.postfix_said = wait_for(lambda: cls.all_said(postfix.log()), 120, 1)
        cls.postfix_log = postfix.log()
        cls.entries = ended or {entry["recipient"]: entry for entry in cls.entries_of()}
        with concurrent.futures.ThreadPoolExecutor(PARALLEL) as pool:
            cls.histories = dict(zip(cls.entries, pool.map(cls.history, cls.entries.values())))
        cls.streams = collections.defaultdict(list)
        for client, server, there, _ in cls.seen.streams(25):
            if client in (cls.one.host.ip4, cls.one.host.ip6):
                cls.streams[server].append(there)
        print(f"# {len(cls.cases)} messages in {time.monotonic() - cls.began:.0f} s", flush=True)

    # --- sending ---

    @classmethod
    def send(cls):
        with smtplib.SMTP_SSL(cls.one.host.ip4, 465, context=unverified(), timeout=60) as client:
            client.login("me@one.lab", PASSWORD)
            for name, case in cls.cases.items():
                fields = ["TLS-Required: No"] if case.wish in ("optional", "both") else []
                options = ["REQUIRETLS"] if case.wish in ("require", "both") else []
                client.sendmail("me@one.lab", [f"you@{case.domain}"],
                                message("me@one.lab", f"you@{case.domain}", name, *fields), mail_options=options)

    @classmethod
    def send_by_postfix(cls, postfix):
        with smtplib.SMTP(postfix.host.ip4, 25, timeout=60) as client:
            for name, case in cls.cases.items():
                if not case.postfix.startswith("-"):
                    client.sendmail("pia@postfix.lab", [f"you@{case.domain}"],
                                    message("pia@postfix.lab", f"you@{case.domain}", name))

    @classmethod
    def entries_of(cls):
        lists = [json.loads(cls.one.command("queue", *words, "list", "--limit", "10000", "--json"))["entries"]
                 for words in ((), ("retired",))]
        return [entry for entries in lists for entry in entries if entry["recipient"].startswith("you@") and entry["attempts"] > 0]

    @classmethod
    def ended(cls):
        entries = cls.entries_of()
        return {entry["recipient"]: entry for entry in entries} if len(entries) == len(cls.cases) else None

    @classmethod
    def history(cls, entry):
        return cls.one.history(entry, retired=entry["state"] in ("delivered", "failed"))

    # --- comparing ---

    def outcome(self, case):
        attempt = self.attempt(case)
        return attempt["protection"] if attempt["outcome"] == "delivered" else attempt["outcome"]

    def attempt(self, case):
        return self.histories.get(f"you@{case.domain}", [{"outcome": "nothing became of it", "tls_results": [], "enhanced": ""}])[0]

    def went_by_a_kept_connection(self, name, case):
        """Where domains share a host, one may find the connection that another has left: no new session, no fact."""
        shared = case.shared or name in {other.shared for other in self.cases.values()}
        return bool(shared) and self.attempt(case)["outcome"] == "delivered" and not self.attempt(case)["tls_results"]

    def check(self, name, case):
        """What is not as it should be: [(what, found, expected)]."""
        attempt = self.attempt(case)
        found = [("outcome", self.outcome(case), case.outcome),
                 ("code", attempt["enhanced"] if case.is_refused() else "", case.code),
                 *([] if self.went_by_a_kept_connection(name, case) else self.facts(case, attempt["tls_results"])),
                 *self.at_server(name, case), *self.on_wire(name, case)]
        return [(what, got, wanted) for what, got, wanted in found if got != wanted]

    @staticmethod
    def facts(case, results):
        expected = sorted(case.expected_facts())
        got = sorted(f"{one['policy']} {one['result']}" + (f": {one['reason']}" if one["reason"] else "") for one in results)
        if len(got) == len(expected):  # reasons count where they are expected
            got = [wanted if one.startswith(wanted) else one for one, wanted in zip(got, expected)]
        yield "facts", got, expected
        yield "policy domains", {one["domain"] for one in results if one["policy"] != "tlsa"} - {case.domain}, set()

    def at_server(self, name, case):
        server, marker = self.world.server(name), f"The words are: {name}.".encode()
        got = [one for one in server.messages if "me@one.lab" in one["sender"] and marker in one["data"]]
        yield "server's trouble", server.failures, []
        yield "over TLS", [one["tls"] for one in got], [] if case.is_refused() else [case.outcome != "clear"]
        if got and got[0]["tls"]:
            yield "SNI", case.sni if case.sni in server.names else server.names, case.sni
        if got:
            offered = "REQUIRETLS" in server.extensions
            yield "REQUIRETLS", "REQUIRETLS" in got[0]["sender"], offered and case.wish in ("require", "both")

    def on_wire(self, name, case):
        streams = self.streams[self.world.server(name).at.ip4]
        whole = b"".join(streams)
        if not case.shared:
            yield "reached", bool(streams), case.reached
        if case.outcome == "clear":
            yield "read on the wire", f"The words are: {name}.".encode() in whole, True  # the capture sees all
        else:
            yield "in clear", [word for word in (b"MAIL FROM", b"RCPT TO", b"The words are", b"you@") if word in whole], []

    def table(self, title):
        cases, wrong = TABLES[title], []
        for name, case in cases.items():
            for what, got, wanted in self.check(name, case):
                wrong.append(f"{name}: {what}: {got}, not {wanted}\n        {self.attempt(case)}")
        outcomes = collections.Counter(case.outcome for case in cases.values())
        print(f"# {title}: {len(cases)} domains, " + ", ".join(f"{n} {what}" for what, n in outcomes.items()), flush=True)
        self.assertEqual(wrong, [], "\n" + "\n".join(wrong))

    # --- the tables ---

    def test_secure_insecure_and_bogus_at_every_step(self):
        self.table("combinations")

    def test_tlsa_records_that_nobody_can_use(self):
        self.table("bad TLSA records")

    def test_certificates_and_their_records(self):
        self.table("certificates")

    def test_starttls_missing_refused_broken_and_stripped(self):
        self.table("servers")

    def test_policies(self):
        self.table("policies")

    def test_what_messages_ask_for(self):
        self.table("wishes")

    def test_senders_are_told_why(self):
        """RFC 8689 section 5, RFC 3464."""
        failed = {case.domain: case.code for case in self.cases.values() if case.outcome == "failed"}
        told = {}
        for whole in self.one.mail():
            about = re.search(rb"Final-Recipient: rfc822; *you@(\S+)", whole)
            status = re.search(rb"\nStatus: (\S+)", whole)
            if about and status:
                told[about.group(1).decode()] = status.group(1).decode()
        self.assertEqual(told, failed)

    def test_hostile_names(self):
        self.table("hostile names")

    def test_no_tlsa_records_are_looked_for_behind_insecure_addresses(self):
        """RFC 7672 section 2.2.2: some servers of the DNS answer such questions with failures."""
        asked = {name.lower().rstrip(".") for name, kind in self.seen.queries() if name.lower().startswith("_25._tcp")}
        self.assertTrue(any(name.endswith(".as.lab") for name in asked), "none were asked for at all")
        self.assertEqual([name for name in asked if name.endswith((".ai.lab", ".ab.lab"))], [])

    # --- Postfix ---

    @classmethod
    def all_said(cls, log):
        return len(set(re.findall(r"to=<(you@[^>]*)>", log))) >= sum(not c.postfix.startswith("-") for c in cls.cases.values())

    def postfix_verdicts(self):
        """{recipient: verdict}: a process of smtp(8) tells of TLS and then of the message."""
        verdicts, tls = {}, {}
        for line in self.postfix_log.splitlines():
            match = re.search(r"postfix/smtp\[(\d+)\]: (.*)", line)
            if not match:
                continue
            process, said = match.groups()
            established = re.match(r"(\w+) TLS connection established to ([^:]*):", said)
            end = re.search(r"to=<(you@[^>]*)>, relay=([^:,]*).* status=(\w+)", said)
            if established:
                tls[process, established.group(2)] = "verified" if established.group(1) == "Verified" else "encrypted"
            elif end:
                recipient, relay, status = end.groups()
                verdict = tls.pop((process, relay), "clear")
                verdicts.setdefault(recipient, verdict if status == "sent" else "refused")
        return verdicts

    def test_postfix_decides_alike(self):
        verdicts, alike, wrong, otherwise = self.postfix_verdicts(), 0, [], collections.defaultdict(list)
        for name, case in self.cases.items():
            expected, _, why = case.postfix.partition(": ")
            verdict = verdicts.get(f"you@{case.domain}")
            if expected == "-":
                continue
            if verdict != (expected or VERDICTS[case.outcome]) or expected == VERDICTS[case.outcome]:
                wrong.append(f"{name}: Postfix {verdict}, not {expected}; mailkeep {case.outcome}")
            if expected:
                otherwise[why].append(f"{name} ({expected}, mailkeep {case.outcome})")
            alike += not expected
        print(f"# Postfix decides alike in {alike} cases", flush=True)
        for why, names in otherwise.items():
            print(f"# otherwise in {len(names)}, since {why}: {', '.join(names)}", flush=True)
        self.assertEqual(wrong, [], "\n" + "\n".join(wrong))
