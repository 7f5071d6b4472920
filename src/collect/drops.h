/* SPDX-License-Identifier: MIT */
/* What the rules can never keep, told to the kernel side: memory that its programs read, mapped through a descriptor,
 * so that nobody needs bpf(2) for it. One writer. */
#pragma once
#include <stdint.h>

#include "../../schema/wire.h"
#include "../base/err.h"
#include "../base/own.h"

struct drops;

/* Maps it; the descriptor stays the caller's. What is told there is kept until drops_forget(). */
int drops_map(int fd, struct drops **ret, struct err *e);
void drops_free(struct drops *v);
DEFINE_DROP(drops)

/* From now on everything is produced again. */
void drops_forget(struct drops *v);
/* Of this process image no record types of `never` (bits 1 << KS_*) are produced any more, until another process has
 * the same place (the lower bits of tgid). 0 takes it back. */
void drops_tell(struct drops *v, uint32_t tgid, uint64_t start_ns, uint64_t exec_id, uint64_t never);
/* No event 3 with this port is produced any more. */
void drops_tell_source_port(struct drops *v, uint16_t port);
void drops_tell_destination_port(struct drops *v, uint16_t port);
