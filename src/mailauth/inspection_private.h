/* The inside of inspections: tasks, which run checks beside each other, and what belongs to whom.
 */
#pragma once

#include "mailauth/inspection.h"

#define KEY_TASKS 4u /* lookups of keys that run beside each other */

/* A check that asks the DNS. It may be run twice: first on what is known, then asking. */
struct inspection_task {
	const struct inspection_env *env;
	void (*check)(struct mailauth_dns *dns, void *argument);
	void *argument;
	enum { TASK_NONE, TASK_WAITS, TASK_RUNS, TASK_DONE } state;
	void *handle;
	int timeout_ms; /* of its lookups, together */
	struct arena arena;
	struct dns_cached cached;
	struct mailauth_dns dns;
};

enum inspection_how {
	INSPECTION_TRY, /* on what is known; where that does not suffice, again beside the caller */
	/* For checks that may be run once only: */
	INSPECTION_NOW,    /* by the caller: it will hardly have to ask */
	INSPECTION_BESIDE, /* it will */
};
void inspection_task_start(struct inspection_task *task, const struct inspection_env *env,
                           void (*check)(struct mailauth_dns *dns, void *argument), void *argument,
                           enum inspection_how how);
/* A check that found no thread is made now, by the caller: it has until then, which several share.
 * In the monotonic time of the environment's clock. TASK_NONE is fine. */
void inspection_task_wait(struct inspection_task *task, int64_t until_ms);
void inspection_task_done(struct inspection_task *task); /* waits, frees */

struct inspection_zone {
	struct inspection_task task;
	struct dns_name zone;
	struct slice address; /* of address lists */
	const char *address_text;
	const struct dns_name *domain; /* of domain lists */
	const struct inspection_env *env;
	struct dnsbl_result result;
	const char *about, *why; /* in words */
};
/* After the result; `subject` is on the list or not. */
void inspection_zone_words(struct inspection_zone *zone, const char *subject, struct arena *arena);

struct inspection_client {
	const struct inspection_env *env;
	uint8_t address[16];
	size_t n_address;
	char text[DNS_ADDRESS_TEXT_MAX];
	struct inspection_task iprev_task;
	struct iprev_result iprev;
	struct inspection_zone *zones;
	size_t n_zones;
	struct policy_listing *listings; /* made when all are known */
	size_t n_listings;
	struct arena arena;
};

struct slice inspection_client_address(const struct inspection_client *client);
void inspection_client_wait(struct inspection_client *client, int64_t until_ms);

struct inspection_keys {
	struct inspection *inspection;
	size_t first; /* this key, and each KEY_TASKS further on */
};

struct inspection {
	const struct inspection_env *env;
	struct inspection_client *client;
	struct inspection_envelope envelope;
	struct arena arena;
	struct inspection_task helo_task, mailfrom_task, dmarc_task, ahead_task;
	struct inspection_task key_tasks[KEY_TASKS];
	struct inspection_keys keys[KEY_TASKS];
	struct inspection_zone *zones; /* domain lists: each zone for each domain */
	size_t n_zones;
	struct spf_result helo, mailfrom;
	struct slice header;
	bool has_header, has_mailfrom;
	struct mailauth_author author;
	struct dkim_verifier *verifier;
	struct arc_chain *chain;
	struct dkim_results dkim;
	struct arc_result arc;
	struct dmarc_question question;
	struct dmarc_result dmarc;
	struct dns_name domains[2]; /* for the domain lists */
	size_t n_domains;
	struct policy_facts facts;
};

/* When checks that begin now must have ended. */
int64_t inspection_until_ms(const struct inspection_env *env);

/* A copy as a dns_name, or false for what is none. */
bool inspection_name(struct slice text, struct arena *arena, struct dns_name *ret_name);
