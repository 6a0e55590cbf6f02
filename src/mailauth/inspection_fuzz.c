/* All checks of a message, by and for strangers: the input is
 *
 *	ip helo localpart domain     "-" is nothing
 *	facts of fuzz_world.h, up to a line of "%"
 *	the message
 *
 * Whatever comes: the work is bounded, the fields can be written, the decision is the same twice
 * and never milder because something was missing, and cutting the body in pieces changes nothing.
 */
#include "mailauth/fuzz_world.h"
#include "mailauth/inspection.h"
#include "message/header.h"

#include <arpa/inet.h>

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

#define FIELD_MAX    ((size_t)64 * 1024)
#define LOOKUPS_MOST 2000u

static int64_t never(const struct clock *clock)
{
	(void)clock;
	return 1;
}

struct input {
	struct fuzz_world world;
	struct inspection_envelope envelope;
	struct slice address, header, body;
	uint8_t ip[16];
};

static void read_input(struct slice text, struct input *in)
{
	struct slice line, facts, message = slice_empty();
	struct message_header_end end = {.found = false};
	(void)slice_cut(text, '\n', &line, &text);
	size_t at = slice_find(text, SLICE("\n%\n"));
	facts = at == SIZE_MAX ? text : slice_sub(text, 0, at);
	if (at != SIZE_MAX)
		message = slice_from(text, at + 3);
	fuzz_world_read(facts, &in->world);
	struct slice address = fuzz_word(&line);
	bool v6 = slice_index(address, ':') != SIZE_MAX;
	fuzz_address(address, v6 ? AF_INET6 : AF_INET, in->ip);
	in->address = slice_of(in->ip, v6 ? 16 : 4);
	in->envelope.helo = fuzz_word(&line);
	in->envelope.localpart = fuzz_word(&line);
	in->envelope.domain = line;
	size_t n = message_header_end_feed(&end, message);
	in->header = slice_sub(message, 0, n);
	in->body = slice_from(message, n);
}

static void check_field(struct slice field)
{
	for (size_t i = 0; i < field.n; i++) {
		ASSERT(field.p[i] != 0);
		if (field.p[i] == '\n')
			ASSERT(i > 0 && field.p[i - 1] == '\r');
		if (field.p[i] == '\r')
			ASSERT(i + 1 < field.n && field.p[i + 1] == '\n' &&
			       (i + 2 == field.n || field.p[i + 2] == '\t' ||
			        field.p[i + 2] == ' '));
	}
}

static void check_words(const struct inspection *i)
{
	struct inspection_check checks[INSPECTION_CHECKS_MAX];
	size_t n = inspection_checks(i, checks, INSPECTION_CHECKS_MAX);
	ASSERT(n <= INSPECTION_CHECKS_MAX);
	for (size_t k = 0; k < n; k++)
		ASSERT(checks[k].method[0] && checks[k].result[0] && checks[k].about &&
		       checks[k].why);
}

static enum policy_action inspect(struct input *in, size_t piece)
{
	static const struct clock clock = {never, never};
	static const char *const lists[] = {"bl.example"};
	const struct policy_settings settings = {.dmarc_error = POLICY_DEFER,
	                                         .no_author = POLICY_QUARANTINE,
	                                         .spf_fail = POLICY_REFUSE,
	                                         .listed = POLICY_REFUSE};
	struct dnsbl_state *state = dnsbl_state_new(&clock);
	const struct inspection_env env = {.resolver = &in->world.resolver,
	                                   .clock = &clock,
	                                   .lists = state,
	                                   .timeout_ms = 1000,
	                                   .address_lists = lists,
	                                   .domain_lists = lists,
	                                   .n_address_lists = 1,
	                                   .n_domain_lists = 1,
	                                   .receiver = "mx.example"};
	struct inspection_client *client = inspection_client_new(&env, in->address);
	struct inspection *i = inspection_new(&env, client, &in->envelope);
	struct policy_decision decision;
	struct arena arena;
	struct buf out;
	arena_init(&arena, (size_t)4 * 1024 * 1024);
	buf_init(&out, FIELD_MAX);
	atomic_store(&in->world.n_lookups, 0);
	inspection_header(i, in->header, 1);
	for (size_t at = 0; at < in->body.n; at += piece)
		inspection_body(i, slice_sub(in->body, at, piece));
	inspection_finish(i);
	ASSERT(atomic_load(&in->world.n_lookups) <= LOOKUPS_MOST);
	if (is_ok(inspection_authres(i, &out)))
		check_field(buf_slice(&out));
	buf_reset(&out);
	if (is_ok(inspection_spf_field(i, &out)))
		check_field(buf_slice(&out));
	check_words(i);
	policy_decide(inspection_facts(i), &settings, NULL, 0, &arena, &decision);
	ASSERT(decision.action < POLICY_DEFER || (decision.code >= 400 && decision.text));
	inspection_free(i);
	inspection_client_free(client);
	dnsbl_state_free(state);
	buf_done(&out);
	arena_done(&arena);
	return decision.action;
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	static struct input in;
	in = (struct input){.world.n_facts = 0};
	read_input(slice_of(p, n), &in);
	enum policy_action action = inspect(&in, SIZE_MAX / 2);
	ASSERT(inspect(&in, 7) == action);
	return 0;
}
