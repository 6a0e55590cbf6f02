"""Reports about our domains that others send by mail: recognised at the addresses that the config names, whatever they are
packed in, read within limits, kept once, shown by command.
"""

import email.message
import email.policy
import gzip
import io
import json
import re
import subprocess
import zipfile

import harness
import wire

DOMAINS = """
domains:
  localhost: {}
  example.org:
    tls_reports: [user1@example.org]
    dmarc: {policy: reject, reports: [user1@example.org]}
"""
DMARC = """<?xml version="1.0"?>
<feedback><report_metadata><org_name>{org}</org_name><email>noreply@them.example</email><report_id>{id}</report_id>
<date_range><begin>1700006400</begin><end>1700092799</end></date_range></report_metadata>
<policy_published><domain>{domain}</domain><p>reject</p></policy_published>{rows}</feedback>"""
ROW = """<record><row><source_ip>{ip}</source_ip><count>{count}</count><policy_evaluated><disposition>none</disposition>
<dkim>{dkim}</dkim><spf>fail</spf></policy_evaluated></row><identifiers><header_from>example.org</header_from></identifiers>
<auth_results><spf><domain>example.org</domain><result>fail</result></spf></auth_results></record>"""


def dmarc(report_id, org="Them", domain="example.org", rows=((7, "192.0.2.1", "pass"), (2, "2001:db8::5", "fail"))):
    return DMARC.format(id=report_id, org=org, domain=domain, rows="".join(
        ROW.format(count=count, ip=ip, dkim=result) for count, ip, result in rows)).encode()


def tls(report_id, *domains):
    return json.dumps({
        "organization-name": "Them", "contact-info": "tls@them.example", "report-id": report_id,
        "date-range": {"start-datetime": "2023-11-15T00:00:00Z", "end-datetime": "2023-11-15T23:59:59Z"},
        "policies": [{"policy": {"policy-type": "sts", "policy-domain": domain},
                      "summary": {"total-successful-session-count": 5, "total-failure-session-count": 1},
                      "failure-details": [{"result-type": "certificate-expired", "failed-session-count": 1,
                                           "receiving-mx-hostname": "mx.example.org"}]} for domain in domains]}).encode()


def zipped(content, **names):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in names or {"report.xml": 0}:
            archive.writestr(name, content)
    return file.getvalue()


@harness.mailkeep_only
class ReceivedReports(harness.ServerCase):
    accounts = 2

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.server.stop()
        cls.config = cls.server.data / "config"
        path = cls.config / "domains.yaml"
        path.write_text(re.sub(r"(?ms)^domains:.*?(?=^\w)", DOMAINS.lstrip(), path.read_text()))
        for account in ("user1", "user2"):
            cls.say("address", "add", account, f"{account}@example.org")
        cls.server.start()

    @classmethod
    def say(cls, *words, status=0):
        done = subprocess.run([harness.PROGRAM, *words, "--config", str(cls.config)], capture_output=True, timeout=60)
        assert done.returncode == status, done.stdout.decode() + done.stderr.decode()
        return done.stdout.decode() if status == 0 else done.stderr.decode()

    def reports(self, kind, *more):
        return json.loads(self.say(kind, "received", *more, "--json"))["reports"]

    def wait(self, kind, report_id, n=1):
        def found():
            reports = [report for report in self.reports(kind) if report["report_id"] == report_id]
            return reports if len(reports) >= n else None
        reports = harness.wait_for(found)
        self.assertTrue(reports, f"{report_id} is not kept\n" + self.server.log()[-3000:])
        return reports

    def deliver(self, content, kind="application/gzip", to="user1@example.org", name=None, sender="reports@them.example"):
        message = email.message.EmailMessage()
        message["From"], message["To"], message["Subject"] = sender, to, "Report domain: example.org"
        message.set_content("A report.")
        main, sub = kind.split("/")
        message.add_attachment(content, maintype=main, subtype=sub, filename=name or "report")
        with wire.Smtp(self.server.smtp) as client:
            client.ehlo()
            client.deliver(sender.encode(), [to.encode()], message.as_bytes(policy=email.policy.SMTP))

    # --- the tests ---

    def test_forms(self):
        for name, kind, pack in (("gz", "application/gzip", gzip.compress), ("zip", "application/zip", zipped),
                                 ("xml", "text/xml", bytes), ("odd", "application/octet-stream", gzip.compress)):
            with self.subTest(name):
                self.deliver(pack(dmarc("form-" + name)), kind)
                report, = self.wait("dmarc", "form-" + name)
                self.assertEqual((report["good"], report["bad"], report["domain"], report["organization"], report["account"],
                                  report["begin"], report["authentic"]),
                                 (7, 2, "example.org", "Them", "user1", 1700006400, False))

    def test_one_in_words(self):
        self.deliver(gzip.compress(dmarc("in-words")))
        report, = self.wait("dmarc", "in-words")
        text = self.say("dmarc", "received", "--id", str(report["id"]))
        self.assertTrue(text.startswith(f"{report['id']} example.org: 2 of 9 messages failed, 2023-11-15 to 2023-11-15, by Them "
                                        "(not proven"), text)
        self.assertIn("  7 messages from 192.0.2.1, author example.org: none, DKIM aligned, SPF not aligned\n", text)
        self.assertIn("  2 messages from 2001:db8::5, author example.org: none, DKIM not aligned, SPF not aligned\n", text)
        got = json.loads(self.say("dmarc", "received", "--id", str(report["id"]), "--json"))["report"]
        self.assertEqual([(row["source_ip"], row["count"], row["dkim"]) for row in got["rows"]],
                         [("192.0.2.1", 7, True), ("2001:db8::5", 2, False)])
        self.assertIn(f"{report['id']} example.org: 2 of 9 messages failed", self.say("dmarc", "received", "example.org"))

    def test_tls(self):
        self.deliver(gzip.compress(tls("tls-1", "example.org", "example.org", "foreign.example", "localhost")),
                     "application/tlsrpt+gzip")
        reports = self.wait("tlsrpt", "tls-1", 2)
        self.assertEqual(sorted((report["domain"], report["good"], report["bad"]) for report in reports),
                         [("example.org", 10, 2), ("localhost", 5, 1)])
        number = str(next(report["id"] for report in reports if report["domain"] == "localhost"))
        text = self.say("tlsrpt", "received", "--id", number)
        self.assertIn("  5 sessions good, policy sts\n", text)
        self.assertIn("  1 session failed: certificate-expired, policy sts, host mx.example.org\n", text)

    def test_the_same_again_and_many_rows(self):
        rows = [(1, f"192.0.2.{i % 250}", "fail") for i in range(3000)] + [(90, "198.51.100.1", "pass")]
        for _ in range(2):
            self.deliver(gzip.compress(dmarc("many", rows=rows)))
        report, = self.wait("dmarc", "many")
        self.assertEqual((report["good"], report["bad"]), (90, 3000))
        got = json.loads(self.say("dmarc", "received", "--id", str(report["id"]), "--json"))["report"]
        self.assertEqual(got["rows"][0]["count"], 90)  # the most frequent ones are kept
        self.assertEqual(len(got["rows"]) + got["left_out"], 3001)

    def test_what_is_not_kept(self):
        """Elsewhere, about others' domains, broken, bombs: the mail is there, nothing is kept, and the next one is."""
        bomb = gzip.compress(b"<feedback>" + b" " * (200 << 20))
        entities = b'<!DOCTYPE a [<!ENTITY a "aaaa">]><feedback>&a;</feedback>'
        self.deliver(gzip.compress(dmarc("elsewhere")), to="user2@example.org")
        for content in (gzip.compress(dmarc("foreign", domain="foreign.example")), gzip.compress(dmarc("cut"))[:-9], bomb,
                        gzip.compress(bomb), entities, zipped(dmarc("two"), a=1, b=2), b"", b"\x1f\x8b",
                        dmarc("x").replace(b"</feedback>", b"")):
            self.deliver(content, "application/octet-stream", name="them.example!example.org!1700006400!1700092799.xml.gz")
        self.deliver(b"[" * 100000, "application/tlsrpt+json")
        self.deliver(b'{"policies":' + b"[" * 100000, "application/tlsrpt+json")
        self.deliver(gzip.compress(dmarc("last")))
        self.wait("dmarc", "last")
        kept = {report["report_id"] for report in self.reports("dmarc")}
        self.assertFalse(kept & {"elsewhere", "foreign", "cut", "two", "x"})
        self.assertEqual({report["domain"] for report in self.reports("dmarc")}, {"example.org"})
        self.assertIn("a report cannot be read", self.server.log())

    def test_strangers_texts_are_escaped(self):
        self.deliver(gzip.compress(dmarc("esc", org="Evil\u202e\u009b31m &amp; co")))
        report, = self.wait("dmarc", "esc")
        text = self.say("dmarc", "received")
        self.assertNotIn("\u202e", text)
        self.assertNotIn("\u009b", text)

    def test_they_are_there_after_a_kill(self):
        self.deliver(gzip.compress(dmarc("kept")))
        self.wait("dmarc", "kept")
        for pid in self.server.rooms("steward"):
            subprocess.run(["kill", "-9", str(pid)], check=True)
        self.wait("dmarc", "kept")

    def test_errors(self):
        self.assertIn("there is no domain `nothing.example`", self.say("dmarc", "received", "nothing.example", status=1))
        self.assertIn("there is no report with that number", self.say("tlsrpt", "received", "--id", "999999", status=1))
        self.assertIn("the number of a report", self.say("tlsrpt", "received", "--id", "x", status=2))
