/* SPDX-License-Identifier: MIT */
#include "helped.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define SECOND_NS 1000000000ull
#define CLIPBOARD_REST_S 30u /* at most; it begins with one */

void helped_init(struct helped *h, const int fds[HELP_LANES])
{
	memset(h, 0, sizeof(*h));
	for (unsigned i = 0; i < HELP_LANES; i++) {
		h->lanes[i].fd = fds[i];
		h->lanes[i].nobody = true;
	}
}

static struct helped_lane *free_lane(struct helped *h, enum message_kind kind)
{
	for (unsigned i = 0; i < HELP_LANES; i++)
		if (help_lanes[i].kind == kind && !h->lanes[i].busy && h->lanes[i].fd >= 0)
			return &h->lanes[i];
	return NULL;
}

static bool ask_on(struct helped *h, struct helped_lane *lane, const struct message *question, uint64_t now_ns)
{
	if (!lane || message_send(lane->fd, question->head.kind, ++h->number, &question->body, question->fds,
				  question->fd_count) < 0)
		return false;
	lane->busy = true;
	lane->number = h->number;
	lane->asked_ns = now_ns;
	lane->until_ns = now_ns + (help_lanes[lane - h->lanes].seconds + 2) * SECOND_NS;
	lane->question = *question;
	return true;
}

static bool ask(struct helped *h, const struct message *question, uint64_t now_ns)
{
	return ask_on(h, free_lane(h, question->head.kind), question, now_ns);
}

bool helped_packages(struct helped *h, uint64_t now_ns)
{
	return ask(h, &(struct message){ .head.kind = HELP_PACKAGES }, now_ns);
}

bool helped_login(struct helped *h, uint32_t session_id, uint32_t login_uid, uint64_t now_ns)
{
	return ask(h, &(struct message){ .head.kind = HELP_LOGIN, .body.login = { session_id, login_uid } },
		   now_ns);
}

bool helped_survey(struct helped *h, uint64_t now_ns)
{
	return ask(h, &(struct message){ .head.kind = HELP_SURVEY }, now_ns);
}

bool helped_setting(struct helped *h, const struct change *change, uint64_t now_ns)
{
	static struct message question;

	question.head.kind = HELP_SETTING;
	snprintf(question.body.setting.text, sizeof(question.body.setting.text), "%s", change->path ? change->path : "");
	question.fds[0] = change->fd;
	question.fd_count = change->fd >= 0;
	return ask(h, &question, now_ns);
}

static bool ask_host_name(struct helped *h, const struct ks_address *a, uint64_t now_ns)
{
	return ask(h, &(struct message){ .head.kind = HELP_HOST_NAME, .body.address = { *a } }, now_ns);
}

bool helped_host_name(struct helped *h, const struct ks_address *a, uint64_t now_ns)
{
	if (h->count == 0 && ask_host_name(h, a, now_ns))
		return true;
	if (h->count == QUESTIONS_MAX)
		return false;
	h->waiting[(h->first + h->count++) % QUESTIONS_MAX] = *a;
	return true;
}

/* A server that is not there is looked for from time to time, and nobody looks for a second one without a first. (One that is there,
 * but does not answer as it should, or wants a library that is not, keeps nobody from looking at the others.) */
void helped_watch_clipboards(struct helped *h, uint64_t now_ns)
{
	for (unsigned i = 0; i < HELP_LANES; i++) {
		struct helped_lane *lane = &h->lanes[i];

		if (help_lanes[i].kind != HELP_CLIPBOARD || lane->fd < 0)
			continue;
		if (!lane->busy && now_ns >= lane->rest_until_ns)
			ask_on(h, lane, &(struct message){ .head.kind = HELP_CLIPBOARD,
							   .body.clipboard = { .known = lane->known,
									       .mark = lane->left.mark } },
			       now_ns);
		/* Whoever finds nobody says so at once. */
		if (lane->busy && now_ns >= lane->asked_ns + SECOND_NS)
			lane->nobody = false;
		if (lane->nobody)
			return;
	}
}

static void tell_clipboard(struct helped_lane *lane, const struct clipboard_hearer *to, const struct message *answer,
			   uint64_t now_ns)
{
	const struct body_clipboard *said;
	bool other;

	if (!answer || answer->head.code < 0) {
		lane->known = false;
		lane->nobody = answer && answer->head.code == -ENOENT;
		lane->rest_s = lane->rest_s ? lane->rest_s * 2 : 1;
		if (lane->rest_s > CLIPBOARD_REST_S)
			lane->rest_s = CLIPBOARD_REST_S;
		lane->rest_until_ns = now_ns + lane->rest_s * SECOND_NS;
		return;
	}
	lane->nobody = false;
	lane->rest_s = 0;
	said = &answer->body.clipboard;
	/* Another one has come before this one: how it was left is not known. */
	other = lane->known && (said->uid != lane->left.uid || said->display != lane->left.display ||
				said->wayland != lane->left.wayland);
	lane->known = true;
	lane->left = *said;
	if (said->known && !other)
		to->take(to->context, said, answer->fds[0]);
}

struct hearers {
	const struct clipboard_hearer *clipboard;
	struct enrich *en;
	struct changes *changes;
	const struct changes_out *out;
};

/* What the answer says; NULL: there is none. */
static void tell(struct helped_lane *lane, const struct hearers *to, struct message *answer, uint64_t now_ns)
{
	const struct message *question = &lane->question;
	struct enrich *en = to->en;
	bool good = answer && answer->head.code == 0;

	switch (question->head.kind) {
	case HELP_PACKAGES:
		enrich_take_packages(en, good ? answer->fds[0] : -1);
		break;
	case HELP_SURVEY:
		changes_take_survey(to->changes, good ? answer->fds[0] : -1);
		break;
	case HELP_SETTING:
		changes_answer(to->changes, good ? answer->fds[0] : -1, to->out);
		break;
	case HELP_CLIPBOARD:
		tell_clipboard(lane, to->clipboard, answer, now_ns);
		break;
	case HELP_LOGIN:
		enrich_take_login(en, question->body.login.session_id, question->body.login.login_uid,
				  good ? answer->body.time.utc_s : 0);
		break;
	case HELP_HOST_NAME:
		enrich_take_host_name(en, &question->body.address.address,
				      good ? answer->body.name.text : "");
		break;
	}
}

static void read_lane(struct helped_lane *lane, const struct hearers *to, uint64_t now_ns)
{
	struct message answer;
	int r;

	while (lane->busy && (r = message_receive_answer(lane->fd, PARTY_ENGINE_HELPED, &answer)) != 0) {
		if (r < 0) {
			lane->busy = false;
			tell(lane, to, NULL, now_ns);
			return;
		}
		/* An answer that nobody waits for any more has another number. */
		if (answer.head.number == lane->number) {
			lane->busy = false;
			tell(lane, to, &answer, now_ns);
		}
		message_close_fds(&answer);
	}
	if (lane->busy && now_ns >= lane->until_ns) {
		lane->busy = false;
		tell(lane, to, NULL, now_ns);
	}
}

void helped_read(struct helped *h, struct enrich *en, struct changes *c, const struct changes_out *out,
		 const struct clipboard_hearer *clipboard, uint64_t now_ns)
{
	const struct hearers to = { clipboard, en, c, out };
	const struct change *change;

	for (unsigned i = 0; i < HELP_LANES; i++)
		read_lane(&h->lanes[i], &to, now_ns);
	change = changes_is_surveyed(c) ? changes_head(c) : NULL;
	if (change)
		helped_setting(h, change, now_ns); /* one after another, in order */
	while (h->count > 0 && ask_host_name(h, &h->waiting[h->first], now_ns)) {
		h->first = (h->first + 1) % QUESTIONS_MAX;
		h->count--;
	}
}
