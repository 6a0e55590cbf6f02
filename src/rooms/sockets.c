/* The listening sockets: bound by the supervisor, which alone may, and kept by it so that a gate
 * that is started again finds the same queue of connections. */
#include "rooms/house.h"

#include "os/fd.h"
#include "os/file.h"
#include "os/log.h"
#include "os/socket.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/un.h>

static struct house_listener *find(struct house *house, const Door__Listener *wanted)
{
	for (struct house_listener *l = house->listeners; l; l = l->next)
		if (l->protocol == wanted->protocol && l->port == wanted->port &&
		    slice_eq_str(slice_str(l->name), wanted->name) &&
		    slice_eq_str(slice_str(l->address), wanted->address))
			return l;
	return NULL;
}

/* A socket in the data directory. Of the control socket the mode says who may connect, its owner
 * and root; the submission socket is for everybody, and the kernel tells who that is. */
static struct status listen_unix(const char *path, mode_t mode, int *ret_fd,
                                 struct os_fault *ret_fault)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	if (strlen(path) >= sizeof(address.sun_path))
		return os_refuse(ret_fault, ERR_LIMIT, "path of a socket is too long", path);
	memcpy(address.sun_path, path, strlen(path) + 1);
	CLEANUP(fd_close) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return os_fail(ret_fault, errno, "socket", NULL);
	if (fchmod(fd, mode) < 0)
		return os_fail(ret_fault, errno, "fchmod", path);
	(void)file_unlink(AT_FDCWD, path, NULL);
	/* bind gives the file the socket's mode, less the umask (this process has one thread). A
	 * chmod of the path would follow what the directory's owner puts there meanwhile. */
	mode_t umask_before = umask(0);
	bool bound = bind(fd, (const struct sockaddr *)&address, sizeof(address)) == 0;
	int error = errno;
	umask(umask_before);
	if (!bound)
		return os_fail(ret_fault, error, "bind", path);
	if (listen(fd, 16) < 0)
		return os_fail(ret_fault, errno, "listen", path);
	*ret_fd = TAKE_FD(fd);
	return ok();
}

/* Everybody may pass through the data directory to the socket: what else lies there is closed to
 * others by its own mode. */
static struct status listen_submit(const char *path, int *ret_fd, struct os_fault *ret_fault)
{
	struct slice directory = slice_sub(slice_str(path), 0, slice_rindex(slice_str(path), '/'));
	CLEANUP(base_freep) char *name = slice_to_cstr(directory);
	if (!name || chmod(name, 0711) < 0)
		return os_fail(ret_fault, errno, "chmod", name);
	return listen_unix(path, 0666, ret_fd, ret_fault);
}

static struct status open_one(const Door__Listener *wanted, int *ret_fd, struct os_fault *ret_fault)
{
	if (wanted->protocol == ROOM_PROTOCOL_CONTROL)
		return listen_unix(wanted->address, 0600, ret_fd, ret_fault);
	if (wanted->protocol == ROOM_PROTOCOL_SUBMIT)
		return listen_submit(wanted->address, ret_fd, ret_fault);
	struct os_address address;
	TRY(os_address_parse(slice_str(wanted->address), (uint16_t)wanted->port, &address));
	return socket_listen(&address, &(struct socket_listen_options){.free_bind = false}, ret_fd,
	                     ret_fault);
}

static void explain(const Door__Listener *wanted, struct status status,
                    const struct os_fault *fault, struct buf *why)
{
	buf_printf(why, "cannot listen on %s port %u for %s: ", wanted->address, wanted->port,
	           room_protocol_name((enum room_protocol)wanted->protocol));
	if (status.code == ERR_EXISTS)
		buf_add_str(why, "another program uses this port; stop it (ss -ltnp shows it) or "
		                 "choose another port in mailkeep.yaml");
	else if (status.code == ERR_DENIED)
		buf_add_str(why, "not permitted; ports below 1024 need root");
	else
		buf_add_str(why, fault->text[0] ? fault->text : status.why);
}

static void free_listener(struct house_listener *l)
{
	fd_close(&l->fd);
	base_free(l->name);
	base_free(l->address);
	base_free(l);
}

static struct house_listener *make(const Door__Listener *wanted, int fd)
{
	struct house_listener *l = base_alloc(sizeof(*l));
	l->protocol = (enum room_protocol)wanted->protocol;
	l->name = base_strdup(wanted->name);
	l->address = base_strdup(wanted->address);
	l->port = (uint16_t)wanted->port;
	l->fd = fd;
	l->wanted = true;
	return l;
}

static void drop_unwanted(struct house *house)
{
	for (struct house_listener **link = &house->listeners; *link;) {
		struct house_listener *l = *link;
		if (l->wanted) {
			link = &l->next;
			continue;
		}
		*link = l->next;
		free_listener(l);
	}
}

struct status house_listen(struct house *house, Door__Listener *const *wanted, size_t n_wanted,
                           struct buf *why)
{
	struct house_listener *added = NULL;
	struct status status = ok();
	if (n_wanted > HOUSE_LISTENERS_MAX)
		return fail(ERR_LIMIT, "too many listeners");
	for (struct house_listener *l = house->listeners; l; l = l->next)
		l->wanted = false;
	for (size_t i = 0; i < n_wanted && is_ok(status); i++) {
		struct os_fault fault = {0};
		int fd;
		if (wanted[i]->protocol >= ROOM_PROTOCOL_COUNT || wanted[i]->port > 65535)
			continue;
		struct house_listener *known = find(house, wanted[i]);
		if (known) {
			known->wanted = true;
			continue;
		}
		status = open_one(wanted[i], &fd, &fault);
		if (!is_ok(status)) {
			explain(wanted[i], status, &fault, why);
			break;
		}
		struct house_listener *l = make(wanted[i], fd);
		l->next = added;
		added = l;
	}
	if (is_ok(status))
		drop_unwanted(house);
	while (added) {
		struct house_listener *l = added;
		added = l->next;
		if (is_ok(status)) {
			l->next = house->listeners;
			house->listeners = l;
		} else {
			free_listener(l);
		}
	}
	return status;
}

void house_describe_listeners(const struct house *house, struct arena *arena,
                              Door__Config *ret_config)
{
	size_t n = 0;
	for (const struct house_listener *l = house->listeners; l; l = l->next)
		n++;
	Door__Listener **list = ARENA_ARRAY(arena, n, Door__Listener *);
	Door__Listener *items = ARENA_ARRAY(arena, n, Door__Listener);
	if (!list || !items)
		return;
	size_t i = 0;
	for (const struct house_listener *l = house->listeners; l; l = l->next, i++) {
		door__listener__init(&items[i]);
		items[i].protocol = l->protocol;
		items[i].name = l->name;
		items[i].address = l->address;
		items[i].port = l->port;
		list[i] = &items[i];
	}
	ret_config->n_listeners = n;
	ret_config->listeners = list;
}
