/* SPDX-License-Identifier: MIT */
/* Giving up what a process does not need. */
#pragma once
#include "../base/err.h"

/* The engine's seal, for good: user and group `konseki` (or a number of the dynamic range when there is no
 * such user), no supplementary groups, no capabilities (bounding set too), no_new_privs, not dumpable, and
 * a seccomp filter that allows what a reader of rings and writer of descriptors needs: no bpf(2), no
 * open*, no creat, unlink, rename, link, mkdir, mknod, chmod, mount, exec, ptrace, socket, connect. A
 * forbidden call ends with EPERM, so that a library's optional call does not kill the log. */
int privilege_seal_engine(struct err *e);

/* The helper's seal: user `konseki-help` (or a number as above), no capabilities, no_new_privs, and a filter that
 * allows reading by name what any user may read, memory, a sealed memfd as result, and nothing else: no
 * writing, no execution, no other process, no socket. The network form adds sockets and loading libraries. */
int privilege_seal_helper(struct err *e);
int privilege_seal_helper_network(struct err *e);

/* The same as that user, for whom X servers are no strangers: no capabilities, no groups but this one, and the helper's
 * filter with Unix sockets added. */
int privilege_seal_clipboard(unsigned uid, unsigned gid, struct err *e);

/* A forwarder's seal: user `konseki-fwd` (or a number as above), no capabilities, and what the helper of names may do: read by
 * name what anybody may, sockets, libraries; besides writing its bookmark and threads. */
int privilege_seal_forwarder(struct err *e);

/* The monitor: keeps only CAP_BPF, CAP_PERFMON, CAP_SYS_ADMIN, CAP_SYS_PTRACE, CAP_DAC_READ_SEARCH,
 * CAP_NET_ADMIN and what else is proved to be needed. */
int privilege_reduce_monitor(struct err *e);
