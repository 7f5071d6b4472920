#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Copies in Azure Storage: against the emulator, and against a stand-in for answers that the emulator does not give.
Prints TAP.

    azure.py [TEST...]    only these
"""
import atexit
import base64
import functools
import json
import os
import subprocess
import sys
import time

sys.dont_write_bytecode = True
import azure_parts
from azure_parts import Driver, json_item, refusal
from azurite import Azurite
from parts import LONG, Certificates
from servers import CUT, CUT_BEFORE, HALF, RESET, Metadata, Storage

SAS = 'sv=2021-12-02&sp=c&se=2099-01-01T00%3A00%3A00Z&sr=c&sig=s%2B%2F%3D'
STORAGE = 'https://storage.azure.com/'


def unpacked(data):
    return subprocess.run(['zstd', '-dc'], input=data, capture_output=True, check=True, timeout=LONG).stdout


def records(data):
    """Record ids of a blob's lines."""
    return [json.loads(line)['System']['EventRecordID'] for line in unpacked(data).splitlines()]


def sent(answer):
    assert answer.outcome == 'SENT' and not answer.text, answer


# --- the emulator

@functools.cache
def shared_emulator():
    emulator = Azurite()
    atexit.register(emulator.__exit__)
    return emulator


def emulator():
    """The one of all tests, and a container for this one."""
    a = shared_emulator()
    name = 'logs-' + os.urandom(6).hex()
    a.make_container(name)
    return a, name


def a_batch_is_a_blob_that_its_sender_can_neither_change_nor_delete():
    a, logs = emulator()
    sas = a.sas(logs, 'c')
    with Driver('azure-blob', a.url(logs), sas, tenant='fleet-1') as d:
        sent(d.batch(1, 3))
        assert not d.erasable()
        sent(d.batch(4, 4, 'heartbeat'))
    names = a.blobs(logs)
    blob, = (name for name in names if name.endswith('.ndjson.zst') and 'heartbeat' not in name)
    assert blob.startswith('v1/fleet-1/2026/11/27/03/4c4c4544-0042-3510-8054-b4c04f4d3432/'), blob
    assert '-1-00000000000000000001-00000000000000000003-' in blob, blob
    assert len(names) == 3 and any('marker' in name for name in names), names
    body, headers = a.blob(logs, blob)
    assert records(body) == [1, 2, 3]
    assert headers['content-type'] == 'application/x-ndjson', headers
    assert headers['x-ms-meta-rawsizebytes'] == str(len(unpacked(body))), headers


def who_has_the_machines_signature_can_add_and_nothing_else():
    """The table of docs/recipes/azure.md."""
    a, logs = emulator()
    attempts = [('PUT', '', {'x-ms-blob-type': 'BlockBlob'}), ('PUT', '', {'x-ms-blob-type': 'AppendBlob'}), ('DELETE', '', {}),
                ('GET', '', {}), ('HEAD', '', {}), ('PUT', 'comp=metadata', {'x-ms-meta-a': 'b'}), ('PUT', 'comp=properties', {}),
                ('PUT', 'comp=lease', {'x-ms-lease-action': 'acquire', 'x-ms-lease-duration': '-1'}),
                ('PUT', 'comp=tier', {'x-ms-access-tier': 'Cool'}), ('PUT', 'comp=block&blockid=YQ==', {})]
    for permissions, mode in (('c', 'block'), ('ac', 'block'), ('ac', 'append')):
        sas = a.sas(logs, permissions)
        with Driver('azure-blob', a.url(logs), sas, mode=mode, tenant=permissions + mode) as d:
            sent(d.batch(1, 3))
        blob, = (name for name in a.blobs(logs) if f'/{permissions}{mode}/' in name and name.endswith('.zst'))
        for method, query, headers in attempts:
            body = b'x' if method == 'PUT' and headers.get('x-ms-blob-type') != 'AppendBlob' else b''
            status = plain(a, method, f'/{a.account}/{logs}/{blob}?{query}&{sas}', headers, body)
            assert status == 403, (permissions, mode, method, query, status)
        for method, query in (('DELETE', 'restype=container'), ('GET', 'restype=container&comp=list')):
            assert plain(a, method, f'/{a.account}/{logs}?{query}&{sas}', {}, b'') == 403, (permissions, method)
        append = plain(a, 'PUT', f'/{a.account}/{logs}/{blob}?comp=appendblock&{sas}', {}, b'x')
        assert append == (201 if mode == 'append' else 403 if permissions == 'c' else 409), (permissions, mode, append)
        assert plain(a, 'PUT', f'/{a.account}/{logs}/{blob}?comp=snapshot&{sas}', {}, b'') == 201
        body = a.blob(logs, blob)[0]
        assert records(body[:-1] if mode == 'append' else body) == [1, 2, 3]


def plain(azurite, method, path, headers, body):
    """The status of a request as somebody who has no more than what is in it."""
    import http.client
    connection = http.client.HTTPConnection('127.0.0.1', azurite.port, timeout=LONG)
    connection.request(method, path, body, {'x-ms-version': '2021-12-02'} | headers)
    status = connection.getresponse().status
    connection.close()
    return status


def a_signature_that_may_more_is_told_as_erasable():
    a, logs = emulator()
    for permissions, erasable in (('c', False), ('ac', False), ('cw', True), ('cd', True)):
        with Driver('azure-blob', a.url(logs), a.sas(logs, permissions)) as d:
            sent(d.batch(1, 1, f'nonce={os.urandom(16).hex()}'))
            assert d.erasable() == erasable, permissions


def keys_and_connection_strings_are_taken_too():
    a, logs = emulator()
    sas_string = f'BlobEndpoint=http://127.0.0.1:{a.port}/{a.account};SharedAccessSignature={a.sas(logs, "c")}'
    for number, (to, secret, options) in enumerate((
            (a.url(logs), a.key_text(), {'auth': 'key'}), (a.url(logs) + '/', a.key_text(), {}),
            (logs, a.connection_string(), {}), (a.url(logs), a.connection_string(), {}),
            (logs, sas_string, {}), (a.url(logs), '?' + a.sas(logs, 'c'), {'auth': 'sas'}))):
        with Driver('azure-blob', to, secret, **options) as d:
            sent(d.batch(number + 1, number + 1))
        with Driver('azure-blob', to, secret, mode='append', **options) as d:
            answer = d.batch(number + 1, number + 1)
            assert (answer.outcome == 'SENT') == ('SharedAccess' not in secret and not secret.startswith('?')), answer
    ids = [record for name in a.blobs(logs) if name.endswith('.zst') for record in records_or_none(a, logs, name)]
    assert sorted(set(ids)) == [1, 2, 3, 4, 5, 6], ids


def records_or_none(azurite, logs, name):
    body, _ = azurite.blob(logs, name)
    return records(body) if body else []


def a_blob_that_grows_is_one_file_of_all_batches():
    a, logs = emulator()
    with Driver('azure-blob', a.url(logs), a.sas(logs, 'ac'), mode='append') as d:
        for first in range(1, 40, 4):
            sent(d.batch(first, first + 3))
        sent(d.batch(41, 41, 'gap'))
        assert not d.erasable()
    name, = (name for name in a.blobs(logs) if '-append-' in name)
    body, headers = a.blob(logs, name)
    assert records(body) == list(range(1, 42))
    assert headers['x-ms-blob-type'] == 'AppendBlob' and headers['x-ms-blob-committed-block-count'] == '11', headers


def what_the_emulator_refuses_is_said_in_words():
    a, logs = emulator()
    other = a.sas(logs, 'c').replace('sig=', 'sig=A')
    for to, secret, words in ((a.url('none'), a.key_text(), 'there is no such container'),
                              (a.url(logs), a.sas(logs, 'r'), 'no permission to create blobs there'),
                              (a.url(logs), other, 'the signature is wrong or no longer valid'),
                              (a.url(logs), a.sas(logs, 'c', '2020-01-01T00:00:00Z'), '(se=2020-01-01'),
                              (a.url(logs), base64.b64encode(b'another key').decode(), 'the signature is wrong')):
        with Driver('azure-blob', to, secret) as d:
            answer = d.batch(1, 1)
            assert answer.outcome == 'RETRY' and answer.misconfigured and not answer.doubtful, answer
            assert words in answer.text, answer


def a_store_that_is_away_for_a_while_has_everything_afterwards():
    a, logs = emulator()
    with Driver('azure-blob', a.url(logs), a.sas(logs, 'c')) as d:
        sent(d.batch(1, 2))
        a.stop()
        answer = d.batch(3, 4)
        assert answer.outcome == 'RETRY' and not answer.misconfigured, answer
        a.start()
        sent(d.again())
    assert [records(a.blob(logs, name)[0]) for name in a.blobs(logs) if name.endswith('.zst')] == [[1, 2], [3, 4]]


def jwt(audience):
    """Unsigned: the emulator looks at what it says."""
    def part(what):
        return base64.urlsafe_b64encode(json.dumps(what).encode()).rstrip(b'=').decode()

    now = int(time.time())
    return '.'.join((part({'typ': 'JWT', 'alg': 'RS256'}), part({
        'aud': audience, 'iss': 'https://sts.windows.net/ab1f708d-50f6-404c-a006-d71b2ac7a606/', 'iat': now - 60,
        'nbf': now - 60, 'exp': now + 3600}), 'c2ln'))


def an_identity_is_enough(folder):
    c = Certificates(folder)
    with Azurite((c.path('server.pem'), c.path('server.key'))) as a, \
            Metadata(STORAGE, lambda: jwt('https://storage.azure.com')) as m:
        a.make_container('logs')
        with Driver('azure-blob', a.url('logs'), ca=c.path('ca.pem'), metadata=m.url()) as d:
            sent(d.batch(1, 2))
            sent(d.batch(3, 4))
            assert d.erasable()  # the emulator gives an identity all rights
        assert m.requests == 1
        assert sum(name.endswith('.zst') for name in a.blobs('logs')) == 2


# --- the stand-in

def storage_driver(server, **options):
    return Driver('azure-blob', server.url('/logs'), options.pop('secret', SAS), **options)


def every_answer_has_its_consequence():
    with Storage() as s, storage_driver(s) as d:
        sent(d.batch(1, 2))
        for told, outcome, doubtful, misconfigured, words in (
                ((503, 'ServerBusy'), 'RETRY', False, False, 'busy'),
                ((500, 'InternalError'), 'RETRY', True, False, 'failed'),
                ((500, 'OperationTimedOut'), 'RETRY', True, False, 'failed'),
                ((502, ''), 'RETRY', True, False, 'failed'),
                ((429, ''), 'RETRY', False, False, 'too many'),
                ((408, ''), 'RETRY', True, False, 'gave up'),
                ((403, 'AuthorizationFailure'), 'RETRY', False, True, '(se=2099'),
                ((403, 'AuthenticationFailed'), 'RETRY', False, True, 'no longer valid'),
                ((403, 'AccountIsDisabled'), 'RETRY', False, True, 'no permission'),
                ((403, 'AuthorizationPermissionMismatch'), 'RETRY', False, True, 'no permission'),
                ((404, 'ContainerNotFound'), 'RETRY', False, True, 'no such container'),
                ((409, 'ContainerBeingDeleted'), 'RETRY', False, True, 'conflict'),
                ((400, 'Md5Mismatch'), 'RETRY', False, False, 'damaged'),
                ((400, 'InvalidHeaderValue'), 'RETRY', False, True, 'not an answer'),
                ((413, 'RequestBodyTooLarge'), 'TOO_LARGE', False, False, 'too large'),
                ((200, ''), 'RETRY', False, True, 'not an answer'),
                ((204, ''), 'RETRY', False, True, 'not an answer'),
                ((302, '', {'Location': 'http://127.0.0.1:1/'}), 'RETRY', False, True, 'elsewhere'),
                (CUT_BEFORE, 'RETRY', True, False, '')):
            before = s.requests
            s.tell(told)
            answer = d.batch(3, 4)
            assert (answer.outcome, answer.doubtful, answer.misconfigured) == (outcome, doubtful, misconfigured), (told, answer)
            assert words in answer.text, (told, answer)
            assert s.requests == before + 1, told
        sent(d.batch(3, 4))
        assert len(s.named('.zst')) == 2


def a_server_that_asks_to_wait_is_obeyed():
    with Storage() as s, storage_driver(s) as d:
        for status, header, least, most in ((503, '17', 17, 17), (429, '5', 5, 5), (503, '86400', 3600, 3600),
                                            (503, '-1', 0, 0), (503, 'soon', 0, 0), (503, '99999999999999999999', 0, 3600),
                                            (503, time.strftime('%a, %d %b %Y %H:%M:%S GMT', time.gmtime(time.time() + 60)), 50, 60)):
            s.tell((status, 'ServerBusy', {'Retry-After': header}))
            assert least <= d.batch(1, 1).retry_after <= most, header


def a_lost_answer_does_not_make_two_blobs():
    with Storage() as s:
        for first, how in ((1, CUT), (3, RESET), (5, HALF)):
            with storage_driver(s) as d:
                s.tell(how)
                answer = d.batch(first, first + 1)
                assert answer.outcome == 'RETRY' and answer.doubtful, answer
                sent(d.again('doubtful'))
                # The same in another process, after a crash of the first.
            with storage_driver(s) as d:
                sent(d.batch(first, first + 1, 'doubtful'))
        assert [records(s.blobs[name]) for name in s.named('.zst')] == [[1, 2], [3, 4], [5, 6]]


def a_connection_that_was_kept_and_ends_is_no_second_try_in_secret():
    """libcurl would send it again by itself, and the second answer would look as if somebody else had taken the name."""
    with Storage() as s, storage_driver(s) as d:
        sent(d.batch(1, 1))
        before = s.requests
        s.tell(CUT)
        answer = d.batch(2, 2)
        assert answer.outcome == 'RETRY' and answer.doubtful and s.requests == before + 1, answer
        sent(d.again('doubtful'))


def a_taken_name_is_told_once_and_then_is_a_fault():
    with Storage() as s:
        with storage_driver(s) as d:
            sent(d.batch(1, 1))
        for told in (None, (409, 'BlobAlreadyExists'), (409, 'BlobImmutableDueToPolicy'), (412, 'LeaseIdMissing')):
            with storage_driver(s) as d:
                for outcome in ('TAKEN', 'RETRY', 'TAKEN'):
                    if told:
                        s.tell(told)
                    answer = d.batch(1, 1)
                    assert answer.outcome == outcome and not answer.doubtful, (told, answer)
                    assert answer.misconfigured == (outcome == 'RETRY'), (told, answer)


def an_answer_that_says_two_things_leads_to_another_name():
    """Where the emulator says the same of a taken name and of a missing permission."""
    with Storage() as s, storage_driver(s) as d:
        s.tell((403, 'AuthorizationPermissionMismatch'))
        answer = d.batch(1, 1, 'doubtful')
        assert answer.outcome == 'TAKEN' and answer.doubtful, answer
        s.tell((403, 'AuthorizationPermissionMismatch'))
        answer = d.again('nonce=' + 32 * 'b')
        assert answer.outcome == 'RETRY' and answer.misconfigured, answer


def an_event_log_comes_with_its_seals():
    with Storage() as s, storage_driver(s, form='evtx') as d:
        d.item(1)
        d.say('seals KSSEAL1...')
        s.tell((201, ''), (500, 'InternalError'))
        answer = d.again()
        assert answer.outcome == 'RETRY' and answer.doubtful, answer
        s.blobs.clear()
        # What was kept of it is not sent again.
        before = s.requests
        sent(d.again('doubtful'))
        log, = s.named('.evtx.zst')
        assert not s.named('.evtx.seal') and s.requests - before == 1 + 3
    with Storage() as s, storage_driver(s, form='evtx') as d:
        d.item(1)
        d.say('seals KSSEAL1...')
        sent(d.again())
        assert s.named('.evtx.zst')[0].removesuffix('.zst') == s.named('.evtx.seal')[0].removesuffix('.seal')
        assert s.blobs[s.named('.evtx.seal')[0]] == b'KSSEAL1...'


def a_lost_answer_to_an_append_leads_to_another_blob():
    for how, blobs in ((CUT, [[1, 2, 3, 4], [3, 4, 5, 6]]), (CUT_BEFORE, [[1, 2, 3, 4, 5, 6]])):
        with Storage() as s, storage_driver(s, mode='append') as d:
            sent(d.batch(1, 2))
            s.tell(how)
            answer = d.batch(3, 4)
            assert answer.outcome == 'RETRY' and answer.doubtful, answer
            sent(d.again('doubtful'))
            sent(d.batch(5, 6))
            assert [records(s.blobs[name]) for name in s.named('-append-')] == blobs


def what_is_larger_than_a_block_is_not_sent():
    with Storage() as s, storage_driver(s, mode='append') as d:
        for size, outcome in ((4000000, 'SENT'), (4400000, 'TOO_LARGE')):
            answer = d.batch(1, 1, text=json_item(1, text=os.urandom(size).hex()))
            assert answer.outcome == outcome, (size, answer)
    with Storage() as s, storage_driver(s) as d:
        assert d.batch(1, 1, text=json_item(1, text=os.urandom(4400000).hex())).outcome == 'TOO_LARGE'
        s.faults.clear()


def a_blob_that_takes_no_more_is_followed_by_another():
    for told in ((409, 'BlockCountExceedsLimit'), (412, 'MaxBlobSizeConditionNotMet'), (412, 'LeaseIdMissing'),
                 (409, 'BlobIsSealed'), (404, 'BlobNotFound')):
        with Storage() as s, storage_driver(s, mode='append') as d:
            sent(d.batch(1, 2))
            s.tell(told)
            sent(d.batch(3, 4))
            assert sorted(records(s.blobs[name]) for name in s.named('-append-')) == [[1, 2], [3, 4]], told
    with Storage() as s, storage_driver(s, mode='append') as d:
        sent(d.batch(1, 2))
        s.tell((409, 'BlobImmutableDueToPolicy'))
        answer = d.batch(3, 4)
        assert answer.outcome == 'RETRY' and answer.misconfigured and 'policy' in answer.text, answer
        sent(d.again())


def a_token_is_asked_for_once_and_again_when_it_is_refused():
    valid = ['first']
    with Metadata(STORAGE, lambda: valid[0], client='0a1b2c3d-0000-1111-2222-333344445555') as m, \
            Storage(bearer=lambda: valid[0]) as s:
        with storage_driver(s, secret='', metadata=m.url(), identity='0a1b2c3d-0000-1111-2222-333344445555') as d:
            for record in range(1, 4):
                sent(d.batch(record, record))
            assert m.requests == 1
            valid[0] = 'second'
            sent(d.batch(4, 4))
            assert m.requests == 2
            # One that is not accepted though it is new: a person must look.
            s.tell((401, 'InvalidAuthenticationInfo'), (401, 'InvalidAuthenticationInfo'))
            answer = d.batch(5, 5)
            assert answer.outcome == 'RETRY' and answer.misconfigured and 'login' in answer.text, answer
            sent(d.again())
    assert s.connections == 1, s.connections


def a_token_that_ends_soon_is_renewed():
    with Metadata(STORAGE, lambda: 'token', seconds=2) as m, Storage(bearer=lambda: 'token') as s, \
            storage_driver(s, secret='', metadata=m.url()) as d:
        sent(d.batch(1, 1))
        sent(d.batch(2, 2))
        assert m.requests == 1  # not at every batch, however short it is


def a_metadata_service_without_tokens_is_told():
    with Metadata(STORAGE, lambda: 'token') as m, Storage(bearer=lambda: 'token') as s, \
            storage_driver(s, secret='', metadata=m.url()) as d:
        for told, misconfigured, words in (((400, ''), True, 'has this machine a managed identity'), ((404, ''), False, '404'),
                                           ((429, '', {'Retry-After': '9'}), False, '429'), ((500, ''), False, '500'),
                                           ((403, ''), True, '403'), ((302, '', {'Location': s.url()}), True, '302'),
                                           ((200, ''), False, 'no token'), (CUT_BEFORE, False, 'metadata service')):
            m.tell(*([told] * (2 if told == CUT_BEFORE else 1)))  # to ask is harmless, so libcurl asks again
            answer = d.batch(1, 1)
            assert answer.outcome == 'RETRY' and answer.misconfigured == misconfigured and words in answer.text, (told, answer)
            assert not answer.doubtful and answer.retry_after == (9 if told[0] == 429 else 0), answer
        sent(d.again())


def what_makes_no_sense_is_refused_before_anything_is_sent():
    url = 'https://acct1.blob.core.windows.net/logs'
    for to, secret, options, words in (
            ('http://acct1.blob.core.windows.net/logs', SAS, {}, 'https:'),
            ('ftp://acct1.blob.core.windows.net/logs', SAS, {}, 'https://'),
            ('https://user@acct1.blob.core.windows.net/logs', SAS, {}, 'neither port nor path'),
            ('https://acct1.blob.core.windows.net', SAS, {}, 'name of a container'),
            ('https://acct1.blob.core.windows.net/', SAS, {}, 'name of a container'),
            ('https://acct1.blob.core.windows.net/Logs', SAS, {}, 'name of a container'),
            ('https://acct1.blob.core.windows.net/a/b/c', SAS, {}, 'name of a container'),
            ('https://acct1.blob.core.windows.net/lo', SAS, {}, 'name of a container'),
            ('https://[::1/logs', SAS, {}, 'host'),
            (url + '?' + SAS, '', {}, 'secret'),
            (url, 'sig=a b', {}, 'shared access signature'),
            (url, 'sig=a\tHeader: b', {}, 'shared access signature'),
            (url, 'no key!', {}, 'no key'),
            (url, 'A' * 4000, {}, 'no key'),
            (url, '', {'auth': 'key'}, 'missing'),
            (url, 'AccountName=acct1;EndpointSuffix=x', {}, 'neither AccountKey'),
            ('logs', SAS, {}, 'connection string'),
            ('logs', 'BlobEndpoint=http://other.example;SharedAccessSignature=' + SAS, {}, 'https:'),
            (url, SAS, {'auth': 'token'}, 'auth'), (url, SAS, {'mode': 'page'}, 'mode'), (url, SAS, {'form': 'xml'}, 'form'),
            (url, SAS, {'form': 'evtx', 'mode': 'append'}, 'mode = block'), (url, SAS, {'tenant': 'a/b'}, 'tenant'),
            (url, '', {'identity': 'a&b'}, 'client id'), (url, '', {'metadata': 'file:///x'}, 'metadata'),
            (url, SAS, {'ca': '/nonexistent'}, 'certificates'), (url, SAS, {'ca': '/dev/zero'}, 'certificates')):
        why = refusal('azure-blob', to, secret, **options)
        assert words in why and (not secret or secret not in why), (to, options, why)


TESTS = [
    a_batch_is_a_blob_that_its_sender_can_neither_change_nor_delete,
    who_has_the_machines_signature_can_add_and_nothing_else, a_signature_that_may_more_is_told_as_erasable,
    keys_and_connection_strings_are_taken_too, a_blob_that_grows_is_one_file_of_all_batches,
    what_the_emulator_refuses_is_said_in_words, a_store_that_is_away_for_a_while_has_everything_afterwards,
    an_identity_is_enough, every_answer_has_its_consequence, a_server_that_asks_to_wait_is_obeyed,
    a_lost_answer_does_not_make_two_blobs, a_connection_that_was_kept_and_ends_is_no_second_try_in_secret,
    a_taken_name_is_told_once_and_then_is_a_fault, an_answer_that_says_two_things_leads_to_another_name,
    an_event_log_comes_with_its_seals, a_lost_answer_to_an_append_leads_to_another_blob,
    what_is_larger_than_a_block_is_not_sent, a_blob_that_takes_no_more_is_followed_by_another, a_token_is_asked_for_once_and_again_when_it_is_refused,
    a_token_that_ends_soon_is_renewed, a_metadata_service_without_tokens_is_told,
    what_makes_no_sense_is_refused_before_anything_is_sent,
]

if __name__ == '__main__':
    azure_parts.main(TESTS)
