/* The vault's files: named, versioned, with a checksum, read into locked memory. */
#pragma once

#include "base/arena.h"
#include "os/fault.h"
#include "vault/secret.h"

#define SEALED_FILE_MAX ((size_t)200 * 1024) /* bytes of content */
#define SEALED_NAME_MAX ((size_t)253) /* bytes of a name; escaped it must fit a file's name */
#define SEALED_PATH_MAX ((size_t)280)

/* Makes "folder/NAME" where every byte of the name but [A-Za-z0-9_@+-] and inner dots is written
 * %XX. INVALID for an empty name or one over SEALED_NAME_MAX. */
struct status sealed_file_path(const char *folder, struct slice name, char path[SEALED_PATH_MAX]);

/* `kind` stands in the first line and must be the same when it is read. Atomic and durable. */
struct status sealed_file_write(int dir_fd, const char *path, const char *kind,
                                struct slice content, struct os_fault *ret_fault);
/* Initialises ret_content on success only. CORRUPT when kind, version or checksum do not fit. */
struct status sealed_file_read(int dir_fd, const char *path, const char *kind,
                               struct secret *ret_content, struct os_fault *ret_fault);

/* The names (unescaped) in a folder, sorted, in the arena. */
struct status sealed_file_list(int dir_fd, const char *folder, const struct slice **ret_names,
                               size_t *ret_n, struct arena *arena);
/* Removed durably. */
struct status sealed_file_remove(int dir_fd, const char *folder, struct slice name,
                                 struct os_fault *ret_fault);
