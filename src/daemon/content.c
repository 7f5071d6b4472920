/* SPDX-License-Identifier: MIT */
#include "content.h"

#include <ctype.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "../base/clock.h"
#include "../base/own.h"
#include "pins.h"

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

static uint64_t handle_of(int file)
{
	uint32_t words[HANDLE_WORDS];
	unsigned n = handle_of_file(file, words);
	uint64_t sum = 0;

	for (unsigned i = 0; i < n; i++)
		sum = (sum ^ words[i]) * 0x9e3779b97f4a7c15u;
	return sum;
}

int written_next(struct exec_watch_reader *r, struct written *w, bool looks)
{
	struct stat st;
	int result;

	while ((result = exec_watch_next(r, &w->file, &w->tgid)) > 0) {
		if (fstat(w->file, &st) < 0 || !S_ISREG(st.st_mode)) {
			close(w->file);
			continue;
		}
		w->changed_utc_ns = time_ns(st.st_ctim);
		w->id = (struct ks_file_id){
			.ino = st.st_ino,
			.size = (uint64_t)st.st_size,
			.mtime_ns = time_ns(st.st_mtim),
			.ctime_ns = time_ns(st.st_ctim),
			.dev = major(st.st_dev) << 20 | minor(st.st_dev),
			.nlink = (uint32_t)st.st_nlink,
		};
		w->handle = looks ? handle_of(w->file) : 0;
		w->kind = looks ? kind_of(w->file, st.st_size) : NOT_EXECUTABLE;
		return 1;
	}
	return result;
}

#define KNOWN 4096u

bool written_is_news(const struct written *w, uint64_t since_utc_ns)
{
	static struct {
		struct ks_file_id id;
		uint64_t handle;
	} known[KNOWN], *k;
	bool same;

	k = &known[(w->id.ino * 0x9e3779b97f4a7c15u ^ w->id.dev) >> 7 & (KNOWN - 1)];
	same = k->id.ino == w->id.ino && k->id.dev == w->id.dev && k->id.size == w->id.size &&
	       k->id.mtime_ns == w->id.mtime_ns && k->id.ctime_ns == w->id.ctime_ns && k->handle == w->handle;
	k->id = w->id;
	k->handle = w->handle;
	return !same && w->id.ctime_ns >= since_utc_ns;
}

void extension_of(const char *path, size_t n, char out[17])
{
	size_t at = n;

	out[0] = 0;
	while (at > 0 && path[at - 1] != '.' && path[at - 1] != '/')
		at--;
	if (at < 2 || path[at - 1] != '.' || path[at - 2] == '/' || n - at > 16)
		return;
	for (size_t i = at; i < n; i++)
		if (!isalnum((unsigned char)path[i]) && path[i] != '_' && path[i] != '-')
			return;
	memcpy(out, path + at, n - at);
	out[n - at] = 0;
}

const struct ks_hdr *written_record(uint16_t type, const struct written *w, const struct ks_who *who, uint64_t time_ns,
				    const char *path, uint32_t length, void *room)
{
	struct ks_rec_FILE_EXE_DETECTED *rec = room;

	if (length > KS_PATH_MAX)
		length = KS_PATH_MAX;
	memset(rec, 0, sizeof(*rec));
	rec->hdr.type = type;
	rec->hdr.size = (uint32_t)sizeof(*rec) + length;
	rec->hdr.time_ns = time_ns;
	rec->hdr.who = *who;
	rec->file = w->id;
	rec->TargetFilename = (struct ks_text){ sizeof(*rec), (uint16_t)length };
	memcpy(rec + 1, path, length);
	return &rec->hdr;
}
