/* The structure of a message: its MIME parts as offsets into the bytes, found in one streaming
 * pass.
 *
 * A parser is fed the message in pieces of any size and holds only the header under way and the
 * tree of parts: constant memory for a message of any size (RFC 5322, 2045, 2046). Any bytes are a
 * message; what is broken is noted (message_defect), never refused.
 */
#pragma once

#include "base/arena.h"
#include "base/status.h"
#include "message/address.h"

/* Limits; past them the rest is kept as opaque bytes of the part reached and a defect is noted. */
#define MESSAGE_PARTS_MAX       10000u
#define MESSAGE_DEPTH_MAX       100u
#define MESSAGE_HEADER_SIZE_MAX (1024u * 1024) /* bytes of one header block that are looked at */
#define MESSAGE_HEADERS_MAX     10000u         /* fields of one header block that are looked at */
#define MESSAGE_FIELD_SIZE_MAX  (256u * 1024)  /* bytes of one field */
#define MESSAGE_PARAMS_MAX      100u           /* parameters of one Content-Type or -Disposition */
#define MESSAGE_ADDRESSES_MAX   1000u          /* of one field, in an envelope */
#define MESSAGE_BOUNDARY_MAX    1000u          /* bytes of a boundary that are compared */

enum message_kind { MESSAGE_LEAF, MESSAGE_MULTIPART, MESSAGE_RFC822 };

struct message_param {
	struct slice name; /* lower case; RFC 2231 continuations joined, "*" removed */
	struct slice
	        value; /* UTF-8 when an RFC 2231 charset was given, else as it came, unquoted */
	/* For those who pass parameters on undecoded, as IMAP does: the value's sections joined as
	 * they came; when extended it is "charset'language'percent-encoded" and belongs after
	 * "name*". */
	struct slice raw;
	bool extended;
};

/* The raw (unfolded, trimmed, not decoded) values for an IMAP ENVELOPE. Absent fields have
 * present bits unset; a field that is there may be empty. CR and LF are never in these strings, any
 * other byte may be, NUL included. Of a field that is there twice: addresses are joined, the last
 * string counts. */
struct message_envelope {
	bool has_date, has_subject, has_in_reply_to, has_message_id;
	struct slice date, subject, in_reply_to, message_id;
	struct message_address_list from, sender, reply_to, to, cc, bcc;
	unsigned n_from_fields; /* DMARC: anything but 1 gets no pass */
};

/* kind tells what was found inside, which type and subtype need not agree with: a multipart without
 * a boundary is a LEAF of type "multipart"; a message/rfc822 in base64 (which RFC 2046
 * section 5.2.1 forbids) or past a limit is a LEAF of type "message" "rfc822"; a MULTIPART may have
 * no children. */
struct message_part {
	enum message_kind kind;
	struct message_part *parent, *next; /* next sibling */
	struct message_part *first_child; /* of a multipart; of an RFC822 part: the inner message */
	uint32_t n_children;

	/* Offsets from the start of the message. Header: with its blank line. The body starts at
	 * header_offset + header_size, ends before the line end that belongs to the next boundary
	 * (RFC 2046 section 5.1.1), and holds the children with all that stands between them. */
	uint64_t header_offset, header_size;
	uint64_t body_offset, body_size;
	uint64_t header_lines, body_lines; /* line ends in it: CRLF or bare LF */

	/* All lower case where they came; never NULL: "text" "plain" by default (message/rfc822 in
	 * a multipart/digest). */
	struct slice type, subtype;
	struct message_param *params;
	size_t n_params;
	bool has_content_type;
	bool has_encoding;
	struct slice encoding; /* as it came, trimmed; "7bit" when absent */
	bool has_id, has_description, has_md5, has_location, has_disposition;
	struct slice id, description, md5, location;
	struct slice disposition; /* lower case */
	struct message_param *disposition_params;
	size_t n_disposition_params;
	struct slice *languages;
	size_t n_languages;

	/* Of the root and of every inner message (the first child of an RFC822 part). */
	struct message_envelope *envelope;
};

enum message_defect {
	MESSAGE_DEFECT_NO_HEADER_END = 1 << 0,
	MESSAGE_DEFECT_BAD_FIELD = 1 << 1,   /* a header line without a name */
	MESSAGE_DEFECT_NO_BOUNDARY = 1 << 2, /* multipart without a boundary parameter */
	MESSAGE_DEFECT_UNCLOSED = 1 << 3,    /* the closing boundary never came */
	MESSAGE_DEFECT_LIMIT = 1 << 4,       /* a limit above was reached */
	MESSAGE_DEFECT_BARE_LF = 1 << 5,
	MESSAGE_DEFECT_BARE_CR = 1 << 6,
	MESSAGE_DEFECT_NUL = 1 << 7,
	MESSAGE_DEFECT_8BIT_HEADER = 1 << 8,
	MESSAGE_DEFECT_BAD_CONTENT_TYPE = 1 << 9, /* no "type/subtype": read as text/plain */
};

struct message_parser;
/* The tree lives in the arena; the parser itself too (no free). */
struct message_parser *message_parser_new(struct arena *arena);
void message_parser_feed(struct message_parser *parser, struct slice bytes);
/* LIMIT when the arena's budget was exhausted. */
struct status message_parser_finish(struct message_parser *parser, struct message_part **ret_root,
                                    unsigned *ret_defects);

/* In one call, for bytes in memory. */
struct status message_parse(struct slice bytes, struct arena *arena, struct message_part **ret_root,
                            unsigned *ret_defects);

/* Part by its IMAP number ("2.1.3" is {2,1,3}; n == 0 gives the root). RFC 3501 section 6.4.5: part
 * 1 of a message that is not multipart is its body; the parts of a message/rfc822 are those of the
 * message inside. NULL when there is none. */
const struct message_part *message_part_find(const struct message_part *root,
                                             const uint32_t *numbers, size_t n);

/* Value of a parameter (name lower case), or NULL. */
const struct slice *message_param_get(const struct message_param *params, size_t n,
                                      const char *name);
