/** Steps of the differential script by raw gRPC: watches. */

import type {Message} from '../../process/raw-grpc.ts';
import {type Action, bytes, type GrpcContext, type GrpcStep, prefixEnd, stream, unary} from './grpc-step.ts';

const W = {key: bytes('w/'), range_end: prefixEnd('w/')};

const watch = (name: string, actions: readonly Action[], more: {byWatch?: boolean} = {}): GrpcStep =>
  stream(`watch ${name}`, 'Watch/Watch', actions, more);
const create = (request: Message | ((context: GrpcContext) => Message)): Action => ({
  send: (context) => ({create_request: typeof request === 'function' ? request(context) : request}),
});
const cancel = (id: number): Action => ({send: {cancel_request: {watch_id: id}}});
const progress: Action = {send: {progress_request: {}}};
const receive = (items: number): Action => ({receive: items});
const put = (key: string, value = 'v', more: Message = {}): Action => ({
  call: 'KV/Put',
  request: {key: bytes(key), value: bytes(value), ...more},
});
const del = (key: string, more: Message = {}): Action => ({
  call: 'KV/DeleteRange',
  request: {key: bytes(key), ...more},
});

export const WATCH_STEPS: readonly GrpcStep[] = [
  watch('from now', [
    create({key: bytes('w/a')}),
    receive(1),
    put('w/a'),
    put('w/b'),
    put('w/a'),
    receive(2),
  ]),
  watch('a prefix', [
    create(W),
    receive(1),
    put('w/a'),
    put('w/b'),
    del('w/a'),
    put('v'),
    put('w/c'),
    receive(4),
  ]),
  watch('from a key on', [
    create({key: bytes('w/b'), range_end: bytes('\0')}),
    receive(1),
    put('w/a'),
    put('w/b'),
    put('z'),
    receive(2),
  ]),
  watch('history', [create(({revision}) => ({...W, start_revision: revision - 6})), receive(6)]),
  watch('history and then live', [
    create(({revision}) => ({...W, start_revision: revision - 3})),
    receive(4),
    put('w/live'),
    receive(1),
  ]),
  watch('from a future revision', [
    create(({revision}) => ({...W, start_revision: revision + 3})),
    receive(1),
    put('w/early'),
    put('w/early'),
    put('w/in time'),
    receive(1),
  ]),
  watch('prev_kv', [
    create({...W, prev_kv: true}),
    receive(1),
    put('w/p', '1'),
    put('w/p', '2'),
    del('w/p'),
    del('w/p'),
    put('w/p', '3'),
    receive(4),
  ]),
  watch('prev_kv of history', [
    create(({revision}) => ({...W, start_revision: revision - 4, prev_kv: true})),
    receive(5),
  ]),
  watch('without puts', [
    create({...W, filters: ['NOPUT']}),
    receive(1),
    put('w/f'),
    del('w/f'),
    put('w/f'),
    del('w/f'),
    receive(2),
  ]),
  watch('without deletes', [
    create({...W, filters: ['NODELETE']}),
    receive(1),
    put('w/f'),
    del('w/f'),
    put('w/f'),
    receive(2),
  ]),
  watch('filtered history', [
    create(({revision}) => ({...W, start_revision: revision - 5, filters: ['NOPUT'], prev_kv: true})),
    receive(3),
  ]),
  watch('without anything, asked for progress', [
    create({...W, filters: ['NOPUT', 'NODELETE']}),
    receive(1),
    put('w/f'),
    progress,
    receive(1),
  ]),
  watch('the events of a transaction', [
    create({...W, prev_kv: true}),
    receive(1),
    {
      call: 'KV/Txn',
      request: {
        success: [
          {request_put: {key: bytes('w/t1'), value: bytes('1')}},
          {request_put: {key: bytes('w/t2'), value: bytes('2')}},
          {request_delete_range: {key: bytes('w/f')}},
          {request_put: {key: bytes('other'), value: bytes('2')}},
        ],
      },
    },
    receive(3),
  ]),
  watch('the events of a range’s deletion', [
    create(W),
    receive(1),
    del('w/t', {range_end: prefixEnd('w/t')}),
    receive(2),
  ]),
  watch('with an id of one’s own', [
    create({...W, watch_id: 77}),
    receive(1),
    put('w/id'),
    receive(1),
    cancel(77),
    receive(1),
  ]),
  watch('with an id in use', [
    create({...W, watch_id: 77}),
    receive(1),
    create({...W, watch_id: 77}),
    receive(1),
    put('w/id'),
    receive(1),
  ]),
  watch('ids given one after the other', [
    create({key: bytes('w/1')}),
    receive(1),
    create({key: bytes('w/2')}),
    receive(1),
    create({key: bytes('w/3'), watch_id: 2}),
    receive(1),
    create({key: bytes('w/4')}),
    receive(1),
  ]),
  watch('with a negative id', [create({...W, watch_id: -5}), receive(1)]),
  watch(
    'several on a stream',
    [
      create({key: bytes('w/1')}),
      receive(1),
      create(W),
      receive(1),
      create({...W, filters: ['NODELETE']}),
      receive(1),
      put('w/1'),
      receive(3),
      del('w/1'),
      receive(2),
    ],
    {byWatch: true},
  ),
  watch('canceled', [
    create(W),
    receive(1),
    create({key: bytes('w/other')}),
    receive(1),
    cancel(0),
    receive(1),
    put('w/x'),
    put('w/other'),
    receive(1),
  ]),
  watch('canceled twice', [create(W), receive(1), cancel(0), receive(1), cancel(0), progress, receive(1)]),
  watch('an unknown id canceled', [create(W), receive(1), cancel(5), put('w/x'), receive(1)]),
  watch('canceled before it was created', [cancel(0), create(W), receive(1), put('w/x'), receive(1)]),
  watch('an id used again after its cancel', [
    create({...W, watch_id: 9}),
    receive(1),
    cancel(9),
    receive(1),
    create({...W, watch_id: 9}),
    receive(1),
    put('w/x'),
    receive(1),
  ]),
  watch('progress on request', [create(W), receive(1), put('w/x'), receive(1), progress, receive(1)]),
  watch('an empty range', [create({key: bytes('w/z'), range_end: bytes('w/a')}), receive(1)]),
  watch('a range that ends where it begins', [
    create({key: bytes('w/z'), range_end: bytes('w/z')}),
    receive(1),
  ]),
  watch('without key', [create({}), receive(1), put('\0'), receive(1)]),
  watch('without key, with end', [create({range_end: bytes('w/b')}), receive(1), put('w/a'), receive(1)]),
  watch('an empty key and all', [create({range_end: bytes('\0')}), receive(1), put('w/any'), receive(1)]),
  watch('a request that is none', [{send: {}}, create(W), receive(1)]),
  watch('goes on after one’s own side ended', [create(W), receive(1), put('w/x'), receive(1)]),
  watch('with fragments', [
    create({...W, fragment: true}),
    receive(1),
    put('w/large', 'x'.repeat(1_000)),
    receive(1),
  ]),
  watch('a compacted revision', [
    put('w/c'),
    put('w/c'),
    {call: 'KV/Compact', request: ({revision}: GrpcContext) => ({revision: revision + 2})},
    create({...W, start_revision: 1}),
    receive(2),
    create(W),
    receive(1),
  ]),
  watch('the compacted revision itself', [
    create(({revision}) => ({...W, start_revision: revision})),
    receive(2),
  ]),
  watch('a negative revision', [create({...W, start_revision: -1}), receive(1)]),
  watch('lease and its end', [
    {call: 'Lease/LeaseGrant', request: {ID: 900, TTL: 1000}},
    create({...W, prev_kv: true}),
    receive(1),
    put('w/l1', 'v', {lease: 900}),
    put('w/l2', 'v', {lease: 900}),
    {call: 'Lease/LeaseRevoke', request: {ID: 900}},
    receive(4),
  ]),
  unary('watch leaves nothing behind', 'KV/Range', {...W, keys_only: true}),
];
