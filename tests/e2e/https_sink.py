"""An HTTPS server for tests of our client: says what a test wants, byte by byte.

    server = https_sink.Server("127.0.0.2", context, https_sink.saying(https_sink.answer()))
    server.port, server.requests, server.names (SNI), server.n_connections;  server.stop()
"""

import socket
import threading

SECONDS = 60
POLICY = b"version: STSv1\r\nmode: enforce\r\nmx: mx.example.com\r\nmax_age: 604800\r\n"


def answer(body=POLICY, status="200 OK", kind="text/plain", *fields, length=None, version="HTTP/1.1"):
    lines = [f"{version} {status}"]
    if kind is not None:
        lines.append(f"Content-Type: {kind}")
    if length is not False:
        lines.append(f"Content-Length: {len(body) if length is None else length}")
    return "\r\n".join([*lines, *fields, "", ""]).encode() + body


def chunked(*parts, last=b"0\r\n\r\n"):
    return b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts) + last


class Server:
    """Serves each connection by `serve(socket)`, TLS in between where there is a context."""

    def __init__(self, ip, context, serve, port=0):
        self.context, self.serve = context, serve
        self.listener = socket.create_server((ip, port), backlog=16)
        self.ip, self.port = self.listener.getsockname()[:2]
        self.requests, self.names, self.n_connections = [], [], 0
        self.ended = threading.Event()
        if context:
            context.sni_callback = lambda _, name, __: self.names.append(name)
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            self.n_connections += 1
            threading.Thread(target=self._one, args=(connection,), daemon=True).start()

    def _one(self, connection):
        connection.settimeout(SECONDS)
        try:
            with connection:
                if self.context:
                    connection = self.context.wrap_socket(connection, server_side=True)
                with connection:
                    self.serve(self, connection)
        except OSError:
            pass

    def read_request(self, connection):
        data = b""
        while b"\r\n\r\n" not in data:
            got = connection.recv(4096)
            if not got:
                break
            data += got
        self.requests.append(data.decode("latin-1"))

    def stop(self):
        self.ended.set()
        try:
            self.listener.shutdown(socket.SHUT_RDWR)  # wakes the thread that accepts, too
        except OSError:
            pass
        self.listener.close()


def saying(data):
    def serve(server, connection):
        server.read_request(connection)
        connection.sendall(data)
    return serve


def saying_and_waiting(data):
    def serve(server, connection):
        server.read_request(connection)
        connection.sendall(data)
        server.ended.wait(SECONDS)
    return serve


def endless(head, piece):
    def serve(server, connection):
        server.read_request(connection)
        connection.sendall(head)
        while not server.ended.is_set():
            connection.sendall(piece)
    return serve


def trickle(head, piece, pause=0.05):
    def serve(server, connection):
        server.read_request(connection)
        connection.sendall(head)
        while not server.ended.wait(pause):
            connection.sendall(piece)
    return serve
