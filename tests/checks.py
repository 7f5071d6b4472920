#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Cheap checks of the sources: include direction, licence lines, functions we do not call. Prints TAP."""
import os
import re
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

# A folder includes only what stands in an earlier group (or itself).
GROUPS = [['schema', 'base'], ['event'], ['rules', 'evtx', 'enrich'], ['collect', 'log', 'hunt', 'help'],
          ['forward'], ['daemon'], ['cli']]
LEVEL = {folder: level for level, group in enumerate(GROUPS) for folder in group}
# Inside a group only these look at each other; the reason stands beside each.
SIDEWAYS = {('enrich', 'rules'),   # HASH_* flags: which digests the rules ask for
            ('log', 'evtx'), ('hunt', 'evtx'), ('hunt', 'rules')}

BANNED = re.compile(r'\b(strcpy|strcat|sprintf|vsprintf|gets|strtok|atoi|atol|localtime|gmtime|'
                    r'tmpnam|mktemp|system|popen)\s*\(')
LICENCE = {'bpf': 'MIT OR GPL-2.0-only', 'schema': 'MIT OR GPL-2.0-only'}
CODE = ('.c', '.h', '.def', '.py', '.sh', '.build')


def tracked():
    out = subprocess.run(['git', 'ls-files', '-co', '--exclude-standard'], cwd=ROOT, check=True,
                         capture_output=True, text=True).stdout
    return [path for path in out.splitlines() if os.path.isfile(os.path.join(ROOT, path))]


def read(path):
    with open(os.path.join(ROOT, path), encoding='utf-8', errors='replace') as f:
        return f.read()


def without_comments(text):
    return re.sub(r'//[^\n]*|/\*.*?\*/|"(\\.|[^"\\\n])*"', ' ', text, flags=re.S)


def includes_point_left(files):
    for path in files:
        m = re.match(r'src/(\w+)/.*\.[ch]$', path)
        if not m:
            continue
        own = m.group(1)
        for included in re.findall(r'#include "([^"]+)"', read(path)):
            target = os.path.normpath(os.path.join(os.path.dirname(path), included)).split('/')
            other = target[1] if target[0] == 'src' and len(target) > 2 else target[0]
            if other == own or other not in LEVEL or LEVEL[other] < LEVEL[own] or \
                    (own, other) in SIDEWAYS:
                continue
            yield f'{path} includes {included}'


def every_source_has_its_licence_line(files):
    for path in files:
        if not path.endswith(CODE) or path.endswith("meson.build") or \
                "/windows/" in path or "/others/" in path:
            continue
        wanted = LICENCE.get(path.split('/')[0], 'MIT')
        head = '\n'.join(read(path).splitlines()[:3])
        if f'SPDX-License-Identifier: {wanted}' not in head:
            yield path


def every_recommended_rule_has_an_event(files):
    """A name that no case of the golden test is given is a rule that nobody has seen match."""
    names = set(re.findall(r' name="([^"]+)"', read('config/recommended.xml')))
    shown = set(re.findall(r'=> keep (.+)', read('tests/golden/rules/recommended.test')))
    yield from sorted(names ^ (shown - {'-'}))


def every_expected_trace_of_an_attack_can_be_asked_for(files):
    """Events and fields in the table are those of the schema, conditions those of the rules."""
    fields, symbols = {}, {}
    for symbol, event in re.findall(r'^EVENT\((\w+), (\d+),', read('schema/events.def'), re.M):
        symbols[symbol] = event
    for symbol, field in re.findall(r'^\t\w+\((\w+), (\w+),', read('schema/events.def'), re.M):
        fields.setdefault(symbols.get(symbol), set()).add(field)
    conditions = re.findall(r'^(?:WHOLE|LIST)\("(.+?)"', read('src/rules/operators.def'), re.M)
    for line in read('tests/attacks/expected.tsv').splitlines():
        if line.startswith('#'):
            continue
        _, _, _, event, condition, when = line.split('\t')
        field, _, rest = condition.partition(' ')
        known = field in fields.get(event, ()) and any(rest.startswith(c + ' ') for c in conditions)
        if when not in ('now', 'later', 'never') or known != (when != 'never'):
            yield line


def no_function_is_called_that_we_do_not_use(files):
    for path in files:
        if not path.startswith('src/') or not path.endswith(('.c', '.h')):
            continue
        for name in BANNED.findall(without_comments(read(path))):
            yield f'{path}: {name}()'


def nothing_is_left_for_later(files):
    for path in files:
        if path.endswith(CODE) and path != 'tests/checks.py' and \
                re.search(r'\b(TODO|FIXME|XXX|HACK)\b', read(path)):
            yield path


CHECKS = [includes_point_left, every_source_has_its_licence_line, every_recommended_rule_has_an_event,
          every_expected_trace_of_an_attack_can_be_asked_for, no_function_is_called_that_we_do_not_use, nothing_is_left_for_later]


def main():
    files = tracked()
    bad = False
    print(f'1..{len(CHECKS)}')
    for number, check in enumerate(CHECKS, 1):
        found = list(check(files))
        bad = bad or bool(found)
        print(f'{"not ok" if found else "ok"} {number} - {check.__name__.replace("_", " ")}')
        for line in found:
            print(f'#   {line}')
    return 1 if bad else 0


if __name__ == '__main__':
    sys.exit(main())
