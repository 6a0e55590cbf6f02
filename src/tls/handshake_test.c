/* Handshakes of our contexts with stock libssl clients, all signatures through the signer. */
#include "tls/testing.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>

struct fixture {
	struct tls_library *library;
	struct tls_test_keys keys; /* 0 ECDSA P-256, 1 RSA, 2 Ed25519, 3 P-384 for another name */
	struct tls_context *context;
	struct arena arena;
};

static struct status make_context(struct fixture *f, struct tls_context_options *options)
{
	const struct tls_site_certificate first[] = {
	        {slice_str(f->keys.pems[0]), tls_test_key_id(0)},
	        {slice_str(f->keys.pems[1]), tls_test_key_id(1)},
	        {slice_str(f->keys.pems[2]), tls_test_key_id(2)},
	};
	const struct tls_site_certificate second[] = {
	        {slice_str(f->keys.pems[3]), tls_test_key_id(3)}};
	const struct tls_site sites[] = {
	        {.label = "first", .certificates = first, .n_certificates = 3},
	        {.label = "second", .certificates = second, .n_certificates = 1},
	};
	options->sites = sites;
	options->n_sites = 2;
	options->signer = &f->keys.signer;
	options->clock = &tls_test_clock;
	tls_context_unref(f->context);
	f->context = NULL;
	return tls_context_new(f->library, options, &f->context, &f->arena);
}

static int set_up(void **state)
{
	struct fixture *f = base_alloc(sizeof(*f));
	*state = f;
	arena_init(&f->arena, (size_t)MIB);
	f->library = tls_library_new();
	tls_test_keys_init(&f->keys);
	tls_test_keys_add(&f->keys, 0, TLS_KEY_EC_P256, "mail.example.org *.wild.example");
	tls_test_keys_add(&f->keys, 1, TLS_KEY_RSA_2048, "mail.example.org");
	tls_test_keys_add(&f->keys, 2, TLS_KEY_ED25519, "mail.example.org");
	tls_test_keys_add(&f->keys, 3, TLS_KEY_EC_P384, "other.example.net 192.0.2.1 2001:db8::1");
	struct tls_context_options options = {.n_alpn = 0};
	assert_true(is_ok(make_context(f, &options)));
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;
	tls_context_unref(f->context);
	tls_test_keys_done(&f->keys);
	tls_library_free(f->library);
	arena_done(&f->arena);
	base_free(f);
	return 0;
}

/* A server that shakes hands and echoes one line; what start_tls gave. */
static struct status serve(struct fixture *f, struct tls_test_client *c, struct tls_stream *t)
{
	int fds[2];
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	c->fd = fds[1];
	c->echo = true;
	tls_test_client_start(c);
	tls_stream_init(t, fds[0], f->context);
	t->stream.timeout_ms = 5000;
	struct status status = stream_start_tls(&t->stream);
	struct slice line;
	bool crlf;
	if (is_ok(status) && is_ok(stream_read_line(&t->stream, 100, &line, &crlf)))
		assert_true(is_ok(stream_printf(&t->stream, "you said %.*s", SLICE_FMT(line))));
	stream_shutdown(&t->stream);
	return status;
}

static struct status serve_once(struct fixture *f, struct tls_test_client *c)
{
	struct tls_stream t;
	struct status status = serve(f, c, &t);
	tls_stream_done(&t);
	tls_test_client_join(c);
	return status;
}

static void every_version_and_key_shakes_hands(void **state)
{
	struct fixture *f = *state;
	static const struct {
		int version;
		const char *signatures, *ciphers, *server_name, *key;
	} cases[] = {
	        {TLS1_3_VERSION, NULL, NULL, "mail.example.org", "EC"},
	        {TLS1_3_VERSION, "ECDSA+SHA256", NULL, "mail.example.org", "EC"},
	        {TLS1_3_VERSION, "RSA-PSS+SHA256", NULL, "mail.example.org", "RSA"},
	        {TLS1_3_VERSION, "RSA-PSS+SHA384", NULL, "mail.example.org", "RSA"},
	        {TLS1_3_VERSION, "RSA-PSS+SHA512", NULL, "mail.example.org", "RSA"},
	        {TLS1_3_VERSION, "ed25519", NULL, "mail.example.org", "ED25519"},
	        {TLS1_3_VERSION, NULL, NULL, "other.example.net", "EC"},
	        {TLS1_2_VERSION, NULL, NULL, "mail.example.org", "EC"},
	        {TLS1_2_VERSION, NULL, "ECDHE-RSA-AES128-GCM-SHA256", "mail.example.org", "RSA"},
	        {TLS1_2_VERSION, "RSA+SHA256", "ECDHE-RSA-AES256-GCM-SHA384", "mail.example.org",
	         "RSA"},
	        {TLS1_2_VERSION, "RSA-PSS+SHA256", "ECDHE-RSA-CHACHA20-POLY1305",
	         "mail.example.org", "RSA"},
	        {TLS1_2_VERSION, "RSA+SHA512", "ECDHE-RSA-AES256-GCM-SHA384", "mail.example.org",
	         "RSA"},
	        {TLS1_2_VERSION, "ECDSA+SHA512", "ECDHE-ECDSA-AES256-GCM-SHA384",
	         "mail.example.org", "EC"},
	        {TLS1_2_VERSION, NULL, NULL, "other.example.net", "EC"},
	        {0, NULL, NULL, NULL, "EC"},
	};
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		struct tls_test_client c = {.version = cases[i].version,
		                            .signatures = cases[i].signatures,
		                            .ciphers = cases[i].ciphers,
		                            .server_name = cases[i].server_name};
		unsigned before = atomic_load(&f->keys.n_signed);
		struct status status = serve_once(f, &c);
		if (!is_ok(status))
			print_error("case %zu: %s / %s\n", i, status.why, c.error);
		assert_true(is_ok(status) && c.connected);
		assert_string_equal(c.subject_key, cases[i].key);
		assert_string_equal(c.answer, "you said hello");
		assert_true(c.clean_end);
		assert_int_equal(atomic_load(&f->keys.n_signed), before + 1);
	}
	assert_false(atomic_load(&f->keys.unsignable_seen));
}

static void certificates_follow_the_name(void **state)
{
	struct fixture *f = *state;
	static const struct {
		const char *asked, *common_name;
	} cases[] = {
	        {NULL, "mail.example.org"},
	        {"mail.example.org", "mail.example.org"},
	        {"MAIL.Example.ORG", "mail.example.org"},
	        {"other.example.net", "other.example.net"},
	        {"other.example.net.", "other.example.net"},
	        {"a.wild.example", "mail.example.org"},
	        {"unknown.example", "mail.example.org"},
	};
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		struct tls_test_client c = {.server_name = cases[i].asked};
		assert_true(is_ok(serve_once(f, &c)));
		assert_string_equal(c.server_common_name, cases[i].common_name);
	}
}

static void strict_names_refuse_strangers(void **state)
{
	struct fixture *f = *state;
	struct tls_context_options options = {.strict_names = true};
	assert_true(is_ok(make_context(f, &options)));
	struct tls_test_client known = {.server_name = "other.example.net"};
	assert_true(is_ok(serve_once(f, &known)));
	struct tls_test_client unknown = {.server_name = "unknown.example"};
	assert_int_equal(serve_once(f, &unknown).code, ERR_TLS);
	assert_string_equal(unknown.error, "tlsv1 unrecognized name");
	struct tls_context_options lax = {.strict_names = false};
	assert_true(is_ok(make_context(f, &lax)));
}

static void weak_offers_are_refused(void **state)
{
	struct fixture *f = *state;
	static const struct {
		int version;
		const char *ciphers, *signatures;
	} cases[] = {
	        {TLS1_VERSION, "DEFAULT:@SECLEVEL=0", NULL},
	        {TLS1_1_VERSION, "DEFAULT:@SECLEVEL=0", NULL},
	        {TLS1_2_VERSION, "AES256-GCM-SHA384", NULL},            /* RSA key exchange */
	        {TLS1_2_VERSION, "ECDHE-RSA-AES256-SHA384", NULL},      /* CBC */
	        {TLS1_2_VERSION, "DHE-RSA-AES256-GCM-SHA384", NULL},    /* finite field */
	        {TLS1_2_VERSION, "AECDH-AES256-SHA:@SECLEVEL=0", NULL}, /* nobody signs */
	        {TLS1_2_VERSION, "ECDHE-RSA-AES256-GCM-SHA384:@SECLEVEL=0", "RSA+SHA1"},
	};
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		struct tls_test_client c = {.version = cases[i].version,
		                            .ciphers = cases[i].ciphers,
		                            .signatures = cases[i].signatures};
		assert_int_equal(serve_once(f, &c).code, ERR_TLS);
		assert_false(c.connected);
	}
}

static void a_bad_signer_ends_the_handshake_only(void **state)
{
	struct fixture *f = *state;
	static const enum tls_test_fault faults[] = {TLS_TEST_FAILS, TLS_TEST_GARBAGE,
	                                             TLS_TEST_EMPTY, TLS_TEST_TOO_LONG};
	static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
	static const char *const signatures[] = {"ECDSA+SHA256", "RSA-PSS+SHA256", "ed25519"};
	for (size_t i = 0; i < 4 * 2 * 3; i++) {
		struct tls_test_client c = {.version = versions[i % 2],
		                            .signatures = signatures[i / 2 % 3]};
		f->keys.fault = faults[i / 6];
		assert_false(is_ok(serve_once(f, &c)));
		assert_false(c.connected);
		f->keys.fault = TLS_TEST_GOOD;
		struct tls_test_client next = {.version = versions[i % 2]};
		assert_true(is_ok(serve_once(f, &next)));
	}
}

static void a_slow_signer_is_waited_for_up_to_the_deadline(void **state)
{
	struct fixture *f = *state;
	f->keys.fault = TLS_TEST_SLOW;
	struct tls_test_client patient = {.version = TLS1_3_VERSION};
	assert_true(is_ok(serve_once(f, &patient)));
	int fds[2];
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	struct tls_test_client c = {.fd = fds[1]};
	struct tls_stream t;
	tls_test_client_start(&c);
	tls_stream_init(&t, fds[0], f->context);
	t.stream.timeout_ms = 100;
	assert_int_equal(stream_start_tls(&t.stream).code, ERR_TIMEOUT);
	tls_stream_done(&t);
	tls_test_client_join(&c);
	f->keys.fault = TLS_TEST_GOOD;
}

static void bindings_are_the_same_on_both_sides(void **state)
{
	struct fixture *f = *state;
	static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
	for (size_t i = 0; i < 2; i++) {
		struct tls_test_client c = {.version = versions[i],
		                            .server_name = "other.example.net"};
		struct tls_stream t;
		uint8_t exporter[TLS_BINDING_MAX], end_point[TLS_BINDING_MAX],
		        unique[TLS_BINDING_MAX];
		size_t n_exporter = 0, n_end_point = 0, n_unique = 0;
		assert_true(is_ok(serve(f, &c, &t)));
		assert_true(
		        is_ok(tls_stream_binding(&t, TLS_BINDING_EXPORTER, exporter, &n_exporter)));
		assert_true(is_ok(tls_stream_binding(&t, TLS_BINDING_SERVER_END_POINT, end_point,
		                                     &n_end_point)));
		struct status status =
		        tls_stream_binding(&t, TLS_BINDING_UNIQUE, unique, &n_unique);
		assert_string_equal(t.stream.tls.version, i == 0 ? "TLSv1.2" : "TLSv1.3");
		assert_string_equal(t.stream.tls.server_name, "other.example.net");
		tls_stream_done(&t);
		tls_test_client_join(&c);
		assert_string_equal(c.cipher, i == 0 ? "ECDHE-ECDSA-AES128-GCM-SHA256"
		                                     : "TLS_AES_128_GCM_SHA256");
		assert_int_equal(n_exporter, 32);
		assert_memory_equal(exporter, c.exporter, 32);
		assert_int_equal(n_end_point, c.n_end_point);
		assert_memory_equal(end_point, c.end_point, n_end_point);
		assert_int_equal(status.code, i == 0 ? ERR_OK : ERR_NOT_FOUND);
		if (i == 0)
			assert_memory_equal(unique, c.finished, c.n_finished);
	}
}

static void tickets_resume_only_where_allowed(void **state)
{
	struct fixture *f = *state;
	static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
	for (size_t i = 0; i < 4; i++) {
		struct tls_context_options options = {.ticket_key_s = i < 2 ? 3600 : 0};
		assert_true(is_ok(make_context(f, &options)));
		struct tls_test_client c = {.version = versions[i % 2], .keep_session = true};
		assert_true(is_ok(serve_once(f, &c)));
		assert_false(c.resumed);
		unsigned before = atomic_load(&f->keys.n_signed);
		assert_true(is_ok(serve_once(f, &c)));
		assert_int_equal(c.resumed, i < 2);
		assert_int_equal(atomic_load(&f->keys.n_signed) - before, i < 2 ? 0 : 1);
		/* A new context knows none of the old one's tickets. */
		assert_true(is_ok(make_context(f, &options)));
		assert_true(is_ok(serve_once(f, &c)));
		assert_false(c.resumed);
		tls_test_client_done(&c);
	}
}

static void alpn_chooses_or_refuses(void **state)
{
	struct fixture *f = *state;
	static const char *const protocols[] = {"smtp", "imap"};
	struct tls_context_options options = {.alpn = protocols, .n_alpn = 2};
	assert_true(is_ok(make_context(f, &options)));
	struct tls_test_client silent = {.alpn = NULL}, imap = {.alpn = "imap"},
	                       http = {.alpn = "h2"};
	assert_true(is_ok(serve_once(f, &silent)));
	assert_string_equal(silent.alpn_chosen, "");
	assert_true(is_ok(serve_once(f, &imap)));
	assert_string_equal(imap.alpn_chosen, "imap");
	assert_int_equal(serve_once(f, &http).code, ERR_TLS);
	struct tls_context_options none = {.n_alpn = 0};
	assert_true(is_ok(make_context(f, &none)));
}

static void old_connections_survive_a_reload(void **state)
{
	struct fixture *f = *state;
	struct tls_test_client c = {.version = 0};
	struct tls_stream t;
	assert_true(is_ok(serve(f, &c, &t)));
	struct tls_context_options options = {.tls13_only = true};
	assert_true(is_ok(make_context(f, &options)));
	assert_true(stream_write(&t.stream, SLICE("still here\r\n")).code != ERR_INVALID);
	tls_stream_done(&t);
	tls_test_client_join(&c);
	struct tls_test_client old = {.version = TLS1_2_VERSION};
	assert_int_equal(serve_once(f, &old).code, ERR_TLS);
	struct tls_context_options lax = {.tls13_only = false};
	assert_true(is_ok(make_context(f, &lax)));
}

static void unusable_certificates_are_named(void **state)
{
	struct fixture *f = *state;
	static const struct {
		const char *pem, *why;
	} cases[] = {
	        {"", "cert.pem: no certificate in PEM form found"},
	        {"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
	         "cert.pem: certificate is damaged"},
	};
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		const struct tls_site_certificate certificate = {slice_str(cases[i].pem),
		                                                 tls_test_key_id(0)};
		const struct tls_site site = {
		        .label = "cert.pem", .certificates = &certificate, .n_certificates = 1};
		const struct tls_context_options options = {
		        .sites = &site, .n_sites = 1, .signer = &f->keys.signer};
		struct tls_context *context = NULL;
		struct status status = tls_context_new(f->library, &options, &context, &f->arena);
		assert_int_equal(status.code, ERR_INVALID);
		assert_string_equal(status.why, cases[i].why);
		assert_null(context);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(every_version_and_key_shakes_hands),
	        cmocka_unit_test(certificates_follow_the_name),
	        cmocka_unit_test(strict_names_refuse_strangers),
	        cmocka_unit_test(weak_offers_are_refused),
	        cmocka_unit_test(a_bad_signer_ends_the_handshake_only),
	        cmocka_unit_test(a_slow_signer_is_waited_for_up_to_the_deadline),
	        cmocka_unit_test(bindings_are_the_same_on_both_sides),
	        cmocka_unit_test(tickets_resume_only_where_allowed),
	        cmocka_unit_test(alpn_chooses_or_refuses),
	        cmocka_unit_test(old_connections_survive_a_reload),
	        cmocka_unit_test(unusable_certificates_are_named),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
