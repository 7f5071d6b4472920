/* SPDX-License-Identifier: MIT */
#include "packages.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

struct packages {
	const struct packages_head *head; /* the whole mapping */
	size_t size;
	const struct packages_file *files;
	const uint32_t *by_digest;
	const struct packages_entry *entries;
	const char *strings;
};

/* Only what nobody can change any more may be mapped: a file that shrinks would end us. */
#define SEALS (F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW)

static int sizes_fit(const struct packages_head *h, uint64_t size)
{
	uint64_t expected = sizeof(*h) + (uint64_t)h->strings +
			    (uint64_t)h->files * (sizeof(struct packages_file) + sizeof(uint32_t)) +
			    (uint64_t)h->packages * sizeof(struct packages_entry);

	return h->magic == PACKAGES_MAGIC && h->strings > 0 && expected == size;
}

int packages_map(int fd, struct packages **ret)
{
	OWNED(packages) p = calloc(1, sizeof(*p));
	int seals = fcntl(fd, F_GET_SEALS);
	struct stat st;
	void *map;

	if (!p)
		return -ENOMEM;
	if (seals < 0 || (seals & SEALS) != SEALS || fstat(fd, &st) < 0 ||
	    st.st_size < (off_t)sizeof(struct packages_head) || st.st_size > PACKAGES_BYTES_MAX)
		return -EBADMSG;
	map = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED)
		return -errno;
	p->head = map;
	p->size = (size_t)st.st_size;
	if (!sizes_fit(p->head, p->size))
		return -EBADMSG;
	p->files = (const void *)(p->head + 1);
	p->by_digest = (const void *)(p->files + p->head->files);
	p->entries = (const void *)(p->by_digest + p->head->files);
	p->strings = (const void *)(p->entries + p->head->packages);
	if (p->strings[p->head->strings - 1] != 0)
		return -EBADMSG;
	*ret = MOVE(p);
	return 0;
}

void packages_free(struct packages *p)
{
	if (!p)
		return;
	if (p->head)
		munmap((void *)(uintptr_t)p->head, p->size);
	free(p);
}

static const char *string(const struct packages *p, uint32_t at)
{
	return at < p->head->strings ? p->strings + at : "";
}

static int compare(const char *a, const char *b, size_t n)
{
	int r = strncmp(a, b, n);

	return r ? r : a[n] != 0; /* a goes on where b ends */
}

/* The file of this path, or NULL. Of several (a path may stand in two packages) the one with these bytes; md5 NULL: any. */
static const struct packages_file *find(const struct packages *p, const char *path, size_t n,
					const uint8_t md5[16])
{
	const char *slash = memrchr(path, '/', n);
	size_t folder = slash ? (size_t)(slash - path) : 0, name = slash ? n - folder - 1 : 0;
	uint32_t low = 0, high = p->head->files;

	if (!slash || memchr(path, 0, n))
		return NULL;
	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		int r = compare(string(p, p->files[middle].folder), path, folder);

		if (r == 0)
			r = compare(string(p, p->files[middle].name), slash + 1, name);
		if (r < 0)
			low = middle + 1;
		else
			high = middle;
	}
	for (; low < p->head->files; low++) {
		const struct packages_file *f = &p->files[low];

		if (compare(string(p, f->folder), path, folder) != 0 ||
		    compare(string(p, f->name), slash + 1, name) != 0)
			return NULL;
		if (!md5 || memcmp(f->md5, md5, 16) == 0)
			return f;
	}
	return NULL;
}

int packages_owner(const struct packages *p, const char *path, size_t n, const uint8_t md5[16],
		   struct package *found)
{
	const struct packages_file *f = p ? find(p, path, n, md5) : NULL;
	const struct packages_entry *e;

	if (!f || f->package >= p->head->packages)
		return 0;
	e = &p->entries[f->package];
	*found = (struct package){ string(p, e->name), string(p, e->version), string(p, e->summary),
				   string(p, e->vendor) };
	return 1;
}

static const struct packages_file *by_digest(const struct packages *p, uint32_t at)
{
	uint32_t file = p->by_digest[at];

	return file < p->head->files ? &p->files[file] : &p->files[0];
}

const char *packages_original(const struct packages *p, const char *path, size_t n,
			      const uint8_t md5[16])
{
	const struct packages_file *f;
	uint32_t low = 0, high = p ? p->head->files : 0;

	if (high == 0)
		return NULL;
	f = find(p, path, n, md5);
	if (f)
		return string(p, f->name);
	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (memcmp(by_digest(p, middle)->md5, md5, 16) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == p->head->files || memcmp(by_digest(p, low)->md5, md5, 16) != 0)
		return NULL;
	return string(p, by_digest(p, low)->name);
}
