/* Phrases of libunbound's validator, with the codes of RFC 8914 section 4 that say the same.
 *
 * Each phrase holds a blank, which no name in libunbound's output does: so none is found in a name.
 * What stands here and what libunbound would send as a server (its option `ede`) differ where RFC
 * 8914 has a more fitting code: missing signatures of NSEC records are 10, not 12.
 */
#include "dns/reason.h"

#include "base/base.h"

#define EDE_BOGUS 6

static const struct {
	const char *phrase;
	uint32_t code;
} phrases[] = {
        {"signature inception after expiration", 25}, /* Signature Expired before Valid */
        {"signature expired", 7},
        {"signature before inception date", 8}, /* Signature Not Yet Valid */
        {"without ZSK flag", 11},               /* No Zone Key Bit Set */
        {"no signatures", 10},                  /* RRSIGs Missing */
        {"signature missing", 10},
        {"No DNSKEY record", 9}, /* DNSKEY Missing: also none that fits the DS */
        {"no DNSKEY rrset", 9},
        {"DS hash mismatches key", 9},
        {"no keys have a DS", 9},
        {"did not match DS", 9},
        {"not secured by DNSKEY", 9},
        {"signatures from unknown keys", 9},
        {"unsupported algorithm", 1}, /* Unsupported DNSKEY Algorithm */
        {"unknown algorithm", 1},
        {"no known algorithms", 1},
        {"no DNSSEC records", 12}, /* NSEC Missing */
        {"proof failed", 12},
        {"fails to prove", 12},
        {"no proof of that", 12},
        {"not prove absence", 12},
        {"no NSEC3", 12},
        {"no valid NSEC3s", 12},
};

/* Behind the last question, which stands in "<...>:". */
static struct slice last_reason(struct slice words)
{
	for (size_t at; (at = slice_find(words, SLICE(">: "))) != SIZE_MAX;)
		words = slice_from(words, at + 3);
	return words;
}

uint32_t dns_reason_ede(struct slice words)
{
	struct slice reason = last_reason(words);
	for (size_t i = 0; i < N_ELEMENTS(phrases); i++)
		if (slice_find(reason, slice_str(phrases[i].phrase)) != SIZE_MAX)
			return phrases[i].code;
	return EDE_BOGUS;
}

bool dns_ede_is_bogus(uint32_t code)
{
	return (code >= EDE_BOGUS && code <= 12) || code == 25;
}
