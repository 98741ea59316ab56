"""Reading files and values of the command line: what is accepted, refused, and never opened."""

from __future__ import annotations

import os
import tracemalloc
import unicodedata
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from tui_trainer.config.yaml.reader import parse_document, parse_value, read_document
from tui_trainer.config.yaml.scalars import read_plain
from tui_trainer.text.errors import BadInput, ConfigError, Problem


def refused(text: str) -> tuple[Problem, ...]:
    """The problems of a text that has to be refused."""
    with pytest.raises(ConfigError) as caught:
        parse_document(text, "p.yaml")
    return caught.value.problems


def refused_file(path: Path, content: bytes) -> Problem:
    path.write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        read_document(path)
    assert str(path) in str(caught.value)
    return caught.value.problems[0]


def test_a_problem_stands_at_its_key_or_at_the_nearest_one_above() -> None:
    document = parse_document("a:\n  b: 1\n", "p.yaml")
    assert str(document.problem(("a", "b"), "wrong")) == "p.yaml:2:3: a.b: wrong"
    assert str(document.problem(("a", "c", 3), "missing")) == "p.yaml:1:1: a.c.3: missing"
    assert str(document.problem(("z",), "missing")) == "p.yaml: z: missing"
    assert document.problem(("\x1b[2J",), "unknown").key == r"\x1b[2J"


@pytest.mark.parametrize("text", ["", "\n\n", "# only a comment\n", "---\n", "--- ~\n", "\ufeff"])
def test_fault_34_an_empty_file_is_refused(text: str) -> None:
    (problem,) = refused(text)
    assert problem.message == "empty; expected 'key: value' lines"


@pytest.mark.parametrize(("text", "what"), [("- a\n- b", "a list"), ("word", "a single value")])
def test_fault_34_a_list_or_scalar_instead_of_a_mapping_is_refused(text: str, what: str) -> None:
    (problem,) = refused(text)
    assert problem.message == f"{what}; expected 'key: value' lines"


def test_fault_34_a_byte_order_mark_is_skipped(tmp_path: Path) -> None:
    (tmp_path / "p.yaml").write_bytes(b"\xef\xbb\xbfa: 1\r\nb: 2\r\n")
    document = read_document(tmp_path / "p.yaml")
    assert document.data == {"a": 1, "b": 2}
    assert document.places == {("a",): (1, 1), ("b",): (2, 1)}


def test_fault_34_a_file_that_is_not_utf_8_is_refused_with_its_place(tmp_path: Path) -> None:
    problem = refused_file(
        tmp_path / "p.yaml", "a: ü\r\nb: Adélie".encode("latin-1").replace(b"\xfc", b"u")
    )
    assert problem.message == "not UTF-8 (byte 0xE9 at offset 11); save it as UTF-8"
    assert (problem.line, problem.column) == (2, 6)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-be"])
def test_fault_34_utf_16_is_told_from_plain_nonsense(tmp_path: Path, encoding: str) -> None:
    problem = refused_file(tmp_path / "p.yaml", "training:\n  epochs: 3\n".encode(encoding))
    assert "UTF-16" in problem.message
    assert "save it as UTF-8" in problem.message


@pytest.mark.parametrize("character", ["\0", "\x07", "\x1b", "\x7f", "\x9b", "\ufffe"])
def test_fault_34_control_characters_are_refused_with_their_place(
    tmp_path: Path, character: str
) -> None:
    problem = refused_file(tmp_path / "p.yaml", f"a: 1\r\nb: x{character}y\n".encode())
    assert (problem.line, problem.column) == (2, 5)
    assert f"U+{ord(character):04X}" in problem.message


def test_fault_34_a_file_of_zeros_is_refused(tmp_path: Path) -> None:
    assert "U+0000" in refused_file(tmp_path / "p.yaml", bytes(4096)).message


def test_fault_34_a_file_of_100_megabytes_is_refused_unread(tmp_path: Path) -> None:
    with open(tmp_path / "p.yaml", "wb") as file:
        file.truncate(100_000_000)
    tracemalloc.start()
    try:
        with pytest.raises(ConfigError, match="100,000,000 bytes, and at most 1,000,000 are read"):
            read_document(tmp_path / "p.yaml")
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


def test_fault_34_the_largest_file_is_read_and_one_byte_more_is_not(tmp_path: Path) -> None:
    path = tmp_path / "p.yaml"
    path.write_text("a: " + "x" * (1_000_000 - 3))
    assert len(read_document(path).data["a"]) == 1_000_000 - 3
    path.write_text("a: " + "x" * (1_000_000 - 2))
    with pytest.raises(ConfigError, match="right file"):
        read_document(path)
    with pytest.raises(ConfigError, match="characters"):
        parse_document(path.read_text(), "")


def test_fault_34_what_is_no_file_is_refused_unopened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path, words in (
        (tmp_path, "a directory"),
        (tmp_path / "pipe", "a pipe"),
        (Path("/dev/zero"), "a device"),
        (tmp_path / "absent.yaml", "no such file"),
        (tmp_path / "absent" / "x.yaml", "no such file"),
        (tmp_path / "a\0b", "not the name of a file"),
        (tmp_path / ("x" * 300), "name too long"),
    ):
        with pytest.raises(BadInput, match=words):
            read_document(path)


class LookedAtEarlier(type(Path())):  # type: ignore[misc]
    """A path that was an ordinary file when it was looked at."""

    def stat(self, *, follow_symlinks: bool = True) -> os.stat_result:
        return os.stat(__file__, follow_symlinks=follow_symlinks)


def test_fault_34_a_file_that_turns_into_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "p.yaml")
    with pytest.raises(BadInput, match="a pipe"):
        read_document(LookedAtEarlier(tmp_path / "p.yaml"))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every file")
def test_a_file_that_may_not_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "p.yaml").touch(mode=0o000)
    with pytest.raises(BadInput, match=r"p\.yaml: permission denied"):
        read_document(tmp_path / "p.yaml")


def test_fault_37_a_foreign_file_name_is_clean_in_the_message(tmp_path: Path) -> None:
    (tmp_path / "\x1b[2J.yaml").touch()
    with pytest.raises(ConfigError, match="empty") as caught:
        read_document(tmp_path / "\x1b[2J.yaml")
    assert "\x1b" not in str(caught.value)


def parse_or_refuse(text: str) -> str:
    """What a value of the command line is refused with, or nothing."""
    try:
        parse_value(text)
    except BadInput as error:
        return str(error)
    return ""


def read_or_refuse(path: Path) -> str:
    """What a file is refused with, or nothing."""
    try:
        assert isinstance(read_document(path).data, dict)
    except ConfigError as error:
        return str(error)
    return ""


def steers_a_terminal(text: str) -> bool:
    return any(unicodedata.category(char) in ("Cc", "Cs", "Zl", "Zp") for char in text)


def test_fault_35_a_malicious_file_runs_nothing(tmp_path: Path) -> None:
    marker = tmp_path / "marker"
    orders = [
        f"a: !!python/object/apply:os.system ['touch {marker}']",
        f"!!python/object/apply:os.system ['touch {marker}']",
        f"? !!python/object/apply:os.system ['touch {marker}']\n: 1",
        f"a: !!python/object/new:os.mkdir ['{marker}']",
        f"%TAG ! tag:yaml.org,2002:python/object/apply:\n---\na: !os.mkdir ['{marker}']",
        f"a: !<tag:yaml.org,2002:python/object/apply:os.mkdir> ['{marker}']",
    ]
    for number, order in enumerate(orders):
        refused_file(tmp_path / f"{number}.yaml", order.encode())
        parse_or_refuse(order)
        parse_or_refuse(order.partition("a: ")[2])
    assert not marker.exists()


def test_fault_35_names_of_code_are_read_as_texts_and_not_looked_up() -> None:
    text = "_target_: os.system\ntype: ../../x\ntrust_remote_code: true\n"
    assert parse_document(text, "").data == {
        "_target_": "os.system",
        "type": "../../x",
        "trust_remote_code": True,
    }


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("[128,64]", [128, 64]),
        (" [1e-3, a, 'b c', 1:30] ", [0.001, "a", "b c", "1:30"]),
        ("{a: 1, b: [x]}", {"a": 1, "b": ["x"]}),
        ('{"a":1}', {"a": 1}),
        ("'12'", "12"),
        ('"a\\tb"', "a\tb"),
        ("!!str 5", "5"),
        ("C:\\x", "C:\\x"),
        ("[C:\\x, builtin:y.csv]", ["C:\\x", "builtin:y.csv"]),
        ("builtin:penguins.csv", "builtin:penguins.csv"),
        ("a: b", "a: b"),
        ("data #2.csv", "data #2.csv"),
        ("- 1", "- 1"),
        ("@x", "@x"),
        ("50%", "50%"),
        ("a, b", "a, b"),
    ],
)
def test_a_value_of_the_command_line_needs_quotes_only_where_it_is_yaml(
    text: str, value: Any
) -> None:
    assert parse_value(text) == value


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[1,2", "']'"),
        ("{a: 1", "'}'"),
        ("{a:1}", "space"),
        ("{a: 1, a: 2}", "duplicate"),
        ("'a", "never closed"),
        ('"a" b', "fit"),
        ("[1] [2]", "fit"),
        ("[1]\n---\n[2]", "second document"),
        ("*.csv", "quote"),
        ("&a 1", "anchors"),
        ("!!python/name:os.system x", "tag"),
        ("1e999", "too large"),
        ("a\x1bb", r"U\+001B"),
        ("\udcff.csv", r"U\+DCFF"),
        ("[" * 10_000, "deeper"),
        ("x" * 1_000_001, "characters"),
    ],
)
def test_fault_34_a_bad_value_of_the_command_line_is_refused(text: str, words: str) -> None:
    with pytest.raises(BadInput, match=words) as caught:
        parse_value(text)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 200


YAMLISH = st.text(
    st.sampled_from([*"ab01:-,?#&*!|>'\"%@`[]{} \n\t\r\\.~<=eExo_", "\0", "\u2028", "é", "🐧"])
)
SNIPPETS = st.lists(
    st.sampled_from(["a: ", "\n", "  ", "- ", "[", "]", "{", "}", "1", "'", '"', "\\x4", "!!str "])
    | st.sampled_from(
        ["? ", ": ", "|\n", "--- ", "...\n", "&a ", "*a", "%TAG ", "%YAML 1.", "#", "!<"]
    )
).map("".join)


@given(st.binary() | YAMLISH.map(str.encode) | SNIPPETS.map(str.encode))
def test_fault_34_any_bytes_are_a_document_or_a_list_of_problems(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.yaml"
    path.write_bytes(content)
    for line in read_or_refuse(path).split("\n"):
        assert not steers_a_terminal(line)


@given(st.text() | YAMLISH | SNIPPETS)
def test_fault_34_any_text_on_the_command_line_is_a_value_or_bad_input(text: str) -> None:
    assert not steers_a_terminal(parse_or_refuse(text))


TEXT_DATA = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63) + 1, 2**63 - 1)
    | st.floats(allow_nan=False)
    | TEXT_DATA,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT_DATA, inner, max_size=4),
    max_leaves=12,
)


class Unshared(yaml.SafeDumper):
    """Writes every value out: what is read has no aliases."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def reads_the_same_in_both(text: str) -> bool:
    """Not so for `1e3` and `08`: texts to YAML 1.1, which therefore writes them without quotes."""
    return isinstance(read_plain(text)[0], str) or yaml.safe_dump(text)[0] in "'\""


def all_texts(data: Any) -> list[str]:
    if isinstance(data, dict):
        return [*data, *(text for value in data.values() for text in all_texts(value))]
    if isinstance(data, list):
        return [text for value in data for text in all_texts(value)]
    return [data] if isinstance(data, str) else []


@given(st.dictionaries(TEXT_DATA, PLAIN, max_size=4), st.booleans())
def test_what_is_written_with_quotes_and_tags_is_read_back_equal(
    data: dict[str, Any], allow_unicode: bool
) -> None:
    text = yaml.dump(data, Dumper=Unshared, default_style='"', allow_unicode=allow_unicode)
    assert parse_document(text, "").data == data


@given(st.dictionaries(TEXT_DATA, PLAIN, max_size=4), st.sampled_from([None, True, False]))
def test_what_is_written_plainly_is_read_back_equal(
    data: dict[str, Any], default_flow_style: bool | None
) -> None:
    text = yaml.dump(data, Dumper=Unshared, default_flow_style=default_flow_style)
    if all(map(reads_the_same_in_both, all_texts(data))):
        assert parse_document(text, "").data == data


@pytest.mark.parametrize("text", ["1e-3", "1E5", "0o17", "08"])
def test_a_text_that_yaml_1_1_would_not_quote_has_to_be_quoted(text: str) -> None:
    assert yaml.safe_dump({"a": text}) == f"a: {text}\n"
    assert not isinstance(parse_document(f"a: {text}", "").data["a"], str)
    assert parse_document(f"a: '{text}'", "").data == {"a": text}
