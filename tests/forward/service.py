#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""An installed konseki that copies its log to real servers: what arrives there while servers, forwarder and engine die, the log is
overwritten, and root erases what he can. Prints TAP.

    service.py [TEST...]           only these
    service.py chaos EVENTS [SEED] the scenario at any size, by itself
"""
import ctypes
import importlib.util
import json
import os
import random
import re
import signal
import subprocess
import sys
import threading
import time

sys.dont_write_bytecode = True
import parts
import rsyslog
from azurite import Azurite
from kafka_sink import Mock
from servers import Ingestion, Metadata

SPEC = importlib.util.spec_from_file_location('machine', os.path.join(parts.ROOT, 'tests', 'daemon', 'harness.py'))
machine = importlib.util.module_from_spec(SPEC)
sys.modules['machine'] = machine
SPEC.loader.exec_module(machine)
from machine import KONSEKI, Log, eventually, must, run  # noqa: E402: known since the line above

LOG_PATH = '/var/log/konseki/' + machine.LOG
SECRETS = '/var/lib/konseki/forward'
# What others do on this machine meanwhile is left out.
RULES = '''<Sysmon schemaversion="4.90"><EventFiltering>
  <ProcessCreate onmatch="include"><CommandLine condition="contains">forward add</CommandLine></ProcessCreate>
  <ProcessTerminate onmatch="include"/>
  <FileCreate onmatch="include"><TargetFilename condition="begin with">{}/</TargetFilename></FileCreate>
  <FileDeleteDetected onmatch="include"><TargetFilename condition="begin with">{}/</TargetFilename></FileDeleteDetected>
</EventFiltering></Sysmon>
'''


class Service:
    """with Service(folder) as s: ... Installed, and afterwards gone."""

    def __init__(self, folder, settings=''):
        self.place = os.path.join(folder, 'place')
        self.acted = 0
        os.mkdir(self.place)
        rules = os.path.join(folder, 'rules.xml')
        with open(rules, 'w', encoding='utf-8') as f:
            f.write(RULES.format(self.place, self.place))
        said = must(KONSEKI, '-accepteula', '-i', rules).stdout
        self.key = re.search(r'^ +((?:[A-Z2-7]{4}-){7}[A-Z2-7]{4})$', said, re.M).group(1)
        if settings:
            with open('/etc/konseki/konseki.conf', 'a', encoding='utf-8') as f:
                f.write(settings)
            self.restart()

    def restart(self):
        must('/etc/init.d/konseki', 'restart')
        eventually(lambda: self.status().get('running'), 'the service')

    def __enter__(self):
        return self

    def __exit__(self, *_):
        run(KONSEKI, '-u', 'force')
        run('rm', '-rf', '/var/log/konseki')

    def status(self):
        return json.loads(run(KONSEKI, 'status', '--json').stdout or '{}')

    def forward(self, name):
        return next((f for f in self.status().get('forward', []) if f['name'] == name), None)

    def act(self, count):
        """Makes and removes files: two events each, which are in the log (or lost) when it returns."""
        subprocess.run([sys.executable, '-c', f'''
import os
for i in range({count}):
    name = "{self.place}/%07d" % i
    os.close(os.open(name, os.O_CREAT | os.O_WRONLY))
    os.unlink(name)
'''], check=True)
        self.acted += count
        eventually(lambda: all(self.settled(i) >= self.acted for i in (11, 26)), 'the events')

    def settled(self, event_id):
        tally = next((e for e in self.status().get('events', []) if e['EventID'] == event_id), {})
        return tally.get('logged', 0) + tally.get('lost', 0)

    def is_through(self, name):
        """Has the sink what there is, and has nothing more come meanwhile?"""
        status = self.status()
        mine = next((f for f in status.get('forward', []) if f['name'] == name), None)
        return mine and mine['confirmed'] and mine['confirmed'] >= status['log']['next'] - 1

    def wait_through(self, *names, seconds=machine.LONG):
        for name in names:
            try:
                eventually(lambda n=name: self.is_through(n), f'all at {name}', seconds)
            except AssertionError as e:
                raise AssertionError(f'{e}: {self.status()["log"]} {self.forward(name)}') from e


def in_log():
    return {e['System']['EventRecordID']: e for e in Log(LOG_PATH).events()}


class Copy:
    """What a sink holds: lines of JSON, put together by key."""

    def __init__(self):
        self.records, self.gaps, self.doubtful, self.lines = {}, [], set(), 0

    def add(self, line):
        row = json.loads(line)
        origin = row['Origin']
        if 'Gap' in origin:
            gap = origin['Gap']
            self.gaps.append((origin['Log'], gap['First'], gap['Last']))
            if 'may have arrived' in gap['Reason']:
                self.doubtful |= set(range(gap['First'], gap['Last'] + 1))
        elif not {'Heartbeat', 'Test', 'Notice'} & set(origin):
            self.lines += 1
            key = origin['Host'], origin['Log'], row['System']['EventRecordID']
            assert self.records.setdefault(key, row) == row, f'two records with one key: {key}'
        return self

    def ids(self):
        return {key[2] for key in self.records}

    def missing(self):
        return {i for _, first, last in self.gaps for i in range(first, last + 1)}


def copy_of_blobs(azurite, container):
    copy = Copy()
    for name in azurite.blobs(container):
        if name.endswith('.ndjson.zst'):
            body, _ = azurite.blob(container, name)
            for line in subprocess.run(['zstd', '-dc'], input=body, capture_output=True, check=True).stdout.splitlines():
                copy.add(line)
    return copy


def assert_same(copy):
    """The sink holds the log, byte for byte of what a view shows."""
    log = in_log()
    mine = {key[2]: row for key, row in copy.records.items()}
    assert set(mine) == set(log), (sorted(set(log) ^ set(mine))[:10], len(log), len(mine))
    for number, event in log.items():
        row = dict(mine[number])
        del row['Origin']
        assert row == event, (row, event)


# --- tests

def events_are_copied_to_every_kind_of_sink(folder):
    with Azurite() as azurite, Mock() as kafka, rsyslog.relp(folder) as collector, \
            Metadata('https://monitor.azure.com', lambda: 't') as metadata, Ingestion(lambda: 't') as analytics, Service(folder) as s:
        azurite.make_container('logs')
        sas = os.path.join(folder, 'sas')
        with open(sas, 'w', encoding='utf-8') as f:
            f.write(azurite.sas('logs', 'c'))
        must(KONSEKI, 'forward', 'add', 'syslog', f'tcp://127.0.0.1:{parts.free_port()}', '--name', 'dead')
        must(KONSEKI, 'forward', 'add', 'azure-blob', azurite.url('logs'), '--secret', sas)
        must(KONSEKI, 'forward', 'add', 'kafka', kafka.to())
        must(KONSEKI, 'forward', 'add', 'syslog', f'relp://127.0.0.1:{collector.port}', '--name', 'relp')
        must(KONSEKI, 'forward', 'add', 'log-analytics', analytics.url(analytics.PATH), f'metadata={metadata.url()}')
        s.act(500)
        s.wait_through('azure-blob', 'kafka', 'relp', 'log-analytics')
        # One that nobody answers holds up no other.
        eventually(lambda: s.forward('dead')['retries'] and s.forward('dead')['error'], 'a try in vain')
        assert s.forward('dead')['confirmed'] == 0 and s.forward('dead')['behind'] > 1000
        must(KONSEKI, 'forward', 'remove', 'dead')
        log = in_log()
        assert len(log) > 1000
        assert_same(copy_of_blobs(azurite, 'logs'))
        copy = Copy()
        for line in collector.told():
            copy.add(line[1].lstrip('\ufeff'))
        assert_same(copy)
        copy = Copy()
        for row in analytics.rows:
            number = row.get('System', {}).get('EventRecordID')
            assert not number or row['RecordKey'].endswith(f'/{row["Origin"]["Log"]}/{number}'), row
            copy.add(json.dumps({name: row[name] for name in ('Origin', 'System', 'EventData') if name in row}))
        assert_same(copy)
        count, copy = len(log), Copy()
        while len(copy.records) < count:
            for _, _, headers, value in kafka.read(1):
                copy.add(value) if headers['kind'] == 'event' else None
        assert_same(copy)
        for name in ('azure-blob', 'kafka', 'relp', 'log-analytics'):
            said = must(KONSEKI, 'forward', 'test', name).stdout
            assert 'took a marked event' in said, said
        assert not any(f['erasable'] for f in s.status()['forward'])
        listed = must(KONSEKI, 'forward', 'list').stdout
        assert listed.count('\n') == 4 and 'sig=' not in listed, listed
        must(KONSEKI, 'forward', 'remove', 'relp')
        eventually(lambda: s.forward('relp') is None, 'its end')
        assert sorted(os.listdir(SECRETS)) == ['azure-blob.bookmark', 'azure-blob.secret', 'kafka.bookmark',
                                               'log-analytics.bookmark']


def a_secret_is_for_root_alone_and_the_forwarder_has_no_rights(folder):
    with Azurite() as azurite, Service(folder) as s:
        azurite.make_container('logs')
        done = run(KONSEKI, 'forward', 'add', 'azure-blob', azurite.url('logs') + '?' + azurite.sas('logs', 'c'))
        assert done.returncode == 0 and '--secret' in done.stderr, done
        assert 'sig=' not in open('/etc/konseki/konseki.conf', encoding='utf-8').read()
        st = os.stat(SECRETS + '/azure-blob.secret')
        assert (st.st_uid, st.st_mode & 0o777) == (0, 0o400) and os.stat(SECRETS).st_mode & 0o777 == 0o700
        s.wait_through('azure-blob')
        pids = must('pgrep', '-x', 'konseki-forward').stdout.split()
        pids = [p for p in pids if os.stat(f'/proc/{p}/ns/mnt').st_ino == os.stat('/proc/self/ns/mnt').st_ino]
        assert len(pids) == 1
        state = open(f'/proc/{pids[0]}/status', encoding='ascii').read()
        uid = must('id', '-u', 'konseki-fwd').stdout.strip()
        assert re.search(rf'^Uid:\t{uid}\t{uid}\t{uid}\t{uid}$', state, re.M), state
        assert re.search(r'^CapBnd:\t0+$', state, re.M) and re.search(r'^Seccomp:\t2$', state, re.M), state
        commands = [e['EventData']['CommandLine'] for e in in_log().values() if e['System']['EventID'] == 1]
        commands = [c for c in commands if azurite.url('logs') in c]
        assert commands and all(c.count('sig=*') == 1 for c in commands), commands
        assert 'sig=' not in must('ps', 'axww', '-o', 'args').stdout


def what_was_sent_cannot_be_erased_from_here(folder):
    with Azurite() as azurite, Service(folder) as s:
        azurite.make_container('logs')
        sas = azurite.sas('logs', 'c')
        with open(folder + '/sas', 'w', encoding='utf-8') as f:
            f.write(sas)
        must(KONSEKI, 'forward', 'add', 'azure-blob', azurite.url('logs'), 'form=evtx', '--secret', folder + '/sas')
        s.act(300)
        s.wait_through('azure-blob')
        log = in_log()
        # Root, with everything the machine has.
        for path in (LOG_PATH, LOG_PATH + '.seal'):
            os.unlink(path)
        names = azurite.blobs('logs')
        for name in names:
            for words in (['-X', 'DELETE'], ['-X', 'PUT', '-H', 'x-ms-blob-type: BlockBlob', '-d', 'nothing']):
                done = must('curl', '-s', '-o', '/dev/null', '-w', '%{http_code}', '-H', 'x-ms-version: 2021-12-02', *words,
                            f'{azurite.url("logs")}/{name}?{sas}')
                assert done.stdout == '403', (name, words, done.stdout)
        assert set(names) <= set(azurite.blobs('logs'))
        copies = []
        for number, name in enumerate(n for n in names if n.endswith('.evtx.zst')):
            copies.append(f'{folder}/{number}.evtx')
            for path, blob in ((copies[-1] + '.zst', name), (copies[-1] + '.seal', name.replace('.evtx.zst', '.evtx.seal'))):
                with open(path, 'wb') as f:
                    f.write(azurite.blob('logs', blob)[0])
            must('zstd', '-dq', copies[-1] + '.zst', '-o', copies[-1])
        assert copies, names
        done = run(KONSEKI, 'verify', '--key', s.key, *copies)
        assert done.returncode == 0, done
        found = {e['System']['EventRecordID']: e for path in copies for e in Log(path).events()}
        assert all(found.get(number) == event for number, event in log.items()), (len(found), len(log))


def what_the_log_overwrote_is_named(folder):
    with Azurite() as azurite, Service(folder, '[log]\nsize = 1M\n') as s:
        azurite.make_container('logs')
        with open(folder + '/sas', 'w', encoding='utf-8') as f:
            f.write(azurite.sas('logs', 'c'))
        must(KONSEKI, 'forward', 'add', 'azure-blob', azurite.url('logs'), '--secret', folder + '/sas')
        s.act(20)
        s.wait_through('azure-blob')
        azurite.stop()
        s.act(4000)
        assert s.forward('azure-blob')['behind'] > 1000
        azurite.start()
        s.wait_through('azure-blob')
        copy = copy_of_blobs(azurite, 'logs')
        newest = max(copy.ids())
        # A gap that is found while nobody takes it may have another behind it by the time it is sent.
        assert copy.gaps and not copy.ids() & copy.missing(), copy.gaps
        assert copy.ids() | copy.missing() == set(range(1, newest + 1))
        assert s.forward('azure-blob')['missing'] == len(copy.missing())


def own_network():
    """From here on this process and its children have a network of their own, which can be cut."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(0x40000000) != 0: # CLONE_NEWNET
        raise OSError(ctypes.get_errno(), 'unshare')
    must('ip', 'link', 'set', 'lo', 'up')


def chaos(folder, events, seed, **more):
    """Everything dies at random while events come; then each record is there once, or named in a gap."""
    random.seed(seed)
    done = threading.Event()
    killed = {'forwarder': 0, 'engine': 0, 'server': 0, 'network': 0}
    own_network()

    def destroy(s, azurite):
        while not done.wait(random.uniform(0.5, 4)):
            what = random.choice(sorted(killed))
            if what == 'network':
                must('ip', 'link', 'set', 'lo', 'down')
                done.wait(random.uniform(0, 5))
                must('ip', 'link', 'set', 'lo', 'up')
            elif what == 'server': # SIGTERM: killed with -9 it forgets what it has acknowledged
                azurite.stop()
                done.wait(random.uniform(0, 3))
                azurite.start()
            else:
                pid = s.status().get('engine') if what == 'engine' else \
                    next((int(p) for p in run('pgrep', '-x', 'konseki-forward').stdout.split()
                          if os.readlink(f'/proc/{p}/ns/mnt') == os.readlink('/proc/self/ns/mnt')), None)
                if not pid or (what == 'engine' and killed[what] >= more.get('engines', 3)):
                    continue
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    continue
            killed[what] += 1

    with Azurite() as azurite, Service(folder, more.get('settings', '')) as s:
        azurite.make_container('logs')
        with open(folder + '/sas', 'w', encoding='utf-8') as f:
            f.write(azurite.sas('logs', 'c'))
        must(KONSEKI, 'forward', 'add', 'azure-blob', azurite.url('logs'), '--secret', folder + '/sas')
        thread = threading.Thread(target=destroy, args=(s, azurite))
        thread.start()
        try:
            begin = time.monotonic()
            while events > 0 or time.monotonic() - begin < more.get('seconds', 10):
                s.act(min(events, 2000) // 2 or 1)
                events -= 2000
        finally:
            done.set()
            thread.join()
        s.wait_through('azure-blob', seconds=600)
        time.sleep(1)
        s.wait_through('azure-blob', seconds=600)
        copy = copy_of_blobs(azurite, 'logs')
        newest = max(copy.ids())
        logs = {key[1] for key in copy.records}
        assert len(logs) == 1 and None not in [g[2] for g in copy.gaps], (logs, copy.gaps)
        # What was on its way when the forwarder died, and was overwritten before another one came, may be there.
        assert not copy.ids() & (copy.missing() - copy.doubtful), sorted(copy.ids() & copy.missing())[:9]
        assert copy.ids() | copy.missing() == set(range(1, newest + 1))
        log = in_log()
        assert set(log) <= copy.ids() | copy.missing()
        assert all(copy.records[key] | {'Origin': None} == log[key[2]] | {'Origin': None}
                   for key in copy.records if key[2] in log)
        return f'{len(copy.ids())} records sent in {copy.lines} lines, {len(copy.missing())} named in {len(copy.gaps)} gaps; ' \
               f'killed: {killed}'


def whatever_dies_each_record_is_there_or_named(folder):
    chaos(folder, 20000, 1, settings='[log]\nsize = 4M\n', engines=2)


TESTS = [events_are_copied_to_every_kind_of_sink, a_secret_is_for_root_alone_and_the_forwarder_has_no_rights,
         what_was_sent_cannot_be_erased_from_here, what_the_log_overwrote_is_named, whatever_dies_each_record_is_there_or_named]

if __name__ == '__main__':
    if sys.argv[1:2] == ['chaos']:
        size, seed_given = int(sys.argv[2]), int((sys.argv[3:] or [0])[0])
        sys.argv[1:] = []

        def at_full_size(folder):
            print('#', chaos(folder, size, seed_given, settings='[log]\nsize = 64M\n', engines=6))
        sys.exit(machine.main([at_full_size]))
    sys.exit(machine.main(TESTS))
