/* SPDX-License-Identifier: MIT */
/* The database of dpkg as an index (src/enrich/packages.h): /var/lib/dpkg/status tells of the packages,
 * info/PACKAGE.md5sums of their files, diversions which of these lie elsewhere. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../enrich/packages.h"
#include "help.h"

#define LINE_MAX_BYTES 8192

struct installed { /* a stanza of status */
	uint32_t name, arch, version, summary, vendor; /* strings */
	bool here;
};

struct diversion {
	char *from, *to, *by;
};

struct index {
	int root; /* of the database */
	char *strings;
	size_t used, room;
	struct packages_file *files;
	size_t file_count, file_room;
	struct installed *packages;
	size_t package_count, package_room;
	struct diversion *diversions;
	size_t diversion_count, diversion_room;
	bool merged[8]; /* of merged_folders: /bin is /usr/bin here */
	bool full;
};

/* What may be a link into /usr, though packages name their files by the old place. */
static const char *const merged_folders[] = { "bin", "sbin", "lib", "lib32", "lib64", "libx32" };

static bool grow(void **array, size_t *room, size_t count, size_t size)
{
	size_t bigger_room = *room ? 2 * *room : 256;
	void *bigger;

	if (count < *room)
		return true;
	bigger = reallocarray(*array, bigger_room, size);
	if (!bigger)
		return false;
	*array = bigger;
	*room = bigger_room;
	return true;
}

/* Offset of the string; 0 is the empty one, also when there is no more room. */
static uint32_t keep(struct index *x, const char *text, size_t n)
{
	uint32_t at = (uint32_t)x->used;

	if (n == 0)
		return 0;
	while (x->room - x->used < n + 1) {
		char *bigger = x->room < PACKAGES_BYTES_MAX / 4 ? realloc(x->strings, 2 * x->room) : NULL;

		if (!bigger) {
			x->full = true;
			return 0;
		}
		x->strings = bigger;
		x->room *= 2;
	}
	memcpy(x->strings + x->used, text, n);
	x->strings[x->used + n] = 0;
	x->used += n + 1;
	return at;
}

static FILE *open_at(int root, const char *name)
{
	int fd = openat(root, name, O_RDONLY | O_CLOEXEC);
	FILE *f = fd >= 0 ? fdopen(fd, "r") : NULL;

	if (!f && fd >= 0)
		close(fd);
	return f;
}

/* A line without its end; a longer one is cut, its rest passed over. */
static bool read_line(FILE *f, char *line, size_t size)
{
	size_t n;

	if (!fgets(line, (int)size, f))
		return false;
	n = strcspn(line, "\n");
	if (line[n] != '\n')
		for (int c = getc(f); c != EOF && c != '\n'; c = getc(f))
			;
	line[n] = 0;
	return true;
}

/* --- status */

static const char *value_of(const char *line, const char *field)
{
	size_t n = strlen(field);

	if (strncasecmp(line, field, n) != 0 || line[n] != ':')
		return NULL;
	return line + n + 1 + strspn(line + n + 1, " \t");
}

static void take_line(struct index *x, struct installed *p, const char *line)
{
	const char *v;

	if ((v = value_of(line, "Package")))
		p->name = keep(x, v, strlen(v));
	else if ((v = value_of(line, "Architecture")))
		p->arch = keep(x, v, strlen(v));
	else if ((v = value_of(line, "Version")))
		p->version = keep(x, v, strlen(v));
	else if ((v = value_of(line, "Maintainer")))
		p->vendor = keep(x, v, strlen(v));
	else if ((v = value_of(line, "Description")))
		p->summary = keep(x, v, strlen(v));
	else if ((v = value_of(line, "Status")))
		/* Removed ones stand here too, with what is left of their settings. */
		p->here = !strstr(v, " not-installed") && !strstr(v, " config-files");
}

static bool keep_package(struct index *x, const struct installed *p)
{
	if (!p->name || !p->here)
		return true;
	if (!grow((void **)&x->packages, &x->package_room, x->package_count, sizeof(*p)))
		return false;
	x->packages[x->package_count++] = *p;
	return true;
}

static bool read_status(struct index *x)
{
	FILE *f = open_at(x->root, "status");
	char line[LINE_MAX_BYTES];
	struct installed p = { 0 };
	bool ok = f;

	while (ok && read_line(f, line, sizeof(line))) {
		if (*line) {
			take_line(x, &p, line);
			continue;
		}
		ok = keep_package(x, &p);
		p = (struct installed){ 0 };
	}
	ok = ok && keep_package(x, &p);
	if (f)
		fclose(f);
	return ok;
}

/* qsort() hands over no context. */
static const struct index *sorted;

static const char *text(uint32_t at)
{
	return sorted->strings + at;
}

static int by_name(const void *a, const void *b)
{
	const struct installed *x = a, *y = b;
	int r = strcmp(text(x->name), text(y->name));

	return r ? r : strcmp(text(x->arch), text(y->arch));
}

/* The package of "libc6:amd64" or "dash", or -1. */
static int64_t find_package(const struct index *x, const char *name, size_t n)
{
	const char *colon = memchr(name, ':', n);
	size_t length = colon ? (size_t)(colon - name) : n, arch = colon ? n - length - 1 : 0;
	size_t low = 0, high = x->package_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		const char *other = text(x->packages[middle].name);
		int r = strncmp(other, name, length);

		if (r < 0)
			low = middle + 1;
		else
			high = middle;
	}
	for (; low < x->package_count; low++) {
		const char *other = text(x->packages[low].name), *its = text(x->packages[low].arch);

		if (strncmp(other, name, length) != 0)
			return -1;
		if (!other[length] && (!colon || (strlen(its) == arch && !memcmp(its, colon + 1, arch))))
			return (int64_t)low;
	}
	return -1;
}

/* --- diversions: threes of lines */

static bool read_diversions(struct index *x)
{
	FILE *f = open_at(x->root, "diversions");
	char line[3][LINE_MAX_BYTES];
	bool ok = true;

	while (f && ok && read_line(f, line[0], LINE_MAX_BYTES) && read_line(f, line[1], LINE_MAX_BYTES) &&
	       read_line(f, line[2], LINE_MAX_BYTES)) {
		struct diversion *d;

		ok = grow((void **)&x->diversions, &x->diversion_room, x->diversion_count, sizeof(*d));
		if (!ok)
			break;
		d = &x->diversions[x->diversion_count++];
		*d = (struct diversion){ strdup(line[0]), strdup(line[1]), strdup(line[2]) };
		ok = d->from && d->to && d->by;
	}
	if (f)
		fclose(f);
	return ok;
}

/* Where this package's file lies: elsewhere when another package had it moved. */
static const char *diverted(const struct index *x, const char *package, const char *path)
{
	for (size_t i = 0; i < x->diversion_count; i++)
		if (strcmp(x->diversions[i].from, path) == 0 && strcmp(x->diversions[i].by, package) != 0)
			return x->diversions[i].to;
	return path;
}

/* --- files */

static void look_for_merged_folders(struct index *x)
{
	for (size_t i = 0; i < ARRAY_SIZE(merged_folders); i++) {
		char path[16], to[32] = "", expected[16];
		ssize_t n;

		snprintf(path, sizeof(path), "/%s", merged_folders[i]);
		snprintf(expected, sizeof(expected), "usr/%s", merged_folders[i]);
		n = readlink(path, to, sizeof(to) - 1);
		x->merged[i] = n > 0 && strcmp(to + (*to == '/'), expected) == 0;
	}
}

static const char *usr_of(const struct index *x, const char *path)
{
	for (size_t i = 0; i < ARRAY_SIZE(merged_folders); i++) {
		size_t n = strlen(merged_folders[i]);

		if (x->merged[i] && strncmp(path + 1, merged_folders[i], n) == 0 && path[n + 1] == '/')
			return "/usr";
	}
	return "";
}

static bool hex_digest(const char *hex, uint8_t md5[16])
{
	static const char digits[] = "0123456789abcdef";

	for (unsigned i = 0; i < 16; i++) {
		const char *high = strchr(digits, hex[2 * i]), *low = strchr(digits, hex[2 * i + 1]);

		if (!high || !low || !*high || !*low)
			return false;
		md5[i] = (uint8_t)((high - digits) << 4 | (low - digits));
	}
	return true;
}

/* "0123...  usr/bin/dash" */
static bool take_file(struct index *x, uint32_t package, char *line)
{
	static char folder[LINE_MAX_BYTES + 8], path[LINE_MAX_BYTES + 8];
	static uint32_t kept; /* packages list their files folder by folder */
	struct packages_file file = { .package = package };
	const char *at, *slash;
	int n;

	if (strlen(line) < 35 || !hex_digest(line, file.md5) || line[32] != ' ')
		return true;
	line[33] = '/';
	at = diverted(x, text(x->packages[package].name), line + 33 + (line[34] == '/'));
	slash = strrchr(at, '/');
	n = snprintf(path, sizeof(path), "%s%.*s", usr_of(x, at), (int)(slash - at), at);
	if (n < 0 || n >= (int)sizeof(path) || x->file_count == PACKAGES_FILES_MAX ||
	    !grow((void **)&x->files, &x->file_room, x->file_count, sizeof(file)))
		return false;
	if (x->file_count == 0 || strcmp(folder, path) != 0) {
		memcpy(folder, path, (size_t)n + 1);
		kept = keep(x, folder, (size_t)n);
	}
	file.folder = kept;
	file.name = keep(x, slash + 1, strlen(slash + 1));
	x->files[x->file_count++] = file;
	return !x->full;
}

static bool read_files_of(struct index *x, int folder, const char *name, size_t n)
{
	int64_t package = find_package(x, name, n);
	char line[LINE_MAX_BYTES];
	bool ok = true;
	FILE *f;

	if (package < 0)
		return true;
	f = open_at(folder, name);
	while (f && ok && read_line(f, line, sizeof(line)))
		ok = take_file(x, (uint32_t)package, line);
	if (f)
		fclose(f);
	return ok;
}

static bool read_files(struct index *x)
{
	static const char ending[] = ".md5sums";
	int fd = openat(x->root, "info", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *folder = fd >= 0 ? fdopendir(fd) : NULL;
	struct dirent *entry;
	bool ok = true;

	while (folder && ok && (entry = readdir(folder))) {
		size_t n = strlen(entry->d_name);

		if (n > sizeof(ending) && strcmp(entry->d_name + n - sizeof(ending) + 1, ending) == 0)
			ok = read_files_of(x, fd, entry->d_name, n - sizeof(ending) + 1);
	}
	if (folder)
		closedir(folder);
	return ok;
}

static int by_path(const void *a, const void *b)
{
	const struct packages_file *x = a, *y = b;
	int r = strcmp(text(x->folder), text(y->folder));

	return r ? r : strcmp(text(x->name), text(y->name));
}

static int by_digest(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
	int r = memcmp(sorted->files[x].md5, sorted->files[y].md5, 16);

	return r ? r : x < y ? -1 : x > y;
}

/* --- as one file */

static int write_index(const struct index *x)
{
	struct packages_head head = { .magic = PACKAGES_MAGIC,
				      .files = (uint32_t)x->file_count,
				      .packages = (uint32_t)x->package_count,
				      .strings = (uint32_t)x->used };
	OWNED_HEAP uint32_t *order = calloc(x->file_count + 1, sizeof(*order));
	OWNED_HEAP struct packages_entry *entries = calloc(x->package_count + 1, sizeof(*entries));
	OWNED_FD fd = memfd_create("konseki packages", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (!order || !entries || fd < 0)
		return -ENOMEM;
	for (uint32_t i = 0; i < head.files; i++)
		order[i] = i;
	qsort(order, head.files, sizeof(*order), by_digest);
	for (uint32_t i = 0; i < head.packages; i++)
		entries[i] = (struct packages_entry){ x->packages[i].name, x->packages[i].version,
						      x->packages[i].summary, x->packages[i].vendor };
	if (help_write(fd, &head, sizeof(head)) < 0 ||
	    help_write(fd, x->files, head.files * sizeof(*x->files)) < 0 ||
	    help_write(fd, order, head.files * sizeof(*order)) < 0 ||
	    help_write(fd, entries, head.packages * sizeof(*entries)) < 0 ||
	    help_write(fd, x->strings, head.strings) < 0 || help_seal(fd) < 0)
		return -EIO;
	return MOVE_FD(fd);
}

static void done(struct index *x)
{
	for (size_t i = 0; i < x->diversion_count; i++) {
		free(x->diversions[i].from);
		free(x->diversions[i].to);
		free(x->diversions[i].by);
	}
	free(x->diversions);
	free(x->strings);
	free(x->files);
	free(x->packages);
	close(x->root);
}

int help_packages(const char *database)
{
	struct index x = { .root = open(database, O_RDONLY | O_DIRECTORY | O_CLOEXEC), .room = 1 << 20,
			   .used = 1 };
	int r;

	if (x.root < 0)
		return -errno;
	x.strings = calloc(1, x.room);
	sorted = &x;
	look_for_merged_folders(&x);
	if (!x.strings || !read_diversions(&x) || !read_status(&x)) {
		done(&x);
		return -EIO;
	}
	if (x.package_count)
		qsort(x.packages, x.package_count, sizeof(*x.packages), by_name);
	r = read_files(&x) ? 0 : -EFBIG;
	if (r == 0 && x.file_count)
		qsort(x.files, x.file_count, sizeof(*x.files), by_path);
	if (r == 0)
		r = write_index(&x);
	done(&x);
	return r;
}
