"""Resolvers: unbound as a server, BIND's delv, and mailkeep's own by its command line."""

import json
import os
import pathlib
import shutil
import subprocess

import network
from harness import PROGRAM

UNBOUND = """
server:
  chroot: "" username: "" directory: "{folder}" pidfile: "" use-syslog: no logfile: "" verbosity: 1
  interface: {ip4}  interface: {ip6}  interface: 127.0.0.1
  access-control: 0.0.0.0/0 allow  access-control: ::/0 allow
  access-control: {stranger.ip4} refuse
  root-hints: "{folder}/root.hints"
  trust-anchor-file: "{folder}/root.anchor"
  ede: yes  val-log-level: 2
  unblock-lan-zones: yes
  do-not-query-localhost: no
  infra-host-ttl: 5
remote-control:
  control-enable: yes  control-interface: "{folder}/control"
"""


def write_beginnings(host, authority):
    """root.hints, root.anchor and delv.key into the host's folder, for whoever resolves there."""
    (host.folder / "root.hints").write_text(authority.hints())
    (host.folder / "root.anchor").write_text(authority.anchor())
    tag, algorithm, digest_type, digest = authority.anchor().split()[3:7]
    (host.folder / "delv.key").write_text(
        f'trust-anchors {{ . static-ds {tag} {algorithm} {digest_type} "{digest}"; }};\n')


class Unbound:
    """Validates, from the root on, and says why not (Extended DNS Errors). Also at its host's 127.0.0.1.

    It refuses the host called stranger.
    """

    def __init__(self, host, authority, extra=""):
        self.host, self.config = host, host.folder / "unbound.conf"
        write_beginnings(host, authority)
        self.config.write_text(UNBOUND.format(
            folder=host.folder, ip4=host.ip4, ip6=host.ip6, stranger=authority.network.addresses["stranger"]) + extra)
        self.service = host.start_rooted("unbound", "-d", "-c", self.config, name="unbound")
        network.wait_port(host.ip4, 53)

    def flush(self, zone="."):
        """Forgets what it knows of the zone, and of servers that did not answer."""
        for words in (f"flush_zone {zone}", "flush_bogus", "flush_negative", "flush_infra all"):
            self.host.run_rooted("unbound-control", "-c", self.config, *words.split())


def has_delv():
    return bool(shutil.which("delv"))


def delv(host, kind, name, server):
    """BIND's verdict on what `server` says: "secure", "insecure" or "failed"."""
    done = host.run("delv", "-a", host.folder / "delv.key", "+root=.", f"@{server}", kind, name)
    said = done.stdout + done.stderr
    if "unsigned answer" in said:
        return "insecure"
    return "secure" if "fully validated" in said else "failed"


class Room:
    """The resolver room with its walls, and the test as all rooms that ask it (resolver_try.c).

        room = Room(host, "{timeout: 10s}")
        room.ask("courier", "MX", "shop.example");  room.answers(1)     # [{"name": ..., "outcome": ...}]
    """

    def __init__(self, host, settings=""):
        beginnings = f"hints: {host.folder}/root.hints, anchor: {host.folder}/root.anchor"
        self.process = subprocess.Popen(
            host.command(pathlib.Path(PROGRAM).parent / "src/rooms/resolver_try", f"{{{beginnings}{settings and ', '}{settings}}}"),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=open(host.folder / "resolver_try.log", "ab"), text=True, bufsize=1)
        self.pid = self.answers(1)[0]["pid"]

    def ask(self, room, kind, name, timeout_ms=10000):
        self.process.stdin.write(f"{room} {kind} {name} {timeout_ms}\n")

    def answers(self, n):
        """The next ones, in the order of their arrival."""
        return [json.loads(self.process.stdout.readline()) for _ in range(n)]

    def cpu_seconds(self):
        """That the room has used so far."""
        fields = pathlib.Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()
