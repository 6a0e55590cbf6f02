/* Sequence sets (RFC 9051 section 9: seq-number, seq-range, sequence-set). Limit:
 * IMAP_SET_RANGES_MAX. */
#include "imap/set.h"

#include "imap/syntax.h"

/* seq-number = nz-number / "*" */
static uint32_t seq_number(struct cursor *c, uint32_t star, uint32_t max)
{
	if (cursor_skip(c, '*')) {
		if (star == 0)
			cursor_fail(c, "there is no message for \"*\" to mean");
		return star;
	}
	uint32_t n = imap_nz_number(c);
	if (n > max)
		cursor_fail(c, "there is no message with that number");
	return n;
}

static int by_first(const void *a, const void *b)
{
	const struct store_uid_range *x = a, *y = b;
	return (x->first.v > y->first.v) - (x->first.v < y->first.v);
}

/* Sorted, and what overlaps or touches joined. */
static void normalize(struct imap_set *set)
{
	if (set->n == 0)
		return;
	qsort(set->v, set->n, sizeof(set->v[0]), by_first);
	size_t n = 1;
	for (size_t i = 1; i < set->n; i++) {
		struct store_uid_range *last = &set->v[n - 1];
		if (set->v[i].first.v <= last->last.v || set->v[i].first.v == last->last.v + 1)
			last->last.v = MAX(last->last.v, set->v[i].last.v);
		else
			set->v[n++] = set->v[i];
	}
	set->n = n;
}

static bool is_set_char(uint8_t c)
{
	return ascii_is_digit(c) || c == ':' || c == ',' || c == '*';
}

/* How many ranges the set can have at most. */
static size_t count_ranges(const struct cursor *c)
{
	struct cursor copy = *c;
	struct slice run = cursor_while(&copy, is_set_char);
	size_t n = 1;
	for (size_t i = 0; i < run.n; i++)
		n += run.p[i] == ',';
	return n;
}

void imap_set_parse(struct cursor *c, uint32_t star, uint32_t max, struct arena *arena,
                    struct imap_set *ret_set)
{
	struct imap_set set = {0};
	size_t n = count_ranges(c);
	if (n > IMAP_SET_RANGES_MAX)
		cursor_fail(c, "the set has too many ranges");
	set.v = cursor_ok(c) ? ARENA_ARRAY(arena, n, struct store_uid_range) : NULL;
	if (!set.v)
		cursor_fail(c, "the command needs too much memory");
	for (bool more = true; more && cursor_ok(c); more = cursor_skip(c, ',')) {
		uint32_t a = seq_number(c, star, max);
		uint32_t b = cursor_skip(c, ':') ? seq_number(c, star, max) : a;
		if (cursor_ok(c))
			set.v[set.n++] = (struct store_uid_range){{MIN(a, b)}, {MAX(a, b)}};
	}
	normalize(&set);
	if (!cursor_ok(c))
		set.n = 0;
	*ret_set = set;
}

bool imap_set_has(const struct imap_set *set, uint32_t number)
{
	size_t low = 0, high = set->n;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (set->v[middle].last.v < number)
			low = middle + 1;
		else
			high = middle;
	}
	return low < set->n && set->v[low].first.v <= number;
}

void imap_set_to_uids(const struct store_view *view, const struct imap_set *numbers,
                      struct arena *arena, struct imap_set *ret_uids)
{
	struct imap_set uids = {.v = ARENA_ARRAY(arena, numbers->n, struct store_uid_range)};
	for (size_t i = 0; uids.v && i < numbers->n; i++) {
		uids.v[i].first = store_view_at(view, numbers->v[i].first.v - 1)->uid;
		uids.v[i].last = store_view_at(view, numbers->v[i].last.v - 1)->uid;
		uids.n++;
	}
	*ret_uids = uids;
}

void imap_set_add(struct imap_set_builder *builder, uint32_t number)
{
	struct imap_set *set = &builder->set;
	builder->n_members++;
	if (set->n > 0 && set->v[set->n - 1].last.v + 1 == number) {
		set->v[set->n - 1].last.v = number;
		return;
	}
	ASSERT(set->n == 0 || set->v[set->n - 1].last.v < number);
	if (set->n == builder->capacity) {
		builder->capacity = builder->capacity ? builder->capacity * 2 : 16;
		set->v = base_realloc(set->v, builder->capacity * sizeof(set->v[0]));
	}
	set->v[set->n++] = (struct store_uid_range){{number}, {number}};
}

void imap_set_builder_done(struct imap_set_builder *builder)
{
	base_free(builder->set.v);
	*builder = (struct imap_set_builder){0};
}

struct imap_set imap_set_take(struct imap_set_builder *builder)
{
	struct imap_set set = builder->set;
	*builder = (struct imap_set_builder){0};
	return set;
}

void imap_out_set(struct imap_out *out, const struct imap_set *set)
{
	for (size_t i = 0; i < set->n; i++) {
		if (i > 0)
			imap_out_byte(out, ',');
		imap_out_u64(out, set->v[i].first.v);
		if (set->v[i].last.v == set->v[i].first.v)
			continue;
		imap_out_byte(out, ':');
		imap_out_u64(out, set->v[i].last.v);
	}
}

struct imap_set_walk imap_set_walk_of(const struct store_view *view, const struct imap_set *uids)
{
	return (struct imap_set_walk){.view = view, .uids = uids};
}

bool imap_set_next(struct imap_set_walk *walk, uint32_t *ret_index,
                   const struct store_entry **ret_entry)
{
	while (walk->range < walk->uids->n) {
		const struct store_uid_range *range = &walk->uids->v[walk->range];
		if (walk->index < store_view_count(walk->view)) {
			const struct store_entry *entry = store_view_at(walk->view, walk->index);
			if (entry->uid.v < range->first.v) {
				walk->index = store_view_lower_bound(walk->view, range->first);
				continue;
			}
			if (entry->uid.v <= range->last.v) {
				*ret_index = walk->index++;
				*ret_entry = entry;
				return true;
			}
		}
		walk->range++;
	}
	return false;
}
