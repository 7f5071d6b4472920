/* SPDX-License-Identifier: MIT */
#include "pins.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SETS 1024u
#define WAYS 4u
#define PINS (SETS * WAYS)

static struct pinned wanted[PINS], fresh[PINS];

void pins_init(void)
{
	for (unsigned i = 0; i < PINS; i++)
		wanted[i].file = fresh[i].file = -1;
}

static struct pinned *set_of(struct pinned *pins, uint64_t ino)
{
	return &pins[((ino * 0x9e3779b97f4a7c15u) >> 54) * WAYS];
}

static bool is_same(const struct pinned *p, const struct ks_file_id *id)
{
	return p->file >= 0 && p->id.ino == id->ino && p->id.dev == id->dev;
}

/* Where it is, or where there is room, or where the longest held is. */
static struct pinned *place_for(struct pinned *pins, const struct ks_file_id *id)
{
	struct pinned *set = set_of(pins, id->ino), *to = set;

	for (unsigned i = 0; i < WAYS; i++) {
		struct pinned *p = &set[i];

		if (is_same(p, id))
			return p;
		if (to->file >= 0 && (p->file < 0 || p->since_ns < to->since_ns))
			to = p;
	}
	return to;
}

static void unpin(struct pinned *p)
{
	if (p->file >= 0)
		close(p->file);
	p->file = -1;
}

void pins_put_take(int file, const struct ks_file_id *id, uint64_t now_ns)
{
	struct pinned *to = place_for(wanted, id);

	unpin(to);
	*to = (struct pinned){ .file = file, .id = *id, .since_ns = now_ns };
}

struct pinned pins_put_new_take(int file, const struct ks_file_id *id, uint64_t now_ns)
{
	struct pinned *to = place_for(wanted, id), before;

	/* Whoever writes to a file again and again does not make it a new one each time. */
	if (!is_same(to, id))
		to = place_for(fresh, id);
	if (is_same(to, id)) {
		unpin(to);
		to->file = file;
		to->id = *id;
		return (struct pinned){ .file = -1 };
	}
	before = *to;
	*to = (struct pinned){ .file = file, .id = *id, .since_ns = now_ns };
	return before;
}

struct pinned pins_next_new(uint64_t before_ns)
{
	static unsigned next; /* whoever asks again goes on from here */

	for (unsigned i = 0; i < PINS; i++) {
		struct pinned *p = &fresh[next++ % PINS], found = *p;

		if (p->file < 0 || p->since_ns >= before_ns)
			continue;
		p->file = -1;
		return found;
	}
	return (struct pinned){ .file = -1 };
}

static bool shows_another_device(const struct ks_file_id *id)
{
	return id->fs_magic == OVERLAYFS_SUPER_MAGIC || id->fs_magic == BTRFS_SUPER_MAGIC;
}

unsigned handle_of_file(int file, uint32_t words[HANDLE_WORDS])
{
	union {
		struct file_handle handle;
		uint8_t room[sizeof(struct file_handle) + HANDLE_WORDS * sizeof(uint32_t)];
	} of = { .handle.handle_bytes = HANDLE_WORDS * sizeof(uint32_t) };
	int mount;

	if (name_to_handle_at(file, "", &of.handle, &mount, AT_EMPTY_PATH) < 0)
		return 0;
	memcpy(words, of.handle.f_handle, of.handle.handle_bytes);
	return of.handle.handle_bytes / sizeof(uint32_t);
}

static bool has_generation(int file, uint32_t generation)
{
	uint32_t words[HANDLE_WORDS];
	unsigned n = handle_of_file(file, words);

	for (unsigned i = 0; i < n; i++)
		if (words[i] == generation)
			return true;
	return n == 0;
}

/* Who had the number before was written before, too: to ask for the handle costs more. The inode of an overlay is another than
 * the one whose generation a descriptor shows. */
static bool is_of(const struct pinned *p, const struct ks_file_id *deleted)
{
	if (p->file < 0 || p->id.ino != deleted->ino || (p->id.dev != deleted->dev && !shows_another_device(deleted)))
		return false;
	return deleted->mtime_ns == p->id.mtime_ns || deleted->fs_magic == OVERLAYFS_SUPER_MAGIC ||
	       deleted->generation == 0 || has_generation(p->file, deleted->generation);
}

static struct pinned *find_in(struct pinned *pins, const struct ks_file_id *deleted)
{
	struct pinned *set = set_of(pins, deleted->ino);

	for (unsigned i = 0; i < WAYS; i++)
		if (is_of(&set[i], deleted))
			return &set[i];
	return NULL;
}

static struct pinned *find(const struct ks_file_id *deleted)
{
	struct pinned *p = find_in(wanted, deleted);

	return p ? p : find_in(fresh, deleted);
}

int pins_find(const struct ks_file_id *deleted)
{
	const struct pinned *p = find(deleted);

	return p ? p->file : -1;
}

void pins_drop(const struct ks_file_id *deleted)
{
	struct pinned *p = find(deleted);

	if (p)
		unpin(p);
}

void pins_sweep(uint64_t before_ns, uint64_t now_ns)
{
	static unsigned next;

	for (unsigned i = 0; i < PINS / 8; i++) {
		struct pinned *p = &wanted[next++ % PINS];
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
	for (unsigned i = 0; i < PINS; i++) {
		unpin(&wanted[i]);
		unpin(&fresh[i]);
	}
}
