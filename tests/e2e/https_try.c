/* One fetch by HTTPS from the command line, with the courier's own code behind the courier's own
 * walls: for tests that bring their own servers.
 *
 *	https_try --host NAME --port N --ip ADDRESS[,ADDRESS...] --ca FILE [--path PATH]
 *	          [--type MEDIA-TYPE] [--max OCTETS] [--timeout MS] [--times N] [--open]
 *	          [--post OCTETS]
 *
 * Prints a JSON object for each of N times. --open leaves the walls away; --post sends so many
 *octets.
 */
#include "delivery/https_fetch.h"

#include "os/file.h"
#include "os/log.h"
#include "os/sandbox.h"

#include <fcntl.h>
#include <getopt.h>
#include <jansson.h>

#define NOBODY      65534
#define CA_FILE_MAX ((size_t)1024 * 1024)
#define BODY_SHOWN  200u

struct arguments {
	struct https_request request;
	const char *ca;
	uint32_t times;
	bool open;
	struct delivery_ip ips[DELIVERY_ADDRESSES_MAX];
};

NORETURN static void die(const char *what, const char *why)
{
	fprintf(stderr, "https_try: %s: %s\n", what, why);
	exit(2);
}

static uint32_t number(const char *text)
{
	uint32_t value;
	if (!slice_to_u32(slice_str(text), INT32_MAX, &value))
		die("no number", text);
	return value;
}

static void add_ips(struct arguments *a, const char *text)
{
	struct slice item, rest = slice_str(text);
	while (rest.n > 0 && a->request.n_ips < DELIVERY_ADDRESSES_MAX) {
		(void)slice_cut(rest, ',', &item, &rest);
		if (!delivery_ip_parse(item, &a->ips[a->request.n_ips++]))
			die("no address", text);
	}
}

static void post(struct arguments *a, uint32_t size)
{
	uint8_t *content = base_alloc(size + 1);
	memset(content, 'x', size);
	a->request.content_type = "application/tlsrpt+gzip";
	a->request.content = slice_of(content, size);
}

static void parse(int argc, char **argv, struct arguments *a)
{
	static const struct option options[] = {
	        {"host", required_argument, NULL, 'h'},  {"port", required_argument, NULL, 'p'},
	        {"ip", required_argument, NULL, 'i'},    {"ca", required_argument, NULL, 'c'},
	        {"path", required_argument, NULL, 'u'},  {"type", required_argument, NULL, 't'},
	        {"max", required_argument, NULL, 'm'},   {"timeout", required_argument, NULL, 'w'},
	        {"times", required_argument, NULL, 'n'}, {"open", no_argument, NULL, 'o'},
	        {"post", required_argument, NULL, 'P'},  {NULL, 0, NULL, 0},
	};
	int option;
	while ((option = getopt_long(argc, argv, "", options, NULL)) >= 0) {
		if (option == 'h')
			a->request.host = optarg;
		else if (option == 'p')
			a->request.port = (uint16_t)number(optarg);
		else if (option == 'i')
			add_ips(a, optarg);
		else if (option == 'c')
			a->ca = optarg;
		else if (option == 'P')
			post(a, number(optarg));
		else if (option == 'u')
			a->request.path = optarg;
		else if (option == 't')
			a->request.media_type = *optarg ? optarg : NULL;
		else if (option == 'm')
			a->request.body_max = number(optarg);
		else if (option == 'w')
			a->request.timeout_ms = (int)number(optarg);
		else if (option == 'n')
			a->times = number(optarg);
		else if (option == 'o')
			a->open = true;
		else
			die("usage", "see tests/e2e/https_try.c");
	}
}

static void enter_walls(uint16_t port)
{
	struct sandbox_report report;
	const struct sandbox_context context = {
	        .connect_ports = &port,
	        .n_connect_ports = 1,
	        .uid = geteuid() == 0 ? NOBODY : 0,
	        .gid = geteuid() == 0 ? NOBODY : 0,
	        .allow_weak = true,
	};
	if (!is_ok(sandbox_enter(SANDBOX_COURIER, &context, &report)))
		die("the walls", report.fault.text);
}

static const char *failure_name(enum https_failure failure)
{
	static const char *const names[] = {
	        [HTTPS_OK] = "ok",
	        [HTTPS_UNREACHABLE] = "unreachable",
	        [HTTPS_TIMEOUT] = "timeout",
	        [HTTPS_TLS] = "tls",
	        [HTTPS_CERTIFICATE] = "certificate",
	        [HTTPS_PROTOCOL] = "protocol",
	        [HTTPS_REDIRECT] = "redirect",
	        [HTTPS_STATUS] = "status",
	        [HTTPS_TYPE] = "type",
	        [HTTPS_ENCODING] = "encoding",
	        [HTTPS_SIZE] = "size",
	        [HTTPS_LOCAL] = "local",
	};
	return names[failure];
}

static void print(const struct https_response *r)
{
	json_t *json =
	        json_pack("{ss ss si ss ss sb sb ss sI ss#}", "failure", failure_name(r->failure),
	                  "why", r->why, "status", (int)r->status, "type", r->media_type, "address",
	                  r->address, "verified", r->pkix.good, "looked", r->pkix.made, "pkix",
	                  r->pkix.why, "size", (json_int_t)r->body.n, "body",
	                  (const char *)r->body.p, (int)MIN(r->body.n, BODY_SHOWN));
	char *text = json ? json_dumps(json, JSON_COMPACT) : NULL;
	puts(text ? text : "{}");
	fflush(stdout);
	free(text);
	json_decref(json);
}

int main(int argc, char **argv)
{
	struct arguments a = {
	        .request = {.path = "/.well-known/mta-sts.txt",
	                    .media_type = "text/plain",
	                    .body_max = 65536,
	                    .timeout_ms = 5000},
	        .times = 1,
	};
	struct arena files, arena;
	struct slice pem;
	arena_init(&files, 2 * CA_FILE_MAX);
	parse(argc, argv, &a);
	if (!a.request.host || !a.ca ||
	    !is_ok(file_read(AT_FDCWD, a.ca, CA_FILE_MAX, &files, &pem, NULL)))
		die("usage", "--host, --port, --ip and a readable --ca are needed");
	a.request.ips = a.ips;
	a.request.authorities = tls_authorities_new(NULL);
	tls_authorities_set_text(a.request.authorities, pem);
	if (!https_warm_up())
		die("libcurl", "cannot be used");
	if (!a.open)
		enter_walls(a.request.port);
	for (uint32_t i = 0; i < a.times; i++) {
		struct https_response response;
		arena_init(&arena, MAX(2 * a.request.body_max, 65536));
		https_by_curl.fetch(https_by_curl.context, &a.request, &arena, &response);
		print(&response);
		arena_done(&arena);
	}
	tls_authorities_unref(a.request.authorities);
	arena_done(&files);
	return 0;
}
