/* Who sent this message? Checks it as the server that receives it would: SPF, DKIM, ARC, DMARC and
 * the client's name. All lookups are validated by DNSSEC, in this program.
 *
 *	cc -o check-message check-message.c $(pkg-config --cflags --libs mailkeep)
 *	./check-message 192.0.2.1 mail.example.org user@example.org message.eml
 *
 * IP         the client that brought the message
 * HELO       as it called itself
 * MAIL-FROM  the sender of the envelope; "" for a delivery report
 * MESSAGE    a file; without it standard input
 *
 *	--name NAME         ours, which the results are signed with (mx.example.com)
 *	--resolver IP:PORT  ask this resolver for everything, and validate what it says; otherwise
 *	                    the servers of the world are asked, from the root on
 *	--anchor FILE       trust anchors instead of the root's keys
 *
 * Printed are the fields that belong before the message, those in it that pretend to be ours, every
 * check with its reason and the lookups that it rests on, and what should become of the message.
 *
 * Exit status: 0 accept, 3 put with the junk, 4 send away for now, 5 refuse; 1 something failed.
 */
#include <mailkeep/dns/unbound.h>
#include <mailkeep/mailauth/inspection.h>
#include <mailkeep/message/address.h>
#include <mailkeep/message/header.h>
#include <mailkeep/os/clock.h>

#include <getopt.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#define MESSAGE_MAX    ((size_t)64 * 1024 * 1024)
#define ANCHORS_MAX    ((size_t)64 * 1024)
#define FIELDS_MAX     ((size_t)256 * 1024)
#define LOOKUPS_MAX    ((size_t)1024 * 1024)
#define ADDRESS_ARENA  ((size_t)64 * 1024)
#define DECISION_ARENA ((size_t)1024 * 1024)
#define TIMEOUT_MS     20000

static _Noreturn void give_up(const char *what, const char *why)
{
	fprintf(stderr, "check-message: %s: %s\n", what, why);
	exit(1);
}

/* ---- what is given ---- */

struct options {
	const char *ip, *helo, *mail_from, *message;
	const char *name, *resolver, *anchor;
};

static struct options read_options(int argc, char **argv)
{
	static const struct option known[] = {{"name", required_argument, NULL, 'n'},
	                                      {"resolver", required_argument, NULL, 'r'},
	                                      {"anchor", required_argument, NULL, 'a'},
	                                      {NULL, 0, NULL, 0}};
	struct options o = {.name = "mx.example.com"};
	for (int option; (option = getopt_long(argc, argv, "", known, NULL)) != -1;) {
		if (option == '?')
			exit(1);
		*(option == 'n' ? &o.name : option == 'r' ? &o.resolver : &o.anchor) = optarg;
	}
	if (argc - optind < 3 || argc - optind > 4) {
		fprintf(stderr, "usage: check-message [--name NAME] [--resolver IP:PORT] "
		                "[--anchor FILE] IP HELO MAIL-FROM [MESSAGE]\n");
		exit(1);
	}
	o.ip = argv[optind];
	o.helo = argv[optind + 1];
	o.mail_from = argv[optind + 2];
	o.message = argv[optind + 3]; /* NULL where there is none */
	return o;
}

static void read_file(FILE *file, const char *name, struct buf *text)
{
	char piece[4096];
	size_t n;
	while (file && (n = fread(piece, 1, sizeof(piece), file)) > 0)
		buf_add(text, slice_of(piece, n));
	if (!file || ferror(file))
		give_up(name, "cannot be read");
	if (buf_failed(text))
		give_up(name, "is too large");
}

/* Lines of mail end in CRLF. Where the first one does not, the file is one of this system. */
static void read_message(const char *path, struct buf *message)
{
	FILE *file = path ? fopen(path, "rb") : stdin;
	struct slice line, rest;
	struct buf text;
	buf_init(&text, MESSAGE_MAX);
	read_file(file, path ? path : "the message", &text);
	bool more = slice_cut(buf_slice(&text), '\n', &line, &rest);
	bool is_local = more && !slice_ends(line, SLICE("\r"));
	for (; more; more = slice_cut(rest, '\n', &line, &rest)) {
		buf_add(message, line);
		buf_add_str(message, is_local && !slice_ends(line, SLICE("\r")) ? "\r\n" : "\n");
	}
	buf_add(message, line); /* what stands behind the last line end */
	if (buf_failed(message))
		give_up("the message", "is too large");
	buf_done(&text);
	if (path)
		fclose(file);
}

/* ---- whom to ask ---- */

static struct dns_unbound *open_resolver(const struct options *o)
{
	struct dns_unbound_options options = {.anchors = SLICE(DNS_UNBOUND_ROOT_ANCHORS)};
	struct dns_unbound *unbound;
	struct os_address server;
	struct buf anchors;
	buf_init(&anchors, ANCHORS_MAX);
	if (o->anchor) {
		FILE *file = fopen(o->anchor, "r");
		read_file(file, o->anchor, &anchors);
		fclose(file);
		options.anchors = buf_slice(&anchors);
	}
	if (o->resolver) {
		struct status status = os_address_parse_port(slice_str(o->resolver), &server);
		if (!status_is_ok(status))
			give_up("--resolver", status.why);
		options.servers = &server;
		options.n_servers = 1;
	}
	struct status status = dns_unbound_new(&options, &unbound);
	if (!status_is_ok(status))
		give_up("the resolver", status.why);
	buf_done(&anchors);
	return unbound;
}

/* ---- lookups beside each other: a thread each ---- */

struct lookup_thread {
	pthread_t thread;
	void (*run)(void *argument);
	void *argument;
};

static void *run_thread(void *p)
{
	struct lookup_thread *t = p;
	t->run(t->argument);
	return NULL;
}

static bool start_thread(const struct inspection_runner *runner, void (*run)(void *argument),
                         void *argument, void **ret_handle)
{
	struct lookup_thread *t = base_alloc(sizeof(*t));
	(void)runner;
	t->run = run;
	t->argument = argument;
	if (pthread_create(&t->thread, NULL, run_thread, t) != 0) {
		base_free(t);
		return false; /* then it is done without a thread */
	}
	*ret_handle = t;
	return true;
}

static void wait_thread(const struct inspection_runner *runner, void *handle)
{
	struct lookup_thread *t = handle;
	(void)runner;
	pthread_join(t->thread, NULL);
	base_free(t);
}

static const struct inspection_runner threads = {start_thread, wait_thread};

/* ---- what came out ---- */

static void print_fields(const struct inspection *i)
{
	struct buf out;
	buf_init(&out, FIELDS_MAX);
	if (!status_is_ok(inspection_authres(i, &out)) ||
	    !status_is_ok(inspection_spf_field(i, &out)))
		give_up("the results", "do not fit");
	fwrite(out.p, 1, out.n, stdout);
	buf_done(&out);
}

/* Whoever reads our results later must not take those of a stranger for ours. */
static void print_forged(struct slice header, const char *name)
{
	const struct slice id = slice_str(name);
	struct message_headers headers = message_headers_of(header);
	struct message_field field;
	struct arena arena;
	arena_init(&arena, ADDRESS_ARENA);
	while (message_headers_next(&headers, &field)) {
		if (!authres_must_remove(field.name, field.value, &id, 1))
			continue;
		arena_reset(&arena);
		printf("to be removed: %s\n",
		       mailauth_printable(field.raw, MAILAUTH_PRINTABLE_MAX, &arena));
	}
	arena_done(&arena);
}

static void print_checks(const struct inspection *i)
{
	static struct inspection_check checks[INSPECTION_CHECKS_MAX];
	size_t n = inspection_checks(i, checks, INSPECTION_CHECKS_MAX);
	struct buf lookups;
	buf_init(&lookups, LOOKUPS_MAX);
	for (size_t k = 0; k < n; k++) {
		const struct inspection_check *c = &checks[k];
		printf("%s %s %s%s%s\n", c->method, c->result, c->about, *c->why ? ": " : "",
		       c->why);
		buf_reset(&lookups);
		mailauth_evidence_print(&c->evidence, &lookups);
		struct slice line, rest = buf_slice(&lookups);
		while (slice_cut(rest, '\n', &line, &rest))
			printf("  %.*s\n", SLICE_FMT(line));
	}
	buf_done(&lookups);
}

/* The settings are the receiver's affair. These follow the author's domain, and wait for it. */
static int decide(const struct inspection *i)
{
	static const int exit_status[] = {[POLICY_ACCEPT] = 0,
	                                  [POLICY_QUARANTINE] = 3,
	                                  [POLICY_DEFER] = 4,
	                                  [POLICY_REFUSE] = 5};
	const struct policy_settings settings = {.dmarc = POLICY_DMARC_OBEY,
	                                         .dmarc_temporary = POLICY_DEFER,
	                                         .no_author = POLICY_QUARANTINE};
	struct policy_decision decision;
	struct arena arena;
	arena_init(&arena, DECISION_ARENA);
	policy_decide(inspection_facts(i), &settings, NULL, 0, &arena, &decision);
	printf("decision: %s\n", policy_action_name(decision.action));
	for (size_t k = 0; k < decision.n_reasons; k++)
		printf("  %s\n", decision.reasons[k]);
	arena_done(&arena);
	return exit_status[decision.action];
}

/* ---- all together ---- */

/* The address lives in the arena. */
static struct inspection_envelope read_envelope(const struct options *o, struct arena *arena)
{
	struct inspection_envelope envelope = {
	        .helo = slice_str(o->helo), .localpart = slice_empty(), .domain = slice_empty()};
	struct message_address_list from;
	message_addresses_parse(slice_str(o->mail_from), arena, &from);
	if (*o->mail_from && (from.n != 1 || from.v[0].domain.n == 0))
		give_up("MAIL-FROM", "this is no address");
	if (*o->mail_from) {
		envelope.localpart = from.v[0].localpart;
		envelope.domain = from.v[0].domain;
	}
	return envelope;
}

static int check(const struct inspection_env *env, const struct options *o, struct slice message)
{
	struct message_header_end end = {.found = false};
	struct slice header = slice_sub(message, 0, message_header_end_feed(&end, message));
	struct os_address ip;
	struct arena arena;
	arena_init(&arena, ADDRESS_ARENA);
	if (!status_is_ok(os_address_parse(slice_str(o->ip), 0, &ip)))
		give_up("IP", "this is no IP address");
	const struct inspection_envelope envelope = read_envelope(o, &arena);

	/* In a server these steps lie apart: connection, MAIL, the header, the body as it comes. */
	struct inspection_client *client =
	        inspection_client_new(env, slice_of(ip.ip, ip.family == OS_FAMILY_V4 ? 4 : 16));
	struct inspection *i = inspection_new(env, client, &envelope);
	inspection_header(i, header, clock_now_s(env->clock));
	inspection_body(i, slice_from(message, header.n));
	inspection_finish(i);

	print_fields(i);
	print_forged(header, o->name);
	print_checks(i);
	int result = decide(i);
	inspection_free(i);
	inspection_client_free(client);
	arena_done(&arena);
	return result;
}

int main(int argc, char **argv)
{
	const struct options options = read_options(argc, argv);
	struct dns_unbound *unbound = open_resolver(&options);
	const struct inspection_env env = {
	        .resolver = dns_unbound_resolver(unbound),
	        .clock = clock_real(),
	        .runner = &threads,
	        .timeout_ms = TIMEOUT_MS,
	        .discovery = DMARC_TREE_WALK,
	        .receiver = options.name,
	};
	struct buf message;
	buf_init(&message, 2 * MESSAGE_MAX);
	read_message(options.message, &message);
	int result = check(&env, &options, buf_slice(&message));
	buf_done(&message);
	dns_unbound_free(unbound);
	return fflush(stdout) == 0 ? result : 1;
}
