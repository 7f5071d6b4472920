/* SPDX-License-Identifier: MIT */
/* Reading a log that another process writes at full speed, round and round: every record is either shown whole, once and in
 * its place, or not at all. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../../src/hunt/view.h"
#include "../../src/log/log.h"

#define CHUNKS     6u /* the ring is overwritten all the time */
#define READ_FOR_S 2

static char path[] = "/tmp/konseki-live-XXXXXX";
static pid_t writer;

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* What the record of this id says of itself, of any length. */
static size_t name_of(uint64_t id, char text[512])
{
	int n = snprintf(text, 512, "/srv/%llu/", (unsigned long long)id);

	for (; n < (int)(id * 2654435761u % 400); n++)
		text[n] = (char)('a' + id % 26);
	text[n] = 0;
	return (size_t)n;
}

static void __attribute__((noreturn)) write_for_ever(int fd)
{
	const struct log_options o = { .size_max = EVTX_FILE_HEADER_SIZE + CHUNKS * EVTX_CHUNK_SIZE,
				       .who = { "host", 1, 1, 0 } };
	struct event ev = { .type = event_type_by_id(11) };
	const int name = event_field_index(ev.type, "TargetFilename", strlen("TargetFilename"));
	const int pid = event_field_index(ev.type, "ProcessId", strlen("ProcessId"));
	struct log *l = NULL;
	uint64_t id = 0;
	char text[512];

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (log_open_take(fd, &o, &l, NULL) < 0)
		_exit(1);
	for (unsigned i = 0; i < ev.type->field_count; i++)
		ev.values[i] = (struct value){ .text = "-", .length = 1 };
	for (;;) {
		ev.values[name].length = (uint32_t)name_of(id + 1, text);
		ev.values[name].text = text;
		ev.values[pid].number = (id + 1) % 10007;
		if (log_append(l, &ev, &id) < 0 || (id % 7 == 0 && log_flush(l, 0) < 0))
			_exit(1);
	}
}

static int start_writer(void **state)
{
	int fd = mkstemp(path);
	struct stat st;

	(void)state;
	if (fd < 0)
		return -1;
	writer = fork();
	if (writer == 0)
		write_for_ever(fd);
	while (writer > 0 && fstat(fd, &st) == 0 && st.st_size < (off_t)EVTX_CHUNK_SIZE)
		usleep(1000);
	close(fd);
	return writer > 0 ? 0 : -1;
}

static int stop_writer(void **state)
{
	int status;

	(void)state;
	kill(writer, SIGKILL);
	waitpid(writer, &status, 0);
	unlink(path);
	return WIFSIGNALED(status) ? 0 : -1; /* else it ended by itself */
}

static void check(const struct evtx_record *rec, uint64_t *last)
{
	const struct evtx_data *name = record_value(rec, "TargetFilename");
	const struct evtx_data *pid = record_value(rec, "ProcessId");
	char wanted[512];

	if (rec->id != rec->header_id || rec->id <= *last)
		fail_msg("record %llu (header %llu) after %llu", (unsigned long long)rec->id,
			 (unsigned long long)rec->header_id, (unsigned long long)*last);
	*last = rec->id;
	name_of(rec->id, wanted);
	if (!name || !pid || strcmp(name->text, wanted) != 0 || strtoull(pid->text, NULL, 10) != rec->id % 10007)
		fail_msg("record %llu is torn", (unsigned long long)rec->id);
}

/* That records were overwritten is true; nothing else is wrong with this log. */
static void hear(void *self, const char *text)
{
	(void)self;
	if (!strstr(text, "overwritten"))
		fail_msg("%s", text);
}

static void readers_see_whole_records_once_and_in_order(void **state)
{
	const struct fault_listener listener = { .hear = hear };
	OWNED(evtx_reader) r = NULL;
	OWNED(filter) all = filter_new();
	uint64_t shown = 0, passes = 0;
	double end = now() + READ_FOR_S;

	(void)state;
	assert_int_equal(evtx_reader_new(&r, NULL), 0);
	for (; now() < end; passes++) {
		OWNED(logfile) l = NULL;
		struct evtx_record rec;
		uint64_t last = 0;

		assert_int_equal(logfile_open(path, &listener, &l, NULL), 0);
		for (size_t i = 0; i < logfile_count(l); i++) {
			if (!view_begin(l, i, r, all))
				continue;
			for (; view_next(l, r, all, &rec); shown++)
				check(&rec, &last);
			logfile_end_chunk(l, r);
		}
	}
	assert_true(passes > 3 && shown > 1000);
}

struct followed {
	uint64_t last, count;
	char line[1024];
	size_t n;
};

/* Takes apart what a follower prints: lines of JSON. */
static ssize_t take_lines(void *cookie, const char *bytes, size_t n)
{
	struct followed *f = cookie;
	char wanted[600], name[512];
	unsigned long long id;
	const char *at;

	for (size_t i = 0; i < n; i++) {
		f->line[f->n++] = bytes[i];
		assert_true(f->n < sizeof(f->line));
		if (bytes[i] != '\n')
			continue;
		f->line[f->n] = 0;
		f->n = 0;
		at = strstr(f->line, "\"EventRecordID\":");
		assert_true(at && sscanf(at, "\"EventRecordID\":%llu", &id) == 1);
		if (id <= f->last)
			fail_msg("record %llu after %llu", id, (unsigned long long)f->last);
		f->last = id;
		f->count++;
		name_of(id, name);
		snprintf(wanted, sizeof(wanted), "\"TargetFilename\":\"%s\",", name);
		if (!strstr(f->line, wanted))
			fail_msg("record %llu is torn", id);
	}
	return (ssize_t)n;
}

static void a_follower_shows_whole_records_once_and_in_order(void **state)
{
	const struct fault_listener listener = { .hear = hear };
	const cookie_io_functions_t io = { .write = take_lines };
	static struct followed followed;
	OWNED(logfile) l = NULL;
	OWNED(filter) all = filter_new();
	struct view v = { .form = RENDER_JSON, .filter = all, .to = fopencookie(&followed, "w", io) };
	int ends[2];
	pid_t stopper;

	(void)state;
	assert_int_equal(pipe(ends), 0);
	stopper = fork();
	if (stopper == 0) {
		sleep(READ_FOR_S);
		_exit(0);
	}
	close(ends[1]);
	assert_int_equal(logfile_open(path, &listener, &l, NULL), 0);
	assert_int_equal(view_follow(l, view_newest(l), &v, ends[0], NULL), 0);
	fclose(v.to);
	close(ends[0]);
	waitpid(stopper, NULL, 0);
	assert_true(followed.count > 1000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(readers_see_whole_records_once_and_in_order),
		cmocka_unit_test(a_follower_shows_whole_records_once_and_in_order),
	};

	return cmocka_run_group_tests(tests, start_writer, stop_writer);
}
