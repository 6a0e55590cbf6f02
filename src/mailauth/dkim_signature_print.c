/* Signatures written (RFC 6376 section 3.5, folded as section 2.8 allows).
 *
 * b= stands last, so that what is hashed, the field with an empty b=, is the beginning of what is
 * sent. Lines end before MESSAGE_LINE_FOLD columns, a tab counting as eight.
 */
#include "mailauth/dkim_signature.h"

#include "base/encode.h"
#include "message/compose.h"
#include "text/utf8.h"

#include <stdarg.h>

#define COLUMNS     (MESSAGE_LINE_FOLD - 1) /* one is for what ends a word */
#define FOLD        "\r\n\t"
#define FOLD_COLUMN 8u

struct folder {
	struct buf *out;
	size_t column;
	bool utf8;
	bool invalid; /* a value was refused */
};

static void fold(struct folder *f)
{
	buf_add_str(f->out, FOLD);
	f->column = FOLD_COLUMN;
}

/* A word, on a line of its own where it does not fit any more; with a blank before it where it
 * does. */
static void add_word(struct folder *f, struct slice word, bool blank)
{
	if (f->column + blank + word.n > COLUMNS)
		fold(f);
	else if (blank)
		buf_add_byte(f->out, ' ');
	f->column += blank + word.n;
	buf_add_line_safe(f->out, word);
}

/* Where it may be broken anywhere. */
static void add_broken(struct folder *f, struct slice text)
{
	while (text.n > 0) {
		if (f->column >= COLUMNS)
			fold(f);
		struct slice part = slice_sub(text, 0, COLUMNS - f->column);
		buf_add_line_safe(f->out, part);
		f->column += part.n;
		text = slice_from(text, part.n);
	}
}

PRINTF(2, 3) static void add_tag(struct folder *f, const char *format, ...)
{
	char text[DKIM_NAME_MAX + 32];
	va_list args;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	add_word(f, slice_str(text), true);
}

/* On a line of its own where it does not fit. */
static void add_body_hash(struct folder *f, struct slice hash)
{
	CLEANUP(buf_done) struct buf text;
	buf_init(&text, 100);
	buf_add_str(&text, "bh=");
	base64_encode(hash, &text);
	buf_add_byte(&text, ';');
	add_word(f, buf_slice(&text), true);
}

/* On lines of its own, wherever it stands: they must begin where they do without it. */
static void add_signature(struct folder *f, struct slice signature)
{
	CLEANUP(buf_done) struct buf text;
	buf_init(&text, 2 * DKIM_SIGNATURE_SIZE_MAX);
	buf_add_str(&text, "b=");
	base64_encode(signature, &text);
	fold(f);
	add_broken(f, buf_slice(&text));
}

static bool is_field_name(struct slice name)
{
	for (size_t i = 0; i < name.n; i++)
		if (name.p[i] <= ' ' || name.p[i] >= 0x7f || name.p[i] == ':' || name.p[i] == ';')
			return false;
	return name.n > 0 && name.n <= MESSAGE_LINE_MAX - FOLD_COLUMN;
}

static void add_names(struct folder *f, const struct dkim_signature *s)
{
	size_t first = s->n_names > 0 ? s->names[0].n : 0;
	f->invalid |= s->n_names == 0 || s->n_names > DKIM_SIGNED_NAMES_MAX;
	if (f->column + sizeof(" h=") + first > COLUMNS)
		fold(f);
	else
		add_word(f, SLICE(" "), false);
	buf_add_str(f->out, "h=");
	f->column += sizeof("h=") - 1;
	for (size_t i = 0; i < s->n_names && !f->invalid; i++) {
		f->invalid |= !is_field_name(s->names[i]);
		add_word(f, s->names[i], false);
		buf_add_byte(f->out, i + 1 < s->n_names ? ':' : ';');
		f->column++;
	}
}

/* dkim-safe-char = %x21-3A / %x3C / %x3E-7E, and UTF-8 where there may be any (RFC 8616). */
static void add_identity(struct folder *f, const struct dkim_signature *s)
{
	CLEANUP(buf_done) struct buf text;
	buf_init(&text, 4 * DKIM_IDENTITY_MAX);
	buf_add_str(&text, "i=");
	for (size_t i = 0; i < s->identity.n; i++) {
		uint8_t c = s->identity.p[i];
		if ((c > ' ' && c < 0x7f && c != ';' && c != '=') || (c >= 0x80 && f->utf8))
			buf_add_byte(&text, c);
		else
			buf_printf(&text, "=%02X", c);
	}
	buf_printf(&text, "@%s;", s->identity_domain);
	f->invalid |= buf_failed(&text) || !utf8_valid(s->identity);
	/* Blanks mean nothing within it. */
	if (f->column + 1 + text.n > COLUMNS)
		fold(f);
	else
		add_word(f, SLICE(" "), false);
	add_broken(f, buf_slice(&text));
}

static void check_names(struct folder *f, const struct dkim_signature *s)
{
	struct arena arena;
	arena_init(&arena, 4 * KIB);
	struct dkim_signature again = *s;
	f->invalid |= !s->domain || !dkim_name_parse(slice_str(s->domain), 2, &arena);
	f->invalid |= !s->selector || !dkim_name_parse(slice_str(s->selector), 1, &arena);
	if (s->has_identity && !f->invalid) {
		const char *text =
		        arena_printf(&arena, "%.*s@%s", SLICE_FMT(s->identity), s->identity_domain);
		f->invalid |= slice_index(s->identity, 0) != SIZE_MAX || !text ||
		              !dkim_identity_parse(slice_str(text), &arena, &again);
	}
	arena_done(&arena);
}

static void check_values(struct folder *f, const struct dkim_signature *s)
{
	static const int64_t time_max = 999999999999; /* 12 digits */
	bool is_arc = s->kind != DKIM_KIND_SIGNATURE;
	check_names(f, s);
	f->invalid |= (size_t)s->algorithm > DKIM_RSA_SHA1;
	f->invalid |= s->kind != DKIM_KIND_ARC_SEAL &&
	              s->body_hash.n != (s->algorithm == DKIM_RSA_SHA1 ? 20 : DKIM_HASH_SIZE);
	f->invalid |= s->signature.n > DKIM_SIGNATURE_SIZE_MAX;
	f->invalid |= s->has_time && (s->time_s < 0 || s->time_s > time_max);
	f->invalid |= s->has_expiry && (s->expiry_s < 0 || s->expiry_s > time_max);
	f->invalid |= s->has_time && s->has_expiry && s->expiry_s <= s->time_s;
	f->invalid |= is_arc && (s->instance < 1 || s->instance > ARC_INSTANCE_MAX);
}

static void add_tags(struct folder *f, const struct dkim_signature *s)
{
	bool is_seal = s->kind == DKIM_KIND_ARC_SEAL;
	if (s->kind == DKIM_KIND_SIGNATURE)
		add_tag(f, "v=1;");
	else
		add_tag(f, "i=%u;", s->instance);
	add_tag(f, "a=%s;", dkim_algorithm_name(s->algorithm));
	if (is_seal)
		add_tag(f, "cv=%s;", arc_cv_name(s->cv));
	else
		add_tag(f, "c=%s/%s;", dkim_canon_name(s->header_canon),
		        dkim_canon_name(s->body_canon));
	add_tag(f, "d=%s;", s->domain);
	add_tag(f, "s=%s;", s->selector);
	if (s->has_time)
		add_tag(f, "t=%" PRId64 ";", s->time_s);
	if (is_seal)
		return;
	if (s->has_expiry)
		add_tag(f, "x=%" PRId64 ";", s->expiry_s);
	if (s->has_length)
		add_tag(f, "l=%" PRIu64 ";", s->length);
	if (s->has_identity && s->kind == DKIM_KIND_SIGNATURE)
		add_identity(f, s);
	add_names(f, s);
	add_body_hash(f, s->body_hash);
}

struct status dkim_signature_print(const struct dkim_signature *s, bool utf8, struct buf *out)
{
	struct folder f = {.out = out, .utf8 = utf8};
	check_values(&f, s);
	if (f.invalid)
		return fail(ERR_INVALID, "a value that no signature can have");
	buf_printf(out, "%s:", dkim_kind_field(s->kind));
	f.column = strlen(dkim_kind_field(s->kind)) + 1;
	add_tags(&f, s);
	add_signature(&f, s->signature);
	if (f.invalid)
		return fail(ERR_INVALID, "a value that no signature can have");
	return buf_failed(out) ? fail(ERR_LIMIT, "no room for a signature") : ok();
}
