"""What verified TLS costs on the way out: a part of tests/bench/run.

One mailkeep sends to another, messages that wait in its queue and are let go at once: in clear, over TLS that nobody
verifies, and over TLS that DANE demands and verifies; to one host, where connections and sessions are used again, and to
many, each with records and a connection of its own. Counted until the receiver has all of them on disk.

CPU is that of the sender's rooms. The DNS is a server of tests/e2e; the resolver room knows its answers after a first
message to each host.
"""

import concurrent.futures
import json
import pathlib
import re
import smtplib
import subprocess
import time

import dns_server
import harness
import test_queue

ACCOUNTS = 20
SETTINGS = """
queue:
  delay_notice: 0s
  max_connections: 200
limits:
  sent_per_day: unlimited
  first_time_recipients_per_day: unlimited
resolver: {{mode: forward, servers: ["{dns}"], anchor: "{anchor}"}}
transports:
  guarded: {{kind: direct, port: {port}}}
  clear: {{kind: direct, port: {port}, tls: none}}
routes:
  clear: {{to: [clear.test], transport: clear}}
  others: {{to: ["."], transport: guarded}}
"""
ZONE = "{name} MX 10 mx.{name}\nmx.{name} A {ip}\n"
TLSA = "_{port}._tcp.mx.{name} TLSA {record}\n"


def run(server, *words):
    done = subprocess.run([harness.PROGRAM, *map(str, words), "--config", str(server.data / "config")], capture_output=True,
                          text=True, timeout=120)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(map(str, words))}: {done.stdout}{done.stderr}")
    return done.stdout


class Pair:
    """A sender, a receiver and the DNS between them."""

    def __init__(self, n_hosts):
        self.hosts = [f"h{i}.test" for i in range(n_hosts)]
        self.receiver, self.sender = harness.Server(accounts=ACCOUNTS), harness.Server(accounts=ACCOUNTS)

    def __enter__(self):
        self.receiver.start()
        self._receive()
        self.receiver.stop()
        self.receiver.start()
        ip, port = self.receiver.smtp
        record = run(self.receiver, "dane", "record").splitlines()[0].split(" IN TLSA ")[1].split(" ;")[0]
        facts = "".join(ZONE.format(name=name, ip=ip) for name in ("clear.test", "dane.test", *self.hosts))
        facts += "".join(TLSA.format(name=name, port=port, record=record) for name in ("dane.test", *self.hosts))
        facts += "insecure open.test\n" + ZONE.format(name="open.test", ip=ip)
        self.dns = dns_server.DnsServer(facts).start()
        self.sender.start()
        self.sender.stop()
        self._send(port)
        self.sender.start()
        return self

    def __exit__(self, *_):
        for server in (self.sender, self.receiver):
            server.stop()
            server.remove()
        self.dns.stop()

    def _receive(self):
        config = self.receiver.data / "config"
        path = config / "mailkeep.yaml"
        path.write_text(re.sub(r"(?m)^hostname: .*$", "hostname: mx.dane.test", path.read_text()) + "\nreception: {checks: false}\n")
        path = config / "domains.yaml"
        names = "".join(f"  {name}: {{catchall: user1}}\n" for name in self.hosts)
        names += "".join(f"  {name}: {{}}\n" for name in ("clear.test", "dane.test", "open.test"))
        text = re.sub(r"(?m)^domains:\n", "domains:\n" + names, path.read_text())
        for i in range(1, ACCOUNTS + 1):
            own = ", ".join(f"user{i}@{name}" for name in ("clear.test", "dane.test", "open.test"))
            text = re.sub(rf"(?m)(^  user{i}:(?:.*\n\s+)*?.*addresses: \[)", rf"\g<1>{own}, ", text)
        path.write_text(text)

    def _send(self, port):
        (self.sender.data / "anchor").write_text(self.dns.anchor)
        path = self.sender.data / "config" / "mailkeep.yaml"
        text = re.sub(r"(?m)^(?:resolver|limits|queue):.*\n(?:[ \t]+.*\n)*", "", path.read_text())
        path.write_text(text + SETTINGS.format(dns=f"{self.dns.address}:{self.dns.port}", anchor=self.sender.data / "anchor", port=port))

    # --- messages ---

    def _submit_some(self, recipients, size):
        body = ("x" * 70 + "\r\n") * (size // 72)
        with smtplib.SMTP(*self.sender.submission, timeout=60) as client:
            client.login("user1@localhost", harness.PASSWORD)
            for recipient in recipients:
                client.sendmail("user1@localhost", [recipient], f"From: user1@localhost\r\nTo: {recipient}\r\n\r\n{body}")

    def submit(self, recipients, size):
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            for done in [pool.submit(self._submit_some, recipients[i::8], size) for i in range(8)]:
                done.result()

    def waiting(self):
        return len(json.loads(run(self.sender, "queue", "list", "--json"))["entries"])

    def drain(self, seconds):
        end = time.monotonic() + seconds
        while self.waiting() > 0:
            if time.monotonic() > end:
                raise RuntimeError("not all was delivered: " + run(self.sender, "queue", "list")[:2000])
            time.sleep(0.05)

    def measure(self, recipients, size, cpu_of):
        """Messages a second from being let go to being gone, and the sender's CPU ms for each."""
        rule = json.loads(run(self.sender, "queue", "holdrules", "add", "--all", "--json"))
        self.submit(recipients, size)
        run(self.sender, "queue", "holdrules", "rm", rule["rule"]["id"] if "rule" in rule else rule["id"])
        cpu, began = cpu_of(self.sender.pids()), time.monotonic()
        run(self.sender, "queue", "unhold", "--all")
        self.drain(300)
        spent = time.monotonic() - began
        return {"rate": len(recipients) / spent, "cpu_ms": (cpu_of(self.sender.pids()) - cpu) * 1000 / len(recipients)}

    def protection(self, domain):
        entries = json.loads(run(self.sender, "queue", "retired", "list", "--json"))["entries"]
        entry = next(e for e in entries if e["recipient"].endswith("@" + domain))
        history = json.loads(run(self.sender, "queue", "retired", "show", entry["id"], "--json"))["entry"]["history"]
        return history[-1].get("protection", "")


def bench_guarded(cpu_of, quick, rounds):
    n_messages, n_hosts = (200, 50) if quick else (1500, 1000)
    one = {"in clear": "clear.test", "unverified": "open.test", "by DANE": "dane.test"}
    results = {}
    with Pair(n_hosts) as pair:
        pair.submit([f"user{i}@{name}" for i in range(1, 3) for name in one.values()] + [f"a@{name}" for name in pair.hosts], 100)
        pair.drain(600)
        for domain, wanted in (("clear.test", "clear"), ("open.test", "unverified"), ("dane.test", "dane"), (pair.hosts[0], "dane")):
            if pair.protection(domain) != wanted:
                raise RuntimeError(f"{domain} is protected by {pair.protection(domain)!r}, not {wanted!r}")
        for size, label in ((10 << 10, "10 KB"), (100 << 10, "100 KB")):
            taken = {name: [] for name in one}
            for _ in range(rounds):
                for name, domain in one.items():
                    taken[name].append(pair.measure([f"user{1 + i % ACCOUNTS}@{domain}" for i in range(n_messages)], size, cpu_of))
            results[f"{label}, one host"] = {name: sorted(runs, key=lambda run: run["rate"])[len(runs) // 2]
                                             for name, runs in taken.items()}
        hosts = [pair.measure([f"a@{name}" for name in pair.hosts], 10 << 10, cpu_of) for _ in range(rounds)]
        results[f"10 KB, {n_hosts} hosts"] = {"by DANE": sorted(hosts, key=lambda run: run["rate"])[len(hosts) // 2]}
    print("\nDeliveries a second to another mailkeep (CPU ms a message of the sender)")
    for key, row in results.items():
        print(f"{key:20}" + "".join(f"{name}: {cell['rate']:.0f} ({cell['cpu_ms']:.2f})".rjust(28) for name, cell in row.items()))
    return results
