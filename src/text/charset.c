/* Charset decoding over iconv, with built-in decoders for what most mail uses.
 *
 * Names are looked up in a table of wrong and broad labels first (broad: GB2312 text is really GBK
 * or GB18030, KS_C_5601 is CP949, Shift_JIS is CP932), then given to iconv. Only letters, digits
 * and "-_.:" may stand in a name, so that iconv's own suffixes ("//IGNORE") cannot be asked for.
 *
 * iconv is trusted to move on at each call; where it does not, a byte is dropped, so that the work
 * is linear whatever a conversion module does. Limits: TEXT_CHARSET_NAME_MAX.
 */
#include "text/charset.h"

#include "text/utf8.h"

#include <errno.h>
#include <iconv.h>

#define CHUNK_SIZE 4096 /* bytes of UTF-8 written by one call of iconv */

static const uint16_t cp1252_high[32] = {
        0x20ac, 0xfffd, 0x201a, 0x0192, 0x201e, 0x2026, 0x2020, 0x2021, 0x02c6, 0x2030, 0x0160,
        0x2039, 0x0152, 0xfffd, 0x017d, 0xfffd, 0xfffd, 0x2018, 0x2019, 0x201c, 0x201d, 0x2022,
        0x2013, 0x2014, 0x02dc, 0x2122, 0x0161, 0x203a, 0x0153, 0xfffd, 0x017e, 0x0178,
};

struct builtin {
	const char *label;
	enum text_decoder_kind kind;
};

/* With "X-" before them, too. */
static const struct builtin builtins[] = {
        {"", TEXT_DECODER_GUESS},
        {"US-ASCII", TEXT_DECODER_GUESS},
        {"ASCII", TEXT_DECODER_GUESS},
        {"ANSI_X3.4-1968", TEXT_DECODER_GUESS},
        {"ISO646-US", TEXT_DECODER_GUESS},
        {"US", TEXT_DECODER_GUESS},
        {"7BIT", TEXT_DECODER_GUESS},
        {"8BIT", TEXT_DECODER_GUESS},
        {"DEFAULT", TEXT_DECODER_GUESS},
        {"DEFAULT_CHARSET", TEXT_DECODER_GUESS},
        {"_CHARSET", TEXT_DECODER_GUESS},
        {"UNKNOWN", TEXT_DECODER_GUESS},
        {"UNKNOWN-8BIT", TEXT_DECODER_GUESS}, /* RFC 1428 */
        {"NONE", TEXT_DECODER_GUESS},
        {"UTF-8", TEXT_DECODER_UTF8},
        {"UTF8", TEXT_DECODER_UTF8},
        {"UTF_8", TEXT_DECODER_UTF8},
        {"UNICODE-1-1-UTF-8", TEXT_DECODER_UTF8},
        {"UTF8UTF8", TEXT_DECODER_UTF8},
        {"UTF-8MB4", TEXT_DECODER_UTF8},
        {"UTF8MB4", TEXT_DECODER_UTF8},
        {"UTF-7", TEXT_DECODER_UTF7}, /* glibc's own gives other text when its input is cut */
        {"UTF7", TEXT_DECODER_UTF7},
        {"UNICODE-1-1-UTF-7", TEXT_DECODER_UTF7},
        {"UNICODE-2-0-UTF-7", TEXT_DECODER_UTF7},
        {"CSUNICODE11UTF7", TEXT_DECODER_UTF7},
        {"ISO-8859-1", TEXT_DECODER_CP1252},
        {"ISO8859-1", TEXT_DECODER_CP1252},
        {"ISO_8859-1", TEXT_DECODER_CP1252},
        {"ISO_8859-1:1987", TEXT_DECODER_CP1252},
        {"ISO8859_1", TEXT_DECODER_CP1252},
        {"ISO88591", TEXT_DECODER_CP1252},
        {"ISO-88591", TEXT_DECODER_CP1252},
        {"8859-1", TEXT_DECODER_CP1252},
        {"8859_1", TEXT_DECODER_CP1252},
        {"LATIN1", TEXT_DECODER_CP1252},
        {"LATIN-1", TEXT_DECODER_CP1252},
        {"L1", TEXT_DECODER_CP1252},
        {"WINDOWS-1252", TEXT_DECODER_CP1252},
        {"WINDOWS1252", TEXT_DECODER_CP1252},
        {"CP1252", TEXT_DECODER_CP1252},
        {"CP-1252", TEXT_DECODER_CP1252},
        {"ANSI", TEXT_DECODER_CP1252},
};

/* Label, name for iconv. */
static const char *const aliases[][2] = {
        {"ISO-8859-6-I", "ISO-8859-6"},
        {"ISO-8859-6-E", "ISO-8859-6"},
        {"ISO-8859-8-I", "ISO-8859-8"},
        {"ISO-8859-8-E", "ISO-8859-8"},
        {"ISO-8859-9", "CP1254"},
        {"ISO-8859-11", "CP874"},
        {"TIS-620", "CP874"},
        {"WINDOWS-874", "CP874"},
        {"GB2312", "GB18030"},
        {"GB_2312-80", "GB18030"},
        {"CHINESE", "GB18030"},
        {"CSGB2312", "GB18030"},
        {"X-GBK", "GB18030"},
        {"GBK", "GB18030"},
        {"CP936", "GB18030"},
        {"GB-18030", "GB18030"},
        {"BIG5", "BIG5-HKSCS"},
        {"X-X-BIG5", "BIG5-HKSCS"},
        {"CN-BIG5", "BIG5-HKSCS"},
        {"SHIFT_JIS", "CP932"},
        {"SHIFT-JIS", "CP932"},
        {"SJIS", "CP932"},
        {"X-SJIS", "CP932"},
        {"X-SJIS-CP932", "CP932"},
        {"MS_KANJI", "CP932"},
        {"WINDOWS-31J", "CP932"},
        {"EUC-JP", "EUC-JP-MS"},
        {"EUCJP", "EUC-JP-MS"},
        {"X-EUC-JP", "EUC-JP-MS"},
        {"KS_C_5601-1987", "CP949"},
        {"KS_C_5601", "CP949"},
        {"KSC5601", "CP949"},
        {"KSC_5601", "CP949"},
        {"KOREAN", "CP949"},
        {"EUC-KR", "CP949"},
        {"EUCKR", "CP949"},
        {"WINDOWS-949", "CP949"},
        {"X-WINDOWS-949", "CP949"},
        {"X-EUC-TW", "EUC-TW"},
        {"UNICODE", "UTF-16"},
        {"UCS-2", "UTF-16"},
        {"ISO-10646-UCS-2", "UTF-16"},
        {"X-MAC-ROMAN", "MACINTOSH"},
        {"X-MACROMAN", "MACINTOSH"},
        {"MAC", "MACINTOSH"},
        {"X-MAC-CYRILLIC", "MAC-CYRILLIC"},
        {"X-MAC-CE", "MAC-CENTRALEUROPE"},
        {"DOS-862", "CP862"},
        {"DOS-720", "CP1256"},
        {"KOI8", "KOI8-R"},
        {"KOI8R", "KOI8-R"},
        {"X-KOI8-R", "KOI8-R"},
        {"KOI8_R", "KOI8-R"},
        {"VISCII1.1-1", "VISCII"},
};

/* What mail is written in; each is held open by text_charsets_warm. */
static const char *const warm_names[] = {
        "ISO-8859-2",
        "ISO-8859-3",
        "ISO-8859-4",
        "ISO-8859-5",
        "ISO-8859-6",
        "ISO-8859-7",
        "ISO-8859-8",
        "CP1254",
        "ISO-8859-10",
        "CP874",
        "ISO-8859-13",
        "ISO-8859-14",
        "ISO-8859-15",
        "ISO-8859-16",
        "CP1250",
        "CP1251",
        "CP1253",
        "CP1255",
        "CP1256",
        "CP1257",
        "CP1258",
        "CP437",
        "CP737",
        "CP775",
        "CP850",
        "CP852",
        "CP855",
        "CP857",
        "CP858",
        "CP860",
        "CP861",
        "CP862",
        "CP863",
        "CP864",
        "CP865",
        "CP866",
        "CP869",
        "KOI8-R",
        "KOI8-U",
        "KOI8-RU",
        "MACINTOSH",
        "MAC-CYRILLIC",
        "MAC-CENTRALEUROPE",
        "GB18030",
        "BIG5-HKSCS",
        "BIG5",
        "EUC-TW",
        "CP932",
        "EUC-JP-MS",
        "ISO-2022-JP",
        "ISO-2022-JP-1",
        "ISO-2022-JP-2",
        "ISO-2022-JP-3",
        "CP949",
        "ISO-2022-KR",
        "ISO-2022-CN",
        "JOHAB",
        "UTF-16",
        "UTF-16LE",
        "UTF-16BE",
        "UTF-32",
        "VISCII",
        "TCVN",
        "ARMSCII-8",
        "GEORGIAN-PS",
        "GEORGIAN-ACADEMY",
        "PT154",
        "HP-ROMAN8",
        "IBM037",
        "TSCII",
};

/* ---------------------------------------------------------------------------------------- names */

/* What glibc would drop from a name may not stand in it, so that a name is one name. */
static bool is_name_byte(uint8_t c)
{
	return ascii_is_alnum(c) || c == '-' || c == '_' || c == '.' || c == ':';
}

static bool clean_name(struct slice charset, char name[TEXT_CHARSET_NAME_MAX + 1])
{
	charset = slice_trim(charset);
	while (charset.n > 0 && (charset.p[0] == '\'' || charset.p[0] == '"'))
		charset = slice_from(charset, 1);
	while (charset.n > 0 &&
	       (charset.p[charset.n - 1] == '\'' || charset.p[charset.n - 1] == '"'))
		charset.n--;
	if (charset.n > TEXT_CHARSET_NAME_MAX)
		return false;
	for (size_t i = 0; i < charset.n; i++) {
		if (!is_name_byte(charset.p[i]))
			return false;
		name[i] = (char)ascii_upper(charset.p[i]);
	}
	name[charset.n] = '\0';
	/* Representations of glibc's own that no mail can mean. */
	return strcmp(name, "INTERNAL") != 0 && strcmp(name, "WCHAR_T") != 0 &&
	       strcmp(name, "UTF-7-IMAP") != 0;
}

static const char *iconv_name(const char *name)
{
	for (size_t i = 0; i < N_ELEMENTS(aliases); i++)
		if (strcmp(name, aliases[i][0]) == 0)
			return aliases[i][1];
	return name;
}

static iconv_t open_iconv(const char *name)
{
	iconv_t cd = iconv_open("UTF-8", name);
	if (cd != (iconv_t)-1)
		return cd;
	/* "x-cp1250", "windows1251", "cp-850": one more try with what iconv may know. */
	char other[TEXT_CHARSET_NAME_MAX + 8];
	if (strncmp(name, "X-", 2) == 0)
		snprintf(other, sizeof(other), "%s", iconv_name(name + 2));
	else if (strncmp(name, "CP-", 3) == 0)
		snprintf(other, sizeof(other), "CP%s", name + 3);
	else if (strncmp(name, "WINDOWS", 7) == 0)
		snprintf(other, sizeof(other), "CP%s",
		         name + 7 + (name[7] == '-' || name[7] == '_'));
	else if (strncmp(name, "ISO-8859", 8) == 0 && ascii_is_digit((uint8_t)name[8]))
		snprintf(other, sizeof(other), "ISO-8859-%s", name + 8);
	else
		return cd;
	return iconv_open("UTF-8", other);
}

static bool find_builtin(const char *name, enum text_decoder_kind *ret_kind)
{
	for (size_t i = 0; i < N_ELEMENTS(builtins); i++) {
		if (strcmp(name, builtins[i].label) == 0) {
			*ret_kind = builtins[i].kind;
			return true;
		}
	}
	return false;
}

struct status text_decoder_init(struct text_decoder *decoder, struct slice charset)
{
	*decoder = (struct text_decoder){.kind = TEXT_DECODER_GUESS};
	char name[TEXT_CHARSET_NAME_MAX + 1];
	if (!clean_name(charset, name))
		return fail(ERR_UNSUPPORTED, "not a charset name");
	if (find_builtin(name, &decoder->kind) ||
	    (strncmp(name, "X-", 2) == 0 && find_builtin(name + 2, &decoder->kind)))
		return ok();
	iconv_t cd = open_iconv(iconv_name(name));
	if (cd == (iconv_t)-1)
		return fail(ERR_UNSUPPORTED, "unknown charset");
	decoder->kind = TEXT_DECODER_ICONV;
	decoder->iconv = cd;
	return ok();
}

void text_decoder_done(struct text_decoder *decoder)
{
	if (decoder->iconv)
		iconv_close(decoder->iconv);
	*decoder = (struct text_decoder){.kind = TEXT_DECODER_GUESS};
}

bool text_charset_known(struct slice charset)
{
	struct text_decoder decoder;
	bool known = is_ok(text_decoder_init(&decoder, charset));
	text_decoder_done(&decoder);
	return known;
}

/* ------------------------------------------------------------------------------------- built in */

static size_t ascii_run(struct slice s)
{
	size_t i = 0;
	while (i < s.n && s.p[i] < 0x80)
		i++;
	return i;
}

static uint32_t cp1252_codepoint(uint8_t c)
{
	return c >= 0x80 && c <= 0x9f ? cp1252_high[c - 0x80] : c;
}

static void feed_cp1252(struct slice s, struct buf *out)
{
	while (s.n > 0) {
		size_t n = ascii_run(s);
		buf_add(out, slice_sub(s, 0, n));
		s = slice_from(s, n);
		for (; s.n > 0 && s.p[0] >= 0x80; s = slice_from(s, 1))
			utf8_add(out, cp1252_codepoint(s.p[0]));
	}
}

/* Decodes as much of s as is certain; gives what is left: an unfinished character. */
static struct slice decode_utf8(struct text_decoder *decoder, struct slice s, struct buf *out)
{
	for (;;) {
		size_t n = utf8_valid_prefix(s);
		buf_add(out, slice_sub(s, 0, n));
		s = slice_from(s, n);
		uint32_t codepoint;
		if (s.n == 0 || utf8_decode(s, &codepoint, &n) == UTF8_INCOMPLETE)
			return s;
		if (decoder->kind == TEXT_DECODER_GUESS) {
			utf8_add(out, cp1252_codepoint(s.p[0]));
			n = 1;
		} else {
			utf8_add(out, UTF8_REPLACEMENT);
		}
		s = slice_from(s, n);
	}
}

/* ---------------------------------------------------------------------------------------- UTF-7 */

static int base64_value(uint8_t c)
{
	if (ascii_is_alpha(c))
		return c <= 'Z' ? c - 'A' : c - 'a' + 26;
	if (ascii_is_digit(c))
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* A half that found no other. */
static void drop_surrogate(struct text_utf7 *u, struct buf *out)
{
	if (u->high)
		utf8_add(out, UTF8_REPLACEMENT);
	u->high = 0;
}

static void add_utf16_unit(struct text_utf7 *u, uint16_t unit, struct buf *out)
{
	bool low = unit >= 0xdc00 && unit <= 0xdfff;
	if (u->high && low) {
		utf8_add(out, 0x10000 + ((u->high - 0xd800u) << 10) + (unit - 0xdc00u));
		u->high = 0;
		return;
	}
	drop_surrogate(u, out);
	if (unit >= 0xd800 && unit <= 0xdbff)
		u->high = unit;
	else
		utf8_add(out, low ? UTF8_REPLACEMENT : unit);
}

/* What is left over must be less than a base64 character, and zero (RFC 2152, rule 2). */
static void end_shift(struct text_utf7 *u, struct buf *out)
{
	if (u->shifted) {
		uint32_t left = u->bits & ((1u << u->n_bits) - 1);
		drop_surrogate(u, out);
		if (u->empty || u->n_bits >= 6 || left != 0)
			utf8_add(out, UTF8_REPLACEMENT);
	}
	*u = (struct text_utf7){.shifted = false};
}

/* True when the byte belonged to the shifted run; else the run has ended before it. */
static bool feed_shifted(struct text_utf7 *u, uint8_t c, struct buf *out)
{
	int value = base64_value(c);
	if (value < 0 && c == '-' && u->empty) {
		buf_add_byte(out, '+');
		*u = (struct text_utf7){.shifted = false};
		return true;
	}
	if (value < 0) {
		end_shift(u, out);
		return c == '-';
	}
	u->empty = false;
	u->bits = u->bits << 6 | (uint32_t)value;
	u->n_bits += 6;
	if (u->n_bits >= 16) {
		u->n_bits -= 16;
		add_utf16_unit(u, (uint16_t)(u->bits >> u->n_bits), out);
	}
	return true;
}

static void feed_utf7(struct text_utf7 *u, struct slice s, struct buf *out)
{
	for (size_t i = 0; i < s.n; i++) {
		uint8_t c = s.p[i];
		if (u->shifted && feed_shifted(u, c, out))
			continue;
		if (c == '+')
			*u = (struct text_utf7){.shifted = true, .empty = true};
		else if (c < 0x80)
			buf_add_byte(out, c);
		else
			utf8_add(out, UTF8_REPLACEMENT);
	}
}

/* ---------------------------------------------------------------------------------------- iconv */

static void add_converted(struct buf *out, struct slice s)
{
	if (utf8_valid(s))
		buf_add(out, s);
	else
		utf8_add_valid(out, s);
}

static struct slice decode_iconv(struct text_decoder *decoder, struct slice s, struct buf *out)
{
	char chunk[CHUNK_SIZE];
	while (s.n > 0) {
		/* iconv reads through this pointer only; its prototype is older than const. */
		union {
			const uint8_t *in;
			char *iconv;
		} from = {.in = s.p};
		char *to = chunk;
		size_t n_from = s.n, n_to = sizeof(chunk);
		size_t result = iconv(decoder->iconv, &from.iconv, &n_from, &to, &n_to);
		int error = result == (size_t)-1 ? errno : 0;
		bool moved = n_from < s.n || n_to < sizeof(chunk);
		add_converted(out, slice_of(chunk, sizeof(chunk) - n_to));
		s = slice_from(s, s.n - n_from);
		if (error == EINVAL)
			return s;
		if (error == EILSEQ || !moved) {
			utf8_add(out, UTF8_REPLACEMENT);
			s = slice_from(s, 1);
		}
	}
	return s;
}

static void finish_iconv(struct text_decoder *decoder, struct buf *out)
{
	char chunk[64], *to = chunk;
	size_t n_to = sizeof(chunk);
	if (iconv(decoder->iconv, NULL, NULL, &to, &n_to) != (size_t)-1)
		add_converted(out, slice_of(chunk, sizeof(chunk) - n_to));
	iconv(decoder->iconv, NULL, NULL, NULL, NULL);
}

/* --------------------------------------------------------------------------------------- stream */

static struct slice decode(struct text_decoder *decoder, struct slice s, struct buf *out)
{
	switch (decoder->kind) {
	case TEXT_DECODER_UTF8:
	case TEXT_DECODER_GUESS:
		return decode_utf8(decoder, s, out);
	case TEXT_DECODER_CP1252:
		feed_cp1252(s, out);
		return slice_empty();
	case TEXT_DECODER_UTF7:
		feed_utf7(&decoder->utf7, s, out);
		return slice_empty();
	case TEXT_DECODER_ICONV:
		return decode_iconv(decoder, s, out);
	}
	BUG("no such decoder");
}

static void hold(struct text_decoder *decoder, struct slice rest)
{
	memmove(decoder->held, rest.p, rest.n);
	decoder->n_held = rest.n;
}

/* Gives the held bytes one more, until they are decoded. */
static struct slice feed_held(struct text_decoder *decoder, struct slice bytes, struct buf *out)
{
	while (decoder->n_held > 0 && bytes.n > 0) {
		decoder->held[decoder->n_held++] = bytes.p[0];
		bytes = slice_from(bytes, 1);
		struct slice rest = decode(decoder, slice_of(decoder->held, decoder->n_held), out);
		if (rest.n == sizeof(decoder->held)) {
			utf8_add(out, UTF8_REPLACEMENT);
			rest = slice_from(rest, 1);
		}
		hold(decoder, rest);
	}
	return bytes;
}

void text_decoder_feed(struct text_decoder *decoder, struct slice bytes, struct buf *out)
{
	bytes = feed_held(decoder, bytes, out);
	if (bytes.n == 0)
		return;
	struct slice rest = decode(decoder, bytes, out);
	while (rest.n >= sizeof(decoder->held)) {
		utf8_add(out, UTF8_REPLACEMENT);
		rest = decode(decoder, slice_from(rest, 1), out);
	}
	hold(decoder, rest);
}

void text_decoder_finish(struct text_decoder *decoder, struct buf *out)
{
	if (decoder->n_held > 0 && decoder->kind == TEXT_DECODER_GUESS)
		feed_cp1252(slice_of(decoder->held, decoder->n_held), out);
	if (decoder->kind == TEXT_DECODER_ICONV)
		finish_iconv(decoder, out);
	if (decoder->kind == TEXT_DECODER_UTF7)
		end_shift(&decoder->utf7, out);
	if (decoder->n_held > 0 && decoder->kind != TEXT_DECODER_GUESS)
		utf8_add(out, UTF8_REPLACEMENT);
	decoder->n_held = 0;
}

struct status text_decode(struct slice charset, struct slice bytes, struct buf *out)
{
	struct text_decoder decoder;
	struct status status = text_decoder_init(&decoder, charset);
	text_decoder_feed(&decoder, bytes, out);
	text_decoder_finish(&decoder, out);
	text_decoder_done(&decoder);
	return status;
}

/* ------------------------------------------------------------------------------------- warming */

struct text_charsets {
	iconv_t open[N_ELEMENTS(warm_names)];
	size_t n;
};

struct text_charsets *text_charsets_warm(void)
{
	struct text_charsets *charsets = base_alloc(sizeof(*charsets));
	for (size_t i = 0; i < N_ELEMENTS(warm_names); i++) {
		iconv_t cd = iconv_open("UTF-8", warm_names[i]);
		if (cd != (iconv_t)-1)
			charsets->open[charsets->n++] = cd;
	}
	return charsets;
}

size_t text_charsets_count(const struct text_charsets *charsets)
{
	return charsets->n;
}

void text_charsets_free(struct text_charsets *charsets)
{
	if (!charsets)
		return;
	for (size_t i = 0; i < charsets->n; i++)
		iconv_close(charsets->open[i]);
	base_free(charsets);
}
