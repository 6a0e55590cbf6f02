/* {"command":"dns-lookup","name":"example.org","type":15,"timeout_ms":30000} and its answer, packed
 * as between rooms, in base64. */
#include "cli/dns_running.h"

#include "base/encode.h"
#include "cli/control.h"

#define TIMEOUT_MAX_MS (CONTROL_TIMEOUT_MS - 5000) /* the answer is to be on its way by then */

static struct status unpack(const json_t *reply, struct arena *arena,
                            const struct dns_answer **ret_answer)
{
	const char *text = json_string_value(json_object_get(reply, "answer"));
	struct buf packed;
	buf_init(&packed, DNS_PACKED_MAX);
	struct status status = text ? base64_decode(slice_str(text), &packed)
	                            : fail(ERR_PROTOCOL, "the server's reply holds no answer");
	if (is_ok(status))
		status = dns_answer_unpack(buf_slice(&packed), arena, ret_answer);
	buf_done(&packed);
	return status;
}

/* `why` lies in the arena. */
static struct status refusal(const json_t *reply, struct arena *arena)
{
	const char *why = json_string_value(json_array_get(json_object_get(reply, "errors"), 0));
	const char *copy = arena_cstr(arena, slice_str(why ? why : "the server refused"));
	return fail(ERR_DENIED, copy ? copy : "");
}

static struct status ask(const struct cli_running *running, struct dns_name name,
                         enum dns_type type, int timeout_ms, struct arena *arena,
                         const struct dns_answer **ret_answer)
{
	json_t *reply = NULL;
	json_t *request =
	        json_pack("{s:s, s:s, s:i, s:i}", "command", "dns-lookup", "name", name.text,
	                  "type", (int)type, "timeout_ms", MIN(timeout_ms, TIMEOUT_MAX_MS));
	struct status status = control_call(running->data_directory, request, &reply);
	json_decref(request);
	TRY(status);
	status = json_is_true(json_object_get(reply, "ok")) ? unpack(reply, arena, ret_answer)
	                                                    : refusal(reply, arena);
	json_decref(reply);
	return status;
}

static struct status running_lookup(const struct dns_resolver *resolver, struct dns_name name,
                                    enum dns_type type, int timeout_ms, struct arena *arena,
                                    const struct dns_answer **ret_answer)
{
	const struct dns_answer *answer = NULL;
	struct status status = ask(resolver->context, name, type, timeout_ms, arena, &answer);
	if (!is_ok(status) && !arena_failed(arena)) {
		const char *why =
		        arena_printf(arena, "the running server gave no answer: %s", status.why);
		answer =
		        dns_answer_failed(name, type, DNS_FAILURE_TEMPORARY, why ? why : "", arena);
	}
	if (!answer || arena_failed(arena))
		return fail(ERR_LIMIT, "no room for an answer");
	*ret_answer = answer;
	return ok();
}

void cli_running_init(struct cli_running *running, const char *data_directory)
{
	static const struct dns_resolver_ops ops = {.lookup = running_lookup};
	*running = (struct cli_running){.data_directory = data_directory};
	running->resolver = (struct dns_resolver){.ops = &ops, .context = running};
}
