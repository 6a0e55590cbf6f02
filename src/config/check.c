/* Checks across fields.
 *
 * Limits: CONFIG_EXPAND_MAX steps to resolve all aliases, CONFIG_MEMBERS_MAX accounts behind one,
 * SUGGEST_MAX comparisons for "did you mean".
 */
#include "config/check.h"

#include "config/name.h"
#include "config/suggest.h"
#include "config/tables.h"
#include "config/value.h"
#include "os/socket.h"

#include <sys/random.h>

#define SUGGEST_MAX 200000

struct checker {
	struct config *config;
	struct arena *arena;
	struct config_problems *problems;
	size_t n_suggested;
	size_t n_expanded;
};

#define NO_MEMBER UINT32_MAX

#define ERROR_AT(c, file, text, ...)                                                               \
	config_problem_add((c)->problems, CONFIG_ERROR,                                            \
	                   (struct config_place){(file), (text)->line, (text)->column},            \
	                   __VA_ARGS__)
#define WARN_AT(c, file, text, ...)                                                                \
	config_problem_add((c)->problems, CONFIG_WARNING,                                          \
	                   (struct config_place){(file), (text)->line, (text)->column},            \
	                   __VA_ARGS__)

static struct status out_of_memory(void)
{
	return fail(ERR_LIMIT, "the configuration needs more memory than its budget");
}

/* "did you mean `x`?", or the other sentence. */
static const char *suggest_text(struct checker *c, const struct suggest *near,
                                const char *otherwise)
{
	if (near->best.n == 0)
		return otherwise;
	const char *text =
	        arena_printf(&c->problems->arena, "did you mean `%.*s`?", SLICE_FMT(near->best));
	return text ? text : otherwise;
}

static const char *suggest_account(struct checker *c, struct slice wanted)
{
	struct suggest near;
	suggest_init(&near, wanted);
	for (size_t i = 0; i < c->config->accounts.n && c->n_suggested < SUGGEST_MAX; i++) {
		suggest_offer(&near, config_slice(&c->config->accounts.v[i].name));
		c->n_suggested++;
	}
	return suggest_text(c, &near, "add it with `mailkeep account add`");
}

static const char *suggest_domain(struct checker *c, struct slice wanted)
{
	struct suggest near;
	suggest_init(&near, wanted);
	for (size_t i = 0; i < c->config->domains.n && c->n_suggested < SUGGEST_MAX; i++) {
		suggest_offer(&near, config_slice(&c->config->domains.v[i].name));
		c->n_suggested++;
	}
	return suggest_text(c, &near, "add it with `mailkeep domain add`");
}

static struct status ascii_of(struct checker *c, const struct config_text *text, const char **ret)
{
	char ascii[CONFIG_DOMAIN_MAX + 1];
	size_t n;
	/* A name that its format refused is reported already and stands here as "". */
	if (!is_ok(config_domain_canonical(config_slice(text), ascii, &n)))
		n = 0;
	*ret = arena_cstr(c->arena, slice_of(ascii, n));
	return *ret ? ok() : out_of_memory();
}

/* --- the server --- */

static struct status check_names(struct checker *c)
{
	struct config *config = c->config;
	struct table *own = &config->tables->own_names;
	TRY(ascii_of(c, &config->hostname, &config->hostname_ascii));
	if (!table_init(own, config->tables->key, config->listeners.n + 1, c->arena))
		return out_of_memory();
	(void)table_add(own, slice_str(config->hostname_ascii), 0);
	for (size_t i = 0; i < config->listeners.n; i++) {
		struct config_listener *listener = &config->listeners.v[i];
		const char *ascii;
		if (listener->hostname.n == 0)
			listener->hostname = config->hostname;
		TRY(ascii_of(c, &listener->hostname, &ascii));
		(void)table_add(own, slice_str(ascii), 0);
	}
	return ok();
}

static void check_tls(struct checker *c, struct config_listener *listener)
{
	struct config_tls *tls = &listener->tls;
	tls->self_signed = strcmp(tls->certificate.s, "self-signed") == 0;
	if (!tls->self_signed && tls->key.n == 0)
		ERROR_AT(c, CONFIG_SERVER_FILE, &tls->certificate,
		         "`certificate` has no key\nadd `key: PATH` of its private key beside it");
	if (tls->self_signed && tls->key.n > 0)
		ERROR_AT(c, CONFIG_SERVER_FILE, &tls->key,
		         "`key` has no certificate\nadd `certificate: PATH` beside it, or remove "
		         "the key");
	for (unsigned kind = 0; kind < CONFIG_SERVICE_COUNT; kind++)
		if (!tls->enabled && listener->services[kind].enabled &&
		    config_service_is_tls(kind))
			ERROR_AT(c, CONFIG_SERVER_FILE, &listener->name,
			         "`%s` of listener `%s` needs TLS, which is off there\nremove "
			         "`enabled: false` below `tls`, or the service",
			         config_service_name(kind), listener->name.s);
}

static bool is_wildcard(const struct config_ip *ip)
{
	static const uint8_t zero[16];
	return memcmp(ip->bytes, zero, sizeof(zero)) == 0;
}

/* What two sockets must not share: family, address, port. */
static size_t socket_key(const struct config_ip *ip, bool wildcard, uint16_t port, uint8_t *key)
{
	memset(key, 0, 19);
	key[0] = ip->is_v6 ? 6 : 4;
	memcpy(key + 1, &port, 2);
	if (!wildcard)
		memcpy(key + 3, ip->bytes, 16);
	return 19;
}

static void port_clash(struct checker *c, const struct config_listener *listener, unsigned kind,
                       const struct config_ip *ip, uint32_t other)
{
	const struct config_listener *first = &c->config->listeners.v[other / CONFIG_SERVICE_COUNT];
	unsigned first_kind = other % CONFIG_SERVICE_COUNT;
	ERROR_AT(c, CONFIG_SERVER_FILE, &ip->text,
	         "port %u at %s is taken twice: by %s of listener `%s` and %s of listener `%s`\n"
	         "give one of them another port or address",
	         listener->services[kind].port, ip->text.s, config_service_name(first_kind),
	         first->name.s, config_service_name(kind), listener->name.s);
}

typedef void socket_visitor(struct checker *c, struct table *table, size_t listener, unsigned kind,
                            const struct config_ip *ip, uint8_t *key);

/* Keys stand in one array that outlives the table. */
static void each_socket(struct checker *c, struct table *table, uint8_t *keys,
                        socket_visitor *visit)
{
	for (size_t i = 0; i < c->config->listeners.n; i++) {
		const struct config_listener *listener = &c->config->listeners.v[i];
		for (unsigned kind = 0; kind < CONFIG_SERVICE_COUNT; kind++)
			for (size_t j = 0;
			     listener->services[kind].enabled && j < listener->addresses.n; j++) {
				visit(c, table, i, kind, &listener->addresses.v[j], keys);
				keys += 19;
			}
	}
}

static void add_socket(struct checker *c, struct table *table, size_t listener, unsigned kind,
                       const struct config_ip *ip, uint8_t *key)
{
	const struct config_listener *l = &c->config->listeners.v[listener];
	size_t n = socket_key(ip, false, l->services[kind].port, key);
	uint32_t value = (uint32_t)(listener * CONFIG_SERVICE_COUNT + kind);
	const struct table_entry *taken = table_add(table, slice_of(key, n), value);
	if (taken)
		port_clash(c, l, kind, ip, taken->value);
}

static void match_wildcard(struct checker *c, struct table *table, size_t listener, unsigned kind,
                           const struct config_ip *ip, uint8_t *key)
{
	const struct config_listener *l = &c->config->listeners.v[listener];
	uint8_t wildcard[19];
	(void)key;
	if (is_wildcard(ip))
		return;
	size_t n = socket_key(ip, true, l->services[kind].port, wildcard);
	const struct table_entry *taken = table_find(table, slice_of(wildcard, n));
	if (taken)
		port_clash(c, l, kind, ip, taken->value);
}

static struct status check_listeners(struct checker *c)
{
	size_t n_sockets = 0;
	for (size_t i = 0; i < c->config->listeners.n; i++) {
		struct config_listener *listener = &c->config->listeners.v[i];
		size_t before = n_sockets;
		check_tls(c, listener);
		for (unsigned kind = 0; kind < CONFIG_SERVICE_COUNT; kind++)
			if (listener->services[kind].enabled)
				n_sockets += listener->addresses.n;
		if (n_sockets == before && listener->addresses.n > 0)
			WARN_AT(c, CONFIG_SERVER_FILE, &listener->name,
			        "listener `%s` has no service\nadd for example `smtp: {}`",
			        listener->name.s);
	}
	struct arena scratch;
	struct table table;
	arena_init(&scratch, CONFIG_ARENA_MAX);
	uint8_t *keys = arena_array(&scratch, MAX(n_sockets, 1), 19);
	bool fits = keys && table_init(&table, c->config->tables->key, n_sockets, &scratch);
	if (fits) {
		each_socket(c, &table, keys, add_socket);
		each_socket(c, &table, keys, match_wildcard);
	}
	arena_done(&scratch);
	return fits ? ok() : out_of_memory();
}

static void check_postmaster(struct checker *c)
{
	struct config *config = c->config;
	if (config->postmaster.n == 0) {
		config_problem_add(
		        c->problems, CONFIG_WARNING,
		        (struct config_place){CONFIG_SERVER_FILE, 0, 0},
		        "no `postmaster` is configured, but every mail server must have one "
		        "(RFC 5321)\nadd `postmaster: ACCOUNT`");
		return;
	}
	config->postmaster_account = config_account_find(config, config_slice(&config->postmaster));
	if (!config->postmaster_account)
		ERROR_AT(c, CONFIG_SERVER_FILE, &config->postmaster,
		         "`postmaster` is the account `%s`, which does not exist\n%s",
		         config->postmaster.s,
		         suggest_account(c, config_slice(&config->postmaster)));
}

/* --- domains, accounts, addresses --- */

static struct status check_accounts(struct checker *c)
{
	struct config_accounts *accounts = &c->config->accounts;
	struct table *table = &c->config->tables->accounts;
	if (!table_init(table, c->config->tables->key, accounts->n, c->arena))
		return out_of_memory();
	for (size_t i = 0; i < accounts->n; i++) {
		struct config_account *account = &accounts->v[i];
		/* Equal names are equal keys, which are reported by the reader. */
		(void)table_add(table, config_slice(&account->name), (uint32_t)i);
		if (account->quota == 0)
			account->quota = c->config->limits.quota;
		if (account->sent_per_day == 0)
			account->sent_per_day = c->config->limits.sent_per_day;
		if (account->first_time_recipients_per_day == 0)
			account->first_time_recipients_per_day =
			        c->config->limits.first_time_recipients_per_day;
		if (account->addresses.n == 0)
			WARN_AT(c, CONFIG_DOMAINS_FILE, &account->name,
			        "account `%s` has no address\nadd one with `mailkeep address add "
			        "%s "
			        "ADDRESS`",
			        account->name.s, account->name.s);
	}
	return ok();
}

static void taken_twice(struct checker *c, const struct config_text *text, const char *what,
                        const struct table_entry *taken)
{
	const struct config_text *owner = &c->config->accounts.v[taken->value].name;
	ERROR_AT(c, CONFIG_DOMAINS_FILE, text,
	         "%s `%s` is already that of account `%s`, line %u\nremove one of the two", what,
	         text->s, owner->s, owner->line);
}

static struct status check_keys(struct checker *c)
{
	size_t n = 0;
	struct config_accounts *accounts = &c->config->accounts;
	struct table *table = &c->config->tables->keys;
	for (size_t i = 0; i < accounts->n; i++)
		n += accounts->v[i].client_keys.n;
	uint8_t *keys = arena_array(c->arena, MAX(n, 1), CONFIG_KEY_SIZE);
	if (!keys || !table_init(table, c->config->tables->key, n, c->arena))
		return out_of_memory();
	for (size_t i = 0; i < accounts->n; i++) {
		for (size_t j = 0; j < accounts->v[i].client_keys.n; j++) {
			const struct config_text *text = &accounts->v[i].client_keys.v[j];
			if (!config_parse_key(config_slice(text), keys))
				continue; /* reported by its format */
			const struct table_entry *taken =
			        table_add(table, slice_of(keys, CONFIG_KEY_SIZE), (uint32_t)i);
			if (taken)
				taken_twice(c, text, "the key", taken);
			keys += CONFIG_KEY_SIZE;
		}
	}
	return ok();
}

static struct status check_unix_users(struct checker *c)
{
	size_t n = 0;
	struct arena scratch;
	struct table table;
	struct config_accounts *accounts = &c->config->accounts;
	for (size_t i = 0; i < accounts->n; i++)
		n += accounts->v[i].unix_users.n;
	c->config->tables->has_unix_users = n > 0;
	arena_init(&scratch, CONFIG_ARENA_MAX);
	bool fits = table_init(&table, c->config->tables->key, n, &scratch);
	for (size_t i = 0; fits && n > 0 && i < accounts->n; i++) {
		for (size_t j = 0; j < accounts->v[i].unix_users.n; j++) {
			const struct config_text *text = &accounts->v[i].unix_users.v[j];
			const struct table_entry *taken =
			        table_add(&table, config_slice(text), (uint32_t)i);
			if (taken && text->n > 0)
				taken_twice(c, text, "the Unix user", taken);
		}
	}
	arena_done(&scratch);
	return fits ? ok() : out_of_memory();
}

static struct status check_domains(struct checker *c)
{
	struct config_domains *domains = &c->config->domains;
	struct table *table = &c->config->tables->domains;
	if (!table_init(table, c->config->tables->key, domains->n, c->arena))
		return out_of_memory();
	for (size_t i = 0; i < domains->n; i++) {
		struct config_domain *domain = &domains->v[i];
		TRY(ascii_of(c, &domain->name, &domain->ascii));
		const struct table_entry *other =
		        table_add(table, slice_str(domain->ascii), (uint32_t)i);
		if (other && *domain->ascii)
			ERROR_AT(c, CONFIG_DOMAINS_FILE, &domain->name,
			         "`%s` is the same domain as `%s` in line %u\nkeep one of the two",
			         domain->name.s, domains->v[other->value].name.s,
			         domains->v[other->value].name.line);
	}
	return ok();
}

/* The domain of an address; reports an unknown one and gives NULL. */
static struct config_domain *domain_of(struct checker *c, const struct config_text *address,
                                       struct slice *ret_localpart)
{
	struct slice name;
	if (!config_address_split(config_slice(address), ret_localpart, &name))
		return NULL;
	char ascii[CONFIG_DOMAIN_MAX + 1];
	size_t n;
	if (!is_ok(config_domain_canonical(name, ascii, &n)))
		return NULL;
	const struct table_entry *entry =
	        table_find(&c->config->tables->domains, slice_of(ascii, n));
	if (entry)
		return &c->config->domains.v[entry->value];
	ERROR_AT(c, CONFIG_DOMAINS_FILE, address, "the domain of `%s` is not configured\n%s",
	         address->s, suggest_domain(c, name));
	return NULL;
}

static const struct config_text *owner_of(const struct checker *c, uint32_t value)
{
	return ADDRESS_IS_ALIAS(value) ? &c->config->aliases.v[ADDRESS_INDEX(value)].name
	                               : &c->config->accounts.v[ADDRESS_INDEX(value)].name;
}

/* Enters an address of an account or alias; a taken one is reported. */
static struct status enter_address(struct checker *c, const struct config_text *address,
                                   uint32_t value, const char **ret_canonical)
{
	struct slice localpart;
	char key[CONFIG_ADDRESS_MAX + 1];
	size_t n;
	*ret_canonical = "";
	struct config_domain *domain = domain_of(c, address, &localpart);
	if (!domain || !is_ok(config_address_key(domain, localpart, key, &n)))
		return ok();
	const char *canonical = arena_cstr(c->arena, slice_of(key, n));
	if (!canonical)
		return out_of_memory();
	*ret_canonical = canonical;
	const struct table_entry *taken =
	        table_add(&c->config->tables->addresses, slice_of(canonical, n), value);
	if (taken)
		ERROR_AT(c, CONFIG_DOMAINS_FILE, address,
		         "`%s` is already an address of %s `%s`, line %u\nremove one of the two",
		         address->s, ADDRESS_IS_ALIAS(taken->value) ? "the alias" : "account",
		         owner_of(c, taken->value)->s, owner_of(c, taken->value)->line);
	return ok();
}

static void enter_catchall(struct checker *c, const struct config_account *account,
                           const struct config_text *address)
{
	struct slice localpart;
	struct config_domain *domain = domain_of(c, address, &localpart);
	if (!domain)
		return;
	if (domain->catchall_account)
		ERROR_AT(c, CONFIG_DOMAINS_FILE, address,
		         "`%s` is a second catchall of the domain; account `%s` has it already\n"
		         "remove one of the two",
		         address->s, domain->catchall_account->name.s);
	domain->catchall_account = account;
}

static struct status enter_account_addresses(struct checker *c)
{
	for (size_t i = 0; i < c->config->accounts.n; i++) {
		const struct config_account *account = &c->config->accounts.v[i];
		for (size_t j = 0; j < account->addresses.n; j++) {
			const struct config_text *address = &account->addresses.v[j];
			const char *canonical;
			if (address->s[0] == '@')
				enter_catchall(c, account, address);
			else
				TRY(enter_address(c, address, ADDRESS_OF_ACCOUNT(i), &canonical));
		}
	}
	return ok();
}

static struct status enter_addresses(struct checker *c)
{
	size_t n = c->config->aliases.n;
	for (size_t i = 0; i < c->config->accounts.n; i++)
		n += c->config->accounts.v[i].addresses.n;
	if (!table_init(&c->config->tables->addresses, c->config->tables->key, n, c->arena))
		return out_of_memory();
	TRY(enter_account_addresses(c));
	for (size_t i = 0; i < c->config->aliases.n; i++) {
		struct config_alias *alias = &c->config->aliases.v[i];
		TRY(enter_address(c, &alias->name, ADDRESS_OF_ALIAS(i), &alias->address));
	}
	return ok();
}

/* --- catchalls and aliases --- */

/* What an address inside the configuration stands for: exact or with a tag, no catchall, so that a
 * slip of the pen is found. Reports and gives NULL otherwise. */
static const struct table_entry *resolve(struct checker *c, const struct config_text *address,
                                         const char *what)
{
	struct slice localpart;
	bool has_tag;
	const struct config_domain *domain = domain_of(c, address, &localpart);
	if (!domain)
		return NULL;
	const struct table_entry *entry =
	        config_address_entry(c->config, domain, localpart, &has_tag);
	if (!entry)
		ERROR_AT(c, CONFIG_DOMAINS_FILE, address,
		         "%s `%s` is no address of an account or alias\nmend it, or add it with "
		         "`mailkeep address add ACCOUNT %s`",
		         what, address->s, address->s);
	return entry;
}

static void check_catchall(struct checker *c, struct config_domain *domain)
{
	const struct config_text *catchall = &domain->catchall;
	if (catchall->n == 0)
		return;
	if (domain->catchall_account) {
		ERROR_AT(c, CONFIG_DOMAINS_FILE, catchall,
		         "account `%s` has the address @%s, which is a catchall too\nremove one of "
		         "the "
		         "two",
		         domain->catchall_account->name.s, domain->name.s);
		return;
	}
	if (slice_index(config_slice(catchall), '@') == SIZE_MAX) {
		domain->catchall_account = config_account_find(c->config, config_slice(catchall));
		if (!domain->catchall_account)
			ERROR_AT(c, CONFIG_DOMAINS_FILE, catchall,
			         "`catchall` is the account `%s`, which does not exist\n%s",
			         catchall->s, suggest_account(c, config_slice(catchall)));
		return;
	}
	const struct table_entry *entry = resolve(c, catchall, "the catchall");
	if (entry && ADDRESS_IS_ALIAS(entry->value))
		domain->catchall_alias = &c->config->aliases.v[ADDRESS_INDEX(entry->value)];
	else if (entry)
		domain->catchall_account = &c->config->accounts.v[ADDRESS_INDEX(entry->value)];
}

/* Work space to resolve one alias after the other. */
struct expansion {
	uint32_t *alias_seen;   /* by alias: number + 1 of the alias that is being resolved */
	uint32_t *account_seen; /* by account: the same */
	uint32_t *pending;      /* aliases still to be opened */
	size_t *first_member;   /* by alias: place in the arrays of members */
	uint32_t *members;      /* ADDRESS_OF_…, NO_MEMBER */
	const char **addresses;
	struct config_target *targets;
	size_t n_targets;
};

static struct status resolve_members(struct checker *c, struct expansion *x, struct arena *scratch)
{
	size_t n = 0;
	const struct config_aliases *aliases = &c->config->aliases;
	for (size_t i = 0; i < aliases->n; i++)
		n += aliases->v[i].members.n;
	x->members = ARENA_ARRAY(scratch, n, uint32_t);
	x->addresses = ARENA_ARRAY(scratch, n, const char *);
	x->first_member = ARENA_ARRAY(scratch, aliases->n, size_t);
	x->alias_seen = ARENA_ARRAY(scratch, aliases->n, uint32_t);
	x->pending = ARENA_ARRAY(scratch, aliases->n, uint32_t);
	x->account_seen = ARENA_ARRAY(scratch, c->config->accounts.n, uint32_t);
	x->targets = ARENA_ARRAY(scratch, CONFIG_MEMBERS_MAX, struct config_target);
	if (arena_failed(scratch))
		return out_of_memory();
	n = 0;
	for (size_t i = 0; i < aliases->n; i++) {
		x->first_member[i] = n;
		for (size_t j = 0; j < aliases->v[i].members.n; j++, n++) {
			const struct table_entry *entry =
			        resolve(c, &aliases->v[i].members.v[j], "the member");
			x->members[n] = entry ? entry->value : NO_MEMBER;
			x->addresses[n] = entry ? entry->s : "";
		}
	}
	return ok();
}

static bool add_target(struct checker *c, struct expansion *x, size_t root, size_t member)
{
	uint32_t index = ADDRESS_INDEX(x->members[member]);
	const struct config_account *account = &c->config->accounts.v[index];
	if (x->account_seen[index] == root + 1 || !account->enabled)
		return true;
	x->account_seen[index] = (uint32_t)root + 1;
	if (x->n_targets == CONFIG_MEMBERS_MAX) {
		ERROR_AT(c, CONFIG_DOMAINS_FILE, &c->config->aliases.v[root].name,
		         "alias `%s` stands for more than %d accounts\nsplit it",
		         c->config->aliases.v[root].name.s, CONFIG_MEMBERS_MAX);
		return false;
	}
	x->targets[x->n_targets++] = (struct config_target){account, x->addresses[member]};
	return true;
}

static void alias_loop(struct checker *c, size_t root, size_t via)
{
	const struct config_text *name = &c->config->aliases.v[root].name;
	if (root == via)
		ERROR_AT(c, CONFIG_DOMAINS_FILE, name,
		         "alias `%s` is a member of itself\nremove it from its members", name->s);
	else
		ERROR_AT(c, CONFIG_DOMAINS_FILE, name,
		         "alias `%s` leads back to itself by way of `%s`\nremove one of the two "
		         "from "
		         "the other's members",
		         name->s, c->config->aliases.v[via].name.s);
}

/* Opens one alias on behalf of `root`: accounts become targets, aliases wait. False ends. */
static bool open_alias(struct checker *c, struct expansion *x, size_t root, size_t opened,
                       size_t *n_pending)
{
	const struct config_alias *alias = &c->config->aliases.v[opened];
	for (size_t j = 0; j < alias->members.n; j++) {
		size_t member = x->first_member[opened] + j;
		uint32_t value = x->members[member];
		if (++c->n_expanded > CONFIG_EXPAND_MAX) {
			ERROR_AT(c, CONFIG_DOMAINS_FILE, &c->config->aliases.v[root].name,
			         "the aliases contain each other too often to be resolved\nlet "
			         "fewer "
			         "aliases be members of aliases");
			return false;
		}
		if (value == NO_MEMBER)
			continue;
		if (!ADDRESS_IS_ALIAS(value)) {
			if (!add_target(c, x, root, member))
				return false;
			continue;
		}
		uint32_t index = ADDRESS_INDEX(value);
		if (index == root) {
			alias_loop(c, root, opened);
			return false;
		}
		if (x->alias_seen[index] != root + 1) {
			x->alias_seen[index] = (uint32_t)root + 1;
			x->pending[(*n_pending)++] = index;
		}
	}
	return true;
}

static struct status expand_alias(struct checker *c, struct expansion *x, size_t root)
{
	struct config_alias *alias = &c->config->aliases.v[root];
	size_t n_pending = 0;
	x->n_targets = 0;
	bool more = open_alias(c, x, root, root, &n_pending);
	while (more && n_pending > 0) {
		size_t next = x->pending[--n_pending];
		more = open_alias(c, x, root, next, &n_pending);
	}
	alias->targets = ARENA_ARRAY(c->arena, x->n_targets, struct config_target);
	if (!alias->targets)
		return out_of_memory();
	memcpy(alias->targets, x->targets, x->n_targets * sizeof(*x->targets));
	alias->n_targets = x->n_targets;
	return ok();
}

static struct status check_aliases(struct checker *c)
{
	struct arena scratch;
	struct expansion x = {0};
	if (c->config->aliases.n == 0)
		return ok();
	arena_init(&scratch, CONFIG_ARENA_MAX);
	struct status status = resolve_members(c, &x, &scratch);
	for (size_t i = 0; is_ok(status) && i < c->config->aliases.n; i++)
		if (c->n_expanded <= CONFIG_EXPAND_MAX)
			status = expand_alias(c, &x, i);
	arena_done(&scratch);
	return status;
}

static bool is_loopback(const struct config_text *server)
{
	struct os_address address;
	if (!is_ok(os_address_parse(config_slice(server), 53, &address)) &&
	    !is_ok(os_address_parse_port(config_slice(server), &address)))
		return true; /* reported already */
	return os_address_is_loopback(&address);
}

static void check_resolver(struct checker *c)
{
	const struct config_resolver *resolver = &c->config->resolver;
	if (resolver->mode == CONFIG_RESOLVER_FORWARD && resolver->servers.n == 0)
		config_problem_add(c->problems, CONFIG_ERROR,
		                   (struct config_place){.file = CONFIG_SERVER_FILE},
		                   "`resolver.mode` is forward, but there is no server\nadd "
		                   "`servers: [ADDRESS]` to `resolver`");
	if (resolver->mode == CONFIG_RESOLVER_RECURSIVE && resolver->servers.n > 0)
		ERROR_AT(c, CONFIG_SERVER_FILE, &resolver->servers.v[0],
		         "`resolver.servers` are for the modes forward and trust\nadd `mode: "
		         "forward` "
		         "beside them");
	for (size_t i = 0; i < resolver->servers.n; i++)
		if (resolver->mode == CONFIG_RESOLVER_TRUST && !resolver->trust_ad &&
		    !is_loopback(&resolver->servers.v[i]))
			WARN_AT(c, CONFIG_SERVER_FILE, &resolver->servers.v[i],
			        "`%s` is not on this machine: what it says of DNSSEC is not "
			        "believed\nadd `trust_ad: true` if the way to it is safe",
			        resolver->servers.v[i].s);
}

/* Where a domain of ours has its reports sent: an address that is ours must be there. */
static void check_report_address(struct checker *c, const struct config_text *place)
{
	struct slice localpart, domain;
	struct config_lookup found;
	if (slice_index(config_slice(place), ':') != SIZE_MAX || /* a URI */
	    !config_address_split(config_slice(place), &localpart, &domain))
		return;
	config_lookup_address(c->config, localpart, domain, &found);
	if (found.kind == CONFIG_LOOKUP_ACCOUNT)
		c->config->accounts.v[found.account - c->config->accounts.v].takes_reports = true;
	else if (found.kind == CONFIG_LOOKUP_ALIAS)
		c->config->aliases.v[found.alias - c->config->aliases.v].takes_reports = true;
	else if (found.kind == CONFIG_LOOKUP_UNKNOWN_USER)
		WARN_AT(c, CONFIG_DOMAINS_FILE, place,
		        "reports are asked for at `%s`, which nobody has\ngive the address to an "
		        "account or an alias",
		        place->s);
}

static void check_reports(struct checker *c)
{
	for (size_t i = 0; i < c->config->domains.n; i++) {
		const struct config_domain *domain = &c->config->domains.v[i];
		for (size_t k = 0; k < domain->tls_reports.n; k++)
			check_report_address(c, &domain->tls_reports.v[k]);
		for (size_t k = 0; k < domain->dmarc.reports.n; k++)
			check_report_address(c, &domain->dmarc.reports.v[k]);
	}
}

struct status config_check(struct config *config, struct arena *arena,
                           struct config_problems *problems)
{
	struct checker c = {.config = config, .arena = arena, .problems = problems};
	config->tables = ARENA_NEW(arena, struct config_tables);
	if (!config->tables)
		return out_of_memory();
	if (getrandom(&config->tables->key, sizeof(struct hash_key), 0) !=
	    (ssize_t)sizeof(struct hash_key))
		return fail(ERR_IO, "no random numbers for the tables");
	TRY(check_names(&c));
	TRY(check_listeners(&c));
	TRY(check_accounts(&c));
	TRY(check_keys(&c));
	TRY(check_unix_users(&c));
	TRY(check_domains(&c));
	check_postmaster(&c);
	check_resolver(&c);
	TRY(config_check_routes(config, arena, problems));
	TRY(config_check_reception(config, arena));
	TRY(enter_addresses(&c));
	for (size_t i = 0; i < config->domains.n; i++)
		check_catchall(&c, &config->domains.v[i]);
	TRY(check_aliases(&c));
	check_reports(&c);
	return ok();
}
