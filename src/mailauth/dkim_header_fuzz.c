/* Any list of names on any header: what is chosen is what walking up the header finds, and the
 * signature itself is never among it. The names are the first line, the header follows. */
#include "mailauth/dkim_header.h"
#include "message/header.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

/* The field of that name that is the rank-th from the bottom, without self. */
static const struct dkim_field *walk(const struct dkim_header *header, struct slice name,
                                     size_t rank, const struct dkim_field *self)
{
	for (size_t i = header->n; i-- > 0;) {
		const struct dkim_field *field = &header->fields[i];
		if (field != self && slice_ieq(field->name, name) && rank-- == 0)
			return field;
	}
	return NULL;
}

static void check(const struct dkim_header *header, const struct slice *names, size_t n,
                  const struct dkim_field *self)
{
	const struct dkim_field *fields[DKIM_SIGNED_NAMES_MAX];
	dkim_header_select(header, names, n, self, fields);
	for (size_t i = 0; i < n; i++) {
		size_t rank = 0;
		for (size_t j = 0; j < i; j++)
			rank += slice_ieq(names[j], names[i]);
		ASSERT(fields[i] == walk(header, names[i], rank, self));
		ASSERT(!fields[i] || fields[i] != self);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct slice list, block, names[DKIM_SIGNED_NAMES_MAX];
	struct dkim_header header;
	struct arena arena;
	size_t n_names = 0;
	slice_cut(slice_of(p, n), '\n', &list, &block);
	while (n_names < DKIM_SIGNED_NAMES_MAX && slice_cut(list, ':', &names[n_names], &list))
		n_names++;
	arena_init(&arena, 4 * MIB);
	if (is_ok(dkim_header_index(block, &arena, &header)) && header.n < 500) {
		check(&header, names, n_names, NULL);
		for (size_t i = 0; i < header.n && i < 4; i++) {
			ASSERT(dkim_header_count(&header, header.fields[i].name) > 0);
			check(&header, names, n_names, &header.fields[i]);
		}
	}
	arena_done(&arena);
	return 0;
}
