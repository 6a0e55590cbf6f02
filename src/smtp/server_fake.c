/* The fake backend. It asserts the order of calls that server.h promises. */
#include "smtp/server_fake.h"

static struct smtp_fake *fake_of(void *context)
{
	return context;
}

static void log_path(struct smtp_fake *fake, const char *what, const struct smtp_path *path)
{
	if (fake->quiet)
		return;
	buf_printf(&fake->log, "%s ", what);
	smtp_path_print(path, &fake->log);
}

static void log_text(struct smtp_fake *fake, const char *text)
{
	if (!fake->quiet)
		buf_add_str(&fake->log, text);
}

static struct smtp_reply fake_helo(void *context, const struct smtp_envelope *envelope)
{
	struct smtp_fake *fake = fake_of(context);
	if (!fake->quiet)
		buf_printf(&fake->log, "%s %.*s\n", envelope->extended ? "ehlo" : "helo",
		           SLICE_FMT(envelope->helo.text));
	if (slice_ieq_str(envelope->helo.text, "unwanted.example"))
		return smtp_reply(SMTP_REPLY_POLICY);
	return smtp_reply(SMTP_REPLY_NONE);
}

static struct smtp_reply fake_mail(void *context, const struct smtp_envelope *envelope)
{
	struct smtp_fake *fake = fake_of(context);
	const struct smtp_path *from = &envelope->mail.from;
	ASSERT(envelope->n_rcpts == 0 && envelope->has_helo);
	if (slice_eq_str(from->localpart, "bad"))
		return smtp_reply_text(SMTP_REPLY_POLICY, "Not from you");
	log_path(fake, "mail", from);
	if (!fake->quiet)
		smtp_mail_params_print(&envelope->mail.params, &fake->log);
	log_text(fake, "\n");
	return smtp_reply(SMTP_REPLY_NONE);
}

static struct smtp_reply judge_rcpt(const struct smtp_path *to)
{
	static const struct {
		const char *localpart;
		enum smtp_reply_id reply;
	} rows[] = {
	        {"nobody", SMTP_REPLY_NO_SUCH_USER},
	        {"disabled", SMTP_REPLY_USER_DISABLED},
	        {"full", SMTP_REPLY_OVER_QUOTA},
	        {"shut", SMTP_REPLY_SHUTTING_DOWN},
	};
	if (to->kind == SMTP_PATH_MAILBOX && !slice_ieq_str(to->host.text, "example.org"))
		return smtp_reply(SMTP_REPLY_NO_RELAY);
	for (size_t i = 0; i < N_ELEMENTS(rows); i++)
		if (slice_eq_str(to->localpart, rows[i].localpart))
			return smtp_reply(rows[i].reply);
	if (slice_eq_str(to->localpart, "rude"))
		return smtp_reply_text(SMTP_REPLY_POLICY, "no\r\n250 yes");
	return smtp_reply(SMTP_REPLY_NONE);
}

static struct smtp_reply fake_rcpt(void *context, const struct smtp_envelope *envelope,
                                   struct smtp_rcpt *rcpt)
{
	struct smtp_fake *fake = fake_of(context);
	struct smtp_reply reply = judge_rcpt(&rcpt->to);
	(void)envelope;
	rcpt->entry = fake;
	if (reply.code == 0) {
		log_path(fake, "rcpt", &rcpt->to);
		if (!fake->quiet)
			smtp_rcpt_params_print(&rcpt->params, &fake->log);
		log_text(fake, "\n");
	}
	return reply;
}

static struct status fake_data_open(void *context, const struct smtp_envelope *envelope)
{
	struct smtp_fake *fake = fake_of(context);
	ASSERT(!fake->open && envelope->n_rcpts > 0);
	for (size_t i = 0; i < envelope->n_rcpts; i++)
		ASSERT(envelope->rcpts[i].entry == fake);
	if (slice_eq_str(envelope->mail.from.localpart, "nospace"))
		return fail(ERR_NO_SPACE, "disk full");
	buf_reset(&fake->content);
	fake->open = true;
	log_text(fake, envelope->chunked ? "open chunked\n" : "open\n");
	return ok();
}

static struct status fake_data_write(void *context, struct slice octets)
{
	struct smtp_fake *fake = fake_of(context);
	ASSERT(fake->open && octets.n > 0);
	if (fake->quiet)
		return ok();
	buf_add(&fake->content, octets);
	if (slice_find(buf_slice(&fake->content), SLICE("DISKFULL")) != SIZE_MAX)
		return fail(ERR_NO_SPACE, "disk full");
	return ok();
}

/* One line: size, facts, and the content with CR, LF and odd octets escaped. */
static void log_message(struct smtp_fake *fake, const struct smtp_envelope *envelope)
{
	struct slice content = buf_slice(&fake->content);
	ASSERT(envelope->size == content.n);
	buf_printf(&fake->log, "end %" PRIu64 "%s%s%s ", envelope->size,
	           envelope->has_8bit ? " 8bit" : "", envelope->has_bare ? " bare" : "",
	           envelope->header_8bit ? " header8bit" : "");
	for (size_t i = 0; i < content.n; i++) {
		if (content.p[i] == '\r')
			buf_add_str(&fake->log, "\\r");
		else if (content.p[i] == '\n')
			buf_add_str(&fake->log, "\\n");
		else if (ascii_is_print(content.p[i]))
			buf_add_byte(&fake->log, content.p[i]);
		else
			buf_printf(&fake->log, "\\x%02x", content.p[i]);
	}
	buf_add_str(&fake->log, "\n");
}

static struct smtp_reply fake_data_end(void *context, const struct smtp_envelope *envelope)
{
	struct smtp_fake *fake = fake_of(context);
	ASSERT(fake->open && envelope->n_rcpts > 0);
	fake->open = false;
	fake->n_messages++;
	fake->n_octets += envelope->size;
	if (fake->quiet)
		return smtp_reply(SMTP_REPLY_ACCEPTED);
	log_message(fake, envelope);
	if (slice_find(buf_slice(&fake->content), SLICE("REJECT")) != SIZE_MAX)
		return smtp_reply_text(SMTP_REPLY_POLICY, "Refused for\nits content");
	if (slice_find(buf_slice(&fake->content), SLICE("SILENT")) != SIZE_MAX)
		return smtp_reply(SMTP_REPLY_NONE);
	return smtp_reply_text(SMTP_REPLY_ACCEPTED, "Kept");
}

static void fake_data_abort(void *context)
{
	struct smtp_fake *fake = fake_of(context);
	ASSERT(fake->open);
	fake->open = false;
	log_text(fake, "abort\n");
}

static void fake_reset(void *context)
{
	struct smtp_fake *fake = fake_of(context);
	ASSERT(!fake->open);
	log_text(fake, "reset\n");
}

static void fake_starttls_done(void *context, const struct stream_tls *tls)
{
	ASSERT(tls->on);
	log_text(fake_of(context), "tls\n");
}

static void fake_event(void *context, const struct smtp_event *event)
{
	static const char *const names[] = {
	        [SMTP_EVENT_EARLY_TALKER] = "early talker",
	        [SMTP_EVENT_FOREIGN] = "foreign",
	        [SMTP_EVENT_REFUSED] = NULL,
	        [SMTP_EVENT_BARE_LF] = "bare lf",
	        [SMTP_EVENT_SMUGGLING] = "smuggling",
	        [SMTP_EVENT_MESSAGE] = NULL,
	        [SMTP_EVENT_PLAINTEXT_DROPPED] =
	                NULL, /* how much of it was there depends on timing */
	        [SMTP_EVENT_TLS_FAILED] = "tls failed",
	        [SMTP_EVENT_CLOSING] = "closing",
	};
	struct smtp_fake *fake = fake_of(context);
	if (names[event->kind] && !fake->quiet)
		buf_printf(&fake->log, "event: %s\n", names[event->kind]);
	if (event->kind == SMTP_EVENT_REFUSED && fake->tell_refused)
		buf_printf(&fake->log, "refused \"%.*s\"\n", SLICE_FMT(event->text));
	/* reads all of the text, so that a sanitizer sees a slice that is gone */
	volatile bool ascii = slice_is_ascii(event->text);
	(void)ascii;
}

static const struct smtp_server_ops fake_ops = {
        .helo = fake_helo,
        .mail = fake_mail,
        .rcpt = fake_rcpt,
        .data_open = fake_data_open,
        .data_write = fake_data_write,
        .data_end = fake_data_end,
        .data_abort = fake_data_abort,
        .reset = fake_reset,
        .starttls_done = fake_starttls_done,
        .event = fake_event,
};

static int64_t fake_now_us(const struct clock *clock)
{
	return ((const struct smtp_fake *)clock)->now_ms * 1000;
}

static int64_t fake_monotonic_ms(const struct clock *clock)
{
	return ((const struct smtp_fake *)clock)->now_ms;
}

void smtp_fake_init(struct smtp_fake *fake)
{
	*fake = (struct smtp_fake){
	        .clock = {.now_us = fake_now_us, .monotonic_ms = fake_monotonic_ms},
	        .now_ms = 1000000,
	};
	buf_init(&fake->log, SMTP_FAKE_LOG_MAX);
	buf_init(&fake->content, SMTP_FAKE_LOG_MAX);
}

void smtp_fake_done(struct smtp_fake *fake)
{
	ASSERT(!fake->open);
	buf_done(&fake->log);
	buf_done(&fake->content);
}

void smtp_fake_options(struct smtp_fake *fake, struct stream *stream,
                       struct smtp_server_options *ret_options)
{
	smtp_server_options_init(ret_options);
	ret_options->stream = stream;
	ret_options->clock = &fake->clock;
	ret_options->ops = &fake_ops;
	ret_options->context = fake;
	ret_options->hostname = "mx.example.org";
	ret_options->cid = "c1";
	ret_options->offer_tls = true;
}
