/* `mailkeep dnsbl check`, `dnsbl health`: what a block list says, and whether it is one. */
#include "mailauth/dnsbl.h"

#include "cli/checks.h"
#include "os/clock.h"
#include "os/socket.h"

#define KINDS 3u

/* --- check --- */

static json_t *codes_json(const struct dnsbl_result *result)
{
	json_t *list = json_array();
	for (size_t i = 0; i < result->n_codes; i++) {
		const uint8_t *o = result->codes[i].octets;
		char text[16];
		snprintf(text, sizeof(text), "%u.%u.%u.%u", o[0], o[1], o[2], o[3]);
		json_array_append_new(list, json_string(text));
	}
	return list;
}

static void print_result_json(const struct dnsbl_result *result)
{
	cli_put_json(json_pack(
	        "{s:b, s:s, s:s, s:s, s:s, s:o, s:s, s:o, s:o}", "ok", 1, "result",
	        dnsbl_outcome_name(result->outcome), "why", result->why, "question",
	        result->question.text, "security", mailauth_evidence_word(&result->evidence),
	        "codes", codes_json(result), "text", result->text, "steps",
	        cli_story_json(&result->story), "lookups", cli_evidence_json(&result->evidence)));
}

static void print_result(const struct dnsbl_result *result)
{
	struct buf out;
	buf_init(&out, SIZE_MAX);
	buf_printf(&out, "%s (DNSSEC: %s)\n%s\n", dnsbl_outcome_name(result->outcome),
	           mailauth_evidence_word(&result->evidence), result->why);
	if (*result->text)
		buf_printf(&out, "the list explains: %s\n", result->text);
	cli_story_print(&result->story, &out);
	cli_put(&out);
	buf_done(&out);
}

static bool is_address(const char *text)
{
	struct os_address address;
	return is_ok(os_address_parse(slice_str(text), 0, &address));
}

/* As the server would ask: a list that is not healthy lists nobody. */
static int ask(struct cli_check *check, struct dnsbl_state *lists, struct dnsbl_result *ret_result)
{
	const char *subject = check->cli->args[1];
	struct dns_name zone, domain;
	uint8_t bytes[16];
	size_t n;
	int result = cli_check_domain(check, check->cli->args[0], &zone);
	if (result != 0)
		return result;
	if (is_address(subject)) {
		(void)cli_check_address(check->cli, subject, bytes, &n);
		dnsbl_ask_address(lists, &check->dns, zone, slice_of(bytes, n), ret_result);
		return 0;
	}
	result = cli_check_domain(check, subject, &domain);
	if (result == 0)
		dnsbl_ask_domain(lists, &check->dns, zone, domain, ret_result);
	return result;
}

int cli_dnsbl_check(struct cli *cli)
{
	struct cli_check check;
	struct dnsbl_result asked;
	int result = cli_check_open(&check, cli);
	if (result != 0)
		return result;
	struct dnsbl_state *lists = dnsbl_state_new(clock_real());
	result = ask(&check, lists, &asked);
	if (result == 0 && cli->json)
		print_result_json(&asked);
	else if (result == 0)
		print_result(&asked);
	dnsbl_state_free(lists);
	cli_check_done(&check);
	return result;
}

/* --- health --- */

struct health {
	enum dnsbl_kind kind;
	struct dnsbl_checkup checkup;
};

/* Healthy ones first. */
static void sort(struct health *healths, size_t n)
{
	for (size_t i = 1; i < n; i++)
		for (size_t k = i; k > 0; k--) {
			struct health *a = &healths[k - 1], *b = &healths[k], swap = *a;
			if (a->checkup.health <= b->checkup.health)
				break;
			*a = *b;
			*b = swap;
		}
}

static void print_healths_json(const struct health *healths, size_t n)
{
	json_t *list = json_array();
	for (size_t i = 0; i < n; i++)
		json_array_append_new(
		        list,
		        json_pack("{s:s, s:s, s:s, s:s, s:o, s:o}", "kind",
		                  dnsbl_kind_name(healths[i].kind), "health",
		                  dnsbl_health_name(healths[i].checkup.health), "why",
		                  healths[i].checkup.why, "security",
		                  mailauth_evidence_word(&healths[i].checkup.evidence), "steps",
		                  cli_story_json(&healths[i].checkup.story), "lookups",
		                  cli_evidence_json(&healths[i].checkup.evidence)));
	cli_put_json(json_pack("{s:b, s:s, s:o}", "ok", 1, "result",
	                       dnsbl_health_name(healths[0].checkup.health), "kinds", list));
}

static void print_healths(const struct health *healths, size_t n)
{
	struct buf out;
	buf_init(&out, SIZE_MAX);
	for (size_t i = 0; i < n; i++) {
		buf_printf(&out, "%s (%s, DNSSEC: %s): %s\n",
		           dnsbl_health_name(healths[i].checkup.health),
		           dnsbl_kind_name(healths[i].kind),
		           mailauth_evidence_word(&healths[i].checkup.evidence),
		           healths[i].checkup.why);
		cli_story_print(&healths[i].checkup.story, &out);
	}
	cli_put(&out);
	buf_done(&out);
}

/* The kinds that --kind asks for, or all. */
static int read_kinds(struct cli *cli, struct health healths[KINDS], size_t *ret_n)
{
	const char *wanted = cli_option(cli, "kind");
	size_t n = 0;
	for (size_t i = 0; i < KINDS; i++)
		if (!wanted || strcmp(wanted, dnsbl_kind_name((enum dnsbl_kind)i)) == 0)
			healths[n++].kind = (enum dnsbl_kind)i;
	*ret_n = n;
	return n > 0 ? 0 : cli_fail(cli, NULL, "--kind is ipv4, ipv6 or domain, not `%s`", wanted);
}

int cli_dnsbl_health(struct cli *cli)
{
	struct cli_check check;
	struct health healths[KINDS];
	struct dns_name zone;
	size_t n;
	int result = read_kinds(cli, healths, &n);
	if (result == 0)
		result = cli_check_open(&check, cli);
	if (result != 0)
		return result;
	result = cli_check_domain(&check, cli->args[0], &zone);
	if (result == 0) {
		for (size_t i = 0; i < n; i++)
			dnsbl_check_health(&check.dns, zone, healths[i].kind, &healths[i].checkup);
		sort(healths, n);
		if (cli->json)
			print_healths_json(healths, n);
		else
			print_healths(healths, n);
	}
	cli_check_done(&check);
	return result;
}
