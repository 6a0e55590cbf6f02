"""6,046 real messages in mailkeep and in Debian's Dovecot say the same, but for what is explained."""

import differential
import harness
import npm


class Differential(harness.ServerCase):
    accounts = 1

    def test_same_as_dovecot_on_real_mail(self):
        harness.need_peers(self)
        try:
            corpus = differential.load_corpus()
        except npm.Unavailable as why:
            self.skipTest(str(why))
        self.assertEqual(len(corpus), 6046)
        differential.append_all(self.server.imap, "user1@localhost", corpus)
        comparison = differential.compare(self.server, "user1@localhost", corpus)
        explained = differential.allowed()
        print(f"# {comparison.messages} messages and {comparison.sections} sections compared, "
              f"{len(comparison.differences)} differences, {len(explained)} explained", flush=True)
        left = [f"{item} of {name}: ours {str(values[0])[:200]} theirs {str(values[1])[:200]}"
                for (item, name), values in differential.unexplained(comparison.differences).items()]
        self.assertEqual(len(left), 0, "unexplained:\n" + "\n".join(left[:40]))
        stale = [key for key in explained if key not in comparison.differences]
        self.assertEqual(stale, [], "explained, but no longer different")

    def test_every_reason_is_documented(self):
        page = (harness.TOP / "docs" / "deviations.md").read_text()
        for reason in set(differential.allowed().values()) | set(differential.REASONS):
            self.assertIn(f"| {reason} |", page)
            self.assertIn(reason, differential.REASONS)
