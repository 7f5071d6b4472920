/* SPDX-License-Identifier: MIT */
/* A fanotify group that tells, with a descriptor of the file, when a file in one of some folders, or one of some files, was
 * closed after it was open for writing. Only these are marked, so that nothing is slower elsewhere. Its events are read by
 * exec_watch_next(). */
#pragma once
#include "../base/err.h"

int folder_watch_open(struct err *e); /* a descriptor or -errno */
/* Marks the folders below these roots (NULL ends the list), also those that came since the last time. */
void folder_watch_mark(int watch, const char *const roots[]);
/* Marks these files and folders (NULL ends the lists) of root and of each user with a folder in /home: only they, as whoever
 * works there writes others all day. */
void folder_watch_mark_homes(int watch, const char *const files[], const char *const folders[]);
void folder_watch_clear(int watch);
