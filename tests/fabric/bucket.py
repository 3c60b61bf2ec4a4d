"""A folder that stands for a bucket: text to train on and a tokenizer of bytes, since none can be had from outside."""

import json
import random
from pathlib import Path

from everstep_trainer.objects import Store
from tests.unit.data.tokenizers_made_here import a_tokenizer

WORDS = ("rank", "world", "shard", "step", "cursor", "lease", "agent", "spare", "fence", "ledger", "token", "bucket")


def fill_bucket(folder: Path, *, documents: int = 400) -> Path:
    """Write `data/text.jsonl` and `models/bytes`; the same content each time."""
    chance = random.Random(0)  # noqa: S311 - the same words each time
    lines = [
        json.dumps({"text": " ".join(chance.choices(WORDS, k=chance.randint(5, 40))) + "."}) for _ in range(documents)
    ]
    data = folder / "data" / "text.jsonl"
    data.parent.mkdir(parents=True, exist_ok=True)
    data.write_text("\n".join(lines) + "\n")
    a_tokenizer(chat_template=None).save_pretrained(folder / "models" / "bytes")
    return folder


def upload(folder: Path, address: str) -> None:
    """Put the files of a folder, at any depth, under the address."""
    store = Store.at(address)
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        store.put(path.relative_to(folder).as_posix(), path)
