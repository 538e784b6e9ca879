"""Writes a tiny Llama with random weights and a tokenizer of bytes, as a model folder that mlx_lm reads.
Usage: tiny-mlx-model.py FOLDER [HIDDEN LAYERS HEADS FEED_FORWARD]"""
import json, sys
from pathlib import Path
import numpy as np
from safetensors.numpy import save_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

folder = Path(sys.argv[1])
folder.mkdir(parents=True, exist_ok=True)
hidden, layers, heads, ff = map(int, sys.argv[2:]) if len(sys.argv) > 2 else (64, 2, 4, 128)
alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
vocab = {"<s>": 0, "</s>": 1, **{letter: index + 2 for index, letter in enumerate(alphabet)}}
tokenizer = Tokenizer(models.BPE(vocab=vocab, merges=[]))
tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
tokenizer.decoder = decoders.ByteLevel()
tokenizer.add_special_tokens(["<s>", "</s>"])
tokenizer.save(str(folder / "tokenizer.json"))
template = "{% for m in messages %}{{ m['role'] }}: {{ m['content'] }}\n{% endfor %}assistant: "
(folder / "tokenizer_config.json").write_text(json.dumps({
    "tokenizer_class": "PreTrainedTokenizerFast", "bos_token": "<s>", "eos_token": "</s>", "chat_template": template}))
(folder / "config.json").write_text(json.dumps({
    "model_type": "llama", "architectures": ["LlamaForCausalLM"], "hidden_size": hidden, "num_hidden_layers": layers,
    "intermediate_size": ff, "num_attention_heads": heads, "num_key_value_heads": heads, "rms_norm_eps": 1e-5,
    "vocab_size": len(vocab), "rope_theta": 10000.0, "max_position_embeddings": 2048, "tie_word_embeddings": True,
    "eos_token_id": 1, "bos_token_id": 0}))
random = np.random.default_rng(7)
weight = lambda *shape: (random.standard_normal(shape) * 0.05).astype(np.float32)
tensors = {"model.embed_tokens.weight": weight(len(vocab), hidden), "model.norm.weight": np.ones(hidden, np.float32)}
# Greedily, as the server answers when nobody says, the end never comes: its logit is 0, and some other's is greater.
tensors["model.embed_tokens.weight"][vocab["</s>"]] = 0
for layer in range(layers):
    at = f"model.layers.{layer}."
    for name in ("q_proj", "k_proj", "v_proj", "o_proj"):
        tensors[f"{at}self_attn.{name}.weight"] = weight(hidden, hidden)
    tensors[at + "mlp.gate_proj.weight"] = weight(ff, hidden)
    tensors[at + "mlp.up_proj.weight"] = weight(ff, hidden)
    tensors[at + "mlp.down_proj.weight"] = weight(hidden, ff)
    tensors[at + "input_layernorm.weight"] = np.ones(hidden, np.float32)
    tensors[at + "post_attention_layernorm.weight"] = np.ones(hidden, np.float32)
save_file(tensors, str(folder / "model.safetensors"), metadata={"format": "pt"})
