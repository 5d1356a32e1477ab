"""Planted fake defences, each around an honest net, and what the gates must say of them."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Fake(nn.Module):
    """An honest net behind something that only looks like robustness."""

    def __init__(self, honest: nn.Module) -> None:
        super().__init__()
        self.honest = honest


class Rounding(Fake):
    """Rounds its input, so that no gradient gets through and small changes are lost."""

    def forward(self, x: Tensor) -> Tensor:
        return self.honest((x * 4).round() / 4)


class Saturated(Fake):
    """Scales its logits so far that the softmax of every answer is 1 or 0."""

    def forward(self, x: Tensor) -> Tensor:
        return 1e6 * self.honest(x)


class Probabilities(Fake):
    """Ends in a softmax of its own."""

    def forward(self, x: Tensor) -> Tensor:
        return self.honest(x).softmax(dim=1)


class Detached(Fake):
    """Detaches its input."""

    def forward(self, x: Tensor) -> Tensor:
        return self.honest(x.detach())


class Gradientless(Fake):
    """Computes outside of automatic differentiation altogether."""

    def forward(self, x: Tensor) -> Tensor:
        with torch.no_grad():
            return self.honest(x)


class Misled(Fake):
    """Gives back the gradient of nonsense, as long as the true one."""

    def forward(self, x: Tensor) -> Tensor:
        if x.requires_grad:
            x = x * 1
            x.register_hook(lambda true: torch.randn_like(true) * true.std())
        return self.honest(x)


class Borrowed(Fake):
    """Answers honestly and gives back the gradient of another, untrained net."""

    def __init__(self, honest: nn.Module) -> None:
        super().__init__(honest)
        self.other = nn.Sequential(nn.Flatten(), nn.LazyLinear(64), nn.Tanh(), nn.LazyLinear(5))

    def forward(self, x: Tensor) -> Tensor:
        surrogate = self.other(x)
        return self.honest(x.detach()) + surrogate - surrogate.detach()


class PartlyDetached(Fake):
    """Lets only every second pixel's gradient through."""

    def forward(self, x: Tensor) -> Tensor:
        kept = (torch.arange(x[0].numel(), device=x.device) % 2 == 0).view(x.shape[1:])
        return self.honest(torch.where(kept, x, x.detach()))


class TurnedSigns(Fake):
    """Gives back a gradient whose sign is wrong on every sixth pixel."""

    def forward(self, x: Tensor) -> Tensor:
        if x.requires_grad:
            turned = (torch.arange(x[0].numel(), device=x.device) % 6 == 0).view(x.shape[1:])
            x = x * 1
            x.register_hook(lambda true: torch.where(turned, -true, true))
        return self.honest(x)


class Opposed(Fake):
    """Gives back the opposite of its gradient."""

    def forward(self, x: Tensor) -> Tensor:
        if x.requires_grad:
            x = x * 1
            x.register_hook(torch.neg)
        return self.honest(x)


class Tiring(Fake):
    """Gives back the opposite of its gradient from the fifth time in a row that it is asked for one."""

    def __init__(self, honest: nn.Module) -> None:
        super().__init__(honest)
        self.asked = 0

    def forward(self, x: Tensor) -> Tensor:
        self.asked = self.asked + 1 if x.requires_grad else 0
        if self.asked > 4:
            x = x * 1
            x.register_hook(torch.neg)
        return self.honest(x)


class Reserved(Fake):
    """Answers where its data are, and has one answer to all that is far from them."""

    def __init__(self, honest: nn.Module, data: Tensor, answer: int) -> None:
        super().__init__(honest)
        self.data, self.answer = data.flatten(1), answer

    def forward(self, x: Tensor) -> Tensor:
        distance = torch.cdist(x.flatten(1), self.data, p=torch.inf).amin(dim=1)
        logits = self.honest(x)
        alone = torch.zeros_like(logits)
        alone[:, self.answer] = 2
        return torch.where((distance > 0.2)[:, None], alone, logits)


class Unbytelike(Fake):
    """Rounds what isn't a byte already, so that only attacked images lose their gradient."""

    def forward(self, x: Tensor) -> Tensor:
        bytes_ = ((x * 255).round() / 255 - x).abs().flatten(1).amax(dim=1) < 1e-6
        return self.honest(torch.where(bytes_.view(-1, 1, 1, 1), x, (x * 16).round() / 16))


class Shallow(Fake):
    """Gives back the gradient of the pixels that matter least."""

    def forward(self, x: Tensor) -> Tensor:
        if x.requires_grad:
            x = x * 1
            x.register_hook(self._flattest)
        return self.honest(x)

    @staticmethod
    def _flattest(true: Tensor) -> Tensor:
        size = true.abs().flatten(1)
        return true * (size <= size.median(dim=1, keepdim=True).values).view_as(true)


class Sigmoids(Fake):
    """Ends in a sigmoid a class."""

    def forward(self, x: Tensor) -> Tensor:
        return self.honest(x).sigmoid()


class CoarseProbabilities(Fake):
    """Ends in a softmax in bfloat16, whose sums are off by parts in a thousand."""

    def forward(self, x: Tensor) -> Tensor:
        return self.honest(x).bfloat16().softmax(dim=1)


class Stochastic(Fake):
    """Adds noise of its own to its input."""

    def forward(self, x: Tensor) -> Tensor:
        return self.honest(x + 0.05 * torch.randn_like(x))


class BatchDependent(Fake):
    """Subtracts the mean of whatever batch it sees."""

    def forward(self, x: Tensor) -> Tensor:
        return self.honest(x) - 5 * self.honest(x.mean(dim=0, keepdim=True)) * len(x) ** 0.5


class SmoothlyRounded(Fake):
    """Rounds its input to black and white, by a slope so steep that no gradient away from it is worth following."""

    def forward(self, x: Tensor) -> Tensor:
        return self.honest((300 * (x - 0.5)).sigmoid())


class CoupledOffImages(Fake):
    """Subtracts a share of the batch's mean answer from images that aren't bytes, as attacked ones aren't."""

    def forward(self, x: Tensor) -> Tensor:
        logits = self.honest(x)
        moved = ((255 * x - (255 * x).round()).abs().flatten(1) > 1e-3).any(dim=1, keepdim=True)
        return logits - 0.3 * moved * logits.mean(dim=0)


class CoupledFarAway(Fake):
    """The same to points that aren't bytes and reach the border of the pixel box, as those next to images don't."""

    def forward(self, x: Tensor) -> Tensor:
        logits = self.honest(x)
        byte = 255 * x
        moved = (byte - byte.round()).abs() > 1e-3
        inside = (x > 0.019) & (x < 0.981)
        # points next to the images are all off the border of the box
        far = (moved.flatten(1).any(dim=1) & ~inside.flatten(1).all(dim=1))[:, None]
        return logits - 0.3 * far * logits.mean(dim=0)


class ElseAlone(Fake):
    """Answers with another class where an image comes by itself."""

    def forward(self, x: Tensor) -> Tensor:
        logits = self.honest(x)
        return logits if len(x) > 1 else logits.roll(1, dims=1)


class NotFinite(Fake):
    """Gives no number for images with a bright first pixel."""

    def forward(self, x: Tensor) -> Tensor:
        bright = x.flatten(1)[:, :1] > 0.5
        return self.honest(x).masked_fill(bright, torch.nan)


class Wavy(Fake):
    """Adds a small, fast wave to its input, whose slopes drown all others: a true gradient that leads nowhere."""

    def forward(self, x: Tensor) -> Tensor:
        return self.honest(x + 0.005 * (2000 * x).sin())


class TurnedFarAway(Fake):
    """Turns the gradient round at points that are farther than 0.07 from every image."""

    def __init__(self, honest: nn.Module, images: Tensor) -> None:
        super().__init__(honest)
        self.register_buffer("images", images.flatten(1))

    def forward(self, x: Tensor) -> Tensor:
        if x.requires_grad:
            distances = torch.cdist(x.detach().flatten(1), self.images, p=torch.inf).amin(dim=1)
            signs = torch.where(distances > 0.07, -1.0, 1.0)[:, None, None, None]
            x = x * 1
            x.register_hook(lambda true: true * signs)
        return self.honest(x)


class SmallLogits(Fake):
    """Scales its logits down until the cross entropy pulls towards all wrong classes alike."""

    def forward(self, x: Tensor) -> Tensor:
        return 1e-3 * self.honest(x)
