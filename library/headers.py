#!/usr/bin/env python3
"""The public headers of libmailkeep: what they declare, and the form in which they are installed.

    headers.py install INCLUDEDIR NAME...      below INCLUDEDIR/mailkeep, and mailkeep.h, which has all of them
    headers.py build FILE NAME...              the same below include/ beside FILE, which is mailkeep.h once more

NAME is a path below src/. An installed header differs from the one in src/ in two things. It includes the
others as <mailkeep/...>, so that no program's own "base/..." can take their place. And it says under which
names its functions are linked: each has PREFIX before its own, so that none can be another library's. A
header that includes one that is not public is refused.
"""

import os
import pathlib
import re
import sys

SOURCE = pathlib.Path(__file__).resolve().parents[1] / "src"
PREFIX = "mailkeep_"

NOISE = re.compile(r'/\*.*?\*/|//[^\n]*|^[ \t]*#(?:[^\n]*\\\n)*[^\n]*|"(?:\\.|[^"\\\n])*"', re.S | re.M)
ATTRIBUTE = re.compile(r"\bMAILKEEP_(?:NORETURN|PRINTF\([^()]*\))|__attribute__\s*\(\((?:[^()]|\([^()]*\))*\)\)")
INCLUDE = re.compile(r'^#include "([^"]+)"$', re.M)
SYSTEM_INCLUDE = re.compile(r"^#include <([^>]+)>$", re.M)


def statements(text):
    """What stands at the top level, without comments, preprocessor lines, attributes and bodies in braces."""
    text = ATTRIBUTE.sub(" ", NOISE.sub(" ", text))
    while (shorter := re.sub(r"\{[^{}]*\}", ";", text)) != text:
        text = shorter
    return [" ".join(statement.split()) for statement in text.split(";")]


def declared(text):
    """Functions and variables that other files define."""
    found = []
    for statement in statements(text):
        if statement.startswith(("static ", "typedef ")):
            continue
        function = re.match(r"[\w\s*]*?\b(\w+)\s*\(", statement)
        variable = re.match(r"extern\s[\w\s*]*?\b(\w+)\s*(?:\[.*)?$", statement)
        if function or variable:
            found.append((function or variable).group(1))
    return found


def read(name):
    return (SOURCE / name).read_text()


def all_names(headers):
    return sorted({name for header in headers for name in declared(read(header))})


def installed_form(header, public):
    text = read(header)
    for included in INCLUDE.findall(text):
        if included not in public:
            sys.exit(f"{header} includes {included}, which is not public (library/meson.build)")
    text = INCLUDE.sub(r"#include <mailkeep/\1>", text)
    names = declared(text)
    if not names:
        return text
    pragmas = "".join(f"#pragma redefine_extname {name} {PREFIX}{name}\n" for name in names)
    return text.replace("#pragma once\n", f"#pragma once\n\n/* The names that these have for the linker. */\n{pragmas}", 1)


def umbrella(headers):
    """System headers stand outside of extern "C": C++ has its own of some of them."""
    system = sorted({name for header in headers for name in SYSTEM_INCLUDE.findall(read(header))})
    return "\n".join([
        "/* All of libmailkeep, for C++ as well: C++ programs include this header, and no other one of these. */",
        "#pragma once", "",
        *(f"#include <{name}>" for name in system), "",
        "#ifdef __cplusplus", 'extern "C" {', "#endif", "",
        *(f"#include <mailkeep/{header}>" for header in headers), "",
        "#ifdef __cplusplus", "}", "#endif", ""])


def write(folder, headers):
    forms = {header: installed_form(header, headers) for header in headers} | {"mailkeep.h": umbrella(headers)}
    for header, text in forms.items():
        path = folder / header
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(0o644)


def main():
    command, place, *headers = sys.argv[1:]
    if command == "build":  # what it makes beside its output, meson need not know
        output = pathlib.Path(place)
        write(output.parent / "include" / "mailkeep", headers)
        output.write_text(umbrella(headers))
    elif command == "install":  # by meson, which says where (DESTDIR included)
        write(pathlib.Path(os.environ["MESON_INSTALL_DESTDIR_PREFIX"]) / place / "mailkeep", headers)
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main()
