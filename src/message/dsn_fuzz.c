/* Notifications: any message is read or refused, and what is read is within its limits; a
 * notification written with the input as a server's words is well-formed and is read back. */
#include "message/dsn.h"

#include "text/utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_text(struct slice text)
{
	ASSERT(text.n <= MESSAGE_DSN_TEXT_MAX + 16 && utf8_valid(text));
	for (size_t i = 0; i < text.n; i++)
		ASSERT(text.p[i] >= ' ' && text.p[i] != 0x7f);
}

static bool read_message(struct slice bytes, struct message_dsn_report *report, struct arena *arena)
{
	struct message_part *root;
	struct message_source_mem source;
	unsigned defects;
	if (!is_ok(message_parse(bytes, arena, &root, &defects)))
		return false;
	message_source_mem_init(&source, bytes);
	if (!is_ok(message_dsn_parse(root, &source.source, arena, report)))
		return false;
	ASSERT(report->n_facts > 0 && report->n_facts <= MESSAGE_DSN_READ_RECIPIENTS_MAX);
	check_text(report->reporting);
	check_text(report->envid);
	check_text(report->original_id);
	for (size_t i = 0; i < report->n_facts; i++) {
		ASSERT(report->facts[i].recipient.n > 0);
		check_text(report->facts[i].recipient);
		check_text(report->facts[i].original);
		check_text(report->facts[i].status);
		check_text(report->facts[i].diagnostic);
		check_text(report->facts[i].remote);
	}
	return true;
}

static void write_and_read(struct slice words, struct arena *arena)
{
	struct slice line, rest;
	struct buf head, tail;
	struct message_dsn_report report;
	bool is_8bit, utf8;
	(void)slice_cut(words, '\n', &line, &rest);
	const struct slice lines[] = {line, rest};
	const struct message_dsn_recipient r = {
	        .address = SLICE("u@example.net"),
	        .original = line,
	        .status = line,
	        .why = words,
	        .remote_host = line,
	        .remote_address = rest,
	        .lines = lines,
	        .n_lines = words.n % 3 ? N_ELEMENTS(lines) : 0,
	        .n_attempts = 1,
	};
	const struct message_dsn dsn = {
	        .action = words.n % 2 ? MESSAGE_DSN_FAILED : MESSAGE_DSN_DELAYED,
	        .host = SLICE("mail.example.org"),
	        .from = slice_empty(),
	        .to = SLICE("me@example.org"),
	        .message_id = SLICE("<1@x>"),
	        .envid = line,
	        .original_id = line,
	        .original_references = words,
	        .subject = words,
	        .header = words,
	        .smtputf8 = words.n % 5 == 0,
	        .recipients = &r,
	        .n_recipients = 1,
	};
	buf_init(&head, 4 * MIB);
	buf_init(&tail, 1000);
	if (is_ok(message_dsn_compose(&dsn, &head, &tail, &is_8bit, &utf8))) {
		ASSERT(is_8bit || slice_is_ascii(buf_slice(&head)));
		ASSERT(slice_index(buf_slice(&head), 0) == SIZE_MAX);
		ASSERT(read_message(buf_slice(&head), &report, arena) || arena_failed(arena));
		if (!arena_failed(arena))
			ASSERT(report.n_facts == 1 && report.facts[0].action == dsn.action &&
			       slice_eq_str(report.facts[0].recipient, "u@example.net"));
	}
	buf_done(&head);
	buf_done(&tail);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena arena;
	struct message_dsn_report report;
	arena_init(&arena, 16 * MIB);
	(void)read_message(slice_of(data, size), &report, &arena);
	arena_reset(&arena);
	write_and_read(slice_of(data, size), &arena);
	arena_done(&arena);
	return 0;
}
