"""Reads the training text in corpus/ and draws questions from its patterns."""

import json
import random
import re
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

HERE = Path(__file__).parent
CHOICE = re.compile(r"\{([^{}]*)\}")  # an innermost {a|b|c}
LIST = re.compile(r"\$([a-z]+)")
ABOUT = re.compile(r"@([a-z]+) (.*)")  # @thing x: x, asked about in one of the ways of the list
UNKNOWN = "unknown"
COMMON_FIRST = {"whatis", "hello", "thing", "command", "project"}  # lists that begin with what people really say


@dataclass
class Section:
    answer: str = ""
    lines: list[str] = field(default_factory=list)


@cache
def read(name: str) -> dict[str, Section]:
    """`## id` opens a section, `> ` is its answer, `- ` one pattern or question."""
    sections: dict[str, Section] = {}
    for line in (HERE / "corpus" / name).read_text("utf-8").splitlines():
        if line.startswith("## "):
            current = sections[line[3:].strip()] = Section()
        elif line.startswith("> "):
            current.answer = f"{current.answer}\n{line[2:]}".strip()
        elif line.startswith("- "):
            current.lines.append(line[2:])
    return sections


@cache
def known() -> dict[str, Section]:
    return read("answers.md") | read("unknown.md")


@cache
def words() -> dict[str, list[str]]:
    text = (HERE / "corpus" / "words.md").read_text("utf-8")
    parts = re.split(r"^## (\w+)\n", text, flags=re.M)[1:]
    # Blanks inside an entry count ("please " is an opener), line ends do not.
    return {name: body.strip("\n").split("|") for name, body in zip(parts[::2], parts[1::2])}


@cache
def stated() -> dict[str, list[str]]:
    """The questions of questions.json, by topic."""
    found: dict[str, list[str]] = {}
    for entry in json.loads((HERE / "questions.json").read_text("utf-8"))["questions"]:
        found.setdefault(entry["topic"], []).append(entry["question"])
    return found


def early(entries: list[str], rng: random.Random) -> str:
    """One of the entries, the first ones far more often: the plain wordings must be known for certain."""
    return entries[int(len(entries) * rng.random() ** 2)]


def draw(name: str, rng: random.Random) -> str:
    return early(words()[name], rng) if name in COMMON_FIRST else rng.choice(words()[name])


def expand(pattern: str, rng: random.Random) -> str:
    """One random wording of a pattern."""
    if about := ABOUT.fullmatch(pattern):
        pattern = draw(about[1], rng).replace("_", about[2])
    while CHOICE.search(pattern):
        pattern = CHOICE.sub(lambda m: rng.choice(m[1].split("|")), pattern)
    pattern = LIST.sub(lambda m: draw(m[1], rng), pattern)
    return re.sub(r"\s+", " ", pattern).strip()


def question(topic: str, rng: random.Random) -> str:
    """A fresh question on a topic, worn the way people's questions are."""
    if topic in stated() and rng.random() < 0.1:  # as it is stated, to the letter: that answer is promised
        return rng.choice(stated()[topic])
    if topic == UNKNOWN:
        text = noise(rng) if rng.random() < 0.12 else expand(rng.choice(known()[topic].lines), rng)
    else:
        text = expand(early(known()[topic].lines, rng), rng)
    if rng.random() < 0.18:
        text = rng.choice(words()["opener"]) + text
    if rng.random() < 0.08:
        text += rng.choice(words()["closer"])
    if rng.random() < 0.12:
        text = typo(text, rng)
    return punctuate(recase(text, rng), rng)


def recase(text: str, rng: random.Random) -> str:
    luck = rng.random()
    if luck < 0.45:
        text = text[:1].upper() + text[1:]
        return re.sub(r"\bi\b", "I", re.sub(r"\bholon\b(?! [a-z]+`)", "Holon", text)) if rng.random() < 0.7 else text
    return text.upper() if luck > 0.93 else text.title() if luck > 0.9 else text


def punctuate(text: str, rng: random.Random) -> str:
    return text + rng.choices(["?", "", ".", "!", "??", " ?", "...", "?!"], [50, 28, 10, 5, 2, 2, 2, 1])[0]


def typo(text: str, rng: random.Random) -> str:
    """One slip of the finger."""
    if len(text) < 4:
        return text
    at = rng.randrange(1, len(text) - 1)
    kind = rng.randrange(4)
    if kind == 0:
        return text[:at] + text[at + 1 :]
    if kind == 1:
        return text[:at] + text[at] + text[at:]
    if kind == 2:
        return text[:at] + text[at + 1] + text[at] + text[at + 2 :]
    return text[:at] + rng.choice("abcdefghijklmnopqrstuvwxyz") + text[at + 1 :]


def noise(rng: random.Random) -> str:
    """Made-up words, keyboard noise, digits, bytes: nothing of it means anything."""

    def syllables() -> str:
        return "".join(
            rng.choice("b c d f g h k l m n p r s t v w z bl st tr ch sh".split()) + rng.choice("aeiou")
            for _ in range(rng.randint(1, 4))
        )

    def keys() -> str:
        return "".join(rng.choice("asdfghjklqwertyuiopzxcvbnm") for _ in range(rng.randint(2, 12)))

    def digits() -> str:
        return str(rng.randrange(10 ** rng.randint(1, 10)))

    def strange() -> str:
        return "".join(chr(rng.choice([rng.randrange(33, 127), rng.randrange(161, 1500), rng.randrange(0x4E00, 0x4F00)]))
                       for _ in range(rng.randint(1, 8)))

    if rng.random() < 0.04:  # something over and over
        return (rng.choice([syllables, keys, digits, strange])()[:3] + rng.choice(["", " "])) * rng.randint(5, 60)
    text = " ".join(rng.choice([syllables, syllables, keys, keys, digits, strange])() for _ in range(rng.randint(1, 5)))
    return rng.choice(["what is ", "who is ", "where is the ", "how do i ", "tell me about "]) + text if rng.random() < 0.35 else text


def reader(pattern: str) -> str:
    """A pattern as a regular expression that matches all its wordings; blanks and signs match loosely."""
    if about := ABOUT.fullmatch(pattern):
        return either(entry.replace("_", about[2]) for entry in words()[about[1]])
    pattern = LIST.sub(lambda m: "{" + "|".join(words()[m[1]]) + "}", pattern)
    return re.sub(r"[^\w{}|]+", r"\\W*", pattern.lower()).replace("{", "(?:").replace("}", ")")


def either(patterns) -> str:
    return "(?:" + "|".join(map(reader, patterns)) + ")"


def leaks(held_out: list[str]) -> list[str]:
    """The held-out questions that the patterns could produce: there must be none."""
    before, after = either(words()["opener"]), either(words()["closer"])
    found = [re.compile(rf"\W*{before}?\W*{either(section.lines)}\W*{after}?\W*") for section in known().values()]
    return [question for question in held_out if any(pattern.fullmatch(question.lower()) for pattern in found)]
