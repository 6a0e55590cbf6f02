/* What becomes of a message, given what the checks have found: accepted, put with the junk, sent
 * away for now, refused. Pure: nothing is asked, nothing blocks.
 *
 *	policy_facts_prepare(&facts, arena)                 once for a message
 *	policy_decide(&facts, &settings, exceptions, n,     for each recipient, as each account may
 *	              arena, &decision)                     have exceptions of its own
 *
 * Each finding asks for an action of the settings; what authenticates an indirect way (an exception
 * of the account, a chain of ARC seals, a mailing list) takes some of that back; the strongest that
 * is left is done. Every step is a sentence of the decision.
 *
 * Of p=reject RFC 9989 section 7.4 says that it must not be followed blindly: mail that a list or
 * another server has passed on, and says so under its own authenticated name, is put with the junk.
 */
#pragma once

#include "mailauth/arc.h"
#include "mailauth/dmarc.h"
#include "mailauth/dnsbl.h"
#include "mailauth/iprev.h"
#include "mailauth/spf.h"

#define POLICY_REASONS_MAX 40u
#define POLICY_DOMAINS_MAX 100u /* authenticated ones that are looked at */
#define POLICY_REPLY_MAX   400u /* bytes of a reply's text */

/* In order of strength. */
enum policy_action {
	POLICY_ACCEPT,
	POLICY_QUARANTINE, /* delivered, with the junk */
	POLICY_DEFER,      /* 4yz: come again */
	POLICY_REFUSE,     /* 5yz */
};
const char *policy_action_name(enum policy_action action); /* "quarantine" */

enum policy_dmarc {
	POLICY_DMARC_OBEY,       /* as the domain's owner wishes */
	POLICY_DMARC_QUARANTINE, /* never refused for it */
	POLICY_DMARC_IGNORE,
};

struct policy_settings {
	enum policy_dmarc dmarc;
	enum policy_action dmarc_error;     /* the record, or a lookup, is of no use */
	enum policy_action dmarc_temporary; /* a lookup failed for now */
	enum policy_action no_author;       /* From does not name one domain */
	enum policy_action spf_fail;        /* unless DMARC passes */
	enum policy_action iprev_fail; /* the address has no name, or one that does not lead back */
	enum policy_action listed;     /* on a block list */
	/* Whose ARC seals are believed, in A-labels and lower case: what they say that they have
	 * seen, unbroken up to us, counts as if we had seen it. */
	const struct slice *arc_trusted;
	size_t n_arc_trusted;
};

enum policy_exception_kind {
	POLICY_LIST,    /* a mailing list: DMARC of the author is not asked for */
	POLICY_FORWARD, /* somebody who passes mail on: nor is SPF, iprev, a block list */
};

/* What an account expects and therefore lets in. */
struct policy_exception {
	struct slice name;
	enum policy_exception_kind kind;
	/* One of them, or a domain below, is authenticated by SPF (MAIL FROM) or DKIM. */
	const struct slice *domains;
	size_t n_domains;
	struct slice mailbox; /* where such mail goes; empty: the usual one */
};

struct policy_listing {
	const char *zone;  /* of the list */
	const char *about; /* address or domain that is on it */
	const struct dnsbl_result *result;
};

/* What was found; NULL for what was not checked. */
struct policy_facts {
	const struct spf_result *helo, *mailfrom;
	const struct iprev_result *iprev;
	const struct dkim_results *dkim;
	const struct arc_result *arc;
	const struct mailauth_author *author;
	const struct dmarc_result *dmarc;
	const struct policy_listing *listings; /* LISTED ones only */
	size_t n_listings;
	struct slice list_id; /* value of the List-Id field, unfolded; empty: there is none */

	/* Made by policy_facts_prepare: */
	const struct slice *domains; /* authenticated */
	size_t n_domains;
	const char *list;       /* the list's domain, when one of these vouches for it; or NULL */
	const char *arc_sealer; /* the newest sealer of a chain that passes, or NULL */
};

void policy_facts_prepare(struct policy_facts *facts, struct arena *arena);

struct policy_decision {
	enum policy_action action;
	/* DEFER and REFUSE: the reply. text is ASCII, lines parted by LF. */
	unsigned code;
	const char *enhanced;
	const char *text;
	const struct policy_exception *exception; /* that applies to the message, or NULL */
	const char *const *reasons;               /* sentences, in order */
	size_t n_reasons;
};

/* Memory that runs out makes the reasons fewer, never the decision milder. */
void policy_decide(const struct policy_facts *facts, const struct policy_settings *settings,
                   const struct policy_exception *exceptions, size_t n_exceptions,
                   struct arena *arena, struct policy_decision *ret_decision);
