/* SPDX-License-Identifier: MIT */
#include "enrich.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "../base/clock.h"
#include "../base/text.h"
#include "../rules/ruleset.h"
#include "context.h"
#include "fill.h"

#define REMEMBER_NS 60000000000u /* an ended process: records of it may still be on their way */
#define PACKAGES_REST_NS 3000000000u /* between two looks at a database that keeps changing */
#define PIN_NS      10000000000u /* a pinned file that no exec has claimed was a script or a loader */
#define TICK_NS     10000000u    /* the longest tick of a kernel, HZ = 100 */
/* Whoever sets attributes on a large file again and again must not keep us from all else. */
#define READ_EACH_TICK (64u << 20)
#define COMMAND_MAX KS_ARGV_MAX  /* of a snapshot row, as for an exec */

int enrich_new(const struct enrich_options *o, struct enrich **ret, struct err *e)
{
	OWNED(enrich) en = calloc(1, sizeof(*en));
	int services;

	if (!en)
		return err_set(e, ENOMEM, "tables of the engine");
	en->o = *o;
	en->content = -1;
	en->passwd = en->package_state = -1;
	en->hosts = hosts_new();
	en->logins = logins_new();
	if (!en->hosts || !en->logins)
		return err_set(e, ENOMEM, "tables of the engine");
	if (process_table_new(&en->processes) < 0)
		return err_set(e, ENOMEM, "process table");
	if (hashes_new(&en->hashes, e) < 0)
		return -e->code;

	services = o->ask.services(o->ask.context);
	if (services >= 0) {
		names_load_services(services, &en->services);
		close(services);
	}
	*ret = MOVE(en);
	return 0;
}

void enrich_free(struct enrich *en)
{
	if (!en)
		return;
	if (en->passwd >= 0)
		close(en->passwd);
	process_table_free(en->processes);
	if (en->package_state >= 0)
		close(en->package_state);
	packages_free(en->packages);
	hosts_free(en->hosts);
	logins_free(en->logins);
	names_free(en->users);
	names_free(en->services);
	hashes_free(en->hashes);
	free(en);
}

void enrich_select_hashes(struct enrich *en, unsigned selected)
{
	hashes_select(en->hashes, selected);
}

void enrich_select_host_names(struct enrich *en, bool wanted)
{
	en->host_names_wanted = wanted;
}

/* --- what the helper says */

void enrich_take_packages(struct enrich *en, int fd)
{
	struct packages *fresh;

	en->packages_known = KNOWN;
	if (fd < 0 || packages_map(fd, &fresh) < 0)
		return; /* an older index is better than none: bytes it knows are still those */
	packages_free(en->packages);
	en->packages = fresh;
}

void enrich_take_host_name(struct enrich *en, const struct ks_address *a, const char *name)
{
	hosts_tell(en->hosts, a, name, en->now_ns);
}

void enrich_take_login(struct enrich *en, uint32_t session_id, uint32_t login_uid, uint64_t seconds)
{
	logins_settle(en->logins, session_id, login_uid, seconds);
}

/* True: nothing to wait for. */
static bool host_known(struct enrich *en, const struct ks_address *a, uint64_t now_ns)
{
	const struct enrich_ask *ask = &en->o.ask;
	enum known known;
	const char *name;

	if (!fill_needs_host_name(a))
		return true;
	known = hosts_find(en->hosts, a, now_ns, &name);
	if (known == KNOWN_NOT) {
		if (!ask->host_name || !ask->host_name(ask->context, a)) {
			en->tally.late++;
			hosts_give_up(en->hosts, a, now_ns);
			return true;
		}
		hosts_asked(en->hosts, a, now_ns);
	}
	return known == KNOWN;
}

static bool login_known(struct enrich *en, uint32_t session_id, uint32_t login_uid)
{
	const struct enrich_ask *ask = &en->o.ask;
	enum known known;
	uint64_t seconds;

	if (login_uid == UINT32_MAX || session_id == UINT32_MAX)
		return true;
	known = logins_find(en->logins, session_id, login_uid, &seconds);
	if (known == KNOWN_NOT) {
		logins_asked(en->logins, session_id, login_uid);
		if (!ask->login || !ask->login(ask->context, session_id, login_uid))
			return true;
	}
	return known == KNOWN;
}

/* What is missing of this record, with all of it asked for at once. */
static unsigned missing(struct enrich *en, const struct ks_hdr *rec, uint64_t now_ns)
{
	const struct ks_rec_NETWORK_CONNECT *connect = (const void *)rec;
	const struct ks_rec_PROCESS_CREATE *exec = (const void *)rec;

	if (rec->type == KS_NETWORK_CONNECT && en->host_names_wanted)
		return !host_known(en, &connect->source, now_ns) +
		       !host_known(en, &connect->destination, now_ns);
	if (rec->type == KS_PROCESS_CREATE)
		return !login_known(en, exec->session_id, exec->login_uid) +
		       (!en->packages && en->packages_known == KNOWN_ASKED);
	return 0;
}

bool enrich_ready(struct enrich *en, const struct ks_hdr *rec, uint64_t now_ns, bool may_wait)
{
	unsigned count = missing(en, rec, now_ns);

	if (count == 0)
		return true;
	if (may_wait && now_ns < rec->time_ns + ENRICH_HOLD_NS)
		return false;
	en->tally.late += count;
	return true;
}

/* The file of this state was replaced since, or written to; or there was none. */
static bool packages_changed(const struct enrich *en)
{
	struct stat st;

	if (en->package_state < 0 || fstat(en->package_state, &st) < 0 || st.st_nlink == 0)
		return true;
	return time_ns(st.st_mtim) != en->package_state_mtime_ns;
}

/* The state is opened before the question, so that what changes in between is noticed the next time. */
static void packages_refresh(struct enrich *en)
{
	const struct enrich_ask *ask = &en->o.ask;
	struct stat st;
	int state;

	if (!ask->packages || en->packages_known == KNOWN_ASKED || !packages_changed(en) ||
	    (en->packages_asked_ns && en->now_ns - en->packages_asked_ns < PACKAGES_REST_NS))
		return;
	en->packages_asked_ns = en->now_ns;
	state = ask->package_state(ask->context);
	if (state < 0 || fstat(state, &st) < 0)
		return; /* no such database here */
	if (en->package_state >= 0)
		close(en->package_state);
	en->package_state = state;
	en->package_state_mtime_ns = time_ns(st.st_mtim);
	if (ask->packages(ask->context))
		en->packages_known = KNOWN_ASKED;
	else
		close(MOVE_FD(en->package_state)); /* again after a rest */
}

/* --- the clock and what ages */

/* The file we hold was replaced (tools rename a new one over it) or written to. */
static bool users_changed(const struct enrich *en)
{
	struct stat st;

	if (en->passwd < 0 || fstat(en->passwd, &st) < 0 || st.st_nlink == 0)
		return true;
	return time_ns(st.st_mtim) != en->passwd_mtime_ns;
}

static void users_reload(struct enrich *en)
{
	int passwd = en->o.ask.passwd(en->o.ask.context);
	struct names *users;
	struct stat st;

	if (passwd < 0)
		return;
	if (fstat(passwd, &st) < 0 || names_load_users(passwd, &users) < 0) {
		close(passwd);
		return;
	}
	if (en->passwd >= 0)
		close(en->passwd);
	names_free(en->users);
	en->passwd = passwd;
	en->passwd_mtime_ns = time_ns(st.st_mtim);
	en->users = users;
}

void enrich_tick(struct enrich *en, uint64_t boot_ns, uint64_t utc_offset_ns)
{
	en->now_ns = boot_ns;
	en->utc_offset_ns = utc_offset_ns;
	en->may_read += READ_EACH_TICK;
	if (en->may_read > FILE_READ_MAX)
		en->may_read = FILE_READ_MAX;
	hashes_tick(en->hashes);
	if (users_changed(en))
		users_reload(en);
	packages_refresh(en);
	if (boot_ns > REMEMBER_NS)
		process_table_forget(en->processes, boot_ns - REMEMBER_NS);
	if (boot_ns > PIN_NS)
		hashes_unpin(en->hashes, boot_ns - PIN_NS);
}

uint64_t enrich_utc(const struct enrich *en, uint64_t boot_ns)
{
	return boot_ns + en->utc_offset_ns;
}

void enrich_pin_take(struct enrich *en, int file, uint32_t tgid)
{
	hashes_pin_take(en->hashes, file, tgid, en->now_ns);
}

/* --- images */

static struct guid guid_of(const struct enrich *en, const struct ks_who *who)
{
	return process_guid(&en->o.guid, who->tgid, who->start_ns, who->exec_id);
}

/* Path in the written form, with the mark of a file that had no name any more. */
static size_t path_text(const struct ks_hdr *rec, struct ks_text path, char *out, size_t size)
{
	static const char mark[] = " (deleted)";
	const char *bytes = (const char *)rec + path.off;
	size_t n = text_from_bytes(bytes, path.len, out, size - sizeof(mark), NULL);

	if (!(rec->flags & KS_F_DELETED))
		return n;
	memcpy(out + n, mark, sizeof(mark) - 1);
	return n + sizeof(mark) - 1;
}

/* Of HMAC-SHA-256 in Base64, '=' and what else is not for URLs perhaps as %HH. */
static bool is_signature(const char *text, size_t n)
{
	size_t letters = 0;

	for (size_t i = 0; i < n; i++, letters++)
		if (text[i] == '%')
			i += 2;
	return letters == 44 && (text[n - 1] == '=' || (n > 3 && memcmp(text + n - 3, "%3D", 3) == 0));
}

/* A SAS that was given to `konseki forward` with its address is a key to the copies, and has no place in the log. Only the first
 * one of a command line is hidden, and only what can be one: nothing else can be kept out of the log this way. */
static void hide_signature(char *argv, size_t n)
{
	char *at = memmem(argv, n, "konseki", 7) && memmem(argv, n, "forward", 7) ? memmem(argv, n, "sig=", 4) : NULL;
	size_t length = 0;

	if (!at)
		return;
	at += 4;
	while (at + length < argv + n && strchr("& '\"", at[length]) == NULL)
		length++;
	if (length > 0 && is_signature(at, length))
		memset(at, '*', length);
}

/* The arguments joined by one blank each; a cut is marked. The NUL that ends the last one is no argument, but a
 * second one before it is an empty one. */
static size_t command_text(char *argv, size_t n, bool cut, char *out, size_t size)
{
	if (n > 0 && argv[n - 1] == 0)
		n--;
	for (size_t i = 0; i < n; i++)
		if (argv[i] == 0)
			argv[i] = ' ';
	hide_signature(argv, n);
	n = text_from_bytes(argv, n, out, size - 3, NULL);
	if (cut) {
		memcpy(out + n, "...", 3);
		n += 3;
	}
	return n;
}

/* Where it is, for Context. */
struct place {
	struct ks_text cgroup;
	uint32_t pid_ns, mnt_ns;
};

static struct image *image_of(const struct enrich *en, const struct ks_hdr *rec, struct ks_text path, char *argv,
			      size_t argv_length, bool cut, const struct place *place)
{
	/* Four bytes of text for one of the record, and the marks. */
	static char path_buffer[4 * KS_PATH_MAX + 64], command_buffer[4 * KS_ARGV_MAX + 64];
	static char place_buffer[CONTEXT_PLACE_MAX];
	size_t path_length = path_text(rec, path, path_buffer, sizeof(path_buffer));
	size_t command_length =
		command_text(argv, argv_length, cut, command_buffer, sizeof(command_buffer));

	uint32_t mnt_ns = place->mnt_ns == en->first_mnt_ns ? 0 : place->mnt_ns;
	size_t place_length = !en->o.context ? 0 :
			      context_place((const char *)rec + place->cgroup.off, place->cgroup.len, place->pid_ns,
					    mnt_ns, place_buffer);
	struct image *image = image_new((struct image_text){ path_buffer, path_length },
					(struct image_text){ command_buffer, command_length },
					(struct image_text){ place_buffer, place_length });

	if (image)
		image->elsewhere = mnt_ns != 0;
	return image;
}

static struct image *image_of_exec(const struct enrich *en, const struct ks_rec_PROCESS_CREATE *rec)
{
	const struct place place = { rec->cgroup, rec->pid_ns, rec->mnt_ns };
	static char argv[KS_ARGV_MAX];
	size_t n = rec->argv.len < sizeof(argv) ? rec->argv.len : sizeof(argv);
	struct image *image;

	memcpy(argv, (const char *)rec + rec->argv.off, n);
	image = image_of(en, &rec->hdr, rec->image, argv, n, rec->hdr.flags & KS_F_ARGV_CUT, &place);
	if (image)
		image_set_file(image, &rec->exe);
	return image;
}

/* --- processes come and go */

static void parent_from(struct enrich *en, struct process *p, uint32_t tgid, uint64_t start_ns)
{
	const struct process *parent = process_find(en->processes, tgid, start_ns);

	if (parent && !p->parent_known)
		process_forked(p, parent);
}

static void tell_image(struct enrich *en, const struct process *p)
{
	if (en->o.ask.image_runs)
		en->o.ask.image_runs(en->o.ask.context, p);
}

static void take_exec(struct enrich *en, const struct ks_rec_PROCESS_CREATE *rec)
{
	const struct ks_who *who = &rec->hdr.who;
	struct process *p = process_ensure(en->processes, who->tgid, who->start_ns);
	struct identity identity = { guid_of(en, who), who->exec_id,    image_of_exec(en, rec), rec->hdr.time_ns,
				     rec->login_uid,   rec->session_id, true };

	if (!p) {
		image_unref(identity.image);
		return;
	}
	parent_from(en, p, rec->parent_tgid, rec->parent_start_ns);
	p->uid = who->uid;
	process_executed_take(p, identity);
	tell_image(en, p);
}

static void take_fork(struct enrich *en, const struct ks_rec_PROCESS_FORK *rec)
{
	const struct ks_who *who = &rec->hdr.who;
	struct ks_who child_who = { .tgid = rec->child_tgid,
				    .start_ns = rec->child_start_ns,
				    .exec_id = rec->child_exec_id };
	struct process *parent = process_ensure(en->processes, who->tgid, who->start_ns);
	struct process *child =
		process_ensure(en->processes, rec->child_tgid, rec->child_start_ns);

	if (!parent || !child)
		return;
	parent->uid = who->uid;
	if (guid_is_zero(&parent->now.guid)) { /* forked before anyone told us of it */
		parent->now.guid = guid_of(en, who);
		parent->now.exec_id = who->exec_id;
	}
	child->uid = rec->child_uid;
	if (guid_is_zero(&child->now.guid)) {
		child->now.guid = guid_of(en, &child_who);
		child->now.exec_id = rec->child_exec_id;
		child->now.login_uid = rec->child_login_uid;
		child->now.session_id = rec->child_session_id;
		child->now.login_known = true;
	} else if (!process_identity(child, rec->child_exec_id)) {
		/* A snapshot had it already, as what it executed since. */
		process_was_take(child, (struct identity){ guid_of(en, &child_who), rec->child_exec_id,
							   image_ref(process_identity_at(parent, rec->hdr.time_ns)->image),
							   rec->hdr.time_ns, rec->child_login_uid, rec->child_session_id,
							   true });
	}
	process_forked(child, parent);
	tell_image(en, child);
}

/* It is seen to run that, and may have run something else before, of which records are still to be read. */
static void take_as_it_is(struct process *p, struct identity identity, uint64_t now_ns)
{
	if (guid_is_zero(&p->now.guid) || p->now.exec_id == identity.exec_id) {
		image_unref(p->now.image);
		p->now = identity;
	} else if (p->now.exec_id < identity.exec_id) {
		identity.since_ns = now_ns; /* at the latest */
		process_executed_take(p, identity);
	} else {
		process_was_take(p, identity);
	}
}

void enrich_snapshot_row(struct enrich *en, const struct ks_hdr *hdr)
{
	const struct ks_rec_PROCESS_ALIVE *row = (const void *)hdr;
	const struct place place = { row->cgroup, row->pid_ns, row->mnt_ns };
	const struct ks_who *who = &hdr->who;
	struct process *p = process_ensure(en->processes, who->tgid, who->start_ns);
	const struct identity *known = p ? process_identity(p, who->exec_id) : NULL;
	struct identity identity;
	static char argv[COMMAND_MAX];
	ssize_t n = 0;
	int cmdline;

	if (who->tgid == 1)
		en->first_mnt_ns = row->mnt_ns;
	if (!p || (known && known->image))
		return;
	cmdline = en->o.ask.cmdline(en->o.ask.context, who->tgid, who->start_ns);
	if (cmdline >= 0) {
		n = read(cmdline, argv, sizeof(argv));
		close(cmdline);
	}
	/* Programs that write their state over their arguments leave NULs behind. */
	while (n > 1 && argv[n - 1] == 0 && argv[n - 2] == 0)
		n--;
	identity = (struct identity){ guid_of(en, who), who->exec_id,
				      image_of(en, hdr, row->image, argv, n > 0 ? (size_t)n : 0,
					       n == (ssize_t)sizeof(argv), &place),
				      0, row->login_uid, row->session_id, true };
	if (identity.image)
		image_set_file(identity.image, &row->exe);
	take_as_it_is(p, identity, hdr->time_ns);
	p->uid = who->uid;
	tell_image(en, p);
}

static bool is_same_image(const struct image *a, const struct image *b)
{
	size_t n = a->path_length + a->command_length + a->place_length;

	return a->file.dev && a->file.dev == b->file.dev && a->file.ino == b->file.ino &&
	       a->path_length == b->path_length && a->command_length == b->command_length &&
	       a->place_length == b->place_length && memcmp(a->text, b->text, n) == 0;
}

/* A fork of its parent runs the very image that the parent runs. */
static void share_image(struct process *p, const struct process *parent)
{
	struct image *own = p->now.image;

	if (!own || !parent || !parent->now.image || own == parent->now.image ||
	    p->now.exec_id != parent->now.exec_id || !is_same_image(own, parent->now.image))
		return;
	p->now.image = image_ref(parent->now.image);
	image_unref(own);
}

void enrich_snapshot_parent(struct enrich *en, const struct ks_hdr *hdr)
{
	const struct ks_rec_PROCESS_ALIVE *row = (const void *)hdr;
	struct process *p = process_find(en->processes, hdr->who.tgid, hdr->who.start_ns);

	if (!p)
		return;
	parent_from(en, p, row->parent_tgid, row->parent_start_ns);
	share_image(p, process_find(en->processes, row->parent_tgid, row->parent_start_ns));
}

/* --- records */

/* The process, read on for if need be: whatever introduced it was submitted before the record that names it, on the
 * other ring. */
static struct process *find_introduced(struct enrich *en, const struct ks_who *who)
{
	struct process *p = process_find(en->processes, who->tgid, who->start_ns);

	if (p && p->now.exec_id >= who->exec_id)
		return p;
	en->o.ask.catch_up(en->o.ask.context);
	return process_find(en->processes, who->tgid, who->start_ns);
}

/* The process of a record, and the image it ran at that moment. */
static void find_actor(struct filling *f)
{
	const struct ks_who *who = &f->rec->who;
	struct process *p;

	/* Whom it reached for first: reading on may move what was found. */
	if (f->rec->type == KS_PROCESS_ACCESS)
		find_introduced(f->en, &((const struct ks_rec_PROCESS_ACCESS *)f->rec)->target);
	if (f->rec->type == KS_REMOTE_THREAD)
		find_introduced(f->en, &((const struct ks_rec_REMOTE_THREAD *)f->rec)->target);
	p = find_introduced(f->en, who);
	f->process = p;
	f->identity = p ? process_identity(p, who->exec_id) : NULL;
	if (p)
		p->uid = who->uid;
	if (!f->identity)
		f->en->tally.unknown++;
}

bool enrich_record(struct enrich *en, const struct ks_hdr *rec, struct arena *arena,
		   struct event *ev)
{
	struct file_known file = { 0 };
	struct filling f = { .en = en, .rec = rec, .arena = arena, .file = &file };

	if (rec->type == KS_PROCESS_FORK)
		take_fork(en, (const void *)rec);
	ev->type = event_type_by_record(rec->type);
	if (!ev->type)
		return false;
	if (rec->type == KS_PROCESS_CREATE)
		take_exec(en, (const void *)rec);

	f.utc_ns = enrich_utc(en, rec->time_ns);
	find_actor(&f);
	ev->time_utc_ns = f.utc_ns;
	fill_event(&f, ev);
	if (rec->type == KS_PROCESS_TERMINATE && f.process)
		process_ended(en->processes, f.process, rec->time_ns);
	return true;
}

bool enrich_is_end_of_child(const struct enrich *en, const struct ks_hdr *rec, uint32_t parent)
{
	const struct ks_rec_PROCESS_TERMINATE *end = (const void *)rec;
	const struct process *p;

	if (rec->type != KS_PROCESS_TERMINATE || end->exit_code != 0)
		return false;
	p = process_find(en->processes, rec->who.tgid, rec->who.start_ns);
	return p && p->parent_known && p->parent_tgid == parent;
}

bool enrich_content(struct enrich *en, const struct ks_hdr *rec, int file, struct arena *arena,
		    struct event *ev)
{
	bool is_event;

	en->content = file;
	is_event = enrich_record(en, rec, arena, ev);
	en->content = -1;
	return is_event;
}

bool enrich_who(struct enrich *en, uint32_t tgid, uint64_t changed_utc_ns, struct ks_who *who)
{
	uint64_t changed_ns = changed_utc_ns - en->utc_offset_ns;
	const struct process *p = process_find_at(en->processes, tgid, changed_ns + TICK_NS);
	const struct identity *i;

	*who = (struct ks_who){ .tgid = tgid, .tid = tgid };
	/* Written by a parent, closed by the child to which it was handed on. */
	if (!p)
		p = process_find_at(en->processes, tgid, UINT64_MAX);
	if (!p)
		return false;
	/* A file that was last changed before the process executed what it runs now, was written by what it ran
	 * before. (Times of files lag behind by up to a tick.) */
	i = process_identity_at(p, changed_ns + TICK_NS);
	who->start_ns = p->start_ns;
	who->exec_id = i->exec_id;
	who->uid = p->uid;
	return true;
}

uint64_t enrich_time_of(const struct enrich *en, const struct ks_who *who, uint64_t time_ns)
{
	const struct process *p = process_find(en->processes, who->tgid, who->start_ns);
	const struct identity *i = p ? process_identity(p, who->exec_id) : NULL;
	uint64_t until_ns = p ? process_ran_until(p, who->exec_id) : UINT64_MAX;

	if (i && time_ns < i->since_ns)
		return i->since_ns;
	return until_ns && until_ns <= time_ns ? until_ns - 1 : time_ns;
}

/* --- programs whose file is gone */

struct gone {
	const struct ks_rec_FILE_DELETE_DETECTED *rec;
	void (*tell)(void *context, const struct ks_hdr *rec);
	void *context;
	char path[4 * KS_PATH_MAX];
	size_t path_length;
};

/* It runs that file under that name, or under whatever name if none is left. */
static bool is_gone(const struct gone *g, const struct image *image)
{
	const struct ks_file_id *id = &g->rec->file;

	if (!image || image->told_gone || !image_runs_file(image, id))
		return false;
	return id->nlink == 0 ||
	       (image->path_length == g->path_length && memcmp(image_path(image), g->path, g->path_length) == 0);
}

/* Records of processes may have been read ahead of this one. */
static void find_oldest(void *context, const struct process *p)
{
	const struct gone *g = context;
	const struct identity *ran = process_identity_at(p, g->rec->hdr.time_ns);
	struct image *image = ran->image;

	/* What was executed afterwards had no name from the start. */
	if (ran->since_ns <= g->rec->hdr.time_ns && is_gone(g, image) &&
	    (!image->oldest || p->start_ns < image->oldest->start_ns))
		image->oldest = p;
}

static void tell_gone(void *context, const struct process *p)
{
	struct gone *g = context;
	const struct identity *ran = process_identity_at(p, g->rec->hdr.time_ns);
	struct image *image = ran->image;
	struct ks_rec_PROCESS_TAMPERING rec = {
		.hdr = { .size = sizeof(rec), .type = KS_PROCESS_TAMPERING, .time_ns = g->rec->hdr.time_ns,
			 .who = { .start_ns = p->start_ns, .exec_id = ran->exec_id, .tgid = p->tgid,
				  .tid = p->tgid, .uid = p->uid } },
		.how = g->rec->how == KS_HOW_REPLACE ? KS_TAMPERED_ON_DISK : KS_TAMPERED_DELETED,
	};

	if (!image || image->oldest != p)
		return;
	image->oldest = NULL;
	image->told_gone = true;
	g->tell(g->context, &rec.hdr);
}

void enrich_file_gone(struct enrich *en, const struct ks_rec_FILE_DELETE_DETECTED *rec,
		      void (*tell)(void *context, const struct ks_hdr *rec), void *context)
{
	static struct gone g;

	if (!image_may_run(&rec->file))
		return;
	g.rec = rec;
	g.tell = tell;
	g.context = context;
	g.path_length = text_from_bytes((const char *)rec + rec->TargetFilename.off, rec->TargetFilename.len, g.path,
					sizeof(g.path), NULL);
	process_each_at(en->processes, rec->hdr.time_ns, find_oldest, &g);
	process_each_at(en->processes, rec->hdr.time_ns, tell_gone, &g);
}

void enrich_own(struct enrich *en, unsigned id, uint64_t utc_ns, const char *const texts[],
		struct arena *arena, struct event *ev)
{
	struct filling f = { .en = en, .arena = arena, .utc_ns = utc_ns };
	unsigned text = 0;

	ev->type = event_type_by_id(id);
	ev->time_utc_ns = utc_ns;
	for (unsigned i = 0; i < ev->type->field_count; i++) {
		if (strcmp(ev->type->fields[i].name, "UtcTime") == 0) {
			char *to = arena_take(arena, 24);

			utc_text(utc_ns, to);
			ev->values[i].text = to;
			ev->values[i].length = 23;
		} else {
			fill_bytes(&f, texts[text], strlen(texts[text]), &ev->values[i]);
			text++;
		}
	}
}

bool enrich_is_of_family(const struct enrich *en, uint32_t tgid, uint32_t parent)
{
	const struct process *p = process_find_at(en->processes, tgid, UINT64_MAX);

	return tgid == parent || (p && p->parent_known && p->parent_tgid == parent);
}

#define DESCRIBED_PATH_MAX 300

static const char *user_text(const struct enrich *en, uint32_t uid, char number[11])
{
	const char *name = names_find(en->users, uid);

	snprintf(number, 11, "%u", uid);
	return name ? name : number;
}

void enrich_describe(const struct enrich *en, uint32_t tgid, uint32_t login_uid, char *text, size_t size)
{
	const struct process *p = process_find_at(en->processes, tgid, UINT64_MAX);
	const struct image *image = p ? p->now.image : NULL;
	const char *path = image && image->path_length ? image_path(image) : "-";
	int length = image && image->path_length ? (int)image->path_length : 1;
	char uid[11], login[11], guid[40] = "-";

	if (p)
		guid_text(&p->now.guid, guid);
	snprintf(text, size, "%.60s (%s%.60s), process %.*s[%u], ProcessGuid %s", p ? user_text(en, p->uid, uid) : "-",
		 login_uid == UINT32_MAX ? "no login" : "logged in as ",
		 login_uid == UINT32_MAX ? "" : user_text(en, login_uid, login),
		 length < DESCRIBED_PATH_MAX ? length : DESCRIBED_PATH_MAX, path, tgid, guid);
}

void enrich_each_process(struct enrich *en, void (*see)(void *context, const struct process *p), void *context)
{
	process_each(en->processes, see, context);
}

void enrich_tally(const struct enrich *en, struct enrich_tally *t)
{
	*t = en->tally;
	t->processes = process_count(en->processes);
}
