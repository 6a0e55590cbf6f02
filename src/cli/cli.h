/* The `mailkeep` program: commands declared once, in commands.c, from which parsing, help, manual
 * page and completion derive.
 *
 * Exit status: 0 success, 1 the command failed, 2 it was not understood. Every error says what,
 * where and how to mend. With --json, output and errors are one JSON object on standard output.
 */
#pragma once

#include "config/config.h"

#include <jansson.h>

#define CLI_FAILED 1
#define CLI_USAGE  2

#define CLI_ARGS_MAX       3     /* declared per command */
#define CLI_OPTIONS_MAX    16    /* declared per command */
#define CLI_WORDS_MAX      10000 /* given */
#define CLI_DEFAULT_CONFIG "/etc/mailkeep"

/* What a word stands for, for completion. */
enum cli_kind {
	CLI_ANY,
	CLI_ACCOUNT,
	CLI_DOMAIN,
	CLI_ADDRESS,
	CLI_ALIAS,
	CLI_FIELD,
	CLI_COMMAND,
	CLI_SHELL,
	CLI_PAGE,
	CLI_DIRECTORY,
};

struct cli_arg {
	const char *name; /* "ADDRESS" */
	enum cli_kind kind;
	bool optional;
	bool many; /* the last one only */
};

struct cli_option {
	const char *name;  /* "full-name" */
	const char *value; /* "TEXT"; NULL: a flag */
	enum cli_kind kind;
	const char *help; /* a sentence without a full stop */
};

struct cli;

struct cli_command {
	const char *path;    /* "account add" */
	const char *summary; /* one line, imperative, no full stop */
	struct cli_arg args[CLI_ARGS_MAX];
	struct cli_option options[CLI_OPTIONS_MAX];
	bool takes_config; /* reads the configuration: --config is accepted */
	bool has_json;
	bool own_options;     /* takes all words as they are and reads options itself */
	const char *help;     /* paragraphs for people, separated by "\n\n" */
	const char *examples; /* lines "command  # what it does" */
	int (*run)(struct cli *cli);
};

extern const struct cli_command cli_commands[];
extern const size_t cli_n_commands;

/* Options of every command that takes them. */
enum { CLI_OPTION_CONFIG, CLI_OPTION_JSON, CLI_OPTION_HELP, CLI_COMMON_OPTIONS };
extern const struct cli_option cli_common_options[CLI_COMMON_OPTIONS];
bool cli_accepts_common(const struct cli_command *command, size_t option);

/* One invocation. */
struct cli {
	const struct cli_command *command;
	const char *config_directory;
	bool json;
	unsigned width;          /* of the terminal */
	const char *const *args; /* n_args words, within what the command declared */
	size_t n_args;
	const char *const *words; /* n_words, all behind the command's path */
	size_t n_words;
	const char *
	        values[CLI_OPTIONS_MAX]; /* by position in the command's options; NULL: not given */
};

/* The value of an option ("" for a flag), NULL when it was not given. */
const char *cli_option(const struct cli *cli, const char *name);
/* For an option that may be given several times: the value of the next one from word *at on (0 at
 * first; advanced behind it). False when there is no further one. */
bool cli_option_next(const struct cli *cli, const char *name, size_t *at, const char **ret_value);

/* Understands the words and runs the command. The whole of main(). */
int cli_main(int argc, char **argv);

/* --- parse.c --- */

/* The command that the first words name; *ret_n_words of them. NULL when there is none. */
const struct cli_command *cli_find(const char *const *words, size_t n_words, size_t *ret_n_words);
/* The nearest command path, or NULL. */
const char *cli_nearest(const char *const *words, size_t n_words);
/* Whether the words are the beginning of some command's path ("account"). */
bool cli_is_group(const char *const *words, size_t n_words);

/* Fills cli from the words behind the command's path. On failure explains itself on standard error
 * and gives CLI_USAGE. rest: room for n_words, receives the arguments, must outlive cli. *ret_help:
 * --help was given. */
int cli_parse(struct cli *cli, const struct cli_command *command, const char *const *words,
              size_t n_words, const char **rest, bool *ret_help);

/* --- help.c --- */

void cli_usage_line(const struct cli_command *command, struct buf *out);
void cli_print_help(const struct cli_command *command, unsigned width, struct buf *out);
/* The commands whose path begins with the words. */
void cli_print_list(const char *const *words, size_t n_words, unsigned width, struct buf *out);
void cli_print_man(struct buf *out); /* mailkeep(1) */
/* Candidates for the last of the words, one a line. config may be NULL. */
void cli_candidates(const char *const *words, size_t n_words, const struct config *config,
                    struct buf *out);

/* --- output.c --- */

unsigned cli_terminal_width(void);
void cli_put(struct buf *text); /* to standard output */
/* Prints the object and frees it. */
void cli_put_json(json_t *object);
/* Explains a failure (to standard error, or as JSON) and gives CLI_FAILED. problems may be NULL. */
PRINTF(3, 4)
int cli_fail(const struct cli *cli, const struct config_problems *problems, const char *format,
             ...);
json_t *cli_problems_json(const struct config_problems *problems);
void cli_problems_text(const struct config_problems *problems, const char *directory,
                       struct buf *out);

/* Text of strangers for a terminal: what is no UTF-8, control characters and those that turn the
 * direction of writing become U+FFFD. */
void cli_text_add(struct slice text, struct buf *out);
/* The same for JSON, which escapes all of that itself: only what is no UTF-8 becomes U+FFFD. */
json_t *cli_text_json(struct slice text);

/* Rows of cells, printed as columns as wide as their widest cell; the last is cut to the width. */
struct cli_table {
	struct arena arena;
	const char **cells;
	size_t n_cells;
	size_t n_columns;
};
void cli_table_init(struct cli_table *table, size_t n_columns);
void cli_table_done(struct cli_table *table);
void cli_table_add(struct cli_table *table, const char *cell);                     /* copied */
void cli_table_heads(struct cli_table *table, const char *const *heads, size_t n); /* init + add */
void cli_table_print(const struct cli_table *table, unsigned width, struct buf *out);
void cli_table_show(const struct cli *cli, struct cli_table *table); /* on standard output; done */

/* --- the commands --- */

int cli_config_test(struct cli *cli);
int cli_config_reload(struct cli *cli);
int cli_config_describe(struct cli *cli);
int cli_account_add(struct cli *cli);
int cli_account_rm(struct cli *cli);
int cli_account_list(struct cli *cli);
int cli_account_password(struct cli *cli);
int cli_account_enable(struct cli *cli);
int cli_account_disable(struct cli *cli);
int cli_account_quota(struct cli *cli);
int cli_client_key_add(struct cli *cli);
int cli_client_key_rm(struct cli *cli);
int cli_client_key_list(struct cli *cli);
int cli_domain_add(struct cli *cli);
int cli_domain_rm(struct cli *cli);
int cli_domain_list(struct cli *cli);
int cli_domain_enable(struct cli *cli);
int cli_domain_disable(struct cli *cli);
int cli_address_add(struct cli *cli);
int cli_address_rm(struct cli *cli);
int cli_address_list(struct cli *cli);
int cli_address_find(struct cli *cli);
int cli_alias_add(struct cli *cli);
int cli_alias_rm(struct cli *cli);
int cli_alias_list(struct cli *cli);
int cli_dmarc_lookup(struct cli *cli);
int cli_dmarc_parse(struct cli *cli);
int cli_dmarc_received(struct cli *cli);
int cli_dmarc_record(struct cli *cli);
int cli_dmarc_verify(struct cli *cli);
int cli_dns_lookup(struct cli *cli);
int cli_dane_record(struct cli *cli);
int cli_dane_dial(struct cli *cli);
int cli_dane_dialmx(struct cli *cli);
int cli_mtasts_lookup(struct cli *cli);
int cli_mtasts_policy(struct cli *cli);
int cli_mtasts_record(struct cli *cli);
int cli_mtasts_list(struct cli *cli);
int cli_mtasts_forget(struct cli *cli);
int cli_tlsrpt_lookup(struct cli *cli);
int cli_tlsrpt_received(struct cli *cli);
int cli_tlsrpt_record(struct cli *cli);
int cli_tlsrpt_show(struct cli *cli);
int cli_dmarc_show(struct cli *cli);
int cli_reports_send(struct cli *cli);
int cli_dnsbl_check(struct cli *cli);
int cli_dnsbl_health(struct cli *cli);
int cli_iprev(struct cli *cli);
int cli_message_explain(struct cli *cli);
int cli_queue_list(struct cli *cli);
int cli_queue_show(struct cli *cli);
int cli_queue_dump(struct cli *cli);
int cli_queue_hold(struct cli *cli);
int cli_queue_unhold(struct cli *cli);
int cli_queue_schedule(struct cli *cli);
int cli_queue_transport(struct cli *cli);
int cli_queue_requiretls(struct cli *cli);
int cli_queue_fail(struct cli *cli);
int cli_queue_drop(struct cli *cli);
int cli_queue_holdrules_list(struct cli *cli);
int cli_queue_holdrules_add(struct cli *cli);
int cli_queue_holdrules_rm(struct cli *cli);
int cli_queue_suppress_list(struct cli *cli);
int cli_queue_suppress_add(struct cli *cli);
int cli_queue_suppress_rm(struct cli *cli);
int cli_queue_retired_list(struct cli *cli);
int cli_queue_retired_show(struct cli *cli);
int cli_rooms(struct cli *cli);
int cli_sendmail(struct cli *cli);
int cli_serve(struct cli *cli);
int cli_spf_check(struct cli *cli);
int cli_spf_lookup(struct cli *cli);
int cli_spf_parse(struct cli *cli);
int cli_localserve(struct cli *cli);
int cli_version(struct cli *cli);
int cli_help(struct cli *cli);
int cli_completion(struct cli *cli);
int cli_man(struct cli *cli);
