"""Tables of what can be true of a domain's way to its mail, and what becomes of a message: issue by issue the
whole of DANE (RFC 7672), MTA-STS (RFC 8461), REQUIRETLS (RFC 8689), and the facts of TLS reports (RFC 8460).
test_delivery.py sends a message to every domain here and looks at its end.

A case is a domain NAME.lab whose zone, policy and server are as it says. Of a message it says

    outcome   what protected it: "dane", "mta-sts", "dane and mta-sts", "authorities", "unverified", "clear";
              or "deferred", "failed", and then
    code      the status in reports (RFC 3463)
    facts     "policy result" or "policy result: reason", for each policy that applies, as TLS reports have it
    postfix   where Postfix decides otherwise: what it does, and why; "-" and why, where it is not asked

In records, {server} is the server that gets the mail, {right}, {wrong} and {authority} are TLSA data of the
certificate and of the authority (dane_cases.py); in texts of a policy, @ is the domain.
"""

import copy
import dataclasses
import itertools
import socket
import ssl
import time

import dane_cases
from dane_cases import HOST, TLSA, Tlsa
from web import Policy, policy
from zones import Zone, without_signatures, wrong_signatures

PLAIN = {"sign": "no", "ds": "none"}
BOGUS = {"ds": "wrong"}
RIGHT, WRONG, UNUSABLE = TLSA + "{right[3 1 1]}", TLSA + "{wrong[3 1 1]}", TLSA + "{right[1 1 1]}"
EVERY_TIME = 50  # answers of a server that are used up
DNSSEC = "no-policy-found dnssec-invalid"
NO_STS, NO_REQUIRETLS = "it does not know MTA-STS", "it does not know REQUIRETLS"
PLAIN_MX = "it uses the TLSA records of a signed host behind unsigned MX records (docs/decisions/dane.md)"
TLS_1_0 = "it speaks TLS 1.0"
PURGES = "it passes over what was said behind the answer to STARTTLS"
LATER = "it goes in clear only with what has waited for some time"
UNASKED = "it does not ask for STARTTLS where it is not announced"


@dataclasses.dataclass
class Sts:
    """How a policy is announced and served."""
    mode: str = "enforce"
    mx: tuple = ("mx.@",)
    text: object = None      # in place of one made of these
    body: object = None      # chunks without a length, in place of a text
    status: int = 200
    headers: dict = dataclasses.field(default_factory=dict)
    delay: float = 0
    certificate: str = "issued"  # of the policy host
    host: str = "web"            # where the policy host's name leads
    record: str = '"v=STSv1; id=1"'

    def policy_text(self, domain):
        text = policy(self.mode, *self.mx) if self.text is None else self.text
        return text.replace("@", domain)

    def records(self):
        return "".join(f"\n_mta-sts TXT {one}" for one in self.record.split("\n")) + f"\nmta-sts A {{{{{self.host}.ip4}}}}"


@dataclasses.dataclass
class Case:
    outcome: str
    records: str = HOST
    facts: tuple = ()
    code: str = ""
    certificate: str = "issued"
    zone: dict = dataclasses.field(default_factory=dict)
    sts: object = None
    server: dict = dataclasses.field(default_factory=dict)  # attributes of the Sink
    wish: str = ""    # "require", "optional", "both"
    sni: str = ""     # else mx.NAME.lab
    postfix: str = ""
    reached: bool = True   # the server is connected to
    domain: str = ""  # else NAME.lab
    shared: str = ""  # a server that several cases have

    def expected_facts(self):
        usual = {"dane": ("tlsa success",), "mta-sts": ("sts success",), "unverified": ("no-policy-found success",),
                 "dane and mta-sts": ("sts success", "tlsa success"), "authorities": ("no-policy-found success",),
                 "clear": ("no-policy-found starttls-not-supported",)}
        return self.facts or usual.get(self.outcome, ())

    def is_refused(self):
        return self.outcome in ("deferred", "failed")


def case(outcome, *facts, **more):
    return Case(outcome, facts=facts, **more)


def deferred(code, *facts, **more):
    return Case("deferred", code=code, facts=facts, **more)


def failed(code, *facts, **more):
    return Case("failed", code=code, facts=facts, **more)


def untouched(one):
    """Nobody connects to the server."""
    return dataclasses.replace(one, reached=False)


# --- secure, insecure and bogus, at every step: MX records, an alias of the host, addresses, TLSA records ---

STATES = {"s": {}, "i": PLAIN, "b": BOGUS}
STEPS = {"m": "MX", "c": "CNAME", "a": "address", "t": "TLSA"}


def _expected(mx, alias, address, tlsa):
    """RFC 7672 section 2.2: a bogus step is no step; a step that is insecure ends DANE."""
    if mx == "b":
        return untouched(deferred("4.4.3", DNSSEC))
    if "b" in (alias, address):
        return untouched(deferred("4.4.3", DNSSEC))
    if "i" in (alias, address):
        return case("unverified")
    if mx == "i":
        return case("unverified", postfix="refused: " + PLAIN_MX if tlsa == "b" else "")
    return {"s": case("dane"), "i": case("unverified"), "b": untouched(deferred("4.4.3", "tlsa dnssec-invalid"))}[tlsa]


def combinations():
    """{name: case}: the names' letters are the states of MX, CNAME (x: none), address and TLSA."""
    found = {}
    for mx, alias, address, tlsa in itertools.product("sib", "xsib", "sib", "sib"):
        name = mx + alias + address + tlsa
        one = _expected(mx, "s" if alias == "x" else alias, address, tlsa)
        host = f"{name}.a{address}.lab"
        one.domain, one.shared, one.certificate = f"{name}.m{mx}.lab", "combinations", "own"
        one.sni = host if alias == "x" or one.outcome == "dane" else f"{name}.c{alias}.lab"
        found[name] = one
    return found


def combination_zones(names):
    """{zone: (how it is signed, lines)}"""
    zones = {f"{step}{state}": (how, []) for step in STEPS for state, how in STATES.items()}
    for name in names:
        mx, alias, address, tlsa = name
        first = f"a{address}" if alias == "x" else f"c{alias}"
        zones[f"m{mx}"][1].append(f"{name} MX 10 {name}.{first}.lab.")
        if alias != "x":
            zones[f"c{alias}"][1].append(f"{name} CNAME {name}.a{address}.lab.")
        zones[f"a{address}"][1].append(f"{name} A {{server.ip4}}\n_25._tcp.{name} CNAME {name}.t{tlsa}.lab.")
        zones[f"t{tlsa}"][1].append(f"{name} TLSA {{right[3 1 1]}}")
    return zones


# --- TLSA records that nobody can use: RFC 7672 section 3.1, RFC 6698 section 2.1 ---

def _data(numbers, n):
    """Generic form (RFC 3597 section 5), which may say what no zone file would."""
    octets = bytes(map(int, numbers.split())) + bytes(n)
    return f"\\# {len(octets)} {octets.hex()}"


NUMBERS = [f"{usage} {selector}" for usage in "23" for selector in "01"]
BAD_DATA = {
    **{f"u{n}": _data(f"{n} 1 1", 32) for n in (0, 1, 4, 5, 100, 254, 255)},         # usages
    **{f"s{n}": _data(f"3 {n} 1", 32) for n in (2, 3, 100, 255)},                    # selectors
    **{f"m{n}": _data(f"3 1 {n}", 32) for n in (3, 4, 100, 255)},                    # matching types
    **{f"l{number.replace(' ', '')}1n{n}": _data(number + " 1", n) for number in NUMBERS for n in (1, 31, 33, 64, 4000)},
    **{f"l{number.replace(' ', '')}2n{n}": _data(number + " 2", n) for number in NUMBERS for n in (1, 32, 63, 65)},
    **{f"l{number.replace(' ', '')}0n{n}": _data(number + " 0", n) for number in NUMBERS for n in (1, 100, 4000)},
}


def bad_data():
    """Each alone: TLS without a certificate that would be asked for; and beside a right one: DANE."""
    found = {}
    for name in BAD_DATA:
        host = f"{name}.bad.lab"
        found[f"bad-{name}"] = case("unverified", "tlsa tlsa-invalid: all-records-unusable", domain=host, sni=host,
                                    shared="combinations", certificate="own")
        host = f"{name}.mixed.lab"
        found[f"mixed-{name}"] = case("dane", domain=host, sni=host, shared="combinations", certificate="own")
    return found


def bad_zones():
    lines = {"bad": [], "mixed": []}
    for name, data in BAD_DATA.items():
        for zone, records in lines.items():
            records.append(f"{name} MX 10 {name}\n{name} A {{server.ip4}}\n_25._tcp.{name} TLSA {data}")
        lines["mixed"].append(f"_25._tcp.{name} TLSA {{right[3 1 1]}}")
    return {zone: ({}, records) for zone, records in lines.items()}


# --- certificates and their TLSA records; the DNS in further states ---

NO_MATCH = "tlsa validation-failure: dane-no-match"

CERTIFICATES = {
    "dane-ee-key": case("dane"),
    "dane-ee-certificate": case("dane"),
    "dane-ee-sha512": case("dane"),
    "dane-ee-whole": case("dane"),
    "dane-ee-own": case("dane"),
    "dane-ee-expired": case("dane"),
    "dane-ee-other-name": case("dane"),
    "dane-ta": case("dane"),
    "dane-ta-other-name": deferred("4.7.5", "tlsa certificate-host-mismatch"),
    "dane-ta-expired": deferred("4.7.5", "tlsa certificate-expired"),
    "wrong-digest": deferred("4.7.5", NO_MATCH),
    "wrong-and-right": case("dane"),
    "pkix-unusable": case("unverified", "tlsa tlsa-invalid"),
    "unknown-unusable": case("unverified", "tlsa tlsa-invalid"),
    "unusable-and-wrong": deferred("4.7.5", NO_MATCH),
    "without-starttls": deferred("4.7.4", "tlsa starttls-not-supported"),
    "unusable-without-starttls": deferred("4.7.4", "tlsa starttls-not-supported"),
    "no-tlsa": case("unverified"),
    "no-tlsa-no-starttls": case("clear"),
    "insecure": case("unverified"),
    "bogus": untouched(deferred("4.4.3", DNSSEC)),
    "expired": untouched(deferred("4.4.3", DNSSEC)),
    "nsec3": case("dane"),
    "tlsa-alias": case("dane"),
    "host-alias": case("dane", sni="real.host-alias.lab"),
}
for _name, _one in CERTIFICATES.items():  # zones, records and certificates are those that Postfix judges by itself
    _from = dane_cases.CASES[_name]
    _one.records, _one.certificate, _one.zone = _from.records, _from.certificate, _from.zone

CERTIFICATES.update({
    "roll-over": case("dane", records=HOST + RIGHT + "\n" + TLSA + "{other[3 1 1]}"),
    "rolled-over": case("dane", records=HOST + TLSA + "{other[3 1 1]}\n" + RIGHT, certificate="own"),
    "roll-over-late": deferred("4.7.5", NO_MATCH, records=HOST + TLSA + "{other[3 1 1]}"),
    "ta-and-ee": case("dane", records=HOST + TLSA + "{authority[2 1 1]}\n" + WRONG),
    "ta-own": deferred("4.7.5", NO_MATCH, records=HOST + TLSA + "{authority[2 0 1]}", certificate="own"),
    # an authority is above what it vouches for
    "ta-of-itself": deferred("4.7.5", NO_MATCH, records=HOST + TLSA + "{right[2 0 1]}", certificate="own"),
    "ta-key": case("dane", records=HOST + TLSA + "{authority[2 1 1]}"),
    "ta-whole": case("dane", records=HOST + TLSA + "{authority[2 0 0]}"),
    "weaker-digest": deferred("4.7.5", NO_MATCH, records=HOST + RIGHT + "\n" + TLSA + "{wrong[3 1 2]}"),
    "other-port": case("unverified", records=HOST + "_26._tcp.mx TLSA {wrong[3 1 1]}"),
    "own-without": case("unverified", certificate="own"),
    "expired-without": case("unverified", certificate="expired"),
    "itself": case("dane", records="@ A {server.ip4}\n_25._tcp TLSA {right[3 1 1]}", sni="itself.lab"),
    "alias-both": case("dane", records="@ MX 10 mx\nmx CNAME real\nreal A {server.ip4}\n_25._tcp.real TLSA {right[3 1 1]}\n" + WRONG,
                       sni="real.alias-both.lab"),
    "alias-own-name": case("dane", records="@ MX 10 mx\nmx CNAME real\nreal A {server.ip4}\n" + RIGHT),
    "alias-out": deferred("4.7.5", NO_MATCH, records="@ MX 10 mx\nmx CNAME mx.insecure.lab.\n" + WRONG, shared="insecure"),
    "alias-out-without": case("unverified", records="@ MX 10 mx\nmx CNAME mx.insecure.lab.", shared="insecure"),
    "tlsa-unsigned": untouched(deferred("4.4.3", "tlsa dnssec-invalid", records=HOST + RIGHT,
                                        zone={"spoil": (without_signatures("TLSA"),)})),
    "next-host": case("dane", NO_MATCH, "tlsa success", sni="mx.next-host.lab",
                      records="@ MX 10 mx.wrong-digest.lab.\n@ MX 20 mx\nmx A {server.ip4}\n" + RIGHT),
    "next-host-clear": deferred("4.7.4", NO_MATCH, "tlsa starttls-not-supported", certificate="",
                                records="@ MX 10 mx.wrong-digest.lab.\n@ MX 20 mx\nmx A {server.ip4}\n" + RIGHT),
    # of two hosts, one without TLSA records: it is as good as any
    "next-host-without": case("unverified", NO_MATCH, "no-policy-found success",
                              records="@ MX 10 mx.wrong-digest.lab.\n@ MX 20 mx\nmx A {server.ip4}\n"),
    # addresses of one family are forged: those of the other are used (docs/deviations.md)
    "forged-aaaa": case("dane", records=HOST + "mx AAAA {server.ip6}\n" + RIGHT,
                        zone={"spoil": (wrong_signatures("AAAA", owner="mx."),)}),
    "forged-aaaa-wrong": deferred("4.7.5", NO_MATCH, records=HOST + "mx AAAA {server.ip6}\n" + WRONG,
                                  zone={"spoil": (wrong_signatures("AAAA", owner="mx."),)}),
    "domain-alias": case("dane", records="", domain="www.alias.lab", shared="dane-ee-key", sni="mx.dane-ee-key.lab"),
    "domain-alias-plain": case("unverified", records="", domain="www.plainalias.lab", shared="dane-ee-key",
                               sni="mx.dane-ee-key.lab"),
    "domain-alias-bogus": deferred("4.4.3", DNSSEC, records="", domain="www.badalias.lab",
                                   shared="dane-ee-key"),
})
# Zones beside the cases' own.
ALIASES = {
    "alias": ({}, ["www CNAME dane-ee-key.lab."]),
    "plainalias": (PLAIN, ["www CNAME dane-ee-key.lab."]),
    "badalias": (BOGUS, ["www CNAME dane-ee-key.lab."]),
}


# --- STARTTLS that is missing, refused, broken, stripped ---

def _oldest(sink):
    """It speaks TLS 1.0 and nothing later (RFC 8996)."""
    sink.tls.set_ciphers("ALL:@SECLEVEL=0")
    sink.tls.minimum_version = sink.tls.maximum_version = ssl.TLSVersion.TLSv1


CUT = ["250-sink.example\r\n250 XXXXXXXX"] * EVERY_TIME
SERVERS = {
    "missing": {"tls": None},
    "refused": {"answers": {"STARTTLS": ["454 4.7.0 not now"] * EVERY_TIME}},
    "goodbye": {"answers": {"STARTTLS": ["421 4.7.0 too busy"] * EVERY_TIME}},
    "unknown": {"answers": {"STARTTLS": ["502 5.5.1 no such command"] * EVERY_TIME}},
    "stripped": {"answers": {"EHLO": CUT, "STARTTLS": ["500 5.5.1 what?"] * EVERY_TIME}},
    "hidden": {"answers": {"EHLO": CUT}},  # the word alone was stripped
    "garbage": {"handshake": "garbage"},
    "reset": {"handshake": "reset"},
    "oldest": {"then": _oldest},
    "injected": {"after_starttls": b"250-sink.example\r\n250 PIPELINING\r\n"},  # CVE-2011-0411, towards a client
}
NOT_OFFERED = ("missing", "refused", "unknown", "stripped")
GUARDS = {
    "none": ("no-policy-found", {"zone": PLAIN}),
    "dane": ("tlsa", {"records": HOST + RIGHT}),
    "unusable": ("tlsa", {"records": HOST + UNUSABLE}),
    "enforce": ("sts", {"zone": PLAIN, "sts": Sts()}),
    "testing": ("sts", {"zone": PLAIN, "sts": Sts("testing")}),
}
GOOD = {"none": "unverified", "dane": "dane", "unusable": "unverified", "enforce": "mta-sts", "testing": "unverified"}


def _server_case(what, guard):
    policy_type, more = GUARDS[guard]
    must = guard in ("dane", "unusable", "enforce")
    not_offered = what in NOT_OFFERED or (what == "hidden" and not must)
    result = "starttls-not-supported" if not_offered else "validation-failure"
    fact = f"{policy_type} {result}"
    more = {**more, "server": SERVERS[what]}
    more["postfix"] = _postfix_at(what, guard, must)
    if what == "hidden" and must:
        return case(GOOD[guard], *(["tlsa tlsa-invalid"] if guard == "unusable" else []), **more)
    if what == "goodbye":
        return deferred("4.7.0", **more)
    if what == "injected":
        return deferred("4.5.0", fact, **more)
    if must:
        return deferred("4.7.4" if not_offered else "4.7.5", fact, **more)
    return case("clear", fact, **more)


def _postfix_at(what, guard, must):
    """Where Postfix decides otherwise at such a server."""
    if what == "oldest":
        return "" if guard == "dane" else "encrypted: " + TLS_1_0
    if what == "injected":
        return ("verified: " if guard == "dane" else "encrypted: ") + PURGES
    if what in ("garbage", "reset"):
        return "" if must else "refused: " + LATER
    if guard == "enforce":
        return "" if what == "goodbye" else "clear: " + NO_STS
    return "refused: " + UNASKED if what == "hidden" and must else ""


def servers():
    return {f"{guard}-{what}": _server_case(what, guard) for guard in GUARDS for what in SERVERS}


# --- policies of MTA-STS ---

def _lines(n):
    """A policy of so many octets, most of them in fields that nobody knows."""
    text, filler = policy("enforce", "mx.@"), "comment: " + "x" * 1000 + "\r\n"
    text += filler * ((n - len(text) - 20) // len(filler))
    return text + "comment: " + "x" * (n - len(text) - 11) + "\r\n"


def _forever(octets, pause=0):
    """Until nobody reads it any more."""
    def chunks():
        for _ in range(100000):
            time.sleep(pause)
            yield octets
    return chunks


FETCH, INVALID, WEBPKI = (f"no-policy-found sts-{word}" for word in ("policy-fetch-error", "policy-invalid", "webpki-invalid"))
SUCCESS = "no-policy-found success"
MISMATCH = "sts validation-failure: mx-mismatch"


def _sts(outcome, *facts, sts=None, postfix="", **more):
    """An unsigned domain with a policy; Postfix does not know of it."""
    if outcome == "mta-sts":
        postfix = "encrypted: " + NO_STS
    return Case(outcome, facts=facts, sts=sts or Sts(), postfix=postfix, **{"zone": PLAIN, **more})


def _unread(fact, **how):
    """A policy that cannot be had: without a kept one mail goes as if there were none (RFC 8461 section 3.3)."""
    return _sts("unverified", SUCCESS, fact, sts=Sts(**how), certificate="own")


def _enforced(code, *facts, sts=None, **more):
    return _sts("deferred", *facts, sts=sts, code=code, postfix="encrypted: " + NO_STS, **more)


POLICIES = {
    "sts-enforce": _sts("mta-sts"),
    "sts-wildcard": _sts("mta-sts", sts=Sts(mx=("*.@",))),
    "sts-several": _sts("mta-sts", sts=Sts(mx=("other.@", "mx.@", "*.else.lab"))),
    "sts-upper-case": _sts("mta-sts", sts=Sts(mx=("MX.@",))),
    "sts-signed": _sts("mta-sts", zone={}),
    "sts-other-host": untouched(_enforced("4.7.5", MISMATCH, sts=Sts(mx=("mail.@",)))),
    "sts-wildcard-of-two": untouched(_enforced("4.7.5", MISMATCH, sts=Sts(mx=("*.lab",)))),
    "sts-own": _enforced("4.7.5", "sts certificate-not-trusted", certificate="own"),
    "sts-expired": _enforced("4.7.5", "sts certificate-expired", certificate="expired"),
    "sts-other-name": _enforced("4.7.5", "sts certificate-host-mismatch", certificate="other"),
    "sts-next-host": _sts("mta-sts", MISMATCH, "sts success",
                          records="@ MX 10 mail\n@ MX 20 mx\nmx A {server.ip4}\nmail A {server.ip4}\n"),
    "sts-testing": _sts("unverified", "sts success", sts=Sts("testing")),
    "sts-testing-own": _sts("unverified", "sts certificate-not-trusted", sts=Sts("testing"), certificate="own"),
    "sts-testing-expired": _sts("unverified", "sts certificate-expired", sts=Sts("testing"), certificate="expired"),
    "sts-testing-other-host": _sts("unverified", MISMATCH, sts=Sts("testing", mx=("mail.@",))),
    "sts-none": _sts("unverified", sts=Sts("none"), certificate="own"),
    "sts-none-clear": _sts("clear", sts=Sts("none"), certificate=""),
    # with DANE at the same host both must hold (RFC 8461 section 2)
    "sts-and-dane": _sts("dane and mta-sts", records=HOST + RIGHT, zone={}),
    "sts-and-dane-own": Case("deferred", code="4.7.5", facts=("sts certificate-not-trusted", "tlsa success"), sts=Sts(),
                             records=HOST + RIGHT, certificate="own", postfix="verified: " + NO_STS),
    "sts-and-dane-wrong": Case("deferred", code="4.7.5", facts=("sts success", NO_MATCH), sts=Sts(), records=HOST + WRONG),
    "sts-and-unusable": _sts("mta-sts", "sts success", "tlsa tlsa-invalid", records=HOST + UNUSABLE, zone={}),
    "sts-and-dane-other-host": untouched(Case("deferred", code="4.7.5", facts=(MISMATCH,), sts=Sts(mx=("mail.@",)),
                                              records=HOST + RIGHT, postfix="verified: " + NO_STS)),
    "sts-testing-and-dane": case("dane", "sts certificate-not-trusted", "tlsa success", sts=Sts("testing"),
                                 records=HOST + RIGHT, certificate="own"),
    # the policy cannot be had
    "sts-host-expired": _unread(WEBPKI, certificate="expired"),
    "sts-host-own": _unread(WEBPKI, certificate="own"),
    "sts-host-other": _unread(WEBPKI, certificate="other"),
    "sts-gone": _unread(FETCH, status=404),
    "sts-broken": _unread(FETCH, status=500),
    "sts-no-content": _unread(FETCH, status=204, text=""),
    "sts-moved": _unread(FETCH, status=301, text="", headers={"Location": "https://mta-sts.sts-enforce.lab/.well-known/mta-sts.txt"}),
    "sts-found": _unread(FETCH, status=302, headers={"Location": "https://mta-sts.sts-enforce.lab/.well-known/mta-sts.txt"}),
    "sts-closed": _unread(FETCH, host="client"),
    "sts-nobody": _unread(FETCH, host="nobody"),
    "sts-mute": _unread(FETCH, host="silent"),           # a minute each: RFC 8461 section 3.3
    "sts-stalls": _unread(FETCH, delay=70),
    "sts-trickles": _unread(FETCH, body=_forever(b"#", pause=1)),
    # the policy cannot be read
    "sts-html": _unread(INVALID, headers={"Content-Type": "text/html"}),
    "sts-json": _unread(INVALID, headers={"Content-Type": "application/json"}),
    "sts-without-type": _unread(INVALID, headers={"Content-Type": None}),
    "sts-charset": _sts("mta-sts", sts=Sts(headers={"Content-Type": "text/plain; charset=utf-8"})),
    "sts-gzip": _unread(INVALID, headers={"Content-Encoding": "gzip"}),
    "sts-empty": _unread(INVALID, text=""),
    "sts-no-version": _unread(INVALID, text="mode: enforce\r\nmx: mx.@\r\nmax_age: 1000\r\n"),
    "sts-version-2": _unread(INVALID, text=policy("enforce", "mx.@").replace("STSv1", "STSv2")),
    "sts-no-mode": _unread(INVALID, text="version: STSv1\r\nmx: mx.@\r\nmax_age: 1000\r\n"),
    "sts-odd-mode": _unread(INVALID, mode="report"),
    "sts-no-max-age": _unread(INVALID, text="version: STSv1\r\nmode: enforce\r\nmx: mx.@\r\n"),
    "sts-odd-max-age": _unread(INVALID, text=policy("enforce", "mx.@", max_age="-1")),
    "sts-no-mx": _unread(INVALID, mx=()),
    "sts-odd-mx": _unread(INVALID, mx=("*mx.@",)),
    "sts-one-line": _unread(INVALID, text="version: STSv1; mode: enforce; mx: mx.@; max_age: 1000; " + "x" * 60000),
    "sts-64k": _sts("mta-sts", sts=Sts(text=_lines(64 * 1024 - 15))),
    "sts-65k": _unread(INVALID, text=_lines(66 * 1024)),
    "sts-endless-line": _unread(INVALID, body=_forever(b"x" * 8000)),
    "sts-endless-lines": _unread(INVALID, body=_forever(b"version: STSv1\r\n" * 500)),
    "sts-501-hosts": _unread(INVALID, mx=tuple(f"h{n}.@" for n in range(501))),
    "sts-500-hosts": _sts("mta-sts", sts=Sts(mx=(*(f"h{n}.@" for n in range(499)), "mx.@"))),
    # it is not announced (RFC 8461 section 3.1)
    "sts-no-id": _sts("unverified", sts=Sts(record='"v=STSv1;"')),
    "sts-long-id": _sts("unverified", sts=Sts(record='"v=STSv1; id=123456789012345678901234567890123"')),
    "sts-two-records": _sts("unverified", sts=Sts(record='"v=STSv1; id=1"\n"v=STSv1; id=2"')),
    "sts-other-records": _sts("mta-sts", sts=Sts(record='"something else"\n"v=STSv1; id=1"')),
    "sts-split-record": _sts("mta-sts", sts=Sts(record='"v=STS" "v1; id=1"')),
    "sts-forged": untouched(Case("deferred", code="4.4.3", facts=(), sts=Sts(), postfix="encrypted: " + NO_STS,
                                 zone={"spoil": (without_signatures("TXT"),)})),
}


# --- REQUIRETLS and TLS-Required: No ---

REQUIRETLS = {"extensions": ["PIPELINING", "8BITMIME", "ENHANCEDSTATUSCODES", "REQUIRETLS"]}
NONE = "no-policy-found"


def _require(outcome, *facts, code="", server=None, **more):
    return Case(outcome, facts=facts, code=code, wish="require", postfix="-: " + NO_REQUIRETLS,
                server={**REQUIRETLS, **(server or {})}, **more)


def _optional(outcome, *facts, **more):
    return Case(outcome, facts=facts, wish="optional", postfix="-: " + NO_REQUIRETLS, **more)


WISHES = {
    "require-dane": _require("dane", records=HOST + RIGHT, certificate="own"),
    "require-dane-lacking": Case("failed", records=HOST + RIGHT, code="5.7.30", facts=("tlsa success",), wish="require",
                                 postfix="-: " + NO_REQUIRETLS),
    "require-dane-wrong": _require("deferred", NO_MATCH, records=HOST + WRONG, code="4.7.5"),
    "require-dane-clear": _require("deferred", "tlsa starttls-not-supported", records=HOST + RIGHT, certificate="", code="4.7.4"),
    "require-dane-stripped": _require("deferred", "tlsa starttls-not-supported", records=HOST + RIGHT, code="4.7.4",
                                      server=SERVERS["stripped"]),
    "require-unusable": _require("authorities", "tlsa tlsa-invalid", records=HOST + UNUSABLE),
    "require-unusable-own": _require("deferred", "tlsa validation-failure", records=HOST + UNUSABLE, certificate="own", code="4.7.5"),
    "require-signed": _require("authorities", zone={}),
    "require-signed-own": _require("deferred", f"{NONE} validation-failure", zone={}, certificate="own", code="4.7.5"),
    "require-signed-clear": _require("deferred", f"{NONE} starttls-not-supported", certificate="", code="4.7.4"),
    "require-itself": _require("authorities", records="@ A {server.ip4}", zone=PLAIN, sni="require-itself.lab", certificate="issued"),
    "require-plain": untouched(_require("failed", zone=PLAIN, code="5.7.30")),
    "require-bogus-tlsa": untouched(_require("deferred", "tlsa dnssec-invalid", records=HOST + RIGHT, code="4.4.3",
                                             zone={"spoil": (without_signatures("TLSA"),)})),
    "require-bogus": untouched(_require("deferred", DNSSEC, zone=BOGUS, code="4.4.3")),
    "require-enforce": _require("mta-sts", zone=PLAIN, sts=Sts()),
    "require-enforce-own": _require("deferred", "sts certificate-not-trusted", zone=PLAIN, sts=Sts(), certificate="own", code="4.7.5"),
    "require-enforce-lacking": Case("failed", zone=PLAIN, sts=Sts(), code="5.7.30", facts=("sts success",), wish="require",
                                    postfix="-: " + NO_REQUIRETLS),
    "require-mismatch": untouched(_require("deferred", MISMATCH, zone=PLAIN, sts=Sts(mx=("mail.@",)), code="4.7.5")),
    "require-testing": untouched(_require("failed", zone=PLAIN, sts=Sts("testing"), code="5.7.30")),
    "require-none": untouched(_require("failed", zone=PLAIN, sts=Sts("none"), code="5.7.30")),
    "require-gone": untouched(_require("failed", FETCH, zone=PLAIN, sts=Sts(status=404), code="5.7.30")),
    "require-both": _require("dane and mta-sts", records=HOST + RIGHT, sts=Sts()),
    # REQUIRETLS wins over the field (RFC 8689 section 4.1)
    "both-wishes": dataclasses.replace(_require("deferred", NO_MATCH, records=HOST + WRONG, code="4.7.5"), wish="both"),
    "optional-dane": _optional("unverified", "tlsa success", records=HOST + RIGHT),
    "optional-dane-wrong": _optional("unverified", NO_MATCH, records=HOST + WRONG),
    "optional-dane-clear": _optional("clear", "tlsa starttls-not-supported", records=HOST + RIGHT, certificate=""),
    "optional-dane-garbage": _optional("clear", "tlsa validation-failure", records=HOST + RIGHT, server=SERVERS["garbage"]),
    "optional-bogus-tlsa": _optional("unverified", "tlsa dnssec-invalid", records=HOST + RIGHT,
                                     zone={"spoil": (without_signatures("TLSA"),)}),
    "optional-bogus": untouched(dataclasses.replace(_optional("deferred", DNSSEC, zone=BOGUS), code="4.4.3")),
    "optional-enforce": _optional("unverified", "sts success", zone=PLAIN, sts=Sts()),
    "optional-enforce-own": _optional("unverified", "sts certificate-not-trusted", zone=PLAIN, sts=Sts(), certificate="own"),
    "optional-enforce-clear": _optional("clear", "sts starttls-not-supported", zone=PLAIN, sts=Sts(), certificate=""),
    "optional-mismatch": _optional("unverified", MISMATCH, zone=PLAIN, sts=Sts(mx=("mail.@",))),
}


# --- certificates with hostile names: the subject alternative names, in DER, where authorities are asked ---

def _named(*names):
    return b"".join(b"\x82" + _length(len(name)) + name for name in names)


def _length(n):
    octets = n.to_bytes((n.bit_length() + 7) // 8 or 1, "big")
    return octets if n < 128 else bytes([0x80 + len(octets)]) + octets


def san(names):
    """SEQUENCE of them, as openssl(1) takes an extension."""
    return "DER:" + (b"\x30" + _length(len(names)) + names).hex()


# name: (GeneralNames, with @ for the host's domain; whether it is good for mx.@)
HOSTILE = {
    "nul-behind": (lambda d: _named(b"mx." + d + b"\0.evil.lab"), False),
    "nul-before": (lambda d: _named(b"evil.lab\0mx." + d), False),
    "nul-alone": (lambda d: _named(b"\0"), False),
    "empty": (lambda d: _named(b""), False),
    "star": (lambda d: _named(b"*"), False),
    "star-dot": (lambda d: _named(b"*."), False),
    "star-top": (lambda d: _named(b"*.lab"), False),
    "star-host": (lambda d: _named(b"*." + d), True),
    "star-part": (lambda d: _named(b"m*." + d), False),
    "star-end": (lambda d: _named(b"*x." + d), False),
    "star-middle": (lambda d: _named(b"mx.*.lab"), False),
    "star-last": (lambda d: _named(b"mx." + d[:-3] + b"*"), False),
    "star-two": (lambda d: _named(b"*.*.lab"), False),
    "star-double": (lambda d: _named(b"**." + d), False),
    "star-below": (lambda d: _named(b"*.mx." + d), False),
    "upper": (lambda d: _named(b"MX." + d.upper()), True),
    "dot-end": (lambda d: _named(b"mx." + d + b"."), False),
    "dot-begin": (lambda d: _named(b"." + d), False),
    "blank": (lambda d: _named(b" mx." + d), False),
    "newline": (lambda d: _named(b"mx." + d + b"\r\n"), False),
    "eight-bit": (lambda d: _named(b"mx\xff." + d), False),
    "long": (lambda d: _named(b"x" * 30000), False),
    "long-and-right": (lambda d: _named(b"x." * 10000, b"mx." + d), True),
    "thousand": (lambda d: _named(*(b"h%d." % n + d for n in range(1000)), b"mx." + d), True),
    "mail": (lambda d: b"\x81" + _length(len(d) + 3) + b"mx." + d, False),     # rfc822Name
    "address": (lambda d: b"\x87\x04\xc0\x00\x02\x01", False),                 # iPAddress
    "uri": (lambda d: b"\x86" + _length(len(d) + 11) + b"https://mx." + d, False),
}


def hostile():
    found = {}
    for name, (_, good) in HOSTILE.items():
        found[f"name-{name}"] = _sts("mta-sts", certificate=f"hostile {name}") if good else _enforced(
            "4.7.5", "sts certificate-host-mismatch", certificate=f"hostile {name}")
    for name in ("nul-behind", "star-part", "star-host"):  # RFC 7672 section 3.2.3
        good = HOSTILE[name][1]
        found[f"ta-{name}"] = Case("dane" if good else "deferred", code="" if good else "4.7.5",
                                   facts=() if good else ("tlsa certificate-host-mismatch",),
                                   records=HOST + TLSA + "{authority[2 0 1]}", certificate=f"hostile {name}")
    return found


TABLES = {
    "combinations": combinations(),
    "bad TLSA records": bad_data(),
    "certificates": CERTIFICATES,
    "servers": servers(),
    "policies": POLICIES,
    "wishes": WISHES,
    "hostile names": hostile(),
}


# --- from cases to their servers, zones and policies ---

class World:
    """All of it in a lab: servers by the names of cases, or by what several of them share; zones are published."""

    def __init__(self, lab):
        self.lab, self.servers = lab, {}
        self.cases = {name: one for table in TABLES.values() for name, one in table.items()}
        for name, one in self.cases.items():
            one.domain = one.domain or f"{name}.lab"
            one.sni = one.sni or f"mx.{name}.lab"
        hosts = [one.sni for one in self.cases.values() if not one.shared] + ["mx.lab"]
        issue = lab.certificates.issue
        self.certificates = {
            "issued": issue("lab", *hosts, label="issued"), "own": lab.certificates.self_signed("lab", *hosts), "": None,
            "expired": issue("lab", *hosts, days=(-20, -10), label="expired"), "other": issue("else.lab")}
        self._prepare_web()
        zones = [*combination_zones(TABLES["combinations"]).items(), *bad_zones().items(), *ALIASES.items()]
        self._serve("combinations", Case("", certificate="own"))
        for name, one in self.cases.items():
            if not one.shared:
                self._serve(name, one)
        lab.authority.add(*(self._shared_zone(f"{name}.lab", how, lines) for name, (how, lines) in zones))
        lab.authority.add(*(self._zone(name, one) for name, one in self.cases.items()
                            if one.domain == f"{name}.lab" and one.records))
        lab.authority.publish()

    def server(self, name):
        return self.servers[self.cases[name].shared or name]

    # --- servers ---

    def certificate(self, name, one):
        if not one.certificate.startswith("hostile"):
            return self.certificates[one.certificate]
        if name not in self.certificates:
            names = HOSTILE[one.certificate.removeprefix("hostile ")][0](f"{name}.lab".encode())
            self.certificates[name] = self.lab.certificates.issue("hostile", label=f"hostile-{name}", alternative=san(names))
        return self.certificates[name]

    def _serve(self, name, one):
        server = self.lab.smtp_server(self.certificate(name, one))
        server.names = []
        if server.tls:
            server.tls.sni_callback = lambda connection, asked, context: server.names.append(asked)
        for attribute, value in copy.deepcopy(one.server).items():
            if attribute == "then":
                value(server)
            else:
                setattr(server, attribute, value)
        self.servers[name] = server

    # --- zones ---

    def _fill(self, text, server, certificate):
        root, other = self.lab.certificates.root, self.certificates["own"]
        if certificate is other:
            other = self.certificates["issued"]
        certificate = certificate or root
        return text.format(server=server.at, right=Tlsa(certificate), wrong=Tlsa(certificate, wrong=True),
                           authority=Tlsa(root), other=Tlsa(other))

    def _shared_zone(self, name, how, lines):
        return Zone(name, self._fill("\n".join(lines), self.servers["combinations"], self.certificates["own"]), **how)

    def _zone(self, name, one):
        records = one.records + (one.sts.records() if one.sts else "")
        return Zone(one.domain, self._fill(records, self.server(name), self.certificate(name, one)), **one.zone)

    # --- policies ---

    def _prepare_web(self):
        lab, names = self.lab, [f"mta-sts.{name}.lab" for name, one in self.cases.items() if one.sts]
        web = lab.web()
        certificates = {
            "issued": lab.certificates.issue("web", *names, label="web-issued"), "own": lab.certificates.self_signed("web", *names),
            "expired": lab.certificates.issue("web", *names, days=(-20, -10), label="web-expired"),
            "other": lab.certificates.issue("mta-sts.else.lab")}
        for name, one in self.cases.items():
            sts = one.sts
            if sts:
                web.serve(one.domain, Policy(sts.policy_text(one.domain), status=sts.status, headers=sts.headers, delay=sts.delay,
                                             body=sts.body, certificate=certificates[sts.certificate]))
        lab.host("client")  # refuses connections
        mute = lab.host("silent")
        with mute.inside():
            self.mute = socket.create_server((mute.ip4, 443))  # takes them, and says nothing
