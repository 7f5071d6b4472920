/* SPDX-License-Identifier: MIT */
/* One small function for each FILL row of schema/events.def. */
#include "fill.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/bpf.h>
#include <linux/capability.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "../base/text.h"
#include "context.h"
#include "executable.h"

/* --- values */

static void set_text(struct value *v, const char *text, size_t length)
{
	v->text = text;
	v->length = (uint32_t)length;
}

static void set_dash(struct value *v)
{
	set_text(v, "-", 1);
}

static void set_string(struct value *v, const char *text)
{
	set_text(v, text, strlen(text));
}

/* Room for a short text in the arena; the arena is sized so that it cannot fail for these. */
static char *take(const struct filling *f, size_t n)
{
	static char nowhere[64];
	char *p = arena_take(f->arena, n);

	return p ? p : nowhere;
}

void fill_bytes(const struct filling *f, const void *bytes, size_t n, struct value *v)
{
	size_t room = 4 * n;
	char *to;

	if (n == 0)
		return set_dash(v);
	if (room > arena_left(f->arena))
		room = arena_left(f->arena) & ~(size_t)7;
	to = arena_take(f->arena, room);
	if (!to)
		return set_dash(v);
	set_text(v, to, text_from_bytes(bytes, n, to, room, NULL));
	arena_shrink(f->arena, to, v->length);
}

/* A path of the record, with the mark of a file that had no name any more. */
static void set_path(const struct filling *f, struct ks_text path, struct value *v)
{
	static const char mark[] = " (deleted)";
	char *marked;

	fill_bytes(f, (const char *)f->rec + path.off, path.len, v);
	if (!(f->rec->flags & KS_F_DELETED) || path.len == 0)
		return;
	marked = arena_take(f->arena, v->length + sizeof(mark));
	if (!marked)
		return;
	memcpy(marked, v->text, v->length);
	memcpy(marked + v->length, mark, sizeof(mark));
	set_text(v, marked, v->length + sizeof(mark) - 1);
}

static void set_utc(const struct filling *f, uint64_t utc_ns, struct value *v)
{
	char *to = take(f, 24);

	utc_text(utc_ns, to);
	set_text(v, to, 23);
}

/* --- fields that nearly every event has */

static void fill_rule_name(const struct filling *f, struct value *v)
{
	(void)f;
	set_dash(v); /* the verdict puts the name in; rules themselves see "-" */
}

static void fill_utc_time(const struct filling *f, struct value *v)
{
	set_utc(f, f->utc_ns, v);
}

static void fill_process_guid(const struct filling *f, struct value *v)
{
	const struct ks_who *who = &f->rec->who;

	v->guid = process_guid(&f->en->o.guid, who->tgid, who->start_ns, who->exec_id);
}

static void fill_process_id(const struct filling *f, struct value *v)
{
	v->number = f->rec->who.tgid;
}

static void set_image(const struct image *image, struct value *v)
{
	if (image && image->path_length)
		set_text(v, image_path(image), image->path_length);
	else
		set_dash(v);
}

static void fill_process_image(const struct filling *f, struct value *v)
{
	set_image(f->identity ? f->identity->image : NULL, v);
}

void fill_user_name(const struct filling *f, uint32_t uid, struct value *v)
{
	const char *name = names_find(f->en->users, uid);
	char *to;

	if (name)
		return fill_bytes(f, name, strlen(name), v);
	to = take(f, 11);
	set_text(v, to, (size_t)snprintf(to, 11, "%u", uid));
}

static void fill_process_user(const struct filling *f, struct value *v)
{
	fill_user_name(f, f->rec->who.uid, v);
}

static void fill_dash(const struct filling *f, struct value *v)
{
	(void)f;
	set_dash(v);
}

/* --- event 1 */

static const struct ks_rec_PROCESS_CREATE *exec_of(const struct filling *f)
{
	return (const struct ks_rec_PROCESS_CREATE *)f->rec;
}

static void fill_exec_image(const struct filling *f, struct value *v)
{
	set_image(f->identity ? f->identity->image : NULL, v);
}

static void fill_exec_command_line(const struct filling *f, struct value *v)
{
	const struct image *image = f->identity ? f->identity->image : NULL;

	if (image && image->command_length)
		set_text(v, image_command(image), image->command_length);
	else
		set_dash(v);
}

static void fill_logon_guid(const struct filling *f, struct value *v)
{
	const struct ks_rec_PROCESS_CREATE *rec = exec_of(f);
	uint64_t seconds = 0;

	/* What is told now stays so: all that one login did has one identifier. */
	logins_settle(f->en->logins, rec->session_id, rec->login_uid, 0);
	logins_find(f->en->logins, rec->session_id, rec->login_uid, &seconds);
	v->guid = logon_guid(&f->en->o.guid, rec->login_uid, rec->session_id, (uint32_t)seconds);
}

static void fill_logon_id(const struct filling *f, struct value *v)
{
	v->number = exec_of(f)->login_uid;
}

static void fill_terminal_session(const struct filling *f, struct value *v)
{
	v->number = exec_of(f)->session_id;
}

/* Capabilities that ordinary services hold without being able to take over the machine. */
#define CAP_BIT(c) (1ull << (c))
#define ORDINARY_CAPABILITIES                                                                      \
	(CAP_BIT(CAP_NET_BIND_SERVICE) | CAP_BIT(CAP_NET_BROADCAST) | CAP_BIT(CAP_NET_RAW) |       \
	 CAP_BIT(CAP_IPC_LOCK) | CAP_BIT(CAP_LEASE) | CAP_BIT(CAP_AUDIT_WRITE) |                   \
	 CAP_BIT(CAP_WAKE_ALARM) | CAP_BIT(CAP_BLOCK_SUSPEND))

static void fill_integrity_level(const struct filling *f, struct value *v)
{
	const struct ks_rec_PROCESS_CREATE *rec = exec_of(f);
	uint64_t full = f->en->o.full_capabilities;

	if (rec->user_ns_level > 0)
		set_string(v, "Low"); /* its capabilities reach no further than its own namespace */
	else if (rec->hdr.who.uid == 0 && (rec->cap_effective & full) == full)
		set_string(v, "System");
	else if (rec->cap_effective & ~ORDINARY_CAPABILITIES)
		set_string(v, "High");
	else if (rec->no_new_privs && rec->seccomp_mode == 2)
		set_string(v, "Low");
	else
		set_string(v, "Medium");
}

static const char *exec_digests(const struct filling *f)
{
	const struct ks_rec_PROCESS_CREATE *rec = exec_of(f);
	const struct ks_who *who = &rec->hdr.who;
	const struct enrich_ask *ask = &f->en->o.ask;
	const char *text = hashes_of_known(f->en->hashes, &rec->exe, who->tgid, f->utc_ns);
	int file;

	if (text)
		return text;
	ask->collect_pins(ask->context);
	text = hashes_of_known(f->en->hashes, &rec->exe, who->tgid, f->utc_ns);
	if (text || file_can_hang(&rec->exe))
		return text;

	/* No watch on its file system (a memfd, another mount namespace): the process may still live. */
	file = ask->exe(ask->context, who->tgid, who->start_ns);
	if (file < 0)
		return NULL;
	text = hashes_of_fd(f->en->hashes, file, &rec->exe, f->utc_ns);
	close(file);
	ask->watch_filesystem(ask->context, who->tgid, who->start_ns);
	return text;
}

static const struct ks_rec_IMAGE_LOAD *load_of(const struct filling *f)
{
	return (const struct ks_rec_IMAGE_LOAD *)f->rec;
}

/* The mapping itself leads to its file, as long as it is there. After that the path may, if what it leads to is
 * still that file in that state. */
static int loaded_file(const struct filling *f)
{
	const struct ks_rec_IMAGE_LOAD *rec = load_of(f);
	const struct ks_who *who = &rec->hdr.who;
	const struct enrich_ask *ask = &f->en->o.ask;
	int file = ask->mapped(ask->context, who->tgid, who->start_ns, rec->from, rec->to);

	if (file >= 0 && hashes_is_file(file, &rec->file))
		return file;
	if (file >= 0)
		close(file);
	if (rec->hdr.flags & (KS_F_DELETED | KS_F_PATH_CUT | KS_F_NO_PATH))
		return -ENOENT;
	file = ask->library(ask->context, (const char *)rec + rec->path.off, rec->path.len);
	if (file < 0 || hashes_is_unchanged(file, &rec->file))
		return file;
	close(file);
	return -ESTALE;
}

static const char *loaded_digests(const struct filling *f)
{
	const struct ks_rec_IMAGE_LOAD *rec = load_of(f);
	uint32_t tgid = rec->hdr.who.tgid;
	const char *text = hashes_of_known(f->en->hashes, &rec->file, tgid, f->utc_ns);
	OWNED_FD file = -1;

	if (text || file_can_hang(&rec->file))
		return text;
	file = loaded_file(f);
	return file < 0 ? NULL : hashes_of_fd(f->en->hashes, file, &rec->file, f->utc_ns);
}

/* --- the file that runs or was loaded, and the package it came with */

/* Who owns it is decided by its bytes and its path together: under the same path another mount namespace may have
 * another file, and one whose bytes were changed is no longer what the package shipped. */
static void find_package(const struct filling *f, const struct ks_file_id *id, struct ks_text path,
			 struct file_known *file)
{
	const uint8_t *md5 = file->hashes ? hashes_md5_of(f->en->hashes, id) : NULL;
	const char *at = (const char *)f->rec + path.off;

	if (file->hashes)
		file->original = hashes_soname_of(f->en->hashes, id);
	if (!md5 || !f->en->packages)
		return;
	packages_owner(f->en->packages, at, path.len, md5, &file->package);
	if (!file->original)
		file->original = packages_original(f->en->packages, at, path.len, md5);
}

/* For Context: all that this image does was done by a program of that package. */
static void remember_package(const struct filling *f)
{
	struct image *image = f->identity ? f->identity->image : NULL;

	if (f->en->o.context && image && !image->package && f->file->hashes && f->en->packages)
		image->package = strdup(f->file->package.name ? f->file->package.name : "none");
}

static const struct file_known *file_in_question(const struct filling *f)
{
	if (f->file->looked)
		return f->file;
	f->file->looked = true;
	if (f->rec->type == KS_IMAGE_LOAD) {
		f->file->hashes = loaded_digests(f);
		find_package(f, &load_of(f)->file, load_of(f)->path, f->file);
	} else {
		f->file->hashes = exec_digests(f);
		find_package(f, &exec_of(f)->exe, exec_of(f)->image, f->file);
		remember_package(f);
	}
	return f->file;
}

static void set_foreign(const struct filling *f, const char *text, struct value *v)
{
	if (text && *text)
		fill_bytes(f, text, strlen(text), v);
	else
		set_dash(v);
}

static void fill_file_version(const struct filling *f, struct value *v)
{
	set_foreign(f, file_in_question(f)->package.version, v);
}

static void fill_file_description(const struct filling *f, struct value *v)
{
	set_foreign(f, file_in_question(f)->package.summary, v);
}

static void fill_file_product(const struct filling *f, struct value *v)
{
	set_foreign(f, file_in_question(f)->package.name, v);
}

static void fill_file_company(const struct filling *f, struct value *v)
{
	set_foreign(f, file_in_question(f)->package.vendor, v);
}

static void fill_file_original_name(const struct filling *f, struct value *v)
{
	set_foreign(f, file_in_question(f)->original, v);
}

static void fill_file_hashes(const struct filling *f, struct value *v)
{
	const char *text = file_in_question(f)->hashes;

	if (!text) {
		f->en->tally.hashes_missing++;
		return set_dash(v);
	}
	set_string(v, text); /* lives in the cache at least until the next file is hashed */
}

/* --- events 8, 10 and 25: two processes, and one that is not what its file is */

static const struct ks_who *target_of(const struct filling *f)
{
	if (f->rec->type == KS_REMOTE_THREAD)
		return &((const struct ks_rec_REMOTE_THREAD *)f->rec)->target;
	return &((const struct ks_rec_PROCESS_ACCESS *)f->rec)->target;
}

static void fill_thread_id(const struct filling *f, struct value *v)
{
	v->number = f->rec->who.tid;
}

static void fill_target_guid(const struct filling *f, struct value *v)
{
	const struct ks_who *who = target_of(f);

	v->guid = process_guid(&f->en->o.guid, who->tgid, who->start_ns, who->exec_id);
}

static void fill_target_id(const struct filling *f, struct value *v)
{
	v->number = target_of(f)->tgid;
}

static void fill_target_thread(const struct filling *f, struct value *v)
{
	v->number = target_of(f)->tid;
}

static void fill_target_image(const struct filling *f, struct value *v)
{
	const struct ks_who *who = target_of(f);
	const struct process *p = process_find(f->en->processes, who->tgid, who->start_ns);
	const struct identity *i = p ? process_identity(p, who->exec_id) : NULL;

	set_image(i ? i->image : NULL, v);
}

static void fill_target_user(const struct filling *f, struct value *v)
{
	fill_user_name(f, target_of(f)->uid, v);
}

static void fill_granted_access(const struct filling *f, struct value *v)
{
	v->number = ((const struct ks_rec_PROCESS_ACCESS *)f->rec)->access;
}

static void fill_start_address(const struct filling *f, struct value *v)
{
	unsigned long long address = ((const struct ks_rec_REMOTE_THREAD *)f->rec)->address;
	char *to = take(f, 19);

	set_text(v, to, (size_t)snprintf(to, 19, "0x%016llX", address));
}

static void fill_start_module(const struct filling *f, struct value *v)
{
	set_path(f, ((const struct ks_rec_REMOTE_THREAD *)f->rec)->module, v);
}

static void fill_tampering_type(const struct filling *f, struct value *v)
{
	switch (((const struct ks_rec_PROCESS_TAMPERING *)f->rec)->how) {
	case KS_TAMPERED_DELETED:
		return set_string(v, "Image is deleted");
	case KS_TAMPERED_MEMORY:
		return set_string(v, "Image is memory only");
	case KS_TAMPERED_ON_DISK:
		return set_string(v, "Image is replaced on disk");
	default:
		return set_string(v, "Image is replaced");
	}
}

/* --- event 7 */

static void fill_loaded_image(const struct filling *f, struct value *v)
{
	set_path(f, load_of(f)->path, v);
}

/* A package's digest vouches for the file as a signature would: these bytes are what it shipped under this path. */
static void fill_signed(const struct filling *f, struct value *v)
{
	set_string(v, file_in_question(f)->package.name ? "true" : "false");
}

static void fill_signature(const struct filling *f, struct value *v)
{
	set_foreign(f, file_in_question(f)->package.vendor, v);
}

static void fill_signature_status(const struct filling *f, struct value *v)
{
	set_string(v, file_in_question(f)->package.name ? "Valid" : "Unavailable");
}

/* --- event 1 */

static void fill_parent_guid(const struct filling *f, struct value *v)
{
	v->guid = f->process ? f->process->parent_guid : (struct guid){ 0 };
}

static void fill_parent_id(const struct filling *f, struct value *v)
{
	if (f->process && f->process->parent_known)
		v->number = f->process->parent_tgid;
	else
		v->number = exec_of(f)->parent_tgid;
}

static void fill_parent_image(const struct filling *f, struct value *v)
{
	set_image(f->process ? f->process->parent_image : NULL, v);
}

static void fill_parent_command_line(const struct filling *f, struct value *v)
{
	const struct image *image = f->process ? f->process->parent_image : NULL;

	if (image && image->command_length)
		set_text(v, image_command(image), image->command_length);
	else
		set_dash(v);
}

static void fill_parent_user(const struct filling *f, struct value *v)
{
	if (f->process && f->process->parent_known)
		fill_user_name(f, f->process->parent_uid, v);
	else
		set_dash(v);
}

/* --- event 3 */

static const struct ks_rec_NETWORK_CONNECT *connect_of(const struct filling *f)
{
	return (const struct ks_rec_NETWORK_CONNECT *)f->rec;
}

static bool is_ipv6(const struct ks_address *a)
{
	static const uint8_t mapped[12] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff };

	return memcmp(a->byte, mapped, sizeof(mapped)) != 0;
}

static char *put_part(char *to, uint8_t part)
{
	if (part >= 100)
		*to++ = (char)('0' + part / 100);
	if (part >= 10)
		*to++ = (char)('0' + part / 10 % 10);
	*to++ = (char)('0' + part % 10);
	return to;
}

/* Each connection has two, and inet_ntop() takes as long as all other fields. */
static size_t ipv4_text(const uint8_t part[4], char *text)
{
	char *to = text;

	for (unsigned i = 0; i < 4; i++) {
		if (i)
			*to++ = '.';
		to = put_part(to, part[i]);
	}
	return (size_t)(to - text);
}

static void set_address(const struct filling *f, const struct ks_address *a, struct value *v)
{
	char *to = take(f, INET6_ADDRSTRLEN);

	if (!is_ipv6(a))
		return set_text(v, to, ipv4_text(a->byte + 12, to));
	inet_ntop(AF_INET6, a->byte, to, INET6_ADDRSTRLEN);
	set_string(v, to);
}

static void set_port_name(const struct filling *f, uint16_t port, struct value *v)
{
	uint16_t transport = (uint16_t)connect_of(f)->transport;
	const char *name = names_find(f->en->services, names_service_key(port, transport));

	if (name)
		fill_bytes(f, name, strlen(name), v);
	else
		set_dash(v);
}

/* The machine's own for the loopback addresses; other addresses of its own are the helper's to know. */
static bool is_loopback(const struct ks_address *a)
{
	static const uint8_t v6[16] = { [15] = 1 };

	return is_ipv6(a) ? memcmp(a->byte, v6, sizeof(v6)) == 0 : a->byte[12] == 127;
}

static bool is_nowhere(const struct ks_address *a)
{
	static const uint8_t nowhere[16] = { 0 };

	return memcmp(a->byte + (is_ipv6(a) ? 0 : 12), nowhere, is_ipv6(a) ? 16 : 4) == 0;
}

bool fill_needs_host_name(const struct ks_address *a)
{
	return !is_loopback(a) && !is_nowhere(a);
}

static void set_host_name(const struct filling *f, const struct ks_address *a, struct value *v)
{
	const char *name = "";

	if (!f->en->host_names_wanted)
		return set_dash(v);
	if (is_loopback(a))
		name = f->en->o.computer;
	else if (f->en->hosts && fill_needs_host_name(a))
		hosts_find(f->en->hosts, a, f->en->now_ns, &name);
	set_foreign(f, name, v);
}

static void fill_source_host_name(const struct filling *f, struct value *v)
{
	set_host_name(f, &connect_of(f)->source, v);
}

static void fill_destination_host_name(const struct filling *f, struct value *v)
{
	set_host_name(f, &connect_of(f)->destination, v);
}

static void fill_protocol(const struct filling *f, struct value *v)
{
	set_string(v, connect_of(f)->transport == IPPROTO_TCP ? "tcp" : "udp");
}

static void fill_source_is_ipv6(const struct filling *f, struct value *v)
{
	v->number = is_ipv6(&connect_of(f)->source);
}

static void fill_source_ip(const struct filling *f, struct value *v)
{
	set_address(f, &connect_of(f)->source, v);
}

static void fill_source_port_name(const struct filling *f, struct value *v)
{
	set_port_name(f, connect_of(f)->SourcePort, v);
}

static void fill_destination_is_ipv6(const struct filling *f, struct value *v)
{
	v->number = is_ipv6(&connect_of(f)->destination);
}

static void fill_destination_ip(const struct filling *f, struct value *v)
{
	set_address(f, &connect_of(f)->destination, v);
}

static void fill_destination_port_name(const struct filling *f, struct value *v)
{
	set_port_name(f, connect_of(f)->DestinationPort, v);
}

/* --- event 2 */

static const struct ks_rec_FILE_TIME *time_of(const struct filling *f)
{
	return (const struct ks_rec_FILE_TIME *)f->rec;
}

static void fill_timed_object(const struct filling *f, struct value *v)
{
	const struct ks_rec_FILE_TIME *rec = time_of(f);

	if (rec->what == KS_TIME_CLOCK)
		set_string(v, "[clock]");
	else
		fill_bytes(f, (const char *)rec + rec->path.off, rec->path.len, v);
}

/* The kernel side reads TAI, which is ahead of UTC by whole seconds: mostly none, since nobody told the kernel. */
static uint64_t utc_of_tai(uint64_t tai_ns)
{
	struct timespec tai, utc;
	int64_t ahead;

	clock_gettime(CLOCK_TAI, &tai);
	clock_gettime(CLOCK_REALTIME, &utc);
	ahead = (tai.tv_sec - utc.tv_sec) * 10 + (tai.tv_nsec - utc.tv_nsec) / 100000000;
	return tai_ns - (uint64_t)((ahead + 5) / 10) * 1000000000u;
}

static void fill_time_set(const struct filling *f, struct value *v)
{
	const struct ks_rec_FILE_TIME *rec = time_of(f);
	char *to = take(f, 24);

	if (rec->what == KS_TIME_CLOCK)
		utc_text(utc_of_tai(rec->seconds), to);
	else
		utc_text_parts((int64_t)rec->seconds, rec->ns, to);
	set_text(v, to, 23);
}

static void fill_time_before(const struct filling *f, struct value *v)
{
	const struct ks_rec_FILE_TIME *rec = time_of(f);
	char *to = take(f, 24);

	if (rec->what == KS_TIME_OBJECT)
		return set_dash(v);
	if (rec->what == KS_TIME_CLOCK)
		utc_text(utc_of_tai(rec->seconds) + rec->seconds_before, to);
	else
		utc_text_parts((int64_t)rec->seconds_before, rec->ns_before, to);
	set_text(v, to, 23);
}

/* --- events 17 and 18 */

static void fill_pipe_created(const struct filling *f, struct value *v)
{
	(void)f;
	set_string(v, "CreatePipe");
}

static void fill_pipe_connected(const struct filling *f, struct value *v)
{
	(void)f;
	set_string(v, "ConnectPipe");
}

/* --- files that are not executed: events 6 and 15 */

/* A descriptor of the file, or negative. */
static int content_of(const struct filling *f, const struct ks_file_id *id, struct ks_text path)
{
	const struct enrich_ask *ask = &f->en->o.ask;

	if (file_can_hang(id) || path.len == 0 || f->rec->flags & (KS_F_PATH_CUT | KS_F_NO_PATH) ||
	    id->size > f->en->may_read || !ask->content)
		return -1;
	f->en->may_read -= id->size;
	return ask->content(ask->context, &f->rec->who, id, (const char *)f->rec + path.off, path.len);
}

/* --- event 15 */

static const struct ks_rec_FILE_STREAM *stream_of(const struct filling *f)
{
	return (const struct ks_rec_FILE_STREAM *)f->rec;
}

/* Path, colon, name, each byte in the written form. */
static void fill_stream_name(const struct filling *f, struct value *v)
{
	const struct ks_rec_FILE_STREAM *rec = stream_of(f);
	static char whole[KS_PATH_MAX + 1 + 256];
	size_t n = rec->path.len < KS_PATH_MAX ? rec->path.len : KS_PATH_MAX;
	size_t name = rec->name.len < 255 ? rec->name.len : 255;

	memcpy(whole, (const char *)rec + rec->path.off, n);
	whole[n++] = ':';
	memcpy(whole + n, (const char *)rec + rec->name.off, name);
	fill_bytes(f, whole, n + name, v);
}

static void fill_stream_birth(const struct filling *f, struct value *v)
{
	if (stream_of(f)->birth_ns)
		set_utc(f, stream_of(f)->birth_ns, v);
	else
		set_dash(v);
}

static void fill_stream_hash(const struct filling *f, struct value *v)
{
	const struct ks_rec_FILE_STREAM *rec = stream_of(f);
	const char *text = hashes_of_known(f->en->hashes, &rec->file, rec->hdr.who.tgid, f->utc_ns);
	int file;

	if (text)
		return set_string(v, text);
	file = content_of(f, &rec->file, rec->path);
	if (file >= 0) {
		text = hashes_of_fd(f->en->hashes, file, &rec->file, f->utc_ns);
		close(file);
	}
	set_string(v, text ? text : "Unknown");
}

/* Text: characters only, none of which controls a terminal; a NUL may end it. */
static bool is_plain(const uint8_t *bytes, size_t n)
{
	for (size_t i = 0; i < n;) {
		uint32_t c;
		unsigned length = text_utf8(bytes + i, n - i, &c);

		if (!length || c == 0x7f || (c < 0x20 && c != '\t' && c != '\n' && c != '\r'))
			return false;
		i += length;
	}
	return n > 0;
}

static void fill_stream_contents(const struct filling *f, struct value *v)
{
	const struct ks_rec_FILE_STREAM *rec = stream_of(f);
	const uint8_t *bytes = (const uint8_t *)rec + rec->value.off;
	size_t n = rec->value.len;

	if (rec->value_length >= KS_XATTR_MAX || n != rec->value_length)
		return set_dash(v);
	if (n > 0 && bytes[n - 1] == 0)
		n--;
	if (is_plain(bytes, n))
		fill_bytes(f, bytes, n, v);
	else
		set_dash(v);
}

/* --- event 6 */

static const struct ks_rec_DRIVER_LOAD *module_of(const struct filling *f)
{
	return (const struct ks_rec_DRIVER_LOAD *)f->rec;
}

static void read_module(const struct filling *f, struct module_facts *m)
{
	const struct ks_rec_DRIVER_LOAD *rec = module_of(f);
	int file = content_of(f, &rec->file, rec->path);
	const char *text;

	if (file < 0)
		return;
	text = hashes_of_fd(f->en->hashes, file, &rec->file, f->utc_ns);
	if (text)
		snprintf(m->hashes, sizeof(m->hashes), "%s", text);
	m->is_signed = signature_of_file(file, m->signer) > 0;
	close(file);
}

/* Its file is read once for all fields. */
static const struct module_facts *facts_of(const struct filling *f)
{
	struct module_facts *m = &f->en->module;

	if (m->seq == f->rec->seq && m->cpu == f->rec->cpu && m->hashes[0])
		return m;
	*m = (struct module_facts){ f->rec->seq, f->rec->cpu, 0, "-", "-" };
	read_module(f, m);
	/* Compressed, or from memory: the kernel has seen what we cannot. */
	if (module_of(f)->verified)
		m->is_signed = 1;
	return m;
}

static void fill_module_image(const struct filling *f, struct value *v)
{
	const struct ks_rec_DRIVER_LOAD *rec = module_of(f);
	char name[64];
	int n;

	if (rec->path.len)
		return fill_bytes(f, (const char *)rec + rec->path.off, rec->path.len, v);
	n = snprintf(name, sizeof(name), "[%.*s]", rec->name.len < 60 ? rec->name.len : 60,
		     (const char *)rec + rec->name.off);
	fill_bytes(f, name, (size_t)n, v);
}

static void fill_module_hashes(const struct filling *f, struct value *v)
{
	set_string(v, facts_of(f)->hashes);
}

static void fill_module_signed(const struct filling *f, struct value *v)
{
	set_string(v, facts_of(f)->is_signed ? "true" : "false");
}

static void fill_module_signature(const struct filling *f, struct value *v)
{
	const char *signer = facts_of(f)->signer;

	fill_bytes(f, signer, strlen(signer), v);
}

/* A wrong digest never gets this far: the kernel refuses it. What it lets in unverified is unsigned, or signed with a
 * key that nobody here knows. */
static void fill_module_signature_status(const struct filling *f, struct value *v)
{
	set_string(v, module_of(f)->verified ? "Valid" : "Unavailable");
}

/* --- event 100 */

static void fill_bpf_command(const struct filling *f, struct value *v)
{
	const struct ks_rec_EBPF *rec = (const void *)f->rec;

	/* The newer ways to attach are the same deed. */
	set_string(v, rec->command == BPF_PROG_LOAD ? "BPF_PROG_LOAD" : "BPF_PROG_ATTACH");
}

static void fill_bpf_program_type(const struct filling *f, struct value *v)
{
	/* By number, from linux/bpf.h: a newer kernel has more of them than the header this is built with. */
	static const char *const names[] = {
		"UNSPEC", "SOCKET_FILTER", "KPROBE", "SCHED_CLS", "SCHED_ACT", "TRACEPOINT", "XDP", "PERF_EVENT",
		"CGROUP_SKB", "CGROUP_SOCK", "LWT_IN", "LWT_OUT", "LWT_XMIT", "SOCK_OPS", "SK_SKB",
		"CGROUP_DEVICE", "SK_MSG", "RAW_TRACEPOINT", "CGROUP_SOCK_ADDR", "LWT_SEG6LOCAL", "LIRC_MODE2",
		"SK_REUSEPORT", "FLOW_DISSECTOR", "CGROUP_SYSCTL", "RAW_TRACEPOINT_WRITABLE", "CGROUP_SOCKOPT",
		"TRACING", "STRUCT_OPS", "EXT", "LSM", "SK_LOOKUP", "SYSCALL", "NETFILTER",
	};
	const struct ks_rec_EBPF *rec = (const void *)f->rec;
	char *to;

	if (rec->type < ARRAY_SIZE(names))
		return set_string(v, names[rec->type]);
	to = take(f, 11);
	set_text(v, to, (size_t)snprintf(to, 11, "%u", rec->type));
}

/* --- events 11 and 26 */

static void fill_birth_time(const struct filling *f, struct value *v)
{
	uint64_t birth_ns = ((const struct ks_rec_FILE_CREATE *)f->rec)->birth_ns;

	set_utc(f, birth_ns ? birth_ns : f->utc_ns, v);
}

static const char *deleted_hashes(const struct filling *f, int *is_executable)
{
	const struct ks_rec_FILE_DELETE_DETECTED *rec = (const void *)f->rec;

	return hashes_of_deleted(f->en->hashes, &rec->file, is_executable);
}

static void fill_deleted_hashes(const struct filling *f, struct value *v)
{
	int is_executable;
	const char *text = deleted_hashes(f, &is_executable);

	if (text)
		set_string(v, text);
	else
		set_dash(v);
}

static void fill_deleted_is_executable(const struct filling *f, struct value *v)
{
	int is_executable = 0;

	deleted_hashes(f, &is_executable);
	v->number = (uint64_t)is_executable;
}

/* --- event 13 */

static void fill_set_value(const struct filling *f, struct value *v)
{
	(void)f;
	set_string(v, "SetValue");
}

static bool is_text(const uint8_t *p, size_t n)
{
	uint32_t c;

	for (unsigned length; n > 0; p += length, n -= length) {
		length = text_utf8(p, n, &c);
		if (length == 0 || c == 0)
			return false;
	}
	return true;
}

void fill_setting(const struct filling *f, struct ks_text value, struct value *v)
{
	const uint8_t *bytes = (const uint8_t *)f->rec + value.off;
	size_t n = value.len;

	while (n > 0 && (bytes[n - 1] == '\n' || bytes[n - 1] == 0))
		n--;
	if (n == 0)
		set_string(v, "(Empty)");
	else if (!is_text(bytes, n))
		set_string(v, "Binary Data");
	else
		fill_bytes(f, bytes, n, v);
}

static void fill_config_details(const struct filling *f, struct value *v)
{
	fill_setting(f, ((const struct ks_rec_CONFIG_VALUE *)f->rec)->value, v);
}

/* --- events about content */

static void fill_content_hashes(const struct filling *f, struct value *v)
{
	const struct ks_rec_FILE_EXE_DETECTED *rec = (const void *)f->rec;
	const char *text = hashes_of_fd(f->en->hashes, f->en->content, &rec->file, f->utc_ns);

	if (text)
		return set_string(v, text);
	f->en->tally.hashes_missing++;
	set_dash(v);
}

/* Of a text that is in no file. */
static void fill_text_hashes(const struct filling *f, struct value *v)
{
	const char *text = f->en->content < 0 ? NULL :
						hashes_of_content(f->en->hashes, f->en->content, f->utc_ns);

	if (text)
		set_string(v, text);
	else
		set_dash(v);
}

/* The file that was deleted, if it was held: else what is known of it without. */
static void fill_kept_hashes(const struct filling *f, struct value *v)
{
	if (f->en->content < 0)
		return fill_deleted_hashes(f, v);
	fill_text_hashes(f, v);
}

static bool is_executable_file(int file)
{
	uint8_t head[EXECUTABLE_HEAD];
	ssize_t n = pread(file, head, sizeof(head), 0);
	enum executable kind = n > 0 ? executable_head(head, (size_t)n) : NOT_EXECUTABLE;

	return kind == EXECUTABLE_ELF || kind == EXECUTABLE_SCRIPT;
}

static void fill_kept_is_executable(const struct filling *f, struct value *v)
{
	if (f->en->content < 0)
		return fill_deleted_is_executable(f, v);
	v->number = is_executable_file(f->en->content);
}

static void fill_saved_hashes(const struct filling *f, struct value *v)
{
	const char *text = f->en->content < 0 ? NULL :
			   hashes_of_content(f->en->hashes, f->en->content, f->utc_ns);

	if (text)
		set_string(v, text);
	else
		set_dash(v);
}

static void fill_saved_is_executable(const struct filling *f, struct value *v)
{
	v->number = f->en->content >= 0 && is_executable_file(f->en->content);
}

/* Whether it was kept is known after the rules were asked: until then, whether it can be. */
static void fill_archived(const struct filling *f, struct value *v)
{
	set_string(v, f->en->content < 0 ? "false" : "true");
}

/* --- events 19, 20, 21 */

static void fill_filter_event(const struct filling *f, struct value *v)
{
	(void)f;
	set_string(v, "WmiFilterEvent");
}

static void fill_consumer_event(const struct filling *f, struct value *v)
{
	(void)f;
	set_string(v, "WmiConsumerEvent");
}

static void fill_binding_event(const struct filling *f, struct value *v)
{
	(void)f;
	set_string(v, "WmiBindingEvent");
}

/* --- the tables: for each field a function, or where in the record it stands */

struct filler {
	fill_function *fill; /* NULL: from the record */
	uint32_t offset;
};

static void fill_own_text(const struct filling *f, struct value *v)
{
	(void)f;
	set_dash(v); /* enrich_own() puts the text in; no record of the kernel side leads here */
}

#define EVENT(ev, ...)       static const struct filler fillers_##ev[] = {
#define RECORD(rec)          static const struct filler fillers_##rec[] __attribute__((unused)) = {
#define FILL(ev, name, t, f) { fill_##f, 0 },
#define WIRE(ev, name, t)    { NULL, offsetof(struct ks_rec_##ev, name) },
#define LATER(ev, name, t)   { fill_dash, 0 },
#define END(ev)              EVERY(ev) };
#include "../../schema/events.def"

static const struct filler *const fillers[KS_RECORD_COUNT] = {
#define EVENT(ev, ...) [KS_##ev] = fillers_##ev,
#include "../../schema/events.def"
};

static void from_record(const struct filling *f, enum field_type type, uint32_t offset,
			struct value *v)
{
	const char *at = (const char *)f->rec + offset;

	switch (type) {
	case FIELD_STRING: {
		struct ks_text t;

		memcpy(&t, at, sizeof(t));
		fill_bytes(f, (const char *)f->rec + t.off, t.len, v);
		break;
	}
	case FIELD_U16: {
		uint16_t number;

		memcpy(&number, at, sizeof(number));
		v->number = number;
		break;
	}
	default: {
		uint32_t number;

		memcpy(&number, at, sizeof(number));
		v->number = number;
	}
	}
}

void fill_event(const struct filling *f, struct event *ev)
{
	const struct filler *filler = fillers[ev->type->record];

	for (unsigned i = 0; i < ev->type->known_count; i++) {
		if (filler[i].fill)
			filler[i].fill(f, &ev->values[i]);
		else
			from_record(f, ev->type->fields[i].type, filler[i].offset, &ev->values[i]);
	}
}
