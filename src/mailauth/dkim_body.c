/* Bodies hashed: a canonicalizer and a hash for each canonicalization that somebody wants. */
#include "mailauth/dkim_body.h"

#include "mailauth/dkim_crypto.h"

struct way {
	struct dkim_hash *hash; /* NULL: not wanted */
	struct dkim_body_canon canon;
	uint8_t digest[DKIM_HASH_SIZE];
};

struct dkim_body {
	struct way ways[DKIM_N_CANONS];
	bool finished;
};

struct dkim_body *dkim_body_new(unsigned wanted)
{
	struct dkim_body *body = base_alloc(sizeof(*body));
	for (size_t i = 0; i < DKIM_N_CANONS; i++) {
		struct way *way = &body->ways[i];
		if (!(wanted & 1u << i))
			continue;
		way->hash = dkim_hash_new();
		dkim_body_canon_init(&way->canon, (enum dkim_canon)i, dkim_hash_sink(way->hash));
	}
	return body;
}

void dkim_body_free(struct dkim_body *body)
{
	for (size_t i = 0; body && i < DKIM_N_CANONS; i++)
		dkim_hash_free(body->ways[i].hash);
	base_free(body);
}

void dkim_body_feed(struct dkim_body *body, struct slice bytes)
{
	for (size_t i = 0; i < DKIM_N_CANONS; i++)
		if (body->ways[i].hash)
			dkim_body_canon_feed(&body->ways[i].canon, bytes);
}

struct status dkim_body_read(struct dkim_body *body, const struct message_source *source,
                             uint64_t offset)
{
	uint8_t piece[MESSAGE_BODY_PIECE];
	size_t n;
	do {
		TRY(source->read(source, offset, piece, sizeof(piece), &n));
		dkim_body_feed(body, slice_of(piece, n));
		offset += n;
	} while (n == sizeof(piece));
	return ok();
}

void dkim_body_finish(struct dkim_body *body)
{
	ASSERT(!body->finished);
	body->finished = true;
	for (size_t i = 0; i < DKIM_N_CANONS; i++) {
		struct way *way = &body->ways[i];
		if (!way->hash)
			continue;
		dkim_body_canon_finish(&way->canon);
		dkim_hash_finish(way->hash, way->digest);
	}
}

bool dkim_body_has(const struct dkim_body *body, enum dkim_canon canon)
{
	return body->finished && body->ways[canon].hash != NULL;
}

struct slice dkim_body_hash(const struct dkim_body *body, enum dkim_canon canon)
{
	ASSERT(dkim_body_has(body, canon));
	return slice_of(body->ways[canon].digest, DKIM_HASH_SIZE);
}

uint64_t dkim_body_size(const struct dkim_body *body, enum dkim_canon canon)
{
	ASSERT(dkim_body_has(body, canon));
	return body->ways[canon].canon.size;
}
