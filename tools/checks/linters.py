"""Format and bug patterns by tools of others, with the few checks that earn their place."""

import concurrent.futures
import json
import os
import re
import shutil
import subprocess

from . import tree

BUILD = tree.TOP / "build-check"
JOBS = os.cpu_count() or 2

# Each of these finds bugs in code like ours; what is left out is a matter of taste or is found by the
# compilers already (conversions, shadowing, switch coverage).
TIDY = ",".join([
    "-*",
    "bugprone-*",
    "-bugprone-easily-swappable-parameters",  # (slice, slice) is our vocabulary
    "-bugprone-branch-clone",                 # tables written as switches repeat themselves
    "-bugprone-narrowing-conversions",        # -Wconversion has it
    "-bugprone-implicit-widening-of-multiplication-result",
    "-bugprone-reserved-identifier",
    "-bugprone-assignment-in-if-condition",
    "-bugprone-macro-parentheses",            # X-macros pass types and designators
    "-bugprone-not-null-terminated-result",   # slices carry their size
    "-bugprone-sizeof-expression",            # arrays of pointers are meant
    "-bugprone-signal-handler",               # warns of every libc wrapper
    "-bugprone-suspicious-include",
    "cert-env33-c", "cert-err34-c", "cert-flp30-c", "cert-msc30-c", "cert-pos44-c",
    "misc-misplaced-const", "misc-redundant-expression",
    "readability-misleading-indentation", "readability-misplaced-array-index",
])


def _tool(*names):
    return next((found for found in map(shutil.which, names) if found), None)


def _examples():
    return [name for name in tree.files() if name.startswith("examples/") and name.endswith(".c")]


def check_format():
    """clang-format changes nothing in src/ and examples/."""
    tool = _tool("clang-format-14", "clang-format")
    if not tool:
        return ["clang-format is not installed: run make deps"]
    done = subprocess.run([tool, "-n", "--style=file", *tree.sources(), *_examples()], cwd=tree.TOP, capture_output=True, text=True)
    first = {}
    for path, line in re.findall(r"^(\S+?):(\d+):\d+: (?:warning|error): code should be clang-formatted", done.stderr, re.M):
        first.setdefault(path, []).append(line)
    return [f"{path}:{lines[0]}: clang-format would change {len(lines)} places" for path, lines in sorted(first.items())]


def check_cppcheck():
    """cppcheck's warnings and portability findings."""
    tool = _tool("cppcheck")
    if not tool:
        return ["cppcheck is not installed: run make deps"]
    BUILD.mkdir(exist_ok=True)
    cache = BUILD / "cppcheck"
    cache.mkdir(exist_ok=True)
    names = [name for name in tree.sources(".c") if not tree.is_test(name)]
    done = subprocess.run(
        [tool, "-q", "-j", str(JOBS), "--std=c11", "--enable=warning,portability", "--inline-suppr", "-Isrc", "-D__linux__", "-DMAILKEEP_WORDS",
         f"--cppcheck-build-dir={cache}", "--suppress=missingInclude", "--suppress=unknownMacro",
         # False here: cleanup attributes and outputs through pointers are not followed; the sanitizers are.
         "--suppress=autoVariables", "--suppress=legacyUninitvar", "--suppress=uninitvar",
         "--suppress=returnDanglingLifetime", "--suppress=negativeIndex", "--suppress=nullPointerArithmeticRedundantCheck", "--template={file}:{line}: {id}: {message}", *names],
        cwd=tree.TOP, capture_output=True, text=True)
    return sorted({line for line in done.stderr.splitlines() if re.match(r"src/\S+:\d+: ", line)})


def compile_commands():
    """The commands of a build by clang; configured once, nothing compiled but what is generated."""
    if not (BUILD / "tidy" / "build.ninja").exists():
        subprocess.run(["meson", "setup", BUILD / "tidy"], cwd=tree.TOP, env={**os.environ, "CC": "clang"},
                       check=True, capture_output=True)
    subprocess.run(["ninja", "-C", BUILD / "tidy", "build.ninja"], capture_output=True)  # there may be new ones
    targets = subprocess.run(["ninja", "-C", BUILD / "tidy", "-t", "targets", "all"], capture_output=True, text=True).stdout
    generated = [line.split(":")[0] for line in targets.splitlines() if re.match(r"(\S+\.pb-c\.[ch]|library/mailkeep\.h):", line)]
    subprocess.run(["ninja", "-C", BUILD / "tidy", *generated], capture_output=True)
    return json.loads((BUILD / "tidy" / "compile_commands.json").read_text())


def check_tidy():
    """clang-tidy's checks named in tools/checks/linters.py."""
    tool = _tool("clang-tidy-14", "clang-tidy")
    if not tool or not shutil.which("meson") or not shutil.which("clang"):
        return ["clang-tidy, clang or meson is not installed: run make deps"]
    try:
        commands = compile_commands()
    except subprocess.CalledProcessError as error:
        return [f"meson setup failed: {error.stdout[-500:]}"]
    names = sorted({os.path.relpath(os.path.join(c["directory"], c["file"]), tree.TOP) for c in commands})
    names = [name for name in names if name in tree.sources(".c") + _examples() and not tree.is_test(name)]
    groups = [names[i::JOBS * 4] for i in range(JOBS * 4)]

    def tidy(group):
        if not group:
            return ""
        return subprocess.run([tool, "--quiet", f"--checks={TIDY}", "-p", BUILD / "tidy", "--header-filter=src/.*", *group],
                              cwd=tree.TOP, capture_output=True, text=True).stdout

    with concurrent.futures.ThreadPoolExecutor(JOBS) as pool:
        output = "\n".join(pool.map(tidy, groups))
    findings = set()
    for path, line, what in re.findall(r"^(\S+?):(\d+):\d+: (?:warning|error): (.*)$", output, re.M):
        name = os.path.relpath(os.path.join(BUILD / "tidy", path), tree.TOP) if not path.startswith("/") else \
            os.path.relpath(path, tree.TOP)
        if name.startswith(("src/", "examples/")):
            findings.add(f"{name}:{line}: {what}")
    return sorted(findings)


def judged_findings():
    """What a person has looked at and found wrong: lines `file: what: why it is no fault`."""
    lines = (tree.TOP / "tools" / "checks" / "analyzer_judged.txt").read_text().splitlines()
    return {tuple(line.split(": ", 2)[:2]) for line in lines if line and not line.startswith("#")}


def check_analyzer():
    """gcc's -fanalyzer, in a build of its own (slow). Without -ftrivial-auto-var-init, whose hidden assignments
    gcc 12's analyzer takes for reads of uninitialized memory; what it then still says of uninitialized memory
    behind functions that return a struct is wrong as a rule, and left to -Wmaybe-uninitialized and clang."""
    folder = BUILD / "analyzer"
    if not (folder / "build.ninja").exists():
        flags = "-fanalyzer -ftrivial-auto-var-init=uninitialized -Wno-analyzer-use-of-uninitialized-value"
        made = subprocess.run(["meson", "setup", folder, "-Dtests=false", f"-Dc_args={flags}", "-Dwerror=false"],
                              cwd=tree.TOP, capture_output=True, text=True)
        if made.returncode != 0:
            return [f"meson setup failed: {made.stdout[-500:]}"]
    subprocess.run(["ninja", "-C", folder, "-t", "clean"], capture_output=True)
    done = subprocess.run(["ninja", "-C", folder, "-k", "0"], capture_output=True, text=True,
                          env={**os.environ, "CCACHE_DISABLE": "1"})
    judged = judged_findings()
    found = {(os.path.relpath(os.path.join(folder, path), tree.TOP), line, what) for path, line, what in
             re.findall(r"^(\S+?):(\d+):\d+: (?:warning|error): (.*) \[CWE.*-Wanalyzer.*$", done.stdout, re.M)}
    return sorted(f"{path}:{line}: {what}" for path, line, what in found if (path, what) not in judged)