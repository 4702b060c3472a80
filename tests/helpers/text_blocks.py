"""A text manifest in the blocks that a night would read, without Spark."""

from __future__ import annotations

from prodseek.catalogue.text_rows import BlockEnd, TextBlock, TextTable, blocks_of, count_block, joined, numbered


def whole_blocks(table: TextTable) -> list[TextBlock]:
    """Blocks that end where a row ends, each with the number of its first row."""
    blocks = blocks_of(table)
    ends: dict[TextBlock, BlockEnd] = {}
    while True:
        ends |= {block: count_block(table, block) for block in blocks if block not in ends}
        whole = joined(blocks, ends)
        if whole == blocks:
            return list(numbered(blocks, ends))
        blocks = whole
