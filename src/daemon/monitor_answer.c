/* SPDX-License-Identifier: MIT */
/* What the engine asks for. One function a row; the table is made from the rows. */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "../collect/exec_watch.h"
#include "monitor_parts.h"
#include "paths.h"
#include "process_files.h"

static int answer_EXE(struct monitor *m, const struct message *request)
{
	(void)m;
	return process_file_open(request->body.process.tgid, request->body.process.start_ns, "exe");
}

static int answer_CMDLINE(struct monitor *m, const struct message *request)
{
	(void)m;
	return process_file_open(request->body.process.tgid, request->body.process.start_ns,
				 "cmdline");
}

static int answer_SNAPSHOT(struct monitor *m, const struct message *request)
{
	struct err e;

	(void)request;
	return sensor_snapshot(m->sensor, &e);
}

static int open_database(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

static int answer_PASSWD(struct monitor *m, const struct message *request)
{
	(void)m;
	(void)request;
	return open_database("/etc/passwd");
}

static int answer_SERVICES(struct monitor *m, const struct message *request)
{
	(void)m;
	(void)request;
	return open_database("/etc/services");
}

static int answer_PACKAGE_STATE(struct monitor *m, const struct message *request)
{
	(void)m;
	(void)request;
	return open_database(PATH_PACKAGES "/status");
}

static int answer_WATCH(struct monitor *m, const struct message *request)
{
	OWNED_FD file = -1;

	if (m->exec_watch < 0)
		return -EOPNOTSUPP;
	file = process_file_open(request->body.process.tgid, request->body.process.start_ns, "exe");
	if (file < 0)
		return file;
	return exec_watch_add(m->exec_watch, file);
}

static int answer_WANT(struct monitor *m, const struct message *request)
{
	bool wanted[KS_RECORD_COUNT];
	struct err e;
	int r;

	if (m->stopping) /* before the engine had its first rules: nothing is attached any more */
		return 0;
	for (unsigned i = 0; i < KS_RECORD_COUNT; i++) {
		wanted[i] = request->body.want.wanted[i] != 0;
		m->wanted[i] = wanted[i];
	}
	r = sensor_want(m->sensor, wanted, &e);
	/* Also after a failure: some hooks may have come or gone. */
	held_send(m);
	return r;
}

static int (*const answers[MESSAGE_KINDS])(struct monitor *, const struct message *) = {
#define ENGINE_ASKS(name, ...) [ASK_##name] = answer_##name,
#include "requests.def"
};

int answer_engine(struct monitor *m, const struct message *request)
{
	return answers[request->head.kind](m, request);
}
