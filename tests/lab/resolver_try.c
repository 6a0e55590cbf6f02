/* Many lookups at the same time through the resolver room, walls and all, by the rooms that ask:
 *
 *	resolver_try RESOLVER        RESOLVER: YAML, the group of that name in mailkeep.yaml
 *
 * Prints the room's process number. Each line of standard input, ROOM TYPE NAME TIMEOUT_MS, is a
 * lookup that begins at once; each answer is a line of JSON, in the order in which they come. Ends
 * at the end of input, when all have come.
 */
#include "os/log.h"
#include "rooms/resolver_testing.h"

#include <jansson.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#define LINE_SIZE 1100 /* a name has 1,004 bytes at most */
#define STACK     ((size_t)128 * 1024)

struct rooms {
	struct resolver_house house;
	struct ipc_channel *channels[IPC_ROOM_COUNT];
	atomic_uint n_under_way;
	pthread_mutex_t out; /* one line at a time */
};

struct lookup {
	struct rooms *rooms;
	enum ipc_room room;
	enum dns_type type;
	char *name;
	uint32_t timeout_ms;
};

static void print(struct rooms *rooms, json_t *json)
{
	char *text = json_dumps(json, JSON_COMPACT);
	pthread_mutex_lock(&rooms->out);
	puts(text);
	fflush(stdout);
	pthread_mutex_unlock(&rooms->out);
	free(text);
	json_decref(json);
}

static void run(void *context)
{
	struct lookup *lookup = context;
	struct arena arena;
	const struct dns_answer *answer = NULL;
	arena_init(&arena, DNS_ANSWER_ARENA);
	struct status status =
	        resolver_house_look_up(lookup->rooms->channels[lookup->room], lookup->name,
	                               lookup->type, lookup->timeout_ms, &arena, &answer);
	json_t *json = json_pack("{s:s, s:s, s:s}", "name", lookup->name, "room",
	                         ipc_room_name(lookup->room), "status", err_name(status.code));
	if (is_ok(status)) {
		json_object_set_new(json, "outcome",
		                    json_string(dns_outcome_name(answer->outcome)));
		json_object_set_new(json, "failure",
		                    json_string(dns_failure_name(answer->failure)));
		json_object_set_new(json, "security",
		                    json_string(dns_security_name(answer->security)));
		json_object_set_new(json, "why", json_string(answer->why));
	}
	print(lookup->rooms, json);
	arena_done(&arena);
	atomic_fetch_sub(&lookup->rooms->n_under_way, 1);
	base_free(lookup->name);
	base_free(lookup);
}

static bool read_lookup(struct slice line, struct lookup *lookup)
{
	struct slice room, type, name, timeout, rest;
	bool whole = slice_cut(line, ' ', &room, &rest) && slice_cut(rest, ' ', &type, &rest) &&
	             slice_cut(rest, ' ', &name, &timeout);
	if (!whole || !ipc_room_parse(room, &lookup->room) ||
	    !dns_type_parse(type, &lookup->type) ||
	    !slice_to_u32(timeout, UINT32_MAX, &lookup->timeout_ms))
		return false;
	lookup->name = slice_to_cstr(name);
	return lookup->name != NULL;
}

static void start(struct rooms *rooms, const char *line)
{
	const struct thread_options options = {.name = "lookup", .stack_size = STACK};
	struct lookup *lookup = base_alloc(sizeof(*lookup));
	lookup->rooms = rooms;
	if (!read_lookup(slice_trim(slice_str(line)), lookup)) {
		fprintf(stderr, "resolver_try: no lookup: %s", line);
		exit(2);
	}
	if (!rooms->channels[lookup->room])
		rooms->channels[lookup->room] = resolver_house_meet(&rooms->house, lookup->room);
	atomic_fetch_add(&rooms->n_under_way, 1);
	ASSERT(is_ok(thread_start(&options, run, lookup, NULL)));
}

int main(int argc, char **argv)
{
	struct rooms *rooms = base_alloc(sizeof(*rooms));
	char line[LINE_SIZE];
	if (argc != 2) {
		fprintf(stderr, "usage: resolver_try RESOLVER\n");
		return 2;
	}
	pthread_mutex_init(&rooms->out, NULL);
	resolver_house_start(&rooms->house, RESOLVER_PROGRAM, argv[1]);
	print(rooms, json_pack("{s:i}", "pid", (int)rooms->house.room.pid));
	while (fgets(line, sizeof(line), stdin))
		start(rooms, line);
	while (rooms->n_under_way > 0)
		usleep(1000);
	for (size_t i = 0; i < IPC_ROOM_COUNT; i++)
		if (rooms->channels[i])
			ipc_channel_unref(rooms->channels[i]);
	resolver_house_stop(&rooms->house);
	pthread_mutex_destroy(&rooms->out);
	base_free(rooms);
	return 0;
}
