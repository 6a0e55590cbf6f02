/* YAML documents as trees, for conformance suites: a thin layer on libyaml, which reads.
 *
 *   const struct yaml_node *root = yaml_document(text, i, &arena);     document i, NULL: there is none
 *   yaml_get(root, "tests")->n, ->keys[j], ->items[j]
 *   yaml_text(root, "description")
 *
 * A key that occurs twice in a map is there twice. Everything lives in the arena. Text that is no
 * YAML, a depth above YAML_DEPTH_MAX or a full arena abort the test: its data is broken.
 */
#pragma once

#include "base/arena.h"

#define YAML_DEPTH_MAX 20

enum yaml_kind {
	YAML_TEXT,
	YAML_LIST,
	YAML_MAP,
};

struct yaml_node {
	enum yaml_kind kind;
	struct slice text;              /* of a text */
	size_t n;                       /* of a list or map */
	const struct yaml_node **items; /* values */
	struct slice *keys;             /* of a map; a key that is no text is empty */
};

const struct yaml_node *yaml_document(struct slice text, size_t number, struct arena *arena);

/* The value of the first such key; NULL when there is none, or no map. */
const struct yaml_node *yaml_get(const struct yaml_node *node, const char *key);
/* The text of that key; of a list its first text; empty for anything else. */
struct slice yaml_text(const struct yaml_node *node, const char *key);

/* A whole file; empty, and false, when it cannot be read. */
bool yaml_read_file(const char *path, struct arena *arena, struct slice *ret_text);
