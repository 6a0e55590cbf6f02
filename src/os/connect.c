/* Connecting to one of several addresses: non-blocking connects that begin one after the other and
 * run side by side, RFC 8305 section 5.
 *
 * A dead address costs its head start, not its timeout; one that refuses costs nothing. The order
 * is the caller's. Limits: SOCKET_CONNECT_MAX addresses, so as many descriptors.
 */
#include "os/socket.h"

#include "os/clock.h"
#include "os/fd.h"

#include <errno.h>
#include <poll.h>

#define STAGGER_MS 250

struct
try {
	int fd; /* -1: not under way */
	struct deadline deadline;
};

struct race {
	const struct os_address *addresses;
	size_t n, n_begun;
	struct socket_connect_options options;
	struct deadline deadline; /* of all */
	struct deadline next;     /* when the next one begins although others are under way */
	struct try tries[SOCKET_CONNECT_MAX];
	struct socket_connect_result results[SOCKET_CONNECT_MAX];
	size_t n_running;
	size_t last_failed;
	size_t winner; /* SIZE_MAX: none yet */
};

static void lost(struct race *race, size_t i, int errno_value)
{
	if (race->tries[i].fd >= 0)
		race->n_running--;
	fd_close(&race->tries[i].fd);
	race->results[i].errno_value = errno_value;
	race->last_failed = i;
	race->next = deadline_in(0); /* nobody waits for a failure */
}

static void begin(struct race *race)
{
	size_t i = race->n_begun++;
	struct sockaddr_storage sa;
	const struct os_address *address = &race->addresses[i];
	socklen_t size = os_address_to_sockaddr(address, &sa);
	int af = address->family == OS_FAMILY_V6 ? AF_INET6 : AF_INET;
	int each_ms = race->options.each_ms > 0 ? race->options.each_ms : race->options.timeout_ms;
	race->results[i].tried = true;
	race->next =
	        deadline_in(race->options.stagger_ms > 0 ? race->options.stagger_ms : STAGGER_MS);
	int fd = size > 0 ? socket(af, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0) : -1;
	if (fd < 0) {
		lost(race, i, size > 0 ? errno : EINVAL);
		return;
	}
	race->tries[i] = (struct try){.fd = fd, .deadline = deadline_in(each_ms)};
	race->n_running++;
	if (connect(fd, (struct sockaddr *)&sa, size) == 0)
		race->winner = i;
	else if (errno != EINPROGRESS && errno != EINTR)
		lost(race, i, errno);
}

static void look_at(struct race *race, size_t i, short revents)
{
	int error = 0;
	socklen_t size = sizeof(error);
	if (revents) {
		if (getsockopt(race->tries[i].fd, SOL_SOCKET, SO_ERROR, &error, &size) < 0)
			error = errno;
		if (error)
			lost(race, i, error);
		else if (race->winner == SIZE_MAX)
			race->winner = i;
	} else if (deadline_passed(race->tries[i].deadline)) {
		lost(race, i, ETIMEDOUT);
	}
}

static struct deadline earlier(struct deadline a, struct deadline b)
{
	return a.at_ms < b.at_ms ? a : b;
}

/* Until something happens to one that is under way, or the next is due. */
static struct status wait_a_while(struct race *race)
{
	struct pollfd fds[SOCKET_CONNECT_MAX + 1];
	struct deadline until = race->deadline;
	for (size_t i = 0; i < race->n_begun; i++) {
		fds[i] = (struct pollfd){.fd = race->tries[i].fd, .events = POLLOUT};
		if (race->tries[i].fd >= 0)
			until = earlier(until, race->tries[i].deadline);
	}
	if (race->n_begun < race->n)
		until = earlier(until, race->next);
	size_t n = race->n_begun;
	if (race->options.wake_fd > 0)
		fds[n++] = (struct pollfd){.fd = race->options.wake_fd, .events = POLLIN};
	if (poll(fds, n, deadline_left_ms(until)) < 0) {
		if (errno != EINTR)
			return fail_errno(errno, "cannot wait for a connection");
		return ok();
	}
	if (n > race->n_begun && fds[race->n_begun].revents)
		return fail(ERR_CANCELED, "connecting was given up");
	for (size_t i = 0; i < race->n_begun; i++)
		if (race->tries[i].fd >= 0)
			look_at(race, i, fds[i].revents);
	return ok();
}

static struct status run(struct race *race)
{
	while (race->winner == SIZE_MAX) {
		bool more = race->n_begun < race->n;
		if (!more && race->n_running == 0)
			return fail(ERR_IO, "no address can be connected to");
		if (deadline_passed(race->deadline))
			return fail(ERR_TIMEOUT, "no address answers");
		if (more && (race->n_running == 0 || deadline_passed(race->next)))
			begin(race);
		else
			TRY(wait_a_while(race));
	}
	return ok();
}

/* Those that did not answer in time. */
static void time_out(struct race *race)
{
	for (size_t i = 0; i < race->n_begun; i++)
		if (race->tries[i].fd >= 0)
			lost(race, i, ETIMEDOUT);
}

static struct status say_why(const struct race *race, struct status status,
                             struct os_fault *ret_fault)
{
	char text[OS_ADDRESS_TEXT_MAX];
	int errno_value = race->results[race->last_failed].errno_value;
	if (status.code == ERR_CANCELED || errno_value == 0)
		return os_refuse(ret_fault, status.code, status.why, NULL);
	os_address_print_port(&race->addresses[race->last_failed], text);
	return os_fail(ret_fault, errno_value, "cannot connect to", text);
}

struct status socket_connect_any(const struct os_address *addresses, size_t n,
                                 const struct socket_connect_options *options, int *ret_fd,
                                 size_t *ret_index, struct socket_connect_result *ret_results,
                                 struct os_fault *ret_fault)
{
	struct race race = {.addresses = addresses,
	                    .n = n,
	                    .options = *options,
	                    .deadline = deadline_in(options->timeout_ms),
	                    .winner = SIZE_MAX};
	if (n == 0 || n > SOCKET_CONNECT_MAX)
		return os_refuse(ret_fault, n == 0 ? ERR_INVALID : ERR_LIMIT,
		                 n == 0 ? "no address to connect to" : "too many addresses", NULL);
	for (size_t i = 0; i < SOCKET_CONNECT_MAX; i++)
		race.tries[i].fd = -1;
	struct status status = run(&race);
	if (status.code == ERR_TIMEOUT)
		time_out(&race);
	if (!is_ok(status))
		status = say_why(&race, status, ret_fault);
	int fd = -1;
	if (is_ok(status)) {
		fd = TAKE_FD(race.tries[race.winner].fd);
		status = fd_set_nonblocking(fd, false);
		(void)socket_set_nodelay(fd, true);
	}
	for (size_t i = 0; i < race.n_begun; i++)
		fd_close(&race.tries[i].fd);
	if (ret_results)
		memcpy(ret_results, race.results, n * sizeof(*ret_results));
	if (!is_ok(status)) {
		fd_close(&fd);
		return status;
	}
	*ret_fd = fd;
	*ret_index = race.winner;
	return ok();
}
