#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Two verifiers, one answer: `konseki verify` and verify.py, on the same files, whole and changed. Prints TAP.

    agree.py [BUILD]
"""
import os
import random
import shutil
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
import verify

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
BUILD = os.path.abspath(sys.argv[1]) if sys.argv[1:] else os.path.join(ROOT, 'build')
CHUNK, FIRST = 65536, 4096


def read(path):
    with open(path, 'rb') as f:
        return bytearray(f.read())


def write(path, data):
    with open(path, 'wb') as f:
        f.write(data)


def sealed(log, seals, key):
    """What both say: True when all is well. They must agree."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, 'log.evtx')
        write(path, log)
        if seals is not None:
            write(path + '.seal', seals)
        done = subprocess.run([os.path.join(BUILD, 'konseki'), 'verify', '--key', '-', path], input=key, text=True,
                              capture_output=True, check=False)
    assert done.returncode in (0, 1), f'{done.returncode}: {done.stderr}'
    try:
        alarms = verify.Verifier(bytes(log), bytes(seals), verify.secret_of(key)).verify() if seals is not None else ['none']
    except ValueError as e:
        alarms = [str(e)]
    assert (not alarms) == (done.returncode == 0), f'konseki: {done.stdout}{done.stderr}; the other: {alarms}'
    return not alarms


def put(data, at, new):
    return data[:at] + new + data[at + len(new):]


def changed(log, seals):
    """Name, changed log, changed seals, and whether that is still well."""
    a, b = FIRST, FIRST + CHUNK
    yield 'both as they were', log, seals, True
    yield 'two chunks exchanged: their places mean nothing', \
        put(put(log, a, log[b:b + CHUNK]), b, log[a:a + CHUNK]), seals, True
    yield 'a letter of a record', put(log, a + 20001, bytes([log[a + 20001] ^ 1])), seals, False
    yield 'an entry of a name table', put(log, a + 130, bytes([log[a + 130] ^ 1])), seals, False
    yield 'a byte behind the records', put(log, a + CHUNK - 1, b'x'), seals, False
    yield 'a chunk taken out', put(log, b, bytes(CHUNK)), seals, False
    yield 'a chunk twice', put(log, b, log[a:a + CHUNK]), seals, False
    yield 'the log cut', log[:FIRST + 4 * CHUNK], seals, False
    yield 'the file header', put(log, 8, b'\xff'), seals, False
    yield 'marked as not closed', put(log, 120, b'\x01'), seals, True
    yield 'a seal taken out', log, put(seals, FIRST + 6 * 128, bytes(128)), False
    yield 'two seals exchanged: their places mean nothing', log, \
        put(put(seals, FIRST + 128, seals[FIRST + 256:FIRST + 384]), FIRST + 256, seals[FIRST + 128:FIRST + 256]), True
    yield 'a seal twice', log, put(seals, FIRST + 256, seals[FIRST + 128:FIRST + 256]), False
    yield 'the seals cut', log, seals[:FIRST], False
    yield 'other seals', log, put(seals, 8, b'other chain'), False
    yield 'no seals', log, None, False
    yield 'an empty log', bytearray(), seals, False


def main():
    random.seed(5)
    folder = tempfile.mkdtemp()
    try:
        subprocess.run([os.path.join(BUILD, 'tests/unit/seal_test'), 'make', folder], check=True)
        log, seals = read(folder + '/log.evtx'), read(folder + '/log.evtx.seal')
        with open(folder + '/KEY', encoding='ascii') as f:
            key = f.read()
    finally:
        shutil.rmtree(folder)
    rows = list(changed(log, seals))
    for number in range(20):
        at = random.randrange(FIRST, FIRST + 8 * CHUNK)
        rows.append((f'random byte {number}', put(log, at, bytes([log[at] ^ random.randrange(1, 256)])), seals, False))
    rows.append(('another key', None, None, None))
    failed = False
    print(f'1..{len(rows)}')
    for number, (name, new_log, new_seals, well) in enumerate(rows, 1):
        try:
            if name == 'another key':
                secret = bytes(range(1, 17))
                other = verify.base64.b32encode(secret + verify.hashlib.sha256(secret).digest()[:4]).decode()
                assert not sealed(log, seals, other)
            else:
                assert sealed(new_log, new_seals, key) == well, 'both say the contrary'
            print(f'ok {number} - {name}')
        except AssertionError as e:
            failed = True
            print(f'not ok {number} - {name}\n# {e}')
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())
