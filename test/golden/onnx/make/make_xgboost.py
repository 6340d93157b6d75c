"""XGBoost models through onnxmltools. Outputs, leaves and contributions are XGBoost's own."""
import json
import numpy as np
import onnxmltools
import xgboost as xgb
from onnxmltools.convert.common.data_types import FloatTensorType
from common import covers_in_onnx_order, ensemble_node, attributes, rows, save, shap_of, target

rng = np.random.default_rng(12)
WIDTH = 8
COMMON = dict(max_depth=4, n_estimators=20, learning_rate=0.25, n_jobs=1, random_state=1, tree_method="hist")


def convert(model):
    return onnxmltools.convert_xgboost(model, initial_types=[("x", FloatTensorType([None, WIDTH]))], target_opset=15)


def covers(booster, model):
    roots = [json.loads(t) for t in booster.get_dump(dump_format="json", with_stats=True)]

    def children(n):
        if "children" not in n:
            return None
        by_id = {c["nodeid"]: c for c in n["children"]}
        return by_id[n["yes"]], by_id[n["no"]]

    def cover(n):
        # Printed covers are rounded; a parent's is taken as the sum of its leaves', so that they are consistent.
        return n["cover"] if "children" not in n else sum(map(cover, n["children"]))

    return covers_in_onnx_order(model, roots, children, cover)


def extras(estimator, model, x):
    booster = estimator.get_booster()
    leaves = booster.predict(xgb.DMatrix(x), pred_leaf=True).astype(np.int16).reshape(len(x), -1)
    c = covers(booster, model)
    return dict(leaves=leaves, covers=c, shap=shap_of(model, c, x))


train = rows(rng, 1500, WIDTH, missing=0.1)
y = target(rng, train)
test = rows(rng, 60, WIDTH, missing=0.15)

binary = xgb.XGBClassifier(**COMMON).fit(train, (y > 0.2).astype(int))
# Cells exactly at thresholds: XGBoost compares float32 with "<", so the tie goes right.
thresholds = [(a, b) for a, b, m in zip(*(attributes(ensemble_node(convert(binary)))[k] for k in
              ("nodes_featureids", "nodes_values", "nodes_modes"))) if m != b"LEAF"]
for row in range(30, 60):
    for k in rng.integers(0, len(thresholds), 3):
        test[row, thresholds[k][0]] = np.float32(thresholds[k][1])
model = convert(binary)
save("xgboost", "binary", model, input=test, output=binary.predict_proba(test), **extras(binary, model, test))

regressor = xgb.XGBRegressor(**{**COMMON, "max_depth": 6, "n_estimators": 10}).fit(train, y)
model = convert(regressor)
save("xgboost", "regressor", model, input=test, output=regressor.predict(test)[:, None],
     **extras(regressor, model, test))

multiclass = xgb.XGBClassifier(**{**COMMON, "max_depth": 3, "n_estimators": 6}).fit(train, np.digitize(y, [-0.5, 0.5]))
model = convert(multiclass)
save("xgboost", "multiclass", model, input=test, output=multiclass.predict_proba(test),
     leaves=extras(multiclass, model, test)["leaves"])

poisson = xgb.XGBRegressor(**{**COMMON, "objective": "count:poisson", "n_estimators": 8}).fit(train, np.exp(y.clip(-3, 3)))
model = convert(poisson)
save("xgboost", "poisson", model, input=test, output=poisson.predict(test)[:, None])
