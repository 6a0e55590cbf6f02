/* See report_testing.h. */
#include "rooms/report_testing.h"

#include <ftw.h>
#include <stdlib.h>
#include <unistd.h>

void report_fixture_init(struct report_fixture *f, const char *vfs)
{
	const char *dir = getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp";
	*f = (struct report_fixture){.vfs = vfs};
	snprintf(f->path, sizeof(f->path), "%s/report-test-XXXXXX", dir);
	assert_non_null(mkdtemp(f->path));
	snprintf(f->db_path, sizeof(f->db_path), "%s/reports.db", f->path);
	arena_init(&f->arena, (size_t)64 * 1024 * 1024);
	assert_ok(report_db_open(f->db_path, f->vfs, &f->db));
}

void report_fixture_reopen(struct report_fixture *f)
{
	report_db_close(f->db);
	f->db = NULL;
	assert_ok(report_db_open(f->db_path, f->vfs, &f->db));
}

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	(void)st;
	(void)ftw;
	return flag == FTW_DP ? rmdir(path) : unlink(path);
}

void report_fixture_done(struct report_fixture *f)
{
	report_db_close(f->db);
	arena_done(&f->arena);
	assert_int_equal(nftw(f->path, remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
}
