"""What libmailkeep shows of us: each header of its folders is public, or stays at home for a reason."""

import re

from . import tree

LIST = "library/meson.build"
FOLDERS = ("text", "dns", "message", "mailauth")  # of base and os, what these need

# header: why programs of others have no use for it
AT_HOME = {
    "dns/reason.h": "libunbound's words, which unbound.h makes codes of",
    "dns/unbound_silence.h": "how unbound.h finds out that nobody answers",
    "mailauth/der.h": "how dkim_key.h reads keys",
    "mailauth/dkim_crypto.h": "libcrypto, behind dkim_verify.h and dkim_sign.h",
    "mailauth/fuzz_world.h": "a DNS for fuzzers",
    "message/dump.h": "a form for our own tests, which may change",
    "message/field.h": "how part.h reads a header",
    "message/scan.h": "how part.h reads a body",
}


def public_headers():
    listed = re.search(r"library_headers = \[(.*?)\]", tree.text(LIST), re.S).group(1)
    return set(re.findall(r"'([^']+\.h)'", listed))


def check_library():
    """Each header of text, dns, message and mailauth is in library/meson.build, private by its name, or in library.py."""
    public = public_headers()
    found = {name.removeprefix("src/") for name in tree.sources(".h") if name.split("/")[1] in FOLDERS}
    unsaid = {name for name in found if not re.search(r"_(private|testing)\.h$", name)} - public - set(AT_HOME)
    return sorted([f"src/{name}: neither in {LIST} nor in tools/checks/library.py" for name in unsaid]
                  + [f"tools/checks/library.py: {name} is public, or not there" for name in AT_HOME
                     if name in public or name not in found])
