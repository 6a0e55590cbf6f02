/* The daily work of rooms, as far as the system sees it. */
#include "os/sandbox_works.h"

#include "os/fd.h"
#include "os/file.h"
#include "os/log.h"
#include "os/process.h"
#include "os/sanitizers.h"

#include <dirent.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/timerfd.h>
#include <sys/uio.h>

/* Ends the work with the line number as its result. */
#define STEP(condition)                                                                            \
	do {                                                                                       \
		if (!(condition))                                                                  \
			return __LINE__;                                                           \
	} while (0)
#define STEP_OK(expr) STEP(is_ok(expr))

/* --- all rooms --- */

static void use_memory(void *context)
{
	for (size_t i = 1; i < 40; i++) { /* arenas of their own, growing and shrinking */
		void *small = base_alloc(i * 100);
		void *large = base_alloc(i * 4000);
		large = base_realloc(large, i * 9000);
		base_free(small);
		base_free(large);
	}
	eventfd_signal(*(int *)context);
}

static int start_threads(const struct scene *s)
{
	pthread_t threads[6];
	CLEANUP(fd_close) int fd = -1;
	(void)s;
	STEP_OK(eventfd_new(&fd));
	for (size_t i = 0; i < N_ELEMENTS(threads); i++)
		STEP_OK(thread_start(&(struct thread_options){.name = "session", .joinable = true},
		                     use_memory, &fd, &threads[i]));
	for (size_t i = 0; i < N_ELEMENTS(threads); i++)
		thread_join(threads[i]);
	STEP(eventfd_drain(fd) == N_ELEMENTS(threads));
	return 0;
}

static int wait_and_tell_time(const struct scene *s)
{
	CLEANUP(fd_close) int timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
	CLEANUP(fd_close) int epoll = epoll_create1(EPOLL_CLOEXEC);
	struct itimerspec in = {.it_value = {.tv_nsec = 1000000}};
	struct epoll_event event = {.events = EPOLLIN};
	struct timespec pause = {.tv_nsec = 1000};
	sigset_t set;
	(void)s;
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	CLEANUP(fd_close) int signals = signalfd(-1, &set, SFD_CLOEXEC);
	STEP(timer >= 0 && epoll >= 0 && signals >= 0);
	STEP(timerfd_settime(timer, 0, &in, NULL) == 0);
	STEP(epoll_ctl(epoll, EPOLL_CTL_ADD, timer, &event) == 0);
	STEP(epoll_wait(epoll, &event, 1, 10000) == 1);
	STEP(nanosleep(&pause, NULL) == 0);
	STEP(pthread_sigmask(SIG_BLOCK, &set, NULL) == 0);
	STEP(poll(NULL, 0, 1) == 0);
	return 0;
}

static int use_chance_and_limits(const struct scene *s)
{
	uint8_t bytes[300];
	struct rlimit limit;
	struct rusage usage;
	(void)s;
	STEP(getrandom(bytes, sizeof(bytes), 0) == (ssize_t)sizeof(bytes));
	STEP(getentropy(bytes, 200) == 0);
	STEP(getrlimit(RLIMIT_NOFILE, &limit) == 0);
	STEP(getrlimit(RLIMIT_CORE, &limit) == 0 && limit.rlim_max == 0);
	STEP(getrusage(RUSAGE_SELF, &usage) == 0);
	STEP(sysconf(_SC_NPROCESSORS_ONLN) > 0); /* opens files, or does without */
	STEP(mlock(bytes, sizeof(bytes)) == 0);
	return 0;
}

static int write_standard_error(const struct scene *s)
{
	(void)s;
	log_warn(7, "seen", LOG_STR("by", "test"));
	STEP(fprintf(stderr, "plain text\n") > 0); /* asks whether it is a terminal */
	STEP(printf("x") == 1 && fflush(stdout) == 0);
	STEP(isatty(2) == 0);
	return 0;
}

static int share_memory_files(const struct scene *s)
{
	CLEANUP(fd_close) int fd = -1;
	CLEANUP(memfd_map_close) struct memfd_map map = {.size = 0};
	(void)s;
	STEP_OK(memfd_new_sealed("message", SLICE("body"), &fd));
	STEP_OK(memfd_map_open(fd, 100, &map));
	STEP(slice_eq_str(map.bytes, "body"));
	fd_close(&fd);
	STEP_OK(memfd_new("grows", &fd));
	STEP(ftruncate(fd, 100000) == 0 && fallocate(fd, 0, 0, 200000) == 0);
	return 0;
}

static int pass_descriptors(const struct scene *s)
{
	CLEANUP(fd_close) int fd = -1;
	char byte = 'x';
	union {
		struct cmsghdr header;
		uint8_t space[CMSG_SPACE(sizeof(int))];
	} control = {.space = {0}};
	struct iovec part = {&byte, 1};
	struct msghdr message = {.msg_iov = &part,
	                         .msg_iovlen = 1,
	                         .msg_control = &control,
	                         .msg_controllen = sizeof(control.space)};
	STEP_OK(eventfd_new(&fd));
	struct cmsghdr *c = CMSG_FIRSTHDR(&message);
	*c = (struct cmsghdr){.cmsg_level = SOL_SOCKET,
	                      .cmsg_type = SCM_RIGHTS,
	                      .cmsg_len = CMSG_LEN(sizeof(int))};
	memcpy(CMSG_DATA(c), &fd, sizeof(fd));
	STEP(sendmsg(s->channel, &message, MSG_NOSIGNAL) == 1);
	STEP(recvmsg(s->channel, &message, MSG_CMSG_CLOEXEC) == 1); /* the test sends one back */
	c = CMSG_FIRSTHDR(&message);
	STEP(c && c->cmsg_type == SCM_RIGHTS);
	memcpy(&fd, CMSG_DATA(c), sizeof(fd));
	STEP(fcntl(fd, F_GETFD) == FD_CLOEXEC);
	return 0;
}

static int use_given_connection(const struct scene *s)
{
	struct fd_stream stream;
	struct slice line;
	bool crlf;
	int value = 0;
	socklen_t size = sizeof(value);
	CLEANUP(fd_close) int fd = -1;
	STEP_OK(fd_dup(s->connection, &fd));
	STEP(ioctl(fd, FIONREAD, &value) == 0);
	STEP_OK(socket_set_nodelay(fd, true));
	STEP(getsockopt(fd, SOL_SOCKET, SO_ERROR, &value, &size) == 0);
	STEP(socket_peer(fd).family == OS_FAMILY_V4 && socket_local(fd).port != 0);
	fd_stream_init(&stream, TAKE_FD(fd));
	stream.stream.timeout_ms = 5000;
	STEP_OK(stream_printf(&stream.stream, "ping\r\n"));
	STEP_OK(stream_read_line(&stream.stream, 100, &line, &crlf));
	STEP(slice_eq_str(line, "pong"));
	stream_shutdown(&stream.stream);
	fd_stream_done(&stream);
	return 0;
}

/* --- rooms with a directory --- */

static int change_files(const struct scene *s)
{
	struct arena arena;
	struct slice bytes;
	struct statvfs space;
	CLEANUP(fd_close) int fd = -1;
	CLEANUP(fd_close) int lock = -1;
	arena_init(&arena, 10000);
	STEP_OK(file_mkdir_all(s->own_dir, "msg/a/b", 0700, NULL));
	STEP_OK(file_replace(s->own_dir, "msg/a/b/1", SLICE("mail"), 0600, NULL));
	STEP_OK(file_rename(s->own_dir, "msg/a/b/1", s->own_dir, "msg/2", NULL)); /* refer */
	STEP(linkat(s->own_dir, "msg/2", s->own_dir, "msg/a/3", 0) == 0);
	STEP_OK(file_read(s->own_dir, "msg/a/3", 100, &arena, &bytes, NULL));
	STEP(slice_eq_str(bytes, "mail"));
	STEP_OK(file_unlink(s->own_dir, "msg/2", NULL));
	STEP_OK(file_temporary(s->own_dir, "msg", 0600, &fd, NULL));
	STEP(fallocate(fd, 0, 0, 100000) == 0 && ftruncate(fd, 10) == 0);
	STEP_OK(file_sync(fd, NULL));
	STEP_OK(file_lock(s->own_dir, "lock", &lock, NULL));
	STEP(fstatvfs(s->own_dir, &space) == 0);
	STEP(unlinkat(s->own_dir, "msg/a/3", 0) == 0 &&
	     unlinkat(s->own_dir, "msg/a/b", AT_REMOVEDIR) == 0);
	DIR *d = fdopendir(openat(s->own_dir, "msg", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	STEP(d != NULL && readdir(d) != NULL);
	closedir(d);
	STEP(access("existing", R_OK) == 0); /* in the working directory */
	arena_done(&arena);
	return 0;
}

static int run_sql(sqlite3 *db, const char *sql)
{
	return sqlite3_exec(db, sql, NULL, NULL, NULL);
}

static const char sql_fill[] =
        "CREATE TABLE t(id INTEGER PRIMARY KEY, b BLOB);"
        "CREATE INDEX i ON t(b);"
        "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x+1 FROM n WHERE x<2000)"
        " INSERT INTO t SELECT x, randomblob(500) FROM n;";

struct reader {
	sqlite3 *db;
	int result;
};

static void read_database(void *context)
{
	struct reader *r = context;
	r->result = run_sql(r->db, "SELECT count(*), max(b) FROM t ORDER BY b");
}

static int use_sqlite(const struct scene *s)
{
	sqlite3 *writer, *second;
	pthread_t thread;
	struct reader reader;
	(void)s;
	STEP(sqlite3_open("index.db", &writer) == SQLITE_OK);
	STEP(run_sql(writer, "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;"
	                     "PRAGMA temp_store=MEMORY; PRAGMA mmap_size=1000000") == SQLITE_OK);
	STEP(run_sql(writer, sql_fill) == SQLITE_OK);
	STEP(sqlite3_open("index.db", &second) == SQLITE_OK);
	reader = (struct reader){.db = second, .result = -1};
	STEP_OK(thread_start(&(struct thread_options){.joinable = true, .stack_size = 256 * 1024},
	                     read_database, &reader, &thread));
	STEP(run_sql(writer, "BEGIN; DELETE FROM t WHERE id % 2; COMMIT") == SQLITE_OK);
	thread_join(thread);
	STEP(reader.result == SQLITE_OK);
	STEP(run_sql(writer, "PRAGMA wal_checkpoint(TRUNCATE)") == SQLITE_OK);
	STEP(sqlite3_close(second) == SQLITE_OK);
	STEP(run_sql(writer, "VACUUM; PRAGMA journal_mode=DELETE;") == SQLITE_OK);
	STEP(run_sql(writer, "INSERT INTO t(b) VALUES('x')") == SQLITE_OK); /* a rollback journal */
	STEP(sqlite3_close(writer) == SQLITE_OK);
	return 0;
}

static int spool_bodies(const struct scene *s)
{
	CLEANUP(fd_close) int fd = -1;
	CLEANUP(fd_close) int memory = -1;
	uint8_t back[4];
	STEP_OK(file_temporary(s->own_dir, ".", 0600, &fd, NULL));
	STEP_OK(memfd_new("data", &memory));
	STEP_OK(fd_write_all(memory, SLICE("body"), NULL));
	STEP_OK(file_copy(memory, 0, fd, 0, 4, NULL));
	STEP_OK(fd_pread_all(fd, back, 4, 0, NULL));
	STEP_OK(file_sync(fd, NULL));
	STEP(memcmp(back, "body", 4) == 0);
	fd_close(&fd);
	/* Where a file system has no O_TMPFILE. */
	fd = openat(s->own_dir, "named", O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0600);
	STEP(fd >= 0 && unlinkat(s->own_dir, "named", 0) == 0);
	return 0;
}

static int accept_a_connection(const struct scene *s)
{
	int fd = -1;
	struct os_address peer;
	STEP_OK(socket_wait_readable(s->listener, 5000)); /* the test has connected */
	STEP(socket_accept(s->listener, &fd, &peer) == SOCKET_ACCEPTED);
	STEP(os_address_is_loopback(&peer));
	fd_close(&fd);
	return 0;
}

static int read_listed_files(const struct scene *s)
{
	struct arena arena;
	struct slice bytes;
	arena_init(&arena, 10000);
	STEP_OK(file_read(s->list_dir, "readme", 100, &arena, &bytes, NULL));
	DIR *d = fdopendir(openat(s->list_dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	STEP(d != NULL && readdir(d) != NULL);
	closedir(d);
	arena_done(&arena);
	return 0;
}

static int call_out(const struct scene *s)
{
	CLEANUP(fd_close) int fd = -1;
	struct os_address source = s->listener_at;
	source.port = 0;
	STEP_OK(socket_connect(&s->listener_at, &source, 5000, &fd, NULL));
	STEP_OK(socket_send_all(fd, SLICE("x"), 1000));
	return 0;
}

static int ask_by_udp(const struct scene *s)
{
	struct sockaddr_storage sa;
	struct os_address any = s->listener_at;
	CLEANUP(fd_close) int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	any.port = 0;
	socklen_t size = os_address_to_sockaddr(&any, &sa);
	STEP(fd >= 0 && bind(fd, (struct sockaddr *)&sa, size) == 0); /* a port of its own */
	any = socket_local(fd);
	size = os_address_to_sockaddr(&any, &sa);
	STEP(sendto(fd, "q", 1, 0, (struct sockaddr *)&sa, size) == 1);
	char byte;
	STEP(recvfrom(fd, &byte, 1, 0, NULL, NULL) == 1);
	return 0;
}

static int start_a_program(const struct scene *s)
{
	static const char *const argv[] = {"true", NULL};
	struct process process;
	struct process_end end;
	struct process_options options = {
	        .path = "/bin/true", .argv = argv, .new_session = true, .death_signal = SIGKILL};
	(void)s;
	STEP_OK(process_spawn(&options, &process, NULL));
	STEP_OK(process_wait(&process, 10000, &end));
	STEP(!end.by_signal && end.number == 0);
	return 0;
}

#define KEEPERS (ROOM(ACCOUNT) | ROOM(QUEUE) | ROOM(VAULT) | ROOM(STEWARD))
#define CALLERS (ROOM(WEB) | ROOM(COURIER) | ROOM(RESOLVER))
#define READERS (ROOM(WEB) | ROOM(STEWARD))

const struct work sandbox_works[] = {
        {"start threads", start_threads, ROOMS_ALL},
        {"wait and tell time", wait_and_tell_time, ROOMS_ALL},
        {"use chance and limits", use_chance_and_limits, ROOMS_ALL},
        {"write standard error", write_standard_error, ROOMS_ALL},
        {"share memory files", share_memory_files, ROOMS_ALL},
        {"pass descriptors", pass_descriptors, ROOMS_ALL},
        {"use a given connection", use_given_connection, ROOMS_ALL},
        {"change files", change_files, KEEPERS | ROOM(ZYGOTE)},
        {"use SQLite", use_sqlite, KEEPERS},
        {"spool bodies", spool_bodies, ROOM(GATE)},
        {"accept a connection", accept_a_connection, ROOM(GATE) | ROOM(STEWARD)},
        {"read listed files", read_listed_files, READERS},
        {"call out", call_out, CALLERS},
        {"ask by UDP", ask_by_udp, ROOM(RESOLVER)},
        {"start a program", start_a_program, ROOM(SUPERVISOR)},
};
const size_t n_sandbox_works = N_ELEMENTS(sandbox_works);
