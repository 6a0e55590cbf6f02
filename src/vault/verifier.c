/* Text form of a verifier, one line for each mechanism, fields separated by single blanks:
 *
 *	argon2id KIB PASSES SALT HASH
 *	scram-sha-1 ITERATIONS SALT STOREDKEY SERVERKEY
 *	scram-sha-256 ITERATIONS SALT STOREDKEY SERVERKEY
 *	cram-md5 INNER OUTER            (may be absent)
 *
 * Numbers are decimal, the rest hexadecimal.
 */
#include "vault/verifier.h"

#include "base/cursor.h"
#include "base/encode.h"

#include <openssl/crypto.h>
#include <openssl/md5.h>
#include <openssl/rand.h>

/* MD5 states cannot be kept and resumed with the functions that are not deprecated. */
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"

#define ARGON2_KIB_MAX    ((uint32_t)4 * 1024 * 1024)
#define ARGON2_PASSES_MAX 1000U
#define HMAC_BLOCK        ((size_t)64)

/* --- text --- */

static void print_bytes(struct buf *out, const uint8_t *p, size_t n)
{
	buf_add_byte(out, ' ');
	hex_encode(slice_of(p, n), out);
}

static void print_scram(struct buf *out, const char *name, enum sasl_hash hash,
                        const struct verifier_scram *scram)
{
	buf_printf(out, "%s %" PRIu32, name, scram->iterations);
	print_bytes(out, scram->salt, sizeof(scram->salt));
	print_bytes(out, scram->keys.stored, sasl_hash_size(hash));
	print_bytes(out, scram->keys.server, sasl_hash_size(hash));
	buf_add_byte(out, '\n');
}

void verifier_print(const struct verifier *verifier, struct buf *out)
{
	const struct verifier_argon2 *argon2 = &verifier->argon2;
	buf_printf(out, "argon2id %" PRIu32 " %" PRIu32, argon2->kib, argon2->passes);
	print_bytes(out, argon2->salt, sizeof(argon2->salt));
	print_bytes(out, argon2->hash, sizeof(argon2->hash));
	buf_add_byte(out, '\n');
	print_scram(out, "scram-sha-1", SASL_SHA1, &verifier->scram_sha1);
	print_scram(out, "scram-sha-256", SASL_SHA256, &verifier->scram_sha256);
	if (!verifier->cram.present)
		return;
	buf_add_str(out, "cram-md5");
	print_bytes(out, verifier->cram.inner, sizeof(verifier->cram.inner));
	print_bytes(out, verifier->cram.outer, sizeof(verifier->cram.outer));
	buf_add_byte(out, '\n');
}

static bool is_lower_hex(uint8_t c)
{
	return ascii_is_digit(c) || (c >= 'a' && c <= 'f');
}

static void parse_bytes(struct cursor *c, uint8_t *to, size_t n)
{
	cursor_expect(c, ' ', "field is missing");
	struct slice digits = cursor_while(c, is_lower_hex);
	if (digits.n != 2 * n)
		cursor_fail(c, "field has the wrong size");
	for (size_t i = 0; cursor_ok(c) && i < n; i++)
		to[i] = (uint8_t)(ascii_hex_value(digits.p[2 * i]) << 4 |
		                  ascii_hex_value(digits.p[2 * i + 1]));
}

static void parse_name(struct cursor *c, const char *name)
{
	if (!slice_eq_str(cursor_take(c, strlen(name)), name))
		cursor_fail(c, "line is missing");
}

static uint32_t parse_number(struct cursor *c, uint32_t max)
{
	cursor_expect(c, ' ', "field is missing");
	uint32_t value = cursor_u32(c, max, "number is out of range");
	if (value == 0)
		cursor_fail(c, "number is out of range");
	return value;
}

static void parse_scram(struct cursor *c, const char *name, enum sasl_hash hash,
                        struct verifier_scram *scram)
{
	parse_name(c, name);
	scram->iterations = parse_number(c, SASL_ITERATIONS_MAX);
	parse_bytes(c, scram->salt, sizeof(scram->salt));
	parse_bytes(c, scram->keys.stored, sasl_hash_size(hash));
	parse_bytes(c, scram->keys.server, sasl_hash_size(hash));
	cursor_expect(c, '\n', "line has trailing bytes");
}

struct status verifier_parse(struct slice text, struct verifier *ret_verifier)
{
	struct cursor c = cursor_of(text);
	struct verifier v = {.cram = {.present = false}};
	parse_name(&c, "argon2id");
	v.argon2.kib = parse_number(&c, ARGON2_KIB_MAX);
	v.argon2.passes = parse_number(&c, ARGON2_PASSES_MAX);
	parse_bytes(&c, v.argon2.salt, sizeof(v.argon2.salt));
	parse_bytes(&c, v.argon2.hash, sizeof(v.argon2.hash));
	cursor_expect(&c, '\n', "line has trailing bytes");
	parse_scram(&c, "scram-sha-1", SASL_SHA1, &v.scram_sha1);
	parse_scram(&c, "scram-sha-256", SASL_SHA256, &v.scram_sha256);
	if (!cursor_at_end(&c)) {
		parse_name(&c, "cram-md5");
		v.cram.present = true;
		parse_bytes(&c, v.cram.inner, sizeof(v.cram.inner));
		parse_bytes(&c, v.cram.outer, sizeof(v.cram.outer));
		cursor_expect(&c, '\n', "line has trailing bytes");
	}
	cursor_expect_end(&c, "verifier has trailing bytes");
	if (cursor_ok(&c))
		*ret_verifier = v;
	OPENSSL_cleanse(&v, sizeof(v));
	return cursor_ok(&c) ? ok() : fail(ERR_CORRUPT, c.why);
}

/* --- SCRAM --- */

struct status verifier_scram_make(enum sasl_hash hash, struct slice password, uint32_t iterations,
                                  struct verifier_scram *ret_scram)
{
	struct verifier_scram scram = {.iterations = iterations};
	if (RAND_bytes(scram.salt, sizeof(scram.salt)) != 1)
		return fail(ERR_IO, "no randomness");
	TRY(sasl_scram_derive(hash, password, slice_of(scram.salt, sizeof(scram.salt)), iterations,
	                      &scram.keys));
	*ret_scram = scram;
	return ok();
}

/* --- CRAM-MD5 (RFC 2104 section 4: the state after the block of key and pad) --- */

static void put_state(uint8_t *to, const MD5_CTX *md5)
{
	const MD5_LONG words[4] = {md5->A, md5->B, md5->C, md5->D};
	for (size_t i = 0; i < 16; i++)
		to[i] = (uint8_t)(words[i / 4] >> (8 * (i % 4)));
}

static MD5_LONG get_word(const uint8_t *p)
{
	return (MD5_LONG)p[0] | (MD5_LONG)p[1] << 8 | (MD5_LONG)p[2] << 16 | (MD5_LONG)p[3] << 24;
}

/* A context that has seen one block. */
static void get_state(MD5_CTX *md5, const uint8_t *from)
{
	MD5_Init(md5);
	md5->A = get_word(from);
	md5->B = get_word(from + 4);
	md5->C = get_word(from + 8);
	md5->D = get_word(from + 12);
	md5->Nl = HMAC_BLOCK * 8;
}

static void pad_state(const uint8_t *key, uint8_t pad, uint8_t *to)
{
	MD5_CTX md5;
	uint8_t block[HMAC_BLOCK];
	for (size_t i = 0; i < HMAC_BLOCK; i++)
		block[i] = key[i] ^ pad;
	MD5_Init(&md5);
	MD5_Update(&md5, block, sizeof(block));
	put_state(to, &md5);
	OPENSSL_cleanse(block, sizeof(block));
	OPENSSL_cleanse(&md5, sizeof(md5));
}

void verifier_cram_make(struct slice password, struct verifier_cram *ret_cram)
{
	uint8_t key[HMAC_BLOCK] = {0};
	if (password.n <= sizeof(key))
		memcpy(key, password.p, password.n);
	else
		MD5(password.p, password.n, key);
	*ret_cram = (struct verifier_cram){.present = true};
	pad_state(key, 0x36, ret_cram->inner);
	pad_state(key, 0x5c, ret_cram->outer);
	OPENSSL_cleanse(key, sizeof(key));
}

void verifier_cram_digest(const struct verifier_cram *cram, struct slice challenge,
                          uint8_t ret_digest[16])
{
	MD5_CTX md5;
	uint8_t inner[16];
	get_state(&md5, cram->inner);
	MD5_Update(&md5, challenge.p, challenge.n);
	MD5_Final(inner, &md5);
	get_state(&md5, cram->outer);
	MD5_Update(&md5, inner, sizeof(inner));
	MD5_Final(ret_digest, &md5);
}
