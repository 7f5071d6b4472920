/* SPDX-License-Identifier: MIT */
#include "changes.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "../help/settings.h"
#include "renames.h"

#define BUCKETS       1024u
#define REMEMBER_MAX  (8u << 20) /* bytes of all trees: beyond it files are compared by digest only */
#define WAITING_MAX   256u
#define EXPECTED_MAX  1024u
#define EXPECTED_NS   300000000ull  /* what is closed after writing is told long before, as a rule */
#define PATIENCE_NS   5000000000ull /* so long it may be one of those that wait */
#define NAME_MAX_BYTES 4096u
#define VALUE_MAX      8192u

struct remembered {
	struct remembered *next;
	bool is_tree;
	bool was_told; /* it was looked at because somebody wrote; else it was found at the start */
	char digest[72];
	uint32_t path_length, nodes_length;
	char text[]; /* path and its NUL, nodes */
};

struct changes {
	struct remembered *buckets[BUCKETS];
	size_t bytes;
	bool surveyed;
	struct change waiting[WAITING_MAX];
	unsigned first, count;
	struct change expected[EXPECTED_MAX]; /* in order of time */
	unsigned expected_count;
};

struct changes *changes_new(void)
{
	return calloc(1, sizeof(struct changes));
}

static void change_done(struct change *change)
{
	if (change->fd >= 0)
		close(change->fd);
	free(change->path);
}

void changes_free(struct changes *c)
{
	if (!c)
		return;
	for (; c->count > 0; c->count--, c->first = (c->first + 1) % WAITING_MAX)
		change_done(&c->waiting[c->first]);
	for (unsigned i = 0; i < c->expected_count; i++)
		change_done(&c->expected[i]);
	for (unsigned i = 0; i < BUCKETS; i++)
		while (c->buckets[i]) {
			struct remembered *r = c->buckets[i];

			c->buckets[i] = r->next;
			free(r);
		}
	free(c);
}

/* --- what was made and must be told of soon */

static void expected_take_out(struct changes *c, unsigned i)
{
	c->expected_count--;
	memmove(&c->expected[i], &c->expected[i + 1], (c->expected_count - i) * sizeof(*c->expected));
}

static unsigned flag_if_early(const struct changes *c)
{
	return c->surveyed ? 0 : CHANGE_EARLY;
}

/* What was known of it: CHANGE_*. */
static unsigned expect_no_more(struct changes *c, const char *path)
{
	unsigned flags = 0;

	for (unsigned i = c->expected_count; i-- > 0;)
		if (strcmp(c->expected[i].path, path) == 0) {
			flags |= c->expected[i].flags;
			change_done(&c->expected[i]);
			expected_take_out(c, i);
		}
	return flags;
}

bool changes_expect(struct changes *c, const char *path, size_t n, const struct ks_who *who, uint64_t time_ns,
		    unsigned flags)
{
	char *copy = c->expected_count < EXPECTED_MAX ? strndup(path, n) : NULL;

	if (!copy)
		return false;
	flags |= expect_no_more(c, copy) | flag_if_early(c);
	c->expected[c->expected_count++] = (struct change){ -1, copy, *who, time_ns, flags };
	return true;
}

bool changes_overdue_take(struct changes *c, uint64_t now_ns, struct change *ret)
{
	uint64_t patience = c->count ? PATIENCE_NS : EXPECTED_NS;

	if (!c->expected_count || now_ns < c->expected[0].time_ns + patience)
		return false;
	*ret = c->expected[0];
	expected_take_out(c, 0);
	return true;
}

/* --- what is remembered */

static struct remembered **place(struct changes *c, const char *path)
{
	uint32_t mix = 2166136261u;
	struct remembered **at;

	for (const char *p = path; *p; p++)
		mix = (mix ^ (uint8_t)*p) * 16777619u;
	at = &c->buckets[mix % BUCKETS];
	while (*at && strcmp((*at)->text, path) != 0)
		at = &(*at)->next;
	return at;
}

static void forget(struct changes *c, const char *path)
{
	struct remembered **at = place(c, path), *r = *at;

	if (!r)
		return;
	*at = r->next;
	c->bytes -= r->nodes_length;
	free(r);
}

static void remember(struct changes *c, const struct settings_entry *entry, bool was_told)
{
	size_t path = strlen(entry->path) + 1;
	bool fits = c->bytes + entry->nodes_length <= REMEMBER_MAX;
	size_t nodes = fits ? entry->nodes_length : 0;
	struct remembered **at, *r = calloc(1, sizeof(*r) + path + nodes);

	forget(c, entry->path);
	if (!r)
		return;
	r->is_tree = entry->is_tree && fits;
	r->was_told = was_told;
	snprintf(r->digest, sizeof(r->digest), "%s", entry->digest);
	r->path_length = (uint32_t)path;
	r->nodes_length = (uint32_t)nodes;
	memcpy(r->text, entry->path, path);
	memcpy(r->text + path, entry->nodes, nodes);
	c->bytes += nodes;
	at = place(c, entry->path);
	*at = r;
}

/* --- telling */

union record {
	struct ks_hdr hdr;
	struct ks_rec_CONFIG_KEY key;
	struct ks_rec_CONFIG_VALUE value;
	struct ks_rec_CONFIG_RENAME rename;
	struct ks_rec_TRIGGER_FILTER filter;
	struct ks_rec_TRIGGER_CONSUMER consumer;
	struct ks_rec_TRIGGER_BINDING binding;
	uint8_t bytes[KS_RECORD_MAX];
};

static struct ks_text put(union record *rec, const char *prefix, const char *text, size_t max)
{
	struct ks_text t = { .off = (uint16_t)rec->hdr.size };
	size_t before = strlen(prefix), n = strlen(text);

	n = n < max ? n : max;
	memcpy(rec->bytes + rec->hdr.size, prefix, before);
	memcpy(rec->bytes + rec->hdr.size + before, text, n);
	t.len = (uint16_t)(before + n);
	rec->hdr.size += t.len;
	return t;
}

struct telling {
	const struct changes_out *out;
	const struct ks_who *who;
	uint64_t time_ns;
	const char *path;
};

static void begin(const struct telling *t, union record *rec, uint16_t type, uint32_t size)
{
	memset(rec->bytes, 0, size);
	rec->hdr = (struct ks_hdr){ .size = size, .type = type, .time_ns = t->time_ns, .who = *t->who };
}

static void tell_key(const struct telling *t, const char *what, const char *name)
{
	static union record rec;

	begin(t, &rec, KS_CONFIG_KEY, sizeof(rec.key));
	rec.key.EventType = put(&rec, "", what, 32);
	rec.key.TargetObject = put(&rec, t->path, name, NAME_MAX_BYTES);
	t->out->record(t->out->context, &rec.hdr);
}

/* before NULL: there was none, or it is not known. */
static void tell_value(const struct telling *t, const char *name, const char *value, const char *before)
{
	static union record rec;

	begin(t, &rec, KS_CONFIG_VALUE, sizeof(rec.value));
	rec.value.TargetObject = put(&rec, t->path, name, NAME_MAX_BYTES);
	rec.value.value = put(&rec, "", value, VALUE_MAX);
	if (before) {
		rec.value.before = put(&rec, "", before, VALUE_MAX);
		rec.value.before_known = 1;
	}
	t->out->record(t->out->context, &rec.hdr);
}

/* Of a setting both names stand below the file's path; of a file the new one is a path itself. */
static void tell_rename(const struct telling *t, const char *what, const char *old, const char *file,
			const char *new)
{
	static union record rec;

	begin(t, &rec, KS_CONFIG_RENAME, sizeof(rec.rename));
	rec.rename.EventType = put(&rec, "", what, 32);
	rec.rename.TargetObject = put(&rec, t->path, old, NAME_MAX_BYTES);
	rec.rename.NewName = put(&rec, file, new, NAME_MAX_BYTES);
	t->out->record(t->out->context, &rec.hdr);
}

/* The two halves of a text that has NODE_BETWEEN in it. */
struct halves {
	char first[VALUE_MAX];
	const char *second;
};

static void split(const char *text, struct halves *h)
{
	size_t n = strcspn(text, (const char[]){ NODE_BETWEEN, 0 });

	snprintf(h->first, sizeof(h->first), "%.*s", (int)(n < sizeof(h->first) ? n : sizeof(h->first) - 1), text);
	h->second = text[n] ? text + n + 1 : "";
}

static void tell_trigger(const struct telling *t, const struct settings_node *node, const char *operation)
{
	static union record rec;
	static struct halves h;

	split(node->kind == NODE_BINDING ? node->name : node->value, &h);
	switch (node->kind) {
	case NODE_FILTER:
		begin(t, &rec, KS_TRIGGER_FILTER, sizeof(rec.filter));
		rec.filter.Operation = put(&rec, "", operation, 16);
		rec.filter.EventNamespace = put(&rec, "", h.first, 64);
		rec.filter.Name = put(&rec, "", node->name, NAME_MAX_BYTES);
		rec.filter.Query = put(&rec, "", h.second, VALUE_MAX);
		break;
	case NODE_CONSUMER:
		begin(t, &rec, KS_TRIGGER_CONSUMER, sizeof(rec.consumer));
		rec.consumer.Operation = put(&rec, "", operation, 16);
		rec.consumer.Name = put(&rec, "", node->name, NAME_MAX_BYTES);
		rec.consumer.Type = put(&rec, "", h.first, 64);
		rec.consumer.Destination = put(&rec, "", h.second, VALUE_MAX);
		break;
	default:
		begin(t, &rec, KS_TRIGGER_BINDING, sizeof(rec.binding));
		rec.binding.Operation = put(&rec, "", operation, 16);
		rec.binding.Consumer = put(&rec, "", h.first, NAME_MAX_BYTES);
		rec.binding.Filter = put(&rec, "", h.second, NAME_MAX_BYTES);
	}
	t->out->record(t->out->context, &rec.hdr);
}

/* As one value: of a symbolic link what it points to, else the digest. */
static void tell_file(const struct telling *t, const struct settings_entry *entry)
{
	struct settings_node node;
	uint32_t at = 0;

	if (settings_node(entry, &at, &node) && node.kind == NODE_LINK)
		tell_value(t, "", node.value, NULL);
	else
		tell_value(t, "", *entry->digest ? entry->digest : "-", NULL);
}

/* --- comparing */

static bool is_trigger(const struct settings_node *node)
{
	return node->kind == NODE_FILTER || node->kind == NODE_CONSUMER || node->kind == NODE_BINDING;
}

/* Triggers only, or all but them. */
static bool nodes_of(const struct settings_entry *entry, bool triggers, struct nodes *nodes)
{
	struct settings_node node;
	uint32_t at = 0;

	*nodes = (struct nodes){ 0 };
	while (settings_node(entry, &at, &node))
		nodes->count++;
	nodes->at = calloc(nodes->count + 1, sizeof(*nodes->at));
	nodes->partner = calloc(nodes->count + 1, sizeof(*nodes->partner));
	if (!nodes->at || !nodes->partner)
		return false;
	nodes->count = 0;
	at = 0;
	while (settings_node(entry, &at, &node))
		if (is_trigger(&node) == triggers)
			nodes->at[nodes->count++] = node;
	qsort(nodes->at, nodes->count, sizeof(*nodes->at), nodes_by_name);
	return true;
}

static void nodes_done(struct nodes *nodes)
{
	free(nodes->at);
	free(nodes->partner);
}

static void tell_new(const struct telling *t, const struct settings_node *node)
{
	if (is_trigger(node))
		return tell_trigger(t, node, "Created");
	if (node->kind == NODE_LINK)
		return tell_value(t, "", node->value, NULL);
	tell_key(t, node->kind == NODE_VALUE ? "CreateValue" : "CreateKey", node->name);
	if (node->kind == NODE_VALUE)
		tell_value(t, node->name, node->value, NULL);
}

static void tell_gone(const struct telling *t, const struct settings_node *node)
{
	if (is_trigger(node))
		tell_trigger(t, node, "Deleted");
	else if (node->kind != NODE_LINK)
		tell_key(t, node->kind == NODE_VALUE ? "DeleteValue" : "DeleteKey", node->name);
}

static void tell_other(const struct telling *t, const struct settings_node *node, const char *before)
{
	if (is_trigger(node))
		tell_trigger(t, node, "Modified");
	else
		tell_value(t, node->name, node->value, before);
}

/* What a rule asks of a setting's value must show under its new name too. */
static void tell_renamed(const struct telling *t, const struct nodes *old, const struct settings_node *node,
			 uint32_t partner)
{
	if (partner != PARTNER_ABOVE)
		tell_rename(t, node->kind == NODE_VALUE ? "RenameValue" : "RenameKey", old->at[partner - 1].name,
			    t->path, node->name);
	if (node->kind == NODE_VALUE)
		tell_value(t, node->name, node->value, NULL);
}

/* Walks both lists at once; counts the differences, and tells them if asked to. */
static size_t compare(const struct nodes *old, const struct nodes *new, const struct telling *t)
{
	size_t i = 0, j = 0, different = 0;

	while (i < old->count || j < new->count) {
		int r = i == old->count ? 1
			: j == new->count ? -1
					  : nodes_by_name(&old->at[i], &new->at[j]);

		if (r < 0) {
			if (t && !old->partner[i])
				tell_gone(t, &old->at[i]);
			different++;
		} else if (r > 0) {
			if (t && new->partner[j])
				tell_renamed(t, old, &new->at[j], new->partner[j]);
			else if (t)
				tell_new(t, &new->at[j]);
			different++;
		} else if (strcmp(old->at[i].value, new->at[j].value) != 0) {
			if (t)
				tell_other(t, &new->at[j], old->at[i].value);
			different++;
		}
		i += r <= 0;
		j += r >= 0;
	}
	return different;
}

static void tell_tree(const struct telling *t, const struct settings_entry *before,
		      const struct settings_entry *entry)
{
	struct nodes old = { 0 }, new = { 0 };

	if (nodes_of(before, false, &old) && nodes_of(entry, false, &new)) {
		if (compare(&old, &new, NULL) <= DIFFERENT_MAX) {
			renames_find(&old, &new);
			compare(&old, &new, t);
		} else {
			tell_file(t, entry);
		}
	}
	nodes_done(&old);
	nodes_done(&new);
}

/* before NULL: all of them, as changed. */
static void tell_triggers(const struct telling *t, const struct settings_entry *before,
			  const struct settings_entry *entry)
{
	struct nodes old = { 0 }, new = { 0 };

	if ((!before || nodes_of(before, true, &old)) && nodes_of(entry, true, &new)) {
		if (before)
			compare(&old, &new, t);
		for (size_t i = 0; !before && i < new.count; i++)
			tell_other(t, &new.at[i], NULL);
	}
	nodes_done(&old);
	nodes_done(&new);
}

static void tell_difference(struct changes *c, const struct telling *t, const struct settings_entry *entry,
			    bool early)
{
	const struct remembered *r = *place(c, entry->path);
	struct settings_entry before = { .nodes = "" };

	if (r && *r->digest && strcmp(r->digest, entry->digest) == 0) {
		/* Written, but nothing is different; or we first saw it when it was written already. */
		if (early) {
			tell_file(t, entry);
			tell_triggers(t, NULL, entry);
		}
		return;
	}
	if (!r && entry->is_gone)
		return tell_file(t, entry); /* its end was told already */
	if (!r && !settings_is_of_home(entry->path, strlen(entry->path)))
		tell_key(t, "CreateKey", "");
	if (r) {
		before.nodes = r->text + r->path_length;
		before.nodes_length = r->nodes_length;
	}
	if (entry->is_tree && (!r || r->is_tree))
		tell_tree(t, &before, entry);
	else
		tell_file(t, entry);
	tell_triggers(t, &before, entry);
}

/* --- lists that come from the helper */

struct list {
	const uint8_t *bytes;
	size_t n;
};

static bool list_map(int fd, struct list *list)
{
	int seals = fcntl(fd, F_GET_SEALS), needed = F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW;
	struct stat st;
	void *map;

	if (seals < 0 || (seals & needed) != needed || fstat(fd, &st) < 0 || st.st_size == 0 ||
	    st.st_size > SETTINGS_BYTES_MAX)
		return false;
	map = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED)
		return false;
	*list = (struct list){ map, (size_t)st.st_size };
	return true;
}

static void list_done(struct list *list)
{
	munmap((void *)(uintptr_t)list->bytes, list->n);
}

void changes_take_survey(struct changes *c, int fd)
{
	struct settings_entry entry;
	struct list list;
	size_t at = 0;

	c->surveyed = true;
	if (fd < 0 || !list_map(fd, &list))
		return;
	while (settings_next(list.bytes, list.n, &at, &entry))
		if (!*place(c, entry.path)) /* else it was written since, and looked at */
			remember(c, &entry, false);
	list_done(&list);
}

bool changes_is_surveyed(const struct changes *c)
{
	return c->surveyed;
}

/* --- what waits to be looked at */

/* Who writes his own files again and again must not have those of the machine forgotten. */
static bool has_room(const struct changes *c, int fd)
{
	struct stat st;

	return c->count < WAITING_MAX / 2 ||
	       (c->count < WAITING_MAX && (fd < 0 || (fstat(fd, &st) == 0 && st.st_uid == 0)));
}

bool changes_touched_take(struct changes *c, int fd, const char *path, size_t n, const struct ks_who *who,
			  uint64_t time_ns, unsigned flags)
{
	struct change *change = &c->waiting[(c->first + c->count) % WAITING_MAX];
	char *copy = path ? strndup(path, n) : NULL;

	if (!has_room(c, fd) || (path && !copy)) {
		if (fd >= 0)
			close(fd);
		free(copy);
		return false;
	}
	*change = (struct change){ fd, copy, *who, time_ns, flags | flag_if_early(c) };
	c->count++;
	return true;
}

const struct change *changes_head(const struct changes *c)
{
	return c->count ? &c->waiting[c->first] : NULL;
}

void changes_answer(struct changes *c, int fd, const struct changes_out *out)
{
	struct change change = c->waiting[c->first];
	struct settings_entry entry;
	struct list list;
	size_t at = 0;

	c->first = (c->first + 1) % WAITING_MAX;
	c->count--;
	if (fd >= 0 && list_map(fd, &list)) {
		if (settings_next(list.bytes, list.n, &at, &entry) &&
		    settings_is_watched(entry.path, strlen(entry.path))) {
			struct telling t = { out, &change.who, change.time_ns, entry.path };
			const struct remembered *before = *place(c, entry.path);
			bool known;

			change.flags |= expect_no_more(c, entry.path);
			if (before && before->was_told)
				change.flags &= ~CHANGE_EARLY;
			if (change.flags == (CHANGE_EARLY | CHANGE_MADE)) /* the first look has found it already */
				forget(c, entry.path);
			known = *place(c, entry.path);

			tell_difference(c, &t, &entry, change.flags & CHANGE_EARLY);
			if (known || !entry.is_gone)
				remember(c, &entry, true);
		}
		list_done(&list);
	}
	change_done(&change);
}

/* A path leads to nothing any more that it led to before. */
static void path_ended(struct changes *c, const struct telling *t)
{
	const struct settings_entry nothing = { .nodes = "" };
	const struct remembered *r = *place(c, t->path);

	if (r) {
		struct settings_entry before = { .nodes = r->text + r->path_length,
						 .nodes_length = r->nodes_length };

		tell_triggers(t, &before, &nothing);
	}
	forget(c, t->path);
	expect_no_more(c, t->path);
}

void changes_deleted(struct changes *c, const char *path, size_t n, const struct ks_who *who, uint64_t time_ns,
		     const struct changes_out *out)
{
	OWNED_HEAP char *copy = strndup(path, n);
	struct telling t = { out, who, time_ns, copy };

	if (!copy)
		return;
	tell_key(&t, "DeleteKey", "");
	path_ended(c, &t);
}

void changes_renamed(struct changes *c, const char *from, size_t from_n, const char *to, size_t to_n,
		     const struct ks_who *who, uint64_t time_ns, const struct changes_out *out)
{
	OWNED_HEAP char *old = strndup(from, from_n);
	OWNED_HEAP char *new = strndup(to, to_n);
	struct telling t = { out, who, time_ns, old };

	if (!old || !new)
		return;
	tell_rename(&t, "RenameKey", "", "", new);
	path_ended(c, &t);
}
