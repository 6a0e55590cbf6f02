"""Debian's Postfix on a host of the lab, from the private root: it delivers by DANE (RFC 7672).

    postfix = Postfix(host, certificate, "postfix.lab")
    postfix.send(message, "me@one.lab"), postfix.mail(), postfix.queue(), postfix.log(), postfix.finger("shop.lab")
"""

import json
import os
import smtplib

import network

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
    """Keeps what comes for its domain; the test, at the bridge, may send through it. settings, services: lines for
    main.cf and master.cf."""

    def __init__(self, host, certificate, domain, settings="", services=""):
        self.host, self.domain, self.folder = host, domain, host.folder / "postfix"
        for name, owner in (("", None), ("queue", None), ("state", USER), ("mail", MAIL_USER)):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
            if owner:
                os.chown(self.folder / name, owner, owner)
        (self.folder / "main.cf").write_text(MAIN_CF.format(
            folder=self.folder, domain=domain, ip4=host.ip4, ip6=host.ip6, key=certificate.key,
            certificate=certificate.certificate, settings=settings))
        (self.folder / "master.cf").write_text(MASTER_CF + services)
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
