/* What is found out about a client once, for all messages that it brings: its name, and the block
 * lists that it is on. */
#include "mailauth/inspection_private.h"

#define CLIENT_ARENA ((size_t)256 * 1024)

bool inspection_name(struct slice text, struct arena *arena, struct dns_name *ret_name)
{
	return text.n > 0 && is_ok(dns_name_parse(text, arena, ret_name)) &&
	       !dns_name_is_root(*ret_name);
}

struct slice inspection_client_address(const struct inspection_client *client)
{
	return slice_of(client->address, client->n_address);
}

static void print_address(struct inspection_client *client)
{
	struct dns_record record = {.type = client->n_address == 4 ? DNS_TYPE_A : DNS_TYPE_AAAA};
	memcpy(client->n_address == 4 ? record.a : record.aaaa, client->address, client->n_address);
	dns_address_print(&record, client->text);
}

static void check_iprev(struct mailauth_dns *dns, void *argument)
{
	struct inspection_client *client = argument;
	iprev_check(dns, inspection_client_address(client), &client->iprev);
}

static void check_zone(struct mailauth_dns *dns, void *argument)
{
	struct inspection_zone *zone = argument;
	dnsbl_ask_address(zone->env->lists, dns, zone->zone, zone->address, &zone->result);
	inspection_zone_words(zone, zone->address_text, dns->arena);
}

static void start_zones(struct inspection_client *client)
{
	const struct inspection_env *env = client->env;
	size_t n = MIN(env->n_address_lists, (size_t)INSPECTION_LISTS_MAX);
	client->zones = n > 0 ? base_alloc(n * sizeof(*client->zones)) : NULL;
	for (size_t i = 0; i < n; i++) {
		struct inspection_zone *zone = &client->zones[client->n_zones];
		if (!inspection_name(slice_str(env->address_lists[i]), &client->arena, &zone->zone))
			continue;
		client->n_zones++;
		zone->env = env;
		zone->address = inspection_client_address(client);
		zone->address_text = client->text;
		inspection_task_start(&zone->task, env, check_zone, zone, INSPECTION_TRY);
	}
}

struct inspection_client *inspection_client_new(const struct inspection_env *env,
                                                struct slice address)
{
	struct inspection_client *client = base_alloc(sizeof(*client));
	ASSERT(address.n == 4 || address.n == 16);
	client->env = env;
	client->n_address = address.n;
	memcpy(client->address, address.p, address.n);
	arena_init(&client->arena, CLIENT_ARENA);
	print_address(client);
	inspection_task_start(&client->iprev_task, env, check_iprev, client, INSPECTION_TRY);
	start_zones(client);
	return client;
}

void inspection_client_free(struct inspection_client *client)
{
	if (!client)
		return;
	inspection_task_done(&client->iprev_task);
	for (size_t i = 0; i < client->n_zones; i++)
		inspection_task_done(&client->zones[i].task);
	base_free(client->zones);
	arena_done(&client->arena);
	base_free(client);
}

const struct iprev_result *inspection_client_iprev(struct inspection_client *client)
{
	inspection_task_wait(&client->iprev_task, inspection_until_ms(client->env));
	return &client->iprev;
}

static bool is_listed(const struct inspection_zone *zone)
{
	return zone->task.state == TASK_DONE && zone->result.outcome == DNSBL_LISTED;
}

void inspection_client_wait(struct inspection_client *client, int64_t until_ms)
{
	inspection_task_wait(&client->iprev_task, until_ms);
	for (size_t i = 0; i < client->n_zones; i++)
		inspection_task_wait(&client->zones[i].task, until_ms);
	if (client->listings || client->n_zones == 0)
		return;
	client->listings = ARENA_ARRAY(&client->arena, client->n_zones, struct policy_listing);
	for (size_t i = 0; client->listings && i < client->n_zones; i++)
		if (is_listed(&client->zones[i]))
			client->listings[client->n_listings++] = (struct policy_listing){
			        client->zones[i].zone.text, client->text, &client->zones[i].result};
}
