"""Raw SMTP and IMAP over a socket: what polite client libraries would not send or show."""

import socket
import ssl


def tls_context():
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


class Wire:
    def __init__(self, address, seconds=20, tls=False):
        self.socket = socket.create_connection(address, seconds)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if tls:
            self.socket = tls_context().wrap_socket(self.socket)
        self.buffer = b""

    def send(self, data):
        self.socket.sendall(data)

    def _more(self):
        more = self.socket.recv(65536)
        if not more:
            raise EOFError("the server closed the connection")
        self.buffer += more

    def line(self):
        """The next line with its CRLF."""
        while b"\n" not in self.buffer:
            self._more()
        line, _, self.buffer = self.buffer.partition(b"\n")
        return line + b"\n"

    def exactly(self, n):
        chunks = [self.buffer]
        have = len(self.buffer)
        while have < n:
            more = self.socket.recv(1 << 20)
            if not more:
                raise EOFError("the server closed the connection")
            chunks.append(more)
            have += len(more)
        whole = b"".join(chunks)
        self.buffer = whole[n:]
        return whole[:n]

    def starttls(self):
        self.socket = tls_context().wrap_socket(self.socket)
        self.buffer = b""

    def closed(self):
        """True when the server has ended the connection (waits for the socket's timeout at most)."""
        try:
            self._more()
        except (EOFError, ConnectionError):
            return True
        except TimeoutError:
            return False
        return False

    def close(self):
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Smtp(Wire):
    def __init__(self, address, greet=True, **options):
        super().__init__(address, **options)
        if greet:
            self.expect(220)

    def reply(self):
        """(code, text lines) of one reply."""
        lines = []
        while True:
            line = self.line().rstrip(b"\r\n")
            lines.append(line[4:])
            if line[3:4] != b"-":
                return int(line[:3]), lines

    def expect(self, *codes):
        code, lines = self.reply()
        if code not in codes:
            raise AssertionError(f"expected {codes}, got {code} {lines}")
        return code, lines

    def command(self, line, *codes):
        self.send(line if line.endswith(b"\n") else line + b"\r\n")
        return self.expect(*codes) if codes else self.reply()

    def ehlo(self):
        return self.command(b"EHLO client.example", 250)[1]

    def envelope(self, sender, recipients, parameters=b""):
        self.command(b"MAIL FROM:<" + sender + b">" + parameters, 250)
        for recipient in recipients:
            self.command(b"RCPT TO:<" + recipient + b">", 250)

    def deliver(self, sender, recipients, message):
        """The reply to the whole message. message has CRLF line ends; dots are stuffed here."""
        self.envelope(sender, recipients)
        self.command(b"DATA", 354)
        stuffed = (b"\r\n" + message).replace(b"\r\n.", b"\r\n..")[2:]
        self.send(stuffed + (b"" if stuffed.endswith(b"\r\n") else b"\r\n") + b".\r\n")
        return self.reply()


class Response:
    """One untagged or tagged response: `line` has literals replaced by {n}, `literals` holds them."""

    def __init__(self, line, literals):
        self.line, self.literals = line, literals

    def parsed(self):
        return parse(self)


class Imap(Wire):
    def __init__(self, address, greet=True, **options):
        super().__init__(address, **options)
        self.serial = 0
        if greet:
            self.greeting = self.response().line

    def response(self):
        parts, literals = [], []
        while True:
            line = self.line()
            parts.append(line)
            stripped = line.rstrip(b"\r\n")
            if not stripped.endswith(b"}") or b"{" not in stripped:
                return Response(b"".join(parts).rstrip(b"\r\n"), literals)
            size = stripped[stripped.rindex(b"{") + 1:-1]
            if not size.isdigit():
                return Response(b"".join(parts).rstrip(b"\r\n"), literals)
            literals.append(self.exactly(int(size)))

    def command(self, text, *literals, expect=b"OK"):
        """Untagged responses up to the tagged one, which must be `expect` (None: any).

        Each literal fills one %b in text and is sent synchronizing."""
        self.serial += 1
        tag = b"t%d" % self.serial
        pieces = text.split(b"%b")
        self.send(tag + b" ")
        untagged = []
        for index, piece in enumerate(pieces):
            if index < len(literals):
                self.send(piece + b"{%d}\r\n" % len(literals[index]))
                answer = self.response()
                while answer.line.startswith(b"* "):
                    untagged.append(answer)
                    answer = self.response()
                if not answer.line.startswith(b"+"):
                    return self._finish(tag, answer, untagged, expect)
                self.send(literals[index])
            else:
                self.send(piece + b"\r\n")
        return self._collect(tag, untagged, expect)

    def _collect(self, tag, untagged, expect):
        while True:
            answer = self.response()
            if answer.line.startswith(tag + b" "):
                return self._finish(tag, answer, untagged, expect)
            untagged.append(answer)

    def _finish(self, tag, answer, untagged, expect):
        self.tagged = answer.line[len(tag) + 1:]
        if expect is not None and not self.tagged.upper().startswith(expect):
            raise AssertionError(f"expected {expect!r}, got {answer.line!r} after {[u.line for u in untagged][-3:]}")
        return untagged

    def login(self, user="me@localhost", password="mailkeep"):
        self.command(f'LOGIN "{user}" "{password}"'.encode())
        return self

    def bodies(self, item=b"BODY.PEEK[]", mailbox=b"INBOX"):
        """Every message of a mailbox, as {uid: bytes}."""
        untagged = self.command(b"SELECT " + mailbox)
        if any(r.line.upper() == b"* 0 EXISTS" for r in untagged):
            return {}
        found = {}
        for answer in self.command(b"UID FETCH 1:* (UID " + item + b")"):
            fields = fetch_fields(answer)
            if fields and b"UID" in fields:
                key = next(k for k in fields if k.startswith(b"BODY["))
                found[int(fields[b"UID"])] = fields[key]
        return found


def parse(response):
    """A response as nested lists of bytes; NIL is None, literals and quoted strings are bytes."""
    line, literals, index = response.line, list(response.literals), 0
    stack, current, n = [], [], len(line)
    while index < n:
        byte = line[index:index + 1]
        if byte in b" \r\n":
            index += 1
        elif byte == b"(":
            stack.append(current)
            current = []
            index += 1
        elif byte == b")":
            stack[-1].append(current)
            current = stack.pop()
            index += 1
        elif byte == b'"':
            text, index = _quoted(line, index + 1)
            current.append(text)
        elif byte in (b"{", b"~") and b"}" in line[index:]:
            index = line.index(b"}", index) + 1
            current.append(literals.pop(0))
        else:
            end = index
            depth = 0
            while end < n and (depth or line[end:end + 1] not in (b" ", b"(", b")", b"\r", b"\n")):
                depth += {b"[": 1, b"]": -1}.get(line[end:end + 1], 0)
                end += 1
            atom = line[index:end]
            current.append(None if atom.upper() == b"NIL" else atom)
            index = end
    return current


def _quoted(line, index):
    text = bytearray()
    while line[index] != 0x22:
        if line[index] == 0x5C:
            index += 1
        text.append(line[index])
        index += 1
    return bytes(text), index + 1


def fetch_fields(response):
    """{item name: value} of `* n FETCH (...)`, None for other responses."""
    if b" FETCH " not in response.line[:40].upper():
        return None
    items = parse(response)[3]
    return {items[i].upper() if isinstance(items[i], bytes) else items[i]: items[i + 1]
            for i in range(0, len(items) - 1, 2)}
