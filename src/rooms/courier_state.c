/* The state that attempts share: TLS clients, the memory of addresses, kept connections. */
#include "rooms/courier_private.h"

struct courier *courier_new(const struct courier_options *options)
{
	struct courier *courier = base_alloc(sizeof(*courier));
	courier->options = *options;
	courier_tls_init(&courier->tls, options->bundle_fd);
	delivery_order_init(&courier->order, options->key, options->clock);
	courier_pool_init(courier);
	return courier;
}

void courier_free(struct courier *courier)
{
	if (!courier)
		return;
	courier_pool_done(courier);
	courier_tls_done(&courier->tls);
	delivery_order_done(&courier->order);
	base_free(courier);
}

void courier_add_ca(struct courier *courier, const char *path, struct slice pem)
{
	courier_tls_add(&courier->tls, path, pem);
}

void courier_forget(struct courier *courier)
{
	atomic_fetch_add(&courier->epoch, 1);
	courier_pool_clear(courier);
}

bool courier_enter(struct courier *courier, unsigned max)
{
	pthread_mutex_lock(&courier->pool_lock);
	bool may = courier->n_behind < max;
	courier->n_behind += may;
	pthread_mutex_unlock(&courier->pool_lock);
	return may;
}

void courier_leave(struct courier *courier)
{
	pthread_mutex_lock(&courier->pool_lock);
	courier->n_behind--;
	pthread_cond_broadcast(&courier->pool_changed);
	pthread_mutex_unlock(&courier->pool_lock);
}
