/* SPDX-License-Identifier: MIT */
/* -i and -u: files, accounts, folders, the service. What is made here is undone here. */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <grp.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "files.h"
#include "manager.h"
#include "packaged.h"
#include "paths.h"
#include "rules_check.h"
#include "rules_store.h"
#include "seal_make.h"
#include "service_parts.h"

/* --- accounts */

#define PATH_ACCOUNTS PATH_STATE "/accounts" /* those we made, and so remove */

static bool account_exists(const char *name)
{
	FILE *passwd = fopen("/etc/passwd", "re");
	bool found = false;
	struct passwd *p;

	while (passwd && !found && (p = fgetpwent(passwd)))
		found = strcmp(p->pw_name, name) == 0;
	if (passwd)
		fclose(passwd);
	return found;
}

static int make_account(const char *name, FILE *made, struct err *e)
{
	const char *const words[] = { "useradd", "--system", "--user-group", "--no-create-home",
				      "--home-dir", "/nonexistent", "--shell", "/usr/sbin/nologin",
				      name, NULL };

	if (account_exists(name))
		return 0;
	if (run_program(words) != 0)
		return err_set(e, EBADMSG, "the user '%s' cannot be made (useradd)", name);
	fprintf(made, "%s\n", name);
	return 0;
}

static int make_accounts(struct err *e)
{
	FILE *made = fopen(PATH_ACCOUNTS, "ae");
	int r;

	if (!made)
		return err_set(e, errno, "writing '%s'", PATH_ACCOUNTS);
	r = make_account(ACCOUNT_ENGINE, made, e);
	if (r == 0)
		r = make_account(ACCOUNT_HELPER, made, e);
	if (r == 0)
		r = make_account(ACCOUNT_FORWARDER, made, e);
	if (fclose(made) != 0 && r == 0)
		r = err_set(e, errno, "writing '%s'", PATH_ACCOUNTS);
	return r;
}

static void remove_accounts(void)
{
	FILE *made = fopen(PATH_ACCOUNTS, "re");
	char name[64];

	while (made && fgets(name, sizeof(name), made)) {
		name[strcspn(name, "\n")] = 0;
		/* The list names ours only; a line that is anything else was not written by us. */
		if (strcmp(name, ACCOUNT_ENGINE) == 0 || strcmp(name, ACCOUNT_HELPER) == 0 ||
		    strcmp(name, ACCOUNT_FORWARDER) == 0)
			run_program((const char *const[]){ "userdel", name, NULL });
	}
	if (made)
		fclose(made);
}

/* --- files */

static int make_folder(const char *path, mode_t mode, struct err *e)
{
	if (mkdir(path, mode) < 0 && errno != EEXIST)
		return err_set(e, errno, "making the folder '%s'", path);
	return 0;
}

static int copy_file(const char *from, const char *to, mode_t mode, struct err *e)
{
	OWNED_FD fd = open(from, O_RDONLY | O_CLOEXEC);
	struct stat st;
	void *bytes;
	int r;

	if (fd < 0 || fstat(fd, &st) < 0)
		return err_set(e, errno, "reading '%s'", from);
	bytes = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (bytes == MAP_FAILED)
		return err_set(e, errno, "reading '%s'", from);
	r = files_write(to, bytes, (size_t)st.st_size, mode);
	munmap(bytes, (size_t)st.st_size);
	return r < 0 ? err_set(e, -r, "writing '%s'", to) : 0;
}

/* The program is one file: this one, wherever it was started from. */
static int install_program(struct err *e)
{
	struct stat own, there;

	if (stat("/proc/self/exe", &own) == 0 && stat(PATH_PROGRAM, &there) == 0 &&
	    own.st_dev == there.st_dev && own.st_ino == there.st_ino)
		return 0;
	if (make_folder("/usr/local", 0755, e) < 0 || make_folder("/usr/local/sbin", 0755, e) < 0)
		return -e->code;
	return copy_file("/proc/self/exe", PATH_PROGRAM, 0755, e);
}

static int install_text(const char *path, const char *text, mode_t mode, struct err *e)
{
	int r = files_write_text(path, text, mode);

	return r < 0 ? err_set(e, -r, "writing '%s'", path) : 0;
}

static int install_rules(const struct body_configure *rules, int file, struct err *e)
{
	int r = rules_store(rules, file);

	return r < 0 ? err_set(e, -r, "storing the rules '%s'", PATH_RULES) : 0;
}

static int install_files(const struct service_config *c, const struct body_configure *rules, int file,
			 struct err *e)
{
	if (make_folder(PATH_ETC, 0750, e) < 0 || make_folder(PATH_STATE, 0700, e) < 0 ||
	    make_folder(PATH_LOGS, 0750, e) < 0 || make_accounts(e) < 0 ||
	    install_program(e) < 0)
		return -e->code;
	if (access(PATH_SETTINGS, F_OK) < 0 &&
	    install_text(PATH_SETTINGS, packaged_konseki_conf, 0640, e) < 0)
		return -e->code;
	if (seal_make_installed(stdout, e) < 0)
		return -e->code;
	if (rules && install_rules(rules, file, e) < 0)
		return -e->code;
	if (c->btf && copy_file(c->btf, PATH_BTF, 0644, e) < 0)
		return -e->code;
	if (manager_is_systemd())
		return install_text(PATH_UNIT, packaged_konseki_service, 0644, e);
	if (access("/etc/init.d", F_OK) == 0)
		return install_text(PATH_INIT, packaged_konseki_init, 0755, e);
	return 0;
}

/* --- -i */

static bool is_installed(void)
{
	return access(PATH_PROGRAM, F_OK) == 0 && access(PATH_STATE, F_OK) == 0;
}

static bool rules_are_given(const struct service_config *c)
{
	return c->path || c->xml;
}

/* A `konseki run` in some terminal is not ours to end. */
static int refuse_beside_a_run(void)
{
	pid_t pid = running_pid();

	if (!pid || !manager_runs_in_foreground())
		return 0;
	fprintf(stderr, "konseki: 'konseki run' is running as process %d; end it first (Ctrl-C there, or "
			"kill %d)\n", pid, pid);
	return 1;
}

static int fail(const struct err *e)
{
	fprintf(stderr, "konseki: %s\n", e->text);
	return 1;
}

static void tell_how_it_starts(void)
{
	if (!manager_is_systemd() && access(PATH_INIT, F_OK) < 0)
		puts("There is neither systemd nor /etc/init.d here: let '" PATH_PROGRAM
		     " -service' be started when this machine boots.");
}

/* Everything is checked before anything is changed. */
static int check_given(const struct service_config *c, struct body_configure *rules, int *file)
{
	struct err e = { 0 };

	*file = -1;
	if (!rules_are_given(c))
		return 0;
	if (rules_given(c, rules, file, &e) < 0) {
		fprintf(stderr, "konseki: %s\n", e.text);
		return STATUS_USAGE;
	}
	return *file < 0 ? 0 : rules_validate(*file, rules->name);
}

/* Whoever names no rules gets ours, or keeps those that are there. */
static struct service_config with_rules(const struct service_config *given, bool upgrade)
{
	struct service_config c = *given;

	if (upgrade || rules_are_given(given))
		return c;
	c.xml = packaged_recommended_xml;
	c.xml_length = sizeof(packaged_recommended_xml) - 1;
	c.name = "Recommended";
	return c;
}

int service_install(const struct service_config *given)
{
	bool upgrade = is_installed();
	const struct service_config all = with_rules(given, upgrade), *c = &all;
	struct body_configure rules = { 0 };
	OWNED_FD file = -1;
	struct err e = { 0 };
	int status = refuse_unless_root();

	if (!status)
		status = refuse_beside_a_run();
	if (!status)
		status = check_given(c, &rules, &file);
	if (status)
		return status;

	if (upgrade)
		printf("konseki is already installed: upgrading to version %s; the log %s kept.\n",
		       KONSEKI_VERSION, rules_are_given(c) ? "is" : "and the rules are");
	if (install_files(c, rules_are_given(c) ? &rules : NULL, file, &e) < 0)
		return fail(&e);
	puts("konseki installed.");
	puts("Starting konseki.");
	fflush(stdout);
	if (manager_start(&e) < 0)
		return fail(&e);
	puts("konseki started.");
	tell_how_it_starts();
	return 0;
}

/* --- -u */

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *at)
{
	(void)st;
	(void)kind;
	(void)at;
	if (remove(path) < 0 && errno != ENOENT)
		fprintf(stderr, "konseki: removing '%s': %s\n", path, strerror(errno));
	return 0;
}

static void remove_tree(const char *path)
{
	nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static void remove_files(bool remove_log)
{
	manager_forget();
	remove_accounts();
	remove_tree(PATH_ETC);
	remove_tree(PATH_STATE);
	unlink(PATH_PROGRAM);
	if (remove_log)
		remove_tree(PATH_LOGS);
	else if (access(PATH_LOG, F_OK) == 0)
		puts("The log stays: " PATH_LOG);
}

int service_uninstall(bool force, bool remove_log)
{
	bool beside = running_pid() && manager_runs_in_foreground();
	struct err e = { 0 };
	int status = refuse_unless_root();

	if (status)
		return status;
	if (!is_installed() && !force) {
		fprintf(stderr, "The service konseki is not installed ('konseki -u force' removes what may "
				"be left of it).\n");
		return STATUS_USAGE;
	}
	if (!beside) {
		puts("Stopping konseki.");
		fflush(stdout);
		if (manager_stop(force, &e) < 0) {
			fprintf(stderr, "konseki: %s\n", e.text);
			if (!force)
				return 1;
		} else {
			puts("konseki stopped.");
		}
	}
	remove_files(remove_log);
	puts("konseki removed.");
	return 0;
}
