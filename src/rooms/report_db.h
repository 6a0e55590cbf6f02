/* The steward's database (DATA/steward/reports.db): what is kept of policies, and what is counted
 * for reports and sent. Tables belong to the files that use them; here they are made and migrated.
 *
 *	report_db_open(path, vfs, &db)
 *	report_db_change(db, run, context)     a transaction: all of it or nothing, durable with OK
 *	report_db_read(db, run, context)       a look at one moment
 *	report_db_close(db)
 *
 * A new table is a new version at the end of the list in report_db.c; a version that was released
 * is never changed. One connection, one user at a time: functions may be called from any thread and
 * block for each other and the disk. After a failed sync the connection is closed and opened anew
 * by the next caller, which writes and syncs the file before anything is added to the log.
 */
#pragma once

#include "store/db.h"

struct report_db;

/* path: of the file; vfs: NULL for the real one. BUSY while another process has it, UNSUPPORTED
 * when a newer release wrote it. */
struct status report_db_open(const char *path, const char *vfs, struct report_db **ret_db);
void report_db_close(struct report_db *db); /* NULL is fine */

/* run must not keep statements open when it returns; its failure undoes everything and is handed
 * on. */
struct status report_db_change(struct report_db *db,
                               struct status (*run)(struct db *db, void *context), void *context);
struct status report_db_read(struct report_db *db,
                             struct status (*run)(struct db *db, void *context), void *context);
/* Gives the room that much forgetting has left back to the file system. */
struct status report_db_shrink(struct report_db *db);

/* Within one of these: of a query that gives one row of a count and a sum. */
struct status report_db_totals(struct db *db, const char *sql, int64_t *ret_n, int64_t *ret_size);
