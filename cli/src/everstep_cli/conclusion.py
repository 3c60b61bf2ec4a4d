"""The last words of a run: what was reached, where it is, and what to type next. Pure."""

from collections.abc import Iterator
from urllib.parse import urlsplit

from everstep_api.status import TrainingJobStatus
from everstep_cli.view import loss_of
from everstep_operator.decide.facts import Job

_LOCAL = "file://"


def achieved(status: TrainingJobStatus) -> Iterator[str]:
    """The held-out loss from the first evaluation that is known to the last one."""
    history = status.evaluation.history if status.evaluation else ()
    known = [f"{loss} {_moment(point.step)}" for point in reversed(history) if (loss := loss_of(point)) is not None]
    if known:
        yield f"Held-out loss: {' → '.join(dict.fromkeys((known[0], known[-1])))}."


def next_steps(job: Job) -> Iterator[str]:
    """How `transformers` loads the model, and how to prove which data it has seen."""
    model = job.status.output.uri if job.status.output else ""
    folder, *fetching = [shown(model)] if model.startswith(_LOCAL) else ["model", _copying(model)]
    yield "To load it:"
    yield ""
    yield from (f"    {line}" for line in [*fetching, *_loading(job, folder)])
    yield ""
    yield "To prove that each planned row was committed once:"
    yield ""
    yield f"    everstep audit {shown(run_folder(job))}"


def resumable(job: Job) -> str:
    """How far a job is that was stopped, and what the same command does next."""
    durable = job.status.checkpoints.durable if job.status.checkpoints else None
    if durable is None:
        return "Stopped before the first checkpoint: the same command begins anew."
    return f"Stopped after step {durable.step}, which is in {shown(durable.uri)}. {onward(job)}"


def onward(job: Job) -> str:
    """What the same command does with the checkpoints that are in the storage."""
    if job.spec.get("checkpoint", {}).get("resumePolicy") == "Never":
        return "The same command begins anew, since checkpoint.resumePolicy is Never."
    return "The same command goes on from there."


def run_folder(job: Job) -> str:
    """The job's own folder in its storage."""
    return "/".join((job.spec["storage"]["uri"].rstrip("/"), job.key.namespace, job.key.name, job.uid))


def shown(address: str) -> str:
    """The address as people type it: a folder of this machine by its path."""
    return address.removeprefix(_LOCAL)


def _moment(step: int) -> str:
    return f"after step {step}" if step else "before training"


def _loading(job: Job, folder: str) -> list[str]:
    tokenizer = f'tokenizer = AutoTokenizer.from_pretrained("{folder}")'
    if job.spec.get("output", {}).get("weights") != "adapter":
        return [
            "from transformers import AutoModelForCausalLM, AutoTokenizer",
            f'model = AutoModelForCausalLM.from_pretrained("{folder}")',
            tokenizer,
        ]
    base = shown(job.spec["recipe"]["model"]["source"])
    return [
        "from peft import PeftModel",
        "from transformers import AutoModelForCausalLM, AutoTokenizer",
        f'model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained("{base}"), "{folder}")',
        tokenizer,
    ]


def _copying(address: str) -> str:
    """The provider's own command that copies a folder of a bucket into `model`."""
    match urlsplit(address).scheme:
        case "s3":
            return f"aws s3 cp --recursive {address} model"
        case "gs":
            return f"gcloud storage cp --recursive {address} model"
        case _:
            return f"# copy {address} into the folder model"
