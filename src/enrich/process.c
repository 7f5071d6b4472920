/* SPDX-License-Identifier: MIT */
#include "process.h"

#include <errno.h>
#include <string.h>

#include "../base/le.h"

#define BUCKETS    16384u /* 128 KiB: short chains up to some ten thousand processes */
/* A fork bomb's dead are forgotten oldest first: so many, and so much of what they ran, since each may have had a command
 * line of 16 KiB. */
#define ENDED_MAX       32768u
#define ENDED_BYTES_MAX (32u << 20)

struct process_table {
	struct process *buckets[BUCKETS];
	struct process *oldest_ended, *newest_ended;
	uint64_t count;
	uint64_t ended, ended_bytes;
};

int process_table_new(struct process_table **ret)
{
	*ret = calloc(1, sizeof(**ret));
	return *ret ? 0 : -ENOMEM;
}

static void formers_free(struct former *former)
{
	while (former) {
		struct former *next = former->next;

		image_unref(former->identity.image);
		free(former);
		former = next;
	}
}

static void process_free(struct process *p)
{
	image_unref(p->now.image);
	formers_free(p->before);
	image_unref(p->parent_image);
	free(p);
}

void process_table_free(struct process_table *t)
{
	if (!t)
		return;
	for (unsigned i = 0; i < BUCKETS; i++)
		while (t->buckets[i]) {
			struct process *p = t->buckets[i];

			t->buckets[i] = p->next_in_bucket;
			process_free(p);
		}
	free(t);
}

static struct process **bucket(struct process_table *t, uint32_t tgid)
{
	/* Ids are handed out one after another, so the low bits spread by themselves. */
	return &t->buckets[tgid & (BUCKETS - 1)];
}

struct process *process_find(struct process_table *t, uint32_t tgid, uint64_t start_ns)
{
	for (struct process *p = *bucket(t, tgid); p; p = p->next_in_bucket)
		if (p->tgid == tgid && p->start_ns == start_ns)
			return p;
	return NULL;
}

struct process *process_ensure(struct process_table *t, uint32_t tgid, uint64_t start_ns)
{
	struct process *p = process_find(t, tgid, start_ns);

	if (p)
		return p;
	p = calloc(1, sizeof(*p));
	if (!p)
		return NULL;
	p->tgid = tgid;
	p->start_ns = start_ns;
	p->next_in_bucket = *bucket(t, tgid);
	*bucket(t, tgid) = p;
	t->count++;
	return p;
}

struct process *process_find_at(struct process_table *t, uint32_t tgid, uint64_t when_ns)
{
	struct process *latest = NULL;

	for (struct process *p = *bucket(t, tgid); p; p = p->next_in_bucket)
		if (p->tgid == tgid && p->start_ns <= when_ns && (!latest || p->start_ns > latest->start_ns))
			latest = p;
	return latest;
}

void process_each_at(const struct process_table *t, uint64_t when_ns, void (*see)(void *context, const struct process *p),
		     void *context)
{
	for (unsigned i = 0; i < BUCKETS; i++)
		for (const struct process *p = t->buckets[i]; p; p = p->next_in_bucket)
			if (!p->ended || p->ended_ns > when_ns)
				see(context, p);
}

void process_each(const struct process_table *t, void (*see)(void *context, const struct process *p), void *context)
{
	process_each_at(t, UINT64_MAX, see, context);
}

const struct identity *process_identity_at(const struct process *p, uint64_t when_ns)
{
	const struct identity *i = &p->now;

	for (const struct former *f = p->before; f && i->since_ns > when_ns && !guid_is_zero(&f->identity.guid); f = f->next)
		i = &f->identity;
	return i;
}

uint64_t process_count(const struct process_table *t)
{
	return t->count - t->ended;
}

struct image *image_new(struct image_text path, struct image_text command, struct image_text place)
{
	const struct image_text texts[] = { path, command, place };
	struct image *i = malloc(sizeof(*i) + path.length + command.length + place.length);
	char *to;

	if (!i)
		return NULL;
	*i = (struct image){ .refs = 1,
			     .path_length = (uint32_t)path.length,
			     .command_length = (uint32_t)command.length,
			     .place_length = (uint32_t)place.length };
	to = i->text;
	for (size_t k = 0; k < ARRAY_SIZE(texts); k++) {
		if (texts[k].length)
			memcpy(to, texts[k].bytes, texts[k].length);
		to += texts[k].length;
	}
	return i;
}

/* How many images run a file of that place in the table, so that most deletions cost one look. */
#define FILES_RUNNING 4096u
static uint32_t files_running[FILES_RUNNING];

static uint32_t *running_of(uint32_t dev, uint64_t ino)
{
	return &files_running[(ino * 2654435761u ^ dev) % FILES_RUNNING];
}

void image_set_file(struct image *i, const struct ks_file_id *id)
{
	if (!id->dev)
		return;
	i->file = (struct ks_file_key){ .ino = id->ino, .dev = id->dev };
	i->generation = id->generation;
	++*running_of(id->dev, id->ino);
}

bool image_may_run(const struct ks_file_id *id)
{
	return *running_of(id->dev, id->ino) > 0;
}

bool image_runs_file(const struct image *i, const struct ks_file_id *id)
{
	return i->file.dev && i->file.dev == id->dev && i->file.ino == id->ino && i->generation == id->generation;
}

struct image *image_ref(struct image *i)
{
	if (i)
		i->refs++;
	return i;
}

void image_unref(struct image *i)
{
	if (!i || --i->refs > 0)
		return;
	if (i->file.dev)
		--*running_of(i->file.dev, i->file.ino);
	free(i->package);
	free(i);
}

void process_forked(struct process *child, const struct process *parent)
{
	image_unref(child->parent_image);
	child->parent_guid = parent->now.guid;
	child->parent_tgid = parent->tgid;
	child->parent_uid = parent->uid;
	child->parent_image = image_ref(parent->now.image);
	child->parent_known = true;
	if (!child->now.image)
		child->now.image = image_ref(parent->now.image);
}

void process_executed_take(struct process *p, struct identity identity)
{
	bool known = !guid_is_zero(&p->now.guid);
	struct former *former = known ? calloc(1, sizeof(*former)) : NULL, *last = former;

	if (former) {
		*former = (struct former){ p->now, p->before };
		p->before = former;
		for (unsigned i = 1; last && i < IMAGES_BEFORE; i++)
			last = last->next;
		if (last) {
			formers_free(last->next);
			last->next = NULL;
		}
	} else {
		image_unref(p->now.image);
	}
	p->now = identity;
}

void process_was_take(struct process *p, struct identity identity)
{
	struct former **last = &p->before, *former = calloc(1, sizeof(*former));

	for (unsigned i = 0; *last && i < IMAGES_BEFORE; i++)
		last = &(*last)->next;
	if (!former || *last) {
		image_unref(identity.image);
		free(former);
		return;
	}
	former->identity = identity;
	*last = former;
}

const struct identity *process_identity(const struct process *p, uint64_t exec_id)
{
	if (p->now.exec_id == exec_id)
		return &p->now;
	for (const struct former *f = p->before; f; f = f->next)
		if (f->identity.exec_id == exec_id && !guid_is_zero(&f->identity.guid))
			return &f->identity;
	return NULL;
}

uint64_t process_ran_until(const struct process *p, uint64_t exec_id)
{
	uint64_t next_ns = UINT64_MAX;
	const struct identity *i = &p->now;

	for (const struct former *f = p->before; i->exec_id != exec_id && f; f = f->next) {
		next_ns = i->since_ns;
		i = &f->identity;
	}
	return i->exec_id == exec_id ? next_ns : UINT64_MAX;
}

static void forget_oldest(struct process_table *t)
{
	struct process *p = t->oldest_ended;
	struct process **link = bucket(t, p->tgid);

	while (*link != p)
		link = &(*link)->next_in_bucket;
	*link = p->next_in_bucket;
	t->oldest_ended = p->next_ended;
	if (!t->oldest_ended)
		t->newest_ended = NULL;
	t->count--;
	t->ended--;
	t->ended_bytes -= p->ended_bytes;
	process_free(p);
}

/* Each of those that share an image has its part of it. */
static uint32_t share_of_image(const struct image *i)
{
	return i ? ((uint32_t)sizeof(*i) + i->path_length + i->command_length + i->place_length) / i->refs : 0;
}

static uint32_t bytes_of(const struct process *p)
{
	uint32_t bytes = share_of_image(p->now.image) + share_of_image(p->parent_image);

	for (const struct former *f = p->before; f; f = f->next)
		bytes += share_of_image(f->identity.image);
	return bytes;
}

void process_ended(struct process_table *t, struct process *p, uint64_t when_ns)
{
	if (p->ended)
		return;
	p->ended = true;
	p->ended_ns = when_ns;
	if (t->newest_ended)
		t->newest_ended->next_ended = p;
	else
		t->oldest_ended = p;
	t->newest_ended = p;
	p->ended_bytes = bytes_of(p);
	t->ended++;
	t->ended_bytes += p->ended_bytes;
	while (t->ended > ENDED_MAX || t->ended_bytes > ENDED_BYTES_MAX)
		forget_oldest(t);
}

void process_table_forget(struct process_table *t, uint64_t before_ns)
{
	while (t->oldest_ended && t->oldest_ended->ended_ns < before_ns)
		forget_oldest(t);
}

static struct guid guid_make(const struct guid_base *b, uint32_t seconds, uint64_t key)
{
	struct guid g;

	/* The first group is printed most significant byte first and lies the other way round. */
	for (unsigned i = 0; i < 4; i++)
		g.byte[i] = b->machine[3 - i];
	le32_put(g.byte + 4, seconds);
	le64_put(g.byte + 8, key);
	return g;
}

struct guid process_guid(const struct guid_base *b, uint32_t tgid, uint64_t start_ns,
			 uint64_t exec_id)
{
	uint64_t seconds = (b->boot_epoch_ns + start_ns) / 1000000000u;
	/* An odd constant (2^32 divided by the golden ratio) spreads the small counter over all bits. */
	uint32_t high = (uint32_t)(start_ns / 10000000u) + (uint32_t)exec_id * 2654435769u;

	/* Nobody knows who it was: that is no process, and not the same one each time. */
	if (!tgid)
		return (struct guid){ 0 };
	return guid_make(b, (uint32_t)seconds, (uint64_t)high << 32 | tgid);
}

struct guid logon_guid(const struct guid_base *b, uint32_t login_uid, uint32_t session_id,
		       uint32_t seconds)
{
	if (login_uid == UINT32_MAX)
		return (struct guid){ 0 };
	return guid_make(b, seconds, (uint64_t)session_id << 32 | login_uid);
}
