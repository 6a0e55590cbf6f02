/* The steps on one signature (RFC 6376 sections 6.1.1 to 6.1.3).
 *
 * Each step leaves a check alone that has failed already: the first reason stays. The body's hash
 * is compared before the key is looked at: a message that was changed is not worth a wait for the
 * DNS.
 */
#include "mailauth/dkim_verify_private.h"

static void refuse(struct dkim_check *check, enum mailauth_result result, const char *why)
{
	if (check->result != MAILAUTH_PASS)
		return;
	check->result = result;
	check->why = why;
}

/* --- the field --- */

static void refuse_field(struct dkim_verifier *v, struct dkim_check *check, struct status status)
{
	bool limit = status.code == ERR_LIMIT;
	const char *why = arena_printf(v->arena, "%s: %s",
	                               limit ? "is past a limit" : "cannot be read", status.why);
	refuse(check, limit ? MAILAUTH_POLICY : MAILAUTH_NEUTRAL, why ? why : status.why);
}

void dkim_check_read(struct dkim_verifier *v, enum dkim_kind kind, const struct dkim_field *field,
                     struct dkim_check *check)
{
	struct slice name, value;
	*check = (struct dkim_check){
	        .field = field, .key = DKIM_NO_KEY, .result = MAILAUTH_PASS, .why = ""};
	slice_cut(dkim_field_content(field->raw), ':', &name, &value);
	struct status status = dkim_signature_parse(kind, value, v->arena, &check->signature);
	if (!is_ok(status))
		refuse_field(v, check, status);
}

static size_t count_signed(const struct dkim_signature *s, struct slice name)
{
	size_t n = 0;
	for (size_t i = 0; i < s->n_names; i++)
		n += slice_ieq(s->names[i], name);
	return n;
}

/* Section 5.4: "The From header field MUST be signed"; all of them, as a reader may be shown any
 * (section 8.15). */
static void judge_from(const struct dkim_verifier *v, struct dkim_check *check)
{
	size_t n_signed = count_signed(&check->signature, SLICE("From"));
	if (n_signed == 0)
		refuse(check, MAILAUTH_PERMERROR, "does not sign the From field");
	else if (v->n_from == 0)
		refuse(check, MAILAUTH_PERMERROR, "is for a message that has no From field");
	else if (n_signed < v->n_from)
		refuse(check, MAILAUTH_POLICY, "does not sign every From field of the message");
}

static void judge_time(const struct dkim_verifier *v, struct dkim_check *check)
{
	const struct dkim_signature *s = &check->signature;
	if (s->has_expiry && s->expiry_s + DKIM_CLOCK_SKEW_S < v->options.now_s)
		refuse(check, MAILAUTH_POLICY, "has expired");
	if (s->has_time && s->time_s - DKIM_CLOCK_SKEW_S > v->options.now_s)
		refuse(check, MAILAUTH_POLICY, "was made in the future");
}

static void judge_domain(const struct dkim_verifier *v, struct dkim_check *check)
{
	const struct dkim_signature *s = &check->signature;
	if (s->has_identity && !dkim_name_is_within(s->identity_domain, s->domain))
		refuse(check, MAILAUTH_PERMERROR, "has an i= that is not of the domain d=");
	if (v->options.is_public_suffix &&
	    v->options.is_public_suffix(v->options.context, s->domain))
		refuse(check, MAILAUTH_POLICY, "is by a public suffix");
}

void dkim_check_judge(const struct dkim_verifier *v, struct dkim_check *check)
{
	if (check->result != MAILAUTH_PASS)
		return;
	/* RFC 8301 section 3.1 */
	if (check->signature.algorithm == DKIM_RSA_SHA1)
		refuse(check, MAILAUTH_POLICY, "uses rsa-sha1, which does not count any more");
	if (check->signature.kind != DKIM_KIND_ARC_SEAL)
		judge_from(v, check);
	judge_domain(v, check);
	judge_time(v, check);
	if (v->header.truncated)
		refuse(check, MAILAUTH_POLICY, "is for a header with too many fields");
}

/* --- what is needed --- */

static size_t find_key(const struct dkim_verifier *v, const char *text)
{
	for (size_t i = 0; i < v->n_keys; i++)
		if (slice_eq_str(slice_str(text), v->keys[i]->text))
			return i;
	return DKIM_NO_KEY;
}

static size_t add_key(struct dkim_verifier *v, const char *text)
{
	struct dkim_key_slot *slot = ARENA_NEW(v->arena, struct dkim_key_slot);
	if (!slot || v->n_keys == DKIM_KEYS_MAX ||
	    !is_ok(dns_name_parse(slice_str(text), v->arena, &slot->name)))
		return DKIM_NO_KEY;
	slot->text = text;
	slot->result = MAILAUTH_TEMPERROR;
	slot->why = "has a key that nobody looked up";
	v->keys[v->n_keys] = slot;
	return v->n_keys++;
}

void dkim_check_want(struct dkim_verifier *v, struct dkim_check *check)
{
	const struct dkim_signature *s = &check->signature;
	if (check->result != MAILAUTH_PASS)
		return;
	const char *text = dkim_key_name(s->selector, s->domain, v->arena);
	if (!text) {
		refuse(check, MAILAUTH_PERMERROR, "has a key whose name is too long");
		return;
	}
	check->key = find_key(v, text);
	if (check->key == DKIM_NO_KEY)
		check->key = add_key(v, text);
	if (check->key == DKIM_NO_KEY)
		refuse(check, MAILAUTH_POLICY, "has one key too many");
	else if (s->kind != DKIM_KIND_ARC_SEAL)
		v->wanted |= 1u << s->body_canon;
}

/* --- the body (section 6.1.3 step 3) --- */

static void compare_length(const struct dkim_verifier *v, struct dkim_check *check)
{
	const struct dkim_signature *s = &check->signature;
	uint64_t size = dkim_body_size(v->body, s->body_canon);
	if (!s->has_length || s->length == size)
		return;
	/* "This value MUST NOT be larger than the actual number of octets" */
	if (s->length > size) {
		refuse(check, MAILAUTH_PERMERROR, "has an l= that is larger than the body");
		return;
	}
	const char *why = arena_printf(v->arena, "leaves %" PRIu64 " octets of the body unsigned",
	                               size - s->length);
	refuse(check, MAILAUTH_POLICY, why ? why : "leaves a part of the body unsigned");
}

static void compare_body(const struct dkim_verifier *v, struct dkim_check *check)
{
	const struct dkim_signature *s = &check->signature;
	compare_length(v, check);
	if (!slice_eq(s->body_hash, dkim_body_hash(v->body, s->body_canon)))
		refuse(check, MAILAUTH_FAIL, "is for another body: it was changed");
}

/* --- the key (section 6.1.2) --- */

static enum dkim_key_type type_of(enum dkim_algorithm algorithm)
{
	return algorithm == DKIM_ED25519_SHA256 ? DKIM_KEY_ED25519 : DKIM_KEY_RSA;
}

static void judge_key(const struct dkim_verifier *v, struct dkim_check *check,
                      const struct dkim_key *key)
{
	const struct dkim_signature *s = &check->signature;
	const char *objection;
	enum mailauth_result result = dkim_key_judge(key, &objection);
	if (result != MAILAUTH_PASS) {
		const char *why = arena_printf(v->arena, "has a key that %s", objection);
		refuse(check, result, why ? why : "has a key that does not count");
	}
	if (key->type != type_of(s->algorithm))
		refuse(check, MAILAUTH_PERMERROR, "has a key for another algorithm");
	if (key->strict_identity && s->has_identity &&
	    !slice_eq_str(slice_str(s->identity_domain), s->domain))
		refuse(check, MAILAUTH_PERMERROR,
		       "has an i= in a subdomain, which its key does not allow");
}

static void try_record(const struct dkim_verifier *v, struct dkim_check *check,
                       const struct dkim_key_record *record, const uint8_t digest[DKIM_HASH_SIZE])
{
	check->testing = record->key.testing;
	check->key_bits = record->key.bits;
	judge_key(v, check, &record->key);
	if (check->result != MAILAUTH_PASS)
		return;
	if (!record->public_key)
		refuse(check, MAILAUTH_PERMERROR, "has a key that cannot be used");
	else if (!dkim_public_key_verify(record->public_key, digest, check->signature.signature))
		refuse(check, MAILAUTH_FAIL,
		       "does not fit its key: what it signs was changed, or "
		       "another key made it");
}

/* Several records: "the Verifier can choose one of the key records or may cycle through" them
 * (section 6.1.2). One that verifies counts; else the first that was tried with arithmetic; else
 * the first. */
void dkim_check_digest(const struct dkim_verifier *v, struct dkim_check *check,
                       const uint8_t digest[DKIM_HASH_SIZE])
{
	if (check->result != MAILAUTH_PASS)
		return;
	const struct dkim_key_slot *slot = v->keys[check->key];
	const struct dkim_check before = *check;
	refuse(check, slot->result, slot->why);
	for (size_t i = 0; i < slot->n_records; i++) {
		struct dkim_check trial = before;
		try_record(v, &trial, &slot->records[i], digest);
		if (i == 0 || trial.result == MAILAUTH_PASS ||
		    (trial.result == MAILAUTH_FAIL && check->result != MAILAUTH_FAIL))
			*check = trial;
		if (trial.result == MAILAUTH_PASS)
			break;
	}
}

/* What is known of the key of a signature that failed without it. */
static void note_key(const struct dkim_verifier *v, struct dkim_check *check)
{
	const struct dkim_key_slot *slot = v->keys[check->key];
	if (slot->n_records == 0)
		return;
	check->testing = slot->records[0].key.testing;
	check->key_bits = slot->records[0].key.bits;
}

/* --- the signature --- */

void dkim_check_add_self(const struct dkim_check *check, struct dkim_sink *sink)
{
	struct slice content = dkim_field_content(check->field->raw);
	struct slice b = check->signature.b_raw;
	size_t before = (size_t)(b.p - content.p);
	struct dkim_field_canon canon;
	dkim_field_canon_init(&canon, check->signature.header_canon, sink);
	dkim_field_canon_feed(&canon, slice_sub(content, 0, before));
	dkim_field_canon_feed(&canon, slice_from(content, before + b.n));
	dkim_field_canon_finish(&canon, false);
}

struct dkim_sink *dkim_check_hash(struct dkim_verifier *v)
{
	if (v->hash)
		dkim_hash_reset(v->hash);
	else
		v->hash = dkim_hash_new();
	return dkim_hash_sink(v->hash);
}

static void hash_header(struct dkim_verifier *v, const struct dkim_check *check,
                        uint8_t digest[DKIM_HASH_SIZE])
{
	const struct dkim_signature *s = &check->signature;
	const struct dkim_field *fields[DKIM_SIGNED_NAMES_MAX];
	struct dkim_sink *sink = dkim_check_hash(v);
	dkim_header_select(&v->header, s->names, s->n_names, check->field, fields);
	for (size_t i = 0; i < s->n_names; i++)
		if (fields[i])
			dkim_canon_field(s->header_canon, fields[i]->raw, sink);
	dkim_check_add_self(check, sink);
	dkim_hash_finish(v->hash, digest);
}

void dkim_check_message(struct dkim_verifier *v, struct dkim_check *check)
{
	uint8_t digest[DKIM_HASH_SIZE];
	if (check->result != MAILAUTH_PASS)
		return;
	compare_body(v, check);
	if (check->result != MAILAUTH_PASS) {
		note_key(v, check);
		return;
	}
	hash_header(v, check, digest);
	dkim_check_digest(v, check, digest);
}
