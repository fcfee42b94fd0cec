"""The peers' side of bench_agreement.py; runs in .venv-peers only. Nothing of Plumbline is imported, and it imports none."""

import numpy as np

from benchmarks import agreement_data as data
from benchmarks.agreement_data import CATEGORIES, EACH, ITEMS, MODELS, RATERS, Job

FEW = 2_000  # items of a slider, of which krippendorff makes a table of items × 101 × 101
REPLICATES, ROUNDS = 50, 30


def table(rows, items):
    """Raters × items, as krippendorff reads them; NaN where somebody did not judge."""
    item, rater, value = rows
    matrix = np.full((RATERS, items), np.nan)
    matrix[rater, item] = value
    return matrix


def counts(rows, items, categories):
    item, _, value = rows
    return np.bincount(item * categories + value, minlength=items * categories).reshape(items, categories)


def alpha(level: str) -> Job:
    def job():
        import krippendorff

        matrix = table(data.labels(), ITEMS)
        return lambda: np.array([krippendorff.alpha(matrix, level_of_measurement=level)])

    return job


def alpha_resampled():
    """Their quickest way: counts, resampled as many times by hand."""
    import krippendorff

    matrix = counts(data.labels(), ITEMS, CATEGORIES)

    def timed():
        luck, found = np.random.default_rng(0), []
        for _ in range(REPLICATES):
            again = matrix[luck.integers(ITEMS, size=ITEMS)]
            found.append(krippendorff.alpha(value_counts=again, level_of_measurement="ordinal"))
        value = krippendorff.alpha(value_counts=matrix, level_of_measurement="ordinal")
        return np.array([value])

    return timed


def alpha_slider():
    import krippendorff

    matrix = table(data.slider(FEW), FEW)
    return lambda: np.array([krippendorff.alpha(matrix, level_of_measurement="interval")])


def fleiss():
    from statsmodels.stats.inter_rater import aggregate_raters, fleiss_kappa

    values = data.labels()[2].reshape(ITEMS, EACH)

    def timed():
        return np.array([fleiss_kappa(aggregate_raters(values, n_cat=CATEGORIES)[0], method="fleiss")])

    return timed


def cohen():
    from statsmodels.stats.inter_rater import cohens_kappa

    first, second = data.labels()[2].reshape(ITEMS, EACH)[:, :2].T

    def timed():
        table = np.bincount(first * CATEGORIES + second, minlength=CATEGORIES**2).reshape(CATEGORIES, CATEGORIES)
        found = cohens_kappa(table, wt="fc")  # quadratic
        return np.array([found.kappa])

    return timed


def crowdkit(method: str, **settings) -> Job:
    """Posteriors of the first thousand items, or the values where there are no posteriors."""

    def job():
        import pandas
        from crowdkit import aggregation

        item, rater, value = data.labels()
        frame = pandas.DataFrame({"task": item, "worker": rater, "label": value})

        def timed():
            model = getattr(aggregation, method)(**settings).fit(frame)
            return model.probas_.sort_index()[list(range(CATEGORIES))].to_numpy()[:1000]

        return timed

    return job


def wins():
    winner, loser = data.comparisons()
    return np.bincount(winner * MODELS + loser, minlength=MODELS**2).reshape(MODELS, MODELS).astype(np.float64)


def centred(log_worth):
    return np.asarray(log_worth) - np.mean(log_worth)


def choix_dense():
    import choix

    winner, loser = data.comparisons()

    def timed():
        matrix = np.bincount(winner * MODELS + loser, minlength=MODELS**2).reshape(MODELS, MODELS).astype(np.float64)
        return centred(choix.ilsr_pairwise_dense(matrix))

    return timed


def choix_list():
    import choix

    rows = list(zip(*(column.tolist() for column in data.comparisons()), strict=True))
    return lambda: centred(choix.ilsr_pairwise(MODELS, rows))


def evalica_bt():
    import evalica

    winner, loser = (column.tolist() for column in data.comparisons())
    outcomes = [evalica.Winner.X] * len(winner)

    def timed():
        scores = evalica.bradley_terry(winner, loser, outcomes, tolerance=1e-10, limit=10_000).scores
        return centred(np.log(scores.sort_index().to_numpy()))

    return timed


def crowdkit_bt():
    import pandas
    from crowdkit.aggregation import BradleyTerry

    winner, loser = data.comparisons()
    frame = pandas.DataFrame({"worker": 0, "left": winner, "right": loser, "label": winner})

    def timed():
        scores = BradleyTerry(n_iter=1000, tol=0).fit_predict(frame)
        return centred(np.log(scores.sort_index().to_numpy()))

    return timed


JOBS = {
    "krippendorff nominal": (alpha("nominal"), data.labels),
    "krippendorff ordinal": (alpha("ordinal"), data.labels),
    "krippendorff interval": (alpha("interval"), data.labels),
    "krippendorff ordinal resampled": (alpha_resampled, data.labels),
    "krippendorff slider": (alpha_slider, lambda: data.slider(FEW)),
    "statsmodels fleiss": (fleiss, data.labels),
    "statsmodels cohen": (cohen, data.labels),
    "crowd-kit majority": (crowdkit("MajorityVote"), data.labels),
    "crowd-kit dawid-skene": (crowdkit("DawidSkene"), data.labels),
    "crowd-kit dawid-skene rounds": (crowdkit("DawidSkene", n_iter=ROUNDS, tol=float("-inf")), data.labels),
    "crowd-kit one coin": (crowdkit("OneCoinDawidSkene"), data.labels),
    "choix dense": (choix_dense, data.comparisons),
    "choix list": (choix_list, data.comparisons),
    "evalica": (evalica_bt, data.comparisons),
    "crowd-kit bradley-terry": (crowdkit_bt, data.comparisons),
}


if __name__ == "__main__":
    data.main(JOBS)
