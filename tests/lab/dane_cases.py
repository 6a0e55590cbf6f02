"""Domains whose servers say something about their certificates, right and wrong: for the lab's own check by
Postfix, and an example of how such a table is written.

A case is a domain: the records of its zone, how the zone is, which certificate its server has, and what a
client of RFC 7672 makes of it. {server.ip4} is the server's address, {right} and {wrong} are TLSA data of
its certificate.

    verified    over TLS, with the certificate authenticated by DANE
    encrypted   over TLS, whatever the certificate: there is no usable TLSA record, or nothing secure
    clear       without TLS
    refused     no mail goes there by now
"""

import collections
import concurrent.futures
import dataclasses

from certificates import tlsa
from zones import Zone

PARALLEL = 6
HOST = "@ MX 10 mx\nmx A {server.ip4}\n"
TLSA = "_25._tcp.mx TLSA "


@dataclasses.dataclass
class Case:
    records: str
    expected: str
    certificate: str = "issued"  # by the lab's authority; "own": self-signed, "expired", "other": of another name, "": no TLS
    zone: dict = dataclasses.field(default_factory=dict)  # how it is signed: options of zones.Zone


CASES = {
    # usage, selector and matching type (RFC 6698 section 2.1); which are usable: RFC 7672 section 3.1
    "dane-ee-key": Case(HOST + TLSA + "{right[3 1 1]}", "verified"),
    "dane-ee-certificate": Case(HOST + TLSA + "{right[3 0 1]}", "verified"),
    "dane-ee-sha512": Case(HOST + TLSA + "{right[3 1 2]}", "verified"),
    "dane-ee-whole": Case(HOST + TLSA + "{right[3 1 0]}", "verified"),
    "dane-ee-own": Case(HOST + TLSA + "{right[3 1 1]}", "verified", certificate="own"),
    "dane-ee-expired": Case(HOST + TLSA + "{right[3 1 1]}", "verified", certificate="expired"),   # section 3.1.1
    "dane-ee-other-name": Case(HOST + TLSA + "{right[3 1 1]}", "verified", certificate="other"),
    "dane-ta": Case(HOST + TLSA + "{authority[2 0 1]}", "verified"),
    "dane-ta-other-name": Case(HOST + TLSA + "{authority[2 0 1]}", "refused", certificate="other"),
    "dane-ta-expired": Case(HOST + TLSA + "{authority[2 0 1]}", "refused", certificate="expired"),
    "wrong-digest": Case(HOST + TLSA + "{wrong[3 1 1]}", "refused"),
    "wrong-and-right": Case(HOST + TLSA + "{wrong[3 1 1]}\n" + TLSA + "{right[3 1 1]}", "verified"),
    "pkix-unusable": Case(HOST + TLSA + "{right[1 1 1]}", "encrypted"),                           # section 3.1.3
    "unknown-unusable": Case(HOST + TLSA + "3 1 9 0A0B", "encrypted"),
    "unusable-and-wrong": Case(HOST + TLSA + "{right[1 1 1]}\n" + TLSA + "{wrong[3 1 1]}", "refused"),
    "without-starttls": Case(HOST + TLSA + "{right[3 1 1]}", "refused", certificate=""),
    "unusable-without-starttls": Case(HOST + TLSA + "{right[1 1 1]}", "refused", certificate=""),  # section 2.2
    # what the DNS adds
    "no-tlsa": Case(HOST, "encrypted", certificate="own"),
    "no-tlsa-no-starttls": Case(HOST, "clear", certificate=""),
    "insecure": Case(HOST + TLSA + "{wrong[3 1 1]}", "encrypted", zone={"sign": "no", "ds": "none"}),
    "bogus": Case(HOST + TLSA + "{right[3 1 1]}", "refused", zone={"ds": "wrong"}),
    "expired": Case(HOST + TLSA + "{right[3 1 1]}", "refused", zone={"day": -60}),
    "nsec3": Case(HOST + TLSA + "{right[3 1 1]}", "verified", zone={"sign": "nsec3"}),
    "tlsa-alias": Case(HOST + "_25._tcp.mx CNAME _tlsa\n_tlsa TLSA {right[3 1 1]}", "verified"),
    "host-alias": Case("@ MX 10 mx\nmx CNAME real\nreal A {server.ip4}\n_25._tcp.real TLSA {right[3 1 1]}", "verified",
                       certificate="own"),
}


# --- from a case to its server and zone ---

class Tlsa(collections.defaultdict):
    """Tlsa(certificate)["3 1 1"]: the data of such a record."""

    def __init__(self, certificate, wrong=False):
        super().__init__()
        self.certificate, self.wrong = certificate, wrong

    def __missing__(self, kind):
        return tlsa(self.certificate, kind, self.wrong)


def make(lab, cases=None):
    """({name: its server}, the zones, to be added and published)"""
    cases = CASES if cases is None else cases
    with concurrent.futures.ThreadPoolExecutor(PARALLEL) as pool:
        made = list(pool.map(lambda item: _make(lab, *item), cases.items()))
    return {name: server for name, (server, _) in zip(cases, made)}, [zone for _, zone in made]


def _make(lab, name, case):
    certificate = _certificate(lab.certificates, case.certificate, f"mx.{name}.lab")
    server = lab.smtp_server(certificate)
    one, root = certificate or lab.certificates.root, lab.certificates.root
    records = case.records.format(server=server.at, right=Tlsa(one), wrong=Tlsa(one, wrong=True), authority=Tlsa(root))
    return server, Zone(f"{name}.lab", records, **case.zone)


def _certificate(certificates, kind, host):
    if kind == "own":
        return certificates.self_signed(host)
    if kind == "other":
        return certificates.issue("else.lab", label=f"else-{host}")
    if kind == "expired":
        return certificates.issue(host, days=(-20, -10))
    return certificates.issue(host) if kind else None
