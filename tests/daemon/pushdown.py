#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Excluded in the kernel or in the engine: the log is the same. The same rules are written twice, once so that the
kernel side can decide them and once so that it cannot. Prints TAP.

    pushdown.py [TEST...]    only these
"""
import os
import shutil
import socket
import subprocess
import sys
import time

sys.dont_write_bytecode = True
import harness
from harness import KONSEKI, Run, eventually, must

FILES = 300
RULES = '<Sysmon schemaversion="4.90"><EventFiltering>{}</EventFiltering></Sysmon>'
EXCLUDED = '<Image condition="end with">/Quiet</Image>'
IMAGE = {
    True: f'<FileCreate onmatch="exclude">{EXCLUDED}</FileCreate>',
    False: '<RuleGroup groupRelation="or"><FileCreate onmatch="exclude"><Rule groupRelation="and">' + EXCLUDED +
           '<TargetFilename condition="contains">/</TargetFilename></Rule></FileCreate></RuleGroup>',
}
PORT = {
    True: '<NetworkConnect onmatch="exclude"><DestinationPort>{}</DestinationPort></NetworkConnect>',
    False: '<RuleGroup groupRelation="or"><NetworkConnect onmatch="exclude"><Rule groupRelation="and">'
           '<DestinationPort>{}</DestinationPort><Protocol condition="contains">c</Protocol></Rule>'
           '</NetworkConnect></RuleGroup>',
}
NETWORK = {
    True: f'<NetworkConnect onmatch="exclude">{EXCLUDED}</NetworkConnect>',
    False: '<RuleGroup groupRelation="or"><NetworkConnect onmatch="exclude"><Rule groupRelation="and">' + EXCLUDED +
           '<DestinationIp condition="contains">.</DestinationIp></Rule></NetworkConnect></RuleGroup>',
}


class Worker:
    """A Perl of this name, which does what it is told."""

    def __init__(self, folder, name):
        self.path = os.path.join(folder, name)
        shutil.copy('/usr/bin/perl', self.path)
        self.process = subprocess.Popen([self.path, '-e', '$| = 1; while (<STDIN>) { eval; print "$@\\n" }'], text=True,
                                        bufsize=1, stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def do(self, script):
        print(script.replace('\n', ' '), file=self.process.stdin, flush=True)
        said = self.process.stdout.readline()
        assert said == '\n', said

    def work(self, tag):
        self.do(f'for (1..{FILES}) {{ open(F, ">", "{self.path}.{tag}.$_") or die $!; close(F) }}')

    def end(self):
        self.process.stdin.close()
        self.process.wait(harness.LONG)


def write(path, text):
    with open(path, 'w', encoding='utf-8') as f:
        f.write(text)
    return path


def run_with_image_excluded(folder, by_kernel):
    """Of four workers two are excluded, one of which was there first; then rules that keep all, then again these."""
    os.mkdir(folder)
    rules = write(os.path.join(folder, 'rules.xml'), RULES.format(IMAGE[by_kernel]))
    other = write(os.path.join(folder, 'other.xml'), RULES.format('<FileCreate onmatch="exclude"/>'))
    workers = [Worker(folder, 'quiet')]
    konseki = Run(folder, '-c', rules)
    try:
        workers += [Worker(folder, name) for name in ('loud', 'not.quiet', 'QUIET')]
        # When the log has the latest of them, the engine has told of all.
        eventually(lambda: any(e['EventData']['Image'] == workers[-1].path for e in konseki.log.events(1)),
                   'the process of the last worker')
        for worker in workers:
            worker.work('with')
        must(KONSEKI, '-c', other)
        for worker in workers:
            worker.work('without')
        must(KONSEKI, '-c', rules)
        for worker in workers:
            worker.work('again')
        for worker in workers:
            worker.end()
        tally = konseki.stop()
    finally:
        konseki.close()
    return tally, sorted(e['EventData']['TargetFilename'][len(folder):] for e in konseki.log.events(11)
                         if e['EventData']['TargetFilename'].startswith(folder + '/')
                         and e['EventData']['Image'].startswith(folder + '/'))


def an_excluded_image_is_excluded_by_either(folder):
    by_kernel, logged = run_with_image_excluded(os.path.join(folder, 'kernel'), True)
    by_engine, logged_too = run_with_image_excluded(os.path.join(folder, 'engine'), False)
    assert logged == logged_too, set(logged) ^ set(logged_too)
    assert len(logged) == (3 + 3 + 1 + 1) * FILES, len(logged)
    assert by_engine[11][1] >= 4 * FILES, by_engine[11]
    assert by_kernel[11][1] < FILES, by_kernel[11]


def run_of_quiet(folder, rules, script, before=lambda log: True, after=lambda log: True):
    """What an excluded worker does when the kernel side has been told of it: the tally and the log. It begins when
    before() holds, and konseki stops when after() does."""
    os.mkdir(folder)
    konseki = Run(folder, '-c', write(os.path.join(folder, 'rules.xml'), RULES.format(rules)))
    try:
        worker = Worker(folder, 'quiet')
        later = Worker(folder, 'loud')
        eventually(lambda: any(e['EventData']['Image'] == later.path for e in konseki.log.events(1)), 'the other one')
        eventually(lambda: before(konseki.log), 'before')
        worker.do(script)
        eventually(lambda: after(konseki.log), 'what was done')
        worker.end()
        later.end()
        tally = konseki.stop()
    finally:
        konseki.close()
    return tally, konseki.log


def what_is_made_of_a_record_needs_it_still(folder):
    """Event 23 is made of the record of 26, and timers are told by the names that come: who is excluded from 26 and 11
    only is told of there all the same."""
    work = os.path.join(folder, 'work')
    unit = '/etc/systemd/system/pushdown-test'
    timer = '[Timer]\\nOnCalendar=daily\\n'

    def timers(log, name):
        return [e for e in log.events(19) if os.path.basename(unit) + name in e['EventData']['Name']]

    def looked(log):
        """The first look at all settings is over when one that is written is told."""
        write(unit + '-first.timer', f'[Timer]\nOnCalendar=daily\nOnBootSec={time.monotonic_ns()}\n')
        return timers(log, '-first')

    _, log = run_of_quiet(work, IMAGE[True] + f'<FileDeleteDetected onmatch="exclude">{EXCLUDED}</FileDeleteDetected>'
                          f'<FileDelete onmatch="include"><TargetFilename condition="begin with">{work}</TargetFilename>'
                          '</FileDelete><WmiEvent onmatch="exclude"/>',
                          f"""open(F, ">", "{unit}.new") or die $!; print F "{timer}"; close(F);
                          rename("{unit}.new", "{unit}.timer") or die $!;
                          open(F, ">", "{work}/x") or die $!; print F "x"; close(F); unlink("{work}/x") or die $!;""",
                          looked, lambda log: timers(log, '.timer'))
    assert [e['EventData']['TargetFilename'] for e in log.events(23)] == [os.path.join(work, 'x')], log.events(23)
    assert not [e for e in log.events(11) + log.events(26)
                if e['EventData']['Image'] == os.path.join(work, 'quiet')]


def an_image_excluded_from_all_is_not_looked_at(folder):
    """Names too, when nobody wants settings or archives."""
    work = os.path.join(folder, 'work')
    tally, log = run_of_quiet(work, IMAGE[True] + f'<FileDeleteDetected onmatch="exclude">{EXCLUDED}</FileDeleteDetected>',
                              f"""for (1..{FILES}) {{ open(F, ">", "{work}/x"); close(F); rename("{work}/x", "{work}/y");
                              unlink("{work}/y") or die $! }}""")
    assert not [e for e in log.events(11) + log.events(26) if e['EventData']['Image'] == os.path.join(work, 'quiet')]
    assert tally[11][1] < FILES and tally[26][1] < FILES, (tally[11], tally[26])  # not logged, nor filtered: not produced


def connect(port):
    with socket.create_server(('127.0.0.1', port)) as server:
        with socket.create_connection(server.getsockname()) as client:
            server.accept()[0].close()
            client.recv(1)


def run_with_port_excluded(folder, by_kernel, ports):
    os.mkdir(folder)
    rules = write(os.path.join(folder, 'rules.xml'), RULES.format(PORT[by_kernel].format(ports[0])))
    konseki = Run(folder, '-c', rules)
    try:
        for port in ports:
            connect(port)
        tally = konseki.stop()
    finally:
        konseki.close()
    return tally, sorted(e['EventData']['DestinationPort'] for e in konseki.log.events(3)
                         if e['EventData']['DestinationPort'] in ports)


def run_with_connecting_image_excluded(folder, by_kernel):
    """Two programs connect to this one, which is told of as who accepted, whoever called."""
    os.mkdir(folder)
    konseki = Run(folder, '-c', write(os.path.join(folder, 'rules.xml'), RULES.format(NETWORK[by_kernel])))
    try:
        workers = [Worker(folder, name) for name in ('quiet', 'loud')]
        eventually(lambda: any(e['EventData']['Image'] == workers[-1].path for e in konseki.log.events(1)), 'the workers')
        with socket.create_server(('127.0.0.1', 0)) as server:
            port = server.getsockname()[1]
            for worker in workers:
                worker.do(f'use IO::Socket::INET; $s = IO::Socket::INET->new("127.0.0.1:{port}") or die $!')
                server.accept()[0].close()
                worker.end()
        tally = konseki.stop()
    finally:
        konseki.close()
    return tally, sorted((os.path.basename(e['EventData']['Image']), e['EventData']['Initiated'])
                         for e in konseki.log.events(3) if e['EventData']['DestinationPort'] == port)


def an_excluded_image_has_no_connections_by_either(folder):
    by_kernel, logged = run_with_connecting_image_excluded(os.path.join(folder, 'kernel'), True)
    by_engine, logged_too = run_with_connecting_image_excluded(os.path.join(folder, 'engine'), False)
    own = os.path.basename(os.readlink('/proc/self/exe'))
    assert logged == logged_too == sorted([('loud', True), (own, False), (own, False)]), (logged, logged_too)
    assert by_engine[3][1] >= 1 and by_kernel[3][1] == 0, (by_engine[3], by_kernel[3])


def free_ports(count):
    sockets = [socket.create_server(('127.0.0.1', 0)) for _ in range(count)]
    ports = [s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    return ports


def an_excluded_port_is_excluded_by_either(folder):
    ports = free_ports(2)
    by_kernel, logged = run_with_port_excluded(os.path.join(folder, 'kernel'), True, ports)
    by_engine, logged_too = run_with_port_excluded(os.path.join(folder, 'engine'), False, ports)
    assert logged == logged_too == [ports[1]] * 2, (logged, logged_too)
    assert by_engine[3][1] >= 2, by_engine[3]
    assert by_kernel[3][1] == 0, by_kernel[3]


if __name__ == '__main__':
    sys.exit(harness.main([an_excluded_image_is_excluded_by_either, an_excluded_port_is_excluded_by_either,
                           an_excluded_image_has_no_connections_by_either,
                           what_is_made_of_a_record_needs_it_still, an_image_excluded_from_all_is_not_looked_at]))
