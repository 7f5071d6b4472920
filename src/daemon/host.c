/* SPDX-License-Identifier: MIT */
#include "host.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#include "../base/clock.h"
#include "../base/own.h"
#include "files.h"
#include "paths.h"

#define SECOND_NS 1000000000u

uint64_t now_utc_ns(void)
{
	return clock_ns(CLOCK_REALTIME);
}

#define TRIES     8
#define CLOSE_NS  20000 /* two looks at a clock, one after the other */

/* On a busy machine others may run between two looks; every event would be off by that. */
uint64_t utc_of_boot_ns(void)
{
	uint64_t narrowest = UINT64_MAX, offset = 0;

	for (unsigned i = 0; i < TRIES && narrowest > CLOSE_NS; i++) {
		uint64_t before = clock_ns(CLOCK_BOOTTIME), utc = clock_ns(CLOCK_REALTIME);
		uint64_t took = clock_ns(CLOCK_BOOTTIME) - before;

		if (took < narrowest) {
			narrowest = took;
			offset = utc - before - took / 2;
		}
	}
	return offset;
}

void host_name(char *name, size_t size)
{
	if (gethostname(name, size) < 0 || !*name)
		snprintf(name, size, "localhost");
	name[size - 1] = 0;
}

/* FNV-1a: no secret is kept here, only the same number wanted for the same name. */
static uint32_t digest(const char *text)
{
	uint32_t d = 2166136261u;

	for (; *text; text++)
		d = (d ^ (uint8_t)*text) * 16777619u;
	return d;
}

void host_machine(uint8_t machine[4])
{
	char text[65] = "";
	unsigned number;

	if (files_read_text("/etc/machine-id", text, sizeof(text)) < 0 || strlen(text) < 8 ||
	    strspn(text, "0123456789abcdefABCDEF") < 8) {
		host_name(text, sizeof(text));
		snprintf(text, sizeof(text), "%08x", digest(text));
	}
	text[8] = 0;
	sscanf(text, "%8x", &number);
	for (int i = 0; i < 4; i++)
		machine[i] = (uint8_t)(number >> (24 - 8 * i));
}

/* --- the epoch of this boot */

/* Clocks are set right by some seconds soon after boot; a machine that was frozen and thawed, or whose
 * hardware clock is wrong, is off by far more, and then the birth of /dev tells nothing. */
#define TRUSTED_DIFFERENCE_NS (600ull * SECOND_NS)

uint64_t boot_epoch_choose(uint64_t stored_ns, uint64_t devtmpfs_ns, uint64_t computed_ns)
{
	uint64_t difference = devtmpfs_ns > computed_ns ? devtmpfs_ns - computed_ns :
							  computed_ns - devtmpfs_ns;

	if (stored_ns)
		return stored_ns;
	if (devtmpfs_ns && difference <= TRUSTED_DIFFERENCE_NS)
		return devtmpfs_ns;
	return computed_ns / SECOND_NS * SECOND_NS;
}

/* The kernel makes devtmpfs while it boots, and nothing changes its root's birth afterwards. */
static uint64_t devtmpfs_birth_ns(void)
{
	struct statx st;
	struct statfs fs;

	if (statfs("/dev", &fs) < 0 || fs.f_type != TMPFS_MAGIC ||
	    statx(AT_FDCWD, "/dev", 0, STATX_BTIME, &st) < 0 || !(st.stx_mask & STATX_BTIME))
		return 0;
	return (uint64_t)st.stx_btime.tv_sec * SECOND_NS + st.stx_btime.tv_nsec;
}

/* The file names the boot it belongs to: /run need not be a tmpfs everywhere. */
static uint64_t stored_epoch(const char *boot)
{
	char text[128], of[64];
	unsigned long long ns;

	if (files_read_text(PATH_EPOCH, text, sizeof(text)) < 0 ||
	    sscanf(text, "%63s %llu", of, &ns) != 2 || strcmp(of, boot) != 0)
		return 0;
	return ns;
}

uint64_t host_boot_epoch_ns(void)
{
	char boot[64] = "-", text[128];
	uint64_t stored, epoch;

	files_read_text("/proc/sys/kernel/random/boot_id", boot, sizeof(boot));
	boot[strcspn(boot, "\n")] = 0;
	stored = stored_epoch(boot);
	epoch = boot_epoch_choose(stored, devtmpfs_birth_ns(), utc_of_boot_ns());
	if (!stored) {
		snprintf(text, sizeof(text), "%s %llu\n", boot, (unsigned long long)epoch);
		files_write_text(PATH_EPOCH, text, 0644);
	}
	return epoch;
}

void host_number(char *out, size_t size)
{
	bool is_none = files_read_text("/sys/class/dmi/id/product_uuid", out, size) < 36 || strspn(out, "0-") >= 36 ||
		       strspn(out, "fF-") >= 36;

	if (is_none && files_read_text("/etc/machine-id", out, size) < 0)
		*out = 0;
	out[strspn(out, "0123456789abcdefABCDEF-")] = 0;
	for (char *c = out; *c; c++)
		*c = (char)(*c >= 'A' && *c <= 'F' ? *c - 'A' + 'a' : *c);
}
