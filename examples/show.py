"""Ask a model before and after its training the same thing: one prompt that was held out, answered by each.

`python -m examples.show --base ADDRESS --tuned ADDRESS --held-out ADDRESS` loads both models by plain `transformers`.
An address is a folder or file, or s3://BUCKET/… with AWS_ENDPOINT_URL, AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in
the environment, from where it is fetched first.
"""

import json
import posixpath
import sys
import tempfile
import textwrap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from everstep_trainer.errors import RefusedError, StorageError
from everstep_trainer.objects import Store

MOST_TOKENS = 40
"""Of an answer: three lines."""
THREADS = 1
"""Of torch. Threads wait for each other after every product of matrices: at a load of 6 on two cores, 21 tokens took
25 s with two threads and 3.5 s with one."""

Message = dict[str, str]


class ShowError(Exception):
    """What cannot be shown, in a sentence that ends with what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A chat that was held out: all but its last turn, and that turn."""

    messages: Sequence[Message]
    prompt: str
    """What was asked last."""
    reference: str


def show(base: str, tuned: str, held_out: str, index: int) -> None:
    """Print the question, both answers, and the one that its author gave.

    Raises:
        ShowError: something cannot be read.
    """
    with tempfile.TemporaryDirectory(prefix="everstep-show-") as scratch:
        question = read_question(fetch_file(held_out, Path(scratch)), index)
        _print(f"Held out, line {index + 1} of {posixpath.basename(held_out)}", question.prompt)
        for title, address in (("Before training", base), ("After training", tuned)):
            _print(title, answer(fetch_folder(address, Path(scratch) / title), question.messages))
        _print("Its author", question.reference)


def read_question(file: Path, index: int) -> Question:
    """The chat in one line of the file; the first line has the index 0.

    Raises:
        ShowError: there is none.
    """
    try:
        lines = file.read_text().splitlines()
    except OSError as error:
        raise ShowError(f"{file} cannot be read: {error.strerror}; name a file with chats.") from error
    if not 0 <= index < len(lines):
        raise ShowError(f"{file.name} has {len(lines)} lines, none of them with the index {index}; name one from 0 on.")
    try:
        *asked, answered = json.loads(lines[index])["messages"]
        return Question(messages=asked, prompt=asked[-1]["content"], reference=answered["content"])
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise ShowError(
            f"Line {index + 1} of {file.name} is no question with its answer; name a line with"
            ' {"messages": [{"role": …, "content": …}, …]}.'
        ) from error


def answer(folder: Path, messages: Sequence[Message]) -> str:
    """What the model in the folder says; always the same, for each token is the likeliest.

    Raises:
        ShowError: `transformers` loads no model from the folder.
    """
    import torch  # noqa: PLC0415 - seconds, and a mistake of the caller is said before
    from transformers import AutoModelForCausalLM, AutoTokenizer  # noqa: PLC0415
    from transformers.utils import logging  # noqa: PLC0415

    torch.set_num_threads(THREADS)
    logging.disable_progress_bar()  # type: ignore[no-untyped-call] # not annotated
    try:
        tokenizer: Any = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        model: Any = AutoModelForCausalLM.from_pretrained(folder, dtype="auto", local_files_only=True)
    except (OSError, ValueError) as error:
        raise ShowError(f"transformers loads no model from {folder}: {error}") from error
    prompt = tokenizer.apply_chat_template(
        list(messages), add_generation_prompt=True, return_tensors="pt", return_dict=True
    )
    spoken = model.generate(**prompt, max_new_tokens=MOST_TOKENS, do_sample=False)
    said: str = tokenizer.decode(spoken[0, prompt["input_ids"].shape[1] :], skip_special_tokens=True)
    return said.strip()


def fetch_file(address: str, scratch: Path) -> Path:
    """The file at the address; one of a bucket is fetched into the folder.

    Raises:
        ShowError: the bucket does not give it.
    """
    if (here := _path(address)) is not None:
        return here
    folder, _, name = address.rpartition("/")
    with _asking():
        (scratch / name).write_bytes(Store.at(folder).get(name))
    return scratch / name


def fetch_folder(address: str, scratch: Path) -> Path:
    """The folder at the address; one of a bucket is fetched into `scratch`.

    Raises:
        ShowError: the bucket does not give it, or has nothing there.
    """
    if (here := _path(address)) is not None:
        return here
    scratch.mkdir()
    with _asking():
        store = Store.at(address)
        entries = [entry for entry in store.entries() if "/" not in entry.name]
        for entry in entries:
            (scratch / entry.name).write_bytes(store.get(entry.name))
    if not entries:
        raise ShowError(f"{address} holds no files; name the folder of a model.")
    return scratch


def _path(address: str) -> Path | None:
    """The path that an address of this machine is."""
    scheme, separator, rest = address.partition("://")
    if not separator:
        return Path(address)
    return Path(rest) if scheme == "file" else None


@contextmanager
def _asking() -> Iterator[None]:
    try:
        yield
    except (StorageError, RefusedError) as error:
        raise ShowError(
            f"{error} Make sure that AWS_ENDPOINT_URL (of a store other than Amazon's), AWS_ACCESS_KEY_ID and"
            " AWS_SECRET_ACCESS_KEY say where it is and let you read it."
        ) from error


def _print(title: str, text: str) -> None:
    typer.secho(f"\n{title}:", bold=True)
    typer.echo(textwrap.indent(text, "    "))


def main(
    *,
    base: Annotated[str, typer.Option(metavar="ADDRESS", help="Folder of the model before its training.")],
    tuned: Annotated[str, typer.Option(metavar="ADDRESS", help="Folder of the model after it.")],
    held_out: Annotated[str, typer.Option(metavar="ADDRESS", help="File with chats that were held out.")],
    index: Annotated[int, typer.Option(help="Which of its lines, from 0.")] = 0,
) -> None:
    """Let a model answer one held-out prompt before and after its training."""
    try:
        show(base, tuned, held_out, index)
    except ShowError as error:
        typer.echo(f"show: {error}", err=True)
        sys.exit(1)


if __name__ == "__main__":
    typer.run(main)
