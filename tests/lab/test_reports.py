"""Reports of TLS that go by HTTPS (RFC 8460 section 5.4): made of what a running courier met, posted once, and not to a
server that somebody else speaks for.
"""

import gzip
import json

import lab
from harness import wait_for
from zones import Zone

DOMAIN = "@ MX 10 mx\nmx A {ip}\nreports A {web}\n_smtp._tls TXT \"v=TLSRPTv1; rua=https://reports.{name}/in?who=us\"\n"


class Posted(lab.LabCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.one, cls.web = cls.lab.mailkeep("one"), cls.lab.web()

    def domain(self, name, certificate, *statuses):
        """Mail goes there over TLS that nobody verifies; its reports go to the web server."""
        server = self.lab.smtp_server(self.lab.certificates.self_signed(f"mx.{name}"))
        self.web.take_reports(f"reports.{name}", *statuses, certificate=certificate)
        self.lab.authority.add(Zone(name, DOMAIN.format(ip=server.at.ip4, web=self.web.server.server_address[0], name=name),
                                    sign="no", ds="none"))
        self.lab.authority.publish()

    def topic(self, name):
        topics = json.loads(self.one.command("tlsrpt", "show", name, "--json"))["topics"]
        return topics[0] if topics else {"state": "", "rows": [], "dispatches": []}

    def wait(self, condition, what):
        value = wait_for(condition, 60, 0.3)
        self.assertTrue(value, f"{what}\n{self.one.log()[-3000:]}")
        return value

    def report_on(self, *names):
        """A message to each, and the end of the day."""
        for name in names:
            self.one.send(f"From: <me@one.lab>\r\nTo: <you@{name}>\r\n\r\nHello.\r\n", f"you@{name}")
            self.wait(lambda: sum(row["count"] for row in self.topic(name)["rows"]) == 1, f"nothing is counted for {name}")
        self.one.command("reports", "send")

    def posts(self, name):
        return [post for post in self.web.posts if post[0] == f"reports.{name}"]

    def dispatch(self, name):
        dispatches = self.topic(name)["dispatches"]
        return dispatches[0] if dispatches else {"state": "", "why": ""}

    def test_taken_put_off_and_kept_from_a_stranger(self):
        stranger = self.lab.certificates.self_signed("reports.stranger.lab")
        self.domain("taken.lab", None, 201)
        self.domain("later.lab", None, 503, 200)
        self.domain("stranger.lab", stranger, 201)
        self.domain("never.lab", None, 404)
        self.report_on("taken.lab", "later.lab", "stranger.lab", "never.lab")
        self.wait(lambda: self.dispatch("taken.lab")["state"] == "sent", "taken.lab has no report")
        (_, path, headers, body), = self.posts("taken.lab")
        self.assertEqual((path, headers["Content-Type"]), ("/in?who=us", "application/tlsrpt+gzip"))
        report = json.loads(gzip.decompress(body))
        policy, = report["policies"]
        self.assertEqual((policy["policy"]["policy-type"], policy["policy"]["policy-domain"]), ("no-policy-found", "taken.lab"))
        self.assertEqual((policy["summary"]["total-successful-session-count"], policy["summary"]["total-failure-session-count"]), (1, 0))
        # Put off by the server: tried again, the same report.
        self.wait(lambda: self.dispatch("later.lab")["state"] == "sent", "later.lab has no report")
        first, second = self.posts("later.lab")
        self.assertEqual(first[3], second[3])
        # Refused for good: said, not repeated.
        self.wait(lambda: self.dispatch("never.lab")["state"] == "not sent", "never.lab is not given up")
        self.assertIn("404", self.dispatch("never.lab")["why"])
        self.assertEqual(len(self.posts("never.lab")), 1)
        # Whoever answers without a good certificate gets nothing; it is tried again.
        self.wait(lambda: "certificate" in self.dispatch("stranger.lab")["why"], "nothing is said of the certificate")
        self.assertEqual(self.dispatch("stranger.lab")["state"], "waiting")
        self.assertEqual(self.posts("stranger.lab"), [])
