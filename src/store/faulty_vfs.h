/* A disk that fails, for tests: an SQLite VFS named "faulty" over the real one, and the system
 * calls of message files (blob.h). One operation of a kind fails, or all from there on; or the
 * power goes: nothing happens any more and what was not synced is lost. */
#pragma once

#include "store/blob.h"

enum fault_kind {
	FAULT_NONE,
	FAULT_WRITE, /* EIO, nothing written */
	FAULT_SPACE, /* ENOSPC, half of it written */
	FAULT_SYNC,
	FAULT_READ,
	FAULT_OPEN,   /* message files and folders only */
	FAULT_UNLINK, /* message files only */
	FAULT_POWER,  /* counts writes, syncs and unlinks */
};

void faults_register(void); /* the VFS; once */
extern const struct blob_io faulty_io;

/* The at-th operation (from 1) of the kind fails; `lasting`: and all after it. */
void faults_set(enum fault_kind kind, unsigned at, bool lasting);
bool faults_happened(void); /* since faults_set */

/* From now on, copies of what is synced below account_path are kept in image_path (both exist; the
 * image holds what the account holds now). NULL ends it. */
void faults_keep_image(const char *account_path, const char *image_path);

/* `to` becomes a copy of the folder; what is pending in an image was not synced and is left out. */
void faults_copy_tree(const char *from, const char *to);
void faults_remove_tree(const char *path);
