"""Questions about whole files, asked of DuckDB, which spills to disk what memory cannot hold."""

from pathlib import Path

import duckdb


def duckdb_in(folder: Path) -> duckdb.DuckDBPyConnection:
    """A DuckDB of its own, in 256 MB of memory and, beyond that, in the folder."""
    return duckdb.connect(
        config={
            "memory_limit": "256MB",
            "threads": 2,
            "temp_directory": str(folder / "spill"),
            "preserve_insertion_order": False,
        }
    )
