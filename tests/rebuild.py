"""Make the rows of an export again from an export of the raw judgements alone. Standard library only, nothing of Plumbline.

    python rebuild.py FOLDER [--kind preference|unpaired] [--unit judgement|consensus] [--reliability equal|one_coin]

FOLDER holds an export of kind `judgement` with the same filters, salt and share. A JSON line for each row: its row_id, its
label (chosen and rejected, or the completion and whether it is acceptable), its weight and its soft label. docs/exports.md
says in words what is computed here. A reviewer's decision is no judgement, so it cannot be had from them.
"""

import argparse
import hashlib
import json
import math
from collections import defaultdict
from itertools import combinations
from pathlib import Path

FIRST, TIE, SECOND = 0, 1, 2
STRENGTH, TOLERANCE, ROUNDS = 10.0, 1e-9, 500  # of one-coin


def digest(*parts):
    return hashlib.sha256(":".join(parts).encode()).hexdigest()[:32]


def read(folder):
    for path in sorted(folder.glob("jsonl/*.jsonl")):
        with path.open(encoding="utf-8") as file:
            yield from map(json.loads, file)


def tier_of(side):
    return math.inf if side["tier"] is None else side["tier"]


def compared(sides):
    """(first, second, which is better) of every two outputs that an order compares; the line speaks where tiers do not."""
    for first, second in combinations([side for side in sides if side["known"]], 2):
        one, other = tier_of(first), tier_of(second)
        if one != other:
            yield first["output"], second["output"], FIRST if one < other else SECOND
        elif {first["acceptable"], second["acceptable"]} == {True, False}:
            yield first["output"], second["output"], FIRST if first["acceptable"] else SECOND
        elif one < math.inf:
            yield first["output"], second["output"], TIE


class Shares:
    """What a label weighs: 1 / (things of the prompt that got one), shared by those who gave the thing one."""

    def __init__(self, given):
        self.of = defaultdict(lambda: defaultdict(list))  # prompt, thing: the reliability of each who labelled it
        for prompt, thing, reliability in given:
            self.of[prompt][thing].append(reliability)

    def weight(self, prompt, thing, reliability):
        people = self.of[prompt][thing]
        share = reliability / sum(people) if sum(people) else 1 / len(people)
        return share / len(self.of[prompt])


# --- What people said of pairs, and one-coin over it --------------------------------------------------------------------


def pairs_of(rows):
    """{(task, first, second): {annotator: which is better}} by the tiers of people alone."""
    found = defaultdict(dict)
    for row in rows:
        sides = [{**side, "acceptable": None} for side in row["tiers"]]
        for first, second, better in compared(sides) if row["human"] else ():
            found[row["task"], first, second][row["annotator"]] = better
    return found


def one_coin(pairs):
    """The posterior of each pair, and how often each person is right: EM, first with one accuracy for all (see docs/exports.md)."""
    votes = {
        pair: [list(said.values()).count(outcome) for outcome in (FIRST, TIE, SECOND)] for pair, said in pairs.items()
    }
    given = defaultdict(int)
    for said in pairs.values():
        for annotator in said:
            given[annotator] += 1
    common = [sum(one[outcome] for one in votes.values()) + 1 for outcome in (FIRST, TIE, SECOND)]
    prior = [(one + other) / sum(common) / 2 for one, other in zip(common, reversed(common), strict=True)]
    posterior = {pair: [n / sum(counts) for n in counts] for pair, counts in votes.items()}
    labels = [(pair, annotator, outcome) for pair, said in pairs.items() for annotator, outcome in said.items()]

    def right():
        found = dict.fromkeys(given, 0.0)
        for pair, annotator, outcome in labels:
            found[annotator] += posterior[pair][outcome]
        return found

    def expect(accuracy):
        """The posteriors under these accuracies, and the log-likelihood."""
        scores = {pair: [math.log(share) for share in prior] for pair in pairs}
        likelihood = 0.0
        for pair, annotator, outcome in labels:
            wrong = math.log((1 - accuracy[annotator]) / 2)
            scores[pair][outcome] += math.log(accuracy[annotator]) - wrong
            likelihood += wrong
        for pair, found in scores.items():
            top = max(found)
            parts = [math.exp(score - top) for score in found]
            likelihood += top + math.log(sum(parts))
            posterior[pair] = [round(part / sum(parts), 12) for part in parts]
        return likelihood

    def fit(accuracy_of, pull):
        before = None
        for _ in range(ROUNDS):
            accuracy = accuracy_of()
            objective = expect(accuracy) + pull(accuracy)
            if before is not None and objective - before <= TOLERANCE * abs(objective):
                return
            before = objective

    def together():
        return (sum(right().values()) + 1) / (len(labels) + 2)

    def one_prior(accuracy):
        return math.log(next(iter(accuracy.values()))) + math.log1p(-next(iter(accuracy.values())))

    fit(lambda: dict.fromkeys(given, together()), one_prior)
    mean = together()

    def each():
        found = right()
        return {one: (found[one] + STRENGTH * mean) / (given[one] + STRENGTH) for one in given}

    def drawn(accuracy):
        return STRENGTH * sum(mean * math.log(one) + (1 - mean) * math.log1p(-one) for one in accuracy.values())

    fit(each, drawn)
    return posterior, {annotator: round(accuracy, 6) for annotator, accuracy in each().items()}


def tiers_of(outputs, posterior):
    """The order of a task's outputs: the most probable relation of each pair, the surest first, unless those before it
    say otherwise; then the longest chain above each output."""
    least, above = {(output, output) for output in outputs}, set()
    relations = []
    for number, ((first, second), (one, tie, other)) in enumerate(posterior.items()):
        said = FIRST if one > max(tie, other) + TOLERANCE else SECOND if other > max(one, tie) + TOLERANCE else TIE
        relations.append((-round((one, tie, other)[said], 9), number, first, second, said))

    def imply(one, other, strict):
        up = [output for output in outputs if (output, one) in least]
        down = [output for output in outputs if (other, output) in least]
        for high in up:
            for low in down:
                if strict or (high, one) in above or (other, low) in above:
                    above.add((high, low))
                least.add((high, low))

    for _strength, _number, first, second, said in sorted(relations):
        better, worse = (second, first) if said == SECOND else (first, second)
        if said == TIE and (better, worse) not in above and (worse, better) not in above:
            imply(better, worse, False)
            imply(worse, better, False)
        elif said != TIE and (worse, better) not in least:
            imply(better, worse, True)

    def chain(output):
        return max((1 + chain(high) for high, low in above if low == output), default=0)

    return {output: chain(output) for output in outputs}


# --- The rows ---------------------------------------------------------------------------------------------------------


def texts_of(rows):
    """Outputs that hold something, by prompt and sha256."""
    return {
        (row["prompt_id"], output["sha256"]): output["text"]
        for row in rows
        for output in row["outputs"]
        if output["text"].strip()
    }


def preferences(rows, reliability):
    """Each person's pairs, ties among them."""
    said = [
        (row["prompt_id"], one, other, better, row["annotation"], reliability.get(row["annotator"], 1.0))
        for row in rows
        for one, other, better in compared(row["tiers"])
    ]
    yield from weighed(said, lambda *pair: 0.5 if pair[-1] == TIE else 1.0, texts_of(rows))


def preferences_settled(rows):
    """What each task came to. A pair that people compared and the order leaves level keeps its share."""
    pairs = pairs_of(rows)
    posterior, _reliability = one_coin(pairs)
    prompts = {row["task"]: row["prompt_id"] for row in rows}
    place = {(row["task"], one["sha256"]): at for row in rows for at, one in enumerate(row["outputs"])}
    by_task = defaultdict(dict)
    for task, first, second in sorted(posterior, key=lambda pair: (pair[0], place[pair[:2]], place[pair[0], pair[2]])):
        by_task[task][first, second] = posterior[task, first, second]
    said, soft = [], {}
    for task, of in by_task.items():
        tiers = tiers_of(dict.fromkeys(output for pair in of for output in pair), of)
        for (first, second), shares in of.items():
            one, other = tiers[first], tiers[second]
            better = TIE if one == other else FIRST if one < other else SECOND
            said.append((prompts[task], first, second, better, task, 1.0))
            won, tie, lost = (round(share, 4) for share in shares)
            soft[first, second, task] = round((lost if better == SECOND else won) + tie / 2, 6)
    chance = lambda first, second, whose, better: 0.5 if better == TIE else soft[first, second, whose]  # noqa: E731
    yield from weighed(said, chance, texts_of(rows))


def weighed(said, soft_label, texts):
    shares = Shares((prompt, frozenset((one, other)), trust) for prompt, one, other, _better, _whose, trust in said)
    for prompt, first, second, better, whose, trust in said:
        chosen, rejected = (second, first) if better == SECOND else (first, second)
        weight = shares.weight(prompt, frozenset((first, second)), trust)
        if (prompt, chosen) in texts and (prompt, rejected) in texts and weight:
            yield {
                "row_id": f"{digest(prompt, *sorted((first, second)))}/{whose}",
                "chosen": texts[prompt, chosen],
                "rejected": texts[prompt, rejected],
                "tie": better == TIE,
                "weight": weight,
                "soft_label": soft_label(first, second, whose, better),
            }


def labels(rows, unit, reliability):
    """Which outputs are acceptable: by each person, or by a strict majority of the people of each task."""
    said = []
    if unit == "judgement":
        for row in rows:
            trust = reliability.get(row["annotator"], 1.0)
            for side in row["tiers"]:
                if side["acceptable"] is not None:
                    said.append((row["prompt_id"], side["output"], side["acceptable"], row["annotation"], trust))
    else:
        votes = defaultdict(list)
        for row in rows:
            for side in row["tiers"]:
                if row["human"] and side["acceptable"] is not None:
                    votes[row["prompt_id"], side["output"], row["task"]].append(side["acceptable"])
        for (prompt, output, task), one in votes.items():
            label = None if 2 * sum(one) == len(one) else 2 * sum(one) > len(one)
            said.append((prompt, output, label, task, 1.0))
    shares, texts = Shares((prompt, output, trust) for prompt, output, _label, _whose, trust in said), texts_of(rows)
    for prompt, output, label, whose, trust in said:
        weight = shares.weight(prompt, output, trust)
        if label is not None and (prompt, output) in texts and weight:
            yield {
                "row_id": f"{digest(prompt, output)}/{whose}",
                "completion": texts[prompt, output],
                "label": label,
                "weight": weight,
            }


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--kind", choices=["preference", "unpaired"], default="preference")
    parser.add_argument("--unit", choices=["judgement", "consensus"], default="judgement")
    parser.add_argument("--reliability", choices=["equal", "one_coin"], default="equal")
    asked = parser.parse_args()
    rows = list(read(asked.folder))
    reliability = one_coin(pairs_of(rows))[1] if asked.reliability == "one_coin" else {}
    if asked.kind == "unpaired":
        found = labels(rows, asked.unit, reliability)
    else:
        found = preferences_settled(rows) if asked.unit == "consensus" else preferences(rows, reliability)
    for row in found:
        print(json.dumps(row, ensure_ascii=False))


if __name__ == "__main__":
    main()
