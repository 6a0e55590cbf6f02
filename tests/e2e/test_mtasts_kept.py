"""Policies of MTA-STS are kept over restarts and kills, survive a policy host that fails, and can be listed and
forgotten. The policy host must be at port 443, which only root may listen at."""

import json
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import unittest

import dns_server
import harness
import https_sink
import smtp_sink
import test_queue

TABLE = """
insecure sts.test
sts.test MX 10 mx.sts.test
mx.sts.test A {sink}
_mta-sts.sts.test TXT "v=STSv1; id=20260309;"
mta-sts.sts.test A {policy}
"""
POLICY = b"version: STSv1\r\nmode: testing\r\nmx: mx.sts.test\r\nmx: *.sts.test\r\nmax_age: 604800\r\n"


@harness.mailkeep_only
class Kept(test_queue.QueueCase):
    @classmethod
    def setUpClass(cls):
        if os.geteuid() != 0:
            raise unittest.SkipTest("only root may listen at port 443")
        folder = pathlib.Path(tempfile.mkdtemp(prefix="mailkeep-sts-"))
        cls.addClassCleanup(shutil.rmtree, folder, True)
        folder.chmod(0o755)
        authority = smtp_sink.Authority(folder)
        context, _ = authority.context("policy", "DNS:mta-sts.sts.test")
        cls.mx = smtp_sink.Sink(harness.own_ip()).start()
        cls.addClassCleanup(cls.mx.stop)
        cls.policy_ip, cls.context = harness.own_ip(), context
        cls.host = None
        cls.dns = dns_server.DnsServer(TABLE.format(sink=cls.mx.ip, policy=cls.policy_ip)).start()
        cls.addClassCleanup(cls.dns.stop)
        pathlib.Path(authority.certificate).chmod(0o644)
        cls.queue = test_queue.QUEUE + (f"  near: {{kind: direct, port: {cls.mx.port}, "
                                        f"ca: {authority.certificate}}}\n")
        cls.extra = (f"  near1: {{to: [sts.test], transport: near}}\n"
                     f"resolver: {{mode: forward, validate: false, servers: [\"{cls.dns.address}:{cls.dns.port}\"]}}\n")
        super().setUpClass()

    # --- steps ---

    def serve(self, data):
        self.host = https_sink.Server(self.policy_ip, self.context, https_sink.saying(data), port=443)
        self.addCleanup(self.host.stop)
        return self.host

    def send(self):
        return self.wait_retired(self.submit("you@sts.test"))[0]

    def mtasts(self, *words, code=0):
        done = subprocess.run([harness.PROGRAM, "mtasts", *words, "--json", "--config", str(self.server.data / "config")],
                              capture_output=True, text=True, timeout=60)
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        return json.loads(done.stdout)

    def kept(self):
        return self.mtasts("list")["policies"]

    def kill(self, *rooms):
        for room in rooms:
            for pid in self.server.rooms(room):
                os.kill(pid, signal.SIGKILL)
        self.wait(lambda: all(self.server.rooms(room) for room in rooms), "rooms do not come back", 30)

    # --- the tests ---

    def test_a_policy_outlives_rooms_and_restarts(self):
        self.assertEqual(self.kept(), [])
        host = self.serve(https_sink.answer(POLICY))
        self.assertEqual(self.send()["state"], "delivered")
        policy, = self.kept()
        self.assertEqual((policy["domain"], policy["mode"], policy["id"], policy["mx"], policy["failures"]),
                         ("sts.test", "testing", "20260309", ["mx.sts.test", "*.sts.test"], 0))
        self.assertEqual(policy["expires"] - policy["fetched"], 604800)
        self.assertGreaterEqual(policy["used"], policy["fetched"])
        self.assertEqual(len(host.requests), 1)
        self.kill("steward", "courier")
        self.assertEqual(self.kept()[0]["fetched"], policy["fetched"])
        self.send()
        self.server.stop()
        self.server.start()
        self.send()
        self.assertEqual(len(host.requests), 1, "it was fetched again")
        # A new id whose policy cannot be had: what is kept holds.
        host.stop()
        self.serve(https_sink.answer(b"nothing", "404 Not Found"))
        self.dns.zone.records.pop((dns_server.labels_of("_mta-sts.sts.test"), dns_server.TYPES["TXT"]))
        self.dns.add('_mta-sts.sts.test TXT "v=STSv1; id=20260310;"')
        self.kill("resolver", "courier")
        self.send()
        again, = self.kept()
        self.assertEqual((again["mode"], again["id"], again["fetched"]), ("testing", "20260309", policy["fetched"]))
        self.assertEqual((again["failures"], again["failed_id"]), (1, "20260310"))
        self.kill("steward", "courier")
        again, = self.kept()
        self.assertEqual(again["failures"], 1)
        # The policy and its host are well again, and a person loses patience.
        self.host.stop()
        self.serve(https_sink.answer(POLICY.replace(b"testing", b"enforce")))
        self.mtasts("forget", "STS.test")
        self.assertEqual(self.kept(), [])
        self.mtasts("forget", "sts.test", code=1)
        message_id = self.submit("you@sts.test")  # the server has no TLS: not by an enforced policy

        def enforced():
            found = self.kept()
            return found if found and found[0]["mode"] == "enforce" else None
        found, = self.wait(enforced, f"no new policy: {self.entries()}")
        self.assertEqual(found["id"], "20260310")
        self.assertEqual([e["state"] for e in self.of(message_id, self.retired())], [])
        text = subprocess.run([harness.PROGRAM, "mtasts", "list", "sts.test", "--config", str(self.server.data / "config")],
                              capture_output=True, text=True, timeout=60).stdout
        self.assertIn("sts.test: enforce, id 20260310", text)
        self.assertIn("mx *.sts.test", text)


if __name__ == "__main__":
    unittest.main()
