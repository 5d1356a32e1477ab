from __future__ import annotations

import pytest
import torch

from robustify.ingestion.acquisition import acquire
from robustify.ingestion.specification import SPECIFICATIONS, specification_of

from ..conftest import PROJECT


@pytest.mark.parametrize("name", SPECIFICATIONS)
def test_no_class_is_rarer_among_the_first_images_than_is_allowed_for(name: str) -> None:
    labels = acquire(name, raw_directory=PROJECT / "data/01_raw").tensors["train_labels"]
    rarest = torch.nn.functional.one_hot(labels).cumsum(dim=0).amin(dim=1).tolist()
    known = specification_of(name)
    for images, fewest in enumerate(rarest, start=1):
        if images >= 100:
            assert known.images_of_every_class(images) <= fewest
    # nor is less allowed than there is where it is known
    assert known.rarest[0][0] == 100
    assert all(rarest[images - 1] == fewest for images, fewest in known.rarest)
    assert known.images_of_every_class(None) == rarest[-1] == min(known.train_class_counts)
