"""What a rank can tell of the device that it computes on."""

import torch


def most_device_bytes() -> int | None:
    """Return the most memory of the device that tensors of this process have held; None on a CPU."""
    is_used = torch.cuda.is_initialized()  # type: ignore[no-untyped-call]  # torch's own
    return torch.cuda.max_memory_allocated() if is_used else None
