/* SPDX-License-Identifier: MIT */
/* Running and installing, as the command line asks for it. Every function prints what Sysmon prints
 * (docs/cli) and returns the exit status: 0, 1, 87 bad usage or refused configuration, 228 not root. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

enum show { SHOW_NOTHING, SHOW_LINES, SHOW_XML, SHOW_JSON, SHOW_DEBUG };

struct run_options {
	const char *config;   /* NULL: every event this build has; "--": the schema's default */
	const char *log;      /* NULL: Linux-Sysmon%4Operational.evtx in the working directory */
	uint64_t log_size;    /* 0: 256 MiB */
	enum show show;       /* what appears on the terminal as it happens */
	bool service;         /* started by the service manager: config and log of the installation */
};

/* Runs in the foreground until SIGINT or SIGTERM, then prints the tally. */
int service_run(const struct run_options *o);

/* -i: files, accounts, folders, unit, start. config NULL: keep what is there, else every event. */
int service_install(const char *config);
int service_uninstall(bool force, bool remove_log); /* -u */
int service_configure(const char *config);          /* -c FILE; "--" for the default */
int service_print_config(void);                     /* -c */
int service_status(bool json);

/* Follows the log on `to` until the descriptor `until` becomes readable; implemented by src/hunt/, run by
 * service_run() in a process of its own, so that a stopped terminal never holds up the engine. */
int hunt_follow(int log_fd, enum show show, bool colour, int until);
