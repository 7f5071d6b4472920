/* SPDX-License-Identifier: MIT */
/* A whole tree as `rm -rf` removes it: files through descriptors of their directories, directories after them, so
 * that the path of a file is gone a moment later.
 *
 * judges 26
 * expect 26 TargetFilename=$work/tree/0/0/file
 * expect 26 TargetFilename=$work/tree/0/1/file
 * expect 26 TargetFilename=$work/tree/0/2/file
 * expect 26 TargetFilename=$work/tree/1/0/file
 * expect 26 TargetFilename=$work/tree/1/1/file
 * expect 26 TargetFilename=$work/tree/1/2/file
 * expect 26 TargetFilename=$work/tree/2/0/file
 * expect 26 TargetFilename=$work/tree/2/1/file
 * expect 26 TargetFilename=$work/tree/2/2/file */
#include "behaviour.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void remove_tree(int above, const char *name)
{
	int here = (int)MUST(openat(above, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	DIR *entries = fdopendir(here);
	struct dirent *entry;

	MUST(entries ? 0 : -1);
	while ((entry = readdir(entries)) != NULL) {
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		if (unlinkat(here, entry->d_name, 0) < 0)
			remove_tree(here, entry->d_name);
	}
	MUST(closedir(entries));
	MUST(unlinkat(above, name, AT_REMOVEDIR));
}

void behave(int argc, char **argv)
{
	char path[64];

	(void)argc, (void)argv;
	make_directory("tree");
	for (int i = 0; i < 3; i++) {
		snprintf(path, sizeof(path), "tree/%d", i);
		make_directory(path);
		for (int j = 0; j < 3; j++) {
			snprintf(path, sizeof(path), "tree/%d/%d", i, j);
			make_directory(path);
			strcat(path, "/file");
			make_file(path);
		}
	}
	remove_tree(AT_FDCWD, "tree");
}
