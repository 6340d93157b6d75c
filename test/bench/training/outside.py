"""Contender: an outside library on the same bytes. `python outside.py LIBRARY FOLDER`

LIBRARY is lightgbm, xgboost or sklearn. Used by `npm run bench -- training` when EDGEWISE_PYTHON names an interpreter
that has them; neither the product nor its tests need Python.
"""

import json
import os
import resource
import sys
import time

library, folder = sys.argv[1:3]
with open(os.path.join(folder, "task.json")) as file:
    task = json.load(file)
for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ[name] = str(task["threads"])

import numpy as np  # noqa: E402


def columns(name):
    """Rows x features, column-major in memory, as the file has it."""
    values = np.fromfile(os.path.join(folder, name), dtype=np.float32)
    return values.reshape(task["features"], -1).T


train, labels = columns("train.f32"), np.fromfile(os.path.join(folder, "train-labels.f32"), dtype=np.float32)
started = time.perf_counter()
if library == "lightgbm":
    import lightgbm

    started = time.perf_counter()
    version = lightgbm.__version__
    parameters = {
        "objective": "binary",
        "num_leaves": task["leaves"],
        "learning_rate": task["learningRate"],
        "max_bin": task["bins"],
        "lambda_l2": task["l2"],
        "min_data_in_leaf": task["minRowsPerLeaf"],
        "num_threads": task["threads"],
        "verbose": -1,
        "seed": 1,
    }
    model = lightgbm.train(parameters, lightgbm.Dataset(train, labels), task["trees"])
    predict = model.predict
elif library == "xgboost":
    import xgboost

    started = time.perf_counter()
    version = xgboost.__version__
    parameters = {
        "objective": "binary:logistic",
        "tree_method": "hist",
        "grow_policy": "lossguide",
        "max_depth": 0,
        "max_leaves": task["leaves"],
        "learning_rate": task["learningRate"],
        "max_bin": task["bins"],
        "lambda": task["l2"],
        "nthread": task["threads"],
        "seed": 1,
    }
    data = xgboost.QuantileDMatrix(train, labels, max_bin=task["bins"], nthread=task["threads"])
    model = xgboost.train(parameters, data, task["trees"])
    predict = lambda rows: model.predict(xgboost.DMatrix(rows))  # noqa: E731
else:
    import sklearn
    from sklearn.ensemble import HistGradientBoostingClassifier

    started = time.perf_counter()
    version = sklearn.__version__
    model = HistGradientBoostingClassifier(
        max_iter=task["trees"],
        max_leaf_nodes=task["leaves"],
        learning_rate=task["learningRate"],
        max_bins=task["bins"],
        l2_regularization=task["l2"],
        min_samples_leaf=task["minRowsPerLeaf"],
        early_stopping=False,
        random_state=1,
    ).fit(train, labels)
    predict = lambda rows: model.predict_proba(rows)[:, 1]  # noqa: E731
seconds = time.perf_counter() - started
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
np.asarray(predict(columns("test.f32")), dtype=np.float64).tofile(os.path.join(folder, "scores.f64"))
print(json.dumps({"seconds": seconds, "peakBytes": peak, "version": version}))
