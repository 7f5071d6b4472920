/* SPDX-License-Identifier: MIT */
/* The sensor alone, for those who work on it: attaches everything and prints each record as one line.
 *
 *   sensor_dump [SECONDS]     0 or nothing: until interrupted
 *
 * Its own doings are left out. At the end: how each event is seen, and the tally. */
#include <arpa/inet.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../../src/collect/ring.h"
#include "../../src/collect/sensor.h"

static volatile sig_atomic_t stopped;

static void stop(int signal_number)
{
	(void)signal_number;
	stopped = 1;
}

static void put_bytes(const char *bytes, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		if (bytes[i] >= ' ' && bytes[i] < 0x7f && bytes[i] != '\\')
			putchar(bytes[i]);
		else
			printf("\\x%02X", (unsigned char)bytes[i]);
}

#define PUT_TEXT(name)    (printf(" " #name "="), put_bytes(record_text(&rec->hdr, rec->name), rec->name.len))
#define PUT_STRING(name)  PUT_TEXT(name)
#define PUT_U16(name)     printf(" " #name "=%u", rec->name)
#define PUT_U32(name)     printf(" " #name "=%u", rec->name)
#define PUT_U64(name)     printf(" " #name "=%llu", (unsigned long long)rec->name)
#define PUT_BOOL(name)    printf(" " #name "=%u", rec->name)
#define PUT_ADDRESS(name) put_address(" " #name "=", &rec->name)
#define PUT_WHO(name)     printf(" " #name "=%u/%u", rec->name.tgid, rec->name.tid)
#define PUT_FILE_ID(name) put_file_id(" " #name "=", &rec->name)

static void put_address(const char *name, const struct ks_address *a)
{
	char text[INET6_ADDRSTRLEN];

	printf("%s%s", name, inet_ntop(AF_INET6, a->byte, text, sizeof(text)));
}

static void put_file_id(const char *name, const struct ks_file_id *id)
{
	printf("%s%x:%llu:%u:%llu", name, id->dev, (unsigned long long)id->ino, id->nlink,
	       (unsigned long long)id->size);
}

/* One function a record type, from its rows. */
#define EVENT(ev, ...)                                                                             \
	static void put_##ev(const struct ks_rec_##ev *rec)                                        \
	{                                                                                          \
		printf(#ev);                                                                       \
		printf(" tgid=%u tid=%u uid=%u exec=%llu start=%llu flags=%x", rec->hdr.who.tgid,  \
		       rec->hdr.who.tid, rec->hdr.who.uid, (unsigned long long)rec->hdr.who.exec_id, \
		       (unsigned long long)rec->hdr.who.start_ns, rec->hdr.flags);
#define RECORD(rec)          EVENT(rec)
#define WIRE(ev, name, type) PUT_##type(name);
#define RAW(ev, name, type)  PUT_##type(name);
#define END(ev)                                                                                    \
		putchar('\n');                                                                     \
	}
#include "../../schema/events.def"

static void put_record(const struct ks_hdr *hdr)
{
	switch (hdr->type) {
#define EVENT(ev, ...) case KS_##ev: put_##ev((const void *)hdr); break;
#define RECORD(rec)    EVENT(rec)
#include "../../schema/events.def"
	}
}

static const char *const names[KS_RECORD_COUNT] = {
#define EVENT(ev, ...) [KS_##ev] = #ev,
#define RECORD(rec)    EVENT(rec)
#include "../../schema/events.def"
};

static void put_snapshot(struct sensor *s)
{
	static char rows[1 << 20];
	struct err e;
	OWNED_FD fd = sensor_snapshot(s, &e);
	size_t have = 0;
	ssize_t n;

	while ((n = read(fd, rows + have, sizeof(rows) - have)) > 0) {
		const char *at = rows;

		have += (size_t)n;
		while (record_check((const void *)at, have) == 0) {
			const struct ks_hdr *hdr = (const void *)at;

			put_record(hdr);
			at += hdr->size;
			have -= hdr->size;
		}
		memmove(rows, at, have);
	}
	if (n < 0 || have)
		printf("# snapshot broken: %s, %zu bytes left\n", strerror(errno), have);
}

static void put_how(const struct sensor *s)
{
	printf("# kernel kind %c\n", sensor_kind(s) == KERNEL_FULL ? 'F' : 'T');
	for (unsigned i = 1; i < KS_RECORD_COUNT; i++)
		if (sensor_how(s, i))
			printf("# %s by %s\n", names[i], sensor_how(s, i));
}

static void put_tally(const struct rings *rings)
{
	struct rings_tally t;

	rings_tally(rings, &t);
	for (unsigned i = 1; i < KS_RECORD_COUNT; i++)
		if (t.produced[i])
			printf("# %s produced %llu lost %llu read %llu\n", names[i],
			       (unsigned long long)t.produced[i], (unsigned long long)t.lost[i],
			       (unsigned long long)t.read[i]);
	printf("# corrupt %llu gaps %llu path_unknown %llu missed %llu\n",
	       (unsigned long long)t.corrupt, (unsigned long long)t.gaps,
	       (unsigned long long)t.path_unknown, (unsigned long long)t.missed);
}

static void put_records(struct rings *rings, long seconds)
{
	const struct timespec pause = { .tv_nsec = 10000000 };
	long ticks = seconds * 100;
	const struct ks_hdr *hdr;

	while (!stopped && (!seconds || ticks-- > 0)) {
		while (!stopped && (hdr = rings_next(rings)))
			put_record(hdr);
		rings_release(rings);
		fflush(stdout);
		nanosleep(&pause, NULL);
	}
	while ((hdr = rings_next(rings)))
		put_record(hdr);
}

int main(int argc, char **argv)
{
	struct sensor_options o = { .wanted = { 0 } };
	struct sensor_handles h;
	OWNED(sensor) s = NULL;
	OWNED(rings) rings = NULL;
	struct err e = { 0 };
	int r;

	memset(o.wanted, true, sizeof(o.wanted));
	signal(SIGINT, stop);
	signal(SIGTERM, stop);
	r = sensor_new(&o, &s, &e);
	if (r == 0)
		r = sensor_ignore(s, (uint32_t)getpid(), &e);
	if (r == 0)
		r = sensor_attach(s, &e);
	if (r == 0) {
		sensor_handles(s, &h);
		r = rings_map(h.ring, h.ring_bytes, h.counters, h.cpus, &rings, &e);
	}
	if (r < 0) {
		fprintf(stderr, "sensor_dump: %s\n", e.text);
		return 1;
	}
	put_how(s);
	put_snapshot(s);
	printf("# attached\n");
	fflush(stdout);
	put_records(rings, argc > 1 ? atol(argv[1]) : 0);
	put_tally(rings);
	return 0;
}
