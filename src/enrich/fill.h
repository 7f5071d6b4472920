/* SPDX-License-Identifier: MIT */
/* The functions that fill fields, as named in schema/events.def; for src/enrich/ only. */
#pragma once
#include "enrich.h"
#include "hash.h"
#include "hosts.h"
#include "logins.h"
#include "names.h"
#include "packages.h"
#include "signature.h"

/* What its file tells of the kernel module that was loaded last. */
struct module_facts {
	uint64_t seq; /* of the record it belongs to, on this CPU */
	uint32_t cpu;
	int is_signed;
	char signer[SIGNER_MAX];
	char hashes[HASH_TEXT_MAX];
};

struct enrich {
	struct enrich_options o;
	struct process_table *processes;
	struct names *users, *services;
	int passwd; /* held to notice that it was replaced; -1: none */
	uint64_t passwd_mtime_ns;
	struct hashes *hashes;
	int content; /* the file the record in hand is about; -1: none */
	struct packages *packages; /* NULL: none yet, or no database */
	enum known packages_known;
	int package_state; /* held to notice that it was replaced; -1: none */
	uint64_t package_state_mtime_ns, packages_asked_ns;
	struct hosts *hosts;
	struct logins *logins;
	bool host_names_wanted;
	uint64_t now_ns; /* CLOCK_BOOTTIME of the latest tick */
	uint64_t utc_offset_ns;
	struct enrich_tally tally;
	uint32_t first_mnt_ns; /* number of the mount namespace of the first process; 0: not known */
	uint64_t may_read; /* so many bytes of files may be hashed that anybody can have hashed as he likes */
	struct module_facts module;
};

/* The file that a record is about, for all fields that tell of it; looked at once. */
struct file_known {
	bool looked;
	const char *hashes; /* NULL: not to be had */
	struct package package; /* name NULL: no package shipped these bytes under this path */
	const char *original;   /* what a library calls itself, or the name under which a package shipped these bytes; NULL: neither */
};

#define FILE_READ_MAX (256u << 20) /* larger ones of these are not read */

/* One record on its way to an event. */
struct filling {
	struct enrich *en;
	const struct ks_hdr *rec;
	struct arena *arena;
	uint64_t utc_ns;
	struct process *process; /* who acted; NULL: unknown */
	const struct identity *identity; /* the image it ran then; NULL: unknown */
	struct file_known *file;
};

typedef void fill_function(const struct filling *f, struct value *v);

/* Fills all fields of the event from the record. */
void fill_event(const struct filling *f, struct event *ev);

/* The name of a user: looked up, or the number. Lives in the arena or in the table. */
void fill_user_name(const struct filling *f, uint32_t uid, struct value *v);
/* Is there anything to ask for this address? */
bool fill_needs_host_name(const struct ks_address *a);
/* The value of a setting, as Details shows it. */
void fill_setting(const struct filling *f, struct ks_text value, struct value *v);
/* Bytes of the record as text in the arena. */
void fill_bytes(const struct filling *f, const void *bytes, size_t n, struct value *v);
