#!/bin/sh
# SPDX-License-Identifier: MIT
# Records one truth run: watches, lets the generator work in PLACE, stops watching. Leaves the log, the ledger
# and what konseki printed in NOTES, as log.evtx, ledger and tally. Needs no more than busybox has.
#
#   record.sh KONSEKI GENERATE PLACE NOTES OPERATIONS SEED [--host]
#
# --host: settings that are files, too, which are read by libaugeas, and soon: emulated machines are too slow for it. And a
# clipboard of an X server, which they do not have. (Of nobody: none of root's is looked at.)
set -eu
konseki=$1 generate=$2 place=$3 notes=$4 operations=$5 seed=$6
log_mb=$((operations > 200000 ? 4000 : 1000)) # nothing may be overwritten
monitor=
settings=
rules=$(dirname "$0")/rules.xml
display= server=

# The tally is printed at the end of a clean stop; the trap is for every other end.
stop_monitor() {
	[ -n "$monitor" ] || return 0
	kill -INT "$monitor" 2>/dev/null || true
	wait "$monitor" || true
	monitor=
}
clean_up() {
	stop_monitor
	for watched in "$place" "$notes"; do # the archive of its file system, as in rules.xml
		rm -rf "$(df -P "$watched" | sed -n '$s/.*% //p')/konseki-truth"
	done
	[ -z "$settings" ] || rm -rf "$settings" "${settings%.d}" "${settings%.service.d}.timer"
	[ -n "$server" ] || return 0
	kill "$server" 2>/dev/null || true
	wait "$server" || true
	rm -f "/tmp/.X$display-lock" "/tmp/.X11-unix/X$display"
}
trap clean_up EXIT
trap 'exit 1' INT TERM HUP

# Until an event of this id that contains this is in the log.
wait_for() {
	for _ in $(seq 600); do
		if "$konseki" view --json --id "$1" "$notes/log.evtx" 2>/dev/null | grep -q "$2"; then
			return 0
		fi
		kill -0 "$monitor" 2>/dev/null || return 1
		sleep 0.1
	done
	return 1
}

start_server() {
	mkdir -p /tmp/.X11-unix
	chmod 1777 /tmp/.X11-unix
	display=90
	while [ -e "/tmp/.X$display-lock" ] || [ -e "/tmp/.X11-unix/X$display" ]; do
		display=$((display + 1))
	done
	setpriv --reuid nobody --regid nogroup --clear-groups Xvfb ":$display" -nolisten tcp -noreset >"$notes/server" 2>&1 &
	server=$!
	for _ in $(seq 100); do
		[ ! -S "/tmp/.X11-unix/X$display" ] || return 0
		kill -0 "$server" 2>/dev/null || break
		sleep 0.1
	done
	cat "$notes/server"
	return 1
}

if [ "${7:-}" = --host ]; then
	settings=/etc/systemd/system/konseki-truth-$$.service.d # of a service that there is not
	mkdir -p "$settings"
	start_server
fi
"$konseki" run --quiet -c "$rules" --size "$log_mb" --log "$notes/log.evtx" >"$notes/tally" 2>&1 &
monitor=$!
# Settings are told when all that are there were read once.
wait_for_settings() {
	[ -z "$settings" ] || { echo >"$settings/first" && wait_for 13 "$settings/first"; }
}

# Event 4 is the last thing written at start, when everything is attached.
if ! wait_for 4 '"Started"' || ! wait_for_settings; then
	echo "konseki run does not watch:"
	cat "$notes/tally"
	exit 1
fi
"$konseki" status --json >"$notes/status"
mkdir "$place/files"
refuses=
if grep -q '"kernel":"full"' "$notes/status"; then
	refuses=--overwriting-refused
fi
"$generate" --dir "$place/files" --ledger "$notes/ledger" \
	--operations "$operations" --seed "$seed" --konseki "$konseki" --rules "$rules" $refuses \
	${settings:+--settings "$settings" --display "$display"}
"$konseki" status --json >"$notes/status" # once more: what was missed meanwhile
