/* Mailbox names: UTF-8 in NFC (RFC 9051 section 5.1, Net-Unicode as in RFC 5198 section 2), levels
 * separated by '/', "INBOX" in any case as the first level is "Inbox" (RFC 3501 section 5.1).
 *
 * Refused: empty levels, control characters (C0, DEL, C1), line and paragraph separators (U+2028,
 * U+2029, RFC 9051 section 5.1), names beyond the limits. Modified UTF-7 is the session's business.
 */
#include "store/store_private.h"

#include <uninorm.h>
#include <unistr.h>

static bool is_forbidden(ucs4_t c)
{
	return c < 0x20 || (c >= 0x7f && c <= 0x9f) || c == 0x2028 || c == 0x2029;
}

static struct status check_characters(struct slice name)
{
	for (size_t at = 0; at < name.n;) {
		ucs4_t c = 0;
		int n = u8_mbtoucr(&c, name.p + at, name.n - at);
		if (n <= 0)
			return fail(ERR_INVALID, "the mailbox name is not UTF-8");
		if (is_forbidden(c))
			return fail(ERR_INVALID, "the mailbox name holds a control character");
		at += (size_t)n;
	}
	return ok();
}

static struct status check_levels(struct slice name)
{
	size_t depth = 0;
	struct slice level, rest = name;
	for (bool more = true; more;) {
		more = slice_cut(rest, '/', &level, &rest);
		if (level.n == 0)
			return fail(ERR_INVALID, "the mailbox name has an empty level");
		if (++depth > STORE_NAME_DEPTH_MAX)
			return fail(ERR_LIMIT, "the mailbox name has too many levels");
	}
	return ok();
}

struct status store_name_normalize(struct slice name, struct arena *arena, struct slice *ret_name)
{
	struct slice first, rest;
	if (name.n == 0)
		return fail(ERR_INVALID, "the mailbox name is empty");
	if (name.n > STORE_NAME_MAX)
		return fail(ERR_LIMIT, "the mailbox name is too long");
	TRY(check_characters(name));
	size_t n = 0;
	uint8_t *normal = u8_normalize(UNINORM_NFC, name.p, name.n, NULL, &n);
	if (!normal)
		BUG("out of memory");
	struct slice result = arena_copy(arena, slice_of(normal, n));
	free(normal);
	if (arena_failed(arena))
		return fail(ERR_LIMIT, "no memory left for a mailbox name");
	if (n > STORE_NAME_MAX) /* normalizing may lengthen */
		return fail(ERR_LIMIT, "the mailbox name is too long");
	TRY(check_levels(result));
	slice_cut(result, '/', &first, &rest);
	if (slice_ieq_str(first, "inbox")) {
		uint8_t *copy = arena_alloc(arena, n);
		if (!copy)
			return fail(ERR_LIMIT, "no memory left for a mailbox name");
		memcpy(copy, result.p, n);
		memcpy(copy, "Inbox", 5);
		result = slice_of(copy, n);
	}
	*ret_name = result;
	return ok();
}
