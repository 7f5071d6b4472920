/* SPDX-License-Identifier: MIT */
#include "helper.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "../help/clipboard.h"
#include "../help/help.h"
#include "paths.h"
#include "privilege.h"

#define MEMORY_MAX (256u << 20)
#define FILES_MAX  32u

/* Name servers that do not answer are the usual reason to be slow: some addresses are asked about side by side. */
const struct help_lane help_lanes[HELP_LANES] = {
	{ HELP_PACKAGES, 60 },  { HELP_LOGIN, 3 },	{ HELP_HOST_NAME, 5 },
	{ HELP_HOST_NAME, 5 }, { HELP_HOST_NAME, 5 }, { HELP_HOST_NAME, 5 },
	{ HELP_SURVEY, 60 },    { HELP_SETTING, 10 },
	{ HELP_CLIPBOARD, 60 }, { HELP_CLIPBOARD, 60 }, { HELP_CLIPBOARD, 60 }, { HELP_CLIPBOARD, 60 },
	{ HELP_CLIPBOARD, 60 }, { HELP_CLIPBOARD, 60 }, { HELP_CLIPBOARD, 60 }, { HELP_CLIPBOARD, 60 },
};

static int limit(int which, rlim_t value)
{
	struct rlimit r = { value, value };

	return setrlimit((__rlimit_resource_t)which, &r) < 0 ? -errno : 0;
}

int helper_limit(unsigned seconds)
{
	int r = limit(RLIMIT_CPU, seconds);

	if (r == 0)
		r = limit(RLIMIT_AS, MEMORY_MAX);
	if (r == 0)
		r = limit(RLIMIT_NOFILE, FILES_MAX);
	if (r == 0)
		r = limit(RLIMIT_CORE, 0);
	/* Whatever needs an answer can wait less than whatever gives work to us. */
	setpriority(PRIO_PROCESS, 0, 5);
	return r;
}

/* --- the tasks: an answer's body, and a descriptor or -errno; 0 for none */

static int help_PACKAGES(const struct message *question, struct message *answer)
{
	(void)question;
	(void)answer;
	return help_packages(PATH_PACKAGES);
}

static int help_HOST_NAME(const struct message *question, struct message *answer)
{
	return help_host_name(&question->body.address.address, answer->body.name.text,
			      sizeof(answer->body.name.text));
}

static int help_LOGIN(const struct message *question, struct message *answer)
{
	static const struct help_login_places places = { PATH_SESSIONS, PATH_LOGINS, "/proc" };

	answer->body.time.utc_s = help_login_time(&places, question->body.login.session_id,
						  question->body.login.login_uid);
	return 0;
}

static int help_SURVEY(const struct message *question, struct message *answer)
{
	(void)question;
	(void)answer;
	return help_survey();
}

static int help_SETTING(const struct message *question, struct message *answer)
{
	(void)answer;
	return help_setting(question->body.setting.text, question->fd_count == 1 ? question->fds[0] : -1);
}

#define CLIPBOARD_SECONDS 45 /* then it says that there was nothing, and is asked again */

/* Found before this process became the user whose it is. */
static struct clipboard_server clipboard_server;
static int clipboard_missing;

static int help_CLIPBOARD(const struct message *question, struct message *answer)
{
	const struct body_clipboard *asked = &question->body.clipboard;
	struct body_clipboard *said = &answer->body.clipboard;
	struct clipboard_change change = { .mark = asked->mark };
	int fd;

	if (clipboard_missing < 0)
		return clipboard_missing;
	fd = help_clipboard(&clipboard_server, asked->known, asked->mark, CLIPBOARD_SECONDS, &change);
	said->known = change.changed;
	said->mark = change.mark;
	said->tgid = change.tgid;
	said->uid = clipboard_server.uid;
	said->display = change.display;
	said->wayland = clipboard_server.wayland;
	return fd;
}

/* Which of the lanes of its kind. */
static unsigned slot_of(unsigned lane)
{
	unsigned slot = 0;

	while (lane > slot && help_lanes[lane - slot - 1].kind == help_lanes[lane].kind)
		slot++;
	return slot;
}

static int seal_for_clipboard(unsigned lane, struct err *e)
{
	clipboard_missing = help_clipboard_find(slot_of(lane), &clipboard_server);
	return clipboard_missing < 0 ? privilege_seal_helper(e) :
				       privilege_seal_clipboard(clipboard_server.uid, clipboard_server.gid, e);
}

static int (*const tasks[MESSAGE_KINDS])(const struct message *, struct message *) = {
#define HELPER_DOES(name, ...) [HELP_##name] = help_##name,
#include "requests.def"
};

static int seal_for(unsigned lane, struct err *e)
{
	enum message_kind kind = help_lanes[lane].kind;

	if (kind == HELP_CLIPBOARD)
		return seal_for_clipboard(lane, e);
	return kind == HELP_HOST_NAME ? privilege_seal_helper_network(e) : privilege_seal_helper(e);
}

int helper_main(unsigned lane, int channel)
{
	enum message_kind kind = help_lanes[lane].kind;
	struct receiver engine = { .from = PARTY_ENGINE_HELPED, .state = ANY };
	static struct message question, answer;
	struct err e = { 0 };
	OWNED_FD fd = -1;
	int r;

	prctl(PR_SET_NAME, "konseki-help");
	/* One try of a second at each server, whatever the machine's configuration is patient with. */
	setenv("RES_OPTIONS", "timeout:1 attempts:1", 1);
	r = helper_limit(help_lanes[lane].seconds);
	/* Its code is in libraries that cannot be loaded any more once this is sealed. */
	if (kind == HELP_SURVEY || kind == HELP_SETTING)
		help_load_lenses();
	if (r < 0 || seal_for(lane, &e) < 0) {
		fprintf(stderr, "konseki: the helper: %s\n", r < 0 ? strerror(-r) : e.text);
		return 1;
	}
	r = message_receive(channel, &engine, &question);
	if (r <= 0)
		return r < 0 && r != -EPIPE; /* an engine that is gone asks nothing */
	if (question.head.kind != kind)
		return 1;
	r = tasks[kind](&question, &answer);
	if (message_rows[kind].answer_fds == SEND_one && r >= 0) {
		fd = r;
		r = 0;
	}
	message_answer(channel, &question, r, &answer.body, fd);
	return 0;
}
