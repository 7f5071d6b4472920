/* SPDX-License-Identifier: MIT */
/* Messages between the processes, byte for byte: one datagram on a SOCK_SEQPACKET socket is a head and
 * the body its row in requests.def names, with as many descriptors as the row allows. Anything else is
 * refused here, so that nobody behind this boundary has to check lengths again. */
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "../collect/sensor.h"
#include "../forward/forwarded.h"
#include "archive.h"
#include "engine.h"
#include "told.h"

/* --- bodies */

struct body_none {};

struct body_process { /* as in struct ks_who: never a number alone, which might be reused */
	uint64_t start_ns;
	uint32_t tgid;
	uint32_t spare;
};

struct body_address {
	struct ks_address address;
};

struct body_setting {
	char text[4096]; /* "": the descriptor says which */
};

struct body_toggle {
	uint32_t on;
	uint32_t spare;
};

struct body_name {
	char text[256]; /* "": none */
};

struct body_login {
	uint32_t session_id, login_uid;
};

struct body_clipboard {
	uint64_t mark;    /* what was in it then (help_clipboard()); 0: nothing */
	uint32_t known;   /* asked: has somebody looked before? answered: is there a new text? */
	uint32_t tgid;    /* of the process that it belongs to; 0: not known, or asked */
	uint32_t uid;     /* whose it is */
	uint32_t display; /* the number of the X server or of the Wayland compositor */
	uint32_t wayland; /* which of the two */
	uint32_t spare;
};

struct body_time {
	uint64_t utc_s; /* since 1970; 0: unknown */
};

struct body_path { /* bytes, as the kernel has them */
	uint32_t length;
	uint32_t deleted; /* it has this name no more */
	char bytes[KS_PATH_MAX];
};

struct body_file { /* the file of this path, as this process sees it, if it is that one */
	struct body_process process;
	uint64_t ino;
	uint32_t dev, fs_magic; /* as in struct ks_file_id */
	char path[KS_PATH_MAX + 8];
};

struct body_archive {
	uint64_t size;      /* STORE: at most so many bytes will come */
	char folder[ARCHIVE_NAME_MAX];
	char digest[65];    /* KEEP: hexadecimal */
	char extension[17]; /* KEEP: of the old name, or "" */
	char spare[6];
};

struct body_mapping {
	struct body_process process;
	uint64_t from, to; /* addresses, as the kernel side saw them */
};

struct body_library {
	char path[KS_PATH_MAX + 1];
};

struct body_want {
	uint8_t wanted[KS_RECORD_COUNT];
};

struct body_configure { /* with the file as descriptor, or without one by `what` (ORDER_* of request.h) */
	uint32_t what;
	char name[256];
};

struct body_size {
	uint64_t bytes;
};

struct body_clear {
	uint32_t tgid;      /* who asked for it */
	uint32_t login_uid; /* as whom he had logged in; UINT32_MAX: nobody did */
	uint32_t begun;     /* the other file is there already: an engine that died has not told */
	uint32_t spare;
};

struct body_reply {
	char text[1000];
};

struct body_report {
	struct engine_report report;
};

struct body_engine {
	int32_t pid;
	uint32_t adopted; /* it has rules in force already: a new monitor finds it */
	uint32_t restarts; /* of any of our processes, up to now */
	char note[200];   /* for the log: what became of the former monitor; "": nothing */
};

#define HELD_FIXED 8 /* ring, ring, counters, log, memory, lock, verdicts, drops; then exec_watch, write_watch,
			* folder_watch, rules, seal and its key, the sensor's */
struct body_held {
	struct engine_start start; /* descriptors in it mean nothing here */
	struct body_configure rules;
	uint32_t has_exec_watch;
	uint32_t has_write_watch;
	uint32_t watches_writes; /* marks are set */
	uint32_t has_folder_watch;
	uint32_t has_rules;
	uint32_t has_seal; /* two descriptors */
	uint32_t sensor; /* how many descriptors of the sensor end the list */
};

struct body_pulse {
	uint32_t engine_silent_ms;
};

struct body_failed {
	int32_t status; /* for exit() */
	char text[1000];
};

struct body_status {
	int32_t supervisor, monitor, engine; /* process numbers */
	uint32_t engine_silent_ms;
	uint32_t installed; /* runs as the service, not in a terminal */
	uint32_t full;      /* kernel kind F, else T */
	uint64_t since_utc_ns;
	uint32_t restarts;
	char log_path[256];
	char how[KS_RECORD_COUNT][64]; /* "": not seen on this kernel; */
	uint8_t wanted[KS_RECORD_COUNT]; /* 0: not asked for by the rules in force */
	struct told told[TOLD_OUTPUTS];
	struct forwarded forwarded[FORWARD_TARGETS_MAX];
	struct engine_report report;
};

/* --- rows as numbers and tables */

enum message_kind {
	MESSAGE_NONE,
#define ENGINE_ASKS(name, ...)      ASK_##name,
#define HELPER_DOES(name, ...)      HELP_##name,
#define ROOT_ASKS(name, ...)        CONTROL_##name,
#define MONITOR_ORDERS(name, ...)   COMMAND_##name,
#define SUPERVISOR_TELLS(name, ...) TELL_##name,
#define MONITOR_TELLS(name, ...)    REPORT_##name,
#include "requests.def"
	MESSAGE_KINDS
};
#define MESSAGE_ANSWER 0x80000000u /* set in the kind of an answer */

enum party {
	PARTY_ENGINE = 1,
	PARTY_ENGINE_HELPED,
	PARTY_ROOT,
	PARTY_MONITOR_ORDERING,
	PARTY_SUPERVISOR,
	PARTY_MONITOR
};

enum message_state { STARTING = 1, WATCHING = 2, STOPPING = 4, ANY = 7 };

enum message_fds { SEND_none, SEND_one, SEND_some };

struct message_row {
	const char *name;
	enum party from;
	size_t body, answer; /* bytes */
	void (*end_texts)(void *body); /* puts the NUL at each text's end; NULL: no texts */
	void (*end_answer_texts)(void *answer);
	enum message_fds fds, answer_fds;
	unsigned states;
	int once;
	const char *what;
};
extern const struct message_row message_rows[MESSAGE_KINDS];

/* --- a message */

struct message_head {
	uint32_t kind;   /* enum message_kind, | MESSAGE_ANSWER */
	uint32_t number; /* an answer repeats that of its request */
	int32_t code;    /* of an answer: 0 or -errno; then it carries no descriptor */
	uint32_t spare;  /* 0 */
};

#define MESSAGE_FDS_MAX (HELD_FIXED + 6 + SENSOR_FDS_MAX)

struct message {
	struct message_head head;
	union {
		struct body_process process;
		struct body_address address;
		struct body_name name;
		struct body_setting setting;
		struct body_toggle toggle;
		struct body_login login;
		struct body_clipboard clipboard;
		struct body_time time;
		struct body_path path;
		struct body_file file;
		struct body_archive archive;
		struct body_mapping mapping;
		struct body_library library;
		struct body_want want;
		struct body_size size;
		struct body_clear clear;
		struct body_configure configure;
		struct body_reply reply;
		struct body_report report;
		struct body_engine engine;
		struct body_held held;
		struct body_pulse pulse;
		struct body_failed failed;
		struct body_status status;
	} body;
	/* Not part of the datagram. */
	int fds[MESSAGE_FDS_MAX];
	unsigned fd_count;
};
#define MESSAGE_BYTES_MAX offsetof(struct message, fds)

/* Who may send on a channel, and what came already. */
struct receiver {
	enum party from;
	unsigned state;  /* enum message_state, as it is now */
	uint64_t seen;   /* bit per kind: for rows that are taken once */
};

/* Judges n bytes that came from r->from with m->fd_count descriptors and copies them into *m. 0; -EBADMSG
 * for what is no row, another sender's, of the wrong size or with the wrong descriptors; -EPERM for a row
 * that is not taken in this state or a second time. Pure. */
int message_accept(struct receiver *r, const void *bytes, size_t n, struct message *m);
/* The same for an answer to what `asker` sends; whether it is the awaited one is the caller's to see. */
int message_accept_answer(enum party asker, const void *bytes, size_t n, struct message *m);

/* Never blocks. 1: *m is filled, its descriptors are the caller's; 0: nothing there; -EPIPE: the other end
 * is gone; else as message_accept(), the descriptors closed and only m->head to be relied on. */
int message_receive(int channel, struct receiver *r, struct message *m);
int message_receive_answer(int channel, enum party asker, struct message *m);

/* Never blocks: -EAGAIN when the other end does not read. body: as the row says. 0 or -errno. */
int message_send(int channel, uint32_t kind, uint32_t number, const void *body, const int *fds,
		 unsigned count);
/* body may be NULL: zeroes. */
int message_answer(int channel, const struct message *request, int code, const void *body, int fd);

/* Sends and waits at most timeout_ms for the answer: 0 (m is filled) or -errno, also the answer's code. */
int message_ask(int channel, uint32_t kind, const void *body, int fd, int timeout_ms,
		struct message *m);

void message_close_fds(struct message *m);
