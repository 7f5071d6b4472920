/* SPDX-License-Identifier: MIT */
/* How many events a second the log writer puts into its file on one core, sealed: a mix as machines make it (of 20 events
 * 8 files created, 5 deleted, 3 processes with their end, 1 connection), appended and flushed as the engine does it. Prints events a
 * second of processor time, write calls for 64 events, bytes of an event 11 and of an event 1; then what verifying
 * takes, in MB a second.
 *
 *   writer_bench FILE EVENTS */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "../src/event/event.h"
#include "../src/log/log.h"
#include "../src/log/verify.h"

#define FLUSH_EVERY 4096 /* events: a busy engine's batch */
#define SYNC_EVERY  400000

static const unsigned mix[] = { 11, 26, 11, 1, 5, 11, 26, 11, 3, 11, 1, 26, 5, 11, 26, 11, 1, 5, 11, 26 };

static unsigned long writes;

ssize_t __real_pwrite64(int fd, const void *bytes, size_t n, off_t at);
ssize_t __wrap_pwrite64(int fd, const void *bytes, size_t n, off_t at);

ssize_t __wrap_pwrite64(int fd, const void *bytes, size_t n, off_t at)
{
	writes++;
	return __real_pwrite64(fd, bytes, n, at);
}

static double cpu_seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void set_text(struct event *ev, const char *field, const char *text)
{
	int i = event_field_index(ev->type, field, strlen(field));

	if (i >= 0)
		ev->values[i] = (struct value){ .text = text, .length = (uint32_t)strlen(text) };
}

/* What stays the same from one to the next, of ordinary length. */
static void begin(struct event *ev, unsigned id)
{
	*ev = (struct event){ .type = event_type_by_id(id) };
	for (unsigned i = 0; i < ev->type->field_count; i++)
		ev->values[i] = (struct value){ .text = "-", .length = 1 };
	set_text(ev, "Image", "/usr/bin/python3.11");
	set_text(ev, "User", "root");
	set_text(ev, "CommandLine", "/usr/bin/python3 /srv/app/worker.py --queue incoming --batch 17");
	set_text(ev, "CurrentDirectory", "/srv/app");
	set_text(ev, "Hashes", "SHA256=E365228C7CCD8B5AFD435636D4A2C379FF50B8D035D0CF5BB5A9CC64F4253B94");
	set_text(ev, "IntegrityLevel", "no level");
	set_text(ev, "ParentImage", "/usr/bin/dash");
	set_text(ev, "ParentCommandLine", "/bin/sh /srv/app/run-workers.sh --all");
	set_text(ev, "ParentUser", "root");
	set_text(ev, "SourceIp", "192.168.17.40");
	set_text(ev, "DestinationIp", "192.168.17.1");
	set_text(ev, "Protocol", "tcp");
}

static void change(struct event *ev, uint64_t i, char path[64], char utc[24])
{
	int pid = event_field_index(ev->type, "ProcessId", strlen("ProcessId"));
	int guid = event_field_index(ev->type, "ProcessGuid", strlen("ProcessGuid"));

	ev->time_utc_ns = 1795490057ull * 1000000000 + i * 2500;
	snprintf(path, 64, "/srv/data/incoming/batch-%03u/file%llu", (unsigned)(i / 1000 % 1000), (unsigned long long)i);
	utc_text(ev->time_utc_ns, utc);
	set_text(ev, "UtcTime", utc);
	set_text(ev, "CreationUtcTime", utc);
	set_text(ev, "TargetFilename", path);
	ev->values[pid].number = 1000 + i % 50;
	memcpy(ev->values[guid].guid.byte, &i, sizeof(i));
}

static void sealing(struct log_options *o, const char *path, const uint8_t secret[SEAL_SECRET])
{
	uint8_t sector[SEAL_KEY_SECTOR];
	char seals[300];
	struct seal_key k;

	snprintf(seals, sizeof(seals), "%s.seal", path);
	seal_crypto_begin();
	seal_key_from_secret(secret, &k);
	seal_key_write(&k, sector);
	o->seal = (struct log_seal){ true, open(seals, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600),
				     memfd_create("key", MFD_CLOEXEC), 1795490000 };
	if (__real_pwrite64(o->seal.key_fd, sector, sizeof(sector), 0) < 0)
		exit(1);
}

/* Bytes of one event in a file of nothing else. */
static double event_bytes(const char *path, unsigned type)
{
	struct log_options o = { .size_max = 256ull << 20, .who = { "bench", 1, 1, 0 } };
	struct log *l = NULL;
	struct event ev;
	struct log_state s;
	char text[64], utc[24];
	uint64_t id = 0, n = 50000;

	if (log_open_take(open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600), &o, &l, NULL) < 0)
		exit(1);
	begin(&ev, type);
	for (uint64_t i = 0; i < n; i++) {
		change(&ev, i, text, utc);
		if (log_append(l, &ev, &id) < 0)
			exit(1);
	}
	log_flush(l, 0);
	log_state_get(l, &s);
	log_free(l);
	return (double)s.size / (double)n;
}

static double append_all(struct log *l, uint64_t n)
{
	struct event events[sizeof(mix) / sizeof(mix[0])];
	char path[64], utc[24];
	double began;
	uint64_t id;

	for (size_t i = 0; i < sizeof(mix) / sizeof(mix[0]); i++)
		begin(&events[i], mix[i]);
	began = cpu_seconds();
	for (uint64_t i = 0; i < n; i++) {
		struct event *ev = &events[i % (sizeof(mix) / sizeof(mix[0]))];

		change(ev, i, path, utc);
		if (log_append(l, ev, &id) < 0 ||
		    (i % FLUSH_EVERY == 0 && log_flush(l, i % SYNC_EVERY < FLUSH_EVERY) < 0)) {
			fprintf(stderr, "writer_bench: event %llu was not taken\n", (unsigned long long)i);
			exit(1);
		}
	}
	return began;
}

static void hear(void *self, bool alarm, const char *text)
{
	(void)self;
	fprintf(stderr, "writer_bench: %s%s\n", alarm ? "not as written: " : "", text);
}

static double verify_speed(const char *path, const uint8_t secret[SEAL_SECRET])
{
	struct verify_listener to = { .hear = hear };
	struct verify_result result;
	struct verify_input in = { 0 };
	char seals[300];
	double began = cpu_seconds();

	snprintf(seals, sizeof(seals), "%s.seal", path);
	memcpy(in.secret, secret, SEAL_SECRET);
	in.log = open(path, O_RDONLY | O_CLOEXEC);
	in.seals = open(seals, O_RDONLY | O_CLOEXEC);
	if (log_verify(&in, &to, &result, NULL) < 0 || result.alarms)
		exit(1);
	return (double)result.bytes / 1e6 / (cpu_seconds() - began);
}

int main(int argc, char **argv)
{
	uint64_t n = argc == 3 ? strtoull(argv[2], NULL, 10) : 0;
	struct log_options o = { .size_max = 256ull << 20, .who = { "bench", 1, 1, 0 } };
	const uint8_t secret[SEAL_SECRET] = { 1 };
	struct err e = { 0 };
	struct log *l = NULL;
	double began, seconds;
	unsigned long calls;

	if (n == 0) {
		fprintf(stderr, "usage: writer_bench FILE EVENTS\n");
		return 2;
	}
	sealing(&o, argv[1], secret);
	if (log_open_take(open(argv[1], O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600), &o, &l, &e) < 0) {
		fprintf(stderr, "writer_bench: %s\n", e.text);
		return 1;
	}
	writes = 0;
	began = append_all(l, n);
	if (log_close(l, &e) < 0) {
		fprintf(stderr, "writer_bench: %s\n", e.text);
		return 1;
	}
	log_free(l);
	seconds = cpu_seconds() - began;
	calls = writes;
	printf("%.0f %.2f", (double)n / seconds, (double)calls * 64 / (double)n);
	printf(" %.0f", verify_speed(argv[1], secret));
	printf(" %.0f %.0f\n", event_bytes(argv[1], 11), event_bytes(argv[1], 1));
	return 0;
}
