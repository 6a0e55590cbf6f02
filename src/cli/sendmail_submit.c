/* One message to one server. TLS is verified, always; a password goes only over verified TLS or to
 * this host itself. */
#include "cli/sendmail_submit.h"

#include "os/clock.h"
#include "os/fd.h"
#include "os/file.h"
#include "os/socket.h"
#include "tls/client.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>

#define PEM_FILE_MAX ((size_t)1024 * 1024)
#define DATA_TIMEOUT 10 /* times the usual timeout: servers check a message before they answer */

struct submitting {
	struct sendmail_submission *s;
	const struct sendmail_config *config;
	struct tls_library *library;
	struct tls_authorities *authorities;
	struct tls_client *tls_client;
	struct tls_client_stream tls_stream; /* to a host */
	struct fd_stream fd_stream;          /* to the socket */
	bool is_socket, loopback;
	struct smtp_client_tls tls;
	struct smtp_client client;
};

PRINTF(3, 4)
static struct status give_up(struct submitting *t, enum err code, const char *format, ...)
{
	char text[500];
	va_list args;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	const char *why = arena_printf(t->s->arena, "%s", text);
	t->s->why = why ? why : "the message could not be sent";
	return fail(code, t->s->why);
}

PRINTF(2, 3) static void say(const struct submitting *t, const char *format, ...)
{
	va_list args;
	if (!t->s->verbose)
		return;
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
}

/* --- TLS --- */

static struct status shake_hands(void *context, struct stream *stream, int timeout_ms)
{
	(void)context;
	stream->timeout_ms = timeout_ms;
	return stream_start_tls(stream);
}

/* tls-exporter is the binding of TLS 1.3 (RFC 9266); the server's certificate is known to all. */
static size_t get_bindings(void *context, struct sasl_binding bindings[SASL_BINDINGS_MAX])
{
	static const struct {
		enum tls_binding binding;
		const char *type;
	} wanted[] = {
	        {TLS_BINDING_EXPORTER, "tls-exporter"},
	        {TLS_BINDING_SERVER_END_POINT, "tls-server-end-point"},
	};
	const struct submitting *t = context;
	size_t n = 0;
	for (size_t i = 0; i < N_ELEMENTS(wanted); i++) {
		bindings[n].type = wanted[i].type;
		if (is_ok(tls_stream_binding(&t->tls_stream.t, wanted[i].binding, bindings[n].value,
		                             &bindings[n].n)))
			n++;
	}
	return n;
}

static struct status read_pem(struct submitting *t, const char *path, struct slice *ret_pem)
{
	struct os_fault fault = {.text = "cannot be read"};
	CLEANUP(fd_close) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (fd < 0)
		return give_up(t, ERR_INVALID, "%s: %s", path, os_errno_text(errno));
	if (!is_ok(file_read_fd(fd, PEM_FILE_MAX, t->s->arena, ret_pem, &fault)))
		return give_up(t, ERR_INVALID, "%s: %s", path, fault.text);
	return ok();
}

static struct status add_own_authority(struct submitting *t)
{
	struct slice pem;
	TRY(read_pem(t, t->config->ca, &pem));
	struct tls_authorities *own = tls_authorities_new(t->authorities);
	tls_authorities_unref(t->authorities);
	t->authorities = own;
	tls_authorities_set_text(own, pem);
	return ok();
}

static struct status show_certificate(struct submitting *t)
{
	const struct sendmail_config *c = t->config;
	const char *key_file = c->certificate_key ? c->certificate_key : c->certificate;
	struct slice chain, key;
	TRY(read_pem(t, c->certificate, &chain));
	TRY(read_pem(t, key_file, &key));
	struct status status = tls_client_set_certificate(t->tls_client, chain, key);
	return is_ok(status) ? ok()
	                     : give_up(t, ERR_INVALID, "%s: %s",
	                               status.code == ERR_NOT_FOUND ? c->certificate : key_file,
	                               status.why);
}

static struct status set_up_tls(struct submitting *t)
{
	t->library = tls_library_new();
	t->authorities = tls_authorities_new(NULL);
	for (const char *const *path = tls_authorities_bundles; *path; path++) {
		int fd = open(*path, O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			continue;
		tls_authorities_set_file(t->authorities, fd);
		break;
	}
	if (t->config->ca)
		TRY(add_own_authority(t));
	t->tls_client = tls_client_new(t->library, t->authorities);
	if (!t->tls_client)
		return give_up(t, ERR_IO, "OpenSSL cannot be set up");
	return t->config->certificate ? show_certificate(t) : ok();
}

static enum sendmail_tls tls_of(const struct sendmail_config *c)
{
	if (c->tls != SENDMAIL_TLS_AUTO)
		return c->tls;
	return c->port == 465 ? SENDMAIL_TLS_IMPLICIT : SENDMAIL_TLS_STARTTLS;
}

static uint32_t port_of(const struct sendmail_config *c)
{
	if (c->port > 0)
		return c->port;
	return tls_of(c) == SENDMAIL_TLS_IMPLICIT ? 465 : 587;
}

/* --- connecting --- */

static struct stream *stream_of(struct submitting *t)
{
	return t->is_socket ? &t->fd_stream.stream : &t->tls_stream.t.stream;
}

static struct status connect_host(struct submitting *t)
{
	const struct sendmail_config *c = t->config;
	struct os_fault fault = {.text = "cannot be reached"};
	const struct tls_target target = {.name = c->host, .verified = true};
	int fd = -1;
	TRY(set_up_tls(t));
	struct status status =
	        sendmail_connect(c->host, port_of(c), c->timeout_s, &fd, &t->loopback, &fault);
	if (!is_ok(status))
		return give_up(t, status.code, "%s port %" PRIu32 " cannot be reached: %s", c->host,
		               port_of(c), fault.text);
	tls_client_stream_init(&t->tls_stream, fd, t->tls_client, &target);
	say(t, "connected to %s port %" PRIu32, c->host, port_of(c));
	if (tls_of(c) == SENDMAIL_TLS_NONE && !t->loopback)
		return give_up(t, ERR_INVALID,
		               "tls: none is allowed for loopback addresses only, and "
		               "%s is not one",
		               c->host);
	return ok();
}

static struct status connect_socket(struct submitting *t)
{
	struct os_fault fault = {.text = "cannot connect"};
	int fd = -1;
	struct status status = sendmail_connect_socket(t->config->socket, &fd, &fault);
	if (!is_ok(status))
		return give_up(t, status.code == ERR_NOT_FOUND ? ERR_TEMPORARY : status.code,
		               "%s, and no server is configured%s", fault.text,
		               t->config->file ? "" : " (there is no sendmail.yaml)");
	fd_stream_init(&t->fd_stream, fd);
	t->loopback = true;
	say(t, "connected to %s", t->config->socket);
	return ok();
}

/* --- the conversation --- */

static struct status refused(struct submitting *t, const char *what, struct status status)
{
	const struct smtp_outcome *o = smtp_client_failure(&t->client);
	if (status.code == ERR_AUTH || status.code == ERR_DENIED ||
	    status.code == ERR_UNSUPPORTED || status.code == ERR_TLS)
		return give_up(t, ERR_DENIED, "%s: %s", what, status.why);
	if (o->kind == SMTP_OUTCOME_FAILED)
		return give_up(t, ERR_PERMANENT, "%s: %s", what, o->why);
	return give_up(t, ERR_TEMPORARY, "%s: %s", what, o->why[0] ? o->why : status.why);
}

static void init_client(struct submitting *t)
{
	int ms = (int)t->config->timeout_s * 1000;
	const struct smtp_client_options options = {
	        .stream = stream_of(t),
	        .clock = clock_real(),
	        .ehlo_name = t->s->ehlo_name,
	        .tls = t->is_socket ? NULL : &t->tls,
	        .timeouts = {.greeting_ms = ms,
	                     .command_ms = ms,
	                     .data_start_ms = ms,
	                     .data_block_ms = ms,
	                     .data_end_ms = DATA_TIMEOUT * ms,
	                     .tls_ms = ms},
	};
	t->tls = (struct smtp_client_tls){shake_hands, get_bindings, t};
	smtp_client_init(&t->client, &options);
}

static struct status greet(struct submitting *t)
{
	enum sendmail_tls tls = t->is_socket ? SENDMAIL_TLS_NONE : tls_of(t->config);
	struct status status = ok();
	stream_of(t)->timeout_ms = (int)t->config->timeout_s * 1000;
	if (tls == SENDMAIL_TLS_IMPLICIT)
		status = stream_start_tls(stream_of(t));
	if (!is_ok(status))
		return give_up(t, ERR_DENIED, "TLS with %s: %s", t->config->host, status.why);
	status = smtp_client_greet(&t->client);
	if (!is_ok(status))
		return refused(t, "the server does not accept mail from here", status);
	if (tls == SENDMAIL_TLS_STARTTLS)
		status = smtp_client_start_tls(&t->client, true);
	if (!is_ok(status))
		return refused(t, "STARTTLS", status);
	if (stream_of(t)->tls.on)
		say(t, "%s, certificate verified", stream_of(t)->tls.version);
	return ok();
}

static struct status log_in(struct submitting *t)
{
	const struct sendmail_config *c = t->config;
	enum sasl_mechanism mechanism;
	if (t->is_socket || (!c->user && !c->certificate))
		return ok();
	const struct sasl_client_options credentials = {
	        .user = slice_str(c->user), /* for EXTERNAL the one whose the key is, when empty */
	        .has_certificate = c->certificate && stream_of(t)->tls.on,
	        .password = secret_slice(&c->secret),
	        .channel_verified = stream_of(t)->tls.on || t->loopback,
	        .wanted = c->mechanisms,
	        .n_wanted = c->n_mechanisms,
	};
	struct status status = smtp_client_auth(&t->client, &credentials, &mechanism);
	if (!is_ok(status))
		return refused(t, "login", status);
	say(t, "logged in as %s with %s", c->user ? c->user : "the key's owner",
	    sasl_mechanism_name(mechanism));
	return ok();
}

static struct status converse(struct submitting *t)
{
	struct sendmail_submission *s = t->s;
	struct status status = greet(t);
	if (is_ok(status))
		status = log_in(t);
	if (is_ok(status))
		smtp_client_send(&t->client, s->message, s->recipients, s->n, s->outcomes,
		                 s->arena);
	smtp_client_quit(&t->client);
	return status;
}

static void end(struct submitting *t)
{
	if (t->is_socket)
		fd_stream_done(&t->fd_stream);
	else if (t->tls_stream.client)
		tls_client_stream_done(&t->tls_stream);
	tls_client_unref(t->tls_client);
	tls_authorities_unref(t->authorities);
	if (t->library)
		tls_library_free(t->library);
}

struct status sendmail_submit(struct sendmail_submission *s)
{
	struct submitting *t = base_alloc(sizeof(*t));
	t->s = s;
	t->config = s->config;
	t->is_socket = !s->config->host;
	t->fd_stream.fd = -1;
	struct status status = t->is_socket ? connect_socket(t) : connect_host(t);
	if (is_ok(status)) {
		init_client(t);
		status = converse(t);
		smtp_client_done(&t->client);
	}
	end(t);
	base_free(t);
	return status;
}
