/* The servers of a domain and their addresses, by RFC 5321 section 5.1.
 *
 *	address literal           that address
 *	MX records                by preference, those of one preference shuffled; a single "." says
 *	                          that the domain takes no mail (RFC 7505)
 *	no MX record              the domain itself, as if with preference 0
 *	no such domain            a permanent error
 *	no answer                 a temporary one, like an answer that DNSSEC finds forged
 *
 * CNAMEs were followed by the resolver, for the domain and for each host (an alias as an MX target
 * is against RFC 2181 section 10.3 and works everywhere).
 *
 * Limits: DELIVERY_HOSTS_MAX hosts, DELIVERY_ADDRESSES_MAX / 2 addresses of a family; the resolver
 * bounds records (DNS_RECORDS_MAX) and CNAME steps.
 */
#include "delivery/hosts.h"

#include <arpa/inet.h>
#include <stdarg.h>

#define FAMILY_MAX (DELIVERY_ADDRESSES_MAX / 2)

/* --- addresses --- */

static size_t ip_size(const struct delivery_ip *ip)
{
	return ip->is_v6 ? 16 : 4;
}

bool delivery_ip_eq(const struct delivery_ip *a, const struct delivery_ip *b)
{
	return a->is_v6 == b->is_v6 && memcmp(a->bytes, b->bytes, ip_size(a)) == 0;
}

void delivery_ip_print(const struct delivery_ip *ip, char text[DELIVERY_IP_TEXT_MAX])
{
	if (!inet_ntop(ip->is_v6 ? AF_INET6 : AF_INET, ip->bytes, text, DELIVERY_IP_TEXT_MAX))
		BUG("an IP address cannot be printed");
}

bool delivery_ip_parse(struct slice text, struct delivery_ip *ret_ip)
{
	char copy[DELIVERY_IP_TEXT_MAX];
	struct delivery_ip ip = {.is_v6 = slice_index(text, ':') != SIZE_MAX};
	if (text.n >= sizeof(copy) || slice_index(text, 0) != SIZE_MAX)
		return false;
	memcpy(copy, text.p, text.n);
	copy[text.n] = 0;
	if (inet_pton(ip.is_v6 ? AF_INET6 : AF_INET, copy, ip.bytes) != 1)
		return false;
	*ret_ip = ip;
	return true;
}

bool delivery_literal_parse(struct slice text, struct delivery_ip *ret_ip)
{
	if (text.n < 2 || text.p[0] != '[' || text.p[text.n - 1] != ']')
		return false;
	text = slice_sub(text, 1, text.n - 2);
	bool tagged = slice_istarts(text, SLICE("IPv6:"));
	struct delivery_ip ip;
	if (!delivery_ip_parse(slice_from(text, tagged ? 5 : 0), &ip) || ip.is_v6 != tagged)
		return false;
	*ret_ip = ip;
	return true;
}

/* No mail server lives there, whatever the DNS says: "this host", multicast, broadcast. */
static bool is_usable(const struct delivery_ip *ip)
{
	static const uint8_t zero[16];
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
	if (!ip->is_v6)
		return ip->bytes[0] != 0 && ip->bytes[0] < 224;
	return memcmp(ip->bytes, zero, 16) != 0 && ip->bytes[0] != 0xff &&
	       memcmp(ip->bytes, mapped, sizeof(mapped)) != 0;
}

static bool is_own_ip(const struct delivery_query *query, const struct delivery_ip *ip)
{
	for (size_t i = 0; i < query->n_own_ips; i++)
		if (delivery_ip_eq(&query->own_ips[i], ip))
			return true;
	return false;
}

static bool is_own_name(const struct delivery_query *query, const char *name)
{
	for (size_t i = 0; i < query->n_own_names; i++)
		if (slice_ieq_str(slice_str(name), query->own_names[i]))
			return true;
	return false;
}

static int timeout_of(const struct delivery_query *query)
{
	return query->timeout_ms > 0 ? query->timeout_ms : DNS_LOOKUP_TIMEOUT_MS;
}

static struct status out_of_memory(void)
{
	return fail(ERR_LIMIT, "the answers of the DNS need too much memory");
}

/* --- outcomes --- */

PRINTF(4, 5)
static void give_up(struct delivery_hosts *hosts, enum delivery_hosts_outcome outcome,
                    const char *enhanced, const char *format, ...)
{
	va_list args;
	hosts->outcome = outcome;
	hosts->n = 0;
	snprintf(hosts->enhanced, sizeof(hosts->enhanced), "%s", enhanced);
	va_start(args, format);
	vsnprintf(hosts->why, sizeof(hosts->why), format, args);
	va_end(args);
}

static void loops(struct delivery_hosts *hosts)
{
	hosts->loops = true;
	give_up(hosts, DELIVERY_HOSTS_FAILED, "5.4.6",
	        "mail for %s leads back to this server, which does not take it", hosts->domain);
}

/* --- MX --- */

/* A name that can stand in a protocol line; underscores are seen in the wild. */
static bool is_host(struct dns_name name)
{
	struct slice s = dns_name_slice(name);
	for (size_t i = 0; i < s.n; i++)
		if (!ascii_is_alnum(s.p[i]) && s.p[i] != '-' && s.p[i] != '.' && s.p[i] != '_')
			return false;
	return s.n > 0 && s.n <= DNS_NAME_WIRE_MAX && !dns_name_is_root(name);
}

static bool is_known(const struct delivery_hosts *hosts, const char *name)
{
	for (size_t i = 0; i < hosts->n; i++)
		if (strcmp(hosts->v[i].name, name) == 0)
			return true;
	return false;
}

/* Behind all of the same or a better preference; the worst falls off a full list. */
static void insert(struct delivery_hosts *hosts, const struct delivery_host *host)
{
	size_t at = hosts->n;
	while (at > 0 && hosts->v[at - 1].preference > host->preference)
		at--;
	if (at == DELIVERY_HOSTS_MAX)
		return;
	size_t n_behind = MIN(hosts->n, DELIVERY_HOSTS_MAX - 1) - at;
	memmove(&hosts->v[at + 1], &hosts->v[at], n_behind * sizeof(*host));
	hosts->v[at] = *host;
	hosts->n = at + n_behind + 1;
}

/* Fisher and Yates, over the whole answer, so that hosts of one preference come in any order. */
static void shuffle(const struct delivery_query *query, const struct dns_record **records, size_t n)
{
	for (size_t i = n; query->chance && i > 1; i--) {
		size_t j = query->chance(query->chance_context, (uint32_t)i) % i;
		const struct dns_record *other = records[j];
		records[j] = records[i - 1];
		records[i - 1] = other;
	}
}

/* RFC 5321 section 5.1: what is not better than ourselves is not for us to use. */
static void drop_own(const struct delivery_query *query, struct delivery_hosts *hosts,
                     const struct dns_record *const *records, size_t n)
{
	uint32_t own = UINT32_MAX;
	for (size_t i = 0; i < n; i++)
		if (is_own_name(query, records[i]->mx.host.text))
			own = MIN(own, records[i]->mx.preference);
	while (hosts->n > 0 && hosts->v[hosts->n - 1].preference >= own)
		hosts->n--;
	if (hosts->n == 0 && own != UINT32_MAX)
		loops(hosts);
}

static struct status take_mx(const struct delivery_query *query, const struct dns_answer *answer,
                             struct arena *arena, struct delivery_hosts *hosts)
{
	const struct dns_record **records =
	        ARENA_ARRAY(arena, answer->n_records, const struct dns_record *);
	size_t n = 0;
	if (!records)
		return out_of_memory();
	for (size_t i = 0; i < answer->n_records; i++)
		if (is_host(answer->records[i].mx.host))
			records[n++] = &answer->records[i];
	hosts->has_mx = true;
	hosts->null_mx = answer->n_records == 1 && dns_name_is_root(answer->records[0].mx.host);
	shuffle(query, records, n);
	for (size_t i = 0; i < n; i++) {
		struct delivery_host host = {.name = records[i]->mx.host.text,
		                             .preference = records[i]->mx.preference};
		if (!is_known(hosts, host.name))
			insert(hosts, &host);
	}
	if (hosts->null_mx)
		give_up(hosts, DELIVERY_HOSTS_FAILED, "5.1.10", "%s takes no mail (null MX)",
		        hosts->domain);
	else if (n == 0)
		give_up(hosts, DELIVERY_HOSTS_FAILED, "5.4.4", "no MX record of %s names a host",
		        hosts->domain);
	else
		drop_own(query, hosts, records, n);
	return ok();
}

/* The domain is its own mail server, if it has an address. */
static void take_itself(const struct delivery_query *query, struct delivery_hosts *hosts)
{
	hosts->v[hosts->n++] = (struct delivery_host){.name = hosts->expanded};
	if (is_own_name(query, hosts->expanded) || is_own_name(query, hosts->domain))
		loops(hosts);
}

static void take_literal(const struct delivery_query *query, const struct delivery_ip *ip,
                         struct arena *arena, struct delivery_hosts *hosts)
{
	char text[DELIVERY_IP_TEXT_MAX];
	delivery_ip_print(ip, text);
	hosts->domain = arena_printf(arena, "%.*s", SLICE_FMT(query->domain));
	hosts->expanded = hosts->domain;
	hosts->security = DNS_INSECURE;
	hosts->v[hosts->n++] = (struct delivery_host){
	        .name = arena_printf(arena, "%s", text), .is_literal = true, .literal = *ip};
	if (!arena_failed(arena) && (!is_usable(ip) || is_own_ip(query, ip)))
		loops(hosts);
}

static struct status take_answer(const struct delivery_query *query,
                                 const struct dns_answer *answer, struct arena *arena,
                                 struct delivery_hosts *hosts)
{
	hosts->answer = answer;
	hosts->expanded = answer->canonical_name.text;
	hosts->security = answer->security;
	switch (answer->outcome) {
	case DNS_FOUND:
		return take_mx(query, answer, arena, hosts);
	case DNS_NODATA:
		if (is_host(answer->canonical_name))
			take_itself(query, hosts);
		else
			give_up(hosts, DELIVERY_HOSTS_FAILED, "5.1.2",
			        "%s is no name of a mail server", hosts->domain);
		return ok();
	case DNS_NXDOMAIN:
		give_up(hosts, DELIVERY_HOSTS_FAILED, "5.1.2", "there is no domain %s",
		        hosts->domain);
		return ok();
	case DNS_FAILED:
		give_up(hosts, DELIVERY_HOSTS_DEFERRED, "4.4.3",
		        "the mail servers of %s cannot be looked up: %s", hosts->domain,
		        answer->why);
		return ok();
	}
	BUG("an answer of the DNS has no outcome");
}

struct status delivery_hosts_find(const struct delivery_query *query, struct arena *arena,
                                  struct delivery_hosts *ret_hosts)
{
	struct dns_name name;
	struct delivery_ip literal;
	const struct dns_answer *answer;
	struct delivery_hosts *hosts = ret_hosts;
	*hosts = (struct delivery_hosts){.domain = "", .expanded = ""};
	if (delivery_literal_parse(query->domain, &literal)) {
		take_literal(query, &literal, arena, hosts);
		return arena_failed(arena) ? out_of_memory() : ok();
	}
	struct status parsed = dns_name_parse(query->domain, arena, &name);
	if (parsed.code == ERR_LIMIT)
		return parsed;
	if (!is_ok(parsed) || dns_name_is_root(name)) {
		give_up(hosts, DELIVERY_HOSTS_FAILED, "5.1.2",
		        "the recipient's domain is no domain name");
		return ok();
	}
	hosts->domain = name.text;
	TRY(dns_lookup_name(query->resolver, name, DNS_TYPE_MX, timeout_of(query), arena, &answer));
	return take_answer(query, answer, arena, hosts);
}

void delivery_hosts_drop(struct delivery_hosts *hosts, size_t n_tried, uint32_t preference)
{
	size_t n = MIN(n_tried, hosts->n);
	while (n < hosts->n && hosts->v[n].preference < preference)
		n++;
	hosts->n = n;
	if (hosts->n == 0)
		loops(hosts);
}

/* --- addresses of a host --- */

PRINTF(4, 5)
static void no_address(struct delivery_addresses *addresses, enum delivery_hosts_outcome outcome,
                       const char *enhanced, const char *format, ...)
{
	va_list args;
	addresses->outcome = outcome;
	snprintf(addresses->enhanced, sizeof(addresses->enhanced), "%s", enhanced);
	va_start(args, format);
	vsnprintf(addresses->why, sizeof(addresses->why), format, args);
	va_end(args);
}

static struct delivery_ip ip_of(const struct dns_record *record)
{
	struct delivery_ip ip = {.is_v6 = record->type == DNS_TYPE_AAAA};
	if (ip.is_v6)
		memcpy(ip.bytes, record->aaaa, 16);
	else
		memcpy(ip.bytes, record->a, 4);
	return ip;
}

static void add_addresses(const struct delivery_query *query, const struct dns_answer *answer,
                          struct delivery_addresses *addresses)
{
	size_t n_before = addresses->n;
	for (size_t i = 0; i < answer->n_records && addresses->n - n_before < FAMILY_MAX; i++) {
		struct delivery_ip ip = ip_of(&answer->records[i]);
		if (!is_usable(&ip))
			continue;
		addresses->own = addresses->own || is_own_ip(query, &ip);
		addresses->v[addresses->n++] = ip;
	}
	if (addresses->n == n_before)
		return;
	if (n_before == 0) {
		addresses->expanded = answer->canonical_name.text;
		addresses->security = answer->security;
		addresses->final_security = answer->final_security;
	} else {
		addresses->security = dns_security_min(addresses->security, answer->security);
		addresses->final_security =
		        dns_security_min(addresses->final_security, answer->final_security);
	}
}

static void take_literal_address(const struct delivery_query *query,
                                 const struct delivery_host *host,
                                 struct delivery_addresses *addresses)
{
	addresses->own = is_own_ip(query, &host->literal);
	addresses->security = addresses->final_security = DNS_INSECURE;
	if (query->families != (host->literal.is_v6 ? DELIVERY_IPV4 : DELIVERY_IPV6))
		addresses->v[addresses->n++] = host->literal;
	else
		no_address(addresses, DELIVERY_HOSTS_FAILED, "5.4.4",
		           "%s is no address of the family that the transport uses", host->name);
}

struct status delivery_addresses_find(const struct delivery_query *query,
                                      const struct delivery_host *host, struct arena *arena,
                                      struct delivery_addresses *ret_addresses)
{
	static const enum dns_type types[] = {DNS_TYPE_AAAA, DNS_TYPE_A};
	static const enum delivery_families only[] = {DELIVERY_IPV6, DELIVERY_IPV4};
	const struct dns_answer *failed = NULL, *answer;
	struct delivery_addresses *addresses = ret_addresses;
	*addresses = (struct delivery_addresses){.expanded = host->name};
	if (host->is_literal) {
		take_literal_address(query, host, addresses);
		return ok();
	}
	for (size_t i = 0; i < N_ELEMENTS(types); i++) {
		if (query->families != DELIVERY_BOTH && query->families != only[i])
			continue;
		struct status status = dns_lookup(query->resolver, slice_str(host->name), types[i],
		                                  timeout_of(query), arena, &answer);
		if (status.code == ERR_LIMIT)
			return status;
		if (!is_ok(status))
			continue;
		addresses->answers[addresses->n_answers++] = answer;
		if (answer->outcome == DNS_FAILED)
			failed = answer;
		else
			add_addresses(query, answer, addresses);
	}
	if (addresses->n == 0 && failed)
		no_address(addresses, DELIVERY_HOSTS_DEFERRED, "4.4.3",
		           "the address of %s cannot be looked up: %s", host->name, failed->why);
	else if (addresses->n == 0)
		no_address(addresses, DELIVERY_HOSTS_FAILED, "5.4.4", "%s has no usable address",
		           host->name);
	return ok();
}
