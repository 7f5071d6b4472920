/* SPDX-License-Identifier: MIT */
/* The clipboard of an X server, as its next change. The process that asks for it becomes the user whose server it is,
 * since it must show his cookie and reads what he and his programs send: so there is nothing in it that is not his. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define CLIPBOARD_SLOTS    4         /* users whose servers are watched at the same time */
#define CLIPBOARD_TEXT_MAX (1u << 20) /* bytes; of more only the first are read */

struct clipboard_server {
	unsigned display;
	uid_t uid; /* of its socket; never root */
	gid_t gid;
};

/* While names can still be looked up by root and libraries loaded: the server of the slot-th user who has one, of
 * several the one with the lowest number. Nothing but names and owners of sockets is looked at. 0 or -errno: ENOENT
 * (no such user), ENOSYS (libraries of X are not installed). */
int help_clipboard_find(unsigned slot, struct clipboard_server *server);

struct clipboard_change {
	uint32_t owner; /* the window that holds the clipboard; 0: none */
	uint32_t tgid;  /* of the process it belongs to, as the server saw it connect; 0: not known */
	bool changed;   /* else the time is over */
};

/* Waits for the next text, but not longer than so many seconds. known: was `owner` the holder when somebody looked last?
 * Then another one is a change. A sealed memfd with the text (empty if nothing changed) or -errno. */
int help_clipboard(const struct clipboard_server *server, bool known, uint32_t owner, unsigned seconds,
		   struct clipboard_change *change);

/* The first cookie in a file of them (.Xauthority, n bytes) that may be for the display. Only bytes are looked at. */
#define COOKIE_MAX 64
bool clipboard_cookie(const uint8_t *at, size_t n, unsigned display, char cookie[COOKIE_MAX], size_t *length);
