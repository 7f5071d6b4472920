// SPDX-License-Identifier: MIT OR GPL-2.0-only
/* Settings of the kernel: whoever writes below /proc/sys, by whichever call. The hook lies where the kernel has its
 * own copy of the new value, before it takes effect. Other settings are files and come from the helper. */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "../schema/wire.h"
#include "lib/context.bpf.h"
#include "lib/emit.bpf.h"
#include "lib/task.bpf.h"

#define SYSCTL_ROOT     "/proc/sys/"
#define SYSCTL_NAME_MAX 512

static __always_inline struct ks_text emit_sysctl_name(struct draft *d, struct bpf_sysctl *ctx)
{
	__u32 at = d->size & (KS_RECORD_MAX - 1);
	struct ks_text t = { .off = at };
	long n;

	__builtin_memcpy(d->record + at, SYSCTL_ROOT, sizeof(SYSCTL_ROOT) - 1);
	n = bpf_sysctl_get_name(ctx, (char *)d->record + at + sizeof(SYSCTL_ROOT) - 1, SYSCTL_NAME_MAX, 0);
	if (n < 0 || n >= SYSCTL_NAME_MAX)
		n = n == -7 /* E2BIG: what fits is there */ ? SYSCTL_NAME_MAX - 1 : 0;
	t.len = sizeof(SYSCTL_ROOT) - 1 + n;
	d->size = at + t.len;
	return t;
}

/* Text that the kernel wrote behind what the record has, and what it answered when asked for KS_PATH_MAX bytes. */
static __always_inline struct ks_text emit_sysctl_text(struct draft *d, __u32 at, long answer)
{
	__u32 n = answer == -7 /* E2BIG: what fits is there */ ? KS_PATH_MAX - 1 :
		  answer < 0 || answer > KS_PATH_MAX	       ? 0 :
								 answer;

	d->size = at + n;
	return (struct ks_text){ .off = at, .len = n };
}

static __always_inline struct ks_text emit_sysctl_value(struct draft *d, struct bpf_sysctl *ctx)
{
	__u32 at = d->size & (KS_RECORD_MAX - 1);

	return emit_sysctl_text(d, at, bpf_sysctl_get_new_value(ctx, (char *)d->record + at, KS_PATH_MAX));
}

/* The kernel has read the present value before it asks us. */
static __always_inline struct ks_text emit_sysctl_before(struct draft *d, struct bpf_sysctl *ctx)
{
	__u32 at = d->size & (KS_RECORD_MAX - 1);

	return emit_sysctl_text(d, at, bpf_sysctl_get_current_value(ctx, (char *)d->record + at, KS_PATH_MAX));
}

SEC("cgroup/sysctl")
int CONFIG_VALUE__sysctl(struct bpf_sysctl *ctx)
{
	const struct task_struct *task = bpf_get_current_task_btf();
	struct ks_rec_CONFIG_VALUE *rec;
	struct ks_text name, value;
	struct ks_who who = {};
	struct draft *d;

	if (!ctx->write || is_ignored(task) || !wanted(KS_CONFIG_VALUE))
		return 1;
	who_fill(&who, task);
	d = emit_begin(KS_CONFIG_VALUE, sizeof(*rec), &who);
	if (!d)
		return 1;
	name = emit_sysctl_name(d, ctx);
	value = emit_sysctl_value(d, ctx);
	rec = (void *)d->record;
	rec->TargetObject = name;
	rec->value = value;
	if (context_wanted) {
		rec->before = emit_sysctl_before(d, ctx);
		rec->before_known = rec->before.len > 0; /* else it could not read it */
	}
	emit_end(d, KS_CONFIG_VALUE);
	return 1; /* let it happen */
}
