/* The courier's memory: the same question gets the first answer, once it is there. */
#include "rooms/courier_memory.h"

#include "os/process.h"

#include <setjmp.h>
#include <stdarg.h>
#include <unistd.h>

#include <cmocka.h>
#undef fail

#define PEOPLE 3

struct question {
	Door__Attempt attempt;
	Door__AttemptRecipient recipients[PEOPLE], *list[PEOPLE];
	struct arena arena;
	struct courier_claim claim;
	Door__CourierReply reply;
	Door__RecipientOutcome outcomes[PEOPLE], *outcome_list[PEOPLE];
};

static char text_a[] = "a@x.example", text_b[] = "b@x.example", text_c[] = "c@x.example";
static char prefix_one[] = "Received: one", prefix_two[] = "Received: two";
static char said[] = "250 2.0.0 taken", why[] = "the server took the message",
            host[] = "mx.example";
static char status_text[] = "2.0.0";

static void ask(struct question *q, int64_t first_id, char *prefix)
{
	static char *const names[PEOPLE] = {text_a, text_b, text_c};
	memset(q, 0, sizeof(*q));
	door__attempt__init(&q->attempt);
	door__courier_reply__init(&q->reply);
	q->attempt.prefix.data = (uint8_t *)prefix;
	q->attempt.prefix.len = strlen(prefix);
	q->attempt.size = 100;
	for (int i = 0; i < PEOPLE; i++) {
		door__attempt_recipient__init(&q->recipients[i]);
		q->recipients[i].id = first_id + i;
		q->recipients[i].address = names[i];
		q->list[i] = &q->recipients[i];
	}
	q->attempt.recipients = q->list;
	q->attempt.n_recipients = PEOPLE;
	arena_init(&q->arena, 65536);
}

/* What the first `n` of those tried came to; `lines` is shared by all. */
static void answer(struct question *q, size_t n, Door__Outcome outcome)
{
	static char *lines[] = {said};
	for (size_t i = 0; i < n; i++) {
		Door__RecipientOutcome *o = &q->outcomes[i];
		door__recipient_outcome__init(o);
		o->id = q->claim.rest.recipients[i]->id;
		o->outcome = outcome;
		o->code = 250;
		o->enhanced = status_text;
		o->lines = lines;
		o->n_lines = 1;
		o->why = why;
		o->remote_host = host;
		q->outcome_list[i] = o;
	}
	q->reply.outcomes = q->outcome_list;
	q->reply.n_outcomes = n;
}

static void end(struct courier_memory *m, struct question *q)
{
	courier_memory_end(m, &q->claim, &q->reply, &q->arena);
}

static void test_ends_are_remembered(void **state)
{
	struct courier_memory *m = courier_memory_new((struct hash_key){1, 2});
	struct question q;
	(void)state;
	ask(&q, 10, prefix_one);
	assert_true(courier_memory_begin(m, &q.attempt, &q.arena, &q.claim));
	assert_int_equal(q.claim.rest.n_recipients, PEOPLE);
	assert_int_equal(q.claim.n_known, 0);
	answer(&q, 2, DOOR__OUTCOME__OUTCOME_DELIVERED);
	end(m, &q);
	assert_int_equal(q.reply.n_outcomes, 2);
	arena_done(&q.arena);
	/* Asked again: two are known, the third is tried. */
	ask(&q, 10, prefix_one);
	assert_true(courier_memory_begin(m, &q.attempt, &q.arena, &q.claim));
	assert_int_equal(q.claim.rest.n_recipients, 1);
	assert_int_equal(q.claim.rest.recipients[0]->id, 12);
	assert_int_equal(q.claim.n_known, 2);
	answer(&q, 1, DOOR__OUTCOME__OUTCOME_DEFERRED);
	end(m, &q);
	assert_int_equal(q.reply.n_outcomes, 3);
	const Door__RecipientOutcome *o = q.reply.outcomes[2];
	assert_int_equal(o->id, 11);
	assert_int_equal(o->outcome, DOOR__OUTCOME__OUTCOME_DELIVERED);
	assert_int_equal(o->code, 250);
	assert_string_equal(o->enhanced, status_text);
	assert_string_equal(o->remote_host, host);
	assert_string_equal(o->remote_address, "");
	assert_string_equal(o->lines[0], said);
	assert_string_equal(o->why, why);
	arena_done(&q.arena);
	/* What was deferred is tried again. */
	ask(&q, 10, prefix_one);
	assert_true(courier_memory_begin(m, &q.attempt, &q.arena, &q.claim));
	assert_int_equal(q.claim.n_known, 2);
	end(m, &q);
	arena_done(&q.arena);
	courier_memory_free(m);
}

static void test_others_are_not_taken_for_it(void **state)
{
	struct courier_memory *m = courier_memory_new((struct hash_key){1, 2});
	struct question q;
	(void)state;
	ask(&q, 10, prefix_one);
	assert_true(courier_memory_begin(m, &q.attempt, &q.arena, &q.claim));
	answer(&q, PEOPLE, DOOR__OUTCOME__OUTCOME_FAILED);
	end(m, &q);
	arena_done(&q.arena);
	/* Another message under the same numbers, other addresses, other numbers. */
	for (int i = 0; i < 3; i++) {
		ask(&q, i == 2 ? 20 : 10, i == 0 ? prefix_two : prefix_one);
		if (i == 1)
			for (int j = 0; j < PEOPLE; j++)
				q.recipients[j].address = text_a;
		assert_true(courier_memory_begin(m, &q.attempt, &q.arena, &q.claim));
		assert_int_equal(q.claim.n_known, i == 1 ? 1 : 0);
		end(m, &q);
		arena_done(&q.arena);
	}
	/* A place is taken over by a later entry. */
	ask(&q, 10 + COURIER_MEMORY_SLOTS, prefix_one);
	assert_true(courier_memory_begin(m, &q.attempt, &q.arena, &q.claim));
	assert_int_equal(q.claim.n_known, 0);
	answer(&q, PEOPLE, DOOR__OUTCOME__OUTCOME_DELIVERED);
	end(m, &q);
	arena_done(&q.arena);
	ask(&q, 10, prefix_one);
	assert_true(courier_memory_begin(m, &q.attempt, &q.arena, &q.claim));
	assert_int_equal(q.claim.n_known, 0);
	end(m, &q);
	arena_done(&q.arena);
	/* Too little memory: nothing is claimed. */
	ask(&q, 10, prefix_one);
	arena_done(&q.arena);
	arena_init(&q.arena, 8);
	assert_false(courier_memory_begin(m, &q.attempt, &q.arena, &q.claim));
	arena_done(&q.arena);
	courier_memory_free(m);
}

struct second {
	struct courier_memory *m;
	struct question q;
	_Atomic bool through;
};

static void ask_meanwhile(void *context)
{
	struct second *s = context;
	(void)courier_memory_begin(s->m, &s->q.attempt, &s->q.arena, &s->q.claim);
	s->through = true;
}

static void test_a_second_attempt_waits(void **state)
{
	struct courier_memory *m = courier_memory_new((struct hash_key){1, 2});
	struct question first;
	struct second second = {.m = m};
	pthread_t thread;
	(void)state;
	ask(&first, 10, prefix_one);
	ask(&second.q, 12, prefix_one); /* shares one recipient's number */
	second.q.recipients[0].address = text_c;
	assert_true(courier_memory_begin(m, &first.attempt, &first.arena, &first.claim));
	struct thread_options options = {.joinable = true};
	assert_int_equal(thread_start(&options, ask_meanwhile, &second, &thread).code, 0);
	usleep(50000);
	assert_false(second.through);
	answer(&first, PEOPLE, DOOR__OUTCOME__OUTCOME_DELIVERED);
	end(m, &first);
	thread_join(thread);
	assert_int_equal(second.q.claim.n_known, 1);
	assert_int_equal(second.q.claim.rest.n_recipients, 2);
	end(m, &second.q);
	arena_done(&first.arena);
	arena_done(&second.q.arena);
	courier_memory_free(m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_ends_are_remembered),
	        cmocka_unit_test(test_others_are_not_taken_for_it),
	        cmocka_unit_test(test_a_second_attempt_waits),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
