import type { Node, Tensor } from "../onnx/model.ts";

/** The engine's own operator: a product with constant weights, a bias and an activation in one pass. */
const DENSE = { opType: "Dense", domain: "edgewise" } as const;

/**
 * Rewrites `Gemm` and `MatMul` over constant float32 weights, with the `Add` and `Relu` behind them, into `Dense`.
 * @param nodes in order; only those whose values are needed
 * @param kept names that must survive because something outside these nodes reads them
 */
export function fuseDense(
  nodes: readonly Node[],
  initializers: ReadonlyMap<string, Tensor>,
  kept: ReadonlySet<string>,
): Node[] {
  const readers = new Map<string, Node[]>();
  for (const node of nodes) for (const input of node.inputs) readers.set(input, [...(readers.get(input) ?? []), node]);
  /** The one node that reads a value, if nothing else does. */
  const onlyReader = (name: string): Node | null => {
    const [reader, other] = readers.get(name) ?? [];
    return reader === undefined || other !== undefined || kept.has(name) ? null : reader;
  };
  const isFloat = (name: string | undefined): Tensor | null => {
    const tensor = name === undefined ? undefined : initializers.get(name);
    return tensor?.type === "float32" ? tensor : null;
  };
  const absorbed = new Set<Node>();
  const fused: Node[] = [];
  for (const node of nodes) {
    if (absorbed.has(node)) continue;
    const start = startOf(node, isFloat);
    if (start === null) {
      fused.push(node);
      continue;
    }
    let { bias } = start;
    let [output = ""] = node.outputs;
    const add = bias === "" ? onlyReader(output) : null;
    const addend = add?.opType === "Add" ? add.inputs.find((name) => name !== output) : undefined;
    const vector = isFloat(addend);
    if (add !== null && vector !== null && isRow(vector, start.width)) {
      bias = vector.name;
      [output = ""] = add.outputs;
      absorbed.add(add);
    }
    const relu = onlyReader(output);
    const activation = relu?.opType === "Relu" ? relu.opType : "";
    if (relu !== null && activation !== "") {
      [output = ""] = relu.outputs;
      absorbed.add(relu);
    }
    fused.push({
      ...DENSE,
      name: node.name,
      inputs: [node.inputs[0] ?? "", node.inputs[1] ?? "", bias],
      outputs: [output],
      attributes: new Map([
        ["transB", { type: "int", value: start.transposed ? 1 : 0 }],
        ["activation", { type: "string", value: activation }],
      ]),
    });
  }
  return fused;
}

interface Start {
  readonly bias: string;
  readonly transposed: boolean;
  /** Columns of the result. */
  readonly width: number;
}

/** The product that a fused node starts from; null where the node is none or needs more than `Dense` does. */
function startOf(node: Node, isFloat: (name: string | undefined) => Tensor | null): Start | null {
  const weights = isFloat(node.inputs[1]);
  if (node.domain !== "" || weights === null || weights.dims.length !== 2) return null;
  const [rows = 0, columns = 0] = weights.dims;
  if (node.opType === "MatMul") return { bias: "", transposed: false, width: columns };
  if (node.opType !== "Gemm") return null;
  const attribute = (name: string, otherwise: number): number => {
    const found = node.attributes.get(name);
    return found?.type === "int" || found?.type === "float" ? found.value : otherwise;
  };
  const transposed = attribute("transB", 0) === 1;
  const width = transposed ? rows : columns;
  const bias = node.inputs[2] ?? "";
  const vector = bias === "" ? null : isFloat(bias);
  if (attribute("transA", 0) === 1 || attribute("alpha", 1) !== 1 || attribute("beta", 1) !== 1) return null;
  return bias === "" || (vector !== null && isRow(vector, width)) ? { bias, transposed, width } : null;
}

/** One number, or one per column: what is added to every row alike. */
function isRow({ dims }: Tensor, width: number): boolean {
  const last = dims.at(-1) ?? 1;
  return (last === width || last === 1) && dims.length <= 2 && (dims.length < 2 || dims[0] === 1);
}
