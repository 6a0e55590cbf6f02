/* Whatever a client says: no crash, the limits hold, an exchange ends, and nobody is let in who
 * does not know the password.
 *
 * Input: a byte for the mechanism, a byte of flags, then responses that are separated by 0x00 0xff
 * (so that PLAIN's NUL can occur). In a response 0x00 0xfe stands for the nonce of the challenge.
 */
#include "sasl/testing.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct sasl_binding bindings[] = {
        {.type = "tls-exporter", .value = "exporter value", .n = 14},
};

static void fill_nonce(struct slice text, struct slice challenge, struct buf *out)
{
	struct slice nonce, rest;
	slice_cut(challenge, ',', &nonce, &rest);
	for (size_t at; (at = slice_find(text, SLICE("\x00\xfe"))) != SIZE_MAX;) {
		buf_add(out, slice_sub(text, 0, at));
		buf_add(out, slice_from(nonce, 2));
		text = slice_from(text, at + 2);
	}
	buf_add(out, text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct sasl_test_backend backend;
	struct sasl_server server;
	if (size < 2)
		return 0;
	sasl_test_backend_init(&backend);
	backend.iterations = 1;
	const struct sasl_server_options options = {
	        .mechanism = (enum sasl_mechanism)(data[0] % SASL_MECHANISM_COUNT),
	        .backend = &backend.backend,
	        .bindings = bindings,
	        .n_bindings = data[1] & 1,
	        .plus_announced = (data[1] & 1) != 0,
	        .host_name = "localhost",
	};
	struct slice rest = slice_of(data + 2, size - 2), challenge = slice_empty();
	bool knew = false;
	enum sasl_step step = SASL_CHALLENGE;
	struct status status = ok();
	sasl_server_init(&server, &options);
	if (data[1] & 2)
		status = sasl_server_step(&server, NULL, &step, &challenge);
	for (int i = 0; i < 6 && is_ok(status) && step == SASL_CHALLENGE; i++) {
		size_t at = slice_find(rest, SLICE("\x00\xff"));
		struct slice text = slice_sub(rest, 0, at);
		struct buf response;
		buf_init(&response, SASL_RESPONSE_MAX * 2);
		fill_nonce(text, challenge, &response);
		struct slice bytes = buf_slice(&response);
		knew |= slice_find(bytes, SLICE("pencil")) != SIZE_MAX;
		status = sasl_server_step(&server, &bytes, &step, &challenge);
		buf_done(&response);
		rest = at == SIZE_MAX ? slice_empty() : slice_from(rest, at + 2);
	}
	if (is_ok(status) && step == SASL_DONE && options.mechanism != SASL_EXTERNAL && !knew)
		BUG("let somebody in without the password");
	if (is_ok(status) && step == SASL_CHALLENGE)
		BUG("an exchange does not end");
	sasl_server_done(&server);
	return 0;
}
