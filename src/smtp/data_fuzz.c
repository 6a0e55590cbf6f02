/* The DATA machine: the same end, faults and content at any split; content only from inside the
 * input; the end is the first CRLF "." CRLF and nothing else. The first octet chooses the splits.
 */
#include "smtp/data.h"

#include "base/buf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define INPUT_MAX ((size_t)1 << 20)

static void feed(struct smtp_data *data, struct slice piece, struct buf *content)
{
	while (piece.n > 0 && !smtp_data_ended(data)) {
		struct slice before = piece;
		struct slice run = smtp_data_next(data, &piece);
		ASSERT(piece.n < before.n && piece.p + piece.n == before.p + before.n);
		ASSERT(run.n == 0 || (run.p >= before.p && run.p + run.n <= piece.p));
		buf_add(content, run);
	}
}

/* Octets up to behind the first terminator; SIZE_MAX when there is none. */
static size_t find_end(struct slice in)
{
	if (slice_starts(in, SLICE(".\r\n")))
		return 3;
	size_t at = slice_find(in, SLICE("\r\n.\r\n"));
	return at == SIZE_MAX ? SIZE_MAX : at + 5;
}

static void check_same(const struct smtp_data *a, const struct smtp_data *b)
{
	ASSERT(a->state == b->state && a->n_taken == b->n_taken);
	ASSERT(a->bare_cr == b->bare_cr && a->bare_lf == b->bare_lf && a->nul == b->nul);
	ASSERT(a->has_8bit == b->has_8bit);
}

static void check_splits(struct slice in, size_t chunk)
{
	CLEANUP(buf_done) struct buf whole_content, split_content;
	struct smtp_data whole, split;
	buf_init(&whole_content, INPUT_MAX);
	buf_init(&split_content, INPUT_MAX);
	smtp_data_init(&whole);
	feed(&whole, in, &whole_content);
	size_t end = find_end(in);
	ASSERT(smtp_data_ended(&whole) == (end != SIZE_MAX));
	ASSERT(whole.n_taken == (end != SIZE_MAX ? end : in.n));
	smtp_data_init(&split);
	for (size_t at = 0; at < in.n && !smtp_data_ended(&split); at += chunk)
		feed(&split, slice_sub(in, at, chunk), &split_content);
	check_same(&whole, &split);
	if (!smtp_data_faulty(&whole))
		ASSERT(slice_eq(buf_slice(&whole_content), buf_slice(&split_content)));
	ASSERT(slice_find(buf_slice(&whole_content), SLICE("\n\n")) == SIZE_MAX);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size > 0 && size <= INPUT_MAX)
		check_splits(slice_of(data + 1, size - 1), data[0] + (size_t)1);
	return 0;
}
