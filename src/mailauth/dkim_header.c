/* An index by sorting: names come from strangers, and a sorted list cannot be made to collide.
 *
 * Limits: MESSAGE_HEADERS_MAX fields, DKIM_SIGNED_NAMES_MAX names of one list. A list costs a
 * binary search a name, and comparing numbers with those of the names before it.
 */
#include "mailauth/dkim_header.h"

#include "message/header.h"

#define NO_GROUP UINT32_MAX

static size_t count_fields(struct slice block)
{
	struct message_headers headers = message_headers_of(block);
	struct message_field field;
	size_t n = 0;
	while (message_headers_next(&headers, &field))
		n += !field.bad;
	return n;
}

static bool read_fields(struct slice block, struct dkim_field *fields)
{
	struct message_headers headers = message_headers_of(block);
	struct message_field field;
	size_t n = 0;
	while (message_headers_next(&headers, &field))
		if (!field.bad)
			fields[n++] = (struct dkim_field){.raw = field.raw, .name = field.name};
	return headers.ended;
}

/* Some order: sizes tell most names apart. */
static int compare_names(struct slice a, struct slice b)
{
	return a.n != b.n ? (a.n < b.n ? -1 : 1) : slice_icmp(a, b);
}

static int compare(const void *a, const void *b, void *context)
{
	const struct dkim_field *fields = context;
	uint32_t at_a = *(const uint32_t *)a, at_b = *(const uint32_t *)b;
	int by_name = compare_names(fields[at_a].name, fields[at_b].name);
	if (by_name != 0)
		return by_name;
	return at_a > at_b ? -1 : at_a < at_b;
}

static void number_groups(const uint32_t *by_name, size_t n, struct dkim_field *fields)
{
	uint32_t group = 0;
	for (uint32_t i = 0; i < n; i++) {
		if (!slice_ieq(fields[by_name[i]].name, fields[by_name[group]].name))
			group = i;
		fields[by_name[i]].group = group;
		fields[by_name[i]].rank = i - group;
	}
}

struct status dkim_header_index(struct slice block, struct arena *arena,
                                struct dkim_header *ret_header)
{
	size_t n = count_fields(block);
	struct dkim_field *fields = ARENA_ARRAY(arena, n + 1, struct dkim_field);
	uint32_t *by_name = ARENA_ARRAY(arena, n + 1, uint32_t);
	if (!fields || !by_name)
		return fail(ERR_LIMIT, "no room for an index of the header");
	bool whole = read_fields(block, fields);
	for (uint32_t i = 0; i < n; i++)
		by_name[i] = i;
	qsort_r(by_name, n, sizeof(*by_name), compare, fields);
	number_groups(by_name, n, fields);
	*ret_header = (struct dkim_header){
	        .fields = fields, .n = n, .truncated = !whole, .by_name = by_name};
	return ok();
}

/* Where the fields of that name begin in by_name. */
static uint32_t find_group(const struct dkim_header *header, struct slice name)
{
	size_t low = 0, high = header->n;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		const struct dkim_field *field = &header->fields[header->by_name[middle]];
		if (compare_names(field->name, name) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	if (low < header->n && slice_ieq(header->fields[header->by_name[low]].name, name))
		return (uint32_t)low;
	return NO_GROUP;
}

static const struct dkim_field *in_group(const struct dkim_header *header, uint32_t group,
                                         size_t rank)
{
	if (group == NO_GROUP || rank >= header->n - group)
		return NULL;
	const struct dkim_field *field = &header->fields[header->by_name[group + rank]];
	return field->group == group ? field : NULL;
}

const struct dkim_field *dkim_header_find(const struct dkim_header *header, struct slice name,
                                          size_t rank)
{
	return in_group(header, find_group(header, name), rank);
}

size_t dkim_header_count(const struct dkim_header *header, struct slice name)
{
	uint32_t group = find_group(header, name);
	size_t n = 0;
	while (in_group(header, group, n))
		n++;
	return n;
}

void dkim_header_select(const struct dkim_header *header, const struct slice *names, size_t n,
                        const struct dkim_field *self, const struct dkim_field **ret_fields)
{
	uint32_t groups[DKIM_SIGNED_NAMES_MAX];
	ASSERT(n <= DKIM_SIGNED_NAMES_MAX);
	for (size_t i = 0; i < n; i++) {
		size_t rank = 0;
		groups[i] = find_group(header, names[i]);
		for (size_t j = 0; j < i; j++)
			rank += groups[j] == groups[i];
		if (self && self->group == groups[i] && rank >= self->rank)
			rank++;
		ret_fields[i] = in_group(header, groups[i], rank);
	}
}
