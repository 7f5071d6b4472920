/* SPDX-License-Identifier: MIT */
/* Tells the service manager, or whoever else started us and set $NOTIFY_SOCKET, how it stands: the
 * datagrams of systemd's sd_notify(3), of which nothing but sending a line is needed. */
#pragma once

void notify(const char *line); /* "READY=1"; nothing happens when nobody asked to be told */
