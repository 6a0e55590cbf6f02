"""An installed tree for tests: what `make install` puts, below a temporary DESTDIR.

    place = installed.tree("/usr")       the DESTDIR; the tree is place/usr
"""

import fcntl
import os
import pathlib
import subprocess
import tempfile

import harness

BUILD = pathlib.Path(harness.PROGRAM).parent
SANITIZED = BUILD.name == "build-asan"


def is_possible():
    """The program under test is one that was built here, and nothing else."""
    return not harness.is_peer() and BUILD.parent == harness.TOP and BUILD.name in ("build", "build-asan")


def tree(prefix):
    """The sanitizer build keeps its prefix: it is not what `make install` is for."""
    place = pathlib.Path(tempfile.mkdtemp(prefix="mailkeep-install-"))
    command = (["meson", "install", "-C", str(BUILD), "--no-rebuild", "--quiet"] if SANITIZED
               else ["make", "install", f"DESTDIR={place}", f"PREFIX={prefix}"])
    # Both change the build's own state: one at a time.
    with open(BUILD / "install.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = subprocess.run(command, cwd=harness.TOP, env={**os.environ, "DESTDIR": str(place)}, capture_output=True,
                              text=True)
    if done.returncode != 0:
        raise RuntimeError(done.stdout[-2000:] + done.stderr[-2000:])
    return place
