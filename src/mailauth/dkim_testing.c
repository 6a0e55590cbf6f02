/* Helpers of tests. */
#include "mailauth/dkim_testing.h"

static int64_t now_us(const struct clock *clock)
{
	(void)clock;
	return (int64_t)TESTING_NOW_S * 1000000;
}

static int64_t monotonic_ms(const struct clock *clock)
{
	(void)clock;
	return 1000;
}

static const struct clock test_clock = {now_us, monotonic_ms};

void testing_dns(struct mailauth_dns *dns, const struct dns_resolver *resolver, struct arena *arena)
{
	mailauth_dns_init(dns, resolver, &test_clock, 1000, arena);
}

static size_t header_size(struct slice message)
{
	size_t at = slice_find(message, SLICE("\r\n\r\n"));
	if (slice_starts(message, SLICE("\r\n")))
		return 2;
	return at == SIZE_MAX ? message.n : at + 4;
}

struct slice testing_header(struct slice message)
{
	return slice_sub(message, 0, header_size(message));
}

struct slice testing_body(struct slice message)
{
	return slice_from(message, header_size(message));
}

static void print_results(struct dkim_results results, struct buf *out)
{
	for (size_t i = 0; i < results.n; i++) {
		const struct dkim_result *r = &results.v[i];
		if (r->signature)
			buf_printf(out, "%s ", r->signature->domain);
		buf_printf(out, "%s%s%s%s\n", mailauth_result_name(r->result), *r->why ? ": " : "",
		           r->why, r->testing ? " (testing)" : "");
	}
}

void testing_verify(struct slice message, const struct dns_resolver *resolver,
                    struct dkim_options options, size_t step, struct buf *out)
{
	struct arena arena;
	struct dkim_verifier *v;
	struct mailauth_dns dns;
	struct slice body = testing_body(message);
	arena_init(&arena, DKIM_VERIFIER_ARENA + MAILAUTH_DNS_ARENA);
	testing_dns(&dns, resolver, &arena);
	if (options.now_s == 0)
		options.now_s = TESTING_NOW_S;
	if (!is_ok(dkim_verifier_new(testing_header(message), &options, &arena, &v)))
		BUG("the message cannot be verified");
	for (size_t i = 0; i < dkim_verifier_n_keys(v); i++)
		dkim_verifier_fetch_key(v, i, &dns);
	for (size_t at = 0; at < body.n; at += step ? step : body.n)
		dkim_verifier_feed(v, slice_sub(body, at, step ? step : body.n));
	dkim_verifier_finish(v);
	print_results(dkim_verifier_results(v), out);
	dkim_verifier_free(v);
	arena_done(&arena);
}

void testing_key_init(struct testing_key *key, enum dkim_key_type type)
{
	struct arena arena;
	struct dkim_key public_half;
	buf_init(&key->record, DKIM_KEY_RECORD_MAX);
	arena_init(&arena, 64 * KIB);
	if (!is_ok(dkim_private_key_generate(type, type == DKIM_KEY_RSA ? 2048 : 0, &key->key)) ||
	    !is_ok(dkim_private_key_public(key->key, &arena, &public_half)) ||
	    !is_ok(dkim_key_print(&public_half, &key->record)))
		BUG("a key cannot be made");
	key->signer = dkim_private_key_signer(key->key);
	arena_done(&arena);
}

void testing_key_done(struct testing_key *key)
{
	dkim_private_key_free(key->key);
	buf_done(&key->record);
}

void testing_tell(struct dns_table *table, const char *name, const char *record)
{
	struct buf fact;
	buf_init(&fact, 4 * DKIM_KEY_RECORD_MAX);
	buf_printf(&fact, "%s TXT \"%s\"", name, record);
	dns_table_add(table, buf_cstr(&fact));
	buf_done(&fact);
}

void testing_sign(struct slice message, const struct dkim_sign_options *signatures, size_t n,
                  struct buf *out)
{
	struct dkim_body *body = dkim_body_new(dkim_sign_wants(signatures, n));
	dkim_body_feed(body, testing_body(message));
	dkim_body_finish(body);
	struct status status = dkim_sign(testing_header(message), body, signatures, n, out);
	if (!is_ok(status))
		BUG(status.why);
	buf_add(out, message);
	dkim_body_free(body);
}
