/* A bounded YAML document as a tree with places.
 *
 * YAML 1.1 as libyaml reads it, one document, without anchors, aliases and tags: each of those is
 * reported as a problem, so nothing can expand. Limits: CONFIG_FILE_MAX bytes, YAML_DEPTH_MAX
 * levels, YAML_NODES_MAX nodes. Nodes live in the caller's arena and point to each other; values
 * are copies.
 */
#pragma once

#include "config/problem.h"

#define YAML_DEPTH_MAX 16
#define YAML_NODES_MAX 4000000

enum yaml_kind {
	YAML_NULL, /* nothing, ~ or null, unquoted */
	YAML_SCALAR,
	YAML_LIST,
	YAML_MAP,
};

struct yaml_mark {
	uint32_t index;  /* characters (not bytes) from the start */
	uint32_t line;   /* from 1 */
	uint32_t column; /* characters, from 1 */
};

struct yaml_node {
	enum yaml_kind kind;
	bool quoted;        /* scalar in quotes or a block scalar: not a number or a truth value */
	bool is_block;      /* list or map in block style; scalar as | or > */
	uint32_t n;         /* bytes of a scalar; children of a list; entries of a map */
	struct slice value; /* of a scalar (NULL keeps its text too) */
	struct yaml_node *key;   /* of an entry of a map; NULL in lists */
	struct yaml_node *first; /* child; of a map: the value of its first entry */
	struct yaml_node *next;  /* sibling */
	struct yaml_mark start, end;
};

/* Reads a whole document. Every violation is added to problems; after a grammar error the rest of
 * the file is not read and the result is SYNTAX. LIMIT past a limit (also reported). An empty
 * document gives a YAML_NULL node. Refused things (tags, aliases, duplicate keys) are reported and
 * skipped; the result is then OK and the tree is what is left. file_name outlives problems. */
struct status yaml_read(struct slice text, const char *file_name, struct arena *arena,
                        struct config_problems *problems, struct yaml_node **ret_root);

/* The value of that key of a map; NULL when it is no map or has no such key. */
struct yaml_node *yaml_find(const struct yaml_node *map, struct slice key);

/* The same shape and values, regardless of style and comments. */
bool yaml_equal(const struct yaml_node *a, const struct yaml_node *b);

static inline struct config_place yaml_place(const char *file, const struct yaml_node *node)
{
	return (struct config_place){file, node->start.line, node->start.column};
}
