#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Proves that compare.py notices what it is there for: a log that fits its ledger passes, and each single
change of it fails in the one result that is about it. Prints TAP."""
import copy
import hashlib
import json
import os
import subprocess
import sys
import tempfile

COMPARE = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'compare.py')
SECOND = 1_795_490_057  # 2026-11-24T03:14:17Z
GENERATOR, ROOT = '/t/generate', '/t/dir'
MAIN, CHILD = 500, 501
STATUS = {'kernel': 'full', 'missed': 0}


def at(ms):
    return SECOND * 10**9 + ms * 10**6


def operation(event, how, pid, since, until, **more):
    return {'event': event, 'how': how, 'pid': pid, 'user': 'nobody' if pid == CHILD else 'root',
            'since': at(since), 'until': until and at(until), **more}


LEDGER = [
    {'begin': 'konseki truth ledger', 'image': GENERATOR, 'directory': ROOT, 'pid': MAIN, 'since': at(0)},
    operation(11, 'open', MAIN, 100, 101, path=ROOT + '/\xff\\x41\n'),
    operation(26, 'unlink', MAIN, 102, 103, path=ROOT + '/\xff\\x41\n'),
    operation(2, 'times', MAIN, 104, 105, path=ROOT + '/x'),
    operation(25, 'lost', MAIN, 108, 109, image=GENERATOR, type='Image is deleted'),
    operation(17, 'fifo', MAIN, 106, 107, path=ROOT + '/x'),
    operation(1, 'fork', CHILD, 200, 203, parent=MAIN, image=ROOT + '/leaf', cwd=ROOT,
              argv=['leaf', '', 'x y']),
    operation(5, 'fork', CHILD, 200, 203, image=ROOT + '/leaf'),
    operation(3, 'connect', MAIN, 300, 301, protocol='tcp', initiated=1, source='127.0.0.1',
              source_port=4000, destination='127.0.0.1', destination_port=80),
    operation(10, 'another\'s memory', MAIN, 200, 202, target=CHILD, access='0x10'),
    operation(5, 'the generator', MAIN, 0, 0, image=GENERATOR),
    {'bind': ROOT + '/bind', 'also': ROOT + '/bound'},
    operation(26, 'unlink', MAIN, 390, 391, path=ROOT + '/bind/x'),
    operation(6, 'a module', MAIN, 110, 111, path='/t/dummy.ko'),
    operation(9, 'a device', MAIN, 112, 113, path=ROOT + '/disk'),
    operation(13, 'a setting', MAIN, 114, 115, type='SetValue', object='/proc/sys/x', value='one'),
    operation(12, 'a setting', MAIN, 118, 119, type='CreateKey', object='/etc/x'),
    operation(13, 'a setting', MAIN, 118, 119, type='SetValue', object='/etc/x', content='zero', may_be_missing=1),
    operation(13, 'a setting', MAIN, 118, 119, type='SetValue', object='/etc/x', content='two'),
    operation(14, 'a setting', MAIN, 120, 121, type='RenameKey', object='/etc/x', value='/etc/y'),
    operation(100, 'a program', MAIN, 116, 117, command='BPF_PROG_LOAD', type='SOCKET_FILTER', name='x', id=5),
    operation(23, 'unlink', MAIN, 122, 123, path=ROOT + '/contents/kept', content='kept'),
    operation(29, 'a script', CHILD, 203, 203, path='/contents/x', content='#!x'),
    operation(22, 'a look-up', MAIN, 124, 125, name='x.\xff\\.', status='0', results='type:  16 \xff;'),
    operation(16, 'other rules', MAIN, 124, 125, path=ROOT + '/rules.xml', content='rules'),
    {'own_mounts': ROOT + '/w2'},
    operation(29, 'a script', MAIN, 126, 126, path=ROOT + '/w2/contents/x', content='#!z'),
    operation(19, 'Created', MAIN, 128, 129, name='x.timer', about='OnCalendar=daily'),
    operation(21, 'Created', MAIN, 128, 129, name='x.service', about='x.timer'),
    operation(24, 'a text copied', MAIN, 130, 131, display=90, content='x\xff', times=3, may_be_missing=0),
    {'end': 'every operation is written down', 'until': at(400)},
]


def record(number, event, ms, pid, **data):
    process = {MAIN: ('{main}', GENERATOR), CHILD: ('{child}', ROOT + '/leaf')}
    guid, image = process.get(pid, ('{other}', '/bin/other'))
    return {'System': {'EventID': event, 'EventRecordID': number,
                       'TimeCreated': f'2026-11-24T03:14:17.{ms:03}000000Z'},
            'EventData': {'ProcessGuid': guid, 'ProcessId': pid, 'Image': image,
                          'User': 'nobody' if pid == CHILD else 'root', **data}}


def start(number, ms, pid, command_line, parent, parent_guid, parent_image):
    return record(number, 1, ms, pid, CommandLine=command_line, CurrentDirectory=ROOT,
                  ParentProcessId=parent, ParentProcessGuid=parent_guid, ParentImage=parent_image)


def connection(number):
    return record(number, 3, 300, MAIN, Protocol='tcp', Initiated=True, SourceIsIpv6=False,
                  SourceIp='127.0.0.1', SourcePort=4000, DestinationIsIpv6=False,
                  DestinationIp='127.0.0.1', DestinationPort=80)


def access(number):
    read = record(number, 10, 201, MAIN, TargetProcessId=CHILD, GrantedAccess='0x10')
    data = read['EventData']
    for old, new in (('ProcessGuid', 'SourceProcessGUID'), ('ProcessId', 'SourceProcessId'), ('Image', 'SourceImage'),
                     ('User', 'SourceUser')):
        data[new] = data.pop(old)
    return read


def digest(content):
    return 'SHA256=' + hashlib.sha256(content if isinstance(content, bytes) else content.encode()).hexdigest().upper()


NAME = ROOT + '/\\xFF\\x5cx41\n'
LOG = [
    start(1, 1, MAIN, 'generate', 9, '{shell}', '/bin/sh'),
    record(2, 11, 100, MAIN, TargetFilename=NAME),
    record(3, 26, 102, MAIN, TargetFilename=NAME),
    start(4, 201, CHILD, 'leaf  x y', MAIN, '{main}', GENERATOR),
    record(5, 5, 202, CHILD),
    connection(6),
    record(7, 11, 350, 77, TargetFilename='/var/elsewhere'),
    record(8, 5, 399, MAIN),
    record(9, 26, 390, MAIN, TargetFilename=ROOT + '/bind/x'),
    access(10),
    record(11, 2, 104, MAIN, TargetFilename=ROOT + '/x'),
    record(13, 25, 108, MAIN, Type='Image is deleted'),
    record(12, 17, 106, MAIN, PipeName=ROOT + '/x'),
    {**record(14, 6, 110, MAIN), 'EventData': {'ImageLoaded': '/t/dummy.ko'}},
    record(15, 9, 112, MAIN, Device=ROOT + '/disk'),
    record(16, 13, 114, MAIN, EventType='SetValue', TargetObject='/proc/sys/x', Details='one'),
    record(17, 100, 116, MAIN, BpfCommand='BPF_PROG_LOAD', BpfProgramType='SOCKET_FILTER', BpfProgramName='x', BpfProgramId=5),
    record(18, 12, 118, MAIN, EventType='CreateKey', TargetObject='/etc/x'),
    record(19, 13, 118, MAIN, EventType='SetValue', TargetObject='/etc/x', Details=digest('two')),
    record(20, 14, 120, MAIN, EventType='RenameKey', TargetObject='/etc/x', NewName='/etc/y'),
    record(21, 23, 122, MAIN, TargetFilename=ROOT + '/contents/kept', Hashes=digest('kept'), Archived='true'),
    record(22, 29, 205, CHILD, Image=GENERATOR, TargetFilename='/contents/x', Hashes=digest('#!x')),
    record(23, 22, 124, MAIN, QueryName='x.\\xFF\\.', QueryStatus='0', QueryResults='type:  16 \\xFF;'),
    {**record(24, 16, 124, MAIN), 'EventData': {'Configuration': ROOT + '/rules.xml', 'ConfigurationFileHash': digest('rules')}},
    record(25, 29, 127, MAIN, TargetFilename='/w2/contents/x', Hashes=digest('#!z')),
    {**record(26, 19, 128, MAIN), 'EventData': {'User': 'root', 'Operation': 'Created', 'Name': 'x.timer',
                                                'Query': 'OnCalendar=daily'}},
    {**record(27, 21, 128, MAIN), 'EventData': {'User': 'root', 'Operation': 'Created', 'Consumer': 'x.service',
                                                'Filter': 'x.timer'}},
    record(28, 24, 130, MAIN, Session=90, Hashes=digest(b'x\xffx\xffx\xff'), Archived='true'),
]
NEXT = len(LOG) + 1  # its record number
TALLY = {number: [logged, 0, logged, 0] for number, logged in
         {1: 2, 2: 1, 3: 1, 5: 2, 6: 1, 7: 0, 8: 0, 9: 1, 10: 1, 12: 1, 13: 2, 14: 1, 15: 0, 16: 1, 17: 1, 18: 0, 19: 1, 20: 0, 21: 1, 22: 1, 23: 1, 24: 1, 25: 1, 26: 2, 27: 0, 28: 0, 29: 2,
          100: 1}.items()}
TALLY[11] = [5, 3, 2, 0]


def set_data(index, **values):
    return lambda ledger, log, tally, status: log[index]['EventData'].update(values)


def drop(index):
    def change(ledger, log, tally, status):
        del log[index]
    return change


def add(new):
    return lambda ledger, log, tally, status: log.append(new)


def set_tally(number, row):
    return lambda ledger, log, tally, status: tally.update({number: row})


def change_time(ledger, log, tally, status):
    log[2]['System']['TimeCreated'] = '2026-11-24T03:14:18.500000000Z'
    ledger[2]['until'] = at(500)


def cut_ledger(ledger, log, tally, status):
    ledger.pop()


def shuffle(ledger, log, tally, status):
    log.reverse()


def add_short_lived(ledger, log, tally, status, number=NEXT):
    log.append(record(number, 13, 118, MAIN, EventType='SetValue', TargetObject='/etc/x', Details=digest('zero')))
    tally[13][0] += 1
    tally[13][2] += 1


def add_short_lived_twice(ledger, log, tally, status):
    add_short_lived(ledger, log, tally, status)
    add_short_lived(ledger, log, tally, status, NEXT + 1)


def another_executable(ledger, log, tally, status):
    log.append(record(NEXT, 29, 390, MAIN, TargetFilename=ROOT + '/leaf', Hashes='-'))
    tally[29] = [3, 0, 3, 0]


def tell_pair(log, port):
    new = connection(21 + len(log))
    new['EventData'].update(Protocol='udp', SourcePort=port % 65536, DestinationPort=port // 65536)
    new['System']['TimeCreated'] = '2026-11-24T03:14:17.301000000Z'
    log.append(new)


def tell_pair_again(others):
    """A pair of UDP twice, of which the ledger knows once, and others between."""
    def change(ledger, log, tally, status):
        del log[5]
        del ledger[8]
        ledger += [operation(3, 'sendto', MAIN, 300, 302, protocol='udp', initiated=1, source='127.0.0.1',
                             source_port=port % 65536, destination='127.0.0.1', destination_port=port // 65536)
                   for port in range(others + 1)]
        ledger.append(ledger.pop(-others - 2))  # the end
        for port in [*range(others + 1), 0]:
            tell_pair(log, port)
        for number, one in enumerate(log, 1):
            one['System']['EventRecordID'] = number
        tally[3] = [others + 2, 0, others + 2, 0]
    return change


def map_file(ledger, log, tally, status):
    ledger.insert(1, operation(7, 'mapped', MAIN, 108, 109, path=ROOT + '/x'))


def other_path_of_a_mount(ledger, log, tally, status):
    log[8]['EventData']['TargetFilename'] = ROOT + '/bound/x'


def the_same_on_tracepoints(ledger, log, tally, status):
    other_path_of_a_mount(ledger, log, tally, status)
    status['kernel'] = 'tracepoints'


def let_pass(missed):
    def change(ledger, log, tally, status):
        ledger.insert(1, {'let_pass': ROOT + '/contents/precious'})
        status['missed'] = missed
    return change


# What is changed; what must then be said, None if nothing.
CASES = [
    ('a log that fits passes', lambda ledger, log, tally, status: None, None),
    ('the newest record may come first', shuffle, None),
    ('a record that is missing', drop(1), '1 times FileCreate: each operation is in the log'),
    ('a missing deletion', drop(2), '2 times FileDeleteDetected: each'),
    ('a missing look into another process', drop(9), '1 times ProcessAccess: each'),
    ('a look into the wrong process', set_data(9, TargetProcessId=77), '1 times ProcessAccess: each'),
    ('missing times', drop(10), '1 times FileCreateTime: each'),
    ('another kind of tampering', set_data(11, Type='Image is replaced'), '1 times ProcessTampering: each'),
    ('another pipe', set_data(12, PipeName=ROOT + '/y'), '1 times PipeEvent (created): each'),
    ('a missing library', map_file, '1 times ImageLoad: each'),
    ('a library that nobody mapped', add(record(10, 7, 108, MAIN, ImageLoaded=ROOT + '/x')), 'without an operation'),
    ('another module', set_data(13, ImageLoaded='/t/other.ko'), '1 times DriverLoad: each'),
    ('another device', set_data(14, Device=ROOT + '/disk1'), '1 times RawAccessRead: each'),
    ('another value', set_data(15, Details='two'), '3 times RegistryEvent (value set): each'),
    ('a key that is gone instead', set_data(17, EventType='DeleteKey'), '1 times RegistryEvent (made or gone): each'),
    ('another content', set_data(18, Details=digest('one')), '3 times RegistryEvent (value set): each'),
    ('another name', set_data(19, NewName='/etc/z'), '1 times RegistryEvent (renamed): each'),
    ('a value that nobody set', add(record(NEXT, 13, 119, MAIN, EventType='SetValue', TargetObject='/etc/x',
                                           Details=digest('three'))), 'without an operation'),
    ('a missing look-up', drop(22), '1 times DnsQuery: each'),
    ('another name that was looked up', set_data(22, QueryName='x.\\xFF.'), '1 times DnsQuery: each'),
    ('another status of a look-up', set_data(22, QueryStatus='9003'), '1 times DnsQuery: each'),
    ('another answer to a look-up', set_data(22, QueryResults='type:  16 \\xFE;'), '1 times DnsQuery: each'),
    ('a look-up of the server, too', add(record(NEXT, 22, 202, CHILD, QueryName='x.\\xFF\\.', QueryStatus='0',
                                                    QueryResults='type:  16 \\xFF;')), 'without an operation'),
    ('a text of the clipboard twice', add(record(NEXT, 24, 130, MAIN, Session=90, Hashes=digest(b'x\xffx\xffx\xff'), Archived='true')),
     'more than once'),
    ('another text of the clipboard', set_data(27, Hashes=digest('x')), '1 times ClipboardChange: each'),
    ('another program', set_data(16, BpfProgramId=6), '1 times eBPFEvent: each'),
    ('a kept file that was not archived', set_data(20, Archived='false'), '1 times FileDelete: each'),
    ('another digest of an executable', set_data(21, Hashes=digest('#!y')), '2 times FileExecutableDetected: each'),
    ('an executable that nobody wrote', add(record(NEXT, 29, 390, CHILD, TargetFilename=ROOT + '/contents/y', Hashes='-')),
     'without an operation'),
    ('an executable elsewhere passes', another_executable, None),
    ('other rules than those given', set_data(23, ConfigurationFileHash=digest('ruled')), '1 times ServiceConfigurationChange: each'),
    ('another condition', set_data(25, Query='OnCalendar=weekly'), '1 times WmiEvent (filter): each'),
    ('another binding', set_data(26, Filter='y.timer'), '1 times WmiEvent (binding): each'),
    ('a missing end', drop(4), '2 times ProcessTerminate: each'),
    ('a missing connection', drop(5), '1 times NetworkConnect: each'),
    ('a record twice', add(record(10, 11, 100, MAIN, TargetFilename=NAME)), 'more than once or without'),
    ('another path', set_data(1, TargetFilename=ROOT + '/\\xFE'), '1 times FileCreate: each'),
    ('a file of ours by a stranger', add(record(10, 26, 350, 77, TargetFilename=NAME)), 'without an operation'),
    ('the other path of a bind mount', other_path_of_a_mount, '2 times FileDeleteDetected: each'),
    ('the same on a tracepoint-only kernel passes', the_same_on_tracepoints, None),
    ('another process', set_data(1, ProcessId=77), '1 times FileCreate: each'),
    ('another image', set_data(1, Image='/bin/other'), '1 times FileCreate: each'),
    ('another user', set_data(4, User='root'), '2 times ProcessTerminate: each'),
    ('another command line', set_data(3, CommandLine='leaf x y'), '1 times ProcessCreate: each'),
    ('another parent', set_data(3, ParentProcessId=9), '1 times ProcessCreate: each'),
    ('another ParentProcessGuid', set_data(3, ParentProcessGuid='{other}'), 'ParentProcessGuids'),
    ('a changed ProcessGuid', set_data(2, ProcessGuid='{new}'), 'one ProcessGuid each'),
    ('one ProcessGuid for two processes', set_data(3, ProcessGuid='{main}'), 'one ProcessGuid each'),
    ('the wrong end began', set_data(5, Initiated=False), '1 times NetworkConnect: each'),
    ('another port', set_data(5, SourcePort=4001), '1 times NetworkConnect: each'),
    ('a record at another time', change_time, 'has the time of its operation'),
    ('a value that was replaced at once passes', add_short_lived, None),
    ('the same twice', add_short_lived_twice, 'without an operation'),
    ('a pair of UDP twice, many others between, passes', tell_pair_again(16400), None),
    ('the same with fewer others', tell_pair_again(16000), 'more than once or without'),
    ('a tally that does not add up', set_tally(11, [5, 2, 2, 0]), 'produced = filtered'),
    ('a loss', set_tally(11, [6, 3, 2, 1]), 'nothing was lost'),
    ('a tally of more than the log holds', set_tally(11, [6, 3, 3, 0]), 'as the tally says'),
    ('no tally', lambda ledger, log, tally, status: tally.clear(), 'produced = filtered'),
    ('a gap of record ids', lambda ledger, log, tally, status: log[0]['System'].update(EventRecordID=0), 'no gap'),
    ('an overwriting that was not refused', let_pass(0), 'was counted'),
    ('the same, counted, passes', let_pass(1), None),
    ('a ledger cut short', cut_ledger, 'the ledger is whole'),
]


def compare(ledger, log, tally, status):
    with tempfile.TemporaryDirectory() as directory:
        def put(name, text):
            path = os.path.join(directory, name)
            with open(path, 'w', encoding='utf-8') as out:
                out.write(text)
            return path

        lines = ['Event     produced filtered logged lost']
        lines += [f"{number:3} Some event logged {row[0]:8} {row[1]:8} {row[2]:8} {row[3]:8}"
                  for number, row in tally.items()]
        run = subprocess.run(
            [sys.executable, COMPARE, '--ledger', put('ledger', '\n'.join(map(json.dumps, ledger))),
             '--log', put('log', '\n'.join(map(json.dumps, log))), '--tally', put('tally', '\n'.join(lines)),
             '--status', put('status', json.dumps(status))],
            stdout=subprocess.PIPE, text=True, check=False)
    failures = [line for line in run.stdout.splitlines() if line.startswith('not ok')]
    return run.returncode, failures, run.stdout


def main():
    failed = 0
    for number, (name, change, wanted) in enumerate(CASES, 1):
        case = copy.deepcopy((LEDGER, LOG, TALLY, STATUS))
        change(*case)
        status, failures, output = compare(*case)
        good = (status == 0 and not failures if wanted is None else
                status == 1 and any(wanted in failure for failure in failures))
        failed += not good
        print(f'{"" if good else "not "}ok {number} - {name}{"" if wanted is None else " is noticed"}')
        if not good:
            print('# ' + output.replace('\n', '\n# '))
    print(f'1..{len(CASES)}')
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())
