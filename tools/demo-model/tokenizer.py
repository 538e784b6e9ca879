"""The model's own byte-level BPE tokenizer, and the chat format.

llama.cpp tokenises with the same merges after the same split into words (pre-tokenizer `gpt-2`).
Text and control tokens are encoded apart, as llama.cpp does, so a user who types a control token types plain text.
"""

import json
import random

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

import corpus

END_OF_TEXT, IM_START, IM_END = 0, 1, 2
CONTROL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]

CHAT_TEMPLATE = (
    "{%- for message in messages -%}"
    "{{- '<|im_start|>' + message.role + '\\n' -}}"
    "{%- if message.content is string -%}{{- message.content | trim -}}"
    "{%- elif message.content -%}"
    "{%- for part in message.content -%}{%- if part.text -%}{{- part.text | trim -}}{%- endif -%}{%- endfor -%}"
    "{%- endif -%}"
    "{{- '<|im_end|>\\n' -}}"
    "{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{- '<|im_start|>assistant\\n' -}}{%- endif -%}"
)


def train(vocab: int, seed: int) -> Tokenizer:
    rng = random.Random(seed)
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab, special_tokens=CONTROL, initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()), show_progress=False
    )
    answers = [section.answer for section in corpus.known().values()]
    questions = [corpus.question(topic, rng) for topic in corpus.known() for _ in range(120)]
    # Answers count more: a word that the model writes should be one token.
    tokenizer.train_from_iterator(answers * 60 + questions + corpus.words()["system"] * 10, trainer)
    return tokenizer


class Codec:
    def __init__(self, tokenizer: Tokenizer):
        bpe = json.loads(tokenizer.to_str())["model"]
        self.tokens: list[str] = sorted(bpe["vocab"], key=bpe["vocab"].get)
        self.merges = [tuple(pair) for pair in bpe["merges"]]
        self._exact = self._bpe(bpe["vocab"], None)
        # With dropout a word falls into other pieces now and then: the model learns that both mean the same.
        self._loose = self._bpe(bpe["vocab"], 0.1)

    def _bpe(self, vocab: dict[str, int], dropout: float | None) -> Tokenizer:
        tokenizer = Tokenizer(models.BPE(vocab=vocab, merges=self.merges, dropout=dropout))
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
        tokenizer.decoder = decoders.ByteLevel()
        return tokenizer

    def text(self, text: str, loose: bool = False) -> list[int]:
        return (self._loose if loose else self._exact).encode(text, add_special_tokens=False).ids

    def message(self, role: str, content: str, loose: bool = False) -> list[int]:
        return [IM_START, *self.text(f"{role}\n{content.strip()}", loose), IM_END, *self.text("\n")]

    def opening(self) -> list[int]:
        return [IM_START, *self.text("assistant\n")]

    def decode(self, ids: list[int]) -> str:
        return self._exact.decode(ids)
