"""Hosts, each a network namespace with an address of either family, on one bridge.

    network = Network({"one": 21})
    one = network.host("one")           # 192.0.2.21, 2001:db8::15
    one.run("ip", "address")            # a command there, to its end
    one.start("daemon", "-f")           # a Service, ended with the lab; one.start_rooted: in the private root
    with one.inside(): socket.socket()  # this thread is there meanwhile; what it opens stays there
    one.unplug(), one.plug()            # the cable
    one.lose(30, "udp dport 53")        # so many of a hundred such packets never arrive at the host

The test itself is at the bridge, with the address OBSERVER, and hears every link (capture.py).
"""

import contextlib
import ctypes
import itertools
import pathlib
import socket
import subprocess
import threading

import box
from harness import wait_for

BRIDGE = "lab"
NET4, NET6 = "192.0.2.", "2001:db8::"
MORE4, MORE6 = "198.51.100.", "2001:db8:1::"  # of hosts that have several; also on the one bridge
OBSERVER = 254
CLONE_NEWNET = 0x40000000
STOP_SECONDS = 10


def ip(*lines, inside=None):
    """ip(8), many commands at once."""
    where = ["-n", inside] if inside else []
    done = subprocess.run(["ip", *where, "-batch", "-"], input="\n".join(lines) + "\n", capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"ip: {done.stderr.strip()}: {lines}")


class Service:
    """A daemon in the foreground. Its output goes to log_path."""

    def __init__(self, name, command, folder):
        self.name, self.log_path = name, folder / f"{name}.log"
        self.process = subprocess.Popen(
            list(map(str, command)), stdin=subprocess.DEVNULL, stdout=open(self.log_path, "ab"),
            stderr=subprocess.STDOUT, start_new_session=True)

    def log(self):
        return self.log_path.read_text(errors="replace")

    def is_running(self):
        return self.process.poll() is None

    def stop(self):
        """The exit status; None when it had to be killed."""
        self.process.terminate()
        try:
            return self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            return None


class Address:
    def __init__(self, name, number, net4=NET4, net6=NET6):
        self.name, self.ip4, self.ip6 = name, f"{net4}{number}", f"{net6}{number:x}"


class Host(Address):
    def __init__(self, name, number, more):
        super().__init__(name, number)
        self.more = more  # numbers of further addresses
        self.folder = box.FOLDER / name
        self.folder.mkdir()
        self.services = []
        self._connect()

    def _connect(self):
        ip(f"netns add {self.name}",
           f"link add name {self.name} type veth peer name eth0 netns {self.name}",
           f"link set dev {self.name} master {BRIDGE} up")
        ip("link set dev lo up", f"address add {self.ip4}/24 dev eth0", f"address add {self.ip6}/64 dev eth0 nodad",
           "link set dev eth0 up", f"route add {MORE4}0/24 dev eth0 src {self.ip4}",
           f"route add {MORE6}/64 dev eth0 src {self.ip6}", inside=self.name)

    def one_more_address(self):
        """Another pair of addresses, for another server here; as many as 250 in the lab."""
        more = Address(self.name, next(self.more), MORE4, MORE6)
        ip(f"address add {more.ip4}/32 dev eth0", f"address add {more.ip6}/128 dev eth0 nodad", inside=self.name)
        return more

    def use_resolver(self, *addresses, options="edns0 trust-ad"):
        """What resolv.conf says there; glibc strips the AD bit without trust-ad."""
        folder = pathlib.Path("/etc/netns") / self.name
        folder.mkdir(exist_ok=True)
        lines = [f"nameserver {address}\n" for address in addresses]
        (folder / "resolv.conf").write_text("".join(lines) + f"options {options}\n")

    # --- running things ---

    def command(self, *words):
        return ["ip", "netns", "exec", self.name, *map(str, words)]

    def rooted(self, *words):
        """The same in the private root, which has the host's resolv.conf meanwhile."""
        enter = f'mount --bind /etc/resolv.conf {box.ROOT}/etc/resolv.conf; exec chroot {box.ROOT} "$@"'
        return self.command("sh", "-c", enter, "sh", *words)

    def run(self, *words, seconds=60, text=""):
        """Ended, with stdout and stderr."""
        return _run(self.command(*words), seconds, text)

    def run_rooted(self, *words, seconds=60, text=""):
        return _run(self.rooted(*words), seconds, text)

    def start(self, *words, name=None):
        return self._start(self.command(*words), name or pathlib.Path(str(words[0])).name)

    def start_rooted(self, *words, name=None):
        return self._start(self.rooted(*words), name or pathlib.Path(str(words[0])).name)

    def _start(self, command, name):
        service = Service(name, command, self.folder)
        self.services.append(service)
        return service

    @contextlib.contextmanager
    def inside(self):
        """Moves the calling thread there. Threads begun meanwhile stay there."""
        with open(f"/proc/self/task/{threading.get_native_id()}/ns/net") as home, \
                open(f"/run/netns/{self.name}") as there:
            _move(there)
            try:
                yield self
            finally:
                _move(home)

    # --- trouble ---

    def unplug(self):
        ip(f"link set dev {self.name} down")

    def plug(self):
        ip(f"link set dev {self.name} up")

    def lose(self, percent, what="meta l4proto { tcp, udp }"):
        """Of the packets that `what` says in nft(8)'s words, so many of a hundred never arrive. heal() ends it."""
        rule = f"{what} {'' if percent == 100 else f'numgen random mod 100 < {percent}'} drop"
        self._nft("add table inet lab; add chain inet lab arrive { type filter hook input priority 0; }; "
                  f"add rule inet lab arrive {rule}")

    def heal(self):
        self._nft("delete table inet lab")

    def _nft(self, words):
        done = self.run_rooted("nft", words)
        if done.returncode != 0:
            raise RuntimeError(f"nft: {done.stderr}")


def _run(command, seconds, text):
    return subprocess.run(command, input=text, capture_output=True, text=True, timeout=seconds)


def _move(namespace):
    if ctypes.CDLL(None, use_errno=True).setns(namespace.fileno(), CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns")


class Network:
    """numbers: name to the last part of its addresses, also of those where no host will be."""

    def __init__(self, numbers):
        self.hosts, self.addresses = {}, {name: Address(name, number) for name, number in numbers.items()}
        self.numbers, self.observer, self.more = numbers, Address("observer", OBSERVER), itertools.count(1)
        ip(f"link add name {BRIDGE} type bridge forward_delay 0",
           f"address add {self.observer.ip4}/24 dev {BRIDGE}",
           f"address add {self.observer.ip6}/64 dev {BRIDGE} nodad",
           f"link set dev {BRIDGE} up",
           f"route add {MORE4}0/24 dev {BRIDGE} src {self.observer.ip4}",
           f"route add {MORE6}/64 dev {BRIDGE} src {self.observer.ip6}")

    def host(self, name):
        """Made at its first mention."""
        if name not in self.hosts:
            self.hosts[name] = Host(name, self.numbers[name], self.more)
        return self.hosts[name]

    def stop(self):
        """Ends what runs on the hosts, and them."""
        for host in reversed(self.hosts.values()):
            for service in reversed(host.services):
                if service.is_running():
                    service.stop()
        for host in self.hosts.values():
            ip(f"link delete dev {host.name}", f"netns delete {host.name}")
        ip(f"link delete dev {BRIDGE}")


def wait_port(address, port, seconds=20):
    """Until something listens there, seen from the bridge."""
    def listens():
        try:
            socket.create_connection((address, port), 1).close()
            return True
        except OSError:
            return False
    if not wait_for(listens, seconds):
        raise RuntimeError(f"nothing listens at {address}, port {port}")
