#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Rows in Log Analytics: against a strict stand-in for the Logs Ingestion API, with an identity from one for the metadata
service. Prints TAP.

    log_analytics.py [TEST...]    only these
"""
import json
import sys

sys.dont_write_bytecode = True
import azure_parts
from azure_parts import UTC_NS, Driver, json_item, refusal
from parts import Certificates
from servers import CUT, CUT_BEFORE, HALF, RESET, Ingestion, Metadata

RESOURCE = 'https://monitor.azure.com'
HOST = '4c4c4544-0042-3510-8054-b4c04f4d3432'


class Service:
    """Both servers and a driver."""

    def __init__(self, **options):
        self.token = 'first'
        self.metadata = Metadata(RESOURCE, lambda: self.token)
        self.api = Ingestion(lambda: self.token)
        self.driver = Driver('log-analytics', self.api.url(self.api.PATH), metadata=self.metadata.url(), **options)

    def __enter__(self):
        return self

    def __exit__(self, *how):
        for one in (self.driver, self.api, self.metadata):
            one.__exit__(*how)

    def keys(self):
        return [row['RecordKey'] for row in self.api.rows]


def sent(answer, count):
    assert answer.outcome == 'SENT' and answer.confirmed == count and not answer.text, answer


def every_event_is_a_row_with_its_key():
    with Service(auth='identity') as s:
        sent(s.driver.batch(1, 3, event=11), 3)
        assert s.keys() == [f'{HOST}/1/{record}' for record in (1, 2, 3)]
        row = s.api.rows[1]
        assert row['TimeGenerated'] == '2026-11-27T03:34:17.0020000Z', row
        assert row['Computer'] == 'web1.example' and row['EventID'] == 11, row
        assert row['System']['EventRecordID'] == 2 and row['EventData'] == {'Image': 'x'}, row
        assert row['Origin'] == {'Host': 'h', 'Log': '1'}, row
        assert s.metadata.requests == 1


def what_is_no_record_has_a_key_of_its_own():
    with Service() as s:
        for kind in ('gap', 'heartbeat', 'test'):
            s.driver.say('clear')
            s.driver.item(0, 255 if kind != 'heartbeat' else 0, text='{"Origin":{"Host":"h","Log":"1","X":{}}}')
            sent(s.driver.again(kind), 1)
        assert s.keys() == [f'{HOST}/1/{kind}-{UTC_NS}' for kind in ('gap', 'heartbeat', 'test')]


def a_batch_that_is_too_large_goes_in_several_calls():
    with Service() as s:
        sent(s.driver.batch(1, 1500, text=json_item(7, text='y' * 1500)), 1500)
        assert len(s.keys()) == len(set(s.keys())) == 1500
        assert len(s.api.calls) == 3 and max(s.api.calls) <= 900000, s.api.calls
        # What was kept of it is known when the rest is not.
        s.api.tell((204, ''), (500, 'InternalError'))
        answer = s.driver.again()
        assert answer.outcome == 'RETRY' and answer.doubtful and 0 < answer.confirmed < 1500, answer
        s.api.tell((204, ''), (413, ''))
        assert s.driver.again().outcome == 'RETRY'


def a_text_that_the_service_would_cut_is_cut_by_us_and_says_so():
    long, wide = 'z' * 150000, '\u00e4\\n' * 40000
    item = '{"Origin":{"Host":"h","Log":"1"},"System":{"EventID":1,"EventRecordID":1},"EventData":{"Image":"/bin/x",' \
           f'"CommandLine":"{long}","Other":["{wide}","short"]}}}}'
    with Service() as s:
        s.driver.item(1, text=item)
        s.driver.item(2)
        sent(s.driver.again(), 2)
        data = s.api.rows[0]['EventData']
        assert data['Image'] == '/bin/x' and data['Other'][1] == 'short', data.keys()
        for text, original in ((data['CommandLine'], long), (data['Other'][0], json.loads(f'"{wide}"'))):
            kept, _, mark = text.partition('... [')
            assert original.startswith(kept) and len(kept) > 4000, len(kept)
            assert mark == f'{len(original.encode()) - len(kept.encode())} bytes cut]', mark
        assert s.api.rows[1]['RecordKey'].endswith('/2')


def every_answer_has_its_consequence():
    with Service() as s:
        sent(s.driver.batch(1, 2), 2)
        for told, outcome, doubtful, misconfigured, words in (
                ((400, 'InvalidPayload'), 'REFUSED', False, False, 'InvalidPayload'),
                ((403, ''), 'RETRY', False, True, 'Monitoring Metrics Publisher'),
                ((404, ''), 'RETRY', False, True, 'no such rule'),
                ((413, 'ContentLengthLimitExceeded'), 'TOO_LARGE', False, False, 'too large'),
                ((429, '', {'Retry-After': '33'}), 'RETRY', False, False, 'too many'),
                ((418, ''), 'RETRY', False, True, 'not an answer'),
                ((500, ''), 'RETRY', True, False, 'failed'),
                ((503, ''), 'RETRY', True, False, 'failed'),
                ((200, ''), 'RETRY', True, True, 'not an answer'),
                ((307, '', {'Location': s.metadata.url()}), 'RETRY', False, True, 'elsewhere'),
                (CUT, 'RETRY', True, False, ''), (CUT_BEFORE, 'RETRY', True, False, ''),
                (RESET, 'RETRY', True, False, ''), (HALF, 'RETRY', True, False, '')):
            s.api.tell(told)
            answer = s.driver.batch(3, 4)
            assert (answer.outcome, answer.doubtful, answer.misconfigured) == (outcome, doubtful, misconfigured), (told, answer)
            assert words in answer.text and answer.confirmed == 0, (told, answer)
            assert answer.retry_after == (33 if told[0] == 429 else 0), answer
        sent(s.driver.again(), 2)


def a_token_that_is_refused_is_renewed_once():
    with Service() as s:
        sent(s.driver.batch(1, 1), 1)
        s.token = 'second'
        sent(s.driver.batch(2, 2), 1)
        assert s.metadata.requests == 2
        s.api.tell((401, ''), (401, ''))
        answer = s.driver.batch(3, 3)
        assert answer.outcome == 'RETRY' and answer.misconfigured and 'token' in answer.text, answer
        s.api.tell((401, ''))
        s.metadata.tell((500, ''))
        answer = s.driver.batch(3, 3)
        assert answer.outcome == 'RETRY' and not answer.misconfigured and 'metadata service' in answer.text, answer
        sent(s.driver.again(), 1)


def one_malformed_event_is_known_from_a_stream_that_is_not_ours():
    bad = (400, 'InvalidPayload')
    with Service() as s:
        s.api.tell(bad)  # and a row with nothing in it is taken
        answer = s.driver.batch(1, 1)
        assert answer.outcome == 'REFUSED', answer
        key, = s.keys()
        assert key.startswith(f'{HOST}/1/') and len(s.api.rows[0]) == 4, s.api.rows
        s.api.tell(bad, bad)
        answer = s.driver.batch(2, 2)
        assert answer.outcome == 'RETRY' and answer.misconfigured and 'InvalidPayload' in answer.text, answer
        s.api.tell(bad, (503, ''))
        answer = s.driver.batch(2, 2)
        assert answer.outcome == 'RETRY' and not answer.misconfigured, answer


def what_a_server_says_is_shown_without_its_tricks():
    with Service() as s:
        for body in (b'{"error":{"code":"\\u001b[2J","message":"a\\u202eb\\"\\n"}}', b'{"error":[1]}', b'{"error":{"code":7}}', b'[' * 60000,
                     b'\xff\xfe', b'{"error":{"message":"' + b'm' * 60000 + b'"}}', b''):
            s.api.take = lambda request, _, body=body: (403, '', {}, body)
            answer = s.driver.batch(1, 1)
            assert answer.outcome == 'RETRY' and answer.misconfigured, answer
            assert answer.text.isascii() and answer.text.isprintable() and len(answer.text) < 200, answer


def everything_goes_by_tls_too(folder):
    c = Certificates(folder)
    with Metadata(RESOURCE, lambda: 't') as m, Ingestion(lambda: 't', (c.path('server.pem'), c.path('server.key'))) as api:
        with Driver('log-analytics', api.url(api.PATH), metadata=m.url(), ca=c.path('ca.pem')) as d:
            sent(d.batch(1, 2), 2)
        with Driver('log-analytics', api.url(api.PATH), metadata=m.url()) as d:
            answer = d.batch(1, 2)
            assert answer.outcome == 'RETRY' and not answer.doubtful and 'certificate' in answer.text, answer
        assert len(api.rows) == 2


def what_makes_no_sense_is_refused_before_anything_is_sent():
    url = 'https://x.ingest.monitor.azure.com/dataCollectionRules/dcr-1/streams/Custom-K'
    for to, options, words in (
            (url.replace('https', 'http'), {}, 'https:'), ('https://x.ingest.monitor.azure.com', {}, 'the address ends with'),
            (url + '?api-version=1', {}, 'the address ends with'), (url.replace('Custom-K', ''), {}, 'the address ends with'),
            (url, {'identity': 'x y'}, 'client id'), (url, {'auth': 'key'}, 'identities only'), (url, {'secret': 'x'}, 'no secret'), (url, {'mode': 'append'}, 'not for log-analytics')):
        why = refusal('log-analytics', to, **options)
        assert words in why, (to, options, why)


TESTS = [
    every_event_is_a_row_with_its_key, what_is_no_record_has_a_key_of_its_own,
    a_batch_that_is_too_large_goes_in_several_calls, a_text_that_the_service_would_cut_is_cut_by_us_and_says_so,
    every_answer_has_its_consequence, a_token_that_is_refused_is_renewed_once,
    one_malformed_event_is_known_from_a_stream_that_is_not_ours, what_a_server_says_is_shown_without_its_tricks,
    everything_goes_by_tls_too, what_makes_no_sense_is_refused_before_anything_is_sent,
]

if __name__ == '__main__':
    azure_parts.main(TESTS)
