/* Any record: sizes agree, and what is read, written and read again is the same key. */
#include "mailauth/dkim_key.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static void check(const struct dkim_key *key)
{
	ASSERT(key->notes.n <= DKIM_KEY_NOTES_MAX);
	if (key->revoked)
		return;
	ASSERT(key->bits > 0);
	if (key->type == DKIM_KEY_ED25519)
		ASSERT(key->ed25519.n == DKIM_ED25519_KEY_SIZE);
	else
		ASSERT(key->modulus.p[0] != 0 && (key->bits + 7) / 8 == key->modulus.n &&
		       key->exponent.n <= (DKIM_RSA_EXPONENT_BITS + 7) / 8);
}

static void round_trip(struct dkim_key key, struct arena *arena)
{
	struct dkim_key again;
	struct buf out;
	buf_init(&out, MIB);
	key.sha256 = key.email = true;
	ASSERT(is_ok(dkim_key_print(&key, &out)));
	if (out.n <= DKIM_KEY_RECORD_MAX) {
		ASSERT(is_ok(dkim_key_parse(buf_slice(&out), arena, &again)));
		ASSERT(key.type == again.type && key.revoked == again.revoked);
		ASSERT(slice_eq(key.modulus, again.modulus) && key.bits == again.bits);
		ASSERT(slice_eq(key.exponent, again.exponent));
		ASSERT(slice_eq(key.ed25519, again.ed25519));
		ASSERT(key.testing == again.testing);
		ASSERT(key.strict_identity == again.strict_identity);
	}
	buf_done(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct dkim_key key;
	struct arena arena;
	arena_init(&arena, MIB);
	if (is_ok(dkim_key_parse(slice_of(p, n), &arena, &key))) {
		check(&key);
		round_trip(key, &arena);
	}
	arena_done(&arena);
	return 0;
}
