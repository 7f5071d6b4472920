# SPDX-License-Identifier: MIT
"""What the end-to-end tests of the daemon share: a machine of their own, a running konseki, its log.

The tests run in a mount namespace in which the folders that konseki installs into are copies, so the machine
stays as it is, and an installed konseki that runs on it is not in the way.
"""
import ctypes
import glob
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import traceback

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
KONSEKI = os.path.join(os.path.abspath(os.environ.get('KONSEKI_BUILD', os.path.join(ROOT, 'build'))), 'konseki')
LOG = 'Linux-Sysmon%4Operational.evtx'

# For a wait that ends when what is waited for happens: so long that only a fault reaches it.
LONG = 120

CLONE_NEWNS = 0x00020000


def run(*words, **options):
    """Runs a command to its end; the result has returncode, stdout, stderr as text."""
    return subprocess.run(words, capture_output=True, text=True, errors='replace', timeout=LONG,
                          stdin=subprocess.DEVNULL, **options)


def must(*words):
    done = run(*words)
    assert done.returncode == 0, f'{words}: {done.returncode}\n{done.stdout}{done.stderr}'
    return done


def eventually(condition, what, seconds=LONG):
    """Tries until it holds."""
    until = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < until, f'never came: {what}'
        time.sleep(0.05)


def alive(pid):
    try:
        with open(f'/proc/{pid}/stat', encoding='utf-8', errors='replace') as f:
            return f.read().rpartition(')')[2].split()[0] not in 'ZX'
    except (FileNotFoundError, ProcessLookupError):
        return False


def own_machine(base):
    """From here on mounts are seen by this process and its children only; they end with it."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNS) != 0:
        raise OSError(ctypes.get_errno(), 'unshare')
    must('mount', '--make-rprivate', '/')
    must('mount', '-t', 'tmpfs', '-o', 'mode=755', 'tmpfs', base)
    for number, folder in enumerate(('/etc', '/usr/local', '/var/lib', '/var/log')):
        upper, work = (os.path.join(base, f'{kind}{number}') for kind in ('upper', 'work'))
        os.mkdir(upper)
        os.mkdir(work)
        must('mount', '-t', 'overlay', 'overlay', '-o', f'lowerdir={folder},upperdir={upper},workdir={work}', folder)
    os.makedirs('/run/konseki', exist_ok=True)
    must('mount', '-t', 'tmpfs', '-o', 'mode=755', 'tmpfs', '/run/konseki')


class Log:
    """An event log as `konseki view --json` tells it."""

    def __init__(self, path):
        self.path = path

    def events(self, event_id=None):
        done = run(KONSEKI, 'view', '--json', self.path)
        # Of a log that is being overwritten it is said what could not be read any more.
        assert done.returncode == 0 or re.fullmatch(r'(.* were overwritten before they could be read\n)+', done.stderr), \
            done.stderr[:1000]
        events = [json.loads(line) for line in done.stdout.splitlines()]
        events.sort(key=lambda e: e['System']['EventRecordID'])
        return [e for e in events if event_id in (None, e['System']['EventID'])]

    def executed(self, program):
        return [e['EventData']['CommandLine'] for e in self.events(1) if e['EventData']['Image'] == program]

    def reports(self):
        return [e['EventData']['Description'] for e in self.events(255)]

    def states(self):
        return [e['EventData']['State'] for e in self.events(4)]

    def is_clean(self):
        with open(self.path, 'rb') as f:
            return f.read(128)[120] & 1 == 0


class Run:
    """`konseki run` in a folder of its own."""

    def __init__(self, folder, *words, log=None):
        self.log = Log(log or os.path.join(folder, LOG))
        self.errors = os.path.join(folder, 'stderr')
        with open(self.errors, 'w', encoding='utf-8') as err:
            self.process = subprocess.Popen([KONSEKI, 'run', '--log', self.log.path, *words], cwd=folder, stderr=err,
                                            stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
        self.pid = self.process.pid
        self.pids = []
        try:
            eventually(lambda: self.said('watching this machine') or self.process.poll() is not None, 'watching')
            assert self.process.poll() is None, self.said_all()
            self.note_pids()
        except BaseException:
            self.close()
            raise

    def said_all(self):
        with open(self.errors, encoding='utf-8', errors='replace') as f:
            return f.read()

    def said(self, text):
        return text in self.said_all()

    def status(self):
        done = run(KONSEKI, 'status', '--json')
        return json.loads(done.stdout)

    def note_pids(self):
        status = self.status()
        self.monitor, self.engine = status['monitor'], status['engine']
        self.pids += [self.monitor, self.engine]

    def wait_for_restart(self, count):
        def restarted():
            done = run(KONSEKI, 'status', '--json')
            status = json.loads(done.stdout or '{}')
            return status.get('restarts') == count and alive(status['engine']) and alive(status['monitor']) and \
                status['engine_silent_ms'] < 1000
        eventually(restarted, f'{count} restarts')
        self.note_pids()

    def tally(self):
        """Produced, filtered, logged, lost by event id, from the end of a run."""
        rows = re.findall(r'^ *(\d+) .*?(\d+) +(\d+) +(\d+) +(\d+)$', self.said_all(), re.M)
        return {int(row[0]): tuple(map(int, row[1:])) for row in rows}

    def stop(self):
        """Ends it as Ctrl-C does; what was produced must be accounted for."""
        self.process.send_signal(signal.SIGINT)
        assert self.process.wait(LONG) == 0, self.said_all()
        eventually(lambda: not any(map(alive, self.pids)), 'the end of all processes')
        tally = self.tally()
        assert tally, self.said_all()
        for event_id, (produced, filtered, logged, lost) in tally.items():
            assert produced == filtered + logged + lost, f'event {event_id}: {tally[event_id]}'
        return tally

    def close(self):
        """After a failed test: nothing is left behind."""
        for pid in [self.pid, *self.pids]:
            if pid and alive(pid):
                os.kill(pid, signal.SIGCONT)
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        for pid in self.pids:
            if pid and alive(pid):
                os.kill(pid, signal.SIGKILL)


def links_of(pids):
    """The ids of the BPF links that these processes hold."""
    ids = set()
    for pid in pids:
        for path in glob.glob(f'/proc/{pid}/fdinfo/*'):
            try:
                with open(path, encoding='ascii') as f:
                    ids |= set(re.findall(r'^link_id:\s*(\d+)$', f.read(), re.M))
            except FileNotFoundError:
                pass
    return {int(i) for i in ids}


def links():
    return {link['id'] for link in json.loads(must('bpftool', '-j', 'link').stdout or '[]')}


def attempt(test, folder):
    """None, or what went wrong."""
    os.mkdir(folder)
    try:
        test(folder)
    except Exception:  # the next tests run all the same
        return traceback.format_exc()
    return None


def main(tests):
    """Runs the tests in a machine of their own; prints TAP. A test is a function of a folder."""
    base = tempfile.mkdtemp(prefix='konseki-daemon.', dir='/var/tmp')
    tests = [t for t in tests if not sys.argv[1:] or t.__name__ in sys.argv[1:]]
    failed = False
    try:
        own_machine(base)
        print(f'1..{len(tests)}', flush=True)
        for number, test in enumerate(tests, 1):
            fault = attempt(test, os.path.join(base, test.__name__))
            failed = failed or fault is not None
            print(f'{"not ok" if fault else "ok"} {number} - {test.__name__.replace("_", " ")}')
            for line in (fault or '').splitlines():
                print('#', line)
            sys.stdout.flush()
    finally:
        run('umount', '-l', base)
        os.rmdir(base)
    return 1 if failed else 0
