//! A run on disk: Parquet tables, manifest, shards, commit, merge, resume.
