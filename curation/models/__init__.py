"""What comes in and what goes out.

blobs       files in storage, by their content
datasets    datasets, templates over their columns, and the instances that come of both
exports     releases of training data
training    what trainers report back
"""

from curation.models.blobs import Blob
from curation.models.datasets import USUAL_SEED, Dataset, InstanceSet, Template
from curation.models.exports import MOST_HELD_OUT, Export, ExportFile
from curation.models.training import TrainingMetric, TrainingRun

__all__ = [
    "MOST_HELD_OUT",
    "USUAL_SEED",
    "Blob",
    "Dataset",
    "Export",
    "ExportFile",
    "InstanceSet",
    "Template",
    "TrainingMetric",
    "TrainingRun",
]
