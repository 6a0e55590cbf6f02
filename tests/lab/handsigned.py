"""Zones that no sound signer makes, signed anew by hand: functions for Zone.spoil and Zone.ds.

    resigned(flags=1)                               by a key that is no zone's (RFC 4034 section 2.1.1)
    trap(keys=100, signatures=100, of="A")          CVE-2023-50387, "KeyTrap"
    hashes(100)                                     the same with the parent's DS records

Beside the key of a trap stand many valid ones with the same tag, and over the records of one type at www as many
signatures of that tag, none of which is right: who tries them all tries keys times signatures.
"""

import base64
import collections
import secrets
import struct
import time

import dns_server
from dns_server import G, N, TYPES, labels_of, rdata_of, type_bitmap, wire_name
from zones import Record, key_tag

ZONE_KEY, REVOKED, KSK = 0x0100, 0x0080, 257
P256, PROTOCOL = 13, 3


def resigned(flags=KSK):
    return lambda records: _resign(records, dns_server.Key(flags), 0, 0, None)


def trap(keys, signatures, of):
    return lambda records: _resign(records, dns_server.Key(), keys, signatures, of)


def _resign(records, key, keys, signatures, of):
    zone = next(record.owner for record in records if record.kind == "SOA")
    plain = [r for r in records if r.kind not in ("RRSIG", "DNSKEY")]
    plain += [Record(zone, 300, "DNSKEY", _key_text(rdata)) for rdata in [key.rdata, *_same_tag(key.tag, keys)]]
    return plain + _sign(plain, zone, key, signatures, of)


def hashes(n):
    """For Zone.ds: beside the right DS record, n wrong ones of the same tag."""
    def say(right):
        tag, algorithm, digest_type, _ = right[0].split()
        return right + [f"{tag} {algorithm} {digest_type} {secrets.token_hex(32)}" for _ in range(n)]
    return say


def _key_text(rdata):
    flags, protocol, algorithm = struct.unpack(">HBB", rdata[:4])
    return f"{flags} {protocol} {algorithm} {base64.b64encode(rdata[4:]).decode()}"


def _same_tag(tag, n):
    """Points of the curve, each with those flags (all but three bits mean nothing) that give the tag."""
    found, point = [], dns_server.multiply(secrets.randbelow(N - 1) + 1, G)
    while len(found) < n:
        point = dns_server.add(point, G)
        octets = point[0].to_bytes(32, "big") + point[1].to_bytes(32, "big")
        without = key_tag(struct.pack(">HBB", 0, PROTOCOL, P256) + octets)
        for flags in ((tag - without) & 0xffff, (tag - without - 1) & 0xffff):
            rdata = struct.pack(">HBB", flags, PROTOCOL, P256) + octets
            if flags & (ZONE_KEY | REVOKED) == ZONE_KEY and flags != KSK and key_tag(rdata) == tag:
                found.append(rdata)
                break
    return found


# --- signing by hand, RFC 4034 section 3.1.8.1 ---

def _sign(records, zone, key, signatures, of):
    sets = collections.defaultdict(list)
    for record in records:
        sets[record.owner, record.kind].append(record)
    signed = []
    for (owner, kind), members in sets.items():
        head = _head(owner, kind, members[0].ttl, zone, key.tag)
        if kind == of and owner.startswith("www."):
            signed += [_rrsig(owner, kind, members[0].ttl, zone, head, secrets.token_bytes(64)) for _ in range(signatures)]
        else:
            signed.append(_rrsig(owner, kind, members[0].ttl, zone, head, key.sign(head + _canonical(owner, kind, members))))
    return signed


def _head(owner, kind, ttl, zone, tag):
    now = int(time.time())
    return struct.pack(">HBBIIIH", TYPES[kind], P256, len(labels_of(owner)), ttl, now + 86400, now - 86400, tag) \
        + wire_name(labels_of(zone))


def _canonical(owner, kind, members):
    octets = sorted(_rdata(member) for member in members)
    return b"".join(wire_name(labels_of(owner)) + struct.pack(">HHIH", TYPES[kind], 1, members[0].ttl, len(one)) + one
                    for one in octets)


def _rdata(record):
    words = record.data.split()
    if record.kind == "NSEC":
        return wire_name(labels_of(words[0])) + type_bitmap([TYPES[word] for word in words[1:]])
    if record.kind == "DNSKEY":
        return struct.pack(">HBB", *map(int, words[:3])) + base64.b64decode("".join(words[3:]))
    return rdata_of(record.kind, words)


def _rrsig(owner, kind, ttl, zone, head, signature):
    _, algorithm, labels, original, ends, begins, tag = struct.unpack(">HBBIIIH", head[:18])
    times = [time.strftime("%Y%m%d%H%M%S", time.gmtime(at)) for at in (ends, begins)]
    return Record(owner, ttl, "RRSIG", f"{kind} {algorithm} {labels} {original} {times[0]} {times[1]} {tag} {zone} "
                  + base64.b64encode(signature).decode())
