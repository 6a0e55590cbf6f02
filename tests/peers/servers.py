"""Dovecot and Postfix run from the private root (root.py), each instance with its own folders.

    with Dovecot(ip) as dovecot: ...        # IMAP on ip:10143, LMTP on ip:10024, users any name
    with Postfix(ip, relay=(ip2, port)) ... # SMTP on ip:10025; relays or hands to Dovecot's LMTP

Both are set up as durable as Debian sets them up: Postfix syncs its queue files, Dovecot syncs before
it answers (mail_fsync's default).
"""

import itertools
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import time

import root as private_root

PASSWORD = "mailkeep"
_serial = itertools.count()


def children(pid):
    """All processes below pid, itself included."""
    parents = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                fields = pathlib.Path(f"/proc/{entry}/stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            parents.setdefault(int(fields[1]), []).append(int(entry))
    found, queue = [], [pid]
    while queue:
        current = queue.pop()
        found.append(current)
        queue += parents.get(current, [])
    return found


def wait_port(ip, port, seconds=15):
    end = time.monotonic() + seconds
    while True:
        try:
            socket.create_connection((ip, port), 1).close()
            return
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(0.05)


def make_certificate(path):
    """A self-signed certificate and key in one PEM file."""
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                    "-keyout", str(path) + ".key", "-out", str(path) + ".crt", "-days", "3", "-subj",
                    "/CN=localhost"], check=True, capture_output=True)
    both = pathlib.Path(str(path) + ".key").read_text() + pathlib.Path(str(path) + ".crt").read_text()
    pathlib.Path(path).write_text(both)


class Peer:
    """Folders and life of one instance. Subclasses write a configuration and start a master."""

    kind = "peer"

    def __init__(self, ip):
        self.ip = ip
        self.root = private_root.ensure()
        self.name = f"{self.kind}-{os.getpid()}-{next(_serial)}"
        self.pid = None

    def inside(self, *parts):
        """Path within the root, and the same path as seen from outside."""
        path = pathlib.Path("/", *parts)
        return str(path), self.root / str(path)[1:]

    def make_folder(self, *parts, mode=0o755, owner=None):
        inner, outer = self.inside(*parts)
        outer.mkdir(parents=True, exist_ok=True)
        outer.chmod(mode)
        if owner is not None:
            os.chown(outer, owner, owner)
        return inner, outer

    def chroot(self, *command, **options):
        return subprocess.run(["chroot", str(self.root), *command], stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, **options)

    def __enter__(self):
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_):
        self.stop()

    def _end(self, pids):
        for pid in pids:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass


DOVECOT = """
protocols = imap lmtp
listen = {ip}
base_dir = {run}
state_dir = {run}/state
instance_name = {name}
log_path = {log}
info_log_path = /dev/null
mail_location = {location}
mail_uid = 6105
mail_gid = 6105
first_valid_uid = 6105
namespace inbox {{
  inbox = yes
  separator = /
}}
ssl = yes
ssl_cert = <{pem}
ssl_key = <{pem}
disable_plaintext_auth = no
auth_mechanisms = plain login
auth_username_format = %Ln
login_trusted_networks = 127.0.0.0/8
postmaster_address = postmaster@localhost
hostname = localhost
passdb {{
  driver = static
  args = password={password}
}}
userdb {{
  driver = static
  args = uid=6105 gid=6105 home={mail}/%n allow_all_users=yes
}}
mail_max_userip_connections = 2000
default_client_limit = 4000
default_process_limit = 4000
service imap-login {{
  service_count = 0
  process_min_avail = 2
  process_limit = 10
  client_limit = 2000
  vsz_limit = 512M
  inet_listener imap {{
    port = 10143
  }}
  inet_listener imaps {{
    port = 10993
  }}
}}
service imap {{
  process_limit = 4000
  vsz_limit = 1G
}}
service lmtp {{
  process_min_avail = 10
  process_limit = 100
  inet_listener lmtp {{
    address = {ip}
    port = 10024
  }}
}}
service auth {{
  client_limit = 20000
}}
service anvil {{
  client_limit = 20000
}}
service stats {{
  client_limit = 20000
}}
{extra}
"""


class Dovecot(Peer):
    kind = "dovecot"

    def __init__(self, ip, storage="mdbox:~/mdbox", extra=""):
        super().__init__(ip)
        self.storage, self.extra = storage, extra
        self.imap_port, self.imaps_port, self.lmtp_port = 10143, 10993, 10024

    def start(self):
        run, _ = self.make_folder("run", self.name)
        etc, outer_etc = self.make_folder("etc", self.name)
        mail, self.mail_path = self.make_folder("mail", self.name, mode=0o700, owner=6105)
        log, self.log_path = self.inside("var/log", self.name + ".log")
        make_certificate(outer_etc / "cert.pem")
        (outer_etc / "dovecot.conf").write_text(DOVECOT.format(
            ip=self.ip, run=run, name=self.name, log=log, location=self.storage, pem=f"{etc}/cert.pem",
            password=PASSWORD, mail=mail, extra=self.extra))
        self.process = subprocess.Popen(
            ["chroot", str(self.root), "/usr/sbin/dovecot", "-F", "-c", f"{etc}/dovecot.conf"],
            stdin=subprocess.DEVNULL, start_new_session=True)
        self.pid = self.process.pid
        wait_port(self.ip, self.imap_port)
        wait_port(self.ip, self.lmtp_port)

    def log(self):
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def stop(self):
        process = getattr(self, "process", None)
        if process:
            tree = children(process.pid)
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                self._end(tree)
                process.wait()
        for parts in (("run",), ("etc",), ("mail",)):
            shutil.rmtree(self.inside(*parts, self.name)[1], ignore_errors=True)
        self.inside("var/log", self.name + ".log")[1].unlink(missing_ok=True)


MAIN_CF = """
compatibility_level = 3.6
queue_directory = {queue}
data_directory = {data}
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
shlib_directory = /usr/lib/postfix
meta_directory = /etc/postfix
mail_owner = postfix
setgid_group = postdrop
maillog_file = {log}
maillog_file_prefixes = /var/log
myhostname = peer.localhost
mydestination =
inet_interfaces = loopback-only
inet_protocols = ipv4

mynetworks = 127.0.0.0/8
smtpd_recipient_restrictions = permit_mynetworks, reject
smtpd_relay_restrictions = permit_mynetworks, reject
smtpd_peername_lookup = no
smtp_host_lookup = native
disable_dns_lookups = yes
local_header_rewrite_clients =
smtp_tls_security_level = {tls}
smtp_tls_loglevel = 1
message_size_limit = 104857600
mailbox_size_limit = 0
virtual_mailbox_limit = 0
default_process_limit = 100
default_destination_concurrency_limit = 20
smtpd_client_connection_count_limit = 0
smtpd_client_connection_rate_limit = 0
smtpd_client_message_rate_limit = 0
smtpd_error_sleep_time = 0
alias_maps =
alias_database =
local_recipient_maps =
minimal_backoff_time = 2s
maximal_backoff_time = 5s
queue_run_delay = 2s
{extra}
"""

# name type private unpriv chroot wakeup maxproc command
MASTER_CF = """
{ip}:10025 inet n - n - - smtpd
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
lmtp unix - - n - - lmtp
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
"""


class Postfix(Peer):
    """transport: "smtp:[127.0.0.9]:2525" or "lmtp:inet:127.0.0.9:10024"."""

    kind = "postfix"

    def __init__(self, ip, transport, tls="encrypt", extra="", certificate=None, services=""):
        super().__init__(ip)
        self.certificate, self.services = certificate, services  # lines for master.cf
        self.transport, self.tls, self.extra, self.port = transport, tls, extra, 10025

    def start(self):
        self.etc, outer_etc = self.make_folder("etc", self.name)
        queue, self.queue_path = self.make_folder("var/spool", self.name)
        data, _ = self.make_folder("var/lib", self.name, mode=0o700, owner=6101)
        log, self.log_path = self.inside("var/log", self.name + ".log")
        if self.certificate:
            shutil.copy(self.certificate, outer_etc / "cert.pem")
        extra = self.extra.replace("{etc}", self.etc) + f"\ndefault_transport = {self.transport}\n"
        (outer_etc / "main.cf").write_text(MAIN_CF.format(
            queue=queue, data=data, log=log, ip=self.ip, tls=self.tls, extra=extra))
        (outer_etc / "master.cf").write_text(MASTER_CF.format(ip=self.ip) + self.services)
        default = self.inside("etc/postfix/main.cf")[1]
        default.write_text("compatibility_level = 3.6\nsetgid_group = postdrop\n")
        started = self.chroot("/usr/sbin/postfix", "-c", self.etc, "start")
        if started.returncode != 0:
            raise private_root.Unavailable(f"postfix did not start: {started.stderr[-400:]} {self.log()[-400:]}")
        self.pid = int((self.queue_path / "pid" / "master.pid").read_text())
        wait_port(self.ip, self.port)

    def log(self):
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def queued(self):
        """How many messages are still in the queue."""
        return sum(len(files) for sub in ("incoming", "active", "deferred", "maildrop")
                   for _, _, files in os.walk(self.queue_path / sub))

    def stop(self):
        if self.pid:
            tree = children(self.pid)
            self.chroot("/usr/sbin/postfix", "-c", self.etc, "stop")
            self._end(set(tree) & set(children(self.pid)) if pathlib.Path(f"/proc/{self.pid}").exists() else [])
        for parts in (("etc",), ("var/spool",), ("var/lib",)):
            shutil.rmtree(self.inside(*parts, self.name)[1], ignore_errors=True)
        self.inside("var/log", self.name + ".log")[1].unlink(missing_ok=True)
