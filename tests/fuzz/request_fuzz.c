/* SPDX-License-Identifier: MIT */
/* What one end of a channel may send the other: a run of datagrams, each behind four bytes that tell who
 * sends it, in which state, with how many descriptors, and whether as an answer; then two bytes of length. */
#include <string.h>

#include "../../src/base/le.h"
#include "../../src/daemon/message.h"
#include "fuzz.h"

#define FRAME 6

static void demand(int condition)
{
	if (!condition)
		abort();
}

static void texts_have_an_end(const struct message *m)
{
	switch (m->head.kind) {
	case CONTROL_CONFIGURE:
	case COMMAND_CONFIGURE:
		demand(strlen(m->body.configure.name) < sizeof(m->body.configure.name));
		break;
	case COMMAND_NOTE:
		demand(strlen(m->body.reply.text) < sizeof(m->body.reply.text));
		break;
	case REPORT_FINAL:
	case COMMAND_STATUS | MESSAGE_ANSWER:
		demand(strlen(m->body.report.report.config_name) < 256);
		break;
	case CONTROL_STATUS | MESSAGE_ANSWER:
		for (unsigned i = 0; i < KS_RECORD_COUNT; i++)
			demand(strlen(m->body.status.how[i]) < 64);
		break;
	}
}

static void one(struct receiver *r, const uint8_t *frame, const uint8_t *bytes, size_t n)
{
	/* As large as it is told to be, so that reading beyond shows. */
	uint8_t *exact = malloc(n ? n : 1);
	static struct message m;
	int code;

	if (!exact)
		return;
	memcpy(exact, bytes, n);
	r->from = 1 + frame[0] % PARTY_MONITOR;
	r->state = 1u << frame[1] % 3;
	m.fd_count = frame[2];
	code = frame[3] & 1 ? message_accept_answer(r->from, exact, n, &m) :
			      message_accept(r, exact, n, &m);
	if (code == 0) {
		const struct message_row *row = &message_rows[m.head.kind & ~MESSAGE_ANSWER];

		demand(row->from == r->from);
		demand(n == sizeof(m.head) + (frame[3] & 1 ? row->answer : row->body));
		texts_have_an_end(&m);
	}
	free(exact);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	struct receiver r = { 0 };

	while (size > FRAME) {
		size_t n = le16_get(bytes + 4);

		n = n < size - FRAME ? n : size - FRAME;
		one(&r, bytes, bytes + FRAME, n);
		bytes += FRAME + n;
		size -= FRAME + n;
	}
	return 0;
}
