/* SPDX-License-Identifier: MIT */
/* Running: what is settled before the processes start, and what is shown when they ended. */
#include "service.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../base/clock.h"
#include "../event/event.h"
#include "files.h"
#include "forwards.h"
#include "notify.h"
#include "paths.h"
#include "privilege.h"
#include "rules_store.h"
#include "seal_make.h"
#include "service_parts.h"
#include "settings.h"
#include "supervisor.h"
#include "teller.h"

#define SHOWER_WAIT_MS 5000

int refuse_unless_root(void)
{
	if (geteuid() == 0)
		return 0;
	fprintf(stderr, "konseki needs to be run as root, since it loads programs into the kernel. "
			"Try: sudo konseki ...\n");
	return STATUS_NOT_ROOT;
}

/* --- one at a time */

pid_t running_pid(void)
{
	char text[32];
	int pid;

	if (files_read_text(PATH_PID, text, sizeof(text)) < 0 || sscanf(text, "%d", &pid) != 1 ||
	    pid <= 0 || (kill(pid, 0) < 0 && errno == ESRCH))
		return 0;
	return pid;
}

/* All our processes keep the lock open, so it is free only when the last of them is gone. One whose
 * supervisor died is about to end: that is waited for. */
int lock_wait(int fd, unsigned timeout_ms)
{
	uint64_t until = now_ms() + timeout_ms;

	while (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		if (errno != EWOULDBLOCK)
			return -errno;
		if (now_ms() >= until)
			return -EBUSY;
		usleep(50000);
	}
	return 0;
}

static int take_lock(struct err *e)
{
	OWNED_FD fd = -1;
	pid_t running;
	char text[32];
	int r;

	if (mkdir(PATH_RUN, 0755) < 0 && errno != EEXIST)
		return err_set(e, errno, "making the folder '%s'", PATH_RUN);
	fd = open(PATH_PID, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0644);
	if (fd < 0)
		return err_set(e, errno, "opening '%s'", PATH_PID);
	running = running_pid();
	r = lock_wait(fd, running ? 0 : ORPHANS_MS);
	if (r == -EBUSY && running)
		return err_set(e, EBADMSG,
			       "already running as process %d; only one can watch this machine. "
			       "'konseki status' shows it", running);
	if (r < 0)
		return err_set(e, -r, "locking '%s'", PATH_PID);
	snprintf(text, sizeof(text), "%d\n", getpid());
	if (ftruncate(fd, 0) < 0 || pwrite(fd, text, strlen(text), 0) < 0)
		return err_set(e, errno, "writing '%s'", PATH_PID);
	return MOVE_FD(fd);
}

/* --- what to run with */

static int absolute(const char *path, char *out, size_t size, struct err *e)
{
	char folder[256] = "";

	if (*path != '/' && !getcwd(folder, sizeof(folder)))
		return err_set(e, errno, "finding the working directory");
	if (snprintf(out, size, *path == '/' ? "%s%s" : "%s/%s", folder, path) >= (int)size)
		return err_set(e, ENAMETOOLONG, "the log '%s'", path);
	return 0;
}

static int settle_service(struct watch_options *w, struct settings *settings, struct tellers *tellers,
			  struct forwards *forwards, struct err *e)
{
	if (settings_load(PATH_SETTINGS, settings, e) < 0 || rules_stored(&w->rules, &w->rules_file, e) < 0)
		return -e->code;
	w->service = true;
	w->btf = access(PATH_BTF, F_OK) == 0 ? PATH_BTF : NULL;
	w->log_size = settings->log_size;
	w->archive_size = settings->archive_size;
	w->archive_bytes = settings->log_archive;
	w->archive_days = settings->log_archive_days;
	w->least_minutes = settings->log_least_minutes;
	w->context = settings->log_context;
	w->ring_events_bytes = settings->ring_events_bytes;
	w->ring_process_bytes = settings->ring_process_bytes;
	if (tellers_init(tellers, settings, w->log_path) < 0 || forwards_init(forwards, settings, w->log_path) < 0)
		return err_set(e, errno, "sharing memory");
	w->told = tellers->told;
	w->forwarded = forwards->shown;
	memcpy(w->dns_ports, settings->dns_ports, sizeof(w->dns_ports));
	return absolute(PATH_LOG, w->log_path, sizeof(w->log_path), e);
}

static bool holds_something(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && st.st_size > 0;
}

/* Every run has a key of its own, so a log has one run. */
static int settle_seal(struct watch_options *w, struct err *e)
{
	char seals[sizeof(w->log_path) + sizeof(SEAL_SUFFIX)];

	snprintf(seals, sizeof(seals), "%s" SEAL_SUFFIX, w->log_path);
	if (holds_something(w->log_path) || holds_something(seals))
		return err_set(e, EBADMSG, "--seal begins a new log, but '%s' is there already", w->log_path);
	w->seal_key = seal_make_in_memory(stderr, e);
	return w->seal_key < 0 ? -e->code : 0;
}

static int settle(const struct run_options *o, struct watch_options *w, struct err *e)
{
	w->btf = o->btf;
	w->log_size = o->log_size ? o->log_size : LOG_SIZE_DEFAULT;
	w->archive_size = ARCHIVE_SIZE_DEFAULT;
	w->least_minutes = LOG_LEAST_MINUTES;
	w->context = o->context;
	if (rules_of(o->config, &w->rules, &w->rules_file, e) < 0)
		return -e->code;
	if (absolute(o->log ? o->log : LOG_NAME, w->log_path, sizeof(w->log_path), e) < 0)
		return -e->code;
	return o->seal ? settle_seal(w, e) : 0;
}

/* --- showing events as they come, in a process of its own */

struct shower {
	const struct run_options *options;
	const struct watch_options *watch;
	struct tellers *tellers; /* only of a service, */
	struct forwards *forwards; /* likewise */
	struct companion process; /* dismissed, it shows what is left */
};

static void show_events(const struct shower *s, int log, uint64_t after, int until)
{
	bool colour = isatty(STDOUT_FILENO) && !getenv("NO_COLOR");
	int keep[] = { log, until };
	struct err e;
	sigset_t none;
	int r;

	/* Above all not the hooks: they stay attached as long as anybody holds them. */
	files_close_all_but(keep, ARRAY_SIZE(keep));
	/* Ctrl-C is the supervisor's; what the engine still writes is to be shown. */
	signal(SIGINT, SIG_IGN);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	if (privilege_seal_engine(&e) < 0) {
		fprintf(stderr, "konseki: %s\n", e.text);
		_exit(1);
	}
	r = hunt_follow(log, after, s->options->show, colour, until);
	if (r < 0 && r != -EPIPE)
		fprintf(stderr, "konseki: showing events: %s\n", strerror(-r));
	fflush(NULL);
	_exit(r < 0);
}

static void start_shower(void *context, int log)
{
	struct shower *s = context;
	uint64_t after;
	int own, until;

	if (s->watch->told)
		tellers_begin(s->tellers, log);
	if (s->watch->forwarded)
		forwards_begin(s->forwards);
	if (s->options->show == SHOW_NOTHING)
		return;
	own = open(s->watch->log_path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	after = hunt_newest(log);
	if (companion_start(&s->process, &until))
		show_events(s, own, after, until);
	close(own);
}

/* --- the tally */

void print_tally(FILE *to, const struct engine_report *r)
{
	fprintf(to, "%-44s %12s %12s %12s %8s\n", "Event", "produced", "filtered", "logged", "lost");
	for (unsigned i = 0; i < EVENT_TYPE_COUNT; i++) {
		const struct event_type *t = &event_types[i];
		unsigned k = t->record;

		if (!r->produced[k] && !r->logged[k] && !r->lost[k] && t->later)
			continue;
		fprintf(to, "%3u %-40s %12lu %12lu %12lu %8lu\n", t->id, t->title, r->produced[k],
			r->filtered[k], r->logged[k], r->lost[k]);
	}
}

static void tell_end(const struct supervision *s, const struct run_options *o)
{
	if (o->service)
		return;
	if (s->has_report)
		print_tally(stderr, &s->report);
	fprintf(stderr, "konseki: stopped, nothing is left attached\n");
}

/* --- running */

static void look_after(void *context)
{
	const struct shower *s = context;

	if (s->watch->told)
		tellers_look_after(s->tellers);
	if (s->watch->forwarded)
		forwards_look_after(s->forwards);
}

static void change_files(void *context)
{
	const struct shower *s = context;

	if (s->watch->told)
		tellers_change_files(s->tellers);
	if (s->watch->forwarded)
		forwards_change_files(s->forwards);
}

static void tell_ready(void *context)
{
	const struct shower *s = context;

	if (!s->options->service)
		fprintf(stderr, "konseki: watching this machine (Ctrl-C ends it); log: %s\n",
			s->watch->log_path);
}

static int tell_failed(const char *text, int status)
{
	char line[1100];

	fprintf(stderr, "konseki: %s\n", text);
	snprintf(line, sizeof(line), "STATUS=%s\nERRNO=1", text);
	notify(line);
	return status;
}

int service_run(const struct run_options *o)
{
	struct watch_options w = { .rules_file = -1, .seal_key = -1, .lock = -1 };
	static struct settings settings; /* large */
	static struct forwards forwards;
	struct tellers tellers = { 0 };
	struct shower shower = { .options = o, .watch = &w, .tellers = &tellers, .forwards = &forwards };
	struct supervision s = { .options = &w,
				 .foreground = !o->service,
				 .log_opened = start_shower,
				 .log_changed = change_files,
				 .ready = tell_ready,
				 .look_after = look_after,
				 .context = &shower };
	struct err e = { 0 };
	int status = refuse_unless_root();

	if (status)
		return status;
	umask(027);
	if ((o->service ? settle_service(&w, &settings, &tellers, &forwards, &e) : settle(o, &w, &e)) < 0)
		return tell_failed(e.text, STATUS_USAGE);
	w.lock = take_lock(&e);
	if (w.lock < 0)
		return tell_failed(e.text, 1);
	status = supervise(&s);
	/* Its terminal may be stopped (Ctrl-S). */
	companion_end(&shower.process, now_ms() + SHOWER_WAIT_MS);
	if (w.told)
		tellers_end(&tellers);
	if (w.forwarded)
		forwards_end(&forwards);
	if (*s.trouble)
		return tell_failed(s.trouble, status);
	tell_end(&s, o);
	return status;
}
