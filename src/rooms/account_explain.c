/* See account_explain.h. */
#include "rooms/account_explain.h"

#include "message/header.h"
#include "message/msgid.h"
#include "message/word.h"

#define HEADER_MAX  ((size_t)256 * 1024) /* of a message that are looked at */
#define SUBJECT_MAX 1000u

static struct status read_header(struct store *store, struct store_message_id id,
                                 struct arena *arena, struct slice *ret_header)
{
	struct store_blob *blob = NULL;
	size_t n = 0;
	TRY(store_blob_open(store, id, &blob));
	const struct store_reader *reader = store_blob_reader(blob);
	size_t size = (size_t)MIN(reader->size, (uint64_t)HEADER_MAX);
	uint8_t *bytes = arena_alloc(arena, size);
	struct status status = bytes ? reader->read(reader, 0, bytes, size, &n)
	                             : fail(ERR_LIMIT, "no memory for a header");
	store_blob_free(blob);
	*ret_header = slice_of(bytes, n);
	return status;
}

static bool has_message_id(struct slice header, struct slice wanted, struct arena *arena)
{
	struct message_field field;
	struct slice id;
	return message_headers_find(header, "Message-ID", &field) &&
	       message_id_parse(field.value, arena, &id) && slice_eq(id, wanted);
}

/* Newest first. */
static struct status find_by_id(struct store *store, const struct store_view *view,
                                struct slice wanted, const struct store_entry **ret_entry)
{
	struct arena arena;
	uint32_t n = store_view_count(view);
	uint32_t n_searched = MIN(n, EXPLAIN_SEARCHED_MAX);
	struct status status = ok();
	*ret_entry = NULL;
	if (slice_starts(wanted, SLICE("<")) && wanted.p[wanted.n - 1] == '>')
		wanted = slice_sub(wanted, 1, wanted.n - 2);
	arena_init(&arena, 4 * HEADER_MAX);
	for (uint32_t i = 0; i < n_searched && is_ok(status) && !*ret_entry; i++) {
		const struct store_entry *entry = store_view_at(view, n - 1 - i);
		struct slice header;
		arena_reset(&arena);
		status = read_header(store, entry->message, &arena, &header);
		if (is_ok(status) && has_message_id(header, wanted, &arena))
			*ret_entry = entry;
	}
	arena_done(&arena);
	if (is_ok(status) && !*ret_entry)
		status = fail(ERR_NOT_FOUND, "the mailbox has no message with this Message-ID");
	return status;
}

static struct status find_entry(struct store *store, const struct store_view *view,
                                const Door__Explain *explain, const struct store_entry **ret_entry)
{
	uint32_t n = store_view_count(view);
	if (explain->uid > 0) {
		uint32_t at = store_view_lower_bound(view, (struct store_uid){explain->uid});
		*ret_entry = at < n ? store_view_at(view, at) : NULL;
		if (!*ret_entry || (*ret_entry)->uid.v != explain->uid)
			return fail(ERR_NOT_FOUND, "the mailbox has no message with this UID");
		return ok();
	}
	if (explain->message_id[0])
		return find_by_id(store, view, slice_str(explain->message_id), ret_entry);
	if (n == 0)
		return fail(ERR_NOT_FOUND, "the mailbox is empty");
	*ret_entry = store_view_at(view, n - 1);
	return ok();
}

static char *subject_of(struct slice header, struct arena *arena)
{
	struct message_field field;
	struct buf text;
	if (!message_headers_find(header, "Subject", &field))
		return door_string("");
	buf_init(&text, SUBJECT_MAX);
	message_words_decode(field.value, &text);
	char *copy = arena_cstr(arena, buf_slice(&text));
	buf_done(&text);
	return copy ? copy : door_string("");
}

static struct status fill(struct store *store, const struct store_view *view,
                          const Door__Explain *explain, struct arena *arena,
                          Door__AccountReply *reply)
{
	const struct store_entry *entry;
	struct slice note, header;
	TRY(find_entry(store, view, explain, &entry));
	TRY(store_note(store, entry->message, arena, &note));
	TRY(read_header(store, entry->message, arena, &header));
	reply->uid_validity = store_view_uid_validity(view);
	reply->uid = entry->uid.v;
	reply->subject = subject_of(header, arena);
	reply->note = door_binary(note);
	return ok();
}

struct status account_explain(struct store *store, const Door__Explain *explain,
                              struct arena *arena, Door__AccountReply *reply)
{
	struct slice name = explain->mailbox[0] ? slice_str(explain->mailbox) : SLICE("Inbox");
	struct store_mailbox mailbox;
	struct store_view *view = NULL;
	TRY(store_mailbox_find(store, name, arena, &mailbox));
	TRY(store_view_open(store, mailbox.id, &view));
	char *shown = arena_cstr(arena, mailbox.name);
	reply->mailbox = shown ? shown : door_string("");
	struct status status = fill(store, view, explain, arena, reply);
	store_view_unref(view);
	return status;
}
