"""What comes in and what goes out.

blobs       files in storage, by their content
datasets    datasets, templates over their columns, and the instances that come of both
coverage    what is known of instances: reports
exports     releases of training data
delivery    how a release reaches whoever trains: links, copies in object storage, webhooks
training    what trainers report back
"""

from curation.models.blobs import Blob
from curation.models.coverage import Coverage
from curation.models.datasets import USUAL_SEED, Dataset, InstanceSet, Shard, Template
from curation.models.delivery import ExportCopy, SignedLink, Webhook, WebhookAttempt, WebhookDelivery
from curation.models.exports import MOST_HELD_OUT, Export, ExportFile
from curation.models.training import TrainingMetric, TrainingRun

__all__ = [
    "MOST_HELD_OUT",
    "USUAL_SEED",
    "Blob",
    "Coverage",
    "Dataset",
    "Export",
    "ExportCopy",
    "ExportFile",
    "InstanceSet",
    "Shard",
    "SignedLink",
    "Template",
    "TrainingMetric",
    "TrainingRun",
    "Webhook",
    "WebhookAttempt",
    "WebhookDelivery",
]
