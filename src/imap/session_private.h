/* Inside of a session: what its commands share. One file per family of commands (cmd_*.c).
 *
 * A command reads its arguments from a cursor over the whole unit, writes its untagged responses
 * and gives back how it ended; the loop in session.c then tells what happened in the selected
 * mailbox meanwhile and writes the tagged line.
 */
#pragma once

#include "imap/out.h"
#include "imap/reader.h"
#include "imap/session.h"
#include "imap/set.h"
#include "imap/syntax.h"
#include "message/part.h"
#include "message/transfer.h"

#define IMAP_COMMAND_MEMORY ((size_t)64 * 1024 * 1024) /* of one command's arena */

enum imap_state {
	IMAP_AUTHENTICATED = 1,
	IMAP_SELECTED = 2,
	IMAP_LOGOUT = 4,
};

enum imap_reply_kind { IMAP_OK, IMAP_NO, IMAP_BAD, IMAP_BYE };

struct imap_reply {
	enum imap_reply_kind kind;
	const char *code; /* inside the brackets; NULL without one */
	const char *text;
};

/* Extensions a client may turn on (ENABLE, RFC 5161), and those that commands turn on. */
enum imap_enabled {
	IMAP_CONDSTORE = 1,
	IMAP_QRESYNC = 2,
	IMAP_UTF8 = 4,
	IMAP_REV2 = 8,
};

/* Messages whose flags this session already told as of a view's modseq, so that moving to the next
 * view does not tell them again: ranges of messages that follow each other in the selected view.
 * Ascending. */
struct imap_told {
	struct store_uid first, last;
	uint32_t last_index;
	uint64_t modseq;
};

struct imap_selected {
	struct store_mailbox_id id;
	struct store_view *view; /* NULL while nothing is selected */
	struct store_watcher watcher;
	bool watched;
	bool read_only;
	struct imap_told *told;
	size_t n_told, told_capacity;
	size_t n_keywords_told; /* the FLAGS response listed that many */
};

/* The structure of the message that was parsed last (parts of it are often fetched one by one). */
struct imap_parsed {
	struct store_message_id message;
	struct message_part *root;
	struct arena arena;
	struct store_blob *blob;
	/* Where decoding for a partial BINARY ended: the next one of the part goes on there. */
	struct imap_decoding {
		bool known;
		uint64_t part; /* its body_offset */
		uint64_t encoded_at, decoded_at;
		struct message_transfer transfer;
	} decoding;
};

struct imap_session {
	const struct imap_session_options *options;
	struct store *store;
	struct imap_out out;
	struct imap_reader reader;
	struct arena arena; /* of the command */
	enum imap_state state;
	unsigned enabled; /* enum imap_enabled */
	struct slice tag; /* of the command under way */
	struct imap_selected selected;
	struct imap_set saved; /* "$" (RFC 5182): UIDs, on the heap */
	struct imap_parsed parsed;
	unsigned n_bad;
	struct status end; /* why the session ends, when it does */
};

enum imap_command_flags {
	IMAP_TAKES_UID = 1, /* may follow "UID" */
	IMAP_ONLY_UID = 2,  /* the UID form only */
	IMAP_KEEP_SEQ = 4,  /* no EXPUNGE before its tagged answer unless it was the UID form */
	IMAP_WRITES = 8,    /* needs a mailbox selected with SELECT, not EXAMINE */
};

struct imap_args {
	struct cursor c;
	bool uid; /* the UID form of the command */
};

struct imap_command {
	const char *name;
	unsigned states; /* enum imap_state */
	unsigned flags;
	struct imap_reply (*run)(struct imap_session *s, struct imap_args *args);
};

/* ---- answers -------------------------------------------------------------------------------- */

static inline struct imap_reply imap_ok(const char *text)
{
	return (struct imap_reply){IMAP_OK, NULL, text};
}
static inline struct imap_reply imap_no(const char *code, const char *text)
{
	return (struct imap_reply){IMAP_NO, code, text};
}
static inline struct imap_reply imap_bad(const char *text)
{
	return (struct imap_reply){IMAP_BAD, NULL, text};
}
/* A failure of the store as a NO with the code that RFC 5530 has for it. */
struct imap_reply imap_no_status(struct status status);
/* A syntax error's BAD, or the NO of one that stands for a limit. */
struct imap_reply imap_bad_cursor(const struct cursor *c);

static inline bool imap_has(const struct imap_session *s, enum imap_enabled what)
{
	return (s->enabled & (unsigned)what) != 0;
}
/* RFC 7162 section 3.1: CONDSTORE is turned on by any command that uses it. */
void imap_enable_condstore(struct imap_session *s);

/* ---- the selected mailbox ------------------------------------------------------------------- */

/* Moves to the newest view and tells what changed; with expunges only where they are allowed. False
 * when the mailbox has gone: then a BYE was written. */
bool imap_sync(struct imap_session *s, bool allow_expunge);
void imap_deselect(struct imap_session *s);
void imap_forget_parsed(struct imap_session *s);
/* Whether the session was asked to end. */
bool imap_stopped(const struct imap_session *s);
void imap_drain_wake(const struct imap_session *s);
/* Ends the session with a BYE. */
void imap_leave(struct imap_session *s, enum err code, const char *bye);
/* Ends it because reading or writing failed: with a BYE where the client can still read one. */
void imap_lose(struct imap_session *s, struct status status);
/* [HIGHESTMODSEQ n] for answers of a session that resynchronises with QRESYNC; else NULL. */
const char *imap_modseq_code(struct imap_session *s);

/* "* n FETCH (FLAGS (...))" with UID and MODSEQ as this session wants them. */
void imap_tell_flags(struct imap_session *s, uint32_t index, const struct store_entry *entry,
                     const struct store_view *names, bool uid);
void imap_write_flags(struct imap_session *s, uint64_t flags, const struct store_view *names);
/* "* FLAGS (...)" and, for a mailbox being selected or that got new keywords, PERMANENTFLAGS. */
void imap_tell_flag_names(struct imap_session *s);
/* The message of that index of the selected view was told as `now` has it. */
void imap_remember_told(struct imap_session *s, uint32_t index, const struct store_view *now);

/* "* VANISHED (EARLIER) ..." (RFC 7162 section 3.2.10.1): what was expunged after modseq, of
 * `known` (NULL: anything). Where the log does not reach back that far, nothing up to
 * above_if_incomplete. */
void imap_tell_vanished_earlier(struct imap_session *s, uint64_t modseq,
                                const struct imap_set *known, uint32_t above_if_incomplete);

/* A set of the selected mailbox: sequence-set / "$", read and resolved. Fails the cursor when a
 * sequence number does not exist (RFC 9051 section 9, seq-number). Freed with the arena. */
bool imap_parse_set(struct imap_session *s, struct cursor *c, bool uid, struct imap_set *ret_uids);
bool imap_read_set(struct imap_session *s, struct imap_args *args, struct imap_set *ret_uids);

/* ---- names ---------------------------------------------------------------------------------- */

/* mailbox = "INBOX" / astring, as the store knows it. False: args->c has failed, or *ret_reply (NO)
 * is set when the name is well-formed but impossible. */
/* Text of a name or pattern as UTF-8. */
struct status imap_name_decode(struct imap_session *s, struct slice text, struct slice *ret_utf8);
bool imap_read_mailbox(struct imap_session *s, struct imap_args *args, struct slice *ret_name,
                       struct imap_reply *ret_reply);
/* A decoded argument as a mailbox name; INVALID with a reason. */
struct status imap_mailbox_name(struct imap_session *s, struct slice text, struct slice *ret_name);
void imap_write_mailbox(struct imap_session *s, struct slice name);
/* The name as this session spells it (INBOX; UTF-8 or modified UTF-7), in the arena. */
struct slice imap_mailbox_spelling(struct imap_session *s, struct slice name);
void imap_write_mailbox_id(struct imap_session *s, struct store_mailbox_id id);

/* ---- commands that others use --------------------------------------------------------------- */

/* status-att-list with its parentheses; the untagged STATUS. */
#define IMAP_STATUS_ITEMS_MAX 16
struct imap_status_items {
	unsigned bits;
};
void imap_read_status_items(struct cursor *c, struct imap_status_items *ret_items);
void imap_write_status(struct imap_session *s, const struct store_mailbox *mailbox,
                       struct imap_status_items items);

/* flag-list of STORE and APPEND. */
struct imap_flags {
	uint64_t system_bits;
	struct slice *keywords;
	size_t n_keywords;
};
uint64_t imap_system_flag(struct slice name); /* 0: there is none of that name */
void imap_read_flag_list(struct cursor *c, struct arena *arena, struct imap_flags *ret_flags);
/* The same without parentheses required (STORE). */
void imap_read_store_flags(struct cursor *c, struct arena *arena, struct imap_flags *ret_flags);

const char *imap_code_printf(struct imap_session *s, const char *format, ...)
        __attribute__((format(printf, 2, 3)));

extern const char imap_capabilities[]; /* after login, but APPENDLIMIT's value */
void imap_write_capabilities(struct imap_session *s);
uint64_t imap_append_max(const struct imap_session *s);

#define IMAP_COMMAND(name)                                                                         \
	struct imap_reply imap_cmd_##name(struct imap_session *s, struct imap_args *args)
IMAP_COMMAND(capability);
IMAP_COMMAND(noop);
IMAP_COMMAND(logout);
IMAP_COMMAND(id);
IMAP_COMMAND(enable);
IMAP_COMMAND(namespace);
IMAP_COMMAND(idle);
IMAP_COMMAND(login_again);
IMAP_COMMAND(select);
IMAP_COMMAND(examine);
IMAP_COMMAND(close);
IMAP_COMMAND(unselect);
IMAP_COMMAND(check);
IMAP_COMMAND(create);
IMAP_COMMAND(delete);
IMAP_COMMAND(rename);
IMAP_COMMAND(subscribe);
IMAP_COMMAND(unsubscribe);
IMAP_COMMAND(status);
IMAP_COMMAND(list);
IMAP_COMMAND(lsub);
IMAP_COMMAND(append);
IMAP_COMMAND(fetch);
IMAP_COMMAND(search);
IMAP_COMMAND(store);
IMAP_COMMAND(copy);
IMAP_COMMAND(move);
IMAP_COMMAND(expunge);
IMAP_COMMAND(getquota);
IMAP_COMMAND(getquotaroot);
