# SPDX-License-Identifier: MIT
"""What the tests of the sinks for Azure share beyond parts.py: a driver that is told what to do step by step."""
import functools
import inspect
import os
import shutil
import sys
import tempfile

import parts
from parts import LONG, Answer, Sink

UTC_NS = 1795750457_000000000  # 2026-11-27 03:34:17


def json_item(record, event=1, text='x'):
    return ('{"Origin":{"Host":"h","Log":"1"},"System":{"EventID":%d,"EventRecordID":%d,"Computer":"web1.example"},'
            '"EventData":{"Image":"%s"}}' % (event, record, text))


class Driver(Sink):
    """One sink, opened; see send.c. No proxy is in its environment unless the test puts one there."""

    def __init__(self, sink, to, secret=None, environment=None, before=(), **options):
        self.folder = tempfile.mkdtemp(prefix='konseki-forward.')
        words = [sink, to] + [f'{name}={value}' for name, value in options.items()]
        if secret is not None:
            path = os.path.join(self.folder, 'secret')
            with open(path, 'w', encoding='utf-8') as f:
                f.write(secret)
            words.append(f'secret={path}')
        proxies = {name: '' for name in os.environ if name.lower().endswith('_proxy')}
        super().__init__(*words, environment=proxies | (environment or {}), before=before)

    def __exit__(self, *how):
        try:
            super().__exit__(*how)
        finally:
            shutil.rmtree(self.folder)

    def say(self, line):
        self.process.stdin.write(line + '\n')
        self.process.stdin.flush()

    def item(self, record, event=1, level=4, text=None):
        self.say(f'item {record} {event} {level} {UTC_NS + record * 1000000} {text or json_item(record, event)}')

    def ask(self, line):
        self.say(line)
        return self.process.stdout.readline() or self.died()

    def again(self, *how):
        """One try with the batch as it is."""
        return Answer(self.ask(' '.join(('send',) + how)).rstrip('\n'))

    def batch(self, first, last, *how, **item):
        """One try with another batch, of these records."""
        self.say('clear')
        for record in range(first, last + 1):
            self.item(record, **item)
        return self.again(*how)

    def erasable(self):
        return self.ask('erasable') == 'erasable=1\n'


def refusal(sink, to, secret=None, **options):
    """Why the sink cannot be opened."""
    driver = Driver(sink, to, secret, **options)
    try:
        _, why = driver.process.communicate(timeout=LONG)
        assert driver.process.returncode == 2, f'it was opened, or died: {driver.process.returncode} {why}'
        return why
    finally:
        driver.process.kill()
        shutil.rmtree(driver.folder)


def main(tests):
    """As parts.main(), for tests of which not every one wants a folder."""
    def with_folder(test):
        return functools.wraps(test)(lambda folder: test(*[folder][:len(inspect.signature(test).parameters)]))

    sys.exit(parts.main([with_folder(test) for test in tests]))
