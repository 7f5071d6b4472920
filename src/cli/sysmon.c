/* SPDX-License-Identifier: MIT */
/* Sysmon's switches, carried out. */
#include "sysmon.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "../base/own.h"
#include "../daemon/paths.h"
#include "../daemon/service.h"
#include "help.h"
#include "schema.h"
#include "settings.h"
#include "switches.h"

/* The words as one line, for event 16. NULL: out of memory. */
static char *command_line(int count, char *const *words)
{
	size_t size = sizeof("konseki");
	char *line, *to;

	for (int i = 0; i < count; i++)
		size += 1 + strlen(words[i]);
	line = malloc(size);
	if (!line)
		return NULL;
	to = stpcpy(line, "konseki");
	for (int i = 0; i < count; i++) {
		*to++ = ' ';
		to = stpcpy(to, words[i]);
	}
	return line;
}

static bool not_root(void)
{
	if (geteuid() == 0)
		return false;
	fputs("konseki needs root for this: run it as root or with sudo.\n", stderr);
	return true;
}

/* The configuration that -i or -c names: a file, the defaults, or switches made into text (in *xml, which
 * the caller frees). 0, or the exit status and the reason was printed. */
static int read_config(const struct switches *s, enum switch_id command, const char *line,
		       struct service_config *c, char **xml)
{
	const char *file = s->value[command];
	struct err e = { 0 };

	*c = (struct service_config){ .path = file, .name = file, .btf = s->value[SWITCH_BTF] };
	if (s->given[SWITCH_DEFAULTS]) {
		c->path = "--";
		c->name = "Defaults";
	}
	if (!switches_configure(s))
		return STATUS_OK;
	if (settings_to_xml(s, file, stderr, xml, &c->xml_length, &e) < 0) {
		fprintf(stderr, "%s\n", e.text);
		return STATUS_USAGE;
	}
	c->xml = *xml;
	c->name = line;
	return STATUS_OK;
}

/* Asks on the terminal; without one only the switch counts. */
static bool licence_accepted(const struct switches *s)
{
	char answer[16];

	if (s->given[SWITCH_ACCEPT])
		return true;
	fputs("konseki is free software under the MIT licence, without warranty of any kind; the licence is in the\n"
	      "file LICENSE of its sources.\n", stderr);
	if (!isatty(STDIN_FILENO)) {
		fputs("To accept it, add -accepteula.\n", stderr);
		return false;
	}
	fputs("Do you accept it? (yes/no) ", stderr);
	return fgets(answer, sizeof(answer), stdin) &&
	       (strcasecmp(answer, "yes\n") == 0 || strcasecmp(answer, "y\n") == 0);
}

static int install(const struct switches *s, const char *line)
{
	OWNED_HEAP char *xml = NULL;
	struct service_config c;
	int status;

	if (not_root())
		return STATUS_NOT_ROOT;
	if (!licence_accepted(s)) {
		fputs("The licence was not accepted; nothing was installed.\n", stderr);
		return STATUS_USAGE;
	}
	status = read_config(s, SWITCH_INSTALL, line, &c, &xml);
	return status ? status : service_install(&c);
}

static int configure(const struct switches *s, const char *line)
{
	OWNED_HEAP char *xml = NULL;
	struct service_config c;
	int status;

	if (not_root())
		return STATUS_NOT_ROOT;
	status = read_config(s, SWITCH_CONFIGURE, line, &c, &xml);
	if (status)
		return status;
	return c.path || c.xml ? service_configure(&c) : service_print_config();
}

/* The rules that -t and -service run by: those named beside them, else those of the installation. */
static const char *foreground_rules(const struct switches *s)
{
	if (s->given[SWITCH_DEFAULTS])
		return "--";
	if (s->value[SWITCH_INSTALL])
		return s->value[SWITCH_INSTALL];
	if (s->value[SWITCH_CONFIGURE])
		return s->value[SWITCH_CONFIGURE];
	return !s->given[SWITCH_SERVICE] && access(PATH_RULES, R_OK) == 0 ? PATH_RULES : NULL;
}

static int foreground(const struct switches *s)
{
	struct run_options o = {
		.config = foreground_rules(s),
		.show = !s->given[SWITCH_DEBUG] ? SHOW_NOTHING : s->value[SWITCH_DEBUG] ? SHOW_VERBOSE : SHOW_DEBUG,
		.service = s->given[SWITCH_SERVICE],
		.btf = s->value[SWITCH_BTF],
	};

	return not_root() ? STATUS_NOT_ROOT : service_run(&o);
}

static int help(const struct switches *s)
{
	if (s->value[SWITCH_HELP])
		help_config(stderr);
	else
		help_switches(stderr);
	return STATUS_OK;
}

static int print_schema(const struct switches *s)
{
	if (!schema_print(s->value[SWITCH_SCHEMA], stdout))
		printf("There is no schema of version %s.\n", s->value[SWITCH_SCHEMA]);
	return STATUS_OK;
}

static int carry_out(const struct switches *s, const char *line)
{
	if (s->given[SWITCH_HELP])
		return help(s);
	if (s->given[SWITCH_DEBUG] || s->given[SWITCH_SERVICE])
		return foreground(s);
	if (s->given[SWITCH_INSTALL])
		return install(s, line);
	if (s->given[SWITCH_CONFIGURE])
		return configure(s, line);
	if (s->given[SWITCH_UNINSTALL])
		return not_root() ? STATUS_NOT_ROOT :
				    service_uninstall(s->value[SWITCH_UNINSTALL], s->given[SWITCH_REMOVE_LOG]);
	if (s->given[SWITCH_SCHEMA])
		return print_schema(s);
	if (s->given[SWITCH_MANIFEST]) {
		puts("No event manifest is needed here.");
		return STATUS_OK;
	}
	fputs("-z is not for people: clipboard helpers are started by the service.\n", stderr);
	return STATUS_USAGE;
}

int sysmon_main(int count, char *const *words)
{
	OWNED_HEAP char *line = command_line(count, words);
	struct switches s;
	struct err e = { 0 };
	int r = switches_parse(count, words, &s, &e);

	if (!line) {
		fputs("konseki: out of memory\n", stderr);
		return STATUS_FAILED;
	}
	if (!s.given[SWITCH_NOLOGO] && !s.given[SWITCH_SERVICE])
		help_banner(stdout);
	fflush(stdout);
	if (r < 0) {
		fprintf(stderr, "%s\n\n", e.text);
		help_switches(stderr);
		return STATUS_USAGE;
	}
	return carry_out(&s, line);
}
