/* Checks that ask the DNS, each with its own memory and record of lookups.
 *
 * What the cache can answer costs no thread: the check is made on what is known, and when something
 * was missing all of it is forgotten and made again, asking.
 */
#include "mailauth/inspection_private.h"

static void ask(struct inspection_task *task, const struct dns_resolver *resolver)
{
	mailauth_dns_init(&task->dns, resolver, task->env->clock, task->timeout_ms, &task->arena);
	task->check(&task->dns, task->argument);
}

static bool try_known(struct inspection_task *task)
{
	struct dns_cached known;
	if (!task->env->cache)
		return false;
	dns_cached_init(&known, task->env->cache, NULL);
	ask(task, &known.resolver);
	if (!dns_cached_missed(&known))
		return true;
	arena_reset(&task->arena);
	return false;
}

static void run(void *argument)
{
	struct inspection_task *task = argument;
	const struct inspection_env *env = task->env;
	const struct dns_resolver *resolver = env->resolver;
	if (env->cache) {
		dns_cached_init(&task->cached, env->cache, env->resolver);
		resolver = &task->cached.resolver;
	}
	ask(task, resolver);
}

void inspection_task_start(struct inspection_task *task, const struct inspection_env *env,
                           void (*check)(struct mailauth_dns *dns, void *argument), void *argument,
                           enum inspection_how how)
{
	task->env = env;
	task->check = check;
	task->argument = argument;
	task->timeout_ms = env->timeout_ms;
	arena_init(&task->arena, MAILAUTH_DNS_ARENA);
	if (how == INSPECTION_NOW)
		run(task);
	if (how == INSPECTION_NOW || (how == INSPECTION_TRY && try_known(task)))
		task->state = TASK_DONE;
	else if (env->runner && env->runner->start(env->runner, run, task, &task->handle))
		task->state = TASK_RUNS;
	else
		task->state = TASK_WAITS;
}

int64_t inspection_until_ms(const struct inspection_env *env)
{
	return clock_monotonic_ms(env->clock) + env->timeout_ms;
}

void inspection_task_wait(struct inspection_task *task, int64_t until_ms)
{
	if (task->state == TASK_RUNS) {
		task->env->runner->wait(task->env->runner, task->handle);
	} else if (task->state == TASK_WAITS) {
		int64_t left_ms = until_ms - clock_monotonic_ms(task->env->clock);
		task->timeout_ms = (int)MIN(MAX(left_ms, 0), (int64_t)task->env->timeout_ms);
		run(task);
	}
	if (task->state != TASK_NONE)
		task->state = TASK_DONE;
}

void inspection_task_done(struct inspection_task *task)
{
	if (task->state == TASK_NONE)
		return;
	if (task->state == TASK_RUNS)
		task->env->runner->wait(task->env->runner, task->handle);
	arena_done(&task->arena);
	task->state = TASK_NONE;
}
