/* The session's loop: cut a command, find it in the table, run it, tell what changed, answer its
 * tag.
 *
 * Sequence numbers are those of one view (store_view), which the session leaves for a newer one
 * only where RFC 9051 section 7.5.1 lets it tell of expunged messages. Commands are refused by the
 * table (state, UID form, read-only) before they run.
 *
 * Limits: lines of 64 KB, literals of together LITERALS_SIZE outside APPEND, bad_max useless
 * commands in a row, timeout_ms without a command.
 */
#include "imap/session_private.h"

#include <stdarg.h>
#include <stdatomic.h>

#define LITERALS_SIZE    ((uint64_t)8 * 1024 * 1024)
#define LITERALS_MAX     1000u
#define DISCARD_MAX      ((uint64_t)1024 * 1024)
#define WRITE_TIMEOUT_MS (5 * 60 * 1000)

#define ANY (IMAP_AUTHENTICATED | IMAP_SELECTED)

static const struct imap_command commands[] = {
        {"CAPABILITY", ANY, 0, imap_cmd_capability},
        {"NOOP", ANY, 0, imap_cmd_noop},
        {"LOGOUT", ANY, 0, imap_cmd_logout},
        {"ID", ANY, 0, imap_cmd_id},
        {"ENABLE", IMAP_AUTHENTICATED, 0, imap_cmd_enable},
        {"NAMESPACE", ANY, 0, imap_cmd_namespace},
        {"IDLE", ANY, 0, imap_cmd_idle},
        {"LOGIN", ANY, 0, imap_cmd_login_again},
        {"AUTHENTICATE", ANY, 0, imap_cmd_login_again},
        {"STARTTLS", ANY, 0, imap_cmd_login_again},
        {"SELECT", ANY, 0, imap_cmd_select},
        {"EXAMINE", ANY, 0, imap_cmd_examine},
        {"CREATE", ANY, 0, imap_cmd_create},
        {"DELETE", ANY, 0, imap_cmd_delete},
        {"RENAME", ANY, 0, imap_cmd_rename},
        {"SUBSCRIBE", ANY, 0, imap_cmd_subscribe},
        {"UNSUBSCRIBE", ANY, 0, imap_cmd_unsubscribe},
        {"LIST", ANY, 0, imap_cmd_list},
        {"LSUB", ANY, 0, imap_cmd_lsub},
        {"STATUS", ANY, 0, imap_cmd_status},
        {"APPEND", ANY, 0, imap_cmd_append},
        {"GETQUOTA", ANY, 0, imap_cmd_getquota},
        {"GETQUOTAROOT", ANY, 0, imap_cmd_getquotaroot},
        {"CHECK", IMAP_SELECTED, 0, imap_cmd_check},
        {"CLOSE", IMAP_SELECTED, 0, imap_cmd_close},
        {"UNSELECT", IMAP_SELECTED, 0, imap_cmd_unselect},
        {"EXPUNGE", IMAP_SELECTED, IMAP_TAKES_UID | IMAP_WRITES, imap_cmd_expunge},
        {"FETCH", IMAP_SELECTED, IMAP_TAKES_UID | IMAP_KEEP_SEQ, imap_cmd_fetch},
        {"STORE", IMAP_SELECTED, IMAP_TAKES_UID | IMAP_KEEP_SEQ | IMAP_WRITES, imap_cmd_store},
        {"SEARCH", IMAP_SELECTED, IMAP_TAKES_UID | IMAP_KEEP_SEQ, imap_cmd_search},
        {"COPY", IMAP_SELECTED, IMAP_TAKES_UID, imap_cmd_copy},
        {"MOVE", IMAP_SELECTED, IMAP_TAKES_UID | IMAP_WRITES, imap_cmd_move},
};

/* ---- answers -------------------------------------------------------------------------------- */

struct imap_reply imap_no_status(struct status status)
{
	static const struct {
		enum err code;
		const char *imap;
	} codes[] = {
	        {ERR_NOT_FOUND, "NONEXISTENT"}, {ERR_EXISTS, "ALREADYEXISTS"},
	        {ERR_DENIED, "CANNOT"},         {ERR_INVALID, "CANNOT"},
	        {ERR_SYNTAX, "CANNOT"},         {ERR_QUOTA, "OVERQUOTA"},
	        {ERR_LIMIT, "LIMIT"},           {ERR_CORRUPT, "CORRUPTION"},
	        {ERR_UNSUPPORTED, "CANNOT"},    {ERR_PERMANENT, "CANNOT"},
	};
	for (size_t i = 0; i < N_ELEMENTS(codes); i++)
		if (codes[i].code == status.code)
			return imap_no(codes[i].imap, status.why);
	return imap_no("UNAVAILABLE", status.why);
}

struct imap_reply imap_bad_cursor(const struct cursor *c)
{
	return imap_bad(c->why ? c->why : "the command is not understood");
}

const char *imap_code_printf(struct imap_session *s, const char *format, ...)
{
	char text[256];
	va_list args;
	va_start(args, format);
	int n = vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	ASSERT(n >= 0 && (size_t)n < sizeof(text));
	return arena_cstr(&s->arena, slice_of(text, (size_t)n));
}

static const char *kind_name(enum imap_reply_kind kind)
{
	switch (kind) {
	case IMAP_OK:
		return "OK";
	case IMAP_NO:
		return "NO";
	case IMAP_BAD:
		return "BAD";
	case IMAP_BYE:
		break;
	}
	return "BYE";
}

static void write_reply(struct imap_session *s, struct imap_reply reply)
{
	if (reply.kind == IMAP_BYE || s->tag.n == 0)
		imap_out_byte(&s->out, '*');
	else
		imap_out_slice(&s->out, s->tag);
	imap_out_byte(&s->out, ' ');
	imap_out_str(&s->out, kind_name(reply.kind));
	if (reply.code) {
		imap_out_str(&s->out, " [");
		imap_out_str(&s->out, reply.code);
		imap_out_byte(&s->out, ']');
	}
	imap_out_byte(&s->out, ' ');
	imap_out_text(&s->out, slice_str(reply.text));
	imap_out_str(&s->out, "\r\n");
}

void imap_leave(struct imap_session *s, enum err code, const char *bye)
{
	if (s->state == IMAP_LOGOUT)
		return;
	s->tag = slice_empty();
	write_reply(s, (struct imap_reply){IMAP_BYE, NULL, bye});
	s->end = fail(code, bye);
	s->state = IMAP_LOGOUT;
}

/* ---- what changed --------------------------------------------------------------------------- */

void imap_remember_told(struct imap_session *s, uint32_t index, const struct store_view *now)
{
	struct imap_selected *sel = &s->selected;
	struct imap_told *last = sel->n_told > 0 ? &sel->told[sel->n_told - 1] : NULL;
	struct store_uid uid = store_view_at(sel->view, index)->uid;
	uint64_t modseq = store_view_modseq(now);
	if (last && last->last_index + 1 == index && last->modseq == modseq) {
		last->last = uid;
		last->last_index = index;
		return;
	}
	if (last && last->last.v >= uid.v)
		sel->n_told = 0; /* only what the last command told is worth knowing */
	if (sel->n_told == sel->told_capacity) {
		sel->told_capacity = sel->told_capacity ? sel->told_capacity * 2 : 16;
		sel->told = base_realloc(sel->told, sel->told_capacity * sizeof(sel->told[0]));
	}
	sel->told[sel->n_told++] = (struct imap_told){uid, uid, index, modseq};
}

static void forget_told(struct imap_selected *sel)
{
	base_free(sel->told);
	sel->told = NULL;
	sel->n_told = sel->told_capacity = 0;
}

static bool was_told(const struct imap_selected *sel, const struct store_entry *entry)
{
	size_t low = 0, high = sel->n_told;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (sel->told[middle].last.v < entry->uid.v)
			low = middle + 1;
		else
			high = middle;
	}
	return low < sel->n_told && sel->told[low].first.v <= entry->uid.v &&
	       sel->told[low].modseq >= entry->modseq;
}

struct diff_context {
	struct imap_session *s;
	struct store_view *to;
	struct store_uid *vanished; /* descending, as they come */
	size_t n_vanished, capacity;
	uint32_t n_expunged; /* not yet told */
};

static void on_expunged(void *context, uint32_t old_index, const struct store_entry *entry)
{
	struct diff_context *d = context;
	if (!imap_has(d->s, IMAP_QRESYNC)) {
		imap_out_str(&d->s->out, "* ");
		imap_out_u64(&d->s->out, (uint64_t)old_index + 1);
		imap_out_str(&d->s->out, " EXPUNGE\r\n");
		return;
	}
	if (d->n_vanished == d->capacity) {
		d->capacity = d->capacity ? d->capacity * 2 : 64;
		d->vanished = base_realloc(d->vanished, d->capacity * sizeof(d->vanished[0]));
	}
	d->vanished[d->n_vanished++] = entry->uid;
}

/* RFC 7162 section 3.2.10: VANISHED instead of EXPUNGE. */
static void tell_vanished(struct diff_context *d)
{
	struct imap_set_builder builder = {0};
	for (size_t i = d->n_vanished; i > 0; i--)
		imap_set_add(&builder, d->vanished[i - 1].v);
	imap_out_str(&d->s->out, "* VANISHED ");
	imap_out_set(&d->s->out, &builder.set);
	imap_out_str(&d->s->out, "\r\n");
	imap_set_builder_done(&builder);
	d->n_vanished = 0;
}

static void on_changed(void *context, uint32_t new_index, const struct store_entry *entry)
{
	struct diff_context *d = context;
	if (d->n_vanished > 0)
		tell_vanished(d);
	if (!was_told(&d->s->selected, entry))
		imap_tell_flags(d->s, new_index, entry, d->to, false);
}

static void on_added(void *context, uint32_t new_count, uint32_t n_added)
{
	struct diff_context *d = context;
	if (d->n_vanished > 0)
		tell_vanished(d);
	if (n_added == 0)
		return;
	imap_out_str(&d->s->out, "* ");
	imap_out_u64(&d->s->out, new_count);
	imap_out_str(&d->s->out, " EXISTS\r\n");
}

static uint32_t count_expunged(const struct store_view *from, const struct store_view *to)
{
	struct store_uid next = {store_view_uid_next(from)};
	return store_view_count(from) - store_view_lower_bound(to, next);
}

static void move_to(struct imap_session *s, struct store_view *to)
{
	static const struct store_view_diff_ops ops = {
	        .expunged = on_expunged, .changed = on_changed, .added = on_added};
	struct imap_selected *sel = &s->selected;
	struct diff_context d = {.s = s, .to = to};
	const struct slice *names;
	struct store_view *from = sel->view;
	sel->view = to;
	if (store_view_keywords(to, &names) > sel->n_keywords_told)
		imap_tell_flag_names(s);
	store_view_diff(from, to, &ops, &d);
	if (d.n_vanished > 0)
		tell_vanished(&d);
	base_free(d.vanished);
	store_view_unref(from);
	forget_told(sel);
}

bool imap_sync(struct imap_session *s, bool allow_expunge)
{
	struct store_view *to;
	if (!s->selected.view)
		return true;
	struct status status = store_view_open(s->store, s->selected.id, &to);
	if (status.code == ERR_NOT_FOUND) {
		/* RFC 2180 section 3.3 */
		imap_leave(s, ERR_NOT_FOUND, "The selected mailbox was deleted");
		return false;
	}
	if (!is_ok(status))
		return true; /* what there is can still be read */
	if (to == s->selected.view || (!allow_expunge && count_expunged(s->selected.view, to) > 0))
		store_view_unref(to);
	else
		move_to(s, to);
	return true;
}

void imap_deselect(struct imap_session *s)
{
	struct imap_selected *sel = &s->selected;
	if (sel->watched)
		store_unwatch(s->store, &sel->watcher);
	store_view_unref(sel->view);
	forget_told(sel);
	*sel = (struct imap_selected){.watcher.event_fd = -1};
	base_free(s->saved.v);
	s->saved = (struct imap_set){0};
	if (s->state == IMAP_SELECTED)
		s->state = IMAP_AUTHENTICATED;
}

const char *imap_modseq_code(struct imap_session *s)
{
	if (!imap_has(s, IMAP_QRESYNC) || !s->selected.view)
		return NULL;
	return imap_code_printf(s, "HIGHESTMODSEQ %" PRIu64, store_view_modseq(s->selected.view));
}

/* ---- running commands ----------------------------------------------------------------------- */

static const struct imap_command *find_command(struct slice name)
{
	for (size_t i = 0; i < N_ELEMENTS(commands); i++)
		if (slice_ieq_str(name, commands[i].name))
			return &commands[i];
	return NULL;
}

static struct imap_reply refuse_state(const struct imap_session *s, const struct imap_command *cmd)
{
	if (cmd->states == IMAP_AUTHENTICATED)
		return imap_bad("Not while a mailbox is selected");
	if (!(cmd->states & (unsigned)s->state))
		return imap_bad("Select a mailbox first");
	return imap_no("READ-ONLY", "The mailbox was opened read-only");
}

static struct imap_reply dispatch(struct imap_session *s, struct imap_args *args, bool *ret_expunge)
{
	struct slice name = imap_atom(&args->c);
	if (slice_ieq_str(name, "UID")) {
		args->uid = true;
		imap_sp(&args->c);
		name = imap_atom(&args->c);
	}
	if (!cursor_ok(&args->c))
		return imap_bad_cursor(&args->c);
	const struct imap_command *cmd = find_command(name);
	if (!cmd || (args->uid && !(cmd->flags & IMAP_TAKES_UID)))
		return imap_bad("Unknown command");
	bool writes_here = (cmd->flags & IMAP_WRITES) && s->selected.read_only;
	if (!(cmd->states & (unsigned)s->state) || writes_here)
		return refuse_state(s, cmd);
	*ret_expunge = !(cmd->flags & IMAP_KEEP_SEQ) || args->uid;
	return cmd->run(s, args);
}

static void count_bad(struct imap_session *s, struct imap_reply reply)
{
	unsigned max = s->options->bad_max ? s->options->bad_max : 20;
	s->n_bad = reply.kind == IMAP_BAD ? s->n_bad + 1 : 0;
	if (s->n_bad >= max)
		imap_leave(s, ERR_PROTOCOL, "Too many commands that make no sense");
}

static void finish(struct imap_session *s, struct imap_reply reply, bool allow_expunge)
{
	if (s->state == IMAP_LOGOUT && !is_ok(s->end))
		return; /* a BYE was said */
	if (arena_failed(&s->arena) && reply.kind == IMAP_OK)
		reply = imap_no("LIMIT", "the command needs too much memory");
	if (s->state != IMAP_LOGOUT && !imap_sync(s, allow_expunge))
		return;
	write_reply(s, reply);
	count_bad(s, reply);
}

/* A command whose unit could not be cut: only its tag is known. */
static void answer_unusable(struct imap_session *s, struct status status)
{
	struct cursor c = cursor_of(buf_slice(&s->reader.unit));
	s->tag = imap_tag(&c);
	if (cursor_peek(&c) != ' ')
		s->tag = slice_empty();
	if (status.code == ERR_LIMIT && s->tag.n > 0)
		finish(s, imap_no("TOOBIG", status.why), false);
	else
		finish(s, imap_bad(status.why), false);
}

static void run_unit(struct imap_session *s)
{
	struct imap_args args = {.c = cursor_of(buf_slice(&s->reader.unit))};
	bool allow_expunge = false;
	s->tag = imap_tag(&args.c);
	imap_sp(&args.c);
	if (!cursor_ok(&args.c)) {
		s->tag = slice_empty();
		finish(s, imap_bad_cursor(&args.c), false);
		return;
	}
	/* APPEND reads more units into the same memory. */
	s->tag = arena_copy(&s->arena, s->tag);
	struct imap_reply reply = dispatch(s, &args, &allow_expunge);
	if (s->reader.at_message) { /* APPEND was refused before its message was read */
		struct status status = imap_reader_refuse_message(&s->reader);
		if (!is_ok(status)) {
			write_reply(s, reply);
			imap_leave(s, ERR_PROTOCOL, status.why);
			return;
		}
	}
	finish(s, reply, allow_expunge);
}

bool imap_stopped(const struct imap_session *s)
{
	return s->options->stop && atomic_load(s->options->stop);
}

static int session_timeout_ms(const struct imap_session *s)
{
	return s->options->timeout_ms ? s->options->timeout_ms : IMAP_TIMEOUT_MS_DEFAULT;
}

void imap_drain_wake(const struct imap_session *s)
{
	uint64_t count;
	if (s->options->wake_fd >= 0)
		(void)!read(s->options->wake_fd, &count, sizeof(count));
}

/* Waits for the first byte of a command; told to stop meanwhile, or after too long, it ends. */
static struct status await_command(struct imap_session *s)
{
	enum stream_event event;
	do {
		if (imap_stopped(s))
			return fail(ERR_CANCELED,
			            "The server is restarting, come back in a moment");
		if (stream_buffered(s->options->stream).n > 0)
			return ok(); /* pipelined commands are answered together */
		TRY(stream_wait(s->options->stream, s->options->wake_fd, session_timeout_ms(s),
		                &event));
		if (event == STREAM_TIMEOUT)
			return fail(ERR_TIMEOUT, "Nothing was asked for too long");
		if (event == STREAM_WOKEN)
			imap_drain_wake(s);
	} while (event != STREAM_INPUT);
	return ok();
}

void imap_lose(struct imap_session *s, struct status status)
{
	if (status.code == ERR_CANCELED || status.code == ERR_TIMEOUT ||
	    status.code == ERR_PROTOCOL) {
		imap_leave(s, status.code, status.why);
		return;
	}
	s->end = status;
	s->state = IMAP_LOGOUT;
}

static void step(struct imap_session *s)
{
	arena_reset(&s->arena);
	s->tag = slice_empty();
	struct status status = await_command(s);
	if (is_ok(status))
		status = imap_reader_next(&s->reader);
	if (is_ok(status))
		run_unit(s);
	else if (status.code == ERR_SYNTAX || status.code == ERR_LIMIT)
		answer_unusable(s, status);
	else
		imap_lose(s, status);
	if (!imap_out_ok(&s->out))
		imap_lose(s, s->out.status);
}

/* ---- life ----------------------------------------------------------------------------------- */

static void greet(struct imap_session *s)
{
	const char *tag = s->options->login_tag;
	if (tag && *tag) {
		imap_out_str(&s->out, tag);
		imap_out_str(&s->out, " OK [");
	} else {
		imap_out_str(&s->out, "* PREAUTH [");
	}
	imap_write_capabilities(s);
	imap_out_str(&s->out, "] ");
	imap_out_text(&s->out,
	              slice_str(s->options->login_text ? s->options->login_text : "Logged in"));
	imap_out_str(&s->out, "\r\n");
}

static void session_init(struct imap_session *s, const struct imap_session_options *options)
{
	static const struct imap_reader_limits limits = {
	        .line_max = IMAP_LINE_MAX,
	        .literal_max = LITERALS_SIZE,
	        .non_sync_max = LITERALS_SIZE,
	        .total_max = LITERALS_SIZE,
	        .literals_max = LITERALS_MAX,
	        .discard_max = DISCARD_MAX,
	        .message_literals = true,
	};
	*s = (struct imap_session){
	        .options = options,
	        .store = options->store,
	        .state = IMAP_AUTHENTICATED,
	        .end = ok(),
	        .selected.watcher.event_fd = -1,
	};
	options->stream->timeout_ms = session_timeout_ms(s);
	imap_out_init(&s->out, options->stream);
	imap_reader_init(&s->reader, options->stream, &limits);
	s->reader.limits.discard_max = MAX(DISCARD_MAX, imap_append_max(s));
	arena_init(&s->arena, IMAP_COMMAND_MEMORY);
}

static void session_done(struct imap_session *s)
{
	imap_deselect(s);
	imap_forget_parsed(s);
	arena_done(&s->arena);
	imap_reader_done(&s->reader);
}

struct status imap_session_run(const struct imap_session_options *options)
{
	struct imap_session s;
	session_init(&s, options);
	greet(&s);
	while (s.state != IMAP_LOGOUT)
		step(&s);
	imap_out_flush(&s.out);
	session_done(&s);
	return s.end;
}

struct status imap_session_refuse(struct stream *stream, const char *login_tag, struct status why)
{
	struct imap_out out;
	imap_out_init(&out, stream);
	imap_out_str(&out, login_tag && *login_tag ? login_tag : "*");
	imap_out_str(&out, login_tag && *login_tag
	                           ? " NO [UNAVAILABLE] The account cannot be opened: "
	                           : " BYE The account cannot be opened: ");
	imap_out_text(&out, slice_str(why.why));
	imap_out_str(&out, "\r\n");
	imap_out_flush(&out);
	return out.status;
}
