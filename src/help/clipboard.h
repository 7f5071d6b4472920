/* SPDX-License-Identifier: MIT */
/* The clipboard of an X server or of a Wayland compositor, as its next change. The process that asks for it becomes the user
 * whose it is, since it must show his cookie and reads what he and his programs send: so there is nothing in it that is not his. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define CLIPBOARD_TEXT_MAX (1u << 20) /* bytes; of more only the first are read */

/* Which of the servers of this kind that the user has is found out as him: the first that can be looked at. */
struct clipboard_server {
	uid_t uid; /* never root */
	gid_t gid;
	bool wayland;        /* else X */
	bool beside_wayland; /* X: he has a compositor, too */
};

/* While names can still be looked up by root and libraries loaded: the slot-th, by users; each has two at most, one of X and one
 * of Wayland. Nothing but names and owners of sockets is looked at. 0 or -errno: ENOENT (not so many), ENOSYS (the libraries for
 * it are not installed). */
int help_clipboard_find(unsigned slot, struct clipboard_server *server);

struct clipboard_change {
	uint64_t mark;    /* of X: the window that holds the clipboard; of Wayland: made of the text; 0: nobody, no text */
	uint32_t tgid;    /* of the process it belongs to, as the X server saw it connect; 0: not known */
	uint32_t display; /* the number of what was looked at: of the X server, of wayland-N */
	bool changed;     /* else the time is over */
};

/* Waits for the next text, but not longer than so many seconds. known: did somebody look before, and was `mark` what he saw last?
 * Then another one is a change. A sealed memfd with the text (empty if nothing changed) or -errno: ENOTSUP (a compositor that
 * shows nobody its clipboard; only X servers that belong to one that does: each text would be told twice). */
int help_clipboard(const struct clipboard_server *server, bool known, uint64_t mark, unsigned seconds,
		   struct clipboard_change *change);

/* The first cookie in a file of them (.Xauthority, n bytes) that may be for the display. Only bytes are looked at. */
#define COOKIE_MAX 64
bool clipboard_cookie(const uint8_t *at, size_t n, unsigned display, char cookie[COOKIE_MAX], size_t *length);
