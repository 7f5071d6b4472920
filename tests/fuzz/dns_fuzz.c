/* SPDX-License-Identifier: MIT */
/* Packets from and to name servers: each is a byte of flags (1 sent, 2 TCP, 4 several datagrams in one, 8 cut, high
 * bits which socket), a byte by which the sequence number jumps, two bytes of length, and the payload. All look-ups
 * must come out, and no more than began. */
#include <assert.h>
#include <netinet/in.h>
#include <string.h>

#include "../../src/enrich/dns.h"
#include "fuzz.h"

static volatile unsigned char sink;
static uint64_t told;

static void take(void *context, const struct ks_hdr *hdr)
{
	const struct ks_rec_DNS_QUERY *rec = (const void *)hdr;
	const unsigned char *bytes = (const void *)hdr;

	(void)context;
	assert(hdr->size <= KS_RECORD_MAX && rec->QueryName.len > 0 && rec->QueryStatus.len > 0);
	for (unsigned i = 0; i < hdr->size; i++)
		sink ^= bytes[i];
	told++;
}

/* In memory of its own exact size, so that reading beyond the end shows. */
static void give(struct dns *d, const uint8_t *head, const uint8_t *payload, size_t n, uint32_t sequence, uint64_t now)
{
	struct ks_rec_DNS_PACKET *p = calloc(1, sizeof(*p) + n);

	if (!p)
		return;
	p->hdr = (struct ks_hdr){ .size = (uint32_t)(sizeof(*p) + n), .type = KS_DNS_PACKET, .time_ns = now };
	p->payload = (struct ks_text){ sizeof(*p), (uint16_t)n };
	p->length = (uint32_t)n + (head[0] & 8 ? head[1] : 0);
	p->cookie = 1 + (head[0] >> 4);
	p->sequence = sequence;
	p->segment = head[0] & 4 ? head[1] : 0;
	p->transport = head[0] & 2 ? IPPROTO_TCP : IPPROTO_UDP;
	p->sent = head[0] & 1;
	memcpy(p + 1, payload, n);
	dns_take(d, p);
	free(p);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	static struct dns *d;
	struct dns_sink to = { NULL, take };
	uint32_t sequence[32] = { 0 };
	struct dns_tally t;
	uint64_t now = 0;
	struct err e;

	/* One for all inputs, which is faster and must not matter. */
	if (!d && dns_new(&to, &d, &e) < 0)
		return 0;
	while (size >= 4) {
		size_t n = (size_t)(bytes[2] << 8 | bytes[3]) % (KS_DNS_MAX + 1);
		uint32_t *next = &sequence[bytes[0] >> 4 << 1 | (bytes[0] & 1)];

		n = n < size - 4 ? n : size - 4;
		if (!(bytes[0] & 8))
			*next += (uint32_t)(int8_t)bytes[1];
		give(d, bytes, bytes + 4, n, *next, now);
		*next += (uint32_t)n;
		now += (uint64_t)bytes[1] << 24;
		dns_tick(d, now);
		bytes += 4 + n;
		size -= 4 + n;
	}
	dns_finish(d);
	dns_tally(d, &t);
	assert(t.opened == t.told && t.told == told);
	return 0;
}
