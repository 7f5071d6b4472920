/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* What all programs about connections share: the two ends, who owns a socket, and the record. */
#pragma once
#include "emit.bpf.h"
#include "peek.bpf.h"
#include "task.bpf.h"
#include "drops.bpf.h"

#define AF_INET     2
#define AF_INET6    10
#define IPPROTO_TCP 6
#define IPPROTO_UDP 17
#define ETH_P_IP    0x0800
#define ETH_P_IPV6  0x86dd

#define swap16(n) __builtin_bswap16(n)

/* The two ends as the owner of the socket sees them. */
struct flow {
	struct ks_address local, remote;
	__u16 local_port, remote_port; /* host order */
	__u32 spare;                   /* 0: a flow is part of keys */
};

static __always_inline void address_v4(struct ks_address *to, __u32 address)
{
	__u32 *words = (__u32 *)to->byte;

	words[0] = 0;
	words[1] = 0;
	words[2] = 0xffff0000; /* ::ffff:a.b.c.d, little-endian as all machines this is built for */
	words[3] = address;
}

static __always_inline void address_v6(struct ks_address *to, const struct in6_addr *from)
{
	bpf_probe_read_kernel(to->byte, sizeof(to->byte), from);
}

static __always_inline void flow_of_sock(struct flow *f, const struct sock *sk)
{
	if (PEEK(sk, __sk_common.skc_family) == AF_INET) {
		address_v4(&f->local, PEEK(sk, __sk_common.skc_rcv_saddr));
		address_v4(&f->remote, PEEK(sk, __sk_common.skc_daddr));
	} else {
		BPF_CORE_READ_INTO(&f->local, sk, __sk_common.skc_v6_rcv_saddr);
		BPF_CORE_READ_INTO(&f->remote, sk, __sk_common.skc_v6_daddr);
	}
	/* Not skc_num: it is gone when a socket is closed. */
	f->local_port = swap16(PEEK((const struct inet_sock *)sk, inet_sport));
	f->remote_port = swap16(PEEK(sk, __sk_common.skc_dport));
}

/* Source is the end that began, on both sides. */
static __always_inline void emit_connection(const struct ks_who *who, const struct flow *f, bool initiated,
					    __u32 transport)
{
	struct ks_rec_NETWORK_CONNECT rec = {};

	if (is_unwanted_who(who, RECORD_BIT(KS_NETWORK_CONNECT)) ||
	    is_unwanted_port(initiated ? f->local_port : f->remote_port,
			     initiated ? f->remote_port : f->local_port)) {
		count_spared();
		return;
	}
	header_fill(&rec.hdr, KS_NETWORK_CONNECT, who);
	rec.Initiated = initiated;
	rec.source = initiated ? f->local : f->remote;
	rec.destination = initiated ? f->remote : f->local;
	rec.SourcePort = initiated ? f->local_port : f->remote_port;
	rec.DestinationPort = initiated ? f->remote_port : f->local_port;
	rec.transport = transport;
	emit_fixed(&rec.hdr, KS_NETWORK_CONNECT, sizeof(rec));
}

/* --- TCP */

/* Connections that are not told yet. One that this machine asks for belongs to whoever called connect();
 * one that came belongs to whoever accepts it, and until then, in case nobody ever does, to whoever
 * listens. */
struct pending {
	struct ks_who who;
	__u32 initiated;
	__u32 spare;
};
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 32768);
	__type(key, __u64); /* the socket */
	__type(value, struct pending);
} connections SEC(".maps");

/* The current task has taken this socket out of a listening one. */
static __always_inline void accepted(const struct task_struct *task, const struct sock *sk)
{
	__u64 key = (__u64)sk;
	const struct pending *p = bpf_map_lookup_elem(&connections, &key);
	struct ks_who who = {};
	struct flow f = {};

	/* Not there: told already, when the peer broke it off before it was accepted. */
	if (!p || p->initiated || bpf_map_delete_elem(&connections, &key) < 0 || is_ignored(task))
		return;
	who_fill(&who, task);
	flow_of_sock(&f, sk);
	emit_connection(&who, &f, false, IPPROTO_TCP);
}

/* --- UDP */

/* A pair of addresses is told once for a process, and again when it was in use all that time. */
#define AGAIN_NS (30ull * 60 * 1000000000)

struct told_key {
	struct flow flow;
	__u64 start_ns;
	__u64 tgid;
};
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 32768);
	__type(key, struct told_key);
	__type(value, __u64); /* when */
} told SEC(".maps");

/* The current task has sent or received a datagram. */
static __always_inline void datagram(const struct flow *f, bool sent)
{
	const struct task_struct *task = bpf_get_current_task_btf();
	__u64 now = bpf_ktime_get_boot_ns(), *when;
	struct told_key key = { .flow = *f };
	struct ks_who who = {};

	if (task->flags & PF_KTHREAD || is_ignored(task) || !wanted(KS_NETWORK_CONNECT) ||
	    is_spared(task, RECORD_BIT(KS_NETWORK_CONNECT)))
		return;
	who_fill(&who, task);
	key.start_ns = who.start_ns;
	key.tgid = who.tgid;
	when = bpf_map_lookup_elem(&told, &key);
	if (when && now - *when < AGAIN_NS)
		return;
	if (bpf_map_update_elem(&told, &key, &now, BPF_ANY) < 0)
		count_missed();
	emit_connection(&who, f, sent, IPPROTO_UDP);
}
