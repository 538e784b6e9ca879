"""A tiny Llama in JAX: exactly the graph llama.cpp runs for `general.architecture = llama`."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np


@dataclass(frozen=True)
class Shape:
    vocab: int = 2048
    width: int = 256
    layers: int = 5
    heads: int = 4
    kv_heads: int = 2
    ffn: int = 768
    context: int = 2048
    rope_base: float = 10000.0
    norm_eps: float = 1e-5

    @property
    def head_dim(self) -> int:
        return self.width // self.heads


def init(shape: Shape, seed: int) -> dict:
    """Weights by their GGUF names, each stored (out, in) as GGUF wants them."""
    rng = np.random.default_rng(seed)

    def dense(rows: int, columns: int, scale: float = 1.0) -> jnp.ndarray:
        return jnp.asarray(rng.normal(0, scale * columns**-0.5, (rows, columns)), jnp.float32)

    residual = (2 * shape.layers) ** -0.5  # keeps the sum over layers at unit size
    kv_width = shape.kv_heads * shape.head_dim
    # The output head is tied to the embedding, so the file carries the vocabulary once.
    weights = {
        "token_embd": jnp.asarray(rng.normal(0, 0.02, (shape.vocab, shape.width)), jnp.float32),
        "output_norm": jnp.ones(shape.width),
    }
    for n in range(shape.layers):
        weights |= {
            f"blk.{n}.attn_norm": jnp.ones(shape.width),
            f"blk.{n}.attn_q": dense(shape.width, shape.width),
            f"blk.{n}.attn_k": dense(kv_width, shape.width),
            f"blk.{n}.attn_v": dense(kv_width, shape.width),
            f"blk.{n}.attn_output": dense(shape.width, shape.width, residual),
            f"blk.{n}.ffn_norm": jnp.ones(shape.width),
            f"blk.{n}.ffn_gate": dense(shape.ffn, shape.width),
            f"blk.{n}.ffn_up": dense(shape.ffn, shape.width),
            f"blk.{n}.ffn_down": dense(shape.width, shape.ffn, residual),
        }
    return weights


def rms_norm(x, gain, eps):
    return x * jax.lax.rsqrt(jnp.mean(x * x, axis=-1, keepdims=True) + eps) * gain


def rotate(x, shape: Shape):
    """Rotary positions on neighbouring pairs (2i, 2i+1), the order llama.cpp uses for `llama`."""
    half = shape.head_dim // 2
    frequency = shape.rope_base ** (-jnp.arange(half) / half)
    angle = jnp.arange(x.shape[1])[:, None] * frequency[None, :]
    cos, sin = jnp.cos(angle)[None, :, None, :], jnp.sin(angle)[None, :, None, :]
    even, odd = x[..., 0::2], x[..., 1::2]
    return jnp.stack([even * cos - odd * sin, even * sin + odd * cos], axis=-1).reshape(x.shape)


def hidden_states(weights: dict, tokens, segments, shape: Shape):
    """Last hidden states. A token sees only earlier tokens of its own segment (conversation)."""
    batch, length = tokens.shape
    causal = jnp.tril(jnp.ones((length, length), bool))
    visible = (segments[:, :, None] == segments[:, None, :]) & causal[None]
    bias = jnp.where(visible, 0.0, -1e9)[:, None, None]
    group = shape.heads // shape.kv_heads

    x = weights["token_embd"][tokens]
    for n in range(shape.layers):
        layer = lambda name: weights[f"blk.{n}.{name}"]  # noqa: E731
        h = rms_norm(x, layer("attn_norm"), shape.norm_eps)
        q = rotate((h @ layer("attn_q").T).reshape(batch, length, shape.heads, -1), shape)
        k = rotate((h @ layer("attn_k").T).reshape(batch, length, shape.kv_heads, -1), shape)
        v = (h @ layer("attn_v").T).reshape(batch, length, shape.kv_heads, -1)
        q = q.reshape(batch, length, shape.kv_heads, group, shape.head_dim)
        scores = jnp.einsum("bqkgd,bskd->bkgqs", q, k) * shape.head_dim**-0.5
        mixed = jnp.einsum("bkgqs,bskd->bqkgd", jax.nn.softmax(scores + bias, axis=-1), v)
        x = x + mixed.reshape(batch, length, shape.width) @ layer("attn_output").T
        h = rms_norm(x, layer("ffn_norm"), shape.norm_eps)
        x = x + (jax.nn.silu(h @ layer("ffn_gate").T) * (h @ layer("ffn_up").T)) @ layer("ffn_down").T
    return rms_norm(x, weights["output_norm"], shape.norm_eps)


def logits(weights: dict, tokens, segments, shape: Shape):
    return hidden_states(weights, tokens, segments, shape) @ weights["token_embd"].T


def loss(weights: dict, tokens, segments, targets, shape: Shape):
    """Mean cross-entropy over the targets that count (-1 marks those that do not)."""
    scores = logits(weights, tokens, segments, shape)
    chosen = jnp.take_along_axis(scores, jnp.maximum(targets, 0)[..., None], axis=-1)[..., 0]
    counts = targets >= 0
    return jnp.sum((jax.nn.logsumexp(scores, axis=-1) - chosen) * counts) / jnp.maximum(counts.sum(), 1)
