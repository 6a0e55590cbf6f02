/* Asks the DNS and validates what it says, with a resolver of its own.
 *
 *	cc -o lookup-name lookup-name.c $(pkg-config --cflags --libs mailkeep)
 *	./lookup-name example.com MX
 *
 *	--resolver IP:PORT  ask this resolver for everything, and validate what it says
 *	--anchor FILE       trust anchors instead of the root's keys
 *
 * Exit status: 0 records were found, 1 there are none, 2 the lookup failed.
 */
#include <mailkeep/dns/unbound.h>

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

#define ANCHORS_MAX ((size_t)64 * 1024)
#define RECORD_MAX  ((size_t)128 * 1024)

static _Noreturn void give_up(const char *what, const char *why)
{
	fprintf(stderr, "lookup-name: %s: %s\n", what, why);
	exit(2);
}

static void must(struct status status, const char *what)
{
	if (!status_is_ok(status))
		give_up(what, status.why);
}

static void read_file(const char *path, struct buf *text)
{
	char piece[4096];
	size_t n;
	FILE *file = fopen(path, "r");
	if (!file)
		give_up(path, "cannot be opened");
	while ((n = fread(piece, 1, sizeof(piece), file)) > 0)
		buf_add(text, slice_of(piece, n));
	fclose(file);
}

static int print_answer(const struct dns_answer *answer)
{
	struct buf line;
	buf_init(&line, RECORD_MAX);
	printf("%s, %s\n", dns_outcome_name(answer->outcome), dns_security_name(answer->security));
	for (size_t i = 0; i < answer->n_chain; i++)
		printf("%s is another name of %s (%s)\n", answer->chain[i].target.text,
		       answer->chain[i].alias.text, dns_security_name(answer->chain[i].security));
	for (size_t i = 0; i < answer->n_records; i++) {
		buf_reset(&line);
		dns_record_print(&answer->records[i], &line);
		printf("%s %u %s %.*s\n", answer->canonical_name.text, answer->records[i].ttl_s,
		       dns_type_name(answer->records[i].type), SLICE_FMT(buf_slice(&line)));
	}
	if (answer->outcome == DNS_FAILED)
		printf("%s failure: %s\n", dns_failure_name(answer->failure), answer->why);
	buf_done(&line);
	return answer->outcome == DNS_FOUND ? 0 : answer->outcome == DNS_FAILED ? 2 : 1;
}

/* What the options point to lives as long as server and anchors. */
static void read_options(int argc, char **argv, struct os_address *server, struct buf *anchors,
                         struct dns_unbound_options *options)
{
	static const struct option known[] = {{"resolver", required_argument, NULL, 'r'},
	                                      {"anchor", required_argument, NULL, 'a'},
	                                      {NULL, 0, NULL, 0}};
	for (int option; (option = getopt_long(argc, argv, "", known, NULL)) != -1;) {
		if (option == 'r') {
			must(os_address_parse_port(slice_str(optarg), server), optarg);
			options->servers = server;
			options->n_servers = 1;
		} else if (option == 'a') {
			read_file(optarg, anchors);
			options->anchors = buf_slice(anchors);
		} else {
			exit(2);
		}
	}
}

int main(int argc, char **argv)
{
	struct dns_unbound_options options = {.anchors = SLICE(DNS_UNBOUND_ROOT_ANCHORS)};
	const struct dns_answer *answer;
	struct dns_unbound *unbound;
	struct os_address server;
	enum dns_type type;
	struct buf anchors;
	struct arena arena;
	buf_init(&anchors, ANCHORS_MAX);
	arena_init(&arena, DNS_ANSWER_ARENA);
	read_options(argc, argv, &server, &anchors, &options);
	if (argc - optind != 2 || !dns_type_parse(slice_str(argv[optind + 1]), &type)) {
		fprintf(stderr, "usage: lookup-name [--resolver IP:PORT] [--anchor FILE] NAME "
		                "TYPE\n");
		return 2;
	}
	must(dns_unbound_new(&options, &unbound), "the resolver");
	must(dns_lookup(dns_unbound_resolver(unbound), slice_str(argv[optind]), type,
	                DNS_LOOKUP_TIMEOUT_MS, &arena, &answer),
	     argv[optind]);
	int result = print_answer(answer);
	dns_unbound_free(unbound);
	arena_done(&arena);
	buf_done(&anchors);
	return result;
}
