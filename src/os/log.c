/* Log lines: logfmt or JSON, printable ASCII only, one write each.
 *
 * Text format: blank-separated key=value; a value is quoted when it is empty or holds anything but
 * letters, digits and plain punctuation. Inside quotes `"` and `\` are escaped with `\`, and every
 * byte outside 0x20..0x7e is `\xNN`.
 *
 * JSON: one object a line (RFC 8259 section 7): valid UTF-8 becomes \uHHHH (with surrogates), each
 * invalid byte \ufffd.
 *
 * A line is built in a buffer on the stack of LOG_LINE_MAX bytes. What no longer fits is left out
 * from the end, whole fields at a time, so a cut line still parses.
 */
#include "os/log.h"

#include "base/clock.h"

#include <errno.h>
#include <stdatomic.h>

#define ROOM_MAX  32
#define TAIL_SIZE 2 /* "}" and LF always fit */

static struct {
	_Atomic int level;
	int fd;
	enum log_format format;
	char room[ROOM_MAX];
} sink = {.level = LOG_LEVEL_INFO, .fd = STDERR_FILENO, .room = "mailkeep"};

static const char *const level_names[] = {
        [LOG_LEVEL_DEBUG] = "debug",
        [LOG_LEVEL_INFO] = "info",
        [LOG_LEVEL_WARN] = "warn",
        [LOG_LEVEL_ERROR] = "error",
};

struct line {
	char p[LOG_LINE_MAX];
	size_t n;
	bool full; /* since the last mark */
};

static void put(struct line *line, char c)
{
	if (line->n < sizeof(line->p) - TAIL_SIZE)
		line->p[line->n++] = c;
	else
		line->full = true;
}

static void put_text(struct line *line, const char *text)
{
	for (; *text; text++)
		put(line, *text);
}

static void put_number(struct line *line, uint64_t value, unsigned base, unsigned min_digits)
{
	char digits[24];
	unsigned n = 0;
	do {
		digits[n++] = "0123456789abcdef"[value % base];
		value /= base;
	} while (value > 0 || n < min_digits);
	while (n > 0)
		put(line, digits[--n]);
}

static void put_signed(struct line *line, int64_t value)
{
	if (value < 0)
		put(line, '-');
	put_number(line, value < 0 ? 0 - (uint64_t)value : (uint64_t)value, 10, 1);
}

/* RFC 3339, UTC, milliseconds. */
static void put_time(struct line *line)
{
	struct timespec t;
	clock_gettime(CLOCK_REALTIME, &t);
	struct civil_time c = civil_from_unix(t.tv_sec);
	put_number(line, (uint64_t)c.year, 10, 4);
	put(line, '-');
	put_number(line, (uint64_t)c.month, 10, 2);
	put(line, '-');
	put_number(line, (uint64_t)c.day, 10, 2);
	put(line, 'T');
	put_number(line, (uint64_t)c.hour, 10, 2);
	put(line, ':');
	put_number(line, (uint64_t)c.minute, 10, 2);
	put(line, ':');
	put_number(line, (uint64_t)c.second, 10, 2);
	put(line, '.');
	put_number(line, (uint64_t)t.tv_nsec / 1000000, 10, 3);
	put(line, 'Z');
}

static bool is_plain(uint8_t c)
{
	return ascii_is_print(c) && c != ' ' && c != '"' && c != '\\' && c != '=';
}

static void put_escaped(struct line *line, uint8_t c)
{
	if (c == '"' || c == '\\') {
		put(line, '\\');
		put(line, (char)c);
	} else if (ascii_is_print(c)) {
		put(line, (char)c);
	} else {
		put_text(line, "\\x");
		put_number(line, c, 16, 2);
	}
}

static void put_value_text(struct line *line, struct slice value)
{
	bool plain = value.n > 0;
	for (size_t i = 0; i < value.n && plain; i++)
		plain = is_plain(value.p[i]);
	if (!plain)
		put(line, '"');
	for (size_t i = 0; i < value.n; i++)
		put_escaped(line, value.p[i]);
	if (!plain)
		put(line, '"');
}

/* RFC 3629 section 4: the code point at the start of s and its size; size 0 when it is not valid.
 */
static uint32_t utf8_decode(struct slice s, size_t *ret_size)
{
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
	uint8_t c = s.p[0];
	size_t size = c < 0x80 ? 1 : c >= 0xf0 && c < 0xf8 ? 4 : c >= 0xe0 ? 3 : c >= 0xc0 ? 2 : 0;
	*ret_size = 0;
	if (size == 0 || size > s.n || c >= 0xf8)
		return 0;
	uint32_t code = size == 1 ? c : c & (0x7fU >> size);
	for (size_t i = 1; i < size; i++) {
		if ((s.p[i] & 0xc0) != 0x80)
			return 0;
		code = code << 6 | (s.p[i] & 0x3f);
	}
	if (code < least[size] || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff))
		return 0;
	*ret_size = size;
	return code;
}

static void put_json_unit(struct line *line, uint32_t unit)
{
	put_text(line, "\\u");
	put_number(line, unit, 16, 4);
}

static void put_json_code(struct line *line, uint32_t code)
{
	if (code == '"' || code == '\\') {
		put(line, '\\');
		put(line, (char)code);
	} else if (code < 0x80 && ascii_is_print((uint8_t)code)) {
		put(line, (char)code);
	} else if (code < 0x10000) {
		put_json_unit(line, code);
	} else {
		put_json_unit(line, 0xd800 + ((code - 0x10000) >> 10));
		put_json_unit(line, 0xdc00 + ((code - 0x10000) & 0x3ff));
	}
}

static void put_json_text(struct line *line, struct slice value)
{
	put(line, '"');
	while (value.n > 0) {
		size_t size;
		uint32_t code = utf8_decode(value, &size);
		put_json_code(line, size > 0 ? code : 0xfffd);
		value = slice_from(value, size > 0 ? size : 1);
	}
	put(line, '"');
}

static bool is_json(void)
{
	return sink.format == LOG_FORMAT_JSON;
}

static void put_key(struct line *line, const char *key)
{
	if (line->n > 1 || !is_json())
		put(line, is_json() ? ',' : ' ');
	if (is_json())
		put(line, '"');
	put_text(line, key);
	put_text(line, is_json() ? "\":" : "=");
}

static void put_value(struct line *line, const struct log_field *field)
{
	struct slice text = slice_sub(field->text, 0, LOG_VALUE_MAX);
	switch (field->kind) {
	case LOG_KIND_TEXT:
		if (is_json())
			put_json_text(line, text);
		else
			put_value_text(line, text);
		break;
	case LOG_KIND_INT:
		put_signed(line, field->number.i);
		break;
	case LOG_KIND_UINT:
		put_number(line, field->number.u, 10, 1);
		break;
	case LOG_KIND_BOOL:
		put_text(line, field->number.u ? "true" : "false");
		break;
	}
}

/* A field that does not fit is taken back, and later ones are not tried. */
static void put_field(struct line *line, const struct log_field *field)
{
	size_t mark = line->n;
	if (line->full)
		return;
	put_key(line, field->key);
	put_value(line, field);
	if (line->full)
		line->n = mark;
}

static void put_head_text(struct line *line, enum log_level level)
{
	put_time(line);
	put(line, ' ');
	put_text(line, level_names[level]);
	put(line, ' ');
	put_text(line, sink.room);
	put(line, ' ');
	put_number(line, (uint64_t)getpid(), 10, 1);
}

static void put_head_json(struct line *line, enum log_level level)
{
	put_text(line, "{\"time\":\"");
	put_time(line);
	put(line, '"');
	put_field(line, &LOG_STR("level", level_names[level]));
	put_field(line, &LOG_STR("room", sink.room));
	put_field(line, &LOG_INT("pid", getpid()));
}

static void put_cid(struct line *line, uint64_t cid)
{
	if (cid == 0)
		return;
	put_key(line, "cid");
	if (is_json())
		put(line, '"');
	put_number(line, cid, 16, 1);
	if (is_json())
		put(line, '"');
}

/* One try: a log that nobody reads must not stop the mail. */
static void send_line(struct line *line)
{
	int saved = errno;
	ssize_t n;
	if (is_json())
		line->p[line->n++] = '}';
	line->p[line->n++] = '\n';
	do {
		n = write(sink.fd, line->p, line->n);
	} while (n < 0 && errno == EINTR);
	errno = saved;
}

void log_setup(const struct log_options *options)
{
	struct slice room = slice_sub(slice_str(options->room), 0, ROOM_MAX - 1);
	if (room.n > 0) {
		memcpy(sink.room, room.p, room.n);
		sink.room[room.n] = '\0';
	}
	sink.fd = options->fd > 0 ? options->fd : STDERR_FILENO;
	sink.format = options->format;
	log_set_level(options->level);
}

void log_set_level(enum log_level level)
{
	atomic_store_explicit(&sink.level, (int)level, memory_order_relaxed);
}

bool log_enabled(enum log_level level)
{
	return (int)level >= atomic_load_explicit(&sink.level, memory_order_relaxed);
}

bool log_level_parse(struct slice text, enum log_level *ret_level)
{
	for (size_t i = 0; i < N_ELEMENTS(level_names); i++) {
		if (slice_ieq_str(text, level_names[i])) {
			*ret_level = (enum log_level)i;
			return true;
		}
	}
	return false;
}

const char *log_level_name(enum log_level level)
{
	return (size_t)level < N_ELEMENTS(level_names) ? level_names[level] : "unknown";
}

void log_fields(enum log_level level, uint64_t cid, const char *msg, const struct log_field *fields,
                size_t n_fields)
{
	struct line line;
	line.n = 0;
	line.full = false;
	if (!log_enabled(level))
		return;
	if (is_json())
		put_head_json(&line, level);
	else
		put_head_text(&line, level);
	put_cid(&line, cid);
	put_field(&line, &LOG_STR("msg", msg));
	for (size_t i = 0; i < n_fields; i++)
		put_field(&line, &fields[i]);
	send_line(&line);
}
