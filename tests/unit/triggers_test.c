/* SPDX-License-Identifier: MIT */
/* What stands in units, crontabs, jobs of at and rules of udev, as triggers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "../../src/help/triggers.h"

static char told[65536];

static void note(const char *a, const char *b, const char *c, const char *d)
{
	size_t n = strlen(told);

	snprintf(told + n, sizeof(told) - n, "%s|%s|%s|%s\n", a, b, c, d);
}

static void filter(void *context, const char *space, const char *name, const char *query)
{
	(void)context;
	note("19", space, name, query);
}

static void consumer(void *context, const char *name, const char *type, const char *destination)
{
	(void)context;
	note("20", name, type, destination);
}

static void binding(void *context, const char *a, const char *b)
{
	(void)context;
	note("21", a, b, "");
}

static const struct trigger_sink sink = { NULL, filter, consumer, binding };

#define BOTH(space, name, query, type, what) \
	"19|" space "|" name "|" query "\n20|" name "|" type "|" what "\n21|" name "|" name "|\n"

static const struct {
	const char *path, *text, *told;
} cases[] = {
	{ "/etc/cron.d/a", "# no\nMAILTO=x\n\n*/5 * * * *\troot  /bin/x  y # z\n",
	  BOTH("cron", "/etc/cron.d/a:4", "*/5 * * * *", "Command Line", "/bin/x  y # z") },
	{ "/etc/crontab", "@daily root x", BOTH("cron", "/etc/crontab:1", "@daily", "Command Line", "x") },
	{ "/etc/crontab", "1 2 3 4 5 root\n1 2 3\n@daily root\n", "" }, /* nothing to execute */
	{ "/var/spool/cron/crontabs/bob", "  0 0 1 1 * root x\n",
	  BOTH("cron", "/var/spool/cron/crontabs/bob:1", "0 0 1 1 *", "Command Line", "root x") },
	{ "/etc/cron.weekly/z", "", BOTH("cron", "/etc/cron.weekly/z", "@weekly", "Script", "/etc/cron.weekly/z") },
	{ "/var/spool/cron/atjobs/a0000101c5e2f0", "#!/bin/sh\nx\n",
	  BOTH("at", "/var/spool/cron/atjobs/a0000101c5e2f0", "2026-07-22 21:04 UTC", "Script",
	       "/var/spool/cron/atjobs/a0000101c5e2f0") },
	{ "/var/spool/cron/atjobs/.SEQ", "1", "" },
	{ "/etc/systemd/system/a.timer", "[Timer]\r\nOnCalendar=daily\r\n OnBootSec=5\n#OnX=1\nUnit=b.service\n",
	  "19|systemd|a.timer|OnCalendar=daily; OnBootSec=5\n21|b.service|a.timer|\n" },
	{ "/etc/systemd/user/a.path", "PathExists=/x\n", "19|systemd-user|a.path|PathExists=/x\n21|a.service|a.path|\n" },
	{ "/etc/systemd/system/a.socket", "ListenStream=22\nAccept=no\n",
	  "19|systemd|a.socket|ListenStream=22\n21|a.service|a.socket|\n" },
	{ "/etc/systemd/system/a.timer", "[Unit]\n", "" },
	{ "/etc/systemd/system/a.service", "ExecStart=\nExecStart=/x \\\n  y\nExecStop=/z\n", "20|a.service|Command Line|/x   y; /z\n" },
	{ "/etc/systemd/system/a.service.d/b.conf", "ExecStartPre=/x\n", "20|a.service|Command Line|/x\n" },
	{ "/etc/systemd/system/a.timer.d/b.conf", "OnBootSec=1\n", "19|systemd|a.timer|OnBootSec=1\n21|a.service|a.timer|\n" },
	{ "/home/bob/.config/systemd/user/a.timer", "OnBootSec=1\n",
	  "19|systemd-user|a.timer|OnBootSec=1\n21|a.service|a.timer|\n" },
	{ "/etc/systemd/journald.conf", "OnX=1\nExecStart=/x\n", "" },
	{ "/etc/systemd/journald.conf.d/a.conf", "OnX=1\nExecStart=/x\n", "" },
	{ "/etc/xdg/autostart/a.desktop", "[Desktop Entry]\nName=Exec=no\nExec = /x -y\n[Desktop Action z]\nExec=/z\n",
	  BOTH("autostart", "/etc/xdg/autostart/a.desktop", "login", "Command Line", "/x -y") },
	{ "/home/bob/.config/autostart/a.desktop", "Exec=/x\nHidden=true\n", "" },
	{ "/home/bob/.config/autostart/a.txt", "Exec=/x\n", "" },
	{ "/usr/share/dbus-1/services/a.service", "[D-BUS Service]\nName=org.a\nExec=/x\n",
	  BOTH("dbus", "/usr/share/dbus-1/services/a.service", "Name=org.a", "Command Line", "/x") },
	{ "/usr/share/dbus-1/system-services/a.service", "Name=org.a\nExec=/bin/false\nSystemdService=b.service\n",
	  "19|dbus|/usr/share/dbus-1/system-services/a.service|Name=org.a\n"
	  "20|/usr/share/dbus-1/system-services/a.service|Command Line|/bin/false\n"
	  "21|b.service|/usr/share/dbus-1/system-services/a.service|\n" },
	{ "/usr/share/dbus-1/services/a.service", "Name=org.a\n", "" },
	{ "/etc/udev/rules.d/9.rules", "# RUN+=\"no\"\nACTION==\"add|x,y\", K!=\"1\", MODE=\"0600\", RUN+=\"/bin/x a, b\", RUN{builtin}+=\"kmod\"\n",
	  BOTH("udev", "/etc/udev/rules.d/9.rules:2", "ACTION==\"add|x,y\", K!=\"1\"", "Command Line", "/bin/x a, b; kmod") },
	{ "/etc/udev/rules.d/9.rules", "PROGRAM==\"/x\"", BOTH("udev", "/etc/udev/rules.d/9.rules:1", "-", "Command Line", "/x") },
	{ "/etc/udev/rules.d/9.rules", "KERNEL==\"sda\", SYMLINK+=\"x\"\n", "" },
	{ "/etc/hosts", "* * * * * root x\n", "" },
};

static void each_kind_of_file_is_understood(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		told[0] = 0;
		triggers_read(cases[i].path, cases[i].text, strlen(cases[i].text), &sink);
		if (strcmp(told, cases[i].told) != 0)
			fail_msg("case %zu: '%s' instead of '%s'", i, told, cases[i].told);
	}
}

static const struct {
	const char *path, *told; /* NULL: it is none of those */
} links[] = {
	{ "/etc/systemd/system/multi-user.target.wants/a.service", "21|a.service|multi-user.target|\n" },
	{ "/etc/systemd/system/a.service.requires/b.socket", "21|b.socket|a.service|\n" },
	{ "/home/bob/.config/systemd/user/default.target.wants/a.timer", "21|a.timer|default.target|\n" },
	{ "/etc/systemd/system/a.service", NULL },
	{ "/etc/x.wants/a.service", NULL },
	{ "a.service", NULL },
};

static void a_link_among_what_a_target_wants_binds(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(links) / sizeof(links[0]); i++) {
		told[0] = 0;
		assert_int_equal(triggers_link(links[i].path, &sink), links[i].told != NULL);
		assert_string_equal(told, links[i].told ? links[i].told : "");
	}
}

static unsigned count;

static void count_one(void *context, const char *a, const char *b)
{
	(void)context, (void)a, (void)b;
	count++;
}

static void nothing(void *context, const char *a, const char *b, const char *c)
{
	(void)context, (void)a, (void)b, (void)c;
}

static void what_is_told_of_a_file_has_a_bound(void **state)
{
	const struct trigger_sink counting = { NULL, nothing, nothing, count_one };
	size_t lines = TRIGGERS_MAX + 1, n = lines * 12;
	char *text = malloc(n + 1);

	(void)state;
	for (size_t i = 0; i < lines; i++)
		memcpy(text + 12 * i, "* * * * * x\n", 12);
	text[n] = 0;
	triggers_read("/var/spool/cron/crontabs/x", text, n, &counting);
	assert_int_equal(count, TRIGGERS_MAX);
	memset(text, 'x', n); /* one line that is longer than any may be */
	triggers_read("/etc/systemd/system/x.service", text, n, &counting);
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_kind_of_file_is_understood),
		cmocka_unit_test(a_link_among_what_a_target_wants_binds),
		cmocka_unit_test(what_is_told_of_a_file_has_a_bound),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
