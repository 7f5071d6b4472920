/* SPDX-License-Identifier: MIT */
/* Copies off the machine: a forwarder for each target of the settings (src/forward/), a process of its own that is started,
 * watched and ended here. They are begun, changed and ended as the settings change. */
#pragma once
#include <sys/stat.h>

#include "../forward/forwarder.h"
#include "companion.h"
#include "paths.h"
#include "settings.h"

struct forwards {
	const char *log_path;    /* borrowed */
	struct forwarded *shown; /* FORWARD_TARGETS_MAX of them, shared with the forwarders */
	struct stat settings;    /* the file, when it was read last */
	bool begun;
	struct {
		struct forward_target target; /* .row NULL: none */
		struct timespec secret; /* time of its file, when it was taken up */
		struct companion process; /* its pipe: forwarder_start.until */
		uint64_t start_ms;  /* then it is started (again) */
		unsigned failures;  /* in a row */
		bool dismissed;     /* the settings do not want it any more */
	} one[FORWARD_TARGETS_MAX];
};

/* The shared memory. 0 or -errno. */
int forwards_init(struct forwards *f, const struct settings *s, const char *log_path);
void forwards_begin(struct forwards *f);
/* Starts who is not running, looks whether the settings have changed; to be called about once a second. */
void forwards_look_after(struct forwards *f);
/* The log goes on in another file: what is left of this one is sent, then the other one. */
void forwards_change_files(struct forwards *f);
/* Lets them send what is left, for a few seconds. */
void forwards_end(struct forwards *f);

/* The file of a target in PATH_FORWARD. */
#define FORWARD_PATH_MAX (sizeof(PATH_FORWARD) + FORWARD_NAME_MAX + 32)
void forward_path(const char *name, const char *ending, char out[FORWARD_PATH_MAX]);
int forward_make_folder(struct err *e); /* 0, also if it is there; or -errno */
/* As root: the secret of a target, "" if it has none. */
int forward_read_secret(struct forward_target *t, struct err *e);
void forward_identity(struct identity *id);
/* Opens the sink and gives up everything but the network; for a process of its own. */
int forward_open_sealed(const struct forward_target *t, const struct identity *id, struct sink **sink, struct err *e);
