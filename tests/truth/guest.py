#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""The truth run in a virtual machine with another kernel (tests/vm/vm.py names them), on ext4 and on tmpfs.
Prints TAP. What was recorded comes back and is read and compared here.

    guest.py KERNEL [OPERATIONS [SEED]]
"""
import os
import shutil
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
BUILD = os.environ.get('KONSEKI_BUILD', os.path.join(ROOT, 'build'))
KONSEKI = os.path.join(BUILD, 'konseki')
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(ROOT, 'tests', 'vm'))
import vm  # noqa: E402

PLACES = {'ext4': '/work', 'tmpfs': '/dev/shm'}
BESIDE = '/usr/lib/truth/'  # where the generator lies, and what it needs
SCRIPT = '''
mkdir -p /out/{name}
/record.sh /usr/bin/konseki {beside}generate {place} /out/{name} {operations} {seed} >/out/{name}/record 2>&1 ||
	echo failed >/out/{name}/failed
rm -rf {place}/files
'''


def record(kernel, operations, seed):
    """Files that the guest left: {'ext4/ledger': bytes ...}, or None."""
    of_kernel = vm.kernel(kernel)
    guest = vm.Guest('insmod ' + BESIDE + 'loop.ko\n' + ''.join(SCRIPT.format(beside=BESIDE, name=name, place=place, operations=operations, seed=seed)
                             for name, place in PLACES.items()))
    for file in ('record.sh', 'rules.xml'):
        guest.copy(os.path.join(HERE, file), '/' + file)
    guest.copy_program(KONSEKI, '/usr/bin/konseki')
    for program in ('generate', 'leaf'):
        guest.copy(os.path.join(BUILD, 'tests', 'truth', program), BESIDE + program)
    for module in ('loop', 'dummy'):
        guest.add(f'{BESIDE}{module}.ko', of_kernel.module(module))
    outcome = vm.boot(of_kernel, guest, seconds=900)
    if outcome.status == 0:
        return outcome.files
    print(outcome.text('guest.txt'), outcome.console, sep='\n')
    return None


def compare(label, directory):
    """Prints the results of one recording; True if all is well."""
    if os.path.exists(os.path.join(directory, 'failed')):
        with open(os.path.join(directory, 'record'), encoding='utf-8', errors='replace') as text:
            print(f'not ok 1 - {label}: recorded', *text.read().splitlines(), sep='\n# ')
        print('1..1')
        return False
    view = subprocess.Popen([KONSEKI, 'view', '--json', os.path.join(directory, 'log.evtx')],
                            stdout=subprocess.PIPE)
    done = subprocess.run([sys.executable, os.path.join(HERE, 'compare.py'), '--label', label + ': ',
                           '--ledger', os.path.join(directory, 'ledger'), '--log', '-',
                           '--tally', os.path.join(directory, 'tally'),
                           '--status', os.path.join(directory, 'status')], stdin=view.stdout, check=False)
    view.stdout.close()
    return view.wait() == 0 and done.returncode == 0


def main(arguments):
    if not 1 <= len(arguments) <= 3:
        print(__doc__, file=sys.stderr)
        return 2
    kernel, operations, seed = (arguments + ['2000', str(int(time.time()))][len(arguments) - 1:])[:3]
    print(f'# seed {seed}, {operations} operations', flush=True)
    files = record(kernel, operations, seed)
    if files is None:
        print(f'1..1\nnot ok 1 - {kernel}: recorded')
        return 1
    scratch = tempfile.mkdtemp(prefix='konseki-truth.', dir='/var/tmp')
    well = True
    try:
        for path, data in files.items():
            os.makedirs(os.path.dirname(os.path.join(scratch, path)), exist_ok=True)
            with open(os.path.join(scratch, path), 'wb') as out:
                out.write(data)
        for name in PLACES:
            well &= compare(f'{kernel}, {name}', os.path.join(scratch, name))
        return 0 if well else 1
    finally:
        if not well and os.environ.get('KEEP'):
            print(f'# kept: {scratch}')
        else:
            shutil.rmtree(scratch)


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
