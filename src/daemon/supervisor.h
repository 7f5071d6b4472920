/* SPDX-License-Identifier: MIT */
/* The supervisor: starts the monitor and the engine, keeps what both work on, starts again the one that
 * died, watches whether they answer. It opens nothing, parses nothing and knows no event. */
#pragma once
#include "monitor.h"

struct supervision {
	struct watch_options *options;
	bool foreground;                          /* SIGHUP (the terminal is gone) ends it */
	void (*log_opened)(void *context, int log); /* before the engine writes to it; borrowed */
	void (*log_changed)(void *context);       /* it goes on in another file */
	void (*ready)(void *context);             /* rules are in force; called once */
	void (*look_after)(void *context);        /* about once a second: processes of the caller's own */
	void *context;
	/* What became of it: */
	int status;
	char trouble[1000];          /* "": it was asked to stop */
	bool has_report;
	struct engine_report report; /* the final one */
};

/* Runs until SIGTERM, SIGINT, an order over the control socket or a failure that cannot be mended. Signals
 * are blocked meanwhile. Returns s->status. */
int supervise(struct supervision *s);

/* How long to wait before the n-th restart within a minute (n from 1), in ms. */
unsigned restart_delay_ms(unsigned deaths_lately);
