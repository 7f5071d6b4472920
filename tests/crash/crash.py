#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Power cuts at the block layer. In a virtual machine a sealed log is written onto ext4, by writers that end in order, are
left or killed, while QEMU records every write and flush of the disk (blklogwrites). Then the recording is played back up to
one point after the other, the file system mounted as after a power cut, and the log judged: well for the verifier before
and after the next start, readable, no acknowledged record gone. At every other point the writes since the latest flush
reached the disk in part only. Prints TAP.

    crash.py [POINTS [COMMITS]]      how many points, evenly spread (0: every one); how much is written
"""
import ctypes
import fcntl
import mmap
import os
import random
import struct
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
WRITER = os.path.join(os.path.abspath(os.environ.get('KONSEKI_BUILD', os.path.join(ROOT, 'build'))), 'tests', 'crash',
                      'crash_writer')
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(ROOT, 'tests', 'vm'))
import vm  # noqa: E402

MIB = 1 << 20
FILE_SYSTEM, NOTE, DISK = 16 * MIB, 18 * MIB, 20 * MIB  # bytes of it; where acknowledgements are noted; of all
SECTOR = 512

# The recording: a sector of header, then for each entry a sector of its own and its data.
MAGIC = 0x6a736677736872
FLUSH, FUA, DISCARD = 1, 2, 4

LOOP_CTL_GET_FREE, LOOP_CONFIGURE, LO_FLAGS_AUTOCLEAR = 0x4c82, 0x4c0a, 4
CLONE_NEWNS, MS_REC, MS_PRIVATE = 0x20000, 0x4000, 1 << 18
libc = ctypes.CDLL(None, use_errno=True)


def call(function, *arguments):
    if getattr(libc, function)(*arguments) != 0:
        raise OSError(ctypes.get_errno(), function)


def record(folder, commits):
    """The disk as it was at first, and the recording."""
    disk, writes, before = (os.path.join(folder, name) for name in ('disk', 'writes', 'before'))
    for path, size in ((disk, DISK), (writes, MIB)):
        with open(path, 'wb') as f:
            f.truncate(size)
    vm.run('mke2fs', '-q', '-t', 'ext4', '-b', '4096', '-J', 'size=4', disk, f'{FILE_SYSTEM >> 10}k')
    vm.run('cp', '--sparse=always', disk, before)
    guest = vm.Guest(f'/crash_writer write /work /dev/vdb {NOTE} {commits}; sync')
    guest.copy_program(WRITER, '/crash_writer')
    outcome = vm.boot(vm.kernel('6.1'), guest, seconds=900, drive=(
        'if=virtio,driver=blklogwrites,cache=writeback,file.driver=raw,file.file.driver=file,'
        f'file.file.filename={disk},file.file.cache.no-flush=on,log.driver=file,log.filename={writes},'
        'log.cache.no-flush=on'))
    assert outcome.status == 0, f'{outcome.text("guest.txt")}\n{outcome.console[-3000:]}'
    return before, writes


def entries(path):
    """(offset, bytes, flags) of each write and flush."""
    with open(path, 'rb') as f:
        whole = mmap.mmap(f.fileno(), 0, prot=mmap.PROT_READ)
    magic, version, _, sector_size = struct.unpack_from('<QQQI', whole, 0)
    assert magic == MAGIC and version == 1 and sector_size == SECTOR, 'no recording'
    at = SECTOR
    while at + SECTOR <= len(whole):
        sector, sectors, flags, _ = struct.unpack_from('<QQQQ', whole, at)
        if (sector, sectors, flags) == (0, 0, 0):
            return  # what the recording did not come to
        at += SECTOR
        length = 0 if flags & DISCARD else sectors * SECTOR
        yield sector * SECTOR, whole[at:at + length], flags
        at += length


class Disk:
    """What is surely on the disk, and what was written since the latest flush."""

    def __init__(self, before, folder):
        with open(before, 'rb') as f:
            self.flushed = bytearray(f.read())
        self.path = os.path.join(folder, 'cut')
        with open(self.path, 'w+b') as f:
            f.truncate(DISK)
            self.cut = mmap.mmap(f.fileno(), DISK)
        self.pending = []

    def take(self, entry):
        at, data, flags = entry
        if flags & FLUSH:
            for old_at, old_data, _ in self.pending:
                self.flushed[old_at:old_at + len(old_data)] = old_data
            self.pending.clear()
        if data:
            self.pending.append((at, data, flags))

    def cut_power(self, partly):
        """The image as it is found afterwards; which record it says was acknowledged."""
        self.cut[:] = bytes(self.flushed)
        for at, data, flags in self.pending:
            if not partly or flags & FUA or random.random() < 0.5:
                self.cut[at:at + len(data)] = data
        return struct.unpack_from('<Q', self.cut, NOTE)[0]


def loop_device(path):
    """A loop device that goes when nobody uses it any more: a descriptor, and its path."""
    control = os.open('/dev/loop-control', os.O_RDWR | os.O_CLOEXEC)
    file = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        while True:
            device = f'/dev/loop{fcntl.ioctl(control, LOOP_CTL_GET_FREE)}'
            loop = os.open(device, os.O_RDWR | os.O_CLOEXEC)
            # struct loop_config: descriptor, block size, struct loop_info64, reserved
            config = bytearray(struct.pack('<II', file, 0) + bytes(232) + bytes(64))
            struct.pack_into('<Q', config, 8 + 32, FILE_SYSTEM)
            struct.pack_into('<I', config, 8 + 52, LO_FLAGS_AUTOCLEAR)
            try:
                fcntl.ioctl(loop, LOOP_CONFIGURE, bytes(config))
                return loop, device
            except OSError:  # somebody else was faster
                os.close(loop)
    finally:
        os.close(control)
        os.close(file)


class Judge:
    """crash_writer, asked about one mounted disk after the other."""

    def __init__(self, folder):
        self.place = os.path.join(folder, 'mounted')
        os.mkdir(self.place)
        self.process = subprocess.Popen([WRITER, 'check'], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def judge(self, path, acknowledged):
        loop, device = loop_device(path)
        try:
            call('mount', device.encode(), self.place.encode(), b'ext4', 0, None)
        finally:
            os.close(loop)
        try:
            self.process.stdin.write(f'{self.place} {acknowledged}\n')
            self.process.stdin.flush()
            return self.process.stdout.readline().strip() or 'the judge died'
        finally:
            if libc.umount2(self.place.encode(), 0) != 0:
                libc.umount2(self.place.encode(), 2)

    def end(self):
        self.process.stdin.close()
        self.process.wait()


def play_back(before, recording, points, folder):
    """How many points were tried, and the first that is not well."""
    disk, judge = Disk(before, folder), Judge(folder)
    wanted = {len(recording) * (i + 1) // points for i in range(points)} if points else None
    tried = highest = 0
    try:
        for number, entry in enumerate(recording, 1):
            disk.take(entry)
            if wanted is not None and number not in wanted:
                continue
            acknowledged = disk.cut_power(tried % 2 == 1)
            answer = judge.judge(disk.path, acknowledged)
            tried += 1
            highest = max(highest, acknowledged)
            if answer != 'well':
                return tried, highest, f'point {number}: {answer} (record {acknowledged} was acknowledged)'
    finally:
        judge.end()
    return tried, highest, None


def main(arguments):
    points, commits = (list(map(int, arguments)) + [150, 60][len(arguments):])[:2]
    call('unshare', CLONE_NEWNS)
    call('mount', None, b'/', None, MS_REC | MS_PRIVATE, None)
    random.seed(1)
    print('1..1')
    with tempfile.TemporaryDirectory(prefix='konseki-crash.', dir='/dev/shm') as folder:
        before, writes = record(folder, commits)
        recording = list(entries(writes))
        tried, highest, why = play_back(before, recording, points, folder)
    well = not why and tried > 10 and highest > 100
    print('ok 1' if well else 'not ok 1', f'- {tried} power cuts in {len(recording)} writes and flushes: no file '
          f'unreadable, none of {highest} acknowledged records lost')
    if not well:
        print('#', why or 'too little was written')
    return 0 if well else 1


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
