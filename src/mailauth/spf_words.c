/* What came out of a check, in words: for people, for headers' makers, for SMTP's answers.
 *
 * Everything is printable ASCII: names are canonical (dns/name.h), terms have passed the parser or
 * are cleaned here.
 */
#include "mailauth/spf_private.h"

#include <arpa/inet.h>
#include <stdarg.h>

#define TERM_SHOWN  200u /* octets of a term in words */
#define PROBLEM_MAX 600u /* octets of a problem */
#define CONTINUED   "..."

const char *spf_identity_name(enum spf_identity identity)
{
	return identity == SPF_HELO ? "helo" : "mailfrom";
}

const char *spf_printable(struct slice text, size_t max, struct arena *arena, const char *fallback)
{
	bool cut = text.n > max;
	size_t n = cut ? max : text.n;
	char *copy = arena_alloc(arena, n + sizeof(CONTINUED));
	if (!copy)
		return fallback;
	for (size_t i = 0; i < n; i++)
		copy[i] = ascii_is_print(text.p[i]) ? (char)text.p[i] : '?';
	if (cut)
		memcpy(copy + n, CONTINUED, sizeof(CONTINUED));
	return copy;
}

/* --- problems --- */

enum spf_match spf_fail(struct spf_check *check, enum mailauth_result code,
                        enum mailauth_result *ret_result, const char *format, ...)
{
	char text[PROBLEM_MAX];
	va_list args;
	*ret_result = code;
	if (check->result->problem[0])
		return SPF_FAILED;
	spf_note_path(check, check->n_frames > 0 ? check->frames[check->n_frames - 1].term : NULL);
	check->result->mechanism = check->result->matched_in = "";
	va_start(args, format);
	(void)vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	check->result->problem = spf_printable(slice_str(text), PROBLEM_MAX, check->arena,
	                                       "the memory for one check is used up");
	return SPF_FAILED;
}

enum spf_match spf_fail_memory(struct spf_check *check, enum mailauth_result *ret_result)
{
	return spf_fail(check, MAILAUTH_TEMPERROR, ret_result, "%s",
	                "the memory for one check is used up");
}

/* --- the path --- */

static const char *show_term(const struct spf_check *check, const struct spf_term *term)
{
	return term ? spf_printable(term->text, TERM_SHOWN, check->arena, "") : "";
}

void spf_note_path(struct spf_check *check, const struct spf_term *term)
{
	struct spf_result *result = check->result;
	size_t n = check->n_frames;
	struct spf_step *path = n > 0 ? ARENA_ARRAY(check->arena, n, struct spf_step) : NULL;
	if (!path)
		return;
	for (size_t i = 0; i < n; i++) {
		const struct spf_frame *frame = &check->frames[i];
		path[i].domain = frame->target.name.text;
		path[i].directive = show_term(check, i == n - 1 ? term : frame->term);
	}
	result->path = path;
	result->n_path = n;
	const char *directive = path[n - 1].directive;
	bool has_sign = directive[0] && strchr("+-~?", directive[0]);
	result->mechanism = term ? directive + has_sign : "default";
	result->matched_in = path[n - 1].domain;
}

/* --- sentences --- */

static const char *client_text(const struct spf_check *check, char text[INET6_ADDRSTRLEN])
{
	struct slice ip = check->values.client_ip;
	if (ip.n == 0 || !inet_ntop(ip.n == 4 ? AF_INET : AF_INET6, ip.p, text, INET6_ADDRSTRLEN))
		return "the client";
	return text;
}

/* "ip4:192.0.2.0/24 in the record of b.example, by include:b.example of a.example" */
static void add_path(const struct spf_result *result, struct buf *out)
{
	if (result->n_path == 0)
		return;
	buf_printf(out, "%s in the record of %s",
	           result->mechanism[0] ? result->mechanism : "a term", result->matched_in);
	for (size_t i = result->n_path - 1; i > 0; i--)
		buf_printf(out, ", by %s of %s", result->path[i - 1].directive,
		           result->path[i - 1].domain);
}

/* The result of a record, decided by a mechanism or by its end. */
static void add_decision(const struct spf_check *check, struct buf *out)
{
	const struct spf_result *result = check->result;
	char ip[INET6_ADDRSTRLEN];
	const char *client = client_text(check, ip), *domain = result->domain;
	if (result->result == MAILAUTH_PASS)
		buf_printf(out, "%s lets %s send: ", domain, client);
	else if (result->result == MAILAUTH_FAIL)
		buf_printf(out, "%s forbids %s to send: ", domain, client);
	else if (result->result == MAILAUTH_SOFTFAIL)
		buf_printf(out, "%s thinks that %s should not send: ", domain, client);
	else
		buf_printf(out, "%s says neither yes nor no to %s: ", domain, client);
	if (slice_eq_str(slice_str(result->mechanism), "default"))
		buf_printf(out, "no mechanism matched in the record of %s", result->matched_in);
	else
		add_path(result, out);
}

void spf_tell(struct spf_check *check)
{
	struct spf_result *result = check->result;
	CLEANUP(buf_done) struct buf words = {0};
	buf_init(&words, 64 * KIB);
	switch (result->result) {
	case MAILAUTH_PASS:
	case MAILAUTH_FAIL:
	case MAILAUTH_SOFTFAIL:
	case MAILAUTH_NEUTRAL:
		add_decision(check, &words);
		break;
	case MAILAUTH_NONE:
		buf_printf(&words, "there is nothing to check against: %s", check->nothing);
		break;
	case MAILAUTH_TEMPERROR:
		buf_printf(&words, "this could not be checked now: %s", result->problem);
		break;
	case MAILAUTH_PERMERROR:
		buf_printf(&words, "what was published cannot be used: %s", result->problem);
		break;
	case MAILAUTH_POLICY:
		break;
	}
	const char *why = arena_cstr(check->arena, buf_slice(&words));
	result->why = why ? why : "the memory for one check is used up";
}

/* --- for others --- */

struct mailauth_evidence spf_evidence(const struct mailauth_dns *dns,
                                      const struct spf_result *result)
{
	struct mailauth_evidence evidence = mailauth_evidence_since(dns, result->first_lookup);
	evidence.n = MIN(evidence.n, result->n_lookups);
	evidence.truncated = result->truncated;
	return evidence;
}

const char *spf_property(const struct spf_result *result)
{
	return result->identity == SPF_HELO || result->null_sender ? "smtp.helo" : "smtp.mailfrom";
}

bool spf_reply(const struct spf_result *result, unsigned *ret_code, const char **ret_enhanced)
{
	static const struct {
		enum mailauth_result result;
		unsigned code;
		const char *enhanced;
	} replies[] = {
	        {MAILAUTH_FAIL, 550, "5.7.23"},
	        {MAILAUTH_PERMERROR, 550, "5.7.24"},
	        {MAILAUTH_TEMPERROR, 451, "4.7.24"},
	};
	for (size_t i = 0; i < N_ELEMENTS(replies); i++)
		if (replies[i].result == result->result) {
			*ret_code = replies[i].code;
			*ret_enhanced = replies[i].enhanced;
			return true;
		}
	return false;
}

void spf_reply_text(const struct spf_result *result, struct buf *out)
{
	bool is_helo = result->identity == SPF_HELO || result->null_sender;
	buf_printf(out, "SPF %s check: %s\n", is_helo ? "HELO" : "MAIL FROM",
	           mailauth_result_name(result->result));
	buf_printf(out, "%s\n", result->why);
	if (result->explanation[0]) /* section 6.2: it must be clear whose words these are */
		buf_printf(out, "The domain %s explains: %s\n", result->domain,
		           result->explanation);
}
