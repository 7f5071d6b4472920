/* SPDX-License-Identifier: MIT */
/* The command line's side of the control socket: -c and status. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "../base/clock.h"
#include "files.h"
#include "paths.h"
#include "rules_check.h"
#include "rules_store.h"
#include "service_parts.h"
#include "settings.h"

/* Reading large rules takes seconds; then a monitor may be starting just now. */
#define ANSWER_MS    30000
#define STATUS_MS    5000
#define CONNECT_MS   3000

int control_connect(void)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX, .sun_path = PATH_CONTROL };
	uint64_t until = now_ms() + CONNECT_MS;
	OWNED_FD fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	while (connect(fd, (struct sockaddr *)&at, sizeof(at)) < 0) {
		/* While the monitor is being replaced, nobody listens for a moment. */
		if ((errno != ECONNREFUSED && errno != ENOENT) || !running_pid() ||
		    now_ms() >= until)
			return -errno;
		usleep(50000);
	}
	return MOVE_FD(fd);
}

static int say_not_running(void)
{
	if (access(PATH_PROGRAM, F_OK) < 0)
		fprintf(stderr, "The service konseki is not installed (konseki -i installs it).\n");
	else
		fprintf(stderr, "The service konseki is not running.\n");
	return STATUS_USAGE;
}

static int say_no_answer(int r)
{
	fprintf(stderr, "konseki: the service does not answer: %s\n", strerror(-r));
	return 1;
}

/* --- -c with rules */

int rules_given(const struct service_config *c, struct body_configure *rules, int *file, struct err *e)
{
	int r;

	if (!c->xml) {
		r = rules_of(c->path, rules, file, e);
	} else {
		*file = bytes_freeze(c->xml, c->xml_length);
		r = *file < 0 ? err_set(e, -*file, "keeping the configuration") : 0;
	}
	if (c->name)
		snprintf(rules->name, sizeof(rules->name), "%s", c->name);
	return r;
}

static int send_rules(int control, const struct body_configure *rules, int file)
{
	struct message m;
	int r = message_ask(control, CONTROL_CONFIGURE, rules, file, ANSWER_MS, &m);

	if (r < 0 && *m.body.reply.text) {
		fprintf(stderr, "%s\n", m.body.reply.text);
		return STATUS_USAGE;
	}
	if (r < 0)
		return say_no_answer(r);
	if (*m.body.reply.text)
		fprintf(stderr, "konseki: %s\n", m.body.reply.text);
	puts(file < 0 ? "All defaults are being used." : "Configuration updated.");
	return 0;
}

int service_configure(const struct service_config *c)
{
	struct body_configure rules = { 0 };
	OWNED_FD control = -1, file = -1;
	struct err e = { 0 };
	int status = refuse_unless_root();

	if (status)
		return status;
	if (rules_given(c, &rules, &file, &e) < 0) {
		fprintf(stderr, "konseki: %s\n", e.text);
		return STATUS_USAGE;
	}
	control = control_connect();
	if (control < 0)
		return say_not_running();
	status = file < 0 ? 0 : rules_validate(file, rules.name);
	return status ? status : send_rules(control, &rules, file);
}

/* --- -c alone */

int service_print_config(void)
{
	struct message m, status;
	OWNED_FD control = -1, file = -1;
	int r = refuse_unless_root();

	if (r)
		return r;
	control = control_connect();
	if (control < 0)
		return say_not_running();
	r = message_ask(control, CONTROL_STATUS, NULL, -1, STATUS_MS, &status);
	if (r < 0)
		return say_no_answer(r);
	r = message_ask(control, CONTROL_CONFIG, NULL, -1, STATUS_MS, &m);
	if (r < 0)
		return say_no_answer(r);
	file = m.fd_count ? m.fds[0] : -1;

	puts("Current configuration:");
	printf(" - %-31s%s\n", "Service name:", "konseki");
	if (file >= 0) {
		printf(" - %-31s%s\n", "Config file:", m.body.configure.name);
		printf(" - %-31s%s\n", "Config hash:", status.body.status.report.config_hash);
	}
	return rules_print(file, m.body.configure.what, m.body.configure.name);
}

/* --- the size of the log */

#define SETTINGS_MAX 65536u

static int store_log_size(const char *size, struct err *e)
{
	OWNED_HEAP char *text = calloc(1, SETTINGS_MAX), *changed = NULL;
	ssize_t n = text ? files_read_text(PATH_SETTINGS, text, SETTINGS_MAX) : -ENOMEM;
	int r;

	if (n < 0 || n == SETTINGS_MAX - 1)
		return err_set(e, n < 0 ? (int)-n : EFBIG, "reading '%s'", PATH_SETTINGS);
	changed = settings_changed(text, "log", "size", size);
	r = changed ? files_write_text(PATH_SETTINGS, changed, 0640) : -ENOMEM;
	return r < 0 ? err_set(e, -r, "writing '%s'", PATH_SETTINGS) : 0;
}

int service_set_log_size(const char *size)
{
	struct body_size body = { 0 };
	OWNED_FD control = -1;
	struct err e = { 0 };
	struct message m;
	int r = refuse_unless_root();

	if (r)
		return r;
	if (size_parse(size, &body.bytes) < 0 || body.bytes < 1u << 20 || body.bytes > 0xfffff000u) {
		fprintf(stderr, "konseki: '%s' is no size of a log: 1M to 4095M\n", size);
		return STATUS_USAGE;
	}
	if (access(PATH_SETTINGS, F_OK) == 0 && store_log_size(size, &e) < 0) {
		fprintf(stderr, "konseki: %s\n", e.text);
		return 1;
	}
	control = control_connect();
	if (control < 0) {
		puts(access(PATH_SETTINGS, F_OK) == 0 ? "Stored; konseki is not running." : "konseki is neither installed nor running.");
		return access(PATH_SETTINGS, F_OK) == 0 ? 0 : 1;
	}
	r = message_ask(control, CONTROL_RESIZE, &body, -1, STATUS_MS, &m);
	if (r < 0) {
		fprintf(stderr, "konseki: the service does not answer: %s\n", strerror(-r));
		return 1;
	}
	printf("The log may now become %s large.\n", size);
	return 0;
}

/* --- clearing it */

/* An archive has the second in its name: of two that come so fast, one waits. */
static int ask_to_clear(int control, bool keep, struct message *m)
{
	struct body_toggle body = { keep, 0 };
	int r = message_ask(control, CONTROL_CLEAR, &body, -1, ANSWER_MS, m);

	if (r != -EAGAIN)
		return r;
	sleep(1);
	return message_ask(control, CONTROL_CLEAR, &body, -1, ANSWER_MS, m);
}

int service_clear_log(bool keep)
{
	OWNED_FD control = -1;
	struct message m = { 0 };
	int r = refuse_unless_root();

	if (r)
		return r;
	control = control_connect();
	if (control < 0) {
		fputs("konseki is not running: its log is a file like any other now.\n", stderr);
		return 1;
	}
	r = ask_to_clear(control, keep, &m);
	if (r < 0 && *m.body.reply.text) {
		fprintf(stderr, "konseki: the log was not cleared: %s\n", m.body.reply.text);
		return 1;
	}
	if (r < 0)
		return say_no_answer(r);
	if (*m.body.reply.text)
		printf("The log was cleared. What it held is kept in %s\n", m.body.reply.text);
	else
		puts("The log was cleared. What it held is gone.");
	return 0;
}
