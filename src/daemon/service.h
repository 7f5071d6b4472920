/* SPDX-License-Identifier: MIT */
/* Running and installing, as the command line asks for it. Every function prints what Sysmon prints
 * (docs/cli) and returns the exit status: 0, 1, 87 bad usage or refused configuration, 228 not root. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../hunt/hunt.h"

struct run_options {
	const char *config;   /* NULL: every event this build has; "--": the schema's default */
	const char *log;      /* NULL: Linux-Sysmon%4Operational.evtx in the working directory */
	uint64_t log_size;    /* 0: 256 MiB */
	enum show show;       /* what appears on the terminal as it happens */
	bool service;         /* started by the service manager: config and log of the installation */
	bool context;         /* events have their Context at the end */
	bool seal;            /* seal the log under a new key, which is shown on standard error */
	const char *btf;      /* -btf: stand-alone description of the kernel's types, or NULL */
};

/* Runs in the foreground until SIGINT or SIGTERM, then prints the tally. */
int service_run(const struct run_options *o);

/* The configuration that -i and -c are given. Options of the command line (-n, -l, -h ...) are made into
 * configuration text before they come here, so nothing below knows them. */
struct service_config {
	const char *path; /* the file as typed; "--": the schema's default; NULL: no file was given */
	const char *xml;  /* the configuration itself when options are part of it; else NULL: read path */
	size_t xml_length;
	const char *name; /* what event 16 calls it: path as typed, the command line, or "Defaults" */
	const char *btf;  /* -i only: the service is to start with `-btf` of this file; or NULL */
};

/* -i: files, accounts, folders, unit, start. Neither path nor xml: keep the rules that are there, else those of
 * config/recommended.xml. */
int service_install(const struct service_config *c);
int service_uninstall(bool force, bool remove_log); /* -u */
int service_configure(const struct service_config *c); /* -c with a file, "--" or options: never empty */
int service_print_config(void);                     /* -c */
/* `konseki log set-size`: at once, and in the settings of the installation. */
int service_set_log_size(const char *size);
/* `konseki log clear`: what there is becomes an archive, or goes. */
int service_clear_log(bool keep);
int service_status(bool json);
