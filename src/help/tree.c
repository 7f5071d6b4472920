/* SPDX-License-Identifier: MIT */
/* A configuration file as a tree, by one lens of libaugeas, which is loaded here and nowhere else: it brings 30 MB of
 * libraries that no other process needs. Without it, or without a lens, a file is one value: its digest. */
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <openssl/evp.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#include "help.h"
#include "settings.h"
#include "triggers.h"

#define DEPTH_MAX 8
#define FILES_MAX 20000u

/* As augeas.h has them, which would want the headers of libxml2 too. */
#define AUG_NO_LOAD          (1u << 5)
#define AUG_NO_MODL_AUTOLOAD (1u << 6)
struct augeas;
static struct {
	struct augeas *(*init)(const char *root, const char *load_path, unsigned flags);
	int (*set)(struct augeas *a, const char *path, const char *value);
	int (*rm)(struct augeas *a, const char *path);
	int (*text_store)(struct augeas *a, const char *lens, const char *node, const char *path);
	int (*match)(const struct augeas *a, const char *path, char ***matches);
	int (*get)(const struct augeas *a, const char *path, const char **value);
	struct augeas *session; /* made when it is needed; NULL: none */
} aug;

static const struct {
	const char *pattern, *lens;
} lenses[] = {
#define LENS(pattern, lens) { pattern, lens },
#include "lenses.def"
};

/* A lens may take time that grows with the square of the file, or memory, or fail on what nobody thought of: then the file is one
 * value. What the library was at is left as it is, since this process ends soon. */
#define LENS_SECONDS   2
#define LENS_FAILURES  3 /* then none is tried any more */
static struct {
	jmp_buf out;
	volatile sig_atomic_t inside;
	unsigned failures;
} lens;

static void leave_lens(int signal)
{
	if (!lens.inside)
		_exit(128 + signal);
	lens.inside = 0;
	longjmp(lens.out, 1);
}

/* While it may still be done. */
static void be_ready_to_leave(void)
{
	static const int signals[] = { SIGPROF, SIGSEGV, SIGBUS, SIGABRT, SIGFPE };
	static char stack[65536]; /* the other may be used up */
	struct sigaction action = { .sa_handler = leave_lens, .sa_flags = SA_ONSTACK | SA_NODEFER };

	sigaltstack(&(stack_t){ .ss_sp = stack, .ss_size = sizeof(stack) }, NULL);
	for (size_t i = 0; i < ARRAY_SIZE(signals); i++)
		sigaction(signals[i], &action, NULL);
}

int help_load_lenses(void)
{
	void *library = dlopen("libaugeas.so.0", RTLD_NOW);

	if (!library)
		return -ENOENT;
	aug.init = dlsym(library, "aug_init");
	aug.set = dlsym(library, "aug_set");
	aug.rm = dlsym(library, "aug_rm");
	aug.text_store = dlsym(library, "aug_text_store");
	aug.match = dlsym(library, "aug_match");
	aug.get = dlsym(library, "aug_get");
	if (!aug.init || !aug.set || !aug.rm || !aug.text_store || !aug.match || !aug.get)
		return -ENOSYS;
	be_ready_to_leave();
	return 0;
}

static bool can_parse(void)
{
	if (!aug.session && aug.init)
		aug.session = aug.init("/", NULL, AUG_NO_LOAD | AUG_NO_MODL_AUTOLOAD);
	return aug.session;
}

static const char *lens_of(const char *path)
{
	for (size_t i = 0; i < ARRAY_SIZE(lenses); i++)
		if (fnmatch(lenses[i].pattern, path, *lenses[i].pattern == '*' ? 0 : FNM_PATHNAME) == 0)
			return lenses[i].lens;
	return NULL;
}

/* --- output that grows within bounds */

struct output {
	uint8_t *bytes;
	size_t used, room, max;
	bool full;
};

static void put(struct output *o, const void *bytes, size_t n)
{
	while (!o->full && o->room - o->used < n) {
		size_t room = o->room ? 2 * o->room : 65536;
		uint8_t *bigger = room <= o->max ? realloc(o->bytes, room) : NULL;

		o->full = !bigger;
		if (bigger) {
			o->bytes = bigger;
			o->room = room;
		}
	}
	if (o->full)
		return;
	memcpy(o->bytes + o->used, bytes, n);
	o->used += n;
}

/* --- nodes */

#define TREE "/konseki/tree"
#define TEXT "/konseki/text"

/* Comments are no settings. */
static bool is_comment(const char *path)
{
	return strstr(path, "/#") != NULL;
}

static void put_node(struct output *o, const char *path)
{
	const char *value = NULL;

	aug.get(aug.session, path, &value);
	put(o, path + strlen(TREE), strlen(path + strlen(TREE)) + 1);
	if (!value) {
		put(o, "k", 2);
		return;
	}
	put(o, "v", 1);
	put(o, value, strlen(value) + 1);
}

static bool put_tree(struct output *o, const char *of_path, const char *text)
{
	char **paths = NULL;
	int n = -1;

	aug.rm(aug.session, TREE);
	if (aug.set(aug.session, TEXT, text) == 0 && aug.text_store(aug.session, of_path, TEXT, TREE) == 0)
		n = aug.match(aug.session, TREE "//*", &paths);
	for (int i = 0; i < n; i++) {
		if (!is_comment(paths[i]))
			put_node(o, paths[i]);
		free(paths[i]);
	}
	free(paths);
	return n >= 0 && !o->full;
}

static void lens_timer(time_t seconds)
{
	setitimer(ITIMER_PROF, &(struct itimerval){ .it_value = { seconds, 0 } }, NULL);
}

/* put_tree(), which may not come back. */
static bool try_tree(struct output *o, const char *of_path, const char *text)
{
	bool good;

	if (lens.failures >= LENS_FAILURES)
		return false;
	if (setjmp(lens.out)) {
		lens_timer(0);
		lens.failures++;
		aug.session = NULL;
		return false;
	}
	lens_timer(LENS_SECONDS);
	lens.inside = 1;
	good = can_parse() && put_tree(o, of_path, text);
	lens.inside = 0;
	lens_timer(0);
	return good;
}

/* Where a lens was left, the heap may be in any state: nothing is given back to it. */
static void give_back(void *memory)
{
	if (lens.failures == 0)
		free(memory);
}

/* --- what it has the machine do later */

static void put_trigger(struct output *o, char kind, const char *name, const char *more, const char *value,
			const char *rest)
{
	static const char between = NODE_BETWEEN;

	put(o, name, strlen(name));
	if (more) {
		put(o, &between, 1);
		put(o, more, strlen(more));
	}
	put(o, "", 1);
	put(o, &kind, 1);
	put(o, value, strlen(value));
	if (rest) {
		put(o, &between, 1);
		put(o, rest, strlen(rest));
	}
	put(o, "", 1);
}

static void put_filter(void *context, const char *space, const char *name, const char *query)
{
	put_trigger(context, NODE_FILTER, name, NULL, space, query);
}

static void put_consumer(void *context, const char *name, const char *type, const char *destination)
{
	put_trigger(context, NODE_CONSUMER, name, NULL, type, destination);
}

static void put_binding(void *context, const char *consumer, const char *filter)
{
	put_trigger(context, NODE_BINDING, consumer, filter, "", NULL);
}

/* --- files */

static void put_digest(const uint8_t *bytes, size_t n, char digest[72])
{
	uint8_t sum[EVP_MAX_MD_SIZE];
	unsigned length = 0;
	int at = snprintf(digest, 72, "SHA256=");

	EVP_Digest(bytes, n, sum, &length, EVP_sha256(), NULL);
	for (unsigned i = 0; i < length && i < 32; i++)
		at += snprintf(digest + at, 72 - (size_t)at, "%02X", sum[i]);
}

/* What only some may read is not written into a log that others may read: its digest is. */
static bool may_be_shown(const char *path, const struct stat *st)
{
	return (st->st_mode & 0004) || strncmp(path, "/etc/sudoers", 12) == 0;
}

static void put_entry(struct output *o, struct settings_head *head, const char *path, const struct output *nodes)
{
	head->nodes = nodes->full ? 0 : (uint32_t)nodes->used;
	head->is_tree = head->is_tree && !nodes->full;
	put(o, head, sizeof(*head));
	put(o, path, head->path);
	put(o, nodes->bytes, head->nodes);
}

/* A unit that is made known by a link and lies where nobody watches it: what it does is told with the link. What may lie
 * there is anybody's, so that it may be slow; who asked does not wait for us. */
static void put_linked(struct output *nodes, const char *path, const char *target, const struct trigger_sink *sink)
{
	static uint8_t text[SETTINGS_FILE_MAX + 1];
	OWNED_FD fd = *target == '/' ? open(target, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC) : -1;
	char link[64], found[4096];
	struct stat st;
	ssize_t n;

	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || nodes->full)
		return;
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, found, sizeof(found));
	if (n <= 0 || settings_is_watched(found, (size_t)n))
		return;
	n = pread(fd, text, SETTINGS_FILE_MAX, 0);
	if (n < 0)
		return;
	text[n] = 0;
	triggers_read(path, (const char *)text, (size_t)n, sink);
}

static int put_link(struct output *o, const char *path, int fd, const struct stat *st)
{
	struct settings_head head = { .path = (uint32_t)strlen(path) + 1, .is_tree = 1, .is_gone = st->st_nlink == 0 };
	struct output nodes = { .max = SETTINGS_ENTRY_MAX };
	const struct trigger_sink sink = { &nodes, put_filter, put_consumer, put_binding };
	char target[4096];
	ssize_t n = readlinkat(fd, "", target, sizeof(target) - 1);

	if (n < 0)
		return -errno;
	target[n] = 0;
	put_digest((const uint8_t *)target, (size_t)n, head.digest);
	put(&nodes, "", 1);
	put(&nodes, (const char[]){ NODE_LINK }, 1);
	put(&nodes, target, (size_t)n + 1);
	if (!triggers_link(path, &sink))
		put_linked(&nodes, path, target, &sink);
	put_entry(o, &head, path, &nodes);
	free(nodes.bytes);
	return o->full ? -EFBIG : 0;
}

/* What the file holds for a lens: added to the nodes, if all goes well. */
static bool add_tree(struct output *nodes, const char *of_path, const char *text)
{
	struct output tree = { .max = SETTINGS_ENTRY_MAX };
	bool good = try_tree(&tree, of_path, text);

	if (good)
		put(nodes, tree.bytes, tree.used);
	give_back(tree.bytes);
	return good && !nodes->full;
}

static void reserve(struct output *o, size_t n)
{
	size_t used = o->used;

	while (!o->full && o->room < used + n) {
		static const uint8_t nothing[4096];

		put(o, nothing, sizeof(nothing));
	}
	o->used = used;
}

static int put_file(struct output *o, const char *path, int fd)
{
	static uint8_t text[SETTINGS_FILE_MAX + 1];
	struct settings_head head = { .path = (uint32_t)strlen(path) + 1 };
	struct output nodes = { .max = SETTINGS_ENTRY_MAX };
	const struct trigger_sink sink = { &nodes, put_filter, put_consumer, put_binding };
	const char *of_path = lens_of(path);
	size_t triggers;
	struct stat st;
	ssize_t n;

	if (fd >= 0 && fstat(fd, &st) < 0)
		return -errno;
	if (fd >= 0 && S_ISLNK(st.st_mode))
		return put_link(o, path, fd, &st);
	if (fd >= 0 && !S_ISREG(st.st_mode))
		return -EINVAL;
	head.is_gone = fd >= 0 && st.st_nlink == 0;
	n = fd >= 0 ? pread(fd, text, SETTINGS_FILE_MAX, 0) : -1;
	if (n >= 0) {
		text[n] = 0;
		put_digest(text, (size_t)n, head.digest);
		triggers_read(path, (const char *)text, (size_t)n, &sink);
	}
	/* From here on there may be no more memory. */
	triggers = nodes.used;
	reserve(o, sizeof(head) + head.path + triggers);
	if (n >= 0 && n < (ssize_t)SETTINGS_FILE_MAX && of_path && !nodes.full && may_be_shown(path, &st) &&
	    !memchr(text, 0, (size_t)n)) {
		head.is_tree = add_tree(&nodes, of_path, (const char *)text);
		if (!head.is_tree) {
			nodes.used = triggers;
			nodes.full = false;
		}
	}
	put_entry(o, &head, path, &nodes);
	give_back(nodes.bytes);
	return o->full ? -EFBIG : 0;
}

/* Not through a link: that is itself what is asked about. */
static int open_entry(const char *path)
{
	int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);

	return fd < 0 && errno == ELOOP ? open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC) : fd;
}

static int as_memfd(struct output *o, int r)
{
	OWNED_FD fd = r < 0 ? -1 : memfd_create("konseki settings", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (r == 0 && (fd < 0 || help_write(fd, o->bytes, o->used) < 0 || help_seal(fd) < 0))
		r = -EIO;
	give_back(o->bytes);
	return r < 0 ? r : MOVE_FD(fd);
}

/* The kernel's mark of a file that has no name any more. */
static void strip_mark(char *path, size_t n, int fd)
{
	static const char mark[] = " (deleted)";
	size_t length = sizeof(mark) - 1;
	struct stat st;

	if (fstat(fd, &st) == 0 && st.st_nlink == 0 && n > length && strcmp(path + n - length, mark) == 0)
		path[n - length] = 0;
}

int help_setting(const char *path, int fd)
{
	struct output o = { .max = 2 * SETTINGS_ENTRY_MAX };
	char link[64], found[4096];
	OWNED_FD opened = -1;
	ssize_t n;

	if (fd >= 0 && *path)
		return as_memfd(&o, put_file(&o, path, fd));
	if (fd >= 0) {
		snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
		n = readlink(link, found, sizeof(found) - 1);
		if (n <= 0 || *found != '/')
			return -ENOENT;
		found[n] = 0;
		strip_mark(found, (size_t)n, fd);
		return as_memfd(&o, put_file(&o, found, fd));
	}
	opened = open_entry(path);
	if (opened < 0 && errno != EACCES)
		return -errno;
	return as_memfd(&o, put_file(&o, path, opened));
}

/* --- all of them, as they are at the start */

static void survey(struct output *o, const char *path, unsigned depth, unsigned *files);

static void survey_one(struct output *o, const char *folder, const struct dirent *entry, unsigned depth,
		       unsigned *files)
{
	char path[4096];
	int n = snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name);

	if (n < 0 || n >= (int)sizeof(path) || *entry->d_name == 0 || strcmp(entry->d_name, ".") == 0 ||
	    strcmp(entry->d_name, "..") == 0)
		return;
	if (entry->d_type == DT_DIR && depth < DEPTH_MAX) {
		survey(o, path, depth + 1, files);
	} else if ((entry->d_type == DT_REG || entry->d_type == DT_LNK) && ++*files < FILES_MAX) {
		OWNED_FD fd = open_entry(path);

		put_file(o, path, fd);
	}
}

static void survey(struct output *o, const char *path, unsigned depth, unsigned *files)
{
	DIR *folder = opendir(path);
	const struct dirent *entry;

	while (folder && !o->full && (entry = readdir(folder)))
		survey_one(o, path, entry, depth, files);
	if (folder)
		closedir(folder);
}

int help_survey(void)
{
	struct output o = { .max = SETTINGS_BYTES_MAX };
	unsigned files = 0;

	for (unsigned i = 0; settings_roots[i]; i++)
		survey(&o, settings_roots[i], 0, &files);
	return as_memfd(&o, 0);
}
