"""scikit-learn models through skl2onnx. Outputs and leaves are scikit-learn's own."""
import numpy as np
import onnx
from skl2onnx import to_onnx
from skl2onnx.common.data_types import FloatTensorType, Int64TensorType
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import PCA
from sklearn.ensemble import (ExtraTreesClassifier, GradientBoostingClassifier, HistGradientBoostingRegressor,
                              IsolationForest, RandomForestRegressor)
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, OneHotEncoder, QuantileTransformer, StandardScaler
from sklearn.tree import DecisionTreeRegressor
from common import rows, save, shap_of, target

# skl2onnx 1.20 hands numpy booleans to onnx 1.23, which wants integers.
make_attribute = onnx.helper.make_attribute
is_bool = lambda value: isinstance(value, (bool, np.bool_))
whole = lambda value: int(value) if is_bool(value) else value
onnx.helper.make_attribute = lambda key, value, *rest, **kw: make_attribute(
    key, [whole(v) for v in value] if isinstance(value, list) and any(map(is_bool, value)) else value, *rest, **kw)

rng = np.random.default_rng(13)
WIDTH = 8
clean = rows(rng, 1500, WIDTH, specials=False)
holes = rows(rng, 1500, WIDTH, missing=0.1, specials=False)
y = target(rng, clean)
label = (y > 0.2).astype(int)
classes = np.digitize(y, [-0.5, 0.5])
test = rows(rng, 60, WIDTH, specials=False)
test_holes = rows(rng, 60, WIDTH, missing=0.15, specials=False)
for x in (clean, holes, test, test_holes):
    x[:, 2] = np.minimum(x[:, 2], 50)
INITIAL = [("x", FloatTensorType([None, WIDTH]))]


def convert(estimator, initial=INITIAL, options=None):
    return to_onnx(estimator, initial_types=initial, target_opset={"": 18, "ai.onnx.ml": 3}, options=options)


def classifier(name, estimator, x=clean, t=label, probe=test, **extra):
    estimator.fit(x, t)
    model = convert(estimator, options={id(estimator): {"zipmap": False}})
    save("sklearn", name, model, input=probe, output=estimator.predict_proba(probe), **{k: f(estimator, model) for k, f in extra.items()})


def regressor(name, estimator, x=clean, t=y, probe=test, **extra):
    estimator.fit(x, t)
    model = convert(estimator)
    save("sklearn", name, model, input=probe, output=estimator.predict(probe).reshape(len(probe), -1),
         **{k: f(estimator, model) for k, f in extra.items()})


leaves = lambda e, m: e.apply(test).reshape(len(test), -1).astype(np.int16)


def sample_weights(e, m):
    members = getattr(e, "estimators_", [e])
    return np.concatenate([t.tree_.weighted_n_node_samples for t in np.ravel(members)])


covers = lambda e, m: sample_weights(e, m)
shap = lambda e, m: shap_of(m, sample_weights(e, m), test)

classifier("gradient-boosting", GradientBoostingClassifier(n_estimators=20, max_depth=3, random_state=1), leaves=leaves)
classifier("gradient-boosting-multiclass", GradientBoostingClassifier(n_estimators=6, max_depth=2, random_state=1), t=classes)
classifier("extra-trees-multiclass", ExtraTreesClassifier(n_estimators=6, max_depth=4, random_state=1), t=classes, leaves=leaves)
regressor("random-forest", RandomForestRegressor(n_estimators=10, max_depth=5, random_state=1), leaves=leaves, covers=covers, shap=shap)
regressor("decision-tree", DecisionTreeRegressor(max_depth=9, min_samples_leaf=4, random_state=1), leaves=leaves, covers=covers, shap=shap)
regressor("hist-gradient-boosting-missing", HistGradientBoostingRegressor(max_iter=15, max_leaf_nodes=12, random_state=1),
          x=holes, probe=test_holes)
classifier("scaler-logistic", make_pipeline(StandardScaler(), LogisticRegression()))
classifier("scaler-logistic-multiclass", make_pipeline(StandardScaler(), LogisticRegression()), t=classes)
regressor("imputer-minmax-ridge", make_pipeline(SimpleImputer(strategy="median"), MinMaxScaler(), Ridge()), x=holes, probe=test_holes)
regressor("pca-ridge", make_pipeline(StandardScaler(), PCA(4), Ridge()))
classifier("mlp-binary", make_pipeline(StandardScaler(), MLPClassifier(hidden_layer_sizes=(16, 8), max_iter=200, random_state=1)))
classifier("mlp-multiclass", make_pipeline(StandardScaler(), MLPClassifier(hidden_layer_sizes=(12,), activation="tanh", max_iter=200, random_state=1)), t=classes)
regressor("mlp-two-outputs", make_pipeline(StandardScaler(), MLPRegressor(hidden_layer_sizes=(12,), max_iter=200, random_state=1)), t=np.stack([y, y ** 2], 1))

# Columns of two types: a category as int64, numbers as float32. The row of the input file holds the graph's inputs side by side.
category = rng.integers(0, 6, 1500)
probe_category = rng.integers(0, 7, 60)  # 6 was never seen
mixed = np.column_stack([category, clean[:, :4]])
columns = ColumnTransformer([("category", OneHotEncoder(handle_unknown="ignore", sparse_output=False), [0]),
                             ("numbers", StandardScaler(), [1, 2, 3, 4])])
pipeline = make_pipeline(columns, LogisticRegression(max_iter=500)).fit(mixed, label)
model = convert(pipeline, [("category", Int64TensorType([None, 1])), ("numbers", FloatTensorType([None, 4]))],
                {id(pipeline): {"zipmap": False}})
probe = np.column_stack([probe_category, test[:, :4]]).astype(np.float32)
save("sklearn", "one-hot-two-inputs", model, input=probe, output=pipeline.predict_proba(probe))

forest = IsolationForest(n_estimators=8, max_samples=64, random_state=1).fit(clean)
model = to_onnx(forest, initial_types=INITIAL, target_opset={"": 15, "ai.onnx.ml": 3})
save("sklearn", "isolation-forest", model, input=test, output=forest.score_samples(test)[:, None] - forest.offset_)
