/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* The few system calls that tracepoint-only kernels are watched by, in both tables of numbers, and where
 * their arguments are. What an argument points to is never evidence, only a tie-breaker. */
#pragma once
#include <bpf/bpf_helpers.h>

#include "task.bpf.h"

enum operation_kind {
	NO_OPERATION,
	OPEN,    /* `at`: the argument that holds the flags */
	CREAT,   /* open with O_TRUNC */
	OPENAT2, /* the flags are in the caller's memory */
	UNLINK,  /* `at`: the argument that points to the path that goes or comes */
	RENAME,
	LINK,
	MKNOD,
	SYMLINK,
	ACCEPT,
	BIND,
	CONNECT,
	SOCKETCALL,
	TIMES,     /* `at`: the path; what the next argument points to are times */
	TIMESPECS, /* the same; it may say "now" and "leave it" too */
	XATTR,   /* `at`: the path; then name, value, size */
	FXATTR,  /* the same with a descriptor */
	XATTRAT, /* `at`: the path; then flags, name, and what points to value and size */
	CLOCK,
	BPF,
	MAP,     /* `at`: the argument that holds the protection */
	MAP_OLD, /* what is asked for is in the caller's memory */
	SHMAT,
	PROTECT,
	PTRACE,
	VM_READ,
	VM_WRITE,
	GET_FD,  /* up to here: told by access_returned() */
	WRITE,   /* where it goes is the position of the file */
	WRITE_AT,
	PRCTL,
};

struct call {
	__u8 kind;
	__u8 at;
	__u8 beside; /* the argument before is a directory's descriptor */
};

#define CALLS 512
#define ROW(kind, at, beside) { kind, at, beside }
static const volatile struct call native_calls[CALLS] = {
	[2] = ROW(OPEN, 1, 0),     [257] = ROW(OPEN, 2, 0),   [304] = ROW(OPEN, 2, 0),
	[85] = ROW(CREAT, 0, 0),   [437] = ROW(OPENAT2, 2, 0),
	[87] = ROW(UNLINK, 0, 0),  [263] = ROW(UNLINK, 1, 1),
	[82] = ROW(RENAME, 1, 0),  [264] = ROW(RENAME, 3, 1), [316] = ROW(RENAME, 3, 1),
	[86] = ROW(LINK, 1, 0),    [265] = ROW(LINK, 3, 1),
	[133] = ROW(MKNOD, 0, 0),  [259] = ROW(MKNOD, 1, 1),
	[88] = ROW(SYMLINK, 1, 0), [266] = ROW(SYMLINK, 2, 1),
	[43] = ROW(ACCEPT, 0, 0),  [288] = ROW(ACCEPT, 0, 0),
	[49] = ROW(BIND, 0, 0),    [42] = ROW(CONNECT, 0, 0),
	[132] = ROW(TIMES, 0, 0),  [235] = ROW(TIMES, 0, 0),  [261] = ROW(TIMES, 1, 1),
	[280] = ROW(TIMESPECS, 1, 1),
	[188] = ROW(XATTR, 0, 0),  [189] = ROW(XATTR, 0, 0),  [190] = ROW(FXATTR, 0, 0),
	[463] = ROW(XATTRAT, 1, 1),
	[164] = ROW(CLOCK, 0, 0),  [227] = ROW(CLOCK, 0, 0),  [159] = ROW(CLOCK, 0, 0),
	[305] = ROW(CLOCK, 0, 0),
	[321] = ROW(BPF, 0, 0),
	[9] = ROW(MAP, 2, 0),      [30] = ROW(SHMAT, 2, 0),
	[10] = ROW(PROTECT, 2, 0), [329] = ROW(PROTECT, 2, 0),
	[101] = ROW(PTRACE, 0, 0), [310] = ROW(VM_READ, 0, 0), [311] = ROW(VM_WRITE, 0, 0),
	[438] = ROW(GET_FD, 0, 0), [1] = ROW(WRITE, 0, 0),     [20] = ROW(WRITE, 0, 0),
	[18] = ROW(WRITE_AT, 3, 0), [296] = ROW(WRITE_AT, 3, 0), [328] = ROW(WRITE_AT, 3, 0),
	[157] = ROW(PRCTL, 0, 0),
};
static const volatile struct call compat_calls[CALLS] = {
	[5] = ROW(OPEN, 1, 0),     [295] = ROW(OPEN, 2, 0),   [342] = ROW(OPEN, 2, 0),
	[8] = ROW(CREAT, 0, 0),    [437] = ROW(OPENAT2, 2, 0),
	[10] = ROW(UNLINK, 0, 0),  [301] = ROW(UNLINK, 1, 1),
	[38] = ROW(RENAME, 1, 0),  [302] = ROW(RENAME, 3, 1), [353] = ROW(RENAME, 3, 1),
	[9] = ROW(LINK, 1, 0),     [303] = ROW(LINK, 3, 1),
	[14] = ROW(MKNOD, 0, 0),   [297] = ROW(MKNOD, 1, 1),
	[83] = ROW(SYMLINK, 1, 0), [304] = ROW(SYMLINK, 2, 1),
	[364] = ROW(ACCEPT, 0, 0), [102] = ROW(SOCKETCALL, 0, 0),
	[361] = ROW(BIND, 0, 0),   [362] = ROW(CONNECT, 0, 0),
	[30] = ROW(TIMES, 0, 0),   [271] = ROW(TIMES, 0, 0),  [299] = ROW(TIMES, 1, 1),
	[226] = ROW(XATTR, 0, 0),  [227] = ROW(XATTR, 0, 0),  [228] = ROW(FXATTR, 0, 0),
	[463] = ROW(XATTRAT, 1, 1),
	[320] = ROW(TIMESPECS, 1, 1), [412] = ROW(TIMESPECS, 1, 1),
	[79] = ROW(CLOCK, 0, 0),   [264] = ROW(CLOCK, 0, 0),  [404] = ROW(CLOCK, 0, 0),
	[124] = ROW(CLOCK, 0, 0),  [343] = ROW(CLOCK, 0, 0),  [405] = ROW(CLOCK, 0, 0),
	[357] = ROW(BPF, 0, 0),
	[192] = ROW(MAP, 2, 0),    [90] = ROW(MAP_OLD, 0, 0), [397] = ROW(SHMAT, 2, 0),
	[125] = ROW(PROTECT, 2, 0), [380] = ROW(PROTECT, 2, 0),
	[26] = ROW(PTRACE, 0, 0),  [347] = ROW(VM_READ, 0, 0), [348] = ROW(VM_WRITE, 0, 0),
	[438] = ROW(GET_FD, 0, 0), [4] = ROW(WRITE, 0, 0),     [146] = ROW(WRITE, 0, 0),
	[181] = ROW(WRITE_AT, 3, 0), [334] = ROW(WRITE_AT, 3, 0), [378] = ROW(WRITE_AT, 3, 0),
	[172] = ROW(PRCTL, 0, 0),
};

/* The kind alone of both tables, so that what nobody watches costs one look; and what means writing, or nothing that
 * is watched, not more until that is of interest. */
#define WATCHED_LATER 2
static const volatile __u8 watched_calls[CALLS] = {
	[1] = 2, [2] = 1, [4] = 2, [5] = 1, [8] = 1, [9] = 1, [10] = 1, [14] = 1,
	[18] = 2, [20] = 2, [26] = 1, [30] = 1, [38] = 1, [42] = 1, [43] = 1, [49] = 1,
	[79] = 1, [82] = 1, [83] = 1, [85] = 1, [86] = 1, [87] = 1, [88] = 1, [90] = 1, [101] = 1, [102] = 1,
	[124] = 1, [125] = 1, [132] = 1, [133] = 1, [146] = 2, [157] = 1, [159] = 1, [164] = 1,
	[172] = 1, [181] = 2, [188] = 1, [189] = 1, [190] = 1, [192] = 1, [226] = 1, [227] = 1,
	[228] = 1, [235] = 1, [257] = 1, [259] = 1, [261] = 1, [263] = 1, [264] = 1, [265] = 1, [266] = 1,
	[271] = 1, [280] = 1, [288] = 1, [295] = 1, [296] = 2, [297] = 1, [299] = 1, [301] = 1,
	[302] = 1, [303] = 1, [304] = 1, [305] = 1, [310] = 1, [311] = 1, [316] = 1, [320] = 1,
	[321] = 1, [328] = 2, [329] = 1, [334] = 2, [342] = 1, [343] = 1, [347] = 1, [348] = 1,
	[353] = 1, [357] = 1, [361] = 1, [362] = 1, [364] = 1, [378] = 2, [380] = 1, [397] = 1,
	[404] = 1, [405] = 1, [412] = 1, [437] = 1, [438] = 1, [463] = 1,
};

#define X32_BIT 0x40000000

/* The call that is being made; its kind is NO_OPERATION if nobody watches it. */
static __always_inline struct call call_of(const struct task_struct *task, const struct pt_regs *regs)
{
	__u64 number = regs->orig_ax & ~X32_BIT;
	struct call call = {};

	if (number >= CALLS || !watched_calls[number])
		return call;
	if (task->thread_info.status & TS_COMPAT) {
		call.kind = compat_calls[number].kind;
		call.at = compat_calls[number].at;
		call.beside = compat_calls[number].beside;
	} else {
		call.kind = native_calls[number].kind;
		call.at = native_calls[number].at;
		call.beside = native_calls[number].beside;
	}
	return call;
}

static __always_inline __u64 argument(const struct task_struct *task, const struct pt_regs *regs, __u32 n)
{
	if (task->thread_info.status & TS_COMPAT) {
		switch (n) {
		case 0: return (__u32)regs->bx;
		case 1: return (__u32)regs->cx;
		case 2: return (__u32)regs->dx;
		case 3: return (__u32)regs->si;
		default: return (__u32)regs->di;
		}
	}
	switch (n) {
	case 0: return regs->di;
	case 1: return regs->si;
	case 2: return regs->dx;
	case 3: return regs->r10;
	default: return regs->r8;
	}
}
