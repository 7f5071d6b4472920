/* SPDX-License-Identifier: MIT */
/* corpus FOLDER: gives every file in the folder to the fuzz function this program is linked with. So what a
 * fuzzer once found stays found, in every ordinary test run and without clang. Prints TAP. */
#include <dirent.h>
#include <stdio.h>
#include <string.h>

#include "fuzz.h"

#define INPUT_MAX (1u << 20)

static uint8_t bytes[INPUT_MAX];

static int try_file(const char *folder, const char *name)
{
	char path[4096];
	uint8_t *exact;
	size_t n;
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	f = fopen(path, "rb");
	if (!f)
		return -1;
	n = fread(bytes, 1, sizeof(bytes), f);
	fclose(f);
	exact = malloc(n ? n : 1); /* so that reading beyond the input shows */
	if (!exact)
		return -1;
	memcpy(exact, bytes, n);
	LLVMFuzzerTestOneInput(exact, n);
	free(exact);
	return 0;
}

int main(int argc, char **argv)
{
	DIR *folder = argc > 1 ? opendir(argv[1]) : NULL;
	struct dirent *entry;
	int count = 0;

	if (!folder) {
		printf("Bail out! no folder\n");
		return 1;
	}
	while ((entry = readdir(folder)))
		if (entry->d_name[0] != '.' && try_file(argv[1], entry->d_name) == 0)
			printf("ok %d - %s\n", ++count, entry->d_name);
	closedir(folder);
	printf("1..%d\n", count);
	return count ? 0 : 1;
}
