/* SPDX-License-Identifier: MIT */
#include "content.h"

#include <ctype.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "../base/clock.h"
#include "../base/own.h"

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
		w->changed_utc_ns = time_ns(st.st_ctim);
		w->id = (struct ks_file_id){
			.ino = st.st_ino,
			.size = (uint64_t)st.st_size,
			.mtime_ns = time_ns(st.st_mtim),
			.ctime_ns = time_ns(st.st_ctim),
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

/* --- pins */

#define PIN_SETS 1024u
#define PIN_WAYS 4u

static struct pinned pins[PIN_SETS * PIN_WAYS];

void pins_init(void)
{
	for (unsigned i = 0; i < PIN_SETS * PIN_WAYS; i++)
		pins[i].file = -1;
}

static struct pinned *pin_set(uint64_t ino)
{
	return &pins[((ino * 0x9e3779b97f4a7c15u) >> 54) * PIN_WAYS];
}

static void unpin(struct pinned *p)
{
	if (p->file >= 0)
		close(p->file);
	p->file = -1;
}

void pins_put_take(int file, const struct ks_file_id *id, uint64_t now_ns)
{
	struct pinned *set = pin_set(id->ino), *to = set;

	for (unsigned i = 0; i < PIN_WAYS; i++) {
		struct pinned *p = &set[i];

		if (p->file >= 0 && p->id.ino == id->ino && p->id.dev == id->dev) {
			to = p;
			break;
		}
		if (to->file >= 0 && (p->file < 0 || p->since_ns < to->since_ns))
			to = p;
	}
	unpin(to);
	*to = (struct pinned){ file, *id, now_ns };
}

/* Overlayfs and btrfs show another device in stat() than the kernel side sees. */
static bool same_device(const struct ks_file_id *seen, const struct ks_file_id *held)
{
	return seen->dev == held->dev || seen->fs_magic == OVERLAYFS_SUPER_MAGIC ||
	       seen->fs_magic == BTRFS_SUPER_MAGIC;
}

int pins_take(const struct ks_file_id *id)
{
	struct pinned *set = pin_set(id->ino);

	for (unsigned i = 0; i < PIN_WAYS; i++) {
		struct pinned *p = &set[i];
		int file = p->file;

		if (file < 0 || p->id.ino != id->ino || !same_device(id, &p->id))
			continue;
		p->file = -1;
		return file;
	}
	return -1;
}

void pins_sweep(uint64_t before_ns)
{
	static unsigned next;

	for (unsigned i = 0; i < PIN_SETS * PIN_WAYS / 8; i++) {
		struct pinned *p = &pins[next++ % (PIN_SETS * PIN_WAYS)];
		struct stat st;

		if (p->file >= 0 && p->since_ns < before_ns && fstat(p->file, &st) == 0 && st.st_nlink == 0)
			unpin(p);
	}
}

void pins_drop_all(void)
{
	for (unsigned i = 0; i < PIN_SETS * PIN_WAYS; i++)
		unpin(&pins[i]);
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
