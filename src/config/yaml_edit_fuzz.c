/* Changes of any text: the first bytes say which, the rest is a YAML document. A change either says
 * OK, and then is found in the text and can be undone to the same tree, or leaves every byte as it
 * was. */
#include "config/yaml_edit.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define TEXT_MAX ((size_t)256 * 1024)

/* A path to some node that is there: each byte picks a child. The keys outlive the tree. */
static size_t pick_path(const struct yaml_doc *doc, const uint8_t *bytes, struct arena *keys,
                        struct yaml_path *path)
{
	const struct yaml_node *node = doc->root;
	path->n = 0;
	for (size_t i = 0; i < 2 && node->kind == YAML_MAP && node->n > 0; i++) {
		node = node->first;
		for (unsigned skip = bytes[i] % 8; skip > 0 && node->next; skip--)
			node = node->next;
		path->v[path->n++] = arena_copy(keys, node->key->value);
	}
	return path->n;
}

static struct status change(struct yaml_doc *doc, uint8_t op, struct yaml_path *path)
{
	static const struct yaml_pair fields[] = {{"a", "x"}, {"b", "[\"@y\", z]"}};
	static const struct yaml_new values[] = {{.flow = "v"},
	                                         {.fields = fields, .n_fields = 2},
	                                         {.n_fields = 0, .fields = fields}};
	switch (op % 7) {
	case 0:
	case 1:
	case 2:
		path->v[path->n++] = SLICE("new one");
		return yaml_doc_add(doc, path, &values[op % 7]);
	case 3:
		return yaml_doc_remove(doc, path);
	case 4:
		return yaml_doc_set(doc, path, "\"changed\"");
	case 5:
		return yaml_doc_list_add(doc, path, "\"item\"");
	default:
		return yaml_doc_list_remove(doc, path, op / 7);
	}
}

/* What was added can be taken away again, and then nothing has changed. */
static void check_undo(struct yaml_doc *doc, const struct yaml_path *path, struct slice before,
                       struct config_problems *problems)
{
	struct yaml_doc old;
	ASSERT(yaml_doc_find(doc, path));
	struct status status = yaml_doc_remove(doc, path);
	if (!is_ok(status))
		return;
	ASSERT(is_ok(yaml_doc_init(&old, before, "old", problems)));
	/* An empty section may have been made or have changed from {} to nothing. */
	struct yaml_path up = *path;
	up.n--;
	const struct yaml_node *parent = yaml_doc_find(&old, &up);
	if (parent && parent->kind == YAML_MAP && parent->n > 0)
		ASSERT(yaml_equal(old.root, doc->root));
	yaml_doc_done(&old);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct config_problems problems;
	struct yaml_doc doc;
	struct yaml_path path;
	struct arena keys;
	if (size < 3 || size > TEXT_MAX)
		return 0;
	struct slice text = slice_of(data + 3, size - 3);
	config_problems_init(&problems);
	arena_init(&keys, TEXT_MAX * 2);
	/* A document with errors is never edited. */
	struct status status = yaml_doc_init(&doc, text, "fuzz", &problems);
	if (is_ok(status) && problems.n_errors == 0 &&
	    pick_path(&doc, data + 1, &keys, &path) > 0) {
		bool adds = data[0] % 7 <= 2;
		status = change(&doc, data[0], &path);
		if (!is_ok(status) && path.n != 2)
			ASSERT(slice_eq(buf_slice(&doc.text), text));
		else if (is_ok(status) && adds)
			check_undo(&doc, &path, text, &problems);
	}
	if (is_ok(status) || doc.text.p)
		yaml_doc_done(&doc);
	arena_done(&keys);
	config_problems_done(&problems);
	return 0;
}
