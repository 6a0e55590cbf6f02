/* SEARCH: the program that a command is parsed into, and its evaluation (RFC 9051 section 6.4.4).
 */
#pragma once

#include "imap/session_private.h"

#define IMAP_SEARCH_KEYS_MAX      1000u
#define IMAP_SEARCH_DEPTH_MAX     50u
#define IMAP_SEARCH_BODY_KEYS_MAX 50u /* each decodes whole messages */

/* In the order of what they cost. */
enum imap_search_cost {
	IMAP_COST_VIEW,    /* flags, sizes, numbers */
	IMAP_COST_SUMMARY, /* what the store keeps beside a message: the Date header's day, ENVELOPE
	                    */
	IMAP_COST_HEADER,  /* the header is read */
	IMAP_COST_BODY,    /* all of the message is read and decoded */
};

enum imap_search_op {
	IMAP_SEARCH_AND, /* of its children; none: true */
	IMAP_SEARCH_OR,
	IMAP_SEARCH_NOT,
	IMAP_SEARCH_ALL,
	IMAP_SEARCH_NONE,
	IMAP_SEARCH_UIDS,   /* set */
	IMAP_SEARCH_FLAGS,  /* all bits of `set_bits`, none of `clear_bits` */
	IMAP_SEARCH_LARGER, /* number */
	IMAP_SEARCH_SMALLER,
	IMAP_SEARCH_RECEIVED_DAY, /* number .. number_to, days */
	IMAP_SEARCH_SAVED_DAY,
	IMAP_SEARCH_SENT_DAY,
	IMAP_SEARCH_RECEIVED_AFTER,  /* number, unix seconds (YOUNGER) */
	IMAP_SEARCH_RECEIVED_BEFORE, /* (OLDER) */
	IMAP_SEARCH_MODSEQ,          /* at least number */
	IMAP_SEARCH_EMAILID,         /* number */
	IMAP_SEARCH_ENVELOPE,        /* the envelope's field (number) contains text */
	IMAP_SEARCH_HEADER,          /* field contains text; empty text: it is there */
	IMAP_SEARCH_BODY,            /* text */
	IMAP_SEARCH_TEXT,
};

struct imap_search_key {
	enum imap_search_op op;
	enum imap_search_cost cost; /* with its children's */
	struct imap_search_key *parent, *next, *children;
	struct imap_set set;
	uint64_t set_bits, clear_bits;
	int64_t number, number_to;
	struct slice field;
	struct slice text; /* of what is looked for: made comparable */
};

enum imap_search_return {
	IMAP_RETURN_MIN = 1,
	IMAP_RETURN_MAX = 2,
	IMAP_RETURN_ALL = 4,
	IMAP_RETURN_COUNT = 8,
	IMAP_RETURN_SAVE = 16,
};

struct imap_search {
	struct imap_search_key *root;
	bool extended; /* RETURN (...) was given */
	unsigned returns;
	bool has_modseq;
	bool bad_charset;
	unsigned n_keys, n_body_keys;
	enum imap_search_cost cost;
	bool needs_envelope;
};

/* Everything behind "SEARCH". */
void imap_search_parse(struct imap_session *s, struct imap_args *args,
                       struct imap_search *ret_search);

/* Called for each message that matches, in order. Failing: the search is not complete. */
struct status imap_search_run(struct imap_session *s, const struct imap_search *search,
                              void (*found)(void *context, uint32_t index,
                                            const struct store_entry *entry),
                              void *context);
