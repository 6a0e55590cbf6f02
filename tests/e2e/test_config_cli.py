#!/usr/bin/env python3
"""The commands that show and change the configuration, without and with a running server."""

import imaplib
import json
import os
import pathlib
import pty
import re
import select
import shutil
import signal
import ssl
import subprocess
import tempfile
import time
import unittest

import harness
import wire

SERVER = """hostname: mail.example.org
data_directory: ../data
listeners:
  public:
    addresses: [127.0.0.1]
    imap: {port: 1143}
"""
DOMAINS = """# ours
domains:
  example.org: # the first
accounts:
  # the boss
  ada:
    addresses: [ada@example.org]   # main
"""


def mailkeep(*words, config=None, text=""):
    """(exit status, standard output, standard error)"""
    words = [harness.PROGRAM, *words, *(["--config", str(config)] if config else [])]
    done = subprocess.run(words, input=text.encode(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60,
                          env={key: value for key, value in os.environ.items() if key != "MAILKEEP_CONFIG"})
    return done.returncode, done.stdout.decode(), done.stderr.decode()


@unittest.skipIf(harness.is_peer(), "about mailkeep's own commands")
class Offline(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory(prefix="mailkeep-cli-")
        self.config = pathlib.Path(self.folder.name) / "config"
        self.config.mkdir()
        (pathlib.Path(self.folder.name) / "data").mkdir(mode=0o700)
        (self.config / "mailkeep.yaml").write_text(SERVER)
        (self.config / "domains.yaml").write_text(DOMAINS)

    def tearDown(self):
        self.folder.cleanup()

    def run_ok(self, *words, text=""):
        code, out, err = mailkeep(*words, config=self.config, text=text)
        self.assertEqual(code, 0, f"{words}: {out}{err}")
        return out

    def run_bad(self, *words, text="", code=1, says=""):
        got, out, err = mailkeep(*words, config=self.config, text=text)
        self.assertEqual(got, code, f"{words}: {out}{err}")
        if says:
            self.assertRegex(err, says)
        return err

    def domains(self):
        return (self.config / "domains.yaml").read_text()

    def test_errors_have_line_and_mend(self):
        (self.config / "mailkeep.yaml").write_text(SERVER + "limit: {}\nlog: {level: loud}\n")
        (self.config / "domains.yaml").write_text(DOMAINS.replace("ada@example.org", "ada@exmaple.org"))
        err = self.run_bad("config", "test")
        self.assertIn("mailkeep.yaml:7:1: error: `limit` is no field here\n    did you mean `limits`?", err)
        self.assertIn("mailkeep.yaml:8:14: error: ", err)
        (self.config / "mailkeep.yaml").write_text(SERVER)
        err = self.run_bad("config", "test", says="domains.yaml:7:17: error: .*exmaple")
        self.assertIn("did you mean `example.org`?", err)
        code, out, _ = mailkeep("config", "test", "--json", config=self.config)
        answer = json.loads(out)
        self.assertEqual((code, answer["ok"], answer["errors"]), (1, False, 1))
        self.assertEqual(answer["problems"][-1]["line"], 7)

    def test_changes_keep_comments(self):
        self.run_ok("domain", "add", "bücher.example")
        self.run_ok("account", "add", "bob", "bob@example.org", "@bücher.example", "--full-name", "Bob: the #2",
                    "--no-password")
        self.run_ok("address", "add", "ada", "lovelace@example.org")
        self.run_ok("alias", "add", "all@example.org", "ada@example.org", "bob+list@example.org")
        self.run_ok("account", "quota", "ada", "5GiB")
        self.run_ok("account", "disable", "bob")
        text = self.domains()
        for comment in ("# ours\n", "# the first\n", "# the boss\n", "   # main\n"):
            self.assertIn(comment, text)
        listed = json.loads(self.run_ok("account", "list", "--json"))["accounts"]
        self.assertEqual([a["name"] for a in listed], ["ada", "bob"])
        self.assertEqual(listed[0]["addresses"], ["ada@example.org", "lovelace@example.org"])
        self.assertEqual((listed[0]["quota"], listed[0]["enabled"]), (5 << 30, True))
        self.assertEqual((listed[1]["full_name"], listed[1]["enabled"]), ("Bob: the #2", False))
        aliases = json.loads(self.run_ok("alias", "list", "--json"))["aliases"]
        self.assertEqual(aliases[0]["accounts"], ["ada"])
        self.run_ok("account", "enable", "bob")
        self.run_ok("alias", "rm", "ALL@example.org", "bob+list@example.org")
        self.run_ok("alias", "rm", "all@example.org")
        self.run_ok("account", "rm", "bob")
        self.run_ok("domain", "rm", "xn--bcher-kva.example")
        self.run_ok("address", "rm", "lovelace@example.org")
        self.run_ok("account", "quota", "ada", "default")
        self.assertEqual(self.domains().rstrip(), (DOMAINS + "\naliases:").rstrip())

    def test_client_keys(self):
        digits = "0123456789abcdef" * 4
        pem = pathlib.Path(self.folder.name) / "key.pem"
        pem.write_text("-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\n"
                       "-----END PUBLIC KEY-----\n")
        self.run_ok("account", "clientkey", "add", "ada", digits)
        added = json.loads(self.run_ok("account", "clientkey", "add", "ada", str(pem), "--json"))["key"]
        self.assertRegex(added, "^sha256:[0-9a-f]{64}$")
        self.assertEqual(json.loads(self.run_ok("account", "clientkey", "list", "--json"))["client_keys"],
                         [{"account": "ada", "key": digits}, {"account": "ada", "key": added}])
        self.run_bad("account", "clientkey", "add", "ada", "SHA256:" + digits.upper(), says="there already")
        self.run_bad("account", "clientkey", "add", "ada", digits[1:], says="neither the SHA-256 .* nor a file")
        self.run_bad("account", "clientkey", "add", "ada", str(self.config / "domains.yaml"), says="no public key in PEM")
        self.run_bad("account", "clientkey", "add", "bob", digits, says="no account `bob`")
        self.run_ok("account", "clientkey", "rm", "ada", str(pem))
        self.run_ok("account", "clientkey", "rm", "ada", "sha256:" + digits)
        self.run_bad("account", "clientkey", "rm", "ada", digits, says="not there")

    def test_refused_changes_leave_the_file_alone(self):
        for words, says in (
                (("domain", "add", "example.org"), "already"),
                (("domain", "add", "no domain"), "must be a domain name"),
                (("domain", "rm", "example.org"), "ada@example.org still needs it"),
                (("domain", "rm", "exampel.org"), "did you mean `example.org`"),
                (("account", "add", "ada", "--no-password"), "already"),
                (("account", "add", "Ada", "--no-password"), "must be an account's name"),
                (("account", "add", "bob", "ada@example.org", "--no-password"), "already an address of account `ada`"),
                (("account", "add", "bob", "bob@nowhere.example", "--no-password"), "not configured"),
                (("account", "rm", "aad"), "no such account"),
                (("account", "quota", "ada", "lots"), "must be a size"),
                (("address", "add", "bob", "x@example.org"), "no account `bob`"),
                (("address", "rm", "x@example.org"), "no account has"),
                (("alias", "add", "a@example.org", "a@example.org"), "member of itself"),
                (("alias", "rm", "a@example.org"), "no alias")):
            self.run_bad(*words, says=says)
            self.assertEqual(self.domains(), DOMAINS, words)
        (self.config / "domains.yaml").write_text(DOMAINS + "accounts: {}\n")
        self.run_bad("domain", "add", "example.net", says="line 4")
        self.assertEqual(self.domains(), DOMAINS + "accounts: {}\n")

    def test_passwords(self):
        out = self.run_ok("account", "add", "bob", "bob@example.org", "--generate")
        self.assertRegex(out, r"password of bob: ([a-z2-9]{5}-){3}[a-z2-9]{5}\n")
        self.run_ok("account", "password", "bob", text="a good password\n")
        answer = json.loads(self.run_ok("account", "password", "bob", "--generate", "--json"))
        self.assertEqual((answer["ok"], answer["running"], len(answer["password"])), (True, False, 23))
        self.run_bad("account", "password", "bob", text="short\n", says="fewer than 8")
        self.run_bad("account", "password", "bob", text="", says="no password")
        self.run_bad("account", "password", "bob", text="x" * 2000 + "\n", says="more than 1024")
        self.run_bad("account", "password", "nobody", text="a good password\n", says="no account `nobody`")
        verifier = pathlib.Path(self.folder.name) / "data" / "vault" / "passwords" / "bob"
        self.assertTrue(verifier.exists())
        self.assertNotIn(answer["password"].encode(), verifier.read_bytes())
        self.run_ok("account", "rm", "bob")
        self.assertFalse(verifier.exists())

    def test_root_follows_no_link_of_the_servers_user(self):
        """Nothing is given away but DATA/vault itself."""
        harness.need_root(self, "gives files away")
        data, victim = pathlib.Path(self.folder.name) / "data", pathlib.Path(self.folder.name) / "victim"
        data.mkdir(exist_ok=True)
        victim.mkdir()
        os.chown(data, 65534, 65534)
        shutil.rmtree(data / "vault", ignore_errors=True)
        (data / "vault").symlink_to(victim)
        self.run_bad("account", "password", "ada", text="a good password\n", says="vault")
        self.assertEqual((victim.stat().st_uid, list(victim.iterdir())), (0, []))
        (data / "vault").unlink()
        os.chmod(self.folder.name, 0o711)  # the other user must get there
        self.run_ok("account", "password", "ada", text="a good password\n")
        self.assertEqual((data / "vault").stat().st_uid, 65534)

    def test_a_password_is_asked_for_twice_without_echo(self):
        master, slave = pty.openpty()
        child = subprocess.Popen([harness.PROGRAM, "account", "password", "ada", "--config", str(self.config)],
                                 stdin=slave, stdout=slave, stderr=slave)
        os.close(slave)
        seen = b""

        def expect(text):
            nonlocal seen
            end = time.monotonic() + 30
            while text not in seen and time.monotonic() < end:
                if select.select([master], [], [], 0.2)[0]:
                    try:
                        seen += os.read(master, 4096)
                    except OSError:
                        break
            self.assertIn(text, seen)
            rest, seen = seen.split(text, 1)[1], b""
            return rest

        expect(b"New password of ada: ")
        os.write(master, b"correct horse\n")
        self.assertNotIn(b"horse", expect(b"The same again: "))
        os.write(master, b"correct horse\n")
        expect(b"the password of ada is set")
        self.assertEqual(child.wait(30), 0)
        os.close(master)

    def test_find_explains(self):
        self.run_ok("address", "add", "ada", "@example.org")
        self.assertIn("account ada, because the address without its tag",
                      self.run_ok("address", "find", "ada+x@example.org"))
        self.assertIn("catchall", self.run_ok("address", "find", "else@example.org"))
        self.run_bad("address", "find", "ada@example.net", says="not received here")

    def test_usage_errors(self):
        for words, says in ((("acount", "add"), "did you mean `mailkeep account add`"), (("account", "add"), "needs NAME"),
                            (("account", "list", "--jsn"), "did you mean --json"), (("nonsense",), "help"),
                            (("account",), "account add NAME"), ((), "Commands:")):
            done = subprocess.run([harness.PROGRAM, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60)
            self.assertEqual(done.returncode, 2, words)
            self.assertIn(says, done.stderr.decode())
            self.assertEqual(done.stdout, b"")

    def test_a_full_device_is_no_success(self):
        with open("/dev/full", "wb") as full:
            done = subprocess.run([harness.PROGRAM, "help"], stdout=full, stderr=subprocess.PIPE, timeout=60)
        self.assertEqual(done.returncode, 1)

    def test_missing_and_unreadable_configuration(self):
        code, _, err = mailkeep("config", "test", config=self.config / "none")
        self.assertEqual(code, 1)
        self.assertIn("No such file", err)
        code, _, err = mailkeep("domain", "add", "x.example", config=self.config / "none")
        self.assertEqual(code, 1)
        self.assertIn("--config", err)
        (self.config / "mailkeep.yaml").unlink()
        (self.config / "mailkeep.yaml").mkdir()
        code, _, err = mailkeep("config", "test", config=self.config)
        self.assertEqual(code, 1)
        self.assertIn("mailkeep.yaml", err)

    def test_documentation_is_up_to_date(self):
        code, out, _ = mailkeep("config", "describe", "--markdown")
        self.assertEqual(code, 0)
        self.assertEqual((harness.TOP / "docs" / "config.md").read_text(), out)

    def test_describe_and_completion(self):
        fields = json.loads(mailkeep("config", "describe", "--json")[1])["fields"]
        self.assertTrue(all(f["doc"].endswith(".") for f in fields))
        self.assertIn("limits.message_size", [f["path"] for f in fields])
        self.assertIn("100 MiB", mailkeep("config", "describe", "limits.message_size")[1])
        out = mailkeep("completion", "candidates", "--config", str(self.config), "--", "account", "rm", "")[1]
        self.assertEqual(out, "ada\n")
        script = mailkeep("completion", "bash")[1] + """
COMP_LINE="mailkeep address rm ada@ex"; COMP_POINT=${#COMP_LINE}
COMP_WORDS=(mailkeep address rm ada @ ex); COMP_CWORD=5
_mailkeep; echo "${COMPREPLY[@]}"
"""
        path = f"{os.path.dirname(os.path.abspath(harness.PROGRAM))}:{os.environ['PATH']}"
        done = subprocess.run(["bash", "-c", script], stdout=subprocess.PIPE, timeout=60,
                              env={**os.environ, "PATH": path, "MAILKEEP_CONFIG": str(self.config)})
        self.assertEqual(done.stdout, b"example.org\n")

    def test_many_accounts_are_read_quickly(self):
        with open(self.config / "domains.yaml", "w") as file:
            file.write("domains:\n  example.org:\naccounts:\n")
            for number in range(100000):
                file.write(f"  user{number}:\n    addresses: [user{number}@example.org]\n")
        began = time.monotonic()
        self.run_ok("address", "find", "user99999@example.org")
        self.assertLess(time.monotonic() - began, 20)  # a sanitizer build on a busy machine

    def test_manual_pages(self):
        for page in ("mailkeep", "mailkeep.yaml", "domains.yaml"):
            code, out, _ = mailkeep("man", page)
            self.assertEqual(code, 0)
            self.assertRegex(out, r"\A\.TH ")
            self.assertEqual([line for line in out.splitlines()
                              if line.startswith(".") and not re.match(r"\.(TH|SH|SS|PP|TP|IP|B|BR|I|RI|RS|RE|nf|fi|br)\b", line)],
                             [])


@unittest.skipIf(harness.is_peer(), "about mailkeep's own commands")
class Live(harness.ServerCase):
    accounts = 1

    def config(self):
        return self.server.data / "config"

    def test_a_running_server_takes_changes_over(self):
        code, out, err = mailkeep("domain", "add", "new.example", config=self.config())
        self.assertEqual((code, "taken it over" in out), (0, True), out + err)
        code, out, err = mailkeep("account", "add", "carl", "carl@new.example", config=self.config(),
                                  text="a good password\n")
        self.assertEqual((code, "taken it over" in out), (0, True), out + err)
        with wire.Smtp(self.server.smtp) as client:
            client.ehlo()
            self.assertEqual(client.deliver(b"a@client.example", [b"carl@new.example"], b"Subject: x\r\n\r\nx\r\n")[0], 250)
        imap = imaplib.IMAP4(*self.server.imap)
        imap.login("carl@new.example", "a good password")
        self.assertEqual(imap.select("INBOX")[1], [b"1"])
        imap.logout()
        code, out, err = mailkeep("account", "password", "carl", config=self.config(), text="another password\n")
        self.assertEqual(code, 0, err)
        imap = imaplib.IMAP4(*self.server.imap)
        imap.login("carl@new.example", "another password")
        imap.logout()
        code, _, err = mailkeep("account", "rm", "carl", config=self.config())
        self.assertEqual(code, 0, err)
        imap = imaplib.IMAP4(*self.server.imap)
        with self.assertRaises(imaplib.IMAP4.error):
            imap.login("carl@new.example", "another password")
        imap.shutdown()

    def edit(self, name, change):
        path = self.config() / name
        path.write_text(change(path.read_text()))

    def sizes_offered(self):
        with wire.Smtp(self.server.smtp) as client:
            return [int(line.split()[1]) for line in client.ehlo() if line.startswith(b"SIZE ")]

    def test_a_reload_drops_no_connection(self):
        """Sessions of every kind, each in the middle of something, go on under the config they began with."""
        other = harness.free_base(self.server.ip) + 143
        smtp = wire.Smtp(self.server.smtp)
        smtp.ehlo()
        smtp.envelope(b"a@client.example", [b"user1@localhost"])
        smtp.command(b"DATA", 354)
        smtp.send(b"Subject: over a reload\r\n\r\n")
        idle = wire.Imap(self.server.imap).login("user1@localhost")
        idle.command(b"SELECT INBOX")
        idle.send(b"i IDLE\r\n")
        self.assertTrue(idle.response().line.startswith(b"+"))
        relayed = imaplib.IMAP4_SSL(*self.server.imaps, ssl_context=ssl._create_unverified_context())
        relayed.login("user1@localhost", "mailkeep")
        greeted = wire.Imap(self.server.imap)  # not logged in
        before = self.server.rooms("gate")

        self.edit("mailkeep.yaml", lambda text: text.replace("\nlisteners:\n", (
            f"\nlisteners:\n  second:\n    addresses: [{self.server.ip}]\n    plain_login: loopback\n"
            f"    imap:\n      port: {other}\n")).replace("\nlimits:\n", "\nlimits:\n  message_size: 3MB\n"))
        code, out, err = mailkeep("config", "reload", config=self.config())
        self.assertEqual(code, 0, out + err)

        smtp.send(b"second half\r\n.\r\n")
        self.assertEqual(smtp.reply()[0], 250)
        self.assertTrue(harness.wait_for(lambda: b"EXISTS" in idle.response().line), "the idle session hears of it")
        self.assertEqual(relayed.noop()[0], "OK")
        greeted.login("user1@localhost").command(b"NOOP")
        self.assertEqual(self.server.rooms("gate"), before, "no gate was replaced")
        wire.Imap((self.server.ip, other)).login("user1@localhost").close()
        self.assertTrue(harness.wait_for(lambda: self.sizes_offered() == [3_000_000]), self.sizes_offered())

        self.edit("mailkeep.yaml", lambda text: text.replace("message_size: 3MB", "message_size: lots"))
        code, out, err = mailkeep("config", "reload", config=self.config())
        self.assertEqual((code, "message_size" in out + err), (1, True), out + err)
        self.assertEqual(self.sizes_offered(), [3_000_000], "a wrong config changes nothing")
        self.assertEqual(relayed.noop()[0], "OK")

        self.edit("mailkeep.yaml", lambda text: text.replace("message_size: lots", "message_size: 4MB"))
        os.kill(self.server.process.pid, signal.SIGHUP)
        self.assertTrue(harness.wait_for(lambda: self.sizes_offered() == [4_000_000]), "SIGHUP reloads too")
        relayed.logout()
        for connection in (smtp, idle, greeted):
            connection.close()


if __name__ == "__main__":
    unittest.main()
