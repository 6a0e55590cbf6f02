"""The size marks of the style: short functions, files to be read in one go, headers that are contracts."""

import collections
import json
import shutil
import subprocess

from . import tree

FUNCTION_MEDIAN, FUNCTION_P95, FUNCTION_LONG, LONG_SHARE = 15, 60, 100, 0.01
FILE_P90, FILE_MOST = 600, 1200
CONTRACT_LOW = 0.20  # a folder's headers below this share of comment lines lack contracts


def functions():
    """[(lines, name, file, first line)] of every function."""
    names = tree.sources(".c")
    if not names or not shutil.which("ctags"):
        return []
    done = subprocess.run(["ctags", "--languages=C", "--kinds-C=f", "--fields=+ne", "--output-format=json", "-f", "-",
                           *names], cwd=tree.TOP, capture_output=True, text=True, check=True)
    tags = [json.loads(line) for line in done.stdout.splitlines()]
    return [(tag["end"] - tag["line"] + 1, tag["name"], tag["path"], tag["line"]) for tag in tags if "end" in tag]


def share(sorted_values, part):
    return sorted_values[min(len(sorted_values) - 1, int(len(sorted_values) * part))] if sorted_values else 0


def check_functions():
    """Functions: median <= 15 lines, 95th percentile <= 60, over 100 lines under 1 %."""
    found = functions()
    lengths = sorted(length for length, *_ in found)
    findings = []
    if share(lengths, 0.5) > FUNCTION_MEDIAN:
        findings.append(f"src: the median function has {share(lengths, 0.5)} lines, mark {FUNCTION_MEDIAN}")
    if share(lengths, 0.95) > FUNCTION_P95:
        findings.append(f"src: the 95th percentile of functions is {share(lengths, 0.95)} lines, mark {FUNCTION_P95}")
    long = sorted((f for f in found if f[0] > FUNCTION_LONG), reverse=True)
    if len(long) > LONG_SHARE * len(found):
        findings += [f"{path}:{line}: {name} has {length} lines" for length, name, path, line in long]
    return findings


def lines(name):
    return tree.text(name).count("\n")


def check_files():
    """Source files: 90th percentile <= 600 lines, none over 1,200."""
    counts = sorted((lines(name), name) for name in tree.sources())
    findings = [f"{name}: {count} lines" for count, name in counts if count > FILE_MOST]
    if share([count for count, _ in counts], 0.9) > FILE_P90:
        findings.append(f"src: the 90th percentile of files is {share([c for c, _ in counts], 0.9)} lines, mark {FILE_P90}")
    return findings


def contract_lines(name):
    whole, bare = tree.text(name).splitlines(), tree.code(name).splitlines()
    return sum(1 for line, code in zip(whole, bare) if line.strip() and line != code), \
        sum(1 for line in whole if line.strip())


def check_headers():
    """Every header opens with a comment, has #pragma once, and a folder's headers hold contracts."""
    findings = []
    shares = collections.defaultdict(lambda: [0, 0])
    for name in tree.sources(".h"):
        head = tree.text(name)
        if not head.lstrip().startswith("/*"):
            findings.append(f"{name}:1: opens without a comment")
        if "#pragma once" not in head:
            findings.append(f"{name}:1: has no #pragma once")
        comment, all_lines = contract_lines(name)
        shares[name.split("/")[1]][0] += comment
        shares[name.split("/")[1]][1] += all_lines
    for folder, (comment, all_lines) in sorted(shares.items()):
        if all_lines and comment / all_lines < CONTRACT_LOW:
            findings.append(f"src/{folder}: only {100 * comment // all_lines} % of header lines are contract")
    return findings


def print_figures():
    by_folder = collections.defaultdict(list)
    for length, _, path, _ in functions():
        by_folder[path.split("/")[1]].append(length)
        by_folder["all"].append(length)
    print(f"{'folder':10} {'functions':>9} {'median':>6} {'p95':>4} {'>100':>5} {'lines':>6} {'contract':>8}")
    for folder in sorted(by_folder, key=lambda f: (f == "all", f)):
        own = sorted(by_folder[folder])
        names = [n for n in tree.sources() if folder == "all" or n.split("/")[1] == folder]
        pairs = [contract_lines(n) for n in names if n.endswith(".h")]
        part = sum(c for c, _ in pairs) / max(1, sum(a for _, a in pairs))
        print(f"{folder:10} {len(own):9} {share(own, 0.5):6} {share(own, 0.95):4} "
              f"{sum(1 for n in own if n > FUNCTION_LONG):5} {sum(map(lines, names)):6} {part:8.0%}")
