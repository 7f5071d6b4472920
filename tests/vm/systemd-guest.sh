# SPDX-License-Identifier: MIT
# Runs in the machine of systemd.py, as root, konseki beside it: installs, uses and removes it. Prints TAP.
set -u
here=/root/konseki
log='/var/log/konseki/Linux-Sysmon%4Operational.evtx'
number=0
failed=0

# check NAME COMMAND...: a test is a command that succeeds.
check() {
	number=$((number + 1))
	name=$1
	shift
	if "$@" >/tmp/output 2>&1; then
		echo "ok $number - systemd: $name"
	else
		echo "not ok $number - systemd: $name"
		sed 's/^/# /' /tmp/output
		failed=$((failed + 1))
	fi
}

# Tries until it succeeds: what happens in other processes has no moment of its own. It gives up only when
# hope is lost, so slowness is no failure.
eventually() {
	for i in $(seq 600); do
		"$@" && return
		sleep 0.2
	done
	false
}

fails_with() {
	status=$1
	shift
	"$@" </dev/null
	[ $? = "$status" ]
}

says() {
	pattern=$1
	shift
	"$@" 2>&1 </dev/null | tee /tmp/said | grep -Eiq -- "$pattern" || {
		cat /tmp/said
		false
	}
}

not() { ! "$@"; }
property() { systemctl show -P "$1" konseki; }
property_is() { [ "$(property "$1")" = "$2" ] || { echo "$1 is $(property "$1")"; false; }; }
logged() { "$konseki" view --json "$log" | grep -E -- "$1"; }
times_logged() { "$konseki" view --json "$log" | grep -Ec -- "$1"; }
absent() { [ ! -e "$1" ] || { ls -ld "$1"; false; }; }

# --- Installing
check 'without agreement it is not installed' not sh -c "$here -i </dev/null"
check 'and nothing was left by that' absent /etc/konseki
check 'it installs itself from one file' $here -accepteula -i
konseki=$(property ExecStart | sed 's/.*path=\([^ ;]*\).*/\1/')
check 'it runs from a place of its own' test -x "$konseki" -a "$konseki" != $here
check 'the unit is active' eventually systemctl -q is-active konseki
check 'it is enabled' systemctl -q is-enabled konseki
check 'it says itself when it is ready' property_is Type notify
check 'a watchdog looks after it' not property_is WatchdogUSec 0
check 'it cannot gain privileges' property_is NoNewPrivileges yes
check 'systemd finds its unit in order' systemd-analyze verify --man=no konseki.service

# --- Watching
cp /bin/true /usr/local/bin/seen-by-konseki
/usr/local/bin/seen-by-konseki one
check 'what runs is logged' eventually logged '"CommandLine":"/usr/local/bin/seen-by-konseki one"'
check 'status says that it runs' says 'running' "$konseki" status
check 'the log is for root and adm' sh -c "[ \"\$(stat -c '%U:%G %a' '$log')\" = root:adm\ 640 ]"
engine=$(pgrep -u konseki -x konseki || pgrep -u konseki)
check 'the engine runs as konseki' test -n "$engine"
check 'and has no capabilities' grep -q '^CapPrm:	0000000000000000' "/proc/${engine%% *}/status"

# --- Rules
cat >/root/rules.xml <<'XML'
<Sysmon schemaversion="4.90">
  <EventFiltering>
    <ProcessCreate onmatch="include">
      <Image condition="end with">wanted-by-rule</Image>
    </ProcessCreate>
  </EventFiltering>
</Sysmon>
XML
cp /bin/true /usr/local/bin/wanted-by-rule
cp /bin/true /usr/local/bin/ignored-by-rule
main=$(property MainPID)
check 'rules change' "$konseki" -c /root/rules.xml
/usr/local/bin/ignored-by-rule
/usr/local/bin/wanted-by-rule
check 'what they want is logged' eventually logged '"EventID":1,.*"Image":"/usr/local/bin/wanted-by-rule"'
check 'what they do not want is not' not logged '"EventID":1,.*"Image":"/usr/local/bin/ignored-by-rule"'
check 'the change is an event' logged '"EventID":16,.*rules.xml'
check 'and no restart' test "$main" = "$(property MainPID)"
check 'the rules in force can be shown' says 'wanted-by-rule' "$konseki" -c
echo '<Sysmon schemaversion="4.90"><EventFiltering><ProcessCreate onmatch="maybe"/></EventFiltering></Sysmon>' \
	>/root/wrong.xml
check 'wrong rules are refused' fails_with 87 "$konseki" -c /root/wrong.xml
check 'with the place of the mistake' says 'wrong.xml.*1[:,]' "$konseki" -c /root/wrong.xml
check 'and the old ones stay' says 'wanted-by-rule' "$konseki" -c

# --- Death
kill -9 "${engine%% *}"
check 'another engine takes over' eventually sh -c "pgrep -u konseki | grep -vqx ${engine%% *}"
/usr/local/bin/wanted-by-rule after-the-engine
check 'and goes on' eventually logged 'wanted-by-rule after-the-engine'
check 'and the log says so' eventually logged '"EventID":255,'

main=$(property MainPID)
kill -9 "$main"
check 'systemd starts it again' eventually sh -c \
	"p=\$(systemctl show -P MainPID konseki); [ \$p != 0 ] && [ \$p != $main ] && systemctl -q is-active konseki"
/usr/local/bin/wanted-by-rule after-the-kill
check 'and it watches' eventually logged 'wanted-by-rule after-the-kill'
check 'by the same rules' says 'wanted-by-rule' "$konseki" -c

main=$(property MainPID)
kill -STOP "$main"
check 'one that hangs is replaced by the watchdog' eventually sh -c \
	"p=\$(systemctl show -P MainPID konseki); [ \$p != 0 ] && [ \$p != $main ] && systemctl -q is-active konseki"
/usr/local/bin/wanted-by-rule after-the-watchdog
check 'and the new one watches' eventually logged 'wanted-by-rule after-the-watchdog'
check 'the log is whole' sh -c "'$konseki' view --json '$log' | grep -c . >/tmp/records && [ \$(cat /tmp/records) -gt 5 ]"

# --- Installing over it
before=$(times_logged '"EventID":')
check 'a second installation is an upgrade and says so' says 'upgrad|already' $here -accepteula -i
check 'it is active again' eventually systemctl -q is-active konseki
check 'it kept the rules' says 'wanted-by-rule' "$konseki" -c
check 'it kept the log' test "$(times_logged '"EventID":')" -ge "$before"

# --- Removing
check 'it is removed' $here -u
check 'the unit is gone' not systemctl cat konseki
check 'no process is left' not pgrep -x konseki
check 'the program is gone' absent "$konseki"
check 'its rules are gone' absent /etc/konseki
check 'its state is gone' absent /var/lib/konseki
check 'its user is gone' not getent passwd konseki
check 'the log stays' test -s "$log"
check 'and tells the end' sh -c "$here view --json '$log' | grep -q '\"State\":\"Stopped\"'"

# --- Damage
check 'it installs again' $here -accepteula -i
konseki=$(property ExecStart | sed 's/.*path=\([^ ;]*\).*/\1/')
rm -f "$konseki" /etc/konseki/*
check 'a damaged installation can be forced off' $here -u force
check 'with nothing left' absent /etc/konseki
check 'and no process' not pgrep -x konseki

echo "1..$number"
[ $failed = 0 ]
