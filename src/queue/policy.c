/* See policy.h. Limits: a pause is at most QUEUE_PAUSE_MAX however the numbers multiply. */
#include "queue/policy.h"

#include "text/domain.h"

#define QUEUE_PAUSE_MAX  ((int64_t)30 * 86400 * 1000)
#define JITTER_PART      90 /* a ninetieth of the pause, to both sides: 5 s of 7.5 minutes */
#define LOST_TRIES_MAX   3u
#define LOST_PAUSE_MS    2000
#define EXPIRED_SENTENCE "not delivered by the time that its sender had set (DELIVERBY)"

void queue_policy_init(struct queue_policy *policy)
{
	*policy = (struct queue_policy){
	        .first_retry_ms = 450000,
	        .factor = 2,
	        .max_retry_ms = 8 * 3600 * 1000,
	        .max_attempts = 8,
	        .delay_notice_ms = 3600 * 1000,
	};
}

/* ---- time ---- */

static int64_t plain_pause(const struct queue_policy *policy, uint32_t n_attempt)
{
	int64_t longest = MIN(policy->max_retry_ms, QUEUE_PAUSE_MAX);
	int64_t pause = MIN(policy->first_retry_ms, longest);
	for (uint32_t i = 1; i < n_attempt && pause < longest; i++)
		pause = MIN(pause * MAX((int64_t)policy->factor, 1), longest);
	return pause;
}

/* A number that looks random and is always the same for this message and attempt. */
static uint64_t scatter(int64_t message, uint32_t n_attempt)
{
	static const struct hash_key fixed = {0x6d61696c6b656570, 0x7175657565};
	uint8_t bytes[12];
	memcpy(bytes, &message, sizeof(message));
	memcpy(bytes + sizeof(message), &n_attempt, sizeof(n_attempt));
	return hash_slice(fixed, slice_of(bytes, sizeof(bytes)));
}

int64_t queue_pause_ms(const struct queue_policy *policy, int64_t message, uint32_t n_attempt)
{
	int64_t pause = plain_pause(policy, n_attempt);
	int64_t span = pause / JITTER_PART;
	return pause - span + (int64_t)(scatter(message, n_attempt) % (uint64_t)(2 * span + 1));
}

int64_t queue_last_attempt_ms(const struct queue_policy *policy, int64_t message,
                              uint32_t n_attempt, int64_t at_ms)
{
	for (uint32_t n = n_attempt; n < policy->max_attempts; n++)
		at_ms += queue_pause_ms(policy, message, n);
	return at_ms;
}

/* ---- outcomes ---- */

bool queue_wants_notice(struct slice sender, uint32_t notify, enum queue_notice_kind kind)
{
	if (sender.n == 0 || (notify & QUEUE_NOTIFY_NEVER))
		return false;
	switch (kind) {
	case QUEUE_NOTICE_FAILED:
		return notify == 0 || (notify & QUEUE_NOTIFY_FAILURE);
	case QUEUE_NOTICE_DELAYED:
		return notify == 0 || (notify & QUEUE_NOTIFY_DELAY);
	case QUEUE_NOTICE_RELAYED:
	case QUEUE_NOTICE_DELIVERED:
	case QUEUE_NOTICE_EXPANDED:
		return (notify & QUEUE_NOTIFY_SUCCESS) != 0;
	case QUEUE_NOTICE_NONE:
		break;
	}
	return false;
}

static void notify(const struct queue_entry *entry, enum queue_notice_kind kind,
                   struct queue_outcome *outcome)
{
	bool wanted = queue_wants_notice(entry->sender, entry->notify, kind);
	outcome->notice = wanted ? kind : QUEUE_NOTICE_NONE;
	outcome->delay_told = kind == QUEUE_NOTICE_DELAYED;
}

static void delivered(const struct queue_entry *entry, const struct queue_facts *facts,
                      struct queue_outcome *outcome)
{
	outcome->state = QUEUE_DELIVERED;
	if (facts->local)
		notify(entry, QUEUE_NOTICE_DELIVERED, outcome);
	else if (facts->relayed)
		notify(entry, QUEUE_NOTICE_RELAYED, outcome);
	if (!facts->local && facts->told_anyway && entry->sender.n > 0 &&
	    !(entry->notify & QUEUE_NOTIFY_NEVER))
		outcome->notice = QUEUE_NOTICE_RELAYED;
}

static void failed(const struct queue_entry *entry, const struct queue_facts *facts,
                   struct queue_outcome *outcome)
{
	outcome->state = QUEUE_FAILED;
	notify(entry, QUEUE_NOTICE_FAILED, outcome);
	if (!facts->local && !facts->own_decision)
		outcome->suppress =
		        queue_suppress_of(outcome->attempt.code, outcome->attempt.enhanced);
}

static void lost(const struct queue_policy *policy, const struct queue_entry *entry,
                 struct queue_outcome *outcome)
{
	outcome->state = QUEUE_WAITING;
	outcome->counts = false;
	outcome->lost = true;
	outcome->next_ms = outcome->attempt.ended_ms + LOST_PAUSE_MS * (1 + entry->n_lost);
	outcome->retry_until_ms = queue_last_attempt_ms(policy, entry->message,
	                                                entry->n_attempts + 1, outcome->next_ms);
}

static void deferred(const struct queue_policy *policy, const struct queue_entry *entry,
                     const struct queue_facts *facts, struct queue_outcome *outcome)
{
	uint32_t n = entry->n_attempts + 1;
	int64_t ended_ms = outcome->attempt.ended_ms;
	if (n >= policy->max_attempts) {
		failed(entry, facts, outcome);
		return;
	}
	outcome->state = QUEUE_WAITING;
	outcome->next_ms = ended_ms + queue_pause_ms(policy, entry->message, n);
	outcome->retry_until_ms =
	        queue_last_attempt_ms(policy, entry->message, n, outcome->attempt.ended_ms);
	int64_t since_ms = MAX(entry->submitted_ms, entry->released_ms);
	if (!entry->delay_told && policy->delay_notice_ms > 0 &&
	    ended_ms - since_ms >= policy->delay_notice_ms)
		notify(entry, QUEUE_NOTICE_DELAYED, outcome);
}

void queue_decide(const struct queue_policy *policy, const struct queue_entry *entry,
                  const struct queue_facts *facts, struct queue_outcome *outcome)
{
	outcome->counts = true;
	outcome->lost = outcome->delay_told = false;
	outcome->notice = QUEUE_NOTICE_NONE;
	outcome->suppress = QUEUE_SUPPRESS_NO;
	outcome->next_ms = outcome->retry_until_ms = 0;
	switch (outcome->attempt.result) {
	case QUEUE_RESULT_DELIVERED:
		delivered(entry, facts, outcome);
		break;
	case QUEUE_RESULT_FAILED:
		failed(entry, facts, outcome);
		break;
	case QUEUE_RESULT_DEFERRED:
		if (facts->lost && entry->n_lost < LOST_TRIES_MAX)
			lost(policy, entry, outcome);
		else
			deferred(policy, entry, facts, outcome);
		break;
	}
}

void queue_decide_deadline(const struct queue_policy *policy, const struct queue_entry *entry,
                           enum queue_by_mode mode, int64_t now_ms, struct queue_outcome *outcome,
                           bool *ret_changed)
{
	*ret_changed = false;
	if (entry->deliver_by_ms == 0 || now_ms < entry->deliver_by_ms || mode == QUEUE_BY_NONE ||
	    (mode == QUEUE_BY_NOTIFY && entry->delay_told))
		return;
	bool fails = mode == QUEUE_BY_RETURN;
	*ret_changed = true;
	outcome->entry = entry->id;
	outcome->counts = false;
	outcome->attempt = (struct queue_attempt){
	        .started_ms = now_ms,
	        .ended_ms = now_ms,
	        .enhanced = fails ? SLICE("5.4.7") : SLICE("4.4.7"), /* RFC 2852 section 4.1.3 */
	        .why = SLICE(EXPIRED_SENTENCE),
	        .result = fails ? QUEUE_RESULT_FAILED : QUEUE_RESULT_DEFERRED,
	};
	outcome->state = fails ? QUEUE_FAILED : QUEUE_WAITING;
	outcome->next_ms = entry->next_ms;
	outcome->retry_until_ms = queue_last_attempt_ms(
	        policy, entry->message, entry->n_attempts + 1, MAX(entry->next_ms, now_ms));
	notify(entry, fails ? QUEUE_NOTICE_FAILED : QUEUE_NOTICE_DELAYED, outcome);
}

/* ---- suppression ---- */

enum queue_suppress queue_suppress_of(uint32_t code, struct slice enhanced)
{
	static const uint32_t codes[] = {521, 550, 551, 553, 556};
	static const char *const details[] = {"5.1.1", "5.1.2", "5.1.3", "5.1.6", "5.2.1", "5.7.1"};
	if (code < 400 || code > 599)
		return QUEUE_SUPPRESS_NO;
	for (size_t i = 0; i < N_ELEMENTS(codes); i++)
		if (code == codes[i])
			return QUEUE_SUPPRESS_NOW;
	for (size_t i = 0; i < N_ELEMENTS(details) && code >= 500; i++)
		if (slice_eq_str(enhanced, details[i]))
			return QUEUE_SUPPRESS_NOW;
	return QUEUE_SUPPRESS_THIRD;
}

struct slice queue_base_address(struct slice address, struct arena *arena)
{
	size_t at = MIN(slice_rindex(address, '@'), address.n);
	struct slice domain = queue_domain_of(address, arena);
	uint8_t *text = arena_alloc(arena, address.n + domain.n + 1);
	size_t n = 0;
	if (!text)
		return slice_empty();
	for (size_t i = 0; i < at; i++) {
		uint8_t c = address.p[i];
		if ((c == '+' || c == '-') && i > 0)
			break;
		if (c != '.')
			text[n++] = ascii_lower(c);
	}
	text[n++] = '@';
	memcpy(text + n, domain.p, domain.n);
	return slice_of(text, n + domain.n);
}

struct slice queue_domain_of(struct slice address, struct arena *arena)
{
	size_t at = slice_rindex(address, '@');
	if (at == SIZE_MAX)
		return slice_empty();
	struct slice name = slice_from(address, at + 1);
	struct text_domain domain;
	if (is_ok(text_domain_parse(name, TEXT_DOMAIN_LAX, &domain)))
		return arena_copy(arena, slice_str(domain.ascii));
	/* A literal, or what only its own server understands. */
	uint8_t *lower = arena_alloc(arena, MAX(name.n, 1));
	if (!lower)
		return slice_empty();
	for (size_t i = 0; i < name.n; i++)
		lower[i] = ascii_lower(name.p[i]);
	return slice_of(lower, name.n);
}
