/* SPDX-License-Identifier: MIT */
#include "logins.h"

#define LOGINS 4096u /* at once; a machine with more forgets those that were asked about first */

struct login {
	uint32_t session_id, login_uid;
	enum known known; /* KNOWN_NOT: the place is free */
	uint64_t seconds;
};

struct logins {
	struct login at[LOGINS];
};

struct logins *logins_new(void)
{
	return calloc(1, sizeof(struct logins));
}

void logins_free(struct logins *l)
{
	free(l);
}

/* Sessions are numbered one after another. */
static struct login *place(struct logins *l, uint32_t session_id)
{
	return &l->at[session_id % LOGINS];
}

static int is(const struct login *login, uint32_t session_id, uint32_t login_uid)
{
	return login->known != KNOWN_NOT && login->session_id == session_id &&
	       login->login_uid == login_uid;
}

enum known logins_find(struct logins *l, uint32_t session_id, uint32_t login_uid, uint64_t *seconds)
{
	const struct login *login = place(l, session_id);

	*seconds = is(login, session_id, login_uid) ? login->seconds : 0;
	return is(login, session_id, login_uid) ? login->known : KNOWN_NOT;
}

void logins_asked(struct logins *l, uint32_t session_id, uint32_t login_uid)
{
	*place(l, session_id) = (struct login){ session_id, login_uid, KNOWN_ASKED, 0 };
}

void logins_settle(struct logins *l, uint32_t session_id, uint32_t login_uid, uint64_t seconds)
{
	struct login *login = place(l, session_id);

	if (!is(login, session_id, login_uid) || login->known == KNOWN)
		return;
	login->known = KNOWN;
	login->seconds = seconds;
}
