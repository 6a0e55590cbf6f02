/* Reverse and forward paths.
 *
 *   Reverse-path  = Path / "<>"
 *   Forward-path  = Path / "<Postmaster>"                      RFC 5321 section 4.1.1.3
 *   Path          = "<" [ A-d-l ":" ] Mailbox ">"
 *   A-d-l         = "@" Domain *( "," "@" Domain )
 *   Mailbox       = Local-part "@" ( Domain / address-literal )
 *   Local-part    = Dot-string / Quoted-string
 *   atext, qtextSMTP and sub-domain are extended by UTF8-non-ascii (RFC 6531 section 3.3)
 *
 * Limits: SMTP_LOCALPART_MAX, SMTP_PATH_MAX, SMTP_ROUTE_HOSTS_MAX.
 */
#include "smtp/path.h"

#include "smtp/rules.h"

struct localpart {
	uint8_t bytes[SMTP_LOCALPART_MAX];
	size_t n;
	bool utf8;
};

static void localpart_add(struct cursor *c, struct localpart *local, struct slice s)
{
	if (s.n > sizeof(local->bytes) - local->n) {
		cursor_fail(c, "local part is too long");
		return;
	}
	memcpy(local->bytes + local->n, s.p, s.n);
	local->n += s.n;
}

/* UTF8-non-ascii */
static void utf8_character(struct cursor *c, struct localpart *local)
{
	size_t n = smtp_utf8_size(cursor_rest(c));
	if (n == 0)
		cursor_fail(c, "address is not valid UTF-8");
	localpart_add(c, local, cursor_take(c, n));
	local->utf8 = true;
}

/* Dot-string = Atom *("." Atom), where dots may stand anywhere */
static void dot_string(struct cursor *c, struct localpart *local)
{
	size_t start = c->at;
	for (int byte; (byte = cursor_peek(c)) >= 0;) {
		if (byte >= 0x80)
			utf8_character(c, local);
		else if (smtp_is_atext((uint8_t)byte) || byte == '.')
			localpart_add(c, local, cursor_take(c, 1));
		else
			break;
	}
	if (c->at == start)
		cursor_fail(c, "local part is empty");
}

/* Quoted-string = DQUOTE *( qtextSMTP / "\" %d32-126 ) DQUOTE */
static void quoted_string(struct cursor *c, struct localpart *local)
{
	cursor_expect(c, '"', "expected a quoted string");
	while (cursor_ok(c) && !cursor_skip(c, '"')) {
		if (cursor_peek(c) >= 0x80) {
			utf8_character(c, local);
			continue;
		}
		cursor_skip(c, '\\');
		struct slice one = cursor_take(c, 1);
		if (cursor_ok(c) && !ascii_is_print(one.p[0]))
			cursor_fail(c, "control character in a quoted local part");
		localpart_add(c, local, one);
	}
}

static bool is_dot_string(struct slice local)
{
	uint8_t before = '.';
	for (size_t i = 0; i < local.n; i++) {
		uint8_t c = local.p[i];
		bool dot = c == '.';
		if (dot ? before == '.' : c < 0x80 && !smtp_is_atext(c))
			return false;
		before = c;
	}
	return before != '.'; /* neither empty nor with a dot at its end */
}

/* Of the printed form, which is what the next host would be sent. */
static size_t printed_size(struct slice local, struct slice host)
{
	size_t n = strlen("<@>") + local.n + host.n;
	if (is_dot_string(local))
		return n;
	for (size_t i = 0; i < local.n; i++)
		n += local.p[i] == '"' || local.p[i] == '\\';
	return n + strlen("\"\"");
}

static void mailbox(struct cursor *c, struct arena *arena, struct smtp_path *path)
{
	struct localpart local = {.n = 0};
	if (cursor_peek(c) == '"')
		quoted_string(c, &local);
	else
		dot_string(c, &local);
	cursor_expect(c, '@', "address has no domain");
	smtp_host_parse(c, &path->host);
	if (!cursor_ok(c))
		return;
	if (printed_size(slice_of(local.bytes, local.n), path->host.text) > SMTP_PATH_MAX) {
		cursor_fail(c, "address is too long");
		return;
	}
	path->kind = SMTP_PATH_MAILBOX;
	path->utf8 = local.utf8 || path->host.utf8;
	path->localpart = arena_copy(arena, slice_of(local.bytes, local.n));
	path->host.text = arena_copy(arena, path->host.text);
}

/* [ A-d-l ":" ], dropped */
static void source_route(struct cursor *c)
{
	if (cursor_peek(c) != '@')
		return;
	size_t n_hosts = 0;
	do {
		struct smtp_host host;
		cursor_expect(c, '@', "invalid source route");
		smtp_host_parse(c, &host);
		if (++n_hosts > SMTP_ROUTE_HOSTS_MAX)
			cursor_fail(c, "source route is too long");
	} while (cursor_skip(c, ','));
	cursor_expect(c, ':', "source route has no end");
}

static void path_end(struct cursor *c, const struct arena *arena, const struct smtp_path *path,
                     struct smtp_path *ret_path)
{
	cursor_expect(c, '>', "expected > after the address");
	if (arena_failed(arena))
		cursor_fail(c, "out of memory for addresses");
	if (cursor_ok(c))
		*ret_path = *path;
}

void smtp_reverse_path_parse(struct cursor *c, struct arena *arena, struct smtp_path *ret_path)
{
	struct smtp_path path = {.kind = SMTP_PATH_NULL, .localpart = slice_empty()};
	cursor_expect(c, '<', "expected < before the address");
	if (cursor_peek(c) != '>') {
		source_route(c);
		mailbox(c, arena, &path);
	}
	path_end(c, arena, &path, ret_path);
}

void smtp_forward_path_parse(struct cursor *c, struct arena *arena, struct smtp_path *ret_path)
{
	struct smtp_path path = {.kind = SMTP_PATH_POSTMASTER};
	struct slice postmaster = SLICE("postmaster>");
	cursor_expect(c, '<', "expected < before the address");
	if (slice_istarts(cursor_rest(c), postmaster)) {
		path.localpart = arena_copy(arena, cursor_take(c, postmaster.n - 1));
	} else {
		source_route(c);
		mailbox(c, arena, &path);
	}
	path_end(c, arena, &path, ret_path);
}

struct status smtp_mailbox_parse(struct slice text, struct arena *arena, struct smtp_path *ret_path)
{
	struct cursor c = cursor_of(text);
	struct smtp_path path = {.kind = SMTP_PATH_MAILBOX};
	mailbox(&c, arena, &path);
	cursor_expect_end(&c, "text after the address");
	TRY(cursor_status(&c));
	if (arena_failed(arena))
		return fail(ERR_LIMIT, "out of memory for addresses");
	*ret_path = path;
	return ok();
}

static void print_localpart(struct slice local, struct buf *out)
{
	if (is_dot_string(local)) {
		buf_add(out, local);
		return;
	}
	buf_add_byte(out, '"');
	for (size_t i = 0; i < local.n; i++) {
		if (local.p[i] == '"' || local.p[i] == '\\')
			buf_add_byte(out, '\\');
		buf_add_byte(out, local.p[i]);
	}
	buf_add_byte(out, '"');
}

void smtp_mailbox_print(const struct smtp_path *path, struct buf *out)
{
	switch (path->kind) {
	case SMTP_PATH_NULL:
		break;
	case SMTP_PATH_POSTMASTER:
		buf_add(out, path->localpart);
		break;
	case SMTP_PATH_MAILBOX:
		print_localpart(path->localpart, out);
		buf_add_byte(out, '@');
		buf_add(out, path->host.text);
		break;
	}
}

void smtp_path_print(const struct smtp_path *path, struct buf *out)
{
	buf_add_byte(out, '<');
	smtp_mailbox_print(path, out);
	buf_add_byte(out, '>');
}

bool smtp_path_eq(const struct smtp_path *a, const struct smtp_path *b)
{
	if (a->kind != b->kind)
		return false;
	switch (a->kind) {
	case SMTP_PATH_NULL:
		return true;
	case SMTP_PATH_POSTMASTER:
		return slice_ieq(a->localpart, b->localpart);
	case SMTP_PATH_MAILBOX:
		return slice_eq(a->localpart, b->localpart) &&
		       slice_ieq(a->host.text, b->host.text);
	}
	BUG("unknown kind of path");
}

struct smtp_path smtp_path_copy(const struct smtp_path *path, struct arena *arena)
{
	struct smtp_path copy = *path;
	copy.localpart = arena_copy(arena, path->localpart);
	if (path->kind == SMTP_PATH_MAILBOX)
		copy.host.text = arena_copy(arena, path->host.text);
	return copy;
}
