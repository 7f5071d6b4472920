/* SPDX-License-Identifier: MIT */
/* For crash.py: writes a sealed log on a disk whose every write is recorded, and judges what a power cut left of it.
 *
 *   crash_writer write FOLDER DEVICE OFFSET COMMITS   into FOLDER; what is acknowledged is noted on the device itself, so
 *                                                     that it stands in the recording at its place
 *   crash_writer check                                reads lines "FOLDER ACKNOWLEDGED", answers each: well, or why not */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../../src/evtx/reader.h"
#include "../../src/log/log.h"
#include "../../src/log/verify.h"
#include "../known_text.h"

#define SIZE_MAX_LOG (1u << 20)
#define NOTE_SIZE    512

static const uint8_t secret[SEAL_SECRET] = { 7, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15 };
enum { LOG, SEALS, KEY, FILES };
static const char *const names[] = { "log.evtx", "log.evtx.seal", "seal.key" };

static uint64_t random_below(uint64_t n)
{
	static uint64_t state = 88172645463325252u;

	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (state >> 11) % n;
}

/* ---- writing --------------------------------------------------------------------------------------- */

static void must(int r, const char *what)
{
	if (r < 0) {
		fprintf(stderr, "crash_writer: %s: %s\n", what, strerror(errno));
		exit(1);
	}
}

static void open_files(const char *folder, int flags, int files[FILES])
{
	char path[300];

	for (int i = 0; i < FILES; i++) {
		snprintf(path, sizeof(path), "%s/%s", folder, names[i]);
		files[i] = open(path, O_RDWR | O_CLOEXEC | flags, 0600);
	}
}

/* As an installation makes it: it is there before the log. */
static void make_key(const char *folder)
{
	uint8_t sectors[2 * SEAL_KEY_SECTOR] = { 0 };
	struct seal_key k;
	int files[FILES];

	open_files(folder, O_CREAT, files);
	seal_key_from_secret(secret, &k);
	seal_key_write(&k, sectors);
	must((int)pwrite(files[KEY], sectors, sizeof(sectors), 0), "writing the key");
	must(fsync(files[KEY]), "syncing the key");
	sync();
}

static struct log *open_log_take(int files[FILES])
{
	struct log_options o = { .size_max = SIZE_MAX_LOG, .who = { "host01", 700, 701, 0 },
				 .seal = { true, files[SEALS], files[KEY], 1700000000 } };
	struct log *l = NULL;
	struct err e = { 0 };

	if (log_open_take(files[LOG], &o, &l, &e) < 0) {
		printf("not opened: %s\n", e.text);
		return NULL;
	}
	return l;
}

static void append(struct log *l, unsigned count)
{
	char text[2100];

	for (unsigned i = 0; i < count; i++) {
		uint64_t id = log_next_id(l);
		struct event ev = { .type = event_type_by_id(id % 3 ? 5 : 1), .time_utc_ns = id };

		for (unsigned f = 0; f < ev.type->field_count; f++)
			ev.values[f] = (struct value){ .text = "-", .length = 1, .number = id };
		ev.values[4] = (struct value){ .text = text, .length = known_text(id, text) };
		must(log_append(l, &ev, &id), "appending");
	}
}

static void acknowledge(int device, uint64_t offset, uint64_t id)
{
	static uint8_t note[NOTE_SIZE] __attribute__((aligned(4096)));

	memcpy(note, &id, sizeof(id));
	must((int)pwrite(device, note, sizeof(note), (off_t)offset), "noting what is acknowledged");
}

/* One life of a writer. */
static void live(const char *folder, int device, uint64_t offset, unsigned commits, bool close_it)
{
	int files[FILES];
	struct log *l;

	open_files(folder, O_CREAT, files);
	l = open_log_take(files);
	if (!l)
		exit(1);
	for (unsigned i = 0; i < commits; i++) {
		append(l, 1 + (unsigned)random_below(random_below(8) ? 12 : 120));
		must(log_flush(l, 0), "flushing");
		append(l, (unsigned)random_below(3));
		must(log_flush(l, 1), "committing");
		acknowledge(device, offset, log_next_id(l) - 1);
	}
	if (close_it)
		must(log_close(l, NULL), "closing");
	log_free(l);
}

static int write_all(const char *folder, const char *device_path, uint64_t offset, unsigned commits)
{
	int device = open(device_path, O_RDWR | O_DIRECT | O_CLOEXEC);

	must(device, device_path);
	make_key(folder);
	for (unsigned done = 0; done < commits;) {
		unsigned next = 5 + (unsigned)random_below(40);
		bool killed = random_below(2);
		pid_t child = fork();

		if (child == 0) {
			live(folder, device, offset, killed ? UINT32_MAX : next, random_below(2));
			_exit(0);
		}
		if (killed) {
			usleep((useconds_t)(next * (5000 + random_below(20000))));
			kill(child, SIGKILL);
		}
		waitpid(child, NULL, 0);
		done += next;
		for (unsigned i = 0; i < next; i++) /* another child, other numbers */
			random_below(2);
	}
	return 0;
}

/* ---- judging --------------------------------------------------------------------------------------- */

static char said[2000];

static void hear(void *self, bool alarm, const char *text)
{
	(void)self;
	if (alarm)
		snprintf(said, sizeof(said), "%s", text);
}

static const char *verify(const int files[FILES])
{
	struct verify_input in = { .log = files[LOG], .seals = files[SEALS] };
	struct verify_listener to = { .hear = hear };
	struct verify_result result;
	struct err e = { 0 };

	memcpy(in.secret, secret, sizeof(secret));
	*said = 0;
	if (log_verify(&in, &to, &result, &e) < 0)
		snprintf(said, sizeof(said), "%s", e.text);
	return *said ? said : NULL;
}

struct found {
	uint64_t lowest, highest, count;
	unsigned chunks;
};

static const char *look_at_chunk(struct evtx_reader *reader, const uint8_t *chunk, struct found *f)
{
	struct evtx_record rec;
	char text[2100];

	if (evtx_reader_begin(reader, chunk, NULL) < 0)
		return NULL;
	f->chunks++;
	for (; evtx_reader_next(reader, &rec, NULL) > 0; f->count++) {
		known_text(rec.id, text);
		if (strcmp(rec.data[4].text, text) != 0)
			return "a record is torn";
		f->lowest = f->lowest && f->lowest < rec.id ? f->lowest : rec.id;
		f->highest = f->highest > rec.id ? f->highest : rec.id;
	}
	return evtx_reader_faults(reader) ? "a chunk is unreadable" : NULL;
}

static const char *look_at_records(int log, uint64_t acknowledged)
{
	static uint8_t chunk[EVTX_CHUNK_SIZE];
	static struct evtx_reader *reader;
	struct found f = { 0 };
	const char *why = NULL;

	if (!reader && evtx_reader_new(&reader, NULL) < 0)
		return "no memory";
	for (off_t at = EVTX_FILE_HEADER_SIZE; !why && pread(log, chunk, sizeof(chunk), at) == (ssize_t)sizeof(chunk);
	     at += EVTX_CHUNK_SIZE)
		why = look_at_chunk(reader, chunk, &f);
	if (why)
		return why;
	if (f.count && f.highest - f.lowest + 1 != f.count)
		return "there is a hole";
	if (f.highest < acknowledged)
		return "acknowledged records are lost";
	/* A ring gives up the oldest for the newest, and no more than that. */
	if (f.lowest > 1 && f.chunks < SIZE_MAX_LOG / EVTX_CHUNK_SIZE - 3)
		return "more is lost than the ring gives up";
	return NULL;
}

static bool is_sealed(int seals)
{
	struct stat st;
	struct seal_entry s;
	uint8_t bytes[SEAL_SIZE];
	off_t at = SEAL_FILE_HEADER;

	for (; fstat(seals, &st) == 0 && at < st.st_size && pread(seals, bytes, sizeof(bytes), at) == (ssize_t)sizeof(bytes);
	     at += SEAL_SIZE)
		if (seal_entry_read(bytes, &s) > 0)
			return true;
	return false;
}

/* As it was left; then as the next start makes it. */
static const char *check(const char *folder, uint64_t acknowledged)
{
	int files[FILES], again[FILES];
	const char *why;
	struct log *l;

	open_files(folder, 0, files);
	if (files[KEY] < 0 || files[LOG] < 0 || files[SEALS] < 0)
		return acknowledged ? "a file is gone" : NULL;
	if (!is_sealed(files[SEALS]) && acknowledged)
		return "the seals are gone";
	why = is_sealed(files[SEALS]) ? verify(files) : NULL;
	if (why)
		return why;
	for (int i = 0; i < FILES; i++)
		again[i] = dup(files[i]);
	l = open_log_take(again);
	if (!l)
		return "it cannot be opened";
	if (log_close(l, NULL) < 0)
		return "it cannot be closed";
	log_free(l);
	why = verify(files);
	if (!why)
		why = look_at_records(files[LOG], acknowledged);
	for (int i = 0; i < FILES; i++)
		close(files[i]);
	return why;
}

static int check_all(void)
{
	char folder[300];
	unsigned long long acknowledged;

	while (scanf("%299s %llu", folder, &acknowledged) == 2) {
		const char *why = check(folder, acknowledged);

		printf("%s\n", why ? why : "well");
		fflush(stdout);
		if (why) /* what was opened stays so, and the folder could not be left */
			return 1;
	}
	return 0;
}

int main(int argc, char **argv)
{
	seal_crypto_begin();
	if (argc == 6 && strcmp(argv[1], "write") == 0)
		return write_all(argv[2], argv[3], strtoull(argv[4], NULL, 10), (unsigned)strtoul(argv[5], NULL, 10));
	if (argc == 2 && strcmp(argv[1], "check") == 0)
		return check_all();
	fprintf(stderr, "usage: crash_writer write FOLDER DEVICE OFFSET COMMITS | check\n");
	return 2;
}
