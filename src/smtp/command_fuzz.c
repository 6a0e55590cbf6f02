/* Command lines: what parses prints, and what is printed parses to the same; slices stay inside. */
#include "smtp/command.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_inside(struct slice part, struct slice whole)
{
	ASSERT(part.n <= whole.n);
	ASSERT(part.n == 0 || (part.p >= whole.p && part.p + part.n <= whole.p + whole.n));
}

static void check_path(const struct smtp_path *path)
{
	CLEANUP(buf_done) struct buf printed;
	buf_init(&printed, SMTP_PATH_MAX);
	smtp_path_print(path, &printed);
	ASSERT(!buf_failed(&printed) && !slice_has_control(buf_slice(&printed)));
	ASSERT(path->localpart.n <= SMTP_LOCALPART_MAX);
}

/* Parses `argument` and prints it into out; false when it was refused. */
static bool print_mail(struct slice argument, struct buf *out)
{
	struct arena arena;
	struct smtp_mail mail;
	arena_init(&arena, 64 * KIB);
	bool good = smtp_mail_parse(argument, &arena, &mail) == SMTP_REPLY_NONE;
	if (good) {
		check_path(&mail.from);
		ASSERT(mail.params.utf8 || !mail.from.utf8);
		smtp_mail_print(&mail, out);
	}
	arena_done(&arena);
	return good;
}

static bool print_rcpt(struct slice argument, struct buf *out)
{
	struct arena arena;
	struct smtp_rcpt rcpt;
	arena_init(&arena, 64 * KIB);
	bool good = smtp_rcpt_parse(argument, true, &arena, &rcpt) == SMTP_REPLY_NONE;
	if (good) {
		check_path(&rcpt.to);
		ASSERT(rcpt.to.kind != SMTP_PATH_NULL);
		smtp_rcpt_print(&rcpt, out);
	}
	arena_done(&arena);
	return good;
}

static void round_trip(struct slice argument, bool (*print)(struct slice, struct buf *))
{
	CLEANUP(buf_done) struct buf once, twice;
	buf_init(&once, 8192);
	buf_init(&twice, 8192);
	if (!print(argument, &once))
		return;
	struct slice line = buf_slice(&once);
	ASSERT(!buf_failed(&once) && line.n > 7 && slice_ends(line, SLICE("\r\n")));
	line = slice_sub(line, 0, line.n - 2);
	ASSERT(!slice_has_control(line));
	ASSERT(print(smtp_command_parse(line).argument, &twice));
	ASSERT(slice_eq(buf_slice(&once), buf_slice(&twice)));
}

static void check_host(struct slice argument)
{
	struct smtp_host host, again;
	if (!is_ok(smtp_helo_parse(argument, &host)))
		return;
	check_inside(host.text, argument);
	ASSERT(host.text.n <= SMTP_DOMAIN_MAX && slice_is_ascii(host.text));
	ASSERT(is_ok(smtp_helo_parse(host.text, &again)));
	ASSERT(again.kind == host.kind && memcmp(again.address, host.address, 16) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice line = slice_of(data, size);
	struct smtp_command command = smtp_command_parse(line);
	struct smtp_bdat bdat;
	struct smtp_host host;
	check_inside(command.word, line);
	check_inside(command.argument, line);
	(void)smtp_is_foreign_protocol(line);
	round_trip(command.argument, print_mail);
	round_trip(command.argument, print_rcpt);
	check_host(command.argument);
	(void)smtp_bdat_parse(command.argument, &bdat);
	(void)smtp_ip_parse(command.argument, &host);
	return 0;
}
