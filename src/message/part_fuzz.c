/* MIME structure: the same tree at any split; everything inside of the message and of its parent;
 * limits kept; parts in order. The first byte chooses the splits. */
#include "message/dump.h"
#include "message/part.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define BUDGET ((size_t)64 * 1024 * 1024)

static bool parse(struct slice message, size_t piece, struct buf *out)
{
	CLEANUP(arena_done) struct arena arena = {.budget = BUDGET};
	struct message_parser *parser = message_parser_new(&arena);
	struct message_part *root;
	unsigned defects;
	for (size_t at = 0; at < message.n; at += piece)
		message_parser_feed(parser, slice_sub(message, at, piece));
	bool parsed = is_ok(message_parser_finish(parser, &root, &defects));
	if (parsed) {
		message_dump(root, out);
		buf_printf(out, "%x", defects);
	}
	return parsed;
}

static void check_part(const struct message_part *part, uint64_t start, uint64_t end)
{
	ASSERT(part->header_offset >= start);
	ASSERT(part->body_offset == part->header_offset + part->header_size);
	ASSERT(part->body_offset <= end && part->body_size <= end - part->body_offset);
	ASSERT(part->header_lines <= part->header_size && part->body_lines <= part->body_size);
	ASSERT(part->type.n > 0 && part->subtype.n > 0);
	ASSERT(part->n_params <= MESSAGE_PARAMS_MAX);
	ASSERT(part->n_disposition_params <= MESSAGE_PARAMS_MAX);
	ASSERT((part->kind == MESSAGE_LEAF) <= (part->first_child == NULL));
	ASSERT(part->kind != MESSAGE_RFC822 || part->n_children == 1);
	if (part->envelope)
		ASSERT(part->envelope->to.n <= MESSAGE_ADDRESSES_MAX);
}

static void check_tree(const struct message_part *root, uint64_t size)
{
	size_t depth = 1, n_parts = 1;
	const struct message_part *part = root;
	check_part(root, 0, size);
	ASSERT(root->body_offset + root->body_size == size);
	while (part) {
		if (part->first_child) {
			part = part->first_child;
			depth++;
		} else {
			while (part != root && !part->next) {
				part = part->parent;
				depth--;
			}
			if (part == root)
				break;
			ASSERT(part->next->header_offset >= part->body_offset + part->body_size);
			part = part->next;
		}
		const struct message_part *parent = part->parent;
		check_part(part, parent->body_offset, parent->body_offset + parent->body_size);
		ASSERT(++n_parts <= MESSAGE_PARTS_MAX && depth <= MESSAGE_DEPTH_MAX);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 1)
		return 0;
	struct slice message = slice_of(data + 1, size - 1);
	struct buf whole, split;
	buf_init(&whole, BUDGET);
	buf_init(&split, BUDGET);
	bool parsed = parse(message, message.n + 1, &whole);
	ASSERT(parsed == parse(message, 1 + data[0] % 64, &split));
	ASSERT(slice_eq(buf_slice(&whole), buf_slice(&split)));
	buf_done(&whole);
	buf_done(&split);
	CLEANUP(arena_done) struct arena arena = {.budget = BUDGET};
	struct message_part *root;
	unsigned defects;
	if (is_ok(message_parse(message, &arena, &root, &defects)))
		check_tree(root, message.n);
	return 0;
}
