/* SPDX-License-Identifier: MIT */
/* One behaviour, one small program: it does one thing that a monitor may get wrong and writes down, as
 * NAME=VALUE lines on its standard output (its ledger), what cannot be known beforehand: process ids,
 * ports. The records that must come of it stand in the comment on top of its file:
 *
 *   judges ID...                      the event types that are counted; one that nothing expects is an error
 *   expect [N of] ID Field=VALUE ...  that many records (1) of this type with these values
 *   suffix ID NAME...                 see before_churn.c
 *
 * VALUE is in double quotes if it holds blanks; \n \t \" \\ stand for themselves, $name is a line of the
 * ledger, $sha256(TAG) the digest of this program with TAG behind it (see copy_self), Field~VALUE a regular
 * expression. Unless a line says otherwise: ProcessId=$self Image=$image User=root; of 8 and 10, which have two processes,
 * SourceProcessId=$self SourceImage=$image SourceUser=root TargetUser=root; of 19 to 21, which have none, only the user. Of
 * these count as the behaviour's those in which its name stands.
 *
 * A program called before_* is started before the monitor; it says ready=, and is let go by a byte on its standard
 * input when the monitor is there.
 *
 * Statically linked: the same files run on the host and in virtual machines without a C library. */
#pragma once
#include <stdint.h>
#include <sys/types.h>

/* Each program has this. argc is 1 when the test starts it; it may execute itself with arguments. */
void behave(int argc, char **argv);

/* Ends the program, and the test fails, if the value is negative. */
#define MUST(expression) must((long)(expression), #expression, __FILE__, __LINE__)
long must(long value, const char *what, const char *file, int line);

/* A line of the ledger. */
void say(const char *name, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* A child that does this and exits. start() returns at once, child() waits for its end; both enter it into
 * the ledger as pid=. */
pid_t start(void (*act)(void));
pid_t child(void (*act)(void));
void wait_for(pid_t pid);

/* For a child: becomes this program again, with one argument, under the path given. */
void become(const char *path, const char *argument);

void make_file(const char *path);      /* open with O_CREAT, close */
void make_directory(const char *path);
void copy_self(const char *path, const char *tag); /* this program, executable, with tag behind its last byte */
void copy_self_to(int fd, const char *tag);
const char *image(void); /* path of this program */

void own_mounts(void);  /* a mount namespace that takes its mounts away when the program ends */
/* The folder merged is made of lower and, above it, upper, when it is mounted: before, lower can be filled. */
void prepare_overlay(void);
void mount_overlay(void);
void own_network(void); /* a network namespace with loopback up */
