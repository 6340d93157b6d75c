"""LightGBM models through onnxmltools. Outputs, leaves and contributions are LightGBM's own."""
import lightgbm as lgb
import numpy as np
import onnxmltools
from onnxmltools.convert.common.data_types import FloatTensorType
from common import covers_in_onnx_order, rows, save, shap_of, target

rng = np.random.default_rng(11)
WIDTH = 8
COMMON = dict(num_leaves=15, n_estimators=20, min_child_samples=10, learning_rate=0.2, verbose=-1, n_jobs=1,
              random_state=1, deterministic=True)


def convert(model, **options):
    return onnxmltools.convert_lightgbm(model, initial_types=[("x", FloatTensorType([None, WIDTH]))],
                                        target_opset=15, **options)


def covers(booster, model):
    roots = [t["tree_structure"] for t in booster.dump_model()["tree_info"]]
    children = lambda n: (n["left_child"], n["right_child"]) if "split_index" in n else None
    return covers_in_onnx_order(model, roots, children,
                                lambda n: n["internal_count"] if "split_index" in n else n["leaf_count"])


def extras(estimator, model, x, outputs=1):
    booster = estimator.booster_
    c = covers(booster, model)
    contrib = booster.predict(x, pred_contrib=True).reshape(len(x), outputs, WIDTH + 1)
    return dict(leaves=booster.predict(x, pred_leaf=True).astype(np.int16), covers=c,
                shap=shap_of(model, c, x), contrib=contrib)


train = rows(rng, 1500, WIDTH, missing=0.1)
y = target(rng, train)
test = rows(rng, 60, WIDTH, missing=0.15)

binary = lgb.LGBMClassifier(**COMMON).fit(train, (y > 0.2).astype(int))
model = convert(binary, zipmap=False)
save("lightgbm", "binary", model, input=test, output=binary.predict_proba(test), **extras(binary, model, test))

regressor = lgb.LGBMRegressor(**{**COMMON, "num_leaves": 31, "n_estimators": 12}).fit(train, y)
model = convert(regressor)
save("lightgbm", "regressor", model, input=test, output=regressor.predict(test)[:, None],
     **extras(regressor, model, test))

multiclass = lgb.LGBMClassifier(**{**COMMON, "num_leaves": 7, "n_estimators": 8}).fit(train, np.digitize(y, [-0.5, 0.5]))
model = convert(multiclass, zipmap=False)
save("lightgbm", "multiclass", model, input=test, output=multiclass.predict_proba(test),
     **extras(multiclass, model, test, outputs=3))

ranker = lgb.LGBMRanker(**{**COMMON, "n_estimators": 10}).fit(
    train, np.digitize(y, [-1, 0, 1]), group=[30] * 50)
model = convert(ranker)
save("lightgbm", "ranker", model, input=test, output=ranker.predict(test)[:, None], **extras(ranker, model, test))

# A random forest (boosting_type="rf") is left out: onnxmltools 1.16 converts it to a model with other scores.
