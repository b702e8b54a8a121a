"""Damaged files: whatever is done to them, no reader crashes, hangs or loses an entry that was
left whole."""

import gzip
import json
import time
import tracemalloc
import zlib

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from data_pipelines.common.errors import UserError
from data_pipelines.protanno.record import Record
from data_pipelines.readers import Reject, read_entries
from data_pipelines.readers.streams.pieces import MAX_BYTES
from tests.support import uniprot_writers as writers
from tests.support.uniprot_writers import PROTEIN, Protein

LAB = (
    "accession\tsequence\tname\tfunction\tlocation\tsimilarity\n"
    + "LAB{}\tMKV\tWidgetase\tCuts.\tNucleus.\tBelongs.\n" * 3
)
RELEASED = (
    '{"seq": "MKV", "text": "PROTEIN NAME: Widgetase. FUNCTION: Cuts. SIMILARITY: Belongs."}\n' * 3
)
LAB_OBJECTS = (
    '{"accession": "LAB1", "sequence": "MKV", "name": "Widgetase", "location": "Nucleus.", '
    '"features": [["SITE", 1, 2, ""]]}\n' * 3
)


def _proteins():
    return [
        PROTEIN,
        Protein("P22222", "P22222_TEST", "trembl", 4, ("Small protein", ()), "MKV"),
        PROTEIN,
    ]


SOUND = {
    "a.dat": writers.flat_file(_proteins()),
    "a.xml": writers.xml_file(_proteins()),
    "a.json": writers.json_file(_proteins()),
    "pretty.json": json.dumps({"results": list(map(writers.as_json, _proteins()))}, indent=1),
    "sorted.json": json.dumps(list(map(writers.as_json, _proteins())), sort_keys=True),
    "a.jsonl": writers.json_lines(_proteins()),
    "a.tsv": writers.tsv_file(_proteins()),
    "lab.tsv": LAB.format(1, 2, 3),
    "released.jsonl": RELEASED,
    "lab.jsonl": LAB_OBJECTS,
}


def read(path, content: bytes) -> list | str:
    """The entries, each checked, or the sentence that refuses the file."""
    path.write_bytes(content)
    try:
        entries = list(read_entries(path))
    except UserError as error:
        sentence = str(error)
    else:
        sentence = ""
    if sentence:
        assert "\n" not in sentence
        sentence.encode()
        return sentence
    for entry in entries:
        assert isinstance(entry, Record | Reject)
        repr(entry).encode()
        if isinstance(entry, Reject):
            assert entry.reason
            assert entry.line > 0
    return entries


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("fuzz")


@st.composite
def damages(draw, content: bytes):
    """The content with a few lines or bytes cut, repeated, moved, overwritten or put in."""
    for _ in range(draw(st.integers(1, 4))):
        unit = draw(st.sampled_from([b"\n", b" ", b'"', b""]))
        parts = (
            content.split(unit) if unit else [content[at : at + 1] for at in range(len(content))]
        )
        position = draw(st.integers(0, len(parts) - 1))
        other = draw(st.integers(0, len(parts) - 1))
        match draw(st.sampled_from(["cut", "repeat", "move", "swap", "bytes", "end"])):
            case "cut":
                del parts[position : other + 1]
            case "repeat":
                parts.insert(other, parts[position])
            case "move":
                parts.insert(min(other, len(parts) - 1), parts.pop(position))
            case "swap":
                parts[position], parts[other] = parts[other], parts[position]
            case "bytes":
                noise = st.sampled_from(
                    [
                        b"\0",
                        b"\xff\xfe",
                        b"\xe9",
                        b"\r",
                        b"\t",
                        b"//\n",
                        b"<",
                        b"{",
                        b"}",
                        b'"',
                        b"\\",
                        b"]]>",
                    ]
                )
                parts.insert(position, draw(noise | st.binary(max_size=20)))
            case "end":
                del parts[position + 1 :]
        content = unit.join(parts)
        if not content:
            return content
    return content


FUZZ = {"deadline": None, "suppress_health_check": list(HealthCheck)}


@pytest.mark.parametrize("name", SOUND)
@settings(max_examples=60, **FUZZ)
@given(data=st.data())
def test_damaged_files_never_crash_a_reader(folder, name, data):
    read(folder / name, data.draw(damages(SOUND[name].encode())))


@pytest.mark.soak
@pytest.mark.parametrize("name", SOUND)
@settings(max_examples=20_000, **FUZZ)
@given(data=st.data())
def test_files_damaged_in_many_ways_never_crash_a_reader(folder, name, data):
    read(folder / name, data.draw(damages(SOUND[name].encode())))


@pytest.mark.parametrize("suffix", [".dat", ".xml", ".json", ".jsonl", ".tsv"])
@settings(max_examples=40, **FUZZ)
@given(
    content=st.binary(max_size=300)
    | st.text('{}[]",:\\ \nabc<>/=!-&;\t\0é', max_size=300).map(str.encode)
)
def test_anything_at_all_is_read_or_refused(folder, suffix, content):
    read(folder / f"noise{suffix}", content)


@pytest.mark.parametrize("name", [name for name in SOUND if name != "sorted.json"])
@settings(max_examples=40, **FUZZ)
@given(data=st.data())
def test_a_damaged_entry_does_not_touch_its_neighbours(folder, name, data):
    """The middle one of three; damage that begins another entry or closes the file is left to
    the tests above."""
    content = SOUND[name].encode()
    whole = read(folder / name, content)
    assert len(whole) == 3
    assert all(isinstance(entry, Record) for entry in whole)
    start, end = _middle(name, content)
    position = data.draw(st.integers(start + 1, end - 1))
    cut = data.draw(st.integers(position, min(position + 200, end - 1)))
    noise = data.draw(
        st.sampled_from([b"", b"\0", b"\xff", b'"', b"{", b"}", b"<", b"&", b"x" * 99])
    )
    entries = read(folder / name, content[:position] + noise + content[cut:])
    assert entries[0] == whole[0]
    assert entries[-1].accession == whole[2].accession
    assert 2 <= len(entries) <= 4


def _middle(name: str, content: bytes) -> tuple[int, int]:
    """Where the inside of the second entry lies: behind what marks its start, before what marks
    its end."""
    marks = {
        "a.dat": b"ID  ",
        "a.xml": b"<entry ",
        "a.json": b'{"entryType"',
        "pretty.json": b'{\n   "entryType"',
    }
    if mark := marks.get(name):
        start = content.index(mark, content.index(mark) + 1)
        end = content.index(mark, start + 1)
        ends = {"a.dat": b"\n//", "a.xml": b"</entry"}
        return start + len(mark), content.rindex(ends.get(name, b"}"), start, end)
    lines = content.split(b"\n")
    skipped = 2 if name.endswith(".tsv") else 1
    start = sum(len(line) + 1 for line in lines[:skipped])
    return start, start + len(lines[skipped])


LONG = 1 << 20


@pytest.mark.parametrize("name", SOUND)
@pytest.mark.parametrize(
    "junk",
    [
        b"A",
        b" ",
        b"\0",
        b'"',
        b"(",
        b"RecName: Full=",
        b'/note="',
        b"a; ",
        b"{",
        b"[",
        b"<a>",
        b"\\",
        b"- ",
    ],
)
def test_a_line_of_a_megabyte_takes_no_time(tmp_path, name, junk):
    """Of whatever letters; in the first place where the sound file names its protein."""
    content = SOUND[name].encode()
    position = content.index(b"amylase" if b"amylase" in content else b"Widgetase")
    start = time.process_time()
    read(tmp_path / name, content[:position] + junk * (LONG // len(junk)) + content[position:])
    assert time.process_time() - start < 5


@pytest.mark.parametrize("name", SOUND)
def test_no_entry_grows_without_bound(tmp_path, name):
    """A gzip bomb: 80 MB in an entry, 80 kB in the file. Memory stays within a few entries of
    the largest size."""
    content = SOUND[name].encode()
    position = content.index(b"amylase" if b"amylase" in content else b"Widgetase")
    packer = zlib.compressobj(1, wbits=31)
    packed = packer.compress(content[:position])
    for _ in range(80):
        packed += packer.compress(b"A" * LONG)
    packed += packer.compress(content[position:]) + packer.flush()
    assert len(packed) < 500_000
    tracemalloc.start()
    entries = read(tmp_path / f"{name}.gz", packed)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 * MAX_BYTES
    assert any(
        "longer than 16 MiB" in entry.reason for entry in entries if isinstance(entry, Reject)
    )
    if name != "sorted.json":
        assert sum(isinstance(entry, Record) for entry in entries) == 2


@pytest.mark.parametrize("name", SOUND)
def test_a_cut_gzip_file_is_refused(tmp_path, name):
    path = tmp_path / f"{name}.gz"
    path.write_bytes(gzip.compress(SOUND[name].encode())[:-20])
    with pytest.raises(UserError, match="gzip data end early"):
        list(read_entries(path))


@pytest.mark.parametrize("depth", [1000, 100_000, 1_000_000])
def test_deep_nesting_is_a_reject(tmp_path, depth):
    sound = writers.json_file([PROTEIN])
    deep = sound.replace('"secondaryAccessions": [', '"secondaryAccessions": [' + "[" * depth, 1)
    (entry,) = read(tmp_path / "a.json", deep.encode())
    assert isinstance(entry, Reject)
    assert entry.accession == "P11111"
    sound = writers.xml_file([PROTEIN])
    (entry,) = read(
        tmp_path / "a.xml", sound.replace("<reference", "<a>" * depth + "<reference", 1).encode()
    )
    assert isinstance(entry, Reject)


BOMB = '<!DOCTYPE uniprot [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>'
OUTSIDE = '<!DOCTYPE uniprot [<!ENTITY a SYSTEM "file:///etc/hostname">]>'


@pytest.mark.parametrize(
    "declaration", [BOMB, OUTSIDE, '<!doctype uniprot SYSTEM "http://localhost/x.dtd">']
)
def test_xml_cannot_declare_entities(tmp_path, declaration):
    sound = writers.xml_file([PROTEIN])
    for position in ("<uniprot", "<entry"):
        assert "document type" in read(
            tmp_path / "a.xml", sound.replace(position, declaration + position, 1).encode()
        )
    entries = read(
        tmp_path / "a.xml", sound.replace("<accession", declaration + "<accession", 1).encode()
    )
    assert [type(entry) for entry in entries] == [Reject]
    (entry,) = read(tmp_path / "a.xml", sound.replace("Alpha", "&a;", 1).encode())
    assert "undefined entity" in entry.reason
