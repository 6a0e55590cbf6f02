/* Any text: limits are kept, what is printed reads back as the same record without defects, and
 * addresses of reports are fit for a header. */
#include "mailauth/dmarc_record.h"

#include "mailauth/taglist.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static void check_uris(const struct dmarc_uris *a, const struct dmarc_uris *b)
{
	ASSERT(a->n == b->n && a->n <= DMARC_URIS_MAX);
	for (size_t i = 0; i < a->n; i++) {
		ASSERT(slice_eq(a->v[i].text, b->v[i].text));
		ASSERT(a->v[i].has_limit == b->v[i].has_limit);
		ASSERT(!a->v[i].has_limit || a->v[i].limit == b->v[i].limit);
		ASSERT(a->v[i].is_mailto == b->v[i].is_mailto);
		ASSERT(!slice_has_control(a->v[i].local) && !slice_has_control(a->v[i].text));
		ASSERT(!a->v[i].is_mailto || dns_name_is_host(a->v[i].host));
		ASSERT(!a->v[i].is_mailto || dns_name_eq(a->v[i].host, b->v[i].host));
	}
}

static void check_same(const struct dmarc_record *a, const struct dmarc_record *b)
{
	ASSERT(a->use == b->use && a->psd == b->psd && a->testing == b->testing);
	ASSERT(a->has_p == b->has_p && a->has_sp == b->has_sp && a->has_np == b->has_np);
	ASSERT(a->p == b->p && a->sp == b->sp && a->np == b->np);
	ASSERT(a->adkim == b->adkim && a->aspf == b->aspf);
	ASSERT(a->fo == b->fo && a->pct == b->pct && a->ri == b->ri);
	check_uris(&a->rua, &b->rua);
	check_uris(&a->ruf, &b->ruf);
	ASSERT(b->n_defects == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct arena arena;
	struct buf text;
	struct dmarc_record record, again;
	arena_init(&arena, MIB);
	buf_init(&text, MIB);
	struct status status = dmarc_record_parse(slice_of(p, n), &arena, &record);
	ASSERT(dmarc_record_is(slice_of(p, n)) == (status.code != ERR_NOT_FOUND));
	if (is_ok(status)) {
		ASSERT(record.n_tags <= MAILAUTH_TAGS_MAX);
		ASSERT(record.n_defects <= DMARC_DEFECTS_MAX);
		dmarc_record_print(&record, &text);
		ASSERT(!slice_has_control(buf_slice(&text)) && slice_is_ascii(buf_slice(&text)));
		ASSERT(is_ok(dmarc_record_parse(buf_slice(&text), &arena, &again)) ||
		       arena_failed(&arena));
		if (!arena_failed(&arena))
			check_same(&record, &again);
	}
	buf_done(&text);
	arena_done(&arena);
	return 0;
}
