/* mmap, mlock, MADV_DONTDUMP, MADV_WIPEONFORK. */
#include "vault/secret.h"

#include <openssl/crypto.h>
#include <sys/mman.h>

static size_t mapping_size(size_t room)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	return (MAX(room, (size_t)1) + page - 1) / page * page;
}

void secret_init(struct secret *s, size_t room)
{
	ASSERT(room <= SECRET_MAX);
	size_t size = mapping_size(room);
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED)
		BUG("out of memory");
	(void)mlock(p, size); /* refused beyond RLIMIT_MEMLOCK: then it may be swapped */
	(void)madvise(p, size, MADV_DONTDUMP);
	(void)madvise(p, size, MADV_WIPEONFORK);
	*s = (struct secret){.p = p, .room = room};
}

void secret_done(struct secret *s)
{
	if (s->p) {
		size_t size = mapping_size(s->room);
		OPENSSL_cleanse(s->p, size);
		munmap(s->p, size);
	}
	*s = (struct secret){.p = NULL};
}

struct status secret_set(struct secret *s, struct slice bytes)
{
	if (bytes.n > s->room)
		return fail(ERR_LIMIT, "secret is too long");
	memcpy(s->p, bytes.p, bytes.n);
	OPENSSL_cleanse(s->p + bytes.n, s->room - bytes.n);
	s->n = bytes.n;
	return ok();
}

void secret_wipe(void *p, size_t n)
{
	OPENSSL_cleanse(p, n);
}
