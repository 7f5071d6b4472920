#!/bin/sh
# SPDX-License-Identifier: MIT
# The short truth run: watches this machine while the generator works, on the file system of the build and
# on tmpfs, and holds the log against the ledger. Prints TAP. Root is needed. With KEEP=1 in the environment
# what was recorded stays if it is wrong.
#
#   tests/truth/run.sh [BUILD-DIRECTORY [OPERATIONS [SEED]]]
set -eu
here=$(dirname "$(readlink -f "$0")")
build=$(readlink -f "${1:-$here/../../build}")
operations=${2:-20000}
seed=${3:-$(date +%s)}
place= notes=
status=0

clean_up() {
	[ -z "$place" ] || rm -rf "$place"
	[ -z "$notes" ] || rm -rf "$notes"
	place= notes=
}
trap clean_up EXIT
trap 'exit 1' INT TERM HUP

# One run on the file system that has this directory.
truth_run() {
	place=$(mktemp -d "$1/truth.XXXXXX")
	notes=$(mktemp -d "$build/truth-notes.XXXXXX")
	chmod 755 "$place"
	label=$(findmnt -n -o FSTYPE -T "$place" | head -n 1)
	if ! "$here/record.sh" "$build/konseki" "$build/tests/truth/generate" "$place" "$notes" \
		"$operations" "$seed" --host >"$notes/record" 2>&1; then
		echo "not ok 1 - $label: recorded"
		sed 's/^/# /' "$notes/record"
		echo "1..1"
		return 1
	fi
	"$build/konseki" view --json "$notes/log.evtx" |
		/usr/bin/python3 "$here/compare.py" --label "$label: " --ledger "$notes/ledger" --log - \
			--tally "$notes/tally" --status "$notes/status"
}

echo "# seed $seed, $operations operations"
for base in "$build" /dev/shm; do
	if ! truth_run "$base"; then
		status=1
		if [ -n "${KEEP:-}" ]; then
			echo "# kept: $notes"
			notes=
		fi
	fi
	clean_up
done
exit $status
