"""The build files and what stands beside them agree: packages, tests, fuzz targets, corpora."""

import re

from . import tree

# What meson asks for, and the Debian package that has it.
PACKAGE_OF = {
    "cmocka": "libcmocka-dev", "libseccomp": "libseccomp-dev", "libprotobuf-c": "libprotobuf-c-dev",
    "sqlite3": "libsqlite3-dev", "libxxhash": "libxxhash-dev", "yaml-0.1": "libyaml-dev", "libidn2": "libidn2-dev",
    "unistring": "libunistring-dev", "libargon2": "libargon2-dev", "argon2": "libargon2-dev", "libcrypto": "libssl-dev",
    "libssl": "libssl-dev", "openssl": "libssl-dev", "jansson": "libjansson-dev", "libpsl": "libpsl-dev",
    "libunbound": "libunbound-dev", "unbound": "libunbound-dev", "libcurl": "libcurl4-openssl-dev", "libmicrohttpd": "libmicrohttpd-dev",
    "libarchive": "libarchive-dev", "expat": "libexpat1-dev", "zlib": "zlib1g-dev", "libzstd": "libzstd-dev",
    "threads": None, "dl": None, "m": None,
}
PROGRAM_PACKAGE = {"protoc-c": "protobuf-c-compiler", "protoc": "protobuf-compiler"}
ASKS = re.compile(r"(?:\bdependency|find_library)\(\s*'([^']+)'")


def meson_files():
    return [name for name in tree.files() if name.endswith("meson.build")]


def listed_packages():
    section, listed = None, {}
    for line in tree.text("tools/packages.txt").splitlines():
        if line.startswith("["):
            section = line.strip("[]")
        elif line and not line.startswith("#"):
            listed[line.rpartition("?")[2]] = section
    return listed


def check_packages():
    """tools/packages.txt holds just what the meson files ask for."""
    findings, asked, listed = [], set(), listed_packages()
    for name in meson_files():
        text = tree.text(name)
        for match in ASKS.finditer(text):
            place = f"{name}:{tree.line_of(name, match.start())}"
            if match.group(1) not in PACKAGE_OF:
                findings.append(f"{place}: {match.group(1)} has no Debian package in tools/checks/build.py")
                continue
            package = PACKAGE_OF[match.group(1)]
            asked.add(package)
            if package and package not in listed:
                findings.append(f"{place}: {package} is missing in tools/packages.txt")
        for program, package in PROGRAM_PACKAGE.items():
            if re.search(rf"find_program\(\s*'{program}'", text):
                asked.add(package)
                if package not in listed:
                    findings.append(f"{name}: {package} is missing in tools/packages.txt")
    for package, section in listed.items():
        if section == "build" and package in PACKAGE_OF.values() and package not in asked:
            findings.append(f"tools/packages.txt: nothing asks for {package}")
    return findings


def check_targets():
    """Every *_test.c and *_fuzz.c stands in a meson.build."""
    known = "\n".join(tree.text(name) for name in meson_files())
    return [f"{name}: not built by any meson.build" for name in tree.sources("_test.c", "_fuzz.c")
            if name.rpartition("/")[2] not in known]


def check_corpora():
    """Every fuzz target has a corpus of at least three inputs, and every corpus a target."""
    findings, targets = [], set()
    for name in meson_files():
        text = re.sub(r"#[^\n]*", "", tree.text(name))
        for match in re.finditer(r"fuzz_targets\s*\+=\s*\{(.*?)\}", text, re.S):
            targets |= set(re.findall(r"'(\w+)'\s*:\s*\[", match.group(1)))
    corpora = {}
    for name in tree.files():
        parts = name.split("/")
        if name.startswith("tests/fuzz/corpus/") and len(parts) == 5:
            corpora[parts[3]] = corpora.get(parts[3], 0) + 1
    findings += [f"tests/fuzz/corpus/{target}: {corpora.get(target, 0)} inputs" for target in sorted(targets)
                 if corpora.get(target, 0) < 3]
    findings += [f"tests/fuzz/corpus/{name}: no fuzz target of this name" for name in sorted(corpora) if name not in targets]
    return findings
