/* The verifier: which signatures are looked at, their keys, their results.
 *
 * Work that a message can cause: DKIM_READ_MAX signatures are read, n_verified_max verified; keys
 * are looked up once a name. Of more signatures those whose d= has to do with From are taken first,
 * since they can help the message most, then the uppermost.
 */
#include "mailauth/dkim_verify.h"

#include "mailauth/dkim_key_cache_private.h"
#include "mailauth/dkim_verify_private.h"
#include "message/address.h"

#define FROM_ARENA       ((size_t)64 * 1024)
#define FROM_DOMAINS_MAX 8u
#define B_PREFIX_SIZE    8u /* RFC 6008 section 4: at least */
#define SIGNATURE_FIELD  SLICE("DKIM-Signature")

/* --- which signatures --- */

static void add_result(struct dkim_verifier *v, const struct dkim_field *field)
{
	struct dkim_result *result = &v->results[v->n_results++];
	*result = (struct dkim_result){.result = MAILAUTH_POLICY,
	                               .why = "is one signature too many",
	                               .identity = "",
	                               .b_prefix = slice_empty()};
	if (v->n_checks == DKIM_READ_MAX)
		return;
	struct dkim_check *check = &v->checks[v->n_checks++];
	dkim_check_read(v, DKIM_KIND_SIGNATURE, field, check);
	dkim_check_judge(v, check);
}

static struct status find_signatures(struct dkim_verifier *v)
{
	v->n_found = dkim_header_count(&v->header, SIGNATURE_FIELD);
	size_t n = MIN(v->n_found, (size_t)DKIM_LISTED_MAX);
	v->results = ARENA_ARRAY(v->arena, n, struct dkim_result);
	v->checks = ARENA_ARRAY(v->arena, MIN(n, (size_t)DKIM_READ_MAX), struct dkim_check);
	if (n > 0 && (!v->results || !v->checks))
		return fail(ERR_LIMIT, "no room for the signatures of a message");
	/* Ranks count from the bottom. */
	for (size_t rank = v->n_found; v->n_results < n; rank--)
		add_result(v, dkim_header_find(&v->header, SIGNATURE_FIELD, rank - 1));
	return ok();
}

/* The domains of the addresses in From, the first few. */
struct authors {
	const char *domains[FROM_DOMAINS_MAX];
	size_t n;
};

static void read_authors(const struct dkim_verifier *v, struct arena *arena,
                         struct authors *authors)
{
	const struct dkim_field *field = dkim_header_find(&v->header, SLICE("From"), 0);
	struct message_address_list from = {0};
	struct slice name, value;
	authors->n = 0;
	if (!field)
		return;
	slice_cut(field->raw, ':', &name, &value);
	message_addresses_parse(value, arena, &from);
	for (size_t i = 0; i < from.n && authors->n < FROM_DOMAINS_MAX; i++) {
		const char *domain = dkim_name_parse(from.v[i].domain, 1, arena);
		if (domain)
			authors->domains[authors->n++] = domain;
	}
}

/* d= is the domain of an author, above it or below it. */
static bool is_of(const struct authors *authors, const char *domain)
{
	for (size_t i = 0; i < authors->n; i++)
		if (dkim_name_is_within(authors->domains[i], domain) ||
		    dkim_name_is_within(domain, authors->domains[i]))
			return true;
	return false;
}

/* Chooses up to *n_left by asking for their keys: those of the authors, or any (NULL). */
static void choose_of(struct dkim_verifier *v, const struct authors *authors, size_t *n_left)
{
	for (size_t i = 0; i<v->n_checks && * n_left> 0; i++) {
		struct dkim_check *check = &v->checks[i];
		bool is_open = check->result == MAILAUTH_PASS && check->key == DKIM_NO_KEY;
		if (!is_open || (authors && !is_of(authors, check->signature.domain)))
			continue;
		dkim_check_want(v, check);
		--*n_left;
	}
}

static void choose(struct dkim_verifier *v)
{
	struct authors authors;
	struct arena arena;
	size_t n_left = v->options.n_verified_max ? v->options.n_verified_max : DKIM_VERIFIED_MAX;
	if (v->n_checks > n_left) {
		arena_init(&arena, FROM_ARENA);
		read_authors(v, &arena, &authors);
		choose_of(v, &authors, &n_left);
		arena_done(&arena);
	}
	choose_of(v, NULL, &n_left);
}

struct status dkim_verifier_new(struct slice header, const struct dkim_options *options,
                                struct arena *arena, struct dkim_verifier **ret_verifier)
{
	struct dkim_verifier *v = ARENA_NEW(arena, struct dkim_verifier);
	if (!v)
		return fail(ERR_LIMIT, "no room for a verifier");
	v->arena = arena;
	v->options = *options;
	TRY(dkim_header_index(header, arena, &v->header));
	v->n_from = dkim_header_count(&v->header, SLICE("From"));
	TRY(find_signatures(v));
	choose(v);
	if (arena_failed(arena))
		return fail(ERR_LIMIT, "no room for the signatures of a message");
	*ret_verifier = v;
	return ok();
}

/* --- keys --- */

size_t dkim_verifier_n_keys(const struct dkim_verifier *v)
{
	return v->n_keys;
}

const char *dkim_verifier_key_name(const struct dkim_verifier *v, size_t i)
{
	ASSERT(i < v->n_keys);
	return v->keys[i]->text;
}

static void set_missing(struct dkim_key_slot *slot, enum mailauth_result result, const char *why,
                        const char *detail, struct arena *arena)
{
	const char *text = arena_printf(arena, "%s: %s", why, detail);
	slot->result = result;
	slot->why = text && *detail ? text : why;
}

/* Records that are no keys are passed over, as long as one is: a wildcard may answer for all names
 * (section 6.1.2). */
static void read_records(struct dkim_key_slot *slot, const struct dns_answer *answer,
                         struct dkim_key_cache *cache, struct arena *arena)
{
	const char *why = "", *objection;
	size_t n = MIN(answer->n_records, (size_t)DKIM_KEY_RECORDS_MAX);
	for (size_t i = 0; i < n; i++) {
		struct dkim_key_record *record = &slot->records[slot->n_records];
		struct status status =
		        dkim_key_parse(answer->records[i].txt.joined, arena, &record->key);
		if (is_ok(status)) {
			slot->n_records++;
			if (dkim_key_judge(&record->key, &objection) == MAILAUTH_PASS)
				(void)dkim_key_cache_get(cache, &record->key, &record->public_key);
		} else if (!*why) {
			why = status.why;
		}
	}
	if (slot->n_records > 0)
		slot->result = MAILAUTH_PASS;
	else
		set_missing(slot, MAILAUTH_PERMERROR, "has a key record that is none", why, arena);
}

void dkim_verifier_fetch_key(struct dkim_verifier *v, size_t i, struct mailauth_dns *dns)
{
	ASSERT(i < v->n_keys && !v->keys[i]->fetched);
	struct dkim_key_slot *slot = v->keys[i];
	size_t first = dns->evidence.n;
	const struct dns_answer *answer = mailauth_lookup(dns, slot->name, DNS_TYPE_TXT);
	slot->fetched = true;
	slot->evidence = mailauth_evidence_since(dns, first);
	switch (answer->outcome) {
	case DNS_FOUND:
		read_records(slot, answer, v->options.keys, dns->arena);
		break;
	case DNS_NODATA:
	case DNS_NXDOMAIN:
		set_missing(slot, MAILAUTH_PERMERROR, "has no key in the DNS", "", dns->arena);
		break;
	case DNS_FAILED:
		set_missing(slot, MAILAUTH_TEMPERROR, "has a key that could not be looked up",
		            answer->why, dns->arena);
		break;
	}
}

/* --- the body, the results --- */

static struct dkim_body *body_of(struct dkim_verifier *v)
{
	if (!v->body)
		v->body = dkim_body_new(v->wanted);
	return v->body;
}

void dkim_verifier_feed(struct dkim_verifier *v, struct slice bytes)
{
	dkim_body_feed(body_of(v), bytes);
}

static const char *identity_of(const struct dkim_signature *s, struct arena *arena)
{
	const char *text = s->has_identity ? arena_printf(arena, "%.*s@%s", SLICE_FMT(s->identity),
	                                                  s->identity_domain)
	                                   : arena_printf(arena, "@%s", s->domain);
	return text ? text : "";
}

static void set_result(const struct dkim_verifier *v, struct dkim_check *check,
                       struct dkim_result *result)
{
	const struct dkim_signature *s = &check->signature;
	bool was_read = s->domain != NULL;
	if (check->result == MAILAUTH_PASS && check->key == DKIM_NO_KEY)
		check->result = MAILAUTH_POLICY, check->why = result->why;
	result->result = check->result;
	result->why = check->why;
	result->key_bits = check->key_bits;
	result->testing = check->testing;
	if (check->key != DKIM_NO_KEY)
		result->evidence = v->keys[check->key]->evidence;
	if (!was_read)
		return;
	size_t n_from = 0;
	for (size_t i = 0; i < s->n_names; i++)
		n_from += slice_ieq_str(s->names[i], "From");
	result->signature = s;
	result->identity = identity_of(s, v->arena);
	result->b_prefix = slice_sub(s->b_text, 0, B_PREFIX_SIZE);
	result->all_from_signed = v->n_from > 0 && n_from >= v->n_from;
}

static size_t common_size(struct slice a, struct slice b)
{
	size_t n = 0;
	while (n < a.n && n < b.n && a.p[n] == b.p[n])
		n++;
	return n;
}

/* How much of signature i's b= tells it from all others. */
static size_t unique_size(const struct dkim_verifier *v, size_t i)
{
	struct slice own = v->checks[i].signature.b_text;
	size_t n = MIN((size_t)B_PREFIX_SIZE, own.n);
	for (size_t j = 0; j < v->n_checks && n < own.n; j++) {
		struct slice other = v->checks[j].signature.b_text;
		if (j != i && v->results[j].signature && slice_starts(other, slice_sub(own, 0, n)))
			n = common_size(own, other) + 1;
	}
	return n;
}

/* Makes header.b "long enough to be unique among the results being reported" (RFC 6008 section 4).
 */
static void lengthen_prefixes(struct dkim_verifier *v)
{
	for (size_t i = 0; i < v->n_checks; i++)
		if (v->results[i].signature)
			v->results[i].b_prefix =
			        slice_sub(v->checks[i].signature.b_text, 0, unique_size(v, i));
}

void dkim_verifier_finish(struct dkim_verifier *v)
{
	dkim_body_finish(body_of(v));
	for (size_t i = 0; i < v->n_checks; i++) {
		if (v->checks[i].key != DKIM_NO_KEY)
			dkim_check_message(v, &v->checks[i]);
		set_result(v, &v->checks[i], &v->results[i]);
	}
	lengthen_prefixes(v);
}

struct dkim_results dkim_verifier_results(const struct dkim_verifier *v)
{
	return (struct dkim_results){
	        .v = v->results, .n = v->n_results, .n_found = v->n_found, .n_from = v->n_from};
}

void dkim_verifier_free(struct dkim_verifier *v)
{
	if (!v)
		return;
	for (size_t i = 0; i < v->n_keys; i++)
		for (size_t j = 0; j < v->keys[i]->n_records; j++)
			dkim_public_key_free(v->keys[i]->records[j].public_key);
	dkim_body_free(v->body);
	dkim_hash_free(v->hash);
}
