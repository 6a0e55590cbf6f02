"""A program out of a Debian package that is unpacked below build/peers/, not installed: nothing of it starts."""

import fcntl
import os
import pathlib
import shutil
import subprocess

TOP = pathlib.Path(__file__).resolve().parents[2]
PEERS = pathlib.Path(os.environ.get("MAILKEEP_PEERS", TOP / "build" / "peers"))


class Program:
    """command() begins a command line, environment() is what it needs; why says what is missing when it is not found."""

    def __init__(self, name, *packages):
        self.folder = PEERS / packages[0]
        self.path, self.why = shutil.which(name), ""
        if not self.path:
            self._unpack(packages)
            found = [path for place in ("usr/sbin", "usr/bin") if (path := self.folder / place / name).exists()]
            self.path = str(found[0]) if found else None

    def _unpack(self, packages):
        self.folder.mkdir(parents=True, exist_ok=True)
        with open(self.folder / "lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if (self.folder / "usr").exists():
                return
            for step in (["apt-get", "-q", "download", *packages],
                         ["sh", "-c", 'for deb in *.deb; do dpkg-deb -x "$deb" . || exit 1; done']):
                done = subprocess.run(step, cwd=self.folder, capture_output=True, text=True)
                if done.returncode != 0:
                    self.why = done.stderr.strip()[-200:]
                    return

    def environment(self):
        libraries = ":".join(str(path) for path in (self.folder / "usr/lib").glob("*-linux-gnu"))
        return {**os.environ, **({"LD_LIBRARY_PATH": libraries} if libraries else {})}
