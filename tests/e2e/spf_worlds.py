"""Random worlds for SPF: zones full of records, good and bad, and senders in them. The same seed, the same worlds.

Each world has names and addresses of its own, so all fit into one DNS. What is left out on purpose: bytes
that no record may have (the unit tests have them), and addresses that any software treats as its own.
"""

import random

HOSTS, DOMAINS, ADDRESSES = 5, 6, 6
LOCALPARTS = ("u", "strong-bad", "a.b.c", "x+y", "user_1", "O'Neil", "a=b", "b--c")
QUALIFIERS = ("", "", "", "+", "-", "~", "?")
MACROS = ("%{i}", "%{ir}", "%{d}", "%{d2}", "%{dr}", "%{o}", "%{l}", "%{l1r-}", "%{lr-}", "%{h}", "%{v}", "%{s}", "%{p}",
          "%{D}", "%{L}", "%{d99}", "%{l+-_}", "%%", "%_", "%-")
BROKEN = ("%{x}", "%{d0}", "%{d", "%", "%(d)", "%{c}")
MISTAKES = ("moo", "all:x", "all.", "ip4:1.2.3", "ip4:1.2.3.4/33", "ip4:1.2.3.4/032", "ip6:1::2::3", "ip6:::1/129", "a/33",
            "a//129", "a:foo", "include", "include:", "exists", "redirect:x.test", "1up=x", "=x", "ptr/8", "a:1.2.3.4",
            "include:x.test/24", "-redirect=x.test", "a:x.y-", "mx:.", "a:", "exp=", "redirect=", "x=%", "ip4:1.2.3.4:25", "-",
            "--all", "ip4", "ip6:1.2.3.4", "a/24/64", "exp=-all")


class World:
    def __init__(self, number, seed):
        self.random = random.Random(seed * 100000 + number)
        self.zone = f"w{number}.test"
        self.v4 = [f"10.{number >> 8}.{number & 255}.{i + 1}" for i in range(ADDRESSES)]
        self.v6 = [f"2001:db8:{number:x}::{i + 1:x}" for i in range(ADDRESSES)]
        self.hosts = [f"h{i}.{self.zone}" for i in range(HOSTS)]
        self.domains = [f"d{i}.{self.zone}" for i in range(DOMAINS)]
        self.records = []
        self.exists = []  # domain-specs of exists, to give some of them an answer
        for host in self.hosts:
            self._host(host)
        for domain in self.domains:
            self._domain(domain)
        for ip in self.v4 + self.v6:
            self._pointers(ip)

    def chance(self, percent):
        return self.random.randrange(100) < percent

    def pick(self, choices):
        return self.random.choice(choices)

    def add(self, name, kind, data):
        if (name, kind, data) not in self.records and not any(
                n == name and (k == "CNAME" or kind == "CNAME" or (k == kind and d.startswith("!"))) for n, k, d in self.records):
            self.records.append((name, kind, data))

    def _host(self, host):
        if self.chance(8):
            return  # there is no such host
        if self.chance(8):
            self.add(host, "CNAME", host if self.chance(10) else self.pick(self.domains))
            return
        if self.chance(6):
            self.add(host, self.pick(("A", "AAAA")), "!servfail")
        for _ in range(self.random.randrange(3)):
            self.add(host, "A", self.pick(self.v4))
        for _ in range(self.random.randrange(3)):
            self.add(host, "AAAA", self.pick(self.v6))

    def _domain(self, domain):
        if self.chance(4) and ("CNAME", domain) not in {(kind, data) for _, kind, data in self.records}:
            self.add(domain, "TXT", "!servfail")  # which the server does not say through an alias
        elif not self.chance(5):
            for _ in range(2 if self.chance(3) else 1):
                self.add(domain, "TXT", quoted(self.record()))
        if self.chance(30):
            self.add(domain, "TXT", quoted(self.pick(("other text", "v=spf10 -all", "v=spf1-all"))))
        if self.chance(60):
            self.add(domain, "A", self.pick(self.v4))
        if self.chance(40):
            self.add(domain, "AAAA", self.pick(self.v6))
        for _ in range(self.pick((0, 1, 1, 2, 3, 11 if self.chance(10) else 2))):
            self.add(domain, "MX", f"{self.random.randrange(40)} {self.pick(self.hosts + self.domains)}")

    def _pointers(self, ip):
        import ipaddress
        name = ipaddress.ip_address(ip).reverse_pointer
        if self.chance(5):
            self.add(name, "PTR", "!servfail")
        for _ in range(self.pick((0, 1, 1, 2, 3))):
            self.add(name, "PTR", self.pick(self.hosts + self.domains))

    # --- records ---

    def record(self):
        terms = [self.term() for _ in range(self.pick((0, 1, 2, 2, 3, 3, 4, 5, 6, 12 if self.chance(30) else 4)))]
        if self.chance(6):
            terms.insert(self.random.randrange(len(terms) + 1), self.pick(MISTAKES))
        if self.chance(65):
            terms.append(self.pick(("-all", "~all", "?all", "all", "-ALL")))
        elif self.chance(50):
            terms.append(f"redirect={self.name(self.domains)}")
        if self.chance(12):
            terms.insert(self.random.randrange(len(terms) + 1), f"exp=e.{self.zone}")
        separator = "  " if self.chance(5) else " "
        return separator.join([self.pick(("v=spf1", "v=spf1", "V=SpF1")), *terms]) + (" " if self.chance(5) else "")

    def term(self):
        sign, kind = self.pick(QUALIFIERS), self.pick(("a", "a", "a:", "a:", "mx", "mx:", "ip4", "ip4", "ip6", "ip6", "include",
                                                       "include", "exists", "ptr", "ptr:", "x="))
        if self.chance(5):
            sign, kind = sign, kind.upper()
        word, lower = sign + kind.rstrip(":"), kind.lower()
        if lower == "x=":
            return self.pick(("x=y", "foo.bar-1_2=a:b/c", "default=pass", "x=%{d}", "x=%{c}"))
        if lower == "ip4":
            return f"{word}:{self.pick(self.v4)}{self.pick(('', '', '/32', '/31', '/29', '/24', '/0'))}"
        if lower == "ip6":
            return f"{word}:{self.pick(self.v6)}{self.pick(('', '', '/128', '/127', '/64', '/0'))}"
        if lower == "include":
            return f"{word}:{self.name(self.domains)}"
        if lower == "exists":
            return f"{word}:{self.macros()}"
        if lower in ("a:", "mx:", "ptr:"):
            word += ":" + self.name(self.hosts + self.domains)
        if lower.startswith("ptr"):
            return word
        return word + self.pick(("", "", "", "/31", "/29", "//127", "//64", "/29//126", "/0", "//0"))

    def name(self, names):
        if self.chance(6):
            return self.macros()
        if self.chance(4):
            return self.pick((f"nothing.{self.zone}", f"a..{self.zone}", f"{'x' * 64}.{self.zone}", self.pick(names) + ".",
                              self.pick(names).upper()))
        return self.pick(names)

    def macros(self):
        text = ".".join(self.pick(MACROS) for _ in range(self.random.randrange(1, 4)))
        if self.chance(4):
            text += self.pick(BROKEN)
        text += self.pick((f".x.{self.zone}", f".{self.zone}", ""))
        return text

    # --- senders ---

    def sender(self):
        """(ip, helo, mailfrom)"""
        ip = self.pick(self.v4 * 2 + self.v6)
        helo = self.pick((*self.hosts, *self.domains, "helo.other.test", "single", "[10.9.8.7]"))
        domain = self.pick(self.domains)
        if self.chance(8):
            return ip, helo, ""
        if self.chance(4):
            domain = self.pick((f"nothing.{self.zone}", "single", f"a..{self.zone}", "[10.1.2.3]", f"{'y' * 64}.{self.zone}"))
        return ip, helo, f"{self.pick(LOCALPARTS)}@{domain}"


def quoted(text):
    return " ".join(f'"{text[at:at + 200]}"' for at in range(0, len(text), 200))


def table(worlds):
    """For dns_server.py. The worlds are not signed: that would cost more than all the rest."""
    lines = ["insecure test", "insecure in-addr.arpa", "insecure ip6.arpa"]
    lines += [f"{name} {kind} {data}" for world in worlds for name, kind, data in world.records]
    return "\n".join(lines)
