/* SEARCH and UID SEARCH (RFC 9051 section 6.4.4; ESEARCH RFC 4731, SEARCHRES RFC 5182, CONDSTORE
 * RFC 7162 section 3.1.5, WITHIN RFC 5032). */
#include "imap/search.h"

struct results {
	struct imap_set_builder uids, numbers;
	uint32_t min_number, max_number;
	struct store_entry min, max;
	uint64_t modseq; /* the highest of all */
};

static void add_result(void *context, uint32_t index, const struct store_entry *entry)
{
	struct results *r = context;
	imap_set_add(&r->uids, entry->uid.v);
	imap_set_add(&r->numbers, index + 1);
	if (r->numbers.n_members == 1) {
		r->min_number = index + 1;
		r->min = *entry;
	}
	r->max_number = index + 1;
	r->max = *entry;
	r->modseq = MAX(r->modseq, entry->modseq);
}

/* mailbox-data =/ "SEARCH" *(SP nz-number) [SP "(" "MODSEQ" SP n ")"] */
static void write_plain(struct imap_session *s, const struct imap_search *search,
                        const struct results *r, bool uid)
{
	const struct imap_set *set = uid ? &r->uids.set : &r->numbers.set;
	imap_out_str(&s->out, "* SEARCH");
	for (size_t i = 0; i < set->n; i++)
		for (uint64_t n = set->v[i].first.v; n <= set->v[i].last.v; n++) {
			imap_out_byte(&s->out, ' ');
			imap_out_u64(&s->out, n);
		}
	if (search->has_modseq && set->n > 0)
		imap_out_printf(&s->out, " (MODSEQ %" PRIu64 ")", r->modseq);
	imap_out_str(&s->out, "\r\n");
}

/* RFC 7162 section 3.1.10: of what is returned. */
static uint64_t modseq_of(const struct imap_search *search, const struct results *r)
{
	uint64_t modseq = 0;
	if (search->returns & (IMAP_RETURN_ALL | IMAP_RETURN_COUNT))
		return r->modseq;
	if (search->returns & IMAP_RETURN_MIN)
		modseq = r->min.modseq;
	if (search->returns & IMAP_RETURN_MAX)
		modseq = MAX(modseq, r->max.modseq);
	return modseq;
}

/* esearch-response = "ESEARCH" [SP "(" "TAG" SP tag ")"] [SP "UID"] *(SP search-return-data) */
static void write_extended(struct imap_session *s, const struct imap_search *search,
                           const struct results *r, bool uid)
{
	bool any = r->numbers.n_members > 0;
	imap_out_str(&s->out, "* ESEARCH (TAG ");
	imap_out_string(&s->out, s->tag);
	imap_out_str(&s->out, uid ? ") UID" : ")");
	if ((search->returns & IMAP_RETURN_MIN) && any)
		imap_out_printf(&s->out, " MIN %" PRIu32, uid ? r->min.uid.v : r->min_number);
	if ((search->returns & IMAP_RETURN_MAX) && any)
		imap_out_printf(&s->out, " MAX %" PRIu32, uid ? r->max.uid.v : r->max_number);
	if (search->returns & IMAP_RETURN_COUNT)
		imap_out_printf(&s->out, " COUNT %" PRIu64, r->numbers.n_members);
	if ((search->returns & IMAP_RETURN_ALL) && any) {
		imap_out_str(&s->out, " ALL ");
		imap_out_set(&s->out, uid ? &r->uids.set : &r->numbers.set);
	}
	if (search->has_modseq && any)
		imap_out_printf(&s->out, " MODSEQ %" PRIu64, modseq_of(search, r));
	imap_out_str(&s->out, "\r\n");
}

/* RFC 5182 section 2.1, RFC 9051 section 6.4.4.1: all that was found, or with MIN and MAX alone
 * those two. */
static void save(struct imap_session *s, const struct imap_search *search, struct results *r)
{
	base_free(s->saved.v);
	s->saved = (struct imap_set){0};
	bool only_ends = !(search->returns & (IMAP_RETURN_ALL | IMAP_RETURN_COUNT)) &&
	                 (search->returns & (IMAP_RETURN_MIN | IMAP_RETURN_MAX));
	if (!only_ends) {
		s->saved = imap_set_take(&r->uids);
		return;
	}
	struct imap_set_builder ends = {0};
	if (r->numbers.n_members > 0 && (search->returns & IMAP_RETURN_MIN))
		imap_set_add(&ends, r->min.uid.v);
	if (r->numbers.n_members > 0 && (search->returns & IMAP_RETURN_MAX) &&
	    !imap_set_has(&ends.set, r->max.uid.v))
		imap_set_add(&ends, r->max.uid.v);
	s->saved = imap_set_take(&ends);
}

static void forget_saved(struct imap_session *s)
{
	base_free(s->saved.v);
	s->saved = (struct imap_set){0};
}

static struct imap_reply run_search(struct imap_session *s, struct imap_search *search, bool uid)
{
	struct results r = {0};
	if (search->has_modseq)
		imap_enable_condstore(s);
	struct status status = imap_search_run(s, search, add_result, &r);
	/* RFC 9051 section 6.4.4: IMAP4rev2 knows no SEARCH response. */
	bool extended = search->extended || imap_has(s, IMAP_REV2);
	if (!search->extended)
		search->returns = IMAP_RETURN_ALL;
	bool only_save = search->returns == IMAP_RETURN_SAVE;
	if (is_ok(status) && extended && !only_save)
		write_extended(s, search, &r, uid);
	else if (is_ok(status) && !extended)
		write_plain(s, search, &r, uid);
	if (is_ok(status) && (search->returns & IMAP_RETURN_SAVE))
		save(s, search, &r);
	imap_set_builder_done(&r.uids);
	imap_set_builder_done(&r.numbers);
	return is_ok(status) ? imap_ok("SEARCH done") : imap_no_status(status);
}

struct imap_reply imap_cmd_search(struct imap_session *s, struct imap_args *args)
{
	struct imap_search search;
	struct imap_reply reply;
	imap_search_parse(s, args, &search);
	if (!cursor_ok(&args->c))
		reply = imap_bad_cursor(&args->c);
	else if (search.bad_charset)
		reply = imap_no("BADCHARSET (US-ASCII UTF-8)", "This charset is not supported");
	else
		reply = run_search(s, &search, args->uid);
	/* RFC 5182 section 2.1: after a failure the saved result is empty. */
	if (reply.kind != IMAP_OK && (search.returns & IMAP_RETURN_SAVE))
		forget_saved(s);
	return reply;
}
