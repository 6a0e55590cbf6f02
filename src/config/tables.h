/* Private to the folder: the keyed hash tables behind the look-ups.
 *
 * A table is filled once, with at most as many entries as it was made for, and read ever after. Its
 * memory lies in an arena. Keys are texts that outlive it.
 */
#pragma once

#include "config/config.h"

struct table_entry {
	const char *s;
	uint32_t n;
	uint32_t value;
};

struct table {
	struct hash_key key;
	struct table_entry *slots; /* s == NULL: free */
	size_t n_slots;            /* a power of two, at least twice the entries */
};

/* False when the arena is spent. */
bool table_init(struct table *table, struct hash_key key, size_t n_max, struct arena *arena);
/* The entry of that key; NULL when there is none. */
const struct table_entry *table_find(const struct table *table, struct slice key);
/* Adds it, or returns the entry that has the key already (and changes nothing). */
const struct table_entry *table_add(struct table *table, struct slice key, uint32_t value);

struct config_tables {
	struct hash_key key;
	struct table accounts;  /* name: index */
	struct table domains;   /* A-labels: index */
	struct table addresses; /* canonical: ADDRESS_OF_… */
	struct table keys;      /* CONFIG_KEY_SIZE bytes: index of the account */
	bool has_unix_users;
	struct table own_names; /* the server's and listeners' names in A-labels */
};

/* Values in `addresses`. */
#define ADDRESS_OF_ACCOUNT(index) ((uint32_t)(index) << 1)
#define ADDRESS_OF_ALIAS(index)   ((uint32_t)(index) << 1 | 1)
#define ADDRESS_IS_ALIAS(value)   (((value)&1) != 0)
#define ADDRESS_INDEX(value)      ((value) >> 1)

/* Writes local@ascii of the domain; local part in canonical form. SYNTAX as for
 * config_localpart_canonical. ret has room for CONFIG_ADDRESS_MAX + 1. */
struct status config_address_key(const struct config_domain *domain, struct slice localpart,
                                 char *ret, size_t *ret_n);
/* The entry of the address, or of it without its tag. */
const struct table_entry *config_address_entry(const struct config *config,
                                               const struct config_domain *domain,
                                               struct slice localpart, bool *ret_has_tag);
