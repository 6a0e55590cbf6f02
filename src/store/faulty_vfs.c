/* See faulty_vfs.h. What survives a power cut is modelled without mercy: a file has the contents of
 * its last sync, and it exists if its own sync (index and log, whose VFS syncs the folder) or its
 * folder's sync (message files) came after it was made. Removals are undone. */
#include "store/faulty_vfs.h"

#include "os/fd.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static struct {
	pthread_mutex_t lock;
	enum fault_kind kind;
	unsigned at, count;
	bool lasting, happened;
	char account[PATH_MAX], image[PATH_MAX];
} faults = {.lock = PTHREAD_MUTEX_INITIALIZER};

void faults_set(enum fault_kind kind, unsigned at, bool lasting)
{
	pthread_mutex_lock(&faults.lock);
	faults.kind = kind;
	faults.at = at;
	faults.count = 0;
	faults.lasting = lasting || kind == FAULT_POWER;
	faults.happened = false;
	pthread_mutex_unlock(&faults.lock);
}

bool faults_happened(void)
{
	return faults.happened;
}

void faults_keep_image(const char *account_path, const char *image_path)
{
	snprintf(faults.account, sizeof(faults.account), "%s", account_path ? account_path : "");
	snprintf(faults.image, sizeof(faults.image), "%s", image_path ? image_path : "");
}

static bool strikes(enum fault_kind kind)
{
	bool counts = faults.kind == kind || (faults.kind == FAULT_SPACE && kind == FAULT_WRITE) ||
	              (faults.kind == FAULT_POWER && kind != FAULT_READ && kind != FAULT_OPEN);
	if (!counts)
		return faults.kind == FAULT_POWER && faults.happened;
	pthread_mutex_lock(&faults.lock);
	faults.count++;
	bool now = faults.count == faults.at || (faults.lasting && faults.count > faults.at);
	faults.happened = faults.happened || now;
	pthread_mutex_unlock(&faults.lock);
	return now;
}

/* ---- the image ------------------------------------------------------------------------------- */

static void copy_file(const char *from, const char *to)
{
	static char bytes[64 * 1024];
	CLEANUP(fd_close) int in = openat(AT_FDCWD, from, O_RDONLY | O_CLOEXEC);
	CLEANUP(fd_close)
	int out = openat(AT_FDCWD, to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	ASSERT(in >= 0 && out >= 0);
	for (ssize_t n; (n = read(in, bytes, sizeof(bytes))) > 0;)
		ASSERT(write(out, bytes, (size_t)n) == n);
}

/* The path below the account's folder; NULL when it is elsewhere. */
static const char *below_account(const char *path)
{
	size_t n = strlen(faults.account);
	if (n == 0 || strncmp(path, faults.account, n) != 0 || (path[n] != '/' && path[n] != 0))
		return NULL;
	return path + n;
}

/* Where a synced file waits for the sync of its folder: by its name, which is an id. */
static void pending_path(const char *name, char ret_path[static PATH_MAX * 2])
{
	const char *base = strrchr(name, '/');
	snprintf(ret_path, PATH_MAX * 2, "%s/pending-%s", faults.image, base ? base + 1 : name);
}

/* Every file in the folder exists from now on, with the contents of its last sync or none. */
static void note_folder_sync(const char *path, const char *to)
{
	DIR *dir = opendir(path);
	mkdir(to, 0700);
	for (struct dirent *entry; dir && (entry = readdir(dir));) {
		char pending[PATH_MAX * 2], target[PATH_MAX * 3];
		if (entry->d_type != DT_REG)
			continue;
		pending_path(entry->d_name, pending);
		snprintf(target, sizeof(target), "%s/%s", to, entry->d_name);
		if (renameat(AT_FDCWD, pending, AT_FDCWD, target) != 0) {
			int fd = openat(AT_FDCWD, target, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
			fd_close(&fd);
		}
	}
	if (dir)
		closedir(dir);
}

/* syncs_folder: the file's sync made its name durable as well. */
static void note_sync(const char *path, bool syncs_folder)
{
	char to[PATH_MAX * 2], pending[PATH_MAX * 2];
	const char *name = below_account(path);
	struct stat st, image;
	if (!name || stat(path, &st) != 0)
		return;
	snprintf(to, sizeof(to), "%s%s", faults.image, name);
	pending_path(name, pending);
	pthread_mutex_lock(&faults.lock);
	if (S_ISDIR(st.st_mode))
		note_folder_sync(path, to);
	else
		copy_file(path, syncs_folder || stat(to, &image) == 0 ? to : pending);
	pthread_mutex_unlock(&faults.lock);
}

static void note_fd_sync(int fd)
{
	char link[64], path[PATH_MAX];
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	ssize_t n = readlink(link, path, sizeof(path) - 1);
	if (n > 0) {
		path[n] = 0;
		note_sync(path, false);
	}
}

/* ---- message files --------------------------------------------------------------------------- */

static int faulty_openat(int dir_fd, const char *path, int flags, mode_t mode)
{
	if (strikes(FAULT_OPEN)) {
		errno = EIO;
		return -1;
	}
	return openat(dir_fd, path, flags, mode);
}

static int faulty_mkdirat(int dir_fd, const char *path, mode_t mode)
{
	if (strikes(FAULT_OPEN)) {
		errno = ENOSPC;
		return -1;
	}
	return mkdirat(dir_fd, path, mode);
}

static ssize_t faulty_write(int fd, const void *p, size_t n)
{
	if (!strikes(FAULT_WRITE))
		return write(fd, p, n);
	errno = EIO;
	if (faults.kind != FAULT_SPACE)
		return -1;
	if (n > 1 && write(fd, p, n / 2) < 0)
		return -1;
	errno = ENOSPC;
	return -1;
}

static ssize_t faulty_pread(int fd, void *p, size_t n, off_t offset)
{
	if (strikes(FAULT_READ)) {
		errno = EIO;
		return -1;
	}
	return pread(fd, p, n, offset);
}

static int faulty_fsync(int fd)
{
	if (strikes(FAULT_SYNC)) {
		errno = EIO;
		return -1;
	}
	note_fd_sync(fd);
	return 0; /* the test's disk need not be */
}

static int faulty_unlinkat(int dir_fd, const char *path, int flags)
{
	if (strikes(FAULT_UNLINK)) {
		errno = EIO;
		return -1;
	}
	return unlinkat(dir_fd, path, flags);
}

const struct blob_io faulty_io = {
        .openat = faulty_openat,
        .mkdirat = faulty_mkdirat,
        .write = faulty_write,
        .pread = faulty_pread,
        .fsync = faulty_fsync,
        .unlinkat = faulty_unlinkat,
};

/* ---- the VFS --------------------------------------------------------------------------------- */

struct faulty_file {
	sqlite3_file base;
	char path[512];
	sqlite3_file real[]; /* the rest belongs to the real VFS */
};

static struct faulty_file *of(sqlite3_file *file)
{
	return (struct faulty_file *)file;
}

static int f_close(sqlite3_file *file)
{
	return of(file)->real->pMethods->xClose(of(file)->real);
}

static int f_read(sqlite3_file *file, void *p, int n, sqlite3_int64 offset)
{
	if (strikes(FAULT_READ))
		return SQLITE_IOERR_READ;
	return of(file)->real->pMethods->xRead(of(file)->real, p, n, offset);
}

static int f_write(sqlite3_file *file, const void *p, int n, sqlite3_int64 offset)
{
	sqlite3_file *real = of(file)->real;
	if (!strikes(FAULT_WRITE))
		return real->pMethods->xWrite(real, p, n, offset);
	if (faults.kind != FAULT_SPACE)
		return SQLITE_IOERR_WRITE;
	(void)real->pMethods->xWrite(real, p, n / 2, offset);
	return SQLITE_FULL;
}

static int f_truncate(sqlite3_file *file, sqlite3_int64 size)
{
	if (strikes(FAULT_WRITE))
		return SQLITE_IOERR_TRUNCATE;
	return of(file)->real->pMethods->xTruncate(of(file)->real, size);
}

static int f_sync(sqlite3_file *file, int flags)
{
	(void)flags;
	if (strikes(FAULT_SYNC))
		return SQLITE_IOERR_FSYNC;
	note_sync(of(file)->path, true);
	return SQLITE_OK;
}

static int f_file_size(sqlite3_file *file, sqlite3_int64 *size)
{
	return of(file)->real->pMethods->xFileSize(of(file)->real, size);
}

static int f_lock(sqlite3_file *file, int level)
{
	return of(file)->real->pMethods->xLock(of(file)->real, level);
}

static int f_unlock(sqlite3_file *file, int level)
{
	return of(file)->real->pMethods->xUnlock(of(file)->real, level);
}

static int f_check_lock(sqlite3_file *file, int *result)
{
	return of(file)->real->pMethods->xCheckReservedLock(of(file)->real, result);
}

static int f_control(sqlite3_file *file, int op, void *arg)
{
	return of(file)->real->pMethods->xFileControl(of(file)->real, op, arg);
}

static int f_sector_size(sqlite3_file *file)
{
	return of(file)->real->pMethods->xSectorSize(of(file)->real);
}

static int f_characteristics(sqlite3_file *file)
{
	return of(file)->real->pMethods->xDeviceCharacteristics(of(file)->real);
}

static int f_shm_map(sqlite3_file *file, int page, int size, int extend, void volatile **p)
{
	return of(file)->real->pMethods->xShmMap(of(file)->real, page, size, extend, p);
}

static int f_shm_lock(sqlite3_file *file, int offset, int n, int flags)
{
	return of(file)->real->pMethods->xShmLock(of(file)->real, offset, n, flags);
}

static void f_shm_barrier(sqlite3_file *file)
{
	of(file)->real->pMethods->xShmBarrier(of(file)->real);
}

static int f_shm_unmap(sqlite3_file *file, int remove)
{
	return of(file)->real->pMethods->xShmUnmap(of(file)->real, remove);
}

static const sqlite3_io_methods faulty_methods = {
        .iVersion = 2,
        .xClose = f_close,
        .xRead = f_read,
        .xWrite = f_write,
        .xTruncate = f_truncate,
        .xSync = f_sync,
        .xFileSize = f_file_size,
        .xLock = f_lock,
        .xUnlock = f_unlock,
        .xCheckReservedLock = f_check_lock,
        .xFileControl = f_control,
        .xSectorSize = f_sector_size,
        .xDeviceCharacteristics = f_characteristics,
        .xShmMap = f_shm_map,
        .xShmLock = f_shm_lock,
        .xShmBarrier = f_shm_barrier,
        .xShmUnmap = f_shm_unmap,
};

static sqlite3_vfs *real_vfs(void)
{
	return sqlite3_vfs_find("unix-excl");
}

static int f_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags, int *out_flags)
{
	struct faulty_file *f = of(file);
	(void)vfs;
	memset(f, 0, sizeof(*f));
	snprintf(f->path, sizeof(f->path), "%s", name ? name : "");
	int rc = real_vfs()->xOpen(real_vfs(), name, f->real, flags, out_flags);
	if (rc == SQLITE_OK)
		f->base.pMethods = &faulty_methods;
	return rc;
}

static int f_delete(sqlite3_vfs *vfs, const char *name, int sync_dir)
{
	(void)vfs;
	return real_vfs()->xDelete(real_vfs(), name, sync_dir);
}

void faults_register(void)
{
	static sqlite3_vfs faulty;
	if (faulty.zName)
		return;
	faulty = *real_vfs();
	faulty.pNext = NULL;
	faulty.zName = "faulty";
	faulty.szOsFile = (int)sizeof(struct faulty_file) + real_vfs()->szOsFile;
	faulty.xOpen = f_open;
	faulty.xDelete = f_delete;
	ASSERT(sqlite3_vfs_register(&faulty, 0) == SQLITE_OK);
}

/* ---- folders ---- */

static void shell(const char *command)
{
	int status = 0;
	pid_t child = fork();
	if (child == 0) {
		execl("/bin/sh", "sh", "-c", command, (char *)NULL);
		_exit(127);
	}
	if (child < 0 || waitpid(child, &status, 0) != child || status != 0)
		BUG("a folder cannot be copied or removed");
}

void faults_copy_tree(const char *from, const char *to)
{
	char command[4 * PATH_MAX];
	snprintf(command, sizeof(command), "rm -rf '%s' && cp -a '%s' '%s' && rm -f '%s'/pending-*",
	         to, from, to, to);
	shell(command);
}

void faults_remove_tree(const char *path)
{
	char command[2 * PATH_MAX];
	snprintf(command, sizeof(command), "rm -rf '%s'", path);
	shell(command);
}
