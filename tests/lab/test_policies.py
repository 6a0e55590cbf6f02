"""What is known of a domain changes from one message to the next: policies that get another id, end, vanish or are out
of reach, a restart in between; TLSA records and keys that are rolled over. And mailkeep's own records, by Postfix.
"""

import itertools
import re
import time

import lab
from certificates import tlsa
from harness import wait_for
from web import PATH, Policy, policy
from zones import Zone

TTL = 1
CACHED = 2.5  # seconds: the resolver counts in whole ones, and so do those who ask it
SETTINGS = "queue: {first_retry: 1h}"
HOST = "@ MX 10 mx\nmx A {ip}\n"
ANNOUNCED = '_mta-sts TXT "v=STSv1; id=1"\nmta-sts A {web}\n'


def message(recipient, text):
    return f"From: <me@one.lab>\r\nTo: <{recipient}>\r\nSubject: {text}\r\n\r\nThe words are: {text}.\r\n"


class Changing(lab.LabCase):
    """Each test has a domain of its own."""

    numbers = itertools.count(1)

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.one, cls.web = cls.lab.mailkeep("one", settings=SETTINGS), cls.lab.web()

    def setUp(self):
        self.domain = f"changing{next(self.numbers)}.lab"
        self.host = f"mx.{self.domain}"

    # --- a domain and what happens to it ---

    def begin(self, certificate, text=None, records="", sign="no"):
        """With a policy where there is a text."""
        self.server = self.lab.smtp_server(certificate)
        lines = HOST.format(ip=self.server.at.ip4) + records
        if text:
            lines += ANNOUNCED.format(web=self.web.server.server_address[0])
            self.web.serve(self.domain, Policy(text))
        ds = "right" if sign == "nsec" else "none"
        self.lab.authority.add(Zone(self.domain, lines, sign=sign, ds=ds, ttl=TTL, negative_ttl=TTL))
        self.lab.authority.publish()

    def publish(self, owner, kind, *lines):
        self.lab.authority[self.domain].replace(owner, kind, *lines)
        self.lab.authority.publish()
        time.sleep(CACHED)

    def announce(self, number):
        self.publish("_mta-sts", "TXT", f'_mta-sts TXT "v=STSv1; id={number}"')

    def answer(self, text, **how):
        """What the policy host says from now on."""
        self.web.policies[f"mta-sts.{self.domain}"] = Policy(text, **how)

    def fetched(self):
        return self.web.requests.count((f"mta-sts.{self.domain}", PATH))

    def deliver(self):
        """("deferred", ["sts certificate-expired"]): what protected a message, or what became of it, and what reports
        will complain of. (What went well is told once for a connection, which may serve several messages.)"""
        recipient = f"you{time.monotonic_ns()}@{self.domain}"
        self.one.send(message(recipient, self.id()), recipient)

        def ended():
            for retired in (True, False):
                for entry in self.one.queue(retired=retired):
                    if entry["recipient"] == recipient and entry["attempts"] > 0:
                        return self.one.history(entry, retired)[-1]
            return None
        attempt = wait_for(ended, 30, 0.2)
        self.assertTrue(attempt, self.one.log()[-3000:])
        results = [f"{one['policy']} {one['result']}" for one in attempt["tls_results"] if one["result"] != "success"]
        return attempt["protection"] if attempt["outcome"] == "delivered" else attempt["outcome"], results

    def own(self):
        return self.lab.certificates.self_signed(self.host)

    def issued(self):
        return self.lab.certificates.issue(self.host)

    # --- MTA-STS (RFC 8461) ---

    def test_another_id_is_another_policy(self):
        self.begin(self.issued(), policy("enforce", self.host))
        self.assertEqual(self.deliver(), ("mta-sts", []))
        self.answer(policy("enforce", f"mail.{self.domain}"))
        self.assertEqual(self.deliver(), ("mta-sts", []))
        self.assertEqual(self.fetched(), 1)
        self.announce(2)
        self.assertEqual(self.deliver(), ("deferred", ["sts validation-failure"]))  # mx-mismatch
        self.assertEqual(self.fetched(), 2)

    def test_a_kept_policy_outlives_its_host_and_its_record(self):
        """Sections 3.1, 3.3: whoever can hide the policy for a while gains nothing."""
        self.begin(self.own(), policy("enforce", self.host))
        refused = ("deferred", ["sts certificate-not-trusted"])
        self.assertEqual(self.deliver(), refused)
        self.answer("", status=404)
        self.assertEqual(self.deliver(), refused)
        self.announce(2)  # which cannot be fetched
        self.assertEqual(self.deliver(), ("deferred", ["sts sts-policy-fetch-error", "sts certificate-not-trusted"]))
        self.publish("_mta-sts", "TXT")  # no record any more
        self.assertEqual(self.deliver(), refused)
        self.one.stop()
        self.one.start()
        self.assertEqual(self.deliver(), refused)
        self.assertEqual(self.server.messages, [])
        self.one.command("mtasts", "forget", self.domain)  # by hand
        self.assertEqual(self.deliver(), ("unverified", []))

    def test_a_policy_ends(self):
        self.begin(self.own(), policy("enforce", self.host, max_age=3))
        self.assertEqual(self.deliver()[0], "deferred")
        self.answer("", status=500)
        time.sleep(4)
        self.assertEqual(self.deliver(), ("unverified", ["no-policy-found sts-policy-fetch-error"]))
        self.assertEqual(self.deliver(), ("unverified", []))  # not tried again at once

    def test_from_testing_to_enforce_to_none(self):
        self.begin(self.own(), policy("testing", self.host))
        self.assertEqual(self.deliver(), ("unverified", ["sts certificate-not-trusted"]))
        self.answer(policy("enforce", self.host))
        self.announce(2)
        self.assertEqual(self.deliver(), ("deferred", ["sts certificate-not-trusted"]))
        self.answer(policy("none"))
        self.announce(3)
        self.assertEqual(self.deliver(), ("unverified", []))

    def test_an_old_policy_is_refreshed_behind_the_mail(self):
        self.begin(self.issued(), policy("enforce", self.host, max_age=6))
        self.assertEqual(self.deliver()[0], "mta-sts")
        self.answer(policy("enforce", f"mail.{self.domain}", max_age=6000))
        time.sleep(3.5)  # half its age
        self.assertEqual(self.deliver()[0], "mta-sts")
        self.assertTrue(wait_for(lambda: self.fetched() == 2, 10))
        self.assertTrue(wait_for(lambda: self.deliver()[0] == "deferred", 10))
        self.assertEqual(self.fetched(), 2)

    def test_a_policy_that_cannot_be_fetched_is_not_asked_for_by_every_message(self):
        self.begin(self.own(), policy("enforce", self.host))
        self.answer("", status=404)
        self.assertEqual(self.deliver(), ("unverified", ["no-policy-found sts-policy-fetch-error"]))
        self.assertEqual(self.deliver(), ("unverified", []))
        self.assertEqual(self.fetched(), 1)

    # --- DANE (RFC 7671 section 8.1) ---

    def test_a_key_is_rolled_over(self):
        old, new = self.own(), self.issued()
        name = "_25._tcp.mx"
        records = [f"{name} TLSA {tlsa(one)}" for one in (old, new)]
        self.begin(old, records=records[0], sign="nsec")
        self.assertEqual(self.deliver(), ("dane", []))
        self.publish(name, "TLSA", *records)
        self.assertEqual(self.deliver(), ("dane", []))
        self.server.tls = new.context()
        self.assertEqual(self.deliver(), ("dane", []))
        self.publish(name, "TLSA", records[1])
        self.assertEqual(self.deliver(), ("dane", []))

    def test_neither_kept_connections_nor_sessions_outlive_the_records(self):
        certificate, name = self.own(), "_25._tcp.mx"
        self.begin(certificate, records=f"{name} TLSA {tlsa(certificate)}", sign="nsec")
        self.assertEqual(self.deliver(), ("dane", []))
        self.publish(name, "TLSA", f"{name} TLSA {tlsa(certificate, wrong=True)}")
        self.assertEqual(self.deliver(), ("deferred", ["tlsa validation-failure"]))
        self.publish(name, "TLSA")
        self.assertEqual(self.deliver(), ("unverified", []))

    # --- for people ---

    def test_words(self):
        certificate = self.own()
        self.begin(certificate, policy("testing", self.host), f"_25._tcp.mx TLSA {tlsa(certificate)}\n", sign="nsec")
        self.assertEqual(self.deliver(), ("dane", ["sts certificate-not-trusted"]))
        entry, = [one for one in self.one.queue(retired=True) if one["recipient"].endswith(self.domain)]
        text = self.one.command("queue", "retired", "show", entry["id"])
        for words in (r"guarded TLS, verified by DANE\n", r"verified by TLSA records \(DANE\): 3 1 1 [0-9a-f]{8}",
                      r"demand  TLSA records \(DANE\) demand TLS and a certificate that fits them; .*testing",
                      rf"policy  sts of {self.domain}, host {self.host}: certificate-not-trusted \(X509_V_ERR",
                      rf"policy  tlsa of {self.host}: success\n"):
            self.assertRegex(text, words)


class Incoming(lab.LabCase):
    """Postfix, by DANE, to mailkeep, whose records are published as it prints them."""

    def test_postfix_verifies_us_by_our_own_records(self):
        one, postfix = self.lab.mailkeep("one"), self.lab.postfix()
        lines = [line for line in one.command("dane", "record").splitlines() if " TLSA " in line]
        self.assertTrue(lines)
        self.lab.authority["one.lab"].add(*lines)
        self.lab.authority.publish()
        self.lab.resolver.flush()
        postfix.send(message("me@one.lab", "by our records").replace("me@one.lab>", "pia@postfix.lab>", 1), "me@one.lab")
        self.assertTrue(wait_for(lambda: one.mail(), 30), postfix.log()[-2000:])
        self.assertRegex(postfix.log(), r"Verified TLS connection established to mx\.one\.lab\[")
        self.assertTrue(re.search(rb"\(TLSv1\.3", one.mail()[0]))
