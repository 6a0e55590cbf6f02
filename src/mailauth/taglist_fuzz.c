/* Any bytes: slices lie within the input, names are names, no tag occurs twice. */
#include "mailauth/taglist.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static bool lies_within(struct slice inner, struct slice outer)
{
	return inner.p >= outer.p && inner.p + inner.n <= outer.p + outer.n;
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct arena arena;
	struct mailauth_taglist list;
	struct slice in = slice_of(p, n), item;
	arena_init(&arena, 256 * KIB);
	if (is_ok(mailauth_taglist_parse(in, &arena, &list))) {
		ASSERT(list.n > 0 && list.n <= MAILAUTH_TAGS_MAX);
		for (size_t i = 0; i < list.n; i++) {
			const struct mailauth_tag *tag = &list.v[i];
			ASSERT(tag->name.n > 0 && lies_within(tag->name, in));
			ASSERT(lies_within(tag->raw, in) && tag->value.n <= tag->raw.n);
			ASSERT(slice_index(tag->raw, ';') == SIZE_MAX);
			struct slice stripped = mailauth_tag_strip(tag->value, &arena);
			ASSERT(stripped.n <= tag->value.n);
			struct mailauth_items items = mailauth_items_of(tag->value, ':');
			while (mailauth_items_next(&items, &item))
				ASSERT(item.n <= tag->value.n);
		}
	}
	arena_done(&arena);
	return 0;
}
