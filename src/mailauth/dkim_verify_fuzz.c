/* Whole messages against the keys of the RFCs' examples, DKIM and ARC: every field gets a result,
 * the results are the same however the body comes, and what passed does not pass with a longer
 * body. The first byte chooses the size of the pieces. */
#include "mailauth/arc.h"
#include "mailauth/dkim_testing.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

#define NOW_S 1528637999 /* of RFC 8463's example */

static const char facts[] =
        "brisbane._domainkey.football.example.com TXT \"v=DKIM1; k=ed25519; "
        "p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\"\n"
        "test._domainkey.football.example.com TXT \"v=DKIM1; k=rsa; "
        "p=MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDkHlOQoBTzWRiGs5V6NpP3idY6Wk08a5qhdR6wy5bdOKb2jLQ"
        "iY/J16JYi0Qvx/byYzCNb3W91y3FutACDfzwQ/BC/e/8uBsCR+yz1Lxj+PL6lHvqMKrM3rG4hstT5QjvHO9PzoxZy"
        "VYLzBfO2EeC3Ip3G+2kryOTIKT+l/K4w3QIDAQAB\"\n"
        "s._domainkey.football.example.com TXT \"k=ed25519; t=s:y; "
        "p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\"\n"
        "brisbane._domainkey.example.com TXT \"v=DKIM1; "
        "p=MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDwIRP/UC3SBsEmGqZ9ZJW3/DkMoGeLnQg1fWn7/zYtIxN2SnF"
        "CjxOCKG9v3b4jYfcTNh5ijSsq631uBItLa7od+v/RtdC2UzJ1lWT947qR+Rcac2gbto/NMqJ0fzfVjH4OuKhitdY9"
        "tf6mcwGjaNBcWToIMmPSPDdQPNUYckcQ2QIDAQAB\"\n";

static void print_dkim(struct dkim_results results, struct slice header, struct buf *out)
{
	ASSERT(results.n <= results.n_found && results.n <= DKIM_LISTED_MAX);
	for (size_t i = 0; i < results.n; i++) {
		const struct dkim_result *r = &results.v[i];
		ASSERT(r->result != MAILAUTH_NONE && (*r->why || r->result == MAILAUTH_PASS));
		ASSERT(r->result != MAILAUTH_PASS || (r->signature && r->all_from_signed));
		ASSERT(!slice_has_control(slice_str(r->identity)));
		ASSERT(r->b_prefix.n <= header.n && !slice_has_control(r->b_prefix));
		buf_printf(out, "%s %s\n", mailauth_result_name(r->result), r->why);
	}
}

static void print_arc(const struct arc_result *result, struct buf *out)
{
	ASSERT(result->n_sets <= ARC_SETS_MAX);
	for (size_t i = 0; i < result->n_sets; i++) {
		const struct arc_set *set = &result->sets[i];
		ASSERT(set->instance == i + 1 && set->seal && set->message);
		if (result->result == MAILAUTH_PASS)
			ASSERT(set->seal_result == MAILAUTH_PASS);
	}
	buf_printf(out, "%s %s\n", mailauth_result_name(result->result), result->why);
}

/* more: bytes behind the body. */
static void verify(const struct dns_resolver *resolver, struct slice message, size_t step,
                   struct slice more, struct buf *out)
{
	struct dkim_options options = {.now_s = NOW_S};
	struct slice header = testing_header(message), body = testing_body(message);
	struct dkim_verifier *v;
	struct arc_chain *chain;
	struct arc_result result;
	struct mailauth_dns dns;
	struct arena arena;
	arena_init(&arena, 2 * DKIM_VERIFIER_ARENA);
	testing_dns(&dns, resolver, &arena);
	ASSERT(is_ok(dkim_verifier_new(header, &options, &arena, &v)));
	ASSERT(is_ok(arc_chain_new(v, &chain)));
	ASSERT(dkim_verifier_n_keys(v) <= DKIM_KEYS_MAX);
	for (size_t i = 0; i < dkim_verifier_n_keys(v); i++)
		dkim_verifier_fetch_key(v, i, &dns);
	for (size_t at = 0; at < body.n; at += step)
		dkim_verifier_feed(v, slice_sub(body, at, step));
	dkim_verifier_feed(v, more);
	dkim_verifier_finish(v);
	arc_chain_finish(chain, &result);
	print_dkim(dkim_verifier_results(v), header, out);
	print_arc(&result, out);
	dkim_verifier_free(v);
	arena_done(&arena);
}

static bool has_pass(const struct buf *out)
{
	return slice_starts(buf_slice(out), SLICE("pass")) ||
	       slice_find(buf_slice(out), SLICE("\npass")) != SIZE_MAX;
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct dns_table table;
	struct buf whole, pieces, longer;
	if (n == 0)
		return 0;
	struct slice message = slice_of(p + 1, n - 1);
	dns_table_init(&table);
	dns_table_add_lines(&table, facts);
	buf_init(&whole, 4 * MIB);
	buf_init(&pieces, 4 * MIB);
	buf_init(&longer, 4 * MIB);
	verify(&table.resolver, message, n, slice_empty(), &whole);
	verify(&table.resolver, message, p[0] % 64 + (size_t)1, slice_empty(), &pieces);
	ASSERT(slice_eq(buf_slice(&whole), buf_slice(&pieces)));
	if (has_pass(&whole)) {
		verify(&table.resolver, message, n, SLICE("x"), &longer);
		ASSERT(!has_pass(&longer));
	}
	buf_done(&whole);
	buf_done(&pieces);
	buf_done(&longer);
	dns_table_done(&table);
	return 0;
}
