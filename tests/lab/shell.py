#!/usr/bin/env python3
"""A shell in the lab with everything running: `make lab`."""

import pathlib
import subprocess
import sys

sys.path[:0] = [str(pathlib.Path(__file__).resolve().parent)]

import box  # noqa: E402

TEXT = """
You are at the bridge of a small internet. Names are resolved here as everywhere in it; leave by `exit`, and
all of it is gone. Hosts ({folder}/NAME has what each keeps):

{hosts}

    on NAME COMMAND                runs a command on a host, `on NAME` a shell
    delv -a {folder}/client/delv.key +root=. www.secure.example      # or www.wrongds.example
    on client $MAILKEEP dns lookup A www.expired.example --hints {folder}/client/root.hints --anchor {folder}/client/root.anchor
    on one $MAILKEEP dns lookup TLSA _25._tcp.mx.dane-ee-key.lab --running --config {folder}/one/config
    swaks --server 192.0.2.31 --from pia@postfix.lab --to me@one.lab       # Postfix sends it on to mailkeep
    curl -k -u me@one.lab:mailkeep 'imaps://192.0.2.21/INBOX;MAILINDEX=1'
    swaks --server 192.0.2.21 --tls-on-connect -au me@one.lab -ap mailkeep --from me@one.lab --to pia@postfix.lab
    on one $MAILKEEP queue retired list --config {folder}/one/config
    curl https://mta-sts.one.lab/.well-known/mta-sts.txt
    rooted postfix posttls-finger -c -l dane wrong-digest.lab              # a program of the private root
    ip link set dev two down                                               # pulls a cable
    tail -f {folder}/one/mailkeep.log

Domains of `example.` show the DNS in every state (tests/lab/world.py), those of `lab.` mail and DANE
(tests/lab/dane_cases.py).
"""
WHAT = {
    "root": "root servers", "tld": "example., lab., reverse zones", "leaf": "all other domains", "liar": "a DNS server that misbehaves",
    "resolver": "unbound, validating", "client": "nothing; commands are run there", "silent": "hears no DNS question",
    "one": "mailkeep, me@one.lab, password mailkeep", "two": "mailkeep, me@two.lab", "postfix": "Postfix with DANE, postfix.lab",
    "sink": "SMTP servers of the DANE cases", "web": "MTA-STS policies", "socks": "microsocks :1080, dante :1081",
}
BASHRC = """
PS1='lab:\\w# '
export MAILKEEP={mailkeep} MAIL_CONFIG={folder}/postfix/postfix
on() {{ local host=$1; shift; ip netns exec "$host" "${{@:-bash}}"; }}
rooted() {{ on "$1" sh -c 'mount --bind /etc/resolv.conf {root}/etc/resolv.conf; shift; exec chroot {root} "$@"' sh "$@"; }}
"""


def main():
    why = box.enter()
    if why:
        raise SystemExit(why)
    import dane_cases
    import harness
    import lab
    import web
    import world

    one = lab.Lab(world.dns_zones())
    _, cases = dane_cases.make(one)
    one.authority.add(*cases)
    one.authority.publish()
    for name in ("one", "two"):
        one.mailkeep(name)
        one.web().serve(f"{name}.lab", web.Policy(web.policy("enforce", f"mx.{name}.lab")))
    one.postfix(), one.socks()
    address = one.network.addresses["resolver"].ip4
    box.write_resolv_conf(pathlib.Path("/etc/resolv.conf"), f"nameserver {address}\noptions edns0 trust-ad\n")
    hosts = "\n".join(f"    {name:10}{one.host(name).ip4:14}{one.host(name).ip6:16}{what}" for name, what in WHAT.items())
    print(TEXT.format(folder=box.FOLDER, hosts=hosts))
    rc = box.FOLDER / "bashrc"
    rc.write_text(BASHRC.format(mailkeep=harness.PROGRAM, root=box.ROOT, folder=box.FOLDER))
    subprocess.run(["bash", "--rcfile", str(rc), "-i"])


if __name__ == "__main__":
    main()
