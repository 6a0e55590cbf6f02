/* Keyed hashing (SipHash-2-4) for tables that peers can fill: without the key nobody can choose
 * colliding entries. Not for signatures or tickets; those use libcrypto. */
#pragma once

#include "base/slice.h"

struct hash_key {
	uint64_t k0, k1; /* random, from the room's start */
};

uint64_t hash_slice(struct hash_key key, struct slice s);
