"""Several files as one: a tar that is read without being unpacked, in which each file belongs to a split.

Its bytes depend on the names and the bytes of the files alone, so the same files are recognised when they come again.
"""

import json
import re
import tarfile
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from django.utils.translation import gettext as _

from curation.reading.files import Part, Reading, Unreadable

SUFFIX = ".tar"
MOST = 10_000  # files
TRAIN, VALIDATION, TEST = "train", "validation", "test"
WORDS = {
    **dict.fromkeys(("train", "training", "trn"), TRAIN),
    **dict.fromkeys(("validation", "valid", "val", "dev", "development"), VALIDATION),
    **dict.fromkeys(("test", "testing", "tst"), TEST),
}
# What the library `datasets` writes beside its tables.
ABOUT = {"dataset_info.json", "dataset_infos.json", "dataset_dict.json", "state.json"}
FOR_LABELS = re.compile(r"(^|[^a-z])(labels?|targets?|classes|tgt|y)([^a-z]|$)")


def split_of(name: str) -> str:
    """The split that the name of a file or of its folder says; empty if it says none."""
    for part in reversed(PurePosixPath(name).parts):
        found = [WORDS[word] for word in re.split(r"[^a-z]+", part.lower()) if word in WORDS]
        if found:
            return found[-1]
    return ""


def write(path: Path, files: Iterable[tuple[str, BinaryIO, int]]) -> None:
    """Write (name, stream, bytes) as one file. Raises Unreadable where two have one name."""
    seen: set[str] = set()
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as archive:
        for name, stream, size in files:
            if name in seen:
                raise Unreadable(_("Two files are called “%(name)s”. Rename one.") % {"name": name})
            seen.add(name)
            member = tarfile.TarInfo(name)
            member.size = size
            archive.addfile(member, stream)


def members(path: Path) -> list[Part]:
    """The files that are in it, in order, but for what only says something about them."""
    try:
        with tarfile.open(path, "r:") as archive:
            found = [
                Part(path, one.name, "", one.offset_data, one.size)
                for one in archive
                if one.isreg() and not one.issparse() and not _is_about(PurePosixPath(one.name).name)
            ]
    except tarfile.TarError as error:
        message = _("The tar file is damaged, or packed itself (%(why)s). Pack the files in it, not the whole.")
        raise Unreadable(message % {"why": error}) from None
    if not found or len(found) > MOST:
        message = _("The tar file holds %(count)d files. One is needed at least, %(most)d may be.")
        raise Unreadable(message % {"count": len(found), "most": MOST})
    return found


def _is_about(name: str) -> bool:
    return name in ABOUT or name.startswith(".") or name.upper().split(".")[0] in ("README", "LICENSE", "LICENCE")


def parts_of(path: Path, reading: Reading) -> list[Part]:
    """The files to read, each with its split; of text files the labels go with the texts."""
    if not reading.files:
        return [Part(path)]
    there = {part.name: part for part in members(path)}
    parts = [replace(there[name], split=split) for name, split in reading.files]
    return _paired(parts) if reading.format == "text" else parts


def _paired(parts: list[Part]) -> list[Part]:
    splits = list(dict.fromkeys(part.split for part in parts))
    groups = [[part for part in parts if part.split == split] for split in splits]
    if not any(FOR_LABELS.search(part.name.lower()) for part in parts):
        return parts
    paired = []
    for group in groups:
        labels = [part for part in group if FOR_LABELS.search(part.name.lower())]
        texts = [part for part in group if part not in labels]
        if len(labels) != 1 or len(texts) != 1:
            message = _(
                "Of each split one file of texts is needed and one of labels, with “label” in its name. "
                "Here are: %(names)s."
            )
            raise Unreadable(message % {"names": ", ".join(part.name for part in group)})
        paired.append(replace(texts[0], labels=labels[0]))
    return paired


# --- Folders ----------------------------------------------------------------------------------------------------------


def files_in(folder: Path, suffixes: Iterable[str]) -> list[Path]:
    """The files of a folder that hold rows, in the order of their names.

    Of what `datasets` saved, its own list says which: it leaves others there that are copies.
    """
    states = sorted(folder.rglob("state.json"))
    if states:
        return [file for state in states for file in _saved(state)]
    wanted = tuple(suffixes)
    found = sorted(file for file in folder.rglob("*") if file.is_file() and not _is_about(file.name))
    return [file for file in found if any(suffix in wanted for suffix in file.suffixes)]


def _saved(state: Path) -> list[Path]:
    try:
        said = json.loads(state.read_bytes())
        files = [state.parent / one["filename"] for one in said["_data_files"]]
    except (ValueError, KeyError, TypeError):
        raise Unreadable(_("%(path)s is not what save_to_disk writes. Save it again.") % {"path": state}) from None
    if said.get("_indices_data_files") or said.get("_indices_files"):
        message = _("%(path)s picks rows by a second table. Call flatten_indices() on it, and save it again.")
        raise Unreadable(message % {"path": state})
    return files
