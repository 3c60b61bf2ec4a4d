"""The plan is made once, says all that later worlds need, and refuses with numbers what cannot be trained."""

import json
import shutil
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from everstep_api.resolve import resolve
from everstep_api.wire.ranks import Job
from everstep_api.wire.sync import Phase
from everstep_trainer.context import JobContext
from everstep_trainer.errors import DamagedError, RefusedError, StorageError
from everstep_trainer.objects import Store
from everstep_trainer.parallel.world import World
from everstep_trainer.plan import Plan, open_dealers
from everstep_trainer.planning import have_plan
from tests.unit.data.tokenizers_made_here import CHATML, a_tokenizer
from tests.unit.model.models_made_here import a_saved_model

LLAMA = {
    "model_type": "llama",
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "max_position_embeddings": 32,
}
TEXTS = [{"text": "x" * (number % 20 + 1)} for number in range(60)]
CHATS = [
    {"messages": [{"role": "user", "content": f"{n}?"}, {"role": "assistant", "content": f"{n}!"}]} for n in range(9)
]


def a_context(
    folder: Path, *, records: Sequence[Any] = TEXTS, template: str | None = None, **changes: Any
) -> JobContext:
    """A job in a folder; `changes` are parts of its recipe, merged one level deep, where None removes a field."""
    tokenizer = a_tokenizer(chat_template=template)
    tokenizer.save_pretrained(folder / "tokenizer")
    path = folder / "data.jsonl"
    if not path.exists():
        path.write_text("".join(f"{json.dumps(record)}\n" for record in records))
    replicas = changes.pop("replicas", 1)
    recipe: dict[str, Any] = {
        "model": {"config": LLAMA, "tokenizer": {"source": f"file://{folder}/tokenizer"}},
        "data": {"train": [{"source": f"file://{path}"}]},
    }
    for name, change in changes.items():
        merged = {**recipe.get(name, {}), **change}
        recipe[name] = {key: value for key, value in merged.items() if value is not None}
    spec = resolve(
        {"recipe": recipe, "storage": {"uri": f"file://{folder}/store"}, "workers": {"replicas": replicas}}, {}
    ).spec
    storage = Store.at(str(folder / "store"))
    return JobContext(
        job=Job(namespace="n", name="j", uid="u"),
        manifest=spec.manifest(),
        spec=spec,
        storage=storage,
        run=storage.under("n/j/u"),
        cache=folder / "cache",
        world=World.alone(),
    )


def planned(context: JobContext) -> Plan:
    """The plan of the job."""
    return have_plan(context, lambda _phase: None)[0]


def test_what_the_recipe_leaves_open_is_derived(tmp_path: Path) -> None:
    plan = planned(a_context(tmp_path))
    assert plan.row_length == 32, "the model's positions, which are fewer than 2,048"
    assert plan.hyperparameters.learning_rate == 3e-4
    assert plan.hyperparameters.betas == (0.9, 0.95)
    assert plan.hyperparameters.weight_decay == 0.1
    assert (plan.batches.size, plan.batches.micro_size) == (1, 1), "halved while an epoch has fewer than 100 steps"
    assert plan.total_steps == plan.training.rows
    (source,) = plan.sources
    assert (source.preparation.format, source.preparation.loss_on) == ("text", "all")
    assert plan.recompute == "none", "a CPU with memory enough"
    assert (source.documents, source.counts.records) == (60, 60)


def test_phases_are_told_as_they_begin(tmp_path: Path) -> None:
    phases: list[Phase] = []
    have_plan(a_context(tmp_path), phases.append)
    have_plan(a_context(tmp_path), phases.append)
    assert phases == [Phase.LOAD, Phase.PREPARE, Phase.LOAD]


def test_a_later_world_reads_the_plan_and_needs_the_data_no_more(tmp_path: Path) -> None:
    context = a_context(tmp_path)
    plan = planned(context)
    (tmp_path / "data.jsonl").unlink()
    assert planned(context) == plan
    assert Plan.from_json(plan.to_json()) == plan


def test_the_rows_of_a_plan_hold_each_document_once_an_epoch(tmp_path: Path) -> None:
    data = {"train": [{"source": f"file://{tmp_path}/data.jsonl"}], "validation": {"fraction": 0.3}}
    context = a_context(tmp_path, data=data, duration={"epochs": 2}, batch={"size": 4})
    plan = planned(context)
    dealers = open_dealers(plan, context)
    assert dealers.validation is not None
    works = [dealers.training.step(step) for step in range(1, plan.total_steps + 1)]
    assert [row for work in works for row in work.rows] == list(range(plan.training.rows))
    assert sum(work.targets for work in works) == plan.training.targets
    eaten = sum(dealers.training.tokens(step) for step in range(1, plan.total_steps + 1))
    assert eaten == plan.training.tokens
    held_out = plan.validation
    assert held_out is not None
    assert plan.training.tokens + 2 * held_out.tokens == 2 * plan.sources[0].counts.tokens
    assert sum(batch.target_count for batch in dealers.validation.everything()) == held_out.targets


@pytest.mark.parametrize("steps", [1, 7, 100])
def test_a_duration_in_steps_has_exactly_these(tmp_path: Path, steps: int) -> None:
    plan = planned(a_context(tmp_path, duration={"steps": steps}, batch={"size": 4}))
    assert (plan.total_steps, plan.training.rows) == (steps, 4 * steps)


@pytest.mark.parametrize("tokens", [1, 100, 5000])
def test_a_duration_in_tokens_ends_with_the_first_step_that_reaches_it(tmp_path: Path, tokens: int) -> None:
    context = a_context(tmp_path, duration={"tokens": tokens}, batch={"size": 4})
    plan = planned(context)
    dealer = open_dealers(plan, context).training
    last = dealer.tokens(plan.total_steps)
    assert plan.training.tokens - last < tokens <= plan.training.tokens


def test_weights_and_max_samples_decide_how_often_a_source_is_seen(tmp_path: Path) -> None:
    other = tmp_path / "other.jsonl"
    other.write_text("".join(f"{json.dumps({'text': 'y' * 5})}\n" for _ in range(40)))
    data = {
        "train": [
            {"source": f"file://{tmp_path}/data.jsonl", "maxSamples": 10},
            {"source": f"file://{other}", "weight": 0.5},
        ],
        "validation": {"fraction": 0},
        "packing": "none",
    }
    context = a_context(tmp_path, data=data, batch={"size": 1})
    plan = planned(context)
    assert plan.validation is None
    rows = [open_dealers(plan, context).training.micro_batches(step)[0] for step in range(1, plan.total_steps + 1)]
    first = Counter(str(a_tokenizer().decode(row.tokens_BL[0, :1])) for row in rows)
    assert first == {"x": 10, "y": 20}


def test_validation_sources_are_evaluated_and_nothing_else_is_held_out(tmp_path: Path) -> None:
    held = tmp_path / "held.jsonl"
    held.write_text('{"text": "held out"}\n')
    data = {
        "train": [{"source": f"file://{tmp_path}/data.jsonl"}],
        "validation": {"sources": [{"source": f"file://{held}"}]},
    }
    plan = planned(a_context(tmp_path, data=data))
    assert plan.validation is not None
    assert (plan.validation.rows, plan.validation.targets) == (1, 8)
    assert plan.training.tokens == plan.sources[0].counts.tokens


def test_chats_count_the_assistants_tokens(tmp_path: Path) -> None:
    data = {"train": [{"source": f"file://{tmp_path}/data.jsonl"}], "validation": {"fraction": 0}}
    model = {"config": {**LLAMA, "max_position_embeddings": 128}}
    plan = planned(a_context(tmp_path, records=CHATS, template=CHATML, data=data, model=model))
    (source,) = plan.sources
    assert (source.preparation.format, source.preparation.loss_on) == ("chat", "assistant")
    assert source.counts.targets == sum(len(f"{n}!") + 2 for n in range(9))


@pytest.mark.parametrize(
    ("records", "changes", "sentence"),
    [
        pytest.param(
            TEXTS,
            {"batch": {"size": 4, "microSize": 2}, "replicas": 3},
            "makes 2 micro-batches of 2 rows, too few for 3 ranks",
            id="too few rows",
        ),
        pytest.param(CHATS, {}, "holds chats, but the tokenizer has no chat template", id="no template"),
        pytest.param(
            CHATS,
            {
                "model": {
                    "chatTemplate": {
                        "inline": "{% for m in messages %}{% if loop.last %}{{ m.content }}{% endif %}{% endfor %}"
                    }
                }
            },
            "renders message 2 otherwise when more messages follow",
            id="no mask",
        ),
        pytest.param(
            TEXTS, {"data": {"lossOn": "assistant"}}, "holds texts, in which nobody speaks", id="no assistant"
        ),
        pytest.param(
            [{"a": 1}], {}, r"Line 1 of .* has neither the field 'messages' of a chat nor 'text'", id="no format"
        ),
        pytest.param([""], {}, r"Line 1 of .* is a JSON str, not an object", id="no record"),
        pytest.param([{"text": ""}], {}, "has 1 records, of which none can be trained on", id="nothing in it"),
    ],
)
def test_what_cannot_be_trained_is_refused(
    tmp_path: Path, records: Sequence[Any], changes: dict[str, Any], sentence: str
) -> None:
    changes = json.loads(json.dumps(changes))
    if "data" in changes:
        changes["data"]["train"] = [{"source": f"file://{tmp_path}/data.jsonl"}]
    with pytest.raises(RefusedError, match=sentence):
        planned(a_context(tmp_path, records=records, **changes))


def test_a_token_store_that_is_gone_is_named(tmp_path: Path) -> None:
    context = a_context(tmp_path)
    plan = planned(context)
    (tmp_path / "store" / "data" / plan.sources[0].preparation.digest / "index.json").unlink()
    with pytest.raises(StorageError, match="are gone from"):
        open_dealers(plan, context)


def test_other_files_under_the_same_plan_are_damage(tmp_path: Path) -> None:
    context = a_context(tmp_path)
    plan = planned(context)
    listing = tmp_path / "cache" / "models" / plan.files.tokenizer.digest / ".fetched.json"
    listing.write_text(listing.read_text().replace(plan.sha256["tokenizer/tokenizer.json"], "0" * 64))
    with pytest.raises(DamagedError, match=r"tokenizer/tokenizer\.json has sha256 0000"):
        planned(context)


def test_a_plan_that_nobody_trains_by_leaves_the_weights_where_they_are(tmp_path: Path) -> None:
    a_saved_model(tmp_path / "model", vocab_size=260, max_position_embeddings=32)
    a_tokenizer(chat_template=None).save_pretrained(tmp_path / "model")
    source = {"source": f"file://{tmp_path}/model"}
    trained = planned(a_context(tmp_path, model={"config": None, "tokenizer": None, **source}))
    shutil.rmtree(tmp_path / "cache")
    shutil.rmtree(tmp_path / "store")

    context = a_context(tmp_path, model={"config": None, "tokenizer": None, **source})
    plan, assets = have_plan(context, lambda _phase: None, with_weights=False)

    assert list((tmp_path / "cache").rglob("config.json"))
    assert not list((tmp_path / "cache").rglob("model.safetensors"))
    assert not any("safetensors" in name for name in assets.sha256)
    assert (plan.training, plan.batches, plan.hyperparameters, plan.total_steps) == (
        trained.training,
        trained.batches,
        trained.hyperparameters,
        trained.total_steps,
    )
