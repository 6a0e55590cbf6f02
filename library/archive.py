#!/usr/bin/env python3
"""Makes the static library of the objects that our own programs link, under other names for the linker.

    archive.py --nm NM --ar AR --objcopy OBJCOPY --output FILE --headers NAME... --objects FILE...

What a public header declares gets PREFIX before its name, as the installed header says; everything else that one
object takes from another gets PRIVATE, which the version script keeps out of the shared library. So neither can
be a function of the program's own or of another library. The objects stay apart: a program links those that it uses.
What a header declares and no object defines is an error.
"""

import argparse
import pathlib
import subprocess
import sys

sys.dont_write_bytecode = True
import headers  # noqa: E402

PRIVATE = "private_mailkeep_"


def defined(nm, objects):
    done = subprocess.run([nm, "--extern-only", "--defined-only", "--format=just-symbols", "--quiet", *objects],
                          check=True, capture_output=True, text=True)
    return {name for name in done.stdout.split() if name.isidentifier() and not name.startswith("__")}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("--nm", "--ar", "--objcopy", "--output"):
        parser.add_argument(name, required=True)
    for name in ("--headers", "--objects"):
        parser.add_argument(name, nargs="+", required=True)
    options = parser.parse_args()
    public, found = set(headers.all_names(options.headers)), defined(options.nm, options.objects)
    if public - found:
        sys.exit(f"declared in a public header, and defined nowhere: {' '.join(sorted(public - found))}")
    output = pathlib.Path(options.output)
    renamed, plain = output.with_suffix(".renamed"), output.with_suffix(".plain")
    renamed.write_text("".join(f"{name} {headers.PREFIX if name in public else PRIVATE}{name}\n" for name in sorted(found)))
    plain.unlink(missing_ok=True)
    # q: there are several objects of one name, from different folders.
    subprocess.run([options.ar, "qcs", plain, *options.objects], check=True)
    subprocess.run([options.objcopy, f"--redefine-syms={renamed}", plain, output], check=True)
    plain.unlink()


if __name__ == "__main__":
    main()
