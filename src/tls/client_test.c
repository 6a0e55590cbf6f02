/* The client side against libssl servers: whom it believes, what it records, how it fails. */
#include "tls/certs_testing.h"
#include "tls/client.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>

/* libssl's macros cast constants. */
#pragma GCC diagnostic ignored "-Wcast-qual"

/* --- fixture --- */

enum { LEAF, CHAINED, EXPIRED, NAMED_BY_CN, LONELY, N_LEAVES };

struct fixture {
	struct tls_library *library;
	struct tls_test_cert root, middle, other_root;
	struct tls_test_cert leaves[N_LEAVES];
	SSL_CTX *server;
	struct tls_authorities *authorities;
	struct tls_client *client;
};

static struct tls_authorities *authorities_of(const struct tls_test_cert *cert)
{
	struct buf pem;
	buf_init(&pem, 100000);
	tls_test_cert_print(cert, &pem);
	struct tls_authorities *authorities = tls_authorities_new(NULL);
	tls_authorities_set_text(authorities, buf_slice(&pem));
	buf_done(&pem);
	return authorities;
}

static int set_up(void **state)
{
	struct fixture *f = base_alloc(sizeof(*f));
	*state = f;
	f->library = tls_library_new();
	f->root = TLS_TEST_CERT(.common_name = "Test Root", .is_ca = true, .days = 30);
	f->other_root = TLS_TEST_CERT(.common_name = "Other Root", .is_ca = true, .days = 30);
	f->middle = TLS_TEST_CERT(.common_name = "Test Middle", .issuer = &f->root, .is_ca = true,
	                          .days = 30);
	f->leaves[LEAF] =
	        TLS_TEST_CERT(.common_name = "x", .issuer = &f->root,
	                      .alt_names = "DNS:mx.example,DNS:*.wild.example,IP:192.0.2.1,IP:::1",
	                      .days = 30);
	f->leaves[CHAINED] = TLS_TEST_CERT(.common_name = "x", .issuer = &f->middle,
	                                   .alt_names = "DNS:mx.example", .days = 30);
	f->leaves[EXPIRED] = TLS_TEST_CERT(.common_name = "x", .issuer = &f->root,
	                                   .alt_names = "DNS:mx.example", .days = -1);
	f->leaves[NAMED_BY_CN] =
	        TLS_TEST_CERT(.common_name = "mx.example", .issuer = &f->root, .days = 30);
	f->leaves[LONELY] =
	        TLS_TEST_CERT(.common_name = "x", .alt_names = "DNS:mx.example", .days = 30);
	f->authorities = authorities_of(&f->root);
	f->client = tls_client_new(f->library, f->authorities);
	f->server = SSL_CTX_new(TLS_server_method());
	SSL_CTX_set_security_level(f->server, 0);
	SSL_CTX_set_session_id_context(f->server, (const uint8_t *)"t", 1);
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;
	tls_client_unref(f->client);
	tls_authorities_unref(f->authorities);
	SSL_CTX_free(f->server);
	tls_test_cert_free(&f->root);
	tls_test_cert_free(&f->other_root);
	tls_test_cert_free(&f->middle);
	for (size_t i = 0; i < N_LEAVES; i++)
		tls_test_cert_free(&f->leaves[i]);
	tls_library_free(f->library);
	base_free(f);
	return 0;
}

static void serve_with(struct fixture *f, unsigned leaf)
{
	SSL_CTX_clear_chain_certs(f->server);
	assert_int_equal(SSL_CTX_use_certificate(f->server, f->leaves[leaf].x509), 1);
	assert_int_equal(SSL_CTX_use_PrivateKey(f->server, f->leaves[leaf].key), 1);
	if (leaf == CHAINED)
		assert_int_equal(SSL_CTX_add1_chain_cert(f->server, f->middle.x509), 1);
}

/* --- a server in a thread --- */

static struct status connect_tls(struct fixture *f, struct tls_test_server *s,
                                 struct tls_client *client, const struct tls_target *target,
                                 struct tls_client_stream *c)
{
	int fds[2];
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	s->context = f->server;
	s->fd = fds[1];
	tls_test_server_start(s);
	tls_client_stream_init(c, fds[0], client, target);
	c->t.stream.timeout_ms = 5000;
	return stream_start_tls(&c->t.stream);
}

static void end(struct tls_test_server *s, struct tls_client_stream *c)
{
	stream_shutdown(&c->t.stream);
	tls_client_stream_done(c);
	tls_test_server_join(s);
}

static void read_hello(struct tls_client_stream *c)
{
	struct slice line;
	bool crlf;
	assert_true(is_ok(stream_read_line(&c->t.stream, 100, &line, &crlf)));
	assert_true(slice_eq_str(line, "250 hello"));
	assert_true(is_ok(stream_write(&c->t.stream, SLICE("QUIT\r\n"))));
	assert_true(is_ok(stream_flush(&c->t.stream)));
}

/* --- whom it believes --- */

static const struct trust_case {
	unsigned leaf;
	const char *name;
	const char *why; /* part of it; "": verified */
} trust_cases[] = {
        {LEAF, "mx.example", ""},
        {LEAF, "MX.Example", ""},
        {LEAF, "a.wild.example", ""},
        {LEAF, "192.0.2.1", ""},
        {LEAF, "::1", ""},
        {CHAINED, "mx.example", ""},
        {LEAF, "other.example", "hostname mismatch"},
        {LEAF, "x", "hostname mismatch"},
        {LEAF, "wild.example", "hostname mismatch"},
        {LEAF, "a.b.wild.example", "hostname mismatch"},
        {LEAF, "192.0.2.2", "IP address mismatch"},
        {EXPIRED, "mx.example", "expired"},
        {NAMED_BY_CN, "mx.example", "hostname mismatch"},
        {LONELY, "mx.example", "self-signed"},
};

static void a_certificate_is_verified_or_the_reason_is_kept(void **state)
{
	struct fixture *f = *state;
	for (size_t i = 0; i < N_ELEMENTS(trust_cases); i++) {
		const struct trust_case *c = &trust_cases[i];
		bool good = !*c->why;
		serve_with(f, c->leaf);
		for (unsigned verified = 0; verified < 2; verified++) {
			struct tls_test_server server = {0};
			struct tls_client_stream stream;
			const struct tls_target target = {.name = c->name, .verified = verified};
			struct status status = connect_tls(f, &server, f->client, &target, &stream);
			struct tls_verdict verdict = tls_client_stream_verdict(&stream);
			if (!verified || good) {
				assert_true(is_ok(status));
				assert_int_equal(verdict.verified, good);
				assert_non_null(strstr(verdict.why, c->why));
				assert_string_equal(stream.t.stream.tls.version, "TLSv1.3");
				read_hello(&stream);
			} else {
				assert_int_equal(status.code, ERR_TLS);
				assert_non_null(strstr(status.why, c->why));
				assert_false(verdict.verified);
			}
			end(&server, &stream);
			if (is_ok(status) && c->name[0] >= 'a')
				assert_string_equal(server.name, c->name);
			if (is_ok(status) && c->name[0] < 'A')
				assert_string_equal(server.name, ""); /* RFC 6066: no addresses */
		}
	}
}

static void nothing_is_verified_without_authorities(void **state)
{
	struct fixture *f = *state;
	struct tls_authorities *others = authorities_of(&f->other_root);
	struct tls_client *clients[] = {tls_client_new(f->library, NULL),
	                                tls_client_new(f->library, others)};
	serve_with(f, LEAF);
	for (size_t i = 0; i < N_ELEMENTS(clients); i++) {
		struct tls_test_server server = {0};
		struct tls_client_stream stream;
		struct tls_target target = {.name = "mx.example", .verified = true};
		struct status status = connect_tls(f, &server, clients[i], &target, &stream);
		assert_int_equal(status.code, ERR_TLS);
		assert_non_null(strstr(status.why, "issuer certificate"));
		end(&server, &stream);
		target.verified = false;
		server = (struct tls_test_server){0};
		assert_true(is_ok(connect_tls(f, &server, clients[i], &target, &stream)));
		assert_false(tls_client_stream_verdict(&stream).verified);
		end(&server, &stream);
		tls_client_unref(clients[i]);
	}
	tls_authorities_unref(others);
}

static void a_certificate_may_be_trusted_by_itself(void **state)
{
	struct fixture *f = *state;
	const unsigned leaves[] = {LONELY, LEAF};
	for (size_t i = 0; i < N_ELEMENTS(leaves); i++) {
		struct tls_authorities *own = authorities_of(&f->leaves[leaves[i]]);
		struct tls_client *client = tls_client_new(f->library, own);
		struct tls_test_server server = {0};
		struct tls_client_stream stream;
		struct tls_target target = {.name = "mx.example", .verified = true};
		serve_with(f, leaves[i]);
		assert_true(is_ok(connect_tls(f, &server, client, &target, &stream)));
		assert_true(tls_client_stream_verdict(&stream).verified);
		end(&server, &stream);
		target.name = "other.example"; /* its name must be right all the same */
		server = (struct tls_test_server){0};
		assert_int_equal(connect_tls(f, &server, client, &target, &stream).code, ERR_TLS);
		end(&server, &stream);
		tls_client_unref(client);
		tls_authorities_unref(own);
	}
}

/* --- versions, noise, deadlines --- */

static void old_versions_are_refused(void **state)
{
	struct fixture *f = *state;
	struct tls_client_stream stream;
	serve_with(f, LEAF);
	for (unsigned verified = 0; verified < 2; verified++) {
		struct tls_test_server server = {0};
		const struct tls_target target = {.name = "mx.example", .verified = verified};
		SSL_CTX_set_min_proto_version(f->server, TLS1_VERSION);
		SSL_CTX_set_max_proto_version(f->server, TLS1_1_VERSION);
		assert_int_equal(connect_tls(f, &server, f->client, &target, &stream).code,
		                 ERR_TLS);
		end(&server, &stream);
		SSL_CTX_set_max_proto_version(f->server, TLS1_2_VERSION);
		server = (struct tls_test_server){0};
		assert_true(is_ok(connect_tls(f, &server, f->client, &target, &stream)));
		assert_string_equal(stream.t.stream.tls.version, "TLSv1.2");
		end(&server, &stream);
	}
}

static void weak_ciphers_serve_opportunistic_connections_only(void **state)
{
	struct fixture *f = *state;
	struct tls_client_stream stream;
	struct tls_test_server server = {0};
	struct tls_target target = {.name = "mx.example", .verified = true};
	serve_with(f, LEAF);
	SSL_CTX_set_max_proto_version(f->server, TLS1_2_VERSION);
	assert_int_equal(SSL_CTX_set_cipher_list(f->server, "ECDHE-ECDSA-AES128-SHA"), 1);
	assert_int_equal(connect_tls(f, &server, f->client, &target, &stream).code, ERR_TLS);
	end(&server, &stream);
	target.verified = false;
	server = (struct tls_test_server){0};
	assert_true(is_ok(connect_tls(f, &server, f->client, &target, &stream)));
	assert_true(tls_client_stream_verdict(&stream).verified); /* but it was not asked for */
	end(&server, &stream);
}

static void a_server_that_speaks_no_tls_is_a_tls_failure(void **state)
{
	struct fixture *f = *state;
	static const struct {
		struct slice noise;
		bool close_at_once;
		enum err code;
	} cases[] = {
	        {SLICE("454 TLS not available\r\n"), false, ERR_TLS},
	        {SLICE("454 TLS not available\r\n"), true, ERR_TLS},
	        {SLICE("\x15\x03\x01\x00\x02\x02\x28"), false,
	         ERR_TLS}, /* alert: handshake_failure */
	        {SLICE("\x16\x03\x03\xff\xff"), false, ERR_TLS},
	        {SLICE(""), true, ERR_TLS},
	        {SLICE(""), false, ERR_TIMEOUT},
	};
	const struct tls_target target = {.name = "mx.example"};
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		int fds[2];
		struct tls_client_stream stream;
		struct tls_test_server server = {.noise = cases[i].noise,
		                                 .is_noise = true,
		                                 .close_at_once = cases[i].close_at_once};
		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
		server.fd = fds[1];
		tls_test_server_start(&server);
		tls_client_stream_init(&stream, fds[0], f->client, &target);
		stream.t.stream.timeout_ms = 200;
		struct status status = stream_start_tls(&stream.t.stream);
		assert_int_equal(status.code, cases[i].code);
		assert_false(tls_client_stream_verdict(&stream).verified);
		end(&server, &stream);
	}
}

/* --- bindings and sessions --- */

static void both_ends_have_the_same_bindings(void **state)
{
	struct fixture *f = *state;
	const struct tls_target target = {.name = "mx.example", .session = "25"};
	uint8_t value[TLS_BINDING_MAX], end_point[32];
	size_t n;
	unsigned n_end_point;
	serve_with(f, LEAF);
	SSL_CTX_set_max_proto_version(f->server, TLS1_2_VERSION);
	X509_digest(f->leaves[LEAF].x509, EVP_sha256(), end_point, &n_end_point);
	for (unsigned round = 0; round < 3; round++) {
		struct tls_test_server server = {0};
		struct tls_client_stream stream;
		if (round == 2)
			SSL_CTX_set_max_proto_version(f->server, TLS1_3_VERSION);
		assert_true(is_ok(connect_tls(f, &server, f->client, &target, &stream)));
		read_hello(&stream);
		uint8_t unique[TLS_BINDING_MAX];
		size_t n_unique = 0;
		struct status has_unique =
		        tls_stream_binding(&stream.t, TLS_BINDING_UNIQUE, unique, &n_unique);
		assert_true(is_ok(tls_stream_binding(&stream.t, TLS_BINDING_EXPORTER, value, &n)));
		assert_int_equal(n, 32);
		uint8_t exporter[32];
		memcpy(exporter, value, 32);
		assert_true(is_ok(
		        tls_stream_binding(&stream.t, TLS_BINDING_SERVER_END_POINT, value, &n)));
		assert_int_equal(n, 32);
		assert_memory_equal(value, end_point, 32);
		end(&server, &stream);
		assert_memory_equal(exporter, server.exporter, 32);
		assert_int_equal(server.resumed, round == 1);
		assert_int_equal(is_ok(has_unique), round < 2);
		if (round < 2) {
			assert_int_equal(n_unique, server.n_finished);
			assert_memory_equal(unique, server.finished, n_unique);
		}
	}
}

static bool resumes(struct fixture *f, const char *name, const char *session, bool verified)
{
	struct tls_test_server server = {0};
	struct tls_client_stream stream;
	const struct tls_target target = {.name = name, .verified = verified, .session = session};
	assert_true(is_ok(connect_tls(f, &server, f->client, &target, &stream)));
	bool resumed = tls_client_stream_verdict(&stream).resumed;
	assert_true(tls_client_stream_verdict(&stream).verified);
	read_hello(&stream); /* with it the ticket */
	end(&server, &stream);
	assert_int_equal(server.resumed, resumed);
	return resumed;
}

static void sessions_are_resumed_for_the_same_target_only(void **state)
{
	struct fixture *f = *state;
	serve_with(f, LEAF);
	for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
		char session[10];
		snprintf(session, sizeof(session), "%d", version);
		SSL_CTX_set_max_proto_version(f->server, version);
		assert_false(resumes(f, "mx.example", session, false));
		assert_true(resumes(f, "mx.example", session, false));
		assert_true(resumes(f, "mx.example", session, false));
		assert_false(resumes(f, "mx.example", session, true)); /* another policy */
		assert_true(resumes(f, "mx.example", session, true));
		assert_false(resumes(f, "a.wild.example", session, true));
		assert_false(resumes(f, "mx.example", "26", version == TLS1_2_VERSION));
		assert_false(resumes(f, "mx.example", NULL, true));
		assert_false(resumes(f, "mx.example", NULL, true));
	}
}

static void kept_sessions_are_bounded(void **state)
{
	struct fixture *f = *state;
	char session[20];
	serve_with(f, LEAF);
	for (unsigned i = 0; i < TLS_CLIENT_SESSIONS_MAX + 3; i++) {
		snprintf(session, sizeof(session), "%u", i);
		assert_false(resumes(f, "mx.example", session, false));
	}
	assert_false(resumes(f, "mx.example", "0", false)); /* the oldest gave way */
	assert_true(resumes(f, "mx.example", session, false));
}

/* --- authorities --- */

static void a_bundle_is_read_around_its_damage(void **state)
{
	struct fixture *f = *state;
	struct buf pem;
	buf_init(&pem, 1000000);
	buf_add_str(&pem, "# comment\n-----BEGIN CERTIFICATE-----\nAAAA\n-----END "
	                  "CERTIFICATE-----\n");
	tls_test_cert_print(&f->other_root, &pem);
	buf_add_str(&pem, "-----BEGIN CERTIFICATE-----\n!!!!\n-----END CERTIFICATE-----\n"
	                  "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n");
	tls_test_cert_print(&f->root, &pem);
	buf_add_str(&pem, "-----BEGIN CERTIFICATE-----\ncut off");
	int fd = memfd_create("bundle", MFD_CLOEXEC);
	assert_int_equal(write(fd, pem.p, pem.n), (ssize_t)pem.n);
	struct tls_authorities *file = tls_authorities_new(NULL);
	tls_authorities_set_file(file, fd);
	struct tls_authorities *child = tls_authorities_new(file);
	tls_authorities_set_text(child, buf_slice(&pem));
	assert_int_equal(tls_authorities_count(file), 2);
	assert_int_equal(tls_authorities_count(child), 4);
	STACK_OF(X509) *found = sk_X509_new_null();
	tls_authorities_find(child, NULL, X509_get_subject_name(f->root.x509), found);
	assert_int_equal(sk_X509_num(found), 2);
	assert_int_equal(X509_cmp(sk_X509_value(found, 0), f->root.x509), 0);
	tls_authorities_find(child, NULL, X509_get_subject_name(f->middle.x509), found);
	assert_int_equal(sk_X509_num(found), 2);
	sk_X509_pop_free(found, X509_free);
	tls_authorities_unref(file); /* the child keeps it */
	assert_int_equal(tls_authorities_count(child), 4);
	tls_authorities_unref(child);
	buf_done(&pem);
}

static void sources_that_cannot_be_read_are_empty(void **state)
{
	struct fixture *f = *state;
	struct tls_authorities *a = tls_authorities_new(NULL);
	assert_int_equal(tls_authorities_count(a), 0);
	tls_authorities_set_text(a, SLICE(""));
	assert_int_equal(tls_authorities_count(a), 0);
	tls_authorities_set_text(a, SLICE("-----BEGIN CERTIFICATE-----"));
	assert_int_equal(tls_authorities_count(a), 0);
	int fds[2];
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	tls_authorities_set_file(a, fds[0]);
	close(fds[1]);
	assert_int_equal(tls_authorities_count(a), 0);
	/* A file that became shorter after it was indexed. */
	struct buf pem;
	buf_init(&pem, 100000);
	tls_test_cert_print(&f->root, &pem);
	int fd = memfd_create("bundle", MFD_CLOEXEC);
	assert_int_equal(write(fd, pem.p, pem.n), (ssize_t)pem.n);
	tls_authorities_set_file(a, fd);
	assert_int_equal(tls_authorities_count(a), 1);
	assert_int_equal(ftruncate(fd, 100), 0);
	STACK_OF(X509) *found = sk_X509_new_null();
	tls_authorities_find(a, NULL, X509_get_subject_name(f->root.x509), found);
	assert_int_equal(sk_X509_num(found), 0);
	sk_X509_free(found);
	tls_authorities_unref(a);
	buf_done(&pem);
}

int main(void)
{
#define WITH_FIXTURE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
	const struct CMUnitTest tests[] = {
	        WITH_FIXTURE(a_certificate_is_verified_or_the_reason_is_kept),
	        WITH_FIXTURE(nothing_is_verified_without_authorities),
	        WITH_FIXTURE(a_certificate_may_be_trusted_by_itself),
	        WITH_FIXTURE(old_versions_are_refused),
	        WITH_FIXTURE(weak_ciphers_serve_opportunistic_connections_only),
	        WITH_FIXTURE(a_server_that_speaks_no_tls_is_a_tls_failure),
	        WITH_FIXTURE(both_ends_have_the_same_bindings),
	        WITH_FIXTURE(sessions_are_resumed_for_the_same_target_only),
	        WITH_FIXTURE(kept_sessions_are_bounded),
	        WITH_FIXTURE(a_bundle_is_read_around_its_damage),
	        WITH_FIXTURE(sources_that_cannot_be_read_are_empty),
	};
	signal(SIGPIPE, SIG_IGN); /* the servers' sockets are libssl's */
	return cmocka_run_group_tests(tests, NULL, NULL);
}
