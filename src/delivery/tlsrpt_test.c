/* TLSRPT records: what is understood, what can be used, and everything else. */
#include "delivery/tlsrpt.h"

#include "delivery/fields.h"
#include "dns/table.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static const struct record_case {
	const char *text;
	const char *uris; /* of each: "m ADDRESS", "h URI" or "o URI", separated by blanks; NULL:
	                     refused */
} records[] = {
        {"v=TLSRPTv1;rua=mailto:reports@example.com", "m reports@example.com"},
        {"v=TLSRPTv1; rua=https://reporting.example.com/v1/tlsrpt",
         "h https://reporting.example.com/v1/tlsrpt"},
        {"v=TLSRPTv1; rua=mailto:a@example.com , https://x.example/y;",
         "m a@example.com h https://x.example/y"},
        {"v=TLSRPTv1 \t;\t rua=mailto:a@example.com \t,\tmailto:b@example.com ; x=y ;",
         "m a@example.com m b@example.com"},
        {"v=TLSRPTv1; x=y; rua=MAILTO:a@Example.COM", "m a@example.com"},
        {"v=TLSRPTv1; rua=mailto:a%2Bb@example.com", "m a+b@example.com"},
        {"v=TLSRPTv1; rua=mailto:a@b%C3%BCcher.example", "m a@xn--bcher-kva.example"},
        {"v=TLSRPTv1; rua=mailto:a@example.com?subject=tlsrpt", "m a@example.com"},
        {"v=TLSRPTv1; rua=HTTPS://x.example", "h HTTPS://x.example"},
        {"v=TLSRPTv1; rua=https://x.example/?a=b&c=%2C", "h https://x.example/?a=b&c=%2C"},
        {"v=TLSRPTv1; rua=mailto:a@example.com; rua=what ever", "m a@example.com"},
        /* a URI, but none for us */
        {"v=TLSRPTv1; rua=http://x.example/", "o http://x.example/"},
        {"v=TLSRPTv1; rua=x-new:abc", "o x-new:abc"},
        {"v=TLSRPTv1; rua=https:///path", "o https:///path"},
        {"v=TLSRPTv1; rua=https:x", "o https:x"},
        {"v=TLSRPTv1; rua=mailto:nobody", "o mailto:nobody"},
        {"v=TLSRPTv1; rua=mailto:@example.com", "o mailto:@example.com"},
        {"v=TLSRPTv1; rua=mailto:a@", "o mailto:a@"},
        {"v=TLSRPTv1; rua=mailto:a@[192.0.2.1]", "o mailto:a@[192.0.2.1]"},
        {"v=TLSRPTv1; rua=mailto:a@b@example.com", "o mailto:a@b@example.com"},
        {"v=TLSRPTv1; rua=mailto:a..b@example.com", "o mailto:a..b@example.com"},
        {"v=TLSRPTv1; rua=mailto:%22a%20b%22@example.com", "o mailto:%22a%20b%22@example.com"},
        {"v=TLSRPTv1; rua=mailto:a%2Cb%40x@example.com", "o mailto:a%2Cb%40x@example.com"},
        {"v=TLSRPTv1; rua=mailto:a%0d%0aBcc:x@example.com", "o mailto:a%0d%0aBcc:x@example.com"},
        {"v=TLSRPTv1; rua=mailto:a%00@example.com", "o mailto:a%00@example.com"},
        {"v=TLSRPTv1; rua=mailto:a@example.com%", "o mailto:a@example.com%"},
        {"v=TLSRPTv1; rua=mailto:a@example.com%2", "o mailto:a@example.com%2"},
        {"v=TLSRPTv1; rua=mailto:a@example.com%zz", "o mailto:a@example.com%zz"},
        {"v=TLSRPTv1; rua=mailto:a@example..com", "o mailto:a@example..com"},
        {"v=TLSRPTv1; rua=mailto:b%C3%BC@example.com", "o mailto:b%C3%BC@example.com"},
        /* no record */
        {"", NULL},
        {"v=TLSRPTv1", NULL},
        {"v=TLSRPTv1;", NULL},
        {"v=TLSRPTv2; rua=mailto:a@example.com", NULL},
        {"v=tlsrptv1; rua=mailto:a@example.com", NULL},
        {" v=TLSRPTv1; rua=mailto:a@example.com", NULL},
        {"rua=mailto:a@example.com; v=TLSRPTv1", NULL},
        {"v=TLSRPTv1 rua=mailto:a@example.com", NULL},
        {"v=TLSRPTv1; RUA=mailto:a@example.com", NULL},
        {"v=TLSRPTv1; rua=", NULL},
        {"v=TLSRPTv1; rua = mailto:a@example.com", NULL},
        {"v=TLSRPTv1; rua=,", NULL},
        {"v=TLSRPTv1; rua=mailto:a@example.com,", NULL},
        {"v=TLSRPTv1; rua=,mailto:a@example.com", NULL},
        {"v=TLSRPTv1; rua=a@example.com", NULL},
        {"v=TLSRPTv1; rua=mailto:", NULL},
        {"v=TLSRPTv1; rua=mailto:a b@example.com", NULL},
        {"v=TLSRPTv1; rua=mailto:a!b@example.com", NULL}, /* "!" must be encoded */
        {"v=TLSRPTv1; rua=mailto:a@example.com\x01", NULL},
        {"v=TLSRPTv1; rua=mailto:\xc3\xbc@example.com", NULL},
        {"v=TLSRPTv1; rua=<mailto:a@example.com>", NULL},
        {"v=TLSRPTv1; rua=mailto:a@example.com;; ", NULL},
        {"v=TLSRPTv1; rua=mailto:a@example.com; x=a=b", NULL},
        {"v=TLSRPTv1; rua=mailto:a@example.com; =x", NULL},
};

static void print(const struct tlsrpt_record *record, struct buf *out)
{
	buf_reset(out);
	for (size_t i = 0; i < record->n; i++) {
		const struct tlsrpt_uri *uri = &record->rua[i];
		assert_int_equal(uri->kind == TLSRPT_URI_MAILTO, uri->address != NULL);
		buf_printf(out, "%s%s ", i ? " " : "",
		           uri->kind == TLSRPT_URI_MAILTO  ? "m"
		           : uri->kind == TLSRPT_URI_HTTPS ? "h"
		                                           : "o");
		buf_add(out, uri->address ? slice_str(uri->address) : uri->text);
	}
}

static void records_say_where_reports_are_wanted(void **state)
{
	struct arena arena;
	struct buf text, again;
	(void)state;
	arena_init(&arena, 256 * KIB);
	buf_init(&text, 10000);
	buf_init(&again, 10000);
	for (size_t i = 0; i < N_ELEMENTS(records); i++) {
		struct tlsrpt_record record;
		struct status status =
		        tlsrpt_record_parse(slice_str(records[i].text), &arena, &record);
		if (is_ok(status) != (records[i].uris != NULL))
			print_message("record %zu: [%s] %s\n", i, records[i].text, status.why);
		assert_int_equal(is_ok(status), records[i].uris != NULL);
		if (!is_ok(status)) {
			assert_int_equal(status.code, ERR_SYNTAX);
			continue;
		}
		print(&record, &text);
		assert_string_equal(buf_cstr(&text), records[i].uris);
		buf_reset(&again);
		tlsrpt_record_print(&record, &again);
		assert_true(is_ok(tlsrpt_record_parse(buf_slice(&again), &arena, &record)));
		print(&record, &text);
		assert_string_equal(buf_cstr(&text), records[i].uris);
	}
	buf_done(&text);
	buf_done(&again);
	arena_done(&arena);
}

static void long_records_are_bounded(void **state)
{
	struct arena arena;
	struct tlsrpt_record record;
	struct buf text;
	(void)state;
	arena_init(&arena, 256 * KIB);
	buf_init(&text, 100000);
	buf_add_str(&text, "v=TLSRPTv1; rua=mailto:a@example.com");
	for (unsigned i = 0; i < 50; i++)
		buf_add_str(&text, ",mailto:a@example.com");
	assert_true(is_ok(tlsrpt_record_parse(buf_slice(&text), &arena, &record)));
	assert_int_equal(record.n, TLSRPT_RUA_MAX);
	assert_true(record.rua_cut);
	buf_reset(&text);
	buf_add_str(&text, "v=TLSRPTv1; rua=https://a/");
	while (text.n < 16 + TLSRPT_URI_MAX)
		buf_add_byte(&text, 'x');
	assert_true(is_ok(tlsrpt_record_parse(buf_slice(&text), &arena, &record)));
	buf_add_byte(&text, 'x');
	assert_int_equal(tlsrpt_record_parse(buf_slice(&text), &arena, &record).code, ERR_SYNTAX);
	while (text.n <= DELIVERY_RECORD_MAX)
		buf_add_str(&text, ";x=y");
	assert_int_equal(tlsrpt_record_parse(buf_slice(&text), &arena, &record).code, ERR_LIMIT);
	arena_done(&arena);
	arena_init(&arena, 4);
	assert_int_equal(
	        tlsrpt_record_parse(SLICE("v=TLSRPTv1; rua=mailto:a@example.com"), &arena, &record)
	                .code,
	        ERR_LIMIT);
	arena_done(&arena);
	buf_done(&text);
}

static void each_domain_asks_for_reports_or_does_not(void **state)
{
	static const struct {
		const char *domain;
		enum tlsrpt_outcome outcome;
		const char *why;
	} cases[] = {
	        {"good.example", TLSRPT_FOUND, "a record at _smtp._tls.good.example (secure)"},
	        {"mixed.example", TLSRPT_FOUND, "(insecure)"},
	        {"two.example", TLSRPT_ABSENT, "2 records at"},
	        {"broken.example", TLSRPT_ABSENT, "malformed: the record has no rua"},
	        {"none.example", TLSRPT_ABSENT, "no record at"},
	        {"[192.0.2.1]", TLSRPT_ABSENT, "no record for such a domain"},
	        {"fails.example", TLSRPT_UNKNOWN, "SERVFAIL"},
	};
	struct dns_table table;
	struct arena arena;
	(void)state;
	dns_table_init(&table);
	dns_table_add_lines(
	        &table,
	        "_smtp._tls.good.example TXT \"v=TLSRPTv1; rua=mailto:a@good.example\" secure\n"
	        "_smtp._tls.mixed.example TXT \"v=TLSRPTv1; rua=\" \"mailto:a@x.example\"\n"
	        "_smtp._tls.mixed.example TXT \"v=TLSRPTv10; rua=mailto:b@x.example\"\n"
	        "_smtp._tls.two.example TXT \"v=TLSRPTv1; rua=mailto:a@x.example\"\n"
	        "_smtp._tls.two.example TXT \"v=TLSRPTv1; rua=mailto:b@x.example\"\n"
	        "_smtp._tls.broken.example TXT \"v=TLSRPTv1; x=y\"\n"
	        "_smtp._tls.fails.example TXT servfail\n");
	arena_init(&arena, 256 * KIB);
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		struct tlsrpt_lookup lookup;
		assert_true(is_ok(tlsrpt_lookup(&table.resolver, slice_str(cases[i].domain), 0,
		                                &arena, &lookup)));
		assert_int_equal(lookup.outcome, cases[i].outcome);
		assert_non_null(strstr(lookup.why, cases[i].why));
	}
	dns_table_done(&table);
	arena_done(&arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(records_say_where_reports_are_wanted),
	        cmocka_unit_test(long_records_are_bounded),
	        cmocka_unit_test(each_domain_asks_for_reports_or_does_not),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
