/* STORE (RFC 9051 section 6.4.6; UNCHANGEDSINCE RFC 7162 section 3.1.3).
 *
 *   store = "STORE" SP sequence-set [SP "(" "UNCHANGEDSINCE" SP mod-sequence-value ")"]
 *           SP ["+" / "-"] "FLAGS" [".SILENT"] SP (flag-list / (flag *(SP flag)))
 */
#include "imap/session_private.h"

struct store_command {
	struct imap_set uids;
	bool conditional;
	uint64_t unchanged_since;
	enum store_flags_op op;
	bool silent;
	struct imap_flags flags;
};

static void read_command(struct imap_session *s, struct imap_args *args, struct store_command *cmd)
{
	struct cursor *c = &args->c;
	cmd->unchanged_since = UINT64_MAX;
	if (!imap_read_set(s, args, &cmd->uids))
		return;
	imap_sp(c);
	if (cursor_skip(c, '(')) {
		if (!cursor_skip_text(c, "UNCHANGEDSINCE "))
			cursor_fail(c, "the only condition of STORE is UNCHANGEDSINCE");
		cmd->conditional = true;
		cmd->unchanged_since = imap_number64(c);
		cursor_expect(c, ')', "STORE's condition is not closed");
		imap_sp(c);
	}
	cmd->op = cursor_skip(c, '+')   ? STORE_FLAGS_ADD
	          : cursor_skip(c, '-') ? STORE_FLAGS_REMOVE
	                                : STORE_FLAGS_REPLACE;
	if (!cursor_skip_text(c, "FLAGS"))
		cursor_fail(c, "STORE changes FLAGS, +FLAGS or -FLAGS");
	cmd->silent = cursor_skip_text(c, ".SILENT");
	imap_sp(c);
	imap_read_store_flags(c, &s->arena, &cmd->flags);
	cursor_expect_end(c, "nothing may follow STORE's flags");
}

static uint64_t keyword_bits(const struct store_view *view, const struct imap_flags *flags)
{
	const struct slice *names;
	uint64_t bits = 0;
	size_t n = store_view_keywords(view, &names);
	for (size_t i = 0; i < n; i++)
		for (size_t k = 0; k < flags->n_keywords; k++)
			if (slice_ieq(names[i], flags->keywords[k]))
				bits |= UINT64_C(1) << (STORE_KEYWORD_BIT + i);
	return bits;
}

static uint64_t expected_flags(const struct store_command *cmd, uint64_t before, uint64_t bits)
{
	switch (cmd->op) {
	case STORE_FLAGS_ADD:
		return before | bits;
	case STORE_FLAGS_REMOVE:
		return before & ~bits;
	case STORE_FLAGS_REPLACE:
		break;
	}
	return bits;
}

static bool is_among(const struct store_uid *uids, size_t n, struct store_uid uid)
{
	size_t low = 0, high = n;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (uids[middle].v < uid.v)
			low = middle + 1;
		else
			high = middle;
	}
	return low < n && uids[low].v == uid.v;
}

static void tell_modseq(struct imap_session *s, uint32_t index, const struct store_entry *entry)
{
	imap_out_str(&s->out, "* ");
	imap_out_u64(&s->out, (uint64_t)index + 1);
	imap_out_str(&s->out, " FETCH (UID ");
	imap_out_u64(&s->out, entry->uid.v);
	imap_out_str(&s->out, " MODSEQ (");
	imap_out_u64(&s->out, entry->modseq);
	imap_out_str(&s->out, "))\r\n");
}

/* The messages by their numbers in the session's view, with the flags that the newest one has. What
 * another session changed at the same time is told also to a silent STORE. */
static void tell_results(struct imap_session *s, const struct imap_args *args,
                         const struct store_command *cmd, const struct store_view *now,
                         const struct store_uid *modified, size_t n_modified)
{
	uint64_t bits = cmd->flags.system_bits | keyword_bits(now, &cmd->flags);
	struct imap_set_walk walk = imap_set_walk_of(s->selected.view, &cmd->uids);
	const struct store_entry *before;
	uint32_t index, at = 0, n_now = store_view_count(now);
	while (imap_set_next(&walk, &index, &before)) {
		if (n_modified > 0 && is_among(modified, n_modified, before->uid))
			continue;
		/* Both views ascend: most often the next one is it. */
		const struct store_entry *entry = at < n_now ? store_view_at(now, at) : NULL;
		if (!entry || entry->uid.v != before->uid.v) {
			at = store_view_lower_bound(now, before->uid);
			entry = at < n_now ? store_view_at(now, at) : NULL;
		}
		if (!entry)
			break;
		if (entry->uid.v != before->uid.v)
			continue; /* expunged meanwhile */
		at++;
		bool as_expected = entry->flags == expected_flags(cmd, before->flags, bits);
		if (!cmd->silent || !as_expected)
			imap_tell_flags(s, index, entry, now, args->uid);
		else if (imap_has(s, IMAP_CONDSTORE) && entry->modseq != before->modseq)
			tell_modseq(s, index, entry);
		imap_remember_told(s, index, now);
	}
}

/* RFC 7162 section 3.1.3: [MODIFIED set], in the numbers of the command's own kind. */
static const char *modified_code(struct imap_session *s, const struct imap_args *args,
                                 const struct store_uid *modified, size_t n)
{
	struct imap_set_builder failed = {0};
	struct buf buf;
	for (size_t i = 0; i < n; i++) {
		uint32_t index = store_view_lower_bound(s->selected.view, modified[i]);
		imap_set_add(&failed, args->uid ? modified[i].v : index + 1);
	}
	buf_init(&buf, IMAP_COMMAND_MEMORY);
	buf_add_str(&buf, "MODIFIED ");
	for (size_t i = 0; i < failed.set.n; i++) {
		const struct store_uid_range *range = &failed.set.v[i];
		buf_printf(&buf, "%s%" PRIu32, i ? "," : "", range->first.v);
		if (range->last.v != range->first.v)
			buf_printf(&buf, ":%" PRIu32, range->last.v);
	}
	char *code = arena_cstr(&s->arena, buf_slice(&buf));
	buf_done(&buf);
	imap_set_builder_done(&failed);
	return code;
}

static struct imap_reply run_store(struct imap_session *s, const struct imap_args *args,
                                   const struct store_command *cmd)
{
	struct store_uid *modified = NULL;
	struct store_view *now;
	size_t n_modified = 0;
	struct status status = store_flags_update(
	        s->store, s->selected.id, imap_set_uids(&cmd->uids), cmd->op,
	        cmd->flags.system_bits, cmd->flags.keywords, cmd->flags.n_keywords,
	        cmd->unchanged_since, &s->arena, &modified, &n_modified);
	if (is_ok(status))
		status = store_view_open(s->store, s->selected.id, &now);
	if (!is_ok(status))
		return imap_no_status(status);
	const struct slice *names;
	size_t n_names = store_view_keywords(now, &names);
	if (n_names > s->selected.n_keywords_told) {
		struct store_view *view = s->selected.view;
		s->selected.view = now;
		imap_tell_flag_names(s);
		s->selected.view = view;
	}
	tell_results(s, args, cmd, now, modified, n_modified);
	store_view_unref(now);
	if (n_modified == 0)
		return imap_ok("STORE done");
	return (struct imap_reply){IMAP_OK, modified_code(s, args, modified, n_modified),
	                           "STORE done, but for messages that were changed meanwhile"};
}

struct imap_reply imap_cmd_store(struct imap_session *s, struct imap_args *args)
{
	struct store_command cmd = {0};
	read_command(s, args, &cmd);
	if (!cursor_ok(&args->c))
		return imap_bad_cursor(&args->c);
	if (cmd.conditional)
		imap_enable_condstore(s);
	if (cmd.uids.n == 0)
		return imap_ok("STORE done, there was nothing to do");
	return run_store(s, args, &cmd);
}
