/* Macro strings of SPF (RFC 7208 sections 7 and 12):
 *
 *   domain-spec    = macro-string domain-end
 *   domain-end     = ( "." toplabel [ "." ] ) / macro-expand
 *   toplabel       = ( *alphanum ALPHA *alphanum ) /
 *                    ( 1*alphanum "-" *( alphanum / "-" ) alphanum )
 *   explain-string = *( macro-string / SP )
 *   macro-string   = *( macro-expand / macro-literal )
 *   macro-expand   = ( "%{" macro-letter transformers *delimiter "}" ) / "%%" / "%_" / "%-"
 *   macro-literal  = %x21-24 / %x26-7E
 *   macro-letter   = "s" / "l" / "o" / "d" / "i" / "p" / "h" / "c" / "r" / "t" / "v"
 *   transformers   = *DIGIT [ "r" ]
 *   delimiter      = "." / "-" / "+" / "," / "/" / "_" / "="
 *
 * A text is taken piece by piece, without memory of its own. Names keep their right end only, so an
 * expansion of any size costs a bounded buffer: TAIL_KEPT octets are kept behind each piece, more
 * than the 253 that a name may have.
 */
#include "mailauth/spf_macro.h"

#include "base/cursor.h"

#include <arpa/inet.h>

#define TAIL_KEPT  ((size_t)1024)
#define PARTS_MANY 10000u /* a number of parts beyond it means all of them as well */

enum piece_kind {
	PIECE_LITERAL,
	PIECE_ESCAPE, /* %% %_ %- */
	PIECE_LETTER,
};

struct piece {
	enum piece_kind kind;
	struct slice text;       /* as it stands there */
	struct slice value;      /* of LITERAL and ESCAPE */
	uint8_t letter;          /* lower case */
	bool upper;              /* the letter was upper case: URL escaping */
	bool transformed;        /* split and joined by dots */
	bool reverse;            /* r */
	uint32_t n_parts;        /* 0: all */
	struct slice delimiters; /* empty: "." */
};

/* --- pieces of a text --- */

static bool is_visible_literal(uint8_t c)
{
	return c >= 0x21 && c <= 0x7e && c != '%';
}

static bool is_explanation_literal(uint8_t c)
{
	return c == ' ' || is_visible_literal(c);
}

static bool is_delimiter(uint8_t c)
{
	return c != 0 && strchr(".-+,/_=", c) != NULL;
}

static bool is_letter(uint8_t c)
{
	return c != 0 && strchr("slodiphcrtv", c) != NULL;
}

static bool fault(struct cursor *c, size_t from, enum spf_problem problem, struct spf_fault *ret)
{
	*ret = (struct spf_fault){problem, slice_sub(c->in, from, c->at - from)};
	return false;
}

/* transformers: *DIGIT [ "r" ]; what does not fit into a number means all parts. */
static bool transformers(struct cursor *c, struct piece *piece, struct spf_fault *ret_fault)
{
	size_t from = c->at;
	struct slice digits = cursor_while(c, ascii_is_digit);
	for (size_t i = 0; i < digits.n; i++)
		piece->n_parts = MIN(piece->n_parts * 10 + (digits.p[i] - '0'), PARTS_MANY);
	if (digits.n > 0 && piece->n_parts == 0) /* section 7.3 */
		return fault(c, from, SPF_PROBLEM_MACRO_ZERO, ret_fault);
	piece->reverse = cursor_skip_text(c, "r");
	piece->delimiters = cursor_while(c, is_delimiter);
	piece->transformed = digits.n > 0 || piece->reverse || piece->delimiters.n > 0;
	return true;
}

/* Behind "%{", which began at `from`. */
static bool macro_letter(struct cursor *c, size_t from, enum spf_macro_place place,
                         struct piece *piece, struct spf_fault *ret_fault)
{
	if (cursor_at_end(c))
		return fault(c, from, SPF_PROBLEM_MACRO_END, ret_fault);
	uint8_t letter = cursor_byte(c);
	piece->kind = PIECE_LETTER;
	piece->letter = ascii_lower(letter);
	piece->upper = ascii_is_upper(letter);
	if (!is_letter(piece->letter))
		return fault(c, from, SPF_PROBLEM_MACRO_LETTER, ret_fault);
	/* section 7.2: c, r and t are allowed only in "exp" text */
	if (place == SPF_MACRO_IN_DOMAIN && strchr("crt", piece->letter))
		return fault(c, from, SPF_PROBLEM_MACRO_EXPLANATION, ret_fault);
	if (!transformers(c, piece, ret_fault))
		return false;
	return cursor_skip(c, '}') || fault(c, from, SPF_PROBLEM_MACRO_END, ret_fault);
}

static bool macro_expand(struct cursor *c, enum spf_macro_place place, struct piece *piece,
                         struct spf_fault *ret_fault)
{
	size_t from = c->at;
	cursor_expect(c, '%', "");
	if (cursor_skip(c, '{'))
		return macro_letter(c, from, place, piece, ret_fault);
	piece->kind = PIECE_ESCAPE;
	if (cursor_skip(c, '%'))
		piece->value = SLICE("%");
	else if (cursor_skip(c, '_'))
		piece->value = SLICE(" ");
	else if (cursor_skip(c, '-'))
		piece->value = SLICE("%20");
	else
		return fault(c, from, SPF_PROBLEM_MACRO_PERCENT, ret_fault);
	return true;
}

/* One piece; the cursor is not at its end. */
static bool next_piece(struct cursor *c, enum spf_macro_place place, struct piece *ret_piece,
                       struct spf_fault *ret_fault)
{
	size_t from = c->at;
	struct piece piece = {.kind = PIECE_LITERAL};
	piece.value = cursor_while(c, place == SPF_MACRO_IN_EXPLANATION ? is_explanation_literal
	                                                                : is_visible_literal);
	if (piece.value.n == 0 && cursor_peek(c) != '%') {
		(void)cursor_byte(c);
		return fault(c, from, SPF_PROBLEM_BYTE, ret_fault);
	}
	if (piece.value.n == 0 && !macro_expand(c, place, &piece, ret_fault))
		return false;
	piece.text = slice_sub(c->in, from, c->at - from);
	*ret_piece = piece;
	return true;
}

bool spf_macro_check(struct slice text, enum spf_macro_place place, struct spf_fault *ret_fault)
{
	struct cursor c = cursor_of(text);
	struct piece piece;
	while (!cursor_at_end(&c))
		if (!next_piece(&c, place, &piece, ret_fault))
			return false;
	return true;
}

/* --- the end of a domain-spec --- */

/* toplabel: the rule of letters, digits and hyphens, and not digits alone. */
static bool is_toplabel(struct slice label)
{
	bool all_digits = true;
	for (size_t i = 0; i < label.n; i++) {
		if (!ascii_is_alnum(label.p[i]) && label.p[i] != '-')
			return false;
		all_digits = all_digits && ascii_is_digit(label.p[i]);
	}
	return label.n > 0 && label.p[0] != '-' && label.p[label.n - 1] != '-' && !all_digits;
}

/* "." toplabel [ "." ] at the end of the literal text */
static bool is_domain_end(struct slice literal)
{
	if (slice_ends(literal, SLICE(".")))
		literal = slice_sub(literal, 0, literal.n - 1);
	size_t dot = slice_rindex(literal, '.');
	return dot != SIZE_MAX && is_toplabel(slice_from(literal, dot + 1));
}

static bool is_address(struct slice text)
{
	char c_text[INET6_ADDRSTRLEN];
	uint8_t bytes[16];
	if (text.n >= sizeof(c_text))
		return false;
	snprintf(c_text, sizeof(c_text), "%.*s", SLICE_FMT(text));
	return inet_pton(AF_INET, c_text, bytes) == 1 || inet_pton(AF_INET6, c_text, bytes) == 1;
}

bool spf_domain_spec_check(struct slice text, struct spf_fault *ret_fault)
{
	struct cursor c = cursor_of(text);
	struct piece piece = {.kind = PIECE_LITERAL, .value = slice_empty()};
	if (text.n == 0) {
		*ret_fault = (struct spf_fault){SPF_PROBLEM_NO_DOMAIN, text};
		return false;
	}
	while (!cursor_at_end(&c))
		if (!next_piece(&c, SPF_MACRO_IN_DOMAIN, &piece, ret_fault))
			return false;
	if (piece.kind != PIECE_LITERAL || is_domain_end(piece.value))
		return true;
	*ret_fault = (struct spf_fault){
	        is_address(text) ? SPF_PROBLEM_DOMAIN_IS_ADDRESS : SPF_PROBLEM_DOMAIN_END, text};
	return false;
}

/* --- expanding --- */

bool spf_macro_uses(struct slice text, const char *letters)
{
	struct cursor c = cursor_of(text);
	struct spf_fault unused;
	struct piece piece;
	while (!cursor_at_end(&c) && next_piece(&c, SPF_MACRO_IN_EXPLANATION, &piece, &unused))
		if (piece.kind == PIECE_LETTER && strchr(letters, piece.letter))
			return true;
	return false;
}

/* %{i}: "192.0.2.1", or 32 nibbles with dots (section 7.3). Upper case is what the test suite of
 * RFC 7208 shows in explanations; in names case means nothing. */
static void add_dotted_ip(struct slice ip, struct buf *out)
{
	static const char hex[] = "0123456789ABCDEF";
	for (size_t i = 0; i < ip.n; i++) {
		if (i > 0)
			buf_add_byte(out, '.');
		if (ip.n == 4)
			buf_add_u64(out, ip.p[i]);
		else
			buf_printf(out, "%c.%c", hex[ip.p[i] >> 4], hex[ip.p[i] & 15]);
	}
}

/* %{c}: RFC 4291 section 2.2 */
static void add_readable_ip(struct slice ip, struct buf *out)
{
	char text[INET6_ADDRSTRLEN] = "";
	if (inet_ntop(ip.n == 4 ? AF_INET : AF_INET6, ip.p, text, sizeof(text)))
		buf_add_str(out, text);
}

static void add_or_unknown(struct slice value, struct buf *out)
{
	buf_add(out, value.n > 0 ? value : SLICE("unknown"));
}

/* Section 7.2. */
static void add_value(uint8_t letter, const struct spf_macro_values *values, struct buf *out)
{
	switch (letter) {
	case 's':
		buf_add(out, values->localpart);
		buf_add_byte(out, '@');
		buf_add(out, values->sender_domain);
		break;
	case 'l':
		buf_add(out, values->localpart);
		break;
	case 'o':
		buf_add(out, values->sender_domain);
		break;
	case 'd':
		buf_add(out, values->domain);
		break;
	case 'i':
		add_dotted_ip(values->client_ip, out);
		break;
	case 'p':
		add_or_unknown(values->validated, out);
		break;
	case 'v':
		buf_add_str(out, values->client_ip.n == 4 ? "in-addr" : "ip6");
		break;
	case 'h':
		buf_add(out, values->helo);
		break;
	case 'c':
		add_readable_ip(values->client_ip, out);
		break;
	case 'r':
		add_or_unknown(values->receiver, out);
		break;
	case 't':
		buf_printf(out, "%" PRId64, values->now_s);
		break;
	default:
		BUG("a letter that passed the check has no meaning");
	}
}

static bool separates(const struct piece *piece, uint8_t c)
{
	return piece->delimiters.n > 0 ? slice_index(piece->delimiters, c) != SIZE_MAX : c == '.';
}

/* The part of value that ends before `end`; *ret_begin is where it begins. */
static struct slice part_before(const struct piece *piece, struct slice value, size_t end,
                                size_t *ret_begin)
{
	size_t begin = end;
	while (begin > 0 && !separates(piece, value.p[begin - 1]))
		begin--;
	*ret_begin = begin;
	return slice_sub(value, begin, end - begin);
}

/* Where the first n_parts parts end. */
static size_t end_of_first(const struct piece *piece, struct slice value)
{
	uint32_t n_parts = 0;
	for (size_t i = 0; i < value.n; i++)
		if (separates(piece, value.p[i]) && ++n_parts == piece->n_parts)
			return i;
	return value.n;
}

/* Where the last n_parts parts begin. */
static size_t begin_of_last(const struct piece *piece, struct slice value)
{
	uint32_t n_parts = 0;
	for (size_t i = value.n; i > 0; i--)
		if (separates(piece, value.p[i - 1]) && ++n_parts == piece->n_parts)
			return i;
	return 0;
}

/* Splits, keeps the right-hand parts (of what is reversed: the first ones, last one first), and
 * joins them with dots (section 7.3). */
static void add_transformed(const struct piece *piece, struct slice value, struct buf *out)
{
	if (!piece->reverse) {
		for (size_t i = begin_of_last(piece, value); i < value.n; i++)
			buf_add_byte(out, separates(piece, value.p[i]) ? '.' : value.p[i]);
		return;
	}
	for (size_t end = end_of_first(piece, value), begin;; end = begin - 1) {
		buf_add(out, part_before(piece, value, end, &begin));
		if (begin == 0)
			return;
		buf_add_byte(out, '.');
	}
}

/* What is not unreserved (RFC 3986 section 2.3) becomes %XX. */
static void add_url_escaped(struct slice value, struct buf *out)
{
	for (size_t i = 0; i < value.n; i++) {
		uint8_t c = value.p[i];
		if (ascii_is_alnum(c) || (c != 0 && strchr("-._~", c)))
			buf_add_byte(out, c);
		else
			buf_printf(out, "%%%02X", c);
	}
}

static void add_letter(const struct piece *piece, const struct spf_macro_values *values,
                       struct buf *out)
{
	CLEANUP(buf_done) struct buf value = {0}, transformed = {0};
	if (!piece->transformed && !piece->upper) {
		add_value(piece->letter, values, out);
		return;
	}
	buf_init(&value, SPF_EXPANSION_MAX);
	buf_init(&transformed, SPF_EXPANSION_MAX);
	add_value(piece->letter, values, &value);
	if (piece->transformed)
		add_transformed(piece, buf_slice(&value), &transformed);
	struct slice text = buf_slice(piece->transformed ? &transformed : &value);
	if (piece->upper)
		add_url_escaped(text, out);
	else
		buf_add(out, text);
	out->failed |= value.failed || transformed.failed;
}

/* Of what came before, at most the last `kept` octets stay. */
static void expand(struct slice text, const struct spf_macro_values *values, size_t kept,
                   struct buf *out)
{
	struct cursor c = cursor_of(text);
	struct spf_fault unused;
	struct piece piece;
	while (!cursor_at_end(&c) && next_piece(&c, SPF_MACRO_IN_EXPLANATION, &piece, &unused)) {
		if (piece.kind == PIECE_LETTER)
			add_letter(&piece, values, out);
		else
			buf_add(out, piece.value);
		if (out->n > kept)
			buf_consume(out, out->n - kept);
	}
}

void spf_macro_expand(struct slice text, const struct spf_macro_values *values, struct buf *out)
{
	expand(text, values, SIZE_MAX, out);
}

/* --- names --- */

/* "the left side is truncated to fit, by removing successive domain labels (and their following
 * dots)" (section 7.3) */
static struct slice fit_name(struct slice name)
{
	struct slice label;
	if (slice_ends(name, SLICE(".")))
		name = slice_sub(name, 0, name.n - 1);
	while (name.n > SPF_NAME_MAX)
		(void)slice_cut(name, '.', &label, &name);
	return name;
}

/* Labels of any bytes, as they are (section 4.8): by way of the wire, so that nothing is an escape.
 */
static struct status name_of(struct slice text, struct arena *arena, struct dns_name *ret_name)
{
	uint8_t wire[DNS_NAME_WIRE_MAX];
	size_t n = 0;
	struct slice label, rest = text;
	bool more = text.n > 0;
	if (!more || text.n > SPF_NAME_MAX)
		return fail(ERR_INVALID, "the name is empty or too long");
	while (more) {
		more = slice_cut(rest, '.', &label, &rest);
		if (label.n == 0)
			return fail(ERR_INVALID, "the name has an empty label");
		if (label.n > DNS_LABEL_MAX)
			return fail(ERR_INVALID, "the name has a label of more than 63 octets");
		wire[n++] = (uint8_t)label.n;
		memcpy(wire + n, label.p, label.n);
		n += label.n;
	}
	wire[n++] = 0;
	return dns_name_from_wire(slice_of(wire, n), arena, ret_name);
}

struct status spf_target_parse(struct slice name, struct arena *arena,
                               struct spf_target *ret_target)
{
	struct spf_target target;
	name = fit_name(name);
	/* U-labels of the sender's domain are A-labels by now (RFC 8616 section 4) */
	if (!slice_is_ascii(name))
		return fail(ERR_UNSUPPORTED, "the name is not ASCII");
	TRY(name_of(name, arena, &target.name));
	target.text = arena_copy(arena, name);
	if (arena_failed(arena))
		return fail(ERR_LIMIT, "no room for a name");
	*ret_target = target;
	return ok();
}

struct status spf_target_expand(struct slice domain_spec, const struct spf_macro_values *values,
                                struct arena *arena, struct spf_target *ret_target)
{
	CLEANUP(buf_done) struct buf text = {0};
	/* RFC 8616 section 4: terms with such a localpart match nothing, escaped or not */
	if (!slice_is_ascii(values->localpart) && spf_macro_uses(domain_spec, "sl"))
		return fail(ERR_UNSUPPORTED, "the localpart is not ASCII");
	buf_init(&text, SPF_EXPANSION_MAX);
	expand(domain_spec, values, TAIL_KEPT, &text);
	if (buf_failed(&text))
		return fail(ERR_INVALID, "the name expands beyond all bounds");
	return spf_target_parse(buf_slice(&text), arena, ret_target);
}
