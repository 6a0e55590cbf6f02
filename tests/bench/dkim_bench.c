/* Speed of DKIM: `dkim_bench` prints one line a case, in CPU time a message. Not a test: figures
 * are for people and go into commit messages.
 *
 * Each case stands beside what libcrypto alone takes for it: the SHA-256 of as many octets of
 * header and body, and one operation with the key. A verifier gets a key that it has not seen
 * before, so there are two figures: with a key that was used before, and with one whose numbers
 * must be imported first. The DNS is a table.
 */
#include "mailauth/dkim_crypto.h"
#include "mailauth/dkim_crypto_private.h"
#include "mailauth/dkim_testing.h"

#include <openssl/rsa.h>

#define BATCH_SECONDS 0.01
#define N_ROUNDS      50

static double cpu_s(void)
{
	struct timespec t;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

struct bench {
	struct testing_key key;
	struct dkim_key public_half;
	struct dkim_public_key *public_key;
	struct dns_table table;
	struct buf message, signed_message;
	struct arena arena, dns_arena, verifier_arena;
	struct dkim_sign_options options;
	struct dkim_body *body;
};

typedef void bench_fn(struct bench *b);

static double batch_s(bench_fn *fn, struct bench *b, size_t n)
{
	double start = cpu_s();
	for (size_t i = 0; i < n; i++)
		fn(b);
	return cpu_s() - start;
}

/* Microseconds a call of each, in the best of many batches that take turns: others may use the
 * machine, too. */
static void measure(bench_fn *const *fns, size_t n_fns, struct bench *b, double *ret_us)
{
	size_t sizes[8];
	ASSERT(n_fns <= N_ELEMENTS(sizes));
	for (size_t i = 0; i < n_fns; i++) {
		sizes[i] = 1;
		while (batch_s(fns[i], b, sizes[i]) < BATCH_SECONDS)
			sizes[i] *= 2;
		ret_us[i] = 1e9;
	}
	for (size_t round = 0; round < N_ROUNDS; round++)
		for (size_t i = 0; i < n_fns; i++) {
			double us = batch_s(fns[i], b, sizes[i]) / (double)sizes[i] * 1e6;
			ret_us[i] = MIN(ret_us[i], us);
		}
}

/* --- libcrypto alone --- */

static void hash_bare(struct bench *b)
{
	uint8_t digest[DKIM_HASH_SIZE];
	struct slice all = buf_slice(&b->message), header = testing_header(all);
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	EVP_DigestInit_ex(context, EVP_sha256(), NULL);
	EVP_DigestUpdate(context, testing_body(all).p, testing_body(all).n);
	EVP_DigestFinal_ex(context, digest, NULL);
	EVP_DigestInit_ex(context, EVP_sha256(), NULL);
	EVP_DigestUpdate(context, header.p, header.n);
	EVP_DigestFinal_ex(context, digest, NULL);
	EVP_MD_CTX_free(context);
}

static void verify_bare(struct bench *b)
{
	uint8_t digest[DKIM_HASH_SIZE] = {0}, signature[256] = {1};
	size_t n = b->public_half.type == DKIM_KEY_RSA ? 256 : 64;
	(void)dkim_public_key_verify(b->public_key, digest, slice_of(signature, n));
}

static void sign_bare(struct bench *b)
{
	uint8_t digest[DKIM_HASH_SIZE] = {0}, signature[DKIM_SIGNATURE_SIZE_MAX];
	size_t n;
	(void)b->key.signer.sign(b->key.signer.context, digest, signature, sizeof(signature), &n);
}

static void verify_fresh(struct bench *b)
{
	struct dkim_public_key *used = b->public_key;
	if (!is_ok(dkim_public_key_new(&b->public_half, &b->public_key)))
		BUG("no key");
	verify_bare(b);
	dkim_public_key_free(b->public_key);
	b->public_key = used;
}

/* --- ours --- */

static void verify(struct bench *b)
{
	struct dkim_options options = {.now_s = TESTING_NOW_S};
	struct slice message = buf_slice(&b->signed_message);
	struct slice header = testing_header(message), body = slice_from(message, header.n);
	struct dkim_verifier *v;
	struct mailauth_dns dns;
	arena_reset(&b->verifier_arena);
	arena_reset(&b->dns_arena);
	testing_dns(&dns, &b->table.resolver, &b->dns_arena);
	if (!is_ok(dkim_verifier_new(header, &options, &b->verifier_arena, &v)))
		BUG("no verifier");
	dkim_verifier_fetch_key(v, 0, &dns);
	for (size_t at = 0; at < body.n; at += 16384)
		dkim_verifier_feed(v, slice_sub(body, at, 16384));
	dkim_verifier_finish(v);
	if (dkim_verifier_results(v).v[0].result != MAILAUTH_PASS)
		BUG("does not verify");
	dkim_verifier_free(v);
}

static void sign(struct bench *b)
{
	struct slice message = buf_slice(&b->message);
	struct slice header = testing_header(message), rest = slice_from(message, header.n);
	struct dkim_body *body = dkim_body_new(dkim_sign_wants(&b->options, 1));
	struct buf out;
	buf_init(&out, MIB);
	for (size_t at = 0; at < rest.n; at += 16384)
		dkim_body_feed(body, slice_sub(rest, at, 16384));
	dkim_body_finish(body);
	if (!is_ok(dkim_sign(header, body, &b->options, 1, &out)))
		BUG("does not sign");
	dkim_body_free(body);
	buf_done(&out);
}

/* --- cases --- */

static void fill(struct buf *out, size_t size, const char *line)
{
	buf_reset(out);
	buf_add_str(out, "Return-Path: <ada@example.com>\r\n"
	                 "Received: from client.example.com (client.example.com [192.0.2.1])\r\n"
	                 "\tby mail.example.com with ESMTPSA id abcdef;\r\n"
	                 "\tTue, 14 Nov 2023 22:13:20 +0000\r\n"
	                 "From: Ada Lovelace <ada@example.com>\r\n"
	                 "To: Charles Babbage <charles@example.org>\r\n"
	                 "Subject: Notes on the engine, and how it may weave algebraical patterns\r\n"
	                 "Date: Tue, 14 Nov 2023 22:13:20 +0000\r\n"
	                 "Message-ID: <1234567890.abcdef@mail.example.com>\r\n"
	                 "MIME-Version: 1.0\r\n"
	                 "Content-Type: text/plain; charset=utf-8\r\n"
	                 "Content-Transfer-Encoding: 8bit\r\n\r\n");
	while (out->n < size)
		buf_add_str(out, line);
}

static void bench_init(struct bench *b, enum dkim_key_type type)
{
	testing_key_init(&b->key, type);
	arena_init(&b->arena, MIB);
	arena_init(&b->dns_arena, MIB);
	arena_init(&b->verifier_arena, 8 * MIB);
	if (!is_ok(dkim_private_key_public(b->key.key, &b->arena, &b->public_half)) ||
	    !is_ok(dkim_public_key_new(&b->public_half, &b->public_key)))
		BUG("no key");
	dns_table_init(&b->table);
	testing_tell(&b->table, "s._domainkey.example.com", buf_cstr(&b->key.record));
	buf_init(&b->message, 8 * MIB);
	buf_init(&b->signed_message, 8 * MIB);
}

static void bench_done(struct bench *b)
{
	testing_key_done(&b->key);
	dkim_public_key_free(b->public_key);
	dns_table_done(&b->table);
	buf_done(&b->message);
	buf_done(&b->signed_message);
	arena_done(&b->arena);
	arena_done(&b->dns_arena);
	arena_done(&b->verifier_arena);
}

static void run(struct bench *b, const char *name, enum dkim_canon canon, size_t size,
                const char *line)
{
	fill(&b->message, size, line);
	b->options = (struct dkim_sign_options){.domain = SLICE("example.com"),
	                                        .selector = SLICE("s"),
	                                        .key = &b->key.signer,
	                                        .header_canon = canon,
	                                        .body_canon = canon,
	                                        .now_s = TESTING_NOW_S};
	buf_reset(&b->signed_message);
	testing_sign(buf_slice(&b->message), &b->options, 1, &b->signed_message);
	static bench_fn *const fns[] = {hash_bare, verify_bare, verify_fresh, sign_bare, verify, sign};
	double us[N_ELEMENTS(fns)];
	measure(fns, N_ELEMENTS(fns), b, us);
	double used = us[0] + us[1], fresh = us[0] + us[2], bare_sign = us[0] + us[3];
	double our_verify = us[4], our_sign = us[5];
	printf("%-35s verify %7.1f us, %.2f of %7.1f (%.2f of %7.1f with a used key); "
	       "sign %7.1f us, %.2f of %7.1f\n",
	       name, our_verify, our_verify / fresh, fresh, our_verify / used, used, our_sign,
	       our_sign / bare_sign, bare_sign);
}

#define TEXT  "Some line of text as people write them, sixty characters long.\r\n"
#define CODE  "\t\tif (x  ==  y)\t/* indented, with a comment */  \r\n"
#define SHORT "a b\r\n"

int main(void)
{
	struct bench b;
	for (size_t type = 0; type < 2; type++) {
		const char *names[] = {"rsa-2048", "ed25519"};
		static const struct {
			const char *name;
			enum dkim_canon canon;
			size_t size;
			const char *line;
		} cases[] = {
		        {"10 KB, relaxed", DKIM_RELAXED, 10000, TEXT},
		        {"10 KB, simple", DKIM_SIMPLE, 10000, TEXT},
		        {"1 MB, relaxed", DKIM_RELAXED, 1000000, TEXT},
		        {"1 MB, simple", DKIM_SIMPLE, 1000000, TEXT},
		        {"1 MB, relaxed, many blanks", DKIM_RELAXED, 1000000, CODE},
		        {"1 MB, relaxed, short lines", DKIM_RELAXED, 1000000, SHORT},
		};
		bench_init(&b, (enum dkim_key_type)type);
		for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
			char name[64];
			snprintf(name, sizeof(name), "%s, %s", names[type], cases[i].name);
			run(&b, name, cases[i].canon, cases[i].size, cases[i].line);
		}
		bench_done(&b);
	}
	return 0;
}
