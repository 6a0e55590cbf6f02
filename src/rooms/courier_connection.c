/* A connection to one host: TCP (directly or through a SOCKS5 proxy), greeting, TLS as the guard of
 * the host wants it (delivery/security.h), login where the transport has one.
 *
 *   never      no TLS
 *   may        STARTTLS where it is announced, whatever the certificate; what was found out about
 *              it is recorded (RFC 7435). A refusal of the command goes on in clear, a failed
 *              handshake ends the connection: the caller may make another, in clear
 *   must       STARTTLS, asked for even when it is not announced, and a certificate that is good
 *              by TLSA records or authorities, whichever is demanded; or no connection
 *   implicit   the same, TLS from the first byte (RFC 8314 section 3.3)
 *
 * Limits: COURIER_CONNECT_MS, COURIER_PROXY_MS; the timeouts of smtp/client.h.
 */
#include "rooms/courier_private.h"

#include "delivery/socks.h"
#include "os/fd.h"
#include "text/utf8.h"

#include <stdarg.h>

#define PROXY_TARGETS_MAX 4u
#define TLS_MS            60000
#define REASON_MAX        ((size_t)500)
#define SECRET_ARENA      ((size_t)16 * 1024)
#define MATCH_SIZE        ((size_t)40) /* of a record: its numbers, the beginning of its digest */

/* One try to get a connection. */
struct maker {
	struct courier *courier;
	const struct courier_job *job;
	const struct courier_target *target;
	struct arena *arena; /* of the failure's texts */
	struct courier_failure *failure;
	struct courier_connection *connection;
	struct tls_client *client; /* NULL: no TLS */
};

void courier_host_key(const struct courier_target *target, char key[COURIER_KEY_MAX])
{
	snprintf(key, COURIER_KEY_MAX, "%s|%s|%u|",
	         target->transport ? target->transport->name.s : "", target->host, target->port);
}

/* Of the records that were demanded: other records, other connections. */
static uint64_t records_hash(const struct tls_dane *dane)
{
	static const struct hash_key no_secret;
	uint64_t hash = 0;
	for (size_t i = 0; i < dane->n_records; i++) {
		const struct tls_tlsa *record = &dane->records[i];
		uint64_t kind = (uint64_t)record->usage << 16 | (uint64_t)record->selector << 8 |
		                record->matching;
		hash = (hash ^ hash_slice(no_secret, record->bytes)) * 31 + kind;
	}
	return hash;
}

void courier_key(const struct courier_target *target, char key[COURIER_KEY_MAX])
{
	const struct delivery_guard *guard = target->guard;
	const struct delivery_security *security = &guard->security;
	courier_host_key(target, key);
	size_t n = strlen(key);
	snprintf(key + n, COURIER_KEY_MAX - n, "%s|%u%u%u%u%u|%" PRIx64,
	         target->tls_name ? target->tls_name : "", target->implicit, target->in_clear,
	         (unsigned)security->tls, security->pkix_required, security->dane_required,
	         security->dane_required ? records_hash(&guard->dane.tls) : 0);
}

/* --- failures --- */

PRINTF(4, 5)
static void local_failure(struct maker *m, enum smtp_step step, const char *enhanced,
                          const char *format, ...)
{
	char text[REASON_MAX + 8]; /* room for the character that is cut */
	va_list args;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	struct smtp_outcome *o = &m->failure->outcome;
	const char *why = arena_cstr(m->arena, utf8_cut(slice_str(text), REASON_MAX));
	*o = (struct smtp_outcome){
	        .kind = enhanced[0] == '5' ? SMTP_OUTCOME_FAILED : SMTP_OUTCOME_DEFERRED,
	        .step = step,
	        .why = why ? why : "no connection",
	};
	snprintf(o->enhanced, sizeof(o->enhanced), "%s", enhanced);
}

/* The client's own account of it, whose texts end with the connection. */
static void take_failure(struct maker *m)
{
	const struct smtp_outcome *from = smtp_client_failure(&m->connection->client);
	struct smtp_outcome *to = &m->failure->outcome;
	*to = *from;
	struct slice *lines = ARENA_ARRAY(m->arena, from->n_lines, struct slice);
	for (size_t i = 0; lines && i < from->n_lines; i++)
		lines[i] = arena_copy(m->arena, from->lines[i]);
	const char *why = arena_cstr(m->arena, slice_str(from->why));
	to->lines = lines;
	to->why = why ? why : "no connection";
	if (arena_failed(m->arena))
		to->n_lines = 0;
}

static void note_address(struct maker *m, const struct delivery_ip *ip,
                         enum delivery_experience experience)
{
	delivery_order_note(&m->courier->order, slice_str(m->target->host), ip, experience);
}

/* --- TCP --- */

static bool has_tls(const struct courier_target *target)
{
	return !target->in_clear && target->guard->security.tls != DELIVERY_TLS_NEVER;
}

static void begin_stream(struct maker *m, int fd)
{
	struct courier_connection *c = m->connection;
	struct tls_target target = delivery_guard_target(m->target->guard, c->session);
	if (m->target->tls_name)
		target.name = target.pkix_name = c->tls_name;
	tls_client_stream_init(&c->stream, fd, m->client, &target);
}

static struct os_address address_of(const struct delivery_ip *ip, uint16_t port)
{
	struct os_address address = {.family = ip->is_v6 ? OS_FAMILY_V6 : OS_FAMILY_V4,
	                             .port = port};
	memcpy(address.ip, ip->bytes, ip->is_v6 ? 16 : 4);
	return address;
}

/* To the first of the addresses that answers. *ret_index is set on success. */
static struct status connect_tcp(const struct delivery_ip *ips, size_t n, uint16_t port,
                                 int *ret_fd, size_t *ret_index,
                                 struct socket_connect_result results[DELIVERY_ADDRESSES_MAX],
                                 struct os_fault *fault)
{
	struct os_address addresses[DELIVERY_ADDRESSES_MAX];
	const struct socket_connect_options options = {.timeout_ms = COURIER_CONNECT_MS,
	                                               .each_ms = COURIER_CONNECT_EACH_MS};
	n = MIN(n, DELIVERY_ADDRESSES_MAX);
	for (size_t i = 0; i < n; i++)
		addresses[i] = address_of(&ips[i], port);
	return socket_connect_any(addresses, n, &options, ret_fd, ret_index, results, fault);
}

static void set_address(struct maker *m, const struct delivery_ip *ip)
{
	m->connection->ip = *ip;
	delivery_ip_print(ip, m->connection->address);
	memcpy(m->connection->session_facts.address, m->connection->address,
	       sizeof(m->connection->address));
}

static bool open_direct(struct maker *m)
{
	const struct courier_target *target = m->target;
	struct socket_connect_result results[DELIVERY_ADDRESSES_MAX] = {{0}};
	struct os_fault fault = {.text = ""};
	size_t index = 0;
	int fd;
	struct status status =
	        connect_tcp(target->ips, target->n_ips, target->port, &fd, &index, results, &fault);
	for (size_t i = 0; i < MIN(target->n_ips, DELIVERY_ADDRESSES_MAX); i++)
		if (results[i].errno_value != 0)
			note_address(m, &target->ips[i], DELIVERY_NO_ROUTE);
	if (is_ok(status)) {
		set_address(m, &target->ips[index]);
		begin_stream(m, fd);
		return true;
	}
	local_failure(m, SMTP_STEP_CONNECT, "4.4.1", "%s: %s", target->host,
	              *fault.text ? fault.text : status.why);
	return false;
}

/* --- through a proxy --- */

static struct status proxy_login(struct maker *m, struct arena *arena, struct socks_login *ret)
{
	const struct config_transport *t = m->target->transport;
	*ret = (struct socks_login){.user = config_slice(&t->user), .password = slice_empty()};
	if (t->user.n == 0)
		return ok();
	return m->courier->options.secret(m->courier->options.context, m->job->cid,
	                                  config_slice(&t->secret), arena, &ret->password);
}

/* Asks the proxy for one address, on a connection of its own. */
static struct status open_by_proxy(struct maker *m, const struct delivery_ip *ip,
                                   const struct socks_login *login, int *reply)
{
	const struct courier_target *target = m->target;
	struct socket_connect_result results[DELIVERY_ADDRESSES_MAX] = {{0}};
	struct os_fault fault = {.text = ""};
	size_t index;
	int fd;
	struct status status = connect_tcp(target->proxy_ips, target->n_proxy_ips,
	                                   target->transport->port, &fd, &index, results, &fault);
	if (!is_ok(status)) {
		local_failure(m, SMTP_STEP_CONNECT, "4.4.1", "the proxy %s: %s",
		              target->transport->host_ascii, fault.text);
		return status;
	}
	const struct socks_target to = {
	        .ip = ip->bytes, .n_ip = ip->is_v6 ? 16 : 4, .port = target->port};
	begin_stream(m, fd);
	status = socks_connect(&m->connection->stream.t.stream, &to, login,
	                       m->courier->options.clock, COURIER_PROXY_MS, reply);
	if (is_ok(status))
		return status;
	char text[DELIVERY_IP_TEXT_MAX];
	delivery_ip_print(ip, text);
	local_failure(m, SMTP_STEP_CONNECT, status.code == ERR_AUTH ? "4.3.5" : "4.4.1",
	              "the proxy %s for %s [%s]: %s", target->transport->host_ascii, target->host,
	              text, status.why);
	tls_client_stream_done(&m->connection->stream);
	return status;
}

static bool open_socks(struct maker *m)
{
	const struct courier_target *target = m->target;
	struct arena arena;
	struct socks_login login;
	bool connected = false;
	arena_init(&arena, SECRET_ARENA);
	struct status status = proxy_login(m, &arena, &login);
	if (!is_ok(status))
		local_failure(m, SMTP_STEP_CONNECT, "4.3.5",
		              "the secret `%s` of transport `%s` cannot be had: %s",
		              target->transport->secret.s, target->transport->name.s, status.why);
	for (size_t i = 0; is_ok(status) && i < MIN(target->n_ips, PROXY_TARGETS_MAX); i++) {
		int reply = -1;
		status = open_by_proxy(m, &target->ips[i], &login, &reply);
		if (is_ok(status)) {
			set_address(m, &target->ips[i]);
			connected = true;
			break;
		}
		if (reply <= 0)
			break; /* the proxy itself is the trouble */
		note_address(m, &target->ips[i], DELIVERY_NO_ROUTE);
		status = ok();
	}
	explicit_bzero((void *)(uintptr_t)login.password.p, login.password.n);
	arena_done(&arena);
	return connected;
}

/* --- TLS --- */

/* The record that verified the server, with the beginning of its digest. */
static void print_match(const struct courier_connection *c, const struct tls_verdict *verdict,
                        char text[MATCH_SIZE])
{
	const struct tls_dane *dane = c->stream.target.dane;
	CLEANUP(buf_done) struct buf record;
	buf_init(&record, SIZE_MAX);
	text[0] = 0;
	for (size_t i = 0; verdict->findings && i < dane->n_records; i++) {
		if (verdict->findings[i].kind != TLS_TLSA_MATCHED)
			continue;
		tls_tlsa_print(&dane->records[i], &record);
		snprintf(text, MATCH_SIZE, ": %.*s",
		         SLICE_FMT(slice_sub(buf_slice(&record), 0, MATCH_SIZE - 3)));
		return;
	}
}

/* What is known of the server, for people. */
static void describe_tls(struct courier_connection *c)
{
	char match[MATCH_SIZE];
	const struct stream_tls *tls = &c->stream.t.stream.tls;
	struct tls_verdict verdict = tls_client_stream_verdict(&c->stream);
	const char *by = verdict.dane.good && verdict.pkix.good
	                         ? "verified by TLSA records (DANE) and authorities"
	                 : verdict.dane.good ? "verified by TLSA records (DANE)"
	                 : verdict.pkix.good ? "certificate verified"
	                                     : "certificate not verified: ";
	print_match(c, &verdict, match);
	c->verified = verdict.dane.good || verdict.pkix.good;
	snprintf(c->tls_text, sizeof(c->tls_text), "%s %s, %s%s", tls->version, tls->cipher, by,
	         c->verified ? match : verdict.why);
}

static struct status start_tls(void *context, struct stream *stream, int timeout_ms)
{
	struct courier_connection *c = context;
	int saved_ms = stream->timeout_ms;
	stream->timeout_ms = timeout_ms;
	struct status status = stream_start_tls(stream);
	stream->timeout_ms = saved_ms;
	if (is_ok(status))
		describe_tls(c);
	return status;
}

/* RFC 9266 prefers tls-exporter; servers that do not know it may know the older one. */
static size_t get_bindings(void *context, struct sasl_binding bindings[SASL_BINDINGS_MAX])
{
	static const struct {
		enum tls_binding kind;
		const char *name;
	} kinds[] = {{TLS_BINDING_EXPORTER, "tls-exporter"},
	             {TLS_BINDING_SERVER_END_POINT, "tls-server-end-point"},
	             {TLS_BINDING_UNIQUE, "tls-unique"}};
	struct courier_connection *c = context;
	size_t n = 0;
	_Static_assert(sizeof(bindings->value) >= TLS_BINDING_MAX, "every binding fits");
	for (size_t i = 0; i < N_ELEMENTS(kinds) && n < SASL_BINDINGS_MAX; i++) {
		bindings[n].type = kinds[i].name;
		n += is_ok(tls_stream_binding(&c->stream.t, kinds[i].kind, bindings[n].value,
		                              &bindings[n].n));
	}
	return n;
}

/* How far it came, for the judgement and for reports. */
static void note_session(struct maker *m, enum delivery_tls_progress progress, const char *why)
{
	struct courier_connection *c = m->connection;
	struct courier_session *session = &c->session_facts;
	session->progress = progress;
	session->verdict = tls_client_stream_verdict(&c->stream);
	session->verdict.findings = NULL; /* they end with the stream */
	session->why = why;
	snprintf(session->helo, sizeof(session->helo), "%s", c->client.ehlo.name);
}

static bool tls_broke(struct maker *m, const char *why)
{
	note_session(m, DELIVERY_TLS_NO_HANDSHAKE, why);
	snprintf(m->failure->tls_text, sizeof(m->failure->tls_text), "failed: %s", why);
	return false;
}

/* Implicit TLS, before a word was said. */
static bool tls_at_once(struct maker *m)
{
	struct courier_connection *c = m->connection;
	struct status status = start_tls(c, &c->stream.t.stream, TLS_MS);
	if (!is_ok(status)) {
		local_failure(m, SMTP_STEP_TLS, "4.7.5", "TLS with %s: %s", m->target->host,
		              status.why);
		return tls_broke(m, status.why);
	}
	note_session(m, DELIVERY_TLS_DONE, "");
	return true;
}

static bool tls_by_command(struct maker *m)
{
	struct courier_connection *c = m->connection;
	const struct delivery_security *security = &m->target->guard->security;
	bool must = security->tls == DELIVERY_TLS_MUST;
	struct status status = smtp_client_start_tls(&c->client, must);
	if (is_ok(status)) {
		note_session(m, DELIVERY_TLS_DONE, "");
		return true;
	}
	bool usable = smtp_client_usable(&c->client);
	if (status.code == ERR_UNSUPPORTED || usable)
		note_session(m, DELIVERY_TLS_NOT_OFFERED, "");
	if (!must && (status.code == ERR_UNSUPPORTED || usable))
		return true; /* in clear, on the same connection */
	take_failure(m);
	struct smtp_outcome *o = &m->failure->outcome;
	if (o->kind == SMTP_OUTCOME_FAILED || o->enhanced[0] != '4' || usable) {
		/* The host's trouble, not the message's: it may be mended. */
		struct delivery_judgement judgement = delivery_security_judge(
		        security, usable ? DELIVERY_TLS_NOT_OFFERED : DELIVERY_TLS_NO_HANDSHAKE,
		        false);
		o->kind = SMTP_OUTCOME_DEFERRED;
		snprintf(o->enhanced, SMTP_ENHANCED_SIZE, "%s", judgement.enhanced);
	}
	m->failure->tampered = o->step == SMTP_STEP_STARTTLS && status.code == ERR_PROTOCOL;
	bool broke = o->step == SMTP_STEP_TLS || m->failure->tampered;
	return broke ? tls_broke(m, status.why) : false;
}

/* --- login --- */

static size_t wanted_mechanisms(const struct config_transport *t,
                                enum sasl_mechanism wanted[SASL_MECHANISM_COUNT])
{
	size_t n = 0;
	for (size_t i = 0; i < t->mechanisms.n && n < SASL_MECHANISM_COUNT; i++)
		n += sasl_mechanism_of(config_slice(&t->mechanisms.v[i]), &wanted[n]);
	return n;
}

static bool log_in_with(struct maker *m, struct slice password)
{
	const struct config_transport *t = m->target->transport;
	enum sasl_mechanism wanted[SASL_MECHANISM_COUNT], used;
	const struct sasl_client_options credentials = {
	        .user = config_slice(&t->user),
	        .password = password,
	        .channel_verified = m->connection->verified,
	        .wanted = wanted,
	        .n_wanted = wanted_mechanisms(t, wanted),
	};
	if (is_ok(smtp_client_auth(&m->connection->client, &credentials, &used)))
		return true;
	take_failure(m);
	/* A password that is wrong today is mended by the administrator, not by the sender. */
	m->failure->outcome.kind = SMTP_OUTCOME_DEFERRED;
	if (m->failure->outcome.enhanced[0] == '5')
		m->failure->outcome.enhanced[0] = '4';
	return false;
}

static bool log_in(struct maker *m)
{
	const struct config_transport *t = m->target->transport;
	struct arena arena;
	struct slice password = slice_empty();
	bool done = false;
	arena_init(&arena, SECRET_ARENA);
	struct status status =
	        m->courier->options.secret(m->courier->options.context, m->job->cid,
	                                   config_slice(&t->secret), &arena, &password);
	if (is_ok(status))
		done = log_in_with(m, password);
	else
		local_failure(m, SMTP_STEP_AUTH, "4.3.5",
		              "the secret `%s` of transport `%s` cannot be had: %s", t->secret.s,
		              t->name.s, status.why);
	explicit_bzero((void *)(uintptr_t)password.p, password.n);
	arena_done(&arena);
	return done;
}

/* --- all of it --- */

static bool greet(struct maker *m)
{
	struct courier_connection *c = m->connection;
	struct status status = smtp_client_greet(&c->client);
	if (is_ok(status))
		return true;
	take_failure(m);
	struct smtp_outcome *o = &m->failure->outcome;
	/* RFC 5321 section 3.1: a 5yz greeting says "not here"; only 521 says "never" (RFC 7504).
	 */
	if (o->step == SMTP_STEP_GREETING && o->kind == SMTP_OUTCOME_FAILED && o->code != 521) {
		o->kind = SMTP_OUTCOME_DEFERRED;
		if (o->enhanced[0] == '5')
			o->enhanced[0] = '4';
	}
	return false;
}

/* What comes behind TLS may still be too little. */
static bool is_enough(struct maker *m)
{
	struct courier_connection *c = m->connection;
	struct delivery_judgement judgement =
	        delivery_security_judge(&m->target->guard->security, c->session_facts.progress,
	                                smtp_ehlo_has(&c->client.ehlo, SMTP_EXTENSION_REQUIRETLS));
	if (judgement.next == DELIVERY_SEND)
		return true;
	local_failure(m, SMTP_STEP_TLS, judgement.enhanced, "%s: %s", m->target->host,
	              judgement.why);
	return false;
}

static bool converse(struct maker *m)
{
	struct courier_connection *c = m->connection;
	const struct courier_target *target = m->target;
	const struct smtp_client_options options = {
	        .stream = &c->stream.t.stream,
	        .clock = m->courier->options.clock,
	        .ehlo_name = c->ehlo_name,
	        .tls = has_tls(target) ? &c->hook : NULL,
	        .timeouts = {.tls_ms = TLS_MS},
	};
	smtp_client_init(&c->client, &options);
	c->client.until_ms = target->until_ms;
	if ((target->implicit && !tls_at_once(m)) || !greet(m))
		return false;
	if (has_tls(target) && !target->implicit && !tls_by_command(m))
		return false;
	if (has_tls(target) && !is_enough(m))
		return false;
	bool has_login =
	        target->transport && target->transport->kind == CONFIG_TRANSPORT_SUBMISSION;
	return !has_login || log_in(m);
}

static struct courier_connection *new_connection(struct courier *courier,
                                                 const struct courier_target *target)
{
	char text[COURIER_KEY_MAX];
	struct courier_connection *c = base_alloc(sizeof(*c));
	courier_key(target, text);
	c->key = base_strdup(text);
	c->host = base_strdup(target->host);
	c->tls_name = base_strdup(target->tls_name ? target->tls_name : target->host);
	c->ehlo_name = base_strdup(target->ehlo_name);
	snprintf(text, sizeof(text), "%s:%u", target->host, target->port);
	c->session = base_strdup(text);
	c->hook = (struct smtp_client_tls){
	        .start = start_tls, .bindings = get_bindings, .context = c};
	c->epoch = atomic_load(&courier->epoch);
	snprintf(c->tls_text, sizeof(c->tls_text), "none");
	c->session_facts.why = "";
	return c;
}

static void free_connection(struct courier_connection *c)
{
	base_free(c->key);
	base_free(c->host);
	base_free(c->tls_name);
	base_free(c->ehlo_name);
	base_free(c->session);
	base_free(c);
}

struct courier_connection *courier_connect(struct courier *courier, const struct courier_job *job,
                                           const struct courier_target *target, struct arena *arena,
                                           struct courier_failure *ret_failure)
{
	*ret_failure = (struct courier_failure){.session.why = "", .tls_text = "none"};
	struct maker m = {
	        .courier = courier,
	        .job = job,
	        .target = target,
	        .arena = arena,
	        .failure = ret_failure,
	        .connection = new_connection(courier, target),
	};
	if (has_tls(target))
		m.client = courier_tls_client(&courier->tls,
		                              target->transport ? target->transport->ca.s : "");
	bool is_open = target->n_proxy_ips > 0 ? open_socks(&m) : open_direct(&m);
	tls_client_unref(m.client);
	if (!is_open) {
		free_connection(m.connection);
		return NULL;
	}
	if (converse(&m))
		return m.connection;
	ret_failure->session = m.connection->session_facts;
	courier_disconnect(m.connection);
	return NULL;
}

void courier_disconnect(struct courier_connection *connection)
{
	smtp_client_quit(&connection->client);
	courier_hang_up(connection);
}

void courier_hang_up(struct courier_connection *connection)
{
	struct stream *stream = &connection->stream.t.stream;
	stream->timeout_ms = stream->write_timeout_ms = 1; /* what does not fit is not said */
	if (smtp_client_usable(&connection->client))
		(void)stream_write(stream, SLICE("QUIT\r\n"));
	stream_shutdown(stream);
	smtp_client_done(&connection->client);
	tls_client_stream_done(&connection->stream);
	free_connection(connection);
}
