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

int64_t clipboard_now_ms(void);
/* A connection to the socket of this name if who listens there is of this user, or -errno. */
int clipboard_connect(const char *path, uid_t uid);

/* Before the process is sealed; false: not installed. */
bool clipboard_load_x(void);
bool clipboard_load_wayland(void);

/* Fill text and *change, if there is a change before the time is over. 0 or -errno: ECONNREFUSED (cannot be talked to),
 * ECONNRESET (gone), and of Wayland ENOTSUP (does not show its clipboard, or does not answer). */
int clipboard_wait_x(const struct clipboard_server *server, const struct clipboard_wait *wait, struct clipboard_text *text,
		     struct clipboard_change *change);
int clipboard_wait_wayland(const struct clipboard_server *server, const struct clipboard_wait *wait,
			   struct clipboard_text *text, struct clipboard_change *change);

/* The number behind the prefix, if there is nothing else. */
bool clipboard_number(const char *name, const char *prefix, unsigned *number);
#define CLIPBOARD_RUNTIME "/run/user" /* has a folder for each user who is logged in: XDG_RUNTIME_DIR */
