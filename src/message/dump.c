/* Prints everything that the parser found, so that two trees are equal when their dumps are. */
#include "message/dump.h"

static void field(struct buf *out, const char *name, bool has, struct slice value)
{
	if (!has)
		return;
	buf_printf(out, " %s=", name);
	buf_add(out, value);
}

void message_dump_addresses(const struct message_address_list *list, struct buf *out)
{
	static const char *const kinds[] = {"", "start ", "end", "invalid "};
	for (size_t i = 0; i < list->n; i++) {
		const struct message_address *a = &list->v[i];
		buf_printf(out, "[%s", kinds[a->kind]);
		if (a->has_name)
			buf_printf(out, "{%.*s} ", SLICE_FMT(a->name));
		if (a->has_route)
			buf_printf(out, "%.*s:", SLICE_FMT(a->route));
		buf_add(out, a->localpart);
		if (a->domain.n > 0)
			buf_printf(out, "@%.*s", SLICE_FMT(a->domain));
		buf_add_byte(out, ']');
	}
	if (list->truncated)
		buf_add_str(out, "...");
}

static void dump_list(struct buf *out, const char *name, const struct message_address_list *list)
{
	if (!list->present)
		return;
	buf_printf(out, " %s=", name);
	message_dump_addresses(list, out);
}

static void dump_envelope(const struct message_envelope *e, struct buf *out)
{
	buf_printf(out, " {%u", e->n_from_fields);
	field(out, "date", e->has_date, e->date);
	field(out, "subject", e->has_subject, e->subject);
	dump_list(out, "from", &e->from);
	dump_list(out, "sender", &e->sender);
	dump_list(out, "reply-to", &e->reply_to);
	dump_list(out, "to", &e->to);
	dump_list(out, "cc", &e->cc);
	dump_list(out, "bcc", &e->bcc);
	field(out, "in-reply-to", e->has_in_reply_to, e->in_reply_to);
	field(out, "message-id", e->has_message_id, e->message_id);
	buf_add_str(out, "}");
}

static void dump_params(const struct message_param *params, size_t n, struct buf *out)
{
	for (size_t i = 0; i < n; i++) {
		buf_printf(out, ";%.*s%s=", SLICE_FMT(params[i].name),
		           params[i].extended ? "*" : "");
		buf_add(out, params[i].value);
		if (params[i].extended)
			buf_printf(out, "<%.*s>", SLICE_FMT(params[i].raw));
	}
}

static void dump_part(const struct message_part *part, struct buf *out)
{
	static const char *const kinds[] = {"", "multi ", "inner "};
	buf_printf(out, "%s%.*s/%.*s", kinds[part->kind], SLICE_FMT(part->type),
	           SLICE_FMT(part->subtype));
	dump_params(part->params, part->n_params, out);
	buf_printf(out, " %" PRIu64 "+%" PRIu64 " %" PRIu64 "+%" PRIu64, part->header_offset,
	           part->header_size, part->body_offset, part->body_size);
	buf_printf(out, " lines %" PRIu64 "+%" PRIu64, part->header_lines, part->body_lines);
	field(out, "encoding", part->has_encoding, part->encoding);
	field(out, "id", part->has_id, part->id);
	field(out, "description", part->has_description, part->description);
	field(out, "md5", part->has_md5, part->md5);
	field(out, "location", part->has_location, part->location);
	field(out, "disposition", part->has_disposition, part->disposition);
	dump_params(part->disposition_params, part->n_disposition_params, out);
	for (size_t i = 0; i < part->n_languages; i++)
		field(out, "language", true, part->languages[i]);
	if (part->envelope)
		dump_envelope(part->envelope, out);
	buf_add_byte(out, '\n');
}

/* Depth first, over the links: no recursion. */
void message_dump(const struct message_part *root, struct buf *out)
{
	size_t depth = 0;
	const struct message_part *part = root;
	while (part) {
		for (size_t i = 0; i < depth; i++)
			buf_add_byte(out, ' ');
		dump_part(part, out);
		if (part->first_child) {
			part = part->first_child;
			depth++;
			continue;
		}
		while (part != root && !part->next) {
			part = part->parent;
			depth--;
		}
		part = part == root ? NULL : part->next;
	}
}
