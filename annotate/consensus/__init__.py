"""What several people's answers say together: labels, ratings, strengths and orders, and how sure each is.

Pure: numpy and scipy, no database. A unit on which the answers say nothing is never given a value, and what is
undefined says why.
"""

from annotate.consensus.comparisons import Comparisons, comparisons_of
from annotate.consensus.crowd import CrowdStrengths, crowd_bradley_terry
from annotate.consensus.labels import LabelConsensus, dawid_skene, majority, one_coin
from annotate.consensus.orders import Order, RankedPairs, order_of, orders_of, ranked_pairs
from annotate.consensus.preferences import Strengths, bradley_terry, clustered, davidson, plackett_luce
from annotate.consensus.ratings import RatingConsensus, adjusted

CODE_VERSION = "consensus-1"  # change it whenever a value could change: what is stored names it

__all__ = [
    "CODE_VERSION",
    "Comparisons",
    "CrowdStrengths",
    "LabelConsensus",
    "Order",
    "RankedPairs",
    "RatingConsensus",
    "Strengths",
    "adjusted",
    "bradley_terry",
    "clustered",
    "comparisons_of",
    "crowd_bradley_terry",
    "davidson",
    "dawid_skene",
    "majority",
    "one_coin",
    "order_of",
    "orders_of",
    "plackett_luce",
    "ranked_pairs",
]
