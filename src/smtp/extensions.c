/* EHLO keywords. Enhanced codes do not stand in this reply (RFC 2034 section 4). */
#include "smtp/extensions.h"

#include "base/clock.h"
#include "smtp/reply.h"

#include <stdarg.h>

/* The last line gets a space for its hyphen. */
struct lines {
	struct buf *out;
	size_t hyphen_at;
};

PRINTF(2, 3) static void add(struct lines *lines, const char *format, ...);

static void add(struct lines *lines, const char *format, ...)
{
	char line[SMTP_REPLY_LINE_MAX];
	va_list args;
	va_start(args, format);
	vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	lines->hyphen_at = lines->out->n + strlen("250");
	buf_add_str(lines->out, "250-");
	buf_add_line_safe(lines->out, slice_str(line));
	buf_add_str(lines->out, "\r\n");
}

static void add_mechanisms(struct lines *lines, const char *const *names)
{
	char line[SMTP_REPLY_LINE_MAX] = "AUTH";
	size_t n = strlen(line);
	if (!names || !names[0])
		return;
	for (; *names && n < sizeof(line); names++)
		n += (size_t)snprintf(line + n, sizeof(line) - n, " %.20s", *names);
	ASSERT(n < sizeof(line));
	add(lines, "%s", line);
}

static void add_submission(struct lines *lines, const struct smtp_extensions *e)
{
	struct civil_time t = civil_from_unix(e->now_s + (int64_t)e->hold_s);
	add(lines, "FUTURERELEASE %" PRIu64 " %04d-%02d-%02dT%02d:%02d:%02dZ", e->hold_s, t.year,
	    t.month, t.day, t.hour, t.minute, t.second); /* RFC 4865 */
	add(lines, "DELIVERBY");                         /* RFC 2852 */
	add(lines, "MT-PRIORITY");                       /* RFC 6710 */
}

void smtp_extensions_print(const struct smtp_extensions *e, struct buf *out)
{
	struct lines lines = {.out = out};
	add(&lines, "%s", e->hostname);
	add(&lines, "PIPELINING");                     /* RFC 2920 */
	add(&lines, "SIZE %" PRIu64, e->message_size); /* RFC 1870 */
	if (e->starttls)
		add(&lines, "STARTTLS");       /* RFC 3207 */
	add_mechanisms(&lines, e->mechanisms); /* RFC 4954 */
	add(&lines, "8BITMIME");               /* RFC 6152 */
	add(&lines, "ENHANCEDSTATUSCODES");    /* RFC 2034 */
	add(&lines, "SMTPUTF8");               /* RFC 6531 */
	add(&lines, "CHUNKING");               /* RFC 3030 */
	add(&lines, "BINARYMIME");             /* RFC 3030 */
	add(&lines, "DSN");                    /* RFC 3461 */
	if (e->submission)
		add_submission(&lines, e);
	if (e->tls)
		add(&lines, "REQUIRETLS"); /* RFC 8689 */
	if (e->transactions)
		add(&lines, "LIMITS RCPTMAX=%u MAILMAX=%u", e->rcpts, e->transactions);
	else
		add(&lines, "LIMITS RCPTMAX=%u", e->rcpts); /* RFC 9422 */
	ASSERT(!buf_failed(out));
	out->p[lines.hyphen_at] = ' ';
}
