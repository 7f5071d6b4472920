#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Holds a log against the ledger of the generator: every operation exactly once, with the right process,
object and parent, and nothing else of the generator's.

    compare.py --ledger LEDGER --log JSON --tally TEXT --status STATUS

JSON is what `konseki view --json` prints ("-": standard input), TEXT what `konseki run` printed at its end,
STATUS what `konseki status --json` printed when the generator was done.

One thing is demanded of full kernels only: the path by which it was done, if a bind mount gives an object two.
Tracepoints do not tell the mount (docs/sensor.md), so there either path is right. So it is of attributes on any kernel
if the two paths differ before their last 64 bytes only.
Executables that were written are judged in CONTENTS only: elsewhere the generator does not know who closes a file last.
Prints TAP; below a failure stand its first differences.
"""
import argparse
import bisect
import calendar
import collections
import hashlib
import json
import re
import sys
import time

CREATE, CONNECT, TERMINATE, MODULE, ATTRIBUTE, BLOCKED, EXECUTABLE = 1, 3, 5, 6, 15, 27, 29
TRIGGERS = (19, 20, 21)
TOLD_WHEN_LOOKED_AT = (BLOCKED, EXECUTABLE)  # which is after it was done, and its process may be gone
CONTENTS = b'/contents/'

# The ledger has the wall clock of each operation, the log the boot clock and where the wall clock stood
# when the monitor started. This much may a clock that is being adjusted drift between the two.
CLOCKS_DIFFER_NS = 50_000_000
CLOCKS_USUALLY_DIFFER_NS = 1_000_000
STARTS_WITHIN_NS = 2_000_000_000  # the generator: from its exec to its first line, on a machine that is busy
DIFFERENCES_SHOWN = 12
ENDS_COMPARED = 64 + len(':user.truth')

Event = collections.namedtuple('Event', 'id pid what time guid parent_guid record')
Operation = collections.namedtuple('Operation', 'id pid what since until how may_be_missing')


# --- What an event is about, as the ledger has it and as the log has it: of each kind both side by side. ---

def ledger_bytes(text):
    return text.encode('latin-1')


def digest_of(line):
    return 'SHA256=' + hashlib.sha256(ledger_bytes(line['content']) * line.get('times', 1)).hexdigest().upper()


ESCAPE = re.compile(rb'\\x([0-9A-Fa-f]{2})')


def log_bytes(text):
    """The bytes behind the written form of a value."""
    value = text.encode()
    return ESCAPE.sub(lambda m: bytes([int(m[1], 16)]), value) if b'\\x' in value else value


Who = collections.namedtuple('Who', 'pid guid image user')  # the fields that name the process; None: there is none
PROCESS = Who('ProcessId', 'ProcessGuid', 'Image', 'User')
SOURCE = Who('SourceProcessId', 'SourceProcessGuid', 'SourceImage', 'SourceUser')
USER_ONLY = Who(None, None, None, 'User')
NOBODY = Who(None, None, None, None)

# done: of a line of the ledger and the generator's image, seen: of a record. Behind image and user, where there are such.
Kind = collections.namedtuple('Kind', 'name done seen who', defaults=(PROCESS,))


def file_kind(name, field, who=PROCESS):
    return Kind(name, lambda line, _: (ledger_bytes(line['path']),), lambda data: (log_bytes(data[field]),), who)


def content_kind(name):
    return Kind(name, lambda line, _: (ledger_bytes(line['path']), digest_of(line), 'true'),
                lambda data: (log_bytes(data['TargetFilename']), data['Hashes'], data.get('Archived', 'true')))


def trigger_kind(name, field, about):
    return Kind(name, lambda line, _: (line['how'], line['name'], line['about']),
                lambda data: (data['Operation'], data[field], data[about]), USER_ONLY)


def setting_kind(name, field):
    def done(line, _):
        value = digest_of(line) if 'content' in line else line.get('value')
        return line['type'], ledger_bytes(line['object']), value and ledger_bytes(value)

    def seen(data):
        value = data.get(field)
        return data['EventType'], log_bytes(data['TargetObject']), value and log_bytes(value)
    return Kind(name, done, seen)


def connection_done(line, _):
    source, destination = line['source'], line['destination']
    return (line['protocol'], bool(line['initiated']), ':' in source, source, line['source_port'], ':' in destination,
            destination, line['destination_port'])


def connection_seen(data):
    return tuple(data[field] for field in ('Protocol', 'Initiated', 'SourceIsIpv6', 'SourceIp', 'SourcePort',
                                           'DestinationIsIpv6', 'DestinationIp', 'DestinationPort'))


def start_done(line, generator):
    command_line = b' '.join(ledger_bytes(argument) for argument in line['argv'])
    return command_line, ledger_bytes(line['cwd']), line['parent'], generator


def start_seen(data):
    return (log_bytes(data['CommandLine']), log_bytes(data['CurrentDirectory']), data['ParentProcessId'],
            log_bytes(data['ParentImage']))


PARENT = 4  # where what_was_done() and what_was_seen() of a ProcessCreate have the parent's process id

KINDS = {
    CREATE: Kind('ProcessCreate', start_done, start_seen),
    2: file_kind('FileCreateTime', 'TargetFilename'),
    CONNECT: Kind('NetworkConnect', connection_done, connection_seen),
    TERMINATE: Kind('ProcessTerminate', lambda line, _: (), lambda data: ()),
    MODULE: file_kind('DriverLoad', 'ImageLoaded', NOBODY),
    7: file_kind('ImageLoad', 'ImageLoaded'),
    8: Kind('CreateRemoteThread', lambda line, _: (line['target'],), lambda data: (data['TargetProcessId'],), SOURCE),
    9: file_kind('RawAccessRead', 'Device'),
    10: Kind('ProcessAccess', lambda line, _: (line['target'], line['access']),
             lambda data: (data['TargetProcessId'], data['GrantedAccess']), SOURCE._replace(guid='SourceProcessGUID')),
    11: file_kind('FileCreate', 'TargetFilename'),
    12: setting_kind('RegistryEvent (made or gone)', 'Details'),
    13: setting_kind('RegistryEvent (value set)', 'Details'),
    14: setting_kind('RegistryEvent (renamed)', 'NewName'),
    ATTRIBUTE: file_kind('FileCreateStreamHash', 'TargetFilename'),
    16: Kind('ServiceConfigurationChange', lambda line, _: (ledger_bytes(line['path']), digest_of(line)),
             lambda data: (log_bytes(data['Configuration']), data['ConfigurationFileHash']), NOBODY),
    17: file_kind('PipeEvent (created)', 'PipeName'),
    18: file_kind('PipeEvent (connected)', 'PipeName'),
    19: trigger_kind('WmiEvent (filter)', 'Name', 'Query'),
    20: trigger_kind('WmiEvent (consumer)', 'Name', 'Destination'),
    21: trigger_kind('WmiEvent (binding)', 'Consumer', 'Filter'),
    22: Kind('DnsQuery', lambda line, _: (ledger_bytes(line['name']), line['status'], ledger_bytes(line['results'])),
             lambda data: (log_bytes(data['QueryName']), data['QueryStatus'], log_bytes(data['QueryResults']))),
    23: content_kind('FileDelete'),
    24: Kind('ClipboardChange', lambda line, _: (line['display'], digest_of(line), 'true'),
             lambda data: (data['Session'], data['Hashes'], data['Archived'])),
    25: Kind('ProcessTampering', lambda line, _: (line['type'],), lambda data: (data['Type'],)),
    26: file_kind('FileDeleteDetected', 'TargetFilename'),
    BLOCKED: content_kind('FileBlockExecutable'),
    28: content_kind('FileBlockShredding'),
    EXECUTABLE: content_kind('FileExecutableDetected'),
    100: Kind('eBPFEvent', lambda line, _: (line['command'], line['type'], line['name'], line['id']),
              lambda data: (data['BpfCommand'], data['BpfProgramType'], data['BpfProgramName'], data['BpfProgramId'])),
}


def what_was_done(line, generator):
    """The object of an operation, in the form that what_was_seen() gives a record."""
    kind = KINDS[line['event']]
    image = ledger_bytes(line['image']) if 'image' in line else generator
    by = ((image,) if kind.who.image else ()) + ((line['user'],) if kind.who.user else ())
    return by + kind.done(line, generator)


def what_was_seen(event, data):
    kind = KINDS[event]
    by = ((log_bytes(data[kind.who.image]),) if kind.who.image else ()) + ((data[kind.who.user],) if kind.who.user else ())
    return by + kind.seen(data)


# --- The ledger. ---

class Ledger:
    """What the generator says it did."""

    def __init__(self, path):
        self.operations = []
        self.binds = []  # (what is above an object, what else may be above it)
        self.own_mounts = []  # folders in mount namespaces that end
        self.let_pass = []  # files that were overwritten though that was to be refused
        self.whole = False
        with open(path, encoding='ascii') as lines:
            self.begin = json.loads(next(lines))
            generator = ledger_bytes(self.begin['image'])
            for text in lines:
                line = json.loads(text)
                if 'end' in line:
                    self.whole = True
                    continue
                if 'own_mounts' in line:
                    self.own_mounts.append(ledger_bytes(line['own_mounts']) + b'/')
                    continue
                if 'let_pass' in line:
                    self.let_pass.append(line['let_pass'])
                    continue
                if 'bind' in line:
                    self.binds.append((ledger_bytes(line['bind']) + b'/', ledger_bytes(line['also']) + b'/'))
                    continue
                pid = line['pid'] if KINDS[line['event']].who.pid else None
                self.operations.append(Operation(line['event'], pid, what_was_done(line, generator),
                                                 line['since'], line['until'] or time.time_ns(), line['how'],
                                                 line.get('may_be_missing')))
        self.modules = {o.what for o in self.operations if o.id == MODULE}
        self.triggers = {o.what[2] for o in self.operations if o.id in TRIGGERS}
        self.contents = {o.what[2] for o in self.operations if o.id in TOLD_WHEN_LOOKED_AT}
        self.generator = generator
        self.directory = ledger_bytes(self.begin['directory']) + b'/'
        self.lives = self.find_lives()

    def find_lives(self):
        """For each process id the spans in which it was the generator's."""
        lives = collections.defaultdict(list)
        for operation in self.operations:
            if operation.id == TERMINATE:
                before = STARTS_WITHIN_NS if operation.pid == self.begin['pid'] else CLOCKS_DIFFER_NS
                lives[operation.pid].append((operation.since - before, operation.until + CLOCKS_DIFFER_NS))
        for spans in lives.values():
            spans.sort()
        return lives

    def latest_life(self, pid, at):
        """Which life of this process id began last: an index, -1 if there was none."""
        return bisect.bisect_right(self.lives.get(pid, ()), (at, float('inf'))) - 1

    def life(self, pid, at):
        """The same, but None if it had ended by then: the process is nobody of ours."""
        index = self.latest_life(pid, at)
        return index if index >= 0 and at <= self.lives[pid][index][1] else None


# --- The log. ---

class Clock:
    """Times of the log as nanoseconds since 1970; most differ from the one before only behind the second."""

    def __init__(self):
        self.second, self.ns = '', 0

    def read(self, text):
        second, fraction = text[:19], text[20:-1]
        if second != self.second:
            self.second = second
            self.ns = calendar.timegm(time.strptime(second, '%Y-%m-%dT%H:%M:%S')) * 10**9
        return self.ns + int(fraction.ljust(9, '0'))


def is_of(ledger, event):
    """Whether a record is of a process of the generator, or speaks of its directory or module, whoever did it."""
    if event.id == MODULE:
        return event.what in ledger.modules
    if event.id in TRIGGERS:
        return event.what[2] in ledger.triggers
    if event.id in TOLD_WHEN_LOOKED_AT:
        return event.what[2] in ledger.contents or \
            (event.what[2].startswith(ledger.directory) and CONTENTS in event.what[2])
    return ledger.life(event.pid, event.time) is not None or \
        any(isinstance(value, bytes) and value.startswith(ledger.directory) for value in event.what)


def by_the_mount_used(what, binds):
    """The object of a record, its path changed to that of the bind mount if it has the other one."""
    for path, also in binds:
        what = tuple(path + value[len(also):] if isinstance(value, bytes) and value.startswith(also) else value
                     for value in what)
    return what


def below_the_root(path, folders):
    """The path of a file that was looked at after its mount namespace had ended: then only its end is known."""
    for folder in folders:
        at = folder.find(b'/', 1)
        while 0 < at < len(folder) - 1:
            if path.startswith(folder[at:]):
                return folder[:at] + path
            at = folder.find(b'/', at + 1)
    return path


class Log:
    """What was recorded: how much of each type, and in full what is the generator's."""

    def __init__(self, lines, ledger, mounts_known=True):
        self.counts = collections.Counter()
        self.first = self.last = None
        self.events = []
        self.errors = []
        clock = Clock()
        for text in lines:
            record = json.loads(text)
            system, data = record['System'], record['EventData']
            self.count(system)
            if system['EventID'] == 255:
                self.errors.append(f"{data['ID']}: {data['Description']}")
            if system['EventID'] not in KINDS:
                continue
            what = what_was_seen(system['EventID'], data)
            if not mounts_known or (system['EventID'] == ATTRIBUTE and len(what[2].rpartition(b'/')[2]) > ENDS_COMPARED):
                what = by_the_mount_used(what, ledger.binds)
            if system['EventID'] in TOLD_WHEN_LOOKED_AT:
                what = (*what[:2], below_the_root(what[2], ledger.own_mounts), *what[3:])
            who = KINDS[system['EventID']].who
            event = Event(system['EventID'], data.get(who.pid), what, clock.read(system['TimeCreated']), data.get(who.guid),
                          data.get('ParentProcessGuid'), system['EventRecordID'])
            if is_of(ledger, event):
                self.events.append(event)
        self.events.sort(key=lambda e: (e.time, e.record))

    def count(self, system):
        number = system['EventRecordID']
        self.counts[system['EventID']] += 1
        self.first = number if self.first is None else min(self.first, number)
        self.last = number if self.last is None else max(self.last, number)


TALLY_ROW = re.compile(r'^ *(\d+) .*? (\d+) +(\d+) +(\d+) +(\d+)$', re.M)


def read_tally(text):
    """{event id: {column: number}} from the table that `konseki run` prints when it ends."""
    return {int(row[0]): dict(zip(('produced', 'filtered', 'logged', 'lost'), map(int, row[1:])))
            for row in TALLY_ROW.findall(text)}


# --- The comparison. ---

class Tap:
    def __init__(self, label):
        self.label = label
        self.done = self.failed = 0

    def result(self, name, differences):
        self.done += 1
        self.failed += bool(differences)
        print(f'{"not " if differences else ""}ok {self.done} - {self.label}{name}')
        for difference in differences[:DIFFERENCES_SHOWN]:
            print(f'#   {difference}')
        if len(differences) > DIFFERENCES_SHOWN:
            print(f'#   and {len(differences) - DIFFERENCES_SHOWN} more')


def by_key(things):
    keyed = collections.defaultdict(list)
    for thing in things:
        keyed[thing.id, thing.pid, thing.what].append(thing)
    return keyed


def operations_of_log(ledger, log):
    """The generator itself was started by somebody else: of its own record 1 only the image is known."""
    events = []
    for e in log.events:
        if e.id == CREATE and e.pid == ledger.begin['pid'] and e.what[0] == ledger.generator:
            continue
        events.append(e)
    return events, len(log.events) - len(events)


def align(operations, records):
    """Pairs operations with the records of the same key, both in order of time. As many of one as of the other
    belong together one by one, whatever their times; else the times tell which are without a partner."""
    if len(operations) == len(records):
        return list(zip(operations, records)), [], []
    pairs, alone, more, records = [], [], [], collections.deque(records)
    for operation in operations:
        while records and records[0].time < operation.since - CLOCKS_USUALLY_DIFFER_NS:
            more.append(records.popleft())
        if records and records[0].time <= operation.until + CLOCKS_USUALLY_DIFFER_NS:
            pairs.append((operation, records.popleft()))
        else:
            alone.append(operation)
    return pairs, alone, more + list(records)


PAIRS_REMEMBERED = 1 << 14  # of UDP, at least: one that was told before so many others may be told again


def by_turn_of_pairs(events):
    """Of the records of UDP pairs: after how many others each came."""
    pairs = [e.record for e in events if e.id == CONNECT and e.what[2] == 'udp']
    return {number: turn for turn, number in enumerate(pairs)}


def was_forgotten(record, seen, turns):
    """Was this pair told before, but so long ago? (What was seen beside it is the same pair.)"""
    if record.record not in turns:
        return False
    turn = turns[record.record]
    earlier = [turns[e.record] for e in seen if turns[e.record] < turn]
    return bool(earlier) and turn - max(earlier) > PAIRS_REMEMBERED


def in_order(differences):
    return [text for _, text in sorted(differences)]


def compare_operations(tap, ledger, log):
    """Exactly once: counted by type, process and object. Returns the pairs that belong together."""
    events, own = operations_of_log(ledger, log)
    done, seen = by_key(ledger.operations), by_key(events)
    missing, unexpected, pairs = collections.defaultdict(list), [], []
    turns = by_turn_of_pairs(events)
    for key in done.keys() | seen.keys():
        operations = sorted(done.get(key, ()), key=lambda o: o.since)
        together, alone, more = align(operations, seen.get(key, ()))
        pairs += together
        for operation in alone:
            if operation.may_be_missing:
                continue
            missing[key[0]].append((operation.since, f'missing: {operation.how} by process {key[1]}: {key[2]}'))
        for record in more:
            if was_forgotten(record, seen[key], turns):
                continue
            unexpected.append((record.time, f'unexpected: record {record.record}: {KINDS[key[0]].name} of process '
                                            f'{key[1]}: {key[2]}'))
    counts = collections.Counter(o.id for o in ledger.operations)
    for number, kind in KINDS.items():
        tap.result(f'{counts[number]} times {kind.name}: each operation is in the log',
                   in_order(missing[number]))
    tap.result('nothing of the generator\'s is in the log more than once or without an operation',
               in_order(unexpected))
    tap.result('the generator\'s own start is one ProcessCreate', [] if own == 1 else [f'{own} records'])
    return pairs


def compare_times(tap, pairs):
    differences = []
    for operation, event in pairs:
        until = float('inf') if event.id in TOLD_WHEN_LOOKED_AT else operation.until
        if not operation.since - CLOCKS_DIFFER_NS <= event.time <= until + CLOCKS_DIFFER_NS:
            differences.append(f'record {event.record}, {operation.how}: {event.time}, but it was done '
                               f'from {operation.since} to {operation.until}')
    tap.result('each record has the time of its operation', differences)


def compare_identities(tap, ledger, log):
    """A ProcessGuid for each image of each process: new at exec, kept until then, never used twice."""
    current, owner, of_life, differences = {}, {}, {}, []
    for event in log.events:
        if event.guid is None:
            continue
        at = ledger.latest_life if event.id in TOLD_WHEN_LOOKED_AT else ledger.life
        life = event.pid, at(event.pid, event.time)
        known = current.get(life)
        if event.id == CREATE or known is None:
            if event.guid in owner:
                differences.append(f'record {event.record}: {event.guid} of process {event.pid} was '
                                   f'seen before, of process {owner[event.guid]}')
            current[life] = event.guid
            owner[event.guid] = event.pid
        elif event.guid != known:
            differences.append(f'record {event.record}: process {event.pid} had {known} and has '
                               f'{event.guid}, without an exec between')
        of_life[life] = event.guid
    tap.result(f'{len(owner)} images of processes have one ProcessGuid each', differences)
    return of_life


def compare_parents(tap, ledger, log, of_life):
    """Parents never execute anything themselves, so each has one ProcessGuid. They may be gone."""
    differences, checked = [], 0
    for event in log.events:
        if event.id != CREATE or event.pid == ledger.begin['pid']:
            continue
        parent = event.what[PARENT]
        checked += 1
        guid = of_life.get((parent, ledger.latest_life(parent, event.time)))
        if event.parent_guid != guid:
            differences.append(f'record {event.record}: ParentProcessGuid {event.parent_guid}, but '
                               f'process {parent} has {guid}')
    tap.result(f'{checked} ParentProcessGuids are those of the parents', differences)


def compare_tally(tap, log, tally):
    differences = [f'the tally has no row for {kind.name}' for number, kind in KINDS.items()
                   if number not in tally]
    lost = []
    for number, row in sorted(tally.items()):
        if row['produced'] != row['filtered'] + row['logged'] + row['lost']:
            differences.append(f'event {number}: {row}')
        if row['lost']:
            lost.append(f'event {number}: {row}')
    tap.result('produced = filtered + logged + lost', differences)
    tap.result('nothing was lost', lost + log.errors)
    tap.result('the log holds as many records of each type as the tally says',
               [f'event {number}: {log.counts[number]} records, {tally[number]["logged"]} logged'
                for number in KINDS if number in tally and log.counts[number] != tally[number]['logged']])
    total = sum(log.counts.values())
    tap.result('record ids have no gap and none occurs twice',
               [] if total and log.last - log.first + 1 == total else
               [f'{total} records from {log.first} to {log.last}'])


def main():
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('--ledger', required=True)
    parser.add_argument('--log', required=True, help='JSON of konseki view, "-": standard input')
    parser.add_argument('--tally', required=True, help='what konseki run printed')
    parser.add_argument('--label', default='', help='put before the name of each result')
    parser.add_argument('--status', required=True, help='JSON of konseki status')
    options = parser.parse_args()

    tap = Tap(options.label)
    ledger = Ledger(options.ledger)
    with open(options.status, encoding='utf-8') as text:
        status = json.load(text)
    mounts_known = status['kernel'] == 'full'
    if options.log == '-':
        log = Log(sys.stdin, ledger, mounts_known)
    else:
        with open(options.log, encoding='utf-8') as lines:
            log = Log(lines, ledger, mounts_known)
    with open(options.tally, encoding='utf-8', errors='replace') as text:
        tally = read_tally(text.read())

    tap.result('the ledger is whole', [] if ledger.whole else ['its last line is missing'])
    pairs = compare_operations(tap, ledger, log)
    tap.result('what was let pass, without a word in time, was counted', [] if status['missed'] else ledger.let_pass)
    compare_times(tap, pairs)
    of_life = compare_identities(tap, ledger, log)
    compare_parents(tap, ledger, log, of_life)
    compare_tally(tap, log, tally)
    print(f'1..{tap.done}')
    return 1 if tap.failed else 0


if __name__ == '__main__':
    sys.exit(main())
