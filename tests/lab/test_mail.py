"""Mail in the lab: two mailkeeps and Postfix, by the lab's DNS, over TLS; servers that say in the DNS which
certificate they have; policies on the web."""

import re

import lab
from dane_cases import CASES, make
from harness import wait_for
from proxies import PASSWORD, USER, Relay
from web import PATH, Policy, policy
from zones import Zone

TRANSPORTS = """
transports:
  micro: {{kind: socks, host: "{ip}", port: 1080}}
  dante: {{kind: socks, host: "{ip}", port: 1081}}
  guarded: {{kind: socks, host: "{ip}", port: 1082, user: {user}, secret: proxy}}
routes:
  micro: {{to: [micro.lab], transport: micro}}
  dante: {{to: [dante.lab], transport: dante}}
  guarded: {{to: [guarded.lab], transport: guarded}}
"""


def message(sender, recipient, text):
    return f"From: <{sender}>\r\nTo: <{recipient}>\r\nSubject: {text}\r\n\r\nThe words are: {text}.\r\n"


class Exchange(lab.LabCase):
    def servers(self):
        return {"one": self.lab.mailkeep("one"), "two": self.lab.mailkeep("two"), "postfix": self.lab.postfix()}

    def test_each_writes_to_each_and_nothing_goes_in_clear(self):
        servers = self.servers()
        roads = [(a, b) for a in servers for b in servers if a != b]
        with self.lab.capture(*servers) as seen:
            for a, b in roads:
                servers[a].send(message(f"me@{a}.lab", f"me@{b}.lab", f"words from {a} to {b}"), f"me@{b}.lab", sender=f"me@{a}.lab")
            for name, server in servers.items():
                expected = {f"words from {a} to {b}" for a, b in roads if b == name}
                self.assertTrue(wait_for(lambda: self.texts(server) == expected, 30), f"{name}: {self.texts(server)}")
        clear = {(client, server): there for client, server, there, _ in seen.streams(25)
                 if client != self.lab.network.observer.ip4}  # the test itself submits to Postfix without TLS
        self.assertEqual(len(clear), len(roads), clear)
        for there in clear.values():
            self.assertIn(b"STARTTLS\r\n", there)
            self.assertNotIn(b"words from", there)
            self.assertNotIn(b"MAIL FROM", there.upper())
        path = self.lab.host("one").folder / "seen.pcap"
        seen.save(path)
        self.assertGreater(path.stat().st_size, 1000)

    @staticmethod
    def texts(server):
        return {match.group(1).decode() for whole in server.mail() if (match := re.search(rb"The words are: (.*)\.", whole))}

    def test_received_lines_tell_of_tls(self):
        servers = self.servers()
        servers["two"].send(message("me@two.lab", "me@one.lab", "trace"), "me@one.lab")
        whole = wait_for(lambda: [m for m in servers["one"].mail() if b"Subject: trace" in m], 30)[0]
        self.assertRegex(whole, rb"Received: from mx\.two\.lab [^;]*\r\n\tby mx\.one\.lab with ESMTPS \(TLSv1\.3")


class Socks(lab.LabCase):
    zones = [Zone(f"{name}.lab", "@ MX 10 mx\nmx A {postfix.ip4}") for name in ("micro", "dante", "guarded")]

    def test_mail_through_proxies_goes_by_no_other_way(self):
        address = self.lab.host("socks").ip4
        self.lab.socks()
        one = self.lab.mailkeep("one", settings=TRANSPORTS.format(ip=address, user=USER))
        one.command("secret", "set", "proxy", text=PASSWORD + "\n")
        names = [zone.name.rstrip(".") for zone in self.zones]
        postfix = self.lab.postfix(f"virtual_mailbox_domains = {', '.join(names)}")
        with self.lab.capture("one") as seen:
            for name in names:
                one.send(message("me@one.lab", f"pia@{name}", f"through {name}"), f"pia@{name}")
            self.assertTrue(wait_for(lambda: len(postfix.mail()) == len(names), 30), one.queue())
        out = {(target, port) for source, target, port in seen.connections() if source in (one.host.ip4, one.host.ip6) and port != 53}
        self.assertEqual(out, {(address, 1080), (address, 1081), (address, 1082)})


class Dane(lab.LabCase):
    """Postfix as the judge of the lab: what it makes of TLSA records, right and wrong."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.servers, zones = make(cls.lab)
        cls.lab.authority.add(*zones)
        cls.lab.authority.publish()
        cls.postfix = cls.lab.postfix()

    def test_each_case_is_judged_as_the_standard_says(self):
        for name in CASES:
            self.postfix.send(message("pia@postfix.lab", f"you@{name}.lab", name), f"you@{name}.lab")
        for name, case in CASES.items():
            with self.subTest(name):
                verdict = wait_for(lambda: self.verdict(name), 30)
                self.assertEqual(verdict, case.expected, self.about(name))
                self.assertEqual([m["tls"] for m in self.servers[name].messages],
                                 {"refused": [], "clear": [False]}.get(verdict, [True]))

    def about(self, name):
        return "\n".join(line for line in self.postfix.log().splitlines() if re.search(rf"[@.]{name}\.lab", line))

    def verdict(self, name):
        said = self.about(name)
        if f"to=<you@{name}.lab>" not in said:
            return None
        if "status=sent" not in said:
            return "refused"
        tls = re.search(r"(\w+) TLS connection established to mx\.", said)
        return "clear" if not tls else "verified" if tls.group(1) == "Verified" else "encrypted"

    def test_posttls_finger_shows_the_same(self):
        self.assertIn("Verified TLS connection established", self.postfix.finger("dane-ee-key.lab"))
        self.assertIn("no matching DANE TLSA records", self.postfix.finger("wrong-digest.lab"))


class Web(lab.LabCase):
    """Policies of MTA-STS: what curl gets of each, with the authorities that hosts trust."""

    DOMAINS = ("good", "expired", "own", "other", "gone", "moved", "slow")
    zones = [Zone(f"{name}.lab", "_mta-sts TXT \"v=STSv1; id=1\"\nmta-sts A {web.ip4}") for name in DOMAINS]

    def fetch(self, name, *options):
        return self.lab.host("client").run("curl", "-s", "-S", "-m", "5", "-i", *options, f"https://mta-sts.{name}.lab{PATH}")

    def test_policies_good_and_bad(self):
        web, certificates, text = self.lab.web(), self.lab.certificates, policy("enforce", "mx.good.lab", "*.good.lab")
        for name, answer in {
                "good": Policy(text),
                "expired": Policy(text, certificate=certificates.issue("mta-sts.expired.lab", days=(-20, -10))),
                "own": Policy(text, certificate=certificates.self_signed("mta-sts.own.lab")),
                "other": Policy(text, certificate=certificates.issue("mta-sts.else.lab")),
                "gone": Policy("", status=404),
                "moved": Policy("", status=301, headers={"Location": "https://mta-sts.good.lab" + PATH}),
                "slow": Policy(text, delay=20)}.items():
            web.serve(f"{name}.lab", answer)
        good = self.fetch("good")
        self.assertEqual(good.stdout.partition("\n\n")[2] or good.stdout.partition("\r\n\r\n")[2], text.replace("\r\n", "\n"), good)
        for name, words in {"expired": "expired", "own": "self.signed", "other": "no alternative certificate subject name",
                            "slow": "timed out"}.items():
            self.assertRegex(self.fetch(name).stderr, words)
        self.assertIn(" 404 ", self.fetch("gone").stdout)
        self.assertIn("Location: https://mta-sts.good.lab", self.fetch("moved").stdout)
        self.assertIn(("mta-sts.good.lab", PATH), web.requests)


class Links(lab.LabCase):
    """What can be wrong with a way."""

    zones = [Zone("slow.lab", "@ MX 10 mx\nmx A {socks.ip4}")]

    def test_a_slow_link_delivers_and_a_cut_one_waits(self):
        server = self.lab.smtp_server()
        one = self.lab.mailkeep("one", settings="queue: {first_retry: 500ms, retry_factor: 1}")
        relay = Relay(self.lab.host("socks"), 25, (server.at.ip4, 25), delay=0.2, cut_after=10)
        one.send(message("me@one.lab", "you@slow.lab", "slowly"), "you@slow.lab")
        self.assertTrue(wait_for(lambda: one.queue() and one.queue()[0]["attempts"] > 0, 30))
        self.assertEqual(server.messages, [])
        relay.cut_after = None
        self.assertTrue(wait_for(lambda: server.messages and one.queue(retired=True), 60), one.queue())
        outcomes = [attempt["outcome"] for attempt in one.history(one.queue(retired=True)[0])]
        self.assertEqual(outcomes, ["deferred"] * (len(outcomes) - 1) + ["delivered"])

    def test_an_unplugged_host_gets_its_mail_later(self):
        one, two = self.lab.mailkeep("one", settings="queue: {first_retry: 500ms, retry_factor: 1}"), self.lab.mailkeep("two")
        one.lookup("MX", "two.lab")
        two.host.unplug()
        one.send(message("me@one.lab", "me@two.lab", "wait for me"), "me@two.lab")
        self.assertTrue(wait_for(lambda: one.queue() and one.queue()[0]["attempts"] > 0, 60))
        two.host.plug()
        self.assertTrue(wait_for(lambda: any(b"wait for me" in whole for whole in two.mail()), 60), one.queue())
