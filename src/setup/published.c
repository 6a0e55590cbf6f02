/* See published.h. */
#include "setup/published.h"

#include "base/arena.h"
#include "base/encode.h"
#include "base/hash.h"
#include "config/name.h"
#include "delivery/mtasts.h"
#include "delivery/tlsrpt.h"
#include "mailauth/dmarc_record.h"

#define MEMORY ((size_t)256 * 1024)

/* For a change to be seen, not to be unguessable: any numbers would do, but always the same. */
static const struct hash_key id_key = {0x6d61696c6b656570, 0x6d74612d73747321};

/* ---- addresses as URIs ---- */

/* What may stand in a mailto URI as it is (RFC 6068 section 2), less what ends a URI in a record. */
static bool is_plain(uint8_t c)
{
	return ascii_is_alnum(c) || (c != '\0' && strchr("-._~$'*+@/", c));
}

static void add_encoded(struct slice text, struct buf *out)
{
	for (size_t i = 0; i < text.n; i++)
		if (is_plain(text.p[i]))
			buf_add_byte(out, text.p[i]);
		else
			buf_printf(out, "%%%02X", text.p[i]);
}

/* The domain in A-labels: it goes into the DNS. */
static void add_mailto(struct slice address, struct buf *out)
{
	struct slice localpart, domain;
	char ascii[CONFIG_DOMAIN_MAX + 1];
	size_t n = 0;
	if (!config_address_split(address, &localpart, &domain) ||
	    !is_ok(config_domain_canonical(domain, ascii, &n)))
		return;
	buf_add_str(out, "mailto:");
	add_encoded(localpart, out);
	buf_add_byte(out, '@');
	buf_add(out, slice_of(ascii, n));
}

static bool is_address(struct slice text)
{
	return slice_index(text, ':') == SIZE_MAX;
}

static void add_places(const struct config_texts *places, struct buf *out)
{
	for (size_t i = 0; i < places->n; i++) {
		struct slice place = slice_str(places->v[i].s);
		buf_add_str(out, i > 0 ? "," : "");
		if (is_address(place))
			add_mailto(place, out);
		else
			buf_add(out, place);
	}
}

static struct status ended(const struct buf *out)
{
	return buf_failed(out) ? fail(ERR_LIMIT, "the record is too long") : ok();
}

/* ---- MTA-STS ---- */

static enum mtasts_mode mode_of(enum config_sts_mode mode)
{
	if (mode == CONFIG_STS_ENFORCE)
		return MTASTS_MODE_ENFORCE;
	return mode == CONFIG_STS_TESTING ? MTASTS_MODE_TESTING : MTASTS_MODE_NONE;
}

/* "*.example.org" keeps its star; the rest in A-labels. */
static struct slice pattern_of(struct slice text, struct arena *arena)
{
	bool any = slice_starts(text, SLICE("*."));
	char ascii[CONFIG_DOMAIN_MAX + 1];
	size_t n = 0;
	if (!is_ok(config_domain_canonical(slice_from(text, any ? 2 : 0), ascii, &n)))
		return slice_empty();
	const char *pattern = arena_printf(arena, "%s%.*s", any ? "*." : "", (int)n, ascii);
	return pattern ? slice_str(pattern) : slice_empty();
}

static struct status policy_of(const struct config *config, const struct config_domain *domain,
                               struct arena *arena, struct mtasts_policy *ret_policy)
{
	const struct config_sts *sts = &domain->mta_sts;
	size_t n = sts->mode == CONFIG_STS_NONE ? 0 : MAX(sts->mx.n, (size_t)1);
	struct slice *mx = ARENA_ARRAY(arena, MAX(n, (size_t)1), struct slice);
	if (sts->mode == CONFIG_STS_OFF)
		return fail(ERR_NOT_FOUND,
		            "the domain has no MTA-STS policy: its field mta_sts.mode is off");
	if (!mx)
		return fail(ERR_LIMIT, "no memory for a policy");
	for (size_t i = 0; i < n; i++)
		mx[i] = sts->mx.n > 0 ? pattern_of(slice_str(sts->mx.v[i].s), arena)
		                      : slice_str(config->hostname_ascii);
	*ret_policy = (struct mtasts_policy){.mode = mode_of(sts->mode),
	                                     .max_age_s = (uint32_t)(sts->max_age_ms / 1000),
	                                     .mx = mx,
	                                     .n_mx = n};
	return arena_failed(arena) ? fail(ERR_LIMIT, "no memory for a policy") : ok();
}

struct status published_mtasts_policy(const struct config *config,
                                      const struct config_domain *domain, struct buf *out)
{
	struct mtasts_policy policy;
	struct arena arena;
	arena_init(&arena, MEMORY);
	struct status status = policy_of(config, domain, &arena, &policy);
	if (is_ok(status))
		mtasts_policy_print(&policy, out);
	arena_done(&arena);
	TRY(status);
	return ended(out);
}

struct status published_mtasts_record(const struct config *config,
                                      const struct config_domain *domain, struct buf *out)
{
	struct mtasts_record record;
	struct buf policy;
	buf_init(&policy, PUBLISHED_MAX);
	struct status status = published_mtasts_policy(config, domain, &policy);
	if (is_ok(status)) {
		snprintf(record.id, sizeof(record.id), "%016" PRIx64,
		         hash_slice(id_key, buf_slice(&policy)));
		mtasts_record_print(&record, out);
	}
	buf_done(&policy);
	TRY(status);
	return ended(out);
}

/* ---- reports ---- */

struct status published_tlsrpt_record(const struct config_domain *domain, struct buf *out)
{
	if (domain->tls_reports.n == 0)
		return fail(ERR_NOT_FOUND,
		            "the domain wants no reports of TLS: its field tls_reports is empty");
	buf_add_str(out, "v=TLSRPTv1; rua=");
	add_places(&domain->tls_reports, out);
	return ended(out);
}

/* ---- DMARC ---- */

static enum dmarc_policy dmarc_of(enum config_dmarc_policy policy)
{
	if (policy == CONFIG_POLICY_REJECT)
		return DMARC_REJECT;
	return policy == CONFIG_POLICY_QUARANTINE ? DMARC_QUARANTINE : DMARC_NONE;
}

struct status published_dmarc_record(const struct config_domain *domain, struct buf *out)
{
	if (domain->dmarc.policy == CONFIG_POLICY_OFF)
		return fail(ERR_NOT_FOUND,
		            "the domain has no DMARC policy: its field dmarc.policy is off");
	buf_printf(out, "v=DMARC1; p=%s", dmarc_policy_name(dmarc_of(domain->dmarc.policy)));
	if (domain->dmarc.reports.n > 0) {
		buf_add_str(out, "; rua=");
		add_places(&domain->dmarc.reports, out);
	}
	return ended(out);
}
