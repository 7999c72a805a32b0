/** Steps of the differential script: watches. They start at a known revision, so that nothing depends on time. */

import {type Step, step, usage, words} from './step.ts';

export const WATCH_STEPS: readonly Step[] = [
  step('put w/a 1'),
  step('put w/a 2'),
  step('put w/b 1'),
  step('del w/a'),
  words(['put', 'w/c', '']),
  step('watch w/a --rev={revision-4}', {untilLines: 9}),
  step('watch w/ --prefix --rev={revision-4}', {untilLines: 15}),
  step('watch w/ --prefix --rev={revision-4} --prev-kv', {untilLines: 19}),
  step('watch w/ --prefix --rev={revision-4} -w json', {untilLines: 1}),
  step('watch w/ --prefix --rev={revision-4} --prev-kv -w json', {untilLines: 1}),
  step('watch w/ --prefix --rev={revision-4} -w fields', {untilLines: 39}),
  step('watch w/ --prefix --rev={revision-4} --hex', {untilLines: 15}),
  step('watch w/b w/z --rev={revision-4}', {untilLines: 6}),
  step('watch w/b --rev={revision-4} --prefix --prev-kv=false', {untilLines: 3}),
  step('watch w/a --rev={revision+1}', {meanwhile: [['put', 'w/a', 'live']], untilLines: 3}),
  // How many events share a response depends on time: one event.
  step('watch w/ --prefix --rev={revision+1} -w json', {
    meanwhile: [
      ['put', 'other', 'x'],
      ['put', 'w/a', 'live'],
    ],
    untilLines: 1,
  }),
  step('watch w/a --rev={revision+3}', {
    meanwhile: [
      ['put', 'w/a', 'too early 1'],
      ['put', 'w/a', 'too early 2'],
      ['put', 'w/a', 'in time'],
    ],
    untilLines: 3,
  }),
  words(
    [
      'watch',
      'w/a',
      '--rev={revision}',
      '--',
      'sh',
      '-c',
      'echo $ETCD_WATCH_REVISION $ETCD_WATCH_EVENT_TYPE $ETCD_WATCH_KEY $ETCD_WATCH_VALUE',
    ],
    {
      untilLines: 4,
    },
  ),
  words(['watch', 'w/a', '--rev={revision}', '--', 'false']),
  step('watch --rev={revision} w/a', {untilLines: 3}),
  step('watch --rev={revision}', {environment: {ETCDCTL_WATCH_KEY: 'w/a'}, untilLines: 3}),
  step('watch --rev={revision-2}', {
    environment: {ETCDCTL_WATCH_KEY: 'w/', ETCDCTL_WATCH_RANGE_END: 'w0'},
    untilLines: 9,
  }),
  step('watch -i', {input: 'watch w/a --rev={revision}\n', untilLines: 3}),
  step('watch -i', {input: 'nonsense\n'}),
  step('watch -i', {input: 'watch\n'}),
  usage('watch'),
  usage('watch a b c'),
  usage('watch a b --prefix'),
  usage('watch a --rev=x'),
  usage('watch a --'),
  usage('watch a --unknown'),
];
