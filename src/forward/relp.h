/* SPDX-License-Identifier: MIT */
/* Frames of RELP, the reliable event logging protocol: TXNR SP COMMAND SP LENGTH [SP DATA] LF. No I/O here. The
 * protocol is Rainer Gerhards' ("RELP - The Reliable Event Logging Protocol", version 0), whose receiver is rsyslog. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RELP_NUMBER_MAX 999999999u
#define RELP_HEAD_MAX   64u   /* bytes of a frame before its data, the longest of them and NUL */
#define RELP_ANSWER_MAX 4096u /* bytes of a frame that a server may send us */

enum relp_command { RELP_RSP, RELP_SERVERCLOSE, RELP_OTHER };

struct relp_answer {
	uint32_t number;           /* of the frame that is answered; 0: of none */
	enum relp_command command;
	unsigned code;             /* RELP_RSP: 200 is success; 0: it says none */
	const char *text;          /* in the bytes: what stands behind the code */
	size_t text_size;
};

/* The first frame among n bytes. Its length; 0: more bytes are needed; -EBADMSG: no frame begins like this, or it is
 * longer than RELP_ANSWER_MAX. */
int relp_parse(const char *bytes, size_t n, struct relp_answer *a);

/* What stands before size bytes of data (never 0); a line feed follows them. The length. */
size_t relp_head(char to[RELP_HEAD_MAX], uint32_t number, const char *command, size_t size);

/* Does the answer to an `open` offer to take syslog? */
bool relp_takes_syslog(const struct relp_answer *a);
