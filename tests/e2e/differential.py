"""The same messages in two IMAP servers: every RFC822.SIZE, ENVELOPE, BODYSTRUCTURE and BODY[part] compared.

    python3 tests/e2e/differential.py [--first N] [--show ITEM]   prints the differences with both values
    python3 tests/e2e/differential.py --write                      writes the list anew, with "?" for the unexplained

A difference is (item, message): item is SIZE, an ENVELOPE field, a BODYSTRUCTURE field of a part, or a
BODY section. tests/e2e/dovecot_differences.txt lists those that are explained, each with a reason class
that docs/deviations.md describes.
"""

import collections
import pathlib
import re
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

import harness  # noqa: E402
import npm  # noqa: E402
import wire  # noqa: E402

ALLOWED = pathlib.Path(__file__).resolve().parent / "dovecot_differences.txt"
ENVELOPE = ("date", "subject", "from", "sender", "reply-to", "to", "cc", "bcc", "in-reply-to", "message-id")
BATCH = 100

# As a client would see them, these say the same; their case is a matter of taste (RFC 3501 section 9).
CASELESS = {"type", "subtype", "encoding", "disposition"}


def load_corpus():
    """[(name, bytes)]: CRLF line ends, without the mbox line that some files begin with, and without NUL."""
    corpus = []
    for path in npm.real_mail():
        octets = path.read_bytes()
        if octets.startswith(b"From ") and b"\n" in octets:
            octets = octets.partition(b"\n")[2]
        octets = re.sub(rb"\r\n|\n|\r(?!\n)", b"\r\n", octets).replace(b"\0", b"")
        corpus.append((f"{path.parent.name}/{path.stem[:5]}", octets))
    return corpus


def append_all(address, user, corpus):
    with wire.Imap(address, seconds=60) as client:
        client.login(user)
        capable = b"LITERAL+" in client.command(b"CAPABILITY")[0].line.upper()
        for start in range(0, len(corpus), BATCH):
            batch = corpus[start:start + BATCH]
            for number, (_, octets) in enumerate(batch):
                if capable:
                    client.send(b"a%d APPEND INBOX {%d+}\r\n" % (number, len(octets)) + octets + b"\r\n")
                else:
                    client.command(b"APPEND INBOX %b", octets)
            for number in range(len(batch) if capable else 0):
                answer = client.response().line
                while answer.startswith(b"* "):
                    answer = client.response().line
                assert answer.startswith(b"a%d OK" % number), (batch[number][0], answer)


class Reader:
    """A selected mailbox of one server."""

    def __init__(self, address, user):
        self.client = wire.Imap(address, seconds=60).login(user)
        self.client.command(b"EXAMINE INBOX")

    def structures(self, first, last):
        """{sequence number: fields} with SIZE, ENVELOPE, BODYSTRUCTURE, header and text."""
        answers = self.client.command(b"FETCH %d:%d (RFC822.SIZE ENVELOPE BODYSTRUCTURE BODY.PEEK[HEADER] "
                                      b"BODY.PEEK[TEXT])" % (first, last))
        return {int(a.line.split()[1]): fields for a in answers if (fields := wire.fetch_fields(a))}

    def ask_sections(self, number, sections):
        items = b" ".join(b"BODY.PEEK[%s]" % section for section in sections)
        self.client.send(b"s%d FETCH %d (%s)\r\n" % (number, number, items))

    def sections(self, number):
        found = {}
        while True:
            answer = self.client.response()
            if answer.line.startswith(b"s%d " % number):
                return found, answer.line
            fields = wire.fetch_fields(answer)
            if fields:
                found.update(fields)


def sections_of(structure, prefix=b""):
    """Section names of every part, from a parsed BODYSTRUCTURE."""
    if isinstance(structure[0], list):
        found = []
        for number, part in enumerate((p for p in structure if isinstance(p, list) and _is_part(p)), 1):
            name = prefix + b"%d" % number
            found += [name, name + b".MIME"]
            if isinstance(part[0], list):
                found += sections_of(part, name + b".")
            elif _is_message(part):
                found += _message_sections(part, name)
        return found
    name = prefix + b"1"
    found = [name] + ([name + b".MIME"] if prefix else [])
    return found + (_message_sections(structure, name) if _is_message(structure) else [])


def _is_part(part):
    return bool(part) and (isinstance(part[0], list) or (len(part) >= 7 and isinstance(part[0], bytes)
                                                         and isinstance(part[1], bytes)))


def _is_message(part):
    return isinstance(part[0], bytes) and (part[0].lower(), part[1].lower()) == (b"message", b"rfc822") and len(part) > 8


def _message_sections(part, name):
    inner = part[8]
    found = [name + b".HEADER", name + b".TEXT"]
    return found + (sections_of(inner, name + b".") if isinstance(inner, list) else [])


def flatten(structure, name="1", top=True):
    """{"part field": value} of a BODYSTRUCTURE, for differences that can be named."""
    found = {}
    if isinstance(structure[0], list):
        parts = []
        for item in structure:
            if not (isinstance(item, list) and _is_part(item)):
                break
            parts.append(item)
        rest = structure[len(parts):]
        prefix = "" if top else name + "."
        found[f"{name if not top else 'top'} count"] = len(parts)
        for number, part in enumerate(parts, 1):
            found.update(flatten(part, f"{prefix}{number}", False))
        for field, value in zip(("subtype", "params", "disposition", "language", "location"), rest):
            found[f"{name if not top else 'top'} {field}"] = _norm(field, value)
        return found
    names = ["type", "subtype", "params", "id", "description", "encoding", "size"]
    kind = structure[0].lower() if isinstance(structure[0], bytes) else b""
    if kind == b"text":
        names.append("lines")
    elif _is_message(structure):
        names += ["envelope", "body", "lines"]
    names += ["md5", "disposition", "language", "location"]
    for field, value in zip(names, structure):
        if field == "body" and isinstance(value, list):
            found.update(flatten(value, f"{name}.", True) if isinstance(value[0], list) else flatten(value, f"{name}.1", False))
        elif field == "envelope" and isinstance(value, list):
            for sub, item in zip(ENVELOPE, value):
                found[f"{name} envelope.{sub}"] = item
        else:
            found[f"{name} {field}"] = _norm(field, value)
    return found


def _norm(field, value):
    if field in CASELESS and isinstance(value, bytes):
        return value.lower()
    if field in ("params", "disposition") and isinstance(value, list):
        return [_norm_params(item) if isinstance(item, list) else item.lower() if isinstance(item, bytes) else item
                for item in value] if field == "disposition" else _norm_params(value)
    return value


def _norm_params(pairs):
    """Sorted [name, value]; names have no case, nor has a charset's value (RFC 2046 section 4.1.2)."""
    found = []
    for name, value in zip(pairs[::2], pairs[1::2]):
        name = name.lower() if isinstance(name, bytes) else name
        found.append([name, value.lower() if name == b"charset" and isinstance(value, bytes) else value])
    return sorted(found)


# Reasons of differences: what must hold between the two values. docs/deviations.md explains each.


def _blanks(value):
    """With runs of blanks as one and none at the ends."""
    if isinstance(value, list):
        return [_blanks(item) for item in value]
    return re.sub(rb"[ \t]+", b" ", value).strip() if isinstance(value, bytes) else value


def _holds(value, wanted):
    return value in wanted or isinstance(value, list) and any(_holds(item, wanted) for item in value)


def _is_address_field(item):
    return re.search(r"[ .](from|sender|reply-to|to|cc|bcc)$", item) is not None


REASONS = {
    "unfolding": lambda item, ours, theirs: item.endswith("subject") and _blanks(ours) == _blanks(theirs),
    "quoted-blanks": lambda item, ours, theirs: _is_address_field(item) and _blanks(ours) == _blanks(theirs),
    "end-blanks": lambda item, ours, theirs: item.endswith("in-reply-to") and ours == theirs.strip(),
    "part-end": lambda item, ours, theirs: item.startswith("BODY[") and bool(ours) and ours + b"\r\n" == theirs,
    "encoding-alone": lambda item, ours, theirs: item.endswith("encoding") and (ours, theirs) == (b"8bit", b"7bit"),
    "no-parts": lambda item, ours, theirs: item.startswith("BODY[") and ours is None and theirs == b"",
    "broken-type": lambda item, ours, theirs: item.startswith("BODYSTRUCTURE") and theirs in (b"", None, [])
    and re.search(r"(type|lines|params|size|md5|disposition|language|location)$", item) is not None,
    "broken-address": lambda item, ours, theirs: _is_address_field(item)
    and _holds([ours, theirs], (b"SYNTAX_ERROR", b"MISSING_MAILBOX", b"MISSING_DOMAIN")),
    "broken-list": lambda item, ours, theirs: _is_address_field(item) and len(ours or []) > len(theirs or []),
    "address-as-name": lambda item, ours, theirs: _is_address_field(item) and any(
        mine[0] and b"@" in mine[0] and other == [None, *mine[1:]] for mine, other in zip(ours or [], theirs or [])),
}


def reason_of(item, values):
    return next((reason for reason, holds in REASONS.items() if holds(item, *values)), "?")


def compare_structures(ours, theirs):
    """{item: (ours, theirs)} of one message."""
    found = {}
    for item, key in (("SIZE", b"RFC822.SIZE"), ("BODY[HEADER]", b"BODY[HEADER]"), ("BODY[TEXT]", b"BODY[TEXT]")):
        if ours.get(key) != theirs.get(key):
            found[item] = (ours.get(key), theirs.get(key))
    for field, mine, other in zip(ENVELOPE, ours[b"ENVELOPE"], theirs[b"ENVELOPE"]):
        if mine != other:
            found[f"ENVELOPE {field}"] = (mine, other)
    mine, other = flatten(ours[b"BODYSTRUCTURE"]), flatten(theirs[b"BODYSTRUCTURE"])
    for key in sorted(set(mine) | set(other)):
        if mine.get(key) != other.get(key):
            found[f"BODYSTRUCTURE {key}"] = (mine.get(key), other.get(key))
    return found


class Comparison:
    def __init__(self):
        self.messages = self.sections = 0
        self.differences = {}  # (item, name): (ours, theirs)

    def run(self, ours, theirs, names):
        for first in range(1, len(names) + 1, BATCH):
            last = min(first + BATCH - 1, len(names))
            mine, other = ours.structures(first, last), theirs.structures(first, last)
            for number in range(first, last + 1):
                name = names[number - 1]
                self.messages += 1
                if number not in mine or number not in other:
                    self.differences["FETCH", name] = (number in mine, number in other)
                    continue
                self._add(name, compare_structures(mine[number], other[number]))
            self._sections(ours, theirs, {n: other[n] for n in range(first, last + 1) if n in other}, names)
        return self

    def _sections(self, ours, theirs, structures, names):
        asked = {n: sections_of(fields[b"BODYSTRUCTURE"]) for n, fields in structures.items()}
        for number, sections in asked.items():
            ours.ask_sections(number, sections)
            theirs.ask_sections(number, sections)
            (mine, said), (other, _) = ours.sections(number), theirs.sections(number)
            self.sections += len(sections)
            for section in sections:
                key = b"BODY[%s]" % section
                if mine.get(key) != other.get(key):
                    self.differences[key.decode(), names[number - 1]] = (mine.get(key, said), other.get(key))

    def _add(self, name, found):
        for item, values in found.items():
            self.differences[item, name] = values


def allowed():
    """{(item, message): reason class}"""
    found = {}
    if ALLOWED.exists():
        for line in ALLOWED.read_text().splitlines():
            if line and not line.startswith("#"):
                reason, item, name = line.split("\t")
                found[item, name] = reason
    return found


def unexplained(differences):
    """{key: values} of what is not on the list, or stands there under a reason that does not hold."""
    explained = allowed()
    return {(item, name): values for (item, name), values in sorted(differences.items())
            if not REASONS.get(explained.get((item, name)), lambda *_: False)(item, *values)}


def write(differences):
    head = ("# Where mailkeep and Debian's Dovecot differ on real mail: reason, item, message. The reasons are\n"
            "# checked (differential.py) and explained (docs/deviations.md).\n")
    ALLOWED.write_text(head + "".join(f"{reason_of(item, values)}\t{item}\t{name}\n"
                                      for (item, name), values in sorted(differences.items(), key=lambda d: d[0][::-1])))


def compare(server, user, corpus):
    """Loads a second server, Debian's Dovecot, and compares. The server under test is loaded already."""
    with harness.peers.Dovecot(harness.own_ip()) as dovecot:
        address = (dovecot.ip, dovecot.imap_port)
        append_all(address, user, corpus)
        return Comparison().run(Reader(server.imap, user), Reader(address, user), [name for name, _ in corpus])


def main():
    first = int(sys.argv[sys.argv.index("--first") + 1]) if "--first" in sys.argv else None
    show = sys.argv[sys.argv.index("--show") + 1] if "--show" in sys.argv else None
    corpus = load_corpus()[:first]
    with harness.make_server(accounts=1) as server:
        append_all(server.imap, "user1@localhost", corpus)
        comparison = compare(server, "user1@localhost", corpus)
    if "--write" in sys.argv:
        write(comparison.differences)
    left = unexplained(comparison.differences)
    print(f"{comparison.messages} messages, {comparison.sections} sections: {len(comparison.differences)} differences, "
          f"{len(left)} unexplained")
    kinds = collections.Counter((reason_of(item, values), re.sub(r"\d+(\.\d+)*", "N", item))
                                for (item, _), values in comparison.differences.items())
    for (reason, kind), count in kinds.most_common():
        print(f"{count:6} {reason:16} {kind}")
    for (item, name), (mine, other) in left.items():
        if show is None or show in item:
            print(f"{item}\t{name}\n    ours   {str(mine)[:300]}\n    theirs {str(other)[:300]}")


if __name__ == "__main__":
    main()
