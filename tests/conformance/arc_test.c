/* ARC against the test suite of ValiMail (../shared/suites/arc), where it lies beside the checkout;
 * skipped, with a word, where it does not. One line of TAP for each case.
 *
 * Verifying: the result of each chain is compared. Sealing: the fields that the suite wants must
 * verify over what we hash (RSA with PKCS #1 v1.5 has one signature for one hash, so ours would be
 * the same), and our own set must have the same tags and results; the order of tags and the folding
 * are ours.
 *
 * Where we differ on purpose, the table below says why. The suite is of 2016, the RFC of 2019.
 */
#include "mailauth/arc_private.h"
#include "mailauth/dkim_sign_private.h"
#include "mailauth/dkim_testing.h"
#include "mailauth/dkim_verify_private.h"
#include "mailauth/taglist.h"

#include "message/header.h"

#include "yaml.h"

#define SUITE      SOURCE_ROOT "/../shared/suites/arc/"
#define SUITE_SIZE ((size_t)64 * 1024 * 1024)
#define SKIPPED    77

#define MARKED "RFC 8617 section 5.2 step 2: what is marked as failed is fail; the suite says nothing"
#define NO_C                                                                                               \
	"RFC 6376 section 3.5: without c= both are simple; RFC 8617 section 4.1.2 changes nothing in that. "\
	"The suite has relaxed"
#define EMPTY_NAME "RFC 6376 section 3.5: h= is a list of names, and an empty one is none"
#define NO_FROM                                                                                            \
	"RFC 6376 section 3.5: h= \"MUST NOT be empty\", and section 6.1.1: it must list From; RFC 8617 "  \
	"section 4.1.2 gives the field the same syntax and semantics"

/* Cases that end otherwise here, and why. */
static const struct {
	const char *name, *why;
} deviations[] = {
        {"cv_fail_i1_as_cv_fail", MARKED},
        {"cv_fail_i2_as2_fail", MARKED},
        {"cv_fail_i2_as1_fail", MARKED},
        {"ams_fields_c_na", NO_C},
        {"ams_fields_h_empty", NO_FROM},
        {"ams_fields_h_mis_hdr", EMPTY_NAME},
};

struct suite {
	struct arena arena;
	size_t n, n_failed;
};

static const char *deviation(struct slice name)
{
	for (size_t i = 0; i < N_ELEMENTS(deviations); i++)
		if (slice_eq_str(name, deviations[i].name))
			return deviations[i].why;
	return NULL;
}

static void report(struct suite *s, struct slice name, bool good, const char *detail)
{
	const char *why = deviation(name);
	bool passed = good == (why == NULL);
	s->n_failed += !passed;
	printf("%s %zu - %.*s\n", passed ? "ok" : "not ok", ++s->n, SLICE_FMT(name));
	if (why)
		printf("# differs on purpose: %s\n", why);
	if (!passed)
		printf("# %s\n", why ? "does not differ any more" : detail);
}

/* --- data --- */

static struct slice with_crlf(struct slice text, struct arena *arena)
{
	struct buf out;
	buf_init(&out, 4 * MIB);
	for (size_t i = 0; i < text.n; i++) {
		if (text.p[i] == '\n')
			buf_add_byte(&out, '\r');
		buf_add_byte(&out, text.p[i]);
	}
	struct slice copy = arena_copy(arena, buf_slice(&out));
	buf_done(&out);
	return copy;
}

static void tell_records(const struct yaml_node *document, struct dns_table *table,
                         struct arena *arena)
{
	const struct yaml_node *records = yaml_get(document, "txt-records");
	for (size_t i = 0; records && i < records->n; i++) {
		char *text = arena_cstr(arena, slice_trim(records->items[i]->text));
		for (char *c = text; *c; c++)
			if (*c == '\n')
				*c = ' ';
		testing_tell(table, arena_cstr(arena, records->keys[i]), text);
	}
}

/* --- verifying --- */

static struct dkim_verifier *verify(struct slice message, const struct dns_resolver *resolver,
                                    struct arena *arena, struct arc_result *ret_result)
{
	struct dkim_options options = {.now_s = TESTING_NOW_S};
	struct dkim_verifier *v;
	struct arc_chain *chain;
	struct mailauth_dns dns;
	testing_dns(&dns, resolver, arena);
	if (!is_ok(dkim_verifier_new(testing_header(message), &options, arena, &v)) ||
	    !is_ok(arc_chain_new(v, &chain)))
		BUG("a message cannot be verified");
	for (size_t i = 0; i < dkim_verifier_n_keys(v); i++)
		dkim_verifier_fetch_key(v, i, &dns);
	dkim_verifier_feed(v, testing_body(message));
	dkim_verifier_finish(v);
	arc_chain_finish(chain, ret_result);
	return v;
}

static void run_validation(struct suite *s, struct slice name, const struct yaml_node *test,
                           const struct dns_resolver *resolver)
{
	struct arc_result result;
	struct slice expected = slice_trim(yaml_text(test, "cv"));
	struct slice message = with_crlf(yaml_text(test, "message"), &s->arena);
	struct dkim_verifier *v = verify(message, resolver, &s->arena, &result);
	const char *detail =
	        arena_printf(&s->arena, "%s (%s) instead of %.*s", mailauth_result_name(result.result),
	                     result.why, SLICE_FMT(expected));
	report(s, name, slice_ieq_str(expected, mailauth_result_name(result.result)), detail);
	dkim_verifier_free(v);
}

/* --- sealing --- */

struct wanted {
	struct slice seal, message, results; /* values of the fields, with CRLF */
};

static struct slice finish(struct buf *out, struct arena *arena)
{
	struct slice copy = arena_copy(arena, buf_slice(out));
	buf_done(out);
	return copy;
}

static struct slice results_field(struct slice value, struct arena *arena)
{
	struct buf out;
	struct slice line, rest = slice_trim(value);
	buf_init(&out, MIB);
	buf_add_str(&out, "ARC-Authentication-Results: ");
	while (rest.n > 0) {
		slice_cut(rest, '\n', &line, &rest);
		buf_add(&out, slice_trim(line));
		buf_add_str(&out, rest.n > 0 ? "\r\n " : "\r\n");
	}
	return finish(&out, arena);
}

/* The suite shows its signatures folded, but the seals were made over fields in one line, without
 * blanks in the values. */
static struct slice signature_field(const char *name, struct slice value, struct arena *arena)
{
	struct buf out;
	struct slice tag, rest = slice_trim(value);
	buf_init(&out, MIB);
	buf_printf(&out, "%s: ", name);
	while (rest.n > 0) {
		slice_cut(rest, ';', &tag, &rest);
		buf_add(&out, mailauth_tag_strip(tag, arena));
		buf_add_str(&out, rest.n > 0 ? "; " : "\r\n");
	}
	return finish(&out, arena);
}

/* The seal of the set, over all sets or, when it says so, over its own alone. */
static bool seal_verifies(struct dkim_verifier *v, const struct arc_sets *sets)
{
	const struct arc_fields *own = &sets->v[sets->highest - 1];
	struct dkim_check check = {.signature = own->seal_signature,
	                           .field = own->seal,
	                           .key = 0,
	                           .result = MAILAUTH_PASS,
	                           .why = ""};
	uint8_t digest[DKIM_HASH_SIZE];
	struct dkim_sink *sink = dkim_check_hash(v);
	for (unsigned i = 1; i < sets->highest && own->seal_signature.cv != ARC_CV_FAIL; i++)
		arc_add_set(&sets->v[i - 1], sink);
	dkim_canon_field(DKIM_RELAXED, own->results->raw, sink);
	dkim_canon_field(DKIM_RELAXED, own->message->raw, sink);
	dkim_check_add_self(&check, sink);
	dkim_hash_finish(v->hash, digest);
	dkim_check_digest(v, &check, digest);
	return check.result == MAILAUTH_PASS;
}

/* The suite's own set in front of the message: both signatures must fit what we hash. */
static const char *check_wanted(struct slice message, const struct wanted *wanted,
                                const struct dns_resolver *resolver, struct arena *arena)
{
	struct dkim_options options = {.now_s = TESTING_NOW_S};
	struct dkim_verifier *v;
	struct arc_sets sets;
	struct mailauth_dns dns;
	struct buf whole;
	const char *why = "";
	buf_init(&whole, MIB);
	buf_add(&whole, wanted->seal);
	buf_add(&whole, wanted->message);
	buf_add(&whole, wanted->results);
	buf_add(&whole, message);
	message = arena_copy(arena, buf_slice(&whole));
	buf_done(&whole);
	if (!is_ok(dkim_verifier_new(testing_header(message), &options, arena, &v)) ||
	    !is_ok(arc_sets_read(&v->header, arena, &sets)))
		BUG("a message cannot be verified");
	const struct arc_fields *own = &sets.v[sets.highest - 1];
	struct dkim_check check = {.signature = own->message_signature,
	                           .field = own->message,
	                           .key = DKIM_NO_KEY,
	                           .result = MAILAUTH_PASS,
	                           .why = ""};
	dkim_check_want(v, &check);
	testing_dns(&dns, resolver, arena);
	dkim_verifier_fetch_key(v, 0, &dns);
	dkim_verifier_feed(v, testing_body(message));
	dkim_verifier_finish(v);
	dkim_check_message(v, &check);
	if (check.result != MAILAUTH_PASS)
		why = "the message signature of the suite does not verify";
	else if (!seal_verifies(v, &sets))
		why = "the seal of the suite does not verify";
	dkim_verifier_free(v);
	return why;
}

static struct dkim_signature parse(enum dkim_kind kind, struct slice field, struct arena *arena)
{
	struct dkim_signature signature;
	struct slice name, value;
	slice_cut(field, ':', &name, &value);
	if (!is_ok(dkim_signature_parse(kind, value, arena, &signature)))
		BUG("a field cannot be read");
	return signature;
}

static bool same_tags(const struct dkim_signature *a, const struct dkim_signature *b)
{
	bool same = a->algorithm == b->algorithm && a->header_canon == b->header_canon &&
	            a->body_canon == b->body_canon && a->instance == b->instance &&
	            a->cv == b->cv && a->time_s == b->time_s && a->n_names == b->n_names &&
	            slice_eq(a->body_hash, b->body_hash) &&
	            slice_eq_str(slice_str(a->domain), b->domain) &&
	            slice_eq_str(slice_str(a->selector), b->selector);
	for (size_t i = 0; same && i < a->n_names; i++)
		same = slice_eq(a->names[i], b->names[i]);
	return same;
}

struct text_sink {
	struct dkim_sink sink;
	struct buf *out;
};

static void add_piece(struct dkim_sink *sink, struct slice piece)
{
	buf_add(((struct text_sink *)sink)->out, piece);
}

static bool same_relaxed(struct slice a, struct slice b)
{
	struct buf texts[2];
	struct slice fields[2] = {a, b};
	for (size_t i = 0; i < 2; i++) {
		struct text_sink sink = {{add_piece}, &texts[i]};
		buf_init(&texts[i], MIB);
		dkim_canon_field(DKIM_RELAXED, fields[i], &sink.sink);
	}
	bool same = slice_eq(buf_slice(&texts[0]), buf_slice(&texts[1]));
	buf_done(&texts[0]);
	buf_done(&texts[1]);
	return same;
}

static const char *compare(struct slice own, const struct wanted *wanted, struct arena *arena)
{
	struct dkim_header header;
	if (!is_ok(dkim_header_index(own, arena, &header)) || header.n != 3)
		return "our set has not three fields";
	struct dkim_signature seal = parse(DKIM_KIND_ARC_SEAL, header.fields[0].raw, arena);
	struct dkim_signature message = parse(DKIM_KIND_ARC_MESSAGE, header.fields[1].raw, arena);
	struct dkim_signature seal_wanted = parse(DKIM_KIND_ARC_SEAL, wanted->seal, arena);
	struct dkim_signature message_wanted =
	        parse(DKIM_KIND_ARC_MESSAGE, wanted->message, arena);
	if (!same_tags(&seal, &seal_wanted))
		return "our seal has other tags";
	if (!same_tags(&message, &message_wanted))
		return "our message signature has other tags";
	return same_relaxed(header.fields[2].raw, wanted->results) ? "" : "our results differ";
}

static enum arc_cv cv_of(const struct arc_result *result)
{
	return result->result == MAILAUTH_PASS   ? ARC_CV_PASS
	       : result->result == MAILAUTH_NONE ? ARC_CV_NONE
	                                         : ARC_CV_FAIL;
}

/* "i=1; lists.example.org; ..." in one line, without the instance. */
static struct slice results_of(struct slice wanted, struct arena *arena)
{
	struct slice instance, rest;
	slice_cut(message_unfold(wanted, arena), ';', &instance, &rest);
	return slice_trim(rest);
}

static const char *run_seal(const struct yaml_node *document, const struct yaml_node *test,
                            const struct dns_resolver *resolver, struct arena *arena)
{
	struct arc_result before;
	struct dkim_private_key *key;
	struct slice names[20], rest = yaml_text(test, "sig-headers");
	struct slice message = with_crlf(yaml_text(test, "message"), arena);
	struct wanted wanted = {
	        .seal = signature_field("ARC-Seal", yaml_text(test, "AS"), arena),
	        .message = signature_field("ARC-Message-Signature", yaml_text(test, "AMS"), arena),
	        .results = results_field(yaml_text(test, "AAR"), arena),
	};
	bool nothing = slice_trim(yaml_text(test, "AS")).n == 0;
	struct dkim_verifier *v = verify(message, resolver, arena, &before);
	struct arc_seal_options options = {
	        .domain = yaml_text(document, "domain"),
	        .selector = yaml_text(document, "sel"),
	        .results = nothing ? SLICE("x") : results_of(yaml_text(test, "AAR"), arena),
	        .cv = cv_of(&before),
	        .names = names,
	        .no_oversign = true,
	};
	uint64_t now_s = 0;
	unsigned instance;
	struct buf own;
	dkim_verifier_free(v);
	(void)slice_to_u64(yaml_text(test, "t"), INT64_MAX, &now_s);
	options.now_s = (int64_t)now_s;
	while (slice_cut(rest, ':', &names[options.n_names++], &rest))
		;
	if (!is_ok(dkim_private_key_from_pem(yaml_text(document, "privatekey"), &key)))
		return "the key of the suite cannot be read";
	struct dkim_signer_key signer = dkim_private_key_signer(key);
	options.key = &signer;
	struct dkim_body *body = dkim_body_new(DKIM_BODY_RELAXED);
	dkim_body_feed(body, testing_body(message));
	dkim_body_finish(body);
	buf_init(&own, MIB);
	struct status status = arc_seal(testing_header(message), body, &options, &own, &instance);
	const char *why = "";
	if (!is_ok(status))
		why = status.why;
	else if (nothing)
		why = instance == 0 && own.n == 0 ? "" : "we sealed a chain that was marked";
	else
		why = compare(arena_copy(arena, buf_slice(&own)), &wanted, arena);
	if (!*why && !nothing)
		why = check_wanted(message, &wanted, resolver, arena);
	buf_done(&own);
	dkim_body_free(body);
	dkim_private_key_free(key);
	return why;
}

static void run_sealing(struct suite *s, struct slice name, const struct yaml_node *document,
                        const struct yaml_node *test, const struct dns_resolver *resolver)
{
	const char *why = run_seal(document, test, resolver, &s->arena);
	report(s, name, !*why, why);
}

/* --- all --- */

static bool run_file(struct suite *s, const char *path, bool seals)
{
	struct slice text;
	struct arena arena;
	arena_init(&arena, SUITE_SIZE);
	bool there = yaml_read_file(path, &arena, &text);
	const struct yaml_node *document;
	for (size_t i = 0; there && (document = yaml_document(text, i, &arena)); i++) {
		const struct yaml_node *tests = yaml_get(document, "tests");
		struct dns_table table;
		dns_table_init(&table);
		tell_records(document, &table, &arena);
		for (size_t j = 0; tests && j < tests->n; j++) {
			arena_init(&s->arena, SUITE_SIZE);
			if (seals)
				run_sealing(s, tests->keys[j], document, tests->items[j],
				            &table.resolver);
			else
				run_validation(s, tests->keys[j], tests->items[j],
				               &table.resolver);
			arena_done(&s->arena);
		}
		dns_table_done(&table);
	}
	arena_done(&arena);
	return there;
}

int main(void)
{
	struct suite s = {.n = 0};
	bool there = run_file(&s, SUITE "arc-draft-validation-tests.yml", false);
	there |= run_file(&s, SUITE "arc-draft-sign-tests.yml", true);
	if (!there) {
		printf("skipped: no ARC suite beside the checkout\n");
		return SKIPPED;
	}
	printf("1..%zu\n", s.n);
	return s.n_failed == 0 && s.n > 0 ? 0 : 1;
}
