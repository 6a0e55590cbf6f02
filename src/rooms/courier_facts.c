/* See courier_facts.h. Policy and failure are packed apart: equal sessions give equal bytes. */
#include "rooms/courier_facts.h"

#include "rooms/report_kind.h"

#define ARENA_MAX ((size_t)256 * 1024)

/* As many of the texts as fit. */
static char **texts_of(const char *const *texts, size_t n, struct arena *arena, size_t *ret_n)
{
	char **list = ARENA_ARRAY(arena, MAX(n, (size_t)1), char *);
	size_t size = 0;
	*ret_n = 0;
	for (size_t i = 0; list && i < n; i++) {
		size += strlen(texts[i]) + 4;
		if (size > COURIER_POLICY_TEXT_MAX)
			break;
		list[(*ret_n)++] = door_string(texts[i]);
	}
	return list;
}

static struct slice pack(const ProtobufCMessage *message, struct arena *arena)
{
	size_t n = protobuf_c_message_get_packed_size(message);
	uint8_t *bytes = arena_alloc(arena, MAX(n, (size_t)1));
	if (!bytes)
		return slice_empty();
	return slice_of(bytes, protobuf_c_message_pack(message, bytes));
}

static struct slice pack_policy(const struct delivery_tls_policy *policy, struct arena *arena)
{
	Door__TlsPolicy message = DOOR__TLS_POLICY__INIT;
	message.type = door_string(delivery_tls_policy_name(policy->type));
	message.domain = door_string(policy->domain);
	message.strings = texts_of(policy->strings, policy->n_strings, arena, &message.n_strings);
	message.mx = texts_of(policy->mx, policy->n_mx, arena, &message.n_mx);
	return arena_failed(arena) ? slice_empty() : pack(&message.base, arena);
}

/* Of sessions that were good only their number is told (section 4.3). */
static struct slice pack_failure(const struct delivery_tls_fact *fact, struct arena *arena)
{
	Door__TlsFailure message = DOOR__TLS_FAILURE__INIT;
	if (fact->result == DELIVERY_TLS_SUCCESS)
		return slice_empty();
	message.result = door_string(delivery_tls_result_name(fact->result));
	message.address = door_string(fact->address);
	message.host = door_string(fact->host);
	message.helo = door_string(fact->helo);
	message.reason = door_string(fact->reason);
	message.information = door_string(fact->information);
	return pack(&message.base, arena);
}

static void tell(struct reporter *reporter, const char *domain,
                 const struct delivery_tls_fact *fact, struct arena *arena)
{
	Door__Fact message = DOOR__FACT__INIT;
	char *domains[2] = {door_string(domain), door_string(fact->policy.domain)};
	bool is_other = fact->policy.type == DELIVERY_TLS_POLICY_TLSA && *fact->policy.domain &&
	                strcmp(domain, fact->policy.domain) != 0;
	message.kind = REPORT_TLS;
	message.domains = domains;
	message.n_domains = is_other ? 2 : 1;
	message.policy = door_binary(pack_policy(&fact->policy, arena));
	message.form = door_binary(pack_failure(fact, arena));
	if (!arena_failed(arena))
		reporter_add(reporter, &message);
}

void courier_facts_tell(struct reporter *reporter, const char *domain,
                        const struct delivery_tls_facts *facts)
{
	struct arena arena;
	if (domain[0] == '[' || domain[0] == 0)
		return;
	arena_init(&arena, ARENA_MAX);
	for (size_t i = 0; i < facts->n; i++) {
		tell(reporter, domain, &facts->v[i], &arena);
		arena_reset(&arena);
	}
	arena_done(&arena);
}
