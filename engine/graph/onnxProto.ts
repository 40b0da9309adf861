import protobuf from 'protobufjs';
import type { DataType } from './builder.ts';

/**
 * The part of onnx.proto3 that we write, field numbers as in https://github.com/onnx/onnx/blob/main/onnx/onnx.proto.
 * Left out: functions, sparse tensors, training info, quantisation annotations, and the typed data fields of TensorProto (raw_data is always used).
 */
const field = (type: string, id: number) => ({ type, id });
const repeated = (type: string, id: number) => ({ rule: 'repeated', type, id });

const root = protobuf.Root.fromJSON({
  nested: {
    onnx: {
      nested: {
        StringStringEntry: { fields: { key: field('string', 1), value: field('string', 2) } },
        Attribute: {
          fields: {
            name: field('string', 1),
            f: field('float', 2),
            i: field('int64', 3),
            s: field('bytes', 4),
            t: field('Tensor', 5),
            g: field('Graph', 6),
            floats: repeated('float', 7),
            ints: repeated('int64', 8),
            type: field('int32', 20),
          },
        },
        Tensor: {
          fields: {
            dims: repeated('int64', 1),
            dataType: field('int32', 2),
            name: field('string', 8),
            rawData: field('bytes', 9),
            externalData: repeated('StringStringEntry', 13),
            dataLocation: field('int32', 14),
          },
        },
        Dimension: { fields: { dimValue: field('int64', 1), dimParam: field('string', 2) } },
        TensorShape: { fields: { dim: repeated('Dimension', 1) } },
        TensorType: { fields: { elemType: field('int32', 1), shape: field('TensorShape', 2) } },
        Type: { fields: { tensorType: field('TensorType', 1) } },
        ValueInfo: { fields: { name: field('string', 1), type: field('Type', 2) } },
        Node: {
          fields: {
            input: repeated('string', 1),
            output: repeated('string', 2),
            name: field('string', 3),
            opType: field('string', 4),
            attribute: repeated('Attribute', 5),
            domain: field('string', 7),
          },
        },
        Graph: {
          fields: {
            node: repeated('Node', 1),
            name: field('string', 2),
            initializer: repeated('Tensor', 5),
            input: repeated('ValueInfo', 11),
            output: repeated('ValueInfo', 12),
            valueInfo: repeated('ValueInfo', 13),
          },
        },
        OperatorSet: { fields: { domain: field('string', 1), version: field('int64', 2) } },
        Model: {
          fields: {
            irVersion: field('int64', 1),
            producerName: field('string', 2),
            graph: field('Graph', 7),
            opsetImport: repeated('OperatorSet', 8),
          },
        },
      },
    },
  },
});

/** TensorProto.DataType */
export const DATA_TYPE_CODES: Record<DataType, number> = {
  float32: 1,
  uint8: 2,
  int32: 6,
  int64: 7,
  bool: 9,
  float16: 10,
  float64: 11,
};

/** AttributeProto.AttributeType */
const ATTRIBUTE_TYPES = { f: 1, i: 2, s: 3, g: 5, floats: 6, ints: 7 } as const;

export interface AttributeMessage {
  name: string;
  type: number;
  f?: number;
  i?: number;
  s?: Uint8Array;
  g?: GraphMessage;
  floats?: number[];
  ints?: number[];
}

export interface TensorMessage {
  name: string;
  dims: number[];
  dataType: number;
  rawData?: Uint8Array;
  /** 1 = EXTERNAL */
  dataLocation?: number;
  externalData?: { key: string; value: string }[];
}

export interface ValueInfoMessage {
  name: string;
  type: { tensorType: { elemType: number; shape: { dim: { dimValue?: number; dimParam?: string }[] } } };
}

export interface NodeMessage {
  opType: string;
  domain: string;
  name: string;
  input: string[];
  output: string[];
  attribute: AttributeMessage[];
}

export interface GraphMessage {
  name: string;
  node: NodeMessage[];
  initializer: TensorMessage[];
  input: ValueInfoMessage[];
  output: ValueInfoMessage[];
  /** Types of inner values: with them ONNX Runtime plans memory in a tenth of the time. */
  valueInfo: ValueInfoMessage[];
}

/** One attribute: integers as `i`, other numbers must be marked by `{ float: x }` because the two share a JavaScript type. */
export function attributeMessage(name: string, value: AttributeInput): AttributeMessage {
  if (typeof value === 'number') return { name, type: ATTRIBUTE_TYPES.i, i: value };
  if (typeof value === 'string') return { name, type: ATTRIBUTE_TYPES.s, s: new TextEncoder().encode(value) };
  if (Array.isArray(value)) return { name, type: ATTRIBUTE_TYPES.ints, ints: value };
  if ('float' in value) return { name, type: ATTRIBUTE_TYPES.f, f: value.float };
  return { name, type: ATTRIBUTE_TYPES.g, g: value };
}

export type AttributeInput = number | string | number[] | { float: number } | GraphMessage;

/** Serialises a ModelProto: IR version 10, the given operator sets. */
export function encodeModel(graph: GraphMessage, operatorSets: { domain: string; version: number }[]): Uint8Array {
  const type = root.lookupType('onnx.Model');
  return type.encode(type.create({ irVersion: 10, producerName: 'cada', graph, opsetImport: operatorSets })).finish();
}
