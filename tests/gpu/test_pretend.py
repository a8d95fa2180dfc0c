"""The pretended GPU has teeth: what a real one refuses is refused, what it allows is the CPU's own number."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import torch

from tests.gpu import pretend


@pytest.fixture(autouse=True)
def _gpu() -> Iterator[None]:
    with pretend.pretended():
        yield


def test_what_is_made_there_stays_there() -> None:
    made = torch.ones(3, 4, device="cuda")
    sums = (made + 1) @ torch.ones(4, 2).to("cuda") * 0.5
    assert (sums.device, sums.is_cuda, type(sums)) == (pretend.DEVICE, True, pretend.OnGpu)
    assert sums.tolist() == [[4.0] * 2] * 3
    assert type(sums.cpu()) is torch.Tensor
    assert sums.cpu().numpy().sum() == 24
    assert sums.to(torch.bfloat16).device == pretend.DEVICE
    assert made[torch.tensor([0, 2])].shape == (2, 4)  # its rows may be named by the CPU


def test_a_layer_learns_there_as_on_the_cpu() -> None:
    layers = [torch.nn.Linear(4, 3), torch.nn.Linear(4, 3).to("cuda")]
    layers[1].load_state_dict(layers[0].state_dict())
    inputs = torch.randn(5, 4)
    for layer, given in zip(layers, (inputs, inputs.to("cuda")), strict=True):
        optimizer = torch.optim.AdamW(layer.parameters(), lr=0.1)
        layer(given).square().mean().backward()
        optimizer.step()
    there = layers[1].weight
    assert there.grad is not None
    assert there.grad.device == pretend.DEVICE
    assert torch.equal(there.detach().cpu(), layers[0].weight.detach())


@pytest.mark.parametrize(
    ("mistake", "match"),
    [
        (lambda there: there + torch.ones(3, 4), "on the same device"),
        (lambda there: torch.cat([there, torch.ones(1, 4)]), "on the same device"),
        (lambda there: torch.where(torch.ones(3, 4) > 0, there, there), "on the same device"),
        (lambda there: torch.ones(3, 4)[there[:, 0].long()], "indices should be on the same device"),
        (lambda there: there.numpy(), "to numpy"),
        (lambda there: torch.rand(2, device="cuda", generator=torch.Generator()), "Expected a generator"),
        (lambda there: there.normal_(generator=torch.Generator()), "Expected a generator"),
        (lambda there: torch.rand(2, generator=torch.Generator("cuda")), "Expected a generator"),
    ],
)
def test_mistakes_that_only_a_gpu_would_show(mistake: Callable[[torch.Tensor], object], match: str) -> None:
    with pytest.raises((RuntimeError, TypeError), match=match):
        mistake(torch.ones(3, 4, device="cuda"))
