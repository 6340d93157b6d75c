"""Rivals on the same rows: `python outside.py FOLDER` reads task.json, writes MODEL.f64 for each model of it.

Library defaults unless a parameter is stated here. Used by `npm run bench -- quality` when EDGEWISE_PYTHON names an
interpreter that has numpy, scikit-learn, lightgbm and xgboost; neither the product nor its tests need Python.
"""

import json
import os
import sys
import warnings

os.environ.setdefault("OMP_NUM_THREADS", "1")
warnings.filterwarnings("ignore")
folder = sys.argv[1]
with open(os.path.join(folder, "task.json")) as file:
    task = json.load(file)

import numpy as np  # noqa: E402
from sklearn.compose import ColumnTransformer  # noqa: E402
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier  # noqa: E402
from sklearn.impute import SimpleImputer  # noqa: E402
from sklearn.linear_model import LogisticRegression  # noqa: E402
from sklearn.pipeline import make_pipeline  # noqa: E402
from sklearn.preprocessing import OneHotEncoder, StandardScaler  # noqa: E402


def rows(name):
    values = np.fromfile(os.path.join(folder, name), dtype=np.float32)
    return np.ascontiguousarray(values.reshape(len(task["kinds"]), -1).T)


train, test = rows("train.f32"), rows("test.f32")
labels = np.fromfile(os.path.join(folder, "train-labels.f32"), dtype=np.float32).astype(int)
categorical = [i for i, kind in enumerate(task["kinds"]) if kind == "categorical"]
numeric = [i for i, kind in enumerate(task["kinds"]) if kind == "numeric"]


def one_hot(scale):
    """Numbers imputed (and scaled), categories one-hot; those seen fewer than ten times share a column."""
    number = make_pipeline(SimpleImputer(), StandardScaler()) if scale else SimpleImputer()
    category = make_pipeline(
        SimpleImputer(strategy="constant", fill_value=-1),
        OneHotEncoder(handle_unknown="infrequent_if_exist", min_frequency=10),
    )
    return ColumnTransformer([("n", number, numeric), ("c", category, categorical)])


def lightgbm_model():
    import lightgbm

    model = lightgbm.LGBMClassifier(n_jobs=1, verbose=-1, random_state=1)
    known = lambda x: np.where(np.isnan(x), -1, x)  # noqa: E731
    prepare = lambda x: np.column_stack([known(x[:, i]) if i in categorical else x[:, i] for i in range(x.shape[1])])  # noqa: E731
    model.fit(prepare(train), labels, categorical_feature=categorical or "auto")
    return model.predict_proba(prepare(test))[:, 1]


def xgboost_model():
    import xgboost

    model = xgboost.XGBClassifier(n_jobs=1, random_state=1)
    if not categorical:
        return model.fit(train, labels).predict_proba(test)[:, 1]
    encode = one_hot(False).fit(train)
    return model.fit(encode.transform(train), labels).predict_proba(encode.transform(test))[:, 1]


def piped(scale, model):
    pipeline = make_pipeline(one_hot(scale), model).fit(train, labels)
    return pipeline.predict_proba(test)[:, 1]


class Dense:
    """scikit-learn's histogram boosting does not take sparse input."""

    def fit(self, x, y=None):
        return self

    def transform(self, x):
        return x.toarray() if hasattr(x, "toarray") else x


MODELS = {
    "lightgbm": lightgbm_model,
    "xgboost": xgboost_model,
    "sklearn_boosting": lambda: make_pipeline(one_hot(False), Dense(), HistGradientBoostingClassifier(random_state=1))
    .fit(train, labels)
    .predict_proba(test)[:, 1],
    "sklearn_random_forest": lambda: piped(False, RandomForestClassifier(n_jobs=1, random_state=1)),
    "sklearn_logistic_regression": lambda: piped(True, LogisticRegression(max_iter=1000)),
}
for name in task["models"]:
    np.asarray(MODELS[name](), dtype=np.float64).tofile(os.path.join(folder, name + ".f64"))
