/* SPDX-License-Identifier: MIT */
#include "seal_make.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <qrencode.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "../base/own.h"
#include "files.h"
#include "paths.h"

/* Two modules a character, dark on light whatever the terminal's colours are. */
static void show_code(FILE *to, const QRcode *code)
{
	static const char *const halves[] = { "\u2588", "\u2580", "\u2584", " " };
	const int margin = 2, width = code->width;

	for (int y = -margin; y < width + margin; y += 2) {
		fputs("    \033[40;37;1m", to);
		for (int x = -margin; x < width + margin; x++) {
			bool inside = x >= 0 && x < width;
			bool upper = inside && y >= 0 && y < width && code->data[y * width + x] & 1;
			bool lower = inside && y + 1 >= 0 && y + 1 < width && code->data[(y + 1) * width + x] & 1;

			fputs(halves[upper << 1 | lower], to);
		}
		fputs("\033[0m\n", to);
	}
}

static void show(FILE *to, const uint8_t secret[SEAL_SECRET])
{
	char text[SEAL_SECRET_TEXT];
	QRcode *code;

	seal_secret_text(secret, text);
	fprintf(to, "\nThe log is sealed. This is the key that verifies it (konseki verify --key). It is shown only now and kept\n"
		    "nowhere on this machine: write it down or photograph it, and keep it elsewhere.\n\n    %s\n\n", text);
	code = isatty(fileno(to)) ? QRcode_encodeString8bit(text, 0, QR_ECLEVEL_M) : NULL;
	if (code)
		show_code(to, code);
	QRcode_free(code);
	fputc('\n', to);
	fflush(to);
	OPENSSL_cleanse(text, sizeof(text));
}

static int make(uint8_t sector[SEAL_KEY_SECTOR], uint8_t secret[SEAL_SECRET], struct err *e)
{
	struct seal_key k;

	if (seal_crypto_begin() < 0 || getrandom(secret, SEAL_SECRET, 0) != SEAL_SECRET)
		return err_set(e, EIO, "making the key of the seals");
	seal_key_from_secret(secret, &k);
	seal_key_write(&k, sector);
	OPENSSL_cleanse(&k, sizeof(k));
	return 0;
}

int seal_make_in_memory(FILE *to, struct err *e)
{
	OWNED_FD fd = memfd_create("konseki seal key", MFD_CLOEXEC);
	uint8_t sector[SEAL_KEY_SECTOR], secret[SEAL_SECRET];
	int r = make(sector, secret, e);

	if (r == 0 && (fd < 0 || pwrite(fd, sector, sizeof(sector), 0) != sizeof(sector)))
		r = err_set(e, errno, "keeping the key of the seals");
	if (r == 0)
		show(to, secret);
	OPENSSL_cleanse(sector, sizeof(sector));
	OPENSSL_cleanse(secret, sizeof(secret));
	return r < 0 ? r : MOVE_FD(fd);
}

/* Seals of an earlier installation stay what they are, beside their log. */
static int put_log_aside(struct err *e)
{
	char aside[sizeof(PATH_LOG) + 40], seals[sizeof(aside) + sizeof(SEAL_SUFFIX)], when[32];
	time_t now = time(NULL);
	struct tm utc;

	if (access(PATH_LOG SEAL_SUFFIX, F_OK) < 0)
		return 0;
	strftime(when, sizeof(when), "%Y%m%dT%H%M%SZ", gmtime_r(&now, &utc));
	snprintf(aside, sizeof(aside), "%.*s-%s.evtx", (int)(strlen(PATH_LOG) - strlen(".evtx")), PATH_LOG, when);
	snprintf(seals, sizeof(seals), "%s" SEAL_SUFFIX, aside);
	if (rename(PATH_LOG SEAL_SUFFIX, seals) < 0 || (rename(PATH_LOG, aside) < 0 && errno != ENOENT))
		return err_set(e, errno, "putting the earlier log aside as '%s'", aside);
	printf("The earlier log was sealed under another key and is now %s\n", aside);
	return 0;
}

int seal_make_installed(FILE *to, struct err *e)
{
	uint8_t sector[SEAL_KEY_SECTOR], secret[SEAL_SECRET];
	int r;

	if (access(PATH_SEAL_KEY, F_OK) == 0) {
		fputs("The log stays sealed under the key that was shown at the first installation.\n", to);
		return 0;
	}
	r = put_log_aside(e);
	if (r == 0)
		r = make(sector, secret, e);
	if (r < 0)
		return r;
	r = files_write(PATH_SEAL_KEY, sector, sizeof(sector), 0600);
	if (r == 0)
		show(to, secret);
	OPENSSL_cleanse(sector, sizeof(sector));
	OPENSSL_cleanse(secret, sizeof(secret));
	return r < 0 ? err_set(e, -r, "writing '%s'", PATH_SEAL_KEY) : 0;
}
