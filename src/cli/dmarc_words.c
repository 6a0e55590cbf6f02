/* What DMARC records say, in words. */
#include "cli/dmarc.h"

static const char *use_words(enum dmarc_use use)
{
	switch (use) {
	case DMARC_USE_POLICY:
		return "";
	case DMARC_USE_REPORTS:
		return "it has no valid policy but asks for reports: it counts as p=none";
	case DMARC_USE_NOTHING:
		break;
	}
	return "it has no valid policy and asks for no reports: receivers do not apply it (it can "
	       "allow reports about others)";
}

static const char *policy_words(enum dmarc_policy policy)
{
	switch (policy) {
	case DMARC_NONE:
		return "nothing shall be done";
	case DMARC_QUARANTINE:
		return "it is suspicious";
	case DMARC_REJECT:
		break;
	}
	return "it is not from this domain";
}

static void print_policies(const struct dmarc_record *record, struct buf *out)
{
	if (*use_words(record->use))
		buf_printf(out, "  %s\n", use_words(record->use));
	if (record->has_p)
		buf_printf(out, "  p=%s: mail that does not pass: %s\n",
		           dmarc_policy_name(record->p), policy_words(record->p));
	if (record->has_sp)
		buf_printf(out, "  sp=%s: the same from domains below: %s\n",
		           dmarc_policy_name(record->sp), policy_words(record->sp));
	if (record->has_np)
		buf_printf(out, "  np=%s: the same from domains below that do not exist: %s\n",
		           dmarc_policy_name(record->np), policy_words(record->np));
	if (record->testing)
		buf_add_str(out, "  t=y: for testing, apply policies one level lower\n");
}

static void print_modes(const struct dmarc_record *record, struct buf *out)
{
	if (record->adkim == DMARC_STRICT)
		buf_add_str(out, "  adkim=s: DKIM must sign for exactly the domain in From\n");
	if (record->aspf == DMARC_STRICT)
		buf_add_str(out, "  aspf=s: SPF must pass for exactly the domain in From\n");
	if (record->psd == DMARC_PSD_YES)
		buf_add_str(out, "  psd=y: a public suffix; domains below it have other owners\n");
	if (record->psd == DMARC_PSD_NO)
		buf_add_str(out, "  psd=n: an organizational domain, whatever stands above it\n");
	if (record->pct != DMARC_PCT_DEFAULT)
		buf_printf(
		        out,
		        "  pct=%u: policies for a part of the mail only; RFC 9989 has no such tag, "
		        "receivers ignore it\n",
		        record->pct);
	if (record->ri != DMARC_RI_DEFAULT)
		buf_printf(out,
		           "  ri=%u: reports every so many seconds; RFC 9989 has no such tag\n",
		           record->ri);
}

static void print_uris(const char *what, const struct dmarc_uris *uris, struct buf *out)
{
	for (size_t i = 0; i < uris->n; i++) {
		const struct dmarc_uri *uri = &uris->v[i];
		buf_printf(out, "  %s to ", what);
		if (!dmarc_uri_address(uri, out))
			buf_printf(out, "%.*s, which is not mailto: and nobody reports to",
			           SLICE_FMT(uri->text));
		if (uri->has_limit)
			buf_printf(out, ", of at most %" PRIu64 " bytes", uri->limit);
		buf_add_byte(out, '\n');
	}
}

static void print_fo(unsigned fo, struct buf *out)
{
	if (fo & DMARC_FO_ALL)
		buf_add_str(out, "  fo=0: when neither SPF nor DKIM gives an aligned pass\n");
	if (fo & DMARC_FO_ANY)
		buf_add_str(out, "  fo=1: when SPF or DKIM gives no aligned pass\n");
	if (fo & DMARC_FO_DKIM)
		buf_add_str(out, "  fo=d: when a DKIM signature fails\n");
	if (fo & DMARC_FO_SPF)
		buf_add_str(out, "  fo=s: when SPF fails\n");
}

void cli_dmarc_record_print(const struct dmarc_record *record, struct buf *out)
{
	print_policies(record, out);
	print_modes(record, out);
	print_uris("aggregate reports", &record->rua, out);
	print_uris("failure reports", &record->ruf, out);
	if (record->ruf.n > 0)
		print_fo(record->fo, out);
	for (size_t i = 0; i < record->n_defects; i++)
		buf_printf(out, "  passed over: %s%s%s\n", record->defects[i].where,
		           *record->defects[i].where ? ": " : "", record->defects[i].why);
}

static json_t *uris_json(const struct dmarc_uris *uris)
{
	json_t *list = json_array();
	struct buf address;
	buf_init(&address, 64 * KIB);
	for (size_t i = 0; i < uris->n; i++) {
		const struct dmarc_uri *uri = &uris->v[i];
		json_t *json = json_object();
		buf_reset(&address);
		json_object_set_new(json, "uri", cli_text_json(uri->text));
		if (dmarc_uri_address(uri, &address))
			json_object_set_new(json, "address", cli_text_json(buf_slice(&address)));
		if (uri->has_limit)
			json_object_set_new(
			        json, "limit",
			        json_integer((json_int_t)MIN(uri->limit, (uint64_t)INT64_MAX)));
		json_array_append_new(list, json);
	}
	buf_done(&address);
	return list;
}

static json_t *defects_json(const struct dmarc_record *record)
{
	json_t *list = json_array();
	for (size_t i = 0; i < record->n_defects; i++)
		json_array_append_new(list,
		                      json_pack("{s:s, s:s}", "where", record->defects[i].where,
		                                "why", record->defects[i].why));
	return list;
}

static json_t *fo_json(unsigned fo)
{
	static const char letters[] = "01ds";
	json_t *list = json_array();
	for (unsigned i = 0; i < 4; i++)
		if (fo & 1u << i)
			json_array_append_new(list, json_stringn(&letters[i], 1));
	return list;
}

json_t *cli_dmarc_record_json(const struct dmarc_record *record)
{
	static const char *const uses[] = {
	        [DMARC_USE_POLICY] = "policy",
	        [DMARC_USE_REPORTS] = "reports",
	        [DMARC_USE_NOTHING] = "nothing",
	};
	static const char *const psds[] = {
	        [DMARC_PSD_UNKNOWN] = "u", [DMARC_PSD_NO] = "n", [DMARC_PSD_YES] = "y"};
	json_t *json = json_pack("{s:s, s:s, s:s, s:s, s:b, s:o, s:o, s:o, s:i, s:I, s:o}", "use",
	                         uses[record->use], "psd", psds[record->psd], "adkim",
	                         dmarc_mode_name(record->adkim), "aspf",
	                         dmarc_mode_name(record->aspf), "testing", record->testing, "rua",
	                         uris_json(&record->rua), "ruf", uris_json(&record->ruf), "fo",
	                         fo_json(record->fo), "pct", (int)record->pct, "ri",
	                         (json_int_t)record->ri, "defects", defects_json(record));
	if (record->has_p)
		json_object_set_new(json, "p", json_string(dmarc_policy_name(record->p)));
	if (record->has_sp)
		json_object_set_new(json, "sp", json_string(dmarc_policy_name(record->sp)));
	if (record->has_np)
		json_object_set_new(json, "np", json_string(dmarc_policy_name(record->np)));
	return json;
}

const char *cli_dmarc_outcome_word(enum dmarc_outcome outcome)
{
	switch (outcome) {
	case DMARC_FOUND:
		return "found";
	case DMARC_ABSENT:
		return "none";
	case DMARC_DEFECTIVE:
	case DMARC_PERMANENT:
		return "permerror";
	case DMARC_TEMPORARY:
		break;
	}
	return "temperror";
}

json_t *cli_dmarc_found_json(const struct dmarc_found *found)
{
	json_t *json =
	        json_pack("{s:s, s:s, s:b}", "outcome", cli_dmarc_outcome_word(found->outcome),
	                  "why", found->why, "several", found->several);
	if (!dns_name_is_root(found->organization))
		json_object_set_new(json, "organizational_domain",
		                    json_string(found->organization.text));
	if (found->outcome != DMARC_FOUND && found->outcome != DMARC_DEFECTIVE)
		return json;
	json_object_set_new(json, "domain", json_string(found->domain.text));
	json_object_set_new(json, "place", json_string(dmarc_place_name(found->place)));
	json_object_set_new(json, "text", json_string(found->text));
	json_object_set_new(json, "record", cli_dmarc_record_json(&found->record));
	return json;
}
