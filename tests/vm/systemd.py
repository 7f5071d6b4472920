#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Installs konseki on a Debian with systemd, in a virtual machine, and takes it off again. Prints TAP.

The machine is a minimal Debian 12 with the few libraries that the program is linked with and no compiler; what
is copied to it is build/konseki alone. What is done and expected there stands in systemd-guest.sh, which
prints the TAP. The system is made once by mmdebstrap and kept in ~/.cache/konseki-test.
"""
import hashlib
import os
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
import vm

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
KONSEKI = os.path.join(os.environ.get('KONSEKI_BUILD', os.path.join(ROOT, 'build')), 'konseki')

UNIT = '''[Unit]
Description=The test that runs in this machine
After=multi-user.target
[Service]
Type=oneshot
ExecStart=/root/run
'''

# As vm.SECOND ends: what is in /out goes back, then off. The console shows how far it got, should it not get there.
RUN = '''#!/bin/sh
mkdir /out
{ sh /root/guest.sh; echo $? >/out/status; } 2>/out/errors.txt | tee /out/guest.txt >/dev/ttyS0
journalctl -b --no-pager >/out/journal.txt 2>&1
tar -C /out -cf /dev/vda .
sync
systemctl poweroff --force --force
'''


def debian(more):
    """A Debian with systemd, the libraries konseki needs and these packages, as a tar archive."""
    libraries = vm.run(os.path.join(ROOT, 'tools', 'install-deps'), 'list', 'installed', capture_output=True,
                       text=True).stdout.split()
    packages = ','.join(['systemd-sysv', 'procps', *libraries, *more])
    home = os.path.join(vm.CACHE, 'systemd-' + hashlib.sha256(packages.encode()).hexdigest()[:16] + '.tar')
    if not os.path.exists(home):
        os.makedirs(vm.CACHE, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=vm.CACHE) as scratch:
            made = os.path.join(scratch, 'debian.tar')
            vm.run('mmdebstrap', '--variant=minbase', f'--include={packages}', 'bookworm', made,
                   vm.mirrors()[0], stdout=sys.stderr)
            os.rename(made, home)
    return home


def write(root, path, text, mode=0o644):
    with open(root + path, 'w', encoding='utf-8') as f:
        f.write(text)
    os.chmod(root + path, mode)


def image(path, scratch, script, add=(), packages=(), mebibytes=900):
    """The system with the program, the test and more files for /root on it, as an ext4 image."""
    root = os.path.join(scratch, 'root')
    os.mkdir(root)
    vm.run('tar', '-C', root, '-xf', debian(packages))
    vm.run('cp', '-r', KONSEKI, *add, root + '/root')
    vm.run('cp', script, root + '/root/guest.sh')
    write(root, '/root/run', RUN, 0o755)
    write(root, '/etc/systemd/system/konseki-test.service', UNIT)
    os.symlink('/etc/systemd/system/konseki-test.service',
               root + '/etc/systemd/system/multi-user.target.wants/konseki-test.service')
    # Waiting for entropy, disks and consoles that this machine does not have takes longer than the test.
    for unit in ('getty.target', 'e2scrub_reap.service', 'systemd-random-seed.service', 'apt-daily.timer'):
        os.symlink('/dev/null', f'{root}/etc/systemd/system/{unit}')
    write(root, '/etc/fstab', '')
    write(root, '/etc/hostname', 'guest\n')
    vm.empty_file(path, mebibytes)
    vm.run('mke2fs', '-q', '-t', 'ext4', '-d', root, path)


def main():
    with tempfile.TemporaryDirectory(prefix='konseki-systemd.', dir='/var/tmp') as scratch:
        disk = os.path.join(scratch, 'disk')
        image(disk, scratch, os.path.join(HERE, 'systemd-guest.sh'))
        outcome = vm.boot(vm.kernel("6.1"), vm.Guest(init=vm.SWITCH_ROOT), seconds=400, system=disk,
                          append='loglevel=6 softlockup_all_cpu_backtrace=1')
    print(outcome.text('guest.txt'), end='')
    if outcome.status != 0 or '\nnot ok' in outcome.text('guest.txt'):
        for line in (outcome.text('errors.txt') + outcome.text('journal.txt')[-20000:]
                     or outcome.console).splitlines():
            print('#', line)
    if outcome.status is None:
        print('1..1\nnot ok 1 - the machine comes to the end of the test')
    return 0 if outcome.status == 0 else 1


if __name__ == '__main__':
    sys.exit(main())
