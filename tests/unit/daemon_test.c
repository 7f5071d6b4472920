/* SPDX-License-Identifier: MIT */
/* The small decisions of the daemon that need no processes: settings, epochs, delays, /proc. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "../../src/daemon/files.h"
#include "../../src/daemon/host.h"
#include "../../src/daemon/process_files.h"
#include "../../src/daemon/settings.h"
#include "../../src/daemon/supervisor.h"

/* --- settings */

static const struct { const char *text; int result; uint64_t bytes; } sizes[] = {
	{ "0", 0, 0 },
	{ "65536", 0, 65536 },
	{ "256M", 0, 256u << 20 },
	{ "1g", 0, 1u << 30 },
	{ "4K", 0, 4096 },
	{ "", -EINVAL, 0 },
	{ "-1", -EINVAL, 0 },
	{ " 1", -EINVAL, 0 },
	{ "1MB", -EINVAL, 0 },
	{ "1T", -EINVAL, 0 },
	{ "99999999999999999999", -EINVAL, 0 },
};

static void sizes_are_read_as_people_write_them(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		uint64_t bytes = 0;
		int r = size_parse(sizes[i].text, &bytes);

		if (r != sizes[i].result || bytes != sizes[i].bytes)
			fail_msg("'%s' gives %d, %lu", sizes[i].text, r, bytes);
	}
}

static const struct { const char *text, *complaint; uint64_t log_size; uint32_t ring; } files[] = {
	{ "", NULL, LOG_SIZE_DEFAULT, 0 },
	{ "; nothing\n[log]\n;size = 1M\n", NULL, LOG_SIZE_DEFAULT, 0 },
	{ "[log]\nsize = 64M\n[sensor]\nring = 8M\n", NULL, 64u << 20, 8u << 20 },
	{ "[log]\nsize = 64Q\n", "test:2: [log] size: not a size (such as 256M)", 0, 0 },
	{ "[log]\nsize = 1K\n", "test:2: [log] size: too small or too large", 0, 0 },
	{ "[log]\nsize = 5G\n", "test:2: [log] size: too small or too large", 0, 0 },
	{ "\n[sensor]\nring = 3M\n", "test:3: [sensor] ring: not a power of two", 0, 0 },
	{ "[log]\nsiez = 1M\n", "test:2: [log] siez: no such setting", 0, 0 },
	{ "[text]\nsyslog = maybe\n", "test:2: [text] syslog: neither no nor yes", 0, 0 },
	{ "[text]\nident = sysmonforlinux\n", "test:2: [text] ident: neither konseki nor sysmon", 0, 0 },
	{ "[log\n", "test:1: neither [section] nor name = value", 0, 0 },
};

static void settings_are_taken_or_refused_with_their_line(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		struct settings s = { .log_size = LOG_SIZE_DEFAULT };
		FILE *from = fmemopen((void *)(uintptr_t)files[i].text, strlen(files[i].text) + 1, "r");
		struct err e = { 0 };
		int r = settings_read(from, "test", &s, &e);

		fclose(from);
		if (files[i].complaint) {
			assert_int_equal(r, -EBADMSG);
			assert_string_equal(e.text, files[i].complaint);
		} else {
			assert_int_equal(r, 0);
			assert_int_equal(s.log_size, files[i].log_size);
			assert_int_equal(s.ring_events_bytes, files[i].ring);
		}
	}
}

static const struct { const char *value; unsigned first, last; } ports[] = {
	{ "53", 53, 0 }, { " 5353\t53 ", 5353, 0 }, { "1 2 3 4 5 6 7 65535", 1, 65535 },
	/* refused */
	{ "1 2 3 4 5 6 7 8 9", 0, 0 }, { "0", 0, 0 }, { "65536", 0, 0 }, { "53,54", 0, 0 }, { "-53", 0, 0 }, { "dns", 0, 0 },
};

static void ports_of_name_servers_are_up_to_eight_numbers(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(ports); i++) {
		struct settings s = { 0 };
		char text[100];
		FILE *from;
		struct err e;
		int r;

		snprintf(text, sizeof(text), "[dns]\nports = %s\n", ports[i].value);
		from = fmemopen(text, strlen(text) + 1, "r");
		r = settings_read(from, "test", &s, &e);
		fclose(from);
		if ((r == 0) != (ports[i].first > 0) || s.dns_ports[0] != ports[i].first ||
		    s.dns_ports[KS_DNS_PORTS - 1] != ports[i].last)
			fail_msg("case %zu: %d, %u ... %u", i, r, s.dns_ports[0], s.dns_ports[KS_DNS_PORTS - 1]);
	}
}

static void text_outputs_and_context_are_settings(void **state)
{
	static char text[] = "[text]\njournal = yes\nident = sysmon\nlength = 2000\n[log]\ncontext = yes\n";
	FILE *from = fmemopen(text, strlen(text), "r");
	struct settings s = { 0 };

	(void)state;
	assert_int_equal(settings_read(from, "test", &s, NULL), 0);
	fclose(from);
	assert_true(s.text[TOLD_JOURNAL] && !s.text[TOLD_SYSLOG] && s.text_length == 2000 && s.log_context);
	assert_string_equal(s.text_ident, "sysmon");
}

static const struct { const char *before, *after; } changes[] = {
	{ "", "\n[log]\nsize = 2G\n" },
	{ "[log]\n;size = 256M\n;archive = 0\n", "[log]\nsize = 2G\n;archive = 0\n" },
	{ "[log]\nsize = 1M\n", "[log]\nsize = 2G\n" },
	{ "[log]\n;size = 256M\nsize=1M\n[sensor]\n", "[log]\n;size = 256M\nsize = 2G\n[sensor]\n" },
	{ "[sensor]\nsize = 3\n[log]\n; hello\n", "[sensor]\nsize = 3\n[log]\nsize = 2G\n; hello\n" },
};

static void a_setting_is_changed_and_the_rest_stays(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(changes); i++) {
		char *changed = settings_changed(changes[i].before, "log", "size", "2G");

		assert_string_equal(changed, changes[i].after);
		free(changed);
	}
}

/* --- the epoch of this boot */

#define S 1000000000ull
static const struct { uint64_t stored, devtmpfs, computed, expect; } epochs[] = {
	{ 0, 100 * S + 5, 101 * S, 100 * S + 5 },         /* the kernel's own word */
	{ 7, 100 * S, 100 * S, 7 },                        /* what was told once stays */
	{ 7, 0, 9000 * S, 7 },                             /* though the clock was stepped */
	{ 0, 0, 100 * S + 5, 100 * S },                    /* no devtmpfs: whole seconds */
	{ 0, 100 * S, 100 * S + 600 * S, 100 * S },        /* set right after boot */
	{ 0, 100 * S, 100 * S + 601 * S, 100 * S + 601 * S }, /* a clock that was wrong, a frozen machine */
};

static void the_epoch_is_the_same_for_the_whole_boot(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(epochs); i++)
		assert_int_equal(boot_epoch_choose(epochs[i].stored, epochs[i].devtmpfs,
						   epochs[i].computed), epochs[i].expect);
}

/* --- restarts */

static void the_first_restart_is_at_once_and_later_ones_wait(void **state)
{
	unsigned before = 0;

	(void)state;
	assert_int_equal(restart_delay_ms(1), 0);
	for (unsigned n = 2; n < 8; n++) {
		assert_true(restart_delay_ms(n) > before);
		before = restart_delay_ms(n);
	}
	assert_int_equal(restart_delay_ms(1000), restart_delay_ms(7));
}

/* --- /proc */

#define REST " S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 4711 99"
static const struct { const char *stat; int result; uint64_t ticks; } stats[] = {
	{ "1 (init)" REST, 0, 4711 },
	{ "1 (a b) c)" REST, 0, 4711 },
	{ "1 (x) S 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1)" REST, 0, 4711 }, /* a name like a line */
	{ "1 (init) S 1 2", -EBADMSG, 0 },
	{ "1 init", -EBADMSG, 0 },
	{ "", -EBADMSG, 0 },
};

static void the_start_is_found_behind_any_name(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(stats); i++) {
		uint64_t ticks = 0;

		assert_int_equal(stat_start_ticks(stats[i].stat, &ticks), stats[i].result);
		assert_int_equal(ticks, stats[i].ticks);
	}
}

static uint64_t own_start_ns(void)
{
	char text[1024];
	uint64_t ticks;

	assert_true(files_read_text("/proc/self/stat", text, sizeof(text)) > 0);
	assert_int_equal(stat_start_ticks(text, &ticks), 0);
	return ticks * 10000000;
}

static void a_number_without_its_start_opens_nothing(void **state)
{
	uint32_t pid = (uint32_t)getpid();
	char magic[4];
	int fd = process_file_open(pid, own_start_ns() + 9999999, "exe");

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(read(fd, magic, 4), 4);
	assert_memory_equal(magic, "\177ELF", 4);
	assert_int_equal(fcntl(fd, F_GETFL) & O_ACCMODE, O_RDONLY);
	close(fd);
	assert_int_equal(process_file_open(pid, own_start_ns() + 10000000, "exe"), -ESRCH);
	assert_int_equal(process_file_open(pid, 0, "exe"), -ESRCH);
	assert_int_equal(process_file_open(0, own_start_ns(), "exe"), -ESRCH);
	assert_int_equal(process_file_open(UINT32_MAX, own_start_ns(), "exe"), -ESRCH);
}

/* --- files */

static void a_frozen_file_stays_as_it_was(void **state)
{
	char name[] = "/tmp/konseki-daemon.XXXXXX", text[64] = "";
	int original = mkstemp(name), frozen, open_one;

	(void)state;
	assert_int_equal(write(original, "rules", 5), 5);
	lseek(original, 0, SEEK_SET);
	frozen = files_freeze(original, 5);
	assert_true(frozen >= 0);
	assert_int_equal(pwrite(original, "RULES", 5, 0), 5);
	assert_int_equal(pread(frozen, text, sizeof(text), 0), 5);
	assert_string_equal(text, "rules");
	assert_int_equal(pwrite(frozen, "x", 1, 0), -1);
	assert_int_equal(files_is_frozen(frozen, 5), 0);
	assert_int_equal(files_is_frozen(frozen, 4), -EFBIG);
	assert_int_equal(files_is_frozen(original, 100), -EINVAL);

	lseek(original, 0, SEEK_SET);
	assert_int_equal(files_freeze(original, 4), -EFBIG);

	assert_int_equal(files_write_frozen(name, frozen, 0600), 0);
	open_one = open(name, O_RDONLY);
	assert_int_equal(read(open_one, text, sizeof(text)), 5);
	assert_memory_equal(text, "rules", 5);
	close(open_one);
	close(original);
	close(frozen);
	unlink(name);
}

static void a_child_keeps_what_it_is_told_to(void **state)
{
	int status;
	pid_t pid = fork();

	(void)state;
	if (pid == 0) {
		int a = open("/dev/null", O_RDONLY), b = dup2(a, 100), c = dup2(a, 200), d = dup2(a, 201);
		int keep[] = { d, 1, b };

		files_close_all_but(keep, ARRAY_SIZE(keep));
		_exit(fcntl(a, F_GETFD) >= 0 || fcntl(c, F_GETFD) >= 0 || fcntl(b, F_GETFD) < 0 ||
		      fcntl(d, F_GETFD) < 0 || fcntl(2, F_GETFD) < 0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sizes_are_read_as_people_write_them),
		cmocka_unit_test(a_setting_is_changed_and_the_rest_stays),
		cmocka_unit_test(settings_are_taken_or_refused_with_their_line),
		cmocka_unit_test(ports_of_name_servers_are_up_to_eight_numbers),
		cmocka_unit_test(text_outputs_and_context_are_settings),
		cmocka_unit_test(the_epoch_is_the_same_for_the_whole_boot),
		cmocka_unit_test(the_first_restart_is_at_once_and_later_ones_wait),
		cmocka_unit_test(the_start_is_found_behind_any_name),
		cmocka_unit_test(a_number_without_its_start_opens_nothing),
		cmocka_unit_test(a_frozen_file_stays_as_it_was),
		cmocka_unit_test(a_child_keeps_what_it_is_told_to),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
