"""Nets from elsewhere that parameters name by their files: whether they can answer for the experiment's images."""

from __future__ import annotations

from pathlib import Path

import torch

from robustify.answers import logits_of
from robustify.checks.subject import Subject
from robustify.configuration import Experiment
from robustify.errors import InputError
from robustify.storage import load_net


def problem_of_other_net(path: Path, experiment: Experiment) -> str | None:
    """Return what is wrong with a stored net, if anything is: it must be whole, take the images and know the classes.

    Args:
        path: of its file.
        experiment: whose images it is to be asked about.
    """
    if not path.is_file():
        return f"there is no file {path}"
    data = Subject.of(experiment).data
    try:
        net = load_net(path)
        if data is None:
            return None
        answers = logits_of(net, torch.zeros(2, *data.image_shape))
    except InputError as error:
        return f"{path}: {error}"
    classes = len(data.train_class_counts)
    if answers.shape[1] != classes:
        return f"the net of {path} has {answers.shape[1]} classes, {data.name} has {classes}"
    return None
