"""How far people agree. Every figure comes with what it rests on, its interval, and why where there is none.

resampling  a figure, and its interval by resampling prompts
tally       counts of values read for a measure; the weights of partial agreement
counts      raw agreement, Fleiss' kappa, Gwet's AC1 and AC2, Brennan and Prediger's coefficient
alpha       Krippendorff's alpha, nominal to ratio
labels      who gave which unit which category; rankings as labels of pairs
raters      two people (Cohen's kappa, Scott's pi), each two of many, each with the others
matrices    numbers as a matrix, complete and gathered by prompt
scales      intraclass correlations
rankings    Kendall's W, tau-b, tau-c, Spearman's rho
tables      a table of values as a file
catalogue   all measures that apply to such a table

A measure that is 0/0 has no value and says why: it is never reported as NaN, 0 or 1.
"""

from annotate.measures.alpha import krippendorff_alpha
from annotate.measures.counts import (
    ONE_CATEGORY,
    UNEQUAL,
    brennan_prediger,
    fleiss_kappa,
    gwet_ac,
    pabak,
    pairwise_agreement,
    unanimous,
)
from annotate.measures.labels import TIE, Labels, labels_of, pair_labels
from annotate.measures.matrices import ONE_RATER, TOO_FEW
from annotate.measures.rankings import ALL_TIED, CONSTANT, TOO_MANY, Concordance, kendall_w, spearman, tau_b, tau_c
from annotate.measures.raters import (
    NOBODY_ELSE,
    Between,
    RaterPairs,
    agreement_with_others,
    between_raters,
    cohen_kappa,
    rater_pairs,
    scott_pi,
)
from annotate.measures.resampling import (
    ALL_EQUAL,
    NO_UNIT,
    OFTEN_UNDEFINED,
    ONE_GROUP,
    Floats,
    Ints,
    Measure,
)
from annotate.measures.scales import NO_SPREAD, icc

CODE_VERSION = "measures-2"  # change it whenever a figure could change: stored snapshots name it

__all__ = [
    "ALL_EQUAL",
    "ALL_TIED",
    "CODE_VERSION",
    "CONSTANT",
    "NOBODY_ELSE",
    "NO_SPREAD",
    "NO_UNIT",
    "OFTEN_UNDEFINED",
    "ONE_CATEGORY",
    "ONE_GROUP",
    "ONE_RATER",
    "TIE",
    "TOO_FEW",
    "TOO_MANY",
    "UNEQUAL",
    "Between",
    "Concordance",
    "Floats",
    "Ints",
    "Labels",
    "Measure",
    "RaterPairs",
    "agreement_with_others",
    "between_raters",
    "brennan_prediger",
    "cohen_kappa",
    "fleiss_kappa",
    "gwet_ac",
    "icc",
    "kendall_w",
    "krippendorff_alpha",
    "labels_of",
    "pabak",
    "pair_labels",
    "pairwise_agreement",
    "rater_pairs",
    "scott_pi",
    "spearman",
    "tau_b",
    "tau_c",
    "unanimous",
]
