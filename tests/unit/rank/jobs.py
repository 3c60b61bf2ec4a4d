"""A small job from random weights on text, with its files in a folder."""

import json
from pathlib import Path
from typing import Any

from everstep_api.resolve import resolve
from tests.unit.data.tokenizers_made_here import a_tokenizer

LLAMA = {
    "model_type": "llama",
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
    "max_position_embeddings": 64,
    "tie_word_embeddings": True,
}
SENTENCES = ("The world is replaced.", "A step is the same.", "Each row counts once.", "A rank leaves by dying.")


def a_spec(folder: Path, *, steps: int = 12, replicas: int = 2, **changes: Any) -> dict[str, Any]:
    """The resolved spec of the job; `changes` are parts of the spec, merged two levels deep."""
    folder.mkdir(parents=True, exist_ok=True)
    a_tokenizer(chat_template=None).save_pretrained(folder / "tokenizer")
    records = ({"text": f"{number} {SENTENCES[number % len(SENTENCES)]} {number}"} for number in range(400))
    (folder / "text.jsonl").write_text("".join(f"{json.dumps(record)}\n" for record in records))
    spec: dict[str, Any] = {
        "recipe": {
            "model": {"config": LLAMA, "tokenizer": {"source": f"file://{folder}/tokenizer"}},
            "data": {"train": [{"source": f"file://{folder}/text.jsonl"}], "validation": {"fraction": 0.1}},
            "batch": {"size": 8, "microSize": 2},
            "optimizer": {"learningRate": 3e-3},
            "duration": {"steps": steps},
            "evaluation": {"everySteps": 5},
            "precision": "fp32",
            "deterministic": True,
            "seed": 7,
        },
        "storage": {"uri": f"file://{folder}/store"},
        "workers": {"replicas": replicas},
        "checkpoint": {"everySteps": 4},
    }
    for part, change in changes.items():
        spec[part] = {**spec.get(part, {}), **change}
    return resolve(spec, {}).spec.manifest()
