/* The author domain (RFC 5322 section 3.6.2, RFC 6854, RFC 9989 section 5.3.1).
 *
 * The one address parser reads From. It is lenient, as whatever lists a mailbox must be, and other
 * programs are lenient in other ways. Therefore a second look at the tokens: each '@' outside of
 * quoted strings and comments may begin somebody's idea of the domain; when any of them names
 * another domain than the addresses do, the field is ambiguous: ceo@bank.example <x@evil.example>.
 *
 * Members of groups count as mailboxes (RFC 6854 section 2.1). Local parts are not looked at.
 * Limits: those of message/part.h, MAILAUTH_AUTHOR_DOMAINS_MAX.
 */
#include "mailauth/author.h"

#include "message/address.h"
#include "message/header.h"
#include "message/lex.h"
#include "message/part.h"
#include "message/word.h"
#include "text/domain.h"

#define NAME_MAX_BYTES ((size_t)64 * 1024) /* of a decoded display name that are looked at */

#define X(code, name, sentence) [MAILAUTH_AUTHOR_##code] = {name, sentence},
static const struct {
	const char *name, *sentence;
} kinds[] = {MAILAUTH_AUTHOR_LIST(X)};
#undef X

const char *mailauth_author_kind_name(enum mailauth_author_kind kind)
{
	return (size_t)kind < N_ELEMENTS(kinds) ? kinds[kind].name : "";
}

const char *mailauth_author_why(enum mailauth_author_kind kind)
{
	return (size_t)kind < N_ELEMENTS(kinds) ? kinds[kind].sentence : "";
}

/* What was found out on the way, before it is decided. */
struct finder {
	struct arena *arena;
	struct mailauth_author *author;
	struct dns_name *domains; /* author->domains */
	struct message_address_list list;
	bool crlf, bare_lf;
	bool control, malformed, no_domain, literal, bad_domain, ambiguous, limit;
};

/* --- domains --- */

static bool is_plain_domain(struct slice text)
{
	for (size_t i = 0; i < text.n; i++)
		if (!ascii_is_alnum(text.p[i]) && text.p[i] != '-' && text.p[i] != '_' &&
		    text.p[i] != '.')
			return false;
	return true;
}

static bool is_number(struct slice text)
{
	uint64_t number;
	return slice_to_u64(slice_from(text, slice_rindex(text, '.') + 1), UINT64_MAX, &number);
}

/* A-labels are taken as they are, whatever they decode to: the DNS is asked for them, not for what
 * a reader would see. U-labels become A-labels (RFC 9989 section 5.3.1). */
static bool parse_domain(struct finder *f, struct slice text, struct dns_name *ret_name)
{
	if (text.n == 0 || text.p[text.n - 1] == '.' || is_number(text))
		return false;
	if (slice_is_ascii(text) && !is_plain_domain(text))
		return false;
	return is_ok(dns_name_parse(text, f->arena, ret_name));
}

static bool is_known(const struct finder *f, struct dns_name name)
{
	for (size_t i = 0; i < f->author->n_domains; i++)
		if (dns_name_eq(f->domains[i], name))
			return true;
	return false;
}

/* False when the domain was there already. */
static bool add_domain(struct finder *f, struct dns_name name)
{
	struct mailauth_author *author = f->author;
	if (is_known(f, name))
		return false;
	if (author->n_domains == MAILAUTH_AUTHOR_DOMAINS_MAX)
		author->more_domains = true;
	else
		f->domains[author->n_domains++] = name;
	return true;
}

/* --- mailboxes --- */

static void take_mailbox(struct finder *f, const struct message_address *address)
{
	struct dns_name name;
	f->author->n_mailboxes++;
	if (address->domain.n == 0)
		f->no_domain = true;
	else if (address->domain.p[0] == '[')
		f->literal = true;
	else if (!parse_domain(f, address->domain, &name))
		f->bad_domain = true;
	else
		add_domain(f, name);
}

static void take_mailboxes(struct finder *f, size_t first)
{
	for (size_t i = first; i < f->list.n; i++) {
		const struct message_address *address = &f->list.v[i];
		if (address->kind == MESSAGE_ADDRESS_MAILBOX)
			take_mailbox(f, address);
		else if (address->kind == MESSAGE_ADDRESS_INVALID)
			f->malformed = true;
	}
}

/* --- other readings --- */

/* What follows an '@': words and dots, as any program would take them. Leaves the lexer behind it;
 * gives the token that ended it. */
static enum message_token take_reading(struct message_lex *lex, struct buf *domain)
{
	enum message_token kind;
	bool after_word = false;
	buf_reset(domain);
	for (;;) {
		kind = message_lex_next(lex);
		bool word = kind == MESSAGE_TOKEN_ATOM || kind == MESSAGE_TOKEN_LITERAL;
		bool dot = kind == MESSAGE_TOKEN_SPECIAL && lex->token.p[0] == '.';
		if (!dot && (!word || after_word))
			return kind;
		after_word = word;
		buf_add(domain, lex->token);
	}
}

/* The comment that was skipped last has no end: what it hides is a matter of taste. */
static bool is_open_comment(const struct message_lex *lex)
{
	return lex->has_comment && lex->comment.p + lex->comment.n == lex->in.p + lex->in.n;
}

static void look_for_readings(struct finder *f, struct slice value)
{
	struct message_lex lex = message_lex_of(value);
	struct dns_name name;
	struct buf domain;
	buf_init(&domain, value.n + 1);
	enum message_token kind = message_lex_next(&lex);
	while (kind != MESSAGE_TOKEN_END) {
		if (kind != MESSAGE_TOKEN_SPECIAL || lex.token.p[0] != '@') {
			kind = message_lex_next(&lex);
			continue;
		}
		kind = take_reading(&lex, &domain);
		if (parse_domain(f, buf_slice(&domain), &name))
			f->ambiguous |= !f->author->more_domains && add_domain(f, name);
	}
	f->malformed |= is_open_comment(&lex);
	buf_done(&domain);
}

/* --- addresses in display names --- */

static bool is_in_domain(uint8_t c)
{
	return ascii_is_alnum(c) || c == '-' || c == '.' || c >= 0x80;
}

/* The domain behind the '@' at text.p[at], when there is text before it and a dot within. */
static struct slice shown_domain(struct slice text, size_t at)
{
	size_t end = at + 1;
	while (end < text.n && is_in_domain(text.p[end]))
		end++;
	while (end > at + 1 && text.p[end - 1] == '.')
		end--;
	struct slice domain = slice_sub(text, at + 1, end - at - 1);
	bool address = at > 0 && text.p[at - 1] > ' ' && slice_index(domain, '.') != SIZE_MAX;
	return address ? domain : slice_empty();
}

static void look_into_name(struct finder *f, struct slice name, struct dns_name domain)
{
	struct buf text;
	struct dns_name shown;
	buf_init(&text, NAME_MAX_BYTES);
	message_words_decode(name, &text);
	struct slice decoded = buf_slice(&text);
	for (size_t i = 0; i < decoded.n && !*f->author->name_domain; i++) {
		if (decoded.p[i] != '@' || !parse_domain(f, shown_domain(decoded, i), &shown))
			continue;
		if (!dns_name_is_within(shown, domain) && !dns_name_is_within(domain, shown))
			f->author->name_domain = shown.text;
	}
	buf_done(&text);
}

/* Of groups, too: their names are shown like those of mailboxes. */
static void look_into_names(struct finder *f)
{
	for (size_t i = 0; i < f->list.n && !*f->author->name_domain; i++) {
		const struct message_address *address = &f->list.v[i];
		if (address->kind == MESSAGE_ADDRESS_GROUP_START)
			look_into_name(f, address->localpart, f->author->domain);
		else if (address->has_name)
			look_into_name(f, address->name, f->author->domain);
	}
}

/* --- the header --- */

/* Bare CRs, and the line ends that occur: a header that has both kinds is cut in two ways. */
static void look_at_line_ends(struct finder *f, struct slice raw)
{
	for (size_t i = 0; i < raw.n; i++) {
		bool lf = raw.p[i] == '\n', after_cr = i > 0 && raw.p[i - 1] == '\r';
		f->crlf |= lf && after_cr;
		f->bare_lf |= lf && !after_cr;
		f->control |= raw.p[i] == '\r' && (i + 1 == raw.n || raw.p[i + 1] != '\n');
	}
}

static size_t skip_low(struct slice s, size_t at)
{
	while (at < s.n && (s.p[at] <= ' ' || s.p[at] >= 0x7f))
		at++;
	return at;
}

/* A line that is no field here, but a From field to a program that drops blanks or controls before
 * and in the name: " From: x@y" at the header's start, "From\1: x@y". */
static bool is_like_from(const struct message_field *field)
{
	static const uint8_t letters[] = "from";
	size_t at = 0;
	if (!field->bad)
		return false;
	for (size_t i = 0; i < 4; i++, at++) {
		at = skip_low(field->value, at);
		if (at >= field->value.n || ascii_lower(field->value.p[at]) != letters[i])
			return false;
	}
	at = skip_low(field->value, at);
	return at < field->value.n && field->value.p[at] == ':';
}

static void take_field(struct finder *f, const struct message_field *field)
{
	look_at_line_ends(f, field->raw);
	f->malformed |= is_like_from(field);
	if (!slice_ieq_str(field->name, "From"))
		return;
	f->author->n_fields++;
	f->control |= slice_index(field->value, 0) != SIZE_MAX;
	if (field->value.n > MESSAGE_FIELD_SIZE_MAX) {
		f->limit = true;
		return;
	}
	size_t first = f->list.n;
	message_addresses_add(field->value, f->arena, &f->list);
	take_mailboxes(f, first);
	look_for_readings(f, field->value);
}

static void take_header(struct finder *f, struct slice header)
{
	struct message_headers headers = message_headers_of(header);
	struct message_field field;
	while (message_headers_next(&headers, &field))
		take_field(f, &field);
	look_at_line_ends(f, slice_sub(header, headers.at, 2));
	f->control |= f->crlf && f->bare_lf;
	f->limit |= !headers.ended || f->list.truncated || arena_failed(f->arena);
}

/* In the order of what is worse: from what may hide more down to what merely names too many. */
static enum mailauth_author_kind decide(const struct finder *f)
{
	const struct mailauth_author *author = f->author;
	if (f->limit)
		return MAILAUTH_AUTHOR_LIMIT;
	if (f->control)
		return MAILAUTH_AUTHOR_CONTROL;
	if (author->n_fields > 1)
		return MAILAUTH_AUTHOR_SEVERAL_FIELDS;
	if (f->malformed)
		return MAILAUTH_AUTHOR_MALFORMED;
	if (author->n_fields == 0)
		return MAILAUTH_AUTHOR_NO_FIELD;
	if (author->n_mailboxes == 0)
		return MAILAUTH_AUTHOR_EMPTY;
	if (f->no_domain)
		return MAILAUTH_AUTHOR_NO_DOMAIN;
	if (f->literal)
		return MAILAUTH_AUTHOR_LITERAL;
	if (f->bad_domain)
		return MAILAUTH_AUTHOR_BAD_DOMAIN;
	if (f->ambiguous)
		return MAILAUTH_AUTHOR_AMBIGUOUS;
	return author->n_domains == 1 ? MAILAUTH_AUTHOR_FOUND : MAILAUTH_AUTHOR_SEVERAL_DOMAINS;
}

void mailauth_author_find(struct slice header, struct arena *arena,
                          struct mailauth_author *ret_author)
{
	struct finder f = {.arena = arena, .author = ret_author};
	*ret_author = (struct mailauth_author){
	        .kind = MAILAUTH_AUTHOR_LIMIT, .domain = dns_root, .name_domain = ""};
	f.domains = ARENA_ARRAY(arena, MAILAUTH_AUTHOR_DOMAINS_MAX, struct dns_name);
	if (!f.domains)
		return;
	ret_author->domains = f.domains;
	take_header(&f, header);
	ret_author->kind = decide(&f);
	if (ret_author->kind == MAILAUTH_AUTHOR_FOUND) {
		ret_author->domain = f.domains[0];
		look_into_names(&f);
	}
	if (arena_failed(arena)) {
		ret_author->kind = MAILAUTH_AUTHOR_LIMIT;
		ret_author->domain = dns_root;
	}
}
