/* Sessions before login: the same answers at any split, whole lines only, and nobody gets in
 * without the password. */
#include "base/stream_mem.h"
#include "imap/prelogin.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int64_t no_time(const struct clock *clock)
{
	(void)clock;
	return 0;
}

static const struct clock still_clock = {no_time, no_time};

struct credentials {
	bool proved;
};

static struct status login(void *context, struct slice user, struct slice password)
{
	struct credentials *c = context;
	c->proved = slice_eq_str(user, "u") && slice_eq_str(password, "p");
	return c->proved ? ok() : fail(ERR_AUTH, "wrong");
}

static struct status step(void *context, struct slice response, struct buf *challenge,
                          bool *ret_done)
{
	struct credentials *c = context;
	if (response.n == 0) {
		buf_add_str(challenge, "more");
		return ok();
	}
	*ret_done = true;
	c->proved = slice_eq_str(response, "up");
	if (response.n > 3)
		buf_add(challenge, response);
	return c->proved ? ok() : fail(response.p[0] & 1 ? ERR_AUTH : ERR_SYNTAX, "wrong");
}

static struct status start(void *context, struct slice mechanism, const struct slice *initial,
                           struct buf *challenge, bool *ret_done)
{
	(void)mechanism;
	return initial ? step(context, *initial, challenge, ret_done) : ok();
}

static void give_up(void *context)
{
	((struct credentials *)context)->proved = false;
}

static const char *const *mechanisms(void *context)
{
	static const char *const names[] = {"PLAIN", NULL};
	(void)context;
	return names;
}

static const struct imap_auth_ops auth = {mechanisms, login, start, step, give_up};

static void run(struct slice input, size_t chunk, struct buf *ret_output)
{
	struct stream_mem m;
	struct credentials credentials = {0};
	struct imap_prelogin_result result;
	stream_mem_init(&m, input, chunk);
	struct imap_prelogin_options options = {
	        .stream = &m.stream,
	        .clock = &still_clock,
	        .auth = &auth,
	        .auth_context = &credentials,
	        .allow_plain_login = true,
	        .failures_max = 5,
	        .bad_max = 50,
	};
	struct status status = imap_prelogin_run(&options, &result);
	ASSERT(is_ok(status) == credentials.proved);
	ASSERT(!is_ok(status) || strlen(result.tag) > 0);
	buf_add(ret_output, stream_mem_output(&m));
	ASSERT(slice_ends(buf_slice(ret_output), SLICE("\r\n")));
	stream_mem_done(&m);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice input = slice_of(data, MIN(size, (size_t)100000));
	struct buf whole, pieces;
	buf_init(&whole, MIB * 4);
	buf_init(&pieces, MIB * 4);
	run(input, 0, &whole);
	run(input, 1 + input.n % 5, &pieces);
	ASSERT(slice_eq(buf_slice(&whole), buf_slice(&pieces)));
	buf_done(&whole);
	buf_done(&pieces);
	return 0;
}
