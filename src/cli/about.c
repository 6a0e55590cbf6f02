/* mailkeep serve|localserve|rooms|help|man|completion|version: commands that only hand on. */
#include "cli/cli.h"
#include "cli/serve.h"
#include "config/describe.h"

int cli_serve(struct cli *cli)
{
	return cli_serve_run(cli->config_directory);
}

/* A number from an option; `otherwise` when it was not given. */
static int number_option(const struct cli *cli, const char *name, unsigned otherwise, uint32_t most,
                         unsigned *ret)
{
	const char *text = cli_option(cli, name);
	uint32_t value = otherwise;
	if (text && !slice_to_u32(slice_str(text), most, &value))
		return cli_fail(cli, NULL, "--%s must be a number from 0 to %u, but is `%s`", name,
		                most, text);
	*ret = value;
	return 0;
}

int cli_localserve(struct cli *cli)
{
	const char *directory = cli_option(cli, "dir"), *ip = cli_option(cli, "ip");
	struct cli_localserve options = {
	        .directory = directory ? directory : CLI_LOCALSERVE_DIRECTORY,
	        .ip = ip ? ip : "127.0.0.1",
	};
	int result = number_option(cli, "port-base", 1000, 65535 - 993, &options.port_base);
	if (result == 0)
		result = number_option(cli, "accounts", 0, 100000, &options.n_accounts);
	return result ? result : cli_localserve_run(&options);
}

int cli_rooms(struct cli *cli)
{
	struct buf text;
	buf_init(&text, 10000000);
	cli_rooms_print(cli->json, &text);
	cli_put(&text);
	buf_done(&text);
	return 0;
}

int cli_version(struct cli *cli)
{
	if (cli->json)
		cli_put_json(json_pack("{s:s}", "version", MAILKEEP_VERSION));
	else
		puts("mailkeep " MAILKEEP_VERSION);
	return 0;
}

int cli_help(struct cli *cli)
{
	struct buf text;
	size_t n_path;
	const struct cli_command *command = cli_find(cli->args, cli->n_args, &n_path);
	buf_init(&text, 10000000);
	int result = 0;
	if (command && n_path == cli->n_args) {
		cli_print_help(command, cli->width, &text);
	} else if (cli->n_args == 0 || cli_is_group(cli->args, cli->n_args)) {
		cli_print_list(cli->args, cli->n_args, cli->width, &text);
	} else {
		const char *near = cli_nearest(cli->args, cli->n_args);
		result = near ? cli_fail(cli, NULL,
		                         "there is no such command; did you mean `mailkeep help "
		                         "%s`?",
		                         near)
		              : cli_fail(cli, NULL,
		                         "there is no such command; `mailkeep help` lists all");
	}
	cli_put(&text);
	buf_done(&text);
	return result;
}

int cli_man(struct cli *cli)
{
	const char *page = cli->n_args > 0 ? cli->args[0] : "mailkeep";
	struct buf text;
	buf_init(&text, 10000000);
	int result = 0;
	if (strcmp(page, "mailkeep") == 0)
		cli_print_man(&text);
	else if (strcmp(page, CONFIG_SERVER_FILE) == 0)
		config_describe_man(CONFIG_SERVER, &text);
	else if (strcmp(page, CONFIG_DOMAINS_FILE) == 0)
		config_describe_man(CONFIG_DOMAINS, &text);
	else
		result = cli_fail(cli, NULL,
		                  "there is no page `%s`: it must be mailkeep, mailkeep.yaml or "
		                  "domains.yaml",
		                  page);
	cli_put(&text);
	buf_done(&text);
	return result;
}

/* --- completion --- */

/* bash cuts words at @, : and =; the whole word is what stands behind the last blank, and what
 * comes back is only what follows bash's own cut. */
static const char bash_script[] =
        "_mailkeep() {\n"
        "\tlocal line=${COMP_LINE:0:COMP_POINT} cur candidate words\n"
        "\tread -ra words <<<\"$line\"\n"
        "\t[[ $line == *' ' ]] && words+=('')\n"
        "\tcur=${words[${#words[@]}-1]}\n"
        "\tCOMPREPLY=()\n"
        "\twhile IFS= read -r candidate; do\n"
        "\t\tCOMPREPLY+=(\"${candidate#\"${cur%\"${COMP_WORDS[COMP_CWORD]}\"}\"}\")\n"
        "\tdone < <(mailkeep completion candidates -- \"${words[@]:1}\" 2>/dev/null)\n"
        "}\n"
        "complete -o default -F _mailkeep mailkeep\n";

static const char zsh_script[] =
        "#compdef mailkeep\n"
        "_mailkeep() {\n"
        "\tlocal -a candidates\n"
        "\tcandidates=(\"${(@f)$(mailkeep completion candidates -- \"${(@)words[2,CURRENT]}\" "
        "2>/dev/null)}\")\n"
        "\tif [[ -n ${candidates[1]} ]]; then compadd -a candidates; else _files; fi\n"
        "}\n"
        "compdef _mailkeep mailkeep\n";

static const char fish_script[] = "function __mailkeep_candidates\n"
                                  "\tset -l words (commandline -opc) (commandline -ct)\n"
                                  "\tmailkeep completion candidates -- $words[2..-1] 2>/dev/null\n"
                                  "end\n"
                                  "complete -c mailkeep -a '(__mailkeep_candidates)'\n";

/* Names come from the configuration where it can be read; a broken one only means fewer names. */
static int print_candidates(struct cli *cli)
{
	struct arena arena;
	struct config *config = NULL;
	struct config_problems problems;
	struct buf text;
	arena_init(&arena, CONFIG_ARENA_MAX);
	config_problems_init(&problems);
	buf_init(&text, SIZE_MAX);
	if (!is_ok(config_load(cli->config_directory, &arena, &config, &problems)))
		config = NULL;
	cli_candidates(cli->args + 1, cli->n_args - 1, config, &text);
	cli_put(&text);
	buf_done(&text);
	config_problems_done(&problems);
	arena_done(&arena);
	return 0;
}

int cli_completion(struct cli *cli)
{
	static const struct {
		const char *shell, *script;
	} scripts[] = {{"bash", bash_script}, {"zsh", zsh_script}, {"fish", fish_script}};
	if (strcmp(cli->args[0], "candidates") == 0)
		return print_candidates(cli);
	for (size_t i = 0; i < N_ELEMENTS(scripts); i++) {
		if (strcmp(cli->args[0], scripts[i].shell) != 0)
			continue;
		fputs(scripts[i].script, stdout);
		return 0;
	}
	return cli_fail(cli, NULL, "there is no completion for `%s`: it must be bash, zsh or fish",
	                cli->args[0]);
}
