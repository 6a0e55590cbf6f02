/* The resolver room seen as a struct dns_resolver, for the rooms that look names up. */
#pragma once

#include "dns/resolver.h"
#include "rooms/runtime.h"

struct resolver_client {
	struct dns_resolver resolver; /* first member: &client->resolver is what libraries get */
	struct room *room;
	uint64_t cid;
};

/* Lookups are made for the connection `cid`. Many threads may use one client. Nothing to end.
 * A lookup blocks for at most the timeout and a second; that the room is away or busy is a failure
 * TEMPORARY like any other. */
void resolver_client_init(struct resolver_client *client, struct room *room, uint64_t cid);
