/* SPDX-License-Identifier: MIT */
/* What the machine says of itself: the constant parts of identifiers, and its name. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* First 8 hex digits of /etc/machine-id; when there is none, of a digest of the host name, so that it is
 * the same at every start all the same. */
void host_machine(uint8_t machine[4]);

void host_name(char *name, size_t size);

/* The number of the virtual machine, or else of the installation: as text, lower case, 36 digits and dashes or 32 digits. "" if
 * there is none. Root alone may read the first. */
void host_number(char *out, size_t size);

/* UTC of CLOCK_BOOTTIME 0, the same for the whole boot though the clock is stepped (docs/privilege.md). */
uint64_t host_boot_epoch_ns(void);

/* The pure half of it. computed: realtime - boottime now; devtmpfs: birth of /dev, 0 if unknown. */
uint64_t boot_epoch_choose(uint64_t stored_ns, uint64_t devtmpfs_ns, uint64_t computed_ns);

/* What the two clocks differ by now: UTC of CLOCK_BOOTTIME 0, as long as the clock is not stepped. */
uint64_t utc_of_boot_ns(void);
uint64_t now_utc_ns(void);
