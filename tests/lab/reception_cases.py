"""Domains and messages for test_reception.py: who writes, what is sent, and by which client. What must come of it, to
the letter, stands in reception_expected.txt under the case's name.

A domain is its records ($r and $e: records of an RSA and an Ed25519 key, which all have; OURS: the addresses that the
lab's Postfix sends from) and how its zone is. A case is a message with its envelope and the client that brings it.
"""

import dataclasses
import string

from zones import Zone, wrong_signatures

OURS = "ip4:{postfix.ip4} ip6:{postfix.ip6} ip4:198.51.100.0/24"
KEYS = "r._domainkey TXT $r\ne._domainkey TXT $e\n"
UNSIGNED = {"sign": "no", "ds": "none"}


def domain(spf=f"v=spf1 {OURS} -all", dmarc="v=DMARC1; p=reject", more="", **zone):
    records = KEYS + more
    if spf:
        records += f'\n@ TXT "{spf}"'
    if dmarc:
        records += f'\n_dmarc TXT "{dmarc}"'
    return records, zone


DOMAINS = {
    # all in order, and the three states of a zone
    "secure.lab": domain(more=f'news TXT "v=spf1 {OURS} -all"\nhelo TXT "v=spf1 {OURS} -all"'),
    "insecure.lab": domain(**UNSIGNED),
    "bogus.lab": domain(ds="wrong"),
    "expired.lab": domain(day=-60),
    "bogus-key.lab": domain(spf=None, spoil=(wrong_signatures("TXT", owner="r._domainkey"),)),
    "bogus-dmarc.lab": domain(spoil=(wrong_signatures("TXT", owner="_dmarc"),)),
    "down.lab": domain(server="liar"),
    # what is signed by the client, not beforehand
    "milter.lab": domain(more="o._domainkey TXT $r\np._domainkey TXT $e"),
    "milter-insecure.lab": domain(more="o._domainkey TXT $r", **UNSIGNED),
    "milter-ed25519.lab": domain(more="p._domainkey TXT $e"),
    # results of SPF
    "fail.lab": domain(spf="v=spf1 mx -all exp=why.%{{d}}", dmarc=None,
                       more='@ MX 10 mx\nmx A {sink.ip4}\nwhy TXT "%{{i}} is no server of %{{d}}"'),
    "softfail.lab": domain(spf="v=spf1 ip4:192.0.2.77 ~all", dmarc=None),
    "neutral.lab": domain(spf="v=spf1 ?all", dmarc=None),
    "plain.lab": domain(spf=None, dmarc=None),
    "loop.lab": domain(spf="v=spf1 include:loop.lab -all", dmarc=None),
    "twice.lab": domain(dmarc=None, more='@ TXT "v=spf1 -all"'),
    "include.lab": domain(spf="v=spf1 include:insecure.lab -all", dmarc=None),
    "include-bogus.lab": domain(spf="v=spf1 include:bogus.lab -all", dmarc="v=DMARC1; p=none"),
    # policies of DMARC; nothing but a signature can pass
    "strict.lab": domain(spf="v=spf1 -all", dmarc="v=DMARC1; p=reject; sp=quarantine; np=reject",
                         more='real TXT "here it is"'),
    "quarantine.lab": domain(spf="v=spf1 -all", dmarc="v=DMARC1; p=quarantine"),
    "watch.lab": domain(spf="v=spf1 -all", dmarc="v=DMARC1; p=none"),
    "testing.lab": domain(spf="v=spf1 -all", dmarc="v=DMARC1; p=reject; t=y"),
    "exact.lab": domain(dmarc="v=DMARC1; p=reject; adkim=s; aspf=s", more=f'news TXT "v=spf1 {OURS} -all"'),
    "garbled.lab": domain(spf="v=spf1 -all", dmarc="v=DMARC1; p=perhaps"),
    "two-policies.lab": domain(spf="v=spf1 -all", more='_dmarc TXT "v=DMARC1; p=quarantine"'),
    # keys
    "keys.lab": domain(spf="v=spf1 -all", dmarc="v=DMARC1; p=none", more="\n".join((
        "other._domainkey TXT $other", "short._domainkey TXT $short", "testing._domainkey TXT $testing",
        'revoked._domainkey TXT "v=DKIM1; p="', 'garbled._domainkey TXT "v=DKIM1; k=rsa; p=AAAA"'))),
    # who passes mail on
    "list.lab": domain(dmarc="v=DMARC1; p=none"),
}


def zones(keys):
    return [Zone(name, string.Template(records).substitute(keys), **how) for name, (records, how) in DOMAINS.items()]


# --- clients: reverse zones of the addresses that Postfix sends from ---

CLIENTS = {  # beside `postfix` (a secure name), and `six`: IPv6, of which no name is known
    "helo": None,  # a name of its own in EHLO
    "nameless": ("", {}),
    "insecure-name": ("@ PTR insecure-name.postfix.lab.", UNSIGNED),
    "bogus-name": ("@ PTR bogus-name.postfix.lab.", {"ds": "wrong"}),
    "borrowed-name": ("@ PTR mx.one.lab.", {}),
    "lost-name": ("@ PTR nobody.postfix.lab.", {}),
}


# --- messages ---

@dataclasses.dataclass
class Case:
    """sign: what `mailkeep dkim sign` adds, "SELECTOR DOMAIN" each, the uppermost last. change: what becomes of the
    message afterwards. to: `one` has all settings as they come, `two` turns away what it can. judge: results that
    Debian's checkers give otherwise than we do, one of OTHERWISE."""
    author: str = "ada@secure.lab"
    sender: str = None  # MAIL FROM; else the author
    sign: tuple = ()
    options: tuple = ()  # of signing
    client: str = "postfix"
    to: str = "one"
    header: str = ""
    body: str = "Hello.\r\n"
    change: object = None
    judge: str = None

    def text(self, name):
        return (f"From: {self.author}\r\nTo: {name}@{self.to}.lab\r\nSubject: {name}\r\n"
                f"Date: Mon, 30 Nov 2026 10:00:00 +0000\r\nMessage-ID: <{name}@case.lab>\r\n{self.header}\r\n{self.body}")

    def envelope_from(self):
        return self.author.rpartition("<")[2].rstrip(">") if self.sender is None else self.sender


# Where Debian's checkers differ, and why.
OTHERWISE = {
    # policyd-spf takes SERVFAIL, also a validating resolver's word for what is bogus, for a domain without a record;
    # OpenDKIM writes no result for a key that it cannot look up; OpenDMARC takes the failed lookup for no policy
    "no answer": {"spf": "none", "dkim": [], "dmarc": "none"},
    # the signature might have passed (RFC 9989 section 4.7); OpenDMARC does not know of it
    "bogus key": {"dkim": [], "dmarc": "fail"},
    "bogus policy": {"dmarc": "none"},
    # an included domain without a record is a permanent error (RFC 7208 section 5.2), one not known is not
    "bogus include": {"spf": "permerror", "dmarc": "fail"},
    # OpenDMARC does not take HELO for the sender of reports (RFC 7208 section 2.4)
    "helo": {"dmarc": "fail"},
    # OpenDMARC 1.4.2 forgets aspf=s
    "exact": {"dmarc": "pass"},
    # OpenDMARC takes the first of several records, which are to be discarded (RFC 7489 section 6.6.3)
    "records": {"dmarc": "fail"},
    # OpenDMARC takes the first of several From fields; or says nothing of several domains in it
    "first author": {"dmarc": "none"},
    "no author": {"dmarc": None},
    # no key, or one that may not be used, is a permanent error (RFC 6376 sections 3.9 and 6.1.2); what we do not
    # accept is `policy` (RFC 8601 section 2.7.1)
    "key": {"dkim": ["fail"]},
    "time": {"dkim": ["permerror"]},
}


def footer(message):
    return message + b"-- \r\nA list of people\r\n"


def subject(message):
    return message.replace(b"Subject: ", b"Subject: [people] ", 1)


def second_author(message):
    return b"From: boss@strict.lab\r\n" + message


LIST = "List-Id: People <people.list.lab>\r\n"
RSA, BOTH = ("r secure.lab",), ("e secure.lab", "r secure.lab")

CASES = {
    # secure, insecure, bogus; aligned
    "signed-rsa": Case(sign=RSA),
    "signed-ed25519": Case(sign=("e secure.lab",)),
    "signed-both": Case(sign=BOTH),
    "signed-simple": Case(sign=RSA, options=("--canon", "simple/simple")),
    "unsigned": Case(),
    "insecure-signed": Case("Ada <ada@insecure.lab>", sign=("r insecure.lab",)),
    "bogus-signed": Case("ada@bogus.lab", sign=("r bogus.lab",), judge="no answer"),
    "expired-zone": Case("ada@expired.lab", sign=("r expired.lab",), judge="no answer"),
    "bogus-key": Case("ada@bogus-key.lab", sign=("r bogus-key.lab",), judge="bogus key"),
    "bogus-policy": Case("ada@bogus-dmarc.lab", sign=("r bogus-dmarc.lab",), judge="bogus policy"),
    "down": Case("ada@down.lab", sign=("r down.lab",), judge="no answer"),
    "milter-rsa-ed25519": Case("ada@milter.lab"),
    "milter-ed25519": Case("ada@milter-ed25519.lab"),
    "milter-insecure": Case("ada@milter-insecure.lab"),
    # SPF
    "spf-fail": Case("ada@fail.lab"),
    "spf-softfail": Case("ada@softfail.lab"),
    "spf-neutral": Case("ada@neutral.lab"),
    "spf-none": Case("ada@plain.lab"),
    "spf-loop": Case("ada@loop.lab"),
    "spf-two-records": Case("ada@twice.lab"),
    "spf-include": Case("ada@include.lab"),
    "spf-include-bogus": Case("ada@include-bogus.lab", judge="bogus include"),
    "null-sender": Case(sender=""),
    "null-sender-helo": Case(sender="", client="helo", judge="helo"),
    "null-sender-helo-strict": Case("ada@strict.lab", sender="", client="helo"),
    # the client's name
    "six": Case(client="six", sign=RSA),
    "nameless": Case(client="nameless"),
    "insecure-name": Case(client="insecure-name"),
    "bogus-name": Case(client="bogus-name"),
    "borrowed-name": Case(client="borrowed-name"),
    "lost-name": Case(client="lost-name"),
    # DMARC
    "relaxed-spf": Case(sender="bounce@news.secure.lab"),
    "exact-spf": Case("ada@exact.lab", sender="bounce@news.exact.lab", judge="exact"),
    "exact-signed": Case("ada@exact.lab", sender="bounce@news.exact.lab", sign=("r exact.lab",)),
    "reject": Case("boss@strict.lab"),
    "reject-other-signed": Case("boss@strict.lab", sender="ada@secure.lab", sign=RSA),
    "reject-signed": Case("boss@strict.lab", sign=("r strict.lab",)),
    "quarantine": Case("boss@quarantine.lab"),
    "none": Case("boss@watch.lab"),
    "testing": Case("boss@testing.lab"),
    "subdomain": Case("boss@real.strict.lab"),
    "no-subdomain": Case("boss@unreal.strict.lab"),
    "garbled-policy": Case("boss@garbled.lab"),
    "two-policies": Case("boss@two-policies.lab", judge="records"),
    # authors
    "two-from-fields": Case(sign=RSA, change=second_author),
    "two-authors": Case("Ada <ada@secure.lab>, Bob <bob@secure.lab>", sender="ada@secure.lab", sign=RSA),
    "two-domains": Case("Ada <ada@secure.lab>, Boss <boss@strict.lab>", sender="ada@secure.lab", sign=RSA, judge="no author"),
    # signatures that say nothing
    "changed-body": Case("boss@strict.lab", sign=("r strict.lab",), change=footer),
    "changed-subject": Case("boss@strict.lab", sign=("r strict.lab",), change=subject),
    "changed-and-aligned": Case(sign=RSA, change=footer),
    "no-key": Case("ada@keys.lab", sign=("nowhere keys.lab",), judge="key"),
    "other-key": Case("ada@keys.lab", sign=("other keys.lab",)),
    "revoked-key": Case("ada@keys.lab", sign=("revoked keys.lab",), judge="key"),
    "short-key": Case("ada@keys.lab", sign=("short keys.lab",), judge="key"),
    "garbled-key": Case("ada@keys.lab", sign=("garbled keys.lab",)),
    "testing-key": Case("ada@keys.lab", sign=("testing keys.lab",)),
    "signature-expired": Case("ada@keys.lab", sign=("r keys.lab",), options=("--at", "1577880000", "--expire", "1d"), judge="time"),
    "signature-from-tomorrow": Case("ada@keys.lab", sign=("r keys.lab",), options=("--at", "4102444800"), judge="time"),
    # passed on
    "forwarded": Case("boss@strict.lab", sender="owner@list.lab", sign=("r strict.lab",)),
    "forwarded-changed": Case("boss@strict.lab", sender="owner@list.lab", sign=("r strict.lab",), change=footer),
    "list": Case("boss@strict.lab", sender="owner@list.lab", sign=("r list.lab",), header=LIST),
    "list-says-so-only": Case("boss@strict.lab", sender="ada@secure.lab", sign=RSA, header=LIST),
    "forged-results": Case(header="Authentication-Results: mx.one.lab; dmarc=pass header.from=bank.lab\r\n"
                                  "Authentication-Results: elsewhere.lab; spf=pass\r\n"),
    # turned away by who wishes so
    "two-spf-fail": Case("ada@fail.lab", to="two"),
    "two-softfail": Case("ada@softfail.lab", to="two"),
    "two-fail-but-signed": Case("boss@strict.lab", sign=("r strict.lab",), to="two"),
    "two-fail-and-reject": Case("boss@strict.lab", to="two"),
    "two-nameless": Case(client="nameless", to="two"),
    "two-bogus-name": Case(client="bogus-name", to="two"),
    "two-borrowed-name": Case(client="borrowed-name", to="two"),
    "two-everything": Case("ada@fail.lab", client="nameless", to="two"),
    "two-from-fields-refused": Case(sign=RSA, change=lambda m: b"From: eve@plain.lab\r\n" + m, to="two", judge="first author"),
    "two-bogus-policy": Case("ada@bogus-dmarc.lab", to="two"),
    "two-garbled-policy": Case("boss@garbled.lab", sender="ada@secure.lab", to="two"),
}
