/* What a FETCH asks for (RFC 9051 section 9: fetch-att, section, section-binary, partial). */
#pragma once

#include "base/arena.h"
#include "base/cursor.h"

#define IMAP_SECTIONS_MAX       500u /* body sections in one FETCH */
#define IMAP_SECTION_DEPTH_MAX  100u /* numbers in one section */
#define IMAP_SECTION_FIELDS_MAX 500u /* header fields in one section */

enum imap_fetch_item {
	IMAP_FETCH_UID = 1 << 0,
	IMAP_FETCH_FLAGS = 1 << 1,
	IMAP_FETCH_MODSEQ = 1 << 2,
	IMAP_FETCH_INTERNALDATE = 1 << 3,
	IMAP_FETCH_SAVEDATE = 1 << 4,
	IMAP_FETCH_SIZE = 1 << 5,
	IMAP_FETCH_EMAILID = 1 << 6,
	IMAP_FETCH_THREADID = 1 << 7,
	IMAP_FETCH_ENVELOPE = 1 << 8,
	IMAP_FETCH_BODYSTRUCTURE = 1 << 9,
	IMAP_FETCH_BODY = 1 << 10,
};
#define IMAP_FETCH_SUMMARY (IMAP_FETCH_ENVELOPE | IMAP_FETCH_BODYSTRUCTURE | IMAP_FETCH_BODY)

enum imap_section_kind {
	IMAP_SECTION_BODY,
	IMAP_SECTION_BINARY,
	IMAP_SECTION_BINARY_SIZE,
	IMAP_SECTION_RFC822, /* the old names of BODY[], BODY[HEADER], BODY[TEXT] */
	IMAP_SECTION_RFC822_HEADER,
	IMAP_SECTION_RFC822_TEXT,
};

enum imap_section_what {
	IMAP_WHAT_ALL,
	IMAP_WHAT_HEADER,
	IMAP_WHAT_FIELDS,
	IMAP_WHAT_FIELDS_NOT,
	IMAP_WHAT_TEXT,
	IMAP_WHAT_MIME,
};

struct imap_section {
	enum imap_section_kind kind;
	enum imap_section_what what;
	uint32_t *numbers;
	size_t n_numbers;
	struct slice *fields;
	size_t n_fields;
	bool partial;
	uint64_t offset, size; /* of the partial */
	bool peek;
};

struct imap_fetch {
	unsigned items; /* enum imap_fetch_item */
	struct imap_section *sections;
	size_t n_sections;
	bool sets_seen; /* a section without PEEK is among them */
	bool has_changed_since;
	uint64_t changed_since;
	bool vanished;
};

/* Everything behind the sequence set and its space, up to the end of the command. */
void imap_fetch_parse(struct cursor *c, struct arena *arena, struct imap_fetch *ret_fetch);
