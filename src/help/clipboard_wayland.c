/* SPDX-License-Identifier: MIT */
/* A compositor that has one of the two protocols for clipboard managers tells whoever asks when the clipboard was set, and has
 * its text given to him through a pipe. It does not tell by whom it was set. */
#include "clipboard_parts.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <wayland-client.h>

#include "../base/clock.h"
#include "../base/le.h"
#include "../base/loaded.h"

/* --- the library, which a server without a display does not have */

#define IN_WAYLAND(F)                                                                                          \
	F(wl_display_connect_to_fd) F(wl_display_disconnect) F(wl_display_get_fd) F(wl_display_prepare_read)     \
	F(wl_display_cancel_read) F(wl_display_read_events) F(wl_display_dispatch_pending) F(wl_display_flush)   \
	F(wl_proxy_marshal_flags) F(wl_proxy_add_dispatcher) F(wl_proxy_destroy) F(wl_log_set_handler_client)    \
	F(wl_registry_interface) F(wl_seat_interface) F(wl_callback_interface)

static struct { IN_WAYLAND(LOADED_MEMBER) } w;
static const char *const names[] = { IN_WAYLAND(LOADED_NAME) };

bool clipboard_load_wayland(void)
{
	struct err e;

	return loaded_open("libwayland-client.so.0", "libwayland-client0", names, ARRAY_SIZE(names), &w, &e) == 0;
}

/* --- the protocol: ext-data-control-v1 is wlr-data-control-unstable-v1 under other names, and a name is sent only when something
 * is bound. What is never sent has its place only. */

#define EXT_MANAGER "ext_data_control_manager_v1"
#define WLR_MANAGER "zwlr_data_control_manager_v1"
#define VERSION     1u

enum { DISPLAY_SYNC, DISPLAY_GET_REGISTRY };
enum { REGISTRY_BIND };
enum { REGISTRY_GLOBAL };
enum { MANAGER_CREATE_SOURCE, MANAGER_GET_DEVICE };
enum { DEVICE_OFFER, DEVICE_SELECTION, DEVICE_FINISHED, DEVICE_PRIMARY_SELECTION };
enum { OFFER_RECEIVE, OFFER_DESTROY };
enum { OFFER_TYPE };

static const struct wl_interface *nothing[2];
static const struct wl_message offer_requests[] = { { "receive", "sh", nothing }, { "destroy", "", nothing } };
static const struct wl_message offer_events[] = { { "offer", "s", nothing } };
static const struct wl_interface offer_interface = { "data_control_offer", VERSION, 2, offer_requests, 1, offer_events };

static const struct wl_interface *an_offer[] = { &offer_interface };
static const struct wl_message device_events[] = {
	{ "data_offer", "n", an_offer },
	{ "selection", "?o", an_offer },
	{ "finished", "", nothing },
	{ "primary_selection", "?o", an_offer },
};
static const struct wl_interface device_interface = { "data_control_device", VERSION, 0, NULL, 4, device_events };

static const struct wl_interface *a_device[] = { &device_interface, NULL };
static const struct wl_message manager_requests[] = {
	{ "create_data_source", "n", nothing },
	{ "get_data_device", "no", a_device },
};
static const struct wl_interface manager_interface = { "data_control_manager", VERSION, 2, manager_requests, 0, NULL };

/* --- what the compositor says */

/* The forms of text, the best first. */
static const char *const text_types[] = { "text/plain;charset=utf-8", "UTF8_STRING", "text/plain", "TEXT", "STRING" };
#define NO_TEXT ARRAY_SIZE(text_types)

struct offer {
	struct wl_proxy *proxy; /* NULL: none */
	size_t form;            /* the best that it has */
};

struct session {
	struct wl_display *display;
	struct wl_proxy *registry;
	uint32_t seat, ext, wlr; /* their numbers; 0: not there */
	struct offer coming;     /* what is being described */
	struct offer held;       /* what is in the clipboard */
	bool answered, gone;
	bool set; /* the clipboard, since somebody looked */
};

static void let_go(struct offer *offer)
{
	if (offer->proxy) {
		w.wl_proxy_marshal_flags(offer->proxy, OFFER_DESTROY, NULL, VERSION, 0);
		w.wl_proxy_destroy(offer->proxy);
	}
	*offer = (struct offer){ NULL, NO_TEXT };
}

/* The library hands on what was registered for an object as a pointer to something constant. */
static struct session *session_of(const void *context)
{
	return (struct session *)(uintptr_t)context;
}

static int on_registry(const void *context, void *object, uint32_t what, const struct wl_message *message,
		       union wl_argument *a)
{
	struct session *s = session_of(context);

	(void)object;
	(void)message;
	if (what != REGISTRY_GLOBAL)
		return 0;
	if (strcmp(a[1].s, "wl_seat") == 0 && !s->seat)
		s->seat = a[0].u;
	else if (strcmp(a[1].s, EXT_MANAGER) == 0)
		s->ext = a[0].u;
	else if (strcmp(a[1].s, WLR_MANAGER) == 0)
		s->wlr = a[0].u;
	return 0;
}

static int on_answer(const void *context, void *object, uint32_t what, const struct wl_message *message,
		     union wl_argument *a)
{
	(void)what;
	(void)message;
	(void)a;
	session_of(context)->answered = true;
	w.wl_proxy_destroy(object);
	return 0;
}

static int on_offer(const void *context, void *object, uint32_t what, const struct wl_message *message,
		    union wl_argument *a)
{
	struct session *s = session_of(context);

	(void)message;
	if (what == OFFER_TYPE && object == s->coming.proxy)
		for (size_t i = 0; i < s->coming.form; i++)
			if (strcmp(a[0].s, text_types[i]) == 0)
				s->coming.form = i;
	return 0;
}

static int on_device(const void *context, void *object, uint32_t what, const struct wl_message *message,
		     union wl_argument *a)
{
	struct session *s = session_of(context);
	struct wl_proxy *offer = what == DEVICE_FINISHED ? NULL : (struct wl_proxy *)a[0].o;

	(void)object;
	(void)message;
	switch (what) {
	case DEVICE_OFFER:
		let_go(&s->coming);
		s->coming.proxy = offer;
		w.wl_proxy_add_dispatcher(offer, on_offer, s, NULL);
		break;
	case DEVICE_SELECTION:
		let_go(&s->held);
		if (offer && offer == s->coming.proxy) {
			s->held = s->coming;
			s->coming = (struct offer){ NULL, NO_TEXT };
		}
		s->set = true;
		break;
	case DEVICE_PRIMARY_SELECTION:
		if (offer == s->coming.proxy)
			let_go(&s->coming);
		break;
	case DEVICE_FINISHED:
		s->gone = true;
		break;
	}
	return 0;
}

/* Hears once what has come. False: the time is over, or the compositor gone. */
static bool hear(struct session *s, int64_t until_ms)
{
	struct pollfd p = { .fd = w.wl_display_get_fd(s->display), .events = POLLIN };
	int64_t left = until_ms - (int64_t)now_ms();

	if (left <= 0 || s->gone)
		return false;
	if (w.wl_display_prepare_read(s->display) == 0) {
		s->gone = w.wl_display_flush(s->display) < 0 && errno != EAGAIN;
		if (s->gone || poll(&p, 1, (int)left) <= 0) {
			w.wl_display_cancel_read(s->display);
			return false;
		}
		s->gone = w.wl_display_read_events(s->display) < 0;
	}
	s->gone = w.wl_display_dispatch_pending(s->display) < 0 || s->gone;
	return !s->gone;
}

/* Until it has answered all that was asked. */
static bool hear_all(struct session *s)
{
	int64_t until_ms = (int64_t)now_ms() + CLIPBOARD_ANSWER_MS;
	struct wl_proxy *answer =
		w.wl_proxy_marshal_flags((struct wl_proxy *)s->display, DISPLAY_SYNC, w.wl_callback_interface, VERSION, 0, NULL);

	s->answered = false;
	if (!answer || w.wl_proxy_add_dispatcher(answer, on_answer, s, NULL) < 0)
		return false;
	while (!s->answered && hear(s, until_ms))
		;
	return s->answered && !s->gone;
}

static struct wl_proxy *bind_to(struct session *s, uint32_t number, const char *name, const struct wl_interface *interface)
{
	return w.wl_proxy_marshal_flags(s->registry, REGISTRY_BIND, interface, VERSION, 0, number, name, VERSION, NULL);
}

/* Its clipboard is then heard of: first what is in it, then what is put there. */
static bool begin_device(struct session *s)
{
	struct wl_proxy *manager, *seat, *device;

	if (!s->seat || (!s->ext && !s->wlr))
		return false;
	seat = bind_to(s, s->seat, "wl_seat", w.wl_seat_interface);
	manager = s->ext ? bind_to(s, s->ext, EXT_MANAGER, &manager_interface) :
			   bind_to(s, s->wlr, WLR_MANAGER, &manager_interface);
	if (!seat || !manager)
		return false;
	device = w.wl_proxy_marshal_flags(manager, MANAGER_GET_DEVICE, &device_interface, VERSION, 0, NULL, seat);
	return device && w.wl_proxy_add_dispatcher(device, on_device, s, NULL) == 0 && hear_all(s);
}

static void say_nothing(const char *format, va_list values)
{
	(void)format;
	(void)values;
}

static bool begin(struct session *s, const char *path, uid_t uid, pid_t *pid)
{
	int fd = clipboard_connect(path, uid, pid);

	*s = (struct session){ .coming.form = NO_TEXT, .held.form = NO_TEXT };
	if (fd < 0)
		return false;
	/* Else it writes what a compositor does wrong where we write what the administrator is to read. */
	w.wl_log_set_handler_client(say_nothing);
	s->display = w.wl_display_connect_to_fd(fd);
	if (!s->display)
		return false;
	s->registry = w.wl_proxy_marshal_flags((struct wl_proxy *)s->display, DISPLAY_GET_REGISTRY, w.wl_registry_interface, VERSION, 0,
					       NULL);
	return s->registry && w.wl_proxy_add_dispatcher(s->registry, on_registry, s, NULL) == 0 && hear_all(s) &&
	       begin_device(s);
}

/* What is left is given up with the process. */
static void end(struct session *s)
{
	if (s->display)
		w.wl_display_disconnect(s->display);
}

/* --- the text */

#define MARK_NOTHING 0u
#define MARK_UNREAD  1u /* it was not read to its end: nobody can say later whether it is the same */

static uint64_t mark_of(const struct clipboard_text *text)
{
	uint8_t sum[EVP_MAX_MD_SIZE];

	if (!EVP_Digest(text->bytes, text->n, sum, NULL, EVP_sha256(), NULL))
		return MARK_UNREAD;
	return le64_get(sum) > MARK_UNREAD ? le64_get(sum) : MARK_UNREAD + 1;
}

/* False: whoever gives it has not come to an end. */
static bool read_pipe(int fd, struct clipboard_text *text)
{
	int64_t until_ms = (int64_t)now_ms() + CLIPBOARD_ANSWER_MS, left;
	struct pollfd p = { .fd = fd, .events = POLLIN };
	ssize_t n;

	while ((left = until_ms - (int64_t)now_ms()) > 0 && poll(&p, 1, (int)left) > 0) {
		n = read(fd, text->bytes + text->n, CLIPBOARD_TEXT_MAX - text->n);
		if (n > 0)
			text->n += (size_t)n;
		if (n == 0 || text->n == CLIPBOARD_TEXT_MAX)
			return true;
	}
	return false;
}

/* What is in the clipboard, as a mark. */
static uint64_t look(struct session *s, struct clipboard_text *text)
{
	int ends[2];
	bool whole;

	s->set = false;
	text->n = 0;
	if (!s->held.proxy || s->held.form == NO_TEXT || pipe2(ends, O_CLOEXEC) < 0)
		return MARK_NOTHING;
	/* Only our end: who writes expects a pipe that waits. */
	fcntl(ends[0], F_SETFL, O_NONBLOCK);
	w.wl_proxy_marshal_flags(s->held.proxy, OFFER_RECEIVE, NULL, VERSION, 0, text_types[s->held.form], ends[1]);
	close(ends[1]);
	w.wl_display_flush(s->display);
	whole = read_pipe(ends[0], text);
	close(ends[0]);
	if (whole && text->n == 0)
		return MARK_NOTHING;
	return whole ? mark_of(text) : MARK_UNREAD;
}

/* Until there is a text, or the time is over. */
static bool wait_for_text(struct session *s, const struct clipboard_wait *wait, struct clipboard_text *text,
			  struct clipboard_change *change)
{
	change->mark = look(s, text);
	if (wait->known && wait->mark != MARK_UNREAD && change->mark > MARK_UNREAD && change->mark != wait->mark)
		return true;
	while (hear(s, wait->until_ms)) {
		if (!s->set)
			continue;
		change->mark = look(s, text);
		if (text->n > 0)
			return true;
	}
	text->n = 0;
	return false;
}

/* --- which compositor */

/* With the first one that shows its clipboard. */
static bool begin_with_any(struct session *s, uid_t uid, pid_t *pid, unsigned *number)
{
	char folder[64], path[96];
	unsigned numbers[CLIPBOARD_TRIES], count;

	snprintf(folder, sizeof(folder), CLIPBOARD_RUNTIME "/%u", uid);
	count = clipboard_sockets(folder, "wayland-", uid, numbers);
	for (unsigned i = 0; i < count; i++) {
		snprintf(path, sizeof(path), "%s/wayland-%u", folder, numbers[i]);
		*number = numbers[i];
		if (begin(s, path, uid, pid))
			return true;
		end(s);
	}
	return false;
}

pid_t clipboard_compositor(uid_t uid)
{
	struct session s;
	unsigned number;
	pid_t pid = 0;

	if (!begin_with_any(&s, uid, &pid, &number))
		return 0;
	end(&s);
	return pid;
}

int clipboard_wait_wayland(const struct clipboard_server *server, const struct clipboard_wait *wait,
			   struct clipboard_text *text, struct clipboard_change *change)
{
	struct session s;

	if (!begin_with_any(&s, server->uid, NULL, &change->display))
		return -ENOTSUP;
	change->changed = wait_for_text(&s, wait, text, change);
	end(&s);
	return change->changed || !s.gone ? 0 : -ECONNRESET;
}
