"""What went over a link: recorded, kept as a file that tcpdump and Wireshark read, and looked into.

    with Capture(one, postfix) as seen:         # the cables of these hosts
        ...
    seen.streams(port=25)                       # [(client, server, bytes there, bytes back), ...] of TCP
    seen.queries("leaf")                        # [(name, type), ...] of the DNS questions that leaf got
    seen.save(path)

Nothing is decrypted: what stands in streams() went in clear.
"""

import collections
import contextlib
import ipaddress
import select
import socket
import struct
import threading
import time

import dnsclient

ETH_P_ALL, ETH_P_IP, ETH_P_IPV6 = 3, 0x0800, 0x86dd
TCP, UDP = 6, 17
SETTLE_SECONDS = 0.05
BUFFER = 64 * 1024 * 1024

Packet = collections.namedtuple("Packet", "protocol source source_port target target_port sequence payload")


class Capture:
    def __init__(self, *hosts):
        self.frames = []
        self.sockets = [self._listen(host.name) for host in hosts]
        self.stopping, self.wake = socket.socketpair()
        self.thread = threading.Thread(target=self._read, daemon=True)

    @staticmethod
    def _listen(link):
        listener = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
        with contextlib.suppress(OSError):
            listener.setsockopt(socket.SOL_SOCKET, 33, BUFFER)  # SO_RCVBUFFORCE
        listener.bind((link, 0))
        return listener

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        time.sleep(SETTLE_SECONDS)  # what was sent is on its way to us
        self.wake.send(b"x")
        self.thread.join()
        for one in (*self.sockets, self.stopping, self.wake):
            one.close()

    def _read(self):
        while True:
            ready, _, _ = select.select([*self.sockets, self.stopping], [], [])
            for listener in ready:
                if listener is self.stopping:
                    return
                self.frames.append((time.time(), listener.recv(65535)))

    def save(self, path):
        """In the format of pcap, link type Ethernet."""
        with open(path, "wb") as file:
            file.write(struct.pack("<IHHiIII", 0xa1b2c3d4, 2, 4, 0, 0, 65535, 1))
            for at, frame in self.frames:
                file.write(struct.pack("<IIII", int(at), int(at % 1 * 1e6), len(frame), len(frame)) + frame)

    def packets(self):
        """TCP and UDP, each once though it may pass two of the links."""
        seen = {}
        for _, frame in self.frames:
            packet = parse(frame)
            if packet:
                seen.setdefault((frame[14:], packet.sequence), packet)
        return list(seen.values())

    def queries(self, to=None):
        """to: a host, or all."""
        addresses = to and {to.ip4, to.ip6}
        asked = []
        for packet in self.packets():
            if packet.target_port != 53 or (addresses and packet.target not in addresses):
                continue
            message = packet.payload[2:] if packet.protocol == TCP else packet.payload
            with contextlib.suppress(IndexError, struct.error, ValueError):
                asked.append(dnsclient.read_question(message)[:2])
        return asked

    def streams(self, port=None):
        """TCP connections (to that port, or all), in the order of their beginning."""
        halves = collections.defaultdict(dict)
        for packet in self.packets():
            if packet.protocol == TCP and packet.payload:
                halves[packet.source, packet.source_port, packet.target, packet.target_port][packet.sequence] = packet.payload
        found = []
        for client, client_port, server, server_port in _clients(halves):
            if port in (None, server_port):
                there = _join(halves[client, client_port, server, server_port])
                back = _join(halves[server, server_port, client, client_port])
                found.append((client, server, there, back))
        return found

    def connections(self):
        """{(client, server, port)} of TCP."""
        return {(p.source, p.target, p.target_port) for p in self.packets()
                if p.protocol == TCP and p.target_port < 32768}


def _clients(halves):
    """Of each pair of directions the one that goes to the lower port."""
    return list(dict.fromkeys(
        (a, pa, b, pb) if pb <= pa else (b, pb, a, pa) for a, pa, b, pb in list(halves)))


def _join(segments):
    whole, first = bytearray(), min(segments, default=0)
    for sequence, payload in sorted(segments.items(), key=lambda item: (item[0] - first) & 0xffffffff):
        at = (sequence - first) & 0xffffffff
        whole[at:at + len(payload)] = payload
    return bytes(whole)


def parse(frame):
    """A Packet of an Ethernet frame; None for what is neither TCP nor UDP."""
    kind = struct.unpack(">H", frame[12:14])[0]
    if kind == ETH_P_IP:
        header, protocol = (frame[14] & 15) * 4, frame[23]
        source, target = frame[26:30], frame[30:34]
        end = 14 + struct.unpack(">H", frame[16:18])[0]
    elif kind == ETH_P_IPV6:
        header, protocol = 40, frame[20]
        source, target = frame[22:38], frame[38:54]
        end = 54 + struct.unpack(">H", frame[18:20])[0]
    else:
        return None
    at, source, target = 14 + header, str(ipaddress.ip_address(source)), str(ipaddress.ip_address(target))
    if protocol == UDP:
        ports = struct.unpack(">HH", frame[at:at + 4])
        return Packet(UDP, source, ports[0], target, ports[1], 0, frame[at + 8:end])
    if protocol == TCP:
        source_port, target_port, sequence = struct.unpack(">HHI", frame[at:at + 8])
        return Packet(TCP, source, source_port, target, target_port, sequence,
                      frame[at + (frame[at + 12] >> 4) * 4:end])
    return None
