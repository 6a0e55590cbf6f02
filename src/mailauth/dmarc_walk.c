/* Finding records and organisational domains: the DNS tree walk (RFC 9989 section 4.10) and the
 * public suffix list (RFC 7489 sections 3.2, 6.6.3).
 *
 * A walk begins at a domain and goes up to the top-level domain, over at most DMARC_WALK_MAX names:
 * of a domain of more than 8 labels the 8th name that is asked about and all above it have 7 labels
 * and fewer. It ends early at a record that says what its domain is (psd=y or psd=n). Each name is
 * asked for once in a message, however many walks come by.
 */
#include "mailauth/dmarc_private.h"

#include "mailauth/public_suffix.h"

#define LABELS_AFTER_FIRST 7u /* RFC 9989 section 4.10, step 4 */

static const struct dmarc_node no_memory = {
        .name = {"."},
        .kind = DMARC_NODE_FAILED,
        .failure = DNS_FAILURE_TEMPORARY,
        .text = "",
        .why = "the memory for one message's DMARC is used up",
};

enum dmarc_outcome dmarc_outcome_of_failure(enum dns_failure failure)
{
	return failure == DNS_FAILURE_OTHER ? DMARC_PERMANENT : DMARC_TEMPORARY;
}

/* --- one name --- */

static const char *absence(const struct dns_answer *answer)
{
	if (answer->outcome == DNS_FOUND)
		return "other TXT records only";
	return answer->outcome == DNS_NXDOMAIN ? "no such name" : "no TXT record";
}

/* Records that are no DMARC records are discarded, and several that are all are, too (RFC 9989
 * section 4.10, steps 2 and 6). */
static const struct dns_record *only_record(const struct dns_answer *answer, size_t *ret_n)
{
	const struct dns_record *only = NULL;
	*ret_n = 0;
	for (size_t i = 0; i < answer->n_records; i++)
		if (dmarc_record_is(answer->records[i].txt.joined)) {
			only = &answer->records[i];
			++*ret_n;
		}
	return *ret_n == 1 ? only : NULL;
}

static void tell_record(struct dmarc_walker *walker, const struct dmarc_node *node,
                        enum dns_security security)
{
	mailauth_tell(&walker->story, walker->dns->arena, "%s has the DMARC record \"%s\" (%s)",
	              node->name.text, node->text, dns_security_name(security));
	for (size_t i = 0; i < node->record.n_defects; i++)
		mailauth_tell(&walker->story, walker->dns->arena,
		              "in the record of %s: %s%s%s, which is passed over", node->name.text,
		              node->record.defects[i].where,
		              *node->record.defects[i].where ? ": " : "",
		              node->record.defects[i].why);
}

static void read_records(struct dmarc_walker *walker, const struct dns_answer *answer,
                         struct dmarc_node *node)
{
	struct arena *arena = walker->dns->arena;
	size_t n;
	const struct dns_record *record = only_record(answer, &n);
	if (record) {
		struct slice text = record->txt.joined;
		if (!is_ok(dmarc_record_parse(text, arena, &node->record))) {
			*node = no_memory;
			return;
		}
		node->kind = DMARC_NODE_RECORD;
		node->text = mailauth_printable(text, MAILAUTH_PRINTABLE_MAX, arena);
		tell_record(walker, node, answer->security);
	} else if (n > 1) {
		node->kind = DMARC_NODE_SEVERAL;
		mailauth_tell(&walker->story, arena,
		              "%s has %zu DMARC records: none of them counts (%s)", node->name.text,
		              n, dns_security_name(answer->security));
	} else {
		mailauth_tell(&walker->story, arena, "%s has no DMARC record: %s (%s)",
		              node->name.text, absence(answer),
		              dns_security_name(answer->security));
	}
}

static void ask(struct dmarc_walker *walker, struct dmarc_node *node)
{
	struct arena *arena = walker->dns->arena;
	struct dns_name question;
	if (!is_ok(dns_name_prepend(SLICE("_dmarc"), node->name, arena, &question))) {
		if (arena_failed(arena))
			*node = no_memory;
		else
			mailauth_tell(&walker->story, arena,
			              "%s is too long a name to have a DMARC record",
			              node->name.text);
		return;
	}
	const struct dns_answer *answer = mailauth_lookup(walker->dns, question, DNS_TYPE_TXT);
	/* An alias is something, even one that leads nowhere (RFC 6604 section 3). */
	node->exists = answer->outcome == DNS_FOUND || answer->outcome == DNS_NODATA ||
	               answer->n_chain > 0;
	if (answer->outcome != DNS_FAILED) {
		read_records(walker, answer, node);
		return;
	}
	node->kind = DMARC_NODE_FAILED;
	node->failure = answer->failure;
	const char *why = arena_printf(arena, "the lookup of %s failed (%s): %s", question.text,
	                               dns_failure_name(answer->failure), answer->why);
	node->why = why ? why : no_memory.why;
	mailauth_tell(&walker->story, arena, "%s", node->why);
}

const struct dmarc_node *dmarc_walker_look(struct dmarc_walker *walker, struct dns_name name)
{
	for (const struct dmarc_node *node = walker->nodes; node; node = node->next)
		if (dns_name_eq(node->name, name))
			return node;
	struct dmarc_node *node = ARENA_NEW(walker->dns->arena, struct dmarc_node);
	if (!node)
		return &no_memory;
	*node = (struct dmarc_node){.name = name, .text = "", .why = ""};
	ask(walker, node);
	node->name = name;
	node->next = walker->nodes;
	walker->nodes = node;
	return node;
}

/* --- the way up --- */

struct walk {
	struct dns_name start;
	const struct dmarc_node *nodes[DMARC_WALK_MAX]; /* from the longest name to the shortest */
	size_t n;
	const struct dmarc_node *failed; /* the walk ended there */
};

/* The ancestor with that many labels. */
static struct dns_name cut_to_labels(struct dns_name name, size_t n_labels)
{
	for (size_t n = dns_name_n_labels(name); n > n_labels; n--)
		name = dns_name_parent(name);
	return name;
}

static void walk_up(struct dmarc_walker *walker, struct dns_name start, struct walk *walk)
{
	struct dns_name name = start;
	*walk = (struct walk){.start = start};
	while (!dns_name_is_root(name) && walk->n < DMARC_WALK_MAX) {
		const struct dmarc_node *node = dmarc_walker_look(walker, name);
		if (node->kind == DMARC_NODE_FAILED) {
			walk->failed = node;
			return;
		}
		walk->nodes[walk->n++] = node;
		if (node->kind == DMARC_NODE_RECORD && node->record.psd != DMARC_PSD_UNKNOWN)
			return;
		name = cut_to_labels(dns_name_parent(name), LABELS_AFTER_FIRST);
	}
}

/* RFC 9989 section 4.10.2: the first rule that fits, from the longest name to the shortest. */
static struct dns_name select_organization(struct dmarc_walker *walker, const struct walk *walk)
{
	struct dns_name found = walk->start;
	const char *why = "no record says otherwise";
	for (size_t i = 0; i < walk->n; i++) {
		const struct dmarc_node *node = walk->nodes[i];
		if (node->kind != DMARC_NODE_RECORD)
			continue;
		found = node->name;
		why = "the shortest name with a record";
		if (node->record.psd == DMARC_PSD_NO) {
			why = "its record says psd=n";
		} else if (node->record.psd == DMARC_PSD_YES && i > 0) {
			found = cut_to_labels(walk->start, dns_name_n_labels(node->name) + 1);
			why = "the record above it says psd=y";
		}
	}
	mailauth_tell(&walker->story, walker->dns->arena,
	              "the organizational domain of %s is %s: %s", walk->start.text, found.text,
	              why);
	return found;
}

static struct dns_name organization_by_list(struct dmarc_walker *walker, struct dns_name name)
{
	struct dns_name found = name;
	bool known = public_suffix_organizational(name, PUBLIC_SUFFIX_ALL, &found);
	mailauth_tell(&walker->story, walker->dns->arena,
	              "the organizational domain of %s is %s: %s", name.text, found.text,
	              known ? "by the public suffix list" : "it is itself a public suffix");
	return found;
}

const struct dmarc_node *dmarc_walker_organization(struct dmarc_walker *walker,
                                                   struct dns_name name,
                                                   struct dns_name *ret_organization)
{
	struct walk walk;
	if (walker->discovery == DMARC_PUBLIC_SUFFIX) {
		*ret_organization = organization_by_list(walker, name);
		return NULL;
	}
	walk_up(walker, name, &walk);
	if (!walk.failed)
		*ret_organization = select_organization(walker, &walk);
	return walk.failed;
}

/* --- policy discovery --- */

static void set_failed(const struct dmarc_node *node, struct dmarc_found *found)
{
	found->outcome = dmarc_outcome_of_failure(node->failure);
	found->why = node->why;
}

static void set_absent(struct dmarc_found *found)
{
	found->outcome = DMARC_ABSENT;
	found->why = found->several ? "there are only domains with several DMARC records"
	                            : "there is no DMARC record";
}

static void set_record(struct dmarc_walker *walker, const struct dmarc_node *node,
                       enum dmarc_place place, struct dmarc_found *found)
{
	static const char *const whys[] = {
	        [DMARC_USE_POLICY] = "a DMARC record applies",
	        [DMARC_USE_REPORTS] = "the DMARC record has no valid policy, but asks for reports: "
	                              "it counts as p=none",
	        [DMARC_USE_NOTHING] = "the DMARC record has no valid policy and asks for no "
	                              "reports: it is not applied",
	};
	found->outcome = node->record.use == DMARC_USE_NOTHING ? DMARC_DEFECTIVE : DMARC_FOUND;
	found->why = whys[node->record.use];
	found->domain = node->name;
	found->place = place;
	found->record = node->record;
	found->text = node->text;
	mailauth_tell(&walker->story, walker->dns->arena, "the record of %s (%s): %s",
	              node->name.text, dmarc_place_name(place), found->why);
}

/* After a walk that found no record at the author domain: that of the organisational domain, else
 * that of the public suffix. */
static void discover_above(struct dmarc_walker *walker, struct dmarc_found *found)
{
	struct walk walk;
	walk_up(walker, found->author, &walk);
	for (size_t i = 0; i < walk.n; i++)
		found->several |= walk.nodes[i]->kind == DMARC_NODE_SEVERAL;
	if (walk.failed) {
		set_failed(walk.failed, found);
		return;
	}
	found->organization = select_organization(walker, &walk);
	for (size_t i = 0; i < walk.n; i++) {
		const struct dmarc_node *node = walk.nodes[i];
		bool organization = dns_name_eq(node->name, found->organization);
		bool suffix = node->kind == DMARC_NODE_RECORD && node->record.psd == DMARC_PSD_YES;
		if (node->kind == DMARC_NODE_RECORD && (organization || suffix)) {
			set_record(walker, node,
			           organization ? DMARC_AT_ORGANIZATION : DMARC_AT_SUFFIX, found);
			return;
		}
	}
	set_absent(found);
}

/* RFC 7489 section 6.6.3: the organisational domain is asked only where the author domain has no
 * record at all. */
static void discover_by_list(struct dmarc_walker *walker, struct dmarc_found *found)
{
	found->organization = organization_by_list(walker, found->author);
	if (found->several || dns_name_eq(found->organization, found->author)) {
		set_absent(found);
		return;
	}
	const struct dmarc_node *node = dmarc_walker_look(walker, found->organization);
	found->several = node->kind == DMARC_NODE_SEVERAL;
	if (node->kind == DMARC_NODE_FAILED)
		set_failed(node, found);
	else if (node->kind == DMARC_NODE_RECORD)
		set_record(walker, node, DMARC_AT_ORGANIZATION, found);
	else
		set_absent(found);
}

void dmarc_walker_discover(struct dmarc_walker *walker, struct dns_name author,
                           struct dmarc_found *ret_found)
{
	*ret_found = (struct dmarc_found){
	        .author = author, .domain = dns_root, .organization = dns_root, .text = ""};
	const struct dmarc_node *node = dmarc_walker_look(walker, author);
	ret_found->several = node->kind == DMARC_NODE_SEVERAL;
	if (node->kind == DMARC_NODE_FAILED)
		set_failed(node, ret_found);
	else if (node->kind == DMARC_NODE_RECORD)
		set_record(walker, node, DMARC_AT_AUTHOR, ret_found);
	else if (walker->discovery == DMARC_PUBLIC_SUFFIX)
		discover_by_list(walker, ret_found);
	else
		discover_above(walker, ret_found);
}
