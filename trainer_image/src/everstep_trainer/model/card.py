"""The model card: what the model is, what it was trained on, and how its figures can be checked."""

import hashlib
from collections.abc import Mapping

import yaml

from everstep_api.recipe import Recipe
from everstep_api.resource import Manifest
from everstep_trainer.data.ledger import read_ledger, to_text
from everstep_trainer.objects import Store
from everstep_trainer.plan import Plan


def ledger_digest(run: Store) -> str:
    """sha256 of all lines of the ledger, in the order of worlds and steps."""
    return hashlib.sha256(to_text(read_ledger(run))).hexdigest()


def card(
    plan: Plan,
    recipe: Recipe,
    *,
    name: str,
    step: int,
    metrics: Mapping[str, float],
    before: Mapping[str, float],
    ledger: str,
) -> str:
    """The card as Markdown with the front matter that the Hugging Face hub reads."""
    head: Manifest = {"library_name": "transformers", "pipeline_tag": "text-generation", "tags": ["everstep"]}
    if recipe.model.lora is not None:
        head["tags"] = ["everstep", "lora"]
    random = f"random weights of a {recipe.model.config.model_type}" if recipe.model.config is not None else ""
    base = recipe.model.source or random
    sources = [
        f"- `{source.address}`, {source.role}: {source.documents:,} documents of {source.counts.records:,} records,"
        f" {source.counts.tokens:,} tokens"
        for source in plan.sources
    ]
    figures = [_figure(metric, value, before.get(metric)) for metric, value in metrics.items()]
    return "\n".join(
        [
            "---",
            yaml.safe_dump(head, sort_keys=False).strip(),
            "---",
            f"# {name}",
            "",
            f"Trained by Everstep for {step:,} of {plan.total_steps:,} steps, from `{base}`.",
            "",
            "## Data",
            *sources,
            f"- {plan.training.rows:,} rows of {plan.row_length:,} tokens at most, {plan.training.tokens:,} in all",
            "",
            "## Held-out data",
            *(figures or ["- nothing was held out"]),
            "",
            "## Recipe",
            "```yaml",
            yaml.safe_dump(recipe.manifest(), sort_keys=False, allow_unicode=True).strip(),
            "```",
            f"Recipe hash `{plan.recipe_hash}`; sha256 of the ledger, which has a line for each step, `{ledger}`.",
            "",
        ]
    )


def _figure(metric: str, value: float, before: float | None) -> str:
    return f"- {metric}: {value:.6g}" + (f", before training {before:.6g}" if before is not None else "")
