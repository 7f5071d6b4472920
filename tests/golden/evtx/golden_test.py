#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""golden_test.py MAKE_LOG DUMP KONSEKI: our logs under foreign readers, foreign logs under ours, and what we export of
both under all of them. Prints TAP."""
import collections
import contextlib
import csv
import hashlib
import io
import json
import os
import re
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ElementTree

HERE = os.path.dirname(os.path.abspath(__file__))
WINDOWS = os.path.join(HERE, 'windows')
sys.path.insert(0, HERE)
sys.dont_write_bytecode = True
import foreign  # noqa: E402

MAKE_LOG, DUMP, KONSEKI, EVENTS = sys.argv[1:5]
HARMFUL = re.compile('[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]')
EXAMPLE = '8b41199556e2eb6fd9ea79f18a3675bb60f2f17321d584a42f0d116813d3e2e0'

# Event ids and their number, lowest and highest record id.
GROUND_TRUTH = {
    'babyshark': ('1:7 3:1 4:1 5:2 7:11 10:2 11:3 12:4 16:2', 33),
    'efspotato_v32': ('1:3 3:2 5:1 7:11 17:1 18:2', 20),
    'mixed_sysmon_security_v32': ('1:3 5:1 7:1 10:11 11:1 12:1 4985:2', 20),
    'cc0_psexec_pipes': ('1:2 11:1 13:3 17:4 18:4 22:1', 15),
    'cc0_wmi_powerlurk': ('19:2 20:1', 3),
    'cc0_sip_registry': ('12:13 13:14', 27),
    'cc0_stickykey_v32': ('1:1 18:1', 2),
    'cc0_lsassy': ('1:2 7:1 10:1 11:1 18:9', 14),
}


def run(*command):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
    assert done.returncode == 0, (command, done.returncode, done.stderr[-1000:])
    return done.stdout


def read_json(path):
    return [json.loads(line) for line in run(DUMP, path).decode().splitlines()]


def compare_with_strangers(path, json_path, **how):
    """(status, what foreign.py says)."""
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        status = foreign.main(path, json_path, **how)
    return status, said.getvalue()


def the_writer_makes_the_published_example_byte_for_byte(folder):
    path = os.path.join(folder, 'example.evtx')
    run(MAKE_LOG, path, 'example')
    with open(path, 'rb') as f:
        assert hashlib.sha256(f.read()).hexdigest() == EXAMPLE


def files_of_windows_are_read_record_by_record(_):
    for name, (histogram, count) in GROUND_TRUTH.items():
        records = read_json(os.path.join(WINDOWS, name + '.evtx'))
        events = collections.Counter(record['System']['EventID'] for record in records)
        assert ' '.join(f'{k}:{v}' for k, v in sorted(events.items())) == histogram, (name, events)
        assert len(records) == count, name


def text_of(value):
    return str(value).lower() if isinstance(value, bool) else str(value)


def xml_and_fields_say_the_same(_):
    for name in GROUND_TRUTH:
        path = os.path.join(WINDOWS, name + '.evtx')
        lines = run(DUMP, path, '--xml').decode().splitlines()
        for xml, record in zip(lines, read_json(path), strict=True):
            event = ElementTree.fromstring(xml)
            data = [(d.get('Name'), d.text or '') for d in event.find(foreign.NAMESPACE + 'EventData')]
            assert data == [(k, text_of(v)) for k, v in record['EventData'].items()], (name, xml)
            number = event.find(f'{foreign.NAMESPACE}System/{foreign.NAMESPACE}EventRecordID').text
            assert int(number) == record['System']['EventRecordID']


def strangers_agree_on_files_of_windows(folder):
    for name in GROUND_TRUTH:
        path, json_path = os.path.join(WINDOWS, name + '.evtx'), os.path.join(folder, 'windows.json')
        with open(json_path, 'wb') as f:
            f.write(run(DUMP, path))
        status, said = compare_with_strangers(path, json_path)
        assert status == 0, (name, said)


def assert_whole_for_libevtx(path):
    """Returns the number of records."""
    info = run('evtxinfo', path).decode()
    assert re.search(r'Number of recovered records\s*: 0\n', info), info
    assert 'corrupt' not in info.lower(), info
    return int(re.search(r'Number of records\s*: ([0-9]+)\n', info).group(1))


def strangers_agree_on_random_events_of_ours(folder):
    path, json_path = os.path.join(folder, 'random.evtx'), os.path.join(folder, 'random.json')
    run(MAKE_LOG, path, EVENTS, '1')
    with open(json_path, 'wb') as f:
        f.write(run(DUMP, path))
    status, said = compare_with_strangers(path, json_path)
    assert status == 0, said
    assert assert_whole_for_libevtx(path) == int(EVENTS)


def strangers_agree_when_events_have_their_context(folder):
    path, json_path = os.path.join(folder, 'context.evtx'), os.path.join(folder, 'context.json')
    run(MAKE_LOG, path, '700', '8', 'context')
    with open(json_path, 'wb') as f:
        f.write(run(DUMP, path))
    status, said = compare_with_strangers(path, json_path)
    assert status == 0, said
    assert assert_whole_for_libevtx(path) == 700
    names = {record['System']['EventID']: list(record['EventData']) for record in read_json(path)}
    for number, fields in names.items():
        assert (fields[-1] == 'Context') == (number not in (4, 16, 255)), (number, fields)
        assert 'Context' not in fields[:-1], (number, fields)


def begins_a_second_chunk(path):
    """Space that is only reserved does not count: a log may have that before its first record."""
    try:
        with open(path, 'rb') as f:
            f.seek(4096 + 65536)
            return f.read(8) == b'ElfChnk\0'
    except FileNotFoundError:
        return False


def xml_of_libevtx(path):
    return list(foreign.Libevtx.records(path))


def what_is_exported_of_files_of_windows_is_the_same_for_libevtx_and_us(folder):
    for name, (_, count) in GROUND_TRUTH.items():
        path, copy = os.path.join(WINDOWS, name + '.evtx'), os.path.join(folder, name + '.evtx')
        run(KONSEKI, 'export', '--to', 'evtx', '-o', copy, path)
        assert assert_whole_for_libevtx(copy) == count, name
        assert xml_of_libevtx(copy) == xml_of_libevtx(path), name
        assert run(DUMP, copy) == run(DUMP, path), name


def what_is_exported_filtered_is_complete_for_both_strangers(folder):
    path, copy, json_path = (os.path.join(folder, name) for name in ('all.evtx', 'some.evtx', 'some.json'))
    run(MAKE_LOG, path, '1500', '3')
    wanted = '1,3,11,23,255'
    run(KONSEKI, 'export', '--to', 'evtx', '--output', copy, '--id', wanted, path)
    with open(json_path, 'wb') as f:
        f.write(run(DUMP, copy))
    assert read_json(copy) == [record for record in read_json(path)
                               if str(record['System']['EventID']) in wanted.split(',')]
    status, said = compare_with_strangers(copy, json_path, exported=True)
    assert status == 0, said
    assert assert_whole_for_libevtx(copy) == len(read_json(copy)) > 150
    assert os.path.getsize(copy) < os.path.getsize(path) / 3


def a_table_and_a_document_hold_the_same_as_json(folder):
    path = os.path.join(folder, 'all.evtx')
    run(MAKE_LOG, path, '300', '4')
    records = [json.loads(line) for line in run(KONSEKI, 'export', '--to', 'json', path).decode().splitlines()]
    rows = list(csv.DictReader(io.StringIO(run(KONSEKI, 'export', '--to', 'csv', path).decode(), newline='')))
    document = ElementTree.fromstring(run(KONSEKI, 'export', '--to', 'xml', path))
    assert len(records) == len(rows) == len(document) == 300
    for record, row, event in zip(records, rows, document):
        data = {k: text_of(v) for k, v in record['EventData'].items()}
        assert [(d.get('Name'), d.text or '') for d in event.find(foreign.NAMESPACE + 'EventData')] == list(data.items())
        for name, text in data.items():
            assert row[name] == HARMFUL.sub(lambda m: ''.join(f'\\x{b:02X}' for b in m.group().encode()), text), (name, row)
        assert row['EventID'] == str(record['System']['EventID']) and row['Further'] == ''


def an_export_hides_nothing_and_destroys_nothing(folder):
    path, copy = os.path.join(folder, 'all.evtx'), os.path.join(folder, 'copy.evtx')
    run(MAKE_LOG, path, '300', '5')
    with open(copy, 'w', encoding='utf-8') as f:
        f.write('of somebody')
    done = subprocess.run([KONSEKI, 'export', '--to', 'evtx', '-o', copy, path], capture_output=True, check=False)
    assert done.returncode == 1 and b'File exists' in done.stderr, done
    with open(copy, encoding='utf-8') as f:
        assert f.read() == 'of somebody'
    os.unlink(copy)
    with open(path, 'r+b') as f:  # one record of the first chunk loses its beginning
        f.seek(4096 + 512)
        f.write(b'\0\0\0\0')
    done = subprocess.run([KONSEKI, 'export', '--to', 'evtx', '-o', copy, path], capture_output=True, check=False)
    assert done.returncode == 1 and b'no record at offset 512' in done.stderr, done
    ids = [record['System']['EventRecordID'] for record in read_json(copy)]
    assert ids == list(range(2, 301)), ids[:3]
    assert assert_whole_for_libevtx(copy) == 299


def a_log_is_whole_for_strangers_after_its_writer_was_killed(folder):
    for attempt in range(5):
        path = os.path.join(folder, f'killed{attempt}.evtx')
        with subprocess.Popen([MAKE_LOG, path, '1000000000', str(attempt)]) as writer:
            while not begins_a_second_chunk(path):
                assert writer.poll() is None
                time.sleep(0.001)
            time.sleep(attempt * 0.002)
            writer.kill()
        run(MAKE_LOG, path, '0')  # opening recovers
        records = read_json(path)
        assert [r['System']['EventRecordID'] for r in records] == list(range(1, len(records) + 1))
        assert assert_whole_for_libevtx(path) == len(records) > 0
        os.unlink(path)


def one_changed_character_does_not_escape_the_comparison(folder):
    path, json_path = os.path.join(folder, 'small.evtx'), os.path.join(folder, 'small.json')
    run(MAKE_LOG, path, '20', '7')
    records = read_json(path)
    for field in ('EventData', 'System'):
        changed = json.loads(json.dumps(records))
        name = next(k for k, v in changed[10][field].items() if isinstance(v, str))
        changed[10][field][name] += 'x'
        with open(json_path, 'w', encoding='utf-8') as f:
            f.writelines(json.dumps(record) + '\n' for record in changed)
        status, said = compare_with_strangers(path, json_path)
        assert status == 1 and said.count('1 differences') == 2, said


TESTS = [
    the_writer_makes_the_published_example_byte_for_byte,
    files_of_windows_are_read_record_by_record,
    xml_and_fields_say_the_same,
    strangers_agree_on_files_of_windows,
    strangers_agree_on_random_events_of_ours,
    strangers_agree_when_events_have_their_context,
    what_is_exported_of_files_of_windows_is_the_same_for_libevtx_and_us,
    what_is_exported_filtered_is_complete_for_both_strangers,
    a_table_and_a_document_hold_the_same_as_json,
    an_export_hides_nothing_and_destroys_nothing,
    a_log_is_whole_for_strangers_after_its_writer_was_killed,
    one_changed_character_does_not_escape_the_comparison,
]


def main():
    failed = False
    print(f'1..{len(TESTS)}', flush=True)
    for number, test in enumerate(TESTS, 1):
        name = test.__name__.replace('_', ' ')
        with tempfile.TemporaryDirectory() as folder:
            try:
                test(folder)
                print(f'ok {number} - {name}', flush=True)
            except Exception as e:  # any failure is one line of TAP, with its reason
                failed = True
                print(f'not ok {number} - {name}')
                print('\n'.join('# ' + line for line in f'{type(e).__name__}: {e}'.splitlines()), flush=True)
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())
