/* Argon2id (RFC 9106) through libargon2, one lane.
 *
 * Its memory is mapped for each computation and unmapped after it: malloc would keep such blocks,
 * and an idle vault would hold them for ever. */
#include "vault/hashing.h"

#include <argon2.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/mman.h>

#define MARK_SIZE     ((size_t)32)
#define MARKS         ((size_t)1024)
#define WAYS          ((size_t)4)
#define MARK_TEXT_MAX ((size_t)2048)

/* A remembered success. */
struct mark {
	uint8_t mac[MARK_SIZE];
	int64_t until_ms;
};

struct vault_hashing {
	struct vault_hashing_options options;
	uint8_t key[MARK_SIZE]; /* random, for marks */
	atomic_ullong n_computed;

	pthread_mutex_t queue_lock; /* guards the next four */
	pthread_cond_t turn;
	unsigned n_running, n_waiting;
	uint64_t next_number, served; /* first come, first served */

	pthread_mutex_t marks_lock; /* guards marks */
	struct mark marks[MARKS];
};

struct vault_hashing *vault_hashing_new(const struct vault_hashing_options *options)
{
	struct vault_hashing *hashing = base_alloc(sizeof(*hashing));
	hashing->options = *options;
	if (RAND_priv_bytes(hashing->key, sizeof(hashing->key)) != 1)
		BUG("no randomness");
	pthread_mutex_init(&hashing->queue_lock, NULL);
	pthread_cond_init(&hashing->turn, NULL);
	pthread_mutex_init(&hashing->marks_lock, NULL);
	return hashing;
}

void vault_hashing_free(struct vault_hashing *hashing)
{
	if (!hashing)
		return;
	pthread_mutex_destroy(&hashing->queue_lock);
	pthread_cond_destroy(&hashing->turn);
	pthread_mutex_destroy(&hashing->marks_lock);
	OPENSSL_cleanse(hashing, sizeof(*hashing));
	base_free(hashing);
}

uint64_t vault_hashing_count(const struct vault_hashing *hashing)
{
	return atomic_load(&hashing->n_computed);
}

/* --- turns --- */

static struct status take_turn(struct vault_hashing *hashing)
{
	struct status status = ok();
	pthread_mutex_lock(&hashing->queue_lock);
	if (hashing->n_waiting >= hashing->options.n_waiting) {
		status = fail(ERR_BUSY, "too many logins at once");
	} else {
		uint64_t number = hashing->next_number++;
		hashing->n_waiting++;
		while (number != hashing->served ||
		       hashing->n_running >= hashing->options.n_parallel)
			pthread_cond_wait(&hashing->turn, &hashing->queue_lock);
		hashing->served++;
		hashing->n_waiting--;
		hashing->n_running++;
		pthread_cond_broadcast(&hashing->turn); /* the next may run beside us */
	}
	pthread_mutex_unlock(&hashing->queue_lock);
	return status;
}

static void give_turn(struct vault_hashing *hashing)
{
	pthread_mutex_lock(&hashing->queue_lock);
	hashing->n_running--;
	pthread_cond_broadcast(&hashing->turn);
	pthread_mutex_unlock(&hashing->queue_lock);
}

/* --- Argon2id --- */

static int map_memory(uint8_t **memory, size_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	*memory = p == MAP_FAILED ? NULL : p;
	if (*memory)
		(void)madvise(p, size, MADV_DONTDUMP);
	return *memory ? ARGON2_OK : ARGON2_MEMORY_ALLOCATION_ERROR;
}

static void unmap_memory(uint8_t *memory, size_t size)
{
	munmap(memory, size);
}

static struct status compute(struct slice password, const struct verifier_argon2 *parameters,
                             uint8_t hash[VERIFIER_HASH_SIZE])
{
	union {
		const uint8_t *in;
		uint8_t *out;
	} secret = {.in = password.p}; /* libargon2 writes to it only when asked to clear it */
	uint8_t salt[VERIFIER_SALT_SIZE];
	memcpy(salt, parameters->salt, sizeof(salt));
	argon2_context context = {
	        .out = hash,
	        .outlen = VERIFIER_HASH_SIZE,
	        .pwd = secret.out,
	        .pwdlen = (uint32_t)password.n,
	        .salt = salt,
	        .saltlen = sizeof(salt),
	        .t_cost = parameters->passes,
	        .m_cost = parameters->kib,
	        .lanes = 1,
	        .threads = 1,
	        .version = ARGON2_VERSION_13,
	        .allocate_cbk = map_memory,
	        .free_cbk = unmap_memory,
	        .flags = ARGON2_DEFAULT_FLAGS,
	};
	int result = argon2id_ctx(&context);
	if (result == ARGON2_MEMORY_ALLOCATION_ERROR)
		return fail(ERR_BUSY, "no memory for a password hash");
	return result == ARGON2_OK ? ok() : fail(ERR_INVALID, "Argon2 refuses its parameters");
}

static struct status compute_in_turn(struct vault_hashing *hashing, struct slice password,
                                     const struct verifier_argon2 *parameters,
                                     uint8_t hash[VERIFIER_HASH_SIZE])
{
	TRY(take_turn(hashing));
	atomic_fetch_add(&hashing->n_computed, 1);
	struct status status = compute(password, parameters, hash);
	give_turn(hashing);
	return status;
}

struct status vault_hashing_make(struct vault_hashing *hashing, struct slice password, uint32_t kib,
                                 uint32_t passes, struct verifier_argon2 *ret_verifier)
{
	struct verifier_argon2 verifier = {.kib = kib, .passes = passes};
	if (RAND_bytes(verifier.salt, sizeof(verifier.salt)) != 1)
		return fail(ERR_IO, "no randomness");
	TRY(compute_in_turn(hashing, password, &verifier, verifier.hash));
	*ret_verifier = verifier;
	return ok();
}

/* --- remembered successes --- */

static bool make_mark(const struct vault_hashing *hashing, struct slice account,
                      const struct verifier_argon2 *verifier, struct slice password,
                      uint8_t mac[MARK_SIZE])
{
	struct buf text;
	size_t n = 0;
	buf_init(&text, MARK_TEXT_MAX);
	buf_reserve(&text, MARK_TEXT_MAX); /* never moved: no copy stays on the heap */
	buf_printf(&text, "%zu %zu ", account.n, password.n);
	buf_add(&text, account);
	buf_add(&text, slice_of(verifier->salt, sizeof(verifier->salt)));
	buf_add(&text, slice_of(verifier->hash, sizeof(verifier->hash)));
	buf_add(&text, password);
	bool made = !buf_failed(&text) &&
	            EVP_Q_mac(NULL, "HMAC", NULL, "SHA256", NULL, hashing->key,
	                      sizeof(hashing->key), text.p, text.n, mac, MARK_SIZE, &n) != NULL;
	OPENSSL_cleanse(text.p, text.capacity);
	buf_done(&text);
	return made;
}

/* The marks among which this one would be; nobody without the key can aim at them. */
static struct mark *marks_of(struct vault_hashing *hashing, const uint8_t mac[MARK_SIZE])
{
	size_t set = ((size_t)mac[0] << 8 | mac[1]) % (MARKS / WAYS);
	return &hashing->marks[set * WAYS];
}

static bool is_remembered(struct vault_hashing *hashing, const uint8_t mac[MARK_SIZE])
{
	int64_t now_ms = clock_monotonic_ms(hashing->options.clock);
	bool found = false;
	pthread_mutex_lock(&hashing->marks_lock);
	const struct mark *marks = marks_of(hashing, mac);
	for (size_t i = 0; i < WAYS; i++)
		found |= slice_eq_secret(slice_of(marks[i].mac, MARK_SIZE),
		                         slice_of(mac, MARK_SIZE)) &&
		         marks[i].until_ms > now_ms;
	pthread_mutex_unlock(&hashing->marks_lock);
	return found;
}

static void remember(struct vault_hashing *hashing, const uint8_t mac[MARK_SIZE])
{
	pthread_mutex_lock(&hashing->marks_lock);
	struct mark *marks = marks_of(hashing, mac);
	struct mark *oldest = marks;
	for (size_t i = 1; i < WAYS; i++)
		if (marks[i].until_ms < oldest->until_ms)
			oldest = &marks[i];
	memcpy(oldest->mac, mac, MARK_SIZE);
	oldest->until_ms = clock_monotonic_ms(hashing->options.clock) +
	                   (int64_t)hashing->options.remember_s * 1000;
	pthread_mutex_unlock(&hashing->marks_lock);
}

struct status vault_hashing_verify(struct vault_hashing *hashing, struct slice account,
                                   const struct verifier_argon2 *verifier, struct slice password)
{
	uint8_t mac[MARK_SIZE], hash[VERIFIER_HASH_SIZE];
	bool marked = hashing->options.remember_s > 0 &&
	              make_mark(hashing, account, verifier, password, mac);
	if (marked && is_remembered(hashing, mac))
		return ok();
	TRY(compute_in_turn(hashing, password, verifier, hash));
	bool equal = slice_eq_secret(slice_of(hash, sizeof(hash)),
	                             slice_of(verifier->hash, sizeof(verifier->hash)));
	OPENSSL_cleanse(hash, sizeof(hash));
	if (!equal)
		return fail(ERR_AUTH, "credentials are wrong");
	if (marked)
		remember(hashing, mac);
	return ok();
}
