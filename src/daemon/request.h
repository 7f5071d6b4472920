/* SPDX-License-Identifier: MIT */
/* What passes between the processes: rows of requests.def, nothing else. Each message is one datagram on
 * a SOCK_SEQPACKET pair, fixed size, with at most one descriptor. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "../base/err.h"
#include "engine.h"

/* --- The engine asks, the monitor answers. Each waits at most ASK_TIMEOUT_MS and returns a descriptor
 * that is the caller's, 0, or -errno (-ETIMEDOUT, -ESRCH, -EPIPE when the monitor is gone ...). */
#define ASK_TIMEOUT_MS 2000
int ask_exe(int channel, uint32_t tgid, uint64_t start_ns);     /* the file it runs, read-only */
/* The file it has mapped there. */
int ask_mapped(int channel, uint32_t tgid, uint64_t start_ns, uint64_t from, uint64_t to);
/* A file that was told of in an event 7, by its path (length bytes, at most KS_PATH_MAX). */
int ask_library(int channel, const char *path, size_t length);
int ask_cmdline(int channel, uint32_t tgid, uint64_t start_ns); /* its /proc/PID/cmdline */
struct ks_file_id;
int ask_snapshot(int channel);                                  /* sensor_snapshot() */
int ask_passwd(int channel);                                    /* /etc/passwd */
int ask_services(int channel);                                  /* /etc/services */
int ask_folders(int channel, bool on);                          /* folder_watch.h */
int ask_setting_file(int channel, const char *path, size_t n);  /* below settings_roots */
int ask_package_state(int channel);                             /* /var/lib/dpkg/status */
/* The file system that the executed file of this process lies on is not watched yet: watch it. */
int ask_watch_filesystem(int channel, uint32_t tgid, uint64_t start_ns);
/* The path of an open file, bytes without a NUL at the end; *deleted: it has that name no more. */
int ask_path(int channel, int file, char path[KS_PATH_MAX], uint32_t *length, bool *deleted);
/* The regular file with this path, as that process sees it, and identity, if it is still there. */
int ask_file(int channel, const struct ks_who *who, const struct ks_file_id *id, const char *path, size_t n);
/* The archive: a new file beside this one's, and its name once its digest is known. */
int ask_store(int channel, int file, const char *folder, uint64_t size);
int ask_keep(int channel, int stored, const char *folder, const char *digest, const char *extension);
/* Removes this file; -errno when it is still there, but nobody can execute it. */
int ask_block(int channel, int file, uint32_t tgid, uint64_t start_ns);
/* Only these record types are wanted from now on. */
int ask_want(int channel, const bool wanted[KS_RECORD_COUNT]);
/* Another file for the log; the one before, if it has a name, becomes an archive. Then its seals. */
int ask_new_log(int channel, bool put_aside); /* false: -EBUSY if the one there is has its name still */
int ask_seals(int channel);

/* --- The monitor orders, the engine obeys. */
/* Both channels outlive the monitor (the supervisor holds its ends): after it was restarted the engine
 * goes on with the same two. */
enum order_kind {
	ORDER_NONE,
#define MONITOR_ORDERS(name, ...) ORDER_##name,
#include "requests.def"
};

struct order {
	enum order_kind kind;
	int fd;            /* CONFIGURE: the file, or -1 for `what`; else -1. The engine's to close */
	uint32_t what;     /* CONFIGURE without a file: ORDER_DEFAULTS or ORDER_EVERYTHING */
	uint64_t size;     /* RESIZE: bytes */
	uint32_t tgid, login_uid; /* CLEAR: who asked for it; UINT32_MAX: nobody had logged in */
	bool begun;        /* CLEAR: the other file is there already */
	char name[256];    /* CONFIGURE: how event 16 calls it (path as given, command line, "Defaults");
			    * NOTE: text of an event 255 */
};
#define ORDER_DEFAULTS   1u
#define ORDER_EVERYTHING 2u

/* 1: *o is filled; 0: nothing there; -EPIPE: the monitor is gone; -EBADMSG: not a message of ours. */
int order_receive(int channel, struct order *o);
/* Answers. CONFIGURE: code 0 or -errno and the text of the refusal; -ECANCELED: this engine cannot begin at
 * all. STATUS: the report. STOP: the final
 * report, once the rings are drained and the log is closed; then the engine exits. */
int order_answer(int channel, int code, const char *text);
/* CLEAR: text is the refusal, or where the file before is kept ("": nowhere). */
int order_answer_clear(int channel, int code, const char *text);
int order_answer_status(int channel, const struct engine_report *r);
