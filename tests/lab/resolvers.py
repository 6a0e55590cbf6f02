"""Resolvers: unbound as a server, BIND's delv, and mailkeep's own by its command line."""

import shutil

import network

UNBOUND = """
server:
  chroot: "" username: "" directory: "{folder}" pidfile: "" use-syslog: no logfile: "" verbosity: 1
  interface: {ip4}  interface: {ip6}  interface: 127.0.0.1
  access-control: 0.0.0.0/0 allow  access-control: ::/0 allow
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
    """root.hints and root.anchor into the host's folder, for whoever resolves there."""
    (host.folder / "root.hints").write_text(authority.hints())
    (host.folder / "root.anchor").write_text(authority.anchor())


class Unbound:
    """Validates, from the root on, and says why not (Extended DNS Errors). Also at its host's 127.0.0.1."""

    def __init__(self, host, authority, extra=""):
        self.host, self.config = host, host.folder / "unbound.conf"
        write_beginnings(host, authority)
        self.config.write_text(UNBOUND.format(folder=host.folder, ip4=host.ip4, ip6=host.ip6) + extra)
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
    tag, algorithm, digest_type, digest = (host.folder / "root.anchor").read_text().split()[3:7]
    key = host.folder / "delv.key"
    key.write_text(f'trust-anchors {{ . static-ds {tag} {algorithm} {digest_type} "{digest}"; }};\n')
    done = host.run("delv", "-a", key, "+root=.", f"@{server}", kind, name)
    said = done.stdout + done.stderr
    if "unsigned answer" in said:
        return "insecure"
    return "secure" if "fully validated" in said else "failed"
