/* SPDX-License-Identifier: MIT */
#include "pins.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <stdbool.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../base/clock.h"

#define PIN_SETS 1024u
#define PIN_WAYS 4u

struct pinned {
	int file; /* -1: none */
	struct ks_file_id id;
	uint64_t since_ns;
	uint64_t gone_ns; /* when it was first seen to be deleted; 0: it is not */
};
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
	*to = (struct pinned){ .file = file, .id = *id, .since_ns = now_ns };
}

static bool shows_another_device(const struct ks_file_id *id)
{
	return id->fs_magic == OVERLAYFS_SUPER_MAGIC || id->fs_magic == BTRFS_SUPER_MAGIC;
}

static uint64_t ns_of(const struct statx_timestamp *t)
{
	return (uint64_t)t->tv_sec * 1000000000u + t->tv_nsec;
}

/* The birth of a file comes before all its changes, of which a deletion is the last. If the clock was set back meanwhile, it
 * is known by the time of its content. */
static bool was_made_later(const struct pinned *p, const struct ks_file_id *deleted)
{
	struct statx now;

	return statx(p->file, "", AT_EMPTY_PATH, STATX_BTIME | STATX_MTIME, &now) == 0 && (now.stx_mask & STATX_BTIME) &&
	       ns_of(&now.stx_btime) > deleted->ctime_ns && deleted->mtime_ns != p->id.mtime_ns &&
	       deleted->mtime_ns != ns_of(&now.stx_mtime);
}

static struct pinned *find(const struct ks_file_id *id)
{
	struct pinned *set = pin_set(id->ino);

	for (unsigned i = 0; i < PIN_WAYS; i++) {
		struct pinned *p = &set[i];

		if (p->file >= 0 && p->id.ino == id->ino && (p->id.dev == id->dev || shows_another_device(id)) &&
		    !was_made_later(p, id))
			return p;
	}
	return NULL;
}

int pins_find(const struct ks_file_id *id)
{
	const struct pinned *p = find(id);

	return p ? p->file : -1;
}

void pins_drop(const struct ks_file_id *id)
{
	struct pinned *p = find(id);

	if (p)
		unpin(p);
}

void pins_sweep(uint64_t before_ns, uint64_t now_ns)
{
	static unsigned next;

	for (unsigned i = 0; i < PIN_SETS * PIN_WAYS / 8; i++) {
		struct pinned *p = &pins[next++ % (PIN_SETS * PIN_WAYS)];
		struct stat st;

		if (p->file < 0 || fstat(p->file, &st) < 0 || st.st_nlink > 0)
			continue;
		if (!p->gone_ns)
			p->gone_ns = now_ns;
		else if (p->gone_ns < before_ns)
			unpin(p);
	}
}

void pins_drop_all(void)
{
	for (unsigned i = 0; i < PIN_SETS * PIN_WAYS; i++)
		unpin(&pins[i]);
}
