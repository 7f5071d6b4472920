/* SPDX-License-Identifier: MIT */
/* What the helper finds out, in databases made for the purpose. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utmp.h>
#include <cmocka.h>

#include "../../src/enrich/hosts.h"
#include "../../src/enrich/logins.h"
#include "../../src/enrich/packages.h"
#include "../../src/help/help.h"

static char folder[64];

static void put(const char *name, const void *bytes, size_t n)
{
	char path[256];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, n), n);
	close(fd);
}

static void put_text(const char *name, const char *text)
{
	put(name, text, strlen(text));
}

static void put_folder(const char *name)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	assert_int_equal(mkdir(path, 0755), 0);
}

static int make_folder(void **state)
{
	(void)state;
	snprintf(folder, sizeof(folder), "/tmp/konseki-help.XXXXXX");
	return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
	static const char *const names[] = { "status", "diversions", "info/shell.md5sums", "info/lib:amd64.md5sums",
					     "info/lib:i386.md5sums", "info/gone.md5sums", "info/moves.md5sums",
					     "info", "sessions/7", "sessions/8", "sessions", "proc/41/sessionid",
					     "proc/41", "proc", "utmp" };
	char path[256];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		snprintf(path, sizeof(path), "%s/%s", folder, names[i]);
		remove(path);
	}
	return rmdir(folder);
}

/* --- packages */

static const char status[] =
	"Package: shell\nStatus: install ok installed\nMaintainer: A. Person <a@example.org>\n"
	"Architecture: amd64\nVersion: 1:0.5-2\nDescription: a shell\n that speaks\nDepends: x\n\n"
	"Package: lib\nStatus: install ok installed\nArchitecture: i386\nVersion: 3\nDescription: of i386\n\n"
	"Package: lib\nStatus: install ok installed\nArchitecture: amd64\nVersion: 4\nDescription: of amd64\n\n"
	"Package: gone\nStatus: deinstall ok config-files\nVersion: 9\n\n"
	"Package: moves\nStatus: install ok unpacked\nArchitecture: all\nVersion: 7\n"; /* no blank line at its end */

#define SUM(digit) "0000000000000000000000000000000" #digit

static void make_database(void)
{
	put_text("status", status);
	put_folder("info");
	put_text("info/shell.md5sums", SUM(1) "  usr/bin/sh\n" SUM(2) "  usr/bin/other tool\nnonsense\n" SUM(1) "\n");
	put_text("info/lib:amd64.md5sums", SUM(3) "  usr/lib/64/x.so\n");
	put_text("info/lib:i386.md5sums", SUM(4) "  usr/lib/32/x.so\n");
	put_text("info/gone.md5sums", SUM(5) "  usr/bin/gone\n");
	put_text("info/moves.md5sums", SUM(6) "  usr/bin/sh\n" SUM(1) "  opt/copy");
	put_text("diversions", "/usr/bin/sh\n/usr/bin/sh.real\nmoves\n");
}

static struct packages *read_database(void)
{
	OWNED_FD fd = help_packages(folder);
	struct packages *p;

	assert_true(fd >= 0);
	assert_int_equal(packages_map(fd, &p), 0);
	return p;
}

static const struct {
	const char *path;
	uint8_t digest;
	const char *owner, *version, *original;
} files[] = {
	{ "/usr/bin/other tool", 2, "shell", "1:0.5-2", "other tool" },
	{ "/usr/bin/sh.real", 1, "shell", "1:0.5-2", "sh.real" }, /* diverted: where it lies */
	{ "/usr/bin/sh", 6, "moves", "7", "sh" },
	{ "/usr/bin/sh", 9, NULL, NULL, NULL },                     /* its bytes were changed */
	{ "/tmp/x", 2, NULL, NULL, "other tool" },                 /* a copy under another name */
	{ "/tmp/x", 1, NULL, NULL, "copy" },                       /* the first of two in order */
	{ "/opt/copy", 1, "moves", "7", "copy" },
	{ "/usr/lib/64/x.so", 3, "lib", "4", "x.so" },
	{ "/usr/lib/32/x.so", 4, "lib", "3", "x.so" },
	{ "/usr/lib/32/x.so", 3, NULL, NULL, "x.so" },
	{ "/usr/bin/gone", 5, NULL, NULL, NULL },                  /* removed but for its settings */
	{ "/usr/bin/s", 1, NULL, NULL, "copy" },
	{ "/usr/bin/shx", 1, NULL, NULL, "copy" },
	{ "sh", 8, NULL, NULL, NULL },
	{ "", 8, NULL, NULL, NULL },
};

static void same(const char *found, const char *expected)
{
	if (expected)
		assert_string_equal(found, expected);
	else
		assert_null(found);
}

static void a_file_belongs_to_the_package_that_shipped_its_bytes_under_its_path(void **state)
{
	OWNED(packages) p = NULL;

	(void)state;
	make_database();
	p = read_database();
	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		uint8_t md5[16] = { [15] = files[i].digest };
		size_t n = strlen(files[i].path);
		struct package found = { 0 };

		assert_int_equal(packages_owner(p, files[i].path, n, md5, &found), files[i].owner != NULL);
		same(found.name, files[i].owner);
		same(found.version, files[i].version);
		same(packages_original(p, files[i].path, n, md5), files[i].original);
	}
}

static void summary_and_vendor_are_those_of_the_database(void **state)
{
	OWNED(packages) p = NULL;
	struct package found;
	uint8_t md5[16] = { [15] = 2 };

	(void)state;
	make_database();
	p = read_database();
	assert_int_equal(packages_owner(p, "/usr/bin/other tool", 19, md5, &found), 1);
	assert_string_equal(found.summary, "a shell");
	assert_string_equal(found.vendor, "A. Person <a@example.org>");
}

static void without_a_database_there_is_no_index(void **state)
{
	(void)state;
	assert_int_equal(help_packages("/nonexistent"), -ENOENT);
	assert_int_equal(help_packages(folder), -EIO);
}

/* Every byte of an index changed in turn: refused, or looked up in without leaving it. */
static void a_broken_index_is_harmless(void **state)
{
	OWNED_FD good = -1;
	struct stat st;
	uint8_t *bytes;

	(void)state;
	make_database();
	good = help_packages(folder);
	assert_int_equal(fstat(good, &st), 0);
	bytes = malloc((size_t)st.st_size);
	assert_int_equal(pread(good, bytes, (size_t)st.st_size, 0), st.st_size);
	for (off_t i = 0; i < st.st_size; i++) {
		OWNED_FD fd = memfd_create("broken", MFD_ALLOW_SEALING);
		OWNED(packages) p = NULL;
		struct package found;
		uint8_t md5[16] = { [15] = 1 };

		bytes[i] ^= 0xa5;
		assert_int_equal(help_write(fd, bytes, (size_t)st.st_size), 0);
		assert_int_equal(packages_map(fd, &p), -EBADMSG); /* not sealed */
		assert_int_equal(help_seal(fd), 0);
		if (packages_map(fd, &p) == 0) {
			packages_owner(p, "/usr/bin/sh.real", 16, md5, &found);
			packages_original(p, "/tmp/x", 6, md5);
		}
		bytes[i] ^= 0xa5;
	}
	free(bytes);
}

/* --- logins */

static void put_record(struct utmp *all, size_t n)
{
	put("utmp", all, n * sizeof(*all));
}

static uint64_t login_time(uint32_t session, uint32_t uid)
{
	char sessions[100], utmp[100], proc[100];

	snprintf(sessions, sizeof(sessions), "%s/sessions", folder);
	snprintf(utmp, sizeof(utmp), "%s/utmp", folder);
	snprintf(proc, sizeof(proc), "%s/proc", folder);
	return help_login_time(&(struct help_login_places){ sessions, utmp, proc }, session, uid);
}

static void a_login_began_when_its_manager_or_its_record_says(void **state)
{
	struct utmp records[] = { { .ut_type = DEAD_PROCESS, .ut_pid = 41, .ut_tv.tv_sec = 5 },
				  { .ut_type = USER_PROCESS, .ut_pid = 41, .ut_tv.tv_sec = 1700000000 },
				  { .ut_type = USER_PROCESS, .ut_pid = 42, .ut_tv.tv_sec = 6 } };

	(void)state;
	put_folder("sessions");
	put_text("sessions/7", "# private\nUID=1000\nUSER=a\nREALTIME=1764000123456789\nAUDIT=7\n");
	put_text("sessions/8", "UID=1000\nREALTIME=x\n");
	put_folder("proc");
	put_folder("proc/41");
	put_text("proc/41/sessionid", "9");
	put_record(records, ARRAY_SIZE(records));
	assert_int_equal(login_time(7, 1000), 1764000123);
	assert_int_equal(login_time(7, 0), 0); /* another user's session of an earlier boot */
	assert_int_equal(login_time(8, 1000), 0);
	assert_int_equal(login_time(9, 1000), 1700000000);
	assert_int_equal(login_time(10, 1000), 0);
}

static void what_was_told_of_a_login_stays(void **state)
{
	OWNED(logins) l = logins_new();
	uint64_t seconds;

	(void)state;
	assert_int_equal(logins_find(l, 3, 0, &seconds), KNOWN_NOT);
	logins_settle(l, 3, 0, 5); /* nobody asked */
	assert_int_equal(logins_find(l, 3, 0, &seconds), KNOWN_NOT);
	logins_asked(l, 3, 0);
	assert_int_equal(logins_find(l, 3, 0, &seconds), KNOWN_ASKED);
	logins_settle(l, 3, 0, 0); /* it had to be told before the answer came */
	logins_settle(l, 3, 0, 77);
	assert_int_equal(logins_find(l, 3, 0, &seconds), KNOWN);
	assert_int_equal(seconds, 0);
	logins_asked(l, 3 + 4096, 0);
	assert_int_equal(logins_find(l, 3, 0, &seconds), KNOWN_NOT);
}

/* --- addresses */

static struct ks_address v4(uint8_t a, uint8_t b, uint8_t c, uint8_t d)
{
	return (struct ks_address){ { [10] = 0xff, 0xff, a, b, c, d } };
}

static void an_address_of_the_machine_has_its_name(void **state)
{
	char name[256], own[256];
	struct ks_address here = v4(127, 0, 0, 1), elsewhere = v4(192, 0, 2, 1);

	(void)state;
	setenv("RES_OPTIONS", "timeout:1 attempts:1", 1);
	assert_int_equal(gethostname(own, sizeof(own)), 0);
	assert_int_equal(help_host_name(&here, name, sizeof(name)), 0);
	assert_string_equal(name, own);
	assert_int_equal(help_host_name(&elsewhere, name, sizeof(name)), -ENOENT); /* kept for documentation */
}

static void names_are_remembered_for_a_while_and_within_bounds(void **state)
{
	OWNED(hosts) h = hosts_new();
	struct ks_address a = v4(10, 0, 0, 1);
	const char *name;
	unsigned kept = 0;

	(void)state;
	assert_int_equal(hosts_find(h, &a, 1, &name), KNOWN_NOT);
	hosts_asked(h, &a, 1);
	assert_int_equal(hosts_find(h, &a, 2, &name), KNOWN_ASKED);
	hosts_tell(h, &a, "one.example", 3);
	assert_int_equal(hosts_find(h, &a, 4, &name), KNOWN);
	assert_string_equal(name, "one.example");
	assert_int_equal(hosts_find(h, &a, 3601000000000u, &name), KNOWN_NOT);
	for (unsigned i = 0; i < 65536; i++) {
		struct ks_address other = v4(10, 1, (uint8_t)(i >> 8), (uint8_t)i);

		hosts_tell(h, &other, "x", 5);
	}
	for (unsigned i = 0; i < 65536; i++) {
		struct ks_address other = v4(10, 1, (uint8_t)(i >> 8), (uint8_t)i);

		kept += hosts_find(h, &other, 6, &name) == KNOWN;
	}
	assert_in_range(kept, 1, 2048);
}

#define WITH_FOLDER(test) cmocka_unit_test_setup_teardown(test, make_folder, remove_folder)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_FOLDER(a_file_belongs_to_the_package_that_shipped_its_bytes_under_its_path),
		WITH_FOLDER(summary_and_vendor_are_those_of_the_database),
		WITH_FOLDER(without_a_database_there_is_no_index),
		WITH_FOLDER(a_broken_index_is_harmless),
		WITH_FOLDER(a_login_began_when_its_manager_or_its_record_says),
		cmocka_unit_test(what_was_told_of_a_login_stays),
		cmocka_unit_test(an_address_of_the_machine_has_its_name),
		cmocka_unit_test(names_are_remembered_for_a_while_and_within_bounds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
