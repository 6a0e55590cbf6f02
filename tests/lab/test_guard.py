"""What guards mail, in a real DNS: `mailkeep dane dialmx` takes Postfix's place before every domain of dane_cases.py,
and before some that only a client with MTA-STS or with our own decisions tells apart. By recursion from the root.
"""

import concurrent.futures
import dataclasses
import json

import lab
from dane_cases import CASES, HOST, TLSA, Case, make
from harness import PROGRAM
from web import Policy, policy
from zones import without_signatures

PARALLEL = 6
TIMEOUT = "8"  # seconds

RIGHT = TLSA + "{right[3 1 1]}"
UNSIGNED = {"sign": "no", "ds": "none"}

# What dane_cases.py has no place for.
MORE = {
    "itself": Case("@ A {server.ip4}\n_25._tcp TLSA {right[3 1 1]}", "verified"),
    "elsewhere": Case("@ MX 10 mx.dane-ee-key.lab.", "verified"),
    # an unsigned domain whose signed host's records are wrong: they do not count (docs/decisions/dane.md)
    "plain-elsewhere": Case("@ MX 10 mx.wrong-digest.lab.", "encrypted", zone=UNSIGNED),
    # an alias that leads out of the signed world: the records of its own name count (RFC 7672 section 2.2.2)
    "alias-out": Case("@ MX 10 mx\nmx CNAME mx.insecure.lab.\n" + TLSA + "{wrong[3 1 1]}", "refused"),
    "alias-out-without": Case("@ MX 10 mx\nmx CNAME mx.insecure.lab.", "encrypted"),
    "alias-both": Case("@ MX 10 mx\nmx CNAME real\nreal A {server.ip4}\n_25._tcp.real TLSA {right[3 1 1]}\n" + TLSA
                       + "{wrong[3 1 1]}", "verified", certificate="own"),
    "alias-own-name": Case("@ MX 10 mx\nmx CNAME real\nreal A {server.ip4}\n" + RIGHT, "verified"),
    "weaker-digest": Case(HOST + RIGHT + "\n" + TLSA + "{wrong[3 1 2]}", "refused"),  # RFC 7671 section 9
    "tlsa-unsigned": Case(HOST + RIGHT, "refused", zone={"spoil": (without_signatures("TLSA"),)}),
    "next-host": Case("@ MX 10 mx.wrong-digest.lab.\n@ MX 20 mx\nmx A {server.ip4}\n" + RIGHT, "verified"),
}


@dataclasses.dataclass
class Sts:
    """A domain with a policy: what it says, how it is served, which certificate its server has."""
    mode: str
    expected: str
    names: str = "mx"  # the policy's host below the domain
    certificate: str = "issued"
    host: str = "issued"  # the policy host's
    status: int = 200
    records: str = HOST
    zone: dict = dataclasses.field(default_factory=lambda: UNSIGNED)


STS = {
    "sts-enforce": Sts("enforce", "verified"),
    "sts-wildcard": Sts("enforce", "verified", names="*"),
    "sts-other-host": Sts("enforce", "refused", names="mail"),
    "sts-own": Sts("enforce", "refused", certificate="own"),
    "sts-expired": Sts("enforce", "refused", certificate="expired"),
    "sts-other-name": Sts("enforce", "refused", certificate="other"),
    "sts-clear": Sts("enforce", "refused", certificate=""),
    "sts-testing": Sts("testing", "encrypted", certificate="own"),
    "sts-testing-clear": Sts("testing", "clear", certificate=""),
    "sts-none": Sts("none", "encrypted", certificate="own"),
    "sts-host-expired": Sts("enforce", "encrypted", certificate="own", host="expired"),
    "sts-host-own": Sts("enforce", "encrypted", certificate="own", host="own"),
    "sts-gone": Sts("enforce", "encrypted", certificate="own", status=404),
    "sts-and-dane": Sts("enforce", "verified", records=HOST + RIGHT, zone={}),
    "sts-and-dane-own": Sts("enforce", "refused", certificate="own", records=HOST + RIGHT, zone={}),
    "sts-and-dane-wrong": Sts("enforce", "refused", records=HOST + TLSA + "{wrong[3 1 1]}", zone={}),
}


class Guard(lab.LabCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.client = cls.lab.host("client")
        for table in (CASES, MORE, cls.sts_cases()):
            cls.lab.authority.add(*make(cls.lab, table)[1])
        cls.lab.authority.publish()

    @classmethod
    def sts_cases(cls):
        web, certificates = cls.lab.web(), cls.lab.certificates
        kinds = {"issued": lambda name: None, "own": certificates.self_signed,
                 "expired": lambda name: certificates.issue(name, days=(-20, -10))}
        announced = '\n_mta-sts TXT "v=STSv1; id=1"\nmta-sts A ' + cls.lab.host("web").ip4
        for name, sts in STS.items():
            web.serve(f"{name}.lab", Policy(policy(sts.mode, f"{sts.names}.{name}.lab"), status=sts.status,
                                            certificate=kinds[sts.host](f"mta-sts.{name}.lab")))
        return {name: Case(sts.records + announced, sts.expected, sts.certificate, sts.zone) for name, sts in STS.items()}

    def dial(self, name, *options):
        done = self.client.run(PROGRAM, "dane", "dialmx", f"{name}.lab", "--json", "--timeout", TIMEOUT, *options,
                               "--hints", self.client.folder / "root.hints", "--anchor", self.client.folder / "root.anchor")
        self.assertEqual(done.stderr, "")
        return json.loads(done.stdout)

    def compare(self, cases):
        with concurrent.futures.ThreadPoolExecutor(PARALLEL) as pool:
            for (name, case), got in zip(cases.items(), pool.map(self.dial, cases)):
                with self.subTest(name):
                    result = {"deferred": "refused", "failed": "refused"}.get(got["result"], got["result"])
                    self.assertEqual(result, case.expected, json.dumps(got, indent=1))
        print(f"# {len(cases)} domains compared", flush=True)

    def test_the_cases_that_postfix_judges(self):
        self.compare(CASES)

    def test_what_the_dns_can_do_besides(self):
        self.compare(MORE)

    def test_policies(self):
        self.compare(STS)

    def test_wishes(self):
        for name, option, result in (("dane-ee-key", "--requiretls", "failed"),  # the server does not offer it
                                     ("no-tlsa", "--requiretls", "deferred"),    # its own certificate is not enough
                                     ("sts-testing", "--requiretls", "failed"),  # nothing proves the host
                                     ("wrong-digest", "--tls-optional", "encrypted"),
                                     ("tlsa-unsigned", "--tls-optional", "encrypted"),
                                     ("sts-other-host", "--tls-optional", "encrypted")):
            with self.subTest(name=name, option=option):
                got = self.dial(name, option)
                self.assertEqual(got["result"], result, json.dumps(got, indent=1))
