/* Whatever a server says: no crash, the limits hold, an exchange ends, and a SCRAM server that does
 * not know the password is never believed.
 *
 * Input: a byte for the mechanism, a byte of flags, then challenges that are separated by 0x00
 * 0xff. In a challenge 0x00 0xfe stands for our nonce.
 */
#include "sasl/client.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct sasl_binding bindings[] = {
        {.type = "tls-exporter", .value = "exporter value", .n = 14},
};

/* The nonce of a SCRAM server may have grown; the fuzzer gets the one that is known by now. */
static void fill_nonce(struct slice text, struct slice nonce, struct buf *out)
{
	for (size_t at; (at = slice_find(text, SLICE("\x00\xfe"))) != SIZE_MAX;) {
		buf_add(out, slice_sub(text, 0, at));
		buf_add(out, nonce);
		text = slice_from(text, at + 2);
	}
	buf_add(out, text);
}

static struct status run(struct sasl_client *c, struct slice rest)
{
	struct slice response;
	struct status status = ok();
	if (sasl_client_speaks_first(c->mechanism))
		status = sasl_client_step(c, NULL, &response);
	for (unsigned i = 0; is_ok(status) && rest.n > 0; i++) {
		size_t at = slice_find(rest, SLICE("\x00\xff"));
		struct buf challenge;
		buf_init(&challenge, SASL_CLIENT_CHALLENGE_MAX * 2);
		fill_nonce(slice_sub(rest, 0, at), buf_slice(&c->nonce), &challenge);
		struct slice bytes = buf_slice(&challenge);
		status = sasl_client_step(c, &bytes, &response);
		buf_done(&challenge);
		if (is_ok(status) && i > SASL_CLIENT_STEPS_MAX)
			BUG("an exchange does not end");
		rest = at == SIZE_MAX ? slice_empty() : slice_from(rest, at + 2);
	}
	return is_ok(status) ? sasl_client_finish(c) : status;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct sasl_client client;
	if (size < 2)
		return 0;
	const struct sasl_client_options options = {
	        .user = SLICE("user"),
	        /* nobody guesses it: who is believed must have cheated */
	        .password = SLICE("correct horse battery staple 8215"),
	        .channel_verified = (data[1] & 2) != 0,
	        .bindings = bindings,
	        .n_bindings = data[1] & 1,
	        .test_nonce = SLICE("fyko+d2lbbFgONRv9qkxdawL"),
	};
	enum sasl_mechanism mechanism = (enum sasl_mechanism)(data[0] % SASL_MECHANISM_COUNT);
	struct sasl_mechanisms announced = {.bits = data[1]};
	sasl_client_init(&client, &options, mechanism, announced);
	struct status status = run(&client, slice_of(data + 2, size - 2));
	bool scram = mechanism >= SASL_SCRAM_SHA_1 && mechanism <= SASL_SCRAM_SHA_256_PLUS;
	if (is_ok(status) && scram)
		BUG("believed a server that does not know the password");
	sasl_client_done(&client);
	return 0;
}
