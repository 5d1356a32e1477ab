"""What the training bought: measured in float32 and eval mode, the net's modes and weight gradients left as they are."""

from robustify.measurement.accuracies import (
    accuracy,
    accuracy_under_steps,
    epsilon_sweep,
    one_step_accuracies,
    predict,
)
from robustify.measurement.adversarial_examples import (
    AdversarialExamples,
    attack,
    eight_bit_examples,
    survives_rounding,
)

__all__ = [
    "AdversarialExamples",
    "accuracy",
    "accuracy_under_steps",
    "attack",
    "eight_bit_examples",
    "epsilon_sweep",
    "one_step_accuracies",
    "predict",
    "survives_rounding",
]
