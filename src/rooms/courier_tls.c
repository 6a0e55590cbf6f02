/* The courier's TLS clients: one for the system's authorities, one for each `ca` of a transport.
 * OpenSSL's own state is made with the first of them. */
#include "rooms/courier_private.h"

void courier_tls_init(struct courier_tls *tls, int bundle_fd)
{
	*tls = (struct courier_tls){0};
	pthread_mutex_init(&tls->lock, NULL);
	tls->common.authorities = tls_authorities_new(NULL);
	tls_authorities_set_file(tls->common.authorities, bundle_fd);
}

static void end(struct courier_ca *ca)
{
	tls_client_unref(ca->client);
	tls_authorities_unref(ca->authorities);
	base_free(ca->path);
}

void courier_tls_done(struct courier_tls *tls)
{
	while (tls->own) {
		struct courier_ca *next = tls->own->next;
		end(tls->own);
		base_free(tls->own);
		tls->own = next;
	}
	end(&tls->common);
	tls_library_free(tls->library);
	pthread_mutex_destroy(&tls->lock);
}

void courier_tls_add(struct courier_tls *tls, const char *path, struct slice pem)
{
	struct courier_ca *ca = base_alloc(sizeof(*ca));
	ca->path = base_strdup(path);
	ca->authorities = tls_authorities_new(tls->common.authorities);
	tls_authorities_set_text(ca->authorities, pem);
	ca->next = tls->own;
	tls->own = ca;
}

static struct courier_ca *find(struct courier_tls *tls, const char *path)
{
	if (!*path)
		return &tls->common;
	for (struct courier_ca *ca = tls->own; ca; ca = ca->next)
		if (strcmp(ca->path, path) == 0)
			return ca;
	return &tls->common; /* its file could not be read: what it would trust is not trusted */
}

struct tls_client *courier_tls_client(struct courier_tls *tls, const char *ca_path)
{
	pthread_mutex_lock(&tls->lock);
	if (!tls->library)
		tls->library = tls_library_new();
	struct courier_ca *ca = find(tls, ca_path);
	if (!ca->client)
		ca->client = tls_client_new(tls->library, ca->authorities);
	struct tls_client *client = ca->client ? tls_client_ref(ca->client) : NULL;
	pthread_mutex_unlock(&tls->lock);
	return client;
}

struct tls_authorities *courier_tls_authorities(struct courier_tls *tls, const char *ca_path)
{
	return find(tls, ca_path)->authorities; /* what was added is never taken away */
}
