/* GNU SASL as the other side, over TLS by GnuTLS: the program logs in to a small IMAP server made
 * of our stream and our exchange, in clear and bound to the channel. Skipped where it is not
 * installed (Debian: gsasl). */
#include "sasl/testing.h"

#include "base/encode.h"
#include "os/file.h"
#include "tls/testing.h"
#include "vault/vault.h"

#include <setjmp.h>
#include <stdarg.h>

#include <arpa/inet.h>
#include <cmocka.h> /* its macro fail() hides ours unless that is in parentheses */
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>

#define LINE_MAX_BYTES 8192

extern char **environ;

struct fixture {
	struct tls_library *library;
	struct tls_test_keys keys;
	struct tls_context *context;
	struct arena arena;
	char path[64]; /* the vault's directory */
	int dir_fd;
	struct vault *vault;
	int listener;
	uint16_t port;
	bool installed;
};

static bool run_gsasl(char *const argv[], int *ret_pid)
{
	pid_t pid;
	posix_spawn_file_actions_t actions;
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", 0, 0);
	posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", 1, 0);
	posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", 1, 0);
	bool started = posix_spawnp(&pid, argv[0], &actions, NULL, argv, environ) == 0;
	posix_spawn_file_actions_destroy(&actions);
	*ret_pid = pid;
	return started;
}

static bool is_installed(void)
{
	char program[] = "gsasl", option[] = "--version";
	char *const argv[] = {program, option, NULL};
	int pid, status;
	return run_gsasl(argv, &pid) && waitpid(pid, &status, 0) == pid && WIFEXITED(status) &&
	       WEXITSTATUS(status) == 0;
}

static int set_up(void **state)
{
	struct fixture *f = base_alloc(sizeof(*f));
	*state = f;
	f->installed = is_installed();
	arena_init(&f->arena, (size_t)MIB);
	f->library = tls_library_new();
	tls_test_keys_init(&f->keys);
	tls_test_keys_add(&f->keys, 0, TLS_KEY_RSA_2048, "localhost 127.0.0.1");
	const struct tls_site_certificate certificate = {slice_str(f->keys.pems[0]),
	                                                 tls_test_key_id(0)};
	const struct tls_site site = {
	        .label = "site", .certificates = &certificate, .n_certificates = 1};
	const struct tls_context_options options = {
	        .sites = &site, .n_sites = 1, .signer = &f->keys.signer, .clock = &tls_test_clock};
	assert_true(is_ok(tls_context_new(f->library, &options, &f->context, &f->arena)));
	snprintf(f->path, sizeof(f->path), "/tmp/vault_peer.XXXXXX");
	assert_non_null(mkdtemp(f->path));
	assert_true(is_ok(file_open_dir(AT_FDCWD, f->path, &f->dir_fd, NULL)));
	const struct vault_options vault = {
	        .dir_fd = f->dir_fd, .clock = &tls_test_clock, .argon2_kib = 64, .cram_md5 = true};
	assert_true(is_ok(vault_open(&vault, &f->vault, NULL)));
	assert_true(is_ok(vault_password_set(f->vault, SLICE("user"), SLICE("pencil"), NULL)));
	struct sockaddr_in address = {.sin_family = AF_INET,
	                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t size = sizeof(address);
	f->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(f->listener, (struct sockaddr *)&address, size), 0);
	assert_int_equal(listen(f->listener, 5), 0);
	assert_int_equal(getsockname(f->listener, (struct sockaddr *)&address, &size), 0);
	f->port = ntohs(address.sin_port);
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;
	close(f->listener);
	vault_password_remove(f->vault, SLICE("user"), NULL);
	vault_close(f->vault);
	static const char *const left[] = {"seed", "nobody"};
	static const char *const folders[] = {"passwords", "keys", "dkim", "secrets"};
	for (size_t i = 0; i < N_ELEMENTS(left); i++)
		unlinkat(f->dir_fd, left[i], 0);
	for (size_t i = 0; i < N_ELEMENTS(folders); i++)
		unlinkat(f->dir_fd, folders[i], AT_REMOVEDIR);
	close(f->dir_fd);
	assert_int_equal(rmdir(f->path), 0);
	tls_context_unref(f->context);
	tls_test_keys_done(&f->keys);
	tls_library_free(f->library);
	arena_done(&f->arena);
	base_free(f);
	return 0;
}

/* --- a server of six commands --- */

static size_t find_bindings(const struct tls_stream *t, struct sasl_binding *bindings)
{
	static const struct {
		enum tls_binding binding;
		const char *type;
	} all[] = {
	        {TLS_BINDING_EXPORTER, "tls-exporter"},
	        {TLS_BINDING_UNIQUE, "tls-unique"},
	        {TLS_BINDING_SERVER_END_POINT, "tls-server-end-point"},
	};
	size_t n = 0;
	for (size_t i = 0; i < N_ELEMENTS(all); i++) {
		bindings[n].type = all[i].type;
		if (is_ok(tls_stream_binding(t, all[i].binding, bindings[n].value, &bindings[n].n)))
			n++;
	}
	return n;
}

static struct status send_challenge(struct stream *s, struct slice challenge)
{
	struct buf text;
	buf_init(&text, LINE_MAX_BYTES);
	buf_add_str(&text, "+ ");
	base64_encode(challenge, &text);
	buf_add_str(&text, "\r\n");
	struct status status = stream_write(s, buf_slice(&text));
	buf_done(&text);
	return status;
}

static struct status read_response(struct stream *s, struct buf *response)
{
	struct slice line;
	bool crlf;
	TRY(stream_read_line(s, LINE_MAX_BYTES, &line, &crlf));
	buf_reset(response);
	return base64_decode(line, response);
}

static struct status authenticate(struct tls_stream *t, struct sasl_server *server)
{
	enum sasl_step step;
	struct slice challenge;
	struct buf response;
	buf_init(&response, LINE_MAX_BYTES);
	struct status status = sasl_server_step(server, NULL, &step, &challenge);
	while (is_ok(status) && step == SASL_CHALLENGE) {
		status = send_challenge(&t->stream, challenge);
		if (is_ok(status))
			status = read_response(&t->stream, &response);
		struct slice bytes = buf_slice(&response);
		if (is_ok(status))
			status = sasl_server_step(server, &bytes, &step, &challenge);
	}
	buf_done(&response);
	return status;
}

/* The vault as the exchange sees it: the account's name is the user's. */

static struct status verify_plain(void *vault, struct slice user, struct slice password)
{
	return vault_verify_plain(vault, user, password);
}

static struct status scram_parameters(void *vault, struct slice user, enum sasl_hash hash,
                                      uint8_t salt[SASL_SALT_MAX], size_t *ret_n_salt,
                                      uint32_t *ret_iterations)
{
	return vault_scram_parameters(vault, user, user, hash, salt, ret_n_salt, ret_iterations);
}

static struct status scram_verify(void *vault, struct slice user, enum sasl_hash hash,
                                  struct slice auth_message, struct slice proof,
                                  uint8_t server_signature[SASL_HASH_MAX])
{
	return vault_scram_verify(vault, user, hash, auth_message, proof, server_signature);
}

static struct status cram_md5_verify(void *vault, struct slice user, struct slice challenge,
                                     const uint8_t digest[16])
{
	return vault_cram_md5_verify(vault, user, challenge, digest);
}

static struct status begin_authenticate(struct vault *vault, struct tls_stream *t,
                                        struct slice name)
{
	struct sasl_server server;
	struct sasl_binding bindings[SASL_BINDINGS_MAX];
	const struct sasl_backend backend = {
	        .verify_plain = verify_plain,
	        .scram_parameters = scram_parameters,
	        .scram_verify = scram_verify,
	        .cram_md5_verify = cram_md5_verify,
	        .context = vault,
	};
	struct sasl_server_options options = {
	        .backend = &backend, .bindings = bindings, .host_name = "localhost"};
	options.n_bindings = find_bindings(t, bindings);
	if (!sasl_mechanism_of(name, &options.mechanism))
		return (fail)(ERR_UNSUPPORTED, "unknown mechanism");
	sasl_server_init(&server, &options);
	struct status status = authenticate(t, &server);
	sasl_server_done(&server);
	return status;
}

static struct status serve(struct vault *vault, struct tls_stream *t, const char *mechanism)
{
	struct stream *s = &t->stream;
	struct status authenticated = (fail)(ERR_AUTH, "client did not try");
	bool crlf;
	TRY(stream_printf(s, "* OK IMAP4rev1 ready\r\n"));
	for (;;) {
		struct slice line, tag, command, argument;
		struct status status = stream_read_line(s, LINE_MAX_BYTES, &line, &crlf);
		if (!is_ok(status))
			return is_ok(authenticated) ? ok() : status;
		slice_cut(line, ' ', &tag, &command);
		slice_cut(command, ' ', &command, &argument);
		char tag_text[32];
		snprintf(tag_text, sizeof(tag_text), "%.*s", SLICE_FMT(tag));
		if (slice_ieq_str(command, "CAPABILITY")) {
			TRY(stream_printf(s, "* CAPABILITY IMAP4rev1%s AUTH=%s\r\n%s OK\r\n",
			                  s->tls.on ? "" : " STARTTLS", mechanism, tag_text));
		} else if (slice_ieq_str(command, "STARTTLS")) {
			TRY(stream_printf(s, "%s OK\r\n", tag_text));
			TRY(stream_start_tls(s));
		} else if (slice_ieq_str(command, "AUTHENTICATE")) {
			authenticated = begin_authenticate(vault, t, argument);
			TRY(stream_printf(s, "%s %s\r\n", tag_text,
			                  is_ok(authenticated) ? "OK" : "NO"));
			TRY(stream_flush(s));
			if (!is_ok(authenticated))
				return authenticated;
		} else if (slice_ieq_str(command, "LOGOUT")) {
			TRY(stream_printf(s, "* BYE\r\n%s OK\r\n", tag_text));
			TRY(stream_flush(s));
			return authenticated;
		}
	}
}

struct login {
	const char *mechanism, *password, *priority;
	bool bound;
	enum err code;
};

static struct status log_in(struct fixture *f, const struct login *login)
{
	char words[12][96] = {"gsasl", "--imap"};
	char *argv[13];
	size_t n = 2;
	snprintf(words[n++], 96, "--connect=127.0.0.1:%u", f->port);
	snprintf(words[n++], 96, "--mechanism=%s", login->mechanism);
	snprintf(words[n++], 96, "--authentication-id=user");
	snprintf(words[n++], 96, "--password=%s", login->password);
	snprintf(words[n++], 96, "--priority=%s", login->priority);
	snprintf(words[n++], 96, "--x509-ca-file=");
	if (!login->bound)
		snprintf(words[n++], 96, "--no-cb");
	for (size_t i = 0; i < n; i++)
		argv[i] = words[i];
	argv[n] = NULL;
	int pid, exit_status;
	assert_true(run_gsasl(argv, &pid));
	struct tls_stream t;
	struct pollfd waiting = {.fd = f->listener, .events = POLLIN};
	assert_int_equal(poll(&waiting, 1, 10000), 1);
	int fd = accept(f->listener, NULL, NULL);
	assert_true(fd >= 0);
	tls_stream_init(&t, fd, f->context);
	t.stream.timeout_ms = 10000;
	struct status status = serve(f->vault, &t, login->mechanism);
	stream_shutdown(&t.stream);
	tls_stream_done(&t);
	assert_int_equal(waitpid(pid, &exit_status, 0), pid);
	return status;
}

static void gsasl_logs_in(void **state)
{
	struct fixture *f = *state;
	static const char any[] = "NORMAL", old[] = "NORMAL:-VERS-TLS1.3";
	static const struct login logins[] = {
	        {"PLAIN", "pencil", any, false, ERR_OK},
	        {"LOGIN", "pencil", any, false, ERR_OK},
	        {"CRAM-MD5", "pencil", any, false, ERR_OK},
	        {"SCRAM-SHA-1", "pencil", any, false, ERR_OK},
	        {"SCRAM-SHA-256", "pencil", any, false, ERR_OK},
	        {"SCRAM-SHA-256", "pencil", old, false, ERR_OK},
	        {"SCRAM-SHA-1-PLUS", "pencil", any, true, ERR_OK},
	        {"SCRAM-SHA-256-PLUS", "pencil", any, true, ERR_OK},
	        {"SCRAM-SHA-256-PLUS", "pencil", old, true, ERR_OK},
	        {"PLAIN", "pen", any, false, ERR_AUTH},
	        {"CRAM-MD5", "pen", any, false, ERR_AUTH},
	        {"SCRAM-SHA-256", "pen", any, false, ERR_AUTH},
	        {"SCRAM-SHA-256-PLUS", "pen", any, true, ERR_AUTH},
	};
	if (!f->installed) {
		print_message("gsasl is not installed: nothing compared\n");
		skip();
	}
	for (size_t i = 0; i < N_ELEMENTS(logins); i++) {
		struct status status = log_in(f, &logins[i]);
		if (status.code != logins[i].code)
			fail_msg("%s, %s: %s", logins[i].mechanism, logins[i].priority, status.why);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test_setup_teardown(gsasl_logs_in, set_up, tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
