/* SPDX-License-Identifier: MIT */
/* One batch on its way: tried until it is there, and then written down. Internal to src/forward/. */
#pragma once
#include "bookmark.h"
#include "form.h"
#include "forwarder.h"

struct delivery {
	const struct forwarder_start *s;
	const struct sink_row *row;
	struct bookmark mark;
	uint64_t place;          /* of the bookmark; 0: this sink begins */
	char nonce[NONCE_SIZE];
	unsigned failures;       /* in a row */
	bool finish;             /* the newest file is not written any more */
	bool stop;               /* the service ends */
};

/* Waits so long for a word, or so long if none says that the service ends. */
void delivery_listen(struct delivery *d, int ms);
void delivery_pause(struct delivery *d, uint64_t ms);

/* For the status. */
void delivery_show(struct delivery *d);
void delivery_show_text(struct delivery *d, const char *text);

void delivery_new_nonce(struct delivery *d);
/* The bookmark, on the disk. 0 or -errno. */
int delivery_keep(struct delivery *d, struct err *e);

/* Tries until it is there, or never will be (TOO_LARGE, REFUSED; a says why), or the service ends (RETRY). The builder made
 * the batch. */
enum outcome delivery_try(struct delivery *d, struct batch *b, struct builder *builder, struct answer *a);
void delivery_note_sent(struct delivery *d);
/* All records up to `last` are there or declared; 0: it was about no record. record: digest of that one, NULL: not known.
 * 0 or -errno. */
int delivery_settle(struct delivery *d, const struct batch *b, uint64_t last, const uint8_t *record, struct err *e);
