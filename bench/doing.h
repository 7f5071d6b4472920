/* SPDX-License-Identifier: MIT */
/* What both programs that do things many times (work.c, deeds.c) need. */
#pragma once
#include <errno.h>
#include <linux/bpf.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static inline long must(long value, const char *what)
{
	if (value < 0) {
		fprintf(stderr, "%s: %s: %s\n", program_invocation_short_name, what, strerror(errno));
		exit(1);
	}
	return value;
}
#define MUST(expression) must((long)(expression), #expression)

static inline double now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

/* A BPF program that does nothing: its descriptor. */
static inline int load_nothing(enum bpf_prog_type type)
{
	static const struct bpf_insn nothing[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0 },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	union bpf_attr program = {
		.prog_type = type, .insns = (uintptr_t)nothing, .insn_cnt = 2, .license = (uintptr_t)"GPL",
	};

	return (int)MUST(syscall(SYS_bpf, BPF_PROG_LOAD, &program, sizeof(program)));
}
