"""Every line of a source is read by exactly one part, and only while its object is what it was."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from everstep_trainer.data import sources
from everstep_trainer.data.sources import line_number, parse, read_lines, resolve, split
from everstep_trainer.errors import MalformedRecordError, RefusedError
from everstep_trainer.objects import Store

lines = st.lists(st.binary(max_size=12).map(lambda text: text.replace(b"\n", b"")), min_size=1, max_size=30)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=50)
@given(files=st.lists(lines, min_size=1, max_size=3), part_bytes=st.integers(1, 60), ends=st.booleans())
def test_parts_of_any_size_read_each_line_once_and_in_order(
    tmp_path: Path, files: list[list[bytes]], part_bytes: int, *, ends: bool
) -> None:
    for number, content in enumerate(files):
        (tmp_path / f"{number}.jsonl").write_bytes(b"\n".join(content) + (b"\n" if ends else b""))
    wanted = [line.strip() for content in files for line in content if line.strip()]
    if all((tmp_path / f"{number}.jsonl").stat().st_size == 0 for number in range(len(files))):
        return
    folder, objects = resolve(f"{tmp_path}/*.jsonl")
    for stale in range(len(files), 3):
        objects = tuple(found for found in objects if found.name != f"{stale}.jsonl")
    store = Store.at(folder)
    parts = split(objects, part_bytes=part_bytes)
    read = [line for part in parts for span in part for line in read_lines(store, span)]
    assert [line.content.strip() for line in read] == wanted


def test_lines_longer_than_a_block_are_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "BLOCK_BYTES", 7)
    (tmp_path / "a.jsonl").write_bytes(b"x" * 50 + b"\n" + b"y" * 20)
    folder, (found,) = resolve(f"{tmp_path}/a.jsonl")
    parts = split([found], part_bytes=30)
    read = [line for (span,) in parts for line in read_lines(Store.at(folder), span)]
    assert [len(line.content.strip()) for line in read] == [50, 20]
    assert line_number(Store.at(folder), found, read[1].offset) == 2


def test_a_star_stands_for_a_part_of_a_name_but_not_for_folders(tmp_path: Path) -> None:
    for name in ("a-1.jsonl", "a-2.jsonl", "b.jsonl", "deep/a-3.jsonl", "a-[4].jsonl"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("{}")
    assert [found.name for found in resolve(f"{tmp_path}/a-*.jsonl")[1]] == ["a-1.jsonl", "a-2.jsonl", "a-[4].jsonl"]
    folder, objects = resolve(f"{tmp_path}/*/a-*.jsonl")
    assert (folder, [found.name for found in objects]) == (str(tmp_path), ["deep/a-3.jsonl"])


def test_what_is_not_there_or_empty_is_refused_by_its_address(tmp_path: Path) -> None:
    with pytest.raises(RefusedError, match=r"nothing\.jsonl names no object"):
        resolve(f"{tmp_path}/nothing.jsonl")
    (tmp_path / "empty.jsonl").touch()
    with pytest.raises(RefusedError, match=r"empty\.jsonl is empty"):
        resolve(f"{tmp_path}/empty.jsonl")


def test_an_object_that_changed_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"text": "a"}\n')
    folder, (found,) = resolve(str(path))
    path.write_text('{"text": "other"}\n')
    ((span,),) = split([found])
    with pytest.raises(RefusedError, match=r"a\.jsonl changed after the job had started: it had 14 bytes"):
        list(read_lines(Store.at(folder), span))
    path.unlink()
    with pytest.raises(RefusedError, match=r"a\.jsonl was deleted"):
        list(read_lines(Store.at(folder), span))


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        pytest.param(b"{'a': 1}", r"is no JSON \(.* at character 2\)", id="no JSON"),
        pytest.param(b'["a"]', "is a JSON list, not an object", id="no object"),
        pytest.param(b'{"a": "\xff"}', r"is no UTF-8 text \(byte 8 is 0xff\)", id="no UTF-8"),
    ],
)
def test_a_line_that_is_no_record_says_why(line: bytes, sentence: str) -> None:
    with pytest.raises(MalformedRecordError, match=sentence):
        parse(line)
