/* `mailkeep dmarc lookup`, `dmarc verify`, `dmarc parse`: what a domain's owner wishes, and whether
 * he sent this message. */
#include "cli/dmarc.h"

#include "mailauth/authres_checks.h"
#include "mailauth/iprev.h"
#include "os/file.h"

#define MESSAGE_MAX    ((size_t)64 * 1024 * 1024)
#define IDENTITIES_MAX 50u
#define RECEIVER       "localhost"

static void put(struct buf *out)
{
	cli_put(out);
	buf_done(out);
}

static int read_discovery(struct cli *cli, enum dmarc_discovery *ret_discovery)
{
	const char *text = cli_option(cli, "discovery");
	static const enum dmarc_discovery all[] = {DMARC_TREE_WALK, DMARC_PUBLIC_SUFFIX};
	*ret_discovery = DMARC_TREE_WALK;
	for (size_t i = 0; i < N_ELEMENTS(all); i++)
		if (text && strcmp(text, dmarc_discovery_name(all[i])) == 0) {
			*ret_discovery = all[i];
			return 0;
		}
	return text ? cli_fail(cli, NULL, "--discovery is treewalk or psl, not `%s`", text) : 0;
}

/* --- lookup --- */

#define DESTINATIONS_MAX (2u * DMARC_URIS_MAX)

struct looked_up {
	struct dmarc_result result;
	size_t n_destinations;
	struct {
		enum dmarc_reports reports;
		const struct dmarc_uri *uri;
		struct dmarc_destination destination;
	} destinations[DESTINATIONS_MAX];
};

static void check_destinations(struct cli_check *check, const struct dmarc_uris *uris,
                               enum dmarc_reports reports, enum dmarc_discovery discovery,
                               struct looked_up *l)
{
	for (size_t i = 0; i < uris->n && l->n_destinations < DESTINATIONS_MAX; i++) {
		size_t at = l->n_destinations++;
		l->destinations[at].reports = reports;
		l->destinations[at].uri = &uris->v[i];
		dmarc_destination_check(&check->dns, l->result.found.domain, &uris->v[i], reports,
		                        discovery, &l->destinations[at].destination);
	}
}

static void look_up(struct cli_check *check, struct dns_name domain, enum dmarc_discovery discovery,
                    struct looked_up *l)
{
	dmarc_look_up(&check->dns, domain, discovery, &l->result);
	if (l->result.found.outcome != DMARC_FOUND)
		return;
	const struct dmarc_record *record = &l->result.found.record;
	check_destinations(check, &record->rua, DMARC_AGGREGATE_REPORTS, discovery, l);
	check_destinations(check, &record->ruf, DMARC_FAILURE_REPORTS, discovery, l);
}

static void print_destinations(const struct looked_up *l, struct buf *out)
{
	for (size_t i = 0; i < l->n_destinations; i++) {
		const struct dmarc_destination *d = &l->destinations[i].destination;
		buf_printf(out, "%s to %.*s: %s (DNSSEC: %s): %s",
		           l->destinations[i].reports == DMARC_AGGREGATE_REPORTS
		                   ? "aggregate reports"
		                   : "failure reports",
		           SLICE_FMT(l->destinations[i].uri->text),
		           dmarc_destination_kind_name(d->kind),
		           mailauth_evidence_word(&d->evidence), d->why);
		for (size_t k = 0; d->kind == DMARC_DESTINATION_OVERRIDDEN && k < d->uris.n; k++) {
			buf_add_str(out, k > 0 ? ", " : ": ");
			(void)dmarc_uri_address(&d->uris.v[k], out);
		}
		buf_add_byte(out, '\n');
		cli_story_print(&d->story, out);
	}
}

static void print_looked_up(const struct looked_up *l)
{
	const struct dmarc_found *found = &l->result.found;
	struct buf out;
	buf_init(&out, SIZE_MAX);
	buf_printf(&out, "%s (DNSSEC: %s): %s\n", cli_dmarc_outcome_word(found->outcome),
	           mailauth_evidence_word(&l->result.evidence), found->why);
	if (!dns_name_is_root(found->organization))
		buf_printf(&out, "organizational domain: %s\n", found->organization.text);
	if (found->outcome == DMARC_FOUND || found->outcome == DMARC_DEFECTIVE) {
		buf_printf(&out, "record of %s (%s): %s\n", found->domain.text,
		           dmarc_place_name(found->place), found->text);
		cli_dmarc_record_print(&found->record, &out);
	}
	if (l->result.result == MAILAUTH_FAIL)
		buf_printf(&out, "policy for what does not pass: %s%s%s\n",
		           dmarc_policy_name(l->result.policy), *l->result.tag ? ", by tag " : "",
		           l->result.tag);
	print_destinations(l, &out);
	buf_add_str(&out, "steps:\n");
	cli_story_print(&l->result.story, &out);
	put(&out);
}

static json_t *destinations_json(const struct looked_up *l)
{
	json_t *list = json_array();
	struct buf address;
	buf_init(&address, 64 * KIB);
	for (size_t i = 0; i < l->n_destinations; i++) {
		const struct dmarc_destination *d = &l->destinations[i].destination;
		json_t *addresses = json_array();
		for (size_t k = 0; k < d->uris.n; k++) {
			buf_reset(&address);
			(void)dmarc_uri_address(&d->uris.v[k], &address);
			json_array_append_new(addresses, cli_text_json(buf_slice(&address)));
		}
		bool aggregate = l->destinations[i].reports == DMARC_AGGREGATE_REPORTS;
		json_array_append_new(
		        list,
		        json_pack("{s:s, s:o, s:s, s:s, s:s, s:o}", "reports",
		                  aggregate ? "aggregate" : "failure", "uri",
		                  cli_text_json(l->destinations[i].uri->text), "result",
		                  dmarc_destination_kind_name(d->kind), "why", d->why, "security",
		                  mailauth_evidence_word(&d->evidence), "addresses", addresses));
	}
	buf_done(&address);
	return list;
}

static void print_looked_up_json(const struct looked_up *l)
{
	const struct dmarc_result *r = &l->result;
	cli_put_json(json_pack("{s:b, s:s, s:s, s:s, s:s, s:s, s:b, s:o, s:o, s:o, s:o}", "ok", 1,
	                       "result", cli_dmarc_outcome_word(r->found.outcome), "why",
	                       r->found.why, "security", mailauth_evidence_word(&r->evidence),
	                       "policy", dmarc_policy_name(r->policy), "tag", r->tag, "testing",
	                       r->testing, "found", cli_dmarc_found_json(&r->found), "destinations",
	                       destinations_json(l), "steps", cli_story_json(&r->story), "lookups",
	                       cli_evidence_json(&r->evidence)));
}

int cli_dmarc_lookup(struct cli *cli)
{
	struct cli_check check;
	struct dns_name domain;
	enum dmarc_discovery discovery;
	int result = read_discovery(cli, &discovery);
	if (result == 0)
		result = cli_check_open(&check, cli);
	if (result != 0)
		return result;
	result = cli_check_domain(&check, cli->args[0], &domain);
	if (result == 0) {
		struct looked_up *l = base_alloc(sizeof(*l));
		look_up(&check, domain, discovery, l);
		if (cli->json)
			print_looked_up_json(l);
		else
			print_looked_up(l);
		base_free(l);
	}
	cli_check_done(&check);
	return result;
}

/* --- verify --- */

/* One message: what is known of it beforehand, and what comes out. */
struct verify {
	struct cli_check check;
	struct arena message_arena;
	struct slice message;
	bool has_ip;
	uint8_t ip[16];
	size_t ip_size;
	struct dmarc_question question;
	struct dmarc_identity identities[IDENTITIES_MAX];
	struct mailauth_author author;
	struct dmarc_result result;
	struct iprev_result iprev;
	struct buf field; /* the Authentication-Results field */
};

/* Regular files are read by their descriptor; a pipe may be standard input. */
static int read_message(struct cli *cli, struct arena *arena, struct slice *ret_message)
{
	struct os_fault fault = {0};
	struct buf text;
	bool from_input = cli->n_args == 0 || strcmp(cli->args[0], "-") == 0;
	if (!from_input) {
		if (is_ok(file_read_path(cli->args[0], MESSAGE_MAX, arena, ret_message, &fault)))
			return 0;
		return cli_fail(cli, NULL, "the message cannot be read: %s", fault.text);
	}
	buf_init(&text, MESSAGE_MAX);
	uint8_t piece[4096];
	size_t n;
	while ((n = fread(piece, 1, sizeof(piece), stdin)) > 0)
		buf_add(&text, slice_of(piece, n));
	*ret_message = arena_copy(arena, buf_slice(&text));
	bool failed = buf_failed(&text) || arena_failed(arena);
	buf_done(&text);
	return failed ? cli_fail(cli, NULL, "the message is larger than %zu bytes", MESSAGE_MAX)
	              : 0;
}

/* DOMAIN=RESULT, as often as the option is given. */
static int read_identities(struct cli *cli, const char *option, enum dmarc_mechanism mechanism,
                           struct verify *v)
{
	const char *text;
	size_t at = 0;
	while (cli_option_next(cli, option, &at, &text)) {
		struct dmarc_identity identity = {.mechanism = mechanism};
		struct slice word;
		if (v->question.n_identities == IDENTITIES_MAX)
			return cli_fail(cli, NULL, "more than %u results of SPF and DKIM",
			                IDENTITIES_MAX);
		if (!slice_cut(slice_str(text), '=', &identity.domain, &word) ||
		    identity.domain.n == 0 || !mailauth_result_parse(word, &identity.result))
			return cli_fail(
			        cli, NULL,
			        "--%s is a domain and a result, such as example.org=pass, not "
			        "`%s`",
			        option, text);
		v->identities[v->question.n_identities++] = identity;
	}
	return 0;
}

static int read_inputs(struct cli *cli, struct verify *v)
{
	const char *ip = cli_option(cli, "ip");
	v->question.identities = v->identities;
	v->question.sample = DMARC_NO_SAMPLING;
	v->has_ip = ip != NULL;
	int result = ip ? cli_check_address(cli, ip, v->ip, &v->ip_size) : 0;
	if (result == 0)
		result = read_discovery(cli, &v->question.discovery);
	if (result == 0)
		result = read_identities(cli, "spf", DMARC_SPF, v);
	if (result == 0)
		result = read_identities(cli, "dkim", DMARC_DKIM, v);
	if (result == 0)
		result = read_message(cli, &v->message_arena, &v->message);
	return result;
}

/* Which identity of the session an SPF result is about (RFC 8601 section 2.7.2): that of MAIL FROM,
 * but where only the HELO name is of that domain. */
static struct authres_property spf_property(struct cli *cli, const struct dmarc_identity *identity)
{
	const char *from = cli_option(cli, "mail-from"), *helo = cli_option(cli, "helo");
	struct slice domain = slice_str(from);
	size_t at = slice_rindex(domain, '@');
	if (at != SIZE_MAX)
		domain = slice_from(domain, at + 1);
	bool by_helo = helo && slice_ieq(identity->domain, slice_str(helo)) &&
	               !slice_ieq(domain, identity->domain);
	return (struct authres_property){"smtp", by_helo ? "helo" : "mailfrom", AUTHRES_VALUE,
	                                 identity->domain};
}

/* What SPF and DKIM were said to be. */
static struct authres_result told_result(struct cli *cli, const struct dmarc_identity *identity,
                                         struct authres_property *property)
{
	*property =
	        identity->mechanism == DMARC_SPF
	                ? spf_property(cli, identity)
	                : (struct authres_property){"header", "d", AUTHRES_VALUE, identity->domain};
	return (struct authres_result){
	        .method = slice_str(dmarc_mechanism_name(identity->mechanism)),
	        .result = slice_str(mailauth_result_name(identity->result)),
	        .properties = property,
	        .n_properties = 1,
	};
}

static void print_field(struct verify *v)
{
	struct authres_property properties[IDENTITIES_MAX];
	struct authres_result results[IDENTITIES_MAX + 2];
	const char *receiver = cli_option(v->check.cli, "receiver");
	struct authres authres = {.id = slice_str(receiver ? receiver : RECEIVER),
	                          .results = results};
	size_t n = 0;
	if (v->has_ip && is_ok(authres_of_iprev(&v->iprev, slice_of(v->ip, v->ip_size),
	                                        &v->check.arena, &results[n])))
		n++;
	for (size_t i = 0; i < v->question.n_identities; i++)
		results[n++] = told_result(v->check.cli, &v->identities[i], &properties[i]);
	if (is_ok(authres_of_dmarc(&v->result, &v->check.arena, &results[n])))
		n++;
	authres.n_results = n;
	buf_init(&v->field, MIB);
	(void)authres_print(&authres, "Authentication-Results", 0, &v->field);
}

static void run_checks(struct verify *v)
{
	mailauth_author_find(v->message, &v->message_arena, &v->author);
	if (v->has_ip)
		iprev_check(&v->check.dns, slice_of(v->ip, v->ip_size), &v->iprev);
	dmarc_evaluate(&v->check.dns, &v->author, &v->question, &v->result);
	print_field(v);
}

static void print_verified(struct verify *v)
{
	const struct dmarc_result *r = &v->result;
	struct buf out;
	buf_init(&out, SIZE_MAX);
	buf_printf(&out, "%s (DNSSEC: %s)\n%s\n", mailauth_result_name(r->result),
	           mailauth_evidence_word(&r->evidence), r->why);
	if (r->policy != DMARC_NONE || r->published != DMARC_NONE)
		buf_printf(&out, "policy: %s, by tag %s of %s%s\n", dmarc_policy_name(r->policy),
		           r->tag, r->found.domain.text, r->testing ? ", which is testing" : "");
	if (*v->author.name_domain)
		buf_printf(&out, "the display name shows an address of %s\n",
		           v->author.name_domain);
	cli_story_print(&r->story, &out);
	if (v->has_ip) {
		buf_printf(&out, "iprev: %s\n", mailauth_result_name(v->iprev.result));
		cli_story_print(&v->iprev.story, &out);
	}
	buf_add_byte(&out, '\n');
	buf_add(&out, buf_slice(&v->field));
	put(&out);
}

static json_t *author_json(const struct mailauth_author *author)
{
	json_t *domains = json_array();
	for (size_t i = 0; i < author->n_domains; i++)
		json_array_append_new(domains, json_string(author->domains[i].text));
	json_t *json = json_pack("{s:s, s:s, s:o}", "kind", mailauth_author_kind_name(author->kind),
	                         "why", mailauth_author_why(author->kind), "domains", domains);
	if (author->kind == MAILAUTH_AUTHOR_FOUND)
		json_object_set_new(json, "domain", json_string(author->domain.text));
	if (*author->name_domain)
		json_object_set_new(json, "name_domain", json_string(author->name_domain));
	return json;
}

static json_t *alignments_json(const struct dmarc_result *r)
{
	json_t *list = json_array();
	for (size_t i = 0; i < r->n_alignments; i++) {
		const struct dmarc_identity *identity = r->alignments[i].identity;
		json_array_append_new(list,
		                      json_pack("{s:s, s:o, s:s, s:s, s:s}", "mechanism",
		                                dmarc_mechanism_name(identity->mechanism), "domain",
		                                cli_text_json(identity->domain), "result",
		                                mailauth_result_name(identity->result), "aligned",
		                                dmarc_aligned_name(r->alignments[i].aligned), "why",
		                                r->alignments[i].why));
	}
	return list;
}

static void print_verified_json(const struct verify *v)
{
	const struct dmarc_result *r = &v->result;
	json_t *json = json_pack(
	        "{s:b, s:s, s:s, s:s, s:s, s:s, s:s, s:b, s:o, s:o, s:o, s:o, s:o, s:o}", "ok", 1,
	        "result", mailauth_result_name(r->result), "why", r->why, "security",
	        mailauth_evidence_word(&r->evidence), "policy", dmarc_policy_name(r->policy),
	        "published", dmarc_policy_name(r->published), "tag", r->tag, "testing", r->testing,
	        "author", author_json(&v->author), "found", cli_dmarc_found_json(&r->found),
	        "alignments", alignments_json(r), "steps", cli_story_json(&r->story), "lookups",
	        cli_evidence_json(&r->evidence), "authentication_results",
	        cli_text_json(buf_slice(&v->field)));
	if (r->existence_known)
		json_object_set_new(json, "author_exists", json_boolean(r->author_exists));
	if (v->has_ip)
		json_object_set_new(json, "iprev",
		                    json_string(mailauth_result_name(v->iprev.result)));
	cli_put_json(json);
}

int cli_dmarc_verify(struct cli *cli)
{
	struct verify *v = base_alloc(sizeof(*v));
	arena_init(&v->message_arena, 2 * MESSAGE_MAX);
	int result = read_inputs(cli, v);
	if (result == 0)
		result = cli_check_open(&v->check, cli);
	if (result == 0) {
		run_checks(v);
		if (cli->json)
			print_verified_json(v);
		else
			print_verified(v);
		buf_done(&v->field);
		cli_check_done(&v->check);
	}
	arena_done(&v->message_arena);
	base_free(v);
	return result;
}

/* --- parse --- */

static const char *parsed_word(const struct dmarc_record *record)
{
	return record->use == DMARC_USE_POLICY && record->n_defects == 0 ? "valid" : "defective";
}

static void print_parsed(const struct dmarc_record *record)
{
	struct buf out;
	buf_init(&out, SIZE_MAX);
	buf_printf(&out, "%s: ", parsed_word(record));
	dmarc_record_print(record, &out);
	buf_add_byte(&out, '\n');
	cli_dmarc_record_print(record, &out);
	put(&out);
}

static void print_parsed_json(const struct dmarc_record *record)
{
	struct buf canonical;
	buf_init(&canonical, SIZE_MAX);
	dmarc_record_print(record, &canonical);
	cli_put_json(json_pack("{s:b, s:s, s:o, s:o}", "ok", 1, "result", parsed_word(record),
	                       "canonical", cli_text_json(buf_slice(&canonical)), "record",
	                       cli_dmarc_record_json(record)));
	buf_done(&canonical);
}

int cli_dmarc_parse(struct cli *cli)
{
	struct dmarc_record record;
	struct arena arena;
	arena_init(&arena, 8 * MIB);
	struct status status = dmarc_record_parse(slice_str(cli->args[0]), &arena, &record);
	if (!is_ok(status) && cli->json)
		cli_put_json(
		        json_pack("{s:b, s:s, s:s}", "ok", 1, "result", "none", "why", status.why));
	else if (!is_ok(status))
		printf("none: %s; one begins with v=DMARC1\n", status.why);
	else if (cli->json)
		print_parsed_json(&record);
	else
		print_parsed(&record);
	arena_done(&arena);
	return 0;
}
