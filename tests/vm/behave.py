#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Runs the behaviours under the monitor, here or in a virtual machine, and compares what was recorded with what
stands on top of each behaviour's program (behaviours/behaviour.h explains that). Prints TAP.

    behave.py host          on this machine
    behave.py 6.1 [OPTION]  on that kernel, in QEMU (vm.py names them), with an option on its command line
    behave.py judge OUT     only compares; OUT is what record.sh left

Besides the records of each behaviour it judges what must be true of any log: see the functions all_*.
"""
import collections
import glob
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
import vm

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
BUILD = os.environ.get('KONSEKI_BUILD', os.path.join(ROOT, 'build'))
KONSEKI = os.path.join(BUILD, 'konseki')
RULES = os.path.join(HERE, 'behaviours', 'rules.xml')
ARCHIVE = 'konseki-behaviours'  # as in these rules
EMULATED_MANY = '5000'  # file_again_and_again: emulation is twenty times slower

TRIGGERS = (19, 20, 21)  # which name no process, only its user

Event = collections.namedtuple('Event', 'id number time data')


# --- What is expected ---------------------------------------------------------------------------------------

class Expectation:
    """One line: how many records, of which type, with which values."""

    FIELD = re.compile(r'(\w+)(!?[=~])("(?:[^"\\]|\\.)*"|\S*)\s*')
    DEFAULTS = (('ProcessId', '=', '$self'), ('Image', '=', '$image'), ('User', '=', 'root'))
    OF_TWO = (('SourceProcessId', '=', '$self'), ('SourceImage', '=', '$image'), ('SourceUser', '=', 'root'),
              ('TargetUser', '=', 'root'))

    def __init__(self, line):
        head = re.match(r'(?:(\$?\w+) of )?(\d+)\b\s*', line)
        if not head:
            raise ValueError(f'not an expectation: {line}')
        self.line = line
        self.times = head.group(1) or '1'
        self.id = int(head.group(2))
        rest = line[head.end():]
        self.fields = [(m.group(1), m.group(2), unquoted(m.group(3))) for m in self.FIELD.finditer(rest)]
        if self.FIELD.sub('', rest):
            raise ValueError(f'not understood in "{line}": {self.FIELD.sub("", rest)}')
        named = {name for name, _, _ in self.fields}
        if self.id != 6:  # which has no process
            defaults = self.OF_TWO if self.id in (8, 10) else self.DEFAULTS[2:] if self.id in TRIGGERS else self.DEFAULTS
            self.fields += [field for field in defaults if field[0] not in named]

    def count(self, ledger):
        return int(ledger.expand(self.times))

    def accepts(self, event, ledger):
        return event.id == self.id and all(
            field_agrees(event.data.get(name), how, value, ledger) for name, how, value in self.fields)


def unquoted(text):
    if not text.startswith('"'):
        return text
    return re.sub(r'\\([nt"\\])', lambda m: {'n': '\n', 't': '\t'}.get(m.group(1), m.group(1)), text[1:-1])


def field_agrees(found, how, value, ledger):
    if found is None:
        return False
    if isinstance(found, bool):
        found = 'true' if found else 'false'
    if how.endswith('~'):
        agrees = re.fullmatch(ledger.expand(value, re.escape), str(found), re.S) is not None
    else:
        agrees = str(found) == ledger.expand(value)
    return agrees != how.startswith('!')


class Behaviour:
    def __init__(self, source):
        self.name = os.path.basename(source)[:-2]
        self.judged, self.expected, self.suffixes = set(), [], []
        with open(source, encoding='utf-8') as f:
            comment = re.search(r'\*/\n/\*(.*?)\*/', f.read(), re.S).group(1)
        for line in comment.splitlines():
            word, _, rest = line.removeprefix(' *').strip().partition(' ')
            if word == 'judges':
                self.judged = {int(number) for number in rest.split()}
            elif word == 'expect':
                self.expected.append(Expectation(rest))
            elif word == 'suffix':
                number, name = rest.split()
                self.suffixes.append((int(number), name))
        if not self.judged and not self.suffixes:
            raise ValueError(f'{source}: says nothing about what it should give')


def behaviours():
    """All, or those that the pattern in ONLY finds and the ones that begin before the monitor."""
    only = re.compile(os.environ.get('ONLY', '') + '|before_')
    return [Behaviour(path) for path in sorted(glob.glob(os.path.join(HERE, 'behaviours', '*_*.c')))
            if only.match(os.path.basename(path))]


# --- What was recorded --------------------------------------------------------------------------------------

class Ledger:
    """What a behaviour wrote down about itself. A name that occurs more than once is a list."""

    def __init__(self, name, text, program):
        self.name = name
        self.lines = collections.defaultdict(list)
        for line in text.split('\n'):
            name, _, value = line.partition('=')
            self.lines[name].append(value)
        self.program = program

    def expand(self, text, quote=lambda value: value):
        def value_of(match):
            if match.group(1) is not None:
                return hashlib.sha256(self.program + match.group(1).encode()).hexdigest().upper()
            values = self.lines.get(match.group(2))
            if not values:
                raise KeyError(f'the ledger has no line {match.group(2)}=')
            return quote(values[-1])
        return re.sub(r'\$(?:sha256\((.*?)\)|(\w+))', value_of, text)

    def concerns(self, event):
        """Whether a record is of this behaviour's doing, or about its files."""
        if event.id == 6:
            return True
        if event.id in TRIGGERS:
            return any(self.name in str(value) for value in event.data.values())
        pids = self.lines['pid'] + self.lines['children']
        if any(str(event.data.get(name)) in pids for name in ('ProcessId', 'SourceProcessId', 'TargetProcessId')):
            return True
        return any(str(event.data.get(field, '')).startswith(self.lines['work'][-1] + '/')
                   for field in ('TargetFilename', 'PipeName', 'Device', 'ImageLoaded'))


class Recording:
    """The folder that record.sh filled."""

    def __init__(self, directory, programs):
        self.directory, self.programs = directory, programs
        self.events = [event_of(json.loads(line)) for line in self.text('events.json').split('\n') if line]
        self.events.sort(key=lambda event: event.number)

    def text(self, name):
        with open(os.path.join(self.directory, name), encoding='utf-8', errors='surrogateescape') as f:
            return f.read()

    def ledger(self, name):
        with open(os.path.join(self.programs, name), 'rb') as f:
            return Ledger(name, self.text(name + '.ledger'), f.read())


def event_of(record):
    system = record['System']
    return Event(system['EventID'], system['EventRecordID'], system['TimeCreated'], record['EventData'])


def shown(event):
    return f'{event.id} ' + ' '.join(f'{name}={json.dumps(value, ensure_ascii=False)}'
                                     for name, value in event.data.items())


# --- Judging one behaviour ----------------------------------------------------------------------------------

def judge(behaviour, recording):
    """What is wrong, as lines; none is right."""
    status = recording.text(behaviour.name + '.status').strip()
    ledger = recording.ledger(behaviour.name)
    if 'broken' in ledger.lines or 'self' not in ledger.lines:
        return [f'the behaviour itself failed with status {status}:', *ledger.lines['broken']]

    left = [event for event in recording.events if event.id in behaviour.judged and ledger.concerns(event)]
    wrong = []
    for expectation in behaviour.expected:
        found = [event for event in left if expectation.accepts(event, ledger)]
        wanted = expectation.count(ledger)
        # Two lines may accept the same record: each takes its own number and leaves the rest to the others.
        for event in found[:wanted]:
            left.remove(event)
        if len(found) < wanted:
            wrong.append(f'missing, {len(found)} of {wanted}: {expectation.line}')
    wrong += [f'unexpected: {shown(event)}' for event in left[:20]]
    if len(left) > 20:
        wrong.append(f'unexpected: {len(left) - 20} more')
    for number, name in behaviour.suffixes:
        wrong += judge_suffix(number, ledger.lines[name], recording)
    return wrong


def judge_suffix(number, wanted, recording):
    recorded = {str(event.data['ProcessId']) for event in recording.events if event.id == number}
    there = [pid in recorded for pid in wanted]
    if True not in there:
        return [f'none of {len(wanted)} has an event {number}']
    gaps = [wanted[i] for i in range(there.index(True), len(wanted)) if not there[i]]
    return [f'no event {number} of {pid}, though an earlier one has one' for pid in gaps]


# --- What is true of any log --------------------------------------------------------------------------------

def all_numbers_follow(recording):
    """record ids start at 1 and leave nothing out"""
    numbers = [event.number for event in recording.events]
    return [] if numbers == list(range(1, len(numbers) + 1)) else [f'{numbers[:3]}..{numbers[-3:]}']


def all_processes_keep_their_guid(recording):
    """what a process does after its event 1 carries the ProcessGuid of that event"""
    wrong, current = [], {}
    for event in sorted(recording.events, key=lambda event: (event.data.get('UtcTime', ''), event.number)):
        pid, guid, time = (event.data.get(name) for name in ('ProcessId', 'ProcessGuid', 'UtcTime'))
        if event.id == 1:
            current[pid] = (guid, time)
        elif guid and pid in current and guid != current[pid][0] and time != current[pid][1]:
            # In the very millisecond of the exec nobody can say which came first.
            wrong.append(f'{current[pid][0]} expected: {shown(event)}')
        if event.id == 5:
            current.pop(pid, None)
    return wrong[:10]


def all_processes_are_known(recording):
    """no process acts or ends without a name, wherever it was when the monitor came"""
    return [shown(event) for event in recording.events
            if event.data.get('Image') == '-' and event.data.get('ProcessId') != 0][:10]


def all_images_have_an_own_guid(recording):
    """no two events 1 share a ProcessGuid, and none is zero"""
    seen, wrong = set(), []
    for event in recording.events:
        guid = event.data.get('ProcessGuid')
        if event.id == 1:
            if guid in seen or not re.search('[1-9a-fA-F]', guid or ''):
                wrong.append(shown(event))
            seen.add(guid)
    return wrong[:10]


def all_values_are_text(recording):
    """no value is empty or holds a character that XML or a terminal must not see"""
    return [shown(event) for event in recording.events
            for value in event.data.values()
            if value == '' or re.search('[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ufffe\uffff\ud800-\udfff]', str(value))][:10]


def all_is_accounted_for(recording):
    """nothing was lost and no error was reported"""
    wrong = [shown(event) for event in recording.events if event.id == 255]
    if recording.text('konseki.status').strip() != '0':
        wrong.append('konseki run ended with status ' + recording.text('konseki.status').strip())
    return wrong


def all_begins_and_ends(recording):
    """event 16, then event 4 Started come first, event 4 Stopped last"""
    first = [event.id for event in recording.events[:2]]
    states = [event.data['State'] for event in recording.events if event.id == 4]
    if first == [16, 4] and states == ['Started', 'Stopped'] and recording.events[-1].id == 4:
        return []
    return [f'first {first}, states {states}, last {recording.events[-1].id}']


ALWAYS = [all_numbers_follow, all_processes_keep_their_guid, all_processes_are_known, all_images_have_an_own_guid,
          all_values_are_text, all_is_accounted_for, all_begins_and_ends]


def report(recording, where):
    """TAP of everything; True if all is well."""
    verdicts = [(behaviour.name, lambda b=behaviour: judge(b, recording)) for behaviour in behaviours()]
    verdicts += [(rule.__doc__, lambda r=rule: r(recording)) for rule in ALWAYS]
    print(f'1..{len(verdicts)}')
    well = True
    for i, (name, verdict) in enumerate(verdicts, 1):
        try:
            wrong = verdict()
        except (OSError, KeyError, ValueError) as e:
            wrong = [f'cannot be judged: {e!r}']
        print('not ok' if wrong else 'ok', i, f'- {where}: {name}')
        for line in wrong:
            print('#', line.replace('\n', '\n# '))
        well = well and not wrong
    return well


# --- Getting it recorded ------------------------------------------------------------------------------------

def copy_programs(directory):
    """Where every user may execute them, and without the build's other files."""
    os.makedirs(directory)
    for behaviour in behaviours():
        shutil.copy(os.path.join(BUILD, 'tests', 'vm', 'behaviours', behaviour.name), directory)


def record_here(scratch):
    out, work, programs = (os.path.join(scratch, name) for name in ('out', 'work', 'programs'))
    copy_programs(programs)
    # With a /run of its own it does not meet a konseki that watches this machine already.
    recorder = subprocess.Popen(['unshare', '--mount', 'sh', '-c', 'mount -t tmpfs tmpfs /run && exec "$@"', 'sh',
                                 os.path.join(HERE, 'record.sh'), KONSEKI, programs, work, out, RULES],
                                stdin=subprocess.DEVNULL)
    try:
        status = recorder.wait()
    except BaseException:
        recorder.terminate()  # it stops what it started
        recorder.wait()
        raise
    return Recording(out, programs) if status == 0 else None


def root_of_file_system(path):
    while not os.path.ismount(path):
        path = os.path.dirname(path)
    return path


def record_in_guest(scratch, name, option):
    out, programs = (os.path.join(scratch, name) for name in ('out', 'programs'))
    copy_programs(programs)
    guest = vm.Guest(f'export BEHAVIOUR_MANY={EMULATED_MANY} BEHAVIOUR_FULL=1\n'
                     '/record.sh /usr/bin/konseki /usr/lib/behaviours /work/here /out /rules.xml\n')
    guest.copy(os.path.join(HERE, 'record.sh'), '/record.sh')
    guest.copy(RULES, '/rules.xml')
    guest.copy_program(KONSEKI, '/usr/bin/konseki')
    guest.add('/usr/lib/dummy.ko', vm.kernel(name).module('dummy'))
    for program in os.listdir(programs):
        guest.copy(os.path.join(programs, program), '/usr/lib/behaviours/' + program)
    outcome = vm.boot(vm.kernel(name), guest, seconds=900, append=option)
    for path, data in outcome.files.items():
        os.makedirs(os.path.dirname(os.path.join(out, path)), exist_ok=True)
        with open(os.path.join(out, path), 'wb') as f:
            f.write(data)
    if outcome.status == 0:
        return Recording(out, programs)
    print(outcome.text('guest.txt'), outcome.text('konseki.txt'), outcome.console, sep='\n')
    return None


def main(arguments):
    sys.stdout.reconfigure(encoding='utf-8', errors='backslashreplace')
    if len(arguments) == 2 and arguments[0] == 'judge':
        return 0 if report(Recording(arguments[1], os.path.join(BUILD, 'tests', 'vm', 'behaviours')), 'judge') else 1
    if len(arguments) not in (1, 2):
        print(__doc__, file=sys.stderr)
        return 2
    where, option = arguments[0], ''.join(arguments[1:])
    scratch = tempfile.mkdtemp(prefix='konseki-behave.', dir='/var/tmp')
    os.chmod(scratch, 0o755)
    try:
        recording = record_here(scratch) if where == 'host' else record_in_guest(scratch, where, option)
        where += option and ' ' + option
        if not recording:
            print(f'1..1\nnot ok 1 - {where}: behaviours could be recorded')
            return 1
        return 0 if report(recording, where) else 1
    finally:
        if where == 'host' or where.startswith('host '):
            shutil.rmtree(os.path.join(root_of_file_system(scratch), ARCHIVE), ignore_errors=True)
        if not os.environ.get('KEEP'):
            shutil.rmtree(scratch)
        else:
            print(f'# kept: {scratch}')


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
