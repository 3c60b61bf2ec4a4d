"""Messages survive the way there and back, and what is not a message is refused with its place."""

import math
import subprocess
import sys
from typing import Any

import pytest
from pydantic import TypeAdapter

import everstep_api
from everstep_api.wire import ranks, sync
from everstep_api.wire.decode import MalformedMessageError, decode, encode

MEMBER = sync.Member(worker=0, pod_uid="a", address="10.0.0.1:8470", node="node1")
RUN = sync.Run(world=3, members=(MEMBER,), ranks_per_worker=2, secret="s")  # noqa: S106 - nobody's
REPORT = sync.Report(
    protocol=sync.PROTOCOL,
    boot_id="b",
    worker=0,
    address="10.0.0.1:8470",
    node="node1",
    state=sync.AgentState.TRAINING,
    ranks=1,
    world=3,
    phase=sync.Phase.TRAIN,
    progress=sync.Progress(step=7, loss=math.inf),
    snapshots=(sync.StatePoint(world=3, step=6),),
    failure=sync.Failure(world=2, cause=sync.FailureCause.RANK_KILLED, signal=9),
    evaluations=(sync.Evaluated(step=5, metrics={"loss": 1.5}),),
)


@pytest.mark.parametrize(
    ("message", "wanted"),
    [
        pytest.param(REPORT, sync.Report, id="a report"),
        pytest.param(
            sync.Directive(digest="d", action=RUN, spec={"a": [1]}), sync.Directive, id="a directive that runs"
        ),
        pytest.param(sync.Directive(digest="d", action=sync.Wait()), sync.Directive, id="a directive that waits"),
        pytest.param(ranks.Stepped(step=1, seconds=2), ranks.ToAgent, id="a step"),
        pytest.param(ranks.StopAfterStep(durable=True), ranks.ToRank, id="a stop"),
    ],
)
def test_a_message_comes_back_as_it_was_and_pydantic_reads_the_same(message: Any, wanted: Any) -> None:
    text = encode(message)
    assert b"\n" not in text
    assert decode(text, wanted) == message
    assert TypeAdapter(wanted).validate_json(text) == message


def test_a_number_that_is_none_travels_and_stays_none() -> None:
    read = decode(encode(sync.Progress(step=1, loss=math.nan)), sync.Progress)
    assert math.isnan(read.loss)


@pytest.mark.parametrize(
    ("text", "wanted", "sentence"),
    [
        pytest.param("{", sync.Answer, "This is no JSON", id="cut off"),
        pytest.param("{}", sync.Answer, "message is no Answer", id="a missing field"),
        pytest.param('{"next_report_s": "soon"}', sync.Answer, "message.next_report_s is 'soon'", id="a wrong type"),
        pytest.param(
            '{"next_report_s": true}', sync.Answer, "message.next_report_s is True", id="a truth for a number"
        ),
        pytest.param('{"next_report_s": 1, "x": 2}', sync.Answer, "message has the unknown field 'x'", id="unknown"),
        pytest.param('{"kind": "jump"}', ranks.ToRank, "message.kind is 'jump'", id="a kind that is none"),
        pytest.param("[]", ranks.ToRank, "message is []", id="a list for an object"),
        pytest.param(
            '{"digest": "d", "action": {"kind": "run", "world": 1.5}}',
            sync.Directive,
            "message.action.world is 1.5",
            id="a part for a whole number",
        ),
    ],
)
def test_what_is_no_message_is_refused_with_its_place(text: str, wanted: Any, sentence: str) -> None:
    with pytest.raises(MalformedMessageError) as caught:
        decode(text, wanted)
    assert str(caught.value).startswith(sentence)


def test_reading_messages_imports_nothing_but_the_standard_library() -> None:
    """The agent starts in a fraction of the time that pydantic alone takes to import."""
    root = everstep_api.__path__[0].rsplit("/", 1)[0]
    program = (
        f"import sys; sys.path.insert(0, {root!r}); "
        "import everstep_api.wire.ranks, everstep_api.wire.sync, everstep_api.wire.decode; "
        "foreign = {name.split('.')[0] for name in sys.modules} - sys.stdlib_module_names; "
        "print(sorted(foreign - {'everstep_api', '__main__'}))"
    )
    # -S: without it, site-packages may import of itself.
    done = subprocess.run([sys.executable, "-S", "-c", program], capture_output=True, text=True, timeout=30, check=True)
    assert done.stdout.strip() == "[]"
