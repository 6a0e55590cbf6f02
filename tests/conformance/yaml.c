/* Trees from libyaml's documents. */
#include "yaml.h"

#include <yaml.h>

#define FILE_MAX ((size_t)16 * 1024 * 1024)

static void *get_memory(struct arena *arena, size_t size)
{
	void *p = arena_alloc(arena, MAX(size, (size_t)1));
	if (!p)
		BUG("a suite does not fit into its arena");
	return p;
}

static const struct yaml_node *copy_node(yaml_document_t *document, int index, unsigned depth,
                                         struct arena *arena);

static struct slice text_of(const yaml_node_t *node, struct arena *arena)
{
	if (node->type != YAML_SCALAR_NODE)
		return slice_empty();
	return arena_copy(arena, slice_of(node->data.scalar.value, node->data.scalar.length));
}

static void copy_list(yaml_document_t *document, const yaml_node_t *from, unsigned depth,
                      struct arena *arena, struct yaml_node *to)
{
	const yaml_node_item_t *first = from->data.sequence.items.start;
	to->kind = YAML_LIST;
	to->n = (size_t)(from->data.sequence.items.top - first);
	to->items = get_memory(arena, to->n * sizeof(const struct yaml_node *));
	for (size_t i = 0; i < to->n; i++)
		to->items[i] = copy_node(document, first[i], depth, arena);
}

static void copy_map(yaml_document_t *document, const yaml_node_t *from, unsigned depth,
                     struct arena *arena, struct yaml_node *to)
{
	const yaml_node_pair_t *first = from->data.mapping.pairs.start;
	to->kind = YAML_MAP;
	to->n = (size_t)(from->data.mapping.pairs.top - first);
	to->items = get_memory(arena, to->n * sizeof(const struct yaml_node *));
	to->keys = get_memory(arena, to->n * sizeof(*to->keys));
	for (size_t i = 0; i < to->n; i++) {
		to->keys[i] = text_of(yaml_document_get_node(document, first[i].key), arena);
		to->items[i] = copy_node(document, first[i].value, depth, arena);
	}
}

static const struct yaml_node *copy_node(yaml_document_t *document, int index, unsigned depth,
                                         struct arena *arena)
{
	const yaml_node_t *from = yaml_document_get_node(document, index);
	struct yaml_node *to = get_memory(arena, sizeof(*to));
	if (depth == YAML_DEPTH_MAX)
		BUG("a suite is nested too deep");
	if (from->type == YAML_SEQUENCE_NODE)
		copy_list(document, from, depth + 1, arena, to);
	else if (from->type == YAML_MAPPING_NODE)
		copy_map(document, from, depth + 1, arena, to);
	else
		to->text = text_of(from, arena);
	return to;
}

const struct yaml_node *yaml_document(struct slice text, size_t number, struct arena *arena)
{
	yaml_parser_t parser;
	yaml_document_t document;
	const struct yaml_node *root = NULL;
	if (yaml_parser_initialize(&parser) != 1)
		BUG("libyaml cannot be used");
	yaml_parser_set_input_string(&parser, text.p, text.n);
	for (size_t i = 0; i <= number; i++) {
		if (yaml_parser_load(&parser, &document) != 1)
			BUG("a suite is no YAML");
		bool there = yaml_document_get_root_node(&document) != NULL;
		if (there && i == number)
			root = copy_node(&document, 1, 0, arena);
		yaml_document_delete(&document);
		if (!there)
			break;
	}
	yaml_parser_delete(&parser);
	return root;
}

const struct yaml_node *yaml_get(const struct yaml_node *node, const char *key)
{
	for (size_t i = 0; node && node->kind == YAML_MAP && i < node->n; i++)
		if (slice_eq_str(node->keys[i], key))
			return node->items[i];
	return NULL;
}

struct slice yaml_text(const struct yaml_node *node, const char *key)
{
	const struct yaml_node *value = yaml_get(node, key);
	if (value && value->kind == YAML_LIST && value->n > 0)
		value = value->items[0];
	return value && value->kind == YAML_TEXT ? value->text : slice_empty();
}

bool yaml_read_file(const char *path, struct arena *arena, struct slice *ret_text)
{
	FILE *file = fopen(path, "rb");
	*ret_text = slice_empty();
	if (!file)
		return false;
	uint8_t *bytes = base_alloc(FILE_MAX);
	*ret_text = arena_copy(arena, slice_of(bytes, fread(bytes, 1, FILE_MAX, file)));
	base_free(bytes);
	fclose(file);
	return true;
}
