/* One account's mail: mailboxes, messages, flags, changes. Life: open, use from many threads,
 * close.
 *
 * The store owns the account's directory alone (one process, DESIGN "one account, one room"). Every
 * function may be called from any thread of it. Functions that change something block until the
 * change is durable (one fsync, shared by all callers that wait at the same time) and have no
 * effect when they fail. Reading never waits for a writer.
 *
 * Mailboxes are seen through *views*: immutable, reference-counted snapshots of a mailbox's message
 * list that share what did not change. A session holds one view, which gives it the stable sequence
 * numbers that RFC 3501 section 7.4.1 demands, and moves to a newer one when its protocol allows.
 *
 * Names are UTF-8 in NFC, hierarchy separator '/', "INBOX" in any case is "Inbox".
 */
#pragma once

#include "base/arena.h"
#include "base/clock.h"
#include "base/status.h"

struct store;
struct store_view;

struct store_uid {
	uint32_t v; /* 1.. ; 0 means none */
};

struct store_mailbox_id {
	int64_t v; /* > 0; never reused in an account */
};

struct store_message_id {
	int64_t v; /* > 0; names the immutable content; several mailboxes may show the same content
	            */
};

/* Limits. Each is enforced with ERR_LIMIT and has a test. */
#define STORE_NAME_MAX         1000u /* bytes of a mailbox name */
#define STORE_NAME_DEPTH_MAX   50u   /* levels */
#define STORE_MAILBOXES_MAX    10000u
#define STORE_KEYWORDS_MAX     56u          /* different keywords in one mailbox */
#define STORE_KEYWORD_SIZE_MAX 100u         /* bytes of a keyword */
#define STORE_NOTE_MAX         (64u * 1024) /* bytes of a note */
#define STORE_PREFIX_MAX       (64u * 1024) /* bytes of generated header lines before a body */

/* Flags are one 64-bit set: system flags low, a mailbox's keywords from STORE_KEYWORD_BIT upwards
 * in the order of its keyword list. */
#define STORE_SEEN        (UINT64_C(1) << 0)
#define STORE_ANSWERED    (UINT64_C(1) << 1)
#define STORE_FLAGGED     (UINT64_C(1) << 2)
#define STORE_DELETED     (UINT64_C(1) << 3)
#define STORE_DRAFT       (UINT64_C(1) << 4)
#define STORE_KEYWORD_BIT 8

enum store_special_use { /* RFC 6154; REJECTS is ours and not announced as an attribute */
	                 STORE_USE_NONE,
	                 STORE_USE_INBOX,
	                 STORE_USE_ARCHIVE,
	                 STORE_USE_DRAFTS,
	                 STORE_USE_JUNK,
	                 STORE_USE_SENT,
	                 STORE_USE_TRASH,
	                 STORE_USE_REJECTS,
};

/* Makes the text columns that the store keeps beside a message without understanding them. Called
 * while a message is added, on a whole message (prefix and body) through `read`. */
struct store_reader {
	uint64_t size;
	/* Up to n bytes at offset; fewer only at the end. */
	struct status (*read)(const struct store_reader *r, uint64_t offset, uint8_t *p, size_t n,
	                      size_t *ret_n);
};
struct store_summary {
	struct slice envelope;      /* IMAP text of ENVELOPE, with its parentheses */
	struct slice bodystructure; /* IMAP text of BODYSTRUCTURE (extensible form) */
	struct slice body;          /* IMAP text of BODY (basic form) */
	int64_t sent_at;  /* Date header, unix seconds, civil date as RFC 3501 SENTON wants
	                   * in sent_day; INT64_MIN when there is none or it is broken */
	int32_t sent_day; /* days since 1970-01-01 in the header's own zone */
};
struct store_options {
	const struct clock *clock;
	uint64_t quota_size;    /* bytes; 0 = unlimited */
	uint64_t inline_max;    /* bodies up to this stand in the index; 0 = the default, 64 KB */
	uint32_t expunged_keep; /* change log entries kept for QRESYNC; 0 = the default, 100,000 */
	/* Required. The slices are copied before the arena is reset. A failure (never because the
	 * message is strange: any bytes are a message) fails the append. */
	struct status (*summarize)(const struct store_reader *r, struct arena *arena,
	                           struct store_summary *ret_summary);
	/* For fault tests: an SQLite VFS by name and the system calls of message files (blob.h);
	 * NULL for the real ones. */
	const char *vfs;
	const struct blob_io *blob_io;
};

/* Sets the database library up; once a process, while it has one thread (a zygote before it forks).
 * store_open does it otherwise. */
void store_prepare_process(void);

/* dir_fd: the account's directory; stays the caller's (the store opens it again). Where /proc is
 * out of reach (chroot), it must also be the working directory when this is called and stay so.
 * Creates or migrates the index, sweeps what a crash left, makes the default mailboxes (Inbox,
 * Sent, Drafts, Archive, Trash, Junk, Rejects; all subscribed) in a new account. BUSY when another
 * process has the account open, CORRUPT with a reason when the index is damaged, UNSUPPORTED when a
 * newer version wrote it. */
struct status store_open(int dir_fd, const struct store_options *options, struct store **ret_store);
void store_close(struct store *store); /* no other call may be under way; NULL is fine */

/* For when the account has had nothing to do for some seconds: removes what is left of expunged
 * messages, then lets go of all memory that is not in use (connections, caches, views without
 * users). The next call opens again what it needs, which takes about a millisecond. Any thread, any
 * time; blocks others for moments only. */
struct status store_idle(struct store *store);

/* ---- mailboxes ------------------------------------------------------------------------------ */

struct store_mailbox {
	struct store_mailbox_id id; /* {0} for a name that is only subscribed or only a parent */
	struct slice name;
	enum store_special_use special_use;
	bool exists; /* can be selected */
	bool subscribed;
	bool has_children; /* an existing mailbox below it */
	uint32_t uid_validity;
	uint32_t uid_next;
	uint64_t highest_modseq; /* >= 1 */
	uint32_t n_messages;
	uint32_t n_unseen;
	uint32_t n_deleted;
	uint64_t size; /* bytes of its messages */
};

/* All names: existing mailboxes, their missing parents, subscriptions without a mailbox; sorted by
 * name, Inbox first. */
struct status store_mailboxes(struct store *store, struct arena *arena,
                              struct store_mailbox **ret_list, size_t *ret_n);
/* NOT_FOUND when no such mailbox exists. */
struct status store_mailbox_find(struct store *store, struct slice name, struct arena *arena,
                                 struct store_mailbox *ret_mailbox);
/* The one of a special use; NOT_FOUND when none has it. */
struct status store_mailbox_find_use(struct store *store, enum store_special_use use,
                                     struct arena *arena, struct store_mailbox *ret_mailbox);
/* By id, for a session whose mailbox was renamed meanwhile. */
struct status store_mailbox_get(struct store *store, struct store_mailbox_id id,
                                struct arena *arena, struct store_mailbox *ret_mailbox);

/* NFC, "INBOX" folded, no empty level, no control characters, limits; INVALID says what is wrong.
 */
struct status store_name_normalize(struct slice name, struct arena *arena, struct slice *ret_name);

/* Makes missing parents too. EXISTS, also when another mailbox has the special use. */
struct status store_mailbox_create(struct store *store, struct slice name,
                                   enum store_special_use use, struct store_mailbox_id *ret_id);
/* Gives an existing mailbox a special use, or takes it away (STORE_USE_NONE). One that another
 * mailbox has is taken over from it if take_use, else EXISTS. Inbox: DENIED. */
struct status store_mailbox_set_use(struct store *store, struct slice name,
                                    enum store_special_use use, bool take_use);
/* Its messages go with it, its name stays in the list while it has children. Inbox: DENIED. */
struct status store_mailbox_delete(struct store *store, struct slice name);
/* With all below it. Inbox: its messages move to the new mailbox, Inbox stays (RFC 3501 6.3.5). */
struct status store_mailbox_rename(struct store *store, struct slice from, struct slice to);
struct status store_subscribe(struct store *store, struct slice name, bool subscribed);

/* ---- views ---------------------------------------------------------------------------------- */

struct store_entry {
	struct store_uid uid;
	struct store_message_id message;
	uint64_t flags;
	uint64_t modseq;
	uint64_t size;       /* bytes as seen by a reader: prefix and body */
	int64_t received_at; /* INTERNALDATE, unix seconds */
	int64_t saved_at;    /* when it came into this mailbox, unix seconds (RFC 8514) */
};

/* The newest view of a mailbox; the caller gets a reference. Cheap when the mailbox is warm. */
struct status store_view_open(struct store *store, struct store_mailbox_id id,
                              struct store_view **ret_view);
struct store_view *store_view_ref(struct store_view *view);
void store_view_unref(struct store_view *view); /* NULL is fine */

uint32_t store_view_count(const struct store_view *view);
uint32_t store_view_uid_validity(const struct store_view *view);
uint32_t store_view_uid_next(const struct store_view *view);
uint64_t store_view_modseq(const struct store_view *view); /* highest modseq it includes */
/* Names of the keywords of bits STORE_KEYWORD_BIT...; valid as long as the view. */
size_t store_view_keywords(const struct store_view *view, const struct slice **ret_names);
/* index 0..count-1 (sequence number - 1). */
const struct store_entry *store_view_at(const struct store_view *view, uint32_t index);
/* Index of the first entry with uid >= the given one; count when there is none. */
uint32_t store_view_lower_bound(const struct store_view *view, struct store_uid uid);

/* What happened between two views of the same mailbox, told in this order: expunged (indexes in the
 * *old* view, highest first, so that each is right at the time it is told), then changed (indexes
 * in the *new* view, flags or modseq differ), then how many are new at the end. Unchanged parts
 * cost nothing. */
struct store_view_diff_ops {
	void (*expunged)(void *context, uint32_t old_index, const struct store_entry *entry);
	void (*changed)(void *context, uint32_t new_index, const struct store_entry *entry);
	void (*added)(void *context, uint32_t new_count, uint32_t n_added);
};
void store_view_diff(const struct store_view *from, const struct store_view *to,
                     const struct store_view_diff_ops *ops, void *context);

/* UIDs expunged after modseq (RFC 7162 VANISHED), ascending. *ret_complete is false when the log no
 * longer reaches back that far: then the list holds every UID below uid_next that does not exist.
 */
struct status store_expunged_since(struct store *store, struct store_mailbox_id id, uint64_t modseq,
                                   struct arena *arena, struct store_uid **ret_uids, size_t *ret_n,
                                   bool *ret_complete);

/* ---- being told ----------------------------------------------------------------------------- */

/* A watcher's eventfd becomes readable after any change to its mailbox (or, with id {0}, to the
 * list of mailboxes or to any of them). The caller owns the struct and keeps it where it is until
 * store_unwatch, which may be called twice. */
struct store_watcher {
	int event_fd; /* in: the caller's own eventfd, or -1 for a new one that store_unwatch
	               * closes; read it (8 bytes) to reset */
	struct store_mailbox_id mailbox;
	struct store_watcher *next, **link; /* the store's */
	bool owns_fd;
};
struct status store_watch(struct store *store, struct store_mailbox_id id, struct store_watcher *w);
void store_unwatch(struct store *store, struct store_watcher *w);

/* ---- adding --------------------------------------------------------------------------------- */

/* A body under way into the store: written in pieces, in memory up to the inline limit and from
 * there in an unlinked file of the account's own. */
struct store_spool;
struct status store_spool_new(struct store *store, struct store_spool **ret_spool);
struct status store_spool_write(struct store_spool *spool, struct slice bytes);
uint64_t store_spool_size(const struct store_spool *spool);
/* Reads back what was written so far. */
struct store_reader *store_spool_reader(struct store_spool *spool);
void store_spool_free(struct store_spool *spool); /* also after a successful append; NULL is fine */

struct store_append {
	/* in */
	struct store_mailbox_id mailbox;
	struct store_spool *spool; /* the body; or, when NULL, fd and size: */
	int fd;                    /* read from offset 0 with pread; stays the caller's */
	uint64_t size;
	struct slice prefix; /* generated header lines, each with CRLF; may be empty */
	uint64_t flags;      /* system flags only */
	const struct slice *keywords;
	size_t n_keywords;
	int64_t received_at; /* unix seconds */
	/* Not empty: a second append with the same id within a day has no effect and gives the
	 * first one's result, so that a caller that lost the answer may ask again. At most 64
	 * bytes. */
	struct slice delivery_id;
	/* What is known about the message beside its bytes, such as why it was accepted; opaque
	 * here, kept as long as the message. May be empty. */
	struct slice note;
	/* out, when status is OK */
	struct status status;
	uint32_t uid_validity;
	struct store_uid uid;
	struct store_message_id message;
};

/* Adds n messages in one durable commit, shared with other callers of the moment. Each has its own
 * status (QUOTA, NOT_FOUND mailbox, LIMIT keywords ...); those that fail leave nothing. With
 * all_or_none one failure undoes all of this call. UIDs ascend in the order given. */
void store_append(struct store *store, struct store_append *appends, size_t n, bool all_or_none);

/* ---- changing ------------------------------------------------------------------------------- */

/* A set of messages: ascending, disjoint UID ranges; UIDs that do not exist are ignored. */
struct store_uid_range {
	struct store_uid first, last; /* first <= last */
};
struct store_uids {
	const struct store_uid_range *ranges;
	size_t n;
};

enum store_flags_op { STORE_FLAGS_ADD, STORE_FLAGS_REMOVE, STORE_FLAGS_REPLACE };

/* unchanged_since: UINT64_MAX for no condition; messages changed after it are left alone and listed
 * (RFC 7162 UNCHANGEDSINCE). Entries whose flags do not change keep their modseq. */
struct status store_flags_update(struct store *store, struct store_mailbox_id id,
                                 struct store_uids uids, enum store_flags_op op,
                                 uint64_t system_flags, const struct slice *keywords,
                                 size_t n_keywords, uint64_t unchanged_since, struct arena *arena,
                                 struct store_uid **ret_modified, size_t *ret_n_modified);

/* New UIDs in `to`, in the order of the old; `move` removes them from `from` in the same commit.
 * Flags and received_at stay. ret_from and ret_to correspond element by element. */
struct status store_copy(struct store *store, struct store_mailbox_id from, struct store_uids uids,
                         struct store_mailbox_id to, bool move, struct arena *arena,
                         uint32_t *ret_uid_validity, struct store_uid **ret_from,
                         struct store_uid **ret_to, size_t *ret_n);

/* Removes those of the set that have STORE_DELETED (all of the mailbox when uids.n == 0), or the
 * whole set when not only_deleted. */
struct status store_expunge(struct store *store, struct store_mailbox_id id, struct store_uids uids,
                            bool only_deleted, uint32_t *ret_n);

/* ---- reading -------------------------------------------------------------------------------- */

/* A message's bytes: prefix then body. Stays readable until freed, even when expunged meanwhile. */
struct store_blob;
struct status store_blob_open(struct store *store, struct store_message_id id,
                              struct store_blob **ret_blob);
struct store_reader *store_blob_reader(struct store_blob *blob);
/* The whole message where it is in memory (inline bodies); false for those in files. */
bool store_blob_bytes(struct store_blob *blob, struct slice *ret_bytes);
/* The parts of a message whose body is in a file: the prefix and the open file, both the blob's. */
bool store_blob_file(struct store_blob *blob, struct slice *ret_prefix, int *ret_fd);
void store_blob_free(struct store_blob *blob); /* NULL is fine */

/* The note that came with the message; empty when there was none. */
struct status store_note(struct store *store, struct store_message_id id, struct arena *arena,
                         struct slice *ret_note);

/* Many messages one after another, as a session goes through a mailbox: bodies in the index are
 * read together. A batch and the blobs it gave belong to one thread. */
#define STORE_BATCH_MAX  256u
#define STORE_BATCH_SIZE ((size_t)256 * 1024)
struct store_batch;
struct store_batch *store_batch_new(struct store *store);
void store_batch_free(struct store_batch *batch); /* NULL is fine; its blobs stay */
/* Reads ahead: the first of these messages and the next ones until STORE_BATCH_MAX of them or
 * STORE_BATCH_SIZE bytes are reached. *ret_n: how many (0 when n is). Fails only where the index
 * cannot be read at the first one. */
struct status store_batch_read(struct store_batch *batch, const struct store_message_id *ids,
                               size_t n, size_t *ret_n);
/* The i-th of those read last, as store_blob_open would give it, checked and owned alike. */
struct status store_batch_open(struct store_batch *batch, size_t i, struct store_blob **ret_blob);

/* Summaries of many messages in one pass: called for each entry of the view in [first, last]
 * (indexes, inclusive) that `want` (may be NULL: all) admits, in order. The slices live during the
 * call only. Stops when `each` fails and returns its status. A message expunged meanwhile is
 * skipped. */
enum store_summary_columns {
	STORE_COLUMN_ENVELOPE = 1,
	STORE_COLUMN_BODYSTRUCTURE = 2,
	STORE_COLUMN_BODY = 4,
	STORE_COLUMN_SENT = 8,
};
struct store_summary_ops {
	bool (*want)(void *context, uint32_t index, const struct store_entry *entry);
	struct status (*each)(void *context, uint32_t index, const struct store_entry *entry,
	                      const struct store_summary *summary);
};
struct status store_summaries(struct store *store, const struct store_view *view, uint32_t first,
                              uint32_t last, unsigned columns, const struct store_summary_ops *ops,
                              void *context);

struct store_usage {
	uint64_t size;  /* bytes counted against the quota */
	uint64_t quota; /* 0 = unlimited */
	uint64_t n_messages;
};
struct status store_usage(struct store *store, struct store_usage *ret_usage);

/* Checks everything that can be checked: checksums of bodies, counts, UIDs, references, files
 * without index and the other way round. `problem` is called for each finding. For `mailkeep
 * verifydata`. */
struct status store_verify(struct store *store, void (*problem)(void *context, const char *text),
                           void *context);
