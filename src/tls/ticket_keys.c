/* Ticket keys (RFC 5077 section 5.5): AES-256-CBC and HMAC-SHA256, as libssl lays tickets out.
 *
 * Rotation happens when a ticket is sealed or opened, so no timer is needed: after one period the
 * current key becomes the previous one, after two both are new. */
#include "tls/ticket_keys.h"

#include "base/slice.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <pthread.h>

#define NAME_SIZE 16
#define KEY_SIZE  32
#define IV_SIZE   16

struct ticket_key {
	uint8_t name[NAME_SIZE];
	uint8_t cipher[KEY_SIZE];
	uint8_t mac[KEY_SIZE];
};

struct tls_ticket_keys {
	const struct clock *clock;
	int64_t period_ms;
	EVP_CIPHER *aes;      /* fetched once: nothing is looked up during a handshake */
	pthread_mutex_t lock; /* guards all below */
	int64_t made_at_ms;
	bool has_previous;
	struct ticket_key current, previous;
};

static void renew(struct tls_ticket_keys *keys)
{
	if (RAND_priv_bytes((uint8_t *)&keys->current, sizeof(keys->current)) != 1)
		BUG("no randomness");
}

struct tls_ticket_keys *tls_ticket_keys_new(const struct clock *clock, unsigned period_s)
{
	struct tls_ticket_keys *keys = base_alloc(sizeof(*keys));
	keys->clock = clock;
	keys->period_ms = (int64_t)period_s * 1000;
	keys->made_at_ms = clock_monotonic_ms(clock);
	keys->aes = EVP_CIPHER_fetch(NULL, "AES-256-CBC", NULL);
	if (!keys->aes)
		BUG("libcrypto has no AES");
	pthread_mutex_init(&keys->lock, NULL);
	renew(keys);
	return keys;
}

void tls_ticket_keys_free(struct tls_ticket_keys *keys)
{
	if (!keys)
		return;
	EVP_CIPHER_free(keys->aes);
	pthread_mutex_destroy(&keys->lock);
	OPENSSL_cleanse(keys, sizeof(*keys));
	base_free(keys);
}

static void rotate(struct tls_ticket_keys *keys)
{
	int64_t now = clock_monotonic_ms(keys->clock);
	int64_t age = now - keys->made_at_ms;
	if (age < keys->period_ms)
		return;
	keys->has_previous = age < 2 * keys->period_ms;
	keys->previous = keys->current;
	keys->made_at_ms = now;
	renew(keys);
}

static bool set_mac(EVP_MAC_CTX *mac, struct ticket_key *key)
{
	char digest[] = "SHA256";
	OSSL_PARAM params[] = {
	        OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, key->mac, KEY_SIZE),
	        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
	        OSSL_PARAM_construct_end(),
	};
	return EVP_MAC_CTX_set_params(mac, params) == 1;
}

int tls_ticket_keys_seal(struct tls_ticket_keys *keys, uint8_t *name, uint8_t *iv,
                         EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac)
{
	if (RAND_bytes(iv, IV_SIZE) != 1)
		return -1;
	pthread_mutex_lock(&keys->lock);
	rotate(keys);
	struct ticket_key *key = &keys->current;
	memcpy(name, key->name, NAME_SIZE);
	bool good = EVP_EncryptInit_ex(cipher, keys->aes, NULL, key->cipher, iv) == 1 &&
	            set_mac(mac, key);
	pthread_mutex_unlock(&keys->lock);
	return good ? 1 : -1;
}

static struct ticket_key *find_key(struct tls_ticket_keys *keys, const uint8_t *name)
{
	if (memcmp(name, keys->current.name, NAME_SIZE) == 0) /* names are no secret */
		return &keys->current;
	if (keys->has_previous && memcmp(name, keys->previous.name, NAME_SIZE) == 0)
		return &keys->previous;
	return NULL;
}

int tls_ticket_keys_open(struct tls_ticket_keys *keys, const uint8_t *name, const uint8_t *iv,
                         EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac)
{
	pthread_mutex_lock(&keys->lock);
	rotate(keys);
	struct ticket_key *key = find_key(keys, name);
	int result = !key ? 0 : key == &keys->current ? 1 : 2;
	if (key && (EVP_DecryptInit_ex(cipher, keys->aes, NULL, key->cipher, iv) != 1 ||
	            !set_mac(mac, key)))
		result = -1;
	pthread_mutex_unlock(&keys->lock);
	return result;
}
