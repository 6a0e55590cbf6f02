"""Mail that comes in by way of Postfix: what mailkeep writes above it, says of it afterwards, and answers to what it
refuses, to the letter; and whether Debian's OpenDKIM, OpenDMARC and policyd-spf come to the same results.

The cases are in reception_cases.py, what is expected in reception_expected.txt. RECEPTION_WRITE=1 in the environment
writes that file anew from what is found: then look at the differences before they are believed.
"""

import json
import os
import pathlib
import re
import smtplib
import subprocess

import judge
import lab
import liar
from harness import PROGRAM, wait_for
from reception_cases import CASES, CLIENTS, OTHERWISE, zones
from zones import Zone

EXPECTED = pathlib.Path(__file__).with_name("reception_expected.txt")
STRICT = """
reception:
  spf_fail: refuse
  iprev_fail: refuse
  no_author: refuse
  dmarc_error: junk
  dmarc_temporary: defer
"""
SENDER = """
default_transport = four
transport_maps = texthash:{folder}/transports
smtpd_milters = inet:127.0.0.1:8891, inet:127.0.0.1:8892
milter_default_action = tempfail
"""
SERVICES = """four unix - - n - - smtp -o inet_interfaces=all -o inet_protocols=ipv4
six unix - - n - - smtp -o inet_interfaces=all -o inet_protocols=ipv6
helo unix - - n - - smtp -o inet_interfaces=all -o inet_protocols=ipv4 -o smtp_helo_name=helo.secure.lab
"""
SERVICE = "{name} unix - - n - - smtp -o inet_interfaces=all -o inet_protocols=ipv4 -o smtp_bind_address={ip4}\n"


def made_keys():
    """{selector: (private key, record for a zone file)}"""
    made = {}
    for name, kind in (("r", "rsa-2048"), ("e", "ed25519"), ("other", "rsa-2048")):
        one = json.loads(subprocess.check_output([PROGRAM, "dkim", "genkey", "--type", kind, "--json"]))
        made[name] = one["private_key"], one["record"]
    pem = subprocess.check_output(["openssl", "genrsa", "512"], stderr=subprocess.DEVNULL)
    public = subprocess.check_output(["openssl", "rsa", "-pubout"], input=pem, stderr=subprocess.DEVNULL).decode()
    made["short"] = made["r"][0], "v=DKIM1; k=rsa; p=" + "".join(public.splitlines()[1:-1])
    made["testing"] = made["r"][0], made["r"][1].replace("v=DKIM1;", "v=DKIM1; t=y;")
    made["other"] = made["r"][0], made["other"][1]  # the record is that of another key
    for name in ("nowhere", "revoked", "garbled"):
        made[name] = made["r"]
    return made


def strings(text):
    return " ".join(f'"{text[at:at + 255]}"' for at in range(0, len(text), 255))


def fields_of(message):
    return re.split(r"\r\n(?![ \t])", message.split(b"\r\n\r\n", 1)[0].decode())


class Reception(lab.LabCase):
    maxDiff = None

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.keys = made_keys()
        cls.lab.authority.add(*zones({name: strings(record) for name, (_, record) in cls.keys.items()}))
        cls.servers = {"one": cls.lab.mailkeep("one"), "two": cls.lab.mailkeep("two", settings=STRICT)}
        services = cls.begin_clients()
        cls.lab.liar.behaviours |= {"down.lab": liar.rcode(2), "*.down.lab": liar.rcode(2)}
        cls.lab.authority.publish()
        cls.begin_signers()
        cls.judge = judge.Judge(cls.lab)
        host = cls.lab.host("postfix")
        (host.folder / "transports").write_text("".join(
            f"{name}@{server}.lab {case.client}:\n" for name, case in CASES.items() if case.client != "postfix"
            for server in ("one", "two", "judge")))
        cls.postfix = cls.lab.postfix(SENDER.format(folder=host.folder), services)
        cls.send_all()

    @classmethod
    def begin_clients(cls):
        """The addresses that Postfix sends from, with their reverse zones; its services for them."""
        host, services = cls.lab.host("postfix"), SERVICES
        cls.addresses = dict(cls.lab.network.addresses)
        for name, zone in CLIENTS.items():
            if zone:
                cls.addresses[name] = address = host.one_more_address()
                reverse = ".".join(reversed(address.ip4.split("."))) + ".in-addr.arpa"
                cls.lab.authority.add(Zone(reverse, zone[0], **zone[1]))
                cls.lab.authority["postfix.lab"].add(f"{name} A {address.ip4}")
                services += SERVICE.format(name=name, ip4=address.ip4)
        return services

    @classmethod
    def begin_signers(cls):
        host, resolver = cls.lab.host("postfix"), cls.lab.network.addresses["resolver"]
        judge.signer(host, 8891, resolver, ("milter.lab", "milter-insecure.lab"), "o", cls.keys["r"][0], "rsa-sha256")
        judge.signer(host, 8892, resolver, ("milter.lab", "milter-ed25519.lab"), "p", cls.keys["e"][0], "ed25519-sha256")

    # --- sending ---

    @classmethod
    def sign(cls, message, case):
        folder = cls.lab.host("client").folder
        for words in case.sign:
            selector, domain = words.split()
            (folder / "key").write_text(cls.keys[selector][0])
            done = subprocess.run([PROGRAM, "dkim", "sign", "--domain", domain, "--selector", selector, "--key", folder / "key",
                                   "--message", *case.options], input=message, capture_output=True)
            if done.returncode != 0:
                raise RuntimeError(f"{words}: {done.stdout} {done.stderr}")
            message = done.stdout
        return message

    @classmethod
    def send_all(cls):
        """All at once; then every server's say."""
        with smtplib.SMTP(cls.lab.host("postfix").ip4, 25, timeout=30) as client:
            for name, case in CASES.items():
                message = cls.sign(case.text(name).encode(), case)
                client.sendmail(case.envelope_from(), [f"{name}@{case.to}.lab", f"{name}@judge.lab"],
                                case.change(message) if case.change else message)
        cls.replies = {}
        if not wait_for(cls.read_log, 180, every=0.5):
            raise RuntimeError(f"no word of {[address for address in cls.wanted() if address not in cls.replies]}\n"
                               + cls.postfix.log()[-2000:])
        cls.stored = {}
        for server in cls.servers:
            for mailbox in ("INBOX", "Junk"):
                for message in cls.servers[server].mail(mailbox):
                    cls.stored[re.search(rb"Message-ID: <(\S+)@case.lab>", message).group(1).decode()] = mailbox, message
        cls.judged = {re.search(rb"Message-ID: <(\S+)@case.lab>", message).group(1).decode(): message
                      for message in cls.judge.postfix.mail()}

    @staticmethod
    def wanted():
        return [f"{name}@{server}.lab" for name, case in CASES.items() for server in (case.to, "judge")]

    @classmethod
    def read_log(cls):
        """Postfix's words about each recipient, of its first attempt."""
        for address, status, words in re.findall(r"to=<(\S+?)>, .*?status=(\w+) \((.*)\)", cls.postfix.log()):
            cls.replies.setdefault(address, (status, words))
        return all(address in cls.replies for address in cls.wanted())

    # --- what came of it ---

    def normal(self, text, message=b""):
        """With placeholders for what is another at each run."""
        for at, field in enumerate(f for f in fields_of(message) if f.startswith("DKIM-Signature: ")):
            value = re.sub(r"\s", "", re.search(r"[;\s]b=([^;]*)", field).group(1))[:8]
            text = re.sub(rf'header\.b="?{re.escape(value)}"?', f"header.b={{b{at + 1}}}", text)
        for name, address in self.addresses.items():
            for one in (address.ip4, address.ip6):
                text = re.sub(rf"(?<![0-9.]){re.escape(one)}(?![0-9.:]*[0-9a-f])", f"{{{name}}}", text)
        if not re.search(r"validation\s+failure", text):
            return text
        # Why unbound finds a zone bogus, it says in words that depend on what else it was asked, so lines are folded here
        # and there.
        return re.sub(r'(validation failure <[^>]*>: )[^"\n]*?(?=["\n]|; DNSSEC|: no reason|: to be|, bogus)', r"\1{why}",
                      re.sub(r"\n[ \t](?=\S)", " ", text))

    def found(self, name, case):
        """The reply, or the fields that were put before the message and what is told of it."""
        if name not in self.stored:
            status, words = self.replies[f"{name}@{case.to}.lab"]
            return self.normal(f"{status}: {words}\n")
        mailbox, message = self.stored[name]
        fields, helo = fields_of(message), "helo.secure.lab" if case.client == "helo" else "mx.postfix.lab"
        self.assertEqual(fields[:2], [f"Return-Path: <{case.envelope_from()}>", f"Delivered-To: {name}@{case.to}.lab"])
        received, rest = re.fullmatch(r"(?s)(Received: from .*?\r\n\t\(.*?\))\r\n\t(by .*)", fields[4]).groups()
        about = re.fullmatch(rf"by mx\.{case.to}\.lab with ESMTPS \((TLSv1.3 TLS_\w+)\)\r\n\tid ([0-9a-f]+)\r\n"
                             rf"\tfor <{name}@{case.to}\.lab>;\r\n\t\w{{3}}, \d\d? \w{{3}} \d{{4}} [\d:]{{8}} \+0000", rest)
        self.assertIsNotNone(about, rest)
        told = self.told(name, case, mailbox).split("\n\n", 1)
        address = self.addresses.get(case.client, self.addresses["postfix"])
        self.assertRegex(told[0], rf"^{'Inbox' if mailbox == 'INBOX' else 'Junk'}, UID \d+: (\[people\] )?{name}\n"
                                  rf"received   \d{{4}}-\d\d-\d\d [\d:]{{8}}.*\n"
                                  rf"from       {case.envelope_from() or '<>'}\nfor        {name}@{case.to}\.lab\n"
                                  rf"client     {address.ip6 if case.client == 'six' else address.ip4}\nHELO       {helo}\n"
                                  rf"TLS        {about.group(1)}\nlog        {about.group(2)}$")
        trace = "\n".join([*fields[2:4], received]).replace("\r", "")
        return self.normal(f"{mailbox}\n{trace}\n\n{told[1]}", message)

    def told(self, name, case, mailbox):
        """The explanation, without the lookups that went as they should."""
        text = self.servers[case.to].command("message", "explain", "me", "--mailbox", mailbox, "--message-id",
                                             f"<{name}@case.lab>")
        return re.sub(r"(?m)^  looked up \S+ \w+: \d+ records?, secure\n", "", text)

    def test_what_is_written_and_told(self):
        found = {name: self.found(name, case) for name, case in CASES.items()}
        if "RECEPTION_WRITE" in os.environ:
            EXPECTED.write_text("".join(f"=== {name}\n{text}" for name, text in found.items()))
        expected = dict(part.split("\n", 1) for part in EXPECTED.read_text().split("=== ")[1:])
        for name in CASES:
            with self.subTest(name):
                self.assertEqual(found[name], expected.get(name))
        self.assertEqual(list(expected), list(CASES))
        print(f"# {len(CASES)} messages compared", flush=True)

    def test_an_explanation_has_all_lookups(self):
        told = self.servers["one"].command("message", "explain", "me", "--message-id", "<signed-both@case.lab>", "--json")
        checks = [(check["method"], check["result"], check["dnssec"], [lookup["question"] for lookup in check["lookups"]])
                  for check in json.loads(told)["verdict"]["checks"]]
        self.assertEqual(checks, [
            ("iprev", "pass", "secure", ["31.2.0.192.in-addr.arpa PTR", "mx.postfix.lab A"]),
            ("spf (HELO)", "none", "secure", ["mx.postfix.lab TXT"]),
            ("spf", "pass", "secure", ["secure.lab TXT"]),
            ("dkim", "pass", "secure", ["r._domainkey.secure.lab TXT"]),
            ("dkim", "pass", "secure", ["e._domainkey.secure.lab TXT"]),
            ("dmarc", "pass", "secure", ["_dmarc.secure.lab TXT"])])

    def test_nobody_else_writes_in_our_name(self):
        for name, (_, message) in self.stored.items():
            own = [field for field in fields_of(message) if re.match(r"(?i)authentication-results:[^;]*mx\.(one|two)\.lab", field)]
            self.assertEqual(len(own), 1, name)

    # --- the others' verdict ---

    def ours(self, name, case):
        """{method: result}; of what DMARC refused, nothing but that is known."""
        if name not in self.stored:
            return {"dmarc": "fail"} if "by the DMARC policy of" in self.replies[f"{name}@{case.to}.lab"][1] else {}
        fields = fields_of(self.stored[name][1])
        results, = (field for field in fields if field.startswith("Authentication-Results: mx."))
        found = dict(re.findall(r";\s+(dmarc)=(\w+)", results))
        found["dkim"] = re.findall(r";\s+dkim=(\w+)", results)
        found["spf"] = next(field for field in fields if field.startswith("Received-SPF: ")).split()[1]
        return found

    def test_others_come_to_the_same(self):
        whole = dmarc_only = 0
        for name, case in CASES.items():
            with self.subTest(name):
                ours, theirs = self.ours(name, case), judge.Judge.results(self.judged[name])
                differ = {method: theirs[method] for method in ours if theirs[method] != ours[method]}
                self.assertEqual(differ, OTHERWISE.get(case.judge, {}), f"{ours}\n{self.judged[name].split(b'From:')[0].decode()}")
                whole, dmarc_only = whole + (len(ours) == 3), dmarc_only + (len(ours) == 1)
        print(f"# {whole} messages compared in all results, {dmarc_only} refused ones in that of DMARC; "
              f"{sum(bool(case.judge) for case in CASES.values())} are judged otherwise", flush=True)


if __name__ == "__main__":
    import unittest
    unittest.main()
