/* A report by HTTPS: which URIs are used, and what a server's behaviour comes to. */
#include "rooms/courier_post.h"

#include "dns/table.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#undef fail

static void uris_are_read_strictly(void **state)
{
	static const struct {
		const char *text, *host, *path;
		uint16_t port;
	} good[] = {
	        {"https://a.example/x", "a.example", "/x", 443},
	        {"HTTPS://A.Example", "a.example", "/", 443},
	        {"https://a.example:8443/x?y=z&q", "a.example", "/x?y=z&q", 8443},
	        {"https://a.example?y", "a.example", "/?y", 443},
	        {"https://a.example/%41/../b", "a.example", "/%41/../b", 443},
	};
	static const char *const bad[] = {
	        "",
	        "http://a.example/",
	        "https:/a.example/",
	        "https://",
	        "https:///x",
	        "https://user@a.example/",
	        "https://user:secret@a.example/",
	        "https://192.0.2.1/",
	        "https://[2001:db8::1]/",
	        "https://a.example:0/",
	        "https://a.example:65536/",
	        "https://a.example:/",
	        "https://a.example:x/",
	        "https://a..example/",
	        "https://a.example/x#y",
	        "https://a.example#y",
	        "https://a.example/a b",
	        "https://a.example/\r\nHost: b",
	        "https://a.example/\xc3\xa4",
	        "https://a.example\\@b.example/",
	        "mailto:a@b.example",
	};
	struct arena arena;
	struct courier_uri uri;
	(void)state;
	arena_init(&arena, 100000);
	for (size_t i = 0; i < N_ELEMENTS(good); i++) {
		assert_true(is_ok(courier_uri_parse(slice_str(good[i].text), &arena, &uri)));
		assert_string_equal(uri.host, good[i].host);
		assert_string_equal(uri.path, good[i].path);
		assert_int_equal(uri.port, good[i].port);
	}
	for (size_t i = 0; i < N_ELEMENTS(bad); i++)
		assert_int_equal(courier_uri_parse(slice_str(bad[i]), &arena, &uri).code,
		                 ERR_SYNTAX);
	arena_done(&arena);
}

struct server {
	enum https_failure failure;
	unsigned status, n_calls;
};

static void answer(void *context, const struct https_request *request, struct arena *arena,
                   struct https_response *response)
{
	struct server *server = context;
	(void)arena;
	assert_string_equal(request->content_type, "application/tlsrpt+gzip");
	assert_true(slice_eq_str(request->content, "report"));
	assert_string_equal(request->path, "/x");
	server->n_calls++;
	*response = (struct https_response){
	        .failure = server->failure, .status = server->status, .body = slice_empty()};
	snprintf(response->why, sizeof(response->why), "as the test wants");
}

/* DENIED and TEMPORARY say surely that nothing was taken; BUSY that nobody knows. */
static void outcomes_are_told_apart(void **state)
{
	static const struct {
		enum https_failure failure;
		unsigned status;
		enum err outcome;
	} cases[] = {
	        {HTTPS_OK, 200, ERR_OK},
	        {HTTPS_OK, 201, ERR_OK},
	        {HTTPS_UNREACHABLE, 0, ERR_TEMPORARY},
	        {HTTPS_CERTIFICATE, 0, ERR_TEMPORARY},
	        {HTTPS_TLS, 0, ERR_TEMPORARY},
	        {HTTPS_LOCAL, 0, ERR_TEMPORARY},
	        {HTTPS_STATUS, 503, ERR_TEMPORARY},
	        {HTTPS_STATUS, 429, ERR_TEMPORARY},
	        {HTTPS_STATUS, 404, ERR_DENIED},
	        {HTTPS_REDIRECT, 302, ERR_DENIED},
	        {HTTPS_TIMEOUT, 0, ERR_BUSY},
	        {HTTPS_PROTOCOL, 0, ERR_BUSY},
	        {HTTPS_SIZE, 0, ERR_BUSY},
	};
	struct server server = {.n_calls = 0};
	const struct https_fetcher fetcher = {.fetch = answer, .context = &server};
	const struct courier_options options = {
	        .clock = clock_real(), .bundle_fd = -1, .fetcher = &fetcher};
	struct courier *courier = courier_new(&options);
	const struct courier_uri uri = {"a.example", 443, "/x"}, gone = {"b.example", 443, "/x"};
	struct dns_table table;
	struct arena arena;
	(void)state;
	dns_table_init(&table);
	dns_table_add_lines(&table, "a.example A 192.0.2.1\n");
	arena_init(&arena, (size_t)16 << 20);
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		server.failure = cases[i].failure;
		server.status = cases[i].status;
		struct status status =
		        courier_post(courier, &table.resolver, &uri, SLICE("report"), &arena);
		assert_string_equal(err_name(status.code), err_name(cases[i].outcome));
	}
	assert_int_equal(server.n_calls, N_ELEMENTS(cases));
	assert_int_equal(
	        courier_post(courier, &table.resolver, &gone, SLICE("report"), &arena).code,
	        ERR_TEMPORARY);
	assert_int_equal(server.n_calls, N_ELEMENTS(cases));
	arena_done(&arena);
	dns_table_done(&table);
	courier_free(courier);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(uris_are_read_strictly),
	        cmocka_unit_test(outcomes_are_told_apart),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
