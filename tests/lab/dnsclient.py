"""One question to one DNS server, and what it said: for the lab's own checks, as bare as can be.

    answer = ask("192.0.2.5", "www.shop.example", "A")
    answer.rcode, answer.flags, answer.records, answer.ede
"""

import dataclasses
import ipaddress
import secrets
import socket
import struct

from dns_server import NAMES, TYPES, labels_of, wire_name

RCODES = {0: "NOERROR", 1: "FORMERR", 2: "SERVFAIL", 3: "NXDOMAIN", 4: "NOTIMP", 5: "REFUSED"}
FLAGS = {"qr": 0x8000, "aa": 0x0400, "tc": 0x0200, "rd": 0x0100, "ra": 0x0080, "ad": 0x0020, "cd": 0x0010}
OPT, EDE = 41, 15


@dataclasses.dataclass
class Record:
    owner: str
    kind: str
    ttl: int
    data: bytes
    text: str  # of an address or a name


@dataclasses.dataclass
class Answer:
    rcode: str
    flags: set
    records: list  # of the answer section
    authority: list
    ede: list      # (code, text)

    def of(self, kind):
        return [record.text for record in self.records if record.kind == kind]

    def serial(self):
        return next((struct.unpack(">5I", record.data[-20:])[0] for record in self.records if record.kind == "SOA"), None)


def query(name, kind, *flags, dnssec=False, identity=None):
    bits = sum(FLAGS[flag] for flag in flags)
    identity = secrets.randbelow(65536) if identity is None else identity
    return (struct.pack(">HHHHHH", identity, bits, 1, 0, 0, 1) + wire_name(labels_of(name))
            + struct.pack(">HH", TYPES[kind], 1) + struct.pack(">BHHIH", 0, OPT, 1232, 0x8000 if dnssec else 0, 0))


def ask(address, name, kind, *flags, seconds=10, dnssec=False, tcp=False):
    """flags as "rd", "cd". Goes to TCP by itself when the answer was cut. OSError when there is none."""
    packet = query(name, kind, *flags, dnssec=dnssec)
    answer = parse((over_tcp if tcp else over_udp)(address, packet, seconds))
    return ask(address, name, kind, *flags, seconds=seconds, dnssec=dnssec, tcp=True) if "tc" in answer.flags else answer


def over_udp(address, packet, seconds):
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(seconds)
        client.connect((address, 53))
        client.send(packet)
        while True:
            answer = client.recv(65535)
            if answer[:2] == packet[:2]:
                return answer


def over_tcp(address, packet, seconds):
    with socket.create_connection((address, 53), seconds) as client:
        client.sendall(struct.pack(">H", len(packet)) + packet)
        return read_framed(client.makefile("rb"))


def read_framed(stream):
    """One message after its length (RFC 1035 section 4.2.2); b"" at the end."""
    size = stream.read(2)
    return stream.read(struct.unpack(">H", size)[0]) if len(size) == 2 else b""


# --- reading ---

def read_name(packet, at):
    """(the name, where it ends)"""
    labels, end = [], None
    for _ in range(256):
        size = packet[at]
        if size == 0:
            return ".".join(labels) + ".", at + 1 if end is None else end
        if size >= 0xc0:
            end = at + 2 if end is None else end
            at = (size & 0x3f) << 8 | packet[at + 1]
        else:
            labels.append(packet[at + 1:at + 1 + size].decode("latin-1"))
            at += 1 + size
    raise ValueError("a name without an end")


def read_question(packet):
    """(name, type, where it ends) of a query or an answer."""
    name, at = read_name(packet, 12)
    number = struct.unpack(">H", packet[at:at + 2])[0]
    return name.lower(), NAMES.get(number, str(number)), at + 4


def _text(packet, number, at, data):
    if number in (TYPES["A"], TYPES["AAAA"]):
        return str(ipaddress.ip_address(data))
    if number in (TYPES["CNAME"], TYPES["NS"], TYPES["PTR"]):
        return read_name(packet, at)[0]
    return data.hex()


def parse(packet):
    _, bits, n_questions, *counts = struct.unpack(">HHHHHH", packet[:12])
    at, sections, rcode, ede = 12, [], bits & 15, []
    for _ in range(n_questions):
        at = read_name(packet, at)[1] + 4
    for count in counts:
        sections.append([])
        for _ in range(count):
            owner, at = read_name(packet, at)
            number, _, ttl, size = struct.unpack(">HHIH", packet[at:at + 10])
            data = packet[at + 10:at + 10 + size]
            if number == OPT:
                rcode |= ttl >> 24 << 4
                ede += _extended_errors(data)
            sections[-1].append(Record(owner, NAMES.get(number, str(number)), ttl, data, _text(packet, number, at + 10, data)))
            at += 10 + size
    return Answer(RCODES.get(rcode, str(rcode)), {name for name, bit in FLAGS.items() if bits & bit},
                  sections[0], sections[1], ede)


def _extended_errors(options):
    found, at = [], 0
    while at + 4 <= len(options):
        code, size = struct.unpack(">HH", options[at:at + 4])
        value = options[at + 4:at + 4 + size]
        if code == EDE:
            found.append((struct.unpack(">H", value[:2])[0], value[2:].decode("utf-8", "replace")))
        at += 4 + size
    return found
