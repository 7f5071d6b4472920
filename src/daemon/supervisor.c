/* SPDX-License-Identifier: MIT */
#include "supervisor.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../base/clock.h"
#include "../event/event.h"
#include "companion.h"
#include "files.h"
#include "helper.h"
#include "host.h"
#include "notify.h"

#define TICK_MS 1000

/* A process that says nothing for this long although it should is ended and started again. A disk may
 * stall for many seconds, and the rings hold out meanwhile. */
#define SILENCE_MAX_MS 30000
/* A monitor says nothing while the kernel checks its programs, which has taken 44 s on a slow machine. */
#define LOADING_MAX_MS 120000

/* When stopping: the engine drains the rings and syncs the log. */
#define ENGINE_STOP_MS  60000
#define MONITOR_STOP_MS 20000

/* More deaths than this within the span: restarting does not mend it. */
#define DEATHS_MAX     8u
#define DEATHS_SPAN_MS 600000
#define LATELY_MS      60000

/* An engine that ends before its rules are in force was refused; the monitor says why, a moment later. */
#define REASON_WAIT_MS 2000

struct child {
	const char *name;
	pid_t pid;          /* 0: none runs */
	uint64_t start_ms;  /* when to start it; 0: it runs or is not wanted */
	uint64_t deaths_ms[DEATHS_MAX];
	unsigned deaths;
	char fate[200];     /* how the latest ended, for the log */
};

/* Where questions to the helper wait. It is only looked whether something waits, never at what. */
struct lane {
	int fd;    /* the helper's end; -1: no engine */
	pid_t pid; /* 0: none runs */
	uint64_t kill_ms;
	uint64_t rest_ms; /* before this none is started: the latest ones failed */
	unsigned failures;
	bool dismissed; /* we ended it, since nobody waits for its answer */
};

struct supervisor {
	struct supervision *s;
	struct child monitor, engine;
	int signals;
	int link;        /* to the monitor */
	int ask, orders; /* the monitor's ends, kept for the next monitor */
	struct lane lanes[HELP_LANES];
	struct receiver from_monitor;
	struct body_held held;
	int fds[MESSAGE_FDS_MAX];
	unsigned fd_count;
	bool engine_ready;   /* this engine has rules in force */
	bool ever_ready;
	bool stopping;
	uint64_t pulse_ms;   /* the monitor's latest, or its start */
	bool monitor_loads;  /* it has not said anything yet */
	uint32_t engine_silent_ms;
	uint64_t kill_ms;    /* stopping: then the rest is killed */
	uint64_t reason_until_ms;
	unsigned restarts;
	uint64_t since_utc_ns;
};

static void begin_stop(struct supervisor *v);

static void give_up(struct supervisor *v, int status, const char *why)
{
	if (!*v->s->trouble) {
		v->s->status = status;
		snprintf(v->s->trouble, sizeof(v->s->trouble), "%s", why);
	}
	begin_stop(v);
}

/* --- children */

/* Ctrl-C and Ctrl-Z at the terminal are for the supervisor: its children have a session of their own. */
static void become_child(void)
{
	OWNED_FD null = open("/dev/null", O_RDWR | O_CLOEXEC);

	setsid();
	companion_leave_signals();
	if (null >= 0) {
		dup2(null, 0);
		dup2(null, 1);
	}
}

static void run_monitor(struct supervisor *v, int link)
{
	static struct monitor_start start;
	const struct watch_options *o = v->s->options;
	int keep[MESSAGE_FDS_MAX + 4];
	unsigned n = v->fd_count;

	start = (struct monitor_start){ .options = o,
					.link = link,
					.supervisor = getppid(),
					.since_utc_ns = v->since_utc_ns,
					.held = v->held,
					.count = v->fd_count };
	memcpy(start.fds, v->fds, sizeof(start.fds));
	memcpy(keep, v->fds, sizeof(v->fds));
	keep[n++] = link;
	keep[n++] = o->lock;
	/* Rules that were changed since are among what is held. */
	if (o->rules_file >= 0 && !v->fd_count)
		keep[n++] = o->rules_file;
	if (o->seal_key >= 0 && !v->fd_count)
		keep[n++] = o->seal_key;
	files_close_all_but(keep, n);
	_exit(monitor_main(&start));
}

static void run_engine(struct supervisor *v, int ask, int orders, const int help[HELP_LANES])
{
	static struct engine_start start;
	int keep[HELD_FIXED + 7 + HELP_LANES];
	unsigned n = HELD_FIXED;
	unsigned seal = HELD_FIXED + v->held.has_exec_watch + v->held.has_write_watch + v->held.has_folder_watch +
			v->held.has_rules;

	start = v->held.start;
	start.ring[0] = v->fds[0];
	start.ring[1] = v->fds[1];
	start.counters = v->fds[2];
	start.log = v->fds[3];
	start.memory = v->fds[4];
	start.verdicts = v->fds[6];
	start.drops = v->fds[7];
	start.exec_watch = v->held.has_exec_watch ? v->fds[HELD_FIXED] : -1;
	start.write_watch =
		v->held.has_write_watch ? v->fds[HELD_FIXED + v->held.has_exec_watch] : -1;
	start.folder_watch = v->held.has_folder_watch ?
				     v->fds[HELD_FIXED + v->held.has_exec_watch + v->held.has_write_watch] :
				     -1;
	start.seal = v->held.has_seal ? v->fds[seal] : -1;
	start.seal_key = v->held.has_seal ? v->fds[seal + 1] : -1;
	start.ask = ask;
	start.orders = orders;
	memcpy(start.help, help, sizeof(start.help));
	memcpy(keep, v->fds, HELD_FIXED * sizeof(*keep));
	keep[n++] = ask;
	keep[n++] = orders;
	for (unsigned i = 0; i < HELP_LANES; i++)
		keep[n++] = help[i];
	if (start.exec_watch >= 0)
		keep[n++] = start.exec_watch;
	if (start.write_watch >= 0)
		keep[n++] = start.write_watch;
	if (start.folder_watch >= 0)
		keep[n++] = start.folder_watch;
	if (start.seal >= 0) {
		keep[n++] = start.seal;
		keep[n++] = start.seal_key;
	}
	files_close_all_but(keep, n);
	prctl(PR_SET_NAME, "konseki-engine");
	_exit(engine_main(&start));
}

static void tell_engine(struct supervisor *v, bool adopted, const char *note)
{
	struct body_engine body = { .pid = v->engine.pid, .adopted = adopted, .restarts = v->restarts };
	int fds[2] = { v->ask, v->orders };

	snprintf(body.note, sizeof(body.note), "%s", note);
	message_send(v->link, TELL_ENGINE, 0, &body, fds, 2);
}

static void start_monitor(struct supervisor *v)
{
	int pair[2];
	pid_t pid;

	v->monitor.start_ms = 0;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0) {
		give_up(v, 1, "no socket for the monitor");
		return;
	}
	fflush(NULL);
	pid = fork();
	if (pid == 0) {
		become_child();
		run_monitor(v, pair[1]);
	}
	close(pair[1]);
	v->link = pair[0];
	if (pid < 0) {
		give_up(v, 1, "no process for the monitor");
		return;
	}
	v->monitor.pid = pid;
	v->pulse_ms = now_ms();
	v->monitor_loads = true;
	v->engine_silent_ms = 0;
	v->from_monitor = (struct receiver){ .from = PARTY_MONITOR,
					     .state = v->ever_ready ? WATCHING : STARTING };
	if (v->engine.pid)
		tell_engine(v, v->engine_ready, v->monitor.fate);
}

/* --- helpers */

/* Nobody waits any more for what those would answer who are at work; some wait long for something to answer. */
static void close_lanes(struct supervisor *v)
{
	for (unsigned i = 0; i < HELP_LANES; i++) {
		struct lane *lane = &v->lanes[i];

		if (lane->fd >= 0)
			close(MOVE_FD(lane->fd));
		lane->dismissed = lane->pid > 0;
		if (lane->pid)
			kill(lane->pid, SIGKILL);
	}
}

/* The engine's ends; those that could not be made are -1, and what they would answer is "-". */
static void open_lanes(struct supervisor *v, int help[HELP_LANES])
{
	int pair[2];

	close_lanes(v);
	for (unsigned i = 0; i < HELP_LANES; i++) {
		bool made = socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == 0;

		v->lanes[i].fd = made ? pair[0] : -1;
		help[i] = made ? pair[1] : -1;
	}
}

static void start_helper(struct supervisor *v, unsigned i)
{
	struct lane *lane = &v->lanes[i];
	pid_t pid;

	fflush(NULL);
	pid = fork();
	if (pid == 0) {
		int fd = lane->fd;

		become_child();
		files_close_all_but(&fd, 1);
		_exit(helper_main(i, lane->fd));
	}
	lane->pid = pid > 0 ? pid : 0;
	lane->kill_ms = now_ms() + help_lanes[i].seconds * 1000u;
	if (pid < 0)
		lane->rest_ms = now_ms() + TICK_MS;
}

/* One that fails rests, longer each time: a question that kills whoever reads it must not keep us busy. */
static void helper_ended(struct lane *lane, int status)
{
	bool well = lane->dismissed || (WIFEXITED(status) && WEXITSTATUS(status) == 0);

	lane->pid = 0;
	lane->dismissed = false;
	lane->failures = well ? 0 : lane->failures + 1;
	lane->rest_ms = well ? 0 : now_ms() + restart_delay_ms(lane->failures + 1);
}

static void look_after_helpers(struct supervisor *v, uint64_t now)
{
	for (unsigned i = 0; i < HELP_LANES; i++) {
		struct lane *lane = &v->lanes[i];
		struct pollfd p = { .fd = lane->fd, .events = POLLIN };

		if (lane->pid && now >= lane->kill_ms)
			kill(lane->pid, SIGKILL);
		else if (!lane->pid && lane->fd >= 0 && now >= lane->rest_ms && poll(&p, 1, 0) == 1 &&
			 (p.revents & POLLIN))
			start_helper(v, i);
	}
}

static void start_engine(struct supervisor *v)
{
	int ask[2], orders[2], help[HELP_LANES];
	pid_t pid;

	v->engine.start_ms = 0;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ask) < 0 ||
	    socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, orders) < 0) {
		give_up(v, 1, "no sockets for the engine");
		return;
	}
	open_lanes(v, help);
	fflush(NULL);
	pid = fork();
	if (pid == 0) {
		become_child();
		run_engine(v, ask[1], orders[1], help);
	}
	for (unsigned i = 0; i < HELP_LANES; i++)
		if (help[i] >= 0)
			close(help[i]);
	close(ask[1]);
	close(orders[1]);
	v->ask = ask[0];
	v->orders = orders[0];
	if (pid < 0) {
		give_up(v, 1, "no process for the engine");
		return;
	}
	v->engine.pid = pid;
	v->engine_ready = false;
	v->engine_silent_ms = 0;
	if (v->link >= 0)
		tell_engine(v, false, "");
}

/* --- deaths */

unsigned restart_delay_ms(unsigned deaths_lately)
{
	unsigned doublings = deaths_lately < 2 ? 0 : deaths_lately - 1;

	/* At once the first time: while nobody reads, the rings fill. */
	return doublings ? 500u << (doublings < 6 ? doublings : 6) : 0;
}

static unsigned deaths_within(const struct child *c, uint64_t span_ms)
{
	unsigned kept = c->deaths < DEATHS_MAX ? c->deaths : DEATHS_MAX;
	unsigned count = 0;

	for (unsigned i = 0; i < kept; i++)
		count += now_ms() - c->deaths_ms[i] <= span_ms;
	return count;
}

static void describe_death(struct child *c, int status)
{
	char when[24];

	utc_text(now_utc_ns(), when);
	if (WIFSIGNALED(status))
		snprintf(c->fate, sizeof(c->fate), "The %s was killed by signal %d (%s) at %s", c->name,
			 WTERMSIG(status), strsignal(WTERMSIG(status)), when);
	else
		snprintf(c->fate, sizeof(c->fate), "The %s ended with status %d at %s", c->name,
			 WEXITSTATUS(status), when);
}

/* Decides whether and when it is started again. */
static void plan_restart(struct supervisor *v, struct child *c)
{
	char why[sizeof(c->fate) + 100];

	c->deaths_ms[c->deaths++ % DEATHS_MAX] = now_ms();
	if (deaths_within(c, DEATHS_SPAN_MS) == DEATHS_MAX) {
		snprintf(why, sizeof(why), "%u deaths of the %s within %u minutes: %s", DEATHS_MAX,
			 c->name, DEATHS_SPAN_MS / 60000, c->fate);
		give_up(v, 1, why);
		return;
	}
	v->restarts++;
	strncat(c->fate, "; another one was started", sizeof(c->fate) - strlen(c->fate) - 1);
	c->start_ms = now_ms() + restart_delay_ms(deaths_within(c, LATELY_MS));
	fprintf(stderr, "konseki: %s\n", c->fate);
}

static void engine_died(struct supervisor *v, int status)
{
	close(MOVE_FD(v->ask));
	close(MOVE_FD(v->orders));
	close_lanes(v);
	describe_death(&v->engine, status);
	if (v->stopping) {
		v->kill_ms = now_ms() + MONITOR_STOP_MS;
		return;
	}
	if (!v->ever_ready) {
		v->reason_until_ms = now_ms() + REASON_WAIT_MS;
		return;
	}
	plan_restart(v, &v->engine);
	v->held.start.announce = 0;
	/* The next one writes it down; if that one dies before it could, the first one's fate still counts. */
	if (v->engine_ready || !*v->held.start.gap)
		snprintf(v->held.start.gap, sizeof(v->held.start.gap), "%s", v->engine.fate);
}

static void monitor_died(struct supervisor *v, int status)
{
	if (v->link >= 0)
		close(MOVE_FD(v->link));
	describe_death(&v->monitor, status);
	if (v->stopping) {
		if (v->engine.pid)
			message_send(v->orders, COMMAND_STOP, 0, NULL, NULL, 0);
		return;
	}
	plan_restart(v, &v->monitor);
}

static void read_link(struct supervisor *v);

static void reap(struct supervisor *v)
{
	int status;

	/* What a process said before it ended comes first. */
	read_link(v);
	if (v->monitor.pid && waitpid(v->monitor.pid, &status, WNOHANG) == v->monitor.pid) {
		v->monitor.pid = 0;
		read_link(v);
		monitor_died(v, status);
	}
	if (v->engine.pid && waitpid(v->engine.pid, &status, WNOHANG) == v->engine.pid) {
		v->engine.pid = 0;
		engine_died(v, status);
	}
	for (unsigned i = 0; i < HELP_LANES; i++)
		if (v->lanes[i].pid && waitpid(v->lanes[i].pid, &status, WNOHANG) == v->lanes[i].pid)
			helper_ended(&v->lanes[i], status);
}

/* --- what the monitor tells */

/* The sensor's hooks end the list, processes before what they do: whoever acts to the last must have a name. */
static void drop_held(struct supervisor *v)
{
	for (unsigned i = v->fd_count; i > 0; i--)
		close(v->fds[i - 1]);
	v->fd_count = 0;
}

static bool is_same_file(int a, int b)
{
	struct stat x, y;

	return fstat(a, &x) == 0 && fstat(b, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

static void take_held(struct supervisor *v, struct message *m)
{
	const struct body_held *b = &m->body.held;
	bool first = v->fd_count == 0, other_log;

	if (m->fd_count < HELD_FIXED || b->has_exec_watch > 1 || b->has_write_watch > 1 ||
	    b->has_folder_watch > 1 || b->has_rules > 1 || b->has_seal > 1 ||
	    m->fd_count != HELD_FIXED + b->has_exec_watch + b->has_write_watch + b->has_folder_watch +
				   b->has_rules + 2 * b->has_seal + b->sensor) {
		message_close_fds(m);
		return;
	}
	other_log = !first && !is_same_file(v->fds[3], m->fds[3]);
	/* What is not among the new ones is let go, and so detached: hooks that no rule asks for. */
	drop_held(v);
	memcpy(v->fds, m->fds, sizeof(v->fds));
	v->fd_count = m->fd_count;
	if (first) {
		v->held = *b;
		if (v->s->log_opened)
			v->s->log_opened(v->s->context, v->fds[3]);
		start_engine(v);
	} else {
		struct engine_start ours = v->held.start;

		ours.log_size_max = b->start.log_size_max;
		v->held = *b;
		v->held.start = ours;
	}
	if (other_log && v->s->log_changed)
		v->s->log_changed(v->s->context);
}

static void take_ready(struct supervisor *v)
{
	v->engine_ready = true;
	v->held.start.gap[0] = 0;
	if (v->ever_ready)
		return;
	v->ever_ready = true;
	v->from_monitor.state = WATCHING;
	notify("READY=1\nSTATUS=watching");
	if (v->s->ready)
		v->s->ready(v->s->context);
}

static void take_message(struct supervisor *v, struct message *m)
{
	switch (m->head.kind) {
	case REPORT_HELD:
		if (v->stopping)
			message_close_fds(m);
		else
			take_held(v, m);
		break;
	case REPORT_READY:
		take_ready(v);
		break;
	case REPORT_PULSE:
		v->pulse_ms = now_ms();
		v->monitor_loads = false;
		v->engine_silent_ms = m->body.pulse.engine_silent_ms;
		break;
	case REPORT_FAILED:
		/* Later it is one more death, with its reason. */
		if (v->ever_ready)
			fprintf(stderr, "konseki: %s\n", m->body.failed.text);
		else
			give_up(v, m->body.failed.status, m->body.failed.text);
		break;
	case REPORT_FINAL:
		v->s->has_report = true;
		v->s->report = m->body.report.report;
		close(MOVE_FD(v->link)); /* the monitor's sign to end */
		break;
	case REPORT_STOP:
		begin_stop(v);
		break;
	}
}

static void read_link(struct supervisor *v)
{
	struct message m;
	int r;

	while (v->link >= 0 && (r = message_receive(v->link, &v->from_monitor, &m)) != 0) {
		if (r == -EPIPE)
			return; /* its death is told by SIGCHLD */
		if (r == 1)
			take_message(v, &m);
	}
}

/* --- stopping */

static void begin_stop(struct supervisor *v)
{
	if (v->stopping)
		return;
	v->stopping = true;
	v->from_monitor.state = STOPPING;
	v->monitor.start_ms = v->engine.start_ms = 0;
	v->kill_ms = now_ms() + (v->engine.pid ? ENGINE_STOP_MS : MONITOR_STOP_MS);
	notify("STOPPING=1");
	/* The hooks are attached as long as anybody holds them. */
	drop_held(v);
	if (v->monitor.pid)
		message_send(v->link, TELL_STOP, 0, NULL, NULL, 0);
	else if (v->engine.pid)
		message_send(v->orders, COMMAND_STOP, 0, NULL, NULL, 0);
}

static void kill_child(const struct child *c, const char *why)
{
	if (!c->pid)
		return;
	fprintf(stderr, "konseki: the %s %s: killing it\n", c->name, why);
	kill(c->pid, SIGKILL);
}

/* --- the loop */

static void see_them_stop(struct supervisor *v, uint64_t now)
{
	/* A monitor that hangs cannot tell the engine; once it is gone, we do. */
	if (v->engine.pid && v->monitor.pid && now - v->pulse_ms >= MONITOR_STOP_MS) {
		kill_child(&v->monitor, "does not answer");
		v->pulse_ms = now;
	}
	if (now >= v->kill_ms) {
		kill_child(&v->engine, "does not stop");
		kill_child(&v->monitor, "does not stop");
		v->kill_ms = now + MONITOR_STOP_MS;
	}
}

static void watch_over(struct supervisor *v)
{
	uint64_t now = now_ms(), silence_max_ms = v->monitor_loads ? LOADING_MAX_MS : SILENCE_MAX_MS;

	if (v->stopping) {
		see_them_stop(v, now);
		return;
	}
	if (v->monitor.pid && now - v->pulse_ms >= silence_max_ms && v->fd_count) {
		kill_child(&v->monitor, "does not answer");
		v->pulse_ms = now;
	} else if (v->engine.pid && v->engine_silent_ms >= SILENCE_MAX_MS) {
		kill_child(&v->engine, "does not answer");
		v->engine_silent_ms = 0;
	} else if (v->engine_ready && v->engine_silent_ms < SILENCE_MAX_MS / 2) {
		notify("WATCHDOG=1");
	}
	if (v->reason_until_ms && now >= v->reason_until_ms)
		give_up(v, 1, v->engine.fate);
	if (v->monitor.start_ms && now >= v->monitor.start_ms)
		start_monitor(v);
	if (v->engine.start_ms && now >= v->engine.start_ms)
		start_engine(v);
}

static void read_signals(struct supervisor *v)
{
	struct signalfd_siginfo i;

	while (read(v->signals, &i, sizeof(i)) == sizeof(i)) {
		if (i.ssi_signo == SIGCHLD)
			reap(v);
		else if (i.ssi_signo != SIGHUP || v->s->foreground)
			begin_stop(v);
	}
}

static bool done(const struct supervisor *v)
{
	for (unsigned i = 0; i < HELP_LANES; i++)
		if (v->lanes[i].pid)
			return false;
	return v->stopping && !v->monitor.pid && !v->engine.pid;
}

static int nearest_ms(const struct supervisor *v)
{
	uint64_t now = now_ms(), at = now + TICK_MS;

	if (v->monitor.start_ms && v->monitor.start_ms < at)
		at = v->monitor.start_ms;
	if (v->engine.start_ms && v->engine.start_ms < at)
		at = v->engine.start_ms;
	return at > now ? (int)(at - now) : 0;
}

static void run(struct supervisor *v)
{
	while (!done(v)) {
		struct pollfd p[2 + HELP_LANES] = { { .fd = v->signals, .events = POLLIN },
						    { .fd = v->link, .events = POLLIN } };
		uint64_t now = now_ms();

		for (unsigned i = 0; i < HELP_LANES; i++)
			p[2 + i] = (struct pollfd){
				.fd = v->lanes[i].pid || now < v->lanes[i].rest_ms ? -1 : v->lanes[i].fd,
				.events = POLLIN
			};
		poll(p, ARRAY_SIZE(p), nearest_ms(v));
		/* After a pause of ourselves (Ctrl-Z) the pulses of that time come before the judgement. */
		read_link(v);
		read_signals(v);
		watch_over(v);
		look_after_helpers(v, now_ms());
		if (v->s->look_after && !v->stopping)
			v->s->look_after(v->s->context);
	}
	close_lanes(v);
}

int supervise(struct supervision *s)
{
	struct supervisor v = { .s = s, .link = -1, .ask = -1, .orders = -1,
				.monitor.name = "monitor", .engine.name = "engine" };

	sigset_t ours, before;

	for (unsigned i = 0; i < HELP_LANES; i++)
		v.lanes[i].fd = -1;
	sigemptyset(&ours);
	sigaddset(&ours, SIGCHLD);
	sigaddset(&ours, SIGTERM);
	sigaddset(&ours, SIGINT);
	sigaddset(&ours, SIGHUP);
	sigprocmask(SIG_BLOCK, &ours, &before);
	v.signals = signalfd(-1, &ours, SFD_CLOEXEC | SFD_NONBLOCK);
	v.since_utc_ns = now_utc_ns();
	start_monitor(&v);
	run(&v);
	if (v.link >= 0)
		close(v.link);
	close(v.signals);
	sigprocmask(SIG_SETMASK, &before, NULL);
	return s->status;
}
