/* SPDX-License-Identifier: MIT */
/* Configuration files as flat trees: what the helper makes of them and the engine compares. A list of entries, one
 * after another, each a head, the path and the nodes; texts end in NUL. Who reads one checks it by
 * settings_next() and settings_node(), since it was made by who reads what others wrote. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SETTINGS_FILE_MAX  (256u << 10) /* bytes of a file that is read as a tree; of a larger one the digest is told */
#define SETTINGS_ENTRY_MAX (1u << 20)
#define SETTINGS_BYTES_MAX (16u << 20)

struct settings_head {
	uint32_t path;  /* bytes, with the NUL */
	uint32_t nodes; /* bytes of all nodes, each: name NUL, one of NODE_*, value NUL */
	char digest[72]; /* "SHA256=..."; "" when it could not be read */
	uint32_t is_tree;
	uint32_t is_gone; /* it had no name any more: deleted, or another took its place */
};

struct settings_entry { /* borrowed */
	const char *path, *nodes, *digest;
	uint32_t nodes_length;
	bool is_tree, is_gone;
};

struct settings_node {
	const char *name, *value;
	char kind;
};
/* In the order in which they are told. */
#define NODE_KEY      'k' /* a section or entry: no value */
#define NODE_VALUE    'v'
#define NODE_FILTER   'w' /* event 19: value is its namespace, NODE_BETWEEN, its query */
#define NODE_CONSUMER 'x' /* event 20: value is its type, NODE_BETWEEN, its destination */
#define NODE_BINDING  'y' /* event 21: name is the consumer, NODE_BETWEEN, the filter */
#define NODE_LINK     'z' /* of a symbolic link: value is what it points to; it has no name */
#define NODE_BETWEEN  '\x1f'

/* Both move *at on within n bytes. False: the end, or nothing that can be read on. */
bool settings_next(const uint8_t *bytes, size_t n, size_t *at, struct settings_entry *entry);
bool settings_node(const struct settings_entry *entry, uint32_t *at, struct settings_node *node);

/* Is the path one of those that are watched? */
bool settings_is_watched(const char *path, size_t n);
/* Is it one of those that lie in the folder of a user, and are known only since they were written? */
bool settings_is_of_home(const char *path, size_t n);
extern const char *const settings_roots[];      /* NULL ends */
extern const char *const settings_home_files[];   /* below the folder of a user; NULL ends */
extern const char *const settings_home_folders[]; /* the same */
