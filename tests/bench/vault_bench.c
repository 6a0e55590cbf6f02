/* Figures of the vault on this machine: what a login costs by each mechanism. Built on demand
 * (ninja src/vault/vault_bench); prints one figure a line. */
#include "vault/vault.h"

#include "os/clock.h"
#include "os/file.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>

struct setting {
	const char *name;
	uint32_t kib, passes;
};

static int64_t now_us(void)
{
	return clock_now_us(clock_real());
}

/* On a loaded machine the only honest clock for computations. */
static int64_t cpu_us(void)
{
	struct timespec now;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static struct vault *open_vault(int dir_fd, const struct setting *setting)
{
	struct vault *vault;
	const struct vault_options options = {.dir_fd = dir_fd,
	                                      .clock = clock_real(),
	                                      .argon2_kib = setting->kib,
	                                      .argon2_passes = setting->passes};
	if (!is_ok(vault_open(&options, &vault, NULL)) ||
	    !is_ok(vault_password_set(vault, SLICE("me"), SLICE("mailkeep"), NULL)))
		BUG("no vault");
	return vault;
}

static void measure_plain(int dir_fd, const struct setting *setting)
{
	struct vault *vault = open_vault(dir_fd, setting);
	struct rusage usage;
	int64_t before = cpu_us();
	for (int i = 0; i < 10; i++)
		if (vault_verify_plain(vault, SLICE("me"), SLICE("wrong")).code != ERR_AUTH)
			BUG("wrong answer");
	int64_t wrong = cpu_us() - before;
	(void)vault_verify_plain(vault, SLICE("me"), SLICE("mailkeep"));
	before = now_us();
	for (int i = 0; i < 1000; i++)
		if (!is_ok(vault_verify_plain(vault, SLICE("me"), SLICE("mailkeep"))))
			BUG("wrong answer");
	int64_t remembered = now_us() - before;
	getrusage(RUSAGE_SELF, &usage);
	printf("%s: %.1f ms CPU a hash, %.1f us when remembered, %ld KiB at most\n", setting->name,
	       (double)wrong / 10000, (double)remembered / 1000, usage.ru_maxrss);
	vault_close(vault);
}

static void measure_scram(int dir_fd)
{
	static const struct setting small = {"small", 64, 1};
	struct vault *vault = open_vault(dir_fd, &small);
	uint8_t salt[SASL_SALT_MAX], proof[SASL_HASH_MAX] = {0}, signature[SASL_HASH_MAX];
	size_t n;
	uint32_t iterations;
	int64_t before = now_us();
	for (int i = 0; i < 1000; i++) {
		(void)vault_scram_parameters(vault, SLICE("me"), SLICE("me"), SASL_SHA256, salt, &n,
		                             &iterations);
		(void)vault_scram_verify(vault, SLICE("me"), SASL_SHA256, SLICE("message"),
		                         slice_of(proof, 32), signature);
	}
	printf("SCRAM-SHA-256, both calls: %.1f us\n", (double)(now_us() - before) / 1000);
	before = now_us();
	(void)sasl_scram_prove(SASL_SHA256, SLICE("mailkeep"), slice_of(salt, n), iterations,
	                       SLICE("message"), proof, signature);
	printf("SCRAM-SHA-256 with %u iterations on the client: %.1f ms\n", iterations,
	       (double)(now_us() - before) / 1000);
	vault_close(vault);
}

/* Whether an account exists must not show: the middle of many measurements of each. */
static int compare_times(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
	return (x > y) - (x < y);
}

static void measure_strangers(int dir_fd)
{
	static const struct setting small = {"small", 64, 1};
	static const char *const accounts[] = {"me", "you", ""};
	struct vault *vault = open_vault(dir_fd, &small);
	static int64_t plain[3][2001], scram[3][2001];
	for (size_t i = 0; i < 3 * 2001; i++) {
		int64_t before = now_us();
		(void)vault_verify_plain(vault, slice_str(accounts[i % 3]), SLICE("wrong"));
		plain[i % 3][i / 3] = now_us() - before;
	}
	for (size_t i = 0; i < 3 * 2001; i++) {
		struct slice account = slice_str(accounts[i % 3]);
		uint8_t salt[SASL_SALT_MAX];
		size_t n;
		uint32_t iterations;
		int64_t before = now_us();
		(void)vault_scram_parameters(vault, account, SLICE("me"), SASL_SHA256, salt, &n,
		                             &iterations);
		scram[i % 3][i / 3] = now_us() - before;
	}
	for (size_t i = 0; i < 3; i++) {
		qsort(plain[i], 2001, sizeof(int64_t), compare_times);
		qsort(scram[i], 2001, sizeof(int64_t), compare_times);
		printf("account \"%s\": wrong password %" PRId64 " us, SCRAM parameters %" PRId64
		       " us (medians, small Argon2)\n",
		       accounts[i], plain[i][1000], scram[i][1000]);
	}
	vault_close(vault);
}

int main(void)
{
	static const struct setting settings[] = {
	        {"Argon2id 19 MiB, 2 passes", 19456, 2},
	        {"Argon2id 46 MiB, 1 pass", 47104, 1},
	        {"Argon2id 64 MiB, 3 passes", 65536, 3},
	};
	char path[] = "/tmp/vault_bench.XXXXXX";
	int dir_fd = -1;
	if (!mkdtemp(path) || !is_ok(file_open_dir(AT_FDCWD, path, &dir_fd, NULL)))
		BUG("no directory");
	for (size_t i = 0; i < N_ELEMENTS(settings); i++)
		measure_plain(dir_fd, &settings[i]);
	measure_scram(dir_fd);
	measure_strangers(dir_fd);
	printf("left behind: %s\n", path);
	return 0;
}
