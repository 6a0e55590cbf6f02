/* Connections of the user's command, outside of the house: names are looked up by the system's
 * resolver. */
#include "cli/sendmail_submit.h"

#include "os/fd.h"
#include "os/socket.h"

#include <errno.h>
#include <netdb.h>
#include <sys/socket.h>
#include <sys/un.h>

#define ADDRESSES_MAX 8 /* of a host, that are tried */

static struct status no_address(const char *host, int error, struct os_fault *ret_fault)
{
	if (ret_fault)
		snprintf(ret_fault->text, sizeof(ret_fault->text), "%.100s: %s", host,
		         gai_strerror(error));
	return fail(error == EAI_AGAIN ? ERR_TEMPORARY : ERR_NOT_FOUND, "the host is not known");
}

struct status sendmail_connect(const char *host, uint32_t port, uint32_t timeout_s, int *ret_fd,
                               bool *ret_loopback, struct os_fault *ret_fault)
{
	const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG};
	struct addrinfo *list = NULL;
	struct status status = fail(ERR_NOT_FOUND, "the host has no address");
	int error = getaddrinfo(host, NULL, &hints, &list);
	if (error == EAI_ADDRFAMILY || error == EAI_NONAME) {
		/* an address of this machine while it has no network */
		const struct addrinfo any = {.ai_socktype = SOCK_STREAM};
		error = getaddrinfo(host, NULL, &any, &list);
	}
	if (error != 0)
		return no_address(host, error, ret_fault);
	int n = 0;
	for (const struct addrinfo *a = list; a && n < ADDRESSES_MAX && !is_ok(status);
	     a = a->ai_next, n++) {
		struct os_address address = os_address_from_sockaddr(a->ai_addr, a->ai_addrlen);
		address.port = (uint16_t)port;
		status = socket_connect(&address, NULL, (int)timeout_s * 1000, ret_fd, ret_fault);
		if (is_ok(status))
			*ret_loopback = os_address_is_loopback(&address);
	}
	freeaddrinfo(list);
	return status;
}

struct status sendmail_connect_socket(const char *path, int *ret_fd, struct os_fault *ret_fault)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	if (strlen(path) >= sizeof(address.sun_path))
		return os_refuse(ret_fault, ERR_LIMIT, "the path of the socket is too long:", path);
	memcpy(address.sun_path, path, strlen(path));
	CLEANUP(fd_close) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return os_fail(ret_fault, errno, "no socket to be had", NULL);
	if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0)
		return os_fail(ret_fault, errno, "cannot connect to", path);
	*ret_fd = TAKE_FD(fd);
	return ok();
}
