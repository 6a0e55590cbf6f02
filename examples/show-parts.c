/* What is in this message? Prints who wrote it and its parts, and the text of those that are text.
 *
 *	cc -o show-parts show-parts.c $(pkg-config --cflags --libs mailkeep)
 *	./show-parts message.eml          or standard input
 */
#include <mailkeep/message/body.h>
#include <mailkeep/message/date.h>
#include <mailkeep/message/part.h>
#include <mailkeep/message/word.h>
#include <mailkeep/text/utf8.h>

#include <stdio.h>

#define MESSAGE_MAX ((size_t)64 * 1024 * 1024)
#define TREE_ARENA  ((size_t)16 * 1024 * 1024) /* for the parts, not for their bytes */
#define TEXT_SHOWN  ((size_t)2000)

/* For a terminal: what is no text, and what would steer the terminal, as '?'. */
static void print_safely(struct slice text)
{
	uint32_t codepoint;
	size_t n;
	for (; text.n > 0; text = slice_from(text, n)) {
		bool is_text = utf8_decode(text, &codepoint, &n) == UTF8_OK &&
		               (codepoint >= 0xa0 || (codepoint >= ' ' && codepoint < 0x7f) ||
		                codepoint == '\n' || codepoint == '\t');
		if (is_text)
			fwrite(text.p, 1, n, stdout);
		else if (text.p[0] != '\r')
			putchar('?');
	}
}

/* Encoded words as UTF-8. */
static void print_words(struct slice value)
{
	struct buf text;
	buf_init(&text, 64 * 1024);
	message_words_decode(value, &text);
	print_safely(buf_slice(&text));
	buf_done(&text);
}

static void print_envelope(const struct message_envelope *e)
{
	struct message_date date;
	for (size_t i = 0; i < e->from.n; i++) {
		const struct message_address *a = &e->from.v[i];
		if (a->kind != MESSAGE_ADDRESS_MAILBOX)
			continue;
		printf("from: <");
		print_safely(a->localpart);
		printf("@");
		print_safely(a->domain);
		printf("> ");
		print_words(a->name);
		printf("\n");
	}
	printf("subject: ");
	print_words(e->subject);
	printf("\n");
	if (e->has_date && status_is_ok(message_date_parse(e->date, &date)))
		printf("date: %lld seconds since 1970\n", (long long)date.unix_s);
}

/* As much of the text as is shown: a sink that is full ends the work. */
static void print_text(const struct message_part *part, const struct message_source *source)
{
	struct message_sink_buf sink;
	struct buf text;
	buf_init(&text, TEXT_SHOWN);
	message_sink_buf_init(&sink, &text);
	struct status status = message_body_text(part, source, &sink.sink);
	print_safely(buf_slice(&text));
	printf("%s\n", status_is_ok(status) ? "" : " [...]");
	buf_done(&text);
}

static void print_part(const struct message_part *part, const struct message_source *source)
{
	printf("-- ");
	print_safely(part->type);
	printf("/");
	print_safely(part->subtype);
	printf(", %llu bytes\n", (unsigned long long)part->body_size);
	if (part->kind == MESSAGE_LEAF && message_part_is_text(part))
		print_text(part, source);
}

/* The part behind this one in reading order: its first child, or the next one of it or of one it
 * lies in. The tree may be deep, so nothing is called for each level. */
static const struct message_part *behind(const struct message_part *part)
{
	if (part->first_child)
		return part->first_child;
	while (part && !part->next)
		part = part->parent;
	return part ? part->next : NULL;
}

int main(int argc, char **argv)
{
	struct message_source_mem source;
	struct message_part *root;
	struct buf message;
	struct arena arena;
	unsigned defects = 0;
	char piece[4096];
	size_t n;
	buf_init(&message, MESSAGE_MAX);
	arena_init(&arena, TREE_ARENA);
	if (argc > 1 && !freopen(argv[1], "rb", stdin)) {
		fprintf(stderr, "show-parts: %s: cannot be opened\n", argv[1]);
		return 1;
	}
	while ((n = fread(piece, 1, sizeof(piece), stdin)) > 0)
		buf_add(&message, slice_of(piece, n));
	struct status status = message_parse(buf_slice(&message), &arena, &root, &defects);
	if (buf_failed(&message) || !status_is_ok(status)) {
		fprintf(stderr, "show-parts: the message is too large\n");
		return 1;
	}
	message_source_mem_init(&source, buf_slice(&message));
	print_envelope(root->envelope);
	for (const struct message_part *part = root; part; part = behind(part))
		print_part(part, &source.source);
	if (defects)
		printf("-- it is not quite as it should be (%#x: enum message_defect)\n", defects);
	arena_done(&arena);
	buf_done(&message);
	return 0;
}
