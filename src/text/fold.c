/* Collation keys over libunistring's tables.
 *
 * RFC 5051 section 2: each character gets its title case mapping of UnicodeData, then its
 * decomposition, recursively, canonical and compatible alike; combining marks are not reordered. A
 * character decomposes into at most EXPANSION_MAX others.
 */
#include "text/fold.h"

#include "text/utf8.h"

#include <unicase.h>
#include <uninorm.h>

#define EXPANSION_MAX 64 /* characters of one full decomposition; U+FDFA has 18 */

static size_t ascii_run(struct slice s)
{
	size_t i = 0;
	while (i < s.n && s.p[i] < 0x80)
		i++;
	return i;
}

static void add_upper(struct slice ascii, struct buf *out)
{
	uint8_t *to = ascii.n ? buf_reserve(out, ascii.n) : NULL;
	if (!to)
		return;
	for (size_t i = 0; i < ascii.n; i++)
		to[i] = ascii_upper(ascii.p[i]);
	buf_commit(out, ascii.n);
}

void text_ascii_casemap(struct slice text, struct buf *out)
{
	add_upper(text, out);
}

static void add_decomposed(uint32_t codepoint, struct buf *out)
{
	/* A stack of what is still to be decomposed, last character first. */
	uint32_t todo[EXPANSION_MAX] = {codepoint};
	size_t n = 1;
	while (n > 0) {
		ucs4_t parts[UC_DECOMPOSITION_MAX_LENGTH];
		int tag;
		uint32_t c = todo[--n];
		int n_parts = c < 0x80 ? -1 : uc_decomposition(c, &tag, parts);
		if (n_parts <= 0 || n + (size_t)n_parts > EXPANSION_MAX) {
			utf8_add(out, c);
			continue;
		}
		while (n_parts > 0)
			todo[n++] = parts[--n_parts];
	}
}

void text_unicode_casemap(struct slice text, struct buf *out)
{
	while (text.n > 0) {
		size_t n = ascii_run(text);
		add_upper(slice_sub(text, 0, n), out);
		text = slice_from(text, n);
		if (text.n == 0)
			return;
		uint32_t codepoint;
		if (utf8_decode(text, &codepoint, &n) != UTF8_OK)
			codepoint = UTF8_REPLACEMENT;
		add_decomposed(uc_totitle(codepoint), out);
		text = slice_from(text, n);
	}
}

struct status text_nfc(struct slice text, struct buf *out)
{
	if (!utf8_valid(text))
		return fail(ERR_SYNTAX, "not UTF-8");
	if (slice_is_ascii(text)) {
		buf_add(out, text);
		return ok();
	}
	size_t n = 0;
	CLEANUP(base_freep) uint8_t *normal = u8_normalize(UNINORM_NFC, text.p, text.n, NULL, &n);
	if (!normal)
		return fail(ERR_LIMIT, "text cannot be normalised");
	buf_add(out, slice_of(normal, n));
	return ok();
}

bool text_is_nfc(struct slice text)
{
	struct buf normal;
	buf_init(&normal, text.n);
	bool is = is_ok(text_nfc(text, &normal)) && slice_eq(buf_slice(&normal), text);
	buf_done(&normal);
	return is;
}
