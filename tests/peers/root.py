"""A private root with Debian's Postfix and Dovecot, below build/peers/.

Debian's mail servers conflict with each other and with what a user may run, and installing one starts
it. So nothing is installed: the packages and everything they need are downloaded as if onto an empty
system and unpacked into a folder of their own; the servers run chrooted there, with their own users,
configuration and queues. Needs root (chroot, mknod) and apt with a package list; where that is
missing, `Unavailable` says why and the callers skip with that word.
"""

import fcntl
import os
import pathlib
import shutil
import subprocess

TOP = pathlib.Path(__file__).resolve().parents[2]
PEERS = pathlib.Path(os.environ.get("MAILKEEP_PEERS", TOP / "build" / "peers"))
WANTED = ["postfix", "dovecot-imapd", "dovecot-lmtpd", "dash", "coreutils", "sed", "grep", "findutils", "mawk",
          # for tests/lab
          "knot", "knot-dnssecutils", "unbound", "dante-server", "microsocks", "nftables", "tcpdump",
          # what checks mail beside Postfix
          "opendkim", "opendmarc", "postfix-policyd-spf-python"]
# Drawn in by dependencies of maintainer scripts, which are never run here.
UNUSED = ("perl", "libperl", "usrmerge", "e2fsprogs", "adduser", "lib-perl", "libfile-find-rule", "debconf", "cpio")
STAMP = "unpacked-5"

PASSWD = """root:x:0:0:root:/:/bin/sh
nobody:x:65534:65534:nobody:/nonexistent:/bin/false
postfix:x:6101:6101::/var/spool/postfix:/bin/false
dovecot:x:6103:6103::/nonexistent:/bin/false
dovenull:x:6104:6104::/nonexistent:/bin/false
vmail:x:6105:6105::/mail:/bin/false
"""
GROUP = """root:x:0:
tty:x:5:
nogroup:x:65534:
postfix:x:6101:
postdrop:x:6102:
dovecot:x:6103:
dovenull:x:6104:
vmail:x:6105:
"""


class Unavailable(Exception):
    """Peers cannot run here; the text says why."""


def _run(command, **options):
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, **options)
    if done.returncode != 0:
        raise Unavailable(f"{' '.join(map(str, command[:4]))} failed: {done.stdout[-400:].strip()}")
    return done.stdout


def _download(debs):
    (debs / "partial").mkdir(parents=True, exist_ok=True)
    status = PEERS / "empty-status"
    status.write_text("")
    command = ["apt-get", "-q", "-y", "-o", f"Dir::State::status={status}", "-o", f"Dir::Cache::archives={debs}",
               "-o", "APT::Install-Recommends=false", "-o", "APT::Sandbox::User=root",
               "-o", "Dpkg::Use-Pty=false", "--download-only", "install", *WANTED]
    try:
        _run(command)
    except Unavailable:
        _run(["apt-get", "-q", "update"])
        _run(command)


def _unpack(debs, root):
    for name in ("bin", "sbin", "lib", "lib64"):
        (root / "usr" / name).mkdir(parents=True, exist_ok=True)
        if not (root / name).is_symlink():
            (root / name).symlink_to(f"usr/{name}")
    for deb in sorted(debs.glob("*.deb")):
        if deb.name.startswith(UNUSED):
            continue
        contents = subprocess.Popen(["dpkg-deb", "--fsys-tarfile", str(deb)], stdout=subprocess.PIPE)
        _untar(contents, root)


def _untar(contents, root):
    done = subprocess.run(["tar", "-x", "-p", "--keep-directory-symlink", "-C", str(root),
                           "--exclude=./usr/share/doc", "--exclude=./usr/share/man",
                           "--exclude=./usr/share/locale"],
                          stdin=contents.stdout, capture_output=True, text=True)
    contents.stdout.close()
    if contents.wait() != 0 or done.returncode != 0:
        raise Unavailable(f"unpacking a package failed: {done.stderr[-300:]}")


def _furnish(root):
    etc = root / "etc"
    (etc / "passwd").write_text(PASSWD)
    (etc / "group").write_text(GROUP)
    (etc / "hosts").write_text("127.0.0.1 localhost\n")
    (etc / "resolv.conf").write_text("")
    (etc / "nsswitch.conf").write_text("passwd: files\ngroup: files\nhosts: files\nservices: files\nprotocols: files\n")
    for folder in ("tmp", "run", "mail", "var/log", "root", "dev", "var/spool", "var/lib"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    (root / "tmp").chmod(0o1777)
    for name, minor in (("null", 3), ("zero", 5), ("full", 7), ("random", 8), ("urandom", 9)):
        path = root / "dev" / name
        if not path.exists():
            os.mknod(path, 0o666 | 0o020000, os.makedev(1, minor))
            path.chmod(0o666)
    _run(["ldconfig", "-r", str(root)])
    _run(["chroot", str(root), "/bin/sh", "-c", "echo x > /dev/null"])


def ensure():
    """The root's path, made first if needed. Raises Unavailable."""
    if os.geteuid() != 0:
        raise Unavailable("peers need root (chroot)")
    for tool in ("apt-get", "dpkg-deb", "tar", "chroot"):
        if not shutil.which(tool):
            raise Unavailable(f"peers need {tool}")
    PEERS.mkdir(parents=True, exist_ok=True)
    with open(PEERS / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        root = PEERS / "root"
        if (PEERS / STAMP).exists():
            return root
        shutil.rmtree(root, ignore_errors=True)
        root.mkdir()
        _download(PEERS / "debs")
        _unpack(PEERS / "debs", root)
        try:
            _furnish(root)
        except OSError as error:
            raise Unavailable(f"peers cannot be set up here: {error}") from error
        (PEERS / STAMP).write_text("")
        return root


if __name__ == "__main__":
    try:
        print(ensure())
    except Unavailable as error:
        print(f"peers are not available: {error}")
        raise SystemExit(1)
