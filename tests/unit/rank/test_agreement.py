"""A job learns what a plain loop learns that shares no code with ours, from the same documents in the same order."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import AutoModelForCausalLM

from everstep_api.job import TrainingJobSpec
from everstep_trainer.data.opening import open_packers
from everstep_trainer.data.rows import PlannedRows
from everstep_trainer.model.lora import adapter_key, weight_name
from everstep_trainer.objects import Store
from everstep_trainer.plan import PLAN, Plan
from tests.unit.data.tokenizers_made_here import CHATML, a_tokenizer
from tests.unit.model.models_made_here import a_config, a_filled_model, a_saved_model
from tests.unit.rank import plain_loop
from tests.unit.rank.agents import Agent
from tests.unit.rank.jobs import a_spec
from tests.unit.rank.running import a_world, run_of

STEPS, WARMUP, RATE, RANK = 50, 5, 5e-3, 4
AGREEMENT = 1e-3
TOPICS = ("a rank", "a world", "a shard", "the fence", "a spare")


def a_chat_spec(folder: Path, **model: Any) -> dict[str, Any]:
    """A job on a saved Llama and on chats, of which the answers alone are learnt."""
    tokenizer = a_tokenizer(chat_template=CHATML)
    a_saved_model(folder / "model", vocab_size=len(tokenizer), max_position_embeddings=128)
    tokenizer.save_pretrained(folder / "model")
    chats = (
        [{"role": "user", "content": f"{topic} {n}?"}, {"role": "assistant", "content": f"{topic} is {n % 7}."}]
        for n in range(60)
        for topic in TOPICS
    )
    (folder / "chats.jsonl").write_text("".join(f"{json.dumps({'messages': chat})}\n" for chat in chats))
    recipe = {
        "model": {"source": f"file://{folder}/model", **model},
        "data": {
            "train": [{"source": f"file://{folder}/chats.jsonl"}],
            "maxLength": 128,
            "validation": {"fraction": 0.1},
        },
        "optimizer": {"learningRate": RATE},
        "schedule": {"warmup": {"steps": WARMUP}},
        "batch": {"size": 4, "microSize": 1},
        "evaluation": {"everySteps": 1000},
    }
    output = {"dtype": "fp32"}
    return a_spec(folder, steps=STEPS, recipe={**recipe, "duration": {"steps": STEPS}}, output=output)


def texts_of_steps(folder: Path, spec: dict[str, Any]) -> list[list[plain_loop.Text]]:
    """The documents of each step, as the plan of the job that has run deals them."""
    plan = Plan.from_json(run_of(folder).get(PLAN))
    recipe = TrainingJobSpec.model_validate_json(json.dumps(spec)).recipe
    storage = Store.at(str(folder / "store"))
    packer = open_packers(plan.sources, storage, folder / "read", recipe, row_length=plan.row_length).training
    rows = PlannedRows(packer, plan.training.windows, count=plan.training.rows)
    size = plan.batches.size
    return [
        [
            plain_loop.Text(tokens=document.tokens.tolist(), has_loss=document.has_loss.tolist())
            for row in range(size * step, size * (step + 1))
            for document in (packer.corpus.document(number) for number in rows.documents(row))
        ]
        for step in range(STEPS)
    ]


def adapters_of(folder: Path, spec: dict[str, Any]) -> dict[str, Tensor]:
    """The adapters as the job begins with them, under peft's names."""
    recipe = TrainingJobSpec.model_validate_json(json.dumps(spec)).recipe
    config = a_config(**json.loads((folder / "model" / "config.json").read_text()))
    model = a_filled_model(recipe, folder=folder / "model", config=config, seed=recipe.seed)
    named = ((weight_name(name.removeprefix("network.")), weight) for name, weight in model.named_parameters())
    return {
        adapter_key(known.base, known.role)
        .replace("lora_A.", "lora_A.default.")
        .replace("lora_B.", "lora_B.default."): (weight.detach().clone())
        for known, weight in named
        if known.role != "own"
    }


@pytest.mark.parametrize("size", [1, 2], ids=["one rank", "two ranks"])
@pytest.mark.parametrize("rank", [None, RANK], ids=["in full", "adapters"])
def test_a_job_learns_what_a_plain_loop_learns(agent: Agent, tmp_path: Path, rank: int | None, size: int) -> None:
    """Fifty steps in fp32: each step's loss, and each weight of the model that is written, within 1e-3."""
    lora = {"lora": {"rank": rank, "alpha": 2 * rank}} if rank is not None else {}
    spec = a_chat_spec(tmp_path, **lora)
    world = a_world(agent, spec, number=1, size=size)
    output = world.finish()
    expected = plain_loop.train(
        tmp_path / "model",
        texts_of_steps(tmp_path, spec),
        learning_rate=RATE,
        warmup_steps=WARMUP,
        lora_rank=rank,
        adapters=adapters_of(tmp_path, spec) if rank is not None else None,
    )

    assert expected.losses[-1] < expected.losses[0] - 0.2, "so that there is something to agree about"
    losses = world.steps()
    assert [losses[step] for step in range(1, STEPS + 1)] == pytest.approx(expected.losses, abs=AGREEMENT)
    assert output is not None
    written = AutoModelForCausalLM.from_pretrained(output.removeprefix("file://")).state_dict()
    for name, weight in expected.model.state_dict().items():
        assert torch.allclose(written[name], weight, atol=AGREEMENT), name
