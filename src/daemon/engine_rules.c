/* SPDX-License-Identifier: MIT */
/* What follows from the rules: what the kernel side is to produce, and which folders of settings are watched. */
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../base/clock.h"
#include "../base/text.h"
#include "../collect/drops.h"
#include "../help/settings.h"
#include "../rules/pushdown.h"
#include "engine_parts.h"
#include "pins.h"

#define CONFIG_MAX  (16u << 20)

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
	/* A deletion that is told may become one that is archived, or be that of a program that somebody runs. */
	if ((g->wants[KS_FILE_DELETE] && !(never >> KS_FILE_DELETE & 1)) || g->wants[KS_PROCESS_TAMPERING])
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
void image_runs(void *context, const struct process *p)
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

/* --- what it is to tell */

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

void mark_folders(struct engine *g)
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
	wanted[KS_FILE_DELETE_DETECTED] |= wanted[KS_FILE_DELETE] | wanted[KS_PROCESS_TAMPERING];
	g->wanted = 0;
	for (unsigned i = 0; i < KS_RECORD_COUNT; i++)
		g->wanted |= (uint64_t)wanted[i] << i;
	wanted[KS_CONFIG_RENAME] = settings_wanted(g->rules);
	wanted[KS_LINK_CHANGED] = settings_wanted(g->rules);
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

void configure(struct engine *g, const struct order *o)
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
