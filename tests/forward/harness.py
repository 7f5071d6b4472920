# SPDX-License-Identifier: MIT
"""What the tests of sinks share: the driver of one sink, certificates, results as TAP."""
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import traceback

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.path.abspath(os.environ.get('KONSEKI_BUILD', os.path.join(ROOT, 'build')))
DRIVER = os.path.join(BUILD, 'tests', 'forward', 'forward_send')

# For a wait that ends when what is waited for happens: so long that only a fault reaches it.
LONG = 60

UTC_NS = 1795750457_000000000  # 2026-11-27 03:34:17


def eventually(condition, what, seconds=LONG):
    """Tries until it holds."""
    until = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < until, f'never came: {what}'
        time.sleep(0.02)


def free_port():
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        return s.getsockname()[1]


def json_item(record, event=1, text='x'):
    """As the forwarder makes one."""
    return ('{"Origin":{"Host":"h","Log":"1"},"System":{"EventID":%d,"EventRecordID":%d,"Computer":"web1.example"},'
            '"EventData":{"Image":"%s"}}' % (event, record, text))


class Answer:
    LINE = re.compile(r'(\w+) confirmed=(\d+) retry_after=(\d+) doubtful=(\d) misconfigured=(\d) text=(.*)$', re.S)

    def __init__(self, line):
        match = self.LINE.match(line.rstrip('\n'))
        assert match, f'the driver said: {line!r}'
        self.outcome, self.text = match.group(1), match.group(6)
        self.confirmed, self.retry_after = int(match.group(2)), int(match.group(3))
        self.doubtful, self.misconfigured = match.group(4) == '1', match.group(5) == '1'

    def __repr__(self):
        return f'{self.outcome} confirmed={self.confirmed} retry_after={self.retry_after} ' \
               f'doubtful={self.doubtful} misconfigured={self.misconfigured} {self.text!r}'


class Driver:
    """One sink, opened; see send.c."""

    def __init__(self, sink, to, secret=None, environment=None, **options):
        self.folder = tempfile.mkdtemp(prefix='konseki-forward-')
        words = [DRIVER, sink, to] + [f'{name}={value}' for name, value in options.items()]
        if secret is not None:
            path = os.path.join(self.folder, 'secret')
            with open(path, 'w', encoding='utf-8') as f:
                f.write(secret)
            words.append(f'secret={path}')
        clean = {name: value for name, value in os.environ.items() if not name.lower().endswith('_proxy')}
        self.process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                        text=True, errors='replace', env=clean | (environment or {}))

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        self.process.stdin.close()
        try:
            self.process.wait(LONG)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise
        finally:
            wrong = self.process.stderr.read()
            shutil.rmtree(self.folder)
        if kind is None:
            assert self.process.returncode == 0, f'{self.process.returncode}: {wrong}'

    def say(self, line):
        self.process.stdin.write(line + '\n')
        self.process.stdin.flush()

    def item(self, record, event=1, level=4, text=None):
        self.say(f'item {record} {event} {level} {UTC_NS + record * 1000000} {text or json_item(record, event)}')

    def ask(self, line):
        self.say(line)
        answer = self.process.stdout.readline()
        assert answer, f'the driver ended: {self.process.stderr.read()}'
        return answer

    def send(self, *how):
        return Answer(self.ask(' '.join(('send',) + how)))

    def batch(self, first, last, *how, **item):
        """Another batch, of these records."""
        self.say('clear')
        for record in range(first, last + 1):
            self.item(record, **item)
        return self.send(*how)

    def erasable(self):
        return self.ask('erasable') == 'erasable=1\n'

    def memory(self):
        """Of the process at its largest, in bytes."""
        with open(f'/proc/{self.process.pid}/status', encoding='ascii') as f:
            return int(re.search(r'VmHWM:\s*(\d+) kB', f.read()).group(1)) * 1024


def refusal(sink, to, secret=None, **options):
    """Why the sink cannot be opened."""
    try:
        with Driver(sink, to, secret, **options) as d:
            d.process.wait(LONG)
            why = d.process.stderr.read()
            assert d.process.returncode == 2, f'it was opened, or died: {d.process.returncode} {why}'
            raise StopIteration(why)
    except StopIteration as e:
        return str(e)


def certificate(folder, name, *names, signed_by=None):
    """Makes name.pem and name.key, for these hosts; a certificate of its own, or of another one made here."""
    pem, key = (os.path.join(folder, f'{name}.{end}') for end in ('pem', 'key'))
    words = ['openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2',
             '-subj', f'/CN={name}', '-keyout', key, '-out', pem]
    if names:
        words += ['-addext', 'subjectAltName=' + ','.join(names)]
    if signed_by:
        words += ['-CA', signed_by[0], '-CAkey', signed_by[1], '-addext', 'basicConstraints=critical,CA:FALSE']
    subprocess.run(words, check=True, capture_output=True, timeout=LONG)
    return pem, key


def run_tests(tests, names):
    """Runs those functions whose names are given, or all; prints TAP; the exit status."""
    chosen = [test for test in tests if not names or test.__name__ in names]
    failed = 0
    print(f'1..{len(chosen)}')
    for number, test in enumerate(chosen, 1):
        started = time.monotonic()
        try:
            test()
            word = 'ok'
        except Exception:
            failed += 1
            word = 'not ok'
            print(''.join(f'# {line}\n' for line in traceback.format_exc().splitlines()), end='')
        print(f'{word} {number} - {test.__name__.replace("_", " ")}')
        print(f'# {time.monotonic() - started:.1f} s', flush=True)
    return 1 if failed or not chosen else 0


def main(tests):
    sys.exit(run_tests(tests, sys.argv[1:]))
