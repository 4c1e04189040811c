import { BinaryReader } from '@bufbuild/protobuf/wire';
import { loadFileDescriptorSetFromBuffer, type PackageDefinition } from '@grpc/proto-loader';

/**
 * A descriptor set as @grpc/reflection takes it. proto-loader rewrites files, one a package, with names of types relative to
 * nothing: clients such as grpcurl cannot resolve google.protobuf.Timestamp from those. So each definition carries the
 * compiler's own files instead, whose names are absolute and whose imports are complete.
 */
export function reflectedPackage(descriptorSet: Buffer): PackageDefinition {
  const definitions = loadFileDescriptorSetFromBuffer(descriptorSet);
  const fileDescriptorProtos = filesOf(descriptorSet);
  for (const definition of Object.values(definitions)) {
    if ('fileDescriptorProtos' in definition) Object.assign(definition, { fileDescriptorProtos });
  }
  return definitions;
}

/** The encoded files of the set (its field 1), untouched: encoding them anew would lose what proto2 tells from a default. */
function filesOf(descriptorSet: Buffer): Buffer[] {
  const reader = new BinaryReader(descriptorSet);
  const files: Buffer[] = [];
  while (reader.pos < reader.len) {
    const tag = reader.uint32();
    if (tag === ((1 << 3) | 2)) files.push(Buffer.from(reader.bytes()));
    else reader.skip(tag & 7);
  }
  return files;
}
