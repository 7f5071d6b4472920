#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Installs konseki on a machine without systemd, uses it, upgrades it, damages it, removes it. Prints TAP.

    install.py [TEST...]    only these
"""
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys

sys.dont_write_bytecode = True
import harness
from harness import KONSEKI, LOG, Log, Run, alive, eventually, must, run

INSTALLED = '/usr/local/sbin/konseki'
RECOMMENDED = os.path.join(os.path.dirname(os.path.abspath(__file__)), '../../config/recommended.xml')
RULES = '''<Sysmon schemaversion="4.90">
  <EventFiltering>
    <ProcessCreate onmatch="include">
      <Image condition="end with">/wanted</Image>
    </ProcessCreate>
  </EventFiltering>
</Sysmon>
'''
LEFT_BY_AN_INSTALLATION = (INSTALLED, '/etc/konseki', '/var/lib/konseki', '/etc/init.d/konseki',
                           '/etc/systemd/system/konseki.service')


def status():
    return json.loads(run(KONSEKI, 'status', '--json').stdout)


def log():
    return Log('/var/log/konseki/' + LOG)


def account(name):
    return run('getent', 'passwd', name).returncode == 0


def mode(path):
    st = os.stat(path)
    return f'{st.st_uid} {st.st_gid} {st.st_mode & 0o7777:o}'


def execute(path, word):
    subprocess.run([path, word], check=True)
    return f'{path} {word}'


def removed():
    """After every test: nothing runs, nothing is left."""
    done = run(KONSEKI, '-u', 'force')
    left = [path for path in LEFT_BY_AN_INSTALLATION if os.path.exists(path)]
    shutil.rmtree('/var/log/konseki', ignore_errors=True)
    assert done.returncode == 0 and not left, f'{left} {done.stdout}{done.stderr}'
    assert not any(map(account, ('konseki', 'konseki-help', 'konseki-fwd')))


def installed(*words):
    """Installs, and hands the processes that run now."""
    done = must(KONSEKI, '-accepteula', '-i', *words)
    for line in ('konseki installed.', 'Starting konseki.', 'konseki started.'):
        assert line in done.stdout, done.stdout
    now = status()
    assert now['running'] and now['service']
    return now


def afterwards_removed(test):
    def wrapped(folder):
        try:
            test(folder)
        finally:
            removed()
    wrapped.__name__ = test.__name__
    return wrapped


@afterwards_removed
def without_agreement_nothing_is_installed(folder):
    done = run(KONSEKI, '-i')
    assert done.returncode == 87, done.returncode
    assert not any(os.path.exists(path) for path in LEFT_BY_AN_INSTALLATION)
    assert not status()['running']


@afterwards_removed
def with_wrong_rules_nothing_is_installed(folder):
    wrong = os.path.join(folder, 'wrong.xml')
    with open(wrong, 'w', encoding='utf-8') as f:
        f.write('<Sysmon schemaversion="4.90"><Nonsense/></Sysmon>')
    done = run(KONSEKI, '-accepteula', '-i', wrong)
    assert done.returncode == 87 and 'wrong.xml:1:' in done.stderr, done
    assert not any(os.path.exists(path) for path in LEFT_BY_AN_INSTALLATION)


@afterwards_removed
def it_installs_runs_and_goes_again(folder):
    marked = shutil.copy('/bin/true', folder + '/marked')
    now = installed()
    assert mode('/var/lib/konseki/seal.key') == '0 0 600'
    assert mode('/etc/konseki') == '0 0 750' and mode('/var/lib/konseki') == '0 0 700'
    adm = must('getent', 'group', 'adm').stdout.split(':')[2]
    assert mode('/var/log/konseki') == f'0 {adm} 750' and mode(log().path) == f'0 {adm} 640'
    assert mode(INSTALLED) == '0 0 755'
    assert account('konseki') and account('konseki-help') and account('konseki-fwd')
    with open(f'/proc/{now["engine"]}/status', encoding='ascii') as f:
        uids = re.search(r'^Uid:\s*(.*)$', f.read(), re.M).group(1).split()
    assert uids == [must('id', '-u', 'konseki').stdout.strip()] * 4, uids
    expected = execute(marked, 'one')
    eventually(lambda: expected in log().executed(marked), 'the event')

    done = must(KONSEKI, '-u')
    for line in ('Stopping konseki.', 'konseki stopped.', 'konseki removed.'):
        assert line in done.stdout, done.stdout
    assert not status()['running']
    assert not any(os.path.exists(path) for path in LEFT_BY_AN_INSTALLATION)
    assert not any(map(account, ('konseki', 'konseki-help', 'konseki-fwd')))
    assert log().states() == ['Started', 'Stopped'] and log().is_clean()
    assert run(KONSEKI, '-u').returncode == 87


@afterwards_removed
def the_log_is_sealed_under_a_key_that_is_shown_once(folder):
    marked = shutil.copy('/bin/true', folder + '/marked')
    said = must(KONSEKI, '-accepteula', '-i').stdout
    key = re.search(r'^ +((?:[A-Z2-7]{4}-){7}[A-Z2-7]{4})$', said, re.M).group(1)
    expected = execute(marked, 'one')
    eventually(lambda: expected in log().executed(marked), 'the event')
    assert 'all is well' in must(KONSEKI, 'verify', '--key', key).stdout
    said = must(KONSEKI, '-accepteula', '-i').stdout
    assert key not in said and 'stays sealed' in said, said
    must(KONSEKI, '-u')
    assert 'closed in order' in must(KONSEKI, 'verify', '--key', key, log().path).stdout
    # Another installation has another key: the log of this one is put aside with its seals.
    installed()
    aside = [name for name in os.listdir('/var/log/konseki') if re.fullmatch(r'.*-\d{8}T\d{6}Z\.evtx', name)]
    assert len(aside) == 1, aside
    assert 'closed in order' in must(KONSEKI, 'verify', '--key', key, '/var/log/konseki/' + aside[0]).stdout
    assert run(KONSEKI, 'verify', '--key', key).returncode == 1


@afterwards_removed
def full_logs_are_kept_as_archives_up_to_a_size(folder):
    marked = shutil.copy('/bin/true', folder + '/marked')
    said = must(KONSEKI, '-accepteula', '-i').stdout
    key = re.search(r'^ +((?:[A-Z2-7]{4}-){7}[A-Z2-7]{4})$', said, re.M).group(1)
    must(KONSEKI, '-u')
    os.makedirs('/etc/konseki', exist_ok=True)
    with open('/etc/konseki/konseki.conf', 'w', encoding='ascii') as f:
        f.write('[log]\nsize = 1M\narchive = 3M\n')
    said = must(KONSEKI, '-accepteula', '-i').stdout
    key = re.search(r'^ +((?:[A-Z2-7]{4}-){7}[A-Z2-7]{4})$', said, re.M).group(1)

    def archives():
        return sorted('/var/log/konseki/' + name for name in os.listdir('/var/log/konseki')
                      if re.fullmatch(r'.*-\d{8}T\d{6}Z\.evtx', name))

    before = archives()  # of the installation before
    number = 0
    while len(ours := [path for path in archives() if path not in before]) < 2:
        for _ in range(50):
            execute(marked, str(number))
            number += 1
    done = run(KONSEKI, 'verify', '--key', key, *ours, log().path)
    assert done.returncode == 0 and done.stdout.count('all is well') == 3, done.stdout
    done = run(KONSEKI, 'verify', '--key', key, ours[0], log().path)
    assert done.returncode == 1 and re.search('seals .* are missing', done.stdout), done.stdout
    ids = [e['System']['EventRecordID'] for path in (*ours, log().path) for e in Log(path).events()]
    assert ids == list(range(ids[0], ids[0] + len(ids))) and ids[0] == 1
    adm = must('getent', 'group', 'adm').stdout.split(':')[2]
    assert mode(log().path) == f'0 {adm} 640', mode(log().path)
    while ours[0] in archives():
        for _ in range(50):
            execute(marked, str(number))
            number += 1
        assert number < 10000
    assert sum(map(os.path.getsize, archives())) <= 4 << 20


@afterwards_removed
def the_log_goes_when_told_so(folder):
    installed()
    must(KONSEKI, '-u', '-removelog')
    assert not os.path.exists('/var/log/konseki')


@afterwards_removed
def an_upgrade_keeps_rules_and_log_and_says_so(folder):
    rules = os.path.join(folder, 'rules.xml')
    wanted, unwanted = (shutil.copy('/bin/true', folder + name) for name in ('/wanted', '/unwanted'))
    with open(rules, 'w', encoding='utf-8') as f:
        f.write(RULES)
    first = installed(rules)
    expected = [execute(wanted, 'one')]
    eventually(lambda: log().executed(wanted) == expected, 'the event')

    done = must(KONSEKI, '-accepteula', '-i')
    assert 'upgrading' in done.stdout and 'kept' in done.stdout, done.stdout
    second = status()
    assert second['supervisor'] != first['supervisor'] and not alive(first['supervisor'])
    assert second['rules']['name'] == rules and second['rules']['hash'] == first['rules']['hash']
    execute(unwanted, 'two')
    expected.append(execute(wanted, 'two'))
    eventually(lambda: log().executed(wanted) == expected, 'the event')
    assert log().executed(unwanted) == []
    eventually(lambda: log().states() == ['Started', 'Stopped', 'Started'], 'the second start in the file')
    assert must(KONSEKI, '-c').stdout.count("'/wanted'") == 1


@afterwards_removed
def changed_rules_are_those_of_the_next_start(folder):
    rules = os.path.join(folder, 'rules.xml')
    with open(rules, 'w', encoding='utf-8') as f:
        f.write(RULES)
    installed()
    assert status()['rules']['name'] == 'Recommended'
    with open('/etc/konseki/config.xml', encoding='utf-8') as f, open(RECOMMENDED, encoding='utf-8') as wanted:
        assert f.read() == wanted.read()
    must(KONSEKI, '-c', rules)
    with open('/etc/konseki/config.xml', encoding='utf-8') as f:
        assert f.read() == RULES
    assert mode('/etc/konseki/config.xml') == '0 0 600'
    os.unlink(rules)
    installed()
    assert status()['rules']['name'] == rules
    must(KONSEKI, '-c', '--')
    assert not os.path.exists('/etc/konseki/config.xml')
    installed()
    assert status()['rules']['name'] == 'Defaults'


@afterwards_removed
def settings_count_from_the_next_start_and_wrong_ones_are_named(folder):
    installed()
    with open('/etc/konseki/konseki.conf', 'a', encoding='utf-8') as f:
        f.write('[log]\nsize = 64M\n')
    installed()
    assert status()['log']['size_max'] == 64 << 20
    with open('/etc/konseki/konseki.conf', 'a', encoding='utf-8') as f:
        f.write('size = plenty\n')
    done = run(KONSEKI, '-accepteula', '-i')
    assert done.returncode == 1 and 'konseki.conf' in done.stderr and 'size' in done.stderr, done


@afterwards_removed
def events_are_told_to_syslog_if_the_settings_say_so(folder):
    installed()
    assert status()['text'] == []
    with open('/etc/konseki/konseki.conf', 'a', encoding='utf-8') as f:
        f.write('[text]\nsyslog = yes\n')
    ours = not os.path.exists('/dev/log')  # else somebody listens there, and we look at the status only
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        try:
            if ours:
                listener.bind('/dev/log')
            installed()
            marked = shutil.copy('/bin/true', folder + '/marked')
            execute(marked, 'told')
            eventually(lambda: status()['text'][0]['sent'] >= 3, 'events for syslog')
            assert status()['text'][0]['output'] == 'syslog' and status()['text'][0]['missed'] == 0
            listener.settimeout(20)
            while ours:
                line = listener.recv(65536).decode()
                assert re.match(r'<14>\w{3} [ \d]\d [\d:]{8} konseki: <Event><System><Provider Name="Linux-Sysmon" ', line), line
                if f'<Data Name="CommandLine">{marked} told</Data>' in line:
                    break
        finally:
            if ours:
                os.unlink('/dev/log')


@afterwards_removed
def it_looks_after_itself(folder):
    marked = shutil.copy('/bin/true', folder + '/marked')
    now = installed()
    os.kill(now['engine'], signal.SIGKILL)
    eventually(lambda: status().get('restarts') == 1, 'another engine')
    expected = execute(marked, 'one')
    eventually(lambda: expected in log().executed(marked), 'the event')
    with open('/run/konseki/konseki.pid', encoding='ascii') as f:
        assert int(f.read()) == now['supervisor']


@afterwards_removed
def a_damaged_installation_can_be_forced_off(folder):
    now = installed()
    os.kill(now['supervisor'], signal.SIGKILL)
    os.unlink(INSTALLED)
    shutil.rmtree('/etc/konseki')
    os.unlink('/var/lib/konseki/rules.origin') if os.path.exists('/var/lib/konseki/rules.origin') else None
    assert run(KONSEKI, '-u').returncode == 87
    must(KONSEKI, '-u', 'force')
    eventually(lambda: not alive(now['engine']) and not alive(now['monitor']), 'their end')


@afterwards_removed
def a_damaged_installation_is_mended_by_another(folder):
    now = installed()
    eventually(lambda: log().states() == ['Started'], 'the first event in the file')
    for pid in (now['supervisor'], now['monitor'], now['engine']):
        os.kill(pid, signal.SIGKILL)
    os.unlink(INSTALLED)
    shutil.rmtree('/etc/konseki')
    installed()
    eventually(lambda: any('not watching from' in text for text in log().reports()), 'the gap in the file')


@afterwards_removed
def it_does_not_touch_a_run_in_a_terminal(folder):
    konseki = Run(folder)
    try:
        assert run(KONSEKI, '-accepteula', '-i').returncode == 1
        must(KONSEKI, '-u', 'force')
        assert alive(konseki.pid) and konseki.status()['running']
        konseki.stop()
    finally:
        konseki.close()


TESTS = [full_logs_are_kept_as_archives_up_to_a_size, the_log_is_sealed_under_a_key_that_is_shown_once,
         without_agreement_nothing_is_installed, with_wrong_rules_nothing_is_installed,
         it_installs_runs_and_goes_again, the_log_goes_when_told_so, an_upgrade_keeps_rules_and_log_and_says_so,
         changed_rules_are_those_of_the_next_start, settings_count_from_the_next_start_and_wrong_ones_are_named,
         events_are_told_to_syslog_if_the_settings_say_so,
         it_looks_after_itself, a_damaged_installation_can_be_forced_off,
         a_damaged_installation_is_mended_by_another, it_does_not_touch_a_run_in_a_terminal]

if __name__ == '__main__':
    sys.exit(harness.main(TESTS))
