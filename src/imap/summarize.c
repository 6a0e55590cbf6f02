/* The printer of a message's structure (RFC 9051 section 9: envelope, body, body-fld-*).
 *
 *   envelope  = "(" date SP subject SP from SP sender SP reply-to SP to SP cc SP bcc SP in-reply-to
 *               SP message-id ")"
 *   body      = "(" (body-type-1part / body-type-mpart) ")"
 *
 * The tree is walked by its links, not by recursion. Strings are quoted 7-bit text or literals,
 * which any session may be given whatever it has enabled. A message whose text would be larger than
 * RENDER_MAX, or that needs more memory than PARSE_MAX, is shown as one opaque part.
 */
#include "imap/summarize.h"

#include "imap/out.h"
#include "message/date.h"

#define PARSE_MAX  ((size_t)96 * 1024 * 1024)
#define RENDER_MAX ((size_t)4 * 1024 * 1024)
#define READ_SIZE  ((size_t)64 * 1024)

static void nstring(struct buf *buf, bool present, struct slice s)
{
	if (present)
		imap_buf_string(buf, s);
	else
		buf_add_str(buf, "NIL");
}

/* address = "(" addr-name SP addr-adl SP addr-mailbox SP addr-host ")"; a group starts with a
 * mailbox name and no host and ends with neither. */
static void render_address(struct buf *buf, const struct message_address *a)
{
	switch (a->kind) {
	case MESSAGE_ADDRESS_GROUP_START:
		buf_add_str(buf, "(NIL NIL ");
		imap_buf_string(buf, a->localpart);
		buf_add_str(buf, " NIL)");
		return;
	case MESSAGE_ADDRESS_GROUP_END:
		buf_add_str(buf, "(NIL NIL NIL NIL)");
		return;
	case MESSAGE_ADDRESS_INVALID:
		/* A host of NIL would open a group (RFC 9051 section 7.5.2): text that is no
		 * address is given a host that cannot exist. */
		buf_add_str(buf, "(");
		nstring(buf, a->has_name, a->name);
		buf_add_str(buf, " NIL ");
		imap_buf_string(buf, a->localpart);
		buf_add_str(buf, " \"MISSING_DOMAIN\")");
		return;
	case MESSAGE_ADDRESS_MAILBOX:
		break;
	}
	buf_add_byte(buf, '(');
	nstring(buf, a->has_name, a->name);
	buf_add_byte(buf, ' ');
	nstring(buf, a->has_route, a->route);
	buf_add_byte(buf, ' ');
	imap_buf_string(buf, a->localpart);
	buf_add_byte(buf, ' ');
	/* "root" without a host: NIL would open a group. */
	imap_buf_string(buf, a->domain.n > 0 ? a->domain : SLICE("MISSING_DOMAIN"));
	buf_add_byte(buf, ')');
}

static void render_addresses(struct buf *buf, const struct message_address_list *list)
{
	buf_add_byte(buf, ' ');
	if (list->n == 0) {
		buf_add_str(buf, "NIL");
		return;
	}
	buf_add_byte(buf, '(');
	for (size_t i = 0; i < list->n; i++)
		render_address(buf, &list->v[i]);
	buf_add_byte(buf, ')');
}

void imap_render_envelope(struct buf *buf, const struct message_envelope *e)
{
	buf_add_byte(buf, '(');
	nstring(buf, e->has_date, e->date);
	buf_add_byte(buf, ' ');
	nstring(buf, e->has_subject, e->subject);
	render_addresses(buf, &e->from);
	/* "If the Sender or Reply-To lines are absent, or are present but empty, the server sets
	 * the corresponding member to be the same value as from." */
	render_addresses(buf, e->sender.n > 0 ? &e->sender : &e->from);
	render_addresses(buf, e->reply_to.n > 0 ? &e->reply_to : &e->from);
	render_addresses(buf, &e->to);
	render_addresses(buf, &e->cc);
	render_addresses(buf, &e->bcc);
	buf_add_byte(buf, ' ');
	nstring(buf, e->has_in_reply_to, e->in_reply_to);
	buf_add_byte(buf, ' ');
	nstring(buf, e->has_message_id, e->message_id);
	buf_add_byte(buf, ')');
}

/* What RFC 2231 encoded is passed on encoded, under its name with "*": a string of BODYSTRUCTURE
 * has no charset of its own. */
static void render_param(struct buf *buf, const struct message_param *param)
{
	char name[256];
	int n = snprintf(name, sizeof(name), "%.*s*", SLICE_FMT(param->name));
	if (param->extended && (size_t)n < sizeof(name))
		imap_buf_string(buf, slice_of(name, (size_t)n));
	else
		imap_buf_string(buf, param->name);
	buf_add_byte(buf, ' ');
	imap_buf_string(buf, param->extended ? param->raw : param->value);
}

/* body-fld-param. Text without a charset is US-ASCII (RFC 2046 section 4.1.2), and said so. */
static void render_params(struct buf *buf, const struct message_param *params, size_t n,
                          bool is_text)
{
	bool add_charset = is_text && !message_param_get(params, n, "charset");
	if (n == 0 && !add_charset) {
		buf_add_str(buf, "NIL");
		return;
	}
	buf_add_byte(buf, '(');
	for (size_t i = 0; i < n; i++) {
		if (i > 0)
			buf_add_byte(buf, ' ');
		render_param(buf, &params[i]);
	}
	if (add_charset) {
		if (n > 0)
			buf_add_byte(buf, ' ');
		buf_add_str(buf, "\"charset\" \"us-ascii\"");
	}
	buf_add_byte(buf, ')');
}

/* body-ext-*: disposition, language, location */
static void render_extensions(struct buf *buf, const struct message_part *part)
{
	buf_add_byte(buf, ' ');
	if (part->has_disposition) {
		buf_add_byte(buf, '(');
		imap_buf_string(buf, part->disposition);
		buf_add_byte(buf, ' ');
		render_params(buf, part->disposition_params, part->n_disposition_params, false);
		buf_add_byte(buf, ')');
	} else {
		buf_add_str(buf, "NIL");
	}
	buf_add_byte(buf, ' ');
	if (part->n_languages > 0) {
		buf_add_byte(buf, '(');
		for (size_t i = 0; i < part->n_languages; i++) {
			if (i > 0)
				buf_add_byte(buf, ' ');
			imap_buf_string(buf, part->languages[i]);
		}
		buf_add_byte(buf, ')');
	} else {
		buf_add_str(buf, "NIL");
	}
	buf_add_byte(buf, ' ');
	nstring(buf, part->has_location, part->location);
}

static bool is_text(const struct message_part *part)
{
	return slice_eq_str(part->type, "text");
}

/* A message/rfc822 that was not looked into (it is encoded, or past a limit): body-type-msg wants
 * an envelope and a body all the same, and is given empty ones. */
static bool is_closed_message(const struct message_part *part)
{
	return part->kind == MESSAGE_LEAF && slice_eq_str(part->type, "message") &&
	       (slice_eq_str(part->subtype, "rfc822") || slice_eq_str(part->subtype, "global"));
}

/* body-fields and what stands before the parts inside. */
static void open_leaf(struct buf *buf, const struct message_part *part, bool extended)
{
	buf_add_byte(buf, '(');
	imap_buf_string(buf, part->type);
	buf_add_byte(buf, ' ');
	imap_buf_string(buf, part->subtype);
	buf_add_byte(buf, ' ');
	render_params(buf, part->params, part->n_params, is_text(part));
	buf_add_byte(buf, ' ');
	nstring(buf, part->has_id, part->id);
	buf_add_byte(buf, ' ');
	nstring(buf, part->has_description, part->description);
	buf_add_byte(buf, ' ');
	imap_buf_string(buf, part->encoding);
	buf_add_byte(buf, ' ');
	buf_add_u64(buf, part->body_size);
	if (part->kind == MESSAGE_RFC822) {
		buf_add_byte(buf, ' ');
		imap_render_envelope(buf, part->first_child->envelope);
		buf_add_byte(buf, ' ');
	} else if (is_closed_message(part)) {
		buf_add_str(buf, " (NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL) (\"text\" \"plain\" "
		                 "(\"charset\" \"us-ascii\") NIL NIL \"7bit\" 0 0");
		buf_add_str(buf, extended ? " NIL NIL NIL NIL)" : ")");
	}
}

static void close_leaf(struct buf *buf, const struct message_part *part, bool extended)
{
	if (part->kind == MESSAGE_RFC822 || is_closed_message(part) || is_text(part)) {
		buf_add_byte(buf, ' ');
		buf_add_u64(buf, part->body_lines);
	}
	if (extended) {
		buf_add_byte(buf, ' ');
		nstring(buf, part->has_md5, part->md5);
		render_extensions(buf, part);
	}
	buf_add_byte(buf, ')');
}

static void open_multipart(struct buf *buf, const struct message_part *part, bool extended)
{
	buf_add_byte(buf, '(');
	/* body-type-mpart = 1*body: one without parts is given an empty one. */
	if (!part->first_child) {
		buf_add_str(buf,
		            "(\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 0 0");
		buf_add_str(buf, extended ? " NIL NIL NIL NIL)" : ")");
	}
}

static void close_multipart(struct buf *buf, const struct message_part *part, bool extended)
{
	buf_add_byte(buf, ' ');
	imap_buf_string(buf, part->subtype);
	if (extended) {
		buf_add_byte(buf, ' ');
		render_params(buf, part->params, part->n_params, false);
		render_extensions(buf, part);
	}
	buf_add_byte(buf, ')');
}

void imap_render_body(struct buf *buf, const struct message_part *root, bool extended)
{
	const struct message_part *part = root;
	for (;;) {
		if (part->kind == MESSAGE_MULTIPART)
			open_multipart(buf, part, extended);
		else
			open_leaf(buf, part, extended);
		if (part->first_child) {
			part = part->first_child;
			continue;
		}
		/* Up and to the right until there is a part not yet printed. */
		for (;;) {
			if (part->kind == MESSAGE_MULTIPART)
				close_multipart(buf, part, extended);
			else
				close_leaf(buf, part, extended);
			if (part == root || buf_failed(buf))
				return;
			if (part->next)
				break;
			part = part->parent;
		}
		part = part->next;
	}
}

struct status imap_parse_message(const struct store_reader *r, struct arena *arena,
                                 struct message_part **ret_root)
{
	struct message_parser *parser = message_parser_new(arena);
	if (!parser)
		return fail(ERR_LIMIT, "no memory to parse the message");
	CLEANUP(base_freep) uint8_t *bytes = base_alloc(READ_SIZE);
	unsigned defects;
	for (uint64_t at = 0; at < r->size;) {
		size_t n;
		TRY(r->read(r, at, bytes, (size_t)MIN((uint64_t)READ_SIZE, r->size - at), &n));
		if (n == 0)
			return fail(ERR_CORRUPT, "the message is shorter than it was");
		message_parser_feed(parser, slice_of(bytes, n));
		at += n;
	}
	return message_parser_finish(parser, ret_root, &defects);
}

static struct status copy_out(struct buf *buf, struct arena *arena, struct slice *ret)
{
	*ret = arena_copy(arena, buf_slice(buf));
	bool short_of_memory = arena_failed(arena);
	buf_reset(buf);
	return short_of_memory ? fail(ERR_LIMIT, "no memory for the summary") : ok();
}

/* What is shown of a message too complicated to be shown. */
static void render_opaque(struct buf *buf, uint64_t size, bool extended)
{
	buf_reset(buf);
	buf_printf(buf, "(\"application\" \"octet-stream\" NIL NIL NIL \"8bit\" %" PRIu64 "%s)",
	           size, extended ? " NIL NIL NIL NIL" : "");
}

static struct status render_all(const struct message_part *root, uint64_t size, struct buf *buf,
                                struct arena *arena, struct store_summary *s)
{
	if (root)
		imap_render_envelope(buf, root->envelope);
	if (!root || buf_failed(buf)) {
		buf_reset(buf);
		buf_add_str(buf, "(NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)");
	}
	TRY(copy_out(buf, arena, &s->envelope));
	for (int extended = 0; extended <= 1; extended++) {
		if (root)
			imap_render_body(buf, root, extended);
		if (!root || buf_failed(buf))
			render_opaque(buf, size, extended);
		TRY(copy_out(buf, arena, extended ? &s->bodystructure : &s->body));
	}
	return ok();
}

struct status imap_summarize(const struct store_reader *r, struct arena *arena,
                             struct store_summary *ret_summary)
{
	struct store_summary s = {.sent_at = INT64_MIN};
	struct message_part *root = NULL;
	struct arena parts;
	struct buf buf;
	arena_init(&parts, PARSE_MAX);
	buf_init(&buf, RENDER_MAX);
	struct status status = imap_parse_message(r, &parts, &root);
	if (status.code == ERR_LIMIT) {
		root = NULL;
		status = ok();
	}
	if (is_ok(status))
		status = render_all(root, r->size, &buf, arena, &s);
	struct message_date date;
	if (is_ok(status) && root && root->envelope->has_date &&
	    is_ok(message_date_parse(root->envelope->date, &date))) {
		s.sent_at = date.unix_s;
		s.sent_day = date.day;
	}
	buf_done(&buf);
	arena_done(&parts);
	if (is_ok(status))
		*ret_summary = s;
	return status;
}
