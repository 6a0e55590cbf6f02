/* What a TLS server signs, and nothing else.
 *
 * TLS 1.3 (RFC 8446 section 4.4.3): 64 spaces, the context string, a zero byte, the transcript
 * hash. TLS 1.2 (RFC 5246 section 7.4.3, RFC 8422 section 5.4): client random, server random, curve
 * type named_curve, the group's number, the length of the public point and the point.
 */
#include "tls/signer.h"

#define SPACES      ((size_t)64)
#define RANDOMS     ((size_t)64)
#define NAMED_CURVE 3

static const char context_13[] = "TLS 1.3, server CertificateVerify";

bool tls_sign_scheme_is_known(uint32_t value)
{
	switch (value) {
#define X(name, number, digest) case number:
		TLS_SIGN_SCHEME_LIST(X)
#undef X
		return true;
	default: /* a foreign number, not our enum */
		return false;
	}
}

bool tls_sign_scheme_is_slow(uint32_t value)
{
	return value != TLS_SIGN_ECDSA_SHA256 && value != TLS_SIGN_ED25519;
}

static bool is_certificate_verify(struct slice input)
{
	struct slice head = slice_sub(input, 0, SPACES);
	for (size_t i = 0; i < head.n; i++)
		if (head.p[i] != ' ')
			return false;
	/* The string's own NUL is the separator. */
	struct slice rest = slice_from(input, SPACES);
	struct slice context = slice_of(context_13, sizeof(context_13));
	if (head.n != SPACES || !slice_starts(rest, context))
		return false;
	size_t n_hash = rest.n - context.n;
	return n_hash == 32 || n_hash == 48;
}

static bool is_server_key_exchange(struct slice input)
{
	struct slice params = slice_from(input, RANDOMS);
	if (params.n < 5 || params.p[0] != NAMED_CURVE)
		return false;
	size_t n_point = params.p[3];
	return n_point >= 32 && params.n == 4 + n_point;
}

bool tls_signable(struct slice input)
{
	return input.n <= TLS_SIGN_INPUT_MAX &&
	       (is_certificate_verify(input) || is_server_key_exchange(input));
}
