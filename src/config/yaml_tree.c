/* YAML to a bounded tree, on libyaml's event parser (YAML 1.1).
 *
 * Not a recursive walk: open collections stand on a stack of YAML_DEPTH_MAX. Duplicate keys are
 * found with a keyed hash table per map that is only made for maps of more than a few entries. Left
 * out on purpose: anchors and aliases (they can expand without bound and surprise readers), tags,
 * several documents, keys that are not plain text.
 */
#include "config/yaml_tree.h"

#include "base/hash.h"
#include "config/config.h"

#include <sys/random.h>
#include <yaml.h>

#define SMALL_MAP 16 /* entries up to which keys are compared one by one */

struct level {
	struct yaml_node *node;
	struct yaml_node *last;        /* child added last */
	struct yaml_node *key;         /* of a map: read, its value not yet */
	struct yaml_node *key_copy_of; /* the first of the duplicates, for the message */
	uint32_t *slots;            /* of a map past SMALL_MAP: entry number + 1, open addressing */
	struct yaml_node **entries; /* by number */
	size_t n_slots;
};

struct reader {
	yaml_parser_t parser;
	const char *file;
	struct slice text;
	struct arena *arena;
	struct config_problems *problems;
	struct hash_key hash_key;
	struct level levels[YAML_DEPTH_MAX];
	size_t depth;
	size_t n_nodes;
	size_t n_documents;
	struct yaml_node *root;
};

static struct yaml_mark mark_of(yaml_mark_t mark)
{
	return (struct yaml_mark){
	        (uint32_t)mark.index,
	        (uint32_t)mark.line + 1,
	        (uint32_t)mark.column + 1,
	};
}

static struct config_place place_of(const struct reader *r, yaml_mark_t mark)
{
	struct yaml_mark m = mark_of(mark);
	return (struct config_place){r->file, m.line, m.column};
}

#define ERROR_AT(r, mark, ...)                                                                     \
	config_problem_add((r)->problems, CONFIG_ERROR, place_of((r), (mark)), __VA_ARGS__)

static struct status out_of_memory(void)
{
	return fail(ERR_LIMIT, "the configuration needs more memory than its budget");
}

static bool key_eq(const struct yaml_node *entry, struct slice key)
{
	return entry->key && slice_eq(entry->key->value, key);
}

/* The slot where `key` stands or belongs. */
static uint32_t *find_slot(const struct reader *r, const struct level *level, struct slice key)
{
	size_t at = (size_t)hash_slice(r->hash_key, key) & (level->n_slots - 1);
	while (level->slots[at] && !key_eq(level->entries[level->slots[at] - 1], key))
		at = (at + 1) & (level->n_slots - 1);
	return &level->slots[at];
}

static void index_entry(const struct reader *r, struct level *level, struct yaml_node *entry,
                        uint32_t number)
{
	level->entries[number] = entry;
	if (entry->key)
		*find_slot(r, level, entry->key->value) = number + 1;
}

/* Grows the table so that one more entry fits at a load below one half. */
static void grow_table(const struct reader *r, struct level *level)
{
	size_t n = level->node->n;
	if (n < SMALL_MAP || (level->slots && (n + 1) * 2 <= level->n_slots))
		return;
	base_free(level->slots);
	level->n_slots = level->n_slots ? level->n_slots * 4 : SMALL_MAP * 8;
	level->slots = base_alloc(level->n_slots * sizeof(*level->slots));
	level->entries = base_realloc(level->entries, level->n_slots * sizeof(*level->entries));
	uint32_t number = 0;
	for (struct yaml_node *entry = level->node->first; entry; entry = entry->next)
		index_entry(r, level, entry, number++);
}

static struct yaml_node *find_entry(const struct reader *r, const struct level *level,
                                    struct slice key)
{
	if (!level->slots)
		return yaml_find(level->node, key);
	uint32_t slot = *find_slot(r, level, key);
	return slot ? level->entries[slot - 1] : NULL;
}

static void close_level(struct level *level)
{
	base_free(level->slots);
	base_free(level->entries);
	*level = (struct level){0};
}

/* Hangs a finished key or a begun value into the open collection. */
static void attach(struct reader *r, struct yaml_node *node)
{
	if (r->depth == 0) {
		r->root = node;
		return;
	}
	struct level *level = &r->levels[r->depth - 1];
	if (level->node->kind == YAML_MAP) {
		if (level->key_copy_of) {
			/* The value of a duplicate key: read, but part of nothing. */
			level->key = level->key_copy_of = NULL;
			return;
		}
		node->key = level->key;
		level->key = NULL;
		grow_table(r, level);
		if (level->slots)
			index_entry(r, level, node, level->node->n);
	}
	if (level->last)
		level->last->next = node;
	else
		level->node->first = node;
	level->last = node;
	level->node->n++;
}

static bool expects_key(const struct reader *r)
{
	if (r->depth == 0)
		return false;
	const struct level *level = &r->levels[r->depth - 1];
	return level->node->kind == YAML_MAP && !level->key;
}

static void take_key(struct reader *r, struct yaml_node *key)
{
	struct level *level = &r->levels[r->depth - 1];
	struct yaml_node *first = find_entry(r, level, key->value);
	level->key = key;
	level->key_copy_of = first;
	if (!first)
		return;
	config_problem_add(r->problems, CONFIG_ERROR, yaml_place(r->file, key),
	                   "`%s` is already there, in line %u\nkeep one of the two",
	                   config_quote(r->problems, key->value), first->key->start.line);
}

static struct yaml_node *new_node(struct reader *r, enum yaml_kind kind, const yaml_event_t *event)
{
	if (++r->n_nodes > YAML_NODES_MAX)
		return NULL;
	struct yaml_node *node = ARENA_NEW(r->arena, struct yaml_node);
	if (!node)
		return NULL;
	node->kind = kind;
	node->value = slice_empty();
	node->start = mark_of(event->start_mark);
	node->end = mark_of(event->end_mark);
	return node;
}

static struct status too_large(struct reader *r, const yaml_event_t *event)
{
	ERROR_AT(r, event->start_mark,
	         "the file has more values than can be read (%d)\n"
	         "split off what is not needed",
	         YAML_NODES_MAX);
	return fail(ERR_LIMIT, "the configuration has too many values");
}

static void refuse_extras(struct reader *r, const yaml_event_t *event, const yaml_char_t *anchor,
                          const yaml_char_t *tag)
{
	if (anchor)
		ERROR_AT(r, event->start_mark,
		         "an anchor (&%s) is not supported here\n"
		         "remove it and write the value out where it is used",
		         config_quote(r->problems, slice_str((const char *)anchor)));
	if (tag)
		ERROR_AT(r, event->start_mark, "a tag (%s) is not supported here\nremove it",
		         config_quote(r->problems, slice_str((const char *)tag)));
}

static bool is_null_text(struct slice s)
{
	return s.n == 0 || slice_eq_str(s, "~") || slice_eq_str(s, "null") ||
	       slice_eq_str(s, "Null") || slice_eq_str(s, "NULL");
}

static struct status take_scalar(struct reader *r, const yaml_event_t *event)
{
	yaml_scalar_style_t style = event->data.scalar.style;
	struct yaml_node *node = new_node(r, YAML_SCALAR, event);
	if (!node)
		return too_large(r, event);
	refuse_extras(r, event, event->data.scalar.anchor, event->data.scalar.tag);
	struct slice value = slice_of(event->data.scalar.value, event->data.scalar.length);
	node->value = arena_copy(r->arena, value);
	node->n = (uint32_t)value.n;
	node->quoted = style != YAML_PLAIN_SCALAR_STYLE;
	node->is_block = style == YAML_LITERAL_SCALAR_STYLE || style == YAML_FOLDED_SCALAR_STYLE;
	if (!node->quoted && is_null_text(value))
		node->kind = YAML_NULL;
	if (arena_failed(r->arena))
		return out_of_memory();
	if (expects_key(r))
		take_key(r, node);
	else
		attach(r, node);
	return ok();
}

static struct status open_collection(struct reader *r, enum yaml_kind kind,
                                     const yaml_event_t *event)
{
	if (expects_key(r)) {
		ERROR_AT(r, event->start_mark,
		         "a list or map cannot be the name of a field\n"
		         "write `name: value`");
		return fail(ERR_SYNTAX, "a key is not a scalar");
	}
	if (r->depth == YAML_DEPTH_MAX) {
		ERROR_AT(r, event->start_mark,
		         "nested too deeply (more than %d levels)\n"
		         "no field of this file is that deep",
		         YAML_DEPTH_MAX);
		return fail(ERR_LIMIT, "the configuration is nested too deeply");
	}
	struct yaml_node *node = new_node(r, kind, event);
	if (!node)
		return too_large(r, event);
	if (kind == YAML_MAP) {
		refuse_extras(r, event, event->data.mapping_start.anchor,
		              event->data.mapping_start.tag);
		node->is_block = event->data.mapping_start.style == YAML_BLOCK_MAPPING_STYLE;
	} else {
		refuse_extras(r, event, event->data.sequence_start.anchor,
		              event->data.sequence_start.tag);
		node->is_block = event->data.sequence_start.style == YAML_BLOCK_SEQUENCE_STYLE;
	}
	attach(r, node);
	r->levels[r->depth++] = (struct level){.node = node};
	return ok();
}

static void close_collection(struct reader *r, const yaml_event_t *event)
{
	struct level *level = &r->levels[--r->depth];
	level->node->end = mark_of(event->end_mark);
	close_level(level);
}

static struct status take_alias(struct reader *r, const yaml_event_t *event)
{
	ERROR_AT(r, event->start_mark, "an alias (*%s) is not supported here\nwrite the value out",
	         config_quote(r->problems, slice_str((const char *)event->data.alias.anchor)));
	/* Stands for some value, so that what follows is still understood. */
	struct yaml_node *node = new_node(r, YAML_NULL, event);
	if (!node)
		return too_large(r, event);
	if (expects_key(r))
		take_key(r, node);
	else
		attach(r, node);
	return ok();
}

static struct status take_event(struct reader *r, const yaml_event_t *event)
{
	switch (event->type) {
	case YAML_SCALAR_EVENT:
		return take_scalar(r, event);
	case YAML_SEQUENCE_START_EVENT:
		return open_collection(r, YAML_LIST, event);
	case YAML_MAPPING_START_EVENT:
		return open_collection(r, YAML_MAP, event);
	case YAML_SEQUENCE_END_EVENT:
	case YAML_MAPPING_END_EVENT:
		close_collection(r, event);
		return ok();
	case YAML_ALIAS_EVENT:
		return take_alias(r, event);
	case YAML_DOCUMENT_START_EVENT:
		if (r->n_documents++ == 0)
			return ok();
		ERROR_AT(r, event->start_mark,
		         "a second document begins here\n"
		         "keep one document: remove the line `---`");
		return fail(ERR_SYNTAX, "more than one document");
	case YAML_NO_EVENT:
	case YAML_STREAM_START_EVENT:
	case YAML_STREAM_END_EVENT:
	case YAML_DOCUMENT_END_EVENT:
		break;
	}
	return ok();
}

static struct config_place place_of_byte(const struct reader *r, size_t offset)
{
	struct config_place place = {r->file, 1, 1};
	for (size_t i = 0; i < MIN(offset, r->text.n); i++) {
		bool starts_character = (r->text.p[i] & 0xc0) != 0x80;
		place.column = r->text.p[i] == '\n' ? 1 : place.column + starts_character;
		place.line += r->text.p[i] == '\n';
	}
	return place;
}

static struct status grammar_error(struct reader *r)
{
	const yaml_parser_t *p = &r->parser;
	const char *what = p->problem ? p->problem : "not readable";
	if (p->error == YAML_READER_ERROR) {
		config_problem_add(r->problems, CONFIG_ERROR, place_of_byte(r, p->problem_offset),
		                   "not valid text: %s\n"
		                   "save the file as UTF-8 without control characters",
		                   what);
	} else if (p->error == YAML_MEMORY_ERROR) {
		return out_of_memory();
	} else {
		bool is_tab =
		        strstr(what, "cannot start any token") || strstr(what, "tab character");
		ERROR_AT(r, p->problem_mark, "not valid YAML: %s%s%s\n%s", what,
		         p->context ? ", " : "", p->context ? p->context : "",
		         is_tab ? "indent with spaces, not tabs, and put text with special "
		                  "characters into \"quotes\""
		                : "check the indentation, brackets, quotes and colons up to here");
	}
	return fail(ERR_SYNTAX, "the file is not valid YAML");
}

static struct status read_events(struct reader *r)
{
	for (bool done = false; !done;) {
		yaml_event_t event;
		if (!yaml_parser_parse(&r->parser, &event))
			return grammar_error(r);
		done = event.type == YAML_STREAM_END_EVENT;
		struct status status = take_event(r, &event);
		yaml_event_delete(&event);
		TRY(status);
	}
	return ok();
}

struct status yaml_read(struct slice text, const char *file_name, struct arena *arena,
                        struct config_problems *problems, struct yaml_node **ret_root)
{
	if (text.n > CONFIG_FILE_MAX) {
		config_problem_add(problems, CONFIG_ERROR, (struct config_place){file_name, 0, 0},
		                   "the file is larger than %zu MiB\nsplit off what is not needed",
		                   CONFIG_FILE_MAX / (1024 * 1024));
		return fail(ERR_LIMIT, "a configuration file is too large");
	}
	struct reader r = {.file = file_name, .arena = arena, .problems = problems};
	if (getrandom(&r.hash_key, sizeof(r.hash_key), 0) != (ssize_t)sizeof(r.hash_key))
		return fail(ERR_IO, "no random numbers for the table of keys");
	if (!yaml_parser_initialize(&r.parser))
		return out_of_memory();
	if (slice_starts(text, SLICE("\xef\xbb\xbf")))
		text = slice_from(text, 3);
	r.text = text;
	yaml_parser_set_encoding(&r.parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&r.parser, text.p, text.n);
	struct status status = read_events(&r);
	yaml_parser_delete(&r.parser);
	while (r.depth > 0)
		close_level(&r.levels[--r.depth]);
	TRY(status);
	if (!r.root) {
		r.root = ARENA_NEW(arena, struct yaml_node);
		if (!r.root)
			return out_of_memory();
		*r.root = (struct yaml_node){
		        .value = slice_empty(),
		        .start = {0, 1, 1},
		        .end = {0, 1, 1},
		};
	}
	*ret_root = r.root;
	return ok();
}

struct yaml_node *yaml_find(const struct yaml_node *map, struct slice key)
{
	if (!map || map->kind != YAML_MAP)
		return NULL;
	for (struct yaml_node *entry = map->first; entry; entry = entry->next)
		if (key_eq(entry, key))
			return entry;
	return NULL;
}

static bool same_node(const struct yaml_node *a, const struct yaml_node *b)
{
	bool same_key = !a->key == !b->key && (!a->key || slice_eq(a->key->value, b->key->value));
	return same_key && a->kind == b->kind && a->n == b->n && slice_eq(a->value, b->value) &&
	       !a->first == !b->first && !a->next == !b->next;
}

/* Both trees in step, without recursion: the way back up stands on a stack of the depth limit. */
bool yaml_equal(const struct yaml_node *a, const struct yaml_node *b)
{
	struct {
		const struct yaml_node *a, *b;
	} up[YAML_DEPTH_MAX + 1];
	size_t depth = 0;
	bool same_values = a->kind == b->kind && a->n == b->n && slice_eq(a->value, b->value);
	if (!same_values || !a->first != !b->first)
		return false;
	for (a = a->first, b = b->first; a;) {
		if (!same_node(a, b))
			return false;
		if (a->first) {
			ASSERT(depth < N_ELEMENTS(up));
			up[depth].a = a;
			up[depth++].b = b;
			a = a->first;
			b = b->first;
			continue;
		}
		while (!a->next && depth > 0) {
			depth--;
			a = up[depth].a;
			b = up[depth].b;
		}
		a = a->next;
		b = b->next;
	}
	return true;
}
