/* YAML tree to structs, driven by the schema.
 *
 * The recursion follows the schema (four levels), never the input: a tree that is deeper or of
 * another shape than the schema is reported where it leaves it. Limits: entries per map and list
 * stand in the schema. Nothing is looked up across fields here; check.c does that.
 */
#include "config/bind.h"

#include "config/suggest.h"
#include "config/value.h"

struct binder {
	enum config_file file;
	const char *directory;
	struct arena *arena;
	struct config_problems *problems;
	int16_t first[CONFIG_FIELDS_MAX + 1]; /* child of field i at i + 1; of the file at 0 */
	int16_t next[CONFIG_FIELDS_MAX];      /* sibling; -1 ends */
};

#define ERROR_AT(b, node, ...)                                                                     \
	config_problem_add((b)->problems, CONFIG_ERROR,                                            \
	                   yaml_place(config_file_names[(b)->file], (node)), __VA_ARGS__)

static void index_schema(struct binder *b)
{
	int16_t last[CONFIG_FIELDS_MAX + 1];
	memset(b->first, -1, sizeof(b->first));
	memset(b->next, -1, sizeof(b->next));
	memset(last, -1, sizeof(last));
	for (size_t i = 0; i < config_n_fields; i++) {
		if (config_fields[i].file != b->file)
			continue;
		int parent = config_field_parent(i) + 1;
		if (last[parent] < 0)
			b->first[parent] = (int16_t)i;
		else
			b->next[last[parent]] = (int16_t)i;
		last[parent] = (int16_t)i;
	}
}

/* --- scalars --- */

static struct status bad_range(struct arena *arena, const struct config_field *field,
                               void (*print)(uint64_t value, struct buf *out))
{
	struct buf text;
	buf_init(&text, 200);
	buf_add_str(&text, "must be from ");
	print(field->min, &text);
	buf_add_str(&text, " to ");
	print(field->max, &text);
	const char *why = arena_cstr(arena, buf_slice(&text));
	buf_done(&text);
	return fail(ERR_SYNTAX, why ? why : "must be within its range");
}

static void print_number(uint64_t value, struct buf *out)
{
	buf_add_u64(out, value);
}

static struct status bind_bool(struct slice value, bool *ret)
{
	if (slice_eq_str(value, "true") || slice_eq_str(value, "false")) {
		*ret = value.p[0] == 't';
		return ok();
	}
	return fail(ERR_SYNTAX, "must be true or false, without quotes");
}

static struct status bind_number(const struct config_field *field, struct slice value,
                                 struct arena *arena, uint64_t *ret)
{
	uint64_t number;
	if (!slice_to_u64(value, UINT64_MAX, &number))
		return fail(ERR_SYNTAX, "must be a whole number, without quotes");
	if (number < field->min || number > field->max)
		return bad_range(arena, field, print_number);
	*ret = number;
	return ok();
}

static struct status bind_measure(const struct config_field *field, struct slice value,
                                  struct arena *arena, uint64_t *ret)
{
	uint64_t measure;
	if (field->type == CONFIG_QUOTA && slice_eq_str(value, "unlimited")) {
		*ret = CONFIG_UNLIMITED;
		return ok();
	}
	bool is_time = field->type == CONFIG_DURATION;
	TRY(is_time ? config_value_duration(value, &measure) : config_value_size(value, &measure));
	if (measure < field->min || measure > field->max)
		return bad_range(arena, field, is_time ? config_print_duration : config_print_size);
	*ret = measure;
	return ok();
}

static struct status bind_enum(const struct config_field *field, struct slice value,
                               struct arena *arena, unsigned *ret)
{
	struct buf text;
	buf_init(&text, 200);
	buf_add_str(&text, "must be one of:");
	for (unsigned i = 0; field->choices[i]; i++) {
		if (slice_eq_str(value, field->choices[i])) {
			*ret = i;
			buf_done(&text);
			return ok();
		}
		buf_printf(&text, "%s %s", i > 0 ? "," : "", field->choices[i]);
	}
	const char *why = arena_cstr(arena, buf_slice(&text));
	buf_done(&text);
	return fail(ERR_SYNTAX, why ? why : "must be one of a few words");
}

static struct status out_of_memory(void)
{
	return fail(ERR_LIMIT, "the configuration needs more memory than its budget");
}

static struct status bind_string(const struct config_field *field, struct slice value,
                                 struct arena *arena, struct config_text *ret)
{
	/* Every format refuses control characters, so that a text can go into any line. */
	TRY(config_check_text(value));
	if (field->format)
		TRY(field->format->check(value));
	const char *copy = arena_cstr(arena, value);
	if (!copy)
		return out_of_memory();
	*ret = (struct config_text){.s = copy, .n = (uint32_t)value.n};
	return ok();
}

struct status config_bind_text(const struct config_field *field, struct slice value,
                               struct arena *arena, void *ret)
{
	uint64_t number = 0;
	switch (field->type) {
	case CONFIG_TEXT:
		return bind_string(field, value, arena, ret);
	case CONFIG_BOOL:
		return bind_bool(value, ret);
	case CONFIG_COUNT:
		TRY(bind_number(field, value, arena, &number));
		*(uint32_t *)ret = (uint32_t)number;
		return ok();
	case CONFIG_PORT:
		TRY(bind_number(field, value, arena, &number));
		*(uint16_t *)ret = (uint16_t)number;
		return ok();
	case CONFIG_LIMIT:
		if (!slice_eq_str(value, "unlimited"))
			return bind_number(field, value, arena, ret);
		*(uint64_t *)ret = CONFIG_UNLIMITED;
		return ok();
	case CONFIG_SIZE:
	case CONFIG_QUOTA:
	case CONFIG_DURATION:
		return bind_measure(field, value, arena, ret);
	case CONFIG_ENUM:
		return bind_enum(field, value, arena, ret);
	case CONFIG_GROUP:
	case CONFIG_MAP:
	case CONFIG_TEXTS:
	case CONFIG_IPS:
		break;
	}
	BUG("not a scalar field");
}

/* --- places and messages --- */

static const char *kind_text(const struct yaml_node *node)
{
	switch (node->kind) {
	case YAML_NULL:
		return "nothing";
	case YAML_SCALAR:
		return node->quoted ? "text in quotes" : "a single value";
	case YAML_LIST:
		return "a list";
	case YAML_MAP:
		return "a section with fields";
	}
	BUG("a node has no kind");
}

static const char *example_of(const struct config_field *field)
{
	if (field->example)
		return field->example;
	return field->fallback ? field->fallback : "...";
}

static void wrong_kind(struct binder *b, const struct config_field *field,
                       const struct yaml_node *node, const char *wanted)
{
	const char *key = config_field_key(field);
	if (node->kind == YAML_NULL)
		ERROR_AT(b, node, "`%s` has no value\nwrite `%s: %s`, or remove the line", key, key,
		         example_of(field));
	else if (strcmp(wanted, "a section with fields") == 0)
		ERROR_AT(b, node,
		         "`%s` must be %s, but is %s\nwrite its fields, indented, in the lines "
		         "below `%s:`",
		         key, wanted, kind_text(node), key);
	else
		ERROR_AT(b, node, "`%s` must be %s, but is %s\nwrite `%s: %s`", key, wanted,
		         kind_text(node), key, example_of(field));
}

/* Words that people try to keep in a configuration that holds no secrets. */
static bool is_secret(struct slice key)
{
	static const char *const words[] = {"password", "passwd",    "pass",  "secret",
	                                    "token",    "api_token", "apikey"};
	for (size_t i = 0; i < N_ELEMENTS(words); i++)
		if (slice_ieq_str(key, words[i]))
			return true;
	return false;
}

/* The same name elsewhere in the schema: "limits.message_size" for a message_size at the top. */
static const struct config_field *find_elsewhere(struct slice key)
{
	if (slice_eq_str(key, "enabled") || slice_eq_str(key, "port"))
		return NULL;
	for (size_t i = 0; i < config_n_fields; i++)
		if (slice_eq_str(key, config_field_key(&config_fields[i])))
			return &config_fields[i];
	return NULL;
}

static void list_fields(const struct binder *b, int parent, struct buf *out)
{
	for (int i = b->first[parent + 1]; i >= 0; i = b->next[i])
		buf_printf(out, "%s%s", out->n > 0 ? ", " : "",
		           config_field_key(&config_fields[i]));
}

static bool is_of_transport(int parent)
{
	return parent >= 0 && strcmp(config_fields[parent].path, "transports") == 0;
}

static void unknown_field(struct binder *b, int parent, const struct yaml_node *entry)
{
	struct slice key = entry->key->value;
	if (config_problems_full(b->problems)) {
		ERROR_AT(b, entry->key, "a field that is none");
		return;
	}
	const char *quoted = config_quote(b->problems, key);
	if (is_secret(key)) {
		ERROR_AT(
		        b, entry->key, "`%s` is no field: no secret is kept in these files\n%s",
		        quoted,
		        is_of_transport(parent)
		                ? "keep it with `mailkeep secret set NAME` and write `secret: NAME`"
		                : "set passwords with `mailkeep account password ACCOUNT`");
		return;
	}
	struct suggest near;
	suggest_init(&near, key);
	for (int i = b->first[parent + 1]; i >= 0; i = b->next[i])
		suggest_offer(&near, slice_str(config_field_key(&config_fields[i])));
	const struct config_field *elsewhere = find_elsewhere(key);
	if (near.best.n > 0) {
		ERROR_AT(b, entry->key, "`%s` is no field here\ndid you mean `%.*s`?", quoted,
		         SLICE_FMT(near.best));
	} else if (elsewhere) {
		ERROR_AT(b, entry->key, "`%s` is no field here\nit belongs in %s, as %s", quoted,
		         config_file_names[elsewhere->file], elsewhere->path);
	} else {
		struct buf names;
		buf_init(&names, 1000);
		list_fields(b, parent, &names);
		ERROR_AT(b, entry->key, "`%s` is no field here\nthe fields here are: %s", quoted,
		         buf_cstr(&names));
		buf_done(&names);
	}
}

/* --- the tree --- */

static struct status bind_children(struct binder *b, int parent, const struct yaml_node *node,
                                   void *base);

static void set_place(struct config_text *text, const struct yaml_node *node)
{
	text->line = node->start.line;
	text->column = node->start.column;
}

/* Relative paths are relative to the config directory; a word that is the default is no path. */
static void make_absolute(struct binder *b, const struct config_field *field,
                          struct config_text *text)
{
	bool is_word = field->fallback && strcmp(text->s, field->fallback) == 0;
	if (!field->is_path || is_word || text->s[0] == '/' || text->n == 0)
		return;
	/* The directory has no links in it, so leading "." and ".." parts are taken off here. */
	struct slice directory = slice_str(b->directory), rest = slice_str(text->s);
	while (slice_starts(rest, SLICE("./")))
		rest = slice_from(rest, 2);
	while (slice_starts(rest, SLICE("../")) && directory.n > 1) {
		rest = slice_from(rest, 3);
		directory = slice_sub(directory, 0, slice_rindex(directory, '/'));
	}
	const char *path =
	        arena_printf(b->arena, "%.*s/%.*s", SLICE_FMT(directory), SLICE_FMT(rest));
	if (!path)
		return;
	text->s = path;
	text->n = (uint32_t)strlen(path);
}

static struct status bind_default(const struct config_field *field, struct arena *arena, void *at)
{
	if (field->type == CONFIG_TEXT && !field->fallback) {
		*(struct config_text *)at = (struct config_text){.s = ""};
		return ok();
	}
	if (!field->fallback)
		return ok();
	return config_bind_text(field, slice_str(field->fallback), arena, at);
}

static struct status bind_scalar(struct binder *b, const struct config_field *field,
                                 const struct yaml_node *node, void *at)
{
	bool is_typed = field->type == CONFIG_BOOL || field->type == CONFIG_COUNT ||
	                field->type == CONFIG_PORT;
	TRY(bind_default(field, b->arena, at));
	if (node->kind != YAML_SCALAR || (is_typed && node->quoted)) {
		wrong_kind(b, field, node,
		           field->type == CONFIG_TEXT ? "text" : config_type_text(field));
		return ok();
	}
	struct status status = config_bind_text(field, node->value, b->arena, at);
	if (status.code == ERR_LIMIT)
		return status;
	if (!is_ok(status)) {
		ERROR_AT(b, node, "`%s: %s` %s\nwrite for example `%s: %s`",
		         config_field_key(field), config_quote(b->problems, node->value),
		         status.why, config_field_key(field), example_of(field));
		return ok();
	}
	if (field->type == CONFIG_TEXT) {
		set_place(at, node);
		make_absolute(b, field, at);
	}
	return ok();
}

static bool count_is_right(struct binder *b, const struct config_field *field,
                           const struct yaml_node *node)
{
	size_t n = node->kind == YAML_NULL ? 0 : node->n;
	if (n < field->min)
		ERROR_AT(b, node, "`%s` is empty\nwrite at least %" PRIu64 ", for example `%s: %s`",
		         config_field_key(field), field->min, config_field_key(field),
		         field->example ? field->example : "...");
	if (n > field->max)
		ERROR_AT(b, node, "`%s` has %zu entries, more than %" PRIu64 "\nremove some",
		         config_field_key(field), n, field->max);
	return n >= field->min && n <= field->max;
}

static struct status bind_item(struct binder *b, const struct config_field *field,
                               const struct yaml_node *node, struct config_texts *ret)
{
	if (node->kind != YAML_SCALAR) {
		ERROR_AT(b, node, "an entry of `%s` must be text, but is %s\nwrite `%s: %s`",
		         config_field_key(field), kind_text(node), config_field_key(field),
		         example_of(field));
		return ok();
	}
	struct config_text *text = &ret->v[ret->n];
	struct status status = bind_string(field, node->value, b->arena, text);
	if (status.code == ERR_LIMIT)
		return status;
	if (!is_ok(status)) {
		ERROR_AT(b, node, "`%s` %s\nmend the entry or remove it",
		         config_quote(b->problems, node->value), status.why);
		return ok();
	}
	set_place(text, node);
	make_absolute(b, field, text);
	ret->n++;
	return ok();
}

static struct status bind_ip(struct binder *b, const struct yaml_node *node, struct config_ips *ret)
{
	struct config_ip *ip = &ret->v[ret->n];
	if (node->kind != YAML_SCALAR || !config_parse_ip(node->value, ip->bytes, &ip->is_v6)) {
		ERROR_AT(b, node,
		         "`%s` is no IP address\nwrite for example 192.0.2.1, \"2001:db8::1\", "
		         "or 0.0.0.0 and \"::\" for all",
		         config_quote(b->problems, node->value));
		return ok();
	}
	ip->text.s = arena_cstr(b->arena, node->value);
	if (!ip->text.s)
		return out_of_memory();
	ip->text.n = (uint32_t)node->value.n;
	set_place(&ip->text, node);
	ret->n++;
	return ok();
}

static struct status bind_list(struct binder *b, const struct config_field *field,
                               const struct yaml_node *node, void *at)
{
	if (node->kind != YAML_LIST && node->kind != YAML_NULL) {
		wrong_kind(b, field, node, "a list");
		return ok();
	}
	if (!count_is_right(b, field, node) || node->kind == YAML_NULL)
		return ok();
	bool is_ip = field->type == CONFIG_IPS;
	struct config_array *array = at;
	array->v = arena_array(b->arena, node->n,
	                       is_ip ? sizeof(struct config_ip) : sizeof(struct config_text));
	if (!array->v)
		return out_of_memory();
	for (const struct yaml_node *item = node->first; item; item = item->next)
		TRY(is_ip ? bind_ip(b, item, at) : bind_item(b, field, item, at));
	return ok();
}

static struct status bind_element(struct binder *b, int index, const struct yaml_node *entry,
                                  void *element)
{
	const struct config_field *field = &config_fields[index];
	struct slice name = entry->key->value;
	struct status status = bind_string(field, name, b->arena, element);
	if (status.code == ERR_LIMIT)
		return status;
	if (!is_ok(status)) {
		ERROR_AT(b, entry->key, "`%s` %s\nrename it", config_quote(b->problems, name),
		         status.why);
		*(struct config_text *)element = (struct config_text){.s = ""};
	}
	set_place(element, entry->key);
	return bind_children(b, index, entry, element);
}

static struct status bind_map(struct binder *b, int index, const struct yaml_node *node, void *at)
{
	const struct config_field *field = &config_fields[index];
	struct config_array *array = at;
	if (node->kind != YAML_MAP && node->kind != YAML_NULL) {
		ERROR_AT(b, node,
		         "`%s` must be a section of names, but is %s\nwrite `NAME:` in an "
		         "indented line below it, and the fields of NAME below that",
		         config_field_key(field), kind_text(node));
		return ok();
	}
	if (!count_is_right(b, field, node) || node->kind == YAML_NULL)
		return ok();
	array->v = arena_array(b->arena, node->n, field->element_size);
	if (!array->v)
		return out_of_memory();
	uint8_t *element = array->v;
	for (const struct yaml_node *entry = node->first; entry; entry = entry->next) {
		TRY(bind_element(b, index, entry, element));
		element += field->element_size;
		array->n++;
	}
	return ok();
}

static struct status bind_field(struct binder *b, int index, const struct yaml_node *node,
                                void *base)
{
	const struct config_field *field = &config_fields[index];
	void *at = (uint8_t *)base + field->at;
	switch (field->type) {
	case CONFIG_GROUP:
		return bind_children(b, index, node, base);
	case CONFIG_MAP:
		return bind_map(b, index, node, at);
	case CONFIG_TEXTS:
	case CONFIG_IPS:
		return bind_list(b, field, node, at);
	case CONFIG_TEXT:
	case CONFIG_BOOL:
	case CONFIG_COUNT:
	case CONFIG_PORT:
	case CONFIG_SIZE:
	case CONFIG_QUOTA:
	case CONFIG_LIMIT:
	case CONFIG_DURATION:
	case CONFIG_ENUM:
		return bind_scalar(b, field, node, at);
	}
	BUG("a field has no type");
}

static void missing_field(struct binder *b, const struct config_field *field,
                          const struct yaml_node *group)
{
	const struct yaml_node *at = group->key ? group->key : group;
	const char *key = config_field_key(field);
	if (field->type == CONFIG_MAP)
		ERROR_AT(b, at, "`%s` is missing\nadd it; see `mailkeep config describe %s`", key,
		         key);
	else
		ERROR_AT(b, at, "`%s` is missing\nadd for example `%s: %s`", key, key,
		         example_of(field));
}

/* What was not written: the default, or a complaint. `group` is NULL when its section is absent. */
static struct status bind_absent(struct binder *b, int index, const struct yaml_node *group,
                                 void *base)
{
	const struct config_field *field = &config_fields[index];
	void *at = (uint8_t *)base + field->at;
	if (field->required && group)
		missing_field(b, field, group);
	if (field->type == CONFIG_GROUP)
		return bind_children(b, index, NULL, base);
	if (field->type == CONFIG_BOOL && field->by_presence && group) {
		*(bool *)at = true;
		return ok();
	}
	return bind_default(field, b->arena, at);
}

/* Absent counts as one. False, reported, when the node is no section. */
static bool is_section(struct binder *b, int parent, const struct yaml_node *node)
{
	if (!node || node->kind == YAML_MAP || node->kind == YAML_NULL)
		return true;
	if (parent >= 0 && config_fields[parent].type == CONFIG_GROUP)
		wrong_kind(b, &config_fields[parent], node, "a section with fields");
	else
		ERROR_AT(b, node, "%s stands where fields are expected\nwrite `name: value` lines",
		         kind_text(node));
	return false;
}

static struct status bind_children(struct binder *b, int parent, const struct yaml_node *node,
                                   void *base)
{
	uint64_t seen[(CONFIG_FIELDS_MAX + 63) / 64] = {0};
	const struct yaml_node *section = is_section(b, parent, node) ? node : NULL;
	const struct yaml_node *entry =
	        section && section->kind == YAML_MAP ? section->first : NULL;
	for (; entry; entry = entry->next) {
		int i = b->first[parent + 1];
		while (i >= 0 &&
		       !slice_eq_str(entry->key->value, config_field_key(&config_fields[i])))
			i = b->next[i];
		if (i < 0) {
			unknown_field(b, parent, entry);
			continue;
		}
		seen[i / 64] |= UINT64_C(1) << (i % 64);
		TRY(bind_field(b, i, entry, base));
	}
	for (int i = b->first[parent + 1]; i >= 0; i = b->next[i])
		if (!(seen[i / 64] >> (i % 64) & 1))
			TRY(bind_absent(b, i, section, base));
	return arena_failed(b->arena) ? out_of_memory() : ok();
}

struct status config_bind(enum config_file file, const struct yaml_node *root,
                          const char *directory, struct arena *arena,
                          struct config_problems *problems, struct config *config)
{
	struct binder b = {
	        .file = file,
	        .directory = directory,
	        .arena = arena,
	        .problems = problems,
	};
	index_schema(&b);
	return bind_children(&b, -1, root, config);
}
