/* `mailkeep rooms`: prints the house's security policy from the tables that enforce it. */
#include "cli/serve.h"

#include "ipc/request.h"
#include "os/sandbox.h"

/* "deliver", "open_session"; each in quotes for JSON. */
static void print_requests(enum ipc_room from, enum ipc_room to, const char *quote, struct buf *out)
{
	const char *between = "";
	for (unsigned request = 0; request < IPC_REQUEST_MAX; request++) {
		if (!ipc_may_request(from, to, request))
			continue;
		buf_printf(out, "%s%s%s%s", between, quote, ipc_request_name(to, request), quote);
		between = *quote ? "," : ", ";
	}
}

static void print_asks(enum ipc_room from, enum ipc_room to, struct buf *out)
{
	struct buf names;
	buf_init(&names, 4096);
	print_requests(from, to, "", &names);
	if (buf_slice(&names).n > 0)
		buf_printf(out, "%-17s asks: %s\n", "", buf_cstr(&names));
	buf_done(&names);
}

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
			print_asks((enum ipc_room)from, (enum ipc_room)to, out);
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
			        out,
			        "%s{\"from\":\"%s\",\"to\":\"%s\",\"purpose\":\"%s\",\"requests\":"
			        "[",
			        first ? "" : ",", ipc_room_name((enum ipc_room)from),
			        ipc_room_name((enum ipc_room)to),
			        ipc_introduction_purpose((enum ipc_room)from, (enum ipc_room)to));
			print_requests((enum ipc_room)from, (enum ipc_room)to, "\"", out);
			buf_add_str(out, "]}");
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
