"""The environment fails: a busy port, an unreadable config, a full disk."""

import os
import socket
import subprocess
import tempfile
import unittest

import harness
import mail
import wire


@harness.mailkeep_only
class Start(unittest.TestCase):
    def setUp(self):
        self.server = harness.Server()
        self.addCleanup(self.server.remove)

    def refused(self):
        """Starts, expects it to end by itself with an error; what it said."""
        done = subprocess.run(self.server.command(), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
        said = done.stdout + done.stderr
        self.assertGreater(done.returncode, 0, said)
        self.assertNotIn("mailkeep: ready", said)
        return said

    def test_busy_port_is_named(self):
        with socket.socket() as taken:
            taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            taken.bind((self.server.ip, self.server.base + 143))
            taken.listen()
            self.assertIn(str(self.server.base + 143), self.refused())

    def configs(self):
        self.server.start()
        self.assertEqual(self.server.stop(), 0)
        files = [path for path in (self.server.data / "config").rglob("*") if path.is_file()]
        self.assertTrue(files, "localserve writes its config below DIR/config")
        return files

    def test_broken_config_is_named_with_its_line(self):
        for path in self.configs():
            good = path.read_text()
            if path.suffix not in (".yaml", ".yml"):
                continue
            path.write_text(good + "\nno-such-field: [1, 2\n")
            said = self.refused()
            self.assertIn(path.name, said)
            self.assertRegex(said, r":\d+")
            path.write_text(good)
        self.server.start()
        self.assertEqual(self.server.stop(), 0)

    def test_unreadable_config_is_named(self):
        for path in self.configs():
            good = path.read_bytes()
            path.unlink()
            path.mkdir()  # unreadable as a file, to root too
            self.assertIn(path.name, self.refused())
            path.rmdir()
            path.write_bytes(good)

    def test_clean_stop_and_second_start(self):
        self.server.start()
        with wire.Smtp(self.server.smtp) as client:
            client.ehlo()
            client.deliver(b"a@client.example", [b"me@localhost"], mail.message("before-restart"))
        tree = self.server.pids()
        self.assertEqual(self.server.stop(), 0)
        self.assertFalse([pid for pid in tree if os.path.exists(f"/proc/{pid}/exe") and _alive(pid)], "no room stays behind")
        self.server.start()
        self.assertEqual(len(mail.arrived(self.server, "me@localhost", b"before-restart")), 1)
        self.assertEqual(self.server.stop(), 0)


def _alive(pid):
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@harness.mailkeep_only
class FullDisk(unittest.TestCase):
    def setUp(self):
        harness.need_root(self, "a small file system is mounted")
        self.folder = tempfile.mkdtemp(prefix="mailkeep-e2e-")
        self.addCleanup(os.rmdir, self.folder)
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=48m,mode=755", "tmpfs", self.folder], capture_output=True)
        if mounted.returncode != 0:
            self.skipTest("mounting is not allowed here")
        self.addCleanup(subprocess.run, ["umount", "-l", self.folder], check=True)

    def test_full_disk_defers_and_recovers(self):
        server = harness.Server(accounts=2, folder=self.folder)
        with server:
            acknowledged = self.fill(server)
            self.assertGreater(len(acknowledged), 2)
            # A login, reading and a small command still work on the full disk.
            wholes = mail.look(server, "user1@localhost")
            self.assertEqual(sorted(mail.digest(w[-len(m):]) for w, m in zip(wholes, acknowledged)),
                             sorted(map(mail.digest, acknowledged)))
            with wire.Imap(server.imap) as client:
                client.login("user1@localhost")
                client.command(b"APPEND INBOX %b", mail.sized("too-much", 3 << 20), expect=b"NO")
                client.command(b"SELECT INBOX")
                os.unlink(os.path.join(self.folder, "ballast"))
                client.command(b"STORE 1:2 +FLAGS (\\Deleted)")
                client.command(b"EXPUNGE")
            with wire.Smtp(server.smtp) as client:
                client.ehlo()
                self.assertEqual(client.deliver(b"a@client.example", [b"user2@localhost"], mail.message("room-again"))[0], 250)
            self.assertEqual(len(mail.arrived(server, "user2@localhost", b"room-again")), 1)
            self.assertEqual(server.findings(), [])

    def fill(self, server):
        """Delivers until put off with 4yz, then takes the rest of the disk and tries once more."""
        with open(os.path.join(self.folder, "ballast"), "wb") as ballast:
            ballast.write(b"x" * (8 << 20))
        acknowledged, code = [], 250
        while code == 250 and len(acknowledged) < 100:
            message = mail.sized(f"fill-{len(acknowledged)}", 1 << 20, seed=len(acknowledged))
            with wire.Smtp(server.smtp) as client:
                client.ehlo()
                client.envelope(b"a@client.example", [b"user1@localhost"])
                code, lines = client.command(b"DATA")
                if code == 354:
                    client.send(message + b".\r\n")
                    code, lines = client.reply()
            if code == 250:
                acknowledged.append(message)
        self.assertEqual(code // 100, 4, lines)
        return acknowledged
