/* The table in words and in JSON, made from the table itself. */
#include "os/sandbox_private.h"

#include <linux/capability.h>

static const char *files_words(enum sandbox_files files)
{
	switch (files) {
	case FILES_ANY:
		return "any (it starts the other rooms)";
	case FILES_NONE:
		return "no directory of its own";
	case FILES_SPOOL:
		return "new files in its spool directory; none that exists";
	case FILES_OWN:
		return "its own directory, nothing outside";
	}
	BUG("unknown kind of files");
}

static const char *network_words(enum sandbox_network network)
{
	switch (network) {
	case NETWORK_ANY:
		return "any (it binds the ports)";
	case NETWORK_NONE:
		return "none but the connections it is given; empty network namespace";
	case NETWORK_INHERITED:
		return "none but the connections it is given; the zygote's empty network namespace";
	case NETWORK_TCP:
		return "outbound TCP";
	case NETWORK_MAIL:
		return "outbound TCP to port 25 and those of the configured transports";
	case NETWORK_DNS:
		return "outbound UDP and TCP to DNS ports";
	}
	BUG("unknown kind of network");
}

static const char *capability_name(int cap)
{
	switch (cap) {
	case CAP_CHOWN:
		return "chown";
	case CAP_DAC_OVERRIDE:
		return "dac_override";
	case CAP_FOWNER:
		return "fowner";
	case CAP_KILL:
		return "kill";
	case CAP_SETGID:
		return "setgid";
	case CAP_SETUID:
		return "setuid";
	case CAP_SETPCAP:
		return "setpcap";
	case CAP_NET_BIND_SERVICE:
		return "net_bind_service";
	case CAP_SYS_CHROOT:
		return "sys_chroot";
	case CAP_SYS_ADMIN:
		return "sys_admin";
	case CAP_SYS_RESOURCE:
		return "sys_resource";
	default:
		return "other"; /* caught by a test */
	}
}

static void add_list_item(struct buf *out, bool json, bool first, const char *text)
{
	if (!first)
		buf_add_str(out, json ? "," : ", ");
	buf_printf(out, json ? "\"%s\"" : "%s", text);
}

static void add_capabilities(const struct sandbox_policy *p, bool json, struct buf *out)
{
	bool first = true;
	for (int cap = 0; cap < 64; cap++) {
		if (!(p->capabilities & (uint64_t)1 << cap))
			continue;
		add_list_item(out, json, first, capability_name(cap));
		first = false;
	}
	if (first && !json)
		buf_add_str(out, "none");
}

static void add_groups(const struct sandbox_policy *p, bool json, struct buf *out)
{
	bool first = true;
	for (unsigned g = 0; g < SANDBOX_GROUP_COUNT; g++) {
		if (!(p->groups & 1U << g))
			continue;
		if (!json)
			buf_printf(out, "%s%s", first ? "" : ";\n                 ",
			           sandbox_group_words(g));
		else
			add_list_item(out, true, first, sandbox_group_words(g));
		first = false;
	}
}

static void add_size(const char *label, uint64_t value, struct buf *out)
{
	if (value)
		buf_printf(out, ", %s %" PRIu64 " MB", label, value / MIB);
}

static void describe_text(enum sandbox_room room, const struct sandbox_policy *p, struct buf *out)
{
	buf_printf(out, "%s\n  purpose:       %s\n", sandbox_room_name(room), p->purpose);
	buf_printf(out, "  files:         %s%s\n", files_words(p->files),
	           p->read_list ? "; a list of files to read" : "");
	buf_printf(out, "  network:       %s\n", network_words(p->network));
	buf_add_str(out, "  capabilities:  ");
	add_capabilities(p, false, out);
	buf_add_str(out, "\n  system calls:  ");
	add_groups(p, false, out);
	buf_printf(out, "\n  limits:        %" PRIu64 " descriptors", p->n_files_max);
	add_size("memory", p->memory_max, out);
	add_size("file size", p->file_size_max, out);
	if (p->n_tasks_max)
		buf_printf(out, ", %" PRIu64 " threads of its user", p->n_tasks_max);
	buf_add_str(out, "\n  always:        no_new_privs, no core dumps");
	if (p->files != FILES_ANY)
		buf_add_str(out, ", memory hidden from other processes, no executable memory");
	buf_add_str(out, "\n");
}

static void describe_json(enum sandbox_room room, const struct sandbox_policy *p, struct buf *out)
{
	buf_printf(out, "{\"room\":\"%s\",\"purpose\":\"%s\",\"files\":\"%s\",\"read_list\":%s,",
	           sandbox_room_name(room), p->purpose, files_words(p->files),
	           p->read_list ? "true" : "false");
	buf_printf(out, "\"network\":\"%s\",\"capabilities\":[", network_words(p->network));
	add_capabilities(p, true, out);
	buf_add_str(out, "],\"system_calls\":[");
	add_groups(p, true, out);
	buf_printf(out,
	           "],\"limits\":{\"descriptors\":%" PRIu64 ",\"memory\":%" PRIu64
	           ",\"file_size\":%" PRIu64 ",\"threads_of_user\":%" PRIu64 "}}",
	           p->n_files_max, p->memory_max, p->file_size_max, p->n_tasks_max);
}

void sandbox_describe(enum sandbox_room room, bool json, struct buf *out)
{
	ASSERT((unsigned)room < SANDBOX_ROOM_COUNT);
	const struct sandbox_policy *policy = &sandbox_policies[room];
	if (json)
		describe_json(room, policy, out);
	else
		describe_text(room, policy, out);
}
