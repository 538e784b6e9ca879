"""Writes the weights and the tokenizer as one GGUF file, Q8_0."""

from pathlib import Path

import gguf
import numpy as np

from model import Shape
from tokenizer import CHAT_TEMPLATE, CONTROL, END_OF_TEXT, IM_END, Codec

DESCRIPTION = (
    "A demonstration, not a useful model: it answers a few questions about Holon so that everything works without a download."
)


def write(path: Path, weights: dict, codec: Codec, shape: Shape) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    file = gguf.GGUFWriter(path, "llama")
    file.add_type(gguf.GGUFType.MODEL)
    file.add_name("Holon Demo")
    file.add_basename("holon-demo")
    file.add_organization("Holon")
    file.add_description(DESCRIPTION)
    file.add_license("apache-2.0")
    file.add_languages(["en"])
    file.add_tags(["demonstration", "text-generation"])

    file.add_context_length(shape.context)
    file.add_embedding_length(shape.width)
    file.add_block_count(shape.layers)
    file.add_feed_forward_length(shape.ffn)
    file.add_head_count(shape.heads)
    file.add_head_count_kv(shape.kv_heads)
    file.add_layer_norm_rms_eps(shape.norm_eps)
    file.add_rope_dimension_count(shape.head_dim)
    file.add_rope_freq_base(shape.rope_base)
    file.add_vocab_size(shape.vocab)
    file.add_file_type(gguf.LlamaFileType.MOSTLY_Q8_0)
    file.add_quantization_version(gguf.GGML_QUANT_VERSION)

    # A model this small wanders off as soon as an unlikely token is drawn. Engines follow these where a request is silent,
    # and the cut at half of the likeliest token holds even where a client asks for temperature 1.
    file.add_float32("general.sampling.temp", 0.1)
    file.add_float32("general.sampling.min_p", 0.5)

    file.add_tokenizer_model("gpt2")
    file.add_tokenizer_pre("gpt-2")
    file.add_token_list(codec.tokens)
    file.add_token_types([gguf.TokenType.CONTROL if token in CONTROL else gguf.TokenType.NORMAL for token in codec.tokens])
    file.add_token_merges([" ".join(pair) for pair in codec.merges])
    file.add_bos_token_id(END_OF_TEXT)
    file.add_eos_token_id(IM_END)
    file.add_eot_token_id(IM_END)
    file.add_pad_token_id(END_OF_TEXT)
    # The chat format opens with its own control token, so nothing is put before it.
    file.add_add_bos_token(False)
    file.add_chat_template(CHAT_TEMPLATE)

    for name, value in weights.items():
        array = np.asarray(value, np.float32)
        if array.ndim == 1:  # norms are few and sensitive: they stay F32
            file.add_tensor(f"{name}.weight", array)
        else:
            kind = gguf.GGMLQuantizationType.Q8_0
            file.add_tensor(f"{name}.weight", gguf.quants.quantize(array, kind), raw_dtype=kind)

    file.write_header_to_file()
    file.write_kv_data_to_file()
    file.write_tensors_to_file()
    file.close()
