/* SPDX-License-Identifier: MIT */
#include "clipboard_parts.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <xcb/res.h>
#include <xcb/xcb.h>
#include <xcb/xfixes.h>

#include "../base/clock.h"
#include "../base/loaded.h"

#define COOKIES_MAX 65536
#define ENVIRON_MAX 65536
#define COOKIE_NAME "MIT-MAGIC-COOKIE-1"

/* --- the libraries, which a server without X does not have */

#define IN_XCB(F)                                                                                              \
	F(xcb_connect_to_fd) F(xcb_connection_has_error) F(xcb_disconnect) F(xcb_get_setup)                     \
	F(xcb_setup_roots_iterator) F(xcb_generate_id) F(xcb_create_window) F(xcb_intern_atom)                  \
	F(xcb_intern_atom_reply) F(xcb_convert_selection) F(xcb_get_selection_owner)                            \
	F(xcb_get_selection_owner_reply) F(xcb_get_property) F(xcb_get_property_reply) F(xcb_get_property_value) \
	F(xcb_get_property_value_length) F(xcb_flush) F(xcb_poll_for_event) F(xcb_get_file_descriptor)          \
	F(xcb_get_extension_data)
#define IN_XFIXES(F) F(xcb_xfixes_query_version) F(xcb_xfixes_query_version_reply) \
	F(xcb_xfixes_select_selection_input) F(xcb_xfixes_id)
#define IN_RES(F)                                                                                              \
	F(xcb_res_query_client_ids) F(xcb_res_query_client_ids_reply) F(xcb_res_query_client_ids_ids_iterator)  \
	F(xcb_res_client_id_value_value) F(xcb_res_client_id_value_value_length)

static struct { IN_XCB(LOADED_MEMBER) } x;
static struct { IN_XFIXES(LOADED_MEMBER) } xfixes;
static struct { IN_RES(LOADED_MEMBER) } res;
static const char *const x_names[] = { IN_XCB(LOADED_NAME) };
static const char *const xfixes_names[] = { IN_XFIXES(LOADED_NAME) };
static const char *const res_names[] = { IN_RES(LOADED_NAME) };

bool clipboard_load_x(void)
{
	struct err e;

	return loaded_open("libxcb.so.1", "libxcb1", x_names, ARRAY_SIZE(x_names), &x, &e) == 0 &&
	       loaded_open("libxcb-xfixes.so.0", "libxcb-xfixes0", xfixes_names, ARRAY_SIZE(xfixes_names), &xfixes, &e) == 0 &&
	       loaded_open("libxcb-res.so.0", "libxcb-res0", res_names, ARRAY_SIZE(res_names), &res, &e) == 0;
}

/* --- the cookie */

static ssize_t read_file(const char *path, char *bytes, size_t size)
{
	OWNED_FD fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	ssize_t n, all = 0;

	if (fd < 0)
		return -1;
	while ((size_t)all < size && (n = read(fd, bytes + all, size - (size_t)all)) > 0)
		all += n;
	return all;
}

/* A field of the file: its length in two bytes, then so many. */
static const uint8_t *field(const uint8_t **at, const uint8_t *end, size_t *n)
{
	const uint8_t *bytes = *at + 2;

	if (end - *at < 2)
		return NULL;
	*n = (size_t)(*at)[0] << 8 | (*at)[1];
	if ((size_t)(end - bytes) < *n)
		return NULL;
	*at = bytes + *n;
	return bytes;
}

bool clipboard_cookie(const uint8_t *at, size_t n, unsigned display, char cookie[COOKIE_MAX], size_t *length)
{
	const uint8_t *end = at + n;
	char number[16];

	snprintf(number, sizeof(number), "%u", display);
	while (end - at >= 2) {
		size_t n_address, n_number, n_name, n_data;
		const uint8_t *for_number, *name, *data;

		at += 2; /* the family: we know that the server is on this machine */
		if (!field(&at, end, &n_address) || !(for_number = field(&at, end, &n_number)) ||
		    !(name = field(&at, end, &n_name)) || !(data = field(&at, end, &n_data)))
			return false;
		if ((n_number == 0 || (n_number == strlen(number) && memcmp(for_number, number, n_number) == 0)) &&
		    n_name == strlen(COOKIE_NAME) && memcmp(name, COOKIE_NAME, n_name) == 0 && n_data <= COOKIE_MAX) {
			memcpy(cookie, data, n_data);
			*length = n_data;
			return true;
		}
	}
	return false;
}

static bool cookie_in(const char *path, unsigned display, char *cookie, size_t *length)
{
	static char bytes[COOKIES_MAX];
	ssize_t n = read_file(path, bytes, sizeof(bytes));

	return n > 0 && clipboard_cookie((const uint8_t *)bytes, (size_t)n, display, cookie, length);
}

static const char *variable(const char *environ_bytes, size_t n, const char *name)
{
	size_t length = strlen(name);

	for (const char *p = environ_bytes; p < environ_bytes + n; p += strlen(p) + 1)
		if (strncmp(p, name, length) == 0 && p[length] == '=')
			return p + length + 1;
	return NULL;
}

/* The file that a process with this display uses. */
static bool cookie_of_process(const char *pid, unsigned display, char *cookie, size_t *length)
{
	static char bytes[ENVIRON_MAX + 1];
	char path[4096 + 16], own[16];
	const char *at, *file;
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%.12s/environ", pid);
	n = read_file(path, bytes, ENVIRON_MAX);
	if (n <= 0)
		return false;
	bytes[n] = 0;
	at = variable(bytes, (size_t)n, "DISPLAY");
	snprintf(own, sizeof(own), ":%u", display);
	if (!at || strncmp(at, own, strlen(own)) != 0 || isdigit((unsigned char)at[strlen(own)]))
		return false;
	file = variable(bytes, (size_t)n, "XAUTHORITY");
	if (!file && (at = variable(bytes, (size_t)n, "HOME"))) {
		snprintf(path, sizeof(path), "%.4000s/.Xauthority", at);
		file = path;
	}
	return file && cookie_in(file, display, cookie, length);
}

static bool find_cookie(unsigned display, char *cookie, size_t *length)
{
	DIR *processes = opendir("/proc");
	struct dirent *entry;
	bool found = false;

	while (processes && !found && (entry = readdir(processes)))
		if (isdigit((unsigned char)entry->d_name[0]))
			found = cookie_of_process(entry->d_name, display, cookie, length);
	if (processes)
		closedir(processes);
	return found;
}

/* --- the server */

struct session {
	xcb_connection_t *c;
	xcb_window_t window, root;
	xcb_atom_t clipboard, utf8, incr, property;
	unsigned xfixes_event;
	uint32_t holder; /* of the clipboard, by the events that were read; 0: nobody */
	xcb_timestamp_t since;
	unsigned changes; /* of the holder */
	uint32_t asked; /* who held it when the server took our last question for the text */
};

/* libxcb takes an answer apart as the server says it is built, without a look at where it ends. Bytes behind the 32 that each
 * answer begins with. */
static size_t answer_more(uint32_t length)
{
	return 4 * (size_t)length;
}

/* The first screen, if it lies within what the server sent. */
static const xcb_screen_t *first_screen(xcb_connection_t *c)
{
	const xcb_setup_t *setup = x.xcb_get_setup(c);
	const char *end = (const char *)setup + 8 + answer_more(setup->length);
	xcb_screen_iterator_t screen;

	if (answer_more(setup->length) < sizeof(*setup) - 8)
		return NULL;
	screen = x.xcb_setup_roots_iterator(setup);
	return screen.rem > 0 && (const char *)screen.data + sizeof(*screen.data) <= end ? screen.data : NULL;
}

static xcb_atom_t atom(xcb_connection_t *c, const char *name)
{
	xcb_intern_atom_reply_t *reply =
		x.xcb_intern_atom_reply(c, x.xcb_intern_atom(c, 0, (uint16_t)strlen(name), name), NULL);
	xcb_atom_t found = reply ? reply->atom : XCB_ATOM_NONE;

	free(reply);
	return found;
}

static bool begin(struct session *s, unsigned display, uid_t uid)
{
	char cookie[COOKIE_MAX];
	size_t length = 0;
	xcb_auth_info_t auth = { (int)strlen(COOKIE_NAME), (char *)(uintptr_t)COOKIE_NAME, 0, cookie };
	bool has_cookie = find_cookie(display, cookie, &length);
	const xcb_query_extension_reply_t *extension;
	const uint32_t events = XCB_EVENT_MASK_PROPERTY_CHANGE;
	const xcb_screen_t *screen;
	xcb_xfixes_query_version_reply_t *version;
	char path[32];
	int fd;

	/* Not by the abstract name that libxcb tries first: anybody can take that one, and would be shown the cookie. */
	snprintf(path, sizeof(path), CLIPBOARD_X_SOCKETS "/X%u", display);
	fd = clipboard_connect(path, uid, NULL);
	if (fd < 0)
		return false;
	auth.datalen = (int)length;
	s->c = x.xcb_connect_to_fd(fd, has_cookie ? &auth : NULL);
	if (x.xcb_connection_has_error(s->c))
		return false;
	screen = first_screen(s->c);
	if (!screen)
		return false;
	s->root = screen->root;
	extension = x.xcb_get_extension_data(s->c, xfixes.xcb_xfixes_id);
	if (!extension || !extension->present)
		return false;
	s->xfixes_event = extension->first_event;
	version = xfixes.xcb_xfixes_query_version_reply(s->c, xfixes.xcb_xfixes_query_version(s->c, 1, 0), NULL);
	if (!version)
		return false;
	free(version);
	s->clipboard = atom(s->c, "CLIPBOARD");
	s->utf8 = atom(s->c, "UTF8_STRING");
	s->incr = atom(s->c, "INCR");
	s->property = atom(s->c, "KONSEKI_CLIPBOARD");
	s->window = x.xcb_generate_id(s->c);
	x.xcb_create_window(s->c, 0, s->window, s->root, 0, 0, 1, 1, 0, XCB_WINDOW_CLASS_INPUT_ONLY, 0, XCB_CW_EVENT_MASK,
			    &events);
	xfixes.xcb_xfixes_select_selection_input(s->c, s->window, s->clipboard,
					    XCB_XFIXES_SELECTION_EVENT_MASK_SET_SELECTION_OWNER);
	x.xcb_flush(s->c);
	return !x.xcb_connection_has_error(s->c);
}

static uint32_t owner_now(struct session *s)
{
	xcb_get_selection_owner_reply_t *reply =
		x.xcb_get_selection_owner_reply(s->c, x.xcb_get_selection_owner(s->c, s->clipboard), NULL);
	uint32_t owner = reply ? reply->owner : 0;

	free(reply);
	return owner;
}

/* The next event, or NULL when the time is over or the server gone. */
static xcb_generic_event_t *next_event(struct session *s, int64_t until_ms)
{
	for (;;) {
		xcb_generic_event_t *event = x.xcb_poll_for_event(s->c);
		struct pollfd p = { .fd = x.xcb_get_file_descriptor(s->c), .events = POLLIN };
		int64_t left = until_ms - (int64_t)now_ms();

		if (event)
			return event;
		if (left <= 0 || x.xcb_connection_has_error(s->c))
			return NULL;
		poll(&p, 1, (int)left);
	}
}

/* As the server saw who connected: no program says it of itself. */
static uint32_t process_of(struct session *s, uint32_t window)
{
	xcb_res_client_id_spec_t spec = { window, XCB_RES_CLIENT_ID_MASK_LOCAL_CLIENT_PID };
	xcb_res_query_client_ids_reply_t *reply =
		res.xcb_res_query_client_ids_reply(s->c, res.xcb_res_query_client_ids(s->c, 1, &spec), NULL);
	uint32_t tgid = 0;

	if (reply && reply->num_ids > 0 &&
	    answer_more(reply->length) >= sizeof(xcb_res_client_id_value_t) + sizeof(tgid)) {
		xcb_res_client_id_value_iterator_t first = res.xcb_res_query_client_ids_ids_iterator(reply);

		if (res.xcb_res_client_id_value_value_length(first.data) > 0)
			tgid = *res.xcb_res_client_id_value_value(first.data);
	}
	free(reply);
	return tgid;
}

/* --- its text */

/* Takes what stands in our property; its type. */
static xcb_atom_t take_property(struct session *s, struct clipboard_text *text, size_t *taken)
{
	xcb_get_property_reply_t *reply = x.xcb_get_property_reply(
		s->c,
		x.xcb_get_property(s->c, 1, s->window, s->property, XCB_GET_PROPERTY_TYPE_ANY, 0, CLIPBOARD_TEXT_MAX / 4),
		NULL);
	xcb_atom_t type = reply ? reply->type : XCB_ATOM_NONE;

	*taken = reply ? (size_t)x.xcb_get_property_value_length(reply) : 0;
	if (reply && *taken > answer_more(reply->length))
		*taken = answer_more(reply->length);
	if (reply && type != s->incr && reply->format == 8) {
		size_t room = CLIPBOARD_TEXT_MAX - text->n, n = *taken < room ? *taken : room;

		memcpy(text->bytes + text->n, x.xcb_get_property_value(reply), n);
		text->n += n;
	}
	free(reply);
	return type;
}

/* A large text comes in parts: each appears in the property when we have taken the one before, an empty one ends it. */
static void take_parts(struct session *s, struct clipboard_text *text, int64_t until_ms)
{
	xcb_generic_event_t *event;
	size_t taken = 1;

	x.xcb_flush(s->c);
	while (taken > 0 && text->n < CLIPBOARD_TEXT_MAX && (event = next_event(s, until_ms))) {
		const xcb_property_notify_event_t *p = (const void *)event;

		if ((event->response_type & 0x7f) == XCB_PROPERTY_NOTIFY && p->atom == s->property &&
		    p->state == XCB_PROPERTY_NEW_VALUE)
			take_property(s, text, &taken);
		free(event);
	}
}

static bool note_holder(struct session *s, const xcb_generic_event_t *event)
{
	const xcb_xfixes_selection_notify_event_t *n = (const void *)event;

	if ((event->response_type & 0x7f) != s->xfixes_event + XCB_XFIXES_SELECTION_NOTIFY)
		return false;
	s->holder = n->owner;
	s->since = n->selection_timestamp;
	s->changes++;
	return true;
}

/* The question goes to who holds the clipboard when the server comes to it, which may be another one than we know of. Events say
 * how many of our requests the server had come to before. */
static bool ask_for(struct session *s, xcb_atom_t form, struct clipboard_text *text)
{
	int64_t until_ms = (int64_t)now_ms() + CLIPBOARD_ANSWER_MS;
	uint32_t question = x.xcb_convert_selection(s->c, s->window, s->clipboard, form, s->property, s->since).sequence;
	xcb_generic_event_t *event;
	bool answered = false, given = false;
	size_t taken;

	s->asked = s->holder;
	x.xcb_flush(s->c);
	while (!answered && (event = next_event(s, until_ms))) {
		const xcb_selection_notify_event_t *n = (const void *)event;

		if (note_holder(s, event) && (int32_t)(event->full_sequence - question) < 0)
			s->asked = s->holder;
		answered = (event->response_type & 0x7f) == XCB_SELECTION_NOTIFY && n->requestor == s->window;
		given = answered && n->property != XCB_ATOM_NONE;
		free(event);
	}
	if (!given)
		return false;
	if (take_property(s, text, &taken) == s->incr)
		take_parts(s, text, until_ms);
	return true;
}

/* Once more if somebody else took it meanwhile, who was not asked, or for one form only. */
static bool fetch(struct session *s, int64_t until_ms, struct clipboard_text *text)
{
	unsigned changes;

	do {
		changes = s->changes;
		s->asked = s->holder;
		if (s->holder && (ask_for(s, s->utf8, text) || ask_for(s, XCB_ATOM_STRING, text)))
			return true;
	} while (s->changes != changes && (int64_t)now_ms() < until_ms);
	return false;
}

/* Until there is a text, or the time is over. */
static bool wait_for_text(struct session *s, const struct clipboard_wait *wait, struct clipboard_text *text)
{
	xcb_generic_event_t *event;

	s->asked = s->holder = owner_now(s);
	if (wait->known && s->holder != wait->mark && fetch(s, wait->until_ms, text))
		return true;
	while ((event = next_event(s, wait->until_ms))) {
		bool is_new = note_holder(s, event);

		free(event);
		if (is_new && fetch(s, wait->until_ms, text))
			return true;
	}
	return false;
}

static void end(struct session *s)
{
	if (s->c)
		x.xcb_disconnect(s->c);
	s->c = NULL;
}

/* The compositor has made the socket and its lock before there was an X server behind it (some make one only when somebody connects:
 * so nobody must, to find out). */
static bool is_locked_by(unsigned display, pid_t pid)
{
	char path[32], number[16] = "";

	snprintf(path, sizeof(path), "/tmp/.X%u-lock", display);
	return read_file(path, number, sizeof(number) - 1) > 0 && strtol(number, NULL, 10) == pid;
}

/* With the first that is no compositor's. */
static int begin_with_any(struct session *s, const struct clipboard_server *server, unsigned *display)
{
	pid_t compositor = server->beside_wayland ? clipboard_compositor(server->uid) : 0;
	unsigned displays[CLIPBOARD_TRIES], count = clipboard_sockets(CLIPBOARD_X_SOCKETS, "X", server->uid, displays);
	int r = -ECONNREFUSED;

	for (unsigned i = 0; i < count; i++) {
		if (compositor && is_locked_by(displays[i], compositor)) {
			r = -ENOTSUP;
			continue;
		}
		*display = displays[i];
		*s = (struct session){ 0 };
		if (begin(s, *display, server->uid))
			return 0;
		end(s);
	}
	return r;
}

int clipboard_wait_x(const struct clipboard_server *server, const struct clipboard_wait *wait, struct clipboard_text *text,
		     struct clipboard_change *change)
{
	struct session s;
	int r = begin_with_any(&s, server, &change->display);

	if (r < 0)
		return r;
	change->changed = wait_for_text(&s, wait, text);
	change->mark = s.asked;
	if (change->changed)
		change->tgid = process_of(&s, (xcb_window_t)change->mark);
	r = change->changed || !x.xcb_connection_has_error(s.c) ? 0 : -ECONNRESET;
	end(&s);
	return r;
}
