/* SPDX-License-Identifier: MIT */
/* What the monitor's files share; nobody else includes this. */
#pragma once
#include "archive.h"
#include "monitor.h"

#define CLIENTS_MAX 8u          /* more command lines at once wait for a place */

struct client { /* a command line at the control socket */
	int fd;
	struct receiver receiver;
	struct message_head asked;  /* what awaits an answer */
	bool awaits_status;
	uint64_t asked_ms;
};

struct monitor {
	struct monitor_start *start;
	struct sensor *sensor;
	struct body_held held;
	int log, memory, exec_watch, write_watch, folder_watch, rules_file; /* owned; -1: none */
	int exec_deny; /* a group of ours alone: when we die, the kernel lets everything pass; -1: none */
	int seal, seal_key; /* owned; both -1: not sealed */
	int mounts; /* mountinfo: readable when something was mounted */
	int control;
	bool misplaced;        /* the log's name leads elsewhere, and that was told */
	uint64_t misplaced_ms, pruned_ms;
	struct archive_sums archives;
	bool held_changed; /* the supervisor does not know yet */
	bool stopping;
	uint8_t wanted[KS_RECORD_COUNT];

	/* The engine. */
	int32_t engine;
	uint32_t restarts;
	int ask, orders; /* -1: none runs */
	struct receiver asks;
	bool configured;            /* it has rules in force */
	bool status_asked;
	uint64_t status_asked_ms;
	struct engine_report report; /* its latest */

	/* Rules on their way into the engine. */
	bool configuring;
	struct body_configure new_rules;
	int new_rules_file;
	struct client *configurer; /* NULL: we did it ourselves */

	/* The log is being cleared. */
	bool clearing, clear_keeps;
	bool clear_begun;       /* the other file is there, but it does not say yet who wanted it */
	struct body_clear clear;
	struct client *clearer; /* NULL: gone, or told already */

	struct client clients[CLIENTS_MAX];
	struct receiver supervisor;
};

/* monitor.c */
uint64_t engine_silent_ms(const struct monitor *m);
/* Takes the file over. 0 or -errno. */
int engine_configure_take(struct monitor *m, const struct body_configure *rules, int file,
			  struct client *by);
void engine_ask_status(struct monitor *m);
/* Who wants it is in m->clear. */
int engine_clear(struct monitor *m);
void held_send(struct monitor *m);
void tell_stop(struct monitor *m);
void note(struct monitor *m, const char *text); /* into the log, as an event 255 */

/* monitor_log.c: the log's files by name. */
int log_files_open(struct monitor *m, struct err *e);
/* The file there is becomes an archive, if it has its name still (or is deleted, when the log is cleared without a copy),
 * and another one begins: a descriptor of that, or -errno and nothing has changed. Without put_aside -EBUSY if it has its
 * name. */
int place_new_log(struct monitor *m, bool put_aside);
/* Once a second: is the file that is written still where its name says? Archives in excess go. */
void log_files_tick(struct monitor *m);
void join_log_readers(void); /* so that new files can be given to them later */

/* monitor_answer.c: a descriptor or 0, or -errno. *body: what is given back besides. The request's descriptors
 * stay the caller's. */
union answer_body {
	struct body_path path;
};
int answer_engine(struct monitor *m, const struct message *request, union answer_body *body);

/* monitor_control.c */
int control_open(struct monitor *m, struct err *e);
void control_close(struct monitor *m);
bool control_has_room(const struct monitor *m);
void control_accept(struct monitor *m);
void control_serve(struct monitor *m, struct client *c);
void control_status_came(struct monitor *m);
/* Whoever waits for a status longer than the engine may take gets the latest one. */
void control_tick(struct monitor *m);
void control_configured(struct monitor *m, int code, const char *text);
void control_cleared(struct monitor *m, int code, const char *text);
