"""The lab: an internet in a box, with a person at the bridge.

    class MailTest(lab.LabCase):
        def test_x(self):
            self.lab.authority["shop.example"].add(...);  self.lab.authority.publish()
            self.lab.resolver, self.lab.host("client"), self.lab.capture("one", "leaf")

README.md tells of all that there is. Everything here runs inside the box (box.py).
"""

import copy
import unittest

import box
import world
from authority import Authority
from capture import Capture
from liar import Liar
from network import Network
from resolvers import Unbound, write_beginnings


class Lab:
    """zones: in addition to the world's top."""

    def __init__(self, zones=()):
        self.network = Network(world.HOSTS)
        self.authority = Authority(self.network, world.AUTHORITATIVE)
        self.authority.add(*copy.deepcopy([*world.TOP, *zones]))
        self.authority.publish()
        self.resolver = Unbound(self.host("resolver"), self.authority)
        self.liar = Liar(self.host("liar"), self.network.addresses["leaf"].ip4, world.BEHAVIOURS)
        self.host("silent").lose(100, "meta l4proto { tcp, udp } th dport 53")

    def host(self, name):
        """A host of world.HOSTS, made at its first mention, with the validating resolver as its own."""
        if name not in self.network.hosts:
            host = self.network.host(name)
            host.use_resolver(*self._resolvers())
            if "." in self.authority.keys:
                write_beginnings(host, self.authority)
        return self.network.hosts[name]

    def _resolvers(self):
        address = self.network.addresses["resolver"]
        return address.ip4, address.ip6

    def capture(self, *names):
        return Capture(*(self.host(name) for name in names))

    def log(self):
        """The last words of every daemon."""
        return "\n".join(f"{host.name}: {service.name}: {line}" for host in self.network.hosts.values()
                         for service in host.services for line in service.log().splitlines()[-12:])

    def stop(self):
        self.network.stop()


class LabCase(unittest.TestCase):
    """One lab for all tests of a class."""

    zones = ()

    @classmethod
    def setUpClass(cls):
        cls.lab = Lab(cls.zones)
        cls.addClassCleanup(cls.lab.stop)
