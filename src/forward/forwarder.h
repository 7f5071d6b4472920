/* SPDX-License-Identifier: MIT */
/* Reads the log and hands it to one sink, batch after batch, each record at least once, what cannot be sent any more named in
 * a gap that is sent before anything later. The log is the queue: nothing is kept but a bookmark (bookmark.h). */
#pragma once
#include "bookmark.h"
#include "forwarded.h"
#include "sink.h"

#define FORWARD_FILES_MAX 64u

struct forward_file {
	int log;
	int seals; /* -1: not sealed */
};

struct forwarder_start {
	const struct forward_target *target;
	struct sink *sink;         /* opened; taken over */
	struct identity *identity; /* .log is filled in here */
	/* The log's files, oldest first; the last one is being written. */
	struct forward_file files[FORWARD_FILES_MAX];
	unsigned file_count;
	int bookmark;              /* read-write */
	/* Readable: a byte means that the newest file is not written any more (send what it holds, then return), its end
	 * that the service ends (send what is left, trying once). */
	int until;
	struct forwarded *shown;
};

/* Sends until told to end. 0: all of these files was sent; 1: the service ends; -errno. */
int forwarder_run(const struct forwarder_start *s, struct err *e);

/* Sends one marked event; *a says what became of it. */
int forwarder_test(const struct forward_target *t, struct sink *sink, const struct identity *id, struct answer *a,
		   struct err *e);
