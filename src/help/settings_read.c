/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "settings.h"

/* Where what a machine does is written down. */
const char *const settings_roots[] = {
	"/etc", "/usr/lib/systemd/system", "/usr/lib/systemd/user", "/usr/local/lib/systemd", "/run/systemd/system",
	"/run/systemd/user", "/usr/share/dbus-1/services", "/usr/share/dbus-1/system-services", "/usr/local/share/dbus-1",
	"/usr/lib/udev/rules.d", "/run/udev/rules.d", "/var/spool/cron", "/root/.ssh", NULL,
};

/* What is run or believed when its owner enters. */
const char *const settings_home_files[] = {
	".profile", ".bashrc", ".bash_profile", ".bash_login", ".bash_logout", ".zshrc", ".zshenv", ".zprofile",
	".zlogin", ".zlogout", ".pam_environment", ".ssh/authorized_keys", ".ssh/rc", ".ssh/environment", NULL,
};

static bool is_below(const char *path, size_t n, const char *folder)
{
	size_t length = strlen(folder);

	return n > length && memcmp(path, folder, length) == 0 && path[length] == '/';
}

/* What is done for a user by systemd, his desktop and D-Bus. */
const char *const settings_home_folders[] = {
	".config/systemd/user", ".local/share/systemd/user", ".config/autostart", ".local/share/dbus-1/services", NULL,
};

/* /root/FILE and /home/USER/FILE. */
bool settings_is_of_home(const char *path, size_t n)
{
	const char *end = path + n, *file = path;

	if (n > 6 && memcmp(path, "/root/", 6) == 0)
		file = path + 6;
	else if (n > 6 && memcmp(path, "/home/", 6) == 0 && (file = memchr(path + 6, '/', n - 6)))
		file++;
	else
		return false;
	for (unsigned i = 0; settings_home_files[i]; i++)
		if (strlen(settings_home_files[i]) == (size_t)(end - file) &&
		    memcmp(file, settings_home_files[i], (size_t)(end - file)) == 0)
			return true;
	for (unsigned i = 0; settings_home_folders[i]; i++)
		if (is_below(file, (size_t)(end - file), settings_home_folders[i]))
			return true;
	return false;
}

bool settings_is_watched(const char *path, size_t n)
{
	for (unsigned i = 0; settings_roots[i]; i++)
		if (is_below(path, n, settings_roots[i]))
			return true;
	return settings_is_of_home(path, n);
}

bool settings_next(const uint8_t *bytes, size_t n, size_t *at, struct settings_entry *entry)
{
	struct settings_head head;
	const char *path;

	if (*at > n || n - *at < sizeof(head))
		return false;
	memcpy(&head, bytes + *at, sizeof(head));
	if (head.path < 2 || head.path > 4096 || head.nodes > SETTINGS_ENTRY_MAX ||
	    n - *at - sizeof(head) < (size_t)head.path + head.nodes ||
	    memchr(head.digest, 0, sizeof(head.digest)) == NULL)
		return false;
	path = (const char *)bytes + *at + sizeof(head);
	if (path[head.path - 1] != 0 || (head.nodes && path[head.path + head.nodes - 1] != 0))
		return false;
	*entry = (struct settings_entry){
		.path = path,
		.nodes = path + head.path,
		.digest = (const char *)bytes + *at + offsetof(struct settings_head, digest),
		.nodes_length = head.nodes,
		.is_tree = head.is_tree != 0,
		.is_gone = head.is_gone != 0,
	};
	*at += sizeof(head) + head.path + head.nodes;
	return true;
}

bool settings_node(const struct settings_entry *entry, uint32_t *at, struct settings_node *node)
{
	const char *kind;

	if (*at >= entry->nodes_length)
		return false;
	node->name = entry->nodes + *at;
	*at += (uint32_t)strlen(node->name) + 1;
	if (*at >= entry->nodes_length)
		return false;
	kind = entry->nodes + *at;
	if (*kind == 0)
		return false;
	node->kind = *kind;
	node->value = kind + 1;
	*at += (uint32_t)strlen(kind) + 1;
	return true;
}
