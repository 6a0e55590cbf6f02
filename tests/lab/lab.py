"""The lab: an internet in a box, with a person at the bridge.

    class MailTest(lab.LabCase):
        zones = [Zone("shop.lab", ...)]
        def test_x(self):
            self.lab.authority["shop.lab"].add(...);  self.lab.authority.publish()
            self.lab.mailkeep("one"), self.lab.postfix(), self.lab.smtp_server(...), self.lab.capture("one", "leaf")

README.md tells of all that there is. Everything here runs inside the box (box.py).
"""

import copy
import shutil
import threading
import unittest

import box
import harness
import smtp_sink
import world
from authority import Authority
from capture import Capture
from certificates import Certificates
from liar import Liar
from mailkeep import DOMAINS, RECURSIVE, Mailkeep
from network import Network
from postfix import Postfix
from proxies import Socks
from resolvers import Unbound, write_beginnings
from web import Policies

BUNDLE = "/etc/ssl/certs/ca-certificates.crt"
EXTENSIONS = ("PIPELINING", "8BITMIME", "ENHANCEDSTATUSCODES", "SIZE 10000000")


class Lab:
    """zones: in addition to the world's top and the servers' own."""

    def __init__(self, zones=()):
        self.lock, self.servers, self.sinks = threading.Lock(), {}, []
        self.certificates = Certificates(box.FOLDER / "certificates")
        self.certificates.trust(BUNDLE)
        self.network = Network(world.HOSTS)
        self.authority = Authority(self.network, world.AUTHORITATIVE)
        self.authority.add(*copy.deepcopy([*world.TOP, *world.MAIL, *zones]))
        self.authority.publish()
        self.resolver = Unbound(self.host("resolver"), self.authority)
        self.liar = Liar(self.host("liar"), self.network.addresses["leaf"].ip4, world.BEHAVIOURS)
        self.host("silent").lose(100, "meta l4proto { tcp, udp } th dport 53")
        harness.RUNNING.append(self)

    def host(self, name):
        """A host of world.HOSTS, made at its first mention, with the validating resolver as its own."""
        with self.lock:
            if name not in self.network.hosts:
                host, resolver = self.network.host(name), self.network.addresses["resolver"]
                host.use_resolver(resolver.ip4, resolver.ip6)
                write_beginnings(host, self.authority)
            return self.network.hosts[name]

    def capture(self, *names):
        return Capture(*(self.host(name) for name in names))

    # --- servers, each begun at its first mention ---

    def mailkeep(self, name, resolver=RECURSIVE, settings="", domains=DOMAINS):
        """On the host of that name, for the domain NAME.lab."""
        return self._server(name, lambda: Mailkeep(
            self.host(name), self.certificates.issue(f"mx.{name}.lab"), f"{name}.lab", resolver, settings, domains))

    def postfix(self, settings="", services="", name="postfix"):
        return self._server(name, lambda: Postfix(
            self.host(name), self.certificates.issue(f"mx.{name}.lab"), f"{name}.lab",
            f"smtp_tls_CAfile = {self.certificates.root.certificate}\n{settings}", services))

    def web(self):
        return self._server("web", lambda: Policies(self.host("web"), self.certificates))

    def socks(self):
        return self._server("socks", lambda: Socks(self.host("socks")))

    def _server(self, name, begin):
        if name not in self.servers:
            self.servers[name] = begin()
        return self.servers[name]

    def smtp_server(self, certificate=None, extensions=EXTENSIONS, **options):
        """A server that the test controls (smtp_sink.Sink), at an address of its own, port 25.

        certificate: STARTTLS is offered with it. The addresses are server.at.ip4 and server.at.ip6."""
        host = self.host("sink")
        address = host.one_more_address()
        with host.inside():
            server = smtp_sink.Sink(address.ip4, 25, extensions=list(extensions),
                                    tls=certificate and certificate.context(), **options)
            server.start()
        server.at = address
        self.sinks.append(server)
        return server

    # --- the end ---

    def log(self):
        """The last words of every daemon."""
        return "\n".join(f"{host.name}: {service.name}: {line}" for host in self.network.hosts.values()
                         for service in host.services for line in service.log().splitlines()[-12:])

    def findings(self):
        """What no run may have in its log."""
        marks = ("Sanitizer", "runtime error:", "mailkeep: bug", "bug at ", "denied system call")
        return [line for host in self.network.hosts.values() for service in host.services
                for line in service.log().splitlines() if any(mark in line for mark in marks)]

    def stop(self):
        if self in harness.RUNNING:
            harness.RUNNING.remove(self)
        for server in (self.liar, *self.sinks):
            server.stop()
        self.network.stop()
        for path in box.FOLDER.iterdir():
            shutil.rmtree(path)


class LabCase(unittest.TestCase):
    """One lab for all tests of a class."""

    zones = ()

    @classmethod
    def setUpClass(cls):
        cls.lab = Lab(cls.zones)
        cls.addClassCleanup(cls._end)

    @classmethod
    def _end(cls):
        findings = cls.lab.findings()
        cls.lab.stop()
        if findings:
            raise AssertionError("a log holds findings:\n" + "\n".join(findings[:20]))
