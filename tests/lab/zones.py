"""Zones as they are described: what stands in them, how they are signed, what is wrong with them.

    Zone("shop.example", '''
        @     MX  10 mx
        mx    A   192.0.2.21
    ''', sign="nsec3", ds="wrong")

Lines are those of a zone file without blanks at their beginning; names without a final dot are below the
zone; the TTL is `ttl` where a line has none. SOA, NS, the server's addresses and the delegation in the
parent zone are added by themselves. What is wrong is said by:

    sign    "no": no signatures at all
    ds      what the parent says: "right", "wrong" (another digest), "none" (an insecure delegation),
            "algorithm", "digest" (of a kind that nobody knows: insecure by RFC 4035 section 5.2), or a
            function that makes of the right ones what is said
    day     the day on which it is signed, counted from today: signatures hold for 14 days
    spoil   what is done to the signed zone, one function after the other (below)
    server  the host that the delegation names; one that serves no DNS makes the zone unreachable
"""

import dataclasses
import hashlib
import struct
import base64

from dns_server import labels_of, wire_name

SIGNATURE_DAYS = 14


@dataclasses.dataclass
class Zone:
    name: str
    records: str = ""
    server: str = "leaf"
    sign: str = "nsec"  # or "nsec3", "no"
    ds: object = "right"
    day: int = 0
    spoil: tuple = ()
    algorithm: str = "ecdsap256sha256"
    iterations: int = 0  # of NSEC3
    salt: int = 0
    opt_out: bool = False
    ttl: int = 300
    negative_ttl: int = 5

    def __post_init__(self):
        self.name = self.name.rstrip(".") + "."
        self.lines = [line.strip() for line in self.records.splitlines() if line.strip()]

    def add(self, *lines):
        self.lines += lines

    def remove(self, owner, kind):
        """Takes out the records of one owner, as it is written in the lines, and type."""
        self.lines = [line for line in self.lines if not _is(line, owner, kind)]

    def replace(self, owner, kind, *lines):
        self.remove(owner, kind)
        self.add(*lines)

    def is_signed(self):
        return self.sign != "no"

    def below(self, name):
        return self.name != name and (name == "." or self.name.endswith("." + name))

    def how(self):
        """All that decides the signed zone beside its text."""
        return (self.sign, self.day, self.spoil, self.algorithm, self.iterations, self.salt, self.opt_out)


def _is(line, owner, kind):
    words = line.split()
    at = 2 if len(words) > 1 and words[1].isdigit() else 1
    return words[0] == owner and words[at] == kind


# --- a signed zone, line by line ---

@dataclasses.dataclass
class Record:
    owner: str
    ttl: int
    kind: str
    data: str

    def covers(self):
        """Of a signature: the type that it is for."""
        return self.data.split()[0] if self.kind == "RRSIG" else None

    def __str__(self):
        return f"{self.owner} {self.ttl} {self.kind} {self.data}"


def parse(text):
    records = []
    for line in text.splitlines():
        if line and not line.startswith(";"):
            owner, ttl, kind, data = line.split(None, 3) if len(line.split()) > 3 else (*line.split(), "")
            records.append(Record(owner, int(ttl), kind, data.strip()))
    return records


# --- what can be wrong with it ---

def _concerns(record, kinds, owner):
    return record.kind == "RRSIG" and record.covers() in kinds and (owner is None or record.owner.startswith(owner))


def without_signatures(*kinds, owner=None):
    """Those over records of these types are missing."""
    return lambda records: [r for r in records if not _concerns(r, kinds, owner)]


def wrong_signatures(*kinds, owner=None):
    """Those over records of these types were made of something else."""
    def spoil(records):
        return [dataclasses.replace(r, data=_other_signature(r.data)) if _concerns(r, kinds, owner) else r
                for r in records]
    return spoil


def _other_signature(data):
    *head, signature = data.split()
    octets = bytearray(base64.b64decode(signature))
    octets[-1] ^= 1
    return " ".join([*head, base64.b64encode(octets).decode()])


def without(*kinds):
    """All records of these types are missing, with their signatures."""
    return lambda records: [r for r in records if r.kind not in kinds and r.covers() not in kinds]


# --- delegations ---

DIGEST_SHA256 = 2


def ds_of(zone, key):
    """RFC 4034 section 5.1.4. key: the data of a DNSKEY record."""
    flags_, protocol, algorithm, *text = key.split()
    rdata = struct.pack(">HBB", int(flags_), int(protocol), int(algorithm)) + base64.b64decode("".join(text))
    digest = hashlib.sha256(wire_name(labels_of(zone)) + rdata).hexdigest()
    return f"{key_tag(rdata)} {algorithm} {DIGEST_SHA256} {digest}"


def keys_of(records):
    """Data of the keys that a parent is to vouch for."""
    return [record.data for record in records if record.kind == "DNSKEY" and record.data.split()[0] in ("257", "1")]


def key_tag(rdata):
    """RFC 4034 appendix B."""
    total = sum(octet << 8 if i % 2 == 0 else octet for i, octet in enumerate(rdata))
    return (total + (total >> 16)) & 0xffff


def ds_as_said(zone, keys):
    """What the parent publishes of these keys, by zone.ds."""
    said = []
    for key in keys:
        tag, algorithm, digest_type, digest = ds_of(zone.name, key).split()
        if zone.ds == "wrong":
            digest = f"{int(digest, 16) ^ 1:064x}"
        elif zone.ds == "algorithm":
            algorithm = "200"
        elif zone.ds == "digest":
            digest_type = "200"
        said.append(f"{tag} {algorithm} {digest_type} {digest}")
    if callable(zone.ds):
        return zone.ds(said)
    return [] if zone.ds == "none" else said
