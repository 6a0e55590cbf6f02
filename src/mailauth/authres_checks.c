/* From results of checks to what the header says of them. */
#include "mailauth/authres_checks.h"

#include "mailauth/address.h"

#define PROPERTIES_MAX 2u

static struct authres_result begin(const char *method, enum mailauth_result result, const char *why,
                                   const struct mailauth_evidence *evidence)
{
	return (struct authres_result){
	        .method = slice_str(method),
	        .result = slice_str(mailauth_result_name(result)),
	        .comment = authres_dnssec_comment(evidence),
	        .has_reason = result == MAILAUTH_TEMPERROR || result == MAILAUTH_PERMERROR,
	        .reason = slice_str(why),
	};
}

/* header.from is the author domain, which there is not for a From that is not one (RFC 8601 section
 * 4: nothing that was not authenticated). policy.dmarc is what the owner wishes in the end. */
struct status authres_of_dmarc(const struct dmarc_result *result, struct arena *arena,
                               struct authres_result *ret_result)
{
	struct authres_property *properties =
	        ARENA_ARRAY(arena, PROPERTIES_MAX, struct authres_property);
	if (!properties)
		return fail(ERR_LIMIT, "no room for authentication results");
	struct authres_result authres =
	        begin("dmarc", result->result, result->why, &result->evidence);
	authres.properties = properties;
	if (result->has_author)
		properties[authres.n_properties++] = (struct authres_property){
		        "header", "from", AUTHRES_VALUE, dns_name_slice(result->found.author)};
	if (result->result == MAILAUTH_PASS || result->result == MAILAUTH_FAIL)
		properties[authres.n_properties++] =
		        (struct authres_property){"policy", "dmarc", AUTHRES_VALUE,
		                                  slice_str(dmarc_policy_name(result->policy))};
	*ret_result = authres;
	return ok();
}

static struct slice address_text(struct slice address, struct arena *arena)
{
	struct dns_record record = {.type = DNS_TYPE_A};
	char text[DNS_ADDRESS_TEXT_MAX] = "";
	address = mailauth_address_unmap(address);
	if (address.n == MAILAUTH_V4_SIZE) {
		memcpy(record.a, address.p, MAILAUTH_V4_SIZE);
	} else if (address.n == MAILAUTH_V6_SIZE) {
		record.type = DNS_TYPE_AAAA;
		memcpy(record.aaaa, address.p, MAILAUTH_V6_SIZE);
	} else {
		return slice_empty();
	}
	dns_address_print(&record, text);
	return arena_copy(arena, slice_str(text));
}

struct status authres_of_iprev(const struct iprev_result *result, struct slice address,
                               struct arena *arena, struct authres_result *ret_result)
{
	struct authres_property *property = ARENA_NEW(arena, struct authres_property);
	struct slice text = address_text(address, arena);
	if (!property || arena_failed(arena))
		return fail(ERR_LIMIT, "no room for authentication results");
	struct authres_result authres =
	        begin("iprev", result->result, result->why, &result->evidence);
	*property = (struct authres_property){"policy", "iprev", AUTHRES_VALUE, text};
	authres.properties = property;
	authres.n_properties = text.n > 0;
	*ret_result = authres;
	return ok();
}
