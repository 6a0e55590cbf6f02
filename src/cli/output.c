/* What commands print: sentences, tables, JSON, problems. */
#include "cli/cli.h"

#include "text/utf8.h"

#include <stdarg.h>
#include <sys/ioctl.h>
#include <unistr.h>
#include <uniwidth.h>

#define WIDTH_DEFAULT 80
#define WIDTH_MIN     40
#define WIDTH_MAX     400
#define TABLE_MAX     ((size_t)256 * 1024 * 1024) /* bytes of cells */
#define OUTPUT_MAX    ((size_t)1024 * 1024 * 1024)

unsigned cli_terminal_width(void)
{
	struct winsize size;
	uint32_t columns;
	const char *from_environment = getenv("COLUMNS");
	if (!from_environment || !slice_to_u32(slice_str(from_environment), WIDTH_MAX, &columns)) {
		if (!isatty(STDOUT_FILENO) || ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) < 0)
			return WIDTH_DEFAULT;
		columns = size.ws_col;
	}
	return MAX(MIN(columns, (uint32_t)WIDTH_MAX), (uint32_t)WIDTH_MIN);
}

void cli_put(struct buf *text)
{
	fwrite(text->p, 1, text->n, stdout);
}

void cli_put_json(json_t *object)
{
	char *text = json_dumps(object, JSON_INDENT(2) | JSON_PRESERVE_ORDER);
	puts(text ? text : "{\"ok\": false}");
	free(text);
	json_decref(object);
}

json_t *cli_problems_json(const struct config_problems *problems)
{
	json_t *list = json_array();
	for (size_t i = 0; i < problems->n; i++) {
		const struct config_problem *p = &problems->v[i];
		json_array_append_new(list,
		                      json_pack("{s:s, s:s, s:i, s:i, s:s, s:s}", "severity",
		                                p->severity == CONFIG_ERROR ? "error" : "warning",
		                                "file", p->file, "line", (int)p->line, "column",
		                                (int)p->column, "what", p->what, "mend", p->mend));
	}
	return list;
}

void cli_problems_text(const struct config_problems *problems, const char *directory,
                       struct buf *out)
{
	for (size_t i = 0; i < problems->n; i++)
		config_problem_print(&problems->v[i], directory, out);
	if (problems->n_dropped > 0)
		buf_printf(out, "and %zu more\n", problems->n_dropped);
}

int cli_fail(const struct cli *cli, const struct config_problems *problems, const char *format, ...)
{
	char what[1024];
	va_list args;
	va_start(args, format);
	vsnprintf(what, sizeof(what), format, args);
	va_end(args);
	if (cli->json) {
		json_t *object = json_pack("{s:b, s:s}", "ok", 0, "error", what);
		if (problems && problems->n > 0)
			json_object_set_new(object, "problems", cli_problems_json(problems));
		cli_put_json(object);
		return CLI_FAILED;
	}
	fprintf(stderr, "mailkeep: %s\n", what);
	if (problems) {
		struct buf text;
		buf_init(&text, OUTPUT_MAX);
		cli_problems_text(problems, cli->config_directory, &text);
		fputs(buf_cstr(&text), stderr);
		buf_done(&text);
	}
	return CLI_FAILED;
}

/* --- tables --- */

void cli_table_init(struct cli_table *table, size_t n_columns)
{
	*table = (struct cli_table){.n_columns = n_columns};
	arena_init(&table->arena, TABLE_MAX);
}

void cli_table_heads(struct cli_table *table, const char *const *heads, size_t n)
{
	cli_table_init(table, n);
	for (size_t i = 0; i < n; i++)
		cli_table_add(table, heads[i]);
}

void cli_table_done(struct cli_table *table)
{
	base_free(table->cells);
	arena_done(&table->arena);
}

void cli_table_add(struct cli_table *table, const char *cell)
{
	size_t n = table->n_cells;
	const char *copy = arena_cstr(&table->arena, slice_str(cell));
	if (!copy)
		return;
	if ((n & (n - 1)) == 0)
		table->cells = base_realloc(table->cells, MAX(n * 2, 1) * sizeof(*table->cells));
	table->cells[table->n_cells++] = copy;
}

/* Columns of the terminal that a text takes: wide and combining characters counted as shown. */
static size_t shown_width(const char *text)
{
	int width = u8_strwidth((const uint8_t *)text, "UTF-8");
	return width > 0 ? (size_t)width : 0;
}

/* As much of the text as fits, in whole characters. */
static void add_cut(const char *text, size_t room, struct buf *out)
{
	size_t used = 0;
	struct slice rest = slice_str(text);
	if (shown_width(text) <= room) {
		buf_add_str(out, text);
		return;
	}
	while (rest.n > 0) {
		ucs4_t character;
		int n = u8_mbtouc(&character, rest.p, rest.n);
		int width = uc_width(character, "UTF-8");
		used += width > 0 ? (size_t)width : 0;
		if (n <= 0 || used + 3 > room)
			break;
		buf_add(out, slice_sub(rest, 0, (size_t)n));
		rest = slice_from(rest, (size_t)n);
	}
	buf_add_str(out, "...");
}

#define COLUMNS_MAX 8

void cli_table_print(const struct cli_table *table, unsigned width, struct buf *out)
{
	size_t widths[COLUMNS_MAX] = {0};
	bool to_terminal = isatty(STDOUT_FILENO) == 1;
	ASSERT(table->n_columns <= COLUMNS_MAX);
	for (size_t i = 0; i < table->n_cells; i++) {
		size_t *column = &widths[i % table->n_columns];
		*column = MAX(*column, shown_width(table->cells[i]));
	}
	for (size_t i = 0; i < table->n_cells; i++) {
		size_t column = i % table->n_columns, used = 0;
		if (column + 1 < table->n_columns) {
			buf_add_str(out, table->cells[i]);
			size_t blanks = widths[column] - shown_width(table->cells[i]) + 2;
			buf_printf(out, "%*s", (int)blanks, "");
			continue;
		}
		for (size_t j = 0; j < column; j++)
			used += widths[j] + 2;
		/* Cut for eyes only: what a pipe gets is whole. */
		bool cut = to_terminal && used + 10 < width;
		add_cut(table->cells[i], cut ? width - used : SIZE_MAX, out);
		while (out->n > 0 && out->p[out->n - 1] == ' ')
			out->n--;
		buf_add_byte(out, '\n');
	}
}

void cli_table_show(const struct cli *cli, struct cli_table *table)
{
	struct buf text;
	buf_init(&text, SIZE_MAX);
	cli_table_print(table, cli->width, &text);
	cli_put(&text);
	buf_done(&text);
	cli_table_done(table);
}

static bool is_harmful(uint32_t codepoint)
{
	return codepoint < ' ' || (codepoint >= 0x7f && codepoint < 0xa0) ||
	       (codepoint >= 0x202a && codepoint <= 0x202e) ||
	       (codepoint >= 0x2066 && codepoint <= 0x2069);
}

void cli_text_add(struct slice text, struct buf *out)
{
	while (text.n > 0) {
		uint32_t codepoint;
		size_t n;
		bool valid = utf8_decode(text, &codepoint, &n) == UTF8_OK;
		utf8_add(out, valid && !is_harmful(codepoint) ? codepoint : UTF8_REPLACEMENT);
		text = slice_from(text, n);
	}
}

json_t *cli_text_json(struct slice text)
{
	struct buf valid;
	buf_init(&valid, SIZE_MAX);
	utf8_add_valid(&valid, text);
	json_t *json = json_stringn((const char *)valid.p, valid.n);
	buf_done(&valid);
	return json ? json : json_null();
}
