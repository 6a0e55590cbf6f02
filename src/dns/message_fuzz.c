/* A DNS message: it is read or refused; what was read becomes an answer for its question, of which
 * everything lies within the limits; a query for the question is read back. */
#include "dns/message.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_answer(const struct dns_message *message, enum dns_type type, struct arena *arena)
{
	struct buf packed;
	const struct dns_answer *back;
	struct dns_answer *answer =
	        dns_answer_from_message(message, message->question, type, DNS_SECURE, arena);
	if (!answer)
		return;
	ASSERT(answer->n_chain <= DNS_CHAIN_MAX && answer->n_records <= DNS_RECORDS_MAX);
	ASSERT((answer->outcome == DNS_FOUND) == (answer->n_records > 0));
	ASSERT((answer->outcome == DNS_FAILED) == (answer->failure != DNS_FAILURE_NONE));
	buf_init(&packed, DNS_PACKED_MAX);
	if (is_ok(dns_answer_pack(answer, &packed))) {
		struct status status = dns_answer_unpack(buf_slice(&packed), arena, &back);
		ASSERT(is_ok(status) || arena_failed(arena));
	}
	buf_reset(&packed);
	for (size_t i = 0; i < answer->n_records; i++)
		dns_record_print(&answer->records[i], &packed);
	buf_done(&packed);
}

static void check_query(const struct dns_message *message, struct arena *arena)
{
	struct buf query;
	struct dns_message back;
	buf_init(&query, 512);
	dns_query_write(message->question, DNS_TYPE_MX,
	                &(struct dns_query_options){.id = message->id}, &query);
	struct status status = dns_message_parse(buf_slice(&query), arena, &back);
	ASSERT((is_ok(status) && dns_name_eq(back.question, message->question)) ||
	       arena_failed(arena));
	buf_done(&query);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena arena;
	struct dns_message message;
	arena_init(&arena, 2 * DNS_ANSWER_ARENA);
	if (is_ok(dns_message_parse(slice_of(data, size), &arena, &message))) {
		ASSERT(message.n_dnames <= DNS_CHAIN_MAX);
		check_answer(&message, DNS_TYPE_A, &arena);
		check_answer(&message, DNS_TYPE_CNAME, &arena);
		check_answer(&message, DNS_TYPE_TXT, &arena);
		check_answer(&message, DNS_TYPE_MX, &arena);
		check_query(&message, &arena);
	}
	arena_done(&arena);
	return 0;
}
