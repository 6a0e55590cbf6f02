/* PEM text (RFC 7468) with an index by the hash of the subject.
 *
 * What is no certificate between its BEGIN and END is passed over: one damaged entry of a bundle
 * must not end all mail. A hash that two subjects share costs a look at both.
 *
 * Limits: TLS_AUTHORITIES_MAX certificates, TLS_AUTHORITIES_FILE_MAX bytes, CERTIFICATE_MAX bytes
 * of one.
 */
#include "tls/authorities.h"

#include "base/slice.h"
#include "tls/openssl_status.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <unistd.h>

#define CERTIFICATE_MAX ((size_t)64 * 1024)
#define BEGIN           SLICE("-----BEGIN CERTIFICATE-----")
#define END             SLICE("-----END CERTIFICATE-----")

const char *const tls_authorities_bundles[] = {
        "/etc/ssl/certs/ca-certificates.crt", /* Debian, Arch, Alpine */
        "/etc/pki/tls/certs/ca-bundle.crt",   /* Fedora */
        "/etc/ssl/ca-bundle.pem",             /* SUSE */
        "/etc/ssl/cert.pem",
        NULL,
};

struct entry {
	unsigned long subject; /* X509_NAME_hash_ex */
	size_t offset, size;   /* of the text from BEGIN to END */
};

struct tls_authorities {
	atomic_uint n_refs;
	struct tls_authorities *parent;
	int fd;            /* -1: none */
	struct slice text; /* on the heap; empty when there is a file */
	pthread_mutex_t lock;
	bool indexed;
	struct entry *entries;
	size_t n_entries;
};

struct tls_authorities *tls_authorities_new(struct tls_authorities *parent)
{
	struct tls_authorities *a = base_alloc(sizeof(*a));
	*a = (struct tls_authorities){.fd = -1, .text = slice_empty()};
	atomic_init(&a->n_refs, 1);
	a->parent = parent ? tls_authorities_ref(parent) : NULL;
	pthread_mutex_init(&a->lock, NULL);
	return a;
}

struct tls_authorities *tls_authorities_ref(struct tls_authorities *authorities)
{
	atomic_fetch_add(&authorities->n_refs, 1);
	return authorities;
}

static void clear(struct tls_authorities *a)
{
	if (a->fd >= 0)
		close(a->fd);
	if (a->text.n > 0)
		base_free((void *)(uintptr_t)a->text.p);
	base_free(a->entries);
	a->fd = -1;
	a->text = slice_empty();
	a->entries = NULL;
	a->n_entries = 0;
	a->indexed = false;
}

void tls_authorities_unref(struct tls_authorities *authorities)
{
	if (!authorities || atomic_fetch_sub(&authorities->n_refs, 1) != 1)
		return;
	tls_authorities_unref(authorities->parent);
	clear(authorities);
	pthread_mutex_destroy(&authorities->lock);
	base_free(authorities);
}

void tls_authorities_set_file(struct tls_authorities *authorities, int fd)
{
	clear(authorities);
	authorities->fd = fd;
}

void tls_authorities_set_text(struct tls_authorities *authorities, struct slice pem)
{
	clear(authorities);
	if (pem.n == 0 || pem.n > TLS_AUTHORITIES_FILE_MAX)
		return;
	uint8_t *copy = base_alloc(pem.n);
	memcpy(copy, pem.p, pem.n);
	authorities->text = slice_of(copy, pem.n);
}

/* --- reading --- */

/* n bytes at the offset; false when they are not there. */
static bool read_at(const struct tls_authorities *a, size_t offset, uint8_t *p, size_t n)
{
	if (a->fd < 0) {
		struct slice part = slice_sub(a->text, offset, n);
		memcpy(p, part.p, part.n);
		return part.n == n;
	}
	for (size_t done = 0; done < n;) {
		ssize_t got = pread(a->fd, p + done, n - done, (off_t)(offset + done));
		if (got <= 0)
			return false;
		done += (size_t)got;
	}
	return true;
}

static size_t size_of(const struct tls_authorities *a)
{
	struct stat st;
	if (a->fd < 0)
		return a->text.n;
	if (fstat(a->fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size < 0)
		return 0;
	return MIN((size_t)st.st_size, TLS_AUTHORITIES_FILE_MAX);
}

static X509 *parse(struct slice pem, OSSL_LIB_CTX *libctx)
{
	X509 *cert = X509_new_ex(libctx, NULL);
	BIO *bio = BIO_new_mem_buf(pem.p, (int)MIN(pem.n, CERTIFICATE_MAX));
	if (cert && (!bio || !PEM_read_bio_X509(bio, &cert, NULL, NULL))) {
		X509_free(cert);
		cert = NULL;
	}
	BIO_free(bio);
	ERR_clear_error();
	return cert;
}

static void add_entry(struct tls_authorities *a, struct slice text, struct slice pem)
{
	X509 *cert = parse(pem, NULL);
	if (!cert)
		return;
	a->entries[a->n_entries++] = (struct entry){
	        .subject = X509_NAME_hash_ex(X509_get_subject_name(cert), NULL, NULL, NULL),
	        .offset = (size_t)(pem.p - text.p),
	        .size = pem.n,
	};
	X509_free(cert);
}

/* The next block from BEGIN to END; empty when there is none. */
static struct slice next_block(struct slice *rest)
{
	size_t begin = slice_find(*rest, BEGIN);
	if (begin == SIZE_MAX)
		return slice_empty();
	struct slice from = slice_from(*rest, begin);
	size_t end = slice_find(from, END);
	if (end == SIZE_MAX)
		return slice_empty();
	*rest = slice_from(from, end + END.n);
	return slice_sub(from, 0, end + END.n);
}

static void make_index(struct tls_authorities *a)
{
	size_t size = size_of(a);
	uint8_t *bytes = base_alloc(MAX(size, 1));
	struct slice text = slice_of(bytes, read_at(a, 0, bytes, size) ? size : 0), rest = text;
	size_t n = 0;
	while (next_block(&rest).n > 0 && n < TLS_AUTHORITIES_MAX)
		n++;
	a->entries = base_alloc(MAX(n, 1) * sizeof(*a->entries));
	rest = text;
	for (size_t i = 0; i < n; i++) {
		struct slice pem = next_block(&rest);
		if (pem.n <= CERTIFICATE_MAX)
			add_entry(a, text, pem);
	}
	base_free(bytes);
	a->indexed = true;
}

/* The index never changes once it is there. */
static void need_index(struct tls_authorities *a)
{
	pthread_mutex_lock(&a->lock);
	if (!a->indexed)
		make_index(a);
	pthread_mutex_unlock(&a->lock);
}

size_t tls_authorities_count(struct tls_authorities *authorities)
{
	size_t n = 0;
	for (struct tls_authorities *a = authorities; a; a = a->parent) {
		need_index(a);
		n += a->n_entries;
	}
	return n;
}

static void add_certificate(const struct tls_authorities *a, const struct entry *entry,
                            OSSL_LIB_CTX *libctx, const X509_NAME *subject, STACK_OF(X509) * to)
{
	uint8_t *bytes = base_alloc(entry->size);
	X509 *cert = read_at(a, entry->offset, bytes, entry->size)
	                     ? parse(slice_of(bytes, entry->size), libctx)
	                     : NULL;
	base_free(bytes);
	if (!cert)
		return;
	if (X509_NAME_cmp(X509_get_subject_name(cert), subject) != 0 || sk_X509_push(to, cert) <= 0)
		X509_free(cert);
}

void tls_authorities_find(struct tls_authorities *authorities, OSSL_LIB_CTX *libctx,
                          const X509_NAME *subject, STACK_OF(X509) * to)
{
	unsigned long hash = X509_NAME_hash_ex(subject, NULL, NULL, NULL);
	for (struct tls_authorities *a = authorities; a; a = a->parent) {
		need_index(a);
		for (size_t i = 0; i < a->n_entries; i++)
			if (a->entries[i].subject == hash)
				add_certificate(a, &a->entries[i], libctx, subject, to);
	}
}
