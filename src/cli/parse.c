/* From the words of the command line to a command with its arguments and options.
 *
 * Options: --name VALUE, --name=VALUE, --name; anywhere behind the command; `--` ends them. A
 * single
 * "-" is an argument. There are no short options but -h.
 */
#include "cli/cli.h"

#include "config/suggest.h"

/* How many of the words the path has, when the words begin with it; 0 when they do not. */
static size_t match_path(const char *path, const char *const *words, size_t n_words)
{
	struct slice rest = slice_str(path);
	size_t n = 0;
	while (rest.n > 0) {
		struct slice part;
		(void)slice_cut(rest, ' ', &part, &rest);
		if (n == n_words || !slice_eq_str(part, words[n]))
			return 0;
		n++;
	}
	return n;
}

const struct cli_command *cli_find(const char *const *words, size_t n_words, size_t *ret_n_words)
{
	for (size_t i = 0; i < cli_n_commands; i++) {
		size_t n = match_path(cli_commands[i].path, words, n_words);
		if (n > 0) {
			*ret_n_words = n;
			return &cli_commands[i];
		}
	}
	return NULL;
}

bool cli_is_group(const char *const *words, size_t n_words)
{
	for (size_t i = 0; i < cli_n_commands; i++) {
		struct slice first, rest;
		(void)slice_cut(slice_str(cli_commands[i].path), ' ', &first, &rest);
		if (n_words == 1 && rest.n > 0 && slice_eq_str(first, words[0]))
			return true;
	}
	return false;
}

static size_t n_parts(const char *path)
{
	size_t n = 1;
	for (; *path; path++)
		n += *path == ' ';
	return n;
}

/* Commands are compared with as many of the words as they have themselves. */
const char *cli_nearest(const char *const *words, size_t n_words)
{
	const char *best = NULL;
	unsigned best_distance = UINT32_MAX;
	for (size_t i = 0; i < cli_n_commands; i++) {
		char typed[SUGGEST_NAME_MAX * 2] = "";
		size_t n = n_parts(cli_commands[i].path);
		for (size_t j = 0, at = 0; j < MIN(n, n_words) && at < sizeof(typed); j++)
			at += (size_t)snprintf(typed + at, sizeof(typed) - at, "%s%s",
			                       j > 0 ? " " : "", words[j]);
		struct suggest near;
		suggest_init(&near, slice_str(typed));
		suggest_offer(&near, slice_str(cli_commands[i].path));
		if (near.best.n > 0 && near.best_distance < best_distance) {
			best = cli_commands[i].path;
			best_distance = near.best_distance;
		}
	}
	return best;
}

/* --- options --- */

struct found_option {
	const struct cli_option *option;
	const char **value;
};

struct parser {
	struct cli *cli;
	const char *common[CLI_COMMON_OPTIONS];
};

static bool find_option(struct parser *p, struct slice name, struct found_option *ret)
{
	const struct cli_command *command = p->cli->command;
	for (size_t i = 0; i < CLI_OPTIONS_MAX && command->options[i].name; i++)
		if (slice_eq_str(name, command->options[i].name)) {
			*ret = (struct found_option){&command->options[i], &p->cli->values[i]};
			return true;
		}
	for (size_t i = 0; i < CLI_COMMON_OPTIONS; i++)
		if (cli_accepts_common(command, i) &&
		    slice_eq_str(name, cli_common_options[i].name)) {
			*ret = (struct found_option){&cli_common_options[i], &p->common[i]};
			return true;
		}
	return false;
}

static int usage_error(const struct cli_command *command)
{
	struct buf usage;
	buf_init(&usage, 4096);
	cli_usage_line(command, &usage);
	fprintf(stderr, "usage: %s\n`mailkeep help %s` says more\n", buf_cstr(&usage),
	        command->path);
	buf_done(&usage);
	return CLI_USAGE;
}

static int unknown_option(const struct cli_command *command, struct slice name)
{
	struct suggest near;
	suggest_init(&near, name);
	for (size_t i = 0; i < CLI_OPTIONS_MAX && command->options[i].name; i++)
		suggest_offer(&near, slice_str(command->options[i].name));
	for (size_t i = 0; i < CLI_COMMON_OPTIONS; i++)
		if (cli_accepts_common(command, i))
			suggest_offer(&near, slice_str(cli_common_options[i].name));
	fprintf(stderr, "mailkeep: `%s` has no option --%.*s", command->path, SLICE_FMT(name));
	if (near.best.n > 0)
		fprintf(stderr, "; did you mean --%.*s?", SLICE_FMT(near.best));
	fputc('\n', stderr);
	return usage_error(command);
}

/* The option at words[*at]; takes the next word too when it is its value. */
static int take_option(struct parser *p, const char *const *words, size_t n_words, size_t *at)
{
	const struct cli_command *command = p->cli->command;
	struct slice name, value;
	struct found_option found;
	bool has_value = slice_cut(slice_str(words[*at] + 2), '=', &name, &value);
	if (!find_option(p, name, &found))
		return unknown_option(command, name);
	if (!found.option->value) {
		*found.value = "";
		if (!has_value)
			return 0;
		fprintf(stderr, "mailkeep: --%s takes no value\n", found.option->name);
		return usage_error(command);
	}
	if (has_value) {
		*found.value = (const char *)value.p;
		return 0;
	}
	if (*at + 1 == n_words) {
		fprintf(stderr, "mailkeep: --%s needs a value: --%s %s\n", found.option->name,
		        found.option->name, found.option->value);
		return usage_error(command);
	}
	*found.value = words[++*at];
	return 0;
}

/* The words were understood once, by take_option. */
bool cli_option_next(const struct cli *cli, const char *name, size_t *at, const char **ret_value)
{
	struct cli scratch = {.command = cli->command};
	struct parser p = {.cli = &scratch};
	while (*at < cli->n_words) {
		const char *word = cli->words[(*at)++];
		struct slice given, value;
		struct found_option found;
		if (strcmp(word, "--") == 0)
			*at = cli->n_words;
		if (strncmp(word, "--", 2) != 0)
			continue;
		bool has_value = slice_cut(slice_str(word + 2), '=', &given, &value);
		if (!find_option(&p, given, &found) || !found.option->value)
			continue;
		const char *text = has_value ? (const char *)value.p : cli->words[(*at)++];
		if (slice_eq_str(given, name)) {
			*ret_value = text;
			return true;
		}
	}
	return false;
}

/* --- arguments --- */

static int check_count(const struct cli_command *command, size_t n)
{
	size_t least = 0, most = 0;
	for (size_t i = 0; i < CLI_ARGS_MAX && command->args[i].name; i++) {
		least += !command->args[i].optional;
		most = command->args[i].many ? CLI_WORDS_MAX : most + 1;
	}
	if (n >= least && n <= most)
		return 0;
	if (n < least)
		fprintf(stderr, "mailkeep: `%s` needs %s\n", command->path, command->args[n].name);
	else
		fprintf(stderr, "mailkeep: `%s` takes %s\n", command->path,
		        most == 0 ? "no argument" : "fewer arguments");
	return usage_error(command);
}

static void take_common(struct parser *p, bool *ret_help)
{
	struct cli *cli = p->cli;
	const char *from_environment = getenv("MAILKEEP_CONFIG");
	cli->config_directory = p->common[CLI_OPTION_CONFIG];
	if (!cli->config_directory)
		cli->config_directory = from_environment && *from_environment ? from_environment
		                                                              : CLI_DEFAULT_CONFIG;
	cli->json = p->common[CLI_OPTION_JSON] != NULL;
	*ret_help = p->common[CLI_OPTION_HELP] != NULL;
}

int cli_parse(struct cli *cli, const struct cli_command *command, const char *const *words,
              size_t n_words, const char **rest, bool *ret_help)
{
	struct parser p = {.cli = cli};
	bool options_end = false;
	*cli = (struct cli){.command = command,
	                    .args = rest,
	                    .width = cli_terminal_width(),
	                    .words = words,
	                    .n_words = n_words};
	for (size_t i = 0; i < n_words; i++) {
		if (!options_end && strcmp(words[i], "--") == 0) {
			options_end = true;
		} else if (!options_end && strcmp(words[i], "-h") == 0) {
			p.common[CLI_OPTION_HELP] = "";
		} else if (!options_end && strncmp(words[i], "--", 2) == 0) {
			int failed = take_option(&p, words, n_words, &i);
			if (failed)
				return failed;
		} else if (!options_end && words[i][0] == '-' && words[i][1]) {
			return unknown_option(command, slice_str(words[i] + 1));
		} else {
			rest[cli->n_args++] = words[i];
		}
	}
	take_common(&p, ret_help);
	return *ret_help ? 0 : check_count(command, cli->n_args);
}

/* --- main --- */

static int unknown_command(const char *const *words, size_t n_words)
{
	const char *near = cli_nearest(words, n_words);
	fprintf(stderr, "mailkeep: there is no command `%s%s%s`", words[0],
	        n_words > 1 && cli_is_group(words, 1) ? " " : "",
	        n_words > 1 && cli_is_group(words, 1) ? words[1] : "");
	if (words[0][0] == '-')
		fputs("; options come behind the command", stderr);
	else if (near)
		fprintf(stderr, "; did you mean `mailkeep %s`?", near);
	fputs("\n`mailkeep help` lists all commands\n", stderr);
	return CLI_USAGE;
}

static int take_words(struct cli *cli, const struct cli_command *command, const char *const *words,
                      size_t n_words, const char **rest, bool *ret_help)
{
	if (!command->own_options)
		return cli_parse(cli, command, words, n_words, rest, ret_help);
	*cli = (struct cli){.command = command, .args = words, .n_args = n_words};
	return 0;
}

static int run_words(const char *const *words, size_t n_words, const char **rest)
{
	size_t n_path;
	struct buf text;
	struct cli cli;
	bool help = false;
	const struct cli_command *command = cli_find(words, n_words, &n_path);
	if (n_words == 2 && (strcmp(words[1], "--help") == 0 || strcmp(words[1], "-h") == 0))
		n_words = command ? n_words : 1;
	if (!command && !cli_is_group(words, n_words))
		return unknown_command(words, n_words);
	buf_init(&text, 1000000);
	int result = CLI_USAGE;
	if (!command) {
		cli_print_list(words, n_words, cli_terminal_width(), &text);
		fputs(buf_cstr(&text), stderr);
	} else {
		result = take_words(&cli, command, words + n_path, n_words - n_path, rest, &help);
		if (help) {
			cli_print_help(command, cli.width, &text);
			cli_put(&text);
		} else if (result == 0) {
			result = command->run(&cli);
		}
	}
	buf_done(&text);
	return result;
}

/* Called through a link named sendmail: all words are that command's. */
static bool is_called_sendmail(int argc, char **argv)
{
	const char *slash = argc > 0 ? strrchr(argv[0], '/') : NULL;
	return argc > 0 && strcmp(slash ? slash + 1 : argv[0], "sendmail") == 0;
}

static int run_sendmail(int argc, char **argv)
{
	struct cli cli = {.args = (const char *const *)(argv + 1), .n_args = (size_t)argc - 1};
	return cli_sendmail(&cli);
}

int cli_main(int argc, char **argv)
{
	static const char *const help[] = {"help"};
	size_t n_words = argc > 1 ? (size_t)argc - 1 : 0;
	const char *const *words = (const char *const *)(argv + 1);
	if (n_words > CLI_WORDS_MAX) {
		fputs("mailkeep: too many arguments\n", stderr);
		return CLI_USAGE;
	}
	if (is_called_sendmail(argc, argv))
		return run_sendmail(argc, argv);
	if (n_words > 0 && (strcmp(words[0], "--help") == 0 || strcmp(words[0], "-h") == 0))
		words = help;
	static const char *const version[] = {"version"};
	if (n_words > 0 && strcmp(words[0], "--version") == 0)
		words = version;
	if (words == help || words == version)
		n_words = 1;
	if (n_words == 0) {
		struct buf text;
		buf_init(&text, 1000000);
		cli_print_list(NULL, 0, cli_terminal_width(), &text);
		fputs(buf_cstr(&text), stderr);
		buf_done(&text);
		return CLI_USAGE;
	}
	const char **rest = base_alloc(n_words * sizeof(*rest));
	int result = run_words(words, n_words, rest);
	base_free(rest);
	/* A full buffer was written before, and its failure lies in the stream. */
	bool failed = fflush(stdout) != 0 || ferror(stdout);
	if (failed && result == 0) {
		fputs("mailkeep: cannot write to standard output\n", stderr);
		result = CLI_FAILED;
	}
	return result;
}
