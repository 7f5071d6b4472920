/* SPDX-License-Identifier: MIT */
/* Integers as they lie in files: little-endian, at any address. File bytes are never cast to structs. */
#pragma once
#include <endian.h>
#include <stdint.h>
#include <string.h>

#define KS_DEFINE_LE(bits)                                                                         \
	static inline uint##bits##_t le##bits##_get(const void *at)                                \
	{                                                                                          \
		uint##bits##_t v;                                                                  \
		memcpy(&v, at, sizeof(v));                                                         \
		return le##bits##toh(v);                                                           \
	}                                                                                          \
	static inline void le##bits##_put(void *at, uint##bits##_t v)                              \
	{                                                                                          \
		v = htole##bits(v);                                                                \
		memcpy(at, &v, sizeof(v));                                                         \
	}
KS_DEFINE_LE(16)
KS_DEFINE_LE(32)
KS_DEFINE_LE(64)
#undef KS_DEFINE_LE
