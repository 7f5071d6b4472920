/* SPDX-License-Identifier: MIT */
/* What the two kinds of clipboard have in common; for src/help/clipboard*.c only. */
#pragma once
#include "clipboard.h"
#include "help.h"

#define CLIPBOARD_ANSWER_MS 3000 /* for who holds the clipboard to send it, and for a server to say what it can do */

struct clipboard_text {
	char *bytes; /* CLIPBOARD_TEXT_MAX */
	size_t n;
};

struct clipboard_wait {
	bool known; /* as help_clipboard() is asked */
	uint64_t mark;
	int64_t until_ms;
};

/* A connection to the socket of this name if who listens there is of this user, or -errno; pid (may be NULL): which process it is. */
int clipboard_connect(const char *path, uid_t uid, pid_t *pid);

/* Before the process is sealed; false: not installed. */
bool clipboard_load_x(void);
bool clipboard_load_wayland(void);

/* Fill text and *change, if there is a change before the time is over. 0 or -errno: ECONNREFUSED (cannot be talked to),
 * ECONNRESET (gone), ENOTSUP. */
int clipboard_wait_x(const struct clipboard_server *server, const struct clipboard_wait *wait, struct clipboard_text *text,
		     struct clipboard_change *change);
int clipboard_wait_wayland(const struct clipboard_server *server, const struct clipboard_wait *wait,
			   struct clipboard_text *text, struct clipboard_change *change);

/* The process of the user's compositor whose clipboard is looked at; 0: there is none. */
pid_t clipboard_compositor(uid_t uid);

#define CLIPBOARD_X_SOCKETS "/tmp/.X11-unix"
#define CLIPBOARD_RUNTIME   "/run/user" /* has a folder for each user who is logged in: XDG_RUNTIME_DIR */
#define CLIPBOARD_TRIES     8           /* so many servers of one kind */

/* The numbers behind the prefix in the names of the user's sockets there, the lowest first. Returns how many; more than
 * CLIPBOARD_TRIES are left out. */
unsigned clipboard_sockets(const char *folder, const char *prefix, uid_t uid, unsigned numbers[CLIPBOARD_TRIES]);
