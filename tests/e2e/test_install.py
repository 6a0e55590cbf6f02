"""`make install` puts a tree that runs from where it lies, with manual pages and completions."""

import shutil
import unittest

import harness
import installed
import mail
import wire

EXPECTED = ("bin/mailkeep", "sbin/sendmail", "libexec/mailkeep/supervisor", "libexec/mailkeep/gate",
            "libexec/mailkeep/account", "share/man/man1/mailkeep.1",
            "share/man/man5/mailkeep.yaml.5", "share/man/man5/domains.yaml.5",
            "share/bash-completion/completions/mailkeep.bash", "share/zsh/site-functions/_mailkeep")


@unittest.skipUnless(installed.is_possible() and not installed.SANITIZED, "installs what `make` built")
class Install(unittest.TestCase):
    def test_the_installed_tree_serves_mail(self):
        place = installed.tree("/usr")
        self.addCleanup(shutil.rmtree, place, ignore_errors=True)
        for path in EXPECTED:
            self.assertTrue((place / "usr" / path).is_file(), path)
        program, harness.PROGRAM = harness.PROGRAM, str(place / "usr" / "bin" / "mailkeep")
        try:
            with harness.Server(accounts=1) as server:
                with wire.Smtp(server.smtp) as client:
                    client.ehlo()
                    self.assertEqual(client.deliver(b"a@b.example", [b"user1@localhost"], mail.message("in"))[0], 250)
                self.assertEqual(len(mail.look(server, "user1@localhost")), 1)
        finally:
            harness.PROGRAM = program


if __name__ == "__main__":
    unittest.main()
