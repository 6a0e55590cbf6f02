/* The table of commands, the parser, completion, tables, and the client of the control socket. */
#include "cli/change.h"
#include "cli/cli.h"
#include "cli/control.h"

#include "os/fd.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cmocka.h>

static void the_table_is_complete(void **state)
{
	(void)state;
	for (size_t i = 0; i < cli_n_commands; i++) {
		const struct cli_command *c = &cli_commands[i];
		size_t n = strlen(c->summary);
		assert_non_null(c->run);
		assert_non_null(c->examples);
		assert_true(n > 5 && n < 70 && c->summary[n - 1] != '.');
		for (size_t j = 0; j < CLI_ARGS_MAX && c->args[j].name; j++) {
			bool last = j + 1 == CLI_ARGS_MAX || !c->args[j + 1].name;
			assert_true(last || !c->args[j].many);
			assert_true(last || !c->args[j].optional || c->args[j + 1].optional);
		}
		for (size_t j = 0; j < i; j++)
			assert_string_not_equal(c->path, cli_commands[j].path);
		/* An example is a call of this very command (or pipes into one). */
		char begin[100];
		snprintf(begin, sizeof(begin), "mailkeep %s", c->path);
		assert_non_null(strstr(c->examples, begin));
	}
}

static void no_command_hides_another(void **state)
{
	(void)state;
	for (size_t i = 0; i < cli_n_commands; i++) {
		const char *words[4];
		char path[100];
		size_t n = 0, n_path;
		snprintf(path, sizeof(path), "%s", cli_commands[i].path);
		for (char *word = path; word; n++) {
			words[n] = word;
			word = strchr(word, ' ');
			if (word)
				*word++ = 0;
		}
		assert_ptr_equal(cli_find(words, n, &n_path), &cli_commands[i]);
		assert_int_equal(n_path, n);
	}
}

struct parse_case {
	const char *words[8];
	int result;
	size_t n_args;
	const char *full_name; /* of account add */
	bool json, help;
};

static const struct parse_case parse_cases[] = {
        {{"ada"}, 0, 1, NULL, false, false},
        {{"ada", "a@b", "c@d"}, 0, 3, NULL, false, false},
        {{"ada", "--full-name", "A B", "--json"}, 0, 1, "A B", true, false},
        {{"--full-name=A=B", "ada"}, 0, 1, "A=B", false, false},
        {{"--full-name=", "ada"}, 0, 1, "", false, false},
        {{"--full-name", "--json", "ada"}, 0, 1, "--json", false, false},
        {{"ada", "--", "--json", "-x"}, 0, 3, NULL, false, false},
        {{"ada", "-"}, 0, 2, NULL, false, false},
        {{"--help"}, 0, 0, NULL, false, true},
        {{"-h", "--json"}, 0, 0, NULL, true, true},
        {{NULL}, CLI_USAGE, 0, NULL, false, false},
        {{"--json"}, CLI_USAGE, 0, NULL, false, false},
        {{"ada", "--jsn"}, CLI_USAGE, 0, NULL, false, false},
        {{"ada", "--json=1"}, CLI_USAGE, 0, NULL, false, false},
        {{"ada", "--full-name"}, CLI_USAGE, 0, NULL, false, false},
        {{"ada", "-x"}, CLI_USAGE, 0, NULL, false, false},
        {{"ada", "--markdown"}, CLI_USAGE, 0, NULL, false, false},
        {{"ada", "---"}, CLI_USAGE, 0, NULL, false, false},
};

static void words_are_parsed(void **state)
{
	(void)state;
	static const char *const path[] = {"account", "add"};
	size_t n_path;
	const struct cli_command *command = cli_find(path, 2, &n_path);
	for (size_t i = 0; i < N_ELEMENTS(parse_cases); i++) {
		const struct parse_case *c = &parse_cases[i];
		const char *rest[8];
		struct cli cli;
		size_t n = 0;
		bool help = false;
		while (n < 8 && c->words[n])
			n++;
		assert_int_equal(cli_parse(&cli, command, c->words, n, rest, &help), c->result);
		if (c->result)
			continue;
		const char *full_name = cli_option(&cli, "full-name");
		assert_int_equal(cli.n_args, c->n_args);
		assert_int_equal(help, c->help);
		assert_int_equal(cli.json, c->json);
		assert_true(!full_name == !c->full_name);
		if (full_name)
			assert_string_equal(full_name, c->full_name);
	}
}

static void options_may_come_several_times(void **state)
{
	static const char *const path[] = {"account", "add"};
	static const char *const words[] = {"--full-name",
	                                    "--json",
	                                    "ada",
	                                    "--json",
	                                    "-",
	                                    "--full-name=",
	                                    "--full-name=B=C",
	                                    "--config",
	                                    "--full-name",
	                                    "--",
	                                    "--full-name",
	                                    "D"};
	static const char *const expected[] = {"--json", "", "B=C"};
	const char *rest[N_ELEMENTS(words)], *value;
	struct cli cli;
	size_t n_path, at = 0;
	bool help;
	(void)state;
	assert_int_equal(
	        cli_parse(&cli, cli_find(path, 2, &n_path), words, N_ELEMENTS(words), rest, &help),
	        0);
	for (size_t i = 0; i < N_ELEMENTS(expected); i++) {
		assert_true(cli_option_next(&cli, "full-name", &at, &value));
		assert_string_equal(value, expected[i]);
	}
	assert_false(cli_option_next(&cli, "full-name", &at, &value));
	at = 0;
	assert_false(cli_option_next(&cli, "quota", &at, &value));
}

static void options_that_a_command_lacks_are_refused(void **state)
{
	(void)state;
	static const char *const words[] = {"--config", "/x"};
	const char *const path[] = {"rooms"};
	const char *rest[2];
	struct cli cli;
	bool help;
	size_t n_path;
	const struct cli_command *rooms = cli_find(path, 1, &n_path);
	assert_int_equal(cli_parse(&cli, rooms, words, 2, rest, &help), CLI_USAGE);
	const char *const extra[] = {"x"};
	assert_int_equal(cli_parse(&cli, rooms, extra, 1, rest, &help), CLI_USAGE);
}

static void the_nearest_command_is_found(void **state)
{
	(void)state;
	static const struct {
		const char *words[3];
		const char *near;
	} cases[] = {
	        {{"acount", "add"}, "account add"},
	        {{"account", "ad"}, "account add"},
	        {{"accuont", "list"}, "account list"},
	        {{"sevre"}, "serve"},
	        {{"localsrve", "--dir"}, "localserve"},
	        {{"config", "tset"}, "config test"},
	        {{"hlep"}, "help"},
	        {{"zzzzzz"}, NULL},
	        {{"x"}, NULL},
	        {{""}, NULL},
	};
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		size_t n = 0;
		while (n < 3 && cases[i].words[n])
			n++;
		const char *near = cli_nearest(cases[i].words, n);
		assert_true(!near == !cases[i].near);
		if (near)
			assert_string_equal(near, cases[i].near);
	}
	char huge[5000];
	memset(huge, 'a', sizeof(huge) - 1);
	huge[sizeof(huge) - 1] = 0;
	const char *const words[] = {huge, huge};
	assert_null(cli_nearest(words, 2));
}

static const struct config *test_config(struct arena *arena)
{
	struct config_sources sources = {.directory = "/x",
	                                 .text = {SLICE("hostname: h.example\nlisteners: {a: "
	                                                "{addresses: [\"::\"], imap: }}\n"),
	                                          SLICE("domains: {e.org: , f.org: }\naccounts: "
	                                                "{ada: {addresses: [ada@e.org]}, bob: "
	                                                "{addresses: [bob@e.org]}}\naliases: "
	                                                "{team@e.org: {members: [ada@e.org]}}\n")}};
	struct config_problems problems;
	struct config *config = NULL;
	config_problems_init(&problems);
	assert_true(is_ok(config_parse(&sources, arena, &config, &problems)));
	config_problems_done(&problems);
	return config;
}

static void completion_offers_what_may_follow(void **state)
{
	(void)state;
	static const struct {
		const char *words[6];
		const char *offered;
	} cases[] = {
	        {{"acc"}, "account\n"},
	        {{"account", "p"}, "password\n"},
	        {{"account", "q"}, "quota\n"},
	        {{"account", "nothing", ""}, ""},
	        {{"account", "rm", ""}, "ada\nbob\n"},
	        {{"account", "rm", "b"}, "bob\n"},
	        {{"account", "rm", "ada", ""}, ""},
	        {{"account", "rm", "--config", "/y", "a"}, "ada\n"},
	        {{"account", "rm", "--config", ""}, ""},
	        {{"account", "add", "--f"}, "--full-name\n"},
	        {{"domain", "add", "x.org", "--catchall", ""}, "ada\nbob\n"},
	        {{"domain", "rm", ""}, "e.org\nf.org\n"},
	        {{"address", "add", "ada", "b"}, "bob@e.org\n"},
	        {{"alias", "rm", ""}, "team@e.org\n"},
	        {{"alias", "rm", "team@e.org", "ad"}, "ada@e.org\n"},
	        {{"config", "describe", "limits.me"},
	         "limits.message_size\nlimits.messages_per_minute\nlimits.messages_per_minute.per_"
	         "ip\n"
	         "limits.messages_per_minute.per_subnet\nlimits.messages_per_minute.per_network\n"
	         "limits.messages_per_day\nlimits.messages_per_day.per_ip\n"
	         "limits.messages_per_day.per_subnet\nlimits.messages_per_day.per_network\n"},
	        {{"completion", "z"}, "zsh\n"},
	        {{"man", "d"}, "domains.yaml\n"},
	        {{"help", "dom"}, "domain\n"},
	        {{"help", "domain", "l"}, "list\n"},
	        {{"version", "--j"}, "--json\n"},
	};
	struct arena arena;
	arena_init(&arena, CONFIG_ARENA_MAX);
	const struct config *config = test_config(&arena);
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		struct buf out;
		size_t n = 0;
		while (n < 6 && cases[i].words[n])
			n++;
		buf_init(&out, 100000);
		cli_candidates(cases[i].words, n, config, &out);
		assert_string_equal(buf_cstr(&out), cases[i].offered);
		buf_reset(&out);
		cli_candidates(cases[i].words, n, NULL,
		               &out); /* without a configuration: no crash */
		buf_done(&out);
	}
	arena_done(&arena);
}

static void tables_are_aligned_by_what_is_shown(void **state)
{
	(void)state;
	static const char *const cells[] = {"a", "b",       "\xe6\x97\xa5\xe6\x9c\xac",
	                                    "x", "longest", ""};
	struct cli_table table = {0};
	struct buf out;
	cli_table_init(&table, 2);
	buf_init(&out, 10000);
	for (size_t i = 0; i < N_ELEMENTS(cells); i++)
		cli_table_add(&table, cells[i]);
	cli_table_print(&table, 80, &out);
	assert_string_equal(buf_cstr(&out),
	                    "a        b\n\xe6\x97\xa5\xe6\x9c\xac     x\nlongest\n");
	buf_done(&out);
	cli_table_done(&table);
}

static void the_manual_page_has_every_command(void **state)
{
	(void)state;
	struct buf out;
	buf_init(&out, 1000000);
	cli_print_man(&out);
	for (size_t i = 0; i < cli_n_commands; i++) {
		char line[100];
		snprintf(line, sizeof(line), ".SS \"mailkeep %s", cli_commands[i].path);
		assert_non_null(strstr(buf_cstr(&out), line));
	}
	buf_done(&out);
}

/* --- control --- */

struct fake_server {
	int listen_fd;
	const char *answer; /* NULL: hangs up */
	char request[4096];
};

static void *serve_once(void *context)
{
	struct fake_server *server = context;
	int fd = accept(server->listen_fd, NULL, NULL);
	ssize_t n = read(fd, server->request, sizeof(server->request) - 1);
	server->request[MAX(n, 0)] = 0;
	if (server->answer)
		n = write(fd, server->answer, strlen(server->answer));
	close(fd);
	return NULL;
}

static struct status call_server(const char *answer, struct fake_server *server,
                                 json_t **ret_answer)
{
	char directory[] = "/tmp/mailkeep-control-XXXXXX";
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	pthread_t thread;
	assert_non_null(mkdtemp(directory));
	snprintf(address.sun_path, sizeof(address.sun_path), "%s/%s", directory, CONTROL_SOCKET);
	*server = (struct fake_server){.answer = answer};
	server->listen_fd = socket(AF_UNIX, SOCK_STREAM, 0);
	assert_int_equal(
	        bind(server->listen_fd, (const struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(server->listen_fd, 1), 0);
	assert_int_equal(pthread_create(&thread, NULL, serve_once, server), 0);
	json_t *request = json_pack("{s:s}", "command", "reload");
	struct status status = control_call(directory, request, ret_answer);
	json_decref(request);
	pthread_join(thread, NULL);
	close(server->listen_fd);
	/* Left over, with nobody listening: as good as no server. */
	json_t *none = NULL;
	request = json_pack("{s:s}", "command", "reload");
	assert_int_equal(control_call(directory, request, &none).code, ERR_NOT_FOUND);
	json_decref(request);
	unlink(address.sun_path);
	request = json_pack("{s:s}", "command", "reload");
	assert_int_equal(control_call(directory, request, &none).code, ERR_NOT_FOUND);
	json_decref(request);
	rmdir(directory);
	return status;
}

static void the_control_socket_is_asked(void **state)
{
	(void)state;
	struct fake_server server;
	json_t *answer = NULL;
	assert_true(is_ok(call_server("{\"ok\":true}\n", &server, &answer)));
	assert_true(json_is_true(json_object_get(answer, "ok")));
	assert_string_equal(server.request, "{\"command\":\"reload\"}\n");
	json_decref(answer);
}

static void bad_answers_are_refused(void **state)
{
	(void)state;
	static const struct {
		const char *answer;
		enum err code;
	} cases[] = {
	        {NULL, ERR_DENIED},         {"\n", ERR_PROTOCOL},    {"[1]\n", ERR_PROTOCOL},
	        {"{\"ok\":", ERR_PROTOCOL}, {"{}}\n", ERR_PROTOCOL}, {"x\n", ERR_PROTOCOL},
	};
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		struct fake_server server;
		json_t *answer = NULL;
		assert_int_equal(call_server(cases[i].answer, &server, &answer).code,
		                 cases[i].code);
		assert_null(answer);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(the_table_is_complete),
	        cmocka_unit_test(no_command_hides_another),
	        cmocka_unit_test(words_are_parsed),
	        cmocka_unit_test(options_may_come_several_times),
	        cmocka_unit_test(options_that_a_command_lacks_are_refused),
	        cmocka_unit_test(the_nearest_command_is_found),
	        cmocka_unit_test(completion_offers_what_may_follow),
	        cmocka_unit_test(tables_are_aligned_by_what_is_shown),
	        cmocka_unit_test(the_manual_page_has_every_command),
	        cmocka_unit_test(the_control_socket_is_asked),
	        cmocka_unit_test(bad_answers_are_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
