/* SPDX-License-Identifier: MIT */
/* What the engine asks the monitor and the helper for. */
#include <errno.h>

#include "../base/clock.h"
#include "engine_parts.h"

#define ASK_REST_NS (5u * (uint64_t)SECOND_NS) /* after a request was not answered, none for this long */

/* A monitor that does not answer (it is being restarted) must not hold up the rings: after one timeout
 * nothing is asked for a while, and what would have been answered is "-". */
int answered(struct engine *g, int r)
{
	if (r == -ETIMEDOUT)
		g->ask_rests_until_ns = clock_ns(CLOCK_BOOTTIME) + ASK_REST_NS;
	return r;
}

bool may_ask(const struct engine *g)
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

/* What enrichment cannot do by itself. */
struct enrich_ask engine_asks(struct engine *g)
{
	return (struct enrich_ask){ g, want_exe, want_mapped, want_library, want_cmdline, want_passwd,
				    want_services, want_watch, collect_pins, catch_up, want_packages, want_host_name,
				    want_login, want_package_state, want_content, image_runs };
}
