/* A stub resolver (RFC 1034 section 5.3.1): a recursive query to one server after the other.
 *
 * UDP first; a truncated answer is asked for again over TCP (RFC 7766 section 5). What is accepted
 * must come from the server's address and port (a connected socket), carry the query's id and
 * repeat its question (RFC 5452 section 4). A server that fails (SERVFAIL, no answer, garbage) is
 * passed over for the next; what the last of them said is the answer then.
 */
#include "dns/stub.h"

#include "base/cursor.h"
#include "dns/message.h"
#include "dns/reason.h"
#include "dns/wire_private.h"
#include "os/clock.h"
#include "os/fd.h"
#include "os/socket.h"

#include <sys/random.h>

#define DNS_PORT          53
#define QUERY_MAX         ((size_t)512)
#define RESOLV_CONF_LINES 1000u
#define RCODE_SERVFAIL    2

static int64_t now_ms(void)
{
	return clock_monotonic_ms(clock_real());
}

static int left_until(int64_t deadline_ms)
{
	int64_t left = deadline_ms - now_ms();
	return left <= 0 ? 0 : (int)MIN(left, INT32_MAX);
}

static struct status random_id(uint16_t *ret_id)
{
	if (getrandom(ret_id, sizeof(*ret_id), 0) != (ssize_t)sizeof(*ret_id))
		return fail(ERR_TEMPORARY, "no random number");
	return ok();
}

/* One query and where its answer goes. */
struct query {
	struct dns_name name;
	enum dns_type type;
	uint16_t id;
	struct buf bytes;
	struct arena *arena;
	struct dns_message message; /* the answer's */
	uint8_t *packet;            /* DNS_MESSAGE_MAX bytes */
};

static bool has_id(const struct query *query, struct slice packet)
{
	struct cursor c = cursor_of(packet);
	return wire_u16(&c) == query->id && cursor_ok(&c);
}

/* RFC 5452 section 4.1; servers that fail may leave the question out. */
static bool fits(const struct query *query, const struct dns_message *message)
{
	if (!message->response)
		return false;
	if (!message->has_question)
		return message->rcode != 0;
	return message->question_type == (uint32_t)query->type &&
	       dns_name_eq(message->question, query->name);
}

static struct status ask_udp(struct query *query, const struct os_address *server,
                             int64_t deadline_ms)
{
	CLEANUP(fd_close) int fd = -1;
	TRY(socket_connect_udp(server, &fd, NULL));
	TRY(socket_send_all(fd, buf_slice(&query->bytes), left_until(deadline_ms)));
	for (unsigned i = 0; i < DNS_STUB_STRAYS_MAX; i++) {
		size_t n;
		int left = left_until(deadline_ms);
		if (left == 0)
			break;
		TRY(socket_receive(fd, query->packet, DNS_MESSAGE_MAX, left, &n));
		struct slice packet = slice_of(query->packet, n);
		if (!has_id(query, packet))
			continue;
		TRY(dns_message_parse(packet, query->arena, &query->message));
		if (fits(query, &query->message))
			return ok();
	}
	return fail(ERR_TIMEOUT, "no answer in time");
}

static struct status receive_all(int fd, uint8_t *p, size_t n, int64_t deadline_ms)
{
	while (n > 0) {
		size_t got;
		int left = left_until(deadline_ms);
		if (left == 0)
			return fail(ERR_TIMEOUT, "no answer in time");
		TRY(socket_receive(fd, p, n, left, &got));
		if (got == 0)
			return fail(ERR_CLOSED, "server ended the connection");
		p += got;
		n -= got;
	}
	return ok();
}

/* RFC 1035 section 4.2.2: each message after its size. */
static struct status ask_tcp(struct query *query, const struct os_address *server,
                             int64_t deadline_ms)
{
	CLEANUP(fd_close) int fd = -1;
	struct buf framed;
	uint8_t size[2];
	TRY(socket_connect(server, NULL, left_until(deadline_ms), &fd, NULL));
	buf_init(&framed, QUERY_MAX + 2);
	wire_add_u16(&framed, (uint16_t)query->bytes.n);
	buf_add(&framed, buf_slice(&query->bytes));
	struct status status = socket_send_all(fd, buf_slice(&framed), left_until(deadline_ms));
	buf_done(&framed);
	TRY(status);
	TRY(receive_all(fd, size, sizeof(size), deadline_ms));
	size_t n = (size_t)(size[0] << 8 | size[1]);
	TRY(receive_all(fd, query->packet, n, deadline_ms));
	struct slice packet = slice_of(query->packet, n);
	if (!has_id(query, packet))
		return fail(ERR_PROTOCOL, "answer to another query");
	TRY(dns_message_parse(packet, query->arena, &query->message));
	if (!fits(query, &query->message))
		return fail(ERR_PROTOCOL, "answer to another query");
	return ok();
}

static struct status ask_server(struct query *query, const struct os_address *server,
                                int64_t deadline_ms)
{
	struct dns_query_options options = {.authentic = true};
	int64_t end = MIN(deadline_ms, now_ms() + DNS_STUB_TRY_MS);
	TRY(random_id(&query->id));
	options.id = query->id;
	buf_reset(&query->bytes);
	dns_query_write(query->name, query->type, &options, &query->bytes);
	TRY(ask_udp(query, server, end));
	return query->message.truncated ? ask_tcp(query, server, deadline_ms) : ok();
}

/* A resolver that is believed is also believed when it says that validation failed, which the DNS
 * tells by an Extended DNS Error only. */
static struct dns_answer *answer_of(const struct dns_stub *stub, const struct query *query)
{
	bool secure = stub->trust && query->message.authentic;
	struct dns_answer *answer =
	        dns_answer_from_message(&query->message, query->name, query->type,
	                                secure ? DNS_SECURE : DNS_INSECURE, query->arena);
	if (!answer || !stub->trust || answer->rcode != RCODE_SERVFAIL ||
	    !dns_ede_is_bogus(answer->ede_code))
		return answer;
	answer->failure = DNS_FAILURE_AUTHENTICATION;
	answer->security = answer->final_security = DNS_BOGUS;
	return answer;
}

/* Another server may do better. */
static bool is_in_trouble(const struct dns_answer *answer)
{
	return answer->outcome == DNS_FAILED;
}

static struct dns_answer *ask_servers(const struct dns_stub *stub, struct query *query,
                                      int64_t deadline_ms)
{
	struct dns_answer *worst = NULL;
	const char *why = "no server to ask";
	for (size_t i = 0; i < DNS_STUB_ROUNDS * stub->n_servers; i++) {
		if (left_until(deadline_ms) == 0) {
			why = "no answer in time";
			break;
		}
		struct status status =
		        ask_server(query, &stub->servers[i % stub->n_servers], deadline_ms);
		if (arena_failed(query->arena))
			return NULL;
		if (!is_ok(status)) {
			why = status.why;
			continue;
		}
		struct dns_answer *answer = answer_of(stub, query);
		if (!answer || !is_in_trouble(answer))
			return answer;
		worst = answer;
	}
	return worst ? worst
	             : dns_answer_failed(query->name, query->type, DNS_FAILURE_TEMPORARY, why,
	                                 query->arena);
}

static struct status stub_lookup(const struct dns_resolver *resolver, struct dns_name name,
                                 enum dns_type type, int timeout_ms, struct arena *arena,
                                 const struct dns_answer **ret_answer)
{
	const struct dns_stub *stub = resolver->context;
	struct query query = {.name = name, .type = type, .arena = arena};
	int64_t deadline_ms = now_ms() + MAX(timeout_ms, 1);
	query.packet = base_alloc(DNS_MESSAGE_MAX);
	buf_init(&query.bytes, QUERY_MAX);
	struct dns_answer *answer = ask_servers(stub, &query, deadline_ms);
	buf_done(&query.bytes);
	base_free(query.packet);
	if (!answer || arena_failed(arena))
		return fail(ERR_LIMIT, "no room for an answer");
	*ret_answer = answer;
	return ok();
}

void dns_stub_init(struct dns_stub *stub, const struct os_address *servers, size_t n_servers,
                   bool trust)
{
	static const struct dns_resolver_ops ops = {.lookup = stub_lookup};
	*stub = (struct dns_stub){.trust = trust};
	stub->resolver = (struct dns_resolver){.ops = &ops, .context = stub};
	stub->n_servers = MIN(n_servers, DNS_STUB_SERVERS_MAX);
	for (size_t i = 0; i < stub->n_servers; i++)
		stub->servers[i] = servers[i];
}

/* --- resolv.conf(5) --- */

static bool is_no_blank(uint8_t byte)
{
	return byte != ' ' && byte != '\t';
}
static bool is_blank(uint8_t byte)
{
	return !is_no_blank(byte);
}

static struct slice next_word(struct cursor *c)
{
	(void)cursor_while(c, is_blank);
	return cursor_while(c, is_no_blank);
}

static void read_line(struct slice line, struct os_address servers[DNS_STUB_SERVERS_MAX], size_t *n,
                      bool *trust_ad)
{
	struct cursor c = cursor_of(line);
	struct slice keyword = next_word(&c), word;
	if (slice_eq_str(keyword, "nameserver") && *n < DNS_STUB_SERVERS_MAX) {
		if (is_ok(os_address_parse(next_word(&c), DNS_PORT, &servers[*n])))
			(*n)++;
	} else if (slice_eq_str(keyword, "options")) {
		while ((word = next_word(&c)).n > 0)
			*trust_ad = *trust_ad || slice_eq_str(word, "trust-ad");
	}
}

void dns_stub_read_resolv_conf(struct slice text, struct os_address servers[DNS_STUB_SERVERS_MAX],
                               size_t *ret_n, bool *ret_trust_ad)
{
	struct slice line, rest = text;
	size_t n = 0;
	bool trust_ad = false, more = true;
	for (size_t i = 0; more && i < RESOLV_CONF_LINES; i++) {
		more = slice_cut(rest, '\n', &line, &rest);
		read_line(slice_trim(line), servers, &n, &trust_ad);
	}
	if (n == 0)
		n = is_ok(os_address_parse(SLICE("127.0.0.1"), DNS_PORT, &servers[0]));
	*ret_n = n;
	*ret_trust_ad = trust_ad;
}
