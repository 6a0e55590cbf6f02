/* Connecting to one of several addresses: order, refusals, silence, deadlines. */
#include "os/socket.h"

#include "os/clock.h"
#include "os/fd.h"
#include "os/test_support.h"

#include <errno.h>

/* A listener at 127.0.0.N. */
static struct os_address listen_at(unsigned n, int backlog, int *ret_fd)
{
	char text[20];
	struct os_address address;
	snprintf(text, sizeof(text), "127.0.0.%u", n);
	assert_ok(os_address_parse(slice_str(text), 0, &address));
	assert_ok(socket_listen(&address, &(struct socket_listen_options){.backlog = backlog},
	                        ret_fd, NULL));
	return socket_local(*ret_fd);
}

/* A port where nobody listens. */
static struct os_address refusing_at(unsigned n)
{
	int fd;
	struct os_address address = listen_at(n, 1, &fd);
	fd_close(&fd);
	return address;
}

/* A listener whose backlog is full: connecting to it gets no answer. */
struct silent {
	int listener;
	int fillers[4];
	struct os_address address;
};

static void make_silent(struct silent *s, unsigned n)
{
	s->address = listen_at(n, 1, &s->listener);
	for (size_t i = 0; i < N_ELEMENTS(s->fillers); i++) {
		s->fillers[i] = -1;
		(void)socket_connect(&s->address, NULL, 50, &s->fillers[i], NULL);
	}
}

static void end_silent(struct silent *s)
{
	fd_close(&s->listener);
	for (size_t i = 0; i < N_ELEMENTS(s->fillers); i++)
		fd_close(&s->fillers[i]);
}

static void the_first_that_answers_is_taken(void **state)
{
	(void)state;
	CLEANUP(fd_close) int listener = -1;
	CLEANUP(fd_close) int second = -1;
	CLEANUP(fd_close) int fd = -1;
	struct os_address addresses[] = {listen_at(2, 5, &listener), listen_at(3, 5, &second)};
	struct socket_connect_result results[2];
	size_t index = 99;
	const struct socket_connect_options options = {.timeout_ms = 2000};
	assert_ok(socket_connect_any(addresses, 2, &options, &fd, &index, results, NULL));
	assert_int_equal(index, 0);
	assert_true(results[0].tried && !results[1].tried);
	struct os_address peer = socket_peer(fd);
	assert_true(os_address_eq(&peer, &addresses[0]));
}

static void refusals_cost_no_time(void **state)
{
	(void)state;
	CLEANUP(fd_close) int listener = -1;
	CLEANUP(fd_close) int fd = -1;
	struct os_address addresses[4] = {refusing_at(2), refusing_at(3), refusing_at(4)};
	addresses[3] = listen_at(5, 5, &listener);
	struct socket_connect_result results[4];
	size_t index;
	const struct socket_connect_options options = {.timeout_ms = 60000, .stagger_ms = 30000};
	int64_t began = clock_monotonic_ms(clock_real());
	assert_ok(socket_connect_any(addresses, 4, &options, &fd, &index, results, NULL));
	assert_true(clock_monotonic_ms(clock_real()) - began < 10000);
	assert_int_equal(index, 3);
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(results[i].errno_value, ECONNREFUSED);
	assert_int_equal(results[3].errno_value, 0);
}

static void silence_costs_the_head_start_only(void **state)
{
	(void)state;
	struct silent silent;
	CLEANUP(fd_close) int listener = -1;
	CLEANUP(fd_close) int fd = -1;
	make_silent(&silent, 2);
	struct os_address addresses[] = {silent.address, listen_at(3, 5, &listener)};
	struct socket_connect_result results[2];
	size_t index;
	const struct socket_connect_options options = {.timeout_ms = 60000, .stagger_ms = 100};
	int64_t began = clock_monotonic_ms(clock_real());
	assert_ok(socket_connect_any(addresses, 2, &options, &fd, &index, results, NULL));
	int64_t took = clock_monotonic_ms(clock_real()) - began;
	assert_int_equal(index, 1);
	assert_true(took >= 100 && took < 10000);
	assert_true(results[0].tried);
	assert_int_equal(results[0].errno_value, 0); /* given up, not failed */
	end_silent(&silent);
}

static void silence_everywhere_ends_at_the_deadline(void **state)
{
	(void)state;
	struct silent silent[2];
	int fd = -1;
	make_silent(&silent[0], 2);
	make_silent(&silent[1], 3);
	struct os_address addresses[] = {silent[0].address, silent[1].address};
	struct socket_connect_result results[2];
	size_t index;
	struct os_fault fault;
	struct socket_connect_options options = {.timeout_ms = 300, .stagger_ms = 50};
	assert_int_equal(
	        socket_connect_any(addresses, 2, &options, &fd, &index, results, &fault).code,
	        ERR_TIMEOUT);
	assert_int_equal(results[0].errno_value, ETIMEDOUT);
	assert_int_equal(results[1].errno_value, ETIMEDOUT);
	assert_non_null(strstr(fault.text, "127.0.0."));
	/* Each has its own, too: the second is begun when the first has used its time up. */
	options = (struct socket_connect_options){
	        .timeout_ms = 60000, .each_ms = 100, .stagger_ms = 50000};
	assert_int_equal(
	        socket_connect_any(addresses, 2, &options, &fd, &index, results, &fault).code,
	        ERR_TIMEOUT);
	assert_true(results[1].tried);
	assert_int_equal(fd, -1);
	end_silent(&silent[0]);
	end_silent(&silent[1]);
}

static void a_failure_names_its_address(void **state)
{
	(void)state;
	struct os_address addresses[] = {refusing_at(2), refusing_at(3)};
	struct os_fault fault;
	int fd = -1;
	size_t index;
	const struct socket_connect_options options = {.timeout_ms = 1000};
	assert_false(is_ok(socket_connect_any(addresses, 2, &options, &fd, &index, NULL, &fault)));
	assert_int_equal(fault.errno_value, ECONNREFUSED);
	assert_non_null(strstr(fault.text, "127.0.0.3"));
}

static void what_cannot_be_tried_is_refused(void **state)
{
	(void)state;
	struct os_address addresses[SOCKET_CONNECT_MAX + 1] = {{.family = OS_FAMILY_NONE}};
	const struct socket_connect_options options = {.timeout_ms = 1000};
	int fd = -1;
	size_t index;
	assert_int_equal(socket_connect_any(addresses, 0, &options, &fd, &index, NULL, NULL).code,
	                 ERR_INVALID);
	assert_int_equal(socket_connect_any(addresses, SOCKET_CONNECT_MAX + 1, &options, &fd,
	                                    &index, NULL, NULL)
	                         .code,
	                 ERR_LIMIT);
	assert_false(is_ok(socket_connect_any(addresses, 3, &options, &fd, &index, NULL, NULL)));
}

static void it_can_be_given_up(void **state)
{
	(void)state;
	struct silent silent;
	CLEANUP(fd_close) int wake = -1;
	int fd = -1;
	size_t index;
	make_silent(&silent, 2);
	assert_ok(eventfd_new(&wake));
	eventfd_signal(wake);
	const struct socket_connect_options options = {.timeout_ms = 60000, .wake_fd = wake};
	assert_int_equal(
	        socket_connect_any(&silent.address, 1, &options, &fd, &index, NULL, NULL).code,
	        ERR_CANCELED);
	end_silent(&silent);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(the_first_that_answers_is_taken),
	        cmocka_unit_test(refusals_cost_no_time),
	        cmocka_unit_test(silence_costs_the_head_start_only),
	        cmocka_unit_test(silence_everywhere_ends_at_the_deadline),
	        cmocka_unit_test(a_failure_names_its_address),
	        cmocka_unit_test(what_cannot_be_tried_is_refused),
	        cmocka_unit_test(it_can_be_given_up),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
