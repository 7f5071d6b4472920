/* SPDX-License-Identifier: MIT */
/* The engine's loop: rings -> enrich -> rules -> log. */
#include "engine.h"

#include <errno.h>
#include <linux/capability.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../base/clock.h"
#include "../collect/drops.h"
#include "../help/settings.h"
#include "engine_parts.h"
#include "host.h"
#include "pins.h"
#include "privilege.h"

/* Records are read by a timer, many at once; a ring that fills faster wakes us (bpf/lib/emit.bpf.h). After some naps in
 * which nothing happened we sleep until something does, or at most so long: a record that is made while we fall asleep
 * may take us for awake. */
#define NAP_MS     20
#define QUIET_NAPS 2
#define SLEEP_MS   250

#define BATCH       4096u     /* records between two looks at the clock and the orders */
#define SETTINGS_STOP_NS (2u * (uint64_t)SECOND_NS)
#define BATCH_SHORT 256u      /* while a setting waits: in each turn only one is looked at */
#define WAITING_MAX (1u << 19) /* records that the rings can hold, or so: who writes on and on must not keep us */
#define PIN_REST_NS (10u * (uint64_t)SECOND_NS) /* by then a deletion was told of */
#define NEW_NS      ((uint64_t)SECOND_NS) /* by then most of the files that were written for a moment are gone */
#define FILES_MAX   16384u /* descriptors; most of them hold files that may be deleted */
#define FOLDERS_NS  (30u * (uint64_t)SECOND_NS) /* between two looks for new folders of settings */

/* Text of one record in the written form (four bytes for one at worst) and of its parent. */
#define ARENA_SIZE (4u * KS_RECORD_MAX + 65536u)

void collect_pins(void *context)
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
int read_all(int fd, size_t max, uint8_t **ret, size_t *length)
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

static const struct {
	unsigned id;
	const char *victim; /* "": whoever it is */
} critical[] = {
#define CRITICAL(id, victim) { id, victim },
#include "../../schema/critical.def"
};

static bool is_ours(const struct engine *g, const struct event *ev, const char *field)
{
	int index = event_field_index(ev->type, field, strlen(field));

	return index >= 0 && enrich_is_of_family(g->enrich, (uint32_t)ev->values[index].number, g->supervisor);
}

static bool is_critical(const struct engine *g, const struct event *ev)
{
	for (size_t i = 0; i < ARRAY_SIZE(critical); i++)
		if (ev->type->id == critical[i].id)
			return !*critical[i].victim || is_ours(g, ev, critical[i].victim);
	return false;
}

void log_event(struct engine *g, const struct event *ev)
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
bool is_kept(struct engine *g, struct event *ev)
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

void log_kept(struct engine *g, struct event *ev, struct arena *arena)
{
	ruleset_shorten(g->rules, ev, arena);
	log_event(g, ev);
}

void judge(struct engine *g, struct event *ev, struct arena *arena)
{
	if (is_kept(g, ev))
		log_kept(g, ev, arena);
}

/* A setting that is a file has changed, as the helper says: a record that is produced here. */
static void take_derived(void *context, const struct ks_hdr *rec);

/* Not everybody may read all of them, so the monitor opens it. Its path is told beside, as it was then. */
static int open_setting(struct engine *g, const char *path, size_t n)
{
	return may_ask(g) ? answered(g, ask_setting_file(g->start->ask, path, n)) : -1;
}

static void look_at_setting(struct engine *g, const char *path, size_t n, const struct ks_who *who, uint64_t time_ns,
			    unsigned flags)
{
	if (!changes_touched_take(g->changes, open_setting(g, path, n), path, n, who, time_ns, flags))
		g->settings_lost++;
}

static bool is_setting(const struct ks_hdr *rec, struct ks_text path)
{
	return settings_is_watched(record_text(rec, path), path.len);
}

/* What is written is told when it is closed; what gets its name as a whole is told now. So is a symbolic link. */
static void note_setting_came(struct engine *g, const struct ks_hdr *hdr, struct ks_text to, struct ks_text from,
			      uint32_t how)
{
	const struct changes_out out = { g, take_derived };
	unsigned flags = how == KS_HOW_CREATE ? CHANGE_MADE : 0;
	bool whole = how == KS_HOW_RENAME || how == KS_HOW_LINK || hdr->type == KS_LINK_CHANGED;

	if (how == KS_HOW_RENAME && is_setting(hdr, from)) {
		if (is_setting(hdr, to))
			changes_renamed(g->changes, record_text(hdr, from), from.len, record_text(hdr, to), to.len,
					&hdr->who, hdr->time_ns, &out);
		else
			changes_deleted(g->changes, record_text(hdr, from), from.len, &hdr->who, hdr->time_ns, &out);
	}
	if (!is_setting(hdr, to))
		return;
	if (whole)
		look_at_setting(g, record_text(hdr, to), to.len, &hdr->who, hdr->time_ns, flags);
	else if (!changes_expect(g->changes, record_text(hdr, to), to.len, &hdr->who, hdr->time_ns, flags))
		g->settings_lost++;
}

static void note_setting_went(struct engine *g, const struct ks_hdr *hdr, struct ks_text path, uint32_t how)
{
	const struct changes_out out = { g, take_derived };

	if (how == KS_HOW_UNLINK && is_setting(hdr, path))
		changes_deleted(g->changes, record_text(hdr, path), path.len, &hdr->who, hdr->time_ns, &out);
}

static void note_setting(struct engine *g, const struct ks_hdr *rec)
{
	const struct ks_rec_FILE_DELETE_DETECTED *went = (const void *)rec;
	const struct ks_rec_FILE_CREATE *came = (const void *)rec;
	const struct ks_rec_LINK_CHANGED *link = (const void *)rec;

	if (rec->type == KS_FILE_CREATE)
		note_setting_came(g, rec, came->TargetFilename, came->from, came->how);
	else if (rec->type == KS_FILE_DELETE_DETECTED)
		note_setting_went(g, rec, went->TargetFilename, went->how);
	else if (link->how == KS_HOW_UNLINK || link->how == KS_HOW_REPLACE)
		note_setting_went(g, rec, link->path, link->how);
	else
		note_setting_came(g, rec, link->path, link->from, link->how);
}

/* Folders are watched from half a minute after they were made on, or since what was made in one was not told. */
static void look_for_what_was_not_told(struct engine *g)
{
	struct change change;
	bool any = false;

	while (changes_overdue_take(g->changes, g->now_ns, &change)) {
		look_at_setting(g, change.path, strlen(change.path), &change.who, change.time_ns, change.flags);
		free(change.path);
		any = true;
	}
	if (any)
		mark_folders(g);
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
	if (rec->type == KS_LINK_CHANGED) {
		if (g->settings_wanted)
			note_setting(g, rec);
		g->tally.absorbed[rec->type]++;
		return;
	}
	if (rec->type == KS_FILE_BLOCK_SHREDDING) {
		take_blocked_write(g, (const void *)rec);
		return;
	}
	if (rec->type == KS_FILE_DELETE_DETECTED && g->wants[KS_PROCESS_TAMPERING])
		enrich_file_gone(g->enrich, (const void *)rec, take_derived, g);
	/* What is archived is not told of as merely deleted. */
	if (rec->type == KS_FILE_DELETE_DETECTED && g->wants[KS_FILE_DELETE]) {
		const struct ks_rec_FILE_DELETE_DETECTED *deleted = (const void *)rec;

		if (take_deleted(g, deleted)) {
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
	if (g->settings_wanted && (rec->type == KS_FILE_CREATE || rec->type == KS_FILE_DELETE_DETECTED))
		note_setting(g, rec);
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
void catch_up(void *context)
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

/* What happened before other rules came is judged by those of then; nothing waits for the helper any more. */
void judge_what_waits(struct engine *g)
{
	g->changing_rules = true;
	drain(g, WAITING_MAX);
	drain_written(g, BATCH);
	g->changing_rules = false;
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

/* A file was closed after we had looked before, and what is in it was written at its last change. */
static uint64_t time_of_change(const struct engine *g, int file)
{
	uint64_t now_ns = clock_ns(CLOCK_BOOTTIME), changed_ns;
	struct stat st;

	if (fstat(file, &st) < 0)
		return now_ns;
	changed_ns = time_ns(st.st_ctim) - enrich_utc(g->enrich, 0);
	return changed_ns < g->folders_read_ns ? g->folders_read_ns : changed_ns < now_ns ? changed_ns : now_ns;
}

static void read_folder_watch(struct engine *g)
{
	uint64_t time_ns, began_ns = clock_ns(CLOCK_BOOTTIME);
	uint32_t tgid;
	int file, r;

	while (g->settings_wanted && (r = exec_watch_next(&g->folder_watch, &file, &tgid)) != 0) {
		struct ks_who who;

		if (r == -EOVERFLOW)
			g->settings_lost++;
		if (r < 0)
			return;
		/* Whoever it was, its birth was put into the ring before. */
		catch_up(g);
		time_ns = time_of_change(g, file);
		enrich_who(g->enrich, tgid, enrich_utc(g->enrich, time_ns), &who);
		time_ns = enrich_time_of(g->enrich, &who, time_ns);
		if (!changes_touched_take(g->changes, file, NULL, 0, &who, time_ns, 0))
			g->settings_lost++;
	}
	g->folders_read_ns = began_ns;
}

bool has_part_waiting(const struct engine *g, int ring, unsigned part)
{
	return rings_backlog(g->rings, ring) >= g->start->ring_bytes[ring] / part;
}

/* The rings are where the held record and all behind it wait: not for long, and not when they fill. */
static bool may_hold(const struct engine *g)
{
	return !g->stopping && !g->changing_rules && !has_part_waiting(g, KS_RING_EVENTS, 8) &&
	       !has_part_waiting(g, KS_RING_PROCESS, 4);
}

/* Reading files takes its time: who hears nothing of us for long must think that we hang, and what is told must be in
 * the log soon. */
#define TURN_NS ((uint64_t)SECOND_NS)

bool takes_long(const struct engine *g, uint64_t since_ns)
{
	return !g->stopping && !g->changing_rules && clock_ns(CLOCK_BOOTTIME) - since_ns > TURN_NS;
}

/* Does telling of it mean reading a file, which may be large? */
static bool reads_file(const struct engine *g, uint16_t type)
{
	switch (type) {
	case KS_PROCESS_CREATE:
	case KS_IMAGE_LOAD:
	case KS_DRIVER_LOAD: return true;
	case KS_FILE_DELETE_DETECTED: return g->wants[KS_FILE_DELETE];
	}
	return false;
}

void drain(struct engine *g, unsigned max)
{
	while (max-- > 0) {
		const struct ks_hdr *rec = rings_next(g->rings);
		bool may_last;

		g->holding = false;
		g->told_until_ns = rec ? rec->time_ns : g->now_ns;
		if (!rec)
			return;
		if (!enrich_ready(g->enrich, rec, g->now_ns, may_hold(g))) {
			rings_put_back(g->rings);
			g->holding = true;
			return;
		}
		may_last = reads_file(g, rec->type);
		if (rec->type == KS_DNS_PACKET)
			take_packet(g, (const struct ks_rec_DNS_PACKET *)rec);
		else
			take_record(g, rec);
		if (may_last && takes_long(g, g->now_ns))
			return;
	}
}

static void hear_helpers(struct engine *g)
{
	helped_read(&g->helped, g->enrich, g->changes, &(struct changes_out){ g, take_derived },
		    &(struct clipboard_hearer){ g, take_clipboard }, g->now_ns);
}

static struct pollfd answer_of(const struct helped_lane *lane)
{
	return (struct pollfd){ .fd = lane->busy ? lane->fd : -1, .events = POLLIN };
}

/* What was written before the end is told as well, unless its reader keeps us. */
static void finish_settings(struct engine *g)
{
	uint64_t until_ns = g->now_ns + SETTINGS_STOP_NS;

	read_folder_watch(g);
	while (changes_is_surveyed(g->changes) && changes_head(g->changes) && g->now_ns < until_ns) {
		struct pollfd wake[HELP_LANES];

		hear_helpers(g);
		for (unsigned i = 0; i < HELP_LANES; i++)
			wake[i] = answer_of(&g->helped.lanes[i]);
		poll(wake, HELP_LANES, NAP_MS);
		g->now_ns = clock_ns(CLOCK_BOOTTIME);
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
		finish_settings(g);
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
	if (g->settings_wanted)
		look_for_what_was_not_told(g);
	declare_losses(g);
	declare_disk(g);
	pins_sweep(g->told_until_ns > PIN_REST_NS ? g->told_until_ns - PIN_REST_NS : 0, g->now_ns);
	judge_new_files(g, g->now_ns - NEW_NS);
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
		wake[4 + i] = answer_of(&g->helped.lanes[i]);
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
			drain(g, changes_head(g->changes) ? BATCH_SHORT : BATCH);
			/* A ring has an end, the queue of written files has none. */
			drain_written(g, has_part_waiting(g, KS_RING_EVENTS, 8) ? BATCH_SHORT : BATCH);
			read_folder_watch(g);
		}
		hear_helpers(g);
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
		.context = s->context,
		.ask = engine_asks(g),
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
