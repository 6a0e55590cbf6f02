"""What the checks look at: the files that are, or could be, in git."""

import functools
import pathlib
import re
import subprocess

TOP = pathlib.Path(__file__).resolve().parents[2]


@functools.cache
def files():
    """Paths relative to the top, of tracked and of new files that git does not ignore."""
    done = subprocess.run(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=TOP,
                          capture_output=True, check=False)
    if done.returncode == 0:
        names = [name for name in done.stdout.decode().split("\0") if name]
    else:  # an unpacked archive
        names = [str(path.relative_to(TOP)) for path in TOP.rglob("*")
                 if path.is_file() and not str(path.relative_to(TOP)).startswith(("build", "."))]
    return sorted(name for name in set(names) if (TOP / name).is_file())


def sources(*suffixes):
    return [name for name in files() if name.startswith("src/") and name.endswith(suffixes or (".c", ".h"))]


@functools.cache
def text(name):
    return (TOP / name).read_text(errors="replace")


@functools.cache
def code(name):
    """The text with comments and string contents blanked, line numbers kept."""
    def blank(match):
        found = match.group(0)
        if found.startswith(("/*", "//")):
            return re.sub(r"[^\n]", " ", found)
        return found[0] + re.sub(r"[^\n]", " ", found[1:-1]) + found[-1]
    return re.sub(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', blank, text(name), flags=re.S)


def line_of(name, offset):
    return text(name).count("\n", 0, offset) + 1


def is_test(name):
    return re.search(r"(_test|_fuzz|_fake|testing|/script|/scripts_\w+|/faulty_\w+)\.[ch]$", name) is not None
