/* See blob.h. Paths are relative to the file descriptor of msg/, so that the store works behind
 * chroot and Landlock; no file is renamed or linked, which Landlock would want an extra right for.
 */
#include "store/blob.h"

#include "os/fd.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#define MARKER         "unclean"
#define N_FOLDERS      256u
#define IDS_PER_FOLDER 256u
#define PATH_SIZE      32u /* "xx/" and 19 digits */

static int real_openat(int dir_fd, const char *path, int flags, mode_t mode)
{
	return openat(dir_fd, path, flags, mode);
}

static const struct blob_io real_io = {
        .openat = real_openat,
        .mkdirat = mkdirat,
        .write = write,
        .pread = pread,
        .fsync = fsync,
        .unlinkat = unlinkat,
};

static struct status sync_fd(const struct blobs *blobs, int fd)
{
	return blobs->io->fsync(fd) == 0 ? ok() : fail_errno(errno, "cannot sync a message file");
}

static struct status make_folder(const struct blobs *blobs, int parent_fd, const char *name)
{
	if (blobs->io->mkdirat(parent_fd, name, 0700) == 0 || errno == EEXIST)
		return ok();
	return fail_errno(errno, "cannot make a folder for messages");
}

struct status blobs_init(struct blobs *blobs, int dir_fd, const struct blob_io *io, bool *ret_sweep)
{
	*blobs = (struct blobs){.fd = -1, .dir_fd = dir_fd, .io = io ? io : &real_io};
	pthread_mutex_init(&blobs->folder_lock, NULL);
	TRY(make_folder(blobs, dir_fd, "msg"));
	blobs->fd = blobs->io->openat(dir_fd, "msg", O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
	if (blobs->fd < 0)
		return fail_errno(errno, "cannot open the folder msg");
	struct stat st;
	*ret_sweep = fstatat(blobs->fd, MARKER, &st, AT_SYMLINK_NOFOLLOW) == 0;
	atomic_store(&blobs->marked, *ret_sweep);
	/* After a crash, a folder may be there that was never synced. */
	blobs->folders_unsynced = *ret_sweep;
	return ok();
}

void blobs_done(struct blobs *blobs)
{
	if (blobs->fd < 0)
		return;
	if (atomic_load(&blobs->marked) && !atomic_load(&blobs->unclean))
		(void)blobs->io->unlinkat(blobs->fd, MARKER, 0); /* else the next open sweeps */
	fd_close(&blobs->fd);
	pthread_mutex_destroy(&blobs->folder_lock);
}

struct status blobs_mark(struct blobs *blobs)
{
	if (atomic_load(&blobs->marked))
		return ok();
	CLEANUP(fd_close)
	int fd = blobs->io->openat(blobs->fd, MARKER, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0)
		return fail_errno(errno, "cannot mark the folder msg");
	TRY(sync_fd(blobs, blobs->fd));
	TRY(sync_fd(blobs, blobs->dir_fd)); /* msg/ may be as new */
	atomic_store(&blobs->marked, true);
	return ok();
}

/* Ids that follow each other share a folder: a new one is needed, and synced, seldom. */
static unsigned folder_of(int64_t id)
{
	return (unsigned)((uint64_t)id / IDS_PER_FOLDER % N_FOLDERS);
}

static void folder_name(unsigned folder, char ret_name[static 4])
{
	snprintf(ret_name, 4, "%02x", folder & (N_FOLDERS - 1));
}

static void file_path(int64_t id, char ret_path[static PATH_SIZE])
{
	snprintf(ret_path, PATH_SIZE, "%02x/%" PRId64, folder_of(id), id);
}

struct status blob_create(struct blobs *blobs, int64_t id, int *ret_fd)
{
	char path[PATH_SIZE], folder[4];
	const int flags = O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW;
	TRY(blobs_mark(blobs));
	file_path(id, path);
	int fd = blobs->io->openat(blobs->fd, path, flags, 0600);
	if (fd < 0 && errno == ENOENT) {
		folder_name(folder_of(id), folder);
		pthread_mutex_lock(&blobs->folder_lock);
		struct status status = make_folder(blobs, blobs->fd, folder);
		blobs->folders_unsynced = true;
		pthread_mutex_unlock(&blobs->folder_lock);
		TRY(status);
		fd = blobs->io->openat(blobs->fd, path, flags, 0600);
	}
	if (fd < 0)
		return fail_errno(errno, "cannot create a message file");
	*ret_fd = fd;
	return ok();
}

struct status blob_write(struct blobs *blobs, int fd, struct slice bytes)
{
	while (bytes.n > 0) {
		ssize_t n = blobs->io->write(fd, bytes.p, bytes.n);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return fail_errno(n < 0 ? errno : ENOSPC, "cannot write a message file");
		bytes = slice_from(bytes, (size_t)n);
	}
	return ok();
}

/* Whoever finds a folder there waits for it to be durable. */
static struct status sync_folders(struct blobs *blobs)
{
	pthread_mutex_lock(&blobs->folder_lock);
	struct status status = blobs->folders_unsynced ? sync_fd(blobs, blobs->fd) : ok();
	if (is_ok(status))
		blobs->folders_unsynced = false;
	pthread_mutex_unlock(&blobs->folder_lock);
	return status;
}

void blob_start(int fd)
{
	(void)sync_file_range(fd, 0, 0, SYNC_FILE_RANGE_WRITE); /* the sync tells what failed */
}

struct status blob_sync(const struct blobs *blobs, int fd)
{
	return sync_fd(blobs, fd);
}

bool blob_same_folder(int64_t a, int64_t b)
{
	return folder_of(a) == folder_of(b);
}

struct status blob_sync_folder(struct blobs *blobs, int64_t id)
{
	char folder[4];
	folder_name(folder_of(id), folder);
	CLEANUP(fd_close)
	int folder_fd = blobs->io->openat(blobs->fd, folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
	if (folder_fd < 0)
		return fail_errno(errno, "cannot open a folder of messages");
	TRY(sync_fd(blobs, folder_fd));
	return sync_folders(blobs);
}

struct status blob_open(struct blobs *blobs, int64_t id, int *ret_fd)
{
	char path[PATH_SIZE];
	file_path(id, path);
	int fd = blobs->io->openat(blobs->fd, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW, 0);
	if (fd < 0)
		return fail_errno(errno, "cannot open a message file");
	*ret_fd = fd;
	return ok();
}

struct status blob_read(const struct blobs *blobs, int fd, uint64_t offset, uint8_t *p, size_t n,
                        size_t *ret_n)
{
	size_t got = 0;
	while (got < n) {
		ssize_t more = blobs->io->pread(fd, p + got, n - got, (off_t)(offset + got));
		if (more < 0 && errno == EINTR)
			continue;
		if (more < 0)
			return fail_errno(errno, "cannot read a message file");
		if (more == 0)
			break;
		got += (size_t)more;
	}
	*ret_n = got;
	return ok();
}

void blob_remove(struct blobs *blobs, int64_t id)
{
	char path[PATH_SIZE];
	file_path(id, path);
	if (!is_ok(blobs_mark(blobs)) ||
	    (blobs->io->unlinkat(blobs->fd, path, 0) != 0 && errno != ENOENT))
		atomic_store(&blobs->unclean, true);
}

/* The id that a file name in a folder spells exactly; 0 for others. */
static int64_t id_of(const char *name, unsigned folder)
{
	uint64_t id = 0;
	struct slice digits = slice_str(name);
	if (name[0] == '0' || !slice_to_u64(digits, INT64_MAX, &id))
		return 0;
	return folder_of((int64_t)id) == folder ? (int64_t)id : 0;
}

static struct status list_folder(struct blobs *blobs, unsigned folder,
                                 struct status (*each)(void *context, int64_t id, const char *name),
                                 void *context)
{
	char name[4];
	folder_name(folder, name);
	int fd = blobs->io->openat(blobs->fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
	if (fd < 0)
		return errno == ENOENT ? ok()
		                       : fail_errno(errno, "cannot open a folder of messages");
	DIR *dir = fdopendir(fd);
	if (!dir) {
		struct status status = fail_errno(errno, "cannot list a folder of messages");
		close(fd);
		return status;
	}
	struct status status = ok();
	for (struct dirent *entry; is_ok(status) && (entry = readdir(dir));)
		if (entry->d_name[0] != '.')
			status = each(context, id_of(entry->d_name, folder), entry->d_name);
	closedir(dir);
	return status;
}

struct status blobs_list(struct blobs *blobs,
                         struct status (*each)(void *context, int64_t id, const char *name),
                         void *context)
{
	for (unsigned folder = 0; folder < N_FOLDERS; folder++)
		TRY(list_folder(blobs, folder, each, context));
	return ok();
}
