"""Facts inside a .tflite: TFLite's own metadata table, and `atpn.json` zipped onto its end.

TFLite's convention lets a file be both a flatbuffer and a zip archive of associated files, so that
the JSON can be read on a board with nothing but the standard library (or with `unzip`).
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from atpn_deploy.errors import ArtifactError
from atpn_deploy.tflite_bytes import check_complete, read_content
from atpn_exporters.tflite_flatbuffer import pack, unpack

#: The associated file that holds the facts.
JSON_NAME = "atpn.json"
#: Name of the metadata entry and identifier of its flatbuffer, both TFLite's.
METADATA_NAME = b"TFLITE_METADATA"
METADATA_IDENTIFIER = b"M001"
#: Zip stores a time for each file; a fixed one keeps the bytes reproducible.
ZIP_EPOCH = (1980, 1, 1, 0, 0, 0)
#: Places of the fields in the tables of TFLite's metadata_schema.fbs.
NAME, DESCRIPTION, VERSION, AUTHOR, LICENSE, FILES, MIN_PARSER = 0, 1, 2, 4, 5, 6, 7
FILE_NAME, FILE_DESCRIPTION = 0, 1


def with_metadata(content: bytes, facts: Mapping[str, Any]) -> bytes:
    """The file with `facts` in both forms.

    `name`, `description`, `version`, `author` and `license` are taken from `facts` for the table,
    where they are strings; the JSON holds all of it, keys sorted.
    """
    from ai_edge_litert import schema_py_generated as schema

    model = unpack(content)
    buffer = schema.BufferT()
    buffer.data = _table(facts)
    model.buffers.append(buffer)
    entry = schema.MetadataT()
    entry.name, entry.buffer = METADATA_NAME, len(model.buffers) - 1
    others = [other for other in model.metadata or [] if other.name != METADATA_NAME]
    model.metadata = [*others, entry]
    return _with_archive(pack(model), facts)


def _table(facts: Mapping[str, Any]) -> bytes:
    """The ModelMetadata flatbuffer, which names the JSON as an associated file."""
    import flatbuffers

    builder = flatbuffers.Builder(1024)
    file_name = builder.CreateString(JSON_NAME)
    file_description = builder.CreateString("every fact about this file, as JSON")
    builder.StartObject(5)
    builder.PrependUOffsetTRelativeSlot(FILE_NAME, file_name, 0)
    builder.PrependUOffsetTRelativeSlot(FILE_DESCRIPTION, file_description, 0)
    file = builder.EndObject()
    builder.StartVector(4, 1, 4)
    builder.PrependUOffsetTRelative(file)
    files = builder.EndVector()
    strings = {place: builder.CreateString(facts[key]) for place, key in _strings(facts).items()}
    builder.StartObject(8)
    builder.PrependUOffsetTRelativeSlot(FILES, files, 0)
    for place, text in strings.items():
        builder.PrependUOffsetTRelativeSlot(place, text, 0)
    builder.Finish(builder.EndObject(), file_identifier=METADATA_IDENTIFIER)
    return bytes(builder.Output())


def _strings(facts: Mapping[str, Any]) -> dict[int, str]:
    """Place in the table to the key of `facts` that fills it."""
    places = {
        NAME: "name",
        DESCRIPTION: "description",
        VERSION: "version",
        AUTHOR: "author",
        LICENSE: "license",
    }
    return {place: key for place, key in places.items() if isinstance(facts.get(key), str)}


def _with_archive(content: bytes, facts: Mapping[str, Any]) -> bytes:
    """The flatbuffer with a zip archive behind it that holds the JSON, stored as it is."""
    text = json.dumps(facts, sort_keys=True, indent=1, ensure_ascii=False).encode()
    file = io.BytesIO(content)
    with zipfile.ZipFile(file, "a", zipfile.ZIP_STORED) as archive:
        member = zipfile.ZipInfo(JSON_NAME, ZIP_EPOCH)
        member.create_system = 3  # or the bytes would tell the exporting operating system
        member.external_attr = 0o644 << 16
        archive.writestr(member, text)
    return file.getvalue()


def read_metadata(path: Path) -> dict[str, Any]:
    """The facts inside a .tflite of this project, {} for another's; the standard library is enough.

    Raises ArtifactError for a file that is missing, no .tflite, or cut off.
    """
    content = read_content(path)
    try:
        check_complete(content)
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            facts: dict[str, Any] = json.loads(archive.read(JSON_NAME))
    except ArtifactError as error:
        raise ArtifactError(f"{path} is {error}") from error
    except (zipfile.BadZipFile, KeyError, ValueError) as error:
        if JSON_NAME.encode() in content:  # its table promises facts that are not there
            raise ArtifactError(f"{path} is cut off: its {JSON_NAME} is unreadable") from error
        return {}
    return facts
