import type { GraphMessage, NodeMessage, TensorMessage, ValueInfoMessage } from './onnxProto.ts';
import { attributeMessage, DATA_TYPE_CODES, encodeModel } from './onnxProto.ts';
import { factorsOf, formatShape } from './dimensions.ts';
import type { Dimension, Shape } from './dimensions.ts';

export type DataType = 'float32' | 'float64' | 'float16' | 'int32' | 'int64' | 'uint8' | 'bool';
export type { Dimension, Shape } from './dimensions.ts';

/** A tensor of the graph: made by `Graph.input`, `Graph.constant`, `Graph.weight` or an operator of operators.ts. */
export interface Value {
  /** Name in the ONNX graph; `Graph.output` may change it until the graph is encoded. */
  name: string;
  readonly dtype: DataType;
  readonly shape: Shape;
  readonly graph: Graph;
}

export type Attribute = number | string | number[] | { float: number } | Graph;

/** One operator applied. A composite has no operator: it groups nodes already in the graph under a gradient rule of its own. */
export interface GraphNode {
  readonly operator: string;
  readonly domain: string;
  readonly inputs: readonly (Value | undefined)[];
  readonly outputs: readonly Value[];
  readonly attributes: Readonly<Record<string, Attribute>>;
  readonly graph: Graph;
  /** Order of creation over the whole model, sub-graphs included. */
  readonly index: number;
  readonly compositeGradient?: CompositeGradient;
}

/** Gradients of a composite's inputs from those of its outputs (undefined = zero). */
export type CompositeGradient = (outputGradients: readonly (Value | undefined)[]) => (Value | undefined)[];

/** Where an initializer's bytes are: a file beside the model (`ModelLocation.folder`), little-endian, rows contiguous. */
export interface ExternalData {
  fileName: string;
  offset: number;
  byteLength: number;
}

export type ConstantData = Float32Array | Float64Array | Int32Array | BigInt64Array | Uint8Array;

interface Initializer {
  value: Value;
  data: ConstantData | ExternalData;
}

/** State shared by a graph and its sub-graphs. */
interface Model {
  nextIndex: number;
  names: Set<string>;
  /** Where operators are inserted now: the graph itself, or the sub-graph that is being built. */
  insertion: Graph;
  producers: Map<Value, GraphNode>;
  /** A value and axis from which the size of a symbol can be read. */
  symbols: Map<string, { value: Value; axis: number }>;
  /** Values that differentiation computes again instead of keeping. */
  recomputed: Set<Value>;
}

const DATA_OF_TYPE: Record<DataType, string> = {
  float32: 'Float32Array',
  float64: 'Float64Array',
  float16: 'Uint8Array',
  int32: 'Int32Array',
  int64: 'BigInt64Array',
  uint8: 'Uint8Array',
  bool: 'Uint8Array',
};

export const OPERATOR_SETS = [
  { domain: '', version: 21 },
  { domain: 'com.microsoft', version: 1 },
];

/**
 * An ONNX graph under construction. Operators (operators.ts) add their nodes to the graph of their arguments, or, while `subgraph` builds one,
 * to that sub-graph; shapes and types are checked at once, so an error points at the line that made it.
 */
export class Graph {
  readonly name: string;
  readonly parent: Graph | undefined;
  readonly inputs: Value[] = [];
  readonly outputs: Value[] = [];
  readonly nodes: GraphNode[] = [];
  readonly initializers: Initializer[] = [];
  private readonly model: Model;

  constructor(name: string, parent?: Graph) {
    this.name = name;
    this.parent = parent;
    this.model = parent
      ? parent.model
      : {
          nextIndex: 0,
          names: new Set(),
          insertion: this,
          producers: new Map(),
          symbols: new Map(),
          recomputed: new Set(),
        };
  }

  /** The graph that operators add to now. */
  get insertion(): Graph {
    return this.model.insertion;
  }

  /** A run-time input. Its symbolic dimensions become readable for the operators that need them. */
  input(name: string, dtype: DataType, shape: Shape): Value {
    const value = this.newValue(name, dtype, shape);
    this.inputs.push(value);
    shape.forEach((dimension, axis) => {
      if (typeof dimension === 'string' && !dimension.includes('*') && !this.model.symbols.has(dimension)) {
        this.model.symbols.set(dimension, { value, axis });
      }
    });
    return value;
  }

  /** A constant stored in the model itself. */
  constant(data: ConstantData, dtype: DataType, shape: readonly number[], name = 'constant'): Value {
    if (data.constructor.name !== DATA_OF_TYPE[dtype]) {
      throw new TypeError(`constant ${name}: ${dtype} needs a ${DATA_OF_TYPE[dtype]}, not a ${data.constructor.name}`);
    }
    const count = shape.reduce((product, dimension) => product * dimension, 1);
    if (dtype !== 'float16' && data.length !== count) {
      throw new RangeError(`constant ${name}: ${data.length} elements do not fill ${formatShape(shape)}`);
    }
    const value = this.newValue(this.uniqueName(name), dtype, shape);
    this.initializers.push({ value, data });
    return value;
  }

  /** A constant whose bytes lie in a file beside the model; ONNX Runtime packs it once for the operators that use it. */
  weight(name: string, dtype: DataType, shape: readonly number[], location: ExternalData): Value {
    const value = this.newValue(name, dtype, shape);
    this.initializers.push({ value, data: location });
    return value;
  }

  /**
   * A constant of an outer graph, declared in this sub-graph too; any other value as it is. ONNX Runtime packs the weights of a graph for the operators of
   * that graph and of the sub-graphs right in it, but not further down: there a product packs its weights anew each time it runs.
   */
  ownCopy(value: Value): Value {
    const data = value.graph.initializers.find((initializer) => initializer.value === value)?.data;
    if (!data || value.graph === this) return value;
    const copy = this.newValue(this.uniqueName(value.name), value.dtype, value.shape);
    this.initializers.push({ value: copy, data });
    return copy;
  }

  /** Makes a value an output of this graph, under the given name. */
  output(name: string, value: Value): Value {
    const made = value.graph === this && this.model.producers.has(value) && !this.outputs.includes(value);
    const source = made ? value : this.node('Identity', [value], [{ dtype: value.dtype, shape: value.shape }])[0]!;
    this.model.names.delete(source.name);
    this.claimName(name);
    source.name = name;
    this.outputs.push(source);
    return source;
  }

  /** Adds a node. `outputs` gives dtype and shape of each output. Prefer the functions of operators.ts, which derive and check them. */
  node(
    operator: string,
    inputs: readonly (Value | undefined)[],
    outputs: readonly { dtype: DataType; shape: Shape }[],
    attributes: Record<string, Attribute> = {},
    domain = '',
  ): Value[] {
    for (const input of inputs)
      if (input && !this.sees(input.graph))
        throw new Error(`${operator}: ${input.name} belongs to a graph that ${this.name} does not see`);
    const values = outputs.map(({ dtype, shape }) => this.newValue(this.uniqueName(operator), dtype, shape));
    const node: GraphNode = {
      operator,
      domain,
      inputs,
      outputs: values,
      attributes,
      graph: this,
      index: this.model.nextIndex++,
    };
    this.nodes.push(node);
    for (const value of values) this.model.producers.set(value, node);
    return values;
  }

  /**
   * Gives `outputs`, already computed from `inputs` by any operators, a gradient rule of their own: differentiation goes from the outputs
   * straight to the inputs and does not look at the nodes between.
   */
  composite(name: string, inputs: readonly Value[], outputs: readonly Value[], gradient: CompositeGradient): void {
    const node: GraphNode = {
      operator: name,
      domain: '',
      inputs,
      outputs,
      attributes: {},
      graph: this,
      index: this.model.nextIndex++,
      compositeGradient: gradient,
    };
    for (const output of outputs) this.model.producers.set(output, node);
  }

  /** Builds a sub-graph (for `loop` and `choose`): operators called inside `build` go into it and may use values of the outer graphs. */
  subgraph(name: string, build: (graph: Graph) => void): Graph {
    const graph = new Graph(name, this);
    const outer = this.model.insertion;
    this.model.insertion = graph;
    try {
      build(graph);
    } finally {
      this.model.insertion = outer;
    }
    return graph;
  }

  /** Marks a value that is cheap to compute and large to keep: gradients then compute it again where they need it. */
  recompute(value: Value): void {
    this.model.recomputed.add(value);
  }

  isRecomputed(value: Value): boolean {
    return this.model.recomputed.has(value);
  }

  /** The node that made a value; undefined for inputs and constants. */
  producerOf(value: Value): GraphNode | undefined {
    return this.model.producers.get(value);
  }

  /** The constant data of an initializer of this model that lies in the graph itself (not in a file). */
  constantData(value: Value): ConstantData | undefined {
    const data = value.graph.initializers.find((initializer) => initializer.value === value)?.data;
    return data && 'fileName' in data ? undefined : data;
  }

  /** A value and axis that carry the run-time size of a symbol. Throws if no input has it as a dimension. */
  sourceOfSymbol(symbol: string): { value: Value; axis: number } {
    const source = this.model.symbols.get(symbol);
    if (!source)
      throw new Error(`graph ${this.name}: no input has the dimension '${symbol}', so its size is unknown at run time`);
    return source;
  }

  /** Declares that axis `axis` of a computed value carries the size of a new symbol. */
  defineSymbol(symbol: string, value: Value, axis: number): void {
    if (factorsOf(symbol).symbols.length !== 1) throw new Error(`'${symbol}' is not one symbol`);
    if (!this.model.symbols.has(symbol)) this.model.symbols.set(symbol, { value, axis });
  }

  /** The ONNX model, serialised, without what no output needs. Weights in files are referred to, not contained. */
  encode(): Uint8Array {
    if (this.parent) throw new Error(`graph ${this.name} is a sub-graph: encode the outermost graph`);
    return encodeModel(this.toMessage(this.usedValues()), OPERATOR_SETS);
  }

  /** The values that the outputs need, those of sub-graphs included: all that is encoded. */
  usedValues(): ReadonlySet<Value> {
    const used = new Set<Value>();
    this.markUsed(used);
    return used;
  }

  private markUsed(used: Set<Value>): void {
    for (const output of this.outputs) used.add(output);
    for (const node of this.nodes.toReversed()) {
      if (!node.outputs.some((output) => used.has(output))) continue;
      for (const input of node.inputs) if (input) used.add(input);
      for (const attribute of Object.values(node.attributes)) if (attribute instanceof Graph) attribute.markUsed(used);
    }
  }

  private toMessage(used: ReadonlySet<Value>): GraphMessage {
    const nodes = this.nodes.filter((node) => node.outputs.some((output) => used.has(output)));
    const consumed = new Set(nodes.flatMap((node) => node.inputs));
    const outputs = new Set(this.outputs);
    const isInner = (value: Value) => used.has(value) && !outputs.has(value);
    const isLeaf = (node: GraphNode) => node.outputs.every((output) => !consumed.has(output));
    return {
      name: this.name,
      // ONNX Runtime runs depth-first from the last leaf back. With the leaves last and reversed, those made first (the gradients of the last layer)
      // run first, and what only they need is freed before the pass goes on to earlier layers.
      node: [...nodes.filter((node) => !isLeaf(node)), ...nodes.filter(isLeaf).reverse()].map((node) =>
        nodeMessage(node, used),
      ),
      initializer: this.initializers.filter(({ value }) => used.has(value)).map(initializerMessage),
      input: this.inputs.map(valueInfoMessage),
      output: this.outputs.map(valueInfoMessage),
      valueInfo: nodes.flatMap((node) => node.outputs.filter(isInner)).map(valueInfoMessage),
    };

    function nodeMessage(node: GraphNode, used: ReadonlySet<Value>): NodeMessage {
      return {
        opType: node.operator,
        domain: node.domain,
        name: node.outputs[0]?.name ?? node.operator,
        input: node.inputs.map((input) => input?.name ?? ''),
        output: node.outputs.map((output) => output.name),
        attribute: Object.entries(node.attributes).map(([name, value]) =>
          attributeMessage(name, value instanceof Graph ? value.toMessage(used) : value),
        ),
      };
    }
  }

  private sees(graph: Graph): boolean {
    return graph === this || (this.parent?.sees(graph) ?? false);
  }

  private newValue(name: string, dtype: DataType, shape: Shape): Value {
    this.claimName(name);
    return { name, dtype, shape, graph: this };
  }

  private claimName(name: string): void {
    if (this.model.names.has(name)) throw new Error(`graph ${this.name}: the name '${name}' is taken`);
    this.model.names.add(name);
  }

  private uniqueName(stem: string): string {
    let name = `${stem}_${this.model.names.size}`;
    while (this.model.names.has(name)) name += '_';
    return name;
  }
}

function initializerMessage({ value, data }: Initializer): TensorMessage {
  const message: TensorMessage = {
    name: value.name,
    dims: value.shape as number[],
    dataType: DATA_TYPE_CODES[value.dtype],
  };
  if ('fileName' in data) {
    message.dataLocation = 1;
    message.externalData = [
      { key: 'location', value: data.fileName },
      { key: 'offset', value: String(data.offset) },
      { key: 'length', value: String(data.byteLength) },
    ];
  } else {
    message.rawData = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  }
  return message;
}

function valueInfoMessage(value: Value): ValueInfoMessage {
  const dim = value.shape.map((dimension: Dimension) =>
    typeof dimension === 'number' ? { dimValue: dimension } : { dimParam: dimension },
  );
  return { name: value.name, type: { tensorType: { elemType: DATA_TYPE_CODES[value.dtype], shape: { dim } } } };
}
