#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Deletions wait for the engine where functions can be hooked: whoever of konseki is killed meanwhile, none of them waits
for more than the deadline, none fails, and no process is left stopped. Prints TAP.

    held.py [KERNEL]
"""
import os
import re
import sys

sys.dont_write_bytecode = True
import vm

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
KONSEKI = os.path.join(os.environ.get('KONSEKI_BUILD', os.path.join(ROOT, 'build')), 'konseki')

SITUATIONS = ['monitor', 'both', 'all']
LONGEST = 5  # the deadline is two seconds; time is counted in whole ones, and the machine is an emulated one


def main(kernel='6.1'):
    guest = vm.Guest('sh /held-guest.sh')
    guest.copy(os.path.join(HERE, 'held-guest.sh'), '/held-guest.sh')
    guest.copy_program(KONSEKI, '/usr/bin/konseki')
    outcome = vm.boot(vm.kernel(kernel), guest, seconds=400)
    output = outcome.text('guest.txt')
    found = {m[1]: tuple(map(int, m.groups()[1:])) for m in
             re.finditer(r'^(\w+) deleted=(\d+) longest=(\d+) stopped=(\d+) left=(\d+)$', output, re.M)}
    print(f'1..{len(SITUATIONS) + 1}')
    failed = 0
    for number, name in enumerate(SITUATIONS, 1):
        deleted, longest, stopped, left = found.get(name, (0, 0, 0, 0))
        well = deleted > 10 and longest <= LONGEST and not stopped and not left
        failed += not well
        print('ok' if well else 'not ok', number, f'- {kernel}: deletions go on: {name}')
        print(f'# {deleted} files, the longest {longest} s, {stopped} processes left stopped, {left} files left')
    well = 'rm failed' not in output and re.search(r'^[1-9]\d*$', output, re.M)
    failed += not well
    print('ok' if well else 'not ok', len(SITUATIONS) + 1, f'- {kernel}: no deletion failed, and some were archived')
    if failed:
        print('\n'.join('# ' + line for line in (output or outcome.console).splitlines()[-40:]))
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main(*sys.argv[1:]))
