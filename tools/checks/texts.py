"""What may stand in no file: marks of unfinished work, paths of one machine, scripts that do not parse."""

import ast
import re
import subprocess

from . import tree

# Composed, so that this file does not find itself.
MARKS = re.compile(r"\b(?:" + "|".join(["TO" + "DO", "FIX" + "ME", "X" * 3, "HA" + "CK", "NOT" + "IMPLEMENTED"]) + r")\b")
RESOLVER = ("src/dns/", "src/cli/dns", "src/rooms/resolver")  # a stub resolver is what RFC 9499 calls it
STUBS = re.compile(r"\b(?:stub|placeholder|not implemented yet|dummy implementation)\b", re.I)
PATHS = re.compile(r"(?<![\w.*$}])/(?:home/\w+|root|work|Users|mnt)/[\w.]")
SKIP = (".json", ".png", ".eml", ".bin", ".txt")


def written():
    return [name for name in tree.files()
            if not name.startswith(("tests/fuzz/corpus/", "tools/checks/texts.py")) and not name.endswith(SKIP)]


def check_marks():
    """No marks of unfinished work in any file, no stubs in src/."""
    findings = []
    for name in written():
        for pattern in (MARKS, STUBS) if name.startswith("src/") and not name.startswith(RESOLVER) else (MARKS,):
            findings += [f"{name}:{tree.line_of(name, match.start())}: {match.group(0)}"
                         for match in pattern.finditer(tree.text(name))]
    return findings


COMMENT = re.compile(r"^\t* \*(?P<rest>.*)$", re.M)


def check_comments():
    """Lines of comments have a blank behind their star, and end by column 100."""
    findings = []
    for name in tree.sources(".c", ".h"):
        for match in COMMENT.finditer(tree.text(name)):
            rest, width = match["rest"], len(match[0].expandtabs(8))
            if rest and rest[0] not in " \t/*":
                findings.append(f"{name}:{tree.line_of(name, match.start())}: no blank behind the star")
            elif width > 100:
                findings.append(f"{name}:{tree.line_of(name, match.start())}: {width} columns")
    return findings


def check_paths():
    """No path of a particular machine in any file."""
    return [f"{name}:{tree.line_of(name, match.start())}: {match.group(0)}"
            for name in written() for match in PATHS.finditer(tree.text(name))]


def check_scripts():
    """Python and shell scripts parse."""
    findings = []
    for name in tree.files():
        if not (tree.TOP / name).is_file() or name.startswith("tests/fuzz/corpus/"):
            continue
        first = tree.text(name).partition("\n")[0] if not name.endswith(SKIP) else ""
        if name.endswith(".py") or "python3" in first and first.startswith("#!"):
            try:
                ast.parse(tree.text(name), name)
            except SyntaxError as error:
                findings.append(f"{name}:{error.lineno}: {error.msg}")
        elif first.startswith("#!") and first.endswith("sh"):
            done = subprocess.run([first[2:].split()[-1], "-n", name], cwd=tree.TOP, capture_output=True, text=True)
            if done.returncode != 0:
                findings.append(f"{name}:1: {done.stderr.strip()}")
    return findings
