"""Messages for tests, and looking for them."""

import email
import email.policy
import hashlib
import random

import harness
import wire


def message(subject, body="Hello.\r\n", sender="sender@client.example", to="me@localhost", extra=""):
    return (f"From: {sender}\r\nTo: {to}\r\nSubject: {subject}\r\nDate: Mon, 02 Nov 2026 10:00:00 +0000\r\n"
            f"Message-ID: <{abs(hash((subject, body)))}@client.example>\r\n{extra}\r\n{body}").encode()


def sized(subject, size, seed=0):
    """A message of exactly `size` bytes in short CRLF lines; its content depends on the seed."""
    head = (f"From: <s@client.example>\r\nTo: <me@localhost>\r\nSubject: {subject}\r\n"
            "Date: Mon, 02 Nov 2026 10:00:00 +0000\r\nMessage-ID: <"
            f"{subject}@client.example>\r\n\r\n").encode()
    source = random.Random(seed)
    lines, have = [head], len(head)
    while size - have > 80:
        line = b"%x" % source.getrandbits(300)
        line = line[:70].ljust(70, b"x") + b"\r\n"
        lines.append(line)
        have += len(line)
    rest = size - have
    if rest >= 2:
        lines.append(b"y" * (rest - 2) + b"\r\n")
    return b"".join(lines)




def digest(octets):
    return hashlib.sha256(octets).hexdigest()


def look(server, user, mailbox=b"INBOX"):
    with wire.Imap(server.imap) as imap:
        return list(imap.login(user).bodies(mailbox=mailbox).values())


def arrived(server, user, marker, n=1, seconds=15):
    """The messages of a user that hold marker, once there are n."""
    found = []

    def there():
        found[:] = [whole for whole in look(server, user) if marker in whole]
        return len(found) >= n

    harness.wait_for(there, seconds, every=0.1)
    return found


def parsed(whole):
    return email.message_from_bytes(whole, policy=email.policy.default)
