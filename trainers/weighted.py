"""TRL's reward trainer with a weight per judgement, and with margins or soft labels."""

from dataclasses import dataclass
from typing import Any

import torch
from trl import RewardTrainer
from trl.trainer.reward_trainer import DataCollatorForPreference

PER_ROW = ("weight", "soft_label")  # numbers of a row that TRL does not know


@dataclass
class WeightedCollator(DataCollatorForPreference):
    """TRL's collator (chosen rows above, rejected rows below, padded right; `margin`), which keeps PER_ROW too."""

    def torch_call(self, examples: list[dict[str, Any]]) -> dict[str, Any]:
        batch = super().torch_call(examples)
        for name in PER_ROW:
            if name in examples[0]:
                batch[name] = torch.tensor([example[name] for example in examples], dtype=torch.float)
        return batch


class WeightedRewardTrainer(RewardTrainer):
    """Loss of a batch: the mean over its rows of weight · -logsigmoid(d) with d = score(chosen) - score(rejected).

    With a `margin` d is smaller by it, as in Llama 2 (Touvron et al. 2023, section 3.2.2): the scores of a pair that people
    found clear must lie further apart. With a `soft_label` p, the chance that the chosen text is better, the loss of a row
    is -(p · logsigmoid(d) + (1 - p) · logsigmoid(-d)), which is least where the scores predict p. Both say how sure a pair
    is, so they are never in one loss.

    The weights are expected to have mean 1 over the train split. A prompt on which K answers were ranked yields up to
    K(K-1)/2 rows for each judge; with the export's weights a prompt counts at most once however many rows it gave, as
    in the reward model of InstructGPT, whose loss has 1/C(K,2) for each comparison (Ouyang et al. 2022, "Training
    language models to follow instructions with human feedback", section 3.5). There a prompt's comparisons are one
    batch element; here they are rows shuffled like any other, so only the weighting is the same. Equal weights give
    TRL's loss exactly.
    """

    def _set_signature_columns_if_needed(self) -> None:
        super()._set_signature_columns_if_needed()
        self._signature_columns += [name for name in PER_ROW if name not in self._signature_columns]

    def compute_loss(self, model, inputs, return_outputs=False, num_items_in_batch=None):
        weight, margin, soft_label = (inputs.pop(name, None) for name in ("weight", "margin", "soft_label"))
        if margin is not None and soft_label is not None:
            raise ValueError("a margin and a soft label are never in one loss")
        _, outputs = super().compute_loss(model, inputs, return_outputs=True)  # for its forward pass and metrics
        chosen, rejected = torch.chunk(outputs.logits.squeeze(-1), chunks=2)
        loss = (weight * pair_loss(chosen, rejected, margin, soft_label)).mean()
        return (loss, outputs) if return_outputs else loss


def pair_loss(
    chosen: torch.Tensor, rejected: torch.Tensor, margin: torch.Tensor | None, soft_label: torch.Tensor | None
) -> torch.Tensor:
    """The loss of each row, without its weight."""
    difference = chosen - rejected if margin is None else chosen - rejected - margin
    loss = -torch.nn.functional.logsigmoid(difference)
    if soft_label is None:
        return loss
    return soft_label * loss - (1 - soft_label) * torch.nn.functional.logsigmoid(-difference)
