#!/bin/sh
# SPDX-License-Identifier: MIT
# Do two foreign readers read the same as we in a log of at least 5,000 real events? Watches this machine while the
# generator of tests/truth works, then compares every field of every record. Prints TAP. Root is needed.
#
#   tests/golden/evtx/real.sh [BUILD-DIRECTORY [OPERATIONS]]
set -eu
root=$(dirname "$(readlink -f "$0")")/../../..
build=$(readlink -f "${1:-$root/build}")
operations=${2:-2200}
work=$(mktemp -d "$build/real.XXXXXX")
chmod 755 "$work"
trap 'rm -rf "$work"' EXIT
trap 'exit 1' INT TERM HUP

check() { # NAME COMMAND...: one line of TAP, and what the command said if it failed
	number=$((${number:-0} + 1))
	name=$1
	shift
	if "$@" >"$work/said" 2>&1; then
		echo "ok $number - $name"
	else
		echo "not ok $number - $name"
		sed 's/^/# /' "$work/said"
		status=1
	fi
}

status=0
mkdir "$work/place" "$work/notes"
chmod 755 "$work/place"
echo "1..3"
check "a real log is recorded" "$root/tests/truth/record.sh" "$build/konseki" \
	"$build/tests/truth/generate" "$work/place" "$work/notes" "$operations" 1
"$build/konseki" view --json -o "$work/notes/log.evtx" >"$work/log.json" || status=1
check "it holds 5,000 events or more" test "$(wc -l <"$work/log.json")" -ge 5000
check "evtxexport and python-evtx agree with us on every field" /usr/bin/python3 \
	"$root/tests/golden/evtx/foreign.py" "$work/notes/log.evtx" "$work/log.json"
echo "# $(wc -l <"$work/log.json") events; $(tail -n 1 "$work/said")"
exit $status
