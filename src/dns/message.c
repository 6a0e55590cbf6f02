/* Reading and writing DNS messages.
 *
 * RFC 1035 section 4.1:
 *	message  = header(12) *question *answer *authority *additional
 *	question = name type(2) class(2)
 *	record   = name type(2) class(2) ttl(4) rdlength(2) rdata
 * RFC 6891 section 6.1.2: the OPT pseudo record; RFC 8914 section 2: option 15 in it.
 *
 * Record types other than those of enum dns_type are passed over unread, as are classes other than
 * IN. Signatures are not looked at: validating is libunbound's part.
 */
#include "dns/message.h"

#include "dns/answer_private.h"
#include "dns/name_private.h"
#include "dns/wire_private.h"
#include "text/utf8.h"

#define HEADER_SIZE 12
#define CLASS_IN    1
#define TYPE_SOA    6
#define TYPE_DNAME  39
#define TYPE_OPT    41
#define OPTION_EDE  15

#define FLAG_QR 0x8000u
#define FLAG_TC 0x0200u
#define FLAG_RD 0x0100u
#define FLAG_AD 0x0020u

/* --- names with compression, RFC 1035 section 4.1.4 --- */

/* Reads at c; the labels may go on elsewhere in the packet. Each pointer must lead before the place
 * where the labels read last began, so that no two readings overlap and none goes round. */
static struct status read_labels(struct cursor *c, struct dns_name_builder *builder)
{
	struct cursor elsewhere;
	struct cursor *at = c;
	size_t began = c->at;
	for (size_t n_pointers = 0;;) {
		uint8_t n = cursor_byte(at);
		if (n == 0)
			return cursor_status(at);
		if (n >= 0xc0) {
			size_t target = (size_t)(n & 0x3f) << 8 | cursor_byte(at);
			TRY(cursor_status(at));
			if (target >= began)
				return fail(ERR_SYNTAX, "compression pointer does not lead back");
			if (++n_pointers > DNS_POINTERS_MAX)
				return fail(ERR_LIMIT, "too many compression pointers in a name");
			elsewhere = (struct cursor){.in = c->in, .at = target};
			at = &elsewhere;
			began = target;
			continue;
		}
		if (n > DNS_LABEL_MAX)
			return fail(ERR_SYNTAX, "unknown kind of label");
		struct slice label = cursor_take(at, n);
		for (size_t i = 0; i < label.n; i++)
			TRY(dns_name_builder_byte(builder, label.p[i]));
		TRY(cursor_status(at));
		TRY(dns_name_builder_end_label(builder));
	}
}

static struct status read_name(struct cursor *c, struct arena *arena, struct dns_name *ret_name)
{
	struct dns_name_builder builder;
	dns_name_builder_init(&builder);
	TRY(read_labels(c, &builder));
	return dns_name_builder_finish(&builder, arena, ret_name);
}

/* A name that nobody will look at, with its bounds checked. */
static struct status skip_name(struct cursor *c)
{
	struct dns_name_builder builder;
	dns_name_builder_init(&builder);
	return read_labels(c, &builder);
}

/* --- the data of each type --- */

/* RFC 1035 section 3.3.14: one or more strings, each after its length. */
static struct status read_txt(struct cursor *c, struct arena *arena, struct dns_record *record)
{
	struct slice joined = arena_copy(arena, cursor_rest(c));
	uint8_t *to = (uint8_t *)(uintptr_t)joined.p;
	size_t n_strings = 0, n_joined = 0;
	for (struct cursor count = *c; !cursor_at_end(&count); n_strings++)
		(void)cursor_take(&count, cursor_byte(&count));
	if (n_strings > DNS_TXT_STRINGS_MAX)
		return fail(ERR_LIMIT, "too many strings in a TXT record");
	struct slice *strings = ARENA_ARRAY(arena, n_strings, struct slice);
	if (arena_failed(arena))
		return fail(ERR_LIMIT, "no room for a TXT record");
	for (size_t i = 0; i < n_strings; i++) {
		struct slice s = cursor_take(c, cursor_byte(c));
		TRY(cursor_status(c));
		memcpy(to + n_joined, s.p, s.n);
		strings[i] = slice_of(to + n_joined, s.n);
		n_joined += s.n;
	}
	if (n_strings == 0)
		return fail(ERR_SYNTAX, "TXT record without a string");
	record->txt.strings = strings;
	record->txt.n_strings = n_strings;
	record->txt.joined = slice_of(joined.p, n_joined);
	return ok();
}

/* RFC 8659 section 4.1. */
static struct status read_caa(struct cursor *c, struct arena *arena, struct dns_record *record)
{
	record->caa.flags = cursor_byte(c);
	struct slice tag = cursor_take(c, cursor_byte(c));
	TRY(cursor_status(c));
	if (tag.n == 0)
		return fail(ERR_SYNTAX, "CAA record without a tag");
	record->caa.tag = arena_copy(arena, tag);
	record->caa.value = arena_copy(arena, cursor_rest(c));
	c->at = c->in.n;
	return ok();
}

/* RFC 6698 section 2.1. */
static struct status read_tlsa(struct cursor *c, struct arena *arena, struct dns_record *record)
{
	record->tlsa.usage = cursor_byte(c);
	record->tlsa.selector = cursor_byte(c);
	record->tlsa.matching = cursor_byte(c);
	record->tlsa.bytes = arena_copy(arena, cursor_rest(c));
	if (cursor_ok(c))
		c->at = c->in.n;
	return cursor_status(c);
}

static void read_bytes(struct cursor *c, uint8_t *to, size_t n)
{
	struct slice s = cursor_take(c, n);
	memcpy(to, s.p, s.n);
}

/* c ends with the record's data; pointers in it may lead to all that stands before. */
static struct status read_data(struct cursor *c, struct arena *arena, struct dns_record *record)
{
	switch (record->type) {
	case DNS_TYPE_A:
		read_bytes(c, record->a, sizeof(record->a));
		return cursor_status(c);
	case DNS_TYPE_AAAA:
		read_bytes(c, record->aaaa, sizeof(record->aaaa));
		return cursor_status(c);
	case DNS_TYPE_NS:
	case DNS_TYPE_CNAME:
	case DNS_TYPE_PTR:
		return read_name(c, arena, &record->name);
	case DNS_TYPE_MX:
		record->mx.preference = wire_u16(c);
		return read_name(c, arena, &record->mx.host);
	case DNS_TYPE_SRV:
		record->srv.priority = wire_u16(c);
		record->srv.weight = wire_u16(c);
		record->srv.port = wire_u16(c);
		return read_name(c, arena, &record->srv.target);
	case DNS_TYPE_TXT:
		return read_txt(c, arena, record);
	case DNS_TYPE_TLSA:
		return read_tlsa(c, arena, record);
	case DNS_TYPE_CAA:
		return read_caa(c, arena, record);
	}
	return fail(ERR_UNSUPPORTED, "unknown record type");
}

struct status dns_record_read(struct cursor *c, struct arena *arena, struct dns_record *record)
{
	TRY(read_data(c, arena, record));
	cursor_expect_end(c, "bytes behind a record's data");
	TRY(cursor_status(c));
	return arena_failed(arena) ? fail(ERR_LIMIT, "no room for a record") : ok();
}

/* --- sections --- */

struct rr_head {
	uint16_t type, class;
	uint32_t ttl_s;
	struct cursor data; /* ends with the data */
};

/* Behind the owner's name. */
static struct status read_head(struct cursor *c, struct rr_head *head)
{
	head->type = wire_u16(c);
	head->class = wire_u16(c);
	head->ttl_s = wire_u32(c);
	if (head->ttl_s > INT32_MAX) /* RFC 2181 section 8 */
		head->ttl_s = 0;
	size_t n = wire_u16(c), begins = c->at;
	(void)cursor_take(c, n);
	TRY(cursor_status(c));
	head->data = (struct cursor){.in = slice_sub(c->in, 0, begins + n), .at = begins};
	return ok();
}

/* An owner's name; a set's records share one. */
static struct status read_owner(struct cursor *c, const struct dns_rr *before, struct arena *arena,
                                struct dns_name *ret_name)
{
	struct dns_name_builder builder;
	dns_name_builder_init(&builder);
	TRY(read_labels(c, &builder));
	if (before &&
	    slice_eq(dns_name_slice(before->owner), slice_of(builder.text, builder.n_text))) {
		*ret_name = before->owner;
		return ok();
	}
	return dns_name_builder_finish(&builder, arena, ret_name);
}

/* Where the answer section's records go. */
struct answer_section {
	struct dns_rr *rrs;
	struct dns_name *dnames;
	size_t room, n, n_dnames;
};

static struct status read_answer(struct cursor *c, struct answer_section *section,
                                 struct arena *arena)
{
	struct dns_rr rr = {0};
	struct rr_head head;
	struct cursor owner = *c;
	TRY(skip_name(c));
	TRY(read_head(c, &head));
	if (head.class != CLASS_IN)
		return ok();
	if (head.type == TYPE_DNAME && section->n_dnames < DNS_CHAIN_MAX)
		return read_name(&owner, arena, &section->dnames[section->n_dnames++]);
	if (!dns_type_is_known(head.type))
		return ok();
	if (section->n == section->room)
		return fail(ERR_LIMIT, "too many records");
	rr.record.type = (enum dns_type)head.type;
	rr.record.ttl_s = head.ttl_s;
	TRY(read_owner(&owner, section->n ? &section->rrs[section->n - 1] : NULL, arena,
	               &rr.owner));
	TRY(dns_record_read(&head.data, arena, &rr.record));
	section->rrs[section->n++] = rr;
	return ok();
}

static struct status read_answers(struct cursor *c, size_t n, struct arena *arena,
                                  struct dns_message *message)
{
	struct answer_section section = {0};
	/* Each takes at least 11 bytes, so no more can be there than the packet has room for. */
	section.room = MIN(n, MIN((c->in.n - c->at) / 11, (size_t)DNS_RECORDS_MAX + DNS_CHAIN_MAX));
	section.rrs = ARENA_ARRAY(arena, section.room, struct dns_rr);
	section.dnames = ARENA_ARRAY(arena, DNS_CHAIN_MAX, struct dns_name);
	if (!section.rrs || !section.dnames)
		return fail(ERR_LIMIT, "no room for records");
	for (size_t i = 0; i < n; i++)
		TRY(read_answer(c, &section, arena));
	message->answers = section.rrs;
	message->n_answers = section.n;
	message->dnames = section.dnames;
	message->n_dnames = section.n_dnames;
	return ok();
}

/* RFC 2308 section 5: a negative answer holds for the lesser of the SOA's TTL and its MINIMUM. */
static struct status read_soa(struct rr_head *head, struct dns_message *message)
{
	TRY(skip_name(&head->data));
	TRY(skip_name(&head->data));
	struct slice numbers = cursor_take(&head->data, 16);
	uint32_t minimum = wire_u32(&head->data);
	(void)numbers;
	cursor_expect_end(&head->data, "bytes behind a SOA record");
	TRY(cursor_status(&head->data));
	message->has_negative_ttl = true;
	message->negative_ttl_s = MIN(head->ttl_s, MIN(minimum, (uint32_t)INT32_MAX));
	return ok();
}

static struct status read_authority(struct cursor *c, size_t n, struct dns_message *message)
{
	for (size_t i = 0; i < n; i++) {
		struct rr_head head;
		TRY(skip_name(c));
		TRY(read_head(c, &head));
		if (head.class == CLASS_IN && head.type == TYPE_SOA)
			TRY(read_soa(&head, message));
	}
	return ok();
}

/* Fit for a log: valid UTF-8, no controls, cut. */
static const char *printable(struct slice text, struct arena *arena)
{
	struct slice cut = utf8_cut(text, DNS_EDE_TEXT_MAX);
	if (cut.n > 0 && cut.p[cut.n - 1] == 0) /* RFC 8914 section 2: may end with a NUL */
		cut.n--;
	bool valid = utf8_valid(cut);
	struct slice copy = arena_copy(arena, cut);
	uint8_t *p = (uint8_t *)(uintptr_t)copy.p;
	for (size_t i = 0; i < copy.n; i++)
		if (p[i] < ' ' || p[i] == 0x7f || (!valid && p[i] > 0x7f))
			p[i] = '?';
	const char *string = arena_cstr(arena, copy);
	return string ? string : "";
}

/* RFC 6891 section 6.1.3: the TTL's first byte is the high part of the response code. */
static struct status read_opt(struct cursor *c, uint32_t ttl, struct arena *arena,
                              struct dns_message *message)
{
	message->rcode |= ttl >> 24 << 4;
	while (!cursor_at_end(c)) {
		uint16_t code = wire_u16(c);
		struct slice option = cursor_take(c, wire_u16(c));
		TRY(cursor_status(c));
		if (code != OPTION_EDE || option.n < 2 || message->ede_code != DNS_NO_EDE)
			continue;
		message->ede_code = (uint32_t)option.p[0] << 8 | option.p[1];
		message->ede_text = printable(slice_from(option, 2), arena);
	}
	return ok();
}

static struct status read_additional(struct cursor *c, size_t n, struct arena *arena,
                                     struct dns_message *message)
{
	bool seen = false;
	for (size_t i = 0; i < n; i++) {
		struct rr_head head;
		TRY(skip_name(c));
		struct cursor raw = *c;
		TRY(read_head(c, &head));
		if (head.type != TYPE_OPT)
			continue;
		if (seen) /* RFC 6891 section 6.1.1 */
			return fail(ERR_SYNTAX, "more than one OPT record");
		seen = true;
		(void)cursor_take(&raw, 4);
		TRY(read_opt(&head.data, wire_u32(&raw), arena, message));
	}
	return ok();
}

static struct status read_questions(struct cursor *c, size_t n, struct arena *arena,
                                    struct dns_message *message)
{
	if (n > 1)
		return fail(ERR_SYNTAX, "more than one question");
	if (n == 0)
		return ok();
	message->has_question = true;
	TRY(read_name(c, arena, &message->question));
	message->question_type = wire_u16(c);
	if (wire_u16(c) != CLASS_IN)
		cursor_fail(c, "question of another class");
	return cursor_status(c);
}

struct status dns_message_parse(struct slice packet, struct arena *arena,
                                struct dns_message *ret_message)
{
	struct dns_message message = {.ede_code = DNS_NO_EDE, .ede_text = "", .question = dns_root};
	struct cursor c = cursor_of(packet);
	size_t counts[4];
	if (packet.n > DNS_MESSAGE_MAX)
		return fail(ERR_LIMIT, "message is too large");
	message.id = wire_u16(&c);
	unsigned flags = wire_u16(&c);
	for (size_t i = 0; i < N_ELEMENTS(counts); i++)
		counts[i] = wire_u16(&c);
	TRY(cursor_status(&c));
	message.response = flags & FLAG_QR;
	message.truncated = flags & FLAG_TC;
	message.authentic = flags & FLAG_AD;
	message.rcode = flags & 15;
	TRY(read_questions(&c, counts[0], arena, &message));
	TRY(read_answers(&c, counts[1], arena, &message));
	TRY(read_authority(&c, counts[2], &message));
	TRY(read_additional(&c, counts[3], arena, &message));
	cursor_expect_end(&c, "bytes behind the message");
	TRY(cursor_status(&c));
	if (arena_failed(arena))
		return fail(ERR_LIMIT, "no room for the message");
	*ret_message = message;
	return ok();
}

/* --- queries --- */

void dns_query_write(struct dns_name name, enum dns_type type,
                     const struct dns_query_options *options, struct buf *out)
{
	uint8_t wire[DNS_NAME_WIRE_MAX];
	size_t n;
	dns_name_to_wire(name, wire, &n);
	wire_add_u16(out, options->id);
	wire_add_u16(out, (uint16_t)(FLAG_RD | (options->authentic ? FLAG_AD : 0)));
	wire_add_u16(out, 1);
	wire_add_u16(out, 0);
	wire_add_u16(out, 0);
	wire_add_u16(out, 1);
	buf_add(out, slice_of(wire, n));
	wire_add_u16(out, (uint16_t)type);
	wire_add_u16(out, CLASS_IN);
	buf_add_byte(out, 0); /* OPT: the root's */
	wire_add_u16(out, TYPE_OPT);
	wire_add_u16(out, DNS_UDP_SIZE);
	wire_add_u32(out, 0);
	wire_add_u16(out, 0);
}

/* --- answers --- */

/* Codes for which another try may help: SERVFAIL alone; RFC 1035 section 4.1.1. */
static enum dns_failure failure_of_rcode(uint32_t rcode)
{
	return rcode == 2 ? DNS_FAILURE_TEMPORARY : DNS_FAILURE_OTHER;
}

static const struct dns_record *find_cname(const struct dns_message *message, struct dns_name owner)
{
	for (size_t i = 0; i < message->n_answers; i++)
		if (message->answers[i].record.type == DNS_TYPE_CNAME &&
		    dns_name_eq(message->answers[i].owner, owner))
			return &message->answers[i].record;
	return NULL;
}

static struct status follow_chain(const struct dns_message *message, struct dns_answer *answer,
                                  struct arena *arena)
{
	struct dns_step *chain = ARENA_ARRAY(arena, DNS_CHAIN_MAX, struct dns_step);
	if (!chain)
		return fail(ERR_LIMIT, "no room for an answer");
	answer->chain = chain;
	const struct dns_record *cname = NULL;
	while (answer->type != DNS_TYPE_CNAME &&
	       (cname = find_cname(message, answer->canonical_name)) != NULL) {
		if (answer->n_chain == DNS_CHAIN_MAX)
			return fail(ERR_INVALID, "aliases (CNAME) go on and on or in a circle");
		chain[answer->n_chain++] = (struct dns_step){answer->canonical_name, cname->name,
		                                             answer->security, cname->ttl_s};
		answer->ttl_s = MIN(answer->ttl_s, cname->ttl_s);
		answer->canonical_name = cname->name;
	}
	return ok();
}

static struct status take_records(const struct dns_message *message, struct dns_answer *answer,
                                  struct arena *arena)
{
	struct dns_record *records = ARENA_ARRAY(arena, message->n_answers, struct dns_record);
	if (!records)
		return fail(ERR_LIMIT, "no room for an answer");
	for (size_t i = 0; i < message->n_answers; i++) {
		const struct dns_rr *rr = &message->answers[i];
		if (rr->record.type != answer->type ||
		    !dns_name_eq(rr->owner, answer->canonical_name))
			continue;
		if (answer->n_records == DNS_RECORDS_MAX)
			return fail(ERR_INVALID, "answer has too many records");
		records[answer->n_records++] = rr->record;
		answer->ttl_s = MIN(answer->ttl_s, rr->record.ttl_s);
	}
	answer->records = records;
	return ok();
}

static struct dns_answer *failed(const struct dns_answer *like, enum dns_failure failure,
                                 const char *why, struct arena *arena)
{
	struct dns_answer *answer = dns_answer_failed(like->name, like->type, failure, why, arena);
	if (!answer)
		return NULL;
	answer->rcode = like->rcode;
	answer->ede_code = like->ede_code;
	answer->ede_text = like->ede_text;
	return answer;
}

static struct dns_answer *failed_rcode(const struct dns_answer *like, struct arena *arena)
{
	const char *why =
	        arena_printf(arena, "server answered %s%s%s", dns_rcode_name(like->rcode),
	                     like->ede_code == DNS_NO_EDE ? "" : ": ",
	                     like->ede_code == DNS_NO_EDE ? "" : dns_ede_name(like->ede_code));
	return why ? failed(like, failure_of_rcode(like->rcode), why, arena) : NULL;
}

static void finish(const struct dns_message *message, struct dns_answer *answer)
{
	if (answer->n_records > 0) {
		answer->outcome = DNS_FOUND;
		answer->rcode = 0;
		return;
	}
	answer->outcome = message->rcode == 3 ? DNS_NXDOMAIN : DNS_NODATA;
	answer->denial_proven = answer->final_security == DNS_SECURE;
	answer->ttl_s = message->has_negative_ttl ? MIN(answer->ttl_s, message->negative_ttl_s) : 0;
}

struct dns_answer *dns_answer_from_message(const struct dns_message *message, struct dns_name name,
                                           enum dns_type type, enum dns_security security,
                                           struct arena *arena)
{
	struct dns_answer *answer = ARENA_NEW(arena, struct dns_answer);
	if (!answer)
		return NULL;
	*answer = (struct dns_answer){
	        .name = name,
	        .canonical_name = name,
	        .type = type,
	        .security = security,
	        .final_security = security,
	        .ttl_s = INT32_MAX,
	        .rcode = message->rcode,
	        .ede_code = message->ede_code,
	        .ede_text = message->ede_text,
	        .why = "",
	};
	if (message->rcode != 0 && message->rcode != 3)
		return failed_rcode(answer, arena);
	struct status status = follow_chain(message, answer, arena);
	if (is_ok(status))
		status = take_records(message, answer, arena);
	if (status.code == ERR_INVALID)
		return failed(answer, DNS_FAILURE_OTHER, status.why, arena);
	if (!is_ok(status))
		return NULL;
	finish(message, answer);
	return answer;
}

struct status dns_answer_set_trust(struct dns_answer *answer, const enum dns_security *steps,
                                   enum dns_security final_security, struct arena *arena)
{
	struct dns_step *chain = ARENA_ARRAY(arena, answer->n_chain, struct dns_step);
	if (!chain)
		return fail(ERR_LIMIT, "no room for an answer");
	answer->security = answer->final_security = final_security;
	for (size_t i = 0; i < answer->n_chain; i++) {
		chain[i] = answer->chain[i];
		chain[i].security = steps[i];
		answer->security = dns_security_min(answer->security, steps[i]);
	}
	answer->chain = chain;
	answer->denial_proven =
	        (answer->outcome == DNS_NODATA || answer->outcome == DNS_NXDOMAIN) &&
	        final_security == DNS_SECURE;
	return ok();
}
