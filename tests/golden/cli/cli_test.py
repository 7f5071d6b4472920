#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""cli_test.py KONSEKI MAKE_RECORDS: the command line from outside. Prints TAP.

With UPDATE=1 in the environment the files in expected/ are written instead of compared: read the
difference before committing it."""
import json
import os
import pty
import re
import signal
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ElementTree

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(HERE)))
WINDOWS = os.path.join(os.path.dirname(HERE), 'evtx', 'windows')
os.environ['UBSAN_OPTIONS'] = 'halt_on_error=1'  # or undefined behaviour would only be printed
KONSEKI, MAKE_RECORDS = (os.path.abspath(path) for path in sys.argv[1:3])

NAMESPACE = '{http://schemas.microsoft.com/win/2004/08/events/event}'
GUID = 'fa0c7a4feedeb35eee00000000000a00'
GUID_TEXT = '{4f7a0cfa-deee-5eb3-ee00-000000000a00}'

# Names as attackers like them: what the bytes are, and the one written form they have in the log.
NAMES = [
    (b'/tmp/plain', '/tmp/plain'),
    ('/tmp/naïve 日本 😀'.encode(), '/tmp/naïve 日本 😀'),
    (b'/tmp/\xff\xfe broken', '/tmp/\\xFF\\xFE broken'),
    (b'/tmp/\\x41', '/tmp/\\x5cx41'),
    (b'/tmp/two\nlines\r\tand a tab', '/tmp/two\nlines\r\tand a tab'),
    (b'/tmp/\x1b[2J\x1b]0;owned\x07', '/tmp/\\x1B[2J\\x1B]0;owned\\x07'),
    ('/tmp/\u202efdp.exe\u2066x\u2069'.encode(), '/tmp/\u202efdp.exe\u2066x\u2069'),
    ('/tmp/\u009b31m\u0085\u2028'.encode(), '/tmp/\u009b31m\u0085\u2028'),
    (b'/tmp/"quoted" \'too\' <tag a="b">&amp;&lt;]]>', '/tmp/"quoted" \'too\' <tag a="b">&amp;&lt;]]>'),
    (b'</Data></EventData></Event>\n<Event>', '</Data></EventData></Event>\n<Event>'),
    (b'{"json": "\\"}', '{"json": "\\"}'),
    (b'/tmp/' + b'long/' * 800, '/tmp/' + 'long/' * 800),
    (b'', ''),
]

# Event id and the fields that take the names; consumers look at these events.
HOSTILE = [(1, ['CommandLine', 'Image', 'ParentImage', 'User']), (3, ['Image']), (5, ['Image']),
           (11, ['TargetFilename', 'Image']), (22, ['QueryName']), (23, ['TargetFilename']),
           (26, ['TargetFilename'])]

# What the consumers of these events need besides.
SAMPLE = {
    'ProcessGuid': GUID, 'ParentProcessGuid': GUID, 'LogonGuid': GUID, 'ProcessId': '4711', 'ParentProcessId': '1',
    'LogonId': '1000', 'TerminalSessionId': '3', 'SourcePort': '51234', 'DestinationPort': '443', 'Initiated': '1',
    'UtcTime': b'2026-11-24 03:14:17.123', 'CreationUtcTime': b'2026-11-24 03:14:17.120', 'Protocol': b'tcp',
    'SourceIp': b'10.0.0.1', 'DestinationIp': b'192.0.2.7', 'Hashes': b'SHA256=' + b'AB' * 32,
    'QueryResults': b'::ffff:192.0.2.7;type:  5 alias.example.net;', 'QueryStatus': b'0', 'IsExecutable': '0',
    'Archived': b'true',
}

HARMFUL = re.compile('[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]')


def run(*arguments, status=0, **options):
    """What konseki prints; the status must be the one expected."""
    done = subprocess.run([KONSEKI, *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, check=False, **options)
    assert done.returncode == status, (arguments, done.returncode, done.stderr.decode()[-1000:])
    return done.stdout.decode()


def said(*arguments, status, **options):
    """Both outputs together."""
    done = subprocess.run([KONSEKI, *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, check=False, **options)
    text = done.stdout.decode()
    assert done.returncode == status, (arguments, done.returncode, text[-1000:])
    return text


def lines(text):
    """Only a line feed ends a line; Python knows more ends."""
    assert text.endswith('\n'), text[-200:]
    return text.split('\n')[:-1]


def schema():
    """Event id -> [(field, type)], as konseki itself prints it."""
    events = ElementTree.fromstring(run('-nologo', '-s')).find('events')
    return {int(e.get('value')): [(d.get('name'), d.get('inType')) for d in e] for e in events}


def given(field, kind, value):
    return f'{field}={value.hex() if kind == "win:UnicodeString" else value}'


def hostile_records():
    """Lines for make_records, and for each record the event id and the written form of each text."""
    fields = schema()
    rows, expected = [], []
    for event, hostile in HOSTILE:
        for raw, written in NAMES:
            row, texts = [str(event)], {}
            for field, kind in fields[event]:
                value = raw if field in hostile else SAMPLE.get(field)
                if value is None:
                    value = b'-' if kind == 'win:UnicodeString' else '0'
                row.append(given(field, kind, value))
                if kind == 'win:UnicodeString':
                    texts[field] = (written if field in hostile else value.decode()) or '-'
            rows.append('\t'.join(row))
            expected.append((event, texts))
    return '\n'.join(rows) + '\n', expected


class Log:
    """The log of hostile records, made once."""

    def __init__(self, folder):
        self.path = os.path.join(folder, 'hostile.evtx')
        records, self.expected = hostile_records()
        subprocess.run([MAKE_RECORDS, self.path], input=records.encode(), check=True)

    def view(self, *options):
        return run('view', '--oldest-first', *options, self.path)


def compare_with_file(name, text):
    path = os.path.join(HERE, 'expected', name)
    if os.environ.get('UPDATE'):
        with open(path, 'w', encoding='utf-8') as f:
            f.write(text)
    with open(path, encoding='utf-8') as f:
        wanted = f.read()
    assert text == wanted, f'differs from expected/{name}:\n' + text[:2000]


# --- what is printed of known logs

EXPECTED = [
    ('psexec_lines', ['view', os.path.join(WINDOWS, 'cc0_psexec_pipes.evtx')]),
    ('powerlurk_lines', ['view', '-o', os.path.join(WINDOWS, 'cc0_wmi_powerlurk.evtx')]),
    ('lsassy_lines', ['view', '--id', '1,7,10,11', os.path.join(WINDOWS, 'cc0_lsassy.evtx')]),
    ('registry_lines', ['view', '-n', '4', os.path.join(WINDOWS, 'cc0_sip_registry.evtx')]),
    ('foreign_lines', ['view', '--id', '4985', os.path.join(WINDOWS, 'mixed_sysmon_security_v32.evtx')]),
    ('stickykey_text', ['view', '--text', os.path.join(WINDOWS, 'cc0_stickykey_v32.evtx')]),
    ('stickykey_xml', ['view', '--xml', os.path.join(WINDOWS, 'cc0_stickykey_v32.evtx')]),
    ('stickykey_json', ['view', '--json', os.path.join(WINDOWS, 'cc0_stickykey_v32.evtx')]),
    ('foreign_json', ['view', '--json', '--id', '4985', os.path.join(WINDOWS, 'mixed_sysmon_security_v32.evtx')]),
    ('stickykey_syslog', ['view', '--syslog', os.path.join(WINDOWS, 'cc0_stickykey_v32.evtx')]),
    ('help', ['help']),
    ('help_view', ['view', '--help']),
]


def known_logs_and_helps_are_printed_as_ever(log):
    for name, arguments in EXPECTED:
        compare_with_file(name + '.txt', run(*arguments))
    for name, arguments in [('help_switches', ['-nologo', '-?']), ('help_config', ['-nologo', '-?', 'config'])]:
        compare_with_file(name + '.txt', said(*arguments, status=0))
    for form in ('syslog', 'xml', 'json'):
        compare_with_file(f'own_{form}.txt', ''.join(log.view('--' + form, '-w', 'Image is /tmp/plain')))


# --- hostile names

def lines_for_people_hold_nothing_that_steers_a_terminal(log):
    rows = lines(log.view())
    assert len(rows) == len(log.expected)
    for text in (*rows, *lines(log.view('--text'))):
        assert not HARMFUL.search(text), repr(text)
    assert any('\\x1B[2J\\x1B]0;owned\\x07' in row for row in rows)
    assert any('\\xE2\\x80\\xAEfdp.exe' in row for row in rows)


def json_is_one_exact_object_a_line(log):
    rows = lines(log.view('--json'))
    assert len(rows) == len(log.expected)
    for row, (event, texts) in zip(rows, log.expected):
        assert not HARMFUL.search(row), repr(row)
        record = json.loads(row)
        assert record['System']['EventID'] == event
        for field, text in texts.items():
            assert record['EventData'][field] == text, (field, record['EventData'][field])
        assert record['EventData']['ProcessId'] == 4711
        if event == 3:
            assert record['EventData']['SourcePort'] == 51234 and record['EventData']['Initiated'] is True


def data_of(document, space):
    return {d.get('Name'): d.text or '' for d in document.find(space + 'EventData')}


def xml_is_one_exact_document_a_line(log):
    rows = lines(log.view('--xml'))
    assert len(rows) == len(log.expected)
    for row, (event, texts) in zip(rows, log.expected):
        assert not HARMFUL.search(row), repr(row)
        document = ElementTree.fromstring(row)
        assert document.find(f'{NAMESPACE}System/{NAMESPACE}EventID').text == str(event)
        data = data_of(document, NAMESPACE)
        for field, text in texts.items():
            assert data[field] == text, (field, data[field])


def written_in_the_text_form(text):
    """Control and direction characters as \\xHH for each byte."""
    return HARMFUL.sub(lambda m: ''.join(f'\\x{b:02X}' for b in m.group().encode()), text)


def the_text_form_is_well_formed_one_line_and_complete(log):
    rows = lines(log.view('--syslog'))
    assert len(rows) == len(log.expected)
    for row, (event, texts) in zip(rows, log.expected):
        assert not HARMFUL.search(row), repr(row)
        document = ElementTree.fromstring(row)
        data = data_of(document, '')
        for field, text in texts.items():
            assert data[field] == written_in_the_text_form(text), (field, data[field])
        assert [d.get('Name') for d in document.find('EventData')] == [f for f, _ in FIELDS[event]]
        assert all(d.text for d in document.find('EventData')), 'an empty element is lost by some consumers'


# --- what the parsers of Sysmon for Linux match

def adjacent(*names, then=''):
    """These Data elements with nothing between them."""
    return re.compile(''.join(f'<Data Name="{name}">[^<]*</Data>' for name in names) + then)


PROCESS = ['RuleName', 'UtcTime', 'ProcessGuid', 'ProcessId', 'Image']
ADJACENT = {
    1: [adjacent(*PROCESS, 'FileVersion', 'Description', 'Product', 'Company'),
        adjacent('CommandLine', 'CurrentDirectory', 'User', 'LogonGuid', 'LogonId', 'TerminalSessionId', 'IntegrityLevel',
                 'Hashes', 'ParentProcessGuid', 'ParentProcessId', 'ParentImage', 'ParentCommandLine')],
    3: [adjacent(*PROCESS, 'User', 'Protocol', 'Initiated', 'SourceIsIpv6', 'SourceIp', 'SourceHostname', 'SourcePort',
                 'SourcePortName', 'DestinationIsIpv6', 'DestinationIp', 'DestinationHostname', 'DestinationPort',
                 'DestinationPortName')],
    5: [adjacent(*PROCESS)],
    11: [adjacent('ProcessGuid', 'ProcessId', 'Image', 'TargetFilename', 'CreationUtcTime')],
    23: [adjacent('ProcessGuid', 'ProcessId', 'User', 'Image', 'TargetFilename', 'Hashes')],
    26: [adjacent('ProcessGuid', 'ProcessId', 'User', 'Image', 'TargetFilename', 'Hashes')],
}
BEGIN = ('<Event><System><Provider Name="Linux-Sysmon" Guid="{ff032593-a8d3-4f13-b0d6-01fc615a0f97}"/><EventID>')


def skeleton(line):
    """The line without what differs from event to event."""
    line = re.sub(r'(SystemTime|ProcessID|ThreadID)="[^"]*"', r'\1=""', line)
    values = r'(<(?:EventRecordID|Computer|Data Name="\w+")>)[^<]*<'
    return re.sub(values, r'\1<', line)


def our_lines_are_made_as_those_of_the_reference_program(log):
    with open(os.path.join(HERE, 'reference', 'events.txt'), encoding='utf-8') as f:
        reference = {int(re.search(r'<EventID>(\d+)', line).group(1)): skeleton(line.rstrip('\n')) for line in f}
    assert sorted(reference) == [1, 3, 5, 11, 23]
    compared = 0
    for row, (event, _) in zip(lines(log.view('--syslog')), log.expected):
        if event in reference:
            assert skeleton(row) == reference[event], (skeleton(row), reference[event])
            compared += 1
    assert compared == 5 * len(NAMES)


def sentinel_finds_its_literals(log):
    for row, (event, _) in zip(lines(log.view('--syslog')), log.expected):
        assert row.startswith(f'{BEGIN}{event}</EventID><Version>'), row[:200]
        assert re.search(r'</Computer><Security UserId="\d+"/></System><EventData>', row)
        assert int(re.search(r'<EventRecordID>(\d+)</EventRecordID>', row).group(1)) < 2 ** 31
        for pattern in ADJACENT.get(event, []):
            assert pattern.search(row), (event, pattern.pattern)
        if event == 3:
            assert re.search('<Data Name="SourcePort">51234</Data>', row)
            assert re.search('<Data Name="Initiated">true</Data><Data Name="SourceIsIpv6">false</Data>', row)


def wazuh_finds_its_fields(log):
    for row, (event, texts) in zip(lines(log.view('--syslog')), log.expected):
        assert re.search(rf'[^\w\s]EventID[^\w\s]{event}[^\w\s]{{2}}EventID', row)
        assert re.search(r'SystemTime="\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+[A-Z]"', row)
        for field in texts:
            assert re.search(rf'Data Name="{field}">(.+?)</Data', row), field


def elastic_can_convert_its_fields(log):
    for row, (event, _) in zip(lines(log.view('--syslog')), log.expected):
        document = ElementTree.fromstring(row)
        head, data = document.find('System'), data_of(document, '')
        assert row.startswith('<Event')
        assert re.fullmatch(r'\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z', head.find('TimeCreated').get('SystemTime'))
        assert head.find('Level').text == '4' and head.find('EventRecordID').text.isdigit()
        assert re.fullmatch(r'\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}', data['UtcTime'])
        assert data['ProcessGuid'] == GUID_TEXT
        if event in (1, 23, 26):
            assert re.fullmatch(r'[A-Z0-9]+=[0-9A-F]+(,[A-Z0-9]+=[0-9A-F]+)*', data['Hashes'])
        if event == 22:
            for item in filter(None, data['QueryResults'].split(';')):
                assert not item.startswith('type:') or len(item.split()) == 3


# --- what a log holds

def log_info_counts_what_is_there(log):
    path = os.path.join(WINDOWS, 'babyshark.evtx')
    info = json.loads(run('log', 'info', '--json', path))
    assert {e['EventID']: e['records'] for e in info['events']} == {
        1: 7, 3: 1, 4: 1, 5: 2, 7: 11, 10: 2, 11: 3, 12: 4, 16: 2}, info
    assert (info['records'], info['size'], info['size_max'], info['kept_seconds']) == (33, 69632, 0, 0), info
    span = (info['newest_utc_ns'] - info['oldest_utc_ns']) / 1e9
    assert all(abs(e['a_day'] - e['records'] / span * 86400) < 1 for e in info['events'])
    text = run('log', 'info', path)
    assert re.search(r'^records +33, \d+ to \d+$', text, re.M), text
    assert re.search(r'^ +7 Image loaded +11 +\d+$', text, re.M), text


# --- the way of showing

def on_a_terminal(*arguments, environment=()):
    """What arrives on a terminal."""
    primary, secondary = pty.openpty()
    env = {**{k: v for k, v in os.environ.items() if k != 'NO_COLOR'}, 'TERM': 'xterm', **dict(environment)}
    with subprocess.Popen([KONSEKI, *arguments], stdin=subprocess.DEVNULL, stdout=secondary, stderr=secondary,
                          env=env, start_new_session=True) as shower:
        os.close(secondary)
        text = b''
        try:
            while chunk := os.read(primary, 65536):
                text += chunk
        except OSError:  # the other end is closed: how Linux tells the end of a terminal
            pass
        os.close(primary)
    assert shower.returncode == 0, text
    return text.decode()


def colour_is_for_terminals_that_want_it(log):
    assert '\x1b[' in on_a_terminal('view', '--no-pager', '-n', '1', log.path)
    assert '\x1b[' not in on_a_terminal('view', '--no-pager', '-n', '1', log.path, environment={'NO_COLOR': '1'}.items())
    assert '\x1b[' not in on_a_terminal('view', '--no-pager', '-n', '1', log.path, environment={'TERM': 'dumb'}.items())
    assert '\x1b[' not in run('view', '-n', '1', log.path)


def a_terminal_gets_only_our_own_escapes(log):
    text = on_a_terminal('view', '--no-pager', log.path)
    assert not HARMFUL.search(re.sub(r'\x1b\[\d+m|\r\n', '', text))


def without_a_pager_the_terminal_gets_the_text_all_the_same(log):
    with tempfile.TemporaryDirectory() as empty:
        text = on_a_terminal('view', '-n', '1', log.path, environment={'PATH': empty}.items())
    assert 'FileDeleteDetected' in text, text


def a_pager_may_be_left_early(log):
    with tempfile.TemporaryDirectory() as folder:
        with open(os.path.join(folder, 'less'), 'w', encoding='utf-8') as f:
            f.write('#!/bin/sh\nread line\necho "paged: $line"\n')
        os.chmod(f.name, 0o755)
        text = on_a_terminal('view', '--text', log.path, environment={'PATH': folder + ':' + os.environ['PATH']}.items())
    assert text.startswith('paged: Log Name:') and text.count('\n') == 1, text


def following_shows_the_newest_and_ends_when_nobody_reads(log):
    with subprocess.Popen([KONSEKI, 'view', '-f', '-n', '3', '--json', log.path], stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL) as follower:
        ids = [json.loads(follower.stdout.readline())['System']['EventRecordID'] for _ in range(3)]
        follower.send_signal(signal.SIGINT)
    assert ids == [len(log.expected) - 2, len(log.expected) - 1, len(log.expected)], ids


def output_that_cannot_be_written_is_an_error(log):
    with open('/dev/full', 'w', encoding='utf-8') as full:
        done = subprocess.run([KONSEKI, 'view', log.path], stdin=subprocess.DEVNULL, stdout=full,
                              stderr=subprocess.PIPE, check=False)
    assert done.returncode == 1 and b'No space left' in done.stderr, (done.returncode, done.stderr)


def one_record_is_shown_in_full(log):
    text = run('view', '--event', '1', log.path)
    assert 'Record ID:     1\n' in text and 'Description:\nProcess Create:\nRuleName: -\n' in text
    assert 'no record with id 999999' in said('view', '-e', '999999', log.path, status=1)


# --- what is refused, and with which status

REFUSED = [
    ([], 87, 'konseki run'),
    (['frobnicate'], 87, "there is no verb 'frobnicate'"),
    (['log'], 87, 'what is to be done with the log?'),
    (['log', 'frobnicate'], 87, 'there is no such command'),
    (['log', 'info', 'a', 'b'], 87, 'too many words'),
    (['export', '--to', 'doc'], 87, '--to is one of evtx, xml, json and csv'),
    (['export', '--to', 'evtx'], 87, '--to evtx needs a file'),
    (['view', '--frobnicate'], 87, 'has no option --frobnicate'),
    (['view', '--count', '0'], 87, '--count is a number'),
    (['view', '--count', '1x'], 87, '--count is a number'),
    (['view', '--event', '-1'], 87, '--event is the record'),
    (['view', '--event', '1', '--follow'], 87, 'exclude one another'),
    (['view', '--xml', '--json'], 87, 'exclude one another'),
    (['view', '--id', '1,,2'], 87, 'no list of event ids'),
    (['view', '--where', 'Image'], 87, 'is no condition'),
    (['view', '--since', 'now'], 87, 'is no time'),
    (['view', 'a', 'b'], 87, 'more than one file'),
    (['view', '/nonexistent.evtx'], 1, 'No such file'),
    (['view', '/etc/passwd'], 1, 'this is no event log'),
    (['view', '/'], 1, 'not a file'),
    (['run', '--size', '0'], 87, '--size'),
    (['run', '--size', '4096'], 87, '--size'),
    (['run', '--xml', '--quiet'], 87, 'exclude one another'),
    (['run', 'FILE'], 87, "takes no 'FILE'"),
    (['status', 'x'], 87, "takes no 'x'"),
    (['check'], 87, 'which file'),
    (['check', '/nonexistent.xml'], 87, '/nonexistent.xml'),
    (['explain'], 87, 'which event'),
    (['explain', '-c', '--', 'Nothing'], 87, "'Nothing' is no event"),
    (['explain', '-c', '--', 'RegistryEvent'], 87, 'give the number'),
    (['explain', '-c', '--', 'ProcessCreate', 'Imge=/bin/sh'], 87, "no field 'Imge'"),
    (['explain', '-c', '--', 'ProcessCreate', 'ProcessId=x'], 87, 'cannot be the value'),
    (['explain', '-c', '--', 'ProcessCreate', '/bin/sh'], 87, 'no Field=Value'),
    (['explain', '-c', '/nonexistent.xml', 'ProcessCreate'], 87, '/nonexistent.xml'),
    (['explain', '-c', '--', '1', '/etc/passwd'], 1, 'this is no event log'),
    (['help', 'frobnicate'], 87, 'there is no such verb'),
    (['-w'], 87, 'there is no switch -w'),
    (['-i', '-u'], 87, 'exclude one another'),
    (['-u', 'perhaps'], 87, "no other value than 'force'"),
    (['-n'], 87, 'Install:  '),
    (['-z', 'clip'], 87, 'not for people'),
    (['-c', '/nonexistent.xml', '-n'], 87, '/nonexistent.xml'),
]


def bad_usage_says_what_is_wrong(log):
    for arguments, status, words in REFUSED:
        text = said(*arguments, status=status)
        assert words in text, (arguments, text)


ACCEPTED = [
    (['-nologo', '-m'], 'No event manifest is needed'),
    (['-NoLogo', '-s', '3'], 'There is no schema of version 3.'),
    (['-?'], 'Install:  '),
    (['-h'], 'Install:  '),
    (['-help'], 'Install:  '),
    (['--help'], 'konseki run'),
    (['--version'], 'konseki 0.'),
    (['run', '--help'], '--config FILE'),
]


def helps_and_questions_end_well(log):
    for arguments, words in ACCEPTED:
        text = said(*arguments, status=0)
        assert words in text, (arguments, text)


def the_banner_comes_first_unless_it_is_not_wanted(log):
    banner = run('-m').split('\n')
    assert re.match(r'konseki v\d+\.\d+\.\d+ - ', banner[0]) and 'Copyright' in ''.join(banner[1:4])
    assert '' in banner[:6], 'an empty line ends it'
    assert run('-m', '-nologo') == 'No event manifest is needed here.\n'
    assert 'Copyright' not in run('view', '-n', '1', log.path), 'our own verbs have none'


def as_nobody():
    if os.geteuid() == 0:
        os.setgid(65534)
        os.setuid(65534)


def only_root_may_change_and_anybody_may_ask(log):
    for arguments in (['-accepteula', '-i'], ['-c'], ['-c', '--'], ['-u'], ['-t'], ['run', '--log', '/tmp/none.evtx']):
        assert 'root' in said(*arguments, status=228, preexec_fn=as_nobody)
    for arguments in (['-s'], ['-?'], ['help'], ['-m']):
        said(*arguments, status=0, preexec_fn=as_nobody)
    assert not os.path.exists('/tmp/none.evtx')


def without_agreement_nothing_is_installed(log):
    if os.geteuid() == 0:
        assert '-accepteula' in said('-i', status=87)
    else:
        assert 'root' in said('-i', status=228)


def configurations_are_checked(log):
    with tempfile.TemporaryDirectory() as folder:
        good, bad = os.path.join(folder, 'good.xml'), os.path.join(folder, 'bad.xml')
        with open(good, 'w', encoding='utf-8') as f:
            f.write('<Sysmon schemaversion="4.90"><EventFiltering><ProcessCreate onmatch="include">\n'
                    '<Image>a</Image><Image>b</Image></ProcessCreate></EventFiltering></Sysmon>')
        with open(bad, 'w', encoding='utf-8') as f:
            f.write('<Sysmon schemaversion="4.90">\n<EventFiltering>\n  <ProcessCreate onmatch="perhaps"/>\n'
                    '  <Nothing/>\n</EventFiltering></Sysmon>')
        assert f'{good}: valid, schema version 4.90, 1 section, 2 filters\n' in run('check', good)
        text = said('check', good, bad, status=87)
        assert re.search(rf'{bad}:3:\d+: ', text) and re.search(rf'{bad}:4:\d+: .*Nothing', text), text
        assert f'{bad}: refused, 2 problems\n' in text and f'{good}: valid' in text


EXPLAINED = [
    ['ProcessCreate', 'Image=/usr/bin/curl', 'CommandLine=curl http://x'],
    ['1', 'Image=/usr/sbin/cron', 'ParentImage=/usr/sbin/cron', 'User=root'],
    ['ProcessCreate', 'Image=/usr/bin/\033[2Jls', 'CommandLine=' + 'x' * 200],
    ['19', 'Name=HKLM\\a'],
    ['21', 'Consumer=1'],
    ['FileCreate'],
    ['NetworkConnect', 'DestinationPort=443', 'Initiated=true'],
    ['ClipboardChange'],
    ['255', 'ID=x'],
    ['11788', os.path.join(WINDOWS, 'cc0_stickykey_v32.evtx')],
]


def verdicts_are_explained(log):
    texts = [run('explain', '-c', 'explain.xml', *words, cwd=HERE) for words in EXPLAINED]
    compare_with_file('explain.txt', '\n'.join(texts))
    assert 'no section speaks of it' in run('explain', '-c', '--', 'ProcessCreate')


def the_help_on_configurations_names_every_option_element_and_condition(log):
    help_text = said('-nologo', '-?', 'config', status=0)
    for table, row in (('options.def', r'OPTION\((\w+), \w+, \w+\)'), ('operators.def', r'(?:WHOLE|LIST)\("(.+?)"')):
        with open(os.path.join(ROOT, 'src', 'rules', table), encoding='utf-8') as f:
            names = [name for name in re.findall(row, f.read()) if '_' not in name]
        assert len(names) > 10
        for name in names:
            assert re.search(rf'\b{name}\b', re.sub(r'\s+', ' ', help_text)), name


# --- the manual page

def options_of_help(verb):
    return {words.split()[0].rstrip(',') for line in run('help', verb).split('\n')
            for words in re.findall(r'--[a-z-]+', line.split('  ')[1] if line.startswith('  -') else '')}


def letters_of_help(verb):
    return {m.group(1) for m in re.finditer(r'^  (-[a-z]), --', run('help', verb), re.M)}


def manual_options(section):
    """What .It lines of a section name: {"-f", "--follow"}."""
    found = set()
    for line in re.findall(r'^\.It (Fl .*)$', section, re.M):
        for part in line.split(' , '):
            name = re.match(r'(?:Fl )?(\\&)?([^ ]+)', part.removeprefix('Fl ')).group(2)
            found.add('-' + name)
    return found


def the_manual_page_has_every_verb_and_option_and_no_other(log):
    with open(os.path.join(ROOT, 'docs', 'man', 'konseki.8'), encoding='utf-8') as f:
        page = f.read()
    verbs = re.findall(r'^  konseki (\w+)', run('help'), re.M)
    sections = dict(re.findall(r'^\.Ss (\w+)\n(.*?)(?=^\.S[sh] )', page, re.M | re.S))
    assert set(verbs) == set(sections), (verbs, list(sections))
    for verb in verbs:
        wanted = options_of_help(verb) | letters_of_help(verb)
        found = manual_options(sections[verb])
        assert wanted == found, (verb, wanted ^ found)
    switches = re.search(r'^\.Sh SWITCHES\n(.*?)^\.Sh ', page, re.M | re.S).group(1)
    wanted = {m.group(1) for m in re.finditer(r'^  (-\S+)', said('-nologo', '-?', status=0), re.M)}
    assert wanted == manual_options(switches), wanted ^ manual_options(switches)


FIELDS = schema()
TESTS = [
    known_logs_and_helps_are_printed_as_ever,
    lines_for_people_hold_nothing_that_steers_a_terminal,
    json_is_one_exact_object_a_line,
    xml_is_one_exact_document_a_line,
    the_text_form_is_well_formed_one_line_and_complete,
    our_lines_are_made_as_those_of_the_reference_program,
    sentinel_finds_its_literals,
    wazuh_finds_its_fields,
    elastic_can_convert_its_fields,
    log_info_counts_what_is_there,
    colour_is_for_terminals_that_want_it,
    a_terminal_gets_only_our_own_escapes,
    without_a_pager_the_terminal_gets_the_text_all_the_same,
    a_pager_may_be_left_early,
    following_shows_the_newest_and_ends_when_nobody_reads,
    output_that_cannot_be_written_is_an_error,
    one_record_is_shown_in_full,
    bad_usage_says_what_is_wrong,
    helps_and_questions_end_well,
    the_banner_comes_first_unless_it_is_not_wanted,
    only_root_may_change_and_anybody_may_ask,
    without_agreement_nothing_is_installed,
    configurations_are_checked,
    verdicts_are_explained,
    the_help_on_configurations_names_every_option_element_and_condition,
    the_manual_page_has_every_verb_and_option_and_no_other,
]


def main():
    failed = 0
    print(f'1..{len(TESTS)}')
    with tempfile.TemporaryDirectory() as folder:
        log = Log(folder)
        for number, test in enumerate(TESTS, 1):
            name = test.__name__.replace('_', ' ')
            try:
                test(log)
                print(f'ok {number} - {name}')
            except Exception as wrong:  # one test that fails hides none of the others
                failed += 1
                print(f'not ok {number} - {name}')
                for line in f'{type(wrong).__name__}: {wrong}'.splitlines():
                    print('#', line)
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())
