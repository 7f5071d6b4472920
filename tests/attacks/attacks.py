#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Runs published attacks under the recommended rules and looks for what each must show (README.md).

    attacks.py here                the harmless and quick ones, in namespaces of their own, without a network; prints TAP
    attacks.py guest [FOLDER]      all of them, in a virtual machine without a network card; about 15 minutes. Writes
                                   result.tsv beside this file; what came out of the machine stays in FOLDER
    attacks.py judge LOG           judges a log that is there
"""
import ctypes
import os
import re
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path += [os.path.join(os.path.dirname(HERE), folder) for folder in ('daemon', 'vm')]
import harness
from harness import KONSEKI, Run, eventually, run

ROOT = os.path.dirname(os.path.dirname(HERE))
RULES = os.path.join(ROOT, 'config', 'recommended.xml')
RESULT = os.path.join(HERE, 'result.tsv')
GOAL = 95  # percent of the attacks
MINUTES = 40
IDLE = 120  # seconds in guest.sh
PACKAGES = ('sudo iproute2 zip unzip tcpdump at cron lsof emacs-nox perl python3 openssl gpg gpg-agent p7zip-full ccrypt '
            'dmidecode auditd ufw sshpass openssh-server openssh-client ed psmisc rsyslog ca-certificates e2fsprogs '
            'libcap2-bin passwd login xxd vim-tiny mawk dbus libpam-systemd kmod').split()
CLONE_NEWNET = 0x40000000


def table(name):
    with open(os.path.join(HERE, name), encoding='utf-8') as f:
        return [line.rstrip('\n').split('\t') for line in f if not line.startswith('#')]


class Attack:
    def __init__(self, row):
        self.technique, self.name, self.guid, self.executor = row[:4]
        self.prepare, self.command, self.cleanup = (self.unescaped(text) for text in row[7:10])

    @staticmethod
    def unescaped(text):
        if text == '-':
            return ''
        return re.sub(r'\\(.)', lambda m: {'n': '\n', 't': '\t'}.get(m.group(1), m.group(1)), text) + '\n'

    def write(self, folder):
        """As files for a shell. What would install packages is left out."""
        os.makedirs(folder)
        prepare = ''.join(line + '\n' for line in self.prepare.splitlines()
                          if not re.search(r'apt-get|apt install|yum|dnf|brew|pkg install', line))
        for name, text in (('executor', self.executor), ('prepare', prepare), ('command', self.command),
                           ('cleanup', self.cleanup)):
            if text:
                with open(os.path.join(folder, name), 'w', encoding='utf-8') as f:
                    f.write(text)


class Expected:
    def __init__(self, row):
        self.technique, self.guid, self.name, event, self.condition, self.when = row
        self.event = int(event) if event.isdigit() else None


def attacks():
    """The one that sets the clock comes last: the others are told apart by time."""
    return sorted((Attack(row) for row in table('atomics.tsv')[1:]), key=lambda a: 'date 0101' in a.command)


def expectations():
    return [Expected(row) for row in table('expected.tsv')]


# --- judging

class Judged:
    """A log with marks in it: which expected events came between those of their attack."""

    def __init__(self, path):
        self.path = path
        marks = self.view('--id', '1', '--where', 'CommandLine contains true attack ')
        self.span = {}
        for e in sorted(marks, key=lambda e: e['System']['EventRecordID']):
            found = re.search(r'true attack (\S+) (begins|ends)', e['EventData']['CommandLine'])
            if found:
                self.span.setdefault(found.group(1), {})[found.group(2)] = self.place(e)

    @staticmethod
    def place(e):
        return e['System']['EventRecordID'], e['EventData']['UtcTime']

    def view(self, *words):
        done = run(KONSEKI, 'view', '--json', *words, self.path)
        assert done.returncode == 0, done.stderr
        return [harness.json.loads(line) for line in done.stdout.splitlines()]

    def found(self, expected):
        """The rule names of the events that were expected, within the attack."""
        span = self.span.get(expected.guid, {})
        if 'begins' not in span or 'ends' not in span:
            return []
        # In the order of the log, or in that of time: events of files may be written a little after later ones.
        return [e['EventData'].get('RuleName', '-')
                for e in self.view('--id', str(expected.event), '--where', expected.condition)
                if any(span['begins'][i] <= self.place(e)[i] <= span['ends'][i] for i in (0, 1))]


def technique_of(names):
    found = [re.search(r'technique_id=([^,]+)', name) for name in names]
    return next((m.group(1) for m in found if m), '-')


def judged_rows(path, guids):
    """For each expectation: (expected, was it seen, technique that the rules named)."""
    log = Judged(path)
    rows = []
    for expected in expectations():
        if expected.guid in guids and expected.event is not None:
            names = log.found(expected)
            rows.append((expected, bool(names), technique_of(names)))
    return rows, log


def summary(rows):
    """Of the attacks of which anything can be seen: seen at all, seen in full, named by a rule."""
    seen, full, named = {}, {}, {}
    for expected, came, technique in rows:
        seen[expected.guid] = seen.get(expected.guid, False) or came
        full[expected.guid] = full.get(expected.guid, True) and came
        named[expected.guid] = named.get(expected.guid, False) or technique != '-'
    return len(seen), sum(seen.values()), sum(full.values()), sum(named.values())


def write_result(rows):
    unseen = [e for e in expectations() if e.event is None]
    count, seen, full, named = summary(rows)
    total = count + len(unseen)
    with open(RESULT, 'w', encoding='utf-8') as f:
        print('# What came of expected.tsv under config/recommended.xml, made by `attacks.py guest`. Of '
              f'{total} attacks {seen} were seen ({100 * seen / total:.1f} %),', file=f)
        print(f'# {full} with every event that was expected, {named} under the name of a technique; '
              f'{len(unseen)} can be seen by nobody.', file=f)
        print('#technique\tguid\tname\tevent\tcondition\tseen\tnamed as', file=f)
        for expected, came, technique in rows:
            print(expected.technique, expected.guid, expected.name, expected.event, expected.condition,
                  'yes' if came else 'no', technique, sep='\t', file=f)
        for e in unseen:
            print(e.technique, e.guid, e.name, '-', '-', 'never', '-', sep='\t', file=f)
    print(f'{total} attacks: {seen} seen ({100 * seen / total:.1f} %), {full} with every expected event, {named} named')
    return 100 * seen / total >= GOAL


# --- all of them, in a virtual machine

def guest(folder):
    import systemd  # pylint: disable=import-outside-toplevel
    import vm       # pylint: disable=import-outside-toplevel
    with tempfile.TemporaryDirectory(prefix='konseki-attacks.', dir='/var/tmp') as scratch:
        disk, home = os.path.join(scratch, 'disk'), os.path.join(scratch, 'attacks')
        for number, attack in enumerate(attacks()):
            attack.write(os.path.join(home, f'{number:03}.{attack.guid}'))
        systemd.image(disk, scratch, os.path.join(HERE, 'guest.sh'), [home], PACKAGES, 2500)
        outcome = vm.boot(vm.kernel('6.12'), vm.Guest(init=vm.SWITCH_ROOT), seconds=60 * MINUTES, system=disk)
    os.makedirs(folder, exist_ok=True)
    for name, content in outcome.files.items():
        with open(os.path.join(folder, name.replace('/', '_')), 'wb') as f:
            f.write(content)
    if 'log.evtx' not in outcome.files:
        print(outcome.console[-3000:])
        return False
    return judge(os.path.join(folder, 'log.evtx'))


def judge(path):
    rows, log = judged_rows(path, {a.guid for a in attacks()})
    for guid in (a.guid for a in attacks()):
        if 'ends' not in log.span.get(guid, {}):
            print(f'{guid} was not run to its end')
    idle = log.span.get('idle', {})
    if 'ends' in idle:
        print(f'idle: {idle["ends"][0] - idle["begins"][0] - 1} events in {IDLE} s')
    return write_result(rows)


# --- some of them, here

def alone():
    """What is done from here on reaches no network."""
    libc = ctypes.CDLL(None, use_errno=True)
    assert libc.unshare(CLONE_NEWNET) == 0, os.strerror(ctypes.get_errno())


def used_home(folder):
    """What the home of somebody has who was there before."""
    home = os.path.join(folder, 'home')
    os.makedirs(os.path.join(home, '.ssh'), exist_ok=True)
    for name in ('.bash_history', '.ssh/authorized_keys'):
        path = os.path.join(home, name)
        if os.path.islink(path) or not os.path.exists(path):
            if os.path.islink(path):
                os.unlink(path)
            with open(path, 'w', encoding='utf-8') as f:
                f.write('used\n')
    return home


def attack_here(attack, folder):
    place = os.path.join(folder, attack.guid)
    attack.write(place)
    environment = dict(os.environ, HOME=used_home(folder))

    def step(name):
        if os.path.exists(os.path.join(place, name)):
            run('/bin/' + attack.executor, os.path.join(place, name), cwd=folder, env=environment)

    run('/bin/true', 'attack', attack.guid, 'begins')
    step('prepare')
    step('command')
    run('/bin/true', 'attack', attack.guid, 'ends')
    step('cleanup')


def quick_attacks_show_what_they_must(folder):
    chosen = [row[0] for row in table('here.tsv')]
    alone()
    konseki = Run(folder, '-c', RULES)
    try:
        for attack in attacks():
            if attack.guid in chosen:
                attack_here(attack, folder)
        last = [a.guid for a in attacks() if a.guid in chosen][-1]
        eventually(lambda: any(last in line and 'ends' in line for line in konseki.log.executed('/usr/bin/true')), 'the last')
        konseki.stop()
    finally:
        konseki.close()
    rows, log = judged_rows(konseki.log.path, chosen)
    assert len(log.span) == len(chosen) == len({e.guid for e, _, _ in rows}), log.span
    known = {(row[1], row[3], row[4]): row[5] for row in table('result.tsv')}
    missing = [(e.name, e.event, e.condition) for e, came, _ in rows
               if not came and known[e.guid, str(e.event), e.condition] == 'yes']
    assert not missing, missing


def main(words):
    if words[:1] == ['guest']:
        return 0 if guest(words[1] if len(words) > 1 else os.path.join(ROOT, 'build', 'attacks')) else 1
    if words[:1] == ['judge']:
        return 0 if judge(words[1]) else 1
    if words == ['here']:
        sys.argv[1:] = []
        return harness.main([quick_attacks_show_what_they_must])
    print(__doc__, end='')
    return 1


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
