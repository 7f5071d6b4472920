/* SPDX-License-Identifier: MIT */
/* Where things are on an installed machine. packaging/ holds the same names. */
#pragma once

#define PATH_PROGRAM  "/usr/local/sbin/konseki"
#define PATH_ETC      "/etc/konseki"
#define PATH_RULES    PATH_ETC "/config.xml"    /* the rules in force, unmodified */
#define PATH_SETTINGS PATH_ETC "/konseki.conf"  /* everything else an administrator sets */
#define PATH_BTF      PATH_ETC "/kernel.btf"    /* only after -i with -btf */
#define PATH_LOGS     "/var/log/konseki"
#define LOG_NAME      "Linux-Sysmon%4Operational.evtx"
#define PATH_LOG      PATH_LOGS "/" LOG_NAME
#define PATH_MESSAGES PATH_LOGS "/service.log" /* standard error of a service without systemd */
#define PATH_STATE    "/var/lib/konseki"
#define PATH_ORIGIN   PATH_STATE "/rules.origin" /* where the rules came from, as event 16 calls it */

#define PATH_FORWARD  PATH_STATE "/forward"     /* for root alone: */
#define FORWARD_BOOKMARK ".bookmark"             /* of a target: how far it is, */
#define FORWARD_SECRET   ".secret"               /* and what lets us in */

#define PATH_SEAL_KEY PATH_STATE "/seal.key"    /* of the next seal (docs/formats/seal.md) */
#define SEAL_SUFFIX   ".seal"                    /* beside the log */

#define PATH_RUN      "/run/konseki"
#define PATH_CONTROL  PATH_RUN "/control"     /* socket for the command line */
#define PATH_PID      PATH_RUN "/konseki.pid" /* locked while any of our processes lives */
#define PATH_EPOCH    PATH_RUN "/boot-epoch"
#define PATH_EMPTY    PATH_RUN "/empty"       /* the engine's root folder */

/* What others keep. */
#define PATH_PACKAGES "/var/lib/dpkg"
#define PATH_SESSIONS "/run/systemd/sessions" /* of the login manager */
#define PATH_LOGINS   "/run/utmp"

#define PATH_UNIT     "/etc/systemd/system/konseki.service"
#define PATH_SYSTEMD  "/run/systemd/system"   /* exists when systemd runs this machine */
#define PATH_INIT     "/etc/init.d/konseki"

#define ACCOUNT_ENGINE "konseki"
#define ACCOUNT_HELPER "konseki-help"
#define ACCOUNT_FORWARDER "konseki-fwd"
