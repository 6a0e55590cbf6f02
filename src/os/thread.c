/* Threads for sessions: small stacks, no signals, a name. */
#include "os/process.h"

#include "os/sanitizers.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>

/* glibc takes thread-local storage and its own descriptor out of the stack. */
#define STACK_OVERHEAD ((size_t)16 * 1024)
#define GUARD_SIZE     ((size_t)4096)

/* Red zones and fake frames make frames several times larger. */
#define STACK_FACTOR ((size_t)(OS_SANITIZED ? 8 : 1))

struct start {
	void (*run)(void *context);
	void *context;
	char name[16];
};

static void *thread_main(void *p)
{
	struct start start = *(struct start *)p;
	base_free(p);
	if (start.name[0] != '\0')
		(void)prctl(PR_SET_NAME, start.name);
	start.run(start.context);
	return NULL;
}

/* All but those that a fault of the thread itself raises: blocked, they would end the process
 * without a word. */
static void fill_blocked(sigset_t *set)
{
	static const int kept[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS, SIGABRT};
	sigfillset(set);
	for (size_t i = 0; i < N_ELEMENTS(kept); i++)
		sigdelset(set, kept[i]);
}

static int create(const struct thread_options *options, struct start *start, pthread_t *ret_thread)
{
	pthread_attr_t attr;
	size_t stack_size = options->stack_size ? options->stack_size : THREAD_STACK_DEFAULT;
	stack_size = MAX(stack_size * STACK_FACTOR + STACK_OVERHEAD, (size_t)PTHREAD_STACK_MIN);
	stack_size = (stack_size + 4095) & ~(size_t)4095;
	int error = pthread_attr_init(&attr);
	if (error)
		return error;
	error = pthread_attr_setstacksize(&attr, stack_size);
	if (!error)
		error = pthread_attr_setguardsize(&attr, GUARD_SIZE);
	if (!error && !options->joinable)
		error = pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	if (!error)
		error = pthread_create(ret_thread, &attr, thread_main, start);
	pthread_attr_destroy(&attr);
	return error;
}

struct status thread_start(const struct thread_options *options, void (*run)(void *context),
                           void *context, pthread_t *ret_thread)
{
	sigset_t blocked, old;
	pthread_t thread;
	ASSERT(!options->joinable || ret_thread);
	struct start *start = base_alloc(sizeof(*start));
	*start = (struct start){.run = run, .context = context};
	snprintf(start->name, sizeof(start->name), "%s", options->name ? options->name : "");
	fill_blocked(&blocked);
	(void)pthread_sigmask(SIG_SETMASK, &blocked, &old); /* inherited by the new thread */
	int error = create(options, start, &thread);
	(void)pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (error) {
		base_free(start);
		return error == EAGAIN ? fail(ERR_BUSY, "no more threads to be had")
		                       : fail_errno(error, "cannot start a thread");
	}
	if (ret_thread)
		*ret_thread = thread;
	return ok();
}

void thread_join(pthread_t thread)
{
	if (pthread_join(thread, NULL) != 0)
		BUG("thread cannot be joined");
}

void thread_block_signals(void)
{
	sigset_t blocked;
	fill_blocked(&blocked);
	(void)pthread_sigmask(SIG_SETMASK, &blocked, NULL);
}
