//! Pure functions of tables: attribution graph, PageRank, selection, rendering.
