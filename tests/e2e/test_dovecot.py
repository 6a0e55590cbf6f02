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
        open_ones = [f"{item} of {name}: ours {str(values[0])[:200]} theirs {str(values[1])[:200]}"
                     for (item, name), values in sorted(comparison.differences.items()) if (item, name) not in explained]
        self.assertEqual(len(open_ones), 0, "unexplained:\n" + "\n".join(open_ones[:40]))
        stale = [key for key in explained if key not in comparison.differences]
        self.assertEqual(stale, [], "explained, but no longer different")
