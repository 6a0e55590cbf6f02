#!/usr/bin/env python3
"""libmailkeep as others use it: installed somewhere, found by pkg-config, built against by `cc`.

The examples run against a small DNS server; headers are compiled alone in each language; what the libraries export
is compared with what the compiler says that the headers declare.
"""

import json
import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import unittest

import dns_server
import harness
import installed

DOC = harness.TOP / "docs" / "libmailkeep.md"
WARNINGS = ["-Wall", "-Wextra", "-Wpedantic", "-Werror"]
SANITIZERS = ["-fsanitize=address,undefined", "-fno-sanitize-recover=undefined"] if installed.SANITIZED else []
PREFIX, PRIVATE = "mailkeep_", "private_mailkeep_"
# Beside libc.
NEEDED = {"libidn2.so.0", "libunistring.so.2", "libpsl.so.5", "libcrypto.so.3", "libunbound.so.8"}
C_COMPILERS, CXX_COMPILERS = (list(filter(shutil.which, names)) for names in (("cc", "clang"), ("g++", "clang++")))


def setUpModule():
    if not installed.is_possible():
        raise unittest.SkipTest("installs what `make` built")
    global place, root, scratch, environment
    place = installed.tree("/opt/mailkeep")
    config = next(place.rglob("mailkeep.pc"))
    root, scratch = config.parents[3], pathlib.Path(tempfile.mkdtemp(prefix="mailkeep-library-"))
    environment = {**os.environ, "PKG_CONFIG_PATH": str(config.parent), "LD_LIBRARY_PATH": str(config.parent.parent)}


def tearDownModule():
    shutil.rmtree(place, ignore_errors=True)
    shutil.rmtree(scratch, ignore_errors=True)


def run(*words, **options):
    return subprocess.run([*map(str, words)], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=300,
                          **options)


def pkg_config(*words):
    """As for a package that lies below its DESTDIR."""
    prefix = "/" + str(root.relative_to(place))
    done = run("pkg-config", *words)
    if done.returncode != 0:
        raise AssertionError(done.stderr.decode())
    return [word.replace(prefix, str(root), 1) if word.startswith(("-I" + prefix, "-L" + prefix)) else word
            for word in done.stdout.decode().split()]


def headers():
    folder = root / "include" / "mailkeep"
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*.h"))


def library(name):
    return next((root / "lib").rglob(name))


def symbols(path, *options):
    text = run("nm", "--extern-only", "--defined-only", *options, path).stdout.decode()
    return {name.partition("@")[0] for name in re.findall(r"^\w+ [A-Z] (\w+)(?:@\S*)?$", text, re.M)} - {"MAILKEEP_0"}


def libs(static=False):
    """With the static library, and with those shared that it stands on, as examples/Makefile does it."""
    if not static:
        return pkg_config("--libs", "mailkeep")
    return ["-l:libmailkeep.a" if word == "-lmailkeep" else word for word in pkg_config("--static", "--libs", "mailkeep")]


class Built(unittest.TestCase):
    def build(self, name, *words, compiler="cc", flags=(), static=False):
        program = scratch / name
        done = run(compiler, *SANITIZERS, *flags, "-o", program, *words, *pkg_config("--cflags", "mailkeep"), *libs(static))
        self.assertEqual((done.returncode, done.stderr.decode()), (0, ""))
        return program

    def compile_only(self, compiler, standard, *sources, language="c"):
        done = run(compiler, "-x", language, f"-std={standard}", *WARNINGS, "-fsyntax-only", *pkg_config("--cflags", "mailkeep"),
                   *sources)
        self.assertEqual((done.returncode, done.stderr.decode()[:3000]), (0, ""), f"{compiler} {standard}")

    def source(self, name, text):
        path = scratch / name
        path.write_text(text)
        return path


@unittest.skipIf(installed.SANITIZED, "said of the plain build")
class Package(Built):
    def test_pkg_config_says_what_is_needed(self):
        self.assertEqual([word for word in libs() if not word.startswith("-L")], ["-lmailkeep"])
        self.assertLessEqual({"-lmailkeep", "-lidn2", "-lunistring", "-lpsl", "-lcrypto", "-lunbound", "-pthread"},
                             set(pkg_config("--static", "--libs", "mailkeep")))
        self.assertEqual(pkg_config("--cflags", "mailkeep"), [f"-I{root}/include"])
        version = re.search(r"version: '([\d.]+)'", (harness.TOP / "meson.build").read_text()).group(1)
        self.assertEqual(pkg_config("--modversion", "mailkeep"), [version])

    def test_a_tree_that_lies_elsewhere_is_found_by_its_prefix(self):
        done = run("pkg-config", f"--define-variable=prefix={root}", "--cflags", "--libs", "mailkeep")
        self.assertEqual(done.stdout.decode().split(),
                         [f"-I{root}/include", f"-L{library('libmailkeep.so').parent}", "-lmailkeep"])

    def test_the_library_needs_no_others(self):
        text = run("readelf", "-d", library("libmailkeep.so")).stdout.decode()
        self.assertEqual(set(re.findall(r"\(NEEDED\).*\[(.*)\]", text)) - {"libc.so.6"}, NEEDED)
        self.assertEqual(re.findall(r"\(SONAME\).*\[(.*)\]", text), ["libmailkeep.so.0.1"])
        self.assertTrue(library("libmailkeep.so.0.1").exists())

    def test_examples_and_the_page_are_installed(self):
        folder = root / "share" / "doc" / "mailkeep"
        for path in (harness.TOP / "examples").iterdir():
            if path.name == "meson.build":
                continue
            self.assertEqual((folder / "examples" / path.name).read_bytes(), path.read_bytes())
        self.assertEqual((folder / DOC.name).read_bytes(), DOC.read_bytes())

    def test_the_examples_have_a_makefile(self):
        folder = scratch / "examples"
        shutil.copytree(root / "share" / "doc" / "mailkeep" / "examples", folder)
        for words, needs in [((), True), (("STATIC=1",), False)]:
            done = run("make", "-C", folder, "clean", "all", f"PKG_CONFIG=pkg-config --define-variable=prefix={root}",
                       "CFLAGS=-Wall -Wextra -Werror", *words)
            self.assertEqual((done.returncode, done.stderr.decode()), (0, ""))
            text = run("readelf", "-d", folder / "check-message").stdout.decode()
            self.assertEqual("libmailkeep.so" in text, needs)


@unittest.skipIf(installed.SANITIZED, "said of the plain build")
class Headers(Built):
    def test_each_compiles_alone(self):
        sources = [self.source(header.replace("/", "_") + ".c", f"#include <mailkeep/{header}>\n")
                   for header in headers()]
        self.assertGreater(len(sources), 60)
        for compiler in C_COMPILERS:
            for standard in ("c11", "c17", "gnu11"):
                self.compile_only(compiler, standard, *sources)

    def test_all_compile_as_cxx(self):
        if not CXX_COMPILERS:
            self.skipTest("there is no C++ compiler")
        source = self.source("all.cc", "#include <mailkeep/mailkeep.h>\n")
        for compiler in CXX_COMPILERS:
            for standard in ("c++11", "c++17", "c++20"):
                self.compile_only(compiler, standard, source, language="c++")

    def test_a_cxx_program_links_and_runs(self):
        source = self.source("program.cc", """
            #include <mailkeep/mailkeep.h>
            #include <string>
            int main() {
                buf out;
                buf_init(&out, 100);
                base64_encode(SLICE("mailkeep"), &out);
                std::string text(buf_cstr(&out));
                buf_done(&out);
                dns_table table;
                dns_table_init(&table);
                dns_table_add(&table, "a.example A 192.0.2.1 secure");
                arena memory;
                arena_init(&memory, DNS_ANSWER_ARENA);
                const dns_answer *answer;
                status s = dns_lookup(&table.resolver, SLICE("a.example"), DNS_TYPE_A, 0, &memory, &answer);
                bool good = status_is_ok(s) && answer->security == DNS_SECURE && dns_name_is_root(dns_root);
                arena_done(&memory);
                dns_table_done(&table);
                return text == "bWFpbGtlZXA=" && good ? 0 : 1;
            }""")
        if not CXX_COMPILERS:
            self.skipTest("there is no C++ compiler")
        for compiler in CXX_COMPILERS:
            self.assertEqual(run(self.build("cxx", source, compiler=compiler)).returncode, 0, compiler)

    def test_what_is_private_stays_at_home(self):
        self.assertEqual([header for header in headers() if re.search(r"_(private|testing)\.h$|banned|words", header)], [])

    def test_they_leave_a_program_its_own_words(self):
        """Banned functions may be used, short words are free, and a "base/" of the program is not taken for ours."""
        (scratch / "base").mkdir(exist_ok=True)
        self.source("base/slice.h", "#error this is the program's own\n")
        source = self.source("words.c", """
            #include <mailkeep/mailkeep.h>
            #include <stdlib.h>
            #include <time.h>
            #define MIN(a, b) 1
            #define MAX(a, b) 2
            #define TRY 3
            #define BUG 4
            #define ASSERT 5
            #define UNUSED 6
            #define CLEANUP 7
            #define PRINTF 8
            int ok(void); int fail(int is_ok);
            int ok(void) { char text[4]; strcpy(text, "1"); return atoi(text); }
            int fail(int is_ok) { return is_ok; }
            int main(void) { return ok() - fail(MIN(2, 1)); }
            """)
        done = run("cc", f"-I{scratch}", *WARNINGS, "-std=c11", "-o", scratch / "words", source,
                   *pkg_config("--cflags", "--libs", "mailkeep"))
        self.assertEqual((done.returncode, done.stderr.decode()), (0, ""))
        self.assertEqual(run(scratch / "words").returncode, 0)


@unittest.skipIf(installed.SANITIZED, "said of the plain build")
class Names(Built):
    def declared(self, names):
        """By the compiler's own account (gcc's -aux-info), and not by what library/headers.py read."""
        source = self.source("declared.c", "".join(f"#include <mailkeep/{name}>\n" for name in names))
        prototypes = scratch / "prototypes"
        done = run("gcc", "-fsyntax-only", "-aux-info", prototypes, *pkg_config("--cflags", "mailkeep"), source)
        self.assertEqual(done.returncode, 0, done.stderr.decode())
        found = set(re.findall(r"^/\* \S*include/mailkeep/\S+ \*/ extern .*?(\w+) \(", prototypes.read_text(), re.M))
        for name in names:
            text = (root / "include" / "mailkeep" / name).read_text()
            found |= set(re.findall(r"^extern [\w \*]*?(\w+)(?:\[\w+\])*;", text, re.M))
        return found

    def test_what_is_declared_is_exported_and_nothing_else(self):
        if not shutil.which("gcc"):
            self.skipTest("only gcc lists what a file declares")
        declared = self.declared([name for name in headers() if name != "mailkeep.h"])
        self.assertGreater(len(declared), 350)
        self.assertLessEqual({"dns_root", "dns_unbound_new", "dkim_sign"}, declared)
        expected = {PREFIX + symbol for symbol in declared}
        self.assertEqual(symbols(library("libmailkeep.so"), "--dynamic"), expected)
        static = symbols(library("libmailkeep.a"))
        self.assertLessEqual(expected, static)
        self.assertEqual({name for name in static - expected if not name.startswith(PRIVATE)}, set())

    def test_they_meet_no_other_function_of_their_name(self):
        """A program has a function for every name within the library, internal ones too: the library calls its own."""
        text = run("nm", library("libmailkeep.a")).stdout.decode()
        inside = {name.removeprefix(PRIVATE).removeprefix(PREFIX) for name in re.findall(r"^\w+ [Tt] ([a-z]\w*)$", text, re.M)}
        libc = run("nm", "-D", "--defined-only", "/lib/x86_64-linux-gnu/libc.so.6").stdout.decode() \
            if pathlib.Path("/lib/x86_64-linux-gnu/libc.so.6").exists() else ""
        inside -= {"main"} | set(re.findall(r" (\w+)@", libc))
        self.assertLessEqual({"buf_init", "arena_alloc", "hex_encode", "dkim_sign", "dkim_hash_new"}, inside)
        text = "".join(f"void {name}(void) {{ abort(); }}\n" for name in sorted(inside))
        taken = self.source("taken.c", "#include <stdlib.h>\n" + text)
        example = harness.TOP / "examples" / "sign-message.c"
        key = scratch / "taken.pem"
        run("openssl", "genpkey", "-algorithm", "ed25519", "-out", key)
        for static in (False, True):
            program = self.build(f"taken-{static}", example, taken, flags=["-fno-builtin", "-rdynamic"], static=static)
            done = run(program, "example.com", "s", key, input=b"From: a@example.com\n\nhello\n")
            self.assertTrue(done.stdout.startswith(b"DKIM-Signature: v=1; a=ed25519-sha256;"), done)

    def test_a_program_links_only_what_it_uses(self):
        program = self.build("only-parts", harness.TOP / "examples" / "show-parts.c", flags=["-Wl,--as-needed"], static=True)
        self.assertEqual(re.findall(r"\(NEEDED\).*\[(.*)\]", run("readelf", "-d", program).stdout.decode()), ["libc.so.6"])
        self.assertLess(program.stat().st_size, 600_000)

    def test_a_program_of_static_libraries_alone(self):
        example = harness.TOP / "examples" / "show-parts.c"
        done = run("cc", "-static", "-o", scratch / "static", example,
                   *pkg_config("--static", "--cflags", "--libs", "mailkeep"))
        if done.returncode != 0 and b"cannot find" in done.stderr:
            self.skipTest("a static library of the system is missing")
        self.assertEqual(done.returncode, 0, done.stderr.decode())
        done = run(scratch / "static", input=b"Subject: =?utf-8?q?gr=C3=BC=C3=9Fe?=\n\n")
        self.assertIn("subject: grüße\n", done.stdout.decode())


RECORDS = """
example.com TXT "v=spf1 ip4:192.0.2.1 -all"
_dmarc.example.com TXT "v=DMARC1; p=reject"
mail.example.com A 192.0.2.1
mail.example.com TXT "v=spf1 a -all"
1.2.0.192.in-addr.arpa PTR mail.example.com
9.2.0.192.in-addr.arpa PTR mail.example.com
insecure plain.test
list.plain.test TXT "v=spf1 ip4:192.0.2.9 -all"
list.plain.test A 192.0.2.9
down.example TXT !servfail
_dmarc.down.example TXT !servfail
_dmarc.down.example A 192.0.2.3
www.example.com CNAME mail.example.com
forged.example A 192.0.2.1
forged.example A !bogus
"""
MESSAGE = b"From: Ada <ada@example.com>\nTo: b@example.net\nSubject: =?utf-8?q?gr=C3=BC=C3=9Fe?=\n\nhello\n"
PASSING = ("192.0.2.1", "mail.example.com", "ada@example.com")
INDIRECT = ("192.0.2.9", "list.plain.test", "list@list.plain.test")


class Examples(Built):
    @classmethod
    def setUpClass(cls):
        builder = cls("run_nothing")
        for name in ("check-message", "lookup-name", "show-parts", "sign-message"):
            for static in (False, True):
                source = root / "share/doc/mailkeep/examples" / f"{name}.c"
                builder.build(f"{name}-static" if static else name, source, flags=WARNINGS, static=static)
        cls.keys = {"ed": scratch / "ed.pem", "rsa": scratch / "rsa.pem"}
        records = RECORDS
        for selector, words in (("ed", "ed25519"), ("rsa", "RSA -pkeyopt rsa_keygen_bits:2048")):
            run("openssl", "genpkey", "-algorithm", *words.split(), "-out", cls.keys[selector])
            done = run(scratch / "sign-message", "--record", "example.com", selector, cls.keys[selector])
            records += done.stdout.decode().replace(". TXT", " TXT")
        cls.server = dns_server.DnsServer(records).start()
        cls.resolver = f"{cls.server.address}:{cls.server.port}"
        cls.anchor = scratch / "anchor"
        cls.anchor.write_text(cls.server.anchor)

    @classmethod
    def tearDownClass(cls):
        cls.server.stop()

    def run_nothing(self):
        """For the builder of the class."""

    def sign(self, message=MESSAGE, selector="ed", program="sign-message"):
        done = run(scratch / program, "example.com", selector, self.keys[selector], input=message)
        self.assertEqual((done.returncode, done.stderr), (0, b""))
        return done.stdout

    def ask(self):
        return ["--resolver", self.resolver, "--anchor", self.anchor]

    def check(self, message, *words, program="check-message", resolver=None):
        """(exit status, the results in one line, all that was printed)"""
        done = run(scratch / program, *(resolver or self.ask()), *words, input=message)
        self.assertEqual(done.stderr, b"")
        text = done.stdout.decode()
        field = re.match(r"Authentication-Results: ((?:.*\r\n)(?:[ \t].*\r\n)*)", text)
        return done.returncode, " ".join(field.group(1).split()), text

    def test_what_is_signed_is_verified(self):
        """By each form of the library, with each kind of key; from files as well as standard input."""
        path = scratch / "signed.eml"
        for ending in ("", "-static"):
            for selector in self.keys:
                signed = self.sign(selector=selector, program=f"sign-message{ending}")
                path.write_bytes(signed)
                status, field, text = self.check(b"", *PASSING, path, program=f"check-message{ending}")
                self.assertEqual((status, text), self.check(signed, *PASSING)[::2])
                self.assertEqual(status, 0, text)
                self.assertRegex(field, f"dkim=pass .dnssec secure. header.d=example.com .* header.s={selector} ")
                self.assertIn("dmarc=pass (dnssec secure) header.from=example.com", field)

    def test_line_ends_of_this_system_become_those_of_mail(self):
        signed = self.sign()
        self.assertTrue(signed.endswith(MESSAGE.replace(b"\n", b"\r\n")))
        self.assertEqual(self.check(signed.replace(b"\r\n", b"\n"), *PASSING), self.check(signed, *PASSING))
        bare = self.sign(MESSAGE.replace(b"\n", b"\r\n") + b"one\ntwo\r\n")  # is what it is
        self.assertTrue(bare.endswith(b"one\ntwo\r\n"))
        self.assertIn("dkim=pass", self.check(bare, *PASSING)[1])

    def test_the_field_alone(self):
        done = run(scratch / "sign-message", "--field", "example.com", "ed", self.keys["ed"], input=MESSAGE)
        self.assertRegex(done.stdout, rb"^DKIM-Signature: v=1; (?:.*\r\n)(?:\t.*\r\n)*$")
        self.assertIn("dkim=pass", self.check(done.stdout + MESSAGE.replace(b"\n", b"\r\n"), *PASSING)[1])

    def test_a_message_that_is_all_right(self):
        status, field, text = self.check(self.sign(), *PASSING)
        self.assertEqual(status, 0, text)
        for result in ("mx.example.com; iprev=pass (dnssec secure) policy.iprev=192.0.2.1",
                       "spf=pass (dnssec secure) smtp.helo=mail.example.com",
                       "spf=pass (dnssec secure) smtp.mailfrom=example.com",
                       "dkim=pass (dnssec secure) header.d=example.com header.i=@example.com header.s=ed "
                       "header.a=ed25519-sha256",
                       "dmarc=pass (dnssec secure) header.from=example.com"):
            self.assertIn(result, field)
        for line in ("Received-SPF: pass (mx.example.com: example.com lets 192.0.2.1 send:\r\n",
                     "\niprev pass 192.0.2.1: the name of the address leads back to it\n",
                     "\n  1.2.0.192.in-addr.arpa PTR: 1 record, secure\n", "\ndkim pass example.com\n",
                     "\n  ed._domainkey.example.com TXT: 1 record, secure\n", "\ndecision: accept\n"):
            self.assertIn(line, text)

    def test_another_anchor_makes_nothing_believed(self):
        """The root's real keys did not sign this small world."""
        field = self.check(self.sign(), *PASSING, resolver=["--resolver", self.resolver])[1]
        self.assertIn("dkim=temperror (dnssec bogus)", field)
        self.assertNotIn("pass", field)

    def test_a_forgery(self):
        message = b"Authentication-Results: MX.example.com; spf=pass\nAuthentication-Results: other.example; spf=pass\n" + MESSAGE
        status, field, text = self.check(message, *INDIRECT)
        self.assertEqual(status, 5, text)
        self.assertIn("iprev=fail", field)
        self.assertIn("spf=pass (dnssec insecure) smtp.mailfrom=list.plain.test", field)
        self.assertIn("dkim=none (dnssec none)", field)
        self.assertIn("dmarc=fail (dnssec secure) header.from=example.com policy.dmarc=reject", field)
        self.assertIn("to be removed: Authentication-Results: MX.example.com; spf=pass", text)
        self.assertEqual(text.count("to be removed"), 1)
        self.assertIn("decision: refuse\n", text)

    def test_a_changed_body(self):
        status, field, text = self.check(self.sign().replace(b"hello", b"goodbye"), *INDIRECT)
        self.assertEqual(status, 5, text)
        self.assertIn('dkim=fail (dnssec secure) reason="', field)
        self.assertIn("dkim fail example.com: ", text)

    def test_what_cannot_be_found_out_now(self):
        status, field, text = self.check(b"From: a@down.example\n\n", "2001:db8::1", "x", "a@down.example")
        self.assertEqual(status, 4, text)
        self.assertIn("spf=temperror", field)
        self.assertIn("dmarc=temperror", field)
        self.assertIn("SERVFAIL", text)

    def test_a_delivery_report_has_no_sender(self):
        field = self.check(self.sign(), "192.0.2.1", "mail.example.com", "")[1]
        self.assertIn("spf=pass (dnssec secure) smtp.helo=mail.example.com", field)
        self.assertNotIn("smtp.mailfrom", field)

    def test_a_chain_that_another_server_sealed(self):
        """The seal is made by the program, and checked by the library."""
        path = scratch / "forwarded.eml"
        path.write_bytes(self.sign(selector="rsa"))
        seal = run(harness.PROGRAM, "arc", "seal", "--domain", "example.com", "--selector", "rsa", "--key", self.keys["rsa"],
                   "--message", "--results", "first.example; spf=pass smtp.mailfrom=example.com", path)
        self.assertEqual(seal.returncode, 0, seal.stderr.decode())
        field, text = self.check(seal.stdout, *INDIRECT)[1:]
        self.assertIn("arc=pass (dnssec secure) header.oldest-pass=0 smtp.remote-ip=192.0.2.9", field)
        self.assertIn("arc pass example.com: ", text)
        self.assertIn("arc=fail", self.check(seal.stdout.replace(b"cv=none", b"cv=pass"), *INDIRECT)[1])

    def test_the_program_verifies_what_the_library_signed(self):
        for selector in self.keys:
            done = run(harness.PROGRAM, "dkim", "verify", "--json", *self.ask(),
                       input=self.sign(selector=selector))
            signatures = json.loads(done.stdout)["messages"][0]["signatures"]
            self.assertEqual([(signature["result"], signature["security"]) for signature in signatures], [("pass", "secure")])

    def test_signing_refuses_what_cannot_be_signed(self):
        for message, words, sentence in [(b"Subject: x\n\n", ("example.com", "ed"), b"sign-message: the message: "),
                                         (MESSAGE, ("example..com", "ed"), b"sign-message: the message: "),
                                         (MESSAGE, ("example.com", "a b"), b"sign-message: the message: ")]:
            done = run(scratch / "sign-message", *words, self.keys["ed"], input=message)
            self.assertEqual((done.returncode, done.stdout), (1, b""))
            self.assertTrue(done.stderr.startswith(sentence), done.stderr)
        done = run(scratch / "sign-message", "example.com", "s", self.anchor, input=MESSAGE)
        self.assertEqual(done.returncode, 1)

    def test_arguments_that_are_none(self):
        for words, sentence in [((), b"usage: check-message"), (PASSING[:2], b"usage: check-message"),
                                ((*PASSING, "m", "more"), b"usage: check-message"), (("--name",), b"requires an argument"),
                                (("--moo", *PASSING), b"unrecognized option"), (("x", "h", "a@b.example"), b"this is no IP address"),
                                (("192.0.2.1", "h", "a b c"), b"this is no address"),
                                ((*PASSING, "/nonexistent"), b"/nonexistent: cannot be read"),
                                ((*PASSING, "/"), b"/: cannot be read"),
                                (("--anchor", "/nonexistent", *PASSING), b"/nonexistent: cannot be read"),
                                (("--anchor", scratch / "ed.pem", *PASSING), b"the resolver: "),
                                (("--resolver", "x", *PASSING), b"--resolver: ")]:
            done = run(scratch / "check-message", *words, input=MESSAGE)
            self.assertEqual((done.returncode, done.stdout), (1, b""), words)
            self.assertIn(sentence, done.stderr)
        for words, sentence in [((), b"usage: sign-message"), (("a", "b", "c", "d", "e"), b"usage: sign-message"),
                                (("example.com", "s", "/nonexistent"), b"/nonexistent: cannot be opened"),
                                (("example.com", "s", self.keys["ed"], "/nonexistent"), b"/nonexistent: cannot be read")]:
            done = run(scratch / "sign-message", *words, input=MESSAGE)
            self.assertEqual((done.returncode, done.stdout), (1, b""), words)
            self.assertIn(sentence, done.stderr)

    def test_parts_are_shown(self):
        message = (b"From: =?utf-8?q?=C3=84da?= <ada@example.com>\r\nSubject: =?utf-8?q?gr=C3=BC=C3=9Fe?=\x1b[31m\r\n"
                   b"Date: Fri, 21 Nov 1997 09:55:06 -0600\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
                   b"--b\r\nContent-Type: text/plain; charset=iso-8859-15\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
                   b"100 =A4\r\n--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: inner\r\n\r\nwithin\r\n--b\r\n"
                   b"Content-Type: image/png\r\nContent-Transfer-Encoding: base64\r\n\r\nAAAA\r\n--b--\r\n")
        done = run(scratch / "show-parts", input=message)
        self.assertEqual((done.returncode, done.stderr), (0, b""))
        self.assertEqual(done.stdout.decode().splitlines(), [
            "from: <ada@example.com> Äda", "subject: grüße?[31m", "date: 880127706 seconds since 1970",
            f"-- multipart/mixed, {message.index(b'--b--') - message.index(b'--b') + 7} bytes", "-- text/plain, 7 bytes", "100 €",
            "-- message/rfc822, 24 bytes", "-- text/plain, 6 bytes", "within", "-- image/png, 4 bytes"])
        for hostile in (b"", b"\0", b"\n", b":", b"Content-Type: multipart/mixed; boundary=x\n\n" + b"--x\n" * 20000):
            self.assertEqual(run(scratch / "show-parts", input=hostile).returncode, 0)

    def test_lookups_are_validated(self):
        for words, status, lines in [
                (("www.example.com", "A"), 0, ["found, secure", "mail.example.com is another name of www.example.com (secure)",
                                               "mail.example.com 3600 A 192.0.2.1"]),
                (("list.plain.test", "A"), 0, ["found, insecure"]),
                (("nowhere.example", "A"), 1, ["nxdomain, secure"]),
                (("forged.example", "A"), 2, ["failed, bogus"])]:
            done = run(scratch / "lookup-name", *self.ask(), *words)
            self.assertEqual((done.returncode, done.stderr), (status, b""), done.stdout)
            for line in lines:
                self.assertIn(line, done.stdout.decode().splitlines())

    def test_the_programs_of_the_page(self):
        programs = re.findall(r"```c\n(.*?int main.*?)```", DOC.read_text(), re.S)
        self.assertTrue(programs)
        for number, text in enumerate(programs):
            program = self.build(f"page{number}", self.source(f"page{number}.c", text), flags=WARNINGS)
            done = run(program, self.resolver)
            self.assertEqual((done.returncode, done.stderr), (0, b""))
            self.assertTrue(done.stdout.startswith(b"none: "), done.stdout)


if __name__ == "__main__":
    unittest.main()
