/* SPDX-License-Identifier: MIT */
#pragma once
#include <stdint.h>
#include <time.h>

static inline uint64_t time_ns(struct timespec t)
{
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* Nanoseconds of this clock; of CLOCK_REALTIME since 1970, UTC. */
static inline uint64_t clock_ns(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return time_ns(t);
}

/* For waiting: nobody sets this clock. */
static inline uint64_t now_ms(void)
{
	return clock_ns(CLOCK_MONOTONIC) / 1000000u;
}
