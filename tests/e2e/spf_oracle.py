#!/usr/bin/python3
"""What another implementation of SPF says: pyspf (Debian's python3-spf), on the same zone data.

Standard input: {"records": [[name, type, data], ...], "cases": [[ip, helo, mailfrom, result], ...]}, data as
in dns_server.py, result what mailkeep said. Standard output, for each case: {"result", "text", "reasons"}:
pyspf's own result, and the fewest of its peculiarities (below) that have to be taken out of it until it says
the same as mailkeep; none when it does so at once, null when nothing helps.

Peculiarities, and what taking one out means:
    void       each lookup without an answer counts, not each term              no limit on them
    lookups    a redirect that is not followed counts, too                      no limit on lookups
    mx         all hosts of an mx are looked up before any is compared          one after the other
    ptr        errors of the DNS in ptr and %{p} end the check                  such names are passed over
    p          %{p} does not count as a lookup                                  it does
    percent    %% is refused before other characters than some                  it is not
    modifiers  %{c} in unknown modifiers, and these twice, are errors           unknown modifiers are left out
    self       a record that includes itself is an error even if it matches     the include goes round about
               before
    macros     %{d without an end and %{d0} are taken                           they are errors
    labels     of too long a name one label is cut off                          labels, until it fits
    circle     aliases (CNAME) in a circle are no records                       a failure of the DNS
"""

import ipaddress
import itertools
import json
import re
import sys

try:
    import spf
except ImportError:
    sys.exit(77)

PECULIARITIES = ("void", "lookups", "mx", "ptr", "p", "percent", "modifiers", "self", "macros", "labels", "circle")
REWRITTEN = {"modifiers", "macros"}
AT_ONCE = 4
AS_IT_COMES = spf.RE_INVALID_MACRO
MENDED = re.compile(r"^(?:[^%]|%[{%_-])*%(?![{%_-])")
NO_MACRO = re.compile(r"%\{(?!(?i:[slodiphcrtv])(?!0+[^1-9])[0-9]*[rR]?[-.+,/_=]*\})")
UNKNOWN_MODIFIER = re.compile(r"(?<= )(?!redirect=|exp=)[A-Za-z][A-Za-z0-9._-]*=\S*")


def rewrite(text, out):
    if not text.lower().startswith("v=spf1"):
        return text
    if "macros" in out:
        text = NO_MACRO.sub("%(", text)
    return UNKNOWN_MODIFIER.sub("", text) if "modifiers" in out else text


class Zone:
    """The records, with what some peculiarities stumble over written in another way."""

    def __init__(self, records, out):
        self.answers = {}
        for name, kind, data in records:
            name = name.lower()
            if data.startswith("!"):
                self.add(name, kind, None)
            elif kind == "AAAA":
                self.add(name, kind, ipaddress.ip_address(data).packed)
            elif kind == "MX":
                self.add(name, kind, (int(data.split()[0]), data.split()[1]))
            elif kind == "TXT":
                text = "".join(data.split('"')[1::2])
                self.add(name, kind, (rewrite(text, out).encode(),))
                if text.lower().startswith("v=spf1"):
                    self.answers.setdefault(f"round.{name}", [("TXT", (f"v=spf1 redirect={name}".encode(),))])
            else:
                self.add(name, kind, data)

    def add(self, name, kind, data):
        self.answers.setdefault(name, []).append((kind, data))

    def is_circle(self, name):
        seen = set()
        while name not in seen:
            seen.add(name)
            name = next((data.lower() for kind, data in self.answers.get(name, []) if kind == "CNAME"), None)
        return name is not None

    def look_up(self, name, kind, strict=True, timeout=None):
        if "circle" in Query.out and self.is_circle(name.lower().rstrip(".")):
            raise spf.TempError("aliases in a circle")
        for known, data in self.answers.get(name.lower().rstrip("."), []):
            if data is None and known in (kind, "*"):
                raise spf.TempError("server failure")
            if data is not None and known in (kind, "CNAME"):
                yield (name, known), data


class Query(spf.query):
    """pyspf with some of its ways taken out."""
    out = frozenset()
    is_include = False

    def dns(self, name, qtype, cnames=None, ignore_void=False):
        return super().dns(name, qtype, cnames, ignore_void or "void" in self.out)

    def dns_mx(self, domainname):
        if "mx" not in self.out:
            return super().dns_mx(domainname)
        hosts = self.dns(domainname, "MX")
        if len(hosts) > spf.MAX_MX:
            raise spf.PermError("More than 10 MX records returned")
        return (address for _, host in sorted(hosts) for address in self.dns_a(host, self.A))

    def cidrmatch(self, ipaddrs, n):
        if "mx" not in self.out:
            return super().cidrmatch(ipaddrs, n)
        return any(super(Query, self).cidrmatch([address], n) for address in ipaddrs)

    def getp(self):
        if not self.p and "p" in self.out:
            self.check_lookups()
        return super().getp()

    def expand(self, text, stripdot=True):
        expanded = super().expand(text, stripdot)
        while "labels" in self.out and stripdot and len(expanded) > 253 and "." in expanded:
            expanded = expanded.partition(".")[2]
        return expanded

    def validate_mechanism(self, mech):
        self.is_include = mech.lstrip("+-~?").lower().startswith("include:")
        return super().validate_mechanism(mech)

    def expand_domain(self, arg):
        name = super().expand_domain(arg)
        return f"round.{name}" if "self" in self.out and self.is_include and name == self.d else name

    def validated_ptrs(self):
        if "ptr" not in self.out:
            return super().validated_ptrs()
        try:
            names = self.dns_ptr(self.i)[:spf.MAX_PTR]
        except spf.TempError:
            return []
        return [name for name in names if self._points_back(name)]

    def _points_back(self, name):
        try:
            return self.cidrmatch(self.dns_a(name, self.A), self.cidrmax)
        except spf.TempError:
            return False


def ask(zones, out, ip, helo, mailfrom):
    spf.DNSLookup = zones[frozenset(out) & REWRITTEN].look_up
    spf.MAX_LOOKUP = 10000 if "lookups" in out else 10
    spf.RE_INVALID_MACRO = MENDED if "percent" in out else AS_IT_COMES
    Query.out = out
    query = Query(i=ip, s=mailfrom, h=helo, strict=True)
    query.set_default_explanation("")
    try:
        result, _, text = query.check()
    except Exception as error:  # its own bugs are a result, too
        return "crash", repr(error)
    return result, text


def judge(zones, ip, helo, mailfrom, ours):
    result, text = ask(zones, (), ip, helo, mailfrom)
    for n in range(AT_ONCE + 1):
        for out in itertools.combinations(PECULIARITIES, n):
            if ask(zones, out, ip, helo, mailfrom)[0] == ours:
                return {"result": result, "text": text, "reasons": out}
    return {"result": result, "text": text, "reasons": None}


def main():
    document = json.load(sys.stdin)
    zones = {frozenset(out): Zone(document["records"], out)
             for n in range(len(REWRITTEN) + 1) for out in itertools.combinations(REWRITTEN, n)}
    json.dump([judge(zones, *case) for case in document["cases"]], sys.stdout)


if __name__ == "__main__":
    main()
