/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* What both connections (network.bpf.c) and look-ups (dns.bpf.c) show by: one program for both is cheaper than two. */
SEC("tp_btf/inet_sock_set_state")
int BPF_PROG(SOCKET__state, struct sock *sk, int before, int after)
{
	if (sk->sk_protocol != IPPROTO_TCP)
		return 0;
	if (after == TCP_SYN_SENT && wanted(KS_DNS_QUERY))
		note_connector(sk);
	if (wanted(KS_NETWORK_CONNECT))
		state_changed(sk, before, after);
	return 0;
}

/* datagrams: are they to be told as connections? */
static __always_inline int packet(struct __sk_buff *skb, bool sent, bool datagrams)
{
	struct bpf_sock *sk = skb->sk ? bpf_sk_fullsock(skb->sk) : NULL;

	if (!sk)
		return 1; /* let it pass */
	if (sk->protocol == IPPROTO_TCP && wanted(KS_DNS_QUERY))
		dns_segment(skb, sk, sent);
	if (sk->protocol == IPPROTO_UDP) {
		if (datagrams && wanted(KS_NETWORK_CONNECT))
			note_datagram(skb, sk, sent);
		if (wanted(KS_DNS_QUERY))
			dns_datagram(skb, sk, sent);
	}
	return 1;
}

SEC("cgroup_skb/egress")
int PACKET__egress(struct __sk_buff *skb)
{
	return packet(skb, true, true);
}

SEC("cgroup_skb/ingress")
int PACKET__ingress(struct __sk_buff *skb)
{
	return packet(skb, false, true);
}

/* Where functions can be hooked, those tell of datagrams. */
SEC("cgroup_skb/egress")
int DNS_PACKET__egress(struct __sk_buff *skb)
{
	return packet(skb, true, false);
}

SEC("cgroup_skb/ingress")
int DNS_PACKET__ingress(struct __sk_buff *skb)
{
	return packet(skb, false, false);
}
