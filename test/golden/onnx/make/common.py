"""Shared by the scripts that made the fixtures. Nothing here runs in a test: provenance only."""
import os
import numpy as np
import onnx
from onnx import numpy_helper

HERE = os.path.dirname(os.path.abspath(__file__))
OUT = os.path.dirname(HERE)


def save(family, name, model, **arrays):
    """Writes <family>/<name>.onnx and one .npy per array; doc strings and metadata are dropped to keep files small."""
    folder = os.path.join(OUT, family)
    os.makedirs(folder, exist_ok=True)
    for node in model.graph.node:
        node.doc_string = ""
        del node.metadata_props[:]
    for value in list(model.graph.value_info) + list(model.graph.input) + list(model.graph.output):
        del value.metadata_props[:]
    del model.metadata_props[:]
    del model.graph.metadata_props[:]
    del model.graph.value_info[:]
    onnx.checker.check_model(model)
    with open(os.path.join(folder, name + ".onnx"), "wb") as file:
        file.write(model.SerializeToString())
    for kind, array in arrays.items():
        np.save(os.path.join(folder, f"{name}.{kind}.npy"), np.ascontiguousarray(array))
    sizes = {kind: np.asarray(array).shape for kind, array in arrays.items()}
    print(f"{family}/{name}", sorted({n.op_type for n in model.graph.node}), sizes)


def rows(rng, count, width, missing=0.0, specials=True):
    """float32 rows; some cells missing, some at the ends of the number line."""
    x = rng.normal(size=(count, width)).astype(np.float32)
    x[:, 0] = np.round(x[:, 0] * 2) / 2          # a coarse column: ties
    x[:, 1] = rng.integers(0, 5, count)          # a counted column
    x[:, 2] = np.exp(2 * x[:, 2])                # a skewed column
    if missing:
        x[rng.random(x.shape) < missing] = np.nan
    if specials:
        x[0, :] = 0
        x[1, 3:5] = [1e30, -1e30]
        x[2, 3:5] = [1e-40, -1e-40]              # denormal in float32
    return x.astype(np.float32)


def target(rng, x):
    z = np.nan_to_num(x, nan=0.3, posinf=3, neginf=-3).clip(-5, 5)
    return z[:, 0] - 0.6 * (z[:, 1] > 2) + 0.4 * z[:, 3] * z[:, 4] + 0.3 * np.sin(z[:, 2]) + 0.2 * rng.normal(size=len(x))


def attributes(node):
    return {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}


def ensemble_node(model):
    return next(n for n in model.graph.node if n.op_type.startswith("TreeEnsemble"))


def onnx_trees(model):
    """The ensemble's trees as ONNX states them (float32), with the position of each node in the attribute arrays."""
    node = ensemble_node(model)
    a = attributes(node)
    kind = "class" if node.op_type == "TreeEnsembleClassifier" else "target"
    position = {(t, i): p for p, (t, i) in enumerate(zip(a["nodes_treeids"], a["nodes_nodeids"]))}
    outputs = max(a[kind + "_ids"]) + 1
    leaf = {}
    for t, i, o, w in zip(a[kind + "_treeids"], a[kind + "_nodeids"], a[kind + "_ids"], a[kind + "_weights"]):
        leaf.setdefault((t, i), np.zeros(outputs))[o] += np.float32(w)
    missing = a.get("nodes_missing_value_tracks_true") or [0] * len(position)
    return dict(a=a, position=position, leaf=leaf, outputs=outputs, missing=missing,
                trees=sorted(set(a["nodes_treeids"])))


def covers_in_onnx_order(model, roots, children, cover):
    """Walks library trees and ONNX trees side by side; `children(node)` is (true child, false child) or None."""
    e = onnx_trees(model)
    a = e["a"]
    result = np.full(len(a["nodes_treeids"]), np.nan)
    for tree, root in zip(e["trees"], roots):
        stack = [(0, root)]
        while stack:
            i, node = stack.pop()
            p = e["position"][(tree, i)]
            result[p] = cover(node)
            pair = children(node)
            assert (pair is None) == (a["nodes_modes"][p] == b"LEAF"), "trees differ in structure"
            if pair:
                stack += [(a["nodes_truenodeids"][p], pair[0]), (a["nodes_falsenodeids"][p], pair[1])]
    assert not np.isnan(result).any()
    return result


def shap_of(model, covers, x):
    """The reference `shap` package on exactly the ONNX file's trees. @returns rows x outputs x (features + 1), base last."""
    import shap
    e = onnx_trees(model)
    a = e["a"]
    trees = []
    for tree in e["trees"]:
        nodes = sorted(i for t, i in e["position"] if t == tree)
        index = {i: k for k, i in enumerate(nodes)}
        assert nodes[0] == 0
        count = len(nodes)
        t = dict(children_left=np.full(count, -1, np.int32), children_right=np.full(count, -1, np.int32),
                 children_default=np.full(count, -1, np.int32), features=np.full(count, -1, np.int32),
                 thresholds=np.zeros(count), values=np.zeros((count, e["outputs"])),
                 node_sample_weight=np.zeros(count))
        for i in nodes:
            p, k = e["position"][(tree, i)], index[i]
            t["node_sample_weight"][k] = covers[p]
            mode = a["nodes_modes"][p]
            if mode == b"LEAF":
                t["values"][k] = e["leaf"].get((tree, i), np.zeros(e["outputs"]))
                continue
            threshold = np.float32(a["nodes_values"][p])
            assert mode in (b"BRANCH_LEQ", b"BRANCH_LT"), mode
            if mode == b"BRANCH_LT":
                threshold = np.nextafter(threshold, np.float32(-np.inf))
            t["features"][k] = a["nodes_featureids"][p]
            t["thresholds"][k] = float(threshold)
            t["children_left"][k] = index[a["nodes_truenodeids"][p]]
            t["children_right"][k] = index[a["nodes_falsenodeids"][p]]
            t["children_default"][k] = t["children_left" if e["missing"][p] else "children_right"][k]
        trees.append(t)
    explainer = shap.TreeExplainer({
        "internal_dtype": np.float64, "input_dtype": np.float64, "objective": None, "tree_output": "raw_value",
        "base_offset": 0.0, "trees": trees,
    }, feature_perturbation="tree_path_dependent")
    values = np.asarray(explainer.shap_values(np.asarray(x, np.float64), check_additivity=False))
    if values.ndim == 2:
        values = values[:, :, None]
    base = np.broadcast_to(np.atleast_1d(explainer.expected_value), (len(x), e["outputs"]))
    offset = np.zeros(e["outputs"])
    if a.get("base_values"):
        offset[: len(a["base_values"])] = [np.float32(v) for v in a["base_values"]]
    return np.concatenate([values.transpose(0, 2, 1), (base + offset)[:, :, None]], axis=2)
