#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Machines on which konseki cannot work: it must end at once and say why and what to do. Prints TAP."""
import os
import re
import sys

sys.dont_write_bytecode = True
import vm

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
KONSEKI = os.path.join(os.environ.get('KONSEKI_BUILD', os.path.join(ROOT, 'build')), 'konseki')

RUN = '/usr/bin/konseki run --log /tmp/log.evtx'
EMPTY_BTF = ': >/tmp/empty; mount -o bind /tmp/empty /sys/kernel/btf/vmlinux; '

# What is the matter, kernel, its command line, what the guest runs, the status it ends with, what it must say.
REFUSALS = [
    ('the kernel is too old', '5.10', '', RUN, 1, r'5\.10.*5\.17'),
    ('lockdown hides the kernel from BPF', '6.1', 'lockdown=confidentiality', RUN, 1, r'confidentiality'),
    ('the kernel has no type information', '6.1', '', EMPTY_BTF + RUN, 1, r'BTF'),
    ('the caller is not root', '6.1', '', f"su nobody -s /bin/sh -c '{RUN}'", 228, r'root'),
]


def main():
    print(f'1..{len(REFUSALS)}')
    failed = 0
    for number, (matter, kernel, append, script, status, said) in enumerate(REFUSALS, 1):
        guest = vm.Guest(script)
        guest.copy_program(KONSEKI, '/usr/bin/konseki')
        outcome = vm.boot(vm.kernel(kernel), guest, seconds=120, append=append)
        output = outcome.text('guest.txt')
        well = outcome.status == status and re.search(said, output)
        print('ok' if well else 'not ok', number, '-', matter)
        if not well:
            failed += 1
            print(f'# status {outcome.status}')
            for line in (output or outcome.console).splitlines():
                print('#', line)
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())
