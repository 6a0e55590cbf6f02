"""Mail is read by the programs that people use."""

import imaplib
import pathlib
import re
import time

import harness
import mail
import npm
import wire


class Clients(harness.ServerCase):
    accounts = 12

    def fill(self, user, subjects):
        with imaplib.IMAP4(*self.server.imap) as client:
            client.login(user, harness.PASSWORD)
            for subject in subjects:
                self.assertEqual(client.append("INBOX", "", None, mail.message(subject))[0], "OK")

    def scratch(self, name):
        folder = self.server.folder / name
        folder.mkdir()
        return folder

    def write(self, path, text, mode=0o600):
        path = pathlib.Path(path)
        path.write_text(text)
        path.chmod(mode)
        return path

    # curl

    def curl(self, path, *more, user="user1@localhost", tls=False):
        self.need("curl")
        scheme, where = ("imaps", self.server.imaps) if tls else ("imap", self.server.imap)
        return self.run_tool("curl", "-sS", "-k", "-u", f"{user}:{harness.PASSWORD}",
                             f"{scheme}://{where[0]}:{where[1]}/{path}", *more)

    def test_curl(self):
        message = mail.message("put by curl")
        self.write(self.server.folder / "curl.eml", message.decode())
        self.curl("INBOX", "-T", self.server.folder / "curl.eml")
        self.assertIn("INBOX", self.curl("").upper())
        self.assertRegex(self.curl("INBOX?SUBJECT%20curl"), r"SEARCH.* 1")
        self.assertIn("put by curl", self.curl("INBOX;MAILINDEX=1"))
        self.assertEqual(self.curl("INBOX;UID=1/;SECTION=TEXT").replace("\r", ""), "Hello.\n")
        self.assertIn("put by curl", self.curl("INBOX;MAILINDEX=1", "--ssl-reqd"))
        self.assertIn("put by curl", self.curl("INBOX;MAILINDEX=1", tls=True))

    def test_curl_wrong_password(self):
        self.need("curl")
        code, _ = self.run_tool("curl", "-sS", "-u", "user1@localhost:wrong",
                                "imap://%s:%d/" % self.server.imap, check=False)
        self.assertEqual(code, 67)

    # imaplib

    def test_imaplib_typical(self):
        self.fill("user2@localhost", ["one", "two", "three"])
        with imaplib.IMAP4(*self.server.imap) as client:
            client.starttls(ssl_context=wire.tls_context())
            client.login("user2@localhost", harness.PASSWORD)
            self.assertEqual(client.select("INBOX")[1], [b"3"])
            _, found = client.search(None, "UNSEEN")
            self.assertEqual(found[0].split(), [b"1", b"2", b"3"])
            _, fetched = client.fetch("2", "(RFC822)")
            self.assertEqual(fetched[0][1], mail.message("two"))
            _, flags = client.fetch("2", "(FLAGS)")
            self.assertIn(b"\\Seen", flags[0])
            client.store("1", "+FLAGS", r"(\Deleted)")
            self.assertEqual(client.expunge()[1], [b"1"])
            self.assertEqual(client.search(None, "ALL")[1][0].split(), [b"1", b"2"])
            client.close()

    def test_imaplib_broad(self):
        user = "user3@localhost"
        self.fill(user, [f"m{n}" for n in range(10)])
        with imaplib.IMAP4_SSL(*self.server.imaps, ssl_context=wire.tls_context()) as client:
            client.login(user, harness.PASSWORD)

            def good(answer, wanted=None):
                self.assertEqual(answer[0], "OK", answer)
                if wanted is not None:
                    self.assertRegex(b" ".join(p if isinstance(p, bytes) else p[0] + p[1] for p in answer[1] if p),
                                     wanted)
                return answer[1]

            good(client.noop())
            good(client.create("Projects"))
            good(client.create("Projects/2026"))
            good(client.create("&AOQA9gD8-"))
            good(client.subscribe("Projects/2026"))
            good(client.lsub(), rb"Projects/2026")
            good(client.list(), rb"Projects/2026")
            good(client.list('""', '"%"'), rb'"?&AOQA9gD8-"?|"?\xc3\xa4\xc3\xb6\xc3\xbc"?')
            good(client.status("INBOX", "(MESSAGES RECENT UIDNEXT UIDVALIDITY UNSEEN)"), rb"MESSAGES 10")
            good(client.select("INBOX"))
            good(client.check())
            good(client.fetch("1:*", "(UID FLAGS INTERNALDATE RFC822.SIZE ENVELOPE BODYSTRUCTURE)"), rb"ENVELOPE")
            good(client.fetch("3", "(BODY.PEEK[HEADER.FIELDS (SUBJECT)])"), rb"Subject: m2")
            good(client.fetch("3", "(BODY[TEXT]<2.3>)"), rb"llo")
            good(client.uid("STORE", "4:6", "+FLAGS", r"(\Flagged Project-X)"))
            good(client.search(None, "KEYWORD", "Project-X"), rb"^4 5 6$")
            good(client.search(None, "OR", "SUBJECT", "m1", "FLAGGED"), rb"^2 4 5 6$")
            good(client.search(None, "NOT", "FLAGGED", "1:3"), rb"^1 2 3$")
            good(client.search(None, "HEADER", "Message-ID", "client.example"), rb"^1 2 3 4 5 6 7 8 9 10$")
            good(client.search("UTF-8", "BODY", "Hello"), rb"^1 2")
            good(client.search(None, "SINCE", "01-Jan-2020"), rb"^1 2")
            good(client.copy("4:6", "Projects/2026"))
            good(client.uid("MOVE", "1:2", "Projects"))
            good(client.search(None, "ALL"), rb"^1 2 3 4 5 6 7 8$")
            good(client.rename("Projects/2026", "Projects/Archive"))
            good(client.select("Projects/Archive", readonly=True), rb"^3$")
            if not harness.is_peer():  # Dovecot says OK and changes nothing
                self.assertEqual(client.store("1", "+FLAGS", r"(\Seen)")[0], "NO")
            good(client.unselect())
            good(client.unsubscribe("Projects/2026"))
            good(client.delete("Projects/Archive"))
            good(client.namespace())
            self.assertEqual(client.select("Projects/Archive")[0], "NO")

    def test_imaplib_utf8_accept(self):
        with imaplib.IMAP4(*self.server.imap) as client:
            client.login("user3@localhost", harness.PASSWORD)
            if "UTF8=ACCEPT" not in client.capabilities:
                self.skipTest("the server does not announce UTF8=ACCEPT")
            client.enable("UTF8=ACCEPT")
            client.select("INBOX")
            self.assertEqual(client.append("INBOX", "", None, mail.message("grüße", "ä\r\n"))[0], "OK")

    # mutt

    def mutt(self, user, push):
        self.need("mutt", "script")
        home = self.server.folder / f"mutt-{time.monotonic_ns()}"
        home.mkdir()
        resource = self.write(home / "muttrc", f"""
set folder="imap://{self.server.imap[0]}:{self.server.imap[1]}/"
set spoolfile="+INBOX"
set imap_user="{user}" imap_pass="{harness.PASSWORD}"
set ssl_starttls=no ssl_force_tls=no imap_keepalive=60 header_cache="{home}/cache"
set quit=yes delete=yes move=no confirmappend=no confirmcreate=no wait_key=no beep=no
set tmpdir="{home}" record="" mark_old=no
""")
        return self.run_tool("script", "-qec", f"mutt -n -F {resource} -e 'push \"{push}\"'", "/dev/null",
                             env={"HOME": str(home), "TERM": "xterm", "PATH": "/usr/bin:/bin:/usr/sbin", "LANG": "C.UTF-8"},
                             seconds=30)

    def test_mutt_reads_and_deletes(self):
        user = "user4@localhost"
        self.fill(user, ["mutt-first", "mutt-second", "mutt-third"])
        target = self.server.folder / "from-mutt"
        self.mutt(user, f"<first-entry><display-message><exit><next-entry><delete-message>"
                        f"<last-entry><flag-message><first-entry><copy-message>{target}<enter><quit>")
        self.assertIn("Subject: mutt-first", target.read_text())
        with wire.Imap(self.server.imap) as client:
            client.login(user).command(b"SELECT INBOX")
            flags = [wire.fetch_fields(r) for r in client.command(b"FETCH 1:* (FLAGS BODY.PEEK[HEADER.FIELDS (SUBJECT)])")]
            self.assertEqual(len(flags), 2)
            self.assertIn(b"\\Seen", flags[0][b"FLAGS"])
            self.assertIn(b"\\Flagged", flags[1][b"FLAGS"])

    # isync

    def mbsync(self, home, user):
        self.need("mbsync")
        config = self.write(home / "mbsyncrc", f"""
IMAPAccount server
Host {self.server.imap[0]}
Port {self.server.imap[1]}
User {user}
Pass {harness.PASSWORD}
SSLType None
AuthMechs LOGIN

IMAPStore far
Account server

MaildirStore near
Path {home}/mail/
Inbox {home}/mail/INBOX
SubFolders Verbatim

Channel all
Far :far:
Near :near:
Patterns *
Create Both
Expunge Both
SyncState *
CopyArrivalDate yes
""")
        (home / "mail").mkdir(exist_ok=True)
        return self.run_tool("mbsync", "-c", config, "-a", env={"HOME": str(home), "PATH": "/usr/bin:/bin"})

    def near(self, home, folder="INBOX"):
        """{subject: flags letters} of the maildir."""
        found = {}
        for path in sorted((home / "mail" / folder).glob("[cn]*/*")):
            subject = re.search(rb"(?m)^Subject: (.*?)\r?$", path.read_bytes()).group(1).decode()
            found[subject] = path.name.rpartition("2,")[2] if ":2," in path.name else ""
        return found

    def far(self, user):
        with wire.Imap(self.server.imap) as client:
            client.login(user).command(b"SELECT INBOX")
            found = {}
            for answer in client.command(b"FETCH 1:* (FLAGS BODY.PEEK[HEADER.FIELDS (SUBJECT)])"):
                fields = wire.fetch_fields(answer)
                if fields:
                    subject = next(v for k, v in fields.items() if k.startswith(b"BODY["))
                    found[subject.split(b": ")[1].strip().decode()] = sorted(
                        flag.decode() for flag in fields[b"FLAGS"] if flag.upper() != b"\\RECENT")
            return found

    def test_mbsync_both_ways(self):
        user = "user5@localhost"
        home = self.scratch("mbsync")
        self.fill(user, [f"sync-{n}" for n in range(20)])
        with imaplib.IMAP4(*self.server.imap) as client:
            client.login(user, harness.PASSWORD)
            client.create("Deep/Er")
            client.append("Deep/Er", r"(\Seen \Answered)", None, mail.message("deep"))
            client.select("INBOX")
            client.store("1:5", "+FLAGS", r"(\Seen)")
        self.mbsync(home, user)
        near = self.near(home)
        self.assertEqual(sorted(near), sorted(f"sync-{n}" for n in range(20)))
        self.assertEqual([near[f"sync-{n}"] for n in range(6)], ["S"] * 5 + [""])
        self.assertEqual(self.near(home, "Deep/Er"), {"deep": "RS"})

        # Near: a flag, a removal, a new message. Far: a flag, a removal, a new message.
        by_subject = {re.search(rb"Subject: (.*?)\r?\n", p.read_bytes()).group(1).decode(): p
                      for p in (home / "mail" / "INBOX").glob("[cn]*/*")}

        def with_flags(path, letters):
            return path.parent.parent / "cur" / (path.name.partition(":2,")[0] + ":2," + letters)

        by_subject["sync-10"].rename(with_flags(by_subject["sync-10"], "FS"))
        by_subject["sync-11"].rename(with_flags(by_subject["sync-11"], "T"))
        (home / "mail" / "INBOX" / "new" / "1700000000.1_1.near").write_bytes(mail.message("from-near").replace(b"\r", b""))
        self.fill(user, ["from-far"])
        with imaplib.IMAP4(*self.server.imap) as client:
            client.login(user, harness.PASSWORD)
            client.select("INBOX")
            client.store("13", "+FLAGS", r"(\Answered)")
            client.store("14", "+FLAGS", r"(\Deleted)")
            client.expunge()
        self.mbsync(home, user)
        self.mbsync(home, user)
        near, far = self.near(home), self.far(user)
        self.assertEqual(sorted(near), sorted(far))
        self.assertNotIn("sync-11", far)
        self.assertNotIn("sync-13", near)
        self.assertIn("from-near", far)
        self.assertIn("from-far", near)
        self.assertEqual(far["sync-10"], ["\\Flagged", "\\Seen"])
        self.assertEqual(near["sync-12"], "R")

    # fetchmail

    def test_fetchmail_empties_a_mailbox(self):
        self.need("fetchmail")
        user = "user6@localhost"
        self.fill(user, ["fetch-1", "fetch-2", "fetch-3"])
        home = self.scratch("fetchmail")
        box = home / "box"
        self.write(home / "take", f"#!/bin/sh\ncat >> {box}\necho =END= >> {box}\n", 0o700)
        config = self.write(home / "fetchmailrc", f"""
poll {self.server.imap[0]} service {self.server.imap[1]} protocol imap
  user "{user}" password "{harness.PASSWORD}" sslproto "" ssl_no_such
""".replace(" ssl_no_such", "") + f'  mda "{home}/take" no keep\n')
        self.run_tool("fetchmail", "-f", config, "--pidfile", home / "pid", "--idfile", home / "ids", "--nosyslog", "-a",
                      env={"HOME": str(home), "PATH": "/usr/bin:/bin", "FETCHMAILHOME": str(home)})
        self.assertEqual(box.read_text().count("=END="), 3)
        self.assertIn("Subject: fetch-2", box.read_text())
        self.assertEqual(mail.look(self.server, user), [])

    # a library of the JavaScript world

    def test_imapflow_session(self):
        try:
            modules = npm.ensure()
        except npm.Unavailable as why:
            self.skipTest(str(why))
        for where, tls in ((self.server.imap, "plain"), (self.server.imaps, "tls")):
            output = self.run_tool("node", modules.parent / "session.js", where[0], where[1],
                                   f"user{7 if tls == 'tls' else 8}@localhost", harness.PASSWORD, tls)
            self.assertNotIn("FAILED", output)

    def test_curl_sasl_plain(self):
        self.need("curl")
        output = self.run_tool("curl", "-sS", "-v", "-u", f"user9@localhost:{harness.PASSWORD}", "--login-options",
                               "AUTH=PLAIN", f"imap://{self.server.imap[0]}:{self.server.imap[1]}/INBOX", "-X", "NOOP")
        self.assertIn("AUTHENTICATE PLAIN", output)
