/* SPDX-License-Identifier: MIT */
/* The monitor's beginning, loop and end; what it says to the engine and to the supervisor. */
#include "monitor.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "../base/clock.h"
#include "../collect/exec_watch.h"
#include "../collect/folder_watch.h"
#include "../event/event.h"
#include "host.h"
#include "monitor_parts.h"
#include "paths.h"
#include "privilege.h"

#define PULSE_MS    1000
#define AT_ONCE      64 /* messages of one sender: then the others have their turn */
#define LAST_WAIT_MS 30000 /* for an engine that drains its last records though nobody supervises us */

/* --- beginning */

static int make_memory(struct monitor *m, struct err *e)
{
	m->memory = memfd_create("konseki memory", MFD_CLOEXEC);
	if (m->memory < 0 || ftruncate(m->memory, ENGINE_MEMORY_BYTES) < 0)
		return err_set(e, errno, "making the memory of engines");
	return 0;
}

static void sensor_options_of(const struct watch_options *o, struct sensor_options *so)
{
	*so = (struct sensor_options){ .ring_events_bytes = o->ring_events_bytes,
				       .ring_process_bytes = o->ring_process_bytes,
				       .context = o->context,
				       .btf = o->btf };
	memcpy(so->dns_ports, o->dns_ports, sizeof(so->dns_ports));
	/* Until the engine has read the rules everything may be wanted. */
	for (unsigned i = 0; i < KS_RECORD_COUNT; i++)
		so->wanted[i] = true;
}

static int make_everything(struct monitor *m, struct err *e)
{
	const struct watch_options *o = m->start->options;
	struct engine_start *s = &m->held.start;
	struct err watching = { 0 };
	struct sensor_options so;

	if (log_files_open(m, e) < 0 || make_memory(m, e) < 0)
		return -e->code;

	s->log_size_max = o->log_size;
	s->log_archives = o->archive_bytes > 0;
	s->log_least_s = o->least_minutes * 60;
	s->context = o->context;
	s->announce = 1;
	host_machine(s->machine);
	host_name(s->computer, sizeof(s->computer));
	s->boot_epoch_ns = host_boot_epoch_ns();
	m->held.rules = o->rules;
	m->rules_file = o->rules_file;

	sensor_options_of(o, &so);
	if (sensor_new(&so, &m->sensor, e) < 0)
		return -e->code;
	m->exec_watch = exec_watch_open(&watching);
	if (m->exec_watch < 0) {
		m->exec_watch = -1;
		fprintf(stderr, "konseki: programs that live very short have no hash: %s\n",
			watching.text);
	}
	m->write_watch = write_watch_open(&watching);
	if (m->write_watch < 0) {
		m->write_watch = -1;
		fprintf(stderr, "konseki: what is in files that are written is not seen: %s\n", watching.text);
	}
	m->folder_watch = folder_watch_open(&watching);
	if (m->folder_watch < 0) {
		m->folder_watch = -1;
		fprintf(stderr, "konseki: settings that are files are not seen: %s\n", watching.text);
	}
	if (sensor_ignore(m->sensor, (uint32_t)getpid(), e) < 0 ||
	    sensor_ignore(m->sensor, (uint32_t)m->start->supervisor, e) < 0)
		return -e->code;
	return sensor_attach(m->sensor, e);
}

/* The list of descriptors in its one order: fixed ones, then those that may be missing, then the sensor's. */
static int adopt_everything(struct monitor *m, struct err *e)
{
	const struct monitor_start *start = m->start;
	const int *next = start->fds + HELD_FIXED;
	struct sensor_options so;

	if (start->count != HELD_FIXED + start->held.has_exec_watch + start->held.has_write_watch +
				    start->held.has_folder_watch + start->held.has_rules +
				    2 * start->held.has_seal + start->held.sensor)
		return err_set(e, EBADMSG, "what the supervisor held is incomplete");
	/* Rings, counters, verdicts, drops and the lock come with the sensor and the options. */
	close(start->fds[0]);
	close(start->fds[1]);
	close(start->fds[2]);
	close(start->fds[6]);
	close(start->fds[7]);
	if (start->fds[5] != start->options->lock)
		close(start->fds[5]);
	m->held = start->held;
	m->log = start->fds[3];
	m->memory = start->fds[4];
	m->exec_watch = start->held.has_exec_watch ? *next++ : -1;
	m->write_watch = start->held.has_write_watch ? *next++ : -1;
	m->folder_watch = start->held.has_folder_watch ? *next++ : -1;
	m->rules_file = start->held.has_rules ? *next++ : -1;
	m->seal = start->held.has_seal ? *next++ : -1;
	m->seal_key = start->held.has_seal ? *next++ : -1;
	sensor_options_of(start->options, &so);
	if (sensor_adopt_take(&so, next, (int)start->held.sensor, &m->sensor, e) < 0)
		return -e->code;
	return sensor_ignore(m->sensor, (uint32_t)getpid(), e);
}

static int begin(struct monitor *m, struct err *e)
{
	int r = m->start->count ? adopt_everything(m, e) : make_everything(m, e);

	if (r < 0)
		return r;
	m->exec_deny = exec_deny_open();
	m->mounts = open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC);
	for (unsigned i = 0; i < KS_RECORD_COUNT; i++)
		m->wanted[i] = 1;
	r = control_open(m, e);
	join_log_readers();
	return r < 0 ? r : privilege_reduce_monitor(e);
}

/* --- to the supervisor */

void held_send(struct monitor *m)
{
	struct sensor_handles h;
	int fds[MESSAGE_FDS_MAX];
	unsigned n = HELD_FIXED;

	sensor_handles(m->sensor, &h);
	fds[0] = h.ring[0];
	fds[1] = h.ring[1];
	fds[2] = h.counters;
	fds[3] = m->log;
	fds[4] = m->memory;
	fds[5] = m->start->options->lock;
	fds[6] = h.verdicts;
	fds[7] = h.drops;
	m->held.start.ring_bytes[0] = h.ring_bytes[0];
	m->held.start.ring_bytes[1] = h.ring_bytes[1];
	m->held.start.cpus = h.cpus;
	m->held.has_exec_watch = m->exec_watch >= 0;
	m->held.has_write_watch = m->write_watch >= 0;
	m->held.has_folder_watch = m->folder_watch >= 0;
	m->held.has_rules = m->rules_file >= 0;
	m->held.has_seal = m->seal >= 0;
	if (m->exec_watch >= 0)
		fds[n++] = m->exec_watch;
	if (m->write_watch >= 0)
		fds[n++] = m->write_watch;
	if (m->folder_watch >= 0)
		fds[n++] = m->folder_watch;
	if (m->rules_file >= 0)
		fds[n++] = m->rules_file;
	if (m->seal >= 0) {
		fds[n++] = m->seal;
		fds[n++] = m->seal_key;
	}
	m->held.sensor = (uint32_t)sensor_descriptors(m->sensor, fds + n);
	m->held_changed = message_send(m->start->link, REPORT_HELD, 0, &m->held, fds,
				       n + m->held.sensor) < 0;
}

static void tell_failed(struct monitor *m, int status, const char *text)
{
	struct body_failed body = { .status = status };

	snprintf(body.text, sizeof(body.text), "%s", text);
	message_send(m->start->link, REPORT_FAILED, 0, &body, NULL, 0);
}

void tell_stop(struct monitor *m)
{
	message_send(m->start->link, REPORT_STOP, 0, NULL, NULL, 0);
}

uint64_t engine_silent_ms(const struct monitor *m)
{
	return m->status_asked ? now_ms() - m->status_asked_ms : 0;
}


/* What was not told as text is in the log, at least for a time: whoever reads only the text is to be able to know. */
static void declare_untold(struct monitor *m)
{
	for (unsigned i = 0; m->start->options->told && i < TOLD_OUTPUTS; i++) {
		struct told *t = &m->start->options->told[i];
		uint64_t missed = t->missed;
		char text[120];

		if (missed == t->declared || m->orders < 0 || m->stopping)
			continue;
		snprintf(text, sizeof(text), "%llu events could not be told to the %s",
			 (unsigned long long)(missed - t->declared), told_names[i]);
		t->declared = missed;
		note(m, text);
	}
}

/* A copy that whoever owns this machine can erase is none: said once a start. And nobody can guess the names of copies: whoever
 * takes one has read our memory, or holds our credentials and much luck. */
static void declare_forwarded(struct monitor *m)
{
	char text[160];

	if (!m->start->options->forwarded || m->orders < 0 || m->stopping)
		return;
	for (unsigned i = 0; i < FORWARD_TARGETS_MAX; i++) {
		struct forwarded *f = &m->start->options->forwarded[i];
		uint64_t taken = f->taken;

		if (f->erasable == 1) {
			f->erasable = 2;
			snprintf(text, sizeof(text),
				 "The copies sent to '%.31s' can be changed or deleted from this machine: its rights go too far", f->name);
			note(m, text);
		}
		if (taken != f->taken_told) {
			snprintf(text, sizeof(text), "%llu names of copies at '%.31s' were taken by somebody else; other names were used",
				 (unsigned long long)(taken - f->taken_told), f->name);
			f->taken_told = taken;
			note(m, text);
		}
	}
}

static void pulse(struct monitor *m)
{
	struct body_pulse body = { (uint32_t)engine_silent_ms(m) };

	message_send(m->start->link, REPORT_PULSE, 0, &body, NULL, 0);
	if (m->held_changed)
		held_send(m);
	if (m->orders >= 0 && !m->stopping)
		engine_ask_status(m);
	control_tick(m);
	declare_untold(m);
	declare_forwarded(m);
	log_files_tick(m);
}

/* --- to the engine */

void engine_ask_status(struct monitor *m)
{
	if (m->status_asked || m->orders < 0)
		return;
	if (message_send(m->orders, COMMAND_STATUS, 0, NULL, NULL, 0) < 0)
		return;
	m->status_asked = true;
	m->status_asked_ms = now_ms();
}

/* A file of its own position, which the engine may move as it likes, and read-only. */
static int reopen(int fd)
{
	char path[64];

	if (fd < 0)
		return -1;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return open(path, O_RDONLY | O_CLOEXEC);
}

int engine_configure_take(struct monitor *m, const struct body_configure *rules, int file,
			  struct client *by)
{
	OWNED_FD owned = file;
	OWNED_FD copy = reopen(file);
	int r;

	if (m->orders < 0 || m->configuring)
		return -EBUSY;
	/* From one that is gone already an answer may wait: why it could not begin. */
	r = message_send(m->orders, COMMAND_CONFIGURE, 0, rules, &copy, copy >= 0 ? 1 : 0);
	if (r < 0 && r != -EPIPE)
		return r;
	m->configuring = true;
	m->configurer = by;
	m->new_rules = *rules;
	m->new_rules_file = MOVE_FD(owned);
	return 0;
}

/* A new engine judges by the rules in force. */
static void configure_new_engine(struct monitor *m)
{
	int r = engine_configure_take(m, &m->held.rules,
				      m->rules_file < 0 ? -1 : reopen(m->rules_file), NULL);

	if (r < 0)
		fprintf(stderr, "konseki: giving the rules to the engine: %s\n", strerror(-r));
}

/* Into the log, as an event 255. */
void note(struct monitor *m, const char *text)
{
	struct body_reply body = { 0 };

	snprintf(body.text, sizeof(body.text), "%s", text);
	message_send(m->orders, COMMAND_NOTE, 0, &body, NULL, 0);
}

int engine_clear(struct monitor *m)
{
	int r = m->orders < 0 ? -EPIPE : message_send(m->orders, COMMAND_CLEAR, 0, &m->clear, NULL, 0);

	m->clearing = r == 0;
	return r;
}

static void cleared(struct monitor *m, int code, const char *text)
{
	m->clearing = false;
	m->clear_begun = m->clear_begun && code == -EPIPE;
	control_cleared(m, code, text);
}

static void take_new_rules(struct monitor *m)
{
	if (m->rules_file >= 0)
		close(m->rules_file);
	m->rules_file = MOVE_FD(m->new_rules_file);
	m->held.rules = m->new_rules;
	held_send(m);
}

static void configured(struct monitor *m, int code, const char *text)
{
	bool first = !m->configured;

	if (!m->configuring)
		return;
	m->configuring = false;
	if (code == 0) {
		take_new_rules(m);
		m->configured = true;
		m->asks.state = WATCHING;
	} else if (m->new_rules_file >= 0) {
		close(MOVE_FD(m->new_rules_file));
	}
	if (m->configurer)
		control_configured(m, code, text);
	else if (code < 0 && first)
		tell_failed(m, code == -ECANCELED || code == -EPIPE ? 1 : 87, text);
	if (code == 0 && first)
		message_send(m->start->link, REPORT_READY, 0, NULL, NULL, 0);
	m->configurer = NULL;
}

static bool is_detaching(const struct monitor *m)
{
	return m->stopping && m->sensor;
}

static void engine_gone(struct monitor *m)
{
	if (m->ask >= 0)
		close(MOVE_FD(m->ask));
	if (m->orders >= 0)
		close(MOVE_FD(m->orders));
	m->status_asked = false;
	configured(m, -EPIPE, "the engine died while it read the rules");
	if (m->clearing)
		cleared(m, -EPIPE, "the engine died meanwhile");
	if (m->stopping && !is_detaching(m))
		message_send(m->start->link, REPORT_FINAL, 0, &m->report, NULL, 0);
}

static void read_orders_answers(struct monitor *m)
{
	struct message a;
	int r;

	for (unsigned n = 0; n < AT_ONCE && m->orders >= 0 &&
			     (r = message_receive_answer(m->orders, PARTY_MONITOR_ORDERING, &a)) != 0; n++) {
		if (r == -EPIPE) {
			engine_gone(m);
		} else if (r == 1 && a.head.kind == (COMMAND_STATUS | MESSAGE_ANSWER)) {
			m->status_asked = false;
			m->report = a.body.report.report;
			control_status_came(m);
		} else if (r == 1 && a.head.kind == (COMMAND_CONFIGURE | MESSAGE_ANSWER)) {
			configured(m, a.head.code, a.body.reply.text);
		} else if (r == 1 && a.head.kind == (COMMAND_CLEAR | MESSAGE_ANSWER)) {
			cleared(m, a.head.code, a.body.reply.text);
		}
	}
}

static void read_asks(struct monitor *m)
{
	struct message request;
	int r;

	for (unsigned n = 0; n < AT_ONCE && m->ask >= 0 &&
			     (r = message_receive(m->ask, &m->asks, &request)) != 0; n++) {
		static union answer_body body;
		OWNED_FD fd = -1;

		if (r == -EPIPE) {
			close(MOVE_FD(m->ask));
			return;
		}
		if (r == 1) {
			memset(&body, 0, sizeof(body));
			r = answer_engine(m, &request, &body);
			message_close_fds(&request);
			if (message_rows[request.head.kind].answer_fds == SEND_one && r >= 0) {
				fd = r;
				r = 0;
			}
		}
		/* A refusal is answered too, else the engine would wait for nothing. */
		if (request.head.kind > 0 && request.head.kind < MESSAGE_KINDS)
			message_answer(m->ask, &request, r, &body, fd);
	}
}

/* --- from the supervisor */

static void meet_engine(struct monitor *m, struct message *t)
{
	struct err e;

	if (t->fd_count != 2) {
		message_close_fds(t);
		return;
	}
	if (m->orders >= 0)
		engine_gone(m);
	if (m->ask >= 0)
		close(m->ask);
	m->ask = t->fds[0];
	m->orders = t->fds[1];
	m->engine = t->body.engine.pid;
	m->restarts = t->body.engine.restarts;
	m->configured = t->body.engine.adopted;
	m->asks = (struct receiver){ .from = PARTY_ENGINE,
				     .state = m->configured ? WATCHING : STARTING };
	if (sensor_ignore(m->sensor, (uint32_t)m->engine, &e) < 0)
		fprintf(stderr, "konseki: %s\n", e.text);
	if (!m->configured)
		configure_new_engine(m);
	/* What the engine before could not tell any more. */
	if (m->clear_begun) {
		m->clear.begun = 1;
		engine_clear(m);
	}
	if (*t->body.engine.note)
		note(m, t->body.engine.note);
}

/* Hooks first, so that the rings have an end and the engine's last tally is exact. Detaching them takes seconds on kernels
 * where functions are hooked, and meanwhile the engine asks for what it needs to tell of what happened before. */
static void begin_stop(struct monitor *m)
{
	if (m->stopping)
		return;
	m->stopping = true;
	m->asks.state = STOPPING;
}

static void detach_next(struct monitor *m)
{
	if (sensor_detach_next(m->sensor))
		return;
	sensor_free(m->sensor);
	m->sensor = NULL;
	if (m->orders < 0)
		engine_gone(m);
	else
		message_send(m->orders, COMMAND_STOP, 0, NULL, NULL, 0);
}

/* True: the supervisor is gone. */
static bool read_link(struct monitor *m)
{
	struct message t;
	int r;

	while ((r = message_receive(m->start->link, &m->supervisor, &t)) != 0) {
		if (r == -EPIPE)
			return true;
		if (r < 0)
			continue;
		if (t.head.kind == TELL_ENGINE && !m->stopping) {
			meet_engine(m, &t);
		} else {
			message_close_fds(&t);
			if (t.head.kind == TELL_STOP)
				begin_stop(m);
		}
	}
	return false;
}

/* --- the loop */

enum { POLL_LINK, POLL_ASK, POLL_ORDERS, POLL_CONTROL, POLL_MOUNTS, POLL_DENY, POLL_CLIENTS };
#define POLL_COUNT (POLL_CLIENTS + CLIENTS_MAX)

static void wait_for_something(struct monitor *m, struct pollfd p[POLL_COUNT], int timeout_ms)
{
	p[POLL_LINK] = (struct pollfd){ .fd = m->start->link, .events = POLLIN };
	p[POLL_ASK] = (struct pollfd){ .fd = m->ask, .events = POLLIN };
	p[POLL_ORDERS] = (struct pollfd){ .fd = m->orders, .events = POLLIN };
	p[POLL_CONTROL] = (struct pollfd){ .fd = control_has_room(m) ? m->control : -1,
					   .events = POLLIN };
	p[POLL_MOUNTS] = (struct pollfd){ .fd = m->mounts, .events = POLLPRI };
	p[POLL_DENY] = (struct pollfd){ .fd = m->exec_deny, .events = POLLIN };
	for (unsigned i = 0; i < CLIENTS_MAX; i++)
		p[POLL_CLIENTS + i] =
			(struct pollfd){ .fd = m->clients[i].fd, .events = POLLIN };
	if (poll(p, POLL_COUNT, timeout_ms) < 0)
		for (unsigned i = 0; i < POLL_COUNT; i++)
			p[i].revents = 0;
}

static void watch_new_mounts(const struct monitor *m)
{
	if (m->exec_watch >= 0)
		exec_watch_refresh(m->exec_watch);
	if (m->held.watches_writes)
		write_watch_refresh(m->write_watch);
}

/* Returns when the supervisor is gone. */
static void serve(struct monitor *m)
{
	uint64_t pulsed_ms = 0;

	for (;;) {
		struct pollfd p[POLL_COUNT];
		uint64_t since = now_ms() - pulsed_ms;

		wait_for_something(m, p, since >= PULSE_MS || is_detaching(m) ? 0 : (int)(PULSE_MS - since));
		if (p[POLL_DENY].revents)
			exec_deny_serve(m->exec_deny);
		if (p[POLL_ASK].revents)
			read_asks(m);
		if (p[POLL_ORDERS].revents)
			read_orders_answers(m);
		if (p[POLL_MOUNTS].revents)
			watch_new_mounts(m);
		for (unsigned i = 0; i < CLIENTS_MAX; i++)
			if (p[POLL_CLIENTS + i].revents)
				control_serve(m, &m->clients[i]);
		if (p[POLL_CONTROL].revents)
			control_accept(m);
		if (p[POLL_LINK].revents && read_link(m))
			return;
		if (now_ms() - pulsed_ms >= PULSE_MS) {
			pulse(m);
			pulsed_ms = now_ms();
		}
		if (is_detaching(m))
			detach_next(m);
	}
}

/* The supervisor died: nobody starts anything again, so the engine is brought to a clean end. */
static void end_without_supervisor(struct monitor *m)
{
	uint64_t until = now_ms() + LAST_WAIT_MS;

	begin_stop(m);
	while (m->orders >= 0 && now_ms() < until) {
		struct pollfd p[] = { { .fd = m->orders, .events = POLLIN },
				      { .fd = m->ask, .events = POLLIN } };

		poll(p, ARRAY_SIZE(p), is_detaching(m) ? 0 : PULSE_MS);
		if (p[1].revents)
			read_asks(m);
		read_orders_answers(m);
		if (is_detaching(m))
			detach_next(m);
	}
}

int monitor_main(struct monitor_start *start)
{
	struct monitor m = {
		.start = start, .log = -1, .memory = -1, .exec_watch = -1, .write_watch = -1, .folder_watch = -1,
		.exec_deny = -1, .rules_file = -1, .seal = -1, .seal_key = -1,
		.new_rules_file = -1, .mounts = -1, .control = -1, .ask = -1, .orders = -1,
		.supervisor = { .from = PARTY_SUPERVISOR, .state = ANY },
	};
	struct err e = { 0 };

	prctl(PR_SET_NAME, "konseki-monitor");
	for (unsigned i = 0; i < CLIENTS_MAX; i++)
		m.clients[i].fd = -1;
	if (begin(&m, &e) < 0) {
		tell_failed(&m, 1, e.text);
		sensor_free(m.sensor);
		control_close(&m);
		return 1;
	}
	held_send(&m);
	serve(&m);
	end_without_supervisor(&m);
	control_close(&m);
	return 0;
}
