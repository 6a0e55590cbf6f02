/* Look-ups in a loaded configuration. Nothing here allocates for ASCII, nothing loops over more
 * than the bytes of what is asked for. */
#include "config/tables.h"

#include "config/name.h"
#include "config/value.h"

bool table_init(struct table *table, struct hash_key key, size_t n_max, struct arena *arena)
{
	size_t n_slots = 8;
	while (n_slots < n_max * 2)
		n_slots *= 2;
	table->key = key;
	table->n_slots = n_slots;
	table->slots = ARENA_ARRAY(arena, n_slots, struct table_entry);
	return table->slots != NULL;
}

static struct table_entry *table_slot(const struct table *table, struct slice key)
{
	size_t at = (size_t)hash_slice(table->key, key) & (table->n_slots - 1);
	for (;; at = (at + 1) & (table->n_slots - 1)) {
		struct table_entry *entry = &table->slots[at];
		if (!entry->s || slice_eq(slice_of(entry->s, entry->n), key))
			return entry;
	}
}

const struct table_entry *table_find(const struct table *table, struct slice key)
{
	const struct table_entry *entry = table_slot(table, key);
	return entry->s ? entry : NULL;
}

const struct table_entry *table_add(struct table *table, struct slice key, uint32_t value)
{
	struct table_entry *entry = table_slot(table, key);
	if (entry->s)
		return entry;
	*entry = (struct table_entry){(const char *)key.p, (uint32_t)key.n, value};
	return NULL;
}

struct status config_address_key(const struct config_domain *domain, struct slice localpart,
                                 char *ret, size_t *ret_n)
{
	size_t n;
	TRY(config_localpart_canonical(localpart, domain->case_sensitive_localparts, ret, &n));
	size_t n_domain = strlen(domain->ascii);
	ret[n++] = '@';
	memcpy(ret + n, domain->ascii, n_domain + 1);
	*ret_n = n + n_domain;
	return ok();
}

/* The last separator that begins before `end`, not at the very start. */
static size_t find_tag(struct slice localpart, struct slice separator, size_t end)
{
	for (size_t at = end; at-- > 1;)
		if (slice_starts(slice_from(localpart, at), separator))
			return at;
	return 0;
}

const struct table_entry *config_address_entry(const struct config *config,
                                               const struct config_domain *domain,
                                               struct slice localpart, bool *ret_has_tag)
{
	char key[CONFIG_ADDRESS_MAX + 1];
	size_t n;
	struct slice separator = config_slice(&domain->subaddress_separator);
	*ret_has_tag = false;
	for (size_t end = localpart.n; end > 0;) {
		struct slice part = slice_sub(localpart, 0, end);
		if (!is_ok(config_address_key(domain, part, key, &n)))
			return NULL;
		const struct table_entry *entry =
		        table_find(&config->tables->addresses, slice_of(key, n));
		if (entry)
			return entry;
		end = separator.n > 0 ? find_tag(localpart, separator, end) : 0;
		*ret_has_tag = true;
	}
	return NULL;
}

static void set_address(struct config_lookup *lookup, const char *s, size_t n)
{
	ASSERT(n <= CONFIG_ADDRESS_MAX);
	memcpy(lookup->address, s, n);
	lookup->address[n] = 0;
}

static void found_account(struct config_lookup *lookup, const struct config_account *account)
{
	lookup->kind = account->enabled ? CONFIG_LOOKUP_ACCOUNT : CONFIG_LOOKUP_DISABLED;
	lookup->account = account->enabled ? account : NULL;
}

static void found_alias(struct config_lookup *lookup, const struct config_alias *alias)
{
	lookup->kind = alias->n_targets > 0 ? CONFIG_LOOKUP_ALIAS : CONFIG_LOOKUP_DISABLED;
	lookup->alias = alias->n_targets > 0 ? alias : NULL;
}

/* RFC 5321 section 4.5.1: postmaster is a name in any case of letters. */
static bool try_postmaster(const struct config *config, struct slice localpart,
                           struct config_lookup *lookup)
{
	if (!config->postmaster_account || !slice_ieq_str(localpart, "postmaster"))
		return false;
	lookup->match = CONFIG_MATCH_POSTMASTER;
	found_account(lookup, config->postmaster_account);
	int n = snprintf(lookup->address, sizeof(lookup->address), "postmaster@%s",
	                 lookup->domain ? lookup->domain->ascii : config->hostname_ascii);
	ASSERT(n > 0 && (size_t)n < sizeof(lookup->address));
	return true;
}

/* RFC 5321 section 4.1.3: [192.0.2.1] or [IPv6:2001:db8::1]; ours when a listener names it. */
static bool is_own_literal(const struct config *config, struct slice domain)
{
	uint8_t bytes[16];
	bool is_v6;
	if (domain.n < 2 || domain.p[0] != '[' || domain.p[domain.n - 1] != ']')
		return false;
	struct slice ip = slice_sub(domain, 1, domain.n - 2);
	if (slice_istarts(ip, SLICE("IPv6:")))
		ip = slice_from(ip, 5);
	if (!config_parse_ip(ip, bytes, &is_v6))
		return false;
	for (size_t i = 0; i < config->listeners.n; i++) {
		const struct config_ips *ips = &config->listeners.v[i].addresses;
		for (size_t j = 0; j < ips->n; j++)
			if (ips->v[j].is_v6 == is_v6 &&
			    memcmp(ips->v[j].bytes, bytes, is_v6 ? 16 : 4) == 0)
				return true;
	}
	return false;
}

/* No configured domain: only postmaster lives at the server's own names. */
static void lookup_at_server(const struct config *config, struct slice localpart,
                             struct slice domain, const char *ascii, struct config_lookup *lookup)
{
	bool own = domain.n == 0 || is_own_literal(config, domain) ||
	           (ascii && table_find(&config->tables->own_names, slice_str(ascii)));
	lookup->kind = CONFIG_LOOKUP_UNKNOWN_DOMAIN;
	if (!own)
		return;
	if (!try_postmaster(config, localpart, lookup))
		lookup->kind =
		        domain.n == 0 ? CONFIG_LOOKUP_UNKNOWN_DOMAIN : CONFIG_LOOKUP_UNKNOWN_USER;
}

static bool try_catchall(const struct config_domain *domain, struct slice localpart,
                         struct config_lookup *lookup)
{
	char key[CONFIG_ADDRESS_MAX + 1];
	size_t n;
	if (!domain->catchall_account && !domain->catchall_alias)
		return false;
	if (!is_ok(config_address_key(domain, localpart, key, &n)))
		return false;
	lookup->match = CONFIG_MATCH_CATCHALL;
	set_address(lookup, key, n);
	if (domain->catchall_account)
		found_account(lookup, domain->catchall_account);
	else
		found_alias(lookup, domain->catchall_alias);
	return true;
}

static void lookup_in_domain(const struct config *config, const struct config_domain *domain,
                             struct slice localpart, struct config_lookup *lookup)
{
	bool has_tag;
	const struct table_entry *entry = config_address_entry(config, domain, localpart, &has_tag);
	if (!entry) {
		if (!try_catchall(domain, localpart, lookup) &&
		    !try_postmaster(config, localpart, lookup))
			lookup->kind = CONFIG_LOOKUP_UNKNOWN_USER;
		return;
	}
	lookup->match = has_tag ? CONFIG_MATCH_SUBADDRESS : CONFIG_MATCH_EXACT;
	set_address(lookup, entry->s, entry->n);
	uint32_t index = ADDRESS_INDEX(entry->value);
	if (ADDRESS_IS_ALIAS(entry->value))
		found_alias(lookup, &config->aliases.v[index]);
	else
		found_account(lookup, &config->accounts.v[index]);
}

void config_lookup_address(const struct config *config, struct slice localpart, struct slice domain,
                           struct config_lookup *ret_lookup)
{
	char ascii[CONFIG_DOMAIN_MAX + 1];
	size_t n;
	bool is_name = is_ok(config_domain_canonical(domain, ascii, &n));
	const struct table_entry *entry =
	        is_name ? table_find(&config->tables->domains, slice_of(ascii, n)) : NULL;
	*ret_lookup = (struct config_lookup){.kind = CONFIG_LOOKUP_UNKNOWN_DOMAIN};
	if (!entry) {
		lookup_at_server(config, localpart, domain, is_name ? ascii : NULL, ret_lookup);
		return;
	}
	ret_lookup->domain = &config->domains.v[entry->value];
	if (!ret_lookup->domain->enabled)
		ret_lookup->kind = CONFIG_LOOKUP_DISABLED;
	else
		lookup_in_domain(config, ret_lookup->domain, localpart, ret_lookup);
}

const struct config_account *config_account_find(const struct config *config, struct slice name)
{
	const struct table_entry *entry = table_find(&config->tables->accounts, name);
	return entry ? &config->accounts.v[entry->value] : NULL;
}

const struct config_domain *config_domain_find(const struct config *config, struct slice name)
{
	char ascii[CONFIG_DOMAIN_MAX + 1];
	size_t n;
	if (!is_ok(config_domain_canonical(name, ascii, &n)))
		return NULL;
	const struct table_entry *entry = table_find(&config->tables->domains, slice_of(ascii, n));
	return entry ? &config->domains.v[entry->value] : NULL;
}

/* The entry of this very address. */
static const struct table_entry *find_exact(const struct config *config, struct slice address)
{
	struct slice localpart, domain_name;
	char key[CONFIG_ADDRESS_MAX + 1];
	size_t n;
	if (!config_address_split(address, &localpart, &domain_name))
		return NULL;
	const struct config_domain *domain = config_domain_find(config, domain_name);
	if (!domain || !is_ok(config_address_key(domain, localpart, key, &n)))
		return NULL;
	return table_find(&config->tables->addresses, slice_of(key, n));
}

const struct config_account *config_login_find(const struct config *config, struct slice login)
{
	const struct config_account *account = config_account_find(config, login);
	if (account)
		return account;
	const struct table_entry *entry = find_exact(config, login);
	if (!entry || ADDRESS_IS_ALIAS(entry->value))
		return NULL;
	return &config->accounts.v[ADDRESS_INDEX(entry->value)];
}

const struct config_alias *config_alias_find(const struct config *config, struct slice address)
{
	const struct table_entry *entry = find_exact(config, address);
	if (!entry || !ADDRESS_IS_ALIAS(entry->value))
		return NULL;
	return &config->aliases.v[ADDRESS_INDEX(entry->value)];
}

/* At most CONFIG_TRANSPORTS_MAX, asked for once an attempt: no table. */
const struct config_transport *config_transport_find(const struct config *config, struct slice name)
{
	for (size_t i = 0; i < config->transports.n; i++)
		if (slice_eq(config_slice(&config->transports.v[i].name), name))
			return &config->transports.v[i];
	return NULL;
}

const struct config_account *config_key_find(const struct config *config,
                                             const uint8_t key[CONFIG_KEY_SIZE])
{
	const struct table_entry *entry =
	        table_find(&config->tables->keys, slice_of(key, CONFIG_KEY_SIZE));
	return entry ? &config->accounts.v[entry->value] : NULL;
}

bool config_has_keys(const struct config *config)
{
	for (size_t i = 0; i < config->accounts.n; i++)
		if (config->accounts.v[i].client_keys.n > 0)
			return true;
	return false;
}

bool config_has_unix_users(const struct config *config)
{
	return config->tables->has_unix_users;
}

static bool is_target(const struct config_alias *alias, const struct config_account *account)
{
	for (size_t i = 0; i < alias->n_targets; i++)
		if (alias->targets[i].account == account)
			return true;
	return false;
}

bool config_may_send_as(const struct config *config, const struct config_account *account,
                        struct slice localpart, struct slice domain)
{
	struct config_lookup found;
	config_lookup_address(config, localpart, domain, &found);
	if (found.kind == CONFIG_LOOKUP_ACCOUNT)
		return found.account == account;
	if (found.kind != CONFIG_LOOKUP_ALIAS || !found.alias->allow_from)
		return false;
	return is_target(found.alias, account);
}

static bool is_in_domain(struct slice address, const struct config_domain *domain,
                         const struct config *config)
{
	struct slice localpart, name;
	return config_address_split(address, &localpart, &name) &&
	       config_domain_find(config, name) == domain;
}

bool config_may_sign_for(const struct config *config, const struct config_account *account,
                         struct slice name)
{
	const struct config_domain *domain = config_domain_find(config, name);
	if (!domain)
		return false;
	if (domain->catchall_account == account)
		return true;
	for (size_t i = 0; i < account->addresses.n; i++)
		if (is_in_domain(config_slice(&account->addresses.v[i]), domain, config))
			return true;
	for (size_t i = 0; i < config->aliases.n; i++) {
		const struct config_alias *alias = &config->aliases.v[i];
		if (alias->allow_from && is_target(alias, account) &&
		    is_in_domain(slice_str(alias->address), domain, config))
			return true;
	}
	return false;
}
