/* See account_message.h. */
#include "rooms/account_message.h"

#include "os/fd.h"

#define READ_SIZE ((size_t)32 * 1024)

static struct status read_source(const struct message_source *source, uint64_t offset, uint8_t *p,
                                 size_t n, size_t *ret_n)
{
	const struct account_message *message = (const struct account_message *)source;
	uint64_t left = offset < message->size ? message->size - offset : 0;
	size_t take = (size_t)MIN((uint64_t)n, left);
	TRY(fd_pread_all(message->fd, p, take, offset, NULL));
	*ret_n = take;
	return ok();
}

struct status account_message_parts(const struct account_message *message, struct arena *arena,
                                    struct message_part **ret_root)
{
	unsigned defects;
	struct status status = ok();
	struct message_parser *parser = message_parser_new(arena);
	uint8_t *bytes = base_alloc(READ_SIZE);
	for (uint64_t at = 0; parser && is_ok(status) && at < message->size;) {
		size_t n = 0;
		status = read_source(&message->source, at, bytes, READ_SIZE, &n);
		if (is_ok(status))
			message_parser_feed(parser, slice_of(bytes, n));
		at += n;
	}
	base_free(bytes);
	TRY(status);
	return parser ? message_parser_finish(parser, ret_root, &defects)
	              : fail(ERR_LIMIT, "no memory for a message");
}

void account_message_init(struct account_message *message, int fd, uint64_t size)
{
	*message = (struct account_message){.source.read = read_source, .fd = fd, .size = size};
}
