/* SPDX-License-Identifier: MIT */
/* What the machine is allowed to do in Azure by being that machine: bearer tokens of its managed identity, from the metadata
 * service that only it can reach. Any process on the machine can get the same, so its rights must be harmless
 * (docs/recipes/azure.md). */
#pragma once
#include <stdbool.h>

#include "../base/own.h"
#include "sink.h"

struct azure_token;

/* resource: for whose service, a URL. As root, no network. 0 or -errno. */
int azure_token_new(const struct forward_target *t, const char *resource, struct azure_token **ret, struct err *e);
void azure_token_free(struct azure_token *k);
DEFINE_DROP(azure_token)

/* Are the target's options about it sensible? 0 or -EBADMSG. */
int azure_token_check(const struct forward_target *t, struct err *e);

/* The header line "Authorization: Bearer ...", borrowed until the next call; asks the service when the token it has is no
 * longer good for long. NULL: *a says why. */
const char *azure_token_header(struct azure_token *k, struct answer *a);

/* The token was not accepted: the next is a new one. */
void azure_token_forget(struct azure_token *k);
