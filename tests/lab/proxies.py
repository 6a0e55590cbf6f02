"""SOCKS5 proxies, and a link that is slow: netem is not in every kernel.

    socks = Socks(host)             # socks.microsocks, socks.dante, socks.guarded: (address, port)
    Relay(host, 2525, ("192.0.2.31", 25), delay=0.5)    # what comes there goes on, each piece so much later
"""

import socket
import threading
import time

import network

DANTE = """
logoutput: stderr
internal: {ip4} port = 1081
external: eth0
clientmethod: none
socksmethod: none
user.privileged: root
user.unprivileged: nobody
client pass {{ from: 0/0 to: 0/0 }}
socks pass {{ from: 0/0 to: 0/0 protocol: tcp }}
"""
USER, PASSWORD = "mailkeep", "correct horse"


class Socks:
    """microsocks without and with a login (USER, PASSWORD), and dante."""

    def __init__(self, host):
        self.microsocks, self.dante, self.guarded = (host.ip4, 1080), (host.ip4, 1081), (host.ip4, 1082)
        config = host.folder / "danted.conf"
        config.write_text(DANTE.format(ip4=host.ip4))
        host.start_rooted("microsocks", "-i", host.ip4, "-p", 1080)
        host.start_rooted("danted", "-f", config, "-p", host.folder / "danted.pid")
        host.start_rooted("microsocks", "-i", host.ip4, "-p", 1082, "-u", USER, "-P", PASSWORD, name="guarded")
        for port in (1080, 1081, 1082):
            network.wait_port(host.ip4, port)


class Relay:
    """TCP, in both directions. cut_after: octets from the server after which the connection ends."""

    def __init__(self, host, port, target, delay=0.0, cut_after=None):
        self.host, self.target, self.delay, self.cut_after = host, target, delay, cut_after
        with host.inside():
            listener = socket.create_server((host.ip4, port), backlog=64)
            threading.Thread(target=self._accept, args=(listener,), daemon=True).start()

    def _accept(self, listener):
        while True:
            client, _ = listener.accept()
            server = socket.create_connection(self.target, 30)  # this thread lives on the host
            for source, sink, limit in ((client, server, None), (server, client, self.cut_after)):
                threading.Thread(target=self._copy, args=(source, sink, limit), daemon=True).start()

    def _copy(self, source, sink, limit):
        sent = 0
        try:
            while octets := source.recv(65536):
                time.sleep(self.delay)
                if limit is not None and sent + len(octets) > limit:
                    sink.sendall(octets[:limit - sent])
                    break
                sink.sendall(octets)
                sent += len(octets)
        except OSError:
            pass
        for end in (source, sink):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
