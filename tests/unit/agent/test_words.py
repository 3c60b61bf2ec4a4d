"""Reports stay small, keep the end of what was printed and the beginning of what was said."""

from everstep_agent import lastwords
from everstep_agent.lastwords import Ending, describe, describe_word
from everstep_agent.told import Told
from everstep_api.wire.ranks import EvaluationMade, Raised, Refused, Saved
from everstep_api.wire.sync import LONGEST_WORDS_BYTES, StatePoint


def saved(world: int, step: int) -> Saved:
    point = StatePoint(world=world, step=step)
    return Saved(point=point, uri=f"file:///{world}-{step}", commit_time="t", seconds=1, size_bytes=1)


def test_last_words_are_the_last_8_kb_from_a_lines_beginning_on() -> None:
    printed = "".join(f"line {number} ü\n" for number in range(2000))
    kept = lastwords.keep_end(printed)
    assert LONGEST_WORDS_BYTES - 20 < len(kept.encode()) <= LONGEST_WORDS_BYTES
    assert kept.startswith("line ")
    assert printed.endswith(kept)


def test_one_endless_line_is_cut_within() -> None:
    kept = lastwords.keep_end("é" * LONGEST_WORDS_BYTES)
    assert set(kept) == {"é"}
    assert LONGEST_WORDS_BYTES - 2 <= len(kept.encode()) <= LONGEST_WORDS_BYTES


def test_colours_and_control_characters_are_no_words() -> None:
    assert lastwords.keep_end("\x1b[1;31mred\x1b[0m\a\tand\r\nplain") == "red\tand\nplain"


def test_a_long_sentence_keeps_its_beginning() -> None:
    failure = describe_word(Refused(sentence="wrong: " + "x" * 10_000), world=1, rank=0)
    assert failure.message.startswith("wrong: x")
    assert len(failure.message) < 3000


def test_a_traceback_follows_what_was_printed_unless_it_was_printed() -> None:
    raised = Raised(exception="ValueError", message="bad", traceback="Traceback\nValueError: bad\n")
    added = describe(world=1, rank=0, ending=Ending(exit_code=1, output="a line\n"), raised=raised)
    assert added.last_words == "a line\nTraceback\nValueError: bad\n"
    printed = Ending(exit_code=1, output="Traceback\nValueError: bad\n")
    assert describe(world=1, rank=0, ending=printed, raised=raised).last_words == printed.output


def test_a_signal_without_a_name_has_its_number() -> None:
    assert lastwords.name_signal(9) == "SIGKILL"
    assert lastwords.name_signal(40) == "signal 40"


def test_the_newest_checkpoint_is_that_of_the_latest_world() -> None:
    """A later world may have gone back to an earlier step, and what is beyond that is void."""
    told = Told()
    for message in (saved(1, 500), saved(2, 400), saved(1, 600)):
        told = told.hear(message, is_first=True)
    assert told.durable is not None
    assert (told.durable.world, told.durable.step) == (2, 400)


def test_evaluations_are_the_newest_20_and_go_with_steps_that_are_done_again() -> None:
    told = Told()
    for step in [*range(25), 10]:
        told = told.hear(EvaluationMade(step=step, metrics={"loss": 1.0}), is_first=True)
    assert [made.step for made in told.evaluations] == [5, 6, 7, 8, 9, 10]
