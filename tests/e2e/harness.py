"""Starts `mailkeep localserve` for a test, on an address and a folder of its own, and always ends it.

    class MailTest(harness.ServerCase):
        accounts = 2
        def test_x(self): self.server.smtp, self.server.imap ... are (ip, port)

MAILKEEP names the program (default build/mailkeep). With MAILKEEP=peer the same tests run on Debian's
Postfix and Dovecot from the private root, which is how the tests themselves are tried.
"""

import itertools
import os
import pathlib
import random
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest

TOP = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TOP / "tests" / "peers"))

import root as private_root  # noqa: E402
import servers as peers  # noqa: E402

PROGRAM = os.environ.get("MAILKEEP", str(TOP / "build" / "mailkeep"))
PASSWORD = "mailkeep"
READY = b"mailkeep: ready"
START_SECONDS = 60
STOP_SECONDS = 20
RUNNING = []  # servers whose logs a failing test prints
_serial = itertools.count()


def is_peer():
    return PROGRAM == "peer"


def own_ip():
    """A loopback address that no other test process uses at this moment."""
    pid = os.getpid()
    return f"127.{64 + next(_serial) % 128}.{pid // 250 % 250}.{pid % 250 + 1}"


def free_base(ip):
    """A port base whose ports can all be bound on ip."""
    for base in random.sample(range(2000, 30000, 1000), 20):
        try:
            for offset in (25, 465, 587, 143, 993, 80, 443):
                with socket.socket() as probe:
                    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                    probe.bind((ip, base + offset))
            return base
        except OSError:
            continue
    raise RuntimeError("no free ports")


def wait_for(condition, seconds=15, every=0.05):
    """The condition's first true value, or its last false one when the time is over."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value or time.monotonic() > end:
            return value
        time.sleep(every)


class Server:
    """One localserve. folder is kept when it was given, else removed unless keep is set."""

    def __init__(self, accounts=0, folder=None, ip=None, base=None, arguments=(), environment=None):
        self.accounts = accounts
        self.own_folder = folder is None
        self.folder = pathlib.Path(folder or tempfile.mkdtemp(prefix="mailkeep-e2e-"))
        self.data = self.folder / "data"
        self.log_path = self.folder / "server.log"
        self.ip = ip or own_ip()
        self.base = base or free_base(self.ip)
        self.arguments = list(arguments)
        self.environment = environment or {}
        self.process = None
        self.keep = False
        for name, port in (("smtp", 25), ("submissions", 465), ("submission", 587), ("imap", 143),
                           ("imaps", 993), ("http", 80), ("https", 443)):
            setattr(self, name, (self.ip, self.base + port))

    def command(self):
        return [PROGRAM, "localserve", "--dir", str(self.data), "--ip", self.ip,
                "--port-base", str(self.base), "--accounts", str(self.accounts), *self.arguments]

    def start(self):
        self.log_file = open(self.log_path, "ab")
        self.process = subprocess.Popen(
            self.command(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=self.log_file,
            start_new_session=True, env={**os.environ, **self.environment})
        RUNNING.append(self)
        self._wait_ready()
        return self

    def _wait_ready(self):
        end, seen = time.monotonic() + START_SECONDS, b""
        os.set_blocking(self.process.stdout.fileno(), False)
        while READY not in seen:
            readable, _, _ = select.select([self.process.stdout], [], [], max(0, end - time.monotonic()))
            more = self.process.stdout.read() if readable else None
            if more is None or more == b"":
                code = self.process.poll()
                self.stop()
                raise AssertionError(f"server not ready (exit {code}), it said: {seen!r}\n{self.log()[-3000:]}")
            seen += more

    def log(self):
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def pids(self):
        return peers.children(self.process.pid)

    def rooms(self, name):
        """Processes of the room, by the command name (cut at 15 bytes by the kernel) or program file."""
        found = []
        for pid in self.pids()[1:]:
            try:
                comm = pathlib.Path(f"/proc/{pid}/comm").read_text().strip()
                exe = os.path.basename(os.readlink(f"/proc/{pid}/exe"))
            except OSError:
                continue
            if comm == f"mailkeep-{name}"[:15] or comm.startswith(name[:15]) or (
                    exe in (name, f"mailkeep-{name}") and not comm.startswith("mailkeep-")):
                found.append(pid)
        return found

    def stop(self):
        """SIGTERM, then whatever it takes. Returns the exit status of the clean stop, None if it hung."""
        if self.process is None:
            return None
        tree = self.pids()
        self.process.terminate()
        try:
            code = self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            code = None
        for pid in tree[1:] + tree[:1]:
            if code is None or pid != tree[0]:
                _kill_own(pid, tree)
        self.process.wait()
        self.process.stdout.close()
        self.log_file.close()
        self.process = None
        if self in RUNNING:
            RUNNING.remove(self)
        return code

    def findings(self):
        """Lines of the log that no run may have: sanitizer reports, bugs of our own, sandbox kills."""
        marks = ("Sanitizer", "runtime error:", "mailkeep: bug", "bug at ", "denied system call")
        return [line for line in self.log().splitlines() if any(mark in line for mark in marks)]

    def remove(self):
        if self.own_folder and not self.keep:
            shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()
        self.remove()


def _kill_own(pid, tree):
    try:
        session = os.getsid(pid)
    except ProcessLookupError:
        return
    if session in tree:  # still one of ours, not a number used again
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass


class PeerServer:
    """The same face on Debian's Postfix and Dovecot."""

    def __init__(self, accounts=0, **_):
        ip = own_ip()
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="mailkeep-e2e-"))
        self.data = self.folder
        peers.make_certificate(self.folder / "cert.pem")
        self.dovecot = peers.Dovecot(ip)
        self.postfix = peers.Postfix(ip, f"lmtp:inet:{ip}:10024", tls="none", extra=(
            "smtpd_tls_security_level = may\nsmtpd_tls_chain_files = {etc}/cert.pem\n"
            "smtpd_tls_loglevel = 0"), certificate=self.folder / "cert.pem")
        self.ip, self.process = ip, None
        self.smtp, self.imap, self.imaps = (ip, 10025), (ip, 10143), (ip, 10993)

    def start(self):
        self.dovecot.start()
        self.postfix.start()
        return self

    def stop(self):
        self.postfix.stop()
        self.dovecot.stop()
        return 0

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()
        self.remove()

    def log(self):
        return self.postfix.log() + self.dovecot.log()

    def findings(self):
        return []

    def remove(self):
        shutil.rmtree(self.folder, ignore_errors=True)


def make_server(**options):
    return PeerServer(**options) if is_peer() else Server(**options)


class ServerCase(unittest.TestCase):
    """One server for all tests of a class."""

    accounts = 0
    arguments = ()

    @classmethod
    def setUpClass(cls):
        if not is_peer() and not os.access(PROGRAM, os.X_OK):
            raise AssertionError(f"{PROGRAM} is not there: run make first")
        cls.server = make_server(accounts=cls.accounts, arguments=cls.arguments)
        try:
            cls.server.start()
        except BaseException:
            cls.server.stop()
            raise

    @classmethod
    def tearDownClass(cls):
        code, findings = cls.server.stop(), cls.server.findings()
        if findings:
            raise AssertionError("the server's log holds findings:\n" + "\n".join(findings[:20]))
        if code != 0:
            raise AssertionError(f"the server's clean stop gave {code}\n{cls.server.log()[-2000:]}")
        cls.server.remove()

    def need(self, *tools):
        for tool in tools:
            if not shutil.which(tool):
                self.skipTest(f"{tool} is not installed")

    def run_tool(self, *command, text="", seconds=60, check=True, **options):
        """Runs a client; fails the test with the client's words when it fails."""
        done = subprocess.run([str(part) for part in command], input=text.encode() if isinstance(text, str) else text,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=seconds, **options)
        output = done.stdout.decode(errors="replace")
        if check and done.returncode != 0:
            self.fail(f"{' '.join(map(str, command))}\ngave {done.returncode}:\n{output[-4000:]}")
        return output if check else (done.returncode, output)


def need_root(case, why):
    if os.geteuid() != 0:
        case.skipTest(f"needs root: {why}")


def need_peers(case):
    try:
        private_root.ensure()
    except private_root.Unavailable as error:
        case.skipTest(str(error))


def mailkeep_only(function):
    """For what the peers do not do alike."""
    return unittest.skipIf(is_peer(), "only of mailkeep")(function)
