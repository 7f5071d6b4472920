/* SPDX-License-Identifier: MIT */
#include "loaded.h"

#include <dlfcn.h>
#include <errno.h>
#include <string.h>

int loaded_open(const char *library, const char *package, const char *const *names, size_t count, void *table,
		struct err *e)
{
	/* Never closed: who has loaded it uses it until his end. */
	void *handle = dlopen(library, RTLD_NOW | RTLD_LOCAL);

	if (!handle)
		return err_set(e, ENOENT, "%s (package %s): %s", library, package, dlerror());
	for (size_t i = 0; i < count; i++)
		if (!dlsym(handle, names[i]))
			return err_set(e, ENOENT, "%s has no %s, it is too old", library, names[i]);
	for (size_t i = 0; i < count; i++) {
		void *address = dlsym(handle, names[i]);

		memcpy((char *)table + i * sizeof(address), &address, sizeof(address));
	}
	return 0;
}
