"""The world of the lab as data: who lives where, and which domains there are.

A root of its own, the top-level domains `example` (DNS in every state) and `lab` (mail), reverse zones.
"""

import liar
from handsigned import resigned
from zones import Zone, without, without_signatures, wrong_signatures

# The last part of the addresses: 192.0.2.N and 2001:db8::N in hexadecimal.
HOSTS = {
    "root": 1, "tld": 2, "leaf": 3,  # authoritative servers
    "liar": 4,                       # one that misbehaves, before leaf
    "resolver": 5,                   # unbound, validating, for everybody who has none
    "client": 6,                     # where commands run; serves nothing
    "silent": 7,                     # is there, and lets no question for names arrive
    "stranger": 8,                   # whom the resolver refuses
    "nobody": 99,                    # an address at which nobody lives
    "one": 21, "two": 22,            # mailkeep
    "postfix": 31, "judge": 32,
    "sink": 41,                      # SMTP servers that a test controls
    "web": 51,                       # policies of MTA-STS
    "socks": 61,
}
AUTHORITATIVE = ("root", "tld", "leaf")  # the last also loads what the others only pretend to serve

TOP = [
    Zone(".", server="root"),
    Zone("example", server="tld", negative_ttl=1, records="""
        lame   NS  leaf             ; which knows nothing of it
        leaf   A   {leaf.ip4}
        homeless  NS  ns.homeless   ; whose address nobody tells
    """),
    Zone("lab", server="tld", negative_ttl=1),
    Zone("2.0.192.in-addr.arpa", server="tld", records="""
        21        PTR    mx.one.lab.
        22        PTR    mx.two.lab.
        31        PTR    mx.postfix.lab.
        70        CNAME  70.64/26
        70.64/26  PTR    classless.lab.
    """),
    Zone("8.b.d.0.1.0.0.2.ip6.arpa", server="tld", records="""
        5.1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0  PTR  mx.one.lab.
        6.1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0  PTR  mx.two.lab.
    """),
]

# --- domains of the mail servers ---

MAIL = [Zone(f"{name}.lab", f"""
    @    MX    10 mx
    @    TXT   "v=spf1 mx -all"
    mx   A     {{{name}.ip4}}
    mx   AAAA  {{{name}.ip6}}
    _mta-sts  TXT  "v=STSv1; id=1"
    mta-sts   A    {{web.ip4}}
""") for name in ("one", "two", "postfix", "judge")]

# --- domains for the DNS itself ---

WWW = "www A 192.0.2.80\n"
EVERY_TYPE = """
    @                  MX     10 mx
    @                  MX     20 mx.nsec3.example.
    @                  TXT    "v=spf1 -all" " and more"
    @                  CAA    0 issue "ca.example"
    www                A      192.0.2.80
    www                AAAA   2001:db8::80
    mx                 A      192.0.2.81
    short         60   A      192.0.2.82
    _25._tcp.mx        TLSA   3 1 1 0A0B0C
    _submission._tcp   SRV    0 1 587 mx
    null               MX     0 .
    a.deep.down        A      192.0.2.83
    *.wild             A      192.0.2.84
    *.walias           CNAME  www
    sub.wild           TXT    "beside the wildcard"
"""
BIG = "".join(f'big TXT "{n:03} {"x" * 240}"\n' for n in range(40))

SOUND = [
    Zone("secure.example", EVERY_TYPE + BIG),
    Zone("nsec3.example", EVERY_TYPE, sign="nsec3"),
    Zone("salted.example", EVERY_TYPE, sign="nsec3", iterations=10, salt=8),
    Zone("optout.example", EVERY_TYPE, sign="nsec3", opt_out=True),
    Zone("plain.optout.example", WWW, sign="no", ds="none"),
    Zone("most.example", EVERY_TYPE, sign="nsec3", iterations=150, salt=8),       # as many as unbound reckons
    Zone("toomany.example", EVERY_TYPE, sign="nsec3", iterations=151, salt=8),
    Zone("farmore.example", EVERY_TYPE, sign="nsec3", iterations=2500, salt=8),
    Zone("rsa.example", WWW, algorithm="rsasha256"),
    Zone("p384.example", WWW, algorithm="ecdsap384sha384"),
    Zone("ed25519.example", WWW, algorithm="ed25519"),
    Zone("ed448.example", WWW, algorithm="ed448"),
    Zone("xn--bcher-kva.example", WWW),
    Zone("roll.example", "".join(f"www{n} A 192.0.2.80\n" for n in range(40)), ttl=1),
]
UNSIGNED = [
    Zone("insecure.example", EVERY_TYPE, sign="no", ds="none"),
    Zone("island.example", WWW, ds="none"),
    Zone("below.insecure.example", WWW),
    Zone("algorithm.example", WWW, ds="algorithm"),
    Zone("digest.example", WWW, ds="digest"),
]
ALL_KINDS = ("DNSKEY", "RRSIG", "NSEC", "NSEC3", "NSEC3PARAM")
BROKEN = [
    Zone("wrongds.example", WWW, ds="wrong"),
    Zone("below.wrongds.example", WWW),
    Zone("expired.example", WWW, day=-60),
    Zone("future.example", WWW, day=30),
    Zone("stripped.example", WWW, spoil=(without(*ALL_KINDS),)),
    Zone("nokey.example", WWW, spoil=(without("DNSKEY"),)),
    Zone("nozonekey.example", WWW, spoil=(resigned(flags=1),)),
    Zone("keysig.example", WWW, spoil=(wrong_signatures("DNSKEY"),)),
    Zone("nosig.example", WWW + '@ TXT "signed"\n', spoil=(without_signatures("A"),)),
    Zone("badsig.example", WWW + '@ TXT "signed"\n', spoil=(wrong_signatures("A"),)),
    Zone("nodenial.example", WWW + "*.wild A 192.0.2.84\n", spoil=(without("NSEC"),)),
    Zone("nodenial3.example", WWW, sign="nsec3", spoil=(without("NSEC3", "NSEC3PARAM"),)),
    Zone("denialsig.example", WWW, spoil=(without_signatures("NSEC"),)),
]

CHAIN = 20
ALIASES = """
    secure     CNAME  www.secure.example.
    insecure   CNAME  www.insecure.example.
    expired    CNAME  www.expired.example.
    nothing    CNAME  nothing.secure.example.
    nodata     CNAME  null.secure.example.
    between    CNAME  secure.alias.insecure.example.
    around     CNAME  about
    about      CNAME  around
    tree       DNAME  secure.example.
    plaintree  DNAME  insecure.example.
    big        CNAME  big.secure.example.
    mute       CNAME  www.mute.example.
""" + "".join(f"step{n} CNAME step{n + 1}\n" for n in range(CHAIN)) + f"step{CHAIN} A 192.0.2.85\n"
CHAINED = [
    Zone("alias.example", ALIASES),
    Zone("alias.insecure.example", ALIASES, sign="no", ds="none"),
    Zone("badalias.example", "www CNAME www.secure.example.\n", spoil=(wrong_signatures("CNAME"),)),
]

UNREACHABLE = [
    Zone("nobody.example", WWW, server="nobody"),
    Zone("closed.example", WWW, server="client"),
    Zone("mute.example", WWW, server="silent"),
]

# --- names of the liar, in a signed and an unsigned zone alike ---

LIES = {
    "honest": liar.honest, "slow": liar.delayed(3), "mute": liar.silent, "lossy": liar.lossy(3),
    "garbage": liar.garbage, "header": liar.header_alone, "loop": liar.pointer_loop, "trailing": liar.trailing,
    "servfail": liar.rcode(2), "refused": liar.rcode(5), "notimp": liar.rcode(4), "formerr": liar.rcode(1),
    "noedns": liar.no_edns, "id": liar.wrong_id, "question": liar.wrong_question,
    "truncated": liar.truncated, "nevercut": liar.oversized, "neverwhole": liar.never_whole,
    "address": liar.other_address, "nxdomain": liar.no_such_name, "poison": liar.poisoned("www.victim.example"),
}
_NAMES = "".join(f"{name} A 192.0.2.86\n" for name in LIES)
LYING = [
    Zone("liar.example", _NAMES, server="liar"),
    Zone("plainliar.example", _NAMES, server="liar", sign="no", ds="none"),
    Zone("victim.example", WWW, sign="no", ds="none"),
]
BEHAVIOURS = {f"{label}{name}.{zone.name.rstrip('.')}": behaviour
              for name, behaviour in LIES.items() for zone in LYING[:2] for label in ("", "*.")}  # below it, too


def dns_zones():
    return SOUND + UNSIGNED + BROKEN + CHAINED + UNREACHABLE + LYING
