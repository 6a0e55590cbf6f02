"""Lookups in a real DNS: mailkeep's by four ways, beside unbound's and delv's, against one table (dns_cases.py)."""

import collections
import concurrent.futures
import json
import re
import unittest

import dns_cases
import lab
import resolvers
import world
from dnsclient import ask
from harness import PROGRAM

PARALLEL = 16
TIMEOUT = "6"  # seconds; only silence takes so long
SECURITY = {"s": "secure", "i": "insecure"}
RCODES = {"found": "NOERROR", "nodata": "NOERROR", "nxdomain": "NXDOMAIN"}

Case = collections.namedtuple("Case", "kind name security outcome proven chain ede")


def read(table):
    for line in table.splitlines():
        words = line.partition("#")[0].split()
        if words:
            kind, name, security, outcome, *more = words
            yield Case(kind, name, security, outcome, "proven" in more,
                       next(([SECURITY[letter] for letter in re.split("[,>]", word)] for word in more if ">" in word), None),
                       int(more[more.index("ede") + 1]) if "ede" in more else None)


class Lookups(lab.LabCase):
    zones = world.dns_zones()

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.client = cls.lab.host("client")
        cls.one = cls.lab.mailkeep("one")

    # --- ways to ask ---

    def command(self, case, *options):
        done = self.client.run(PROGRAM, "dns", "lookup", case.kind, case.name, "--json", "--timeout", TIMEOUT, *options)
        self.assertEqual(done.stderr, "")
        return json.loads(done.stdout)

    def by_recursion(self, case):
        return self.command(case, "--hints", self.client.folder / "root.hints", "--anchor", self.client.folder / "root.anchor")

    def by_forwarding(self, case):
        return self.command(case, "--resolver", self.lab.host("resolver").ip4, "--anchor", self.client.folder / "root.anchor")

    def by_trust(self, case):
        return self.command(case, "--resolver", self.lab.host("resolver").ip6, "--trust")

    def by_the_room(self, case):
        return self.one.lookup(case.kind, case.name, "--timeout", TIMEOUT)

    # --- what is expected of each ---

    def assert_answer(self, case, answer):
        self.assertEqual((answer["security"], answer.get("failure", answer["outcome"])), (case.security, case.outcome), answer)
        self.assertEqual(answer["denial_proven"], case.proven, answer)
        self.assertEqual(answer["ok"], "failure" not in answer)
        self.assertEqual(bool(answer["records"]), case.outcome == "found")
        if case.outcome in RCODES:
            self.assert_chain(case, answer)
            self.assertTrue(0 <= answer["ttl"] <= 300, answer["ttl"])
        else:
            self.assertTrue(answer["error"])

    def assert_chain(self, case, answer):
        self.assertEqual([*(step["security"] for step in answer["chain"]), answer["final_security"]],
                         case.chain or [case.security])
        at = answer["name"]
        for step in answer["chain"]:
            self.assertEqual(step["alias"], at)
            at = step["target"]
        self.assertEqual(answer["canonical_name"], at)

    def assert_own(self, case, answer):
        self.assert_answer(case, answer)
        if case.outcome != "temporary" or case.ede:  # silence may end as a timeout or as servers out of reach
            self.assertEqual(answer.get("extended_error", {}).get("code"), case.ede, answer)

    def assert_forwarded(self, case, answer):
        if case.ede == 22 or case.outcome == "temporary":  # what the forwarder says of it, if anything
            self.assertEqual((answer["security"], answer["failure"]), (case.security, case.outcome), answer)
        else:
            self.assert_own(case, answer)

    def assert_trusted(self, case, answer):
        """One bit speaks for all of the answer; a failure's kind is what its Extended DNS Error says."""
        if case.name in dns_cases.UNBOUND_SECURE:
            case = case._replace(security="secure")
        if case.outcome == "other":
            return self.assertFalse(answer["ok"])
        chain = case.chain and [case.security] * len(case.chain)
        self.assert_answer(case._replace(chain=chain, proven=case.proven and case.security == "secure"), answer)

    # --- the tables ---

    def run_all(self, look_up, judge):
        cases = [(title, case) for title, table in dns_cases.TABLES.items() for case in read(table)]
        with concurrent.futures.ThreadPoolExecutor(PARALLEL) as pool:
            answers = pool.map(look_up, (case for _, case in cases))
            for (title, case), answer in zip(cases, answers):
                with self.subTest(f"{title}: {case.kind} {case.name}"):
                    judge(case, answer)
        print(f"# {len(cases)} answers compared", flush=True)

    def test_by_recursion_from_the_root(self):
        self.run_all(self.by_recursion, self.assert_own)

    def test_by_forwarding_and_validating(self):
        self.run_all(self.by_forwarding, self.assert_forwarded)

    def test_by_trusting_a_resolver(self):
        self.run_all(self.by_trust, self.assert_trusted)

    def test_by_the_room_of_a_running_server(self):
        self.run_all(self.by_the_room, self.assert_own)

    def test_how_long_an_answer_holds_is_the_zones_to_say(self):
        for kind, name, ttl in [("A", "www.secure.example", 300), ("A", "short.secure.example", 60), ("A", "secure.alias.example", 300),
                                ("A", "nothing.secure.example", 5), ("TXT", "www.nsec3.example", 5)]:
            self.assertEqual(self.by_recursion(Case(kind, name, *[None] * 5))["ttl"], ttl)

    def test_unbound_judges_alike(self):
        def look_up(case):
            try:
                return ask(self.lab.host("resolver").ip4, case.name.encode("idna").decode(), case.kind, "rd", "ad", seconds=int(TIMEOUT))
            except OSError:
                return None

        def judge(case, answer):
            if case.outcome in RCODES:
                self.assertEqual(answer.rcode, RCODES[case.outcome])
                secure = case.security == "secure" or case.name in dns_cases.UNBOUND_SECURE
                self.assertEqual("ad" in answer.flags, secure, answer)
            elif case.outcome == "authentication":
                self.assertEqual(answer.rcode, "SERVFAIL")
                self.assertIn(answer.ede[0][0], {case.ede, 6, dns_cases.UNBOUND_EDE.get(case.name)}, answer.ede)
            elif case.outcome == "temporary":
                self.assertTrue(answer is None or answer.rcode == "SERVFAIL", answer)
        self.run_all(look_up, judge)

    @unittest.skipUnless(resolvers.has_delv(), "delv is not installed")
    def test_delv_judges_alike(self):
        def look_up(case):
            return case.outcome not in ("temporary", "other") and resolvers.delv(self.client, case.kind, case.name.encode("idna").decode(), self.lab.host("resolver").ip4)

        def judge(case, verdict):
            if case.name in dns_cases.DELV_FAILED or case.outcome == "authentication":
                self.assertEqual(verdict, "failed")
            elif case.outcome in RCODES:
                secure = case.security == "secure" or case.name in dns_cases.DELV_SECURE
                self.assertEqual(verdict, "secure" if secure else "insecure")
        self.run_all(look_up, judge)
