/* SPDX-License-Identifier: MIT */
#include "content.h"

#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "../base/own.h"

static uint64_t ns_of(struct timespec t)
{
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static enum executable kind_of(int file, off_t size)
{
	static uint8_t bytes[EXECUTABLE_TAIL];
	ssize_t n = pread(file, bytes, EXECUTABLE_HEAD, 0);
	enum executable kind = n > 0 ? executable_head(bytes, (size_t)n) : NOT_EXECUTABLE;
	off_t from = size > (off_t)sizeof(bytes) ? size - (off_t)sizeof(bytes) : 0;

	if (kind != MAYBE_JAR)
		return kind;
	n = pread(file, bytes, sizeof(bytes), from);
	return n > 0 ? executable_tail(bytes, (size_t)n) : NOT_EXECUTABLE;
}

int written_next(struct exec_watch_reader *r, struct written *w)
{
	struct stat st;
	int result;

	while ((result = exec_watch_next(r, &w->file, &w->tgid)) > 0) {
		if (fstat(w->file, &st) < 0 || !S_ISREG(st.st_mode)) {
			close(w->file);
			continue;
		}
		w->changed_utc_ns = ns_of(st.st_ctim);
		w->id = (struct ks_file_id){
			.ino = st.st_ino,
			.size = (uint64_t)st.st_size,
			.mtime_ns = ns_of(st.st_mtim),
			.ctime_ns = ns_of(st.st_ctim),
			.dev = major(st.st_dev) << 20 | minor(st.st_dev),
			.nlink = (uint32_t)st.st_nlink,
		};
		w->kind = kind_of(w->file, st.st_size);
		return 1;
	}
	return result;
}

#define KNOWN 4096u

bool written_is_news(const struct written *w, uint64_t since_utc_ns)
{
	static struct ks_file_id known[KNOWN];
	struct ks_file_id *k = &known[(w->id.ino * 0x9e3779b97f4a7c15u ^ w->id.dev) >> 7 & (KNOWN - 1)];
	bool same = k->ino == w->id.ino && k->dev == w->id.dev && k->size == w->id.size &&
		    k->mtime_ns == w->id.mtime_ns && k->ctime_ns == w->id.ctime_ns;

	*k = w->id;
	return !same && w->id.ctime_ns >= since_utc_ns;
}

const struct ks_hdr *written_record(const struct written *w, const struct ks_who *who, uint64_t time_ns,
				    const char *path, uint32_t length, void *room)
{
	struct ks_rec_FILE_EXE_DETECTED *rec = room;

	if (length > KS_PATH_MAX)
		length = KS_PATH_MAX;
	memset(rec, 0, sizeof(*rec));
	rec->hdr.type = KS_FILE_EXE_DETECTED;
	rec->hdr.size = (uint32_t)sizeof(*rec) + length;
	rec->hdr.time_ns = time_ns;
	rec->hdr.who = *who;
	rec->file = w->id;
	rec->TargetFilename = (struct ks_text){ sizeof(*rec), (uint16_t)length };
	memcpy(rec + 1, path, length);
	return &rec->hdr;
}
