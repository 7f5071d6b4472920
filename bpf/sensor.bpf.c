/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* All families in one object: they share maps, and bpftool's linker (7.1) cannot join objects that call kernel
 * functions. */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

char licence[] SEC("license") = "Dual MIT/GPL";

#include "process.bpf.c"

#include "file.bpf.c"

#include "special.bpf.c"

#include "hold.bpf.c"

#include "file_trace.bpf.c"

#include "xattr.bpf.c"

#include "module.bpf.c"

#include "network.bpf.c"

#include "dns.bpf.c"

#include "socket.bpf.c"

#include "registry.bpf.c"

#include "image.bpf.c"

#include "access.bpf.c"
