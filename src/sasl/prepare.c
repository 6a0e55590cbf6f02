/* OpaqueString (RFC 8265 section 4.2.2): non-ASCII spaces become U+0020, then NFC; no case mapping,
 * no width mapping. Of FreeformClass (RFC 8264 section 4.3) controls, surrogates, noncharacters and
 * unassigned code points are refused; contextual rules for joiners and old Hangul jamo are left
 * out: they would only refuse a password that its owner typed on purpose. */
#include "sasl/prepare.h"

#include <openssl/crypto.h>
#include <unictype.h>
#include <uninorm.h>
#include <unistr.h>

/* NFC makes a string at most three times as long (Unicode annex 15 section 9). */
#define GROWTH 3

static bool is_refused(ucs4_t c)
{
	return uc_is_general_category_withtable(c, UC_CATEGORY_MASK_Cc | UC_CATEGORY_MASK_Cs |
	                                                   UC_CATEGORY_MASK_Cn);
}

/* Copies with mapped spaces; the result is never longer. */
static struct status map_spaces(struct slice in, uint8_t *to, size_t *ret_n)
{
	size_t n = 0;
	for (size_t at = 0; at < in.n;) {
		ucs4_t c;
		int size = u8_mbtoucr(&c, in.p + at, in.n - at);
		if (size <= 0)
			return fail(ERR_SYNTAX, "text is not UTF-8");
		if (is_refused(c))
			return fail(ERR_SYNTAX, "text holds a control or unassigned character");
		if (uc_is_general_category_withtable(c, UC_CATEGORY_MASK_Zs))
			c = ' ';
		int written = u8_uctomb(to + n, c, (ptrdiff_t)(in.n - n));
		ASSERT(written > 0);
		n += (size_t)written;
		at += (size_t)size;
	}
	*ret_n = n;
	return ok();
}

struct status sasl_prepare(struct slice in, struct buf *out)
{
	uint8_t mapped[SASL_PREPARE_MAX], normal[GROWTH * SASL_PREPARE_MAX];
	size_t n_mapped = 0, n_normal = sizeof(normal);
	if (in.n == 0)
		return fail(ERR_SYNTAX, "text is empty");
	if (in.n > SASL_PREPARE_MAX)
		return fail(ERR_LIMIT, "text is too long");
	struct status status = map_spaces(in, mapped, &n_mapped);
	if (is_ok(status) && slice_is_ascii(slice_of(mapped, n_mapped))) {
		buf_add(out, slice_of(mapped, n_mapped));
	} else if (is_ok(status)) {
		/* With room enough the result is written where we ask, so that it can be wiped. */
		uint8_t *result = u8_normalize(UNINORM_NFC, mapped, n_mapped, normal, &n_normal);
		if (result == normal)
			buf_add(out, slice_of(normal, n_normal));
		else
			status = fail(ERR_SYNTAX, "text cannot be normalised");
		if (result && result != normal)
			BUG("normalised text is longer than it can be");
	}
	OPENSSL_cleanse(mapped, sizeof(mapped));
	OPENSSL_cleanse(normal, sizeof(normal));
	if (is_ok(status) && buf_failed(out))
		return fail(ERR_LIMIT, "text is too long");
	return status;
}
