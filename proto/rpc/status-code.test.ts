import { status as grpcStatus } from '@grpc/grpc-js';
import { status } from './status-code.js';

it("has grpc-js's status codes", () => {
  const names = Object.entries(grpcStatus).filter(([, code]) => typeof code === 'number');
  expect(status).toEqual(Object.fromEntries(names));
});
