/* SPDX-License-Identifier: MIT */
/* A time set by hand, by whichever call, is told with the time before. The present time is no such one, nor is a
 * time that is left as it is; one before 1970 is.
 *
 * judges 2
 * expect 2 TargetFilename=$work/path CreationUtcTime="2001-09-09 01:46:40.123" PreviousCreationUtcTime=$path
 * expect 2 TargetFilename=$work/path CreationUtcTime="1966-10-31 14:13:20.000" PreviousCreationUtcTime="2001-09-09 01:46:40.123"
 * expect 2 TargetFilename=$work/descriptor CreationUtcTime="2001-09-09 01:46:40.123" PreviousCreationUtcTime=$descriptor
 * expect 2 TargetFilename=$work/utime CreationUtcTime="2001-09-09 01:46:40.000" PreviousCreationUtcTime=$utime
 * expect 2 TargetFilename=$work/utimes CreationUtcTime="2001-09-09 01:46:40.500" PreviousCreationUtcTime=$utimes
 * expect 2 TargetFilename=$work/directory/futimesat CreationUtcTime="2001-09-09 01:46:40.500"
 * expect 2 TargetFilename=$work/directory CreationUtcTime="2001-09-09 01:46:40.123"
 * expect 2 TargetFilename=$work/symbolic CreationUtcTime="2001-09-09 01:46:40.123"
 * expect 2 TargetFilename=$work/access CreationUtcTime=$access PreviousCreationUtcTime=$access
 * expect 2 TargetFilename=$work/same CreationUtcTime=$same PreviousCreationUtcTime=$same
 * expect 2 TargetFilename=$work/by-thread CreationUtcTime="2001-09-09 01:46:40.123" */
#include "behaviour.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>
#include <utime.h>

#define PAST 1000000000

static const struct timespec by_hand[2] = { { PAST, 0 }, { PAST, 123456789 } };

static void made(const char *name)
{
	char second[20];
	struct stat st;

	make_file(name);
	MUST(stat(name, &st));
	strftime(second, sizeof(second), "%F %T", gmtime(&st.st_mtime));
	say(name, "%s.%03ld", second, st.st_mtim.tv_nsec / 1000000);
}

static void by_name(void)
{
	const struct timespec early[2] = { { -100000000, 0 }, { -100000000, 0 } };

	made("path");
	MUST(utimensat(AT_FDCWD, "path", by_hand, 0));
	MUST(utimensat(AT_FDCWD, "path", early, 0));
	made("utime");
	MUST(syscall(SYS_utime, "utime", &(struct utimbuf){ PAST, PAST }));
	made("utimes");
	MUST(syscall(SYS_utimes, "utimes", (struct timeval[2]){ { PAST, 0 }, { PAST, 500000 } }));
	MUST(symlink("path", "symbolic"));
	MUST(utimensat(AT_FDCWD, "symbolic", by_hand, AT_SYMLINK_NOFOLLOW));
}

static void by_descriptor(void)
{
	int directory, file;

	made("descriptor");
	file = (int)MUST(open("descriptor", O_RDONLY | O_CLOEXEC));
	MUST(futimens(file, by_hand));
	make_directory("directory");
	make_file("directory/futimesat");
	directory = (int)MUST(open("directory", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	MUST(syscall(SYS_futimesat, directory, "futimesat", (struct timeval[2]){ { PAST, 0 }, { PAST, 500000 } }));
	MUST(futimens(directory, by_hand));
}

static void half(void)
{
	const struct timespec of_access[2] = { { PAST, 0 }, { 0, UTIME_OMIT } };
	struct stat st;

	made("access");
	MUST(utimensat(AT_FDCWD, "access", of_access, 0));
	made("same");
	MUST(stat("same", &st));
	MUST(utimensat(AT_FDCWD, "same", (struct timespec[2]){ { 0, UTIME_OMIT }, st.st_mtim }, 0));
}

static void not_by_hand(void)
{
	const struct timespec now[2] = { { 0, UTIME_NOW }, { 0, UTIME_NOW } };
	const struct timespec neither[2] = { { 0, UTIME_OMIT }, { 0, UTIME_OMIT } };
	const struct timespec one_now[2] = { { 0, UTIME_OMIT }, { 0, UTIME_NOW } };

	make_file("now");
	MUST(utimensat(AT_FDCWD, "now", NULL, 0));
	MUST(utimensat(AT_FDCWD, "now", now, 0));
	MUST(utimensat(AT_FDCWD, "now", neither, 0));
	MUST(utimensat(AT_FDCWD, "now", one_now, 0));
	MUST(syscall(SYS_utime, "now", NULL));
	MUST(chmod("now", 0600));
	MUST(utimensat(AT_FDCWD, "missing", by_hand, 0) < 0 ? 0 : -1);
}

static void *of_thread(void *nothing)
{
	make_file("by-thread");
	MUST(utimensat(AT_FDCWD, "by-thread", by_hand, 0));
	return nothing;
}

void behave(int argc, char **argv)
{
	pthread_t thread;

	(void)argc, (void)argv;
	by_name();
	by_descriptor();
	half();
	not_by_hand();
	MUST(-pthread_create(&thread, NULL, of_thread, NULL));
	MUST(-pthread_join(thread, NULL));
}
