/* Names, messages, packed answers, the table of facts, resolv.conf. */
#include "dns/message.h"
#include "dns/stub.h"
#include "dns/table.h"
#include "dns/unbound.h"

#include "base/encode.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#undef fail

#define assert_ok(expr)             assert_int_equal((expr).code, ERR_OK)
#define assert_err(expr, expected)  assert_int_equal((expr).code, (expected))
#define assert_text(expr, expected) assert_string_equal((expr), (expected))

#define ARENA_MAX DNS_ANSWER_ARENA

static struct arena arena;

static int set_up(void **state)
{
	(void)state;
	arena_init(&arena, ARENA_MAX);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	arena_done(&arena);
	return 0;
}

/* --- names --- */

#define L63 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define L61 "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

static void names_become_canonical(void **state)
{
	(void)state;
	static const struct {
		const char *in, *out; /* NULL: refused */
	} cases[] = {
	        {"example.com", "example.com"},
	        {"EXAMPLE.Com.", "example.com"},
	        {".", "."},
	        {"a", "a"},
	        {"_25._tcp.mx.example", "_25._tcp.mx.example"},
	        {"*.example", "*.example"},
	        {"0/25.2.0.192.in-addr.arpa", "0/25.2.0.192.in-addr.arpa"},
	        {"a\\.b.example", "a\\046b.example"},
	        {"a\\046b.example", "a\\046b.example"},
	        {"a\\065b", "aab"}, /* \065 is 'A' */
	        {"a!b.example", "a\\033b.example"},
	        {"a\\ b", "a\\032b"},
	        {"a\\000b", "a\\000b"},
	        {"a\\255", "a\\255"},
	        {"b\xc3\xbc"
	         "cher.example",
	         "xn--bcher-kva.example"},
	        {"b\xc3\xbc"
	         "cher.example.",
	         "xn--bcher-kva.example"},
	        {L63 "." L63 "." L63 "." L61, L63 "." L63 "." L63 "." L61}, /* 255 on the wire */
	        /* refused */
	        {"", NULL},
	        {"..", NULL},
	        {".a", NULL},
	        {"a..b", NULL},
	        {"a..", NULL},
	        {"a b", NULL},
	        {"a\tb", NULL},
	        {"a\nb", NULL},
	        {"a\x7f", NULL},
	        {"a\\", NULL},
	        {"a\\2", NULL},
	        {"a\\25", NULL},
	        {"a\\256", NULL},
	        {"a\\2x5", NULL},
	        {"a\\\x01", NULL},
	        {L63 "a", NULL},
	        {L63 "." L63 "." L63 "." L61 "b", NULL},
	        {L63 "." L63 "." L63 "." L61 ".b", NULL},
	        {"a\xff.example", NULL},
	};
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		struct dns_name name = {"untouched"};
		struct status status = dns_name_parse(slice_str(cases[i].in), &arena, &name);
		if (cases[i].out) {
			assert_ok(status);
			assert_text(name.text, cases[i].out);
		} else {
			assert_err(status, ERR_SYNTAX);
			assert_text(name.text, "untouched");
		}
	}
}

static struct dns_name name_of(const char *text)
{
	struct dns_name name;
	assert_ok(dns_name_parse(slice_str(text), &arena, &name));
	return name;
}

static void names_go_over_the_wire_and_back(void **state)
{
	(void)state;
	static const char *const names[] = {".", "a", "example.com", "a\\046b.\\000\\255.c",
	                                    L63 "." L63 "." L63 "." L61};
	for (size_t i = 0; i < N_ELEMENTS(names); i++) {
		uint8_t wire[DNS_NAME_WIRE_MAX];
		size_t n;
		struct dns_name back;
		dns_name_to_wire(name_of(names[i]), wire, &n);
		assert_ok(dns_name_from_wire(slice_of(wire, n), &arena, &back));
		assert_text(back.text, names[i]);
		for (size_t cut = 0; cut < n; cut++)
			assert_err(dns_name_from_wire(slice_of(wire, cut), &arena, &back),
			           ERR_SYNTAX);
	}
}

static void malformed_wire_names_are_refused(void **state)
{
	(void)state;
	static const struct slice cases[] = {
	        SLICE("\0a"), SLICE("\1a\0\0"), SLICE("\100"), SLICE("\300\0"), SLICE("\1a"),
	};
	struct dns_name name;
	for (size_t i = 0; i < N_ELEMENTS(cases); i++)
		assert_err(dns_name_from_wire(cases[i], &arena, &name), ERR_SYNTAX);
}

static void names_are_compared_by_labels(void **state)
{
	(void)state;
	assert_true(dns_name_eq(name_of("A.example."), name_of("a.EXAMPLE")));
	assert_false(dns_name_eq(name_of("a.b"), name_of("a\\.b")));
	assert_true(dns_name_is_within(name_of("a.b.example"), name_of("b.example")));
	assert_true(dns_name_is_within(name_of("b.example"), name_of("b.example")));
	assert_true(dns_name_is_within(name_of("b.example"), dns_root));
	assert_false(dns_name_is_within(name_of("ab.example"), name_of("b.example")));
	assert_false(dns_name_is_within(name_of("a\\.b.example"), name_of("b.example")));
	assert_false(dns_name_is_within(name_of("example"), name_of("b.example")));
	assert_text(dns_name_parent(name_of("a.b.c")).text, "b.c");
	assert_text(dns_name_parent(name_of("c")).text, ".");
	assert_text(dns_name_parent(dns_root).text, ".");
	assert_int_equal(dns_name_n_labels(dns_root), 0);
	assert_int_equal(dns_name_n_labels(name_of("a\\.b.c")), 2);
}

static void names_end_in_a_party(void **state)
{
	(void)state;
	static const struct {
		const char *name, *party;
	} cases[] = {
	        {".", "."},
	        {"example", "example"},
	        {"shop.example", "shop.example"},
	        {"a.b.c.shop.example", "shop.example"},
	        {"a\\.b.example", "a\\046b.example"},
	        {"1.2.0.192.in-addr.arpa", "0.192.in-addr.arpa"},
	        {"192.in-addr.arpa", "192.in-addr.arpa"},
	        {"1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa",
	         "8.b.d.0.1.0.0.2.ip6.arpa"},
	        {"x.arpa", "x.arpa"},
	        {"in-addr.arpa.example", "arpa.example"},
	};
	for (size_t i = 0; i < N_ELEMENTS(cases); i++)
		assert_text(dns_name_party(name_of(cases[i].name)).text,
		            name_of(cases[i].party).text);
}

static void host_names_are_told_from_others(void **state)
{
	(void)state;
	static const char *const hosts[] = {"example.com", "a", "1.example",
	                                    "xn--bcher-kva.example", "a-b.c1"};
	static const char *const others[] = {".",         "_25._tcp.a", "*.a",       "-a.b",
	                                     "a-.b",      "a.b-",       "192.0.2.1", "a.1",
	                                     "a\\046b.c", "a!",         "0/25.a"};
	for (size_t i = 0; i < N_ELEMENTS(hosts); i++)
		assert_true(dns_name_is_host(name_of(hosts[i])));
	for (size_t i = 0; i < N_ELEMENTS(others); i++)
		assert_false(dns_name_is_host(name_of(others[i])));
}

static void names_are_made_from_parts(void **state)
{
	(void)state;
	struct dns_name name;
	assert_ok(dns_name_reverse(SLICE("\300\0\2\1"), &arena, &name));
	assert_text(name.text, "1.2.0.192.in-addr.arpa");
	assert_ok(dns_name_reverse(SLICE("\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x1f"), &arena,
	                           &name));
	assert_text(name.text, "f.1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2."
	                       "ip6.arpa");
	assert_err(dns_name_reverse(SLICE("abc"), &arena, &name), ERR_INVALID);
	assert_ok(dns_name_prepend(SLICE("_25._tcp"), name_of("mx.example"), &arena, &name));
	assert_text(name.text, "_25._tcp.mx.example");
	assert_ok(dns_name_prepend(SLICE("a."), dns_root, &arena, &name));
	assert_text(name.text, "a");
	assert_err(dns_name_prepend(SLICE(""), dns_root, &arena, &name), ERR_SYNTAX);
	assert_err(dns_name_prepend(SLICE("a b"), dns_root, &arena, &name), ERR_SYNTAX);
	assert_err(dns_name_prepend(SLICE(L63), name_of(L63 "." L63 "." L63), &arena, &name),
	           ERR_SYNTAX);
}

/* --- messages --- */

/* Hexadecimal with blanks. */
static struct slice bytes_of(const char *hex)
{
	struct buf text, bytes;
	buf_init(&text, 1 << 18);
	buf_init(&bytes, 1 << 17);
	for (; *hex; hex++)
		if (*hex != ' ')
			buf_add_byte(&text, (uint8_t)*hex);
	assert_ok(hex_decode(buf_slice(&text), &bytes));
	struct slice copy = arena_copy(&arena, buf_slice(&bytes));
	buf_done(&text);
	buf_done(&bytes);
	return copy;
}

#define HEADER(flags, qd, an, ns, ar) "1234 " flags " " qd " " an " " ns " " ar " "
#define QUESTION                      "07 6578616d706c65 00 0001 0001 " /* example. A */
#define AT_NAME                       "c00c "                           /* example. again */
#define A_RECORD                      AT_NAME "0001 0001 0000003c 0004 c0000201 "
#define OPT(rcode, data_size)         "00 0029 04d0 " rcode "000000 " data_size " "

static void a_response_is_read(void **state)
{
	(void)state;
	struct dns_message message;
	assert_ok(dns_message_parse(
	        bytes_of(HEADER("81a0", "0001", "0002", "0001", "0001") QUESTION A_RECORD
	                         /* RRSIG: passed over */
	                         AT_NAME
	                 "002e 0001 0000003c 0003 010203 "
	                 /* SOA . . 1 2 3 4 300 */
	                 "00 0006 0001 00000064 0016 00 00 00000001 00000002 00000003 00000004 "
	                 "0000012c " OPT("00", "000b") "000f 0007 0012 68656c6c6f "),
	        &arena, &message));
	assert_int_equal(message.id, 0x1234);
	assert_true(message.response && message.authentic && !message.truncated);
	assert_int_equal(message.rcode, 0);
	assert_text(message.question.text, "example");
	assert_int_equal(message.question_type, DNS_TYPE_A);
	assert_int_equal(message.n_answers, 1);
	assert_text(message.answers[0].owner.text, "example");
	assert_int_equal(message.answers[0].record.ttl_s, 60);
	assert_memory_equal(message.answers[0].record.a, "\300\0\2\1", 4);
	assert_true(message.has_negative_ttl);
	assert_int_equal(message.negative_ttl_s, 100);
	assert_int_equal(message.ede_code, 18);
	assert_text(message.ede_text, "hello");
}

static void owners_of_dnames_are_kept(void **state)
{
	(void)state;
	struct dns_message message;
	struct buf many;
	buf_init(&many, 10000);
	buf_add_str(&many, HEADER("8180", "0001", "0002", "0000", "0000") QUESTION
	                           /* example. DNAME a. */
	                           AT_NAME "0027 0001 0000003c 0003 016100 " A_RECORD);
	assert_ok(dns_message_parse(bytes_of(buf_cstr(&many)), &arena, &message));
	assert_int_equal(message.n_answers, 1);
	assert_int_equal(message.n_dnames, 1);
	assert_text(message.dnames[0].text, "example");
	buf_reset(&many);
	buf_add_str(&many, HEADER("8180", "0001", "0014", "0000", "0000") QUESTION);
	for (size_t i = 0; i < 20; i++)
		buf_add_str(&many, AT_NAME "0027 0001 0000003c 0003 016100 ");
	assert_ok(dns_message_parse(bytes_of(buf_cstr(&many)), &arena, &message));
	assert_int_equal(message.n_dnames, DNS_CHAIN_MAX);
	buf_done(&many);
}

static void every_cut_of_a_response_is_refused(void **state)
{
	(void)state;
	struct slice whole =
	        bytes_of(HEADER("8180", "0001", "0001", "0000", "0001")
	                         QUESTION A_RECORD OPT("00", "0006") "000f 0002 0016 ");
	struct dns_message message;
	assert_ok(dns_message_parse(whole, &arena, &message));
	for (size_t n = 0; n < whole.n; n++)
		assert_false(is_ok(dns_message_parse(slice_sub(whole, 0, n), &arena, &message)));
}

static void malformed_responses_are_refused(void **state)
{
	(void)state;
	static const char *const cases[] = {
	        /* a pointer to itself, forwards, to the label it is in, two that swap */
	        HEADER("8180", "0000", "0001", "0000",
	               "0000") "c00c 0001 0001 0000003c 0004 01020304",
	        HEADER("8180", "0000", "0001", "0000",
	               "0000") "c00e 0001 0001 0000003c 0004 01020304",
	        HEADER("8180", "0000", "0001", "0000",
	               "0000") "01 61 c00c 0001 0001 0000003c 0004 01020304",
	        HEADER("8180", "0001", "0000", "0000", "0000") "01 61 c00c 0001 0001",
	        /* labels of an unknown kind */
	        HEADER("8180", "0001", "0000", "0000", "0000") "4161 00 0001 0001",
	        HEADER("8180", "0001", "0000", "0000", "0000") "8161 00 0001 0001",
	        /* bytes behind the message */
	        HEADER("8180", "0001", "0000", "0000", "0000") QUESTION "00",
	        /* more records than there are */
	        HEADER("8180", "0001", "0002", "0000", "0000") QUESTION A_RECORD,
	        HEADER("8180", "0001", "ffff", "ffff", "ffff") QUESTION,
	        /* two questions; a question of class CH */
	        HEADER("8180", "0002", "0000", "0000", "0000") QUESTION QUESTION,
	        HEADER("8180", "0001", "0000", "0000", "0000") "07 6578616d706c65 00 0001 0003",
	        /* data of the wrong size: A, AAAA, MX, CNAME, SRV, TLSA, CAA, TXT */
	        HEADER("8180", "0000", "0001", "0000", "0000") "00 0001 0001 00000000 0003 010203",
	        HEADER("8180", "0000", "0001", "0000",
	               "0000") "00 0001 0001 00000000 0005 0102030405",
	        HEADER("8180", "0000", "0001", "0000",
	               "0000") "00 001c 0001 00000000 0004 01020304",
	        HEADER("8180", "0000", "0001", "0000", "0000") "00 000f 0001 00000000 0002 000a",
	        HEADER("8180", "0000", "0001", "0000",
	               "0000") "00 000f 0001 00000000 0004 000a 00 00",
	        HEADER("8180", "0000", "0001", "0000", "0000") "00 0005 0001 00000000 0000",
	        HEADER("8180", "0000", "0001", "0000",
	               "0000") "00 0021 0001 00000000 0006 000000000000",
	        HEADER("8180", "0000", "0001", "0000", "0000") "00 0034 0001 00000000 0002 0301",
	        HEADER("8180", "0000", "0001", "0000", "0000") "00 0101 0001 00000000 0002 0000",
	        HEADER("8180", "0000", "0001", "0000", "0000") "00 0101 0001 00000000 0003 000561",
	        HEADER("8180", "0000", "0001", "0000", "0000") "00 0010 0001 00000000 0000",
	        HEADER("8180", "0000", "0001", "0000", "0000") "00 0010 0001 00000000 0002 0561",
	        /* a SOA that is cut; two OPT records; an EDNS option that is cut */
	        HEADER("8180", "0000", "0000", "0001",
	               "0000") "00 0006 0001 00000000 0004 00000000",
	        HEADER("8180", "0000", "0000", "0000", "0002") OPT("00", "0000") OPT("00", "0000"),
	        HEADER("8180", "0000", "0000", "0000", "0001") OPT("00", "0003") "000f 00",
	        HEADER("8180", "0000", "0000", "0000", "0001") OPT("00", "0005") "000f 0005 00",
	};
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		struct dns_message message;
		assert_err(dns_message_parse(bytes_of(cases[i]), &arena, &message), ERR_SYNTAX);
	}
}

/* A chain of names, each a pointer to the one before, of one letter more. */
static void pointers_are_counted(void **state)
{
	(void)state;
	struct buf packet;
	struct dns_message message;
	buf_init(&packet, DNS_MESSAGE_MAX);
	buf_add(&packet, bytes_of(HEADER("8180", "0000", "00c8", "0000", "0000")));
	size_t before = packet.n;
	buf_add(&packet, bytes_of("01 61 00 0001 0001 00000000 0004 01020304"));
	for (size_t i = 1; i < 200; i++) { /* pointers to pointers, no label between */
		size_t here = packet.n;
		buf_add_byte(&packet, (uint8_t)(0xc0 | before >> 8));
		buf_add_byte(&packet, (uint8_t)before);
		buf_add(&packet, bytes_of("0001 0001 00000000 0004 01020304"));
		before = here;
	}
	assert_err(dns_message_parse(buf_slice(&packet), &arena, &message), ERR_LIMIT);
	packet.p[7] = 100; /* as many records: as many pointers */
	packet.n = 12 + 17 + 99 * 16;
	assert_ok(dns_message_parse(buf_slice(&packet), &arena, &message));
	assert_text(message.answers[99].owner.text, "a");
	buf_done(&packet);
}

static void too_many_records_are_refused(void **state)
{
	(void)state;
	struct buf packet;
	struct dns_message message;
	buf_init(&packet, DNS_MESSAGE_MAX);
	buf_add(&packet, bytes_of(HEADER("8180", "0000", "0401", "0000", "0000"))); /* 1025 */
	for (size_t i = 0; i < 1025; i++)
		buf_add(&packet, bytes_of("00 0001 0001 00000000 0004 01020304"));
	assert_err(dns_message_parse(buf_slice(&packet), &arena, &message), ERR_LIMIT);
	packet.p[6] = 3;
	packet.p[7] = 0xe8; /* 1000 */
	packet.n = 12 + 1000 * 15;
	assert_ok(dns_message_parse(buf_slice(&packet), &arena, &message));
	struct dns_answer *answer =
	        dns_answer_from_message(&message, dns_root, DNS_TYPE_A, DNS_INSECURE, &arena);
	assert_int_equal(answer->outcome, DNS_FOUND);
	assert_int_equal(answer->n_records, DNS_RECORDS_MAX);
	packet.p[7] = 0xe9; /* one more than an answer may hold */
	packet.n = 12 + 1001 * 15;
	buf_add(&packet, slice_empty());
	assert_ok(dns_message_parse(buf_slice(&packet), &arena, &message));
	answer = dns_answer_from_message(&message, dns_root, DNS_TYPE_A, DNS_INSECURE, &arena);
	assert_int_equal(answer->outcome, DNS_FAILED);
	assert_int_equal(answer->failure, DNS_FAILURE_OTHER);
	buf_done(&packet);
}

static void texts_of_errors_are_made_printable(void **state)
{
	(void)state;
	static const struct {
		const char *hex, *text;
	} cases[] = {
	        {"000f 0002 0007", ""},
	        {"000f 0003 0007 00", ""},
	        {"000f 0005 0007 610a62", "a?b"},
	        {"000f 0004 0007 ff61", "?a"},
	        {"000f 0004 0007 c3bc", "\xc3\xbc"},
	        {"000a 0001 00 000f 0003 0007 61", "a"}, /* behind another option */
	        {"000f 0003 0007 61 000f 0003 0008 62", "a"},
	};
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		struct buf packet;
		struct dns_message message;
		struct slice option = bytes_of(cases[i].hex);
		buf_init(&packet, 1000);
		buf_add(&packet,
		        bytes_of(HEADER("8182", "0000", "0000", "0000", "0001") OPT("00", "0000")));
		packet.p[packet.n - 1] = (uint8_t)option.n;
		buf_add(&packet, option);
		assert_ok(dns_message_parse(buf_slice(&packet), &arena, &message));
		assert_int_equal(message.ede_code, 7);
		assert_text(message.ede_text, cases[i].text);
		buf_done(&packet);
	}
}

static void the_response_code_has_high_bits(void **state)
{
	(void)state;
	struct dns_message message;
	assert_ok(dns_message_parse(
	        bytes_of(HEADER("8180", "0000", "0000", "0000", "0001") OPT("01", "0000")), &arena,
	        &message));
	assert_int_equal(message.rcode, 16);
	struct dns_answer *answer =
	        dns_answer_from_message(&message, dns_root, DNS_TYPE_A, DNS_INSECURE, &arena);
	assert_int_equal(answer->failure, DNS_FAILURE_OTHER);
	assert_text(answer->why, "server answered BADVERS");
}

static void a_query_is_written(void **state)
{
	(void)state;
	struct buf out;
	struct dns_message message;
	buf_init(&out, 512);
	dns_query_write(name_of("mx.example"), DNS_TYPE_TLSA,
	                &(struct dns_query_options){.id = 7, .authentic = true}, &out);
	assert_true(slice_eq(buf_slice(&out),
	                     bytes_of("0007 0120 0001 0000 0000 0001 02 6d78 07 6578616d706c65 00 "
	                              "0034 0001 00 0029 04d0 00000000 0000")));
	assert_ok(dns_message_parse(buf_slice(&out), &arena, &message));
	assert_false(message.response);
	assert_text(message.question.text, "mx.example");
	buf_done(&out);
}

/* --- answers from messages --- */

/* example. CNAME b.example.; b.example. CNAME c.example. */
#define CHAIN                                                                                      \
	AT_NAME "0005 0001 00000064 0004 01 62 c00c "                                              \
	        "01 62 c00c 0005 0001 00000032 0004 01 63 c00c "

static struct dns_answer *answer_of(const char *hex, enum dns_type type, enum dns_security security)
{
	struct dns_message message;
	assert_ok(dns_message_parse(bytes_of(hex), &arena, &message));
	return dns_answer_from_message(&message, name_of("example"), type, security, &arena);
}

static void chains_are_followed(void **state)
{
	(void)state;
	struct dns_answer *answer =
	        answer_of(HEADER("8180", "0001", "0003", "0000", "0000") QUESTION CHAIN
	                  "01 63 c00c 0001 0001 0000003c 0004 c0000201",
	                  DNS_TYPE_A, DNS_SECURE);
	assert_int_equal(answer->outcome, DNS_FOUND);
	assert_int_equal(answer->n_chain, 2);
	assert_text(answer->chain[0].alias.text, "example");
	assert_text(answer->chain[0].target.text, "b.example");
	assert_text(answer->chain[1].alias.text, "b.example");
	assert_text(answer->chain[1].target.text, "c.example");
	assert_text(answer->canonical_name.text, "c.example");
	assert_int_equal(answer->ttl_s, 50);
	assert_int_equal(answer->security, DNS_SECURE);

	const enum dns_security steps[] = {DNS_SECURE, DNS_INSECURE};
	assert_ok(dns_answer_set_trust(answer, steps, DNS_SECURE, &arena));
	assert_int_equal(answer->security, DNS_INSECURE);
	assert_int_equal(answer->final_security, DNS_SECURE);
	assert_int_equal(answer->chain[0].security, DNS_SECURE);
	assert_int_equal(answer->chain[1].security, DNS_INSECURE);
}

static void an_alias_itself_can_be_asked_for(void **state)
{
	(void)state;
	struct dns_answer *answer =
	        answer_of(HEADER("8180", "0001", "0002", "0000", "0000") QUESTION CHAIN,
	                  DNS_TYPE_CNAME, DNS_INSECURE);
	assert_int_equal(answer->outcome, DNS_FOUND);
	assert_int_equal(answer->n_chain, 0);
	assert_int_equal(answer->n_records, 1);
	assert_text(answer->records[0].name.text, "b.example");
}

static void absence_is_told_from_failure(void **state)
{
	(void)state;
	static const struct {
		const char *flags;
		enum dns_outcome outcome;
		enum dns_failure failure;
		bool proven;
	} cases[] = {
	        {"8180", DNS_NODATA, DNS_FAILURE_NONE, true},
	        {"8183", DNS_NXDOMAIN, DNS_FAILURE_NONE, true},
	        {"8181", DNS_FAILED, DNS_FAILURE_OTHER, false},
	        {"8182", DNS_FAILED, DNS_FAILURE_TEMPORARY, false},
	        {"8184", DNS_FAILED, DNS_FAILURE_OTHER, false},
	        {"8185", DNS_FAILED, DNS_FAILURE_OTHER, false},
	};
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		char hex[400];
		snprintf(hex, sizeof(hex), "1234 %s 0001 0000 0001 0000 %s %s", cases[i].flags,
		         QUESTION,
		         "00 0006 0001 00000e10 0016 00 00 00000001 00000002 00000003 00000004 "
		         "0000012c");
		struct dns_answer *answer = answer_of(hex, DNS_TYPE_A, DNS_SECURE);
		assert_int_equal(answer->outcome, cases[i].outcome);
		assert_int_equal(answer->failure, cases[i].failure);
		assert_int_equal(answer->denial_proven, cases[i].proven);
		if (cases[i].outcome != DNS_FAILED)
			assert_int_equal(answer->ttl_s, 300);
	}
}

static void circles_of_aliases_fail(void **state)
{
	(void)state;
	/* example. CNAME example. */
	struct dns_answer *answer =
	        answer_of(HEADER("8180", "0001", "0001", "0000", "0000") QUESTION AT_NAME
	                  "0005 0001 00000064 0002 c00c",
	                  DNS_TYPE_A, DNS_INSECURE);
	assert_int_equal(answer->outcome, DNS_FAILED);
	assert_int_equal(answer->failure, DNS_FAILURE_OTHER);
}

static void records_of_others_are_not_taken(void **state)
{
	(void)state;
	/* An A record of a.example., which nobody asked for. */
	struct dns_answer *answer =
	        answer_of(HEADER("8180", "0001", "0001", "0000", "0000") QUESTION
	                  "01 61 c00c 0001 0001 0000003c 0004 c0000201",
	                  DNS_TYPE_A, DNS_INSECURE);
	assert_int_equal(answer->outcome, DNS_NODATA);
}

/* --- packing --- */

static const char facts[] = "example.com A 192.0.2.1\n"
                            "example.com 60 A 192.0.2.2\n"
                            "example.com AAAA 2001:db8::1\n"
                            "example.com NS ns.example.com\n"
                            "example.com MX 10 mx.example.com secure\n"
                            "null.example.com MX 0 .\n"
                            "example.com TXT \"v=spf1 -all\" \"quo\\\"te\" secure\n"
                            "example.com TXT \"\"\n"
                            "_sip._tcp.example.com SRV 1 2 5060 sip.example.com\n"
                            "_25._tcp.mx.example.com TLSA 3 1 1 0a0b secure\n"
                            "example.com CAA 128 issue \"ca.example; policy=ev\"\n"
                            "1.2.0.192.in-addr.arpa PTR example.com\n"
                            "# a comment\n"
                            "\n"
                            "www.example.com CNAME web.example.net secure\n"
                            "web.example.net CNAME host.example.org\n"
                            "host.example.org A 192.0.2.9 secure\n"
                            "bad.example.com A bogus\n"
                            "fail.example.com A servfail\n"
                            "late.example.com A timeout\n"
                            "refused.example.com * refused\n"
                            "example.com TLSA nodata secure\n"
                            "none.example.com * nxdomain secure\n"
                            "to.example.com CNAME none.example.com secure\n"
                            "around.example.com CNAME about.example.com\n"
                            "about.example.com CNAME around.example.com\n"
                            "tobad.example.com CNAME bad.example.com secure\n";

static const struct dns_answer *ask(const struct dns_resolver *resolver, const char *name,
                                    enum dns_type type)
{
	const struct dns_answer *answer;
	assert_ok(dns_lookup(resolver, slice_str(name), type, 1000, &arena, &answer));
	return answer;
}

static void assert_prints(const struct dns_answer *answer, const char *expected)
{
	struct buf out;
	buf_init(&out, 10000);
	for (size_t i = 0; i < answer->n_records; i++) {
		dns_record_print(&answer->records[i], &out);
		buf_add_byte(&out, '|');
	}
	assert_text(buf_cstr(&out), expected);
	buf_done(&out);
}

/* Packs, unpacks, and packs again: the same bytes; every cut is refused. */
static const struct dns_answer *assert_packs(const struct dns_answer *answer)
{
	struct buf packed, again;
	const struct dns_answer *back = NULL, *cut;
	buf_init(&packed, DNS_PACKED_MAX);
	buf_init(&again, DNS_PACKED_MAX);
	assert_ok(dns_answer_pack(answer, &packed));
	assert_ok(dns_answer_unpack(buf_slice(&packed), &arena, &back));
	assert_ok(dns_answer_pack(back, &again));
	assert_true(slice_eq(buf_slice(&packed), buf_slice(&again)));
	for (size_t n = 0; n < packed.n; n++)
		assert_err(dns_answer_unpack(slice_sub(buf_slice(&packed), 0, n), &arena, &cut),
		           ERR_PROTOCOL);
	buf_add_byte(&packed, 0);
	assert_err(dns_answer_unpack(buf_slice(&packed), &arena, &cut), ERR_PROTOCOL);
	assert_text(back->name.text, answer->name.text);
	assert_text(back->canonical_name.text, answer->canonical_name.text);
	assert_int_equal(back->outcome, answer->outcome);
	assert_int_equal(back->security, answer->security);
	assert_int_equal(back->final_security, answer->final_security);
	assert_int_equal(back->denial_proven, answer->denial_proven);
	assert_int_equal(back->failure, answer->failure);
	assert_int_equal(back->ede_code, answer->ede_code);
	assert_text(back->why, answer->why);
	buf_done(&packed);
	buf_done(&again);
	return back;
}

static void facts_are_answered_packed_and_printed(void **state)
{
	(void)state;
	static const struct {
		const char *name;
		enum dns_type type;
		enum dns_outcome outcome;
		enum dns_security security;
		const char *records;
	} cases[] = {
	        {"Example.COM.", DNS_TYPE_A, DNS_FOUND, DNS_INSECURE, "192.0.2.1|192.0.2.2|"},
	        {"example.com", DNS_TYPE_AAAA, DNS_FOUND, DNS_INSECURE, "2001:db8::1|"},
	        {"example.com", DNS_TYPE_NS, DNS_FOUND, DNS_INSECURE, "ns.example.com.|"},
	        {"example.com", DNS_TYPE_MX, DNS_FOUND, DNS_SECURE, "10 mx.example.com.|"},
	        {"null.example.com", DNS_TYPE_MX, DNS_FOUND, DNS_INSECURE, "0 .|"},
	        {"example.com", DNS_TYPE_TXT, DNS_FOUND, DNS_INSECURE,
	         "\"v=spf1 -all\" \"quo\\\"te\"|\"\"|"},
	        {"_sip._tcp.example.com", DNS_TYPE_SRV, DNS_FOUND, DNS_INSECURE,
	         "1 2 5060 sip.example.com.|"},
	        {"_25._tcp.mx.example.com", DNS_TYPE_TLSA, DNS_FOUND, DNS_SECURE, "3 1 1 0a0b|"},
	        {"example.com", DNS_TYPE_CAA, DNS_FOUND, DNS_INSECURE,
	         "128 issue \"ca.example; policy=ev\"|"},
	        {"1.2.0.192.in-addr.arpa", DNS_TYPE_PTR, DNS_FOUND, DNS_INSECURE, "example.com.|"},
	        {"www.example.com", DNS_TYPE_A, DNS_FOUND, DNS_INSECURE, "192.0.2.9|"},
	        {"www.example.com", DNS_TYPE_CNAME, DNS_FOUND, DNS_SECURE, "web.example.net.|"},
	        {"bad.example.com", DNS_TYPE_A, DNS_FAILED, DNS_BOGUS, ""},
	        {"tobad.example.com", DNS_TYPE_A, DNS_FAILED, DNS_BOGUS, ""},
	        {"fail.example.com", DNS_TYPE_A, DNS_FAILED, DNS_INSECURE, ""},
	        {"late.example.com", DNS_TYPE_A, DNS_FAILED, DNS_INSECURE, ""},
	        {"refused.example.com", DNS_TYPE_MX, DNS_FAILED, DNS_INSECURE, ""},
	        {"around.example.com", DNS_TYPE_A, DNS_FAILED, DNS_INSECURE, ""},
	        {"example.com", DNS_TYPE_TLSA, DNS_NODATA, DNS_SECURE, ""},
	        {"example.com", DNS_TYPE_SRV, DNS_NODATA, DNS_INSECURE, ""},
	        {"example.net", DNS_TYPE_A, DNS_NODATA, DNS_INSECURE, ""}, /* something below */
	        {"none.example.com", DNS_TYPE_A, DNS_NXDOMAIN, DNS_SECURE, ""},
	        {"to.example.com", DNS_TYPE_A, DNS_NXDOMAIN, DNS_SECURE, ""},
	        {"other.example", DNS_TYPE_A, DNS_NXDOMAIN, DNS_INSECURE, ""},
	};
	struct dns_table table;
	dns_table_init(&table);
	dns_table_add_lines(&table, facts);
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		const struct dns_answer *answer =
		        ask(&table.resolver, cases[i].name, cases[i].type);
		assert_int_equal(answer->outcome, cases[i].outcome);
		assert_int_equal(answer->security, cases[i].security);
		assert_int_equal(answer->denial_proven, cases[i].security == DNS_SECURE &&
		                                                (cases[i].outcome == DNS_NODATA ||
		                                                 cases[i].outcome == DNS_NXDOMAIN));
		assert_prints(answer, cases[i].records);
		assert_prints(assert_packs(answer), cases[i].records);
		arena_reset(&arena);
	}
	assert_int_equal(table.n_lookups, N_ELEMENTS(cases));
	dns_table_done(&table);
}

static void steps_keep_their_own_status(void **state)
{
	(void)state;
	struct dns_table table;
	dns_table_init(&table);
	dns_table_add_lines(&table, facts);
	const struct dns_answer *answer =
	        assert_packs(ask(&table.resolver, "www.example.com", DNS_TYPE_A));
	assert_int_equal(answer->n_chain, 2);
	assert_int_equal(answer->chain[0].security, DNS_SECURE);
	assert_int_equal(answer->chain[1].security, DNS_INSECURE);
	assert_int_equal(answer->final_security, DNS_SECURE);
	assert_text(answer->chain[1].alias.text, "web.example.net");
	assert_text(answer->canonical_name.text, "host.example.org");
	dns_table_done(&table);
}

static void failures_say_what_to_make_of_them(void **state)
{
	(void)state;
	static const struct {
		const char *name;
		enum dns_failure failure;
		uint32_t rcode;
	} cases[] = {
	        {"bad.example.com", DNS_FAILURE_AUTHENTICATION, 2},
	        {"fail.example.com", DNS_FAILURE_TEMPORARY, 2},
	        {"late.example.com", DNS_FAILURE_TEMPORARY, 0},
	        {"refused.example.com", DNS_FAILURE_OTHER, 5},
	        {"around.example.com", DNS_FAILURE_OTHER, 0},
	};
	struct dns_table table;
	dns_table_init(&table);
	dns_table_add_lines(&table, facts);
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		const struct dns_answer *answer = ask(&table.resolver, cases[i].name, DNS_TYPE_A);
		assert_int_equal(answer->failure, cases[i].failure);
		assert_int_equal(answer->rcode, cases[i].rcode);
		assert_true(strlen(answer->why) > 0);
	}
	dns_table_done(&table);
}

static void packed_answers_that_contradict_themselves_are_refused(void **state)
{
	(void)state;
	/* version, type, outcome, failure, security, final, ttl, rcode, ede, texts, name, chain,
	 * records */
	static const char *const cases[] = {
	        "02 0001 01 00 01 01 00000000 0000 ffffffff 0000 0000 00 00 0000", /* version */
	        "01 0006 01 00 01 01 00000000 0000 ffffffff 0000 0000 00 00 0000", /* type */
	        "01 0001 04 00 01 01 00000000 0000 ffffffff 0000 0000 00 00 0000", /* outcome */
	        "01 0001 01 04 01 01 00000000 0000 ffffffff 0000 0000 00 00 0000", /* failure */
	        "01 0001 01 00 03 01 00000000 0000 ffffffff 0000 0000 00 00 0000", /* security */
	        "01 0001 00 00 01 01 00000000 0000 ffffffff 0000 0000 00 00 0000", /* found nothing
	                                                                            */
	        "01 0001 03 00 01 01 00000000 0000 ffffffff 0000 0000 00 00 0000", /* no failure */
	        "01 0001 01 01 01 01 00000000 0000 ffffffff 0000 0000 00 00 0000", /* both */
	        "01 0001 01 00 00 01 00000000 0000 ffffffff 0000 0000 00 00 0000", /* bogus */
	        "01 0001 01 00 01 01 00000000 0000 ffffffff 0001 0a 0000 00 00 0000", /* LF */
	        "01 0001 01 00 01 01 00000000 0000 ffffffff 0001 ff 0000 00 00 0000", /* UTF-8 */
	        "01 0001 01 00 01 01 00000000 0000 ffffffff 0000 0000 c000 00 0000",  /* pointer */
	        "01 0001 01 00 01 01 00000000 0000 ffffffff 0000 0000 00 11 0000",    /* chain */
	        "01 0001 00 00 01 01 00000000 0000 ffffffff 0000 0000 00 00 ffff",    /* records */
	        /* an address of one byte */
	        "01 0001 00 00 01 01 00000000 0000 ffffffff 0000 0000 00 00 0001 00000000 0001 01",
	};
	const struct dns_answer *answer;
	for (size_t i = 0; i < N_ELEMENTS(cases); i++)
		assert_err(dns_answer_unpack(bytes_of(cases[i]), &arena, &answer), ERR_PROTOCOL);
	assert_ok(dns_answer_unpack(
	        bytes_of("01 0001 01 00 01 01 00000000 0000 ffffffff 0000 0000 00 00 0000"), &arena,
	        &answer));
}

static void answers_too_large_for_a_packet_are_refused(void **state)
{
	(void)state;
	static struct dns_record records[DNS_RECORDS_MAX];
	struct buf packed;
	struct dns_answer *answer =
	        dns_answer_failed(dns_root, DNS_TYPE_MX, DNS_FAILURE_OTHER, "", &arena);
	struct dns_name host = name_of(L63 "." L63 "." L63 "." L61);
	for (size_t i = 0; i < DNS_RECORDS_MAX; i++)
		records[i] = (struct dns_record){.type = DNS_TYPE_MX, .mx = {1, host}};
	answer->outcome = DNS_FOUND;
	answer->failure = DNS_FAILURE_NONE;
	answer->records = records;
	answer->n_records = 400;
	buf_init(&packed, 10 * DNS_PACKED_MAX);
	assert_ok(dns_answer_pack(answer, &packed));
	buf_reset(&packed);
	answer->n_records = DNS_RECORDS_MAX;
	assert_err(dns_answer_pack(answer, &packed), ERR_LIMIT);
	buf_done(&packed);
}

static void an_arena_too_small_is_a_limit(void **state)
{
	(void)state;
	struct dns_table table;
	struct arena small;
	const struct dns_answer *answer;
	dns_table_init(&table);
	dns_table_add_lines(&table, facts);
	for (size_t budget = 0; budget < 400; budget += 40) {
		arena_init(&small, budget);
		assert_err(dns_lookup(&table.resolver, SLICE("www.example.com"), DNS_TYPE_A, 1000,
		                      &small, &answer),
		           ERR_LIMIT);
		arena_done(&small);
	}
	assert_err(dns_lookup(&table.resolver, SLICE("a b"), DNS_TYPE_A, 1000, &arena, &answer),
	           ERR_SYNTAX);
	dns_table_done(&table);
}

static void sentences_of_failures_hold_no_controls(void **state)
{
	(void)state;
	const struct dns_answer *answer = dns_answer_failed(
	        dns_root, DNS_TYPE_A, DNS_FAILURE_TEMPORARY, "a\r\nb\xff", &arena);
	assert_text(answer->why, "a??b?");
	(void)assert_packs(answer);
}

/* --- what resolvers are made of --- */

static void resolv_conf_is_read(void **state)
{
	(void)state;
	static const struct {
		const char *text, *servers;
		bool trust_ad;
	} cases[] = {
	        {"nameserver 192.0.2.1\n", "192.0.2.1:53 ", false},
	        {"# x\nsearch a.b\nnameserver\t2001:db8::1\nnameserver 192.0.2.2 \r\n",
	         "[2001:db8::1]:53 192.0.2.2:53 ", false},
	        {"options edns0 trust-ad\nnameserver 192.0.2.1", "192.0.2.1:53 ", true},
	        {"options trust-add\nnameserver 192.0.2.1", "192.0.2.1:53 ", false},
	        {"", "127.0.0.1:53 ", false},
	        {"nameserver nonsense\nnameservers 192.0.2.1\n#nameserver 192.0.2.1\n",
	         "127.0.0.1:53 ", false},
	};
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		struct os_address servers[DNS_STUB_SERVERS_MAX];
		char text[1000] = "";
		size_t n;
		bool trust_ad;
		dns_stub_read_resolv_conf(slice_str(cases[i].text), servers, &n, &trust_ad);
		for (size_t j = 0; j < n; j++) {
			char address[OS_ADDRESS_TEXT_MAX];
			size_t at = strlen(text);
			os_address_print_port(&servers[j], address);
			snprintf(text + at, sizeof(text) - at, "%s ", address);
		}
		assert_text(text, cases[i].servers);
		assert_int_equal(trust_ad, cases[i].trust_ad);
	}
}

static void servers_of_resolv_conf_are_counted(void **state)
{
	(void)state;
	struct buf text;
	struct os_address servers[DNS_STUB_SERVERS_MAX];
	size_t n;
	bool trust_ad;
	buf_init(&text, 10000);
	for (size_t i = 0; i < 100; i++)
		buf_add_str(&text, "nameserver 192.0.2.1\n");
	dns_stub_read_resolv_conf(buf_slice(&text), servers, &n, &trust_ad);
	assert_int_equal(n, DNS_STUB_SERVERS_MAX);
	buf_done(&text);
}

static void options_of_the_validator_are_checked(void **state)
{
	(void)state;
	static const struct {
		const char *anchors, *hints;
		enum err code;
	} cases[] = {
	        {DNS_UNBOUND_ROOT_ANCHORS, "", ERR_OK},
	        {"", "", ERR_OK},
	        {"; a comment\n. 3600 IN DNSKEY 257 3 8 AwEAAQ== ;; state=2\n", "", ERR_OK},
	        {"example. DS 1 8 2 00\n", ". NS a.root.\na.root. 3600 A 192.0.2.1\n", ERR_OK},
	        {"", "a.root. 3600 IN AAAA 2001:db8::1", ERR_OK},
	        {"; nothing\n", "", ERR_INVALID},
	        {". IN A 192.0.2.1\n", "", ERR_INVALID},
	        {"nonsense\n", "", ERR_INVALID},
	        {"", ". NS a.root.\n", ERR_INVALID},
	        {"", "a.root. A nonsense\n", ERR_INVALID},
	        {"", "a.root. A\n", ERR_INVALID},
	};
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		struct dns_unbound *unbound = NULL;
		struct dns_unbound_options options = {.anchors = slice_str(cases[i].anchors),
		                                      .hints = slice_str(cases[i].hints)};
		assert_err(dns_unbound_new(&options, &unbound), cases[i].code);
		dns_unbound_free(unbound);
	}
}

static void anchors_are_counted(void **state)
{
	(void)state;
	struct buf text;
	struct dns_unbound *unbound = NULL;
	buf_init(&text, 10000);
	for (size_t i = 0; i <= DNS_UNBOUND_ANCHORS_MAX; i++)
		buf_add_str(&text, ". DS 1 8 2 00\n");
	struct dns_unbound_options options = {.anchors = buf_slice(&text)};
	assert_err(dns_unbound_new(&options, &unbound), ERR_LIMIT);
	buf_done(&text);
}

static void types_and_words_have_names(void **state)
{
	(void)state;
	enum dns_type type;
	assert_true(dns_type_parse(SLICE("tlsa"), &type));
	assert_int_equal(type, DNS_TYPE_TLSA);
	assert_false(dns_type_parse(SLICE("SOA"), &type));
	assert_true(dns_type_is_known(257));
	assert_false(dns_type_is_known(255));
	assert_text(dns_type_name(DNS_TYPE_CAA), "CAA");
	assert_text(dns_ede_name(7), "Signature Expired");
	assert_text(dns_ede_name(29), "Synthesized");
	assert_text(dns_ede_name(30), "");
	assert_text(dns_ede_name(DNS_NO_EDE), "");
	assert_text(dns_rcode_name(5), "REFUSED");
	assert_text(dns_rcode_name(11), "RCODE");
	assert_int_equal(dns_security_min(DNS_SECURE, DNS_INSECURE), DNS_INSECURE);
	assert_int_equal(dns_security_min(DNS_BOGUS, DNS_INSECURE), DNS_BOGUS);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
	        TEST(names_become_canonical),
	        TEST(names_go_over_the_wire_and_back),
	        TEST(malformed_wire_names_are_refused),
	        TEST(names_are_compared_by_labels),
	        TEST(names_end_in_a_party),
	        TEST(host_names_are_told_from_others),
	        TEST(names_are_made_from_parts),
	        TEST(a_response_is_read),
	        TEST(owners_of_dnames_are_kept),
	        TEST(every_cut_of_a_response_is_refused),
	        TEST(malformed_responses_are_refused),
	        TEST(pointers_are_counted),
	        TEST(too_many_records_are_refused),
	        TEST(texts_of_errors_are_made_printable),
	        TEST(the_response_code_has_high_bits),
	        TEST(a_query_is_written),
	        TEST(chains_are_followed),
	        TEST(an_alias_itself_can_be_asked_for),
	        TEST(absence_is_told_from_failure),
	        TEST(circles_of_aliases_fail),
	        TEST(records_of_others_are_not_taken),
	        TEST(facts_are_answered_packed_and_printed),
	        TEST(steps_keep_their_own_status),
	        TEST(failures_say_what_to_make_of_them),
	        TEST(packed_answers_that_contradict_themselves_are_refused),
	        TEST(answers_too_large_for_a_packet_are_refused),
	        TEST(an_arena_too_small_is_a_limit),
	        TEST(sentences_of_failures_hold_no_controls),
	        TEST(resolv_conf_is_read),
	        TEST(servers_of_resolv_conf_are_counted),
	        TEST(options_of_the_validator_are_checked),
	        TEST(anchors_are_counted),
	        TEST(types_and_words_have_names),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
