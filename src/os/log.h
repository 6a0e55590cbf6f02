/* One line per event, to standard error or a given descriptor.
 *
 *	log_info(cid, "message stored", LOG_UINT("size", size), LOG_SLICE("from", sender));
 *
 * gives, in the text format (logfmt),
 *	2026-11-22T17:20:31.042Z info gate 4711 cid=1f3a msg="message stored" size=812 from=<a@b>
 * or a JSON object of the same members. Values are escaped to printable ASCII and cut at
 * LOG_VALUE_MAX bytes, so that text of a peer can neither forge a line nor reach a terminal. A line
 * is written by one write(2) and is at most LOG_LINE_MAX bytes; it is dropped rather than waited
 * for when the sink is stuck. Safe from any thread, and from a signal handler.
 *
 * Libraries never log: whoever gives up does, once. Never log secrets.
 *
 * The sink set up here is the only mutable global of the program besides signal flags.
 */
#pragma once

#include "base/slice.h"
#include "base/status.h"

#define LOG_VALUE_MAX ((size_t)256)  /* bytes of one value before escaping */
#define LOG_LINE_MAX  ((size_t)4096) /* PIPE_BUF: longer writes to a pipe may interleave */

enum log_level {
	LOG_LEVEL_DEBUG,
	LOG_LEVEL_INFO,
	LOG_LEVEL_WARN,
	LOG_LEVEL_ERROR,
};
enum log_format {
	LOG_FORMAT_TEXT,
	LOG_FORMAT_JSON,
};

struct log_options {
	const char *room; /* at most 31 bytes are kept */
	int fd;           /* not owned; a zeroed struct means standard error */
	enum log_level level;
	enum log_format format;
};
/* At the start of a process (before it has threads) and after a fork that changes its role. */
void log_setup(const struct log_options *options);
void log_set_level(enum log_level level); /* any time, any thread */
bool log_enabled(enum log_level level);
bool log_level_parse(struct slice text, enum log_level *ret_level);
const char *log_level_name(enum log_level level);

enum log_kind {
	LOG_KIND_TEXT,
	LOG_KIND_INT,
	LOG_KIND_UINT,
	LOG_KIND_BOOL,
};
struct log_field {
	const char *key; /* our own: letters, digits, underscore */
	enum log_kind kind;
	struct slice text;
	union {
		int64_t i;
		uint64_t u;
	} number;
};
#define LOG_STR(k, cstr)                                                                           \
	((struct log_field){.key = (k), .kind = LOG_KIND_TEXT, .text = slice_str(cstr)})
#define LOG_SLICE(k, s) ((struct log_field){.key = (k), .kind = LOG_KIND_TEXT, .text = (s)})
#define LOG_INT(k, v)   ((struct log_field){.key = (k), .kind = LOG_KIND_INT, .number.i = (v)})
#define LOG_UINT(k, v)  ((struct log_field){.key = (k), .kind = LOG_KIND_UINT, .number.u = (v)})
#define LOG_BOOL(k, v)  ((struct log_field){.key = (k), .kind = LOG_KIND_BOOL, .number.u = (v)})
/* Two fields: err=code why="sentence". */
#define LOG_STATUS(status) LOG_STR("err", err_name((status).code)), LOG_STR("why", (status).why)

/* cid: the connection id that the gate gave, 0 when there is none; printed in hexadecimal. */
void log_fields(enum log_level level, uint64_t cid, const char *msg, const struct log_field *fields,
                size_t n_fields);

/* The fields are not evaluated when the level is off. */
#define log_event(level, cid, msg, ...)                                                            \
	do {                                                                                       \
		if (log_enabled(level)) {                                                          \
			const struct log_field log_fields_[] = {{.key = NULL}, ##__VA_ARGS__};     \
			log_fields((level), (cid), (msg), log_fields_ + 1,                         \
			           N_ELEMENTS(log_fields_) - 1);                                   \
		}                                                                                  \
	} while (0)
#define log_debug(cid, msg, ...) log_event(LOG_LEVEL_DEBUG, cid, msg, ##__VA_ARGS__)
#define log_info(cid, msg, ...)  log_event(LOG_LEVEL_INFO, cid, msg, ##__VA_ARGS__)
#define log_warn(cid, msg, ...)  log_event(LOG_LEVEL_WARN, cid, msg, ##__VA_ARGS__)
#define log_error(cid, msg, ...) log_event(LOG_LEVEL_ERROR, cid, msg, ##__VA_ARGS__)
