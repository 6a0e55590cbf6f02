/* UIDs of a log row, packed as ranges (format: expunged.c). */
#pragma once

#include "store/store.h"

/* uids: ascending, n >= 1. The caller frees the bytes (base_free). */
uint8_t *expunged_pack(const struct store_uid *uids, size_t n, size_t *ret_size);
/* uids: room for n, which the bytes must hold exactly; else CORRUPT. */
struct status expunged_unpack(struct slice bytes, struct store_uid *uids, size_t n);
