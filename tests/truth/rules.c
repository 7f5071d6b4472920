/* SPDX-License-Identifier: MIT */
/* Beside the mixture, one process gives konseki other rules again and again: they say the same as those before, so nothing
 * else may change in the log, but they are another file. Each is one event 16, which names no process. */
#include "truth.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TIMES      5
#define BETWEEN_US 300000

/* The program is not one of the generator's, whatever it does is not in the ledger. */
static void give(const char *konseki, const char *path)
{
	pid_t pid = (pid_t)MUST(fork());

	if (pid == 0) {
		MUST(dup2((int)MUST(open("/dev/null", O_WRONLY | O_CLOEXEC)), STDOUT_FILENO));
		execl(konseki, konseki, "-c", path, NULL);
		_exit(100);
	}
	if (wait_status(pid) != 0)
		NEVER("konseki did not take other rules");
}

void rules_run(const struct actor *a, const char *konseki, const char *rules, const struct area *where)
{
	char path[PATH_MAX], name[32], *text, *changed;
	size_t n;

	read_file(rules, &text, &n);
	for (unsigned i = 0; i < TIMES; i++) {
		uint64_t since;

		if (asprintf(&changed, "%.*s<!-- %u -->\n", (int)n, text, i) < 0)
			NEVER("no memory");
		snprintf(name, sizeof(name), "rules %u.xml", i);
		path_join(path, where->access, name);
		make_file_with(a, where, name, changed, strlen(changed), 0600);
		since = now();
		give(konseki, path);
		ledger_content(a, EVENT_RULES, "other rules", path, changed, since);
		free(changed);
		usleep(BETWEEN_US);
	}
	free(text);
}
