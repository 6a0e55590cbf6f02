/* One request on the control socket. */
#include "cli/control.h"

#include "os/fd.h"
#include "os/file.h"
#include "os/socket.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>

/* A path that does not fit into a socket's address is reached through its directory's descriptor.
 */
static struct status socket_address(const char *data_directory, int dir_fd,
                                    struct sockaddr_un *ret_address)
{
	*ret_address = (struct sockaddr_un){.sun_family = AF_UNIX};
	size_t size = sizeof(ret_address->sun_path);
	int n = snprintf(ret_address->sun_path, size, "%s/%s", data_directory, CONTROL_SOCKET);
	if (n < 0 || (size_t)n >= size)
		n = snprintf(ret_address->sun_path, size, "/proc/self/fd/%d/%s", dir_fd,
		             CONTROL_SOCKET);
	return n > 0 && (size_t)n < size ? ok() : fail(ERR_LIMIT, "path of the socket is too long");
}

static struct status connect_control(const char *data_directory, int *ret_fd)
{
	struct sockaddr_un address;
	CLEANUP(fd_close) int dir_fd = -1;
	TRY(file_open_dir(AT_FDCWD, data_directory, &dir_fd, NULL));
	TRY(socket_address(data_directory, dir_fd, &address));
	CLEANUP(fd_close) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return fail_errno(errno, "no socket to be had");
	if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0) {
		/* A socket that nobody listens at is left over from a server that is gone. */
		if (errno == ECONNREFUSED)
			return fail(ERR_NOT_FOUND, "no server is running");
		return fail_errno(errno, "the running server cannot be reached");
	}
	*ret_fd = TAKE_FD(fd);
	return ok();
}

static struct status send_request(int fd, const json_t *request)
{
	char *text = json_dumps(request, JSON_COMPACT);
	if (!text)
		return fail(ERR_INVALID, "the request cannot be written as JSON");
	size_t n = strlen(text);
	text[n] = '\n'; /* in place of the NUL: nobody reads it as a string after this */
	struct status status = socket_send_all(fd, slice_of(text, n + 1), CONTROL_TIMEOUT_MS);
	explicit_bzero(text, n + 1);
	free(text);
	return status;
}

static struct status receive_answer(int fd, json_t **ret_answer)
{
	struct buf line;
	struct status status = ok();
	buf_init(&line, CONTROL_LINE_MAX);
	while (is_ok(status) && slice_index(buf_slice(&line), '\n') == SIZE_MAX) {
		size_t n = 0;
		uint8_t *room = buf_reserve(&line, 4096);
		status = room ? socket_receive(fd, room, 4096, CONTROL_TIMEOUT_MS, &n)
		              : fail(ERR_PROTOCOL, "the server's answer is too long");
		if (is_ok(status) && n == 0)
			status = line.n > 0 ? fail(ERR_PROTOCOL, "the server's answer ends early")
			                    : fail(ERR_DENIED,
			                           "the server closed the connection: commands "
			                           "must be run as root or as its user");
		buf_commit(&line, n);
	}
	if (is_ok(status)) {
		json_error_t error;
		json_t *answer = json_loadb((const char *)line.p, line.n, 0, &error);
		if (json_is_object(answer)) {
			*ret_answer = answer;
		} else {
			json_decref(answer);
			status = fail(ERR_PROTOCOL, "the server's answer makes no sense");
		}
	}
	buf_done(&line);
	return status;
}

struct status control_call(const char *data_directory, json_t *request, json_t **ret_answer)
{
	CLEANUP(fd_close) int fd = -1;
	TRY(connect_control(data_directory, &fd));
	TRY(send_request(fd, request));
	return receive_answer(fd, ret_answer);
}
