"""An HTTPS server for policies of MTA-STS (RFC 8461), good and bad, and for reports that come in (RFC 8460).

    web = Policies(host, certificates)
    web.serve("shop.lab", Policy(policy("enforce", "mx.shop.lab")))
    web.serve("old.lab", Policy(policy("enforce", "*.old.lab"), certificate=expired))
    web.serve("moved.lab", Policy("", status=301, headers={"Location": "https://..."}))
    web.requests     # [(host name, path), ...]
    web.take_reports("reports.shop.lab", 503, 201)   # what it answers, the last for ever
    web.posts        # [(host name, path, headers, body), ...]
"""

import dataclasses
import http.server
import ssl
import threading
import time

PATH = "/.well-known/mta-sts.txt"


@dataclasses.dataclass
class Policy:
    text: str
    status: int = 200
    headers: dict = dataclasses.field(default_factory=dict)
    certificate: object = None  # else one that is right for the host
    delay: float = 0            # seconds before the first octet
    body: object = None         # gives chunks, which are sent without a length, in place of the text


def policy(mode, *mx, max_age=86400):
    return "version: STSv1\r\n" + f"mode: {mode}\r\n" + "".join(f"mx: {name}\r\n" for name in mx) + f"max_age: {max_age}\r\n"


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 200  # of all who come at once


class Policies:
    def __init__(self, host, certificates):
        self.certificates, self.policies, self.contexts, self.requests = certificates, {}, {}, []
        self.posts, self.answers = [], {}
        default = certificates.issue("web.lab").context()
        default.sni_callback = self._choose
        with host.inside():
            self.server = Server((host.ip4, 443), self._handler())
            self.server.socket = default.wrap_socket(self.server.socket, server_side=True, do_handshake_on_connect=False)
            threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def serve(self, domain, answer):
        name = f"mta-sts.{domain}"
        self.policies[name] = answer
        self.contexts[name] = (answer.certificate or self.certificates.issue(name)).context()

    def take_reports(self, name, *statuses, certificate=None):
        self.answers[name] = list(statuses)
        self.contexts[name] = (certificate or self.certificates.issue(name)).context()

    def _choose(self, connection, name, _context):
        if name in self.contexts:
            connection.context = self.contexts[name]

    def _handler(self):
        web = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            timeout = 30

            def do_GET(self):
                name = self.headers.get("Host", "")
                web.requests.append((name, self.path))
                answer = web.policies.get(name) if self.path == PATH else None
                self._send(answer or Policy("not here\r\n", status=404))

            def do_POST(self):
                name = self.headers.get("Host", "")
                body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
                web.posts.append((name, self.path, dict(self.headers), body))
                statuses = web.answers.get(name, [404])
                self._send(Policy("", status=statuses.pop(0) if len(statuses) > 1 else statuses[0]))

            def _send(self, answer):
                time.sleep(answer.delay)
                self.close_connection = answer.body is not None
                length = {} if answer.body else {"Content-Length": str(len(answer.text))}
                self.send_response(answer.status)
                for name, value in {"Content-Type": "text/plain", **length, **answer.headers}.items():
                    if value is not None:
                        self.send_header(name, value)
                self.end_headers()
                for chunk in answer.body() if answer.body else (answer.text.encode(),):
                    self.wfile.write(chunk)

            def log_message(self, *_):
                pass

            def handle(self):
                try:
                    super().handle()
                except (OSError, ssl.SSLError):
                    pass
        return Handler
