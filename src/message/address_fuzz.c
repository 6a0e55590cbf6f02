/* Addresses: limits kept, group marks pair up, no line ends get out, and what is printed reads back
 * as the same address. */
#include "message/address.h"
#include "message/part.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool has_line_end(struct slice s)
{
	return slice_index(s, '\r') != SIZE_MAX || slice_index(s, '\n') != SIZE_MAX;
}

static void check_groups(const struct message_address_list *list)
{
	bool open = false;
	for (size_t i = 0; i < list->n; i++) {
		enum message_address_kind kind = list->v[i].kind;
		ASSERT(!(kind == MESSAGE_ADDRESS_GROUP_START && open));
		ASSERT(!(kind == MESSAGE_ADDRESS_GROUP_END && !open));
		open = kind == MESSAGE_ADDRESS_GROUP_START ||
		       (open && kind != MESSAGE_ADDRESS_GROUP_END);
	}
	ASSERT(!open || list->truncated);
}

static bool is_plain(struct slice s)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] < ' ' || s.p[i] == 0x7f)
			return false;
	return true;
}

static void check_print(const struct message_address *a, struct arena *arena)
{
	struct buf text;
	struct message_address_list again;
	buf_init(&text, 2 * (a->name.n + a->localpart.n + a->domain.n) + 20);
	if (message_address_print(a, &text) && is_plain(buf_slice(&text)) &&
	    slice_index(a->domain, '[') == SIZE_MAX) {
		ASSERT(!buf_failed(&text));
		message_addresses_parse(buf_slice(&text), arena, &again);
		ASSERT(again.truncated || again.n == 1);
		if (again.n == 1) {
			ASSERT(slice_eq(again.v[0].localpart, a->localpart));
			ASSERT(slice_eq(again.v[0].domain, a->domain));
			ASSERT(slice_eq(slice_trim(again.v[0].name), slice_trim(a->name)));
		}
	}
	buf_done(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena arena;
	struct message_address_list list;
	arena_init(&arena, 4 * 1024 * 1024);
	message_addresses_parse(slice_of(data, size), &arena, &list);
	ASSERT(list.n <= MESSAGE_ADDRESSES_MAX);
	check_groups(&list);
	for (size_t i = 0; i < list.n; i++) {
		const struct message_address *a = &list.v[i];
		ASSERT(!has_line_end(a->name) && !has_line_end(a->localpart));
		ASSERT(!has_line_end(a->domain) && !has_line_end(a->route));
		ASSERT(a->name.n + a->localpart.n + a->domain.n + a->route.n <= size);
		if (a->kind == MESSAGE_ADDRESS_MAILBOX && i < 10)
			check_print(a, &arena);
	}
	arena_done(&arena);
	return 0;
}
