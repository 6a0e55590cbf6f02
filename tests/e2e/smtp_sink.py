"""An SMTP server for tests of our client: takes mail, remembers all of it, and misbehaves on demand.

    sink = smtp_sink.Sink("127.0.0.2", extensions=["PIPELINING", "8BITMIME"], tls=context)
    sink.answers["RCPT"] = ["450 4.2.0 later"]      # used up in order; then as usual
    sink.start();  sink.port, sink.messages, sink.connections;  sink.stop()

A message is what was accepted: sender, recipients, bytes, whether over TLS and as whom. Misbehaviour:
    greeting, early (bytes sent with the greeting), after_starttls (bytes behind its 220 in clear),
    endless (a verb that is answered by lines without end), drop_after (n bytes of output, then the line
    drops), handshake "reset", "garbage" or "stall" instead of TLS, mute (a verb that is never answered).
SASL by hand, from the RFCs and hashlib: PLAIN, LOGIN, CRAM-MD5, SCRAM-SHA-1, SCRAM-SHA-256 and, with
tls-server-end-point or tls-unique, their PLUS forms.
"""

import base64
import contextlib
import hashlib
import hmac
import pathlib
import secrets
import socket
import ssl
import subprocess
import threading

USER, PASSWORD = "ada", "correct horse"


class Dropped(Exception):
    """The connection ended, by either side."""


def free_port(ip):
    with socket.socket(socket.AF_INET6 if ":" in ip else socket.AF_INET) as probe:
        probe.bind((ip, 0))
        return probe.getsockname()[1]


class Sink:
    def __init__(self, ip, port=0, *, extensions=(), tls=None, implicit=False, mechanisms=(), end_point=b""):
        self.ip, self.wanted_port = ip, port
        self.extensions, self.tls, self.implicit, self.mechanisms = list(extensions), tls, implicit, list(mechanisms)
        self.end_point = end_point  # hash of our certificate, for channel binding
        self.greeting = "220 sink.example ESMTP"
        self.ehlo = True
        self.answers = {}
        self.early = self.after_starttls = b""
        self.endless = self.mute = self.handshake = None
        self.drop_after = None  # or a function of the connection's number
        self.messages, self.connections, self.commands, self.failures = [], 0, [], []
        self.lock = threading.Lock()
        self.socket = None

    def start(self):
        self.socket = socket.socket(socket.AF_INET6 if ":" in self.ip else socket.AF_INET)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind((self.ip, self.wanted_port))
        self.socket.listen(50)
        self.port = self.socket.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def stop(self):
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()

    def _accept(self):
        while True:
            try:
                connection, _ = self.socket.accept()
            except OSError:
                return
            with self.lock:
                self.connections += 1
                number = self.connections
            threading.Thread(target=self._serve, args=(connection, number), daemon=True).start()

    def _serve(self, connection, number):
        session = Session(self, connection, number)
        try:
            session.run()
        except (Dropped, OSError):
            pass
        except Exception as error:  # shown by the test
            self.failures.append(repr(error))
        finally:
            session.close()

    def next_answer(self, verb):
        with self.lock:
            left = self.answers.get(verb)
            return left.pop(0) if left else None


class Session:
    def __init__(self, sink, connection, number):
        self.sink, self.connection, self.number = sink, connection, number
        self.connection.settimeout(20)
        self.buffer, self.sent = b"", 0
        self.over_tls, self.user, self.helo = False, None, None
        self.limit = sink.drop_after(number) if callable(sink.drop_after) else sink.drop_after
        self.reset()

    def reset(self):
        self.sender, self.recipients, self.parts = None, [], []

    def close(self):
        with contextlib.suppress(OSError):
            self.connection.close()

    # --- bytes ---

    def send(self, data):
        if self.limit is not None and self.sent + len(data) > self.limit:
            data = data[:max(0, self.limit - self.sent)]
            if data:
                self.connection.sendall(data)
            raise Dropped
        self.sent += len(data)
        self.connection.sendall(data)

    def say(self, text):
        self.send(text.encode() + b"\r\n")

    def more(self):
        data = self.connection.recv(65536)
        if not data:
            raise Dropped
        self.buffer += data

    def line(self):
        while b"\r\n" not in self.buffer:
            self.more()
        line, self.buffer = self.buffer.split(b"\r\n", 1)
        return line

    def exactly(self, n):
        while len(self.buffer) < n:
            self.more()
        data, self.buffer = self.buffer[:n], self.buffer[n:]
        return data

    # --- the conversation ---

    def run(self):
        if self.sink.implicit:
            self.start_tls()
        answer = self.sink.next_answer("GREETING") or self.sink.greeting
        if answer:
            self.send(answer.encode() + b"\r\n" + self.sink.early)
        while True:
            line = self.line().decode("utf-8", "surrogateescape")
            verb = line.split(" ", 1)[0].upper()
            self.sink.commands.append((self.number, line))
            if verb == self.sink.mute:
                self.line()
            if verb == self.sink.endless:
                while True:
                    self.say("250-and so on")
            answer = self.sink.next_answer(verb)
            if answer is not None:
                self.say(answer)
                if answer.startswith("421"):
                    raise Dropped
                if verb != "DATA" or not answer.startswith("354"):
                    continue
            if not self.command(verb, line, answer):
                return

    def command(self, verb, line, answered):
        argument = line.partition(" ")[2]
        if verb == "EHLO":
            self.hello(argument)
        elif verb == "HELO":
            self.helo = argument
            self.say("250 sink.example")
        elif verb == "STARTTLS" and self.sink.tls and not self.over_tls:
            self.send(b"220 go ahead\r\n" + self.sink.after_starttls)
            self.start_tls()
        elif verb == "AUTH" and self.sink.mechanisms:
            self.auth(argument)
        elif verb == "MAIL":
            self.reset()
            self.sender = argument
            self.say("250 2.1.0 ok")
        elif verb == "RCPT":
            self.recipients.append(argument)
            self.say("250 2.1.5 ok")
        elif verb == "DATA":
            if not answered:
                self.say("354 go on")
            self.data()
        elif verb == "BDAT":
            self.bdat(argument)
        elif verb == "RSET":
            self.reset()
            self.say("250 2.0.0 ok")
        elif verb == "NOOP":
            self.say("250 2.0.0 ok")
        elif verb == "QUIT":
            self.say("221 2.0.0 bye")
            return False
        else:
            self.say("500 5.5.1 what?")
        return True

    def hello(self, name):
        if not self.sink.ehlo:
            self.say("502 5.5.1 no EHLO here")
            return
        self.helo = name
        lines = ["sink.example"] + self.sink.extensions
        if self.sink.tls and not self.over_tls:
            lines.append("STARTTLS")
        if self.sink.mechanisms:
            lines.append("AUTH " + " ".join(self.sink.mechanisms))
        for line in lines[:-1]:
            self.say("250-" + line)
        self.say("250 " + lines[-1])

    def accept(self, data):
        answer = self.sink.next_answer("END") or "250 2.0.0 taken"
        taken = answer.startswith("2")
        message = {"sender": self.sender, "recipients": self.recipients, "data": data, "tls": self.over_tls,
                   "user": self.user, "helo": self.helo, "connection": self.number}
        self.reset()
        if taken:
            with self.sink.lock:
                self.sink.messages.append(message)
        self.say(answer)
        if answer.startswith("421"):
            raise Dropped

    def data(self):
        while b"\r\n.\r\n" not in b"\r\n" + self.buffer:
            self.more()
        data, self.buffer = (b"\r\n" + self.buffer).split(b"\r\n.\r\n", 1)
        self.accept((data + b"\r\n")[2:].replace(b"\r\n..", b"\r\n."))

    def bdat(self, argument):
        size, *last = argument.split()
        self.parts.append(self.exactly(int(size)))
        if last:
            self.accept(b"".join(self.parts))
        else:
            self.say("250 2.0.0 chunk taken")

    # --- TLS ---

    def start_tls(self):
        if self.sink.handshake == "garbage":
            self.connection.recv(1)  # the client has begun: what comes with the 220 is refused as injected
            self.send(b"\x00\x01 this is no TLS\r\n" * 20)
            raise Dropped
        if self.sink.handshake == "reset":
            raise Dropped
        if self.sink.handshake == "stall":
            self.line()
        self.connection = self.sink.tls.wrap_socket(self.connection, server_side=True)
        self.over_tls, self.buffer = True, b""

    # --- SASL ---

    def challenge(self, data):
        self.say("334 " + base64.b64encode(data).decode())
        return base64.b64decode(self.line())

    def auth(self, argument):
        mechanism, _, initial = argument.partition(" ")
        first = base64.b64decode(initial) if initial and initial != "=" else None
        good = False
        if mechanism in self.sink.mechanisms:
            good = getattr(self, "auth_" + mechanism.split("-")[0].lower())(mechanism, first)
        if good:
            self.user = USER
        self.say(f"235 2.7.0 welcome by {mechanism}" if good else "535 5.7.8 wrong")

    def auth_plain(self, _, first):
        if first is None:
            first = self.challenge(b"")
        return first.split(b"\0") == [b"", USER.encode(), PASSWORD.encode()]

    def auth_login(self, _, first):
        user = first if first is not None else self.challenge(b"Username:")
        return (user, self.challenge(b"Password:")) == (USER.encode(), PASSWORD.encode())

    def auth_cram(self, _, first):
        challenge = f"<{secrets.token_hex(8)}@sink.example>".encode()
        user, _, digest = self.challenge(challenge).decode().rpartition(" ")
        wanted = hmac.new(PASSWORD.encode(), challenge, hashlib.md5).hexdigest()
        return user == USER and hmac.compare_digest(digest, wanted)

    def binding(self, kind):
        """RFC 5056: what both ends of this TLS connection know."""
        if kind == "tls-server-end-point":
            return self.sink.end_point
        if kind in ssl.CHANNEL_BINDING_TYPES:
            return self.connection.get_channel_binding(kind)
        return b"unknown"

    def auth_scram(self, mechanism, first):
        """RFC 5802 section 3, RFC 7677."""
        name = "sha256" if "256" in mechanism else "sha1"
        if first is None:
            first = self.challenge(b"")
        flag, _, bare = first.decode().split(",", 2)
        if (flag[0] == "p") != mechanism.endswith("-PLUS"):
            return False
        fields = dict(part.split("=", 1) for part in bare.split(","))
        nonce, salt, rounds = fields["r"] + secrets.token_hex(8), secrets.token_bytes(16), 4096
        server_first = f"r={nonce},s={base64.b64encode(salt).decode()},i={rounds}"
        final = self.challenge(server_first.encode()).decode()
        without_proof, _, proof = final.rpartition(",p=")
        fields = dict(part.split("=", 1) for part in without_proof.split(","))
        bound = f"{flag},,".encode() + (self.binding(flag[2:]) if flag[0] == "p" else b"")
        salted = hashlib.pbkdf2_hmac(name, PASSWORD.encode(), salt, rounds)
        client_key = hmac.new(salted, b"Client Key", name).digest()
        message = f"{bare},{server_first},{without_proof}".encode()
        signature = hmac.new(hashlib.new(name, client_key).digest(), message, name).digest()
        wanted = bytes(a ^ b for a, b in zip(client_key, signature))
        good = (base64.b64decode(proof) == wanted and fields["r"] == nonce and f"n={USER}" in bare
                and base64.b64decode(fields["c"]) == bound)
        if good:
            server_key = hmac.new(salted, b"Server Key", name).digest()
            signature = hmac.new(server_key, message, name).digest()
            self.challenge(b"v=" + base64.b64encode(signature))
        return good


# --- certificates ---

class Authority:
    """A throw-away authority below `folder`, made by openssl(1)."""

    def __init__(self, folder, name="ca"):
        self.folder = pathlib.Path(folder)
        self.certificate, self.key = self.folder / f"{name}.pem", self.folder / f"{name}.key"
        self._openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30",
                      "-subj", f"/CN=Test {name}", "-keyout", self.key, "-out", self.certificate)

    @staticmethod
    def _openssl(*arguments):
        subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)

    def issue(self, label, alt_names):
        """(PEM of the certificate, PEM of the key); alt_names as "DNS:mx.example,IP:127.0.0.2"."""
        certificate, key = self.folder / f"{label}.pem", self.folder / f"{label}.key"
        request, extensions = self.folder / f"{label}.csr", self.folder / f"{label}.ext"
        extensions.write_text(f"subjectAltName={alt_names}\n")
        self._openssl("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj",
                      f"/CN={label}", "-keyout", key, "-out", request)
        self._openssl("x509", "-req", "-in", request, "-CA", self.certificate, "-CAkey", self.key, "-CAcreateserial",
                      "-days", "30", "-sha256", "-extfile", extensions, "-out", certificate)
        return certificate, key

    def context(self, label, alt_names, *, oldest=ssl.TLSVersion.TLSv1_2, newest=None):
        """(server context, hash of its certificate for tls-server-end-point)."""
        certificate, key = self.issue(label, alt_names)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        context.minimum_version = oldest
        if newest:
            context.maximum_version = newest
        der = ssl.PEM_cert_to_DER_cert(certificate.read_text())
        return context, hashlib.sha256(der).digest()
