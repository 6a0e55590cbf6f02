/* Asking block lists (RFC 5782 sections 2, 3 and 5).
 *
 * An entry is an A record below the list's zone: for 192.0.2.99 at 99.2.0.192.ZONE, for an IPv6
 * address at its 32 nibbles in reverse, for a domain at DOMAIN.ZONE. Section 6 says that any A
 * record means listed; what lists have come to answer since says otherwise, see refusals.
 *
 * Limits: DNSBL_CODES_MAX, DNSBL_TEXT_MAX; two lookups a check.
 */
#include "mailauth/dnsbl.h"

#include "mailauth/address.h"

#define RCODE_REFUSED 5u

const char *dnsbl_kind_name(enum dnsbl_kind kind)
{
	static const char *const names[] = {
	        [DNSBL_IPV4] = "ipv4", [DNSBL_IPV6] = "ipv6", [DNSBL_DOMAIN] = "domain"};
	return (size_t)kind < N_ELEMENTS(names) ? names[kind] : "";
}

const char *dnsbl_outcome_name(enum dnsbl_outcome outcome)
{
	static const char *const names[] = {
	        [DNSBL_LISTED] = "listed", [DNSBL_NOT_LISTED] = "not-listed",
	        [DNSBL_FAILED] = "failed", [DNSBL_REFUSED] = "refused",
	        [DNSBL_BROKEN] = "broken", [DNSBL_NOT_ASKED] = "not-asked",
	};
	return (size_t)outcome < N_ELEMENTS(names) ? names[outcome] : "";
}

const char *dnsbl_health_name(enum dnsbl_health health)
{
	static const char *const names[] = {
	        [DNSBL_HEALTHY] = "healthy",
	        [DNSBL_DEFECTIVE] = "defective",
	        [DNSBL_SILENT] = "silent",
	        [DNSBL_UNKNOWN] = "unknown",
	};
	return (size_t)health < N_ELEMENTS(names) ? names[health] : "";
}

/* Codes that mean "I do not answer you", by list: Spamhaus 127.255.255.0/24 and 127.0.1.255,
 * SURBL and URIBL 127.0.0.1 and 127.0.0.255 (their documentation, 2024). None of them ever means
 * listed anywhere else: 127.0.0.1 is the entry that no list has, the others are no bit masks. */
static const struct {
	uint8_t octets[4];
	uint8_t n; /* octets that must be equal */
	const char *why;
} refusals[] = {
        {{127, 255, 255, 252}, 4, "the list says that its name is misspelt"},
        {{127, 255, 255, 254}, 4, "the list does not answer queries by a public resolver"},
        {{127, 255, 255, 255}, 4, "the list had too many queries"},
        {{127, 255, 255}, 3, "the list answers with an error code"},
        {{127, 0, 0, 1}, 4, "the list does not answer us"},
        {{127, 0, 0, 255}, 4, "the list does not answer us"},
        {{127, 0, 1, 255}, 4, "the list is for domains, not for addresses"},
};

static const char *refusal(const struct dnsbl_code *code)
{
	for (size_t i = 0; i < N_ELEMENTS(refusals); i++)
		if (memcmp(code->octets, refusals[i].octets, refusals[i].n) == 0)
			return refusals[i].why;
	return NULL;
}

struct check {
	struct mailauth_dns *dns;
	struct dnsbl_result *result;
	struct arena *arena;
	size_t first_evidence;
};

#define TELL(c, ...) mailauth_tell(&(c)->result->story, (c)->arena, __VA_ARGS__)

static void begin(struct check *c, struct mailauth_dns *dns, struct dnsbl_result *result)
{
	*c = (struct check){.dns = dns,
	                    .result = result,
	                    .arena = dns->arena,
	                    .first_evidence = dns->evidence.n};
	*result = (struct dnsbl_result){
	        .outcome = DNSBL_FAILED, .why = "", .question = dns_root, .text = ""};
}

static void decide(struct check *c, enum dnsbl_outcome outcome, const char *why)
{
	c->result->outcome = outcome;
	c->result->why = why;
}

static void end(struct check *c)
{
	if (arena_failed(c->arena)) {
		decide(c, DNSBL_FAILED, "the memory for one check is used up");
		c->result->n_codes = 0;
		c->result->text = "";
	}
	TELL(c, "%s: %s", dnsbl_outcome_name(c->result->outcome), c->result->why);
	c->result->evidence = mailauth_evidence_since(c->dns, c->first_evidence);
}

/* --- what the answer says --- */

static void tell_codes(struct check *c, const struct dns_answer *answer)
{
	for (size_t i = 0; i < c->result->n_codes; i++) {
		const uint8_t *o = c->result->codes[i].octets;
		TELL(c, "%s A %u.%u.%u.%u (%s)", answer->name.text, o[0], o[1], o[2], o[3],
		     dns_security_name(answer->security));
	}
}

/* All records are looked at, also those that are not kept. */
static void read_codes(struct check *c, const struct dns_answer *answer)
{
	struct dnsbl_code *codes = ARENA_ARRAY(c->arena, DNSBL_CODES_MAX, struct dnsbl_code);
	const char *refused = NULL;
	bool outside = false;
	if (!codes)
		return;
	c->result->codes = codes;
	for (size_t i = 0; i < answer->n_records; i++) {
		struct dnsbl_code code;
		memcpy(code.octets, answer->records[i].a, sizeof(code.octets));
		if (c->result->n_codes < DNSBL_CODES_MAX)
			codes[c->result->n_codes++] = code;
		/* Section 2.3: "all A values SHOULD be in the 127.0.0.0/8 range"; what is not is
		 * the address of whoever has taken over the domain (section 7). */
		outside |= code.octets[0] != 127;
		refused = refused ? refused : refusal(&code);
	}
	tell_codes(c, answer);
	if (outside)
		decide(c, DNSBL_BROKEN, "the list answers with what is no code of a block list");
	else if (refused)
		decide(c, DNSBL_REFUSED, refused);
	else
		decide(c, DNSBL_LISTED, "it is listed");
}

static void read_answer(struct check *c, const struct dns_answer *answer)
{
	const char *security = dns_security_name(answer->security);
	switch (answer->outcome) {
	case DNS_FOUND:
		read_codes(c, answer);
		break;
	case DNS_NODATA:
	case DNS_NXDOMAIN:
		TELL(c, "%s has no A record (%s)", answer->name.text, security);
		decide(c, DNSBL_NOT_LISTED, "it is not listed");
		break;
	case DNS_FAILED:
		TELL(c, "%s A: the lookup failed (%s): %s", answer->name.text,
		     dns_failure_name(answer->failure), answer->why);
		if (answer->failure == DNS_FAILURE_OTHER && answer->rcode == RCODE_REFUSED)
			decide(c, DNSBL_REFUSED, "the list's servers refuse our queries");
		else
			decide(c, DNSBL_FAILED, answer->why);
		break;
	}
}

/* For SMTP replies and headers: printable ASCII only, cut. */
static const char *clean_text(struct slice text, struct arena *arena)
{
	struct slice shown = slice_sub(text, 0, DNSBL_TEXT_MAX);
	char *clean = arena_alloc(arena, shown.n + 1);
	if (!clean)
		return "";
	for (size_t i = 0; i < shown.n; i++)
		clean[i] = ascii_is_print(shown.p[i]) ? (char)shown.p[i] : '?';
	clean[shown.n] = 0;
	return clean;
}

/* The explanation is welcome, but nothing rests on it. */
static void read_text(struct check *c)
{
	const struct dns_answer *answer =
	        mailauth_lookup(c->dns, c->result->question, DNS_TYPE_TXT);
	if (answer->outcome != DNS_FOUND || answer->n_records == 0)
		return;
	c->result->text = clean_text(answer->records[0].txt.joined, c->arena);
	TELL(c, "%s TXT \"%s\" (%s)", answer->name.text, c->result->text,
	     dns_security_name(answer->security));
}

/* prefix.zone */
static bool make_question(struct check *c, struct slice prefix, struct dns_name zone)
{
	struct status status = dns_name_prepend(prefix, zone, c->arena, &c->result->question);
	if (is_ok(status) && !dns_name_is_root(zone))
		return true;
	decide(c, DNSBL_NOT_ASKED,
	       dns_name_is_root(zone) ? "the root is no block list"
	                              : "the name to ask is too long");
	return false;
}

static void ask(struct check *c, struct slice prefix, struct dns_name zone)
{
	if (!make_question(c, prefix, zone))
		return;
	read_answer(c, mailauth_lookup(c->dns, c->result->question, DNS_TYPE_A));
}

/* The labels of a reverse name, without in-addr.arpa or ip6.arpa. */
static struct slice reverse_labels(struct dns_name reverse)
{
	static const char *const suffixes[] = {".in-addr.arpa", ".ip6.arpa"};
	struct slice text = dns_name_slice(reverse);
	for (size_t i = 0; i < N_ELEMENTS(suffixes); i++) {
		struct slice suffix = slice_str(suffixes[i]);
		if (slice_ends(text, suffix))
			return slice_sub(text, 0, text.n - suffix.n);
	}
	return text;
}

static void ask_address(struct check *c, struct dns_name zone, struct slice address)
{
	struct dns_name reverse;
	struct status status = dns_name_reverse(address, c->arena, &reverse);
	if (is_ok(status))
		ask(c, reverse_labels(reverse), zone);
	else
		decide(c, DNSBL_NOT_ASKED, status.why);
}

void dnsbl_check_address(struct mailauth_dns *dns, struct dns_name zone, struct slice address,
                         struct dnsbl_result *ret_result)
{
	struct check c;
	begin(&c, dns, ret_result);
	ask_address(&c, zone, mailauth_address_unmap(address));
	if (ret_result->outcome == DNSBL_LISTED)
		read_text(&c);
	end(&c);
}

void dnsbl_check_domain(struct mailauth_dns *dns, struct dns_name zone, struct dns_name domain,
                        struct dnsbl_result *ret_result)
{
	struct check c;
	begin(&c, dns, ret_result);
	if (dns_name_is_host(domain))
		ask(&c, dns_name_slice(domain), zone);
	else
		decide(&c, DNSBL_NOT_ASKED, "not a host name");
	if (ret_result->outcome == DNSBL_LISTED)
		read_text(&c);
	end(&c);
}

/* --- health --- */

/* What a list must have, and what it must not have (section 5). */
static const struct {
	struct slice must, must_not; /* labels in front of the zone */
	const char *lacks, *has;
} test_entries[] = {
        [DNSBL_IPV4] = {{(const uint8_t *)"2.0.0.127", 9},
                        {(const uint8_t *)"1.0.0.127", 9},
                        "it does not list 127.0.0.2, which every list must",
                        "it lists 127.0.0.1, which no list may"},
        [DNSBL_IPV6] = {{(const uint8_t *)"2.0.0.0.0.0.f.7.f.f.f.f.0.0.0.0."
                                          "0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0",
                         63},
                        {(const uint8_t *)"1.0.0.0.0.0.f.7.f.f.f.f.0.0.0.0."
                                          "0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0",
                         63},
                        "it does not list ::FFFF:7F00:2, which every list of IPv6 addresses must",
                        "it lists ::FFFF:7F00:1, which no list may"},
        [DNSBL_DOMAIN] = {{(const uint8_t *)"test", 4},
                          {(const uint8_t *)"invalid", 7},
                          "it does not list TEST, which every list of domains must",
                          "it lists INVALID, which no list may"},
};

/* What one test entry says; HEALTHY: as it should be. */
static enum dnsbl_health judge(const struct dnsbl_result *result, bool must)
{
	switch (result->outcome) {
	case DNSBL_LISTED:
		return must ? DNSBL_HEALTHY : DNSBL_DEFECTIVE;
	case DNSBL_NOT_LISTED:
		return must ? DNSBL_DEFECTIVE : DNSBL_HEALTHY;
	case DNSBL_BROKEN:
	case DNSBL_NOT_ASKED:
		return DNSBL_DEFECTIVE;
	case DNSBL_REFUSED:
		return DNSBL_SILENT;
	case DNSBL_FAILED:
		break;
	}
	return DNSBL_UNKNOWN;
}

static enum dnsbl_health test_entry(struct check *c, struct dns_name zone, enum dnsbl_kind kind,
                                    bool must)
{
	ask(c, must ? test_entries[kind].must : test_entries[kind].must_not, zone);
	if (must && c->result->outcome == DNSBL_NOT_LISTED)
		c->result->why = test_entries[kind].lacks;
	else if (!must && c->result->outcome == DNSBL_LISTED)
		c->result->why = test_entries[kind].has;
	return arena_failed(c->arena) ? DNSBL_UNKNOWN : judge(c->result, must);
}

void dnsbl_check_health(struct mailauth_dns *dns, struct dns_name zone, enum dnsbl_kind kind,
                        struct dnsbl_checkup *ret_checkup)
{
	struct check c;
	struct dnsbl_result result;
	begin(&c, dns, &result);
	enum dnsbl_health health = test_entry(&c, zone, kind, true);
	if (health == DNSBL_HEALTHY) {
		result.n_codes = 0;
		health = test_entry(&c, zone, kind, false);
	}
	const char *why = arena_failed(c.arena)     ? "the memory for one check is used up"
	                  : health == DNSBL_HEALTHY ? "its test entries are as they must be"
	                                            : result.why;
	TELL(&c, "%s: %s", dnsbl_health_name(health), why);
	*ret_checkup = (struct dnsbl_checkup){
	        .health = health,
	        .why = why,
	        .evidence = mailauth_evidence_since(dns, c.first_evidence),
	        .story = result.story,
	};
}
