"""An export as one zip, streamed and uncompressed: the Parquet files are compressed already."""

from zipstream import ZIP_STORED, ZipStream

from curation.models import Export
from curation.services.blobs import file_of


def zip_of(export: Export) -> ZipStream:
    """An iterable of bytes; its `len()` is the size of the zip."""
    archive = ZipStream(compress_type=ZIP_STORED, sized=True)
    for file in export.files.select_related("blob"):
        archive.add_path(str(file_of(file.blob)), arcname=f"{export.name}/{file.path}")
    return archive
