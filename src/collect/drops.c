/* SPDX-License-Identifier: MIT */
#include "drops.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

struct drops {
	struct ks_drops *map;
	size_t size;
};

int drops_map(int fd, struct drops **ret, struct err *e)
{
	OWNED(drops) v = calloc(1, sizeof(*v));
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	void *map;

	if (!v)
		return err_set(e, ENOMEM, "drops");
	v->size = (sizeof(*v->map) + page - 1) & ~(page - 1);
	map = mmap(NULL, v->size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED)
		return err_set(e, errno, "mapping what need not be produced");
	v->map = map;
	*ret = MOVE(v);
	return 0;
}

void drops_free(struct drops *v)
{
	if (!v)
		return;
	if (v->map)
		munmap(v->map, v->size);
	free(v);
}

/* The count is odd while the slot is written: the kernel side then believes nothing of it. */
static void slot_write(struct ks_drop *slot, uint32_t tgid, uint64_t start_ns, uint64_t exec_id, uint64_t never)
{
	uint32_t writing = slot->writing | 1; /* one who wrote before us may have died over it */

	__atomic_store_n(&slot->writing, writing, __ATOMIC_SEQ_CST);
	__atomic_store_n(&slot->never, 0, __ATOMIC_SEQ_CST);
	__atomic_store_n(&slot->tgid, tgid, __ATOMIC_SEQ_CST);
	__atomic_store_n(&slot->start_ns, start_ns, __ATOMIC_SEQ_CST);
	__atomic_store_n(&slot->exec_id, exec_id, __ATOMIC_SEQ_CST);
	__atomic_store_n(&slot->never, never, __ATOMIC_SEQ_CST);
	__atomic_store_n(&slot->writing, writing + 1, __ATOMIC_SEQ_CST);
}

void drops_tell(struct drops *v, uint32_t tgid, uint64_t start_ns, uint64_t exec_id, uint64_t never)
{
	struct ks_drop *slot = &v->map->image[tgid & (KS_DROPS - 1)];

	/* What is of no use must not push out what is. */
	if (never == 0 && (slot->tgid != tgid || slot->never == 0))
		return;
	slot_write(slot, tgid, start_ns, exec_id, never);
}

void drops_forget(struct drops *v)
{
	for (unsigned i = 0; i < KS_DROPS; i++)
		if (v->map->image[i].never || v->map->image[i].writing & 1)
			slot_write(&v->map->image[i], 0, 0, 0, 0);
	memset(v->map->source_ports, 0, sizeof(v->map->source_ports));
	memset(v->map->destination_ports, 0, sizeof(v->map->destination_ports));
}

static void port_set(__u64 *bits, uint16_t port)
{
	__atomic_fetch_or(&bits[port >> 6], 1ull << (port & 63), __ATOMIC_SEQ_CST);
}

void drops_tell_source_port(struct drops *v, uint16_t port)
{
	port_set(v->map->source_ports, port);
}

void drops_tell_destination_port(struct drops *v, uint16_t port)
{
	port_set(v->map->destination_ports, port);
}
