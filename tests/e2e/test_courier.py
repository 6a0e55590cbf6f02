"""The courier against servers that a test controls: MX choice, TLS, logins, proxies, and all the ways in
which a remote server can be slow, broken or hostile. Runs courier_try (the courier's own code without the
rooms) against smtp_sink.
"""

import base64
import json
import os
import pathlib
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import time
import unittest

import harness
import package
import smtp_sink
from smtp_sink import PASSWORD, Sink

TRY = pathlib.Path(harness.PROGRAM).parent / "src" / "rooms" / "courier_try"
BODY = b"Subject: hello\r\nMessage-ID: <1@sender.example>\r\n\r\n.a line with a dot\r\nand the end\r\n"
ALL = ["PIPELINING", "8BITMIME", "SMTPUTF8", "DSN", "CHUNKING", "SIZE 1000000", "ENHANCEDSTATUSCODES"]
SECONDS = 60

SERVER = """hostname: client.example
data_directory: ../data
postmaster: me
listeners: {{local: {{addresses: ["127.0.0.1"], smtp: {{port: {own_port}}}}}}}
transports:
  d: {{kind: direct, port: {port}}}
"""


@unittest.skipIf(harness.is_peer(), "of our own courier")
class CourierCase(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = pathlib.Path(tempfile.mkdtemp(prefix="mailkeep-courier-"))
        cls.addClassCleanup(shutil.rmtree, cls.folder, True)
        cls.authority = smtp_sink.Authority(cls.folder)
        cls.good, cls.good_hash = cls.authority.context("mx", "DNS:mx.example,DNS:mx1.example,DNS:mx2.example")
        cls.good12, cls.good12_hash = cls.authority.context("mx12", "DNS:mx.example", newest=ssl.TLSVersion.TLSv1_2)
        (cls.folder / "body").write_bytes(BODY)

    def setUp(self):
        self.facts, self.sinks = [], []
        self.ip = harness.own_ip()
        self.port = smtp_sink.free_port(self.ip)
        self.transports = []
        self.own_port = 25

    def sink(self, ip=None, **options):
        """A server at the test's port; as the host mx.example unless the test says otherwise."""
        sink = Sink(ip or self.ip, self.port, **{"extensions": ALL, **options})
        self.sinks.append(sink.start())
        self.addCleanup(sink.stop)
        return sink

    def simple(self, **options):
        """rcpt.example has one server."""
        self.facts += ["rcpt.example MX 10 mx.example", f"mx.example A {self.ip}"]
        return self.sink(**options)

    def attempts(self, *recipients, domain="rcpt.example", transport="d", options=(), seconds=SECONDS):
        config = self.folder / "config"
        config.mkdir(exist_ok=True)
        text = SERVER.format(port=self.port, own_port=self.own_port)
        (config / "mailkeep.yaml").write_text(text + "".join(f"  {line}\n" for line in self.transports))
        (config / "domains.yaml").write_text(
            "domains: {client.example: {}}\naccounts: {me: {addresses: [me@client.example]}}\n")
        (self.folder / "facts").write_text("\n".join(self.facts) + "\n")
        done = subprocess.run(
            [TRY, "--config", config, "--facts", self.folder / "facts", "--sender", "me@client.example", "--domain",
             domain, "--transport", transport, "--body", self.folder / "body", "--secret", f"pw={PASSWORD}",
             *map(str, options), *(recipients or ["you@rcpt.example"])],
            capture_output=True, text=True, timeout=seconds)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        replies = [json.loads(line) for line in done.stdout.splitlines()]
        for reply in replies:
            self.assertEqual(reply["status"], "ok")
        for sink in self.sinks:
            self.assertEqual(sink.failures, [])
        return replies

    def attempt(self, *recipients, **options):
        reply, = self.attempts(*recipients, **options)
        return reply

    def assert_outcome(self, reply, outcome, enhanced=None, code=None, why=""):
        for one in reply["outcomes"]:
            self.assertEqual(one["outcome"], outcome, one)
            self.assertIn(why, one["why"])
            if enhanced is not None:
                self.assertEqual(one["enhanced"], enhanced, one)
            if code is not None:
                self.assertEqual(one["code"], code, one)


class Hosts(CourierCase):
    def ips(self, n):
        return [harness.own_ip() for _ in range(n)]

    def two_hosts(self, first=10, second=20):
        one, two = self.ips(2)
        self.facts += [f"rcpt.example MX {first} mx1.example", f"rcpt.example MX {second} mx2.example",
                       f"mx1.example A {one}", f"mx2.example A {two}"]
        return one, two

    def test_a_message_arrives_whole(self):
        sink = self.simple()
        reply = self.attempt("you@rcpt.example", "and@rcpt.example")
        self.assert_outcome(reply, "delivered")
        message, = sink.messages
        self.assertEqual(message["data"], BODY)
        self.assertEqual(message["helo"], "client.example")
        self.assertTrue(message["sender"].startswith("FROM:<me@client.example>"))
        self.assertEqual([to.split()[0] for to in message["recipients"]], ["TO:<you@rcpt.example>", "TO:<and@rcpt.example>"])
        self.assertEqual({o["transaction"] for o in reply["outcomes"]}, {1})
        self.assertEqual((reply["outcomes"][0]["host"], reply["outcomes"][0]["address"]), ("mx.example", self.ip))

    def test_the_preferred_host_is_first(self):
        one, two = self.two_hosts(20, 10)
        first, second = self.sink(one), self.sink(two)
        self.assert_outcome(self.attempt(), "delivered")
        self.assertEqual((first.connections, len(second.messages)), (0, 1))

    def test_a_dead_host_leads_to_the_next(self):
        one, two = self.two_hosts()
        second = self.sink(two)
        reply = self.attempt()
        self.assert_outcome(reply, "delivered")
        self.assertEqual([h["host"] for h in reply["hosts"]], ["mx1.example", "mx2.example"])
        self.assertIn("refused", reply["hosts"][0]["result"])
        self.assertEqual(len(second.messages), 1)

    def test_a_host_that_refuses_service_leads_to_the_next(self):
        for verb, answer in (("GREETING", "554 5.3.2 no"), ("GREETING", "421 4.3.2 later"), ("GREETING", "521 never"),
                             ("EHLO", "421 4.3.2 later"), ("EHLO", "550 5.7.1 not you"), ("MAIL", "451 4.3.0 hm"),
                             ("MAIL", "421 4.3.2 later")):
            with self.subTest(verb=verb, answer=answer):
                self.setUp()
                one, two = self.two_hosts()
                first, second = self.sink(one), self.sink(two)
                first.answers[verb] = [answer] * 2
                self.assert_outcome(self.attempt(), "delivered")
                self.assertEqual((first.messages, len(second.messages)), ([], 1))

    def test_a_judgement_ends_the_search(self):
        for verb, answer, outcome in (("RCPT", "550 5.1.1 nobody", "failed"), ("RCPT", "450 4.2.0 greylisted", "deferred"),
                                      ("MAIL", "550 5.7.1 no", "failed"), ("DATA", "554 5.6.0 no", "failed"),
                                      ("END", "554 5.6.0 junk", "failed"), ("END", "451 4.3.0 full", "deferred")):
            with self.subTest(verb=verb, answer=answer):
                self.setUp()
                one, two = self.two_hosts()
                without = [e for e in ALL if e != "CHUNKING" or verb != "DATA"]
                first, second = self.sink(one, extensions=without), self.sink(two)
                first.answers[verb] = [answer]
                reply = self.attempt()
                self.assert_outcome(reply, outcome, code=int(answer[:3]), enhanced=answer.split()[1])
                self.assertEqual(reply["outcomes"][0]["lines"], [answer])
                self.assertEqual(second.connections, 0)

    def test_recipients_are_judged_one_by_one(self):
        sink = self.simple()
        sink.answers["RCPT"] = ["550 5.1.1 nobody", "250 ok", "450 4.2.2 full"]
        reply = self.attempt("a@rcpt.example", "b@rcpt.example", "c@rcpt.example")
        self.assertEqual([o["outcome"] for o in reply["outcomes"]], ["failed", "delivered", "deferred"])
        self.assertEqual([o["command"] for o in reply["outcomes"] if o["code"]][0], "RCPT TO")

    def test_when_all_hosts_fail_the_best_hope_counts(self):
        for answers, outcome in ((("521 never", "521 never"), "failed"), (("521 never", "421 later"), "deferred"),
                                 (("421 later", "521 never"), "deferred"), (("554 no", "554 no"), "deferred")):
            with self.subTest(answers=answers):
                self.setUp()
                for ip, answer in zip(self.two_hosts(), answers):
                    self.sink(ip).answers["GREETING"] = [answer]
                self.assert_outcome(self.attempt(), outcome)

    def test_what_the_dns_says_ends_it(self):
        self.facts = ["null.example MX 0 .", "gone.example MX nxdomain", "sick.example MX servfail",
                      "forged.example MX bogus", "bare.example TXT \"x\"", "lost.example MX 10 nowhere.invalid"]
        for domain, outcome, enhanced in (("null.example", "failed", "5.1.10"), ("gone.example", "failed", "5.1.2"),
                                          ("sick.example", "deferred", "4.4.3"), ("forged.example", "deferred", "4.4.3"),
                                          ("bare.example", "failed", "5.4.4"), ("lost.example", "failed", "5.4.4"),
                                          ("[192.0.2]", "failed", "5.1.2"), ("", "failed", "5.1.2")):
            with self.subTest(domain=domain):
                self.assert_outcome(self.attempt(domain=domain), outcome, enhanced)

    def test_domains_without_mx_and_aliases(self):
        self.facts = [f"plain.example A {self.ip}", "alias.example CNAME plain.example", "other.example CNAME mail.example",
                      "mail.example MX 5 mx.example", f"mx.example A {self.ip}"]
        sink = self.sink()
        for domain in ("plain.example", "alias.example", "other.example", f"[{self.ip}]"):
            self.assert_outcome(self.attempt(domain=domain), "delivered")
        self.assertEqual(len(sink.messages), 4)

    def test_we_are_our_own_server(self):
        """RFC 5321 section 5.1: hosts from our own preference on are not used."""
        self.own_port = self.port
        self.facts = ["ours.example MX 10 client.example", "ours.example MX 20 mx.example", f"mx.example A {self.ip}",
                      "client.example A 127.0.0.1", "ip.example MX 10 odd.example", "odd.example A 127.0.0.1",
                      "backup.example MX 5 mx.example", "backup.example MX 10 odd.example", "backup.example MX 20 x.example"]
        sink = self.sink()
        for domain in ("ours.example", "ip.example", "client.example", "[127.0.0.1]"):
            with self.subTest(domain=domain):
                self.assert_outcome(self.attempt(domain=domain), "failed", "5.4.6")
        self.assertEqual(sink.connections, 0)
        self.assert_outcome(self.attempt(domain="backup.example"), "delivered")
        sink.answers["GREETING"] = ["421 later"]
        reply = self.attempt(domain="backup.example")
        self.assert_outcome(reply, "deferred")
        self.assertEqual([h["host"] for h in reply["hosts"]], ["mx.example"])

    def test_ipv6(self):
        self.facts = ["six.example MX 1 mx6.example", "mx6.example AAAA ::1", f"mx6.example A {self.ip}"]
        six = self.sink("::1")
        reply = self.attempt(domain="six.example")
        self.assert_outcome(reply, "delivered")
        self.assertEqual((reply["outcomes"][0]["address"], len(six.messages)), ("::1", 1))
        four = self.sink()
        self.transports = [f"v4: {{kind: direct, port: {self.port}, address_family: ipv4}}"]
        self.assert_outcome(self.attempt(domain="six.example", transport="v4"), "delivered")
        self.assertEqual((len(four.messages), len(six.messages)), (1, 1))
        self.assert_outcome(self.attempt(domain="[IPv6:::1]", transport="v4"), "failed", "5.4.4")
        self.assert_outcome(self.attempt(domain="[IPv6:::1]"), "delivered")

    def test_the_other_family_is_tried_when_one_is_dead(self):
        self.facts = ["half.example MX 1 mxh.example", "mxh.example AAAA ::1", f"mxh.example A {self.ip}"]
        sink = self.sink()  # nobody listens at ::1
        self.assert_outcome(self.attempt(domain="half.example"), "delivered")
        self.assertEqual(len(sink.messages), 1)

    def test_a_first_refusal_by_policy_is_tried_with_the_other_family(self):
        self.facts = ["six.example MX 1 mx6.example", "mx6.example AAAA ::1", f"mx6.example A {self.ip}"]
        six, four = self.sink("::1"), self.sink()
        six.answers["RCPT"] = ["550 5.7.1 no PTR"] * 2
        first, second = self.attempts(domain="six.example", options=["--times", "2"])
        self.assert_outcome(first, "deferred", "4.7.1", why="other family")
        self.assert_outcome(second, "delivered")
        self.assertEqual(len(four.messages), 1)
        six.answers["RCPT"] = ["550 5.7.1 no PTR"]
        self.assert_outcome(self.attempt(domain="six.example", options=["--attempt", "2"]), "failed", "5.7.1")


class Tls(CourierCase):
    def tls_of(self, reply):
        return reply["hosts"][-1]["tls"]

    @staticmethod
    def results(reply):
        """What TLS reports are made of."""
        return [f"{one['policy']} {one['domain']} {one['result']}" for one in reply["tls_results"]]

    def test_opportunistic_takes_any_certificate_and_says_so(self):
        sink = self.simple(tls=self.good)
        reply = self.attempt()
        self.assert_outcome(reply, "delivered")
        self.assertTrue(sink.messages[0]["tls"])
        self.assertIn("TLSv1.3", self.tls_of(reply))
        self.assertIn("not verified", self.tls_of(reply))
        self.transports = [f"known: {{kind: direct, port: {self.port}, ca: {self.authority.certificate}}}"]
        self.assertIn("certificate verified", self.tls_of(self.attempt(transport="known")))

    def test_extensions_are_forgotten_at_starttls(self):
        sink = self.simple(tls=self.good)
        self.attempt()
        verbs = [line.split()[0].upper() for _, line in sink.commands]
        self.assertEqual(verbs[:3], ["EHLO", "STARTTLS", "EHLO"])

    def test_a_refused_starttls_goes_on_in_clear(self):
        for answer in ("454 4.7.0 not now", "501 5.5.2 no", "502 what"):
            with self.subTest(answer=answer):
                self.setUp()
                sink = self.simple(tls=self.good)
                sink.answers["STARTTLS"] = [answer]
                reply = self.attempt()
                self.assert_outcome(reply, "delivered")
                self.assertEqual((sink.messages[0]["tls"], sink.connections, self.tls_of(reply)), (False, 1, "none"))

    def test_a_broken_handshake_goes_on_in_clear_on_a_new_connection(self):
        for kind in ("reset", "garbage"):
            with self.subTest(kind=kind):
                self.setUp()
                sink = self.simple(tls=self.good)
                sink.handshake = kind
                reply = self.attempt()
                self.assert_outcome(reply, "delivered")
                self.assertEqual((sink.messages[0]["tls"], sink.connections), (False, 2))
                self.assertIn("failed", reply["hosts"][0]["tls"])
                self.assertEqual(reply["hosts"][1]["tls"], "none")

    def test_old_tls_goes_on_in_clear(self):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*self.authority.issue("old", "DNS:mx.example"))
        context.set_ciphers("ALL:@SECLEVEL=0")
        context.minimum_version, context.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
        sink = self.simple(tls=context)
        with self.ignore_tls_errors(sink):
            self.assert_outcome(self.attempt(), "delivered")
        self.assertEqual([m["tls"] for m in sink.messages], [False])

    def ignore_tls_errors(self, sink):
        """A server that notices our alert is no failure of the test."""
        class Ignore:
            def __enter__(inner):
                self.sinks.remove(sink)

            def __exit__(inner, *_):
                self.sinks.append(sink)
                sink.failures.clear()
        return Ignore()

    def required(self, **more):
        fields = {"kind": "direct", "port": self.port, "tls": "required", "ca": self.authority.certificate, **more}
        self.transports = ["r: {" + ", ".join(f"{k}: {v}" for k, v in fields.items()) + "}"]

    def test_required_is_required(self):
        self.required()
        sink = self.simple(tls=self.good)
        reply = self.attempt(transport="r")
        self.assert_outcome(reply, "delivered")
        self.assertIn("certificate verified", self.tls_of(reply))
        self.assertTrue(sink.messages[0]["tls"])

    def test_required_never_falls_back(self):
        wrong, _ = self.authority.context("wrong", "DNS:other.example")
        stranger, _ = smtp_sink.Authority(self.folder, "stranger").context("strange", "DNS:mx.example")
        cases = {"no STARTTLS": dict(tls=None), "another name": dict(tls=wrong), "another authority": dict(tls=stranger),
                 "reset": dict(tls=self.good), "garbage": dict(tls=self.good), "454": dict(tls=self.good)}
        for name, options in cases.items():
            with self.subTest(name):
                self.setUp()
                self.required()
                sink = self.simple(**options)
                if name in ("reset", "garbage"):
                    sink.handshake = name
                if name == "454":
                    sink.answers["STARTTLS"] = ["454 4.7.0 not now"]
                with self.ignore_tls_errors(sink):
                    reply = self.attempt(transport="r")
                self.assert_outcome(reply, "deferred")
                self.assertEqual((sink.messages, sink.connections), ([], 1))

    def test_bytes_behind_starttls_are_no_answers(self):
        """CVE-2011-0411 from the other side: what came in clear must not count as said inside TLS."""
        for behind in (b"250 injected\r\n", b"x", b"250-sink.example\r\n250 AUTH PLAIN\r\n"):
            with self.subTest(behind=behind):
                self.setUp()
                sink = self.simple(tls=self.good)
                sink.after_starttls = behind
                with self.ignore_tls_errors(sink):
                    reply = self.attempt()
                self.assert_outcome(reply, "deferred")
                self.assertEqual(self.results(reply), ["no-policy-found rcpt.example validation-failure"])
                self.assertEqual(sink.connections, 1)
                self.assertEqual(sink.messages, [])

    def test_implicit_tls(self):
        self.transports = [f"i: {{kind: smtp, host: mx.example, port: {self.port}, tls: implicit, "
                           f"ca: {self.authority.certificate}}}"]
        self.facts = [f"mx.example A {self.ip}"]
        sink = self.sink(tls=self.good, implicit=True)
        reply = self.attempt(transport="i")
        self.assert_outcome(reply, "delivered")
        self.assertIn("certificate verified", self.tls_of(reply))
        self.assertTrue(sink.messages[0]["tls"])
        plain = self.port = smtp_sink.free_port(self.ip)
        self.transports = [self.transports[0].replace(str(sink.port), str(plain))]
        plain = self.sink()  # speaks SMTP where TLS is expected
        self.assert_outcome(self.attempt(transport="i"), "deferred", why="TLS")
        self.assertEqual(plain.messages, [])

    def test_what_protected_a_message_is_told(self):
        self.facts = ["signed.example MX 10 mx.signed.example secure", f"mx.signed.example A {self.ip} secure",
                      f"_{self.port}._tcp.mx.signed.example TLSA 3 1 1 " + "00" * 32 + " secure",
                      "forged.example MX 10 mx.forged.example", "mx.forged.example A bogus", "mx.forged.example AAAA nodata",
                      "plain.example MX 10 mx.example", f"mx.example A {self.ip}"]
        sink = self.sink(tls=self.good)
        with self.ignore_tls_errors(sink):
            refused = self.attempt(domain="signed.example")
        forged, plain = self.attempt(domain="forged.example"), self.attempt(domain="plain.example")
        self.assert_outcome(refused, "deferred", "4.7.5")
        self.assertEqual(self.results(refused), ["tlsa mx.signed.example validation-failure"])
        self.assertIn("TLSA records (DANE) demand TLS", refused["hosts"][0]["demands"])
        self.assert_outcome(forged, "deferred", "4.4.3")
        self.assertEqual(self.results(forged), ["no-policy-found forged.example dnssec-invalid"])
        self.assertEqual([reply["hosts"][0]["protection"] for reply in (refused, forged, plain)], ["", "", "unverified"])
        sink.tls = None
        self.assertEqual(self.attempt(domain="plain.example")["hosts"][0]["protection"], "clear")

    def test_require_tls_of_the_message(self):
        """RFC 8689: verified TLS, REQUIRETLS announced, and a way to the host that is signed."""
        self.transports = [f"k: {{kind: direct, port: {self.port}, ca: {self.authority.certificate}}}",
                           f"n: {{kind: direct, port: {self.port}, tls: none}}"]
        options = ["--require-tls"]
        sink = self.sink(tls=self.good, extensions=ALL + ["REQUIRETLS"])
        self.facts = ["signed.example MX 10 mx.example secure", "plain.example MX 10 mx.example", f"mx.example A {self.ip}"]
        self.assert_outcome(self.attempt(domain="signed.example", transport="k", options=options), "delivered")
        self.assertIn("REQUIRETLS", sink.messages[0]["sender"])
        self.assert_outcome(self.attempt(domain="plain.example", transport="k", options=options), "failed", "5.7.30")
        self.assert_outcome(self.attempt(domain="signed.example", transport="n", options=options), "failed", "5.7.30")
        sink.extensions = ALL
        self.assert_outcome(self.attempt(domain="signed.example", transport="k", options=options), "failed", "5.7.30")
        self.assertEqual(len(sink.messages), 1)

    def test_require_tls_is_not_led_astray_by_an_alias(self):
        """An unsigned CNAME could lead to a host with a fine certificate of its own."""
        own, _ = self.authority.context("own", "DNS:own.example,DNS:stranger.example")
        self.transports = [f"k: {{kind: direct, port: {self.port}, ca: {self.authority.certificate}}}"]
        self.facts = [f"own.example A {self.ip}", "alias.example CNAME stranger.example", f"stranger.example A {self.ip}"]
        sink = self.sink(tls=own, extensions=ALL + ["REQUIRETLS"])
        for domain, outcome in (("own.example", "delivered"), ("alias.example", "failed")):
            with self.subTest(domain=domain):
                reply = self.attempt(domain=domain, transport="k", options=["--require-tls"])
                self.assert_outcome(reply, outcome)
        self.assertEqual(len(sink.messages), 1)


class Login(CourierCase):
    def submission(self, sink_options=None, **more):
        fields = {"kind": "submission", "host": "mx.example", "port": self.port, "user": "ada", "secret": "pw",
                  "ca": self.authority.certificate, **more}
        self.transports = ["s: {" + ", ".join(f"{k}: {v}" for k, v in fields.items() if v is not None) + "}"]
        self.facts = [f"mx.example A {self.ip}"]
        return self.sink(**{"tls": self.good, "end_point": self.good_hash, **(sink_options or {})})

    def test_each_mechanism(self):
        for mechanism in ("PLAIN", "LOGIN", "CRAM-MD5", "SCRAM-SHA-1", "SCRAM-SHA-256"):
            with self.subTest(mechanism):
                self.setUp()
                sink = self.submission({"mechanisms": [mechanism]})
                self.assert_outcome(self.attempt(transport="s"), "delivered")
                self.assertEqual(sink.messages[0]["user"], "ada")

    def test_bound_mechanisms_come_first(self):
        """With the binding that RFC 9266 prefers, which Python's ssl cannot compute: that it is the right one is
        shown by test_exchange, where a mailkeep logs in to a mailkeep, and by the unit tests of src/tls."""
        sink = self.submission({"mechanisms": ["SCRAM-SHA-256", "SCRAM-SHA-1-PLUS", "SCRAM-SHA-256-PLUS"]})
        self.assert_outcome(self.attempt(transport="s"), "deferred", code=535)
        auth, = [line.split() for _, line in sink.commands if line.upper().startswith("AUTH")]
        self.assertEqual(auth[1], "SCRAM-SHA-256-PLUS")
        self.assertTrue(base64.b64decode(auth[2]).startswith(b"p=tls-exporter,,n=ada,"))

    def test_the_strongest_is_chosen(self):
        sink = self.submission({"mechanisms": ["LOGIN", "PLAIN", "CRAM-MD5", "SCRAM-SHA-1", "SCRAM-SHA-256"]})
        self.assert_outcome(self.attempt(transport="s"), "delivered")
        auth, = [line for _, line in sink.commands if line.upper().startswith("AUTH")]
        self.assertEqual(auth.split()[1], "SCRAM-SHA-256")

    def test_the_configured_one_is_chosen(self):
        sink = self.submission({"mechanisms": ["PLAIN", "CRAM-MD5", "SCRAM-SHA-256"]}, mechanisms="[CRAM-MD5]")
        self.assert_outcome(self.attempt(transport="s"), "delivered")
        auth, = [line for _, line in sink.commands if line.upper().startswith("AUTH")]
        self.assertEqual(auth.split()[1], "CRAM-MD5")
        sink = self.sinks[0]
        sink.mechanisms = ["PLAIN"]
        self.assert_outcome(self.attempt(transport="s"), "deferred")

    def test_a_password_is_not_shown_in_clear(self):
        """Neither without TLS nor in TLS with a certificate that is not verified."""
        for tls in ("none", "opportunistic"):
            for mechanism in ("PLAIN", "LOGIN"):
                with self.subTest(tls=tls, mechanism=mechanism):
                    self.setUp()
                    sink = self.submission({"mechanisms": [mechanism]}, tls=tls, ca=None)
                    self.assert_outcome(self.attempt(transport="s"), "deferred")
                    self.assertFalse([line for _, line in sink.commands if "AUTH" in line.upper()])
                    self.assertEqual(sink.messages, [])

    def test_a_refused_login_is_for_the_administrator(self):
        sink = self.submission({"mechanisms": ["SCRAM-SHA-256"]})
        sink.answers["AUTH"] = ["535 5.7.8 no"]
        reply = self.attempt(transport="s")
        self.assert_outcome(reply, "deferred", code=535)
        self.assertEqual(reply["outcomes"][0]["command"], "AUTH")

    def test_a_server_that_does_not_know_the_password_is_left(self):
        """RFC 5802: the server's signature proves it; one that just says yes is an impostor."""
        sink = self.submission({"mechanisms": ["SCRAM-SHA-256"]})
        sink.answers["AUTH"] = ["235 2.7.0 of course"]
        self.assert_outcome(self.attempt(transport="s"), "deferred")
        self.assertEqual(sink.messages, [])

    def test_a_missing_secret_is_said(self):
        self.submission({"mechanisms": ["PLAIN"]}, secret="other")
        self.assert_outcome(self.attempt(transport="s"), "deferred", "4.3.5", why="`other`")

    def test_an_unknown_transport_is_said(self):
        self.simple()
        self.assert_outcome(self.attempt(transport="gone"), "deferred", "4.3.5", why="`gone`")

    def test_a_transport_that_fails(self):
        self.transports = ["no: {kind: fail, message: \"5.7.1 not from here\"}", "later: {kind: fail, code: 451}"]
        self.assert_outcome(self.attempt(transport="no"), "failed", "5.7.1", why="not from here")
        self.assert_outcome(self.attempt(transport="later"), "deferred", "4.7.1")


class Reuse(CourierCase):
    def test_a_connection_serves_several_attempts(self):
        sink = self.simple(tls=self.good)
        replies = self.attempts(options=["--times", "5"])
        for reply in replies:
            self.assert_outcome(reply, "delivered")
        self.assertEqual([reply["reused"] for reply in replies], [False, True, True, True, True])
        self.assertEqual((sink.connections, len(sink.messages)), (1, 5))

    def test_a_kept_connection_that_is_refused_at_mail_is_replaced(self):
        for answer in ("421 4.3.2 enough of you", "451 4.7.1 one message at a time", "421"):
            with self.subTest(answer=answer):
                self.setUp()
                sink = self.simple()
                sink.answers["MAIL"] = ["250 2.1.0 ok", answer]
                self.assert_outcome(self.attempts(options=["--times", "2"])[1], "delivered")
                self.assertEqual(sink.connections, 2)

    def test_a_transaction_that_was_refused_is_reset(self):
        sink = self.simple()
        sink.answers["RCPT"] = ["550 5.1.1 nobody"]
        first, second = self.attempts(options=["--times", "2"])
        self.assert_outcome(first, "failed")
        self.assert_outcome(second, "delivered")
        self.assertEqual((sink.connections, second["reused"]), (1, True))
        self.assertIn((1, "RSET"), sink.commands)

    def test_a_server_that_closes_after_each_message(self):
        sink = self.simple()
        sink.drop_after = None
        original = smtp_sink.Session.accept

        def accept_and_leave(session, data):
            original(session, data)
            raise smtp_sink.Dropped
        smtp_sink.Session.accept = accept_and_leave
        self.addCleanup(setattr, smtp_sink.Session, "accept", original)
        for reply in self.attempts(options=["--times", "4", "--pause", "50"]):
            self.assert_outcome(reply, "delivered")
        self.assertEqual((sink.connections, len(sink.messages)), (4, 4))

    def test_kept_connections_are_closed_in_time(self):
        sink = self.simple()
        replies = self.attempts(options=["--times", "2", "--pause", "7500"])
        self.assertEqual([reply["reused"] for reply in replies], [False, False])
        self.assertEqual(sink.connections, 2)
        self.assertIn((1, "QUIT"), sink.commands)

    def test_a_busy_server_is_left_alone(self):
        sink = self.simple()
        sink.answers["RCPT"] = ["421 4.7.0 slow down"]
        reply = self.attempt()
        self.assert_outcome(reply, "deferred")
        self.assertTrue(reply["busy"])

    def test_limits_are_told_and_kept(self):
        """RFC 9422"""
        sink = self.simple(extensions=ALL + ["LIMITS RCPTMAX=2 MAILMAX=2"])
        reply = self.attempt(*[f"r{i}@rcpt.example" for i in range(9)])
        self.assert_outcome(reply, "delivered")
        self.assertEqual(reply["recipient_limit"], 2)
        self.assertEqual([len(m["recipients"]) for m in sink.messages], [2, 2, 2, 2, 1])
        self.assertEqual(len({o["transaction"] for o in reply["outcomes"]}), 5)
        self.assertLessEqual(max(sum(m["connection"] == c for m in sink.messages) for c in range(1, 9)), 2)


class Hostile(CourierCase):
    """What a server can do to a client. Each ends soon, without a crash, and never as a delivery that was none."""

    def test_endless_replies(self):
        for verb in ("EHLO", "MAIL", "RCPT", "DATA"):
            with self.subTest(verb):
                self.setUp()
                sink = self.simple(extensions=[e for e in ALL if e != "CHUNKING"])
                sink.endless = verb
                began = time.monotonic()
                reply = self.attempt()
                self.assertLess(time.monotonic() - began, 30)
                self.assert_outcome(reply, "deferred")

    def test_endless_lines(self):
        sink = self.simple()
        sink.answers["EHLO"] = ["250 " + "x" * 2000000]
        self.assert_outcome(self.attempt(), "deferred")

    def test_replies_before_commands(self):
        sink = self.simple()
        sink.early = b"250 ok\r\n250 ok\r\n250 ok\r\n354 go\r\n250 taken\r\n"
        reply = self.attempt()
        self.assertIn(reply["outcomes"][0]["outcome"], ("deferred", "failed"))
        self.assertEqual(sink.messages, [])

    def test_nonsense(self):
        for text in ("", "hello", "2", "22", "220hello", "99 x", "000 x", "999 x", "220-a\r\n250 b", "\x00\x01\x02",
                     "HTTP/1.1 400 Bad Request", "-1 x", "2e2 x", "+20 x", "220\tx", "160 x"):
            with self.subTest(text=text):
                self.setUp()
                sink = self.simple()
                sink.greeting = text or "\r\n"
                began = time.monotonic()
                reply = self.attempt()
                self.assertLess(time.monotonic() - began, 20)
                self.assertIn(reply["outcomes"][0]["outcome"], ("delivered", "deferred"))

    def test_text_of_a_server_is_cleaned(self):
        sink = self.simple()
        sink.answers["RCPT"] = ["550-5.1.1 \x1b[31mred\x07\r\n550 5.1.1 \udcff end"]
        sink_say = smtp_sink.Session.say
        smtp_sink.Session.say = lambda s, text: s.send(text.encode("utf-8", "surrogateescape") + b"\r\n")
        self.addCleanup(setattr, smtp_sink.Session, "say", sink_say)
        reply = self.attempt()
        self.assert_outcome(reply, "failed", "5.1.1", 550)
        for text in reply["outcomes"][0]["lines"] + [reply["outcomes"][0]["why"], reply["hosts"][0]["result"]]:
            self.assertTrue(text.isprintable(), text)

    def test_a_reply_of_any_size_fits_a_packet(self):
        """Lines, reasons and names are cut before an outcome is; texts stay whole characters."""
        for n in (1, 100, 1000):
            with self.subTest(n=n):
                self.setUp()
                sink = self.simple(extensions=[])
                line = "\u00e9" * 900
                sink.answers["RCPT"] = [f"550-5.1.1 {line}\r\n550-5.1.1 {line}\r\n550 5.1.1 a{line}"] * n
                reply = self.attempt(*[f"r{i}@rcpt.example" for i in range(n)])
                self.assertEqual(len(reply["outcomes"]), n)
                self.assert_outcome(reply, "failed", "5.1.1", 550)
                self.assertLess(reply["packed"], 120 * 1024)
                self.assertNotIn("\ufffd", json.dumps(reply, ensure_ascii=False))

    def test_421_at_every_step(self):
        for verb in ("GREETING", "EHLO", "STARTTLS", "AUTH", "MAIL", "RCPT", "DATA", "END"):
            with self.subTest(verb):
                self.setUp()
                self.transports = [f"s: {{kind: submission, host: mx.example, port: {self.port}, user: ada, secret: pw, "
                                   f"ca: {self.authority.certificate}}}"]
                sink = self.simple(tls=self.good, mechanisms=["SCRAM-SHA-256"],
                                   extensions=[e for e in ALL if e != "CHUNKING"])
                sink.answers[verb] = ["421 4.3.2 closing"]
                reply = self.attempt(transport="s")
                self.assert_outcome(reply, "deferred")
                self.assertEqual((sink.messages, reply["busy"]), ([], True))

    def drop_everywhere(self, n_bytes, transport="d", **options):
        sink = self.simple(**options)
        sink.drop_after = lambda number: number - 1 if number <= n_bytes else None
        return sink, self.attempts(transport=transport, options=["--times", n_bytes], seconds=300)

    def test_the_line_drops_at_every_byte(self):
        """All that the server says in a delivery in clear, cut after each byte: either it had said that it took the
        message, or the message is tried again; a connection that ended early is never a delivery."""
        sink = self.simple()
        self.assert_outcome(self.attempt(), "delivered")
        total = len("220 sink.example ESMTP\r\n") + sum(len(f"250-{e}\r\n") for e in ["sink.example"] + ALL) + \
            len("250 2.1.0 ok\r\n250 2.1.5 ok\r\n250 2.0.0 taken\r\n354 go on\r\n")
        self.setUp()
        sink, replies = self.drop_everywhere(total + 5)
        n_delivered = sum(reply["outcomes"][0]["outcome"] == "delivered" for reply in replies)
        for reply in replies:
            self.assertIn(reply["outcomes"][0]["outcome"], ("delivered", "deferred"))
        self.assertLessEqual(n_delivered, len(sink.messages))
        self.assertGreaterEqual(n_delivered, 5)
        # Taken, but its answer lost: the window in which a message may come twice.
        self.assertLessEqual(len(sink.messages) - n_delivered, len("250 2.0.0 taken\r\n"))

    def test_the_line_drops_around_starttls(self):
        """With required TLS: nothing is ever delivered in clear, nothing is lost."""
        self.transports = [f"r: {{kind: direct, port: {self.port}, tls: required, ca: {self.authority.certificate}}}"]
        sink, replies = self.drop_everywhere(260, transport="r", tls=self.good)
        sink.failures.clear()
        for reply in replies:
            self.assertIn(reply["outcomes"][0]["outcome"], ("delivered", "deferred"))
        self.assertFalse([m for m in sink.messages if not m["tls"]])


def is_open(ip, port):
    with socket.socket() as probe:
        return probe.connect_ex((ip, port)) == 0


class Proxy(CourierCase):
    """SOCKS5 through microsocks, unpacked from Debian's package below build/."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.microsocks = package.Program("microsocks", "microsocks")

    def proxy(self, *arguments):
        if not self.microsocks.path:
            self.skipTest("no microsocks: " + self.microsocks.why)
        ip = harness.own_ip()
        port = smtp_sink.free_port(ip)
        process = subprocess.Popen([self.microsocks.path, "-i", ip, "-p", str(port), *arguments], stdout=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL)
        self.addCleanup(process.wait)
        self.addCleanup(process.terminate)
        harness.wait_for(lambda: is_open(ip, port), 5)
        return ip, port

    def through(self, ip, port, more=""):
        self.transports = [f"p: {{kind: socks, host: \"{ip}\", port: {port}, remote_port: {self.port}{more}}}"]

    def test_mail_goes_through_the_proxy(self):
        ip, port = self.proxy()
        self.through(ip, port, ", ehlo_name: proxy.example")
        sink = self.simple(tls=self.good)
        reply = self.attempt(transport="p")
        self.assert_outcome(reply, "delivered")
        message, = sink.messages
        self.assertEqual((message["helo"], message["tls"], message["data"]), ("proxy.example", True, BODY))
        self.assertEqual(reply["outcomes"][0]["address"], self.ip)

    def test_a_proxy_with_a_login(self):
        ip, port = self.proxy("-u", "ada", "-P", PASSWORD)
        sink = self.simple()
        self.through(ip, port, ", user: ada, secret: pw")
        self.assert_outcome(self.attempt(transport="p"), "delivered")
        self.through(ip, port, ", user: eve, secret: pw")
        self.assert_outcome(self.attempt(transport="p"), "deferred", "4.3.5", why="login")
        self.through(ip, port)
        self.assert_outcome(self.attempt(transport="p"), "deferred", "4.3.5", why="login")
        self.assertEqual(len(sink.messages), 1)

    def test_hosts_behind_the_proxy_are_tried_in_turn(self):
        ip, port = self.proxy()
        self.through(ip, port)
        dead = harness.own_ip()
        self.facts = ["rcpt.example MX 1 dead.example", "rcpt.example MX 2 mx.example", f"dead.example A {dead}",
                      f"mx.example A {self.ip}"]
        sink = self.sink()
        reply = self.attempt(transport="p")
        self.assert_outcome(reply, "delivered")
        self.assertIn("refused", reply["hosts"][0]["result"])
        self.assertEqual(len(sink.messages), 1)

    def test_a_dead_proxy_is_said(self):
        self.simple()
        self.through(harness.own_ip(), 1)
        self.assert_outcome(self.attempt(transport="p"), "deferred", "4.4.1", why="proxy")

    def test_ipv6_through_the_proxy(self):
        ip, port = self.proxy()
        self.through(ip, port)
        sink = self.sink("::1")
        self.assert_outcome(self.attempt(domain="[IPv6:::1]", transport="p"), "delivered")
        self.assertEqual(len(sink.messages), 1)


class Dante(CourierCase):
    """The same roads through another implementation of SOCKS5: dante."""

    CONFIG = """logoutput: {folder}/log
internal: {ip} port = {port}
external: lo
user.privileged: root
user.unprivileged: nobody
clientmethod: none
socksmethod: none
client pass {{ from: 0.0.0.0/0 to: 0.0.0.0/0 }}
{rule}
"""
    PASS = "socks pass { from: 0.0.0.0/0 to: 0.0.0.0/0 command: connect }"
    BLOCK = "socks block { from: 0.0.0.0/0 to: 0.0.0.0/0 }"

    def proxy(self, rule):
        danted = package.Program("danted", "dante-server", "libwrap0")
        if not danted.path or os.geteuid() != 0:
            self.skipTest("no dante: " + (danted.why or "it needs root"))
        folder = pathlib.Path(tempfile.mkdtemp(prefix="mailkeep-dante-"))
        self.addCleanup(shutil.rmtree, folder, ignore_errors=True)
        ip = harness.own_ip()
        port = smtp_sink.free_port(ip)
        config = folder / "danted.conf"
        config.write_text(self.CONFIG.format(folder=folder, ip=ip, port=port, rule=rule))
        process = subprocess.Popen([danted.path, "-f", config, "-p", folder / "pid"], env=danted.environment(),
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
        self.addCleanup(process.wait)
        self.addCleanup(os.killpg, process.pid, signal.SIGTERM)
        if not harness.wait_for(lambda: is_open(ip, port), 10):
            self.fail("dante does not listen: " + (folder / "log").read_text())
        self.transports = [f"p: {{kind: socks, host: \"{ip}\", port: {port}, remote_port: {self.port}}}"]

    def test_mail_goes_through_dante(self):
        self.proxy(self.PASS)
        sink = self.simple(tls=self.good)
        self.assert_outcome(self.attempt(transport="p"), "delivered")
        message, = sink.messages
        self.assertEqual((message["tls"], message["data"]), (True, BODY))

    def test_what_dante_forbids_is_said(self):
        self.proxy(self.BLOCK)
        sink = self.simple()
        reply = self.attempt(transport="p")
        self.assert_outcome(reply, "deferred")
        self.assertIn("not allowed", reply["outcomes"][0]["why"] + reply["hosts"][0]["result"])
        self.assertEqual(sink.messages, [])


if __name__ == "__main__":
    unittest.main()
