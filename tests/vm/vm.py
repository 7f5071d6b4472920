#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Virtual machines for the tests: gets Debian's kernels, builds an initramfs, boots it in QEMU.

The guest has two disks that no file system is needed for on this side: what it gets is its initramfs,
what it gives back is a tar archive written raw to its first disk. The second is an empty ext4 to
work on. It has no network but loopback. Emulation only (tcg): the outcome must not depend on whether this
machine lends its virtualisation to its guests.

What is downloaded is kept in ~/.cache/konseki-test; delete that folder to get newer kernels.

    vm.py fetch [KERNEL...]     only fill the cache
    vm.py boot KERNEL           boot to a first command and off again, as TAP
"""
import glob
import lzma
import os
import re
import signal
import subprocess
import sys
import tarfile
import tempfile

CACHE = os.path.join(os.path.expanduser('~'), '.cache', 'konseki-test')
KEYRING = '/usr/share/keyrings/debian-archive-keyring.gpg'

# Name: where its newest package is looked for, and what that is called.
KERNELS = {
    '5.10': (['bullseye'], r'linux-image-5\.10\.0-\d+-cloud-amd64'),
    '6.1': (['bookworm', 'bookworm-security'], r'linux-image-6\.1\.0-\d+-cloud-amd64'),
    '6.12': (['bookworm-backports', 'bookworm-security'], r'linux-image-6\.12\.\d+\+\w+-cloud-amd64'),
}

# In the order in which they need one another. A kernel has some of them built in: what is absent is skipped.
MODULES = ['virtio_ring', 'virtio', 'virtio_pci_modern_dev', 'virtio_pci_legacy_dev', 'virtio_pci',
           'virtio_blk', 'crc16', 'crc32c_generic', 'libcrc32c', 'mbcache', 'jbd2', 'ext4', 'overlay']


# Who stops a test wants its machines and folders gone: an exit runs what a signal would skip.
signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))


def run(*command, **options):
    return subprocess.run(command, check=True, stdin=subprocess.DEVNULL, **options)


def mirrors():
    """The mirror this machine is configured for, and that for security."""
    listed = subprocess.run(['apt-get', 'indextargets', '--no-release-info', '--format', '$(REPO_URI)'],
                            check=False, capture_output=True, text=True).stdout.split()
    main = [uri for uri in listed if uri.rstrip('/').endswith('/debian')]
    security = [uri for uri in listed if 'security' in uri]
    return (main or ['http://deb.debian.org/debian'])[0], \
        (security or ['http://deb.debian.org/debian-security'])[0]


class Apt:
    """apt with sources, lists and cache of its own: the system's stay as they are."""

    def __init__(self, directory, suites):
        self.directory = directory
        for sub in ('lists/partial', 'cache/archives/partial'):
            os.makedirs(os.path.join(directory, sub), exist_ok=True)
        main, security = mirrors()
        with open(os.path.join(directory, 'sources.list'), 'w', encoding='utf-8') as f:
            for suite in suites:
                uri = security if suite.endswith('-security') else main
                f.write(f'deb [signed-by={KEYRING}] {uri} {suite} main\n')
        self.options = []
        for option in (f'Dir::Etc::sourcelist={directory}/sources.list', 'Dir::Etc::sourceparts=-',
                       f'Dir::State::lists={directory}/lists', f'Dir::Cache={directory}/cache',
                       'APT::Architecture=amd64', 'APT::Sandbox::User=root', 'Acquire::Languages=none',
                       'Acquire::Retries=3', 'Acquire::Check-Valid-Until=false'):
            self.options += ['-o', option]

    def update(self):
        run('apt-get', *self.options, '-q', 'update', stdout=sys.stderr)

    def newest(self, pattern):
        names = run('apt-cache', *self.options, 'pkgnames', 'linux-image-', capture_output=True,
                    text=True).stdout.split()
        found = [name for name in names if re.fullmatch(pattern, name)]
        if not found:
            raise SystemExit(f'no package {pattern} in {self.directory}/sources.list')
        return max(found, key=lambda name: [int(n) for n in re.findall(r'\d+', name)])

    def download(self, package, directory):
        run('apt-get', *self.options, '-q', 'download', package, cwd=directory, stdout=sys.stderr)
        return glob.glob(os.path.join(directory, package + '_*.deb'))[0]


class Kernel:
    def __init__(self, name, directory):
        self.name = name
        self.image = glob.glob(os.path.join(directory, 'boot', 'vmlinuz-*'))[0]
        self.modules = glob.glob(os.path.join(directory, '**', 'lib', 'modules', '*'), recursive=True)[0]

    def module(self, name):
        """A module's bytes as the guest's insmod takes them, or None if this kernel has no such one."""
        for path in glob.glob(os.path.join(self.modules, '**', name + '.ko*'), recursive=True):
            with open(path, 'rb') as f:
                data = f.read()
            return lzma.decompress(data) if path.endswith('.xz') else data
        return None


def kernel(name):
    """Downloads and unpacks the kernel unless that was done before."""
    home = os.path.join(CACHE, 'kernels', name)
    if not os.path.isdir(home):
        suites, pattern = KERNELS[name]
        os.makedirs(os.path.dirname(home), exist_ok=True)
        with tempfile.TemporaryDirectory(dir=CACHE) as scratch:
            apt = Apt(os.path.join(scratch, 'apt'), suites)
            apt.update()
            deb = apt.download(apt.newest(pattern), scratch)
            unpacked = os.path.join(scratch, 'unpacked')
            run('dpkg-deb', '-x', deb, unpacked)
            os.rename(unpacked, home)
    return Kernel(name, home)


def libraries_of(program):
    """The shared libraries a program is loaded with, its loader included, as paths; ldd fails for a static one."""
    listed = subprocess.run(['ldd', program], check=False, capture_output=True, text=True).stdout
    return re.findall(r'(/\S+) \(0x', listed)


EARLY = r'''#!/bin/busybox sh
/bin/busybox mkdir -p /proc /sys /dev /tmp /run /work
/bin/busybox --install -s /bin
export PATH=/bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
for module in $(cat /modules/order); do
	insmod /modules/$module.ko 2>/dev/null
done
'''

# A guest without a system of its own. Its files move to a tmpfs first: the kernel lets nobody pivot_root away from
# the initramfs, so no container could be made there.
RUN_GUEST = EARLY + r'''
mkdir /system
mount -t tmpfs -o size=80% tmpfs /system
cp -a $(ls -d /* | grep -Ev '^/(system|proc|sys|dev|modules|init)$') /system
mkdir -p /system/proc /system/sys /system/dev
exec switch_root /system /second
'''

# Makes the machine usable, runs /guest, sends back what that left in /out, ends.
SECOND = r'''#!/bin/sh
export PATH=/bin:/usr/bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mount -t securityfs securityfs /sys/kernel/security
mount -t bpf bpf /sys/fs/bpf 2>/dev/null
mount -t tracefs tracefs /sys/kernel/tracing 2>/dev/null
mount -t tmpfs tmpfs /tmp
mkdir -p /dev/shm /dev/pts
mount -t tmpfs tmpfs /dev/shm
mount -t devpts devpts /dev/pts
ifconfig lo 127.0.0.1 up
[ ! -b /dev/vdb ] || mount -t ext4 /dev/vdb /work
mkdir /out
/bin/sh /guest >/out/guest.txt 2>&1 </dev/null
echo $? >/out/status
dmesg >/out/dmesg.txt
[ ! -b /dev/vda ] || tar -C /out -cf /dev/vda .
sync
poweroff -f
'''

# The first process of a guest that has a system on its second disk.
SWITCH_ROOT = EARLY + r'''
mkdir /system
mount -t ext4 /dev/vdb /system
exec switch_root /system /sbin/init
'''


class Guest:
    """What a guest starts with. `script` is run by its shell as /guest; what it leaves in /out comes back."""

    def __init__(self, script='', init=RUN_GUEST):
        self.files = {}   # path in the guest: (bytes, mode)
        self.add('/init', init.encode(), 0o755)
        self.add('/second', SECOND.encode(), 0o755)
        self.add('/guest', script.encode(), 0o755)
        self.add('/etc/passwd', b'root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534::/:/bin/sh\n')
        self.add('/etc/group', b'root:x:0:\nadm:x:4:\nnogroup:x:65534:\n')
        self.copy('/bin/busybox', '/bin/busybox')

    def add(self, path, data, mode=0o644):
        self.files[path] = (data, mode)

    def copy(self, source, path):
        with open(source, 'rb') as f:
            self.add(path, f.read(), os.stat(source).st_mode & 0o777)

    def copy_program(self, source, path):
        """A program together with the libraries it needs."""
        self.copy(source, path)
        for library in libraries_of(source):
            self.copy(library, library)

    def image(self, of_kernel, path):
        """Writes the initramfs."""
        with tempfile.TemporaryDirectory() as root:
            for name, (data, mode) in self.files.items():
                put(root, name, data, mode)
            there = []
            for name in MODULES:
                data = of_kernel.module(name)
                if data:
                    put(root, f'/modules/{name}.ko', data, 0o644)
                    there.append(name)
            put(root, '/modules/order', ' '.join(there).encode(), 0o644)
            with open(path, 'wb') as out:
                names = run('find', '.', '-mindepth', '1', cwd=root, capture_output=True).stdout
                archive = subprocess.run(['cpio', '-o', '-H', 'newc', '--quiet', '-R', '0:0'], cwd=root,
                                         input=names, capture_output=True, check=True).stdout
                subprocess.run(['gzip', '-1'], input=archive, stdout=out, check=True)


def put(root, name, data, mode):
    path = root + name
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, 'wb') as f:
        f.write(data)
    os.chmod(path, mode)


class Outcome:
    """status: what /guest returned, or None if the guest never came to its end. files: what was in /out."""

    def __init__(self, status, files, console):
        self.status, self.files, self.console = status, files, console

    def text(self, name):
        return self.files.get(name, b'').decode('utf-8', 'replace')


def qemu(seconds, *arguments):
    """Runs a machine to its end; returns what it printed on its console."""
    command = ['qemu-system-x86_64', '-accel', 'tcg,thread=multi', '-cpu', 'max', '-smp', '2', '-display', 'none',
               '-monitor', 'none', '-nodefaults', '-no-reboot', '-serial', 'stdio', *arguments]
    try:
        console = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                 stderr=subprocess.STDOUT, check=False, timeout=seconds).stdout
    except subprocess.TimeoutExpired as e:
        console = (e.stdout or b'') + f'\nstopped after {seconds} s\n'.encode()
    return console.decode('utf-8', 'replace')


def boot(of_kernel, guest, seconds=300, memory=1536, append='', system=None, drive=None):
    """Boots to the end. system: image of the second disk; without one it is an empty ext4. drive: how QEMU is to make
    that disk instead."""
    with tempfile.TemporaryDirectory(prefix='konseki-vm.', dir='/var/tmp') as scratch:
        initrd, back, disk = (os.path.join(scratch, name) for name in ('initrd', 'back', 'disk'))
        guest.image(of_kernel, initrd)
        empty_file(back, 256)
        if not system and not drive:
            empty_file(disk, 512)
            run('mke2fs', '-q', '-t', 'ext4', disk)
        console = qemu(seconds, '-m', str(memory), '-kernel', of_kernel.image, '-initrd', initrd, '-append',
                       f'console=ttyS0 quiet panic=-1 {append}',
                       '-drive', f'file={back},if=virtio,format=raw,cache=unsafe',
                       '-drive', drive or f'file={system or disk},if=virtio,format=raw,cache=unsafe')
        files = read_archive(back)
        return Outcome(int(files['status']) if 'status' in files else None, files, console)


def empty_file(path, mebibytes):
    with open(path, 'wb') as f:
        f.truncate(mebibytes << 20)


def read_archive(path):
    """The guest's archive. A guest that never wrote it left zeros, which tar reads as an empty one."""
    files = {}
    with tarfile.open(path, 'r:') as archive:
        for member in archive:
            if member.isfile():
                files[member.name.removeprefix('./')] = archive.extractfile(member).read()
    return files


def main(arguments):
    if arguments[:1] == ['fetch']:
        for name in arguments[1:] or KERNELS:
            print(name, os.path.basename(kernel(name).image))
        return 0
    if len(arguments) == 2 and arguments[0] == 'boot':
        outcome = boot(kernel(arguments[1]), Guest('uname -a; grep -c . /proc/modules; mount; ls /sys/kernel/btf'))
        print(outcome.text('guest.txt'), end='')
        print('1..1')
        print('ok 1' if outcome.status == 0 else 'not ok 1', f'- kernel {arguments[1]} boots')
        if outcome.status != 0:
            print(outcome.console)
        return 0 if outcome.status == 0 else 1
    print(__doc__, file=sys.stderr)
    return 2


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
