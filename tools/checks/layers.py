"""Which folder of src/ may include which. This table is the rule; DESIGN's list of folders is its story."""

import re

from . import tree

# A folder may include itself and these. Libraries never include ipc, rooms or cli: they can be tested,
# fuzzed and reused alone.
MAY = {
    "base": "",
    "os": "base",
    "ipc": "base os",
    "text": "base",
    "message": "base text",
    "dns": "base os text",
    "tls": "base os",
    "mailauth": "base text message dns",
    "report": "base text message dns mailauth",
    "delivery": "base text dns tls config",
    "sasl": "base text",
    "vault": "base os text sasl tls",
    "smtp": "base text message sasl",
    "store": "base os text",
    "imap": "base text message sasl store",
    "queue": "base os text message store",
    "config": "base os text",
    "setup": "base os text dns tls mailauth delivery config",
    "rooms": "base os ipc text message dns tls mailauth report delivery sasl vault smtp imap store queue config setup",
    "cli": "base os ipc text message dns tls mailauth report delivery sasl vault smtp store queue config setup",
}

# Tests may also fake what the folder itself must not know.
TESTS_MAY = "base os text"

# Single places that may reach further, each with its reason.
EXCEPTIONS = {}

INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*"([a-z_]+)/([a-z_0-9]+\.[a-z.\-]+)"', re.M)


def check_layers():
    """A folder of src/ includes only the folders that tools/checks/layers.py allows it."""
    found = []
    for name in tree.sources():
        folder = name.split("/")[1]
        allowed = {folder, *MAY.get(folder, "").split(), *EXCEPTIONS.get(name, "").split()}
        if tree.is_test(name):
            allowed |= set(TESTS_MAY.split())
        for match in INCLUDE.finditer(tree.text(name)):
            if match.group(1) not in allowed:
                found.append(f"{name}:{tree.line_of(name, match.start())}: {folder}/ may not include "
                             f"{match.group(1)}/{match.group(2)}")
    return found


def check_folders():
    """Every folder of src/ stands in the layer table and has a README of its own."""
    found = []
    folders = sorted({name.split("/")[1] for name in tree.files() if name.startswith("src/") and name.count("/") > 1})
    for folder in folders:
        if folder not in MAY:
            found.append(f"src/{folder}: not in the layer table (tools/checks/layers.py)")
        if f"src/{folder}/README.md" not in tree.files():
            found.append(f"src/{folder}: has no README.md")
    return found
