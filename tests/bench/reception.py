"""What checking costs: a part of tests/bench/run.

One message (signed with RSA of 2048 bits; its domain has records of SPF and DMARC, the client a name that leads back
to it) is delivered as fast as a server takes it, by servers that check and by the same that do not: mailkeep with
reception.checks on and off; Postfix and Dovecot with OpenDKIM and policyd-spf (no DMARC) and without. The DNS is a
server of tests/e2e behind a caching unbound, at which all ask; after the first message everything is known.

CPU is that of all rooms, or of Postfix, Dovecot, OpenDKIM, policyd-spf; of unbound, which all share, by itself.
"""

import contextlib
import json
import pathlib
import re
import subprocess
import tempfile
import time

import dns_server
import harness
import root as private_root
import servers as peers

DOMAIN, SELECTOR, SENDER = "signed.example", "k", "ada@signed.example"
ACCOUNTS = 20
TABLE = """
ttl 3600 signed.example TXT "v=spf1 ip4:192.0.2.1 ip4:127.0.0.0/8 -all"
ttl 3600 _dmarc.signed.example TXT "v=DMARC1; p=reject"
ttl 3600 bench.example A 127.0.0.1
ttl 3600 bench.example TXT "v=spf1 ip4:127.0.0.0/8 -all"
ttl 3600 1.0.0.127.in-addr.arpa PTR bench.example
ttl 3600 k._domainkey.signed.example TXT {key}
"""
UNBOUND = """
server:
  chroot: "" username: "" directory: "{folder}" pidfile: "" use-syslog: no logfile: "/dev/null" verbosity: 0
  interface: {ip}  access-control: 127.0.0.0/8 allow
  trust-anchor: "{anchor}"  do-not-query-localhost: no
  local-zone: "127.in-addr.arpa." nodefault
forward-zone:
  name: "."
  forward-addr: {upstream}
"""
CONFIG = """
resolver: {{mode: forward, servers: ["{ip}:53"], anchor: "{anchor}"}}
reception: {{checks: {checks}}}
"""
OPENDKIM = """
Socket inet:8891@{ip}
Mode v
Syslog no
AuthservID peer.localhost
Nameservers {dns}
"""
CHECKED = """
smtpd_milters = inet:{ip}:8891
smtpd_recipient_restrictions = check_policy_service unix:private/policyd-spf, permit_mynetworks, reject
"""
POLICYD = """
debugLevel = 0
HELO_reject = False
Mail_From_reject = False
skip_addresses = 192.0.2.254/32
"""
SERVICE = "policyd-spf unix - n n - 0 spawn user=nobody argv=/usr/bin/policyd-spf {path}\n"


class Dns:
    """The server with the records, and unbound before it at port 53 of an address of its own."""

    def __enter__(self):
        done = subprocess.run([harness.PROGRAM, "dkim", "genkey", "--json"], capture_output=True, check=True)
        made = json.loads(done.stdout)
        self.key, record = made["private_key"], made["record"]
        text = " ".join(f'"{record[at:at + 255]}"' for at in range(0, len(record), 255))
        self.server = dns_server.DnsServer(TABLE.format(key=text)).start()
        self.anchor, self.ip = self.server.anchor, harness.own_ip()
        self.folder = private_root.ensure() / "etc" / f"unbound-{self.ip}"
        self.folder.mkdir()
        inner = f"/etc/{self.folder.name}"
        (self.folder / "unbound.conf").write_text(UNBOUND.format(
            folder=inner, ip=self.ip, anchor=self.anchor.strip(), upstream=f"{self.server.address}@{self.server.port}"))
        self.process = subprocess.Popen(["chroot", private_root.ensure(), "unbound", "-d", "-c", f"{inner}/unbound.conf"],
                                        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.resolv = private_root.ensure() / "etc" / "resolv.conf"
        self.resolv.write_text(f"nameserver {self.ip}\n")
        peers.wait_port(self.ip, 53)
        return self

    def __exit__(self, *_):
        self.resolv.write_text("")
        self.process.terminate()
        self.process.wait()
        self.server.stop()
        for path in self.folder.iterdir():
            path.unlink()
        self.folder.rmdir()

    def sign(self, size, folder):
        """The message with its signature, in a file."""
        (folder / "key").write_text(self.key)
        head = (f"From: Ada <{SENDER}>\r\nTo: user@localhost\r\nSubject: one of many\r\n"
                "Date: Mon, 30 Nov 2026 10:00:00 +0000\r\nMessage-ID: <one@signed.example>\r\n\r\n")
        lines = (size - len(head)) // 72
        body = "".join(chr(ord("a") + at % 26) * 70 + "\r\n" for at in range(lines))
        done = subprocess.run([harness.PROGRAM, "dkim", "sign", "--domain", DOMAIN, "--selector", SELECTOR, "--key",
                               folder / "key", "--message"], input=(head + body).encode(), capture_output=True, check=True)
        (folder / f"{size}.eml").write_bytes(done.stdout)
        return folder / f"{size}.eml"


class Mailkeep:
    def __init__(self, dns, checks):
        self.name = "mailkeep" + (", checked" if checks else "")
        self.dns, self.checks, self.server = dns, checks, harness.Server(accounts=ACCOUNTS)

    def __enter__(self):
        self.server.start()
        self.server.stop()
        (self.server.data / "anchor").write_text(self.dns.anchor)
        path = self.server.data / "config" / "mailkeep.yaml"
        text = re.sub(r"(?m)^resolver:.*\n(?:[ \t]+.*\n)*", "", path.read_text())
        path.write_text(text + CONFIG.format(ip=self.dns.ip, anchor=self.server.data / "anchor",
                                             checks=str(self.checks).lower()))
        self.server.start()
        self.address = self.server.smtp
        return self

    def __exit__(self, *_):
        self.server.stop()
        self.server.remove()

    def pids(self):
        return self.server.pids()

    def drained(self):
        return True

    def trace(self):
        """The header of a message that was delivered."""
        import mail
        return next(iter(mail.look(self.server, "user1"))).split(b"\r\n\r\n", 1)[0].decode()


class PostfixDovecot:
    def __init__(self, dns, checks):
        self.name = "postfix+dovecot" + (", checked" if checks else "")
        self.dns, self.checks = dns, checks

    def __enter__(self):
        ip, root = harness.own_ip(), private_root.ensure()
        self.dovecot, self.dkim, self.files = peers.Dovecot(ip), None, []
        with contextlib.ExitStack() as stack:
            stack.enter_context(self.dovecot)
            stack.callback(self._end)
            if self.checks:
                for name, text in (("opendkim", OPENDKIM.format(ip=ip, dns=self.dns.ip)), ("policyd-spf", POLICYD)):
                    self.files.append(root / "etc" / f"{name}-{ip}.conf")
                    self.files[-1].write_text(text)
                self.dkim = subprocess.Popen(["chroot", root, "/usr/sbin/opendkim", "-f", "-x", f"/etc/opendkim-{ip}.conf"],
                                             stdin=subprocess.DEVNULL)
                peers.wait_port(ip, 8891)
            self.postfix = peers.Postfix(
                ip, f"lmtp:inet:{ip}:{self.dovecot.lmtp_port}", tls="none",
                extra=CHECKED.format(ip=ip) if self.checks else "",
                services=SERVICE.format(path=f"/etc/policyd-spf-{ip}.conf") if self.checks else "")
            stack.enter_context(self.postfix)
            self.stack = stack.pop_all()
        self.address = (self.postfix.ip, self.postfix.port)
        return self

    def __exit__(self, *_):
        self.stack.close()

    def _end(self):
        if self.dkim:
            self.dkim.terminate()
            self.dkim.wait()
        for path in self.files:
            path.unlink()

    def pids(self):
        return peers.children(self.dovecot.pid) + peers.children(self.postfix.pid) + ([self.dkim.pid] if self.dkim else [])

    def drained(self):
        return self.postfix.queued() == 0

    def trace(self):
        import wire
        with wire.Imap((self.dovecot.ip, self.dovecot.imap_port)) as client:
            client.login("user1@localhost")
            return next(iter(client.bodies().values())).split(b"\r\n\r\n", 1)[0].decode()


def deliver_once(system, dns, tool, cpu_of, connections, seconds, path):
    cpu, asked, began = cpu_of(system.pids()), cpu_of([dns.process.pid]), time.monotonic()
    done = subprocess.run([tool, *map(str, system.address), "smtp", str(connections), str(seconds), "0", str(ACCOUNTS),
                           "1000000", SENDER, path], capture_output=True, text=True)
    if done.returncode != 0:
        return {"error": done.stderr.strip()[:200]}
    messages, _, p50, p99, refused = map(float, done.stdout.split())
    harness.wait_for(system.drained, 120, every=0.01)
    spent, each = time.monotonic() - began, 1000 / max(1, messages)
    return {"rate": messages / spent, "cpu_ms": (cpu_of(system.pids()) - cpu) * each,
            "dns_ms": (cpu_of([dns.process.pid]) - asked) * each, "p50_ms": p50, "p99_ms": p99, "refused": refused}


def all_passed(system):
    """What has to stand in a header where all is checked, and nowhere else."""
    trace = system.trace()
    wanted = ["dkim=pass", "Received-SPF: pass"] + (["dmarc=pass", "iprev=pass"] if isinstance(system, Mailkeep) else [])
    return all(re.search(word, trace, re.IGNORECASE) for word in wanted) if system.checks else "dkim=" not in trace


def bench_reception(tool, cpu_of, with_peers, quick, seconds, rounds):
    cells = [(size, label, c) for size, label in ((10 << 10, "10 KB"), (100 << 10, "100 KB")) for c in (1, 10, 50)]
    if quick:
        cells = [cell for cell in cells if cell[2] == 10]
    results = {}
    with contextlib.ExitStack() as stack:
        folder = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="mailkeep-bench-")))
        dns = stack.enter_context(Dns())
        systems = [stack.enter_context(kind(dns, checks)) for kind in ((Mailkeep, PostfixDovecot) if with_peers else (Mailkeep,))
                   for checks in (False, True)]
        for system in systems:
            deliver_once(system, dns, tool, cpu_of, 10, 1, dns.sign(1024, folder))  # warm
            if not all_passed(system):
                raise RuntimeError(f"{system.name} does not check as it should:\n{system.trace()}")
        for size, label, connections in cells:
            taken = {system.name: [] for system in systems}
            for _ in range(rounds):
                for system in systems:
                    taken[system.name].append(deliver_once(system, dns, tool, cpu_of, connections, seconds, dns.sign(size, folder)))
            results[f"{label}, {connections} conn"] = {
                name: sorted(runs, key=lambda run: run.get("rate", 0))[len(runs) // 2] for name, runs in taken.items()}
    _print(results)
    return results


def _print(results):
    names = list(next(iter(results.values())))
    print("\nDeliveries a second of a signed message (server CPU ms a message + unbound's; p50/p99 ms); what checking costs"
          "\nin time / in CPU (1.00: nothing)")
    print(f"{'':18}" + "".join(f"{name:>34}" for name in names))
    for key, row in results.items():
        print(f"{key:18}" + "".join(f"{_cell(row[name]):>34}" for name in names)
              + "".join(f"{_cost(row[plain], row[checked]):>16}" for plain, checked in zip(names[::2], names[1::2])))


def _cell(cell):
    if "error" in cell:
        return cell["error"][:32]
    return f"{cell['rate']:.0f} ({cell['cpu_ms']:.2f}+{cell['dns_ms']:.2f}; {cell['p50_ms']:.1f}/{cell['p99_ms']:.1f})"


def _cost(plain, checked):
    if "error" in plain or "error" in checked:
        return "-"
    return f"{plain['rate'] / checked['rate']:.2f} / {checked['cpu_ms'] / plain['cpu_ms']:.2f}"
