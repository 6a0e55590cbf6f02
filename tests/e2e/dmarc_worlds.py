"""Random DMARC records, messages and DNS for comparisons, and the tree walk written down a second time.

evaluate_by_walk() follows the text of RFC 9989 (sections 4.10, 4.10.1, 4.10.2, 5.3) sentence by sentence with
whole walks each time and no short cuts, other than src/mailauth/dmarc_walk.c.
"""

import random
import re

TREES = [
    "com example a b c d e f g h i j".split(),
    "example bank giant mail x".split(),
    "uk co shop www".split(),
    "io github someone pages".split(),
]
POLICIES = ["none", "quarantine", "reject"]


def domain(rng, deep=False):
    tree = rng.choice(TREES)
    depth = rng.randint(1, len(tree) if deep else min(len(tree), 5))
    labels = list(reversed(tree[:depth]))
    if rng.random() < 0.3:
        labels.insert(0, rng.choice(["news", "m", "x1"]))
    return ".".join(labels)


def record(rng, plain):
    """A record, most of them sound. plain: nothing but p, sp and rua."""
    tags = [f"p={rng.choice(POLICIES)}"] if plain or rng.random() < 0.95 else []
    if rng.random() < 0.4:
        tags.append(f"sp={rng.choice(POLICIES)}")
    if rng.random() < 0.3:
        tags.append("rua=mailto:reports@example.com")
    if not plain:
        chances = [(0.2, f"np={rng.choice(POLICIES)}"), (0.25, f"psd={rng.choice('ynu')}"), (0.1, f"t={rng.choice('yn')}"),
                   (0.2, "adkim=s"), (0.2, "aspf=s"), (0.1, rng.choice(["x=y", "pct=50", "fo=1:d", "ri=3600"])),
                   (0.05, rng.choice(["p=bogus", "sp=bogus", "np=bogus", "psd=bogus", "adkim=bogus", "rubbish", "fo=9"]))]
        tags += [tag for chance, tag in chances if rng.random() < chance]
    return "; ".join(["v=DMARC1", *tags]) + rng.choice(["", ";", " ; "])


class World:
    """Facts for one message: records by domain (several, other ones, failures), names that exist. plain: records that
    RFC 7489 and every program understand alike, short names, no failures."""

    def __init__(self, seed, plain=False):
        rng = random.Random(seed)
        self.txt, self.hosts = {}, set()
        self.author = domain(rng, not plain)
        names = {".".join(self.author.split(".")[i:]) for i in range(self.author.count(".") + 1)}
        names |= {domain(rng, not plain) for _ in range(4)}
        for name in sorted(names):
            kind = rng.random()
            if kind < 0.45:
                self.txt[name] = [record(rng, plain)]
            elif kind < 0.5:
                self.txt[name] = [record(rng, plain), record(rng, plain)]
            elif kind < 0.55:
                self.txt[name] = [record(rng, plain), "v=spf1 -all"]
            elif kind < 0.58 and not plain:
                self.txt[name] = None
            if rng.random() < 0.5:
                self.hosts.add(name)
        near = sorted(names) + [self.author, "other." + self.author]
        self.spf = [(rng.choice(near), rng.choice(["pass", "pass", "fail", "none" if plain else "temperror"]))
                    for _ in range(rng.randint(0, 1))]
        self.dkim = [(rng.choice(near), rng.choice(["pass", "pass", "fail"])) for _ in range(rng.randint(0, 3))]

    def facts(self):
        for name, texts in self.txt.items():
            if texts is None:
                yield f"_dmarc.{name} TXT servfail"
            for text in texts or []:
                yield f'_dmarc.{name} TXT "{text}"'
        for name in sorted(self.hosts):
            yield f"{name} A 192.0.2.1"

    def commands(self, discovery):
        yield "clear"
        for fact in self.facts():
            yield "fact " + fact
        for mechanism, identities in (("spf", self.spf), ("dkim", self.dkim)):
            for name, result in identities:
                yield f"identity {mechanism} {name} {result}"
        yield f"dmarc {discovery} a@{self.author}"

    def exists(self, name):
        known = list(self.hosts) + ["_dmarc." + known for known in self.txt]
        return any(other == name or other.endswith("." + name) for other in known)


class Failed(Exception):
    """A lookup that failed."""


def tags_of(text):
    """The tags, and whether all of p, sp and np that are there are valid; those that are wrong are left out."""
    tags, seen = {}, {}
    for piece in text.split(";")[1:]:
        name, equals, value = (part.strip() for part in piece.partition("="))
        if equals:
            seen.setdefault(name.lower(), []).append(value.lower())
    patterns = {"p": "none|quarantine|reject", "sp": "none|quarantine|reject", "np": "none|quarantine|reject",
                "psd": "[ynu]", "t": "[yn]", "adkim": "[rs]", "aspf": "[rs]", "rua": "mailto:.*"}
    valid = "p" in seen
    for name, values in seen.items():
        if name in patterns:
            if len(values) == 1 and re.fullmatch(patterns[name], values[0]):
                tags[name] = values[0]
            elif name in ("p", "sp", "np"):
                valid = False
    return tags, valid


def look(world, name):
    """The only DMARC record of a domain, or None."""
    texts = world.txt.get(name, [])
    if texts is None:
        raise Failed(name)
    texts = [text for text in texts if re.match(r"v=DMARC1\s*(;|$)", text)]
    return tags_of(texts[0]) if len(texts) == 1 else None


def walk(world, start):
    """Section 4.10: [(domain, record)], the records that were found, from the longest name to the shortest."""
    found, target = [], start
    for _ in range(8):
        answer = look(world, target)
        if answer:
            found.append((target, answer))
            if answer[0].get("psd") in ("y", "n"):
                break
        labels = target.split(".")
        labels = labels[1:] if len(labels) < 8 else labels[-7:]
        if not labels:
            break
        target = ".".join(labels)
    return found


def organizational(world, start):
    """Section 4.10.2."""
    found = walk(world, start)
    for name, (tags, _) in found:
        if tags.get("psd") == "n":
            return name
        if tags.get("psd") == "y" and name != start:
            return ".".join(start.split(".")[-(name.count(".") + 2):])
    return found[-1][0] if found else start


def discover(world):
    """Section 4.10.1: (domain, record, place) or None."""
    own = look(world, world.author)
    if own:
        return world.author, own, "author"
    found = dict(walk(world, world.author))
    organization = organizational(world, world.author)
    if organization in found:
        return organization, found[organization], "organization"
    for name, answer in found.items():
        if answer[0].get("psd") == "y":
            return name, answer, "suffix"
    return None


def aligned(world, name, mode):
    """True, False or None: not known."""
    if name == world.author:
        return True
    if mode == "s":
        return False
    try:
        own = organizational(world, world.author)
        # What is not at or below it cannot have the same one, also where its own cannot be looked up.
        return (name == own or name.endswith("." + own)) and organizational(world, name) == own
    except Failed:
        return None


def policy_of(world, tags, valid, place):
    """(policy, tag)"""
    if not valid:
        return "none", "-"
    if place != "author":
        if "np" in tags and not world.exists(world.author):
            return tags["np"], "np"
        if "sp" in tags:
            return tags["sp"], "sp"
    return tags["p"], "p"


def evaluate_by_walk(world):
    """(result, policy, tag, domain, place)"""
    try:
        found = discover(world)
    except Failed:
        return "temperror", "none", "-", ".", "-"
    if not found:
        return "none", "none", "-", ".", "-"
    name, (tags, valid), place = found
    if not valid and "rua" not in tags:
        return "permerror", "none", "-", name, place
    states = []
    for mode, identities in ((tags.get("aspf"), world.spf), (tags.get("adkim"), world.dkim)):
        states += [(result, aligned(world, identity, mode)) for identity, result in identities]
    if ("pass", True) in states:
        return "pass", "none", "-", name, place
    if ("pass", None) in states or ("temperror", True) in states or ("temperror", None) in states:
        return "temperror", "none", "-", name, place
    policy, tag = policy_of(world, tags, valid, place)
    if tags.get("t") == "y":
        policy = {"reject": "quarantine"}.get(policy, "none")
    return "fail", policy, tag, name, place
