/* Records on the way up the tree, each asked for once: shared by evaluation, lookups and the check
 * of report addresses. */
#pragma once

#include "mailauth/dmarc.h"

enum dmarc_node_kind {
	DMARC_NODE_EMPTY,
	DMARC_NODE_RECORD,
	DMARC_NODE_SEVERAL, /* more than one record: none counts */
	DMARC_NODE_FAILED,
};

/* What is known of one domain. */
struct dmarc_node {
	struct dmarc_node *next;
	struct dns_name name; /* without _dmarc */
	enum dmarc_node_kind kind;
	enum dns_failure failure; /* FAILED */
	bool exists;              /* something at or below the name does */
	struct dmarc_record record;
	const char *text; /* printable */
	const char *why;  /* FAILED: which lookup, and why */
};

struct dmarc_walker {
	struct mailauth_dns *dns;
	enum dmarc_discovery discovery;
	struct dmarc_node *nodes;
	struct mailauth_story story;
};

/* The node of a domain, from memory or the DNS. Never NULL. */
const struct dmarc_node *dmarc_walker_look(struct dmarc_walker *walker, struct dns_name name);

/* The organisational domain of a name. Where a lookup failed: the node that did; else NULL. */
const struct dmarc_node *dmarc_walker_organization(struct dmarc_walker *walker,
                                                   struct dns_name name,
                                                   struct dns_name *ret_organization);

/* Policy discovery; ret_found->organization is set only where it had to be found. */
void dmarc_walker_discover(struct dmarc_walker *walker, struct dns_name author,
                           struct dmarc_found *ret_found);

/* TEMPORARY or PERMANENT. */
enum dmarc_outcome dmarc_outcome_of_failure(enum dns_failure failure);
