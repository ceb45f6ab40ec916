#!/usr/bin/env python3
"""Opens a run with polars, pandas (pyarrow) and DuckDB, one line each, and checks that all see the
same, that it agrees with manifest.json and skipped.json, and that A is the sum of the top-channel lists.

    pip install polars pandas pyarrow duckdb
    python tools/check_formats.py RUN

Exit code 0: everything agrees; 1: the differences are listed.
"""

import hashlib
import json
import sys
from pathlib import Path

import duckdb
import pandas as pd
import polars as pl

NO_LABEL = 2**32 - 1
PARTITIONED = {
    "top_channels": "layer",
    "examples": "layer",
    "range_examples": "layer",
    "activations": "layer",
    "histograms": "layer",
    "influence": "conv",
}
KINDS = {
    "top_channels": {"image": "u32", "channel": "u32", "value": "f32", "share": "f32", "row": "u16", "column": "u16"},
    "examples": {"channel": "u32", "rank": "u16", "image": "u32", "value": "f32", "row": "u16", "column": "u16", "mask": "u64"},
    "range_examples": {"channel": "u32", "rank": "u16", "image": "u32", "value": "f32", "row": "u16", "column": "u16", "mask": "u64"},
    "activations": {"label": "u32", "prediction": "u32", "channel": "u32", "images": "u32"},
    "histograms": {"channel": "u32", "bin": "u32", "images": "u32"},
    "influence": {"label": "u32", "prediction": "u32", "output": "u32", "input": "u32", "count": "u32"},
}
POLARS_KIND = {"u32": pl.UInt32, "u16": pl.UInt16, "u64": pl.UInt64, "f32": pl.Float32}
DUCKDB_KIND = {"u32": "UINTEGER", "u16": "USMALLINT", "u64": "UBIGINT", "f32": "FLOAT"}


def rows_of(columns):
    """A dictionary of equally long columns as a sorted list of rows."""
    return sorted(zip(*(columns[name] for name in sorted(columns))))


class Checker:
    def __init__(self, run):
        self.run = Path(run)
        self.manifest = json.loads((self.run / "manifest.json").read_text())
        later = {"mask"} if self.manifest["schema_version"] < 3 else set()
        self.kinds = {table: {name: kind for name, kind in columns.items() if name not in later} for table, columns in KINDS.items()}
        self.problems = []

    def expect(self, what, found, wanted):
        if found != wanted:
            self.problems.append(f"{what}: {str(found)[:200]} instead of {str(wanted)[:200]}")

    def files(self):
        for entry in self.manifest["files"]:
            content = (self.run / entry["path"]).read_bytes()
            self.expect(f"size of {entry['path']}", len(content), entry["bytes"])
            self.expect(f"hash of {entry['path']}", hashlib.sha256(content).hexdigest(), entry["sha256"])

    def images(self):
        path = f"{self.run}/images.parquet"
        by_polars = pl.read_parquet(path)
        by_pandas = pd.read_parquet(path, dtype_backend="pyarrow")
        by_duckdb = duckdb.sql(f"from '{path}' order by image").fetchall()
        self.expect("images done", by_polars.height, self.manifest["counts"]["done"])
        self.expect("images in DuckDB", by_duckdb, by_polars.rows())
        for name in by_polars.columns:
            polars, pandas = by_polars[name].to_list(), by_pandas[name].tolist()
            pandas = [None if value is pd.NA else list(value) if hasattr(value, "__len__") and not isinstance(value, str) else value for value in pandas]
            self.expect(f"images.{name} in pandas", pandas, polars)
        first = [classes[0] for classes in by_polars["top_classes"].to_list()]
        self.expect("predictions", by_polars["prediction"].to_list(), first)

    def skipped(self):
        wanted = json.loads((self.run / "skipped.json").read_text())
        path = f"{self.run}/skipped.parquet"
        self.expect("skipped.json", len(wanted), self.manifest["counts"]["skipped"])
        self.expect("skipped in polars", pl.read_parquet(path).to_dicts(), wanted)
        self.expect("skipped in pandas", pd.read_parquet(path).to_dict("records"), wanted)
        by_duckdb = duckdb.sql(f"select image, path, reason from '{path}' order by image").fetchall()
        self.expect("skipped in DuckDB", by_duckdb, [(s["image"], s["path"], s["reason"]) for s in wanted])

    def partitioned(self, table, key):
        folder = f"{self.run}/{table}"
        by_polars = pl.scan_parquet(f"{folder}/**/*.parquet", hive_partitioning=True).collect()
        by_pandas = pd.read_parquet(folder)
        by_duckdb = duckdb.sql(f"from read_parquet('{folder}/**/*.parquet', hive_partitioning=true)")
        for name, kind in self.kinds[table].items():
            self.expect(f"type of {table}.{name} in polars", by_polars.schema[name], POLARS_KIND[kind])
            found = dict(zip(by_duckdb.columns, map(str, by_duckdb.types))).get(name)
            self.expect(f"type of {table}.{name} in DuckDB", found, DUCKDB_KIND[kind])
        names = list(self.kinds[table]) + [key]
        polars = {name: by_polars[name].to_list() for name in names}
        pandas = {name: by_pandas[name].tolist() for name in names}
        duck = dict(zip(names, zip(*by_duckdb.select(*(f'"{name}"' for name in names)).fetchall()))) or {n: [] for n in names}
        self.expect(f"{table} in pandas", rows_of(pandas), rows_of(polars))
        self.expect(f"{table} in DuckDB", rows_of(duck), rows_of(polars))
        listed = self.manifest["model"]["info"]["layers" if key == "layer" else "convs"]
        unknown = set(map(str, polars[key])) - {entry["name"] for entry in listed}
        self.expect(f"unknown {key}s in {table}", unknown, set())

    def thumbnails(self):
        """One of every example, each a JPEG."""
        path = f"{self.run}/thumbnails.parquet"
        by_polars = pl.read_parquet(path)
        by_pandas = pd.read_parquet(path)
        by_duckdb = duckdb.sql(f"from '{path}' order by image").fetchall()
        self.expect("thumbnails in DuckDB", by_duckdb, by_polars.rows())
        self.expect("thumbnails in pandas", by_pandas["jpeg"].tolist(), by_polars["jpeg"].to_list())
        beginnings = {bytes(jpeg[:2]) for jpeg in by_polars["jpeg"].to_list()}
        self.expect("beginnings of thumbnails", beginnings, {b"\xff\xd8"})
        tables = [f"{self.run}/{table}/**/*.parquet" for table in ("examples", "range_examples")]
        shown = set().union(*(pl.read_parquet(table)["image"].to_list() for table in tables))
        self.expect("images with a thumbnail", set(by_polars["image"].to_list()), shown)

    def sums(self):
        """A is the sum of the per-image lists (method.md section 2)."""
        images = pl.scan_parquet(f"{self.run}/images.parquet").select("image", "label", "prediction")
        cell = ["label", "prediction", "channel", "layer"]
        wanted = (
            pl.scan_parquet(f"{self.run}/top_channels/**/*.parquet", hive_partitioning=True)
            .join(images, on="image")
            .with_columns(pl.col("label").fill_null(NO_LABEL))
            .group_by(cell)
            .agg(pl.len().cast(pl.UInt32).alias("images"))
            .collect()
        )
        found = pl.read_parquet(f"{self.run}/activations/**/*.parquet", hive_partitioning=True)
        columns = cell + ["images"]
        self.expect("A", sorted(found.select(columns).rows()), sorted(wanted.select(columns).rows()))


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    checker = Checker(sys.argv[1])
    checker.files()
    checker.images()
    checker.skipped()
    later = {"range_examples"} if checker.manifest["schema_version"] < 2 else set()
    for table, key in PARTITIONED.items():
        if table not in later:
            checker.partitioned(table, key)
    if not later:
        checker.thumbnails()
    checker.sums()
    for problem in checker.problems:
        print(problem)
    if checker.problems:
        sys.exit(1)
    print(f"{sys.argv[1]}: polars {pl.__version__}, pandas {pd.__version__} and DuckDB {duckdb.__version__} agree")


if __name__ == "__main__":
    main()
