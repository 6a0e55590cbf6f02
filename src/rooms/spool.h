/* Bytes of a message on their way in: a memfd while small, a nameless file of the room's directory
 * past a limit. Read back by its descriptor, which may be passed to another room. One thread. */
#pragma once

#include "base/slice.h"
#include "base/status.h"

#define SPOOL_MEMORY_MAX  ((uint64_t)1024 * 1024) /* bytes kept in memory (a memfd) */
#define SPOOL_BUFFER_SIZE ((size_t)16 * 1024)

struct spool {
	int fd; /* -1: nothing open */
	bool in_file;
	uint64_t size; /* written and buffered */
	size_t n_buffered;
	uint8_t *buffer;
};

void spool_init(struct spool *spool);
void spool_done(struct spool *spool);  /* safe on a zeroed-by-init one and twice */
void spool_reset(struct spool *spool); /* forgets the bytes, keeps the buffer */
struct status spool_write(struct spool *spool, struct slice bytes);
/* Everything is in the descriptor afterwards; it stays the spool's. */
struct status spool_finish(struct spool *spool, int *ret_fd);
