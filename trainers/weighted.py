"""TRL's reward trainer with a weight per judgement."""

from dataclasses import dataclass
from typing import Any

import torch
from trl import RewardTrainer
from trl.trainer.reward_trainer import DataCollatorForPreference


@dataclass
class WeightedCollator(DataCollatorForPreference):
    """TRL's collator (chosen rows above, rejected rows below, padded right), which also keeps `weight`."""

    def torch_call(self, examples: list[dict[str, Any]]) -> dict[str, Any]:
        batch = super().torch_call(examples)
        batch["weight"] = torch.tensor([example["weight"] for example in examples], dtype=torch.float)
        return batch


class WeightedRewardTrainer(RewardTrainer):
    """Loss of a batch: the mean over its rows of weight · -logsigmoid(score(chosen) - score(rejected)).

    The weights are expected to have mean 1 over the train split. A prompt on which K answers were ranked yields up to
    K(K-1)/2 rows for each judge; with the export's weights a prompt counts at most once however many rows it gave, as
    in the reward model of InstructGPT, whose loss has 1/C(K,2) for each comparison (Ouyang et al. 2022, "Training
    language models to follow instructions with human feedback", section 3.5). There a prompt's comparisons are one
    batch element; here they are rows shuffled like any other, so only the weighting is the same. Equal weights give
    TRL's loss exactly.
    """

    def _set_signature_columns_if_needed(self) -> None:
        super()._set_signature_columns_if_needed()
        if "weight" not in self._signature_columns:
            self._signature_columns.append("weight")

    def compute_loss(self, model, inputs, return_outputs=False, num_items_in_batch=None):
        weight = inputs.pop("weight")
        _, outputs = super().compute_loss(model, inputs, return_outputs=True)  # for its forward pass and metrics
        chosen, rejected = torch.chunk(outputs.logits.squeeze(-1), chunks=2)
        loss = (weight * -torch.nn.functional.logsigmoid(chosen - rejected)).mean()
        return (loss, outputs) if return_outputs else loss
