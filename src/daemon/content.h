/* SPDX-License-Identifier: MIT */
/* Files that were written and are closed, as the engine gets them: a descriptor, no name. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "../collect/exec_watch.h"
#include "../enrich/executable.h"
#include "../../schema/wire.h"

struct written {
	int file; /* read-only */
	uint32_t tgid; /* who closed it */
	uint64_t changed_utc_ns;
	struct ks_file_id id; /* as it is now */
	uint64_t handle; /* tells it from one that had its inode number before; 0: its file system cannot */
	enum executable kind; /* never MAYBE_JAR */
};

/* The next regular file. 1: *w is filled, w->file is the caller's; 0: nothing waits; -errno, -EOVERFLOW: some
 * are missing. What is not regular is passed over. looks: handle and kind are wanted. */
int written_next(struct exec_watch_reader *r, struct written *w, bool looks);

/* Was it changed since since_utc_ns, and since it was last asked about? Being open for writing is not yet writing. (Of
 * some thousand files; of one that was forgotten meanwhile: true.) */
bool written_is_news(const struct written *w, uint64_t since_utc_ns);

/* What is behind the last dot of the name, if it is short and plain; else "". */
void extension_of(const char *path, size_t n, char out[17]);

/* The record (KS_FILE_EXE_DETECTED, KS_FILE_BLOCK_EXE) of an executable that was written, in `room` (of CONTENT_RECORD_MAX bytes). */
#define CONTENT_RECORD_MAX (sizeof(struct ks_rec_FILE_EXE_DETECTED) + KS_PATH_MAX)
const struct ks_hdr *written_record(uint16_t type, const struct written *w, const struct ks_who *who, uint64_t time_ns,
				    const char *path, uint32_t length, void *room);
