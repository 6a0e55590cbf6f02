/* Commands of any state: CAPABILITY, NOOP, LOGOUT, ID, ENABLE (RFC 5161), NAMESPACE, IDLE (RFC
 * 2177).
 */
#include "imap/id.h"
#include "imap/session_private.h"

const char imap_capabilities[] =
        "IMAP4rev1 IMAP4rev2 ENABLE IDLE NAMESPACE ID UNSELECT CHILDREN LITERAL+ UIDPLUS MOVE "
        "ESEARCH SEARCHRES LIST-EXTENDED LIST-STATUS SPECIAL-USE CREATE-SPECIAL-USE CONDSTORE "
        "QRESYNC BINARY STATUS=SIZE MULTIAPPEND WITHIN UTF8=ACCEPT OBJECTID SAVEDATE QUOTA "
        "QUOTA=RES-STORAGE APPENDLIMIT=";

uint64_t imap_append_max(const struct imap_session *s)
{
	/* RFC 7889 wants a number; clients read it as one of 32 bits. */
	uint64_t max = s->options->append_max ? s->options->append_max : IMAP_APPEND_MAX_DEFAULT;
	return MIN(max, (uint64_t)UINT32_MAX);
}

void imap_write_capabilities(struct imap_session *s)
{
	imap_out_str(&s->out, "CAPABILITY ");
	imap_out_str(&s->out, imap_capabilities);
	imap_out_u64(&s->out, imap_append_max(s));
}

static bool no_arguments(struct imap_args *args)
{
	cursor_expect_end(&args->c, "the command takes no arguments");
	return cursor_ok(&args->c);
}

struct imap_reply imap_cmd_capability(struct imap_session *s, struct imap_args *args)
{
	if (!no_arguments(args))
		return imap_bad_cursor(&args->c);
	imap_out_str(&s->out, "* ");
	imap_write_capabilities(s);
	imap_out_str(&s->out, "\r\n");
	return imap_ok("CAPABILITY done");
}

struct imap_reply imap_cmd_noop(struct imap_session *s, struct imap_args *args)
{
	(void)s;
	return no_arguments(args) ? imap_ok("NOOP done") : imap_bad_cursor(&args->c);
}

struct imap_reply imap_cmd_check(struct imap_session *s, struct imap_args *args)
{
	(void)s; /* everything is durable before it is acknowledged */
	return no_arguments(args) ? imap_ok("CHECK done") : imap_bad_cursor(&args->c);
}

struct imap_reply imap_cmd_logout(struct imap_session *s, struct imap_args *args)
{
	if (!no_arguments(args))
		return imap_bad_cursor(&args->c);
	imap_out_str(&s->out, "* BYE Goodbye\r\n");
	s->state = IMAP_LOGOUT;
	return imap_ok("LOGOUT done");
}

struct imap_reply imap_cmd_login_again(struct imap_session *s, struct imap_args *args)
{
	(void)s;
	(void)args;
	return imap_bad("You are logged in already");
}

struct imap_reply imap_cmd_id(struct imap_session *s, struct imap_args *args)
{
	if (!is_ok(imap_id_parse(&args->c, &s->arena)))
		return imap_bad_cursor(&args->c);
	imap_id_answer(&s->out);
	return imap_ok("ID done");
}

struct imap_reply imap_cmd_namespace(struct imap_session *s, struct imap_args *args)
{
	if (!no_arguments(args))
		return imap_bad_cursor(&args->c);
	imap_out_str(&s->out, "* NAMESPACE ((\"\" \"/\")) NIL NIL\r\n");
	return imap_ok("NAMESPACE done");
}

void imap_enable_condstore(struct imap_session *s)
{
	s->enabled |= IMAP_CONDSTORE;
}

/* enable = "ENABLE" 1*(SP capability). Unknown ones are ignored; QRESYNC brings CONDSTORE with it
 * (RFC 7162 section 3.2.3). */
struct imap_reply imap_cmd_enable(struct imap_session *s, struct imap_args *args)
{
	static const struct {
		const char *name;
		unsigned bits;
	} known[] = {
	        {"CONDSTORE", IMAP_CONDSTORE},
	        {"QRESYNC", IMAP_QRESYNC | IMAP_CONDSTORE},
	        {"UTF8=ACCEPT", IMAP_UTF8},
	        {"IMAP4rev2", IMAP_REV2},
	};
	unsigned wanted = 0;
	do {
		imap_sp(&args->c);
		struct slice name = imap_atom(&args->c);
		for (size_t i = 0; i < N_ELEMENTS(known); i++)
			if (slice_ieq_str(name, known[i].name))
				wanted |= known[i].bits;
	} while (!cursor_at_end(&args->c));
	if (!cursor_ok(&args->c))
		return imap_bad_cursor(&args->c);
	imap_out_str(&s->out, "* ENABLED");
	for (size_t i = 0; i < N_ELEMENTS(known); i++)
		if ((wanted & known[i].bits) == known[i].bits &&
		    (s->enabled & known[i].bits) != known[i].bits) {
			imap_out_byte(&s->out, ' ');
			imap_out_str(&s->out, known[i].name);
		}
	imap_out_str(&s->out, "\r\n");
	s->enabled |= wanted;
	return imap_ok("ENABLE done");
}

/* ---- IDLE ----------------------------------------------------------------------------------- */

/* Keeps NAT tables from forgetting the connection. */
#define IDLE_NOTIFY_MS_DEFAULT (2 * 60 * 1000)

/* One wait. False when IDLE is over: the client sent something, or the session ends. */
static bool idle_step(struct imap_session *s, int64_t until_ms, struct status *ret_status)
{
	enum stream_event event;
	int notify_ms =
	        s->options->idle_notify_ms ? s->options->idle_notify_ms : IDLE_NOTIFY_MS_DEFAULT;
	int64_t left = until_ms - clock_monotonic_ms(s->options->clock);
	if (left <= 0) {
		*ret_status = fail(ERR_TIMEOUT, "Idle for too long");
		return false;
	}
	*ret_status = stream_wait(s->options->stream, s->options->wake_fd,
	                          (int)MIN(left, (int64_t)notify_ms), &event);
	if (!is_ok(*ret_status) || event == STREAM_INPUT)
		return false;
	if (event == STREAM_TIMEOUT && left > notify_ms)
		imap_out_str(&s->out, "* OK Still here\r\n");
	if (event == STREAM_WOKEN)
		imap_drain_wake(s);
	if (imap_stopped(s)) {
		*ret_status = fail(ERR_CANCELED, "The server is restarting, come back in a moment");
		return false;
	}
	return imap_sync(s, true) && imap_out_ok(&s->out);
}

/* idle = "IDLE" CRLF "DONE" */
struct imap_reply imap_cmd_idle(struct imap_session *s, struct imap_args *args)
{
	struct status status;
	struct slice line;
	if (!no_arguments(args))
		return imap_bad_cursor(&args->c);
	if (!imap_sync(s, true))
		return imap_ok("");
	imap_out_str(&s->out, "+ idling\r\n");
	int timeout_ms = s->options->timeout_ms ? s->options->timeout_ms : IMAP_TIMEOUT_MS_DEFAULT;
	int64_t until_ms = clock_monotonic_ms(s->options->clock) + timeout_ms;
	while (idle_step(s, until_ms, &status))
		continue;
	if (s->state == IMAP_LOGOUT || !imap_out_ok(&s->out))
		return imap_ok("");
	if (is_ok(status))
		status = imap_reader_line(&s->reader, &line);
	if (status.code == ERR_SYNTAX || status.code == ERR_LIMIT)
		return imap_bad("IDLE ends with DONE");
	if (!is_ok(status)) {
		imap_lose(s, status);
		return imap_ok("");
	}
	return slice_ieq_str(line, "DONE") ? imap_ok("IDLE done") : imap_bad("IDLE ends with DONE");
}
