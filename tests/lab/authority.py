"""The authoritative servers: knotd on several hosts, fed with signed zones.

    authority = Authority(network, ("root", "tld", "leaf"))
    authority.add(Zone("shop.example", ...));  authority.publish()
    authority["shop.example"].replace("mx", "TLSA", "_25._tcp.mx TLSA 3 1 1 ...");  authority.publish()

publish() signs what changed by kzonesign(8), spoils what is to be spoiled, carries keys to the parents and
waits until the servers have all of it. Keys stay the same but for add_key() and retire_key(): a rollover.
"""

import concurrent.futures
import itertools
import re
import subprocess
import time

import box
import zones
from dnsclient import ask
from harness import wait_for

FOLDER = box.FOLDER / "zones"
LONG_AGO = "20000101000000"  # keys are as old as any signature
SIGNERS = 3  # at the same time

SIGNER_HEAD = """
database:
    storage: "{folder}"
    kasp-db: keys
template:
  - id: default
    storage: "{folder}/plain"
    semantic-checks: off
policy:
"""
POLICY = """
  - id: {id}
    manual: on
    single-type-signing: on
    cds-cdnskey-publish: none
    algorithm: {algorithm}
    rrsig-lifetime: {days}d
    nsec3: {nsec3}
    nsec3-iterations: {iterations}
    nsec3-salt-length: {salt}
    nsec3-opt-out: {opt_out}
"""
SIGNED_ZONE = """
  - domain: "{zone}"
    file: "{file}"
    dnssec-signing: on
    dnssec-policy: {policy}
"""
SERVED_ZONE = """
  - domain: "{zone}"
    file: "{file}"
"""
SERVER_HEAD = """
server:
    rundir: "{run}"
    listen: ["{ip4}@53", "{ip6}@53"]
    user: root
    udp-workers: 1
    tcp-workers: 2
log:
  - target: stderr
    any: warning
database:
    storage: "{run}"
template:
  - id: default
    storage: "{folder}/signed"
    semantic-checks: off
    zonefile-sync: -1
    journal-content: none
zone:
"""


class Authority:
    def __init__(self, network, servers):
        self.network, self.servers = network, servers
        self.zones, self.published, self.keys, self.serial = {}, {}, {}, itertools.count(1)
        for folder in ("plain", "signed", "keys"):
            (FOLDER / folder).mkdir(parents=True, exist_ok=True)
        self.daemons = {}

    def add(self, *added):
        for zone in added:
            self.zones[zone.name] = zone

    def __getitem__(self, name):
        return self.zones[name.rstrip(".") + "."]

    def remove(self, name):
        zone = self.zones.pop(name.rstrip(".") + ".")
        self.published.pop(zone.name, None)

    def knot_of(self, zone):
        """Where the zone is loaded: some of the hosts that delegations name only pretend."""
        return zone.server if zone.server in self.servers else self.servers[-1]

    # --- text ---

    def parent_of(self, zone):
        above = [other for other in self.zones.values() if zone.below(other.name)]
        return max(above, key=lambda other: len(zones.labels_of(other.name)), default=None)

    def children_of(self, zone):
        return [child for child in self.zones.values() if child is not zone and self.parent_of(child) is zone]

    def _delegation(self, child):
        host = self.network.addresses[child.server]
        lines = [f"{child.name} NS ns.{child.name}", f"ns.{child.name} A {host.ip4}", f"ns.{child.name} AAAA {host.ip6}"]
        return lines + [f"{child.name} {child.ttl} DS {ds}" for ds in zones.ds_as_said(child, self.keys.get(child.name, []))]

    def text_of(self, zone):
        """But for the SOA, whose serial changes at every publication."""
        host = self.network.addresses[zone.server]
        name = "" if zone.name == "." else zone.name
        lines = [f"$ORIGIN {zone.name}", f"$TTL {zone.ttl}", f"@ NS ns.{name}", f"ns A {host.ip4}", f"ns AAAA {host.ip6}"]
        for child in self.children_of(zone):
            lines += self._delegation(child)
        return "\n".join(lines + [line.format(**self.network.addresses) for line in zone.lines]) + "\n"

    # --- signing ---

    def publish(self):
        """Signs and loads what changed. From the leaves up, since parents hold the hashes of the keys."""
        serial, changed = next(self.serial), []
        self._configure_signer()
        depths = sorted({len(zones.labels_of(name)) for name in self.zones}, reverse=True)
        with concurrent.futures.ThreadPoolExecutor(SIGNERS) as pool:
            for depth in depths:
                level = [zone for zone in self.zones.values() if len(zones.labels_of(zone.name)) == depth]
                changed += [zone for zone, done in zip(level, pool.map(self._sign, level, itertools.repeat(serial))) if done]
        self._load(changed, serial)

    def _sign(self, zone, serial):
        text = self.text_of(zone)
        if self.published.get(zone.name) == (text, zone.how()):
            return False
        plain, signed = _files(zone)
        plain.write_text(f"$ORIGIN {zone.name}\n@ {zone.ttl} SOA ns.invalid. hostmaster.invalid. {serial} 3600 600 86400 "
                         f"{zone.negative_ttl}\n{text}")
        if zone.is_signed():
            self._run_signer(zone, signed)
            records = whole = zones.parse(signed.read_text())
            for spoil in zone.spoil:
                records = spoil(records)
            self.keys[zone.name] = zones.keys_of(records) or zones.keys_of(whole)
            signed.write_text("".join(f"{record}\n" for record in records))
        else:
            signed.write_text(plain.read_text())
        self.published[zone.name] = (text, zone.how())
        return True

    def _run_signer(self, zone, signed):
        if zone.name not in self.keys:
            self._new_key(zone)
        _rooted("kzonesign", "-c", FOLDER / "signer.conf", "-o", signed.parent, "-t",
                int(time.time()) + zone.day * 86400, zone.name)

    def _new_key(self, zone):
        _rooted("keymgr", "-c", FOLDER / "signer.conf", zone.name, "generate", f"algorithm={zone.algorithm}", "ksk=yes",
                "zsk=yes", *(f"{state}={LONG_AGO}" for state in ("created", "publish", "ready", "active")))

    def add_key(self, zone):
        """From the next publication on it signs, too, and the parent vouches for both."""
        self._new_key(zone)
        self.published.pop(zone.name)

    def retire_key(self, zone):
        """The oldest key is gone from the next publication on."""
        listed = _rooted("keymgr", "-c", FOLDER / "signer.conf", zone.name, "list")
        _rooted("keymgr", "-c", FOLDER / "signer.conf", zone.name, "delete", listed.split()[0])
        self.published.pop(zone.name)

    def _configure_signer(self):
        signed = [zone for zone in self.zones.values() if zone.is_signed()]
        text = SIGNER_HEAD.format(folder=FOLDER)
        for identity, zone in {_policy(zone): zone for zone in signed}.items():
            text += POLICY.format(id=identity, algorithm=zone.algorithm, days=zones.SIGNATURE_DAYS, salt=zone.salt,
                                  nsec3="on" if zone.sign == "nsec3" else "off", iterations=zone.iterations,
                                  opt_out="on" if zone.opt_out else "off")
        text += "zone:\n" + "".join(
            SIGNED_ZONE.format(zone=zone.name, file=_files(zone)[0].name, policy=_policy(zone)) for zone in signed)
        (FOLDER / "signer.conf").write_text(text)

    # --- serving ---

    def _load(self, changed, serial):
        for name in self.servers:
            self._configure_server(name)
        for name in {self.knot_of(zone) for zone in changed} | (set(self.servers) - set(self.daemons)):
            if name in self.daemons:
                _rooted("knotc", "-c", FOLDER / f"{name}.conf", "reload")
            else:
                host = self.network.host(name)
                self.daemons[name] = host.start_rooted("knotd", "-c", FOLDER / f"{name}.conf")
        for zone in changed:
            host = self.network.host(self.knot_of(zone))
            if not wait_for(lambda: _serial(host, zone) == serial, 20, every=0.01):
                raise RuntimeError(f"{zone.name} was not loaded: {self.daemons[host.name].log()[-2000:]}")

    def _configure_server(self, name):
        host = self.network.host(name)
        run = host.folder / "knot"
        run.mkdir(exist_ok=True)
        text = SERVER_HEAD.format(run=run, ip4=host.ip4, ip6=host.ip6, folder=FOLDER)
        text += "".join(SERVED_ZONE.format(zone=zone.name, file=_files(zone)[1].name)
                        for zone in self.zones.values() if self.knot_of(zone) == name)
        (FOLDER / f"{name}.conf").write_text(text)

    # --- what resolvers begin with ---

    def anchor(self):
        """The root's key as a DS record."""
        return "".join(f". IN DS {zones.ds_of('.', key)}\n" for key in self.keys["."])

    def hints(self):
        host = self.network.addresses[self["."].server]
        return f". 3600000 NS ns.\nns. 3600000 A {host.ip4}\nns. 3600000 AAAA {host.ip6}\n"


def _files(zone):
    name = ("root" if zone.name == "." else zone.name.rstrip(".").replace("/", "_")) + ".zone"
    return FOLDER / "plain" / name, FOLDER / "signed" / name


def _policy(zone):
    return re.sub(r"\W", "", f"{zone.algorithm}{zone.sign}{zone.iterations}x{zone.salt}{zone.opt_out}")


def _serial(host, zone):
    try:
        answer = ask(host.ip4, zone.name, "SOA", seconds=0.5)
    except OSError:
        return None
    return answer.serial() if answer.rcode == "NOERROR" else None


def _rooted(*words):
    done = subprocess.run(["chroot", str(box.ROOT), *map(str, words)], capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(map(str, words))}: {done.stdout[-500:]}{done.stderr[-1500:]}")
    return done.stdout
