/* Connections that are kept for a few seconds after a message, for the next one to the same host.
 *
 * A key is transport, host, port and TLS policy: whoever asks for the same would have made the same
 * connection. A thread that lives as long as there is anything to watch closes what nobody took.
 *
 * Limits: COURIER_IDLE_MAX, COURIER_IDLE_PER_KEY_MAX, COURIER_IDLE_MS.
 */
#include "rooms/courier_private.h"

#include "os/process.h"

#include <malloc.h>
#include <time.h>

#define REAPER_STACK ((size_t)96 * 1024) /* libssl says goodbye on it */

void courier_pool_init(struct courier *courier)
{
	pthread_condattr_t attributes;
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_mutex_init(&courier->pool_lock, NULL);
	pthread_cond_init(&courier->pool_changed, &attributes);
	pthread_condattr_destroy(&attributes);
}

/* Out of the list. With the lock held. */
static struct courier_connection *unlink_at(struct courier *courier, struct courier_connection **at)
{
	struct courier_connection *connection = *at;
	*at = connection->next;
	connection->next = NULL;
	courier->n_pool--;
	return connection;
}

static struct courier_connection *take_one(struct courier *courier, const char *key)
{
	struct courier_connection *found = NULL;
	pthread_mutex_lock(&courier->pool_lock);
	struct courier_connection **at = &courier->pool;
	while (*at && strcmp((*at)->key, key) != 0)
		at = &(*at)->next;
	if (*at)
		found = unlink_at(courier, at);
	pthread_mutex_unlock(&courier->pool_lock);
	return found;
}

bool courier_pool_has(struct courier *courier, const char *host_key)
{
	pthread_mutex_lock(&courier->pool_lock);
	const struct courier_connection *c = courier->pool;
	while (c && !slice_starts(slice_str(c->key), slice_str(host_key)))
		c = c->next;
	pthread_mutex_unlock(&courier->pool_lock);
	return c != NULL;
}

struct courier_connection *courier_pool_take(struct courier *courier, const char *key)
{
	struct courier_connection *connection;
	while ((connection = take_one(courier, key))) {
		enum stream_event event;
		struct stream *stream = &connection->stream.t.stream;
		/* What a server says unasked is a goodbye. A transaction that is still open is
		 * reset by the client itself; without one RSET would cost a round trip to learn
		 * what the answer to MAIL tells, too. */
		if (is_ok(stream_wait(stream, -1, 0, &event)) && event == STREAM_TIMEOUT) {
			connection->reused = true;
			return connection;
		}
		courier_disconnect(connection);
	}
	return NULL;
}

/* The reaper's round: what has waited too long, one at a time. With the lock held. */
static struct courier_connection *take_expired(struct courier *courier, int64_t now_ms)
{
	for (struct courier_connection **at = &courier->pool; *at; at = &(*at)->next)
		if (now_ms - (*at)->idle_since_ms >= COURIER_IDLE_MS)
			return unlink_at(courier, at);
	return NULL;
}

/* Sleeps with the lock given up; wakes early when the pool is being cleared. */
static void sleep_a_second(struct courier *courier)
{
	struct timespec until;
	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec++;
	pthread_cond_timedwait(&courier->pool_changed, &courier->pool_lock, &until);
}

static void reap(void *context)
{
	struct courier *courier = context;
	pthread_mutex_lock(&courier->pool_lock);
	while (courier->pool) {
		struct courier_connection *expired =
		        take_expired(courier, clock_monotonic_ms(courier->options.clock));
		if (!expired) {
			sleep_a_second(courier);
			continue;
		}
		pthread_mutex_unlock(&courier->pool_lock);
		courier_disconnect(expired);
		pthread_mutex_lock(&courier->pool_lock);
	}
	courier->reaper_runs = false;
	malloc_trim(0); /* nobody sends any more: what TLS needed goes back */
	pthread_cond_broadcast(&courier->pool_changed);
	pthread_mutex_unlock(&courier->pool_lock);
}

/* With the lock held. Nothing is kept that nobody would close. */
static bool need_reaper(struct courier *courier)
{
	const struct thread_options options = {.name = "reaper", .stack_size = REAPER_STACK};
	if (!courier->reaper_runs)
		courier->reaper_runs = is_ok(thread_start(&options, reap, courier, NULL));
	return courier->reaper_runs;
}

static size_t count(const struct courier *courier, const char *key)
{
	size_t n = 0;
	for (const struct courier_connection *c = courier->pool; c; c = c->next)
		n += strcmp(c->key, key) == 0;
	return n;
}

void courier_pool_put(struct courier *courier, struct courier_connection *connection)
{
	bool kept = false;
	connection->idle_since_ms = clock_monotonic_ms(courier->options.clock);
	if (smtp_client_usable(&connection->client) && !connection->client.busy &&
	    !connection->unloved) {
		pthread_mutex_lock(&courier->pool_lock);
		if (courier->n_pool < COURIER_IDLE_MAX &&
		    connection->epoch == atomic_load(&courier->epoch) &&
		    count(courier, connection->key) < COURIER_IDLE_PER_KEY_MAX) {
			connection->next = courier->pool;
			courier->pool = connection;
			courier->n_pool++;
			kept = need_reaper(courier);
			if (!kept)
				(void)unlink_at(courier, &courier->pool);
		}
		pthread_mutex_unlock(&courier->pool_lock);
	}
	if (!kept)
		courier_disconnect(connection);
}

void courier_pool_clear(struct courier *courier)
{
	pthread_mutex_lock(&courier->pool_lock);
	while (courier->pool) {
		struct courier_connection *connection = unlink_at(courier, &courier->pool);
		pthread_mutex_unlock(&courier->pool_lock);
		courier_hang_up(connection);
		pthread_mutex_lock(&courier->pool_lock);
	}
	pthread_cond_broadcast(&courier->pool_changed); /* the reaper may go */
	pthread_mutex_unlock(&courier->pool_lock);
}

void courier_pool_done(struct courier *courier)
{
	courier_pool_clear(courier);
	pthread_mutex_lock(&courier->pool_lock);
	while (courier->reaper_runs || courier->n_behind > 0)
		pthread_cond_wait(&courier->pool_changed, &courier->pool_lock);
	pthread_mutex_unlock(&courier->pool_lock);
	pthread_cond_destroy(&courier->pool_changed);
	pthread_mutex_destroy(&courier->pool_lock);
}
