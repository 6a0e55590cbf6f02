/* Facts on their way: equal ones together, bounded, in batches that keep their id until they are
 * taken. */
#include "rooms/reporter.h"

#include "os/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <unistd.h>

#include <cmocka.h>

#undef fail

#define SEEN_MAX 100u

/* A steward that answers as the test wants. */
struct fixture {
	pthread_mutex_t lock;
	enum err answer;
	unsigned n_calls;
	uint8_t ids[SEEN_MAX][16];
	uint64_t n_facts[SEEN_MAX], sum[SEEN_MAX], n_dropped[SEEN_MAX];
	size_t size_max; /* of a packed batch */
	struct reporter *reporter;
};

static struct status send(void *context, const Door__AddFacts *batch)
{
	struct fixture *f = context;
	pthread_mutex_lock(&f->lock);
	assert_int_equal(batch->batch.len, 16);
	unsigned i = MIN(f->n_calls, SEEN_MAX - 1);
	memcpy(f->ids[i], batch->batch.data, 16);
	f->n_facts[i] = batch->n_facts;
	f->n_dropped[i] = batch->n_dropped;
	f->sum[i] = 0;
	for (size_t j = 0; j < batch->n_facts; j++)
		f->sum[i] += batch->facts[j]->count;
	f->size_max = MAX(f->size_max, protobuf_c_message_get_packed_size(&batch->base));
	f->n_calls++;
	enum err answer = f->answer;
	pthread_mutex_unlock(&f->lock);
	return answer == ERR_OK ? ok() : fail(answer, "as the test wants");
}

static int set_up(void **state)
{
	struct fixture *f = base_alloc(sizeof(*f));
	pthread_mutex_init(&f->lock, NULL);
	f->reporter = reporter_new(&(struct reporter_options){
	        .clock = clock_real(), .send = send, .context = f, .pause_ms = 20});
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;
	reporter_free(f->reporter);
	pthread_mutex_destroy(&f->lock);
	base_free(f);
	return 0;
}

static void add(struct fixture *f, const char *form, size_t n)
{
	Door__Fact fact = DOOR__FACT__INIT;
	char *domain = door_string("a.example");
	fact.domains = &domain;
	fact.n_domains = 1;
	fact.form = door_binary(slice_str(form));
	fact.count = 77; /* is not looked at */
	for (size_t i = 0; i < n; i++)
		reporter_add(f->reporter, &fact);
}

static void finish(struct fixture *f)
{
	reporter_free(f->reporter);
	f->reporter = NULL;
}

static unsigned calls(struct fixture *f)
{
	pthread_mutex_lock(&f->lock);
	unsigned n = f->n_calls;
	pthread_mutex_unlock(&f->lock);
	return n;
}

static uint64_t total(const struct fixture *f)
{
	uint64_t sum = 0;
	for (unsigned i = 0; i < MIN(f->n_calls, SEEN_MAX); i++)
		sum += f->sum[i];
	return sum;
}

static void equal_facts_are_counted_together(void **state)
{
	struct fixture *f = *state;
	add(f, "x", 1000);
	add(f, "y", 10);
	finish(f);
	assert_int_equal(total(f), 1010);
	assert_true(f->n_calls <= 3);
}

static void a_batch_that_is_not_answered_comes_again_with_its_id(void **state)
{
	struct fixture *f = *state;
	f->answer = ERR_TIMEOUT;
	add(f, "x", 3);
	while (calls(f) < 2)
		usleep(10000);
	pthread_mutex_lock(&f->lock);
	f->answer = ERR_OK;
	pthread_mutex_unlock(&f->lock);
	while (calls(f) < 3)
		usleep(10000);
	finish(f);
	for (unsigned i = 1; i < f->n_calls; i++)
		assert_memory_equal(f->ids[0], f->ids[i], 16);
	assert_int_equal(f->sum[f->n_calls - 1], 3);
}

static void a_batch_that_is_refused_is_given_up(void **state)
{
	struct fixture *f = *state;
	f->answer = ERR_INVALID;
	add(f, "x", 1);
	while (calls(f) < 1)
		usleep(10000);
	usleep(100000);
	assert_int_equal(calls(f), 1);
	pthread_mutex_lock(&f->lock);
	f->answer = ERR_OK;
	pthread_mutex_unlock(&f->lock);
	add(f, "y", 1);
	finish(f);
	assert_int_equal(f->n_calls, 2);
	assert_memory_not_equal(f->ids[0], f->ids[1], 16);
}

static void what_is_too_much_is_dropped_and_told(void **state)
{
	struct fixture *f = *state;
	uint64_t n_dropped = 0;
	f->answer = ERR_TIMEOUT; /* nothing leaves meanwhile */
	add(f, "first", 1);
	while (calls(f) < 1)
		usleep(10000);
	for (unsigned i = 0; i < REPORTER_FACTS_MAX + 100; i++) {
		char form[16];
		snprintf(form, sizeof(form), "%u", i);
		add(f, form, 1);
	}
	pthread_mutex_lock(&f->lock);
	f->answer = ERR_OK;
	pthread_mutex_unlock(&f->lock);
	while (calls(f) < 3)
		usleep(10000);
	finish(f);
	for (unsigned i = 0; i < f->n_calls; i++)
		n_dropped += f->n_dropped[i];
	assert_int_equal(n_dropped, 100);
	assert_true(f->size_max < IPC_PACKET_MAX);
}

static void large_ones_share_no_packet_that_is_too_large(void **state)
{
	struct fixture *f = *state;
	char *form = base_alloc(REPORTER_FACT_MAX);
	memset(form, 'x', REPORTER_FACT_MAX - 1);
	for (char c = 'a'; c < 'k'; c++) {
		form[0] = c;
		form[REPORTER_FACT_MAX - 100] = 0;
		add(f, form, 1);
	}
	memset(form, 'x', REPORTER_FACT_MAX - 1);
	add(f, form, 1); /* too large with its domain */
	base_free(form);
	finish(f);
	assert_int_equal(total(f), 10);
	assert_true(f->size_max < IPC_PACKET_MAX);
}

int main(void)
{
#define WITH_FIXTURE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
	const struct CMUnitTest tests[] = {
	        WITH_FIXTURE(equal_facts_are_counted_together),
	        WITH_FIXTURE(a_batch_that_is_not_answered_comes_again_with_its_id),
	        WITH_FIXTURE(a_batch_that_is_refused_is_given_up),
	        WITH_FIXTURE(what_is_too_much_is_dropped_and_told),
	        WITH_FIXTURE(large_ones_share_no_packet_that_is_too_large),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
