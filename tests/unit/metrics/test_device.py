"""What a rank tells of its device."""

import pytest
import torch

from everstep_trainer.device import most_device_bytes


def test_a_rank_on_cpus_tells_of_no_device() -> None:
    assert most_device_bytes() is None


def test_a_rank_on_a_device_tells_the_most_that_it_had_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda: 7)
    assert most_device_bytes() == 7
