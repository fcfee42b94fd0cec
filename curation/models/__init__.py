"""What comes in and what goes out.

blobs       files in storage, by their content
datasets    datasets, templates over their columns, and the instances that come of both
exports     releases of training data
delivery    how a release reaches whoever trains: links, copies in object storage, webhooks
training    what trainers report back
"""

from curation.models.blobs import Blob
from curation.models.datasets import USUAL_SEED, Dataset, InstanceSet, Template
from curation.models.delivery import ExportCopy, SignedLink, Webhook, WebhookAttempt, WebhookDelivery
from curation.models.exports import MOST_HELD_OUT, Export, ExportFile
from curation.models.training import TrainingMetric, TrainingRun

__all__ = [
    "MOST_HELD_OUT",
    "USUAL_SEED",
    "Blob",
    "Dataset",
    "Export",
    "ExportCopy",
    "ExportFile",
    "InstanceSet",
    "SignedLink",
    "Template",
    "TrainingMetric",
    "TrainingRun",
    "Webhook",
    "WebhookAttempt",
    "WebhookDelivery",
]
