/* check_host() (RFC 7208 section 4): records within records, on a stack of frames instead of
 * recursion.
 *
 *	enter:   a domain's record is looked up and lies on top of the stack
 *	advance: the top record's next term is evaluated; may enter another record
 *	leave:   the top record has a result, which its place in the one below turns into something:
 *	         of a redirection the result itself (section 6.1), of an include a match or none
 *	         (section 5.2)
 *
 * Limits: those of section 4.6.4, one count for all records together; SPF_DEPTH_MAX frames. A
 * domain that leads back to itself would only end at these limits, since everything is the same
 * the second time: it is a permerror at once.
 */
#include "mailauth/spf_private.h"

const struct spf_limits spf_limits_default = {
        .lookup_terms = SPF_LOOKUP_TERMS_MAX,
        .void_terms = SPF_VOID_TERMS_MAX,
};

static struct spf_frame *top(struct spf_check *check)
{
	return &check->frames[check->n_frames - 1];
}

/* --- limits --- */

bool spf_count_lookup(struct spf_check *check, enum mailauth_result *ret_result)
{
	if (check->n_lookup_terms < check->limits.lookup_terms) {
		check->n_lookup_terms++;
		return true;
	}
	spf_fail(check, MAILAUTH_PERMERROR, ret_result,
	         "more than %u lookups would be needed (RFC 7208 section 4.6.4)",
	         check->limits.lookup_terms);
	return false;
}

static bool count_void(struct spf_check *check, enum mailauth_result *ret_result)
{
	if (check->n_void_terms <= check->limits.void_terms)
		return true;
	spf_fail(check, MAILAUTH_PERMERROR, ret_result,
	         "more than %u terms lead to nothing in the DNS (RFC 7208 section 4.6.4)",
	         check->limits.void_terms);
	return false;
}

/* --- finding a record --- */

enum spf_lookup_outcome spf_lookup(struct mailauth_dns *dns, struct dns_name name,
                                   const struct dns_answer **ret_answer, struct slice *ret_text)
{
	const struct dns_answer *answer = mailauth_lookup(dns, name, DNS_TYPE_TXT);
	enum spf_lookup_outcome outcome = SPF_LOOKUP_NONE;
	*ret_answer = answer;
	if (answer->outcome == DNS_FAILED) /* section 4.4 */
		return SPF_LOOKUP_FAILED;
	if (answer->outcome == DNS_NXDOMAIN)
		return SPF_LOOKUP_NO_NAME;
	for (size_t i = 0; i < answer->n_records; i++) { /* section 4.5 */
		if (!spf_record_is(answer->records[i].txt.joined))
			continue;
		if (outcome == SPF_LOOKUP_FOUND)
			return SPF_LOOKUP_SEVERAL;
		outcome = SPF_LOOKUP_FOUND;
		*ret_text = answer->records[i].txt.joined;
	}
	return outcome;
}

/* No record: of a domain that another one leads to this is a permerror (sections 5.2 and 6.1). */
static void no_record(struct spf_check *check, enum spf_frame_kind kind, const char *domain,
                      const char *what, enum mailauth_result *ret_result)
{
	if (kind != SPF_FRAME_FIRST) {
		spf_fail(check, MAILAUTH_PERMERROR, ret_result, "%s %s", domain, what);
		return;
	}
	const char *nothing = arena_printf(check->arena, "%s %s", domain, what);
	check->nothing = nothing ? nothing : "the domain has no SPF record";
	*ret_result = MAILAUTH_NONE;
}

static bool parse(struct spf_check *check, const char *domain, struct slice text,
                  struct spf_record *ret_record, enum mailauth_result *ret_result)
{
	struct spf_fault fault;
	struct status status = spf_record_parse(text, check->arena, ret_record, &fault);
	if (is_ok(status))
		return true;
	if (status.code == ERR_LIMIT)
		spf_fail_memory(check, ret_result);
	else
		spf_fail(check, MAILAUTH_PERMERROR, ret_result, "the record of %s has `%s`: %s",
		         domain, spf_printable(fault.at, 60, check->arena, "a mistake"),
		         spf_problem_what(fault.problem));
	return false;
}

static bool find_record(struct spf_check *check, enum spf_frame_kind kind, struct dns_name domain,
                        struct spf_record *ret_record, enum mailauth_result *ret_result)
{
	const struct dns_answer *answer;
	struct slice text;
	switch (spf_lookup(check->dns, domain, &answer, &text)) {
	case SPF_LOOKUP_FOUND:
		return parse(check, domain.text, text, ret_record, ret_result);
	case SPF_LOOKUP_NONE:
		no_record(check, kind, domain.text, "has no SPF record", ret_result);
		break;
	case SPF_LOOKUP_NO_NAME:
		no_record(check, kind, domain.text, "does not exist", ret_result);
		break;
	case SPF_LOOKUP_SEVERAL:
		spf_fail(check, MAILAUTH_PERMERROR, ret_result, "%s has more than one SPF record",
		         domain.text);
		break;
	case SPF_LOOKUP_FAILED:
		spf_fail(check, MAILAUTH_TEMPERROR, ret_result,
		         "the lookup of the record of %s failed: %s", domain.text, answer->why);
		break;
	}
	return false;
}

static bool is_under_way(const struct spf_check *check, struct dns_name domain)
{
	for (size_t i = 0; i < check->n_frames; i++)
		if (dns_name_eq(check->frames[i].target.name, domain))
			return true;
	return false;
}

/* False: check_host() of this domain has ended with *ret_result, and no frame was made. */
static bool enter(struct spf_check *check, enum spf_frame_kind kind,
                  const struct spf_target *target, enum mailauth_result *ret_result)
{
	struct spf_record record;
	const char *domain = target->name.text;
	if (is_under_way(check, target->name)) {
		spf_fail(check, MAILAUTH_PERMERROR, ret_result, "%s leads back to itself", domain);
		return false;
	}
	if (check->n_frames == SPF_DEPTH_MAX) {
		spf_fail(check, MAILAUTH_PERMERROR, ret_result,
		         "records lead to each other more than %u times", SPF_DEPTH_MAX);
		return false;
	}
	if (dns_name_n_labels(target->name) < 2) { /* section 4.3 */
		no_record(check, kind, domain, "is not a full domain name", ret_result);
		return false;
	}
	if (!find_record(check, kind, target->name, &record, ret_result))
		return false;
	check->frames[check->n_frames++] =
	        (struct spf_frame){.kind = kind, .target = *target, .record = record};
	return true;
}

/* --- evaluating --- */

/* include and redirect: the domain that the term names. */
static enum spf_match enter_named(struct spf_check *check, enum spf_frame_kind kind,
                                  const struct spf_term *term, enum mailauth_result *ret_result)
{
	struct spf_target target;
	enum spf_match match = spf_term_target(check, term->domain_spec, ret_result, &target);
	if (match == SPF_FAILED)
		return match;
	/* RFC 8616 section 4: a term with such a localpart matches nothing. A redirection is no
	 * match, and has to lead somewhere. */
	if (match == SPF_NO_MATCH && kind == SPF_FRAME_INCLUDE && !check->is_malformed)
		return match;
	if (match == SPF_NO_MATCH) /* none, so permerror (sections 4.3, 5.2 and 6.1) */
		return spf_fail(check, MAILAUTH_PERMERROR, ret_result, "what %s names is no domain",
		                spf_printable(term->text, 200, check->arena, "a term"));
	return enter(check, kind, &target, ret_result) ? SPF_MATCH : SPF_FAILED;
}

/* A directive has matched: its qualifier is the record's result (section 4.6.2). */
static void decide(struct spf_check *check, const struct spf_term *term,
                   enum mailauth_result *ret_result)
{
	*ret_result = term->qualifier;
	check->decider = *top(check);
	check->decider.term = term;
}

/* No mechanism has matched (section 4.7). True: that is the record's result. */
static bool end_of_record(struct spf_check *check, enum mailauth_result *ret_result)
{
	struct spf_frame *frame = top(check);
	const struct spf_term *redirect = frame->record.redirect;
	if (!redirect) {
		*ret_result = MAILAUTH_NEUTRAL;
		spf_note_path(check, NULL);
		return true;
	}
	frame->term = redirect;
	check->term_was_void = false;
	return !spf_count_lookup(check, ret_result) ||
	       enter_named(check, SPF_FRAME_REDIRECT, redirect, ret_result) != SPF_MATCH;
}

static bool advance(struct spf_check *check, enum mailauth_result *ret_result)
{
	struct spf_frame *frame = top(check);
	if (frame->n_done == frame->record.n_terms)
		return end_of_record(check, ret_result);
	const struct spf_term *term = &frame->record.terms[frame->n_done++];
	if (!spf_term_is_mechanism(term->kind))
		return false;
	frame->term = term;
	check->term_was_void = false;
	if (spf_term_is_lookup(term->kind) && !spf_count_lookup(check, ret_result))
		return true;
	if (term->kind == SPF_INCLUDE)
		return enter_named(check, SPF_FRAME_INCLUDE, term, ret_result) == SPF_FAILED;
	enum spf_match match = spf_term_match(check, term, ret_result);
	if (match == SPF_MATCH) {
		decide(check, term, ret_result);
		spf_note_path(check, term);
	}
	return match != SPF_NO_MATCH || !count_void(check, ret_result);
}

/* The top record's result is *result. True: so is now that of the one below, as *result tells. */
static bool leave(struct spf_check *check, enum mailauth_result *result)
{
	bool is_include = top(check)->kind == SPF_FRAME_INCLUDE;
	check->n_frames--;
	/* errors end everything; a redirection passes its result on (section 6.1) */
	if (!is_include || *result == MAILAUTH_PERMERROR || *result == MAILAUTH_TEMPERROR)
		return true;
	if (*result != MAILAUTH_PASS) /* section 5.2 */
		return false;
	decide(check, top(check)->term, result);
	return true;
}

static enum mailauth_result run(struct spf_check *check, const struct spf_target *first)
{
	enum mailauth_result result;
	if (!enter(check, SPF_FRAME_FIRST, first, &result))
		return result;
	while (check->n_frames > 0) {
		bool ended = advance(check, &result);
		while (ended && check->n_frames > 0)
			ended = leave(check, &result);
	}
	return result;
}

/* --- identities --- */

/* "even if the SMTP connection uses IPv6, an IPv4-mapped IPv6 IP address MUST still be considered
 * an IPv4 address" (section 5, by RFC 4408; RFC 4291 section 2.5.5.2) */
static bool set_address(struct spf_check *check, struct slice ip)
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
	if (ip.n == 16 && memcmp(ip.p, mapped, sizeof(mapped)) == 0)
		ip = slice_from(ip, sizeof(mapped));
	if (ip.n != 4 && ip.n != 16)
		return false;
	memcpy(check->ip, ip.p, ip.n);
	check->values.client_ip = slice_of(check->ip, ip.n);
	return true;
}

/* Letters, digits, hyphens and underscores in two labels or more, the last of them not a number:
 * no address, no literal, no single word (sections 2.3 and 4.3). How long labels may be, the DNS
 * knows. */
static bool is_full_name(struct slice name)
{
	struct slice label;
	bool more, several = false, all_digits;
	if (slice_ends(name, SLICE(".")))
		name = slice_sub(name, 0, name.n - 1);
	do {
		more = slice_cut(name, '.', &label, &name);
		several = several || more;
		all_digits = true;
		for (size_t i = 0; i < label.n; i++) {
			uint8_t c = label.p[i];
			if (!ascii_is_alnum(c) && c != '-' && c != '_')
				return false;
			all_digits = all_digits && ascii_is_digit(c);
		}
	} while (more);
	return several && !all_digits;
}

/* Of the sender's domain, U-labels become A-labels (RFC 8616 section 4); a HELO name must have them
 * already. */
static struct status to_ascii(struct slice name, bool is_helo, struct arena *arena,
                              struct slice *ret_name)
{
	struct dns_name parsed;
	*ret_name = name;
	if (slice_is_ascii(name))
		return ok();
	if (is_helo)
		return fail(ERR_INVALID, "not ASCII");
	TRY(dns_name_parse(name, arena, &parsed));
	*ret_name = dns_name_slice(parsed);
	return ok();
}

static struct status first_target(struct spf_check *check, struct slice name, bool is_helo,
                                  struct spf_target *ret_target)
{
	TRY(to_ascii(name, is_helo, check->arena, &name));
	if (name.n > SPF_NAME_MAX + 1 || !is_full_name(name))
		return fail(ERR_INVALID, "not a full domain name");
	return spf_target_parse(name, check->arena, ret_target);
}

/* Whose record is looked at first, and what the macros of the sender mean. */
static bool set_identity(struct spf_check *check, enum spf_identity identity,
                         struct spf_target *ret_target, enum mailauth_result *ret_result)
{
	const struct spf_args *args = check->args;
	struct spf_result *result = check->result;
	result->null_sender = identity == SPF_MAILFROM && args->domain.n == 0;
	bool is_helo = identity == SPF_HELO || result->null_sender;
	struct slice name = is_helo ? args->helo : args->domain;
	struct status status = first_target(check, name, is_helo, ret_target);
	result->domain = spf_printable(name, SPF_NAME_MAX, check->arena, "");
	if (arena_failed(check->arena)) {
		spf_fail_memory(check, ret_result);
		return false;
	}
	if (!is_ok(status)) { /* section 4.3 */
		no_record(check, SPF_FRAME_FIRST, is_helo ? "the HELO name" : "the sender's domain",
		          "is not a full domain name", ret_result);
		return false;
	}
	result->domain = ret_target->name.text;
	check->values.sender_domain = ret_target->text;
	/* section 4.3; section 2.4 for the null reverse-path */
	check->values.localpart =
	        is_helo || args->localpart.n == 0 ? SLICE("postmaster") : args->localpart;
	return true;
}

static enum mailauth_result check_identity(struct spf_check *check, enum spf_identity identity)
{
	enum mailauth_result result;
	struct spf_target target;
	if (!set_identity(check, identity, &target, &result))
		return result;
	if (!set_address(check, check->args->client_ip)) {
		check->nothing = "the client has no IP address";
		return MAILAUTH_NONE;
	}
	return run(check, &target);
}

void spf_check(struct mailauth_dns *dns, const struct spf_args *args, enum spf_identity identity,
               struct spf_result *ret_result)
{
	*ret_result = (struct spf_result){
	        .identity = identity,
	        .domain = "",
	        .mechanism = "",
	        .matched_in = "",
	        .why = "",
	        .problem = "",
	        .explanation = "",
	        .first_lookup = dns->evidence.n,
	};
	struct spf_check check = {
	        .dns = dns,
	        .args = args,
	        .limits = args->limits ? *args->limits : spf_limits_default,
	        .arena = dns->arena,
	        .values = {.client_ip = slice_empty(),
	                   .domain = slice_empty(),
	                   .helo = args->helo,
	                   .validated = slice_empty(),
	                   .receiver = args->receiver,
	                   .now_s = clock_now_s(dns->clock)},
	        .nothing = "",
	        .result = ret_result,
	};
	ret_result->result = check_identity(&check, identity);
	ret_result->n_lookups = dns->evidence.n - ret_result->first_lookup;
	ret_result->truncated = dns->evidence.truncated;
	ret_result->n_lookup_terms = check.n_lookup_terms;
	ret_result->n_void_terms = check.n_void_terms;
	spf_tell(&check);
	if (ret_result->result == MAILAUTH_FAIL && args->explain)
		spf_explain(&check);
}
