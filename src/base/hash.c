/* SipHash-2-4, after the paper of Aumasson and Bernstein (2012); reference vectors in the test. */
#include "base/hash.h"

struct sip {
	uint64_t v0, v1, v2, v3;
};

static uint64_t rotl(uint64_t x, unsigned bits)
{
	return x << bits | x >> (64 - bits);
}

static void sip_rounds(struct sip *s, int n)
{
	for (int i = 0; i < n; i++) {
		s->v0 += s->v1;
		s->v1 = rotl(s->v1, 13) ^ s->v0;
		s->v0 = rotl(s->v0, 32);
		s->v2 += s->v3;
		s->v3 = rotl(s->v3, 16) ^ s->v2;
		s->v0 += s->v3;
		s->v3 = rotl(s->v3, 21) ^ s->v0;
		s->v2 += s->v1;
		s->v1 = rotl(s->v1, 17) ^ s->v2;
		s->v2 = rotl(s->v2, 32);
	}
}

static void sip_word(struct sip *s, uint64_t word)
{
	s->v3 ^= word;
	sip_rounds(s, 2);
	s->v0 ^= word;
}

uint64_t hash_slice(struct hash_key key, struct slice in)
{
	struct sip s = {
	        key.k0 ^ 0x736f6d6570736575u,
	        key.k1 ^ 0x646f72616e646f6du,
	        key.k0 ^ 0x6c7967656e657261u,
	        key.k1 ^ 0x7465646279746573u,
	};
	size_t n_words = in.n / 8;
	for (size_t i = 0; i < n_words; i++) {
		uint64_t word = 0;
		for (unsigned j = 0; j < 8; j++)
			word |= (uint64_t)in.p[i * 8 + j] << (8 * j);
		sip_word(&s, word);
	}
	uint64_t last = (uint64_t)in.n << 56;
	for (unsigned j = 0; j < in.n % 8; j++)
		last |= (uint64_t)in.p[n_words * 8 + j] << (8 * j);
	sip_word(&s, last);
	s.v2 ^= 0xff;
	sip_rounds(&s, 4);
	return s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
}
