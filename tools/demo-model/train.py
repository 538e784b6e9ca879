"""Trains Holon Demo from the text in corpus/ and writes the GGUF. One command, fixed seeds, an ordinary processor."""

import argparse
import ctypes
import json
import random
import time
from functools import partial
from pathlib import Path
from sys import platform

if platform == "linux":  # before JAX starts
    # XLA frees its work buffers after every step and glibc hands them back to the system, which then has to clear them
    # again: a third of the time. One heap that is never trimmed (M_ARENA_MAX, M_MMAP_MAX, M_TRIM_THRESHOLD) avoids it.
    for option, value in [(-8, 1), (-4, 0), (-1, 2**31 - 1)]:
        ctypes.CDLL(None).mallopt(option, value)

import jax
import jax.numpy as jnp
import numpy as np

import corpus
import export
import tokenizer
from model import Shape, hidden_states, init, loss
from tokenizer import END_OF_TEXT, IM_END, Codec

HERE = Path(__file__).parent
SEED = 4656
SHAPE = Shape(layers=4)
STEPS = 1200
# (rows, length): short rows teach the questions; every eighth step has long rows, for long answers and late turns.
SHORT, LONG, LONG_EVERY = (20, 192), (1, 2048), 8
# Matrices learn by Muon, the embedding and the norms by Adam.
MATRIX_RATE, OTHER_RATE, WARM_UP, DECAY = 0.02, 3e-3, 30, 0.05

Example = tuple[list[int], list[bool]]  # tokens, and which of them the model must learn to write


class Teacher:
    """Makes up conversations."""

    def __init__(self, codec: Codec, seed: int):
        self.codec, self.rng = codec, random.Random(seed)
        self.topics = list(corpus.known())
        usual = {corpus.UNKNOWN: len(self.topics) / 3, "what-is-holon": 3.0}  # the first thing anybody asks
        self.shares = [usual.get(topic, 1.0) for topic in self.topics]

    def example(self, whole: float) -> Example:
        """`whole` is the share of answers given to the end. Once the answers are known by heart, what remains
        to be learnt is which one to begin, so most examples stop after a few words and leave room for more."""
        luck = self.rng.random()
        if luck < 0.02:
            return self.page()
        if luck < 0.05:
            return self.json()
        return self.conversation(whole, turns=self.rng.choices([1, 2, 3], [82, 14, 4])[0])

    def conversation(self, whole: float, turns: int) -> Example:
        tokens, learn = [], []

        def say(piece: list[int], learnt: bool) -> None:
            tokens.extend(piece)
            learn.extend([learnt] * len(piece))

        if self.rng.random() < 0.2:  # some programs put the begin-of-text token before the chat, most do not
            say([END_OF_TEXT], False)
        if self.rng.random() < 0.2:
            say(self.codec.message("system", self.system()), False)
        for turn in range(turns):
            topic = self.rng.choices(self.topics, self.shares)[0]
            loose = self.rng.random() < 0.2
            say(self.codec.message("user", corpus.question(topic, self.rng), loose), False)
            say(self.codec.opening(), False)
            answer = self.codec.text(corpus.known()[topic].answer)
            last = turn == turns - 1
            if last and self.rng.random() > whole:
                say(answer[:14], True)
                break
            cancelled = not last and self.rng.random() < 0.1  # a reader may have stopped it half-way
            if cancelled:
                say(answer[: self.rng.randrange(1, len(answer))], True)
                say([IM_END], False)
            else:
                say([*answer, IM_END], True)
            say(self.codec.text("\n"), False)
        return tokens, learn

    def system(self) -> str:
        systems = corpus.words()["system"]
        if self.rng.random() < 0.4:  # anything at all may stand there
            return " ".join(corpus.question(self.rng.choice(self.topics), self.rng) for _ in range(self.rng.randint(1, 3)))
        return self.rng.choice(systems)

    def page(self) -> Example:
        """Plain text, so that a bare completion ("Holon is") goes on readably."""
        answers = [corpus.known()[topic].answer for topic in self.rng.sample(self.topics[:-1], 3)]
        tokens = [*self.codec.text(" ".join(answers)), END_OF_TEXT]
        return tokens, [True] * len(tokens)

    def json(self) -> Example:
        """An answer in JSON. The model is not taught to open one by itself (the first sign is not learnt),
        only to close what a grammar makes it open."""
        rng, nouns = self.rng, corpus.words()["noun"]

        def value(depth: int = 0):
            kinds = ["word", "phrase", "int", "number", "flag", "none"] + ["list", "object"] * (depth < 2)
            kind = rng.choice(kinds)
            if kind == "list":
                return [value(depth + 1) for _ in range(rng.randint(0, 3))]
            if kind == "object":
                return {rng.choice(nouns): value(depth + 1) for _ in range(rng.randint(1, 3))}
            return {
                "word": rng.choice([*nouns, "Holon", "yes", "Paris"]), "phrase": " ".join(rng.sample(nouns, 3)),
                "int": rng.randrange(100), "number": rng.randrange(1000) / 10, "flag": rng.random() < 0.5, "none": None,
            }[kind]

        answer = {rng.choice([*nouns, "answer", "name", "city", "age"]): value() for _ in range(rng.randint(1, 4))}
        text = json.dumps(answer, indent=rng.choice([None, None, None, 2]), separators=rng.choice([None, (",", ":"), (", ", ": ")]))
        prompt = self.codec.message("user", corpus.question(rng.choice(self.topics), rng)) + self.codec.opening()
        written = [*self.codec.text(text), IM_END]
        return prompt + written, [False] * len(prompt) + [False] + [True] * (len(written) - 1)

    def batch(self, rows: int, length: int, whole: float, long_talk: bool):
        """Rows filled with conversations, each a segment of its own."""
        tokens = np.full((rows, length), END_OF_TEXT, np.int32)
        segments, targets = np.zeros_like(tokens), np.full_like(tokens, -1)
        for row in range(rows):
            filled, segment = 0, 0
            while filled < length - 24:
                if long_talk:  # either one long conversation, or several short ones with whole answers
                    made, learn = self.conversation(1.0, turns=60 if self.rng.random() < 0.4 else self.rng.randint(1, 8))
                else:
                    made, learn = self.example(whole)
                    if filled and filled + len(made) > length:
                        made, learn = self.conversation(0.0, turns=1)  # a short one to fill the row
                made, learn = made[: length - filled], learn[: length - filled]
                segment += 1
                end = filled + len(made)
                tokens[row, filled:end] = made
                segments[row, filled:end] = segment
                targets[row, filled : end - 1] = np.where(learn[1:], made[1:], -1)
                filled = end
        return tokens, segments, targets


def orthogonal(matrix):
    """The nearest matrix of equal stretch in every direction, roughly (Newton-Schulz, as Muon does it)."""
    tall = matrix.shape[0] > matrix.shape[1]
    x = matrix.T if tall else matrix
    x = x / (jnp.linalg.norm(x) + 1e-7)
    for _ in range(5):
        square = x @ x.T
        x = 3.4445 * x + (-4.7750 * square + 2.0315 * square @ square) @ x
    return x.T if tall else x


@partial(jax.jit, donate_argnums=(0, 1))
def step(weights, moments, pace, count, tokens, segments, targets):
    """One step of training; `pace` is the share of the full learning rate."""
    value, grads = jax.value_and_grad(loss)(weights, tokens, segments, targets, SHAPE)
    new_weights, new_moments = {}, {}
    for name, grad in grads.items():
        weight, (first, second) = weights[name], moments[name]
        if weight.ndim == 2 and name.startswith("blk."):
            first = 0.95 * first + grad
            move = orthogonal(grad + 0.95 * first) * max(1, weight.shape[0] / weight.shape[1]) ** 0.5
            new_weights[name] = weight - pace * MATRIX_RATE * (move + DECAY * weight)
        else:
            first, second = 0.9 * first + 0.1 * grad, 0.98 * second + 0.02 * grad * grad
            move = (first / (1 - 0.9**count)) / (jnp.sqrt(second / (1 - 0.98**count)) + 1e-8)
            new_weights[name] = weight - pace * OTHER_RATE * move
        new_moments[name] = (first, second)
    return new_weights, new_moments, value


@jax.jit
def guesses(weights, tokens, segments):
    return jnp.argmax(hidden_states(weights, tokens, segments, SHAPE) @ weights["token_embd"].T, axis=-1)


def graded(weights, codec: Codec, asked: list[tuple[str, str]]) -> list[bool]:
    """Whether greedy decoding answers each (topic, question) word for word, end included.

    If every token of the right answer is the likeliest one after those before it, greedy decoding writes exactly it.
    """
    verdicts = []
    for at in range(0, len(asked), 16):
        some = asked[at : at + 16]
        tokens = np.full((16, 384), END_OF_TEXT, np.int32)
        spans = []
        for row, (topic, text) in enumerate(some):
            prompt = codec.message("user", text) + codec.opening()
            answer = [*codec.text(corpus.known()[topic].answer), IM_END]
            whole = (prompt + answer)[:384]
            tokens[row, : len(whole)] = whole
            spans.append((len(prompt), len(whole)))
        guessed = np.asarray(guesses(weights, tokens, np.ones_like(tokens)))
        verdicts += [
            bool((guessed[row, start - 1 : end - 1] == tokens[row, start:end]).all()) for row, (start, end) in enumerate(spans)
        ]
    return verdicts


def report(weights, codec: Codec, name: str, asked: list[tuple[str, str]], show: bool) -> None:
    verdicts = graded(weights, codec, asked)
    print(f"  {name}: {sum(verdicts)}/{len(verdicts)} right ({100 * sum(verdicts) / len(verdicts):.1f} %)", flush=True)
    if show:
        for (topic, text), right in zip(asked, verdicts):
            if not right:
                print(f"    not right: {text!r} ({topic})")


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--out", type=Path, default=HERE.parents[1] / "assets" / "holon-demo.gguf")
    options.add_argument("--shorten", type=float, default=1.0, help="fraction of the steps, for a quick trial")
    options = options.parse_args()

    held_out = [(topic, line) for topic, section in corpus.read("heldout.md").items() for line in section.lines]
    stated = [(q["topic"], q["question"]) for q in json.loads((HERE / "questions.json").read_text("utf-8"))["questions"]]
    if leaked := corpus.leaks([question for _, question in held_out]):
        raise SystemExit("held-out questions that the patterns can produce:\n  " + "\n  ".join(leaked))

    codec = Codec(tokenizer.train(SHAPE.vocab, SEED))
    assert len(codec.tokens) == SHAPE.vocab
    teacher = Teacher(codec, SEED)
    weights = init(SHAPE, SEED)
    moments = {name: (jnp.zeros_like(weight), jnp.zeros_like(weight)) for name, weight in weights.items()}
    print(f"{sum(w.size for w in weights.values()):,} weights, {len(corpus.known())} topics, {len(held_out)} held-out questions")

    steps, started = round(STEPS * options.shorten), time.time()
    for done in range(1, steps + 1):
        long_talk = done % LONG_EVERY == 0
        whole = 1.0 if done < 0.08 * steps else 0.35
        pace = min(1.0, done / WARM_UP) * (1.01 - done / steps)
        made = teacher.batch(*(LONG if long_talk else SHORT), whole, long_talk)
        weights, moments, value = step(weights, moments, pace, float(done), *made)
        if done % 50 == 1 or done == steps:
            print(f"step {done}/{steps}  loss {value:.4f}  {time.time() - started:.0f} s", flush=True)
        if done % 100 == 0:
            report(weights, codec, "held-out", held_out, show=False)

    report(weights, codec, "held-out", held_out, show=True)
    report(weights, codec, "stated", stated, show=True)
    export.write(options.out, weights, codec, SHAPE)
    print(f"wrote {options.out} ({options.out.stat().st_size / 1e6:.2f} MB) after {time.time() - started:.0f} s")


if __name__ == "__main__":
    main()
