"""The lab itself: that it ends with whoever began it, that two do not meet, and that its parts do what they say."""

import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import unittest

import box
import lab
import world
from capture import Capture
from dnsclient import ask
from harness import wait_for
from zones import Zone

INNER = """
import sys
sys.path.insert(0, {folder!r})
import box
assert box.enter() is None
import lab
one = lab.Lab()
one.mailkeep("one")
print("ready", flush=True)
sys.stdin.read()
"""


def namespaces():
    """The network namespaces in which any process lives."""
    found = set()
    for entry in pathlib.Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                found.add(os.readlink(entry / "ns/net"))
            except OSError:
                pass
    return found


def processes():
    return {entry.name for entry in pathlib.Path("/proc").iterdir() if entry.name.isdigit()}


class Ending(unittest.TestCase):
    def begin(self):
        program = tempfile.NamedTemporaryFile("w", suffix=".py")
        self.addCleanup(program.close)
        program.write(INNER.format(folder=str(pathlib.Path(box.__file__).parent)))
        program.flush()
        process = subprocess.Popen([sys.executable, program.name], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE)
        self.addCleanup(process.kill)
        if process.stdout.readline() != b"ready\n":
            self.fail(process.communicate()[1].decode())
        return process

    def test_nothing_is_left_when_the_one_who_began_it_is_killed(self):
        before, mounts, links = (namespaces(), processes()), pathlib.Path("/proc/mounts").read_text(), os.listdir("/sys/class/net")
        process = self.begin()
        self.assertGreater(len(processes()), len(before[1]) + 10)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        self.assertTrue(wait_for(lambda: (namespaces(), processes()) == before, 20), processes() - before[1])
        self.assertEqual(pathlib.Path("/proc/mounts").read_text(), mounts)
        self.assertEqual(os.listdir("/sys/class/net"), links)

    def test_labs_beside_each_other_do_not_meet(self):
        first, second = self.begin(), self.begin()
        for process in (first, second):
            self.assertEqual(process.communicate(b"")[1], b"")
            self.assertEqual(process.returncode, 0)


class Shell(unittest.TestCase):
    SAID = {
        "on one $MAILKEEP dns lookup TLSA _25._tcp.mx.dane-ee-key.lab --running --config /run/lab/one/config": "secure: 1 TLSA record",
        "on client $MAILKEEP dns lookup A www.expired.example --hints /run/lab/client/root.hints "
        "--anchor /run/lab/client/root.anchor": "bogus: failed (authentication)",
        "curl -s https://mta-sts.one.lab/.well-known/mta-sts.txt": "mx: mx.one.lab",
        "rooted postfix posttls-finger -c -l dane wrong-digest.lab": "no matching DANE TLSA records",
        "on two ip address": "inet 192.0.2.22/24",
    }

    def test_a_person_finds_what_the_text_says(self):
        done = subprocess.run([sys.executable, pathlib.Path(box.__file__).parent / "shell.py"], input="\n".join(self.SAID) + "\n",
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=120)
        for command, words in self.SAID.items():
            self.assertIn(words, done.stdout, command)


class Parts(lab.LabCase):
    zones = [Zone("shop.example", world.WWW), *world.UNSIGNED[:1]]

    def asked(self, name, kind="A"):
        self.lab.resolver.flush()
        answer = ask(self.lab.host("resolver").ip4, name, kind, "rd", "ad")
        return answer.rcode, "ad" in answer.flags, answer.of(kind)

    def test_records_change_while_it_runs(self):
        authority = self.lab.authority
        self.assertEqual(self.asked("www.shop.example"), ("NOERROR", True, ["192.0.2.80"]))
        authority["shop.example"].replace("www", "A", "www A 192.0.2.90")
        authority.publish()
        self.assertEqual(self.asked("www.shop.example"), ("NOERROR", True, ["192.0.2.90"]))

    def test_mailkeep_can_be_made_to_forget_names(self):
        one, authority = self.lab.mailkeep("one"), self.lab.authority
        self.assertEqual(one.lookup("TXT", "changing.shop.example")["outcome"], "nxdomain")
        authority["shop.example"].add('changing TXT "first"')
        authority.publish()
        one.forget_names()
        self.assertEqual(one.lookup("TXT", "changing.shop.example")["records"][0]["text"], '"first"')
        authority["shop.example"].replace("changing", "TXT", 'changing TXT "second"')
        authority.publish()
        self.assertEqual(one.lookup("TXT", "changing.shop.example")["records"][0]["text"], '"first"')
        one.forget_names()
        self.assertEqual(one.lookup("TXT", "changing.shop.example")["records"][0]["text"], '"second"')

    def test_zones_come_and_go_while_it_runs(self):
        authority = self.lab.authority
        authority.add(Zone("new.shop.example", world.WWW, sign="nsec3"))
        authority.publish()
        self.assertEqual(self.asked("www.new.shop.example"), ("NOERROR", True, ["192.0.2.80"]))
        authority["new.shop.example"].ds = "wrong"
        authority.publish()
        self.assertEqual(self.asked("www.new.shop.example")[0], "SERVFAIL")
        authority.remove("new.shop.example")
        authority.publish()
        self.assertEqual(self.asked("www.new.shop.example")[0], "NXDOMAIN")

    def test_addresses_of_either_family_reach_every_host(self):
        for address in (self.lab.host("leaf").ip4, self.lab.host("leaf").ip6):
            done = self.lab.host("client").run("sh", "-c", f"echo | openssl s_client -connect '[{address}]:53' 2>&1" if ":" in address
                                               else f"echo | openssl s_client -connect {address}:53 2>&1")
            self.assertIn("CONNECTED", done.stdout)

    def test_a_capture_has_what_went_over_a_link_and_nothing_else(self):
        with Capture(self.lab.host("resolver")) as here, Capture(self.lab.host("client")) as elsewhere:
            self.asked("www.insecure.example")
        self.assertIn(("www.insecure.example.", "A"), here.queries(self.lab.host("resolver")))
        self.assertEqual(elsewhere.queries(), [])
        path = self.lab.host("client").folder / "dns.pcap"
        here.save(path)
        said = self.lab.host("client").run_rooted("tcpdump", "-n", "-Z", "root", "-r", path, "udp", "port", "53").stdout
        self.assertIn("A? www.insecure.example.", said)

    def test_lost_packets_and_pulled_cables_are_felt_and_heal(self):
        leaf = self.lab.host("leaf")
        leaf.lose(100, "udp dport 53")
        with self.assertRaises(OSError):
            ask(leaf.ip4, "www.shop.example", "A", seconds=0.5)
        self.assertEqual(ask(leaf.ip4, "www.shop.example", "A", tcp=True).rcode, "NOERROR")
        leaf.heal()
        self.assertEqual(ask(leaf.ip4, "www.shop.example", "A").rcode, "NOERROR")
        leaf.unplug()
        with self.assertRaises(OSError):
            ask(leaf.ip4, "www.shop.example", "A", seconds=0.5)
        leaf.plug()
        self.assertTrue(wait_for(lambda: self.answers(leaf), 10))

    @staticmethod
    def answers(host):
        try:
            return ask(host.ip4, "www.shop.example", "A", seconds=0.5).rcode == "NOERROR"
        except OSError:
            return False
