/* The printer of ENVELOPE and BODYSTRUCTURE: whatever the message, what comes out is a well-formed
 * list. */
#include "base/cursor.h"
#include "imap/envelope_text.h"
#include "imap/fetch_body.h"
#include "imap/summarize.h"
#include "imap/syntax.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct memory {
	struct store_reader reader; /* first member */
	struct slice bytes;
};

static struct status read_memory(const struct store_reader *r, uint64_t offset, uint8_t *p,
                                 size_t n, size_t *ret_n)
{
	const struct memory *m = (const struct memory *)r;
	struct slice s = slice_sub(m->bytes, (size_t)offset, n);
	memcpy(p, s.p, s.n);
	*ret_n = s.n;
	return ok();
}

/* "(" ... ")" of strings, numbers, NIL and lists; gives the elements of the outermost. */
static size_t check_list(struct slice text)
{
	struct arena arena;
	arena_init(&arena, (size_t)64 * 1024 * 1024);
	struct cursor c = cursor_of(text);
	size_t depth = 0, n = 0;
	do {
		(void)cursor_skip(&c, ' ');
		n += depth == 1 && cursor_peek(&c) != ')';
		if (cursor_skip(&c, '('))
			depth++;
		else if (cursor_skip(&c, ')'))
			depth--;
		else if (cursor_peek(&c) == '"' || cursor_peek(&c) == '{')
			(void)imap_string(&c, &arena);
		else if (!cursor_skip_text(&c, "NIL"))
			(void)imap_number64(&c);
		ASSERT(cursor_ok(&c));
	} while (depth > 0);
	ASSERT(cursor_at_end(&c));
	arena_done(&arena);
	return n;
}

/* The short cut to the header's size agrees with the parser. */
static void check_header_size(struct slice message)
{
	struct message_part *root;
	struct arena arena;
	uint64_t header_size;
	unsigned defects;
	arena_init(&arena, (size_t)64 * 1024 * 1024);
	ASSERT(is_ok(message_parse(message, &arena, &root, &defects)));
	if (imap_header_size(message, &header_size))
		ASSERT(header_size == root->header_size);
	arena_done(&arena);
}

/* SEARCH reads back every field of an envelope that is printed, but for full lists; and survives
 * any bytes in its place. */
static void check_texts(struct slice envelope, struct slice bytes)
{
	struct imap_fold fold;
	imap_fold_init(&fold);
	for (int field = IMAP_ENVELOPE_SUBJECT; field <= IMAP_ENVELOPE_BCC; field++) {
		bool told = imap_envelope_text(envelope, (enum imap_envelope_field)field, &fold);
		ASSERT(told || envelope.n < 50 || envelope.n > MESSAGE_ADDRESSES_MAX);
		(void)imap_envelope_text(bytes, (enum imap_envelope_field)field, &fold);
	}
	imap_fold_done(&fold);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena arena;
	struct store_summary summary;
	struct memory m = {.reader = {.size = size, .read = read_memory},
	                   .bytes = slice_of(data, size)};
	arena_init(&arena, (size_t)64 * 1024 * 1024);
	struct status status = imap_summarize(&m.reader, &arena, &summary);
	ASSERT(is_ok(status));
	ASSERT(check_list(summary.envelope) == 10);
	check_texts(summary.envelope, m.bytes);
	check_list(summary.body);
	check_list(summary.bodystructure);
	ASSERT(slice_index(summary.bodystructure, 0) == SIZE_MAX);
	arena_done(&arena);
	check_header_size(m.bytes);
	return 0;
}
