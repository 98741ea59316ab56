"""`format_of`: names the format of a data file by its first bytes, and the way out of a wrong one.

Layer: data.
"""

from __future__ import annotations

import json

from tui_trainer.data.files.content import Content
from tui_trainer.data.files.disk import DataFile, TableFormat
from tui_trainer.text.errors import BadInput

_PARQUET = b"PAR1"
_ZIP, _OLD_OFFICE = b"PK\x03\x04", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_ZIP_NAME = 30
"""Where the name of the first file in a zip archive begins."""
_SAVE_AS = "save it as CSV (File, Save As, Text CSV)"
_SAVE_AS_CSV = "save it as CSV (in Excel: File, Save As, CSV UTF-8)"
_WITH_PANDAS = "write it as CSV or Parquet (in pandas: pandas.{}(PATH).to_parquet(NEW_PATH))"
_FOREIGN = (
    (_OLD_OFFICE, "an Excel file", _SAVE_AS_CSV),
    (b"ARROW1", "a Feather file", _WITH_PANDAS.format("read_feather")),
    (b"FEA1", "a Feather file", _WITH_PANDAS.format("read_feather")),
    (b"ORC", "an ORC file", _WITH_PANDAS.format("read_orc")),
    (b"\x89HDF\r\n\x1a\n", "an HDF5 file", _WITH_PANDAS.format("read_hdf")),
    (b"SQLite format 3\x00", "an SQLite database", "export the table as CSV"),
    (b"PARE", "an encrypted Parquet file", "write it without encryption"),
    (b"Obj\x01", "an Avro file", "write it as CSV or Parquet"),
    (b"\x93NUMPY", "a NumPy array", "set dataset.type=arrays to train on it"),
    (b"BZh", "packed with bzip2", "unpack it with bunzip2"),
    (b"\xfd7zXZ\x00", "packed with xz", "unpack it with unxz"),
    (b"%PDF", "a PDF document", "a table is CSV, Parquet or JSON lines"),
    (b"<stata_dta>", "a Stata file", _WITH_PANDAS.format("read_stata")),
    (b"$FL2", "an SPSS file", _WITH_PANDAS.format("read_spss")),
    (b"\0" * 12 + b"\xc2\xea\x81\x60", "a SAS file", _WITH_PANDAS.format("read_sas")),
    (b"MATLAB 5.0 MAT", "a MATLAB file", "write it as CSV (in MATLAB: writetable)"),
    (b"RDX", "an R file", "write it as CSV (in R: write.csv)"),
)
_TEXTS = (
    ((b"<!doctype", b"<html"), "a web page", "was the download refused? It has to be CSV"),
    ((b"<?xml",), "an XML document", "write it as CSV or JSON lines"),
    ((b"@relation",), "an ARFF file", "write it as CSV (in Weka: Explorer, Save, CSV)"),
    (
        (b"version https://git-lfs",),
        "a pointer of Git LFS and not the file itself",
        "fetch the file: git lfs pull",
    ),
)
"""Texts of other kinds, by their beginnings in lower case."""
_TAR, _TAR_PLACE = b"ustar", 257
_SPREADSHEET = b"application/vnd.oasis.opendocument.spreadsheet"
_PICKLES = tuple(bytes([0x80, protocol]) for protocol in range(2, 6))
_JSON_LINES = ".jsonl or .ndjson: one object per line, as jq -c '.[]' writes it"
_LOOKED_AT = 64 << 10


def format_of(file: DataFile) -> TableFormat:
    """Return the format of a table.

    Raises:
        BadInput: the file is of a kind that is no table, or that cannot be read; says what to do.
    """
    first = file.content[:_LOOKED_AT]
    if first.startswith(_PARQUET):
        return "parquet"
    refuse_binary(file)
    text = first.removeprefix(b"\xef\xbb\xbf").lstrip()
    if text.startswith(b"{"):
        line = text.split(b"\n", 1)[0]
        if _is_json(line) or len(line) == _LOOKED_AT:
            return "json lines"
        if _is_cut_json(text):
            raise BadInput(f"{file.name}: is one JSON document; write it as {_JSON_LINES}")
    if text.startswith(b"[") and text[1:].lstrip()[:1] in (b"{", b"["):
        raise BadInput(f"{file.name}: is a JSON array; write it as {_JSON_LINES}")
    for beginnings, kind, advice in _TEXTS:
        if text[:64].lower().startswith(beginnings):
            raise BadInput(f"{file.name}: is {kind}; {advice}")
    return "csv"


def refuse_binary(file: DataFile) -> None:
    """Raise BadInput for a binary file of a well-known kind; says what it is and what to do."""
    first = file.content[:_LOOKED_AT]
    for magic, kind, advice in _FOREIGN:
        if first.startswith(magic):
            raise BadInput(f"{file.name}: is {kind}; {advice}")
    if first[_TAR_PLACE:].startswith(_TAR):
        raise BadInput(f"{file.name}: is a tar archive; unpack it, and name a file out of it")
    if first.startswith(_ZIP):
        if _SPREADSHEET in first[:200]:
            raise BadInput(f"{file.name}: is an OpenDocument spreadsheet; {_SAVE_AS}")
        if b"[Content_Types].xml" in first or b"xl/" in _end(file.content):
            raise BadInput(f"{file.name}: is an Excel file; {_SAVE_AS_CSV}")
        if first[_ZIP_NAME:].partition(b"PK")[0].find(b".npy") > 0:
            raise BadInput(
                f"{file.name}: has NumPy arrays (.npz); set dataset.type=arrays to train on them"
            )
        if b"data.pkl" in first[_ZIP_NAME:].partition(b"PK")[0]:
            raise BadInput(
                f"{file.name}: was written by torch.save, as a pickle, which can run code and is "
                "never loaded; write its tensors by numpy.savez or safetensors.torch.save_file"
            )
        raise BadInput(f"{file.name}: is a zip archive; unpack it, and name a file out of it")
    if first.startswith(_PICKLES):
        raise BadInput(
            f"{file.name}: is a Python pickle, which can run code and is never loaded; write it as "
            "CSV or Parquet"
        )


def _end(content: Content) -> bytes:
    return content[max(0, len(content) - _LOOKED_AT) :]


def _is_json(line: bytes) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except (ValueError, RecursionError):
        return False


def _is_cut_json(text: bytes) -> bool:
    """Whether a text begins as an object over several lines."""
    return text[1:].lstrip()[:1] in (b'"', b"}")
