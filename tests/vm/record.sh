#!/bin/sh
# SPDX-License-Identifier: MIT
# Runs the behaviours under the monitor and leaves everything a judge needs in one folder. Runs on the host and as it
# is in a virtual machine: nothing but a shell and the usual small tools.
#
#   record.sh KONSEKI BEHAVIOURS WORK OUT RULES
#
# KONSEKI is the program, BEHAVIOURS the folder with the small programs, WORK an empty folder in which each of them
# gets its own, RULES what is recorded. OUT then holds
#   NAME.ledger     what behaviour NAME wrote down
#   NAME.status     how it ended (see wait)
#   events.json     the whole log
#   konseki.txt     what the monitor printed, its tally at the end
#   konseki.status  how the monitor ended
set -u
konseki=$1 behaviours=$2 work=$3 out=$4 rules=$5
log=$work/log.evtx
started=

# Whatever happens, nothing that was started here stays.
trap 'for pid in $started; do kill "$pid" 2>/dev/null; done' EXIT
trap 'exit 1' INT TERM

say_line() { echo "record: $*"; }

# The monitor says in the log that it is there.
wait_until_watching() {
	tries=0
	until "$konseki" view --json "$log" 2>/dev/null | grep -q '"EventID":4,'; do
		tries=$((tries + 1))
		if [ $tries -ge 300 ] || ! kill -0 "$monitor" 2>/dev/null; then
			say_line "the monitor does not start"
			cat "$out/konseki.txt"
			exit 1
		fi
		sleep 0.2
	done
}

# Runs one behaviour in a folder of its own.
behave() {
	mkdir "$work/$1"
	cd "$work/$1" || exit 1
	"$behaviours/$1" >"$out/$1.ledger" 2>&1
	echo $? >"$out/$1.status"
	cd "$out" || exit 1
}

# Those that begin before the monitor say that they are ready and wait on a pipe until it is there.
mkdir -p "$work" "$out"
mkfifo "$out/go"
for program in "$behaviours"/before_*; do
	behave "${program##*/}" <"$out/go" &
	before="${before:-} $!"
	started="$started $!"
done
exec 9>"$out/go"
for program in "$behaviours"/before_*; do
	until grep -qs "^ready=" "$out/${program##*/}.ledger"; do
		sleep 0.1
	done
done

"$konseki" run --quiet --context --size 400 -c "$rules" --log "$log" >"$out/konseki.txt" 2>&1 </dev/null 9>&- &
monitor=$!
started="$started $monitor"
wait_until_watching

echo "one byte for each of them" >&9
exec 9>&-
wait $before

for program in "$behaviours"/*; do
	case ${program##*/} in
	before_*) ;;
	*) behave "${program##*/}" </dev/null ;;
	esac
done

kill -TERM $monitor
wait $monitor
echo $? >"$out/konseki.status"
started=
"$konseki" view --json "$log" >"$out/events.json" || exit 1
