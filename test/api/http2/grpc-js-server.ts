/** The echo service on grpc-js, for our client to call. */

import {
  type handleBidiStreamingCall,
  type handleClientStreamingCall,
  type handleServerStreamingCall,
  type handleUnaryCall,
  type ServiceDefinition,
  status,
  type UntypedServiceImplementation,
} from '@grpc/grpc-js';

export {Server, ServerCredentials, status} from '@grpc/grpc-js';

const asIs = (bytes: Buffer): Buffer => bytes;

function definition(
  name: string,
  requestStream: boolean,
  responseStream: boolean,
): ServiceDefinition[string] {
  return {
    path: `/test.Echo/${name}`,
    requestStream,
    responseStream,
    requestSerialize: asIs,
    requestDeserialize: asIs,
    responseSerialize: asIs,
    responseDeserialize: asIs,
  };
}

const unary: handleUnaryCall<Buffer, Buffer> = (call, callback) => callback(null, call.request);
const fail: handleUnaryCall<Buffer, Buffer> = (call, callback) =>
  callback({code: status.OUT_OF_RANGE, details: call.request.toString()});
const hang: handleUnaryCall<Buffer, Buffer> = () => undefined;
const large: handleUnaryCall<Buffer, Buffer> = (call, callback) =>
  callback(null, Buffer.alloc(Number(call.request.toString()), 'x'));
const count: handleServerStreamingCall<Buffer, Buffer> = (call) => {
  const [messages, size] = call.request.toString().split(' ').map(Number);
  for (let i = 0; i < messages; i++) call.write(Buffer.alloc(size, i & 0xff));
  call.end();
};
const sum: handleClientStreamingCall<Buffer, Buffer> = (call, callback) => {
  let bytes = 0;
  call.on('data', (message: Buffer) => {
    bytes += message.length;
  });
  call.on('end', () => callback(null, Buffer.from(String(bytes))));
};
const bidi: handleBidiStreamingCall<Buffer, Buffer> = (call) => {
  call.on('data', (message: Buffer) => call.write(message));
  call.on('end', () => call.end());
};
const watch: handleBidiStreamingCall<Buffer, Buffer> = (call) => {
  call.write(Buffer.from('created'));
};

export function handlers(): [ServiceDefinition, UntypedServiceImplementation] {
  return [
    {
      unary: definition('Unary', false, false),
      fail: definition('Fail', false, false),
      hang: definition('Hang', false, false),
      large: definition('Large', false, false),
      count: definition('Count', false, true),
      sum: definition('Sum', true, false),
      bidi: definition('Bidi', true, true),
      watch: definition('Watch', true, true),
    },
    {unary, fail, hang, large, count, sum, bidi, watch},
  ];
}
