/* Two files in a directory that only the user may enter. A name is taken once (O_EXCL), so nothing
 * is ever written over. */
#include "cli/sendmail_keep.h"

#include "base/clock.h"
#include "os/fd.h"
#include "os/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define NAMES_MAX     100 /* that are tried */
#define OTHER_PLACE   "/var/tmp"
#define NAME_MAX_SIZE 100

/* Nobody else may have prepared the directory for us. */
static struct status check_owner(int dir_fd, const char *path, struct os_fault *ret_fault)
{
	struct stat facts;
	if (fstat(dir_fd, &facts) < 0)
		return os_fail(ret_fault, errno, "cannot look at", path);
	if (facts.st_uid != geteuid() || (facts.st_mode & (S_IWGRP | S_IWOTH)) != 0)
		return os_refuse(ret_fault, ERR_DENIED, "others may write to", path);
	return ok();
}

static struct status open_directory(const char *path, int *ret_fd, struct os_fault *ret_fault)
{
	CLEANUP(fd_close) int fd = -1;
	TRY(file_mkdir_all(AT_FDCWD, path, 0700, ret_fault));
	TRY(file_open_dir(AT_FDCWD, path, &fd, ret_fault));
	TRY(check_owner(fd, path, ret_fault));
	*ret_fd = TAKE_FD(fd);
	return ok();
}

static struct status create(int dir_fd, int64_t now_s, char name[NAME_MAX_SIZE], int *ret_fd,
                            struct os_fault *ret_fault)
{
	struct civil_time t = civil_from_unix(now_s);
	for (int i = 0; i < NAMES_MAX; i++) {
		snprintf(name, NAME_MAX_SIZE, "%04d%02d%02dT%02d%02d%02dZ-%d-%d", t.year, t.month,
		         t.day, t.hour, t.minute, t.second, (int)getpid(), i);
		char file[NAME_MAX_SIZE + 8];
		snprintf(file, sizeof(file), "%s.eml", name);
		struct status status = file_open(dir_fd, file, O_WRONLY | O_CREAT | O_EXCL, 0600,
		                                 ret_fd, ret_fault);
		if (status.code != ERR_EXISTS)
			return status;
	}
	return os_refuse(ret_fault, ERR_EXISTS, "all names are taken", NULL);
}

static struct status write_message(const struct sendmail_kept *kept, int fd,
                                   struct os_fault *ret_fault)
{
	TRY(fd_write_all(fd, kept->header, ret_fault));
	if (kept->body_size > 0)
		TRY(file_copy(kept->body_fd, 0, fd, kept->header.n, kept->body_size, ret_fault));
	return file_sync(fd, ret_fault);
}

static struct status write_explanation(const struct sendmail_kept *kept, int dir_fd,
                                       const char *name, struct os_fault *ret_fault)
{
	char file[NAME_MAX_SIZE + 8];
	snprintf(file, sizeof(file), "%s.txt", name);
	return file_replace(dir_fd, file, kept->explanation, 0600, ret_fault);
}

static struct status keep_in(const struct sendmail_kept *kept, const char *directory,
                             struct buf *path, struct os_fault *ret_fault)
{
	CLEANUP(fd_close) int dir_fd = -1;
	CLEANUP(fd_close) int fd = -1;
	char name[NAME_MAX_SIZE];
	TRY(open_directory(directory, &dir_fd, ret_fault));
	TRY(create(dir_fd, kept->now_s, name, &fd, ret_fault));
	struct status status = write_message(kept, fd, ret_fault);
	if (is_ok(status))
		status = write_explanation(kept, dir_fd, name, ret_fault);
	if (is_ok(status))
		status = file_sync_dir(dir_fd, ".", ret_fault);
	buf_reset(path);
	buf_printf(path, "%s/%s.eml", directory, name);
	return status;
}

struct status sendmail_keep(const struct sendmail_kept *kept, struct buf *path,
                            struct os_fault *ret_fault)
{
	char place[4096] = "";
	struct status status = fail(ERR_NOT_FOUND, "there is no home directory");
	if (kept->directory)
		snprintf(place, sizeof(place), "%s", kept->directory);
	else if (kept->home)
		snprintf(place, sizeof(place), "%s/dead-letters", kept->home);
	if (place[0])
		status = keep_in(kept, place, path, ret_fault);
	if (is_ok(status))
		return status;
	snprintf(place, sizeof(place), OTHER_PLACE "/dead-letters-%u", (unsigned)geteuid());
	return keep_in(kept, place, path, ret_fault);
}
