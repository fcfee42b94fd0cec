"""Plumbline's side of bench_agreement.py: the jobs on the data of agreement_data.py."""

import numpy as np

from annotate import consensus, measures
from annotate.measures import Labels
from benchmarks import agreement_data as data
from benchmarks.agreement_data import CATEGORIES, EACH, ITEMS, MODELS, RATERS, Job

FEW, REPLICATES, ROUNDS = 2_000, 50, 30  # as in agreement_peers.py


def labels_of(rows, items: int = ITEMS, categories: int = CATEGORIES, prompt: int = 1) -> Labels:
    """The rows as labels; so many items in a row share a prompt."""
    item, rater, value = rows
    groups = np.arange(items) // prompt
    return Labels(item, rater, value, groups, categories, list(range(items)), list(range(RATERS)))


def fresh(labels: Labels) -> Labels:
    """Without what was counted before, so that each run counts again."""
    return labels.only(np.ones(len(labels.unit), dtype=bool))


def counted(measure, prompt: int = 1, **settings) -> Job:
    """A measure of counts with its interval; counting is part of what is timed."""

    def job():
        labels = labels_of(data.labels(), prompt=prompt)

        def timed():
            found = measure(fresh(labels).table, labels.groups, **settings)
            assert found.low is not None and found.low < found.value < found.high
            return np.array([found.value])

        return timed

    return job


def slider(items: int) -> Job:
    def job():
        labels = labels_of(data.slider(items), items, data.SLIDER)

        def timed():
            found = measures.krippendorff_alpha(fresh(labels).table, labels.groups, level="interval")
            assert found.low < found.value < found.high
            return np.array([found.value])

        return timed

    return job


def cohen():
    first, second = (column.tolist() for column in data.labels()[2].reshape(ITEMS, EACH)[:, :2].T)
    return lambda: np.array([measures.cohen_kappa(first, second, range(CATEGORIES), weights="quadratic").value])


def between_raters():
    labels = labels_of(data.labels())

    def timed():
        found = measures.between_raters(labels)
        return np.array([found.agreed.sum() / found.shared.sum()])

    return timed


def consensus_by(method, **settings) -> Job:
    """Posteriors of the first thousand items."""

    def job():
        labels = labels_of(data.labels())
        return lambda: method(labels, **settings).posterior[:1000]

    return job


def comparisons(by_prompt: bool) -> Job:
    """From a million comparisons to strengths with intervals; with four comparisons to a prompt where asked."""

    def job():
        winner, loser = data.comparisons()
        n = len(winner)
        rows = consensus.Comparisons(
            winner, loser, np.ones(n), np.zeros(n, dtype=np.int64), np.arange(n) // 4, list(range(MODELS)), [0]
        )

        def timed():
            found = consensus.bradley_terry(rows.wins)
            found = consensus.clustered(found, rows) if by_prompt else found
            low, high = found.interval()
            assert (low < found.log_worth).all() and (found.log_worth < high).all()
            return found.log_worth

        return timed

    return job


def alpha(level: str, **settings) -> tuple:
    return counted(measures.krippendorff_alpha, level=level, **settings), data.labels


JOBS = {
    "alpha nominal": alpha("nominal"),
    "alpha ordinal": alpha("ordinal"),
    "alpha interval": alpha("interval"),
    "alpha ordinal few": alpha("ordinal", replicates=REPLICATES),
    "alpha ordinal prompts": alpha("ordinal", prompt=4),
    "fleiss": (counted(measures.fleiss_kappa), data.labels),
    "cohen": (cohen, data.labels),
    "ac2": (counted(measures.gwet_ac, weights="quadratic"), data.labels),
    "between raters": (between_raters, data.labels),
    "slider": (slider(ITEMS), data.slider),
    "slider few": (slider(FEW), lambda: data.slider(FEW)),
    "majority": (consensus_by(consensus.majority), data.labels),
    "dawid-skene": (consensus_by(consensus.dawid_skene), data.labels),
    "dawid-skene rounds": (
        # 30 rounds, whatever they gain
        consensus_by(consensus.dawid_skene, smoothing=0, tolerance=float("-inf"), iterations=ROUNDS),
        data.labels,
    ),
    "one coin": (consensus_by(consensus.one_coin), data.labels),
    "bradley-terry": (comparisons(False), data.comparisons),
    "bradley-terry prompts": (comparisons(True), data.comparisons),
}


if __name__ == "__main__":
    data.main(JOBS)
