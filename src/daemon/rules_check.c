/* SPDX-License-Identifier: MIT */
#include "rules_check.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../rules/ruleset.h"
#include "privilege.h"
#include "request.h"
#include "service_parts.h"

struct reading {
	int file;
	unsigned what;
	const char *name;
};

/* Runs work() in a sealed process; returns what it returned, or 1 when it died. */
static int in_sealed_process(int (*work)(const struct reading *), const struct reading *r)
{
	int status;
	pid_t pid;

	fflush(NULL);
	pid = fork();
	if (pid == 0) {
		struct err e;
		int code = 1;

		if (privilege_seal_engine(&e) < 0)
			fprintf(stderr, "konseki: %s\n", e.text);
		else
			code = work(r);
		fflush(NULL);
		_exit(code);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status)) {
		fprintf(stderr, "konseki: the process that reads '%s' did not come to its end\n",
			r->name);
		return 1;
	}
	return WEXITSTATUS(status);
}

static int parse(const struct reading *r, struct ruleset **rules, struct rule_problems *problems,
		 struct err *e)
{
	struct stat st;
	void *bytes;

	if (r->file < 0)
		return r->what == ORDER_DEFAULTS ? ruleset_default(rules, e) :
						   ruleset_everything(rules, e);
	if (fstat(r->file, &st) < 0)
		return err_set(e, errno, "reading '%s'", r->name);
	if (st.st_size == 0)
		return err_set(e, EBADMSG, "%s:1:1: the file is empty", r->name);
	bytes = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, r->file, 0);
	if (bytes == MAP_FAILED)
		return err_set(e, errno, "reading '%s'", r->name);
	return ruleset_parse(r->name, bytes, (size_t)st.st_size, rules, problems, e);
}

static void complain(const struct reading *r, const struct rule_problems *all, const struct err *e)
{
	unsigned shown = all->count < RULE_PROBLEMS_MAX ? all->count : RULE_PROBLEMS_MAX;

	if (shown == 0)
		fprintf(stderr, "%s\n", e->text);
	for (unsigned i = 0; i < shown; i++)
		fprintf(stderr, "%s:%u:%u: %s\n", r->name, all->problem[i].line,
			all->problem[i].column, all->problem[i].text);
	fprintf(stderr, "The configuration is refused; nothing was changed.\n");
}

static int validate(const struct reading *r)
{
	static struct rule_problems problems;
	struct ruleset *rules;
	const struct rule_problem *notices;
	struct err e = { 0 };
	unsigned count;

	if (parse(r, &rules, &problems, &e) < 0) {
		complain(r, &problems, &e);
		return STATUS_USAGE;
	}
	printf("Loading configuration file with schema version %s\n", ruleset_schema_version(rules));
	notices = ruleset_notices(rules, &count);
	for (unsigned i = 0; i < count; i++)
		printf("%s:%u:%u: note: %s\n", r->name, notices[i].line, notices[i].column,
		       notices[i].text);
	puts("Configuration file validated.");
	return 0;
}

static int print(const struct reading *r)
{
	struct ruleset *rules;
	struct err e = { 0 };

	if (parse(r, &rules, NULL, &e) < 0) {
		fprintf(stderr, "%s\n", e.text);
		return 1;
	}
	if (*ruleset_field_sizes(rules))
		printf(" - %-31s%s\n", "Field Sizes:", ruleset_field_sizes(rules));
	putchar('\n');
	ruleset_dump_options(rules, stdout);
	putchar('\n');
	ruleset_dump(rules, stdout);
	return 0;
}

int rules_validate(int file, const char *name)
{
	return in_sealed_process(validate, &(struct reading){ file, 0, name });
}

int rules_print(int file, unsigned what, const char *name)
{
	return in_sealed_process(print, &(struct reading){ file, what, name });
}
