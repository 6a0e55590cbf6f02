"""The box: namespaces that the lab and everything in it live in, and end with.

A lab is one tree of processes with mounts, network and process numbers of its own (unshare(1)). Nothing in
it has a name outside, so any number of labs run beside each other; and when the process that began it ends,
however it ends (SIGKILL included), the kernel kills all that runs in the box and takes its links, mounts and
files with it. So there is nothing to sweep.

    why = box.enter()       re-executes this program inside the box and gives None there; or why that cannot be

Inside:
    FOLDER      a file system in memory for configurations, zones, queues, logs; also seen in the private root
    ROOT        the private root (tests/peers/root.py), with FOLDER at the same path
    /etc        may be written: a layer of the box lies over the machine's
    /run        empty but for what the lab makes
"""

import os
import pathlib
import shutil
import signal
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))

from harness import private_root  # noqa: E402

FOLDER = pathlib.Path("/run/lab")
ROOT = private_root.PEERS / "root"
MARK = "MAILKEEP_LAB_BOX"
# --kill-child: the kernel kills the box's first process when unshare(1) ends, and with it all others.
UNSHARE = ("unshare", "--mount", "--net", "--pid", "--fork", "--mount-proc", "--kill-child=SIGKILL")
# All that the kernel has to let us do.
TRIAL = f"""set -e
mount -t tmpfs lab /run; mkdir -p /run/netns /run/upper /run/work
mount -t overlay lab -o lowerdir=/etc,upperdir=/run/upper,workdir=/run/work /etc
ip link add name lab type bridge; ip netns add trial; ip link add name trial type veth peer name eth0 netns trial
chroot {ROOT} nft 'add table inet lab; add chain inet lab arrive {{ type filter hook input priority 0; }}'"""
USERS = {"mailkeep": 6110, "unbound": 6111}


def enter():
    if MARK not in os.environ:
        why = _why_not()
        if why:
            return why
        os.environ[MARK] = "on the way in"
        os.execvp(UNSHARE[0], [*UNSHARE, sys.executable, *sys.argv])
    del os.environ[MARK]
    _furnish()
    child = os.fork()
    if child:
        _be_the_first_process(child)
    return None


def _why_not():
    if os.geteuid() != 0:
        return "the lab needs root: it makes namespaces and runs servers in a private root"
    for tool in ("unshare", "ip", "mount", "chroot", "openssl"):
        if not shutil.which(tool):
            return f"the lab needs {tool}"
    try:
        private_root.ensure()
    except private_root.Unavailable as error:
        return str(error)
    tried = subprocess.run([*UNSHARE, "sh", "-c", TRIAL], capture_output=True, text=True)
    return f"namespaces may not be made here: {' '.join(tried.stderr.split())}" if tried.returncode != 0 else None


def _be_the_first_process(child):
    """Process 1 of the box inherits orphans; the box ends with the one that does the work."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # meant for the child, too
    while True:
        pid, status = os.wait()
        if pid == child:
            sys.stdout.flush()
            os._exit(os.waitstatus_to_exitcode(status) & 0xff)


def _furnish():
    mount("-t", "tmpfs", "lab", "/run")
    for folder in (FOLDER, "/run/netns", "/run/etc/upper", "/run/etc/work", ROOT / str(FOLDER)[1:]):
        pathlib.Path(folder).mkdir(parents=True, exist_ok=True)
    mount("-t", "overlay", "lab", "-o", "lowerdir=/etc,upperdir=/run/etc/upper,workdir=/run/etc/work", "/etc")
    mount("--bind", FOLDER, ROOT / str(FOLDER)[1:])
    _add_users(pathlib.Path("/etc"))
    pathlib.Path("/etc/netns").mkdir(exist_ok=True)
    write_resolv_conf(pathlib.Path("/etc/resolv.conf"), "")
    subprocess.run(["ip", "link", "set", "dev", "lo", "up"], check=True)


def _add_users(etc):
    for name, number in USERS.items():
        for file, line in (("passwd", f"{name}:x:{number}:{number}::/nonexistent:/bin/false\n"),
                           ("group", f"{name}:x:{number}:\n")):
            text = (etc / file).read_text()
            if f"\n{name}:" not in text:
                (etc / file).write_text(text + line)


def mount(*words):
    subprocess.run(["mount", *map(str, words)], check=True)


def write_resolv_conf(path, text):
    path.unlink(missing_ok=True)  # it may be a link to where nothing is
    path.write_text(text)
