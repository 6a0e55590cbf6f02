/* What the sandbox's tests try, from inside: things that a room must not do and things it must be
 * able to do. For tests only. */
#pragma once

#include "os/sandbox.h"
#include "os/socket.h"

/* The world around the rooms, made before any of them is entered. */
struct scene {
	char base[48];    /* directory of all that follows */
	char secret[96];  /* another account's file, absolute */
	char outside[96]; /* a directory that everybody may write to, with "file" in it */
	int own_dir;      /* of the room under test; each has "existing" and "link-out" */
	int list_dir;     /* has "readme"; -1 where the room has no list */
	int listener;     /* TCP on loopback, kept open in every room */
	int connection;   /* an established TCP connection whose other end echoes nothing */
	int channel;      /* SEQPACKET pair to the test */
	struct os_address listener_at;
	struct os_address other_at; /* another listener, on a port that no list names */
	pid_t sibling;              /* a process of the same user */
	bool as_root;
	int landlock_abi;
};

enum outcome {
	OUTCOME_DONE = 0,
	OUTCOME_REFUSED = 1,
	OUTCOME_TRAPPED = 2, /* ended by SIGSYS */
	OUTCOME_BROKEN = 3,  /* anything else */
};

#define ROOM(id)  (1U << SANDBOX_##id)
#define ROOMS_ALL ((1U << SANDBOX_ROOM_COUNT) - 1)

struct attempt {
	const char *name;
	enum outcome (*run)(const struct scene *scene);
	unsigned may;    /* rooms in which it must succeed */
	unsigned unsaid; /* rooms in which it is not tried */
	bool trapped;    /* elsewhere it must be ended by SIGSYS (by seccomp, not by chance) */
	int landlock;    /* needs this ABI; 0: none */
};
extern const struct attempt sandbox_attempts[];
extern const size_t n_sandbox_attempts;
