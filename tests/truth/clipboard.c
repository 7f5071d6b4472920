/* SPDX-License-Identifier: MIT */
/* The clipboard of an X server: beside the mixture, one process copies texts, each with a window of its own, and gives them to
 * whoever asks. What the ledger says of them (docs/sensor.md): each text is told once; one that was replaced at once may be
 * missing. It is told soon after it was asked for, and surely before the next one is.
 *
 * It speaks the protocol by itself: a library would do more besides, of which the ledger knows nothing. */
#include "truth.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <xcb/xproto.h>

#define ROUNDS      24
#define WAITS       60 /* of a second each, for somebody who looks at the clipboard */
#define TEXTS_MAX   (3 * ROUNDS + WAITS)
#define LAST_MS     2000 /* for the last one to be told */
#define ONE_PIECE   50000
#define PADDED(n)   (((n) + 3) & ~(size_t)3)

enum form { BOTH_FORMS, ONLY_STRING, NO_TEXT };

struct copied {
	xcb_window_t window;
	enum form form;
	uint64_t since;
	bool may_be_missing;
	char unit[64]; /* so often is the text */
	unsigned times;
};

struct display {
	struct actor *actor;
	int fd;
	unsigned number;
	xcb_window_t root, next_window;
	xcb_atom_t clipboard, utf8, incr;
	struct copied texts[TEXTS_MAX];
	size_t count, written;
	struct giving { /* a long text, in parts: one when the one before was taken */
		const struct copied *text; /* NULL: none */
		xcb_selection_request_event_t to;
		size_t at;
	} giving;
};

/* --- The protocol. --- */

static void send_all(const struct display *d, const void *bytes, size_t n)
{
	if (MUST(send(d->fd, bytes, n, 0)) != (long)n)
		NEVER("a request was sent in part");
}

/* What stands behind a request of a fixed size is padded to words. */
static void send_request(const struct display *d, const void *request, size_t size, const void *more, size_t n)
{
	static const char zeros[4];

	send_all(d, request, size);
	if (n > 0)
		send_all(d, more, n);
	if (PADDED(n) > n)
		send_all(d, zeros, PADDED(n) - n);
}

static void receive_all(const struct display *d, void *to, size_t n)
{
	if (MUST(recv(d->fd, to, n, MSG_WAITALL)) != (long)n)
		NEVER("the X server is gone");
}

static void set_up(struct display *d)
{
	static const xcb_setup_request_t request = { .byte_order = 'l', .protocol_major_version = 11 };
	char bytes[65536 * 4];
	const xcb_setup_t *setup = (const void *)bytes;

	send_request(d, &request, sizeof(request), NULL, 0);
	receive_all(d, bytes, 8);
	receive_all(d, bytes + 8, setup->length * 4u);
	if (setup->status != 1)
		NEVER("the X server refuses");
	d->next_window = setup->resource_id_base;
	memcpy(&d->root, bytes + sizeof(*setup) + PADDED(setup->vendor_len) + 8u * setup->pixmap_formats_len, sizeof(d->root));
}

static xcb_atom_t atom(const struct display *d, const char *name)
{
	uint16_t n = (uint16_t)strlen(name);
	xcb_intern_atom_request_t request = { XCB_INTERN_ATOM, 0, (uint16_t)(2 + PADDED(n) / 4), n, { 0 } };
	union {
		xcb_intern_atom_reply_t reply;
		char bytes[32];
	} u;

	send_request(d, &request, sizeof(request), name, n);
	receive_all(d, &u, sizeof(u));
	if (u.reply.response_type != 1)
		NEVER("an atom");
	return u.reply.atom;
}

static void hold_clipboard(struct display *d, xcb_window_t window)
{
	xcb_create_window_request_t create = { .major_opcode = XCB_CREATE_WINDOW, .length = 8, .wid = window, .parent = d->root,
					       .width = 1, .height = 1, ._class = XCB_WINDOW_CLASS_INPUT_ONLY };
	xcb_set_selection_owner_request_t hold = { .major_opcode = XCB_SET_SELECTION_OWNER, .length = 4, .owner = window,
						   .selection = d->clipboard };

	send_request(d, &create, sizeof(create), NULL, 0);
	send_request(d, &hold, sizeof(hold), NULL, 0);
}

static void set_property(const struct display *d, const xcb_selection_request_event_t *to, xcb_atom_t type, uint8_t format,
			 const void *bytes, size_t n)
{
	xcb_change_property_request_t request = { XCB_CHANGE_PROPERTY, XCB_PROP_MODE_REPLACE, (uint16_t)(6 + PADDED(n) / 4),
						  to->requestor, to->property, type, format, { 0 },
						  (uint32_t)(n * 8 / format) };

	send_request(d, &request, sizeof(request), bytes, n);
}

static void answer(const struct display *d, const xcb_selection_request_event_t *to, bool given)
{
	xcb_send_event_request_t request = { .major_opcode = XCB_SEND_EVENT, .length = 11, .destination = to->requestor };
	xcb_selection_notify_event_t notify = { .response_type = XCB_SELECTION_NOTIFY, .time = to->time,
						.requestor = to->requestor, .selection = to->selection, .target = to->target,
						.property = given ? to->property : XCB_ATOM_NONE };
	size_t before = offsetof(xcb_send_event_request_t, event);

	memcpy(request.event, &notify, sizeof(notify));
	send_request(d, &request, before + sizeof(request.event), NULL, 0);
}

/* --- Giving a text. --- */

static size_t length_of(const struct copied *c)
{
	return strlen(c->unit) * c->times;
}

static void give_part(struct display *d)
{
	static char text[ONE_PIECE];
	struct giving *g = &d->giving;
	size_t unit = strlen(g->text->unit), n = length_of(g->text) - g->at;

	if (n > ONE_PIECE)
		n = ONE_PIECE;
	for (size_t i = 0; i < n; i++)
		text[i] = g->text->unit[(g->at + i) % unit];
	set_property(d, &g->to, g->to.target, 8, text, n);
	g->at += n;
	if (n == 0) /* which says that this was all */
		g->text = NULL;
}

/* Whoever takes a part deletes the property, which is told to us. */
static void give_in_parts(struct display *d)
{
	const struct {
		xcb_change_window_attributes_request_t request;
		uint32_t events;
	} tell = { { XCB_CHANGE_WINDOW_ATTRIBUTES, 0, 4, d->giving.to.requestor, XCB_CW_EVENT_MASK }, XCB_EVENT_MASK_PROPERTY_CHANGE };
	uint32_t n = (uint32_t)length_of(d->giving.text);

	send_request(d, &tell, sizeof(tell), NULL, 0);
	set_property(d, &d->giving.to, d->incr, 32, &n, sizeof(n));
}

static void give(struct display *d, const struct copied *c, const xcb_selection_request_event_t *to)
{
	bool given = c->form == BOTH_FORMS ? to->target == d->utf8 : c->form == ONLY_STRING && to->target == XCB_ATOM_STRING;

	if (given) {
		d->giving = (struct giving){ c, *to, 0 };
		if (length_of(c) > ONE_PIECE) {
			give_in_parts(d);
		} else {
			give_part(d);
			d->giving.text = NULL;
		}
	}
	answer(d, to, given);
}

/* Until the latest text is asked for, in the last form that a program would ask for; false: not in this time. */
static bool wait_until_asked(struct display *d, uint64_t ms)
{
	uint64_t until = now() + ms * 1000000, t;
	const struct copied *latest = d->count ? &d->texts[d->count - 1] : NULL;
	union {
		xcb_generic_event_t event;
		xcb_selection_request_event_t request;
		xcb_property_notify_event_t property;
		char bytes[32];
	} u;
	struct pollfd p = { .fd = d->fd, .events = POLLIN };
	bool asked = false;

	while ((!asked || d->giving.text) && (t = now()) < until && MUST(poll(&p, 1, (int)((until - t) / 1000000) + 1)) > 0) {
		receive_all(d, u.bytes, sizeof(u.bytes)); /* the type has more, for the library */
		if (u.event.response_type == 0)
			NEVER("the X server reports an error");
		if (u.event.response_type == XCB_SELECTION_REQUEST) {
			for (struct copied *c = d->texts; c < d->texts + d->count; c++)
				if (c->window == u.request.owner)
					give(d, c, &u.request);
			asked |= latest && u.request.owner == latest->window &&
				 u.request.target == (latest->form == BOTH_FORMS ? d->utf8 : XCB_ATOM_STRING);
		} else if (u.event.response_type == XCB_PROPERTY_NOTIFY && d->giving.text &&
			   u.property.window == d->giving.to.requestor && u.property.state == XCB_PROPERTY_DELETE) {
			give_part(d);
		}
	}
	return asked;
}

/* --- What is copied. --- */

static void copy(struct display *d, enum form form, bool may_be_missing)
{
	static const unsigned times[] = { 1, 1, 1, 40, 900, 6000 }; /* the last one in parts */
	struct actor *a = d->actor;
	struct copied *c = &d->texts[d->count++];

	*c = (struct copied){ .window = d->next_window++, .form = form, .since = now(), .may_be_missing = may_be_missing,
			      .times = times[choose(a, ARRAY_SIZE(times))] };
	snprintf(c->unit, sizeof(c->unit), "%llx l\xc3\xa4ng\n\t\x01\xff", (unsigned long long)choose(a, UINT64_MAX));
	hold_clipboard(d, c->window);
}

static void write_down(struct display *d, size_t until)
{
	for (; d->written < until; d->written++) {
		const struct copied *c = &d->texts[d->written];

		if (c->form != NO_TEXT)
			ledger_clipboard(d->actor, d->number, c->unit, c->times, c->may_be_missing, "a text copied", c->since);
	}
}

static void connect_to(struct display *d)
{
	struct sockaddr_un name = { .sun_family = AF_UNIX };
	uint64_t since = now();

	snprintf(name.sun_path, sizeof(name.sun_path), "/tmp/.X11-unix/X%u", d->number);
	d->fd = (int)MUST(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
	MUST(connect(d->fd, (const struct sockaddr *)&name, sizeof(name)));
	ledger_file(d->actor, EVENT_PIPE_CONNECT, "to the X server", name.sun_path, since);
	set_up(d);
	d->clipboard = atom(d, "CLIPBOARD");
	d->utf8 = atom(d, "UTF8_STRING");
	d->incr = atom(d, "INCR");
}

void clipboard_run(struct actor *a, unsigned number)
{
	static struct display display;
	struct display *d = &display;
	size_t first;

	d->actor = a;
	d->number = number;
	connect_to(d);
	do { /* until somebody looks */
		if (d->count == WAITS)
			NEVER("nobody looks at the clipboard");
		copy(d, BOTH_FORMS, true);
	} while (!wait_until_asked(d, 1000));
	for (int round = 0; round < ROUNDS; round++) {
		first = d->count;
		usleep((unsigned)choose(a, 3) * 200000); /* so that who looks is here already */
		for (uint64_t replaced = choose(a, 4) ? 0 : 1 + choose(a, 2); replaced > 0; replaced--)
			copy(d, BOTH_FORMS, true);
		copy(d, (enum form)(choose(a, 3) ? BOTH_FORMS : choose(a, 2) ? ONLY_STRING : NO_TEXT), false);
		if (!wait_until_asked(d, 10000))
			NEVER("nobody asks for what was copied");
		write_down(d, first);
	}
	wait_until_asked(d, LAST_MS);
	write_down(d, d->count);
}
