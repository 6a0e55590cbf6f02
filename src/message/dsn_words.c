/* The part of a notification that people read.
 *
 * Lines have at most 76 columns where words allow it. What servers said is quoted as it came, but
 * for characters that are no text. The meanings of enhanced status codes are those of RFC 3463
 * section 3, RFC 4954, RFC 7372 and RFC 7505, in words of ours.
 */
#include "message/dsn_private.h"

#include "message/date.h"
#include "text/utf8.h"

#include <stdarg.h>

#define COLUMNS      76u
#define WORD_MAX     500u /* bytes; longer ones are broken */
#define SENTENCE_MAX 2000u
#define SUBJECT_MAX  300u

/* --- lines --- */

static size_t columns_of(struct slice word)
{
	size_t n = 0;
	for (size_t i = 0; i < word.n; i++)
		n += (word.p[i] & 0xc0) != 0x80;
	return n;
}

static void add_indent(struct buf *out, unsigned indent)
{
	for (unsigned i = 0; i < indent; i++)
		buf_add_byte(out, ' ');
}

/* A paragraph of clean text, each line indented; ends with a line end. */
static void add_paragraph(struct buf *out, unsigned indent, struct slice text)
{
	size_t column = 0;
	while ((text = slice_trim(text)).n > 0) {
		struct slice rest, word;
		if (!slice_cut(text, ' ', &word, &rest))
			rest = slice_empty();
		struct slice cut = utf8_cut(word, WORD_MAX);
		if (cut.n < word.n)
			rest = slice_from(text, cut.n);
		size_t n = columns_of(cut);
		if (column > 0 && column + 1 + n > COLUMNS) {
			buf_add_str(out, "\r\n");
			column = 0;
		}
		if (column == 0)
			add_indent(out, indent);
		else
			buf_add_byte(out, ' ');
		buf_add(out, cut);
		column = column == 0 ? indent + n : column + 1 + n;
		text = rest;
	}
	if (column > 0)
		buf_add_str(out, "\r\n");
}

/* The same for text from elsewhere. */
static void add_foreign(struct buf *out, unsigned indent, const char *before, struct slice text)
{
	struct buf line;
	buf_init(&line, SENTENCE_MAX + 200);
	buf_add_str(&line, before);
	dsn_add_clean(text, SENTENCE_MAX, true, &line);
	add_paragraph(out, indent, buf_slice(&line));
	buf_done(&line);
}

PRINTF(3, 4)
static void add_sentence(struct buf *out, unsigned indent, const char *format, ...)
{
	char text[600];
	va_list args;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	add_paragraph(out, indent, slice_str(text));
}

/* --- meanings --- */

struct meaning {
	const char *code; /* subject and detail */
	const char *words, *advice;
};

static const struct meaning meanings[] = {
        {"1.1", "there is no such mailbox at that domain", "Check the part before the @."},
        {"1.2", "the domain does not exist, or takes no mail", "Check the part behind the @."},
        {"1.3", "the address is not written correctly", "Check its spelling."},
        {"1.4", "the address stands for several mailboxes", "Ask the recipient which one to use."},
        {"1.6", "the mailbox has moved and left no new address",
         "Ask the recipient for the new address."},
        {"1.7", "the server refuses your address as a sender", "Check the From address you used."},
        {"1.8", "the server cannot reach the domain of your address",
         "The administrator of your domain should check its DNS records."},
        {"1.10", "the domain says that it takes no mail", "Check the part behind the @."},
        {"2.0", "something is wrong with the mailbox", "Ask the recipient in another way."},
        {"2.1", "the mailbox is disabled or takes no mail", "Ask the recipient in another way."},
        {"2.2", "the mailbox is full", "Try again when the recipient has made room."},
        {"2.3", "the message is too large for the mailbox", "Send a smaller message, or a link."},
        {"2.4", "the address is a list that cannot be expanded",
         "Tell the owner of the mailing list."},
        {"3.0", "something is wrong with the recipient's mail system", "Try again later."},
        {"3.1", "the recipient's mail system has no room left", "Try again later."},
        {"3.2", "the recipient's mail system takes no messages at the moment", "Try again later."},
        {"3.4", "the message is too large for the recipient's mail system",
         "Send a smaller message, or a link."},
        {"4.0", "there was trouble with the network", "Try again later."},
        {"4.1", "no server of the recipient's domain answered",
         "If it lasts, tell the recipient in another way."},
        {"4.2", "the connection to the server broke", "Try again later."},
        {"4.3", "a name could not be looked up", "Try again later."},
        {"4.4", "there is no way to the recipient's domain",
         "Check the part behind the @; its administrator may have to mend the DNS records."},
        {"4.5", "the server is overloaded", "Try again later."},
        {"4.6", "the message went round in a circle",
         "The administrators of the domains on its way have to mend their forwarding."},
        {"4.7", "the message could not be delivered in the time allowed",
         "Try again later, or reach the recipient in another way."},
        {"5.0", "the servers did not understand each other",
         "Tell the administrator of your mail server."},
        {"5.3", "there were too many recipients", "Send to fewer at a time."},
        {"6.0", "the message's content was not accepted", "Change its form and send it again."},
        {"6.1", "the kind of content is not accepted", "Send it in another form."},
        {"6.3", "the message cannot be converted to what the server takes",
         "Send it as plain text."},
        {"6.7", "the server cannot take international addresses",
         "Ask the recipient for an address in ASCII letters."},
        {"6.9", "the server cannot take international headers",
         "Send it with addresses and names in ASCII letters."},
        {"7.0", "the server refuses the message by its rules",
         "Its words above may say why; otherwise ask its administrator."},
        {"7.1", "the server does not let you send to this recipient",
         "Its words above may say why; otherwise ask the recipient in another way."},
        {"7.2", "you may not send to that mailing list", "Ask the owner of the list."},
        {"7.8", "the login at the next server failed",
         "Tell the administrator of your mail server."},
        {"7.10", "encryption is needed that the server does not offer",
         "Tell the administrator of your mail server."},
        {"7.20", "no valid DKIM signature was found", "Tell the administrator of your domain."},
        {"7.23", "your domain does not allow this server to send its mail (SPF)",
         "Tell the administrator of your domain."},
        {"7.25", "the name of the sending server is not confirmed by DNS",
         "Tell the administrator of your mail server."},
        {"7.26", "the checks of the sender's domain failed (SPF, DKIM, DMARC)",
         "Tell the administrator of your domain."},
        {"7.30", "the way to the recipient is not encrypted throughout, as the message demands",
         "Send it again without demanding it, or another way."},
};

static const struct meaning *meaning_of(struct slice status)
{
	for (size_t i = 0; i < N_ELEMENTS(meanings); i++)
		if (status.n > 2 && slice_eq_str(slice_from(status, 2), meanings[i].code))
			return &meanings[i];
	return NULL;
}

/* --- one recipient --- */

static void add_date(struct buf *out, unsigned indent, const struct message_dsn *dsn,
                     const char *before, int64_t at_s)
{
	char date[MESSAGE_DATE_SIZE];
	if (at_s == 0)
		return;
	message_date_format(at_s, dsn->zone_minutes, date);
	add_sentence(out, indent, "%s%s.", before, date);
}

static void add_remote(struct buf *out, const struct message_dsn_recipient *recipient)
{
	struct buf name;
	buf_init(&name, 1000);
	dsn_add_clean(recipient->remote_host, 300, true, &name);
	if (recipient->remote_address.n > 0) {
		buf_add_str(&name, name.n > 0 ? " (" : "(");
		dsn_add_clean(recipient->remote_address, 100, true, &name);
		buf_add_byte(&name, ')');
	}
	if (name.n == 0)
		buf_add_str(&name, "The other server");
	buf_add_str(&name, recipient->n_lines > 0 ? " said:" : " was the server.");
	if (name.n > 0 && (recipient->n_lines > 0 || recipient->remote_host.n > 0))
		add_paragraph(out, 6, buf_slice(&name));
	for (size_t i = 0; i < MIN(recipient->n_lines, (size_t)MESSAGE_DSN_LINES_MAX); i++)
		add_foreign(out, 10, "", slice_sub(recipient->lines[i], 0, MESSAGE_DSN_LINE_MAX));
	buf_done(&name);
}

/* Attempts and times of a delay: only what is certain. */
static void add_outlook(const struct message_dsn *dsn, const struct message_dsn_recipient *r,
                        struct buf *out)
{
	if (r->n_attempts > 0 && r->last_attempt_s > 0) {
		char date[MESSAGE_DATE_SIZE];
		message_date_format(r->last_attempt_s, dsn->zone_minutes, date);
		add_sentence(out, 6, "Attempt %u was made on %s.", r->n_attempts, date);
	}
	if (dsn->action != MESSAGE_DSN_DELAYED)
		return;
	add_date(out, 6, dsn, "The next one will be on ", r->next_attempt_s);
	add_date(out, 6, dsn, "If none succeeds, the last will be on ", r->retry_until_s);
}

static void add_recipient(const struct message_dsn *dsn, const struct message_dsn_recipient *r,
                          struct buf *out)
{
	struct slice status = dsn_status_of(dsn, r);
	const struct meaning *meaning = meaning_of(status);
	add_foreign(out, 2, "", r->address);
	add_foreign(out, 6, "", r->why);
	add_remote(out, r);
	bool trouble = dsn->action == MESSAGE_DSN_FAILED || dsn->action == MESSAGE_DSN_DELAYED;
	if (meaning && trouble)
		add_sentence(out, 6, "This means: %s (%.*s).%s%s", meaning->words,
		             SLICE_FMT(status), dsn->action == MESSAGE_DSN_FAILED ? " " : "",
		             dsn->action == MESSAGE_DSN_FAILED ? meaning->advice : "");
	add_outlook(dsn, r, out);
	buf_add_str(out, "\r\n");
}

/* --- the whole --- */

static const char *opening_of(enum message_dsn_action action, bool one)
{
	switch (action) {
	case MESSAGE_DSN_FAILED:
		return one ? "Your message could not be delivered to the recipient below. It will "
		             "not "
		             "be tried again."
		           : "Your message could not be delivered to the recipients below. It will "
		             "not be tried again for them.";
	case MESSAGE_DSN_DELAYED:
		return one ? "Your message could not be delivered yet to the recipient below. It "
		             "is "
		             "still being tried; there is nothing you need to do."
		           : "Your message could not be delivered yet to the recipients below. It "
		             "is still being tried; there is nothing you need to do.";
	case MESSAGE_DSN_DELIVERED:
		return one ? "Your message was delivered to the mailbox of the recipient below."
		           : "Your message was delivered to the mailboxes of the recipients below.";
	case MESSAGE_DSN_RELAYED:
		return "Your message was passed on to a server that does not tell whether it "
		       "arrives. You will hear of it only if something goes wrong.";
	case MESSAGE_DSN_EXPANDED:
		return "Your message was passed on to the members of a list. You will not be told "
		       "about each of them.";
	case MESSAGE_DSN_ACTION_COUNT:
		break;
	}
	BUG("an action is missing");
}

static void add_about(const struct message_dsn *dsn, struct buf *out)
{
	char date[MESSAGE_DATE_SIZE];
	buf_add_str(out, "The message:\r\n");
	if (dsn->subject.n > 0)
		add_foreign(out, 6, "Subject: ", slice_sub(dsn->subject, 0, SUBJECT_MAX));
	if (dsn->original_id.n > 0)
		add_foreign(out, 6, "Message-ID: ", slice_sub(dsn->original_id, 0, SUBJECT_MAX));
	if (dsn->arrival_s > 0) {
		message_date_format(dsn->arrival_s, dsn->zone_minutes, date);
		add_sentence(out, 6, "Sent: %s", date);
	}
	add_sentence(out, 0, "%s of it is attached.", dsn->full ? "All" : "The header");
}

void dsn_add_words(const struct message_dsn *dsn, struct buf *out)
{
	add_foreign(out, 0, "This is the mail server ", dsn->host);
	buf_add_str(out, "\r\n");
	add_paragraph(out, 0, slice_str(opening_of(dsn->action, dsn->n_recipients == 1)));
	buf_add_str(out, "\r\n");
	for (size_t i = 0; i < dsn->n_recipients; i++)
		add_recipient(dsn, &dsn->recipients[i], out);
	add_about(dsn, out);
}
