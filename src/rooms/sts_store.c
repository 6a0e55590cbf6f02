/* See sts_store.h. A table mapped by the domain's hash: a later domain takes the place of an
 * earlier one.
 *
 * A form that is put is in memory before the steward has it, so that a steward that is just
 * starting anew costs a fetch later, and not one for each message.
 */
#include "rooms/sts_store.h"

#include "base/buf.h"

#include <pthread.h>

struct slot {
	char *domain; /* NULL: free */
	uint8_t *form;
	size_t size; /* of the form; 0: the steward has none */
	int64_t until_ms;
};

struct sts_store {
	struct sts_store_options options;
	struct mtasts_store interface;
	pthread_mutex_t lock; /* guards all below */
	struct slot slots[STS_STORE_SLOTS];
	size_t total;       /* bytes of forms */
	uint64_t n_changes; /* by put and forget */
};

static struct slot *slot_of(struct sts_store *store, const char *domain)
{
	uint64_t hash = hash_slice(store->options.key, slice_str(domain));
	return &store->slots[hash % STS_STORE_SLOTS];
}

static void clear(struct sts_store *store, struct slot *slot)
{
	store->total -= slot->size;
	base_free(slot->domain);
	base_free(slot->form);
	*slot = (struct slot){0};
}

static int64_t now_ms(const struct sts_store *store)
{
	return clock_monotonic_ms(store->options.clock);
}

/* True: it is known whether there is one; *ret_form empty when not. */
static bool recall(struct sts_store *store, const char *domain, struct arena *arena,
                   struct slice *ret_form, uint64_t *ret_n_changes)
{
	pthread_mutex_lock(&store->lock);
	const struct slot *slot = slot_of(store, domain);
	bool known =
	        slot->domain && strcmp(slot->domain, domain) == 0 && now_ms(store) < slot->until_ms;
	if (known)
		*ret_form = arena_copy(arena, slot->form ? slice_of(slot->form, slot->size)
		                                         : slice_empty());
	*ret_n_changes = store->n_changes;
	pthread_mutex_unlock(&store->lock);
	return known;
}

/* With the lock held. An empty form: the steward has none. */
static void keep(struct sts_store *store, const char *domain, struct slice form)
{
	struct slot *slot = slot_of(store, domain);
	clear(store, slot);
	if (form.n > STS_STORE_SIZE_MAX - store->total)
		return;
	slot->domain = base_strdup(domain);
	slot->until_ms = now_ms(store) + STS_STORE_KEEP_MS;
	if (form.n == 0)
		return;
	slot->form = base_alloc(form.n);
	memcpy(slot->form, form.p, form.n);
	slot->size = form.n;
	store->total += form.n;
}

static struct status get(void *context, const char *domain, struct arena *arena,
                         struct slice *ret_form)
{
	struct sts_store *store = context;
	struct slice form = slice_empty();
	uint64_t n_changes;
	if (!recall(store, domain, arena, &form, &n_changes)) {
		struct status status =
		        store->options.get(store->options.context, domain, arena, &form);
		if (!is_ok(status) && status.code != ERR_NOT_FOUND)
			return status;
		pthread_mutex_lock(&store->lock);
		if (store->n_changes == n_changes) /* else this may be older than what is there */
			keep(store, domain, form);
		pthread_mutex_unlock(&store->lock);
	}
	if (arena_failed(arena))
		return fail(ERR_LIMIT, "no memory for a policy");
	if (form.n == 0)
		return fail(ERR_NOT_FOUND, "no policy is kept");
	*ret_form = form;
	return ok();
}

static void put(void *context, const char *domain, struct slice form)
{
	struct sts_store *store = context;
	pthread_mutex_lock(&store->lock);
	store->n_changes++;
	keep(store, domain, form);
	pthread_mutex_unlock(&store->lock);
	(void)store->options.put(store->options.context, domain, form); /* who asks has logged it */
}

void sts_store_forget(struct sts_store *store, const char *domain)
{
	pthread_mutex_lock(&store->lock);
	struct slot *slot = slot_of(store, domain);
	store->n_changes++;
	if (slot->domain && strcmp(slot->domain, domain) == 0)
		clear(store, slot);
	pthread_mutex_unlock(&store->lock);
}

struct sts_store *sts_store_new(const struct sts_store_options *options)
{
	struct sts_store *store = base_alloc(sizeof(*store));
	store->options = *options;
	store->interface = (struct mtasts_store){.get = get, .put = put, .context = store};
	pthread_mutex_init(&store->lock, NULL);
	return store;
}

void sts_store_free(struct sts_store *store)
{
	if (!store)
		return;
	for (size_t i = 0; i < STS_STORE_SLOTS; i++)
		clear(store, &store->slots[i]);
	pthread_mutex_destroy(&store->lock);
	base_free(store);
}

const struct mtasts_store *sts_store_interface(const struct sts_store *store)
{
	return &store->interface;
}
