/* Help, the manual page and completion, from the table of commands. */
#include "cli/cli.h"

#include "base/prose.h"
#include "config/schema.h"

static void add_args(const struct cli_command *command, struct buf *out)
{
	for (size_t i = 0; i < CLI_ARGS_MAX && command->args[i].name; i++) {
		const struct cli_arg *arg = &command->args[i];
		buf_printf(out, arg->optional ? " [%s%s]" : " %s%s", arg->name,
		           arg->many ? "..." : "");
	}
}

void cli_usage_line(const struct cli_command *command, struct buf *out)
{
	buf_printf(out, "mailkeep %s", command->path);
	add_args(command, out);
	for (size_t i = 0; i < CLI_OPTIONS_MAX && command->options[i].name; i++) {
		const struct cli_option *option = &command->options[i];
		buf_printf(out, " [--%s%s%s]", option->name, option->value ? " " : "",
		           option->value ? option->value : "");
	}
	if (command->takes_config)
		buf_add_str(out, " [--config DIR]");
	if (command->has_json)
		buf_add_str(out, " [--json]");
}

static void add_option(const struct cli_option *option, unsigned width, struct buf *out)
{
	buf_printf(out, "  --%s%s%s\n", option->name, option->value ? " " : "",
	           option->value ? option->value : "");
	prose_wrap(slice_str(option->help), 6, width, out);
}

static void add_paragraphs(const char *text, unsigned indent, unsigned width, struct buf *out)
{
	struct slice rest = slice_str(text);
	while (rest.n > 0) {
		size_t end = slice_find(rest, SLICE("\n\n"));
		buf_add_byte(out, '\n');
		prose_wrap(slice_sub(rest, 0, end), indent, width, out);
		rest = end == SIZE_MAX ? slice_empty() : slice_from(rest, end + 2);
	}
}

static void add_lines(const char *text, const char *before, struct buf *out)
{
	struct slice rest = slice_str(text);
	while (rest.n > 0) {
		struct slice line;
		(void)slice_cut(rest, '\n', &line, &rest);
		buf_printf(out, "%s%.*s\n", before, SLICE_FMT(line));
	}
}

void cli_print_help(const struct cli_command *command, unsigned width, struct buf *out)
{
	buf_printf(out, "%s.\n\nUsage: ", command->summary);
	cli_usage_line(command, out);
	buf_add_byte(out, '\n');
	if (command->help)
		add_paragraphs(command->help, 0, width, out);
	buf_add_str(out, "\nOptions:\n");
	for (size_t i = 0; i < CLI_OPTIONS_MAX && command->options[i].name; i++)
		add_option(&command->options[i], width, out);
	for (size_t i = 0; i < CLI_COMMON_OPTIONS; i++)
		if (cli_accepts_common(command, i))
			add_option(&cli_common_options[i], width, out);
	if (command->examples) {
		buf_add_str(out, "\nExamples:\n");
		add_lines(command->examples, "  ", out);
	}
}

/* Whether the command's path begins with these words. */
static bool is_below(const char *path, const char *const *words, size_t n_words)
{
	struct slice rest = slice_str(path);
	for (size_t i = 0; i < n_words; i++) {
		struct slice part;
		(void)slice_cut(rest, ' ', &part, &rest);
		if (!slice_eq_str(part, words[i]))
			return false;
	}
	return true;
}

void cli_print_list(const char *const *words, size_t n_words, unsigned width, struct buf *out)
{
	struct cli_table table = {0};
	const char *group = "";
	buf_add_str(out, n_words == 0
	                         ? "mailkeep: a mail server for your own domains\n\nCommands:\n"
	                         : "Commands:\n");
	cli_table_init(&table, 2);
	for (size_t i = 0; i < cli_n_commands; i++) {
		struct buf name;
		if (!is_below(cli_commands[i].path, words, n_words))
			continue;
		buf_init(&name, 1000);
		buf_printf(&name, "  %s", cli_commands[i].path);
		add_args(&cli_commands[i], &name);
		cli_table_add(&table, buf_cstr(&name));
		cli_table_add(&table, cli_commands[i].summary);
		buf_done(&name);
		group = cli_commands[i].path;
	}
	cli_table_print(&table, width, out);
	cli_table_done(&table);
	buf_printf(out, "\n`mailkeep help %s` explains one of them.\n",
	           n_words ? group : "COMMAND");
}

/* --- mailkeep(1) --- */

static void man_option(const struct cli_option *option, struct buf *out)
{
	buf_add_str(out, ".IP \"\\fB");
	prose_roff("--", out);
	prose_roff(option->name, out);
	buf_printf(out, "\\fR%s%s\" 4\n", option->value ? " " : "",
	           option->value ? option->value : "");
	prose_roff(option->help, out);
	buf_add_str(out, ".\n");
}

static void man_command(const struct cli_command *command, struct buf *out)
{
	struct buf usage;
	buf_init(&usage, 4096);
	cli_usage_line(command, &usage);
	buf_add_str(out, ".SS \"");
	prose_roff(buf_cstr(&usage), out);
	buf_add_str(out, "\"\n");
	buf_done(&usage);
	prose_roff(command->summary, out);
	buf_add_str(out, ".\n");
	if (command->help) {
		buf_add_str(out, ".PP\n");
		struct slice rest = slice_str(command->help);
		while (rest.n > 0) {
			size_t end = slice_find(rest, SLICE("\n\n"));
			char *paragraph = slice_to_cstr(slice_sub(rest, 0, end));
			prose_roff(paragraph, out);
			base_free(paragraph);
			rest = end == SIZE_MAX ? slice_empty() : slice_from(rest, end + 2);
			buf_add_str(out, rest.n > 0 ? "\n.PP\n" : "\n");
		}
	}
	for (size_t i = 0; i < CLI_OPTIONS_MAX && command->options[i].name; i++)
		man_option(&command->options[i], out);
	if (command->examples) {
		buf_add_str(out, ".PP\n.nf\n.RS 4\n");
		prose_roff(command->examples, out);
		buf_add_str(out, "\n.RE\n.fi\n");
	}
}

void cli_print_man(struct buf *out)
{
	buf_add_str(
	        out,
	        ".TH MAILKEEP 1 \"\" mailkeep \"User commands\"\n"
	        ".SH NAME\nmailkeep \\- a mail server for your own domains\n"
	        ".SH SYNOPSIS\n.B mailkeep\n.I COMMAND\n.RI [ ARGUMENT ...]\n.RI [ OPTION ...]\n"
	        ".SH DESCRIPTION\nmailkeep receives, stores and serves mail. It is configured by "
	        "two files; commands that change them keep their comments, and a running server "
	        "takes the changes over at once. Options come behind the command; \\-\\- ends "
	        "them.\n.SH COMMANDS\n");
	for (size_t i = 0; i < cli_n_commands; i++)
		man_command(&cli_commands[i], out);
	buf_add_str(out, ".SH COMMON OPTIONS\nEach command takes those that its usage shows, and "
	                 "\\-\\-help.\n");
	for (size_t i = 0; i < CLI_COMMON_OPTIONS; i++)
		man_option(&cli_common_options[i], out);
	buf_add_str(
	        out,
	        ".SH EXIT STATUS\n0 for success, 1 when the command failed, 2 when it was not "
	        "understood.\n"
	        ".SH FILES\n.I /etc/mailkeep/mailkeep.yaml\n.br\n.I /etc/mailkeep/domains.yaml\n"
	        ".SH SEE ALSO\n.BR mailkeep.yaml (5),\n.BR domains.yaml (5)\n");
}

/* --- completion --- */

static void offer(const char *candidate, const char *typed, struct buf *out)
{
	if (strncmp(candidate, typed, strlen(typed)) == 0)
		buf_printf(out, "%s\n", candidate);
}

/* The next word of every path that the words before lead to. */
static bool offer_commands(const char *const *words, size_t n_words, const char *typed,
                           struct buf *out)
{
	char last[64] = "";
	bool found = false;
	for (size_t i = 0; i < cli_n_commands; i++) {
		struct slice rest = slice_str(cli_commands[i].path), part = slice_empty();
		if (!is_below(cli_commands[i].path, words, n_words))
			continue;
		for (size_t j = 0; j <= n_words; j++)
			(void)slice_cut(rest, ' ', &part, &rest);
		if (part.n == 0 || part.n >= sizeof(last))
			continue;
		found = true;
		if (slice_eq_str(part, last))
			continue;
		memcpy(last, part.p, part.n);
		last[part.n] = 0;
		offer(last, typed, out);
	}
	return found;
}

static void offer_addresses(const struct config *config, const char *typed, bool aliases,
                            struct buf *out)
{
	for (size_t i = 0; !aliases && i < config->accounts.n; i++)
		for (size_t j = 0; j < config->accounts.v[i].addresses.n; j++)
			offer(config->accounts.v[i].addresses.v[j].s, typed, out);
	for (size_t i = 0; i < config->aliases.n; i++)
		offer(config->aliases.v[i].name.s, typed, out);
}

static void offer_names(const struct config *config, enum cli_kind kind, const char *typed,
                        struct buf *out)
{
	if (!config)
		return;
	if (kind == CLI_ACCOUNT)
		for (size_t i = 0; i < config->accounts.n; i++)
			offer(config->accounts.v[i].name.s, typed, out);
	else if (kind == CLI_DOMAIN)
		for (size_t i = 0; i < config->domains.n; i++)
			offer(config->domains.v[i].name.s, typed, out);
	else
		offer_addresses(config, typed, kind == CLI_ALIAS, out);
}

static void offer_kind(const struct config *config, enum cli_kind kind, const char *typed,
                       struct buf *out)
{
	switch (kind) {
	case CLI_ANY:
	case CLI_DIRECTORY:
		return;
	case CLI_ACCOUNT:
	case CLI_DOMAIN:
	case CLI_ADDRESS:
	case CLI_ALIAS:
		offer_names(config, kind, typed, out);
		return;
	case CLI_FIELD:
		for (size_t i = 0; i < config_n_fields; i++)
			offer(config_fields[i].path, typed, out);
		return;
	case CLI_COMMAND:
		(void)offer_commands(NULL, 0, typed, out);
		return;
	case CLI_SHELL:
		offer("bash", typed, out);
		offer("fish", typed, out);
		offer("zsh", typed, out);
		return;
	case CLI_PAGE:
		offer("mailkeep", typed, out);
		offer("mailkeep.yaml", typed, out);
		offer("domains.yaml", typed, out);
		return;
	}
}

static void offer_options(const struct cli_command *command, const char *typed, struct buf *out)
{
	char name[64];
	for (size_t i = 0; i < CLI_OPTIONS_MAX && command->options[i].name; i++) {
		snprintf(name, sizeof(name), "--%s", command->options[i].name);
		offer(name, typed, out);
	}
	for (size_t i = 0; i < CLI_COMMON_OPTIONS; i++) {
		snprintf(name, sizeof(name), "--%s", cli_common_options[i].name);
		if (cli_accepts_common(command, i))
			offer(name, typed, out);
	}
}

/* The option whose value the word behind `word` would be. */
static const struct cli_option *option_before(const struct cli_command *command, const char *word)
{
	if (strncmp(word, "--", 2) != 0)
		return NULL;
	for (size_t i = 0; i < CLI_OPTIONS_MAX && command->options[i].name; i++)
		if (command->options[i].value && strcmp(command->options[i].name, word + 2) == 0)
			return &command->options[i];
	bool is_config = command->takes_config && strcmp(word, "--config") == 0;
	return is_config ? &cli_common_options[CLI_OPTION_CONFIG] : NULL;
}

static const struct cli_arg *arg_at(const struct cli_command *command, size_t number)
{
	const struct cli_arg *arg = NULL;
	for (size_t i = 0; i < CLI_ARGS_MAX && command->args[i].name; i++) {
		arg = &command->args[i];
		if (i == number || arg->many)
			return arg;
	}
	return NULL;
}

void cli_candidates(const char *const *words, size_t n_words, const struct config *config,
                    struct buf *out)
{
	if (n_words == 0)
		return;
	const char *typed = words[--n_words];
	size_t n_path, n_args = 0;
	const struct cli_command *command = cli_find(words, n_words, &n_path);
	if (!command) {
		(void)offer_commands(words, n_words, typed, out);
		return;
	}
	const struct cli_option *option =
	        n_words > n_path ? option_before(command, words[n_words - 1]) : NULL;
	if (option) {
		offer_kind(config, option->kind, typed, out);
		return;
	}
	if (typed[0] == '-') {
		offer_options(command, typed, out);
		return;
	}
	for (size_t i = n_path; i < n_words; i++) {
		if (option_before(command, words[i]))
			i++;
		else if (words[i][0] != '-')
			n_args++;
	}
	if (strcmp(command->path, "help") == 0) {
		(void)offer_commands(words + n_path, n_words - n_path, typed, out);
		return;
	}
	const struct cli_arg *arg = arg_at(command, n_args);
	if (arg)
		offer_kind(config, arg->kind, typed, out);
}
