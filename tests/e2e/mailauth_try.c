/* DMARC and Authentication-Results for tests that compare them with other implementations: commands
 * on standard input, a line each; answers on standard output, a line each. Bytes are in hexadecimal
 * where they may be any.
 *
 *   fact FACT                  one more fact of the DNS (dns/table.h)
 *   clear                      no facts any more
 *   identity MECHANISM DOMAIN RESULT
 *   dmarc treewalk|psl FROM    evaluates with the facts and identities so far, which are forgotten
 *                              then: "result policy tag domain place organization spf dkim"
 *   author HEX                 of a header: "kind domain"
 *   id HEX, result METHOD RESULT HEX-COMMENT HEX-REASON, property PTYPE NAME value|mailbox HEX
 *   print                      the field in HEX, or "-"
 *   parse HEX                  "id; method=result {reason} ptype.name=value ..." all values in HEX
 */
#include "mailauth/authres.h"
#include "mailauth/dmarc.h"

#include "base/encode.h"
#include "dns/table.h"

#include <stdio.h>

#define LINE_SIZE     ((size_t)1024 * 1024)
#define IDENTITIES    32
#define RESULTS       32
#define PROPERTIES    16
#define SCRATCH_ARENA ((size_t)64 * 1024 * 1024)

struct driver {
	struct dns_table table;
	struct arena arena; /* of what was told since the last answer */
	struct dmarc_identity identities[IDENTITIES];
	size_t n_identities;
	struct authres authres;
	struct authres_result results[RESULTS];
	struct authres_property properties[RESULTS][PROPERTIES];
};

static int64_t no_time(const struct clock *clock)
{
	(void)clock;
	return 0;
}

static struct slice next_word(struct slice *rest)
{
	struct slice word;
	slice_cut(*rest, ' ', &word, rest);
	return word;
}

static struct slice keep(struct driver *d, struct slice s)
{
	struct slice copy = arena_copy(&d->arena, s);
	ASSERT(!arena_failed(&d->arena));
	return copy;
}

/* "-" stands for no bytes. */
static struct slice from_hex(struct driver *d, struct slice hex)
{
	struct buf bytes;
	buf_init(&bytes, LINE_SIZE);
	if (!slice_eq_str(hex, "-") && !is_ok(hex_decode(hex, &bytes)))
		BUG("not hexadecimal");
	struct slice kept = keep(d, buf_slice(&bytes));
	buf_done(&bytes);
	return kept;
}

static void put_hex(struct slice s)
{
	for (size_t i = 0; i < s.n; i++)
		printf("%02x", s.p[i]);
	if (s.n == 0)
		putchar('-');
}

static const char *keep_cstr(struct driver *d, struct slice s)
{
	const char *text = arena_cstr(&d->arena, s);
	ASSERT(text);
	return text;
}

static void forget(struct driver *d)
{
	d->n_identities = 0;
	d->authres = (struct authres){.id = SLICE("x")};
	memset(d->results, 0, sizeof(d->results));
	arena_reset(&d->arena);
}

static void add_identity(struct driver *d, struct slice rest)
{
	struct slice mechanism = next_word(&rest);
	struct dmarc_identity *identity = &d->identities[d->n_identities++];
	ASSERT(d->n_identities <= IDENTITIES);
	identity->mechanism = slice_eq_str(mechanism, "dkim") ? DMARC_DKIM : DMARC_SPF;
	identity->domain = keep(d, next_word(&rest));
	if (!mailauth_result_parse(rest, &identity->result))
		BUG("not a result");
}

static const char *or_dash(const char *text)
{
	return *text ? text : "-";
}

static void evaluate(struct driver *d, struct slice rest)
{
	static const struct clock clock = {no_time, no_time};
	struct mailauth_dns dns;
	struct mailauth_author author;
	struct dmarc_result r;
	struct slice discovery = next_word(&rest);
	struct dmarc_question question = {
	        .identities = d->identities,
	        .n_identities = d->n_identities,
	        .discovery = slice_eq_str(discovery, "psl") ? DMARC_PUBLIC_SUFFIX : DMARC_TREE_WALK,
	        .sample = DMARC_NO_SAMPLING,
	};
	mailauth_dns_init(&dns, &d->table.resolver, &clock, 1000, &d->arena);
	const char *header = arena_printf(&d->arena, "From: %.*s\r\n\r\n", SLICE_FMT(rest));
	ASSERT(header);
	mailauth_author_find(slice_str(header), &d->arena, &author);
	dmarc_evaluate(&dns, &author, &question, &r);
	bool has_record = r.found.outcome == DMARC_FOUND || r.found.outcome == DMARC_DEFECTIVE;
	printf("%s %s %s %s %s %s %d %d\n", mailauth_result_name(r.result),
	       dmarc_policy_name(r.policy), or_dash(r.tag), r.found.domain.text,
	       has_record ? dmarc_place_name(r.found.place) : "-", r.found.organization.text,
	       r.spf_aligned, r.dkim_aligned);
	forget(d);
}

static void find_author(struct driver *d, struct slice rest)
{
	struct mailauth_author author;
	mailauth_author_find(from_hex(d, rest), &d->arena, &author);
	printf("%s %s\n", mailauth_author_kind_name(author.kind), author.domain.text);
	forget(d);
}

static void add_result(struct driver *d, struct slice rest)
{
	struct authres_result *result = &d->results[d->authres.n_results++];
	ASSERT(d->authres.n_results <= RESULTS);
	result->method = keep(d, next_word(&rest));
	result->result = keep(d, next_word(&rest));
	result->comment = from_hex(d, next_word(&rest));
	result->reason = from_hex(d, rest);
	result->has_reason = result->reason.n > 0;
	result->properties = d->properties[d->authres.n_results - 1];
}

static void add_property(struct driver *d, struct slice rest)
{
	ASSERT(d->authres.n_results > 0);
	size_t at = d->authres.n_results - 1;
	struct authres_result *result = &d->results[at];
	struct authres_property *property = &d->properties[at][result->n_properties++];
	ASSERT(result->n_properties <= PROPERTIES);
	property->ptype = keep_cstr(d, next_word(&rest));
	property->property = keep_cstr(d, next_word(&rest));
	property->form =
	        slice_eq_str(next_word(&rest), "mailbox") ? AUTHRES_MAILBOX : AUTHRES_VALUE;
	property->value = from_hex(d, rest);
}

static void print(struct driver *d)
{
	struct buf out;
	buf_init(&out, LINE_SIZE);
	d->authres.results = d->results;
	if (is_ok(authres_print(&d->authres, "Authentication-Results", 0, &out)))
		put_hex(buf_slice(&out));
	else
		putchar('-');
	putchar('\n');
	buf_done(&out);
	forget(d);
}

static void parse(struct driver *d, struct slice rest)
{
	struct authres authres;
	struct status status = authres_parse(from_hex(d, rest), &d->arena, &authres);
	if (!is_ok(status)) {
		printf("! %s\n", status.why);
		forget(d);
		return;
	}
	put_hex(authres.id);
	printf(" %zu", authres.n_bad);
	for (size_t i = 0; i < authres.n_results; i++) {
		const struct authres_result *r = &authres.results[i];
		printf("; %.*s %.*s ", SLICE_FMT(r->method), SLICE_FMT(r->result));
		put_hex(r->reason);
		for (size_t k = 0; k < r->n_properties; k++) {
			printf(" %s.%s=", r->properties[k].ptype, r->properties[k].property);
			put_hex(r->properties[k].value);
		}
	}
	putchar('\n');
	forget(d);
}

static void run(struct driver *d, struct slice line)
{
	struct slice rest = line, command = next_word(&rest);
	if (slice_eq_str(command, "fact")) {
		dns_table_add(&d->table, keep_cstr(d, rest));
	} else if (slice_eq_str(command, "clear")) {
		dns_table_done(&d->table);
		dns_table_init(&d->table);
	} else if (slice_eq_str(command, "identity")) {
		add_identity(d, rest);
	} else if (slice_eq_str(command, "dmarc")) {
		evaluate(d, rest);
	} else if (slice_eq_str(command, "author")) {
		find_author(d, rest);
	} else if (slice_eq_str(command, "id")) {
		d->authres.id = from_hex(d, rest);
	} else if (slice_eq_str(command, "result")) {
		add_result(d, rest);
	} else if (slice_eq_str(command, "property")) {
		add_property(d, rest);
	} else if (slice_eq_str(command, "print")) {
		print(d);
	} else if (slice_eq_str(command, "parse")) {
		parse(d, rest);
	} else {
		BUG("unknown command");
	}
}

int main(void)
{
	struct driver *d = base_alloc(sizeof(*d));
	char *line = base_alloc(LINE_SIZE);
	dns_table_init(&d->table);
	arena_init(&d->arena, SCRATCH_ARENA);
	forget(d);
	while (fgets(line, (int)LINE_SIZE, stdin)) {
		struct slice text = slice_trim(slice_str(line));
		if (text.n > 0)
			run(d, text);
	}
	arena_done(&d->arena);
	dns_table_done(&d->table);
	base_free(line);
	base_free(d);
	return 0;
}
