#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""The sink for Kafka against librdkafka's mock cluster: what is there afterwards, whatever the brokers answered."""
import os
import subprocess
import sys
import threading
import time

import parts
from parts import Certificates, Server, Sink, record
from kafka_broker import Broker
from hostile import drips, floods, in_tls, never_reads, reads, resets

NOT_LEADER, REQUEST_TIMED_OUT, NOT_ENOUGH_REPLICAS_AFTER_APPEND, MSG_SIZE_TOO_LARGE, TOPIC_AUTHORIZATION_FAILED = 6, 7, 20, 10, 29
MEMORY_KB = 40000  # of the driver, with batch and library
PATIENCE = 55      # seconds of a try


class Mock:
    def __init__(self, topic='events', brokers=3, partitions=12):
        self.topic = topic
        self.process = subprocess.Popen([os.path.join(parts.BUILD, 'tests', 'forward', 'kafka_mock'), str(brokers),
                                         str(partitions), topic], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.servers = self.process.stdout.readline().split()[1]

    def to(self):
        return f'kafka://{self.servers}/{self.topic}'

    def tell(self, line):
        self.process.stdin.write(line + '\n')
        self.process.stdin.flush()
        return self.process.stdout.readline()

    def read(self, count):
        """Messages as (partition, key, headers, value)."""
        line, messages = self.tell(f'read {count}'), []
        while not line.startswith('end'):
            partition, key, headers, value = line.rstrip('\n').split('\t')
            messages.append((int(partition), key, dict(h.split('=', 1) for h in headers.split(' ')), bytes.fromhex(value)))
            line = self.process.stdout.readline()
        return messages

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.wait(parts.LONG)


def check(messages, items):
    """Each once, in order, in one partition, with its key."""
    assert [m[3].decode() for m in messages] == [item[4] for item in items], (len(messages), len(items))
    assert len({m[0] for m in messages}) == 1 and {m[1] for m in messages} == {parts.HOST}
    for message, item in zip(messages, items):
        assert message[2] == {'kind': 'event', 'host': parts.HOST, 'log': parts.LOG, 'id': str(item[0])}, message


def send_all(sink, items, kind=''):
    answer = sink.send(items, kind)
    assert answer.outcome == 'SENT' and answer.confirmed in (0, len(items)) and not answer.text, answer


def records_are_there_once_though_brokers_refuse_and_repeat(_):
    items = [record(n) for n in range(1, 4001)]
    with Mock() as mock, Sink('kafka', mock.to()) as sink:
        send_all(sink, items[:1000])
        for i, code in enumerate((NOT_LEADER, REQUEST_TIMED_OUT, NOT_ENOUGH_REPLICAS_AFTER_APPEND), 1):
            mock.tell(f'error {code} 3')
            send_all(sink, items[i * 1000:(i + 1) * 1000])
        check(mock.read(4000), items)
        assert sink.memory_kb() < MEMORY_KB


def brokers_that_went_away_get_the_batch_when_they_are_back(_):
    items = [record(n) for n in range(1, 601)]
    with Mock() as mock, Sink('kafka', mock.to()) as sink:
        send_all(sink, items[:300])
        mock.tell('down')
        later = threading.Timer(3, mock.tell, ['up'])
        later.start()
        send_all(sink, items[300:])
        later.join()
        check(mock.read(600), items)


def a_batch_in_one_piece_is_one_message(_):
    items = [record(n) for n in range(1, 101)]
    with Mock() as mock, Sink('kafka', mock.to(), 'form=evtx', 'compression=none') as sink:
        send_all(sink, items)
        send_all(sink, [record(7)], 'heartbeat')
        messages = mock.read(2)
    assert [m[2] for m in messages] == [
        {'kind': 'event', 'host': parts.HOST, 'log': parts.LOG, 'first': '1', 'last': '100', 'form': 'evtx.zst'},
        {'kind': 'heartbeat', 'host': parts.HOST, 'log': parts.LOG, 'first': '7', 'last': '7', 'form': 'json.zst'}], messages
    text = subprocess.run(['zstd', '-dc'], input=messages[0][3], capture_output=True, check=True).stdout
    assert text.decode() == ''.join(item[4] + '\n' for item in items)


def gaps_and_heartbeats_say_what_they_are(_):
    with Mock() as mock, Sink('kafka', mock.to()) as sink:
        for kind in ('gap', 'heartbeat', 'test'):
            send_all(sink, [(0 if kind != 'gap' else 9, 255, 3, 1764201600000000000, '{}')], kind)
        assert [m[2]['kind'] for m in mock.read(3)] == ['gap', 'heartbeat', 'test']


def what_can_never_be_taken_is_said_to_be_so(_):
    with Mock() as mock, Sink('kafka', mock.to()) as sink:
        big = [record(1), record(2, 'x' * 1100000), record(3)]
        answer = sink.send(big)
        assert (answer.outcome, answer.confirmed) == ('TOO_LARGE', 1), answer
        mock.tell(f'error {MSG_SIZE_TOO_LARGE} 1')
        answer = sink.send([record(2)])
        assert (answer.outcome, answer.confirmed) == ('TOO_LARGE', 0), answer
        mock.tell(f'error {TOPIC_AUTHORIZATION_FAILED} 1')
        answer = sink.send([record(2)])
        assert (answer.outcome, answer.misconfigured) == ('RETRY', True), answer
        send_all(sink, [record(2)])


def over_tls_who_logs_in_rightly_is_let_in_and_nobody_else(folder):
    c, password = Certificates(folder + '/certificates'), 'Endpoint=sb://hub.example/;SharedAccessKeyName=send;SharedAccessKey=a+b/c='
    for name in ('right', 'wrong'):
        with open(c.path(name), 'w', encoding='ascii') as f:
            f.write(password if name == 'right' else 'other')
    with Broker(c, '$ConnectionString', password) as broker:
        for secret, client in (('wrong', 'client'), ('right', None), ('right', 'client')):
            with Sink('kafka', f'kafkas://127.0.0.1:{broker.port}/events', 'user=$ConnectionString', 'compression=none',
                      f'secret={c.path(secret)}', *c.options(client)) as sink:
                answer = sink.send([record(n) for n in range(1, 51)])
            if (secret, client) == ('right', 'client'):
                assert (answer.outcome, answer.confirmed) == ('SENT', 50), answer
            else:
                assert (answer.outcome, answer.confirmed, answer.misconfigured) == ('RETRY', 0, True), answer
                assert not broker.produced
        for n in range(1, 51):
            assert sum(b'"EventRecordID":%d}' % n in request for request in broker.produced) == 1


def cases(c):
    trusted = [f'ca={c.path("ca.pem")}']
    login = ['user=me', f'secret={c.path("password")}']
    yield 'refuses', 'kafka', None, [], 'refused', False
    for name, serve in (('resets', resets), ('never reads', never_reads), ('floods', floods), ('drips', drips), ('reads', reads)):
        yield name, 'kafka', serve, [], '', None
    for name in ('untrusted', 'expired', 'elsewhere'):
        yield f'tls: {name}', 'kafkas', in_tls(c, name, reads), trusted, 'ertificate', True
    yield 'tls: not of the system', 'kafkas', in_tls(c, 'server', reads), [], 'ertificate', True
    yield 'tls: floods', 'kafkas', in_tls(c, 'server', floods), trusted, '', None
    yield 'tls: floods at the login', 'kafkas', in_tls(c, 'server', floods), trusted + login, '', None


def fault_of(scheme, serve, options, text, misconfigured):
    with Server(serve or reads) as server, \
            Sink('kafka', f'{scheme}://127.0.0.1:{server.port if serve else parts.free_port()}/events', *options) as sink:
        began = time.monotonic()
        answer = sink.send([record(n) for n in range(1, 3001)])
        took, memory = time.monotonic() - began, sink.memory_kb()
    if (answer.outcome, answer.confirmed) != ('RETRY', 0) or text not in answer.text or not answer.text or took > PATIENCE or \
            memory > MEMORY_KB or misconfigured not in (None, answer.misconfigured):
        return f'{answer} in {took:.1f} s with {memory} kB'
    return None


def no_broker_can_hold_or_deceive_the_sink(folder):
    c, faults = Certificates(folder + '/certificates'), {}
    with open(c.path('password'), 'w', encoding='ascii') as f:
        f.write('secret')

    def try_one(name, *case):
        try:
            fault = fault_of(*case)
        except Exception as e:  # told with its name below
            fault = repr(e)
        if fault:
            faults[name] = fault

    threads = [threading.Thread(target=try_one, args=case) for case in cases(c)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(threads) > 10 and not faults, '\n'.join(f'{name}: {fault}' for name, fault in faults.items())


def settings_that_make_no_sense_are_refused(folder):
    c = Certificates(folder + '/certificates')
    with open(c.path('password'), 'w', encoding='ascii') as f:
        f.write('secret')
    secret = f'secret={c.path("password")}'
    for words, reason in (
            (('kafka://a:1',), 'topic is missing'), (('kafka://a:1/',), 'topic is missing'), (('kafka://a:1/a b',), 'no name of a topic'),
            (('kafka://a:1,b/t',), 'names no port'), (('http://a:1/t',), 'kafka://...'),
            (('kafka://a:1/t', 'form=xml'), 'neither json nor evtx'), (('kafka://a:1/t', 'compression=rar'), 'is none of'),
            (('kafka://a:1/t', 'user=me', secret), 'in the clear'), (('kafkas://a:1/t', 'user=me'), 'needs a password'),
            (('kafkas://a:1/t', 'auth=plain'), 'without user'), (('kafkas://a:1/t', 'auth=kerberos', 'user=me', secret), 'is none of'),
            (('kafkas://a:1/t', 'ca=/none'), "'/none'"), (('kafka://a:1/t', 'ca=/none'), 'are for kafkas'),
            (('kafkas://a:1/t', 'key=/none'), 'no use without')):
        said = parts.refusal('kafka', *words)
        assert reason in said, (words, said)


if __name__ == '__main__':
    sys.exit(parts.main([
        records_are_there_once_though_brokers_refuse_and_repeat, brokers_that_went_away_get_the_batch_when_they_are_back,
        a_batch_in_one_piece_is_one_message, gaps_and_heartbeats_say_what_they_are, what_can_never_be_taken_is_said_to_be_so,
        over_tls_who_logs_in_rightly_is_let_in_and_nobody_else, no_broker_can_hold_or_deceive_the_sink,
        settings_that_make_no_sense_are_refused]))
