#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Documents say what the sources say: messages, capabilities, figures, settings, events. Prints TAP."""
import os
import re
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
DESCRIPTORS = {'none': None, 'one': 'a descriptor', 'some': 'descriptors'}


def read(path):
    with open(os.path.join(ROOT, path), encoding='utf-8') as f:
        return f.read()


DOCUMENT = read('docs/privilege.md')


def carried(body, fds):
    return ', '.join(filter(None, (None if body == 'none' else body, DESCRIPTORS[fds]))) or '-'


def rows_of_the_source():
    rows = re.findall(r'^([A-Z]+_[A-Z]+)\((\w+), (\w+), (\w+), (\w+), (\w+),\s*([A-Z| ]+),\s*(\w+),\s*"([^"]*)"\)',
                      read('src/daemon/requests.def'), re.M)
    return [(sender, name, carried(body, fds), carried(answer, answer_fds), states.lower().replace(' | ', ', '),
             times.lower(), what) for sender, name, body, fds, answer, answer_fds, states, times, what in rows]


def rows_of_the_document():
    sender, rows = None, []
    for line in DOCUMENT.splitlines():
        cells = [cell.strip() for cell in line.strip('|').split('|')]
        if len(cells) != 6 or not line.startswith('|') or cells[0].startswith('-'):
            continue
        if cells[1] == 'carries':
            sender = cells[0]
        elif sender:
            rows.append((sender, *cells))
    return rows


def every_message_stands_in_the_document():
    source = rows_of_the_source()
    macros = len(re.findall(r'^[A-Z]+_[A-Z]+\(\w', read('src/daemon/requests.def'), re.M))
    assert len(source) == macros > 15, f'{len(source)} rows understood of {macros}'
    assert source == rows_of_the_document(), set(source) ^ set(rows_of_the_document())


def every_capability_stands_in_the_document():
    body = re.search(r'monitor_capabilities\[\] = \{(.*?)\};', read('src/daemon/privilege.c'), re.S).group(1)
    source = re.findall(r'^\s*(CAP_\w+)', body, re.M)
    assert source and source == re.findall(r'^\| (CAP_\w+)', DOCUMENT, re.M), source
    unit = ' '.join(re.findall(r'^CapabilityBoundingSet=(.*)$', read('packaging/konseki.service'), re.M)).split()
    assert set(source) <= set(unit), 'the unit takes away what the monitor needs'


def figures_are_those_of_the_source():
    source = read('src/daemon/supervisor.c')

    def number(name):
        return int(re.search(rf'#define {name}\s+(\d+)', source).group(1))

    assert number('SILENCE_MAX_MS') == 30000 and 'Thirty seconds of silence' in DOCUMENT
    assert number('DEATHS_MAX') == 8 and number('DEATHS_SPAN_MS') == 600000 and \
        'eight deaths within ten minutes' in DOCUMENT


def every_setting_stands_in_file_and_man_page():
    """Each with its section before it; the shipped file shows the defaults as comments."""
    source = re.findall(r'\{ "([a-z]+)", "([a-z-]+)", offsetof', read('src/daemon/settings.c'))
    shipped, manual = read('packaging/konseki.conf'), read('docs/man/konseki.conf.5')
    assert len(source) > 2
    for section, name in source:
        assert re.search(rf'\[{section}\][^[]*^;{name} = ', shipped, re.M), f'konseki.conf: [{section}] {name}'
        assert re.search(rf'\[{section}\][^[]*^\.It Cm {name}$', manual, re.M), f'konseki.conf.5: [{section}] {name}'
    assert set(re.findall(r'^;([a-z-]+) = ', shipped, re.M)) == {name for _, name in source}


def every_member_of_the_status_is_told():
    members = set(re.findall(r'\\"(\w+)\\":', read('src/daemon/status.c'))) | \
        set(re.findall(r'print_member\("(\w+)"', read('src/daemon/status.c')))
    told = set(re.findall(r'`(\w+)`', read('docs/formats/status.md')))
    assert len(members) > 20 and members <= told, members - told


def every_event_is_told_with_its_source_and_limits():
    made = subprocess.run([os.path.join(ROOT, 'tools', 'make-events-doc')], check=True, capture_output=True,
                          text=True).stdout
    assert made.count('\n| ') > 31
    assert 'not seen | without a row' not in made, 'an event has hooks and no row in schema/trust.def'
    assert made == read('docs/events.md'), 'docs/events.md is old: tools/make-events-doc > docs/events.md'


TESTS = [every_setting_stands_in_file_and_man_page, every_member_of_the_status_is_told,
         every_message_stands_in_the_document, every_capability_stands_in_the_document,
         figures_are_those_of_the_source, every_event_is_told_with_its_source_and_limits]


def main():
    failed = False
    print(f'1..{len(TESTS)}')
    for number, test in enumerate(TESTS, 1):
        fault = None
        try:
            test()
        except AssertionError as e:
            fault, failed = str(e), True
        print(f'{"ok" if fault is None else "not ok"} {number} - {test.__name__.replace("_", " ")}')
        if fault:
            print('#', fault)
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())
