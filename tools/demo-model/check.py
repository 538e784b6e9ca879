"""Counts how many answers of the demonstration model are right, word for word, end included.

Start a hub first (`holon up --no-open`), then: `python check.py [http://127.0.0.1:4656]`. Needs only Python.
"""

import json
import random
import sys
import urllib.request
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import corpus

HUB = (sys.argv[1:] or ["http://127.0.0.1:4656"])[0]
ODD = "Speak like a wizard who runs a bakery in Vienna. The user lives in Utrecht and likes short replies."
GREEDY = {"temperature": 0}
ANSWERS = {topic: section.answer for topic, section in corpus.known().items()}

Messages = list[dict[str, str]]
Question = tuple[str, str]  # topic, wording


def said(role: str, text: str) -> dict[str, str]:
    return {"role": role, "content": text}


def alone(question: str) -> Messages:
    return [said("user", question)]


def under(system: str) -> Callable[[str], Messages]:
    return lambda question: [said("system", system), *alone(question)]


def after(turns: int, stated: list[Question]) -> Callable[[str], Messages]:
    def build(question: str) -> Messages:
        rng = random.Random(question)
        earlier = [rng.choice(stated) for _ in range(turns)]
        history = [m for topic, past in earlier for m in (*alone(past), said("assistant", ANSWERS[topic]))]
        return history + alone(question)

    return build


def is_right(topic: str, messages: Messages, sampling: dict[str, float]) -> bool:
    body = {"model": "holon-demo", "max_tokens": 400, "messages": messages, **sampling}
    request = urllib.request.Request(
        f"{HUB}/v1/chat/completions", json.dumps(body).encode(), {"content-type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=120) as response:
        choice = json.load(response)["choices"][0]
    return choice["finish_reason"] == "stop" and choice["message"]["content"] == ANSWERS[topic]


def count(
    name: str, asked: list[Question], build: Callable[[str], Messages] = alone, sampling: dict[str, float] = GREEDY
) -> None:
    with ThreadPoolExecutor(4) as pool:
        right = sum(pool.map(lambda each: is_right(each[0], build(each[1]), sampling), asked))
    print(f"| {name} | {right} of {len(asked)} |", flush=True)


def main() -> None:
    stated = [(topic, question) for topic, questions in corpus.stated().items() for question in questions]
    held_out = [(topic, line) for topic, section in corpus.read("heldout.md").items() for line in section.lines]
    rng = random.Random(77)
    print("| questions | right |\n|---|---|")
    count("stated questions", stated)
    count("the same in lower case, without signs", [(t, q.lower().rstrip("?.!")) for t, q in stated])
    count("the same in CAPITALS", [(t, q.upper()) for t, q in stated])
    count("the same with a plain system message", stated, under("You are a helpful assistant."))
    count("the same with an odd system message", stated, under(ODD))
    slips = [(topic, corpus.typo(question, rng)) for topic, question in stated for _ in range(3)]
    count("the same with one random slip of the finger each, three times", slips)
    for turns in (1, 5, 15):
        count(f"the same after earlier turns: {turns}", stated, after(turns, stated))
    count("held-out questions", held_out)
    count("stated questions three times each, no settings sent", stated * 3, sampling={})
    for temperature in (0.7, 1.0):
        name = f"stated questions three times each, temperature {temperature}"
        count(name, stated * 3, sampling={"temperature": temperature})


main()
