/* Changes to domains.yaml that keep its comments and formatting.
 *
 *	TRY(config_edit_open(directory, &edit, problems));
 *	status = config_edit_address_add(edit, "me", "new@example.org");
 *	if (is_ok(status))
 *		status = config_edit_commit(edit, problems);
 *	config_edit_free(edit);
 *
 * From open to free the configuration is locked against other editors. Nothing reaches the disk
 * before commit, which checks the whole result first and then replaces the file atomically, with
 * its mode and owner. A configuration that is invalid now cannot be edited: open reports its
 * errors.
 *
 * Errors of the changes: EXISTS, NOT_FOUND, SYNTAX (a value that its field refuses; `why` begins
 * with "must"), INVALID, UNSUPPORTED (the file is written in a way that only a person can change).
 */
#pragma once

#include "config/config.h"

#define CONFIG_EDIT_LOCK_MS 5000 /* how long open waits for another editor */

struct config_edit;

/* BUSY when another editor does not finish; INVALID with problems. */
struct status config_edit_open(const char *directory, struct config_edit **ret_edit,
                               struct config_problems *problems);
void config_edit_free(struct config_edit *edit); /* accepts NULL */

/* The configuration as it was at open; lives as long as the edit. */
const struct config *config_edit_config(const struct config_edit *edit);
/* The text of domains.yaml as changed so far. */
struct slice config_edit_text(const struct config_edit *edit);

/* `value` is text as a user gives it ("10 GiB", "true", a name), not YAML. */
struct config_edit_field {
	const char *name; /* of a field of the schema, "full_name" */
	const char *value;
};

struct status config_edit_domain_add(struct config_edit *edit, const char *name,
                                     const struct config_edit_field *fields, size_t n_fields);
struct status config_edit_domain_remove(struct config_edit *edit, const char *name);
/* value NULL: back to the default. */
struct status config_edit_domain_set(struct config_edit *edit, const char *name, const char *field,
                                     const char *value);

/* DKIM keys, by selector. NOT_FOUND for the domain, or for the selector. */
struct status config_edit_dkim_add(struct config_edit *edit, const char *domain,
                                   const char *selector, bool sign);
struct status config_edit_dkim_remove(struct config_edit *edit, const char *domain,
                                      const char *selector);
struct status config_edit_dkim_sign(struct config_edit *edit, const char *domain,
                                    const char *selector, bool sign);

struct status config_edit_account_add(struct config_edit *edit, const char *name,
                                      const char *const *addresses, size_t n_addresses,
                                      const struct config_edit_field *fields, size_t n_fields);
struct status config_edit_account_remove(struct config_edit *edit, const char *name);
struct status config_edit_account_set(struct config_edit *edit, const char *name, const char *field,
                                      const char *value);

/* address: "local@domain", or "@domain" for the catchall. */
struct status config_edit_address_add(struct config_edit *edit, const char *account,
                                      const char *address);
struct status config_edit_address_remove(struct config_edit *edit, const char *address);

/* Public keys of TLS client certificates (config_parse_key); however they are written. */
struct status config_edit_client_key_add(struct config_edit *edit, const char *account,
                                         const char *key);
struct status config_edit_client_key_remove(struct config_edit *edit, const char *account,
                                            const char *key);

struct status config_edit_alias_add(struct config_edit *edit, const char *address,
                                    const char *const *members, size_t n_members);
struct status config_edit_alias_remove(struct config_edit *edit, const char *address);
struct status config_edit_member_add(struct config_edit *edit, const char *alias,
                                     const char *member);
struct status config_edit_member_remove(struct config_edit *edit, const char *alias,
                                        const char *member);

/* INVALID when the result would not be valid: problems says why, with lines of the changed text,
 * and the file stays as it is. After OK the change is on stable storage. */
struct status config_edit_commit(struct config_edit *edit, struct config_problems *problems);

/* Why the last change or commit failed, in words for a person; "" when the status says it all. */
const char *config_edit_why(const struct config_edit *edit);
