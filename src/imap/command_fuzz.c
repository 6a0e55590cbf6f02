/* Framing and grammar of commands: the same units at any split, every parser ends, strings that
 * were read are printed so that they read back. */
#include "base/stream_mem.h"
#include "imap/fetch_items.h"
#include "imap/out.h"
#include "imap/reader.h"
#include "imap/set.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct imap_reader_limits limits = {
        .line_max = 1000,
        .literal_max = 500,
        .non_sync_max = 300,
        .total_max = 1000,
        .literals_max = 10,
        .discard_max = 5000,
};

/* All units of the input, one behind the other, with how each ended. */
static void cut_all(struct slice input, size_t chunk, struct buf *units)
{
	struct stream_mem m;
	struct imap_reader r;
	struct status status;
	stream_mem_init(&m, input, chunk);
	imap_reader_init(&r, &m.stream, &limits);
	do {
		status = imap_reader_next(&r);
		if (is_ok(status))
			buf_add(units, buf_slice(&r.unit));
		buf_add_byte(units, (uint8_t)status.code);
	} while (is_ok(status) || status.code == ERR_SYNTAX || status.code == ERR_LIMIT);
	(void)stream_flush(&m.stream);
	buf_add(units, stream_mem_output(&m));
	imap_reader_done(&r);
	stream_mem_done(&m);
}

static void check_string(struct slice text, struct arena *arena)
{
	struct buf printed;
	buf_init(&printed, text.n * 2 + 100);
	imap_buf_string(&printed, text);
	struct cursor c = cursor_of(buf_slice(&printed));
	struct slice back = imap_string(&c, arena);
	cursor_expect_end(&c, "something follows");
	ASSERT(cursor_ok(&c) && slice_eq(back, text));
	buf_done(&printed);
}

static void parse_words(struct slice unit)
{
	struct arena arena;
	struct imap_set set;
	arena_init(&arena, 1024 * 1024);
	struct cursor c = cursor_of(unit);
	(void)imap_tag(&c);
	while (cursor_ok(&c) && cursor_skip(&c, ' ')) {
		struct cursor start = c;
		struct slice text = imap_list_mailbox(&c, &arena);
		if (cursor_ok(&c))
			check_string(text, &arena);
		c = start;
		imap_set_parse(&c, 7, 100, &arena, &set);
		for (size_t i = 0; i < set.n; i++) {
			ASSERT(set.v[i].first.v >= 1 && set.v[i].first.v <= set.v[i].last.v);
			ASSERT(set.v[i].last.v <= 100);
			ASSERT(i == 0 || set.v[i - 1].last.v + 1 < set.v[i].first.v);
		}
		c = start;
		(void)imap_date_time(&c);
		c = start;
		(void)imap_date(&c);
		c = start;
		(void)imap_flag(&c);
		c = start;
		(void)imap_astring(&c, &arena);
	}
	arena_done(&arena);
}

static void parse_fetch(struct slice unit)
{
	struct arena arena;
	struct imap_fetch fetch;
	arena_init(&arena, 4 * 1024 * 1024);
	struct cursor c = cursor_of(unit);
	imap_fetch_parse(&c, &arena, &fetch);
	ASSERT(fetch.n_sections <= IMAP_SECTIONS_MAX);
	for (size_t i = 0; i < fetch.n_sections; i++) {
		ASSERT(fetch.sections[i].n_numbers <= IMAP_SECTION_DEPTH_MAX);
		ASSERT(fetch.sections[i].n_fields <= IMAP_SECTION_FIELDS_MAX);
		ASSERT(!cursor_ok(&c) || !fetch.sections[i].partial || fetch.sections[i].size > 0);
	}
	arena_done(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice input = slice_of(data, MIN(size, (size_t)20000));
	struct buf whole, pieces;
	buf_init(&whole, 1024 * 1024);
	buf_init(&pieces, 1024 * 1024);
	cut_all(input, 0, &whole);
	cut_all(input, 1 + input.n % 7, &pieces);
	ASSERT(slice_eq(buf_slice(&whole), buf_slice(&pieces)));
	parse_words(input);
	parse_fetch(input);
	buf_done(&whole);
	buf_done(&pieces);
	return 0;
}
