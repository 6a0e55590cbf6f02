/* See report_mail.h. */
#include "report/report_mail.h"

#include "report/report_name.h"
#include "report/unpack.h"

/* --- which parts --- */

/* Types that reports are sent as, and those that mail programs give to what they do not know. */
static bool has_fit_type(const struct message_part *part)
{
	static const char *const subtypes[] = {
	        "tlsrpt+gzip",      "tlsrpt+json", "gzip", "x-gzip", "x-gunzip",    "zip",
	        "x-zip-compressed", "x-zip",       "xml",  "json",   "octet-stream"};
	if (slice_eq_str(part->type, "text"))
		return slice_eq_str(part->subtype, "xml");
	for (size_t i = 0; i < N_ELEMENTS(subtypes); i++)
		if (slice_eq_str(part->type, "application") &&
		    slice_eq_str(part->subtype, subtypes[i]))
			return true;
	return false;
}

static bool has_fit_name(const struct message_part *part)
{
	struct report_filename name;
	const struct slice *text =
	        message_param_get(part->disposition_params, part->n_disposition_params, "filename");
	if (!text)
		text = message_param_get(part->params, part->n_params, "name");
	return text && report_filename_parse(*text, &name);
}

/* In the order of the message; a message that is attached is not looked into. */
static const struct message_part *next_part(const struct message_part *part)
{
	if (part->kind == MESSAGE_MULTIPART && part->first_child)
		return part->first_child;
	while (part && !part->next)
		part = part->parent;
	return part ? part->next : NULL;
}

/* --- reading one --- */

static struct status unpack_part(const struct message_part *part,
                                 const struct message_source *source, struct buf *out)
{
	struct message_sink_buf sink;
	struct buf packed;
	buf_init(&packed, REPORT_MAIL_PACKED_MAX);
	message_sink_buf_init(&sink, &packed);
	struct status status = message_body_decode(part, source, &sink.sink, NULL);
	if (is_ok(status))
		status = unpack(buf_slice(&packed), REPORT_MAIL_UNPACKED_MAX, out);
	buf_done(&packed);
	return status;
}

static struct slice without_blanks(struct slice text)
{
	if (slice_starts(text, SLICE("\xef\xbb\xbf")))
		text = slice_from(text, 3);
	while (text.n > 0 && strchr(" \t\r\n", text.p[0]) && text.p[0])
		text = slice_from(text, 1);
	return text;
}

static struct status read_part(const struct message_part *part, const struct message_source *source,
                               struct arena *arena, struct report_mail *ret_mail)
{
	struct buf text;
	buf_init(&text, REPORT_MAIL_UNPACKED_MAX);
	struct status status = unpack_part(part, source, &text);
	struct slice report = without_blanks(buf_slice(&text));
	if (!is_ok(status)) {
		/* As it is. */
	} else if (report.n > 0 && report.p[0] == '<') {
		ret_mail->kind = REPORT_MAIL_DMARC;
		status = dmarc_report_parse(report, arena, &ret_mail->dmarc);
	} else if (report.n > 0 && report.p[0] == '{') {
		ret_mail->kind = REPORT_MAIL_TLS;
		status = tlsrpt_report_parse(report, arena, &ret_mail->tls);
	} else {
		status = fail(ERR_SYNTAX, "the attachment is neither XML nor JSON");
	}
	buf_done(&text);
	return status;
}

struct status report_mail_read(const struct message_part *root, const struct message_source *source,
                               struct arena *arena, struct report_mail *ret_mail)
{
	struct status status = fail(ERR_NOT_FOUND, "the message carries no report");
	size_t n_tried = 0;
	for (const struct message_part *part = root; part; part = next_part(part)) {
		if (part->kind != MESSAGE_LEAF || (!has_fit_type(part) && !has_fit_name(part)))
			continue;
		if (n_tried++ == REPORT_MAIL_PARTS_MAX)
			break;
		status = read_part(part, source, arena, ret_mail);
		if (is_ok(status) || arena_failed(arena))
			break;
	}
	return status;
}
