/* SPDX-License-Identifier: MIT */
#include "filter.h"

#include <ctype.h>
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "../base/clock.h"
#include "../rules/fold.h"
#include "../rules/operators.h"

#define CONDITIONS_MAX 64
#define EVENT_ID_MAX   65535

enum where { IN_FIELD, IN_PROCESS_FIELDS, IN_ANY_FIELD };

/* Ends of field names that name the process that acts or is acted upon; parents are not meant: what they
 * did themselves is in records of their own. */
static const char *const process_guids[] = { "ProcessGuid", "SourceProcessGuid", "SourceProcessGUID",
					     "TargetProcessGuid", "TargetProcessGUID", NULL };
static const char *const process_ids[] = { "ProcessId", "SourceProcessId", "TargetProcessId", NULL };
static const char *const process_images[] = { "Image", "SourceImage", "TargetImage", NULL };

struct condition {
	enum where where;
	char *field;                /* IN_FIELD */
	int head;                   /* the part of the head that is meant; -1: none */
	const char *const *fields;  /* IN_PROCESS_FIELDS */
	const struct operator *op;
	uint8_t *bytes;             /* folded; the items point into it */
	struct folded *item;
	struct items items;
};

struct filter {
	uint64_t since, until; /* 0: not bounded */
	bool by_id;
	uint8_t wanted[(EVENT_ID_MAX + 1) / 8];
	struct condition conditions[CONDITIONS_MAX];
	unsigned count;
	uint8_t *room; /* for a folded value */
	size_t room_size;
};

struct filter *filter_new(void)
{
	return calloc(1, sizeof(struct filter));
}

void filter_free(struct filter *f)
{
	if (!f)
		return;
	for (unsigned i = 0; i < f->count; i++) {
		free(f->conditions[i].field);
		free(f->conditions[i].bytes);
		free(f->conditions[i].item);
	}
	free(f->room);
	free(f);
}

static const char *read_id(const char *p, unsigned *id)
{
	char *end;
	unsigned long n;

	if (!isdigit((unsigned char)*p))
		return NULL;
	n = strtoul(p, &end, 10);
	*id = (unsigned)n;
	return n <= EVENT_ID_MAX ? end : NULL;
}

int filter_ids(struct filter *f, const char *list, struct err *e)
{
	const char *p = list;

	f->by_id = true;
	for (;;) {
		unsigned from = 0, to = 0;

		p = read_id(p, &from);
		to = from;
		if (p && *p == '-')
			p = read_id(p + 1, &to);
		if (!p || to < from || (*p && *p != ','))
			return err_set(e, EBADMSG, "'%s' is no list of event ids: write 1,3 or 11-14", list);
		for (unsigned id = from; id <= to; id++)
			f->wanted[id / 8] |= (uint8_t)(1u << id % 8);
		if (*p++ == 0)
			return 0;
	}
}

/* Splits the folded text at ';' for operators that take a list; empty items are left out. */
static void make_items(struct condition *c, size_t n)
{
	size_t start = 0;

	if (!c->op->list) {
		c->item[c->items.count++] = (struct folded){ c->bytes, n };
		return;
	}
	for (size_t i = 0; i <= n; i++) {
		if (i < n && c->bytes[i] != ';')
			continue;
		if (i > start)
			c->item[c->items.count++] = (struct folded){ c->bytes + start, i - start };
		start = i + 1;
	}
}

/* The parts of the head that can be asked for like fields. */
static const struct {
	const char *name;
	size_t offset; /* in struct evtx_record */
} head_parts[] = {
	{ "Computer", offsetof(struct evtx_record, computer) },
	{ "Channel", offsetof(struct evtx_record, channel) },
	{ "Provider", offsetof(struct evtx_record, provider_name) },
	{ "UserID", offsetof(struct evtx_record, user_id) },
};

/* Number of the part that the condition asks for; -1: none, it is a field of the data. */
static int head_part(const char *field)
{
	for (size_t i = 0; i < ARRAY_SIZE(head_parts); i++)
		if (strcasecmp(field, head_parts[i].name) == 0)
			return (int)i;
	return -1;
}

static int add_condition(struct filter *f, struct condition c, const char *value, struct err *e)
{
	struct condition *mine = &f->conditions[f->count];
	size_t n = strlen(value);

	if (f->count == CONDITIONS_MAX) {
		free(c.field);
		return err_set(e, EBADMSG, "more than %d conditions", CONDITIONS_MAX);
	}
	*mine = c;
	mine->head = c.where == IN_FIELD ? head_part(c.field) : -1;
	f->count++;
	mine->bytes = malloc(FOLD_SIZE_MAX(n) + 1);
	mine->item = calloc(n + 1, sizeof(*mine->item));
	if (!mine->bytes || !mine->item)
		return err_set(e, ENOMEM, "reading a condition");
	mine->items.item = mine->item;
	make_items(mine, fold_text(value, n, mine->bytes));
	return 0;
}

static bool is_process_id(const char *text)
{
	return *text && text[strspn(text, "0123456789")] == 0;
}

int filter_process(struct filter *f, const char *process, struct err *e)
{
	struct condition c = { .where = IN_PROCESS_FIELDS, .op = operator_by_name("is") };

	if (!*process)
		return err_set(e, EBADMSG, "a process is a GUID in braces, a number or an image");
	if (*process == '{') {
		c.fields = process_guids;
	} else if (is_process_id(process)) {
		c.fields = process_ids;
	} else {
		c.fields = process_images;
		c.op = operator_by_name("image");
	}
	return add_condition(f, c, process, e);
}

/* The longest operator that the text begins with: "contains any" is not "contains" of "any ...". */
static const struct operator *leading_operator(const char *text)
{
	const struct operator *found = NULL;
	size_t longest = 0;

	for (size_t i = 0; i < OPERATOR_COUNT; i++) {
		size_t n = strlen(operators[i].name);

		if (n > longest && strncasecmp(text, operators[i].name, n) == 0 && (text[n] == ' ' || !text[n])) {
			found = &operators[i];
			longest = n;
		}
	}
	return found;
}

int filter_where(struct filter *f, const char *condition, struct err *e)
{
	struct condition c = { .where = IN_FIELD };
	size_t n = strcspn(condition, " ");
	const char *value;

	if (condition[n])
		c.op = leading_operator(condition + n + 1);
	if (n == 0 || !c.op)
		return err_set(e, EBADMSG,
			       "'%s' is no condition: write 'FIELD CONDITION VALUE', for example 'Image end with /ls' "
			       "(conditions: see konseki -? config)",
			       condition);
	value = condition + n + 1 + strlen(c.op->name);
	c.field = strndup(condition, n);
	if (!c.field)
		return err_set(e, ENOMEM, "reading a condition");
	return add_condition(f, c, *value ? value + 1 : value, e);
}

int filter_find(struct filter *f, const char *text, struct err *e)
{
	struct condition c = { .where = IN_ANY_FIELD, .op = operator_by_name("contains") };

	return add_condition(f, c, text, e);
}

static int read_time(const char *text, uint64_t *utc_ns, struct err *e)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return time_from_text(text, time_ns(now), utc_ns, e);
}

int filter_since(struct filter *f, const char *time, struct err *e)
{
	return read_time(time, &f->since, e);
}

int filter_until(struct filter *f, const char *time, struct err *e)
{
	return read_time(time, &f->until, e);
}

uint64_t filter_oldest(const struct filter *f)
{
	return f->since;
}

uint64_t filter_newest(const struct filter *f)
{
	return f->until;
}

/* Folds the value and compares. Out of memory counts as "holds": rather shown than hidden. */
static bool value_holds(struct filter *f, const struct condition *c, const char *text, size_t n)
{
	struct folded value = { (const uint8_t *)"", 0 };

	if (FOLD_SIZE_MAX(n) > f->room_size) {
		uint8_t *room = realloc(f->room, FOLD_SIZE_MAX(n));

		if (!room)
			return true;
		f->room = room;
		f->room_size = FOLD_SIZE_MAX(n);
	}
	if (n > 0)
		value = (struct folded){ f->room, fold_text(text, n, f->room) };
	return c->op->holds(&value, &c->items);
}

/* Most names differ in their first letter. */
static bool same_name(const char *a, const char *b)
{
	return ((a[0] ^ b[0]) & ~0x20) == 0 && strcasecmp(a, b) == 0;
}

/* Is the field one that the condition speaks of? */
static bool meant(const struct condition *c, const char *name)
{
	if (c->where == IN_FIELD)
		return same_name(c->field, name);
	if (c->where == IN_ANY_FIELD)
		return true;
	for (size_t i = 0; c->fields[i]; i++)
		if (strcmp(c->fields[i], name) == 0)
			return true;
	return false;
}

static bool head_holds(struct filter *f, const struct condition *c, struct evtx_reader *r,
		       struct evtx_record *rec)
{
	const char *const *text = (const void *)((const char *)rec + head_parts[c->head].offset);

	if (r && evtx_reader_head_texts(r, rec) < 0)
		return true;
	return value_holds(f, c, *text, strlen(*text));
}

/* As in rules, a record without the field is not meant. A text that cannot be made counts as one that holds:
 * whoever shows the record will find out. */
static bool condition_holds(struct filter *f, const struct condition *c, struct evtx_reader *r,
			    struct evtx_record *rec)
{
	if (c->head >= 0)
		return head_holds(f, c, r, rec);
	for (unsigned i = 0; i < rec->data_count; i++) {
		const struct evtx_data *d = &rec->data[i];

		if (!meant(c, d->name))
			continue;
		if ((!d->text && evtx_reader_text(r, rec, i) < 0) || value_holds(f, c, d->text, d->length))
			return true;
	}
	return false;
}

bool filter_passes(struct filter *f, struct evtx_reader *r, struct evtx_record *rec)
{
	if (f->by_id && (rec->event_id > EVENT_ID_MAX ||
			 !(f->wanted[rec->event_id / 8] & 1u << rec->event_id % 8)))
		return false;
	if ((f->since && rec->time_utc_ns < f->since) || (f->until && rec->time_utc_ns >= f->until))
		return false;
	for (unsigned i = 0; i < f->count; i++)
		if (!condition_holds(f, &f->conditions[i], r, rec))
			return false;
	return true;
}
