#!/usr/bin/env python3
"""The policy fetch by HTTPS against servers that a test controls: redirects, stalls, endless answers, wrong
certificates, compressed answers, what the environment says. Runs https_try (the courier's own code behind the
courier's own walls).
"""

import json
import os
import pathlib
import shutil
import socket
import ssl
import subprocess
import tempfile
import unittest
import zlib

import harness
import smtp_sink
from https_sink import POLICY, Server, answer, chunked, endless, saying, saying_and_waiting, trickle

TRY = pathlib.Path(harness.PROGRAM).parent / "src" / "delivery" / "https_try"
HOST = "mta-sts.example.com"
SECONDS = 60


@unittest.skipIf(harness.is_peer(), "of our own courier")
class FetchCase(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = pathlib.Path(tempfile.mkdtemp(prefix="mailkeep-https-"))
        cls.addClassCleanup(shutil.rmtree, cls.folder, True)
        cls.authority = smtp_sink.Authority(cls.folder)
        cls.other = smtp_sink.Authority(cls.folder, "other")
        cls.good, _ = cls.authority.context("good", f"DNS:{HOST}")

    def setUp(self):
        self.ip = harness.own_ip()

    def server(self, serve, context=None, ip=None):
        server = Server(ip or self.ip, self.good if context is None else context, serve)
        self.addCleanup(server.stop)
        return server

    def fetch(self, server, *arguments, host=HOST, ips=None, environment=None, timeout_ms=5000):
        done = subprocess.run(
            [TRY, "--host", host, "--port", str(server.port), "--ip", ips or server.ip, "--ca", self.authority.certificate,
             "--timeout", str(timeout_ms), *arguments],
            capture_output=True, timeout=SECONDS, env={**os.environ, **(environment or {})}, cwd=self.folder)
        self.assertEqual(done.returncode, 0, done.stderr.decode())
        return json.loads(done.stdout.decode().splitlines()[-1])

    def expect(self, failure, serve, *arguments, why="", **options):
        server = self.server(serve, options.pop("context", None))
        got = self.fetch(server, *arguments, **options)
        self.assertEqual(got["failure"], failure, got)
        self.assertIn(why, got["why"])
        self.assertEqual(bool(got["why"]), failure != "ok")
        if failure != "ok":
            self.assertEqual(got["size"], 0)
        return server, got


def taking(status):
    """Reads all of a POST, then answers."""
    def serve(server, connection):
        data = b""
        while b"\r\n\r\n" not in data:
            data += connection.recv(65536)
        head, content = data.split(b"\r\n\r\n", 1)
        size = int(dict(line.lower().split(": ", 1) for line in head.decode().splitlines()[1:])["content-length"])
        while len(content) < size:
            content += connection.recv(65536)
        server.requests.append(head.decode())
        server.contents = getattr(server, "contents", []) + [content]
        connection.sendall(answer(b"thanks" if status[0] != "204" else b"", status, "text/html"))
    return serve


class Post(FetchCase):
    def test_a_report_is_taken_with_any_2xx(self):
        for status, size in (("200 OK", 1), ("201 Created", 100), ("202 Accepted", 3000000), ("204 No Content", 70000)):
            with self.subTest(status):
                server, got = self.expect("ok", taking(status), "--post", str(size), "--path", "/take?x=y")
                head = server.requests[0]
                self.assertTrue(head.startswith("POST /take?x=y HTTP/1.1\r\n"), head)
                self.assertIn("Content-Type: application/tlsrpt+gzip", head)
                self.assertNotIn("Expect", head)
                self.assertEqual(server.contents, [b"x" * size])
                self.assertEqual(got["size"], 0)

    def test_other_answers_are_failures(self):
        self.expect("status", taking("400 Bad Request"), "--post", "5", why="400")
        self.expect("status", taking("503 Busy"), "--post", "5", why="503")
        self.expect("redirect", taking("307 Elsewhere"), "--post", "5")
        self.expect("protocol", saying(b""), "--post", "5")

    def test_a_wrong_certificate_gets_nothing(self):
        wrong, _ = self.other.context("wrong", f"DNS:{HOST}")
        server, _ = self.expect("certificate", taking("200 OK"), "--post", "5", context=wrong)
        self.assertEqual(server.requests, [])


class Good(FetchCase):
    def test_the_policy_comes_as_it_is(self):
        server, got = self.expect("ok", saying(answer()))
        self.assertEqual(got["body"].encode(), POLICY)
        self.assertEqual((got["status"], got["type"], got["address"]), (200, "text/plain", self.ip))
        self.assertTrue(got["verified"])
        self.assertEqual(server.names, [HOST])

    def test_the_request_says_no_more_than_it_must(self):
        server, _ = self.expect("ok", saying(answer()))
        request = server.requests[0]
        self.assertTrue(request.startswith("GET /.well-known/mta-sts.txt HTTP/1.1\r\n"), request)
        fields = {line.split(":")[0].lower() for line in request.split("\r\n")[1:] if line}
        self.assertEqual(fields, {"host", "accept"})

    def test_all_framings_of_http(self):
        for data in (
                answer(version="HTTP/1.0"),
                answer(length=False, version="HTTP/1.0"),
                answer(length=False),
                answer(chunked(POLICY[:10], POLICY[10:]), "200 OK", "text/plain", "Transfer-Encoding: chunked", length=False),
                answer(chunked(POLICY, last=b"0\r\nTrailer: x\r\n\r\n"), "200 OK", "text/plain",
                       "Transfer-Encoding: Chunked", length=False),
                b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nContent-Type: x\r\n\r\n" + answer(),
                answer(POLICY, "200 OK", "Text/PLAIN; charset=utf-8; x=y"),
                answer(POLICY, "200 OK", "text/plain", "Content-Encoding: identity"),
                answer(POLICY, "200 fine, whatever", "text/plain"),
        ):
            with self.subTest(data=data[:60]):
                _, got = self.expect("ok", saying(data))
                self.assertEqual(got["body"].encode(), POLICY)

    def test_an_empty_policy_and_one_of_the_full_size(self):
        self.expect("ok", saying(answer(b"")))
        _, got = self.expect("ok", saying(answer(b"x" * 65536)))
        self.assertEqual(got["size"], 65536)

    def test_the_next_address_serves_when_the_first_does_not(self):
        server = self.server(saying(answer()))
        dead = harness.own_ip()
        got = self.fetch(server, ips=f"{dead},{server.ip}")
        self.assertEqual((got["failure"], got["address"]), ("ok", server.ip))

    def test_ipv6(self):
        try:
            server = Server("::1", self.good, saying(answer())) if socket.has_ipv6 else None
        except OSError:
            self.skipTest("this machine has no IPv6")
        self.addCleanup(server.stop)
        got = self.fetch(server, ips="::1")
        self.assertEqual((got["failure"], got["address"]), ("ok", "::1"))

    def test_many_fetches_in_one_process(self):
        server = self.server(saying(answer()))
        got = self.fetch(server, "--times", "20")
        self.assertEqual(got["failure"], "ok")
        self.assertEqual(server.n_connections, 20)


class Refused(FetchCase):
    def test_redirects_are_not_followed(self):
        target = self.server(saying(answer()))
        for status in (301, 302, 303, 307, 308):
            with self.subTest(status=status):
                _, got = self.expect("redirect", saying(answer(
                    b"", f"{status} Moved", "text/plain", f"Location: https://{HOST}:{target.port}/x")))
                self.assertEqual(got["status"], status)
        self.assertEqual(target.n_connections, 0)

    def test_other_statuses(self):
        for status in ("404 Not Found", "500 Oops", "201 Created", "204 No Content", "206 Partial Content",
                       "401 Unauthorized\r\nWWW-Authenticate: Basic realm=x", "999 x"):
            with self.subTest(status=status):
                server, _ = self.expect("status", saying(answer(POLICY, status)))
                self.assertEqual(server.n_connections, 1)

    def test_other_media_types(self):
        for kind in ("text/html", "application/octet-stream", "text/plain2", "text", "", None, "image/png; text/plain"):
            with self.subTest(kind=kind):
                self.expect("type", saying(answer(POLICY, "200 OK", kind)), why="media type")
        self.expect("ok", saying(answer(POLICY, "200 OK", "text/html")), "--type", "")

    def test_nothing_is_unpacked(self):
        bomb = zlib.compress(b"\0" * 50_000_000, 9)
        pack = zlib.compressobj(9, zlib.DEFLATED, 31)
        gzip = pack.compress(POLICY) + pack.flush()
        for data in (
                answer(gzip, "200 OK", "text/plain", "Content-Encoding: gzip"),
                answer(bomb, "200 OK", "text/plain", "Content-Encoding: deflate"),
                answer(bomb, "200 OK", "text/plain", "Content-Encoding: gzip, deflate, br"),
                answer(bomb, "200 OK", "text/plain", "Content-Encoding: identity", "Content-Encoding: gzip"),
                answer(chunked(gzip), "200 OK", "text/plain", "Transfer-Encoding: gzip, chunked", length=False),
                answer(chunked(bomb), "200 OK", "text/plain", "Transfer-Encoding: deflate, chunked", length=False),
        ):
            with self.subTest(data=data[:100]):
                self.expect("encoding", saying(data), why="compressed")

    def test_what_is_no_http(self):
        for data in (b"", b"hello\r\n", POLICY, b"HTTP/1.1\r\n\r\n", b"\0" * 100, b"SSH-2.0-x\r\n\r\n",
                     answer(POLICY, "0 x"), answer(POLICY, length=1000),
                     answer(b"zz\r\n", "200 OK", "text/plain", "Transfer-Encoding: chunked", length=False),
                     answer(chunked(POLICY, last=b""), "200 OK", "text/plain", "Transfer-Encoding: chunked", length=False)):
            with self.subTest(data=data[:60]):
                server = self.server(saying(data))
                got = self.fetch(server)
                self.assertIn(got["failure"], ("protocol", "status"), got)
                self.assertEqual(got["size"], 0)

    def test_hosts_that_are_none(self):
        server = self.server(saying(answer()))
        for host in ("evil.example/path", "a b", "user@evil.example", "evil.example:1", "127.0.0.1", "", "a%2fb", "[::1]",
                     "x\\y", "a?b", "a#b", "b\u00fccher.example", "a" * 300):
            with self.subTest(host=host):
                got = self.fetch(server, host=host)
                self.assertEqual(got["failure"], "local")
        self.assertEqual(server.n_connections, 0)

    def test_nobody_there(self):
        server = self.server(saying(answer()))
        server.stop()
        self.assertEqual(self.fetch(server)["failure"], "unreachable")


class Endless(FetchCase):
    def test_bodies(self):
        self.expect("size", saying(answer(b"x" * 65537)))
        self.expect("size", saying(answer(b"x", length=10**15)))
        self.expect("size", endless(answer(b"", length=False), b"x" * 10000))
        self.expect("size", endless(answer(b"", "200 OK", "text/plain", "Transfer-Encoding: chunked", length=False),
                                    b"3e8\r\n" + b"x" * 1000 + b"\r\n"))
        self.expect("size", endless(answer(b"", "200 OK", "text/plain", "Transfer-Encoding: chunked", length=False)
                                    + b"ffffffff\r\n", b"x" * 10000))

    def test_headers(self):
        self.expect("size", endless(b"HTTP/1.1 200 OK\r\n", b"X-Field: " + b"y" * 1000 + b"\r\n"))
        self.expect("size", endless(b"HTTP/1.1 200 OK\r\nX: ", b"y" * 1000))
        self.expect("size", endless(b"", b"HTTP/1.1 100 Continue\r\nX: y\r\n\r\n" * 100))
        server = self.server(endless(b"", b"y" * 1000))
        self.assertIn(self.fetch(server)["failure"], ("size", "protocol"))

    def test_stalls(self):
        def silent(server, connection):
            server.ended.wait(SECONDS)
        for serve in (silent, saying_and_waiting(b""), saying_and_waiting(b"HTTP/1.1 200 OK\r\nContent-"),
                      saying_and_waiting(answer(POLICY[:20], length=100)),
                      trickle(b"HTTP/1.1 200 OK\r\n", b"X: y\r\n"), trickle(answer(b"", length=1000), b"x"),
                      trickle(b"", b"HTTP/1.1 100 Continue\r\n\r\n")):
            with self.subTest(serve=serve):
                self.expect("timeout", serve, timeout_ms=1000)
        self.expect("timeout", silent, context=False, timeout_ms=1000)  # not even a handshake


class Certificates(FetchCase):
    def refused(self, context, why, host=HOST):
        server = Server(self.ip, context, saying(answer()))
        self.addCleanup(server.stop)
        got = self.fetch(server, host=host)
        self.assertEqual(got["failure"], "certificate", got)
        self.assertIn(why, got["pkix"])
        self.assertFalse(got["verified"])
        self.assertEqual(server.requests, [])

    def made(self, label, extensions, *, days=30, subject="x", authority=None):
        authority = authority or self.authority
        certificate, key = self.folder / f"{label}.pem", self.folder / f"{label}.key"
        request, file = self.folder / f"{label}.csr", self.folder / f"{label}.ext"
        file.write_text(extensions)
        authority._openssl("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj",
                           f"/CN={subject}", "-keyout", key, "-out", request)
        authority._openssl("x509", "-req", "-in", request, "-CA", authority.certificate, "-CAkey", authority.key,
                           "-CAcreateserial", "-days", days, "-sha256", "-extfile", file, "-out", certificate)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        return context

    def test_wrong_ones_get_no_request(self):
        self.refused(self.made("wrong", "subjectAltName=DNS:mta-sts.example.org\n"), "hostname mismatch")
        self.refused(self.made("deep", "subjectAltName=DNS:*.com\n"), "hostname mismatch")
        self.refused(self.made("middle", "subjectAltName=DNS:mta-*.example.com\n"), "hostname mismatch")
        self.refused(self.made("cn", "basicConstraints=CA:FALSE\n", subject=HOST), "hostname mismatch")
        self.refused(self.made("ip", f"subjectAltName=IP:{self.ip}\n"), "hostname mismatch")
        self.refused(self.made("old", f"subjectAltName=DNS:{HOST}\n", days=-1), "expired")
        self.refused(self.made("foreign", f"subjectAltName=DNS:{HOST}\n", authority=self.other), "issuer")
        self.refused(self.made("client", f"subjectAltName=DNS:{HOST}\nextendedKeyUsage=clientAuth\n"), "purpose")

    def test_self_signed(self):
        lonely = smtp_sink.Authority(self.folder, "lonely")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(lonely.certificate, lonely.key)
        self.refused(context, "self-signed")

    def test_a_wildcard_for_the_left_label_is_good(self):
        server = Server(self.ip, self.made("star", "subjectAltName=DNS:*.example.com\n"), saying(answer()))
        self.addCleanup(server.stop)
        self.assertEqual(self.fetch(server)["failure"], "ok")

    def test_old_tls_and_none(self):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.folder / "good.pem", self.folder / "good.key")
        context.set_ciphers("DEFAULT:@SECLEVEL=0")
        context.minimum_version, context.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
        self.assertEqual(self.fetch(self.server(saying(answer()), context))["failure"], "tls")
        plain = self.server(lambda _, connection: connection.sendall(answer()), False)
        self.assertEqual(self.fetch(plain)["failure"], "tls")


class Environment(FetchCase):
    def test_nothing_of_it_counts(self):
        trap = self.server(saying(answer()), False)
        server = self.server(saying(answer()))
        proxy = f"http://{trap.ip}:{trap.port}"
        (self.folder / ".netrc").write_text(f"machine {HOST} login me password secret\n")
        (self.folder / ".curlrc").write_text(f"proxy = {proxy}\n")
        (self.folder / "openssl.cnf").write_text(
            "openssl_conf = init\n[init]\nssl_conf = s\n[s]\nsystem_default = d\n[d]\nMinProtocol = TLSv1.3\n"
            "CipherString = NULL\nMaxProtocol = TLSv1\n")
        environment = {"HOME": str(self.folder), "CURL_HOME": str(self.folder), "NETRC": str(self.folder / ".netrc"),
                       "OPENSSL_CONF": str(self.folder / "openssl.cnf"), "SSL_CERT_FILE": str(self.other.certificate),
                       "SSL_CERT_DIR": str(self.folder), "CURL_CA_BUNDLE": str(self.other.certificate)}
        for name in ("http_proxy", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
            environment[name] = proxy
        got = self.fetch(server, environment=environment)
        self.assertEqual(got["failure"], "ok", got)
        self.assertEqual(trap.n_connections, 0)
        self.assertNotIn("authorization", server.requests[0].lower())
        foreign, _ = self.other.context("foreign2", f"DNS:{HOST}")
        got = self.fetch(self.server(saying(answer()), foreign), environment=environment)
        self.assertEqual(got["failure"], "certificate", got)


if __name__ == "__main__":
    unittest.main()
