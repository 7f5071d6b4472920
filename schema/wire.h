/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* What crosses from the kernel side to user space: one header, then the fields of the record's rows
 * in schema/events.def, then the bytes of its texts. Included by bpf/ (after vmlinux.h) and by src/.
 * All integers in host order; both sides run on one machine. */
#pragma once
#ifndef __VMLINUX_H__
#include <linux/types.h>
#endif

/* What a wire type is in C. */
struct ks_text { /* bytes [off, off + len) of the record, counted from its first byte */
	__u16 off;
	__u16 len;
};

struct ks_address { /* IPv6, or IPv4 as ::ffff:a.b.c.d, in network order */
	__u8 byte[16];
};

struct ks_file_id { /* which file, and which state of it */
	__u64 ino;
	__u64 size;
	__u64 mtime_ns; /* since 1970 */
	__u64 ctime_ns;
	__u32 dev; /* as the kernel has it: 12 bits major, 20 bits minor */
	__u32 generation;
	__u32 nlink; /* of a deletion: how many are left */
	__u32 fs_magic; /* of the super block */
};

struct ks_file_key { /* which file, as key of a table */
	__u64 ino;
	__u32 dev;
	__u32 spare; /* 0 */
};

#define KS_C_TEXT    struct ks_text
#define KS_C_STRING  struct ks_text
#define KS_C_U16     __u16
#define KS_C_U32     __u32
#define KS_C_U64     __u64
#define KS_C_BOOL    __u32
#define KS_C_ADDRESS struct ks_address
#define KS_C_FILE_ID struct ks_file_id
#define KS_C_WHO     struct ks_who

/* Who: the acting process, resolved by the hook. Identity of a process image is tgid, start_ns and
 * exec_id together: exec_id is task_struct.self_exec_id, which the kernel raises at each exec. */
struct ks_who {
	__u64 start_ns; /* group_leader->start_boottime */
	__u64 exec_id;
	__u32 tgid; /* initial pid namespace, as all ids here */
	__u32 tid;
	__u32 uid; /* effective, initial user namespace */
	__u32 gid;
};

struct ks_hdr {
	__u32 size;    /* of the whole record, texts included */
	__u16 type;    /* enum ks_record */
	__u16 cpu;
	__u64 seq;     /* per ring and CPU; advances also for a record that was lost */
	__u64 time_ns; /* CLOCK_BOOTTIME of the operation */
	struct ks_who who;
	__u32 flags; /* KS_F_* */
	__u32 spare; /* 0 */
};

/* Flags: what the reader of a record must know about its truth. */
#define KS_F_PATH_CUT  0x01 /* a path was longer than we carry: its tail is kept */
#define KS_F_ARGV_CUT  0x02
#define KS_F_ARGV_GONE 0x04 /* the arguments could not be read */
#define KS_F_DELETED   0x08 /* the image had no name any more when it was executed */
#define KS_F_CHROOTED  0x10 /* the process's root is not the root of its mount namespace */
#define KS_F_RACY      0x20 /* the object was found through a descriptor table others share */
#define KS_F_IO_WORKER 0x40 /* done by an io_uring worker for its process */
#define KS_F_COMPAT    0x80 /* 32-bit system call */
#define KS_F_NO_PATH   0x100 /* the directories above the name could not be walked: shown as ?/NAME */

/* How a file came or went. */
#define KS_HOW_CREATE   1 /* open, creat, mknod */
#define KS_HOW_TRUNCATE 2 /* opened for writing with O_TRUNC though it was there */
#define KS_HOW_RENAME   3
#define KS_HOW_LINK     4
#define KS_HOW_UNLINK   5
#define KS_HOW_REPLACE  6 /* another file was renamed over it */

/* Whose time was set. */
#define KS_TIME_OBJECT        1 /* a file, directory or other object with a path */
#define KS_TIME_OBJECT_BEFORE 2 /* of which the time before is known too */
#define KS_TIME_CLOCK         3 /* the machine's clock was set back */

/* What is named for others to meet at. */
#define KS_PIPE_FIFO 1
#define KS_PIPE_UNIX 2

/* What waits for the engine's word (FILE_HELD): it writes ticket << 2 | verdict into the slot of the ticket. */
#define KS_HELD_DELETE 1 /* a file is about to be deleted */
#define KS_HELD_WRITE  2 /* what is in a file is about to be overwritten */
#define KS_VERDICTS    1024 /* slots, a power of two */
#define KS_ENGINE_SLEEPS KS_VERDICTS /* the slot behind: 1 while any record is to wake the engine */
#define KS_VERDICT_NONE 0
#define KS_VERDICT_GO   1
#define KS_VERDICT_DENY 2
/* How a file came to be executable in a process. */
#define KS_MAPPED       1 /* mmap, shmat, mprotect */
#define KS_MAPPED_FIRST 2 /* by exec: the loader in which the program begins */

/* How a process is not what its file is. */
#define KS_TAMPERED_REPLACED 1 /* other code, or another file in the place of its own */
#define KS_TAMPERED_DELETED  2
#define KS_TAMPERED_MEMORY   3 /* never a file that anybody could name */
#define KS_TAMPERED_ON_DISK  4 /* another file has its name now */

/* Limits. A path of PATH_MAX plus what a mount adds; two MAX_ARG_STRLEN of arguments would not fit the
 * 16-bit offsets, and an EVTX record holds 30,000 characters in all (evtx format notes in docs/). */
#define KS_PATH_MAX   4096
#define KS_ARGV_MAX   16384
#define KS_DNS_MAX    4096  /* of a packet's payload; a power of two */
#define KS_DNS_PORTS  8     /* ports of name servers that can be watched */
#define KS_XATTR_MAX  1024  /* of the value of an extended attribute: longer ones are not shown */
#define KS_RECORD_MAX 32768 /* largest record, texts included */

enum ks_record {
	KS_RECORD_NONE, /* so that a zeroed record is no record */
#define EVENT(ev, ...)  KS_##ev,
#define RECORD(rec)     KS_##rec,
#include "events.def"
	KS_RECORD_COUNT
};

/* The records themselves, */
#define EVENT(ev, ...)      struct ks_rec_##ev { struct ks_hdr hdr;
#define RECORD(rec)         EVENT(rec)
#define WIRE(ev, name, type) KS_C_##type name;
#define RAW(ev, name, type)  KS_C_##type name;
#define END(ev)             };
#include "events.def"

/* and the proof that no padding hides in them. */
#define EVENT(ev, ...)      _Static_assert(sizeof(struct ks_rec_##ev) == sizeof(struct ks_hdr)
#define RECORD(rec)         EVENT(rec)
#define WIRE(ev, name, type) + sizeof(KS_C_##type)
#define RAW(ev, name, type)  + sizeof(KS_C_##type)
#define END(ev)             , #ev ": hidden padding would carry stale kernel bytes out");
#include "events.def"

/* The counters of the kernel side: one block per CPU in a mappable array, so that whoever holds the
 * map reads them without bpf(2). produced is counted before anything is reserved. */
struct ks_counters {
	__u64 produced[KS_RECORD_COUNT];
	__u64 lost[KS_RECORD_COUNT];
	__u64 seq[2]; /* next sequence number of each ring */
	__u64 path_unknown; /* paths written as ?/NAME */
	__u64 missed;       /* an operation was seen but could not be carried to its end (map full) */
	__u64 spared;       /* operations not looked at any further, as the rules never keep what comes of them */
};

/* What the rules can never keep: written by the engine, read by the kernel side, which then produces none of it. A process
 * image has the slot of the lower bits of its tgid to itself until another one comes. */
#define KS_DROPS 4096 /* a power of two */
struct ks_drop {
	__u64 start_ns;
	__u64 exec_id;
	__u64 never;   /* bits: 1 << enum ks_record; KS_DROP_NAMES */
	__u32 tgid;
	__u32 writing; /* odd while the slot is written */
};
struct ks_drops {
	__u64 source_ports[65536 / 64]; /* of event 3 */
	__u64 destination_ports[65536 / 64];
	struct ks_drop image[KS_DROPS];
};
/* Nobody needs to know either which files got or lost a name by it: settings that are files are found so. */
#define KS_DROP_NAMES (1ull << KS_RECORD_NONE)

/* The two rings: a flood of file events must not push processes out. */
#define KS_RING_PROCESS 0
#define KS_RING_EVENTS  1
