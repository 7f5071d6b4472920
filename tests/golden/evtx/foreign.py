#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""foreign.py FILE.evtx FILE.json: do two strangers read in the log what we read?

FILE.json is our own reading of the log, one object a line (docs/formats/json.md). Every field of every
record is compared with what evtxexport (libevtx) and python-evtx give. Both have faults of their own; each
is described by one function below, which says exactly what that reader makes of our value. Nothing else
is let pass. Prints what was compared; status 1 at the first differences.
"""
import datetime
import json
import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree

import Evtx.Evtx

NAMESPACE = '{http://schemas.microsoft.com/win/2004/08/events/event}'
HEX_DIGITS = {'LogonId': 16, 'GrantedAccess': 8}  # win:HexInt64 and win:HexInt32: we write no leading zeroes
SHOWN = 10  # differences


def padded_hex(name, text):
    """Both readers write hex numbers with all their digits."""
    if name in HEX_DIGITS and re.fullmatch('0x[0-9a-f]+', text):
        return f'0x{int(text, 16):0{HEX_DIGITS[name]}x}'
    return text


class Libevtx:
    name = 'libevtx'

    @staticmethod
    def records(path):
        """XML of each record by id, as bytes."""
        out = subprocess.run(['evtxexport', '-f', 'xml', path], stdout=subprocess.PIPE, check=True).stdout
        for xml in re.findall(b'<Event xmlns=.*?</Event>', out, re.S):
            yield xml

    @staticmethod
    def skips(record):
        """A string that is nothing but one character which XML escapes makes evtxexport leave out the
        record from its XML. Its text form has it."""
        return any(value in ('<', '>', '&') for value in record['EventData'].values())

    @staticmethod
    def skipped_differences(path, records, header_ids):
        """The strings of such records, from the text form."""
        if not records:
            return
        out = subprocess.run(['evtxexport', '-f', 'text', path], stdout=subprocess.PIPE, check=True).stdout
        for record in records:
            number = header_ids[record['System']['EventRecordID']]
            fields = expected(Libevtx, record)
            strings = [text for place, text in fields.items() if place.startswith('Data ')]
            want = f'Number of strings\t\t: {len(strings)}\n' + ''.join(
                f'String: {i + 1}\t\t\t: {text}\n' for i, text in enumerate(strings)) + '\n'
            begin = out.find(f'Event number\t\t\t: {number}\n'.encode())
            begin = out.find(b'Number of strings', begin)
            have = out[begin:begin + len(want.encode())]
            if have != want.encode():
                yield f'record {number}: {have!r}, not {want.encode()!r}'

    @staticmethod
    def string(text):
        """Characters beyond U+FFFF are decoded 0x3ff too low; a lone LF is dropped."""
        if text == '\n':
            return ''
        return ''.join(chr(ord(c) - 0x3ff) if ord(c) > 0xffff else c for c in text)

    @staticmethod
    def guid(text):
        return text.upper()

    @staticmethod
    def boolean(value):
        return 'true' if value else 'false'

    @staticmethod
    def time(text):
        return text

    @staticmethod
    def empty_attributes():
        return None


class PythonEvtx:
    name = 'python-evtx'

    @staticmethod
    def records(path):
        with Evtx.Evtx.Evtx(path) as log:
            for record in log.records():
                yield record.xml().encode('utf-8')

    @staticmethod
    def skips(record):
        return False

    @staticmethod
    def skipped_differences(path, records, header_ids):
        return ()

    @staticmethod
    def string(text):
        return text

    @staticmethod
    def guid(text):
        return text

    @staticmethod
    def boolean(value):
        return 'True' if value else 'False'

    @staticmethod
    def time(text):
        """Times go through a float, in seconds, which has steps of two microseconds there."""
        seconds, fraction = text.rstrip('Z').split('.')
        exact = datetime.datetime.fromisoformat(seconds)
        since_1601 = exact - datetime.datetime(1601, 1, 1)
        filetime = (since_1601.days * 86400 + since_1601.seconds) * 10**7 + int(fraction) // 100
        shown = datetime.datetime.utcfromtimestamp(float(filetime) * 1e-7 - 11644473600)
        true = exact + datetime.timedelta(microseconds=int(fraction) // 1000)
        assert abs(shown - true) <= datetime.timedelta(microseconds=2), (text, shown)
        return shown.isoformat(' ')

    @staticmethod
    def empty_attributes():
        """Attributes whose value is NULL are there, and empty."""
        return ''


def expected(reader, record):
    """What this reader should say of our record: {place: text}."""
    system = record['System']
    fields = {
        'Provider/Name': system['Provider'],
        'EventID/Qualifiers': reader.empty_attributes(),
        'Correlation/ActivityID': reader.empty_attributes(),
        'Correlation/RelatedActivityID': reader.empty_attributes(),
        'Keywords/': f'0x{int(system["Keywords"], 16):016x}',
        'TimeCreated/SystemTime': reader.time(system['TimeCreated']),
        'Execution/ProcessID': str(system['ProcessID']),
        'Execution/ThreadID': str(system['ThreadID']),
        'Channel/': system['Channel'],
        'Computer/': reader.string(system['Computer']),
        'Security/UserID': system['UserID'] or reader.empty_attributes(),
    }
    for name in ('EventID', 'Version', 'Level', 'Task', 'Opcode', 'EventRecordID'):
        fields[name + '/'] = str(system[name])
    for index, (name, value) in enumerate(record['EventData'].items()):
        if isinstance(value, bool):
            text = reader.boolean(value)
        elif isinstance(value, int):
            text = str(value)
        elif name.lower().endswith('guid'):
            text = reader.guid(value)
        else:
            text = padded_hex(name, reader.string(value))
        fields[f'Data {index} {name}'] = text
    return fields


def actual(xml, places):
    """The same places in the reader's XML. Readers leave CR bare, which XML parsers take for LF."""
    event = ElementTree.fromstring(xml.replace(b'\r', b'&#13;'))
    system = event.find(NAMESPACE + 'System')
    fields = {}
    for place in places:
        if place.startswith('Data '):
            continue
        element, attribute = place.split('/')
        found = system.find(NAMESPACE + element)
        fields[place] = found.get(attribute) if attribute else found.text or ''
    for index, data in enumerate(event.find(NAMESPACE + 'EventData')):
        fields[f'Data {index} {data.get("Name")}'] = data.text or ''
    return fields


def same(want, have, provider):
    """Of other programs' fields nobody told us the types: hex numbers may have leading zeroes, GUIDs other letters."""
    if want == have or want is None or have is None or provider.endswith('Sysmon'):
        return want == have
    if re.fullmatch('0x[0-9a-f]+', want) and re.fullmatch('0x[0-9a-f]+', have):
        return int(want, 16) == int(have, 16)
    return want.startswith('{') and want.lower() == have.lower()


def record_id(xml):
    return int(re.search(b'<EventRecordID>([0-9]+)</EventRecordID>', xml).group(1))


def compare(reader, path, ours, header_ids):
    """header_ids: the id in the header of each record. Returns (records the reader cannot export as XML, fields compared, differences as texts)."""
    left = dict(ours)
    fields, differences = 0, []
    for xml in reader.records(path):
        number = record_id(xml)
        record = left.pop(number, None)
        if record is None:
            differences.append(f'record {number} is not in ours, or twice')
            continue
        want = expected(reader, record)
        have = actual(xml, want)
        fields += len(want)
        for place in want.keys() | have.keys():
            if not same(want.get(place), have.get(place), record['System']['Provider']):
                differences.append(f'record {number} {place}: {have.get(place)!r}, not {want.get(place)!r}')
    for number, record in left.items():
        if not reader.skips(record):
            differences.append(f'record {number} is missing')
    differences += reader.skipped_differences(path, left.values(), header_ids)
    return len(left), fields, differences


def main(path, json_path, exported=False):
    """exported: the headers count the records from 1 on."""
    with open(json_path, encoding='utf-8') as f:
        records = [json.loads(line) for line in f]
    ours = {record['System']['EventRecordID']: record for record in records}
    if len(ours) != len(records) or not ours:
        print('the ids in our reading are not distinct, or there are none')
        return 1
    header_ids = {number: at if exported else number for at, number in enumerate(ours, 1)}
    failed = False
    for reader in (Libevtx, PythonEvtx):
        skipped, fields, differences = compare(reader, path, ours, header_ids)
        print(f'{reader.name}: {len(ours)} records, {skipped} of them by its text form, {fields} fields '
              f'compared, {len(differences)} differences')
        for difference in differences[:SHOWN]:
            print('  ' + difference)
        failed |= bool(differences)
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main(*sys.argv[1:]))
