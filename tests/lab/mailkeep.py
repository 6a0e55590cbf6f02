"""`mailkeep serve` on a host of the lab, as it is run in earnest.

    one = Mailkeep(host, certificate, "one.lab")
    one.send(message, "you@shop.lab"), one.mail(), one.queue(), one.history(entry), one.lookup("MX", "shop.lab")
"""

import json
import os
import signal
import smtplib
import ssl

import network
import wire
from harness import PASSWORD, PROGRAM, peers, wait_for

SERVER = """
hostname: {name}
data_directory: {folder}/data
user: mailkeep
listeners:
  public:
    addresses: ["{ip4}", "{ip6}"]
    tls: {{certificate: {certificate}, key: {key}}}
    smtp: {{}}
    submissions: {{}}
    imaps: {{}}
resolver: {resolver}
{settings}
"""
DOMAINS = """
domains: {{{domain}: {{}}}}
accounts:
  me: {{addresses: ["me@{domain}", "@{domain}"]}}
"""
RECURSIVE = "{hints: {folder}/root.hints, anchor: {folder}/root.anchor, timeout: 10s}"


class Mailkeep:
    """`mailkeep serve`, begun as root: every room in its sandbox, with the user and groups of an installation.

    The account `me` has every address of the domain and the password `mailkeep`. `resolver` and `settings`
    are YAML for mailkeep.yaml; {folder} in them is the host's folder.
    """

    def __init__(self, host, certificate, domain, resolver=RECURSIVE, settings="", domains=DOMAINS):
        self.host, self.domain, self.config = host, domain, host.folder / "config"
        self.config.mkdir()
        (host.folder / "data").mkdir()
        resolver, settings = (text.replace("{folder}", str(host.folder)) for text in (resolver, settings))
        (self.config / "mailkeep.yaml").write_text(SERVER.format(
            name=f"mx.{domain}", folder=host.folder, ip4=host.ip4, ip6=host.ip6, certificate=certificate.certificate,
            key=certificate.key, resolver=resolver, settings=settings))
        (self.config / "domains.yaml").write_text(domains.format(domain=domain))
        self.start()
        self.command("account", "password", "me", text=PASSWORD + "\n")

    def start(self):
        self.service = self.host.start(PROGRAM, "serve", "--config", self.config, name="mailkeep")
        for port in (25, 465, 993):
            network.wait_port(self.host.ip4, port)
        return self

    def stop(self):
        return self.service.stop()

    def reconfigure(self, old, new):
        """Other words in mailkeep.yaml, which the running server reads."""
        path = self.config / "mailkeep.yaml"
        path.write_text(path.read_text().replace(old, new))
        self.command("config", "reload")

    def command(self, *words, text="", check=True):
        """What a command of the administrator prints."""
        done = self.host.run(PROGRAM, *words, "--config", self.config, text=text)
        if check and done.returncode != 0:
            raise RuntimeError(f"mailkeep {' '.join(map(str, words))}: {done.stdout}{done.stderr}")
        return done.stdout

    def lookup(self, kind, name, *options):
        """What its resolver's room says, as `mailkeep dns lookup --json` has it."""
        return json.loads(self.command("dns", "lookup", kind, name, "--running", "--json", *options, check=False))

    def forget_names(self):
        """The resolver's room ends; the next has an empty cache."""
        old, = self.room("resolver")
        os.kill(old, signal.SIGKILL)
        if not wait_for(lambda: self.room("resolver") not in ([], [old])):
            raise RuntimeError(f"the resolver did not come back: {self.service.log()[-2000:]}")

    def room(self, name):
        """Process numbers of those that run a room's program."""
        return [pid for pid in peers.children(self.service.process.pid) if _program_of(pid) == name]

    def send(self, message, *recipients, sender=None):
        """Submits it as the user `me`."""
        sender = sender or f"me@{self.domain}"
        with smtplib.SMTP_SSL(self.host.ip4, 465, context=unverified(), timeout=30) as client:
            client.login(f"me@{self.domain}", PASSWORD)
            client.sendmail(sender, list(recipients), message)

    def mail(self, mailbox="INBOX"):
        """All messages of `me` in a mailbox, as they are stored."""
        with wire.Imap((self.host.ip4, 993), tls=True) as client:
            client.login(f"me@{self.domain}")
            return list(client.bodies(mailbox=mailbox.encode()).values())

    def queue(self, retired=False):
        """What waits, or what was delivered or given up, as `mailkeep queue list --json` has it."""
        words = ("queue", "retired", "list") if retired else ("queue", "list")
        return json.loads(self.command(*words, "--json"))["entries"]

    def history(self, entry, retired=True):
        """The attempts of an entry of queue()."""
        words = ("queue", "retired", "show") if retired else ("queue", "show")
        return json.loads(self.command(*words, entry["id"], "--json"))["entry"]["history"]

    def log(self):
        return self.service.log()


def unverified():
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def _program_of(pid):
    try:
        return os.path.basename(os.readlink(f"/proc/{pid}/exe"))
    except OSError:
        return None  # ended meanwhile
