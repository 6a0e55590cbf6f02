/* Address lists:
 *
 *   address-list = (address *("," address)) / obs-addr-list           RFC 5322 sections 3.4, 4.4
 *   address      = mailbox / group
 *   mailbox      = [display-name] angle-addr / addr-spec
 *   angle-addr   = [CFWS] "<" [obs-route] addr-spec ">" [CFWS]
 *   group        = display-name ":" [group-list] ";" [CFWS]
 *   addr-spec    = local-part "@" domain
 *
 * One pass over the tokens finds the spans of an address (words, domain, comment); a second writes
 * their meaning. Spans do not overlap, so all text of a field fits in one block of the value's
 * size. There is no backtracking and no recursion; groups do not nest (a second ':' is text).
 *
 * Not done: no check of domain names or lengths, no decoding of encoded words.
 * Limits: MESSAGE_ADDRESSES_MAX addresses, group marks counted.
 */
#include "message/address.h"

#include "message/lex.h"
#include "message/part.h"

struct span {
	size_t start, end; /* of the value; start == end: nothing there */
};

/* What stands before a separator, an '@', a '<' or a ':'. */
struct words {
	struct span span;
	size_t n;     /* words */
	bool loose;   /* words separated by blanks only: a phrase, no local part */
	bool quoted;  /* the only word is a quoted string */
	bool strange; /* holds what belongs neither in a phrase nor in a local part */
};

struct parser {
	struct message_lex lex;
	struct arena *arena;
	struct message_address_list *list;
	uint8_t *out; /* room for the text that is still to come */
	bool in_group;

	enum message_token kind; /* the token under way; its text is lex.token */
	uint8_t special;         /* its byte when kind is SPECIAL, else 0 */
	size_t start;            /* where it starts */
	size_t before;           /* end of the token before it */
};

static void advance(struct parser *p)
{
	p->before = p->lex.at;
	p->kind = message_lex_next(&p->lex);
	p->start = p->lex.at - p->lex.token.n;
	p->special = p->kind == MESSAGE_TOKEN_SPECIAL ? p->lex.token.p[0] : 0;
}

static struct slice span_of(const struct parser *p, struct span span)
{
	return slice_sub(p->lex.in, span.start, span.end - span.start);
}

/* ------------------------------------------------------------------ writing the meaning of spans
 */

static size_t write_token(struct slice token, enum message_token kind, uint8_t *out)
{
	if (kind == MESSAGE_TOKEN_QUOTED)
		return message_lex_unescape(slice_sub(token, 1, token.n - 2), out);
	if (kind == MESSAGE_TOKEN_LITERAL)
		return message_lex_unescape(token, out);
	memcpy(out, token.p, token.n);
	return token.n;
}

/* Tokens of a span without comments. A phrase has one space between words: where blanks stood, and
 * at the borders of quoted strings. Local parts and domains have none. */
static struct slice write_span(struct parser *p, struct span span, bool phrase)
{
	struct message_lex lex = message_lex_of(span_of(p, span));
	enum message_token kind, last = MESSAGE_TOKEN_END;
	uint8_t *start = p->out;
	while ((kind = message_lex_next(&lex)) != MESSAGE_TOKEN_END) {
		bool border = kind == MESSAGE_TOKEN_QUOTED || last == MESSAGE_TOKEN_QUOTED;
		if (phrase && last != MESSAGE_TOKEN_END && (lex.gap || border))
			*p->out++ = ' ';
		p->out += write_token(lex.token, kind, p->out);
		last = kind;
	}
	return slice_of(start, (size_t)(p->out - start));
}

static struct slice write_inside(struct parser *p, struct slice inside)
{
	uint8_t *start = p->out;
	p->out += message_lex_unescape(slice_trim(inside), p->out);
	return slice_trim(slice_of(start, (size_t)(p->out - start)));
}

/* Text as it came, in one line. */
static struct slice write_raw(struct parser *p, struct span span)
{
	struct slice raw = slice_trim(span_of(p, span));
	uint8_t *start = p->out;
	for (size_t i = 0; i < raw.n; i++)
		if (raw.p[i] != '\r' && raw.p[i] != '\n')
			*p->out++ = raw.p[i];
	return slice_of(start, (size_t)(p->out - start));
}

/* ------------------------------------------------------------------------------------- the list */

static bool grow(struct parser *p)
{
	size_t capacity = MIN(MAX(p->list->capacity * 2, 2), MESSAGE_ADDRESSES_MAX);
	struct message_address *v = ARENA_ARRAY(p->arena, capacity, struct message_address);
	if (!v)
		return false;
	if (p->list->n > 0)
		memcpy(v, p->list->v, p->list->n * sizeof(*v));
	p->list->v = v;
	p->list->capacity = capacity;
	return true;
}

/* Space is kept for the end of a group that is open, so that marks pair up. */
static bool add(struct parser *p, struct message_address address)
{
	bool closing = address.kind == MESSAGE_ADDRESS_GROUP_END;
	bool opening = address.kind == MESSAGE_ADDRESS_GROUP_START;
	size_t reserved = (p->in_group && !closing) || opening ? 1 : 0;
	bool fits = p->list->n + reserved < MESSAGE_ADDRESSES_MAX;
	while (fits && p->list->n + reserved >= p->list->capacity)
		fits = grow(p);
	if (!fits) {
		p->list->truncated = true;
		return false;
	}
	p->list->v[p->list->n++] = address;
	return true;
}

static const struct message_address blank_address = {
        .name = SLICE(""), .route = SLICE(""), .localpart = SLICE(""), .domain = SLICE("")};

static void set_name(struct message_address *address, struct slice name)
{
	address->has_name = name.n > 0;
	address->name = name;
}

/* ------------------------------------------------------------------------------------- grammar */

static bool at_end_of_address(const struct parser *p)
{
	return p->kind == MESSAGE_TOKEN_END || p->special == ',' || p->special == ';';
}

static bool is_word(const struct parser *p)
{
	return p->kind == MESSAGE_TOKEN_ATOM || p->kind == MESSAGE_TOKEN_QUOTED;
}

/* Specials that mean something after words. */
static bool ends_words(const struct parser *p)
{
	return at_end_of_address(p) || p->special == '@' || p->special == '<' ||
	       (p->special == ':' && !p->in_group);
}

/* phrase / local-part: *(word / "." / CFWS), up to what tells which of the two it was. */
static struct words take_words(struct parser *p)
{
	struct words words = {.span = {p->start, p->start}};
	bool last_was_word = false;
	while (!ends_words(p)) {
		bool word = is_word(p);
		words.strange |= !word && p->special != '.';
		words.loose |= word && last_was_word;
		words.n += word;
		words.quoted = p->kind == MESSAGE_TOKEN_QUOTED && words.n == 1;
		last_was_word = word;
		words.span.end = p->lex.at;
		advance(p);
	}
	return words;
}

/* domain = dot-atom / domain-literal / obs-domain; blanks around dots belong to it, blanks alone
 * end it. */
static struct span take_domain(struct parser *p)
{
	struct span span = {p->start, p->start};
	bool after_word = false;
	for (;;) {
		bool word = p->kind == MESSAGE_TOKEN_ATOM || p->kind == MESSAGE_TOKEN_LITERAL;
		if (!(word && !after_word) && p->special != '.')
			return span;
		after_word = word;
		span.end = p->lex.at;
		advance(p);
	}
}

/* Everything up to the next separator, from `start`: text that is no address. */
static struct span take_garbage(struct parser *p, size_t start)
{
	struct span span = {start, MAX(start, p->before)};
	while (!at_end_of_address(p)) {
		span.end = p->lex.at;
		advance(p);
	}
	return span;
}

static void add_invalid(struct parser *p, struct span span, struct slice name)
{
	struct message_address address = blank_address;
	address.kind = MESSAGE_ADDRESS_INVALID;
	set_name(&address, name);
	address.localpart = write_raw(p, span);
	if (address.localpart.n > 0 || address.has_name)
		add(p, address);
}

/* obs-route = obs-domain-list ":"; at its first '@'. Without the ':' there is no route, and the
 * text is read as an address. */
static bool take_route(struct parser *p, struct span *ret_route)
{
	struct span span = {p->start, p->start};
	while (p->special == '@' || p->special == ',') {
		bool at = p->special == '@';
		advance(p);
		if (at)
			span.end = take_domain(p).end;
	}
	*ret_route = span;
	return p->special == ':';
}

/* Where an angle-addr holds no addr-spec: up to its '>' or the end of the address. */
static struct span take_angle_garbage(struct parser *p, size_t start)
{
	struct span span = {start, MAX(start, p->before)};
	while (!at_end_of_address(p) && p->special != '>') {
		span.end = p->lex.at;
		advance(p);
	}
	return span;
}

/* The inside of an angle-addr, after "<". */
static void angle_addr(struct parser *p, struct slice name)
{
	struct message_address address = blank_address;
	set_name(&address, name);
	while (p->special == '<')
		advance(p);
	size_t start = p->start;
	struct span route = {start, start};
	if (p->special == '@' && take_route(p, &route)) {
		advance(p);
		address.has_route = true;
	}
	struct span local = {p->start, p->start}, domain = local;
	bool strange = false, last_was_word = false;
	for (; is_word(p) || p->special == '.'; advance(p)) {
		strange |= is_word(p) && last_was_word;
		last_was_word = is_word(p);
		local.end = p->lex.at;
	}
	if (p->special == '@') {
		advance(p);
		domain = take_domain(p);
	}
	if (strange || (p->special != '>' && !at_end_of_address(p)) ||
	    (route.end > route.start && !address.has_route)) {
		add_invalid(p, take_angle_garbage(p, start), name);
	} else {
		address.route = address.has_route ? write_span(p, route, false) : SLICE("");
		address.localpart = write_span(p, local, false);
		address.domain = write_span(p, domain, false);
		add(p, address);
	}
	while (p->special == '>')
		advance(p);
}

/* After the '@' of an addr-spec whose local part was `words`. */
static void addr_spec(struct parser *p, const struct words *words)
{
	advance(p);
	struct span domain = take_domain(p);
	if (p->special == '<') {
		/* "a@b <c@d>": a display name that ought to have been quoted. */
		struct span name = {words->span.start, MAX(domain.end, words->span.end)};
		struct slice text = write_raw(p, name);
		advance(p);
		angle_addr(p, text);
		return;
	}
	if (words->n == 0 || words->loose || words->strange || p->special == '@') {
		add_invalid(p, take_garbage(p, words->span.start), slice_empty());
		return;
	}
	struct message_address address = blank_address;
	address.localpart = write_span(p, words->span, false);
	address.domain = write_span(p, domain, false);
	if (p->lex.has_comment)
		set_name(&address, write_inside(p, p->lex.comment));
	add(p, address);
}

/* Words with neither '@' nor '<' after them. */
static void bare_words(struct parser *p, const struct words *words)
{
	if (words->n != 1 || words->strange || words->quoted) {
		add_invalid(p, words->span, slice_empty());
		return;
	}
	struct message_address address = blank_address;
	address.localpart = write_span(p, words->span, false);
	if (p->lex.has_comment)
		set_name(&address, write_inside(p, p->lex.comment));
	add(p, address);
}

static void group_start(struct parser *p, const struct words *words)
{
	struct message_address address = blank_address;
	address.kind = MESSAGE_ADDRESS_GROUP_START;
	address.localpart = write_span(p, words->span, true);
	advance(p);
	p->in_group = add(p, address);
}

static void group_end(struct parser *p)
{
	if (!p->in_group)
		return;
	struct message_address address = blank_address;
	address.kind = MESSAGE_ADDRESS_GROUP_END;
	add(p, address);
	p->in_group = false;
}

/* One address. after_mailbox: no separator stood before it; then text without an address in it is
 * dropped ("<a@b> text"). */
static void one_address(struct parser *p, bool after_mailbox)
{
	p->lex.has_comment = false;
	struct words words = take_words(p);
	if (p->special == '<') {
		advance(p);
		angle_addr(p, write_span(p, words.span, true));
	} else if (p->special == '@') {
		addr_spec(p, &words);
	} else if (p->special == ':') {
		group_start(p, &words);
	} else if (!after_mailbox) {
		bare_words(p, &words);
	}
}

static void address_list(struct parser *p)
{
	bool after_mailbox = false;
	advance(p);
	while (p->kind != MESSAGE_TOKEN_END && !p->list->truncated) {
		if (p->special == ',' || p->special == ';') {
			if (p->special == ';')
				group_end(p);
			after_mailbox = false;
			advance(p);
			continue;
		}
		size_t n_groups_open = p->in_group;
		one_address(p, after_mailbox);
		after_mailbox = p->in_group == n_groups_open;
	}
	group_end(p);
}

void message_addresses_add(struct slice value, struct arena *arena,
                           struct message_address_list *list)
{
	struct parser p = {.lex = message_lex_of(value), .arena = arena, .list = list};
	list->present = true;
	/* Names, local parts and domains are written from spans that do not overlap, and a space at
	 * the border of a quoted string costs less than its quotes. */
	p.out = arena_alloc(arena, value.n + 1);
	if (p.out)
		address_list(&p);
	if (arena_failed(arena))
		list->truncated = true;
}

static bool is_dot_atom(struct slice s)
{
	bool dot = true;
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == '.' ? dot : !message_is_atext(s.p[i]))
			return false;
		dot = s.p[i] == '.';
	}
	return !dot;
}

static void print_quoted(struct slice s, struct buf *out)
{
	buf_add_byte(out, '"');
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == '"' || s.p[i] == '\\')
			buf_add_byte(out, '\\');
		buf_add_byte(out, s.p[i]);
	}
	buf_add_byte(out, '"');
}

static bool is_phrase(struct slice s)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] == ' ' ? i > 0 && s.p[i - 1] == ' ' : !message_is_atext(s.p[i]))
			return false;
	return s.n > 0 && s.p[0] != ' ' && s.p[s.n - 1] != ' ';
}

bool message_address_print(const struct message_address *address, struct buf *out)
{
	if (slice_has_control(address->name) || slice_has_control(address->localpart) ||
	    slice_has_control(address->domain))
		return false;
	if (address->has_name && is_phrase(address->name))
		buf_add(out, address->name);
	else if (address->has_name)
		print_quoted(address->name, out);
	buf_add_str(out, address->has_name ? " <" : "<");
	if (is_dot_atom(address->localpart) || address->localpart.n + address->domain.n == 0)
		buf_add(out, address->localpart);
	else
		print_quoted(address->localpart, out);
	if (address->domain.n > 0)
		buf_add_byte(out, '@');
	buf_add(out, address->domain);
	buf_add_byte(out, '>');
	return true;
}

void message_addresses_parse(struct slice value, struct arena *arena,
                             struct message_address_list *ret_list)
{
	*ret_list = (struct message_address_list){0};
	message_addresses_add(value, arena, ret_list);
}
