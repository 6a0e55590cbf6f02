/* One look at a server: connect, greet, STARTTLS, and what its certificate proves. */
#include "cli/dial.h"

#include "os/clock.h"
#include "os/fd.h"
#include "os/file.h"
#include "os/socket.h"
#include "smtp/client.h"

#include <fcntl.h>
#include <sys/utsname.h>

#define CA_FILE_MAX ((size_t)16 * 1024 * 1024)
#define WHY_MAX     400

/* --- TLS --- */

static void take_system_authorities(struct tls_authorities *authorities)
{
	for (const char *const *path = tls_authorities_bundles; *path; path++) {
		int fd = open(*path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
		if (fd < 0)
			continue;
		tls_authorities_set_file(authorities, fd);
		return;
	}
}

static int take_own_authorities(struct cli *cli, const char *path,
                                struct tls_authorities *authorities)
{
	struct os_fault fault = {0};
	struct arena arena;
	struct slice pem;
	int result = 0;
	arena_init(&arena, 2 * CA_FILE_MAX);
	if (is_ok(file_read_path(path, CA_FILE_MAX, &arena, &pem, &fault)))
		tls_authorities_set_text(authorities, pem);
	else
		result = cli_fail(cli, NULL, "the authorities cannot be read: %s", fault.text);
	arena_done(&arena);
	return result;
}

int cli_tls_open(struct cli *cli, struct cli_tls *tls)
{
	const char *path = cli_option(cli, "ca");
	int result = 0;
	*tls = (struct cli_tls){.library = tls_library_new(),
	                        .authorities = tls_authorities_new(NULL)};
	if (path)
		result = take_own_authorities(cli, path, tls->authorities);
	else
		take_system_authorities(tls->authorities);
	if (result == 0 && path && tls_authorities_count(tls->authorities) == 0)
		result = cli_fail(cli, NULL, "%s holds no certificate in PEM form", path);
	if (result == 0)
		tls->client = tls_client_new(tls->library, tls->authorities);
	if (result != 0)
		cli_tls_done(tls);
	return result;
}

void cli_tls_done(struct cli_tls *tls)
{
	tls_client_unref(tls->client);
	tls_authorities_unref(tls->authorities);
	tls_library_free(tls->library);
	*tls = (struct cli_tls){0};
}

/* --- a session --- */

struct session {
	const struct cli_dial *dial;
	struct arena *arena;
	struct cli_session *result;
	struct tls_client_stream stream;
};

static const char *keep(struct session *s, const char *text)
{
	const char *copy = arena_printf(s->arena, "%.*s", WHY_MAX, text);
	return copy ? copy : "";
}

static bool connect_to(struct session *s, int *ret_fd)
{
	const struct cli_dial *dial = s->dial;
	struct os_address addresses[DELIVERY_ADDRESSES_MAX];
	const struct socket_connect_options options = {.timeout_ms = dial->timeout_ms};
	struct os_fault fault = {.text = "there is no address"};
	char text[DELIVERY_IP_TEXT_MAX];
	size_t n = MIN(dial->n_ips, DELIVERY_ADDRESSES_MAX), index;
	for (size_t i = 0; i < n; i++) {
		const struct delivery_ip *ip = &dial->ips[i];
		addresses[i] = (struct os_address){
		        .family = ip->is_v6 ? OS_FAMILY_V6 : OS_FAMILY_V4, .port = dial->port};
		memcpy(addresses[i].ip, ip->bytes, ip->is_v6 ? 16 : 4);
	}
	if (!is_ok(socket_connect_any(addresses, n, &options, ret_fd, &index, NULL, &fault))) {
		s->result->why = keep(s, fault.text);
		return false;
	}
	delivery_ip_print(&dial->ips[index], text);
	s->result->address = keep(s, text);
	return true;
}

static struct status shake_hands(void *context, struct stream *stream, int timeout_ms)
{
	(void)context;
	stream->timeout_ms = timeout_ms;
	return stream_start_tls(stream);
}

static void failed(struct session *s, enum delivery_tls_progress progress, const char *why)
{
	s->result->progress = progress;
	s->result->why = keep(s, why);
}

static void begin_tls(struct session *s)
{
	struct stream *stream = &s->stream.t.stream;
	stream->timeout_ms = s->dial->timeout_ms;
	struct status status = stream_start_tls(stream);
	if (is_ok(status))
		s->result->progress = DELIVERY_TLS_DONE;
	else
		failed(s, DELIVERY_TLS_NO_HANDSHAKE, status.why);
}

/* Bytes in clear behind the answer to STARTTLS are somebody else's: nothing is known then. */
static enum delivery_tls_progress progress_of(const struct smtp_client *client,
                                              struct status status)
{
	if (status.code == ERR_TLS)
		return DELIVERY_TLS_NO_HANDSHAKE;
	if (status.code == ERR_UNSUPPORTED || smtp_client_usable(client))
		return DELIVERY_TLS_NOT_OFFERED;
	return DELIVERY_TLS_NOT_CONNECTED;
}

static void converse(struct session *s, struct smtp_client *client)
{
	struct status status = smtp_client_greet(client);
	if (!is_ok(status)) {
		failed(s, DELIVERY_TLS_NOT_CONNECTED, smtp_client_failure(client)->why);
		return;
	}
	s->result->helo = keep(s, client->ehlo.name);
	status = smtp_client_start_tls(client, s->dial->must);
	if (is_ok(status))
		s->result->progress = DELIVERY_TLS_DONE;
	else
		failed(s, progress_of(client, status),
		       status.code == ERR_TLS ? status.why : smtp_client_failure(client)->why);
	s->result->requiretls =
	        is_ok(status) && smtp_ehlo_has(&client->ehlo, SMTP_EXTENSION_REQUIRETLS);
	smtp_client_quit(client);
}

static void speak_smtp(struct session *s)
{
	int ms = s->dial->timeout_ms;
	const struct smtp_client_tls tls = {.start = shake_hands};
	const struct smtp_client_options options = {
	        .stream = &s->stream.t.stream,
	        .clock = clock_real(),
	        .ehlo_name = s->dial->ehlo,
	        .tls = &tls,
	        .timeouts = {.greeting_ms = ms, .command_ms = ms, .tls_ms = ms},
	};
	struct smtp_client client;
	smtp_client_init(&client, &options);
	converse(s, &client);
	smtp_client_done(&client);
}

static void take_verdict(struct session *s)
{
	struct tls_verdict *verdict = &s->result->verdict;
	const struct tls_dane *dane = s->dial->target.dane;
	*verdict = tls_client_stream_verdict(&s->stream);
	s->result->tls = s->stream.t.stream.tls;
	s->result->sent = tls_client_stream_sent(&s->stream, s->arena);
	if (!verdict->findings)
		return;
	struct tls_tlsa_finding *copy =
	        ARENA_ARRAY(s->arena, dane->n_records, struct tls_tlsa_finding);
	if (copy)
		memcpy(copy, verdict->findings, dane->n_records * sizeof(*copy));
	verdict->findings = copy;
}

void cli_dial(const struct cli_dial *dial, struct arena *arena, struct cli_session *ret_session)
{
	struct session s = {.dial = dial, .arena = arena, .result = ret_session};
	int fd;
	*ret_session = (struct cli_session){
	        .address = "",
	        .helo = "",
	        .why = "",
	        .verdict = {.why = "no TLS", .pkix = {.why = ""}, .dane = {.why = ""}}};
	if (!connect_to(&s, &fd))
		return;
	tls_client_stream_init(&s.stream, fd, dial->tls->client, &dial->target);
	if (dial->smtp)
		speak_smtp(&s);
	else
		begin_tls(&s);
	take_verdict(&s);
	stream_shutdown(&s.stream.t.stream);
	tls_client_stream_done(&s.stream);
}

/* --- options --- */

const char *cli_ehlo_name(const struct cli *cli, struct arena *arena)
{
	const char *given = cli_option(cli, "ehlo");
	struct utsname machine;
	if (given)
		return given;
	const char *name = uname(&machine) == 0 ? machine.nodename : "";
	const char *copy = arena_printf(arena, "%s", *name ? name : "localhost");
	return copy ? copy : "localhost";
}

int cli_port_option(const struct cli *cli, const char *name, uint16_t *ret_port)
{
	const char *text = cli_option(cli, name);
	uint32_t port = 0;
	if (text && (!slice_to_u32(slice_str(text), 65535, &port) || port == 0))
		return cli_fail(cli, NULL, "--%s is a number from 1 to 65535", name);
	*ret_port = (uint16_t)port;
	return 0;
}
