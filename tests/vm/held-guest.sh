#!/bin/sh
# SPDX-License-Identifier: MIT
# In a machine whose deletions wait for the engine's word: the monitor, both, and all of konseki are killed while files are
# deleted, the engine after it has given none for a while. Prints what held.py judges:
#   SITUATION deleted=N longest=SECONDS stopped=N
# N files that three processes deleted meanwhile, the longest time one of them took, and how many processes were left stopped.
set -u
log=/tmp/log.evtx
mkdir -p /work/archived
cat >/tmp/rules.xml <<'RULES'
<Sysmon schemaversion="4.91"><ArchiveDirectory>kept</ArchiveDirectory><EventFiltering>
<FileDelete onmatch="include"><TargetFilename condition="contains">/archived/</TargetFilename></FileDelete>
</EventFiltering></Sysmon>
RULES

# Deletes file after file until told to end, and keeps how many and the longest time.
worker() {
	deleted=0 longest=0
	while [ ! -e /tmp/end ]; do
		echo "$deleted" >"/work/archived/$1"
		began=$(cut -d. -f1 /proc/uptime)
		rm "/work/archived/$1" || echo "worker $1: rm failed"
		took=$(($(cut -d. -f1 /proc/uptime) - began))
		[ $took -gt $longest ] && longest=$took
		deleted=$((deleted + 1))
		echo "$deleted $longest" >"/tmp/worker$1.new" && mv "/tmp/worker$1.new" "/tmp/worker$1"
	done
}

begin() {
	rm -f /tmp/end /tmp/worker?
	for i in 1 2 3; do worker $i & done
	sleep 1
}

end() {
	sleep 4
	touch /tmp/end
	sleep 3
	deleted=0 longest=0 stopped=0
	for i in 1 2 3; do
		read -r n l <"/tmp/worker$i" || n=0 l=99
		deleted=$((deleted + n))
		[ "$l" -gt $longest ] && longest=$l
	done
	for stat in /proc/[0-9]*/stat; do
		case $(sed 's/.*) //' "$stat" 2>/dev/null) in
		[Tt]*) stopped=$((stopped + 1)) ;;
		esac
	done
	left=$(ls /work/archived | wc -l)
	echo "$1 deleted=$deleted longest=$longest stopped=$stopped left=$left"
}

pid_of() { konseki status --json | tr ',{' '\n\n' | sed -n "s/^ *\"$1\": *\([0-9]*\).*/\1/p"; }

# Until both are there again.
again() {
	tries=0
	until konseki status --json 2>/dev/null | grep -q "\"restarts\": *$1[,}]"; do
		tries=$((tries + 1))
		[ $tries -lt 120 ] || { echo "no restart $1"; konseki status; exit 1; }
		sleep 0.5
	done
	sleep 1
}

konseki run --quiet -c /tmp/rules.xml --log $log >/tmp/konseki.txt 2>&1 </dev/null &
supervisor=$!
until konseki view --json $log 2>/dev/null | grep -q '"EventID":4,'; do sleep 0.5; done

begin; kill -KILL "$(pid_of monitor)"; end monitor
again 1
begin
engine=$(pid_of engine) monitor=$(pid_of monitor)
kill -STOP "$engine"; sleep 1; kill -KILL "$engine" "$monitor"
end both
again 3
begin
engine=$(pid_of engine) monitor=$(pid_of monitor)
kill -STOP "$engine"; sleep 1; kill -KILL $supervisor "$engine" "$monitor"
end all
konseki view --json $log | grep -c '"EventID":23,'
