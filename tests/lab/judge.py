"""What Debian's OpenDKIM, OpenDMARC and policyd-spf make of mail, and OpenDKIM as one who signs.

    signer = OpenDkim(host, port, sign={"shop.lab": "o"}, key=pem)         # a milter at signer.address
    judge = Judge(lab);  judge.results(message)                            # {"spf": ..., "dkim": [...], "dmarc": ...}
"""

import re

import network

DKIM = """
Socket inet:{port}@127.0.0.1
Mode {mode}
Syslog no
RequireSafeKeys no
AuthservID {name}
AlwaysAddARHeader yes
Canonicalization relaxed/relaxed
TrustAnchorFile {folder}/root.anchor
Nameservers {resolver}
{settings}
"""
DMARC = """
Socket inet:{port}@127.0.0.1
Syslog false
AuthservID {name}
TrustedAuthservIDs {name}
RejectFailures false
PublicSuffixList {folder}/suffixes
"""
SPF = """
debugLevel = 0
HELO_reject = False
Mail_From_reject = False
PermError_reject = False
TempError_Defer = False
"""
POLICY = "policyd-spf unix - n n - 0 spawn user=nobody argv=/usr/bin/policyd-spf {folder}/policyd-spf.conf\n"
MILTERS = """
smtpd_recipient_restrictions = check_policy_service unix:private/policyd-spf
smtpd_milters = inet:127.0.0.1:8891, inet:127.0.0.1:8893
milter_default_action = tempfail
"""


class OpenDkim:
    def __init__(self, host, port, resolver, mode="v", settings=""):
        self.address = f"inet:127.0.0.1:{port}"
        path = host.folder / f"opendkim-{port}.conf"
        path.write_text(DKIM.format(port=port, mode=mode, name=f"mx.{host.name}.lab", folder=host.folder,
                                    resolver=resolver.ip4, settings=settings))
        self.service = host.start_rooted("/usr/sbin/opendkim", "-f", "-x", path, name=f"opendkim-{port}")


def signer(host, port, resolver, domains, selector, key, algorithm):
    """Signs what comes from authors of these domains by way of the bridge."""
    folder = host.folder / f"signer-{port}"
    folder.mkdir()
    (folder / "key").write_text(key)
    (folder / "keys").write_text("".join(f"{name} {name}:{selector}:{folder}/key\n" for name in domains))
    (folder / "authors").write_text("".join(f"*@{name} {name}\n" for name in domains))
    (folder / "hosts").write_text("192.0.2.254\n")
    return OpenDkim(host, port, resolver, "s", f"KeyTable file:{folder}/keys\nSigningTable refile:{folder}/authors\n"
                    f"InternalHosts file:{folder}/hosts\nSignatureAlgorithm {algorithm}\nOversignHeaders From")


class Judge:
    """A Postfix that has all checked and turns nothing away."""

    def __init__(self, lab):
        host, resolver = lab.host("judge"), lab.network.addresses["resolver"]
        OpenDkim(host, 8891, resolver)
        (host.folder / "suffixes").write_text("lab\nexample\n")
        (host.folder / "opendmarc.conf").write_text(DMARC.format(port=8893, name="mx.judge.lab", folder=host.folder))
        host.start_rooted("/usr/sbin/opendmarc", "-f", "-c", host.folder / "opendmarc.conf", name="opendmarc")
        (host.folder / "policyd-spf.conf").write_text(SPF)
        self.postfix = lab.postfix(MILTERS, POLICY.format(folder=host.folder), name="judge")

    @staticmethod
    def results(message):
        header = message.split(b"\r\n\r\n", 1)[0].decode(errors="replace")
        own = [re.sub(r"\s+", " ", field) for field in re.split(r"\r\n(?![ \t])", header)
               if re.match(r"(?i)Authentication-Results: mx\.judge\.lab|Received-SPF: ", field)]
        found = {"spf": None, "dkim": [], "dmarc": None}
        for field in own:
            if field.startswith("Received-SPF"):
                found["spf"] = field.split()[1].lower()
            for method, result in re.findall(r"; (dkim|dmarc)=(\w+)", field):
                if method == "dkim":
                    found["dkim"].append(result)
                else:
                    found["dmarc"] = result
        return found
