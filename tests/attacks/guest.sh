# SPDX-License-Identifier: MIT
# Runs in the machine of attacks.py, as root, konseki beside it: installs it, runs each attack of /root/attacks between
# two marks, and leaves the log in /out. The machine has no network card and is thrown away afterwards.
set -u
log='/var/log/konseki/Linux-Sysmon%4Operational.evtx'
export HOME=/root USER=root PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
# What the published tests ask their dependencies for.
export which_7z=7z which_gpg=gpg

# What a machine that was used has, and what the attacks look for.
used() {
	mkdir -p /root/.ssh /home/user /tmp/victim-folder /var/spool/mail /tmp/AtomicRedTeam/atomics/T1222.002
	[ -e /root/.bash_history ] && [ ! -L /root/.bash_history ] || { rm -f /root/.bash_history; echo 'ls -p pass' >/root/.bash_history; }
	[ -s /root/.ssh/authorized_keys ] || echo 'ssh-ed25519 AAAA nobody' >/root/.ssh/authorized_keys
	[ -e /root/.ssh/id_rsa ] || echo key >/root/.ssh/id_rsa
	[ -e /root/.sh_history ] || echo ls >/root/.sh_history
	for file in /root/.bashrc /root/.profile /root/.bash_profile /home/user/.netrc /var/spool/mail/root /tmp/victim-folder/file \
		/tmp/AtomicRedTeam/atomics/T1222.002/T1222.002.yaml /var/log/syslog /var/log/messages /var/spool/cron/root \
		/etc/profile.d/bash_completion.sh; do
		[ -e $file ] || echo '# used' >$file
	done
}

# Programs that Debian does not have are there as scripts that do nothing.
for name in sockstat mdatp smbstatus tshark; do
	printf '#!/bin/sh\n' >/usr/local/bin/$name
	chmod +x /usr/local/bin/$name
done
useradd ARTUser
used
/root/konseki -accepteula -i >/out/install.txt 2>&1
# The first look at all settings is over when one that is written is told by its name.
for i in $(seq 300); do
	echo "kernel.konseki = $i" >/etc/sysctl.d/zz-looked.conf
	/root/konseki view --json --id 13 "$log" 2>/dev/null | grep -q 'kernel.konseki' && break
	sleep 1
done
# How much the rules keep of a machine on which nothing happens.
sleep 20
/bin/true attack idle begins
sleep 120
/bin/true attack idle ends
for attack in /root/attacks/*; do
	guid=${attack##*.}
	cd /root
	used
	/bin/true attack $guid begins
	[ ! -e $attack/prepare ] || timeout 30 sh $attack/prepare </dev/null >/dev/null 2>&1
	timeout -k 2 20 $(cat $attack/executor) $attack/command </dev/null >/tmp/said 2>&1
	echo "$guid $?" >>/out/ended.txt
	sleep 2
	/bin/true attack $guid ends
	[ ! -e $attack/cleanup ] || timeout 30 $(cat $attack/executor) $attack/cleanup </dev/null >/dev/null 2>&1
done
sleep 2
/root/konseki status >/out/status-of-konseki.txt 2>&1
systemctl stop konseki
cp "$log" /out/log.evtx
