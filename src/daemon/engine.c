/* SPDX-License-Identifier: MIT */
/* The engine's loop: rings -> enrich -> rules -> log. */
#include "engine.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>

#include <linux/capability.h>
#include <sys/syscall.h>

#include "../base/text.h"
#include "../collect/drops.h"
#include "../collect/exec_watch.h"
#include "../collect/ring.h"
#include "../enrich/dns.h"
#include "../enrich/enrich.h"
#include "../enrich/hash.h"
#include "../help/clipboard.h"
#include "../rules/pushdown.h"
#include "../rules/ruleset.h"
#include "content.h"
#include "../help/settings.h"
#include "changes.h"
#include "helped.h"
#include "host.h"
#include "privilege.h"
#include "request.h"

/* Records are read by a timer, many at once; a ring that fills faster wakes us (bpf/lib/emit.bpf.h). After some naps in
 * which nothing happened we sleep until something does, or at most so long: a record that is made while we fall asleep
 * may take us for awake. */
#define NAP_MS     20
#define QUIET_NAPS 2
#define SLEEP_MS   250

#define BATCH       4096u     /* records between two looks at the clock and the orders */
#define WAITING_MAX (1u << 19) /* records that the rings can hold, or so: who writes on and on must not keep us */
#define SECOND_NS   1000000000u
#define MINUTE_NS   (60u * (uint64_t)SECOND_NS)
#define CONFIG_MAX  (16u << 20)
#define ARCHIVED_FILE_MAX (1u << 30) /* larger ones take longer than everything else can wait */
#define PIN_REST_NS (10u * (uint64_t)SECOND_NS) /* a deletion is told of long before */
#define FILES_MAX   16384u /* descriptors; most of them hold files that may be deleted */
#define FOLDERS_NS  (30u * (uint64_t)SECOND_NS) /* between two looks for new folders of settings */
#define UNWRITABLE_NS (3u * (uint64_t)SECOND_NS) /* then another file that has the log's name is taken */
#define ASK_REST_NS (5u * (uint64_t)SECOND_NS) /* after a request was not answered, none for this long */

/* Text of one record in the written form (four bytes for one at worst) and of its parent. */
#define ARENA_SIZE (4u * KS_RECORD_MAX + 65536u)

/* What the rules never keep of a program, as it was judged last. */
struct never_of_path {
	uint64_t never; /* bits: 1 << KS_* */
	uint32_t judged_by, length;
	char path[112];
};

struct engine {
	struct engine_start *start;
	uint32_t supervisor; /* our parent and the helpers' */
	struct rings *rings;
	struct log *log;
	struct enrich *enrich;
	struct dns *dns;
	struct drops *drops;
	uint64_t wanted;  /* records that the rules can keep: bits 1 << KS_* */
	struct never_of_path never[256];
	uint32_t rules_number; /* of the rules in force: images remember by which they were judged */
	struct hashes *hashes; /* for the digest of a configuration */
	struct ruleset *rules; /* NULL until the first order to configure */
	struct engine_tally tally;  /* with what was read since the latest commit */
	uint64_t *verdicts;         /* KS_VERDICTS and KS_ENGINE_SLEEPS, read by the kernel side */
	int rings_wake;             /* readable when a ring has woken us, which data in it alone does not */
	unsigned quiet_naps;        /* in which nothing happened, one after the other */
	struct engine_tally *kept;  /* in the memory that outlives us */
	struct exec_watch_reader exec_watch, write_watch;
	struct helped helped;
	struct changes *changes;
	struct exec_watch_reader folder_watch;
	bool settings_wanted; /* events 12 to 14 and 19 to 21 */
	uint64_t folders_marked_ns, settings_lost;
	bool holding; /* the record at the head of the rings waits for an answer of the helper */
	bool changing_rules;
	struct arena arenas[2]; /* [1]: records read while another one waits for its process */
	unsigned depth;
	bool announce;
	bool commit_now;          /* an event that may be the last was logged */
	bool stopping;
	bool log_failing;
	int write_error;          /* of the latest flush; 0: it went well */
	uint64_t write_error_ns, write_told_ns; /* since when, when it was told */
	bool log_short;           /* it covers less than it should, and that was told */
	uint64_t log_short_ns;
	uint64_t minute_ns, minute_id, per_minute; /* how fast it grows */
	uint64_t new_log_rests_ns; /* until then no new file is asked for */
	bool disk_full;           /* as the log was last told to be */
	uint64_t disk_full_ns;    /* when it was told */
	uint64_t now_ns;          /* CLOCK_BOOTTIME */
	uint64_t ticked_ns;
	uint64_t loss_since_ns;   /* when the latest loss report was made */
	uint64_t ask_rests_until_ns;
	uint64_t snapshot_ns;
	uint64_t corrupt_declared;
	uint64_t exec_overflows, exec_overflows_declared;
	uint64_t write_overflows, write_overflows_declared;
	bool wants[KS_RECORD_COUNT];
	uint64_t archive_failures, block_failures; /* not told of yet */
	int archive_error, block_error;            /* of the latest */
	uint64_t write_since_utc_ns; /* when written files began to be told of */
	char config_name[256];
	char config_hash[HASH_TEXT_MAX];
};

static uint64_t clock_ns(clockid_t id)
{
	struct timespec t;

	clock_gettime(id, &t);
	return (uint64_t)t.tv_sec * SECOND_NS + (uint64_t)t.tv_nsec;
}

/* --- asking the monitor */

/* A monitor that does not answer (it is being restarted) must not hold up the rings: after one timeout
 * nothing is asked for a while, and what would have been answered is "-". */
static int answered(struct engine *g, int r)
{
	if (r == -ETIMEDOUT)
		g->ask_rests_until_ns = clock_ns(CLOCK_BOOTTIME) + ASK_REST_NS;
	return r;
}

static bool may_ask(const struct engine *g)
{
	return clock_ns(CLOCK_BOOTTIME) >= g->ask_rests_until_ns;
}

static int want_exe(void *context, uint32_t tgid, uint64_t start_ns)
{
	struct engine *g = context;

	return may_ask(g) ? answered(g, ask_exe(g->start->ask, tgid, start_ns)) : -EAGAIN;
}

static int want_mapped(void *context, uint32_t tgid, uint64_t start_ns, uint64_t from, uint64_t to)
{
	struct engine *g = context;

	return may_ask(g) ? answered(g, ask_mapped(g->start->ask, tgid, start_ns, from, to)) : -EAGAIN;
}

static int want_library(void *context, const char *path, size_t length)
{
	struct engine *g = context;

	return may_ask(g) ? answered(g, ask_library(g->start->ask, path, length)) : -EAGAIN;
}

static int want_cmdline(void *context, uint32_t tgid, uint64_t start_ns)
{
	struct engine *g = context;

	return may_ask(g) ? answered(g, ask_cmdline(g->start->ask, tgid, start_ns)) : -EAGAIN;
}

static int want_content(void *context, const struct ks_who *who, const struct ks_file_id *id, const char *path,
			size_t length)
{
	struct engine *g = context;

	return may_ask(g) ? answered(g, ask_file(g->start->ask, who, id, path, length)) : -EAGAIN;
}

static int want_passwd(void *context)
{
	struct engine *g = context;

	return may_ask(g) ? answered(g, ask_passwd(g->start->ask)) : -EAGAIN;
}

static int want_services(void *context)
{
	struct engine *g = context;

	return may_ask(g) ? answered(g, ask_services(g->start->ask)) : -EAGAIN;
}

static int want_package_state(void *context)
{
	struct engine *g = context;

	return may_ask(g) ? answered(g, ask_package_state(g->start->ask)) : -EAGAIN;
}

static bool want_packages(void *context)
{
	struct engine *g = context;

	return helped_packages(&g->helped, g->now_ns);
}

static bool want_host_name(void *context, const struct ks_address *a)
{
	struct engine *g = context;

	return helped_host_name(&g->helped, a, g->now_ns);
}

static bool want_login(void *context, uint32_t session_id, uint32_t login_uid)
{
	struct engine *g = context;

	return helped_login(&g->helped, session_id, login_uid, g->now_ns);
}

static void want_watch(void *context, uint32_t tgid, uint64_t start_ns)
{
	struct engine *g = context;

	if (may_ask(g))
		answered(g, ask_watch_filesystem(g->start->ask, tgid, start_ns));
}

static void collect_pins(void *context)
{
	struct engine *g = context;
	uint32_t tgid;
	int file, r;

	if (g->exec_watch.watch < 0)
		return;
	while ((r = exec_watch_next(&g->exec_watch, &file, &tgid)) != 0) {
		if (r > 0)
			enrich_pin_take(g->enrich, file, tgid);
		else if (r == -EOVERFLOW)
			g->exec_overflows++;
		else
			break;
	}
}

/* Made of files that are written, and of names that come and go. */
static const unsigned settings_records[] = { KS_CONFIG_KEY,     KS_CONFIG_VALUE,     KS_CONFIG_RENAME,
					     KS_TRIGGER_FILTER, KS_TRIGGER_CONSUMER, KS_TRIGGER_BINDING };

/* --- what the kernel side need not tell */

static bool drops_of_image(const struct engine *g, const struct event_type *type, const struct image *image)
{
	struct event ev = { .type = type };
	int at = event_field_index(type, "Image", 5);

	if (at < 0)
		at = event_field_index(type, "SourceImage", 11);
	if (at < 0)
		return false;
	ev.values[at].text = image_path(image);
	ev.values[at].length = image->path_length;
	return ruleset_drops_all(g->rules, &ev, FIELD_BIT((unsigned)at));
}

static bool drops_settings(const struct engine *g, const struct image *image)
{
	for (size_t i = 0; i < ARRAY_SIZE(settings_records); i++) {
		const struct event_type *type = event_type_by_record(settings_records[i]);

		if (ruleset_wants(g->rules, type) && !drops_of_image(g, type, image))
			return false;
	}
	return true;
}

/* Every other event names a process. */
#define ALWAYS_PRODUCED (1ull << KS_PROCESS_CREATE | 1ull << KS_PROCESS_TERMINATE)

/* The types of which the rules keep nothing that a process with this image does, and those that nobody wants at all. */
static uint64_t never_of_image(struct engine *g, const struct image *image)
{
	uint64_t never = 0;

	for (unsigned i = 0; i < EVENT_TYPE_COUNT; i++)
		if ((g->wanted & ~ALWAYS_PRODUCED) >> event_types[i].record & 1 &&
		    drops_of_image(g, &event_types[i], image))
			never |= 1ull << event_types[i].record;
	/* A deletion that is told may become one that is archived. */
	if (g->wants[KS_FILE_DELETE] && !(never >> KS_FILE_DELETE & 1))
		never &= ~(1ull << KS_FILE_DELETE_DETECTED);
	if (!never)
		return 0;
	if (drops_settings(g, image))
		never |= KS_DROP_NAMES;
	/* Hooks that tell several types must see that nobody wants the others either. */
	return never | ~g->wanted;
}

/* The same programs run again and again. */
static uint64_t never_of_path(struct engine *g, const struct image *image)
{
	struct never_of_path *known;
	uint32_t hash = 2166136261u;

	if (image->path_length > sizeof(known->path))
		return never_of_image(g, image);
	for (uint32_t i = 0; i < image->path_length; i++)
		hash = (hash ^ (uint8_t)image_path(image)[i]) * 16777619u;
	known = &g->never[hash % ARRAY_SIZE(g->never)];
	if (known->judged_by != g->rules_number || known->length != image->path_length ||
	    memcmp(known->path, image_path(image), image->path_length) != 0) {
		known->never = never_of_image(g, image);
		known->judged_by = g->rules_number;
		known->length = image->path_length;
		memcpy(known->path, image_path(image), image->path_length);
	}
	return known->never;
}

/* A process runs this image: what the rules drop of it whatever it does is not produced any more. */
static void image_runs(void *context, const struct process *p)
{
	struct engine *g = context;
	struct image *image = p->now.image;

	if (!g->rules || !image || !image->path_length)
		return;
	if (image->judged_by != g->rules_number) {
		image->never = never_of_path(g, image);
		image->judged_by = g->rules_number;
	}
	drops_tell(g->drops, p->tgid, p->start_ns, p->now.exec_id, image->never);
}

static void tell_port(struct engine *g, unsigned at, uint16_t port,
		      void (*tell)(struct drops *d, uint16_t port))
{
	struct event ev = { .type = event_type_by_record(KS_NETWORK_CONNECT) };

	ev.values[at].number = port;
	if (ruleset_drops_all(g->rules, &ev, FIELD_BIT(at)))
		tell(g->drops, port);
}

static void tell_source_port(void *context, uint16_t port)
{
	const struct event_type *type = event_type_by_record(KS_NETWORK_CONNECT);

	tell_port(context, (unsigned)event_field_index(type, "SourcePort", 10), port, drops_tell_source_port);
}

static void tell_destination_port(void *context, uint16_t port)
{
	const struct event_type *type = event_type_by_record(KS_NETWORK_CONNECT);

	tell_port(context, (unsigned)event_field_index(type, "DestinationPort", 15), port,
		  drops_tell_destination_port);
}

/* New rules are in force: of all that runs it is asked anew. */
static void tell_drops(struct engine *g)
{
	const struct event_type *type = event_type_by_record(KS_NETWORK_CONNECT);

	g->rules_number++;
	ruleset_numbers_of_field(g->rules, type, (unsigned)event_field_index(type, "SourcePort", 10),
				 tell_source_port, g);
	ruleset_numbers_of_field(g->rules, type, (unsigned)event_field_index(type, "DestinationPort", 15),
				 tell_destination_port, g);
	enrich_each_process(g->enrich, image_runs, g);
}

/* --- the processes that were there first */

static void take_rows(struct engine *g, const uint8_t *rows, size_t n,
		      void (*take)(struct enrich *, const struct ks_hdr *))
{
	while (n >= sizeof(struct ks_hdr)) {
		const struct ks_hdr *row = (const void *)rows;

		if (record_check(row, n) < 0 || row->type != KS_PROCESS_ALIVE)
			break;
		take(g->enrich, row);
		rows += row->size;
		n -= row->size;
	}
}

#define SNAPSHOT_MAX (64u << 20)

/* Reads all of a descriptor, at most max bytes. The buffer is the caller's. */
static int read_all(int fd, size_t max, uint8_t **ret, size_t *length)
{
	OWNED_HEAP uint8_t *bytes = NULL;
	size_t room = 0, used = 0;
	ssize_t n;

	do {
		if (used == room) {
			uint8_t *bigger = room < max ? realloc(bytes, room ? 2 * room : 65536) : NULL;

			if (!bigger)
				return room < max ? -ENOMEM : -EFBIG;
			bytes = bigger;
			room = room ? 2 * room : 65536;
		}
		n = read(fd, bytes + used, room - used);
		if (n > 0)
			used += (size_t)n;
	} while (n > 0 || (n < 0 && (errno == EINTR || errno == EAGAIN)));
	if (n < 0)
		return -errno;
	*ret = MOVE(bytes);
	*length = used;
	return 0;
}

static void take_snapshot(struct engine *g)
{
	OWNED_FD fd = may_ask(g) ? answered(g, ask_snapshot(g->start->ask)) : -1;
	OWNED_HEAP uint8_t *rows = NULL;
	size_t n;

	g->snapshot_ns = clock_ns(CLOCK_BOOTTIME);
	if (fd < 0 || read_all(fd, SNAPSHOT_MAX, &rows, &n) < 0)
		return;
	take_rows(g, rows, n, enrich_snapshot_row);
	take_rows(g, rows, n, enrich_snapshot_parent);
}

/* --- one event */

/* What may be the last that is seen of this machine goes to the disk at once, not within a second: the state of the
 * service, its rules, errors, kernel modules, BPF programs; and what is done to one of our processes. */
static const struct {
	unsigned id;
	const char *victim; /* field with a process number; NULL: whoever it is */
} critical[] = {
	{ 4, NULL }, { 6, NULL }, { 16, NULL }, { 100, NULL }, { 255, NULL },
	{ 5, "ProcessId" }, { 8, "TargetProcessId" }, { 10, "TargetProcessId" },
};

static bool is_ours(const struct engine *g, const struct event *ev, const char *field)
{
	int index = event_field_index(ev->type, field, strlen(field));

	return index >= 0 && enrich_is_of_family(g->enrich, (uint32_t)ev->values[index].number, (uint32_t)getppid());
}

static bool is_critical(const struct engine *g, const struct event *ev)
{
	for (size_t i = 0; i < ARRAY_SIZE(critical); i++)
		if (ev->type->id == critical[i].id)
			return !critical[i].victim || is_ours(g, ev, critical[i].victim);
	return false;
}

static void log_event(struct engine *g, const struct event *ev)
{
	uint64_t id;

	if (log_append(g->log, ev, &id) < 0) {
		g->tally.refused[ev->type->record]++;
		g->log_failing = true;
		return;
	}
	g->tally.logged[ev->type->record]++;
	g->commit_now = g->commit_now || is_critical(g, ev);
}

/* Asks the rules; a name they give is put in, and what they drop is counted. */
static bool is_kept(struct engine *g, struct event *ev)
{
	const char *name;

	if (!ruleset_keeps(g->rules, ev, &name)) {
		g->tally.filtered[ev->type->record]++;
		return false;
	}
	ev->values[0].text = name;
	ev->values[0].length = (uint32_t)strlen(name);
	return true;
}

static void log_kept(struct engine *g, struct event *ev, struct arena *arena)
{
	ruleset_shorten(g->rules, ev, arena);
	log_event(g, ev);
}

static void judge(struct engine *g, struct event *ev, struct arena *arena)
{
	if (is_kept(g, ev))
		log_kept(g, ev, arena);
}

static bool take_deleted(struct engine *g, const struct ks_rec_FILE_DELETE_DETECTED *rec, int file);
static void drain_written(struct engine *g, unsigned max);
static void drain(struct engine *g, unsigned max);
static void take_held(struct engine *g, const struct ks_rec_FILE_HELD *rec);
static void take_blocked_write(struct engine *g, const struct ks_rec_FILE_BLOCK_SHREDDING *rec);

/* A setting that is a file has changed, as the helper says: a record that is produced here. */
static void take_derived(void *context, const struct ks_hdr *rec);

/* Not everybody may read all of them, so the monitor opens it. Its path is told beside, as it was then. */
static int open_setting(struct engine *g, const struct ks_hdr *rec, struct ks_text path)
{
	return may_ask(g) ? answered(g, ask_setting_file(g->start->ask, record_text(rec, path), path.len)) : -1;
}

static bool is_setting(const struct ks_hdr *rec, struct ks_text path)
{
	return settings_is_watched(record_text(rec, path), path.len);
}

/* What is written is told when it is closed; what gets its name as a whole is told now. */
static void note_setting_came(struct engine *g, const struct ks_rec_FILE_CREATE *rec)
{
	const struct changes_out out = { g, take_derived };
	const struct ks_hdr *hdr = &rec->hdr;
	struct ks_text to = rec->TargetFilename, from = rec->from;

	if (rec->how == KS_HOW_RENAME && is_setting(hdr, from)) {
		if (is_setting(hdr, to))
			changes_renamed(g->changes, record_text(hdr, from), from.len, record_text(hdr, to), to.len,
					&hdr->who, hdr->time_ns, &out);
		else
			changes_deleted(g->changes, record_text(hdr, from), from.len, &hdr->who, hdr->time_ns, &out);
	}
	if ((rec->how == KS_HOW_RENAME || rec->how == KS_HOW_LINK) && is_setting(hdr, to) &&
	    !changes_touched_take(g->changes, open_setting(g, hdr, to), record_text(hdr, to), to.len, &hdr->who,
				  hdr->time_ns))
		g->settings_lost++;
}

static void note_setting_went(struct engine *g, const struct ks_rec_FILE_DELETE_DETECTED *rec)
{
	const struct changes_out out = { g, take_derived };
	struct ks_text path = rec->TargetFilename;

	if (rec->how == KS_HOW_UNLINK && is_setting(&rec->hdr, path))
		changes_deleted(g->changes, record_text(&rec->hdr, path), path.len, &rec->hdr.who, rec->hdr.time_ns,
				&out);
}

static void take_record(struct engine *g, const struct ks_hdr *rec)
{
	struct arena *arena = &g->arenas[g->depth];
	struct event ev;
	bool own;

	if (rec->type == KS_FILE_HELD) {
		take_held(g, (const void *)rec);
		g->tally.absorbed[rec->type]++;
		return;
	}
	if (rec->type == KS_FILE_BLOCK_SHREDDING) {
		take_blocked_write(g, (const void *)rec);
		return;
	}
	/* What is archived is not told of as merely deleted. */
	if (rec->type == KS_FILE_DELETE_DETECTED && g->wants[KS_FILE_DELETE]) {
		const struct ks_rec_FILE_DELETE_DETECTED *deleted = (const void *)rec;

		drain_written(g, UINT32_MAX);
		if (take_deleted(g, deleted, pins_take(&deleted->file))) {
			g->tally.filtered[rec->type]++;
			return;
		}
	}
	arena_reset(arena);
	/* A helper that did its task: two events for each question would be a noise of our own making. */
	own = enrich_is_end_of_child(g->enrich, rec, g->supervisor);
	if (!enrich_record(g->enrich, rec, arena, &ev))
		g->tally.absorbed[rec->type]++;
	else if (own)
		g->tally.filtered[rec->type]++;
	else
		judge(g, &ev, arena);
	if (g->settings_wanted && rec->type == KS_FILE_CREATE)
		note_setting_came(g, (const void *)rec);
	else if (g->settings_wanted && rec->type == KS_FILE_DELETE_DETECTED)
		note_setting_went(g, (const void *)rec);
}

static void take_derived(void *context, const struct ks_hdr *rec)
{
	struct engine *g = context;

	g->tally.made[rec->type]++;
	take_record(g, rec);
}

/* A look-up of a name has come to its end. */
static void take_lookup(void *context, const struct ks_hdr *lookup)
{
	take_record(context, lookup);
}

/* What was seen on the network is a look-up only with its answer; what comes of it takes the way of all records. */
static void take_packet(struct engine *g, const struct ks_rec_DNS_PACKET *packet)
{
	struct dns_tally before, after;

	dns_tally(g->dns, &before);
	dns_take(g->dns, packet);
	dns_tally(g->dns, &after);
	g->tally.made[KS_DNS_QUERY] += after.opened - before.opened;
	g->tally.absorbed[KS_DNS_PACKET]++;
}

/* The record in hand names a process nobody has told of yet: read on in the process ring, where whatever
 * introduced it must wait, since it was submitted first. When nothing is there, the introduction was lost
 * or came before us: look at what runs, once a second at most. */
static void catch_up(void *context)
{
	struct engine *g = context;
	const struct ks_hdr *rec;
	unsigned count = 0;

	if (g->depth == 1)
		return;
	g->depth = 1;
	while ((rec = rings_next_process(g->rings))) {
		take_record(g, rec);
		count++;
	}
	g->depth = 0;
	if (count == 0 && g->now_ns > g->snapshot_ns + SECOND_NS)
		take_snapshot(g);
}

/* --- deleted files that are kept */

static int copy_into_archive(struct engine *g, int file, int store, const char *folder, const char *path,
			     size_t length)
{
	char digest[DIGEST_TEXT], extension[17];
	int r = hashes_copy(g->hashes, file, store, ARCHIVED_FILE_MAX, digest);

	if (r < 0)
		return r;
	extension_of(path, length, extension);
	return answered(g, ask_keep(g->start->ask, store, folder, digest, extension));
}

static int archive(struct engine *g, int file, const char *path, size_t length)
{
	const char *folder = ruleset_archive_directory(g->rules);
	OWNED_FD store = -1;
	struct stat st;

	if (file < 0)
		return -ENODATA;
	if (fstat(file, &st) < 0)
		return -errno;
	if (st.st_size > ARCHIVED_FILE_MAX)
		return -EFBIG;
	if (!may_ask(g))
		return -ETIMEDOUT;
	store = answered(g, ask_store(g->start->ask, file, folder, (uint64_t)st.st_size));
	return store < 0 ? store : copy_into_archive(g, file, store, folder, path, length);
}

static void tell_archived(struct engine *g, struct event *ev, int result)
{
	int index = event_field_index(ev->type, "Archived", 8);

	ev->values[index].text = result == 0 ? "true" : "false";
	ev->values[index].length = result == 0 ? 4 : 5;
	/* Too large, or not at hand: that is no trouble, and the event says what became of it. */
	if (result < 0 && result != -ENODATA && result != -EFBIG) {
		g->archive_failures++;
		g->archive_error = -result;
	}
}

/* A file that has other names may be deleted again; it may be already, when the record of that is on its way. (The
 * number of names is the one before on full kernels: there a deleted file is held until it is swept.) */
static void let_go(struct engine *g, int file, const struct ks_file_id *id)
{
	if (file < 0)
		return;
	if (id->nlink > 0)
		pins_put_take(file, id, g->now_ns);
	else
		close(file);
}

/* The record of a deletion as event 23. file: what was deleted, taken over; -1: not at hand. False: no rule of that
 * event wants it. */
static bool take_deleted(struct engine *g, const struct ks_rec_FILE_DELETE_DETECTED *deleted, int file)
{
	static uint8_t room[KS_RECORD_MAX] __attribute__((aligned(8)));
	struct ks_rec_FILE_DELETE *rec = (void *)room;
	struct arena *arena = &g->arenas[0];
	struct event ev;
	bool kept;

	_Static_assert(sizeof(*rec) == sizeof(*deleted), "the one is made of the other");
	memcpy(room, deleted, deleted->hdr.size);
	rec->hdr.type = KS_FILE_DELETE;
	g->tally.made[KS_FILE_DELETE]++;
	arena_reset(arena);
	enrich_content(g->enrich, &rec->hdr, file, arena, &ev);
	kept = is_kept(g, &ev);
	if (kept) {
		tell_archived(g, &ev, archive(g, file, (const char *)rec + rec->TargetFilename.off,
					      rec->TargetFilename.len));
		log_kept(g, &ev, arena);
	}
	let_go(g, file, &rec->file);
	return kept;
}

/* --- clipboards */

/* It lies in memory only: where the log is, there it is archived. */
static int archive_text(struct engine *g, int text)
{
	static const char name[] = "x.clip";
	const char *folder = ruleset_archive_directory(g->rules);
	OWNED_FD store = -1;

	if (!may_ask(g))
		return -ETIMEDOUT;
	store = answered(g, ask_store(g->start->ask, g->start->log, folder, CLIPBOARD_TEXT_MAX));
	return store < 0 ? store : copy_into_archive(g, text, store, folder, name, strlen(name));
}

/* The number of the process is what the X server says. It is believed only of a process of the user whose server it is. */
static void take_clipboard(void *context, const struct body_clipboard *said, int text)
{
	struct engine *g = context;
	struct arena *arena = &g->arenas[0];
	struct ks_rec_CLIPBOARD rec = {
		.hdr = { .type = KS_CLIPBOARD, .size = sizeof(rec), .time_ns = g->now_ns },
		.Session = said->display,
	};
	int seals = fcntl(text, F_GET_SEALS);
	struct event ev;

	if (!g->wants[KS_CLIPBOARD] || seals < 0 || !(seals & F_SEAL_WRITE))
		return;
	if (!said->tgid || !enrich_who(g->enrich, said->tgid, clock_ns(CLOCK_REALTIME), &rec.hdr.who) ||
	    rec.hdr.who.uid != said->uid)
		rec.hdr.who = (struct ks_who){ .uid = said->uid };
	g->tally.made[KS_CLIPBOARD]++;
	arena_reset(arena);
	if (!enrich_content(g->enrich, &rec.hdr, text, arena, &ev) || !is_kept(g, &ev))
		return;
	tell_archived(g, &ev, archive_text(g, text));
	log_kept(g, &ev, arena);
}

/* --- what waits for a word of ours */

static bool may_concern(struct engine *g, unsigned id, const char *path, size_t n)
{
	static char text[4 * KS_PATH_MAX];

	return ruleset_could_keep(g->rules, event_type_by_id(id), "TargetFilename", text,
				  text_from_bytes(path, n, text, sizeof(text), NULL));
}

static int open_held(struct engine *g, const struct ks_rec_FILE_HELD *rec)
{
	if (file_can_hang(&rec->file) || !may_ask(g))
		return -1;
	return answered(g, ask_file(g->start->ask, &rec->hdr.who, &rec->file, record_text(&rec->hdr, rec->path),
				    rec->path.len));
}

/* Would a rule have this file saved from being overwritten? All fields are as the event will have them. */
static uint32_t judge_write(struct engine *g, const struct ks_rec_FILE_HELD *held, int file)
{
	static uint8_t room[KS_RECORD_MAX] __attribute__((aligned(8)));
	struct ks_rec_FILE_BLOCK_SHREDDING *rec = (void *)room;
	struct arena *arena = &g->arenas[1];
	const char *name;
	struct event ev;

	*rec = (struct ks_rec_FILE_BLOCK_SHREDDING){
		.hdr = held->hdr,
		.TargetFilename = { sizeof(*rec), held->path.len },
		.file = held->file,
	};
	rec->hdr.type = KS_FILE_BLOCK_SHREDDING;
	rec->hdr.size = (uint32_t)sizeof(*rec) + held->path.len;
	memcpy(rec + 1, record_text(&held->hdr, held->path), held->path.len);
	arena_reset(arena);
	enrich_content(g->enrich, &rec->hdr, file, arena, &ev);
	return ruleset_keeps(g->rules, &ev, &name) ? KS_VERDICT_DENY : KS_VERDICT_GO;
}

/* A process waits: first whether this can concern any rule, then the file, which is held until the record of what
 * came of it is here. */
static void take_held(struct engine *g, const struct ks_rec_FILE_HELD *rec)
{
	unsigned id = rec->what == KS_HELD_WRITE ? 28 : 23;
	uint32_t verdict = KS_VERDICT_GO;

	if (may_concern(g, id, record_text(&rec->hdr, rec->path), rec->path.len)) {
		int file = open_held(g, rec);

		if (rec->what == KS_HELD_WRITE)
			verdict = judge_write(g, rec, file);
		if (file >= 0)
			pins_put_take(file, &rec->file, g->now_ns);
	}
	__atomic_store_n(&g->verdicts[rec->ticket % KS_VERDICTS], rec->ticket << 2 | verdict, __ATOMIC_RELEASE);
}

static void take_blocked_write(struct engine *g, const struct ks_rec_FILE_BLOCK_SHREDDING *rec)
{
	struct arena *arena = &g->arenas[g->depth];
	OWNED_FD file = pins_take(&rec->file);
	struct event ev;

	arena_reset(arena);
	if (enrich_content(g->enrich, &rec->hdr, file, arena, &ev))
		judge(g, &ev, arena);
}

/* --- what was written */

/* What the engine knows of an executable that was written, besides the file itself. */
struct found {
	struct ks_who who;
	uint64_t time_ns;
	char path[KS_PATH_MAX];
	uint32_t length;
	bool deleted;
};

/* An event that is made here is counted here. True: the rules keep it, and *ev is ready to be logged. */
static bool make_event(struct engine *g, uint16_t type, const struct written *w, const struct found *f,
		       struct event *ev)
{
	static uint8_t room[CONTENT_RECORD_MAX] __attribute__((aligned(8)));
	const struct ks_hdr *rec = written_record(type, w, &f->who, f->time_ns, f->path, f->length, room);

	g->tally.made[type]++;
	arena_reset(&g->arenas[0]);
	return enrich_content(g->enrich, rec, w->file, &g->arenas[0], ev) && is_kept(g, ev);
}

/* A file that we remove is deleted too: a rule may want it archived. */
static void keep_blocked(struct engine *g, const struct written *w, const struct found *f)
{
	static uint8_t room[sizeof(struct ks_rec_FILE_DELETE_DETECTED) + KS_PATH_MAX] __attribute__((aligned(8)));
	struct ks_rec_FILE_DELETE_DETECTED *rec = (void *)room;

	*rec = (struct ks_rec_FILE_DELETE_DETECTED){
		.hdr = { .type = KS_FILE_DELETE_DETECTED, .size = (uint32_t)sizeof(*rec) + f->length,
			 .time_ns = f->time_ns, .who = f->who },
		.TargetFilename = { sizeof(*rec), (uint16_t)f->length },
		.how = KS_HOW_UNLINK,
		.file = w->id,
	};
	memcpy(rec + 1, f->path, f->length);
	take_deleted(g, rec, fcntl(w->file, F_DUPFD_CLOEXEC, 0));
}

static void block(struct engine *g, const struct written *w, const struct found *f)
{
	struct event ev;
	int r;

	if (!make_event(g, KS_FILE_BLOCK_EXE, w, f, &ev))
		return;
	r = may_ask(g) ? answered(g, ask_block(g->start->ask, w->file, f->who.tgid, f->who.start_ns)) :
			 -ETIMEDOUT;
	if (r < 0 && !f->deleted) {
		g->block_failures++;
		g->block_error = -r;
	}
	log_kept(g, &ev, &g->arenas[0]);
	if (r == 0 && g->wants[KS_FILE_DELETE])
		keep_blocked(g, w, f);
}

/* A monitor that does not answer costs the name, not the event. */
static void find_out(struct engine *g, const struct written *w, struct found *f)
{
	/* Whoever wrote it was introduced before, on the ring of processes. */
	catch_up(g);
	enrich_who(g->enrich, w->tgid, w->changed_utc_ns, &f->who);
	f->time_ns = clock_ns(CLOCK_BOOTTIME);
	f->length = 0;
	f->deleted = false;
	if (may_ask(g) && answered(g, ask_path(g->start->ask, w->file, f->path, &f->length, &f->deleted)) < 0)
		f->length = 0;
}

static void take_written(struct engine *g, const struct written *w)
{
	static struct found f;
	struct event ev;
	bool executable = w->kind != NOT_EXECUTABLE &&
			  (g->wants[KS_FILE_EXE_DETECTED] || g->wants[KS_FILE_BLOCK_EXE]) &&
			  written_is_news(w, g->write_since_utc_ns);

	if (!executable && !g->wants[KS_FILE_DELETE])
		return;
	find_out(g, w, &f);
	if (executable && g->wants[KS_FILE_EXE_DETECTED] && make_event(g, KS_FILE_EXE_DETECTED, w, &f, &ev))
		log_kept(g, &ev, &g->arenas[0]);
	if (executable && g->wants[KS_FILE_BLOCK_EXE])
		block(g, w, &f);
	if (g->wants[KS_FILE_DELETE] && may_concern(g, 23, f.path, f.length)) {
		int copy = fcntl(w->file, F_DUPFD_CLOEXEC, 0);

		if (copy >= 0)
			pins_put_take(copy, &w->id, g->now_ns);
	}
}

static void drain_written(struct engine *g, unsigned max)
{
	struct written w;
	int r;

	while (max-- > 0 && g->write_watch.watch >= 0 && (r = written_next(&g->write_watch, &w)) != 0) {
		if (r == -EOVERFLOW)
			g->write_overflows++;
		if (r < 0)
			continue;
		if (w.tgid != (uint32_t)getpid())
			take_written(g, &w);
		close(w.file);
	}
}

static void log_own(struct engine *g, unsigned id, const char *const texts[])
{
	struct event ev;

	arena_reset(&g->arenas[1]);
	enrich_own(g->enrich, id, clock_ns(CLOCK_REALTIME), texts, &g->arenas[1], &ev);
	log_event(g, &ev);
}

static void log_state_change(struct engine *g, const char *state)
{
	log_own(g, 4, (const char *const[]){ state, KONSEKI_VERSION, RULESET_SCHEMA_VERSION });
}

static void log_error(struct engine *g, const char *component, const char *text)
{
	log_own(g, 255, (const char *const[]){ component, text });
}

/* --- loss is an event */

static const char *class_name(unsigned record)
{
	const struct event_type *type = event_type_by_record(record);

	if (type)
		return *type->tag ? type->tag : type->title;
	if (record == KS_DNS_PACKET)
		return "DnsPacket";
	return record == KS_PROCESS_FORK ? "ProcessFork" : record == KS_FILE_HELD ? "FileHeld" : "ProcessSnapshot";
}

static uint64_t lost(const struct engine *g, const struct rings_tally *t, unsigned record)
{
	return t->lost[record] + g->tally.refused[record];
}

/* What a rule asked for and could not be done: how often, and why the latest time. */
static void declare_failures(struct engine *g, uint64_t *count, int error, const char *component,
			     const char *what)
{
	char text[200];

	if (*count == 0)
		return;
	snprintf(text, sizeof(text), "%lu %s: %s", *count, what, strerror(error));
	*count = 0;
	log_error(g, component, text);
}

/* Reports what was lost since the latest report, with class, number and time span. */
static void declare_losses(struct engine *g)
{
	char text[2048] = "Events dropped from driver queue:", from[24], to[24];
	size_t n = strlen(text);
	struct rings_tally t;
	bool any = false;

	rings_tally(g->rings, &t);
	for (unsigned i = 1; i < KS_RECORD_COUNT; i++) {
		uint64_t fresh = lost(g, &t, i) - g->tally.declared[i];

		if (fresh == 0 || n > sizeof(text) - 200)
			continue;
		n += (size_t)snprintf(text + n, sizeof(text) - n, " %s:%lu", class_name(i), fresh);
		any = true;
	}
	if (t.corrupt > g->corrupt_declared) {
		n += (size_t)snprintf(text + n, sizeof(text) - n, " unreadable:%lu",
				      t.corrupt - g->corrupt_declared);
		any = true;
	}
	if (any) {
		utc_text(enrich_utc(g->enrich, g->loss_since_ns), from);
		utc_text(enrich_utc(g->enrich, g->now_ns), to);
		snprintf(text + n, sizeof(text) - n, " between %s and %s", from, to);
		g->log_failing = false;
		log_error(g, "QUEUE", text);
	}
	/* Told of only when the log took the report: else it is tried again in a second. */
	if (any && !g->log_failing) {
		for (unsigned i = 1; i < KS_RECORD_COUNT; i++)
			g->tally.declared[i] = lost(g, &t, i);
		g->corrupt_declared = t.corrupt;
	}
	if (!any || !g->log_failing)
		g->loss_since_ns = g->now_ns;
	if (g->exec_overflows > g->exec_overflows_declared) {
		log_error(g, "HASH", "Executed files were not held for hashing: number unknown");
		g->exec_overflows_declared = g->exec_overflows;
	}
	if (g->write_overflows > g->write_overflows_declared) {
		log_error(g, "CONTENT", "Written files could not be looked at: number unknown");
		g->write_overflows_declared = g->write_overflows;
	}
	declare_failures(g, &g->archive_failures, g->archive_error, "ARCHIVE", "deleted files could not be kept");
	declare_failures(g, &g->block_failures, g->block_error, "BLOCK",
			 "forbidden executables could not be removed (executing them is refused while we watch)");
}

/* A full disk does not stop the log, but it shortens what it remembers: that is told too, and again and again,
 * since what was told is overwritten like the rest. */
static void declare_disk(struct engine *g)
{
	bool full = log_disk_full(g->log);

	if (full == g->disk_full && (!full || g->now_ns - g->disk_full_ns < MINUTE_NS))
		return;
	g->disk_full = full;
	g->disk_full_ns = g->now_ns;
	log_error(g, "LOG", full ? "The disk is full: the log cannot grow and overwrites its oldest records"
				 : "The disk has room again: the log grows");
}

/* --- the log and its file
 * The monitor hands files; the log gets copies of the descriptors, so that it can be opened again. */

static int copy_fd(int fd)
{
	return fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 0);
}

static int open_log(struct engine *g, struct err *e)
{
	const struct engine_start *s = g->start;
	struct log_options keeping = {
		.size_max = s->log_size_max,
		.keeps_all = s->log_archives,
		.next_id = g->tally.next_id,
		.who = { s->computer, (uint32_t)getpid(), (uint32_t)getpid(), 0 },
		.seal = { s->seal >= 0, copy_fd(s->seal), copy_fd(s->seal_key),
			  (uint32_t)(s->boot_epoch_ns / SECOND_NS) },
	};

	return log_open_take(copy_fd(s->log), &keeping, &g->log, e);
}

/* Into the log and, in case nobody can read it there, to whoever reads our standard error. */
static void tell_of_log(struct engine *g, const char *text)
{
	fprintf(stderr, "konseki: %s\n", text);
	log_error(g, "LOG", text);
}

/* What was sealed must be there: else somebody had his hands in it while nobody wrote. */
static void tell_what_is_missing(struct engine *g)
{
	struct log_state s;
	char text[200];

	log_state_get(g->log, &s);
	if (s.missing_last) {
		snprintf(text, sizeof(text), "The log lacks records %lu to %lu, which were sealed", s.missing_first,
			 s.missing_last);
		tell_of_log(g, text);
	}
	if (s.missing_seals) {
		snprintf(text, sizeof(text), "The end of the log was taken away: its latest %lu seals are missing",
			 s.missing_seals);
		tell_of_log(g, text);
	}
}

/* The file as it is now. The log that was open is given up only when the other one stands. */
static int open_again(struct engine *g, struct err *e)
{
	struct log *before = g->log;
	int r;

	log_flush(before, true);
	g->tally.next_id = g->kept->next_id = log_next_id(before);
	r = open_log(g, e);
	if (r < 0) {
		g->log = before;
		return r;
	}
	log_free(before);
	tell_what_is_missing(g);
	return 0;
}

/* Somebody wrote into the file or cut it: mended as after a crash, so that what follows can be read. */
static void mend_log(struct engine *g)
{
	struct err e = { 0 };

	if (open_again(g, &e) < 0)
		fprintf(stderr, "konseki: the log was changed by somebody else and cannot be mended: %s\n", e.text);
	else
		tell_of_log(g, "The log's file was changed by somebody else while it was open");
}

/* The monitor's answers: both or none. */
static int ask_for_files(struct engine *g, bool put_aside, int *log, int *seal)
{
	*seal = -1;
	*log = answered(g, ask_new_log(g->start->ask, put_aside));
	if (*log < 0 || g->start->seal < 0)
		return *log < 0 ? *log : 0;
	*seal = answered(g, ask_seals(g->start->ask));
	if (*seal < 0)
		fd_drop(log);
	return *seal < 0 ? *seal : 0;
}

/* Writes on in the other file; when that cannot be opened, in the one before. */
static int change_files(struct engine *g, int log, int seal, struct err *e)
{
	struct engine_start *s = g->start;
	int log_before = s->log, seal_before = s->seal;
	int r;

	s->log = log;
	s->seal = seal;
	r = open_again(g, e);
	if (r < 0) {
		s->log = log_before;
		s->seal = seal_before;
	}
	fd_drop(r < 0 ? &log : &log_before);
	fd_drop(r < 0 ? &seal : &seal_before);
	return r;
}

enum why { FULL, DELETED, UNWRITABLE };
static const struct {
	const char *text; /* of an event 255; NULL: that is no trouble */
	bool put_aside, close;
	uint64_t rest_ns; /* after a failure */
} new_file[] = {
	[FULL] = { NULL, true, true, MINUTE_NS },
	[DELETED] = { "The log's file was deleted: another one begins here", true, false, 10 * (uint64_t)SECOND_NS },
	[UNWRITABLE] = { "The log goes on in the file that has its name now", false, false, 10 * (uint64_t)SECOND_NS },
};

static void tell_unwritten(struct engine *g, uint64_t first, uint64_t last)
{
	char text[120];

	snprintf(text, sizeof(text), "Records %lu to %lu could not be written and are lost", first, last);
	tell_of_log(g, text);
}

static void begin_new_file(struct engine *g, enum why why)
{
	uint64_t written = log_synced_id(g->log), last = log_next_id(g->log) - 1;
	struct err e = { 0 };
	int log, seal, r;

	if (g->now_ns < g->new_log_rests_ns || !may_ask(g))
		return;
	g->new_log_rests_ns = g->now_ns + new_file[why].rest_ns;
	if (new_file[why].close && log_close(g->log, &e) < 0)
		fprintf(stderr, "konseki: closing the log: %s\n", e.text);
	r = ask_for_files(g, new_file[why].put_aside, &log, &seal);
	if (r == -EBUSY) /* there is no other */
		return;
	r = r < 0 ? err_set(&e, -r, "asking for a new file") : change_files(g, log, seal, &e);
	if (r < 0) {
		fprintf(stderr, "konseki: no new file for the log: %s\n", e.text);
		return;
	}
	g->new_log_rests_ns = g->now_ns + SECOND_NS;
	if (new_file[why].text)
		tell_of_log(g, new_file[why].text);
	if (why == UNWRITABLE && written < last)
		tell_unwritten(g, written + 1, last);
}

/* ": records up to 12 are kept in /PATH", and the path alone. */
static void tell_what_became(struct engine *g, int log_before, char *text, size_t size, char kept[KS_PATH_MAX + 1])
{
	uint32_t length = 0;
	bool deleted = false;
	int r = answered(g, ask_path(g->start->ask, log_before, kept, &length, &deleted));

	kept[r < 0 || deleted ? 0 : length] = 0;
	if (r == 0)
		snprintf(text, size, ": records up to %lu are %s%.400s", log_next_id(g->log) - 1,
			 deleted ? "deleted" : "kept in ", kept);
}

static int clear_file(struct engine *g, char *text, size_t size, char kept[KS_PATH_MAX + 1], struct err *e)
{
	int log, seal, r;

	if (!g->rules || !may_ask(g))
		return err_set(e, EBUSY, "konseki is just starting, or restarting");
	catch_up(g); /* whoever asked for it was introduced before */
	if (log_close(g->log, e) < 0)
		fprintf(stderr, "konseki: closing the log: %s\n", e->text);
	r = ask_for_files(g, true, &log, &seal);
	if (r < 0)
		return err_set(e, -r, "no new file for the log");
	tell_what_became(g, g->start->log, text, size, kept);
	return change_files(g, log, seal, e);
}

/* The first record of the new file says who wanted it. */
static void clear_log(struct engine *g, const struct order *o)
{
	char who[600], became[500] = "", text[1200], kept[KS_PATH_MAX + 1] = "";
	struct err e = { 0 };
	int r = o->begun ? 0 : clear_file(g, became, sizeof(became), kept, &e);

	if (r < 0) {
		order_answer_clear(g->start->orders, r, e.text);
		return;
	}
	enrich_describe(g->enrich, o->tgid, o->login_uid, who, sizeof(who));
	snprintf(text, sizeof(text), "The log was cleared by %s%s", who, became);
	tell_of_log(g, text);
	r = log_flush(g->log, true);
	order_answer_clear(g->start->orders, r, r < 0 ? strerror(-r) : kept);
}

static void look_after_file(struct engine *g)
{
	int r = log_file_check(g->log);

	if (r == -ENOENT)
		begin_new_file(g, DELETED);
	else if (g->write_error && g->now_ns - g->write_error_ns >= UNWRITABLE_NS)
		begin_new_file(g, UNWRITABLE);
	else if (r == -ESTALE)
		mend_log(g);
	else if (g->start->log_archives && log_is_nearly_full(g->log))
		begin_new_file(g, FULL);
}

/* A log that is overwritten too fast: somebody may be pushing out what he does not want to be seen. */
static void declare_span(struct engine *g)
{
	struct log_state s;
	uint64_t covers_s;
	char text[200];
	bool is_short;

	log_state_get(g->log, &s);
	if (g->now_ns - g->minute_ns >= MINUTE_NS) {
		g->per_minute = g->minute_id ? s.next_id - g->minute_id : 0;
		g->minute_id = s.next_id;
		g->minute_ns = g->now_ns;
	}
	covers_s = s.newest_utc_ns > s.oldest_utc_ns ? (s.newest_utc_ns - s.oldest_utc_ns) / SECOND_NS : 0;
	is_short = s.overwrites && s.oldest_utc_ns && covers_s < g->start->log_least_s;
	if (is_short && (!g->log_short || g->now_ns - g->log_short_ns >= 10 * MINUTE_NS)) {
		snprintf(text, sizeof(text),
			 "The log is full and covers only %lu s (should be %u s): its oldest events are overwritten",
			 covers_s, g->start->log_least_s);
		tell_of_log(g, text);
		g->log_short_ns = g->now_ns;
	}
	g->log_short = is_short;
}

/* --- orders */

static bool settings_wanted(const struct ruleset *rules)
{
	for (size_t i = 0; i < ARRAY_SIZE(settings_records); i++)
		if (ruleset_wants(rules, event_type_by_record(settings_records[i])))
			return true;
	return false;
}

static bool record_wanted(const struct ruleset *rules, unsigned record)
{
	const struct event_type *type = event_type_by_record(record);

	/* Processes are always needed: every other event names one. */
	if (!type || record == KS_PROCESS_CREATE || record == KS_PROCESS_TERMINATE)
		return true;
	/* Settings that are files come and go as files. */
	if ((record == KS_FILE_CREATE || record == KS_FILE_DELETE_DETECTED) && settings_wanted(rules))
		return true;
	return !type->later && ruleset_wants(rules, type);
}

static void mark_folders(struct engine *g)
{
	g->folders_marked_ns = g->now_ns;
	if (may_ask(g))
		answered(g, ask_folders(g->start->ask, g->settings_wanted));
}

/* Begins or ends to look at settings that are files. */
static void want_settings(struct engine *g)
{
	bool before = g->settings_wanted;

	g->settings_wanted = settings_wanted(g->rules) && g->folder_watch.watch >= 0;
	if (g->settings_wanted == before)
		return;
	mark_folders(g);
	if (g->settings_wanted)
		helped_survey(&g->helped, g->now_ns);
}

static void want_what_rules_can_keep(struct engine *g)
{
	bool wanted[KS_RECORD_COUNT];
	int r;

	for (unsigned i = 0; i < KS_RECORD_COUNT; i++)
		wanted[i] = record_wanted(g->rules, i);
	wanted[KS_DNS_PACKET] = wanted[KS_DNS_QUERY];
	if (!g->wants[KS_FILE_EXE_DETECTED] && !g->wants[KS_FILE_BLOCK_EXE])
		g->write_since_utc_ns = clock_ns(CLOCK_REALTIME) - SECOND_NS / 100;
	if (!wanted[KS_FILE_DELETE])
		pins_drop_all();
	memcpy(g->wants, wanted, sizeof(g->wants));
	/* The one is made of the other. */
	wanted[KS_FILE_DELETE_DETECTED] |= wanted[KS_FILE_DELETE];
	g->wanted = 0;
	for (unsigned i = 0; i < KS_RECORD_COUNT; i++)
		g->wanted |= (uint64_t)wanted[i] << i;
	wanted[KS_CONFIG_RENAME] = settings_wanted(g->rules);
	r = ask_want(g->start->ask, wanted);
	if (r < 0) {
		char text[120];

		snprintf(text, sizeof(text), "Not every configured event can be seen: %s",
			 strerror(-r));
		log_error(g, "SENSOR", text);
	}
}

static int load_rules(struct engine *g, const struct order *o, struct ruleset **ret, char *hash,
		      struct err *e)
{
	OWNED_HEAP uint8_t *bytes = NULL;
	size_t n;
	int r;

	snprintf(hash, HASH_TEXT_MAX, "-");
	if (o->fd < 0)
		return o->what == ORDER_DEFAULTS ? ruleset_default(ret, e) :
						   ruleset_everything(ret, e);
	r = read_all(o->fd, CONFIG_MAX, &bytes, &n);
	if (r < 0)
		return err_set(e, -r, "reading '%s'", o->name);
	r = ruleset_parse(o->name, bytes, n, ret, NULL, e);
	if (r < 0)
		return r;
	return hashes_of_bytes(g->hashes, HASH_SHA256, bytes, n, hash);
}

/* What happened before other rules came is judged by those of then; nothing waits for the helper any more. */
static void judge_what_waits(struct engine *g)
{
	g->changing_rules = true;
	drain(g, WAITING_MAX);
	drain_written(g, BATCH);
	g->changing_rules = false;
}

static void configure(struct engine *g, const struct order *o)
{
	bool first = !g->rules;
	char hash[HASH_TEXT_MAX];
	struct ruleset *rules;
	struct err e = { 0 };
	int r = load_rules(g, o, &rules, hash, &e);

	if (r < 0) {
		order_answer(g->start->orders, r, e.text);
		g->stopping = first; /* without rules nothing can be judged */
		return;
	}
	if (!first)
		judge_what_waits(g);
	/* What the new rules may keep must be produced before they judge. */
	drops_forget(g->drops);
	ruleset_free(g->rules);
	g->rules = rules;
	malloc_trim(0); /* making rules ready takes much more memory than keeping them */
	enrich_select_hashes(g->enrich, ruleset_hashes(rules));
	enrich_select_host_names(g->enrich, ruleset_dns_lookup(rules));
	snprintf(g->config_name, sizeof(g->config_name), "%s", o->name);
	snprintf(g->config_hash, sizeof(g->config_hash), "%s", hash);

	if (first && *g->start->gap)
		log_error(g, "RESTART", g->start->gap);
	if (first)
		tell_what_is_missing(g);
	if (!first || g->announce)
		log_own(g, 16, (const char *const[]){ o->name, hash });
	/* Answered only then: who changed the rules may rely on what they ask for being seen. */
	want_what_rules_can_keep(g);
	want_settings(g);
	tell_drops(g);
	if (first && g->announce)
		log_state_change(g, "Started");
	order_answer(g->start->orders, 0, "");
}

static void report(struct engine *g)
{
	struct engine_report r = { 0 };
	struct enrich_tally completed;
	struct dns_tally lookups;
	struct rings_tally t;

	rings_tally(g->rings, &t);
	enrich_tally(g->enrich, &completed);
	dns_tally(g->dns, &lookups);
	for (unsigned i = 1; i < KS_RECORD_COUNT; i++) {
		r.produced[i] = t.produced[i] + g->tally.made[i];
		r.filtered[i] = g->tally.filtered[i];
		r.logged[i] = g->tally.logged[i] + g->tally.absorbed[i];
		r.lost[i] = lost(g, &t, i);
		/* Our own events are produced here. */
		if (event_type_by_record(i) && event_type_by_record(i)->kept == DEFAULT_ALWAYS)
			r.produced[i] = r.logged[i] + r.lost[i];
	}
	r.corrupt = t.corrupt;
	r.path_unknown = t.path_unknown;
	r.spared = t.spared;
	r.missed = t.missed + lookups.crowded + lookups.broken;
	r.hashes_missing = completed.hashes_missing;
	r.processes = completed.processes;
	r.late = completed.late + g->settings_lost;
	log_state_get(g->log, &r.log);
	r.log_per_minute = g->per_minute;
	if (g->rules)
		snprintf(r.schema_version, sizeof(r.schema_version), "%s",
			 ruleset_schema_version(g->rules));
	snprintf(r.config_name, sizeof(r.config_name), "%s", g->config_name);
	snprintf(r.config_hash, sizeof(r.config_hash), "%.79s", g->config_hash);
	order_answer_status(g->start->orders, &r);
}

/* A disk that takes nothing: told outside of the log while it lasts, in it afterwards. */
static void watch_writing(struct engine *g, int r, bool synced)
{
	char text[250], from[24], to[24];

	/* What the cache has taken is not on the disk. */
	if (r == 0 && !synced)
		return;
	if (r < 0 && (!g->write_error || g->now_ns - g->write_told_ns >= MINUTE_NS)) {
		fprintf(stderr, "konseki: the log cannot be written: %s\n", strerror(-r));
		g->write_error_ns = g->write_error ? g->write_error_ns : g->now_ns;
		g->write_told_ns = g->now_ns;
	}
	if (r == 0 && g->write_error) {
		utc_text(enrich_utc(g->enrich, g->write_error_ns), from);
		utc_text(enrich_utc(g->enrich, g->now_ns), to);
		snprintf(text, sizeof(text), "The log could not be written between %s and %s: %s", from, to,
			 strerror(g->write_error));
		g->write_error = 0;
		tell_of_log(g, text);
		return;
	}
	g->write_error = -r;
}

/* What was read is in the file now: the rings may forget it, and a new engine must not count it again. An
 * engine killed before this point leaves its records in the rings, where the next one finds them. */
static void commit(struct engine *g, bool sync)
{
	int r = log_flush(g->log, false);

	rings_release(g->rings);
	g->tally.next_id = log_next_id(g->log);
	*g->kept = g->tally;
	/* The disk may take long; by now the next engine would find everything in its place. */
	if (sync && r == 0)
		r = log_flush(g->log, true);
	watch_writing(g, r, sync);
}

static void read_folder_watch(struct engine *g)
{
	uint32_t tgid;
	int file, r;

	while (g->settings_wanted && (r = exec_watch_next(&g->folder_watch, &file, &tgid)) != 0) {
		struct ks_who who;

		if (r == -EOVERFLOW)
			g->settings_lost++;
		if (r < 0)
			return;
		/* Whoever it was, its birth was put into the ring before. */
		enrich_who(g->enrich, tgid, enrich_utc(g->enrich, g->now_ns), &who);
		if (!changes_touched_take(g->changes, file, NULL, 0, &who, g->now_ns))
			g->settings_lost++;
	}
}

/* The rings are where the held record and all behind it wait: not for long, and not when they fill. */
static bool may_hold(const struct engine *g)
{
	return !g->stopping && !g->changing_rules &&
	       rings_backlog(g->rings, KS_RING_EVENTS) < g->start->ring_bytes[KS_RING_EVENTS] / 8 &&
	       rings_backlog(g->rings, KS_RING_PROCESS) < g->start->ring_bytes[KS_RING_PROCESS] / 4;
}

static void drain(struct engine *g, unsigned max)
{
	while (max-- > 0) {
		const struct ks_hdr *rec = rings_next(g->rings);

		g->holding = false;
		if (!rec)
			return;
		if (!enrich_ready(g->enrich, rec, g->now_ns, may_hold(g))) {
			rings_put_back(g->rings);
			g->holding = true;
			return;
		}
		if (rec->type == KS_DNS_PACKET)
			take_packet(g, (const struct ks_rec_DNS_PACKET *)rec);
		else
			take_record(g, rec);
	}
}

static int stop(struct engine *g)
{
	struct err e = { 0 };
	int r;

	/* The monitor detached the hooks first, so the rings have an end. */
	g->now_ns = clock_ns(CLOCK_BOOTTIME);
	if (g->rules) {
		drain(g, UINT32_MAX);
		dns_finish(g->dns);
		drain_written(g, 1u << 20); /* who writes on and on must not keep us */
		declare_losses(g);
		log_state_change(g, "Stopped");
	}
	commit(g, true);
	r = log_close(g->log, &e);
	if (r < 0)
		fprintf(stderr, "konseki: closing the log: %s\n", e.text);
	return r;
}

static void obey(struct engine *g)
{
	struct order o;
	int r;

	while ((r = order_receive(g->start->orders, &o)) != 0) {
		if (r == -EPIPE) {
			g->stopping = true;
			return;
		}
		if (r < 0)
			continue;
		switch (o.kind) {
		case ORDER_CONFIGURE:
			configure(g, &o);
			break;
		case ORDER_STATUS:
			report(g);
			break;
		case ORDER_CLEAR:
			clear_log(g, &o);
			break;
		case ORDER_NOTE:
			if (g->rules)
				log_error(g, "RESTART", o.name);
			break;
		case ORDER_RESIZE:
			g->start->log_size_max = o.size;
			log_resize(g->log, o.size, NULL);
			break;
		case ORDER_STOP:
			g->stopping = true;
			break;
		case ORDER_NONE:
			break;
		}
		if (o.fd >= 0)
			close(o.fd);
	}
}

/* --- the loop */

static void tick(struct engine *g)
{
	enrich_tick(g->enrich, g->now_ns, utc_of_boot_ns());
	if (g->rules)
		dns_tick(g->dns, g->now_ns);
	if (g->settings_wanted && g->now_ns - g->folders_marked_ns > FOLDERS_NS)
		mark_folders(g);
	declare_losses(g);
	declare_disk(g);
	pins_sweep(g->now_ns > PIN_REST_NS ? g->now_ns - PIN_REST_NS : 0);
	declare_span(g);
	look_after_file(g);
	g->ticked_ns = g->now_ns;
}

static bool is_record_waiting(const struct engine *g)
{
	return rings_backlog(g->rings, KS_RING_EVENTS) || rings_backlog(g->rings, KS_RING_PROCESS);
}

static void say_whether_asleep(struct engine *g, bool asleep)
{
	__atomic_store_n(&g->verdicts[KS_ENGINE_SLEEPS], asleep, __ATOMIC_SEQ_CST);
}

static int wait_for_something(struct engine *g, bool asleep)
{
	bool blocks = g->wants[KS_FILE_BLOCK_EXE]; /* what is to be removed is removed at once */
	struct epoll_event ignored[2];
	struct pollfd wake[4 + HELP_LANES] = {
		{ .fd = g->start->orders, .events = POLLIN },
		{ .fd = g->holding ? -1 : g->rings_wake, .events = POLLIN },
		{ .fd = asleep || blocks ? g->write_watch.watch : -1, .events = POLLIN },
		{ .fd = asleep ? g->folder_watch.watch : -1, .events = POLLIN },
	};
	int r;

	for (unsigned i = 0; i < HELP_LANES; i++)
		wake[4 + i] = (struct pollfd){ .fd = g->helped.lanes[i].busy ? g->helped.lanes[i].fd : -1,
					       .events = POLLIN };
	r = poll(wake, g->rules ? ARRAY_SIZE(wake) : 1, asleep && !is_record_waiting(g) ? SLEEP_MS : NAP_MS);
	epoll_wait(g->rings_wake, ignored, ARRAY_SIZE(ignored), 0);
	return r;
}

static void nap(struct engine *g)
{
	bool asleep = g->quiet_naps >= QUIET_NAPS && !g->holding;
	int woken;

	if (asleep)
		say_whether_asleep(g, true);
	woken = wait_for_something(g, asleep);
	if (asleep)
		say_whether_asleep(g, false);
	g->quiet_naps = woken || is_record_waiting(g) ? 0 : g->quiet_naps + 1;
}

static void run(struct engine *g)
{
	while (!g->stopping) {
		bool second;

		g->now_ns = clock_ns(CLOCK_BOOTTIME);
		second = g->now_ns - g->ticked_ns >= SECOND_NS;
		collect_pins(g);
		if (second)
			tick(g);
		if (g->rules) {
			drain(g, BATCH);
			drain_written(g, BATCH);
			read_folder_watch(g);
		}
		helped_read(&g->helped, g->enrich, g->changes, &(struct changes_out){ g, take_derived },
			    &(struct clipboard_hearer){ g, take_clipboard }, g->now_ns);
		if (g->wants[KS_CLIPBOARD] && !g->stopping)
			helped_watch_clipboards(&g->helped, g->now_ns);
		second = second || g->commit_now;
		g->commit_now = false;
		commit(g, second);
		obey(g);
		if (!g->stopping && (g->holding || !(rings_backlog(g->rings, KS_RING_EVENTS) && g->rules)))
			nap(g);
	}
}

/* What root can do on this machine, before the engine gives it up. */
static uint64_t own_capabilities(void)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2] = { 0 };

	if (syscall(SYS_capget, &header, data) < 0)
		return 0;
	return (uint64_t)data[1].effective << 32 | data[0].effective;
}

/* Look-ups that waited for their answer when the engine before us died have died with it. */
static void lose_what_waited(struct engine *g)
{
	struct engine_tally *t = &g->tally;

	/* Settings wait for nothing: what is made of them is judged at once. */
	if (t->made[KS_DNS_QUERY])
		t->refused[KS_DNS_QUERY] =
			t->made[KS_DNS_QUERY] - t->logged[KS_DNS_QUERY] - t->filtered[KS_DNS_QUERY];
}

/* Edge-triggered: they wake us when the kernel side says so. */
static int watch_rings(struct engine *g)
{
	struct epoll_event when = { .events = EPOLLIN | EPOLLET };

	g->rings_wake = epoll_create1(EPOLL_CLOEXEC);
	for (int i = 0; g->rings_wake >= 0 && i < 2; i++)
		if (epoll_ctl(g->rings_wake, EPOLL_CTL_ADD, g->start->ring[i], &when) < 0)
			return -errno;
	return g->rings_wake < 0 ? -errno : 0;
}

static int prepare(struct engine *g, struct err *e)
{
	struct engine_start *s = g->start;
	struct enrich_options completing = {
		.guid = { .boot_epoch_ns = s->boot_epoch_ns },
		.full_capabilities = own_capabilities(),
		.ask = { g, want_exe, want_mapped, want_library, want_cmdline, want_passwd, want_services,
			 want_watch, collect_pins, catch_up, want_packages, want_host_name, want_login,
			 want_package_state, want_content, image_runs },
	};
	struct dns_sink lookups = { g, take_lookup };
	struct rlimit files = { FILES_MAX, FILES_MAX };

	g->supervisor = (uint32_t)getppid();
	pins_init();
	setrlimit(RLIMIT_NOFILE, &files); /* with fewer, fewer files are held */
	memcpy(completing.guid.machine, s->machine, sizeof(s->machine));
	memcpy(completing.computer, s->computer, sizeof(s->computer));
	helped_init(&g->helped, s->help);
	g->exec_watch.watch = s->exec_watch;
	g->write_watch.watch = s->write_watch;
	g->folder_watch.watch = s->folder_watch;
	g->changes = changes_new();
	if (!g->changes)
		return err_set(e, ENOMEM, "settings");
	g->kept = mmap(NULL, ENGINE_MEMORY_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, s->memory, 0);
	if (g->kept == MAP_FAILED)
		return err_set(e, errno, "mapping the memory of engines");
	g->tally = *g->kept;
	lose_what_waited(g);
	g->verdicts = mmap(NULL, (KS_ENGINE_SLEEPS + 1) * sizeof(*g->verdicts), PROT_READ | PROT_WRITE, MAP_SHARED,
			   s->verdicts, 0);
	if (g->verdicts == MAP_FAILED)
		return err_set(e, errno, "mapping the table of verdicts");
	if (watch_rings(g) < 0)
		return err_set(e, errno, "waiting for the rings");
	for (unsigned i = 0; i < ARRAY_SIZE(g->arenas); i++)
		if (arena_init(&g->arenas[i], ARENA_SIZE) < 0)
			return err_set(e, ENOMEM, "arena");
	if (rings_map(s->ring, s->ring_bytes, s->counters, s->cpus, &g->rings, e) < 0 ||
	    drops_map(s->drops, &g->drops, e) < 0 ||
	    hashes_new(&g->hashes, e) < 0 || privilege_seal_engine(e) < 0 ||
	    open_log(g, e) < 0 || dns_new(&lookups, &g->dns, e) < 0 ||
	    enrich_new(&completing, &g->enrich, e) < 0)
		return -e->code;
	return 0;
}

static void done(struct engine *g)
{
	log_free(g->log);
	enrich_free(g->enrich);
	dns_free(g->dns);
	changes_free(g->changes);
	drops_free(g->drops);
	hashes_free(g->hashes);
	ruleset_free(g->rules);
	rings_free(g->rings);
	for (unsigned i = 0; i < ARRAY_SIZE(g->arenas); i++)
		arena_done(&g->arenas[i]);
	if (g->rings_wake >= 0)
		close(g->rings_wake);
}

int engine_main(struct engine_start *start)
{
	struct engine g = { .start = start, .announce = start->announce, .rings_wake = -1 };
	struct err e = { 0 };
	int r;

	/* Ctrl-C on the terminal reaches us too; whether and when we stop is the supervisor's to say. */
	signal(SIGINT, SIG_IGN);
	signal(SIGTERM, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN); /* a limit on the size of files is to the log what a full disk is */

	r = prepare(&g, &e);
	if (r < 0) {
		order_answer(start->orders, -ECANCELED, e.text);
		done(&g);
		return 1;
	}
	g.now_ns = g.loss_since_ns = clock_ns(CLOCK_BOOTTIME);
	tick(&g);
	take_snapshot(&g);
	run(&g);
	r = stop(&g);
	report(&g);
	done(&g);
	return r < 0;
}
