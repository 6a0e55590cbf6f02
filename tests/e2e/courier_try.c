/* One delivery attempt from the command line, with the courier's own code: for tests that bring
 * their own servers. No rooms: the DNS is a file of facts (dns/table.h), secrets are arguments.
 *
 *	courier_try --config DIR --facts FILE [--secret NAME=VALUE]... [--transport NAME]
 *	            [--sender ADDRESS] [--attempt N] [--times N] [--pause MS] [--require-tls]
 *	            --domain DOMAIN --body FILE RECIPIENT...
 *
 * Prints a JSON object for each of N times: status, outcomes, hosts, tls_results.
 */
#include "rooms/courier.h"

#include "dns/table.h"
#include "os/fd.h"
#include "os/file.h"
#include "os/log.h"

#include <fcntl.h>
#include <getopt.h>
#include <jansson.h>
#include <stdlib.h>
#include <sys/stat.h>

#define SECRETS_MAX 8

struct secrets {
	const char *v[SECRETS_MAX]; /* NAME=VALUE */
	size_t n;
};

struct arguments {
	const char *config, *facts, *body;
	struct secrets secrets;
	unsigned times, pause_ms;
	Door__Attempt attempt;
};

NORETURN static void die(const char *what, const char *why)
{
	fprintf(stderr, "courier_try: %s: %s\n", what, why);
	exit(2);
}

static struct status get_secret(void *context, uint64_t cid, struct slice name, struct arena *arena,
                                struct slice *ret_secret)
{
	const struct secrets *secrets = context;
	(void)cid;
	for (size_t i = 0; i < secrets->n; i++) {
		struct slice key, value;
		(void)slice_cut(slice_str(secrets->v[i]), '=', &key, &value);
		if (!slice_eq(key, name))
			continue;
		*ret_secret = arena_copy(arena, value);
		return ok();
	}
	return fail(ERR_NOT_FOUND, "no such secret");
}

static uint32_t number(const char *text)
{
	uint32_t value;
	if (!slice_to_u32(slice_str(text), UINT32_MAX, &value))
		die("no number", text);
	return value;
}

static void parse(int argc, char **argv, struct arguments *a)
{
	static const struct option options[] = {
	        {"config", required_argument, NULL, 'c'},
	        {"facts", required_argument, NULL, 'f'},
	        {"secret", required_argument, NULL, 's'},
	        {"transport", required_argument, NULL, 't'},
	        {"sender", required_argument, NULL, 'm'},
	        {"attempt", required_argument, NULL, 'a'},
	        {"times", required_argument, NULL, 'n'},
	        {"pause", required_argument, NULL, 'p'},
	        {"require-tls", no_argument, NULL, 'r'},
	        {"domain", required_argument, NULL, 'd'},
	        {"body", required_argument, NULL, 'b'},
	        {NULL, 0, NULL, 0},
	};
	int option;
	while ((option = getopt_long(argc, argv, "", options, NULL)) >= 0) {
		if (option == 'c')
			a->config = optarg;
		else if (option == 'f')
			a->facts = optarg;
		else if (option == 'b')
			a->body = optarg;
		else if (option == 's' && a->secrets.n < SECRETS_MAX)
			a->secrets.v[a->secrets.n++] = optarg;
		else if (option == 't')
			a->attempt.transport = optarg;
		else if (option == 'm')
			a->attempt.sender = optarg;
		else if (option == 'd')
			a->attempt.domain = optarg;
		else if (option == 'a')
			a->attempt.n_attempt = number(optarg);
		else if (option == 'n')
			a->times = number(optarg);
		else if (option == 'p')
			a->pause_ms = number(optarg);
		else if (option == 'r')
			a->attempt.require_tls = true;
		else
			die("unknown option", argv[optind - 1]);
	}
	if (!a->config || !a->facts || !a->body || optind == argc)
		die("usage", "--config, --facts, --domain, --body and a recipient are needed");
}

static void add_recipients(struct arguments *a, char **names, size_t n, struct arena *arena)
{
	Door__AttemptRecipient *v = ARENA_ARRAY(arena, n, Door__AttemptRecipient);
	a->attempt.recipients = ARENA_ARRAY(arena, n, Door__AttemptRecipient *);
	for (size_t i = 0; i < n; i++) {
		door__attempt_recipient__init(&v[i]);
		v[i].id = (int64_t)i + 1;
		v[i].address = names[i];
		a->attempt.recipients[i] = &v[i];
	}
	a->attempt.n_recipients = n;
}

static json_t *lines_of(const Door__RecipientOutcome *o)
{
	json_t *lines = json_array();
	for (size_t i = 0; i < o->n_lines; i++)
		json_array_append_new(lines, json_string(o->lines[i]));
	return lines;
}

static void print_reply(const Door__CourierReply *reply)
{
	static const char *const kinds[] = {"delivered", "deferred", "failed"};
	json_t *outcomes = json_array(), *hosts = json_array(), *results = json_array();
	for (size_t i = 0; i < reply->n_outcomes; i++) {
		const Door__RecipientOutcome *o = reply->outcomes[i];
		json_array_append_new(outcomes,
		                      json_pack("{sI ss si ss ss ss ss ss sb si so}", "id",
		                                (json_int_t)o->id, "outcome", kinds[o->outcome],
		                                "code", (int)o->code, "enhanced", o->enhanced,
		                                "command", o->command, "why", o->why, "host",
		                                o->remote_host, "address", o->remote_address,
		                                "relayed", o->relayed, "transaction",
		                                (int)o->n_transaction, "lines", lines_of(o)));
	}
	for (size_t i = 0; i < reply->n_hosts; i++)
		json_array_append_new(
		        hosts, json_pack("{ss ss ss ss ss ss}", "host", reply->hosts[i]->host,
		                         "address", reply->hosts[i]->address, "tls",
		                         reply->hosts[i]->tls, "result", reply->hosts[i]->result,
		                         "protection", reply->hosts[i]->protection, "demands",
		                         reply->hosts[i]->demands));
	for (size_t i = 0; i < reply->n_tls_results; i++) {
		const Door__TlsResult *r = reply->tls_results[i];
		json_array_append_new(results, json_pack("{ss ss ss ss ss}", "policy", r->policy,
		                                         "domain", r->domain, "host", r->host,
		                                         "result", r->result, "reason", r->reason));
	}
	json_t *all = json_pack(
	        "{ss so so so sb sb si sI}", "status", err_name((enum err)reply->status->code),
	        "outcomes", outcomes, "hosts", hosts, "tls_results", results, "reused",
	        reply->reused, "busy", reply->busy, "recipient_limit", (int)reply->recipient_limit,
	        "packed", (json_int_t)protobuf_c_message_get_packed_size(&reply->base));
	char *text = json_dumps(all, JSON_COMPACT);
	puts(text);
	fflush(stdout);
	free(text);
	json_decref(all);
}

static void run(const struct arguments *a, const struct config *config, struct courier *courier,
                const struct dns_resolver *resolver, int body_fd)
{
	for (unsigned i = 0; i < a->times; i++) {
		struct arena arena;
		Door__CourierReply reply;
		const struct courier_job job = {
		        .cid = 1,
		        .config = config,
		        .resolver = resolver,
		        .attempt = &a->attempt,
		        .body_fd = body_fd,
		};
		arena_init(&arena, COURIER_ARENA_MAX);
		if (i > 0)
			usleep(a->pause_ms * 1000);
		courier_run(courier, &job, &arena, &reply);
		print_reply(&reply);
		arena_done(&arena);
	}
}

static void add_cas(struct courier *courier, const struct config *config, struct arena *arena)
{
	for (size_t i = 0; i < config->transports.n; i++) {
		const struct config_text *ca = &config->transports.v[i].ca;
		struct slice pem;
		if (ca->n > 0 && is_ok(file_read(AT_FDCWD, ca->s, 1000000, arena, &pem, NULL)))
			courier_add_ca(courier, ca->s, pem);
	}
}

static struct config *load(const char *directory, struct arena *arena)
{
	struct config_problems problems;
	struct config *config;
	config_problems_init(&problems);
	if (!is_ok(config_load(directory, arena, &config, &problems)))
		die("config", problems.n > 0 ? problems.v[0].what : "cannot be loaded");
	config_problems_done(&problems);
	return config;
}

int main(int argc, char **argv)
{
	struct arguments a = {.times = 1};
	struct arena arena;
	struct dns_table table;
	struct slice facts;
	struct stat st;
	door__attempt__init(&a.attempt);
	a.attempt.n_attempt = 1;
	parse(argc, argv, &a);
	arena_init(&arena, CONFIG_ARENA_MAX);
	add_recipients(&a, argv + optind, (size_t)(argc - optind), &arena);
	log_setup(&(struct log_options){.room = "courier", .level = LOG_LEVEL_ERROR});
	const struct config *config = load(a.config, &arena);
	if (!is_ok(file_read(AT_FDCWD, a.facts, 1000000, &arena, &facts, NULL)))
		die(a.facts, "cannot be read");
	dns_table_init(&table);
	dns_table_add_lines(&table, arena_cstr(&arena, facts));
	int body_fd = open(a.body, O_RDONLY | O_CLOEXEC);
	if (body_fd < 0 || fstat(body_fd, &st) < 0)
		die(a.body, "cannot be read");
	a.attempt.size = (uint64_t)st.st_size;
	const struct courier_options options = {
	        .clock = clock_real(),
	        .key = {1, 2},
	        .bundle_fd = -1,
	        .secret = get_secret,
	        .context = &a.secrets,
	};
	struct courier *courier = courier_new(&options);
	add_cas(courier, config, &arena);
	run(&a, config, courier, &table.resolver, body_fd);
	courier_free(courier);
	close(body_fd);
	dns_table_done(&table);
	arena_done(&arena);
	return 0;
}
