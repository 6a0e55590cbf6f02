/* Documentation generated from the schema. Every sentence about a field comes from its row there.
 */
#include "config/describe.h"

#include "base/prose.h"
#include "config/suggest.h"
#include "config/value.h"

/* --- pieces --- */

/* One part of a path: "*" in the schema stands for any name. */
static bool same_part(struct slice pattern, struct slice part)
{
	return slice_eq_str(pattern, "*") || slice_eq(pattern, part);
}

bool config_field_is_below(const struct config_field *field, struct slice path)
{
	struct slice pattern = slice_str(field->path);
	while (path.n > 0) {
		struct slice pattern_part, part;
		if (pattern.n == 0)
			return false;
		(void)slice_cut(pattern, '.', &pattern_part, &pattern);
		(void)slice_cut(path, '.', &part, &path);
		if (!same_part(pattern_part, part))
			return false;
	}
	return true;
}

const char *config_default_text(const struct config_field *field)
{
	if (field->by_presence)
		return "true where the section is written";
	if (!field->fallback)
		return "none";
	return *field->fallback ? field->fallback : "\"\"";
}

void config_range_text(const struct config_field *field, struct buf *out)
{
	switch (field->type) {
	case CONFIG_COUNT:
	case CONFIG_LIMIT:
	case CONFIG_PORT:
		buf_printf(out, "from %" PRIu64 " to %" PRIu64, field->min, field->max);
		return;
	case CONFIG_SIZE:
	case CONFIG_QUOTA:
		buf_add_str(out, "from ");
		config_print_size(field->min, out);
		buf_add_str(out, " to ");
		config_print_size(field->max, out);
		return;
	case CONFIG_DURATION:
		buf_add_str(out, "from ");
		config_print_duration(field->min, out);
		buf_add_str(out, " to ");
		config_print_duration(field->max, out);
		return;
	case CONFIG_ENUM:
		for (size_t i = 0; field->choices[i]; i++)
			buf_printf(out, "%s%s", i > 0 ? ", " : "", field->choices[i]);
		return;
	case CONFIG_MAP:
	case CONFIG_TEXTS:
	case CONFIG_IPS:
		buf_printf(out, "at most %" PRIu64 " entries", field->max);
		return;
	case CONFIG_GROUP:
	case CONFIG_TEXT:
	case CONFIG_BOOL:
		return;
	}
}

static bool has_value(const struct config_field *field)
{
	return field->type != CONFIG_GROUP && field->type != CONFIG_MAP;
}

static void add_default(const struct config_field *field, const char *quote, struct buf *out)
{
	if (field->required)
		buf_add_str(out, "Must be written.");
	else
		buf_printf(out, "Default: %s%s%s.", field->fallback ? quote : "",
		           config_default_text(field), field->fallback ? quote : "");
}

/* "list of address", "one of: never, loopback", "number from 1 to 3". */
static void type_and_range(const struct config_field *field, struct buf *out)
{
	if (field->type == CONFIG_MAP)
		buf_printf(out, "sections named by you (%s), ", field->format->name);
	else if (field->type == CONFIG_TEXTS)
		buf_printf(out, "list of: %s, ", field->format->name);
	else
		buf_add_str(out, config_type_text(field));
	if (field->type == CONFIG_ENUM)
		buf_add_str(out, ": ");
	else if (field->type == CONFIG_IPS)
		buf_add_str(out, ", ");
	else if (field->max > 0 && field->type != CONFIG_MAP && field->type != CONFIG_TEXTS)
		buf_add_byte(out, ' ');
	config_range_text(field, out);
}

/* --- terminal --- */

static void describe_one(const struct config_field *field, unsigned width, struct buf *out)
{
	struct buf line;
	buf_init(&line, 4000);
	buf_printf(out, "%s\n", field->path);
	prose_wrap(slice_str(field->doc), 4, width, out);
	if (has_value(field)) {
		buf_add_str(&line, "Value: ");
		type_and_range(field, &line);
		buf_add_str(&line, ". ");
		add_default(field, "", &line);
		if (field->example)
			buf_printf(&line, " Example: %s: %s", config_field_key(field),
			           field->example);
		prose_wrap(buf_slice(&line), 4, width, out);
	}
	buf_done(&line);
}

static const char *nearest_field(struct slice path)
{
	struct suggest near;
	suggest_init(&near, path);
	for (size_t i = 0; i < config_n_fields; i++) {
		const char *key = config_field_key(&config_fields[i]);
		suggest_offer(&near, slice_str(config_fields[i].path));
		if (slice_eq_str(path, key))
			return config_fields[i].path;
	}
	return near.best.n > 0 ? (const char *)near.best.p : NULL;
}

struct status config_describe_text(const char *path, unsigned width, struct buf *out,
                                   const char **ret_near)
{
	struct slice wanted = slice_str(path);
	size_t n_found = 0;
	int file = -1;
	for (size_t i = 0; i < config_n_fields; i++) {
		if (!config_field_is_below(&config_fields[i], wanted))
			continue;
		if (wanted.n == 0 && (int)config_fields[i].file != file) {
			file = (int)config_fields[i].file;
			buf_printf(out, "%s%s\n", n_found > 0 ? "\n" : "", config_file_names[file]);
			prose_wrap(slice_str(config_file_docs[file]), 4, width, out);
		}
		if (n_found++ > 0 || wanted.n == 0)
			buf_add_byte(out, '\n');
		describe_one(&config_fields[i], width, out);
	}
	if (n_found > 0)
		return ok();
	if (ret_near)
		*ret_near = nearest_field(wanted);
	return fail(ERR_NOT_FOUND, "there is no such field");
}

/* --- docs/config.md --- */

static const char *const markdown_head =
        "# Configuration\n"
        "\n"
        "<!-- Made by `mailkeep config describe --markdown`. Edit src/config/schema.c instead. "
        "-->\n"
        "\n"
        "mailkeep is configured by two YAML files in one directory: `/etc/mailkeep`, or the one "
        "named by\n"
        "`--config DIR` or the environment variable `MAILKEEP_CONFIG`. `mailkeep config test` "
        "reports\n"
        "every error in them with its line and how to mend it. Neither file holds a secret, so "
        "both can\n"
        "be kept in git: passwords, keys and tokens live in the vault.\n"
        "\n"
        "Of YAML, anchors, aliases and tags are not supported. A size is written like `100 MiB` "
        "or\n"
        "`2 GB`, a time like `250ms`, `60s`, `5m`, `1h` or `7d`. In the names below, `*` stands "
        "for a\n"
        "name that you choose.\n";

static const char *const server_example = "hostname: mail.example.org\n"
                                          "postmaster: ada\n"
                                          "listeners:\n"
                                          "  public:\n"
                                          "    addresses: [0.0.0.0, \"::\"]\n"
                                          "    tls:\n"
                                          "      certificate: /etc/mailkeep/tls/fullchain.pem\n"
                                          "      key: /etc/mailkeep/tls/privkey.pem\n"
                                          "    smtp: {}\n"
                                          "    submissions: {}\n"
                                          "    imaps: {}\n";

static const char *const domains_example = "domains:\n"
                                           "  example.org:\n"
                                           "  example.net:\n"
                                           "    catchall: ada\n"
                                           "accounts:\n"
                                           "  ada:\n"
                                           "    full_name: Ada Lovelace\n"
                                           "    addresses: [ada@example.org, ada@example.net]\n"
                                           "    quota: 10 GiB\n"
                                           "  charles:\n"
                                           "    addresses: [charles@example.org]\n"
                                           "aliases:\n"
                                           "  team@example.org:\n"
                                           "    members: [ada@example.org, charles@example.org]\n";

static const char *example_of(enum config_file file)
{
	return file == CONFIG_SERVER ? server_example : domains_example;
}

static void markdown_field(const struct config_field *field, struct buf *out)
{
	if (!has_value(field)) {
		buf_printf(out, "\n### `%s`\n\n%s\n", field->path, field->doc);
		return;
	}
	buf_printf(out, "- **`%s`** — %s  \n  ", field->path, field->doc);
	struct buf type;
	buf_init(&type, 1000);
	type_and_range(field, &type);
	buf_printf(out, "Value: %s. ", buf_cstr(&type));
	add_default(field, "`", out);
	buf_done(&type);
	if (field->example)
		buf_printf(out, " Example: `%s: %s`", config_field_key(field), field->example);
	buf_add_byte(out, '\n');
}

void config_describe_markdown(struct buf *out)
{
	buf_add_str(out, markdown_head);
	for (unsigned file = 0; file < CONFIG_FILE_COUNT; file++) {
		buf_printf(out, "\n## %s\n\n%s\n\n```yaml\n%s```\n\n", config_file_names[file],
		           config_file_docs[file], example_of(file));
		bool after_section = false;
		for (size_t i = 0; i < config_n_fields; i++) {
			const struct config_field *field = &config_fields[i];
			if (field->file != file)
				continue;
			if (has_value(field) && after_section)
				buf_add_byte(out, '\n');
			markdown_field(field, out);
			after_section = !has_value(field);
		}
	}
}

/* --- man(7) --- */

static void man_field(const struct config_field *field, struct buf *out)
{
	struct buf line;
	buf_init(&line, 4000);
	buf_add_str(out, ".TP\n.B ");
	prose_roff(field->path, out);
	buf_add_byte(out, '\n');
	prose_roff(field->doc, out);
	if (has_value(field)) {
		buf_add_str(&line, "\nValue: ");
		type_and_range(field, &line);
		buf_add_str(&line, ". ");
		add_default(field, "", &line);
		if (field->example)
			buf_printf(&line, " Example: %s: %s", config_field_key(field),
			           field->example);
		prose_roff(buf_cstr(&line), out);
	}
	buf_add_byte(out, '\n');
	buf_done(&line);
}

void config_describe_man(enum config_file file, struct buf *out)
{
	buf_printf(out, ".TH %s 5 \"\" mailkeep \"File formats\"\n.SH NAME\n%s \\- ",
	           file == CONFIG_SERVER ? "MAILKEEP.YAML" : "DOMAINS.YAML",
	           config_file_names[file]);
	buf_add_str(out, file == CONFIG_SERVER ? "server\\-wide configuration of mailkeep\n"
	                                       : "domains, accounts and aliases of mailkeep\n");
	buf_add_str(out, ".SH DESCRIPTION\n");
	prose_roff(config_file_docs[file], out);
	buf_add_str(
	        out,
	        "\nThe file is YAML without anchors, aliases and tags, of at most 16 MiB. A size "
	        "is "
	        "written like 100 MiB or 2 GB, a time like 250ms, 60s, 5m, 1h or 7d. In the names "
	        "below, * stands for a name that you choose. No secret is kept here.\n"
	        ".PP\n.B mailkeep config test\nreports every error with its line and how to mend "
	        "it.\n.SH FIELDS\n");
	for (size_t i = 0; i < config_n_fields; i++)
		if (config_fields[i].file == file)
			man_field(&config_fields[i], out);
	buf_add_str(out, ".SH EXAMPLE\n.nf\n");
	prose_roff(example_of(file), out);
	buf_printf(out, ".fi\n.SH SEE ALSO\n.BR mailkeep (1),\n.BR %s (5)\n",
	           config_file_names[file == CONFIG_SERVER ? CONFIG_DOMAINS : CONFIG_SERVER]);
}
