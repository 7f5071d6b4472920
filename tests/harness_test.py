#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""The tests' own machinery: that it counts right, and that no behaviour can pass without its records. Prints TAP."""
import os
import re
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), 'vm'))
import behave
import suites

COUNTED = [
    # TAP, ended well, passed, skipped, failed
    ('1..2\nok 1 - a\nok 2\n', True, 2, 0, 0),
    ('1..1\nnot ok 1 - a\n', False, 0, 0, 1),
    ('1..2\nok 1 # SKIP why\nok 2\n', True, 1, 1, 0),
    ('1..1\nok 1\n1..1\nnot ok 1 - second group\n', False, 1, 0, 1),
    ('ok 1\n1..2\n', True, 1, 0, 1),           # less than planned
    ('ok 1\n', True, 1, 0, 1),                 # no plan
    ('1..1\nok 1 - a\n', False, 1, 0, 1),      # all ok, then died
    ('Bail out! no disk\n', False, 0, 0, 2),
    ('', True, 0, 0, 1),                       # silence
]


def results_are_counted():
    for text, ended_well, *expected in COUNTED:
        result = suites.Result()
        result.read_tap('x', text, ended_well)
        found = [result.passed, result.skipped, len(result.failures)]
        if found != expected:
            yield f'{text!r}: {found}, not {expected}'


class Imagined:
    """A recording in which a behaviour got exactly what it expects."""

    def __init__(self, behaviour):
        names = set(re.findall(r'\$(\w+)', ' '.join(e.times + str(e.fields) for e in behaviour.expected)))
        self.lines = {name: str(1000 + i) for i, name in enumerate(sorted(names))}
        self.lines.update(self='1', work='/work', image='/image', many='3', possible='1',
                          block='1', written='1', memory='1', times='2', at='1', exact='1', emulated='1', long='/work/' + 'd' * 3000)
        self.events = []
        book = self.ledger(behaviour.name)
        for expectation in behaviour.expected:
            data = dict(self.field(book, *field) for field in expectation.fields)
            for _ in range(expectation.count(book)):
                self.events.append(behave.Event(expectation.id, len(self.events), '', data))

    @staticmethod
    def field(book, name, how, value):
        """A value that agrees with what is expected of this field."""
        if how == '!=':
            return name, 'other than ' + value
        if how == '!~':
            return name, 'nothing of that'
        if how == '=':
            return name, book.expand(value)
        like = {'Hash': 'Unknown', 'Contents': 'x' * 1023, 'ProcessId': '1', 'TargetFilename': '/work/' + 'd' * 4000 + '/the-end',
                'CreationUtcTime': '2026-11-24 03:14:17.123', 'Hashes': book.expand(value).removesuffix('.*'),
                'QueryResults': '::ffff:192.0.2.1;' * 200,
                'Context': re.sub(r'\(.*?\)\?|\.[*+]|\[0-9\]\+', lambda m: '1' if m[0][0] in '[.' else '',
                                  book.expand(value)).replace('\\\\', '\\')}
        return name, like[name]

    def text(self, _):
        return '0'

    def ledger(self, name):
        lines = [f'{name}={value}' for name, value in self.lines.items()]
        lines += ['pid=' + value for value in self.lines.values() if value.isdecimal()]
        return behave.Ledger(name, '\n'.join(lines), b'program')


def each_behaviour_wants_its_records():
    for behaviour in behave.behaviours():
        if behaviour.suffixes:
            continue
        whole = Imagined(behaviour)
        everything = whole.events
        for line in behave.judge(behaviour, whole):
            yield f'{behaviour.name}: what it expects is not what it accepts: {line}'
        if not everything:
            yield f'{behaviour.name}: an empty log would do'
        for i, event in enumerate(everything):
            whole.events = everything[:i] + everything[i + 1:]
            if not behave.judge(behaviour, whole):
                yield f'{behaviour.name}: does without {behave.shown(event)}'
            whole.events = everything + [event]
            if not behave.judge(behaviour, whole):
                yield f'{behaviour.name}: takes twice {behave.shown(event)}'


def gaps_are_seen():
    class Log:
        events = [behave.Event(1, n, '', {'ProcessId': n}) for n in (3, 5, 6)]
    for wanted, wrong in ((['5', '6'], 0), (['2', '5', '6'], 0), (['3', '4', '5'], 1), (['7'], 1)):
        found = behave.judge_suffix(1, wanted, Log)
        if len(found) != wrong:
            yield f'{wanted}: {found}'


TESTS = [results_are_counted, each_behaviour_wants_its_records, gaps_are_seen]


def main():
    print(f'1..{len(TESTS)}')
    failed = False
    for number, test in enumerate(TESTS, 1):
        wrong = list(test())
        failed = failed or bool(wrong)
        print('not ok' if wrong else 'ok', number, '- harness:', test.__name__.replace('_', ' '))
        for line in wrong:
            print('#', line)
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())
