/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Connections. The handshake of TCP ends in an interrupt, over whatever process happens to run: who it belongs
 * to is learnt before (connect) or after (accept). Datagrams are seen as packets, which have both addresses
 * though the socket may have none, but told only by the process that sends or receives. */
#include "vmlinux.h"

#include <bpf/bpf_endian.h>

#include "lib/network.bpf.h"

#define TCP_ESTABLISHED 1
#define TCP_SYN_SENT    2
#define TCP_SYN_RECV    3
#define TCP_CLOSE       7
#define TCP_LISTEN      10

/* --- TCP, on every kernel */

/* Who listens on a port: of a connection that nobody accepts, no more is known. */
struct listener_key {
	__u64 net;
	__u64 port;
};
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4096);
	__type(key, struct listener_key);
	__type(value, struct ks_who);
} listeners SEC(".maps");

static __always_inline struct listener_key listener_key(const struct sock *sk)
{
	return (struct listener_key){
		.net = (__u64)sk->__sk_common.skc_net.net,
		.port = sk->__sk_common.skc_num,
	};
}

/* Whoever has more connections pending than there is room for, of hosts that never answer, must not hide the next one: it
 * is noted with its socket, which has no bound but costs more. (What was accepted is then told when it is first used, or
 * closed: accept shows the socket by a pointer that is not good enough for the kernel.) */
struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct pending);
} connections_beyond SEC(".maps");

__u32 any_beyond = 0; /* ever */

static __always_inline void note_beyond(struct sock *sk, const struct pending *p)
{
	struct pending *beyond = bpf_sk_storage_get(&connections_beyond, sk, NULL, BPF_SK_STORAGE_GET_F_CREATE);

	if (!beyond) {
		count_missed();
		return;
	}
	*beyond = *p;
	any_beyond = 1;
}

static __always_inline void calls(struct sock *sk)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct pending p = { .initiated = true };
	__u64 key = (__u64)sk;

	if (is_ignored(task) || is_spared(task, RECORD_BIT(KS_NETWORK_CONNECT)))
		return;
	who_fill(&p.who, task);
	if (bpf_map_update_elem(&connections, &key, &p, BPF_ANY) < 0)
		note_beyond(sk, &p);
}

static __always_inline void listens(const struct sock *sk)
{
	struct listener_key key = listener_key(sk);
	struct ks_who who = {};

	who_fill(&who, bpf_get_current_task_btf());
	bpf_map_update_elem(&listeners, &key, &who, BPF_ANY);
}

static __always_inline void waits_for_accept(struct sock *sk, __u64 key)
{
	struct listener_key at = listener_key(sk);
	const struct ks_who *who = bpf_map_lookup_elem(&listeners, &at);
	struct pending p = {};

	if (who)
		p.who = *who;
	if (bpf_map_update_elem(&connections, &key, &p, BPF_ANY) < 0)
		note_beyond(sk, &p);
}

static __always_inline void tell(const struct sock *sk, const struct pending *p)
{
	struct flow f = {};

	flow_of_sock(&f, sk);
	emit_connection(&p->who, &f, p->initiated, IPPROTO_TCP);
}

static __always_inline void tell_beyond(struct sock *sk, bool initiated)
{
	const struct pending *p = bpf_sk_storage_get(&connections_beyond, sk, NULL, 0);

	if (!p)
		return;
	if (p->initiated == initiated)
		tell(sk, p);
	bpf_sk_storage_delete(&connections_beyond, sk);
}

static __always_inline void established(struct sock *sk, int before)
{
	__u64 key = (__u64)sk;
	const struct pending *p = bpf_map_lookup_elem(&connections, &key);

	if (p && p->initiated) {
		tell(sk, p);
		bpf_map_delete_elem(&connections, &key);
	} else if (before == TCP_SYN_RECV) {
		waits_for_accept(sk, key);
	} else if (any_beyond) {
		tell_beyond(sk, true);
	}
}

/* Refused, or given up, or established and broken off before anybody accepted it: only the last was one. */
static __always_inline void closed(struct sock *sk)
{
	__u64 key = (__u64)sk;
	const struct pending *p = bpf_map_lookup_elem(&connections, &key);

	if (!p) {
		if (any_beyond)
			tell_beyond(sk, false);
		return;
	}
	if (!p->initiated)
		tell(sk, p);
	bpf_map_delete_elem(&connections, &key);
}

static __always_inline void state_changed(struct sock *sk, int before, int after)
{
	switch (after) {
	case TCP_SYN_SENT: calls(sk); break;
	case TCP_LISTEN: listens(sk); break;
	case TCP_ESTABLISHED: established(sk, before); break;
	case TCP_CLOSE: closed(sk); break;
	}
}

/* Both 6.1 and 6.12 return the new socket, from different numbers of arguments. */
SEC("fexit/inet_csk_accept")
int NETWORK_CONNECT__accept(unsigned long long *ctx)
{
	__u64 sk = 0;

	bpf_get_func_ret(ctx, &sk);
	if (sk)
		accepted(bpf_get_current_task_btf(), (const struct sock *)sk);
	return 0;
}

/* --- UDP, where functions can be hooked: each hook is called by the process that sends or receives */

struct ports {
	__be16 source, destination;
};

struct packet {
	struct ks_address source, destination;
	struct ports ports;
};

static __always_inline void packet_read(struct packet *p, const struct sk_buff *skb, bool v4)
{
	const unsigned char *head = skb->head;
	const unsigned char *network = head + skb->network_header;
	__u32 address;

	if (v4) {
		bpf_probe_read_kernel(&address, sizeof(address), network + 12);
		address_v4(&p->source, address);
		bpf_probe_read_kernel(&address, sizeof(address), network + 16);
		address_v4(&p->destination, address);
	} else {
		bpf_probe_read_kernel(&p->source, sizeof(p->source), network + 8);
		bpf_probe_read_kernel(&p->destination, sizeof(p->destination), network + 24);
	}
	bpf_probe_read_kernel(&p->ports, sizeof(p->ports), head + skb->transport_header);
}

static __always_inline void packet_datagram(const struct packet *p, bool sent)
{
	struct flow f = {
		.local = sent ? p->source : p->destination,
		.remote = sent ? p->destination : p->source,
		.local_port = swap16(sent ? p->ports.source : p->ports.destination),
		.remote_port = swap16(sent ? p->ports.destination : p->ports.source),
	};

	datagram(&f, sent);
}

static __always_inline int sends(const struct sk_buff *skb, bool v4)
{
	struct packet p = {};
	const struct sock *sk = skb->sk;

	if (!sk || sk->sk_protocol != IPPROTO_UDP)
		return 0;
	packet_read(&p, skb, v4);
	packet_datagram(&p, true);
	return 0;
}

SEC("fentry/ip_send_skb")
int BPF_PROG(NETWORK_CONNECT__udp4_send, struct net *net, struct sk_buff *skb)
{
	return sends(skb, true);
}

SEC("fentry/ip6_send_skb")
int BPF_PROG(NETWORK_CONNECT__udp6_send, struct sk_buff *skb)
{
	return sends(skb, false);
}

SEC("fentry/skb_consume_udp")
int BPF_PROG(NETWORK_CONNECT__udp_receive, struct sock *sk, struct sk_buff *skb, int length)
{
	struct packet p = {};

	if (sk->sk_protocol != IPPROTO_UDP)
		return 0;
	packet_read(&p, skb, skb->protocol == bpf_htons(ETH_P_IP));
	packet_datagram(&p, false);
	return 0;
}

/* --- UDP, where only tracepoints are allowed: packets are noted with their socket, and told when the call
 * that sent or received them returns, which is the only time when the process is known for sure */

/* What was sent is told at once; what came waits until somebody reads it. */
#define SENT_WAITING     8
#define RECEIVED_WAITING 128
struct queue {
	__u32 head; /* next to write */
	__u32 tail; /* next to tell */
};
struct datagrams {
	struct queue sent, received;
	struct flow sent_flows[SENT_WAITING];
	struct flow received_flows[RECEIVED_WAITING];
};
struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct datagrams);
} queues SEC(".maps");

/* Pairs that were noted of a socket a short time ago need no noting. */
struct noted_key {
	struct flow flow;
	__u64 cookie;
	__u64 sent;
};
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 32768);
	__type(key, struct noted_key);
	__type(value, __u64);
} noted SEC(".maps");

/* When nobody told them for long, the oldest is written over. */
static __always_inline void queue_put(struct datagrams *d, const struct flow *f, bool sent)
{
	struct queue *q = sent ? &d->sent : &d->received;
	__u32 at = __sync_fetch_and_add(&q->head, 1);

	if (at - q->tail >= (sent ? SENT_WAITING : RECEIVED_WAITING))
		count_missed();
	if (sent)
		d->sent_flows[at & (SENT_WAITING - 1)] = *f;
	else
		d->received_flows[at & (RECEIVED_WAITING - 1)] = *f;
}

static __always_inline bool skb_flow(struct __sk_buff *skb, struct flow *f, bool sent)
{
	struct packet p = {};
	__u8 first = 0, next = 0;
	__u32 address, header = 40;

	bpf_skb_load_bytes(skb, 0, &first, 1);
	if (first >> 4 == 4) {
		header = (first & 15) * 4;
		bpf_skb_load_bytes(skb, 9, &next, 1);
		bpf_skb_load_bytes(skb, 12, &address, sizeof(address));
		address_v4(&p.source, address);
		bpf_skb_load_bytes(skb, 16, &address, sizeof(address));
		address_v4(&p.destination, address);
	} else {
		bpf_skb_load_bytes(skb, 6, &next, 1);
		bpf_skb_load_bytes(skb, 8, &p.source, sizeof(p.source));
		bpf_skb_load_bytes(skb, 24, &p.destination, sizeof(p.destination));
	}
	if (next != IPPROTO_UDP || bpf_skb_load_bytes(skb, header, &p.ports, sizeof(p.ports)) < 0)
		return false;
	f->local = sent ? p.source : p.destination;
	f->remote = sent ? p.destination : p.source;
	f->local_port = swap16(sent ? p.ports.source : p.ports.destination);
	f->remote_port = swap16(sent ? p.ports.destination : p.ports.source);
	return true;
}

static __always_inline void note_datagram(struct __sk_buff *skb, struct bpf_sock *sk, bool sent)
{
	struct noted_key key = { .sent = sent };
	struct datagrams *d;
	__u64 now, *when;

	if (!skb_flow(skb, &key.flow, sent))
		return;
	key.cookie = bpf_get_socket_cookie(skb);
	now = bpf_ktime_get_boot_ns();
	when = bpf_map_lookup_elem(&noted, &key);
	if (when && now - *when < AGAIN_NS)
		return;
	d = bpf_sk_storage_get(&queues, sk, NULL, BPF_SK_STORAGE_GET_F_CREATE);
	if (!d) {
		count_missed();
		return;
	}
	bpf_map_update_elem(&noted, &key, &now, BPF_ANY);
	queue_put(d, &key.flow, sent);
}

struct telling {
	struct datagrams *datagrams;
	__u32 sent;
};

static long tell_next(__u32 i, struct telling *t)
{
	struct datagrams *d = t->datagrams;
	struct queue *q = t->sent ? &d->sent : &d->received;
	__u32 tail = q->tail;

	if (tail == q->head)
		return 1;
	/* Whoever moves the tail tells. */
	if (__sync_val_compare_and_swap(&q->tail, tail, tail + 1) != tail)
		return 1;
	if (t->sent)
		datagram(&d->sent_flows[tail & (SENT_WAITING - 1)], true);
	else
		datagram(&d->received_flows[tail & (RECEIVED_WAITING - 1)], false);
	return 0;
}

static __always_inline int tell_queue(struct sock *sk, bool sent)
{
	struct telling t = { .datagrams = bpf_sk_storage_get(&queues, sk, NULL, 0), .sent = sent };

	if (t.datagrams)
		bpf_loop(RECEIVED_WAITING, tell_next, &t, 0);
	return 0;
}

static __always_inline void accepted_beyond(struct sock *sk)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct pending *p = bpf_sk_storage_get(&connections_beyond, sk, NULL, 0);

	if (!p || p->initiated)
		return;
	if (!is_ignored(task)) {
		who_fill(&p->who, task);
		tell(sk, p);
	}
	bpf_sk_storage_delete(&connections_beyond, sk);
}

/* Of TCP, this is where a connection shows that was accepted by io_uring, which no system call returns. */
static __always_inline int used(struct sock *sk, int result, bool sent)
{
	if (result < 0)
		return 0;
	if (sk->sk_protocol == IPPROTO_UDP)
		return tell_queue(sk, sent);
	if (sk->sk_protocol != IPPROTO_TCP)
		return 0;
	accepted(bpf_get_current_task_btf(), sk);
	if (any_beyond)
		accepted_beyond(sk);
	return 0;
}

SEC("tp_btf/sock_send_length")
int BPF_PROG(NETWORK_CONNECT__sent, struct sock *sk, int result)
{
	return used(sk, result, true);
}

SEC("tp_btf/sock_recv_length")
int BPF_PROG(NETWORK_CONNECT__received, struct sock *sk, int result)
{
	return used(sk, result, false);
}
