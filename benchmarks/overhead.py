"""What the trainer costs beside a plain loop on the same cores: `python -m benchmarks.overhead MODEL`.

Both train the same adapters of the same model on the same rows, one after the other in turns, so that what else the
machine does meets both alike. The plain loop is transformers and peft under autocast; ours is FSDP2 in a world of one,
with the step's reduction. It prints a table and asserts nothing.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from peft import LoraConfig, get_peft_model
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn
from transformers import AutoModelForCausalLM

from everstep_api.recipe import Recipe
from everstep_trainer.model.assets import give_values, load, resolve_sources
from everstep_trainer.model.build import build
from everstep_trainer.optim import ShardedAdamW
from everstep_trainer.parallel.shard import shard
from everstep_trainer.parallel.world import Place, World, enter, open_store
from everstep_trainer.step import Wish, Work, take_step
from everstep_trainer.tasks.causal_lm import CausalLM, loss_of

IGNORED = -100
RATE = 1e-4
TIMEOUT_S = 300.0
WARMUP = 1
"""Turns that are not counted: memory is had and kernels are chosen in the first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """A micro-batch. Shapes: B rows, L tokens in a row."""

    tokens_BL: Tensor  # noqa: N815 - the name carries the shape
    targets_BL: Tensor  # noqa: N815 - the name carries the shape
    positions_BL: Tensor  # noqa: N815 - the name carries the shape
    index: int = 0
    rows: tuple[int, ...] = (0,)
    counts: bool = True

    @property
    def targets(self) -> int:
        """Tokens that are learnt."""
        return int((self.targets_BL != IGNORED).sum())


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path, help="folder of a model, such as models/smollm2-135m-instruct")
    parser.add_argument("--rows", type=int, default=2, help="rows in a step (default 2)")
    parser.add_argument("--length", type=int, default=256, help="tokens in a row (default 256)")
    parser.add_argument("--turns", type=int, default=5, help="steps of each that are counted (default 5)")
    parser.add_argument("--threads", type=int, default=1, help="threads of the process (default 1)")
    wanted = parser.parse_args()
    torch.set_num_threads(wanted.threads)
    rows = make_rows(wanted.rows, wanted.length)
    with TemporaryDirectory() as cache:
        steps = {"plain loop": plain_step(wanted.model), "everstep": own_step(wanted.model.absolute(), Path(cache))}
    seconds = measure(steps, rows, turns=wanted.turns)
    Console().print(table(seconds, tokens=wanted.rows * wanted.length))


def make_rows(count: int, length: int) -> Rows:
    """Random tokens, of which the last third is learnt, as in a chat."""
    tokens = torch.randint(0, 1000, (count, length), generator=torch.Generator().manual_seed(0))
    targets = tokens.roll(-1, dims=1)
    targets[:, : 2 * length // 3] = IGNORED
    return Rows(tokens_BL=tokens, targets_BL=targets, positions_BL=torch.arange(length).repeat(count, 1))


def plain_step(folder: Path) -> Callable[[Rows], None]:
    """A step as one writes it without us."""
    network = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.bfloat16)
    model = get_peft_model(network, LoraConfig(r=16, lora_alpha=32, target_modules="all-linear", task_type="CAUSAL_LM"))
    trained = [weight for weight in model.parameters() if weight.requires_grad]
    for weight in trained:
        weight.data = weight.data.float()
    optimizer = torch.optim.AdamW(trained, lr=RATE)

    def step(rows: Rows) -> None:
        with torch.autocast("cpu", torch.bfloat16):
            logits = model(input_ids=rows.tokens_BL, use_cache=False).logits
        loss = nn.functional.cross_entropy(
            logits.float().flatten(0, 1), rows.targets_BL.flatten(), ignore_index=IGNORED
        )
        loss.backward()  # type: ignore[no-untyped-call] # torch's own
        nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        optimizer.zero_grad()

    return step


def own_step(folder: Path, cache: Path) -> Callable[[Rows], None]:
    """A step of the trainer, in a world of one."""
    recipe = Recipe.model_validate_json(
        f'{{"model": {{"source": "file://{folder}", "lora": {{}}}}, "data": {{"train": [{{"source": "file:///none"}}]}}}}'
    )
    place = Place(world=1, rank=0, size=1, local_rank=0, ranks_per_worker=1, host="127.0.0.1")
    world: World = enter(place, open_store(timeout_s=TIMEOUT_S), sharding="none", timeout_s=TIMEOUT_S)
    assets = load(resolve_sources(recipe), recipe, cache)
    model = CausalLM(build(assets.config, recipe))
    shard(model, world, precision=recipe.precision)
    model.to_empty(device="cpu")
    give_values(model, assets, recipe)
    model.train()
    optimizer = ShardedAdamW(model, betas=(0.9, 0.999), weight_decay=0.0)

    def step(rows: Rows) -> None:
        work = Work(step=1, rows=rows.rows, targets=rows.targets, micro_batches=[rows])
        take_step(
            model,
            optimizer,
            loss_of,
            work,
            wish=Wish(),
            world=world,
            seed=0,
            learning_rate=RATE,
            longest_gradient=1.0,
        )

    return step


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """What one step took."""

    wall_s: float
    cpu_s: float


def measure(steps: dict[str, Callable[[Rows], None]], rows: Rows, *, turns: int) -> dict[str, list[Taken]]:
    """Take steps in turns."""
    taken: dict[str, list[Taken]] = {name: [] for name in steps}
    for turn in range(WARMUP + turns):
        for name, step in steps.items():
            wall, cpu = time.monotonic(), time.process_time()
            step(rows)
            if turn >= WARMUP:
                taken[name].append(Taken(wall_s=time.monotonic() - wall, cpu_s=time.process_time() - cpu))
    return taken


def table(taken: dict[str, list[Taken]], *, tokens: int) -> Table:
    """Medians, and ours as a share of the first. CPU seconds count on a machine that does other things as well."""
    shown = Table("", "s a step", "CPU s a step", "tokens/s", "of the plain loop's, by CPU")
    base = None
    for name, steps in taken.items():
        wall = statistics.median(step.wall_s for step in steps)
        cpu = statistics.median(step.cpu_s for step in steps)
        base = base or cpu
        shown.add_row(name, f"{wall:.2f}", f"{cpu:.2f}", f"{tokens / wall:.0f}", f"{base / cpu:.0%}")
    return shown


if __name__ == "__main__":
    main()
