"""Two mailkeeps and Debian's Postfix exchange mail in every direction and by every transport.

Six roads, each with its share of EXCHANGE_MESSAGES (default 600; `make exchange` takes 10,000):

    a -> b  direct, by MX records           b -> a  direct
    a -> p  direct                          b -> p  through a SOCKS5 proxy (microsocks)
    p -> a  as Postfix delivers             a -> b  through Postfix as smarthost, by an account's route
    a -> p  by authenticated submission to b, which relays for its own user

Afterwards every message is where it belongs once, whole, by Message-ID and hash, and nothing else is.
"""

import collections
import hashlib
import os
import pathlib
import random
import smtplib
import ssl
import subprocess
import threading
import time

import dns_server
import harness
import package
import wire
from harness import peers

MESSAGES = int(os.environ.get("EXCHANGE_MESSAGES", "600"))
BASE, PORT = 10000, 10025  # Postfix of the private root listens there too
SENDERS = 4  # connections on each road
LONG = 600  # seconds

SERVER = """
hostname: mx.{name}.test
data_directory: ../data
listeners:
  local:
    addresses: ["{ip}"]
    plain_login: loopback
    tls: {{certificate: self-signed}}
    smtp: {{port: 10025}}
    submission: {{port: 10587}}
    submissions: {{port: 10465}}
    imap: {{port: 10143}}
    imaps: {{port: 10993}}
limits:
  rate_limits_on_loopback: false
  sent_per_day: 1000000
  first_time_recipients_per_day: 1000000
resolver: {{mode: trust, trust_ad: true, servers: ["{dns}"]}}
transports:
  near: {{kind: direct, port: 10025}}
  smarthost: {{kind: smtp, host: "{postfix}", port: 10025}}
  proxy: {{kind: socks, host: "{postfix}", port: 10080, remote_port: 10025}}
  partner: {{kind: submission, host: "{b}", port: 10465, tls: implicit, ca: {ca}, tls_name: mx.b.test,
            user: partner@c.test, secret: partner}}
routes:
{routes}
  rest: {{transport: near}}
"""
DOMAINS_A = """
domains: {a.test: {}, c.test: {}}
accounts:
  ann: {addresses: [ann@a.test]}
  sam:
    addresses: [sam@a.test]
    routes: {through: {to: [b.test], transport: smarthost}}
  cyd: {addresses: [cyd@c.test]}
"""
DOMAINS_B = """
domains: {b.test: {}, c.test: {}}
accounts:
  bob: {addresses: [bob@b.test]}
  partner: {addresses: [partner@c.test, "@c.test"]}
"""

Road = collections.namedtuple("Road", "name sender recipient")
ROADS = [
    Road("a-b-direct", "ann@a.test", "bob@b.test"), Road("b-a-direct", "bob@b.test", "ann@a.test"),
    Road("a-p-direct", "ann@a.test", "pia@p.test"), Road("b-p-socks", "bob@b.test", "pia@p.test"),
    Road("p-a", "pia@p.test", "sam@a.test"), Road("a-b-smarthost", "sam@a.test", "bob@b.test"),
    Road("a-p-submission", "cyd@c.test", "pia@p.test"),
]


def fingerprint(body):
    return hashlib.sha256(body.rstrip(b"\r\n")).hexdigest()


class Sent:
    """What was acknowledged: Message-ID to (recipient, hash of the body)."""

    def __init__(self):
        self.lock, self.messages, self.errors = threading.Lock(), {}, []

    def compose(self, road, n, chance):
        body = b"".join(b"%060x\r\n" % chance.getrandbits(240) for _ in range(int(16 * 50 ** chance.random())))
        msgid = f"<{road.name}.{n}@exchange.test>"
        head = (f"From: <{road.sender}>\r\nTo: <{road.recipient}>\r\nSubject: {road.name} {n}\r\n"
                f"Date: Mon, 02 Nov 2026 10:00:00 +0000\r\nMessage-ID: {msgid}\r\n\r\n").encode()
        return msgid, head + body, fingerprint(body)


def message_id(whole):
    head = whole.partition(b"\r\n\r\n")[0]
    for line in head.split(b"\r\n"):
        if line.lower().startswith(b"message-id:"):
            return line.split(b":", 1)[1].strip().decode()
    return None


@harness.mailkeep_only
class Exchange(harness.unittest.TestCase):
    def setUp(self):
        harness.need_peers(self)
        self.microsocks = package.Program("microsocks", "microsocks")
        self.assertTrue(self.microsocks.path, self.microsocks.why)
        self.ips = {name: harness.own_ip() for name in "abpd"}

    def start_mailkeep(self, name, domains, routes, certificate):
        server = harness.Server(ip=self.ips[name], base=BASE)
        config = server.data / "config"
        config.mkdir(parents=True)
        (config / "mailkeep.yaml").write_text(SERVER.format(
            name=name, ip=self.ips[name], dns=f"{self.ips['d']}:{self.dns_port}", postfix=self.ips["p"],
            b=self.ips["b"], ca=certificate, routes=routes))
        (config / "domains.yaml").write_text(domains)
        self.addCleanup(server.remove)
        server.start()
        self.addCleanup(server.stop)
        for account in [line.split(":")[0].strip() for line in domains.splitlines() if "addresses:" in line and
                        line.startswith("  ") and not line.startswith("   ")] + (["sam"] if name == "a" else []):
            self.command(server, "account", "password", account, text="mailkeep\n")
        return server

    def command(self, server, *words, text=""):
        done = subprocess.run([harness.PROGRAM, *words, "--config", str(server.data / "config")], input=text,
                              capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return done.stdout

    def test_every_direction_and_transport(self):
        certificate = pathlib.Path(peers.private_root.PEERS).parent / "exchange.pem"
        records = "".join(f"{name}.test MX 10 mx.{name}.test\nmx.{name}.test A {self.ips[name]}\n" for name in "abp")
        dns = self.start_dns(records)
        self.addCleanup(dns.stop)
        self.fetch_certificate(certificate)
        ip = self.ips["p"]
        transports = " ".join(f"{{{name}.test = smtp:[{self.ips[name]}]:{PORT}}}" + "," for name in "ab").rstrip(",")
        with peers.Dovecot(ip) as dovecot, \
                peers.Postfix(ip, f"lmtp:inet:{ip}:10024", tls="may",
                              extra=f"transport_maps = inline:{{ {transports} }}") as postfix, \
                self.proxy(ip):
            a = self.start_mailkeep("a", DOMAINS_A, "  partner: {to: [p.test], from: [c.test], transport: partner}",
                                    self.certificate_of_b)
            self.command(a, "secret", "set", "partner", text="mailkeep\n")
            self.command(a, "config", "reload")
            sent = self.send_all({"a": (a.ip, 10587), "b": (self.b.ip, 10587), "p": (ip, PORT)})
            self.collect(sent, a, self.b, dovecot, postfix)

    def start_dns(self, records):
        server = dns_server.DnsServer(records, address=self.ips["d"])
        server.start()
        self.dns_port = server.port
        return server

    def fetch_certificate(self, path):
        """b's self-signed certificate is what a trusts for its submission."""
        self.b = self.start_mailkeep("b", DOMAINS_B, "  proxied: {to: [p.test], from: [b.test], transport: proxy}",
                                     "/etc/ssl/certs/ca-certificates.crt")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(ssl.get_server_certificate((self.b.ip, 10465)))
        self.certificate_of_b = path

    def proxy(self, ip):
        process = subprocess.Popen([self.microsocks.path, "-i", ip, "-p", "10080"], stdout=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL)
        peers.wait_port(ip, 10080)

        class Proxy:
            def __enter__(self):
                return self

            def __exit__(self, *_):
                process.kill()
                process.wait()
        return Proxy()

    def send_all(self, doors):
        sent, threads = Sent(), []
        share = MESSAGES // len(ROADS)
        for road in ROADS:
            for part in range(SENDERS):
                threads.append(threading.Thread(target=self.send, args=(
                    road, doors[road.name[0]], range(part, share, SENDERS), sent)))
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(sent.errors, [])
        self.assertEqual(len(sent.messages), share * len(ROADS))
        return sent

    def send(self, road, door, numbers, sent):
        try:
            with smtplib.SMTP(*door, local_hostname="client.test", timeout=120) as client:
                client.ehlo()
                if not road.name.startswith("p"):
                    client.login(road.sender, "mailkeep")
                for n in numbers:
                    msgid, whole, digest = sent.compose(road, n, random.Random(f"{road.name} {n}"))
                    client.sendmail(road.sender, [road.recipient], whole)
                    with sent.lock:
                        sent.messages[msgid] = (road.recipient, digest)
        except (OSError, smtplib.SMTPException) as error:
            sent.errors.append((road.name, repr(error)))

    def mailboxes(self, a, b, dovecot):
        """Recipient to [(Message-ID, hash)]."""
        found = {}
        for recipient, address in (("ann@a.test", a.imap), ("sam@a.test", a.imap), ("cyd@c.test", a.imap),
                                   ("bob@b.test", b.imap), ("partner@c.test", b.imap),
                                   ("pia@p.test", (dovecot.ip, dovecot.imap_port))):
            with wire.Imap(address, seconds=60) as imap:
                imap.login(recipient)
                found[recipient] = [(message_id(whole), fingerprint(whole.partition(b"\r\n\r\n")[2]), whole)
                                    for whole in imap.bodies().values()]
        return found

    def collect(self, sent, a, b, dovecot, postfix):
        wanted = len(sent.messages)
        end, have, moved = time.monotonic() + LONG, 0, time.monotonic()
        while have < wanted and time.monotonic() < end and time.monotonic() - moved < 60:
            time.sleep(1)
            now = self.count(a, b, dovecot)
            if now != have:
                have, moved = now, time.monotonic()
        found = self.mailboxes(a, b, dovecot)
        where = f"{have} of {wanted}; postfix {postfix.queued()}: {postfix.log()[-1500:]}\n" + self.queues(a, b)
        seen = collections.Counter()
        for recipient, messages in found.items():
            for msgid, digest, whole in messages:
                self.assertIn(msgid, sent.messages, f"{recipient}: {whole[:1500]!r}")
                self.assertEqual(sent.messages[msgid], (recipient, digest), msgid)
                seen[msgid] += 1
        self.assertEqual([msgid for msgid, n in seen.items() if n != 1], [], "doubled")
        self.assertEqual(sorted(set(sent.messages) - set(seen))[:20], [], "lost: " + where)

    def count(self, a, b, dovecot):
        total = 0
        for user, address in (("ann@a.test", a.imap), ("sam@a.test", a.imap), ("bob@b.test", b.imap),
                              ("pia@p.test", (dovecot.ip, dovecot.imap_port))):
            with wire.Imap(address, seconds=60) as imap:
                imap.login(user)
                for answer in imap.command(b"STATUS INBOX (MESSAGES)"):
                    if b"MESSAGES " in answer.line:
                        total += int(answer.line.rpartition(b"MESSAGES ")[2].split(b")")[0])
        return total

    def queues(self, a, b):
        return "\n".join(self.command(server, "queue", "list")[:2000] for server in (a, b))


if __name__ == "__main__":
    harness.unittest.main()
