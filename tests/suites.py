#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Runs every test suite and adds up their TAP lines; ./test ends here.

A suite is a row of SUITES: its name, what to run, and after how many seconds it counts as hung. It is
either a meson build directory, whose tests are all run, or a command that prints TAP itself. A suite
fails beyond its "not ok" lines when it ends badly, prints another number of results than its plan
says, or prints none: silence is no success.
"""
import concurrent.futures
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BUILD = os.path.join(ROOT, 'build')
SANITIZED = os.path.join(BUILD, 'sanitized')
LOGS = os.path.join(BUILD, 'test-logs')
PYTHON = '/usr/bin/python3'


def meson(directory, *setup):
    """All tests of a build directory; with options for `meson setup` it is made first."""
    return {'meson': directory, 'setup': setup}


def tap(*command):
    """A command that prints TAP."""
    return {'command': command}


SUITES = [
    ('harness', tap(PYTHON, 'tests/harness_test.py'), 240),
    ('checks', tap(PYTHON, 'tests/checks.py'), 60),
    ('unit', meson(BUILD), 600),
    ('sanitized', meson(SANITIZED, '-Db_sanitize=address,undefined', '-Db_lundef=false', '-Dwerror=true',
                        '-Doptimization=1'), 900),
    ('seals', tap(PYTHON, 'tests/golden/seal/agree.py', BUILD), 120),
    ('power-cuts', tap(PYTHON, 'tests/crash/crash.py'), 300),
    ('documents', tap(PYTHON, 'tests/daemon/documents.py'), 60),
    ('forward-azure', tap(PYTHON, 'tests/forward/azure.py'), 600),
    ('forward-log-analytics', tap(PYTHON, 'tests/forward/log_analytics.py'), 120),
    ('trouble', tap(PYTHON, 'tests/daemon/trouble.py'), 900),
    ('pushdown', tap(PYTHON, 'tests/daemon/pushdown.py'), 300),
    ('attacks', tap(PYTHON, 'tests/attacks/attacks.py', 'here'), 300),
    ('forward-syslog', tap(PYTHON, 'tests/forward/syslog_sink.py'), 300),
    ('forward-kafka', tap(PYTHON, 'tests/forward/kafka_sink.py'), 300),
    ('forward-http', tap(PYTHON, 'tests/forward/http_hostile.py'), 300),
    ('forward-service', tap(PYTHON, 'tests/forward/service.py'), 600),
    ('forward-hostile', tap(PYTHON, 'tests/forward/hostile.py'), 300),
    ('install', tap(PYTHON, 'tests/daemon/install.py'), 600),
    ('behaviours-host', tap(PYTHON, 'tests/vm/behave.py', 'host'), 600),
    ('behaviours-6.1', tap(PYTHON, 'tests/vm/behave.py', '6.1'), 900),
    ('behaviours-6.1-no-bpf-lsm', tap(PYTHON, 'tests/vm/behave.py', '6.1', 'lsm=lockdown,yama'), 900),
    ('behaviours-6.12', tap(PYTHON, 'tests/vm/behave.py', '6.12'), 900),
    ('held', tap(PYTHON, 'tests/vm/held.py'), 400),
    ('truth', tap('tests/truth/run.sh', BUILD), 600),
    ('foreign-readers', tap('tests/golden/evtx/real.sh', BUILD), 600),
    ('truth-6.1', tap(PYTHON, 'tests/truth/guest.py', '6.1'), 900),
    ('truth-6.12', tap(PYTHON, 'tests/truth/guest.py', '6.12'), 900),
    ('systemd', tap(PYTHON, 'tests/vm/systemd.py'), 900),
    ('refusals', tap(PYTHON, 'tests/vm/refusals.py'), 600),
]

# These wait most of their time, for servers, deadlines and restarts, and do not mind what else is done: they run beside the
# others. (What needs a processor would make emulated machines late.)
BESIDE = {'trouble', 'forward-azure', 'forward-log-analytics', 'forward-syslog', 'forward-kafka', 'forward-http', 'forward-hostile'}

PRINTING = threading.Lock()


class Result:
    """What came out of one program: TAP lines counted, the failed ones kept by name."""

    LINE = re.compile(r'^(not )?ok\b\s*(\d+)?\s*-?\s*(.*)$')
    PLAN = re.compile(r'^1\.\.(\d+)\b')

    def __init__(self):
        self.passed = self.skipped = 0
        self.failures = []
        self.output = ''  # what there is to read about the failures

    def fail(self, why):
        self.failures.append(why)

    def add(self, other):
        self.passed += other.passed
        self.skipped += other.skipped
        self.failures += other.failures

    def read_tap(self, name, text, ended_well):
        planned, seen, failed_lines = 0, 0, 0
        for line in text.splitlines():
            plan = self.PLAN.match(line)
            if plan:  # cmocka prints one plan per group: they add up
                planned += int(plan.group(1))
                continue
            if line.startswith('Bail out!'):
                self.fail(f'{name}: {line}')
                failed_lines += 1
            result = self.LINE.match(line)
            if not result:
                continue
            seen += 1
            if re.search(r'#\s*SKIP', line, re.I):
                self.skipped += 1
            elif result.group(1):
                self.fail(f'{name}: {result.group(3)}')
                failed_lines += 1
            else:
                self.passed += 1
        if seen == 0:
            self.fail(f'{name}: printed no result')
        elif planned != seen:
            self.fail(f'{name}: {seen} results where the plan says {planned}')
        elif not ended_well and failed_lines == 0:
            self.fail(f'{name}: ended badly though every result is ok')


def run_logged(command, log, seconds):
    """Runs a command in a session of its own, so that a hung one is ended with all its children.
    Returns its status, or None if it had to be ended."""
    with open(log, 'ab') as out:
        process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=out,
                                   stderr=subprocess.STDOUT, start_new_session=True)
        try:
            return process.wait(seconds)
        except BaseException as e:
            os.killpg(process.pid, signal.SIGTERM)
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
            if isinstance(e, subprocess.TimeoutExpired):
                return None
            raise


def read_text(path):
    with open(path, encoding='utf-8', errors='replace') as f:
        return f.read()


def run_meson(name, directory, setup, log, seconds):
    result = Result()
    steps = []
    if setup:
        if not os.path.exists(os.path.join(directory, 'build.ninja')):
            steps.append(['meson', 'setup', directory, ROOT, *setup])
        steps.append(['ninja', '-C', directory])
    for step in steps:
        if run_logged(step, log, seconds) != 0:
            result.fail(f'{name}: {" ".join(step)} failed')
            result.output = read_text(log)
            return result

    log_base = os.path.join(directory, 'meson-logs', 'suites')
    if os.path.exists(log_base + '.json'):
        os.unlink(log_base + '.json')
    status = run_logged(['meson', 'test', '-C', directory, '--no-rebuild', '--print-errorlogs',
                         '--logbase', 'suites'], log, seconds)
    if status is None:
        result.fail(f'{name}: did not end within {seconds} s')
    if not os.path.exists(log_base + '.json'):
        result.fail(f'{name}: meson test wrote no log')
        result.output = read_text(log)
        return result
    with open(log_base + '.json', encoding='utf-8') as f:
        for line in f:
            test = json.loads(line)
            count_meson_test(result, f'{name}: {test["name"].split(" / ")[-1]}', test)
    if status != 0 and not result.failures:
        result.fail(f'{name}: meson test failed')
    return result


def count_meson_test(result, name, test):
    """One test of meson's log: its TAP lines if it printed any, else it counts as one."""
    output = test.get('stdout') or ''
    failed_before = len(result.failures)
    if re.search(r'^(not )?ok\b', output, re.M):
        result.read_tap(name, output, test['result'] == 'OK')
    elif test['result'] == 'OK':
        result.passed += 1
    elif test['result'] == 'SKIP':
        result.skipped += 1
    else:
        result.fail(f'{name}: {test["result"]}')
    if len(result.failures) > failed_before:
        result.output += f'--- {name}\n{output}{test.get("stderr") or ""}'


def run_tap(name, command, log, seconds):
    result = Result()
    status = run_logged(command, log, seconds)
    if status is None:
        result.fail(f'{name}: did not end within {seconds} s')
    result.read_tap(name, read_text(log), status == 0)
    result.output = read_text(log)
    return result


def run_suite(name, what, seconds):
    log = os.path.join(LOGS, name + '.log')
    open(log, 'wb').close()
    started = time.monotonic()
    if 'meson' in what:
        result = run_meson(name, what['meson'], what['setup'], log, seconds)
    else:
        result = run_tap(name, what['command'], log, seconds)
    with PRINTING:
        tell(name, result, time.monotonic() - started)
    return result


def tell(name, result, seconds):
    if result.failures:
        print(result.output, end='')
        for failure in result.failures:
            print(f'not ok - {failure}')
    print(f'{name}: {result.passed} passed, {len(result.failures)} failed, {result.skipped} skipped '
          f'({seconds:.0f} s)', flush=True)


def run_row(rows):
    """One after the other."""
    total = Result()
    for row in rows:
        total.add(run_suite(*row))
    return total


def main(names):
    sys.stdout.reconfigure(encoding='utf-8', errors='backslashreplace')
    known = [name for name, _, _ in SUITES]
    if names == ['--list']:
        print('\n'.join(known))
        return 0
    unknown = [name for name in names if name not in known]
    if unknown:
        print(f'no such suite: {" ".join(unknown)}; there are: {" ".join(known)}', file=sys.stderr)
        return 2

    os.makedirs(LOGS, exist_ok=True)
    wanted = [row for row in SUITES if not names or row[0] in names]
    with concurrent.futures.ThreadPoolExecutor() as pool:
        beside = pool.submit(run_row, [row for row in wanted if row[0] in BESIDE])
        total = run_row([row for row in wanted if row[0] not in BESIDE])
        total.add(beside.result())
    print(f'{total.passed} passed, {len(total.failures)} failed, {total.skipped} skipped')
    return 0 if not total.failures and not total.skipped else 1


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
