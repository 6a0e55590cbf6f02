"""A DNS server that misbehaves: stands before an honest one, passes questions on, and tampers.

    liar = Liar(host, honest, {"slow.liar.example": delayed(3), "mute.liar.example": silent})

A behaviour is a function of one Exchange that gives the answer's octets, or None for no answer. Names that
none is given for are answered honestly; a name given as "*.x" is for all below x. All questions are noted in
liar.queries as (name, type, "udp" or "tcp").
"""

import contextlib
import ipaddress
import secrets
import socket
import struct
import threading
import time

import dnsclient
from dns_server import TYPES, labels_of, wire_name

FLAG_TC, RCODE_BITS = 0x0200, 0x000f
OTHER = "198.51.100.66"  # where lies lead


class Exchange:
    def __init__(self, honest, query, transport):
        self.honest_address, self.query, self.transport = honest, query, transport
        self.name, self.kind, self.question_end = dnsclient.read_question(query)

    def honest(self, whole=False):
        """What the server behind says; whole: asked by TCP."""
        tcp = whole or self.transport == "tcp"
        return (dnsclient.over_tcp if tcp else dnsclient.over_udp)(self.honest_address, self.query, 5)


class Liar:
    def __init__(self, host, honest, behaviours):
        self.honest, self.behaviours, self.queries, self.sockets = honest, behaviours, [], []
        with host.inside():
            for address in (host.ip4, host.ip6):
                self._serve(address)

    def _serve(self, address):
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        udp, tcp = socket.socket(family, socket.SOCK_DGRAM), socket.socket(family, socket.SOCK_STREAM)
        udp.bind((address, 53))
        tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        tcp.bind((address, 53))
        tcp.listen(64)
        self.sockets += [udp, tcp]
        for loop, sock in ((self._serve_udp, udp), (self._serve_tcp, tcp)):
            threading.Thread(target=loop, args=(sock,), daemon=True).start()

    def stop(self):
        for sock in self.sockets:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
            sock.close()

    def _serve_udp(self, sock):
        while True:
            try:
                query, peer = sock.recvfrom(65535)
            except OSError:
                return
            if not query:  # stopped
                return
            threading.Thread(target=self._answer_udp, args=(sock, query, peer), daemon=True).start()

    def _answer_udp(self, sock, query, peer):
        with contextlib.suppress(OSError):
            answer = self._answer(query, "udp")
            if answer is not None:
                sock.sendto(answer, peer)

    def _serve_tcp(self, sock):
        while True:
            try:
                client, _ = sock.accept()
            except OSError:  # stopped
                return
            threading.Thread(target=self._serve_client, args=(client,), daemon=True).start()

    def _serve_client(self, client):
        """Each question for itself: one that is never answered holds up no other on the connection (RFC 7766)."""
        lock = threading.Lock()
        with client, contextlib.suppress(OSError):
            stream = client.makefile("rb")
            while query := dnsclient.read_framed(stream):
                threading.Thread(target=self._answer_tcp, args=(client, lock, query), daemon=True).start()

    def _answer_tcp(self, client, lock, query):
        with contextlib.suppress(OSError, IndexError, struct.error):  # the last two: the connection ended within it
            answer = self._answer(query, "tcp")
            if answer is not None:
                with lock:
                    client.sendall(struct.pack(">H", len(answer)) + answer)

    def _answer(self, query, transport):
        exchange = Exchange(self.honest, query, transport)
        self.queries.append((exchange.name.rstrip("."), exchange.kind, transport))
        return self._behaviour_of(exchange.name.rstrip("."))(exchange)

    def _behaviour_of(self, name):
        above = name
        while name not in self.behaviours and above:
            above = above.partition(".")[2]
            if f"*.{above}" in self.behaviours:
                return self.behaviours[f"*.{above}"]
        return self.behaviours.get(name, honest)


# --- behaviours ---

def honest(exchange):
    return exchange.honest()


def silent(exchange):
    return None


def delayed(seconds):
    def behave(exchange):
        time.sleep(seconds)
        return exchange.honest()
    return behave


def lossy(n):
    """Answers only each n-th question for the name."""
    count = {}

    def behave(exchange):
        count[exchange.name] = count.get(exchange.name, 0) + 1
        return exchange.honest() if count[exchange.name] % n == 0 else None
    return behave


def garbage(exchange):
    return secrets.token_bytes(60)


def header_alone(exchange):
    return exchange.query[:2] + struct.pack(">HHHHH", 0x8400, 1, 0, 0, 0)


def rcode(number):
    def behave(exchange):
        return (exchange.query[:2] + struct.pack(">HHHHH", 0x8400 | number, 1, 0, 0, 0)
                + exchange.query[12:exchange.question_end])
    return behave


def no_edns(exchange):
    """As servers from before RFC 2671: FORMERR to what has an OPT record."""
    return rcode(1)(exchange) if exchange.query[11] else exchange.honest()


def wrong_id(exchange):
    answer = exchange.honest()
    return bytes([answer[0] ^ 0x55]) + answer[1:]


def wrong_question(exchange):
    answer = exchange.honest()
    return answer[:13] + bytes([answer[13] ^ 0x01]) + answer[14:]


def truncated(exchange):
    """By UDP only the question, with TC; by TCP all."""
    return exchange.honest() if exchange.transport == "tcp" else _cut(exchange)


def never_whole(exchange):
    """TC by UDP, and by TCP no answer."""
    return None if exchange.transport == "tcp" else _cut(exchange)


def _cut(exchange):
    bits = struct.unpack(">H", exchange.honest()[2:4])[0] | FLAG_TC
    return (exchange.query[:2] + struct.pack(">HHHHH", bits, 1, 0, 0, 0)
            + exchange.query[12:exchange.question_end])


def oversized(exchange):
    """All of it in one datagram, whatever size was announced."""
    return exchange.honest(whole=True)


def pointer_loop(exchange):
    head = exchange.query[:2] + struct.pack(">HHHHH", 0x8400, 1, 1, 0, 0) + exchange.query[12:exchange.question_end]
    return head + struct.pack(">H", 0xc000 | len(head)) + struct.pack(">HHIH4s", 1, 1, 300, 4, b"\xc6\x33\x64\x42")


def trailing(exchange):
    return exchange.honest() + b"behind the message"


def other_address(exchange):
    """Every IPv4 address in the answer leads elsewhere; signatures stay."""
    answer = bytearray(exchange.honest())
    for record in dnsclient.parse(bytes(answer)).records:
        if record.kind == "A":
            at = answer.index(struct.pack(">HH", TYPES["A"], 1) + struct.pack(">I", record.ttl)) + 10
            answer[at:at + 4] = ipaddress.ip_address(OTHER).packed
    return bytes(answer)


def no_such_name(exchange):
    return rcode(3)(exchange)


def poisoned(victim):
    """The honest answer, and unasked another zone's record behind it, in the answer and additional sections."""
    def behave(exchange):
        answer = exchange.honest()
        record = wire_name(labels_of(victim)) + struct.pack(">HHIH", TYPES["A"], 1, 3600, 4) + ipaddress.ip_address(OTHER).packed
        head, counts = answer[:4], list(struct.unpack(">HHHH", answer[4:12]))
        plain = dnsclient.parse(answer)
        body = answer[12:exchange.question_end]
        for owner, kind, ttl, data in [(r.owner, r.kind, r.ttl, r.data) for r in plain.records]:
            body += wire_name(labels_of(owner)) + struct.pack(">HHIH", TYPES[kind], 1, ttl, len(data)) + data
        return head + struct.pack(">HHHH", counts[0], len(plain.records) + 1, 0, 1) + body + record + record
    return behave
