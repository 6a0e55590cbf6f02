/* Reports about our domains that others sent, kept by the steward for its people to look at. What
 * they say is a stranger's: texts are bounded by who reads them (the account's room) and here, and
 * shown, never acted on.
 *
 * A report is known by its kind, domain, organization and id: what comes again is not kept twice;
 * one whose mail passed DMARC takes the place of one whose mail did not, so that nobody can be
 * faster than the true one.
 *
 * When there are too many, one of the account that the new one came to makes place, if there is
 * one, so that no account can push others' reports out; of these one whose mail did not pass; the
 * oldest.
 */
#pragma once

#include "base/arena.h"
#include "rooms/report_facts.h"

#define REPORT_RECEIVED_MAX      20000u
#define REPORT_RECEIVED_SIZE_MAX ((int64_t)256 * 1024 * 1024) /* bytes of all forms */
#define REPORT_RECEIVED_FORM_MAX ((size_t)128 * 1024)
#define REPORT_RECEIVED_TEXT_MAX 1000u

struct report_received {
	int64_t id; /* given when it is kept */
	enum report_kind kind;
	struct slice domain;       /* that it is about */
	struct slice organization; /* that sent it, as it calls itself */
	struct slice contact;
	struct slice report_id;
	struct slice account; /* that it came to */
	int64_t begin_s, end_s;
	int64_t received_s;
	uint64_t n_good, n_bad; /* messages or sessions */
	bool authentic;         /* its mail passed DMARC */
	struct slice form;      /* packed ReceivedRows of the steward's door */
};

/* INVALID for what no room of ours sends. *ret_is_new: it was not known, or takes the place of one. */
struct status report_received_add(struct report_db *db, const struct report_received *report,
                                  bool *ret_is_new);

/* Of one kind, the newest first, below the id (INT64_MAX: from the beginning); of one domain unless
 * that is empty. Without forms. At most n_max. */
struct status report_received_list(struct report_db *db, enum report_kind kind, struct slice domain,
                                   int64_t below, size_t n_max, struct arena *arena,
                                   struct report_received **ret_reports, size_t *ret_n);
/* With its form. NOT_FOUND. */
struct status report_received_find(struct report_db *db, enum report_kind kind, int64_t id,
                                   struct arena *arena, struct report_received *ret_report);
