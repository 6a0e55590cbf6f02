/* Changes to the text of a YAML document that leave comments and formatting of the rest alone.
 *
 * A change is made where libyaml's marks say the value stands. Afterwards the text is read again
 * and compared with the tree as it should be; when they differ, because the text is written in a
 * style that is not understood here, the change is undone and the result is UNSUPPORTED.
 */
#pragma once

#include "config/yaml_tree.h"

struct yaml_doc {
	struct buf text;
	const char *file; /* name for problems */
	struct arena arena;
	struct yaml_node *root;
};

/* Reads the text (copied). Errors as yaml_read; then there is nothing to free. */
struct status yaml_doc_init(struct yaml_doc *doc, struct slice text, const char *file,
                            struct config_problems *problems);
void yaml_doc_done(struct yaml_doc *doc);

#define YAML_PATH_MAX 5

/* Keys from the root down. */
struct yaml_path {
	struct slice v[YAML_PATH_MAX];
	size_t n;
};

/* A new value: either one text in flow style ("[a, b]", "true", "\"x\""), or fields with such
 * texts, which become indented lines where the surroundings are in block style. */
struct yaml_pair {
	const char *key; /* plain */
	const char *flow;
};
struct yaml_new {
	const char *flow; /* NULL: the fields count */
	const struct yaml_pair *fields;
	size_t n_fields;
};

struct yaml_node *yaml_doc_find(const struct yaml_doc *doc, const struct yaml_path *path);

/* Puts an entry at the end of the map that the path without its last key leads to; a section at the
 * top that is missing is made. EXISTS when the key is there, NOT_FOUND when the map is not. */
struct status yaml_doc_add(struct yaml_doc *doc, const struct yaml_path *path,
                           const struct yaml_new *value);
/* Takes the entry away. */
struct status yaml_doc_remove(struct yaml_doc *doc, const struct yaml_path *path);
/* Replaces a scalar or nothing ("key:"), or adds the entry when it is missing. flow: see struct
 * yaml_new. */
struct status yaml_doc_set(struct yaml_doc *doc, const struct yaml_path *path, const char *flow);
/* Puts a scalar at the end of the list; a missing or empty list is made. */
struct status yaml_doc_list_add(struct yaml_doc *doc, const struct yaml_path *path,
                                const char *flow);
/* Takes away the item with this number (from 0). */
struct status yaml_doc_list_remove(struct yaml_doc *doc, const struct yaml_path *path,
                                   size_t number);

/* A text as a YAML scalar that is read as that text in block and flow style. */
void yaml_quote(struct slice text, struct buf *out);
