/* SPDX-License-Identifier: MIT */
/* Settings that are files: remembers what they held, and tells as records (events 12 to 14, 19 to 21) what is
 * different when one was written or renamed. The files are read by the helper, as flat trees (src/help/settings.h). */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "../../schema/wire.h"
#include "../base/own.h"

struct changes;

struct changes_out { /* where records go; borrowed during the call */
	void *context;
	void (*record)(void *context, const struct ks_hdr *rec);
};

#define CHANGE_EARLY 1u /* before it was known what the files held */
#define CHANGE_MADE  2u /* there was nothing of that name before */

/* Somebody wrote to a file. */
struct change {
	int fd;     /* the file; -1: by its path */
	char *path; /* NULL: by its descriptor */
	struct ks_who who;
	uint64_t time_ns;
	unsigned flags; /* CHANGE_* */
};

struct changes *changes_new(void); /* NULL: no memory */
void changes_free(struct changes *c);
DEFINE_DROP(changes)

/* All files as they were found (a list in a sealed memfd; stays the caller's). */
void changes_take_survey(struct changes *c, int fd);
bool changes_is_surveyed(const struct changes *c);

/* Takes the descriptor over. False: too many wait, and this one is not looked at. */
bool changes_touched_take(struct changes *c, int fd, const char *path, size_t n, const struct ks_who *who,
			  uint64_t time_ns, unsigned flags);
/* A file was made or emptied there, and whoever did it will write into it. When it is not told of soon, its folder may be too
 * new to be watched: then it must be looked at. False: too many. */
bool changes_expect(struct changes *c, const char *path, size_t n, const struct ks_who *who, uint64_t time_ns,
		    unsigned flags);
/* The next of which that is true; its path is the caller's. */
bool changes_overdue_take(struct changes *c, uint64_t now_ns, struct change *ret);
/* The one to ask about now; NULL: none. It stays at the head until it is answered. */
const struct change *changes_head(const struct changes *c);
/* The answer to that: the file as it is (borrowed), or negative. */
void changes_answer(struct changes *c, int fd, const struct changes_out *out);

void changes_deleted(struct changes *c, const char *path, size_t n, const struct ks_who *who, uint64_t time_ns,
		     const struct changes_out *out);
/* Both paths are watched ones. What the file holds is told by changes_answer(), under its new path. */
void changes_renamed(struct changes *c, const char *from, size_t from_n, const char *to, size_t to_n,
		     const struct ks_who *who, uint64_t time_ns, const struct changes_out *out);
