#!/bin/sh
# SPDX-License-Identifier: MIT
# The short truth run: watches this machine while the generator works, on the file system of the build and
# on tmpfs, and holds the log against the ledger. Prints TAP. Root is needed.
#
#   tests/truth/run.sh [BUILD-DIRECTORY [OPERATIONS [SEED]]]
set -eu
here=$(dirname "$(readlink -f "$0")")
build=$(readlink -f "${1:-$here/../../build}")
operations=${2:-20000}
seed=${3:-$(date +%s)}
konseki=$build/konseki
log_mb=$((operations > 200000 ? 4000 : 1000)) # nothing may be overwritten
monitor= work=
status=0

# The tally is printed at the end of a clean stop; the trap is for every other end.
stop_monitor() {
	[ -n "$monitor" ] || return 0
	kill -INT "$monitor" 2>/dev/null || true
	wait "$monitor" 2>/dev/null || true
	monitor=
}

clean_up() {
	stop_monitor
	for directory in $work; do
		rm -rf "$directory"
	done
	work=
}
trap clean_up EXIT
trap 'exit 1' INT TERM HUP

# Event 4 is the last thing written at start, when everything is attached.
wait_until_watching() {
	for _ in $(seq 300); do
		if "$konseki" view --json --id 4 "$1" 2>/dev/null | grep -q '"Started"'; then
			return 0
		fi
		kill -0 "$monitor" 2>/dev/null || return 1
		sleep 0.1
	done
	return 1
}

fail() {
	echo "not ok 1 - $1"
	[ ! -f "$2" ] || sed 's/^/# /' "$2"
	echo "1..1"
	status=1
}

# Names of two directories, made here: where the generator works, and where log and ledger lie.
truth_run() {
	label=$1 place=$2 notes=$3
	mkdir "$place/files"
	"$konseki" run --quiet --size "$log_mb" --log "$notes/log.evtx" >"$notes/tally" 2>&1 &
	monitor=$!
	if ! wait_until_watching "$notes/log.evtx"; then
		fail "$label: konseki run watches" "$notes/tally"
		return
	fi
	if ! timeout $((300 + operations / 100)) "$build/tests/truth/generate" --dir "$place/files" --ledger "$notes/ledger" \
		--operations "$operations" --seed "$seed" >"$notes/generator" 2>&1; then
		fail "$label: the generator ends well" "$notes/generator"
		return
	fi
	stop_monitor
	"$konseki" view --json "$notes/log.evtx" |
		/usr/bin/python3 "$here/compare.py" --label "$label: " --ledger "$notes/ledger" --log - \
			--tally "$notes/tally" || status=1
}

echo "# seed $seed, $operations operations"
for base in "$build" /dev/shm; do
	place=$(mktemp -d "$base/truth.XXXXXX")
	notes=$(mktemp -d "$build/truth-notes.XXXXXX")
	work="$place $notes"
	chmod 755 "$place"
	truth_run "$(findmnt -n -o FSTYPE -T "$place" | head -n 1)" "$place" "$notes"
	if [ "$status" != 0 ] && [ -n "${KEEP:-}" ]; then
		echo "# kept: $notes"
		work=$place
	fi
	clean_up
done
exit $status
