/* The schema: every field of both files declared once. Parser, checks, `config describe`,
 * docs/config.md and the manual pages derive from this table.
 *
 * The table is in the order of documentation: a group or map comes before the fields in it. A path
 * has the names of fields joined by dots; `*` stands for a name that the user chooses.
 */
#pragma once

#include "config/config.h"

enum config_type {
	CONFIG_GROUP, /* fixed fields */
	CONFIG_MAP,   /* names chosen by the user, each with the same fields; struct config_array */
	CONFIG_TEXTS, /* list of texts; struct config_texts */
	CONFIG_IPS,   /* list of IP addresses; struct config_ips */
	CONFIG_TEXT,  /* struct config_text */
	CONFIG_BOOL,  /* bool */
	CONFIG_COUNT, /* uint32_t */
	CONFIG_PORT,  /* uint16_t */
	CONFIG_SIZE,  /* uint64_t, bytes */
	CONFIG_QUOTA, /* uint64_t, bytes, "unlimited" is CONFIG_UNLIMITED */
	CONFIG_LIMIT, /* uint64_t, a number, "unlimited" is CONFIG_UNLIMITED */
	CONFIG_DURATION, /* uint64_t, milliseconds */
	CONFIG_ENUM,     /* an enum of ours (unsigned) */
};

/* How every map is stored: struct config_listeners and its kin have this layout, and their elements
 * begin with `struct config_text name`. */
struct config_array {
	void *v;
	size_t n;
};

struct config_format {
	const char *name; /* for the documentation: "domain name" */
	struct status (*check)(struct slice s);
};

struct config_field {
	enum config_file file;
	const char *path;
	enum config_type type;
	size_t at;            /* offset in the struct of the file or of the map's element */
	const char *fallback; /* the default as it would be written; NULL: nothing */
	bool required;
	bool by_presence; /* a bool that is true when its group is written, unless it says otherwise
	                   */
	bool is_path;     /* made absolute, unless it is the word that is the default */
	uint64_t min, max;          /* of a value; of the number of entries */
	const char *const *choices; /* ENUM: names in the order of the enum, ends with NULL */
	const struct config_format *format; /* TEXT, items of TEXTS, names of a MAP */
	size_t element_size;                /* MAP */
	const char *doc;                    /* complete sentences */
	const char *example; /* a value as it would be written, NULL: the default is */
};

#define CONFIG_FIELDS_MAX 256

extern const struct config_field config_fields[];
extern const size_t config_n_fields;
extern const char *const config_file_names[CONFIG_FILE_COUNT];
extern const char *const config_file_docs[CONFIG_FILE_COUNT];

/* The last part of a path: "port" of "listeners.*.smtp.port". */
const char *config_field_key(const struct config_field *field);
/* Index of the group or map that a field is in; -1 for those at the top of a file. */
int config_field_parent(size_t field);
const struct config_field *config_field_find(const char *path);
/* What may be written: "yes or no", "a size such as …"; for documentation and errors. */
const char *config_type_text(const struct config_field *field);
