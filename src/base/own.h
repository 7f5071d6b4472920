/* SPDX-License-Identifier: MIT */
/* Ownership on the page: who frees what is visible where it is declared. */
#pragma once
#include <stdlib.h>
#include <unistd.h>

/* OWNED(ruleset) rs = NULL; is freed with ruleset_free() when rs leaves its scope. */
#define OWNED(type) __attribute__((cleanup(type##_drop))) struct type *
#define DEFINE_DROP(type)                                                                          \
	static inline void type##_drop(struct type **p)                                            \
	{                                                                                          \
		type##_free(*p);                                                                   \
	}

/* Hands the pointer on and leaves NULL behind, so that the scope's end frees nothing. */
#define MOVE(p)                                                                                    \
	({                                                                                         \
		__typeof__(p) moved_ = (p);                                                        \
		(p) = NULL;                                                                        \
		moved_;                                                                            \
	})
#define MOVE_FD(fd)                                                                                \
	({                                                                                         \
		int moved_ = (fd);                                                                 \
		(fd) = -1;                                                                         \
		moved_;                                                                            \
	})

static inline void fd_drop(int *fd)
{
	if (*fd >= 0)
		close(*fd);
}
#define OWNED_FD __attribute__((cleanup(fd_drop))) int

static inline void heap_drop(void *p)
{
	free(*(void **)p);
}
/* OWNED_HEAP char *text = NULL; for what plain free() releases. */
#define OWNED_HEAP __attribute__((cleanup(heap_drop)))

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
