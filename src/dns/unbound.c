/* libunbound as a struct dns_resolver.
 *
 * Lookups are handed to libunbound's thread (ub_resolve_async); a pump thread of ours waits for its
 * results and wakes the callers. A caller that gave up leaves its wait behind, which is freed when
 * the result comes after all: so everything under way is counted and nothing is freed under
 * libunbound's hands.
 */
#include "dns/unbound_private.h"

#include "base/cursor.h"
#include "os/clock.h"
#include "os/fd.h"
#include "os/process.h"

#include <poll.h>
#include <sys/random.h>

#define CLASS_IN      1
#define SOCKETS_MAX   4096u
#define LINE_MAX_SIZE 4096u

/* What took longer came from the network, not from the cache. */
#define CACHED_MS 3

/* One question under way. Two hold it: the caller, and libunbound until it calls back. */
struct wait {
	struct wait *previous, *next; /* of the resolver's list */
	struct dns_unbound *unbound;
	pthread_cond_t cond;
	unsigned references;
	bool for_strangers;
	size_t party; /* index of n_for_party */
	bool done;
	int error;
	struct ub_result *result; /* the caller's when done */
};

/* --- options --- */

static void free_lines(struct lines *lines)
{
	for (size_t i = 0; i < lines->n; i++)
		base_free(lines->v[i]);
	lines->n = 0;
}

static bool is_blank(uint8_t byte)
{
	return byte == ' ' || byte == '\t';
}
static bool is_no_blank(uint8_t byte)
{
	return !is_blank(byte);
}

static struct slice next_word(struct cursor *c)
{
	(void)cursor_while(c, is_blank);
	return cursor_while(c, is_no_blank);
}

/* Behind name, TTL and class: both may be missing, in either order (RFC 1035 section 5.1). */
static struct slice type_of_line(struct cursor *c)
{
	uint32_t ttl;
	struct slice word = next_word(c);
	for (int i = 0; i < 2; i++)
		if (slice_ieq_str(word, "IN") || slice_to_u32(word, UINT32_MAX, &ttl))
			word = next_word(c);
	return word;
}

static struct status add_anchor(struct lines *lines, struct slice line)
{
	struct cursor c = cursor_of(line);
	(void)next_word(&c);
	struct slice type = type_of_line(&c);
	if (!slice_ieq_str(type, "DS") && !slice_ieq_str(type, "DNSKEY"))
		return fail(ERR_INVALID, "trust anchor is neither a DS nor a DNSKEY record on one "
		                         "line");
	if (lines->n == DNS_UNBOUND_ANCHORS_MAX)
		return fail(ERR_LIMIT, "too many trust anchors");
	char *copy = slice_to_cstr(line);
	if (!copy)
		return fail(ERR_INVALID, "trust anchor holds a NUL");
	lines->v[lines->n++] = copy;
	return ok();
}

static struct status add_hint(struct lines *lines, struct slice line)
{
	struct cursor c = cursor_of(line);
	struct os_address address;
	(void)next_word(&c);
	struct slice type = type_of_line(&c);
	if (!slice_ieq_str(type, "A") && !slice_ieq_str(type, "AAAA"))
		return ok(); /* NS records: the addresses are what is needed */
	struct slice text = next_word(&c);
	if (!is_ok(os_address_parse(text, 53, &address)))
		return fail(ERR_INVALID, "root hint without an address");
	if (lines->n == DNS_UNBOUND_HINTS_MAX)
		return fail(ERR_LIMIT, "too many root hints");
	lines->v[lines->n++] = slice_to_cstr(text);
	return ok();
}

/* Comments begin with ';' (RFC 1035 section 5.1) or, at a line's start, with '#'. */
static struct status read_lines(struct slice text, struct lines *lines,
                                struct status (*add)(struct lines *lines, struct slice line))
{
	struct slice line, rest = text, comment;
	bool more;
	do {
		more = slice_cut(rest, '\n', &line, &rest);
		(void)slice_cut(line, ';', &line, &comment);
		line = slice_trim(line);
		if (line.n > LINE_MAX_SIZE)
			return fail(ERR_LIMIT, "line is too long");
		if (line.n > 0 && line.p[0] != '#')
			TRY(add(lines, line));
	} while (more);
	return ok();
}

/* Whom to ask when nobody is heard. */
static void add_silence_servers(struct dns_unbound *unbound)
{
	unbound->silence.forwarders = unbound->n_servers > 0;
	for (size_t i = 0; i < unbound->n_servers; i++)
		dns_silence_add_server(&unbound->silence, &unbound->servers[i]);
	for (size_t i = 0; i < unbound->hints.n && unbound->n_servers == 0; i++) {
		struct os_address address;
		if (is_ok(os_address_parse(slice_str(unbound->hints.v[i]), 53, &address)))
			dns_silence_add_server(&unbound->silence, &address);
	}
}

static struct status read_options(struct dns_unbound *unbound,
                                  const struct dns_unbound_options *options)
{
	if (options->anchors.n > 0) {
		TRY(read_lines(options->anchors, &unbound->anchors, add_anchor));
		if (unbound->anchors.n == 0)
			return fail(ERR_INVALID, "no trust anchor in the file");
	}
	if (options->hints.n > 0) {
		TRY(read_lines(options->hints, &unbound->hints, add_hint));
		if (unbound->hints.n == 0)
			return fail(ERR_INVALID, "no address in the root hints");
	}
	if (options->n_servers > DNS_UNBOUND_SERVERS_MAX)
		return fail(ERR_LIMIT, "too many servers to forward to");
	for (size_t i = 0; i < options->n_servers; i++)
		unbound->servers[i] = options->servers[i];
	unbound->n_servers = options->n_servers;
	add_silence_servers(unbound);
	unbound->cache_size = MAX(options->cache_size ? options->cache_size : DNS_UNBOUND_CACHE,
	                          DNS_UNBOUND_CACHE_MIN);
	unbound->lookups_max = options->lookups_max ? options->lookups_max : DNS_UNBOUND_LOOKUPS;
	return ok();
}

/* --- libunbound's context --- */

static int set_size(struct ub_ctx *ctx, const char *option, size_t size)
{
	char text[32];
	snprintf(text, sizeof(text), "%zu", size);
	return ub_ctx_set_option(ctx, option, text);
}

/* Half for record sets, the rest for messages, keys and what is known not to exist. */
static int set_sizes(struct ub_ctx *ctx, const struct dns_unbound *unbound)
{
	size_t size = unbound->cache_size;
	int error = set_size(ctx, "rrset-cache-size:", size / 2);
	if (!error)
		error = set_size(ctx, "msg-cache-size:", size / 4);
	if (!error)
		error = set_size(ctx, "key-cache-size:", size / 8);
	if (!error)
		error = set_size(ctx, "neg-cache-size:", size / 8);
	if (!error)
		error = set_size(ctx, "num-queries-per-thread:", (size_t)2 * unbound->lookups_max);
	/* UDP queries that wait at one time: silent servers must hold up no others. */
	if (!error)
		error = set_size(ctx, "outgoing-range:", MIN(unbound->lookups_max, SOCKETS_MAX));
	return error;
}

static int set_settings(struct ub_ctx *ctx, const struct dns_unbound *unbound)
{
	static const struct {
		const char *name, *value;
	} settings[] = {
	        {"edns-buffer-size:", "1232"},
	        {"outgoing-num-tcp:", "16"},
	        {"infra-cache-numhosts:", "2000"},
	        {"infra-host-ttl:", "120"}, /* servers out of reach are tried again soon */
	        {"infra-keep-probing:", "yes"},
	        {"cache-max-negative-ttl:", "900"},
	        {"minimal-responses:", "yes"},
	        {"qname-minimisation:", "yes"},
	        {"aggressive-nsec:", "yes"},
	        {"do-not-query-localhost:", "no"}, /* a forwarder may run here */
	        {"local-zone:",
	         "test. transparent"}, /* for closed networks with a root of their own */
	};
	int error = ub_ctx_set_option(
	        ctx, "module-config:", unbound->anchors.n > 0 ? "validator iterator" : "iterator");
	for (size_t i = 0; i < N_ELEMENTS(settings) && !error; i++)
		error = ub_ctx_set_option(ctx, settings[i].name, settings[i].value);
	/* Reverse names of private networks: whoever has servers of his own may have those zones,
	 * the world has not (RFC 6303). */
	if (!error && (unbound->n_servers > 0 || unbound->hints.n > 0))
		error = ub_ctx_set_option(ctx, "unblock-lan-zones:", "yes");
	return error ? error : set_sizes(ctx, unbound);
}

/* "192.0.2.1@53" */
static int add_server(struct ub_ctx *ctx, const struct os_address *server)
{
	char address[OS_ADDRESS_TEXT_MAX], text[OS_ADDRESS_TEXT_MAX + 8];
	os_address_print(server, address);
	snprintf(text, sizeof(text), "%s@%u", address, server->port);
	return ub_ctx_set_fwd(ctx, text);
}

static int set_up(struct ub_ctx *ctx, const struct dns_unbound *unbound)
{
	int error = ub_ctx_debugout(ctx, NULL);
	if (!error)
		error = ub_ctx_async(ctx, 1);
	if (!error)
		error = set_settings(ctx, unbound);
	for (size_t i = 0; i < unbound->anchors.n && !error; i++)
		error = ub_ctx_add_ta(ctx, unbound->anchors.v[i]);
	for (size_t i = 0; i < unbound->hints.n && !error; i++)
		error = ub_ctx_set_stub(ctx, ".", unbound->hints.v[i], 1);
	for (size_t i = 0; i < unbound->n_servers && !error; i++)
		error = add_server(ctx, &unbound->servers[i]);
	return error;
}

static void run_pump(void *context)
{
	struct dns_unbound *unbound = context;
	struct pollfd fds[2] = {
	        {.fd = ub_fd(unbound->ctx), .events = POLLIN},
	        {.fd = unbound->stop_fd, .events = POLLIN},
	};
	for (;;) {
		if (poll(fds, N_ELEMENTS(fds), -1) < 0)
			continue; /* interrupted */
		if (fds[1].revents)
			return;
		(void)ub_process(unbound->ctx);
	}
}

/* Called with the lock held. */
static struct status begin(struct dns_unbound *unbound)
{
	const struct thread_options options = {
	        .name = "dns", .stack_size = DNS_UNBOUND_STACK, .joinable = true};
	if (unbound->ctx)
		return ok();
	unbound->ctx = ub_ctx_create();
	if (!unbound->ctx)
		return fail(ERR_TEMPORARY, "the resolver cannot be made");
	int error = set_up(unbound->ctx, unbound);
	struct status status =
	        error ? fail(ERR_INVALID, ub_strerror(error)) : eventfd_new(&unbound->stop_fd);
	if (is_ok(status))
		status = thread_start(&options, run_pump, unbound, &unbound->pump);
	if (is_ok(status))
		return ok();
	fd_close(&unbound->stop_fd);
	ub_ctx_delete(unbound->ctx);
	unbound->ctx = NULL;
	return status;
}

/* --- one question --- */

/* Called with the lock held. */
static void unref_wait(struct wait *wait)
{
	if (--wait->references > 0)
		return;
	if (wait->previous)
		wait->previous->next = wait->next;
	else
		wait->unbound->waits = wait->next;
	if (wait->next)
		wait->next->previous = wait->previous;
	ub_resolve_free(wait->result);
	pthread_cond_destroy(&wait->cond);
	base_free(wait);
}

static size_t party_of(const struct dns_unbound *unbound, struct dns_name name)
{
	return hash_slice(unbound->key, dns_name_slice(dns_name_party(name))) % DNS_UNBOUND_PARTIES;
}

/* Called with the lock held. */
static struct status take_place(struct dns_unbound *unbound, bool for_strangers, size_t party)
{
	unsigned strangers_max = unbound->lookups_max / 4 * 3;
	if (unbound->n_under_way >= unbound->lookups_max ||
	    (for_strangers && unbound->n_for_strangers >= strangers_max))
		return fail(ERR_BUSY, "too many lookups at once");
	if (for_strangers && unbound->n_for_party[party] >= MAX(strangers_max / 8, 1))
		return fail(ERR_BUSY, "too many lookups of names of this domain at once");
	unbound->n_under_way++;
	unbound->n_for_strangers += for_strangers;
	unbound->n_for_party[party] += for_strangers;
	return ok();
}

/* Called with the lock held. */
static void leave_place(const struct wait *wait)
{
	struct dns_unbound *unbound = wait->unbound;
	unbound->n_under_way--;
	unbound->n_for_strangers -= wait->for_strangers;
	unbound->n_for_party[wait->party] -= wait->for_strangers;
}

static void on_result(void *context, int error, struct ub_result *result)
{
	struct wait *wait = context;
	struct dns_unbound *unbound = wait->unbound;
	pthread_mutex_lock(&unbound->lock);
	wait->done = true;
	wait->error = error;
	wait->result = result;
	leave_place(wait);
	pthread_cond_signal(&wait->cond);
	unref_wait(wait);
	pthread_mutex_unlock(&unbound->lock);
}

/* Called with the lock held. */
static struct wait *new_wait(struct dns_unbound *unbound, bool for_strangers, size_t party)
{
	struct wait *wait = base_alloc(sizeof(*wait));
	pthread_condattr_t attributes;
	wait->unbound = unbound;
	wait->references = 2;
	wait->for_strangers = for_strangers;
	wait->party = party;
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&wait->cond, &attributes);
	pthread_condattr_destroy(&attributes);
	wait->next = unbound->waits;
	if (wait->next)
		wait->next->previous = wait;
	unbound->waits = wait;
	return wait;
}

static struct status start_wait(const struct dns_unbound_asker *asker, struct dns_name name,
                                unsigned type, struct wait **ret_wait)
{
	struct dns_unbound *unbound = asker->unbound;
	struct wait *wait = NULL;
	size_t party = party_of(unbound, name);
	pthread_mutex_lock(&unbound->lock);
	struct status status = begin(unbound);
	if (is_ok(status))
		status = take_place(unbound, asker->for_strangers, party);
	if (is_ok(status))
		wait = new_wait(unbound, asker->for_strangers, party);
	pthread_mutex_unlock(&unbound->lock);
	TRY(status);
	/* Not under the lock: libunbound may be waiting for its results to be taken. */
	int error = ub_resolve_async(unbound->ctx, name.text, (int)type, CLASS_IN, wait, on_result,
	                             NULL);
	if (error) {
		pthread_mutex_lock(&unbound->lock);
		leave_place(wait);
		wait->references = 1;
		unref_wait(wait);
		pthread_mutex_unlock(&unbound->lock);
		return fail(ERR_TEMPORARY, ub_strerror(error));
	}
	*ret_wait = wait;
	return ok();
}

/* With the lock held, which is let go while it waits; until it is done, all is silent or it is
 * time. */
static void wait_until(struct wait *wait, int64_t end_ms, bool although_silent)
{
	struct dns_unbound *unbound = wait->unbound;
	struct timespec until = {.tv_sec = end_ms / 1000, .tv_nsec = end_ms % 1000 * 1000000};
	int waited = 0;
	while (!wait->done && waited == 0 && (although_silent || !unbound->silence.silent))
		waited = pthread_cond_timedwait(&wait->cond, &unbound->lock, &until);
}

static bool is_heard(const struct ub_result *result)
{
	return result->rcode == 0 || result->rcode == DNS_RCODE_NXDOMAIN;
}

static struct status finish_wait(struct wait *wait, int64_t deadline_ms,
                                 struct ub_result **ret_result)
{
	struct dns_unbound *unbound = wait->unbound;
	struct dns_silence *silence = &unbound->silence;
	int64_t begun_ms = clock_monotonic_ms(clock_real());
	struct status status = ok();
	pthread_mutex_lock(&unbound->lock);
	wait_until(wait, MIN(deadline_ms, begun_ms + DNS_SILENCE_CACHE_MS), true);
	wait_until(wait, MIN(deadline_ms, begun_ms + DNS_SILENCE_PATIENCE_MS), false);
	if (!wait->done)
		dns_silence_suspect(silence);
	wait_until(wait, deadline_ms, false);
	if (wait->done && wait->error) {
		status = fail(ERR_TEMPORARY, ub_strerror(wait->error));
	} else if (wait->done) {
		*ret_result = wait->result;
		wait->result = NULL;
		if (is_heard(*ret_result) &&
		    clock_monotonic_ms(clock_real()) - begun_ms >= CACHED_MS)
			dns_silence_heard(silence);
	} else if (silence->silent) {
		status = fail(ERR_TEMPORARY, "no server of the DNS can be reached");
	} else {
		status = fail(ERR_TIMEOUT, "no answer in time");
	}
	unref_wait(wait);
	pthread_mutex_unlock(&unbound->lock);
	return status;
}

/* With the lock held. */
static void on_silence(void *context)
{
	struct dns_unbound *unbound = context;
	for (struct wait *wait = unbound->waits; wait; wait = wait->next)
		pthread_cond_signal(&wait->cond);
}

struct status dns_unbound_ask(const struct dns_unbound_asker *asker, struct dns_name name,
                              unsigned type, struct ub_result **ret_result)
{
	struct wait *wait;
	TRY(start_wait(asker, name, type, &wait));
	return finish_wait(wait, asker->deadline_ms, ret_result);
}

/* --- the interface --- */

static void free_result(struct ub_result **result)
{
	ub_resolve_free(*result);
}

static struct dns_answer *look_up(const struct dns_unbound_asker *asker, struct dns_name name,
                                  enum dns_type type, struct arena *arena)
{
	CLEANUP(free_result) struct ub_result *result = NULL;
	struct status status = dns_unbound_ask(asker, name, type, &result);
	if (!is_ok(status))
		return dns_answer_failed(name, type, DNS_FAILURE_TEMPORARY, status.why, arena);
	return dns_unbound_answer(asker, name, type, result, arena);
}

static struct status unbound_lookup(const struct dns_resolver *resolver, struct dns_name name,
                                    enum dns_type type, int timeout_ms, struct arena *arena,
                                    const struct dns_answer **ret_answer)
{
	struct dns_unbound *unbound = resolver->context;
	const struct dns_unbound_asker asker = {
	        .unbound = unbound,
	        .for_strangers = resolver == &unbound->for_strangers,
	        .deadline_ms = clock_monotonic_ms(clock_real()) + MAX(timeout_ms, 1),
	};
	struct dns_answer *answer = look_up(&asker, name, type, arena);
	if (!answer || arena_failed(arena))
		return fail(ERR_LIMIT, "no room for an answer");
	*ret_answer = answer;
	return ok();
}

struct status dns_unbound_new(const struct dns_unbound_options *options,
                              struct dns_unbound **ret_unbound)
{
	static const struct dns_resolver_ops ops = {.lookup = unbound_lookup};
	struct dns_unbound *unbound = base_alloc(sizeof(*unbound));
	unbound->resolver = (struct dns_resolver){.ops = &ops, .context = unbound};
	unbound->for_strangers = unbound->resolver;
	unbound->stop_fd = -1;
	pthread_mutex_init(&unbound->lock, NULL);
	dns_silence_init(&unbound->silence, &unbound->lock, on_silence, unbound);
	struct status status = read_options(unbound, options);
	if (getrandom(&unbound->key, sizeof(unbound->key), 0) != (ssize_t)sizeof(unbound->key))
		status = fail(ERR_TEMPORARY, "no random number");
	if (!is_ok(status)) {
		dns_unbound_free(unbound);
		return status;
	}
	*ret_unbound = unbound;
	return ok();
}

const struct dns_resolver *dns_unbound_resolver(struct dns_unbound *unbound)
{
	return &unbound->resolver;
}

const struct dns_resolver *dns_unbound_for_strangers(struct dns_unbound *unbound)
{
	return &unbound->for_strangers;
}

void dns_unbound_free(struct dns_unbound *unbound)
{
	if (!unbound)
		return;
	dns_silence_done(&unbound->silence);
	if (unbound->ctx) {
		eventfd_signal(unbound->stop_fd);
		thread_join(unbound->pump);
		ub_ctx_delete(unbound->ctx);
		fd_close(&unbound->stop_fd);
	}
	while (unbound->waits) { /* given up, and never to be called back now */
		unbound->waits->references = 1;
		unref_wait(unbound->waits);
	}
	free_lines(&unbound->anchors);
	free_lines(&unbound->hints);
	pthread_mutex_destroy(&unbound->lock);
	base_free(unbound);
}
