"""Calls that reach the system stand in os/ only, so that what a room can do is seen in one place.

(Calls that can hardly be used safely at all are refused by the compiler: src/base/banned.h.)
"""

import re

from . import tree

GROUPS = {
    "files": "open openat openat2 creat fopen freopen fdopen opendir mkstemp tmpfile unlink unlinkat rename renameat "
             "renameat2 mkdir mkdirat rmdir link linkat symlink symlinkat truncate",
    "sockets": "socket socketpair accept accept4 connect bind listen getaddrinfo gethostbyname getnameinfo",
    "processes": "fork vfork clone clone3 execv execve execvp execvpe execl execlp execle fexecve posix_spawn "
                 "posix_spawnp ptrace kill setuid setgid setresuid setresgid setgroups chroot unshare setns",
    "loading": "dlopen dlsym iconv_open",
    "logging": "syslog openlog perror",
}

# file or folder: (groups, why it is right there)
ALLOWED = {
    "src/os/": ("files sockets processes logging", "this is the place"),
    "src/store/blob.c": ("files", "message files below the account's own directory, all relative to its fd"),
    "src/store/store.c": ("files", "opens the account's directory again relative to the given fd"),
    "src/store/spool.c": ("files", "temporary files within the account's directory"),
    "src/vault/sealed_file.c": ("files", "secrets are written beside and renamed, relative to the vault's fd"),
    "src/config/edit.c": ("files", "edits are written beside and renamed, never in place"),
    "src/rooms/sockets.c": ("sockets", "the supervisor alone binds; rooms inherit"),
    "src/text/charset.c": ("loading", "the one user of iconv; rooms warm it before their sandbox closes"),
    "src/cli/control.c": ("sockets", "the client of the control socket; runs in the user's command, outside the house"),
    "src/cli/sendmail_connect.c": ("sockets", "sendmail is a client of its own, in the user's command, outside the house"),
    "src/cli/": ("files processes", "commands run as their user, outside the house, on paths that the user names"),
    "src/base/fuzz_replay.c": ("files", "a test program's main"),
}

CALL = re.compile(r"(?<![\w.>])(" + "|".join(sorted(set(" ".join(GROUPS.values()).split()), key=len, reverse=True))
                  + r")[ \t]*\(")
GROUP_OF = {call: group for group, calls in GROUPS.items() for call in calls.split()}


def allowed_groups(name):
    return {group for place, (groups, _) in ALLOWED.items() if name == place or (place.endswith("/") and name.startswith(place))
            for group in groups.split()}


def check_calls():
    """System calls that open, connect or start things stand in os/, or in tools/checks/calls.py with a reason."""
    found = []
    for name in tree.sources(".c", ".h"):
        if tree.is_test(name):
            continue
        allowed = allowed_groups(name)
        for match in CALL.finditer(tree.code(name)):
            if GROUP_OF[match.group(1)] not in allowed and not _is_declaration(name, match):
                found.append(f"{name}:{tree.line_of(name, match.start())}: {match.group(1)}() outside os/")
    return found


def _is_declaration(name, match):
    """`struct status (*open)(` and prototypes of our own of the same name."""
    before = tree.code(name)[max(0, match.start() - 60):match.start()]
    return re.search(r"(struct \w+|int|void|bool|\*)[ \t\n]*\**$", before) is not None
