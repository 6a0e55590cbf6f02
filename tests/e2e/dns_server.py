#!/usr/bin/env python3
"""A DNS server for tests: answers like a recursive resolver, from a table, signed, and lies on demand.

    server = dns_server.DnsServer('''
        example.com MX 10 mx.example.com
        mx.example.com A 192.0.2.1
        www.example.com CNAME mx.example.com
        insecure plain.test                    # a zone without signatures
        host.plain.test A 192.0.2.2
        slow.test A !stall
    ''')
    server.start();  server.address, server.port, server.anchor;  server.stop()

    tests/e2e/dns_server.py --port 5300 --table FILE --anchor-out FILE      for hand and for shell scripts

Everything lies in one root zone, which is signed (ECDSA P-256, a key of its own), but for what lies at
and below the names given by `insecure`. DATA is as in a zone file, names are absolute. Instead of data:

    !servfail !refused !notimp   that answer;  `!ede 18 some text` SERVFAIL with an Extended DNS Error
    !stall                       no answer at all
    !garbage !short              no DNS message; a header alone
    !wrongid !wrongquestion      an answer to another query
    !loop                        a compression pointer that leads to itself
and, with other lines giving the data:
    !truncate                    by UDP only the TC bit; all of it by TCP
    !bogus !expired !unsigned    with a wrong signature, one of last year, none
TYPE may be * for these. A line may begin with `ttl N`. A query for what is not in the table gets NXDOMAIN or
NODATA with proof (NSEC). Every query is noted in server.queries as (name, type, transport).
"""

import argparse
import base64
import hashlib
import ipaddress
import pathlib
import secrets
import socket
import struct
import sys
import threading
import time

TYPES = {"A": 1, "NS": 2, "CNAME": 5, "SOA": 6, "PTR": 12, "MX": 15, "TXT": 16, "AAAA": 28, "SRV": 33, "DS": 43,
         "RRSIG": 46, "NSEC": 47, "DNSKEY": 48, "TLSA": 52, "CAA": 257, "*": 255}
NAMES = {number: name for name, number in TYPES.items()}
RCODES = {"!servfail": 2, "!notimp": 4, "!refused": 5}
SOA_TEXT = "ns.invalid. hostmaster.invalid. 1 3600 600 86400 300"
UDP_MAX = 1232

# --- P-256, by the book and slowly ---

P = 2**256 - 2**224 + 2**192 + 2**96 - 1
N = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551
G = (0x6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296,
     0x4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5)


def add(a, b):
    if a is None or b is None:
        return a or b
    if a[0] == b[0] and (a[1] + b[1]) % P == 0:
        return None
    slope = ((3 * a[0] * a[0] - 3) * pow(2 * a[1], -1, P) if a == b
             else (b[1] - a[1]) * pow(b[0] - a[0], -1, P)) % P
    x = (slope * slope - a[0] - b[0]) % P
    return x, (slope * (a[0] - x) - a[1]) % P


def multiply(k, point):
    total = None
    while k:
        if k & 1:
            total = add(total, point)
        point, k = add(point, point), k >> 1
    return total


class Key:
    def __init__(self, flags=257):
        self.secret = secrets.randbelow(N - 1) + 1
        x, y = multiply(self.secret, G)
        self.rdata = struct.pack(">HBB", flags, 3, 13) + x.to_bytes(32, "big") + y.to_bytes(32, "big")
        total = sum(byte << 8 if i % 2 == 0 else byte for i, byte in enumerate(self.rdata))
        self.tag = (total + (total >> 16)) & 0xffff

    def sign(self, message):
        digest = int.from_bytes(hashlib.sha256(message).digest(), "big")
        while True:
            k = secrets.randbelow(N - 1) + 1
            r = multiply(k, G)[0] % N
            s = pow(k, -1, N) * (digest + r * self.secret) % N
            if r and s:
                return r.to_bytes(32, "big") + s.to_bytes(32, "big")

    def anchor(self):
        return f". IN DNSKEY 257 3 13 {base64.b64encode(self.rdata[4:]).decode()}\n"


# --- names and data ---

def labels_of(name):
    return tuple(label.encode() for label in name.lower().rstrip(".").split(".") if label)


def wire_name(labels):
    return b"".join(bytes([len(label)]) + label for label in labels) + b"\0"


def canonical(labels):
    """For sorting, RFC 4034 section 6.1."""
    return tuple(reversed(labels))


def within(labels, ancestor):
    return len(labels) >= len(ancestor) and labels[len(labels) - len(ancestor):] == ancestor


def words_of(text):
    """Blank-separated, with "quoted strings"."""
    words, at = [], 0
    while at < len(text):
        if text[at].isspace():
            at += 1
        elif text[at] == '"':
            end = text.index('"', at + 1)
            words.append(text[at:end + 1])
            at = end + 1
        else:
            end = at
            while end < len(text) and not text[end].isspace():
                end += 1
            words.append(text[at:end])
            at = end
    return words


def rdata_of(kind, words):
    if kind == "A" or kind == "AAAA":
        return ipaddress.ip_address(words[0]).packed
    if kind in ("NS", "CNAME", "PTR"):
        return wire_name(labels_of(words[0]))
    if kind == "MX":
        return struct.pack(">H", int(words[0])) + wire_name(labels_of(words[1]))
    if kind == "SRV":
        return struct.pack(">HHH", *map(int, words[:3])) + wire_name(labels_of(words[3]))
    if kind == "TXT":
        return b"".join(bytes([len(word)]) + word for word in (word.strip('"').encode() for word in words))
    if kind == "TLSA":
        return bytes(map(int, words[:3])) + bytes.fromhex(words[3])
    if kind == "CAA":
        return bytes([int(words[0]), len(words[1])]) + words[1].encode() + words[2].strip('"').encode()
    if kind == "SOA":
        return wire_name(labels_of(words[0])) + wire_name(labels_of(words[1])) + struct.pack(">5I", *map(int, words[2:7]))
    raise ValueError(kind)


def type_bitmap(types):
    windows = {}
    for number in types:
        windows.setdefault(number >> 8, bytearray(32))[(number & 255) >> 3] |= 0x80 >> (number & 7)
    return b"".join(bytes([window, len(bits.rstrip(b"\0"))]) + bits.rstrip(b"\0")
                    for window, bits in sorted(windows.items()))


class Zone:
    """The table: records, tricks, insecure cuts."""

    def __init__(self, text):
        self.records = {}   # (labels, type) -> [rdata]
        self.ttls = {}
        self.tricks = {}    # (labels, type) -> [word, ...]
        self.cuts = set()
        for line in text.splitlines():
            words = words_of(line.partition("#")[0])
            if words:
                self._add(words)
        self.records[((), TYPES["SOA"])] = [rdata_of("SOA", SOA_TEXT.split())]
        self.records[((), TYPES["NS"])] = [rdata_of("NS", ["ns.invalid"])]

    def _add(self, words):
        ttl = 3600
        if words[0] == "ttl":
            ttl, words = int(words[1]), words[2:]
        if words[0] == "insecure":
            cut = labels_of(words[1])
            self.cuts.add(cut)
            self.records.setdefault((cut, TYPES["NS"]), [rdata_of("NS", ["ns.invalid"])])
            return
        name, number = labels_of(words[0]), TYPES[words[1]]
        if words[2].startswith("!"):
            self.tricks[(name, number)] = words[2:]
            return
        self.records.setdefault((name, number), []).append(rdata_of(words[1], words[2:]))
        self.ttls[(name, number)] = ttl

    def cut_of(self, name):
        return next((cut for cut in self.cuts if within(name, cut)), None)

    def types_at(self, name):
        return {number for owner, number in self.records if owner == name}

    def exists(self, name):
        return any(within(owner, name) for owner, _ in self.records)

    def signed_names(self):
        """Owners in the root zone: everything but what lies below a cut."""
        owners = {owner for owner, _ in self.records if not self.cut_of(owner)} | self.cuts | {()}
        return sorted(owners, key=canonical)

    def trick(self, name, number):
        return self.tricks.get((name, number)) or self.tricks.get((name, TYPES["*"])) or [""]


class DnsServer:
    def __init__(self, table="", address="127.0.0.1", port=0, authentic=True):
        self.zone, self.key = Zone(table), Key()
        self.zone.records[((), TYPES["DNSKEY"])] = [self.key.rdata]
        self.anchor, self.authentic = self.key.anchor(), authentic
        self.queries, self.signatures = [], {}
        self.udp, self.tcp = self._bind(address, port)
        self.address, self.port = self.udp.getsockname()[:2]
        self.lock = threading.Lock()

    @staticmethod
    def _bind(address, port):
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        for _ in range(50):
            udp = socket.socket(family, socket.SOCK_DGRAM)
            tcp = socket.socket(family, socket.SOCK_STREAM)
            tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                udp.bind((address, port))
                tcp.bind((address, udp.getsockname()[1]))
                tcp.listen(64)
                return udp, tcp
            except OSError:
                udp.close(), tcp.close()
        raise RuntimeError("no free port")

    def __enter__(self):
        return self.start()

    def add(self, line):
        """One more record, from now on."""
        self.zone._add(words_of(line))

    def __exit__(self, *exception):
        self.stop()

    def start(self):
        for loop in (self._serve_udp, self._serve_tcp):
            threading.Thread(target=loop, daemon=True).start()
        return self

    def stop(self):
        for sock in (self.udp, self.tcp):
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            sock.close()

    def _serve_udp(self):
        while True:
            try:
                query, peer = self.udp.recvfrom(4096)
            except OSError:
                return
            if not query:  # shut down
                return
            threading.Thread(target=self._answer_udp, args=(query, peer), daemon=True).start()

    def _answer_udp(self, query, peer):
        try:
            reply = self.reply(query, "udp")
            if reply is not None:
                self.udp.sendto(reply, peer)
        except (OSError, IndexError, struct.error):
            return  # stopped meanwhile, or no query

    def _serve_tcp(self):
        while True:
            try:
                client, _ = self.tcp.accept()
            except OSError:
                return
            threading.Thread(target=self._serve_client, args=(client,), daemon=True).start()

    def _serve_client(self, client):
        with client:
            try:
                stream = client.makefile("rb")
                while len(size := stream.read(2)) == 2:
                    reply = self.reply(stream.read(struct.unpack(">H", size)[0]), "tcp")
                    if reply is None:
                        time.sleep(30)
                        return
                    client.sendall(struct.pack(">H", len(reply)) + reply)
            except (OSError, IndexError, struct.error):
                return

    # --- one query ---

    def reply(self, query, transport):
        identity, flags, questions = struct.unpack(">HHH", query[:6])
        name, at = [], 12
        while query[at]:
            name.append(query[at + 1:at + 1 + query[at]].lower())
            at += 1 + query[at]
        number, _ = struct.unpack(">HH", query[at + 1:at + 5])
        question, name = query[12:at + 5], tuple(name)
        opt = query[at + 5:]
        has_opt, wants_proof = opt[:3] == b"\0\0\x29", opt[:3] == b"\0\0\x29" and bool(opt[7] & 0x80)
        self.queries.append((b".".join(name).decode("latin-1"), NAMES.get(number, str(number)), transport))
        word, *arguments = self.zone.trick(name, number)
        if word == "!stall":
            return None
        if word == "!garbage":
            return secrets.token_bytes(60)
        if word == "!short":
            return query[:2] + struct.pack(">HHHHH", 0x8180, 1, 0, 0, 0)
        rcode, answers, authority, secure, ede = 0, [], [], True, None
        if word == "!ede":
            rcode, ede = 2, struct.pack(">H", int(arguments[0])) + " ".join(arguments[1:]).encode()
        elif word in RCODES:
            rcode = RCODES[word]
        elif word == "!loop":
            rcode, answers = 0, [(b"\xc0" + bytes([12 + len(question)]), number, 300, b"\0\0\0\0")]
        else:
            rcode, answers, authority, secure = self._look(name, number, wants_proof, word)
        if word == "!wrongid":
            identity ^= 1
        if word == "!wrongquestion":
            question = wire_name(labels_of("other.invalid")) + question[-4:]
        truncated = word == "!truncate" and transport == "udp"
        while True:
            sections = ([], []) if truncated else (answers, authority)
            bits = 0x8180 | (0x0200 if truncated else 0) | rcode
            if self.authentic and secure and rcode in (0, 3) and (wants_proof or flags & 0x20):
                bits |= 0x20
            message = struct.pack(">HHHHHH", identity, bits, 1, len(sections[0]), len(sections[1]), int(has_opt)) + question
            for owner, kind, ttl, rdata in sections[0] + sections[1]:
                owner = owner if isinstance(owner, bytes) else wire_name(owner)
                message += owner + struct.pack(">HHIH", kind, 1, ttl, len(rdata)) + rdata
            if has_opt:
                option = struct.pack(">HH", 15, len(ede)) + ede if ede else b""
                message += b"\0" + struct.pack(">HHIH", 41, UDP_MAX, 0x8000 if wants_proof else 0, len(option)) + option
            if transport == "tcp" or truncated or len(message) <= UDP_MAX:
                return message
            truncated = True

    def _look(self, name, number, wants_proof, trick):
        """(rcode, answers, authority, whether all of it is signed)"""
        answers, secure = [], True
        for _ in range(12):
            signed = self._is_signed(name, number)
            for kind in (number, TYPES["CNAME"]):
                rdatas = self.zone.records.get((name, kind))
                if rdatas:
                    answers += self._set(name, kind, rdatas, wants_proof and signed, trick)
                    secure = secure and signed and trick not in ("!bogus", "!expired", "!unsigned")
                    break
            else:
                rcode = 0 if self.zone.exists(name) else 3
                return rcode, answers, self._denial(name, signed, wants_proof, rcode, trick), secure and signed
            if kind == number:
                return 0, answers, [], secure
            name, trick = self._target(rdatas[0]), self.zone.trick(self._target(rdatas[0]), number)[0]
        return 2, [], [], False

    @staticmethod
    def _target(rdata):
        labels, at = [], 0
        while rdata[at]:
            labels.append(rdata[at + 1:at + 1 + rdata[at]])
            at += 1 + rdata[at]
        return tuple(labels)

    def _is_signed(self, name, number):
        cut = self.zone.cut_of(name)
        return cut is None or (name == cut and number == TYPES["DS"])

    def _set(self, name, number, rdatas, signed, trick=""):
        ttl = self.zone.ttls.get((name, number), 3600)
        rrs = [(name, number, ttl, rdata) for rdata in rdatas]
        if signed and trick != "!unsigned":
            rrs.append((name, TYPES["RRSIG"], ttl, self._signature(name, number, ttl, rdatas, trick)))
        return rrs

    def _signature(self, name, number, ttl, rdatas, trick):
        which = (name, number, tuple(rdatas), trick)
        with self.lock:
            if which not in self.signatures:
                now = int(time.time())
                begins, ends = (now - 31536000 - 3600, now - 31536000) if trick == "!expired" else (now - 3600, now + 86400)
                head = struct.pack(">HBBIIIH", number, 13, len(name), ttl, ends, begins, self.key.tag) + b"\0"
                message = head + b"".join(wire_name(name) + struct.pack(">HHIH", number, 1, ttl, len(rdata)) + rdata
                                          for rdata in sorted(rdatas))
                self.signatures[which] = head + self.key.sign(message + (b"x" if trick == "!bogus" else b""))
            return self.signatures[which]

    def _denial(self, name, signed, wants_proof, rcode, trick):
        """RFC 4035 section 3.1.3: the SOA, and for signed names the NSEC records that prove the absence."""
        if not signed:
            return [(self.zone.cut_of(name), TYPES["SOA"], 300, rdata_of("SOA", SOA_TEXT.split()))]
        rrs = self._set((), TYPES["SOA"], self.zone.records[((), TYPES["SOA"])], wants_proof)
        if not wants_proof:
            return rrs
        owners = [self._covering(name)]
        if rcode == 3:
            closest = name
            while closest and not self.zone.exists(closest):
                closest = closest[1:]
            owners.append(self._covering((b"*",) + closest))
        for owner in dict.fromkeys(owners):
            following = self._next(owner)
            rdata = wire_name(following) + type_bitmap(
                self.zone.types_at(owner) & ({2, 43} if owner in self.zone.cuts else set(range(65536))) | {46, 47})
            rrs += self._set(owner, TYPES["NSEC"], [rdata], True, trick)
        return rrs

    def _covering(self, name):
        return [owner for owner in self.zone.signed_names() if canonical(owner) <= canonical(name)][-1]

    def _next(self, owner):
        names = self.zone.signed_names()
        return names[(names.index(owner) + 1) % len(names)]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--address", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--table", required=True)
    parser.add_argument("--anchor-out")
    options = parser.parse_args()
    server = DnsServer(pathlib.Path(options.table).read_text(), options.address, options.port)
    if options.anchor_out:
        pathlib.Path(options.anchor_out).write_text(server.anchor)
    server.start()
    print(f"ready {server.address} {server.port}", flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
