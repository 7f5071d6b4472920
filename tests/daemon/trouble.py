#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""When things go wrong: each of them really done to a running konseki. Prints TAP.

    trouble.py [TEST...]    only these
"""
import contextlib
import hashlib
import os
import pwd
import re
import resource
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import uuid

sys.dont_write_bytecode = True
import harness
from harness import KONSEKI, LONG, Log, Run, alive, eventually, links, links_of, must, run

RULES = '''<Sysmon schemaversion="4.90">
  <EventFiltering>
    <ProcessCreate onmatch="include">
      <Image condition="end with">{wanted}</Image>
    </ProcessCreate>
  </EventFiltering>
</Sysmon>
'''
TESTS = []


def test(function):
    """Every other function here helps one."""
    TESTS.append(function)
    return function


def program(folder, name='marked'):
    """A program whose name is this test's alone."""
    path = os.path.join(folder, name)
    shutil.copy('/bin/true', path)
    return path


def write(path, text):
    with open(path, 'w', encoding='utf-8') as f:
        f.write(text)
    return path


def execute(path, count, first=0):
    """Runs it count times with a number each; the command lines."""
    for i in range(first, first + count):
        subprocess.run([path, str(i)], check=True)
    return [f'{path} {i}' for i in range(first, first + count)]


def fill(path):
    """Writes until the disk is full."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT)
    try:
        while True:
            os.write(fd, bytes(4096))
    except OSError:
        os.close(fd)


def refused(status, pattern, *words, **options):
    done = run(*words, **options)
    said = done.stdout + done.stderr
    assert done.returncode == status, f'{done.returncode}: {said}'
    assert re.search(pattern, said), said


# --- what cannot start says why and what to do

@test
def without_root_it_says_so(folder):
    os.chmod(folder, 0o777)
    nobody = ('setpriv', '--reuid', '65534', '--regid', '65534', '--clear-groups')
    for words in (('run',), ('status',), ('-c',), ('-accepteula', '-i'), ('-u',)):
        refused(228, 'root', *nobody, KONSEKI, *words, cwd=folder)


@test
def a_kernel_without_type_information_is_named(folder):
    empty = write(os.path.join(folder, 'empty'), '')
    refused(1, 'BTF', 'unshare', '-m', 'sh', '-c',
            f'mount --bind {empty} /sys/kernel/btf/vmlinux && exec "$0" run', KONSEKI, cwd=folder)


@test
def bpf_that_is_refused_is_named(folder):
    refused(1, r'CAP_BPF|BPF', 'setpriv', '--bounding-set', '-bpf,-sys_admin,-perfmon', '--inh-caps', '-all',
            KONSEKI, 'run', cwd=folder)


@test
def a_log_that_cannot_be_written_is_named(folder):
    read_only = os.path.join(folder, 'read-only')
    os.mkdir(read_only)
    must('mount', '-t', 'tmpfs', '-o', 'ro', 'tmpfs', read_only)
    try:
        refused(1, read_only + '.*Read-only', KONSEKI, 'run', '--log', read_only + '/log.evtx', cwd=folder)
    finally:
        must('umount', read_only)
    refused(1, 'missing/log.evtx.*No such', KONSEKI, 'run', '--log', folder + '/missing/log.evtx', cwd=folder)
    os.mkfifo(folder + '/pipe')
    refused(1, 'no regular file', KONSEKI, 'run', '--log', folder + '/pipe', cwd=folder)


@test
def a_log_that_is_something_else_is_not_overwritten(folder):
    letter = write(folder + '/letter.txt', 'not an event log\n' * 1000)
    refused(1, 'letter.txt.*no event log', KONSEKI, 'run', '--log', letter, cwd=folder)
    with open(letter, encoding='utf-8') as f:
        assert f.read() == 'not an event log\n' * 1000


@test
def a_configuration_that_is_missing_is_named(folder):
    refused(87, 'nowhere.xml.*No such file', KONSEKI, 'run', '-c', 'nowhere.xml', cwd=folder)


@test
def a_configuration_that_is_wrong_is_refused_with_its_place(folder):
    wrong = write(folder + '/wrong.xml', RULES.format(wanted='x').replace('end with', 'ends'))
    refused(87, r'wrong.xml:4:\d+:.*ends', KONSEKI, 'run', '-c', wrong, cwd=folder)


@test
def a_second_one_says_which_is_running(folder):
    first = Run(folder)
    try:
        refused(1, f'already running as process {first.pid}', KONSEKI, 'run', '--log', folder + '/other.evtx')
        refused(1, f'process {first.pid}', KONSEKI, '-accepteula', '-i')
        first.stop()
    finally:
        first.close()


# --- stopping

@test
def a_stop_leaves_nothing_attached(folder):
    konseki = Run(folder)
    try:
        ours = links_of([konseki.pid])
        assert len(ours) > 1, 'the supervisor holds no hooks'
        assert links_of([konseki.engine]) == set(), 'the engine holds hooks'
        assert ours <= links()
        konseki.stop()
        assert not ours & links(), 'hooks are still attached'
        assert konseki.log.is_clean()
        assert konseki.log.states() == ['Started', 'Stopped']
        refused(1, 'not running', KONSEKI, 'status')
        refused(87, 'not running|not installed', KONSEKI, '-c')
    finally:
        konseki.close()


@test
def sigterm_and_the_terminals_end_stop_it_too(folder):
    for number in (signal.SIGTERM, signal.SIGHUP):
        konseki = Run(folder)
        try:
            konseki.process.send_signal(number)
            assert konseki.process.wait(LONG) == 0
            assert konseki.log.is_clean()
        finally:
            konseki.close()


# --- deaths

@test
def an_engine_that_is_killed_is_replaced_and_nothing_is_lost(folder):
    marked = program(folder)
    konseki = Run(folder)
    try:
        before = links_of([konseki.pid])
        expected = execute(marked, 50)
        os.kill(konseki.engine, signal.SIGSTOP)  # what happens now waits in the ring
        expected += execute(marked, 200, 50)
        os.kill(konseki.engine, signal.SIGKILL)
        expected += execute(marked, 50, 250)
        konseki.wait_for_restart(1)
        assert links_of([konseki.pid]) == before, 'hooks were attached anew'
        expected += execute(marked, 20, 300)
        tally = konseki.stop()
        assert konseki.log.executed(marked) == expected
        assert any('engine was killed by signal 9' in text for text in konseki.log.reports())
        assert konseki.log.states() == ['Started', 'Stopped']
        assert konseki.log.is_clean()
        assert tally[1][3] == 0, 'processes were lost'
    finally:
        konseki.close()


@test
def a_monitor_that_is_killed_is_replaced_and_nothing_is_lost(folder):
    marked = program(folder)
    konseki = Run(folder)
    try:
        before = links_of([konseki.pid])
        expected = execute(marked, 50)
        os.kill(konseki.monitor, signal.SIGKILL)
        expected += execute(marked, 50, 50)
        konseki.wait_for_restart(1)
        assert links_of([konseki.pid]) == before, 'hooks were attached anew'
        # The new one answers: rules, files by number.
        rules = write(folder + '/rules.xml', RULES.format(wanted='/marked'))
        must(KONSEKI, '-c', rules)
        assert '/marked' in must(KONSEKI, '-c').stdout
        expected += execute(marked, 50, 100)
        konseki.stop()
        assert konseki.log.executed(marked) == expected
        assert any('monitor was killed by signal 9' in text for text in konseki.log.reports())
        assert konseki.log.is_clean()
    finally:
        konseki.close()


@test
def both_killed_at_once_are_replaced(folder):
    marked = program(folder)
    konseki = Run(folder)
    try:
        expected = execute(marked, 20)
        os.kill(konseki.engine, signal.SIGKILL)
        os.kill(konseki.monitor, signal.SIGKILL)
        expected += execute(marked, 20, 20)
        konseki.wait_for_restart(2)
        expected += execute(marked, 20, 40)
        konseki.stop()
        assert konseki.log.executed(marked) == expected
        assert any('engine was killed' in text for text in konseki.log.reports())
    finally:
        konseki.close()


@test
def without_a_supervisor_the_others_end_in_order(folder):
    marked = program(folder)
    konseki = Run(folder)
    try:
        ours = links_of([konseki.pid])
        expected = execute(marked, 20)
        konseki.process.kill()
        konseki.process.wait()
        eventually(lambda: not any(map(alive, konseki.pids)), 'the end of engine and monitor')
        assert not ours & links(), 'hooks are still attached'
        assert konseki.log.is_clean()
        assert konseki.log.executed(marked) == expected
        assert konseki.log.states() == ['Started', 'Stopped']
    finally:
        konseki.close()


@test
def killed_altogether_it_tells_the_gap_at_the_next_start(folder):
    marked = program(folder)
    konseki = Run(folder)
    try:
        ours = links_of([konseki.pid])
        expected = execute(marked, 20)
        eventually(lambda: konseki.log.executed(marked) == expected, 'the events in the file')
        for pid in (konseki.pid, konseki.monitor):  # so that none of them sees the other one die
            os.kill(pid, signal.SIGSTOP)
        for pid in (konseki.engine, konseki.monitor, konseki.pid):
            os.kill(pid, signal.SIGKILL)
        konseki.process.wait()
        eventually(lambda: not any(map(alive, konseki.pids)), 'their end')
        assert not ours & links(), 'hooks are still attached'
        assert not konseki.log.is_clean()
    finally:
        konseki.close()
    again = Run(folder)
    try:
        again.stop()
        assert again.log.executed(marked) == expected, 'the log is not whole'
        assert any('not watching from' in text for text in again.log.reports())
        ids = [e['System']['EventRecordID'] for e in again.log.events()]
        assert ids == list(range(1, len(ids) + 1))
    finally:
        again.close()


# --- silence

@test
def an_engine_that_is_stopped_under_load_is_replaced_and_what_is_lost_is_declared(folder):
    marked = program(folder)
    konseki = Run(folder)
    try:
        os.kill(konseki.engine, signal.SIGSTOP)
        expected = execute(marked, 3000)
        konseki.wait_for_restart(1)
        expected += execute(marked, 10, 3000)
        tally = konseki.stop()
        logged = konseki.log.executed(marked)
        if tally[1][3] == 0:
            assert logged == expected
        else:
            assert any('ProcessCreate:' in text for text in konseki.log.reports())
        assert any('engine was killed by signal 9' in text for text in konseki.log.reports())
    finally:
        konseki.close()


@test
def a_monitor_that_is_stopped_is_replaced(folder):
    marked = program(folder)
    konseki = Run(folder)
    try:
        os.kill(konseki.monitor, signal.SIGSTOP)
        expected = execute(marked, 100)
        konseki.wait_for_restart(1)
        konseki.stop()
        assert konseki.log.executed(marked) == expected
    finally:
        konseki.close()


@test
def a_supervisor_that_is_stopped_holds_nobody_up(folder):
    marked = program(folder)
    konseki = Run(folder)
    try:
        os.kill(konseki.pid, signal.SIGSTOP)
        expected = execute(marked, 100)
        eventually(lambda: konseki.log.executed(marked) == expected, 'the events in the file')
        os.kill(konseki.pid, signal.SIGCONT)
        konseki.stop()
    finally:
        konseki.close()


@test
def a_terminal_that_nobody_reads_holds_nobody_up(folder):
    marked = program(folder)
    konseki = Run(folder)
    konseki.stop()
    konseki.close()
    read, write_end = os.pipe()
    shown = subprocess.Popen([KONSEKI, 'run', '--json', '--log', konseki.log.path], stdout=write_end,
                             stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
    os.close(write_end)
    try:
        eventually(lambda: len(Log(konseki.log.path).states()) == 3, 'the second start')
        expected = execute(marked, 500)  # far more than a pipe holds
        eventually(lambda: konseki.log.executed(marked) == expected, 'the events in the file')
        shown.send_signal(signal.SIGINT)
        assert shown.wait(LONG) == 0
        assert konseki.log.is_clean()
    finally:
        os.close(read)
        if shown.poll() is None:
            shown.kill()
            shown.wait()


# --- the disk

@contextlib.contextmanager
def small_file_system(folder, size):
    place = os.path.join(folder, 'small')
    os.mkdir(place)
    must('mount', '-t', 'tmpfs', '-o', f'size={size}', 'tmpfs', place)
    try:
        yield place
    finally:
        must('umount', '-l', place)


@contextlib.contextmanager
def sealed_log_on_small_disk(folder):
    with small_file_system(folder, '3m') as small, \
         contextlib.closing(Run(folder, '--seal', log=small + '/log.evtx')) as konseki:
        yield small, konseki


@test
def a_full_disk_is_survived_and_what_is_lost_is_declared(folder):
    marked = program(folder)
    with sealed_log_on_small_disk(folder) as (small, konseki):
        fill(small + '/ballast')
        expected = execute(marked, 700)
        eventually(lambda: any('The disk is full' in e['EventData']['Description'] for e in konseki.log.events(255)),
                   'the log tells that it cannot grow')
        expected += execute(marked, 1800, 700)
        assert alive(konseki.engine)
        os.unlink(small + '/ballast')
        expected += execute(marked, 20, 2500)
        eventually(lambda: expected[-1] in konseki.log.executed(marked), 'an event after the disk has room again')
        tally = konseki.stop()
        # A log that cannot grow gives up its oldest events for the newest, as one that has its full size.
        logged = konseki.log.executed(marked)
        assert tally[1][3] or logged == expected[-len(logged):], 'a hole that nothing tells of'
        ids = [e['System']['EventRecordID'] for e in konseki.log.events()]
        assert ids == list(range(ids[0], ids[0] + len(ids)))
        assert konseki.log.is_clean()
        done = sealed(konseki)
        assert done.returncode == 0, done.stdout


class Ext4:
    """A file system of its own, whose disk is a sparse file on a tmpfs of this size."""

    def __init__(self, folder, size, *options, mount=()):
        self.beneath, self.place = os.path.join(folder, 'beneath'), os.path.join(folder, 'place')
        os.mkdir(self.beneath)
        os.mkdir(self.place)
        must('mount', '-t', 'tmpfs', '-o', f'size={size}', 'tmpfs', self.beneath)
        self.image = self.beneath + '/image'
        os.truncate(write(self.image, ''), 64 << 20)
        must('mke2fs', '-q', '-t', 'ext4', '-E', 'lazy_itable_init=0,lazy_journal_init=0', *options, self.image)
        self.options = ','.join(('loop', 'errors=remount-ro', *mount))
        self.mount()

    def mount(self):
        must('mount', '-o', self.options, self.image, self.place)
        # A page at a time: a loop device calls a request done of which only the beginning could be written.
        write(f'/sys/block/{self.device()}/queue/max_sectors_kb', '4')

    def device(self):
        return os.path.basename(must('findmnt', '-no', 'SOURCE', self.place).stdout.split()[-1])

    def close(self):
        while run('umount', '-l', self.place).returncode == 0:
            pass
        run('umount', '-l', self.beneath)


@test
def what_a_disk_did_not_take_is_written_when_it_does(folder):
    """Thin storage that has run out: what was written into the cache does not come to the disk, and the kernel forgets it."""
    marked = program(folder)
    disk = Ext4(folder, '10m', '-O', '^has_journal')
    log = disk.place + '/log.evtx'
    konseki = None
    try:
        # So large that the file system's own blocks need not change, and nothing of it on the disk.
        with open(log, 'wb') as f:
            f.write(bytes(4096 + 16 * 65536))
        must('sync', '-f', disk.place)
        must('fallocate', '--dig-holes', disk.image)
        konseki = Run(folder, '-c', write(folder + '/rules.xml', RULES.format(wanted='/marked')), log=log)
        expected = execute(marked, 20)
        eventually(lambda: konseki.log.executed(marked) == expected, 'the events')
        fill(disk.beneath + '/ballast')
        while not konseki.said('cannot be written'):
            expected += execute(marked, 5, len(expected))
        expected += execute(marked, 100, len(expected))
        os.unlink(disk.beneath + '/ballast')
        told(konseki, 'could not be written between .*(Input/output error|No space)')
        expected += execute(marked, 20, len(expected))
        konseki.stop()
        must('umount', disk.place)  # with all that is only in the cache
        disk.mount()
        assert konseki.log.executed(marked) == expected
    finally:
        if konseki:
            konseki.close()
        disk.close()


@test
def a_file_system_that_turned_read_only_is_left_for_one_that_takes_its_place(folder):
    marked = program(folder)
    disk = Ext4(folder, '40m')
    konseki = None
    try:
        konseki = Run(folder, '--seal', log=disk.place + '/log.evtx')
        expected = execute(marked, 20)
        eventually(lambda: konseki.log.executed(marked) == expected, 'the events')
        time.sleep(2)  # what is in the file is on the disk a second later, and only that will be found
        with open(f'/sys/fs/ext4/{disk.device()}/trigger_fs_error', 'w', encoding='ascii') as f:
            f.write('test')
        eventually(lambda: konseki.said('cannot be written: Read-only'), 'that it is noticed')
        execute(marked, 20, 20)
        must('umount', '-l', disk.place)
        must('cp', '--sparse=always', disk.image, disk.image + '2')  # the first is in use until its last file is closed
        disk.image += '2'
        disk.mount()
        told(konseki, 'goes on in the file that has its name')
        told(konseki, 'could not be written between .*Read-only')
        assert any(re.search(r'Records \d+ to \d+ could not be written and are lost', text)
                   for text in konseki.log.reports()), konseki.log.reports()
        after = execute(marked, 20, 40)
        eventually(lambda: konseki.log.executed(marked)[-20:] == after, 'the events after it')
        konseki.stop()
        assert konseki.log.executed(marked)[:20] == expected
        assert konseki.log.is_clean()
        done = sealed(konseki)
        assert done.returncode == 0, done.stdout
    finally:
        if konseki:
            konseki.close()
        disk.close()


@test
def a_limit_on_the_size_of_files_is_as_a_full_disk(folder):
    marked = program(folder)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1200000, before[1]))
    try:
        konseki = Run(folder, '--seal', '-c', write(folder + '/rules.xml', RULES.format(wanted='/marked')))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    try:
        expected = execute(marked, 900)
        eventually(lambda: any('The disk is full' in text for text in konseki.log.reports()), 'that it cannot grow')
        eventually(lambda: konseki.log.executed(marked)[-1:] == expected[-1:], 'the newest event')
        assert os.path.getsize(konseki.log.path) <= 1200000 and konseki.status()['restarts'] == 0
        konseki.stop()
        assert sealed(konseki).returncode == 0
    finally:
        konseki.close()


def told(konseki, pattern):
    """An event 255 and a line for the system journal say so."""
    eventually(lambda: re.search(pattern, konseki.said_all()), pattern)
    eventually(lambda: os.path.exists(konseki.log.path), konseki.log.path)
    eventually(lambda: any(re.search(pattern, text) for text in konseki.log.reports()), pattern)


@test
def a_log_that_is_deleted_begins_anew_and_says_so(folder):
    marked = program(folder)
    konseki = Run(folder, '--seal')
    try:
        execute(marked, 20)
        eventually(lambda: len(konseki.log.executed(marked)) == 20, 'the events')
        before = konseki.log.events()[-1]['System']['EventRecordID']
        for path in (konseki.log.path, konseki.log.path + '.seal'):
            os.unlink(path)
        eventually(lambda: os.path.exists(konseki.log.path), 'another file')
        told(konseki, 'was deleted')
        expected = execute(marked, 20, 20)
        eventually(lambda: konseki.log.executed(marked)[-20:] == expected, 'the events after it')
        konseki.stop()
        assert konseki.log.events()[0]['System']['EventRecordID'] > before
        assert konseki.log.is_clean()
        done = sealed(konseki)
        assert done.returncode == 0 and 'belong to earlier files' in done.stdout, done.stdout
    finally:
        konseki.close()


@test
def a_log_whose_folder_is_deleted_goes_on_when_there_is_one_again(folder):
    marked = program(folder)
    place = os.path.join(folder, 'place')
    os.mkdir(place)
    konseki = Run(folder, '--seal', log=place + '/log.evtx')
    try:
        execute(marked, 20)
        eventually(lambda: len(konseki.log.executed(marked)) == 20, 'the events')
        before = konseki.log.events()[-1]['System']['EventRecordID']
        shutil.rmtree(place)
        eventually(lambda: konseki.said('no new file for the log'), 'that it is missed')
        os.mkdir(place)
        told(konseki, 'was deleted')
        expected = execute(marked, 20, 20)
        eventually(lambda: konseki.log.executed(marked)[-20:] == expected, 'the events after it')
        konseki.stop()
        assert konseki.log.events()[0]['System']['EventRecordID'] > before
        done = sealed(konseki)
        assert done.returncode == 0 and 'belong to earlier files' in done.stdout, done.stdout
    finally:
        konseki.close()


@test
def a_log_that_is_cut_or_written_into_is_mended_and_says_so(folder):
    marked = program(folder)
    konseki = Run(folder, '--seal')
    try:
        execute(marked, 100)
        eventually(lambda: len(konseki.log.executed(marked)) == 100, 'the events')
        os.truncate(konseki.log.path, 4096 + 65536)
        told(konseki, 'changed by somebody else')
        expected = execute(marked, 20, 100)
        eventually(lambda: expected[-1] in konseki.log.executed(marked), 'the events after it')
        done = sealed(konseki)
        assert done.returncode == 1 and 'are missing' in done.stdout, done.stdout
        with open(konseki.log.path, 'r+b') as f:
            f.write(b'anything')
        eventually(lambda: konseki.said_all().count('changed by somebody else') == 2, 'that it was seen')
        expected += execute(marked, 20, 120)
        konseki.stop()
        assert konseki.log.executed(marked)[-40:] == expected
        assert konseki.log.is_clean()
    finally:
        konseki.close()


@test
def a_log_that_is_moved_or_covered_goes_on_and_says_so(folder):
    marked = program(folder)
    place = os.path.join(folder, 'place')
    os.mkdir(place)
    konseki = Run(folder, log=place + '/log.evtx')
    try:
        os.rename(place, place + '2')
        os.symlink('/tmp', place)
        konseki.log.path = place + '2/log.evtx'
        told(konseki, 'moved or covered.*place2')
        expected = execute(marked, 20)
        eventually(lambda: konseki.log.executed(marked) == expected, 'the events')
        os.unlink(place)
        os.rename(place + '2', place)
        konseki.log.path = place + '/log.evtx'
        told(konseki, 'at its place again')
        must('mount', '-t', 'tmpfs', 'tmpfs', place)
        expected += execute(marked, 20, 20)
        eventually(lambda: konseki.said_all().count('moved or covered') == 2, 'that it was seen')
        must('umount', place)
        konseki.stop()
        assert konseki.log.executed(marked) == expected
    finally:
        run('umount', place)
        konseki.close()


@test
def the_size_changes_without_loss_and_a_short_log_says_so(folder):
    marked = program(folder)
    konseki = Run(folder, '--seal')
    try:
        refused(87, 'no size', KONSEKI, 'log', 'set-size', '1K')
        must(KONSEKI, 'log', 'set-size', '1M')
        expected = execute(marked, 600)
        eventually(lambda: konseki.status()['log']['overwrites'], 'the end of the ring')
        # In the log it is overwritten soon, on a machine where much happens.
        eventually(lambda: konseki.said('covers only'), 'that it covers too little')
        assert os.path.getsize(konseki.log.path) <= 1 << 20
        assert sealed(konseki).returncode == 0, sealed(konseki).stdout
        must(KONSEKI, 'log', 'set-size', '64M')
        os.kill(konseki.engine, signal.SIGKILL)
        konseki.wait_for_restart(1)
        assert konseki.status()['log']['size_max'] == 64 << 20
        expected += execute(marked, 600, 600)
        konseki.stop()
        logged = konseki.log.executed(marked)
        assert logged == expected[-len(logged):] and len(logged) > 600, len(logged)
        assert os.path.getsize(konseki.log.path) > 1 << 20
        assert sealed(konseki).returncode == 0, sealed(konseki).stdout
    finally:
        konseki.close()


@test
def a_log_that_is_cleared_says_who_did_it_and_keeps_a_copy(folder):
    marked = program(folder)
    konseki = Run(folder, '--seal')
    try:
        before = execute(marked, 20)
        clear = subprocess.Popen([KONSEKI, 'log', 'clear'], stdout=subprocess.PIPE, text=True)
        said = clear.communicate(timeout=LONG)[0]
        assert clear.returncode == 0, said
        copy = re.search(r'kept in (.*-\d{8}T\d{6}Z\.evtx)\n', said).group(1)
        first = konseki.log.events()[0]
        assert first['System']['EventID'] == 255 and first['EventData']['ID'] == 'LOG', first
        with open('/proc/self/loginuid', encoding='ascii') as f:
            login = 'no login' if f.read() == '4294967295' else 'logged in as .*'
        last = first['System']['EventRecordID'] - 1
        assert re.fullmatch(rf'The log was cleared by root \({login}\), process {re.escape(KONSEKI)}\[{clear.pid}\], '
                            rf'ProcessGuid \S+: records up to {last} are kept in {re.escape(copy)}',
                            first['EventData']['Description']), first
        assert copy in konseki.said_all(), 'standard error does not tell'
        made = [e['EventData']['ProcessGuid'] for e in Log(copy).events(1) + konseki.log.events(1)
                if e['EventData']['ProcessId'] == clear.pid]
        assert made and made[0] in first['EventData']['Description'], made
        before += execute(marked, 20, 20)
        eventually(lambda: Log(copy).executed(marked) + konseki.log.executed(marked) == before, 'the events')
        assert Log(copy).is_clean() and Log(copy).events()[-1]['System']['EventRecordID'] == last
        done = sealed(konseki, copy, konseki.log.path)
        assert done.returncode == 0 and done.stdout.count('all is well') == 2, done.stdout
        done = sealed(konseki)
        assert done.returncode == 0 and 'belong to earlier files' in done.stdout, done.stdout
        # Without a copy, at once: its name would need another second, so it waits.
        said = must(KONSEKI, 'log', 'clear', '--no-copy').stdout
        assert said == 'The log was cleared. What it held is gone.\n', said
        assert sorted(name for name in os.listdir(folder) if '.evtx' in name) == sorted(
            os.path.basename(path) + end for path in (copy, konseki.log.path) for end in ('', '.seal'))
        assert re.search(r'records up to \d+ are deleted$', konseki.log.events()[0]['EventData']['Description'])
        done = sealed(konseki, copy, konseki.log.path)
        assert done.returncode == 1 and re.search('seals .* are missing', done.stdout), done.stdout
        konseki.stop()
    finally:
        konseki.close()
    refused(1, 'not running', KONSEKI, 'log', 'clear')


@test
def a_log_that_has_no_room_to_begin_anew_stays_as_it_is(folder):
    marked = program(folder)
    with sealed_log_on_small_disk(folder) as (small, konseki):
        before = execute(marked, 20)
        fill(small + '/ballast')
        refused(1, 'not cleared: .*No space', KONSEKI, 'log', 'clear')
        before += execute(marked, 20, 20)
        eventually(lambda: konseki.log.executed(marked) == before, 'the events')
        assert sorted(os.listdir(small)) == ['ballast', 'log.evtx', 'log.evtx.seal']
        os.unlink(small + '/ballast')
        must(KONSEKI, 'log', 'clear')
        konseki.stop()
        assert sealed(konseki).returncode == 0


# --- seals

def sealed(konseki, *logs):
    """What verifying says of a run with --seal."""
    key = re.search(r'^ +((?:[A-Z2-7]{4}-){7}[A-Z2-7]{4})$', konseki.said_all(), re.M).group(1)
    return run(KONSEKI, 'verify', '--key', key, *(logs or (konseki.log.path,)))


@test
def a_sealed_log_stays_well_whoever_is_killed(folder):
    marked = program(folder)
    konseki = Run(folder, '--seal')
    try:
        for number, who in enumerate(('engine', 'monitor', 'engine'), 1):
            expected = execute(marked, 30, 100 * number)
            os.kill(getattr(konseki, who), signal.SIGKILL)
            konseki.wait_for_restart(number)
            eventually(lambda e=expected: e[-1] in konseki.log.executed(marked), 'the events')
            done = sealed(konseki)
            assert done.returncode == 0, done.stdout
        konseki.stop()
        done = sealed(konseki)
        assert done.returncode == 0 and 'closed in order' in done.stdout, done.stdout
    finally:
        konseki.close()
    refused(87, 'begins a new log', KONSEKI, 'run', '--seal', '--log', konseki.log.path)


# --- what goes to the disk at once

def synced_at_once(trace, mark):
    """Was the write that holds these bytes synced before the engine waited for anything?"""
    calls = trace.splitlines()
    for at, call in enumerate(calls):
        if 'pwrite64(' in call and mark in call:
            after = [line.split('(')[0].split()[-1] for line in calls[at + 1:] if 'resumed' not in line]
            return 'fdatasync' in after and 'poll' not in after[:after.index('fdatasync')]
    return None


@test
def what_is_done_to_itself_and_other_critical_events_are_on_the_disk_at_once(folder):
    marked = program(folder)
    konseki = Run(folder)
    trace = os.path.join(folder, 'trace')
    tracer = subprocess.Popen(['strace', '-q', '-xx', '-s', '70000', '-e', 'trace=pwrite64,fdatasync,poll', '-o', trace,
                               '-p', str(konseki.engine)], stderr=subprocess.DEVNULL)

    def traced(mark):
        with open(trace, encoding='ascii') as f:
            return synced_at_once(f.read(), ''.join(f'\\x{byte:02x}' for byte in mark))

    try:
        eventually(lambda: os.path.exists(trace) and os.path.getsize(trace), 'strace')
        rules = write(folder + '/telling-name.xml', wrap('<ProcessTerminate onmatch="exclude"/>'))
        must(KONSEKI, '-c', rules)
        monitor = konseki.monitor
        os.kill(monitor, signal.SIGKILL)
        konseki.wait_for_restart(1)
        execute(marked, 1)
        eventually(lambda: [e for e in konseki.log.events(5) if e['EventData']['Image'] == marked], 'a stranger ended')
        changed = konseki.log.events(16)[-1]['EventData']['ConfigurationFileHash']
        assert traced(changed.encode('utf-16le')), 'event 16'
        assert traced('monitor was killed by signal 9'.encode('utf-16le')), 'event 255'
        ended = {e['EventData']['ProcessId']: e['EventData']['ProcessGuid'] for e in konseki.log.events(5)}
        assert monitor in ended, ended
        assert traced(uuid.UUID(ended[monitor]).bytes_le), 'event 5 of the monitor'
        tracer.send_signal(signal.SIGINT)
        tracer.wait(LONG)
        konseki.stop()
    finally:
        if tracer.poll() is None:
            tracer.kill()
            tracer.wait()
        konseki.close()


# --- rules and identity

@test
def rules_change_without_a_restart_and_wrong_ones_change_nothing(folder):
    wanted, unwanted = program(folder, 'wanted'), program(folder, 'unwanted')
    rules = write(folder + '/rules.xml', RULES.format(wanted='/wanted'))
    wrong = write(folder + '/wrong.xml', '<Sysmon schemaversion="4.90"><EventFiltering><X/></EventFiltering></Sysmon>')
    konseki = Run(folder)
    try:
        everything = execute(unwanted, 3)
        said = must(KONSEKI, '-c', rules).stdout
        assert 'validated' in said and 'updated' in said, said
        execute(unwanted, 3, 3)
        refused(87, r'wrong.xml:1:\d+', KONSEKI, '-c', wrong)
        expected = execute(wanted, 3)
        assert "'/wanted'" in must(KONSEKI, '-c').stdout
        assert konseki.status()['rules']['name'] == rules
        must(KONSEKI, '-c', '--')
        everything += execute(unwanted, 3, 6)  # the schema's default keeps processes
        status = konseki.status()
        assert status['engine'] == konseki.engine and status['restarts'] == 0
        konseki.stop()
        assert konseki.log.executed(wanted) == expected
        assert konseki.log.executed(unwanted) == everything, (konseki.log.executed(unwanted), everything)
        changes = [e['EventData'] for e in konseki.log.events(16)]
        assert [c['Configuration'] for c in changes][1:] == [rules, 'Defaults'], changes
        assert re.fullmatch('SHA256=[0-9A-F]{64}', changes[1]['ConfigurationFileHash']), changes
        assert not os.path.exists('/etc/konseki'), 'a run in a terminal stored its rules'
    finally:
        konseki.close()


def wrap(inside):
    return f'<Sysmon schemaversion="4.90"><EventFiltering>{inside}</EventFiltering></Sysmon>'


# What may stand where rules were expected: how it is made, and what is said of it.
HOSTILE = (
    ('nothing', lambda path: write(path, ''), 'empty|no XML document'),
    ('truncated', lambda path: write(path, RULES.format(wanted='x')[:120]), r':\d+:\d+: '),
    ('nested', lambda path: write(path, '<Sysmon schemaversion="4.90">' + '<EventFiltering>' * 1000), 'nested more than'),
    ('unknown', lambda path: write(path, '<Sysmon schemaversion="4.90" a="b"><C><D e="f">g</D></C></Sysmon>'), "'C'"),
    ('huge', lambda path: os.truncate(write(path, '<'), 100 << 20), 'too large|File too large'),
    ('directory', os.mkdir, 'Is a directory'),
    ('fifo', os.mkfifo, 'empty|no XML document'),
    ('missing', lambda path: None, 'No such file'),
    ('bytes', lambda path: shutil.copy('/bin/true', path), r':1:1: '),
)


@test
def no_file_however_hostile_disturbs_the_rules_in_force(folder):
    wanted, unwanted = program(folder, 'wanted'), program(folder, 'unwanted')
    konseki = Run(folder, '-c', write(folder + '/rules.xml', RULES.format(wanted='/wanted')))
    try:
        rules = konseki.status()['rules']
        for name, make, pattern in HOSTILE:
            path = f'{folder}/{name}.xml'
            make(path)
            refused(87, f'{name}.*({pattern})', KONSEKI, '-c', path)
            refused(87, f'{name}.*({pattern})', KONSEKI, 'check', path)
            assert konseki.status()['rules'] == rules, name
        os.chmod(folder, 0o755)
        os.chmod(folder + '/rules.xml', 0o600)
        refused(87, 'Permission denied', 'setpriv', '--reuid', '65534', '--clear-groups', KONSEKI, 'check',
                folder + '/rules.xml')
        execute(unwanted, 3)
        expected = execute(wanted, 3)
        konseki.stop()
        assert konseki.log.executed(wanted) == expected and konseki.log.executed(unwanted) == []
        assert len(konseki.log.events(16)) == 1
    finally:
        konseki.close()


@test
def a_hundred_thousand_rules_are_loaded_while_events_go_on(folder):
    marked = program(folder)
    inside = ''.join(f'<{field} condition="{condition}">/x{i}/y</{field}>' for i in range(25000) for field, condition in
                     (('Image', 'is'), ('Image', 'begin with'), ('CommandLine', 'contains'), ('User', 'is')))
    rules = write(folder + '/many.xml', wrap(f'<RuleGroup groupRelation="or"><ProcessCreate onmatch="include">{inside}'
                                             f'<Image>{marked}</Image></ProcessCreate></RuleGroup>'))
    konseki = Run(folder)
    try:
        change = subprocess.Popen([KONSEKI, '-c', rules], stdout=subprocess.DEVNULL)
        expected = []
        while change.poll() is None:
            expected += execute(marked, 20, len(expected))
        assert change.returncode == 0
        expected += execute(marked, 20, len(expected))
        konseki.stop()
        assert konseki.log.executed(marked) == expected
    finally:
        konseki.close()


@test
def a_file_that_changes_while_it_is_read_is_one_or_the_other(folder):
    texts = [RULES.format(wanted=f'/{letter * 3000}') for letter in 'ab']
    path = write(folder + '/rules.xml', texts[0])
    digests = {'SHA256=' + hashlib.sha256(text.encode()).hexdigest().upper() for text in texts}
    konseki = Run(folder)
    over = threading.Event()

    def change():
        while not over.is_set():
            for text in texts:
                write(path, text)

    changer = threading.Thread(target=change)
    changer.start()
    try:
        outcomes = [run(KONSEKI, '-c', path).returncode for _ in range(30)]
        assert set(outcomes) <= {0, 87}, outcomes
    finally:
        over.set()
        changer.join()
        konseki.stop()
        konseki.close()
    changes = [e['EventData']['ConfigurationFileHash'] for e in konseki.log.events(16)][1:]
    assert len(changes) == outcomes.count(0) and set(changes) <= digests, changes


@test
def a_living_process_keeps_its_identifier(folder):
    marked = program(folder)
    shell = subprocess.Popen(['sh'], stdin=subprocess.PIPE, text=True)
    try:
        parents = set()
        for number in range(2):
            konseki = Run(folder)
            try:
                shell.stdin.write(f'{marked} {number}\n')
                shell.stdin.flush()
                eventually(lambda n=number: f'{marked} {n}' in konseki.log.executed(marked), 'the event')
                konseki.stop()
            finally:
                konseki.close()
        for event in konseki.log.events(1):
            if event['EventData']['Image'] == marked:
                parents.add(event['EventData']['ParentProcessGuid'])
                assert event['EventData']['ParentProcessId'] == shell.pid
        assert len(parents) == 1 and '00000000-0000' not in parents.pop()
    finally:
        shell.stdin.close()
        shell.wait()


# --- who may ask

@test
def only_root_reaches_the_control_socket(folder):
    konseki = Run(folder)
    try:
        mode = os.stat('/run/konseki/control')
        assert mode.st_uid == 0 and mode.st_mode & 0o777 == 0o600, oct(mode.st_mode)
        os.chmod('/run/konseki/control', 0o777)  # though somebody lets everybody in
        refused(1, 'refused', 'setpriv', '--reuid', '65534', '--clear-groups', sys.executable, '-c', '''
import socket
s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
s.connect('/run/konseki/control')
try:
    s.send(bytes(16))
    answer = s.recv(100)
except OSError:
    answer = b''
raise SystemExit('refused' if not answer else 'answered')
''')
        konseki.stop()
    finally:
        konseki.close()


@test
def the_processes_are_what_they_should_be(folder):
    konseki = Run(folder)

    def facts(pid):
        with open(f'/proc/{pid}/status', encoding='ascii') as f:
            return dict(line.rstrip('\n').split(':\t', 1) for line in f if ':\t' in line)

    try:
        engine, monitor = facts(konseki.engine), facts(konseki.monitor)
        assert engine['Uid'].split()[0] != '0' and engine['Groups'].strip() == ''
        assert all(int(engine[c], 16) == 0 for c in ('CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb')), engine
        assert engine['NoNewPrivs'] == monitor['NoNewPrivs'] == '1'
        assert engine['Seccomp'] == monitor['Seccomp'] == '2'
        assert int(monitor['CapBnd'], 16) == 0 and bin(int(monitor['CapEff'], 16)).count('1') == 8, monitor
        assert os.readlink(f'/proc/{konseki.engine}/root') == '/run/konseki/empty'
        for name in os.listdir(f'/proc/{konseki.engine}/fd'):
            target = os.readlink(f'/proc/{konseki.engine}/fd/{name}')
            assert not re.search('bpf-prog|bpf_link|bpf-link|bpf_iter', target), target
        konseki.stop()
    finally:
        konseki.close()


@test
def its_own_doings_are_no_events(folder):
    konseki = Run(folder)
    try:
        execute(program(folder), 100)
        konseki.stop()
        paths = [e['EventData'].get('Image', '') for e in konseki.log.events(11) + konseki.log.events(26)]
        assert KONSEKI not in paths
    finally:
        konseki.close()


@test
def a_packaged_program_is_told_with_its_package(folder):
    """As dpkg has it; a copy of it belongs to nobody but keeps the name it was shipped under."""
    fields = ('FileVersion', 'Description', 'Product', 'Company', 'OriginalFileName')
    shown = must('dpkg-query', '-W', '-f', '${Version}\n${binary:Summary}\n${Package}\n${Maintainer}', 'coreutils').stdout
    rules = write(os.path.join(folder, 'rules.xml'), RULES.format(wanted='true').replace(
        '</EventFiltering>', f'<ImageLoad onmatch="include"><ImageLoaded condition="begin with">{folder}</ImageLoaded></ImageLoad>'
        '</EventFiltering>'))
    konseki = Run(folder, '-c', rules)
    try:
        def told(path):
            subprocess.run([path, 'x'], check=True)
            return eventually(lambda: [tuple(e['EventData'][f] for f in fields) for e in konseki.log.events(1)
                                       if e['EventData']['Image'] == path][-1:], f'an event of {path}')[0]

        eventually(lambda: told('/usr/bin/true')[2] != '-', 'the packages')
        assert told('/usr/bin/true') == (*shown.split('\n'), 'true'), told('/usr/bin/true')
        assert told(program(folder, 'not-true')) == ('-', '-', '-', '-', 'true')
        # A library says itself what it is, whatever it is called and whoever shipped it.
        library = os.path.join(folder, 'evil')
        shutil.copy('/lib/x86_64-linux-gnu/libm.so.6', library)
        subprocess.run([sys.executable, '-c', f'import ctypes; ctypes.CDLL("{library}")'], check=True)
        loaded, = eventually(lambda: konseki.log.events(7), 'an event of the library')
        assert [loaded['EventData'][f] for f in fields] == ['-', '-', '-', '-', 'libm.so.6'], loaded
        konseki.stop()
    finally:
        konseki.close()


@test
def a_changed_setting_is_told_by_its_name(folder):
    """Written, replaced, renamed, deleted: only what is different."""
    os.makedirs('/etc/ssh', exist_ok=True)
    os.makedirs('/etc/sysctl.d', exist_ok=True)
    config = write('/etc/ssh/sshd_config', 'Port 22\n# none\nPermitRootLogin no\n')
    other = write('/etc/sysctl.d/zz-konseki.conf', 'kernel.x = 0\n')
    secret = write('/etc/konseki-secret', 'before\n')
    os.chmod(secret, 0o600)
    rules = write(os.path.join(folder, 'rules.xml'), '<Sysmon schemaversion="4.90"><EventFiltering>'
                  '<RegistryEvent onmatch="exclude"/></EventFiltering></Sysmon>')
    konseki = Run(folder, '-c', rules)
    try:
        def told(path):
            return [(e['System']['EventID'], e['EventData']['EventType'], e['EventData']['TargetObject'],
                     e['EventData'].get('Details', e['EventData'].get('NewName')))
                    for i in (12, 13, 14) for e in konseki.log.events(i)
                    if e['EventData']['TargetObject'].startswith(path)]

        def looked():
            """The first look is over when a change is told by its name."""
            write(other, f'kernel.x = {len(told(other)) + 1}\n')
            return any(t[2].endswith('/kernel.x') for t in told(other))

        eventually(looked, 'the first look at all settings')
        write(config, 'Port 22\n# other\nPermitRootLogin yes\nX11Forwarding no\n')
        eventually(lambda: len(told(config)) >= 3, 'what was written')
        assert told(config) == [(12, 'CreateValue', f'{config}/X11Forwarding', None),
                                (13, 'SetValue', f'{config}/PermitRootLogin', 'yes'),
                                (13, 'SetValue', f'{config}/X11Forwarding', 'no')], told(config)
        replaced = write(os.path.join(folder, 'new'), 'PermitRootLogin yes\nX11Forwarding no\n')
        must('cp', replaced, f'{config}.new')
        must('mv', f'{config}.new', config)
        eventually(lambda: (12, 'DeleteValue', f'{config}/Port', None) in told(config), 'a replaced file')
        assert (14, 'RenameKey', f'{config}.new', config) in told(config), told(config)
        must('mv', config, replaced)
        eventually(lambda: (12, 'DeleteKey', config, None) in told(config), 'a file that was moved away')
        must('mv', replaced, config)
        eventually(lambda: (12, 'CreateValue', f'{config}/X11Forwarding', None) in told(config)[2:], 'a file moved here')
        write(config, 'PermitRootLogin yes\nX11UseLocalhost no\n')
        eventually(lambda: (14, 'RenameValue', f'{config}/X11Forwarding', f'{config}/X11UseLocalhost') in told(config),
                   'a setting that got another name')
        write(secret, 'after\n')
        eventually(lambda: told(secret), 'a secret')
        assert all(re.fullmatch('SHA256=[0-9A-F]{64}', t[3]) for t in told(secret) if t[0] == 13), told(secret)
        os.unlink(config)
        eventually(lambda: told(config).count((12, 'DeleteKey', config, None)) == 2, 'a deleted file')
        konseki.stop()
    finally:
        konseki.close()


@test
def a_setting_that_is_too_much_for_its_lens_is_one_value(folder):
    """So many lines that taking them apart would never end; more than is read; binary; nested; none that the lens knows. What
    is to be done later shows in each of them all the same, and a file that is well is told by its settings."""
    line = '* * * * * root /bin/zz\n'
    files = {
        'many': line.encode() + b'1 2 3 4 5 root /bin/true\n' * 10000,
        'large': line.encode() + b'#' * (100 << 20),
        'strange': line.encode() + b'{' * 200000 + b'\n',
        'torn': line.encode() + bytes(range(1, 256)) * 300,
    }
    konseki = Run(folder, '-c', write(folder + '/rules.xml', WATCHED_LATER))
    try:
        def settings(path):
            return [(e['EventData']['TargetObject'], e['EventData']['Details']) for e in konseki.log.events(13)
                    if e['EventData']['TargetObject'].startswith(path)]

        os.makedirs('/etc/cron.d', exist_ok=True)
        for name, content in files.items():
            with open(f'/etc/cron.d/zz-{name}', 'wb') as f:
                f.write(content)
        well = write('/etc/cron.d/zz-well', line)
        for name, content in files.items():
            path = f'/etc/cron.d/zz-{name}'
            eventually(lambda: settings(path), path)
            assert settings(path) == [(path, 'SHA256=' + digest_of(content[:256 << 10]))], settings(path)
            assert any(t[-1] == '/bin/zz' for t in triggers(konseki, f'{path}:1')), path
        eventually(lambda: (f'{well}/entry', '/bin/zz') in settings(well), 'a file that is well')
        konseki.stop()
    finally:
        konseki.close()
        for name in (*files, 'well'):
            os.unlink(f'/etc/cron.d/zz-{name}')


@test
def what_a_shell_reads_when_a_user_enters_is_told(folder):
    """Appended to, and replaced, also at the very end; other files beside it are nobody's business."""
    must('mount', '-t', 'tmpfs', '-o', 'mode=755', 'tmpfs', '/home')
    os.mkdir('/home/alice', 0o700)
    profile = write('/home/alice/.bashrc', 'true\n')
    other = write('/home/alice/notes', 'true\n')
    rules = write(os.path.join(folder, 'rules.xml'), '<Sysmon schemaversion="4.90"><EventFiltering>'
                  '<RegistryEvent onmatch="exclude"/></EventFiltering></Sysmon>')
    konseki = Run(folder, '-c', rules)
    try:
        def told(path):
            return [e['EventData'].get('Details', e['EventData']['EventType'])
                    for e in konseki.log.events(12) + konseki.log.events(13) if e['EventData']['TargetObject'] == path]

        with open(other, 'a', encoding='utf-8') as f:
            f.write('x\n')
        with open(profile, 'a', encoding='utf-8') as f:
            f.write('evil\n')
        eventually(lambda: len(told(profile)) == 1, 'what was appended')
        write(profile + '.new', 'worse\n')
        os.rename(profile + '.new', profile)
        eventually(lambda: len(told(profile)) == 2, 'what took its place')
        assert all(re.fullmatch('SHA256=[0-9A-F]{64}', t) for t in told(profile)), told(profile)
        assert not told(other)
        write(profile + '.new', 'worst\n')
        os.rename(profile + '.new', profile)
        konseki.stop()  # what was done directly before is told too
        assert len(told(profile)) == 3, told(profile)
    finally:
        konseki.close()
        must('umount', '/home')


@test
def what_the_machine_will_do_later_is_told(folder):
    """A crontab that is written, changed and deleted."""
    os.makedirs('/etc/cron.d', exist_ok=True)
    rules = write(os.path.join(folder, 'rules.xml'), '<Sysmon schemaversion="4.90"><EventFiltering>'
                  '<WmiEvent onmatch="exclude"/></EventFiltering></Sysmon>')
    konseki = Run(folder, '-c', rules)
    try:
        def told():
            return [tuple(list(e['EventData'].values())[3:]) for i in (19, 20, 21) for e in konseki.log.events(i)
                    if '/etc/cron.d/zz:2' in e['EventData'].values()]

        def looked():
            """The first look is over when one of two writes is told as a change to the other."""
            write('/etc/cron.d/first', f'* * * * * root /bin/{os.urandom(4).hex()}\n')
            return len(konseki.log.events(20)) >= 2

        eventually(looked, 'the first look at all settings')
        table = write('/etc/cron.d/zz', '# later\n1 2 * * * root /bin/evil  -x\n')
        eventually(lambda: len(told()) == 3, 'a new crontab')
        assert sorted(told()) == sorted([('Created', 'root', 'cron', f'{table}:2', '1 2 * * *'),
                                         ('Created', 'root', f'{table}:2', 'Command Line', '/bin/evil  -x'),
                                         ('Created', 'root', f'{table}:2', f'{table}:2')]), told()
        os.unlink(table)
        eventually(lambda: sum(t[0] == 'Deleted' for t in told()) == 3, 'a deleted crontab')
        konseki.stop()
    finally:
        konseki.close()


WATCHED_LATER = ('<Sysmon schemaversion="4.90"><EventFiltering><WmiEvent onmatch="exclude"/>'
                 '<RegistryEvent onmatch="exclude"/></EventFiltering></Sysmon>')


def triggers(konseki, *words):
    """Events 19 to 21 in which one of these words stands: number, operation and what follows the user."""
    return [(i, e['EventData']['Operation'], *list(e['EventData'].values())[5:]) for i in (19, 20, 21)
            for e in konseki.log.events(i) if any(word in str(value) for word in words for value in e['EventData'].values())]


@test
def each_place_where_something_is_to_be_done_later_is_read(folder):
    """Written into a folder that may be a new one, by root; and the same texts where nobody reads them, which are none."""
    own = os.path.join(folder, 'etc/systemd/system')
    os.makedirs(own)
    # Path, text, what must be told of it: all but the path as the reader has it.
    places = [
        ('/var/spool/cron/crontabs/zz', '0 1 * * * /bin/zz\n',
         [(19, 'Created', 'cron', '{}:1', '0 1 * * *'), (20, 'Created', '{}:1', 'Command Line', '/bin/zz'),
          (21, 'Created', '{}:1', '{}:1')]),
        ('/var/spool/cron/atjobs/a0000101c5e2f0', '#!/bin/sh\n',
         [(19, 'Created', 'at', '{}', '2026-07-22 21:04 UTC'), (20, 'Created', '{}', 'Script', '{}'), (21, 'Created', '{}', '{}')]),
        ('/etc/cron.hourly/zz', '#!/bin/sh\n',
         [(19, 'Created', 'cron', '{}', '@hourly'), (20, 'Created', '{}', 'Script', '{}'), (21, 'Created', '{}', '{}')]),
        ('/etc/udev/rules.d/99-zz.rules', 'ACTION=="add", RUN+="/bin/zz"\n',
         [(19, 'Created', 'udev', '{}:1', 'ACTION=="add"'), (20, 'Created', '{}:1', 'Command Line', '/bin/zz'),
          (21, 'Created', '{}:1', '{}:1')]),
        ('/etc/systemd/user/zz-user.timer', '[Timer]\nOnCalendar=daily\n',
         [(19, 'Created', 'systemd-user', 'zz-user.timer', 'OnCalendar=daily'),
          (21, 'Created', 'zz-user.service', 'zz-user.timer')]),
        ('/usr/local/lib/systemd/system/zz-local.service', '[Service]\nExecStart=/bin/zz\n',
         [(20, 'Created', 'zz-local.service', 'Command Line', '/bin/zz')]),
        ('/etc/systemd/system/zz-other.service.d/more.conf', '[Service]\nExecStartPost=/bin/zz\n',
         [(20, 'Created', 'zz-other.service', 'Command Line', '/bin/zz')]),
        ('/etc/xdg/autostart/zz.desktop', '[Desktop Entry]\nExec=/bin/zz\n',
         [(19, 'Created', 'autostart', '{}', 'login'), (20, 'Created', '{}', 'Command Line', '/bin/zz'), (21, 'Created', '{}', '{}')]),
        ('/usr/local/share/dbus-1/services/zz.service', '[D-BUS Service]\nName=org.zz\nExec=/bin/zz\n',
         [(19, 'Created', 'dbus', '{}', 'Name=org.zz'), (20, 'Created', '{}', 'Command Line', '/bin/zz'), (21, 'Created', '{}', '{}')]),
    ]
    must('mount', '-t', 'tmpfs', '-o', 'mode=755', 'tmpfs', '/var/spool')
    konseki = Run(folder, '-c', write(folder + '/rules.xml', WATCHED_LATER))
    try:
        for path, text, _ in places:
            write(os.path.join(own, 'zz-' + os.path.basename(path)), text)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            write(path, text)
        for path, _, expected in places:
            expected = sorted(tuple(v.format(path) if isinstance(v, str) else v for v in e) for e in expected)
            name = expected[-1][-1] if expected[-1][0] == 21 else expected[-1][2]
            told = eventually(lambda: len(t := triggers(konseki, name)) >= len(expected) and t, f'what is in {path}', 10)
            assert sorted(told) == expected, (path, told)
        assert not [t for t in triggers(konseki, 'zz-zz', 'zz-a00', 'zz-more', 'zz-99') if t[2] != 'zz-other.service']
        konseki.stop()
    finally:
        konseki.close()
        must('umount', '/var/spool')


@test
def what_is_enabled_and_disabled_is_told(folder):
    """As systemctl does it: a link among those that a target wants. One that was there before; one to a unit that lies where
    nobody watches; and one elsewhere, which is none."""
    wants = '/etc/systemd/system/timers.target.wants'
    os.makedirs(wants, exist_ok=True)
    os.symlink('/nowhere/zz-before.timer', f'{wants}/zz-before.timer')
    evil = write(os.path.join(folder, 'zz-evil.service'), '[Service]\nExecStart=/bin/evil\n')
    os.chmod(folder, 0o755)
    konseki = Run(folder, '-c', write(folder + '/rules.xml', WATCHED_LATER))
    try:
        def settings(path):
            return [tuple(e['EventData'][k] for k in ('EventType', *(('Details',) if i == 13 else ())))
                    for i in (12, 13) for e in konseki.log.events(i) if e['EventData']['TargetObject'] == path]

        write('/etc/zz-first', 'x\n')  # the first look at all settings is over when this is told as made
        eventually(lambda: settings('/etc/zz-first'), 'a first setting')
        os.symlink('/nowhere/zz-a.timer', os.path.join(folder, 'zz-elsewhere.timer'))
        must('ln', '-s', '/usr/lib/systemd/system/zz-a.timer', f'{wants}/zz-a.timer')
        os.unlink(f'{wants}/zz-before.timer')
        os.symlink(evil, '/etc/systemd/system/zz-evil.service')
        eventually(lambda: len(triggers(konseki, 'zz-')) >= 3, 'what was enabled')
        assert sorted(triggers(konseki, 'zz-')) == [
            (20, 'Created', 'zz-evil.service', 'Command Line', '/bin/evil'), (21, 'Created', 'zz-a.timer', 'timers.target'),
            (21, 'Deleted', 'zz-before.timer', 'timers.target')], triggers(konseki, 'zz-')
        assert settings(f'{wants}/zz-a.timer') == [('CreateKey',), ('SetValue', '/usr/lib/systemd/system/zz-a.timer')]
        must('ln', '-sfn', '/dev/null', f'{wants}/zz-a.timer')
        eventually(lambda: ('SetValue', '/dev/null') in settings(f'{wants}/zz-a.timer'), 'another target')
        os.unlink(f'{wants}/zz-a.timer')
        os.unlink('/etc/systemd/system/zz-evil.service')
        eventually(lambda: len([t for t in triggers(konseki, 'zz-') if t[1] == 'Deleted']) == 3, 'what was disabled')
        konseki.stop()
    finally:
        konseki.close()


@test
def what_is_to_be_done_later_for_a_user_is_told(folder):
    """Units, links and autostart in folders that he makes for them a moment before, and which only he may enter."""
    must('mount', '-t', 'tmpfs', '-o', 'mode=755', 'tmpfs', '/home')
    os.mkdir('/home/zz', 0o700)
    konseki = Run(folder, '-c', write(folder + '/rules.xml', WATCHED_LATER))
    try:
        units, autostart = '/home/zz/.config/systemd/user', '/home/zz/.config/autostart'
        os.makedirs(f'{units}/default.target.wants')
        os.makedirs(autostart)
        write(f'{units}/zz.service', '[Service]\nExecStart=/home/zz/evil\n')
        write(f'{units}/zz.timer', '[Timer]\nOnBootSec=5\n')
        os.symlink('../zz.service', f'{units}/default.target.wants/zz.service')
        write(f'{autostart}/zz.desktop', '[Desktop Entry]\nExec=/home/zz/evil\n')
        write('/home/zz/zz.service', '[Service]\nExecStart=/bin/nothing\n')
        eventually(lambda: len(triggers(konseki, 'zz')) >= 7, 'what was written')
        assert sorted(triggers(konseki, 'zz')) == sorted([
            (20, 'Created', 'zz.service', 'Command Line', '/home/zz/evil'), (19, 'Created', 'systemd-user', 'zz.timer', 'OnBootSec=5'),
            (21, 'Created', 'zz.service', 'zz.timer'), (21, 'Created', 'zz.service', 'default.target'),
            (19, 'Created', 'autostart', f'{autostart}/zz.desktop', 'login'),
            (20, 'Created', f'{autostart}/zz.desktop', 'Command Line', '/home/zz/evil'),
            (21, 'Created', f'{autostart}/zz.desktop', f'{autostart}/zz.desktop')]), triggers(konseki, 'zz')
        write(f'{units}/zz.service', '[Service]\nExecStart=/home/zz/worse\n')
        os.unlink(f'{units}/default.target.wants/zz.service')
        eventually(lambda: (20, 'Modified', 'zz.service', 'Command Line', '/home/zz/worse') in triggers(konseki, 'zz'), 'a change')
        eventually(lambda: (21, 'Deleted', 'zz.service', 'default.target') in triggers(konseki, 'zz'), 'what was disabled')
        konseki.stop()
    finally:
        konseki.close()
        must('umount', '/home')


class Archive:
    """konseki, told to keep what is deleted of one small file system."""

    RULES = ('<Sysmon schemaversion="4.90"><HashAlgorithms>SHA256</HashAlgorithms><ArchiveDirectory>kept</ArchiveDirectory>'
             '<EventFiltering><FileDelete onmatch="include"><TargetFilename condition="contains">/zz-</TargetFilename>'
             '</FileDelete></EventFiltering></Sysmon>')

    def __init__(self, folder):
        self.place = os.path.join(folder, 'place')
        self.kept = os.path.join(self.place, 'kept')
        os.mkdir(self.place)
        must('mount', '-t', 'tmpfs', '-o', 'size=100m,mode=755', 'tmpfs', self.place)
        self.konseki, self.reports = None, 0
        try:
            self.konseki = Run(folder, '-c', write(folder + '/rules.xml', self.RULES))
        except BaseException:
            self.close()
            raise

    def make(self, name, content):
        path = os.path.join(self.place, name)
        with open(path, 'wb') as f:
            f.write(content)
        return path

    def told(self, path):
        return [e['EventData'] for e in self.konseki.log.events(23) if e['EventData']['TargetFilename'] == path]

    def delete(self, path):
        """What became of it: archived, and the digest."""
        before = len(self.told(path))
        os.unlink(path)
        event = eventually(lambda: self.told(path)[before:], f'the deletion of {path}')[0]
        return event['Archived'], event['Hashes'].removeprefix('SHA256=')

    def reported(self, reason):
        """That, and nothing else, since it was asked before."""
        texts = eventually(lambda: self.konseki.log.reports()[self.reports:], reason)
        self.reports += len(texts)
        assert all(re.fullmatch(f'1 deleted files could not be kept: ({reason})', text) for text in texts), texts

    def names(self):
        return set(os.listdir(self.kept)) if os.path.isdir(self.kept) else set()

    def close(self):
        if self.konseki:
            self.konseki.close()
        while run('umount', '-l', self.place).returncode == 0:
            pass


def digest_of(content):
    return hashlib.sha256(content).hexdigest().upper()


@test
def an_archive_without_room_says_so_and_the_oldest_give_way(folder):
    """A full file system; then one in which not all fit that is deleted."""
    archive = Archive(folder)
    try:
        first = archive.make('zz-first', b'first')
        fill(archive.place + '/ballast')
        assert archive.delete(first)[0] == 'false'
        archive.reported('No space left on device')
        assert not archive.names()
        os.truncate(archive.place + '/ballast', 30 << 20)  # what is deleted is held for some seconds, and takes room too
        others = {'notes.txt', 'A' * 63, 'a' * 64}  # not named as ours are
        for name in others:
            os.utime(write(os.path.join(archive.kept, name), 'not yours'), (0, 0))
        contents = [bytes([i]) * (4 << 20) for i in range(12)]
        for i, content in enumerate(contents):
            assert archive.delete(archive.make(f'zz-{i}', content)) == ('true', digest_of(content)), i
        kept = [digest_of(content) in archive.names() for content in contents]
        assert kept == sorted(kept) and 2 <= sum(kept) < 12, kept  # the newest, and only they
        assert shutil.disk_usage(archive.place).free >= (100 << 20) // 20
        assert others < archive.names()
        # The same once more is the newest again.
        oldest = digest_of(contents[kept.index(True)])
        assert archive.delete(archive.make('zz-again', contents[kept.index(True)]))[0] == 'true'
        assert max(archive.names() - others, key=lambda name: os.stat(os.path.join(archive.kept, name)).st_mtime_ns) == oldest
        archive.konseki.stop()
    finally:
        archive.close()


@test
def an_archive_that_cannot_be_used_says_so_and_is_used_when_it_can(folder):
    """Its name belongs to a file; others may read it; it is somebody's; it is read-only."""
    archive = Archive(folder)
    try:
        def spoiled(reason):
            assert archive.delete(archive.make('zz-x', reason.encode()))[0] == 'false', reason
            archive.reported(reason)

        write(archive.kept, 'in the way')
        spoiled('Not a directory')
        os.unlink(archive.kept)
        os.symlink('/tmp', archive.kept)
        spoiled('Not a directory|Too many levels')
        os.unlink(archive.kept)
        os.mkdir(archive.kept, 0o755)
        spoiled('Operation not permitted')
        os.chmod(archive.kept, 0o700)
        os.chown(archive.kept, 1, 1)
        spoiled('Operation not permitted')
        os.chown(archive.kept, 0, 0)
        must('mount', '--bind', archive.kept, archive.kept)
        must('mount', '-o', 'remount,ro,bind', archive.kept)
        spoiled('Read-only file system')
        must('umount', archive.kept)
        path = archive.make('zz-x', b'at last')
        assert archive.delete(path) == ('true', digest_of(b'at last'))
        assert archive.names() == {digest_of(b'at last')}
        archive.konseki.stop()
    finally:
        archive.close()


@test
def a_file_that_is_large_but_empty_stalls_nobody_and_pushes_nothing_out(folder):
    """100 GB of nothing are not read; less than 1 GiB takes no more room than it has."""
    archive = Archive(folder)
    try:
        assert archive.delete(archive.make('zz-before', b'before'))[0] == 'true'
        path = archive.make('zz-vast', b'begin')
        os.truncate(path, 100 << 30)
        with open(path, 'r+b') as f:
            f.seek((100 << 30) - 3)
            f.write(b'end')
        assert archive.delete(path) == ('false', '-')
        size = 400 << 20  # more than that file system has
        path = archive.make('zz-large', b'begin')
        os.truncate(path, size)
        archived, digest = archive.delete(path)
        assert archived == 'true', digest
        assert archive.names() == {digest_of(b'before'), digest}, (archive.names(), digest)
        stored = os.stat(os.path.join(archive.kept, digest))
        assert stored.st_size == size and stored.st_blocks * 512 < 1 << 20, stored
        archive.konseki.stop()
        assert not archive.konseki.log.reports(), archive.konseki.log.reports()
    finally:
        archive.close()


@test
def what_is_archived_has_its_digest_however_much_there_is_to_read(folder):
    """More at once than is read for digests."""
    archive = Archive(folder)
    try:
        paths = [archive.make(f'zz-large-{i}', str(i).encode()) for i in range(6)]
        for path in paths:
            os.truncate(path, 400 << 20)
        for path in paths:
            os.unlink(path)
        told = [eventually(lambda path=path: archive.told(path), f'the deletion of {path}')[0] for path in paths]
        assert all(event['Archived'] == 'true' for event in told), told
        assert {event['Hashes'].removeprefix('SHA256=') for event in told} == archive.names(), told
        archive.konseki.stop()
    finally:
        archive.close()


def ask_for_connections(address, count):
    """A process that asks for connections which nobody answers, until it is ended. No process may have as many."""
    asked, done = os.pipe()
    pid = os.fork()
    if pid:
        os.close(done)
        with os.fdopen(asked, 'rb') as said:
            assert said.read(1) == b'!'
        return pid
    try:
        limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
        sockets = []
        for i in range(count):
            sockets.append(socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK))
            sockets[-1].bind((f'127.0.0.{2 + i % 3}', 0))
            sockets[-1].connect_ex(address)
        os.write(done, b'!')
        signal.pause()
    finally:
        os._exit(1)


@test
def connections_that_never_come_do_not_hide_one_that_does(folder):
    """More of them than the kernel side has room for."""
    konseki = Run(folder)
    silent, server = socket.create_server(('127.0.0.1', 0), backlog=0), socket.create_server(('127.0.0.1', 0))
    asking = []
    try:
        for _ in range(3):
            asking.append(ask_for_connections(silent.getsockname(), 11000))
        with socket.create_connection(server.getsockname()) as client:
            port = client.getsockname()[1]
            told = eventually(lambda: [e['EventData'] for e in konseki.log.events(3) if e['EventData']['SourcePort'] == port],
                              'the connection')
            assert told[0]['Initiated'] is True and told[0]['ProcessId'] == os.getpid(), told
            with server.accept()[0] as accepted:
                accepted.sendall(b'!')
                accepted_too = eventually(lambda: [e['EventData'] for e in konseki.log.events(3) if e['EventData']['SourcePort'] == port][1:],
                                          'its other end')
            assert accepted_too[0]['Initiated'] is False and accepted_too[0]['ProcessId'] == os.getpid(), accepted_too
        assert konseki.status()['missed'] == 0
        konseki.stop()
    finally:
        for pid in asking:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        silent.close()
        server.close()
        konseki.close()


@test
def large_programs_do_not_hide_what_comes_behind(folder):
    """Each has to be read for its digest; all of them would take longer than the engine may be silent."""
    with small_file_system(folder, '100m') as place:
        konseki = Run(folder)
        try:
            for i in range(40):
                path = shutil.copy('/bin/true', f'{place}/large-{i}')
                os.truncate(path, 900 << 20)
                must(path)
            small = shutil.copy('/bin/true', place + '/small')
            must(small)
            starts = eventually(lambda: [e['EventData'] for e in konseki.log.events(1) if e['EventData']['Image'] == small], 'the small one')
            assert starts[0]['Hashes'] != '-'
            large = [e['EventData']['Hashes'] for e in konseki.log.events(1) if '/large-' in e['EventData']['Image']]
            assert len(large) == 40 and large[0] != '-' and large[39] == '-', large
            konseki.stop()
            assert not konseki.log.reports()
        finally:
            konseki.close()


@test
def what_is_archived_is_told_of_while_more_waits(folder):
    """Much that is deleted at once is not one piece of work: who does it answers meanwhile."""
    archive = Archive(folder)
    try:
        paths = [archive.make(f'zz-{i}', b'%d' % i) for i in range(6)]
        for path in paths:
            os.truncate(path, 900 << 20)
        for path in paths:
            os.unlink(path)
        numbers = {len(archive.konseki.log.events(23))}
        while max(numbers) < len(paths):
            numbers.add(len(archive.konseki.log.events(23)))
        assert len(numbers) > 2, numbers
        assert all(event['EventData']['Archived'] == 'true' for event in archive.konseki.log.events(23))
        archive.konseki.stop()
        assert not archive.konseki.log.reports()
    finally:
        archive.close()


@test
def who_deletes_and_is_gone_at_once_has_it_archived(folder):
    """Many short processes, some killed as soon as the file is gone."""
    archive = Archive(folder)
    try:
        paths = [archive.make(f'zz-{i}', b'%d' % i) for i in range(200)]
        for i in range(0, 200, 2):
            subprocess.run(['rm', paths[i]], check=True)
            child = subprocess.Popen(['rm', paths[i + 1]])
            while os.path.exists(paths[i + 1]):
                pass
            child.kill()
            child.wait()
        eventually(lambda: len(archive.konseki.log.events(23)) == 200, 'all deletions')
        for i, path in enumerate(paths):
            event, = archive.told(path) if i % 50 == 0 else ({'Archived': 'true', 'Image': '/usr/bin/rm'},)
            assert (event['Archived'], event['Image']) == ('true', '/usr/bin/rm'), event
        assert archive.names() == {digest_of(b'%d' % i) for i in range(200)}
        archive.konseki.stop()
        assert not archive.konseki.log.reports()
    finally:
        archive.close()


@test
def who_deletes_goes_on_when_konseki_dies(folder):
    """Monitor and engine are killed, one after the other and both, while files are deleted that a rule wants archived: no
    deletion fails or takes long, and nobody is left stopped."""
    archive = Archive(folder)
    script = ('i=0; while [ -e {go} ]; do i=$((i+1)); for j in 1 2 3 4 5 6 7 8; do echo $i.$j >{place}/zz-$$.$j || exit 1; done; '
              'rm {place}/zz-$$.* || exit 2; sleep 0.1; done; echo $i >{place}/count.$$')
    go = write(archive.place + '/go', '')
    workers = [subprocess.Popen(['sh', '-c', script.format(go=go, place=archive.place)]) for _ in range(3)]
    try:
        for count, victims in enumerate((['engine'], ['monitor'], ['engine', 'monitor']), 1):
            time.sleep(0.5)
            for victim in victims:
                os.kill(getattr(archive.konseki, victim), signal.SIGKILL)
            archive.konseki.wait_for_restart(count if count < 3 else 4)
        eventually(lambda: archive.konseki.log.events(23), 'deletions')
        os.unlink(go)
        began = time.monotonic()
        assert [w.wait(LONG) for w in workers] == [0, 0, 0]
        assert time.monotonic() - began < 10
        archive.konseki.stop()
    finally:
        for w in workers:
            w.kill()
            w.wait()
        archive.close()


CLIPBOARD_RULES = ('<Sysmon schemaversion="4.90"><CaptureClipboard/><HashAlgorithms>SHA256</HashAlgorithms>'
                   '<ArchiveDirectory>konseki-clipboard</ArchiveDirectory><EventFiltering>'
                   '<ClipboardChange onmatch="exclude"/></EventFiltering></Sysmon>')


def root_of(folder):
    """Of the file system that it is on."""
    while not os.path.ismount(folder):
        folder = os.path.dirname(folder)
    return folder


class Display:
    """An X server of an ordinary user, that wants a cookie; it ends with the test."""

    USER = 'nobody'

    def __init__(self):
        self.folder = tempfile.mkdtemp()
        shutil.chown(self.folder, self.USER)
        self.cookies = os.path.join(self.folder, 'cookies')
        self.number = next(n for n in range(90, 200) if not os.path.exists(f'/tmp/.X11-unix/X{n}'))
        number = str(self.number).encode()
        with open(self.cookies, 'wb') as f:
            for field in (socket.gethostname().encode(), number, b'MIT-MAGIC-COOKIE-1', os.urandom(16)):
                f.write((b'\x01\x00' if f.tell() == 0 else b'') + len(field).to_bytes(2, 'big') + field)
        shutil.chown(self.cookies, self.USER, 'nogroup')
        os.chmod(self.cookies, 0o600)
        os.makedirs('/tmp/.X11-unix', exist_ok=True)
        os.chmod('/tmp/.X11-unix', 0o1777)
        self.environment = {'PATH': '/usr/bin:/bin', 'DISPLAY': f':{self.number}', 'XAUTHORITY': self.cookies,
                            'HOME': '/nonexistent'}
        self.started = [self.start('Xvfb', f':{self.number}', '-auth', self.cookies, '-nolisten', 'tcp', '-noreset')]
        eventually(lambda: os.path.exists(f'/tmp/.X11-unix/X{self.number}'), 'an X server')

    def start(self, *words, **options):
        return subprocess.Popen(words, user=self.USER, group='nogroup', extra_groups=[], env=self.environment, cwd='/',
                                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **options)

    def copy(self, text, selection='clipboard'):
        """As somebody does who marks a text and copies it."""
        client = self.start('xclip', '-quiet', '-selection', selection, stdin=subprocess.PIPE)
        self.started.append(client)
        client.stdin.write(text)
        client.stdin.close()
        return client

    def close(self):
        for process in reversed(self.started):
            process.kill()
            process.wait()
        shutil.rmtree(self.folder)
        for name in (f'/tmp/.X11-unix/X{self.number}', f'/tmp/.X{self.number}-lock'):
            if os.path.exists(name):
                os.unlink(name)


@test
def what_is_copied_to_a_clipboard_is_told_and_kept(folder):
    """Each text once, short and long, by the process that the X server knows; neither other selections nor what was there
    before."""
    rules = write(os.path.join(folder, 'rules.xml'), CLIPBOARD_RULES)
    kept = os.path.join(root_of(folder), 'konseki-clipboard')
    display = Display()
    konseki = None
    try:
        display.copy(b'from before')
        konseki = Run(folder, '-c', rules)

        def told(text):
            return [e['EventData'] for e in konseki.log.events(24) if e['EventData']['Hashes'] == f'SHA256={digest_of(text)}']

        def watched():
            """By a process of this user that is ours."""
            for pid in run('pgrep', '-u', display.USER, 'konseki-help').stdout.split():
                return os.readlink(f'/proc/{pid}/exe') == KONSEKI and len(os.listdir(f'/proc/{pid}/fd')) > 4

        def warm():
            """A process of ours has connected when something that was copied is told."""
            display.copy(os.urandom(8).hex().encode())
            time.sleep(0.5)
            return konseki.log.events(24)

        def copied(text):
            client = display.copy(text)
            eventually(lambda: told(text), 'an event of the clipboard')
            expected = {'Image': '/usr/bin/xclip', 'ProcessId': client.pid, 'User': display.USER,
                        'Session': display.number, 'ClientInfo': '-', 'Archived': 'true'}
            for event in told(text):
                assert {name: event[name] for name in expected} == expected, event
            with open(os.path.join(kept, f'{digest_of(text)}.clip'), 'rb') as f:
                assert f.read() == text

        texts = ['läng'.encode(), b'0123456789abcdef' * 40000, b'last']  # the second comes in parts
        eventually(watched, 'a process that watches the clipboard')
        eventually(warm, 'a first text')
        copied(texts[0])
        copied(texts[1])
        display.copy(b'only marked', selection='primary')
        copied(texts[2])
        assert [len(told(text)) for text in texts] == [1, 1, 1]
        assert not told(b'from before') and not told(b'only marked')
        konseki.stop()
    finally:
        if konseki:
            konseki.close()
        display.close()
        shutil.rmtree(kept, ignore_errors=True)


class Compositor:
    """sway of an ordinary user, without a screen; it ends with the test."""

    USER = 'nobody'

    def __init__(self):
        self.uid = pwd.getpwnam(self.USER).pw_uid
        self.runtime = f'/run/user/{self.uid}'
        self.had_folder = os.path.isdir('/run/user')
        self.settings = os.path.join(self.runtime, 'konseki-test')
        if os.path.exists(self.settings):
            shutil.rmtree(self.runtime)  # of a test that was killed
        os.makedirs(self.runtime)  # not if it is there: a session of this user is no place for a test
        write(self.settings, 'xwayland disable\n')
        shutil.chown(self.runtime, self.USER, 'nogroup')
        os.chmod(self.runtime, 0o700)
        self.environment = {'PATH': '/usr/bin:/bin', 'XDG_RUNTIME_DIR': self.runtime, 'HOME': '/nonexistent',
                            'WLR_BACKENDS': 'headless', 'WLR_LIBINPUT_NO_DEVICES': '1', 'WLR_RENDERER': 'pixman'}
        self.started = []
        self.begin()

    def begin(self):
        self.server = self.start('sway', '--config', self.settings)
        eventually(self.sockets, 'a compositor')
        self.environment['WAYLAND_DISPLAY'], = self.sockets()
        self.number = int(self.environment['WAYLAND_DISPLAY'].removeprefix('wayland-'))

    def sockets(self):
        return [name for name in os.listdir(self.runtime) if re.fullmatch('wayland-[0-9]+', name)]

    def start(self, *words, **options):
        self.started.append(subprocess.Popen(words, user=self.USER, group='nogroup', extra_groups=[], env=self.environment, cwd='/',
                                             stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **options))
        return self.started[-1]

    def copy(self, text, *how):
        client = self.start('wl-copy', '--foreground', *how, stdin=subprocess.PIPE)
        client.stdin.write(text)
        client.stdin.close()

    def end(self):
        for process in reversed(self.started):
            process.kill()
            process.wait()
        self.started.clear()
        for name in self.sockets():
            os.unlink(os.path.join(self.runtime, name))

    def close(self):
        self.end()
        shutil.rmtree(self.runtime)
        if not self.had_folder:
            os.rmdir('/run/user')


@test
def what_is_copied_under_wayland_is_told_and_kept(folder):
    """Each text once, short and long, in the name of the user, since nobody knows the process; neither what is only marked, nor
    what is no text, nor what was there before. A compositor that comes later is found, too. An X server of the same user is
    looked at as well, but for the compositor's own."""
    rules = write(os.path.join(folder, 'rules.xml'), CLIPBOARD_RULES)
    kept = os.path.join(root_of(folder), 'konseki-clipboard')
    compositor = Compositor()
    konseki = display = None
    try:
        display = Display()
        compositor.copy(b'from before')
        time.sleep(0.5)
        konseki = Run(folder, '-c', rules)

        def told(text):
            return [e['EventData'] for e in konseki.log.events(24) if e['EventData']['Hashes'] == f'SHA256={digest_of(text)}']

        def warm():
            compositor.copy(os.urandom(8).hex().encode())
            time.sleep(0.5)
            return konseki.log.events(24)

        def copied(text, *how):
            compositor.copy(text, *how)
            eventually(lambda: told(text), 'an event of the clipboard')
            expected = {'Image': '-', 'ProcessId': 0, 'ProcessGuid': f'{{{uuid.UUID(int=0)}}}', 'User': compositor.USER,
                        'Session': compositor.number, 'ClientInfo': '-', 'Archived': 'true'}
            for event in told(text):
                assert {name: event[name] for name in expected} == expected, event
            with open(os.path.join(kept, f'{digest_of(text)}.clip'), 'rb') as f:
                assert f.read() == text

        eventually(warm, 'a first text')
        texts = ['läng'.encode(), b'0123456789abcdef' * 40000, b'last', b'in another life']
        copied(texts[0])
        copied(texts[1])
        compositor.copy(b'only marked', '--primary')
        compositor.copy(b'no text', '--type', 'image/png')
        time.sleep(0.3)
        copied(texts[2])
        compositor.end()
        compositor.begin()
        eventually(lambda: not compositor.copy(b'again') and (time.sleep(0.5) or told(b'again')), 'another compositor')
        copied(texts[3])
        assert [len(told(text)) for text in texts] == [1] * len(texts)
        assert not any(told(text) for text in (b'from before', b'only marked', b'no text'))

        def is_told_under_x(text):
            display.copy(text)
            time.sleep(0.5)
            return [e['Image'] for e in told(text)]

        eventually(lambda: is_told_under_x(os.urandom(8).hex().encode()) == ['/usr/bin/xclip'], 'what is copied under X')
        # What tells that an X server is the compositor's is who holds its lock.
        write(f'/tmp/.X{display.number}-lock', f'{compositor.server.pid:10}\n')
        eventually(lambda: not is_told_under_x(os.urandom(8).hex().encode()), 'an X server that is not looked at')
        copied(b'under Wayland')
        compositor.end()
        eventually(lambda: is_told_under_x(os.urandom(8).hex().encode()), 'an X server without a compositor')
        konseki.stop()
        assert not konseki.log.reports(), konseki.log.reports()
    finally:
        if konseki:
            konseki.close()
        if display:
            display.close()
        compositor.close()
        shutil.rmtree(kept, ignore_errors=True)


class Hostile:
    """A program as a user, that has a socket of this path."""

    def __init__(self, user, path, program, *words):
        self.path = path
        self.said = tempfile.TemporaryFile('w+')
        self.process = subprocess.Popen([os.path.join(os.path.dirname(os.path.abspath(__file__)), program), *words],
                                        user=user, group=user, extra_groups=[], stdout=self.said, stderr=subprocess.STDOUT)
        eventually(lambda: os.path.exists(self.path), 'a hostile server')

    def connections(self):
        return os.pread(self.said.fileno(), 1 << 16, 0).decode().count('connected')

    def close(self):
        self.process.kill()
        self.process.wait()
        self.said.close()
        if os.path.exists(self.path):
            os.unlink(self.path)


class HostileDisplay(Hostile):
    def __init__(self, user, manner):
        os.makedirs('/tmp/.X11-unix', exist_ok=True)
        os.chmod('/tmp/.X11-unix', 0o1777)
        super().__init__(user, f'/tmp/.X11-unix/X{200 + user}', 'hostile_x.py', manner, str(200 + user))


class HostileCompositor(Hostile):
    def __init__(self, user, manner):
        self.runtime = f'/run/user/{user}'
        os.makedirs(self.runtime, exist_ok=True)
        os.chown(self.runtime, user, user)
        os.chmod(self.runtime, 0o700)
        super().__init__(user, f'{self.runtime}/wayland-0', 'hostile_wayland.py', manner, f'{self.runtime}/wayland-0')

    def close(self):
        super().close()
        os.rmdir(self.runtime)


def with_hostile_displays(folder, manners, also=lambda konseki: None, kind=HostileDisplay):
    """Users 1, 2 ... have servers of these manners; the events 24 that came of it. Whatever they do, others are told of."""
    marked = program(folder)
    rules = write(os.path.join(folder, 'rules.xml'), RULES.format(wanted='/marked').replace(
        '<EventFiltering>', '<CaptureClipboard/><ArchiveDirectory>konseki-clipboard</ArchiveDirectory><EventFiltering>'
        '<ClipboardChange onmatch="exclude"/>'))
    displays, konseki = [], None
    try:
        for user, manner in enumerate(manners, 1):
            displays.append(kind(user, manner))
        konseki = Run(folder, '-c', rules)
        expected = []
        for display in displays:
            eventually(display.connections, 'a connection to each server')
            expected += execute(marked, 5, len(expected))
        began = time.monotonic()
        eventually(lambda: konseki.log.executed(marked) == expected, 'the other events')
        assert time.monotonic() - began < 20
        also(konseki)
        konseki.stop()
        assert not konseki.log.reports(), konseki.log.reports()
        assert all(display.process.poll() is None for display in displays), [os.pread(d.said.fileno(), 999, 0) for d in displays]
        return [e['EventData'] for e in konseki.log.events(24)]
    finally:
        if konseki:
            konseki.close()
        for display in displays:
            display.close()
        shutil.rmtree(os.path.join(root_of(folder), 'konseki-clipboard'), ignore_errors=True)


@test
def display_servers_that_send_rubbish_disturb_nobody(folder):
    """Garbage, half an answer, an end in the middle, and a screen that lies beyond what was sent: nothing is told."""
    assert with_hostile_displays(folder, ['garbage', 'half', 'leaves', 'far-screen']) == []


@test
def display_servers_that_lie_disturb_nobody(folder):
    """A text that is larger than what is sent, and a process of another user: what was sent is told, in nobody's name."""
    digest = digest_of(b'hostile text')

    def some(konseki):
        eventually(lambda: len(konseki.log.events(24)) >= 3, 'a text of each')

    told = with_hostile_displays(folder, ['endless', 'foreign', 'no-identity'], some)
    assert {e['User'] for e in told} == {'daemon', 'bin', 'sys'}, told
    for e in told:
        assert (e['ProcessId'], e['Image'], e['ProcessGuid']) == (0, '-', f'{{{uuid.UUID(int=0)}}}'), e
        assert e['User'] == 'daemon' or e['Hashes'].endswith(digest), e


@test
def display_servers_that_never_answer_disturb_nobody(folder):
    """One that says nothing, and one that says how much follows, which does not."""
    assert with_hostile_displays(folder, ['silent']) == []
    shutil.rmtree(folder)
    os.mkdir(folder)
    assert with_hostile_displays(folder, ['huge']) == []


@test
def compositors_that_send_rubbish_disturb_nobody(folder):
    """Garbage, what is no message, an end in the middle of one, texts and numbers that nobody can mean: nothing is told."""
    for manners in (['garbage', 'short', 'long', 'leaves'], ['numbers', 'unended', 'unknown', 'stranger']):
        assert with_hostile_displays(folder, manners, kind=HostileCompositor) == []
        shutil.rmtree(folder)
        os.mkdir(folder)


@test
def compositors_without_measure_disturb_nobody(folder):
    """No end of globals, offers, descriptors; one that does not answer; one that has no protocol for it: nothing is told. Of a
    text without an end, its beginning is; of one that was offered in thousands of forms, all."""
    assert with_hostile_displays(folder, ['globals', 'offers', 'descriptors', 'silent'], kind=HostileCompositor) == []
    shutil.rmtree(folder)
    os.mkdir(folder)

    def some(konseki):
        eventually(lambda: {e['EventData']['User'] for e in konseki.log.events(24)} == {'daemon', 'bin'}, 'a text of both')

    told = with_hostile_displays(folder, ['endless', 'forms', 'nothing', 'stalled'], some, HostileCompositor)
    of_user = {'daemon': digest_of(b'x' * (1 << 20)), 'bin': digest_of(b'hostile text')}
    assert all(e['Hashes'].endswith(of_user[e['User']]) for e in told), told


if __name__ == '__main__':
    sys.exit(harness.main(TESTS))
