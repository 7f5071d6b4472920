/* SPDX-License-Identifier: MIT */
#include "teller.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "../base/clock.h"
#include "../base/own.h"
#include "../hunt/hunt.h"
#include "../hunt/view.h"
#include "files.h"
#include "privilege.h"

#define AGAIN_AFTER_MS 2000
#define END_WAIT_MS    5000
/* How long a listener that takes nothing is waited for once the service ends. */
#define LAST_WAIT_MS   2000

const char *const told_names[TOLD_OUTPUTS] = { "syslog", "journal" };

/* Of the datagram, before the text. */
#define PREFIX_MAX 128

struct teller {
	unsigned output;
	const char *ident;
	size_t length_max;
	struct told *told;
	int socket;
	int until;
	FILE *line; /* in memory: */
	char *text;
	size_t room;
	bool lost; /* the connection */
};

/* --- one record */

static size_t prefix(const struct teller *t, char out[PREFIX_MAX])
{
	time_t now = time(NULL);
	struct tm tm = { 0 };
	char when[32];

	if (t->output == TOLD_JOURNAL)
		return (size_t)snprintf(out, PREFIX_MAX, "PRIORITY=6\nSYSLOG_FACILITY=1\nSYSLOG_IDENTIFIER=%s\nMESSAGE=",
					t->ident);
	/* Facility user, severity info; local time, as syslog(3) has it. */
	localtime_r(&now, &tm);
	strftime(when, sizeof(when), "%b %e %H:%M:%S", &tm);
	return (size_t)snprintf(out, PREFIX_MAX, "<14>%s %s: ", when, t->ident);
}

/* The text ends with a line feed, which the journal wants and syslog does not. */
static int send_once(const struct teller *t, const char *text, size_t n)
{
	char before[PREFIX_MAX];
	struct iovec parts[] = { { before, prefix(t, before) },
				 { (void *)(uintptr_t)text, t->output == TOLD_JOURNAL ? n : n - 1 } };
	struct msghdr m = { .msg_iov = parts, .msg_iovlen = ARRAY_SIZE(parts) };

	return sendmsg(t->socket, &m, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 ? -errno : 0;
}

/* Waits until there is room, however long that takes; but not when the service ends. False: given up. */
static bool wait_for_room(struct teller *t)
{
	struct pollfd p[] = { { .fd = t->socket, .events = POLLOUT }, { .fd = t->until, .events = POLLIN } };

	t->told->waits = 1;
	if (poll(p, ARRAY_SIZE(p), -1) < 0 && errno != EINTR)
		return false;
	if (p[1].revents && !p[0].revents && poll(p, 1, LAST_WAIT_MS) <= 0)
		return false;
	t->told->waits = 0;
	return true;
}

static void send_text(struct teller *t, const char *text, size_t n)
{
	int r;

	while ((r = send_once(t, text, n)) == -EAGAIN || r == -ENOBUFS || r == -EINTR)
		if (!wait_for_room(t))
			break;
	if (r == 0)
		t->told->sent++;
	else if (r == -EMSGSIZE)
		t->told->missed++;
	else
		t->lost = true; /* it goes on from this record when somebody listens again */
}

static void tell(void *self, struct evtx_reader *r, const struct evtx_record *rec)
{
	struct teller *t = self;
	struct told *told = t->told;

	(void)r;
	if (t->lost)
		return;
	if (told->last_id && rec->header_id > told->last_id + 1)
		told->missed += rec->header_id - told->last_id - 1;
	rewind(t->line);
	render_syslog(rec, t->length_max, t->line);
	fflush(t->line);
	send_text(t, t->text, (size_t)ftello(t->line));
	if (!t->lost)
		told->last_id = rec->header_id;
}

static bool is_lost(void *self)
{
	return ((struct teller *)self)->lost;
}

/* --- the process */

/* That somebody is not there is no news every two seconds. */
static void hear(void *self, const char *text)
{
	(void)self;
	(void)text;
}

static int connect_to(const char *path)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	OWNED_FD fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	snprintf(a.sun_path, sizeof(a.sun_path), "%s", path);
	if (fd < 0 || connect(fd, (const struct sockaddr *)&a, sizeof(a)) < 0)
		return -errno;
	return MOVE_FD(fd);
}

static int follow(struct teller *t, int log)
{
	const struct fault_listener listener = { .hear = hear };
	OWNED(logfile) l = NULL;
	OWNED(filter) all = filter_new();
	struct view v = { .filter = all, .to = t->line, .take = tell, .enough = is_lost, .self = t };
	struct err e;

	if (!all || logfile_from_fd(log, &listener, &l, &e) < 0)
		return 1;
	return view_follow(l, t->told->last_id, &v, t->until, &e) < 0;
}

static void __attribute__((noreturn)) be_teller(const struct tellers *ts, unsigned output, int until)
{
	struct teller t = { .output = output,
			    .ident = ts->settings->text_ident,
			    .length_max = ts->settings->text_length,
			    .told = &ts->told[output],
			    .until = until };
	int log = open(ts->log_path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	struct err e;

	/* Some look for who sends by the name of the process. */
	prctl(PR_SET_NAME, t.ident);
	t.socket = connect_to(ts->sockets[output]);
	t.line = open_memstream(&t.text, &t.room);
	files_close_all_but((int[]){ log, until, t.socket }, 3);
	companion_leave_signals();
	tzset(); /* reads a file */
	t.told->waits = t.socket < 0;
	if (t.socket < 0 || log < 0 || !t.line || privilege_seal_engine(&e) < 0)
		_exit(1);
	_exit(follow(&t, log));
}

/* --- who looks after them */

int tellers_init(struct tellers *t, const struct settings *s, const char *log_path)
{
	*t = (struct tellers){ .settings = s,
			       .log_path = log_path,
			       .sockets = { "/dev/log", "/run/systemd/journal/socket" } };
	t->told = mmap(NULL, TOLD_OUTPUTS * sizeof(*t->told), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (t->told == MAP_FAILED)
		return -errno;
	for (unsigned i = 0; i < TOLD_OUTPUTS; i++)
		t->told[i].on = s->text[i];
	return 0;
}

static void start(struct tellers *t, unsigned output)
{
	int until;

	if (companion_start(&t->one[output].process, &until))
		be_teller(t, output, until);
}

void tellers_begin(struct tellers *t, int log)
{
	uint64_t newest = hunt_newest(log);

	for (unsigned i = 0; i < TOLD_OUTPUTS; i++) {
		t->told[i].last_id = newest;
		t->one[i].start_ms = t->told[i].on ? now_ms() : 0;
	}
	tellers_look_after(t);
}

void tellers_look_after(struct tellers *t)
{
	for (unsigned i = 0; i < TOLD_OUTPUTS; i++) {
		int status;

		if (companion_has_ended(&t->one[i].process, &status)) {
			t->one[i].start_ms = now_ms() + AGAIN_AFTER_MS;
			t->told[i].waits = 1;
		}
		if (t->one[i].process.pid == 0 && t->one[i].start_ms && now_ms() >= t->one[i].start_ms)
			start(t, i);
	}
}

void tellers_change_files(struct tellers *t)
{
	for (unsigned i = 0; i < TOLD_OUTPUTS; i++)
		companion_dismiss(&t->one[i].process);
}

void tellers_end(struct tellers *t)
{
	uint64_t kill_ms = now_ms() + END_WAIT_MS;

	for (unsigned i = 0; i < TOLD_OUTPUTS; i++)
		companion_dismiss(&t->one[i].process);
	for (unsigned i = 0; i < TOLD_OUTPUTS; i++)
		companion_end(&t->one[i].process, kill_ms);
}
