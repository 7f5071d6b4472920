/* SPDX-License-Identifier: MIT */
/* A service and its timer are written into a folder that was made a moment ago, changed and deleted; a rule of udev; and the
 * same files where nobody reads them, which are none.
 *
 * judges 19 20 21
 * expect 20 Operation=Created Name=trigger_units.service Type="Command Line" Destination="/bin/trigger_units -x"
 * expect 20 Operation=Modified Name=trigger_units.service Type="Command Line" Destination="/bin/trigger_units -y"
 * expect 20 Operation=Deleted Name=trigger_units.service Type="Command Line" Destination="/bin/trigger_units -y"
 * expect 19 Operation=Created EventNamespace=systemd Name=trigger_units.timer Query="OnCalendar=daily; OnBootSec=5"
 * expect 19 Operation=Deleted EventNamespace=systemd Name=trigger_units.timer Query="OnCalendar=daily; OnBootSec=5"
 * expect 21 Operation=Created Consumer=trigger_units.service Filter=trigger_units.timer
 * expect 21 Operation=Deleted Consumer=trigger_units.service Filter=trigger_units.timer
 * expect 19 Operation=Created EventNamespace=udev Name=/run/udev/rules.d/trigger_units.rules:1 Query="ACTION==\"add\""
 * expect 20 Operation=Created Name=/run/udev/rules.d/trigger_units.rules:1 Type="Command Line" Destination=/bin/x
 * expect 21 Operation=Created Consumer=/run/udev/rules.d/trigger_units.rules:1 Filter=/run/udev/rules.d/trigger_units.rules:1
 * expect 19 Operation=Deleted Name=/run/udev/rules.d/trigger_units.rules:1
 * expect 20 Operation=Deleted Name=/run/udev/rules.d/trigger_units.rules:1
 * expect 21 Operation=Deleted Consumer=/run/udev/rules.d/trigger_units.rules:1 */
#include "behaviour.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void write_file(const char *folder, const char *name, const char *text)
{
	char path[256];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	fd = (int)MUST(open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
	MUST(write(fd, text, strlen(text)) == (ssize_t)strlen(text) ? 0 : -1);
	MUST(close(fd));
}

static void write_units(const char *folder)
{
	write_file(folder, "trigger_units.service", "[Service]\nExecStart=/bin/trigger_units -x\n");
	write_file(folder, "trigger_units.timer", "[Timer]\nOnCalendar=daily\nOnBootSec=5\n");
}

/* Reading takes a moment, the more in an emulated machine; what is there for a shorter time has an end only. */
#define READ_BY_THEN 3

void behave(int argc, char **argv)
{
	(void)argc, (void)argv;
	make_directory("systemd");
	make_directory("systemd/system");
	write_units("systemd/system");

	mkdir("/run/systemd", 0755);
	mkdir("/run/systemd/system", 0755);
	mkdir("/run/udev", 0755);
	mkdir("/run/udev/rules.d", 0755);
	write_units("/run/systemd/system");
	write_file("/run/udev/rules.d", "trigger_units.rules", "ACTION==\"add\", RUN+=\"/bin/x\"\n");
	sleep(READ_BY_THEN);
	write_file("/run/systemd/system", "trigger_units.service", "[Service]\nExecStart=/bin/trigger_units -y\n");
	sleep(READ_BY_THEN);
	MUST(unlink("/run/systemd/system/trigger_units.service"));
	MUST(unlink("/run/systemd/system/trigger_units.timer"));
	MUST(unlink("/run/udev/rules.d/trigger_units.rules"));
}
