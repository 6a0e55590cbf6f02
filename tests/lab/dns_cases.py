"""What the DNS of the lab says, and what a resolver has to make of it: tables, no machinery.

A line is: type, name, security, outcome, and where they are not what goes without saying:

    proven, unproven   of an absence: whether DNSSEC proves it
    A,B>C              security of each CNAME step and of the end (s: secure, i: insecure)
    ede N              the Extended DNS Error of our own validation

outcome: found, nodata, nxdomain, or the kind of failure: temporary, authentication, other.
"""

# For each of the zones with sound signatures and provable denials.
SOUND_ZONES = ("secure", "nsec3", "salted", "most")
SOUND = """
MX    ZONE                  secure    found
TXT   ZONE                  secure    found
CAA   ZONE                  secure    found
NS    ZONE                  secure    found
A     www.ZONE              secure    found
AAAA  www.ZONE              secure    found
TLSA  _25._tcp.mx.ZONE      secure    found
SRV   _submission._tcp.ZONE secure    found
MX    null.ZONE             secure    found
CNAME x.walias.ZONE         secure    found
A     x.wild.ZONE           secure    found                     # RFC 4035 section 5.3.4
A     x.y.wild.ZONE         secure    found
A     x.walias.ZONE         secure    found       s>s
TXT   www.ZONE              secure    nodata      proven
TXT   x.wild.ZONE           secure    nodata      proven
A     deep.down.ZONE        secure    nodata      proven        # an empty non-terminal
A     _tcp.mx.ZONE          secure    nodata      proven
A     nothing.ZONE          secure    nxdomain    proven
TLSA  _25._tcp.www.ZONE     secure    nxdomain    proven
A     x.sub.wild.ZONE       secure    nxdomain    proven        # the wildcard does not reach below sub.wild
"""

# More NSEC3 iterations than anybody should reckon (RFC 9276 section 3.2): what exists is secure, what rests on
# a proof is not, and neither is it bogus.
ITERATED_ZONES = ("toomany", "farmore")
ITERATED = """
A     www.ZONE              secure    found
MX    ZONE                  secure    found
A     x.wild.ZONE           insecure  found
A     x.walias.ZONE         insecure  found       i>s
TXT   www.ZONE              insecure  nodata      unproven
A     deep.down.ZONE        insecure  nodata      unproven
A     nothing.ZONE          insecure  nxdomain    unproven
"""

SIGNED = """
TXT   big.secure.example    secure    found                     # by TCP
A     www.rsa.example       secure    found
A     www.p384.example      secure    found
A     www.ed25519.example   secure    found
A     nothing.ed25519.example secure  nxdomain    proven
A     www.ed448.example     insecure  found                     # Debian's libunbound does not know it
A     www.bücher.example    secure    found
PTR   21.2.0.192.in-addr.arpa  secure found
PTR   70.2.0.192.in-addr.arpa  secure found       s>s           # RFC 2317
PTR   71.2.0.192.in-addr.arpa  secure nxdomain    proven
PTR   5.1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa  secure found

# opt-out: an NSEC3 record may have an insecure delegation in its gap (RFC 5155 section 9.2)
A     www.optout.example       secure    found
TXT   www.optout.example       secure    nodata    proven
A     nothing.optout.example   insecure  nxdomain  unproven
A     x.wild.optout.example    insecure  found
A     www.plain.optout.example insecure  found
"""

UNSIGNED = """
A     www.insecure.example         insecure  found
MX    insecure.example             insecure  found
A     x.wild.insecure.example      insecure  found
TXT   www.insecure.example         insecure  nodata    unproven
A     nothing.insecure.example     insecure  nxdomain  unproven
A     www.island.example           insecure  found                  # signed, but nobody above says so
A     www.below.insecure.example   insecure  found                  # the chain of trust ends above
A     www.algorithm.example        insecure  found                  # RFC 4035 section 5.2
A     www.digest.example           insecure  found
"""

BROKEN = """
A     www.wrongds.example          bogus     authentication  ede 9
A     nothing.wrongds.example      bogus     authentication  ede 9
A     www.below.wrongds.example    bogus     authentication  ede 9
A     www.expired.example          bogus     authentication  ede 7
A     nothing.expired.example      bogus     authentication  ede 7
A     www.future.example           bogus     authentication  ede 8
A     www.stripped.example         bogus     authentication  ede 9   # no DNSSEC at all where a DS promises it
A     www.nokey.example            bogus     authentication  ede 9
A     www.nozonekey.example        bogus     authentication  ede 11
A     www.keysig.example           bogus     authentication  ede 6
A     www.nosig.example            bogus     authentication  ede 10
TXT   nosig.example                secure    found
A     nothing.nosig.example        secure    nxdomain  proven
A     www.badsig.example           bogus     authentication  ede 6
TXT   badsig.example               secure    found
A     www.nodenial.example         secure    found
TXT   www.nodenial.example         bogus     authentication  ede 12
A     nothing.nodenial.example     bogus     authentication  ede 12
A     x.wild.nodenial.example      bogus     authentication  ede 12
A     www.nodenial3.example        secure    found
A     nothing.nodenial3.example    bogus     authentication  ede 12
A     www.denialsig.example        secure    found
A     nothing.denialsig.example    bogus     authentication  ede 10
"""

ALIASES = """
A     secure.alias.example             secure    found     s>s
A     insecure.alias.example           insecure  found     s>i
A     between.alias.example            insecure  found     s,i>s
A     nothing.alias.example            secure    nxdomain  proven    s>s
A     nodata.alias.example             secure    nodata    proven    s>s
TXT   big.alias.example                secure    found     s>s
A     expired.alias.example            bogus     authentication  ede 7
A     www.badalias.example             bogus     authentication  ede 6
CNAME insecure.alias.example           secure    found
A     secure.alias.insecure.example    insecure  found     i>s
A     insecure.alias.insecure.example  insecure  found     i>i
A     between.alias.insecure.example   insecure  found     i,i>s
A     nothing.alias.insecure.example   insecure  nxdomain  proven    i>s
A     nodata.alias.insecure.example    insecure  nodata    proven    i>s
A     expired.alias.insecure.example   bogus     authentication  ede 7

# DNAME (RFC 6672): the alias made from it is as secure as it is
A     www.tree.alias.example           secure    found     s>s
A     www.plaintree.alias.example      insecure  found     s>i
A     www.tree.alias.insecure.example  insecure  found     i>s
A     tree.alias.example               secure    nodata    proven    # not below itself

# aliases without end
A     step12.alias.example             secure    found     s,s,s,s,s,s,s,s>s
A     step0.alias.example              insecure  other
A     around.alias.example             insecure  other
A     around.alias.insecure.example    insecure  other
"""

UNREACHABLE = """
A     www.nobody.example               insecure  temporary
A     www.closed.example               insecure  temporary
A     www.mute.example                 insecure  temporary
A     mute.alias.example               insecure  temporary
A     x.lame.example                   insecure  temporary  ede 22
A     x.homeless.example               insecure  temporary  ede 22
"""

# A server that misbehaves, before a signed and an unsigned zone: what is left of the truth.
LIES = """
A     honest.liar.example              secure    found
A     trailing.liar.example            secure    found
A     truncated.liar.example           secure    found
A     nevercut.liar.example            secure    found
A     poison.liar.example              secure    found
A     address.liar.example             bogus     authentication  ede 6
A     nxdomain.liar.example            bogus     authentication  ede 12
A     noedns.liar.example              bogus     authentication  ede 12
A     mute.liar.example                insecure  temporary
A     garbage.liar.example             insecure  temporary
A     id.liar.example                  insecure  temporary
A     neverwhole.liar.example          insecure  temporary
A     header.liar.example              insecure  temporary  ede 22
A     question.liar.example            insecure  temporary  ede 22
A     loop.liar.example                insecure  temporary  ede 22
A     servfail.liar.example            insecure  temporary  ede 22
A     refused.liar.example             insecure  temporary  ede 22
A     notimp.liar.example              insecure  temporary  ede 22
A     formerr.liar.example             insecure  temporary  ede 22
A     honest.plainliar.example         insecure  found
A     truncated.plainliar.example      insecure  found
A     noedns.plainliar.example         insecure  found
A     address.plainliar.example        insecure  found           # nothing can tell
A     nxdomain.plainliar.example       insecure  nxdomain  unproven
A     garbage.plainliar.example        insecure  temporary
A     servfail.plainliar.example       insecure  temporary  ede 22
"""

TABLES = {
    "sound": "".join(SOUND.replace("ZONE", f"{zone}.example") for zone in SOUND_ZONES),
    "iterated": "".join(ITERATED.replace("ZONE", f"{zone}.example") for zone in ITERATED_ZONES),
    "signed": SIGNED, "unsigned": UNSIGNED, "broken": BROKEN, "aliases": ALIASES, "unreachable": UNREACHABLE, "lies": LIES,
}

# --- where others on purpose or by their nature say something else ---

# unbound as a server: Extended DNS Errors beside ours. It says 6 for what it judged before.
UNBOUND_EDE = {
    "nothing.denialsig.example": 12,       # no signatures over NSEC records: of NSEC, or of signatures?
    "www.keysig.example": 9,
}
UNBOUND_SECURE = {"www.ed448.example"}      # made with another crypto library than the shared one
# delv, which knows no opt-out in its verdicts (RFC 5155 section 9.2), and believes in no absence without a SOA.
DELV_SECURE = {"www.ed448.example", "nothing.optout.example"}
DELV_FAILED = {"nxdomain.plainliar.example"}
