/* Commands on domains.yaml as changes of its text.
 *
 * The lock is flock() on the configuration directory itself, so no lock file is left in a directory
 * that may be kept in git. Entries are found by meaning (a domain in any script, an address in any
 * case), and changed where they stand.
 */
#include "config/edit.h"

#include "config/bind.h"
#include "config/name.h"
#include "config/value.h"
#include "config/yaml_edit.h"

#include "os/fault.h"
#include "os/fd.h"
#include "os/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/file.h>
#include <sys/stat.h>

#define LOCK_STEP_MS 50

struct config_edit {
	int dir_fd; /* locked */
	struct arena arena;
	struct config_sources sources;
	struct config *config;
	struct yaml_doc doc;
	char path[PATH_MAX]; /* of domains.yaml, links resolved */
	struct os_fault fault;
};

const struct config *config_edit_config(const struct config_edit *edit)
{
	return edit->config;
}

struct slice config_edit_text(const struct config_edit *edit)
{
	return buf_slice(&edit->doc.text);
}

const char *config_edit_why(const struct config_edit *edit)
{
	return edit->fault.text;
}

static struct status lock_directory(struct config_edit *edit, const char *directory)
{
	TRY(file_open_dir(AT_FDCWD, directory, &edit->dir_fd, &edit->fault));
	for (int waited = 0; flock(edit->dir_fd, LOCK_EX | LOCK_NB) < 0; waited += LOCK_STEP_MS) {
		if (errno != EWOULDBLOCK && errno != EINTR)
			return os_fail(&edit->fault, errno, "cannot lock", directory);
		if (waited >= CONFIG_EDIT_LOCK_MS)
			return fail(ERR_BUSY, "another command is changing the configuration");
		const struct timespec step = {.tv_nsec = LOCK_STEP_MS * 1000000L};
		(void)nanosleep(&step, NULL);
	}
	return ok();
}

static struct status open_locked(struct config_edit *edit, const char *directory,
                                 struct config_problems *problems)
{
	char path[PATH_MAX];
	TRY(config_read_sources(directory, &edit->arena, &edit->sources, problems));
	TRY(config_parse(&edit->sources, &edit->arena, &edit->config, problems));
	int n = snprintf(path, sizeof(path), "%s/%s", edit->sources.directory, CONFIG_DOMAINS_FILE);
	if (n < 0 || (size_t)n >= sizeof(path))
		return fail(ERR_LIMIT, "the path of the configuration is too long");
	if (!realpath(path, edit->path))
		memcpy(edit->path, path, (size_t)n + 1); /* not there yet */
	return yaml_doc_init(&edit->doc, edit->sources.text[CONFIG_DOMAINS], CONFIG_DOMAINS_FILE,
	                     problems);
}

struct status config_edit_open(const char *directory, struct config_edit **ret_edit,
                               struct config_problems *problems)
{
	struct config_edit *edit = base_alloc(sizeof(*edit));
	edit->dir_fd = -1;
	arena_init(&edit->arena, CONFIG_ARENA_MAX);
	struct status status = lock_directory(edit, directory);
	if (is_ok(status))
		status = open_locked(edit, directory, problems);
	else if (edit->fault.text[0])
		config_problem_add(problems, CONFIG_ERROR,
		                   (struct config_place){CONFIG_SERVER_FILE, 0, 0},
		                   "%s\nname the right directory with --config", edit->fault.text);
	if (!is_ok(status)) {
		config_edit_free(edit);
		return status;
	}
	*ret_edit = edit;
	return ok();
}

void config_edit_free(struct config_edit *edit)
{
	if (!edit)
		return;
	fd_close(&edit->dir_fd);
	yaml_doc_done(&edit->doc);
	arena_done(&edit->arena);
	base_free(edit);
}

/* --- values --- */

static struct yaml_path path2(const char *section, struct slice name)
{
	return (struct yaml_path){.v = {slice_str(section), name}, .n = 2};
}

static struct yaml_path path3(const char *section, struct slice name, const char *field)
{
	return (struct yaml_path){.v = {slice_str(section), name, slice_str(field)}, .n = 3};
}

/* The row of "accounts.*.quota". */
static const struct config_field *find_field(const char *section, const char *name)
{
	char path[200];
	int n = snprintf(path, sizeof(path), "%s.*.%s", section, name);
	return n > 0 && (size_t)n < sizeof(path) ? config_field_find(path) : NULL;
}

/* A refused value is named beside what it must be. */
static struct status explain(struct config_edit *edit, const char *value, struct status status)
{
	if (status.code == ERR_SYNTAX)
		snprintf(edit->fault.text, sizeof(edit->fault.text), "`%.80s` %s", value,
		         status.why);
	return status;
}

/* Checks a value by its field and writes it as YAML. */
static struct status flow_value(struct config_edit *edit, const char *section,
                                const struct config_edit_field *field, const char **ret_flow)
{
	uint64_t room[8];
	struct buf text;
	const struct config_field *row = find_field(section, field->name);
	if (!row || row->type == CONFIG_TEXTS)
		return fail(ERR_INVALID, "there is no such field");
	struct slice value = slice_str(field->value);
	TRY(explain(edit, field->value, config_bind_text(row, value, &edit->arena, room)));
	buf_init(&text, 1000000);
	if (row->type == CONFIG_TEXT)
		yaml_quote(value, &text);
	else
		buf_add(&text, value);
	*ret_flow = arena_cstr(&edit->arena, buf_slice(&text));
	buf_done(&text);
	return *ret_flow ? ok() : fail(ERR_LIMIT, "the value is too long");
}

static struct status flow_list(struct config_edit *edit, const char *const *items, size_t n_items,
                               struct status (*check)(struct slice s), const char **ret_flow)
{
	struct buf text;
	buf_init(&text, 4000000);
	struct status status = ok();
	buf_add_byte(&text, '[');
	for (size_t i = 0; is_ok(status) && i < n_items; i++) {
		buf_add_str(&text, i > 0 ? ", " : "");
		yaml_quote(slice_str(items[i]), &text);
		status = explain(edit, items[i], check(slice_str(items[i])));
	}
	buf_add_byte(&text, ']');
	*ret_flow = arena_cstr(&edit->arena, buf_slice(&text));
	buf_done(&text);
	if (is_ok(status) && !*ret_flow)
		return fail(ERR_LIMIT, "the list is too long");
	return status;
}

static struct status check_by(struct config_edit *edit, const char *path, const char *text)
{
	return explain(edit, text, config_field_find(path)->format->check(slice_str(text)));
}

static struct status check_list_item(struct slice s)
{
	return config_field_find("accounts.*.addresses")->format->check(s);
}

static struct status check_member(struct slice s)
{
	return config_field_find("aliases.*.members")->format->check(s);
}

#define FIELDS_MAX 8

/* A new entry of a section: fields, and a list when there is one. */
static struct status add_entry(struct config_edit *edit, const char *section, const char *name,
                               const struct config_edit_field *fields, size_t n_fields,
                               const char *list_name, const char *list_flow)
{
	struct yaml_pair pairs[FIELDS_MAX + 1];
	size_t n = 0;
	if (n_fields > FIELDS_MAX)
		return fail(ERR_LIMIT, "too many fields");
	for (size_t i = 0; i < n_fields; i++, n++) {
		pairs[n].key = fields[i].name;
		TRY(flow_value(edit, section, &fields[i], &pairs[n].flow));
	}
	if (list_name)
		pairs[n++] = (struct yaml_pair){list_name, list_flow};
	struct yaml_path path = path2(section, slice_str(name));
	return yaml_doc_add(&edit->doc, &path, &(struct yaml_new){.fields = pairs, .n_fields = n});
}

/* --- finding by meaning, in the text as it is now --- */

static bool same_domain(struct slice a, struct slice b)
{
	char ascii_a[CONFIG_DOMAIN_MAX + 1], ascii_b[CONFIG_DOMAIN_MAX + 1];
	size_t n_a, n_b;
	return is_ok(config_domain_canonical(a, ascii_a, &n_a)) &&
	       is_ok(config_domain_canonical(b, ascii_b, &n_b)) &&
	       slice_eq(slice_of(ascii_a, n_a), slice_of(ascii_b, n_b));
}

static bool is_case_sensitive(const struct config_edit *edit, struct slice domain)
{
	const struct config_domain *found = config_domain_find(edit->config, domain);
	return found && found->case_sensitive_localparts;
}

static bool same_address(const struct config_edit *edit, struct slice a, struct slice b)
{
	struct slice local_a, local_b, domain_a, domain_b;
	char text_a[CONFIG_LOCALPART_MAX + 1], text_b[CONFIG_LOCALPART_MAX + 1];
	size_t n_a, n_b;
	if (slice_eq(a, b))
		return true;
	if (!config_address_split(a, &local_a, &domain_a) ||
	    !config_address_split(b, &local_b, &domain_b) || !same_domain(domain_a, domain_b))
		return false;
	if (local_a.n == 0 || local_b.n == 0)
		return local_a.n == local_b.n;
	bool cased = is_case_sensitive(edit, domain_a);
	return is_ok(config_localpart_canonical(local_a, cased, text_a, &n_a)) &&
	       is_ok(config_localpart_canonical(local_b, cased, text_b, &n_b)) &&
	       slice_eq(slice_of(text_a, n_a), slice_of(text_b, n_b));
}

typedef bool same_name(const struct config_edit *edit, struct slice a, struct slice b);

static bool same_domain_name(const struct config_edit *edit, struct slice a, struct slice b)
{
	(void)edit;
	return same_domain(a, b);
}

static bool same_text(const struct config_edit *edit, struct slice a, struct slice b)
{
	(void)edit;
	return slice_eq(a, b);
}

/* The key as it is written, of the entry that is meant. */
static struct status find_key(const struct config_edit *edit, const char *section, const char *name,
                              same_name *same, struct slice *ret_key)
{
	struct yaml_path path = {.v = {slice_str(section)}, .n = 1};
	const struct yaml_node *map = yaml_doc_find(&edit->doc, &path);
	const struct yaml_node *entry = map && map->kind == YAML_MAP ? map->first : NULL;
	for (; entry; entry = entry->next)
		if (same(edit, entry->key->value, slice_str(name))) {
			*ret_key = entry->key->value;
			return ok();
		}
	return fail(ERR_NOT_FOUND, "there is no such entry");
}

static bool same_key(const struct config_edit *edit, struct slice a, struct slice b)
{
	uint8_t key_a[CONFIG_KEY_SIZE], key_b[CONFIG_KEY_SIZE];
	(void)edit;
	return config_parse_key(a, key_a) && config_parse_key(b, key_b) &&
	       memcmp(key_a, key_b, CONFIG_KEY_SIZE) == 0;
}

/* Its number in a list; SIZE_MAX when it is not in it. */
static size_t find_item(const struct config_edit *edit, const struct yaml_node *list,
                        const char *wanted, same_name *same)
{
	size_t number = 0;
	const struct yaml_node *item = list && list->kind == YAML_LIST ? list->first : NULL;
	for (; item; item = item->next, number++)
		if (same(edit, item->value, slice_str(wanted)))
			return number;
	return SIZE_MAX;
}

/* --- what still needs an entry that is to go --- */

static struct status still_used(struct config_edit *edit, const char *by, const char *what,
                                const char *mend)
{
	snprintf(edit->fault.text, sizeof(edit->fault.text), "%s %s still needs it; %s first", by,
	         what, mend);
	return fail(ERR_INVALID, "something still needs it");
}

static bool in_domain(struct slice address, struct slice domain)
{
	struct slice localpart, name;
	return config_address_split(address, &localpart, &name) && same_domain(name, domain);
}

static struct status check_domain_unused(struct config_edit *edit, struct slice name)
{
	const struct config *config = edit->config;
	for (size_t i = 0; i < config->accounts.n; i++) {
		const struct config_texts *list = &config->accounts.v[i].addresses;
		for (size_t j = 0; j < list->n; j++)
			if (in_domain(config_slice(&list->v[j]), name))
				return still_used(edit, "address", list->v[j].s,
				                  "remove that with `mailkeep address rm`");
	}
	for (size_t i = 0; i < config->aliases.n; i++)
		if (in_domain(config_slice(&config->aliases.v[i].name), name))
			return still_used(edit, "alias", config->aliases.v[i].name.s,
			                  "remove that with `mailkeep alias rm`");
	return ok();
}

/* Aliases and catchalls that lead to the address or alias. */
static struct status check_address_unused(struct config_edit *edit, struct slice address)
{
	const struct config *config = edit->config;
	for (size_t i = 0; i < config->aliases.n; i++) {
		const struct config_texts *list = &config->aliases.v[i].members;
		for (size_t j = 0; j < list->n; j++)
			if (same_address(edit, config_slice(&list->v[j]), address))
				return still_used(
				        edit, "alias", config->aliases.v[i].name.s,
				        "take it out with `mailkeep alias rm ALIAS MEMBER`");
	}
	for (size_t i = 0; i < config->domains.n; i++)
		if (same_address(edit, config_slice(&config->domains.v[i].catchall), address))
			return still_used(edit, "the catchall of domain",
			                  config->domains.v[i].name.s, "change that");
	return ok();
}

static struct status check_account_unused(struct config_edit *edit, const char *name)
{
	const struct config *config = edit->config;
	const struct config_account *account = config_account_find(config, slice_str(name));
	if (!account)
		return fail(ERR_NOT_FOUND, "there is no such account");
	if (strcmp(config->postmaster.s, name) == 0)
		return still_used(edit, "`postmaster` in", CONFIG_SERVER_FILE,
		                  "name another account there");
	for (size_t i = 0; i < config->domains.n; i++)
		if (strcmp(config->domains.v[i].catchall.s, name) == 0)
			return still_used(edit, "the catchall of domain",
			                  config->domains.v[i].name.s, "change that");
	for (size_t i = 0; i < account->addresses.n; i++)
		TRY(check_address_unused(edit, config_slice(&account->addresses.v[i])));
	return ok();
}

/* --- domains --- */

static void begin(struct config_edit *edit)
{
	edit->fault.text[0] = 0;
}

struct status config_edit_domain_add(struct config_edit *edit, const char *name,
                                     const struct config_edit_field *fields, size_t n_fields)
{
	struct slice key;
	begin(edit);
	TRY(check_by(edit, "domains", name));
	if (is_ok(find_key(edit, "domains", name, same_domain_name, &key)))
		return fail(ERR_EXISTS, "there is such a domain already");
	return add_entry(edit, "domains", name, fields, n_fields, NULL, NULL);
}

struct status config_edit_domain_remove(struct config_edit *edit, const char *name)
{
	struct slice key;
	begin(edit);
	TRY(find_key(edit, "domains", name, same_domain_name, &key));
	TRY(check_domain_unused(edit, slice_str(name)));
	struct yaml_path path = path2("domains", key);
	return yaml_doc_remove(&edit->doc, &path);
}

/* Sets a field of an entry, or removes it. */
static struct status set_field(struct config_edit *edit, const char *section, const char *name,
                               same_name *same, const char *field, const char *value)
{
	struct slice key;
	const char *flow;
	begin(edit);
	TRY(find_key(edit, section, name, same, &key));
	struct yaml_path path = path3(section, key, field);
	if (!value)
		return yaml_doc_remove(&edit->doc, &path);
	struct config_edit_field wanted = {field, value};
	TRY(flow_value(edit, section, &wanted, &flow));
	return yaml_doc_set(&edit->doc, &path, flow);
}

struct status config_edit_domain_set(struct config_edit *edit, const char *name, const char *field,
                                     const char *value)
{
	return set_field(edit, "domains", name, same_domain_name, field, value);
}

/* --- DKIM keys --- */

static struct status dkim_path(struct config_edit *edit, const char *domain, const char *selector,
                               struct yaml_path *ret_path)
{
	struct slice key;
	begin(edit);
	TRY(check_by(edit, "domains.*.dkim", selector));
	TRY(find_key(edit, "domains", domain, same_domain_name, &key));
	*ret_path = path3("domains", key, "dkim");
	ret_path->v[ret_path->n++] = slice_str(selector);
	return ok();
}

struct status config_edit_dkim_add(struct config_edit *edit, const char *domain,
                                   const char *selector, bool sign)
{
	const char *flow = sign ? "{}" : "{sign: false}";
	const struct yaml_pair pair = {selector, flow};
	char all[CONFIG_SELECTOR_MAX + 20];
	struct yaml_path path;
	TRY(dkim_path(edit, domain, selector, &path));
	struct yaml_path map = path;
	map.n--;
	const struct yaml_node *there = yaml_doc_find(&edit->doc, &map);
	if (there && there->kind == YAML_MAP)
		return yaml_doc_add(&edit->doc, &path, &(struct yaml_new){.flow = flow});
	if (!there)
		return yaml_doc_add(&edit->doc, &map,
		                    &(struct yaml_new){.fields = &pair, .n_fields = 1});
	snprintf(all, sizeof(all), "{%s: %s}", selector, flow); /* "dkim:" alone */
	return yaml_doc_set(&edit->doc, &map, all);
}

struct status config_edit_dkim_remove(struct config_edit *edit, const char *domain,
                                      const char *selector)
{
	struct yaml_path path;
	TRY(dkim_path(edit, domain, selector, &path));
	return yaml_doc_remove(&edit->doc, &path);
}

struct status config_edit_dkim_sign(struct config_edit *edit, const char *domain,
                                    const char *selector, bool sign)
{
	struct yaml_path path;
	TRY(dkim_path(edit, domain, selector, &path));
	const struct yaml_node *there = yaml_doc_find(&edit->doc, &path);
	if (!there)
		return fail(ERR_NOT_FOUND, "the domain has no such selector");
	if (there->kind != YAML_MAP) /* "2026a:" alone */
		return yaml_doc_set(&edit->doc, &path, sign ? "{sign: true}" : "{sign: false}");
	path.v[path.n++] = SLICE("sign");
	return yaml_doc_set(&edit->doc, &path, sign ? "true" : "false");
}

/* --- accounts and addresses --- */

struct status config_edit_account_add(struct config_edit *edit, const char *name,
                                      const char *const *addresses, size_t n_addresses,
                                      const struct config_edit_field *fields, size_t n_fields)
{
	const char *flow;
	begin(edit);
	TRY(check_by(edit, "accounts", name));
	TRY(flow_list(edit, addresses, n_addresses, check_list_item, &flow));
	return add_entry(edit, "accounts", name, fields, n_fields,
	                 n_addresses > 0 ? "addresses" : NULL, flow);
}

struct status config_edit_account_remove(struct config_edit *edit, const char *name)
{
	begin(edit);
	TRY(check_account_unused(edit, name));
	struct yaml_path path = path2("accounts", slice_str(name));
	return yaml_doc_remove(&edit->doc, &path);
}

struct status config_edit_account_set(struct config_edit *edit, const char *name, const char *field,
                                      const char *value)
{
	return set_field(edit, "accounts", name, same_text, field, value);
}

static struct status list_add(struct config_edit *edit, const struct yaml_path *path,
                              const char *item, same_name *same)
{
	struct buf flow;
	if (find_item(edit, yaml_doc_find(&edit->doc, path), item, same) != SIZE_MAX)
		return fail(ERR_EXISTS, "it is there already");
	buf_init(&flow, 10000);
	yaml_quote(slice_str(item), &flow);
	struct status status = buf_failed(&flow)
	                               ? fail(ERR_LIMIT, "the text is too long")
	                               : yaml_doc_list_add(&edit->doc, path, buf_cstr(&flow));
	buf_done(&flow);
	return status;
}

static struct status list_remove(struct config_edit *edit, const struct yaml_path *path,
                                 const char *item, same_name *same)
{
	size_t number = find_item(edit, yaml_doc_find(&edit->doc, path), item, same);
	if (number == SIZE_MAX)
		return fail(ERR_NOT_FOUND, "it is not there");
	return yaml_doc_list_remove(&edit->doc, path, number);
}

struct status config_edit_address_add(struct config_edit *edit, const char *account,
                                      const char *address)
{
	struct slice key;
	begin(edit);
	TRY(check_by(edit, "accounts.*.addresses", address));
	TRY(find_key(edit, "accounts", account, same_text, &key));
	struct yaml_path path = path3("accounts", key, "addresses");
	return list_add(edit, &path, address, same_address);
}

struct status config_edit_address_remove(struct config_edit *edit, const char *address)
{
	struct yaml_path path = {.v = {SLICE("accounts")}, .n = 1};
	begin(edit);
	TRY(check_by(edit, "accounts.*.addresses", address));
	const struct yaml_node *accounts = yaml_doc_find(&edit->doc, &path);
	const struct yaml_node *entry =
	        accounts && accounts->kind == YAML_MAP ? accounts->first : NULL;
	for (; entry; entry = entry->next) {
		struct yaml_path list = path3("accounts", entry->key->value, "addresses");
		if (find_item(edit, yaml_find(entry, list.v[2]), address, same_address) == SIZE_MAX)
			continue;
		TRY(check_address_unused(edit, slice_str(address)));
		return list_remove(edit, &list, address, same_address);
	}
	return fail(ERR_NOT_FOUND, "no account has such an address");
}

/* --- client keys --- */

struct status config_edit_client_key_add(struct config_edit *edit, const char *account,
                                         const char *key)
{
	struct slice name;
	begin(edit);
	TRY(check_by(edit, "accounts.*.client_keys", key));
	TRY(find_key(edit, "accounts", account, same_text, &name));
	struct yaml_path path = path3("accounts", name, "client_keys");
	return list_add(edit, &path, key, same_key);
}

struct status config_edit_client_key_remove(struct config_edit *edit, const char *account,
                                            const char *key)
{
	struct slice name;
	begin(edit);
	TRY(check_by(edit, "accounts.*.client_keys", key));
	TRY(find_key(edit, "accounts", account, same_text, &name));
	struct yaml_path path = path3("accounts", name, "client_keys");
	return list_remove(edit, &path, key, same_key);
}

/* --- aliases --- */

struct status config_edit_alias_add(struct config_edit *edit, const char *address,
                                    const char *const *members, size_t n_members)
{
	const char *flow;
	struct slice key;
	begin(edit);
	TRY(check_by(edit, "aliases", address));
	if (is_ok(find_key(edit, "aliases", address, same_address, &key)))
		return fail(ERR_EXISTS, "there is such an alias already");
	TRY(flow_list(edit, members, n_members, check_member, &flow));
	return add_entry(edit, "aliases", address, NULL, 0, "members", flow);
}

struct status config_edit_alias_remove(struct config_edit *edit, const char *address)
{
	struct slice key;
	begin(edit);
	TRY(find_key(edit, "aliases", address, same_address, &key));
	TRY(check_address_unused(edit, slice_str(address)));
	struct yaml_path path = path2("aliases", key);
	return yaml_doc_remove(&edit->doc, &path);
}

struct status config_edit_member_add(struct config_edit *edit, const char *alias,
                                     const char *member)
{
	struct slice key;
	begin(edit);
	TRY(check_by(edit, "aliases.*.members", member));
	TRY(find_key(edit, "aliases", alias, same_address, &key));
	struct yaml_path path = path3("aliases", key, "members");
	return list_add(edit, &path, member, same_address);
}

struct status config_edit_member_remove(struct config_edit *edit, const char *alias,
                                        const char *member)
{
	struct slice key;
	begin(edit);
	TRY(find_key(edit, "aliases", alias, same_address, &key));
	struct yaml_path path = path3("aliases", key, "members");
	return list_remove(edit, &path, member, same_address);
}

/* --- commit --- */

static struct status check_result(struct config_edit *edit, struct config_problems *problems)
{
	struct config_sources sources = edit->sources;
	struct config *config;
	struct arena arena;
	sources.text[CONFIG_DOMAINS] = buf_slice(&edit->doc.text);
	arena_init(&arena, CONFIG_ARENA_MAX);
	struct status status = config_parse(&sources, &arena, &config, problems);
	arena_done(&arena);
	return status;
}

/* The new file belongs to who runs the command; root gives it back to its owner. Others cannot, and
 * are not refused for it. */
static struct status keep_owner(struct config_edit *edit, const struct stat *before)
{
	struct stat now;
	if (lstat(edit->path, &now) < 0)
		return os_fail(&edit->fault, errno, "cannot look at", edit->path);
	if (now.st_uid == before->st_uid && now.st_gid == before->st_gid)
		return ok();
	if (lchown(edit->path, before->st_uid, before->st_gid) < 0 && errno != EPERM)
		return os_fail(&edit->fault, errno, "cannot keep the owner of", edit->path);
	return ok();
}

struct status config_edit_commit(struct config_edit *edit, struct config_problems *problems)
{
	struct stat before = {.st_mode = 0640};
	begin(edit);
	TRY(check_result(edit, problems));
	bool existed = lstat(edit->path, &before) == 0;
	TRY(file_replace(AT_FDCWD, edit->path, buf_slice(&edit->doc.text), before.st_mode & 07777,
	                 &edit->fault));
	return existed ? keep_owner(edit, &before) : ok();
}
