/* Any answer of a list: listed only by codes that are nothing else, texts fit for a reply.
 *
 * Input: one byte of options, one byte of how many A records, 4 bytes each, the rest is the text.
 */
#include "mailauth/dnsbl.h"

#include "base/cursor.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

#define RECORDS_MAX 64u

struct input {
	enum dns_outcome outcome;
	struct dns_record records[RECORDS_MAX];
	size_t n_records;
	struct dns_record text;
};

static struct status fake_lookup(const struct dns_resolver *resolver, struct dns_name name,
                                 enum dns_type type, int timeout_ms, struct arena *arena,
                                 const struct dns_answer **ret_answer)
{
	const struct input *input = resolver->context;
	struct dns_answer *answer =
	        dns_answer_failed(name, type, DNS_FAILURE_TEMPORARY, "fuzzed", arena);
	(void)timeout_ms;
	if (!answer)
		return fail(ERR_LIMIT, "no room for an answer");
	bool text = type == DNS_TYPE_TXT;
	answer->outcome = input->outcome;
	if (input->outcome == DNS_FOUND) {
		answer->records = text ? &input->text : input->records;
		answer->n_records = text ? 1 : input->n_records;
	}
	*ret_answer = answer;
	return ok();
}

static int64_t no_time(const struct clock *clock)
{
	(void)clock;
	return 0;
}

static void read_input(struct cursor *c, struct input *input)
{
	input->outcome = (enum dns_outcome)(cursor_byte(c) % 4);
	size_t n = cursor_byte(c) % (RECORDS_MAX + 1);
	for (size_t i = 0; i < n && !cursor_at_end(c); i++) {
		struct slice bytes = cursor_take(c, 4);
		if (bytes.n == 4) {
			input->records[input->n_records].type = DNS_TYPE_A;
			memcpy(input->records[input->n_records++].a, bytes.p, 4);
		}
	}
	input->text = (struct dns_record){.type = DNS_TYPE_TXT};
	input->text.txt.joined = cursor_rest(c);
	input->text.txt.strings = &input->text.txt.joined;
	input->text.txt.n_strings = 1;
}

static bool is_plain_code(const uint8_t octets[4])
{
	static const uint8_t nobody[4] = {127, 0, 0, 1};
	bool error = octets[1] == 255 && octets[2] == 255;
	return octets[0] == 127 && !error && memcmp(octets, nobody, 4) != 0;
}

static void check(const struct dnsbl_result *result, const struct input *input)
{
	ASSERT(result->n_codes <= DNSBL_CODES_MAX && strlen(result->text) <= DNSBL_TEXT_MAX);
	for (const char *c = result->text; *c; c++)
		ASSERT(ascii_is_print((uint8_t)*c));
	ASSERT(*result->why);
	if (result->outcome != DNSBL_LISTED) {
		ASSERT(!*result->text);
		return;
	}
	ASSERT(input->outcome == DNS_FOUND);
	for (size_t i = 0; i < input->n_records; i++)
		ASSERT(is_plain_code(input->records[i].a));
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	static const struct dns_resolver_ops ops = {.lookup = fake_lookup};
	static const struct clock clock = {no_time, no_time};
	static const uint8_t address[4] = {192, 0, 2, 99};
	struct cursor c = cursor_of(slice_of(p, n));
	struct input input = {.n_records = 0};
	read_input(&c, &input);
	struct dns_resolver resolver = {&ops, &input};
	struct arena arena;
	struct mailauth_dns dns;
	struct dnsbl_result result;
	struct dnsbl_checkup checkup;
	arena_init(&arena, MIB);
	mailauth_dns_init(&dns, &resolver, &clock, 1000, &arena);
	dnsbl_check_address(&dns, (struct dns_name){"list.example"}, slice_of(address, 4), &result);
	check(&result, &input);
	dnsbl_check_health(&dns, (struct dns_name){"list.example"}, DNSBL_DOMAIN, &checkup);
	/* Each question gets the same answer here: such a list is never healthy. */
	ASSERT(checkup.health != DNSBL_HEALTHY && *checkup.why);
	arena_done(&arena);
	return 0;
}
