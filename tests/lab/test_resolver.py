"""The resolver room in a real network: its work is bounded, its cache is everybody's, it keeps to itself.

No assertion rests on how long something takes but on what comes first, on what is asked of whom, and on the
processor time that an attack costs (by a wide margin: what is prevented costs minutes).
"""

import re
import time

import lab
import world
from handsigned import hashes, trap
from harness import PROGRAM, wait_for
from resolvers import Room, Unbound
from zones import Zone

TRAPS = [
    Zone("keytrap.example", world.WWW, spoil=(trap(keys=150, signatures=150, of="A"),)),
    Zone("sigjam.example", world.WWW, spoil=(trap(keys=0, signatures=400, of="A"),)),
    Zone("lockcram.example", world.WWW, spoil=(trap(keys=400, signatures=1, of="A"),)),
    Zone("hashtrap.example", world.WWW, ds=hashes(100), spoil=(trap(keys=200, signatures=1, of="A"),)),
]
TRAPPED = [f"www.{zone.name}" for zone in TRAPS]
CPU_SECONDS = 3.0  # for all of one attack; without limits each is more than a minute


class Work(lab.LabCase):
    zones = [*world.SOUND, *world.UNSIGNED, *world.LYING, *world.UNREACHABLE, *TRAPS, Zone("void", server="silent")]

    def room(self, settings=""):
        room = Room(self.lab.host("client"), settings)
        self.addCleanup(room.__exit__)
        return room

    # --- attacks on the validator ---

    def test_colliding_keys_and_signatures_cost_little_and_delay_nobody(self):
        """CVE-2023-50387."""
        room = self.room()
        room.ask("courier", "A", "www.secure.example")
        self.assertEqual(room.answers(1)[0]["security"], "secure")
        before = room.cpu_seconds()
        for name in TRAPPED:
            room.ask("gate-mx", "A", name, 20000)
        room.ask("courier", "MX", "secure.example")
        answers = {answer["name"]: answer for answer in room.answers(len(TRAPPED) + 1)}
        spent = room.cpu_seconds() - before
        self.assertEqual(answers["secure.example"]["security"], "secure")
        for name in TRAPPED:
            self.assertIn((answers[name]["outcome"], answers[name]["failure"]),
                          {("failed", "authentication"), ("failed", "temporary")}, answers[name])
        self.assertLess(spent, CPU_SECONDS)
        print(f"# {spent:.2f} s of CPU for {len(TRAPPED)} rounds of KeyTrap", flush=True)
        for zone in TRAPS[:3]:  # which are whole but for the trap: its keys were all taken for keys
            room.ask("courier", "A", f"ns.{zone.name}")
            self.assertEqual(room.answers(1)[0]["security"], "secure")

    def test_many_hashes_of_long_names_cost_little_and_delay_nobody(self):
        """CVE-2023-50868: the closest encloser of a name of 100 labels, 150 iterations for each."""
        room = self.room()
        room.ask("courier", "A", "www.most.example")
        self.assertEqual(room.answers(1)[0]["security"], "secure")
        before, n = room.cpu_seconds(), 40
        names = [f"{'a.' * 100}x{i}.{zone}.example" for i in range(n // 2) for zone in ("most", "farmore")]
        for name in names:
            room.ask("gate-mx", "A", name, 20000)
        room.ask("courier", "MX", "most.example")
        answers = {answer["name"]: answer for answer in room.answers(n + 1)}
        spent = room.cpu_seconds() - before
        self.assertEqual(answers["most.example"]["security"], "secure")
        for name in names:
            self.assertNotEqual((answers[name]["outcome"], answers[name]["security"]), ("found", "secure"))
        self.assertLess(spent, CPU_SECONDS)
        print(f"# {spent:.2f} s of CPU for {n} names of 103 labels", flush=True)

    # --- one name and others ---

    def test_slow_names_delay_no_others(self):
        room = self.room()
        for n in range(50):
            room.ask("gate-mx", "A", f"x{n}.mute.example", 20000)
            room.ask("gate-mx", "A", f"x{n}.neverwhole.plainliar.example", 20000)  # by TCP, of which there are few
        for name in ("slow.liar.example", "slow.plainliar.example"):
            room.ask("courier", "A", name, 20000)
        quick = [f"{label}.{zone.name}" for zone in world.SOUND[:8] for label in ("www", "nothing", "deep.down")]
        for name in quick:
            room.ask("courier", "A", name)
        room.ask("courier", "TXT", "big.secure.example.")  # by TCP, too
        self.assertEqual({answer["name"] for answer in room.answers(len(quick) + 1)}, {*quick, "big.secure.example."})

    def test_512_lookups_are_under_way_and_one_more_is_told_so_at_once(self):
        room = self.room()
        for n in range(385):  # three quarters of the places are for strangers
            room.ask("gate-mx", "A", f"s{n}.void", 30000)
        answer, = room.answers(1)
        self.assertEqual((answer["room"], answer["status"]), ("gate-mx", "busy"))
        for n in range(129):
            room.ask("courier", "A", f"c{n}.void", 30000)
        answer, = room.answers(1)
        self.assertEqual((answer["room"], answer["status"]), ("courier", "busy"))

    def test_the_courier_has_places_that_strangers_cannot_take(self):
        room = self.room("max_lookups: 16")
        for n in range(20):
            room.ask("gate-mx", "A", f"s{n}.void", 30000)
        self.assertEqual([answer["status"] for answer in room.answers(8)], ["busy"] * 8)
        room.ask("courier", "A", "www.secure.example")
        self.assertEqual(room.answers(1)[0]["name"], "www.secure.example")

    def test_a_domain_with_silent_servers_takes_no_places_of_others(self):
        """Its names are given up, and go on within libunbound for minutes."""
        room = self.room()
        for n in range(200):
            room.ask("gate-mx", "A", f"s{n}.mute.example", 100)
        self.assertEqual({answer["failure"] for answer in room.answers(200)}, {"temporary"})
        names = [f"www.{zone.name}" for zone in world.SOUND[:6]]
        for name in names:
            room.ask("gate-mx", "A", name)
        found = [answer for answer in room.answers(len(names)) if answer["outcome"] == "found"]
        self.assertGreaterEqual(len(found), len(names) - 1)  # domains are told apart by a hash

    # --- the cache ---

    def test_what_one_room_asked_all_rooms_know(self):
        room = self.room()
        questions = [("MX", "secure.example"), ("A", "nothing.nsec3.example"), ("TXT", "insecure.example"), ("A", "www.secure.example")]
        for room_name in ("courier", "gate-mx", "steward"):
            with self.lab.capture("root", "tld", "leaf") as seen:
                for kind, name in questions:
                    room.ask(room_name, kind, name)
                room.answers(len(questions))
            if room_name == "courier":
                self.assertTrue(seen.queries())
            else:
                self.assertEqual(seen.queries(), [])

    def test_the_same_question_is_asked_once_for_all_who_wait(self):
        room = self.room()
        with self.lab.capture("liar") as seen:
            for _ in range(20):
                room.ask("courier", "A", "honest.plainliar.example")
            room.answers(20)
        self.assertLessEqual(len([name for name, kind in seen.queries() if kind == "A" and name.startswith("honest")]), 2)

    # --- what others hear of us, and what we believe of them ---

    def test_servers_hear_no_more_of_a_name_than_they_need(self):
        """RFC 9156."""
        room = self.room()
        with self.lab.capture("root", "tld", "leaf") as seen:
            room.ask("courier", "A", "a.secret.name.of.somebody.secure.example")
            room.answers(1)
        depths = {host: max(name.rstrip(".").count(".") + 1 for name, _ in seen.queries(self.lab.host(host)) if name != ".")
                  for host in ("root", "tld", "leaf")}
        self.assertLessEqual(depths["root"], 1)
        self.assertLessEqual(depths["tld"], 2)
        self.assertGreater(depths["leaf"], 2)

    def test_records_of_other_zones_are_not_believed(self):
        room = self.room()
        one = self.lab.mailkeep("one")
        self.assertEqual(one.lookup("A", "poison.plainliar.example")["security"], "insecure")
        self.assertEqual(one.lookup("A", "www.victim.example")["records"][0]["address"], "192.0.2.80")
        room.ask("courier", "A", "poison.liar.example")
        self.assertEqual(room.answers(1)[0]["security"], "secure")

    def test_packets_get_lost(self):
        leaf, room = self.lab.host("leaf"), self.room()
        leaf.lose(30)
        self.addCleanup(leaf.heal)
        names = [f"www.{zone.name}" for zone in world.SOUND[:8]]
        for name in names:
            room.ask("courier", "A", name, 60000)
        self.assertEqual({(answer["name"], answer["outcome"]) for answer in room.answers(len(names))},
                         {(name, "found") for name in names})

    def test_a_network_that_comes_back_is_asked_again(self):
        host, room = self.lab.host("leaf"), self.room()
        host.unplug()
        self.addCleanup(host.plug)
        room.ask("courier", "A", "www.secure.example", 2000)
        self.assertEqual(room.answers(1)[0]["failure"], "temporary")
        host.plug()

        def answered():
            room.ask("courier", "A", "www.secure.example", 5000)
            return room.answers(1)[0]["outcome"] == "found"
        self.assertTrue(wait_for(answered, 60, every=0.5))


class Trust(lab.LabCase):
    """What a resolver elsewhere is believed, by the configuration."""

    zones = [*world.SOUND[:2], *world.BROKEN[:3]]

    def test_the_ad_bit_counts_from_loopback_or_by_the_administrators_word(self):
        one, resolver = self.lab.host("one"), self.lab.host("resolver")
        Unbound(one, self.lab.authority)
        cases = [
            (f'{{mode: trust, servers: ["{resolver.ip4}"]}}', "insecure"),
            (f'{{mode: trust, servers: ["{resolver.ip4}"], trust_ad: true}}', "secure"),
            ('{mode: trust, servers: ["127.0.0.1"]}', "secure"),
            (f'{{mode: trust, servers: ["127.0.0.1", "{resolver.ip6}"]}}', "insecure"),  # all of them, or none
            ("{mode: trust}", "secure"),  # resolv.conf has `options trust-ad`
        ]
        server = self.lab.mailkeep("one", resolver=cases[0][0])
        for before, (settings, expected) in zip([cases[0][0], *(settings for settings, _ in cases)], cases):
            with self.subTest(settings):
                server.reconfigure(before, settings)
                self.assertEqual(server.lookup("A", "www.secure.example")["security"], expected)
        one.use_resolver(resolver.ip4, options="edns0")
        server.stop()
        server.start()
        self.assertEqual(server.lookup("A", "www.secure.example")["security"], "insecure")

    def test_names_are_absolute(self):
        two, resolver = self.lab.host("two"), self.lab.host("resolver")
        two.use_resolver(resolver.ip4, options="edns0 trust-ad\nsearch secure.example")
        server = self.lab.mailkeep("two", resolver="{mode: trust}")
        with self.lab.capture("two") as seen:
            self.assertEqual(server.lookup("A", "www")["outcome"], "nxdomain")
        self.assertEqual({name for name, _ in seen.queries()}, {"www."})

    def test_a_forwarders_own_failures_are_shown(self):
        stranger = self.lab.host("stranger")
        done = stranger.run(PROGRAM, "dns", "lookup", "A", "www.secure.example", "--resolver",
                            self.lab.host("resolver").ip4, "--anchor", stranger.folder / "root.anchor")
        self.assertEqual(done.returncode, 1)
        self.assertIn("failed (other): server answered REFUSED", done.stdout)
        self.assertIn("extended error 18 (Prohibited)", done.stdout)

    def test_another_root_is_believed_in_nothing(self):
        client = self.lab.host("client")
        anchor = client.folder / "other.anchor"
        anchor.write_text(re.sub(r"[0-9a-f]{64}", "ab" * 32, self.lab.authority.anchor()))
        for name in ("www.secure.example", "nothing.example"):
            done = client.run(PROGRAM, "dns", "lookup", "A", name, "--hints", client.folder / "root.hints", "--anchor", anchor)
            self.assertTrue(done.stdout.startswith("bogus: failed (authentication)"), done.stdout)


class Rollover(lab.LabCase):
    """A zone changes its key while we know the old one (RFC 6781 section 4.1.2: double signature)."""

    zones = [zone for zone in world.SOUND if zone.name == "roll.example."]

    def look(self, room, n):
        room.ask("courier", "A", f"www{n}.roll.example")
        answer, = room.answers(1)
        return answer["security"]

    def test_a_careful_rollover_is_not_noticed_and_a_careless_one_is_bogus(self):
        authority, zone = self.lab.authority, self.lab.authority["roll.example"]
        with Room(self.lab.host("client")) as room:
            self.assertEqual(self.look(room, 0), "secure")
            steps = [authority.add_key, authority.retire_key]
            for n, step in enumerate(steps, 1):
                step(zone)
                authority.publish()
                for repeat in range(4):  # the TTL is a second: with and without what was known before
                    self.assertEqual(self.look(room, 4 * n + repeat), "secure")
                    time.sleep(0.5)
            zone.ds = "wrong"
            authority.publish()
            self.assertTrue(wait_for(lambda: self.look(room, 20) == "bogus", 20, every=0.5))
        zone.ds = "right"
        authority.publish()
        with Room(self.lab.host("client")) as fresh:  # the other one remembers what was bogus for a minute
            self.assertEqual(self.look(fresh, 21), "secure")
