/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Reading through a pointer that was found somewhere, not handed to us. From 6.2 on it can be given a type, and
 * then a read is one instruction instead of a call of a helper (2 ns instead of 8). Both are safe with any
 * address: what cannot be read is 0. */
#pragma once
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

const volatile _Bool kernel_has_casts; /* the loader knows */

extern void *bpf_rdonly_cast(const void *pointer, __u32 type) __ksym __weak;

#define PEEK(pointer, member)                                                                      \
	({                                                                                         \
		__typeof__(pointer) peeked_ = (pointer);                                           \
		kernel_has_casts ? ((__typeof__(peeked_))bpf_rdonly_cast(                          \
					    peeked_,                                               \
					    bpf_core_type_id_kernel(__typeof__(*peeked_))))        \
					   ->member                                                \
				 : BPF_CORE_READ(peeked_, member);                                 \
	})
