/* See unbound_silence.h. The thread exists from the first suspicion on and sleeps between. */
#include "dns/unbound_silence.h"

#include "dns/stub.h"
#include "os/clock.h"
#include "os/process.h"

#define ASKED_AT_ONCE 3u  /* servers, one after another */
#define ASK_MS        400 /* for each */
#define AGAIN_MS      1000
#define ARENA_MAX     ((size_t)256 * 1024)
#define ASKER_STACK   ((size_t)256 * 1024)

/* d, f, j, k, l, m (root-servers.org): operated on different networks. */
static const char *const roots[] = {
        "199.7.91.13",   "2001:500:2d::d",     "192.5.5.241",  "2001:500:2f::f",
        "192.58.128.30", "2001:503:c27::2:30", "193.0.14.129", "2001:7fd::1",
        "199.7.83.42",   "2001:500:9f::42",    "202.12.27.33", "2001:dc3::35",
};

void dns_silence_init(struct dns_silence *silence, pthread_mutex_t *lock,
                      void (*changed)(void *context), void *context)
{
	pthread_condattr_t attributes;
	*silence = (struct dns_silence){.lock = lock, .changed = changed, .context = context};
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&silence->cond, &attributes);
	pthread_condattr_destroy(&attributes);
}

void dns_silence_done(struct dns_silence *silence)
{
	pthread_mutex_lock(silence->lock);
	bool running = silence->running;
	silence->stop = true;
	pthread_cond_signal(&silence->cond);
	pthread_mutex_unlock(silence->lock);
	if (running)
		thread_join(silence->thread);
	pthread_cond_destroy(&silence->cond);
}

void dns_silence_add_server(struct dns_silence *silence, const struct os_address *server)
{
	if (silence->n_servers < DNS_SILENCE_SERVERS_MAX)
		silence->servers[silence->n_servers++] = *server;
}

static struct os_address next_server(struct dns_silence *silence)
{
	struct os_address server = {.family = OS_FAMILY_NONE};
	size_t turn = silence->turn++;
	if (silence->n_servers > 0)
		return silence->servers[turn % silence->n_servers];
	(void)os_address_parse(slice_str(roots[turn % N_ELEMENTS(roots)]), 53, &server);
	return server;
}

/* What answers in place of the root's servers, in a network that is closed, does not know the root.
 */
static bool answers(const struct os_address *server, bool is_forwarder, struct arena *arena)
{
	const struct dns_answer *answer = NULL;
	struct dns_stub stub;
	dns_stub_init(&stub, server, 1, false);
	if (!is_ok(dns_lookup(&stub.resolver, SLICE("."), DNS_TYPE_NS, ASK_MS, arena, &answer)))
		return false;
	return answer->outcome == DNS_FOUND ||
	       (is_forwarder &&
	        (answer->outcome != DNS_FAILED || answer->failure != DNS_FAILURE_TEMPORARY));
}

static bool anybody_answers(struct dns_silence *silence)
{
	struct arena arena;
	bool heard = false;
	arena_init(&arena, ARENA_MAX);
	for (size_t i = 0; i < ASKED_AT_ONCE && !heard; i++) {
		struct os_address server = next_server(silence);
		arena_reset(&arena);
		heard = answers(&server, silence->forwarders, &arena);
	}
	arena_done(&arena);
	return heard;
}

/* With the lock held, which is let go while it waits. */
static void sleep_for(struct dns_silence *silence, int ms)
{
	int64_t end_ms = clock_monotonic_ms(clock_real()) + ms;
	struct timespec until = {.tv_sec = end_ms / 1000, .tv_nsec = end_ms % 1000 * 1000000};
	int waited = 0;
	while (!silence->stop && waited == 0)
		waited = pthread_cond_timedwait(&silence->cond, silence->lock, &until);
}

/* With the lock held. */
static void ask(struct dns_silence *silence)
{
	int64_t begun_ms = clock_monotonic_ms(clock_real());
	pthread_mutex_unlock(silence->lock);
	bool heard = anybody_answers(silence);
	pthread_mutex_lock(silence->lock);
	if (heard) {
		dns_silence_heard(silence);
	} else if (silence->last_heard_ms < begun_ms) {
		silence->silent = true;
		silence->changed(silence->context);
	}
}

static void run(void *context)
{
	struct dns_silence *silence = context;
	pthread_mutex_lock(silence->lock);
	while (!silence->stop) {
		if (silence->silent)
			sleep_for(silence, AGAIN_MS);
		else if (!silence->suspected)
			pthread_cond_wait(&silence->cond, silence->lock);
		if (silence->stop || (!silence->silent && !silence->suspected))
			continue;
		silence->suspected = false;
		ask(silence);
	}
	pthread_mutex_unlock(silence->lock);
}

void dns_silence_suspect(struct dns_silence *silence)
{
	const struct thread_options options = {
	        .name = "dns silence", .stack_size = ASKER_STACK, .joinable = true};
	int64_t now_ms = clock_monotonic_ms(clock_real());
	if (silence->silent || silence->stop ||
	    (silence->last_heard_ms > 0 && now_ms - silence->last_heard_ms < DNS_SILENCE_HEARD_MS))
		return;
	silence->suspected = true;
	if (!silence->running)
		silence->running = is_ok(thread_start(&options, run, silence, &silence->thread));
	pthread_cond_signal(&silence->cond);
}

void dns_silence_heard(struct dns_silence *silence)
{
	silence->last_heard_ms = clock_monotonic_ms(clock_real());
	silence->silent = silence->suspected = false;
}
