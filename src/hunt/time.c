/* SPDX-License-Identifier: MIT */
/* Points in time as people write them. */
#include "filter.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define SECOND UINT64_C(1000000000)

/* "10m": 0, or -1 if it is not of this form. */
static int time_ago(const char *text, uint64_t now, uint64_t *utc_ns)
{
	static const struct { char letter; uint64_t seconds; } units[] = {
		{ 's', 1 }, { 'm', 60 }, { 'h', 3600 }, { 'd', 86400 },
	};
	char *end;
	uint64_t n;

	if (!isdigit((unsigned char)text[0]))
		return -1;
	errno = 0;
	n = strtoull(text, &end, 10);
	for (size_t i = 0; i < ARRAY_SIZE(units); i++) {
		if (errno || end[0] != units[i].letter || end[1])
			continue;
		if (n > now / SECOND / units[i].seconds)
			return -1;
		*utc_ns = now - n * units[i].seconds * SECOND;
		return 0;
	}
	return -1;
}

/* ".123", to nine digits; further ones are read and dropped. */
static const char *fraction(const char *p, uint64_t *ns)
{
	uint64_t unit = SECOND / 10;

	if (*p != '.' || !isdigit((unsigned char)p[1]))
		return p;
	for (p++; isdigit((unsigned char)*p); p++, unit /= 10)
		*ns += (uint64_t)(*p - '0') * unit;
	return p;
}

int time_from_text(const char *text, uint64_t now_utc_ns, uint64_t *utc_ns, struct err *e)
{
	static const char *const forms[] = { "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M",
					     "%Y-%m-%dT%H:%M", "%Y-%m-%d" };

	if (time_ago(text, now_utc_ns, utc_ns) == 0)
		return 0;
	for (size_t i = 0; i < ARRAY_SIZE(forms); i++) {
		struct tm tm = { 0 };
		const char *rest = strptime(text, forms[i], &tm);
		uint64_t ns = 0;
		time_t seconds;

		if (!rest)
			continue;
		if (i < 2)
			rest = fraction(rest, &ns);
		if (*rest == 'Z')
			rest++;
		seconds = timegm(&tm);
		if (*rest || seconds < 0)
			continue;
		*utc_ns = (uint64_t)seconds * SECOND + ns;
		return 0;
	}
	return err_set(e, EBADMSG,
		       "'%s' is no time: write 2026-11-24, '2026-11-24 03:14:17' (UTC), or 10m, 2h, 3d for that long ago",
		       text);
}
