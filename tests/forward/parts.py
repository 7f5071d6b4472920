# SPDX-License-Identifier: MIT
"""What the tests of sinks share: a sink driven by hand (send.c), records to send, certificates, servers, TAP."""
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import traceback

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.path.abspath(os.environ.get('KONSEKI_BUILD', os.path.join(ROOT, 'build')))
SEND = os.path.join(BUILD, 'tests', 'forward', 'forward_send')
HOST, LOG = '4c4c4544-0042-3510-8054-b4c04f4d3432', '1'  # as send.c says
LONG = 60  # for a wait that ends when what is waited for happens

# An exit runs what a signal would skip: servers are ended, folders removed.
signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))


def run(*words, **options):
    done = subprocess.run(words, capture_output=True, text=True, errors='replace', timeout=LONG,
                          stdin=subprocess.DEVNULL, check=False, **options)
    assert done.returncode == 0, f'{words}: {done.returncode}\n{done.stdout}{done.stderr}'
    return done.stdout


def eventually(condition, what, seconds=LONG):
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


def listens(port, host='127.0.0.1'):
    with socket.socket() as s:
        return s.connect_ex((host, port)) == 0


class Answer:
    def __init__(self, line):
        m = re.fullmatch(r'(\w+) confirmed=(\d+) retry_after=(\d+) doubtful=(\d) misconfigured=(\d) text=(.*)', line)
        assert m, f'no answer: {line!r}'
        self.outcome, self.text = m.group(1), m.group(6)
        self.confirmed, self.retry_after = int(m.group(2)), int(m.group(3))
        self.doubtful, self.misconfigured = m.group(4) == '1', m.group(5) == '1'

    def __repr__(self):
        return str(vars(self))


class Sink:
    """forward_send with one sink, in which each send() is one try."""

    def __init__(self, *words, check=True, environment=None, before=()):
        self.process = subprocess.Popen([*before, SEND, *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, text=True, errors='replace',
                                        env={**os.environ, **(environment or {})})
        self.check = check

    def send(self, items, kind=''):
        """Items are (record id, event id, level, time in ns, text)."""
        lines = ['clear'] + ['item ' + ' '.join(map(str, item)) for item in items] + [f'send {kind}']
        self.process.stdin.write('\n'.join(lines) + '\n')
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        return Answer(line.rstrip('\n')) if line else self.died()

    def died(self):
        raise AssertionError(f'forward_send: {self.process.wait(LONG)} {self.process.stderr.read()}')

    def memory_kb(self):
        with open(f'/proc/{self.process.pid}/status', encoding='ascii') as f:
            return int(re.search(r'^VmHWM:\s*(\d+) kB', f.read(), re.M).group(1))

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        try:
            self.process.stdin.close()
        except BrokenPipeError:
            pass
        try:
            code = self.process.wait(LONG)
        except subprocess.TimeoutExpired:
            self.process.kill()
            code = self.process.wait()
        errors = self.process.stderr.read()
        self.process.stdout.close()
        self.process.stderr.close()
        if kind is None:
            assert code == 0, f'forward_send: {code} {errors}'


def refusal(*words):
    """What `forward add` would say to such a sink."""
    done = subprocess.run([SEND, *words], capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=LONG,
                          check=False)
    assert done.returncode == 2, done
    return done.stderr


def record(number, text=None, event=5, level=4):
    """A record as the forwarder makes one."""
    body = text if text is not None else f'/usr/bin/true {number} "quoted" \\\\ ü'
    escaped = body.replace('\\', '\\\\').replace('"', '\\"')
    return (number, event, level, 1764201600000000000 + number * 1000000,
            f'{{"System":{{"EventID":{event},"EventRecordID":{number}}},"EventData":{{"CommandLine":"{escaped}"}}}}')


class Certificates:
    """A small authority and what it signed: files NAME.pem, NAME.key in a folder."""

    def __init__(self, folder):
        self.folder = folder
        os.makedirs(folder, exist_ok=True)
        self.authority('ca')
        self.authority('other')
        self.make('server', 'DNS:localhost,IP:127.0.0.1')
        self.make('client', 'DNS:client.example')
        self.make('stranger', 'DNS:stranger.example')
        self.make('elsewhere', 'DNS:elsewhere.example,IP:127.0.0.2')
        self.make('expired', 'DNS:localhost,IP:127.0.0.1', days='-1')
        self.make('untrusted', 'DNS:localhost,IP:127.0.0.1', by='other')

    def path(self, name):
        return os.path.join(self.folder, name)

    def authority(self, name):
        run('openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '30',
            '-subj', f'/CN={name}', '-keyout', self.path(name + '.key'), '-out', self.path(name + '.pem'))

    def make(self, name, names, by='ca', days='30'):
        run('openssl', 'req', '-new', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-subj',
            f'/CN={name}', '-keyout', self.path(name + '.key'), '-out', self.path(name + '.csr'))
        with open(self.path(name + '.ext'), 'w', encoding='ascii') as f:
            f.write(f'subjectAltName={names}\n')
        run('openssl', 'x509', '-req', '-in', self.path(name + '.csr'), '-CA', self.path(by + '.pem'), '-CAkey',
            self.path(by + '.key'), '-CAcreateserial', '-days', days, '-extfile', self.path(name + '.ext'), '-out',
            self.path(name + '.pem'))

    def options(self, client='client'):
        own = [f'certificate={self.path(client + ".pem")}', f'key={self.path(client + ".key")}'] if client else []
        return [f'ca={self.path("ca.pem")}', *own]


class Server:
    """Listens, and lets `serve(connection)` do with each connection what it likes."""

    def __init__(self, serve):
        self.serve = serve
        self.listener = socket.create_server(('127.0.0.1', 0))
        self.port = self.listener.getsockname()[1]
        self.over = threading.Event()
        threading.Thread(target=self.loop, daemon=True).start()

    def loop(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.one, args=(connection,), daemon=True).start()

    def one(self, connection):
        with connection:
            try:
                self.serve(connection)
            except OSError:  # the other side has had enough
                pass

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.over.set()
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()


class Daemon:
    """A server of somebody else's, ended whatever happens."""

    def __init__(self, words, port, log, env=None, host='127.0.0.1'):
        self.log = log
        with open(log, 'ab') as out:
            self.process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                                            env={**os.environ, **(env or {})})
        try:
            eventually(lambda: listens(port, host) or self.process.poll() is not None, f'{words[0]} to listen')
            assert self.process.poll() is None, self.said()
        except BaseException:
            self.end()
            raise

    def said(self):
        with open(self.log, encoding='utf-8', errors='replace') as f:
            return f.read()

    def end(self, how=signal.SIGTERM):
        if self.process.poll() is None:
            self.process.send_signal(how)
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.end()


def main(tests):
    """Runs the tests, each a function of a folder of its own; prints TAP."""
    tests = [t for t in tests if not sys.argv[1:] or t.__name__ in sys.argv[1:]]
    base = tempfile.mkdtemp(prefix='konseki-forward.', dir='/var/tmp')
    failed = False
    print(f'1..{len(tests)}', flush=True)
    try:
        for number, test in enumerate(tests, 1):
            fault, began = None, time.monotonic()
            os.mkdir(os.path.join(base, test.__name__))
            try:
                test(os.path.join(base, test.__name__))
            except Exception:  # the next tests run all the same
                fault, failed = traceback.format_exc(), True
            print(f'{"not ok" if fault else "ok"} {number} - {test.__name__.replace("_", " ")}')
            for line in (fault or f'{time.monotonic() - began:.1f} s').splitlines():
                print('#', line)
            sys.stdout.flush()
    finally:
        shutil.rmtree(base, ignore_errors=True)
    return 1 if failed else 0
