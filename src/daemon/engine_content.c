/* SPDX-License-Identifier: MIT */
/* Files whose content matters: deleted ones that are kept, writes that wait for a word, executables that are written. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../base/clock.h"
#include "../base/text.h"
#include "../help/clipboard.h"
#include "content.h"
#include "engine_parts.h"
#include "pins.h"

#define ARCHIVED_FILE_MAX (1u << 30) /* larger ones take longer than everything else can wait */

/* --- deleted files that are kept */

static int copy_into_archive(struct engine *g, int file, int store, const char *folder, const char *path,
			     size_t length, char digest[DIGEST_TEXT])
{
	char extension[17];
	int r = hashes_copy(g->hashes, file, store, ARCHIVED_FILE_MAX, digest);

	if (r < 0)
		return r;
	extension_of(path, length, extension);
	return answered(g, ask_keep(g->start->ask, store, folder, digest, extension));
}

/* Holes are not stored, and must not push out what is. */
static uint64_t room_needed(const struct stat *st)
{
	uint64_t size = (uint64_t)st->st_size, stored = (uint64_t)st->st_blocks * 512;

	return stored < size ? stored : size;
}

static int archive(struct engine *g, int file, const char *path, size_t length, char digest[DIGEST_TEXT])
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
	/* Events are worth more than what is in one large file. */
	if (st.st_size > SMALL_FILE && (has_part_waiting(g, KS_RING_EVENTS, 2) || has_part_waiting(g, KS_RING_PROCESS, 2)))
		return -EBUSY;
	if (!may_ask(g))
		return -ETIMEDOUT;
	store = answered(g, ask_store(g->start->ask, file, folder, room_needed(&st)));
	return store < 0 ? store : copy_into_archive(g, file, store, folder, path, length, digest);
}

static void set_text(struct event *ev, const char *field, const char *text)
{
	int index = event_field_index(ev->type, field, strlen(field));

	ev->values[index].text = text;
	ev->values[index].length = (uint32_t)strlen(text);
}

static bool is_unknown(const struct value *v)
{
	return v->length == 1 && v->text[0] == '-';
}

/* Its digest is the name it has in the archive, so it is told also if it was too large to be read for digests before. */
static void tell_archived(struct engine *g, struct event *ev, int result, const char *digest)
{
	static char hashes[sizeof("SHA256=") + DIGEST_TEXT];

	set_text(ev, "Archived", result == 0 ? "true" : "false");
	if (result == 0 && is_unknown(&ev->values[event_field_index(ev->type, "Hashes", 6)])) {
		snprintf(hashes, sizeof(hashes), "SHA256=%s", digest);
		set_text(ev, "Hashes", hashes);
	}
	/* Too large, or not at hand: that is no trouble, and the event says what became of it. */
	if (result < 0 && result != -ENODATA && result != -EFBIG) {
		g->archive_failures++;
		g->archive_error = -result;
	}
}

static bool may_concern(struct engine *g, unsigned id, const char *path, size_t n)
{
	static char text[4 * KS_PATH_MAX];

	return ruleset_could_keep(g->rules, event_type_by_id(id), "TargetFilename", text,
				  text_from_bytes(path, n, text, sizeof(text), NULL));
}

/* The record of a deletion as event 23. file: what was deleted; -1: not at hand. False: no rule of that event wants it. */
static bool tell_deleted(struct engine *g, const struct ks_rec_FILE_DELETE_DETECTED *deleted, int file)
{
	static uint8_t room[KS_RECORD_MAX] __attribute__((aligned(8)));
	struct ks_rec_FILE_DELETE *rec = (void *)room;
	struct arena *arena = &g->arenas[0];
	char digest[DIGEST_TEXT];
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
		int result = archive(g, file, (const char *)rec + rec->TargetFilename.off, rec->TargetFilename.len, digest);

		tell_archived(g, &ev, result, digest);
		log_kept(g, &ev, arena);
	}
	return kept;
}

/* Of a deletion that no rule can want, by the name alone, nothing more is looked at. A file that has other names may be deleted
 * again; it may be already, when the record of that is on its way. */
bool take_deleted(struct engine *g, const struct ks_rec_FILE_DELETE_DETECTED *deleted)
{
	bool kept = false;

	if (may_concern(g, 23, record_text(&deleted->hdr, deleted->TargetFilename), deleted->TargetFilename.len)) {
		drain_written(g, UINT32_MAX);
		kept = tell_deleted(g, deleted, pins_find(&deleted->file));
	} else {
		g->tally.made[KS_FILE_DELETE]++;
		g->tally.filtered[KS_FILE_DELETE]++;
	}
	if (deleted->file.nlink == 0)
		pins_drop(&deleted->file);
	return kept;
}

/* --- clipboards */

/* It lies in memory only: where the log is, there it is archived. */
static int archive_text(struct engine *g, int text, char digest[DIGEST_TEXT])
{
	static const char name[] = "x.clip";
	const char *folder = ruleset_archive_directory(g->rules);
	OWNED_FD store = -1;

	if (!may_ask(g))
		return -ETIMEDOUT;
	store = answered(g, ask_store(g->start->ask, g->start->log, folder, CLIPBOARD_TEXT_MAX));
	return store < 0 ? store : copy_into_archive(g, text, store, folder, name, strlen(name), digest);
}

/* The number of the process is what the X server says (Wayland does not). It is believed only of a process of the user whose
 * server it is. */
void take_clipboard(void *context, const struct body_clipboard *said, int text)
{
	struct engine *g = context;
	struct arena *arena = &g->arenas[0];
	struct ks_rec_CLIPBOARD rec = {
		.hdr = { .type = KS_CLIPBOARD, .size = sizeof(rec), .time_ns = clock_ns(CLOCK_BOOTTIME) },
		.Session = said->display,
	};
	int seals = fcntl(text, F_GET_SEALS), result;
	char digest[DIGEST_TEXT];
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
	result = archive_text(g, text, digest);
	tell_archived(g, &ev, result, digest);
	log_kept(g, &ev, arena);
}

/* --- what waits for a word of ours */

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
void take_held(struct engine *g, const struct ks_rec_FILE_HELD *rec)
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

void take_blocked_write(struct engine *g, const struct ks_rec_FILE_BLOCK_SHREDDING *rec)
{
	struct arena *arena = &g->arenas[g->depth];
	struct event ev;

	arena_reset(arena);
	if (enrich_content(g->enrich, &rec->hdr, pins_find(&rec->file), arena, &ev))
		judge(g, &ev, arena);
	pins_drop(&rec->file);
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
	tell_deleted(g, rec, w->file);
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
	/* We hear of it later; he may have executed something else since. */
	f->time_ns = enrich_time_of(g->enrich, &f->who, clock_ns(CLOCK_BOOTTIME));
	f->length = 0;
	f->deleted = false;
	if (may_ask(g) && answered(g, ask_path(g->start->ask, w->file, f->path, &f->length, &f->deleted)) < 0)
		f->length = 0;
}

/* Was the record of its deletion read? The call that deletes can be interrupted before it returns, which is when it is told. */
static bool is_told(const struct engine *g, uint64_t deleted_utc_ns)
{
	return deleted_utc_ns + SECOND_NS < enrich_utc(g->enrich, g->told_until_ns);
}

/* One that was just written stays held if a rule may want it when it is deleted, by the name that it has now. crowded: what
 * is held for good must not give way to what is gone. */
static void judge_new_take(struct engine *g, struct pinned *p, bool crowded)
{
	static char path[KS_PATH_MAX];
	uint32_t length = 0;
	bool deleted, wanted;
	struct stat st;

	if (p->file < 0)
		return;
	if (fstat(p->file, &st) == 0 && st.st_nlink == 0)
		wanted = !crowded && !is_told(g, time_ns(st.st_ctim));
	else if (may_ask(g) && answered(g, ask_path(g->start->ask, p->file, path, &length, &deleted)) >= 0)
		wanted = may_concern(g, 23, path, length);
	else
		wanted = true; /* for all we know */
	if (wanted)
		pins_put_take(p->file, &p->id, g->now_ns);
	else
		close(p->file);
}

void judge_new_files(struct engine *g, uint64_t before_ns)
{
	struct pinned p;

	while ((p = pins_next_new(before_ns)).file >= 0)
		judge_new_take(g, &p, false);
}

static void take_written(struct engine *g, struct written *w)
{
	static struct found f;
	struct event ev;
	bool executable = w->kind != NOT_EXECUTABLE &&
			  (g->wants[KS_FILE_EXE_DETECTED] || g->wants[KS_FILE_BLOCK_EXE]) &&
			  written_is_news(w, g->write_since_utc_ns);

	if (!executable) {
		if (g->wants[KS_FILE_DELETE]) {
			struct pinned before = pins_put_new_take(MOVE_FD(w->file), &w->id, g->now_ns);

			judge_new_take(g, &before, true);
		}
		return;
	}
	find_out(g, w, &f);
	if (g->wants[KS_FILE_EXE_DETECTED] && make_event(g, KS_FILE_EXE_DETECTED, w, &f, &ev))
		log_kept(g, &ev, &g->arenas[0]);
	if (g->wants[KS_FILE_BLOCK_EXE])
		block(g, w, &f);
	if (g->wants[KS_FILE_DELETE] && may_concern(g, 23, f.path, f.length)) {
		int copy = fcntl(w->file, F_DUPFD_CLOEXEC, 0);

		if (copy >= 0)
			pins_put_take(copy, &w->id, g->now_ns);
	}
}

void drain_written(struct engine *g, unsigned max)
{
	const uint64_t began_ns = clock_ns(CLOCK_BOOTTIME);
	const uint32_t own_pid = (uint32_t)getpid();
	const bool looks = g->wants[KS_FILE_EXE_DETECTED] || g->wants[KS_FILE_BLOCK_EXE];
	struct written w;
	int r;

	while (max-- > 0 && g->write_watch.watch >= 0 && (r = written_next(&g->write_watch, &w, looks)) != 0) {
		if (r == -EOVERFLOW)
			g->write_overflows++;
		if (r < 0)
			continue;
		if (w.tgid != own_pid)
			take_written(g, &w);
		fd_drop(&w.file);
		if (takes_long(g, began_ns))
			return;
	}
}
