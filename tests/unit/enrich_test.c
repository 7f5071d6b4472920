/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <arpa/inet.h>
#include <unistd.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <cmocka.h>

#include "../../src/enrich/enrich.h"
#include "../../src/enrich/hash.h"
#include "../../src/enrich/names.h"
#include "../../src/enrich/packages.h"
#include "../../src/enrich/process.h"
#include "../../src/enrich/soname.h"
#include "../../src/rules/ruleset.h"

static int file_with(const char *content, size_t n)
{
	char path[] = "/tmp/konseki-test-XXXXXX";
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	unlink(path);
	assert_int_equal(write(fd, content, n), n);
	lseek(fd, 0, SEEK_SET);
	return fd;
}

static const char passwd[] = "root:x:0:0:root:/root:/bin/sh\nalice:x:1000:1000::/:/bin/sh\n"
			     "toor:x:0:0::/:/bin/sh\nbroken line\n";
static const char services[] = "# comment\nhttps 443/tcp\nhttps 443/udp # both\ndomain\t53/udp\nx y/z\n";

/* --- what the engine would ask the monitor for */

static struct enrich *en;
static int exe_to_give = -1; /* answered once */
static const struct ks_hdr *waiting; /* found by catch_up, once */

static int give_exe(void *c, uint32_t tgid, uint64_t start)
{
	int fd = exe_to_give;

	(void)c, (void)tgid, (void)start;
	exe_to_give = -1;
	return fd;
}

static int give_mapped(void *c, uint32_t tgid, uint64_t start, uint64_t from, uint64_t to)
{
	(void)from, (void)to;
	return give_exe(c, tgid, start);
}

static int give_library(void *c, const char *path, size_t length)
{
	(void)path, (void)length;
	return give_exe(c, 0, 0);
}

static int give_cmdline(void *c, uint32_t tgid, uint64_t start)
{
	(void)c, (void)tgid, (void)start;
	return file_with("init\0--flag", 12);
}

static int give_passwd(void *c)
{
	(void)c;
	return file_with(passwd, sizeof(passwd) - 1);
}

static int give_services(void *c)
{
	(void)c;
	return file_with(services, sizeof(services) - 1);
}

static void nothing_to_watch(void *c, uint32_t tgid, uint64_t start)
{
	(void)c, (void)tgid, (void)start;
}

static void no_pins(void *c)
{
	(void)c;
}

static void find_waiting(void *c)
{
	static uint8_t memory[1 << 16];
	struct arena arena = { memory, sizeof(memory), 0 };
	const struct ks_hdr *rec = waiting;
	struct event ev;

	(void)c;
	waiting = NULL;
	if (rec)
		enrich_record(en, rec, &arena, &ev);
}

static int make_enrich_with(bool context)
{
	const struct enrich_options o = {
		.context = context,
		.guid = { { 0x4f, 0x7a, 0x0c, 0xfa }, 1588845000000000000u },
		.full_capabilities = 0x1ffffffffff,
		.ask = { NULL, give_exe, give_mapped, give_library, give_cmdline, give_passwd, give_services,
			 nothing_to_watch, no_pins, find_waiting },
	};
	struct err e;

	assert_int_equal(enrich_new(&o, &en, &e), 0);
	enrich_tick(en, 1000000000u, 1588845000000000000u);
	return 0;
}

static int make_enrich(void **state)
{
	(void)state;
	return make_enrich_with(false);
}

static int make_enrich_with_context(void **state)
{
	(void)state;
	return make_enrich_with(true);
}

static int drop_enrich(void **state)
{
	(void)state;
	enrich_free(en);
	en = NULL;
	return 0;
}

/* --- records, as the hooks would write them */

static __attribute__((noinline)) struct ks_text put(struct ks_hdr *hdr, const char *bytes, size_t n)
{
	struct ks_text t = { (uint16_t)hdr->size, (uint16_t)n };

	memcpy((char *)hdr + hdr->size, bytes, n);
	hdr->size += (uint32_t)n;
	return t;
}

#define RECORD_OF(name, rec, ...)                                                                  \
	static _Alignas(8) uint8_t rec##_bytes[16384];                                             \
	struct ks_rec_##name *rec = memset(rec##_bytes, 0, sizeof(rec##_bytes));                   \
	rec->hdr = (struct ks_hdr){ .size = sizeof(*rec), .type = KS_##name, .who = { __VA_ARGS__ } }

static const char *field(const struct event *ev, const char *name)
{
	static char copies[4][8192];
	static unsigned turn;
	char buf[VALUE_TEXT_MAX], *copy = copies[turn++ % 4];
	int i = event_field_index(ev->type, name, strlen(name));
	const char *text;
	size_t n;

	assert_true(i >= 0);
	n = value_text(ev->type->fields[i].type, &ev->values[i], buf, &text);
	memcpy(copy, text, n);
	copy[n] = 0;
	return copy;
}

static uint8_t memory[1 << 18];
static struct arena arena = { memory, sizeof(memory), 0 };

static void a_process_guid_needs_no_stored_state(void **state)
{
	const struct guid_base base = { { 0x4f, 0x7a, 0x0c, 0xfa }, 1588845000000000000u };
	struct guid g = process_guid(&base, 238, 1318250000000u, 2);
	char text[39];

	(void)state;
	guid_text(&g, text);
	assert_string_equal(text, "{4f7a0cfa-deee-5eb3-ee00-000063f6703c}");
	g = logon_guid(&base, UINT32_MAX, 5, 7);
	assert_true(guid_is_zero(&g));
}

static void the_first_of_several_names_is_the_name(void **state)
{
	OWNED(names) users = NULL;
	OWNED(names) ports = NULL;
	OWNED_FD a = file_with(passwd, sizeof(passwd) - 1);
	OWNED_FD b = file_with(services, sizeof(services) - 1);

	(void)state;
	assert_int_equal(names_load_users(a, &users), 0);
	assert_string_equal(names_find(users, 0), "root");
	assert_string_equal(names_find(users, 1000), "alice");
	assert_null(names_find(users, 1));
	assert_int_equal(names_load_services(b, &ports), 0);
	assert_string_equal(names_find(ports, names_service_key(443, 6)), "https");
	assert_string_equal(names_find(ports, names_service_key(53, 17)), "domain");
	assert_null(names_find(ports, names_service_key(53, 6)));
}

static void an_exec_is_complete(void **state)
{
	static const char argv[] = "ls\0-la\0/tmp/\xff\0"; /* an empty argument at the end */
	struct event ev;
	RECORD_OF(PROCESS_FORK, born, .tgid = 10, .tid = 10, .start_ns = 1000, .exec_id = 4, .uid = 0);
	RECORD_OF(PROCESS_CREATE, shell, .tgid = 10, .tid = 10, .start_ns = 1000, .exec_id = 4);
	RECORD_OF(PROCESS_CREATE, ls, .tgid = 11, .tid = 11, .start_ns = 2000, .exec_id = 5, .uid = 1000);

	(void)state;
	shell->image = put(&shell->hdr, "/bin/sh", 7);
	shell->argv = put(&shell->hdr, "sh\0", 3);
	arena_reset(&arena);
	assert_true(enrich_record(en, &shell->hdr, &arena, &ev));
	assert_string_equal(field(&ev, "IntegrityLevel"), "Medium");
	assert_string_equal(field(&ev, "CurrentDirectory"), "-");

	born->child_tgid = 11;
	born->child_start_ns = 2000;
	born->child_exec_id = 4;
	assert_false(enrich_record(en, &born->hdr, &arena, &ev));

	ls->image = put(&ls->hdr, "/bin/ls", 7);
	ls->argv = put(&ls->hdr, argv, sizeof(argv));
	ls->CurrentDirectory = put(&ls->hdr, "/a\nb", 4);
	ls->hdr.flags = KS_F_DELETED;
	ls->hdr.time_ns = 318999999999u;
	ls->parent_tgid = 1;
	ls->login_uid = 1000;
	ls->session_id = 3;
	ls->cap_effective = 1u << 21;
	arena_reset(&arena);
	assert_true(enrich_record(en, &ls->hdr, &arena, &ev));
	assert_int_equal(ev.type->id, 1);
	assert_string_equal(field(&ev, "UtcTime"), "2020-05-07 09:55:18.999");
	assert_string_equal(field(&ev, "Image"), "/bin/ls (deleted)");
	assert_string_equal(field(&ev, "CommandLine"), "ls -la /tmp/\\xFF ");
	assert_string_equal(field(&ev, "CurrentDirectory"), "/a\nb");
	assert_string_equal(field(&ev, "User"), "alice");
	assert_string_equal(field(&ev, "LogonId"), "0x3e8");
	assert_string_equal(field(&ev, "LogonGuid"), "{4f7a0cfa-0000-0000-e803-000003000000}");
	assert_string_equal(field(&ev, "IntegrityLevel"), "High");
	assert_string_equal(field(&ev, "ParentProcessId"), "10"); /* who forked it, not who adopted it */
	assert_string_equal(field(&ev, "ParentImage"), "/bin/sh");
	assert_string_equal(field(&ev, "ParentCommandLine"), "sh");
	assert_string_equal(field(&ev, "ParentUser"), "root");
	assert_string_equal(field(&ev, "Hashes"), "-");
}

static void an_event_read_before_its_exec_still_has_its_image(void **state)
{
	struct event ev;
	RECORD_OF(PROCESS_CREATE, cc, .tgid = 20, .start_ns = 1, .exec_id = 1);
	RECORD_OF(FILE_CREATE, made, .tgid = 20, .start_ns = 1, .exec_id = 1, .uid = 7);
	RECORD_OF(FILE_CREATE, late, .tgid = 20, .start_ns = 1, .exec_id = 1);
	RECORD_OF(PROCESS_CREATE, ld, .tgid = 20, .start_ns = 1, .exec_id = 2);

	(void)state;
	cc->image = put(&cc->hdr, "/bin/cc", 7);
	made->TargetFilename = put(&made->hdr, "/a.o", 4);
	made->birth_ns = 951868799500000000u;
	waiting = &cc->hdr;
	arena_reset(&arena);
	assert_true(enrich_record(en, &made->hdr, &arena, &ev));
	assert_string_equal(field(&ev, "Image"), "/bin/cc");
	assert_string_equal(field(&ev, "TargetFilename"), "/a.o");
	assert_string_equal(field(&ev, "CreationUtcTime"), "2000-02-29 23:59:59.500");
	assert_string_equal(field(&ev, "User"), "7");

	/* and one read after the next exec has the image it had when it acted */
	ld->image = put(&ld->hdr, "/bin/ld", 7);
	assert_true(enrich_record(en, &ld->hdr, &arena, &ev));
	assert_true(enrich_record(en, &late->hdr, &arena, &ev));
	assert_string_equal(field(&ev, "Image"), "/bin/cc");
	assert_string_equal(field(&ev, "TargetFilename"), "-");
	for (unsigned i = 2; i < 9; i++) { /* it is the eighth before the last now */
		ld->hdr.who.exec_id++;
		assert_true(enrich_record(en, &ld->hdr, &arena, &ev));
	}
	assert_true(enrich_record(en, &late->hdr, &arena, &ev));
	assert_string_equal(field(&ev, "Image"), "/bin/cc");
	ld->hdr.who.exec_id++;
	assert_true(enrich_record(en, &ld->hdr, &arena, &ev));
	assert_true(enrich_record(en, &late->hdr, &arena, &ev));
	assert_string_equal(field(&ev, "Image"), "-");
}

static void what_was_done_between_fork_and_exec_has_the_image_of_the_parent(void **state)
{
	struct event ev;
	RECORD_OF(PROCESS_CREATE, sh, .tgid = 30, .start_ns = 1, .exec_id = 4);
	RECORD_OF(PROCESS_FORK, fork, .tgid = 30, .start_ns = 1, .exec_id = 4);
	RECORD_OF(PROCESS_CREATE, ls, .tgid = 31, .start_ns = 2, .exec_id = 5);
	RECORD_OF(FILE_CREATE, made, .tgid = 31, .start_ns = 2, .exec_id = 4);
	RECORD_OF(PROCESS_ALIVE, row, .tgid = 32, .start_ns = 2, .exec_id = 5);

	(void)state;
	sh->image = put(&sh->hdr, "/bin/sh", 7);
	ls->image = put(&ls->hdr, "/bin/ls", 7);
	fork->child_tgid = 31;
	fork->child_start_ns = 2;
	fork->child_exec_id = 4;
	arena_reset(&arena);
	assert_true(enrich_record(en, &sh->hdr, &arena, &ev));
	assert_true(enrich_record(en, &ls->hdr, &arena, &ev)); /* as a snapshot tells it */
	enrich_record(en, &fork->hdr, &arena, &ev);
	assert_true(enrich_record(en, &made->hdr, &arena, &ev));
	assert_string_equal(field(&ev, "Image"), "/bin/sh");

	/* The same when it is known before somebody looks at what runs. */
	fork->child_tgid = made->hdr.who.tgid = row->hdr.who.tgid = 32;
	row->image = put(&row->hdr, "/bin/ls", 7);
	enrich_record(en, &fork->hdr, &arena, &ev);
	enrich_snapshot_row(en, &row->hdr);
	assert_true(enrich_record(en, &made->hdr, &arena, &ev));
	assert_string_equal(field(&ev, "Image"), "/bin/sh");
	assert_int_equal(enrich_time_of(en, &made->hdr.who, 999), 999);
	row->hdr.time_ns = 1000;
	row->hdr.who.exec_id = 6;
	enrich_snapshot_row(en, &row->hdr);
	made->hdr.who.exec_id = 5;
	assert_true(enrich_record(en, &made->hdr, &arena, &ev));
	assert_string_equal(field(&ev, "Image"), "/bin/ls");
	assert_int_equal(enrich_time_of(en, &made->hdr.who, 5000), 999);
	assert_int_equal(enrich_time_of(en, &row->hdr.who, 999), 1000);
}

static void whom_a_process_reached_for_has_a_name_too(void **state)
{
	struct event ev;
	RECORD_OF(PROCESS_CREATE, gdb, .tgid = 50, .start_ns = 1, .exec_id = 1);
	RECORD_OF(PROCESS_CREATE, victim, .tgid = 51, .start_ns = 2, .exec_id = 7);
	RECORD_OF(PROCESS_ACCESS, took, .tgid = 50, .tid = 52, .start_ns = 1, .exec_id = 1);
	RECORD_OF(REMOTE_THREAD, changed, .tgid = 50, .start_ns = 1, .exec_id = 1);
	RECORD_OF(PROCESS_TAMPERING, hollow, .tgid = 51, .start_ns = 2, .exec_id = 7);

	(void)state;
	gdb->image = put(&gdb->hdr, "/bin/gdb", 8);
	victim->image = put(&victim->hdr, "/bin/victim", 11);
	took->target = changed->target = (struct ks_who){ .tgid = 51, .tid = 53, .start_ns = 2, .exec_id = 7, .uid = 7 };
	took->access = 0x1fffff;
	changed->address = 0xabc;
	changed->module = put(&changed->hdr, "memfd:x", 7);
	changed->hdr.flags = KS_F_DELETED;
	hollow->how = KS_TAMPERED_MEMORY;

	arena_reset(&arena);
	assert_true(enrich_record(en, &gdb->hdr, &arena, &ev));
	waiting = &victim->hdr;
	assert_true(enrich_record(en, &took->hdr, &arena, &ev));
	assert_string_equal(field(&ev, "SourceImage"), "/bin/gdb");
	assert_string_equal(field(&ev, "SourceThreadId"), "52");
	assert_string_equal(field(&ev, "TargetImage"), "/bin/victim");
	assert_string_equal(field(&ev, "TargetProcessId"), "51");
	assert_string_equal(field(&ev, "TargetUser"), "7");
	assert_string_equal(field(&ev, "GrantedAccess"), "0x1fffff");
	assert_true(enrich_record(en, &changed->hdr, &arena, &ev));
	assert_string_equal(field(&ev, "NewThreadId"), "53");
	assert_string_equal(field(&ev, "StartAddress"), "0x0000000000000ABC");
	assert_string_equal(field(&ev, "StartModule"), "memfd:x (deleted)");
	assert_true(enrich_record(en, &hollow->hdr, &arena, &ev));
	assert_string_equal(field(&ev, "Image"), "/bin/victim");
	assert_string_equal(field(&ev, "Type"), "Image is memory only");
}

static void a_process_that_was_there_has_name_and_parent(void **state)
{
	struct event ev;
	RECORD_OF(PROCESS_ALIVE, init, .tgid = 1, .start_ns = 1, .exec_id = 9);
	RECORD_OF(PROCESS_ALIVE, child, .tgid = 30, .start_ns = 5, .exec_id = 1);
	RECORD_OF(PROCESS_CREATE, exec, .tgid = 30, .start_ns = 5, .exec_id = 2);
	RECORD_OF(PROCESS_TERMINATE, end, .tgid = 1, .start_ns = 1, .exec_id = 9);

	(void)state;
	init->image = put(&init->hdr, "/sbin/init", 10);
	child->image = put(&child->hdr, "/bin/child", 10);
	child->parent_tgid = 1;
	child->parent_start_ns = 1;
	enrich_snapshot_row(en, &child->hdr); /* a child may come before its parent */
	enrich_snapshot_row(en, &init->hdr);
	enrich_snapshot_parent(en, &child->hdr);
	enrich_snapshot_parent(en, &init->hdr);
	exec->image = put(&exec->hdr, "/bin/new", 8);
	arena_reset(&arena);
	assert_true(enrich_record(en, &exec->hdr, &arena, &ev));
	assert_string_equal(field(&ev, "ParentImage"), "/sbin/init");
	assert_string_equal(field(&ev, "ParentCommandLine"), "init --flag");
	assert_true(enrich_record(en, &end->hdr, &arena, &ev));
	assert_int_equal(ev.type->id, 5);
	assert_string_equal(field(&ev, "Image"), "/sbin/init");
}

/* An index of one package with one file. */
static void give_packages(const char *folder, const char *name, const char *package)
{
	const struct packages_head head = { PACKAGES_MAGIC, 1, 1, 64, 0 };
	const struct packages_file file = { 0, 32, 0, { 0 } };
	const struct packages_entry entry = { 48, 31, 31, 31 };
	const uint32_t by_digest = 0;
	char strings[64] = { 0 };
	int fd = memfd_create("packages", MFD_ALLOW_SEALING | MFD_CLOEXEC);

	snprintf(strings, 31, "%s", folder);
	snprintf(strings + 32, 16, "%s", name);
	snprintf(strings + 48, 16, "%s", package);
	assert_true(write(fd, &head, sizeof(head)) > 0 && write(fd, &file, sizeof(file)) > 0 &&
		    write(fd, &by_digest, sizeof(by_digest)) > 0 && write(fd, &entry, sizeof(entry)) > 0 &&
		    write(fd, strings, sizeof(strings)) > 0);
	assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL), 0);
	enrich_take_packages(en, fd);
	close(fd);
}

#define DIGITS "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static void context_says_where_and_in_whose_login(void **state)
{
	static const char groups[] = "cri-" DIGITS ".scope\0a,b\0kube.slice";
	struct event ev;
	RECORD_OF(PROCESS_ALIVE, init, .tgid = 1, .start_ns = 1, .exec_id = 9);
	RECORD_OF(PROCESS_CREATE, exec, .tgid = 40, .start_ns = 5, .exec_id = 2);
	RECORD_OF(PROCESS_FORK, born, .tgid = 40, .start_ns = 5, .exec_id = 2);
	RECORD_OF(FILE_CREATE, made, .tgid = 41, .start_ns = 6, .exec_id = 2);
	RECORD_OF(FILE_CREATE, ours, .tgid = 1, .start_ns = 1, .exec_id = 9);

	(void)state;
	give_packages("/usr/lib", "x.so", "lib");
	init->mnt_ns = 7;
	init->login_uid = init->session_id = UINT32_MAX;
	enrich_snapshot_row(en, &init->hdr);
	exec->image = put(&exec->hdr, "/bin/sh", 7);
	exec->CurrentDirectory = put(&exec->hdr, "/srv", 4);
	exec->script = put(&exec->hdr, "./x", 3);
	exec->cgroup = put(&exec->hdr, groups, sizeof(groups));
	exec->pid_ns = 8;
	exec->mnt_ns = 9;
	exec->login_uid = 1000;
	exec->session_id = 3;
	exec->hdr.flags = KS_F_ARGV_CUT;
	arena_reset(&arena);
	assert_true(enrich_record(en, &exec->hdr, &arena, &ev));
	assert_string_equal(field(&ev, "Context"),
			    "login=alice,session=3,container=0123456789ab,cgroup=/kube.slice/a\\x2Cb/cri-" DIGITS
			    ".scope,pidns=8,mntns=9,arguments=cut,script=/srv/x");

	born->child_tgid = 41;
	born->child_start_ns = 6;
	born->child_exec_id = 2;
	born->child_login_uid = born->child_session_id = UINT32_MAX;
	enrich_record(en, &born->hdr, &arena, &ev);
	made->hdr.flags = KS_F_RACY;
	made->TargetFilename = put(&made->hdr, "/usr/lib/x.so", 13);
	assert_true(enrich_record(en, &made->hdr, &arena, &ev));
	/* The package manager's /usr/lib is another one than that of this mount namespace. */
	assert_string_equal(field(&ev, "Context"), "container=0123456789ab,cgroup=/kube.slice/a\\x2Cb/cri-" DIGITS
						   ".scope,pidns=8,mntns=9,path=racy");

	ours->TargetFilename = put(&ours->hdr, "/usr/lib/x.so", 13);
	assert_true(enrich_record(en, &ours->hdr, &arena, &ev));
	assert_string_equal(field(&ev, "Context"), "cgroup=/,owner=lib");
}

static void context_is_nothing_unless_it_is_switched_on(void **state)
{
	struct event ev;
	RECORD_OF(PROCESS_CREATE, exec, .tgid = 40, .start_ns = 5, .exec_id = 2);

	(void)state;
	exec->image = put(&exec->hdr, "/bin/sh", 7);
	exec->login_uid = 1000;
	arena_reset(&arena);
	assert_true(enrich_record(en, &exec->hdr, &arena, &ev));
	assert_string_equal(field(&ev, "Context"), "-");
}

static void addresses_are_written_as_the_library_writes_them(void **state)
{
	struct event ev;
	char text[INET_ADDRSTRLEN];
	RECORD_OF(NETWORK_CONNECT, c, .tgid = 40, .start_ns = 1);

	(void)state;
	c->source = (struct ks_address){ { [10] = 0xff, 0xff } };
	for (unsigned i = 0; i < 256; i++) {
		uint8_t *part = c->source.byte + 12;

		part[0] = (uint8_t)i;
		part[1] = (uint8_t)(255 - i);
		part[2] = 0;
		part[3] = (uint8_t)(i * 7);
		inet_ntop(AF_INET, part, text, sizeof(text));
		arena_reset(&arena);
		assert_true(enrich_record(en, &c->hdr, &arena, &ev));
		assert_string_equal(field(&ev, "SourceIp"), text);
	}
}

static void a_connection_shows_both_ends(void **state)
{
	struct event ev;
	RECORD_OF(NETWORK_CONNECT, c, .tgid = 40, .start_ns = 1);

	(void)state;
	c->Initiated = 1;
	c->source = (struct ks_address){ { [10] = 0xff, 0xff, 10, 0, 2, 15 } };
	c->destination = (struct ks_address){ { 0x20, 1, 0xd, 0xb8, [15] = 1 } };
	c->SourcePort = 50000;
	c->DestinationPort = 443;
	c->transport = 6;
	arena_reset(&arena);
	assert_true(enrich_record(en, &c->hdr, &arena, &ev));
	assert_string_equal(field(&ev, "Protocol"), "tcp");
	assert_string_equal(field(&ev, "Initiated"), "true");
	assert_string_equal(field(&ev, "SourceIsIpv6"), "false");
	assert_string_equal(field(&ev, "SourceIp"), "10.0.2.15");
	assert_string_equal(field(&ev, "SourcePort"), "50000");
	assert_string_equal(field(&ev, "SourcePortName"), "-");
	assert_string_equal(field(&ev, "DestinationIsIpv6"), "true");
	assert_string_equal(field(&ev, "DestinationIp"), "2001:db8::1");
	assert_string_equal(field(&ev, "DestinationPortName"), "https");
	assert_string_equal(field(&ev, "Image"), "-");
}

/* --- memory */

/* In turn alone, and as the child of one that has run what the child still runs. */
static void the_dead_are_remembered_up_to_some_memory(void **state)
{
	static char command[KS_ARGV_MAX];
	OWNED(process_table) t = NULL;
	const unsigned count = 6000;

	(void)state;
	assert_int_equal(process_table_new(&t), 0);
	for (unsigned i = 0; i < count; i++) {
		struct process *p = process_ensure(t, 1000 + i, 1);

		assert_non_null(p);
		if (i % 2)
			process_forked(p, process_find(t, 1000 + i - 1, 1));
		else
			process_executed_take(p, (struct identity){
				.guid = { { 1 } }, .image = image_new((struct image_text){ "/bin/x", 6 },
				(struct image_text){ command, sizeof(command) }, (struct image_text){ NULL, 0 }) });
	}
	for (unsigned i = 0; i < count; i++)
		process_ended(t, process_find(t, 1000 + i, 1), 2);
	assert_null(process_find(t, 1000, 1));
	assert_null(process_find(t, 1000 + count - 5000, 1));
	assert_non_null(process_find(t, 1000 + count - 1000, 1));
	assert_non_null(process_find(t, 1000 + count - 1, 1));
	assert_int_equal(process_count(t), 0);
}

/* --- digests */

static struct ks_file_id id_of(int fd)
{
	struct stat st;

	fstat(fd, &st);
	return (struct ks_file_id){
		.ino = st.st_ino,
		.size = (uint64_t)st.st_size,
		.mtime_ns = (uint64_t)st.st_mtim.tv_sec * 1000000000u + (uint64_t)st.st_mtim.tv_nsec,
		.ctime_ns = (uint64_t)st.st_ctim.tv_sec * 1000000000u + (uint64_t)st.st_ctim.tv_nsec,
		.dev = major(st.st_dev) << 20 | minor(st.st_dev),
	};
}

#define SHA256_ABC "SHA256=BA7816BF8F01CFEA414140DE5DAE2223B00361A396177A9CB410FF61F20015AD"

static void a_pinned_file_is_hashed_though_it_is_gone(void **state)
{
	OWNED(hashes) h = NULL;
	int fd = file_with("abc", 3);
	struct ks_file_id id = id_of(fd);
	struct err e;
	int is_executable = 7;

	(void)state;
	assert_int_equal(hashes_new(&h, &e), 0);
	hashes_pin_take(h, fd, 77, 1);
	assert_string_equal(hashes_of_known(h, &id, 77, id.ctime_ns + 1000000000u), SHA256_ABC);
	/* the pin is gone, the cache knows */
	assert_string_equal(hashes_of_known(h, &id, 78, id.ctime_ns + 1000000000u), SHA256_ABC);
	assert_string_equal(hashes_of_deleted(h, &id, &is_executable), SHA256_ABC);
	assert_int_equal(is_executable, 0);
	id.ctime_ns++;
	assert_null(hashes_of_known(h, &id, 77, id.ctime_ns + 1000000000u));
	assert_null(hashes_of_deleted(h, &id, &is_executable));
}

static void a_file_changed_just_before_is_not_cached(void **state)
{
	OWNED(hashes) h = NULL;
	int fd = file_with("abc", 3);
	struct ks_file_id id = id_of(fd);
	struct err e;

	(void)state;
	assert_int_equal(hashes_new(&h, &e), 0);
	hashes_pin_take(h, fd, 77, 1);
	assert_string_equal(hashes_of_known(h, &id, 77, id.ctime_ns), SHA256_ABC);
	assert_null(hashes_of_known(h, &id, 77, id.ctime_ns));
}

static void a_file_that_changed_since_has_no_digest(void **state)
{
	OWNED(hashes) h = NULL;
	OWNED_FD fd = file_with("abc", 3);
	struct ks_file_id id = id_of(fd);
	struct err e;

	(void)state;
	assert_int_equal(hashes_new(&h, &e), 0);
	usleep(20000);
	assert_int_equal(pwrite(fd, "xyz", 3, 0), 3);
	assert_null(hashes_of_fd(h, fd, &id, id.ctime_ns + 1000000000u));
}

/* Sparse ones cost nothing to make. */
static const char *digest_of_size(struct hashes *h, off_t size)
{
	OWNED_FD fd = file_with("abc", 3);
	struct ks_file_id id;

	assert_int_equal(ftruncate(fd, size), 0);
	id = id_of(fd);
	return hashes_of_fd(h, fd, &id, id.ctime_ns);
}

static void many_large_files_have_no_digest_but_small_ones_have(void **state)
{
	OWNED(hashes) h = NULL;
	struct err e;

	(void)state;
	assert_int_equal(hashes_new(&h, &e), 0);
	assert_non_null(digest_of_size(h, 700 << 20));
	assert_null(digest_of_size(h, 700 << 20));
	assert_non_null(digest_of_size(h, 300 << 20));
	assert_null(digest_of_size(h, 300 << 20));
	assert_non_null(digest_of_size(h, 3));
	for (int i = 0; i < 3; i++)
		hashes_tick(h);
	assert_non_null(digest_of_size(h, 300 << 20));
}

static void all_algorithms_come_in_sysmons_order(void **state)
{
	OWNED(hashes) h = NULL;
	OWNED_FD fd = file_with("abc", 3);
	struct ks_file_id id = id_of(fd);
	struct err e;

	(void)state;
	assert_int_equal(hashes_new(&h, &e), 0);
	hashes_select(h, HASH_SHA1 | HASH_MD5 | HASH_SHA256 | HASH_IMPHASH);
	assert_string_equal(hashes_of_fd(h, fd, &id, id.ctime_ns + 1000000000u),
			    "SHA1=A9993E364706816ABA3E25717850C26C9CD0D89D,"
			    "MD5=900150983CD24FB0D6963F7D28E17F72," SHA256_ABC
			    ",IMPHASH=00000000000000000000000000000000");
}

static void a_program_has_an_import_hash_of_its_own(void **state)
{
	OWNED(hashes) h = NULL;
	OWNED_FD fd = open("/bin/true", O_RDONLY | O_CLOEXEC);
	struct ks_file_id id = id_of(fd);
	struct err e;
	const char *text;

	(void)state;
	assert_int_equal(hashes_new(&h, &e), 0);
	hashes_select(h, HASH_IMPHASH);
	text = hashes_of_fd(h, fd, &id, id.ctime_ns + 1000000000u);
	assert_non_null(text);
	assert_int_equal(strlen(text), strlen("IMPHASH=") + 32);
	assert_string_not_equal(text, "IMPHASH=00000000000000000000000000000000");
}

static void a_library_says_its_name(void **state)
{
	static const struct {
		const char *path, *name;
	} files[] = {
		{ "/lib/x86_64-linux-gnu/libm.so.6", "libm.so.6" },
		{ "/lib64/ld-linux-x86-64.so.2", "ld-linux-x86-64.so.2" },
		{ "/proc/self/exe", "" }, /* no library */
		{ "/etc/passwd", "" },
		{ "/dev/null", "" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		OWNED_FD file = open(files[i].path, O_RDONLY | O_CLOEXEC);
		char name[SONAME_MAX];

		assert_true(file >= 0);
		assert_int_equal(soname_of_file(file, name), *files[i].name != 0);
		assert_string_equal(name, files[i].name);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_process_guid_needs_no_stored_state),
		cmocka_unit_test(the_first_of_several_names_is_the_name),
		cmocka_unit_test_setup_teardown(an_exec_is_complete, make_enrich, drop_enrich),
		cmocka_unit_test_setup_teardown(an_event_read_before_its_exec_still_has_its_image,
						make_enrich, drop_enrich),
		cmocka_unit_test_setup_teardown(what_was_done_between_fork_and_exec_has_the_image_of_the_parent, make_enrich,
						drop_enrich),
		cmocka_unit_test_setup_teardown(whom_a_process_reached_for_has_a_name_too, make_enrich,
						drop_enrich),
		cmocka_unit_test_setup_teardown(a_process_that_was_there_has_name_and_parent, make_enrich,
						drop_enrich),
		cmocka_unit_test_setup_teardown(context_says_where_and_in_whose_login, make_enrich_with_context,
						drop_enrich),
		cmocka_unit_test_setup_teardown(context_is_nothing_unless_it_is_switched_on, make_enrich, drop_enrich),
		cmocka_unit_test_setup_teardown(addresses_are_written_as_the_library_writes_them, make_enrich, drop_enrich),
		cmocka_unit_test_setup_teardown(a_connection_shows_both_ends, make_enrich, drop_enrich),
		cmocka_unit_test(the_dead_are_remembered_up_to_some_memory),
		cmocka_unit_test(a_pinned_file_is_hashed_though_it_is_gone),
		cmocka_unit_test(a_file_changed_just_before_is_not_cached),
		cmocka_unit_test(a_file_that_changed_since_has_no_digest),
		cmocka_unit_test(many_large_files_have_no_digest_but_small_ones_have),
		cmocka_unit_test(all_algorithms_come_in_sysmons_order),
		cmocka_unit_test(a_program_has_an_import_hash_of_its_own),
		cmocka_unit_test(a_library_says_its_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
