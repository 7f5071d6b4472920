/* SPDX-License-Identifier: MIT */
/* Messages of the domain name system: questions that an actor asks, and what a name server answers. The answer follows from
 * the question alone, so that who asked knows what it must have been. */
#pragma once
#include "truth.h"

struct message {
	size_t n;
	uint8_t bytes[4096];
};

struct question {
	struct message message;
	char name[512]; /* as the ledger has it */
};

struct answer {
	struct message message;
	char status[8], results[8192]; /* as the ledger has them */
};

enum asking {
	ASKED_ONCE,
	ASKED_TWICE, /* the server is silent the first time */
	ASKED_AGAIN, /* over UDP the server answers that the answer does not fit */
};

/* A name that nobody asked for before. */
void names_ask(struct actor *a, enum asking how, struct question *ret);
enum asking names_asked(const struct message *question);
void names_answer(const struct message *question, struct answer *ret);
void names_cut(struct answer *a); /* to one that says it did not fit */
