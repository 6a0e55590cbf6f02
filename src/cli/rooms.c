/* `mailkeep rooms`: prints the house's security policy from the tables that enforce it. */
#include "cli/serve.h"

#include "ipc/room.h"
#include "os/sandbox.h"

static void print_matrix(struct buf *out)
{
	buf_add_str(out, "Introductions (who may ask whom, for what; all others may not talk):\n");
	for (int from = 0; from < IPC_ROOM_COUNT; from++) {
		for (int to = 0; to < IPC_ROOM_COUNT; to++) {
			if (!ipc_may_introduce((enum ipc_room)from, (enum ipc_room)to))
				continue;
			buf_printf(
			        out, "  %-12s -> %-10s %s\n", ipc_room_name((enum ipc_room)from),
			        ipc_room_name((enum ipc_room)to),
			        ipc_introduction_purpose((enum ipc_room)from, (enum ipc_room)to));
		}
	}
	buf_add_str(out, "\nWalls:\n");
	for (int room = 0; room < SANDBOX_ROOM_COUNT; room++)
		sandbox_describe((enum sandbox_room)room, false, out);
}

static void print_matrix_json(struct buf *out)
{
	bool first = true;
	buf_add_str(out, "{\"introductions\":[");
	for (int from = 0; from < IPC_ROOM_COUNT; from++) {
		for (int to = 0; to < IPC_ROOM_COUNT; to++) {
			if (!ipc_may_introduce((enum ipc_room)from, (enum ipc_room)to))
				continue;
			buf_printf(
			        out, "%s{\"from\":\"%s\",\"to\":\"%s\",\"purpose\":\"%s\"}",
			        first ? "" : ",", ipc_room_name((enum ipc_room)from),
			        ipc_room_name((enum ipc_room)to),
			        ipc_introduction_purpose((enum ipc_room)from, (enum ipc_room)to));
			first = false;
		}
	}
	buf_add_str(out, "],\"walls\":[");
	for (int room = 0; room < SANDBOX_ROOM_COUNT; room++) {
		if (room > 0)
			buf_add_str(out, ",");
		sandbox_describe((enum sandbox_room)room, true, out);
	}
	buf_add_str(out, "]}\n");
}

void cli_rooms_print(bool json, struct buf *out)
{
	if (json)
		print_matrix_json(out);
	else
		print_matrix(out);
}
