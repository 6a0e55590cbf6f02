/* Which servers TLSA records and authorities vouch for, offline and in handshakes, and what is told
 * of each record. */
#include "tls/client.h"

#include "tls/certs_testing.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <signal.h>
#include <sys/socket.h>

/* --- certificates: made once --- */

enum {
	ROOT,
	MIDDLE,
	OTHER_ROOT,
	SHORT_ROOT,       /* path length 0 */
	OVER_SHORT,       /* an authority by it, against its word */
	CONSTRAINED_ROOT, /* for good.example only */
	EXPIRED_ROOT,
	LEAF,         /* of MIDDLE: mx.example, *.wild.example */
	EXPIRED,      /* of MIDDLE: mx.example */
	LONELY,       /* self-signed: mx.example */
	NAMED_BY_CN,  /* of MIDDLE: no names but CN mx.example */
	OTHER_NAME,   /* of MIDDLE: CN mx.example, DNS other.example */
	NUL_NAME,     /* of MIDDLE: "mx.example\0.evil.example" */
	NUL_END,      /* of MIDDLE: "mx.example\0" */
	PARTIAL_STAR, /* of MIDDLE: "m*.example.com" */
	MIDDLE_STAR,  /* of MIDDLE: "mx.*.com" */
	ALL_STAR,     /* of MIDDLE: "*" and "*.com" */
	U_LABEL,      /* of MIDDLE: "b\xc3\xbc" "cher.example" */
	A_LABEL,      /* of MIDDLE: "xn--bcher-kva.example" */
	IP_ONLY,      /* of MIDDLE: IP 192.0.2.1, CN mx.example */
	DOT_END,      /* of MIDDLE: "mx.example." */
	BEYOND_PATH,  /* of OVER_SHORT: mx.example */
	WITHIN,       /* of CONSTRAINED_ROOT: mx.good.example */
	WITHOUT,      /* of CONSTRAINED_ROOT: mx.example */
	OF_EXPIRED,   /* of EXPIRED_ROOT: mx.example */
	N_CERTS
};

static struct {
	struct tls_library *library;
	struct tls_test_cert certs[N_CERTS];
} all;

static void make_leaves(struct tls_test_cert *c)
{
	const struct tls_test_cert *middle = &c[MIDDLE];
	c[LEAF] = TLS_TEST_CERT(.common_name = "x", .issuer = middle, .days = 30,
	                        .alt_names = "DNS:mx.example,DNS:*.wild.example");
	c[EXPIRED] = TLS_TEST_CERT(.issuer = middle, .alt_names = "DNS:mx.example", .days = -1);
	c[LONELY] = TLS_TEST_CERT(.common_name = "x", .alt_names = "DNS:mx.example", .days = 30);
	c[NAMED_BY_CN] = TLS_TEST_CERT(.common_name = "mx.example", .issuer = middle, .days = 30);
	c[OTHER_NAME] = TLS_TEST_CERT(.common_name = "mx.example", .issuer = middle,
	                              .alt_names = "DNS:other.example", .days = 30);
	c[NUL_NAME] = TLS_TEST_CERT(.issuer = middle, .days = 30,
	                            .raw_name = SLICE("mx.example\0.evil.example"));
	c[NUL_END] = TLS_TEST_CERT(.issuer = middle, .days = 30, .raw_name = SLICE("mx.example\0"));
	c[PARTIAL_STAR] =
	        TLS_TEST_CERT(.issuer = middle, .days = 30, .alt_names = "DNS:m*.example.com");
	c[MIDDLE_STAR] = TLS_TEST_CERT(.issuer = middle, .days = 30, .alt_names = "DNS:mx.*.com");
	c[ALL_STAR] = TLS_TEST_CERT(.issuer = middle, .days = 30, .alt_names = "DNS:*,DNS:*.com");
	c[U_LABEL] = TLS_TEST_CERT(.issuer = middle, .days = 30,
	                           .raw_name = SLICE("b\xc3\xbc"
	                                             "cher.example"));
	c[A_LABEL] = TLS_TEST_CERT(.issuer = middle, .days = 30,
	                           .alt_names = "DNS:xn--bcher-kva.example");
	c[IP_ONLY] = TLS_TEST_CERT(.common_name = "mx.example", .issuer = middle, .days = 30,
	                           .alt_names = "IP:192.0.2.1");
	c[DOT_END] = TLS_TEST_CERT(.issuer = middle, .days = 30, .alt_names = "DNS:mx.example.");
}

static int make_all(void **state)
{
	struct tls_test_cert *c = all.certs;
	(void)state;
	all.library = tls_library_new();
	c[ROOT] = TLS_TEST_CERT(.common_name = "Root", .is_ca = true, .days = 30);
	c[MIDDLE] = TLS_TEST_CERT(.common_name = "Middle", .issuer = &c[ROOT], .is_ca = true,
	                          .days = 30);
	c[OTHER_ROOT] = TLS_TEST_CERT(.common_name = "Other", .is_ca = true, .days = 30);
	c[SHORT_ROOT] =
	        TLS_TEST_CERT(.common_name = "Short", .is_ca = true, .path_length = 1, .days = 30);
	c[OVER_SHORT] = TLS_TEST_CERT(.common_name = "Over", .issuer = &c[SHORT_ROOT],
	                              .is_ca = true, .days = 30);
	c[CONSTRAINED_ROOT] =
	        TLS_TEST_CERT(.common_name = "Constrained", .is_ca = true,
	                      .constraints = "permitted;DNS:good.example", .days = 30);
	c[EXPIRED_ROOT] = TLS_TEST_CERT(.common_name = "Old", .is_ca = true, .days = -1);
	make_leaves(c);
	c[BEYOND_PATH] =
	        TLS_TEST_CERT(.issuer = &c[OVER_SHORT], .alt_names = "DNS:mx.example", .days = 30);
	c[WITHIN] = TLS_TEST_CERT(.issuer = &c[CONSTRAINED_ROOT], .days = 30,
	                          .alt_names = "DNS:mx.good.example");
	c[WITHOUT] = TLS_TEST_CERT(.issuer = &c[CONSTRAINED_ROOT], .days = 30,
	                           .alt_names = "DNS:mx.example");
	c[OF_EXPIRED] = TLS_TEST_CERT(.issuer = &c[EXPIRED_ROOT], .days = 30,
	                              .alt_names = "DNS:mx.example");
	return 0;
}

static int free_all(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_CERTS; i++)
		tls_test_cert_free(&all.certs[i]);
	tls_library_free(all.library);
	return 0;
}

/* --- records --- */

#define RECORDS_MAX 8

/* A record of a certificate; certificate N_CERTS: of none (a digest of zeros). */
struct spec {
	int usage, selector, matching; /* usage 0 in a table's rest: the end */
	int cert;
};

static struct slice association_of(const struct spec *spec, struct arena *arena)
{
	static const uint8_t zeros[64];
	if (spec->cert == N_CERTS)
		return slice_of(zeros, spec->matching == 2 ? 64 : 32);
	struct buf der;
	buf_init(&der, 100000);
	tls_test_cert_der(&all.certs[spec->cert], &der);
	struct slice bytes = tls_tlsa_association(buf_slice(&der), (uint8_t)spec->selector,
	                                          (uint8_t)spec->matching, arena);
	buf_done(&der);
	return bytes;
}

static size_t make_records(const struct spec *specs, struct tls_tlsa *records, struct arena *arena)
{
	size_t n = 0;
	for (; n < RECORDS_MAX && specs[n].usage >= 0; n++)
		records[n] = (struct tls_tlsa){(uint8_t)specs[n].usage, (uint8_t)specs[n].selector,
		                               (uint8_t)specs[n].matching,
		                               association_of(&specs[n], arena)};
	return n;
}

#define END                                                                                        \
	{                                                                                          \
		.usage = -1                                                                        \
	}
#define CHAIN 6

struct dane_case {
	int chain[CHAIN];  /* certificates that the server shows, 0 (ROOT) not first; -1: end */
	const char *names; /* blank-separated */
	struct spec specs[RECORDS_MAX];
	enum tls_fault fault; /* NONE: good */
	const char *findings; /* of each record: kind and depth */
};

static const struct dane_case cases[] = {
        /* usage 3: the server's own, whatever its name and dates */
        {{LEAF, -1}, "mx.example", {{3, 1, 1, LEAF}, END}, TLS_FAULT_NONE, "matched0"},
        {{LEAF, -1}, "mx.example", {{3, 0, 1, LEAF}, END}, TLS_FAULT_NONE, "matched0"},
        {{LEAF, -1}, "mx.example", {{3, 1, 2, LEAF}, END}, TLS_FAULT_NONE, "matched0"},
        {{LEAF, -1}, "mx.example", {{3, 0, 2, LEAF}, END}, TLS_FAULT_NONE, "matched0"},
        {{LEAF, -1}, "mx.example", {{3, 0, 0, LEAF}, END}, TLS_FAULT_NONE, "matched0"},
        {{LEAF, -1}, "mx.example", {{3, 1, 0, LEAF}, END}, TLS_FAULT_NONE, "matched0"},
        {{LEAF, -1}, "unheard.of", {{3, 1, 1, LEAF}, END}, TLS_FAULT_NONE, "matched0"},
        {{EXPIRED, -1}, "mx.example", {{3, 1, 1, EXPIRED}, END}, TLS_FAULT_NONE, "matched0"},
        {{LONELY, -1}, "unheard.of", {{3, 1, 1, LONELY}, END}, TLS_FAULT_NONE, "matched0"},
        {{NUL_NAME, -1}, "mx.example", {{3, 1, 1, NUL_NAME}, END}, TLS_FAULT_NONE, "matched0"},
        {{LEAF, -1},
         "mx.example",
         {{3, 1, 1, N_CERTS}, {3, 1, 1, LEAF}, END},
         TLS_FAULT_NONE,
         "differs matched0"},
        {{LEAF, MIDDLE, -1},
         "mx.example",
         {{3, 1, 1, LEAF}, {2, 0, 1, MIDDLE}, {3, 0, 1, LEAF}, END},
         TLS_FAULT_NONE,
         "matched0 fits1 fits0"},
        {{LEAF, -1}, "mx.example", {{3, 1, 1, N_CERTS}, END}, TLS_FAULT_NO_MATCH, "differs"},
        {{LEAF, -1}, "mx.example", {{3, 1, 1, LONELY}, END}, TLS_FAULT_NO_MATCH, "differs"},
        {{LEAF, MIDDLE, -1},
         "mx.example",
         {{3, 1, 1, MIDDLE}, END},
         TLS_FAULT_NO_MATCH,
         "differs1"},
        /* usage 2: an authority that the server sends, names and dates count */
        {{LEAF, MIDDLE, ROOT, -1},
         "mx.example",
         {{2, 0, 1, ROOT}, END},
         TLS_FAULT_NONE,
         "matched2"},
        {{LEAF, MIDDLE, ROOT, -1},
         "mx.example",
         {{2, 1, 1, ROOT}, END},
         TLS_FAULT_NONE,
         "matched2"},
        {{LEAF, MIDDLE, -1}, "mx.example", {{2, 0, 1, MIDDLE}, END}, TLS_FAULT_NONE, "matched1"},
        {{LEAF, MIDDLE, -1}, "mx.example", {{2, 1, 2, MIDDLE}, END}, TLS_FAULT_NONE, "matched1"},
        {{LEAF, MIDDLE, ROOT, -1},
         "other.example mx.example",
         {{2, 0, 1, ROOT}, END},
         TLS_FAULT_NONE,
         "matched2"},
        {{LEAF, MIDDLE, ROOT, -1},
         "a.example b.example mx.example",
         {{2, 0, 1, ROOT}, END},
         TLS_FAULT_NONE,
         "matched2"},
        {{LEAF, MIDDLE, ROOT, -1},
         "MX.Example",
         {{2, 0, 1, ROOT}, END},
         TLS_FAULT_NONE,
         "matched2"},
        {{LEAF, MIDDLE, ROOT, -1},
         "host.wild.example",
         {{2, 0, 1, ROOT}, END},
         TLS_FAULT_NONE,
         "matched2"},
        {{LEAF, MIDDLE, -1}, "mx.example", {{2, 0, 0, ROOT}, END}, TLS_FAULT_NONE, "matched2"},
        {{LEAF, MIDDLE, -1}, "mx.example", {{2, 1, 0, ROOT}, END}, TLS_FAULT_NONE, "matched1"},
        {{LEAF, -1}, "mx.example", {{2, 0, 0, MIDDLE}, END}, TLS_FAULT_NONE, "matched1"},
        {{LEAF, MIDDLE, -1},
         "mx.example",
         {{2, 0, 1, ROOT}, END}, /* it is not sent: RFC 7671 section 5.2.2 */
         TLS_FAULT_NO_MATCH,
         "differs"},
        {{LEAF, MIDDLE, -1}, "mx.example", {{2, 1, 1, ROOT}, END}, TLS_FAULT_NO_MATCH, "differs"},
        {{LEAF, MIDDLE, ROOT, -1},
         "mx.example",
         {{2, 0, 1, OTHER_ROOT}, END},
         TLS_FAULT_NO_MATCH,
         "differs"},
        {{LEAF, OTHER_ROOT, -1}, /* sent, but it issued nothing */
         "mx.example",
         {{2, 0, 1, OTHER_ROOT}, END},
         TLS_FAULT_NO_MATCH,
         "fits1"},
        {{LEAF, MIDDLE, ROOT, -1},
         "other.example",
         {{2, 0, 1, ROOT}, END},
         TLS_FAULT_NAME,
         "fits2"},
        {{LEAF, MIDDLE, ROOT, -1}, "wild.example", {{2, 0, 1, ROOT}, END}, TLS_FAULT_NAME, "fits2"},
        {{LEAF, MIDDLE, ROOT, -1},
         "a.b.wild.example",
         {{2, 0, 1, ROOT}, END},
         TLS_FAULT_NAME,
         "fits2"},
        {{EXPIRED, MIDDLE, ROOT, -1},
         "mx.example",
         {{2, 0, 1, ROOT}, END},
         TLS_FAULT_EXPIRED,
         "fits2"},
        {{OF_EXPIRED, EXPIRED_ROOT, -1},
         "mx.example",
         {{2, 0, 1, EXPIRED_ROOT}, END},
         TLS_FAULT_EXPIRED,
         "fits1"},
        {{BEYOND_PATH, OVER_SHORT, SHORT_ROOT, -1},
         "mx.example",
         {{2, 0, 1, SHORT_ROOT}, END},
         TLS_FAULT_UNTRUSTED,
         "fits2"},
        {{WITHIN, CONSTRAINED_ROOT, -1},
         "mx.good.example",
         {{2, 0, 1, CONSTRAINED_ROOT}, END},
         TLS_FAULT_NONE,
         "matched1"},
        {{WITHOUT, CONSTRAINED_ROOT, -1},
         "mx.example",
         {{2, 0, 1, CONSTRAINED_ROOT}, END},
         TLS_FAULT_UNTRUSTED,
         "fits1"},
        {{LONELY, -1}, /* its own authority: not by usage 2 */
         "mx.example",
         {{2, 0, 1, LONELY}, END},
         TLS_FAULT_NO_MATCH,
         "differs0"},
        /* hostile names, with a good authority */
        {{NAMED_BY_CN, MIDDLE, -1}, /* RFC 7672 section 3.2.3: no DNS-ID, so the CN */
         "mx.example",
         {{2, 0, 1, MIDDLE}, END},
         TLS_FAULT_NONE,
         "matched1"},
        {{OTHER_NAME, MIDDLE, -1}, "mx.example", {{2, 0, 1, MIDDLE}, END}, TLS_FAULT_NAME, "fits1"},
        {{NUL_NAME, MIDDLE, -1}, "mx.example", {{2, 0, 1, MIDDLE}, END}, TLS_FAULT_NAME, "fits1"},
        {{NUL_END, MIDDLE, -1}, "mx.example", {{2, 0, 1, MIDDLE}, END}, TLS_FAULT_NAME, "fits1"},
        {{PARTIAL_STAR, MIDDLE, -1},
         "mx.example.com",
         {{2, 0, 1, MIDDLE}, END},
         TLS_FAULT_NAME,
         "fits1"},
        {{MIDDLE_STAR, MIDDLE, -1},
         "mx.example.com",
         {{2, 0, 1, MIDDLE}, END},
         TLS_FAULT_NAME,
         "fits1"},
        {{ALL_STAR, MIDDLE, -1}, "example.com", {{2, 0, 1, MIDDLE}, END}, TLS_FAULT_NAME, "fits1"},
        {{U_LABEL, MIDDLE, -1},
         "xn--bcher-kva.example",
         {{2, 0, 1, MIDDLE}, END},
         TLS_FAULT_NAME,
         "fits1"},
        {{A_LABEL, MIDDLE, -1},
         "xn--bcher-kva.example",
         {{2, 0, 1, MIDDLE}, END},
         TLS_FAULT_NONE,
         "matched1"},
        {{DOT_END, MIDDLE, -1}, "mx.example", {{2, 0, 1, MIDDLE}, END}, TLS_FAULT_NAME, "fits1"},
        {{IP_ONLY, MIDDLE, -1}, /* no DNS-ID: the CN counts */
         "mx.example",
         {{2, 0, 1, MIDDLE}, END},
         TLS_FAULT_NONE,
         "matched1"},
        {{IP_ONLY, MIDDLE, -1}, "192.0.2.1", {{2, 0, 1, MIDDLE}, END}, TLS_FAULT_NAME, "fits1"},
        /* records that do not count */
        {{LEAF, -1}, "mx.example", {{1, 1, 1, LEAF}, END}, TLS_FAULT_NO_MATCH, "unusable"},
        {{LEAF, MIDDLE, ROOT, -1},
         "mx.example",
         {{0, 0, 1, ROOT}, {1, 1, 1, LEAF}, END},
         TLS_FAULT_NO_MATCH,
         "unusable unusable"},
        {{LEAF, -1},
         "mx.example",
         {{1, 1, 1, LEAF}, {3, 1, 1, LEAF}, END},
         TLS_FAULT_NONE,
         "unusable matched0"},
        {{LEAF, -1},
         "mx.example",
         {{4, 1, 1, LEAF}, {3, 2, 1, N_CERTS}, {3, 1, 3, N_CERTS}, END},
         TLS_FAULT_NO_MATCH,
         "unusable unusable unusable"},
        /* digest agility: RFC 7671 section 9 */
        {{LEAF, -1},
         "mx.example",
         {{3, 1, 1, LEAF}, {3, 1, 2, N_CERTS}, END},
         TLS_FAULT_NO_MATCH,
         "outdone differs"},
        {{LEAF, -1},
         "mx.example",
         {{3, 1, 1, N_CERTS}, {3, 1, 2, LEAF}, END},
         TLS_FAULT_NONE,
         "outdone matched0"},
        {{LEAF, -1},
         "mx.example",
         {{3, 1, 1, LEAF}, {3, 1, 2, N_CERTS}, {3, 1, 0, LEAF}, END},
         TLS_FAULT_NONE,
         "outdone differs matched0"},
        {{LEAF, -1},
         "mx.example",
         {{3, 0, 1, LEAF}, {3, 1, 2, N_CERTS}, END},
         TLS_FAULT_NONE,
         "matched0 differs"},
        {{LEAF, MIDDLE, -1},
         "mx.example",
         {{2, 0, 1, MIDDLE}, {2, 0, 2, N_CERTS}, END},
         TLS_FAULT_NO_MATCH,
         "outdone differs"},
};

static const char *kind_name(enum tls_tlsa_finding_kind kind)
{
	static const char *const names[] = {
	        [TLS_TLSA_UNTRIED] = "untried", [TLS_TLSA_MATCHED] = "matched",
	        [TLS_TLSA_FITS] = "fits",       [TLS_TLSA_DIFFERS] = "differs",
	        [TLS_TLSA_OUTDONE] = "outdone", [TLS_TLSA_UNUSABLE] = "unusable"};
	return names[kind];
}

static void print_findings(const struct tls_tlsa_finding *findings, size_t n, struct buf *out)
{
	buf_reset(out);
	for (size_t i = 0; i < n; i++) {
		buf_printf(out, "%s%s", i ? " " : "", kind_name(findings[i].kind));
		if (findings[i].depth >= 0)
			buf_printf(out, "%d", findings[i].depth);
		assert_non_null(findings[i].why);
		assert_int_equal(*findings[i].why == 0,
		                 findings[i].kind == TLS_TLSA_MATCHED ||
		                         findings[i].kind == TLS_TLSA_UNTRIED);
	}
}

static size_t split_names(char *text, const char **names)
{
	size_t n = 0;
	for (char *at = text; at; n++) {
		char *blank = strchr(at, ' ');
		names[n] = at;
		if (blank)
			*blank = 0;
		at = blank ? blank + 1 : NULL;
	}
	return n;
}

/* The target's side of a case, on the caller's memory. */
struct side {
	char text[100];
	const char *names[TLS_DANE_NAMES_MAX];
	struct tls_tlsa records[RECORDS_MAX];
	struct tls_dane dane;
};

static void make_side(const struct dane_case *c, struct side *side, struct arena *arena)
{
	snprintf(side->text, sizeof(side->text), "%s", c->names);
	side->dane = (struct tls_dane){
	        .records = side->records,
	        .n_records = make_records(c->specs, side->records, arena),
	        .names = side->names,
	        .n_names = split_names(side->text, side->names),
	};
}

static void each_chain_is_judged_offline(void **state)
{
	size_t n_failed = 0;
	struct buf pem, text;
	struct arena arena;
	(void)state;
	buf_init(&pem, 100000);
	buf_init(&text, 10000);
	arena_init(&arena, 1024 * KIB);
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		const struct dane_case *c = &cases[i];
		struct side side;
		struct tls_check check;
		struct tls_tlsa_finding findings[RECORDS_MAX];
		make_side(c, &side, &arena);
		buf_reset(&pem);
		for (size_t j = 0; j < CHAIN && c->chain[j] >= 0; j++)
			tls_test_cert_print(&all.certs[c->chain[j]], &pem);
		assert_true(is_ok(tls_dane_verify(all.library, &side.dane, buf_slice(&pem), 0,
		                                  &check, findings)));
		print_findings(findings, side.dane.n_records, &text);
		if (!check.made || check.fault != c->fault ||
		    check.good != (c->fault == TLS_FAULT_NONE) ||
		    !slice_eq_str(buf_slice(&text), c->findings)) {
			print_message("case %zu (%s): fault %d [%s], wanted %d [%s]: %s\n", i,
			              c->names, check.fault, buf_cstr(&text), c->fault, c->findings,
			              check.why);
			n_failed++;
		}
	}
	buf_done(&pem);
	buf_done(&text);
	arena_done(&arena);
	assert_int_equal(n_failed, 0);
}

/* --- authorities --- */

static const struct pkix_case {
	int leaf;
	const char *name;
	int trusted; /* authority; -1: none */
	enum tls_fault fault;
} pkix_cases[] = {
        {LEAF, "mx.example", ROOT, TLS_FAULT_NONE},
        {LEAF, "host.wild.example", ROOT, TLS_FAULT_NONE},
        {LEAF, "mx.example", MIDDLE, TLS_FAULT_NONE}, /* trusted by itself */
        {LEAF, "mx.example", LEAF, TLS_FAULT_NONE},
        {A_LABEL, "xn--bcher-kva.example", ROOT, TLS_FAULT_NONE},
        {IP_ONLY, "192.0.2.1", ROOT, TLS_FAULT_NONE},
        {WITHIN, "mx.good.example", CONSTRAINED_ROOT, TLS_FAULT_NONE},
        {LEAF, "mx.example", OTHER_ROOT, TLS_FAULT_UNTRUSTED},
        {LEAF, "mx.example", -1, TLS_FAULT_UNTRUSTED},
        {LONELY, "mx.example", ROOT, TLS_FAULT_UNTRUSTED},
        {WITHOUT, "mx.example", CONSTRAINED_ROOT, TLS_FAULT_UNTRUSTED},
        {BEYOND_PATH, "mx.example", SHORT_ROOT, TLS_FAULT_UNTRUSTED},
        {EXPIRED, "mx.example", ROOT, TLS_FAULT_EXPIRED},
        {OF_EXPIRED, "mx.example", EXPIRED_ROOT, TLS_FAULT_EXPIRED},
        {LEAF, "other.example", ROOT, TLS_FAULT_NAME},
        {LEAF, "wild.example", ROOT, TLS_FAULT_NAME},
        {LEAF, "a.b.wild.example", ROOT, TLS_FAULT_NAME},
        {LEAF, "192.0.2.1", ROOT, TLS_FAULT_NAME},
        {NAMED_BY_CN, "mx.example", ROOT, TLS_FAULT_NAME}, /* RFC 8461 section 4.2: a DNS-ID */
        {OTHER_NAME, "mx.example", ROOT, TLS_FAULT_NAME},
        {IP_ONLY, "mx.example", ROOT, TLS_FAULT_NAME},
        {NUL_NAME, "mx.example", ROOT, TLS_FAULT_NAME},
        {NUL_END, "mx.example", ROOT, TLS_FAULT_NAME},
        {PARTIAL_STAR, "mx.example.com", ROOT, TLS_FAULT_NAME},
        {MIDDLE_STAR, "mx.example.com", ROOT, TLS_FAULT_NAME},
        {ALL_STAR, "example.com", ROOT, TLS_FAULT_NAME},
        {U_LABEL, "xn--bcher-kva.example", ROOT, TLS_FAULT_NAME},
        {DOT_END, "mx.example", ROOT, TLS_FAULT_NAME},
};

static struct tls_authorities *authorities_of(int cert)
{
	struct buf pem;
	buf_init(&pem, 100000);
	tls_test_cert_print(&all.certs[cert], &pem);
	struct tls_authorities *authorities = tls_authorities_new(NULL);
	tls_authorities_set_text(authorities, buf_slice(&pem));
	buf_done(&pem);
	return authorities;
}

static void authorities_vouch_for_names_and_dates(void **state)
{
	(void)state;
	STACK_OF(X509) *sent = sk_X509_new_null();
	sk_X509_push(sent, all.certs[MIDDLE].x509);
	sk_X509_push(sent, all.certs[OVER_SHORT].x509);
	for (size_t i = 0; i < N_ELEMENTS(pkix_cases); i++) {
		const struct pkix_case *c = &pkix_cases[i];
		struct tls_authorities *trusted =
		        c->trusted < 0 ? NULL : authorities_of(c->trusted);
		struct tls_check check =
		        tls_pkix_check(trusted, NULL, all.certs[c->leaf].x509, sent, c->name, 0);
		if (check.fault != c->fault)
			print_message("case %zu: %d, wanted %d: %s\n", i, check.fault, c->fault,
			              check.why);
		assert_int_equal(check.fault, c->fault);
		assert_int_equal(check.good, c->fault == TLS_FAULT_NONE);
		assert_true(check.made && check.good == !*check.why && check.good == !*check.code);
		tls_authorities_unref(trusted);
	}
	sk_X509_free(sent);
}

/* --- handshakes --- */

static struct status shake_hands(struct tls_client *client, const int *chain,
                                 const struct tls_target *target, struct tls_client_stream *stream,
                                 struct tls_test_server *server)
{
	const struct tls_test_cert *list[CHAIN];
	size_t n = 0;
	int fds[2];
	for (; n < CHAIN && chain[n] >= 0; n++)
		list[n] = &all.certs[chain[n]];
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	if (!server->context)
		server->context = tls_test_server_context(list, n);
	server->fd = fds[1];
	tls_test_server_start(server);
	tls_client_stream_init(stream, fds[0], client, target);
	stream->t.stream.timeout_ms = 5000;
	return stream_start_tls(&stream->t.stream);
}

static void end(struct tls_client_stream *stream, struct tls_test_server *server, bool keep)
{
	stream_shutdown(&stream->t.stream);
	tls_client_stream_done(stream);
	tls_test_server_join(server);
	if (keep)
		return;
	SSL_CTX_free(server->context);
	server->context = NULL;
}

static void a_handshake_comes_to_the_same_judgement(void **state)
{
	struct tls_client *client = tls_client_new(all.library, NULL);
	struct buf text;
	struct arena arena;
	(void)state;
	buf_init(&text, 10000);
	arena_init(&arena, 1024 * KIB);
	for (size_t i = 0; i < 2 * N_ELEMENTS(cases); i++) {
		const struct dane_case *c = &cases[i / 2];
		struct side side;
		struct tls_client_stream stream;
		struct tls_test_server server = {0};
		bool good = c->fault == TLS_FAULT_NONE, required = i % 2;
		make_side(c, &side, &arena);
		const struct tls_target target = {
		        .name = "ignored.example", .dane = &side.dane, .dane_required = required};
		struct status status = shake_hands(client, c->chain, &target, &stream, &server);
		struct tls_verdict verdict = tls_client_stream_verdict(&stream);
		assert_int_equal(is_ok(status), good || !required);
		assert_int_equal(verdict.dane.fault, c->fault);
		assert_int_equal(verdict.dane.good, good);
		assert_true(verdict.pkix.made && !verdict.pkix.good);
		print_findings(verdict.findings, side.dane.n_records, &text);
		assert_string_equal(buf_cstr(&text), c->findings);
		if (!is_ok(status)) {
			assert_int_equal(status.code, ERR_TLS);
			assert_string_equal(status.why, verdict.dane.why);
		}
		struct tls_sent sent = tls_client_stream_sent(&stream, &arena);
		assert_true(sent.n >= 1);
		end(&stream, &server, false);
		if (is_ok(status) && side.names[0][0] >= 'A') /* RFC 7672 section 8.1 */
			assert_string_equal(server.name, side.names[0]);
	}
	tls_client_unref(client);
	buf_done(&text);
	arena_done(&arena);
}

static struct tls_client *client_that_trusts(int cert)
{
	struct tls_authorities *authorities = authorities_of(cert);
	struct tls_client *client = tls_client_new(all.library, authorities);
	tls_authorities_unref(authorities);
	return client;
}

/* Both checks are made, each may be demanded, and both must be good where both are. */
static void either_check_or_both_can_be_demanded(void **state)
{
	static const struct {
		const char *pkix_name;
		int record;
		bool dane_good, pkix_good;
	} rounds[] = {
	        {"mx.example", LEAF, true, true},    {"other.example", LEAF, true, false},
	        {"mx.example", LONELY, false, true}, {"other.example", LONELY, false, false},
	        {NULL, LEAF, true, false}, /* the target's name counts then */
	};
	static const int chain[] = {LEAF, MIDDLE, -1};
	struct tls_client *client = client_that_trusts(ROOT);
	struct arena arena;
	(void)state;
	arena_init(&arena, 1024 * KIB);
	for (size_t i = 0; i < 4 * N_ELEMENTS(rounds); i++) {
		const struct dane_case c = {.names = "base.example",
		                            .specs = {{3, 1, 1, rounds[i / 4].record}, END}};
		struct side side;
		struct tls_client_stream stream;
		struct tls_test_server server = {0};
		make_side(&c, &side, &arena);
		const struct tls_target target = {.name = "unheard.of",
		                                  .pkix_name = rounds[i / 4].pkix_name,
		                                  .dane = &side.dane,
		                                  .verified = i & 1,
		                                  .dane_required = i & 2};
		bool good = (!target.verified || rounds[i / 4].pkix_good) &&
		            (!target.dane_required || rounds[i / 4].dane_good);
		struct status status = shake_hands(client, chain, &target, &stream, &server);
		struct tls_verdict verdict = tls_client_stream_verdict(&stream);
		assert_int_equal(is_ok(status), good);
		assert_int_equal(verdict.pkix.good, rounds[i / 4].pkix_good);
		assert_int_equal(verdict.dane.good, rounds[i / 4].dane_good);
		assert_int_equal(verdict.verified, good && rounds[i / 4].pkix_good);
		end(&stream, &server, false);
	}
	tls_client_unref(client);
	arena_done(&arena);
}

/* A session that was begun under other records, names or demands is not resumed. */
static void sessions_belong_to_their_records(void **state)
{
	static const int chain[] = {LEAF, MIDDLE, -1};
	static const struct {
		const char *names;
		int record;
		bool required, resumed;
	} rounds[] = {
	        {"mx.example", LEAF, true, false},
	        {"mx.example", LEAF, true, true},
	        {"mx.example", LEAF, false, false},
	        {"mx.example", LEAF, false, true},
	        {"mx.example", MIDDLE, true, false},
	        {"mx.example", MIDDLE, true, true},
	        {"mx.example other.example", MIDDLE, true, false},
	        {"mx.example", LEAF, true, true},
	};
	struct tls_client *client = client_that_trusts(OTHER_ROOT);
	struct tls_test_server server = {0};
	struct arena arena;
	(void)state;
	arena_init(&arena, 1024 * KIB);
	for (size_t i = 0; i < N_ELEMENTS(rounds); i++) {
		const struct dane_case c = {
		        .names = rounds[i].names,
		        .specs = {{rounds[i].record == LEAF ? 3 : 2, 1, 1, rounds[i].record}, END}};
		struct side side;
		struct tls_client_stream stream;
		struct slice line;
		bool crlf;
		make_side(&c, &side, &arena);
		const struct tls_target target = {.name = "mx.example",
		                                  .dane = &side.dane,
		                                  .dane_required = rounds[i].required,
		                                  .session = "25"};
		assert_true(is_ok(shake_hands(client, chain, &target, &stream, &server)));
		struct tls_verdict verdict = tls_client_stream_verdict(&stream);
		assert_int_equal(verdict.resumed, rounds[i].resumed);
		assert_int_equal(!verdict.findings, rounds[i].resumed);
		assert_true(verdict.dane.made && verdict.dane.good);
		assert_true(verdict.pkix.made && !verdict.pkix.good);
		assert_true(is_ok(stream_read_line(&stream.t.stream, 100, &line, &crlf)));
		assert_true(is_ok(stream_write(&stream.t.stream, SLICE("QUIT\r\n"))));
		assert_true(is_ok(stream_flush(&stream.t.stream)));
		end(&stream, &server, true);
	}
	SSL_CTX_free(server.context);
	tls_client_unref(client);
	arena_done(&arena);
}

/* --- bad input --- */

static void a_thousand_records_are_looked_at_and_no_more(void **state)
{
	static struct tls_tlsa records[TLS_TLSA_RECORDS_MAX + 50];
	static struct tls_tlsa_finding findings[TLS_TLSA_RECORDS_MAX + 50];
	static uint8_t digests[TLS_TLSA_RECORDS_MAX + 50][32];
	static const char *const names[] = {"mx.example"};
	const struct spec spec = {3, 1, 1, LEAF};
	const size_t places[] = {0, 500, TLS_TLSA_RECORDS_MAX - 1, TLS_TLSA_RECORDS_MAX};
	struct tls_dane dane = {records, N_ELEMENTS(records), names, 1};
	struct tls_check check;
	struct arena arena;
	struct buf pem;
	(void)state;
	arena_init(&arena, 1024 * KIB);
	buf_init(&pem, 100000);
	tls_test_cert_print(&all.certs[LEAF], &pem);
	for (size_t i = 0; i < N_ELEMENTS(places); i++) {
		bool seen = places[i] < TLS_TLSA_RECORDS_MAX;
		for (size_t j = 0; j < N_ELEMENTS(records); j++) {
			memcpy(digests[j], &j, sizeof(j));
			records[j] = (struct tls_tlsa){3, 1, 1, slice_of(digests[j], 32)};
		}
		records[places[i]].bytes = association_of(&spec, &arena);
		assert_true(is_ok(
		        tls_dane_verify(all.library, &dane, buf_slice(&pem), 0, &check, findings)));
		assert_int_equal(check.good, seen);
		assert_int_equal(findings[places[i]].kind,
		                 seen ? TLS_TLSA_MATCHED : TLS_TLSA_UNUSABLE);
		assert_int_equal(findings[N_ELEMENTS(records) - 1].kind, TLS_TLSA_UNUSABLE);
	}
	arena_done(&arena);
	buf_done(&pem);
}

/* Whatever we call usable OpenSSL takes, and the other way round. */
static void openssl_agrees_on_what_is_usable(void **state)
{
	SSL_CTX *context = SSL_CTX_new(TLS_client_method());
	struct arena arena;
	(void)state;
	arena_init(&arena, 1024 * KIB);
	assert_true(tls_dane_prepare(context));
	for (int usage = 2; usage < 6; usage++)
		for (int selector = 0; selector < 3; selector++)
			for (int matching = 0; matching < 4; matching++)
				for (unsigned cut = 0; cut < 3; cut++) {
					const struct spec spec = {usage, selector, matching, LEAF};
					struct slice bytes = association_of(&spec, &arena);
					bytes = slice_sub(bytes, cut & 1, bytes.n - cut);
					const struct tls_tlsa record = {(uint8_t)usage,
					                                (uint8_t)selector,
					                                (uint8_t)matching, bytes};
					SSL *ssl = SSL_new(context);
					assert_int_equal(SSL_dane_enable(ssl, "mx.example"), 1);
					int added = SSL_dane_tlsa_add(
					        ssl, record.usage, record.selector, record.matching,
					        bytes.p, bytes.n);
					assert_int_equal(added == 1, !tls_tlsa_unusable(&record));
					SSL_free(ssl);
				}
	SSL_CTX_free(context);
	arena_done(&arena);
}

static void nothing_verifies_without_a_certificate_or_a_record(void **state)
{
	static const char *const names[] = {"mx.example"};
	const struct tls_dane none = {NULL, 0, names, 1};
	struct tls_check check;
	struct buf pem;
	(void)state;
	buf_init(&pem, 100000);
	assert_int_equal(
	        tls_dane_verify(all.library, &none, SLICE("none here"), 0, &check, NULL).code,
	        ERR_INVALID);
	tls_test_cert_print(&all.certs[LEAF], &pem);
	assert_true(is_ok(tls_dane_verify(all.library, &none, buf_slice(&pem), 0, &check, NULL)));
	assert_true(check.made && !check.good);
	buf_done(&pem);
}

static void dates_count_at_the_given_time(void **state)
{
	static const int chain[] = {LEAF, MIDDLE, -1};
	const struct dane_case c = {.names = "mx.example", .specs = {{2, 0, 1, MIDDLE}, END}};
	struct side side;
	struct tls_check check;
	struct tls_tlsa_finding findings[1];
	struct arena arena;
	struct buf pem;
	(void)state;
	buf_init(&pem, 100000);
	arena_init(&arena, 1024 * KIB);
	make_side(&c, &side, &arena);
	for (size_t i = 0; chain[i] >= 0; i++)
		tls_test_cert_print(&all.certs[chain[i]], &pem);
	assert_true(is_ok(tls_dane_verify(all.library, &side.dane, buf_slice(&pem), 1000000000,
	                                  &check, findings)));
	assert_int_equal(check.fault, TLS_FAULT_EXPIRED); /* not yet valid in 2001 */
	assert_string_equal(check.code, "X509_V_ERR_CERT_NOT_YET_VALID");
	arena_done(&arena);
	buf_done(&pem);
}

static void a_strangers_certificate_is_shown_escaped(void **state)
{
	struct tls_certificate_facts facts;
	struct arena arena;
	(void)state;
	arena_init(&arena, 1024 * KIB);
	assert_true(is_ok(tls_certificate_facts(all.certs[NUL_NAME].x509, &facts, &arena)));
	assert_int_equal(facts.n_names, 1);
	assert_string_equal(facts.names[0], "mx.example\\x00.evil.example");
	assert_string_equal(facts.issuer, "CN=Middle");
	assert_string_equal(facts.subject, "");
	assert_string_equal(facts.key, "EC 256 bits");
	assert_int_equal(strlen(facts.key_fingerprint), 64);
	assert_true(facts.not_before_s < facts.not_after_s && !facts.self_issued);
	assert_true(is_ok(tls_certificate_facts(all.certs[U_LABEL].x509, &facts, &arena)));
	assert_string_equal(facts.names[0], "b\\xc3\\xbccher.example");
	assert_true(is_ok(tls_certificate_facts(all.certs[IP_ONLY].x509, &facts, &arena)));
	assert_string_equal(facts.names[0], "192.0.2.1");
	assert_true(is_ok(tls_certificate_facts(all.certs[ROOT].x509, &facts, &arena)));
	assert_true(facts.self_issued);
	arena_done(&arena);
	arena_init(&arena, 100);
	assert_int_equal(tls_certificate_facts(all.certs[ROOT].x509, &facts, &arena).code,
	                 ERR_LIMIT);
	arena_done(&arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(each_chain_is_judged_offline),
	        cmocka_unit_test(authorities_vouch_for_names_and_dates),
	        cmocka_unit_test(a_handshake_comes_to_the_same_judgement),
	        cmocka_unit_test(either_check_or_both_can_be_demanded),
	        cmocka_unit_test(sessions_belong_to_their_records),
	        cmocka_unit_test(a_thousand_records_are_looked_at_and_no_more),
	        cmocka_unit_test(openssl_agrees_on_what_is_usable),
	        cmocka_unit_test(nothing_verifies_without_a_certificate_or_a_record),
	        cmocka_unit_test(dates_count_at_the_given_time),
	        cmocka_unit_test(a_strangers_certificate_is_shown_escaped),
	};
	signal(SIGPIPE, SIG_IGN); /* the servers' sockets are libssl's */
	return cmocka_run_group_tests(tests, make_all, free_all);
}
