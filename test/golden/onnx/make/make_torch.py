"""PyTorch models through torch.onnx.export, by both exporters. Outputs are PyTorch's own (float32, eager)."""
import io
import numpy as np
import onnx
import torch
from torch import nn
from common import rows, save

torch.manual_seed(5)
rng = np.random.default_rng(14)
ROWS = 24


def export(module, args, names, dynamo, dynamic=True):
    if dynamo:
        batch = torch.export.Dim("n", min=1, max=4096)
        program = torch.onnx.export(module, args, input_names=names, output_names=["score"], dynamo=True, verbose=False,
                                    dynamic_shapes=tuple({0: batch} for _ in args) if dynamic else None, opset_version=18)
        return program.model_proto
    buffer = io.BytesIO()
    torch.onnx.export(module, args, buffer, input_names=names, output_names=["score"], opset_version=17, dynamo=False,
                      dynamic_axes={name: {0: "n"} for name in [*names, "score"]} if dynamic else None)
    return onnx.load_from_string(buffer.getvalue())


def make(name, module, args, names, exporters=("script", "dynamo"), dynamic=True):
    module.eval()
    with torch.no_grad():
        output = module(*args).numpy()
    flat = np.concatenate([a.numpy().reshape(len(a), -1).astype(np.float32) for a in args], axis=1)
    for exporter in exporters:
        example = args if dynamic else tuple(a[:1] for a in args)
        try:
            model = export(module, example, names, exporter == "dynamo", dynamic)
        except Exception as error:
            print("FAILED", name, exporter, type(error).__name__, str(error)[:300])
            continue
        save("torch", f"{name}-{exporter}", model, input=flat, output=output.reshape(len(flat), -1).astype(np.float64))


class Dense(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.BatchNorm1d(30), nn.Linear(30, 32), nn.ReLU(), nn.Dropout(0.1), nn.Linear(32, 16),
                                    nn.GELU(), nn.Linear(16, 8), nn.LeakyReLU(0.1), nn.Linear(8, 1))
        self.layers[0].running_mean.uniform_(-1, 1)
        self.layers[0].running_var.uniform_(0.5, 2)

    def forward(self, x):
        return torch.sigmoid(self.layers(x))


class TwoTower(nn.Module):
    def __init__(self):
        super().__init__()
        self.users = nn.Embedding(40, 8)
        self.user = nn.Sequential(nn.Linear(8 + 5, 16), nn.SiLU(), nn.Linear(16, 8))
        self.item = nn.Sequential(nn.Linear(6, 16), nn.ELU(), nn.LayerNorm(16), nn.Linear(16, 8))

    def forward(self, user_id, user, item):
        u = nn.functional.normalize(self.user(torch.cat([self.users(user_id.squeeze(1)), user], dim=1)), dim=1)
        v = nn.functional.normalize(self.item(item), dim=1)
        return (u * v).sum(dim=1, keepdim=True) / 0.07


class Attention(nn.Module):
    """Item ids of a short session, 0 is padding: causal self-attention, then scores of the last position for all items."""

    def __init__(self, items=30, length=8, width=16, heads=2):
        super().__init__()
        self.heads = heads
        self.embedding = nn.Embedding(items, width, padding_idx=0)
        self.position = nn.Parameter(torch.randn(length, width) * 0.1)
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.feed = nn.Sequential(nn.Linear(width, 32), nn.GELU(), nn.Linear(32, width))
        self.register_buffer("causal", torch.triu(torch.full((length, length), float("-inf")), 1))

    def forward(self, ids):
        n, length = ids.shape
        x = self.embedding(ids) + self.position
        width = x.shape[-1]
        q, k, v = self.qkv(self.norm1(x)).split(width, dim=-1)
        shape = lambda t: t.reshape(-1, length, self.heads, width // self.heads).transpose(1, 2)
        scores = shape(q) @ shape(k).transpose(-1, -2) / (width // self.heads) ** 0.5 + self.causal
        attended = (torch.softmax(scores, dim=-1) @ shape(v)).transpose(1, 2).reshape(-1, length, width)
        x = x + self.out(attended)
        x = x + self.feed(self.norm2(x))
        return x[:, -1] @ self.embedding.weight.T


class Sdpa(nn.Module):
    """The same idea through scaled_dot_product_attention with a padding mask, mean-pooled."""

    def __init__(self, items=30, width=16):
        super().__init__()
        self.embedding = nn.Embedding(items, width)
        self.qkv = nn.Linear(width, 3 * width)
        self.head = nn.Linear(width, 3)

    def forward(self, ids):
        x = self.embedding(ids)
        q, k, v = self.qkv(x).chunk(3, dim=-1)
        mask = (ids > 0).unsqueeze(1)
        attended = nn.functional.scaled_dot_product_attention(q, k, v, attn_mask=mask | (ids == 0).all(1)[:, None, None])
        weight = (ids > 0).float().unsqueeze(-1)
        pooled = (attended * weight).sum(1) / weight.sum(1).clamp(min=1)
        return torch.log_softmax(self.head(pooled), dim=-1)


x = torch.from_numpy(rng.normal(size=(ROWS, 30)).astype(np.float32))
x[0] = 0
x[1] *= 100
make("dense", Dense(), (x,), ["x"])
make("dense-frozen-batch", nn.Sequential(nn.Linear(30, 8), nn.Tanh(), nn.Linear(8, 2), nn.Softmax(dim=1)), (x,), ["x"],
     exporters=("script",), dynamic=False)
users = torch.from_numpy(rng.integers(0, 40, (ROWS, 1)))
user, item = (torch.from_numpy(rng.normal(size=(ROWS, w)).astype(np.float32)) for w in (5, 6))
make("two-tower", TwoTower(), (users, user, item), ["user_id", "user", "item"])
ids = rng.integers(0, 30, (ROWS, 8))
ids[0] = 0
for row in range(1, ROWS):
    ids[row, : rng.integers(0, 8)] = 0
ids = torch.from_numpy(ids)
make("attention", Attention(), (ids,), ["ids"])
make("attention-sdpa", Sdpa(), (ids,), ["ids"], exporters=("script",))
