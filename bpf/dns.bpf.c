/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Look-ups of names: the packets between a client and a name server, as the client sends and receives them. Chosen by
 * port only; what is in them is for the unprivileged side to read. Sending is told in the name of the current
 * task for UDP (cgroup programs run within the call), and of who connected for TCP, which also sends from
 * interrupts. Receiving needs no name: the look-up is known by its socket. */
#include "vmlinux.h"

#include <bpf/bpf_endian.h>

#include "lib/network.bpf.h"

/* Ports of name servers, host order, set by the loader; 0 is none. */
const volatile __u16 dns_ports[KS_DNS_PORTS] = { 53 };

struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct ks_who);
} dns_connectors SEC(".maps");

static __always_inline bool is_dns_port(__u16 port)
{
#pragma unroll
	for (int i = 0; i < KS_DNS_PORTS; i++)
		if (dns_ports[i] && dns_ports[i] == port)
			return true;
	return false;
}

/* Asks a name server by TCP, perhaps. */
static __always_inline void note_connector(struct sock *sk)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct ks_who *who;

	if (!is_dns_port(swap16(sk->__sk_common.skc_dport)) || is_ignored(task) ||
	    is_spared(task, RECORD_BIT(KS_DNS_QUERY)))
		return;
	who = bpf_sk_storage_get(&dns_connectors, sk, NULL, BPF_SK_STORAGE_GET_F_CREATE);
	if (who)
		who_fill(who, task);
	else
		count_missed();
}

/* Where in the packet the payload is. */
struct dns_payload {
	__u32 at, length;
	__u32 sequence; /* of its first byte, TCP only */
};

/* Length and start of what follows the IP header; addresses are of no interest here. */
static __always_inline bool skip_ip(struct __sk_buff *skb, __u32 *at, __u32 *end)
{
	__u8 first = 0;
	__be16 length = 0;

	if (bpf_skb_load_bytes(skb, 0, &first, 1) < 0)
		return false;
	*at = first >> 4 == 4 ? (first & 15) * 4 : 40;
	bpf_skb_load_bytes(skb, first >> 4 == 4 ? 2 : 4, &length, sizeof(length));
	*end = swap16(length) + (first >> 4 == 4 ? 0 : 40);
	/* Of a packet that is many the field may say nothing; one that is padded is longer than its content. */
	if (skb->gso_segs > 1 || *end > skb->len || *end <= *at)
		*end = skb->len;
	return true;
}

static __always_inline bool find_datagram(struct __sk_buff *skb, struct dns_payload *p)
{
	__u32 at, end;

	if (!skip_ip(skb, &at, &end) || end <= at + 8)
		return false;
	p->at = at + 8;
	p->length = end - p->at;
	return true;
}

static __always_inline bool find_segment(struct __sk_buff *skb, struct dns_payload *p)
{
	__u32 at, end;
	__be32 sequence = 0;
	__u8 offset = 0, flags = 0;

	if (!skip_ip(skb, &at, &end) || bpf_skb_load_bytes(skb, at + 4, &sequence, 4) < 0 ||
	    bpf_skb_load_bytes(skb, at + 12, &offset, 1) < 0 ||
	    bpf_skb_load_bytes(skb, at + 13, &flags, 1) < 0)
		return false;
	p->at = at + (offset >> 4) * 4;
	if (end <= p->at)
		return false;
	p->length = end - p->at;
	p->sequence = __builtin_bswap32(sequence) + (flags & 2 ? 1 : 0); /* a SYN takes a number too */
	return true;
}

static __always_inline void emit_packet(struct __sk_buff *skb, const struct dns_payload *p, const struct ks_who *who,
					bool sent, __u32 transport)
{
	struct ks_rec_DNS_PACKET *rec;
	__u64 n = p->length;
	struct draft *d = emit_begin(KS_DNS_PACKET, sizeof(*rec), who);

	if (!d)
		return;
	rec = (void *)d->record;
	rec->cookie = bpf_get_socket_cookie(skb);
	rec->length = p->length;
	rec->sequence = p->sequence;
	rec->segment = skb->gso_segs > 1 ? skb->gso_size : 0;
	rec->transport = transport;
	rec->sent = sent;
	if (n > KS_DNS_MAX)
		n = KS_DNS_MAX;
	/* The verifier must see that it is not 0. */
	n = bounded(n - 1, KS_DNS_MAX) + 1;
	if (bpf_skb_load_bytes(skb, p->at, d->record + sizeof(*rec), n) == 0) {
		rec->payload.off = sizeof(*rec);
		rec->payload.len = n;
		d->size += n;
	}
	emit_end(d, KS_DNS_PACKET);
}

/* A socket that is connected knows its peer, also where the machine's own translation (of a container's name
 * server, say) has put another port into the packet. */
static __always_inline bool is_dns_datagram(struct __sk_buff *skb, const struct bpf_sock *sk, bool sent)
{
	__u32 at, end;
	__be16 port = 0;

	if (sk->dst_port)
		return is_dns_port(swap16(sk->dst_port));
	if (!skip_ip(skb, &at, &end) || bpf_skb_load_bytes(skb, sent ? at + 2 : at, &port, 2) < 0)
		return false;
	return is_dns_port(swap16(port));
}

static __always_inline void dns_datagram(struct __sk_buff *skb, const struct bpf_sock *sk, bool sent)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct dns_payload p = {};
	struct ks_who who = {};

	if (!is_dns_datagram(skb, sk, sent) || !find_datagram(skb, &p))
		return;
	if (sent) {
		if (task->flags & PF_KTHREAD || is_ignored(task) ||
		    is_spared(task, RECORD_BIT(KS_DNS_QUERY)))
			return;
		who_fill(&who, task);
	}
	emit_packet(skb, &p, &who, sent, IPPROTO_UDP);
}

static __always_inline void dns_segment(struct __sk_buff *skb, struct bpf_sock *sk, bool sent)
{
	struct dns_payload p = {};
	struct ks_who *who;

	if (!is_dns_port(swap16(sk->dst_port)))
		return;
	who = bpf_sk_storage_get(&dns_connectors, sk, NULL, 0);
	if (who && find_segment(skb, &p))
		emit_packet(skb, &p, who, sent, IPPROTO_TCP);
}
