/* SPDX-License-Identifier: MIT */
#include "rules_store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "../base/own.h"
#include "files.h"
#include "paths.h"
#include "request.h"

int rules_of(const char *path, struct body_configure *rules, int *file, struct err *e)
{
	OWNED_FD fd = -1;

	*file = -1;
	if (!path || strcmp(path, "--") == 0) {
		rules->what = path ? ORDER_DEFAULTS : ORDER_EVERYTHING;
		snprintf(rules->name, sizeof(rules->name), "%s", path ? "Defaults" : "Everything");
		return 0;
	}
	snprintf(rules->name, sizeof(rules->name), "%s", path);
	rules->what = 0;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		return err_set(e, errno, "opening the configuration '%s'", path);
	*file = files_freeze(fd, RULES_MAX);
	return *file < 0 ? err_set(e, -*file, "reading the configuration '%s'", path) : 0;
}

int rules_stored(struct body_configure *rules, int *file, struct err *e)
{
	struct body_configure of_file = { 0 };
	char origin[300];
	int start = 0;

	*file = -1;
	*rules = (struct body_configure){ .what = ORDER_EVERYTHING, .name = "Everything" };
	if (files_read_text(PATH_ORIGIN, origin, sizeof(origin)) > 0 &&
	    sscanf(origin, "%u %n", &rules->what, &start) == 1 && start > 0) {
		origin[strcspn(origin, "\n")] = 0;
		snprintf(rules->name, sizeof(rules->name), "%.255s", origin + start);
	}
	if (access(PATH_RULES, F_OK) < 0) {
		if (rules->what == 0)
			return err_set(e, ENOENT,
				       "the rules '%s' are gone; 'konseki -i FILE' brings others",
				       PATH_RULES);
		return 0;
	}
	if (rules->what != 0) /* somebody put a file there by hand */
		snprintf(rules->name, sizeof(rules->name), "%s", PATH_RULES);
	rules->what = 0;
	return rules_of(PATH_RULES, &of_file, file, e);
}

int rules_store(const struct body_configure *rules, int file)
{
	char origin[300];
	int r;

	snprintf(origin, sizeof(origin), "%u %s\n", rules->what, rules->name);
	if (file >= 0)
		r = files_write_frozen(PATH_RULES, file, 0600);
	else
		r = unlink(PATH_RULES) < 0 && errno != ENOENT ? -errno : 0;
	return r < 0 ? r : files_write_text(PATH_ORIGIN, origin, 0600);
}
