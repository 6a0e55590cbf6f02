"""Mail servers on hosts of the lab: mailkeep as it is run in earnest, and Postfix that does DANE.

    one = Mailkeep(host, certificate, domains="...")        one.send(...), one.mail("me@one.lab"), one.lookup(...)
    postfix = Postfix(host, certificate, domain)            postfix.send(...), postfix.mail("pia"), postfix.queue()
"""

import json
import os
import pathlib
import smtplib
import ssl
import time

import box
import network
import wire
from harness import PASSWORD, PROGRAM, wait_for

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


def unverified():
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


class Mailkeep:
    """`mailkeep serve`, begun as root: every room in its sandbox, with the user and groups of an installation.

    The account `me` has every address of the domain and the password `mailkeep`. `resolver` and `settings`
    are YAML for mailkeep.yaml; {folder} in them is the host's folder.
    """

    def __init__(self, host, certificate, domain, resolver=RECURSIVE, settings="", domains=DOMAINS):
        self.host, self.domain, self.config = host, domain, host.folder / "config"
        self.config.mkdir()
        (host.folder / "data").mkdir()
        (self.config / "mailkeep.yaml").write_text(SERVER.format(
            name=f"mx.{domain}", folder=host.folder, ip4=host.ip4, ip6=host.ip6, certificate=certificate.certificate,
            key=certificate.key, resolver=resolver.replace("{folder}", str(host.folder)), settings=settings.replace("{folder}", str(host.folder))))
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
        done = self.host.run(PROGRAM, *words, "--config", self.config, text=text)
        if check and done.returncode != 0:
            raise RuntimeError(f"mailkeep {' '.join(map(str, words))}: {done.stdout}{done.stderr}")
        return done.stdout

    def lookup(self, kind, name, *options):
        """What its resolver's room says, as `mailkeep dns lookup --json` has it."""
        return json.loads(self.command("dns", "lookup", kind, name, "--running", "--json", *options, check=False))

    def forget_names(self):
        """The resolver's room ends; the next has an empty cache."""
        old = self.room("resolver")
        self.host.run("kill", "-9", *map(str, old))
        if not wait_for(lambda: set(self.room("resolver")) - set(old)):
            raise RuntimeError(f"the resolver did not come back: {self.service.log()[-2000:]}")

    def room(self, name):
        """Process numbers of a room."""
        found = []
        for entry in pathlib.Path("/proc").iterdir():
            if entry.name.isdigit():
                try:
                    comm, namespace = (entry / "comm").read_text().strip(), (entry / "cmdline").read_bytes()
                except OSError:
                    continue
                if (comm == f"mailkeep-{name}"[:15] or name.encode() in namespace) and self._is_ours(int(entry.name)):
                    found.append(int(entry.name))
        return found

    def _is_ours(self, pid):
        while pid > 1:
            if pid == self.service.process.pid:
                return True
            try:
                pid = int(pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
            except OSError:
                return False
        return False

    def send(self, message, *recipients, sender=None):
        """Submits it as the user `me`."""
        sender = sender or f"me@{self.domain}"
        with smtplib.SMTP_SSL(self.host.ip4, 465, context=unverified(), timeout=30) as client:
            client.login(f"me@{self.domain}", PASSWORD)
            client.sendmail(sender, list(recipients), message)

    def mail(self):
        """All messages of `me`, as they are stored."""
        with wire.Imap((self.host.ip4, 993), tls=True) as client:
            client.login(f"me@{self.domain}")
            return list(client.bodies().values())

    def queue(self, retired=False):
        words = ("queue", "retired", "list") if retired else ("queue", "list")
        return json.loads(self.command(*words, "--json"))["entries"]

    def history(self, entry, retired=True):
        words = ("queue", "retired", "show") if retired else ("queue", "show")
        return json.loads(self.command(*words, entry["id"], "--json"))["entry"]["history"]

    def log(self):
        return self.service.log()


MAIN_CF = """
compatibility_level = 3.6
queue_directory = {folder}/queue
data_directory = {folder}/state
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
shlib_directory = /usr/lib/postfix
meta_directory = /etc/postfix
mail_owner = postfix
setgid_group = postdrop
maillog_file = {folder}/mail.log
maillog_file_prefixes = {folder}
myhostname = mx.{domain}
mydestination =
inet_interfaces = {ip4}, {ip6}
virtual_mailbox_domains = {domain}
virtual_mailbox_base = {folder}/mail
virtual_mailbox_maps = static:all/
virtual_uid_maps = static:6105
virtual_gid_maps = static:6105
virtual_minimum_uid = 100
mynetworks = 192.0.2.254/32, [2001:db8::fe]/128
smtpd_relay_restrictions = permit_mynetworks, reject_unauth_destination
smtpd_tls_security_level = may
smtpd_tls_chain_files = {key}, {certificate}
smtp_dns_support_level = dnssec
smtp_tls_security_level = dane
smtp_tls_loglevel = 1
smtp_address_preference = any
alias_maps =
alias_database =
local_recipient_maps =
minimal_backoff_time = 2s
maximal_backoff_time = 5s
queue_run_delay = 2s
{settings}
"""
# name type private unpriv chroot wakeup maxproc command
MASTER_CF = """
smtp inet n - n - - smtpd
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
proxywrite unix - - n - 1 proxymap
smtp unix - - n - - smtp
relay unix - - n - - smtp
showq unix n - n - - showq
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
virtual unix - n n - - virtual
lmtp unix - - n - - lmtp
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
"""
USER, MAIL_USER = 6101, 6105  # of the private root


class Postfix:
    """Debian's, from the private root. Delivers by DANE where it may, and keeps what comes for its domain.

    The test, at the bridge, may send through it.
    """

    def __init__(self, host, certificate, domain, settings=""):
        self.host, self.domain, self.folder = host, domain, host.folder / "postfix"
        for name, owner in (("", None), ("queue", None), ("state", USER), ("mail", MAIL_USER)):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
            if owner:
                os.chown(self.folder / name, owner, owner)
        (self.folder / "main.cf").write_text(MAIN_CF.format(
            folder=self.folder, domain=domain, ip4=host.ip4, ip6=host.ip6, key=certificate.key,
            certificate=certificate.certificate, settings=settings))
        (self.folder / "master.cf").write_text(MASTER_CF)
        self.service = host.start_rooted("/usr/sbin/postfix", "-c", self.folder, "start-fg", name="postfix")
        network.wait_port(host.ip4, 25)

    def command(self, *words):
        """In its root, with its configuration."""
        return self.host.run_rooted("/usr/bin/env", f"MAIL_CONFIG={self.folder}", *words)

    def reload(self):
        """After changes of the DNS: smtp(8) remembers TLSA records by itself."""
        return self.command("/usr/sbin/postfix", "reload")

    def send(self, message, *recipients, sender=None):
        with smtplib.SMTP(self.host.ip4, 25, timeout=30) as client:
            client.sendmail(sender or f"pia@{self.domain}", list(recipients), message)

    def mail(self):
        """What was delivered here."""
        return [path.read_bytes().replace(b"\n", b"\r\n") for path in sorted((self.folder / "mail").glob("all/new/*"))]

    def queue(self):
        done = self.command("/usr/sbin/postqueue", "-j")
        return [json.loads(line) for line in done.stdout.splitlines()]

    def finger(self, domain, *options):
        """How Postfix's TLS client sees the servers of a domain: posttls-finger(1)'s words."""
        done = self.command("/usr/sbin/posttls-finger", "-c", "-l", "dane", "-L", "summary", *options, domain)
        return done.stdout + done.stderr

    def log(self):
        path = self.folder / "mail.log"
        return self.service.log() + (path.read_text(errors="replace") if path.exists() else "")
