/* Surgery on YAML text.
 *
 * Handled: block and flow maps and lists in any nesting that the schema has, empty ones,
 * indentation of any width, lists indented or not, CRLF line ends, comments anywhere. Not handled,
 * and refused by the comparison at the end: `? key` entries, entries that share a line with a `-`.
 * A comment above an entry stays when the entry goes; comments inside it and behind it go with it.
 */
#include "config/yaml_edit.h"

#include "config/config.h"

#define EDIT_MAX (CONFIG_FILE_MAX + 1024 * 1024) /* bytes of text while it is being changed */

struct status yaml_doc_init(struct yaml_doc *doc, struct slice text, const char *file,
                            struct config_problems *problems)
{
	*doc = (struct yaml_doc){.file = file};
	arena_init(&doc->arena, CONFIG_ARENA_MAX);
	buf_init(&doc->text, EDIT_MAX);
	buf_add(&doc->text, text);
	struct status status = yaml_read(text, file, &doc->arena, problems, &doc->root);
	if (!is_ok(status))
		yaml_doc_done(doc);
	return status;
}

void yaml_doc_done(struct yaml_doc *doc)
{
	buf_done(&doc->text);
	arena_done(&doc->arena);
}

struct yaml_node *yaml_doc_find(const struct yaml_doc *doc, const struct yaml_path *path)
{
	struct yaml_node *node = doc->root;
	for (size_t i = 0; node && i < path->n; i++)
		node = yaml_find(node, path->v[i]);
	return node;
}

/* --- places in the text --- */

/* Marks count characters; a byte order mark is not among them. */
static size_t offset_of(const struct yaml_doc *doc, struct yaml_mark mark)
{
	struct slice text = buf_slice(&doc->text);
	size_t at = slice_starts(text, SLICE("\xef\xbb\xbf")) ? 3 : 0;
	for (uint32_t left = mark.index; at < text.n; at++) {
		bool starts_character = (text.p[at] & 0xc0) != 0x80;
		if (starts_character && left-- == 0)
			break;
	}
	return at;
}

/* Where the line begins. */
static size_t line_start(const struct yaml_doc *doc, size_t at)
{
	while (at > 0 && doc->text.p[at - 1] != '\n')
		at--;
	return at;
}

/* Behind the end of the line. */
static size_t line_end(const struct yaml_doc *doc, size_t at)
{
	while (at < doc->text.n && doc->text.p[at] != '\n')
		at++;
	return at < doc->text.n ? at + 1 : at;
}

static const char *newline_of(const struct yaml_doc *doc)
{
	struct slice text = buf_slice(&doc->text);
	size_t at = slice_index(text, '\n');
	return at != SIZE_MAX && at > 0 && text.p[at - 1] == '\r' ? "\r\n" : "\n";
}

static struct yaml_node *last_child(const struct yaml_node *node)
{
	struct yaml_node *child = node->first;
	while (child && child->next)
		child = child->next;
	return child;
}

static bool is_collection(const struct yaml_node *node)
{
	return node->kind == YAML_MAP || node->kind == YAML_LIST;
}

/* Where the last character of a value ends. libyaml ends block collections and block scalars at the
 * next thing, past blank lines and comments. */
static size_t content_end(const struct yaml_doc *doc, const struct yaml_node *node)
{
	while (is_collection(node) && node->is_block && node->first)
		node = last_child(node);
	size_t start = offset_of(doc, node->start);
	size_t end = offset_of(doc, node->end);
	while (node->is_block && end > start && strchr(" \t\r\n", doc->text.p[end - 1]))
		end--;
	return end;
}

static size_t next_in_flow(const struct yaml_doc *doc, size_t at)
{
	struct slice text = buf_slice(&doc->text);
	while (at < text.n) {
		if (text.p[at] == '#')
			at = line_end(doc, at);
		else if (strchr(" \t\r\n", text.p[at]) && text.p[at])
			at++;
		else
			break;
	}
	return at;
}

/* --- changing --- */

static void splice(struct yaml_doc *doc, size_t at, size_t n_removed, struct slice inserted)
{
	struct buf text;
	struct slice old = buf_slice(&doc->text);
	buf_init(&text, doc->text.max);
	buf_add(&text, slice_sub(old, 0, at));
	buf_add(&text, inserted);
	buf_add(&text, slice_from(old, at + n_removed));
	buf_done(&doc->text);
	doc->text = text;
}

static void splice_str(struct yaml_doc *doc, size_t at, size_t n_removed, const char *inserted)
{
	splice(doc, at, n_removed, slice_str(inserted));
}

/* Reads the changed text and compares it with the tree as it should now be (doc->root, changed in
 * step). On a difference the text is as before; the tree is read again either way. */
static struct status settle(struct yaml_doc *doc, struct slice before)
{
	struct config_problems problems;
	struct arena arena;
	struct yaml_node *root;
	arena_init(&arena, CONFIG_ARENA_MAX);
	config_problems_init(&problems);
	struct status status =
	        buf_failed(&doc->text)
	                ? fail(ERR_LIMIT, "the file would become too large")
	                : yaml_read(buf_slice(&doc->text), doc->file, &arena, &problems, &root);
	bool as_meant = is_ok(status) && problems.n_errors == 0 && yaml_equal(root, doc->root);
	if (status.code != ERR_LIMIT && !as_meant)
		status = fail(ERR_UNSUPPORTED,
		              "the file is written in a style that cannot be changed "
		              "automatically; edit it by hand");
	if (!is_ok(status)) {
		buf_reset(&doc->text);
		buf_add(&doc->text, before);
		arena_reset(&arena);
		struct status again = yaml_read(before, doc->file, &arena, &problems, &root);
		ASSERT(is_ok(again));
	}
	config_problems_done(&problems);
	arena_done(&doc->arena);
	doc->arena = arena;
	doc->root = root;
	return status;
}

static struct slice keep_text(struct yaml_doc *doc)
{
	struct slice before = arena_copy(&doc->arena, buf_slice(&doc->text));
	ASSERT(before.n == doc->text.n);
	return before;
}

/* settle() frees the arena that the kept text lies in, so it gets a copy of its own. */
static struct status finish(struct yaml_doc *doc, struct slice before)
{
	CLEANUP(base_freep) uint8_t *copy = base_alloc(before.n);
	memcpy(copy, before.p, before.n);
	return settle(doc, slice_of(copy, before.n));
}

/* --- the tree as it should be --- */

/* A value for the tree, from its flow text. */
static struct status read_flow(struct yaml_doc *doc, struct slice flow, struct yaml_node **ret)
{
	struct config_problems problems;
	config_problems_init(&problems);
	struct status status = yaml_read(flow, doc->file, &doc->arena, &problems, ret);
	if (is_ok(status) && problems.n_errors > 0)
		status = fail(ERR_INVALID, "a value that cannot be written as YAML");
	config_problems_done(&problems);
	return status;
}

static void append_child(struct yaml_node *parent, struct yaml_node *child)
{
	struct yaml_node *last = last_child(parent);
	child->next = NULL;
	if (last)
		last->next = child;
	else
		parent->first = child;
	parent->n++;
}

static void become(struct yaml_node *node, enum yaml_kind kind)
{
	node->kind = kind;
	node->value = slice_empty();
	node->n = 0;
	node->first = NULL;
}

static void unlink_child(struct yaml_node *parent, struct yaml_node *child)
{
	struct yaml_node **at = &parent->first;
	while (*at != child)
		at = &(*at)->next;
	*at = child->next;
	parent->n--;
	if (parent->n == 0 && parent->is_block)
		become(parent, YAML_NULL);
}

/* --- adding --- */

static void add_flow(const struct yaml_new *value, struct buf *out)
{
	if (value->flow) {
		buf_add_str(out, value->flow);
		return;
	}
	buf_add_byte(out, '{');
	for (size_t i = 0; i < value->n_fields; i++)
		buf_printf(out, "%s%s: %s", i > 0 ? ", " : "", value->fields[i].key,
		           value->fields[i].flow);
	buf_add_byte(out, '}');
}

static void add_spaces(struct buf *out, size_t n)
{
	for (size_t i = 0; i < n; i++)
		buf_add_byte(out, ' ');
}

/* An entry in block style: one line, and one more for each field. */
static void add_block(const struct yaml_doc *doc, struct slice key, const struct yaml_new *value,
                      size_t indent, size_t step, struct buf *out)
{
	const char *newline = newline_of(doc);
	add_spaces(out, indent);
	yaml_quote(key, out);
	buf_add_byte(out, ':');
	if (value->flow) {
		buf_printf(out, "%s%s%s", *value->flow ? " " : "", value->flow, newline);
		return;
	}
	buf_add_str(out, newline);
	for (size_t i = 0; i < value->n_fields; i++) {
		add_spaces(out, indent + step);
		buf_printf(out, "%s: %s%s", value->fields[i].key, value->fields[i].flow, newline);
	}
}

/* How far the fields of the entries in this map, or of some section, are indented. */
static size_t step_of(const struct yaml_node *map)
{
	for (const struct yaml_node *entry = map->first; entry; entry = entry->next)
		if (entry->kind == YAML_MAP && entry->is_block && entry->first && entry->key &&
		    entry->first->key->start.column > entry->key->start.column)
			return entry->first->key->start.column - entry->key->start.column;
	return 0;
}

static size_t step_for(const struct yaml_doc *doc, const struct yaml_node *map)
{
	size_t step = map->kind == YAML_MAP ? step_of(map) : 0;
	if (step == 0 && doc->root->kind == YAML_MAP)
		step = step_of(doc->root);
	return step > 0 ? step : 2;
}

/* Whole lines behind the line of `at`. */
static void insert_lines(struct yaml_doc *doc, size_t at, struct slice lines)
{
	size_t end = line_end(doc, at);
	bool complete = end > 0 && doc->text.p[end - 1] == '\n';
	if (end > 0 && !complete) {
		splice_str(doc, end, 0, newline_of(doc));
		end = doc->text.n;
	}
	splice(doc, end, 0, lines);
}

/* Before the closing bracket of a flow collection. */
static void insert_in_flow(struct yaml_doc *doc, const struct yaml_node *node, struct slice flow)
{
	struct buf text;
	const struct yaml_node *last = last_child(node);
	buf_init(&text, EDIT_MAX);
	size_t at = last ? content_end(doc, last) : offset_of(doc, node->start) + 1;
	size_t next = next_in_flow(doc, at);
	bool has_comma = last && next < doc->text.n && doc->text.p[next] == ',';
	if (has_comma)
		at = next + 1;
	if (last)
		buf_add_str(&text, has_comma ? " " : ", ");
	buf_add(&text, flow);
	splice(doc, at, 0, buf_slice(&text));
	buf_done(&text);
}

/* Puts a flow text in the place of an entry's value. */
static void replace_value(struct yaml_doc *doc, const struct yaml_node *node, const char *flow)
{
	struct buf text;
	size_t start = offset_of(doc, node->start);
	size_t end = MAX(content_end(doc, node), start);
	buf_init(&text, EDIT_MAX);
	bool needs_blank = start > 0 && !strchr(" \t\n", doc->text.p[start - 1]);
	buf_printf(&text, "%s%s", needs_blank ? " " : "", flow);
	splice(doc, start, end - start, buf_slice(&text));
	buf_done(&text);
}

/* The value of a map's entry that is empty, or `{}` on the line of its key: taken away, so that
 * lines can follow below the key. */
static void clear_value(struct yaml_doc *doc, const struct yaml_node *node)
{
	size_t start = offset_of(doc, node->start);
	size_t end = offset_of(doc, node->end);
	while (end > start && start > 0 && doc->text.p[start - 1] == ' ')
		start--;
	splice_str(doc, start, end - start, "");
}

/* The map itself is written in block style, or would be if it had entries. */
static bool in_block(const struct yaml_doc *doc, const struct yaml_node *parent)
{
	return parent == NULL || (parent->is_block && is_collection(parent)) ||
	       (parent == doc->root && parent->kind == YAML_NULL);
}

static void add_to_map(struct yaml_doc *doc, struct yaml_node *parent, struct yaml_node *map,
                       struct slice key, const struct yaml_new *value)
{
	struct buf text;
	buf_init(&text, EDIT_MAX);
	size_t step = step_for(doc, map);
	if (map->kind == YAML_MAP && map->is_block) {
		add_block(doc, key, value, map->first->key->start.column - 1, step, &text);
		insert_lines(doc, content_end(doc, map), buf_slice(&text));
	} else if ((map->kind == YAML_NULL || map->n == 0) && in_block(doc, parent) && map->key &&
	           map->key->start.line == map->start.line) {
		add_block(doc, key, value, map->key->start.column - 1 + step_for(doc, doc->root),
		          step, &text);
		clear_value(doc, map);
		insert_lines(doc, offset_of(doc, map->key->end), buf_slice(&text));
		map->is_block = true;
	} else {
		yaml_quote(key, &text);
		buf_add_str(&text, ": ");
		add_flow(value, &text);
		if (map->kind == YAML_NULL) {
			struct buf braces;
			buf_init(&braces, EDIT_MAX);
			buf_printf(&braces, "{%s}", buf_cstr(&text));
			replace_value(doc, map, buf_cstr(&braces));
			buf_done(&braces);
		} else {
			insert_in_flow(doc, map, buf_slice(&text));
		}
	}
	buf_done(&text);
}

/* A new entry at the end of the document. */
static void add_to_root(struct yaml_doc *doc, struct slice key, const struct yaml_new *value)
{
	struct yaml_node *root = doc->root;
	if (root->kind == YAML_MAP && !root->is_block) {
		add_to_map(doc, NULL, root, key, value);
		return;
	}
	struct buf text;
	buf_init(&text, EDIT_MAX);
	bool empty = root->kind == YAML_NULL;
	if (empty && root->start.index < root->end.index)
		splice_str(doc, offset_of(doc, root->start), root->end.index - root->start.index,
		           "");
	if (!empty)
		buf_add_str(&text, newline_of(doc));
	add_block(doc, key, value, empty ? 0 : root->first->key->start.column - 1,
	          step_for(doc, root), &text);
	insert_lines(doc, doc->text.n, buf_slice(&text));
	buf_done(&text);
	root->is_block = true;
}

/* The entry as a node for the expected tree. */
static struct status new_entry(struct yaml_doc *doc, struct slice key, const struct yaml_new *value,
                               struct yaml_node **ret)
{
	struct buf text;
	struct yaml_node *map;
	buf_init(&text, EDIT_MAX);
	buf_add_byte(&text, '{');
	yaml_quote(key, &text);
	buf_add_str(&text, ": ");
	add_flow(value, &text);
	buf_add_byte(&text, '}');
	struct status status = read_flow(doc, buf_slice(&text), &map);
	buf_done(&text);
	TRY(status);
	if (map->kind != YAML_MAP || map->n != 1)
		return fail(ERR_INVALID, "a value that cannot be written as YAML");
	*ret = map->first;
	return ok();
}

/* Fields that became lines of a block, or none at all, read differently from `{}`. */
static void settle_new_entry(struct yaml_node *entry, const struct yaml_new *value, bool block)
{
	if (block && !value->flow && value->n_fields == 0)
		become(entry, YAML_NULL);
}

static struct status add_entry(struct yaml_doc *doc, const struct yaml_path *path,
                               const struct yaml_new *value)
{
	struct yaml_path up = *path;
	struct slice key = path->v[--up.n];
	struct yaml_node *map = yaml_doc_find(doc, &up);
	struct yaml_node *parent = NULL, *entry;
	if (!map)
		return fail(ERR_NOT_FOUND, "there is no such entry");
	if (is_collection(map) ? map->kind != YAML_MAP : map->kind != YAML_NULL)
		return fail(ERR_INVALID, "the value there has no fields");
	TRY(new_entry(doc, key, value, &entry));
	if (up.n > 0) {
		up.n--;
		parent = yaml_doc_find(doc, &up);
		add_to_map(doc, parent, map, key, value);
	} else {
		add_to_root(doc, key, value);
	}
	if (map->kind == YAML_NULL)
		become(map, YAML_MAP);
	settle_new_entry(entry, value, map->is_block);
	append_child(map, entry);
	return ok();
}

struct status yaml_doc_add(struct yaml_doc *doc, const struct yaml_path *path,
                           const struct yaml_new *value)
{
	struct yaml_path section = {.v = {path->v[0]}, .n = 1};
	if (yaml_doc_find(doc, path))
		return fail(ERR_EXISTS, "there is such an entry already");
	if (path->n == 2 && !yaml_doc_find(doc, &section)) {
		static const struct yaml_new nothing = {.flow = ""};
		struct slice before_section = keep_text(doc);
		TRY(add_entry(doc, &section, &nothing));
		TRY(finish(doc, before_section));
	}
	struct slice before = keep_text(doc);
	TRY(add_entry(doc, path, value));
	return finish(doc, before);
}

/* --- removing --- */

static bool only_between(const struct yaml_doc *doc, size_t from, size_t to, const char *allowed)
{
	for (size_t i = from; i < to; i++)
		if (!doc->text.p[i] || !strchr(allowed, doc->text.p[i]))
			return false;
	return true;
}

/* Comment lines directly behind that are indented deeper than the entry belong to it. */
static size_t inner_comments_end(const struct yaml_doc *doc, size_t at, size_t indent)
{
	for (;;) {
		size_t first = at;
		while (first < doc->text.n && doc->text.p[first] == ' ')
			first++;
		if (first >= doc->text.n || doc->text.p[first] != '#' || first - at <= indent)
			return at;
		at = line_end(doc, at);
	}
}

/* The whole lines from `start` (the key, or the item behind its dash) to the end of the value. */
static struct status remove_lines(struct yaml_doc *doc, size_t start, const struct yaml_node *node,
                                  const char *allowed_before)
{
	size_t first = line_start(doc, start);
	if (!only_between(doc, first, start, allowed_before))
		return fail(ERR_UNSUPPORTED, "the entry shares its line; edit the file by hand");
	size_t indent = 0;
	while (doc->text.p[first + indent] == ' ')
		indent++;
	size_t end = line_end(doc, MAX(content_end(doc, node), start));
	end = inner_comments_end(doc, end, indent);
	splice_str(doc, first, end - first, "");
	return ok();
}

/* Out of a flow collection, with one of the commas around it and, when nothing else stands there,
 * its line. */
static void remove_from_flow(struct yaml_doc *doc, const struct yaml_node *parent,
                             const struct yaml_node *node)
{
	size_t start = offset_of(doc, node->key ? node->key->start : node->start);
	size_t end = MAX(content_end(doc, node), start);
	size_t next = next_in_flow(doc, end);
	const struct yaml_node *before = parent->first == node ? NULL : parent->first;
	while (before && before->next != node)
		before = before->next;
	bool has_comma = next < doc->text.n && doc->text.p[next] == ',';
	if (has_comma)
		end = next + 1;
	size_t first = line_start(doc, start);
	size_t rest = end;
	while (rest < doc->text.n && (doc->text.p[rest] == ' ' || doc->text.p[rest] == '\t'))
		rest++;
	bool own_line = only_between(doc, first, start, " \t") &&
	                (rest >= doc->text.n || strchr("#\r\n", doc->text.p[rest]));
	if (own_line)
		splice_str(doc, first, line_end(doc, rest) - first, "");
	else
		splice_str(doc, start, (has_comma ? rest : end) - start, "");
	if (has_comma || !before)
		return;
	/* It was the last: the comma before it goes too, with blanks that then stand at the end. */
	size_t comma = next_in_flow(doc, content_end(doc, before));
	if (comma >= doc->text.n || doc->text.p[comma] != ',')
		return;
	size_t n = 1;
	while (!own_line && comma + n < doc->text.n && doc->text.p[comma + n] == ' ')
		n++;
	splice_str(doc, comma, n, "");
}

static struct status remove_child(struct yaml_doc *doc, struct yaml_node *parent,
                                  struct yaml_node *node)
{
	struct slice before = keep_text(doc);
	if (!parent->is_block) {
		remove_from_flow(doc, parent, node);
	} else {
		bool is_map = parent->kind == YAML_MAP;
		size_t start = offset_of(doc, is_map ? node->key->start : node->start);
		TRY(remove_lines(doc, start, node, is_map ? " " : " -\t"));
	}
	unlink_child(parent, node);
	return finish(doc, before);
}

struct status yaml_doc_remove(struct yaml_doc *doc, const struct yaml_path *path)
{
	struct yaml_path up = *path;
	struct yaml_node *node = yaml_doc_find(doc, path);
	if (!node || up.n-- == 0)
		return fail(ERR_NOT_FOUND, "there is no such entry");
	return remove_child(doc, yaml_doc_find(doc, &up), node);
}

/* --- scalars and lists --- */

struct status yaml_doc_set(struct yaml_doc *doc, const struct yaml_path *path, const char *flow)
{
	struct yaml_node *node = yaml_doc_find(doc, path);
	struct yaml_node *value;
	struct slice before = keep_text(doc);
	if (!node) {
		TRY(add_entry(doc, path, &(struct yaml_new){.flow = flow}));
		return finish(doc, before);
	}
	if (is_collection(node))
		return fail(ERR_INVALID, "the value there is not a single one");
	TRY(read_flow(doc, slice_str(flow), &value));
	replace_value(doc, node, flow);
	node->kind = value->kind;
	node->value = value->value;
	node->n = value->n;
	node->first = value->first;
	return finish(doc, before);
}

struct status yaml_doc_list_add(struct yaml_doc *doc, const struct yaml_path *path,
                                const char *flow)
{
	struct yaml_node *list = yaml_doc_find(doc, path);
	struct yaml_node *item;
	struct buf text;
	struct slice before = keep_text(doc);
	TRY(read_flow(doc, slice_str(flow), &item));
	buf_init(&text, EDIT_MAX);
	struct status status = ok();
	if (!list) {
		buf_printf(&text, "[%s]", flow);
		status = add_entry(doc, path, &(struct yaml_new){.flow = buf_cstr(&text)});
	} else if (list->kind == YAML_NULL) {
		buf_printf(&text, "[%s]", flow);
		replace_value(doc, list, buf_cstr(&text));
		become(list, YAML_LIST);
		append_child(list, item);
	} else if (list->kind != YAML_LIST) {
		status = fail(ERR_INVALID, "the value there is not a list");
	} else if (list->is_block) {
		add_spaces(&text, list->start.column - 1);
		buf_printf(&text, "- %s%s", flow, newline_of(doc));
		insert_lines(doc, content_end(doc, list), buf_slice(&text));
		append_child(list, item);
	} else {
		insert_in_flow(doc, list, slice_str(flow));
		append_child(list, item);
	}
	buf_done(&text);
	TRY(status);
	return finish(doc, before);
}

struct status yaml_doc_list_remove(struct yaml_doc *doc, const struct yaml_path *path,
                                   size_t number)
{
	struct yaml_node *list = yaml_doc_find(doc, path);
	struct yaml_node *item = list && list->kind == YAML_LIST ? list->first : NULL;
	while (item && number-- > 0)
		item = item->next;
	if (!item)
		return fail(ERR_NOT_FOUND, "there is no such item");
	return remove_child(doc, list, item);
}

/* --- quoting --- */

/* Words and numbers that YAML readers take for something else than text. */
static bool is_special_word(struct slice s)
{
	static const char *const words[] = {"null", "true", "false", "yes", "no",
	                                    "on",   "off",  "y",     "n",   "~"};
	for (size_t i = 0; i < N_ELEMENTS(words); i++)
		if (slice_ieq_str(s, words[i]))
			return true;
	bool number_like = s.n > 0 && (ascii_is_digit(s.p[0]) || strchr("+-.", s.p[0]));
	return number_like && slice_index(s, '@') == SIZE_MAX;
}

static bool is_plain(struct slice s)
{
	if (s.n == 0 || !(ascii_is_alnum(s.p[0]) || s.p[0] == '/') || is_special_word(s))
		return false;
	for (size_t i = 0; i < s.n; i++) {
		uint8_t c = s.p[i];
		bool blank_inside = c == ' ' && i + 1 < s.n;
		if (!ascii_is_alnum(c) && !blank_inside && !(c && strchr("@._/+-=", c)))
			return false;
	}
	return true;
}

void yaml_quote(struct slice text, struct buf *out)
{
	if (is_plain(text)) {
		buf_add(out, text);
		return;
	}
	buf_add_byte(out, '"');
	for (size_t i = 0; i < text.n; i++) {
		uint8_t c = text.p[i];
		if (c == '"' || c == '\\')
			buf_printf(out, "\\%c", c);
		else if (c < 0x20 || c == 0x7f)
			buf_printf(out, "\\x%02x", c);
		else
			buf_add_byte(out, c);
	}
	buf_add_byte(out, '"');
}
