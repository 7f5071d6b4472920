/* SPDX-License-Identifier: MIT */
/* The engine's side of the helpers: asks without waiting, takes the answers when they come. */
#pragma once
#include <stdbool.h>

#include "../enrich/enrich.h"
#include "changes.h"
#include "helper.h"

#define QUESTIONS_MAX 128u /* addresses that wait for a free lane */

struct helped_lane {
	int fd;
	bool busy;
	uint32_t number; /* of the question */
	uint64_t asked_ns, until_ns; /* then no answer comes any more */
	struct message question;
	/* Of a clipboard: */
	uint64_t rest_until_ns;     /* not to be asked about before */
	unsigned rest_s;            /* longer each time that nothing came of it */
	bool known;                 /* somebody has looked, */
	struct body_clipboard left; /* and left it so */
	bool nobody;                /* no user has one */
};

struct helped {
	struct helped_lane lanes[HELP_LANES];
	struct ks_address waiting[QUESTIONS_MAX];
	unsigned first, count;
	uint32_t number;
};

/* The descriptors stay the caller's. */
void helped_init(struct helped *h, const int fds[HELP_LANES]);

/* False: all lanes of this kind are busy, or nobody is there. */
bool helped_packages(struct helped *h, uint64_t now_ns);
bool helped_login(struct helped *h, uint32_t session_id, uint32_t login_uid, uint64_t now_ns);
/* Waits for its turn when they are busy; false when too many wait. */
bool helped_host_name(struct helped *h, const struct ks_address *a, uint64_t now_ns);

bool helped_survey(struct helped *h, uint64_t now_ns);
/* By its descriptor, its path, or a descriptor that belongs to the path. */
bool helped_setting(struct helped *h, const struct change *change, uint64_t now_ns);

/* What somebody put into a clipboard: the text in a sealed memfd, borrowed. */
struct clipboard_hearer {
	void *context;
	void (*take)(void *context, const struct body_clipboard *said, int text);
};
/* Asks about the next change of each user's clipboard, when nobody is asking; from time to time if there is none. */
void helped_watch_clipboards(struct helped *h, uint64_t now_ns);

/* Takes what has come, gives up what came to nothing, asks what waits. */
void helped_read(struct helped *h, struct enrich *en, struct changes *c, const struct changes_out *out,
		 const struct clipboard_hearer *clipboard, uint64_t now_ns);
